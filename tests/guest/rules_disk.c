// rules_disk.c -- mapped files on the disk: what reaches it and when, errors of the disk, files larger than memory: rules
// F15, F18, Y08, Y12, Y19, O10, O11, V01, V02, V03, V05, V08, V10. A test that needs to write tries, and is skipped only if
// the disk really refuses (EROFS). That a power cut loses nothing is the crash suite's; here is what can be seen alive.
#include "rules.h"
#include <pthread.h>
#include <sys/statvfs.h>

#define BIG_FILE     "/usr/share/lazy6/big" // sparse, 16 GiB, on the image
#define DISK_FAILS   "/proc/sys/dev/blkfail"
#define PAGE_SECTORS 8

static char disk_name[64];

// An open file on the disk, with a name in disk_name.
static int
disk_file(void)
{
  static const char *const dirs[] = {"/var/tmp", "/root", ""};
  int fd = -1;

  for(int i = 0; i < 3 && fd < 0; i++) {
    snprintf(disk_name, sizeof(disk_name), "%s/rules.XXXXXX", dirs[i]);
    fd = mkstemp(disk_name);
    if(fd < 0 && errno == EROFS)
      skip("the disk is read-only");
  }
  need(fd >= 0);
  return fd;
}

static int
disk_pages(int n)
{
  int fd = disk_file();
  char page[PAGE];

  for(int i = 0; i < n; i++) {
    memset(page, 'a' + i % 26, PAGE);
    need(write(fd, page, PAGE) == PAGE);
  }
  need(fsync(fd) == 0);
  return fd;
}

// Sectors written so far, over all disks.
static unsigned long
written(void)
{
  unsigned long all = 0, n;
  char line[256];
  FILE *f = fopen("/proc/diskstats", "r");

  need(f);
  while(fgets(line, sizeof(line), f))
    if(sscanf(line, "%*d %*d %*s %*u %*u %*u %*u %*u %*u %lu", &n) == 1)
      all += n;
  fclose(f);
  return all;
}

static void
store_each(char *p, int pages, char c)
{
  for(int i = 0; i < pages; i++)
    p[i * PAGE + 17] = c;
}

TEST(msync_writes_before_it_returns) // Y08, V01
{
  enum { N = 64 };
  int fd = disk_pages(N);
  char *p = file_at(fd, N * PAGE, RW, MAP_SHARED);
  unsigned long before;

  for(int round = 0; round < 3; round++) {
    store_each(p, N, 'A' + round);
    before = written();
    expect(msync(p, N * PAGE, MS_SYNC) == 0);
    expect(written() - before >= N * PAGE_SECTORS);
  }
  store_each(p, N, 'x');
  before = written();
  expect(msync(p + 8 * PAGE, 4 * PAGE, MS_SYNC) == 0); // a part
  expect(written() - before >= 4 * PAGE_SECTORS);
  unlink(disk_name);
}

TEST(fsync_by_anybody_writes_what_mappings_dirtied) // V02, V03
{
  enum { N = 64 };
  int fd = disk_pages(N), status;
  char *p = file_at(fd, N * PAGE, RW, MAP_SHARED);

  for(int how = 0; how < 3; how++) {
    unsigned long before;
    pid_t pid;

    store_each(p, N, 'A' + how);
    before = written();
    pid = fork();
    if(pid == 0) {
      int other = open(disk_name, how == 0 ? O_RDWR : O_RDONLY);

      _exit(other < 0 || (how == 2 ? fdatasync(other) : fsync(other)) != 0);
    }
    need(waitpid(pid, &status, 0) == pid);
    expect_eq(status, 0);
    expect(written() - before >= N * PAGE_SECTORS);
  }
  unlink(disk_name);
}

// How old dirty pages grow; the thirty seconds that are usual only where time does not matter.
static void
expire(const char *centisecs)
{
  int fd;

  if(!here() || (getenv("T_SOAK") && atoi(getenv("T_SOAK"))))
    return;
  fd = open("/proc/sys/vm/dirty_expire_centisecs", O_WRONLY);
  need(fd >= 0 && write(fd, centisecs, strlen(centisecs)) > 0);
  close(fd);
}

