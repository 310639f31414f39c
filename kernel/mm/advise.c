// advise.c -- madvise, mincore, and flags of ranges. A range may span many regions and holes: whatever is mapped is
// done, and a hole is reported as -ENOMEM afterwards. Throwing pages away (DONTNEED) holds as.lock for writing, so that
// no fault fills in behind it; when it returns, no CPU reaches the old frames.
// Must not know files: MADV_REMOVE of a file's blocks is asked of the tag (region_tags->punch).
#include "core/print.h"
#include "mm/mm.h"

enum advice { // Linux's numbers
  ADVISE_NORMAL = 0,
  ADVISE_RANDOM = 1,
  ADVISE_SEQUENTIAL = 2,
  ADVISE_WILLNEED = 3,
  ADVISE_DONTNEED = 4,
  ADVISE_FREE = 8,
  ADVISE_REMOVE = 9,
  ADVISE_DONTFORK = 10,
  ADVISE_DOFORK = 11,
  ADVISE_DONTDUMP = 16,
  ADVISE_DODUMP = 17,
  ADVISE_WIPEONFORK = 18,
  ADVISE_KEEPONFORK = 19,
  ADVISE_COLD = 20,
  ADVISE_PAGEOUT = 21,
  ADVISE_POPULATE_READ = 22,
  ADVISE_POPULATE_WRITE = 23,
  ADVISE_DONTNEED_LOCKED = 24,
};

// ---- flags

static int
flags_region(struct aspace *as, struct region *r, vaddr_t lo, vaddr_t hi, int set, int clear, struct region *spare[2])
{
  int flags = (r->flags & ~clear) | set, more = (r->start < lo) + (hi < r->end);

  if(flags == r->flags)
    return 0;
  if(as->nregions + more > vm_max_map_count)
    return -EAGAIN;

  regions_split_at(as, lo, spare);
  regions_split_at(as, hi, spare);
  r = region_find(as, lo);
  region_account(as, r, -1);
  r->flags = flags;
  region_account(as, r, 1);
  as->seq++;
  return 0;
}

static int
flags_locked(struct aspace *as, vaddr_t lo, vaddr_t hi, int set, int clear, struct region *spare[2]) REQUIRES(as->lock)
{
  int err = 0, hole = regions_cover(as, lo, hi) ? 0 : -ENOMEM;
  vaddr_t at = lo, end;

  for(struct region *r; err == 0 && at < hi && (r = region_find_from(as, at)) != 0 && r->start < hi; at = end) {
    end = min(hi, r->end);
    err = flags_region(as, r, max(at, r->start), end, set, clear, spare);
  }
  regions_merge(as, lo, hi);
  return err ? err : hole;
}

enum stop { AT_END, AT_HOLE, AT_OBJECT };

// Where in [lo, hi) the change of flags ends early, or hi; and why.
static vaddr_t
flags_end(struct aspace *as, vaddr_t lo, vaddr_t hi, enum stop stop, int *err) REQUIRES(as->lock)
{
  vaddr_t end = hi;

  if(stop == AT_HOLE)
    end = regions_end(as, lo, hi);
  for(struct region *r = region_find_from(as, lo); stop == AT_OBJECT && r && r->start < end; r = region_next(r))
    if(r->obj || (r->flags & REGION_SHARED))
      end = max(lo, r->start);
  *err = end == hi ? 0 : stop == AT_HOLE ? -ENOMEM : -EINVAL;
  return end;
}

static int
set_flags(struct aspace *as, vaddr_t lo, vaddr_t hi, int set, int clear, enum stop stop)
{
  struct region *spare[2] = {0};
  int r = regions_reserve(spare, 2), early;

  if(r)
    return r;
  rw_write(&as->lock);
  hi = flags_end(as, lo, hi, stop, &early);
  if(lo < hi)
    r = flags_locked(as, lo, hi, set, clear, spare);
  rw_write_release(&as->lock);
  regions_unreserve(spare, 2);
  return early && r != -EAGAIN ? early : r;
}

int
aspace_set_flags(struct aspace *as, vaddr_t lo, vaddr_t hi, int set, int clear)
{
  return set_flags(as, lo, hi, set, clear, AT_END);
}

int
aspace_set_flags_until_hole(struct aspace *as, vaddr_t lo, vaddr_t hi, int set, int clear)
{
  return set_flags(as, lo, hi, set, clear, AT_HOLE);
}

