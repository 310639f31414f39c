// rules_unmap.c -- munmap: rules U01 to U16.
#include "rules.h"
#include <pthread.h>
#include <sys/statvfs.h>

TEST(munmap_errors) // U01, U02, U03
{
  char *p = map(4 * PAGE);

  memset(p, 'u', 4 * PAGE);
  expect_errno(munmap(p + 1, PAGE), EINVAL);
  expect_errno(munmap(p + PAGE / 2, PAGE), EINVAL);
  expect_errno(munmap(p, 0), EINVAL);
  expect_errno(munmap((void *)TASK_TOP, PAGE), EINVAL);
  expect_errno(munmap((void *)(TASK_TOP - PAGE), 2 * PAGE), EINVAL);
  expect_errno(munmap(p, -PAGE), EINVAL);
  expect_errno(munmap(p, -1), EINVAL);
  expect_errno(munmap((void *)-PAGE, PAGE), EINVAL);
  expect_errno(munmap((void *)0xffff800000000000ul, PAGE), EINVAL);
  expect_eq(differing(p, 4 * PAGE, 'u'), 0);
}

TEST(munmap_of_nothing) // U04
{
  char *p = map(4 * PAGE);

  expect(munmap(p, 4 * PAGE) == 0);
  expect(munmap(p, 4 * PAGE) == 0);
  expect(munmap(p, PAGE) == 0);
}

TEST(munmap_of_a_part) // U05, U08
{
  char *p = map(9 * PAGE);

  memset(p, 'u', 9 * PAGE);
  expect(munmap(p, PAGE) == 0);            // head
  expect(munmap(p + 8 * PAGE, PAGE) == 0); // tail
  expect(munmap(p + 4 * PAGE, PAGE) == 0); // middle
  expect_touch(LOAD, p, SIGSEGV);
  expect_eq(touch_code, SEGV_MAPERR);
  expect_touch(STORE, p + 8 * PAGE + 5, SIGSEGV);
  expect_touch(LOAD, p + 5 * PAGE - 1, SIGSEGV);
  expect_eq(differing(p + PAGE, 3 * PAGE, 'u'), 0);
  expect_eq(differing(p + 5 * PAGE, 3 * PAGE, 'u'), 0);
  expect_touch(STORE, p + PAGE, 0);
  expect_touch(STORE, p + 8 * PAGE - 1, 0);
}

TEST(munmap_of_several_with_holes) // U06
{
  char *p = map_prot(12 * PAGE, PROT_NONE);
  int fd = temp_pages(2);

  for(int i = 0; i < 12; i += 3)
    need(mprotect(p + i * PAGE, PAGE, RW) == 0);
  need(munmap(p + PAGE, PAGE) == 0 && munmap(p + 7 * PAGE, PAGE) == 0);
  need(mmap(p + 4 * PAGE, 2 * PAGE, RW, MAP_SHARED | MAP_FIXED, fd, 0) == p + 4 * PAGE);
  p[0] = p[9 * PAGE] = 'k';
  expect(munmap(p + PAGE, 8 * PAGE) == 0);
  expect_eq(regions_in(p + PAGE, 8 * PAGE), 0);
  expect(p[0] == 'k' && p[9 * PAGE] == 'k');
  expect_touch(LOAD, p + 4 * PAGE, SIGSEGV);
}

TEST(munmap_rounds_up) // U07
{
  char *p = map(4 * PAGE);

  expect(munmap(p, 1) == 0);
  expect_touch(LOAD, p + PAGE - 1, SIGSEGV);
  expect(munmap(p + PAGE, PAGE + 1) == 0);
  expect_touch(LOAD, p + 3 * PAGE - 1, SIGSEGV);
  expect_touch(LOAD, p + 3 * PAGE, 0);
}

TEST(dirty_file_pages_are_not_lost) // U09, F13
{
  int fd = temp_pages(3);
  char *p = file_at(fd, 3 * PAGE, RW, MAP_SHARED);

  memset(p + 100, 'U', 2 * PAGE);
  expect(munmap(p, 3 * PAGE) == 0);
  expect_eq(file_byte(fd, 99), 'a');
  expect_eq(file_byte(fd, 100), 'U');
  expect_eq(file_byte(fd, 2 * PAGE + 99), 'U');
  expect_eq(file_byte(fd, 2 * PAGE + 100), 'c');
}

TEST(munmap_unlocks) // U10, L11
{
  char *p = map(16 * PAGE), *q = map(16 * PAGE);

  set_limit(RLIMIT_MEMLOCK, 16 * PAGE);
  become_nobody();
  expect(mlock(p, 16 * PAGE) == 0);
  expect_errno(mlock(q, PAGE), ENOMEM);
  expect(munmap(p, 8 * PAGE) == 0);
  expect(mlock(q, 8 * PAGE) == 0);
  expect_errno(mlock(q + 8 * PAGE, PAGE), ENOMEM);
  expect_eq(proc_figure("/proc/self/status", "VmLck"), 16 * 4);
}

// One-page regions in p[0..2n) until no more go in.
static char *
fill_the_map(size_t pages)
{
  char *p = map_prot(pages * PAGE, PROT_NONE);

  for(size_t i = 0; i < pages; i += 2)
    if(raw_mmap(p + i * PAGE, PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0) == MAP_FAILED)
      break;
  return p;
}

