// process.c -- fork, exec, exit, wait, signals, groups; nothing leaks, nothing hangs.
#define T_OWN_MAIN
#include "t.h"
#include <sys/prctl.h>

static char self[256];

static void
find_self(void)
{
  ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

  self[n > 0 ? n : 0] = 0;
}

static long
free_frames(void)
{
  return proc_figure("/proc/meminfo", "MemFree") / 4;
}

static int
run(char *const argv[], char *const envp[])
{
  int status;
  pid_t pid = fork();

  need(pid >= 0);
  if(pid == 0) {
    execve(argv[0], argv, envp);
    _exit(126);
  }
  need(waitpid(pid, &status, 0) == pid);
  return status;
}

// The program is its own child: see T_CHILD in main.
TEST_TIMED(fork_exec_exit_10000_times_leaks_nothing, 600) // E07
{
  char *argv[] = {self, "T_CHILD", 0}, *none[] = {0};
  int rounds = getenv("T_SOAK") && atoi(getenv("T_SOAK")) ? 10000 : 2000;
  long before;

  for(int i = 0; i < 200; i++) // every CPU has filled what it keeps at hand
    need(run(argv, none) == 0);
  before = free_frames();
  for(int i = 0; i < rounds; i++)
    need(run(argv, none) == 0);
  if(here() && before - free_frames() > 32)
    t_fail(__FILE__, __LINE__, "expected MemFree where it was, %ld frames are missing after %d rounds",
           before - free_frames(), rounds);
}

TEST(exit_status_is_exact)
{
  for(int i = 0; i < 256; i += 51) {
    int status;
    pid_t pid = fork();

    if(pid == 0)
      _exit(i);
    expect_eq(waitpid(pid, &status, 0), pid);
    expect(WIFEXITED(status) && WEXITSTATUS(status) == i);
  }
}

TEST(wait_for_nobody_is_ECHILD)
{
  expect_errno(wait(0), ECHILD);
  expect_errno(waitpid(1, 0, 0), ECHILD);
}

