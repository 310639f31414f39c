// sigaction.c -- what the running thread makes of signals: its mask, its handlers, taking the next signal at the edge of
// user mode and acting on it, stopping, and waiting for signals.
//
// Typical: sched_return -> signal_deliver: take one, run its default action or build its handler's frame; where no handler
// runs, a system call that was cut short is wound back so that it starts again.
// Must not know: the layout of the frame (arch/x86_64/sigframe.c).
#include "arch/x86_64/regs.h"
#include "core/wait.h"
#include "lib/atomic.h"
#include "lib/string.h"
#include "proc/ktimer.h"
#include "proc/proc.h"

enum { SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK };
enum { SYSCALL_INSN_LEN = 2, SYS_RESTART = 219 }; // restart_syscall

void
signal_recalc(struct thread *t)
{
  sigset ready = (t->pending.set | t->proc->pending.set) & ~t->mask;

  assert_held(&t->proc->lock);
  atomic_set(&t->sig_pending, ready != 0 || t->proc->stopped);
}

// ---- mask and handlers

// Others who can take what t now blocks must hear of it: it alone was told.
static void
pass_on(struct thread *t, sigset blocked) REQUIRES(t->proc->lock)
{
  sigset orphans = t->proc->pending.set & blocked;

  if(orphans == 0)
    return;
  list_for_each(it, &t->proc->threads) {
    struct thread *other = list_entry(it, struct thread, in_proc);

    if(other == t || (orphans & ~other->mask) == 0)
      continue;
    atomic_set(&other->sig_pending, true);
    sched_notice(other);
  }
}

void
signal_set_mask(struct thread *t, sigset mask)
{
  sigset before;

  spin_acquire(&t->proc->lock);
  before = t->mask;
  t->mask = mask & ~SIGS_UNBLOCKABLE;
  pass_on(t, t->mask & ~before);
  signal_recalc(t);
  spin_release(&t->proc->lock);
}

int
signal_mask(int how, const sigset *set, sigset *old)
{
  struct thread *t = thread_self();
  sigset now = t->mask;

  if(old)
    *old = now;
  if(set == 0)
    return 0;
  switch(how) {
  case SIG_BLOCK: now |= *set; break;
  case SIG_UNBLOCK: now &= ~*set; break;
  case SIG_SETMASK: now = *set; break;
  default: return -EINVAL;
  }
  signal_set_mask(t, now);
  return 0;
}

void
signal_mask_until_return(const sigset *mask)
{
  struct thread *t = thread_self();

  t->saved_mask = t->mask;
  t->restore_mask = true;
  signal_set_mask(t, *mask);
}

sigset
signal_waiting_set(void)
{
  struct thread *t = thread_self();
  sigset r;

  spin_acquire(&t->proc->lock);
  r = (t->pending.set | t->proc->pending.set) & t->mask;
  spin_release(&t->proc->lock);
  return r;
}

int
signal_action(int sig, const struct sigaction *new_, struct sigaction *old)
{
  struct proc *p = current_proc();
  struct sigaction *sa;

  if(sig < 1 || sig > NSIG || (new_ && (SIGBIT(sig) & SIGS_UNBLOCKABLE)))
    return -EINVAL;
  spin_acquire(&p->lock);
  spin_acquire(&p->sighand->lock);
  sa = &p->sighand->action[sig - 1];
  if(old)
    *old = *sa;
  if(new_) {
    *sa = *new_;
    sa->mask &= ~SIGS_UNBLOCKABLE;
  }
  spin_release(&p->sighand->lock);
  if(new_ && (new_->handler == SIG_IGN || (new_->handler == SIG_DFL && (SIGBIT(sig) & SIGS_IGNORED)))) {
    sigpending_remove(p, &p->pending, SIGBIT(sig));
    list_for_each(it, &p->threads) {
      struct thread *t = list_entry(it, struct thread, in_proc);

      sigpending_remove(p, &t->pending, SIGBIT(sig));
      signal_recalc(t);
    }
  }
  spin_release(&p->lock);
  return 0;
}

void
signal_exec(struct thread *t)
{
  struct sighand *h = t->proc->sighand;

  spin_acquire(&h->lock);
  for(int i = 0; i < NSIG; i++) {
    uint64_t keep = h->action[i].handler == SIG_IGN ? SIG_IGN : SIG_DFL;

    h->action[i] = (struct sigaction){.handler = keep};
  }
  spin_release(&h->lock);
  t->altstack_sp = t->altstack_size = 0;
  t->altstack_flags = 0;
}

