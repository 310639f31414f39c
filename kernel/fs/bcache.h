// bcache.h -- metadata blocks of a disk, cached one frame each. File data never passes here.
// Typical, to read:   buf_get(dev, block, &b) / read b->data / buf_put.
//          to change: buf_get / txn_declare(h, b) / write b->data / buf_put   (fs/journal/journal.h).
// BUF_BUSY is held by a read of the block, and by the journal while a write from b->data is on its way: nobody else takes
// it. What two threads must not do to one block at a time is for locks of the file system, not for BUSY.
// A block that a transaction owns, or that is committed but not yet at home, has a reference of the journal's and so never
// leaves the cache. There is no other dirty state: a change is a transaction's, or buf_write carries it home at once.
// Lock keys: (a) atomic  (c) constant after creation  (H) bcache.lock  (J) journal.lock
#pragma once
#include "dev/blk.h"
#include "mm/mm.h"

struct txn;

enum buf_flag {
  BUF_BUSY = 1,  // lock bit: the block is being read, or written from `data`
  BUF_VALID = 2, // `data` is what the disk holds, or newer
};
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
  // What the journal knows of it. Of the running and the committing transaction one has an even id, one an odd.
  struct txn *txn[2];    // (J) [tid & 1]: will log or forget the block
  struct list in_txn[2]; // (J) [tid & 1]: on the list of that one
  bool forget[2];        // (J) [tid & 1]: was freed there: is not logged, and leaves `home` when that one has committed
  struct page *frozen;   // (J) what the committing one logs, once a later one may change `data`; 0: `data` itself
  bool logged;           // (J) the committing one has written its image to the log, or is at it
  struct txn *home;      // (J) committed in this one at last, and not yet written to its place
  struct list on_home;   // (J)
};

void bcache_init(void);
// Block `block` of dev, read if it was not cached; referenced. Sleeps for the disk, but never because the block is being
// written. -EIO; -ENOMEM or -EINTR only if there was no memory.
int buf_get(struct blkdev *dev, uint64_t block, struct buf **out);
// The same without reading: a block that was not cached is all zeros. For blocks that are about to be filled from scratch;
// with a journal: txn_new. -ENOMEM, -EINTR.
int buf_get_new(struct blkdev *dev, uint64_t block, struct buf **out);
// The block if it is cached and was read, referenced; else 0. Waits for nothing.
struct buf *buf_get_cached(struct blkdev *dev, uint64_t block);
void buf_settle(struct buf *b); // wait until it is not BUSY: until a write from b->data that is under way is over
struct buf *buf_hold(
    struct buf *b); // one reference more of a block that the caller has one of; any lock below RANK_BCACHE
void buf_put(struct buf *b);
// Write the block to its place now, and wait; no FLUSH. Only for a block that no transaction has anything to do with: the
// superblock while nothing is journaled (mount, unmount). The caller keeps others from changing it. 0 or -EIO.
int buf_write(struct buf *b);
// Drop up to n unreferenced blocks: how many. For reclaim.
uint64_t bcache_shrink(uint64_t n);
void bcache_forget(struct blkdev *dev); // its unreferenced blocks go: nothing of it is mounted any more
uint64_t bcache_pages(void);            // for /proc/meminfo (Buffers)
