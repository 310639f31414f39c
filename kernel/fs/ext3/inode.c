// inode.c -- a disk inode becomes an inode in memory.
#include "fs/ext3/ext3.h"
#include "lib/string.h"

enum {
  EPOCH_BITS = 2,
  EPOCH_MASK = 3,
  SIZE_HIGH_SHIFT = 32,
  OLD_DEV_MASK = 0xffff,
  NSEC_MAX = 999999999,
  CREDITS_ERASE = 1 + CREDITS_ORPHAN + 3,
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
  stamp_set(&ip->atime, time_of(d->atime, extra ? d->atime_extra : 0));
  stamp_set(&ip->mtime, time_of(d->mtime, extra ? d->mtime_extra : 0));
  stamp_set(&ip->ctime, time_of(d->ctime, extra ? d->ctime_extra : 0));
  stamp_set(&ip->btime, extra ? time_of(d->crtime, d->crtime_extra) : stamp_get(&ip->ctime));
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
  if((d->flags & (EXT3_EXTENTS | EXT3_INLINE_DATA)) || size_of(d) > INT64_MAX)
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

int
ext3_info_make(struct inode *ip, struct ext3_dinode *d)
{
  struct ext3_fs *x = ext3_of(ip);
  uint64_t at = (uint64_t)((ip->ino - 1) % x->super.inodes_per_group) * x->super.inode_size;
  struct ext3_info *info = kzalloc(sizeof(*info));
  int err;

  if(info == 0)
    return -ENOMEM;
  err = buf_get(x->dev, x->group[(ip->ino - 1) / x->super.inodes_per_group].inode_table + at / EXT3_BLOCK, &info->buf);
  if(err) {
    kfree(info);
    return err;
  }
  info->ip = ip;
  sleep_init(&info->lock, "ext3.inode", RANK_BMAP);
  ordered_init(&info->ordered, ext3_ordered_flush);
  list_init(&info->orphan);
  ip->priv = info;
  if(d) {
    memset(d, 0, sizeof(*d));
    memcpy(d, (char *)info->buf->data + at % EXT3_BLOCK, min((size_t)x->super.inode_size, sizeof(*d)));
  }
  return 0;
}

void
ext3_info_free(struct inode *ip)
{
  buf_put(ext3_info(ip)->buf);
  kfree(ip->priv);
  ip->priv = 0;
}

static void
take_dinode(struct inode *ip, const struct ext3_dinode *d)
{
  struct ext3_fs *x = ext3_of(ip);
  struct ext3_info *info = ext3_info(ip);

  memcpy(info->block, d->block, sizeof(info->block));
  info->flags = d->flags;
  info->generation = d->generation;
  info->acl = d->file_acl;
  info->fast_link =
      S_ISTYPE(d->mode, S_IFLNK) && d->size < EXT3_FAST_LINK && d->blocks == (d->file_acl ? (uint32_t)EXT3_SECTORS : 0);
  ip->mode = d->mode;
  ip->uid = d->uid | (uint32_t)d->uid_high << 16;
  ip->gid = d->gid | (uint32_t)d->gid_high << 16;
  ip->nlink = d->links_count;
  ip->blocks = d->blocks;
  info->disksize = ip->obj.size = size_of(d);
  read_times(ip, d, x->super.inode_size > EXT3_GOOD_OLD_INODE && d->extra_isize >= sizeof(*d) - EXT3_GOOD_OLD_INODE);
  if(S_ISTYPE(d->mode, S_IFCHR) || S_ISTYPE(d->mode, S_IFBLK))
    ip->rdev = rdev_of(d->block);
}

// Fill ip from its disk inode; called once, by inode_find.
static int
read_hidden(struct inode *ip)
{
  struct ext3_dinode d;
  int err = ext3_info_make(ip, &d);

  if(err)
    return err;
  if(is_sane(ext3_of(ip), &d)) {
    take_dinode(ip, &d);
    return 0;
  }
  ext3_info_free(ip);
  return ext3_corrupt(ext3_of(ip), ip->ino, d.mode);
}

// The same for an inode that a name leads to.
static int
read_named(struct inode *ip)
{
  int err = read_hidden(ip);

  if(err || ip->nlink > 0)
    return err;
  ext3_info_free(ip);
  return ext3_corrupt(ext3_of(ip), ip->ino, 0);
}

// Names lead to ordinary inodes and to the root; what is reserved (the journal, bad blocks) is not for reading.
int
ext3_iget(struct ext3_fs *x, uint32_t ino, struct inode **out)
{
  if(ino > x->super.inodes_count || (ino < x->super.first_ino && ino != EXT3_ROOT_INO))
    return ext3_corrupt(x, ino, 0);
  return inode_find(&x->fs, ino, &ext3_mobj_ops, &ext3_inode_ops, read_named, out);
}

int
ext3_iget_hidden(struct ext3_fs *x, uint32_t ino, struct inode **out)
{
  return inode_find(&x->fs, ino, &ext3_mobj_ops, &ext3_inode_ops, read_hidden, out);
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

// ---- the end

// The attribute block loses one inode that uses it.
static int
release_acl(struct handle *h, struct inode *ip)
{
  struct ext3_fs *x = ext3_of(ip);
  struct ext3_info *info = ext3_info(ip);
  uint32_t block = info->acl, *refs;
  struct buf *b;
  int err;

  if(block == 0)
    return 0;
  if(block >= x->super.blocks_count || ext3_is_system(x, block))
    return ext3_corrupt(x, ip->ino, block);
  if((err = ext3_block_surely(x, block, &b)) != 0)
    return err;
  refs = (uint32_t *)b->data + 1; // behind the magic
  if(*refs > 1) {
    txn_declare(h, b);
    (*refs)--;
  } else {
    txn_revoke(h, block);
    err = ext3_bfree(h, x, block, 1);
  }
  buf_put(b);
  info->acl = 0;
  ip->blocks -= min(ip->blocks, (uint64_t)EXT3_SECTORS);
  return err;
}

// Nobody knows ip any more, and no name leads to it: give everything back. The blocks first, in as many handles as it
// takes, while it is an orphan; then its number.
static int
erase(struct inode *ip)
{
  struct ext3_fs *x = ext3_of(ip);
  struct handle h;
  int err;

  ordered_wait(x->journal, &ext3_info(ip)->ordered);
  mobj_truncate(&ip->obj, 0);
  if(!ext3_info(ip)->fast_link && !S_ISTYPE(ip->mode, S_IFCHR) && !S_ISTYPE(ip->mode, S_IFBLK))
    if((err = ext3_cut(ip, 0, UINT64_MAX)) != 0)
      return err;
  ordered_forget(x->journal, &ext3_info(ip)->ordered);
  if((err = ext3_begin_surely(x, CREDITS_ERASE + 3, &h)) != 0)
    return err;
  err = release_acl(&h, ip);
  ext3_orphan_del(&h, ip);
  ext3_info(ip)->disksize = 0;
  ext3_store(&h, ip);
  ext3_store_dtime(&h, ip, max(clock_wall() / NSEC, 1ull));
  err = err ? err : ext3_ifree(&h, ip);
  ext3_end(x, &h);
  return err;
}

static void
unlist(struct inode *ip)
{
  struct ext3_fs *x = ext3_of(ip);

  sleep_acquire(&x->orphans_lock);
  list_del(&ext3_info(ip)->orphan);
  sleep_release(&x->orphans_lock);
}

// What is left to do with an inode that nobody knows any more.
static void
settle(struct inode *ip)
{
  struct ext3_fs *x = ext3_of(ip);
  struct ext3_info *info = ext3_info(ip);

  if(!ext3_enter(x))
    return;
  if(ip->nlink == 0 && ip->mode)
    erase(ip); // an error has shut the gate; the next mount finishes it
  else if(mobj_sync(&ip->obj, 0, UINT64_MAX >> PAGE_SHIFT) == 0 && ip->touched)
    ext3_store_alone(ip);
  ordered_forget(x->journal, &info->ordered);
  ext3_leave(x);
}

static void
ext3_evict(struct inode *ip)
{
  struct ext3_fs *x = ext3_of(ip);

  // Before settle gives the number away: who takes it waits for this inode to be gone, with `alloc` held.
  sleep_acquire(&x->alloc);
  ext3_window_close(x, &ext3_info(ip)->window);
  sleep_release(&x->alloc);
  settle(ip);
  unlist(ip);
  dirindex_free(ip);
  ext3_info_free(ip);
  inode_free(ip);
}

// Small inodes have 32 bits of seconds: what they cannot say is as near as it can.
static void
clamp_time(uint64_t *stamp)
{
  if(stamp_get(stamp).sec > INT32_MAX)
    stamp_set(stamp, (struct times){.sec = INT32_MAX});
}

// Mode, owner or times are new.
static int
ext3_setattr(struct inode *ip)
{
  if(ext3_of(ip)->super.inode_size == EXT3_GOOD_OLD_INODE) {
    clamp_time(&ip->atime);
    clamp_time(&ip->mtime);
  }
  return ext3_store_alone(ip);
}

// write(2) changed size or times.
static int
ext3_written(struct inode *ip)
{
  struct ext3_fs *x = ext3_of(ip);
  struct ext3_info *info = ext3_info(ip);
  struct handle h;
  int err = ext3_begin_surely(x, 1, &h);

  if(err)
    return err;
  sleep_acquire(&info->lock);
  info->disksize = ip->obj.size;
  ext3_store_locked(&h, ip);
  sleep_release(&info->lock);
  ext3_end(x, &h);
  return 0;
}

const struct inode_ops ext3_inode_ops = {
    .lookup = ext3_lookup,
    .create = ext3_create,
    .mkdir = ext3_mkdir,
    .symlink = ext3_symlink,
    .link = ext3_link,
    .unlink = ext3_unlink,
    .rmdir = ext3_rmdir,
    .rename = ext3_rename,
    .exchange = ext3_exchange,
    .tmpfile = ext3_tmpfile,
    .readdir = ext3_readdir,
    .readlink = ext3_readlink,
    .truncate = ext3_truncate,
    .fallocate = ext3_fallocate,
    .setattr = ext3_setattr,
    .written = ext3_written,
    .seek = ext3_seek,
    .evict = ext3_evict,
};
