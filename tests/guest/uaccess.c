// uaccess.c -- system calls on memory that was never touched, lies across page borders, or is not there.
#include "t.h"
#include <poll.h>
#include <sys/uio.h>

static char *hole; // the page behind it is unmapped

static char *
before_hole(size_t n)
{
  if(hole == 0) {
    hole = map(4 * PAGE);
    munmap(hole + 2 * PAGE, 2 * PAGE);
  }
  return hole + 2 * PAGE - n;
}

static int
temp_file(const char *content, size_t n)
{
  char name[] = "/tmp/uaccess.XXXXXX";
  int fd = mkstemp(name);

  need(fd >= 0);
  unlink(name);
  need(write(fd, content, n) == (ssize_t)n);
  return fd;
}

TEST(read_into_untouched_memory_across_a_border) // I01
{
  char *p = map(3 * PAGE), text[600];
  int fd;

  memset(text, 't', sizeof(text));
  fd = temp_file(text, sizeof(text));
  expect_eq(pread(fd, p + PAGE - 300, 600, 0), 600);
  expect(memcmp(p + PAGE - 300, text, 600) == 0 && p[PAGE - 301] == 0 && p[PAGE + 300] == 0);
}

TEST(write_from_untouched_memory_sends_zeros) // I02
{
  char *p = map(4 * PAGE), buf[PAGE];
  int fd = temp_file("x", 1);

  memset(buf, 1, sizeof(buf));
  expect_eq(pwrite(fd, p + 100, 3 * PAGE, 0), 3 * PAGE);
  expect_eq(pread(fd, buf, PAGE, PAGE), PAGE);
  for(int i = 0; i < PAGE; i++)
    if(buf[i]) {
      t_fail(__FILE__, __LINE__, "byte %d is %d, expected 0", i, buf[i]);
      break;
    }
}

TEST(bad_buffers_are_EFAULT) // I03, G10
{
  int fd = temp_file("hello", 5), pfd[2];
  char *ro = map(PAGE), *none = map(PAGE);
  struct stat st;

  need(pipe(pfd) == 0);
  mprotect(ro, PAGE, PROT_READ);
  mprotect(none, PAGE, PROT_NONE);
  expect_errno(pread(fd, ro, 5, 0), EFAULT);
  expect_errno(pread(fd, none, 5, 0), EFAULT);
  expect_errno(pread(fd, (void *)8, 5, 0), EFAULT);
  expect_errno(pread(fd, (void *)0x800000000000ull, 5, 0), EFAULT);
  expect_errno(pread(fd, (void *)0xffffffff80100000ull, 5, 0), EFAULT);
  expect_errno(pread(fd, (void *)-4096ul, 5, 0), EFAULT);
  expect_errno(pwrite(fd, none, 5, 0), EFAULT);
  expect_errno(write(pfd[1], none, 5), EFAULT);
  expect_errno(write(pfd[1], (void *)-1ul, 1), EFAULT);
  expect_errno(syscall(SYS_newfstatat, AT_FDCWD, "/", ro, 0), EFAULT);
  expect_errno(syscall(SYS_newfstatat, AT_FDCWD, "/", -1ul, 0), EFAULT);
  expect_errno(syscall(SYS_openat, AT_FDCWD, none, O_RDONLY, 0), EFAULT);
  expect_errno(syscall(SYS_openat, AT_FDCWD, -1ul, O_RDONLY, 0), EFAULT);
  expect_errno(syscall(SYS_getcwd, ro, PAGE), EFAULT);
  expect_errno(syscall(SYS_pipe2, ro, 0), EFAULT);
  expect_errno(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, ro), EFAULT);
  expect_errno(syscall(SYS_uname, ro), EFAULT);
  expect_errno(syscall(SYS_rt_sigaction, SIGUSR1, none, 0, 8), EFAULT);
  expect_errno(syscall(SYS_rt_sigprocmask, SIG_BLOCK, none, 0, 8), EFAULT);
  expect_errno(syscall(SYS_nanosleep, none, 0), EFAULT);
  expect_errno(syscall(SYS_getrandom, ro, 8, 0), EFAULT);
  expect_errno(syscall(SYS_execve, none, 0, 0), EFAULT);
  expect_errno(syscall(SYS_execve, "/bin/sh", 8ul, 0), EFAULT);
  expect_errno(syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", ro, 100), EFAULT);
  expect_errno(syscall(SYS_poll, none, 1, 0), EFAULT);
  expect_errno(syscall(SYS_futex, none, 0, 0, 0, 0, 0), EFAULT); // I14
  expect(fstat(fd, &st) == 0);
}

TEST(partly_good_buffer_is_short_or_EFAULT) // I04
{
  char text[200];
  int fd;

  memset(text, 'q', sizeof(text));
  fd = temp_file(text, sizeof(text));
  ssize_t r = pread(fd, before_hole(100), 200, 0);
  expect(r == 100 || (r == -1 && errno == EFAULT));
  r = pwrite(fd, before_hole(100), 200, 0);
  expect(r == 100 || (r == -1 && errno == EFAULT));
}

TEST(path_that_runs_into_a_hole) // I13
{
  char *p = before_hole(5);
  struct stat st;

  memcpy(p, "/tmp/", 5);
  expect_errno(stat(p, &st), EFAULT);
  p = before_hole(5);
  memcpy(p, "/tmp", 5); // its NUL is the last byte
  expect(stat(p, &st) == 0);
}

