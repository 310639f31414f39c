// sys_sched.c -- which CPU, and how urgently. There is one policy, SCHED_OTHER.
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

enum { PRIO_PROCESS, PRIO_PGRP, PRIO_USER };
enum { NICE_RAW = 20, NICE_FIRST = -20, NICE_LAST = 19 }; // the raw call answers 20 - nice

struct nice { // what getpriority and setpriority do to each thread they mean
  bool set;
  int value;      // the one to set; the lowest seen
  int found, err; // threads; what setting one said last
};

static int
nice_set(struct thread *t, int value)
{
  struct thread *me = thread_self();
  uint64_t floor = NICE_RAW - proc_limit(me->proc, RLIMIT_NICE);

  if(t->proc != me->proc && me->cred->euid != t->cred->uid && me->cred->euid != t->cred->euid &&
     !cred_capable(CAP_SYS_NICE))
    return -EPERM;
  if(value < atomic_get(&t->nice) && value < (int64_t)floor && !cred_capable(CAP_SYS_NICE))
    return -EACCES;
  atomic_set(&t->nice, value);
  return 0;
}

static void
nice_thread(struct nice *n, struct thread *t)
{
  int e = n->set ? nice_set(t, n->value) : 0;

  n->found++;
  if(e)
    n->err = e;
  if(!n->set)
    n->value = min(n->value, atomic_get(&t->nice));
}

static bool
nice_means(struct proc *p, int which, uint32_t who)
{
  struct cred *mine = thread_self()->cred;

  if(which == PRIO_PGRP)
    return atomic_get(&p->pgid) == (who ? who : atomic_get(&current_proc()->pgid));
  return p->leader && p->leader->cred->uid == (who ? who : mine->uid);
}

static void
nice_all(struct nice *n, int which, uint32_t who)
{
  struct proc *next;

  for(struct proc *p = proc_next(0); p; p = next) {
    spin_acquire(&p->lock);
    if(nice_means(p, which, who))
      list_for_each(it, &p->threads)
        nice_thread(n, list_entry(it, struct thread, in_proc));
    spin_release(&p->lock);
    next = proc_next(p->pid);
    proc_put(p);
  }
}

// 0, or why not.
static int64_t
nice_each(struct nice *n, uint32_t which, int who)
{
  struct thread *t;

  if(which > PRIO_USER)
    return -EINVAL;
  if(which != PRIO_PROCESS) {
    nice_all(n, which, who);
  } else if((t = sched_thread(who)) != 0) {
    if(t->proc)
      nice_thread(n, t);
    thread_put(t);
  }
  return n->found ? n->err : -ESRCH;
}

int64_t
sys_getpriority(const uint64_t *a)
{
  struct nice n = {.value = NICE_LAST};
  int64_t r = nice_each(&n, a[0], a[1]);

  return r ? r : NICE_RAW - n.value;
}

int64_t
sys_setpriority(const uint64_t *a)
{
  struct nice n = {.set = true, .value = min(max((int)a[2], (int)NICE_FIRST), (int)NICE_LAST)};

  return nice_each(&n, a[0], a[1]);
}

int64_t
sys_getcpu(const uint64_t *a)
{
  uint32_t cpu = atomic_get_relaxed(&thread_self()->cpu), node = 0;
  int e = a[0] ? user_out(a[0], &cpu, sizeof(cpu)) : 0;

  return e || !a[1] ? e : user_out(a[1], &node, sizeof(node));
}
