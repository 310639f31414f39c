// timers.c -- timers that send signals: interval timers, and POSIX timers by every clock.
#include "t.h"
#include <pthread.h>
#include <sys/syscall.h>

enum { MS = 1000000 };

static volatile sig_atomic_t got, last_code, last_value, last_overrun, last_tid;

static void
on_signal(int sig, siginfo_t *si, void *uc)
{
  got++;
  last_code = si->si_code;
  last_value = si->si_value.sival_int;
  last_overrun = si->si_overrun;
  last_tid = gettid();
}

static void
handle(int sig)
{
  struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};

  sigaction(sig, &sa, 0);
}

static void
block(int sig, int how)
{
  sigset_t s;

  sigemptyset(&s);
  sigaddset(&s, sig);
  sigprocmask(how, &s, 0);
}

static uint64_t
ns_of(int clock)
{
  struct timespec t;

  clock_gettime(clock, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void
burn(long ms)
{
  uint64_t end = ns_of(CLOCK_THREAD_CPUTIME_ID) + ms * MS;

  while(ns_of(CLOCK_THREAD_CPUTIME_ID) < end)
    for(volatile int i = 0; i < 1000; i++)
      ;
}

// Wait until n signals have come, but not for ever.
static bool
signals(int n)
{
  for(int i = 0; i < 5000 && got < n; i++)
    usleep(1000);
  return got >= n;
}

// The kernel's own numbers: libraries wrap them up.
static int
make(int clock, int notify, int signo, int value, int tid)
{
  struct {
    uint64_t value;
    int signo, notify, tid, pad[11];
  } e = {value, signo, notify, tid, {0}};
  int id = -1;

  return syscall(SYS_timer_create, clock, &e, &id) ? -1 : id;
}

static int
set(int id, int flags, uint64_t ns, uint64_t every)
{
  struct itimerspec it = {{every / 1000000000, every % 1000000000}, {ns / 1000000000, ns % 1000000000}};

  return syscall(SYS_timer_settime, id, flags, &it, 0);
}

static struct itimerspec
left(int id)
{
  struct itimerspec it = {{-1, 0}, {-1, 0}};

  expect_eq(syscall(SYS_timer_gettime, id, &it), 0);
  return it;
}

TEST(timer_errors)
{
  struct itimerspec bad = {{0, 0}, {0, 1000000000}}, old;
  int id;

  expect_errno(make(77, 0, SIGUSR1, 0, 0), EINVAL);
  expect_errno(make(CLOCK_MONOTONIC, 0, 0, 0, 0), EINVAL);
  expect_errno(make(CLOCK_MONOTONIC, 0, 65, 0, 0), EINVAL);
  expect_errno(make(CLOCK_MONOTONIC, 9, SIGUSR1, 0, 0), EINVAL);
  expect_errno(make(CLOCK_MONOTONIC, 4, SIGUSR1, 0, 1), EINVAL); // another process's thread
  expect_errno(make(CLOCK_MONOTONIC_COARSE, 0, SIGUSR1, 0, 0), EOPNOTSUPP);
  expect_errno(syscall(SYS_timer_create, CLOCK_MONOTONIC, 8, &id), EFAULT);
  expect_errno(syscall(SYS_timer_create, CLOCK_MONOTONIC, 0, 8), EFAULT);
  id = make(CLOCK_MONOTONIC, 0, SIGUSR1, 0, 0);
  need(id >= 0);
  expect_errno(syscall(SYS_timer_settime, id, 0, 0, 0), EINVAL);
  expect_errno(syscall(SYS_timer_settime, id, 0, 8, 0), EFAULT);
  expect_errno(syscall(SYS_timer_settime, id, 0, &bad, 0), EINVAL);
  expect_errno(set(id + 1000, 0, MS, 0), EINVAL);
  expect_errno(syscall(SYS_timer_gettime, id + 1000, &old), EINVAL);
  expect_errno(syscall(SYS_timer_gettime, id, 8), EFAULT);
  expect_errno(syscall(SYS_timer_getoverrun, id + 1000), EINVAL);
  expect_errno(syscall(SYS_timer_delete, id + 1000), EINVAL);
  expect_eq(syscall(SYS_timer_delete, id), 0);
  expect_errno(syscall(SYS_timer_delete, id), EINVAL);
}

static void
goes_off(int clock)
{
  int id = make(clock, SIGEV_SIGNAL, SIGUSR1, 55, 0);
  struct itimerspec it;
  uint64_t t0;

  need(id >= 0);
  handle(SIGUSR1);
  it = left(id);
  expect(it.it_value.tv_sec == 0 && it.it_value.tv_nsec == 0);
  t0 = ns_of(clock);
  got = 0;
  expect_eq(set(id, 0, 30 * MS, 0), 0);
  it = left(id);
  expect(it.it_value.tv_sec == 0 && it.it_value.tv_nsec > 0 && it.it_value.tv_nsec <= 30 * MS);
  expect(signals(1));
  expect(ns_of(clock) - t0 >= 30 * MS);
  expect_eq(last_code, SI_TIMER);
  expect_eq(last_value, 55);
  it = left(id);
  expect(it.it_value.tv_sec == 0 && it.it_value.tv_nsec == 0);
  expect_eq(set(id, TIMER_ABSTIME, ns_of(clock) + 20 * MS, 0), 0);
  expect(signals(2));
  expect_eq(set(id, TIMER_ABSTIME, 1, 0), 0); // long over
  expect(signals(3));
  expect_eq(set(id, 0, 1000 * MS, 0), 0);
  expect_eq(set(id, 0, 0, 0), 0);
  usleep(20000);
  expect_eq(got, 3);
}

TEST(timers_by_three_clocks)
{
  goes_off(CLOCK_MONOTONIC);
  goes_off(CLOCK_REALTIME);
  goes_off(CLOCK_BOOTTIME);
}

TEST(timer_repeats)
{
  int id = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 0, 0);
  struct itimerspec it, old;
  uint64_t t0 = ns_of(CLOCK_MONOTONIC);

  handle(SIGUSR1);
  expect_eq(set(id, 0, 10 * MS, 10 * MS), 0);
  expect(signals(10));
  expect(ns_of(CLOCK_MONOTONIC) - t0 >= 99 * MS);
  it = left(id);
  expect_eq(it.it_interval.tv_nsec, 10 * MS);
  expect(it.it_value.tv_nsec > 0 && it.it_value.tv_nsec <= 10 * MS);
  it = (struct itimerspec){{0, 0}, {5, 0}};
  expect_eq(syscall(SYS_timer_settime, id, 0, &it, &old), 0);
  expect_eq(old.it_interval.tv_nsec, 10 * MS);
}

TEST(timer_overrun_is_counted)
{
  int id = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN, 0, 0);
  sigset_t s;
  siginfo_t si;

  sigemptyset(&s);
  sigaddset(&s, SIGRTMIN);
  block(SIGRTMIN, SIG_BLOCK);
  expect_eq(set(id, 0, MS, MS), 0);
  usleep(60000);
  expect_eq(sigwaitinfo(&s, &si), SIGRTMIN);
  expect_eq(si.si_code, SI_TIMER);
  expect_eq(si.si_timerid, id);
  expect(si.si_overrun >= 50 && si.si_overrun < 5000);
  expect_eq(syscall(SYS_timer_getoverrun, id), si.si_overrun);
  expect_eq(sigwaitinfo(&s, &si), SIGRTMIN); // and it goes on
  expect(si.si_overrun < 50);
  set(id, 0, 0, 0);
}

