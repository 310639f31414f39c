// rules_fork.c -- fork, vfork and clone: rules K01 to K15.
#include "rules.h"
#include <pthread.h>

static void
child_changes(void *arg)
{
  char *p = arg;

  expect_eq(differing(p, 4 * PAGE, 'p'), 0);
  memset(p, 'c', 2 * PAGE);
  expect_eq(differing(p, 2 * PAGE, 'c'), 0);
  expect_eq(differing(p + 2 * PAGE, 2 * PAGE, 'p'), 0);
}

TEST(child_stores_stay_with_the_child) // K01
{
  char *p = map(4 * PAGE);

  memset(p, 'p', 4 * PAGE);
  for(int i = 0; i < 10; i++) {
    expect_eq(in_child(child_changes, p), 0);
    expect_eq(differing(p, 4 * PAGE, 'p'), 0);
  }
}

TEST(parent_stores_stay_with_the_parent) // K01
{
  char *p = map(4 * PAGE), c;
  int fd[2], status;
  pid_t pid;

  memset(p, 'p', 4 * PAGE);
  need(pipe(fd) == 0);
  pid = fork();
  if(pid == 0) {
    need(read(fd[0], &c, 1) == 1);
    _exit(differing(p, 4 * PAGE, 'p') != 0);
  }
  memset(p, 'q', 4 * PAGE);
  need(write(fd[1], "x", 1) == 1);
  need(waitpid(pid, &status, 0) == pid);
  expect_eq(status, 0);
}

static void
child_stores_shared(void *arg)
{
  char **p = arg;

  p[0][0] = p[1][0] = 'c';
}

TEST(shared_memory_stays_shared) // K02
{
  int fd = temp_pages(1);
  char *p[2] = {map_shared(PAGE), file_at(fd, PAGE, RW, MAP_SHARED)};

  p[0][0] = p[1][0] = 'p';
  expect_eq(in_child(child_stores_shared, p), 0);
  expect(p[0][0] == 'c' && p[1][0] == 'c' && file_byte(fd, 0) == 'c');
}

static void
child_reads_zero(void *arg)
{
  expect_eq(differing(arg, 8 * PAGE, 0), 0);
  memset(arg, 'c', 4 * PAGE);
}

TEST(untouched_pages_are_zero_in_both) // K04
{
  char *p = map(8 * PAGE);

  expect_eq(in_child(child_reads_zero, p), 0);
  expect_eq(differing(p, 8 * PAGE, 0), 0);
}

static int the_file;

static void
child_unmaps(void *arg)
{
  need(munmap(arg, 4 * PAGE) == 0);
  close(the_file);
}

TEST(munmap_in_the_child_is_its_own) // K05
{
  char *p, *a = map(4 * PAGE);

  the_file = temp_pages(4);
  p = file_at(the_file, 4 * PAGE, RW, MAP_SHARED);
  memset(a, 'a', 4 * PAGE);
  expect_eq(in_child(child_unmaps, p), 0);
  expect_eq(in_child(child_unmaps, a), 0);
  expect(p[PAGE] == 'b' && file_byte(the_file, 0) == 'a');
  expect_eq(differing(a, 4 * PAGE, 'a'), 0);
}

// Each generation changes a page of its own and forks the next: all see what was before.
static int
generation(char *p, int i, int n)
{
  int status = 0;
  pid_t pid;

  if(i == n)
    return 0;
  p[i * PAGE] = 'A' + i;
  pid = fork();
  if(pid < 0)
    return 1;
  if(pid == 0)
    _exit(generation(p, i + 1, n));
  if(waitpid(pid, &status, 0) != pid || status != 0)
    return 1;
  for(int k = 0; k < n; k++)
    if(p[k * PAGE] != (k <= i ? 'A' + k : 'o'))
      return 1;
  p[i * PAGE] = 'o';
  return differing(p + i * PAGE, (n - i) * PAGE, 'o') != 0;
}

TEST(chains_of_forks) // K09
{
  char *p = map(20 * PAGE);

  memset(p, 'o', 20 * PAGE);
  expect_eq(generation(p, 0, 20), 0);
  expect_eq(differing(p, 20 * PAGE, 'o'), 0);
}

TEST(many_children_at_once) // K01, K09
{
  enum { N = 40 };
  char *p = map(8 * PAGE);
  pid_t pid[N];
  int status;

  memset(p, 'o', 8 * PAGE);
  for(int i = 0; i < N; i++) {
    pid[i] = fork();
    need(pid[i] >= 0);
    if(pid[i] == 0) {
      memset(p + i % 8 * PAGE, 'c', PAGE);
      usleep(1000 * (i % 7));
      for(int k = 0; k < 8; k++)
        expect_eq(differing(p + k * PAGE, PAGE, k == i % 8 ? 'c' : 'o'), 0);
      _exit(t_failures != 0);
    }
  }
  for(int i = 0; i < N; i++) {
    need(waitpid(pid[i], &status, 0) == pid[i]);
    expect_eq(status, 0);
  }
  expect_eq(differing(p, 8 * PAGE, 'o'), 0);
}

// ---- fork while others store

struct pair { // a is stored first, on another page than b: in any one moment a - b is 0 or 1
  volatile long a;
  char gap[PAGE - sizeof(long)];
  volatile long b;
};

enum { A_WHILE = 4096 };
static struct pair *pairs;
static volatile bool stop;

