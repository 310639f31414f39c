// exit.c -- the end of threads and processes, and waiting for it.
//
// A thread that ends gives back what is its own; the last one also empties the address space, hands the children to
// init or a subreaper, and leaves a zombie: the pid, the wait status and the times, until the parent waits for it.
// When init ends, the machine goes off.
// Must not know: why somebody ends (signal.c, the exit calls).
#include "core/cpu.h"
#include "core/trace.h"
#include "lib/atomic.h"
#include "lib/string.h"
#include "proc/ktimer.h"
#include "proc/proc.h"

enum { STATUS_SHIFT = 8, STATUS_MASK = 0xff, SIGNAL_MASK = 0x7f, CORE_BIT = 0x80, SIGNALLED = 128 };
enum { STATUS_STOPPED = 0x7f, STATUS_CONTINUED = 0xffff };

// ---- one thread

static void
drop_files(struct thread *t, struct proc *p)
{
  struct fdtable *files = t->files;
  struct fsctx *fs = t->fs;

  spin_acquire(&p->lock);
  t->files = 0;
  t->fs = 0;
  spin_release(&p->lock);
  fdtable_put(files);
  fsctx_put(fs);
}

static void
add_times(struct proc *p, struct thread *t) REQUIRES(p->lock)
{
  sched_account();
  p->user_ns += t->user_ns;
  p->system_ns += t->system_ns;
  p->minflt += t->minflt;
  p->majflt += t->majflt;
  p->nvcsw += t->nvcsw;
  p->nivcsw += t->nivcsw;
}

// Signals to the process of which perhaps only t was told.
static void
tell_others(struct proc *p) REQUIRES(p->lock)
{
  list_for_each(it, &p->threads) {
    struct thread *other = list_entry(it, struct thread, in_proc);

    signal_recalc(other);
    if(other->sig_pending)
      sched_notice(other);
  }
}

// Take t out of its process: true if it was the last.
static bool
leave(struct thread *t, struct proc *p, int code)
{
  bool last, all_stopped;
  int sig;

  spin_acquire(&proclist_lock);
  list_del(&t->by_tid);
  spin_acquire(&p->lock);
  list_del(&t->in_proc);
  p->nthreads--;
  add_times(p, t);
  sigpending_remove(p, &t->pending, ~0ull);
  if(t->stop_counted)
    p->nstopped--;
  last = p->nthreads == 0;
  if(last && !p->group_exit) {
    p->group_exit = true;
    p->exit_code = (code & STATUS_MASK) << STATUS_SHIFT;
  }
  if(p->execing && p->nthreads == 1)
    thread_wake(p->execing);
  if(p->pending.set)
    tell_others(p);
  all_stopped = !last && p->stopped && p->nstopped == p->nthreads;
  sig = p->stop_sig;
  spin_release(&p->lock);
  spin_release(&proclist_lock);
  if(all_stopped)
    signal_child_changed(p, CLD_STOPPED, sig);
  if(t->tid != p->pid)
    pid_free(t->tid);
  return last;
}

// ---- the process

static void
power_off(struct proc *p)
{
  int status = p->exit_code & SIGNAL_MASK ? SIGNALLED + (p->exit_code & SIGNAL_MASK) : p->exit_code >> STATUS_SHIFT;

  vfs_sync_all();
  cpu_poweroff(status);
}

static void
drop_memory(struct proc *p)
{
  struct aspace *as = p->as;
  struct file *exe = p->exe;
  struct sighand *hand = p->sighand;

  check_now_and_then(as);
  spin_acquire(&p->lock);
  p->maxrss = max(p->maxrss, max(as->peak_rss, aspace_rss(as)));
  sigpending_remove(p, &p->pending, ~0ull);
  p->as = 0;
  p->exe = 0;
  p->sighand = 0;
  spin_release(&p->lock);
  irq_off();
  pmap_activate(0);
  irq_restore();
  aspace_unuse(as);
  sighand_put(hand);
  if(exe) {
    inode_allow_write(exe->inode);
    file_put(exe);
  }
}

