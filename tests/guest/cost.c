// cost.c -- executed instructions, read from the TSC: exact only under -icount, where one instruction is one tick.
// Not one of the suite's .t programs: tests/run boots it by itself.
#include "t.h"
#include <x86intrin.h>

enum { ROUNDS = 200, PERCENT = 100, TOLERANCE = 10 };

static long long
map_cost(unsigned long long n)
{
  long long best = 1ll << 60;

  for(int i = 0; i < ROUNDS; i++) {
    long long start = __rdtsc(), took;
    void *p = mmap(0, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    took = __rdtsc() - start;
    need(p != MAP_FAILED);
    munmap(p, n);
    best = took < best ? took : best;
  }
  return best;
}

TEST(mapping_64_TiB_costs_what_4_KiB_costs)
{
  long long small = map_cost(PAGE), huge = map_cost(64ull << 40);

  printf("  mmap of 4 KiB: %lld instructions, of 64 TiB: %lld\n", small, huge);
  if(huge * PERCENT > small * (PERCENT + TOLERANCE) || small * PERCENT > huge * (PERCENT + TOLERANCE))
    t_fail(__FILE__, __LINE__, "expected within %d %%: 4 KiB %lld, 64 TiB %lld", TOLERANCE, small, huge);
}

// ---- many regions: a thousand times as many may cost some steps more down the trees, not a thousand times as much

enum { FEW = 16, MANY = 16384, STRIDE = 4, TIMES = 2, OPS = 4 };
static char *const base = (char *)0x100000000000;

static void
make_region(long i)
{
  need(mmap(base + i * STRIDE * PAGE, (STRIDE - 1) * PAGE, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != MAP_FAILED);
}

static void
least(long long *cost, long long start)
{
  long long took = __rdtsc() - start;

  *cost = took < *cost ? took : *cost;
}

// The least that mmap, a split by mprotect, the first touch of a page, and munmap take in a space of n regions.
static void
region_costs(long n, long long cost[OPS])
{
  for(int i = 0; i < OPS; i++)
    cost[i] = 1ll << 60;
  for(int k = 0; k < ROUNDS; k++) {
    long i = (k * 2654435761ul) % n;
    char *at = base + i * STRIDE * PAGE, *p;
    long long start = __rdtsc();

    p = mmap(0, 2 * PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    least(&cost[0], start);
    need(p != MAP_FAILED && munmap(p, 2 * PAGE) == 0);
    start = __rdtsc();
    need(mprotect(at + PAGE, PAGE, PROT_READ) == 0);
    least(&cost[1], start);
    start = __rdtsc();
    *(volatile char *)at = 1;
    least(&cost[2], start);
    start = __rdtsc();
    need(munmap(at, (STRIDE - 1) * PAGE) == 0);
    least(&cost[OPS - 1], start);
    make_region(i);
  }
}

TEST(many_regions_cost_little_more_than_few)
{
  static const char *const name[OPS] = {"mmap", "mprotect", "touch", "munmap"};
  long long few[OPS], many[OPS];

  for(long i = 0; i < FEW; i++)
    make_region(i);
  region_costs(FEW, few);
  for(long i = FEW; i < MANY; i++)
    make_region(i);
  region_costs(MANY, many);
  for(int i = 0; i < OPS; i++) {
    printf("  %s among %d regions: %lld instructions, among %d: %lld\n", name[i], FEW, few[i], MANY, many[i]);
    if(many[i] > TIMES * few[i])
      t_fail(__FILE__, __LINE__, "%s: expected at most %d times %lld, saw %lld", name[i], TIMES, few[i], many[i]);
  }
}
