// sys_proc.c -- processes and threads: make, replace, end and wait for them; their numbers and groups.
// Typical: gather a structure from registers or memory / one proc_ call.
// Must not know: how any of it is done; proc/ does.
#include "lib/string.h"
#include "proc/pidfd.h"
#include "syscall/sys.h"

// clone's argument order on x86-64: flags, stack, parent_tid, child_tid, tls. The signal lies in the flags' low byte.
int64_t
sys_clone(const uint64_t *a)
{
  struct clone_args c = {
      .flags = (uint32_t)a[0] & ~CSIGNAL,
      .exit_signal = a[0] & CSIGNAL,
      .stack = a[1],
      .parent_tid = a[2],
      .child_tid = a[3],
      .tls = a[4],
      .pidfd = a[2],
  };

  if(c.flags & CLONE_PIDFD && c.flags & CLONE_PARENT_SETTID) // one argument for two things
    return -EINVAL;
  return proc_clone(&c);
}

int64_t
sys_fork(const uint64_t *a)
{
  struct clone_args c = {.exit_signal = SIGCHLD};

  return proc_clone(&c);
}

int64_t
sys_vfork(const uint64_t *a)
{
  struct clone_args c = {.flags = CLONE_VFORK | CLONE_VM, .exit_signal = SIGCHLD};

  return proc_clone(&c);
}

// Bytes past the structure that this kernel knows must be 0.
static int
clone3_tail(vaddr_t va, uint64_t size)
{
  uint8_t byte;
  int e;

  for(uint64_t i = sizeof(struct clone_args); i < size; i++) {
    e = user_in(&byte, va + i, 1);
    if(e || byte)
      return e ? e : -E2BIG;
  }
  return 0;
}

// clone3 gives the stack by its low end; from here on it is the stack pointer, as in clone.
static int
clone3_check(struct clone_args *c)
{
  if(c->flags >> CLONE_BITS || c->exit_signal & ~(uint64_t)CSIGNAL || c->flags & (CSIGNAL | CLONE_DETACHED))
    return -EINVAL;
  if(c->flags & (CLONE_THREAD | CLONE_PARENT) && c->exit_signal)
    return -EINVAL;
  if(!c->stack != !c->stack_size || (c->stack && !user_range(c->stack, c->stack_size)))
    return -EINVAL;
  c->stack += c->stack_size;
  c->stack_size = 0;
  return 0;
}

// The chosen number: one, as there is one level of names for processes.
static int
clone3_set_tid(struct clone_args *c)
{
  int32_t tid;
  int e;

  if(!c->set_tid != !c->set_tid_size || c->set_tid_size > 1)
    return -EINVAL;
  if(!c->set_tid)
    return 0;
  e = user_in(&tid, c->set_tid, sizeof(tid));
  if(e)
    return e;
  c->set_tid = tid;
  return tid > 0 ? 0 : -EINVAL;
}

int64_t
sys_clone3(const uint64_t *a)
{
  struct clone_args c;
  uint64_t size = a[1];
  int e;

  if(size > PAGE_SIZE)
    return -E2BIG;
  if(size < CLONE_ARGS_VER0)
    return -EINVAL;
  memset(&c, 0, sizeof(c));
  e = clone3_tail(a[0], size);
  if(e == 0)
    e = user_in(&c, a[0], min(size, sizeof(c)));
  if(e == 0)
    e = clone3_check(&c);
  if(e == 0)
    e = clone3_set_tid(&c);
  return e ? e : proc_clone(&c);
}

