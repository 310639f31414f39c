// signal.c -- sending signals: what is dropped, where one is queued, which thread hears of it, and what kills at once.
//
// Typical: struct siginfo si = {.signo = SIGCHLD, ...}; signal_send(0, p, &si);
// A signal whose action ends the process is not queued but made into a group exit here: every thread is told to die, so
// that killable waits end. SIGCONT and the stop signals cancel each other when they are sent. The rest waits for
// sigaction.c at the edge of user mode.
// init gets no signal whose default action would end or stop it, unless its own fault is the cause.
#include "core/trace.h"
#include "lib/atomic.h"
#include "proc/proc.h"

enum { WAIT_CORE = 0x80 };

static uint64_t
handler_of(struct proc *p, int sig)
{
  uint64_t h;

  spin_acquire(&p->sighand->lock);
  h = p->sighand->action[sig - 1].handler;
  spin_release(&p->sighand->lock);
  return h;
}

static bool
handler_ignores(uint64_t handler, int sig)
{
  return handler == SIG_IGN || (handler == SIG_DFL && (SIGBIT(sig) & SIGS_IGNORED));
}

bool
signal_ignored(struct proc *p, int sig)
{
  bool r;

  spin_acquire(&p->lock);
  r = p->sighand && handler_ignores(handler_of(p, sig), sig);
  spin_release(&p->lock);
  return r;
}

int
signal_status(struct proc *p, int sig)
{
  bool core = (SIGBIT(sig) & SIGS_CORE) && p->rlim[RLIMIT_CORE].cur >= PAGE_SIZE;

  return sig | (core ? WAIT_CORE : 0);
}

void
signal_kill_all(struct proc *p, int wait_status)
{
  assert_held(&p->lock);
  if(p->group_exit)
    return;
  p->group_exit = true;
  p->exit_code = wait_status;
  p->stopped = false;
  list_for_each(it, &p->threads) {
    struct thread *t = list_entry(it, struct thread, in_proc);

    atomic_set(&t->exiting, true);
    sched_notice(t);
  }
}

static void
remove_everywhere(struct proc *p, sigset which) REQUIRES(p->lock)
{
  sigpending_remove(p, &p->pending, which);
  list_for_each(it, &p->threads)
    sigpending_remove(p, &list_entry(it, struct thread, in_proc)->pending, which);
}

// SIGCONT: true if the parent has something to hear.
static bool
resume(struct proc *p) REQUIRES(p->lock)
{
  bool was = p->stopped;

  if(!was)
    return false;
  p->stopped = false;
  p->nstopped = 0;
  p->continued_unreported = true;
  list_for_each(it, &p->threads) {
    struct thread *t = list_entry(it, struct thread, in_proc);

    t->stop_counted = false;
    thread_wake(t);
  }
  return true;
}

static bool
wants(struct thread *t, int sig)
{
  return !t->exiting && (!(t->mask & SIGBIT(sig)) || sig == SIGKILL || (t->waiting & SIGBIT(sig)));
}

// Who should take a signal to the process: the caller, the leader, or anyone that does not block it; 0: nobody now.
static struct thread *
choose_target(struct proc *p, int sig) REQUIRES(p->lock)
{
  struct thread *self = thread_self();

  if(self && self->proc == p && wants(self, sig))
    return self;
  list_for_each(it, &p->threads) {
    struct thread *t = list_entry(it, struct thread, in_proc);

    if(wants(t, sig))
      return t;
  }
  return 0;
}

static bool protected(struct proc *p, uint64_t handler)
{
  return p == proc_initial && handler == SIG_DFL;
}

// Queue or act at once. *continued: the parent must be told. held: p->lock
static int
send(struct thread *t, struct proc *p, const struct siginfo *si, bool *continued) REQUIRES(p->lock)
{
  int sig = si->signo, r;
  uint64_t handler;
  struct thread *to;
  sigset bit = SIGBIT(sig);

  if(p->nthreads == 0 || p->group_exit || (t && list_empty(&t->in_proc))) // t has left: nobody would take it
    return 0;
  handler = handler_of(p, sig);
  if(protected(p, handler))
    return 0;
  if(bit & SIGS_STOP)
    remove_everywhere(p, SIGBIT(SIGCONT));
  if(sig == SIGCONT) {
    remove_everywhere(p, SIGS_STOP);
    *continued = resume(p);
  }
  to = t ? t : p->leader;
  if(handler_ignores(handler, sig) && !((to->mask | to->waiting) & bit))
    return 0;
  to = !t ? choose_target(p, sig) : wants(t, sig) ? t : 0;
  if(to && handler == SIG_DFL && !(bit & (SIGS_STOP | SIGS_IGNORED)) && !(to->waiting & bit)) {
    signal_kill_all(p, signal_status(p, sig));
    return 0;
  }
  r = sigpending_add(p, t ? &t->pending : &p->pending, si);
  signalfd_notify();
  if(r || !to)
    return r;
  if(!(to->mask & bit))
    atomic_set(&to->sig_pending, true);
  sched_notice(to);
  return 0;
}

// Tell p's parent that p stopped or goes on, and why.
static void
tell_parent(struct proc *p, int code, int status) REQUIRES(proclist_lock)
{
  struct siginfo si = {.signo = SIGCHLD, .code = code};
  struct proc *parent = p->parent;
  bool quiet = true, none;

  if(parent == 0)
    return;
  si.chld.pid = p->pid;
  si.chld.uid = p->leader->cred->uid;
  si.chld.status = status;
  spin_acquire(&parent->lock);
  if(parent->sighand) {
    spin_acquire(&parent->sighand->lock);
    quiet = parent->sighand->action[SIGCHLD - 1].flags & SA_NOCLDSTOP;
    spin_release(&parent->sighand->lock);
  }
  if(!quiet)
    send(0, parent, &si, &none);
  spin_release(&parent->lock);
  waitq_wake(&parent->wait);
}

