// locks.c -- advisory locks: fcntl's records, by process and by open file, and flock.
#include "t.h"
#include <sys/file.h>

static char path[64];

static int
fresh(void)
{
  int fd;

  snprintf(path, sizeof(path), "/tmp/locks.%d", getpid());
  fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  need(fd >= 0);
  unlink(path);
  return fd;
}

// The same file opened once more.
static int
again(int fd)
{
  char name[64];
  int n;

  snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
  n = open(name, O_RDWR);
  need(n >= 0);
  return n;
}

static int
lock(int fd, int cmd, int type, off_t start, off_t len)
{
  struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};

  return fcntl(fd, cmd, &l);
}

struct probe {
  int fd, type;
  off_t start, len;
  struct flock seen;
};

static void
probe_run(void *arg)
{
  struct probe *p = arg;

  p->seen = (struct flock){.l_type = p->type, .l_whence = SEEK_SET, .l_start = p->start, .l_len = p->len};
  if(fcntl(p->fd, F_GETLK, &p->seen) < 0)
    p->seen.l_type = 99;
}

// What another process would meet: F_UNLCK if nothing.
static struct flock
others(int fd, int type, off_t start, off_t len)
{
  struct probe *p = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  struct flock l;

  *p = (struct probe){.fd = fd, .type = type, .start = start, .len = len};
  in_child(probe_run, p);
  l = p->seen;
  munmap(p, PAGE);
  return l;
}

TEST(records_are_seen_by_others_only)
{
  int fd = fresh();
  struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

  expect_eq(lock(fd, F_SETLK, F_WRLCK, 10, 20), 0);
  expect_eq(fcntl(fd, F_GETLK, &l), 0);
  expect_eq(l.l_type, F_UNLCK);
  l = others(fd, F_RDLCK, 0, 0);
  expect(l.l_type == F_WRLCK && l.l_start == 10 && l.l_len == 20 && l.l_pid == getpid() && l.l_whence == SEEK_SET);
  expect_eq(others(fd, F_WRLCK, 0, 10).l_type, F_UNLCK);
  expect_eq(others(fd, F_WRLCK, 30, 0).l_type, F_UNLCK);
  expect_eq(others(fd, F_WRLCK, 29, 1).l_type, F_WRLCK);
}

TEST(records_split_and_join)
{
  int fd = fresh();
  struct flock l;

  expect_eq(lock(fd, F_SETLK, F_WRLCK, 0, 100), 0);
  expect_eq(lock(fd, F_SETLK, F_UNLCK, 40, 10), 0);
  expect_eq(others(fd, F_WRLCK, 40, 10).l_type, F_UNLCK);
  l = others(fd, F_WRLCK, 0, 100);
  expect(l.l_start == 0 && l.l_len == 40);
  l = others(fd, F_WRLCK, 41, 0);
  expect(l.l_start == 50 && l.l_len == 50);
  expect_eq(lock(fd, F_SETLK, F_RDLCK, 30, 30), 0);
  expect_eq(others(fd, F_RDLCK, 30, 30).l_type, F_UNLCK);
  l = others(fd, F_WRLCK, 30, 30);
  expect(l.l_type == F_RDLCK && l.l_start == 30 && l.l_len == 30);
  expect_eq(lock(fd, F_SETLK, F_WRLCK, 20, 0), 0);
  l = others(fd, F_RDLCK, 99, 1);
  expect(l.l_type == F_WRLCK && l.l_start == 0 && l.l_len == 0);
  expect_eq(lock(fd, F_SETLK, F_UNLCK, 0, 0), 0);
  expect_eq(others(fd, F_WRLCK, 0, 0).l_type, F_UNLCK);
}