TEST(timer_of_a_nanosecond)
{
  int id = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 0, 0);
  long n = 0;

  only_here(); // Linux spends all time in the handler
  handle(SIGUSR1);
  expect_eq(set(id, 0, 1, 1), 0);
  for(uint64_t end = ns_of(CLOCK_MONOTONIC) + 100 * MS; ns_of(CLOCK_MONOTONIC) < end;)
    n++; // the program gets on
  expect(n > 10);
  expect(got > 1);
  expect(last_overrun > 100);
  expect_eq(syscall(SYS_timer_delete, id), 0);
}

TEST(timer_with_an_ignored_signal_goes_on)
{
  int id = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 0, 0);

  signal(SIGUSR1, SIG_IGN);
  expect_eq(set(id, 0, 5 * MS, 5 * MS), 0);
  usleep(30000);
  handle(SIGUSR1);
  expect(signals(3));
}

TEST(two_timers_with_one_signal)
{
  int a = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 1, 0), b = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 2, 0);

  handle(SIGUSR1);
  block(SIGUSR1, SIG_BLOCK);
  expect_eq(set(a, 0, 5 * MS, 0), 0);
  expect_eq(set(b, 0, 10 * MS, 0), 0);
  usleep(50000);
  block(SIGUSR1, SIG_UNBLOCK);
  expect_eq(got, 2); // each has its own
}

TEST(timer_without_a_signal_is_looked_at)
{
  int id = make(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0, 0);
  struct itimerspec it;

  need(id >= 0);
  expect_eq(set(id, 0, 20 * MS, 0), 0);
  it = left(id);
  expect(it.it_value.tv_nsec > 0);
  usleep(40000);
  it = left(id);
  expect(it.it_value.tv_sec == 0 && it.it_value.tv_nsec == 0);
  expect_eq(set(id, 0, 20 * MS, 7 * MS), 0);
  usleep(40000);
  it = left(id);
  expect(it.it_value.tv_nsec > 0 && it.it_value.tv_nsec <= 7 * MS);
}

TEST(timer_without_an_event)
{
  int id = -1;

  handle(SIGALRM);
  expect_eq(syscall(SYS_timer_create, CLOCK_MONOTONIC, 0, &id), 0);
  expect_eq(set(id, 0, MS, 0), 0);
  expect(signals(1));
  expect_eq(last_value, id);
}

static volatile int target_tid;
static volatile bool over;

static void *
be_target(void *arg)
{
  target_tid = gettid();
  while(!over)
    usleep(1000);
  return 0;
}

