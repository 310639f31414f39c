// diskerrors.c -- a disk that fails (/proc/sys/dev/blkfail): who is told, how often, and that nothing is lost.
// Where a file lies is found by looking for its contents on the disk itself; the rules then name those sectors, so that
// nothing else on the disk suffers. All of it is only in lazy6: Linux has no such disk at hand.
#include "disk.h"

enum { PAGES = 16, SECTORS = PAGE / 512 };
static const char RULES[] = "/proc/sys/dev/blkfail";

static uint64_t where[PAGES]; // first sector of each page of the file

// Pages that say who they are, so that they can be found on the disk.
static int
marked_file(void)
{
  int fd = disk_file(), disk = open("/dev/vda", O_RDONLY), found = 0;
  uint64_t mark[2], page[PAGE / 8] = {0}, sector = 0;
  static uint64_t buf[1 << 17];
  ssize_t n;

  only_here();
  need(disk >= 0);
  mark[0] = 0x6b72616d6b736964 ^ getpid();
  mark[1] = time(0) ^ (uint64_t)getpid() << 32;
  for(int i = 0; i < PAGES; i++) {
    page[0] = mark[0];
    page[1] = mark[1];
    page[2] = i;
    page[3] = 100 + i;
    need(write(fd, page, PAGE) == PAGE);
  }
  need(fsync(fd) == 0);
  memset(where, 0, sizeof(where));
  for(; (n = read(disk, buf, sizeof(buf))) > 0 && found < PAGES; sector += n / 512)
    for(ssize_t at = 0; at < n / 8; at += PAGE / 8)
      if(buf[at] == mark[0] && buf[at + 1] == mark[1] && buf[at + 2] < PAGES && where[buf[at + 2]] == 0) {
        where[buf[at + 2]] = sector + at * 8 / 512;
        found++;
      }
  close(disk);
  need(found == PAGES);
  return fd;
}

static void
rule(const char *op, int page, const char *how)
{
  char text[128];

  snprintf(text, sizeof(text), "vda:%s:%lu-%lu%s", op, (unsigned long)where[page], (unsigned long)where[page] + SECTORS,
           how);
  proc_write(RULES, text);
}

static void
no_rules(void)
{
  proc_write(RULES, "\n");
}

static uint64_t
value(int fd, int page)
{
  uint64_t v = 0;

  need(pread(fd, &v, 8, page * PAGE + 24) == 8);
  return v;
}

static void
set_value(int fd, int page, uint64_t v)
{
  need(pwrite(fd, &v, 8, page * PAGE + 24) == 8);
}

// The same file, opened anew.
static int
again(int fd)
{
  char name[64];
  int other;

  snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
  other = open(name, O_RDWR);
  need(other >= 0);
  return other;
}

// ---- reading

TEST(read_error_is_told_and_forgotten)
{
  int fd = marked_file();
  uint64_t v;

  disk_forget(fd);
  rule("read", 5, "");
  expect_errno(pread(fd, &v, 8, 5 * PAGE + 24), EIO);
  expect_errno(pread(fd, &v, 8, 5 * PAGE + 24), EIO);
  expect_eq(value(fd, 4), 104);
  expect_eq(value(fd, 6), 106);
  no_rules();
  expect_eq(value(fd, 5), 105);
}

static sigjmp_buf env;
static siginfo_t seen;

static void
on_bus(int sig, siginfo_t *info, void *ctx)
{
  seen = *info;
  siglongjmp(env, sig);
}

// SIGBUS, BUS_ADRERR, at the address; later it can be read.
TEST(F15_read_error_in_a_mapping)
{
  int fd = marked_file();
  struct sigaction sa = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO};
  volatile uint64_t *p = mmap(0, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  int ends[2];

  need(p != MAP_FAILED && pipe(ends) == 0);
  sigaction(SIGBUS, &sa, 0);
  disk_forget(fd);
  rule("read", 5, "");
  if(sigsetjmp(env, 1) == 0) {
    need(p[5 * PAGE / 8 + 3] == 105);
    expect(!"a signal");
  }
  expect(seen.si_code == BUS_ADRERR && seen.si_addr == (void *)&p[5 * PAGE / 8 + 3]);
  expect_errno(write(ends[1], (void *)&p[5 * PAGE / 8], 8), EFAULT); // never a signal in a call
  no_rules();
  expect_eq(p[5 * PAGE / 8 + 3], 105);
  p[5 * PAGE / 8 + 3] = 1;
  expect_eq(value(fd, 5), 1);
}

TEST(read_ahead_that_failed_bothers_nobody)
{
  int fd = marked_file();

  disk_forget(fd);
  rule("read", 5, ":count=1"); // the read-ahead is hit
  for(int i = 0; i < PAGES; i++)
    expect_eq(value(fd, i), 100 + i);
  no_rules();
}

