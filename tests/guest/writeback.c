// writeback.c -- what the disk is asked to do: when pages are written and which, what is read ahead, who waits; and the
// calls that steer it: sync_file_range, posix_fadvise, O_DIRECT, preadv2 and pwritev2, copy_file_range, sendfile.
#include "disk.h"
#include <sys/sendfile.h>
#include <sys/uio.h>

enum { PAGES = 64, SECTORS = PAGE / 512 };
enum { RWF_HIPRI = 1, RWF_DSYNC = 2, RWF_SYNC = 4, RWF_NOWAIT = 8, RWF_APPEND = 16 }; // musl does not say

static long
preadv2(int fd, const struct iovec *iov, int n, long pos, int flags)
{
  return syscall(SYS_preadv2, fd, iov, n, pos, 0, flags);
}

static long
pwritev2(int fd, const struct iovec *iov, int n, long pos, int flags)
{
  return syscall(SYS_pwritev2, fd, iov, n, pos, 0, flags);
}

static char *
map_shared(int fd, size_t n)
{
  char *p = mmap(0, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

  need(p != MAP_FAILED);
  return p;
}

// ---- what is written

// Nothing else runs that would write: the figures are exact once what was done before is on the disk.
static void
settle(void)
{
  sync();
  usleep(20000);
  sync();
}

TEST(a_page_only_read_is_never_written)
{
  struct disk_figures before, after;
  long sum = 0;
  char *p;
  int fd;

  only_here();
  fd = disk_pages(PAGES);
  p = map_shared(fd, PAGES * PAGE);
  disk_forget(fd);
  settle();
  before = disk_figures();
  for(int i = 0; i < PAGES; i++)
    sum += p[i * PAGE];
  need(msync(p, PAGES * PAGE, MS_SYNC) == 0);
  settle();
  after = disk_figures();
  expect_eq(sum, PAGES * (PAGES + 1) / 2);
  expect_eq(after.writes - before.writes, 0);
  expect(after.sectors_read - before.sectors_read >= PAGES * SECTORS);
}

TEST(msync_costs_what_is_dirty)
{
  enum { GIB = 1 << 30 };
  struct disk_figures before;
  struct timespec a, b;
  long written;
  char *p;
  int fd;

  only_here();
  fd = disk_file();
  need(ftruncate(fd, GIB) == 0);
  p = map_shared(fd, GIB);
  for(int i = 0; i < 1000; i++) // some that are there and clean
    need(p[(size_t)i * GIB / 1000] == 0);
  p[GIB / 2 + 5] = 1;
  need(msync(p, GIB, MS_SYNC) == 0);
  settle();

  written = vmstat("nr_written");
  p[GIB / 2 + 5] = 2;
  clock_gettime(CLOCK_MONOTONIC, &a);
  need(msync(p, GIB, MS_SYNC) == 0);
  clock_gettime(CLOCK_MONOTONIC, &b);
  expect_eq(vmstat("nr_written") - written, 1);
  expect((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 < 500);

  settle();
  before = disk_figures();
  need(msync(p, GIB, MS_SYNC) == 0);
  expect_eq(disk_figures().writes - before.writes, 0);
}

TEST(old_pages_are_written_unasked)
{
  int fd, tries = 0;
  char *p;

  only_here();
  fd = disk_pages(PAGES);
  p = map_shared(fd, PAGES * PAGE);
  settle();
  proc_write("/proc/sys/vm/dirty_expire_centisecs", "20");
  proc_write("/proc/sys/vm/dirty_writeback_centisecs", "5");
  p[3 * PAGE] = 77;
  expect(vmstat("nr_dirty") >= 1);
  while(vmstat("nr_dirty") > 0 && tries++ < 200)
    usleep(20000);
  expect_eq(vmstat("nr_dirty"), 0);
  expect(tries >= 3); // it was not written at once
  proc_write("/proc/sys/vm/dirty_expire_centisecs", "3000");
  proc_write("/proc/sys/vm/dirty_writeback_centisecs", "500");
}

TEST(settings_are_checked)
{
  static const char *const bad[] = {"", "x", "-1", "101", "1 2", "99999999999999999999999"};
  int fd;

  only_here();
  need((fd = open("/proc/sys/vm/dirty_ratio", O_RDWR)) >= 0);
  for(size_t i = 1; i < sizeof(bad) / sizeof(bad[0]); i++)
    expect_errno(write(fd, bad[i], strlen(bad[i])), EINVAL);
  proc_write("/proc/sys/vm/dirty_bytes", "8388608");
  need(lseek(fd, 0, SEEK_SET) == 0);
  char text[16] = "";
  need(read(fd, text, 15) > 0);
  expect(strcmp(text, "0\n") == 0); // bytes count now
  proc_write("/proc/sys/vm/dirty_ratio", "20");
}

TEST(writers_wait_for_the_disk)
{
  enum { MIB = 1 << 20, LIMIT_MIB = 2, SLACK = 64 };
  static char buf[64 * 1024];
  long most = 0, now;
  int fd;

  only_here();
  fd = disk_file();
  settle();
  proc_write("/proc/sys/vm/dirty_background_bytes", "1048576");
  proc_write("/proc/sys/vm/dirty_bytes", "2097152");
  for(int i = 0; i < 16 * MIB / (int)sizeof(buf); i++) {
    need(write(fd, buf, sizeof(buf)) == sizeof(buf));
    now = vmstat("nr_dirty") + vmstat("nr_writeback");
    most = now > most ? now : most;
  }
  proc_write("/proc/sys/vm/dirty_ratio", "20");
  proc_write("/proc/sys/vm/dirty_background_ratio", "10");
  expect(most <= LIMIT_MIB * MIB / PAGE + SLACK);
  expect(most > SLACK);
}

TEST(stores_wait_for_the_disk_too)
{
  enum { MIB = 1 << 20, LIMIT_MIB = 2, SLACK = 64 };
  long most = 0, now;
  char *p;
  int fd;

  only_here();
  fd = disk_file();
  need(ftruncate(fd, 16 * MIB) == 0);
  p = map_shared(fd, 16 * MIB);
  settle();
  proc_write("/proc/sys/vm/dirty_background_bytes", "1048576");
  proc_write("/proc/sys/vm/dirty_bytes", "2097152");
  for(int i = 0; i < 16 * MIB / PAGE; i++) {
    p[i * PAGE] = i;
    now = i % 16 ? 0 : vmstat("nr_dirty") + vmstat("nr_writeback");
    most = now > most ? now : most;
  }
  proc_write("/proc/sys/vm/dirty_ratio", "20");
  proc_write("/proc/sys/vm/dirty_background_ratio", "10");
  expect(most <= LIMIT_MIB * MIB / PAGE + SLACK);
  for(int i = 0; i < 16 * MIB / PAGE; i++)
    expect_eq(p[i * PAGE], (char)i);
}

// ---- what is read

TEST(sequential_reading_reads_ahead)
{
  struct disk_figures before, after;
  char page[PAGE];
  int fd;

  only_here();
  fd = disk_pages(1024);
  disk_forget(fd);
  settle();
  before = disk_figures();
  for(int i = 0; i < 1024; i++)
    need(pread(fd, page, PAGE, i * PAGE) == PAGE && page[0] == (char)(i + 1));
  after = disk_figures();
  expect(after.reads - before.reads <= 100);
  expect(after.sectors_read - before.sectors_read <= 1100 * SECTORS);
}

TEST(advice_random_reads_what_was_asked_for)
{
  struct disk_figures before, after;
  char page[PAGE];
  int fd;

  only_here();
  fd = disk_pages(256);
  disk_forget(fd);
  settle();
  need(posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM) == 0);
  need(pread(fd, page, PAGE, 200 * PAGE) == PAGE); // and what leads there
  before = disk_figures();
  for(int i = 0; i < 100; i++) // one after the other, and yet
    need(pread(fd, page, PAGE, i * PAGE) == PAGE && page[0] == (char)(i + 1));
  after = disk_figures();
  expect_eq(after.sectors_read - before.sectors_read, 100 * SECTORS);
  expect_eq(after.reads - before.reads, 100);
}

TEST(advice_willneed_and_dontneed)
{
  struct disk_figures before;
  char page[PAGE];
  int fd;

  only_here();
  fd = disk_pages(128);
  disk_forget(fd);
  settle();
  need(posix_fadvise(fd, 0, 128 * PAGE, POSIX_FADV_WILLNEED) == 0);
  usleep(300000);
  before = disk_figures();
  for(int i = 0; i < 128; i++)
    need(pread(fd, page, PAGE, (i * 37 % 128) * PAGE) == PAGE);
  expect_eq(disk_figures().reads - before.reads, 0);
  page[0] = 99; // DONTNEED loses nothing that is dirty
  need(pwrite(fd, page, 1, 5 * PAGE) == 1);
  need(posix_fadvise(fd, 4 * PAGE + 1, 3 * PAGE, POSIX_FADV_DONTNEED) == 0); // whole pages: 5 and 6
  before = disk_figures();
  need(pread(fd, page, PAGE, 4 * PAGE) == PAGE && pread(fd, page, PAGE, 7 * PAGE) == PAGE);
  expect_eq(disk_figures().reads - before.reads, 0);
  need(pread(fd, page, PAGE, 5 * PAGE) == PAGE);
  expect(page[0] == 99 && page[8] == 6);
  expect(disk_figures().reads > before.reads);
}

TEST(advice_sequential_reads_more_at_once)
{
  struct disk_figures before;
  char page[PAGE];
  int fd;

  only_here();
  fd = disk_pages(128);
  disk_forget(fd);
  settle();
  need(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL) == 0);
  before = disk_figures();
  need(pread(fd, page, PAGE, 0) == PAGE);
  for(int i = 0; i < 200 && disk_figures().sectors_read - before.sectors_read < 32 * SECTORS; i++)
    usleep(10000); // what is read ahead is counted when it arrives, and the call waits for the first page only
  expect(disk_figures().sectors_read - before.sectors_read >= 32 * SECTORS);
}

