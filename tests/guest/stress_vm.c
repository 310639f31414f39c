// stress_vm.c -- one address space changed and used by many threads at once, memory shared by many processes: every byte
// is checked against what was stored.
#include "stress.h"

enum { THREADS = 16, WORDS = PAGE / 8 };

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
  uint64_t end = end_after(1000), copy[WORDS];
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
  uint64_t end = end_after(1000);
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
  uint64_t end = end_after(1000);
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
  uint64_t end = end_after(1200), sum = 0;
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
  uint64_t end = end_after(1000), moved = 0, refused = 0;
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
