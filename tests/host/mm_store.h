// mm_store.h -- a memory object with a disk of bytes behind it, for the tests of mm.
#pragma once
#include "mm/mm.h"

struct store {
  struct mobj obj;
  uint8_t *disk;
  bool released;
  uint64_t fills, flushes, commits;
  int fail_fill, fail_makewrite, fail_flush; // the next ones fail with -EIO, -ENOSPC, -EIO
};
void store_init(struct store *st, uint64_t pages);     // size: all of them
void store_done(struct store *st);                     // after the last reference
void store_truncate(struct store *st, uint64_t bytes); // object and disk