// ---- writing

TEST(V10_write_error_is_told_once_to_each)
{
  int a = marked_file(), b = again(a), c, syncs = again(a);

  rule("write", 5, "");
  set_value(a, 5, 55);
  set_value(a, 6, 66);
  expect_errno(fsync(a), EIO);
  expect_eq(value(a, 5), 55); // not lost
  no_rules();
  expect_eq(fsync(a), 0); // it was told, and now it is written
  expect_errno(fdatasync(b), EIO);
  expect_eq(fdatasync(b), 0);
  expect_errno(syncfs(syncs), EIO);
  expect_eq(syncfs(syncs), 0);
  c = again(a); // after it was seen
  expect_eq(fsync(c), 0);
  disk_forget(c);
  expect(value(c, 5) == 55 && value(c, 6) == 66);
}

TEST(Y12_msync_tells_the_file_that_was_mapped)
{
  int a = marked_file(), b = again(a);
  uint64_t *p = mmap(0, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, a, 0);

  need(p != MAP_FAILED);
  p[5 * PAGE / 8 + 3] = 55;
  p[6 * PAGE / 8 + 3] = 66;
  rule("write", 5, "");
  expect_errno(msync(p, PAGES * PAGE, MS_SYNC), EIO);
  no_rules();
  expect_eq(msync(p, PAGES * PAGE, MS_SYNC), 0);
  expect_eq(fsync(a), 0); // the same open file
  expect_errno(fsync(b), EIO);
  disk_forget(b);
  expect(value(b, 5) == 55 && value(b, 6) == 66);
}

TEST(an_error_that_nobody_saw_waits_for_who_comes)
{
  int a = marked_file(), b;

  set_value(a, 5, 55);
  rule("write", 5, "");
  need(sync_file_range(a, 0, 0, SYNC_FILE_RANGE_WRITE) == 0); // only starts it
  no_rules();
  b = again(a);
  need(close(a) == 0); // close tells nothing, and takes nothing away
  expect_errno(fsync(b), EIO);
  expect_eq(fsync(b), 0);
  expect_eq(value(b, 5), 55);
}

TEST(sync_writes_and_a_bad_block)
{
  int a = marked_file();
  char name[64];
  int sync_fd;

  snprintf(name, sizeof(name), "/proc/self/fd/%d", a);
  sync_fd = open(name, O_WRONLY | O_SYNC);
  need(sync_fd >= 0);
  rule("write", 5, ":count=1");
  uint64_t v = 55;
  expect_errno(pwrite(sync_fd, &v, 8, 5 * PAGE + 24), EIO);
  expect_eq(pwrite(sync_fd, &v, 8, 5 * PAGE + 24), 8);
  no_rules();
  disk_forget(again(a));
  expect_eq(value(a, 5), 55);
}

// A bad block is not tried again and again, and nobody waits for it.
TEST(bad_blocks_are_left_alone)
{
  int a = marked_file(), rules;
  unsigned long hits = 0;
  char text[512] = "", *at;

  proc_write("/proc/sys/vm/dirty_expire_centisecs", "1");
  proc_write("/proc/sys/vm/dirty_writeback_centisecs", "1");
  set_value(a, 5, 55);
  rule("write", 5, "");
  usleep(2500000);
  need((rules = open(RULES, O_RDONLY)) >= 0);
  need(read(rules, text, sizeof(text) - 1) > 0);
  need((at = strstr(text, " hit ")) != 0 && sscanf(at, " hit %lu", &hits) == 1);
  expect(hits >= 1 && hits <= 4); // at once, after 1 s, after 2 s more
  expect(vmstat("nr_write_failed") == 1);
  sync(); // ends
  no_rules();
  expect_errno(fsync(a), EIO);
  expect_eq(fsync(a), 0);
  expect_eq(vmstat("nr_write_failed"), 0);
  proc_write("/proc/sys/vm/dirty_expire_centisecs", "3000");
  proc_write("/proc/sys/vm/dirty_writeback_centisecs", "500");
}

TEST(slow_disks_are_only_slow)
{
  int a = marked_file();
  struct timespec t0, t1;

  disk_forget(a);
  proc_write(RULES, "vda:read:*:delay=50");
  clock_gettime(CLOCK_MONOTONIC, &t0);
  expect_eq(value(a, 3), 103);
  clock_gettime(CLOCK_MONOTONIC, &t1);
  no_rules();
  expect((t1.tv_sec - t0.tv_sec) * 1000 + (t1.tv_nsec - t0.tv_nsec) / 1000000 >= 50);
}

TEST(rules_are_for_root)
{
  only_here();
  expect_errno(write(open(RULES, O_WRONLY), "nonsense", 8), EINVAL);
  need(setresuid(1000, 1000, 1000) == 0);
  expect_errno(open(RULES, O_WRONLY), EACCES);
}
