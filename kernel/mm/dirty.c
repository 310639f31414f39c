// dirty.c -- dirty pages of objects with a store: marked, listed, written.
//
// A page counts from when it is made dirty until its write has ended well: DIRTY, then BUSY while it is written. So long
// it is tagged in its object's tree, and so long the object is on the list of dirty objects, in the order in which each
// became dirty. Whoever writes walks tags and that list: the cost follows what is dirty, not what is cached or mapped.
//
// A write that failed leaves the page DIRTY, with ERROR: nothing is lost while memory lasts. fsync and its like try it
// again each time. Who writes unasked (fs/writeback.c, reclaim) leaves it alone for a while, each time twice as long.
//
// Typical: page BUSY / change it / mobj_dirty / page_busy_clear ... mobj_sync(obj, lo, hi).
// Knows nothing of where a store keeps a page; who has to wait because too much is dirty: balance.c.
#include "core/print.h"
#include "core/time.h"
#include "core/trace.h"
#include "lib/atomic.h"
#include "lib/errseq.h"
#include "mm/mm.h"

enum {
  BATCH_MAX = 128, // pages given to one flush: some requests of the largest size
};
#define HOLDOFF_FIRST NSEC // after a write that failed, nobody tries unasked for so long
#define HOLDOFF_LAST  (64 * NSEC)

struct dirty_stats dirty_stats;
static struct spinlock dirty_lock = SPINLOCK_INIT("dirty objects", RANK_DIRTY);
static struct list dirty_list = LIST_INIT(dirty_list); // (W) by obj->dirtied

static bool
stored(const struct mobj *obj)
{
  return obj->ops->flush != 0;
}

// ---- marking

// held: obj->lock. The first dirty page: onto the list.
static void
list_enter(struct mobj *obj)
{
  spin_acquire(&dirty_lock);
  if(list_empty(&obj->dirty)) {
    obj->dirtied = clock_now();
    list_add_tail(&dirty_list, &obj->dirty);
  }
  spin_release(&dirty_lock);
}

// held: obj->lock. n pages count no more.
static void
uncount(struct mobj *obj, uint64_t n)
{
  bool clean = atomic_sub(&obj->ndirty, n) == 0;

  if(!stored(obj))
    return;
  atomic_sub(&dirty_stats.dirty, n);
  if(clean) {
    spin_acquire(&dirty_lock);
    list_del(&obj->dirty);
    spin_release(&dirty_lock);
  }
}

static void
not_bad(struct mobj *obj, struct page *pg)
{
  if(!page_test(pg, PAGE_ERROR))
    return;
  page_clear(pg, PAGE_ERROR);
  atomic_sub(&dirty_stats.bad, 1);
  if(atomic_sub(&obj->nbad, 1) == 0)
    atomic_set(&obj->holdoff, 0);
}

static void
assert_backed(struct mobj *obj, struct page *pg)
{
  if(!page_test(pg, PAGE_BACKED) || pg->obj != obj)
    panic("I3: page %p of %p (%p,%lu) made dirty: flags %#x", pg, obj, pg->obj, pg->idx, pg->flags);
}

void
mobj_dirty_locked(struct mobj *obj, struct page *pg)
{
  assert_held(&obj->lock);
  assert_backed(obj, pg);
  if(atomic_or(&pg->flags, PAGE_DIRTY) & PAGE_DIRTY)
    return;
  atomic_add(&obj->ndirty, 1);
  if(stored(obj)) {
    radix_tag(&obj->pages, pg->idx);
    atomic_add(&dirty_stats.dirty, 1);
    atomic_add(&dirty_stats.dirtied, 1);
    list_enter(obj);
  }
  if(obj->ops->touched)
    obj->ops->touched(obj);
}

void
mobj_dirty(struct mobj *obj, struct page *pg)
{
  assert_backed(obj, pg); // BUSY keeps both as they are, and DIRTY too
  if(page_test(pg, PAGE_DIRTY))
    return;
  spin_acquire(&obj->lock);
  mobj_dirty_locked(obj, pg);
  spin_release(&obj->lock);
}

void
mobj_undirty(struct mobj *obj, struct page *pg)
{
  assert_held(&obj->lock);
  if(!page_test(pg, PAGE_DIRTY))
    return;
  if(stored(obj)) {
    radix_untag(&obj->pages, pg->idx);
    not_bad(obj, pg);
  }
  page_clear(pg, PAGE_DIRTY);
  uncount(obj, 1);
}

// ---- writing