TEST_TIMED(a_split_too_many, 180) // U11, R14
{
  char *p = map(16 * PAGE);

  memset(p, 's', 16 * PAGE);
  fill_the_map(140000);
  while(raw_mmap(0, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
    ;
  expect_eq(errno, ENOMEM);
  expect_errno(munmap(p + 4 * PAGE, PAGE), ENOMEM);
  expect_errno(mprotect(p + 4 * PAGE, PAGE, PROT_READ), ENOMEM);
  expect_errno(madvise(p + 4 * PAGE, PAGE, MADV_DONTFORK), EAGAIN);
  expect_eq(differing(p, 16 * PAGE, 's'), 0);
  expect_touch(STORE, p + 4 * PAGE, 0);
  expect(munmap(p, PAGE) == 0); // no split
  expect(munmap(p + PAGE, 15 * PAGE) == 0);
}

// ---- other CPUs

static char *volatile target;
static volatile bool storing, stop;

static void *
store_until_signal(void *arg)
{
  char *p;

  while(!stop) {
    p = target;
    if(p == 0) {
      sched_yield();
      continue;
    }
    storing = true;
    if(touch(STORE, p) == 0 && sigsetjmp(touch_back, 1) == 0) // touch armed the handler
      for(unsigned n = 1;; n++) {
        *(volatile char *)p = 'x';
        if(n % 4096 == 0)
          sched_yield(); // with one CPU the others would wait for the end of our time slice
      }
    __sync_bool_compare_and_swap(&target, p, 0);
    storing = false;
  }
  return 0;
}

TEST_TIMED(no_store_after_munmap, 120) // U12
{
  pthread_t t;
  int reached = 0;

  need(pthread_create(&t, 0, store_until_signal, 0) == 0);
  for(int i = 0; i < 300; i++) {
    char *p = map(PAGE), *q = map_prot(8 * PAGE, RW);

    target = p;
    while(p[0] != 'x')
      sched_yield();
    need(munmap(p, PAGE) == 0);
    for(int k = 0; k < 8; k++)
      memset(q + k * PAGE, 'q', PAGE); // one of these is likely the frame that came free
    while(storing)
      sched_yield();
    reached += differing(q, 8 * PAGE, 'q') != 0;
    munmap(q, 8 * PAGE);
  }
  stop = true;
  pthread_join(t, 0);
  expect_eq(reached, 0);
}

TEST(page_tables_are_freed) // U13
{
  enum { N = 256 };
  long before, after = 0;

  only_here();
  for(int round = 0; round < 3; round++) {
    char *p = map_prot((size_t)N << 30, RW);

    before = free_frames();
    for(size_t i = 0; i < N; i++)
      p[i << 30] = 1;
    munmap(p, (size_t)N << 30);
    after = free_frames();
  }
  if(before - after > 16)
    t_fail(__FILE__, __LINE__, "expected all frames back, %ld are missing", before - after);
}

struct reader {
  int fd;
  char *buf;
  ssize_t r;
  int err;
};

static void *
read_into(void *arg)
{
  struct reader *x = arg;

  x->r = read(x->fd, x->buf, 2 * PAGE);
  x->err = errno;
  return 0;
}

TEST(munmap_under_a_reader) // U14
{
  int fd[2];
  char data[2 * PAGE] = {0};
  struct reader x = {.buf = map(2 * PAGE)};
  pthread_t t;

  need(pipe(fd) == 0);
  x.fd = fd[0];
  need(pthread_create(&t, 0, read_into, &x) == 0);
  usleep(50000); // it sleeps in read
  need(munmap(x.buf, 2 * PAGE) == 0);
  need(write(fd[1], data, sizeof(data)) == sizeof(data));
  pthread_join(t, 0);
  expect(x.r == -1 && x.err == EFAULT);
}

TEST(munmap_under_a_busy_reader) // U14
{
  static char data[2 * PAGE];
  int fd[2];
  struct reader x = {.buf = map(2 * PAGE)};
  pthread_t t;
  pid_t pid;

  need(pipe(fd) == 0);
  pid = fork();
  while(pid == 0)
    need(write(fd[1], data, sizeof(data)) > 0);
  close(fd[1]);
  x.fd = fd[0];
  for(int i = 0; i < 300; i++) {
    x.buf = map(2 * PAGE);
    need(pthread_create(&t, 0, read_into, &x) == 0);
    if(i % 2)
      sched_yield();
    munmap(x.buf, 2 * PAGE);
    pthread_join(t, 0);
    if(!(x.r > 0 || (x.r == -1 && x.err == EFAULT)))
      t_fail(__FILE__, __LINE__, "read gave %zd, errno %d", x.r, x.err);
  }
  kill(pid, SIGKILL);
  waitpid(pid, 0, 0);
}

TEST(last_unmap_of_an_unlinked_file_frees_it) // U16, F11
{
  enum { N = 4096 };
  struct statvfs full, empty;
  int fd = temp_file("", 0);
  char *p;

  need(ftruncate(fd, (off_t)N * PAGE) == 0);
  p = file_at(fd, (size_t)N * PAGE, RW, MAP_SHARED);
  close(fd);
  memset(p, 'u', (size_t)N * PAGE);
  expect_eq(differing(p, (size_t)N * PAGE, 'u'), 0);
  need(statvfs("/dev/shm", &full) == 0);
  munmap(p + PAGE, (size_t)(N - 1) * PAGE);
  expect_eq(p[PAGE - 1], 'u');
  munmap(p, PAGE);
  need(statvfs("/dev/shm", &empty) == 0);
  expect((empty.f_bfree - full.f_bfree) * full.f_bsize >= (size_t)N * PAGE / 2);
}
