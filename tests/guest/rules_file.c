// rules_file.c -- what a file mapping shows, at the end of the file and when its size changes, on tmpfs: rules F01 to F17,
// T03 to T10, G03.
#include "rules.h"
#include <pthread.h>

TEST(contents_and_zeros_behind_the_end) // F01, F05
{
  int fd = temp_pages(4);
  char *p, *q;

  need(ftruncate(fd, 3 * PAGE + 100) == 0);
  p = file_at(fd, 4 * PAGE, PROT_READ, MAP_SHARED);
  q = mmap(0, 2 * PAGE, PROT_READ, MAP_PRIVATE, fd, 2 * PAGE);
  need(q != MAP_FAILED);
  for(int i = 0; i < 3; i++)
    expect_eq(differing(p + i * PAGE, PAGE, 'a' + i), 0);
  expect_eq(differing(p + 3 * PAGE, 100, 'd'), 0);
  expect_eq(differing(p + 3 * PAGE + 100, PAGE - 100, 0), 0);
  expect_eq(differing(q, PAGE, 'c'), 0);
  expect_eq(differing(q + PAGE + 100, PAGE - 100, 0), 0);
}

TEST(stores_behind_the_end) // F02
{
  int fd = temp_file("0123456789", 10);
  char *p = file_at(fd, PAGE, RW, MAP_SHARED), buf[64];

  memset(p + 10, 'X', PAGE - 10);
  expect_eq(p[10], 'X');
  expect_eq(file_size(fd), 10);
  expect_eq(pread(fd, buf, sizeof(buf), 0), 10);
  munmap(p, PAGE);
  expect_eq(file_size(fd), 10);
  expect_eq(pread(fd, buf, sizeof(buf), 10), 0);
}

TEST(growing_shows_zeros_not_stores_behind_the_end) // F03
{
  only_here(); // tmpfs of Linux 6.18 shows the stores
  for(int how = 0; how < 3; how++) {
    int fd = temp_file("0123456789", 10);
    char *p = file_at(fd, 2 * PAGE, RW, MAP_SHARED), buf[PAGE];

    memset(p + 10, 'X', PAGE - 10);
    if(how == 0)
      need(ftruncate(fd, 2 * PAGE) == 0);
    else if(how == 1)
      need(pwrite(fd, "Y", 1, PAGE + 5) == 1);
    else
      need(pwrite(fd, "Y", 1, 2000) == 1);
    expect_eq(differing(p + 10, how == 2 ? 1990 : PAGE - 10, 0), 0);
    expect_eq(pread(fd, buf, 1000, 10), 1000);
    expect_eq(differing(buf, 1000, 0), 0);
    if(how == 2) {
      need(ftruncate(fd, PAGE) == 0);
      expect_eq(differing(p + 2001, PAGE - 2001, 0), 0);
    }
    munmap(p, 2 * PAGE);
  }
}

TEST(whole_pages_behind_the_end_are_bus_errors) // F04, G03
{
  int fd = temp_file("abc", 3);
  static const int flags[] = {MAP_SHARED, MAP_PRIVATE};

  for(int i = 0; i < 2; i++) {
    char *p = file_at(fd, 3 * PAGE, RW, flags[i]);

    expect_touch(LOAD, p, 0);
    expect_touch(LOAD, p + PAGE + 17, SIGBUS);
    expect_eq(touch_code, BUS_ADRERR);
    expect_touch(STORE, p + 2 * PAGE + 5, SIGBUS);
    expect_eq(touch_code, BUS_ADRERR);
    expect_touch(STORE, p + PAGE - 1, 0);
  }
}

TEST(pages_keep_their_place) // F05
{
  int fd = temp_pages(8);
  char *p = mmap(0, 6 * PAGE, RW, MAP_SHARED, fd, 2 * PAGE), *q;

  need(p != MAP_FAILED);
  need(munmap(p + PAGE, PAGE) == 0 && mprotect(p + 3 * PAGE, PAGE, PROT_READ) == 0);
  for(int i = 0; i < 6; i++)
    if(i != 1)
      expect_eq(p[i * PAGE], 'c' + i);
  q = mremap(p + 4 * PAGE, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE);
  need(q != MAP_FAILED);
  expect(q[0] == 'g' && q[PAGE] == 'h');
  expect_touch(LOAD, q + 2 * PAGE, SIGBUS);
}

