// bcache.h -- metadata blocks of a disk, cached one frame each. File data never passes here.
// Typical: buf_get(dev, block, &b) / read b->data / buf_put.
// Lock keys: (a) atomic  (c) constant after creation  (H) bcache.lock
#pragma once
#include "dev/blk.h"
#include "mm/mm.h"

enum buf_flag { BUF_BUSY = 1, BUF_VALID = 2 };
enum { BUF_BUSY_BIT = 0 };

struct buf {
  struct blkdev *dev; // (c)
  uint64_t block;     // (c) in units of PAGE_SIZE
  int ref;            // (H)
  unsigned flags;     // (a) enum buf_flag
  struct page *page;  // (c)
  void *data;         // (c) page's contents
  struct list hash;   // (H)
  struct list lru;    // (H) only while ref is 0
};

void bcache_init(void);
// Block `block` of dev, read if it was not cached; referenced. Sleeps for the disk. -EIO; -ENOMEM or
// -EINTR only if there was no memory.
int buf_get(struct blkdev *dev, uint64_t block, struct buf **out);
void buf_put(struct buf *b);
// Drop up to n unreferenced blocks: how many. For reclaim.
uint64_t bcache_shrink(uint64_t n);
void bcache_forget(struct blkdev *dev); // its unreferenced blocks go: nothing of it is mounted any more
uint64_t bcache_pages(void);            // for /proc/meminfo (Buffers)