static void *
count_pair(void *arg)
{
  struct pair *p = arg;

  for(long n = 1; !stop; n++) {
    p->a = n;
    p->b = n;
    if(n % A_WHILE == 0)
      sched_yield(); // with one CPU the others would wait for the end of our time slice
  }
  return 0;
}

TEST_TIMED(fork_sees_one_moment, 120) // K10
{
  enum { N = 3, ROUNDS = 100 };
  pthread_t t[N];

  pairs = (struct pair *)map(N * 2 * PAGE);
  for(int i = 0; i < N; i++)
    need(pthread_create(&t[i], 0, count_pair, &pairs[i]) == 0);
  for(int r = 0; r < ROUNDS; r++) {
    int status;
    pid_t pid = fork();

    need(pid >= 0);
    if(pid == 0) {
      long a[N], b[N];

      for(int i = 0; i < N; i++) {
        a[i] = pairs[i].a;
        b[i] = pairs[i].b;
        if(a[i] - b[i] < 0 || a[i] - b[i] > 1)
          t_fail(__FILE__, __LINE__, "round %d: a %ld, b %ld", r, a[i], b[i]);
      }
      for(int k = 0; k < 20; k++) {
        sched_yield();
        for(int i = 0; i < N; i++)
          if(pairs[i].a != a[i] || pairs[i].b != b[i]) { // a stale writable translation of the parent
            t_fail(__FILE__, __LINE__, "round %d: the child's memory changes under it", r);
            _exit(1);
          }
      }
      _exit(t_failures != 0);
    }
    need(waitpid(pid, &status, 0) == pid);
    expect_eq(status, 0);
  }
  stop = true;
  for(int i = 0; i < N; i++)
    pthread_join(t[i], 0);
}

TEST(vfork_shares_mappings) // K11
{
  static char *volatile made;
  int status;
  pid_t pid = vfork();

  if(pid == 0) {
    made = mmap(0, PAGE, RW, ANON, -1, 0);
    if(made != MAP_FAILED)
      made[0] = 'v';
    _exit(0);
  }
  need(waitpid(pid, &status, 0) == pid);
  need(made && made != MAP_FAILED);
  expect_eq(made[0], 'v');
}

static char *volatile clone_made;

static int
clone_body(void *arg)
{
  clone_made = mmap(0, 2 * PAGE, RW, ANON, -1, 0);
  clone_made[PAGE] = 'v';
  munmap(arg, PAGE);
  return 7;
}

TEST(clone_vm_shares_mappings) // K11
{
  char *stack = map(16 * PAGE), *p = map(PAGE);
  int status;
  pid_t pid = clone(clone_body, stack + 16 * PAGE, CLONE_VM | SIGCHLD, p);

  need(pid > 0 && waitpid(pid, &status, 0) == pid);
  expect(WIFEXITED(status) && WEXITSTATUS(status) == 7);
  expect_eq(clone_made[PAGE], 'v');
  expect_touch(LOAD, p, SIGSEGV);
}

static void
nothing(void *arg)
{
}

// Children whose slot trees are large, until memory is out.
TEST_TIMED(fork_without_memory, 240) // K13
{
  enum { STRETCHES = 3000, MOST = 2000 };
  static pid_t pid[MOST];
  char *p = map_prot((size_t)STRETCHES << 21, RW);
  long before = free_frames();
  int n = 0, err;

  only_here(); // and would take Linux's whole memory
  for(size_t i = 0; i < STRETCHES; i++)
    p[i << 21] = i;
  while(n < MOST && (pid[n] = fork()) > 0)
    n++;
  if(n < MOST && pid[n] == 0)
    for(;;)
      pause();
  err = errno;
  expect(n < MOST);
  expect(err == ENOMEM || err == EAGAIN);
  for(size_t i = 0; i < STRETCHES; i++)
    need(p[i << 21] == (char)i);
  for(int i = 0; i < n; i++)
    kill(pid[i], SIGKILL);
  for(int i = 0; i < n; i++)
    waitpid(pid[i], 0, 0);
  expect_eq(in_child(nothing, 0), 0);
  munmap(p, (size_t)STRETCHES << 21);
  if(before - free_frames() > 600)
    t_fail(__FILE__, __LINE__, "expected the memory back, %ld frames are missing", before - free_frames());
}

TEST(fork_does_not_care_for_untouched_size) // K14, K03
{
  char *p = map_prot(64ul << 30, RW);
  long start = milliseconds();

  p[0] = 1;
  p[32ul << 30] = 2;
  for(int i = 0; i < 20; i++) {
    int status;
    pid_t pid = fork();

    if(pid == 0)
      _exit(p[0] != 1 || p[32ul << 30] != 2 || p[16ul << 30] != 0);
    need(waitpid(pid, &status, 0) == pid);
    expect_eq(status, 0);
  }
  expect(milliseconds() - start < 20000);
}

static void
child_sees_written(void *arg)
{
  char *p = arg;

  expect(p[0] == 'a' && p[PAGE] == 'W' && p[PAGE + 1] == 'b' && p[2 * PAGE] == 'c');
  p[PAGE] = 'c';
  p[2 * PAGE] = 'd';
}

TEST(private_file_pages) // K15
{
  int fd = temp_pages(3);
  char *p = file_at(fd, 3 * PAGE, RW, MAP_PRIVATE);

  p[PAGE] = 'W';
  expect_eq(in_child(child_sees_written, p), 0);
  expect(p[PAGE] == 'W' && p[2 * PAGE] == 'c' && file_byte(fd, PAGE) == 'b');
}
