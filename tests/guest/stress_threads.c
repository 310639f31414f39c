// stress_threads.c -- many threads and processes start, wait, signal each other and end, all at the same time.
// Each test goes on for a moment, with T_SOAK=1 for a minute. The program is its own child: `NAME exit N`.
#define T_OWN_MAIN
#include "t.h"
#include <pthread.h>
#include <spawn.h>

enum { LIMIT = 150, EXEC_STATUS = 7 };
static char self[] = "/proc/self/exe";
extern char **environ;

static uint64_t
now_ms(void)
{
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

static uint64_t
end_after(uint64_t ms)
{
  const char *soak = getenv("T_SOAK");

  return now_ms() + (soak && soak[0] == '1' ? 60000 : ms);
}

static uint64_t
rnd(uint64_t *s)
{
  *s ^= *s << 13;
  *s ^= *s >> 7;
  *s ^= *s << 17;
  return *s;
}

static uint64_t
seed_of(int i)
{
  uint64_t s = (now_ms() + 1) * 0x9e3779b97f4a7c15ull + i * 0xbf58476d1ce4e5b9ull;

  rnd(&s);
  return s ? s : 1;
}

static uint64_t end_time; // of the running test

static pthread_t
start(void *(*fn)(void *), void *arg)
{
  pthread_t t;
  int e;

  while((e = pthread_create(&t, 0, fn, arg)) == EAGAIN) // Linux says so while another thread is in exec
    sched_yield();
  need(e == 0);
  return t;
}

// n threads run fn(0 .. n-1) until all of them are done.
static void
together(int n, void *(*fn)(void *))
{
  pthread_t t[32];

  for(long i = 0; i < n; i++)
    t[i] = start(fn, (void *)i);
  for(int i = 0; i < n; i++)
    need(pthread_join(t[i], 0) == 0);
}

// ---- threads come and go

static uint64_t made, ended;

static void *
mayfly(void *arg)
{
  volatile char room[3 * PAGE];

  for(int i = 0; i < 3; i++)
    room[i * PAGE] = i;
  __atomic_fetch_add(&ended, 1 + room[0], __ATOMIC_RELAXED);
  return arg;
}

static void *
maker(void *arg)
{
  pthread_attr_t detached;

  pthread_attr_init(&detached);
  pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
  for(long n = 0; now_ms() < end_time; n++) {
    pthread_t t;
    void *r;

    if(pthread_create(&t, n % 4 == 3 ? &detached : 0, mayfly, (void *)n) != 0) {
      sched_yield();
      continue;
    }
    __atomic_fetch_add(&made, 1, __ATOMIC_RELAXED);
    if(n % 4 == 3)
      continue;
    need(pthread_join(t, &r) == 0);
    if(r != (void *)n)
      t_fail("maker", n, "another thread's value %p", r);
  }
  return 0;
}

TEST_TIMED(threads_come_and_go, LIMIT)
{
  end_time = end_after(2500);
  together(8, maker);
  for(int i = 0; i < 1000 && __atomic_load_n(&ended, __ATOMIC_RELAXED) < made; i++)
    usleep(5000);
  expect_eq(ended, made);
}

// ---- mutex, condition, barrier

enum { QUEUE = 4, MEMBERS = 12 };
static struct {
  pthread_mutex_t lock;
  pthread_cond_t more, room;
  long item[QUEUE];
  unsigned put, taken;
  long sum_put, sum_taken, late;
  bool over;
} q = {.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER, .room = PTHREAD_COND_INITIALIZER};

static void
soon(struct timespec *t)
{
  clock_gettime(CLOCK_REALTIME, t);
  t->tv_nsec += 3000000;
  if(t->tv_nsec >= 1000000000) {
    t->tv_nsec -= 1000000000;
    t->tv_sec++;
  }
}

static void
put(long v)
{
  pthread_mutex_lock(&q.lock);
  while(q.put - q.taken == QUEUE)
    pthread_cond_wait(&q.room, &q.lock);
  q.item[q.put++ % QUEUE] = v;
  q.sum_put += v;
  pthread_cond_signal(&q.more);
  pthread_mutex_unlock(&q.lock);
}

static bool
take(bool patient)
{
  struct timespec t;
  bool got;

  pthread_mutex_lock(&q.lock);
  while(q.put == q.taken && !q.over) {
    soon(&t);
    if(patient)
      pthread_cond_wait(&q.more, &q.lock);
    else if(pthread_cond_timedwait(&q.more, &q.lock, &t) == ETIMEDOUT)
      q.late++;
  }
  got = q.put != q.taken;
  if(got) {
    q.sum_taken += q.item[q.taken++ % QUEUE];
    pthread_cond_signal(&q.room);
  }
  pthread_mutex_unlock(&q.lock);
  return got;
}

static void *
queue_member(void *arg)
{
  long me = (long)arg;

  if(me < MEMBERS / 2)
    for(long n = 0; now_ms() < end_time; n++)
      put(n * MEMBERS + me);
  else
    while(take(me % 2))
      ;
  return 0;
}

TEST_TIMED(conditions_lose_no_wakeup, LIMIT)
{
  pthread_t t[MEMBERS];

  end_time = end_after(2500);
  for(long i = 0; i < MEMBERS; i++)
    t[i] = start(queue_member, (void *)i);
  for(int i = 0; i < MEMBERS / 2; i++)
    pthread_join(t[i], 0);
  pthread_mutex_lock(&q.lock);
  q.over = true;
  pthread_cond_broadcast(&q.more);
  pthread_mutex_unlock(&q.lock);
  for(int i = MEMBERS / 2; i < MEMBERS; i++)
    pthread_join(t[i], 0);
  expect_eq(q.sum_taken, q.sum_put);
  expect_eq(q.taken, q.put);
}

static pthread_barrier_t barrier;
static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static volatile uint64_t pair[2];
static uint64_t steps[8];

static void *
step_along(void *arg)
{
  long me = (long)arg;

  for(int n = 0; n < 100000; n++) {
    bool over = false;

    steps[me]++;
    if(me == 0 && now_ms() >= end_time)
      steps[0] |= 1ull << 63;
    pthread_barrier_wait(&barrier);
    over = steps[0] >> 63;
    for(int i = 1; i < 8; i++)
      if(steps[i] != (steps[0] & ~(1ull << 63)))
        t_fail("barrier", i, "%lu steps, others %lu", steps[i], steps[0]);
    if(n % 8 == me) {
      pthread_rwlock_wrlock(&rw);
      pair[0]++;
      sched_yield();
      pair[1]++;
    } else {
      pthread_rwlock_rdlock(&rw);
      if(pair[0] != pair[1])
        t_fail("rwlock", me, "saw a half-done change");
    }
    pthread_rwlock_unlock(&rw);
    pthread_barrier_wait(&barrier);
    if(over)
      break;
  }
  return 0;
}

TEST_TIMED(barriers_and_rwlocks_hold, LIMIT)
{
  end_time = end_after(2000);
  pthread_barrier_init(&barrier, 0, 8);
  together(8, step_along);
}

// ---- time never goes back, whichever CPU tells it

static uint64_t latest;

static void *
watch_clock(void *arg)
{
  while(now_ms() < end_time)
    for(int i = 0; i < 200; i++) {
      uint64_t before = __atomic_load_n(&latest, __ATOMIC_SEQ_CST), now, seen;
      struct timespec t;

      clock_gettime(CLOCK_MONOTONIC, &t);
      now = t.tv_sec * 1000000000ull + t.tv_nsec;
      if(now < before) {
        t_fail("watch_clock", i, "%lu after %lu", now, before);
        return 0;
      }
      seen = before;
      while(seen < now && !__atomic_compare_exchange_n(&latest, &seen, now, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        ;
    }
  return 0;
}

TEST_TIMED(time_never_goes_back, LIMIT)
{
  end_time = end_after(1500);
  together(6, watch_clock);
}

// ---- exec and exit while other threads run

static volatile long churn_sink;

static void *
churn(void *arg)
{
  long me = (long)arg;
  int p[2];

  need(pipe(p) == 0);
  for(;;) {
    char c = 0;

    switch(me % 5) {
    case 0: churn_sink++; break;
    case 1: usleep(1000); break;
    case 2: munmap(memset(map(16 * PAGE), 1, 16 * PAGE), 16 * PAGE); break;
    case 3: (void)!read(p[0], &c, 1); break; // for ever
    case 4: pthread_join(start(mayfly, 0), 0); break;
    }
  }
  return 0;
}

static void
exec_self(void)
{
  char *argv[] = {self, "exit", "7", 0};

  execv(self, argv);
}

static void *
exec_soon(void *arg)
{
  usleep(1000 + (long)arg);
  exec_self();
  t_fail("exec", 0, "errno %d", errno);
  return 0;
}

static void
exec_from_thread(void *arg)
{
  long n = (long)arg;

  for(long i = 0; i < 6; i++)
    start(churn, (void *)i);
  if(n % 3 != 0)
    start(exec_soon, (void *)(n * 37 % 3000));
  if(n % 3 != 1)
    start(exec_soon, (void *)(n * 53 % 3000));
  for(;;)
    pause();
}

TEST_TIMED(exec_ends_the_other_threads, LIMIT)
{
  uint64_t end = end_after(2500);

  for(long n = 0; now_ms() < end; n++) {
    int status = in_child(exec_from_thread, (void *)n);

    expect_eq(status, EXEC_STATUS << 8);
  }
}

static void *
exit_soon(void *arg)
{
  long n = (long)arg;

  if(n % 2)
    usleep(n * 1000 % 3001);
  syscall(SYS_exit_group, 10 + n % 4);
  return 0;
}

static void
exit_from_threads(void *arg)
{
  for(long i = 0; i < 5; i++)
    start(churn, (void *)i);
  for(long i = 0; i < 4; i++)
    start(exit_soon, (void *)((long)arg + i));
  for(;;)
    pthread_detach(start(mayfly, 0));
}

TEST_TIMED(first_exit_group_counts, LIMIT)
{
  uint64_t end = end_after(2000);

  for(long n = 0; now_ms() < end; n += 4) {
    int status = in_child(exit_from_threads, (void *)n);

    expect(WIFEXITED(status) && WEXITSTATUS(status) >= 10 && WEXITSTATUS(status) < 14);
  }
}

// The leader ends first; the process ends with its last thread.
static void *
last_one(void *arg)
{
  usleep(3000);
  _exit(9);
}

static void
leader_leaves(void *arg)
{
  start(last_one, 0);
  syscall(SYS_exit, 3);
}

TEST_TIMED(leader_may_leave_first, LIMIT)
{
  for(int i = 0; i < 20; i++)
    expect_eq(in_child(leader_leaves, 0), 9 << 8);
}

// ---- killed, stopped and continued while threads are being made

static pid_t
start_maker_process(int kind)
{
  pid_t pid = fork();

  need(pid >= 0);
  if(pid == 0) {
    for(long i = 0; i < kind; i++)
      start(churn, (void *)i);
    end_time = now_ms() + 100000;
    together(3, maker);
    _exit(0);
  }
  return pid;
}

TEST_TIMED(kill_a_maker_of_threads, LIMIT)
{
  uint64_t end = end_after(2500), seed = seed_of(0);
  int status;

  while(now_ms() < end) {
    pid_t pid = start_maker_process(rnd(&seed) % 6);

    usleep(rnd(&seed) % 30000);
    need(kill(pid, SIGKILL) == 0);
    need(waitpid(pid, &status, 0) == pid);
    expect_eq(status, SIGKILL);
  }
}

TEST_TIMED(stop_and_continue_a_maker_of_threads, LIMIT)
{
  uint64_t end = end_after(2500), seed = seed_of(0);
  pid_t pid = start_maker_process(5);
  int status;

  usleep(10000);
  for(int n = 0; now_ms() < end; n++) {
    need(kill(pid, SIGSTOP) == 0);
    if(n % 2) {
      need(waitpid(pid, &status, WUNTRACED) == pid);
      expect(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    }
    if(n % 8 == 1)
      usleep(rnd(&seed) % 3000);
    need(kill(pid, SIGCONT) == 0);
    if(n % 4 == 1) {
      need(waitpid(pid, &status, WCONTINUED) == pid);
      expect(WIFCONTINUED(status));
    }
    usleep(rnd(&seed) % 3000);
  }
  need(kill(pid, SIGKILL) == 0);
  need(waitpid(pid, &status, 0) == pid);
}

// ---- fork, vfork and exec out of many threads

static void *
forker(void *arg)
{
  long me = (long)arg;

  for(int n = 0; now_ms() < end_time; n++) {
    int status, want = (me * 16 + n) % 100;
    pid_t pid = fork();

    if(pid < 0 && errno == EAGAIN)
      continue;
    need(pid >= 0);
    if(pid == 0)
      _exit(want);
    need(waitpid(pid, &status, 0) == pid);
    if(status != want << 8)
      t_fail("forker", me, "expected %#x, saw %#x", want << 8, status);
  }
  return 0;
}

static void *
spawner(void *arg)
{
  while(now_ms() < end_time) {
    char *argv[] = {self, "exit", "7", 0}, *bad[] = {"x", 0};
    int status;
    pid_t pid;

    need(posix_spawn(&pid, self, 0, 0, argv, environ) == 0);
    need(waitpid(pid, &status, 0) == pid);
    expect_eq(status, EXEC_STATUS << 8);
    expect_eq(posix_spawn(&pid, "/none", 0, 0, bad, environ), ENOENT);
  }
  return 0;
}

TEST_TIMED(many_threads_fork, LIMIT)
{
  end_time = end_after(2500);
  together(8, forker);
}

TEST_TIMED(many_threads_spawn_programs, LIMIT)
{
  end_time = end_after(2500);
  together(6, spawner);
}

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
  uint64_t end = end_after(2500);

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

static void *
interrupted_sleeper(void *arg)
{
  while(now_ms() < end_time) {
    struct timespec t = {0, 2000000};

    if((long)arg % 2)
      nanosleep(&t, 0);
    else
      pthread_mutex_lock(&q.lock), pthread_cond_timedwait(&q.more, &q.lock, &t), pthread_mutex_unlock(&q.lock);
  }
  return 0;
}

TEST_TIMED(threads_are_signalled_and_timers_ring, LIMIT)
{
  struct itimerval it = {{0, 2000}, {0, 2000}};
  struct sigaction a = {.sa_handler = on_usr1};
  pthread_t t[8];

  end_time = end_after(2000);
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
  uint64_t end = end_after(2000), v = 0, seen, rounds = 0;
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
  uint64_t end = end_after(2000);
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
  uint64_t end = end_after(2000), sum = 0;
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
    sum += count[1 + i];
  }
  sum = 0;
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
  uint64_t end = end_after(2500), seed = seed_of(3);
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

int
main(int argc, char **argv)
{
  if(argc == 3 && strcmp(argv[1], "exit") == 0)
    _exit(atoi(argv[2]));
  return t_main(argc, argv);
}
