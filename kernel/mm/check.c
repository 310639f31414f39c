// check.c -- the invariants I1 to I5 of one address space or object, asserted. For debug builds and the host tests.
// An address space is looked at with as.lock held for writing: no fault, no change of regions. Objects go on changing
// meanwhile, but what an entry says about its page holds under the slot lock at any moment.
// Changes nothing. Must not be called where the locks it takes are held.
#include "core/print.h"
#include "lib/atomic.h"
#include "mm/mm.h"

struct totals {
  uint64_t regions, pages, data, locked, stack, slots;
};

static void
check_gaps(struct region *r, vaddr_t base)
{
  uint64_t guard = r->flags & REGION_GROWSDOWN ? STACK_GUARD : 0, free = r->start - base, most;

  if(r->gap != (free > guard ? free - guard : 0))
    panic("region [%#lx,%#lx) says that %lu bytes before it are free", r->start, r->end, r->gap);
  most = r->gap;
  for(int side = 0; side < 2; side++) {
    struct rbnode *n = side ? r->node.right : r->node.left;

    if(n)
      most = max(most, container_of(n, struct region, node)->maxgap);
  }
  if(r->maxgap != most)
    panic("region [%#lx,%#lx) says maxgap %lu, and it is %lu", r->start, r->end, r->maxgap, most);
}

// A region is on its object's list while it is in the tree; one without an object on none.
static void
check_mapper(struct region *r)
{
  bool listed;

  region_maplock(r);
  listed = !list_empty(&r->mapper);
  region_mapunlock(r);
  if(listed != (r->obj != 0))
    panic("region [%#lx,%#lx) of object %p is%s on a list of mappers", r->start, r->end, r->obj, listed ? "" : " not");
}

static void
check_region(struct aspace *as, struct region *r, struct totals *t)
{
  uint64_t pages = (r->end - r->start) >> PAGE_SHIFT;

  if(r->as != as || r->start >= r->end || r->end > USER_TOP || !page_aligned(r->start | r->end))
    panic("region %p of space %p: [%#lx,%#lx) of %p", r, as, r->start, r->end, r->as);
  if((r->flags & REGION_SHARED) && r->obj == 0)
    panic("region [%#lx,%#lx) is shared and has no object", r->start, r->end);
  check_mapper(r);
  t->regions++;
  t->pages += pages;
  if((r->prot & PROT_W) && !(r->flags & (REGION_SHARED | REGION_GROWSDOWN)))
    t->data += pages;
  t->locked += r->flags & REGION_LOCKED ? pages : 0;
  t->stack += r->flags & REGION_GROWSDOWN ? pages : 0;
}

static void
check_tree(struct aspace *as, struct totals *t)
{
  vaddr_t base = 0;

  for(struct region *r = region_find_from(as, 0); r; r = region_next(r)) {
    if(r->start < base)
      panic("regions overlap at %#lx", r->start);
    check_region(as, r, t);
    check_gaps(r, base);
    base = r->end;
  }
  if(t->regions != as->nregions || t->pages != as->total_pages || t->data != as->data_pages)
    panic("space %p counts %lu regions, %lu pages, %lu data: found %lu, %lu, %lu", as, as->nregions, as->total_pages,
          as->data_pages, t->regions, t->pages, t->data);
  if(t->locked != as->locked_pages || t->stack != as->stack_pages)
    panic("space %p counts %lu locked, %lu stack: found %lu, %lu", as, as->locked_pages, as->stack_pages, t->locked,
          t->stack);
}

