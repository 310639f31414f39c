// aspace.c -- address spaces: life and death, taking memory out of them, totals and limits.
// Typical: aspace_create / aspace_map ... fault ... aspace_unmap / aspace_unuse.
// Two counts: `users` are the processes that run in it, and the last of them empties it; `ref` keeps the structure, so
// that /proc may look at what is left. All users together hold one `ref`.
// Must not know processes, files or who is running.
#include "core/print.h"
#include "core/trace.h"
#include "lib/atomic.h"
#include "mm/mm.h"

enum { INDEX_BITS = 47 - PAGE_SHIFT };         // page numbers below USER_TOP
static const uint64_t PRUNE_NEAR = 1ull << 30; // what one page-table page of the second level spans
static const uint64_t PRUNE_FAR = 1ull << 39;  // and of the third

uint64_t vm_mmap_min = MMAP_MIN;
uint64_t vm_max_map_count = 65530; // as on Linux; /proc/sys/vm/max_map_count
static struct kmem_cache *aspace_cache;
static struct spinlock aslist_lock = SPINLOCK_INIT("aslist", RANK_ASLIST);
static struct list aslist = LIST_INIT(aslist); // (aslist.lock)

void
aspace_setup(void)
{
  region_setup();
  aspace_cache = KMEM_CACHE(struct aspace);
}

