// rules_falloc.c -- fallocate on tmpfs in full: what each mode does, to whom, and every error: rules T03 to T05, T09, D09,
// A13.
#include "rules.h"
#include <pthread.h>
#include <sys/mount.h>

#ifndef FALLOC_FL_ZERO_RANGE
#define FALLOC_FL_COLLAPSE_RANGE 8
#define FALLOC_FL_ZERO_RANGE     16
#define FALLOC_FL_INSERT_RANGE   32
#endif
#define PUNCH (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
#define KEEP  FALLOC_FL_KEEP_SIZE

static long
blocks_pages(int fd)
{
  struct stat st;

  need(fstat(fd, &st) == 0);
  return st.st_blocks * 512 / PAGE;
}

// A tmpfs of n pages; its directory.
static const char *
small_tmpfs(int pages)
{
  static char dir[64];
  char options[64];

  snprintf(dir, sizeof(dir), "/dev/shm/rules-%d", getpid());
  snprintf(options, sizeof(options), "size=%d", pages * PAGE);
  need(mkdir(dir, 0700) == 0);
  if(mount("none", dir, "tmpfs", 0, options) < 0) {
    rmdir(dir);
    skip("may not mount here");
  }
  return dir;
}

static int
file_in(const char *dir)
{
  char name[96];
  int fd;

  snprintf(name, sizeof(name), "%s/f", dir);
  fd = open(name, O_RDWR | O_CREAT, 0600);
  need(fd >= 0);
  return fd;
}

static void
small_tmpfs_end(const char *dir)
{
  expect(umount(dir) == 0);
  rmdir(dir);
}

TEST(modes_and_errors) // T09
{
  int fd = temp_pages(2), ro, pfd[2], o_path;
  char name[64];

  need(pipe(pfd) == 0);
  snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
  ro = open(name, O_RDONLY);
  o_path = open(name, O_PATH);
  expect_errno(fallocate(-1, 0, 0, PAGE), EBADF);
  expect_errno(fallocate(-1, 0, 0, 0), EBADF);
  expect_errno(fallocate(o_path, 0, 0, PAGE), EBADF);
  expect_errno(fallocate(fd, 0, -1, PAGE), EINVAL);
  expect_errno(fallocate(fd, 0, 0, 0), EINVAL);
  expect_errno(fallocate(fd, 0, 0, -5), EINVAL);
  expect_errno(fallocate(ro, 0, 0, PAGE), EBADF);
  expect_errno(fallocate(pfd[1], 0, 0, PAGE), ESPIPE);
  expect_errno(fallocate(open("/dev/zero", O_RDWR), 0, 0, PAGE), ENODEV);
  expect_errno(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, PAGE), EOPNOTSUPP); // a hole keeps the size
  expect_errno(fallocate(fd, PUNCH | FALLOC_FL_ZERO_RANGE, 0, PAGE), EOPNOTSUPP);
  expect_errno(fallocate(fd, 0x4000, 0, PAGE), EOPNOTSUPP);
  expect_errno(fallocate(fd, 0, INT64_MAX, PAGE), EFBIG);
  expect_errno(fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, PAGE), EOPNOTSUPP); // not built in any tmpfs
  expect_errno(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, PAGE), EOPNOTSUPP);
  expect_errno(fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, PAGE), EOPNOTSUPP);
  expect_eq(file_size(fd), 2 * PAGE);
  expect_eq(file_byte(fd, PAGE), 'b');
}

