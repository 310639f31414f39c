// region.c -- arithmetic on regions: a tree by address that knows the largest gap below each node; find, split, merge,
// cut.
// Typical: region_find_room / region_link + region_attach / region_merge to map; regions_cut / (translations go) /
// regions_detach / unlock / regions_release to unmap. Needs as.lock, for writing where it changes something; what a
// walker of obj->mappers reads (bounds, pgoff, the list) changes under obj->maplock too. Allocates nothing under a
// lock. Must not know pages, slots or page tables.
#include "core/print.h"
#include "lib/atomic.h"
#include "mm/mm.h"

enum { RESERVE_TRIES = 8 }; // memory that comes back may be taken by others; then give up

const struct region_tag_ops *region_tags;
static struct kmem_cache *region_cache;

static inline struct region *
region_of(struct rbnode *n)
{
  return n ? container_of(n, struct region, node) : 0;
}

static inline vaddr_t
maxgap(struct rbnode *n)
{
  return n ? region_of(n)->maxgap : 0;
}

static void
region_augment(struct rbnode *n)
{
  struct region *r = region_of(n);

  r->maxgap = max(r->gap, max(maxgap(n->left), maxgap(n->right)));
}

void
region_setup(void)
{
  region_cache = KMEM_CACHE(struct region);
}

void
regions_init(struct aspace *as)
{
  as->regions = (struct rbtree){.augment = region_augment};
}

struct region *
region_alloc(void)
{
  struct region *r = kmem_alloc(region_cache);

  if(r) {
    list_init(&r->mapper);
    list_init(&r->gone);
  }
  return r;
}

void
region_free(struct region *r)
{
  if(r)
    kmem_free(region_cache, r);
}

// Fill spare[0..n) where it is 0, waiting for memory if need be. Holds nothing. 0, -ENOMEM, -EINTR; then none is left.
int
regions_reserve(struct region **spare, int n)
{
  int r = 0, have = 0;

  for(int tries = 0; r == 0 && tries < RESERVE_TRIES; tries++) {
    for(; have < n; have++)
      if(spare[have] == 0 && (spare[have] = region_alloc()) == 0)
        break;
    if(have == n)
      return 0;
    r = frame_wait();
  }
  regions_unreserve(spare, n);
  return r ? r : -ENOMEM;
}

void
regions_unreserve(struct region **spare, int n)
{
  for(int i = 0; i < n; i++) {
    region_free(spare[i]);
    spare[i] = 0;
  }
}

// ---- look-up

struct region *
region_find_from(struct aspace *as, vaddr_t lo)
{
  struct rbnode *n = as->regions.root;
  struct region *best = 0;

  assert_held(&as->lock);
  while(n) {
    struct region *r = region_of(n);

    if(r->end > lo) {
      best = r;
      if(r->start <= lo)
        break;
      n = n->left;
    } else {
      n = n->right;
    }
  }
  return best;
}

struct region *
region_find(struct aspace *as, vaddr_t va)
{
  struct region *r = atomic_get_relaxed(&as->hint);

  if(r && r->start <= va && va < r->end)
    return r;
  r = region_find_from(as, va);
  if(r == 0 || r->start > va)
    return 0;
  __atomic_store_n(&as->hint, r, __ATOMIC_RELAXED); // several readers may: any of their answers is as good
  return r;
}

struct region *
region_next(struct region *r)
{
  return region_of(rb_next(&r->node));
}

struct region *
region_prev(struct region *r)
{
  return region_of(rb_prev(&r->node));
}

struct region *
region_last(struct aspace *as)
{
  return region_of(rb_last(&as->regions));
}

bool
region_range_free(struct aspace *as, vaddr_t lo, vaddr_t hi)
{
  struct region *r = region_find_from(as, lo);

  return r == 0 || r->start >= hi;
}

// Is [lo, hi) free, and not in the guard gap of a stack above?
bool
region_fits(struct aspace *as, vaddr_t lo, vaddr_t hi)
{
  struct region *next = region_find_from(as, lo);
  uint64_t guard;

  if(next == 0)
    return true;
  guard = next->flags & REGION_GROWSDOWN ? STACK_GUARD : 0;
  return hi <= next->start && next->start - hi >= guard;
}

