// rules_lock.c -- mlock and its family, brk: rules L01 to L17, B01 to B07.
#define T_OWN_MAIN
#include "rules.h"

#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4
#endif

static long
locked_kib(void)
{
  return proc_figure("/proc/self/status", "VmLck");
}

static long
minor_faults(void)
{
  struct rusage ru;

  need(getrusage(RUSAGE_SELF, &ru) == 0);
  return ru.ru_minflt;
}

TEST(mlock_rounds_to_pages) // L01, L04
{
  char *p = map(8 * PAGE);

  expect(mlock(p + 2 * PAGE + 100, PAGE) == 0); // touches pages 2 and 3
  expect_eq(resident(p, 8 * PAGE), 2);
  expect_eq(resident(p + 2 * PAGE, 2 * PAGE), 2);
  expect_eq(locked_kib(), 8);
  expect(mlock(p + 5 * PAGE, 1) == 0);
  expect_eq(resident(p, 8 * PAGE), 3);
  expect_eq(locked_kib(), 12);
  expect(munlock(p + 3 * PAGE - 1, 1) == 0);
  expect_eq(locked_kib(), 8);
  expect(mlock(p, 0) == 0);
}

TEST(mlock_of_a_hole) // L02, L06
{
  char *p = map(4 * PAGE);

  need(munmap(p + 2 * PAGE, PAGE) == 0);
  expect_errno(mlock(p, 4 * PAGE), ENOMEM);
  expect_errno(munlock(p, 4 * PAGE), ENOMEM);
  expect_errno(mlock(p + 2 * PAGE, PAGE), ENOMEM);
  expect_errno(munlock(p + 2 * PAGE, PAGE), ENOMEM);
}

TEST(mlock_over_the_limit) // L03
{
  char *p = map(16 * PAGE);

  set_limit(RLIMIT_MEMLOCK, 8 * PAGE);
  expect(mlock(p, 16 * PAGE) == 0); // root may
  expect(munlock(p, 16 * PAGE) == 0);
  become_nobody();
  expect_errno(mlock(p, 9 * PAGE), ENOMEM);
  expect(mlock(p, 8 * PAGE) == 0);
  expect_errno(mlock(p + 8 * PAGE, 1), ENOMEM);
  expect(mlock(p, 8 * PAGE) == 0); // counted once
  set_limit(RLIMIT_MEMLOCK, 0);
  expect_errno(mlock(p, PAGE), EPERM);
  expect(munlock(p, 8 * PAGE) == 0);
}

TEST(locks_do_not_nest) // L05
{
  char *p = map(2 * PAGE);

  for(int i = 0; i < 3; i++)
    expect(mlock(p, 2 * PAGE) == 0);
  expect_eq(locked_kib(), 8);
  expect(munlock(p, 2 * PAGE) == 0);
  expect_eq(locked_kib(), 0);
  expect(munlock(p, 2 * PAGE) == 0);
}

TEST(mlock2_) // L07
{
  char *p = map(8 * PAGE);

  expect_errno(syscall(SYS_mlock2, p, PAGE, 2), EINVAL);
  expect_errno(syscall(SYS_mlock2, p, PAGE, -1), EINVAL);
  p[PAGE] = 1;
  expect(syscall(SYS_mlock2, p, 8 * PAGE, MLOCK_ONFAULT) == 0);
  expect_eq(resident(p, 8 * PAGE), 1);
  expect_eq(locked_kib(), 32);
  expect(syscall(SYS_mlock2, p, 8 * PAGE, 0) == 0);
  expect_eq(resident(p, 8 * PAGE), 8);
}

TEST(mlockall_errors) // L08
{
  expect_errno(mlockall(0), EINVAL);
  expect_errno(mlockall(8), EINVAL);
  expect_errno(mlockall(MCL_CURRENT | 64), EINVAL);
  expect_errno(mlockall(MCL_ONFAULT), EINVAL);
}

TEST(mlockall_current) // L04, L14
{
  char *p = map(16 * PAGE);

  p[0] = 1;
  expect(mlockall(MCL_CURRENT) == 0);
  expect_eq(resident(p, 16 * PAGE), 16);
  expect(locked_kib() >= 64);
  expect(munlockall() == 0);
  expect_eq(locked_kib(), 0);
  expect(munlockall() == 0);
}