// The parent's part of an ending: SIGCHLD, and whether it wants to know at all (false: reap now).
static bool
parent_cares(struct proc *p) REQUIRES(proclist_lock)
{
  struct proc *parent = p->parent;
  struct siginfo si = {.signo = p->exit_signal};
  bool cares = true;

  si.code = !(p->exit_code & SIGNAL_MASK) ? CLD_EXITED : p->exit_code & CORE_BIT ? CLD_DUMPED : CLD_KILLED;
  si.chld.pid = p->pid;
  si.chld.uid = p->leader->cred->uid;
  si.chld.status = si.code == CLD_EXITED ? p->exit_code >> STATUS_SHIFT : p->exit_code & SIGNAL_MASK;
  spin_acquire(&parent->lock);
  if(parent->sighand && p->exit_signal == SIGCHLD) {
    spin_acquire(&parent->sighand->lock);
    cares = parent->sighand->action[SIGCHLD - 1].handler != SIG_IGN &&
            !(parent->sighand->action[SIGCHLD - 1].flags & SA_NOCLDWAIT);
    spin_release(&parent->sighand->lock);
  }
  spin_release(&parent->lock);
  if(si.signo)
    signal_send_listed(0, parent, &si);
  waitq_wake(&parent->wait);
  return cares;
}

// Nobody will wait for p any more: out of the tables, onto `dead`.
static void
bury_locked(struct proc *p, struct list *dead) REQUIRES(proclist_lock)
{
  p->reaped = true;
  waitq_wake(&p->ended);
  proc_remove(p);
  list_add_tail(dead, &p->dead);
}

static void
bury(struct list *dead)
{
  list_for_each_safe(it, dead) {
    struct proc *p = list_entry(it, struct proc, dead);
    struct thread *leader;

    list_del(&p->dead);
    spin_acquire(&p->lock);
    leader = p->leader;
    p->leader = 0;
    spin_release(&p->lock);
    thread_put(leader);
    proc_put(p);
  }
}

static struct proc *
reaper_of(struct proc *p) REQUIRES(proclist_lock)
{
  for(struct proc *q = p->parent; q; q = q->parent)
    if(q->child_subreaper && !q->group_exit)
      return q;
  return proc_initial;
}

static void
orphan_children(struct proc *p, struct list *dead) REQUIRES(proclist_lock)
{
  struct proc *reaper = reaper_of(p);

  list_for_each_safe(it, &p->children) {
    struct proc *child = list_entry(it, struct proc, sibling);
    struct siginfo si = {.signo = child->pdeath_sig, .code = SI_USER};

    list_del(&child->sibling);
    list_add_tail(&reaper->children, &child->sibling);
    child->parent = reaper;
    child->exit_signal = SIGCHLD; // the new parent knows nothing of another
    if(si.signo)
      signal_send_listed(0, child, &si);
    if(!child->zombie)
      continue;
    if(!parent_cares(child))
      bury_locked(child, dead);
  }
}

static void
become_zombie(struct proc *p)
{
  struct list dead = LIST_INIT(dead);

  session_exit(p);
  spin_acquire(&proclist_lock);
  orphan_children(p, &dead);
  p->zombie = true;
  waitq_wake(&p->ended);
  if(!parent_cares(p))
    bury_locked(p, &dead);
  spin_release(&proclist_lock);
  bury(&dead);
}

void
proc_exit_thread(int code)
{
  struct thread *t = thread_self();
  struct proc *p = t->proc;
  bool alone = atomic_get(&p->nthreads) == 1; // only this thread could change that

  t->exiting = true;
  trace(EXIT, t->tid, code, p->exit_code);
  futex_exit(t);
  clone_release_parent(t);
  // Memory first, if nobody else can be using it: closing a pipe may wait for somebody who waits for memory.
  if(!alone)
    drop_files(t, p);
  if(leave(t, p, code)) {
    if(p == proc_initial)
      power_off(p);
    atomic_set(&p->itimer_interval, 0);
    timer_cancel(&p->itimer_real);
    cputimer_cancel(&p->itimer_virtual);
    cputimer_cancel(&p->itimer_prof);
    ktimer_delete_all(p);
    drop_memory(p);
    if(alone)
      drop_files(t, p);
    become_zombie(p);
  }
  sched_exit();
}

