// bitmap.h -- bits in an array of bytes, bit k in byte k/8 at k%8 (ext3's order; also used for numbers in memory).
#pragma once
#include "lib/util.h"

bool bitmap_test(const uint8_t *map, uint64_t k);
void bitmap_set(uint8_t *map, uint64_t k);
void bitmap_clear(uint8_t *map, uint64_t k);
// First clear bit in [from, n), or n.
uint64_t bitmap_find_clear(const uint8_t *map, uint64_t from, uint64_t n);
// First run of `want` clear bits in [from, n), or n.
uint64_t bitmap_find_run(const uint8_t *map, uint64_t from, uint64_t n, uint64_t want);
uint64_t bitmap_count_set(const uint8_t *map, uint64_t n);