TEST(timer_for_one_thread)
{
  pthread_t t;
  int id;

  handle(SIGUSR1);
  need(pthread_create(&t, 0, be_target, 0) == 0);
  while(!target_tid)
    sched_yield();
  id = make(CLOCK_MONOTONIC, 4, SIGUSR1, 0, target_tid);
  need(id >= 0);
  for(int i = 1; i <= 10; i++) {
    expect_eq(set(id, 0, MS, 0), 0);
    expect(signals(i));
    expect_eq(last_tid, target_tid);
  }
  over = true;
  pthread_join(t, 0);
  expect_eq(set(id, 0, MS, MS), 0); // its thread is gone: nobody hears it
  usleep(20000);
  expect_eq(got, 10);
  expect_eq(syscall(SYS_timer_delete, id), 0);
}

TEST(timer_by_processor_time)
{
  int clocks[] = {CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};

  handle(SIGUSR1);
  for(int i = 0; i < 2; i++) {
    int id = make(clocks[i], SIGEV_SIGNAL, SIGUSR1, 0, 0);
    uint64_t t0 = ns_of(clocks[i]);

    need(id >= 0);
    got = 0;
    expect_eq(set(id, 0, 50 * MS, 50 * MS), 0);
    usleep(150000); // sleeping does not count
    expect_eq(got, 0);
    expect(left(id).it_value.tv_nsec > 0);
    while(got < 3)
      burn(1);
    expect(ns_of(clocks[i]) - t0 >= 150 * MS);
    expect_eq(last_code, SI_TIMER);
    expect_eq(set(id, 0, 0, 0), 0);
    burn(60);
    expect_eq(got, 3);
    expect_eq(set(id, TIMER_ABSTIME, ns_of(clocks[i]) + 20 * MS, 0), 0);
    burn(60);
    expect_eq(got, 4);
    expect_eq(syscall(SYS_timer_delete, id), 0);
  }
}

static void
has_none(void *arg)
{
  struct itimerspec it;

  expect_errno(syscall(SYS_timer_gettime, (int)(long)arg, &it), EINVAL);
}

TEST(timers_are_not_inherited)
{
  int id = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 0, 0);

  expect_eq(in_child(has_none, (void *)(long)id), 0);
}

static void
exec_sleep(void *arg)
{
  int id = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGKILL, 0, 0);

  need(set(id, 0, 200 * MS, 0) == 0);
  execl("/proc/self/exe", "timers", "sleep_half_a_second", (char *)0);
  _exit(9);
}

TEST(sleep_half_a_second)
{
  usleep(500000);
}

TEST(timers_end_with_exec)
{
  expect_eq(in_child(exec_sleep, 0), 0);
}

TEST(many_timers_come_and_go)
{
  handle(SIGUSR1);
  for(int i = 0; i < 500; i++) {
    int id[20];

    for(int k = 0; k < 20; k++) {
      id[k] = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, k, 0);
      need(id[k] >= 0 && set(id[k], 0, k % 3 ? MS / 10 : 1000 * MS, 0) == 0);
    }
    for(int k = 0; k < 20; k++)
      need(syscall(SYS_timer_delete, id[k]) == 0);
  }
}

TEST(timers_are_limited)
{
  struct rlimit rl = {10, 10};

  setrlimit(RLIMIT_SIGPENDING, &rl);
  for(int i = 0; i < 20; i++)
    if(make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 0, 0) < 0) {
      expect_eq(errno, EAGAIN);
      expect(i <= 10);
      return;
    }
  expect(!"20 timers with a limit of 10");
}

// ---- interval timers

static void
interval(int which, int sig)
{
  struct itimerval it = {{0, 50000}, {0, 50000}}, now;

  handle(sig);
  got = 0;
  expect_eq(setitimer(which, &it, 0), 0);
  expect_eq(getitimer(which, &now), 0);
  expect(now.it_value.tv_usec > 0 && now.it_value.tv_usec <= 60000 && now.it_interval.tv_usec == 50000);
  usleep(120000);
  expect_eq(got, 0); // sleeping does not count
  while(got < 3)
    burn(1);
  it = (struct itimerval){{0, 0}, {0, 0}};
  expect_eq(setitimer(which, &it, &now), 0);
  expect_eq(now.it_interval.tv_usec, 50000);
  burn(70);
  expect_eq(got, 3);
}

TEST(interval_timers_by_processor_time)
{
  struct itimerval it;

  interval(ITIMER_VIRTUAL, SIGVTALRM);
  interval(ITIMER_PROF, SIGPROF);
  expect_errno(getitimer(3, &it), EINVAL);
  expect_errno(setitimer(-1, &it, 0), EINVAL);
}

TEST(interval_timer_of_a_microsecond)
{
  struct itimerval it = {{0, 1}, {0, 1}};
  long n = 0;

  only_here(); // as above
  handle(SIGALRM);
  expect_eq(setitimer(ITIMER_REAL, &it, 0), 0);
  for(uint64_t end = ns_of(CLOCK_MONOTONIC) + 100 * MS; ns_of(CLOCK_MONOTONIC) < end;)
    n++; // the program gets on
  expect(n > 10);
  expect(got > 1);
}
