// grow.c -- a hole becomes a block: the data block and the indirect blocks that lead to it.
// All are allocated before the first pointer is set, and the pointer that makes them reachable is set last, so that
// whoever looks (bmap.c) sees a hole or the whole way.
// Typical: ext3_begin(x, CREDITS_MAP, &h) / page BUSY / info.lock / ext3_grow / ... / ext3_end.
// Knows nothing of pages.
#include "fs/ext3/ext3.h"
#include "lib/atomic.h"

struct way {       // how far the way to a block goes
  uint64_t n;      // the block's number below its level
  int left;        // levels of indirect blocks that are missing
  uint32_t *p;     // the first pointer that is zero, or the block's own
  struct buf *b;   // where p lies, referenced; 0: in the inode
  uint32_t *first; // first pointer of that array
};

static uint32_t
index_at(uint64_t n, int level)
{
  return (n >> (level * EXT3_FANOUT_BITS)) & (EXT3_FANOUT - 1);
}

static int
walk(struct inode *ip, uint64_t n, struct way *w)
{
  struct ext3_info *info = ext3_info(ip);
  struct buf *b;
  int err;

  *w = (struct way){.n = n, .first = info->block};
  w->left = ext3_level(&w->n);
  if(w->left < 0)
    return -EFBIG;
  w->p = &info->block[w->left ? EXT3_DIRECT + w->left - 1 : (int)w->n];
  for(; *w->p; w->p = w->first + index_at(w->n, w->left)) {
    if(*w->p >= ext3_of(ip)->super.blocks_count || ext3_is_system(ext3_of(ip), *w->p))
      err = ext3_corrupt(ext3_of(ip), ip->ino, *w->p);
    else if(w->left == 0)
      return 0;
    else
      err = buf_get(ext3_of(ip)->dev, *w->p, &b);
    if(w->b)
      buf_put(w->b);
    w->b = 0;
    if(err)
      return err;
    w->b = b;
    w->first = b->data;
    w->left--;
  }
  return 0;
}

// Where the next block of the file should lie: behind the one allocated last, behind its neighbour in the array, behind
// the array, or in the group of the inode.
static uint32_t
goal_of(struct inode *ip, uint64_t n, const struct way *w)
{
  struct ext3_info *info = ext3_info(ip);
  struct ext3_fs *x = ext3_of(ip);

  if(info->last_at && n == info->last + 1)
    return info->last_at + 1;
  if(w->p > w->first && w->p[-1])
    return w->p[-1] + 1;
  if(w->b)
    return w->b->block + 1;
  return (ip->ino - 1) / x->super.inodes_per_group * x->super.blocks_per_group;
}

// The indirect blocks block[0 .. left) point each to the next, block[left] is the data. On an error all are given back.
static int
chain(struct handle *h, struct inode *ip, const struct way *w, const uint32_t *block)
{
  struct buf *b;
  int err = 0, i;

  for(i = 0; i < w->left && !err; i++) {
    err = txn_new(h, block[i], &b);
    if(err)
      break;
    ((uint32_t *)b->data)[index_at(w->n, w->left - 1 - i)] = block[i + 1];
    buf_put(b);
  }
  if(!err)
    return 0;
  while(i-- > 0)
    txn_revoke(h, block[i]); // what was put into the transaction does not go to the disk
  return err;
}

static int
graft(struct handle *h, struct inode *ip, uint64_t n, struct way *w, uint32_t *out)
{
  struct ext3_info *info = ext3_info(ip);
  uint32_t block[EXT3_LEVELS + 1], goal = goal_of(ip, n, w);
  int got = 0, err = 0;

  for(; got <= w->left && !err; goal = block[got - 1] + 1)
    if((err = ext3_balloc(h, ip, goal, &block[got])) == 0)
      got++;
    else
      break;
  if(!err)
    err = chain(h, ip, w, block);
  if(err) {
    while(got-- > 0)
      ext3_balloc_undo(h, ext3_of(ip), block[got]);
    return err;
  }
  if(w->b)
    txn_declare(h, w->b);
  atomic_set(w->p, block[0]);
  ip->blocks += (uint64_t)got * EXT3_SECTORS;
  info->last = n;
  info->last_at = *out = block[w->left];
  return 0;
}

int
ext3_grow(struct handle *h, struct inode *ip, uint64_t n, uint32_t *block, bool *fresh)
{
  struct way w;
  int err;

  assert_held(&ext3_info(ip)->lock);
  *fresh = false;
  if(ip->blocks / EXT3_SECTORS + EXT3_LEVELS >= EXT3_BLOCKS_MAX)
    return -EFBIG;
  if((err = walk(ip, n, &w)) != 0)
    return err;
  if(*w.p) {
    *block = *w.p;
  } else {
    err = graft(h, ip, n, &w, block);
    *fresh = err == 0;
  }
  if(w.b)
    buf_put(w.b);
  return err;
}
