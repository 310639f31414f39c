// lazy.c -- nothing is allocated before it is touched: frames counted through /proc/meminfo.
// The counting tests run only in lazy6: on a busy Linux MemFree moves by itself.
#include "t.h"

enum { MIB = 1 << 20, SLACK = 16, TABLE_SHARE = 64 };
#define HUGE_BYTES (64ull << 40)

static long
free_frames(void)
{
  return proc_figure("/proc/meminfo", "MemFree") / 4;
}

// Frames that fn(arg) left in use. The first reading of the figure warms what reading it needs.
static long
frames_used(void (*fn)(void *), void *arg)
{
  long before = free_frames();

  before = free_frames();
  fn(arg);
  return before - free_frames();
}

static void *
reserve(unsigned long long n)
{
  void *p = mmap(0, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

  need(p != MAP_FAILED);
  return p;
}

static void
map_small(void *arg)
{
  *(void **)arg = reserve(PAGE);
}

static void
map_huge(void *arg)
{
  *(void **)arg = reserve(HUGE_BYTES);
}

TEST(mapping_uses_no_frame)
{
  void *p;

  only_here();
  expect(frames_used(map_small, &p) <= SLACK);
  expect(frames_used(map_huge, &p) <= SLACK);
  expect(munmap(p, HUGE_BYTES) == 0);
}

TEST(mapping_64_TiB_works)
{
  char *p = reserve(HUGE_BYTES);

  p[0] = 1;
  p[HUGE_BYTES - 1] = 2;
  p[HUGE_BYTES / 2] = 3;
  expect(p[0] == 1 && p[HUGE_BYTES - 1] == 2 && p[HUGE_BYTES / 2] == 3 && p[HUGE_BYTES / 3] == 0);
}

struct touch {
  char *p;
  int k;
};

static void
touch_pages(void *arg)
{
  struct touch *t = arg;

  for(int i = 0; i < t->k; i++)
    t->p[(size_t)i * PAGE] = 1;
}

TEST(touching_k_neighbours_uses_k_frames)
{
  static const int counts[] = {1, 64, 512, 4096, 16384};

  only_here();
  for(unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
    struct touch t = {reserve(HUGE_BYTES), counts[i]};
    long used = frames_used(touch_pages, &t);

    if(used < t.k || used > t.k + t.k / TABLE_SHARE + SLACK)
      t_fail(__FILE__, __LINE__, "%d pages touched: expected %d to %d frames, saw %ld", t.k, t.k,
             t.k + t.k / TABLE_SHARE + SLACK, used);
    munmap(t.p, HUGE_BYTES);
  }
}

static void
read_pages(void *arg)
{
  struct touch *t = arg;
  int sum = 0;

  for(int i = 0; i < t->k; i++)
    sum |= ((volatile char *)t->p)[(size_t)i * PAGE];
  expect(sum == 0);
}

TEST(reading_untouched_memory_uses_no_frame)
{
  struct touch t = {reserve(HUGE_BYTES), 16384};
  long used;

  only_here();
  used = frames_used(read_pages, &t);
  if(used > t.k / 512 + SLACK) // page tables only
    t_fail(__FILE__, __LINE__, "16384 pages read: expected at most %d frames (tables), saw %ld", t.k / 512 + SLACK,
           used);
  t.p[5 * PAGE] = 7; // the shared page of zeros must stay zero (R18)
  expect(t.p[6 * PAGE] == 0 && t.p[5 * PAGE] == 7);
}

static void
check_and_change(void *arg)
{
  char *p = arg;
  size_t n = 256 * (size_t)MIB;

  for(size_t i = 0; i < n; i += PAGE)
    if(p[i] != 'p') {
      t_fail(__FILE__, __LINE__, "child sees %#x at page %zu, expected 'p'", p[i], i / PAGE);
      return;
    }
  for(size_t i = 0; i < n; i += 64 * PAGE)
    p[i] = 'c';
  for(size_t i = 0; i < n; i += PAGE)
    if(p[i] != (i % (64 * PAGE) ? 'p' : 'c')) {
      t_fail(__FILE__, __LINE__, "child sees %#x at page %zu after its stores", p[i], i / PAGE);
      return;
    }
}

TEST_TIMED(fork_with_256_MiB_touched, 120) // K01, K03
{
  size_t n = 256 * (size_t)MIB;
  char *p = reserve(n);

  for(size_t i = 0; i < n; i += PAGE)
    p[i] = 'p';
  expect_eq(in_child(check_and_change, p), 0);
  for(size_t i = 0; i < n; i += PAGE)
    if(p[i] != 'p') {
      t_fail(__FILE__, __LINE__, "parent sees %#x at page %zu, expected 'p'", p[i], i / PAGE);
      break;
    }
}

TEST(last_owner_writes_without_a_copy) // K09
{
  struct touch t = {reserve(64 * MIB), 8192};
  long used;

  only_here();
  touch_pages(&t);
  expect_eq(in_child(read_pages, &(struct touch){t.p + 60 * MIB, 10}), 0);
  used = frames_used(touch_pages, &t);
  if(used > SLACK)
    t_fail(__FILE__, __LINE__, "the child is gone: expected no frame more, saw %ld", used);
}

TEST(munmap_gives_frames_back) // O06, U13
{
  struct touch t = {0, 16384};
  long before, after;

  only_here();
  for(int round = 0; round < 3; round++) {
    before = free_frames();
    t.p = reserve(HUGE_BYTES);
    touch_pages(&t);
    for(unsigned long long i = 0; i < HUGE_BYTES; i += HUGE_BYTES / 256)
      t.p[i] = 1;
    munmap(t.p, HUGE_BYTES);
    after = free_frames();
  }
  if(before - after > SLACK)
    t_fail(__FILE__, __LINE__, "expected all frames back, %ld are missing", before - after);
}

TEST(madvise_dontneed_gives_frames_back) // A08, O06
{
  struct touch t = {reserve(64 * MIB), 16384};
  long before = free_frames();

  touch_pages(&t);
  expect(madvise(t.p, 64 * MIB, MADV_DONTNEED) == 0);
  expect(t.p[0] == 0 && t.p[64 * MIB - 1] == 0);
  if(here() && before - free_frames() > SLACK + 64)
    t_fail(__FILE__, __LINE__, "expected all frames back, %ld are missing", before - free_frames());
}

TEST_TIMED(mmap_touch_munmap_100000_times_leaks_nothing, 300) // P09
{
  long before = free_frames();

  for(int i = 0; i < 100000; i++) {
    char *p = mmap(0, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    need(p != MAP_FAILED);
    p[0] = p[63 * PAGE] = i;
    need(munmap(p, 64 * PAGE) == 0);
  }
  if(here() && before - free_frames() > SLACK)
    t_fail(__FILE__, __LINE__, "expected MemFree where it was, %ld frames are missing", before - free_frames());
}

static int
depth(int n)
{
  volatile char frame[1024];

  frame[0] = n;
  return n == 0 ? 0 : depth(n - 1) + frame[0] - (char)n + 1;
}

TEST(stack_grows_on_touch) // Z01
{
  expect_eq(depth(6000), 6000); // about 6.4 MiB
}

static void
too_deep(void *arg)
{
  depth(1 << 30);
}

TEST(stack_ends_at_its_limit) // G09, Z04
{
  int status = in_child(too_deep, 0);

  expect(WIFSIGNALED(status));
  expect_eq(WTERMSIG(status), SIGSEGV);
}

TEST(shared_anonymous_memory_is_shared) // S14
{
  int *p = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pid_t pid;

  need(p != MAP_FAILED);
  expect_eq(p[0], 0);
  pid = fork();
  need(pid >= 0);
  if(pid == 0) {
    p[0] = 42;
    _exit(0);
  }
  waitpid(pid, 0, 0);
  expect_eq(p[0], 42);
}
