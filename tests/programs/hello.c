// hello.c -- the smallest program with a constructor, thread-local data, floating point and an exit handler.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static __thread int local = 3;
static int constructed;
static double zeros[100000];

__attribute__((constructor)) static void
construct(void)
{
  constructed = 1;
}

static void
bye(void)
{
  puts("bye");
}

int
main(int argc, char **argv)
{
  volatile double two = 2;
  double sum = 0;

  atexit(bye);
  for(int i = 0; i < 100000; i++)
    sum += zeros[i];
  printf("hello %d %d %.15f %g %s\n", local, constructed, sqrt(two), sum, argc > 1 ? argv[argc - 1] : "");
  return argc;
}
