// reap.c -- take the memory of a space whose programs are all being killed, before they have left.
// They may be slow to leave: a victim of the OOM killer can wait for a lock whose holder waits for memory. None of them
// runs its program any more, so nobody misses private pages. What others can see stays: shared memory, and files.
// From then on every fault is refused, so that the kernel, still working for a victim, reads no zeros in place of data.
// Must not know why they are killed.
#include "mm/mm.h"

bool
aspace_reap(struct aspace *as)
{
  struct shootdown sd;

  if(!rw_write_try(&as->lock)) // who holds it does not wait for memory, and is soon done
    return false;
  as->reaped = true;
  shootdown_begin(&sd, as->pmap);
  for(struct region *r = region_find_from(as, 0); r; r = region_next(r))
    if(!(r->flags & REGION_SHARED))
      aspace_zap(as, r->start, r->end, &sd);
  shootdown_finish(&sd);
  as->seq++;
  rw_write_release(&as->lock);
  return true;
}
