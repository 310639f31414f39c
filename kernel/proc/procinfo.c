// procinfo.c -- what /proc says about one process or thread, in the form of Linux: ps, top, pidof and debuggers read it.
// Fills procfs_hooks. Figures of a process that runs are a snapshot; one that ended while we looked is -ESRCH.
// Must not know: how procfs shows a table as a tree.
#include "core/print.h"
#include "core/time.h"
#include "fs/procfs/procfs.h"
#include "lib/atomic.h"
#include "lib/string.h"
#include "proc/proc.h"

enum { CLOCK_TICKS = 100, PAGE_KIB = PAGE_SIZE / 1024, TTY_CONSOLE = 5 << 8 | 1 };
#define TICK (NSEC / CLOCK_TICKS)

struct view { // one process, or one of its threads, as the files below need it; everything copied or referenced
  struct proc *p;
  struct aspace *as; // 0: a zombie
  struct cred *cred;
  char name[16];
  char state;
  int ppid, pgid, sid, tty, nthreads, cpu;
  sigset pending, shared_pending, blocked, ignored, caught;
  struct proctimes times;
  uint64_t minflt, majflt, nvcsw, nivcsw, affinity;
  int nice;
};

// R, S, T or Z. held: p->lock
static char
state_of(struct proc *p) REQUIRES(p->lock)
{
  if(p->nthreads == 0)
    return 'Z';
  if(p->stopped && p->nstopped == p->nthreads)
    return 'T';
  list_for_each(it, &p->threads)
    if(list_entry(it, struct thread, in_proc)->state == THREAD_RUNNABLE)
      return 'R';
  return 'S';
}

static char
state_of_thread(struct proc *p, const struct thread *t) REQUIRES(p->lock)
{
  return t->state == THREAD_RUNNABLE ? 'R' : p->stopped ? 'T' : 'S';
}

// The thread of p that tid names, 0 its leader; 0: it has ended.
static struct thread *
thread_in(struct proc *p, int tid) REQUIRES(p->lock)
{
  if(tid == 0)
    return p->leader;
  list_for_each(it, &p->threads)
    if(list_entry(it, struct thread, in_proc)->tid == tid)
      return list_entry(it, struct thread, in_proc);
  return 0;
}

static void
view_signals(struct view *v, struct proc *p, const struct thread *t) REQUIRES(p->lock)
{
  v->shared_pending = p->pending.set;
  v->pending = t->pending.set;
  v->blocked = t->mask;
  if(p->sighand == 0)
    return;
  spin_acquire(&p->sighand->lock);
  for(int i = 0; i < NSIG; i++) {
    uint64_t h = p->sighand->action[i].handler;

    if(h == SIG_IGN)
      v->ignored |= 1ull << i;
    else if(h != SIG_DFL)
      v->caught |= 1ull << i;
  }
  spin_release(&p->sighand->lock);
}

static void
view_add(struct view *v, const struct thread *t)
{
  v->minflt += t->minflt;
  v->majflt += t->majflt;
  v->nvcsw += t->nvcsw;
  v->nivcsw += t->nivcsw;
}

// All threads together, those that have ended too.
static void
view_threads(struct view *v, struct proc *p) REQUIRES(p->lock)
{
  v->minflt = p->minflt;
  v->majflt = p->majflt;
  v->nvcsw = p->nvcsw;
  v->nivcsw = p->nivcsw;
  list_for_each(it, &p->threads)
    view_add(v, list_entry(it, struct thread, in_proc));
}

static void
view_thread(struct view *v, struct proc *p, const struct thread *t) REQUIRES(p->lock)
{
  v->state = state_of_thread(p, t);
  v->times.user = t->user_ns;
  v->times.system = t->system_ns;
  view_add(v, t);
}

static void
view_put(struct view *v)
{
  if(v->as)
    aspace_put(v->as);
  if(v->cred)
    cred_put(v->cred);
  if(v->p)
    proc_put(v->p);
}

