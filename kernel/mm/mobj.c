// mobj.c -- memory objects: an indexed set of pages, *the* page cache, in front of a store that ops know.
//
// A cached page moves only like this: EMPTY -> BUSY(fill) -> CLEAN <-> DIRTY and DIRTY -> BUSY(flush) -> CLEAN, or
// back to DIRTY and ERROR. It enters the cache BUSY, below the size and outside a cut, in one section of obj->lock;
// it leaves only BUSY, under obj->lock. The cache owns one reference; entries of programs' page tables own none
// (I5), so whoever takes a page out unmaps it before the frame goes: objmap.c has those walks.
//
// Typical: mobj_load (holding nothing) / lock what has to be locked, spin_acquire(&obj->lock), mobj_find again: what
// was loaded may be gone / use it / unlock / page_put what mobj_load gave.
// Knows nothing of files, and of addresses only through objmap.c.
#include "core/print.h"
#include "core/trace.h"
#include "lib/atomic.h"
#include "mm/mm.h"

enum {
  AHEAD_FIRST = 4, // pages read at once when access begins to look sequential
  AHEAD_MAX = 32,  // and at most
};
#define NO_MARK UINT64_MAX

static uint64_t total_cached, total_shmem; // (a)

static bool
in_memory(const struct mobj *obj)
{
  return obj->ops->fill == shm_fill;
}

void
mobj_init(struct mobj *obj, const struct mobj_ops *ops, uint64_t size)
{
  *obj = (struct mobj){.ops = ops, .ref = 1, .size = size, .ra_mark = NO_MARK};
  spin_init(&obj->lock, "obj.lock", RANK_OBJ);
  sleep_init(&obj->maplock, "obj.maplock", RANK_MAPLOCK);
  radix_init(&obj->pages);
  list_init(&obj->mappers);
  list_init(&obj->dirty);
  waitq_init(&obj->cut);
}

struct mobj *
mobj_get(struct mobj *obj)
{
  atomic_add(&obj->ref, 1);
  return obj;
}

bool
mobj_try_get(struct mobj *obj)
{
  int have = atomic_get(&obj->ref);

  while(have > 0)
    if(atomic_cas(&obj->ref, &have, have + 1))
      return true;
  return false;
}

void
mobj_put(struct mobj *obj)
{
  int left = atomic_sub(&obj->ref, 1);

  if(left < 0)
    panic("object %p (%s): reference %d put that was never taken", obj, obj->ops->name, left);
  if(left == 0)
    obj->ops->release(obj);
}

bool
mobj_insert(struct mobj *obj, struct page *pg, uint64_t idx, struct radix_stock *nodes)
{
  if(!radix_set(&obj->pages, idx, (uintptr_t)pg, nodes))
    return false;
  pg->flags = PAGE_BUSY | PAGE_FRESH; // nobody else knows the page yet
  pg->obj = obj;
  pg->idx = idx;
  obj->npages++;
  atomic_add(&total_cached, 1);
  if(in_memory(obj))
    atomic_add(&total_shmem, 1);
  lru_add(pg);
  return true;
}

struct page *
mobj_take(struct mobj *obj, uint64_t idx)
{
  struct page *pg;

  assert_held(&obj->lock);
  pg = (struct page *)radix_get(&obj->pages, idx);
  if(pg == 0 || pg->obj != obj || pg->idx != idx || !page_test(pg, PAGE_BUSY))
    panic("I4: page %p taken out of object %p at %lu", pg, obj, idx);
  mobj_undirty(obj, pg);
  radix_clear(&obj->pages, idx);
  lru_remove(pg);
  if(in_memory(obj) && page_test(pg, PAGE_BACKED) && obj->promised == 0)
    commit_add(-1);
  page_clear(pg, PAGE_BACKED);
  pg->obj = 0;
  obj->npages--;
  atomic_sub(&total_cached, 1);
  if(in_memory(obj))
    atomic_sub(&total_shmem, 1);
  return pg;
}

struct page *
mobj_find(struct mobj *obj, uint64_t idx)
{
  assert_held(&obj->lock);
  return (struct page *)radix_get(&obj->pages, idx);
}

// ---- loading ----

static bool
cut_covers(const struct mobj *obj, uint64_t idx)
{
  return atomic_get(&obj->cutlo) <= idx && idx < atomic_get(&obj->cuthi);
}

