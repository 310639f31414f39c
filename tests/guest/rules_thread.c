// rules_thread.c -- several threads in one address space: rules W01 to W09, S15.
#include "rules.h"
#include <pthread.h>

enum { N = 4, FUTEX_WAIT = 0, FUTEX_WAKE = 1 };

static pthread_barrier_t barrier;
static char *volatile place;
static volatile bool stop;

static void *
add_to_all(void *arg)
{
  enum { ROUNDS = 300, PAGES = 8 };

  for(int r = 0; r < ROUNDS; r++) {
    pthread_barrier_wait(&barrier);
    for(int i = 0; i < PAGES; i++)
      __atomic_fetch_add((long *)(place + i * PAGE), 1 + (long)arg, __ATOMIC_RELAXED);
    pthread_barrier_wait(&barrier);
    if(arg == 0) {
      for(int i = 0; i < PAGES; i++)
        expect_eq(*(long *)(place + i * PAGE), N + N * (N - 1) / 2);
      munmap(place, PAGES * PAGE);
      place = r % 2 ? map(PAGES * PAGE) : map_shared(PAGES * PAGE);
    }
  }
  return 0;
}

TEST_TIMED(threads_fault_one_page_at_once, 120) // W01
{
  pthread_t t[N];

  place = map(8 * PAGE);
  need(pthread_barrier_init(&barrier, 0, N) == 0);
  for(long i = 0; i < N; i++)
    need(pthread_create(&t[i], 0, add_to_all, (void *)i) == 0);
  for(int i = 0; i < N; i++)
    pthread_join(t[i], 0);
}

static void *
add_to_cow(void *arg)
{
  pthread_barrier_wait(&barrier);
  for(int i = 0; i < 64; i++)
    __atomic_fetch_add((long *)(place + i * PAGE), 1, __ATOMIC_RELAXED);
  return 0;
}

TEST_TIMED(threads_copy_one_page_at_once, 120) // W01, K01
{
  for(int r = 0; r < 20; r++) {
    pthread_t t[N];
    int fd[2], status;
    char c;
    pid_t pid;

    place = map(64 * PAGE);
    for(int i = 0; i < 64; i++)
      *(long *)(place + i * PAGE) = 1000;
    need(pipe(fd) == 0);
    pid = fork();
    if(pid == 0) {
      close(fd[1]);
      need(read(fd[0], &c, 1) == 0);
      for(int i = 0; i < 64; i++)
        expect_eq(*(long *)(place + i * PAGE), 1000);
      _exit(t_failures != 0);
    }
    need(pthread_barrier_init(&barrier, 0, N) == 0);
    for(long i = 0; i < N; i++)
      need(pthread_create(&t[i], 0, add_to_cow, 0) == 0);
    for(int i = 0; i < N; i++)
      pthread_join(t[i], 0);
    for(int i = 0; i < 64; i++)
      expect_eq(*(long *)(place + i * PAGE), 1000 + N);
    close(fd[0]);
    close(fd[1]);
    waitpid(pid, &status, 0);
    expect_eq(status, 0);
    munmap(place, 64 * PAGE);
  }
}

// ---- readers against a changer: what a page shows is its letter, zero, or a signal

static __thread sigjmp_buf race_back;
static int the_file = -1;

static void
race_jump(int sig)
{
  siglongjmp(race_back, 1);
}

static void *
look_around(void *arg)
{
  volatile long wrong = 0;

  while(!stop) {
    if(sigsetjmp(race_back, 1))
      continue;
    for(int i = 0; i < 16 && !stop; i++) {
      char c = *(volatile char *)(place + i * PAGE + 100);

      if(c != 0 && c != 'a' + i)
        wrong++;
      *(volatile char *)(place + i * PAGE + 200 + (long)arg) = 0;
    }
  }
  return (void *)wrong;
}

static void
fill(char *p)
{
  for(int i = 0; i < 16; i++)
    memset(p + i * PAGE, 'a' + i, PAGE / 4);
}

static void
change_munmap(void)
{
  static char *spare;
  char *p = place;

  munmap(p + 4 * PAGE, 8 * PAGE);
  spare = spare ? spare : map(64 * PAGE);
  memset(spare, '#', 16 * PAGE); // frames that came free get other contents
  madvise(spare, 64 * PAGE, MADV_DONTNEED);
  need(raw_mmap(p + 4 * PAGE, 8 * PAGE, RW, ANON | MAP_FIXED, -1, 0) == p + 4 * PAGE);
  for(int i = 4; i < 12; i++)
    memset(p + i * PAGE, 'a' + i, PAGE / 4);
}

static void
change_mprotect(void)
{
  mprotect(place + 2 * PAGE, 6 * PAGE, PROT_NONE);
  mprotect(place + 4 * PAGE, 2 * PAGE, PROT_READ);
  mprotect(place, 16 * PAGE, RW);
}

static void
change_mremap(void)
{
  static char *other;

  if(other == 0) {
    other = map_prot(16 * PAGE, PROT_NONE);
    munmap(other, 16 * PAGE);
  }
  need(mremap(place + 4 * PAGE, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, other) == other);
  need(mremap(other, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place + 4 * PAGE) == place + 4 * PAGE);
}

static void
change_truncate(void)
{
  need(ftruncate(the_file, 5 * PAGE) == 0 && ftruncate(the_file, 16 * PAGE) == 0);
}

static void
change_punch(void)
{
  need(fallocate(the_file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 3 * PAGE, 6 * PAGE) == 0);
}

static void
change_fork(void)
{
  pid_t pid = fork();
  int status;

  if(pid == 0) {
    for(int i = 0; i < 16; i++)
      if(place[i * PAGE + 100] != 0 && place[i * PAGE + 100] != 'a' + i)
        _exit(1);
    memset(place, '#', 16 * PAGE);
    _exit(0);
  }
  need(waitpid(pid, &status, 0) == pid);
  expect_eq(status, 0);
}

