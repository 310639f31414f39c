// load.c -- the load averages of uptime and top: threads that run or want to, fading over 1, 5 and 15 minutes.
#include "core/time.h"
#include "lib/atomic.h"
#include "lib/string.h"
#include "proc/proc.h"

#define LOAD_PERIOD (5 * NSEC)
enum { LOAD_ONE = 1 << 16, LOAD_FORGET = 1000 }; // periods after which an average is nothing but the present

static struct {
  struct spinlock lock;
  uint64_t next, average[3];
} load = {SPINLOCK_INIT("load", RANK_TIMERS), 0, {0}};

// Length of the run queues, and from it the averages over 1, 5 and 15 minutes. Called now and then; makes up for
// the periods in which nobody was there to call it.
void
load_update(uint64_t now)
{
  static const uint64_t keep[3] = {60294, 64452, 65172}; // 65536 * exp(-5 s / 1, 5, 15 min)
  uint64_t active, periods = 0;

  if(now < atomic_get_relaxed(&load.next) || !spin_try(&load.lock))
    return;
  active = (uint64_t)sched_running() * LOAD_ONE;
  for(; load.next <= now && periods < LOAD_FORGET; periods++, load.next += LOAD_PERIOD)
    for(int i = 0; i < 3; i++)
      load.average[i] = (load.average[i] * keep[i] + active * (LOAD_ONE - keep[i])) / LOAD_ONE;
  if(load.next <= now)
    load.next = now + LOAD_PERIOD;
  spin_release(&load.lock);
}

void
load_read(uint64_t now, uint64_t out[3])
{
  load_update(now);
  spin_acquire(&load.lock);
  memcpy(out, load.average, sizeof(load.average));
  spin_release(&load.lock);
}
