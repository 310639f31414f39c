// rules_copy.c -- system calls whose buffers are mappings: rules I01 to I21 that uaccess.c does not have.
#include "rules.h"
#include <pthread.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

TEST_TIMED(read_into_the_same_file, 30) // I05, I10
{
  int fd = temp_pages(4);
  char *p = file_at(fd, 4 * PAGE, RW, MAP_SHARED);

  expect_eq(pread(fd, p, PAGE, 0), PAGE); // the page into itself
  expect_eq(differing(p, PAGE, 'a'), 0);
  expect_eq(pread(fd, p + PAGE, 2 * PAGE, 2 * PAGE), 2 * PAGE); // overlapping
  expect(p[PAGE] == 'c' && file_byte(fd, PAGE) == 'c');
  expect_eq(pread(fd, p + 100, 50, PAGE - 25), 50);
  expect(p[100] == 'a' && p[149] == 'c');
}

TEST_TIMED(write_from_the_same_file, 30) // I06
{
  for(int resident_ = 0; resident_ < 2; resident_++) {
    int fd = temp_pages(4);
    char *p = file_at(fd, 4 * PAGE, RW, MAP_SHARED);

    for(int i = 0; i < 4 && resident_; i++)
      expect_touch(LOAD, p + i * PAGE, 0);
    expect_eq(pwrite(fd, p + 2 * PAGE, PAGE, 0), PAGE);
    expect_eq(differing(p, PAGE, 'c'), 0);
    expect_eq(pwrite(fd, p + 3 * PAGE, PAGE, 3 * PAGE), PAGE); // the page from itself
    expect_eq(differing(p + 3 * PAGE, PAGE, 'd'), 0);
    expect_eq(pwrite(fd, p, 4 * PAGE, 4 * PAGE), 4 * PAGE); // grows
    expect_eq(file_byte(fd, 7 * PAGE), 'd');
    expect_eq(file_byte(fd, 4 * PAGE), 'c');
  }
}

static int crossing[2];
static volatile bool stop;

static void *
cross(void *arg)
{
  long i = (long)arg;
  char *p = file_at(crossing[!i], 4 * PAGE, RW, MAP_SHARED);

  while(!stop) {
    need(pwrite(crossing[i], p, 4 * PAGE, 0) == 4 * PAGE);
    need(pread(crossing[i], p, 4 * PAGE, 0) == 4 * PAGE);
    madvise(p, 4 * PAGE, MADV_DONTNEED);
  }
  return 0;
}

TEST_TIMED(two_files_crosswise, 60) // I05, I06, I22
{
  pthread_t t[4];

  crossing[0] = temp_pages(4);
  crossing[1] = temp_pages(4);
  for(long i = 0; i < 4; i++)
    need(pthread_create(&t[i], 0, cross, (void *)(i % 2)) == 0);
  usleep(1000000);
  stop = true;
  for(int i = 0; i < 4; i++)
    pthread_join(t[i], 0);
}

TEST(kernel_copies_into_file_pages) // I09, I10
{
  int from = temp_file("from the kernel", 15), fd = temp_pages(2);
  char *p = file_at(fd, 2 * PAGE, RW, MAP_PRIVATE), *s = file_at(fd, 2 * PAGE, RW, MAP_SHARED);

  expect_eq(pread(from, p + 10, 15, 0), 15);
  expect(memcmp(p + 10, "from the kernel", 15) == 0 && p[9] == 'a' && p[25] == 'a');
  expect(file_byte(fd, 10) == 'a' && s[10] == 'a');
  expect_eq(pread(from, s + PAGE - 5, 15, 0), 15);
  munmap(s, 2 * PAGE);
  expect(file_byte(fd, PAGE - 5) == 'f' && file_byte(fd, PAGE + 9) == 'l');
}

TEST(buffers_behind_the_end_of_a_file) // I11, G10
{
  int fd = temp_pages(1), from = temp_pages(2);
  char *p = file_at(fd, 4 * PAGE, RW, MAP_SHARED), *q = file_at(fd, 4 * PAGE, RW, MAP_PRIVATE);
  ssize_t r;

  expect_errno(pread(from, p + PAGE, 100, 0), EFAULT);
  expect_errno(pread(from, q + 2 * PAGE, 100, 0), EFAULT);
  expect_errno(pwrite(from, p + PAGE, 100, 0), EFAULT);
  r = pread(from, p + PAGE - 50, 100, 0);
  expect(r == 50 || (r == -1 && errno == EFAULT));
}

