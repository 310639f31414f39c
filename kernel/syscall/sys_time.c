// sys_time.c -- clocks, sleeping; and going on with an interrupted call.
// Typical: a program's time in nanoseconds (usermem.c) / a deadline on clock_now's scale / time_sleep_until.
#include "lib/string.h"
#include "syscall/sys.h"

// ---- sleeping

enum { SLEEP_REM }; // in restart.arg: where the rest goes

static int64_t sleep_relative(uint64_t deadline, vaddr_t rem);

static int
sleep_restart(struct thread *t)
{
  return sleep_relative(t->restart.deadline, t->restart.arg[SLEEP_REM]);
}

static int64_t
sleep_relative(uint64_t deadline, vaddr_t rem)
{
  struct thread *t = thread_self();
  uint64_t now;
  int e = time_sleep_until(deadline, WAIT_INTERRUPTIBLE);

  if(e != -EINTR)
    return e == -ETIMEDOUT ? 0 : e;
  now = clock_now();
  if(now >= deadline)
    return 0;
  e = rem ? user_timespec_out(rem, deadline - now) : 0;
  if(e)
    return e;
  t->restart.fn = sleep_restart;
  t->restart.deadline = deadline;
  t->restart.arg[SLEEP_REM] = rem;
  return -ERESTART_RESTARTBLOCK;
}

static int64_t
sleep_absolute(uint64_t deadline)
{
  int e = time_sleep_until(deadline, WAIT_INTERRUPTIBLE);

  return e == -EINTR ? -ERESTARTNOHAND : e == -ETIMEDOUT ? 0 : e;
}

int64_t
sys_nanosleep(const uint64_t *a)
{
  uint64_t ns;
  int e = user_timespec(a[0], &ns);

  return e ? e : sleep_relative(deadline_after(ns), a[1]);
}

// 0: one can sleep by this clock.
static int
sleep_clock(int id)
{
  switch(id) {
  case CLOCK_REALTIME:
  case CLOCK_MONOTONIC:
  case CLOCK_BOOTTIME:
  case CLOCK_TAI: return 0;
  case CLOCK_MONOTONIC_RAW:
  case CLOCK_REALTIME_COARSE:
  case CLOCK_MONOTONIC_COARSE:
  case CLOCK_REALTIME_ALARM:
  case CLOCK_BOOTTIME_ALARM:
  case CLOCK_PROCESS_CPUTIME_ID: return -EOPNOTSUPP;
  default: return -EINVAL;
  }
}

int64_t
sys_clock_nanosleep(const uint64_t *a)
{
  int id = a[0];
  uint64_t ns;
  int e = sleep_clock(id);

  if(e == 0)
    e = user_timespec(a[2], &ns);
  if(e)
    return e;
  if(!(a[1] & TIMER_ABSTIME))
    return sleep_relative(deadline_after(ns), a[3]);
  return sleep_absolute(id == CLOCK_REALTIME || id == CLOCK_TAI ? deadline_at_wall(ns) : ns);
}

int64_t
sys_restart_syscall(const uint64_t *a)
{
  struct thread *t = thread_self();
  int (*fn)(struct thread *) = t->restart.fn;

  t->restart.fn = 0;
  return fn ? fn(t) : -EINTR;
}

// ---- clocks

static uint64_t
cputime_thread(struct thread *t)
{
  if(t == thread_self())
    sched_account();
  return atomic_get_relaxed(&t->user_ns) + atomic_get_relaxed(&t->system_ns);
}

static uint64_t
cputime_proc(struct proc *p)
{
  struct proctimes t;

  proc_times(p, &t);
  return t.user + t.system;
}

// Clocks of other processes and threads: the complement of the id above three bits that say which.
enum { CPUCLOCK_SHIFT = 3, CPUCLOCK_PERTHREAD = 4, CPUCLOCK_WHICH = 3 };

static int
clock_cputime(int id, uint64_t *ns)
{
  int pid = ~(id >> CPUCLOCK_SHIFT);
  struct thread *t;

  if((id & CPUCLOCK_WHICH) == CPUCLOCK_WHICH || pid < 0)
    return -EINVAL;
  t = thread_find(pid ? pid : thread_self()->tid);
  if(!t)
    return -EINVAL;
  if(!t->proc) {
    thread_put(t);
    return -EINVAL;
  }
  *ns = id & CPUCLOCK_PERTHREAD ? cputime_thread(t) : cputime_proc(t->proc);
  thread_put(t);
  return 0;
}

static int
clock_read(int id, uint64_t *ns)
{
  switch(id) {
  case CLOCK_REALTIME:
  case CLOCK_REALTIME_COARSE:
  case CLOCK_REALTIME_ALARM:
  case CLOCK_TAI: *ns = clock_wall(); return 0;
  case CLOCK_MONOTONIC:
  case CLOCK_MONOTONIC_RAW:
  case CLOCK_MONOTONIC_COARSE:
  case CLOCK_BOOTTIME:
  case CLOCK_BOOTTIME_ALARM: *ns = clock_now(); return 0;
  case CLOCK_PROCESS_CPUTIME_ID: *ns = cputime_proc(current_proc()); return 0;
  case CLOCK_THREAD_CPUTIME_ID: *ns = cputime_thread(thread_self()); return 0;
  default: return id < 0 ? clock_cputime(id, ns) : -EINVAL;
  }
}

int64_t
sys_clock_gettime(const uint64_t *a)
{
  uint64_t ns;
  int e = clock_read(a[0], &ns);

  return e ? e : user_timespec_out(a[1], ns);
}

int64_t
sys_clock_getres(const uint64_t *a)
{
  uint64_t ns;
  int e = clock_read(a[0], &ns);

  return e || !a[1] ? e : user_timespec_out(a[1], 1); // all count nanoseconds
}

static int64_t
wall_set(uint64_t ns)
{
  if(!cred_capable(CAP_SYS_TIME))
    return -EPERM;
  clock_set_wall(ns);
  return 0;
}

int64_t
sys_clock_settime(const uint64_t *a)
{
  uint64_t ns;
  int e;

  if((int)a[0] != CLOCK_REALTIME)
    return -EINVAL;
  e = user_timespec(a[1], &ns);
  return e ? e : wall_set(ns);
}

struct timezone {
  int32_t minutes_west, dst;
};

int64_t
sys_gettimeofday(const uint64_t *a)
{
  struct timezone utc = {0, 0};
  int e = a[0] ? user_timeval_out(a[0], clock_wall()) : 0;

  return e || !a[1] ? e : user_out(a[1], &utc, sizeof(utc));
}

int64_t
sys_settimeofday(const uint64_t *a)
{
  struct timezone tz;
  uint64_t ns;
  int e = a[0] ? user_timeval(a[0], &ns) : 0;

  if(e == 0 && a[1])
    e = user_in(&tz, a[1], sizeof(tz)); // the kernel knows no time zone
  return e || !a[0] ? e : wall_set(ns);
}

int64_t
sys_time(const uint64_t *a)
{
  int64_t now = clock_wall() / NSEC;
  int e = a[0] ? user_out(a[0], &now, sizeof(now)) : 0;

  return e ? e : now;
}
