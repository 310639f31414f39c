// blk.h -- what a file system needs from a disk: asynchronous requests over 512-byte sectors.
// Order and durability come only by waiting for completion, then BLK_FLUSH, then waiting.
// Lock keys: (a) atomic  (c) constant after blk_add  (b) blk_lock of blk.c  (q) whoever has the request
#pragma once
#include "lib/list.h"
#include "mm/types.h"

enum blk_op {
  BLK_READ,
  BLK_WRITE,
  BLK_FLUSH,   // what was completed before is durable when this completes; no segments
  BLK_DISCARD, // these sectors are not needed: seg[].len counts, no memory; success may mean that nothing happened
};
enum { BLK_SECTOR = 512, BLK_SEGMENTS = 32 };

struct blkseg {
  paddr_t pa;
  uint32_t len; // multiple of BLK_SECTOR
};
struct blkreq {
  enum blk_op op;                         // (q)
  uint64_t sector;                        // (q)
  int nseg;                               // (q)
  struct blkseg seg[BLK_SEGMENTS];        // (q)
  void (*done)(struct blkreq *, int err); // (q) interrupt context; 0 or -EIO; may free the request
  void *arg;                              // (q) the caller's
  struct list link;                       // (q) the queue's
  uint64_t due;                           // (q) blkfail's: not to be told before; 0: at once
  struct blkdev *dev;                     // (q) blkfail's, while it is late
  int err;                                // (q) blkfail's, while it is late
};

struct blkdev;
struct blkdev_ops {
  void (*submit)(struct blkdev *, struct blkreq *); // may sleep for room in the queue; ends with blk_done
};
struct blkdev {
  char name[16];                                                 // (c) "vda"
  uint64_t sectors;                                              // (c)
  bool readonly, has_flush;                                      // (c)
  const struct blkdev_ops *ops;                                  // (c)
  void *priv;                                                    // (c) the driver's
  bool mounted;                                                  // (a) a file system has it for itself
  uint64_t nread, nwrite, nflush, sectors_read, sectors_written; // (a) completed, for /proc/diskstats
  struct list all;                                               // (b)
};
void blk_add(struct blkdev *d);
struct blkdev *blk_find(const char *name); // 0: no such device
struct blkdev *blk_next(struct blkdev *d); // all in order; 0 starts and ends
// Start one request. Checks it against the device's size (-EIO through done). May sleep.
void blk_submit(struct blkdev *d, struct blkreq *r);
// For drivers: the request is over, err 0 or -EIO. Calls r->done. Any context, no driver's lock held.
void blk_done(struct blkdev *d, struct blkreq *r, int err);
// Bytes of all segments.
uint64_t blk_bytes(const struct blkreq *r);
// Move `len` bytes (multiple of 512) at `sector` and wait. buf lies in the direct map. 0 or -EIO. Sleeps.
int blk_io(struct blkdev *d, enum blk_op op, uint64_t sector, void *buf, size_t len);

// ---- blkfail.c: disks that fail on purpose; its head has the grammar

// Set the rules: 0, -EINVAL (and a word on the console), -ENOSPC (more than fit), -ENOMEM.
int blkfail_set(const char *text);
// Rule i with what it did so far; false: there is none.
bool blkfail_text(int i, char *buf, size_t size);
// For blk.c: are there rules? / Count r by them: true: it fails, and ends with blk_done. / Hold back the end of r, which
// is due later: true; false: it is due.
extern bool blkfail_armed;
bool blkfail_hit(struct blkdev *d, struct blkreq *r);
bool blkfail_late(struct blkdev *d, struct blkreq *r, int err);
