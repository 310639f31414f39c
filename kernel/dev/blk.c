// blk.c -- the disks there are, and the one gate to them.
// Typical: d = blk_find("vda"); blk_submit(d, &req) ... req.done(); or blk_io(d, BLK_READ, sector, buf, len).
// Must not know what lies on a disk, nor how a driver moves it.
#include "dev/blk.h"
#include "core/lock.h"
#include "core/trace.h"
#include "core/wait.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/mm.h"

enum {
  SEGMENT_BYTES = 1 << 16, // blk_io's pieces: 32 of them make a request of 2 MiB
};

static struct list blk_all = LIST_INIT(blk_all); // (blk_lock) in order of arrival; devices never leave
static struct spinlock blk_lock = SPINLOCK_INIT("blk", RANK_DEV);

// Who waits in blk_io sleeps here and not on its own stack: the interrupt may still be waking when the waiter is gone.
static struct waitq blk_waiters = {SPINLOCK_INIT("blk_io", RANK_WAITQ), LIST_INIT(blk_waiters.waiters)};

struct blkwait { // one blk_io
  int err;       // (c) once done
  bool done;     // (a)
};

void
blk_add(struct blkdev *d)
{
  spin_acquire(&blk_lock);
  list_add_tail(&blk_all, &d->all);
  spin_release(&blk_lock);
}

struct blkdev *
blk_find(const char *name)
{
  for(struct blkdev *d = blk_next(0); d; d = blk_next(d))
    if(strcmp(d->name, name) == 0)
      return d;
  return 0;
}

struct blkdev *
blk_next(struct blkdev *d)
{
  struct list *next;

  spin_acquire(&blk_lock);
  next = d ? d->all.next : blk_all.next;
  spin_release(&blk_lock);
  return next == &blk_all ? 0 : list_entry(next, struct blkdev, all);
}

uint64_t
blk_bytes(const struct blkreq *r)
{
  uint64_t n = 0;

  for(int i = 0; i < r->nseg; i++)
    n += r->seg[i].len;
  return n;
}

// Is the request one that the device can serve?
static bool
blk_sane(const struct blkdev *d, const struct blkreq *r)
{
  uint64_t n;

  if(r->op == BLK_FLUSH)
    return r->nseg == 0;
  if(r->op != BLK_READ && d->readonly)
    return false;
  if(r->nseg < 1 || r->nseg > BLK_SEGMENTS)
    return false;
  for(int i = 0; i < r->nseg; i++)
    if(r->seg[i].len == 0 || r->seg[i].len % BLK_SECTOR != 0)
      return false;
  n = blk_bytes(r) / BLK_SECTOR;
  return r->sector <= d->sectors && n <= d->sectors - r->sector;
}

void
blk_submit(struct blkdev *d, struct blkreq *r)
{
  trace(BLK_SUBMIT, r->op, r->sector, r->nseg);
  r->due = 0;
  if(!blk_sane(d, r) || (unlikely(atomic_get_relaxed(&blkfail_armed)) && blkfail_hit(d, r)))
    blk_done(d, r, -EIO);
  else if(r->op == BLK_FLUSH && !d->has_flush)
    blk_done(d, r, 0);
  else
    d->ops->submit(d, r);
}

void
blk_done(struct blkdev *d, struct blkreq *r, int err)
{
  if(unlikely(r->due != 0) && blkfail_late(d, r, err))
    return;
  if(err) {
    trace(BLK_ERROR, r->op, r->sector, err);
  } else {
    trace(BLK_DONE, r->op, r->sector, r->nseg);
    switch(r->op) {
    case BLK_READ:
      atomic_add(&d->nread, 1);
      atomic_add(&d->sectors_read, blk_bytes(r) / BLK_SECTOR);
      break;
    case BLK_WRITE:
      atomic_add(&d->nwrite, 1);
      atomic_add(&d->sectors_written, blk_bytes(r) / BLK_SECTOR);
      break;
    case BLK_FLUSH: atomic_add(&d->nflush, 1); break;
    case BLK_DISCARD: break;
    }
  }
  r->done(r, err);
}

static void
blk_io_done(struct blkreq *r, int err)
{
  struct blkwait *w = r->arg;

  w->err = err;
  atomic_set(&w->done, true); // from here on w and r may be gone
  waitq_wake(&blk_waiters);
}

// One request of at most BLK_SEGMENTS pieces: bytes done, or -EIO.
static int64_t
blk_io_some(struct blkdev *d, enum blk_op op, uint64_t sector, uint8_t *buf, size_t len)
{
  struct blkreq r;
  struct blkwait w = {0};
  size_t n = 0;

  r.op = op;
  r.sector = sector;
  r.nseg = 0;
  r.done = blk_io_done;
  r.arg = &w;
  while(n < len && r.nseg < BLK_SEGMENTS) {
    struct blkseg *s = &r.seg[r.nseg++];

    s->pa = buf ? pa_of_kva(buf + n) : 0;
    s->len = min(len - n, (size_t)SEGMENT_BYTES);
    n += s->len;
  }
  blk_submit(d, &r);
  wait_event(&blk_waiters, atomic_get(&w.done), WAIT_ALWAYS, NEVER);
  return w.err ? w.err : (int64_t)n;
}

int
blk_io(struct blkdev *d, enum blk_op op, uint64_t sector, void *buf, size_t len)
{
  int64_t n;

  if(op == BLK_FLUSH)
    len = 0;
  do {
    n = blk_io_some(d, op, sector, buf, len);
    if(n < 0)
      return n;
    sector += n / BLK_SECTOR;
    buf = buf ? (uint8_t *)buf + n : 0;
    len -= n;
  } while(len > 0);
  return 0;
}
