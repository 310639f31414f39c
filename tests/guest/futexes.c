// futexes.c -- the futex calls themselves, without a library in between: locks that name their owner, requeueing to
// them, robust lists, waiting at many words; and clone3's corners.
#include "t.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/prctl.h>

enum {
  FUTEX_WAKE = 1,
  FUTEX_WAIT = 0,
  FUTEX_LOCK_PI = 6,
  FUTEX_UNLOCK_PI = 7,
  FUTEX_TRYLOCK_PI = 8,
  FUTEX_WAIT_REQUEUE_PI = 11,
  FUTEX_CMP_REQUEUE_PI = 12,
  FUTEX_LOCK_PI2 = 13,
  FUTEX_PRIVATE_FLAG = 128,
  FUTEX_WAKE_PRIVATE = 129,
  FUTEX_CLOCK_REALTIME = 256,
};
#define FUTEX_WAITERS    0x80000000u
#define FUTEX_OWNER_DIED 0x40000000u
#define FUTEX_TID_MASK   0x3fffffffu
struct robust_list {
  struct robust_list *next;
};
struct robust_list_head {
  struct robust_list list;
  long futex_offset;
  struct robust_list *list_op_pending;
};
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
enum { WAITV_U32 = 2, WAITV_MAX = 128, LONG_AGO = 0, MS = 1000000 };

static long
futex(volatile void *addr, int op, uint32_t val, const void *t, volatile void *addr2, uint32_t val3)
{
  return syscall(SYS_futex, addr, op, val, t, addr2, val3);
}

static struct timespec
from_now(int clock, long ms)
{
  struct timespec t;

  clock_gettime(clock, &t);
  t.tv_nsec += ms * MS;
  t.tv_sec += t.tv_nsec / 1000000000;
  t.tv_nsec %= 1000000000;
  return t;
}

// Wait until `p` holds, for a while.
#define soon(p)                                                                                                        \
  ({                                                                                                                   \
    for(int i_ = 0; i_ < 5000 && !(p); i_++)                                                                           \
      usleep(1000);                                                                                                    \
    (p);                                                                                                               \
  })

// ---- locks that name their owner

