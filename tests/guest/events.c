// events.c -- epoll, and the files that are made to be watched by it: eventfd, timerfd, signalfd.
#include "t.h"
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

enum { MS = 1000000 };

static int
ep_new(void)
{
  int ep = epoll_create1(EPOLL_CLOEXEC);

  need(ep >= 0);
  return ep;
}

static int
ctl(int ep, int op, int fd, unsigned events)
{
  struct epoll_event e = {.events = events, .data.u64 = 1000 + fd};

  return epoll_ctl(ep, op, fd, &e);
}

// What is reported within `ms`: how many, the first in *e.
static struct epoll_event first;
static int
wait_ms(int ep, int ms)
{
  struct epoll_event e[16];
  int n = epoll_wait(ep, e, 16, ms);

  first = n > 0 ? e[0] : (struct epoll_event){0};
  return n;
}

static uint64_t
now_ms(void)
{
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000 + t.tv_nsec / MS;
}

static void
put(int fd)
{
  need(write(fd, "x", 1) == 1);
}

static void
get(int fd)
{
  char c;

  need(read(fd, &c, 1) == 1);
}

// ---- epoll

TEST(epoll_errors)
{
  struct epoll_event e = {.events = EPOLLIN};
  int ep = ep_new(), p[2], file = open("/proc/self/exe", O_RDONLY);

  need(pipe(p) == 0);
  expect_errno(syscall(SYS_epoll_create, 0), EINVAL); // musl's own function drops the argument
  expect_errno(epoll_create1(1), EINVAL);
  expect(fcntl(ep, F_GETFD) == FD_CLOEXEC);
  expect_errno(ctl(ep, EPOLL_CTL_ADD, 999, EPOLLIN), EBADF);
  expect_errno(ctl(999, EPOLL_CTL_ADD, p[0], EPOLLIN), EBADF);
  expect_errno(ctl(p[0], EPOLL_CTL_ADD, p[1], EPOLLIN), EINVAL);
  expect_errno(ctl(ep, EPOLL_CTL_ADD, ep, EPOLLIN), EINVAL);
  expect_errno(ctl(ep, EPOLL_CTL_ADD, file, EPOLLIN), EPERM);
  expect_errno(ctl(ep, EPOLL_CTL_MOD, p[0], EPOLLIN), ENOENT);
  expect_errno(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], 0), ENOENT);
  expect_errno(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], (void *)8), EFAULT);
  expect_errno(ctl(ep, 7, p[0], EPOLLIN), EINVAL);
  expect_eq(ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN), 0);
  expect_errno(ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN), EEXIST);
  expect_errno(epoll_wait(ep, &e, 0, 0), EINVAL);
  expect_errno(epoll_wait(ep, &e, -1, 0), EINVAL);
  expect_errno(epoll_wait(p[0], &e, 1, 0), EINVAL);
  expect_errno(epoll_wait(999, &e, 1, 0), EBADF);
  put(p[1]);
  expect_errno(epoll_wait(ep, (void *)8, 1, 0), EFAULT);
  expect_errno(read(ep, &e, sizeof(e)), EINVAL);
}

TEST(epoll_level_edge_oneshot)
{
  int ep = ep_new(), p[2];

  need(pipe(p) == 0);
  expect_eq(ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN), 0);
  expect_eq(wait_ms(ep, 0), 0);
  put(p[1]);
  for(int i = 0; i < 3; i++) {
    expect_eq(wait_ms(ep, 1000), 1);
    expect_eq(first.events, EPOLLIN);
    expect_eq(first.data.u64, 1000 + p[0]);
  }
  expect_eq(ctl(ep, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLET), 0);
  expect_eq(wait_ms(ep, 0), 1); // changing it looks anew
  expect_eq(wait_ms(ep, 0), 0);
  put(p[1]);
  expect_eq(wait_ms(ep, 0), 1); // more came
  expect_eq(wait_ms(ep, 0), 0);
  get(p[0]); // one is left
  expect_eq(wait_ms(ep, 0), 0);
  expect_eq(ctl(ep, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT), 0);
  expect_eq(wait_ms(ep, 0), 1);
  put(p[1]);
  expect_eq(wait_ms(ep, 0), 0);
  expect_eq(ctl(ep, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT), 0);
  expect_eq(wait_ms(ep, 0), 1);
  expect_eq(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], 0), 0);
  expect_eq(wait_ms(ep, 0), 0);
}

