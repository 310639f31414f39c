// threads.c -- threads, futexes, signals between threads, process groups and what exec and exit do to them.
#include "t.h" // first: it asks for the GNU names
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
  FUTEX_WAIT = 0,
  FUTEX_WAKE = 1,
  FUTEX_WAIT_BITSET = 9,
  FUTEX_WAIT_PRIVATE = 128,
  FUTEX_WAKE_PRIVATE = 129,
  FUTEX_CMP_REQUEUE_PRIVATE = 132
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static long counter;

static void *
count_up(void *arg)
{
  for(int i = 0; i < 20000; i++) {
    pthread_mutex_lock(&lock);
    counter++;
    pthread_mutex_unlock(&lock);
  }
  return arg;
}

TEST(mutex_counts_exactly)
{
  pthread_t t[8];

  counter = 0;
  for(int i = 0; i < 8; i++)
    expect_eq(pthread_create(&t[i], 0, count_up, 0), 0);
  for(int i = 0; i < 8; i++)
    expect_eq(pthread_join(t[i], 0), 0);
  expect_eq(counter, 160000);
}

static int turn;

static void *
ping(void *arg)
{
  long me = (long)arg;

  for(int i = 0; i < 2000; i++) {
    pthread_mutex_lock(&lock);
    while(turn != me)
      pthread_cond_wait(&cond, &lock);
    turn = !me;
    pthread_cond_broadcast(&cond);
    pthread_mutex_unlock(&lock);
  }
  return 0;
}

TEST(condition_ping_pong)
{
  pthread_t a, b;

  turn = 0;
  pthread_create(&a, 0, ping, (void *)0);
  pthread_create(&b, 0, ping, (void *)1);
  expect_eq(pthread_join(a, 0), 0);
  expect_eq(pthread_join(b, 0), 0);
}

static long
futex(int *addr, int op, int val, void *t, int *addr2, int val3)
{
  return syscall(SYS_futex, addr, op, val, t, addr2, val3);
}

TEST(futex_errors_and_timeouts)
{
  static int word = 5;
  struct timespec ts = {0, 20000000}, bad = {0, 2000000000};

  expect(futex(&word, FUTEX_WAIT, 4, 0, 0, 0) == -1 && errno == EAGAIN);
  expect(futex(&word, FUTEX_WAIT, 5, &ts, 0, 0) == -1 && errno == ETIMEDOUT);
  expect(futex(&word, FUTEX_WAIT, 5, &bad, 0, 0) == -1 && errno == EINVAL);
  expect(futex((int *)((char *)&word + 1), FUTEX_WAIT, 5, 0, 0, 0) == -1 && errno == EINVAL);
  expect(futex((int *)0x1000, FUTEX_WAIT, 5, 0, 0, 0) == -1 && errno == EFAULT);
  expect_eq(futex(&word, FUTEX_WAKE, 1, 0, 0, 0), 0);
  expect(futex(&word, FUTEX_WAIT_BITSET, 5, 0, 0, 0) == -1 && errno == EINVAL);
}

static _Atomic int go, woken;
static int word1, word2;

static void *
waiter(void *arg)
{
  go++;
  futex(&word1, FUTEX_WAIT_PRIVATE, 0, 0, 0, 0);
  woken++;
  return arg;
}

TEST(requeue_moves_waiters)
{
  pthread_t t[4];

  go = woken = word1 = word2 = 0;
  for(int i = 0; i < 4; i++)
    pthread_create(&t[i], 0, waiter, 0);
  while(go < 4)
    sched_yield();
  usleep(50000);
  expect(futex(&word1, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)10, &word2, 1) == -1 && errno == EAGAIN);
  expect_eq(futex(&word1, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)10, &word2, 0), 4);
  usleep(50000);
  expect_eq(woken, 1);
  expect_eq(futex(&word1, FUTEX_WAKE_PRIVATE, 10, 0, 0, 0), 0);
  expect_eq(futex(&word2, FUTEX_WAKE_PRIVATE, 10, 0, 0, 0), 3);
  for(int i = 0; i < 4; i++)
    pthread_join(t[i], 0);
}