TEST(room_beyond_the_end) // T03, T05, F04
{
  int fd = temp_file("abc", 3);
  char *p = file_at(fd, 8 * PAGE, RW, MAP_SHARED), buf[8];

  expect_eq(blocks_pages(fd), 1);
  expect(fallocate(fd, KEEP, 2 * PAGE, 2 * PAGE) == 0);
  expect_eq(file_size(fd), 3);
  expect_eq(blocks_pages(fd), 3);
  expect_eq(pread(fd, buf, 8, 2 * PAGE), 0);
  expect_touch(LOAD, p, 0); // and with it whatever else could be entered
  expect_touch(LOAD, p + 2 * PAGE, SIGBUS);
  expect_touch(STORE, p + 3 * PAGE, SIGBUS);
  need(ftruncate(fd, 3 * PAGE) == 0); // growing keeps it
  expect_eq(blocks_pages(fd), 3);
  expect_eq(differing(p + 3, 3 * PAGE - 3, 0), 0);
  expect_touch(LOAD, p + 3 * PAGE, SIGBUS);
  need(ftruncate(fd, 3 * PAGE) == 0); // not growing takes back what lies behind
  expect(fallocate(fd, KEEP, 3 * PAGE, PAGE) == 0);
  need(ftruncate(fd, PAGE) == 0);
  expect_eq(blocks_pages(fd), 1);
  expect(fallocate(fd, 0, PAGE, 1) == 0);
  expect_eq(file_size(fd), PAGE + 1);
  expect(fallocate(fd, KEEP, 4 * PAGE, PAGE) == 0);
  expect(pwrite(fd, "x", 1, 4 * PAGE + 1) == 1);
  expect_eq(p[4 * PAGE], 0);
  expect_eq(p[4 * PAGE + 1], 'x');
}

TEST(what_is_there_stays) // T03
{
  int fd = temp_pages(3);
  char *s = file_at(fd, 3 * PAGE, RW, MAP_SHARED), *p = file_at(fd, 3 * PAGE, RW, MAP_PRIVATE);
  struct stat a, b;

  s[PAGE] = 'S';
  p[2 * PAGE] = 'P';
  need(fallocate(fd, PUNCH, 0, PAGE) == 0 && fstat(fd, &a) == 0);
  usleep(20000);
  expect(fallocate(fd, 0, 100, 3 * PAGE) == 0);
  need(fstat(fd, &b) == 0);
  expect_eq(b.st_size, 3 * PAGE + 100);
  expect_eq(blocks_pages(fd), 4);
  expect(a.st_ctim.tv_sec != b.st_ctim.tv_sec || a.st_ctim.tv_nsec != b.st_ctim.tv_nsec);
  expect(s[0] == 0 && s[PAGE] == 'S' && s[2 * PAGE] == 'c' && p[2 * PAGE] == 'P');
}

TEST(holes_of_every_shape) // T04
{
  static const struct {
    int lo, hi;
  } cuts[] = {{0, 1},       {PAGE - 1, PAGE + 1}, {PAGE, 2 * PAGE}, {100, 3 * PAGE - 100}, {2 * PAGE + 5, 6 * PAGE},
              {0, 9 * PAGE}};

  for(size_t c = 0; c < sizeof(cuts) / sizeof(cuts[0]); c++) {
    int fd = temp_pages(5), lo = cuts[c].lo, hi = cuts[c].hi;
    char *s = file_at(fd, 5 * PAGE, RW, MAP_SHARED), *p = file_at(fd, 5 * PAGE, RW, MAP_PRIVATE), *all = map(5 * PAGE);
    size_t bad = 0;

    p[4 * PAGE] = 'P';
    expect_eq(s[PAGE], 'b');
    expect(fallocate(fd, PUNCH, lo, hi - lo) == 0);
    expect_eq(file_size(fd), 5 * PAGE);
    need(pread(fd, all, 5 * PAGE, 0) == 5 * PAGE);
    for(int i = 0; i < 5 * PAGE; i++) {
      char want = lo <= i && i < hi ? 0 : 'a' + i / PAGE;

      bad += s[i] != want || all[i] != want || (i < 4 * PAGE && p[i] != want);
    }
    expect_eq(bad, 0);
    expect(p[4 * PAGE] == 'P' && p[4 * PAGE + 1] == 'e'); // its copy
    munmap(s, 5 * PAGE);
    munmap(p, 5 * PAGE);
    close(fd);
  }
}

