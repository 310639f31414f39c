// time.c -- one-shot timers in one tree for all CPUs, the wall clock, and sleeping until a time.
//
// The CPU that starts the earliest timer arms its own clock; any CPU's clock interrupt runs all that are due, and arms
// for the next. A timer's function runs without the lock but marked `running`, so timer_cancel can wait for its end: a
// timer may lie on the stack of the one who cancels it.
// Typical: timer_init(&t, fn) / timer_start(&t, clock_now() + 5 * MSEC) / timer_cancel(&t).
// Must not know which hardware counts.
#include "core/cpu.h"
#include "core/lock.h"
#include "core/time.h"
#include "core/wait.h"
#include "lib/atomic.h"
#include "lib/errno.h"

static struct spinlock timers_lock = SPINLOCK_INIT("timers", RANK_TIMERS);
static struct rbtree timers; // (timers_lock) by when, equal ones in the order they came
static uint64_t wall_offset; // (a) clock_wall - clock_now

#define timer_of(n) container_of(n, struct timer, node)

uint64_t
clock_wall(void)
{
  return clock_now() + atomic_get_relaxed(&wall_offset);
}

void
clock_set_wall(uint64_t ns)
{
  atomic_set(&wall_offset, ns - clock_now());
}

void
timer_init(struct timer *t, void (*fn)(struct timer *))
{
  *t = (struct timer){.fn = fn};
}

static void
enqueue(struct timer *t)
{
  struct rbnode **at = &timers.root, *up = 0;

  while(*at) {
    up = *at;
    at = t->when < timer_of(up)->when ? &up->left : &up->right;
  }
  rb_insert(&timers, &t->node, up, at);
  t->queued = true;
}

static bool
dequeue(struct timer *t)
{
  if(!t->queued)
    return false;
  rb_remove(&timers, &t->node);
  t->queued = false;
  return true;
}

void
timer_start(struct timer *t, uint64_t when)
{
  spin_acquire(&timers_lock);
  dequeue(t);
  t->when = when;
  if(when != NEVER) {
    enqueue(t);
    if(rb_first(&timers) == &t->node)
      clock_arm(when);
  }
  spin_release(&timers_lock);
}

bool
timer_cancel(struct timer *t)
{
  bool caught = false;

  for(;;) {
    bool running;

    spin_acquire(&timers_lock);
    caught |= dequeue(t);
    running = t->running;
    spin_release(&timers_lock);
    if(!running)
      return caught;
    cpu_relax();
  }
}

// The earliest time in the tree, or NEVER.
static uint64_t
next_due(void)
{
  return timers.root ? timer_of(rb_first(&timers))->when : NEVER;
}

uint64_t
timer_run(void)
{
  uint64_t next, now = clock_now(); // what comes due meanwhile is the next interrupt's: there may be no end to it

  spin_acquire(&timers_lock);
  while((next = next_due()) != NEVER && next <= now) {
    struct timer *t = timer_of(rb_first(&timers));

    dequeue(t);
    if(t->running) { // restarted itself and is due before its last run ended on another CPU: that one goes on with it
      enqueue(t);
      break;
    }
    t->running = true;
    spin_release(&timers_lock); // held: nothing; t stays, as timer_cancel waits
    t->fn(t);
    spin_acquire(&timers_lock);
    t->running = false;
  }
  spin_release(&timers_lock);
  return next;
}

uint64_t
timer_next(void)
{
  uint64_t next;

  spin_acquire(&timers_lock);
  next = next_due();
  spin_release(&timers_lock);
  return next;
}

int
time_sleep_until(uint64_t deadline, int mode)
{
  int r;

  do {
    thread_prepare();
    r = waitq_sleep(mode, deadline);
  } while(r == 0);
  return r == -ETIMEDOUT ? 0 : r;
}
