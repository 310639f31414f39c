// fault.c -- resolve one page fault: locate, upper layer (the slot), lower layer (the object or zeros), wait.
//
//              slot holds a page                slot empty, object behind          slot empty, no object
//   read       enter it (rw if only ours)       enter the object's page, ro        enter the zero page, ro
//   write      only ours: enter rw              shared: makewrite, DIRTY, rw       new zeroed page -> slot, rw
//              else copy -> slot, old page out  private: copy -> slot, rw
//
// Whatever has to be waited for is waited for with nothing held, and then the fault starts over: there is no code that
// resumes. What was waited for stays in the faultctx until the end, so that two faults cannot take it from each other.
//
// An entry is replaced by another page only while the page that comes is BUSY in its slot, from the removal until every
// CPU has forgotten the old one: nobody enters a BUSY page. A page of an object is looked up and entered in one section
// of the slot lock: truncate, flush and reclaim first change the page (out of the cache, or BUSY) and then take the
// slot lock to unmap it, so they find what was entered.
//
// Must not know stores, page tables or processes.
#include "core/print.h"
#include "core/trace.h"
#include "lib/atomic.h"
#include "mm/mm.h"

enum fault_why { WAIT_NOTHING, WAIT_GROWTH, WAIT_MEMORY, WAIT_PAGE, WAIT_LOAD, WAIT_BALANCE, WAIT_MAKEWRITE };
static const uint64_t AROUND = 1ull << 16; // bytes, aligned, of which a fault also enters what is ready

struct faultctx {
  struct aspace *as;
  vaddr_t va;            // page aligned
  int want;              // PROT_R, PROT_W or PROT_X
  struct region *region; // while as.lock is held
  struct spinlock *lock; // of va's stretch
  struct page *slot;     // while the slot lock is held: the page in the slot, or 0
  enum fault_why why;    // what fault_wait has to wait for
  struct mobj *obj;      // WAIT_LOAD and the following: referenced
  uint64_t idx;          // in obj
  struct page *page;     // waited for; referenced
  bool random;           // WAIT_LOAD: nothing need be read ahead (MADV_RANDOM)
  bool balanced;         // has paused already, if too much is dirty
  bool zeroed;           // spare.frame is all zeros
  bool major;            // the disk was waited for
  struct spare spare;
};

struct fault_stats fault_stats;

static inline void
count(uint64_t *n)
{
  __atomic_fetch_add(n, 1, __ATOMIC_RELAXED);
}

// ---- leaving the locked part

// Both locks go. held: nothing
static int
fault_unlock(struct faultctx *f, int r) UNCHECKED // taken in fault_locate
{
  spin_release(f->lock);
  rw_read_release(&f->as->lock);
  return r;
}

static void
fault_forget(struct faultctx *f)
{
  if(f->page)
    page_put(f->page);
  f->page = 0;
}

// Give up the locks and say what to wait for. Takes over the reference on `pg` (may be 0); gets one on the object.
static int
fault_later(struct faultctx *f, enum fault_why why, struct page *pg)
{
  f->why = why;
  if(pg) {
    fault_forget(f);
    f->page = pg;
  }
  if(why >= WAIT_LOAD) {
    f->obj = mobj_get(f->region->obj);
    f->random = f->region->flags & REGION_RAND;
  }
  return fault_unlock(f, FAULT_RETRY);
}

// ---- entering pages

// Entry rights for a page that may not be written in place: what can be mapped at all can be read.
static inline int
rights(const struct region *r)
{
  return PROT_R | (r->prot & PROT_X);
}

// Of the page in the slot at va: no right to write while somebody waits for the first store (softdirty.c).
static inline int
rights_slot(const struct faultctx *f, vaddr_t va, struct page *pg)
{
  bool in_place = (f->region->prot & PROT_W) && anon_exclusive(pg) && !anon_is_clean(f->as, va);

  return rights(f->region) | (in_place ? PROT_W : 0);
}

// I2: a writable entry of an object's page stands only in a shared region, and only while the page is DIRTY. While somebody
// waits for the first store, only a store makes it.
static inline int
rights_object(const struct region *r, struct page *pg, int want)
{
  bool in_place = (r->flags & REGION_SHARED) && page_test(pg, PAGE_DIRTY);

  if((r->flags & REGION_CLEAN) && !(want & PROT_W))
    in_place = false;
  return rights(r) | (in_place ? r->prot & PROT_W : 0);
}