// The pages are written, or are not.
static void
flush_ended(struct mobj *obj, struct page **pg, int n, int err)
{
  spin_acquire(&obj->lock);
  for(int i = 0; i < n; i++) {
    if(err == 0) {
      radix_untag(&obj->pages, pg[i]->idx);
      not_bad(obj, pg[i]);
    } else if(!(atomic_or(&pg[i]->flags, PAGE_DIRTY | PAGE_ERROR) & PAGE_ERROR)) {
      atomic_add(&dirty_stats.bad, 1);
      atomic_add(&obj->nbad, 1);
    }
  }
  if(err == 0)
    uncount(obj, n);
  spin_release(&obj->lock);
}

// Write n pages. What the disk refuses in one piece is tried again in halves, so that one bad block keeps only its own
// page dirty.
static int
flush_try(struct mobj *obj, struct page **pg, int n)
{
  int r = obj->ops->flush(obj, pg, n), e;

  if(r == -EIO && n > 1) {
    r = flush_try(obj, pg, n / 2);
    e = flush_try(obj, pg + n / 2, n - n / 2);
    return r ? r : e;
  }
  flush_ended(obj, pg, n, r);
  return r;
}

static void
flush_failed(struct mobj *obj, int err)
{
  uint64_t wait = min(max(2 * atomic_get(&obj->backoff), HOLDOFF_FIRST), HOLDOFF_LAST);

  atomic_set(&obj->backoff, wait);
  atomic_set(&obj->holdoff, clock_now() + wait);
  errseq_set(&obj->errseq, err);
  if(obj->errseq_all)
    errseq_set(obj->errseq_all, err);
}

// Narrow no page but these: between them others may lie that programs go on storing to.
static void
flush_narrow(struct mobj *obj, struct page **pg, int n)
{
  uint64_t first = pg[0]->idx, end = first + 1;

  for(int i = 1; i < n; i++) {
    if(pg[i]->idx != end) {
      mobj_narrow(obj, first, end);
      first = pg[i]->idx;
    }
    end = pg[i]->idx + 1;
  }
  mobj_narrow(obj, first, end);
}

// The order: narrow and finish, so that from here on a store of a program faults; clear DIRTY; only then write. ndirty
// falls after the write, so that who reads 0 has nothing in flight to wait for.
int
mobj_flush(struct mobj *obj, struct page **pg, int n)
{
  int r;

  flush_narrow(obj, pg, n);
  for(int i = 0; i < n; i++)
    page_clear(pg[i], PAGE_DIRTY);
  trace(WRITEBACK, obj, pg[0]->idx, n);
  atomic_add(&dirty_stats.writing, n);
  frame_reserve_begin(); // clean pages can be made free
  r = flush_try(obj, pg, n);
  frame_reserve_end();
  atomic_sub(&dirty_stats.writing, n);
  atomic_add(&dirty_stats.written, n);
  if(r)
    flush_failed(obj, r);
  else if(atomic_get(&obj->nbad) == 0)
    atomic_set(&obj->backoff, 0);
  balance_wake();
  return r;
}

bool
mobj_left_alone(struct mobj *obj, struct page *pg)
{
  return page_test(pg, PAGE_ERROR) && clock_now() < atomic_get(&obj->holdoff);
}

enum sweep_how { SWEEP_ALL, SWEEP_UNASKED }; // the latter waits for no page, and leaves alone what failed lately

// The first page in [*idx, hi) that is dirty or being written, referenced, and *idx its index; 0 if there is none.
static struct page *
sweep_next(struct mobj *obj, uint64_t *idx, uint64_t hi)
{
  struct page *pg = 0;
  uintptr_t word;

  spin_acquire(&obj->lock);
  if(radix_next_tagged(&obj->pages, idx, hi, &word))
    pg = page_get((struct page *)word);
  spin_release(&obj->lock);
  return pg;
}

// held: the page is BUSY. Is it to be written?
static bool
sweep_wants(struct mobj *obj, struct page *pg, enum sweep_how how)
{
  return pg->obj == obj && page_test(pg, PAGE_DIRTY) && !(how == SWEEP_UNASKED && mobj_left_alone(obj, pg));
}