TEST(what_is_replaced_is_not_read)
{
  struct disk_figures before;
  char *page = map(2 * PAGE), got[PAGE];
  int fd;

  only_here();
  fd = disk_pages(PAGES);
  need(pwrite(fd, "tail", 4, PAGES * PAGE) == 4); // the last page is not full
  need(fsync(fd) == 0);
  disk_forget(fd);
  settle();
  memset(page, 77, 2 * PAGE);
  before = disk_figures();
  need(pwrite(fd, page, PAGE, 0) == PAGE);
  need(pwrite(fd, page, 2 * PAGE, 20 * PAGE) == 2 * PAGE);
  need(pwrite(fd, page, 10, PAGES * PAGE) == 10); // all that is there of it, and some bytes more
  expect_eq(disk_figures().reads - before.reads, 0);
  need(pwrite(fd, page, 10, 30 * PAGE) == 10); // the rest of this page stays as it was
  expect(disk_figures().reads > before.reads);
  need(fsync(fd) == 0);
  disk_forget(fd);
  for(int i = 0; i < PAGES; i++) {
    need(pread(fd, got, PAGE, i * PAGE) == PAGE);
    expect_eq(got[0], i == 0 || i == 20 || i == 21 || i == 30 ? 77 : i + 1);
    expect_eq(got[PAGE - 8], i == 0 || i == 20 || i == 21 ? 77 : i + 1);
  }
  need(pread(fd, got, PAGE, PAGES * PAGE) == 10 && got[9] == 77);
  need(ftruncate(fd, (PAGES + 1) * PAGE) == 0);
  need(pread(fd, got, PAGE, PAGES * PAGE) == PAGE && got[10] == 0 && got[PAGE - 1] == 0);
}

