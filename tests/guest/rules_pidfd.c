// rules_pidfd.c -- processes by descriptor (pidfd_open, CLONE_PIDFD, waitid, pidfd_send_signal), advice to another process
// (process_madvise), and the calls about memory nodes on a machine that has one: rules A17, A06.
#include "rules.h"
#include <poll.h>
#include <pthread.h>
#include <sys/uio.h>

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif
#define MADV_COLD_    20
#define MADV_PAGEOUT_ 21
enum { WAIT_PIDFD = 3 };

static int
pidfd_open_(pid_t pid, unsigned flags)
{
  return syscall(SYS_pidfd_open, pid, flags);
}

static int
pidfd_signal(int fd, int sig, siginfo_t *si, unsigned flags)
{
  return syscall(SYS_pidfd_send_signal, fd, sig, si, flags);
}

static int
wait_fd(int fd, siginfo_t *si, int options)
{
  return syscall(SYS_waitid, WAIT_PIDFD, fd, si, options, 0);
}

static int
events(int fd, int ms)
{
  struct pollfd p = {fd, POLLIN, 0};

  need(poll(&p, 1, ms) >= 0);
  return p.revents;
}

TEST(what_a_pidfd_is)
{
  int fd = pidfd_open_(getpid(), 0);
  char name[64], text[64] = "";

  need(fd >= 0);
  expect_errno(pidfd_open_(0, 0), EINVAL);
  expect_errno(pidfd_open_(-1, 0), EINVAL);
  expect_errno(pidfd_open_(getpid(), 1), EINVAL);
  expect_errno(pidfd_open_(4000000, 0), ESRCH);
  expect_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
  expect_eq(fcntl(fd, F_GETFL), O_RDWR);
  expect_errno(read(fd, name, 1), EINVAL);
  expect_errno(write(fd, name, 1), EINVAL);
  expect_errno(lseek(fd, 0, SEEK_SET), ESPIPE);
  expect_errno(mmap(0, PAGE, PROT_READ, MAP_SHARED, fd, 0), ENODEV);
  snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
  expect(readlink(name, text, sizeof(text) - 1) > 0 && strcmp(text, "anon_inode:[pidfd]") == 0);
  expect_eq(events(fd, 0), 0);
  fd = pidfd_open_(getpid(), O_NONBLOCK);
  expect_eq(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
}

TEST(waiting_by_descriptor)
{
  pid_t pid = fork();
  siginfo_t si = {0};
  int fd;

  if(pid == 0) {
    usleep(100000);
    _exit(7);
  }
  fd = pidfd_open_(pid, 0);
  need(fd >= 0);
  expect_eq(events(fd, 0), 0);
  expect(wait_fd(fd, &si, WEXITED | WNOHANG) == 0 && si.si_pid == 0);
  expect_eq(events(fd, -1), POLLIN);
  expect(wait_fd(fd, &si, WEXITED | WNOWAIT) == 0 && si.si_pid == pid);
  expect(wait_fd(fd, &si, WEXITED) == 0 && si.si_code == CLD_EXITED && si.si_status == 7);
  expect_errno(wait_fd(fd, &si, WEXITED), ECHILD);
  expect_eq(events(fd, 0) & POLLIN, POLLIN);
  expect_errno(pidfd_signal(fd, 0, 0, 0), ESRCH);
  expect_errno(wait_fd(pidfd_open_(getpid(), 0), &si, WEXITED), ECHILD);
  expect_errno(wait_fd(-1, &si, WEXITED), EINVAL);
  expect_errno(wait_fd(999, &si, WEXITED), EBADF);
  expect_errno(wait_fd(1, &si, WEXITED), EBADF);
  pid = fork();
  if(pid == 0)
    _exit(pause());
  fd = pidfd_open_(pid, O_NONBLOCK);
  expect_errno(wait_fd(fd, &si, WEXITED), EAGAIN);
  expect(pidfd_signal(fd, SIGKILL, 0, 0) == 0);
  expect_eq(events(fd, -1), POLLIN);
  expect(wait_fd(fd, &si, WEXITED) == 0 && si.si_code == CLD_KILLED && si.si_status == SIGKILL);
}

static volatile int seen_value, seen_code;

static void
note_signal(int sig, siginfo_t *si, void *uc)
{
  seen_value = si->si_value.sival_int;
  seen_code = si->si_code;
}

TEST(signals_by_descriptor)
{
  struct sigaction sa = {.sa_sigaction = note_signal, .sa_flags = SA_SIGINFO};
  siginfo_t si = {0};
  int fd = pidfd_open_(getpid(), 0);

  need(fd >= 0);
  sigaction(SIGUSR1, &sa, 0);
  si.si_signo = SIGUSR1;
  si.si_code = SI_QUEUE;
  si.si_value.sival_int = 42;
  expect(pidfd_signal(fd, SIGUSR1, &si, 0) == 0);
  expect(seen_value == 42 && seen_code == SI_QUEUE);
  expect(pidfd_signal(fd, SIGUSR1, 0, 0) == 0);
  expect_eq(seen_code, SI_USER);
  expect(pidfd_signal(fd, 0, 0, 0) == 0);
  expect_errno(pidfd_signal(fd, SIGUSR2, &si, 0), EINVAL); // not the signal inside
  expect_errno(pidfd_signal(fd, SIGUSR1, (void *)8, 0), EFAULT);
  expect_errno(pidfd_signal(fd, 999, 0, 0), EINVAL);
  expect_errno(pidfd_signal(fd, 0, 0, 99), EINVAL);
  expect_errno(pidfd_signal(1, 0, 0, 0), EBADF);
  expect_errno(pidfd_signal(999, 0, 0, 0), EBADF);
}

TEST(clone_gives_a_pidfd)
{
  int fd = -1, status, before = dup(0);
  siginfo_t si = {0};
  pid_t pid;

  close(before);
  pid = syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, &fd, 0, 0);
  need(pid >= 0);
  if(pid == 0)
    _exit(fd == -1 ? 5 : 6); // the child sees nothing of it
  need(fd >= 0);
  expect_eq(fd, before);
  expect_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
  expect(wait_fd(fd, &si, WEXITED) == 0 && si.si_pid == pid && si.si_status == 5);
  close(fd);
  expect_errno(syscall(SYS_clone, CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, 0, &fd, 0, 0), EINVAL);
  expect_errno(syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, (void *)8, 0, 0), EFAULT);
  expect_eq(dup(0), before); // and no descriptor stays
  expect_errno(waitpid(-1, &status, WNOHANG), ECHILD);
}