// held: obj->lock. Put BUSY pages into the cache for [idx, idx + n), as far as they are not there, lie below the size,
// outside a cut and in one leaf of the tree (only the first needs nodes then), and memory is there: how many.
static int
window_insert(struct mobj *obj, uint64_t idx, uint64_t n, struct spare *sp, struct page **pg)
{
  uint64_t end = min(idx + n, (idx | (RADIX_FAN - 1)) + 1);
  struct page *frame;
  int k = 0;

  end = min(end, pages_of(obj->size));
  for(; idx < end && k < AHEAD_MAX; idx++) {
    if(radix_get(&obj->pages, idx) || cut_covers(obj, idx))
      break;
    frame = k == 0 ? spare_take_frame(sp) : frame_try(0);
    if(frame == 0)
      break;
    if(!mobj_insert(obj, frame, idx, &sp->nodes)) {
      page_put(frame);
      break;
    }
    pg[k++] = frame;
  }
  return k;
}

// held: obj->lock. How many pages to read where idx is missing: more if the one before was read last.
static uint64_t
ahead_size(struct mobj *obj, uint64_t idx)
{
  if(in_memory(obj))
    return 1;
  if(idx != obj->ra_next)
    obj->ra_size = 0;
  else
    obj->ra_size = obj->ra_size ? min(2 * obj->ra_size, (uint64_t)AHEAD_MAX) : AHEAD_FIRST;
  return max(obj->ra_size, 1ull);
}

// held: obj->lock. k pages from idx on are being read. The reader who comes to their middle starts the next window.
static void
ahead_note(struct mobj *obj, uint64_t idx, int k)
{
  obj->ra_next = idx + k;
  obj->ra_mark = k > 1 ? obj->ra_next - k / 2 : NO_MARK;
}

// held: nothing. May page idx be loaded? 0, and *nodes says how many its insertion takes; -ENXIO past the end; -EINTR.
// Waits for a cut that covers idx to end.
static int
load_admit(struct mobj *obj, uint64_t idx, int *nodes)
{
  bool past, cut;
  int r;

  for(;;) {
    spin_acquire(&obj->lock);
    past = idx >= pages_of(obj->size);
    cut = cut_covers(obj, idx);
    *nodes = radix_need(&obj->pages, idx);
    spin_release(&obj->lock);
    if(past)
      return -ENXIO;
    if(!cut)
      return 0;
    r = wait_event(&obj->cut, !cut_covers(obj, idx), WAIT_KILLABLE, NEVER);
    if(r != 0)
      return r;
  }
}

// held: nothing. Page idx was missing: it and its window are in the cache BUSY, in pg, *k of them, the first with a
// reference of the caller's. *k = 0: it came by another hand meanwhile.
static int
load_enter(struct mobj *obj, uint64_t idx, bool ahead, struct page **pg, int *k)
{
  struct spare sp;
  int nodes, r;

  r = load_admit(obj, idx, &nodes);
  if(r != 0)
    return r;
  spare_init(&sp);
  if(!spare_try(&sp, 1, 0, nodes) && (r = spare_wait(&sp, 1, 0, nodes)) != 0)
    return r;

  spin_acquire(&obj->lock);
  *k = window_insert(obj, idx, ahead ? ahead_size(obj, idx) : 1, &sp, pg);
  if(*k > 0) {
    page_get(pg[0]);
    if(ahead)
      ahead_note(obj, idx, *k);
  }
  spin_release(&obj->lock);
  spare_put(&sp);
  return 0;
}

// held: nothing. Page idx was missing: start reading it and its window. 0: *pp is it, referenced; or 0, if it came by
// another hand meanwhile: look again.
static int
load_begin(struct mobj *obj, uint64_t idx, bool ahead, struct page **pp)
{
  struct page *pg[AHEAD_MAX];
  int k, r;

  r = load_enter(obj, idx, ahead, pg, &k);
  if(r != 0)
    return r;
  *pp = k > 0 ? pg[0] : 0;
  if(k > 0) {
    trace(FILL, obj, idx, k);
    obj->ops->fill(obj, pg, k);
  }
  return 0;
}

