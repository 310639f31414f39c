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