TEST(growing_makes_pages_accessible) // F06
{
  int fd = temp_file("", 0);
  char *s = file_at(fd, 8 * PAGE, RW, MAP_SHARED), *p = file_at(fd, 8 * PAGE, RW, MAP_PRIVATE);

  expect_touch(LOAD, s, SIGBUS);
  need(write(fd, "first", 5) == 5);
  expect(memcmp(s, "first", 5) == 0 && memcmp(p, "first", 5) == 0);
  expect_touch(LOAD, s + PAGE, SIGBUS);
  need(pwrite(fd, "third", 5, 2 * PAGE + 9) == 5);
  expect(memcmp(s + 2 * PAGE + 9, "third", 5) == 0 && p[PAGE] == 0 && s[PAGE + 5] == 0);
  need(ftruncate(fd, 6 * PAGE) == 0);
  s[5 * PAGE] = 'S';
  expect(p[5 * PAGE] == 'S' && file_byte(fd, 5 * PAGE) == 'S');
  expect_touch(STORE, p + 6 * PAGE, SIGBUS);
}

TEST(shrinking_takes_pages_away) // F07
{
  int fd = temp_pages(6);
  char *s = file_at(fd, 6 * PAGE, RW, MAP_SHARED), *p = file_at(fd, 6 * PAGE, RW, MAP_PRIVATE);

  for(int i = 0; i < 6; i++)
    expect(s[i * PAGE] == 'a' + i && p[i * PAGE] == 'a' + i);
  s[3 * PAGE] = 'S';
  p[4 * PAGE] = 'P'; // a copy of its own
  need(ftruncate(fd, 2 * PAGE + 1) == 0);
  for(int i = 3; i < 6; i++) {
    expect_touch(LOAD, s + i * PAGE, SIGBUS);
    expect_touch(STORE, p + i * PAGE, SIGBUS);
  }
  expect_touch(LOAD, s + 2 * PAGE, 0);
  expect(p[PAGE] == 'b' && s[2 * PAGE] == 'c');
}

TEST(shrinking_zeroes_the_tail) // F08
{
  int fd = temp_pages(2), status;
  char *s = file_at(fd, 2 * PAGE, RW, MAP_SHARED), *s2 = file_at(fd, 2 * PAGE, PROT_READ, MAP_SHARED);
  char *p = file_at(fd, 2 * PAGE, PROT_READ, MAP_PRIVATE);
  pid_t pid;

  expect(s[100] == 'a' && s2[200] == 'a' && p[300] == 'a');
  need(ftruncate(fd, 50) == 0);
  expect_eq(differing(s, 50, 'a'), 0);
  expect_eq(differing(s + 50, PAGE - 50, 0), 0);
  expect_eq(differing(s2 + 50, PAGE - 50, 0), 0);
  expect_eq(differing(p + 50, PAGE - 50, 0), 0);
  pid = fork();
  if(pid == 0) {
    need(ftruncate(fd, 20) == 0);
    _exit(0);
  }
  need(waitpid(pid, &status, 0) == pid);
  expect_eq(differing(s + 20, PAGE - 20, 0), 0);
}

TEST(shrink_then_grow_reads_zeros) // F09
{
  int fd = temp_pages(4);
  char *s = file_at(fd, 4 * PAGE, RW, MAP_SHARED), buf[PAGE];

  need(ftruncate(fd, PAGE / 2) == 0 && ftruncate(fd, 4 * PAGE) == 0);
  expect_eq(differing(s, PAGE / 2, 'a'), 0);
  expect_eq(differing(s + PAGE / 2, 4 * PAGE - PAGE / 2, 0), 0);
  expect_eq(pread(fd, buf, PAGE, 2 * PAGE), PAGE);
  expect_eq(differing(buf, PAGE, 0), 0);
}

