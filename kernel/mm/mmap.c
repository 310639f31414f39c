// mmap.c -- map, protect, brk, populate. Each in three steps: decode, reserve (may wait, may fail), commit (neither).
// Nothing here touches a page: mapping memory is writing down a region, protecting it is changing the region and taking
// rights out of entries that are there. What is given comes with the next fault.
// Must not know files, descriptors or processes: the caller brings an object, a tag and what maxprot allows.
#include "core/print.h"
#include "core/trace.h"
#include "lib/atomic.h"
#include "mm/mm.h"

static const vaddr_t LOW32_TOP = 1ull << 31; // MAP_32BIT's end

enum {
  SPARE_LO,
  SPARE_HI,  // for the ends of what is cut or changed
  SPARE_NEW, // for what comes
  SPARES
};

// ---- map

static vaddr_t
map_room(struct aspace *as, const struct map_request *rq)
{
  vaddr_t at;

  if(rq->how == MAP_LOW32)
    return region_find_room(as, rq->len, vm_mmap_min, LOW32_TOP);
  if(rq->addr >= vm_mmap_min && rq->addr <= USER_TOP - rq->len && region_fits(as, rq->addr, rq->addr + rq->len))
    return rq->addr;
  at = region_find_room(as, rq->len, vm_mmap_min, as->mmap_top);
  return at ? at : region_find_room(as, rq->len, as->mmap_top, USER_TOP);
}

static int
map_decode(const struct map_request *rq)
{
  bool exact = rq->how == MAP_EXACT || rq->how == MAP_EXACT_EMPTY;

  if(rq->len == 0 || !page_aligned(rq->len) || !page_aligned(rq->addr))
    return -EINVAL;
  if((rq->flags & REGION_GROWSDOWN) && (rq->obj || (rq->flags & REGION_SHARED)))
    return -EINVAL;
  if(rq->len > USER_TOP - vm_mmap_min || (exact && rq->addr > USER_TOP - rq->len))
    return -ENOMEM;
  return exact && rq->addr < vm_mmap_min ? -EPERM : 0;
}

// Pages of [lo, hi) that are mapped now.
static uint64_t
pages_mapped(struct aspace *as, vaddr_t lo, vaddr_t hi)
{
  uint64_t n = 0;

  for(struct region *r = region_find_from(as, lo); r && r->start < hi; r = region_next(r))
    n += (min(hi, r->end) - max(lo, r->start)) >> PAGE_SHIFT;
  return n;
}

// Where, and may it be? The last step that can fail, but for a sealed region that would be replaced.
static int
map_place(struct aspace *as, const struct map_request *rq, vaddr_t *at) REQUIRES(as->lock)
{
  uint64_t pages = rq->len >> PAGE_SHIFT, over = 0;
  bool exact = rq->how == MAP_EXACT || rq->how == MAP_EXACT_EMPTY;

  *at = exact ? rq->addr : map_room(as, rq);
  if(*at == 0)
    return -ENOMEM;
  if(rq->how == MAP_EXACT_EMPTY && !region_range_free(as, *at, *at + rq->len))
    return -EEXIST;
  if(rq->how == MAP_EXACT)
    over = pages_mapped(as, *at, *at + rq->len);
  if(as->nregions >= vm_max_map_count)
    return -ENOMEM;
  return aspace_room(as, pages - min(over, pages), rq->prot, rq->flags);
}

static void
map_fill_in(struct region *r, const struct map_request *rq, vaddr_t at)
{
  struct region like = {
      .start = at,
      .end = at + rq->len,
      .pgoff = rq->obj ? rq->pgoff : at >> PAGE_SHIFT,
      .obj = rq->obj,
      .prot = rq->prot,
      .maxprot = rq->maxprot,
      .flags = rq->flags,
      .tag = rq->tag,
  };

  region_dup(r, &like);
}

static int
map_locked(struct aspace *as, const struct map_request *rq, struct region *spare[SPARES], struct list *gone,
           vaddr_t *at) REQUIRES(as->lock)
{
  struct region *r;
  int err = map_place(as, rq, at);

  if(err == 0 && rq->how == MAP_EXACT)
    err = aspace_unmap_locked(as, *at, *at + rq->len, spare, gone);
  if(err)
    return err;

  r = spare[SPARE_NEW];
  spare[SPARE_NEW] = 0;
  map_fill_in(r, rq, *at);
  region_insert(as, r);
  region_merge(as, r);
  return 0;
}

