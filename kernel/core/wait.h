// wait.h -- wait queues: sleep until a condition holds, with signals and a deadline.
// Typical:  r = wait_event(&q, condition, WAIT_INTERRUPTIBLE, NEVER);   and elsewhere   condition = true; waitq_wake(&q);
// The condition is read without a lock after the waiter is queued, so no wake-up is lost; whoever needs a lock for it
// uses the long form:
//   waitq_enter(&q, &w) / again: thread_prepare() / lock, ok = condition, unlock / if ok: thread_unprepare() and done
//   / r = waitq_sleep(mode, deadline) / unless r: again / at the end: waitq_leave(&w)
#pragma once
#include "core/lock.h"
#include "core/thread.h"
#include "core/time.h"

struct waiter {
  struct list link;            // (q->lock)
  struct thread *thread;       // (c)
  struct waitq *q;             // (c)
  void (*fn)(struct waiter *); // (c) 0: wake the thread; else called with q->lock held, from any context
};

void waitq_init(struct waitq *q);
void waitq_enter(struct waitq *q, struct waiter *w);
void waitq_enter_fn(struct waitq *q, struct waiter *w, void (*fn)(struct waiter *)); // fn must not sleep
void waitq_leave(struct waiter *w);                                                  // when it returns, fn runs no more
// Block after thread_prepare. 0 (look again), -EINTR by `mode`, -ETIMEDOUT. On an error the caller is not prepared any more.
int waitq_sleep(enum wait_mode mode, uint64_t deadline);
void waitq_wake(struct waitq *q);        // all
void waitq_wake_nested(struct waitq *q); // the same from a waiter's fn; the caller orders queues
void waitq_wake_one(struct waitq *q);    // the one that waits longest
bool waitq_busy(struct waitq *q);        // anybody there? (a hint)

// 0 once `cond` is true, else -EINTR or -ETIMEDOUT. `cond` is evaluated again and again, the rest once.
#define wait_event(q_, cond, mode, deadline)                                                                           \
  ({                                                                                                                   \
    uint64_t deadline_ = (deadline);                                                                                   \
    enum wait_mode mode_ = (mode);                                                                                     \
    struct waiter w_;                                                                                                  \
    int r_ = 0;                                                                                                        \
    waitq_enter(q_, &w_);                                                                                              \
    for(;;) {                                                                                                          \
      thread_prepare();                                                                                                \
      if(cond) {                                                                                                       \
        thread_unprepare();                                                                                            \
        r_ = 0;                                                                                                        \
        break;                                                                                                         \
      }                                                                                                                \
      if((r_ = waitq_sleep(mode_, deadline_)) != 0)                                                                    \
        break;                                                                                                         \
    }                                                                                                                  \
    waitq_leave(&w_);                                                                                                  \
    r_;                                                                                                                \
  })
