// sys_prctl.c -- the small switches of one process or thread: prctl, arch_prctl, personality.
// What is not listed is EINVAL, as in a Linux built without it.
#include "lib/string.h"
#include "syscall/sys.h"

enum {
  PR_SET_PDEATHSIG = 1,
  PR_GET_PDEATHSIG = 2,
  PR_GET_DUMPABLE = 3,
  PR_SET_DUMPABLE = 4,
  PR_GET_KEEPCAPS = 7,
  PR_SET_NAME = 15,
  PR_GET_NAME = 16,
  PR_CAPBSET_READ = 23,
  PR_GET_SECUREBITS = 27,
  PR_SET_CHILD_SUBREAPER = 36,
  PR_GET_CHILD_SUBREAPER = 37,
  PR_SET_NO_NEW_PRIVS = 38,
  PR_GET_NO_NEW_PRIVS = 39,
  PR_GET_TID_ADDRESS = 40,
  PR_SET_VMA = 0x53564d41,
};
enum { COMM_SIZE = sizeof(((struct thread *)0)->name) };

static int64_t
prctl_set_name(vaddr_t va)
{
  struct thread *t = thread_self();
  char name[COMM_SIZE];
  int64_t n = copyin_string(user_as(), name, va, sizeof(name));

  if(n == -ENAMETOOLONG)
    n = user_in(name, va, sizeof(name)); // longer ones are cut
  if(n < 0)
    return n;
  name[sizeof(name) - 1] = 0;
  strlcpy(t->name, name, sizeof(t->name));
  return 0;
}

static int64_t
prctl_get_name(vaddr_t va)
{
  char name[COMM_SIZE] = {0};

  strlcpy(name, thread_self()->name, sizeof(name));
  return user_out(va, name, sizeof(name));
}

static int64_t
out_int(vaddr_t va, int value)
{
  return user_out(va, &value, sizeof(value));
}

static int64_t
prctl_set_flag(bool *flag, bool on)
{
  struct proc *p = current_proc();

  spin_acquire(&p->lock);
  *flag = on;
  spin_release(&p->lock);
  return 0;
}

static int64_t
prctl_pdeathsig(uint64_t sig)
{
  if(sig > NSIG)
    return -EINVAL;
  atomic_set(&current_proc()->pdeath_sig, (int)sig);
  return 0;
}

int64_t
sys_prctl(const uint64_t *a)
{
  struct proc *p = current_proc();

  switch((uint32_t)a[0]) {
  case PR_SET_NAME: return prctl_set_name(a[1]);
  case PR_GET_NAME: return prctl_get_name(a[1]);
  case PR_SET_PDEATHSIG: return prctl_pdeathsig(a[1]);
  case PR_GET_PDEATHSIG: return out_int(a[1], p->pdeath_sig);
  case PR_GET_DUMPABLE: return p->dumpable;
  case PR_SET_DUMPABLE: return a[1] > 1 ? -EINVAL : prctl_set_flag(&p->dumpable, a[1]);
  case PR_SET_NO_NEW_PRIVS: return a[1] != 1 || a[2] || a[3] || a[4] ? -EINVAL : prctl_set_flag(&p->no_new_privs, true);
  case PR_GET_NO_NEW_PRIVS: return a[1] || a[2] || a[3] || a[4] ? -EINVAL : p->no_new_privs;
  case PR_SET_CHILD_SUBREAPER: return prctl_set_flag(&p->child_subreaper, a[1]);
  case PR_GET_CHILD_SUBREAPER: return out_int(a[1], p->child_subreaper);
  case PR_CAPBSET_READ: return a[1] > CAP_LAST ? -EINVAL : 1; // nothing is ever taken out of the bounding set
  case PR_GET_KEEPCAPS:
  case PR_GET_SECUREBITS: return 0;
  case PR_GET_TID_ADDRESS: return user_out(a[1], &thread_self()->clear_tid, sizeof(vaddr_t));
  case PR_SET_VMA: return a[1] ? -EINVAL : 0; // a region's name is only for who reads /proc: accepted, not shown
  default: return -EINVAL;
  }
}

// The segment bases live in the CPU while the thread runs: fetch all, change one, load all.
static int64_t
segment_set(uint64_t *base, uint64_t value)
{
  struct thread *t = thread_self();

  if(value >= USER_TOP)
    return -EPERM;
  irq_off();
  arch_thread_save(t);
  *base = value;
  arch_thread_load(t);
  irq_restore();
  return 0;
}

static int64_t
segment_get(const uint64_t *base, vaddr_t out)
{
  uint64_t value;

  irq_off();
  arch_thread_save(thread_self());
  value = *base;
  irq_restore();
  return user_out(out, &value, sizeof(value));
}

int64_t
sys_arch_prctl(const uint64_t *a)
{
  struct thread *t = thread_self();

  switch((uint32_t)a[0]) {
  case ARCH_SET_FS: return segment_set(&t->fs_base, a[1]);
  case ARCH_SET_GS: return segment_set(&t->gs_base, a[1]);
  case ARCH_GET_FS: return segment_get(&t->fs_base, a[1]);
  case ARCH_GET_GS: return segment_get(&t->gs_base, a[1]);
  default: return -EINVAL;
  }
}

// Only Linux's own; 0xffffffff asks.
int64_t
sys_personality(const uint64_t *a)
{
  return (uint32_t)a[0] == UINT32_MAX || !(uint32_t)a[0] ? 0 : -EINVAL;
}