// Only private anonymous memory is wiped in children.
static int
advise_wipe(struct aspace *as, vaddr_t lo, vaddr_t hi)
{
  return set_flags(as, lo, hi, REGION_WIPEONFORK, 0, AT_OBJECT);
}

// ---- throwing pages away

// May this part be discarded? FREE is for private anonymous memory alone; sealed memory that cannot be written is not
// to be emptied behind the back of the seal.
static int
discard_allowed(const struct region *r, enum advice advice)
{
  bool private_ = !(r->flags & REGION_SHARED);

  if((r->flags & REGION_LOCKED) && advice != ADVISE_DONTNEED_LOCKED)
    return -EINVAL;
  if(advice == ADVISE_FREE && (r->obj || !private_))
    return -EINVAL;
  return (r->flags & REGION_SEALED) && private_ && !(r->prot & PROT_W) ? -EPERM : 0;
}

// Throw away r's part of [lo, hi). Where no object's walkers come by, nodes and tables go too.
static void
discard_region(struct aspace *as, struct region *r, vaddr_t lo, vaddr_t hi, struct shootdown *sd) REQUIRES(as->lock)
{
  if(!aspace_zap(as, lo, hi, sd) || r->obj || hi - lo < STRETCH)
    return;
  shootdown_finish(sd);
  anon_prune(as, lo, hi);
  pmap_prune(as->pmap, lo, hi);
}

// FREE may keep the contents until memory is short or drop them at once; dropping at once needs no list of what is
// lazy.
static int
discard(struct aspace *as, vaddr_t lo, vaddr_t hi, enum advice advice)
{
  struct shootdown sd;
  int err = 0, hole;

  rw_write(&as->lock);
  hole = regions_cover(as, lo, hi) ? 0 : -ENOMEM;
  shootdown_begin(&sd, as->pmap);
  for(struct region *r = region_find_from(as, lo); err == 0 && r && r->start < hi; r = region_next(r)) {
    err = discard_allowed(r, advice);
    if(err == 0)
      discard_region(as, r, max(lo, r->start), min(hi, r->end), &sd);
  }
  shootdown_finish(&sd);
  rw_write_release(&as->lock);
  return err ? err : hole;
}

int
aspace_discard(struct aspace *as, vaddr_t lo, vaddr_t hi)
{
  return discard(as, lo, hi, ADVISE_DONTNEED);
}

// ---- the rest

static int
advise_read(struct aspace *as, vaddr_t lo, vaddr_t hi)
{
  struct aspace_part part;
  int err = 0;

  for(; lo < hi && aspace_part(as, lo, hi, &part, &err); lo = part.hi) {
    if(part.obj)
      mobj_readahead(part.obj, part.idx, (part.hi - part.lo) >> PAGE_SHIFT);
    aspace_part_put(&part);
  }
  return err;
}

static int
remove_part(const struct aspace_part *part)
{
  if(part->flags & REGION_LOCKED || part->obj == 0)
    return -EINVAL;
  if(!(part->flags & REGION_SHARED) || !(part->maxprot & PROT_W))
    return -EACCES;
  if(part->tag)
    return region_tags->punch(part->tag, part->idx << PAGE_SHIFT, part->hi - part->lo);
  mobj_punch(part->obj, part->idx, part->idx + ((part->hi - part->lo) >> PAGE_SHIFT));
  return 0;
}

static int
advise_remove(struct aspace *as, vaddr_t lo, vaddr_t hi)
{
  struct aspace_part part;
  int err = 0, r = 0;

  for(; lo < hi && r == 0 && aspace_part(as, lo, hi, &part, &err); lo = part.hi) {
    r = remove_part(&part);
    aspace_part_put(&part);
  }
  return r ? r : err;
}

// Piece by piece: what may be written, or executed, and not read, is not read here either, though the hardware would.
static int
populate_parts(struct aspace *as, vaddr_t lo, vaddr_t hi, int want)
{
  struct aspace_part part;
  int hole = 0, r = 0;

  for(; lo < hi && r == 0; lo = part.hi) {
    if(!aspace_part(as, lo, hi, &part, &hole))
      return -ENOMEM;
    aspace_part_put(&part);
    r = hole ? hole : part.prot & want ? aspace_populate(as, part.lo, part.hi, want) : -EACCES;
  }
  return r;
}