// A word that may not be read has no name that is shared, even for who only wakes.
TEST(shared_wake_looks_at_the_page)
{
  int *word = mmap(0, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

  need(word != MAP_FAILED);
  expect_eq(futex(word, FUTEX_WAKE, 1, 0, 0, 0), 0);
  need(mprotect(word, 4096, PROT_NONE) == 0);
  expect_errno(futex(word, FUTEX_WAKE, 1, 0, 0, 0), EFAULT);
  expect_eq(futex(word, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0), 0); // the address is name enough
  need(munmap(word, 4096) == 0);
  expect_errno(futex(word, FUTEX_WAKE, 1, 0, 0, 0), EFAULT);
  expect_eq(futex(word, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0), 0);
}

TEST(pi_lock_of_a_free_word)
{
  volatile uint32_t word = 0;

  expect_eq(futex(&word, FUTEX_LOCK_PI, 0, 0, 0, 0), 0);
  expect_eq(word, gettid());
  expect_errno(futex(&word, FUTEX_LOCK_PI, 0, 0, 0, 0), EDEADLK);
  expect_errno(futex(&word, FUTEX_TRYLOCK_PI, 0, 0, 0, 0), EDEADLK);
  expect_eq(futex(&word, FUTEX_UNLOCK_PI, 0, 0, 0, 0), 0);
  expect_eq(word, 0);
  expect_errno(futex(&word, FUTEX_UNLOCK_PI, 0, 0, 0, 0), EPERM);
  expect_eq(futex(&word, FUTEX_TRYLOCK_PI | FUTEX_PRIVATE_FLAG, 0, 0, 0, 0), 0);
  expect_eq(word, gettid());
  expect_eq(futex(&word, FUTEX_UNLOCK_PI | FUTEX_PRIVATE_FLAG, 0, 0, 0, 0), 0);
  word = FUTEX_OWNER_DIED;
  expect_eq(futex(&word, FUTEX_LOCK_PI2, 0, 0, 0, 0), 0);
  expect_eq(word, FUTEX_OWNER_DIED | gettid()); // the next owner is told
}

TEST(pi_errors)
{
  static volatile uint32_t word;
  struct timespec bad = {0, 2000000000};
  int status;
  pid_t gone = fork();

  if(gone == 0)
    _exit(0);
  waitpid(gone, &status, 0);
  word = gone;
  expect_errno(futex(&word, FUTEX_LOCK_PI, 0, 0, 0, 0), ESRCH);
  expect_eq(word & FUTEX_TID_MASK, gone);
  word = gone;
  expect_errno(futex(&word, FUTEX_TRYLOCK_PI, 0, 0, 0, 0), ESRCH);
  expect_errno(futex((char *)&word + 1, FUTEX_LOCK_PI, 0, 0, 0, 0), EINVAL);
  expect_errno(futex((void *)0x1000, FUTEX_LOCK_PI, 0, 0, 0, 0), EFAULT);
  expect_errno(futex((void *)0x1000, FUTEX_UNLOCK_PI, 0, 0, 0, 0), EFAULT);
  word = 0;
  expect_errno(futex(&word, FUTEX_LOCK_PI, 0, &bad, 0, 0), EINVAL);
  expect_errno(futex(&word, FUTEX_LOCK_PI | FUTEX_CLOCK_REALTIME, 0, 0, 0, 0), ENOSYS);
  expect_errno(futex(&word, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 0, 0, 0, 0), ENOSYS);
  expect_errno(futex(&word, 77, 0, 0, 0, 0), ENOSYS);
}

TEST(pi_lock_on_read_only_memory)
{
  char *p = map(PAGE);

  mprotect(p, PAGE, PROT_READ);
  expect_errno(futex(p, FUTEX_LOCK_PI, 0, 0, 0, 0), EFAULT);
}

static volatile uint32_t lock1, lock2;
static _Atomic int tids[8], results[8], holds;

static void *
take_and_keep(void *arg)
{
  long i = (long)arg;

  tids[i] = gettid();
  results[i] = futex(&lock1, FUTEX_LOCK_PI, 0, 0, 0, 0) ? errno : -1;
  holds = i;
  if(results[i] == -1)
    while(holds == i)
      usleep(1000);
  futex(&lock1, FUTEX_UNLOCK_PI, 0, 0, 0, 0);
  return 0;
}

// Does that thread wait by now? lazy6 tells the state of the process only: there, time must do.
static bool
sleeps(int tid)
{
  char path[64], text[256] = "", *state;
  FILE *f;

  if(here())
    return usleep(100000) == 0;
  snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
  f = fopen(path, "r");
  if(!f || !fgets(text, sizeof(text), f))
    text[0] = 0;
  if(f)
    fclose(f);
  state = strrchr(text, ')');
  return state && state[2] == 'S';
}

TEST(pi_lock_goes_on_in_order)
{
  pthread_t t[3];

  holds = -1;
  need(futex(&lock1, FUTEX_LOCK_PI, 0, 0, 0, 0) == 0);
  for(long i = 0; i < 3; i++) {
    need(pthread_create(&t[i], 0, take_and_keep, (void *)i) == 0);
    need(soon(tids[i] && sleeps(tids[i])));
  }
  expect_eq(lock1, FUTEX_WAITERS | gettid());
  expect_errno(futex(&lock1, FUTEX_WAKE, 1, 0, 0, 0), EINVAL); // they want the lock, not a wake
  expect_eq(futex(&lock1, FUTEX_UNLOCK_PI, 0, 0, 0, 0), 0);
  for(int i = 0; i < 3; i++) {
    expect(soon(holds == i));
    expect_eq(results[i], -1);
    expect_eq(lock1 & FUTEX_TID_MASK, tids[i]);
    expect_errno(futex(&lock1, FUTEX_UNLOCK_PI, 0, 0, 0, 0), EPERM);
    expect_errno(futex(&lock1, FUTEX_TRYLOCK_PI, 0, 0, 0, 0), EAGAIN);
    holds = -1;
  }
  for(int i = 0; i < 3; i++)
    pthread_join(t[i], 0);
  expect_eq(lock1, 0);
}

TEST(pi_wait_ends_in_time)
{
  struct timespec past = {LONG_AGO, 1}, at;
  pthread_t t;

  holds = -1;
  need(pthread_create(&t, 0, take_and_keep, 0) == 0);
  need(soon(holds == 0));
  at = from_now(CLOCK_REALTIME, 30);
  expect_errno(futex(&lock1, FUTEX_LOCK_PI, 0, &at, 0, 0), ETIMEDOUT);
  expect_errno(futex(&lock1, FUTEX_LOCK_PI, 0, &past, 0, 0), ETIMEDOUT);
  at = from_now(CLOCK_MONOTONIC, 30);
  expect_errno(futex(&lock1, FUTEX_LOCK_PI2, 0, &at, 0, 0), ETIMEDOUT);
  at = from_now(CLOCK_REALTIME, 30);
  expect_errno(futex(&lock1, FUTEX_LOCK_PI2 | FUTEX_CLOCK_REALTIME, 0, &at, 0, 0), ETIMEDOUT);
  holds = -1;
  pthread_join(t, 0);
  at = from_now(CLOCK_REALTIME, 1000);
  expect_eq(futex(&lock1, FUTEX_LOCK_PI, 0, &at, 0, 0), 0);
}

static void *
lock_2_then_1(void *arg)
{
  need(futex(&lock2, FUTEX_LOCK_PI, 0, 0, 0, 0) == 0);
  tids[0] = gettid();
  results[0] = futex(&lock1, FUTEX_LOCK_PI, 0, 0, 0, 0) ? errno : -1;
  futex(&lock1, FUTEX_UNLOCK_PI, 0, 0, 0, 0);
  futex(&lock2, FUTEX_UNLOCK_PI, 0, 0, 0, 0);
  return 0;
}

TEST(pi_circle_is_refused)
{
  pthread_t t;

  need(futex(&lock1, FUTEX_LOCK_PI, 0, 0, 0, 0) == 0);
  need(pthread_create(&t, 0, lock_2_then_1, 0) == 0);
  need(soon(tids[0] && sleeps(tids[0])));
  expect_errno(futex(&lock2, FUTEX_LOCK_PI, 0, 0, 0, 0), EDEADLK);
  expect_eq(futex(&lock1, FUTEX_UNLOCK_PI, 0, 0, 0, 0), 0);
  pthread_join(t, 0);
  expect_eq(results[0], -1);
  expect_eq(lock1, 0);
  expect_eq(lock2, 0);
}

static void *
die_with_lock(void *arg)
{
  need(futex(&lock1, FUTEX_LOCK_PI, 0, 0, 0, 0) == 0);
  holds = 1;
  usleep(50000);
  return 0;
}

TEST(pi_owner_dies)
{
  pthread_t t;

  need(pthread_create(&t, 0, die_with_lock, 0) == 0);
  need(soon(holds == 1));
  expect_eq(futex(&lock1, FUTEX_LOCK_PI, 0, 0, 0, 0), 0);
  expect_eq(lock1 & ~FUTEX_WAITERS, FUTEX_OWNER_DIED | gettid());
  pthread_join(t, 0);
  expect_eq(futex(&lock1, FUTEX_UNLOCK_PI, 0, 0, 0, 0), 0);
  expect_eq(lock1, 0);
}

TEST(pi_word_spoilt_by_the_program)
{
  pthread_t t;

  holds = -1;
  need(futex(&lock1, FUTEX_LOCK_PI, 0, 0, 0, 0) == 0);
  need(pthread_create(&t, 0, take_and_keep, 0) == 0);
  need(soon(tids[0] && sleeps(tids[0])));
  lock1 = FUTEX_WAITERS | 1;
  expect_errno(futex(&lock1, FUTEX_LOCK_PI, 0, 0, 0, 0), EINVAL);
  expect_errno(futex(&lock1, FUTEX_UNLOCK_PI, 0, 0, 0, 0), EPERM);
  lock1 = FUTEX_WAITERS | gettid();
  expect_eq(futex(&lock1, FUTEX_UNLOCK_PI, 0, 0, 0, 0), 0);
  expect(soon(holds == 0));
  holds = -1;
  pthread_join(t, 0);
}

static void
on_signal(int sig)
{
}

static void *
signal_main(void *arg)
{
  for(int i = 0; i < 5; i++) {
    usleep(20000);
    syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1);
  }
  usleep(20000);
  futex(&lock1, FUTEX_UNLOCK_PI, 0, 0, 0, 0);
  return 0;
}

