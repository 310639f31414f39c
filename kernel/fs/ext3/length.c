// length.c -- how long a file is, and where its holes are: truncate, fallocate, SEEK_DATA and SEEK_HOLE.
// Cutting: the new size and "unfinished" in one handle / wait until a commit that lists the file is through with its data /
// take the pages away / give the blocks back / "finished". A crash in between is finished by the next mount.
// Growing: what lies behind the old end in its block is zeroed first, and goes to the disk before the new size does.
// Typical: inode.lock (w) / ext3_truncate(ip, size).
// Knows nothing of where blocks lie.
#include "fs/ext3/ext3.h"
#include "lib/atomic.h"
#include "lib/string.h"

enum {
  FALLOC_PART = 64, // blocks that are punched in one handle, each perhaps in another group
  CREDITS_PUNCH = FALLOC_PART + 2 * EXT3_LEVELS + 16,
};

static bool
fits(uint64_t size)
{
  uint64_t n = size ? (size - 1) / EXT3_BLOCK : 0;

  return size <= INT64_MAX && n < EXT3_BLOCKS_MAX && ext3_level(&n) >= 0;
}

// The page that holds byte `at` of the file, if it has a block: up to date, referenced, and sure to be written if it is made
// dirty. *pg 0: there is nothing that could differ from zeros.
static int
page_at(struct inode *ip, uint64_t at, struct page **pg)
{
  uint32_t block;
  int err;

  *pg = 0;
  if(page_aligned(at))
    return 0;
  err = ext3_bmap(ip, at / EXT3_BLOCK, &block);
  if(err || block == 0)
    return err;
  err = mobj_page(&ip->obj, at / EXT3_BLOCK, FOR_WRITE, pg);
  if(!err)
    page_busy_clear(*pg);
  return err;
}

// Behind the end of the file, in its last block, may be anything.
static int
clear_behind_end(struct inode *ip)
{
  uint64_t size = ip->obj.size;
  struct page *pg;
  int err = page_at(ip, size, &pg);

  if(err || pg == 0)
    return err;
  page_busy_wait(pg);
  memset((char *)page_va(pg) + size % EXT3_BLOCK, 0, EXT3_BLOCK - size % EXT3_BLOCK);
  mobj_dirty(&ip->obj, pg);
  page_busy_clear(pg);
  page_put(pg);
  return 0;
}

static void
set_size(struct handle *h, struct inode *ip, uint64_t size, bool cutting)
{
  struct ext3_info *info = ext3_info(ip);

  sleep_acquire(&info->lock);
  info->disksize = size;
  info->cutting = cutting;
  ext3_store_locked(h, ip);
  sleep_release(&info->lock);
}

static int
lengthen(struct inode *ip, uint64_t size)
{
  struct ext3_fs *x = ext3_of(ip);
  struct handle h;
  int err = fits(size) ? clear_behind_end(ip) : -EFBIG;

  err = err ? err : ext3_begin(x, 1, &h);
  if(err)
    return err;
  set_size(&h, ip, size, false);
  txn_order(&h, &ext3_info(ip)->ordered);
  ext3_end(x, &h);
  mobj_truncate(&ip->obj, size);
  return 0;
}

static int
finished(struct inode *ip)
{
  struct ext3_fs *x = ext3_of(ip);
  struct handle h;
  int err = ext3_begin_surely(x, CREDITS_ORPHAN + 1, &h);

  if(err)
    return err;
  if(ip->nlink > 0)
    ext3_orphan_del(&h, ip);
  ext3_store(&h, ip);
  ext3_end(x, &h);
  return 0;
}

static int
shorten(struct inode *ip, uint64_t size)
{
  struct ext3_fs *x = ext3_of(ip);
  struct ext3_info *info = ext3_info(ip);
  struct page *last = 0;
  struct handle h;
  int err = page_at(ip, size, &last); // mobj_truncate zeroes its tail

  err = err ? err : ext3_begin(x, CREDITS_ORPHAN + 1, &h);
  if(err) {
    if(last)
      page_put(last);
    return err;
  }
  ext3_orphan_add(&h, ip);
  set_size(&h, ip, size, true);
  ext3_end(x, &h);
  ordered_wait(x->journal, &info->ordered);
  mobj_truncate(&ip->obj, size);
  sleep_acquire(&info->lock);
  info->cutting = false;
  sleep_release(&info->lock);
  if(last)
    page_put(last);
  err = ext3_cut(ip, pages_of(size), UINT64_MAX);
  return err ? err : finished(ip);
}

int
ext3_truncate(struct inode *ip, uint64_t size)
{
  int err;

  if(!ext3_enter(ext3_of(ip)))
    return -EROFS;
  if(size > ip->obj.size)
    err = lengthen(ip, size);
  else if(size < ip->obj.size)
    err = shorten(ip, size);
  else
    err = ext3_store_alone(ip); // the times
  ext3_leave(ext3_of(ip));
  return err;
}

// ---- holes

