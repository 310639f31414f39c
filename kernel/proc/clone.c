// clone.c -- a new thread or process: what it shares with its maker, what it gets a copy of.
//
// Order: check the flags; reserve everything that can fail into a half-made child (undone by child_undo); then commit: write
// the ids out, enter it into the tables, run it. Nothing after proc_add can fail.
// Must not know: how user memory is copied (aspace_fork).
#include "core/trace.h"
#include "lib/atomic.h"
#include "lib/string.h"
#include "proc/pidfd.h"

#define CLONE_SIGNAL         0xffull
#define CLONE_VM             0x100ull
#define CLONE_FS             0x200ull
#define CLONE_FILES          0x400ull
#define CLONE_SIGHAND        0x800ull
#define CLONE_PIDFD          0x1000ull
#define CLONE_VFORK          0x4000ull
#define CLONE_PARENT         0x8000ull
#define CLONE_THREAD         0x10000ull
#define CLONE_NEWNS          0x20000ull
#define CLONE_SETTLS         0x80000ull
#define CLONE_PARENT_SETTID  0x100000ull
#define CLONE_CHILD_CLEARTID 0x200000ull
#define CLONE_CHILD_SETTID   0x1000000ull
#define CLONE_NAMESPACES     0x7e020080ull // cgroup uts ipc user pid net, mount, time
#define CLONE_CLEAR_SIGHAND  0x100000000ull
#define CLONE_INTO_CGROUP    0x200000000ull

enum { FRAMES_PER_THREAD = 32 }; // an eighth of memory may be kernel stacks

struct vfork_wait { // shared by the parent that waits and the child
  int ref;          // (a)
  bool done;        // (a)
  struct waitq q;
};

static void
vfork_put(struct vfork_wait *v)
{
  if(atomic_sub(&v->ref, 1) == 0)
    kfree(v);
}

void
clone_release_parent(struct thread *t)
{
  struct vfork_wait *v = t->vfork;

  if(v == 0)
    return;
  t->vfork = 0;
  atomic_set(&v->done, true);
  waitq_wake(&v->q);
  vfork_put(v);
}

// ---- what may be asked

static int
check_flags(const struct clone_args *a)
{
  uint64_t f = a->flags;

  if(f & CLONE_NAMESPACES)
    return cred_capable(CAP_SYS_ADMIN) ? -EINVAL : -EPERM;
  if((f & CLONE_INTO_CGROUP) || ((f & CLONE_PIDFD) && (f & CLONE_THREAD)))
    return -EINVAL;
  if((f & CLONE_THREAD) && !(f & CLONE_SIGHAND))
    return -EINVAL;
  if((f & CLONE_SIGHAND) && (!(f & CLONE_VM) || (f & CLONE_CLEAR_SIGHAND)))
    return -EINVAL;
  if(a->exit_signal > NSIG)
    return -EINVAL;
  if((f & CLONE_PARENT) && current_proc() == proc_initial)
    return -EINVAL;
  return 0;
}

static uint64_t
count_of_user(uint32_t uid)
{
  uint64_t n = 0;
  struct proc *p;

  for(int pid = 0; (p = proc_next(pid)) != 0; pid = p->pid, proc_put(p)) {
    struct cred *c = proc_cred(p);

    n += c->uid == uid ? p->nthreads : 0;
    cred_put(c);
  }
  return n;
}

uint64_t
clone_threads_max(void)
{
  return frames_total() / FRAMES_PER_THREAD;
}

static int
check_limits(struct proc *p)
{
  uint64_t limit = proc_limit(p, RLIMIT_NPROC);

  if(sched_threads() >= clone_threads_max())
    return -EAGAIN;
  if(limit == UINT64_MAX || cred_capable(CAP_SYS_RESOURCE) || cred_capable(CAP_SYS_ADMIN))
    return 0;
  return count_of_user(thread_self()->cred->uid) >= limit ? -EAGAIN : 0;
}

// ---- a thread like this one