int
signal_send_listed(struct thread *t, struct proc *p, const struct siginfo *si)
{
  bool continued = false;
  int r;

  trace(SIGNAL, p->pid, si->signo, si->code);
  spin_acquire(&p->lock);
  r = send(t, p, si, &continued);
  spin_release(&p->lock);
  if(continued)
    tell_parent(p, CLD_CONTINUED, SIGCONT);
  return r;
}

int
signal_send(struct thread *t, struct proc *p, const struct siginfo *si)
{
  bool none;
  int r;

  if(p == 0 && (p = t->proc) == 0)
    return 0;
  if(si->signo == SIGCONT) {
    spin_acquire(&proclist_lock);
    r = signal_send_listed(t, p, si);
    spin_release(&proclist_lock);
    return r;
  }
  trace(SIGNAL, p->pid, si->signo, si->code);
  spin_acquire(&p->lock);
  r = send(t, p, si, &none);
  spin_release(&p->lock);
  return r;
}

void
signal_child_changed(struct proc *p, int code, int status)
{
  spin_acquire(&proclist_lock);
  tell_parent(p, code, status);
  spin_release(&proclist_lock);
}

// ---- kill(2)

bool
signal_permitted(struct proc *p, int sig)
{
  const struct cred *me = thread_self()->cred, *you;
  bool ok;

  if(p == current_proc() || cred_has(me, CAP_KILL))
    return true;
  if(sig == SIGCONT && atomic_get(&p->sid) == atomic_get(&current_proc()->sid))
    return true;
  spin_acquire(&p->lock);
  you = p->leader ? p->leader->cred : 0;
  ok = you && (me->euid == you->uid || me->euid == you->suid || me->uid == you->uid || me->uid == you->suid);
  spin_release(&p->lock);
  return ok;
}

struct killing { // one kill(2), over one or many
  struct siginfo si;
  int sig, sent, refused;
};

static void
kill_one(struct killing *k, struct proc *p) REQUIRES(proclist_lock)
{
  if(p->zombie && k->sig != 0)
    k->sent++;
  else if(!signal_permitted(p, k->sig))
    k->refused++;
  else if(k->sig == 0 || signal_send_listed(0, p, &k->si) == 0)
    k->sent++;
}

static void
kill_group(struct killing *k, int pgid)
{
  spin_acquire(&proclist_lock);
  for(struct proc *p = proc_in_group(pgid, 0); p; p = proc_in_group(pgid, p))
    kill_one(k, p);
  spin_release(&proclist_lock);
}

// All under one lock: a process that forks as fast as we kill must not escape.
static void
kill_everyone(struct killing *k)
{
  spin_acquire(&proclist_lock);
  for(struct proc *p = proc_after(0); p; p = proc_after(p->pid))
    if(p != proc_initial && p != current_proc())
      kill_one(k, p);
  spin_release(&proclist_lock);
}

static void
kill_process(struct killing *k, int pid)
{
  struct proc *p = proc_find(pid);

  if(p == 0) { // any thread's number names its process
    struct thread *t = thread_find(pid);

    if(t == 0)
      return;
    p = proc_get(t->proc);
    thread_put(t);
  }
  spin_acquire(&proclist_lock);
  kill_one(k, p);
  spin_release(&proclist_lock);
  proc_put(p);
}

int
signal_kill(int pid, int sig, int code)
{
  struct killing k = {.sig = sig, .si = {.signo = sig, .code = code}};

  if(sig < 0 || sig > NSIG)
    return -EINVAL;
  if(pid == INT32_MIN)
    return -ESRCH;
  k.si.kill.pid = current_proc()->pid;
  k.si.kill.uid = thread_self()->cred->uid;
  if(pid > 0)
    kill_process(&k, pid);
  else if(pid == -1)
    kill_everyone(&k);
  else
    kill_group(&k, pid ? -pid : atomic_get(&current_proc()->pgid));
  if(k.sent)
    return 0;
  return k.refused ? -EPERM : -ESRCH;
}

void
signal_group(int pgid, int sig)
{
  struct siginfo si = {.signo = sig, .code = SI_KERNEL};

  spin_acquire(&proclist_lock);
  for(struct proc *p = proc_in_group(pgid, 0); p; p = proc_in_group(pgid, p))
    signal_send_listed(0, p, &si);
  spin_release(&proclist_lock);
}

// ---- faults

void
signal_force(int sig, int code, uint64_t addr)
{
  struct siginfo si = {.signo = sig, .code = code};
  struct thread *t = thread_self();
  struct proc *p = t->proc;
  struct sigaction *sa;
  sigset bit = SIGBIT(sig);

  si.fault.addr = addr;
  trace(SIGNAL, p->pid, sig, addr);
  spin_acquire(&p->lock);
  spin_acquire(&p->sighand->lock);
  sa = &p->sighand->action[sig - 1];
  if(sa->handler == SIG_IGN || (t->mask & bit))
    sa->handler = SIG_DFL;
  spin_release(&p->sighand->lock);
  t->mask &= ~bit;
  sigpending_remove(p, &t->pending, bit);
  sigpending_add(p, &t->pending, &si);
  atomic_set(&t->sig_pending, true);
  spin_release(&p->lock);
}
