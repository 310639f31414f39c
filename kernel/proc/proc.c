// proc.c -- processes by number: pids, the tables that find them, groups and sessions, and what others may ask of one.
//
// Typical: p = proc_alloc(pid_alloc()) / fill it / proc_add(p, leader, parent);  p = proc_find(pid) / work / proc_put(p).
// A pid is taken while a process or thread has it, or a group or session is named after it. A process is found until it
// is reaped (proc_remove); the structure lives as long as somebody has a reference, and every thread has one.
// Must not know: how a process comes about or ends (clone.c, exec.c, exit.c).
#include "core/print.h"
#include "core/time.h"
#include "lib/atomic.h"
#include "proc/proc.h"

enum { PID_CHUNK_BITS = 32768, PID_WORD_BITS = 64, PID_LIMIT = 4194304, PID_CHUNKS = PID_LIMIT / PID_CHUNK_BITS };
enum { PID_RESERVED = 300, HASH_BUCKETS = 1024 }; // after a wrap, the low numbers stay with the daemons

struct spinlock proclist_lock = SPINLOCK_INIT("proclist", RANK_PROCLIST);
struct proc *proc_initial;
int pid_max = PID_CHUNK_BITS;

static struct kmem_cache *proc_cache;
static uint64_t *pid_chunk[PID_CHUNKS]; // (L) bitmaps of numbers in use
static int pid_last;                    // (L)
static int nprocs;                      // (L)
static struct list by_pid[HASH_BUCKETS], by_tid[HASH_BUCKETS], by_pgid[HASH_BUCKETS], by_sid[HASH_BUCKETS]; // (L)

static struct list *
bucket(struct list *table, int id)
{
  return &table[(unsigned)id % HASH_BUCKETS];
}

// ---- numbers

// The word that holds pid's bit; 0 if nobody near it has been used and `make` is false, or memory is short.
static uint64_t *
pid_word(int pid, bool make)
{
  uint64_t **chunk = &pid_chunk[pid / PID_CHUNK_BITS];

  if(*chunk == 0 && make)
    *chunk = kzalloc(PID_CHUNK_BITS / 8);
  return *chunk ? *chunk + pid % PID_CHUNK_BITS / PID_WORD_BITS : 0;
}

static bool
pid_take(int pid) REQUIRES(proclist_lock)
{
  uint64_t *w = pid_word(pid, true), bit = 1ull << pid % PID_WORD_BITS;

  if(w == 0 || (*w & bit) || proc_in_group(pid, 0) || proc_in_session(pid, 0))
    return false;
  *w |= bit;
  return true;
}

int
pid_alloc(void)
{
  int pid;

  spin_acquire(&proclist_lock);
  pid = pid_last;
  for(int tries = 0; tries < pid_max; tries++) {
    pid = pid + 1 < pid_max ? pid + 1 : PID_RESERVED;
    if(pid_take(pid)) {
      pid_last = pid;
      spin_release(&proclist_lock);
      return pid;
    }
  }
  spin_release(&proclist_lock);
  return -EAGAIN;
}

int
pid_claim(int pid)
{
  bool taken;

  if(pid < 1 || pid >= atomic_get(&pid_max))
    return -EINVAL;
  if(!cred_capable(CAP_SYS_ADMIN) && !cred_capable(CAP_CHECKPOINT_RESTORE))
    return -EPERM;
  spin_acquire(&proclist_lock);
  taken = pid_take(pid);
  spin_release(&proclist_lock);
  return taken ? pid : -EEXIST;
}

static void
pid_free_locked(int pid) REQUIRES(proclist_lock)
{
  *pid_word(pid, false) &= ~(1ull << pid % PID_WORD_BITS);
}

int
pid_newest(void)
{
  return atomic_get_relaxed(&pid_last);
}

void
pid_free(int pid)
{
  spin_acquire(&proclist_lock);
  pid_free_locked(pid);
  spin_release(&proclist_lock);
}

// ---- tables

enum { ITIMER_SOONEST = 100000 }; // ns: else a short interval would keep a CPU in the interrupt for ever

static void
itimer_ring(struct timer *t)
{
  struct proc *p = container_of(t, struct proc, itimer_real);
  struct siginfo si = {.signo = SIGALRM, .code = SI_KERNEL};
  uint64_t interval = atomic_get(&p->itimer_interval), when = t->when, now = clock_now();

  signal_send(0, p, &si);
  if(interval) { // the next of the series that has not passed: a slow machine loses some, and does not drown
    if(when + interval <= now)
      when += (now - when) / interval * interval;
    timer_start(t, max(when + interval, now + ITIMER_SOONEST));
  }
}