void
proc_exit_group(int wait_status)
{
  struct proc *p = current_proc();

  spin_acquire(&p->lock);
  signal_kill_all(p, wait_status);
  spin_release(&p->lock);
  proc_exit_thread(0);
}

// ---- figures

void
proc_times(struct proc *p, struct proctimes *out)
{
  if(p == current_proc())
    sched_account();
  spin_acquire(&p->lock);
  *out = (struct proctimes){p->user_ns, p->system_ns, p->cuser_ns, p->csystem_ns};
  list_for_each(it, &p->threads) {
    struct thread *t = list_entry(it, struct thread, in_proc);

    out->user += t->user_ns;
    out->system += t->system_ns;
  }
  spin_release(&p->lock);
}

static void
rusage_times(struct rusage *ru, uint64_t user, uint64_t system, uint64_t maxrss)
{
  enum { NS_PER_US = 1000, PAGE_KIB = PAGE_SIZE / 1024 };

  ru->utime_sec = user / NSEC;
  ru->utime_usec = user % NSEC / NS_PER_US;
  ru->stime_sec = system / NSEC;
  ru->stime_usec = system % NSEC / NS_PER_US;
  ru->maxrss = maxrss * PAGE_KIB;
}

static void
rusage_thread(struct rusage *ru, const struct thread *t)
{
  ru->minflt += t->minflt;
  ru->majflt += t->majflt;
  ru->nvcsw += t->nvcsw;
  ru->nivcsw += t->nivcsw;
}

static void
rusage_self(struct proc *p, struct rusage *ru)
{
  struct proctimes tm;
  uint64_t rss;

  proc_times(p, &tm);
  spin_acquire(&p->lock);
  rss = p->as ? max(p->as->peak_rss, aspace_rss(p->as)) : 0;
  rusage_times(ru, tm.user, tm.system, max(p->maxrss, rss));
  ru->minflt = p->minflt;
  ru->majflt = p->majflt;
  ru->nvcsw = p->nvcsw;
  ru->nivcsw = p->nivcsw;
  list_for_each(it, &p->threads)
    rusage_thread(ru, list_entry(it, struct thread, in_proc));
  spin_release(&p->lock);
}

int
proc_rusage(int who, struct rusage *ru)
{
  struct thread *t = thread_self();
  struct proc *p = t->proc;

  memset(ru, 0, sizeof(*ru));
  if(who == RUSAGE_SELF) {
    rusage_self(p, ru);
  } else if(who == RUSAGE_THREAD) {
    sched_account();
    rusage_times(ru, t->user_ns, t->system_ns, max(p->as->peak_rss, aspace_rss(p->as)));
    rusage_thread(ru, t);
  } else if(who == RUSAGE_CHILDREN) {
    spin_acquire(&p->lock);
    rusage_times(ru, p->cuser_ns, p->csystem_ns, p->cmaxrss);
    ru->minflt = p->cminflt;
    ru->majflt = p->cmajflt;
    ru->nvcsw = p->cnvcsw;
    ru->nivcsw = p->cnivcsw;
    spin_release(&p->lock);
  } else {
    return -EINVAL;
  }
  return 0;
}

// ---- wait

struct waiting { // one wait call
  int which, id, options;
  bool any;   // there is such a child, though nothing to report
  int status; // wait4's word
  struct siginfo si;
  struct rusage ru;
  struct list dead; // reaped
};

static bool
selects(const struct waiting *w, struct proc *p)
{
  bool clone = p->exit_signal != SIGCHLD;

  if((w->which == P_PID && p->pid != w->id) || (w->which == P_PGID && p->pgid != w->id))
    return false;
  return (w->options & WALL) || clone == ((w->options & WCLONE) != 0);
}

static void
report(struct waiting *w, struct proc *p, int code, int si_status, int status)
{
  w->status = status;
  w->si.signo = SIGCHLD;
  w->si.code = code;
  w->si.chld.pid = p->pid;
  w->si.chld.uid = p->leader->cred->uid;
  w->si.chld.status = si_status;
}

