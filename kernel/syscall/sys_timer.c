// sys_timer.c -- timers that send signals: the three interval timers, and POSIX timers (proc/ktimer.c).
// Typical: times from the program's memory / set / the old setting out.
#include "lib/string.h"
#include "proc/ktimer.h"
#include "syscall/sys.h"

// ---- interval timers

struct itimer_ns {
  uint64_t value, interval;
};

static struct itimer_ns
itimer_real_now(struct proc *p)
{
  struct itimer_ns it = {0, 0};
  uint64_t now = clock_now();

  spin_acquire(&p->lock);
  if(p->itimer_real.queued)
    it.value = p->itimer_real.when > now ? p->itimer_real.when - now : 1; // due: not over
  it.interval = p->itimer_interval;
  spin_release(&p->lock);
  return it;
}

// The timer's function takes p->lock, so that it must not be held while it is stopped.
static void
itimer_start(struct proc *p, struct itimer_ns it)
{
  timer_cancel(&p->itimer_real);
  atomic_set(&p->itimer_interval, it.value ? it.interval : 0);
  if(it.value)
    timer_start(&p->itimer_real, deadline_after(it.value));
}

static int
itimer_out(vaddr_t va, struct itimer_ns it)
{
  int e = user_timeval_out(va + offsetof(struct itimerval, interval), it.interval);

  return e ? e : user_timeval_out(va + offsetof(struct itimerval, value), it.value);
}

// The timer by processor time of that number.
static struct cputimer *
itimer_cpu(struct proc *p, int which)
{
  return which == ITIMER_VIRTUAL ? &p->itimer_virtual : &p->itimer_prof;
}

static struct itimer_ns
itimer_now(struct proc *p, int which)
{
  struct cputimer_left left;

  if(which == ITIMER_REAL)
    return itimer_real_now(p);
  left = cputimer_get(itimer_cpu(p, which));
  return (struct itimer_ns){left.value, left.interval};
}

static void
itimer_set(struct proc *p, int which, struct itimer_ns it)
{
  struct cputimer *t = itimer_cpu(p, which);

  if(which == ITIMER_REAL)
    itimer_start(p, it);
  else
    cputimer_set(t, it.value ? cputimer_clock(t) + it.value : 0, it.value ? it.interval : 0);
}

int64_t
sys_getitimer(const uint64_t *a)
{
  return (uint32_t)a[0] > ITIMER_PROF ? -EINVAL : itimer_out(a[1], itimer_now(current_proc(), a[0]));
}

int64_t
sys_setitimer(const uint64_t *a)
{
  struct itimer_ns new = {0, 0}, old;
  int e = 0, which = a[0];

  if((uint32_t)which > ITIMER_PROF)
    return -EINVAL;
  if(a[1]) {
    e = user_timeval(a[1] + offsetof(struct itimerval, interval), &new.interval);
    if(e == 0)
      e = user_timeval(a[1] + offsetof(struct itimerval, value), &new.value);
  }
  if(e)
    return e;
  old = itimer_now(current_proc(), which);
  itimer_set(current_proc(), which, new);
  return a[2] ? itimer_out(a[2], old) : 0;
}

// The answer is in seconds, rounded, but never 0 for an alarm that is still to come.
int64_t
sys_alarm(const uint64_t *a)
{
  struct itimer_ns old = itimer_real_now(current_proc());
  uint64_t left = (old.value + NSEC / 2) / NSEC;

  itimer_start(current_proc(), (struct itimer_ns){(uint32_t)a[0] * NSEC, 0});
  return left || !old.value ? left : 1;
}

// ---- POSIX timers

enum { SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD, SIGEV_THREAD_ID = 4 };
struct linux_sigevent {
  uint64_t value;
  int32_t signo, notify, tid;
  uint8_t pad[44];
};
_Static_assert(sizeof(struct linux_sigevent) == 64, "Linux's sigevent");

// A thread of the caller's process: referenced; 0: there is none such.
static struct thread *
own_thread(int tid)
{
  struct thread *t = tid > 0 ? thread_find(tid) : 0;

  if(t && t->proc == current_proc())
    return t;
  if(t)
    thread_put(t);
  return 0;
}