// ---- process_madvise

static long
advise(int fd, void *p, size_t n, int advice)
{
  struct iovec v = {p, n};

  return syscall(SYS_process_madvise, fd, &v, 1ul, advice, 0);
}

TEST(advice_to_a_process) // A17
{
  int fd = pidfd_open_(getpid(), 0);
  char *p = map(4 * PAGE);
  struct iovec v[3] = {{p, PAGE}, {p + 2 * PAGE, 2 * PAGE}, {(void *)(uintptr_t)PAGE, PAGE}};
  pid_t pid;

  need(fd >= 0);
  memset(p, 'p', 4 * PAGE);
  expect_eq(advise(fd, p, 4 * PAGE, MADV_COLD_), 4 * PAGE);
  expect_eq(advise(fd, p, 4 * PAGE, MADV_PAGEOUT_), 4 * PAGE);
  expect_eq(advise(fd, p, 4 * PAGE, MADV_WILLNEED), 4 * PAGE);
  expect_eq(differing(p, 4 * PAGE, 'p'), 0);
  expect_eq(syscall(SYS_process_madvise, fd, v, 2ul, MADV_COLD_, 0), 3 * PAGE);
  expect_eq(syscall(SYS_process_madvise, fd, v, 3ul, MADV_COLD_, 0), 3 * PAGE); // up to the bad one
  expect_errno(syscall(SYS_process_madvise, fd, v + 2, 1ul, MADV_COLD_, 0), ENOMEM);
  expect_eq(syscall(SYS_process_madvise, fd, v, 0ul, MADV_COLD_, 0), 0);
  expect_errno(advise(fd, p + 1, PAGE, MADV_COLD_), EINVAL);
  expect_errno(advise(fd, p, PAGE, 77), EINVAL);
  expect_errno(syscall(SYS_process_madvise, fd, v, 1ul, MADV_COLD_, 1), EINVAL);
  expect_errno(syscall(SYS_process_madvise, fd, v, 2000ul, MADV_COLD_, 0), EINVAL);
  expect_errno(syscall(SYS_process_madvise, fd, 8ul, 1ul, MADV_COLD_, 0), EFAULT);
  expect_errno(advise(1, p, PAGE, MADV_COLD_), EBADF);
  pid = fork();
  if(pid == 0)
    _exit(pause());
  fd = pidfd_open_(pid, 0);
  expect_eq(advise(fd, p, 4 * PAGE, MADV_COLD_), 4 * PAGE);
  expect_errno(advise(fd, p, 4 * PAGE, MADV_DONTNEED), EINVAL); // not to others
  kill(pid, SIGKILL);
  wait(0);
  expect_errno(advise(fd, p, PAGE, MADV_COLD_), ESRCH);
}

