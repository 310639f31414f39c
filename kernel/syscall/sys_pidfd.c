// sys_pidfd.c -- calls about a process by descriptor: open one, send a signal, give advice on its memory.
// Typical: f = pidfd_get(a[0], &p) / work on p / file_put(f).
// Must not know: what a pidfd is made of (proc/pidfd.c).
#include "proc/pidfd.h"
#include "lib/string.h"
#include "syscall/sys.h"

enum { MADV_WILLNEED = 3, MADV_COLD = 20, MADV_PAGEOUT = 21 };

int64_t
sys_pidfd_open(const uint64_t *a)
{
  uint32_t flags = a[1];
  int pid = a[0], e;
  struct thread *t;
  struct proc *p;
  struct file *f;

  if(flags & ~O_NONBLOCK || pid <= 0)
    return -EINVAL;
  p = proc_find(pid);
  if(!p) {
    t = thread_find(pid);
    if(t)
      thread_put(t);
    return t ? -ENOENT : -ESRCH; // a thread that leads no process
  }
  e = pidfd_file(p, flags, &f);
  proc_put(p);
  return e ? e : fd_add(f, true);
}

struct file *
pidfd_get(int fd, struct proc **p)
{
  struct file *f = fd_file(fd);

  *p = f ? pidfd_proc(f) : 0;
  if(f && !*p) {
    file_put(f);
    f = 0;
  }
  return f;
}

// What the caller wants sent, or what kill(2) would send.
static int
siginfo_for(struct siginfo *si, int sig, vaddr_t va, const struct proc *p)
{
  int e;

  memset(si, 0, sizeof(*si));
  si->signo = sig;
  si->code = SI_USER;
  si->kill.pid = current_proc()->pid;
  si->kill.uid = thread_self()->cred->uid;
  if(!va)
    return 0;
  e = user_in(si, va, sizeof(*si));
  if(e)
    return e;
  if(si->signo != sig)
    return -EINVAL;
  return (si->code >= 0 || si->code == SI_TKILL) && p != current_proc() ? -EPERM : 0;
}

static int
pidfd_signal(struct proc *p, int sig, vaddr_t info)
{
  struct siginfo si;
  int e = siginfo_for(&si, sig, info, p);

  if(e)
    return e;
  if((uint32_t)sig > NSIG)
    return -EINVAL;
  if(pidfd_reaped(p))
    return -ESRCH;
  if(!signal_permitted(p, sig))
    return -EPERM;
  return sig ? signal_send(0, p, &si) : 0;
}

int64_t
sys_pidfd_send_signal(const uint64_t *a)
{
  struct proc *p;
  struct file *f;
  int e;

  if((uint32_t)a[3])
    return -EINVAL;
  f = pidfd_get(a[0], &p);
  if(!f)
    return -EBADF;
  e = pidfd_signal(p, a[1], a[2]);
  file_put(f);
  return e;
}

// ---- process_madvise

// May the caller look into p's memory, as ptrace would, and change how fast it is? What loses data is not for others.
static int
advise_allowed(struct proc *p, int advice)
{
  struct cred *mine = thread_self()->cred, *its;
  bool same;

  if(p == current_proc())
    return 0;
  if(advice != MADV_WILLNEED && advice != MADV_COLD && advice != MADV_PAGEOUT)
    return -EINVAL;
  its = proc_cred(p);
  same = its->uid == mine->uid && its->euid == mine->uid && its->suid == mine->uid;
  cred_put(its);
  if(!same && !cred_capable(CAP_SYS_PTRACE))
    return -EPERM;
  return cred_capable(CAP_SYS_NICE) ? 0 : -EPERM;
}

// Bytes advised; an error only if there were none.
static int64_t
advise_vector(struct aspace *as, vaddr_t vec, uint64_t n, int advice)
{
  struct iovec v;
  int64_t done = 0;
  int e = 0;

  for(uint64_t i = 0; i < n && e == 0; i++) {
    e = user_in(&v, vec + i * sizeof(v), sizeof(v));
    if(e == 0)
      e = madvise_range(as, v.base, v.len, advice);
    if(e == 0)
      done += v.len;
    thread_relax();
  }
  return done ? done : e;
}

static int64_t
advise_process(struct proc *p, const uint64_t *a)
{
  struct aspace *as = pidfd_reaped(p) ? 0 : proc_aspace(p);
  int64_t r = as ? advise_allowed(p, a[3]) : -ESRCH;

  if(r == 0)
    r = advise_vector(as, a[1], a[2], a[3]);
  if(as)
    aspace_put(as);
  return r;
}

int64_t
sys_process_madvise(const uint64_t *a)
{
  struct proc *p;
  struct file *f;
  int64_t r;

  if((uint32_t)a[4] || a[2] > IOV_MAX)
    return -EINVAL;
  if(!user_range(a[1], a[2] * sizeof(struct iovec)))
    return -EFAULT;
  f = pidfd_get(a[0], &p);
  if(!f)
    return -EBADF;
  r = advise_process(p, a);
  file_put(f);
  return r;
}
