// cputimer.c -- timers that run by processor time, of a process or of one of its threads.
// They are looked at when a thread of the process goes back to user mode behind a clock interrupt, so they are as fine
// as the slices are, and cost nothing where there are none (proc.ncputimers).
// A function is called without locks but marked `running`, so that who stops a timer can wait for its end.
// Must not know: what going off means.
#include "core/cpu.h"
#include "lib/atomic.h"
#include "proc/proc.h"

void
cputimer_init(struct cputimer *t, struct proc *p, struct thread *thread, bool user_only,
              void (*fn)(struct cputimer *, uint64_t))
{
  *t = (struct cputimer){.proc = p, .thread = thread, .user_only = user_only, .fn = fn};
  list_init(&t->link);
}

// The thread's own time is brought up to date; others' as of their last switch or tick.
uint64_t
cputimer_clock(const struct cputimer *t)
{
  struct proctimes all;

  if(t->thread == 0) {
    proc_times(t->proc, &all);
    return t->user_only ? all.user : all.user + all.system;
  }
  if(t->thread == thread_self())
    sched_account();
  return atomic_get_relaxed(&t->thread->user_ns) + atomic_get_relaxed(&t->thread->system_ns);
}

struct cputimer_left
cputimer_get(struct cputimer *t)
{
  uint64_t now = cputimer_clock(t);
  struct cputimer_left left = {0, 0};

  spin_acquire(&t->proc->lock);
  if(t->armed)
    left.value = t->expires > now ? t->expires - now : 1; // due: not over
  left.interval = t->interval;
  spin_release(&t->proc->lock);
  return left;
}

void
cputimer_set(struct cputimer *t, uint64_t expires, uint64_t interval)
{
  struct proc *p = t->proc;

  spin_acquire(&p->lock);
  if(t->armed) {
    list_del(&t->link);
    atomic_sub(&p->ncputimers, 1);
  }
  t->armed = expires != 0;
  t->expires = expires;
  t->interval = interval;
  if(t->armed) {
    list_add_tail(&p->cputimers, &t->link);
    atomic_add(&p->ncputimers, 1);
  }
  spin_release(&p->lock);
}

void
cputimer_cancel(struct cputimer *t)
{
  bool running;

  cputimer_set(t, 0, 0);
  do {
    spin_acquire(&t->proc->lock);
    running = t->running; // on another CPU, and not for long
    spin_release(&t->proc->lock);
  } while(running);
}

// The first that is due: marked running, its next time set; 0: none. *n: how often it went off.
static struct cputimer *
take_due(struct proc *p, uint64_t user, uint64_t total, uint64_t *n) REQUIRES(p->lock)
{
  struct thread *self = thread_self();

  list_for_each(it, &p->cputimers) {
    struct cputimer *t = list_entry(it, struct cputimer, link);
    uint64_t now = t->thread == self ? self->user_ns + self->system_ns : t->user_only ? user : total;

    if(t->running || (t->thread && t->thread != self) || now < t->expires)
      continue;
    *n = 1;
    t->running = true;
    if(t->interval) {
      *n += (now - t->expires) / t->interval;
      if(__builtin_add_overflow(t->expires, *n * t->interval, &t->expires))
        t->expires = NEVER;
    } else {
      t->armed = false;
      list_del(&t->link);
      atomic_sub(&p->ncputimers, 1);
    }
    return t;
  }
  return 0;
}

void
cputimer_check(struct proc *p)
{
  struct proctimes all;
  struct cputimer *t;
  uint64_t n;

  proc_times(p, &all);
  for(;;) {
    spin_acquire(&p->lock);
    t = take_due(p, all.user, all.user + all.system, &n);
    spin_release(&p->lock);
    if(t == 0)
      return;
    t->fn(t, n);
    spin_acquire(&p->lock);
    t->running = false;
    spin_release(&p->lock);
  }
}
