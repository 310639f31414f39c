// stress_procs.c -- many processes at once: signals, pipes, futexes in shared memory, parents that die first.
#include "stress.h"

// ---- signals between many processes

static volatile sig_atomic_t usr1, rt_sum, rt_count;

static void
on_usr1(int sig)
{
  usr1++;
}

static void
on_rt(int sig, siginfo_t *si, void *uc)
{
  rt_count++;
  rt_sum += si->si_value.sival_int;
}

// Real-time signals: each one sent arrives, once. Standard ones arrive at least once after the last was sent.
static void
signal_peer(pid_t *peers, int n, int me, int out, uint64_t end)
{
  uint64_t seed = seed_of(me);
  int sent[3] = {0}; // count, sum, and room
  struct timespec tick = {0, 100000};

  while(peers[n - 1] == 0)
    nanosleep(&tick, 0);
  while(now_ms() < end) {
    union sigval v = {.sival_int = rnd(&seed) % 1000};
    int to = rnd(&seed) % n;

    if(rnd(&seed) % 4 == 0)
      kill(peers[to], SIGUSR1);
    else if(to == (me + 1) % n && sigqueue(peers[to], SIGRTMIN, v) == 0) {
      sent[0]++;
      sent[1] += v.sival_int;
    }
    if(rnd(&seed) % 16 == 0)
      nanosleep(&tick, 0);
  }
  need(write(out, sent, sizeof(sent)) == sizeof(sent));
}

static void
handle_signals(void)
{
  struct sigaction a = {.sa_handler = on_usr1, .sa_flags = SA_RESTART};
  struct sigaction b = {.sa_sigaction = on_rt, .sa_flags = SA_RESTART | SA_SIGINFO};

  sigaction(SIGUSR1, &a, 0);
  sigaction(SIGRTMIN, &b, 0);
}