bool
regions_sealed(struct aspace *as, vaddr_t lo, vaddr_t hi)
{
  for(struct region *r = region_find_from(as, lo); r && r->start < hi; r = region_next(r))
    if(r->flags & REGION_SEALED)
      return true;
  return false;
}

vaddr_t
regions_end(struct aspace *as, vaddr_t lo, vaddr_t hi)
{
  struct region *r = region_find_from(as, lo);

  for(; r && r->start <= lo && lo < hi; r = region_next(r))
    lo = r->end;
  return min(lo, hi);
}

static vaddr_t
gap_base(struct region *r) // where the free bytes before r begin
{
  struct region *prev = region_prev(r);

  return prev ? prev->end : 0;
}

// The highest region in the subtree n whose gap is at least len; there is one.
static struct region *
gap_last(struct rbnode *n, uint64_t len)
{
  for(;;) {
    if(maxgap(n->right) >= len)
      n = n->right;
    else if(region_of(n)->gap >= len)
      return region_of(n);
    else
      n = n->left;
  }
}

// The next region below r whose gap is at least len, or 0.
static struct region *
gap_before(struct region *r, uint64_t len)
{
  struct rbnode *n = &r->node, *up;

  if(maxgap(n->left) >= len)
    return gap_last(n->left, len);
  for(; (up = n->up) != 0; n = up) {
    if(n == up->left)
      continue;
    if(region_of(up)->gap >= len)
      return region_of(up);
    if(maxgap(up->left) >= len)
      return gap_last(up->left, len);
  }
  return 0;
}

static vaddr_t
room_at_top(vaddr_t base, vaddr_t top, uint64_t len, vaddr_t lo, vaddr_t hi)
{
  base = max(base, lo);
  top = min(top, hi);
  return top >= base && top - base >= len ? top - len : 0;
}

// Only the first gap looked at can be cut short by hi, and after one cut short by lo there is none: a few steps.
vaddr_t
region_find_room(struct aspace *as, uint64_t len, vaddr_t lo, vaddr_t hi)
{
  struct region *r;
  vaddr_t at;

  if(lo >= hi || len > hi - lo)
    return 0;
  r = region_find_from(as, hi - 1);
  if(r == 0) {
    r = region_last(as);
    at = room_at_top(r ? r->end : 0, hi, len, lo, hi);
    if(at || r == 0)
      return at;
  }
  for(; r && r->start > lo; r = gap_before(r, len)) {
    vaddr_t base = gap_base(r);

    at = room_at_top(base, base + r->gap, len, lo, hi);
    if(at)
      return at;
  }
  return 0;
}

// ---- the tree and the totals

static bool
region_is_data(int prot, int flags)
{
  return (prot & PROT_W) && !(flags & (REGION_SHARED | REGION_GROWSDOWN));
}

bool
region_commits(int prot, int flags)
{
  bool free_ = (flags & REGION_NORESERVE) && atomic_get_relaxed(&vm_overcommit) != OVERCOMMIT_NEVER;

  return (prot & PROT_W) && !(flags & REGION_SHARED) && !free_;
}

// Count r in (sign 1) or out (sign -1) of the totals of its space: around every change of bounds, prot or flags.
void
region_account(struct aspace *as, struct region *r, int sign)
{
  uint64_t n = (r->end - r->start) >> PAGE_SHIFT, pages = sign < 0 ? -n : n;

  as->total_pages += pages;
  if(region_is_data(r->prot, r->flags))
    as->data_pages += pages;
  if(r->flags & REGION_LOCKED)
    as->locked_pages += pages;
  if(r->flags & REGION_GROWSDOWN)
    as->stack_pages += pages;
  if(r->flags & REGION_ACCOUNT)
    commit_add(pages);
  if(as->total_pages > as->peak_pages)
    as->peak_pages = as->total_pages;
}