// Of the process, or with a tid of that thread of it. 0, and v must go to view_put; -ESRCH.
static int
view_get(int pid, int tid, struct view *v)
{
  struct proc *p = proc_find(pid);
  struct thread *t;

  memset(v, 0, sizeof(*v));
  if(p == 0)
    return -ESRCH;
  v->p = p;
  proc_times(p, &v->times);
  spin_acquire(&proclist_lock);
  v->ppid = p->parent ? p->parent->pid : 0;
  v->pgid = p->pgid;
  v->sid = p->sid;
  v->tty = p->tty ? TTY_CONSOLE : 0;
  spin_acquire(&p->lock);
  t = thread_in(p, tid);
  if(t) {
    v->as = p->as ? aspace_get(p->as) : 0;
    v->cred = cred_get(t->cred);
    memcpy(v->name, t->name, sizeof(v->name));
    v->nthreads = p->nthreads;
    v->cpu = t->cpu;
    v->affinity = t->affinity;
    v->nice = t->nice;
    view_signals(v, p, t);
    if(tid) {
      view_thread(v, p, t);
    } else {
      v->state = state_of(p);
      view_threads(v, p);
    }
  }
  spin_release(&p->lock);
  spin_release(&proclist_lock);
  if(v->cred)
    return 0;
  view_put(v); // reaped meanwhile
  return -ESRCH;
}

// ---- stat, statm, status

static int
show_stat(struct textbuf *t, int pid, int tid)
{
  enum { PRIORITY = 20 };
  struct view v;
  int e = view_get(pid, tid, &v);

  if(e)
    return e;
  text(t, "%d (%s) %c %d %d %d %d -1 0 ", tid ? tid : pid, v.name, v.state, v.ppid, v.pgid, v.sid, v.tty);
  text(t, "%lu %lu %lu %lu ", v.minflt, v.p->cminflt, v.majflt, v.p->cmajflt);
  text(t, "%lu %lu %lu %lu ", v.times.user / TICK, v.times.system / TICK, v.times.cuser / TICK, v.times.csystem / TICK);
  text(t, "%d %d %d 0 %lu ", PRIORITY + v.nice, v.nice, v.nthreads, v.p->start_time / TICK);
  text(t, "%lu %lu %lu ", v.as ? v.as->total_pages << PAGE_SHIFT : 0, v.as ? aspace_rss(v.as) : 0,
       proc_limit(v.p, RLIMIT_RSS));
  text(t, "0 0 %lu 0 0 ", v.as ? v.as->stack_top : 0);
  text(t, "%lu %lu %lu %lu ", v.pending | v.shared_pending, v.blocked, v.ignored, v.caught);
  text(t, "0 0 0 %d %d 0 0 0 0 0 ", v.p->exit_signal, v.cpu);
  text(t, "0 0 %lu %lu %lu %lu %lu %d\n", v.as ? v.as->brk_start : 0, v.as ? v.as->arg_start : 0,
       v.as ? v.as->arg_end : 0, v.as ? v.as->env_start : 0, v.as ? v.as->env_end : 0,
       v.p->zombie ? v.p->exit_code : 0);
  view_put(&v);
  return 0;
}

static uint64_t
file_pages(struct aspace *as)
{
  uint64_t rss = aspace_rss(as), anon = atomic_get_relaxed(&as->nanon);

  return rss > anon ? rss - anon : 0;
}

static int
show_statm(struct textbuf *t, int pid)
{
  struct view v;
  int e = view_get(pid, 0, &v);

  if(e)
    return e;
  if(v.as)
    text(t, "%lu %lu %lu 0 0 %lu 0\n", v.as->total_pages, aspace_rss(v.as), file_pages(v.as),
         v.as->data_pages + v.as->stack_pages);
  else
    text(t, "0 0 0 0 0 0 0\n");
  view_put(&v);
  return 0;
}

static void
kib(struct textbuf *t, const char *name, uint64_t pages)
{
  text(t, "%s\t%8lu kB\n", name, pages * PAGE_KIB);
}

