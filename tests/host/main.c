// main.c -- runs the registered tests. Usage: PROGRAM [-l] [test...]   Ends with a line "NAME: N passed, N failed".
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "test.h"

enum { TESTS_MAX = 1000 };
static struct {
  const char *name;
  void (*fn)(void);
} tests[TESTS_MAX];
static int ntests, failures;

void
test_add(const char *name, void (*fn)(void))
{
  if(ntests == TESTS_MAX)
    abort();
  tests[ntests].name = name;
  tests[ntests++].fn = fn;
}

void
test_fail(const char *file, int line, const char *f, ...)
{
  va_list ap;

  failures++;
  fprintf(stderr, "  %s:%d: ", file, line);
  va_start(ap, f);
  vfprintf(stderr, f, ap);
  va_end(ap);
  fputc('\n', stderr);
}

static int
wanted(int argc, char **argv, const char *name)
{
  for(int i = 1; i < argc; i++)
    if(strcmp(argv[i], name) == 0)
      return 1;
  return argc < 2;
}

int
main(int argc, char **argv)
{
  const char *slash = strrchr(argv[0], '/'), *me = slash ? slash + 1 : argv[0];
  int passed = 0, failed = 0;

  for(int i = 0; i < ntests; i++) {
    if(argc > 1 && strcmp(argv[1], "-l") == 0) {
      puts(tests[i].name);
      continue;
    }
    if(!wanted(argc, argv, tests[i].name))
      continue;
    failures = 0;
    tests[i].fn();
    failures ? failed++ : passed++;
    printf("%s %s/%s\n", failures ? "FAIL" : "ok", me, tests[i].name);
    fflush(stdout);
  }
  if(argc < 2 || strcmp(argv[1], "-l") != 0)
    printf("%s: %d passed, %d failed\n", me, passed, failed);
  return failed != 0;
}
