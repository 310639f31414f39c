// sys_limit.c -- resource limits and what was used.
#include "lib/string.h"
#include "syscall/sys.h"

enum { NOFILE_MAX = 1048576 }; // Linux's fs.nr_open

// Limits that mm enforces by itself are copied to where it looks.
static void
limit_publish(struct aspace *as, int which, uint64_t cur)
{
  rw_write(&as->lock);
  switch(which) {
  case RLIMIT_AS: as->limit.as = cur; break;
  case RLIMIT_DATA: as->limit.data = cur; break;
  case RLIMIT_STACK: as->limit.stack = cur; break;
  case RLIMIT_MEMLOCK: as->limit.memlock = cred_capable(CAP_IPC_LOCK) ? NEVER : cur; break;
  }
  rw_write_release(&as->lock);
}

void
limit_memlock_publish(void)
{
  limit_publish(user_as(), RLIMIT_MEMLOCK, limit_of(RLIMIT_MEMLOCK));
}

static int
limit_check(const struct rlimit *new, const struct rlimit *old, int which)
{
  if(new->cur > new->max)
    return -EINVAL;
  if(which == RLIMIT_NOFILE && new->max > NOFILE_MAX)
    return -EPERM;
  return new->max > old->max && !cred_capable(CAP_SYS_RESOURCE) ? -EPERM : 0;
}

// Exchange one limit of p; `new` 0: only ask.
static int
limit_set(struct proc *p, int which, const struct rlimit *new, struct rlimit *old)
{
  struct aspace *as = 0;
  int e = 0;

  spin_acquire(&p->lock);
  *old = p->rlim[which];
  if(new) {
    e = limit_check(new, old, which);
    if(e == 0) {
      p->rlim[which] = *new;
      as = p->as ? aspace_get(p->as) : 0;
    }
  }
  spin_release(&p->lock);
  if(as) {
    limit_publish(as, which, new->cur);
    aspace_put(as);
  }
  return e;
}

static bool
limit_may(struct proc *p)
{
  const struct cred *cr = thread_self()->cred, *of;
  bool same;

  if(p == current_proc() || cred_capable(CAP_SYS_RESOURCE))
    return true;
  spin_acquire(&p->lock);
  of = p->leader ? p->leader->cred : 0;
  same = of && cr->uid == of->uid && cr->uid == of->euid && cr->uid == of->suid && cr->gid == of->gid &&
         cr->gid == of->egid && cr->gid == of->sgid;
  spin_release(&p->lock);
  return same;
}

static int64_t
limit_call(int pid, uint32_t which, vaddr_t newva, vaddr_t oldva)
{
  struct rlimit new, old;
  struct proc *p;
  int e;

  if(which >= RLIMITS)
    return -EINVAL;
  e = newva ? user_in(&new, newva, sizeof(new)) : 0;
  if(e)
    return e;
  p = pid ? proc_find(pid) : proc_get(current_proc());
  if(!p)
    return -ESRCH;
  e = limit_may(p) ? limit_set(p, which, newva ? &new : 0, &old) : -EPERM;
  proc_put(p);
  if(e == 0 && oldva)
    e = user_out(oldva, &old, sizeof(old));
  return e;
}

int64_t
sys_prlimit64(const uint64_t *a)
{
  return limit_call(a[0], a[1], a[2], a[3]);
}

int64_t
sys_getrlimit(const uint64_t *a)
{
  struct rlimit old;
  uint32_t which = a[0];

  if(which >= RLIMITS)
    return -EINVAL;
  limit_set(current_proc(), which, 0, &old);
  return user_out(a[1], &old, sizeof(old));
}

int64_t
sys_setrlimit(const uint64_t *a)
{
  struct rlimit new, old;
  uint32_t which = a[0];
  int e;

  if(which >= RLIMITS)
    return -EINVAL;
  e = user_in(&new, a[1], sizeof(new));
  return e ? e : limit_set(current_proc(), which, &new, &old);
}

// ---- usage

int64_t
sys_getrusage(const uint64_t *a)
{
  struct rusage ru;
  int e;

  memset(&ru, 0, sizeof(ru));
  e = proc_rusage(a[0], &ru);
  return e ? e : user_out(a[1], &ru, sizeof(ru));
}

enum { NSEC_PER_TICK = 1000000000 / USER_HZ };

int64_t
sys_times(const uint64_t *a)
{
  struct proctimes p;
  struct tms t;
  int e = 0;

  if(a[0]) {
    proc_times(current_proc(), &p);
    t.utime = p.user / NSEC_PER_TICK;
    t.stime = p.system / NSEC_PER_TICK;
    t.cutime = p.cuser / NSEC_PER_TICK;
    t.cstime = p.csystem / NSEC_PER_TICK;
    e = user_out(a[0], &t, sizeof(t));
  }
  return e ? e : (int64_t)(clock_now() / NSEC_PER_TICK);
}
