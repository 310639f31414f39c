// bmap.c -- file block to disk block: 12 direct pointers, then one, two and three levels of indirect blocks of 1024.
// A zero pointer at any level is a hole. A pointer outside the file system is damage: -EIO, never followed.
#include "fs/ext3/ext3.h"

enum { LEVELS_MAX = 3, FANOUT_BITS = 10 };
_Static_assert(1 << FANOUT_BITS == EXT3_FANOUT, "pointers in a block");

// How many indirect levels block *n lies under; *n becomes its number below them. -1: beyond what an inode can hold.
static int
level_of(uint64_t *n)
{
  uint64_t span = 1;

  if(*n < EXT3_DIRECT)
    return 0;
  *n -= EXT3_DIRECT;
  for(int level = 1; level <= LEVELS_MAX; level++) {
    span <<= FANOUT_BITS;
    if(*n < span)
      return level;
    *n -= span;
  }
  return -1;
}

int
ext3_bmap(struct inode *ip, uint64_t n, uint32_t *block)
{
  struct ext3_fs *x = ext3_of(ip);
  int level = level_of(&n), err;
  uint32_t at;

  if(level < 0)
    return -EFBIG;
  at = level ? ext3_info(ip)->block[EXT3_DIRECT + level - 1] : ext3_info(ip)->block[n];
  while(level-- > 0 && at != 0) {
    struct buf *b;

    if(at >= x->super.blocks_count)
      return ext3_corrupt(x, ip->ino, at);
    if((err = buf_get(x->dev, at, &b)) != 0)
      return err;
    at = ((uint32_t *)b->data)[(n >> (level * FANOUT_BITS)) & (EXT3_FANOUT - 1)];
    buf_put(b);
  }
  if(at >= x->super.blocks_count)
    return ext3_corrupt(x, ip->ino, at);
  *block = at;
  return 0;
}