static void
status_memory(struct textbuf *t, struct aspace *as)
{
  uint64_t shmem = procmaps_shmem(as), rss = aspace_rss(as), anon = min(rss, atomic_get_relaxed(&as->nanon));

  shmem = min(shmem, rss - anon); // they were not counted at one moment
  kib(t, "VmPeak:", max(as->peak_pages, as->total_pages));
  kib(t, "VmSize:", as->total_pages);
  kib(t, "VmLck:", as->locked_pages);
  kib(t, "VmPin:", 0);
  kib(t, "VmHWM:", max(as->peak_rss, rss));
  kib(t, "VmRSS:", rss);
  kib(t, "RssAnon:", anon);
  kib(t, "RssFile:", rss - anon - shmem);
  kib(t, "RssShmem:", shmem);
  kib(t, "VmData:", as->data_pages);
  kib(t, "VmStk:", as->stack_pages);
  kib(t, "VmPTE:", pmap_tables(as->pmap));
  kib(t, "VmSwap:", 0);
}

static void
status_ids(struct textbuf *t, const struct cred *c)
{
  text(t, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\n", c->uid, c->euid, c->suid, c->fsuid, c->gid, c->egid, c->sgid,
       c->fsgid);
  text(t, "Groups:\t");
  for(int i = 0; i < c->ngroups; i++)
    text(t, "%u ", c->groups[i]);
  text(t, "\n");
}

static const char *
state_name(char state)
{
  switch(state) {
  case 'R': return "running";
  case 'T': return "stopped";
  case 'Z': return "zombie";
  default: return "sleeping";
  }
}

static int
show_status(struct textbuf *t, int pid, int tid)
{
  struct view v;
  int e = view_get(pid, tid, &v);

  if(e)
    return e;
  text(t, "Name:\t%s\nState:\t%c (%s)\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t0\n", v.name, v.state,
       state_name(v.state), pid, tid ? tid : pid, v.ppid);
  status_ids(t, v.cred);
  if(v.as)
    status_memory(t, v.as);
  text(t, "Threads:\t%d\nSigQ:\t%d/%lu\n", v.nthreads, atomic_get(&v.p->nqueued), proc_limit(v.p, RLIMIT_SIGPENDING));
  text(t, "SigPnd:\t%016lx\nShdPnd:\t%016lx\nSigBlk:\t%016lx\n", v.pending, v.shared_pending, v.blocked);
  text(t, "SigIgn:\t%016lx\nSigCgt:\t%016lx\n", v.ignored, v.caught);
  text(t, "CapInh:\t%016lx\nCapPrm:\t%016lx\nCapEff:\t%016lx\n", v.cred->cap_inheritable, v.cred->cap_permitted,
       v.cred->cap_effective);
  text(t, "NoNewPrivs:\t%d\nCpus_allowed:\t%lx\n", v.p->no_new_privs, v.affinity);
  text(t, "voluntary_ctxt_switches:\t%lu\nnonvoluntary_ctxt_switches:\t%lu\n", v.nvcsw, v.nivcsw);
  view_put(&v);
  return 0;
}

// ---- strings of the program

// Bytes [lo, hi) of the program's memory, as far as they can be read.
static int
show_memory(struct textbuf *t, int pid, bool env)
{
  enum { CHUNK = 512 };
  struct view v;
  char buf[CHUNK];
  vaddr_t lo, hi;
  int e = view_get(pid, 0, &v);

  if(e)
    return e;
  lo = !v.as ? 0 : env ? v.as->env_start : v.as->arg_start;
  hi = !v.as ? 0 : env ? v.as->env_end : v.as->arg_end;
  while(lo < hi && !t->failed) {
    size_t n = min(hi - lo, (uint64_t)CHUNK), done = 0;

    e = copyin(v.as, buf, lo, n, &done);
    text_bytes(t, buf, e ? done : n);
    if(e)
      break;
    lo += n;
  }
  view_put(&v);
  return e == -EINTR || e == -ENOMEM ? e : 0;
}

static int
show_cmdline(struct textbuf *t, int pid)
{
  return show_memory(t, pid, false);
}