TEST(record_arguments)
{
  int fd = fresh(), rd;
  char name[64];
  struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_END, .l_start = -10, .l_len = -5};

  expect_errno(lock(fd, F_SETLK, 7, 0, 0), EINVAL);
  expect_errno(lock(fd, F_SETLK, F_WRLCK, -1, 0), EINVAL);
  expect_errno(lock(fd, F_SETLK, F_WRLCK, 0, -1), EINVAL);
  expect_errno(lock(fd, F_SETLK, F_WRLCK, INT64_MAX, 2), EOVERFLOW);
  expect_errno(fcntl(fd, F_SETLK, (void *)8), EFAULT);
  expect_errno(lock(-1, F_SETLK, F_WRLCK, 0, 0), EBADF);
  expect_eq(ftruncate(fd, 100), 0);
  expect_eq(fcntl(fd, F_SETLK, &l), 0);
  l = others(fd, F_WRLCK, 0, 0);
  expect(l.l_start == 85 && l.l_len == 5);
  snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
  rd = open(name, O_RDONLY);
  expect_errno(lock(rd, F_SETLK, F_WRLCK, 0, 0), EBADF);
  expect_eq(lock(rd, F_SETLK, F_RDLCK, 0, 0), 0);
  expect_errno(flock(fd, 0), EINVAL);
  expect_errno(flock(-1, LOCK_SH), EBADF);
}

TEST(closing_any_descriptor_frees_the_records)
{
  int fd = fresh(), other = again(fd);

  expect_eq(lock(fd, F_SETLK, F_WRLCK, 0, 0), 0);
  expect_eq(others(fd, F_WRLCK, 0, 0).l_type, F_WRLCK);
  close(other);
  expect_eq(others(fd, F_WRLCK, 0, 0).l_type, F_UNLCK);
}

static void
take(void *arg)
{
  expect_eq(lock(*(int *)arg, F_SETLK, F_WRLCK, 0, 0), 0);
}

TEST(records_end_with_their_process)
{
  int fd = fresh();

  expect_eq(in_child(take, &fd), 0);
  expect_eq(lock(fd, F_SETLK, F_WRLCK, 0, 0), 0);
  expect_eq(others(fd, F_WRLCK, 0, 0).l_type, F_WRLCK); // a child inherits none
}

static void
on_alarm(int sig)
{
}

TEST(waiting_for_a_record)
{
  int fd = fresh(), ready[2], status;
  struct sigaction sa = {.sa_handler = on_alarm};
  char c;
  pid_t pid;

  need(pipe(ready) == 0);
  pid = fork();
  if(pid == 0) {
    take(&fd);
    (void)!write(ready[1], "x", 1);
    usleep(300000);
    _exit(t_failures);
  }
  need(read(ready[0], &c, 1) == 1);
  expect_errno(lock(fd, F_SETLK, F_RDLCK, 5, 1), EAGAIN);
  sigaction(SIGALRM, &sa, 0);
  setitimer(ITIMER_REAL, &(struct itimerval){.it_value.tv_usec = 50000}, 0);
  expect_errno(lock(fd, F_SETLKW, F_RDLCK, 5, 1), EINTR);
  expect_eq(lock(fd, F_SETLKW, F_RDLCK, 5, 1), 0);
  need(waitpid(pid, &status, 0) == pid);
  expect_eq(status, 0);
}

TEST(deadlock_is_seen)
{
  int fd = fresh(), ready[2], status, r;
  char c;
  pid_t pid;

  need(pipe(ready) == 0);
  expect_eq(lock(fd, F_SETLK, F_WRLCK, 0, 1), 0);
  pid = fork();
  if(pid == 0) {
    lock(fd, F_SETLK, F_WRLCK, 1, 1);
    (void)!write(ready[1], "x", 1);
    r = lock(fd, F_SETLKW, F_WRLCK, 0, 1);
    _exit(r == 0 ? 0 : errno);
  }
  need(read(ready[0], &c, 1) == 1);
  usleep(200000);
  expect_errno(lock(fd, F_SETLKW, F_WRLCK, 1, 1), EDEADLK);
  expect_eq(lock(fd, F_SETLK, F_UNLCK, 0, 0), 0);
  need(waitpid(pid, &status, 0) == pid);
  expect_eq(status, 0);
}