// Pages [lo, hi) become a hole, in one handle: what is taken out of the cache may be new in this transaction, and must not
// be the file's in any that commits without this.
static int
punch_part(struct inode *ip, uint64_t lo, uint64_t hi)
{
  struct ext3_fs *x = ext3_of(ip);
  struct ext3_info *info = ext3_info(ip);
  struct handle h;
  bool done;
  int err = ext3_begin(x, CREDITS_PUNCH, &h);

  if(err)
    return err;
  ordered_wait(x->journal, &info->ordered);
  mobj_punch_begin(&ip->obj, lo, hi);
  sleep_acquire(&info->lock);
  err = ext3_cut_some(&h, ip, lo, hi, &done);
  ext3_store_locked(&h, ip);
  sleep_release(&info->lock);
  ext3_end(x, &h);
  if(!err && !done)
    err = ext3_cut(ip, lo, hi); // blocks in more groups than one handle has room for
  mobj_punch_end(&ip->obj);
  return err;
}

// Bytes [lo, hi) within one page become zeros.
static int
zero_part(struct inode *ip, uint64_t lo, uint64_t hi)
{
  struct page *pg;
  uint32_t block;
  int err;

  if(lo >= hi)
    return 0;
  err = ext3_bmap(ip, lo / EXT3_BLOCK, &block);
  if(err || block == 0)
    return err;
  err = mobj_page(&ip->obj, lo / EXT3_BLOCK, FOR_WRITE, &pg);
  if(err)
    return err;
  memset((char *)page_va(pg) + lo % EXT3_BLOCK, 0, hi - lo);
  mobj_dirty(&ip->obj, pg);
  page_busy_clear(pg);
  page_put(pg);
  return 0;
}

static int
punch(struct inode *ip, uint64_t lo, uint64_t hi)
{
  uint64_t first = page_up(lo), last, end, span;
  uint32_t block;
  int err;

  hi = min(hi, ip->obj.size);
  if(lo >= hi)
    return 0;
  // A hole that reaches the end takes the last block whole.
  last = hi == ip->obj.size ? page_up(hi) : page_down(hi);
  if(first > last)
    return zero_part(ip, lo, hi);
  err = zero_part(ip, lo, min(first, hi));
  if(!err && hi > last)
    err = zero_part(ip, last, hi);
  for(uint64_t n = first / EXT3_BLOCK; n < last / EXT3_BLOCK && !err; n = end) {
    end = min((n | (FALLOC_PART - 1)) + 1, last / EXT3_BLOCK);
    err = ext3_bmap_span(ip, n, &block, &span);
    if(!err && block == 0 && span > end - n)
      end = min(n + span, last / EXT3_BLOCK); // nothing there: no page can be dirty either
    else if(!err)
      err = punch_part(ip, n, end);
    thread_relax();
  }
  return err;
}

// Every block of [lo, hi), which lies below the size, gets room on the disk: zeros, if it was a hole.
static int
fill_holes(struct inode *ip, uint64_t lo, uint64_t hi)
{
  struct page *pg;
  uint32_t block;
  int err = 0;

  for(uint64_t n = lo / EXT3_BLOCK; n * EXT3_BLOCK < hi && !err; n++) {
    err = ext3_bmap(ip, n, &block);
    if(err || block)
      continue;
    err = mobj_page(&ip->obj, n, FOR_WRITE, &pg);
    if(!err) {
      page_busy_clear(pg);
      page_put(pg);
    }
    thread_relax();
  }
  return err;
}

// Room for [off, end): as far as the file goes, or, without KEEP_SIZE, the file goes so far afterwards.
static int
reserve(struct inode *ip, unsigned mode, uint64_t off, uint64_t end)
{
  uint64_t old = ip->obj.size;
  int err = 0;

  // Room behind the end cannot be kept: the format has no blocks that are allocated and not yet written, and e2fsck takes
  // blocks behind the end for damage.
  if((mode & FALLOC_KEEP_SIZE) && end > old)
    return -EOPNOTSUPP;
  if(end > old)
    err = lengthen(ip, end);
  err = err ? err : fill_holes(ip, off, end);
  if(err && ip->obj.size != old)
    shorten(ip, old);
  return err;
}

int
ext3_fallocate(struct inode *ip, unsigned mode, uint64_t off, uint64_t len)
{
  int err = -EOPNOTSUPP;

  if(!ext3_enter(ext3_of(ip)))
    return -EROFS;
  if(mode == (FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE))
    err = punch(ip, off, off + len);
  else if(!(mode & ~FALLOC_KEEP_SIZE))
    err = reserve(ip, mode, off, off + len);
  ext3_leave(ext3_of(ip));
  return err;
}

int64_t
ext3_seek(struct inode *ip, uint64_t off, bool hole)
{
  uint64_t size = ip->obj.size, n = off / EXT3_BLOCK, span = 0;
  uint32_t block;
  int err = 0;

  rw_read(&ip->lock);
  for(; n * EXT3_BLOCK < size; n += span) {
    err = ext3_bmap_span(ip, n, &block, &span);
    if(err || (block == 0) == hole)
      break;
    thread_relax();
  }
  rw_read_release(&ip->lock);
  if(err)
    return err;
  if(n * EXT3_BLOCK >= size)
    return hole ? (int64_t)size : -ENXIO;
  return max(off, n * EXT3_BLOCK);
}