// The free bytes before r have changed. A stack keeps its guard gap to itself.
static void
region_regap(struct aspace *as, struct region *r)
{
  uint64_t guard, free;

  if(r == 0)
    return;
  guard = r->flags & REGION_GROWSDOWN ? STACK_GUARD : 0;
  free = r->start - gap_base(r);
  r->gap = free > guard ? free - guard : 0;
  rb_changed(&as->regions, &r->node);
}

static void
tree_insert(struct aspace *as, struct region *r)
{
  struct rbnode **at = &as->regions.root, *up = 0;

  while(*at) {
    up = *at;
    if(r->start < region_of(up)->end && region_of(up)->start < r->end)
      panic("region [%#lx,%#lx) overlaps [%#lx,%#lx)", r->start, r->end, region_of(up)->start, region_of(up)->end);
    at = r->start < region_of(up)->start ? &up->left : &up->right;
  }
  r->gap = 0;
  rb_insert(&as->regions, &r->node, up, at);
  region_regap(as, r);
  region_regap(as, region_next(r));
  as->nregions++;
  as->seq++;
}

static void
tree_remove(struct aspace *as, struct region *r)
{
  struct region *next = region_next(r);

  rb_remove(&as->regions, &r->node);
  region_regap(as, next);
  if(as->hint == r)
    as->hint = 0;
  as->nregions--;
  as->seq++;
}

// Put r into as, which owns it from now on; not yet on obj->mappers.
void
region_link(struct aspace *as, struct region *r)
{
  assert_held(&as->lock);
  r->as = as;
  tree_insert(as, r);
  region_account(as, r, 1);
}

// Take r out of the tree and the totals; it stays on obj->mappers.
void
region_unlink(struct aspace *as, struct region *r)
{
  assert_held(&as->lock);
  region_account(as, r, -1);
  tree_remove(as, r);
}

static int
region_may_write(const struct region *r) // counted in obj->shared_writable
{
  return (r->flags & REGION_SHARED) && (r->maxprot & PROT_W);
}

static void
mapper_add(struct region *r, struct list *behind)
{
  list_add(behind, &r->mapper);
  r->obj->shared_writable += region_may_write(r);
}

static void
mapper_del(struct region *r)
{
  list_del(&r->mapper);
  r->obj->shared_writable -= region_may_write(r);
}

// Put r on obj->mappers: right behind `behind`, or last if that is 0.
void
region_attach(struct region *r, struct region *behind)
{
  struct mobj *obj = r->obj;

  if(obj == 0)
    return;
  sleep_acquire(&obj->maplock);
  mapper_add(r, behind ? &behind->mapper : obj->mappers.prev);
  sleep_release(&obj->maplock);
}

void
region_insert(struct aspace *as, struct region *r)
{
  region_link(as, r);
  region_attach(r, 0);
}

// A region like `from`, with references of its own, in no tree and on no list.
void
region_dup(struct region *to, const struct region *from)
{
  to->start = from->start; // not the whole: its list nodes belong to others' locks
  to->end = from->end;
  to->pgoff = from->pgoff;
  to->obj = from->obj;
  to->as = from->as;
  to->prot = from->prot;
  to->maxprot = from->maxprot;
  to->flags = from->flags;
  to->tag = from->tag;
  if(to->obj)
    mobj_get(to->obj);
  if(to->tag)
    to->tag = region_tags->get(to->tag);
}

// obj->maplock of a region that has an object; nothing for one that has none.
void
region_maplock(struct region *r) UNCHECKED // conditional
{
  if(r->obj)
    sleep_acquire(&r->obj->maplock);
}

void
region_mapunlock(struct region *r) UNCHECKED // conditional
{
  if(r->obj)
    sleep_release(&r->obj->maplock);
}

// New bounds for r, which may reach into free space but keeps its place in the order. Needs as.lock for writing.
void
region_resize(struct aspace *as, struct region *r, vaddr_t start, vaddr_t end)
{
  assert_held(&as->lock);
  region_account(as, r, -1);
  region_maplock(r);
  if(start < r->start || end > r->end)
    r->flags &= ~REGION_CLEAN; // the new part is new
  r->pgoff += (int64_t)(start - r->start) >> PAGE_SHIFT;
  r->start = start;
  r->end = end;
  region_mapunlock(r);
  region_account(as, r, 1);
  region_regap(as, r);
  region_regap(as, region_next(r));
  as->seq++;
}

