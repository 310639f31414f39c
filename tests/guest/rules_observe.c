// rules_observe.c -- what /proc shows of a process's memory, page by page and region by region, and what it forgets when
// told to: rules H02, H04, H07, F17, M36.
#include "rules.h"
#include <pthread.h>

#define PRESENT   (1ull << 63)
#define SWAPPED   (1ull << 62)
#define OF_FILE   (1ull << 61)
#define EXCLUSIVE (1ull << 56)
#define SOFT      (1ull << 55)
#define PFN       ((1ull << 55) - 1)

static uint64_t
pagemap(const volatile void *p)
{
  static pid_t whose;
  static int fd;
  uint64_t e = 0;

  if(whose != getpid()) // a child has its own
    fd = open("/proc/self/pagemap", O_RDONLY);
  whose = getpid();
  need(fd >= 0 && pread(fd, &e, 8, (off_t)((uintptr_t)p / PAGE * 8)) == 8);
  return e;
}

static void
clear_refs(const char *what)
{
  int fd = open("/proc/self/clear_refs", O_WRONLY);

  need(fd >= 0 && write(fd, what, strlen(what)) == (ssize_t)strlen(what));
  close(fd);
}

// The figure `key` of the region at p in /proc/self/smaps, in KiB.
static long
smaps(const void *p, const char *key)
{
  unsigned long lo, hi;
  char line[512];
  bool in = false;
  long v = -1;
  FILE *f = fopen("/proc/self/smaps", "r");

  need(f);
  while(v < 0 && fgets(line, sizeof(line), f)) {
    if(sscanf(line, "%lx-%lx ", &lo, &hi) == 2 && strchr(line, '-') < strchr(line, ' '))
      in = lo <= (unsigned long)p && (unsigned long)p < hi;
    else if(in && strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
      v = atol(line + strlen(key) + 1);
  }
  fclose(f);
  return v;
}

TEST(pagemap_of_private_memory) // H04
{
  char *p = map(8 * PAGE);
  uint64_t e;

  madvise(p, 8 * PAGE, MADV_NOHUGEPAGE);
  p[PAGE] = 1;
  (void)*(volatile char *)(p + 2 * PAGE); // zeros
  e = pagemap(p + PAGE);
  expect((e & PRESENT) && !(e & SWAPPED) && !(e & OF_FILE) && (e & EXCLUSIVE));
  expect(pagemap(p + 2 * PAGE) & PRESENT);
  expect(!(pagemap(p + 2 * PAGE) & OF_FILE) || !(pagemap(p + 2 * PAGE) & EXCLUSIVE));
  expect(!(pagemap(p) & PRESENT));
  if(getuid() == 0)
    expect((e & PFN) != 0 && (e & PFN) != (pagemap(p + 2 * PAGE) & PFN));
  if(fork() == 0) {
    expect(!(pagemap(p + PAGE) & EXCLUSIVE)); // also the parent's
    p[PAGE] = 2;
    _exit(t_failures != 0);
  }
  wait(0);
  munmap(p + PAGE, PAGE);
  expect_eq(pagemap(p + PAGE), 0);
}

TEST(pagemap_of_shared_memory_and_files) // H04
{
  int fd = temp_pages(4);
  char *s = file_at(fd, 4 * PAGE, RW, MAP_SHARED), *p = file_at(fd, 4 * PAGE, RW, MAP_PRIVATE);

  madvise(p, 4 * PAGE, MADV_RANDOM);
  s[0] = 1;
  expect((pagemap(s) & (PRESENT | OF_FILE)) == (PRESENT | OF_FILE));
  (void)*(volatile char *)(p + PAGE);
  expect((pagemap(p + PAGE) & (PRESENT | OF_FILE)) == (PRESENT | OF_FILE));
  p[2 * PAGE] = 1; // its own now
  expect((pagemap(p + 2 * PAGE) & (PRESENT | OF_FILE | EXCLUSIVE)) == (PRESENT | EXCLUSIVE));
}

static void
as_nobody(void *arg)
{
  char *p = arg;
  uint64_t e;
  int fd;

  fd = open("/proc/self/pagemap", O_RDONLY);
  become_nobody();
  if(fd < 0)
    fd = open("/proc/self/pagemap", O_RDONLY);
  need(fd >= 0);
  close(fd);
  fd = open("/proc/self/pagemap", O_RDONLY);
  if(fd < 0)
    return; // Linux: after setuid /proc/self is root's
  need(pread(fd, &e, 8, (uintptr_t)p / PAGE * 8) == 8);
  expect((e & PRESENT) && (e & PFN) == 0);
}

TEST(pagemap_as_a_file) // H04
{
  int fd = open("/proc/self/pagemap", O_RDONLY);
  char *p = map(1024 * PAGE);
  uint64_t e[1024];
  int n = 0;

  need(fd >= 0);
  madvise(p, 1024 * PAGE, MADV_NOHUGEPAGE);
  for(int i = 0; i < 1024; i += 7)
    p[i * PAGE] = 1;
  expect_eq(pread(fd, e, sizeof(e), (uintptr_t)p / PAGE * 8), sizeof(e));
  for(int i = 0; i < 1024; i++)
    n += ((e[i] & PRESENT) != 0) != (i % 7 == 0);
  expect_eq(n, 0);
  expect_errno(pread(fd, e, 8, 4), EINVAL);
  expect_errno(pread(fd, e, 7, 0), EINVAL);
  expect_eq(pread(fd, e, 8, 1l << 50), 0);
  expect_errno(pread(fd, (void *)8, 8, 0), EFAULT);
  expect_eq(lseek(fd, (uintptr_t)p / PAGE * 8, SEEK_SET), (off_t)((uintptr_t)p / PAGE * 8));
  expect(read(fd, e, 16) == 16 && (e[0] & PRESENT) && !(e[1] & PRESENT));
  expect_eq(in_child(as_nobody, p), 0);
}

TEST(soft_dirty) // H04
{
  char *p = map(16 * PAGE), *q, *s;
  uint64_t soft = 0;
  int status;

  madvise(p, 16 * PAGE, MADV_NOHUGEPAGE);
  memset(p, 1, 4 * PAGE);
  if(!(pagemap(p) & SOFT) && !here())
    skip("this Linux keeps no soft-dirty bits");
  expect(pagemap(p + 10 * PAGE) & SOFT); // as new as the mapping
  clear_refs("4\n");
  for(int i = 0; i < 16; i++)
    soft |= pagemap(p + i * PAGE) & SOFT;
  expect_eq(soft, 0);
  (void)*(volatile char *)p;
  expect(!(pagemap(p) & SOFT));
  p[2 * PAGE] = 2;  // there already
  p[10 * PAGE] = 3; // new
  for(int i = 0; i < 16; i++)
    expect_eq((pagemap(p + i * PAGE) & SOFT) != 0, i == 2 || i == 10);
  need(pipe((int[2]){0, 0}) == 0 && read(open("/dev/zero", O_RDONLY), p + 3 * PAGE, 10) == 10);
  expect(pagemap(p + 3 * PAGE) & SOFT); // a store of the kernel's
  expect(p[PAGE] == 1 && p[2 * PAGE] == 2 && p[3 * PAGE] == 0 && p[3 * PAGE + 10] == 1);
  q = map(PAGE);
  expect(pagemap(q) & SOFT); // new mappings are dirty
  clear_refs("4");
  if(fork() == 0) {
    expect(!(pagemap(p) & SOFT));
    p[0] = 9;
    expect(pagemap(p) & SOFT);
    _exit(t_failures != 0);
  }
  wait(&status);
  expect_eq(status, 0);
  expect(!(pagemap(p) & SOFT));
  p[0] = 5; // copied or not: a store
  expect((pagemap(p) & SOFT) && !(pagemap(p + PAGE) & SOFT));
  s = file_at(temp_pages(2), 2 * PAGE, RW, MAP_PRIVATE);
  clear_refs("4");
  s[PAGE] = 1;
  expect((pagemap(s + PAGE) & SOFT) && !(pagemap(s) & SOFT));
  q = mremap(p, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, map(4 * PAGE));
  need(q != MAP_FAILED);
  expect(pagemap(q + PAGE) & SOFT); // moved: dirty at the new place
}

// Stores through one mapping of a file are that mapping's, whoever else stores to the page, and also after it was written out.
TEST(soft_dirty_of_shared_memory) // H04
{
  int fd = temp_pages(16);
  char *p = file_at(fd, 16 * PAGE, RW, MAP_SHARED), *other = file_at(fd, 16 * PAGE, RW, MAP_SHARED);
  char *a = mmap(0, 4 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0), *q;
  int status;

  memset(p, 1, 16 * PAGE);
  memset(a, 1, 4 * PAGE);
  if(!(pagemap(p) & SOFT) && !here())
    skip("this Linux keeps no soft-dirty bits");
  expect((pagemap(p) & SOFT) && (pagemap(a) & SOFT));
  clear_refs("4");
  for(int i = 0; i < 16; i++)
    expect(!(pagemap(p + i * PAGE) & SOFT));
  expect(!(pagemap(a) & SOFT));
  expect(p[5 * PAGE] == 1 && p[6 * PAGE] == 1); // read, with dirty neighbours
  p[2 * PAGE] = 2;
  a[PAGE] = 2;
  other[7 * PAGE] = 7;
  need(pwrite(fd, "x", 1, 8 * PAGE) == 1 && read(open("/dev/zero", O_RDONLY), p + 9 * PAGE, 10) == 10);
  for(int i = 0; i < 16; i++)
    expect_eq((pagemap(p + i * PAGE) & SOFT) != 0, i == 2 || i == 9);
  expect((pagemap(a + PAGE) & SOFT) && !(pagemap(a) & SOFT));
  need(mprotect(p, 16 * PAGE, PROT_READ) == 0);
  expect((pagemap(p + 2 * PAGE) & SOFT) && !(pagemap(p + 3 * PAGE) & SOFT));
  need(mprotect(p, 16 * PAGE, RW) == 0 && msync(p, 16 * PAGE, MS_SYNC) == 0);
  expect((pagemap(p + 2 * PAGE) & SOFT) && !(pagemap(p + 3 * PAGE) & SOFT));
  clear_refs("4");
  expect(!(pagemap(p + 2 * PAGE) & SOFT));
  p[3 * PAGE] = 3;
  expect((pagemap(p + 3 * PAGE) & SOFT) && !(pagemap(p + 2 * PAGE) & SOFT));
  if(fork() == 0) {
    p[4 * PAGE] = 4;
    expect(pagemap(p + 4 * PAGE) & SOFT);
    _exit(t_failures != 0);
  }
  wait(&status);
  expect_eq(status, 0);
  expect(p[4 * PAGE] == 4 && !(pagemap(p + 4 * PAGE) & SOFT)); // not this one's store
  q = mremap(p, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, map(4 * PAGE));
  need(q != MAP_FAILED && q[PAGE] == 1);
  expect(pagemap(q + PAGE) & SOFT); // moved: dirty at the new place
}

static char *volatile counter_page;
static volatile bool stop_counting;

static void *
count_for_ever(void *arg)
{
  while(!stop_counting)
    for(int i = 0; i < 8; i++)
      ++*(volatile int *)(counter_page + i * PAGE);
  return 0;
}

TEST_TIMED(stores_against_clearing, 120) // H04, W03
{
  char *p = map(8 * PAGE);
  pthread_t t[2];
  int missed = 0;

  only_here();
  counter_page = p;
  memset(p, 0, 8 * PAGE);
  for(int i = 0; i < 2; i++)
    need(pthread_create(&t[i], 0, count_for_ever, 0) == 0);
  for(int round = 0; round < 300; round++) {
    int seen[8];

    clear_refs("4");
    for(int i = 0; i < 8; i++)
      seen[i] = *(volatile int *)(p + i * PAGE);
    for(int i = 0; i < 8; i++) {
      while(*(volatile int *)(p + i * PAGE) == seen[i]) // until there was a store after the clearing
        sched_yield();
      missed += !(pagemap(p + i * PAGE) & SOFT);
    }
    if(round % 30 == 0 && fork() == 0)
      _exit(0);
  }
  stop_counting = true;
  for(int i = 0; i < 2; i++)
    pthread_join(t[i], 0);
  expect_eq(missed, 0);
}

TEST(referenced) // H02
{
  char *p = map(64 * PAGE), *s = file_at(temp_pages(8), 8 * PAGE, RW, MAP_SHARED);

  madvise(p, 64 * PAGE, MADV_NOHUGEPAGE);
  memset(p, 1, 64 * PAGE);
  memset(s, 1, 8 * PAGE);
  expect_eq(smaps(p, "Referenced"), 64 * 4);
  expect_eq(smaps(s, "Referenced"), 8 * 4);
  clear_refs("2"); // private anonymous memory alone
  expect_eq(smaps(p, "Referenced"), 0);
  expect_eq(smaps(s, "Referenced"), 8 * 4);
  clear_refs("3");
  expect_eq(smaps(s, "Referenced"), 0);
  if(fork() == 0) // a processor sees what it has looked up already without marking it: have that forgotten
    _exit(0);
  wait(0);
  for(int i = 0; i < 10; i++)
    (void)*(volatile char *)(p + i * PAGE);
  expect(smaps(p, "Referenced") > 0 && smaps(p, "Referenced") <= 10 * 4);
  clear_refs("1");
  expect_eq(smaps(p, "Referenced"), 0);
  expect(p[0] == 1 && s[0] == 1);
  expect_eq(smaps(p, "Rss"), 64 * 4);
}

// What Linux's own test of msync looks at: the frame of a file's page is clean when it was only read, dirty after a store,
// and clean again after msync.
TEST(dirty_frames_in_kpageflags) // H04, Y01
{
  enum { DIRTY = 1 << 4, UPTODATE = 1 << 3 };
  char name[] = "/var/tmp/kpageXXXXXX", *p;
  int fd = mkstemp(name), flags = open("/proc/kpageflags", O_RDONLY);
  uint64_t e, word;

  need(fd >= 0);
  unlink(name);
  if(flags < 0)
    skip("/proc/kpageflags is for root");
  need(write(fd, name, sizeof(name)) > 0 && ftruncate(fd, 3 * PAGE) == 0 && fsync(fd) == 0);
  p = file_at(fd, 3 * PAGE, RW, MAP_SHARED);
  for(int step = 0; step < 4; step++) {
    if(step == 1)
      p[1] = 'x';
    else if(step == 2)
      need(msync(p, PAGE, MS_SYNC) == 0);
    else if(step == 3)
      need(pwrite(fd, "y", 1, 0) == 1);
    need(p[0] != 0);
    e = pagemap(p);
    need((e & PRESENT) && (e & PFN) != 0);
    need(pread(flags, &word, 8, (e & PFN) * 8) == 8);
    expect(word & UPTODATE);
    expect_eq((word & DIRTY) != 0, step % 2);
  }
  expect_errno(pread(flags, &word, 8, 4), EINVAL);
  expect_errno(pread(flags, &word, 7, 0), EINVAL);
  expect_errno(pread(flags, (void *)8, 8, 0), EFAULT);
  expect_eq(pread(flags, &word, 8, 1l << 50), 0);
}

TEST(kinds_of_memory_in_status) // H02
{
  static const char *const key[] = {"RssAnon", "RssFile", "RssShmem"};
  char *a = map(64 * PAGE), *s = mmap(0, 64 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0), *f, *m;
  int disk = open("/var/tmp", O_RDWR | O_TMPFILE, 0600), mem = open("/dev/shm", O_RDWR | O_TMPFILE, 0600);
  long before[3];

  need(disk >= 0 && mem >= 0 && ftruncate(disk, 64 * PAGE) == 0 && ftruncate(mem, 64 * PAGE) == 0);
  f = file_at(disk, 64 * PAGE, RW, MAP_SHARED);
  m = file_at(mem, 64 * PAGE, RW, MAP_SHARED);
  madvise(a, 64 * PAGE, MADV_NOHUGEPAGE);
  for(int i = 0; i < 3; i++)
    before[i] = proc_figure("/proc/self/status", key[i]);
  memset(a, 1, 40 * PAGE);
  memset(f, 1, 30 * PAGE);
  memset(s, 1, 20 * PAGE);
  memset(m, 1, 10 * PAGE);
  // Linux counts by CPU and adds up now and then: a page or so may be missing
  for(int i = 0; i < 3; i++) {
    long more = proc_figure("/proc/self/status", key[i]) - before[i], want = (i == 0 ? 40 : 30) * 4;

    if(more < want || more > want + (here() ? 16 : 1024))
      t_fail(__FILE__, __LINE__, "%s grew by %ld kB, expected %ld", key[i], more, want);
  }
}

TEST(clear_refs_and_its_errors) // H04
{
  int fd = open("/proc/self/clear_refs", O_WRONLY);
  char *p = map(4096 * PAGE);
  long peak;

  need(fd >= 0);
  expect_errno(write(fd, "0", 1), EINVAL);
  expect_errno(write(fd, "6", 1), EINVAL);
  expect_errno(write(fd, "x", 1), EINVAL);
  memset(p, 1, 4096 * PAGE);
  munmap(p, 4096 * PAGE);
  peak = proc_figure("/proc/self/status", "VmHWM");
  expect(peak >= 4096 * 4);
  expect_eq(write(fd, "5\n", 2), 2); // the peak starts anew
  expect(proc_figure("/proc/self/status", "VmHWM") < peak - 4000 * 4);
}

static const char *const smaps_keys[] = {"Rss",           "Pss",           "Pss_Dirty",     "Shared_Clean",
                                         "Shared_Dirty",  "Private_Clean", "Private_Dirty", "Referenced",
                                         "Anonymous",     "LazyFree",      "AnonHugePages", "ShmemPmdMapped",
                                         "FilePmdMapped", "Swap",          "SwapPss",       "Locked"};

TEST(smaps_says_everything) // H02
{
  char *p = map(64 * PAGE), *s = file_at(temp_pages(8), 8 * PAGE, RW, MAP_SHARED);
  char *r = file_at(temp_pages(8), 8 * PAGE, PROT_READ, MAP_PRIVATE);

  madvise(p, 64 * PAGE, MADV_NOHUGEPAGE);
  for(unsigned i = 0; i < sizeof(smaps_keys) / sizeof(smaps_keys[0]); i++)
    if(smaps(p, smaps_keys[i]) < 0)
      t_fail(__FILE__, __LINE__, "smaps has no %s", smaps_keys[i]);
  memset(p, 1, 10 * PAGE);
  memset(s, 1, 8 * PAGE);
  for(int i = 0; i < 8; i++)
    (void)*(volatile char *)(r + i * PAGE);
  expect_eq(smaps(p, "Size"), 64 * 4);
  expect_eq(smaps(p, "Rss"), 40);
  expect_eq(smaps(p, "Pss"), 40);
  expect_eq(smaps(p, "Pss_Dirty"), 40);
  expect_eq(smaps(p, "Private_Dirty"), 40);
  expect_eq(smaps(p, "Anonymous"), 40);
  expect_eq(smaps(s, "Rss"), 32);
  expect_eq(smaps(s, "Private_Dirty"), 32);
  expect_eq(smaps(s, "Anonymous"), 0);
  expect_eq(smaps(r, "Rss"), 32);
  expect_eq(smaps(r, "Pss"), 32);
  if(fork() == 0) {
    (void)*(volatile char *)s; // one page of the eight
    (void)*(volatile char *)p;
    sleep(1);
    _exit(0);
  }
  usleep(300000);
  expect_eq(smaps(p, "Pss"), 20);
  expect_eq(smaps(p, "Shared_Dirty"), 40);
  expect_eq(smaps(p, "Private_Dirty"), 0);
  wait(0);
  expect_eq(smaps(p, "Private_Dirty"), 40);
  need(mlock(p, 2 * PAGE) == 0);
  expect_eq(smaps(p, "Locked"), 8);
}

TEST(pss_counts_who_has_the_page) // H02
{
  int fd = temp_pages(64);
  char *s = file_at(fd, 64 * PAGE, RW, MAP_SHARED), *t = file_at(fd, 64 * PAGE, PROT_READ, MAP_SHARED);
  long shared, alone;

  for(int i = 0; i < 64; i++)
    s[i * PAGE] = 1;
  expect_eq(smaps(s, "Pss"), 256);         // the other mapping has none of them
  (void)*(volatile char *)(t + 20 * PAGE); // and now this one, perhaps with neighbours
  shared = smaps(s, "Shared_Dirty") + smaps(s, "Shared_Clean");
  alone = smaps(s, "Private_Dirty") + smaps(s, "Private_Clean");
  expect(shared >= 4 && shared <= 64 && shared + alone == 256);
  expect_eq(smaps(s, "Pss"), alone + shared / 2);
  expect_eq(smaps(t, "Rss"), shared);
}

TEST(smaps_rollup_sums) // H02
{
  static const char *const more[] = {"Pss_Anon", "Pss_File", "Pss_Shmem"};
  char *p = map(256 * PAGE), line[256];
  unsigned long lo, hi;
  long rss, anon;
  FILE *f;

  memset(p, 1, 256 * PAGE);
  f = fopen("/proc/self/smaps_rollup", "r");
  need(f && fgets(line, sizeof(line), f));
  fclose(f);
  expect(sscanf(line, "%lx-%lx ---p", &lo, &hi) == 2 && lo < hi && strstr(line, "[rollup]"));
  for(unsigned i = 0; i < sizeof(smaps_keys) / sizeof(smaps_keys[0]); i++)
    expect(proc_figure("/proc/self/smaps_rollup", smaps_keys[i]) >= 0);
  for(int i = 0; i < 3; i++)
    expect(proc_figure("/proc/self/smaps_rollup", more[i]) >= 0);
  rss = proc_figure("/proc/self/smaps_rollup", "Rss");
  anon = proc_figure("/proc/self/smaps_rollup", "Anonymous");
  expect(anon >= 1024 && rss >= anon && rss < 1024 + 4096);
  expect(proc_figure("/proc/self/smaps_rollup", "Pss_Anon") >= 1024);
}

TEST(vmstat_counts) // H04
{
  static const char *const keys[] = {"pgpgin",     "pgpgout",       "pswpin",        "pswpout",      "pgfault",
                                     "pgmajfault", "nr_anon_pages", "nr_file_pages", "nr_free_pages"};
  long before, after;
  char *p = map(256 * PAGE);

  madvise(p, 256 * PAGE, MADV_NOHUGEPAGE);
  for(unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
    char line[128];
    bool seen = false;
    FILE *f = fopen("/proc/vmstat", "r");

    while(!seen && fgets(line, sizeof(line), f))
      seen = strncmp(line, keys[i], strlen(keys[i])) == 0 && line[strlen(keys[i])] == ' ';
    fclose(f);
    if(!seen)
      t_fail(__FILE__, __LINE__, "/proc/vmstat has no %s", keys[i]);
  }
  FILE *f = popen("grep '^pgfault' /proc/vmstat", "r");

  need(f && fscanf(f, "pgfault %ld", &before) == 1);
  pclose(f);
  memset(p, 1, 256 * PAGE);
  f = popen("grep '^pgfault' /proc/vmstat", "r");
  need(f && fscanf(f, "pgfault %ld", &after) == 1);
  pclose(f);
  expect(after - before >= 256);
}

TEST(rusage_and_a_read_from_disk) // H07
{
  struct rusage a, b;
  char *p = map(1024 * PAGE);

  need(getrusage(RUSAGE_SELF, &a) == 0);
  memset(p, 1, 1024 * PAGE);
  need(getrusage(RUSAGE_SELF, &b) == 0);
  expect(b.ru_maxrss >= 4096 && b.ru_maxrss >= a.ru_maxrss);
  munmap(p, 1024 * PAGE);
  need(getrusage(RUSAGE_SELF, &a) == 0);
  expect(a.ru_maxrss >= b.ru_maxrss); // the peak stays
}

// ---- neighbours of a page that was read

TEST(a_read_fault_brings_the_neighbours) // F16, C06
{
  int fd = temp_pages(64);
  char *p = file_at(fd, 64 * PAGE, RW, MAP_SHARED);
  struct rusage a, b;
  int there = 0;

  need(getrusage(RUSAGE_SELF, &a) == 0);
  for(int i = 0; i < 64; i++)
    there += p[i * PAGE] != 0;
  need(getrusage(RUSAGE_SELF, &b) == 0);
  expect_eq(there, 64);
  expect(b.ru_minflt - a.ru_minflt <= 64 / 16 + 3);
  p = file_at(fd, 64 * PAGE, RW, MAP_SHARED);
  clear_refs("1");
  (void)*(volatile char *)(p + 16 * PAGE);
  expect(smaps(p, "Rss") >= 16 * 4 && smaps(p, "Rss") <= 32 * 4);
  if(here())
    expect_eq(smaps(p, "Referenced"), 4); // they come as old: nobody touched them. (Linux asks the page, too.)
}

TEST(neighbours_stop_at_the_end_and_at_copies) // F04, F16, S04
{
  int fd = temp_pages(20);
  char *p, *q;

  need(ftruncate(fd, 18 * PAGE + 100) == 0);
  p = file_at(fd, 32 * PAGE, RW, MAP_PRIVATE);
  p[17 * PAGE] = 'P';
  expect_eq(p[16 * PAGE], 'q');
  expect(p[17 * PAGE] == 'P' && p[17 * PAGE + 1] == 'r');
  for(int i = 19; i < 32; i++)
    expect_touch(LOAD, p + i * PAGE, SIGBUS);
  q = file_at(fd, 32 * PAGE, PROT_READ, MAP_SHARED);
  expect_eq(q[16 * PAGE], 'q');
  need(ftruncate(fd, 16 * PAGE) == 0);
  for(int i = 16; i < 20; i++)
    expect_touch(LOAD, q + i * PAGE, SIGBUS);
  need(ftruncate(fd, 20 * PAGE) == 0);
  expect_eq(differing(q + 16 * PAGE, 4 * PAGE, 0), 0);
}
