// inode.c -- a disk inode becomes an inode in memory.
#include "fs/ext3/ext3.h"
#include "lib/string.h"

enum {
  EPOCH_BITS = 2,
  EPOCH_MASK = 3,
  SIZE_HIGH_SHIFT = 32,
  OLD_DEV_MASK = 0xffff,
  NSEC_MAX = 999999999,
  SECTORS = EXT3_BLOCK / BLK_SECTOR
};

static struct times
time_of(uint32_t base, uint32_t extra)
{
  struct times t = {.sec = (int64_t)(int32_t)base + ((int64_t)(extra & EPOCH_MASK) << 32), .nsec = extra >> EPOCH_BITS};

  t.nsec = min(t.nsec, (uint32_t)NSEC_MAX);
  return t;
}

// Two encodings on the disk: major << 8 | minor where both are small, else the one that inode.rdev has.
static uint64_t
rdev_of(const uint32_t *block)
{
  return block[0] ? block[0] & OLD_DEV_MASK : block[1];
}

static void
read_times(struct inode *ip, const struct ext3_dinode *d, bool extra)
{
  ip->atime = time_of(d->atime, extra ? d->atime_extra : 0);
  ip->mtime = time_of(d->mtime, extra ? d->mtime_extra : 0);
  ip->ctime = time_of(d->ctime, extra ? d->ctime_extra : 0);
  ip->btime = extra ? time_of(d->crtime, d->crtime_extra) : ip->ctime;
}

static int
read_dinode(struct ext3_fs *x, uint32_t ino, struct ext3_dinode *d)
{
  uint32_t index = (ino - 1) % x->super.inodes_per_group, size = x->super.inode_size;
  uint64_t at = (uint64_t)index * size;
  struct buf *b;
  int err = buf_get(x->dev, x->group[(ino - 1) / x->super.inodes_per_group].inode_table + at / EXT3_BLOCK, &b);

  if(err)
    return err;
  memset(d, 0, sizeof(*d));
  memcpy(d, (char *)b->data + at % EXT3_BLOCK, min(size, (uint32_t)sizeof(*d)));
  buf_put(b);
  return 0;
}

// Bytes of contents; things without any have none, whatever the disk says.
static uint64_t
size_of(const struct ext3_dinode *d)
{
  switch(d->mode & S_IFMT) {
  case S_IFREG: return d->size | (uint64_t)d->size_high << SIZE_HIGH_SHIFT;
  case S_IFDIR:
  case S_IFLNK: return d->size;
  default: return 0;
  }
}

// Can this inode exist here? A directory has no holes, so it cannot have more blocks than the disk.
static bool
is_sane(const struct ext3_fs *x, const struct ext3_dinode *d)
{
  if(d->links_count == 0 || (d->flags & (EXT3_EXTENTS | EXT3_INLINE_DATA)) || size_of(d) > INT64_MAX)
    return false;
  switch(d->mode & S_IFMT) {
  case S_IFDIR: return d->size / EXT3_BLOCK <= x->super.blocks_count;
  case S_IFREG:
  case S_IFLNK:
  case S_IFCHR:
  case S_IFBLK:
  case S_IFIFO:
  case S_IFSOCK: return true;
  default: return false;
  }
}

// Fill ip from its disk inode; called once, by inode_find.
static int
read_inode(struct inode *ip)
{
  struct ext3_fs *x = ext3_of(ip);
  struct ext3_info *info;
  struct ext3_dinode d;
  int err = read_dinode(x, ip->ino, &d);

  if(err)
    return err;
  if(!is_sane(x, &d))
    return ext3_corrupt(x, ip->ino, d.mode);
  if((info = kzalloc(sizeof(*info))) == 0)
    return -ENOMEM;
  memcpy(info->block, d.block, sizeof(info->block));
  info->fast_link = d.size < EXT3_FAST_LINK && d.blocks == (d.file_acl ? SECTORS : 0);
  ip->priv = info;
  ip->mode = d.mode;
  ip->uid = d.uid | (uint32_t)d.uid_high << 16;
  ip->gid = d.gid | (uint32_t)d.gid_high << 16;
  ip->nlink = d.links_count;
  ip->blocks = d.blocks;
  ip->obj.size = size_of(&d);
  read_times(ip, &d, x->super.inode_size > EXT3_GOOD_OLD_INODE && d.extra_isize >= sizeof(d) - EXT3_GOOD_OLD_INODE);
  if(S_ISTYPE(d.mode, S_IFCHR) || S_ISTYPE(d.mode, S_IFBLK))
    ip->rdev = rdev_of(d.block);
  return 0;
}

// Names lead to ordinary inodes and to the root; what is reserved (the journal, bad blocks) is not for reading.
int
ext3_iget(struct ext3_fs *x, uint32_t ino, struct inode **out)
{
  if(ino > x->super.inodes_count || (ino < x->super.first_ino && ino != EXT3_ROOT_INO))
    return ext3_corrupt(x, ino, 0);
  return inode_find(&x->fs, ino, &ext3_mobj_ops, &ext3_inode_ops, read_inode, out);
}

static int64_t
ext3_readlink(struct inode *ip, char *buf, size_t n)
{
  uint64_t len = ip->obj.size;
  uint32_t block;
  struct buf *b;
  int err;

  if(len == 0 || len >= EXT3_BLOCK)
    return ext3_corrupt(ext3_of(ip), ip->ino, len);
  n = min(n, len);
  if(ext3_info(ip)->fast_link) {
    memcpy(buf, ext3_info(ip)->block, n);
    return n;
  }
  if((err = ext3_bmap(ip, 0, &block)) != 0)
    return err;
  if(block == 0)
    return ext3_corrupt(ext3_of(ip), ip->ino, len);
  if((err = buf_get(ext3_of(ip)->dev, block, &b)) != 0)
    return err;
  memcpy(buf, b->data, n);
  buf_put(b);
  return n;
}

static void
ext3_evict(struct inode *ip)
{
  kfree(ip->priv);
  inode_free(ip);
}

const struct inode_ops ext3_inode_ops = {
    .lookup = ext3_lookup,
    .readdir = ext3_readdir,
    .readlink = ext3_readlink,
    .evict = ext3_evict,
};