// An event that could not be written to the program's buffer is not lost, however seldom it would be reported.
TEST(epoll_bad_buffer_loses_nothing)
{
  static const unsigned how[] = {EPOLLET, EPOLLONESHOT, EPOLLET | EPOLLONESHOT};
  int ep = ep_new(), p[2];
  char *page = mmap(0, 2 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct epoll_event *two = (void *)(page + 4096 - 2 * sizeof(struct epoll_event));
  uint64_t sum = 0;

  need(page != MAP_FAILED);
  need(munmap(page + 4096, 4096) == 0);
  for(int i = 0; i < 3; i++) {
    need(pipe(p) == 0);
    expect_eq(ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN | how[i]), 0);
    put(p[1]);
    sum += 1000 + p[0];
  }
  expect_errno(epoll_wait(ep, (void *)(page + 4096), 3, 0), EFAULT);
  expect_eq(epoll_wait(ep, two, 3, 0), 2); // there is room for two
  expect_eq(wait_ms(ep, 0), 1);
  expect_eq(two[0].data.u64 + two[1].data.u64 + first.data.u64, sum);
  expect_eq(wait_ms(ep, 0), 0);
}

TEST(epoll_write_side_and_hangup)
{
  int ep = ep_new(), p[2];

  need(pipe(p) == 0);
  expect_eq(ctl(ep, EPOLL_CTL_ADD, p[1], EPOLLOUT | EPOLLET), 0);
  expect_eq(wait_ms(ep, 0), 1);
  expect_eq(first.events, EPOLLOUT);
  expect_eq(wait_ms(ep, 0), 0);
  close(p[0]);
  expect_eq(wait_ms(ep, 0), 1);
  expect(first.events & EPOLLERR); // reported though nobody asked
  need(pipe(p) == 0);
  expect_eq(ctl(ep, EPOLL_CTL_ADD, p[0], 0), 0);
  put(p[1]);
  close(p[1]);
  expect_eq(wait_ms(ep, 0), 1);
  expect_eq(first.events, EPOLLHUP);
}

TEST(epoll_close_removes)
{
  int ep = ep_new(), p[2], copy;

  need(pipe(p) == 0);
  expect_eq(ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN), 0);
  put(p[1]);
  copy = dup(p[0]);
  close(p[0]);
  expect_eq(wait_ms(ep, 0), 1); // the open file lives on
  expect_eq(first.data.u64, 1000 + p[0]);
  close(copy);
  expect_eq(wait_ms(ep, 0), 0);
  need(pipe(p) == 0); // the same numbers, perhaps: another file
  put(p[1]);
  expect_eq(wait_ms(ep, 0), 0);
  copy = dup(p[0]);
  expect_eq(ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN), 0);
  expect_eq(ctl(ep, EPOLL_CTL_ADD, copy, EPOLLIN), 0); // the same file under two numbers
  expect_eq(wait_ms(ep, 0), 2);
}

TEST(epoll_nested)
{
  int outer = ep_new(), inner = ep_new(), p[2];
  struct pollfd pf = {.fd = outer, .events = POLLIN};

  need(pipe(p) == 0);
  expect_eq(ctl(inner, EPOLL_CTL_ADD, p[0], EPOLLIN), 0);
  expect_eq(ctl(outer, EPOLL_CTL_ADD, inner, EPOLLIN), 0);
  expect_errno(ctl(inner, EPOLL_CTL_ADD, outer, EPOLLIN), ELOOP);
  expect_eq(wait_ms(outer, 0), 0);
  expect_eq(poll(&pf, 1, 0), 0);
  put(p[1]);
  expect_eq(poll(&pf, 1, 1000), 1);
  expect_eq(wait_ms(outer, 1000), 1);
  expect_eq(first.data.u64, 1000 + inner);
  get(p[0]);
  expect_eq(poll(&pf, 1, 0), 0); // what was on the list is not ready any more
  expect_eq(wait_ms(outer, 0), 0);
  put(p[1]);
  close(inner);
  expect_eq(wait_ms(outer, 0), 0);
}