struct aspace *
aspace_create(void)
{
  struct aspace *as = kmem_alloc(aspace_cache);

  if(as == 0)
    return 0;
  as->pmap = pmap_create();
  if(as->pmap == 0) {
    kmem_free(aspace_cache, as);
    return 0;
  }
  rw_init(&as->lock, "aspace", RANK_ASPACE);
  for(int i = 0; i < SLOT_LOCKS; i++)
    spin_init(&as->slots[i], "slots", RANK_SLOTS);
  regions_init(as);
  radix_init_fixed(&as->anon, INDEX_BITS);
  as->mmap_top = USER_TOP;
  as->limit = (struct aspace_limits){UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
  as->ref = as->users = 1;
  spin_acquire(&aslist_lock);
  list_add_tail(&aslist, &as->all);
  spin_release(&aslist_lock);
  return as;
}

struct aspace *
aspace_use(struct aspace *as)
{
  atomic_add(&as->users, 1);
  return as;
}

struct aspace *
aspace_get(struct aspace *as)
{
  atomic_add(&as->ref, 1);
  return as;
}

void
aspace_put(struct aspace *as)
{
  bool last;

  spin_acquire(&aslist_lock); // aspace_each must not find it between its last reference and its end
  last = atomic_sub(&as->ref, 1) == 0;
  if(last)
    list_del(&as->all);
  spin_release(&aslist_lock);
  if(!last)
    return;
  pmap_destroy(as->pmap);
  kmem_free(aspace_cache, as);
}

// The space after `as` in the list of all (0: the first), with a reference; takes over the one on `as`.
struct aspace *
aspace_each(struct aspace *as)
{
  struct list *it;
  struct aspace *next = 0;

  spin_acquire(&aslist_lock);
  it = as ? as->all.next : aslist.next;
  if(it != &aslist)
    next = aspace_get(list_entry(it, struct aspace, all));
  spin_release(&aslist_lock);
  if(as)
    aspace_put(as);
  return next;
}

struct spinlock *
aspace_slot_lock(struct aspace *as, vaddr_t va)
{
  return &as->slots[(va >> STRETCH_SHIFT) % SLOT_LOCKS];
}

// The pmap does not say whether an entry is anonymous, so this is the larger of two figures that overlap: slots, and
// entries present. Exact where everything touched is entered, which is the rule.
uint64_t
aspace_rss(struct aspace *as)
{
  uint64_t nanon = atomic_get_relaxed(&as->nanon), entered = pmap_entries(as->pmap), rss = max(nanon, entered);

  if(rss > atomic_get_relaxed(&as->peak_rss))
    __atomic_store_n(&as->peak_rss, rss, __ATOMIC_RELAXED);
  return rss;
}

// May `pages` more of this kind be mapped? 0, -ENOMEM, -EAGAIN (locked memory). Needs as.lock.
int
aspace_room(struct aspace *as, uint64_t pages, int prot, int flags)
{
  bool data = (prot & PROT_W) && !(flags & (REGION_SHARED | REGION_GROWSDOWN));

  assert_held(&as->lock);
  if(as->total_pages + pages > as->limit.as >> PAGE_SHIFT)
    return -ENOMEM;
  if(data && as->data_pages + pages > as->limit.data >> PAGE_SHIFT)
    return -ENOMEM;
  if((flags & REGION_ACCOUNT || region_commits(prot, flags)) && !commit_allows(as, pages))
    return -ENOMEM;
  if((flags & REGION_LOCKED) && as->locked_pages + pages > as->limit.memlock >> PAGE_SHIFT)
    return -EAGAIN;
  return 0;
}

bool
aspace_part(struct aspace *as, vaddr_t lo, vaddr_t hi, struct aspace_part *part, int *err)
{
  struct region *r;

  rw_read(&as->lock);
  r = region_find_from(as, lo);
  if(r == 0 || r->start > lo)
    *err = *err ? *err : -ENOMEM;
  if(r && r->start >= hi)
    r = 0;
  if(r) {
    part->lo = max(lo, r->start);
    part->hi = min(hi, r->end);
    part->obj = r->obj ? mobj_get(r->obj) : 0;
    part->tag = r->tag ? region_tags->hold(r->tag) : 0;
    part->idx = region_index(r, part->lo);
    part->flags = r->flags;
    part->prot = r->prot;
    part->maxprot = r->maxprot;
  }
  rw_read_release(&as->lock);
  return r != 0;
}

void
aspace_part_put(struct aspace_part *part)
{
  if(part->obj)
    mobj_put(part->obj);
  if(part->tag)
    region_tags->drop(part->tag);
}

// ---- taking memory out

vaddr_t
aspace_next(struct aspace *as, vaddr_t va, vaddr_t hi)
{
  vaddr_t at = pmap_next(as->pmap, va, hi);

  return at > va ? anon_next(as, va, at) : at;
}

// Take pages and translations out of [lo, hi); the caller finishes sd. Needs as.lock for writing, so that nobody fills
// in behind. false: there was nothing.
bool
aspace_zap(struct aspace *as, vaddr_t lo, vaddr_t hi, struct shootdown *sd)
{
  bool found = false;

  assert_held(&as->lock);
  while((lo = aspace_next(as, lo, hi)) < hi) {
    vaddr_t end = min(hi, stretch_end(lo)), done;
    struct spinlock *lock = aspace_slot_lock(as, lo);

    spin_acquire(lock);
    done = anon_drop(as, lo, end, sd);
    pmap_remove(sd, lo, done);
    spin_release(lock);
    if(shootdown_full(sd))
      shootdown_finish(sd);
    thread_relax();
    lo = done;
    found = true;
  }
  return found;
}

// [lo, hi) has been emptied: give back the nodes and page tables that nothing needs any more. Looks at the whole hole,
// as the neighbours may have gone before, but no further than the size of the cut pays for.
void
aspace_prune(struct aspace *as, vaddr_t lo, vaddr_t hi)
{
  uint64_t reach = hi - lo < PRUNE_NEAR ? PRUNE_NEAR : PRUNE_FAR;
  struct region *next = region_find_from(as, lo), *prev;

  prev = next ? region_prev(next) : region_last(as);
  lo = max(prev ? prev->end : 0, lo & ~(reach - 1));
  hi = min(next ? next->start : USER_TOP, (hi + reach - 1) & ~(reach - 1));
  anon_prune(as, lo, hi);
  pmap_prune(as->pmap, lo, hi);
}

bool
aspace_cut(struct aspace *as, vaddr_t lo, vaddr_t hi, struct region *spare[2], struct list *gone)
{
  struct list cut = LIST_INIT(cut);
  struct shootdown sd;
  bool found = false;

  regions_cut(as, lo, hi, spare, &cut);
  shootdown_begin(&sd, as->pmap);
  list_for_each(it, &cut) {
    struct region *r = list_entry(it, struct region, gone);

    found |= aspace_zap(as, r->start, r->end, &sd);
  }
  shootdown_finish(&sd); // even if it changed nothing: a truncate under way may have, and not finished yet
  regions_detach(&cut);
  list_splice_tail(gone, &cut);
  return found;
}

// 0 if [lo, hi) may be cut out: -EPERM sealed, -ENOMEM the cut would leave too many regions.
static int
unmap_allowed(struct aspace *as, vaddr_t lo, vaddr_t hi)
{
  struct region *r = region_find_from(as, lo);

  if(r && r->start < lo && r->end > hi && as->nregions >= vm_max_map_count)
    return -ENOMEM;
  return regions_sealed(as, lo, hi) ? -EPERM : 0;
}

// Unmap [lo, hi) with as.lock held for writing; spare[0..1] are there. Afterwards, unlocked: regions_release(gone).
int
aspace_unmap_locked(struct aspace *as, vaddr_t lo, vaddr_t hi, struct region *spare[2], struct list *gone)
{
  int r;

  assert_held(&as->lock);
  r = unmap_allowed(as, lo, hi);
  if(r)
    return r;

  if(aspace_cut(as, lo, hi, spare, gone))
    aspace_prune(as, lo, hi);
  return 0;
}

int
aspace_unmap(struct aspace *as, vaddr_t lo, vaddr_t hi)
{
  struct region *spare[2] = {0};
  struct list gone = LIST_INIT(gone);
  int r;

  if(lo >= hi || hi > USER_TOP || !page_aligned(lo) || !page_aligned(hi))
    return -EINVAL;

  r = regions_reserve(spare, 2);
  if(r)
    return r;

  rw_write(&as->lock);
  r = aspace_unmap_locked(as, lo, hi, spare, &gone);
  rw_write_release(&as->lock);
  regions_release(&gone);
  regions_unreserve(spare, 2);
  trace(MUNMAP, lo, hi, r);
  return r;
}

// Is r the piece of an object's mapping that it would be if the object's page 0 were at `at`?
static bool
is_attached(const struct region *r, vaddr_t at, bool (*wanted)(const void *tag))
{
  return r->tag && wanted(r->tag) && r->start >= at && (r->start - at) >> PAGE_SHIFT == r->pgoff;
}

static int
unmap_attached_locked(struct aspace *as, vaddr_t at, bool (*wanted)(const void *tag), struct list *gone)
    REQUIRES(as->lock)
{
  struct region *r = region_find_from(as, at), *next, *none[2] = {0};
  struct mobj *obj;
  vaddr_t end;
  int err = 0;

  while(r && !is_attached(r, at, wanted))
    r = region_next(r);
  if(r == 0)
    return -EINVAL;
  obj = r->obj;
  end = at + page_up(atomic_get(&obj->size));
  for(; r && r->start < end && err == 0; r = next) {
    next = region_next(r);
    if(r->obj == obj && is_attached(r, at, wanted))
      err = aspace_unmap_locked(as, r->start, r->end, none, gone); // whole regions: nothing is split
  }
  return err;
}

int
aspace_unmap_attached(struct aspace *as, vaddr_t at, bool (*wanted)(const void *tag))
{
  struct list gone = LIST_INIT(gone);
  int r;

  rw_write(&as->lock);
  r = unmap_attached_locked(as, at, wanted, &gone);
  rw_write_release(&as->lock);
  regions_release(&gone);
  return r;
}

// Nobody runs in it any more, and no CPU but a lazy one has it loaded, so the shootdowns in here ask nobody.
static void
aspace_empty(struct aspace *as)
{
  struct region *spare[2] = {0};
  struct list gone = LIST_INIT(gone);

  rw_write(&as->lock);
  aspace_cut(as, 0, USER_TOP, spare, &gone);
  aspace_prune(as, 0, USER_TOP); // also what was emptied by other ways than unmapping
  rw_write_release(&as->lock);
  regions_release(&gone);
}

void
aspace_unuse(struct aspace *as)
{
  if(atomic_sub(&as->users, 1) > 0)
    return;
  aspace_empty(as);
  aspace_put(as);
}
