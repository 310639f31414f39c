// hostile.c -- what random calls found (make fuzz-syscalls), each as small as it could be made.
#include "t.h"
#include <grp.h>
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
