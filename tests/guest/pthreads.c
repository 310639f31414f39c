// pthreads.c -- a C library's threads in all their kinds, as programs use them. Built static with musl for the guest
// tests, and dynamic with glibc as one of the programs (tests/programs.py).
#include "t.h"
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

enum { MS = 1000000, MANY = 200 };

static _Atomic int count, ready, phase;
static pthread_mutex_t plain = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;

static struct timespec
in_ms(int clock, long ms)
{
  struct timespec t;

  clock_gettime(clock, &t);
  t.tv_nsec += ms * MS;
  t.tv_sec += t.tv_nsec / 1000000000;
  t.tv_nsec %= 1000000000;
  return t;
}

static void
wait_for(_Atomic int *what, int value)
{
  while(*what < value)
    usleep(1000);
}

// ---- mutexes. Each kind: type, protocol, robust, shared between processes.

struct kind {
  int type, protocol, robust, shared;
};

static bool
mutex_make(pthread_mutex_t *m, const struct kind *k)
{
  pthread_mutexattr_t a;
  bool ok = pthread_mutexattr_init(&a) == 0 && pthread_mutexattr_settype(&a, k->type) == 0 &&
            pthread_mutexattr_setprotocol(&a, k->protocol) == 0 && pthread_mutexattr_setrobust(&a, k->robust) == 0 &&
            pthread_mutexattr_setpshared(&a, k->shared) == 0 && pthread_mutex_init(m, &a) == 0;

  pthread_mutexattr_destroy(&a);
  return ok;
}

static const int types[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_RECURSIVE};

// Calls fn for every kind, with the mutex in shared memory.
static void
every_kind(void (*fn)(pthread_mutex_t *, const struct kind *))
{
  for(int i = 0; i < 3 * 8; i++) {
    struct kind k = {types[i / 8], i & 1 ? PTHREAD_PRIO_INHERIT : PTHREAD_PRIO_NONE,
                     i & 2 ? PTHREAD_MUTEX_ROBUST : PTHREAD_MUTEX_STALLED,
                     i & 4 ? PTHREAD_PROCESS_SHARED : PTHREAD_PROCESS_PRIVATE};
    pthread_mutex_t *m = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    need(m != MAP_FAILED);
    expect(mutex_make(m, &k));
    fn(m, &k);
    munmap(m, PAGE);
  }
}

static pthread_mutex_t *the_mutex;
static long in_section;

static void *
bump(void *arg)
{
  for(int i = 0; i < 500; i++) {
    if(pthread_mutex_lock(the_mutex))
      return (void *)1;
    in_section++;
    if(i % 64 == 0)
      sched_yield();
    if(pthread_mutex_unlock(the_mutex))
      return (void *)2;
  }
  return 0;
}

static void
check_excludes(pthread_mutex_t *m, const struct kind *k)
{
  pthread_t t[4];
  void *r;

  the_mutex = m;
  in_section = 0;
  for(int i = 0; i < 4; i++)
    need(pthread_create(&t[i], 0, bump, 0) == 0);
  for(int i = 0; i < 4; i++) {
    pthread_join(t[i], &r);
    expect(r == 0);
  }
  expect_eq(in_section, 4 * 500);
}

TEST(mutex_kinds_exclude)
{
  every_kind(check_excludes);
}

static void *
try_and_time_out(void *arg)
{
  struct timespec at = in_ms(CLOCK_REALTIME, 20);

  expect_eq(pthread_mutex_trylock(the_mutex), EBUSY);
  expect_eq(pthread_mutex_timedlock(the_mutex, &at), ETIMEDOUT);
  return 0;
}

