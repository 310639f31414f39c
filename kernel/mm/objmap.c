// objmap.c -- memory objects and those who map them: every walk over obj->mappers, and the two operations that need
// one to the end, truncate and punch.
//
// A region is on the list from before its first entry until after the finish of its last, so a walker finds every
// entry there is. Where a region has no slot of its own at an address, an entry there is one of the object's pages.
// A walker calls shootdown_finish for every address space that it looked into, also where it changed nothing:
// someone else's change may not have been finished yet (I5).
//
// Typical: mobj_narrow before a flush / mobj_unmap after pages left the cache, before their frames are freed.
// Knows no aspace but through its slot locks and slots; never takes as.lock.
#include "core/print.h"
#include "lib/atomic.h"
#include "lib/string.h"
#include "mm/mm.h"

// The part of r that shows object pages [lo, hi), as addresses [*a, *b); false if there is none.
static bool
region_shows(const struct region *r, uint64_t lo, uint64_t hi, vaddr_t *a, vaddr_t *b)
{
  uint64_t first = r->pgoff, last = first + ((r->end - r->start) >> PAGE_SHIFT);

  lo = max(lo, first);
  hi = min(hi, last);
  if(lo >= hi)
    return false;
  *a = r->start + ((lo - first) << PAGE_SHIFT);
  *b = r->start + ((hi - first) << PAGE_SHIFT);
  return true;
}

// One stretch at most: the first address not done (sd is full then: finish and go on there).
static vaddr_t
stretch_unmap(struct region *r, vaddr_t lo, vaddr_t hi, bool copies, struct shootdown *sd)
{
  struct spinlock *l = aspace_slot_lock(r->as, lo);
  bool shared = r->flags & REGION_SHARED;

  spin_acquire(l);
  if(copies && !shared)
    hi = anon_drop(r->as, lo, hi,
                   sd); // first: an entry may only go with its slot, or a fault could fill in before the finish
  if(shared || copies)
    pmap_remove(sd, lo, hi);
  else
    for(vaddr_t va = lo; va < hi; va += PAGE_SIZE)
      if(anon_get(r->as, va) == 0)
        pmap_remove(sd, va, va + PAGE_SIZE);
  spin_release(l);
  return hi;
}

// held: obj->maplock
static void
mappers_unmap(struct mobj *obj, uint64_t lo, uint64_t hi, bool copies)
{
  struct shootdown sd;
  vaddr_t va, end;

  list_for_each(it, &obj->mappers) {
    struct region *r = list_entry(it, struct region, mapper);

    if(!region_shows(r, lo, hi, &va, &end))
      continue;
    shootdown_begin(&sd, r->as->pmap);
    while(va < end) {
      va = stretch_unmap(r, va, min(stretch_end(va), end), copies, &sd);
      if(shootdown_full(&sd))
        shootdown_finish(&sd);
      thread_relax();
    }
    shootdown_finish(&sd);
  }
}

void
mobj_unmap(struct mobj *obj, uint64_t lo, uint64_t hi, bool copies)
{
  sleep_acquire(&obj->maplock);
  mappers_unmap(obj, lo, hi, copies);
  sleep_release(&obj->maplock);
}

// held: obj->maplock. Did a program touch one of the object's pages [lo, hi) since last asked? Forgets it.
static bool
mappers_used(struct mobj *obj, uint64_t lo, uint64_t hi)
{
  struct spinlock *l;
  bool used = false;
  vaddr_t va, end;

  list_for_each(it, &obj->mappers) {
    struct region *r = list_entry(it, struct region, mapper);

    if(!region_shows(r, lo, hi, &va, &end))
      continue;
    for(; va < end; va += PAGE_SIZE) {
      l = aspace_slot_lock(r->as, va);
      spin_acquire(l);
      if(r->flags & REGION_SHARED || anon_get(r->as, va) == 0)
        used |= pmap_used(r->as->pmap, va);
      spin_release(l);
    }
  }
  return used;
}

bool
mobj_unmap_idle(struct mobj *obj, uint64_t lo, uint64_t hi)
{
  bool used;

  if(!sleep_try(&obj->maplock))
    return false;
  used = mappers_used(obj, lo, hi);
  if(!used)
    mappers_unmap(obj, lo, hi, false);
  sleep_release(&obj->maplock);
  return !used;
}

// The page at idx if it is there, clean and was to be had BUSY; referenced.
static struct page *
page_out_take(struct mobj *obj, uint64_t *idx, uint64_t hi)
{
  struct page *pg = 0;
  uintptr_t word;

  spin_acquire(&obj->lock);
  for(; pg == 0 && radix_next(&obj->pages, idx, hi, &word); ++*idx)
    if(!page_test((struct page *)word, PAGE_DIRTY) && page_busy_try((struct page *)word))
      pg = page_get((struct page *)word);
  spin_release(&obj->lock);
  return pg;
}