TEST(epoll_nesting_has_an_end)
{
  int ep[10], i;

  ep[0] = ep_new();
  for(i = 1; i < 10; i++) {
    ep[i] = ep_new();
    if(ctl(ep[i], EPOLL_CTL_ADD, ep[i - 1], EPOLLIN) != 0)
      break;
  }
  expect(i >= 5 && i < 7);
  expect_eq(errno, ELOOP);
}

TEST(epoll_exclusive)
{
  int ep = ep_new(), other = ep_new(), p[2];

  need(pipe(p) == 0);
  expect_errno(ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT), EINVAL);
  expect_errno(ctl(ep, EPOLL_CTL_ADD, other, EPOLLIN | EPOLLEXCLUSIVE), EINVAL);
  expect_eq(ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN | EPOLLEXCLUSIVE), 0);
  expect_errno(ctl(ep, EPOLL_CTL_MOD, p[0], EPOLLIN), EINVAL);
  put(p[1]);
  expect_eq(wait_ms(ep, 0), 1);
}

static int the_ep, the_pipe[2];

static void *
put_later(void *arg)
{
  usleep(30000);
  put(the_pipe[1]);
  return 0;
}

TEST(epoll_sleeps_and_is_woken)
{
  uint64_t t0 = now_ms();
  pthread_t t;

  the_ep = ep_new();
  need(pipe(the_pipe) == 0);
  expect_eq(ctl(the_ep, EPOLL_CTL_ADD, the_pipe[0], EPOLLIN), 0);
  expect_eq(wait_ms(the_ep, 50), 0);
  expect(now_ms() - t0 >= 49);
  need(pthread_create(&t, 0, put_later, 0) == 0);
  expect_eq(wait_ms(the_ep, -1), 1);
  pthread_join(t, 0);
}

static volatile int got;

static void
on_signal(int sig)
{
  got++;
}

TEST(epoll_is_interrupted)
{
  struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  struct itimerval soon = {{0, 0}, {0, 30000}};
  struct epoll_event e;
  sigset_t mask, old;
  int ep = ep_new();

  sigaction(SIGALRM, &sa, 0);
  setitimer(ITIMER_REAL, &soon, 0);
  expect_errno(epoll_wait(ep, &e, 1, 5000), EINTR); // never restarted
  expect_eq(got, 1);
  sigemptyset(&mask);
  sigaddset(&mask, SIGALRM);
  sigprocmask(SIG_BLOCK, &mask, 0);
  raise(SIGALRM);
  sigemptyset(&mask);
  expect_errno(epoll_pwait(ep, &e, 1, 5000, &mask), EINTR); // the mask lets it in
  expect_eq(got, 2);
  sigprocmask(SIG_BLOCK, 0, &old);
  expect(sigismember(&old, SIGALRM)); // and is put back
  expect_eq(epoll_pwait(ep, &e, 1, 10, &mask), 0);
  sigprocmask(SIG_BLOCK, 0, &old);
  expect(sigismember(&old, SIGALRM));
  expect_errno(syscall(SYS_epoll_pwait, ep, &e, 1, 0, &mask, 4), EINVAL);
}

TEST(epoll_pwait2_takes_nanoseconds)
{
  struct timespec ts = {0, 20 * MS}, bad = {0, -1};
  struct epoll_event e;
  int ep = ep_new();

  if(syscall(441, ep, &e, 1, &ts, 0, 8) == -1 && errno == ENOSYS)
    skip("no epoll_pwait2");
  expect_eq(syscall(441, ep, &e, 1, &ts, 0, 8), 0);
  expect_errno(syscall(441, ep, &e, 1, &bad, 0, 8), EINVAL);
}

enum { MANY = 200 };