TEST(records_of_open_files)
{
  int fd = fresh(), other = again(fd), copy = dup(fd);
  struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_pid = 1};

  expect_eq(lock(fd, F_OFD_SETLK, F_WRLCK, 0, 10), 0);
  expect_errno(lock(other, F_OFD_SETLK, F_RDLCK, 0, 10), EAGAIN);
  expect_errno(lock(fd, F_SETLK, F_RDLCK, 0, 10), EAGAIN); // the process is another owner
  expect_errno(fcntl(fd, F_OFD_SETLK, &l), EINVAL);
  l.l_pid = 0;
  expect_eq(fcntl(other, F_OFD_GETLK, &l), 0);
  expect(l.l_type == F_WRLCK && l.l_pid == -1 && l.l_len == 10);
  close(fd);
  expect_errno(lock(other, F_OFD_SETLK, F_RDLCK, 0, 10), EAGAIN);
  close(copy);
  expect_eq(lock(other, F_OFD_SETLK, F_RDLCK, 0, 10), 0);
}

TEST(whole_files)
{
  int fd = fresh(), other = again(fd), copy = dup(fd);

  expect_eq(flock(fd, LOCK_SH), 0);
  expect_eq(flock(other, LOCK_SH | LOCK_NB), 0);
  expect_errno(flock(fd, LOCK_EX | LOCK_NB), EAGAIN);
  expect_eq(flock(other, LOCK_UN), 0);
  expect_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
  expect_eq(flock(copy, LOCK_EX | LOCK_NB), 0);
  expect_errno(flock(other, LOCK_SH | LOCK_NB), EAGAIN);
  expect_eq(lock(other, F_SETLK, F_WRLCK, 0, 0), 0); // the two families do not meet
  close(fd);
  expect_errno(flock(other, LOCK_SH | LOCK_NB), EAGAIN);
  close(copy);
  expect_eq(flock(other, LOCK_SH | LOCK_NB), 0);
}

static void
bump(int fd, int rounds, bool whole)
{
  for(int i = 0; i < rounds; i++) {
    long n = 0;

    expect_eq(whole ? flock(fd, LOCK_EX) : lock(fd, F_SETLKW, F_WRLCK, 0, 8), 0);
    expect(pread(fd, &n, 8, 0) >= 0);
    n++;
    expect_eq(pwrite(fd, &n, 8, 0), 8);
    expect_eq(whole ? flock(fd, LOCK_UN) : lock(fd, F_SETLK, F_UNLCK, 0, 8), 0);
  }
}

TEST_TIMED(many_processes_take_turns, 200)
{
  enum { PROCS = 6, ROUNDS = 300 };
  int fd = fresh();
  long n;

  for(int whole = 0; whole <= 1; whole++) {
    need(ftruncate(fd, 0) == 0 && ftruncate(fd, 8) == 0);
    for(int i = 0; i < PROCS; i++)
      if(fork() == 0) {
        bump(again(fd), ROUNDS, whole);
        _exit(t_failures != 0);
      }
    for(int i = 0, status; i < PROCS; i++) {
      need(wait(&status) > 0);
      expect_eq(status, 0);
    }
    expect_eq(pread(fd, &n, 8, 0), 8);
    expect_eq(n, PROCS * ROUNDS);
  }
}

static void
niceness(void *arg)
{
  expect_eq(getpriority(PRIO_PROCESS, 0), 0);
  expect_eq(setpriority(PRIO_PROCESS, 0, 7), 0);
  expect_eq(getpriority(PRIO_PROCESS, 0), 7);
  expect_eq(setpriority(PRIO_PROCESS, 0, 100), 0);
  expect_eq(getpriority(PRIO_PROCESS, 0), 19);
  expect_errno(setpriority(9, 0, 0), EINVAL);
  expect_errno(getpriority(PRIO_PROCESS, 999999), ESRCH);
  need(setuid(1000) == 0);
  expect_errno(setpriority(PRIO_PROCESS, 0, 3), EACCES);
  expect_errno(setpriority(PRIO_PROCESS, 1, 3), EPERM);
  expect_eq(getpriority(PRIO_PROCESS, 0), 19);
}

TEST(niceness_is_kept)
{
  if(getuid())
    skip("needs root");
  expect_eq(in_child(niceness, 0), 0);
}