static void
check_rules(pthread_mutex_t *m, const struct kind *k)
{
  struct timespec at = in_ms(CLOCK_REALTIME, 20);
  pthread_t t;

  the_mutex = m;
  expect_eq(pthread_mutex_lock(m), 0);
  if(k->type == PTHREAD_MUTEX_ERRORCHECK)
    expect_eq(pthread_mutex_lock(m), EDEADLK);
  if(k->type == PTHREAD_MUTEX_RECURSIVE) {
    expect_eq(pthread_mutex_lock(m), 0);
    expect_eq(pthread_mutex_trylock(m), 0);
    expect_eq(pthread_mutex_unlock(m), 0);
    expect_eq(pthread_mutex_unlock(m), 0);
  }
  if(k->type == PTHREAD_MUTEX_NORMAL && k->protocol == PTHREAD_PRIO_NONE)
    expect_eq(pthread_mutex_timedlock(m, &at), ETIMEDOUT); // waits for itself
  need(pthread_create(&t, 0, try_and_time_out, 0) == 0);
  pthread_join(t, 0);
  expect_eq(pthread_mutex_unlock(m), 0);
  if(k->type != PTHREAD_MUTEX_NORMAL)
    expect_eq(pthread_mutex_unlock(m), EPERM);
}

TEST(mutex_kinds_keep_their_rules)
{
  every_kind(check_rules);
}

static void *
end_with_it(void *arg)
{
  pthread_mutex_lock(the_mutex);
  return 0;
}

static void
check_robust(pthread_mutex_t *m, const struct kind *k)
{
  pthread_t t;

  if(k->robust != PTHREAD_MUTEX_ROBUST)
    return;
  the_mutex = m;
  need(pthread_create(&t, 0, end_with_it, 0) == 0);
  pthread_join(t, 0);
  expect_eq(pthread_mutex_lock(m), EOWNERDEAD);
  expect_eq(pthread_mutex_consistent(m), 0);
  expect_eq(pthread_mutex_unlock(m), 0);
  expect_eq(pthread_mutex_lock(m), 0);
  expect_eq(pthread_mutex_unlock(m), 0);
  need(pthread_create(&t, 0, end_with_it, 0) == 0);
  pthread_join(t, 0);
  expect_eq(pthread_mutex_trylock(m), EOWNERDEAD);
  expect_eq(pthread_mutex_unlock(m), 0); // not made consistent
  expect_eq(pthread_mutex_lock(m), ENOTRECOVERABLE);
}

TEST(robust_mutex_outlives_a_thread)
{
  every_kind(check_robust);
}

static void
check_robust_process(pthread_mutex_t *m, const struct kind *k)
{
  int fd[2], status;
  char c = 0;
  pid_t pid;

  if(k->robust != PTHREAD_MUTEX_ROBUST || k->shared != PTHREAD_PROCESS_SHARED)
    return;
  need(pipe(fd) == 0);
  pid = fork();
  if(pid == 0) {
    pthread_mutex_lock(m);
    need(write(fd[1], &c, 1) == 1);
    usleep(30000);
    raise(SIGKILL);
  }
  need(read(fd[0], &c, 1) == 1);
  expect_eq(pthread_mutex_lock(m), EOWNERDEAD); // waits until it dies
  expect_eq(pthread_mutex_consistent(m), 0);
  expect_eq(pthread_mutex_unlock(m), 0);
  waitpid(pid, &status, 0);
  expect_eq(status, SIGKILL);
  close(fd[0]);
  close(fd[1]);
}

TEST(robust_mutex_outlives_a_process)
{
  every_kind(check_robust_process);
}

// ---- between processes: mutex, condition, barrier, semaphore and rwlock in shared memory

struct shared {
  pthread_mutex_t m;
  pthread_cond_t c;
  pthread_barrier_t b;
  pthread_rwlock_t rw;
  sem_t s;
  int turn, sum;
};

