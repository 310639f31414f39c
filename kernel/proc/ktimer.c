// ktimer.c -- POSIX timers: by a clock or by processor time, each with a signal of its own that is queued once at most.
//
// Typical: ktimer_create / ktimer_set / the clock interrupt sends the signal / whoever takes it calls ktimer_taken,
// which counts how often the timer went off in between (the overrun).
// A timer that repeats faster than its signal is taken is not followed one by one: the hardware is asked again after a
// while, and the times in between are counted by division.
// Timers belong to the process, end with it and with exec, and are not inherited.
// Must not know: what clocks are called.
#include "lib/atomic.h"
#include "lib/string.h"
#include "proc/ktimer.h"

enum { REPEAT_MIN = 100000, REPEAT_QUEUED = 10000000 }; // ns: soonest next look; while the signal waits to be taken
#define OVERRUN_MAX INT32_MAX

struct ktimer {
  struct list link;           // (K) on proc->ktimers
  struct proc *proc;          // (c) not referenced: it ends later
  struct ktimer_setting how;  // (c)
  struct thread *target;      // (c) referenced; 0: the process
  int id;                     // (c)
  struct timer timer;         // by a clock
  struct cputimer cpu;        // by processor time
  uint64_t expires, interval; // (K) of a clock; expires 0: stopped
  uint64_t overrun;           // (K) times since its signal was sent, that one not counted
  int last;                   // (K) overrun of the signal taken last
  bool queued;                // (K) its signal was sent and not taken
};

static bool
by_cpu(const struct ktimer *k)
{
  return k->how.clock != KTIMER_CLOCK && k->how.clock != KTIMER_WALL;
}

// ---- going off

// It went off n times. The signal goes out unless the last one still waits; one that was dropped does not.
static void
went_off(struct ktimer *k, uint64_t n)
{
  struct proc *p = k->proc;
  struct siginfo si = {.signo = k->how.signo, .code = SI_TIMER};
  bool waits, send;

  if(k->how.signo == 0)
    return;
  spin_acquire(&p->lock);
  waits = (k->target ? &k->target->pending : &p->pending)->set & SIGBIT(k->how.signo);
  spin_release(&p->lock);
  spin_acquire(&p->ktimer_lock);
  send = !k->queued || !waits;
  k->overrun = send ? n - 1 : k->overrun + n;
  k->queued = true;
  spin_release(&p->ktimer_lock);
  if(!send)
    return;
  si.timer.tid = k->id;
  si.timer.value = k->how.value;
  signal_send(k->target, p, &si);
}

// Times it went off until `now`; `expires` is the next one then. held: ktimer_lock
static uint64_t
forward(struct ktimer *k, uint64_t now)
{
  uint64_t n = 1;

  if(k->expires == 0 || now < k->expires)
    return 0;
  if(k->interval == 0) {
    k->expires = 0;
    return n;
  }
  n += (now - k->expires) / k->interval;
  if(__builtin_add_overflow(k->expires, n * k->interval, &k->expires))
    k->expires = NEVER;
  return n;
}

static void
ring(struct timer *t)
{
  struct ktimer *k = container_of(t, struct ktimer, timer);
  uint64_t now = clock_now(), n;

  spin_acquire(&k->proc->ktimer_lock);
  n = forward(k, now);
  spin_release(&k->proc->ktimer_lock);
  if(n)
    went_off(k, n);
  spin_acquire(&k->proc->ktimer_lock);
  if(k->expires)
    timer_start(t, max(k->expires, now + (k->queued && k->interval < REPEAT_QUEUED ? REPEAT_QUEUED : REPEAT_MIN)));
  spin_release(&k->proc->ktimer_lock);
}

static void
ring_cpu(struct cputimer *t, uint64_t n)
{
  went_off(container_of(t, struct ktimer, cpu), n);
}

static struct ktimer *
find(struct proc *p, int id) REQUIRES(p->ktimer_lock)
{
  list_for_each(it, &p->ktimers) {
    struct ktimer *k = list_entry(it, struct ktimer, link);

    if(k->id == id)
      return k;
  }
  return 0;
}

// The signal is taken: from here on the next one may be sent. The clock is asked again soon, if it was left alone.
void
ktimer_taken(struct proc *p, struct siginfo *si)
{
  struct ktimer *k;

  spin_acquire(&p->ktimer_lock);
  k = find(p, si->timer.tid);
  if(k && k->queued && k->how.signo == si->signo) {
    if(!by_cpu(k) && k->interval)
      k->overrun += forward(k, clock_now());
    k->last = min(k->overrun, (uint64_t)OVERRUN_MAX);
    k->queued = false;
    si->timer.overrun = k->last;
    if(!by_cpu(k) && k->expires && k->interval < REPEAT_QUEUED)
      timer_start(&k->timer, k->expires);
  }
  spin_release(&p->ktimer_lock);
}

// ---- the calls

static void
ktimer_free(struct ktimer *k)
{
  if(k->target)
    thread_put(k->target);
  if(k->cpu.thread)
    thread_put(k->cpu.thread);
  atomic_sub(&k->proc->nqueued, 1);
  kfree(k);
}

