// dinode.c -- an inode in memory becomes a disk inode again: its fields go into the block of the inode table, in a handle.
// That block is referenced as long as the inode is in memory, so this cannot fail.
// i_dtime is not stored here: it links orphans, and is theirs (orphan.c).
// Typical: ext3_begin / change ip / ext3_store(&h, ip) / ext3_end.
#include "fs/ext3/ext3.h"
#include "lib/atomic.h"
#include "lib/string.h"

enum { SIZE_HIGH_SHIFT = 32, HALF = 16, EPOCH_MASK = 3, EPOCH_BITS = 2, OLD_DEV_MAX = 0xffff };

struct ext3_dinode *
ext3_dinode(const struct inode *ip)
{
  struct ext3_fs *x = ext3_of(ip);
  uint32_t per = EXT3_BLOCK / x->super.inode_size, at = (ip->ino - 1) % x->super.inodes_per_group % per;

  return (void *)((char *)ext3_info(ip)->buf->data + at * x->super.inode_size);
}

static void
put_time(const uint64_t *stamp, uint32_t *base, uint32_t *extra)
{
  struct times t = stamp_get(stamp);

  *base = t.sec;
  if(extra)
    *extra = ((t.sec - (int32_t)t.sec) >> SIZE_HIGH_SHIFT & EPOCH_MASK) | t.nsec << EPOCH_BITS;
}

static void
put_times(struct ext3_dinode *d, const struct inode *ip)
{
  bool extra =
      ext3_of(ip)->super.inode_size > EXT3_GOOD_OLD_INODE && d->extra_isize >= sizeof(*d) - EXT3_GOOD_OLD_INODE;

  put_time(&ip->atime, &d->atime, extra ? &d->atime_extra : 0);
  put_time(&ip->mtime, &d->mtime, extra ? &d->mtime_extra : 0);
  put_time(&ip->ctime, &d->ctime, extra ? &d->ctime_extra : 0);
  if(extra)
    put_time(&ip->btime, &d->crtime, &d->crtime_extra);
}

// A device's number, in the encoding that fits it (inode.c reads both).
static void
put_rdev(struct ext3_dinode *d, uint64_t rdev)
{
  bool small = rdev <= OLD_DEV_MAX; // major and minor have a byte each

  d->block[0] = small ? rdev : 0;
  d->block[1] = small ? 0 : rdev;
}

void
ext3_store_locked(struct handle *h, struct inode *ip)
{
  struct ext3_info *info = ext3_info(ip);
  struct ext3_dinode *d = ext3_dinode(ip);
  bool file = S_ISTYPE(ip->mode, S_IFREG);

  assert_held(&info->lock);
  txn_declare(h, info->buf);
  inode_settle(ip);
  d->mode = ip->mode;
  d->uid = ip->uid;
  d->uid_high = ip->uid >> HALF;
  d->gid = ip->gid;
  d->gid_high = ip->gid >> HALF;
  d->links_count = ip->nlink;
  d->size = info->disksize;
  d->size_high = file ? info->disksize >> SIZE_HIGH_SHIFT : 0;
  d->blocks = ip->blocks;
  d->flags = info->flags;
  d->generation = info->generation;
  d->file_acl = info->acl;
  put_times(d, ip);
  if(S_ISTYPE(ip->mode, S_IFCHR) || S_ISTYPE(ip->mode, S_IFBLK))
    put_rdev(d, ip->rdev);
  else
    memcpy(d->block, info->block, sizeof(d->block));
  atomic_set(&info->tid, h->tid);
}

void
ext3_store(struct handle *h, struct inode *ip)
{
  struct ext3_info *info = ext3_info(ip);

  sleep_acquire(&info->lock);
  ext3_store_locked(h, ip);
  sleep_release(&info->lock);
}

void
ext3_store_dtime(struct handle *h, struct inode *ip, uint32_t dtime)
{
  txn_declare(h, ext3_info(ip)->buf);
  ext3_dinode(ip)->dtime = dtime;
}

int
ext3_store_alone(struct inode *ip)
{
  struct ext3_fs *x = ext3_of(ip);
  struct handle h;
  int err = ext3_begin(x, 1, &h);

  if(err)
    return err;
  ext3_store(&h, ip);
  ext3_end(x, &h);
  return 0;
}