void
mobj_page_out(struct mobj *obj, uint64_t lo, uint64_t hi)
{
  struct page *pg;

  while((pg = page_out_take(obj, &lo, hi)) != 0) {
    if(mobj_unmap_idle(obj, pg->idx, pg->idx + 1))
      mobj_drop(obj, pg);
    page_busy_clear(pg);
    page_put(pg);
    thread_relax();
  }
}

void
mobj_narrow(struct mobj *obj, uint64_t lo, uint64_t hi)
{
  struct shootdown sd;
  struct spinlock *l;
  vaddr_t va, end, next;

  sleep_acquire(&obj->maplock);
  list_for_each(it, &obj->mappers) {
    struct region *r = list_entry(it, struct region, mapper);

    // A private region, and one that may never write, has no writable entry of an object page.
    if(!(r->flags & REGION_SHARED) || !(r->maxprot & PROT_W) || !region_shows(r, lo, hi, &va, &end))
      continue;
    shootdown_begin(&sd, r->as->pmap);
    for(; va < end; va = next) {
      next = min(stretch_end(va), end);
      l = aspace_slot_lock(r->as, va);
      spin_acquire(l);
      pmap_narrow(&sd, va, next, PROT_R | PROT_X);
      spin_release(l);
      thread_relax();
    }
    shootdown_finish(&sd);
  }
  sleep_release(&obj->maplock);
}

uint64_t
mobj_entered(struct mobj *obj, uint64_t idx)
{
  struct spinlock *l;
  vaddr_t va, end;
  uint64_t n = 0;

  sleep_acquire(&obj->maplock);
  list_for_each(it, &obj->mappers) {
    struct region *r = list_entry(it, struct region, mapper);

    if(!region_shows(r, idx, idx + 1, &va, &end))
      continue;
    l = aspace_slot_lock(r->as, va);
    spin_acquire(l);
    n += pmap_peek(r->as->pmap, va, 0, 0) && (r->flags & REGION_SHARED || anon_get(r->as, va) == 0);
    spin_release(l);
  }
  sleep_release(&obj->maplock);
  return n;
}

// ---- who may write through a mapping ----

int
mobj_claim_write(struct mobj *obj)
{
  int err = -EPERM;

  sleep_acquire(&obj->maplock);
  if(obj->shared_writable >= 0) {
    obj->shared_writable++;
    err = 0;
  }
  sleep_release(&obj->maplock);
  return err;
}

void
mobj_unclaim_write(struct mobj *obj)
{
  sleep_acquire(&obj->maplock);
  obj->shared_writable--;
  sleep_release(&obj->maplock);
}

int
mobj_deny_write(struct mobj *obj)
{
  int err = 0;

  sleep_acquire(&obj->maplock);
  if(obj->shared_writable > 0)
    err = -EBUSY;
  else
    obj->shared_writable = -1;
  sleep_release(&obj->maplock);
  return err;
}

// ---- cutting ----

// From now on nobody may load a page of [lo, hi). One cut at a time: waits for another's end. Also sets the size.
static void
cut_begin(struct mobj *obj, uint64_t lo, uint64_t hi, uint64_t size)
{
  for(;;) {
    spin_acquire(&obj->lock);
    if(obj->cuthi == 0) {
      obj->size = min(obj->size, size);
      atomic_set(&obj->cutlo, lo);
      atomic_set(&obj->cuthi, hi);
      spin_release(&obj->lock);
      return;
    }
    spin_release(&obj->lock);
    wait_event(&obj->cut, atomic_get(&obj->cuthi) == 0, WAIT_ALWAYS, NEVER);
  }
}

static void
cut_end(struct mobj *obj)
{
  spin_acquire(&obj->lock);
  atomic_set(&obj->cuthi, 0);
  atomic_set(&obj->cutlo, 0);
  spin_release(&obj->lock);
  waitq_wake(&obj->cut);
}

// The first page in [*idx, hi), referenced and BUSY; 0 at the end.
static struct page *
cut_next(struct mobj *obj, uint64_t *idx, uint64_t hi)
{
  struct page *pg;
  uintptr_t word;

  for(;;) {
    spin_acquire(&obj->lock);
    pg = radix_next(&obj->pages, idx, hi, &word) ? page_get((struct page *)word) : 0;
    spin_release(&obj->lock);
    if(pg == 0)
      return 0;
    page_busy_wait(pg);
    if(pg->obj == obj)
      return pg;
    page_busy_clear(pg); // someone else took it out
    page_put(pg);
  }
}

// Take every page of [lo, hi) out of the cache, each when it is not BUSY, and chain them: the cache's references.
static void
cut_pages(struct mobj *obj, uint64_t lo, uint64_t hi, struct list *chain)
{
  struct page *pg;

  for(; (pg = cut_next(obj, &lo, hi)) != 0; lo++) {
    spin_acquire(&obj->lock);
    list_add_tail(chain, &mobj_take(obj, lo)->lru);
    spin_release(&obj->lock);
    page_busy_clear(pg);
    page_put(pg);
    thread_relax();
  }
}

