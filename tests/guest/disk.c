// disk.c -- files on a disk: names, lengths, holes, times, rights, locks, nodes. It works in the current directory, which
// is on ext3 in lazy6 and on ext4 where this is run on Linux; each test has a directory of its own below it.
#include "t.h"
#include <dirent.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

enum { LINKS_MAX = 32000, YEAR_2100 = 4102444800ll, LONGEST = 255 };
#ifndef RENAME_NOREPLACE
enum { RENAME_NOREPLACE = 1, RENAME_EXCHANGE = 2 };
#endif
#define RW (PROT_READ | PROT_WRITE)

// ---- helpers

// A fresh directory, and into it.
static void
place(const char *name)
{
  char command[300];

  snprintf(command, sizeof command, "rm -rf disk.%s", name);
  need(system(command) == 0);
  umask(022);
  snprintf(command, sizeof command, "disk.%s", name);
  need(mkdir(command, 0755) == 0 && chdir(command) == 0);
}

static int
file(const char *name)
{
  int fd = open(name, O_CREAT | O_TRUNC | O_RDWR, 0644);

  need(fd >= 0);
  return fd;
}

static void
write_at(int fd, off_t at, int c, size_t n)
{
  char *p = malloc(n);

  memset(p, c, n);
  need(pwrite(fd, p, n, at) == (ssize_t)n);
  free(p);
}

static int
byte_at(int fd, off_t at)
{
  unsigned char c;

  return pread(fd, &c, 1, at) == 1 ? c : -1;
}

static struct stat
stat_of(const char *name)
{
  struct stat st = {0};

  need(lstat(name, &st) == 0);
  return st;
}

static struct stat
stat_fd(int fd)
{
  struct stat st;

  need(fstat(fd, &st) == 0);
  return st;
}

static bool
exists(const char *name)
{
  struct stat st;

  return lstat(name, &st) == 0;
}

// A clock tick that the file system sees.
static void
tick(void)
{
  struct timespec t = {0, 20000000};

  nanosleep(&t, 0);
}