TEST(epoll_many_files)
{
  static struct epoll_event e[MANY];
  static int fd[MANY];
  int ep = ep_new(), seen = 0;
  struct rlimit rl = {1024, 1024};

  setrlimit(RLIMIT_NOFILE, &rl);
  for(int i = 0; i < MANY; i++) {
    fd[i] = eventfd(i % 2, EFD_NONBLOCK);
    need(fd[i] >= 0);
    need(ctl(ep, EPOLL_CTL_ADD, fd[i], EPOLLIN) == 0);
  }
  expect_eq(epoll_wait(ep, e, MANY, 0), MANY / 2);
  for(int i = 0; i < MANY / 10; i++)
    seen += epoll_wait(ep, e, 10, 0); // in turns: those reported go to the end
  expect_eq(seen, MANY);
  for(int i = 0; i < MANY; i += 2)
    eventfd_write(fd[i], 1);
  expect_eq(epoll_wait(ep, e, MANY, 0), MANY);
  for(int i = 0; i < MANY; i++)
    close(fd[i]);
  expect_eq(epoll_wait(ep, e, MANY, 0), 0);
}

// Threads that wait on one epoll while another opens, adds and closes: every token written is taken once.
static _Atomic int taken, stop;
enum { TOKENS = 2000, TAKERS = 3 };

static void *
take_tokens(void *arg)
{
  while(!stop) {
    struct epoll_event e[4];
    int n = epoll_wait(the_ep, e, 4, 20);

    for(int i = 0; i < n; i++) {
      eventfd_t v;

      if(eventfd_read(e[i].data.fd, &v) == 0)
        taken += v;
    }
  }
  return 0;
}

TEST_TIMED(epoll_threads_against_close, 120)
{
  pthread_t t[TAKERS];
  int fd[8];

  the_ep = ep_new();
  for(int i = 0; i < 8; i++)
    fd[i] = -1;
  for(int i = 0; i < TAKERS; i++)
    need(pthread_create(&t[i], 0, take_tokens, 0) == 0);
  for(int i = 0; i < TOKENS; i++) {
    int k = i % 8;
    struct epoll_event e = {.events = i % 3 ? EPOLLIN : EPOLLIN | EPOLLET};

    if(fd[k] >= 0 && i % 5 == 0) {
      for(int w = 0; w < 2000 && taken < i; w++)
        usleep(500); // all tokens so far are taken: closing loses none
      close(fd[k]);
      fd[k] = -1;
    }
    if(fd[k] < 0) {
      fd[k] = eventfd(0, EFD_NONBLOCK);
      e.data.fd = fd[k];
      need(epoll_ctl(the_ep, EPOLL_CTL_ADD, fd[k], &e) == 0);
    }
    need(eventfd_write(fd[k], 1) == 0);
  }
  for(int w = 0; w < 10000 && taken < TOKENS; w++)
    usleep(1000);
  stop = 1;
  for(int i = 0; i < TAKERS; i++)
    pthread_join(t[i], 0);
  expect_eq(taken, TOKENS);
}

// ---- eventfd

TEST(eventfd_counts)
{
  int e = eventfd(3, EFD_NONBLOCK), s = eventfd(2, EFD_NONBLOCK | EFD_SEMAPHORE);
  struct pollfd p = {.fd = e, .events = POLLIN | POLLOUT};
  uint64_t v = 0;

  expect_errno(eventfd(0, 2), EINVAL);
  expect_errno(read(e, &v, 7), EINVAL);
  expect_errno(write(e, &v, 7), EINVAL);
  expect_eq(read(e, &v, 8), 8);
  expect_eq(v, 3);
  expect_errno(read(e, &v, 8), EAGAIN);
  expect_eq(poll(&p, 1, 0), 1);
  expect_eq(p.revents, POLLOUT);
  v = UINT64_MAX;
  expect_errno(write(e, &v, 8), EINVAL);
  v = UINT64_MAX - 1;
  expect_eq(write(e, &v, 8), 8);
  expect_eq(poll(&p, 1, 0), 1);
  expect_eq(p.revents, POLLIN);
  v = 1;
  expect_errno(write(e, &v, 8), EAGAIN);
  expect_eq(read(e, &v, 8), 8);
  expect(v == UINT64_MAX - 1);
  for(int i = 0; i < 2; i++) {
    expect_eq(read(s, &v, 8), 8);
    expect_eq(v, 1);
  }
  expect_errno(read(s, &v, 8), EAGAIN);
  expect_errno(read(e, (void *)8, 8), EAGAIN);
  expect_errno(write(e, (void *)8, 8), EFAULT);
}

static void *
write_later(void *arg)
{
  usleep(30000);
  eventfd_write((int)(long)arg, 5);
  return 0;
}

