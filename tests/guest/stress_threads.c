// stress_threads.c -- threads start, wait for each other and end, all at the same time, while others fork, exec and exit.
// The program is its own child: `NAME exit N`.
#define T_OWN_MAIN
#include "stress.h"
#include <spawn.h>

enum { EXEC_STATUS = 7 };
static char self[] = "/proc/self/exe";
extern char **environ;

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
  end_time = end_after(1200);
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

  end_time = end_after(1200);
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
  end_time = end_after(1000);
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
  end_time = end_after(1000);
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
  uint64_t end = end_after(1200);

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
  uint64_t end = end_after(1000);

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
  uint64_t end = end_after(1200), seed = seed_of(0);
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
  uint64_t end = end_after(1200), seed = seed_of(0);
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
  end_time = end_after(1200);
  together(8, forker);
}

TEST_TIMED(many_threads_spawn_programs, LIMIT)
{
  end_time = end_after(1200);
  together(6, spawner);
}

int
main(int argc, char **argv)
{
  if(argc == 3 && strcmp(argv[1], "exit") == 0)
    _exit(atoi(argv[2]));
  return t_main(argc, argv);
}