TEST(mlockall_future) // L09
{
  char *p, *old;

  expect(mlockall(MCL_FUTURE) == 0);
  p = map(16 * PAGE);
  expect_eq(resident(p, 16 * PAGE), 16);
  expect(locked_kib() >= 64); // and what libc mapped meanwhile
  old = (char *)syscall(SYS_brk, 0);
  need((char *)syscall(SYS_brk, old + 4 * PAGE) == old + 4 * PAGE);
  expect(locked_kib() >= 64 + 16);
  munmap(p, 16 * PAGE);
  expect(munlockall() == 0);
  expect_eq(resident(map(16 * PAGE), 16 * PAGE), 0);
}

TEST(mlockall_future_over_the_limit) // L09
{
  char *p;

  set_limit(RLIMIT_MEMLOCK, 1 << 20);
  become_nobody();
  expect(mlockall(MCL_FUTURE) == 0);
  p = raw_mmap(0, 1 << 20, RW, ANON, -1, 0);
  expect(p != MAP_FAILED);
  expect_errno(raw_mmap(0, PAGE, RW, ANON, -1, 0), EAGAIN);
  munmap(p, 1 << 20);
  expect_errno(raw_mmap(0, 2 << 20, RW, ANON, -1, 0), EAGAIN);
}

static void
has_no_locks(void *arg)
{
  expect_eq(locked_kib(), 0);
  expect_eq(resident(map(4 * PAGE), 4 * PAGE), 0); // MCL_FUTURE is gone too
}

TEST(fork_inherits_no_locks) // L10, K06
{
  char *p = map(4 * PAGE);

  need(mlock(p, 4 * PAGE) == 0 && mlockall(MCL_CURRENT | MCL_FUTURE) == 0);
  expect_eq(in_child(has_no_locks, 0), 0);
  expect(locked_kib() >= 16);
}

static void
exec_self(void *arg)
{
  char *argv[] = {"/proc/self/exe", arg, 0}, *none[] = {0};

  map(16 * PAGE);
  need(mlockall(MCL_CURRENT | MCL_FUTURE) == 0);
  execve(argv[0], argv, none);
  _exit(9);
}

TEST(exec_drops_locks) // L11, E01
{
  expect_eq(in_child(exec_self, "T_LOCKED"), 0);
}

TEST(mlock_of_what_cannot_be_touched) // L13, L16
{
  int fd = temp_pages(1);
  char *p = map_prot(PAGE, PROT_NONE), *f = file_at(fd, 4 * PAGE, RW, MAP_SHARED);

  expect_errno(mlock(p, PAGE), ENOMEM);
  expect_errno(mlock(f, 4 * PAGE), ENOMEM);
  expect(mlock(f, PAGE) == 0);
  expect(mlock(map_prot(PAGE, PROT_READ), PAGE) == 0);
}

TEST(mlock_that_wraps) // L15
{
  char *p = map(PAGE);

  expect_errno(mlock(p, -PAGE), EINVAL);
  expect_errno(munlock(p, -PAGE), EINVAL);
}

TEST(mlock_breaks_copy_on_write) // L17
{
  enum { N = 32 };
  char *p = map(N * PAGE);
  int fd[2];
  long before;
  pid_t pid;
  char c;

  need(pipe(fd) == 0);
  memset(p, 'o', N * PAGE);
  pid = fork();
  if(pid == 0) {
    close(fd[1]);
    _exit(read(fd[0], &c, 1) < 0 || differing(p, N * PAGE, 'o') != 0);
  }
  need(mlock(p, N * PAGE) == 0);
  before = minor_faults();
  for(int i = 0; i < N; i++)
    p[i * PAGE] = 'n';
  expect_eq(minor_faults() - before, 0);
  close(fd[1]);
  int status;
  waitpid(pid, &status, 0);
  expect_eq(status, 0);
}

// ---- brk

static char *
brk_to(char *to)
{
  return (char *)syscall(SYS_brk, to);
}

