// hostile.c -- what random calls found (make fuzz-syscalls), each as small as it could be made.
#include "t.h"
#include <grp.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/time.h>

// -1 stands for "as it is" elsewhere, so nobody can be it.
TEST(minus_one_is_nobody)
{
  gid_t groups[1] = {-1};

  expect_errno(syscall(SYS_setuid, -1), EINVAL);
  expect_errno(syscall(SYS_setgid, -1), EINVAL);
  expect(getuid() != (uid_t)-1 && getgid() != (gid_t)-1);
  if(geteuid() == 0)
    expect_errno(setgroups(1, groups), EINVAL);
}

static volatile int rings;

static void
ring(int sig)
{
  rings++;
}

// The next of the series lies beyond all time, not before now.
TEST(a_timer_may_wait_for_ever)
{
  struct itimerval it = {.it_value = {0, 1000}, .it_interval = {INT64_MAX, 0}};

  signal(SIGALRM, ring);
  need(setitimer(ITIMER_REAL, &it, 0) == 0);
  for(int i = 0; i < 100; i++)
    usleep(2000);
  expect_eq(rings, 1);
}

// Timers that are always due leave the machine enough time to end their owners.
TEST(many_short_timers_can_be_killed)
{
  enum { OWNERS = 60 };
  struct itimerval it = {.it_value = {0, 1}, .it_interval = {0, 1}};
  pid_t pid[OWNERS];

  for(int i = 0; i < OWNERS; i++) {
    pid[i] = fork();
    if(pid[i] == 0) {
      signal(SIGALRM, i % 2 ? ring : SIG_IGN);
      setitimer(ITIMER_REAL, &it, 0);
      for(;;)
        pause();
    }
  }
  usleep(200000);
  for(int i = 0; i < OWNERS; i++)
    if(pid[i] > 0)
      kill(pid[i], SIGKILL);
  for(int i = 0; i < OWNERS; i++)
    if(pid[i] > 0)
      expect(waitpid(pid[i], 0, 0) == pid[i]);
}

static const char *fresh_tmpfs; // mounted by the test, where nobody else makes files

static void
mount_fresh(void)
{
  static char dir[64];

  snprintf(dir, sizeof(dir), "/tmp/hostile-%d", getpid());
  need(mkdir(dir, 0700) == 0);
  if(mount("none", dir, "tmpfs", 0, "size=1m") < 0) {
    rmdir(dir);
    skip("may not mount here");
  }
  fresh_tmpfs = dir;
  need(chdir(dir) == 0);
}

static void
unmount_fresh(void)
{
  expect(chdir("/") == 0 && umount2(fresh_tmpfs, 0) == 0 && rmdir(fresh_tmpfs) == 0);
}

static long
free_inodes(void)
{
  struct statvfs s;

  need(statvfs(fresh_tmpfs, &s) == 0);
  return s.f_ffree;
}

// Names that were looked for in a folder, and not found, do not keep it once it is removed.
TEST(a_removed_folder_is_gone)
{
  struct stat st;
  long before;

  mount_fresh();
  before = free_inodes();
  need(mkdir("d", 0700) == 0);
  expect_errno(stat("d/x", &st), ENOENT);
  expect(rmdir("d") == 0);
  expect_eq(free_inodes(), before);
  need(mkdir("a", 0700) == 0 && mkdir("b", 0700) == 0); // replaced by another
  expect_errno(stat("b/x", &st), ENOENT);
  expect(rename("a", "b") == 0 && rmdir("b") == 0);
  expect_eq(free_inodes(), before);
  unmount_fresh();
}

static void
look_in_vain(void *arg)
{
  struct stat st;

  need(mkdir("d", 0700) == 0 && chdir("d") == 0 && rmdir("../d") == 0);
  expect_errno(stat("x", &st), ENOENT);
}

// The same when one is still in it.
TEST(a_removed_folder_is_gone_with_who_was_in_it)
{
  long before;

  mount_fresh();
  before = free_inodes();
  expect(in_child(look_in_vain, 0) == 0);
  expect_eq(free_inodes(), before);
  unmount_fresh();
}
