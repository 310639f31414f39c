// sys_signal.c -- signal calls: send, handle, block, wait, the alternate stack.
// Typical: sets and structures in / one signal_ call / old ones out.
// Must not know: how a signal is chosen or delivered; proc/signal.c does.
#include "arch/x86_64/regs.h"
#include "lib/string.h"
#include "syscall/sys.h"

static struct siginfo
siginfo_from_self(int sig, int code)
{
  struct siginfo si;

  memset(&si, 0, sizeof(si));
  si.signo = sig;
  si.code = code;
  si.kill.pid = current_proc()->pid;
  si.kill.uid = thread_self()->cred->uid;
  return si;
}

void
signal_self(int sig)
{
  struct siginfo si = siginfo_from_self(sig, SI_USER);

  signal_send(thread_self(), current_proc(), &si);
}

int64_t
sys_kill(const uint64_t *a)
{
  return signal_kill(a[0], a[1], SI_USER);
}

// To one thread; tgid 0: of any process.
static int64_t
signal_thread(int tgid, int tid, const struct siginfo *si)
{
  struct thread *t;
  int64_t r;

  if((uint32_t)si->signo > NSIG)
    return -EINVAL;
  t = thread_find(tid);
  if(!t)
    return -ESRCH;
  if(!t->proc || (tgid && t->proc->pid != tgid))
    r = -ESRCH;
  else if(!signal_permitted(t->proc, si->signo))
    r = -EPERM;
  else
    r = si->signo ? signal_send(t, t->proc, si) : 0;
  thread_put(t);
  return r;
}

int64_t
sys_tkill(const uint64_t *a)
{
  struct siginfo si = siginfo_from_self(a[1], SI_TKILL);

  return (int)a[0] <= 0 ? -EINVAL : signal_thread(0, a[0], &si);
}

int64_t
sys_tgkill(const uint64_t *a)
{
  struct siginfo si = siginfo_from_self(a[2], SI_TKILL);

  return (int)a[0] <= 0 || (int)a[1] <= 0 ? -EINVAL : signal_thread(a[0], a[1], &si);
}

// A siginfo of the program's own making. What kill and the kernel send cannot be forged to others.
static int
siginfo_in(struct siginfo *si, vaddr_t va, int sig, bool to_self)
{
  int e = user_in(si, va, sizeof(*si));

  if(e)
    return e;
  si->signo = sig;
  return (si->code >= 0 || si->code == SI_TKILL) && !to_self ? -EPERM : 0;
}

int64_t
sys_rt_sigqueueinfo(const uint64_t *a)
{
  struct siginfo si;
  struct proc *p;
  int pid = a[0];
  int64_t r = siginfo_in(&si, a[2], a[1], pid == current_proc()->pid);

  if(r)
    return r;
  if((uint32_t)si.signo > NSIG)
    return -EINVAL;
  p = proc_find(pid);
  if(!p)
    return -ESRCH;
  if(!signal_permitted(p, si.signo))
    r = -EPERM;
  else
    r = si.signo ? signal_send(0, p, &si) : 0;
  proc_put(p);
  return r;
}

int64_t
sys_rt_tgsigqueueinfo(const uint64_t *a)
{
  struct siginfo si;
  int64_t r;

  if((int)a[0] <= 0 || (int)a[1] <= 0)
    return -EINVAL;
  r = siginfo_in(&si, a[3], a[2], (int)a[0] == current_proc()->pid);
  return r ? r : signal_thread(a[0], a[1], &si);
}

int64_t
sys_rt_sigaction(const uint64_t *a)
{
  struct sigaction new, old;
  int e;

  if(a[3] != sizeof(sigset))
    return -EINVAL;
  e = a[1] ? user_in(&new, a[1], sizeof(new)) : 0;
  if(e == 0)
    e = signal_action(a[0], a[1] ? &new : 0, &old);
  if(e == 0 && a[2])
    e = user_out(a[2], &old, sizeof(old));
  return e;
}

int64_t
sys_rt_sigprocmask(const uint64_t *a)
{
  sigset new, old;
  int e;

  if(a[3] != sizeof(sigset))
    return -EINVAL;
  e = a[1] ? user_in(&new, a[1], sizeof(new)) : 0;
  if(e == 0)
    e = signal_mask(a[0], a[1] ? &new : 0, &old);
  if(e == 0 && a[2])
    e = user_out(a[2], &old, sizeof(old));
  return e;
}

