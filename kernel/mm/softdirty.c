// softdirty.c -- which pages of a program were stored to since it was last asked, and which were touched.
//
// A slot has a mark, SLOT_CLEAN, "not stored to since"; the entries of marked slots may not be written, so the first store
// is a fault, which takes the mark away. The mark goes with the slot's word: a new page has none, fork hands it on. A
// region has REGION_CLEAN, for its pages without a slot. Pages of shared regions have no slots: there the entry says whether
// the right to write was ever given, and when reclaim takes a file's page away that is forgotten, as in Linux.
// Touched is what the page tables' own marks say, and only a hint.
// Typical: aspace_soft_clear / the program runs / aspace_page_state of each page.
#include "lib/atomic.h"
#include "mm/mm.h"

// Mark the filled slots of [lo, hi), and take the right to write from the entries.
static void
soft_clear_range(struct aspace *as, vaddr_t lo, vaddr_t hi, struct shootdown *sd)
{
  for(; (lo = aspace_next(as, lo, hi)) < hi; lo = stretch_end(lo)) {
    vaddr_t end = min(hi, stretch_end(lo));
    struct spinlock *lock = aspace_slot_lock(as, lo);

    spin_acquire(lock);
    anon_mark_clean(as, lo, end);
    pmap_forget_stores(sd, lo, end);
    spin_release(lock);
    thread_relax();
  }
}

void
aspace_soft_clear(struct aspace *as)
{
  struct shootdown sd;

  rw_write(&as->lock);
  shootdown_begin(&sd, as->pmap);
  for(struct region *r = region_find_from(as, 0); r; r = region_next(r)) {
    r->flags |= REGION_CLEAN;
    soft_clear_range(as, r->start, r->end, &sd);
  }
  shootdown_finish(&sd); // no CPU stores through an old translation any more
  regions_merge(as, 0, USER_TOP);
  as->seq++;
  rw_write_release(&as->lock);
}

void
aspace_forget_use(struct aspace *as, vaddr_t lo, vaddr_t hi, enum use_of which)
{
  struct spinlock *lock;
  struct region *r;
  vaddr_t end;

  for(rw_read(&as->lock); (lo = pmap_next(as->pmap, lo, hi)) < hi; lo = end) {
    end = min(hi, stretch_end(lo));
    lock = aspace_slot_lock(as, lo);
    spin_acquire(lock);
    for(; lo < end; lo += PAGE_SIZE) {
      r = region_find(as, lo);
      if(which == USE_OF_ALL || (r && (r->obj != 0) == (which == USE_OF_OBJECTS)))
        pmap_used(as->pmap, lo);
    }
    spin_release(lock);
    thread_relax();
  }
  rw_read_release(&as->lock);
}

// The page at va of r, as the program has it: its slot's, or the one that is entered.
static struct page *
state_page(struct aspace *as, struct region *r, vaddr_t va, struct page_state *st)
{
  struct spinlock *lock = aspace_slot_lock(as, va);
  struct page *pg;

  spin_acquire(lock);
  pg = anon_get(as, va);
  st->anon = pg != 0;
  st->soft_dirty = pg ? !anon_is_clean(as, va) : !(r->flags & REGION_CLEAN) || pmap_stored(as->pmap, va);
  if(pg == 0)
    pg = pmap_peek(as->pmap, va, 0, 0);
  st->used = pmap_young(as->pmap, va);
  if(pg)
    page_get(pg);
  spin_release(lock);
  return pg;
}

void
aspace_page_state(struct aspace *as, struct region *r, vaddr_t va, struct page_state *st)
{
  struct page *pg;

  *st = (struct page_state){0};
  pg = state_page(as, r, va, st);
  if(pg == 0)
    return;
  st->present = true;
  st->number = page_pa(pg) >> PAGE_SHIFT;
  st->zero = pg == zero_page;
  st->dirty = st->anon || page_test(pg, PAGE_DIRTY);
  if(st->anon)
    st->sharers = atomic_get(&pg->ref) - 1; // without ours
  else if(r->obj)
    st->sharers = mobj_entered(r->obj, region_index(r, va));
  page_put(pg);
}