// What is locked shall not have to wait for its copy at the first store.
TEST(mprotect_of_locked_memory_breaks_copy_on_write) // L17
{
  enum { N = 8 };
  char *p = map_prot((N + 1) * PAGE, PROT_READ), *late = map_prot(N * PAGE, PROT_READ);
  long before;

  munmap(p + N * PAGE, PAGE);
  need(mlock(p, N * PAGE) == 0 && syscall(SYS_mlock2, late, N * PAGE, MLOCK_ONFAULT) == 0);
  need(mprotect(p, N / 2 * PAGE, RW) == 0);
  before = minor_faults();
  for(int i = 0; i < N / 2; i++)
    p[i * PAGE] = 1;
  expect_eq(minor_faults() - before, 0);
  expect_errno(mprotect(p + N / 2 * PAGE, (N / 2 + 1) * PAGE, RW), ENOMEM); // what comes before the hole counts
  before = minor_faults();
  for(int i = N / 2; i < N; i++)
    p[i * PAGE] = 1;
  expect_eq(minor_faults() - before, 0);
  need(mprotect(late, N * PAGE, RW) == 0);
  before = minor_faults();
  for(int i = 0; i < N; i++)
    late[i * PAGE] = 1;
  expect(minor_faults() - before >= N);
}

TEST(brk_) // B01
{
  char *start = brk_to(0), *up;

  expect(brk_to(start + 5) == start + 5); // exactly, not rounded
  expect(brk_to(start + 100 * PAGE + 7) == start + 100 * PAGE + 7);
  up = (char *)(((uintptr_t)start + PAGE - 1) & -(uintptr_t)PAGE);
  expect_eq(resident(up + PAGE, 90 * PAGE), 0);
  expect_eq(differing(up, 100 * PAGE, 0), 0);
  memset(up, 'b', 100 * PAGE);
  expect(brk_to(up + 10 * PAGE) == up + 10 * PAGE);
  expect_touch(LOAD, up + 10 * PAGE, SIGSEGV);
  expect(brk_to(up + 20 * PAGE) == up + 20 * PAGE);
  expect_eq(differing(up, 10 * PAGE, 'b'), 0);
  expect_eq(differing(up + 10 * PAGE, 10 * PAGE, 0), 0);
  expect(brk_to((char *)PAGE) == up + 20 * PAGE); // below the start: unchanged
  expect(brk_to((char *)TASK_TOP) == up + 20 * PAGE);
  expect(brk_to((char *)-1) == up + 20 * PAGE);
}

TEST(brk_over_the_limit) // B06
{
  char *start = brk_to(0);

  set_limit(RLIMIT_DATA, 8 << 20);
  expect(brk_to(start + (64 << 20)) == start);
  expect(brk_to(start + PAGE) == start + PAGE);
}

TEST(sbrk_of_musl) // B07
{
  expect(sbrk(0) != (void *)-1);
  expect_errno((long)sbrk(PAGE), ENOMEM);
}

int
main(int argc, char **argv)
{
  if(argc >= 2 && strcmp(argv[1], "T_LOCKED") == 0) {
    has_no_locks(0);
    return t_failures != 0;
  }
  return t_main(argc, argv);
}

TEST(future_locks_on_fault) // L08, L09
{
  char *p;

  need(mlockall(MCL_FUTURE | MCL_ONFAULT) == 0);
  p = map(64 * PAGE);
  expect(locked_kib() >= 64 * 4);
  expect_eq(resident(p, 64 * PAGE), 0); // locked as they come
  p[5 * PAGE] = 1;
  expect_eq(resident(p, 64 * PAGE), 1);
  need(munlockall() == 0);
  expect_eq(locked_kib(), 0);
  need(mlockall(MCL_CURRENT | MCL_ONFAULT) == 0);
  expect(locked_kib() >= 64 * 4);
  expect_eq(resident(p, 64 * PAGE), 1);
  need(munlockall() == 0 && mlockall(MCL_FUTURE) == 0);
  p = map(16 * PAGE);
  expect_eq(resident(p, 16 * PAGE), 16);
}

// Up to the first page that is not mapped, and not further.
TEST(a_hole_ends_it) // L02, L06
{
  char *p = map(6 * PAGE);
  long before = proc_figure("/proc/self/status", "VmLck");

  need(munmap(p + 2 * PAGE, 2 * PAGE) == 0);
  expect_errno(mlock(p, 6 * PAGE), ENOMEM);
  expect_eq(proc_figure("/proc/self/status", "VmLck") - before, 2 * 4);
  expect_errno(mlock(p + 3 * PAGE, 2 * PAGE), ENOMEM);
  expect_eq(proc_figure("/proc/self/status", "VmLck") - before, 2 * 4);
  need(mlock(p + 4 * PAGE, 2 * PAGE) == 0);
  expect_errno(munlock(p + PAGE, 5 * PAGE), ENOMEM);
  expect_eq(proc_figure("/proc/self/status", "VmLck") - before, 3 * 4);
}