// The first page in [idx, hi) that is dirty or being written, referenced and BUSY, if it is to be written and BUSY can be
// had at once; else 0.
static struct page *
sweep_also(struct mobj *obj, uint64_t idx, uint64_t hi, enum sweep_how how)
{
  struct page *pg = 0;
  uintptr_t word;

  spin_acquire(&obj->lock);
  if(radix_next_tagged(&obj->pages, &idx, hi, &word))
    pg = (struct page *)word;
  if(pg == 0 || !page_test(pg, PAGE_DIRTY) || !page_busy_try(pg)) {
    pg = 0;
  } else if(sweep_wants(obj, pg, how)) {
    page_get(pg);
  } else {
    page_busy_clear(pg);
    pg = 0;
  }
  spin_release(&obj->lock);
  return pg;
}

static void
batch_put(struct page **pg, int n)
{
  for(int i = 0; i < n; i++) {
    page_busy_clear(pg[i]);
    page_put(pg[i]);
  }
}

int
mobj_flush_on(struct mobj *obj, struct page **pg, int n)
{
  uint64_t idx = pg[0]->idx;
  struct page *batch[BATCH_MAX];
  int all = n, r;

  for(int i = 0; i < n; i++)
    batch[i] = pg[i];
  while(all < BATCH_MAX && (batch[all] = sweep_also(obj, idx + all, idx + all + 1, SWEEP_UNASKED)) != 0)
    all++;
  r = mobj_flush(obj, batch, all);
  batch_put(batch + n, all - n);
  return r;
}

// Write a batch of dirty pages that begins with pg (referenced; the reference is used up) at *idx, which goes on behind it.
// They need not be neighbours: the disk has all of them at once. Only the first is waited for (I6). *written counts pages.
static int
sweep_batch(struct mobj *obj, struct page *pg, uint64_t *idx, uint64_t hi, enum sweep_how how, uint64_t *written)
{
  struct page *batch[BATCH_MAX];
  int n = 1, r = 0;

  ++*idx;
  if(how == SWEEP_ALL) {
    page_busy_wait(pg);
  } else if(!page_busy_try(pg)) {
    page_put(pg);
    return 0;
  }
  batch[0] = pg;
  if(sweep_wants(obj, pg, how)) {
    for(; n < BATCH_MAX && (batch[n] = sweep_also(obj, *idx, hi, how)) != 0; n++)
      *idx = batch[n]->idx + 1;
    r = mobj_flush(obj, batch, n);
    *written += n;
  }
  batch_put(batch, n);
  return r;
}

static int
sweep(struct mobj *obj, uint64_t lo, uint64_t hi, enum sweep_how how, uint64_t *written)
{
  struct page *pg;
  int r = 0, e;

  if(!stored(obj) || atomic_get(&obj->ndirty) == 0)
    return 0;
  while(lo < hi && (pg = sweep_next(obj, &lo, hi)) != 0) {
    e = sweep_batch(obj, pg, &lo, hi, how, written);
    r = r ? r : e;
    thread_relax();
  }
  return r;
}

int
mobj_sync(struct mobj *obj, uint64_t lo, uint64_t hi)
{
  uint64_t written = 0;

  return sweep(obj, lo, hi, SWEEP_ALL, &written);
}

uint64_t
mobj_write_back(struct mobj *obj, uint64_t lo, uint64_t hi)
{
  uint64_t written = 0;

  sweep(obj, lo, hi, SWEEP_UNASKED, &written); // an error is in errseq
  return written;
}

void
mobj_await(struct mobj *obj, uint64_t lo, uint64_t hi)
{
  struct page *pg;

  for(; stored(obj) && lo < hi && (pg = sweep_next(obj, &lo, hi)) != 0; lo++) {
    if(!page_test(pg, PAGE_DIRTY)) {
      page_busy_wait(pg);
      page_busy_clear(pg);
    }
    page_put(pg);
    thread_relax();
  }
}

// ---- the list

struct mobj *
mobj_dirty_oldest(uint64_t before)
{
  struct mobj *obj = 0;

  spin_acquire(&dirty_lock);
  list_for_each(it, &dirty_list) {
    struct mobj *o = list_entry(it, struct mobj, dirty);

    if(o->dirtied >= before)
      break;
    if(mobj_try_get(o)) { // else its last reference is gone: who destroys it takes it off
      obj = o;
      break;
    }
  }
  if(obj) {
    list_del(&obj->dirty);
    obj->dirtied = max(clock_now(), before); // so that who goes on with the same time comes to its end
    list_add_tail(&dirty_list, &obj->dirty);
  }
  spin_release(&dirty_lock);
  return obj;
}

uint64_t
mobj_total_dirty(void)
{
  return atomic_get_relaxed(&dirty_stats.dirty);
}