static void
change_dontneed(void)
{
  madvise(place + 3 * PAGE, 9 * PAGE, MADV_DONTNEED);
  for(int i = 3; i < 12; i++)
    memset(place + i * PAGE, 'a' + i, PAGE / 4);
}

static void
race(void (*change)(void), int rounds)
{
  struct sigaction sa = {.sa_handler = race_jump, .sa_flags = SA_NODEFER};
  pthread_t t[3];
  void *wrong;

  sigaction(SIGSEGV, &sa, 0);
  sigaction(SIGBUS, &sa, 0);
  fill(place);
  for(long i = 0; i < 3; i++)
    need(pthread_create(&t[i], 0, look_around, (void *)i) == 0);
  for(int r = 0; r < rounds; r++)
    change();
  stop = true;
  for(int i = 0; i < 3; i++) {
    pthread_join(t[i], &wrong);
    expect_eq((long)wrong, 0);
  }
}

static void
on_file(int flags)
{
  the_file = temp_pages(16);
  place = file_at(the_file, 16 * PAGE, RW, flags);
}

TEST_TIMED(fault_against_munmap, 120) // W03, U12
{
  place = map(16 * PAGE);
  race(change_munmap, 300);
}

TEST_TIMED(fault_against_mprotect, 120) // W03
{
  place = map(16 * PAGE);
  race(change_mprotect, 400);
  for(int i = 0; i < 16; i++)
    expect_eq(place[i * PAGE + 100], 'a' + i); // nothing is lost
}

TEST_TIMED(fault_against_mremap, 120) // W03
{
  place = map(16 * PAGE);
  race(change_mremap, 300);
  for(int i = 0; i < 16; i++)
    expect_eq(place[i * PAGE + 100], 'a' + i);
}

TEST_TIMED(fault_against_truncate, 120) // W03, T10
{
  on_file(MAP_SHARED);
  race(change_truncate, 300);
}

TEST_TIMED(private_fault_against_truncate, 120) // W03, T10
{
  on_file(MAP_PRIVATE);
  race(change_truncate, 300);
}

TEST_TIMED(fault_against_punching, 120) // W03, T04
{
  on_file(MAP_SHARED);
  race(change_punch, 300);
}

TEST_TIMED(fault_against_fork, 120) // W03, K10
{
  place = map(16 * PAGE);
  race(change_fork, 100);
}

TEST_TIMED(fault_against_dontneed, 120) // W03, A23
{
  place = map(16 * PAGE);
  race(change_dontneed, 300);
}

static volatile int ended;

static void *
end_at_once(void *arg)
{
  volatile char deep[2 * PAGE];

  deep[0] = deep[sizeof(deep) - 1] = 1;
  __atomic_fetch_add(&ended, 1, __ATOMIC_RELAXED);
  return 0;
}

TEST_TIMED(threads_unmap_their_own_stacks, 120) // W08, Z07
{
  enum { MANY = 500 };
  pthread_attr_t attr;
  pthread_t t;

  pthread_attr_init(&attr);
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  for(int i = 0; i < MANY; i++) {
    need(pthread_create(&t, &attr, end_at_once, 0) == 0);
    while(ended < i - 20)
      sched_yield();
  }
  while(ended < MANY)
    sched_yield();
}

static void
populate_for_ever(void *arg)
{
  for(;;) {
    char *p = mmap(0, 256ul << 30, PROT_READ, ANON | MAP_NORESERVE | MAP_POPULATE, -1, 0); // pages of zeros: no frames

    if(p != MAP_FAILED)
      munmap(p, 256ul << 30);
  }
}

TEST(kill_ends_a_long_populate) // W09
{
  long start;
  int status;
  pid_t pid = fork();

  if(pid == 0)
    populate_for_ever(0);
  usleep(100000);
  start = milliseconds();
  kill(pid, SIGKILL);
  need(waitpid(pid, &status, 0) == pid);
  expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  expect(milliseconds() - start < 10000);
}

static long
futex(volatile int *p, int op, int value)
{
  struct timespec long_ = {20, 0};

  return syscall(SYS_futex, p, op, value, op == FUTEX_WAIT ? &long_ : 0, 0, 0);
}

// Wait in a child at `there`, wake from here at `at`: the same word under two addresses.
static void
futex_between(volatile int *at, volatile int *there)
{
  int status;
  pid_t pid = fork();

  if(pid == 0) {
    while(*there == 0)
      if(futex(there, FUTEX_WAIT, 0) < 0 && errno == ETIMEDOUT)
        _exit(1);
    _exit(0);
  }
  usleep(50000);
  *at = 1;
  for(int i = 0; i < 100 && futex(at, FUTEX_WAKE, 1) != 1 && waitpid(pid, &status, WNOHANG) == 0; i++)
    usleep(10000);
  if(waitpid(pid, &status, 0) == pid)
    expect_eq(status, 0);
}

TEST(futex_between_processes) // S15
{
  int fd = temp_pages(2);
  char *a = map_shared(PAGE), *p, *q;

  memset(a, 0, PAGE);
  futex_between((int *)a, (int *)a);
  need(pwrite(fd, a, PAGE, PAGE) == PAGE && ftruncate(fd, PAGE) == 0 && ftruncate(fd, 2 * PAGE) == 0);
  p = file_at(fd, 2 * PAGE, RW, MAP_SHARED);
  q = mmap(0, PAGE, RW, MAP_SHARED, fd, PAGE);
  need(q != MAP_FAILED);
  futex_between((int *)(p + PAGE + 64), (int *)(q + 64));
}
