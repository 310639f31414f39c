// bitmap.c -- find, set, clear and count bits in an array of bytes (ext3's bitmaps, pid numbers).
// Typical: k = bitmap_find_clear(map, 0, n) / if(k < n) bitmap_set(map, k).
// Works a machine word at a time where it can; must not read past byte (n-1)/8. Knows no lock: the caller has one.
#include "lib/bitmap.h"

enum { BYTE_BITS = 8, WORD_BITS = 64, WORD_BYTES = 8 };
typedef uint64_t unaligned_word __attribute__((aligned(1), may_alias));

bool
bitmap_test(const uint8_t *map, uint64_t k)
{
  return map[k / BYTE_BITS] >> (k % BYTE_BITS) & 1;
}

void
bitmap_set(uint8_t *map, uint64_t k)
{
  map[k / BYTE_BITS] |= 1 << (k % BYTE_BITS);
}

void
bitmap_clear(uint8_t *map, uint64_t k)
{
  map[k / BYTE_BITS] &= ~(1 << (k % BYTE_BITS));
}

// First bit in [from, n) that differs from all those of `like` (0: find a set bit, ~0: a clear one), or n.
static uint64_t
find_unlike(const uint8_t *map, uint64_t from, uint64_t n, uint64_t like)
{
  uint64_t k = from;

  while(k < n) {
    if(k % BYTE_BITS == 0 && n - k >= WORD_BITS) {
      uint64_t w = *(const unaligned_word *)(map + k / BYTE_BITS) ^ like;

      if(w)
        return k + __builtin_ctzll(w);
      k += WORD_BITS;
      continue;
    }
    if(bitmap_test(map, k) != (like & 1))
      return k;
    k++;
  }
  return n;
}

uint64_t
bitmap_find_clear(const uint8_t *map, uint64_t from, uint64_t n)
{
  return find_unlike(map, from, n, ~0ull);
}

uint64_t
bitmap_find_run(const uint8_t *map, uint64_t from, uint64_t n, uint64_t want)
{
  uint64_t lo, hi = from;

  while((lo = find_unlike(map, hi, n, ~0ull)) < n) {
    hi = find_unlike(map, lo, n - lo > want ? lo + want : n, 0);
    if(hi - lo >= want)
      return lo;
  }
  return n;
}

uint64_t
bitmap_count_set(const uint8_t *map, uint64_t n)
{
  uint64_t k = 0, count = 0;

  for(; n - k >= WORD_BITS; k += WORD_BITS) {
    uint64_t w = *(const unaligned_word *)(map + k / BYTE_BITS);

    for(; w; w &= w - 1)
      count++;
  }
  for(; k < n; k++)
    count += bitmap_test(map, k);
  return count;
}
