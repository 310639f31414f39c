// reclaim.c -- makes room: cached pages that were not used for long are unmapped, written if need be, and dropped.
// One thread keeps some frames free; a thread that finds none may drop clean pages by itself.
//
// BUSY is only ever tried and held to the end, so the page's object cannot go away; maplock is only tried; as.lock
// is not taken at all. A program with its page here in hand has a reference, and then the page stays. Who writes pages to
// make them free may use the reserve of frames, so that this needs no memory that it would have to free first.
//
// Typical: frame.c calls reclaim_kick when frames run low, and reclaim_now for a thread that would have to wait.
// Knows nothing of stores (they flush) and of what others could free (they register).
#include "core/kthread.h"
#include "core/print.h"
#include "core/trace.h"
#include "lib/atomic.h"
#include "mm/mm.h"

enum {
  BATCH = 32,      // pages looked at together
  RUN_MAX = 8,     // neighbours of one object that share one walk over its mappers
  HIGH_SHARE = 32, // the thread goes on until one frame in so many is free
  SHRINKERS_MAX = 8,
  ROUNDS_EXTRA = 2,
};
#define PAUSE_FIRST (50 * MSEC) // when nothing could be freed; each time twice as long
#define PAUSE_LAST  NSEC

static struct waitq kick;
static bool started;                                   // (c) after start
static bool wanted;                                    // (a)
static uint64_t made_free;                             // (a) frames, since start
static uint64_t (*shrinkers[SHRINKERS_MAX])(uint64_t); // (c) after start
static int nshrinkers;                                 // (a)

enum reclaim_how { CLEAN_ONLY, MAY_WRITE };

// Is there any chance? Spares the walk over the mappers. The page is BUSY.
static bool
worth_trying(struct mobj *obj, struct page *pg, enum reclaim_how how)
{
  if(atomic_get(&pg->ref) > 2) // the cache's and ours
    return false;
  return !page_test(pg, PAGE_DIRTY) || (how == MAY_WRITE && obj->ops->flush != 0 && !mobj_left_alone(obj, pg));
}

// Take the first page, and those neighbours that follow it in the array as in their object, BUSY: how many; 0 if the
// first cannot be had. Ascending order, never waiting.
static int
run_take(struct page **pg, int n, enum reclaim_how how)
{
  struct mobj *obj;
  int k = 0;

  if(!page_busy_try(pg[0]))
    return 0;
  obj = pg[0]->obj;
  if(obj == 0 || !worth_trying(obj, pg[0], how)) {
    page_busy_clear(pg[0]);
    return 0;
  }
  for(k = 1; k < n && k < RUN_MAX; k++) {
    if(!page_busy_try(pg[k]))
      break;
    if(pg[k]->obj == obj && pg[k]->idx == pg[0]->idx + k && worth_trying(obj, pg[k], how))
      continue;
    page_busy_clear(pg[k]);
    break;
  }
  return k;
}

// Write what is dirty among k busy, unmapped neighbours, and what follows: its turn comes soon, and then it is clean.
static void
run_clean(struct mobj *obj, struct page **pg, int k)
{
  for(int i = 0, n; i < k; i += n) {
    n = 0;
    while(i + n < k && page_test(pg[i + n], PAGE_DIRTY))
      n++;
    if(n > 0)
      mobj_flush_on(obj, pg + i, n); // an error is counted in errseq, and the pages are DIRTY again
    else
      n = 1;
  }
}

// Free what can be freed of k busy neighbours, referenced by the caller: how many. BUSY ends here.
static uint64_t
run_free(struct page **pg, int k, enum reclaim_how how)
{
  struct mobj *obj = pg[0]->obj;
  uint64_t first = pg[0]->idx, freed = 0;
  bool idle = mobj_unmap_idle(obj, first, first + k);

  if(idle && how == MAY_WRITE)
    run_clean(obj, pg, k);
  for(int i = 0; i < k; i++) {
    if(!idle)
      page_touch(pg[i]);
    else if(mobj_drop(obj, pg[i])) // after the last one the object may be gone
      freed++;
    page_busy_clear(pg[i]);
  }
  return freed;
}

static uint64_t
reclaim_cached(uint64_t want, enum reclaim_how how)
{
  uint64_t freed = 0, rounds = ROUNDS_EXTRA + 2 * lru_pages() / BATCH;
  struct page *pg[BATCH];
  int n, k;

  for(; freed < want && rounds > 0; rounds--) {
    n = lru_take(pg, BATCH);
    for(int i = 0; i < n; i += max(k, 1)) {
      k = run_take(pg + i, n - i, how);
      if(k > 0)
        freed += run_free(pg + i, k, how);
    }
    for(int i = 0; i < n; i++)
      page_put(pg[i]);
    thread_relax();
  }
  atomic_add(&made_free, freed);
  return freed;
}

uint64_t
reclaim_now(uint64_t n)
{
  uint64_t before = frames_free(), freed = reclaim_cached(n, CLEAN_ONLY);

  kmem_drain();
  trace(RECLAIM, n, freed, before);
  return freed;
}

// First what costs nothing: as long as write-back keeps up, that is enough.
static uint64_t
reclaim_round(void)
{
  uint64_t freed = reclaim_cached(BATCH, CLEAN_ONLY);

  if(freed < BATCH)
    freed += reclaim_cached(BATCH, MAY_WRITE);
  for(int i = 0; i < atomic_get(&nshrinkers) && freed < BATCH; i++)
    freed += shrinkers[i](BATCH);
  kmem_drain();
  return freed;
}

static void
reclaim_thread(void *unused)
{
  uint64_t high = frames_total() / HIGH_SHARE, pause;

  frame_reserve_begin();
  for(;;) {
    wait_event(&kick, atomic_get(&wanted), WAIT_ALWAYS, NEVER);
    if(balance_over_background()) // less memory: less of it may be dirty
      balance_kick();
    for(pause = PAUSE_FIRST; frames_free() < high;) {
      if(reclaim_round() > 0) {
        pause = PAUSE_FIRST;
        continue;
      }
      time_sleep_until(clock_now() + pause, WAIT_ALWAYS);
      pause = min(2 * pause, (uint64_t)PAUSE_LAST);
    }
    atomic_set(&wanted, false);
  }
}

void
reclaim_start(void)
{
  waitq_init(&kick);
  atomic_set(&started, true);
  if(kthread_start("reclaim", reclaim_thread, 0) != 0)
    panic("no memory for the reclaim thread");
}

uint64_t
reclaim_progress(void)
{
  return atomic_get(&made_free) + atomic_get(&dirty_stats.written);
}

void
reclaim_kick(void)
{
  if(atomic_get_relaxed(&wanted) || !atomic_get(&started))
    return;
  atomic_set(&wanted, true);
  waitq_wake(&kick);
}

void
reclaim_register(uint64_t (*shrink)(uint64_t n))
{
  int i = atomic_get(&nshrinkers);

  if(i == SHRINKERS_MAX)
    panic("more than %d shrinkers", i);
  shrinkers[i] = shrink;
  atomic_set(&nshrinkers, i + 1);
}
