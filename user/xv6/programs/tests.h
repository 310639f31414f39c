// tests.h -- for programs that try others: a table of tests, each in a process of its own. A test is over when its function
// returns; it has failed if its process ends in any other way.
struct test {
  char *name;
  void (*run)(void);
};

#define check(x)                                                                                                       \
  do {                                                                                                                 \
    if(!(x)) {                                                                                                         \
      printf(1, "%s:%d: this does not hold: %s\n", __FILE__, __LINE__, #x);                                            \
      exit();                                                                                                          \
    }                                                                                                                  \
  } while(0)

// Does a child that calls f(arg) come back from it?
static int
survives(void (*f)(void *), void *arg)
{
  char c = 0;
  int fds[2], n;

  if(pipe(fds) < 0)
    return 0;
  if(fork() == 0) {
    close(fds[0]);
    f(arg);
    write(fds[1], &c, 1);
    exit();
  }
  close(fds[1]);
  n = read(fds[0], &c, 1);
  close(fds[0]);
  wait();
  return n == 1;
}

static void
run_one(void *test)
{
  ((struct test *)test)->run();
}

// Run those whose name is in argv; without arguments all.
static void
run_tests(struct test *tests, int argc, char **argv)
{
  int i, bad = 0, tried = 0;

  for(; tests->name; tests++) {
    for(i = 1; i < argc && strcmp(argv[i], tests->name) != 0; i++)
      ;
    if(argc > 1 && i == argc)
      continue;
    tried++;
    if(survives(run_one, tests)) {
      printf(1, "ok %s\n", tests->name);
    } else {
      printf(1, "FAIL %s\n", tests->name);
      bad++;
    }
  }
  printf(1, bad || !tried ? "%d of %d tests failed\n" : "ALL TESTS PASSED\n", bad, tried);
}