TEST_TIMED(dirty_pages_go_by_themselves, 100) // V05
{
  enum { N = 512, SECONDS = 75 };
  int fd = disk_pages(N), waited = 0;
  char *p = file_at(fd, N * PAGE, RW, MAP_SHARED);
  unsigned long before;

  store_each(p, N, 'd');
  before = written();
  expire("300");
  for(; waited < SECONDS && written() - before < N * PAGE_SECTORS; waited++)
    sleep(1);
  expire("3000");
  expect(waited < SECONDS);
  expect_eq(p[17], 'd');
  unlink(disk_name);
}

// ---- stores and write-back at once

enum { COUNTERS = 16 };
static char *volatile counted;
static volatile int stop;
static unsigned long last[2][COUNTERS];

static void *
count_up(void *arg)
{
  int who = *(int *)arg;

  for(unsigned long n = 1; !stop; n++)
    for(int i = 0; i < COUNTERS; i++) {
      *(volatile unsigned long *)(counted + i * PAGE + who * 8) = n;
      last[who][i] = n;
    }
  return 0;
}

TEST_TIMED(no_store_is_lost_to_msync, 120) // Y19, Y17
{
  int fd = disk_pages(COUNTERS), who[2] = {0, 1};
  pthread_t t[2];

  counted = file_at(fd, COUNTERS * PAGE, RW, MAP_SHARED);
  for(int i = 0; i < 2; i++)
    need(pthread_create(&t[i], 0, count_up, &who[i]) == 0);
  for(int i = 0; i < 2; i++)
    while(*(volatile unsigned long *)&last[i][COUNTERS - 1] == 0)
      sched_yield(); // with one CPU all rounds could be over before a thread begins
  for(int round = 0; round < 60; round++) {
    need(msync(counted, COUNTERS * PAGE, MS_SYNC) == 0);
    madvise(counted, COUNTERS * PAGE, 21); // MADV_PAGEOUT: what counts as clean is dropped, and read again
  }
  stop = 1;
  for(int i = 0; i < 2; i++)
    pthread_join(t[i], 0);
  for(int pass = 0; pass < 2; pass++) {
    for(int i = 0; i < COUNTERS; i++)
      for(int k = 0; k < 2; k++)
        expect_eq(*(unsigned long *)(counted + i * PAGE + k * 8), last[k][i]);
    need(msync(counted, COUNTERS * PAGE, MS_SYNC) == 0);
    madvise(counted, COUNTERS * PAGE, 21);
  }
  unlink(disk_name);
}

TEST(new_blocks_never_show_old_contents) // V08
{
  enum { N = 1024 };
  int fd = disk_file();
  static char secret[16 * PAGE];
  size_t bad = 0;
  char *p;

  memset(secret, '#', sizeof(secret));
  for(int i = 0; i < N / 16; i++)
    need(write(fd, secret, sizeof(secret)) == sizeof(secret));
  need(fsync(fd) == 0 && close(fd) == 0 && unlink(disk_name) == 0);
  fd = disk_file();
  need(ftruncate(fd, N * PAGE) == 0);
  p = file_at(fd, N * PAGE, RW, MAP_SHARED);
  store_each(p, N, 'n');
  need(msync(p, N * PAGE, MS_SYNC) == 0);
  madvise(p, N * PAGE, 21);
  for(int i = 0; i < N; i++)
    bad += differing(p + i * PAGE, 17, 0) + differing(p + i * PAGE + 18, PAGE - 18, 0) + (p[i * PAGE + 17] != 'n');
  expect_eq(bad, 0);
  unlink(disk_name);
}

// ---- larger than memory

TEST_TIMED(reading_more_than_memory, 240) // O10
{
  unsigned long bytes, wrong = 0;
  long before;
  char *p;
  int fd;

  only_here(); // where there is a file that is larger than memory
  bytes = proc_figure("/proc/meminfo", "MemTotal") * 1024ul / 4 * 5 / PAGE * PAGE;
  fd = open(BIG_FILE, O_RDONLY);
  need(fd >= 0 && file_size(fd) > (off_t)bytes);
  before = proc_figure("/proc/meminfo", "MemAvailable");
  p = file_at(fd, bytes, PROT_READ, MAP_SHARED);
  for(unsigned long at = PAGE / 2; at < bytes; at += PAGE)
    wrong += *(volatile char *)(p + at) != 0; // text lies at the pages' beginnings
  expect_eq(wrong, 0);
  munmap(p, bytes);
  expect(before - proc_figure("/proc/meminfo", "MemAvailable") < 32768);
}

