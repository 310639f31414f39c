// hash.h -- string and integer hashes for in-memory tables (not for hostile input that must not collide).
#pragma once
#include <stddef.h>
#include <stdint.h>

static inline uint64_t
hash_u64(uint64_t x)
{
  x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93ull;
  x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93ull;
  return x ^ (x >> 32);
}

static inline uint64_t
hash_bytes(const void *p, size_t n)
{
  const unsigned char *s = p;
  uint64_t h = 0xcbf29ce484222325ull; // FNV-1a

  while(n--)
    h = (h ^ *s++) * 0x100000001b3ull;
  return h ^ (h >> 29);
}