// As madvise names what populate found: no access -EINVAL, past the end or unreadable -EFAULT.
static int
advise_populate(struct aspace *as, vaddr_t lo, vaddr_t hi, int want)
{
  int r = populate_parts(as, lo, hi, want);

  if(r == -EACCES)
    return -EINVAL;
  return r == -EIO ? -EFAULT : r;
}

// COLD: these pages will not be used soon. PAGEOUT: write and drop them now, those of files that no other program uses;
// anonymous memory has nowhere to go.
static int
advise_cold(struct aspace *as, vaddr_t lo, vaddr_t hi, bool out)
{
  struct aspace_part part;
  int err = 0, r = 0;

  for(; lo < hi && r == 0 && aspace_part(as, lo, hi, &part, &err); lo = part.hi) {
    uint64_t end = part.idx + ((part.hi - part.lo) >> PAGE_SHIFT);

    if(part.flags & REGION_LOCKED)
      r = -EINVAL;
    else
      aspace_forget_use(as, part.lo, part.hi, USE_OF_ALL); // so that reclaim finds them first
    if(r == 0 && out && part.obj) {
      mobj_sync(part.obj, part.idx, end); // an error is told by fsync
      mobj_page_out(part.obj, part.idx, end);
    }
    aspace_part_put(&part);
  }
  return r ? r : err;
}

int
aspace_advise(struct aspace *as, vaddr_t lo, vaddr_t hi, int advice)
{
  switch(advice) {
  case ADVISE_NORMAL: return aspace_set_flags(as, lo, hi, 0, REGION_RAND | REGION_SEQ);
  case ADVISE_RANDOM: return aspace_set_flags(as, lo, hi, REGION_RAND, REGION_SEQ);
  case ADVISE_SEQUENTIAL: return aspace_set_flags(as, lo, hi, REGION_SEQ, REGION_RAND);
  case ADVISE_WILLNEED: return advise_read(as, lo, hi);
  case ADVISE_DONTNEED:
  case ADVISE_DONTNEED_LOCKED:
  case ADVISE_FREE: return discard(as, lo, hi, advice);
  case ADVISE_REMOVE: return advise_remove(as, lo, hi);
  case ADVISE_DONTFORK: return aspace_set_flags(as, lo, hi, REGION_DONTFORK, 0);
  case ADVISE_DOFORK: return aspace_set_flags(as, lo, hi, 0, REGION_DONTFORK);
  case ADVISE_DONTDUMP: return aspace_set_flags(as, lo, hi, REGION_DONTDUMP, 0);
  case ADVISE_DODUMP: return aspace_set_flags(as, lo, hi, 0, REGION_DONTDUMP);
  case ADVISE_WIPEONFORK: return advise_wipe(as, lo, hi);
  case ADVISE_KEEPONFORK: return aspace_set_flags(as, lo, hi, 0, REGION_WIPEONFORK);
  case ADVISE_COLD: return advise_cold(as, lo, hi, false);
  case ADVISE_PAGEOUT: return advise_cold(as, lo, hi, true);
  case ADVISE_POPULATE_READ: return advise_populate(as, lo, hi, PROT_R);
  case ADVISE_POPULATE_WRITE: return advise_populate(as, lo, hi, PROT_W);
  default: return -EINVAL; // huge pages among them: there are none
  }
}

// ---- mincore

// In memory, so that touching it would not wait for the disk? as.lock is held.
static bool
page_resident(struct aspace *as, const struct region *r, vaddr_t va)
{
  struct spinlock *lock = aspace_slot_lock(as, va);
  struct page *pg;
  bool there;

  spin_acquire(lock);
  there = pmap_peek(as->pmap, va, 0, 0) || anon_get(as, va);
  if(!there && r->obj) {
    spin_acquire(&r->obj->lock);
    pg = (struct page *)radix_get(&r->obj->pages, region_index(r, va));
    there = pg && page_test(pg, PAGE_UPTODATE);
    spin_release(&r->obj->lock);
  }
  spin_release(lock);
  return there;
}

int
aspace_resident(struct aspace *as, vaddr_t lo, vaddr_t hi, uint8_t *vec)
{
  struct region *r;
  int err = 0;

  rw_read(&as->lock);
  for(; lo < hi && err == 0; lo += PAGE_SIZE) {
    r = region_find(as, lo);
    if(r)
      *vec++ = page_resident(as, r, lo);
    else
      err = -ENOMEM;
  }
  rw_read_release(&as->lock);
  return err;
}