static void
play(struct shared *s, int me)
{
  for(int i = 0; i < 200; i++) {
    pthread_mutex_lock(&s->m);
    while(s->turn != me)
      pthread_cond_wait(&s->c, &s->m);
    s->turn = !me;
    pthread_cond_broadcast(&s->c);
    pthread_mutex_unlock(&s->m);
  }
  pthread_barrier_wait(&s->b);
  for(int i = 0; i < 100; i++) {
    pthread_rwlock_wrlock(&s->rw);
    s->sum++;
    pthread_rwlock_unlock(&s->rw);
    pthread_rwlock_rdlock(&s->rw);
    expect(s->sum > 0);
    pthread_rwlock_unlock(&s->rw);
  }
  pthread_barrier_wait(&s->b);
}

TEST(shared_between_processes)
{
  struct shared *s = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pthread_mutexattr_t ma;
  pthread_condattr_t ca;
  pthread_barrierattr_t ba;
  pthread_rwlockattr_t ra;
  int status;
  pid_t pid;

  need(s != MAP_FAILED);
  pthread_mutexattr_init(&ma);
  pthread_condattr_init(&ca);
  pthread_barrierattr_init(&ba);
  pthread_rwlockattr_init(&ra);
  expect_eq(pthread_mutexattr_setpshared(&ma, PTHREAD_PROCESS_SHARED), 0);
  expect_eq(pthread_condattr_setpshared(&ca, PTHREAD_PROCESS_SHARED), 0);
  expect_eq(pthread_barrierattr_setpshared(&ba, PTHREAD_PROCESS_SHARED), 0);
  expect_eq(pthread_rwlockattr_setpshared(&ra, PTHREAD_PROCESS_SHARED), 0);
  need(!pthread_mutex_init(&s->m, &ma) && !pthread_cond_init(&s->c, &ca) && !pthread_barrier_init(&s->b, &ba, 2) &&
       !pthread_rwlock_init(&s->rw, &ra) && !sem_init(&s->s, 1, 0));
  pid = fork();
  if(pid == 0) {
    play(s, 1);
    sem_post(&s->s);
    _exit(t_failures != 0);
  }
  play(s, 0);
  sem_wait(&s->s);
  waitpid(pid, &status, 0);
  expect_eq(status, 0);
  expect_eq(s->sum, 200);
}

// ---- conditions, barriers, rwlocks among threads

static int waiting, woken;

static void *
wait_on_cond(void *arg)
{
  pthread_mutex_lock(&plain);
  waiting++;
  while(phase == 0)
    pthread_cond_wait(&cond, &plain);
  woken++;
  pthread_mutex_unlock(&plain);
  return 0;
}

TEST(condition_broadcast_wakes_all)
{
  pthread_t t[16];
  int n = 0;

  for(int i = 0; i < 16; i++)
    need(pthread_create(&t[i], 0, wait_on_cond, 0) == 0);
  while(n < 16) {
    pthread_mutex_lock(&plain);
    n = waiting;
    pthread_mutex_unlock(&plain);
    sched_yield();
  }
  pthread_mutex_lock(&plain);
  expect_eq(woken, 0);
  phase = 1;
  pthread_cond_broadcast(&cond);
  pthread_mutex_unlock(&plain);
  for(int i = 0; i < 16; i++)
    pthread_join(t[i], 0);
  expect_eq(woken, 16);
}

TEST(condition_times_out_by_both_clocks)
{
  struct timespec at = in_ms(CLOCK_REALTIME, 20);
  pthread_condattr_t a;
  pthread_cond_t c;

  pthread_mutex_lock(&plain);
  expect_eq(pthread_cond_timedwait(&cond, &plain, &at), ETIMEDOUT);
  pthread_condattr_init(&a);
  expect_eq(pthread_condattr_setclock(&a, CLOCK_MONOTONIC), 0);
  pthread_cond_init(&c, &a);
  at = in_ms(CLOCK_MONOTONIC, 20);
  expect_eq(pthread_cond_timedwait(&c, &plain, &at), ETIMEDOUT);
  pthread_mutex_unlock(&plain);
}

static pthread_barrier_t barrier;
static _Atomic int serials, arrived;