static int64_t
exec_at(int dirfd, vaddr_t path, vaddr_t argv, vaddr_t envp, uint32_t flags)
{
  struct userpath p;
  int e;

  if(flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
    return -EINVAL;
  e = userpath_get(&p, dirfd, path, flags & AT_EMPTY_PATH ? PATH_MAYBE_EMPTY : PATH_NONEMPTY);
  if(e)
    return e;
  e = proc_exec(p.at, p.name, flags, argv, envp);
  userpath_put(&p);
  return e;
}

int64_t
sys_execve(const uint64_t *a)
{
  return exec_at(AT_FDCWD, a[0], a[1], a[2], 0);
}

int64_t
sys_execveat(const uint64_t *a)
{
  return exec_at(a[0], a[1], a[2], a[3], a[4]);
}

enum { EXIT_CODE = 0xff, EXIT_SHIFT = 8 };

int64_t
sys_exit(const uint64_t *a)
{
  proc_exit_thread(a[0] & EXIT_CODE);
}

int64_t
sys_exit_group(const uint64_t *a)
{
  proc_exit_group((a[0] & EXIT_CODE) << EXIT_SHIFT);
}

// ---- waiting

int64_t
sys_wait4(const uint64_t *a)
{
  int pid = a[0], which = P_ALL, id = 0, status = 0, e;
  uint32_t options = a[2];
  struct rusage ru;
  int64_t r;

  if(options & ~(WNOHANG | WUNTRACED | WCONTINUED | WTHREADFLAGS))
    return -EINVAL;
  if(pid == INT32_MIN)
    return -ESRCH;
  if(pid != -1) {
    which = pid > 0 ? P_PID : P_PGID;
    id = pid > 0 ? pid : -pid; // group 0: the caller's
  }
  memset(&ru, 0, sizeof(ru));
  r = proc_wait(which, id, options | WEXITED, &status, 0, a[3] ? &ru : 0);
  if(r <= 0)
    return r;
  e = a[1] ? user_out(a[1], &status, sizeof(status)) : 0;
  if(e == 0 && a[3])
    e = user_out(a[3], &ru, sizeof(ru));
  return e ? e : r;
}

enum { P_PIDFD = 3 };

static int
waitid_who(uint32_t which, int id)
{
  switch(which) {
  case P_ALL: return 0;
  case P_PID: return id > 0 ? 0 : -EINVAL;
  case P_PGID: return id >= 0 ? 0 : -EINVAL; // 0: the caller's
  default: return -EINVAL;
  }
}

// P_PIDFD: the number of the process behind it, and whether to wait at all.
static int
waitid_pidfd(int fd, int *id, bool *nonblock)
{
  struct proc *p;
  struct file *f;
  int e;

  if(fd < 0)
    return -EINVAL;
  f = pidfd_get(fd, &p);
  if(!f)
    return -EBADF;
  e = pidfd_reaped(p) ? -ECHILD : 0; // its number may be another's
  *id = p->pid;
  *nonblock = f->flags & O_NONBLOCK;
  file_put(f);
  return e;
}

int64_t
sys_waitid(const uint64_t *a)
{
  uint32_t which = a[0], options = a[3];
  struct rusage ru;
  struct siginfo si;
  int id = a[1], status = 0, e;
  bool nonblock = false;
  int64_t r;

  if(options & ~(WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | WTHREADFLAGS))
    return -EINVAL;
  if(!(options & (WEXITED | WSTOPPED | WCONTINUED)))
    return -EINVAL;
  e = which == P_PIDFD ? waitid_pidfd(id, &id, &nonblock) : waitid_who(which, id);
  if(e)
    return e;
  which = which == P_PIDFD ? P_PID : which;
  nonblock &= !(options & WNOHANG);
  memset(&si, 0, sizeof(si));
  memset(&ru, 0, sizeof(ru));
  r = proc_wait(which, id, options | (nonblock ? WNOHANG : 0), &status, &si, a[4] ? &ru : 0);
  if(r < 0 || (r == 0 && nonblock))
    return r ? r : -EAGAIN;
  e = a[2] ? user_out(a[2], &si, sizeof(si)) : 0;
  if(e == 0 && a[4] && r > 0)
    e = user_out(a[4], &ru, sizeof(ru));
  return e;
}

// ---- numbers

int64_t
sys_getpid(const uint64_t *a)
{
  return current_proc()->pid;
}

int64_t
sys_gettid(const uint64_t *a)
{
  return thread_self()->tid;
}

int64_t
sys_getppid(const uint64_t *a)
{
  struct proc *p = current_proc();
  int pid;

  spin_acquire(&proclist_lock); // the parent may be ending
  pid = p->parent ? p->parent->pid : 0;
  spin_release(&proclist_lock);
  return pid;
}

int64_t
sys_setpgid(const uint64_t *a)
{
  if((int)a[1] < 0)
    return -EINVAL;
  return session_setpgid(a[0], a[1]);
}

int64_t
sys_getpgid(const uint64_t *a)
{
  return session_getpgid(a[0]);
}

int64_t
sys_getpgrp(const uint64_t *a)
{
  return session_getpgid(0);
}

int64_t
sys_setsid(const uint64_t *a)
{
  return session_setsid();
}

int64_t
sys_getsid(const uint64_t *a)
{
  return session_getsid(a[0]);
}
