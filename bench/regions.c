// regions.c -- what an address space of many regions costs: mmap, the first touch of a page, mprotect that splits a region
// and one that joins it again, munmap, in spaces of 10 to 1,000,000 regions. A static program; runs on Linux too.
//
//   usage: regions [N...]    one line for each N: nanoseconds an operation, the median of some hundred
//
// Each region has three pages, with one page free behind it, so no room between two is large enough for what mmap is asked
// to place: who looks for room by walking pays for every region. The places are random, the same in each run. In lazy6 under
// `-icount shift=0` a nanosecond is one executed instruction.
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { PAGE = 4096, PAGES = 3, STRIDE = 4, OPS = 400, SPARE = 5000 };
static char *const base = (char *)0x100000000000;

static uint64_t
now(void)
{
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void
die(const char *what, long n)
{
  fprintf(stderr, "regions: %s at region %ld: %s\n", what, n, strerror(errno));
  exit(1);
}

static char *
region(long i)
{
  return base + i * STRIDE * PAGE;
}

static void
make(long i)
{
  if(mmap(region(i), PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
          0) == MAP_FAILED)
    die("mmap", i);
}

// /proc/sys/vm/max_map_count: set it to `to` if that is not 0 and may be done; what it is then.
static long
limit(long to)
{
  FILE *f = to ? fopen("/proc/sys/vm/max_map_count", "w") : 0;
  long have = 65530; // Linux's

  if(f) {
    fprintf(f, "%ld\n", to);
    fclose(f);
  }
  f = fopen("/proc/sys/vm/max_map_count", "r");
  if(f && fscanf(f, "%ld", &have) != 1)
    die("max_map_count", 0);
  if(f)
    fclose(f);
  return have;
}

enum { MAP, TOUCH, SPLIT, JOIN, UNMAP, KINDS };
static uint64_t took[KINDS][OPS], start;

static void
stop(int kind, int k, int r)
{
  took[kind][k] = now() - start;
  if(r != 0)
    die("operation", kind);
}

static void
measure_one(char *at, int k)
{
  char *p;

  start = now();
  *(volatile char *)(at + PAGE) = 1;
  stop(TOUCH, k, 0);
  start = now();
  stop(SPLIT, k, mprotect(at + PAGE, PAGE, PROT_READ));
  start = now();
  stop(JOIN, k, mprotect(at + PAGE, PAGE, PROT_READ | PROT_WRITE));
  start = now();
  p = mmap(0, (STRIDE - PAGES + 1) * PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  stop(MAP, k, p == MAP_FAILED);
  munmap(p, (STRIDE - PAGES + 1) * PAGE);
  start = now();
  stop(UNMAP, k, munmap(at, PAGES * PAGE));
}

static void
measure(long n)
{
  uint64_t seed = 88172645463325252ull;

  for(int k = 0; k < OPS; k++) {
    long i;

    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    i = (seed >> 8) % n;
    measure_one(region(i), k);
    make(i);
  }
}

static int
by_size(const void *a, const void *b)
{
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

  return (x > y) - (x < y);
}

static void
report(long n)
{
  printf("%10ld", n);
  for(int kind = 0; kind < KINDS; kind++) {
    qsort(took[kind], OPS, sizeof(took[kind][0]), by_size);
    printf(" %10lu", took[kind][OPS / 2]);
  }
  printf("\n");
  fflush(stdout);
}

int
main(int argc, char **argv)
{
  static const long sizes[] = {10, 1000, 100000, 1000000};
  int count = argc > 1 ? argc - 1 : (int)(sizeof(sizes) / sizeof(sizes[0]));
  long have = 0, was = limit(0);

  printf("%10s %10s %10s %10s %10s %10s\n", "regions", "mmap", "touch", "split", "join", "munmap");
  for(int i = 0; i < count; i++) {
    long n = argc > 1 ? atol(argv[i + 1]) : sizes[i];

    if(n < 1 || n < have || limit(n + SPARE) < n + SPARE) {
      printf("%10ld  not more than %ld regions are allowed here\n", n, limit(0));
      continue;
    }
    for(; have < n; have++)
      make(have);
    measure(n);
    report(n);
  }
  munmap(base, (size_t)have * STRIDE * PAGE);
  limit(was);
  return 0;
}