static void *
hold_and_signal(void *arg)
{
  need(futex(&lock1, FUTEX_LOCK_PI, 0, 0, 0, 0) == 0);
  holds = 1;
  return signal_main(arg);
}

TEST(pi_lock_is_not_interrupted)
{
  struct sigaction sa = {.sa_handler = on_signal}; // no SA_RESTART
  pthread_t t;

  sigaction(SIGUSR1, &sa, 0);
  need(pthread_create(&t, 0, hold_and_signal, 0) == 0);
  need(soon(holds == 1));
  expect_eq(futex(&lock1, FUTEX_LOCK_PI, 0, 0, 0, 0), 0);
  expect_eq(lock1 & FUTEX_TID_MASK, gettid());
  pthread_join(t, 0);
}

static long in_section;

static void *
fight(void *arg)
{
  volatile uint32_t *l = arg;

  for(int i = 0; i < 2000; i++) {
    uint32_t none = 0, me = gettid();

    if(!atomic_compare_exchange_strong((_Atomic uint32_t *)l, &none, me))
      need(futex(l, FUTEX_LOCK_PI, 0, 0, 0, 0) == 0);
    in_section++;
    if(i % 100 == 0)
      sched_yield();
    if(!atomic_compare_exchange_strong((_Atomic uint32_t *)l, &me, 0))
      need(futex(l, FUTEX_UNLOCK_PI, 0, 0, 0, 0) == 0);
  }
  return 0;
}

