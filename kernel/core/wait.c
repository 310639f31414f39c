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
  w->thread = thread_self();
  w->q = q;
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

void
waitq_wake(struct waitq *q)
{
  spin_acquire(&q->lock);
  list_for_each(it, &q->waiters)
    thread_wake(list_entry(it, struct waiter, link)->thread);
  spin_release(&q->lock);
}

// The woken one goes to the end: a second wake before it has run must reach another.
void
waitq_wake_one(struct waitq *q)
{
  spin_acquire(&q->lock);
  if(!list_empty(&q->waiters)) {
    struct list *first = q->waiters.next;

    list_del(first);
    list_add_tail(&q->waiters, first);
    thread_wake(list_entry(first, struct waiter, link)->thread);
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
