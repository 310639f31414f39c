// spinlock.c -- a word that is taken by exchange, interrupts off from before the first try until the release, so that a
// handler on this CPU can never want a lock that the code below it holds.
// Whoever looks first gets it: no queue. Under an emulator or a hypervisor with more CPUs than real ones a queue hands the
// lock to a CPU that is not running, and all others wait for it; sections are short, so nobody is passed over for long.
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
  irq_off();
  rank_acquire(l, l->name, l->rank, how);
  while(__atomic_exchange_n(&l->taken, 1, __ATOMIC_ACQUIRE))
    while(atomic_get_relaxed(&l->taken)) // look without writing: the line stays shared
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
  irq_off();
  if(__atomic_exchange_n(&l->taken, 1, __ATOMIC_ACQUIRE)) {
    irq_restore();
    return false;
  }
  rank_acquire(l, l->name, l->rank, RANK_TRIED);
  return true;
}

UNCHECKED void
spin_release(struct spinlock *l)
{
  if(unlikely(!atomic_get_relaxed(&l->taken)))
    panic("spin lock %s (%p) is released but not held", l->name, l);
  rank_release(l);
  __atomic_store_n(&l->taken, 0, __ATOMIC_RELEASE);
  irq_restore();
}
