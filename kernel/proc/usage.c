// usage.c -- where processor time went: a thread's, and its CPU's.
// Every switch and every tick accounts for the time since the last one, so sums are exact. How much of it was the program's
// and how much the kernel's is not measured at each entry, which would cost every system call two readings of the clock:
// the clock interrupt samples where it fell, and time is divided as the samples were.
#include "core/cpu.h"
#include "core/time.h"
#include "lib/atomic.h"
#include "proc/proc.h"

// What `ns` count for a thread's turn: each step of niceness makes them a quarter more, or a fifth less.
static uint64_t
weighted(uint64_t ns, int nice)
{
  enum { MORE = 4, LESS = 5 };

  for(; nice > 0; nice--)
    ns += ns / MORE;
  for(; nice < 0; nice++)
    ns -= ns / LESS;
  return ns;
}

// Bring the running thread's times up to `now`. Interrupts are off. What was not sampled is divided as the samples were.
void
usage_account(struct thread *t, uint64_t now)
{
  uint64_t ran = now > t->entered ? now - t->entered : 0, user, samples;
  struct cpu *c = cpu_self();

  t->entered = now;
  if(t->idle) {
    c->idle_ns += ran;
    return;
  }
  t->vruntime += weighted(ran, atomic_get_relaxed(&t->nice));
  samples = t->user_ticks + t->system_ticks;
  user = t->proc == 0 ? 0 : samples ? ran * t->user_ticks / samples : ran / 2;
  t->user_ns += user;
  t->system_ns += ran - user;
  c->user_ns += user;
  c->system_ns += ran - user;
}

void
sched_account(void)
{
  irq_off();
  usage_account(thread_self(), clock_now());
  irq_restore();
}

// A clock interrupt fell into user mode or the kernel: the time since the last account was spent there, as a sample.
void
usage_tick(struct thread *t, bool user)
{
  enum { SAMPLES_MAX = 64 }; // older ones fade

  t->ticked = false;
  if(t->user_ticks + t->system_ticks >= SAMPLES_MAX) {
    t->user_ticks /= 2;
    t->system_ticks /= 2;
  }
  if(user)
    t->user_ticks++;
  else
    t->system_ticks++;
}
