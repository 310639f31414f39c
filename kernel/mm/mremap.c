// mremap.c -- grow, shrink and move a mapping. Moving takes slot words from the old addresses to the new ones and
// copies no page; entries are rebuilt by faults. While a region that maps an object moves, obj->maplock is held from
// the first slot to the change of its bounds: who walks the mappers finds pages and bounds either all at the old place
// or all at the new. The nodes for the new place are made before anything is changed, so a move cannot fail half-way.
// as.lock is held for writing throughout, so nothing can be entered at the new place before every CPU has forgotten the
// old one.
// Must not know what is mapped there.
#include "core/print.h"
#include "mm/mm.h"

enum { SPARE_SOURCE = 0, SPARE_SOURCE_END = 2, SPARE_TARGET = 4, SPARE_NEW = 6, SPARES = 7 }; // two each, and one
enum { MOVE_BATCH = 32, MOVE_TRIES = 8, MORE_REGIONS = 3 };

struct remap {
  struct aspace *as;
  vaddr_t old, at; // from, to
  uint64_t old_len, new_len;
  int flags;
  vaddr_t fixed;
  struct region *spare[SPARES];
  struct list gone;
  struct spare nodes;
  bool hungry; // -ENOMEM because of the nodes: worth waiting for memory
  bool locked; // the new part has to be made resident
};

static int
remap_decode(const struct remap *m)
{
  bool fixed = m->flags & REMAP_FIXED, to = m->flags & (REMAP_FIXED | REMAP_DONTUNMAP); // these name an address

  if(m->flags & ~(REMAP_MAYMOVE | REMAP_FIXED | REMAP_DONTUNMAP))
    return -EINVAL;
  if((m->flags & (REMAP_FIXED | REMAP_DONTUNMAP)) && !(m->flags & REMAP_MAYMOVE))
    return -EINVAL;
  if((m->flags & REMAP_DONTUNMAP) && m->old_len != m->new_len)
    return -EINVAL;
  if(!page_aligned(m->old) || m->new_len == 0 || !page_aligned(m->new_len) || !page_aligned(m->old_len))
    return -EINVAL;
  if(m->new_len > USER_TOP - vm_mmap_min || (to && (!page_aligned(m->fixed) || m->fixed > USER_TOP - m->new_len)))
    return to ? -EINVAL : -ENOMEM;
  if(m->old >= USER_TOP || m->old_len > USER_TOP - m->old)
    return -EFAULT;
  if(to && m->fixed < m->old + m->old_len && m->old < m->fixed + m->new_len)
    return -EINVAL;
  return fixed && m->fixed < vm_mmap_min ? -EPERM : 0;
}

// ---- moving

// Make the nodes for every page that will move. false: no memory, and nothing has changed.
static bool
move_reserve(struct remap *m) REQUIRES(m->as->lock)
{
  vaddr_t va = m->old, end = m->old + min(m->old_len, m->new_len);

  for(; (va = anon_next(m->as, va, end)) < end; va += PAGE_SIZE) {
    if(!anon_reserve(m->as, m->at + (va - m->old), &m->nodes)) {
      if(region_range_free(m->as, m->at, m->at + m->new_len)) // else a walker may be in these nodes: they stay
        anon_prune(m->as, m->at, m->at + m->new_len);
      m->hungry = true;
      return false;
    }
    thread_relax();
  }
  return true;
}

// Take up to MOVE_BATCH pages, and the entries, out of [lo, hi), one stretch at most: the first address not done.
static vaddr_t
move_take(struct aspace *as, vaddr_t lo, vaddr_t hi, struct shootdown *sd, struct page **pg, vaddr_t *from)
{
  struct spinlock *lock = aspace_slot_lock(as, lo);
  vaddr_t va = lo;
  int n = 0;

  spin_acquire(lock);
  for(; n < MOVE_BATCH && (va = anon_next(as, va, hi)) < hi; va += PAGE_SIZE) {
    from[n] = va;
    pg[n++] = anon_take(as, va);
  }
  pmap_remove(sd, lo, va);
  spin_release(lock);
  if(n < MOVE_BATCH)
    pg[n] = 0;
  return va;
}

