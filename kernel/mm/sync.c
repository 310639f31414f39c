// sync.c -- msync: bring the stores of a range to the disk.
// The regions are looked up one at a time, each object is referenced, and as.lock is let go before anything is written
// (I6). Where a region has a tag (an open file), whoever gave it does the writing, so that errors of write-back are told
// to that file. MS_ASYNC has nothing to do: what is DIRTY will be written, and its time stamps are due already.
// Must not know how an object is stored.
#include "mm/mm.h"

static int
sync_part(const struct aspace_part *part)
{
  uint64_t lo = part->idx, hi = lo + ((part->hi - part->lo) >> PAGE_SHIFT);
  struct mobj *obj = part->obj;
  int r, e;

  if(part->tag)
    return region_tags->sync(part->tag, obj, lo, hi);
  r = mobj_sync(obj, lo, hi);
  e = obj->ops->commit ? obj->ops->commit(obj) : 0;
  return r ? r : e;
}

// `wait`: MS_SYNC. The first error; -ENOMEM for a hole, after the mapped parts were synced. Holds nothing; sleeps.
int
aspace_sync(struct aspace *as, vaddr_t lo, vaddr_t hi, bool wait)
{
  struct aspace_part part;
  int err = 0, hole = 0, r;

  for(; lo < hi && aspace_part(as, lo, hi, &part, &hole); lo = part.hi) {
    r = wait && part.obj && (part.flags & REGION_SHARED) ? sync_part(&part) : 0;
    err = err ? err : r;
    aspace_part_put(&part);
  }
  return err ? err : hole;
}