TEST(pi_lock_excludes)
{
  pthread_t t[6];

  for(int i = 0; i < 6; i++)
    need(pthread_create(&t[i], 0, fight, (void *)&lock1) == 0);
  for(int i = 0; i < 6; i++)
    pthread_join(t[i], 0);
  expect_eq(in_section, 6 * 2000);
  expect_eq(lock1, 0);
}

static void
fight_in_child(void *arg)
{
  fight(arg);
}

TEST(pi_lock_between_processes_in_a_mapped_file)
{
  char name[] = "/tmp/futexes-XXXXXX";
  int fd = mkstemp(name), status;
  volatile uint32_t *a, *b;
  pid_t pid;

  need(fd >= 0 && ftruncate(fd, PAGE) == 0);
  unlink(name);
  a = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  b = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0); // the same lock at another address
  need(a != MAP_FAILED && b != MAP_FAILED && a != b);
  pid = fork();
  if(pid == 0) {
    fight_in_child((void *)b);
    _exit(t_failures != 0);
  }
  fight((void *)a);
  waitpid(pid, &status, 0);
  expect_eq(status, 0);
  expect_eq(*a, 0);
}

// ---- requeueing to such a lock

static volatile uint32_t cond;

static void *
wait_requeue(void *arg)
{
  long i = (long)arg;
  struct timespec at = from_now(CLOCK_MONOTONIC, 10000);

  tids[i] = gettid();
  results[i] = futex(&cond, FUTEX_WAIT_REQUEUE_PI, 0, &at, &lock1, 0) ? errno : -1;
  if(results[i] == -1) {
    expect_eq(lock1 & FUTEX_TID_MASK, gettid());
    holds++;
    expect_eq(futex(&lock1, FUTEX_UNLOCK_PI, 0, 0, 0, 0), 0);
  }
  return 0;
}