// ---- one node

enum { POL_DEFAULT, POL_PREFERRED, POL_BIND, POL_INTERLEAVE, POL_LOCAL };
enum { GET_NODE = 1, GET_ADDR = 2, GET_ALLOWED = 4 };

TEST(policy_of_a_thread)
{
  unsigned long mask[16] = {1}, all[16];
  int mode = -1;

  expect(syscall(SYS_get_mempolicy, &mode, mask, 1024, 0, 0) == 0 && mode == POL_DEFAULT && mask[0] == 0);
  expect(syscall(SYS_get_mempolicy, 0, all, 1024, 0, GET_ALLOWED) == 0);
  if(all[0] != 1)
    skip("this machine has several nodes");
  mask[0] = 1;
  expect(syscall(SYS_set_mempolicy, POL_BIND, mask, 64) == 0);
  mask[0] = 0;
  expect(syscall(SYS_get_mempolicy, &mode, mask, 1024, 0, 0) == 0 && mode == POL_BIND && mask[0] == 1);
  if(fork() == 0) { // goes along
    expect(syscall(SYS_get_mempolicy, &mode, mask, 1024, 0, 0) == 0 && mode == POL_BIND);
    _exit(t_failures != 0);
  }
  wait(&mode);
  expect_eq(mode, 0);
  mask[0] = 2;
  expect_errno(syscall(SYS_set_mempolicy, POL_BIND, mask, 64), EINVAL); // no such node
  mask[0] = 1;
  expect_errno(syscall(SYS_set_mempolicy, 99, mask, 64), EINVAL);
  expect_errno(syscall(SYS_set_mempolicy, POL_DEFAULT, mask, 64), EINVAL);
  expect_errno(syscall(SYS_set_mempolicy, POL_BIND, 0, 0), EINVAL);
  expect_errno(syscall(SYS_set_mempolicy, POL_BIND, 8ul, 64), EFAULT);
  expect(syscall(SYS_set_mempolicy, POL_PREFERRED, 0, 0) == 0);
  expect(syscall(SYS_get_mempolicy, &mode, 0, 0, 0, 0) == 0 && mode == POL_LOCAL);
  expect(syscall(SYS_set_mempolicy, POL_LOCAL, 0, 0) == 0 && syscall(SYS_set_mempolicy, POL_INTERLEAVE, mask, 64) == 0);
  expect(syscall(SYS_set_mempolicy, POL_DEFAULT, 0, 0) == 0);
  expect_errno(syscall(SYS_get_mempolicy, 8ul, 0, 0, 0, 0), EFAULT);
  expect_errno(syscall(SYS_get_mempolicy, &mode, 0, 0, 0, 64), EINVAL);
  expect_errno(syscall(SYS_get_mempolicy, &mode, 0, 0, &mode, 0), EINVAL);
}

TEST(policy_of_a_mapping)
{
  unsigned long mask[16] = {1};
  char *p = map(4 * PAGE);
  int mode = -1;

  p[0] = 1;
  expect(syscall(SYS_get_mempolicy, &mode, 0, 0, p, GET_NODE | GET_ADDR) == 0 && mode == 0); // its node
  expect(syscall(SYS_mbind, p + PAGE, 2 * PAGE, POL_BIND, mask, 64, 0) == 0);
  expect(syscall(SYS_get_mempolicy, &mode, mask, 1024, p + 2 * PAGE, GET_ADDR) == 0 && mode == POL_BIND &&
         mask[0] == 1);
  expect(syscall(SYS_get_mempolicy, &mode, mask, 1024, p, GET_ADDR) == 0 && mode == POL_DEFAULT);
  mask[0] = 1;
  expect_eq(regions_in(p, 4 * PAGE), 3);
  expect_errno(syscall(SYS_mbind, p + 1, PAGE, POL_BIND, mask, 64, 0), EINVAL);
  expect_errno(syscall(SYS_mbind, p, PAGE, POL_BIND, mask, 64, 8), EINVAL);
  expect_errno(syscall(SYS_mbind, p, PAGE, 99, mask, 64, 0), EINVAL);
  expect_errno(syscall(SYS_mbind, (long)PAGE, (long)PAGE, POL_BIND, mask, 64, 0), EFAULT);
  expect(syscall(SYS_mbind, p, 0, POL_BIND, mask, 64, 0) == 0);
  expect(syscall(SYS_mbind, p, 4 * PAGE, POL_DEFAULT, 0, 0, 0) == 0);
  expect_eq(regions_in(p, 4 * PAGE), 1);
  expect_errno(syscall(SYS_get_mempolicy, &mode, 0, 0, (long)PAGE, GET_ADDR), EFAULT);
}