static void
chain_put(struct list *chain)
{
  struct page *pg;

  while(!list_empty(chain)) {
    pg = list_entry(chain->next, struct page, lru);
    list_del(&pg->lru);
    page_put(pg);
    thread_relax();
  }
}

// Free the tree's nodes that hold nothing between lo and hi.
static void
cut_nodes(struct mobj *obj, uint64_t lo, uint64_t hi)
{
  uint64_t mask = (1ull << RADIX_STRETCH_BITS) - 1;
  struct radix_node *node;

  hi = hi > UINT64_MAX - mask ? UINT64_MAX : (hi + mask) & ~mask;
  do {
    spin_acquire(&obj->lock);
    node = radix_prune(&obj->pages, lo & ~mask, hi);
    spin_release(&obj->lock);
    if(node)
      radix_node_free(node);
  } while(node);
}

// Out of the cache first, out of the mappings second, and only then may the frames go.
static void
cut_do(struct mobj *obj, uint64_t lo, uint64_t hi, bool copies)
{
  struct list chain = LIST_INIT(chain);

  if(lo >= hi)
    return;
  cut_pages(obj, lo, hi, &chain);
  mobj_unmap(obj, lo, hi, copies);
  chain_put(&chain);
  cut_nodes(obj, lo, hi);
}

static bool
all_zero(const unsigned char *p, size_t n)
{
  while(n > 0 && *p == 0)
    p++, n--;
  return n == 0;
}

void
mobj_zero(struct mobj *obj, uint64_t lo, uint64_t hi)
{
  struct page *pg;
  unsigned char *p;

  spin_acquire(&obj->lock);
  pg = (struct page *)radix_get(&obj->pages, lo >> PAGE_SHIFT);
  if(pg)
    page_get(pg);
  spin_release(&obj->lock);
  if(pg == 0)
    return;
  page_busy_wait(pg);
  p = (unsigned char *)page_va(pg) + (lo & (PAGE_SIZE - 1));
  if(pg->obj == obj && page_test(pg, PAGE_UPTODATE) && !all_zero(p, hi - lo)) {
    memset(p, 0, hi - lo);
    if(page_test(pg, PAGE_BACKED))
      mobj_dirty(obj, pg);
  }
  page_busy_clear(pg);
  page_put(pg);
}

// What a program stored behind the end of the file, in its last page, must never show.
static void
tail_zero(struct mobj *obj, uint64_t size)
{
  if(!page_aligned(size))
    mobj_zero(obj, size, page_up(size));
}

void
mobj_truncate(struct mobj *obj, uint64_t size)
{
  bool reserves = obj->ops->fill == shm_fill;
  uint64_t old, end;

  spin_acquire(&obj->lock);
  old = obj->size;
  spin_release(&obj->lock);
  if(size > old || (size == old && !reserves)) {
    tail_zero(obj, old);
    spin_acquire(&obj->lock);
    obj->size = size;
    spin_release(&obj->lock);
    return;
  }
  // Nothing was ever entered behind the old size, so the walk ends there, but for pages that were set aside.
  end = reserves ? UINT64_MAX >> PAGE_SHIFT : pages_of(old);
  cut_begin(obj, pages_of(size), end, size);
  tail_zero(obj, size);
  cut_do(obj, pages_of(size), end, true);
  cut_end(obj);
}

void
mobj_punch_begin(struct mobj *obj, uint64_t lo, uint64_t hi)
{
  if(lo >= hi)
    panic("punch of nothing: object %p [%lu,%lu)", obj, lo, hi);
  cut_begin(obj, lo, hi, UINT64_MAX);
  cut_do(obj, lo, hi, false);
}

void
mobj_punch_end(struct mobj *obj)
{
  cut_end(obj);
}

void
mobj_punch(struct mobj *obj, uint64_t lo, uint64_t hi)
{
  if(lo >= hi)
    return;
  mobj_punch_begin(obj, lo, hi);
  mobj_punch_end(obj);
}

void
mobj_destroy(struct mobj *obj)
{
  struct list chain = LIST_INIT(chain);

  if(!list_empty(&obj->mappers))
    panic("object %p (%s) destroyed while it is mapped", obj, obj->ops->name);
  cut_pages(obj, 0, UINT64_MAX, &chain);
  chain_put(&chain);
  cut_nodes(obj, 0, UINT64_MAX);
  commit_add(-(int64_t)obj->promised);
  if(obj->npages != 0 || obj->ndirty != 0)
    panic("object %p (%s) destroyed: %lu pages, %lu dirty", obj, obj->ops->name, obj->npages, obj->ndirty);
}
