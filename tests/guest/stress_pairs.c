// stress_pairs.c -- every pair of operations on one address space and one file, two of each at once, for a moment: on tmpfs
// and on the disk. docs/concurrency.md says for each pair who decides; here it is tried.
//
// The file has PAGES pages. The first KEPT of them are never cut: each thread has a word of its own in each, and finds there
// what it stored last, through a mapping that stays and through the file. The rest, and an arena over which mappings of all
// kinds come and go, hold in each word a stamp that says which word it is, or zero: whatever else is seen was somebody
// else's. Where nothing may be, a signal comes, and it is the right one.
#include "stress.h"
#include "rules.h"

enum { PAGES = 32, KEPT = 8, THREADS = 4, WORDS = PAGE / 8, MOMENT = 25, SOAK_MOMENT = 400, OWN = 64 };
static char *const arena = (char *)0x300000000000, *const aside = (char *)0x310000000000;

struct actor {
  int id, other; // the operation that the others do
  uint64_t seed;
  uint64_t own[KEPT];
};
typedef void step_fn(struct actor *);

static int fd = -1, side = -1;
static volatile uint64_t *kept;
static const char *pair[2];
static const char *self_path = "/proc/self/exe";

// ---- what may be seen

static uint64_t
stamp(int page, int word)
{
  return 0xa5ull << 56 | (uint64_t)page << 16 | word;
}

static _Thread_local sigjmp_buf back;
static _Thread_local volatile int armed;

static void
caught(int sig, siginfo_t *si, void *uc)
{
  if(!armed)
    _exit(90); // nobody asked for it
  siglongjmp(back, sig);
}

static void
wrong(const char *what, int page, int word, uint64_t saw)
{
  t_fail(what, page, "%s with %s: word %d holds %#lx", pair[0], pair[1], word, saw);
  _exit(1);
}

// Load a word of the arena, or store its stamp there: the signal, or 0.
static int
access_word(volatile uint64_t *base, int page, int word, bool store)
{
  volatile uint64_t *p = base + page * WORDS + word;
  volatile uint64_t saw = 0;
  int sig = sigsetjmp(back, 1);

  if(sig == 0) {
    armed = 1;
    if(store)
      *p = stamp(page, word);
    else
      saw = *p;
  }
  armed = 0;
  if(saw && saw != stamp(page, word))
    wrong("arena", page, word, saw);
  return sig;
}

static int
pick(struct actor *a, int n)
{
  return n > 1 ? (rnd(&a->seed) >> 8) % n : 0;
}

// A word behind those that belong to threads.
static int
pick_word(struct actor *a)
{
  return OWN + pick(a, WORDS - OWN);
}

static off_t
own_at(const struct actor *a, int page)
{
  return (off_t)page * PAGE + (a->id + 1) * 8;
}

static void
check_own(struct actor *a, int page)
{
  uint64_t saw = kept[own_at(a, page) / 8];

  if(saw != a->own[page])
    wrong("own word, mapped", page, a->id, saw);
  need(pread(fd, &saw, 8, own_at(a, page)) == 8);
  if(saw != a->own[page])
    wrong("own word, read", page, a->id, saw);
}

static void
store_own(struct actor *a, bool by_write)
{
  int page = pick(a, KEPT);

  if(a->id >= THREADS) // in a child
    return;
  check_own(a, page);
  a->own[page] = rnd(&a->seed);
  if(by_write)
    need(pwrite(fd, &a->own[page], 8, own_at(a, page)) == 8);
  else
    kept[own_at(a, page) / 8] = a->own[page];
  check_own(a, page);
}

// ---- the operations, one step each

static void
range(struct actor *a, int *first, int *n)
{
  *first = pick(a, PAGES);
  *n = 1 + pick(a, PAGES - *first);
}

static void
do_fault(struct actor *a)
{
  for(int i = 0; i < 8; i++)
    access_word((volatile uint64_t *)arena, pick(a, PAGES), pick_word(a), pick(a, 2));
  store_own(a, false);
}

static void
do_mmap(struct actor *a)
{
  static const int kinds[] = {MAP_SHARED, MAP_PRIVATE, ANON, MAP_SHARED};
  int first, n, flags = kinds[pick(a, 4)];
  char *p;

  range(a, &first, &n);
  p = arena + (size_t)first * PAGE;
  need(mmap(p, n * PAGE, RW, flags | MAP_FIXED, flags & MAP_ANONYMOUS ? -1 : fd,
            flags & MAP_ANONYMOUS ? 0 : (off_t)first * PAGE) == p);
  access_word((volatile uint64_t *)arena, first, pick_word(a), true);
}

static void
do_munmap(struct actor *a)
{
  int first, n;

  range(a, &first, &n);
  need(munmap(arena + (size_t)first * PAGE, n * PAGE) == 0);
  if(pick(a, 4) == 0)
    do_mmap(a);
}

