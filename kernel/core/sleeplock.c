// sleeplock.c -- mutex whose waiters sleep.
//
// A release lets the lock go free and wakes the first waiter; whoever is there first takes it, which saves a switch of
// threads when one thread takes the lock again and again. A waiter that woke in vain sets `handoff`, and the next release
// gives the lock to the first waiter by name: nobody starves. Before it sleeps a waiter spins a little, as most holders
// are about to let go.
// Typical: sleep_acquire(&l) / anything, disk included, that the lock's rank allows / sleep_release(&l).
#include "core/cpu.h"
#include "core/lock.h"
#include "core/print.h"
#include "core/wait.h"
#include "lib/atomic.h"
#include "lib/errno.h"

enum { SPINS = 100 }; // looks at the lock before sleeping

void
sleep_init(struct sleeplock *l, const char *name, int rank)
{
  *l = (struct sleeplock){.name = name, .rank = rank};
  waitq_init(&l->q);
}

static bool
take_free(struct sleeplock *l)
{
  assert_held(&l->q.lock);
  if(l->held)
    return false;
  atomic_set(&l->held, true);
  l->owner = thread_self();
  return true;
}

static bool
spin_until_free(struct sleeplock *l)
{
  for(int i = 0; cpu_count > 1 && i < SPINS; i++) {
    if(!atomic_get_relaxed(&l->held))
      return true;
    cpu_relax();
  }
  return false;
}

// Wait for l, which somebody else holds. 0: it is ours. Holds l->q.lock on entry and return (UNCHECKED: clang cannot
// name a parameter's lock before the parameter).
UNCHECKED static int
wait_for(struct sleeplock *l, enum wait_mode mode)
{
  struct waiter w = {.thread = thread_self(), .q = &l->q};
  int r = 0;

  list_add_tail(&l->q.waiters, &w.link);
  for(;;) {
    thread_prepare();
    spin_release(&l->q.lock); // held: nothing
    if(thread_interrupted(mode))
      r = -EINTR;
    if(r || spin_until_free(l))
      thread_unprepare();
    else
      thread_block();
    spin_acquire(&l->q.lock); // held: l->q.lock
    if(l->owner == w.thread || take_free(l)) {
      r = 0;
      break;
    }
    if(r)
      break;
    l->handoff = true;
  }
  list_del(&w.link);
  return r;
}

static int
acquire(struct sleeplock *l, enum rank_how how, enum wait_mode mode)
{
  int r = 0;

  assert_may_sleep();
  rank_acquire(l, l->name, l->rank, how);
  spin_acquire(&l->q.lock);
  if(!take_free(l))
    r = wait_for(l, mode);
  spin_release(&l->q.lock);
  if(r)
    rank_release(l);
  return r;
}

UNCHECKED void
sleep_acquire(struct sleeplock *l)
{
  acquire(l, RANK_STRICT, WAIT_ALWAYS);
}

UNCHECKED void
sleep_acquire_nested(struct sleeplock *l)
{
  acquire(l, RANK_NESTED, WAIT_ALWAYS);
}

int
sleep_acquire_killable(struct sleeplock *l)
{
  return acquire(l, RANK_STRICT, WAIT_KILLABLE);
}

UNCHECKED bool
sleep_try(struct sleeplock *l)
{
  bool ok;

  spin_acquire(&l->q.lock);
  ok = take_free(l);
  spin_release(&l->q.lock);
  if(ok)
    rank_acquire(l, l->name, l->rank, RANK_TRIED);
  return ok;
}

UNCHECKED void
sleep_release(struct sleeplock *l)
{
  struct thread *next = 0;

  rank_release(l);
  spin_acquire(&l->q.lock);
  if(!l->held || l->owner != thread_self())
    panic("sleep lock %s (%p) is released by %p, its owner is %p", l->name, l, thread_self(), l->owner);
  if(!list_empty(&l->q.waiters))
    next = list_entry(l->q.waiters.next, struct waiter, link)->thread;
  l->owner = l->handoff ? next : 0;
  l->handoff = false;
  atomic_set(&l->held, l->owner != 0);
  if(next)
    thread_wake(next);
  spin_release(&l->q.lock);
}
