// stress_pressure.c -- memory that is taken away: files that shrink under their mappings, processes killed deep in the
// kernel, more programs than memory.
#include "stress.h"

enum { SHARERS = 8, SHARED = 128, WORDS = PAGE / 8 };

// ---- a file that shrinks and grows under its mappings: a word is what its owner stored last, or 0; beyond it is SIGBUS

static sigjmp_buf bus_env;

static void
on_bus(int sig)
{
  siglongjmp(bus_env, 1);
}

static void
use_file(int fd, int me, uint64_t end, bool private_)
{
  static volatile uint64_t last[SHARED];
  volatile uint64_t *mem, seed = seed_of(me), buses = 0;
  struct sigaction sa = {.sa_handler = on_bus};
  uint64_t s = seed;

  sigaction(SIGBUS, &sa, 0);
  mem = mmap(0, SHARED * PAGE, PROT_READ | PROT_WRITE, private_ ? MAP_PRIVATE : MAP_SHARED, fd, 0);
  need(mem != MAP_FAILED);
  while(now_ms() < end) {
    uint64_t r = rnd(&s), seen;
    int i = r % SHARED;
    volatile uint64_t *slot = mem + (size_t)i * WORDS + 8 + me * 8;

    if(sigsetjmp(bus_env, 1)) {
      s ^= ++buses << 20 | 1;
      continue;
    }
    seen = *slot;
    if(seen != 0 && seen != last[i]) {
      t_fail("use_file", i, "expected 0 or %#lx, saw %#lx", last[i], seen);
      _exit(1);
    }
    last[i] = r;
    *slot = r;
    if(!private_ && (r >> 32) % 8 == 0 && pread(fd, &seen, 8, i * PAGE + 64 + me * 64) == 8 && seen != r && seen != 0) {
      t_fail("use_file", i, "pread: expected %#lx or 0, saw %#lx", r, seen);
      _exit(1);
    }
    if((r >> 32) % 128 == 1)
      need(madvise((void *)mem, SHARED * PAGE, private_ ? MADV_NORMAL : MADV_DONTNEED) == 0);
  }
}

TEST_TIMED(file_shrinks_and_grows_under_its_mappings, LIMIT)
{
  char name[] = "/tmp/stressXXXXXX";
  int fd = mkstemp(name), status;
  uint64_t end = end_after(1000), seed = seed_of(99);

  need(fd >= 0);
  unlink(name);
  for(int i = 0; i < SHARERS; i++) {
    pid_t pid = fork();

    need(pid >= 0);
    if(pid == 0) {
      use_file(fd, i, end, i % 4 == 3);
      _exit(t_failures != 0);
    }
  }
  while(now_ms() < end) {
    uint64_t r = rnd(&seed);

    need(ftruncate(fd, r % (SHARED * PAGE) & ~7ull) == 0);
    if(r >> 40 & 1)
      sched_yield();
    need(ftruncate(fd, SHARED * PAGE) == 0);
    for(int k = (r >> 50) % 64; k > 0; k--)
      sched_yield();
  }
  for(int i = 0; i < SHARERS; i++) {
    need(wait(&status) > 0);
    expect_eq(status, 0);
  }
  close(fd);
}

// ---- the end of a process that is deep in the kernel, and memory that runs out

static uint64_t
mem_total(void)
{
  return (uint64_t)proc_figure("/proc/meminfo", "MemTotal") * 1024;
}

// Something that keeps the kernel busy for long, in one call or one fault after the other.
static void
long_work(int how, uint64_t size)
{
  char *p = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  int fd = open("/dev/zero", O_RDONLY);

  need(p != MAP_FAILED && fd >= 0);
  for(;;) {
    if(how == 0)
      memset(p, 1, size);
    else if(how == 1)
      (void)!read(fd, p, size);
    else if(how == 2)
      madvise(p, size, 23 /* MADV_POPULATE_WRITE */);
    else if(fork() == 0)
      _exit(0);
    else
      wait(0);
    madvise(p, size / 2, MADV_DONTNEED);
  }
}

