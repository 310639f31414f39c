// group.c -- one block group: its bitmaps, its descriptor, and the totals in the superblock. What changes a bitmap changes
// all three in the same handle, so the counts on the disk are exact after every crash.
// Typical: sleep_acquire(&x->alloc) / ext3_bitmap / find a bit / ext3_count / change the bit / buf_put / release.
// Knows nothing of who wants a block or an inode.
#include "fs/ext3/ext3.h"
#include "lib/string.h"

enum { GROUPS_PER_BLOCK = EXT3_BLOCK / sizeof(struct ext3_group) };

int
ext3_bitmap(struct ext3_fs *x, uint32_t g, enum ext3_kind kind, struct buf **b)
{
  return buf_get(x->dev, kind == BLOCKS ? x->group[g].block_bitmap : x->group[g].inode_bitmap, b);
}

void
ext3_count(struct handle *h, struct ext3_fs *x, uint32_t g, enum ext3_kind kind, struct buf *b, int more_free,
           int more_dirs)
{
  struct buf *gb = x->group_buf[g / GROUPS_PER_BLOCK];
  struct ext3_super *s = (struct ext3_super *)((char *)x->super_buf->data + EXT3_SUPER_OFFSET);
  struct ext3_group *gd = &x->group[g];

  assert_held(&x->alloc);
  txn_declare(h, b);
  txn_declare(h, gb);
  txn_declare(h, x->super_buf);
  if(kind == BLOCKS) {
    gd->free_blocks += more_free;
    x->super.free_blocks_count += more_free;
  } else {
    gd->free_inodes += more_free;
    gd->used_dirs += more_dirs;
    x->super.free_inodes_count += more_free;
  }
  memcpy((struct ext3_group *)gb->data + g % GROUPS_PER_BLOCK, gd, sizeof(*gd));
  s->free_blocks_count = x->super.free_blocks_count;
  s->free_inodes_count = x->super.free_inodes_count;
}

uint32_t
ext3_group_size(const struct ext3_fs *x, uint32_t g)
{
  uint32_t first = g * x->super.blocks_per_group;

  return min(x->super.blocks_per_group, x->super.blocks_count - first);
}

bool
ext3_is_system(const struct ext3_fs *x, uint32_t block)
{
  const struct ext3_group *gd = &x->group[block / x->super.blocks_per_group];
  uint32_t table = x->super.inodes_per_group * x->super.inode_size / EXT3_BLOCK;

  return block == 0 || block == gd->block_bitmap || block == gd->inode_bitmap ||
         (block >= gd->inode_table && block - gd->inode_table < table);
}