TEST(empty_file) // F10
{
  int fd = temp_file("", 0);
  char *p = file_at(fd, PAGE, RW, MAP_SHARED), *q = file_at(fd, PAGE, RW, MAP_PRIVATE);

  expect_touch(LOAD, p, SIGBUS);
  expect_touch(STORE, q, SIGBUS);
  expect(munmap(p, PAGE) == 0);
}

TEST(unlinked_file) // F11, U16
{
  char name[] = "/dev/shm/rules.XXXXXX";
  int fd = mkstemp(name);
  char *p;

  need(fd >= 0 && ftruncate(fd, 2 * PAGE) == 0);
  p = file_at(fd, 2 * PAGE, RW, MAP_SHARED);
  p[0] = 'u';
  need(unlink(name) == 0);
  close(fd);
  p[PAGE] = 'v';
  expect(msync(p, 2 * PAGE, MS_SYNC) == 0);
  expect(p[0] == 'u' && p[PAGE] == 'v');
  expect_errno(open(name, O_RDONLY), ENOENT);
}

TEST(stores_after_close_reach_the_file) // F13, M41
{
  char name[] = "/dev/shm/rules.XXXXXX";
  int fd = mkstemp(name);
  char *p;

  need(fd >= 0 && ftruncate(fd, PAGE) == 0);
  p = file_at(fd, PAGE, RW, MAP_SHARED);
  close(fd);
  memcpy(p, "late", 4);
  munmap(p, PAGE);
  fd = open(name, O_RDONLY);
  need(fd >= 0);
  expect_eq(file_byte(fd, 3), 'e');
  unlink(name);
}

TEST(holes_and_sparse_files) // F14, F16
{
  int fd = temp_file("", 0);
  struct stat st;
  char *p;

  need(ftruncate(fd, 1 << 30) == 0 && pwrite(fd, "x", 1, (1 << 30) - 1) == 1);
  p = file_at(fd, 1 << 30, RW, MAP_SHARED);
  expect_eq(differing(p + (100 << 20), PAGE, 0), 0);
  p[500 << 20] = 's';
  expect_eq(file_byte(fd, 500 << 20), 's');
  need(fstat(fd, &st) == 0);
  expect(st.st_blocks * 512 <= 64 * PAGE);
}

TEST(executable_file_mapping) // F17
{
  static const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3}; // mov $42, %eax; ret
  int fd = temp_file(code, sizeof(code));
  char *p = file_at(fd, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE),
       *s = file_at(fd, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED);

  expect_eq(((int (*)(void))p)(), 42);
  expect_eq(((int (*)(void))s)(), 42);
  need(pwrite(fd, "\x2b", 1, 1) == 1);
  expect_eq(((int (*)(void))s)(), 43);
  expect_touch(STORE, p, SIGSEGV);
}

// ---- changing the size and the blocks

TEST(fallocate_reserves) // T03, T05
{
  int fd = temp_file("abc", 3);
  struct stat st;
  char *p;

  expect(fallocate(fd, 0, 0, 8 * PAGE) == 0);
  expect_eq(file_size(fd), 8 * PAGE);
  need(fstat(fd, &st) == 0);
  expect(st.st_blocks * 512 >= 8 * PAGE);
  p = file_at(fd, 8 * PAGE, RW, MAP_SHARED);
  expect(memcmp(p, "abc", 3) == 0);
  expect_eq(differing(p + 3, 8 * PAGE - 3, 0), 0);
  expect(fallocate(fd, FALLOC_FL_KEEP_SIZE, 8 * PAGE, 8 * PAGE) == 0);
  expect_eq(file_size(fd), 8 * PAGE);
  expect(posix_fallocate(fd, 0, PAGE) == 0);
  expect_eq(file_size(fd), 8 * PAGE);
}