TEST_TIMED(dirtying_more_than_memory, 400) // O11
{
  unsigned long bytes, bad = 0;
  struct statvfs room;
  char *p;
  int fd;

  only_here(); // this machine's memory is not for tests
  bytes = proc_figure("/proc/meminfo", "MemTotal") * 1024ul / 4 * 5 / PAGE * PAGE;
  fd = disk_file();
  need(fstatvfs(fd, &room) == 0);
  if(room.f_bavail * room.f_frsize < bytes / 8 * 9) {
    unlink(disk_name);
    skip("the disk has no room for more than memory (DISK=4G)");
  }
  need(ftruncate(fd, bytes) == 0);
  p = file_at(fd, bytes, RW, MAP_SHARED);
  for(unsigned long at = 0; at < bytes; at += PAGE)
    *(unsigned long *)(p + at) = at + 1;
  for(unsigned long at = 0; at < bytes; at += PAGE)
    bad += *(unsigned long *)(p + at) != at + 1;
  expect_eq(bad, 0);
  unlink(disk_name);
}

TEST_TIMED(a_store_without_a_block, 200) // F18
{
  static char chunk[64 * PAGE];
  struct statvfs room;
  int fd, filler, sig = 0;
  char *p;

  only_here(); // fills the disk
  fd = disk_file();
  unlink(disk_name);
  need(fstatvfs(fd, &room) == 0);
  if(room.f_bfree * room.f_frsize > 1ul << 30)
    skip("filling this disk would take too long");
  filler = disk_file();
  unlink(disk_name);
  while(write(filler, chunk, sizeof(chunk)) > 0)
    ;
  expect_eq(errno, ENOSPC);
  while(write(filler, chunk, PAGE) > 0)
    ;
  need(ftruncate(fd, 1024 * PAGE) == 0);
  p = file_at(fd, 1024 * PAGE, RW, MAP_SHARED);
  for(int i = 0; i < 1024 && sig == 0; i++)
    sig = touch(STORE, p + i * PAGE);
  if(sig)
    expect(sig == SIGBUS && touch_code == BUS_ADRERR);
  else
    expect_errno(msync(p, 1024 * PAGE, MS_SYNC), ENOSPC);
}

// ---- a disk that fails

static void
disk_fails(const char *rules)
{
  int fd = open(DISK_FAILS, O_WRONLY | O_TRUNC);

  if(fd < 0)
    skip("no disk here fails on demand");
  need(write(fd, rules, strlen(rules)) == (ssize_t)strlen(rules));
  close(fd);
}

TEST(unreadable_page) // F15
{
  int fd, sig, code;
  char *p;

  only_here(); // Linux's disks are not told to fail
  fd = open(BIG_FILE, O_RDONLY);
  need(fd >= 0);
  p = file_at(fd, PAGE, PROT_READ, MAP_SHARED);
  need(mlockall(MCL_CURRENT) == 0); // our own text must not need the disk now
  munmap(p, PAGE);
  p = mmap(0, PAGE, PROT_READ, MAP_PRIVATE, fd, 9ul << 30);
  need(p != MAP_FAILED);
  disk_fails("*:read:*\n");
  sig = touch(LOAD, p + 5);
  code = touch_code;
  disk_fails("\n");
  expect_eq(sig, SIGBUS);
  expect_eq(code, BUS_ADRERR);
  expect_touch(LOAD, p + 5, 0); // the next try reads again
}

TEST(unwritable_page) // Y12, V10
{
  int fd, e;
  char *p;

  only_here();
  disk_fails("\n"); // skips where it cannot
  fd = disk_pages(8);
  p = file_at(fd, 8 * PAGE, RW, MAP_SHARED);
  p[3 * PAGE] = 'E';
  disk_fails("*:write:*:count=1\n");
  errno = 0;
  e = msync(p, 8 * PAGE, MS_SYNC) < 0 ? errno : 0;
  disk_fails("\n");
  expect_eq(e, EIO);
  expect(msync(p, 8 * PAGE, MS_SYNC) == 0); // told once, and written now
  expect_eq(p[3 * PAGE], 'E');
  p[4 * PAGE] = 'F';
  disk_fails("*:write:*:count=1\n");
  errno = 0;
  e = fsync(fd) < 0 ? errno : 0;
  disk_fails("\n");
  expect_eq(e, EIO);
  expect(fsync(fd) == 0);
  unlink(disk_name);
}