int
aspace_map(struct aspace *as, const struct map_request *request, vaddr_t *at)
{
  struct region *spare[SPARES] = {0};
  struct list gone = LIST_INIT(gone);
  struct map_request rq = *request;
  int r = map_decode(&rq);

  if(r == 0)
    r = regions_reserve(spare, SPARES);
  if(r)
    return r;

  rw_write(&as->lock);
  rq.flags |= as->map_flags | (region_commits(rq.prot, rq.flags) ? REGION_ACCOUNT : 0);
  r = map_locked(as, &rq, spare, &gone, at);
  rw_write_release(&as->lock);
  regions_release(&gone);
  regions_unreserve(spare, SPARES);
  trace(MMAP, r ? rq.addr : *at, rq.len, r);
  return r;
}

// ---- protect

// Take from the entries of [lo, hi) what `prot` does not allow. Untouched memory costs nothing. Needs as.lock for
// writing.
static void
protect_entries(struct aspace *as, vaddr_t lo, vaddr_t hi, int prot, struct shootdown *sd)
{
  int keep = prot == PROT_N ? PROT_N : prot | PROT_R; // what can be mapped at all can be read

  while((lo = pmap_next(as->pmap, lo, hi)) < hi) {
    vaddr_t end = min(hi, stretch_end(lo));
    struct spinlock *lock = aspace_slot_lock(as, lo);

    spin_acquire(lock);
    pmap_narrow(sd, lo, end, keep);
    spin_release(lock);
    thread_relax();
    lo = end;
  }
}

// The part of r in [lo, hi) becomes `prot`. At most two regions more, from spare.
static int
protect_region(struct aspace *as, struct region *r, vaddr_t lo, vaddr_t hi, int prot, struct region *spare[2])
{
  uint64_t pages = (hi - lo) >> PAGE_SHIFT;
  int more = (r->start < lo) + (hi < r->end);
  bool promise = false;

  if(prot & ~r->maxprot)
    return -EACCES;
  if(as->nregions + more > vm_max_map_count)
    return -ENOMEM;
  if((prot & PROT_W) && !(r->prot & PROT_W) && region_commits(prot, r->flags)) {
    if(as->data_pages + pages > as->limit.data >> PAGE_SHIFT)
      return -ENOMEM;
    promise = !(r->flags & REGION_ACCOUNT);
    if(promise && !commit_allows(as, pages))
      return -ENOMEM;
  }

  regions_split_at(as, lo, spare);
  regions_split_at(as, hi, spare);
  r = region_find(as, lo);
  region_account(as, r, -1);
  r->prot = prot;
  r->flags |= promise ? REGION_ACCOUNT : 0;
  region_account(as, r, 1);
  as->seq++;
  return 0;
}

struct copies { // where a change of rights makes them due: [lo, hi)
  vaddr_t lo, hi;
};

// Private memory that is locked and present: no store into it may have to wait for a copy.
static bool
keeps_copies(int flags)
{
  return (flags & (REGION_LOCKED | REGION_ONFAULT | REGION_SHARED)) == REGION_LOCKED;
}

// *copies: from the first to the last such memory that became writable.
static int
protect_locked(struct aspace *as, vaddr_t lo, vaddr_t hi, int prot, struct region *spare[2], struct copies *copies)
{
  struct region *r;
  struct shootdown sd;
  vaddr_t at = lo, end;
  int err = regions_sealed(as, lo, hi) ? -EPERM : 0;

  shootdown_begin(&sd, as->pmap);
  for(; at < hi && err == 0; at = err ? at : end) {
    r = region_find(as, at);
    end = r ? min(hi, r->end) : hi;
    if(r == 0)
      err = -ENOMEM;
    else if(r->prot != prot) {
      bool due = keeps_copies(r->flags) && (prot & ~r->prot & PROT_W);

      err = protect_region(as, r, at, end, prot, spare);
      if(err == 0 && due)
        *copies = (struct copies){copies->hi ? copies->lo : at, end};
    }
    if(err == 0)
      protect_entries(as, at, end, prot, &sd);
  }
  shootdown_finish(&sd); // before anything merges or returns: no CPU uses the old rights any more
  regions_merge(as, lo, at);
  return err;
}

// The copies that stores into locked memory will need, as Linux makes them; what cannot be had now comes with a fault.
static void
protect_populate(struct aspace *as, vaddr_t lo, vaddr_t hi)
{
  struct aspace_part part;
  int hole = 0;

  for(; lo < hi && aspace_part(as, lo, hi, &part, &hole); lo = part.hi) {
    aspace_part_put(&part);
    if((part.prot & PROT_W) && keeps_copies(part.flags))
      aspace_populate(as, part.lo, part.hi, PROT_W);
  }
}

