// spinlock.c -- ticket lock: served in the order of arrival, interrupts off from before the ticket until the release, so
// that a handler on this CPU can never want a lock that the code below it holds.
// Typical: spin_acquire(&obj->lock) / a few loads and stores / spin_release(&obj->lock).
// Must not sleep, fault or know what it protects.
#include "core/cpu.h"
#include "core/lock.h"
#include "core/print.h"
#include "lib/atomic.h"

void
spin_init(struct spinlock *l, const char *name, int rank)
{
  *l = (struct spinlock)SPINLOCK_INIT(name, rank);
}

static void
take(struct spinlock *l, enum rank_how how)
{
  uint32_t ticket;

  irq_off();
  rank_acquire(l, l->name, l->rank, how);
  ticket = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);
  while(__atomic_load_n(&l->serving, __ATOMIC_ACQUIRE) != ticket)
    cpu_relax();
}

UNCHECKED void
spin_acquire(struct spinlock *l)
{
  take(l, RANK_STRICT);
}

UNCHECKED void
spin_acquire_nested(struct spinlock *l)
{
  take(l, RANK_NESTED);
}

UNCHECKED bool
spin_try(struct spinlock *l)
{
  uint32_t ticket;

  irq_off();
  ticket = __atomic_load_n(&l->serving, __ATOMIC_ACQUIRE);
  if(!atomic_cas(&l->next, &ticket, ticket + 1)) {
    irq_restore();
    return false;
  }
  rank_acquire(l, l->name, l->rank, RANK_TRIED);
  return true;
}

UNCHECKED void
spin_release(struct spinlock *l)
{
  if(unlikely(atomic_get_relaxed(&l->next) == l->serving))
    panic("spin lock %s (%p) is released but not held", l->name, l);
  rank_release(l);
  __atomic_store_n(&l->serving, l->serving + 1, __ATOMIC_RELEASE);
  irq_restore();
}
