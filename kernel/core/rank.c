// rank.c -- the lock order, asserted. Every lock kind tells this file what it takes and gives back; the list of the
// running thread must rise in rank. docs/locks.md says which lock has which rank and why.
//
// Typical: rank_acquire(l, l->name, l->rank, RANK_STRICT) before the lock is waited for, so that an inversion is found
// even when nobody contends; rank_release(l) when it goes.
// An interrupt handler's spin locks go on top of the list of the thread that it interrupted. That needs no rule of its
// own: who holds a spin lock is not interrupted, so only sleeping locks, all of lower rank, can lie below.
// Must not know how a lock works, nor take one.
#include "core/cpu.h"
#include "core/lock.h"
#include "core/print.h"
#include "core/thread.h"

#if RANK_CHECK
// Index of `lock` in the list, or -1.
static int
held_find(const struct held *h, const void *lock)
{
  int i = h->n - 1;

  while(i >= 0 && h->e[i].lock != lock)
    i--;
  return i;
}

static void
order_check(const struct held *h, const void *lock, const char *name, int rank, enum rank_how how)
{
  if(held_find(h, lock) >= 0)
    panic("rank: %s (%p, rank %d) is taken twice by one thread", name, lock, rank);
  if(how == RANK_TRIED || rank == 0) // who does not wait cannot be part of a circle
    return;
  for(int i = 0; i < h->n; i++)
    if(h->e[i].rank > rank || (h->e[i].rank == rank && how != RANK_NESTED))
      panic("rank: %s (%p, rank %d) is taken while %s (%p, rank %d) is held", name, lock, rank, h->e[i].name,
            h->e[i].lock, h->e[i].rank);
}

void
rank_acquire(const void *lock, const char *name, int rank, enum rank_how how)
{
  struct held *h;

  irq_off(); // an interrupt uses the same list
  h = thread_held();
  order_check(h, lock, name, rank, how);
  if(h->n == HELD_MAX)
    panic("rank: %d locks held, no room for %s (%p)", h->n, name, lock);
  h->e[h->n].lock = lock;
  h->e[h->n].name = name;
  h->e[h->n++].rank = rank;
  irq_restore();
}

void
rank_release(const void *lock)
{
  struct held *h;
  int i;

  irq_off();
  h = thread_held();
  i = held_find(h, lock);
  if(i < 0)
    panic("rank: lock %p is released by a thread that does not hold it", lock);
  for(h->n--; i < h->n; i++)
    h->e[i] = h->e[i + 1];
  irq_restore();
}

bool
rank_holds(const void *lock)
{
  return held_find(thread_held(), lock) >= 0;
}

void
assert_may_sleep(void)
{
  const struct held *h = thread_held();

  for(int i = 0; i < h->n; i++)
    if(h->e[i].rank >= RANK_SPIN_FIRST)
      panic("about to sleep with spin lock %s (%p, rank %d) held", h->e[i].name, h->e[i].lock, h->e[i].rank);
  if(cpu_self()->irq_off_depth > 0 || cpu_self()->in_irq)
    panic("about to sleep with interrupts off %d deep, in an interrupt: %d", cpu_self()->irq_off_depth,
          cpu_self()->in_irq);
}

void
assert_not_held_rank(int rank)
{
  const struct held *h = thread_held();

  for(int i = 0; i < h->n; i++)
    if(h->e[i].rank == rank)
      panic("%s (%p, rank %d) is held where it must not be", h->e[i].name, h->e[i].lock, rank);
}
#endif

void
assert_held_(const void *lock, const char *what, const char *file, int line)
{
  if(!rank_holds(lock))
    panic("%s:%d: %s (%p) is not held", file, line, what, lock);
}

void
held_print(const struct held *h)
{
  for(int i = 0; i < h->n && i < HELD_MAX; i++)
    print("  %s %p rank %d\n", h->e[i].name, h->e[i].lock, h->e[i].rank);
}