// A signal was taken out of a queue: some have a sender that waits for this.
static void
taken(struct proc *p, int sig, struct siginfo *si)
{
  if(sig && si->code == SI_TIMER)
    ktimer_taken(p, si);
}

// ---- waiting

int
signal_suspend(const sigset *mask)
{
  signal_mask_until_return(mask);
  do
    thread_prepare();
  while(waitq_sleep(WAIT_INTERRUPTIBLE, NEVER) == 0);
  return -ERESTARTNOHAND;
}

static int
take_pending(struct thread *t, sigset among, struct siginfo *si)
{
  struct proc *p = t->proc;
  int sig;

  spin_acquire(&p->lock);
  t->waiting = among;
  sig = sigpending_take(p, &t->pending, among, si);
  if(sig == 0)
    sig = sigpending_take(p, &p->pending, among, si);
  if(sig)
    t->waiting = 0;
  signal_recalc(t);
  spin_release(&p->lock);
  taken(p, sig, si);
  return sig;
}

int
signal_dequeue(sigset among, struct siginfo *si)
{
  struct thread *t = thread_self();
  struct proc *p = t->proc;
  int sig;

  spin_acquire(&p->lock);
  sig = sigpending_take(p, &t->pending, among, si);
  if(sig == 0)
    sig = sigpending_take(p, &p->pending, among, si);
  signal_recalc(t);
  spin_release(&p->lock);
  taken(p, sig, si);
  return sig;
}

bool
signal_pending_among(sigset among)
{
  struct thread *t = thread_self();
  bool yes;

  spin_acquire(&t->proc->lock);
  yes = ((t->pending.set | t->proc->pending.set) & among) != 0;
  spin_release(&t->proc->lock);
  return yes;
}

int64_t
signal_timedwait(const sigset *set, struct siginfo *info, uint64_t deadline)
{
  struct thread *t = thread_self();
  sigset among = *set & ~SIGS_UNBLOCKABLE;
  int sig, r;

  for(;;) {
    thread_prepare();
    sig = take_pending(t, among, info);
    if(sig) {
      thread_unprepare();
      return sig;
    }
    r = waitq_sleep(WAIT_INTERRUPTIBLE, deadline);
    if(r) {
      sig = take_pending(t, among, info); // it may have come together with the deadline
      spin_acquire(&t->proc->lock);
      t->waiting = 0;
      spin_release(&t->proc->lock);
      return sig ? sig : r == -ETIMEDOUT ? -EAGAIN : r;
    }
  }
}

// ---- stopping

// Wait here while the process is stopped. The last thread that stops tells the parent.
static void
stop_here(struct thread *t, struct proc *p)
{
  for(;;) {
    bool report = false;
    int sig;

    thread_prepare();
    spin_acquire(&p->lock);
    if(!p->stopped || t->exiting) {
      signal_recalc(t);
      spin_release(&p->lock);
      thread_unprepare();
      return;
    }
    if(!t->stop_counted) {
      t->stop_counted = true;
      p->nstopped++;
      report = p->nstopped == p->nthreads;
    }
    sig = p->stop_sig;
    spin_release(&p->lock);
    if(report)
      signal_child_changed(p, CLD_STOPPED, sig);
    else
      thread_block();
  }
}

// Default action of a stop signal: every thread stops when it comes to the edge of user mode.
static void
stop_all(struct thread *t, struct proc *p, int sig)
{
  spin_acquire(&p->lock);
  if(!p->stopped && !p->group_exit && !(p->pending.set & SIGBIT(SIGCONT))) {
    p->stopped = true;
    p->stop_reported = false;
    p->continued_unreported = false;
    p->nstopped = 0;
    p->stop_sig = sig;
    list_for_each(it, &p->threads) {
      struct thread *other = list_entry(it, struct thread, in_proc);

      other->stop_counted = false;
      atomic_set(&other->sig_pending, true);
      if(other != t)
        sched_notice(other);
    }
  }
  spin_release(&p->lock);
}

// ---- delivery

struct delivery {
  struct siginfo si;
  struct sigaction sa;
};