TEST_TIMED(kill_ends_a_long_call_at_once, LIMIT)
{
  uint64_t end = end_after(1200), size = mem_total() / 4, seed = seed_of(1), t;
  long before = proc_figure("/proc/meminfo", "MemAvailable");
  int status;

  if(size > 64 << 20)
    size = 64 << 20;
  for(int how = 0; now_ms() < end; how = (how + 1) % 4) {
    pid_t pid = fork();

    need(pid >= 0);
    if(pid == 0)
      long_work(how, size);
    usleep(rnd(&seed) % 100000);
    t = now_ms();
    need(kill(pid, SIGKILL) == 0);
    need(waitpid(pid, &status, 0) == pid);
    expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    expect(now_ms() - t < 5000);
  }
  if(here()) {
    usleep(100000);
    expect(proc_figure("/proc/meminfo", "MemAvailable") > before - 4096);
  }
}

static void
hog(uint64_t size, bool shared)
{
  char *p =
      mmap(0, size, PROT_READ | PROT_WRITE, (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

  if(p == MAP_FAILED)
    _exit(0);
  for(uint64_t i = 0; i < size; i += PAGE)
    *(volatile uint64_t *)(p + i) = i + 1;
  for(uint64_t i = 0; i < size; i += PAGE)
    if(*(volatile uint64_t *)(p + i) != i + 1)
      _exit(1);
  _exit(0);
}

// More hogs than memory, beside readers of a file larger than memory: hogs are killed or finish, others live.
TEST_TIMED(hogs_end_and_others_live, LIMIT)
{
  enum { HOGS = 6 };
  uint64_t size = mem_total() / 2;
  int status, killed = 0;
  pid_t hogs[HOGS];

  only_here();
  for(int i = 0; i < HOGS; i++) {
    hogs[i] = fork();
    need(hogs[i] >= 0);
    if(hogs[i] == 0)
      hog(size, i % 3 == 2);
  }
  for(int i = 0; i < 20; i++) { // meanwhile programs start, end, and look at files
    pid_t pid = fork();

    if(pid < 0)
      continue;
    if(pid == 0) {
      struct stat st;

      for(int k = 0; k < 200; k++) {
        char name[40];

        snprintf(name, sizeof(name), "/bin/none%d", i * 200 + k);
        stat(name, &st);
      }
      execl("/bin/busybox", "true", (char *)0);
      _exit(1);
    }
    waitpid(pid, &status, 0);
  }
  for(int i = 0; i < HOGS; i++) {
    need(waitpid(hogs[i], &status, 0) == hogs[i]);
    expect(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
    killed += status != 0;
  }
  expect(killed < HOGS);
  expect(in_child((void (*)(void *))(void *)sched_yield, 0) == 0);
}

// Each waits for memory inside read(2), with the pipe locked; who is killed must get past the others to its end.
TEST_TIMED(hogs_that_read_from_one_pipe, LIMIT)
{
  enum { HOGS = 4, PIECE = 64 * PAGE };
  static char piece[PIECE];
  pid_t hogs[HOGS], feeder;
  int p[2], status;

  only_here();
  need(pipe(p) == 0);
  feeder = fork();
  if(feeder == 0)
    for(;;)
      (void)!write(p[1], piece, PIECE);
  for(int i = 0; i < HOGS; i++) {
    hogs[i] = fork();
    need(hogs[i] >= 0);
    if(hogs[i] == 0)
      for(;;) {
        char *q = mmap(0, PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        for(int k = 0; q != MAP_FAILED && k < PIECE; k += PAGE)
          (void)!read(p[0], q + k, 1);
      }
  }
  for(int i = 0; i < HOGS; i++) {
    need(waitpid(hogs[i], &status, 0) == hogs[i]);
    expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  }
  kill(feeder, SIGKILL);
  need(waitpid(feeder, &status, 0) == feeder);
}

static void *
hog_thread(void *arg)
{
  uint64_t size = (uint64_t)arg;

  for(;;) {
    char *p = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    for(uint64_t i = 0; p != MAP_FAILED && i < size; i += PAGE)
      p[i] = 1;
  }
  return 0;
}

// Eight threads fault in one space when memory ends, and others change it: all of them have to go, together.
static void
hog_of_threads(void *arg)
{
  pthread_t t;

  for(int i = 0; i < 8; i++)
    pthread_create(&t, 0, hog_thread, (void *)(mem_total() / 8));
  for(;;)
    munmap(map(64 * PAGE), 64 * PAGE);
}

TEST_TIMED(hog_of_many_threads_is_killed_whole, LIMIT)
{
  long before = proc_figure("/proc/meminfo", "MemAvailable");
  int status;

  only_here();
  for(int i = 0; i < 2; i++) {
    status = in_child(hog_of_threads, 0);
    expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  }
  usleep(200000);
  expect(proc_figure("/proc/meminfo", "MemAvailable") > before - 4096);
}