// The registers that come back are the interrupted code's: nothing of this call may be restarted.
int64_t
sys_rt_sigreturn(const uint64_t *a)
{
  struct thread *t = thread_self();
  sigset mask = t->mask;
  int64_t rax = sigframe_return(t->regs, &mask);

  t->regs->orig_rax = t->syscall_no = NO_SYSCALL;
  t->restart.fn = 0;
  signal_set_mask(t, mask);
  return rax;
}

int64_t
sys_rt_sigsuspend(const uint64_t *a)
{
  sigset mask;
  int e;

  if(a[1] != sizeof(sigset))
    return -EINVAL;
  e = user_in(&mask, a[0], sizeof(mask));
  if(e)
    return e;
  return signal_suspend(&mask);
}

int64_t
sys_pause(const uint64_t *a)
{
  sigset mask = thread_self()->mask;

  return signal_suspend(&mask);
}

int
sigmask_begin(vaddr_t va, uint64_t size)
{
  sigset mask;
  int e;

  if(!va)
    return 0;
  if(size != sizeof(sigset))
    return -EINVAL;
  e = user_in(&mask, va, sizeof(mask));
  if(e == 0)
    signal_mask_until_return(&mask);
  return e;
}

int64_t
sigmask_end(vaddr_t va, int64_t result)
{
  struct thread *t = thread_self();

  // After a signal the mask stays until delivery: the handler runs with the call's mask, what follows with the old one.
  if(!va || result == -ERESTARTNOHAND)
    return result;
  t->restore_mask = false;
  signal_set_mask(t, t->saved_mask);
  return result;
}

int64_t
sys_rt_sigpending(const uint64_t *a)
{
  sigset set = signal_waiting_set();

  return a[1] > sizeof(sigset) ? -EINVAL : user_out(a[0], &set, a[1]);
}

int64_t
sys_rt_sigtimedwait(const uint64_t *a)
{
  uint64_t ns, deadline = NEVER;
  struct siginfo si;
  sigset set;
  int64_t r;
  int e;

  if(a[3] != sizeof(sigset))
    return -EINVAL;
  e = user_in(&set, a[0], sizeof(set));
  if(e == 0 && a[2]) {
    e = user_timespec(a[2], &ns);
    if(e == 0)
      deadline = deadline_after(ns);
  }
  if(e)
    return e;
  memset(&si, 0, sizeof(si));
  r = signal_timedwait(&set, &si, deadline);
  if(r > 0 && a[1] && (e = user_out(a[1], &si, sizeof(si))) != 0)
    return e;
  return r;
}

// ---- the alternate stack

static bool
altstack_in_use(const struct thread *t)
{
  // AUTODISARM takes the stack away while a handler runs on it, so that it can be set anew there.
  return !(t->altstack_flags & SS_AUTODISARM) && t->regs->rsp - t->altstack_sp - 1 < t->altstack_size;
}

static int
altstack_set(struct thread *t, const struct linux_stack *ss)
{
  uint32_t mode = ss->flags & ~SS_AUTODISARM;

  if(altstack_in_use(t))
    return -EPERM;
  if(mode != SS_DISABLE && mode != SS_ONSTACK && mode)
    return -EINVAL;
  if(mode != SS_DISABLE && ss->size < MINSIGSTKSZ)
    return -ENOMEM;
  t->altstack_sp = mode == SS_DISABLE ? 0 : ss->sp;
  t->altstack_size = mode == SS_DISABLE ? 0 : ss->size;
  t->altstack_flags = mode == SS_DISABLE ? SS_DISABLE : ss->flags & SS_AUTODISARM;
  return 0;
}

int64_t
sys_sigaltstack(const uint64_t *a)
{
  struct thread *t = thread_self();
  struct linux_stack new, old;
  int e = a[0] ? user_in(&new, a[0], sizeof(new)) : 0;

  if(e)
    return e;
  memset(&old, 0, sizeof(old));
  old.sp = t->altstack_sp;
  old.size = t->altstack_size;
  old.flags = !t->altstack_size ? SS_DISABLE : altstack_in_use(t) ? SS_ONSTACK : 0;
  old.flags |= t->altstack_flags & SS_AUTODISARM;
  e = a[0] ? altstack_set(t, &new) : 0;
  if(e == 0 && a[1])
    e = user_out(a[1], &old, sizeof(old));
  return e;
}