// The next signal that t does not block, with its action; 0: none, and sig_pending says so.
static int
take_next(struct thread *t, struct delivery *d)
{
  struct proc *p = t->proc;
  struct sigaction *sa;
  int sig;

  spin_acquire(&p->lock);
  sig = sigpending_take(p, &t->pending, ~t->mask, &d->si);
  if(sig == 0)
    sig = sigpending_take(p, &p->pending, ~t->mask, &d->si);
  if(sig) {
    spin_acquire(&p->sighand->lock);
    sa = &p->sighand->action[sig - 1];
    d->sa = *sa;
    if(sa->handler > SIG_IGN && (sa->flags & SA_RESETHAND))
      sa->handler = SIG_DFL;
    spin_release(&p->sighand->lock);
  }
  signal_recalc(t);
  spin_release(&p->lock);
  taken(p, sig, &d->si);
  return sig;
}

// An interrupted system call: start it again, or let it fail with EINTR. `sa` 0: no handler runs.
static void
finish_call(struct thread *t, struct regs *r, const struct sigaction *sa)
{
  int64_t code = r->rax;
  bool again;

  if(t->syscall_no == NO_SYSCALL)
    return;
  switch(code) {
  case -ERESTARTSYS: again = sa == 0 || (sa->flags & SA_RESTART); break;
  case -ERESTARTNOINTR: again = true; break;
  case -ERESTARTNOHAND:
  case -ERESTART_RESTARTBLOCK: again = sa == 0; break;
  default: return;
  }
  t->syscall_no = NO_SYSCALL;
  if(!again) {
    r->rax = -EINTR;
    return;
  }
  r->rax = code == -ERESTART_RESTARTBLOCK ? SYS_RESTART : r->orig_rax;
  r->rip -= SYSCALL_INSN_LEN;
}

// Default actions that do not end the process: true if it was one.
static bool
default_spares(struct thread *t, struct proc *p, const struct delivery *d)
{
  sigset bit = SIGBIT(d->si.signo);
  bool own_fault = (bit & (SIGS_SYNCHRONOUS | SIGBIT(SIGKILL))) && d->si.code > 0;

  if((bit & SIGS_IGNORED) || (p == proc_initial && !own_fault))
    return true;
  if((bit & SIGS_STOP) == 0)
    return false;
  if(d->si.signo == SIGSTOP || !session_group_orphaned(atomic_get(&p->pgid)))
    stop_all(t, p, d->si.signo);
  return true;
}

// Have the handler run next. False: there was no room for the frame.
static bool
enter_handler(struct thread *t, struct regs *r, const struct delivery *d)
{
  sigset back = t->restore_mask ? t->saved_mask : t->mask, mask = t->mask | d->sa.mask;

  finish_call(t, r, &d->sa);
  if(!rseq_signal(r) || sigframe_build(r, d->si.signo, &d->si, &d->sa, back) != 0)
    return false;
  t->restore_mask = false;
  if(!(d->sa.flags & SA_NODEFER))
    mask |= SIGBIT(d->si.signo);
  signal_set_mask(t, mask);
  return true;
}

// The stack is no good for a handler: SIGSEGV, which must not come back here for ever.
static void
no_room(struct proc *p, int sig)
{
  if(sig == SIGSEGV) {
    spin_acquire(&p->sighand->lock);
    p->sighand->action[SIGSEGV - 1].handler = SIG_DFL;
    spin_release(&p->sighand->lock);
  }
  signal_force(SIGSEGV, SI_KERNEL, 0);
}

bool
signal_deliver(struct regs *r)
{
  struct thread *t = thread_self();
  struct proc *p = t->proc;
  struct delivery d;
  int sig;

  for(;;) {
    if(t->exiting)
      proc_exit_thread(0);
    if(atomic_get(&p->stopped)) {
      stop_here(t, p);
      continue;
    }
    sig = take_next(t, &d);
    if(sig == 0)
      break;
    if(d.sa.handler == SIG_IGN)
      continue;
    if(d.sa.handler == SIG_DFL) {
      if(!default_spares(t, p, &d))
        proc_exit_group(signal_status(p, sig));
    } else if(enter_handler(t, r, &d)) {
      return true;
    } else {
      no_room(p, sig);
    }
  }
  finish_call(t, r, 0);
  if(t->restore_mask) {
    t->restore_mask = false;
    signal_set_mask(t, t->saved_mask);
  }
  return false;
}
