// futex_robust.c -- what a thread leaves behind: the locks on its robust list are marked, so that whoever gets one next
// learns that its owner died; clear_child_tid is cleared, for who joins it.
// The list lies in the program's memory and may be anything: a circle, a stray pointer. What cannot be read ends the walk.
// Bit 0 of a link says that the entry it leads to names its owner (futex_pi.c): such a lock is handed on by the kernel.
// Must not know: what else a mutex holds.
#include "lib/atomic.h"
#include "proc/futex.h"

enum { ROBUST_MAX = 2048 }; // entries we follow
enum { ROBUST_PI = 1 };

// A lock that the dying thread may hold: mark it, and wake one that waits for it. -EFAULT ends the list.
static int
robust_release(struct aspace *as, int tid, vaddr_t word, bool pi, bool pending)
{
  uint32_t v, seen;
  int r;

  if(word % sizeof(uint32_t))
    return -EFAULT;
  r = copyin(as, &v, word, sizeof(v), 0);
  while(r == 0) {
    if(pending && !pi && (v & FUTEX_TID_MASK) == 0) // released, but died before the wake
      return min(futex_wake(as, word, 1, false), 0);
    if((v & FUTEX_TID_MASK) != (uint32_t)tid)
      return 0;
    seen = v;
    r = futex_exchange(as, word, &seen, (v & FUTEX_WAITERS) | FUTEX_OWNER_DIED);
    if(r == 0 && seen == v)
      return (v & FUTEX_WAITERS) && !pi ? min(futex_wake(as, word, 1, false), 0) : 0;
    v = seen;
  }
  return r;
}

struct robust_head { // Linux's: all are the program's addresses
  uint64_t next;
  int64_t offset; // from an entry to its futex word
  uint64_t pending;
};

static void
robust_walk(struct thread *t, struct aspace *as)
{
  struct robust_head h;
  uint64_t link, pending;

  if(copyin(as, &h, t->robust_list, sizeof(h), 0) != 0)
    return;
  link = h.next;
  pending = h.pending & ~(uint64_t)ROBUST_PI;
  for(int i = 0; i < ROBUST_MAX && (link & ~(uint64_t)ROBUST_PI) != t->robust_list; i++) {
    uint64_t next, entry = link & ~(uint64_t)ROBUST_PI;
    int r = copyin(as, &next, entry, sizeof(next), 0);

    if(entry != pending && robust_release(as, t->tid, entry + h.offset, link & ROBUST_PI, false) != 0)
      return;
    if(r)
      return;
    link = next;
    thread_relax();
  }
  if(pending)
    robust_release(as, t->tid, pending + h.offset, h.pending & ROBUST_PI, true);
}

void
futex_exit(struct thread *t)
{
  struct aspace *as = t->proc->as;
  uint32_t zero = 0;

  if(t->robust_list)
    robust_walk(t, as);
  t->robust_list = 0;
  futex_pi_exit(t);
  if(t->clear_tid && (t->proc->nthreads > 1 || atomic_get(&as->users) > 1) &&
     copyout(as, t->clear_tid, &zero, sizeof(zero), 0) == 0)
    futex_wake(as, t->clear_tid, 1, false);
  t->clear_tid = 0;
}
