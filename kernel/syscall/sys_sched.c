// sys_sched.c -- which CPU, and how urgently. There is one policy, SCHED_OTHER, and one niceness, 0.
#include "lib/string.h"
#include "syscall/sys.h"

int64_t
sys_sched_yield(const uint64_t *a)
{
  thread_yield();
  return 0;
}

// The thread of a tid, 0 being the caller: referenced; 0: there is none.
static struct thread *
sched_thread(int tid)
{
  return tid < 0 ? 0 : thread_find(tid ? tid : thread_self()->tid);
}

static uint64_t
cpus_present(void)
{
  return cpu_count >= CPU_MAX ? ~0ull : (1ull << cpu_count) - 1;
}

enum { MASK_SIZE = sizeof(uint64_t), BYTE_BITS = 8 };

int64_t
sys_sched_getaffinity(const uint64_t *a)
{
  uint32_t len = a[1];
  struct thread *t;
  uint64_t mask;
  int e;

  if(len % MASK_SIZE || len * BYTE_BITS < (uint32_t)cpu_count)
    return -EINVAL;
  t = sched_thread(a[0]);
  if(!t)
    return -ESRCH;
  mask = atomic_get_relaxed(&t->affinity) & cpus_present();
  thread_put(t);
  e = user_out(a[2], &mask, sizeof(mask));
  return e ? e : MASK_SIZE;
}

int64_t
sys_sched_setaffinity(const uint64_t *a)
{
  uint64_t mask = 0;
  struct thread *t;
  int e = user_in(&mask, a[2], min((uint32_t)a[1], (uint32_t)MASK_SIZE));

  if(e)
    return e;
  t = sched_thread(a[0]);
  if(!t)
    return -ESRCH;
  if(!t->proc || (!signal_permitted(t->proc, 0) && !cred_capable(CAP_SYS_NICE)))
    e = -EPERM;
  else
    e = mask & cpus_present() ? sched_set_affinity(t, mask & cpus_present()) : -EINVAL;
  thread_put(t);
  return e;
}

// 0 if there is such a thread.
static int64_t
sched_exists(int tid)
{
  struct thread *t;

  if(tid < 0)
    return -EINVAL;
  t = sched_thread(tid);
  if(!t)
    return -ESRCH;
  thread_put(t);
  return 0;
}

int64_t
sys_sched_getscheduler(const uint64_t *a)
{
  return sched_exists(a[0]); // SCHED_OTHER
}

static bool
policy_realtime(int policy)
{
  return policy == SCHED_FIFO || policy == SCHED_RR;
}

static bool
policy_known(int policy)
{
  return policy_realtime(policy) || policy == SCHED_OTHER || policy == SCHED_BATCH || policy == SCHED_IDLE;
}

enum { REALTIME_MIN = 1, REALTIME_MAX = 99 };

// Only what is so already can be asked for; anything else is refused as Linux refuses it to the unprivileged.
static int64_t
sched_set(int tid, int policy, vaddr_t param)
{
  int32_t priority;
  int64_t r;
  int e;

  if(tid < 0 || !param || !policy_known(policy))
    return -EINVAL;
  e = user_in(&priority, param, sizeof(priority));
  if(e)
    return e;
  if(policy_realtime(policy) ? priority < REALTIME_MIN || priority > REALTIME_MAX : priority != 0)
    return -EINVAL;
  r = sched_exists(tid);
  return r ? r : policy == SCHED_OTHER ? 0 : -EPERM;
}

int64_t
sys_sched_setscheduler(const uint64_t *a)
{
  return sched_set(a[0], a[1], a[2]);
}

int64_t
sys_sched_setparam(const uint64_t *a)
{
  return sched_set(a[0], SCHED_OTHER, a[1]);
}

int64_t
sys_sched_getparam(const uint64_t *a)
{
  int32_t priority = 0;
  int64_t r = a[1] ? sched_exists(a[0]) : -EINVAL;

  return r ? r : user_out(a[1], &priority, sizeof(priority));
}

int64_t
sys_sched_get_priority_max(const uint64_t *a)
{
  return policy_realtime(a[0]) ? REALTIME_MAX : policy_known(a[0]) ? 0 : -EINVAL;
}

int64_t
sys_sched_get_priority_min(const uint64_t *a)
{
  return policy_realtime(a[0]) ? REALTIME_MIN : policy_known(a[0]) ? 0 : -EINVAL;
}

enum { PRIO_PROCESS, PRIO_PGRP, PRIO_USER, NICE_RAW = 20 }; // the raw call answers 20 - nice

static int64_t
prio_who(uint32_t which, int who)
{
  if(which > PRIO_USER)
    return -EINVAL;
  return which == PRIO_PROCESS && who ? sched_exists(who) : 0;
}

int64_t
sys_getpriority(const uint64_t *a)
{
  int64_t r = prio_who(a[0], a[1]);

  return r ? r : NICE_RAW;
}

int64_t
sys_setpriority(const uint64_t *a)
{
  int64_t r = prio_who(a[0], a[1]);

  return r || !(int)a[2] ? r : (int)a[2] < 0 && !cred_capable(CAP_SYS_NICE) ? -EACCES : -EPERM;
}

int64_t
sys_getcpu(const uint64_t *a)
{
  uint32_t cpu = atomic_get_relaxed(&thread_self()->cpu), node = 0;
  int e = a[0] ? user_out(a[0], &cpu, sizeof(cpu)) : 0;

  return e || !a[1] ? e : user_out(a[1], &node, sizeof(node));
}
