// session.c -- process groups, sessions, and what a terminal must know about them.
// Typical: a shell puts each job into a group (session_setpgid) and hands the terminal to one of them through the tty;
// keys then signal that group, and stopped groups that nobody could wake any more (orphaned) get SIGHUP and SIGCONT.
// Must not know: what a terminal does with the answers.
#include "dev/tty.h"
#include "lib/atomic.h"
#include "proc/proc.h"

// A group is orphaned if no member's parent lies in the same session but another group: no shell looks after it.
// `without`: a process that is about to go and does not count, or 0.
static bool
orphaned(int pgid, struct proc *without) REQUIRES(proclist_lock)
{
  for(struct proc *p = proc_in_group(pgid, 0); p; p = proc_in_group(pgid, p)) {
    struct proc *parent = p->parent;

    if(p == without || p->zombie || parent == 0 || parent == proc_initial)
      continue;
    if(parent->pgid != pgid && parent->sid == p->sid)
      return false;
  }
  return true;
}

bool
session_group_orphaned(int pgid)
{
  bool r;

  spin_acquire(&proclist_lock);
  r = orphaned(pgid, 0);
  spin_release(&proclist_lock);
  return r;
}

static bool
has_stopped(int pgid) REQUIRES(proclist_lock)
{
  for(struct proc *p = proc_in_group(pgid, 0); p; p = proc_in_group(pgid, p))
    if(atomic_get(&p->stopped))
      return true;
  return false;
}

static void
group_send(int pgid, int sig) REQUIRES(proclist_lock)
{
  struct siginfo si = {.signo = sig, .code = SI_KERNEL};

  for(struct proc *p = proc_in_group(pgid, 0); p; p = proc_in_group(pgid, p))
    signal_send_listed(0, p, &si);
}

static void
release_if_orphaned(int pgid, struct proc *without) REQUIRES(proclist_lock)
{
  if(!has_stopped(pgid) || !orphaned(pgid, without))
    return;
  group_send(pgid, SIGHUP);
  group_send(pgid, SIGCONT);
}

void
session_exit(struct proc *p)
{
  struct proc *parent;
  int sid = 0;

  spin_acquire(&proclist_lock);
  parent = p->parent;
  if(parent && parent->pgid != p->pgid && parent->sid == p->sid)
    release_if_orphaned(p->pgid, p);
  list_for_each(it, &p->children) {
    struct proc *child = list_entry(it, struct proc, sibling);

    if(child->pgid != p->pgid && child->sid == p->sid)
      release_if_orphaned(child->pgid, child);
  }
  if(p->sid == p->pid && p->tty)
    sid = p->sid;
  spin_release(&proclist_lock);
  if(sid)
    tty_hangup_session(sid);
}

// May `p`, found for setpgid, be moved by `self`?
static int
movable(struct proc *p, struct proc *self) REQUIRES(proclist_lock)
{
  bool execed;

  if(p == 0 || p->zombie || (p != self && p->parent != self))
    return -ESRCH;
  spin_acquire(&p->lock);
  execed = p->execed;
  spin_release(&p->lock);
  if(p != self && execed)
    return -EACCES;
  if(p->sid == p->pid || p->sid != self->sid)
    return -EPERM;
  return 0;
}

int
session_setpgid(int pid, int pgid)
{
  struct proc *self = current_proc(), *p, *member;
  int e;

  if(pid < 0 || pgid < 0)
    return pgid < 0 ? -EINVAL : -ESRCH;
  p = pid ? proc_find(pid) : proc_get(self);
  if(p == 0)
    return -ESRCH;
  pgid = pgid ? pgid : p->pid;
  spin_acquire(&proclist_lock);
  e = movable(p, self);
  if(e == 0 && pgid != p->pid) {
    member = proc_in_group(pgid, 0);
    if(member == 0 || member->sid != self->sid)
      e = -EPERM;
  }
  if(e == 0)
    proc_set_group(p, pgid, p->sid);
  spin_release(&proclist_lock);
  proc_put(p);
  return e;
}

int64_t
session_getpgid(int pid)
{
  struct proc *p = pid ? proc_find(pid) : proc_get(current_proc());
  int r;

  if(p == 0)
    return -ESRCH;
  r = atomic_get(&p->pgid);
  proc_put(p);
  return r;
}

int64_t
session_getsid(int pid)
{
  struct proc *p = pid ? proc_find(pid) : proc_get(current_proc());
  int r;

  if(p == 0)
    return -ESRCH;
  r = atomic_get(&p->sid);
  proc_put(p);
  return r;
}

int64_t
session_setsid(void)
{
  struct proc *p = current_proc();
  int r = p->pid;

  spin_acquire(&proclist_lock);
  if(proc_in_group(p->pid, 0)) {
    r = -EPERM;
  } else {
    proc_set_group(p, p->pid, p->pid);
    p->tty = 0;
  }
  spin_release(&proclist_lock);
  return r;
}

// ---- what a terminal asks

static int
caller_pgid(void)
{
  return current_proc() ? atomic_get(&current_proc()->pgid) : 0;
}

static int
caller_sid(void)
{
  return current_proc() ? atomic_get(&current_proc()->sid) : 0;
}

static bool
caller_ignores(int sig)
{
  struct thread *t = thread_self();

  return (t->mask & SIGBIT(sig)) || signal_ignored(t->proc, sig);
}

static int
signal_caller_group(int sig)
{
  signal_group(caller_pgid(), sig);
  return -ERESTARTSYS;
}

static bool
pgid_in_session(int pgid, int sid)
{
  struct proc *p;
  bool r;

  spin_acquire(&proclist_lock);
  p = proc_in_group(pgid, 0);
  r = p && p->sid == sid;
  spin_release(&proclist_lock);
  return r;
}

static bool
caller_leads_session(void)
{
  return current_proc() && caller_sid() == current_proc()->pid;
}

static void
set_controlling(int sid, struct tty *t)
{
  spin_acquire(&proclist_lock);
  for(struct proc *p = proc_in_session(sid, 0); p; p = proc_in_session(sid, p))
    p->tty = t;
  spin_release(&proclist_lock);
}

void
session_init(void)
{
  tty_hooks = (struct tty_hooks){
      .signal_group = signal_group,
      .caller_pgid = caller_pgid,
      .caller_sid = caller_sid,
      .caller_ignores = caller_ignores,
      .group_orphaned = session_group_orphaned,
      .signal_caller_group = signal_caller_group,
      .pgid_in_session = pgid_in_session,
      .caller_leads_session = caller_leads_session,
      .set_controlling = set_controlling,
  };
  tty_show_tasks_hook(proc_show_all);
}