// Clocks of processor time of the caller or its threads, by the ids that clock_getcpuclockid makes.
static int
timer_clock_cpu(int id, struct ktimer_setting *s)
{
  enum { SHIFT = 3, PER_THREAD = 4, WHICH = 3 };
  int pid = ~(id >> SHIFT);

  if((id & WHICH) == WHICH || pid < 0)
    return -EINVAL;
  if(id & PER_THREAD) {
    s->clock = KTIMER_CPU_THREAD;
    s->thread = own_thread(pid ? pid : thread_self()->tid);
    return s->thread ? 0 : -EINVAL;
  }
  s->clock = KTIMER_CPU_PROC;
  return pid == 0 || pid == current_proc()->pid ? 0 : -EINVAL;
}

// s->thread, if it becomes one, is referenced.
static int
timer_clock(int id, struct ktimer_setting *s)
{
  switch(id) {
  case CLOCK_MONOTONIC:
  case CLOCK_BOOTTIME: s->clock = KTIMER_CLOCK; return 0;
  case CLOCK_REALTIME:
  case CLOCK_TAI: s->clock = KTIMER_WALL; return 0;
  case CLOCK_REALTIME_ALARM:
  case CLOCK_BOOTTIME_ALARM:
    s->clock = id == CLOCK_REALTIME_ALARM ? KTIMER_WALL : KTIMER_CLOCK;
    return cred_capable(CAP_WAKE_ALARM) ? 0 : -EPERM;
  case CLOCK_PROCESS_CPUTIME_ID: s->clock = KTIMER_CPU_PROC; return 0;
  case CLOCK_THREAD_CPUTIME_ID:
    s->clock = KTIMER_CPU_THREAD;
    s->thread = own_thread(thread_self()->tid);
    return 0;
  case CLOCK_MONOTONIC_RAW:
  case CLOCK_REALTIME_COARSE:
  case CLOCK_MONOTONIC_COARSE: return -EOPNOTSUPP;
  default: return id < 0 ? timer_clock_cpu(id, s) : -EINVAL;
  }
}

// s->target, if it becomes one, is referenced.
static int
timer_event(vaddr_t va, struct ktimer_setting *s)
{
  struct linux_sigevent e;
  int r;

  s->signo = SIGALRM;
  s->value_is_id = !va;
  if(!va)
    return 0;
  r = user_in(&e, va, sizeof(e));
  if(r)
    return r;
  s->value = e.value;
  s->signo = e.notify == SIGEV_NONE ? 0 : e.signo;
  if(e.notify == SIGEV_NONE)
    return 0;
  if((e.notify & ~SIGEV_THREAD_ID) != SIGEV_SIGNAL && e.notify != SIGEV_THREAD)
    return -EINVAL;
  if(e.signo < 1 || e.signo > NSIG)
    return -EINVAL;
  if(e.notify != SIGEV_THREAD_ID)
    return 0;
  s->target = own_thread(e.tid);
  return s->target ? 0 : -EINVAL;
}

int64_t
sys_timer_create(const uint64_t *a)
{
  struct ktimer_setting s = {0};
  int id, e = timer_clock(a[0], &s);

  if(e == 0)
    e = timer_event(a[1], &s);
  if(e == 0)
    e = ktimer_create(&s, &id);
  if(s.thread)
    thread_put(s.thread);
  if(s.target)
    thread_put(s.target);
  if(e)
    return e;
  e = user_out(a[2], &id, sizeof(id));
  if(e)
    ktimer_delete(id);
  return e;
}

static int
timer_value_out(vaddr_t va, const struct ktimer_value *v)
{
  int e = user_timespec_out(va, v->interval);

  return e ? e : user_timespec_out(va + sizeof(struct timespec), v->value);
}

int64_t
sys_timer_settime(const uint64_t *a)
{
  struct ktimer_value v, old;
  int e;

  if(!a[2])
    return -EINVAL;
  e = user_timespec(a[2], &v.interval);
  if(e == 0)
    e = user_timespec(a[2] + sizeof(struct timespec), &v.value);
  if(e == 0)
    e = ktimer_set(a[0], (int)a[1] & TIMER_ABSTIME, &v, &old);
  return e || !a[3] ? e : timer_value_out(a[3], &old);
}

int64_t
sys_timer_gettime(const uint64_t *a)
{
  struct ktimer_value v;
  int e = ktimer_get(a[0], &v);

  return e ? e : timer_value_out(a[1], &v);
}

int64_t
sys_timer_getoverrun(const uint64_t *a)
{
  return ktimer_overrun(a[0]);
}

int64_t
sys_timer_delete(const uint64_t *a)
{
  return ktimer_delete(a[0]);
}