TEST(holes_give_room_back) // T04, A13, O06
{
  int fd = temp_pages(64), i = 0;
  char *p = file_at(fd, 64 * PAGE, RW, MAP_SHARED);

  expect_eq(blocks_pages(fd), 64);
  expect(fallocate(fd, PUNCH, 8 * PAGE, 16 * PAGE) == 0);
  expect_eq(blocks_pages(fd), 48);
  expect(madvise(p + 32 * PAGE, 8 * PAGE, MADV_REMOVE) == 0);
  expect_eq(blocks_pages(fd), 40);
  expect_eq(differing(p + 32 * PAGE, 8 * PAGE, 0), 0);
  expect_eq(lseek(fd, 0, SEEK_HOLE), 8 * PAGE);
  expect_eq(lseek(fd, 8 * PAGE, SEEK_DATA), 24 * PAGE);
  for(; i < 100; i++) { // over and over
    p[10 * PAGE] = i;
    need(fallocate(fd, PUNCH, 10 * PAGE, PAGE) == 0 && p[10 * PAGE] == 0);
  }
}

TEST(a_full_tmpfs) // T03, D09
{
  const char *dir = small_tmpfs(8);
  int fd = file_in(dir);
  char *p, *q, name[96];
  int other;

  expect_errno(fallocate(fd, 0, 0, 9 * PAGE), ENOSPC);
  expect_eq(file_size(fd), 0);
  expect_eq(blocks_pages(fd), 0);
  expect(fallocate(fd, 0, 0, 6 * PAGE) == 0);
  snprintf(name, sizeof(name), "%s/g", dir);
  other = open(name, O_RDWR | O_CREAT, 0600);
  need(other >= 0 && ftruncate(other, 4 * PAGE) == 0);
  expect_errno(fallocate(other, KEEP, 0, 3 * PAGE), ENOSPC);
  q = file_at(other, 4 * PAGE, RW, MAP_SHARED);
  q[0] = q[PAGE] = 1; // all there is
  expect_touch(STORE, q + 2 * PAGE, SIGBUS);
  expect_eq(touch_code, BUS_ADRERR);
  p = file_at(fd, 6 * PAGE, RW, MAP_SHARED);
  memset(p, 'r', 6 * PAGE);                   // reserved: cannot fail
  expect(fallocate(fd, 0, 0, 6 * PAGE) == 0); // again, though nothing is free
  expect(fallocate(fd, PUNCH, 0, PAGE) == 0);
  expect(pwrite(other, "x", 1, 2 * PAGE) == 1); // what the hole gave back
  expect_errno(pwrite(other, "x", 1, 3 * PAGE), ENOSPC);
  munmap(p, 6 * PAGE);
  munmap(q, 4 * PAGE);
  close(fd);
  close(other);
  small_tmpfs_end(dir);
}

TEST(the_size_limit_of_files) // T09
{
  int fd = temp_file("", 0);

  signal(SIGXFSZ, SIG_IGN);
  set_limit(RLIMIT_FSIZE, 2 * PAGE);
  expect_errno(fallocate(fd, 0, 0, 3 * PAGE), EFBIG);
  expect(fallocate(fd, 0, PAGE, PAGE) == 0);
  expect_eq(file_size(fd), 2 * PAGE);
}

static volatile bool stop;
static char *volatile place;

static void *
store_all(void *arg)
{
  for(unsigned char i = 1; !stop; i = i % 100 + 1)
    for(int k = 0; k < 16; k++)
      place[k * PAGE + 7] = i;
  return 0;
}

TEST_TIMED(holes_and_room_under_stores, 120) // T03, T04, W03
{
  int fd = temp_file("", 0);
  pthread_t t[2];

  need(ftruncate(fd, 16 * PAGE) == 0);
  place = file_at(fd, 16 * PAGE, RW, MAP_SHARED);
  for(int i = 0; i < 2; i++)
    need(pthread_create(&t[i], 0, store_all, 0) == 0);
  for(int r = 0; r < 300; r++) {
    need(fallocate(fd, PUNCH, r % 16 * PAGE, r % 7 * PAGE + PAGE / 2) == 0);
    need(fallocate(fd, 0, r % 16 * PAGE, 1) == 0);
  }
  stop = true;
  for(int i = 0; i < 2; i++)
    pthread_join(t[i], 0);
  for(int k = 0; k < 16; k++)
    expect_eq(differing(place + k * PAGE, 7, 0) + differing(place + k * PAGE + 8, PAGE - 8, 0), 0);
  need(fallocate(fd, PUNCH, 0, 16 * PAGE) == 0);
  expect_eq(blocks_pages(fd), 0);
}
