// rwlock.c -- many readers or one writer, in the order of arrival; waiters sleep.
//
// Whoever cannot enter at once queues, and is let in by the one who leaves (`admit`): the first waiter, and behind a
// reader all readers up to the next writer. Nobody overtakes the queue, so neither kind can starve the other. As address
// spaces are locked for moments, a waiter spins a little before it sleeps.
// Typical: rw_read(&as->lock) / look / rw_read_release(&as->lock).
#include "core/cpu.h"
#include "core/lock.h"
#include "core/print.h"
#include "core/wait.h"
#include "lib/atomic.h"

enum { SPINS = 200 }; // looks at one's own ticket before sleeping

struct rw_waiter {
  struct waiter w;
  bool wants_write; // (c)
  bool admitted;    // (waitq.lock), read without it as a hint
};

void
rw_init(struct rwlock *l, const char *name, int rank)
{
  *l = (struct rwlock){.name = name, .rank = rank};
  waitq_init(&l->q);
}

// Take l for `t` if the lock itself allows it; the queue is the caller's matter.
static bool
enter(struct rwlock *l, struct thread *t, bool write)
{
  if(l->writing || (write && l->readers > 0))
    return false;
  if(write) {
    l->writing = true;
    l->writer = t;
  } else {
    l->readers++;
  }
  return true;
}

// Somebody left: let in whoever is first.
static void
admit(struct rwlock *l)
{
  assert_held(&l->q.lock);
  while(!list_empty(&l->q.waiters)) {
    struct rw_waiter *w = container_of(l->q.waiters.next, struct rw_waiter, w.link);

    if(!enter(l, w->w.thread, w->wants_write))
      return;
    list_del(&w->w.link);
    atomic_set(&w->admitted, true);
    thread_wake(w->w.thread); // w stays: its thread takes q.lock before it returns
  }
}

static bool
spin_until_admitted(struct rw_waiter *w)
{
  for(int i = 0; cpu_count > 1 && i < SPINS; i++) {
    if(atomic_get_relaxed(&w->admitted))
      return true;
    cpu_relax();
  }
  return false;
}

static void
acquire(struct rwlock *l, bool write, enum rank_how how)
{
  struct rw_waiter w = {.w.q = &l->q, .wants_write = write};

  assert_may_sleep();
  rank_acquire(l, l->name, l->rank, how);
  w.w.thread = thread_self();
  spin_acquire(&l->q.lock);
  if(!list_empty(&l->q.waiters) || !enter(l, w.w.thread, write)) {
    list_add_tail(&l->q.waiters, &w.w.link);
    while(!w.admitted) {
      thread_prepare();
      spin_release(&l->q.lock); // held: nothing
      if(spin_until_admitted(&w))
        thread_unprepare();
      else
        thread_block();
      spin_acquire(&l->q.lock);
    }
  }
  spin_release(&l->q.lock);
}

static bool
try_acquire(struct rwlock *l, bool write)
{
  bool ok;

  spin_acquire(&l->q.lock);
  ok = list_empty(&l->q.waiters) && enter(l, thread_self(), write);
  spin_release(&l->q.lock);
  if(ok)
    rank_acquire(l, l->name, l->rank, RANK_TRIED);
  return ok;
}

UNCHECKED void
rw_read(struct rwlock *l)
{
  acquire(l, false, RANK_STRICT);
}

UNCHECKED bool
rw_read_try(struct rwlock *l)
{
  return try_acquire(l, false);
}

UNCHECKED void
rw_read_release(struct rwlock *l)
{
  rank_release(l);
  spin_acquire(&l->q.lock);
  if(l->readers <= 0)
    panic("rw lock %s (%p) is released by a reader, has %d readers", l->name, l, l->readers);
  l->readers--;
  admit(l);
  spin_release(&l->q.lock);
}

UNCHECKED void
rw_write(struct rwlock *l)
{
  acquire(l, true, RANK_STRICT);
}

UNCHECKED void
rw_write_nested(struct rwlock *l)
{
  acquire(l, true, RANK_NESTED);
}

UNCHECKED bool
rw_write_try(struct rwlock *l)
{
  return try_acquire(l, true);
}

UNCHECKED void
rw_write_release(struct rwlock *l)
{
  rank_release(l);
  spin_acquire(&l->q.lock);
  if(!l->writing || l->writer != thread_self())
    panic("rw lock %s (%p) is released by %p, its writer is %p", l->name, l, thread_self(), l->writer);
  l->writing = false;
  l->writer = 0;
  admit(l);
  spin_release(&l->q.lock);
}
