// sched.c -- which thread runs where: per-CPU queues ordered by virtual time, switching, placing, balancing, and the
// clock of slices. Implements core/thread.h.
//
// A thread sleeps:  thread_prepare / look at the condition / thread_block;  whoever makes the condition true calls
// thread_wake. `woken` closes the gap in between. A thread that is switched away from stays `on_cpu` until the next one
// has finished the switch (switch_finish): until then its stack is in use, so it is queued on that CPU only and never
// stolen. A dead thread is buried by whoever runs next.
// Two queue locks are never held at once.
// Must not know: what a thread waits for.
#include "arch/x86_64/regs.h"
#include "core/cpu.h"
#include "core/kthread.h"
#include "core/print.h"
#include "core/time.h"
#include "core/trace.h"
#include "lib/atomic.h"
#include "lib/string.h"
#include "proc/proc.h"

enum { // nanoseconds
  SLICE_MAX = 10000000,
  SLICE_MIN = 2000000,
  SLICE_PERIOD = 20000000, // in which every runnable thread should have run
  SLEEPER_BONUS = 3000000, // how far behind the others a thread may be when it wakes
  WAKE_MARGIN = 1000000,   // how much less a woken thread must have run to interrupt another
};
enum { IMBALANCE = 2 }; // difference of queue lengths worth moving a thread for

struct runq {
  struct spinlock lock;
  struct rbtree tree;     // (Q) by vruntime
  int n;                  // (Q) in the tree
  uint64_t floor;         // (Q) all virtual times here are about this; never falls
  struct thread *running; // (Q)
  struct thread *idle;    // (c)
  struct thread *prev;    // its CPU: being switched away from
  bool evicted;           // its CPU: prev may go on, but not on this CPU
} __attribute__((aligned(64)));

static struct runq runqs[CPU_MAX];
static uint64_t idle_cpus; // (a) bit per CPU with nothing to do; who gives it work takes the bit away

static struct runq *
runq_here(void)
{
  return &runqs[cpu_self()->id];
}

// The queue that t belongs to, locked. t->cpu changes only under the lock of the old one.
static struct runq *
runq_lock_of(struct thread *t) UNCHECKED // the lock depends on the answer
{
  for(;;) {
    int cpu = atomic_get(&t->cpu);

    spin_acquire(&runqs[cpu].lock);
    if(cpu == t->cpu)
      return &runqs[cpu];
    spin_release(&runqs[cpu].lock);
  }
}

static void
runq_insert(struct runq *rq, struct thread *t)
{
  struct rbnode **at = &rq->tree.root, *up = 0;

  while(*at) {
    up = *at;
    at = t->vruntime < container_of(up, struct thread, rq)->vruntime ? &up->left : &up->right;
  }
  rb_insert(&rq->tree, &t->rq, up, at);
  t->queued = true;
  rq->n++;
}

static void
runq_remove(struct runq *rq, struct thread *t)
{
  rb_remove(&rq->tree, &t->rq);
  t->queued = false;
  rq->n--;
}

static struct thread *
runq_first(struct runq *rq)
{
  struct rbnode *n = rb_first(&rq->tree);

  return n ? container_of(n, struct thread, rq) : 0;
}

// ---- where a thread goes

static uint64_t
slice_length(struct runq *rq)
{
  uint64_t ns = SLICE_PERIOD / (uint64_t)(rq->n + 1);

  return min(max(ns, (uint64_t)SLICE_MIN), (uint64_t)SLICE_MAX);
}

// A CPU for t, which became runnable: an idle one, best the one it knows; else where it was. Takes the idle mark.
static int
place(struct thread *t)
{
  uint64_t idle = atomic_get(&idle_cpus) & t->affinity, home = 1ull << t->cpu;
  int best = -1;

  if(idle) {
    int cpu = (idle & home) ? t->cpu : __builtin_ctzll(idle);

    atomic_and(&idle_cpus, ~(1ull << cpu));
    return cpu;
  }
  if(t->affinity & home)
    return t->cpu;
  for(int i = 0; i < CPU_MAX; i++)
    if((t->affinity >> i & 1) && cpus[i] && cpus[i]->online &&
       (best < 0 || atomic_get_relaxed(&runqs[i].n) < atomic_get_relaxed(&runqs[best].n)))
      best = i;
  return best < 0 ? t->cpu : best;
}