TEST(eventfd_blocks)
{
  int e = eventfd(0, 0);
  uint64_t v = 0;
  pthread_t t;

  need(pthread_create(&t, 0, write_later, (void *)(long)e) == 0);
  expect_eq(read(e, &v, 8), 8);
  expect_eq(v, 5);
  pthread_join(t, 0);
}

// ---- timerfd

static void
set(int fd, int flags, long ms, long every_ms)
{
  struct itimerspec it = {{every_ms / 1000, every_ms % 1000 * MS}, {ms / 1000, ms % 1000 * MS}};

  need(timerfd_settime(fd, flags, &it, 0) == 0);
}

TEST(timerfd_goes_off)
{
  int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), ep = ep_new();
  struct itimerspec it = {{0, 0}, {0, 0}}, bad = {{0, 0}, {0, 1000000000}};
  uint64_t n = 0, t0;
  struct timespec now;

  need(fd >= 0);
  expect_errno(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0), EINVAL);
  expect_errno(timerfd_create(CLOCK_MONOTONIC, 1), EINVAL);
  expect_errno(timerfd_settime(fd, 0, &bad, 0), EINVAL);
  expect_errno(timerfd_settime(fd, 8, &it, 0), EINVAL);
  expect_errno(timerfd_settime(0x7fff, 0, &it, 0), EBADF);
  expect_errno(timerfd_gettime(ep, &it), EINVAL);
  expect_errno(read(fd, &n, 8), EAGAIN);
  expect_eq(ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN), 0);
  t0 = now_ms();
  set(fd, 0, 30, 0);
  expect_eq(timerfd_gettime(fd, &it), 0);
  expect(it.it_value.tv_nsec > 0 && it.it_value.tv_nsec <= 30 * MS && it.it_interval.tv_nsec == 0);
  expect_eq(wait_ms(ep, 5000), 1);
  expect(now_ms() - t0 >= 29);
  expect_errno(read(fd, &n, 7), EINVAL);
  expect_eq(read(fd, &n, 8), 8);
  expect_eq(n, 1);
  expect_eq(wait_ms(ep, 0), 0);
  expect_eq(timerfd_gettime(fd, &it), 0);
  expect(it.it_value.tv_sec == 0 && it.it_value.tv_nsec == 0);
  set(fd, 0, 10, 10);
  usleep(55000);
  expect_eq(read(fd, &n, 8), 8);
  expect(n >= 5);
  set(fd, 0, 0, 0);
  expect_errno(read(fd, &n, 8), EAGAIN);
  clock_gettime(CLOCK_MONOTONIC, &now);
  it = (struct itimerspec){{0, 1}, now}; // long over, every nanosecond
  expect_eq(timerfd_settime(fd, TFD_TIMER_ABSTIME, &it, 0), 0);
  usleep(20000);
  expect_eq(read(fd, &n, 8), 8);
  expect(n > 20 * MS);
}

TEST(timerfd_old_setting_and_wall_time)
{
  int fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC);
  struct itimerspec it, old;
  struct timespec now;
  uint64_t n;

  expect(fcntl(fd, F_GETFD) == FD_CLOEXEC);
  set(fd, 0, 100000, 7000);
  clock_gettime(CLOCK_REALTIME, &now);
  now.tv_nsec += 30 * MS;
  if(now.tv_nsec >= 1000 * MS) {
    now.tv_nsec -= 1000 * MS;
    now.tv_sec++;
  }
  it = (struct itimerspec){{0, 0}, now};
  expect_eq(timerfd_settime(fd, TFD_TIMER_ABSTIME, &it, &old), 0);
  expect(old.it_value.tv_sec >= 98 && old.it_value.tv_sec <= 100 && old.it_interval.tv_sec == 7);
  expect_eq(read(fd, &n, 8), 8); // blocks
  expect_eq(n, 1);
  clock_gettime(CLOCK_REALTIME, &it.it_value);
  expect(it.it_value.tv_sec > now.tv_sec || (it.it_value.tv_sec == now.tv_sec && it.it_value.tv_nsec >= now.tv_nsec));
}

// ---- signalfd

static int
block(int sig)
{
  sigset_t s;

  sigemptyset(&s);
  sigaddset(&s, sig);
  return sigprocmask(SIG_BLOCK, &s, 0);
}

