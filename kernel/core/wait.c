// wait.c -- wait queues. wait.h has the typical sequence and the reason why no wake-up is lost.
//
// A waiter stays in the queue from waitq_enter to waitq_leave, however often it sleeps in between, and always looks at its
// condition once more after it slept: a wake-up that comes together with a signal or the deadline is never swallowed.
// Must not know what anybody waits for.
#include "core/print.h"
#include "core/wait.h"
#include "lib/errno.h"

void
waitq_init(struct waitq *q)
{
  spin_init(&q->lock, "waitq", RANK_WAITQ);
  list_init(&q->waiters);
}

void
waitq_enter(struct waitq *q, struct waiter *w)
{
  waitq_enter_fn(q, w, 0);
}

void
waitq_enter_fn(struct waitq *q, struct waiter *w, void (*fn)(struct waiter *))
{
  w->thread = thread_self();
  w->q = q;
  w->fn = fn;
  spin_acquire(&q->lock);
  list_add_tail(&q->waiters, &w->link);
  spin_release(&q->lock);
}

void
waitq_leave(struct waiter *w)
{
  spin_acquire(&w->q->lock);
  list_del(&w->link);
  spin_release(&w->q->lock);
}

struct alarm { // a deadline, on the sleeper's stack
  struct timer timer;
  struct thread *thread; // (c)
};

static void
alarm_ring(struct timer *t)
{
  thread_wake(container_of(t, struct alarm, timer)->thread);
}

int
waitq_sleep(enum wait_mode mode, uint64_t deadline)
{
  struct alarm alarm;
  int r = 0;

  assert_may_sleep();
  if(thread_interrupted(mode))
    r = -EINTR;
  else if(deadline != NEVER && clock_now() >= deadline)
    r = -ETIMEDOUT;
  if(r) {
    thread_unprepare();
    return r;
  }
  if(deadline == NEVER) {
    thread_block();
    return 0;
  }
  alarm.thread = thread_self();
  timer_init(&alarm.timer, alarm_ring);
  timer_start(&alarm.timer, deadline);
  thread_block();
  timer_cancel(&alarm.timer);
  return 0;
}

// true: it was a thread.
static bool
wake(struct waiter *w)
{
  if(w->fn)
    w->fn(w);
  else
    thread_wake(w->thread);
  return w->fn == 0;
}

void
waitq_wake(struct waitq *q)
{
  spin_acquire(&q->lock);
  list_for_each(it, &q->waiters)
    wake(list_entry(it, struct waiter, link));
  spin_release(&q->lock);
}

void
waitq_wake_nested(struct waitq *q)
{
  spin_acquire_nested(&q->lock);
  list_for_each(it, &q->waiters)
    wake(list_entry(it, struct waiter, link));
  spin_release(&q->lock);
}

// The woken one goes to the end: a second wake before it has run must reach another. Functions in front of it are all
// called: they are not who waits.
void
waitq_wake_one(struct waitq *q)
{
  spin_acquire(&q->lock);
  list_for_each_safe(it, &q->waiters) {
    if(!wake(list_entry(it, struct waiter, link)))
      continue;
    list_del(it);
    list_add_tail(&q->waiters, it);
    break;
  }
  spin_release(&q->lock);
}

bool
waitq_busy(struct waitq *q)
{
  bool busy;

  spin_acquire(&q->lock);
  busy = !list_empty(&q->waiters);
  spin_release(&q->lock);
  return busy;
}