// held: nothing. Start reading up to n missing pages from idx on, without waiting for anything: how many; 0 if idx is
// there or cannot be had now.
static int
ahead_begin(struct mobj *obj, uint64_t idx, uint64_t n)
{
  struct page *pg[AHEAD_MAX];
  struct spare sp;
  int k = 0, nodes;

  spin_acquire(&obj->lock);
  nodes = radix_need(&obj->pages, idx);
  spin_release(&obj->lock);
  spare_init(&sp);
  if(spare_try(&sp, 1, 0, nodes)) {
    spin_acquire(&obj->lock);
    k = window_insert(obj, idx, n, &sp, pg);
    spin_release(&obj->lock);
  }
  spare_put(&sp);
  if(k > 0)
    obj->ops->fill(obj, pg, k);
  return k;
}

// held: nothing. A sequential reader came to the mark: have the next window read while it works on this one.
static void
ahead_go_on(struct mobj *obj)
{
  uint64_t idx, n;
  int k;

  spin_acquire(&obj->lock);
  obj->ra_mark = NO_MARK;
  idx = obj->ra_next;
  n = ahead_size(obj, idx);
  spin_release(&obj->lock);
  k = ahead_begin(obj, idx, n);
  if(k == 0)
    return;
  spin_acquire(&obj->lock);
  if(obj->ra_next == idx)
    ahead_note(obj, idx, k);
  spin_release(&obj->lock);
}

void
mobj_readahead(struct mobj *obj, uint64_t idx, uint64_t n)
{
  uint64_t end;
  bool there;
  int k;

  if(in_memory(obj))
    return;
  for(end = idx + min(n, UINT64_MAX - idx); idx < end; idx += k) {
    spin_acquire(&obj->lock);
    end = min(end, pages_of(obj->size));
    there = radix_get(&obj->pages, idx) != 0;
    spin_release(&obj->lock);
    k = there ? 1 : ahead_begin(obj, idx, end - idx);
    if(k == 0)
      return;
    thread_relax();
  }
}

// A referenced page whose read failed leaves the cache, so that a later try reads again. False if it did not fail.
static bool
load_failed(struct mobj *obj, struct page *pg)
{
  struct page *out = 0;

  if(!page_test(pg, PAGE_ERROR))
    return false;
  if(page_busy_try(pg)) {
    spin_acquire(&obj->lock);
    if(pg->obj == obj && !page_test(pg, PAGE_UPTODATE))
      out = mobj_take(obj, pg->idx);
    spin_release(&obj->lock);
    page_busy_clear(pg);
  }
  if(out)
    page_put(out);
  return true;
}

// Page idx, referenced, or 0.
static struct page *
load_find(struct mobj *obj, uint64_t idx, bool ahead)
{
  struct page *pg;
  bool mark;

  spin_acquire(&obj->lock);
  pg = mobj_find(obj, idx);
  if(pg)
    page_get(pg);
  if(pg && page_test(pg, PAGE_UPTODATE))
    page_touch(pg);
  mark = ahead && pg && idx == obj->ra_mark;
  spin_release(&obj->lock);
  if(mark)
    ahead_go_on(obj);
  return pg;
}

// Page idx was missing. If it has its place in the store: *pp is it, BUSY, BACKED and not yet UPTODATE; else *pp is 0, or an
// error. To everybody else it is being read until the caller has put its bytes there.
static int
load_replace(struct mobj *obj, uint64_t idx, struct page **pp)
{
  int r = obj->ops->placed ? obj->ops->placed(obj, idx) : 0, k = 0;

  *pp = 0;
  if(r > 0)
    r = load_enter(obj, idx, false, pp, &k);
  if(k > 0)
    page_set(*pp, PAGE_BACKED);
  return r;
}

// *replaced (may be 0): set to true if the page was missing and is the caller's to fill, as load_replace says.
static int
load(struct mobj *obj, uint64_t idx, bool ahead, struct page **pp, bool *major, bool *replaced)
{
  bool asked = false; // the result of the page's read is ours to report
  struct page *pg;
  int r = 0;

  assert_not_held_rank(RANK_ASPACE);
  for(;;) {
    pg = load_find(obj, idx, ahead);
    if(pg == 0 && replaced) {
      r = load_replace(obj, idx, pp);
      if(r != 0 || (*replaced = *pp != 0))
        return r;
    }
    if(pg == 0) {
      r = load_begin(obj, idx, ahead, &pg);
      if(r != 0)
        return r;
      if(pg == 0)
        continue;
      asked = true;
    }
    if(page_test(pg, PAGE_UPTODATE | PAGE_BUSY) == PAGE_BUSY) { // being read
      asked = true;
      if(major)
        *major = true;
      r = page_busy_gone(pg);
    }
    if(r == 0 && page_test(pg, PAGE_UPTODATE)) {
      *pp = pg;
      return 0;
    }
    if(r == 0 && load_failed(obj, pg) && asked)
      r = -EIO;
    page_put(pg);
    if(r != 0)
      return r;
  }
}