static void
itimer_virtual_ring(struct cputimer *t, uint64_t n)
{
  struct siginfo si = {.signo = SIGVTALRM, .code = SI_KERNEL};

  signal_send(0, t->proc, &si);
}

static void
itimer_prof_ring(struct cputimer *t, uint64_t n)
{
  struct siginfo si = {.signo = SIGPROF, .code = SI_KERNEL};

  signal_send(0, t->proc, &si);
}

struct proc *
proc_alloc(int pid)
{
  struct proc *p = kmem_alloc(proc_cache);

  if(p == 0)
    return 0;
  p->pid = pid;
  p->ref = 1;
  spin_init(&p->lock, "proc", RANK_PROC);
  list_init(&p->threads);
  list_init(&p->pending.queue);
  list_init(&p->children);
  list_init(&p->sibling);
  list_init(&p->by_pid);
  list_init(&p->dead);
  list_init(&p->in_group);
  list_init(&p->in_session);
  waitq_init(&p->wait);
  waitq_init(&p->ended);
  timer_init(&p->itimer_real, itimer_ring);
  list_init(&p->cputimers);
  cputimer_init(&p->itimer_virtual, p, 0, true, itimer_virtual_ring);
  cputimer_init(&p->itimer_prof, p, 0, false, itimer_prof_ring);
  spin_init(&p->ktimer_lock, "process timers", RANK_KTIMER);
  list_init(&p->ktimers);
  p->exit_signal = SIGCHLD;
  p->start_time = clock_now();
  p->dumpable = true;
  return p;
}

struct proc *
proc_get(struct proc *p)
{
  atomic_add(&p->ref, 1);
  return p;
}

void
proc_put(struct proc *p)
{
  if(atomic_sub(&p->ref, 1) > 0)
    return;
  assert(list_empty(&p->by_pid) && list_empty(&p->threads));
  kmem_free(proc_cache, p);
}

void
proc_set_group(struct proc *p, int pgid, int sid)
{
  assert_held(&proclist_lock);
  list_del(&p->in_group);
  list_del(&p->in_session);
  atomic_set(&p->pgid, pgid);
  atomic_set(&p->sid, sid);
  list_add_tail(bucket(by_pgid, pgid), &p->in_group);
  list_add_tail(bucket(by_sid, sid), &p->in_session);
}

static void
add_thread(struct proc *p, struct thread *t) REQUIRES(proclist_lock)
{
  list_add_tail(bucket(by_tid, t->tid), &t->by_tid);
  spin_acquire(&p->lock);
  list_add_tail(&p->threads, &t->in_proc);
  p->nthreads++;
  if(p->group_exit || p->execing) // too late to be born
    t->exiting = true;
  if(p->stopped)
    t->sig_pending = true;
  spin_release(&p->lock);
}

void
proc_add_thread(struct proc *p, struct thread *t)
{
  spin_acquire(&proclist_lock);
  add_thread(p, t);
  spin_release(&proclist_lock);
}

bool
proc_add(struct proc *p, struct thread *leader, struct proc *parent)
{
  struct proc *like = parent ? current_proc() : 0; // CLONE_PARENT: not the same

  spin_acquire(&proclist_lock);
  if(like && atomic_get(&like->group_exit)) { // whoever killed the group under this lock has not seen the child
    spin_release(&proclist_lock);
    return false;
  }
  p->leader = leader;
  atomic_add(&leader->ref, 1);
  list_add_tail(bucket(by_pid, p->pid), &p->by_pid);
  p->parent = parent ? (like == parent ? parent : like->parent) : 0;
  if(like != parent)
    p->exit_signal = like->exit_signal; // what a parent gets is not for its child to choose
  if(p->parent)
    list_add_tail(&p->parent->children, &p->sibling);
  p->tty = like ? like->tty : 0;
  proc_set_group(p, like ? like->pgid : p->pid, like ? like->sid : p->pid);
  nprocs++;
  add_thread(p, leader);
  spin_release(&proclist_lock);
  return true;
}

void
proc_remove(struct proc *p)
{
  assert_held(&proclist_lock);
  list_del(&p->by_pid);
  list_del(&p->sibling);
  list_del(&p->in_group);
  list_del(&p->in_session);
  nprocs--;
  pid_free_locked(p->pid);
}

void
proc_take_lead(struct proc *p, struct thread *t)
{
  struct thread *old = 0;

  spin_acquire(&proclist_lock);
  spin_acquire(&p->lock);
  if(p->leader != t) {
    old = p->leader;
    list_del(&t->by_tid);
    pid_free_locked(t->tid);
    t->tid = p->pid;
    list_add_tail(bucket(by_tid, t->tid), &t->by_tid);
    atomic_add(&t->ref, 1);
    p->leader = t;
  }
  spin_release(&p->lock);
  spin_release(&proclist_lock);
  if(old)
    thread_put(old);
}