TEST(punching_a_hole) // T04, T05
{
  int fd = temp_pages(5);
  char *s = file_at(fd, 5 * PAGE, RW, MAP_SHARED), *p = file_at(fd, 5 * PAGE, RW, MAP_PRIVATE);

  expect(s[PAGE] == 'b' && p[2 * PAGE] == 'c');
  p[PAGE] = 'P';
  expect(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, 2 * PAGE) == 0);
  expect_eq(differing(s + PAGE, 2 * PAGE, 0), 0);
  expect(p[PAGE] == 'P' && p[PAGE + 1] == 'b' && p[2 * PAGE] == 0); // its copy stays
  expect_eq(file_size(fd), 5 * PAGE);
  expect_eq(file_byte(fd, PAGE), 0);
  expect(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 3 * PAGE + 100, 100) == 0);
  expect_eq(differing(s + 3 * PAGE, 100, 'd'), 0);
  expect_eq(differing(s + 3 * PAGE + 100, 100, 0), 0);
  expect_eq(differing(s + 3 * PAGE + 200, PAGE - 200, 'd'), 0);
  s[PAGE] = 'S';
  expect_eq(file_byte(fd, PAGE), 'S');
}

TEST(truncating_open) // T07
{
  char name[] = "/dev/shm/rules.XXXXXX", page[PAGE];
  int fd = mkstemp(name), other;
  char *s, *p;

  memset(page, 't', PAGE);
  need(fd >= 0 && write(fd, page, PAGE) == PAGE);
  s = file_at(fd, PAGE, RW, MAP_SHARED);
  p = file_at(fd, PAGE, RW, MAP_PRIVATE);
  p[0] = s[1] = 'x';
  other = open(name, O_RDWR | O_TRUNC);
  need(other >= 0);
  expect_touch(LOAD, s, SIGBUS);
  expect_touch(LOAD, p, SIGBUS);
  need(write(other, "new", 3) == 3);
  expect(memcmp(s, "new", 4) == 0);
  unlink(name);
}

TEST(posix_fallocate_returns_its_error) // T09
{
  int fd = temp_pages(1), pfd[2], closed = dup(fd), dir = open("/dev/shm", O_RDONLY | O_DIRECTORY);

  need(pipe(pfd) == 0 && dir >= 0);
  close(closed);
  expect_eq(posix_fallocate(fd, 0, 0), EINVAL);
  expect_eq(posix_fallocate(fd, -1, PAGE), EINVAL);
  expect_eq(posix_fallocate(closed, 0, PAGE), EBADF);
  expect_eq(posix_fallocate(pfd[1], 0, PAGE), ESPIPE);
  expect_eq(posix_fallocate(dir, 0, PAGE), EBADF); // open for reading
  expect_eq(posix_fallocate(open("/dev/null", O_RDWR), 0, PAGE), ENODEV);
}

static char *volatile place;
static volatile bool stop;
static __thread sigjmp_buf back;

static void
jump(int sig)
{
  siglongjmp(back, 1);
}

static void *
read_pages(void *arg)
{
  volatile long wrong = 0;

  while(!stop) {
    if(sigsetjmp(back, 1))
      continue;
    for(int i = 0; i < 8 && !stop; i++) {
      char c = *(volatile char *)(place + i * PAGE + 9);

      wrong += c != 0 && c != 'n';
    }
  }
  return (void *)wrong;
}

TEST_TIMED(truncate_and_rewrite_under_readers, 120) // T10, F09
{
  struct sigaction sa = {.sa_handler = jump, .sa_flags = SA_NODEFER};
  int fd = temp_file("", 0);
  pthread_t t[2];
  char page[PAGE];
  void *wrong;

  memset(page, 'n', PAGE);
  sigaction(SIGBUS, &sa, 0);
  place = file_at(fd, 8 * PAGE, PROT_READ, MAP_SHARED);
  for(int i = 0; i < 2; i++)
    need(pthread_create(&t[i], 0, read_pages, 0) == 0);
  for(int r = 0; r < 200; r++) {
    char *other = map(8 * PAGE);

    for(int i = 0; i < 8; i++)
      need(pwrite(fd, page, PAGE, i * PAGE) == PAGE);
    need(ftruncate(fd, r % 8 * PAGE + r % 3) == 0);
    memset(other, '#', 8 * PAGE); // the frames that came free
    munmap(other, 8 * PAGE);
  }
  stop = true;
  for(int i = 0; i < 2; i++) {
    pthread_join(t[i], &wrong);
    expect_eq((long)wrong, 0);
  }
}