static void
start_requeuers(pthread_t *t, int n)
{
  holds = 0;
  for(long i = 0; i < n; i++) {
    need(pthread_create(&t[i], 0, wait_requeue, (void *)i) == 0);
    need(soon(tids[i] && sleeps(tids[i])));
  }
}

TEST(requeue_pi_to_a_free_lock)
{
  pthread_t t[3];

  start_requeuers(t, 3);
  expect_errno(futex(&cond, FUTEX_WAKE, 1, 0, 0, 0), EINVAL);
  expect_errno(futex(&cond, FUTEX_CMP_REQUEUE_PI, 2, (void *)1, &lock1, 0), EINVAL);
  expect_errno(futex(&cond, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &cond, 0), EINVAL);
  expect_errno(futex(&cond, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &lock2, 0), EINVAL); // not the lock they named
  expect_errno(futex(&cond, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &lock1, 5), EAGAIN);
  expect_eq(futex(&cond, FUTEX_CMP_REQUEUE_PI, 1, (void *)10, &lock1, 0), 3);
  for(int i = 0; i < 3; i++) {
    pthread_join(t[i], 0);
    expect_eq(results[i], -1);
  }
  expect_eq(holds, 3);
  expect_eq(lock1 & FUTEX_TID_MASK, 0);
}

TEST(requeue_pi_to_a_held_lock)
{
  pthread_t t[3];

  need(futex(&lock1, FUTEX_LOCK_PI, 0, 0, 0, 0) == 0);
  start_requeuers(t, 3);
  expect_eq(futex(&cond, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &lock1, 0), 2);
  usleep(30000);
  expect_eq(holds, 0);
  expect_eq(lock1, FUTEX_WAITERS | gettid());
  expect_eq(futex(&cond, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &lock1, 0), 1);
  expect_eq(futex(&lock1, FUTEX_UNLOCK_PI, 0, 0, 0, 0), 0);
  for(int i = 0; i < 3; i++)
    pthread_join(t[i], 0);
  expect_eq(holds, 3);
}

TEST(requeue_pi_waiter_times_out)
{
  struct timespec at = from_now(CLOCK_MONOTONIC, 30);

  expect_errno(futex(&cond, FUTEX_WAIT_REQUEUE_PI, 0, &at, &lock1, 0), ETIMEDOUT);
  expect_errno(futex(&cond, FUTEX_WAIT_REQUEUE_PI, 1, &at, &lock1, 0), EAGAIN);
  expect_errno(futex(&cond, FUTEX_WAIT_REQUEUE_PI, 0, &at, &cond, 0), EINVAL);
  expect_eq(futex(&cond, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &lock1, 0), 0); // nobody is left
}

// ---- robust lists

struct entry {
  struct robust_list list;
  volatile uint32_t word;
};

static struct {
  struct robust_list_head head;
  struct entry e[3];
} * robust; // shared memory

static void
list_and_die(void *arg)
{
  struct robust_list_head *h = &robust->head;

  h->futex_offset = offsetof(struct entry, word);
  h->list.next = &robust->e[0].list;
  robust->e[0].list.next = (void *)((uintptr_t)&robust->e[1].list | 1); // the second is one that names its owner
  robust->e[1].list.next = arg ? &robust->e[0].list : &h->list;         // a circle, or not
  h->list_op_pending = &robust->e[2].list;
  for(int i = 0; i < 3; i++)
    robust->e[i].word = gettid() | FUTEX_WAITERS;
  need(syscall(SYS_set_robust_list, h, sizeof(*h)) == 0);
  _exit(0);
}