struct sighand *
sighand_copy(struct sighand *h, bool clear)
{
  struct sighand *n = kzalloc(sizeof(*n));

  if(n == 0)
    return 0;
  n->ref = 1;
  spin_init(&n->lock, "sighand", RANK_FDTABLE);
  if(h == 0)
    return n;
  spin_acquire(&h->lock);
  memcpy(n->action, h->action, sizeof(n->action));
  spin_release(&h->lock);
  for(int i = 0; i < NSIG && clear; i++)
    if(n->action[i].handler != SIG_IGN)
      n->action[i] = (struct sigaction){0};
  return n;
}

void
sighand_put(struct sighand *h)
{
  if(atomic_sub(&h->ref, 1) == 0)
    kfree(h);
}

static void
drop_shared(struct thread *t)
{
  if(t->files)
    fdtable_put(t->files);
  if(t->fs)
    fsctx_put(t->fs);
  t->files = 0;
  t->fs = 0;
}

// A thread with this one's files, directories, credentials and registers; not in any table. 0 or -E.
static int
thread_like_me(const struct clone_args *a, struct thread **out)
{
  struct thread *me = thread_self(), *t = thread_alloc();

  if(t == 0)
    return -ENOMEM;
  t->files = (a->flags & CLONE_FILES) ? fdtable_get(me->files) : fdtable_copy(me->files);
  t->fs = (a->flags & CLONE_FS) ? fsctx_get(me->fs) : fsctx_copy(me->fs);
  t->cred = cred_get(me->cred);
  if(t->files == 0 || t->fs == 0 || fpu_alloc(t) != 0) {
    drop_shared(t);
    thread_put(t);
    return -ENOMEM;
  }
  fpu_copy(t, me);
  arch_thread_fork(t, me->regs, a->stack ? a->stack + a->stack_size : 0, a->tls, a->flags & CLONE_SETTLS);
  memcpy(t->name, me->name, sizeof(t->name));
  t->affinity = me->affinity;
  t->nice = atomic_get_relaxed(&me->nice);
  t->mempolicy = me->mempolicy;
  t->mask = me->mask;
  t->strace = me->strace;
  t->clear_tid = (a->flags & CLONE_CHILD_CLEARTID) ? a->child_tid : 0;
  if(!(a->flags & CLONE_VM) || (a->flags & CLONE_VFORK)) {
    t->altstack_sp = me->altstack_sp;
    t->altstack_size = me->altstack_size;
    t->altstack_flags = me->altstack_flags;
  }
  if(!(a->flags & CLONE_VM))
    rseq_inherit(t, me);
  *out = t;
  return 0;
}

// ---- a process like this one

// The address space is last: a fork that succeeded but for something else would have narrowed everything for nothing.
static int
proc_fill(struct proc *p, struct proc *me, const struct clone_args *a)
{
  int e;

  p->exit_signal = a->exit_signal;
  p->dumpable = me->dumpable;
  p->no_new_privs = me->no_new_privs;
  p->oom_score_adj = me->oom_score_adj;
  memcpy(p->rlim, me->rlim, sizeof(p->rlim));
  if(a->flags & CLONE_SIGHAND) {
    atomic_add(&me->sighand->ref, 1);
    p->sighand = me->sighand;
  } else {
    p->sighand = sighand_copy(me->sighand, a->flags & CLONE_CLEAR_SIGHAND);
  }
  if(p->sighand == 0)
    return -ENOMEM;
  spin_acquire(&me->lock);
  p->exe = me->exe ? file_get(me->exe) : 0;
  spin_release(&me->lock);
  if(p->exe)
    inode_deny_write(p->exe->inode); // one for each process; cannot fail, as ours holds
  if(a->flags & CLONE_VM) {
    p->as = aspace_use(me->as);
    return 0;
  }
  e = aspace_fork(me->as, &p->as);
  if(e == 0)
    p->as->membarrier = atomic_get(&me->as->membarrier);
  return e;
}

static void
proc_undo(struct proc *p)
{
  if(p->as)
    aspace_unuse(p->as);
  if(p->exe) {
    inode_allow_write(p->exe->inode);
    file_put(p->exe);
  }
  if(p->sighand)
    sighand_put(p->sighand);
  p->as = 0;
  p->exe = 0;
  p->sighand = 0;
  pid_free(p->pid);
}