// ---- split, merge, cut

void
region_split(struct aspace *as, struct region *r, vaddr_t at, struct region *spare)
{
  assert_held(&as->lock);
  assert(r->start < at && at < r->end && page_aligned(at));
  region_dup(spare, r);
  spare->start = at;
  spare->pgoff = region_index(r, at);
  region_maplock(r);
  r->end = at;
  if(r->obj)
    mapper_add(spare, &r->mapper);
  region_mapunlock(r);
  tree_insert(as, spare);
}

static bool
region_joins(const struct region *a, const struct region *b)
{
  if(a == 0 || b == 0 || a->end != b->start || a->obj != b->obj || a->tag != b->tag)
    return false;
  if(a->prot != b->prot || a->maxprot != b->maxprot || a->flags != b->flags)
    return false;
  return a->obj == 0 || region_index(a, a->end) == b->pgoff;
}

// b becomes part of a. The references that b gives up are never the last ones: a has the same.
static void
region_join(struct aspace *as, struct region *a, struct region *b)
{
  tree_remove(as, b);
  region_maplock(a);
  a->end = b->end;
  if(a->obj)
    mapper_del(b);
  region_mapunlock(a);
  if(b->obj)
    mobj_put(b->obj);
  region_regap(as, region_next(a));
  if(b->tag)
    region_tags->put(b->tag);
  region_free(b);
}

struct region *
region_merge(struct aspace *as, struct region *r)
{
  struct region *prev = region_prev(r), *next = region_next(r);

  assert_held(&as->lock);
  if(region_joins(r, next))
    region_join(as, r, next);
  if(region_joins(prev, r)) {
    region_join(as, prev, r);
    r = prev;
  }
  return r;
}

// Merge whatever in [lo, hi), the neighbours included, could be one region.
void
regions_merge(struct aspace *as, vaddr_t lo, vaddr_t hi)
{
  struct region *r = region_find_from(as, lo ? lo - 1 : 0), *next;

  for(; r && r->start <= hi; r = next) {
    next = region_next(r);
    if(region_joins(r, next)) {
      region_join(as, r, next);
      next = r;
    }
  }
}

static struct region *
spare_region(struct region *spare[2])
{
  struct region *r = spare[0] ? spare[0] : spare[1];

  spare[spare[0] ? 0 : 1] = 0;
  if(r == 0)
    panic("no spare region where one was reserved");
  return r;
}

// Split so that no region crosses `at`.
void
regions_split_at(struct aspace *as, vaddr_t at, struct region *spare[2])
{
  struct region *r = region_find_from(as, at);

  if(r && r->start < at)
    region_split(as, r, at, spare_region(spare));
}

void
regions_cut(struct aspace *as, vaddr_t lo, vaddr_t hi, struct region *spare[2], struct list *gone)
{
  struct region *r, *next;

  regions_split_at(as, lo, spare);
  regions_split_at(as, hi, spare);
  for(r = region_find_from(as, lo); r && r->start < hi; r = next) {
    next = region_next(r);
    region_unlink(as, r);
    list_add_tail(gone, &r->gone);
  }
}

void
regions_detach(struct list *gone)
{
  list_for_each(it, gone) {
    struct region *r = list_entry(it, struct region, gone);

    if(r->obj) {
      sleep_acquire(&r->obj->maplock);
      mapper_del(r);
      sleep_release(&r->obj->maplock);
    }
  }
}

void
regions_release(struct list *gone)
{
  list_for_each_safe(it, gone) {
    struct region *r = list_entry(it, struct region, gone);

    list_del(&r->gone);
    if(r->obj)
      mobj_put(r->obj);
    if(r->tag)
      region_tags->put(r->tag);
    region_free(r);
  }
}