static int
signals_of(int fd, int sig, int flags)
{
  sigset_t s;

  sigemptyset(&s);
  sigaddset(&s, sig);
  return signalfd(fd, &s, flags);
}

TEST(signalfd_reads_signals)
{
  struct signalfd_siginfo si[3];
  union sigval v = {.sival_int = 77};
  int fd = signals_of(-1, SIGUSR1, SFD_NONBLOCK | SFD_CLOEXEC), ep = ep_new();

  need(fd >= 0);
  block(SIGUSR1);
  block(SIGRTMIN);
  expect_errno(signals_of(ep, SIGUSR1, 0), EINVAL);
  expect_errno(signals_of(-1, SIGUSR1, 1), EINVAL);
  expect_errno(syscall(SYS_signalfd4, -1, si, 4, 0), EINVAL);
  expect_errno(read(fd, si, sizeof(si)), EAGAIN);
  expect_errno(read(fd, si, 127), EINVAL);
  expect_eq(ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN), 0);
  expect_eq(wait_ms(ep, 0), 0);
  kill(getpid(), SIGUSR1);
  expect_eq(wait_ms(ep, 1000), 1);
  expect_eq(read(fd, si, sizeof(si)), sizeof(si[0]));
  expect_eq(si[0].ssi_signo, SIGUSR1);
  expect_eq(si[0].ssi_code, SI_USER);
  expect_eq(si[0].ssi_pid, getpid());
  expect_eq(si[0].ssi_uid, getuid());
  expect_eq(wait_ms(ep, 0), 0);
  sigqueue(getpid(), SIGRTMIN, v);
  v.sival_int = 78;
  sigqueue(getpid(), SIGRTMIN, v);
  expect_errno(read(fd, si, sizeof(si)), EAGAIN);
  expect_eq(signals_of(fd, SIGRTMIN, 0), fd); // another set
  expect_eq(wait_ms(ep, 0), 1);
  expect_eq(read(fd, si, sizeof(si)), 2 * sizeof(si[0]));
  expect_eq(si[0].ssi_int, 77);
  expect_eq(si[1].ssi_int, 78);
  expect_eq(si[1].ssi_code, SI_QUEUE);
}

static void
exit_42(void *arg)
{
  _exit(42);
}

TEST(signalfd_tells_of_children)
{
  struct signalfd_siginfo si;
  int fd = signals_of(-1, SIGCHLD, 0);

  block(SIGCHLD);
  in_child(exit_42, 0);
  expect_eq(read(fd, &si, sizeof(si)), sizeof(si)); // blocks, if it has to
  expect_eq(si.ssi_signo, SIGCHLD);
  expect_eq(si.ssi_code, CLD_EXITED);
  expect_eq(si.ssi_status, 42);
}

static void *
kill_later(void *arg)
{
  usleep(30000);
  kill(getpid(), SIGUSR2);
  return 0;
}

TEST(signalfd_wakes_a_reader)
{
  struct signalfd_siginfo si;
  pthread_t t;
  int fd;

  block(SIGUSR2);
  fd = signals_of(-1, SIGUSR2, 0);
  need(pthread_create(&t, 0, kill_later, 0) == 0);
  expect_eq(read(fd, &si, sizeof(si)), sizeof(si));
  expect_eq(si.ssi_signo, SIGUSR2);
  pthread_join(t, 0);
}

TEST(they_show_in_proc)
{
  struct {
    int fd;
    const char *name;
  } f[] = {{ep_new(), "anon_inode:[eventpoll]"},
           {eventfd(0, 0), "anon_inode:[eventfd]"},
           {timerfd_create(CLOCK_MONOTONIC, 0), "anon_inode:[timerfd]"},
           {signals_of(-1, SIGUSR1, 0), "anon_inode:[signalfd]"}};
  char path[64], to[64];

  for(int i = 0; i < 4; i++) {
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", f[i].fd);
    n = readlink(path, to, sizeof(to) - 1);
    need(n > 0);
    to[n] = 0;
    if(strcmp(to, f[i].name) != 0)
      t_fail(__FILE__, __LINE__, "expected %s, saw %s", f[i].name, to);
  }
}