static void
check_slots(struct aspace *as, struct totals *t)
{
  for(vaddr_t va = 0; (va = anon_next(as, va, USER_TOP)) < USER_TOP; va += PAGE_SIZE) {
    struct spinlock *lock = aspace_slot_lock(as, va);
    struct region *r = region_find(as, va);
    struct page *pg;

    spin_acquire(lock);
    pg = anon_get(as, va); // a truncate may have emptied it since
    if(pg && (r == 0 || (r->flags & REGION_SHARED)))
      panic("I1: slot %#lx holds page %p where no private region is", va, pg);
    if(pg && (pg->obj != 0 || atomic_get(&pg->ref) < 1))
      panic("I1: slot %#lx: page %p is of object %p, ref %d", va, pg, pg->obj, pg->ref);
    spin_release(lock);
    t->slots += pg != 0;
  }
}

// An entry of an object's page: I1, I2 and the witness.
static void
check_object_entry(struct region *r, vaddr_t va, struct page *pg, int prot, bool dirty)
{
  struct mobj *obj = r->obj;
  uint64_t idx = region_index(r, va);
  struct page *cached;
  bool cut;

  spin_acquire(&obj->lock);
  cached = (struct page *)radix_get(&obj->pages, idx);
  cut = idx >= pages_of(obj->size) || (obj->cutlo <= idx && idx < obj->cuthi);
  if(cached != pg && !(cut && pg->obj == 0)) // out of the cache, and its walk has not come here yet
    panic("I1: entry %#lx is page %p, object %p has %p at %lu", va, pg, obj, cached, idx);
  if((prot & PROT_W) && !cut && (!(r->flags & REGION_SHARED) || !page_test(pg, PAGE_DIRTY)))
    panic("I2: entry %#lx is writable: region flags %#x, page flags %#x", va, r->flags, pg->flags);
  if(dirty && !cut && !page_test(pg, PAGE_DIRTY))
    panic("I2: entry %#lx has the dirty bit, its page %p has not: flags %#x", va, pg, pg->flags);
  spin_release(&obj->lock);
}

static void
check_entry(struct aspace *as, struct region *r, vaddr_t va)
{
  struct page *pg, *slot;
  bool dirty = false;
  int prot = 0;

  pg = pmap_peek(as->pmap, va, &prot, &dirty);
  slot = anon_get(as, va);
  if(pg == 0)
    return;
  if(r == 0 || r->prot == PROT_N || (prot & ~(r->prot | PROT_R)))
    panic("I1: entry %#lx of page %p allows %d, region %d", va, pg, prot, r ? r->prot : -1);
  if(atomic_get(&pg->ref) < 1)
    panic("I5: entry %#lx is page %p, which is free", va, pg);
  if(slot) {
    if(pg != slot)
      panic("I1: entry %#lx is page %p, its slot holds %p", va, pg, slot);
    if(page_test(pg, PAGE_BUSY))
      panic("I2: entry %#lx is page %p, which is BUSY", va, pg);
    if((prot & PROT_W) && anon_is_clean(as, va))
      panic("entry %#lx of page %p is writable, and its first store is waited for", va, pg);
  } else if(r->obj) {
    check_object_entry(r, va, pg, prot, dirty);
  } else if(pg != zero_page || (prot & PROT_W) || dirty) {
    panic("I1: entry %#lx is page %p rights %d, where zeros should be", va, pg, prot);
  }
}

static void
check_entries(struct aspace *as)
{
  for(vaddr_t va = 0; (va = pmap_next(as->pmap, va, USER_TOP)) < USER_TOP; va += PAGE_SIZE) {
    struct spinlock *lock = aspace_slot_lock(as, va);

    spin_acquire(lock);
    check_entry(as, region_find(as, va), va);
    spin_release(lock);
  }
}

void
aspace_check(struct aspace *as)
{
  struct totals t = {0};
  uint64_t nanon;

  rw_write(&as->lock);
  nanon = atomic_get(&as->nanon);
  check_tree(as, &t);
  check_slots(as, &t);
  if(t.slots > nanon) // fewer while a truncate drops copies
    panic("space %p counts %lu anonymous pages, found %lu", as, nanon, t.slots);
  check_entries(as);
  rw_write_release(&as->lock);
}

