// oom.c -- memory is gone and nothing could be dropped: end the program that holds the most.
// Typical: frame_wait -> frame_oom_hook = oom_kill; true: wait again, memory will come.
// A victim that is already dying is waited for instead of choosing a second one. It may need a lock whose holder waits for
// memory itself: if it has not gone after REAP_AFTER, its private memory is taken (mm/reap.c) while it is still there. Not
// at once, because its robust futexes, which others wait for, are found through that memory. If even that does not help,
// another one has to go. init is never chosen, nor is a process with oom_score_adj -1000. If nobody else is left and who
// is dying does not get on, the caller goes without memory.
#include "core/print.h"
#include "core/time.h"
#include "core/trace.h"
#include "lib/atomic.h"
#include "proc/proc.h"

enum { ADJ_NEVER = -1000, ADJ_SCALE = 1000, KIB = PAGE_SIZE / 1024 };
#define PATIENCE   (10 * MSEC)  // how long a dying victim gets before the caller looks again,
#define REAP_AFTER (300 * MSEC) // before its memory is taken,
#define STUCK      (10 * NSEC)  // and before another one has to go

static uint64_t dying_since; // (a) somebody has been dying at every look since then; 0: nobody was

// Everybody in `as` was killed for its memory: take it if they are slow to leave.
static void
reap_slow(struct aspace *as)
{
  uint64_t doomed = atomic_get(&as->doomed);

  if(doomed && clock_now() - doomed > REAP_AFTER && aspace_reap(as))
    atomic_set(&as->doomed, 0);
}

// How much ending p would help, in pages; 0: not at all. *dying: it will help by itself.
static int64_t
badness(struct proc *p, bool *dying)
{
  struct aspace *as = proc_aspace(p);
  int64_t score;

  if(as == 0) {
    if(!atomic_get(&p->zombie)) // on its way: its memory is just being emptied
      *dying = true;
    return 0;
  }
  reap_slow(as);
  if(p->group_exit)
    *dying = true;
  score = aspace_rss(as) + p->oom_score_adj * (int64_t)frames_total() / ADJ_SCALE;
  if(p == proc_initial || p->oom_score_adj == ADJ_NEVER || p->group_exit)
    score = 0;
  else if(score < 1)
    score = 1;
  aspace_put(as);
  return score;
}

// Who has to go and what the memory is full of: what an administrator needs to see that it was not the program's fault.
static void
tell(const struct proc *p, uint64_t pages)
{
  uint64_t shmem = mobj_total_shmem(),
           cached = max(mobj_total_cached(), shmem); // the two are counted one after the other

  print(
      "out of memory: process %d ends (%lu KiB of its own). KiB free: %lu, in shared memory and tmpfs: %lu, in files: "
      "%lu, in the kernel: %lu\n",
      p->pid, pages * KIB, frames_free() * KIB, shmem * KIB, (cached - shmem) * KIB,
      (kmem_pages() + ((uint64_t)sched_threads() << KSTACK_ORDER)) * KIB);
}

static void
kill_process(struct proc *p)
{
  spin_acquire(&p->lock);
  signal_kill_all(p, SIGKILL);
  spin_release(&p->lock);
}

// Everyone who runs in the victim's memory: one of them alone would free nothing.
static void
kill_sharers(struct aspace *as)
{
  bool spared = false;
  struct proc *p;

  for(int pid = 0; (p = proc_next(pid)) != 0; pid = p->pid, proc_put(p))
    if(p->as == as && p == proc_initial)
      spared = true;
    else if(p->as == as)
      kill_process(p);
  if(!spared)
    atomic_set(&as->doomed, clock_now());
}

// `dying` is what this look has found: has nobody got out of the way for too long?
static bool
stuck(bool dying)
{
  uint64_t now = clock_now(), since = atomic_get(&dying_since);

  if(!dying)
    atomic_set(&dying_since, 0);
  else if(since == 0)
    atomic_set(&dying_since, now);
  else if(now - since > STUCK) {
    atomic_set(&dying_since, now);
    return true;
  }
  return false;
}

bool
oom_kill(void)
{
  struct proc *p, *worst = 0;
  struct aspace *as;
  int64_t most = 0;
  bool dying = false, late;

  for(int pid = 0; (p = proc_next(pid)) != 0; pid = p->pid, proc_put(p)) {
    int64_t score = badness(p, &dying);

    if(score <= most)
      continue;
    if(worst)
      proc_put(worst);
    worst = proc_get(p);
    most = score;
  }
  late = stuck(dying);
  if((late || !dying) && worst) {
    trace(OOM, worst->pid, most, frames_free());
    as = proc_aspace(worst);
    tell(worst, as ? aspace_rss(as) : 0);
    kill_process(worst);
    if(as) {
      kill_sharers(as);
      aspace_put(as);
    }
    dying = true;
  } else if(late) {
    dying = false; // nobody is left to end, and who is dying may be waiting for us
  }
  if(worst)
    proc_put(worst);
  if(dying)
    time_sleep_until(clock_now() + PATIENCE, WAIT_KILLABLE);
  return dying;
}