TEST(wait_nohang_and_stop)
{
  int status;
  pid_t pid = fork();

  if(pid == 0)
    for(;;)
      pause();
  expect_eq(waitpid(pid, &status, WNOHANG), 0);
  kill(pid, SIGSTOP);
  expect_eq(waitpid(pid, &status, WUNTRACED), pid);
  expect(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
  kill(pid, SIGCONT);
  expect_eq(waitpid(pid, &status, WCONTINUED), pid);
  expect(WIFCONTINUED(status));
  kill(pid, SIGKILL);
  expect_eq(waitpid(pid, &status, 0), pid);
  expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

TEST(orphans_go_to_init)
{
  int fd[2];
  pid_t pid, parent = 0;

  need(pipe(fd) == 0);
  pid = fork();
  if(pid == 0) {
    if(fork() == 0) {
      while(getppid() == 0 || kill(getppid(), 0) == 0) {
        pid_t now = getppid();

        if(write(fd[1], &now, sizeof(now)) < 0 || now == 1)
          break;
        usleep(1000);
      }
    }
    _exit(0);
  }
  close(fd[1]);
  waitpid(pid, 0, 0);
  for(pid_t p; read(fd[0], &p, sizeof(p)) == sizeof(p);)
    parent = p;
  expect(parent != pid);
  if(here())
    expect_eq(parent, 1);
}

static volatile int seen_signal;

static void
see(int sig)
{
  seen_signal = sig;
}

// A child that was to end without a signal, or with another one, ends with SIGCHLD once its maker is gone: whoever has
// it then need not know how it was made.
TEST(an_orphan_ends_with_SIGCHLD)
{
  int status = 0;
  pid_t pid;

  need(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
  pid = fork();
  if(pid == 0) {
    if(syscall(SYS_clone, 0, 0, 0, 0, 0) == 0) {
      usleep(100000); // until the maker is gone
      _exit(7);
    }
    _exit(0);
  }
  need(waitpid(pid, 0, 0) == pid);
  expect(waitpid(-1, &status, 0) > 0); // without __WALL
  expect(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

// A sibling ends as its maker would: nobody chooses what signal somebody else's parent gets.
TEST(a_sibling_cannot_choose_the_signal)
{
  int status = 0;
  pid_t pid;

  signal(SIGUSR1, see);
  signal(SIGCHLD, see);
  pid = fork();
  if(pid == 0) {
    if(syscall(SYS_clone, CLONE_PARENT | SIGUSR1, 0, 0, 0, 0) == 0)
      _exit(9);
    for(;;)
      pause();
  }
  while(waitpid(-1, &status, 0) < 0 && errno == EINTR)
    ;
  expect(WIFEXITED(status) && WEXITSTATUS(status) == 9);
  expect_eq(seen_signal, SIGCHLD);
  kill(pid, SIGKILL);
}

TEST(failing_exec_leaves_the_old_image) // E06
{
  char *argv[] = {"x", 0};
  char *p = map(PAGE);
  int fd = open("/tmp/notelf", O_CREAT | O_RDWR | O_TRUNC, 0755);

  p[0] = 5;
  need(write(fd,
             "\x7f"
             "ELFgarbage",
             11) == 11);
  close(fd);
  expect_errno(execve("/tmp/notelf", argv, 0), ENOEXEC);
  expect_errno(execve("/tmp/nonexistent", argv, 0), ENOENT);
  expect_errno(execve("/tmp", argv, 0), EACCES);
  chmod("/tmp/notelf", 0644);
  expect_errno(execve("/tmp/notelf", argv, 0), EACCES);
  expect_errno(execve("/tmp/notelf/x", argv, 0), ENOTDIR);
  unlink("/tmp/notelf");
  expect_eq(p[0], 5);
}

TEST(argument_list_too_long) // Z09
{
  static char *argv[100];
  char *big = malloc(200000);

  memset(big, 'a', 199999);
  big[199999] = 0;
  argv[0] = self;
  for(int i = 1; i < 50; i++)
    argv[i] = big;
  expect_errno(execve(self, argv, 0), E2BIG);
}

TEST(script_with_interpreter)
{
  char *argv[] = {"/tmp/script", "one", 0}, *none[] = {0};
  int fd = open("/tmp/script", O_CREAT | O_WRONLY | O_TRUNC, 0755);

  need(write(fd, "#!/bin/sh -e\ntest \"$1\" = one || exit 9\nexit 3\n", 47) > 0);
  close(fd);
  expect_eq(WEXITSTATUS(run(argv, none)), 3);
  unlink("/tmp/script");
}

TEST(closing_on_exec)
{
  char word[16], *argv[] = {self, "T_FD", word, 0}, *none[] = {0};
  int keep = dup(1), drop = fcntl(1, F_DUPFD_CLOEXEC, 10);

  snprintf(word, sizeof(word), "%d", keep);
  expect_eq(run(argv, none), 0);
  snprintf(word, sizeof(word), "%d", drop);
  expect(run(argv, none) != 0);
}

TEST(vfork_shares_memory) // K11
{
  static volatile int shared;
  int status;
  pid_t pid = vfork();

  if(pid == 0) {
    shared = 77;
    _exit(0);
  }
  expect_eq(shared, 77);
  waitpid(pid, &status, 0);
}

static volatile sig_atomic_t hits;

static void
hit(int sig)
{
  hits++;
}

TEST(signals_block_and_come_later)
{
  sigset_t set, old, pending;

  signal(SIGUSR1, hit);
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, &old);
  kill(getpid(), SIGUSR1);
  kill(getpid(), SIGUSR1);
  expect_eq(hits, 0);
  sigpending(&pending);
  expect(sigismember(&pending, SIGUSR1));
  sigprocmask(SIG_SETMASK, &old, 0);
  expect_eq(hits, 1);
}

TEST(read_is_interrupted_or_restarted)
{
  struct sigaction sa = {.sa_handler = hit};
  struct itimerval once = {.it_value = {0, 50000}}, off = {0};
  int fd[2];
  char c;
  pid_t pid;

  need(pipe(fd) == 0);
  sigaction(SIGALRM, &sa, 0);
  setitimer(ITIMER_REAL, &once, 0);
  expect_errno(read(fd[0], &c, 1), EINTR);
  sa.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &sa, 0);
  setitimer(ITIMER_REAL, &once, 0);
  pid = fork();
  if(pid == 0) {
    usleep(300000);
    _exit(write(fd[1], "z", 1) != 1);
  }
  expect_eq(read(fd[0], &c, 1), 1);
  expect_eq(hits, 2);
  setitimer(ITIMER_REAL, &off, 0);
  waitpid(pid, 0, 0);
}

TEST(write_to_a_broken_pipe)
{
  int fd[2];

  need(pipe(fd) == 0);
  close(fd[0]);
  signal(SIGPIPE, SIG_IGN);
  expect_errno(write(fd[1], "x", 1), EPIPE);
}

TEST(nanosleep_sleeps)
{
  struct timespec t = {0, 30000000}, a, b;

  clock_gettime(CLOCK_MONOTONIC, &a);
  expect(nanosleep(&t, 0) == 0);
  clock_gettime(CLOCK_MONOTONIC, &b);
  expect((b.tv_sec - a.tv_sec) * 1000000000ll + b.tv_nsec - a.tv_nsec >= 30000000);
}

static void
bomb(void *arg)
{
  struct rlimit few = {200, 200};

  setrlimit(RLIMIT_NPROC, &few);
  if(getuid() == 0 && setuid(65534) < 0)
    _exit(3);
  setpgid(0, 0);
  for(int i = 0; i < 5000; i++)
    if(fork() < 0)
      break;
  usleep(100000);
  kill(0, SIGKILL);
}

TEST_TIMED(fork_bomb_ends_with_an_error, 120)
{
  in_child(bomb, 0);
  expect_eq(in_child(bomb, 0) & 0x7f, SIGKILL);
}

// More memory than there is: somebody is killed or told ENOMEM; everything comes back.
TEST_TIMED(memory_hog_is_stopped, 240) // G12
{
  long before = free_frames();
  int status;
  pid_t pid;

  only_here();
  pid = fork();
  if(pid == 0) {
    for(;;) {
      char *p = mmap(0, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

      if(p == MAP_FAILED)
        _exit(1);
      for(size_t i = 0; i < 64 << 20; i += PAGE)
        p[i] = 1;
    }
  }
  expect_eq(waitpid(pid, &status, 0), pid);
  expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  if(before - free_frames() > 512)
    t_fail(__FILE__, __LINE__, "expected the hog's memory back, %ld frames are missing", before - free_frames());
}

static void
many_hogs(void *arg)
{
  for(int i = 0; i < 6; i++)
    if(fork() == 0)
      break;
  for(size_t n = 0; n < 100; n++) {
    char *p = mmap(0, 16 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if(p == MAP_FAILED)
      _exit(1);
    for(size_t i = 0; i < 16 << 20; i += PAGE)
      p[i] = 1;
  }
  while(wait(0) > 0)
    ;
}

TEST_TIMED(several_hogs_at_once, 300)
{
  only_here();
  in_child(many_hogs, 0);
  expect(map(PAGE)[0] == 0);
}

int
main(int argc, char **argv)
{
  if(argc >= 2 && strcmp(argv[1], "T_CHILD") == 0)
    return 0;
  if(argc >= 3 && strcmp(argv[1], "T_FD") == 0)
    return fcntl(atoi(argv[2]), F_GETFD) < 0;
  find_self();
  return t_main(argc, argv);
}