static void *
meet(void *arg)
{
  for(int i = 1; i <= 50; i++) {
    arrived++;
    serials += pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
    expect(arrived >= i * 8);
    pthread_barrier_wait(&barrier);
  }
  return 0;
}

TEST(barrier_meets_with_one_chosen)
{
  pthread_t t[8];

  need(pthread_barrier_init(&barrier, 0, 8) == 0);
  for(int i = 0; i < 8; i++)
    need(pthread_create(&t[i], 0, meet, 0) == 0);
  for(int i = 0; i < 8; i++)
    pthread_join(t[i], 0);
  expect_eq(serials, 50);
}

static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static volatile long pair[2];

static void *
read_or_write(void *arg)
{
  for(int i = 0; i < 500; i++) {
    if((long)arg == 0 || i % 50 == 0) {
      pthread_rwlock_wrlock(&rwlock);
      pair[0]++;
      sched_yield();
      pair[1]++;
    } else {
      pthread_rwlock_rdlock(&rwlock);
      expect_eq(pair[0], pair[1]);
    }
    pthread_rwlock_unlock(&rwlock);
  }
  return 0;
}

TEST(rwlock_readers_see_whole_writes)
{
  pthread_t t[6];
  struct timespec at;

  for(long i = 0; i < 6; i++)
    need(pthread_create(&t[i], 0, read_or_write, (void *)i) == 0);
  for(int i = 0; i < 6; i++)
    pthread_join(t[i], 0);
  expect_eq(pair[0], 500 + 5 * 10);
  pthread_rwlock_rdlock(&rwlock);
  at = in_ms(CLOCK_REALTIME, 20);
  expect_eq(pthread_rwlock_timedwrlock(&rwlock, &at), ETIMEDOUT);
  expect_eq(pthread_rwlock_tryrdlock(&rwlock), 0);
  expect_eq(pthread_rwlock_trywrlock(&rwlock), EBUSY);
}

// ---- cancelling

static _Atomic int cleaned;

static void
clean(void *arg)
{
  cleaned += (long)arg;
}

static void
let_go(void *m)
{
  pthread_mutex_unlock(m);
}

static void *
cancelled_in(void *arg)
{
  char c;

  pthread_cleanup_push(clean, (void *)1l);
  pthread_cleanup_push(clean, (void *)10l);
  ready = 1;
  if(arg == 0)
    for(;;)
      pause();
  else if(arg == (void *)1)
    while(read((int)phase, &c, 1) >= 0)
      ;
  else {
    pthread_mutex_lock(&plain);
    pthread_cleanup_push(let_go, &plain);
    for(;;)
      pthread_cond_wait(&cond, &plain);
    pthread_cleanup_pop(1);
  }
  pthread_cleanup_pop(1);
  pthread_cleanup_pop(1);
  return 0;
}

TEST(cancel_in_a_blocking_call)
{
  int fd[2];

  need(pipe(fd) == 0);
  phase = fd[0];
  for(long i = 0; i < 3; i++) {
    pthread_t t;
    void *r;

    ready = cleaned = 0;
    need(pthread_create(&t, 0, cancelled_in, (void *)i) == 0);
    wait_for(&ready, 1);
    usleep(20000);
    expect_eq(pthread_cancel(t), 0);
    expect_eq(pthread_join(t, &r), 0);
    expect(r == PTHREAD_CANCELED);
    expect_eq(cleaned, 11);
  }
  expect_eq(pthread_mutex_trylock(&plain), 0); // the handler let go of it
}

static void *
not_yet(void *arg)
{
  int old;

  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
  ready = 1;
  wait_for(&phase, 1);
  usleep(1000); // a cancellation point that is none now
  count = 1;
  pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old);
  pthread_testcancel();
  count = 2;
  return 0;
}

