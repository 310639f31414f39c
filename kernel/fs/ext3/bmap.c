// bmap.c -- file block to disk block: 12 direct pointers, then one, two and three levels of indirect blocks of 1024.
// A zero pointer at any level is a hole. A pointer outside the file system is damage: -EIO, never followed.
// Whoever looks holds no lock: a pointer is one word, grow.c enters it last, and cut.c takes away only what no page of the
// cache, and so no looker, can ask for.
// Knows nothing of how blocks come and go.
#include "fs/ext3/ext3.h"
#include "lib/atomic.h"

int
ext3_level(uint64_t *n)
{
  uint64_t span = 1;

  if(*n < EXT3_DIRECT)
    return 0;
  *n -= EXT3_DIRECT;
  for(int level = 1; level <= EXT3_LEVELS; level++) {
    span <<= EXT3_FANOUT_BITS;
    if(*n < span)
      return level;
    *n -= span;
  }
  return -1;
}

int
ext3_bmap_span(struct inode *ip, uint64_t n, uint32_t *block, uint64_t *span)
{
  struct ext3_fs *x = ext3_of(ip);
  int level = ext3_level(&n), err;
  uint32_t at;

  if(level < 0)
    return -EFBIG;
  at = atomic_get(&ext3_info(ip)->block[level ? EXT3_DIRECT + level - 1 : (int)n]);
  while(level > 0 && at != 0) {
    struct buf *b;

    if(at >= x->super.blocks_count)
      return ext3_corrupt(x, ip->ino, at);
    if((err = buf_get(x->dev, at, &b)) != 0)
      return err;
    level--;
    at = atomic_get((uint32_t *)b->data + ((n >> (level * EXT3_FANOUT_BITS)) & (EXT3_FANOUT - 1)));
    buf_put(b);
  }
  if(at >= x->super.blocks_count)
    return ext3_corrupt(x, ip->ino, at);
  *block = at;
  *span = (1ull << (level * EXT3_FANOUT_BITS)) - (n & ((1ull << (level * EXT3_FANOUT_BITS)) - 1));
  return 0;
}

int
ext3_bmap(struct inode *ip, uint64_t n, uint32_t *block)
{
  uint64_t span;

  return ext3_bmap_span(ip, n, block, &span);
}