TEST(futex_between_processes)
{
  int *w = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), status;
  pid_t pid = fork();

  if(pid == 0) {
    while(__atomic_load_n(w, __ATOMIC_SEQ_CST) == 0)
      futex(w, FUTEX_WAIT, 0, 0, 0, 0);
    _exit(7);
  }
  usleep(30000);
  __atomic_store_n(w, 1, __ATOMIC_SEQ_CST);
  futex(w, FUTEX_WAKE, 1, 0, 0, 0);
  expect_eq(waitpid(pid, &status, 0), pid);
  expect(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

TEST(robust_mutex_owner_died)
{
  pthread_mutexattr_t a;
  pthread_mutex_t *m = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pid_t pid;

  pthread_mutexattr_init(&a);
  pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
  pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
  pthread_mutex_init(m, &a);
  pid = fork();
  if(pid == 0) {
    pthread_mutex_lock(m);
    usleep(50000);
    _exit(0); // with the mutex held
  }
  usleep(20000);
  expect_eq(pthread_mutex_lock(m), EOWNERDEAD);
  expect_eq(pthread_mutex_consistent(m), 0);
  expect_eq(pthread_mutex_unlock(m), 0);
  waitpid(pid, 0, 0);
}

static void *
spin_forever(void *arg)
{
  for(;;)
    go++;
  return arg;
}

TEST(exit_group_ends_spinning_threads)
{
  pid_t pid = fork();
  int status;

  if(pid == 0) {
    pthread_t t;

    for(int i = 0; i < 4; i++)
      pthread_create(&t, 0, spin_forever, 0);
    usleep(20000);
    exit(42);
  }
  expect_eq(waitpid(pid, &status, 0), pid);
  expect(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

static void *
exec_true(void *arg)
{
  char *argv[] = {"sh", "-c", "exit $(($$ == $WANT ? 9 : 8))", 0}, env[32], *envp[] = {env, "PATH=/bin", 0};

  snprintf(env, sizeof(env), "WANT=%d", getpid());
  execve("/bin/sh", argv, envp);
  _exit(1);
  return arg;
}

TEST(exec_from_a_thread_takes_the_pid)
{
  pid_t pid = fork();
  int status;

  if(pid == 0) {
    pthread_t t;

    pthread_create(&t, 0, spin_forever, 0);
    pthread_create(&t, 0, exec_true, 0);
    pause();
  }
  expect_eq(waitpid(pid, &status, 0), pid);
  expect(WIFEXITED(status) && WEXITSTATUS(status) == 9);
}

TEST(kill_ends_all_threads)
{
  pid_t pid = fork();
  int status;

  if(pid == 0) {
    pthread_t t;

    for(int i = 0; i < 3; i++)
      pthread_create(&t, 0, i ? spin_forever : waiter, 0);
    pause();
  }
  usleep(30000);
  expect_eq(kill(pid, SIGTERM), 0);
  expect_eq(waitpid(pid, &status, 0), pid);
  expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

TEST(leader_exits_first)
{
  pid_t pid = fork();
  int status;

  if(pid == 0) {
    pthread_t t;

    word1 = 0;
    pthread_create(&t, 0, waiter, 0);
    usleep(10000);
    if(fork() == 0) {
      usleep(100000);
      _exit(0);
    }
    syscall(SYS_exit, 3); // the thread waits on: the process lives
  }
  usleep(50000);
  expect_eq(waitpid(pid, &status, WNOHANG), 0);
  expect_eq(kill(pid, SIGKILL), 0);
  expect_eq(waitpid(pid, &status, 0), pid);
  expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static _Atomic int got;
static siginfo_t last;

static void
on_signal(int sig, siginfo_t *si, void *uc)
{
  got++;
  last = *si;
}

TEST(realtime_signals_queue_in_order)
{
  struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
  sigset_t set, old;
  siginfo_t si;

  sigaction(SIGRTMIN + 3, &sa, 0);
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN + 3);
  sigprocmask(SIG_BLOCK, &set, &old);
  for(int i = 0; i < 5; i++)
    expect_eq(sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = 100 + i}), 0);
  for(int i = 0; i < 3; i++) {
    expect_eq(sigwaitinfo(&set, &si), SIGRTMIN + 3);
    expect_eq(si.si_value.sival_int, 100 + i);
    expect_eq(si.si_code, SI_QUEUE);
  }
  got = 0;
  sigprocmask(SIG_SETMASK, &old, 0);
  expect_eq(got, 2);
  expect_eq(last.si_value.sival_int, 104);
}

TEST(sigtimedwait_times_out)
{
  struct timespec ts = {0, 10000000};
  sigset_t set;

  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, 0);
  expect(sigtimedwait(&set, 0, &ts) == -1 && errno == EAGAIN);
  kill(getpid(), SIGUSR1);
  expect_eq(sigtimedwait(&set, 0, &ts), SIGUSR1);
  sigprocmask(SIG_UNBLOCK, &set, 0);
}

TEST(stop_and_continue_are_reported)
{
  pid_t pid = fork();
  siginfo_t si;
  int status;

  if(pid == 0)
    for(;;)
      go++;
  kill(pid, SIGSTOP);
  expect_eq(waitpid(pid, &status, WUNTRACED), pid);
  expect(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
  expect_eq(waitpid(pid, &status, WUNTRACED | WNOHANG), 0);
  kill(pid, SIGCONT);
  memset(&si, 0, sizeof(si));
  expect_eq(waitid(P_PID, pid, &si, WCONTINUED), 0);
  expect_eq(si.si_code, CLD_CONTINUED);
  kill(pid, SIGKILL);
  expect_eq(waitid(P_PID, pid, &si, WEXITED | WNOWAIT), 0);
  expect(si.si_code == CLD_KILLED && si.si_status == SIGKILL && si.si_pid == pid);
  expect_eq(waitpid(pid, &status, 0), pid);
}

TEST(ignored_SIGCHLD_leaves_no_zombie)
{
  struct sigaction old, ign = {.sa_handler = SIG_IGN};

  sigaction(SIGCHLD, &ign, &old);
  for(int i = 0; i < 10; i++)
    if(fork() == 0)
      _exit(i);
  expect(wait(0) == -1 && errno == ECHILD);
  sigaction(SIGCHLD, &old, 0);
}

TEST(subreaper_gets_orphans)
{
  int status, n = 0;
  pid_t pid;

  expect_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  if((pid = fork()) == 0) {
    if(fork() == 0) {
      usleep(30000);
      _exit(5);
    }
    _exit(4);
  }
  while(wait(&status) > 0)
    n += WEXITSTATUS(status);
  expect_eq(n, 9);
  prctl(PR_SET_CHILD_SUBREAPER, 0);
}

TEST(groups_and_sessions)
{
  pid_t pid = fork();
  int status;

  if(pid == 0) {
    int bad = 0;

    bad |= setpgid(0, 0) != 0 || getpgrp() != getpid();
    bad |= setsid() != -1 || errno != EPERM; // leads a group already
    if(fork() == 0)
      _exit(setsid() == getpid() && getsid(0) == getpid() && getpgrp() == getpid() ? 0 : 1);
    wait(&status);
    bad |= status;
    bad |= setpgid(0, 1) != -1 || errno != EPERM;
    _exit(bad);
  }
  expect_eq(waitpid(pid, &status, 0), pid);
  expect_eq(status, 0);
}

TEST(kill_to_a_group)
{
  pid_t lead = fork(), other;
  int status;

  if(lead == 0)
    for(;;)
      pause();
  setpgid(lead, lead);
  if((other = fork()) == 0)
    for(;;)
      pause();
  expect_eq(setpgid(other, lead), 0);
  expect_eq(kill(-lead, SIGINT), 0);
  for(int i = 0; i < 2; i++) {
    expect(waitpid(-lead, &status, 0) > 0);
    expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
  }
  expect(kill(-lead, 0) == -1 && errno == ESRCH);
}

TEST(affinity_moves_the_caller)
{
  cpu_set_t all, one;
  int n = 0;

  expect(sched_getaffinity(0, sizeof(all), &all) == 0);
  for(int c = 0; c < 64; c++) {
    if(!CPU_ISSET(c, &all))
      continue;
    CPU_ZERO(&one);
    CPU_SET(c, &one);
    if(sched_setaffinity(0, sizeof(one), &one) != 0)
      continue;
    n++;
    expect_eq(sched_getcpu(), c);
  }
  expect(n > 0);
  sched_setaffinity(0, sizeof(all), &all);
}

TEST(times_add_up)
{
  struct rusage ru;
  struct timespec t0, t1;
  long cpu, wall;

  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t0);
  for(volatile long i = 0; i < 100000000; i++)
    ;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t1);
  wall = (t1.tv_sec - t0.tv_sec) * 1000 + (t1.tv_nsec - t0.tv_nsec) / 1000000;
  getrusage(RUSAGE_SELF, &ru);
  cpu = (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000 + (ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1000;
  expect(cpu >= wall && wall > 10);
  expect(!here() || (ru.ru_maxrss > 0 && ru.ru_minflt > 0)); // some sandboxes count neither
}

static void *
nothing(void *arg)
{
  return arg;
}

static _Atomic int spinner_tid, sleeper_tid, shown;

static void *
spin_until_shown(void *arg)
{
  spinner_tid = syscall(SYS_gettid);
  while(!shown)
    ;
  return 0;
}

static void *
sleep_until_shown(void *arg)
{
  sleeper_tid = syscall(SYS_gettid);
  while(!shown)
    usleep(500000);
  return 0;
}

// A line of /proc/self/task/TID/NAME that begins with `key`, without it and its white space.
static const char *
task_line(int tid, const char *name, const char *key)
{
  static char line[512];
  char path[80];
  FILE *f;

  snprintf(path, sizeof(path), "/proc/self/task/%d/%s", tid, name);
  f = fopen(path, "r");
  need(f != 0);
  while(fgets(line, sizeof(line), f))
    if(strncmp(line, key, strlen(key)) == 0) {
      fclose(f);
      line[strcspn(line, "\n")] = 0;
      return line + strlen(key) + strspn(line + strlen(key), " \t");
    }
  fclose(f);
  return "";
}

// The ticks of user time of one thread.
static long
task_ticks(int tid)
{
  const char *s = task_line(tid, "stat", "");
  long ticks = -1;

  s = strrchr(s, ')');
  need(s && sscanf(s + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld", &ticks) == 1);
  return ticks;
}

TEST(proc_tells_of_each_thread)
{
  char path[80], want[80], mine[32];
  pthread_t spinner, sleeper;
  long ticks;

  strcpy(mine, task_line(getpid(), "comm", ""));
  need(pthread_create(&spinner, 0, spin_until_shown, 0) == 0 && pthread_create(&sleeper, 0, sleep_until_shown, 0) == 0);
  while(!spinner_tid || !sleeper_tid)
    usleep(1000);
  expect_eq(pthread_setname_np(spinner, "spinner"), 0); // writes to its comm
  expect(strcmp(task_line(spinner_tid, "comm", ""), "spinner") == 0);
  expect(strcmp(task_line(spinner_tid, "status", "Name:"), "spinner") == 0);
  expect(strcmp(task_line(getpid(), "comm", ""), mine) == 0);
  expect(strcmp(task_line(sleeper_tid, "comm", ""), mine) == 0); // from who made it
  snprintf(want, sizeof(want), "%d (spinner) R", spinner_tid);
  expect(strncmp(task_line(spinner_tid, "stat", ""), want, strlen(want)) == 0);
  snprintf(want, sizeof(want), "%d", sleeper_tid);
  expect(strcmp(task_line(sleeper_tid, "status", "Pid:"), want) == 0);
  snprintf(want, sizeof(want), "%d", getpid());
  expect(strcmp(task_line(sleeper_tid, "status", "Tgid:"), want) == 0);
  for(int i = 0; i < 2000 && *task_line(sleeper_tid, "status", "State:") != 'S'; i++)
    usleep(1000);
  expect(*task_line(sleeper_tid, "status", "State:") == 'S');
  ticks = task_ticks(spinner_tid);
  for(int i = 0; i < 10000 && task_ticks(spinner_tid) < ticks + 3; i++)
    usleep(1000);
  expect(task_ticks(spinner_tid) >= ticks + 3);
  expect(task_ticks(sleeper_tid) < task_ticks(spinner_tid));
  shown = true;
  pthread_join(spinner, 0);
  pthread_join(sleeper, 0);
  snprintf(path, sizeof(path), "/proc/self/task/%d/stat", spinner_tid);
  expect(open(path, O_RDONLY) < 0);
}

TEST(many_threads_come_and_go)
{
  for(int round = 0; round < 200; round++) {
    pthread_t t[8];

    for(int i = 0; i < 8; i++)
      expect_eq(pthread_create(&t[i], 0, nothing, 0), 0);
    for(int i = 0; i < 8; i++)
      pthread_join(t[i], 0);
  }
}