static void
move_slots(struct remap *m, struct shootdown *sd)
{
  struct page *pg[MOVE_BATCH];
  vaddr_t from[MOVE_BATCH], va = m->old, end = m->old + m->old_len, to;
  struct spinlock *lock;

  while((va = aspace_next(m->as, va, end)) < end) {
    va = move_take(m->as, va, min(end, stretch_end(va)), sd, pg, from);
    for(int i = 0; i < MOVE_BATCH && pg[i]; i++) {
      to = m->at + (from[i] - m->old);
      lock = aspace_slot_lock(m->as, to);
      spin_acquire(lock);
      if(!anon_set(m->as, to, pg[i], &m->nodes))
        panic("slot %#lx: too few nodes reserved", to);
      spin_release(lock);
    }
    thread_relax();
  }
}

// MREMAP_DONTUNMAP: a region like the moved one, empty, stays at the old place.
static void
move_leave_behind(struct remap *m, const struct region *moved, uint64_t pgoff, int flags)
{
  struct region *r = m->spare[SPARE_NEW];

  m->spare[SPARE_NEW] = 0;
  region_dup(r, moved);
  r->start = m->old;
  r->end = m->old + m->old_len;
  r->pgoff = pgoff;
  r->flags = flags & ~(REGION_LOCKED | REGION_ONFAULT | REGION_CLEAN);
  region_insert(m->as, r);
}

// r is exactly [old, old + old_len), the target is free, the nodes are there: cannot fail.
static void
move_region(struct remap *m, struct region *r) REQUIRES(m->as->lock)
{
  uint64_t pgoff = r->pgoff;
  int flags = r->flags;
  struct shootdown sd;

  region_maplock(r);
  shootdown_begin(&sd, m->as->pmap);
  move_slots(m, &sd);
  shootdown_finish(&sd);
  region_unlink(m->as, r);
  r->start = m->at;
  r->end = m->at + m->new_len;
  r->flags &= ~(REGION_HEAP | REGION_CLEAN);
  region_link(m->as, r);
  region_mapunlock(r);
  if(m->flags & REMAP_DONTUNMAP)
    move_leave_behind(m, r, pgoff, flags);
  else
    aspace_prune(m->as, m->old, m->old + m->old_len);
  regions_merge(m->as, m->old, m->old + m->old_len);
  regions_merge(m->as, m->at, m->at + m->new_len);
}

// ---- deciding

// With DONTUNMAP the new address is asked for, and taken if nothing is there.
static bool
remap_hint(const struct remap *m)
{
  return (m->flags & REMAP_DONTUNMAP) && m->fixed >= vm_mmap_min && region_fits(m->as, m->fixed, m->fixed + m->new_len);
}

static int
remap_place(struct remap *m)
{
  struct aspace *as = m->as;

  if(!(m->flags & REMAP_MAYMOVE))
    return -ENOMEM;
  if(as->nregions + MORE_REGIONS > vm_max_map_count)
    return -ENOMEM;
  if(m->flags & REMAP_FIXED || remap_hint(m))
    m->at = m->fixed;
  else
    m->at = region_find_room(as, m->new_len, vm_mmap_min, as->mmap_top);
  if(m->at == 0)
    return -ENOMEM;
  return regions_sealed(as, m->at, m->at + m->new_len) ? -EPERM : 0;
}

// old_len 0: a second mapping of the same shared pages.
static int
remap_double(struct remap *m, struct region *r) REQUIRES(m->as->lock)
{
  struct region *copy = m->spare[SPARE_NEW];
  int err = r->flags & REGION_SHARED ? aspace_room(m->as, m->new_len >> PAGE_SHIFT, r->prot, r->flags) : -EINVAL;

  if(err == 0)
    err = remap_place(m);
  if(err)
    return err;

  m->spare[SPARE_NEW] = 0;
  region_dup(copy, r);
  copy->start = m->at;
  copy->end = m->at + m->new_len;
  copy->pgoff = region_index(r, m->old);
  if(aspace_cut(m->as, m->at, m->at + m->new_len, m->spare + SPARE_TARGET, &m->gone))
    aspace_prune(m->as, m->at, m->at + m->new_len);
  region_insert(m->as, copy);
  region_merge(m->as, copy);
  return 0;
}