static void
check_cached(struct mobj *obj, uint64_t idx, struct page *pg)
{
  if(pg->obj != obj || pg->idx != idx)
    panic("I4: page %p says (%p,%lu), cache says (%p,%lu)", pg, pg->obj, pg->idx, obj, idx);
  if(atomic_get(&pg->ref) < 1)
    panic("I4: page %p of (%p,%lu) is cached and free", pg, obj, idx);
  if(page_test(pg, PAGE_DIRTY) && !page_test(pg, PAGE_BACKED))
    panic("I3: page %p of (%p,%lu) is dirty and has no block: flags %#x", pg, obj, idx, pg->flags);
  if(obj->ops->flush && page_test(pg, PAGE_DIRTY) && !radix_tagged(&obj->pages, idx))
    panic("I8: page %p of (%p,%lu) is dirty and not tagged", pg, obj, idx);
  if(obj->ops->fill == shm_fill && page_test(pg, PAGE_BACKED)) // may have been set aside behind the end
    return;
  if(idx >= pages_of(obj->size) && !(obj->cutlo <= idx && idx < obj->cuthi))
    panic("I4: page %p at %lu lies behind the end %lu of object %p", pg, idx, obj->size, obj);
}

// What is tagged is dirty or being written, and nothing else is.
static void
check_tags(struct mobj *obj) REQUIRES(obj->lock)
{
  uint64_t idx = 0, n = 0;
  uintptr_t word;

  if(obj->ops->flush == 0)
    return;
  for(; radix_next_tagged(&obj->pages, &idx, UINT64_MAX, &word); idx++, n++)
    if(!page_test((struct page *)word, PAGE_DIRTY | PAGE_BUSY))
      panic("I8: page %p of (%p,%lu) is tagged and clean", (void *)word, obj, idx);
  if(n != atomic_get(&obj->ndirty))
    panic("I8: object %p counts %lu dirty pages, found %lu", obj, obj->ndirty, n);
}

void
mobj_check(struct mobj *obj)
{
  uint64_t idx = 0, n = 0;
  uintptr_t word;

  sleep_acquire(&obj->maplock);
  list_for_each(it, &obj->mappers) {
    struct region *r = list_entry(it, struct region, mapper);

    if(r->obj != obj)
      panic("region [%#lx,%#lx) of object %p is a mapper of %p", r->start, r->end, r->obj, obj);
  }
  sleep_release(&obj->maplock);
  spin_acquire(&obj->lock);
  for(; radix_next(&obj->pages, &idx, UINT64_MAX, &word); idx++, n++)
    check_cached(obj, idx, (struct page *)word);
  check_tags(obj);
  if(n != obj->npages)
    panic("I4: object %p counts %lu pages, found %lu", obj, obj->npages, n);
  spin_release(&obj->lock);
}

#ifdef DEBUG
uint64_t check_every;

// The first object of as at or behind *va, referenced; *va moves behind its region. 0: there is none.
static struct mobj *
next_object(struct aspace *as, vaddr_t *va)
{
  struct mobj *obj = 0;
  struct region *r;

  rw_read(&as->lock);
  for(r = region_find_from(as, *va); r && r->obj == 0; r = region_next(r))
    ;
  if(r) {
    obj = mobj_get(r->obj);
    *va = r->end;
  }
  rw_read_release(&as->lock);
  return obj;
}

void
check_now_and_then(struct aspace *as)
{
  enum { PAGES_PER_CALL = 4 };    // a large space is looked at less often, or looking would be all that is done
  static uint64_t calls, due = 1; // (a)
  uint64_t now = atomic_add(&calls, 1), was = atomic_get(&due);
  struct mobj *obj;
  vaddr_t va = 0;

  if(check_every == 0 || now < was || !atomic_cas(&due, &was, now + check_every + aspace_rss(as) / PAGES_PER_CALL))
    return;
  aspace_check(as);
  while((obj = next_object(as, &va)) != 0) {
    mobj_check(obj);
    mobj_put(obj);
  }
}
#endif