// ---- calls

TEST(sync_file_range_writes_the_range)
{
  int fd = disk_pages(PAGES), pipefd[2];
  long written;

  need(pipe(pipefd) == 0);
  expect_errno(sync_file_range(-1, 0, 0, 0), EBADF);
  expect_errno(sync_file_range(fd, -1, 0, 0), EINVAL);
  expect_errno(sync_file_range(fd, 0, -1, 0), EINVAL);
  expect_errno(sync_file_range(fd, 0, 0, 8), EINVAL);
  expect_errno(sync_file_range(pipefd[0], 0, 0, 0), ESPIPE);
  if(!here()) // its figures are not ours alone
    return;
  settle();
  need(pwrite(fd, "x", 1, 2 * PAGE) == 1 && pwrite(fd, "x", 1, 40 * PAGE) == 1);
  written = vmstat("nr_written");
  need(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WAIT_AFTER) == 0);
  expect_eq(vmstat("nr_written") - written, 0);
  need(sync_file_range(fd, 39 * PAGE + 1, PAGE, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER) == 0);
  expect_eq(vmstat("nr_written") - written, 1);
  need(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE) == 0);
  expect_eq(vmstat("nr_written") - written, 2);
}

TEST(direct_goes_to_the_disk_and_agrees_with_mappings)
{
  int fd = disk_pages(PAGES), direct;
  char *buf = map(4 * PAGE), *p = map_shared(fd, PAGES * PAGE), name[64];
  long written;

  snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
  direct = open(name, O_RDWR | O_DIRECT);
  if(direct < 0 && errno == EINVAL)
    skip("this file system knows no O_DIRECT");
  need(direct >= 0);
  p[PAGE] = 42; // in memory only
  need(pread(direct, buf, 2 * PAGE, PAGE) == 2 * PAGE);
  expect(buf[0] == 42 && buf[PAGE] == 3);
  expect_errno(pread(direct, buf + 1, PAGE, 0), EINVAL);
  expect_errno(pread(direct, buf, PAGE, 7), EINVAL);
  expect_errno(pwrite(direct, buf, 100, 0), EINVAL);
  memset(buf, 7, 4 * PAGE);
  written = here() ? vmstat("nr_written") : 0;
  need(pwrite(direct, buf, 4 * PAGE, 8 * PAGE) == 4 * PAGE);
  if(here())
    expect_eq(vmstat("nr_written") - written, 4);
  expect(p[8 * PAGE] == 7 && p[12 * PAGE - 1] == 7 && p[12 * PAGE] == 13);
  need(pread(direct, buf, PAGE, PAGES * PAGE) == 0);
}