static void
check_robust(bool circle)
{
  robust = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  expect_eq(in_child(list_and_die, circle ? robust : 0), 0);
  for(int i = 0; i < 3; i++)
    expect_eq(robust->e[i].word, FUTEX_OWNER_DIED | FUTEX_WAITERS);
}

TEST(robust_list_is_walked)
{
  check_robust(false);
}

TEST(robust_list_may_be_a_circle)
{
  check_robust(true);
}

TEST(robust_list_calls)
{
  struct robust_list_head h = {.list.next = &h.list}, *back;
  size_t n = 0;

  expect_errno(syscall(SYS_set_robust_list, &h, sizeof(h) - 1), EINVAL);
  expect_eq(syscall(SYS_set_robust_list, &h, sizeof(h)), 0);
  expect_eq(syscall(SYS_get_robust_list, 0, &back, &n), 0);
  expect(back == &h && n == sizeof(h));
  expect_errno(syscall(SYS_get_robust_list, 999999, &back, &n), ESRCH);
  expect_errno(syscall(SYS_get_robust_list, 0, 8, &n), EFAULT);
}

static void *
wait_robust(void *arg)
{
  uint32_t v;

  while(!((v = robust->e[0].word) & FUTEX_OWNER_DIED))
    futex(&robust->e[0].word, FUTEX_WAIT, v, 0, 0, 0);
  return 0;
}

static void
hold_then_die(void *arg)
{
  robust->head.futex_offset = offsetof(struct entry, word);
  robust->head.list.next = &robust->e[0].list;
  robust->e[0].list.next = &robust->head.list;
  robust->head.list_op_pending = 0;
  need(syscall(SYS_set_robust_list, &robust->head, sizeof(robust->head)) == 0);
  robust->e[0].word = gettid() | FUTEX_WAITERS;
  usleep(50000);
  raise(SIGKILL);
}

TEST(robust_death_wakes_through_a_mapped_file)
{
  char name[] = "/tmp/futexes-XXXXXX";
  int fd = mkstemp(name);
  pthread_t t;

  need(fd >= 0 && ftruncate(fd, PAGE) == 0);
  unlink(name);
  robust = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  need(robust != MAP_FAILED);
  need(pthread_create(&t, 0, wait_robust, 0) == 0);
  expect_eq(in_child(hold_then_die, 0), SIGKILL);
  pthread_join(t, 0); // or the time limit
}

// ---- many words

struct waitv {
  uint64_t val, addr;
  uint32_t flags, reserved;
};

static long
waitv(struct waitv *w, unsigned n, unsigned flags, const struct timespec *t, int clock)
{
  return syscall(SYS_futex_waitv, w, n, flags, t, clock);
}

static bool
has_waitv(void)
{
  return !(waitv(0, 0, 0, 0, 0) == -1 && errno == ENOSYS);
}

static volatile uint32_t words[WAITV_MAX + 1];

static struct waitv *
all_words(void)
{
  static struct waitv w[WAITV_MAX + 1];

  for(int i = 0; i <= WAITV_MAX; i++) {
    words[i] = i;
    w[i] = (struct waitv){i, (uintptr_t)&words[i], WAITV_U32 | FUTEX_PRIVATE_FLAG, 0};
  }
  return w;
}