int
ktimer_create(const struct ktimer_setting *how, int *id)
{
  struct proc *p = current_proc();
  struct thread *thread = how->clock == KTIMER_CPU_THREAD ? how->thread : 0;
  struct ktimer *k;

  if(atomic_get(&p->nqueued) >= proc_limit(p, RLIMIT_SIGPENDING)) // its signal has a place in the queue
    return -EAGAIN;
  k = kzalloc(sizeof(*k));
  if(k == 0)
    return -EAGAIN;
  k->proc = p;
  k->how = *how;
  k->target = how->target;
  if(k->target)
    atomic_add(&k->target->ref, 1);
  if(thread)
    atomic_add(&thread->ref, 1);
  timer_init(&k->timer, ring);
  cputimer_init(&k->cpu, p, thread, false, ring_cpu);
  atomic_add(&p->nqueued, 1);
  spin_acquire(&p->ktimer_lock);
  k->id = p->ktimer_next++;
  if(p->ktimer_next < 0)
    p->ktimer_next = 0;
  if(how->value_is_id)
    k->how.value = k->id;
  list_add_tail(&p->ktimers, &k->link);
  *id = k->id;
  spin_release(&p->ktimer_lock);
  return 0;
}

// Take it out, so that the caller alone has it; 0: there is none.
static struct ktimer *
take(struct proc *p, int id, bool any)
{
  struct ktimer *k = 0;

  spin_acquire(&p->ktimer_lock);
  if(!any)
    k = find(p, id);
  else if(!list_empty(&p->ktimers))
    k = list_entry(p->ktimers.next, struct ktimer, link);
  if(k)
    list_del(&k->link);
  spin_release(&p->ktimer_lock);
  return k;
}

static void
stop(struct ktimer *k)
{
  spin_acquire(&k->proc->ktimer_lock);
  k->expires = 0; // a ring that runs now does not start it again
  spin_release(&k->proc->ktimer_lock);
  timer_cancel(&k->timer);
  if(by_cpu(k))
    cputimer_cancel(&k->cpu);
}

int
ktimer_delete(int id)
{
  struct ktimer *k = take(current_proc(), id, false);

  if(k == 0)
    return -EINVAL;
  stop(k);
  ktimer_free(k);
  return 0;
}

void
ktimer_delete_all(struct proc *p)
{
  struct ktimer *k;

  while((k = take(p, 0, true)) != 0) {
    stop(k);
    ktimer_free(k);
  }
}

static struct ktimer_value
value_now(struct proc *p, struct ktimer *k) REQUIRES(p->ktimer_lock)
{
  struct ktimer_value v = {0, 0};
  uint64_t now = clock_now();

  if(by_cpu(k)) {
    struct cputimer_left left = cputimer_get(&k->cpu);

    return (struct ktimer_value){left.value, left.interval};
  }
  if(k->how.signo == 0) // nobody hears of it: it is looked at only here
    forward(k, now);
  if(k->expires)
    v.value = k->expires > now ? k->expires - now : 1; // due: not over
  v.interval = k->interval;
  return v;
}

int
ktimer_get(int id, struct ktimer_value *v)
{
  struct proc *p = current_proc();
  struct ktimer *k;

  spin_acquire(&p->ktimer_lock);
  k = find(p, id);
  if(k)
    *v = value_now(p, k);
  spin_release(&p->ktimer_lock);
  return k ? 0 : -EINVAL;
}

static uint64_t
saturated(uint64_t a, uint64_t b)
{
  return a >= NEVER - b ? NEVER : a + b;
}

// A clock's time on clock_now's scale.
static uint64_t
time_of(const struct ktimer *k, bool absolute, uint64_t ns)
{
  uint64_t wall = clock_wall();

  if(absolute && k->how.clock == KTIMER_CLOCK)
    return max(ns, (uint64_t)1);
  return saturated(clock_now(), !absolute ? ns : ns > wall ? ns - wall : 0);
}

// A ring that runs on another CPU finds the new time not due.
static void
start(struct proc *p, struct ktimer *k, bool absolute, const struct ktimer_value *v) REQUIRES(p->ktimer_lock)
{
  uint64_t at;

  k->overrun = 0;
  k->last = 0;
  if(by_cpu(k)) {
    at = absolute ? max(v->value, (uint64_t)1) : saturated(cputimer_clock(&k->cpu), v->value);
    cputimer_set(&k->cpu, v->value ? at : 0, v->interval);
    return;
  }
  k->interval = v->interval;
  k->expires = v->value ? time_of(k, absolute, v->value) : 0;
  timer_start(&k->timer, k->expires && k->how.signo ? k->expires : NEVER); // NEVER stops it
}

int
ktimer_set(int id, bool absolute, const struct ktimer_value *v, struct ktimer_value *old)
{
  struct proc *p = current_proc();
  struct ktimer *k;

  spin_acquire(&p->ktimer_lock);
  k = find(p, id);
  if(k) {
    *old = value_now(p, k);
    start(p, k, absolute, v);
  }
  spin_release(&p->ktimer_lock);
  return k ? 0 : -EINVAL;
}

int
ktimer_overrun(int id)
{
  struct proc *p = current_proc();
  struct ktimer *k;
  int r;

  spin_acquire(&p->ktimer_lock);
  k = find(p, id);
  r = k ? k->last : -EINVAL;
  spin_release(&p->ktimer_lock);
  return r;
}