static void
reap(struct waiting *w, struct proc *p) REQUIRES(proclist_lock)
{
  struct proc *me = current_proc();
  int st = p->exit_code, sig = st & SIGNAL_MASK;

  report(w, p, !sig ? CLD_EXITED : st & CORE_BIT ? CLD_DUMPED : CLD_KILLED, sig ? sig : st >> STATUS_SHIFT, st);
  rusage_times(&w->ru, p->user_ns + p->cuser_ns, p->system_ns + p->csystem_ns, max(p->maxrss, p->cmaxrss));
  w->ru.minflt = p->minflt + p->cminflt;
  w->ru.majflt = p->majflt + p->cmajflt;
  w->ru.nvcsw = p->nvcsw + p->cnvcsw;
  w->ru.nivcsw = p->nivcsw + p->cnivcsw;
  if(w->options & WNOWAIT)
    return;
  spin_acquire(&me->lock);
  me->cuser_ns += p->user_ns + p->cuser_ns;
  me->csystem_ns += p->system_ns + p->csystem_ns;
  me->cminflt += w->ru.minflt;
  me->cmajflt += w->ru.majflt;
  me->cnvcsw += w->ru.nvcsw;
  me->cnivcsw += w->ru.nivcsw;
  me->cmaxrss = max(me->cmaxrss, max(p->maxrss, p->cmaxrss));
  spin_release(&me->lock);
  bury_locked(p, &w->dead);
}

// Stopped or continued, and not reported yet?
static bool
changed(struct waiting *w, struct proc *p)
{
  bool keep = w->options & WNOWAIT, r = false;

  spin_acquire(&p->lock);
  if((w->options & WSTOPPED) && p->stopped && p->nstopped == p->nthreads && !p->stop_reported) {
    p->stop_reported = !keep;
    report(w, p, CLD_STOPPED, p->stop_sig, p->stop_sig << STATUS_SHIFT | STATUS_STOPPED);
    r = true;
  } else if((w->options & WCONTINUED) && p->continued_unreported) {
    p->continued_unreported = keep;
    report(w, p, CLD_CONTINUED, SIGCONT, STATUS_CONTINUED);
    r = true;
  }
  spin_release(&p->lock);
  return r;
}

// Look at the children once: pid, or 0.
static int
look(struct waiting *w)
{
  int pid = 0;

  w->any = false;
  spin_acquire(&proclist_lock);
  list_for_each_safe(it, &current_proc()->children) {
    struct proc *p = list_entry(it, struct proc, sibling);

    if(!selects(w, p))
      continue;
    if(p->zombie && (w->options & WEXITED)) {
      pid = p->pid;
      reap(w, p);
    } else if(!p->zombie && changed(w, p)) {
      pid = p->pid;
    }
    w->any |= !p->zombie || (w->options & WEXITED);
    if(pid)
      break;
  }
  spin_release(&proclist_lock);
  bury(&w->dead);
  return pid;
}

static int
wait_loop(struct waiting *w)
{
  struct proc *me = current_proc();
  struct waiter waiter;
  int r;

  waitq_enter(&me->wait, &waiter);
  for(;;) {
    thread_prepare();
    r = look(w);
    if(r == 0 && !w->any)
      r = -ECHILD;
    if(r || (w->options & WNOHANG)) {
      thread_unprepare();
      break;
    }
    r = waitq_sleep(WAIT_INTERRUPTIBLE, NEVER);
    if(r) {
      r = -ERESTARTSYS;
      break;
    }
  }
  waitq_leave(&waiter);
  return r;
}

int64_t
proc_wait(int which, int id, int options, int *status, struct siginfo *info, void *rusage64)
{
  struct waiting w = {.which = which, .id = id, .options = options};
  int r;

  if(which < P_ALL || which > P_PGID || !(options & (WEXITED | WSTOPPED | WCONTINUED)))
    return -EINVAL;
  if(which == P_PGID && id == 0)
    w.id = atomic_get(&current_proc()->pgid);
  list_init(&w.dead);
  r = wait_loop(&w);
  if(status)
    *status = w.status;
  if(info)
    *info = w.si;
  if(rusage64)
    memcpy(rusage64, &w.ru, sizeof(w.ru));
  return r;
}