// The object's page at idx if it can be entered at once, else 0. Needs obj->lock.
static struct page *
fault_ready(struct mobj *obj, uint64_t idx)
{
  struct page *pg = (struct page *)radix_get(&obj->pages, idx);

  if(idx >= pages_of(obj->size)) // shm_reserve puts pages there
    return 0;
  return pg && page_test(pg, PAGE_BUSY | PAGE_UPTODATE) == PAGE_UPTODATE ? pg : 0;
}

// Enter pg at va, or widen the entry of it that is there, if that gives the program anything.
static void
fault_offer(struct pmap *pm, vaddr_t va, struct page *pg, int prot)
{
  int have = 0;

  pmap_peek(pm, va, &have, 0);
  if((have | prot) != have)
    pmap_enter(pm, va, pg, prot);
}

// Enter the neighbours in the same aligned 64 KiB that are ready: one fault instead of sixteen for a program's text,
// for a child after fork, for pages moved by mremap. Waits for nothing, makes nothing. Needs the slot lock.
static void
fault_around(struct faultctx *f) UNCHECKED // obj->lock only if there is an object
{
  struct region *r = f->region;
  vaddr_t va = max(r->start, f->va & ~(AROUND - 1)), hi = min(r->end, (f->va & ~(AROUND - 1)) + AROUND);
  struct mobj *obj = r->obj;
  struct page *pg;

  if(r->flags & REGION_RAND)
    return;
  if(obj)
    spin_acquire(&obj->lock);
  for(; va < hi; va += PAGE_SIZE) {
    pg = anon_get(f->as, va);
    if(pg && !page_test(pg, PAGE_BUSY))
      fault_offer(f->as->pmap, va, pg, rights_slot(f, va, pg));
    else if(pg == 0 && obj && (pg = fault_ready(obj, region_index(r, va))) != 0)
      fault_offer(f->as->pmap, va, pg, rights_object(r, pg, PROT_R));
  }
  if(obj)
    spin_release(&obj->lock);
}

// The old entry at va may still be in use on other CPUs: take it out, and enter `pg`, which is in the slot already,
// only when all have forgotten it. Meanwhile `pg` is BUSY, and as.lock keeps everybody out who needs it for writing;
// truncate does not, and may empty the slot. `old` (may be 0) is put after the finish.
static int
fault_swap(struct faultctx *f, struct page *pg, struct page *old) UNCHECKED // lets the slot lock go in between
{
  struct shootdown sd;

  if(!page_busy_try(pg))
    panic("new page %p of %#lx is busy", pg, f->va);
  page_get(pg);
  shootdown_begin(&sd, f->as->pmap);
  pmap_remove(&sd, f->va, f->va + PAGE_SIZE);
  if(old)
    shootdown_defer(&sd, old);
  spin_release(f->lock);
  shootdown_finish(&sd);
  spin_acquire(f->lock);
  if(anon_get(f->as, f->va) == pg)
    pmap_enter(f->as->pmap, f->va, pg, rights(f->region) | PROT_W);
  page_busy_clear(pg);
  page_put(pg);
  return fault_unlock(f, 0);
}

// Make `pg`, a page nobody else knows, the slot's page, in place of what is there, and enter it for writing.
static int
fault_fill(struct faultctx *f, struct page *pg)
{
  struct pmap *pm = f->as->pmap;
  struct page *old = f->slot;

  if(old)
    anon_replace(f->as, f->va, pg);
  else if(!anon_set(f->as, f->va, pg, &f->spare))
    panic("slot %#lx: too few nodes reserved", f->va);
  if(pmap_peek(pm, f->va, 0, 0) == 0) // no CPU holds a translation: who removes one keeps the page BUSY, or as.lock
    pmap_enter(pm, f->va, pg, rights(f->region) | PROT_W);
  else if(!pmap_try_replace(pm, f->va, pg, rights(f->region) | PROT_W))
    return fault_swap(f, pg, old);
  if(old)
    page_put(old);
  return fault_unlock(f, 0);
}

// A copy of `from` becomes the slot's page. The slot lock keeps `from` alive and, as nobody can write to it, still.
static int
fault_copy(struct faultctx *f, struct page *from)
{
  struct page *to;

  if(!spare_try(&f->spare, 1, 0, 0))
    return fault_later(f, WAIT_MEMORY, 0);
  to = spare_take_frame(&f->spare);
  page_copy(to, from);
  count(&fault_stats.cow);
  return fault_fill(f, to);
}

// ---- the two layers. held on entry: as.lock(r), slot lock; on return: nothing

