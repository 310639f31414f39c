// ialloc.c -- inodes: a free number near the directory, and giving one back.
// Files lie in the group of their directory, so that a directory's files are near each other; directories are spread over
// groups with room. The new inode is in memory before its bit is set, so nothing has to be undone.
// Typical: ext3_ialloc(h, dir, mode, cr, &ip) / ip->nlink = 1 / ext3_store(h, ip).
// Knows nothing of names.
#include "core/time.h"
#include "fs/ext3/ext3.h"
#include "lib/bitmap.h"
#include "lib/hash.h"
#include "lib/string.h"

enum { EXTRA_ISIZE = 32 };

static uint32_t
group_of_ino(const struct ext3_fs *x, uint64_t ino)
{
  return (ino - 1) / x->super.inodes_per_group;
}

// Among the groups with at least the average of free inodes, the one with most free blocks.
static uint32_t
group_for_dir(const struct ext3_fs *x)
{
  uint32_t average = x->super.free_inodes_count / x->ngroups, best = 0, most = 0;

  for(uint32_t g = 0; g < x->ngroups; g++)
    if(x->group[g].free_inodes > 0 && x->group[g].free_inodes >= average && x->group[g].free_blocks > most) {
      most = x->group[g].free_blocks;
      best = g;
    }
  return best;
}

static uint32_t
group_for_file(const struct ext3_fs *x, uint64_t parent)
{
  uint32_t home = group_of_ino(x, parent), g = home;

  for(uint32_t step = 1; step <= x->ngroups; step++) {
    if(x->group[g].free_inodes > 0 && x->group[g].free_blocks > 0)
      return g;
    g = (home + parent + step) % x->ngroups; // not all of one crowded group into the next
  }
  return home;
}

// inode_find's: an inode that is nobody's yet.
static int
read_fresh(struct inode *ip)
{
  int err = ext3_info_make(ip, 0);

  if(!err)
    ext3_info(ip)->generation = hash_u64(clock_now() ^ ip->ino);
  return err;
}

// The disk inode starts from zeros: what was there before may have been longer.
static void
clear_dinode(struct handle *h, struct inode *ip)
{
  struct ext3_dinode *d = ext3_dinode(ip);
  uint32_t size = ext3_of(ip)->super.inode_size;

  txn_declare(h, ext3_info(ip)->buf);
  memset(d, 0, size);
  if(size > EXT3_GOOD_OLD_INODE)
    d->extra_isize = EXTRA_ISIZE;
}

// Bit k of group g is clear: make it an inode.
static int
take_bit(struct handle *h, struct ext3_fs *x, uint32_t g, struct buf *b, uint32_t k, unsigned mode, struct inode **out)
    REQUIRES(x->alloc)
{
  uint32_t ino = g * x->super.inodes_per_group + k + 1;
  struct inode *ip;
  int err = inode_find(&x->fs, ino, &ext3_mobj_ops, &ext3_inode_ops, read_fresh, &ip);

  if(err)
    return err;
  if(ip->mode != 0) { // a name led to an inode that the bitmap says is free
    inode_put(ip);
    return ext3_corrupt(x, ino, g);
  }
  ext3_count(h, x, g, INODES, b, -1, S_ISTYPE(mode, S_IFDIR));
  bitmap_set(b->data, k);
  clear_dinode(h, ip);
  *out = ip;
  return 0;
}

// 0, -EIO, -ENOMEM, or -ENOSPC: none in this group.
static int
take_in_group(struct handle *h, struct ext3_fs *x, uint32_t g, unsigned mode, struct inode **out) REQUIRES(x->alloc)
{
  uint32_t n = x->super.inodes_per_group, k;
  struct buf *b;
  int err;

  if(x->group[g].free_inodes == 0)
    return -ENOSPC;
  if((err = ext3_bitmap(x, g, INODES, &b)) != 0)
    return err;
  k = bitmap_find_clear(b->data, g == 0 ? x->super.first_ino - 1 : 0, n);
  err = k < n ? take_bit(h, x, g, b, k, mode, out) : -ENOSPC;
  buf_put(b);
  return err;
}

int
ext3_ialloc(struct handle *h, struct inode *dir, unsigned mode, const struct cred *cr, struct inode **out)
{
  struct ext3_fs *x = ext3_of(dir);
  uint32_t first;
  int err = -ENOSPC;

  sleep_acquire(&x->alloc);
  first = S_ISTYPE(mode, S_IFDIR) ? group_for_dir(x) : group_for_file(x, dir->ino);
  for(uint32_t i = 0; err == -ENOSPC && i < x->ngroups; i++)
    err = take_in_group(h, x, (first + i) % x->ngroups, mode, out);
  sleep_release(&x->alloc);
  if(!err)
    inode_init_owner(*out, dir, mode, cr);
  return err;
}

int
ext3_ifree(struct handle *h, struct inode *ip)
{
  struct ext3_fs *x = ext3_of(ip);
  uint32_t g = group_of_ino(x, ip->ino), k = (ip->ino - 1) % x->super.inodes_per_group;
  struct buf *b;
  int err;

  sleep_acquire(&x->alloc);
  err = ext3_block_surely(x, x->group[g].inode_bitmap, &b);
  if(!err && !bitmap_test(b->data, k)) {
    buf_put(b);
    err = ext3_corrupt(x, ip->ino, g);
  }
  if(!err) {
    ext3_count(h, x, g, INODES, b, 1, S_ISTYPE(ip->mode, S_IFDIR) ? -1 : 0);
    bitmap_clear(b->data, k);
    buf_put(b);
  }
  sleep_release(&x->alloc);
  return err;
}