struct child { // being made
  struct thread *t;
  struct proc *p;           // a new process; 0: a thread of this one
  struct vfork_wait *vfork; // the parent's reference
  int pidfd;                // CLONE_PIDFD: our descriptor; else -1
};

static void
child_undo(struct child *c)
{
  if(c->pidfd >= 0)
    fd_close(thread_self()->files, c->pidfd);
  if(c->vfork) {
    c->t->vfork = 0;
    kfree(c->vfork);
  }
  if(c->p)
    proc_undo(c->p);
  else if(c->t->tid > 0)
    pid_free(c->t->tid);
  drop_shared(c->t);
  c->t->proc = 0;
  thread_put(c->t);
  if(c->p)
    proc_put(c->p);
}

static int
child_pidfd(struct child *c, vaddr_t out)
{
  struct thread *me = thread_self();
  struct file *f;
  int e = pidfd_file(c->p, 0, &f);

  if(e)
    return e;
  e = fd_install(me->files, f, 0, true, proc_limit(me->proc, RLIMIT_NOFILE));
  if(e < 0) {
    file_put(f);
    return e;
  }
  c->pidfd = e;
  return copyout(me->proc->as, out, &c->pidfd, sizeof(c->pidfd), 0);
}

static int
child_vfork(struct child *c)
{
  c->vfork = kzalloc(sizeof(*c->vfork));
  if(c->vfork == 0)
    return -ENOMEM;
  c->vfork->ref = 2;
  waitq_init(&c->vfork->q);
  c->t->vfork = c->vfork;
  return 0;
}

// Reserve. On an error everything is undone.
static int
child_make(struct child *c, const struct clone_args *a)
{
  struct proc *me = current_proc();
  int e = thread_like_me(a, &c->t);

  if(e)
    return e;
  c->t->tid = a->set_tid ? pid_claim(a->set_tid) : pid_alloc();
  e = min(c->t->tid, 0);
  if(e == 0 && !(a->flags & CLONE_THREAD)) {
    c->p = proc_alloc(c->t->tid);
    e = c->p ? proc_fill(c->p, me, a) : -ENOMEM;
  }
  if(e == 0 && (a->flags & CLONE_VFORK))
    e = child_vfork(c);
  if(e == 0 && (a->flags & CLONE_PIDFD))
    e = child_pidfd(c, a->pidfd);
  if(e == 0 && (a->flags & CLONE_PARENT_SETTID))
    e = copyout(me->as, a->parent_tid, &c->t->tid, sizeof(c->t->tid), 0);
  if(e == 0 && (a->flags & CLONE_CHILD_SETTID))
    copyout(c->p ? c->p->as : me->as, a->child_tid, &c->t->tid, sizeof(c->t->tid),
            0); // Linux ignores this one's failure
  if(e)
    child_undo(c);
  return e;
}

// Enter the tables; from here on others can find it. -ERESTARTSYS: this process is being killed, there is no child.
static int
child_commit(struct child *c, const struct clone_args *a)
{
  struct proc *me = current_proc();

  c->t->proc = proc_get(c->p ? c->p : me);
  if(c->p == 0) {
    proc_add_thread(me, c->t);
  } else if(!proc_add(c->p, c->t, (a->flags & CLONE_PARENT) ? me->parent : me)) {
    proc_put(c->t->proc);
    return -ERESTARTSYS;
  }
  return 0;
}

int64_t
proc_clone(const struct clone_args *a)
{
  struct child c = {.pidfd = -1};
  int tid, e = check_flags(a);

  if(e == 0)
    e = check_limits(current_proc());
  if(e == 0)
    e = child_make(&c, a);
  if(e)
    return e;
  e = child_commit(&c, a);
  if(e) {
    child_undo(&c);
    return e;
  }
  tid = c.t->tid;
  trace(FORK, tid, a->flags, 0);
  sched_add(c.t);
  if(c.vfork) {
    wait_event(&c.vfork->q, atomic_get(&c.vfork->done), WAIT_KILLABLE, NEVER);
    vfork_put(c.vfork);
  }
  return tid;
}

void
proc_user_start(void)
{
  arch_enter_user();
}