TEST(cancel_waits_while_disabled)
{
  pthread_t t;
  void *r;

  need(pthread_create(&t, 0, not_yet, 0) == 0);
  wait_for(&ready, 1);
  pthread_cancel(t);
  phase = 1;
  pthread_join(t, &r);
  expect(r == PTHREAD_CANCELED);
  expect_eq(count, 1);
}

static volatile unsigned long turns;

static void *
spin(void *arg)
{
  int old;

  pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
  ready = 1;
  for(;;)
    turns++;
  return 0;
}

TEST(cancel_of_a_spinning_thread)
{
  for(int i = 0; i < 10; i++) {
    pthread_t t;
    void *r;

    ready = 0;
    need(pthread_create(&t, 0, spin, 0) == 0);
    wait_for(&ready, 1);
    expect_eq(pthread_cancel(t), 0);
    expect_eq(pthread_join(t, &r), 0);
    expect(r == PTHREAD_CANCELED);
  }
}

// ---- signals to threads

static _Atomic int signals_here, wrong_thread;
static pthread_t wanted;

static void
on_usr1(int sig)
{
  if(pthread_equal(pthread_self(), wanted))
    signals_here++;
  else
    wrong_thread++;
}

static void *
take_signals(void *arg)
{
  ready = 1;
  while(!phase)
    usleep(1000);
  return 0;
}

TEST(pthread_kill_reaches_that_thread)
{
  struct sigaction sa = {.sa_handler = on_usr1, .sa_flags = SA_RESTART};

  sigaction(SIGUSR1, &sa, 0);
  need(pthread_create(&wanted, 0, take_signals, 0) == 0);
  wait_for(&ready, 1);
  for(int i = 1; i <= 50; i++) {
    expect_eq(pthread_kill(wanted, SIGUSR1), 0);
    wait_for(&signals_here, i);
  }
  expect_eq(pthread_kill(wanted, 0), 0);
  phase = 1;
  pthread_join(wanted, 0);
  expect_eq(wrong_thread, 0);
}

// ---- a thread's own data

static pthread_key_t keys[3];
static _Atomic int destroyed[3];
static __thread int own = 5;
static __thread char own_big[20000];

static void
destroy0(void *p)
{
  destroyed[0]++;
  pthread_setspecific(keys[1], p); // another round of destructors
}

static void
destroy1(void *p)
{
  destroyed[1]++;
}

static void *
own_data(void *arg)
{
  expect_eq(own, 5);
  own += (long)arg;
  for(int i = 0; i < (int)sizeof(own_big); i++)
    if(own_big[i])
      return (void *)-1l;
  memset(own_big, 1, sizeof(own_big));
  pthread_setspecific(keys[0], &own);
  expect(pthread_getspecific(keys[0]) == &own && pthread_getspecific(keys[2]) == 0);
  return (void *)(long)own;
}

TEST(thread_local_data_and_destructors)
{
  pthread_t t[10];
  void *r;

  need(!pthread_key_create(&keys[0], destroy0) && !pthread_key_create(&keys[1], destroy1) &&
       !pthread_key_create(&keys[2], 0));
  for(long i = 0; i < 10; i++)
    need(pthread_create(&t[i], 0, own_data, (void *)i) == 0);
  for(int i = 0; i < 10; i++) {
    pthread_join(t[i], &r);
    expect_eq((long)r, 5 + i);
  }
  expect_eq(destroyed[0], 10);
  expect_eq(destroyed[1], 10);
  expect_eq(own, 5);
}

// ---- stacks

static sigjmp_buf back;
static void *volatile fault_at;

static void
on_segv(int sig, siginfo_t *si, void *uc)
{
  fault_at = si->si_addr;
  siglongjmp(back, 1);
}

static int
deeper(int n)
{
  volatile char here_[512];

  here_[0] = n;
  here_[511] = n == 0 ? 0 : deeper(n + 1) + here_[0];
  return here_[511] + here_[0];
}

