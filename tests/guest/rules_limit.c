// rules_limit.c -- stacks, limits, and what /proc says of memory: rules Z04 to Z07, O01 to O06, H01 to H07.
#include "rules.h"
#include <pthread.h>

static void
use_altstack(void)
{
  stack_t ss = {.ss_sp = map(16 * PAGE), .ss_size = 16 * PAGE};

  need(sigaltstack(&ss, 0) == 0);
}

static char *
stack_low(void)
{
  struct map_line m;

  need(maps_find((unsigned long)&m, &m));
  return (char *)m.lo;
}

TEST(guard_gap_below_the_stack) // Z04, G09
{
  char *low = stack_low();

  use_altstack();
  need(raw_mmap(low - 300 * PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0) == low - 300 * PAGE);
  expect_touch(STORE, low - 20 * PAGE, 0); // 256 pages stay free below
  expect_touch(STORE, low - 43 * PAGE, 0);
  expect_touch(STORE, low - 60 * PAGE, SIGSEGV);
  expect_touch(STORE, low - 299 * PAGE, SIGSEGV);
  expect_touch(STORE, low - 300 * PAGE, 0); // the mapping itself
}

TEST(growsdown_mapping_grows) // Z06
{
  char *p = map_prot(1024 * PAGE, PROT_NONE), *top = p + 1000 * PAGE;

  use_altstack();
  need(munmap(p + PAGE, 1023 * PAGE) == 0 && mprotect(p, PAGE, RW) == 0); // nothing keeps away from what is PROT_NONE
  need(raw_mmap(top, PAGE, RW, ANON | MAP_FIXED | MAP_GROWSDOWN, -1, 0) == top);
  top[0] = 't';
  for(int i = 1; i < 100; i++)
    expect_touch(STORE, top - i * PAGE, 0);
  expect_touch(STORE, top - 500 * PAGE, 0);
  expect_eq(top[0], 't');
  expect_touch(STORE, p + 100 * PAGE, SIGSEGV); // within 256 pages of the mapping below
  expect_touch(STORE, top + PAGE, SIGSEGV);     // not upwards
}

static void *
over_the_end(void *arg)
{
  pthread_attr_t attr;
  void *stack;
  size_t size;

  need(pthread_getattr_np(pthread_self(), &attr) == 0 && pthread_attr_getstack(&attr, &stack, &size) == 0);
  use_altstack();
  expect_touch(STORE, (char *)stack + PAGE, 0);
  expect_touch(STORE, (char *)stack - 8, SIGSEGV); // the guard page
  return 0;
}

TEST(thread_stacks_have_a_guard) // Z07
{
  pthread_t t;

  need(pthread_create(&t, 0, over_the_end, 0) == 0);
  pthread_join(t, 0);
}

static int
depth(int n)
{
  volatile char frame[1024];

  frame[0] = n;
  return n == 0 ? 0 : depth(n - 1) + frame[0] - (char)n + 1;
}

static void
deep_recursion(void *arg)
{
  depth(100000);
}