TEST(waitv_errors)
{
  struct timespec at, bad = {0, -1};
  struct waitv *w = all_words();

  if(!has_waitv())
    skip("no futex_waitv");
  expect_errno(waitv(w, 0, 0, 0, 0), EINVAL);
  expect_errno(waitv(w, WAITV_MAX + 1, 0, 0, 0), EINVAL);
  expect_errno(waitv(w, 1, 1, 0, 0), EINVAL);
  expect_errno(waitv(0, 1, 0, 0, 0), EINVAL);
  expect_errno(waitv((void *)0x1000, 1, 0, 0, 0), EFAULT);
  expect_errno(waitv(w, 1, 0, &bad, CLOCK_MONOTONIC), EINVAL);
  at = from_now(CLOCK_MONOTONIC, 20);
  expect_errno(waitv(w, 1, 0, &at, CLOCK_BOOTTIME), EINVAL);
  expect_errno(waitv(w, WAITV_MAX, 0, &at, CLOCK_MONOTONIC), ETIMEDOUT);
  at = from_now(CLOCK_REALTIME, 20);
  expect_errno(waitv(w, 2, 0, &at, CLOCK_REALTIME), ETIMEDOUT);
  w[1].val = 77;
  expect_errno(waitv(w, 3, 0, 0, 0), EAGAIN);
  w = all_words();
  w[1].reserved = 1;
  expect_errno(waitv(w, 3, 0, 0, 0), EINVAL);
  w = all_words();
  w[2].flags = FUTEX_PRIVATE_FLAG;
  expect_errno(waitv(w, 3, 0, 0, 0), EINVAL);
  w = all_words();
  w[2].addr = 0x1000;
  expect_errno(waitv(w, 3, 0, 0, 0), EFAULT);
  w[2].addr = (uintptr_t)&words[2] + 2;
  expect_errno(waitv(w, 3, 0, 0, 0), EINVAL);
}

static void *
wait_many(void *arg)
{
  tids[0] = gettid();
  results[0] = waitv(all_words(), WAITV_MAX, 0, 0, 0);
  return 0;
}

TEST(waitv_is_woken_by_any)
{
  if(!has_waitv())
    skip("no futex_waitv");
  for(int i = 0; i < WAITV_MAX; i += 9) {
    pthread_t t;

    tids[0] = 0;
    need(pthread_create(&t, 0, wait_many, 0) == 0);
    need(soon(tids[0] && sleeps(tids[0])));
    expect_eq(futex(&words[i], FUTEX_WAKE_PRIVATE, 1, 0, 0, 0), 1);
    pthread_join(t, 0);
    expect_eq(results[0], i);
    for(int k = 0; k < WAITV_MAX; k++)
      expect_eq(futex(&words[k], FUTEX_WAKE_PRIVATE, 1, 0, 0, 0), 0); // it left every queue
  }
}

static _Atomic bool stop;