int
mobj_load(struct mobj *obj, uint64_t idx, struct page **pp, bool *major)
{
  return load(obj, idx, true, pp, major, 0);
}

int
mobj_load_only(struct mobj *obj, uint64_t idx, struct page **pp, bool *major)
{
  return load(obj, idx, false, pp, major, 0);
}

// Give the loaded, referenced page room in the store and take it BUSY. 0, error, or FAULT_RETRY: it left the cache.
static int
page_make_ready(struct mobj *obj, struct page *pg)
{
  int r;

  if(!page_test(pg, PAGE_BACKED)) {
    r = obj->ops->makewrite ? obj->ops->makewrite(obj, pg) : -EROFS;
    if(r != 0)
      return r;
  }
  page_busy_wait(pg);
  if(pg->obj == obj && page_test(pg, PAGE_BACKED))
    return 0;
  page_busy_clear(pg);
  return FAULT_RETRY;
}

int
mobj_page(struct mobj *obj, uint64_t idx, enum mobj_access how, struct page **pp)
{
  bool replaced = false;
  struct page *pg;
  int r;

  do {
    r = load(obj, idx, true, &pg, 0, how == FOR_REPLACE ? &replaced : 0);
    if(r == 0 && how != FOR_READ && !replaced) {
      r = page_make_ready(obj, pg);
      if(r != 0)
        page_put(pg);
    }
  } while(r == FAULT_RETRY);
  if(r == 0)
    *pp = pg;
  return r;
}

// ---- letting go ----

bool
mobj_drop(struct mobj *obj, struct page *pg)
{
  struct radix_node *node;
  bool drop;

  spin_acquire(&obj->lock);
  // The cache's reference and the caller's: others come only through the cache, under this lock.
  drop = atomic_get(&pg->ref) == 2 && !page_test(pg, PAGE_DIRTY) && !(in_memory(obj) && page_test(pg, PAGE_BACKED));
  if(drop) {
    mobj_take(obj, pg->idx);
    while((node = radix_prune(&obj->pages, pg->idx & ~(uint64_t)(RADIX_FAN - 1), (pg->idx | (RADIX_FAN - 1)) + 1)) != 0)
      radix_node_free(node);
  }
  spin_release(&obj->lock); // from here on the object may be gone
  if(drop)
    page_put(pg);
  return drop;
}

// The first page from *idx on, referenced, and BUSY if it may be dropped and that was to be had; 0 at the end.
static struct page *
shrink_next(struct mobj *obj, uint64_t *idx, bool *busy)
{
  struct page *pg = 0;
  uintptr_t word;

  spin_acquire(&obj->lock);
  if(radix_next(&obj->pages, idx, UINT64_MAX, &word)) {
    pg = page_get((struct page *)word);
    *busy = !page_test(pg, PAGE_DIRTY) && atomic_get(&pg->ref) == 2 && page_busy_try(pg);
  }
  spin_release(&obj->lock);
  return pg;
}

uint64_t
mobj_shrink(struct mobj *obj)
{
  uint64_t idx = 0, dropped = 0;
  struct page *pg;
  bool busy;

  for(; (pg = shrink_next(obj, &idx, &busy)) != 0; idx++) {
    if(busy) {
      if(mobj_unmap_idle(obj, idx, idx + 1) && mobj_drop(obj, pg))
        dropped++;
      page_busy_clear(pg);
    }
    page_put(pg);
    thread_relax();
  }
  return dropped;
}

uint64_t
mobj_total_cached(void)
{
  return atomic_get_relaxed(&total_cached);
}

uint64_t
mobj_total_shmem(void)
{
  return atomic_get_relaxed(&total_shmem);
}
