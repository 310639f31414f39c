// stress_vm.c -- one address space used by many threads at once, memory shared by many processes, and memory that runs
// short: every byte is checked against what was stored. Each test goes on for a moment, with T_SOAK=1 for a minute.
#include "t.h"
#include <fcntl.h>
#include <pthread.h>

enum { THREADS = 16, LIMIT = 150, WORDS = PAGE / 8 };

static uint64_t
now_ms(void)
{
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

// When a test that takes `ms` in a short run has to stop.
static uint64_t
end_after(uint64_t ms)
{
  const char *soak = getenv("T_SOAK");

  return now_ms() + (soak && soak[0] == '1' ? 60000 : ms);
}

static uint64_t
rnd(uint64_t *s)
{
  *s ^= *s << 13;
  *s ^= *s >> 7;
  *s ^= *s << 17;
  return *s;
}

static uint64_t
seed_of(int i)
{
  uint64_t s = (now_ms() + 1) * 0x9e3779b97f4a7c15ull + i * 0xbf58476d1ce4e5b9ull;

  rnd(&s);
  return s ? s : 1;
}

// ---- sixteen threads change one address space; each owns every sixteenth chunk of it

enum { CHUNK = 24, CHUNKS = 8, WINDOW = CHUNK * CHUNKS }; // pages of one thread
static char *const arena = (char *)0x200000000000;
enum state { GONE, NONE, RO, RW };
struct worker {
  pthread_t thread;
  int id, pipe[2];
  uint64_t seed, end, rounds;
  struct {
    enum state state;
    uint64_t tag; // 0: zeros
  } page[WINDOW];
};
static struct worker workers[THREADS];

static char *
page_at(struct worker *w, int i)
{
  return arena + ((size_t)(i / CHUNK * THREADS + w->id) * CHUNK + i % CHUNK) * PAGE;
}

static void
store(char *p, uint64_t tag)
{
  uint64_t *q = (uint64_t *)p;

  for(int i = 0; i < WORDS; i++)
    q[i] = tag + i;
}

static void
check_page(const char *what, char *p, uint64_t tag)
{
  volatile uint64_t *q = (uint64_t *)p;

  for(int i = 0; i < WORDS; i++)
    if(q[i] != (tag ? tag + i : 0)) {
      t_fail(what, i, "at %p: expected %#lx, saw %#lx", p, tag ? tag + i : 0, q[i]);
      _exit(1);
    }
}

// What a system call makes of the page: EFAULT where the program may not either.
static void
probe(struct worker *w, int i)
{
  char *p = page_at(w, i), c = 0;
  bool readable = w->page[i].state >= RO;
  long r = write(w->pipe[1], p, 1);

  if(r != (readable ? 1 : -1) || (!readable && errno != EFAULT))
    t_fail("probe", i, "state %d: write says %ld, errno %d", w->page[i].state, r, errno);
  if(r != 1)
    need(write(w->pipe[1], &c, 1) == 1);
  c = *(readable ? p : &c);
  r = read(w->pipe[0], p, 1);
  if(r != (w->page[i].state == RW ? 1 : -1) || (r < 0 && errno != EFAULT))
    t_fail("probe", i, "state %d: read says %ld, errno %d", w->page[i].state, r, errno);
  if(r != 1)
    need(read(w->pipe[0], &c, 1) == 1);
}

static void
verify(struct worker *w, int i)
{
  if(w->page[i].state >= RO)
    check_page("verify", page_at(w, i), w->page[i].tag);
}

static void
set_state(struct worker *w, int i, int n, enum state st, bool zero)
{
  for(; n-- > 0; i++) {
    w->page[i].state = st;
    if(zero)
      w->page[i].tag = 0;
  }
}

// A child sees what its maker's thread had; what it stores nobody else sees.
static void
fork_and_look(struct worker *w)
{
  int status;
  pid_t pid = fork();

  need(pid >= 0);
  if(pid == 0) {
    for(int i = 0; i < WINDOW; i++) {
      verify(w, i);
      if(w->page[i].state == RW)
        store(page_at(w, i), ~0ull << 32);
    }
    _exit(t_failures != 0);
  }
  need(waitpid(pid, &status, 0) == pid);
  if(status != 0) {
    t_fail("fork", w->id, "the child's status is %#x", status);
    _exit(1);
  }
}

// Move n pages to another place of the window, over what is there.
static void
move(struct worker *w, int from, int to, int n)
{
  char *p, *q = page_at(w, to);

  for(int i = 0; i < n; i++)
    if(w->page[from + i].state == GONE || w->page[from + i].state != w->page[from].state)
      return;
  p = mremap(page_at(w, from), n * PAGE, n * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q);
  if(p == MAP_FAILED && errno == EFAULT)
    return; // the pages are of two mappings
  need(p == q);
  for(int i = 0; i < n; i++) {
    w->page[to + i] = w->page[from + i];
    w->page[from + i].state = GONE;
  }
}

static const int state_prot[] = {0, PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE};

static void
protect(struct worker *w, int i, int n, enum state st)
{
  for(int k = 0; k < n; k++)
    if(w->page[i + k].state == GONE)
      return;
  need(mprotect(page_at(w, i), n * PAGE, state_prot[st]) == 0);
  set_state(w, i, n, st, false);
}

static void
dontneed(struct worker *w, int i, int n)
{
  for(int k = 0; k < n; k++)
    if(w->page[i + k].state == GONE)
      return;
  need(madvise(page_at(w, i), n * PAGE, MADV_DONTNEED) == 0);
  for(int k = 0; k < n; k++)
    w->page[i + k].tag = 0;
}

static void
one_step(struct worker *w)
{
  uint64_t r = rnd(&w->seed);
  int chunk = r % CHUNKS, a = (r >> 8) % CHUNK, n = 1 + (r >> 16) % (CHUNK - a), i = chunk * CHUNK + a;
  int to = (chunk + 1 + (r >> 24) % (CHUNKS - 1)) % CHUNKS * CHUNK + (r >> 32) % (CHUNK - n + 1);
  enum state st = NONE + (r >> 40) % 3;

  switch((r >> 48) % 32) {
  case 0 ... 3:
    need(munmap(page_at(w, i), n * PAGE) == 0);
    set_state(w, i, n, GONE, true);
    break;
  case 4 ... 7:
    need(mmap(page_at(w, i), n * PAGE, state_prot[st], MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
    set_state(w, i, n, st, true);
    break;
  case 8 ... 10: protect(w, i, n, st); break;
  case 11 ... 12: dontneed(w, i, n); break;
  case 13 ... 15: move(w, i, to, n); break;
  case 16 ... 17: probe(w, i); break;
  case 18:
    if((r >> 56) % 16 == 0)
      fork_and_look(w);
    break;
  case 19 ... 22:
    for(int k = 0; k < n; k++)
      verify(w, i + k);
    break;
  default:
    for(int k = 0; k < n; k++) {
      if(w->page[i + k].state == NONE && n < CHUNK / 2)
        protect(w, i + k, 1, RW);
      if(w->page[i + k].state != RW)
        continue;
      verify(w, i + k);
      w->page[i + k].tag = (rnd(&w->seed) | 1) << 12;
      store(page_at(w, i + k), w->page[i + k].tag);
    }
  }
}

static void *
work(void *arg)
{
  struct worker *w = arg;

  while(now_ms() < w->end) {
    for(int i = 0; i < 16; i++)
      one_step(w);
    w->rounds += 16;
  }
  for(int i = 0; i < WINDOW; i++)
    verify(w, i);
  return 0;
}

static void
run_workers(int n, uint64_t ms)
{
  uint64_t end = end_after(ms);

  for(int i = 0; i < n; i++) {
    struct worker *w = &workers[i];

    w->id = i;
    w->seed = seed_of(i);
    w->end = end;
    need(pipe(w->pipe) == 0);
    need(pthread_create(&w->thread, 0, work, w) == 0);
  }
  for(int i = 0; i < n; i++)
    need(pthread_join(workers[i].thread, 0) == 0);
}

TEST_TIMED(sixteen_threads_change_one_space, LIMIT)
{
  run_workers(THREADS, 4000);
}

TEST_TIMED(four_processes_of_four_threads, LIMIT)
{
  int status;

  for(int i = 0; i < 4; i++) {
    pid_t pid = fork();

    need(pid >= 0);
    if(pid == 0) {
      run_workers(4, 3000);
      _exit(t_failures != 0);
    }
  }
  for(int i = 0; i < 4; i++) {
    need(wait(&status) > 0);
    expect_eq(status, 0);
  }
}

// ---- what a change of the tables has taken away, no CPU may still use

static struct {
  volatile uint64_t *page; // written by all, at their own words
  volatile bool stop;
  volatile uint64_t faults;
} shot;

static void
try_again(int sig)
{
  __atomic_fetch_add(&shot.faults, 1, __ATOMIC_RELAXED);
  sched_yield();
}

static void *
hammer(void *arg)
{
  volatile uint64_t *word = shot.page + (long)arg * 8;

  for(uint64_t n = 1; !shot.stop; n++)
    *word = n;
  return 0;
}

static void
start_hammers(pthread_t *t, int n)
{
  struct sigaction sa = {.sa_handler = try_again};

  need(sigaction(SIGSEGV, &sa, 0) == 0);
  for(int i = 0; i < n; i++)
    need(pthread_create(&t[i], 0, hammer, (void *)(long)i) == 0);
}

static void
stop_hammers(pthread_t *t, int n)
{
  shot.stop = true;
  for(int i = 0; i < n; i++)
    need(pthread_join(t[i], 0) == 0);
}

TEST_TIMED(no_store_after_mprotect_returned, LIMIT)
{
  uint64_t end = end_after(2000), copy[WORDS];
  pthread_t t[4];

  shot.page = (uint64_t *)map(PAGE);
  start_hammers(t, 4);
  while(now_ms() < end) {
    need(mprotect((void *)shot.page, PAGE, PROT_READ) == 0);
    memcpy(copy, (void *)shot.page, PAGE);
    for(int k = 0; k < 20; k++) {
      if(k % 8 == 0)
        sched_yield();
      if(memcmp(copy, (void *)shot.page, PAGE) != 0) {
        t_fail(__FILE__, __LINE__, "a page that may only be read has changed");
        _exit(1);
      }
    }
    need(mprotect((void *)shot.page, PAGE, PROT_READ | PROT_WRITE) == 0);
    sched_yield();
  }
  stop_hammers(t, 4);
}

// The page is thrown away under the writers, and its frame is likely to come back at once as one of `others`.
TEST_TIMED(no_store_into_a_frame_given_away, LIMIT)
{
  enum { OTHERS = 8 };
  uint64_t end = end_after(2000);
  pthread_t t[4];

  shot.page = (uint64_t *)map(PAGE);
  start_hammers(t, 4);
  for(uint64_t round = 1; now_ms() < end; round++) {
    char *others;

    if(round % 3 == 0)
      need(madvise((void *)shot.page, PAGE, MADV_DONTNEED) == 0);
    else
      need(mmap((void *)shot.page, PAGE, round % 3 == 1 ? PROT_NONE : PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == shot.page);
    others = map(OTHERS * PAGE);
    for(int i = 0; i < OTHERS; i++)
      store(others + i * PAGE, round << 16);
    sched_yield();
    for(int i = 0; i < OTHERS; i++)
      check_page("given away", others + i * PAGE, round << 16);
    need(munmap(others, OTHERS * PAGE) == 0);
    need(mprotect((void *)shot.page, PAGE, PROT_READ | PROT_WRITE) == 0);
  }
  stop_hammers(t, 4);
}

// ---- fork while other threads store: the child's page is what it was at one moment, the parent loses no store

static void *
count_up(void *arg)
{
  volatile uint64_t *q = arg;

  for(uint64_t n = 1; !shot.stop; n++)
    for(int i = 0; i < WORDS; i++) {
      if(q[i] != n - 1) {
        t_fail("count_up", i, "expected %lu, saw %lu", n - 1, q[i]);
        _exit(1);
      }
      q[i] = n;
    }
  return 0;
}

TEST_TIMED(fork_while_threads_store, LIMIT)
{
  enum { WRITERS = 6 };
  char *mem = map(WRITERS * PAGE);
  uint64_t end = end_after(3000);
  pthread_t t[WRITERS];
  int status;

  for(int i = 0; i < WRITERS; i++)
    need(pthread_create(&t[i], 0, count_up, mem + i * PAGE) == 0);
  while(now_ms() < end) {
    pid_t pid = fork();

    need(pid >= 0);
    if(pid == 0) {
      for(int i = 0; i < WRITERS; i++) {
        volatile uint64_t *q = (uint64_t *)(mem + i * PAGE);
        uint64_t first = q[0];

        for(int k = 1; k < WORDS; k++)
          if(q[k] > q[k - 1] || first - q[k] > 1)
            _exit(1);
        sched_yield();
        for(int k = 0; k < WORDS; k++)
          if(first - q[k] > 1)
            _exit(2);
      }
      _exit(0);
    }
    need(waitpid(pid, &status, 0) == pid);
    expect_eq(status, 0);
  }
  shot.stop = true;
  for(int i = 0; i < WRITERS; i++)
    pthread_join(t[i], 0);
}

// ---- memory shared by processes

enum { SHARERS = 8, SHARED = 128 };

static void
share(volatile uint64_t *mem, int me, uint64_t end)
{
  static uint64_t mine[SHARED];
  uint64_t seed = seed_of(me), added = 0;

  while(now_ms() < end) {
    uint64_t r = rnd(&seed);
    int i = r % SHARED;
    volatile uint64_t *page = mem + (size_t)i * WORDS, *slot = page + 8 + me * 8;

    if(*slot != mine[i]) {
      t_fail("share", i, "expected %#lx, saw %#lx", mine[i], *slot);
      _exit(1);
    }
    mine[i] = r;
    *slot = r;
    __atomic_fetch_add(page, 1, __ATOMIC_RELAXED);
    added++;
    if((r >> 32) % 64 == 0)
      need(madvise((void *)(mem + (size_t)i * WORDS), (SHARED - i) * PAGE, MADV_DONTNEED) == 0);
    if((r >> 32) % 64 == 1) {
      need(mprotect((void *)page, PAGE, PROT_READ) == 0);
      need(mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE) == 0);
    }
    if((r >> 32) % 256 == 2 && fork() == 0)
      _exit(*slot == 0);
  }
  for(int status; wait(&status) > 0;)
    expect_eq(status, 0);
  __atomic_fetch_add(mem + SHARED * (size_t)WORDS, added, __ATOMIC_RELAXED);
}

TEST_TIMED(shared_anonymous_between_processes, LIMIT)
{
  volatile uint64_t *mem = mmap(0, (SHARED + 1) * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  uint64_t end = end_after(2500), sum = 0;
  int status;

  need(mem != MAP_FAILED);
  for(int i = 0; i < SHARERS; i++) {
    pid_t pid = fork();

    need(pid >= 0);
    if(pid == 0) {
      share(mem, i, end);
      _exit(t_failures != 0);
    }
  }
  for(int i = 0; i < SHARERS; i++) {
    need(wait(&status) > 0);
    expect_eq(status, 0);
  }
  for(int i = 0; i < SHARED; i++)
    sum += mem[(size_t)i * WORDS];
  expect_eq(sum, mem[SHARED * (size_t)WORDS]);
}

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
  uint64_t end = end_after(3000), seed = seed_of(99);

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

// ---- a system call's buffer vanishes while it is being used

static char *volatile buffer;

static void *
pull_away(void *arg)
{
  for(unsigned n = 0; !shot.stop; n++) {
    if(n % 3 == 0)
      mprotect(buffer, 8 * PAGE, n & 1 ? PROT_NONE : PROT_READ);
    else
      mmap(buffer, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    sched_yield();
  }
  return 0;
}

TEST_TIMED(buffer_vanishes_during_a_call, LIMIT)
{
  uint64_t end = end_after(1500), moved = 0, refused = 0;
  int fd = open("/dev/zero", O_RDONLY), p[2];
  pthread_t t;

  need(fd >= 0 && pipe(p) == 0);
  fcntl(p[0], F_SETFL, O_NONBLOCK);
  fcntl(p[1], F_SETFL, O_NONBLOCK);
  buffer = map(8 * PAGE);
  need(pthread_create(&t, 0, pull_away, 0) == 0);
  while(now_ms() < end) {
    long r[3] = {read(fd, buffer, 8 * PAGE), write(p[1], buffer + 100, 5 * PAGE), read(p[0], buffer + 50, 6 * PAGE)};

    for(int i = 0; i < 3; i++) {
      moved += r[i] > 0;
      refused += r[i] < 0;
    }
    expect(r[0] > 0 || (r[0] < 0 && errno != EIO));
  }
  shot.stop = true;
  pthread_join(t, 0);
  expect(moved > 0);
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
  uint64_t end = end_after(2500), size = mem_total() / 4, seed = seed_of(1), t;
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
          (void)!read(p[0], q + k, PAGE);
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