TEST_TIMED(signals_between_processes_all_arrive, LIMIT)
{
  enum { N = 8 };
  pid_t *peers = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int *got = (int *)(peers + N), sent[N][3], status, out[N][2], done[2];
  uint64_t end = end_after(1200);

  need(peers != MAP_FAILED && pipe(done) == 0);
  handle_signals();
  for(int i = 0; i < N; i++) {
    pid_t pid;

    need(pipe(out[i]) == 0);
    pid = fork();
    need(pid >= 0);
    if(pid == 0) {
      char c;

      close(done[1]);
      signal_peer(peers, N, i, out[i][1], end);
      while(read(done[0], &c, 1) < 0 && errno == EINTR)
        ;
      got[2 * i] = rt_count;
      got[2 * i + 1] = rt_sum;
      _exit(0);
    }
    peers[i] = pid;
  }
  for(int i = 0; i < N; i++)
    need(read(out[i][0], sent[i], sizeof(sent[i])) == sizeof(sent[i]));
  close(done[1]);
  for(int i = 0; i < N; i++) {
    need(waitpid(peers[i], &status, 0) == peers[i]);
    expect_eq(status, 0);
  }
  for(int i = 0; i < N; i++) {
    expect_eq(got[2 * ((i + 1) % N)], sent[i][0]);
    expect_eq(got[2 * ((i + 1) % N) + 1], sent[i][1]);
  }
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;

static void *
interrupted_sleeper(void *arg)
{
  while(now_ms() < end_time) {
    struct timespec t = {0, 2000000};

    if((long)arg % 2)
      nanosleep(&t, 0);
    else
      pthread_mutex_lock(&lock), pthread_cond_timedwait(&never, &lock, &t), pthread_mutex_unlock(&lock);
  }
  return 0;
}

TEST_TIMED(threads_are_signalled_and_timers_ring, LIMIT)
{
  struct itimerval it = {{0, 2000}, {0, 2000}};
  struct sigaction a = {.sa_handler = on_usr1};
  pthread_t t[8];

  end_time = end_after(1000);
  handle_signals();
  sigaction(SIGALRM, &a, 0);
  for(long i = 0; i < 8; i++)
    t[i] = start(interrupted_sleeper, (void *)i);
  need(setitimer(ITIMER_REAL, &it, 0) == 0);
  for(unsigned n = 0; now_ms() < end_time - 100; n++) {
    pthread_kill(t[n % 8], SIGUSR1);
    if(n % 16 == 0)
      usleep(500);
  }
  memset(&it, 0, sizeof(it));
  need(setitimer(ITIMER_REAL, &it, 0) == 0);
  for(int i = 0; i < 8; i++)
    pthread_join(t[i], 0);
  expect(usr1 > 10);
}

// ---- pipes

// A token goes round: each process adds one.
TEST_TIMED(token_goes_round_sixteen_processes, LIMIT)
{
  enum { N = 16 };
  uint64_t end = end_after(1000), v = 0, seen, rounds = 0;
  int p[N + 1][2], status;

  for(int i = 0; i <= N; i++)
    need(pipe(p[i]) == 0);
  for(int i = 0; i < N; i++) {
    pid_t pid = fork();

    need(pid >= 0);
    if(pid == 0) {
      for(int k = 0; k <= N; k++) {
        if(k != i)
          close(p[k][0]);
        if(k != i + 1)
          close(p[k][1]);
      }
      while(read(p[i][0], &v, sizeof(v)) == sizeof(v)) {
        v++;
        need(write(p[i + 1][1], &v, sizeof(v)) == sizeof(v));
      }
      _exit(0);
    }
  }
  for(int i = 0; i <= N; i++) {
    if(i > 0)
      close(p[i][1]);
    if(i < N)
      close(p[i][0]);
  }
  for(; now_ms() < end; rounds++) {
    need(write(p[0][1], &v, sizeof(v)) == sizeof(v));
    need(read(p[N][0], &seen, sizeof(seen)) == sizeof(seen));
    if(seen != v + N)
      t_fail("token", rounds, "expected %lu, saw %lu", v + N, seen);
    v = seen;
  }
  close(p[0][1]);
  for(int i = 0; i < N; i++) {
    need(wait(&status) > 0);
    expect_eq(status, 0);
  }
}

struct record {
  uint16_t size, writer;
  uint32_t number;
  uint8_t bytes[4088];
};

static void
write_records(int fd, int me, uint64_t end)
{
  static struct record r;
  uint64_t seed = seed_of(me);

  r.writer = me;
  for(; now_ms() < end; r.number++) {
    r.size = 8 + rnd(&seed) % sizeof(r.bytes);
    memset(r.bytes, me * 31 + r.number, r.size - 8);
    need(write(fd, &r, r.size) == r.size);
  }
}

static void
read_whole(int fd, void *buf, size_t n)
{
  while(n > 0) {
    long k = read(fd, buf, n);

    need(k > 0);
    buf = (char *)buf + k;
    n -= k;
  }
}

// Writes of up to PIPE_BUF bytes are not mixed, and each writer's come in order.
TEST_TIMED(pipe_writes_are_whole, LIMIT)
{
  enum { N = 6 };
  static struct record r;
  uint32_t next[N] = {0};
  uint64_t end = end_after(1000);
  int p[2], status;

  need(pipe(p) == 0);
  for(int i = 0; i < N; i++) {
    pid_t pid = fork();

    need(pid >= 0);
    if(pid == 0) {
      write_records(p[1], i, end);
      _exit(0);
    }
  }
  close(p[1]);
  while(read(p[0], &r, 1) == 1) {
    read_whole(p[0], (char *)&r + 1, 7);
    need(r.writer < N && r.size >= 8 && r.size <= sizeof(r));
    need(r.number == next[r.writer]);
    next[r.writer]++;
    read_whole(p[0], r.bytes, r.size - 8);
    for(int i = 0; i < r.size - 8; i++)
      need(r.bytes[i] == (uint8_t)(r.writer * 31 + r.number));
  }
  for(int i = 0; i < N; i++) {
    need(wait(&status) > 0);
    expect_eq(status, 0);
  }
}

// ---- a storm of raw futexes on shared memory, between processes

static uint32_t *shared_lock;

static void
lock_shared(void)
{
  uint32_t c = 0;

  if(__atomic_compare_exchange_n(shared_lock, &c, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE))
    return;
  while(__atomic_exchange_n(shared_lock, 2, __ATOMIC_ACQUIRE) != 0)
    syscall(SYS_futex, shared_lock, 0 /* WAIT */, 2, 0);
}

static void
unlock_shared(void)
{
  if(__atomic_exchange_n(shared_lock, 0, __ATOMIC_RELEASE) == 2)
    syscall(SYS_futex, shared_lock, 1 /* WAKE */, 1);
}

TEST_TIMED(futex_between_processes, LIMIT)
{
  enum { N = 10 };
  volatile uint64_t *count;
  uint64_t end = end_after(1000), sum = 0;
  int status;

  shared_lock = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  need(shared_lock != MAP_FAILED);
  count = (uint64_t *)shared_lock + 8;
  for(int i = 0; i < N; i++) {
    pid_t pid = fork();

    need(pid >= 0);
    if(pid == 0) {
      uint64_t n = 0;

      for(; now_ms() < end; n++) {
        lock_shared();
        count[0]++;
        if(n % 32 == 0)
          sched_yield();
        if(n % 64 == 0)
          madvise(shared_lock, PAGE, MADV_DONTNEED);
        unlock_shared();
      }
      count[1 + i] = n;
      _exit(0);
    }
  }
  for(int i = 0; i < N; i++) {
    need(wait(&status) > 0);
    expect_eq(status, 0);
  }
  for(int i = 0; i < N; i++)
    sum += count[1 + i];
  expect_eq(count[0], sum);
}

// ---- parents die, children are adopted, everything is found in /proc meanwhile

static void
look_around(void)
{
  static const char *const names[] = {"/proc/%d/status", "/proc/%d/maps",    "/proc/%d/stat",
                                      "/proc/%d/smaps",  "/proc/%d/cmdline", "/proc/%d/exe"};
  char name[64], text[512];

  for(int pid = getpid() - 20; pid < getpid() + 40; pid++)
    for(int i = 0; i < 6; i++) {
      int fd;

      snprintf(name, sizeof(name), names[i], pid);
      fd = open(name, O_RDONLY);
      while(fd >= 0 && read(fd, text, sizeof(text)) > 0)
        ;
      close(fd);
    }
}

static void
family(int depth, uint64_t *seed)
{
  for(int i = 0; i < 2 && depth > 0; i++)
    if(fork() == 0) {
      family(depth - 1, seed);
      _exit(0);
    }
  if(rnd(seed) % 2)
    while(wait(0) > 0)
      ;
  munmap(map(64 * PAGE), 64 * PAGE);
}

TEST_TIMED(families_break_up_under_observation, LIMIT)
{
  uint64_t end = end_after(1200), seed = seed_of(3);
  pid_t watcher = fork();
  int status;

  need(watcher >= 0);
  if(watcher == 0)
    for(;;)
      look_around();
  while(now_ms() < end) {
    pid_t pid = fork();

    if(pid < 0)
      continue;
    if(pid == 0) {
      seed += getpid();
      family(4, &seed);
      _exit(0);
    }
    need(waitpid(pid, &status, 0) == pid);
  }
  kill(watcher, SIGKILL);
  need(waitpid(watcher, &status, 0) == watcher);
  expect_eq(status, SIGKILL);
}