TEST(kernel_copy_to_untouched_private_memory_of_a_parent) // I09, K01
{
  int fd = temp_pages(1), status;
  char *p = map(2 * PAGE);
  pid_t pid = fork();

  if(pid == 0) {
    need(pread(fd, p + PAGE - 8, 16, 0) == 16);
    _exit(differing(p + PAGE - 8, 16, 'a') != 0);
  }
  need(waitpid(pid, &status, 0) == pid);
  expect_eq(status, 0);
  expect_eq(differing(p, 2 * PAGE, 0), 0);
}

static void
bad_words_at_exit(void *arg)
{
  static struct {
    void *list;
    long offset;
    void *pending;
  } head;
  char *p = arg;

  syscall(SYS_set_tid_address, p);
  head.list = p + 64;
  head.pending = p + 128;
  syscall(SYS_set_robust_list, &head, sizeof(head));
  munmap(p, PAGE);
}

TEST(clear_child_tid_in_unmapped_memory) // I18
{
  expect_eq(in_child(bad_words_at_exit, map(PAGE)), 0);
  expect_eq(in_child(bad_words_at_exit, map_prot(PAGE, PROT_READ)), 0);
}

TEST(sendfile_and_copy_see_the_newest_stores) // I21
{
  int fd = temp_pages(2), to = temp_file("", 0), to2 = temp_file("", 0);
  char *p = file_at(fd, 2 * PAGE, RW, MAP_SHARED);
  off_t at = 0;
  loff_t in = 0, out = 0;

  p[5] = 'N';
  p[PAGE + 5] = 'M';
  expect_eq(sendfile(to, fd, &at, 2 * PAGE), 2 * PAGE);
  expect(file_byte(to, 5) == 'N' && file_byte(to, PAGE + 5) == 'M' && file_byte(to, PAGE) == 'b');
  p[6] = 'O';
  expect_eq(copy_file_range(fd, &in, to2, &out, 2 * PAGE, 0), 2 * PAGE);
  expect(file_byte(to2, 6) == 'O' && file_byte(to2, PAGE + 5) == 'M');
}

TEST(splice_sees_the_newest_stores) // I21
{
  int fd = temp_pages(1), pfd[2];
  char *p = file_at(fd, PAGE, RW, MAP_SHARED), buf[16];
  loff_t at = 0;

  need(pipe(pfd) == 0);
  p[5] = 'S';
  ssize_t r = splice(fd, &at, pfd[1], 0, 16, 0);
  if(here() && r < 0 && errno == ENOSYS)
    skip("splice is not built");
  expect_eq(r, 16);
  expect_eq(read(pfd[0], buf, 16), 16);
  expect(buf[5] == 'S' && buf[6] == 'a');
}

enum { WAIT = 0, WAKE = 1, PRIVATE = 128 }; // of futex

TEST(futex_words_anywhere) // I14
{
  int *untouched = (int *)map(PAGE), *none = (int *)map_prot(PAGE, PROT_NONE);
  const int *ro = (int *)map_prot(PAGE, PROT_READ);
  struct timespec soon = {0, 1000000};

  expect_errno(syscall(SYS_futex, untouched, WAIT, 1, 0, 0, 0), EAGAIN); // it is 0
  expect_errno(syscall(SYS_futex, untouched + 1, WAIT, 0, &soon, 0, 0), ETIMEDOUT);
  expect_eq(syscall(SYS_futex, untouched + 2, WAKE, 1, 0, 0, 0), 0);
  expect_errno(syscall(SYS_futex, ro, WAIT | PRIVATE, 7, 0, 0, 0), EAGAIN);
  expect_errno(syscall(SYS_futex, none, WAIT, 0, 0, 0, 0), EFAULT);
  expect_errno(syscall(SYS_futex, (char *)untouched + 2, WAIT, 0, 0, 0, 0), EINVAL);
}