static struct proc *
find(int pid) REQUIRES(proclist_lock)
{
  list_for_each(it, bucket(by_pid, pid)) {
    struct proc *p = list_entry(it, struct proc, by_pid);

    if(p->pid == pid)
      return p;
  }
  return 0;
}

struct proc *
proc_find(int pid)
{
  struct proc *p;

  spin_acquire(&proclist_lock);
  p = find(pid);
  if(p)
    proc_get(p);
  spin_release(&proclist_lock);
  return p;
}

struct thread *
thread_find(int tid)
{
  struct thread *found = 0;

  spin_acquire(&proclist_lock);
  list_for_each(it, bucket(by_tid, tid)) {
    struct thread *t = list_entry(it, struct thread, by_tid);

    if(t->tid == tid) {
      atomic_add(&t->ref, 1);
      found = t;
    }
  }
  spin_release(&proclist_lock);
  return found;
}

// First number above `pid` in use, or pid_max.
static int
pid_next(int pid) REQUIRES(proclist_lock)
{
  for(pid++; pid < pid_max; pid++) {
    uint64_t *w = pid_word(pid, false), rest;

    if(w == 0) {
      pid = pid / PID_CHUNK_BITS * PID_CHUNK_BITS + PID_CHUNK_BITS - 1;
      continue;
    }
    rest = *w >> pid % PID_WORD_BITS;
    if(rest)
      return pid + __builtin_ctzll(rest);
    pid |= PID_WORD_BITS - 1;
  }
  return pid_max;
}

struct proc *
proc_after(int pid)
{
  struct proc *p = 0;

  assert_held(&proclist_lock);
  for(pid = pid_next(max(pid, 0)); pid < pid_max; pid = pid_next(pid)) {
    p = find(pid); // a thread's number, or one that is just being made, is no process
    if(p)
      break;
  }
  return p;
}

struct proc *
proc_next(int pid)
{
  struct proc *p;

  spin_acquire(&proclist_lock);
  p = proc_after(pid);
  if(p)
    proc_get(p);
  spin_release(&proclist_lock);
  return p;
}

int
proc_count(void)
{
  return atomic_get_relaxed(&nprocs);
}

struct proc *
proc_in_group(int pgid, struct proc *p)
{
  struct list *head = bucket(by_pgid, pgid);

  for(struct list *it = p ? p->in_group.next : head->next; it != head; it = it->next) {
    p = list_entry(it, struct proc, in_group);
    if(p->pgid == pgid)
      return p;
  }
  return 0;
}

struct proc *
proc_in_session(int sid, struct proc *p)
{
  struct list *head = bucket(by_sid, sid);

  for(struct list *it = p ? p->in_session.next : head->next; it != head; it = it->next) {
    p = list_entry(it, struct proc, in_session);
    if(p->sid == sid)
      return p;
  }
  return 0;
}

// ---- what others may take hold of

struct aspace *
proc_aspace(struct proc *p)
{
  struct aspace *as;

  spin_acquire(&p->lock);
  as = p->as ? aspace_get(p->as) : 0;
  spin_release(&p->lock);
  return as;
}

// The thread whose files and directories speak for the process; 0 if all have ended.
static struct thread *
spokesman(struct proc *p) REQUIRES(p->lock)
{
  return list_empty(&p->threads) ? 0 : list_entry(p->threads.next, struct thread, in_proc);
}

struct fdtable *
proc_files(struct proc *p)
{
  struct thread *t;
  struct fdtable *files;

  spin_acquire(&p->lock);
  t = spokesman(p);
  files = t && t->files ? fdtable_get(t->files) : 0;
  spin_release(&p->lock);
  return files;
}

struct fsctx *
proc_fs(struct proc *p)
{
  struct thread *t;
  struct fsctx *fs;

  spin_acquire(&p->lock);
  t = spokesman(p);
  fs = t && t->fs ? fsctx_get(t->fs) : 0;
  spin_release(&p->lock);
  return fs;
}

struct cred *
proc_cred(struct proc *p)
{
  struct cred *c;

  spin_acquire(&p->lock);
  c = cred_get(p->leader ? p->leader->cred : &cred_kernel);
  spin_release(&p->lock);
  return c;
}

uint64_t
proc_limit(struct proc *p, int which)
{
  return atomic_get_relaxed(&p->rlim[which].cur);
}

void
proc_init(void)
{
  proc_cache = KMEM_CACHE(struct proc);
  for(int i = 0; i < HASH_BUCKETS; i++) {
    list_init(&by_pid[i]);
    list_init(&by_tid[i]);
    list_init(&by_pgid[i]);
    list_init(&by_sid[i]);
  }
}