static void *
wake_often(void *arg)
{
  while(!stop)
    for(int i = 0; i < 8; i++)
      futex(&words[i], FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
  return 0;
}

TEST(waitv_against_wakes)
{
  struct waitv *w = all_words();
  pthread_t t[2];

  if(!has_waitv())
    skip("no futex_waitv");
  for(int i = 0; i < 2; i++)
    need(pthread_create(&t[i], 0, wake_often, 0) == 0);
  for(int i = 0; i < 300; i++) {
    long r = waitv(w, 8, 0, 0, 0);

    expect(r >= 0 && r < 8);
  }
  stop = true;
  for(int i = 0; i < 2; i++)
    pthread_join(t[i], 0);
}

// ---- clone3

struct clone3 {
  uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};

static long
clone3(struct clone3 c, size_t size)
{
  return syscall(SYS_clone3, &c, size);
}

TEST(clone3_refuses)
{
  enum { VER0 = 64, VER1 = 80 };
  char *stack = map(4 * PAGE);
  int tid = getpid();

  expect_errno(clone3((struct clone3){.exit_signal = SIGCHLD}, VER0 - 8), EINVAL);
  expect_errno(syscall(SYS_clone3, 0, VER0), EFAULT);
  expect_errno(syscall(SYS_clone3, map(2 * PAGE), PAGE + 8), E2BIG);
  expect_errno(clone3((struct clone3){.exit_signal = 65}, VER0), EINVAL);
  expect_errno(clone3((struct clone3){.exit_signal = 0x100 | SIGCHLD}, VER0), EINVAL);
  expect_errno(clone3((struct clone3){.flags = SIGCHLD}, VER0), EINVAL);
  expect_errno(clone3((struct clone3){.flags = CLONE_DETACHED}, VER0), EINVAL);
  expect_errno(clone3((struct clone3){.flags = 1ull << 40}, VER0), EINVAL);
  expect_errno(clone3((struct clone3){.flags = CLONE_SIGHAND}, VER0), EINVAL);
  expect_errno(clone3((struct clone3){.flags = CLONE_THREAD | CLONE_VM}, VER0), EINVAL);
  expect_errno(clone3((struct clone3){.flags = CLONE_THREAD | CLONE_VM | CLONE_SIGHAND,
                                      .exit_signal = SIGCHLD,
                                      .stack = (uintptr_t)stack,
                                      .stack_size = PAGE},
                      VER0),
               EINVAL);
  expect_errno(clone3((struct clone3){.flags = CLONE_PARENT, .exit_signal = SIGCHLD}, VER0), EINVAL);
  expect_errno(clone3((struct clone3){.flags = CLONE_SIGHAND | CLONE_VM | 0x100000000ull}, VER0), EINVAL);
  expect_errno(clone3((struct clone3){.stack = (uintptr_t)stack}, VER0), EINVAL);
  expect_errno(clone3((struct clone3){.stack_size = PAGE}, VER0), EINVAL);
  expect_errno(clone3((struct clone3){.stack = ~0ull - PAGE, .stack_size = PAGE}, VER0), EINVAL);
  expect_errno(clone3((struct clone3){.set_tid = (uintptr_t)&tid}, VER1), EINVAL);
  expect_errno(clone3((struct clone3){.set_tid_size = 1}, VER1), EINVAL);
  expect_errno(clone3((struct clone3){.set_tid = (uintptr_t)&tid, .set_tid_size = 33}, VER1), EINVAL);
}

TEST(clone3_longer_structure_of_zeros)
{
  struct {
    struct clone3 c;
    char more[64];
  } big = {.c = {.exit_signal = SIGCHLD}};
  int status;
  pid_t pid = syscall(SYS_clone3, &big, sizeof(big));

  if(pid == 0)
    _exit(3);
  need(pid > 0);
  waitpid(pid, &status, 0);
  expect(WIFEXITED(status) && WEXITSTATUS(status) == 3);
  big.more[63] = 1;
  expect_errno(syscall(SYS_clone3, &big, sizeof(big)), E2BIG);
}

TEST(clone3_chosen_number)
{
  int want, status, none = 0;
  struct clone3 c = {.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&want, .set_tid_size = 1};
  pid_t pid = fork();

  if(geteuid() != 0)
    skip("not root");
  if(pid == 0)
    _exit(0);
  waitpid(pid, &status, 0);
  want = pid; // was free a moment ago
  pid = clone3(c, sizeof(c));
  if(pid == 0)
    _exit(getpid() == want ? 4 : 5);
  if(pid < 0 && errno == EEXIST)
    skip("somebody else took the number");
  if(pid < 0 && errno == EPERM)
    skip("root without the capability");
  expect_eq(pid, want);
  waitpid(pid, &status, 0);
  expect(WIFEXITED(status) && WEXITSTATUS(status) == 4);
  want = getpid();
  expect_errno(clone3(c, sizeof(c)), EEXIST);
  want = 0x7fffffff;
  expect_errno(clone3(c, sizeof(c)), EINVAL);
  c.set_tid = (uintptr_t)&none;
  expect_errno(clone3(c, sizeof(c)), EINVAL);
}

TEST(clone3_clear_sighand)
{
  struct clone3 c = {.flags = 0x100000000ull, .exit_signal = SIGCHLD};
  struct sigaction now;
  int status;
  pid_t pid;

  signal(SIGUSR1, on_signal);
  signal(SIGUSR2, SIG_IGN);
  pid = clone3(c, sizeof(c));
  if(pid == 0) {
    sigaction(SIGUSR1, 0, &now);
    if(now.sa_handler != SIG_DFL)
      _exit(1);
    sigaction(SIGUSR2, 0, &now);
    _exit(now.sa_handler == SIG_IGN ? 0 : 2);
  }
  need(pid > 0);
  waitpid(pid, &status, 0);
  expect_eq(status, 0);
}