TEST(address_space_limit) // O01
{
  char *p = map(PAGE), *now = (char *)syscall(SYS_brk, 0);
  int status;

  set_limit(RLIMIT_AS, 32 << 20);
  expect_errno(raw_mmap(0, 64 << 20, RW, ANON, -1, 0), ENOMEM);
  expect_errno(raw_mmap(0, 64 << 20, PROT_NONE, ANON | MAP_NORESERVE, -1, 0), ENOMEM);
  expect_errno((long)mremap(p, PAGE, 64 << 20, MREMAP_MAYMOVE), ENOMEM);
  expect(syscall(SYS_brk, now + (64 << 20)) == (long)now);
  expect(raw_mmap(0, 1 << 20, RW, ANON, -1, 0) != MAP_FAILED);
  set_limit(RLIMIT_AS, 4 << 20);
  status = in_child(deep_recursion, 0);
  expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

TEST(reservations) // O03, O04
{
  char *p;

  if(here()) // what is above all memory depends on the machine; here it has less
    expect_errno(raw_mmap(0, 1ul << 40, RW, ANON, -1, 0), ENOMEM);
  expect_errno(raw_mmap(0, 64ul << 40, RW, ANON, -1, 0), ENOMEM);
  p = raw_mmap(0, 1ul << 40, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
  need(p != MAP_FAILED);
  expect(mprotect(p + (512ul << 30), 1 << 20, RW) == 0);
  p[512ul << 30] = 1;
  p = raw_mmap(0, 1ul << 40, RW, ANON | MAP_NORESERVE, -1, 0);
  need(p != MAP_FAILED);
  p[0] = p[(1ul << 40) - 1] = 1;
}

// A promise once made is kept, and grows with its mapping, also when it may no longer be written.
TEST(reservations_of_what_was_writable) // O03
{
  char *p = map(PAGE), *never = raw_mmap(0, PAGE, PROT_READ, ANON, -1, 0), *q;

  only_here(); // what is more than all memory depends on the machine
  need(never != MAP_FAILED && mprotect(p, PAGE, PROT_READ) == 0);
  expect_errno(mremap(p, PAGE, 1ul << 40, MREMAP_MAYMOVE), ENOMEM);
  q = mremap(never, PAGE, 1ul << 40, MREMAP_MAYMOVE);
  need(q != MAP_FAILED);
  expect_errno(mprotect(q, 1ul << 40, RW), ENOMEM);
  munmap(q, 1ul << 40);
}

static void
use_memory(void *arg)
{
  size_t n = 8000;
  char *p = map(n * PAGE), *s = map_shared(1000 * PAGE);

  memset(p, 1, n * PAGE);
  memset(s, 1, 1000 * PAGE);
  if(fork() == 0)
    memset(p, 2, n / 2 * PAGE);
}

TEST(exit_gives_memory_back) // O06
{
  long before = 0;

  only_here();
  for(int i = 0; i < 5; i++) {
    if(i == 2)
      before = free_frames();
    in_child(use_memory, 0);
    usleep(300000); // the grandchild
  }
  if(before - free_frames() > 64)
    t_fail(__FILE__, __LINE__, "expected all frames back, %ld are missing", before - free_frames());
}

// ---- /proc

static bool
line_says(const void *p, const char *perms, unsigned long off, const char *path)
{
  struct map_line m;
  char got[8] = "", name[300] = "";
  unsigned long lo, hi, o, ino;
  unsigned maj, min;

  if(!maps_find((unsigned long)p, &m) || m.lo > (unsigned long)p)
    return false;
  if(sscanf(m.text, "%lx-%lx %7s %lx %x:%x %lu %299[^\n]", &lo, &hi, got, &o, &maj, &min, &ino, name) < 7)
    return false;
  if(strcmp(got, perms) == 0 && o == off && strstr(name, path) != 0 && (ino != 0) == (path[0] == '/'))
    return true;
  printf("  line: %s\n", m.text);
  return false;
}

TEST(proc_maps) // H01
{
  char name[] = "/dev/shm/rules.XXXXXX", gone[64];
  int fd = mkstemp(name);
  char *p, *a = map_prot(PAGE, PROT_NONE), *x = map_prot(3 * PAGE, PROT_READ | PROT_EXEC), local;

  need(fd >= 0 && ftruncate(fd, 4 * PAGE) == 0);
  p = mmap(0, PAGE, RW, MAP_SHARED, fd, 2 * PAGE);
  need(p != MAP_FAILED);
  need(mprotect(x + PAGE, PAGE, PROT_WRITE) == 0);
  expect(line_says(p, "rw-s", 2 * PAGE, name));
  expect(line_says(a, "---p", 0, ""));
  expect(line_says(x, "r-xp", 0, "") && line_says(x + PAGE, "-w-p", 0, ""));
  expect(line_says(&local, "rw-p", 0, "[stack]"));
  unlink(name);
  snprintf(gone, sizeof(gone), "%s (deleted)", name);
  expect(line_says(p, "rw-s", 2 * PAGE, gone));
  char *heap = (char *)syscall(SYS_brk, 0);
  need((char *)syscall(SYS_brk, heap + 2 * PAGE) == heap + 2 * PAGE);
  expect(line_says(heap, "rw-p", 0, "[heap]"));
}

TEST(proc_maps_is_in_order) // H01
{
  unsigned long at = 0;
  struct map_line m;
  int n = 0;

  for(; maps_find(at, &m); at = m.hi, n++) {
    expect(m.lo >= at && m.lo < m.hi && m.lo % PAGE == 0 && m.hi % PAGE == 0);
    if(m.hi > TASK_TOP)
      break;
  }
  expect(n >= 4);
}

// The figure `key` of p's region in /proc/self/smaps, in KiB; -1: none.
static long
smaps_figure(const void *p, const char *key)
{
  char line[512];
  unsigned long lo, hi;
  bool in = false;
  long v = -1;
  FILE *f = fopen("/proc/self/smaps", "r");

  need(f);
  while(v < 0 && fgets(line, sizeof(line), f)) {
    if(sscanf(line, "%lx-%lx ", &lo, &hi) == 2 && line[0] >= '0' && line[0] <= 'f' && line[0] != 'A')
      in = lo <= (unsigned long)p && (unsigned long)p < hi;
    else if(in && strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
      sscanf(line + strlen(key) + 1, "%ld", &v);
  }
  fclose(f);
  return v;
}

TEST(proc_smaps) // H02
{
  char *p = map(64 * PAGE), *s = map_shared(16 * PAGE);

  mprotect(p + 63 * PAGE, PAGE, PROT_NONE); // a region of its own
  memset(p, 1, 10 * PAGE);
  memset(s, 1, 4 * PAGE);
  expect_eq(smaps_figure(p, "Size"), 63 * 4);
  expect_eq(smaps_figure(p, "Rss"), 40);
  expect_eq(smaps_figure(p, "Pss"), 40);
  expect_eq(smaps_figure(p, "Private_Dirty"), 40);
  expect_eq(smaps_figure(s, "Rss"), 16);
  expect_eq(smaps_figure(p, "Locked"), 0);
  need(mlock(p, 63 * PAGE) == 0);
  expect(smaps_figure(p, "Locked") >= 40);
  expect_eq(smaps_figure(p, "Rss"), 63 * 4);
}

TEST(proc_status_and_statm) // H02
{
  long size = proc_figure("/proc/self/status", "VmSize"), rss = proc_figure("/proc/self/status", "VmRSS");
  char *p = map_prot(4096 * PAGE, RW);
  unsigned long pages, res;
  FILE *f;

  expect(size > 0 && rss > 0);
  expect_eq(proc_figure("/proc/self/status", "VmSize") - size, 4096 * 4);
  memset(p, 1, 1024 * PAGE);
  rss = proc_figure("/proc/self/status", "VmRSS") - rss;
  expect(rss >= 900 * 4 && rss <= 1200 * 4);
  expect_eq(proc_figure("/proc/self/status", "VmLck"), 0);
  expect(proc_figure("/proc/self/status", "VmData") >= 4096 * 4);
  expect(proc_figure("/proc/self/status", "VmSwap") >= 0);
  f = fopen("/proc/self/statm", "r");
  need(f && fscanf(f, "%lu %lu", &pages, &res) == 2);
  fclose(f);
  expect(pages >= 4096 && res >= 1000 && res < pages);
}

static uint64_t
pagemap(const void *p)
{
  int fd = open("/proc/self/pagemap", O_RDONLY);
  uint64_t e = 0;

  need(fd >= 0 && pread(fd, &e, 8, (off_t)p / PAGE * 8) == 8);
  close(fd);
  return e;
}

TEST(proc_pagemap) // H04
{
  const uint64_t present = 1ull << 63, swapped = 1ull << 62;
  char *p = map(4 * PAGE);

  p[PAGE] = 1;
  expect((pagemap(p + PAGE) & present) != 0 && (pagemap(p + PAGE) & swapped) == 0);
  expect((pagemap(p) & present) == 0);
}

static bool
has_number(const char *path)
{
  unsigned long v;
  FILE *f = fopen(path, "r");
  bool ok = f && fscanf(f, "%lu", &v) == 1;

  if(f)
    fclose(f);
  return ok;
}

TEST(proc_meminfo_and_sys_vm) // H04
{
  static const char *const keys[] = {"MemTotal", "MemFree", "MemAvailable", "Cached",   "Dirty",        "AnonPages",
                                     "Mapped",   "Shmem",   "SwapTotal",    "SwapFree", "Committed_AS", "PageTables"};

  for(unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
    if(proc_figure("/proc/meminfo", keys[i]) < 0)
      t_fail(__FILE__, __LINE__, "/proc/meminfo has no %s", keys[i]);
  expect(proc_figure("/proc/meminfo", "MemTotal") > proc_figure("/proc/meminfo", "MemFree"));
  expect(has_number("/proc/sys/vm/max_map_count"));
  expect(has_number("/proc/sys/vm/overcommit_memory"));
  expect(has_number("/proc/sys/vm/mmap_min_addr"));
}

TEST(proc_vmstat) // H04
{
  static const char *const keys[] = {"nr_free_pages ", "pgfault ", "pgmajfault "};
  char line[128];
  int seen = 0;
  FILE *f = fopen("/proc/vmstat", "r");

  need(f);
  while(fgets(line, sizeof(line), f))
    for(int i = 0; i < 3; i++)
      seen += strncmp(line, keys[i], strlen(keys[i])) == 0;
  fclose(f);
  expect_eq(seen, 3);
}

TEST(getrusage_counts_faults) // H07
{
  char *p = map(64 * PAGE);
  struct rusage a, b;

  need(madvise(p, 64 * PAGE, MADV_NOHUGEPAGE) == 0 || errno == EINVAL);
  need(getrusage(RUSAGE_SELF, &a) == 0);
  for(int i = 0; i < 64; i++)
    p[i * PAGE] = 1;
  need(getrusage(RUSAGE_SELF, &b) == 0);
  expect(b.ru_minflt - a.ru_minflt >= 64 && b.ru_minflt - a.ru_minflt < 100);
  expect_eq(b.ru_majflt - a.ru_majflt, 0);
  expect(b.ru_maxrss > 0);
}