static void
do_mprotect(struct actor *a)
{
  static const int prots[] = {PROT_NONE, PROT_READ, RW, RW};
  int first, n;

  range(a, &first, &n);
  need(mprotect(arena + (size_t)first * PAGE, n * PAGE, prots[pick(a, 4)]) == 0 || errno == ENOMEM);
  access_word((volatile uint64_t *)arena, first, pick_word(a), true);
}

// To a place of one's own, a look at it there, and back.
static void
do_mremap(struct actor *a)
{
  char *from = arena, *to = aside + (size_t)a->id * PAGES * PAGE, *p;
  int page = pick(a, PAGES);

  from += (size_t)page * PAGE;
  to += (size_t)page * PAGE;
  p = mremap(from, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to);
  if(p == MAP_FAILED) {
    need(errno == EFAULT); // it is not mapped now
    do_mmap(a);
    return;
  }
  access_word((volatile uint64_t *)(to - (size_t)page * PAGE), page, pick_word(a), pick(a, 2));
  need(mremap(to, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, from) == from);
}

static void
do_madvise(struct actor *a)
{
  static const int advices[] = {MADV_DONTNEED, MADV_WILLNEED, MADV_POPULATE_READ, MADV_FREE, MADV_RANDOM, MADV_NORMAL};
  int first, n, r;

  range(a, &first, &n);
  r = madvise(arena + (size_t)first * PAGE, n * PAGE, advices[pick(a, 6)]);
  need(r == 0 || errno == ENOMEM || errno == EINVAL || errno == EFAULT);
  if(first >= KEPT) {
    r = madvise(arena + (size_t)first * PAGE, n * PAGE, MADV_REMOVE);
    need(r == 0 || errno == ENOMEM || errno == EINVAL || errno == EACCES);
  }
  store_own(a, false);
}

static void
wait_for(pid_t pid)
{
  int status;

  need(pid > 0 && waitpid(pid, &status, 0) == pid);
  if(status != 0) {
    t_fail(pair[0], 0, "%s with %s: a child's status is %#x", pair[0], pair[1], status);
    _exit(1);
  }
}

static void
do_fork(struct actor *a)
{
  pid_t pid = fork();

  if(pid == 0) {
    for(int i = 0; i < PAGES; i++)
      access_word((volatile uint64_t *)arena, i, pick_word(a), i & 1);
    _exit(0);
  }
  wait_for(pid);
}

static step_fn *step_of(int op);

// In a child, a thread goes on with the other operation while its process ends.
static void *
go_on(void *arg)
{
  struct actor *a = arg;

  for(;;)
    step_of(a->other)(a);
  return 0;
}

static void
end_under(struct actor *a, bool by_exec)
{
  char *const argv[] = {"stress_pairs.t", "-l", 0};
  pid_t pid = fork();

  if(pid == 0) {
    struct actor *b = malloc(sizeof(*b));
    pthread_t t;

    *b = *a;
    b->id = THREADS; // has no words of its own
    if(pthread_create(&t, 0, go_on, b) != 0)
      _exit(3);
    sched_yield();
    if(!by_exec)
      _exit(0);
    dup2(open("/dev/null", O_WRONLY), 1);
    execv(self_path, argv);
    _exit(2);
  }
  wait_for(pid);
}

static void
do_exec(struct actor *a)
{
  end_under(a, true);
}

static void
do_exit(struct actor *a)
{
  end_under(a, false);
}

static void
do_msync(struct actor *a)
{
  int first, n;

  range(a, &first, &n);
  need(msync(arena + (size_t)first * PAGE, n * PAGE, MS_SYNC) == 0 || errno == ENOMEM);
  store_own(a, false);
}

// From memory, and from a mapping of the same page.
static void
do_write(struct actor *a)
{
  int page = pick(a, PAGES), word = pick_word(a);
  uint64_t v = stamp(page, word);
  off_t at = (off_t)page * PAGE + word * 8;
  ssize_t r = pwrite(fd, pick(a, 2) ? (void *)&v : arena + at, 8, at);

  need(r == 8 || (r < 0 && errno == EFAULT));
  store_own(a, true);
}

static void
do_truncate(struct actor *a)
{
  off_t size = (off_t)(KEPT + pick(a, PAGES - KEPT + 1)) * PAGE;

  if(pick(a, 2) && size < PAGES * PAGE)
    size += 8 * pick(a, WORDS);
  need(ftruncate(fd, size) == 0);
  store_own(a, true);
}

// What the program can do about its pages being taken back: have them paged out.
static void
do_reclaim(struct actor *a)
{
  int first, n, r;

  range(a, &first, &n);
  r = madvise(arena + (size_t)first * PAGE, n * PAGE, MADV_PAGEOUT);
  need(r == 0 || errno == ENOMEM || errno == EINVAL);
  r = madvise((void *)kept, KEPT * PAGE, MADV_PAGEOUT);
  need(r == 0 || errno == EINVAL);
  store_own(a, false);
}