int
aspace_protect(struct aspace *as, vaddr_t lo, vaddr_t hi, int prot, bool growsdown)
{
  struct region *spare[2] = {0}, *r;
  struct copies copies = {0};
  int err;

  if(!page_aligned(lo) || !page_aligned(hi) || lo > hi)
    return -EINVAL;
  if(lo == hi)
    return 0;

  err = regions_reserve(spare, 2);
  if(err)
    return err;

  rw_write(&as->lock);
  if(growsdown) { // PROT_GROWSDOWN: from the start of the stack that begins below `hi`
    r = region_find_from(as, lo);
    err = r == 0 || r->start >= hi ? -ENOMEM : r->flags & REGION_GROWSDOWN ? 0 : -EINVAL;
    if(err == 0)
      lo = r->start;
  }
  if(err == 0)
    err = protect_locked(as, lo, hi, prot, spare, &copies);
  rw_write_release(&as->lock);
  regions_unreserve(spare, 2);
  protect_populate(as, copies.lo, copies.hi);
  return err;
}

// ---- brk

// [lo, hi) becomes heap. false: it may not.
static bool
brk_grow(struct aspace *as, vaddr_t lo, vaddr_t hi, struct region *spare[SPARES]) REQUIRES(as->lock)
{
  struct map_request rq = {
      .addr = lo,
      .len = hi - lo,
      .prot = PROT_R | PROT_W,
      .maxprot = PROT_R | PROT_W | PROT_X,
      .flags = REGION_HEAP | as->map_flags | REGION_ACCOUNT,
  };
  struct region *r = spare[SPARE_NEW];

  if(hi > USER_TOP || hi - as->brk_start > as->limit.data || !region_fits(as, lo, hi))
    return false;
  if(as->nregions >= vm_max_map_count || aspace_room(as, rq.len >> PAGE_SHIFT, rq.prot, rq.flags) != 0)
    return false;
  spare[SPARE_NEW] = 0;
  map_fill_in(r, &rq, lo);
  region_insert(as, r);
  region_merge(as, r);
  return true;
}

vaddr_t
aspace_brk(struct aspace *as, vaddr_t want)
{
  struct region *spare[SPARES] = {0};
  struct list gone = LIST_INIT(gone);
  vaddr_t old, now, lo = 0, hi = 0;
  bool ok = regions_reserve(spare, SPARES) == 0;

  rw_write(&as->lock);
  now = as->brk;
  old = page_up(as->brk);
  if(ok && want >= as->brk_start && want <= USER_TOP) {
    lo = old;
    hi = page_up(want);
    if(hi < lo)
      ok = aspace_unmap_locked(as, hi, lo, spare, &gone) == 0;
    else if(hi > lo)
      ok = brk_grow(as, lo, hi, spare);
    if(ok)
      now = as->brk = want;
  }
  ok = ok && hi > lo && (as->map_flags & (REGION_LOCKED | REGION_ONFAULT)) == REGION_LOCKED;
  rw_write_release(&as->lock);
  regions_release(&gone);
  regions_unreserve(spare, SPARES);
  if(ok)
    aspace_populate(as, lo, hi, PROT_N);
  return now;
}

bool
aspace_range_free(struct aspace *as, vaddr_t lo, vaddr_t hi)
{
  bool free_;

  rw_read(&as->lock);
  free_ = region_range_free(as, lo, hi);
  rw_read_release(&as->lock);
  return free_;
}

// ---- populate

// The access that makes a page of r present for good: with `want` PROT_N a store where stores would copy.
static int
populate_access(const struct region *r, int want)
{
  if(want != PROT_N)
    return want;
  return (r->prot & PROT_W) && !(r->flags & REGION_SHARED) ? PROT_W : PROT_R;
}

// Is va present for `want` already? Also how far [va, hi) is of the same region, and what access to ask for.
static int
populate_look(struct aspace *as, vaddr_t va, int *want, bool *there)
{
  struct spinlock *lock = aspace_slot_lock(as, va);
  struct region *r;
  int have = 0;

  rw_read(&as->lock);
  r = region_find(as, va);
  if(r) {
    *want = populate_access(r, *want);
    spin_acquire(lock);
    *there = pmap_peek(as->pmap, va, &have, 0) && (have & *want);
    spin_release(lock);
  }
  rw_read_release(&as->lock);
  return r ? 0 : -ENOMEM;
}

int
aspace_populate(struct aspace *as, vaddr_t lo, vaddr_t hi, int want)
{
  int r = 0;

  for(vaddr_t va = lo; va < hi && r == 0; va += PAGE_SIZE) {
    int access = want;
    bool there = false;

    r = populate_look(as, va, &access, &there);
    if(r == 0 && !there)
      r = fault(as, va, access, 0);
    if(r == 0 && thread_interrupted(WAIT_KILLABLE))
      r = -EINTR;
    thread_relax();
  }
  return r;
}