static int
fault_upper(struct faultctx *f)
{
  struct page *pg = f->slot;
  int have = 0;

  if(page_test(pg, PAGE_BUSY))
    return fault_later(f, WAIT_PAGE, page_get(pg));
  if((f->want & PROT_W) && !anon_exclusive(pg)) {
    pmap_peek(f->as->pmap, f->va, &have, 0);
    if(have & PROT_W) // exclusive when it was entered; a pin has it now, and other CPUs may be storing to it
      return fault_unlock(f, 0);
    return fault_copy(f, pg);
  }
  if(f->want & PROT_W)
    anon_touched(f->as, f->va);
  pmap_enter(f->as->pmap, f->va, pg, rights_slot(f, f->va, pg));
  fault_around(f);
  return fault_unlock(f, 0);
}

// Can the object's page be entered now, dirtied for a shared write? 0: yes, *pp. -EIO: it lies past the end. Else what
// to wait for first, and *pp (may be 0) to wait for. Needs obj->lock.
static int
fault_lookup(struct faultctx *f, struct mobj *obj, struct page **pp) REQUIRES(obj->lock)
{
  struct page *pg;

  if(f->idx >= pages_of(obj->size))
    return -EIO;
  pg = mobj_find(obj, f->idx);
  if(pg == 0 || !page_test(pg, PAGE_UPTODATE))
    return WAIT_LOAD;
  *pp = pg;
  if(page_test(pg, PAGE_BUSY))
    return WAIT_PAGE;
  if((f->want & PROT_W) && (f->region->flags & REGION_SHARED) && !page_test(pg, PAGE_DIRTY)) {
    if(!f->balanced && balance_due(obj))
      return WAIT_BALANCE;
    if(!page_test(pg, PAGE_BACKED))
      return WAIT_MAKEWRITE;
    mobj_dirty_locked(obj, pg);
  }
  return 0;
}

static int
fault_object(struct faultctx *f)
{
  struct mobj *obj = f->region->obj;
  struct page *pg = 0;
  int why;

  f->idx = region_index(f->region, f->va);
  spin_acquire(&obj->lock);
  why = fault_lookup(f, obj, &pg);
  if(why > 0 && pg)
    page_get(pg);
  spin_release(&obj->lock);
  if(why > 0)
    return fault_later(f, why, pg);
  if(why < 0)
    return fault_unlock(f, why);
  if((f->want & PROT_W) && !(f->region->flags & REGION_SHARED))
    return fault_copy(f, pg);
  count(&fault_stats.file);
  pmap_enter(f->as->pmap, f->va, pg, rights_object(f->region, pg, f->want));
  if(!(f->want & PROT_W))
    fault_around(f);
  return fault_unlock(f, 0);
}

static int
fault_lower(struct faultctx *f)
{
  struct page *pg;

  if(f->region->obj)
    return fault_object(f);
  if(!(f->want & PROT_W)) {
    pmap_enter(f->as->pmap, f->va, zero_page, rights(f->region));
    return fault_unlock(f, 0);
  }
  if(!spare_try(&f->spare, 1, 0, 0))
    return fault_later(f, WAIT_MEMORY, 0);
  pg = spare_take_frame(&f->spare);
  if(!f->zeroed)
    page_zero(pg);
  count(&fault_stats.zero);
  return fault_fill(f, pg);
}

// ---- finding the place

static bool
fault_permitted(const struct region *r, int want)
{
  return want == PROT_R ? r->prot != PROT_N : (r->prot & want) != 0;
}

// The stack that va would belong to if it grew, or 0. Needs as.lock.
static struct region *
fault_stack(struct aspace *as, vaddr_t va)
{
  struct region *r = region_find_from(as, va);

  return r && (r->flags & REGION_GROWSDOWN) && r->start > va ? r : 0;
}

// Have tables, nodes and, if it looks as if it will be needed, a zeroed frame at hand: under the slot lock nothing may
// wait, and other faults of the stretch should not wait for the zeroing. false: memory is short. Needs as.lock.
static bool
fault_prepare(struct faultctx *f)
{
  struct spare *sp = &f->spare;
  struct pmap *pm = f->as->pmap;

  if(!pmap_prepare(pm, f->va, sp) && !(spare_try(sp, 0, SPARE_TABLES, 0) && pmap_prepare(pm, f->va, sp)))
    return false;
  if(!(f->want & PROT_W) || (f->region->flags & REGION_SHARED))
    return true;
  if(!spare_try(sp, 0, 0, anon_need(f->as, f->va)))
    return false;
  if(f->region->obj || f->zeroed || anon_filled(f->as, f->va))
    return true;
  if(!spare_try(sp, 1, 0, 0))
    return false;
  page_zero(sp->frame);
  f->zeroed = true;
  return true;
}