static void
do_write_back(struct actor *a)
{
  int page = pick(a, PAGES);

  need(sync_file_range(fd, (off_t)page * PAGE, (PAGES - page) * PAGE, SYNC_FILE_RANGE_WRITE) == 0);
  store_own(a, false);
}

// A change to the disk's own records and a wait until it is there.
static void
do_commit(struct actor *a)
{
  uint64_t v = a->id;

  need(pwrite(side, &v, 8, (off_t)pick(a, 64) * PAGE) == 8);
  if(pick(a, 4) == 0)
    need(ftruncate(side, 0) == 0);
  need(fsync(pick(a, 2) ? side : fd) == 0);
  store_own(a, false);
}

// ---- pairs

static const struct {
  const char *name;
  step_fn *step;
} ops[] = {{"fault", do_fault},     {"mmap", do_mmap},
           {"munmap", do_munmap},   {"mprotect", do_mprotect},
           {"mremap", do_mremap},   {"madvise", do_madvise},
           {"fork", do_fork},       {"exec", do_exec},
           {"exit", do_exit},       {"msync", do_msync},
           {"write", do_write},     {"truncate", do_truncate},
           {"reclaim", do_reclaim}, {"write-back", do_write_back},
           {"commit", do_commit}};
enum { OPS = sizeof(ops) / sizeof(ops[0]), EXEC = 7, EXIT = 8 };
static int now[2];
static uint64_t pair_end;
static struct actor actors[THREADS];

static step_fn *
step_of(int op)
{
  return op == EXEC || op == EXIT ? do_fault : ops[op].step; // no children of children
}

static void *
act(void *arg)
{
  struct actor *a = &actors[(long)arg];
  int mine = now[a->id & 1];

  a->other = now[!(a->id & 1)];
  while(now_ms() < pair_end) {
    ops[mine].step(a);
    if(mine != EXEC && mine != EXIT && ops[mine].step != do_fork)
      access_word((volatile uint64_t *)arena, pick(a, PAGES), pick_word(a), pick(a, 2));
  }
  for(int i = 0; i < KEPT; i++)
    check_own(a, i);
  return 0;
}

static void
try_pair(int x, int y)
{
  const char *soak = getenv("T_SOAK");

  now[0] = x;
  now[1] = y;
  pair[0] = ops[x].name;
  pair[1] = ops[y].name;
  need(mmap(arena, PAGES * PAGE, RW, MAP_SHARED | MAP_FIXED, fd, 0) == arena);
  pair_end = now_ms() + (soak && soak[0] > '0' ? SOAK_MOMENT : MOMENT);
  together(THREADS, act);
  need(munmap(arena, PAGES * PAGE) == 0);
}

static int
file_in(const char *dir)
{
  char name[64];
  int f;

  snprintf(name, sizeof(name), "%s/pairs.XXXXXX", dir);
  f = mkstemp(name);
  need(f >= 0);
  unlink(name);
  return f;
}

static void
pairs_in(int row, const char *dir)
{
  fd = file_in(dir);
  side = file_in(dir);
  need(ftruncate(fd, PAGES * PAGE) == 0);
  memset(actors, 0, sizeof(actors));
  for(int i = 0; i < THREADS; i++) {
    actors[i].id = i;
    actors[i].seed = seed_of(i);
  }
  kept = (volatile uint64_t *)file_at(fd, KEPT * PAGE, RW, MAP_SHARED);
  for(int y = row; y < OPS; y++)
    try_pair(row, y);
  need(munmap((void *)kept, KEPT * PAGE) == 0);
  close(fd);
  close(side);
}

static void
pairs_of(const char *name)
{
  struct sigaction sa = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO | SA_NODEFER};
  int row = 0;

  need(sigaction(SIGSEGV, &sa, 0) == 0 && sigaction(SIGBUS, &sa, 0) == 0);
  while(strcmp(ops[row].name, name) != 0)
    row++;
  pairs_in(row, "/dev/shm");
  pairs_in(row, "/var/tmp");
}

// Each with itself and with all that follow it in this list.
#define PAIRS(test, name)                                                                                              \
  TEST_TIMED(test, LIMIT)                                                                                              \
  {                                                                                                                    \
    pairs_of(name);                                                                                                    \
  }
PAIRS(fault_and_others, "fault")
PAIRS(mmap_and_others, "mmap")
PAIRS(munmap_and_others, "munmap")
PAIRS(mprotect_and_others, "mprotect")
PAIRS(mremap_and_others, "mremap")
PAIRS(madvise_and_others, "madvise")
PAIRS(fork_and_others, "fork")
PAIRS(exec_and_others, "exec")
PAIRS(exit_and_others, "exit")
PAIRS(msync_and_others, "msync")
PAIRS(write_and_others, "write")
PAIRS(truncate_and_others, "truncate")
PAIRS(reclaim_and_others, "reclaim")
PAIRS(write_back_and_others, "write-back")
PAIRS(commit_and_others, "commit")