static void
preempt(int cpu)
{
  cpus[cpu]->need_resched = true;
  if(cpu != cpu_self()->id)
    cpu_kick(cpu);
}

// t is runnable and belongs to this queue from now on; its vruntime is a distance from `floor`.
static void
enqueue(struct runq *rq, struct thread *t) REQUIRES(rq->lock)
{
  struct thread *cur = rq->running;
  uint64_t now;

  runq_insert(rq, t);
  if(cur == rq->idle) {
    preempt(t->cpu);
    return;
  }
  now = clock_now();
  if(cur->vruntime + (now > cur->entered ? now - cur->entered : 0) > t->vruntime + WAKE_MARGIN)
    preempt(t->cpu);
}

// Give a runnable, unqueued thread to CPU `cpu`. held: nothing of rank RANK_RQ
static void
hand_over(struct thread *t, int cpu, uint64_t behind)
{
  struct runq *rq = &runqs[cpu];

  spin_acquire(&rq->lock);
  t->vruntime = rq->floor > behind ? rq->floor - behind : 0;
  enqueue(rq, t);
  spin_release(&rq->lock);
}

void
thread_wake(struct thread *t) UNCHECKED // runq_lock_of
{
  struct runq *rq = runq_lock_of(t);
  uint64_t floor = rq->floor > SLEEPER_BONUS ? rq->floor - SLEEPER_BONUS : 0;
  int cpu;

  t->woken = true;
  if(t->state != THREAD_BLOCKED) {
    spin_release(&rq->lock);
    return;
  }
  t->state = THREAD_RUNNABLE;
  t->vruntime = max(t->vruntime, floor);
  cpu = t->on_cpu ? t->cpu : place(t);
  if(cpu == t->cpu) {
    enqueue(rq, t);
    spin_release(&rq->lock);
    return;
  }
  atomic_set(&t->cpu, cpu);
  spin_release(&rq->lock);
  hand_over(t, cpu, SLEEPER_BONUS);
}

void
sched_add(struct thread *t)
{
  int cpu;

  t->cpu = cpu_self()->id;
  t->state = THREAD_RUNNABLE;
  cpu = place(t);
  atomic_set(&t->cpu, cpu);
  hand_over(t, cpu, 0);
}

// Take a thread from the CPU with the longest queue of at least `least`: true if this CPU now has one more.
static bool
steal(struct runq *mine, int least)
{
  int me = cpu_self()->id, from = -1;
  struct thread *t = 0;
  struct runq *rq;

  for(int i = 0; i < CPU_MAX; i++)
    if(i != me && atomic_get_relaxed(&runqs[i].n) >= least) {
      least = runqs[i].n;
      from = i;
    }
  if(from < 0)
    return false;
  rq = &runqs[from];
  spin_acquire(&rq->lock);
  for(struct rbnode *n = rb_last(&rq->tree); n; n = rb_prev(n)) {
    t = container_of(n, struct thread, rq);
    if(!atomic_get(&t->on_cpu) && (t->affinity >> me & 1))
      break;
    t = 0;
  }
  if(t) {
    runq_remove(rq, t);
    atomic_set(&t->cpu, me);
  }
  spin_release(&rq->lock);
  if(t)
    hand_over(t, me, 0);
  return t != 0;
}

// ---- switching

// What comes after every switch, on the new thread's stack: the old one's stack is free for others now.
static void
switch_finish(void)
{
  struct thread *prev = runq_here()->prev;
  bool dead = prev->state == THREAD_DEAD;
  bool moved = runq_here()->evicted;

  if(moved)
    atomic_set(&prev->cpu, place(prev));
  atomic_set(&prev->on_cpu, false);
  if(moved)
    hand_over(prev, prev->cpu, 0);
  if(dead)
    thread_bury(prev);
}

// Who runs next on rq; the running thread was queued if it wants to go on. held: rq->lock
static struct thread *
choose(struct runq *rq, struct cpu *c, uint64_t now)
{
  struct thread *next = runq_first(rq);

  c->need_resched = false;
  if(next == 0)
    return rq->idle;
  runq_remove(rq, next);
  rq->floor = max(rq->floor, next->vruntime);
  next->slice_end = now + slice_length(rq);
  clock_arm(next->slice_end);
  return next;
}