TEST(flags_of_preadv2_and_pwritev2)
{
  int fd = disk_pages(PAGES);
  char page[PAGE] = "";
  struct iovec one = {page, PAGE};
  struct stat st;

  expect_errno(preadv2(fd, &one, 1, 0, 0x10000), EOPNOTSUPP);
  expect_errno(preadv2(fd, &one, 1, -2, 0), EINVAL);
  expect_eq(preadv2(fd, &one, 1, 3 * PAGE, RWF_HIPRI), PAGE);
  expect_eq(page[0], 4);
  expect_eq(lseek(fd, PAGE, SEEK_SET), PAGE);
  expect_eq(preadv2(fd, &one, 1, -1, 0), PAGE);
  expect(page[0] == 2 && lseek(fd, 0, SEEK_CUR) == 2 * PAGE);
  one.iov_len = 100;
  expect_eq(pwritev2(fd, &one, 1, 0, RWF_APPEND), 100); // not at 0
  need(fstat(fd, &st) == 0);
  expect_eq(st.st_size, PAGES * PAGE + 100);
  expect_eq(pwritev2(fd, &one, 1, -1, RWF_APPEND), 100);
  expect_eq(lseek(fd, 0, SEEK_CUR), PAGES * PAGE + 200);
  expect_eq(preadv2(fd, &one, 1, 4 * PAGE, RWF_NOWAIT), 100); // it is in memory
  expect_eq(pwritev2(fd, &one, 1, 0, RWF_DSYNC), 100);
  expect_eq(pwritev2(fd, &one, 1, 0, RWF_SYNC), 100);
  if(!here())
    return;
  settle();
  expect_eq(vmstat("nr_dirty"), 0);
  expect_eq(pwritev2(fd, &one, 1, 0, RWF_DSYNC), 100);
  expect_eq(vmstat("nr_dirty"), 0);
  disk_forget(fd);
  expect_errno(preadv2(fd, &one, 1, 9 * PAGE, RWF_NOWAIT), EAGAIN);
  expect_eq(preadv2(fd, &one, 1, 9 * PAGE, 0), 100);
  expect_eq(preadv2(fd, &one, 1, 9 * PAGE, RWF_NOWAIT), 100);
}

TEST(copies_between_files_on_a_disk)
{
  int in = disk_pages(PAGES), out = disk_file();
  off_t from = 10 * PAGE + 7, to = 5;
  char page[PAGE];

  expect_eq(copy_file_range(in, &from, out, &to, 20 * PAGE, 0), 20 * PAGE);
  expect(from == 30 * PAGE + 7 && to == 20 * PAGE + 5);
  need(fsync(out) == 0);
  need(posix_fadvise(out, 0, 0, POSIX_FADV_DONTNEED) == 0);
  for(long at = 0; at < 20 * PAGE; at += 1000) { // byte by byte what lies there in `in`
    char a, b;

    need(pread(in, &a, 1, 10 * PAGE + 7 + at) == 1 && pread(out, &b, 1, 5 + at) == 1);
    expect_eq(a, b);
  }
  from = 0;
  need(lseek(out, 0, SEEK_SET) == 0);
  expect_eq(sendfile(out, in, &from, 3 * PAGE), 3 * PAGE);
  need(pread(out, page, PAGE, 2 * PAGE) == PAGE);
  expect_eq(page[0], 3);
}