// held on 0: as.lock(r), the slot lock; on an error: nothing
static int
fault_locate(struct faultctx *f) UNCHECKED // fault_unlock gives them back
{
  struct aspace *as = f->as;
  int r = 0;

  rw_read(&as->lock);
  f->region = region_find(as, f->va);
  f->why = WAIT_NOTHING;
  if(as->reaped)
    r = -EIO;
  else if(f->region == 0 && fault_stack(as, f->va))
    f->why = WAIT_GROWTH;
  else if(f->region == 0)
    r = -EFAULT;
  else if(!fault_permitted(f->region, f->want))
    r = -EACCES;
  else if(!fault_prepare(f))
    f->why = WAIT_MEMORY;
  if(r || f->why) {
    rw_read_release(&as->lock);
    return r ? r : FAULT_RETRY;
  }
  f->lock = aspace_slot_lock(as, f->va);
  spin_acquire(f->lock);
  f->slot = anon_get(as, f->va);
  return 0;
}

// ---- waiting. held: nothing

// Grow the stack above va down to it, within the limits, and with the guard gap to what lies below. -EFAULT: it may
// not.
static int
fault_grow(struct aspace *as, vaddr_t va)
{
  struct region *r, *below;
  int err = 0;

  rw_write(&as->lock);
  r = fault_stack(as, va);
  if(r) { // else somebody else was faster, or took it away
    below = region_prev(r);
    if(va < vm_mmap_min || r->end - va > as->limit.stack)
      err = -EFAULT;
    else if(below && below->prot != PROT_N && !(below->flags & REGION_GROWSDOWN) && va - below->end < STACK_GUARD)
      err = -EFAULT;
    else if(aspace_room(as, (r->start - va) >> PAGE_SHIFT, r->prot, r->flags) != 0)
      err = -EFAULT;
    else
      region_resize(as, r, va, r->end);
  }
  rw_write_release(&as->lock);
  return err;
}

static int
fault_load(struct faultctx *f)
{
  struct page *pg = 0;
  int r;

  if(f->random)
    r = mobj_load_only(f->obj, f->idx, &pg, &f->major);
  else
    r = mobj_load(f->obj, f->idx, &pg, &f->major);
  if(r == 0) {
    fault_forget(f);
    f->page = pg; // stays until the fault is over, so that reclaim cannot take it before it was entered
  }
  return r;
}

// Wait for what fault_later noted. FAULT_RETRY, or the error that ends the fault.
static int
fault_wait(struct faultctx *f)
{
  int r = 0;

  switch(f->why) {
  case WAIT_NOTHING: break;
  case WAIT_GROWTH: r = fault_grow(f->as, f->va); break;
  case WAIT_MEMORY:
    f->zeroed = false;
    r = spare_wait(&f->spare, 1, SPARE_TABLES, SPARE_NODES);
    break;
  case WAIT_PAGE:
    r = page_busy_gone(f->page);
    fault_forget(f); // or we would be the one because of whom the page is not exclusive
    break;
  case WAIT_LOAD: r = fault_load(f); break;
  case WAIT_BALANCE:
    f->balanced = true;
    r = mobj_balance(f->obj, 1);
    break;
  case WAIT_MAKEWRITE: r = f->obj->ops->makewrite(f->obj, f->page); break;
  }
  if(f->obj)
    mobj_put(f->obj);
  f->obj = 0;
  if(r == 0)
    return FAULT_RETRY;
  return r == -ENOMEM || r == -EINTR || r == -EFAULT ? r : -EIO;
}

// ---- the whole

int
fault(struct aspace *as, vaddr_t va, int want, bool *major)
{
  struct faultctx f = {.as = as, .va = page_down(va), .want = want};
  int r;

  if(va >= USER_TOP)
    return -EFAULT;
  do {
    r = fault_locate(&f); // held on 0: as.lock(r), the slot lock
    if(r == 0)
      r = f.slot ? fault_upper(&f) : fault_lower(&f); // held: nothing
    if(r == FAULT_RETRY)
      r = fault_wait(&f);
  } while(r == FAULT_RETRY);

  fault_forget(&f);
  spare_put(&f.spare);
  count(f.major ? &fault_stats.major : &fault_stats.minor);
  if(major)
    *major = f.major;
  trace(FAULT, va, want, r);
  return r;
}