static void *
overflow(void *arg)
{
  static char alt[64 << 10];
  stack_t ss = {.ss_sp = alt, .ss_size = sizeof(alt)};
  struct sigaction sa = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  size_t size, guard;
  pthread_attr_t a;
  void *low;

  need(sigaltstack(&ss, 0) == 0);
  sigaction(SIGSEGV, &sa, 0);
  need(pthread_getattr_np(pthread_self(), &a) == 0);
  pthread_attr_getstack(&a, &low, &size);
  pthread_attr_getguardsize(&a, &guard);
  if(sigsetjmp(back, 1) == 0)
    deeper(1);
  expect(fault_at != 0);
  expect((char *)fault_at < (char *)low + PAGE && (char *)fault_at >= (char *)low - 16 * PAGE);
  return 0;
}

TEST(stack_ends_in_a_guard_page)
{
  pthread_attr_t a;
  pthread_t t;

  pthread_attr_init(&a);
  expect_eq(pthread_attr_setstacksize(&a, 256 << 10), 0);
  expect_eq(pthread_attr_setguardsize(&a, 16 * PAGE), 0);
  need(pthread_create(&t, &a, overflow, 0) == 0);
  pthread_join(t, 0);
}

static void *
on_own_stack(void *arg)
{
  char here_;

  return &here_ >= (char *)arg && &here_ < (char *)arg + (128 << 10) ? 0 : (void *)1;
}

TEST(stack_of_ones_own)
{
  char *stack = map(128 << 10);
  pthread_attr_t a;
  pthread_t t;
  void *r;

  pthread_attr_init(&a);
  expect_eq(pthread_attr_setstack(&a, stack, 128 << 10), 0);
  need(pthread_create(&t, &a, on_own_stack, stack) == 0);
  pthread_join(t, &r);
  expect(r == 0);
}

// ---- many

static void *
one_of_many(void *arg)
{
  char room[4000];

  memset(room, (long)arg, sizeof(room));
  count++;
  wait_for(&phase, 1);
  return (void *)((long)arg + room[3999] - (char)(long)arg);
}

TEST(two_hundred_at_once)
{
  static pthread_t t[MANY];
  pthread_attr_t a;
  void *r;

  pthread_attr_init(&a);
  pthread_attr_setstacksize(&a, 64 << 10);
  for(long i = 0; i < MANY; i++)
    need(pthread_create(&t[i], &a, one_of_many, (void *)i) == 0);
  wait_for(&count, MANY);
  phase = 1;
  for(int i = 0; i < MANY; i++) {
    expect_eq(pthread_join(t[i], &r), 0);
    expect_eq((long)r, i);
  }
}

static void *
end_detached(void *arg)
{
  count++;
  return 0;
}

TEST(detached_threads_give_all_back)
{
  pthread_attr_t a;

  pthread_attr_init(&a);
  pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
  for(int i = 0; i < 1000; i++) {
    pthread_t t;

    need(pthread_create(&t, &a, end_detached, 0) == 0);
    if(i % 50 == 49)
      wait_for(&count, i + 1);
  }
  wait_for(&count, 1000);
}

static void *
fork_in_thread(void *arg)
{
  int status;
  pid_t pid = fork();

  if(pid == 0)
    _exit(own == 5 ? 7 : 8);
  waitpid(pid, &status, 0);
  return (void *)(long)WEXITSTATUS(status);
}

static _Atomic int before, in_parent;

static void
at_prepare(void)
{
  before++;
}

static void
at_parent(void)
{
  in_parent++;
}

TEST(fork_from_threads)
{
  pthread_t t[8];
  void *r;

  pthread_atfork(at_prepare, at_parent, 0);
  for(int i = 0; i < 8; i++)
    need(pthread_create(&t[i], 0, fork_in_thread, 0) == 0);
  for(int i = 0; i < 8; i++) {
    pthread_join(t[i], &r);
    expect_eq((long)r, 7);
  }
  expect_eq(before, 8);
  expect_eq(in_parent, 8);
}