static void
load_user_state(struct thread *t)
{
  if(t->proc == 0)
    return;
  if(t->proc->as)
    pmap_activate(t->proc->as->pmap);
  arch_thread_load(t);
}

// Give the CPU to whoever is next. held: irq_off() once, and rq->lock, which is released.
static void
switch_away(struct runq *rq) UNCHECKED // the lock comes from the caller
{
  struct cpu *c = cpu_self();
  struct thread *prev = c->thread, *next;
  uint64_t now = clock_now();
  bool were_on = c->irq_were_on;

  usage_account(prev, now);
  if(prev->ticked)
    usage_tick(prev, false);
  rq->evicted = prev->state == THREAD_RUNNABLE && prev != rq->idle && !(prev->affinity >> c->id & 1);
  if(prev->state == THREAD_RUNNABLE && prev != rq->idle && !rq->evicted)
    runq_insert(rq, prev);
  next = choose(rq, c, now);
  rq->running = next;
  next->on_cpu = true;
  next->entered = now;
  spin_release(&rq->lock);
  if(next == prev)
    return;
  assert(c->irq_off_depth == 1);
  c->switches++;
  trace(SWITCH, prev->tid, next->tid, prev->state);
  rq->prev = prev;
  if(prev->rseq)
    prev->rseq_due = true;
  if(prev->proc && prev->state != THREAD_DEAD)
    arch_thread_save(prev);
  load_user_state(next);
  c->thread = next;
  arch_switch(&prev->ksp, next->ksp);
  cpu_self()->irq_were_on = were_on;
  switch_finish();
}

static void
schedule(void) UNCHECKED // switch_away releases
{
  struct runq *rq;

  irq_off();
  rq = runq_here();
  spin_acquire(&rq->lock);
  switch_away(rq);
  irq_restore();
}

// The first instruction of a new thread: the other half of switch_away.
void
sched_thread_begin(void)
{
  struct thread *t;

  cpu_self()->irq_were_on = true;
  switch_finish();
  irq_restore();
  t = thread_self();
  if(t->entry) {
    t->entry(t->entry_arg);
    sched_exit();
  }
  proc_user_start();
}

void
sched_exit(void) UNCHECKED // switch_away releases
{
  struct thread *t = thread_self();
  struct runq *rq;

  irq_off();
  rq = runq_here();
  spin_acquire(&rq->lock);
  t->state = THREAD_DEAD;
  switch_away(rq);
  panic("dead thread %d runs", t->tid);
}

// ---- core/thread.h

void
thread_block(void) UNCHECKED // switch_away releases
{
  struct thread *t = thread_self();
  struct runq *rq;

  irq_off();
  rq = runq_here();
  spin_acquire(&rq->lock);
  if(t->woken) {
    spin_release(&rq->lock);
  } else {
    assert(t != rq->idle);
    t->state = THREAD_BLOCKED;
    t->nvcsw++;
    switch_away(rq);
  }
  irq_restore();
}

void
thread_relax(void)
{
  if(cpu_self()->need_resched && thread_self() && !thread_self()->idle)
    schedule();
}

void
thread_yield(void) UNCHECKED // switch_away releases
{
  struct thread *t = thread_self(), *first;
  struct runq *rq;

  irq_off();
  rq = runq_here();
  spin_acquire(&rq->lock);
  first = runq_first(rq);
  usage_account(t, clock_now());
  if(first)
    t->vruntime = max(t->vruntime, first->vruntime);
  switch_away(rq);
  irq_restore();
}

// ---- clock, user mode, idle

void
sched_tick(void)
{
  struct runq *rq = runq_here();
  struct thread *t = thread_self();
  uint64_t now;

  cpu_self()->clock_armed = 0;
  clock_arm(timer_run());
  now = clock_now();
  load_update(now);
  if(t == 0 || t == rq->idle)
    return;
  t->ticked = true;
  if(now >= t->slice_end) {
    uint64_t idle = atomic_get(&idle_cpus);

    t->slice_end = now + slice_length(rq);
    if(rq->n > 0)
      cpu_self()->need_resched = true;
    if(rq->n > 0 && idle)
      preempt(__builtin_ctzll(idle));
    else if(!idle)
      steal(rq, rq->n + IMBALANCE);
  }
  clock_arm(t->slice_end);
}

