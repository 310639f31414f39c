// balance.c -- how much may be dirty, and who waits because more is.
//
// Below the background limit nobody cares. Above it the write-back thread writes until it is reached again. From half-way
// between the two limits on, whoever makes pages dirty pauses for each, the longer the nearer the limit is; so writers
// settle at the speed of the disk. At the limit they wait until something was written. They pause holding nothing but what
// they hold when they wait for a read; they can be killed. Reclaim, commits and write-back itself never come here.
//
// Pages that the disk refuses do not count against the others. Who writes to a file that has some, when such pages are
// half of what may be dirty, gets -EIO: room for more would never come.
//
// Typical: balance_due(obj) and, holding nothing, mobj_balance(obj, pages).
// Must not know who writes back (fs/writeback.c waits at balance_work).
#include "core/time.h"
#include "lib/atomic.h"
#include "mm/mm.h"

enum { PERCENT = 100, LEAST = 64 }; // pages that may be dirty in any case
#define PAUSE_PAGE (8 * MSEC)       // for one page, at the limit
#define PAUSE_MAX  (200 * MSEC)     // in one piece

struct balance_settings balance_settings = {.background_ratio = 10, .ratio = 20};
struct waitq balance_work = {SPINLOCK_INIT("write-back", RANK_WAITQ), LIST_INIT(balance_work.waiters)};
bool balance_wanted;

static struct waitq writers = {SPINLOCK_INIT("writers", RANK_WAITQ), LIST_INIT(writers.waiters)};
static uint64_t freerun = LEAST; // (a) so many may be dirty without a closer look

struct limits {
  uint64_t background, all; // pages
};

// What memory could be dirty at all: free, or in a cache.
static uint64_t
dirtyable(void)
{
  uint64_t cached = mobj_total_cached(), shmem = mobj_total_shmem();

  return frames_free() + (cached > shmem ? cached - shmem : 0);
}

static uint64_t
limit(uint64_t bytes, uint64_t ratio, uint64_t of)
{
  return bytes ? pages_of(bytes) : of * ratio / PERCENT;
}

static struct limits
limits_now(void)
{
  const struct balance_settings *s = &balance_settings;
  uint64_t of = dirtyable();
  struct limits l;

  l.all = limit(atomic_get_relaxed(&s->bytes), atomic_get_relaxed(&s->ratio), of);
  l.all = max(l.all, (uint64_t)LEAST);
  l.background = limit(atomic_get_relaxed(&s->background_bytes), atomic_get_relaxed(&s->background_ratio), of);
  if(l.background >= l.all)
    l.background = l.all / 2;
  atomic_set_relaxed(&freerun, (l.background + l.all) / 2);
  return l;
}

// Dirty pages that can be written.
static uint64_t
dirty_now(void)
{
  uint64_t bad = atomic_get_relaxed(&dirty_stats.bad), dirty = atomic_get_relaxed(&dirty_stats.dirty);

  return dirty > bad ? dirty - bad : 0;
}

bool
balance_due(const struct mobj *obj)
{
  return obj->ops->flush && dirty_now() + atomic_get_relaxed(&obj->nbad) > atomic_get_relaxed(&freerun);
}

bool
balance_over_background(void)
{
  return dirty_now() > limits_now().background;
}

uint64_t
balance_limit(void)
{
  return limits_now().all;
}

uint64_t
balance_background(void)
{
  return limits_now().background;
}

void
balance_kick(void)
{
  if(atomic_get_relaxed(&balance_wanted))
    return;
  atomic_set(&balance_wanted, true);
  waitq_wake(&balance_work);
}

void
balance_wake(void)
{
  if(waitq_busy(&writers))
    waitq_wake(&writers);
}

// How long who made n pages dirty pauses, if `dirty` pages are.
static uint64_t
pause_for(uint64_t dirty, struct limits l, uint64_t n)
{
  uint64_t from = (l.background + l.all) / 2;

  return dirty <= from ? 0 : min(n * PAUSE_PAGE * (dirty - from) / (l.all - from), PAUSE_MAX);
}

int
mobj_balance(struct mobj *obj, uint64_t n)
{
  struct limits l = limits_now();
  uint64_t pause;
  int r = 0;

  assert_may_sleep();
  assert_not_held_rank(RANK_ASPACE);
  if(obj->ops->flush == 0)
    return 0;
  if(dirty_now() > l.background)
    balance_kick();
  pause = pause_for(dirty_now(), l, n);
  if(pause > 0 && dirty_now() < l.all)
    return time_sleep_until(clock_now() + pause, WAIT_KILLABLE);
  while(r == 0 && dirty_now() >= l.all) {
    balance_kick();
    r = wait_event(&writers, dirty_now() < l.all, WAIT_KILLABLE, clock_now() + PAUSE_MAX);
    r = r == -ETIMEDOUT ? 0 : r;
    l = limits_now();
  }
  if(r == 0 && atomic_get(&obj->nbad) > 0 && 2 * atomic_get(&dirty_stats.bad) >= l.all)
    r = -EIO;
  return r;
}