static bool
later(struct timespec a, struct timespec b)
{
  return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

static bool
same_time(struct timespec a, struct timespec b)
{
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static int
renames(const char *a, const char *b, unsigned flags)
{
  return syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, flags);
}

// ---- names

TEST(links_are_counted)
{
  place("links");
  close(file("a"));
  expect(link("a", "b") == 0 && stat_of("a").st_nlink == 2);
  expect_errno(link("a", "b"), EEXIST);
  expect(stat_of("a").st_ino == stat_of("b").st_ino);
  expect(unlink("a") == 0 && stat_of("b").st_nlink == 1);
  expect(mkdir("d", 0755) == 0 && stat_of("d").st_nlink == 2 && stat_of(".").st_nlink == 3);
  expect(mkdir("d/e", 0755) == 0 && stat_of("d").st_nlink == 3);
  expect_errno(link("d", "x"), EPERM);
  expect_errno(rmdir("d"), ENOTEMPTY);
  expect(rmdir("d/e") == 0 && stat_of("d").st_nlink == 2);
  expect(rmdir("d") == 0 && stat_of(".").st_nlink == 2);
  expect(symlink("b", "s") == 0 && stat_of("s").st_nlink == 1 && stat_of("s").st_size == 1);
  expect(link("s", "s2") == 0 && stat_of("s").st_nlink == 2 && S_ISLNK(stat_of("s2").st_mode));
}

TEST(rename_files)
{
  place("rename");
  int fd = file("a");
  struct stat a = stat_fd(fd), b;

  tick();
  expect(rename("a", "b") == 0 && !exists("a"));
  b = stat_of("b");
  expect(b.st_ino == a.st_ino && b.st_nlink == 1 && later(b.st_ctim, a.st_ctim) && same_time(b.st_mtim, a.st_mtim));
  expect_errno(rename("a", "b"), ENOENT);
  write_at(file("c"), 0, 'c', 1);
  int old = open("c", O_RDONLY);
  expect(rename("b", "c") == 0 && stat_of("c").st_ino == a.st_ino);
  expect(stat_fd(old).st_nlink == 0 && byte_at(old, 0) == 'c');                       // whoever has it open keeps it
  expect(link("c", "d") == 0 && rename("c", "d") == 0 && exists("c") && exists("d")); // one file: nothing is done
  expect(mkdir("dir", 0755) == 0);
  expect_errno(rename("c", "dir"), EISDIR);
  expect_errno(rename("dir", "c"), ENOTDIR);
  expect(rename("c", "dir/c") == 0 && exists("dir/c"));
  expect_errno(rename("dir/c/", "x"), ENOTDIR);
  expect_errno(rename("dir/c", "nowhere/x"), ENOENT);
  expect_errno(rename("dir/.", "x"), EBUSY);
}

TEST(rename_directories)
{
  place("renamedir");
  need(mkdir("a", 0755) == 0 && mkdir("a/b", 0755) == 0 && mkdir("a/b/c", 0755) == 0 && mkdir("t", 0755) == 0);
  expect_errno(rename("a", "a/b/x"), EINVAL);
  expect_errno(rename("a/b/c", "a"), ENOTEMPTY);
  expect(rename("a", "a") == 0);
  expect(rename("a/b", "t/b") == 0 && stat_of("a").st_nlink == 2 && stat_of("t").st_nlink == 3);
  expect(stat_of("t/b/..").st_ino == stat_of("t").st_ino); // ".." went along
  expect_errno(rename("t", "t/b/c"), EINVAL);
  need(mkdir("full", 0755) == 0 && mkdir("full/x", 0755) == 0 && mkdir("empty", 0755) == 0);
  expect_errno(rename("t/b", "full"), ENOTEMPTY);
  expect(rename("t/b", "empty") == 0 && exists("empty/c") && stat_of("t").st_nlink == 2);
  expect(stat_of("empty/..").st_ino == stat_of(".").st_ino);
  expect(stat_of(".").st_nlink == 2 + 4);
  int fd = open("full/x", O_RDONLY | O_DIRECTORY);
  need(mkdir("y", 0755) == 0);
  expect(rename("y", "full/x") == 0 && stat_fd(fd).st_nlink == 0); // one that is open is removed
  expect_errno(openat(fd, "new", O_CREAT | O_RDWR, 0600), ENOENT);
}

TEST(rename_flags)
{
  place("renameflags");
  write_at(file("a"), 0, 'a', 1);
  write_at(file("b"), 0, 'b', 1);
  need(mkdir("d", 0755) == 0 && mkdir("d/e", 0755) == 0);
  expect_errno(renames("a", "b", RENAME_NOREPLACE), EEXIST);
  expect(renames("a", "c", RENAME_NOREPLACE) == 0 && !exists("a"));
  expect_errno(renames("c", "none", RENAME_EXCHANGE), ENOENT);
  expect_errno(renames("c", "b", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL);
  expect(renames("c", "b", RENAME_EXCHANGE) == 0);
  expect(byte_at(open("b", O_RDONLY), 0) == 'a' && byte_at(open("c", O_RDONLY), 0) == 'b');
  expect(renames("b", "d/e", RENAME_EXCHANGE) == 0); // a file and a directory
  expect(S_ISDIR(stat_of("b").st_mode) && S_ISREG(stat_of("d/e").st_mode));
  expect(stat_of("d").st_nlink == 2 && stat_of(".").st_nlink == 4 && stat_of("b/..").st_ino == stat_of(".").st_ino);
  expect_errno(renames("d", "d/e", RENAME_EXCHANGE), EINVAL);
}

TEST(open_exclusive_and_append)
{
  place("open");
  int fd = open("x", O_CREAT | O_EXCL | O_RDWR, 0600), again = open("x", O_WRONLY | O_APPEND);

  need(fd >= 0 && again >= 0);
  expect_errno(open("x", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
  need(symlink("nowhere", "s") == 0);
  expect_errno(open("s", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
  expect_errno(open("s", O_RDWR | O_NOFOLLOW), ELOOP);
  write_at(fd, 0, 'a', 5000);
  expect(pwrite(again, "b", 1, 0) == 1 && stat_fd(fd).st_size == 5001 && byte_at(fd, 5000) == 'b' &&
         byte_at(fd, 0) == 'a');
  expect(write(again, "c", 1) == 1 && lseek(again, 0, SEEK_CUR) == 5002);
}

TEST(unlinked_while_open_and_mapped)
{
  place("unlinked");
  int fd = file("a");
  char *p;

  write_at(fd, 0, 'a', 3 * PAGE);
  p = mmap(0, 3 * PAGE, RW, MAP_SHARED, fd, 0);
  need(p != MAP_FAILED && unlink("a") == 0);
  expect(stat_fd(fd).st_nlink == 0 && !exists("a"));
  p[PAGE] = 'm';
  expect(byte_at(fd, PAGE) == 'm');
  write_at(fd, 100 * PAGE, 'z', 1);
  expect(fsync(fd) == 0 && stat_fd(fd).st_size == 100 * PAGE + 1);
  close(fd);
  expect(p[0] == 'a' && p[PAGE] == 'm' && p[2 * PAGE] == 'a');
  p[0] = 'x';
  expect(msync(p, 3 * PAGE, MS_SYNC) == 0);
  expect(munmap(p, 3 * PAGE) == 0);
}

TEST(files_without_a_name)
{
  char path[64];

  place("tmpfile");
  int fd = open(".", O_TMPFILE | O_RDWR, 0640), shut = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0640);

  need(fd >= 0 && shut >= 0);
  write_at(fd, 0, 't', 10000);
  expect(stat_fd(fd).st_nlink == 0);
  sprintf(path, "/proc/self/fd/%d", fd);
  expect(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW) == 0);
  expect(stat_of("named").st_nlink == 1 && stat_of("named").st_size == 10000 &&
         (stat_of("named").st_mode & 0777) == 0640);
  sprintf(path, "/proc/self/fd/%d", shut);
  expect_errno(linkat(AT_FDCWD, path, AT_FDCWD, "other", AT_SYMLINK_FOLLOW), ENOENT);
  expect_errno(open(".", O_TMPFILE | O_RDONLY, 0600), EINVAL);
}

TEST(names_have_limits)
{
  char name[LONGEST + 2];

  place("limits");
  memset(name, 'n', sizeof name);
  name[LONGEST + 1] = 0;
  expect_errno(open(name, O_CREAT | O_RDWR, 0600), ENAMETOOLONG);
  expect_errno(mkdir(name, 0755), ENAMETOOLONG);
  name[LONGEST] = 0;
  for(int i = 0; i < 40; i++) { // more than a block of them
    name[0] = 'A' + i;
    need(close(open(name, O_CREAT | O_EXCL | O_RDWR, 0600)) == 0);
  }
  for(int i = 0; i < 40; i++) {
    name[0] = 'A' + (i * 7) % 40;
    expect(exists(name) && unlink(name) == 0);
  }
  need(symlink("loop", "loop") == 0);
  expect_errno(open("loop", O_RDONLY), ELOOP);
  char *to = malloc(PAGE + 1);
  memset(to, 't', PAGE);
  to[PAGE] = 0;
  expect_errno(symlink(to, "long"), ENAMETOOLONG);
  for(int n = 58; n < 62; n++) { // in the inode, and in a block
    char back[100];

    sprintf(name, "link%d", n);
    to[n] = 0;
    expect(symlink(to, name) == 0 && readlink(name, back, sizeof back) == n && memcmp(back, to, n) == 0);
    expect(stat_of(name).st_size == n);
    to[n] = 't';
  }
}

// All 32,000 links of one file: slow on Linux too.
TEST_TIMED(links_have_a_limit, 300)
{
  char name[32];
  int n = 1;

  if(getenv("T_SOAK") == 0 || strcmp(getenv("T_SOAK"), "1") != 0)
    skip("T_SOAK=1 runs it");
  only_here(); // ext4 allows more
  place("linkmax");
  close(file("a"));
  for(; n < LINKS_MAX; n++) {
    sprintf(name, "l%d", n);
    if(link("a", name) != 0)
      break;
  }
  expect_eq(n, LINKS_MAX);
  expect_errno(link("a", "more"), EMLINK);
  expect(unlink("l7") == 0 && link("a", "more") == 0);
  expect_eq(stat_of("a").st_nlink, LINKS_MAX);
}

// ---- lengths and holes

TEST(holes_are_found)
{
  place("holes");
  int fd = file("a");

  write_at(fd, 5 * PAGE, 'a', PAGE);
  write_at(fd, 2000ll * PAGE, 'b', 10);
  expect(stat_fd(fd).st_size == 2000 * PAGE + 10 && stat_fd(fd).st_blocks < 100);
  expect(fsync(fd) == 0);
  expect_eq(lseek(fd, 0, SEEK_DATA), 5 * PAGE);
  expect_eq(lseek(fd, 5 * PAGE + 7, SEEK_DATA), 5 * PAGE + 7);
  expect_eq(lseek(fd, 0, SEEK_HOLE), 0);
  expect_eq(lseek(fd, 5 * PAGE, SEEK_HOLE), 6 * PAGE);
  expect_eq(lseek(fd, 6 * PAGE, SEEK_DATA), 2000 * PAGE);
  expect_eq(lseek(fd, 2000 * PAGE, SEEK_HOLE), 2000 * PAGE + 10);
  expect_errno(lseek(fd, 2000 * PAGE + 10, SEEK_DATA), ENXIO);
  expect(byte_at(fd, 0) == 0 && byte_at(fd, 4 * PAGE) == 0 && byte_at(fd, 1999ll * PAGE) == 0);
  // under one, two and three indirect blocks
  write_at(fd, 13 * PAGE, '1', 1);
  write_at(fd, 1040ll * PAGE, '2', 1);
  write_at(fd, 1100000ll * PAGE, '3', 1);
  expect(byte_at(fd, 13 * PAGE) == '1' && byte_at(fd, 1040ll * PAGE) == '2' && byte_at(fd, 1100000ll * PAGE) == '3');
  expect(ftruncate(fd, 1041ll * PAGE) == 0 && byte_at(fd, 1040ll * PAGE) == '2' && byte_at(fd, 1041ll * PAGE) == -1);
  expect(ftruncate(fd, 0) == 0 && stat_fd(fd).st_blocks == 0);
}

TEST(room_is_given_and_taken)
{
  place("fallocate");
  int fd = file("a");
  struct stat st;

  expect(fallocate(fd, 0, 0, 10 * PAGE) == 0);
  st = stat_fd(fd);
  expect(st.st_size == 10 * PAGE && st.st_blocks >= 80 && byte_at(fd, 9 * PAGE) == 0);
  write_at(fd, 0, 'a', 10 * PAGE);
  expect(ftruncate(fd, 20 * PAGE) == 0);
  expect(fallocate(fd, FALLOC_FL_KEEP_SIZE, 12 * PAGE, 2 * PAGE) == 0 && stat_fd(fd).st_size == 20 * PAGE);
  expect(byte_at(fd, 12 * PAGE) == 0);
  expect(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2 * PAGE + 100, 4 * PAGE) == 0);
  expect(byte_at(fd, 2 * PAGE + 99) == 'a' && byte_at(fd, 2 * PAGE + 100) == 0 && byte_at(fd, 5 * PAGE) == 0);
  expect(byte_at(fd, 6 * PAGE + 99) == 0 && byte_at(fd, 6 * PAGE + 100) == 'a');
  expect_eq(lseek(fd, 2 * PAGE, SEEK_HOLE), 3 * PAGE);
  expect_eq(lseek(fd, 3 * PAGE, SEEK_DATA), 6 * PAGE);
  expect(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 100 * PAGE) == 0);
  expect(stat_fd(fd).st_size == 20 * PAGE && stat_fd(fd).st_blocks <= 8); // a block of pointers may stay
  expect_errno(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, PAGE), EOPNOTSUPP);
  expect_errno(fallocate(fd, 0, 0, 0), EINVAL);
  expect_errno(fallocate(open("a", O_RDONLY), 0, 0, 1), EBADF);
}

static sigjmp_buf jump;
static void
caught(int sig)
{
  siglongjmp(jump, sig);
}

TEST(truncate_under_a_mapping)
{
  place("truncate");
  int fd = file("a");
  char *p;

  write_at(fd, 0, 'a', 4 * PAGE);
  p = mmap(0, 4 * PAGE, RW, MAP_SHARED, fd, 0);
  need(p != MAP_FAILED);
  p[3 * PAGE] = 'x';
  expect(ftruncate(fd, PAGE + 100) == 0 && p[PAGE + 99] == 'a' && p[PAGE + 100] == 0);
  signal(SIGBUS, caught);
  if(sigsetjmp(jump, 1) == 0) {
    p[2 * PAGE] = 1;
    expect(!"a store behind the end");
  }
  p[PAGE + 200] = 'q'; // behind the end, in its page
  expect(msync(p, 2 * PAGE, MS_SYNC) == 0 && ftruncate(fd, 4 * PAGE) == 0);
  expect(byte_at(fd, PAGE + 200) == 0 && p[2 * PAGE] == 0 && p[3 * PAGE] == 0);
  p[3 * PAGE] = 'y';
  expect(byte_at(fd, 3 * PAGE) == 'y');
  expect_errno(ftruncate(fd, -1), EINVAL);
}

TEST(stores_into_holes)
{
  place("sparsemap");
  int fd = file("a");
  char *p;

  need(ftruncate(fd, 300 * PAGE) == 0);
  p = mmap(0, 300 * PAGE, RW, MAP_SHARED, fd, 0);
  need(p != MAP_FAILED);
  expect(p[100 * PAGE] == 0 && stat_fd(fd).st_blocks == 0); // looking gives no block
  p[7 * PAGE] = '7';
  p[200 * PAGE + 5] = '5';
  expect(msync(p, 300 * PAGE, MS_SYNC) == 0);
  expect(stat_fd(fd).st_blocks >= 16 && stat_fd(fd).st_blocks <= 40);
  expect(byte_at(fd, 7 * PAGE) == '7' && byte_at(fd, 200 * PAGE + 5) == '5');
}

// ---- times

TEST(times_follow_the_rules)
{
  struct stat a, b;
  char c;

  place("times");
  int fd = file("a");
  write_at(fd, 0, 'a', 100);
  a = stat_fd(fd);
  tick();
  need(pread(fd, &c, 1, 0) == 1);
  b = stat_fd(fd);
  expect(same_time(a.st_mtim, b.st_mtim) && same_time(a.st_ctim, b.st_ctim));
  expect(later(b.st_atim, a.st_mtim)); // the first read after a change
  tick();
  need(pread(fd, &c, 1, 0) == 1);
  expect(same_time(stat_fd(fd).st_atim, b.st_atim)); // relatime: not again
  write_at(fd, 0, 'b', 1);
  a = stat_fd(fd);
  expect(later(a.st_mtim, b.st_mtim) && later(a.st_ctim, b.st_ctim) && same_time(a.st_atim, b.st_atim));
  tick();
  need(chmod("a", 0600) == 0);
  b = stat_fd(fd);
  expect(same_time(a.st_mtim, b.st_mtim) && later(b.st_ctim, a.st_ctim));
  tick();
  need(ftruncate(fd, 50) == 0);
  expect(later(stat_fd(fd).st_mtim, b.st_mtim));
  a = stat_of(".");
  tick();
  close(file("new"));
  b = stat_of(".");
  expect(later(b.st_mtim, a.st_mtim) && later(b.st_ctim, a.st_ctim));
  tick();
  need(link("a", "l") == 0);
  expect(later(stat_of("a").st_ctim, b.st_ctim) && later(stat_of(".").st_mtim, b.st_mtim));
}

TEST(stores_change_the_times)
{
  place("maptimes");
  int fd = file("a");
  struct stat a, b;
  char *p;

  write_at(fd, 0, 'a', PAGE);
  need(fsync(fd) == 0);
  p = mmap(0, PAGE, RW, MAP_SHARED, fd, 0);
  need(p != MAP_FAILED);
  a = stat_fd(fd);
  tick();
  p[0] = 'b';
  need(msync(p, PAGE, MS_SYNC) == 0);
  b = stat_fd(fd);
  expect(later(b.st_mtim, a.st_mtim) && later(b.st_ctim, a.st_ctim));
  tick();
  p[0] = 'c'; // after write-back, a new first store
  need(msync(p, PAGE, MS_SYNC) == 0);
  expect(later(stat_fd(fd).st_mtim, b.st_mtim));
}

TEST(times_are_set)
{
  struct timespec t[2] = {{YEAR_2100, 123456789}, {-86400, 5}}, omit[2] = {{0, UTIME_OMIT}, {0, UTIME_NOW}};
  struct stat st;

  place("utimens");
  close(file("a"));
  expect(utimensat(AT_FDCWD, "a", t, 0) == 0);
  st = stat_of("a");
  expect(same_time(st.st_atim, t[0]) && same_time(st.st_mtim, t[1]));
  expect(utimensat(AT_FDCWD, "a", omit, 0) == 0);
  st = stat_of("a");
  expect(same_time(st.st_atim, t[0]) && st.st_mtime > 1000000);
  t[0].tv_sec = 1ll << 40; // beyond what the format holds: the last that it does
  expect(utimensat(AT_FDCWD, "a", t, 0) == 0);
  expect_eq(stat_of("a").st_atim.tv_sec, 0x37fffffffll);
  need(symlink("a", "s") == 0);
  expect(utimensat(AT_FDCWD, "s", t, AT_SYMLINK_NOFOLLOW) == 0 && stat_of("s").st_mtim.tv_sec == -86400);
}

// ---- rights

static void
as_user(void *arg)
{
  need(setgroups(0, 0) == 0 && setresgid(1000, 1000, 1000) == 0 && setresuid(1000, 1000, 1000) == 0);
  ((void (*)(void))arg)();
}

static void
need_root(void)
{
  if(geteuid() != 0)
    skip("not root");
}

static void
user_in_sticky(void)
{
  expect_errno(unlink("sticky/root"), EPERM);
  expect_errno(rename("sticky/root", "sticky/x"), EPERM);
  close(file("sticky/mine"));
  expect_errno(rename("sticky/mine", "sticky/root"), EPERM);
  expect(unlink("sticky/mine") == 0);
  expect_errno(open("secret", O_RDONLY), EACCES);
  expect_errno(open("readable", O_RDWR), EACCES);
  expect_errno(mkdir("x", 0755), EACCES);
  expect_errno(unlink("readable"), EACCES);
  expect_errno(chmod("readable", 0777), EPERM);
  expect_errno(chown("sticky/root", 1000, 1000), EPERM);
  expect_errno(truncate("readable", 0), EACCES);
  expect_errno(mknod("sticky/dev", S_IFCHR | 0600, makedev(1, 3)), EPERM);
  expect_errno(open("closed/a", O_RDONLY), EACCES);
  expect(utimensat(AT_FDCWD, "writable", 0, 0) == 0);
  struct timespec t[2] = {{1, 0}, {1, 0}};
  expect_errno(utimensat(AT_FDCWD, "writable", t, 0), EPERM);
}

TEST(rights_of_a_user)
{
  need_root();
  place("rights");
  umask(0);
  need(mkdir("sticky", 01777) == 0 && mkdir("closed", 0700) == 0);
  close(file("sticky/root"));
  close(file("closed/a"));
  close(file("readable"));
  close(open("secret", O_CREAT | O_RDWR, 0600));
  close(open("writable", O_CREAT | O_RDWR, 0666));
  expect_eq(in_child(as_user, user_in_sticky), 0);
  need(chmod("sticky", 0777) == 0);
  expect(exists("sticky/root"));
}

static void
user_writes(void)
{
  int fd;

  expect(unlink("s4") == -1 && errno == EACCES);
  fd = open("s0", O_WRONLY);
  expect(fd >= 0 && write(fd, "x", 1) == 1);
  expect(open("s1", O_WRONLY | O_TRUNC) >= 0);
  expect(truncate("s2", 1) == 0);
  expect(ftruncate(open("s3", O_RDWR), 1) == 0);
  expect(fallocate(open("s4", O_RDWR), 0, 0, PAGE) == 0);
}

// Whoever might have put other code there has cleared the set-id bits; root has not.
TEST(set_id_bits_go)
{
  char name[8];

  need_root();
  place("setid");
  need(chmod(".", 0755) == 0);
  for(int i = 0; i < 7; i++) {
    sprintf(name, "s%d", i);
    write_at(file(name), 0, 's', 10);
    need(chmod(name, 06777) == 0);
  }
  expect_eq(in_child(as_user, user_writes), 0);
  for(int i = 0; i < 5; i++) {
    sprintf(name, "s%d", i);
    expect_eq(stat_of(name).st_mode & 07777, 0777);
  }
  write_at(open("s5", O_RDWR), 0, 'x', 1);
  expect(truncate("s5", 3) == 0 && (stat_of("s5").st_mode & 07777) == 06777);
  need(chown("s6", 1000, 1000) == 0);
  expect_eq(stat_of("s6").st_mode & 07777, 0777);
  need(mkdir("g", 0755) == 0 && chown("g", 0, 77) == 0 && chmod("g", 02775) == 0 && mkdir("g/d", 0755) == 0);
  close(file("g/f"));
  expect(stat_of("g/d").st_gid == 77 && (stat_of("g/d").st_mode & S_ISGID) && stat_of("g/f").st_gid == 77);
}

TEST(nodes_are_kept)
{
  need_root();
  place("nodes");
  expect(mknod("null", S_IFCHR | 0666, makedev(1, 3)) == 0 && mknod("big", S_IFBLK | 0600, makedev(300, 70000)) == 0);
  expect(mkfifo("fifo", 0640) == 0 && mknod("socket", S_IFSOCK | 0600, 0) == 0);
  expect(stat_of("null").st_rdev == makedev(1, 3) && stat_of("big").st_rdev == makedev(300, 70000));
  expect(S_ISFIFO(stat_of("fifo").st_mode) && S_ISSOCK(stat_of("socket").st_mode));
  int fd = open("null", O_RDWR);
  expect(fd >= 0 && write(fd, "x", 1) == 1 && byte_at(fd, 0) == -1);
  int f = open("fifo", O_RDWR);
  expect(f >= 0 && write(f, "f", 1) == 1);
  expect_errno(open("socket", O_RDWR), ENXIO);
  expect_errno(open("big", O_RDWR), ENXIO);
}

// ---- many names

static bool
number(const char *name, const char *before, int *n)
{
  size_t k = strlen(before);

  return strncmp(name, before, k) == 0 && sscanf(name + k, "%d", n) == 1;
}

// Others make and remove names: each that stays is listed once.
TEST(listing_while_others_change)
{
  enum { STABLE = 600, ROUNDS = 15, NAMES = 300 };
  char name[64];
  int seen[STABLE], n;
  pid_t pid;

  place("listing");
  for(int i = 0; i < STABLE; i++) {
    sprintf(name, "stable%d", i);
    close(file(name));
  }
  if((pid = fork()) == 0)
    for(unsigned i = 0;; i++) {
      sprintf(name, "comes-and-goes-%*d", (int)(1 + i * 7 % 40), (int)(i * 13 % NAMES));
      if(i % 3)
        close(open(name, O_CREAT | O_RDWR, 0600));
      else
        unlink(name);
    }
  for(int round = 0; round < ROUNDS; round++) {
    DIR *d = opendir(".");
    struct dirent *e;

    need(d != 0);
    memset(seen, 0, sizeof seen);
    while((e = readdir(d)) != 0)
      if(number(e->d_name, "stable", &n))
        seen[n]++;
    closedir(d);
    for(int i = 0; i < STABLE; i++)
      if(seen[i] != 1)
        t_fail(__FILE__, __LINE__, "round %d: stable%d was listed %d times", round, i, seen[i]);
  }
  kill(pid, SIGKILL);
  waitpid(pid, 0, 0);
}

// ---- the whole file system

TEST(statfs_follows)
{
  struct statfs a, b, c;

  only_here(); // elsewhere others use the disk
  place("statfs");
  int fd = file("a");
  need(fstatfs(fd, &a) == 0);
  write_at(fd, 0, 'a', 100 * PAGE);
  need(fstatfs(fd, &b) == 0);
  expect(b.f_bfree <= a.f_bfree - 100 && b.f_bfree > a.f_bfree - 110 && a.f_namelen == LONGEST && a.f_bsize == PAGE);
  expect(a.f_type == 0xef53 && a.f_bavail <= a.f_bfree && a.f_bfree < a.f_blocks);
  close(fd);
  need(unlink("a") == 0);
  sync();
  need(statfs(".", &c) == 0);
  expect(c.f_bfree == a.f_bfree && c.f_ffree == a.f_ffree + 1);
}

TEST(all_kinds_of_sync)
{
  place("sync");
  int fd = file("a"), dir = open(".", O_RDONLY | O_DIRECTORY), direct = open("s", O_CREAT | O_RDWR | O_SYNC, 0600);

  write_at(fd, 0, 'a', 10000);
  write_at(direct, 0, 's', 10000);
  expect(fdatasync(fd) == 0 && fsync(fd) == 0 && fsync(dir) == 0 && syncfs(fd) == 0 &&
         sync_file_range(fd, 0, 0, 7) == 0);
  sync();
}

TEST(copies_inside_the_kernel)
{
  place("copy");
  int from = file("a"), to = file("b"), sent = file("c");
  off_t in = PAGE, out = 3;

  write_at(from, 0, 'a', 3 * PAGE);
  write_at(from, 2 * PAGE, 'b', 10);
  expect_eq(copy_file_range(from, &in, to, &out, 2 * PAGE, 0), 2 * PAGE);
  expect(in == 3 * PAGE && out == 2 * PAGE + 3 && stat_fd(to).st_size == out);
  expect(byte_at(to, 0) == 0 && byte_at(to, 3) == 'a' && byte_at(to, PAGE + 3) == 'b' && byte_at(to, PAGE + 13) == 'a');
  in = 0;
  expect_eq(sendfile(sent, from, &in, 5000), 5000);
  expect(in == 5000 && stat_fd(sent).st_size == 5000 && byte_at(sent, 4999) == 'a');
}

TEST(locks_on_disk_files)
{
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 10};

  place("locks");
  int a = file("a"), b = open("a", O_RDWR);
  expect(flock(a, LOCK_EX) == 0);
  expect_errno(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
  expect(flock(a, LOCK_UN) == 0 && flock(b, LOCK_SH | LOCK_NB) == 0);
  expect(fcntl(a, F_SETLK, &lock) == 0);
  pid_t pid = fork();
  if(pid == 0) {
    struct flock other = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 15, .l_len = 1};

    expect_errno(fcntl(b, F_SETLK, &other), EAGAIN);
    expect(fcntl(b, F_GETLK, &other) == 0 && other.l_pid == getppid());
    _exit(t_failures != 0);
  }
  int status;
  expect(waitpid(pid, &status, 0) == pid && status == 0);
}
