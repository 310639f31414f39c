// thrash.c -- is memory so full that programs only take each other's last pages of text away?
// Reclaim then goes on finding a page to drop, which is read again at once: nobody waits for ever, and nobody gets on. That
// is so when the cached pages of files have been few for a while at every look, and the disk took none either. Looks are
// made by those who wait for memory; where nobody looked for a while, nobody was short of it.
#include "lib/atomic.h"
#include "mm/mm.h"

enum { FEW_SHARE = 256, FEW_MAX = 256 }; // few: less than one frame in so many, and than so many pages
#define PATIENCE (250 * MSEC)
#define PAUSE    (100 * MSEC) // after so long without a look it begins anew

static uint64_t since, last; // (a) the first and the newest of the looks that found few
static uint64_t written;     // (a) by then

static bool
few_cached(void)
{
  uint64_t shmem = mobj_total_shmem(), cached = mobj_total_cached();

  return cached < shmem + min(frames_total() / FEW_SHARE, (uint64_t)FEW_MAX);
}

bool
thrashing(void)
{
  uint64_t now = clock_now(), before = atomic_swap(&last, now), clean = atomic_get(&dirty_stats.written);

  if(!few_cached() || now > before + PAUSE || atomic_swap(&written, clean) != clean)
    atomic_set(&since, now);
  if(now < atomic_get(&since) + PATIENCE) // another CPU's look may be newer than ours
    return false;
  atomic_set(&since, now); // what is done about it gets its time, too
  return true;
}