TEST(vectors_with_lazy_empty_and_bad_parts) // I07
{
  char *p = map(4 * PAGE);
  int fd = temp_file("abcdefghij", 10);
  struct iovec v[3] = {{p + PAGE - 2, 4}, {(void *)1, 0}, {p + 3 * PAGE - 3, 6}};
  struct iovec bad[2] = {{p, 4}, {(void *)8, 4}};

  expect_eq(preadv(fd, v, 3, 0), 10);
  expect(memcmp(p + PAGE - 2, "abcd", 4) == 0 && memcmp(p + 3 * PAGE - 3, "efghij", 6) == 0);
  ssize_t r = preadv(fd, bad, 2, 0);
  expect(r == 4 || (r == -1 && errno == EFAULT));
  expect_errno(readv(fd, (void *)8, 1), EFAULT);
  expect_errno(readv(fd, v, -1), EINVAL);
  expect_errno(syscall(SYS_readv, fd, v, 1025), EINVAL);
}

TEST(pipe_of_256_KiB_through_untouched_buffers) // I08
{
  enum { N = 256 * 1024 };
  char *in = map(N), *out = map(N);
  int fd[2], status;
  size_t got = 0;
  pid_t pid;

  need(pipe(fd) == 0);
  pid = fork();
  need(pid >= 0);
  if(pid == 0) {
    close(fd[0]);
    _exit(write(fd[1], in, N) != N);
  }
  close(fd[1]);
  for(ssize_t r; (r = read(fd[0], out + got, N - got)) > 0;)
    got += r;
  waitpid(pid, &status, 0);
  expect_eq(got, N);
  expect_eq(status, 0);
  for(int i = 0; i < N; i++)
    need(out[i] == 0);
}

TEST(results_into_untouched_memory) // I12
{
  struct stat *st = (void *)(map(2 * PAGE) + PAGE - 40);
  int *status = (int *)map(PAGE);
  pid_t pid = fork();

  if(pid == 0)
    _exit(3);
  expect_eq(waitpid(pid, status, 0), pid);
  expect_eq(WEXITSTATUS(*status), 3);
  expect(stat("/", st) == 0 && S_ISDIR(st->st_mode));
  expect_errno(syscall(SYS_wait4, -1, 8, 0, 0), ECHILD);
}

static void
count(int sig)
{
  volatile char deep[3 * PAGE];

  deep[0] = deep[sizeof(deep) - 1] = 1;
}

TEST(signal_frame_on_untouched_pages) // I15
{
  struct sigaction sa = {.sa_handler = count, .sa_flags = SA_ONSTACK};
  stack_t ss = {.ss_size = 16 * PAGE};

  ss.ss_sp = map(ss.ss_size);
  need(sigaltstack(&ss, 0) == 0 && sigaction(SIGUSR1, &sa, 0) == 0);
  expect(kill(getpid(), SIGUSR1) == 0);
}

TEST(kernel_copy_grows_the_stack) // Z05
{
  char *deep = __builtin_alloca(2 << 20);
  int fd = temp_file("stack", 5);

  expect_eq(pread(fd, deep, 5, 0), 5);
  expect(memcmp(deep, "stack", 5) == 0);
}

TEST(kernel_copy_breaks_copy_on_write) // I09, K01
{
  char *p = map(PAGE);
  int fd = temp_file("new", 3);
  int status;
  pid_t pid;

  memcpy(p, "old", 3);
  pid = fork();
  if(pid == 0)
    _exit(pread(fd, p, 3, 0) != 3 || memcmp(p, "new", 3) != 0);
  waitpid(pid, &status, 0);
  expect_eq(status, 0);
  expect(memcmp(p, "old", 3) == 0);
}

// Every call number with hostile arguments: any result but a dead machine is fine.
TEST_TIMED(every_call_with_bad_pointers, 120)
{
  static const long skip_[] = {SYS_exit,
                               SYS_exit_group,
                               SYS_pause,
                               SYS_fork,
                               SYS_vfork,
                               SYS_clone,
                               SYS_reboot,
                               SYS_rt_sigreturn,
                               SYS_rt_sigsuspend,
                               SYS_kill,
                               SYS_tkill,
                               SYS_tgkill,
                               SYS_setsid,
                               SYS_munmap,
                               SYS_brk,
                               SYS_arch_prctl,
                               SYS_sched_setaffinity,
                               SYS_alarm,
                               SYS_setitimer,
                               SYS_rt_sigtimedwait,
                               SYS_select,
                               SYS_pselect6,
                               SYS_ppoll,
                               SYS_poll,
                               SYS_waitid,
                               SYS_wait4,
                               SYS_close_range,
                               SYS_sync,
                               SYS_mprotect,
                               SYS_mremap,
                               SYS_setrlimit,
                               SYS_prlimit64,
                               SYS_vhangup,
                               SYS_swapoff,
                               SYS_personality,
                               SYS_clone3,
                               SYS_setuid,
                               SYS_setreuid,
                               SYS_setresuid,
                               SYS_seccomp,
                               SYS_mlockall,
                               SYS_clock_settime,
                               SYS_settimeofday};
  static const long values[] = {0, 1, 8, -1, 0x7ffffffff000, 0x800000000000, (long)0xffffffff80100000};

  only_here(); // as root on a real machine it could do harm
  for(long nr = 0; nr < 460; nr++) {
    bool no = false;

    for(unsigned i = 0; i < sizeof(skip_) / sizeof(skip_[0]); i++)
      no |= nr == skip_[i];
    if(no)
      continue;
    for(unsigned v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
      pid_t pid = fork();

      if(pid == 0) {
        struct itimerval soon = {.it_value = {0, 30000}};

        close(0);
        dup2(open("/dev/null", O_RDWR), 1);
        setitimer(ITIMER_REAL, &soon, 0);
        syscall(nr, values[v], values[v], values[v], values[v], values[v], values[v]);
        syscall(nr, 1, values[v], values[v], values[v], values[v], values[v]);
        _exit(0);
      }
      need(pid > 0);
      need(waitpid(pid, 0, 0) == pid);
    }
  }
}
