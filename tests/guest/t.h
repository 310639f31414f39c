// t.h -- a guest test is a static Linux program; each TEST runs in a child of its own with a time limit.
//   TEST(fork_shares) { char *p = map(PAGE); ... expect(p[0] == 1); expect_errno(munmap(p, 0), EINVAL); }
// usage of every program: NAME [-l] [test...]   One line a test, "ok NAME/test" or "FAIL NAME/test"; status 0 if all passed.
// They are run on Linux first: Linux is the oracle. A test that Linux is known to fail begins with only_here().
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, TESTS_MAX = 400, TEST_SECONDS = 60, SKIPPED = 77 };

static struct {
  const char *name;
  void (*fn)(void);
  int seconds;
} t_tests[TESTS_MAX];
static int t_ntests, t_failures;

__attribute__((unused)) static void
t_add(const char *name, void (*fn)(void), int seconds)
{
  t_tests[t_ntests].name = name;
  t_tests[t_ntests].fn = fn;
  t_tests[t_ntests++].seconds = seconds;
}

#define TEST_TIMED(test, secs)                                                                                         \
  static void test(void);                                                                                              \
  __attribute__((constructor)) static void t_reg_##test(void)                                                          \
  {                                                                                                                    \
    t_add(#test, test, secs);                                                                                          \
  }                                                                                                                    \
  static void test(void)
#define TEST(name) TEST_TIMED(name, TEST_SECONDS)

__attribute__((format(printf, 3, 4), unused)) static void
t_fail(const char *file, int line, const char *f, ...)
{
  char text[512];
  va_list ap;
  int n = snprintf(text, sizeof(text), "  %s:%d: ", file, line);

  t_failures++;
  va_start(ap, f);
  n += vsnprintf(text + n, sizeof(text) - n, f, ap);
  va_end(ap);
  dprintf(2, "%s\n", text);
}

#define expect(x)                                                                                                      \
  do {                                                                                                                 \
    if(!(x))                                                                                                           \
      t_fail(__FILE__, __LINE__, "expected: %s (errno %d)", #x, errno);                                                \
  } while(0)
#define expect_eq(a, b)                                                                                                \
  do {                                                                                                                 \
    long long a_ = (long long)(a), b_ = (long long)(b);                                                                \
    if(a_ != b_)                                                                                                       \
      t_fail(__FILE__, __LINE__, "%s: expected %lld (%#llx), saw %lld (%#llx)", #a, b_, b_, a_, a_);                   \
  } while(0)
// The call fails with exactly this errno.
#define expect_errno(call, want)                                                                                       \
  do {                                                                                                                 \
    errno = 0;                                                                                                         \
    long r_ = (long)(call);                                                                                            \
    if(r_ != -1 || errno != (want))                                                                                    \
      t_fail(__FILE__, __LINE__, "%s: expected -1 with errno %d (%s), saw %ld with %d (%s)", #call, want,              \
             strerror(want), r_, errno, strerror(errno));                                                              \
  } while(0)
// Leave the test if this does not hold: what follows needs it.
#define need(x)                                                                                                        \
  do {                                                                                                                 \
    if(!(x)) {                                                                                                         \
      t_fail(__FILE__, __LINE__, "needed: %s (errno %d %s)", #x, errno, strerror(errno));                              \
      _exit(1);                                                                                                        \
    }                                                                                                                  \
  } while(0)

// Private anonymous memory, read and write.
__attribute__((unused)) static char *
map(size_t n)
{
  char *p = mmap(0, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  need(p != MAP_FAILED);
  return p;
}

// Run fn(arg) in a child: its wait status.
__attribute__((unused)) static int
in_child(void (*fn)(void *), void *arg)
{
  int status;
  pid_t pid;

  fflush(0);
  pid = fork();
  need(pid >= 0);
  if(pid == 0) {
    t_failures = 0;
    fn(arg);
    _exit(t_failures != 0);
  }
  need(waitpid(pid, &status, 0) == pid);
  return status;
}

// The number behind `key` in a /proc file of "key: number" lines; -1 if it is not there.
__attribute__((unused)) static long
proc_figure(const char *file, const char *key)
{
  char line[512];
  long v = -1;
  FILE *f = fopen(file, "r");

  if(f == 0)
    return -1;
  while(v < 0 && fgets(line, sizeof(line), f))
    if(strncmp(line, key, strlen(key)) == 0 && strchr(": \t", line[strlen(key)]))
      sscanf(line + strlen(key) + 1, "%ld", &v);
  fclose(f);
  return v;
}

__attribute__((unused)) static bool
here(void) // running in lazy6, not on Linux
{
  struct utsname u;

  return uname(&u) == 0 && strstr(u.release, "lazy6") != 0;
}

__attribute__((unused)) static void
skip(const char *why)
{
  printf("  skipped: %s\n", why);
  fflush(0);
  _exit(SKIPPED);
}

// For what Linux does otherwise, or what its figures cannot show on a machine that others use.
__attribute__((unused)) static void
only_here(void)
{
  if(!here())
    skip("only in lazy6");
}

static int
t_run(const char *prog, int i)
{
  int status = 0, waited = 0;
  pid_t pid;

  fflush(0);
  pid = fork();
  if(pid == 0) {
    setpgid(0, 0);
    t_tests[i].fn();
    fflush(0);
    _exit(t_failures != 0);
  }
  for(; pid > 0 && waitpid(pid, &status, WNOHANG) == 0; waited++) {
    struct timespec tick = {0, waited < 100 ? 1000000 : 20000000};

    if(waited > t_tests[i].seconds * 50 + 100) {
      dprintf(2, "  %s: no end after %d seconds\n", t_tests[i].name, t_tests[i].seconds);
      kill(-pid, SIGKILL);
      kill(pid, SIGKILL);
    }
    nanosleep(&tick, 0);
  }
  if(pid > 0)
    kill(-pid, SIGKILL);
  if(pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) {
    printf("skip %s/%s\n", prog, t_tests[i].name);
    return 0;
  }
  if(pid > 0 && WIFSIGNALED(status))
    dprintf(2, "  %s: killed by signal %d\n", t_tests[i].name, WTERMSIG(status));
  printf("%s %s/%s\n", pid > 0 && status == 0 ? "ok" : "FAIL", prog, t_tests[i].name);
  fflush(0);
  return pid < 0 || status != 0;
}

// Run the tests named on the command line, or all.
__attribute__((unused)) static int
t_main(int argc, char **argv)
{
  const char *slash = strrchr(argv[0], '/'), *prog = slash ? slash + 1 : argv[0];
  int failed = 0;

  for(int i = 0; i < t_ntests; i++) {
    bool wanted = argc < 2;

    if(argc == 2 && strcmp(argv[1], "-l") == 0) {
      puts(t_tests[i].name);
      continue;
    }
    for(int k = 1; k < argc; k++)
      wanted |= strcmp(argv[k], t_tests[i].name) == 0;
    if(wanted)
      failed += t_run(prog, i);
  }
  return failed != 0;
}

#ifndef T_OWN_MAIN // a program that is its own child says so and calls t_main itself
int
main(int argc, char **argv)
{
  return t_main(argc, argv);
}
#endif