static bool
restart_due(struct thread *t, const struct regs *r)
{
  return t->syscall_no != NO_SYSCALL && (int64_t)r->rax <= -ERESTARTSYS && (int64_t)r->rax >= -ERESTART_RESTARTBLOCK;
}

void
sched_return(struct regs *r)
{
  struct thread *t = thread_self();

  if(unlikely(t->ticked)) {
    bool user = (int64_t)r->orig_rax == -1;

    usage_tick(t, user);
    usage_account(t, clock_now());
    if(unlikely(atomic_get_relaxed(&t->proc->ncputimers)))
      cputimer_check(t->proc);
  }
  for(;;) {
    if(cpu_self()->need_resched) {
      t->nivcsw++;
      schedule();
    } else if(t->exiting || t->sig_pending || t->restore_mask || restart_due(t, r)) {
      cpu_irq_enable();
      signal_deliver(r);
      cpu_irq_disable();
    } else if(unlikely(t->rseq_due)) {
      cpu_irq_enable();
      rseq_resume(r);
      cpu_irq_disable();
    } else {
      break;
    }
  }
  t->syscall_no = NO_SYSCALL;
}

void
sched_idle_loop(void)
{
  struct runq *rq = runq_here();
  uint64_t me = 1ull << cpu_self()->id;

  for(;;) {
    cpu_irq_disable();
    atomic_or(&idle_cpus, me);
    if(rq->n == 0 && !steal(rq, 1)) {
      cpu_idle();
      continue;
    }
    atomic_and(&idle_cpus, ~me);
    schedule();
    cpu_irq_enable();
  }
}

void
sched_notice(struct thread *t)
{
  thread_wake(t);
  if(atomic_get(&t->on_cpu) && t->cpu != cpu_self()->id)
    cpu_kick(t->cpu);
}

// ---- start, affinity, figures

static void
runqs_init(void)
{
  for(int i = 0; i < CPU_MAX; i++)
    spin_init(&runqs[i].lock, "runq", RANK_RQ);
}

void
sched_init(void)
{
  struct cpu *c = cpu_self();
  struct runq *rq = &runqs[c->id];
  struct thread *t;

  if(runqs[0].lock.name == 0)
    runqs_init();
  t = thread_alloc_idle();
  if(t == 0)
    panic("no memory for the idle thread of CPU %d", c->id);
  fmt(t->name, sizeof(t->name), "idle/%d", c->id);
  t->idle = true;
  t->cpu = c->id;
  t->on_cpu = true;
  t->affinity = 1ull << c->id;
  t->entered = clock_now();
  rq->idle = rq->running = t;
  c->thread = t;
}

int
sched_set_affinity(struct thread *t, uint64_t mask) UNCHECKED // runq_lock_of
{
  struct runq *rq;
  uint64_t online = 0;

  for(int i = 0; i < CPU_MAX; i++)
    if(cpus[i] && cpus[i]->online)
      online |= 1ull << i;
  if((mask & online) == 0)
    return -EINVAL;

  rq = runq_lock_of(t);
  t->affinity = mask;
  if(t->on_cpu && !(mask >> t->cpu & 1))
    preempt(t->cpu);
  spin_release(&rq->lock);
  if(t == thread_self())
    thread_relax();
  return 0;
}

void
sched_load(uint64_t out[3])
{
  load_read(clock_now(), out);
}

int
sched_running(void)
{
  int n = 0;

  for(int i = 0; i < CPU_MAX; i++)
    n += atomic_get_relaxed(&runqs[i].n) + (runqs[i].running != runqs[i].idle);
  return n;
}

uint64_t
sched_busy_cpus(void)
{
  return ~atomic_get(&idle_cpus);
}

uint64_t
sched_context_switches(void)
{
  uint64_t n = 0;

  for(int i = 0; i < CPU_MAX; i++)
    if(cpus[i])
      n += cpus[i]->switches;
  return n;
}