static int
remap_move(struct remap *m) REQUIRES(m->as->lock)
{
  struct aspace *as = m->as;
  int err = remap_place(m);

  if(err == 0 && (m->flags & REMAP_DONTUNMAP)) {
    struct region *r = region_find(as, m->old);

    err = aspace_room(m->as, m->old_len >> PAGE_SHIFT, r->prot, r->flags & ~REGION_LOCKED);
  }
  if(err == 0 && !move_reserve(m))
    err = -ENOMEM;
  if(err)
    return err;

  aspace_cut(m->as, m->at, m->at + m->new_len, m->spare + SPARE_TARGET, &m->gone); // not pruned: the nodes are for us
  if(m->old_len > m->new_len) {
    aspace_cut(m->as, m->old + m->new_len, m->old + m->old_len, m->spare + SPARE_SOURCE_END, &m->gone);
    m->old_len = m->new_len;
  }
  regions_split_at(as, m->old, m->spare + SPARE_SOURCE);
  regions_split_at(as, m->old + m->old_len, m->spare + SPARE_SOURCE);
  move_region(m, region_find(as, m->old));
  return 0;
}

// The mapping becomes larger, or moves. What moves has to be one region; what is only cut off behind it need not be.
static int
remap_grow(struct remap *m, struct region *r) REQUIRES(m->as->lock)
{
  uint64_t more = m->new_len > m->old_len ? m->new_len - m->old_len : 0;
  vaddr_t end = m->old + m->new_len;
  int err;

  if(min(m->old_len, m->new_len) > r->end - m->old)
    return -EFAULT;
  if(region_index(r, m->old) + (m->new_len >> PAGE_SHIFT) < region_index(r, m->old))
    return -EINVAL;
  err = more ? aspace_room(m->as, more >> PAGE_SHIFT, r->prot, r->flags) : 0;
  if(err)
    return err;
  m->locked = more && (r->flags & (REGION_LOCKED | REGION_ONFAULT)) == REGION_LOCKED;
  if(m->flags & (REMAP_FIXED | REMAP_DONTUNMAP))
    return remap_move(m);
  if(m->old + m->old_len == r->end && end <= USER_TOP && region_range_free(m->as, r->end, end)) {
    region_resize(m->as, r, r->start, end);
    region_merge(m->as, r);
    m->at = m->old;
    return 0;
  }
  return remap_move(m);
}

static int
remap_locked(struct remap *m) REQUIRES(m->as->lock)
{
  struct region *r = region_find(m->as, m->old);

  if(r == 0)
    return -EFAULT;
  if(regions_sealed(m->as, m->old, m->old + max(m->old_len, PAGE_SIZE)))
    return -EPERM;
  if(m->old_len == 0)
    return remap_double(m, r);
  if(m->new_len <= m->old_len && !(m->flags & (REMAP_FIXED | REMAP_DONTUNMAP))) {
    m->at = m->old;
    if(m->new_len == m->old_len)
      return 0;
    return aspace_unmap_locked(m->as, m->old + m->new_len, m->old + m->old_len, m->spare + SPARE_SOURCE, &m->gone);
  }
  return remap_grow(m, r);
}

static int
remap_try(struct remap *m)
{
  int r = regions_reserve(m->spare, SPARES);

  if(r)
    return r;

  m->hungry = m->locked = false;
  rw_write(&m->as->lock);
  r = remap_locked(m);
  rw_write_release(&m->as->lock);
  regions_release(&m->gone);
  regions_unreserve(m->spare, SPARES);
  spare_put(&m->nodes);
  return r;
}

// Linux's mremap. *at: where it is now. -EINVAL, -EFAULT (not one mapping), -ENOMEM, -EAGAIN (limit.memlock), -EPERM.
int
aspace_remap(struct aspace *as, vaddr_t old, uint64_t old_len, uint64_t new_len, int flags, vaddr_t fixed, vaddr_t *at)
{
  struct remap m = {.as = as, .old = old, .old_len = old_len, .new_len = new_len, .flags = flags, .fixed = fixed};
  int r = remap_decode(&m), tries = 0;

  if(r)
    return r;
  list_init(&m.gone);
  do {
    r = remap_try(&m);
  } while(r == -ENOMEM && m.hungry && ++tries < MOVE_TRIES && frame_wait() == 0);
  if(r == 0) {
    *at = m.at;
    if(m.locked)
      aspace_populate(as, m.at + old_len, m.at + new_len, PROT_N); // what cannot be had now comes with a fault
  }
  return r;
}