static int
show_environ(struct textbuf *t, int pid)
{
  return show_memory(t, pid, true);
}

static int
show_comm(struct textbuf *t, int pid, int tid)
{
  struct view v;
  int e = view_get(pid, tid, &v);

  if(e)
    return e;
  text(t, "%s\n", v.name);
  view_put(&v);
  return 0;
}

static int
store_comm(int pid, int tid, const char *s, size_t n)
{
  struct proc *p = current_proc();
  struct thread *t;

  if(p->pid != pid)
    return -EINVAL;
  if(n && s[n - 1] == '\n')
    n--;
  spin_acquire(&p->lock);
  t = thread_in(p, tid);
  if(t) {
    n = min(n, sizeof(t->name) - 1);
    memset(t->name, 0, sizeof(t->name));
    memcpy(t->name, s, n);
  }
  spin_release(&p->lock);
  return t ? 0 : -ESRCH;
}

static int
show_limits(struct textbuf *t, int pid)
{
  static const struct {
    const char *name, *unit;
  } limit[RLIMITS] = {
      {"Max cpu time", "seconds"},    {"Max file size", "bytes"},      {"Max data size", "bytes"},
      {"Max stack size", "bytes"},    {"Max core file size", "bytes"}, {"Max resident set", "bytes"},
      {"Max processes", "processes"}, {"Max open files", "files"},     {"Max locked memory", "bytes"},
      {"Max address space", "bytes"}, {"Max file locks", "locks"},     {"Max pending signals", "signals"},
      {"Max msgqueue size", "bytes"}, {"Max nice priority", ""},       {"Max realtime priority", ""},
      {"Max realtime timeout", "us"},
  };
  struct proc *p = proc_find(pid);

  if(p == 0)
    return -ESRCH;
  text(t, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
  for(int i = 0; i < RLIMITS; i++) {
    char value[2][24];

    for(int k = 0; k < 2; k++) {
      uint64_t n = atomic_get_relaxed(k ? &p->rlim[i].max : &p->rlim[i].cur);

      fmt(value[k], sizeof(value[k]), n == UINT64_MAX ? "unlimited" : "%lu", n);
    }
    text(t, "%-25s %-20s %-20s %-10s\n", limit[i].name, value[0], value[1], limit[i].unit);
  }
  proc_put(p);
  return 0;
}

static int
show_oom_adj(struct textbuf *t, int pid)
{
  struct proc *p = proc_find(pid);

  if(p == 0)
    return -ESRCH;
  text(t, "%d\n", p->oom_score_adj);
  proc_put(p);
  return 0;
}

static int
store_oom_adj(int pid, const char *s, size_t n)
{
  enum { ADJ_MAX = 1000, DECIMAL = 10 };
  bool minus = n && s[0] == '-';
  struct proc *p;
  int v = 0;

  if(n > 0 && s[n - 1] == '\n')
    n--;
  if(n == minus)
    return -EINVAL;
  for(size_t i = minus; i < n; i++) {
    if(s[i] < '0' || s[i] > '9' || v > ADJ_MAX)
      return -EINVAL;
    v = v * DECIMAL + (s[i] - '0');
  }
  if(v > ADJ_MAX)
    return -EINVAL;
  v = minus ? -v : v;
  p = proc_find(pid);
  if(p == 0)
    return -ESRCH;
  spin_acquire(&p->lock);
  if(v >= p->oom_score_adj || cred_capable(CAP_SYS_RESOURCE))
    p->oom_score_adj = v;
  else
    v = -EACCES;
  spin_release(&p->lock);
  proc_put(p);
  return v == -EACCES ? v : 0;
}

// ---- who there is

static int
next_pid(int after)
{
  struct proc *p = proc_next(after);
  int pid = p ? p->pid : 0;

  if(p)
    proc_put(p);
  return pid;
}

static bool
pid_exists(int pid)
{
  struct proc *p = proc_find(pid);

  if(p)
    proc_put(p);
  return p != 0;
}

static int
self_pid(void)
{
  return current_proc() ? current_proc()->pid : 0;
}

static int
self_tid(void)
{
  return thread_self()->tid;
}

static void
pid_owner(int pid, uint32_t *uid, uint32_t *gid)
{
  struct proc *p = proc_find(pid);
  struct cred *c;

  *uid = *gid = 0;
  if(p == 0)
    return;
  c = proc_cred(p);
  if(p->dumpable) {
    *uid = c->euid;
    *gid = c->egid;
  }
  cred_put(c);
  proc_put(p);
}

static int
next_tid(int pid, int after)
{
  struct proc *p = proc_find(pid);
  int best = 0;

  if(p == 0)
    return 0;
  spin_acquire(&p->lock);
  list_for_each(it, &p->threads) {
    int tid = list_entry(it, struct thread, in_proc)->tid;

    if(tid > after && (best == 0 || tid < best))
      best = tid;
  }
  spin_release(&p->lock);
  proc_put(p);
  return best;
}

void
proc_show_all(void)
{
  struct proc *p;

  print("  PID  PPID S THREADS   RSS kB NAME\n");
  for(int pid = 0; (p = proc_next(pid)) != 0; pid = p->pid, proc_put(p)) {
    struct view v;

    if(view_get(p->pid, 0, &v) != 0)
      continue;
    print("%5d %5d %c %7d %8lu %s\n", p->pid, v.ppid, v.state, v.nthreads, v.as ? aspace_rss(v.as) * PAGE_KIB : 0,
          v.name);
    view_put(&v);
  }
}

enum { READ_ALL = 0444, READ_OWN = 0400, WRITE_OWN = 0644, WRITE_ONLY = 0200, LINK_MODE = 0777 };
static const struct proc_file files[] = {
    {.name = "maps", .mode = READ_ALL, .show = procmaps_maps},
    {.name = "smaps", .mode = READ_ALL, .show = procmaps_smaps},
    {.name = "smaps_rollup", .mode = READ_ALL, .show = procmaps_rollup},
    {.name = "pagemap", .mode = READ_OWN, .read = pagemap_read},
    {.name = "clear_refs", .mode = WRITE_ONLY, .store = clear_refs_store},
    {.name = "statm", .mode = READ_ALL, .show = show_statm},
    {.name = "status", .mode = READ_ALL, .show_thread = show_status},
    {.name = "stat", .mode = READ_ALL, .show_thread = show_stat},
    {.name = "cmdline", .mode = READ_ALL, .show = show_cmdline},
    {.name = "environ", .mode = READ_OWN, .show = show_environ},
    {.name = "comm", .mode = WRITE_OWN, .show_thread = show_comm, .store_thread = store_comm},
    {.name = "limits", .mode = READ_ALL, .show = show_limits},
    {.name = "oom_score_adj", .mode = WRITE_OWN, .show = show_oom_adj, .store = store_oom_adj},
    {.name = "mounts", .mode = READ_ALL, .show = sysinfo_mounts},
    {.name = "mountinfo", .mode = READ_ALL, .show = sysinfo_mountinfo},
    {.name = "exe", .mode = LINK_MODE, .link = proclink_exe, .readlink = proclink_text_exe},
    {.name = "cwd", .mode = LINK_MODE, .link = proclink_cwd, .readlink = proclink_text_cwd},
    {.name = "root", .mode = LINK_MODE, .link = proclink_root, .readlink = proclink_text_root},
    {0},
};

static bool
may_set(void)
{
  return cred_capable(CAP_SYS_ADMIN);
}

void
procinfo_init(void)
{
  procfs_hooks = (struct procfs_hooks){
      .top = sysinfo_top,
      .per_pid = files,
      .next_pid = next_pid,
      .may_set = may_set,
      .pid_exists = pid_exists,
      .self_pid = self_pid,
      .self_tid = self_tid,
      .pid_owner = pid_owner,
      .next_fd = proclink_next_fd,
      .fd_link = proclink_fd,
      .fd_readlink = proclink_text_fd,
      .next_tid = next_tid,
  };
}
