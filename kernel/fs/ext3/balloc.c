// balloc.c -- blocks: the next one near a goal, and giving them back.
// First choice is the goal itself, then the file's window, then the rest of the group, then the other groups. A block that
// a transaction freed is nobody's until that has committed (txn_pending): a crash would give it back to its old owner.
// Typical: ext3_balloc(h, ip, goal, &block) / use it, or ext3_balloc_undo ... ext3_bfree(h, x, block, n).
// Knows nothing of where a file keeps its block numbers.
#include "fs/ext3/ext3.h"
#include "lib/bitmap.h"

enum {
  WINDOW_AFTER = 4, // blocks that a file has before it gets a window: most files are small
  RUN_WANTED = 16,  // free blocks in a row that a window should begin with
};

enum how { STRICT, ANYWHERE }; // do the windows of others count?

struct want { // one search
  struct handle *h;
  struct ext3_fs *x;
  struct ext3_window *mine;
  bool grows; // the file has a window, or should
  enum how how;
};

// The first bit in [from, to) of group g's bitmap that can be had, or `to`.
static uint32_t
find_bit(const struct want *w, const uint8_t *map, uint32_t g, uint32_t from, uint32_t to)
{
  uint32_t base = g * w->x->super.blocks_per_group, end;
  uint64_t next;

  while((from = bitmap_find_clear(map, from, to)) < to) {
    if(txn_pending(w->x->journal, base + from, 1, &next))
      from = min(next - base, (uint64_t)to);
    else if(w->how == STRICT && ext3_window_foreign(w->x, w->mine, base + from, &end))
      from = min(end - base, to);
    else
      break;
  }
  return from;
}

// The bit to take in group g, looking from `from` on; the group's size if there is none.
static uint32_t
choose_bit(const struct want *w, const uint8_t *map, uint32_t g, uint32_t from)
{
  uint32_t size = ext3_group_size(w->x, g), base = g * w->x->super.blocks_per_group, run;
  struct ext3_window *m = w->mine;
  uint32_t bit = size;

  if(m->hi && m->lo >= base && m->lo < base + size) {
    uint32_t lo = m->lo - base, hi = m->hi - base;

    if(from >= lo && from < hi)
      bit = find_bit(w, map, g, from, hi);
    if(bit >= hi)
      bit = find_bit(w, map, g, lo, hi);
    if(bit < hi)
      return bit;
  }
  bit = find_bit(w, map, g, from, size);
  if(bit == from || bit == size || !w->grows)
    return bit;
  run = bitmap_find_run(map, bit, size, RUN_WANTED);
  run = run < size ? find_bit(w, map, g, run, size) : size;
  return run < size ? run : bit;
}

// Take one block of group g. 0, -EIO, or -ENOSPC: none in this one.
static int
take_in_group(struct ext3_fs *x, struct want *w, uint32_t g, uint32_t from, uint32_t *block) REQUIRES(x->alloc)
{
  uint32_t size = ext3_group_size(x, g), base = g * x->super.blocks_per_group, bit;
  struct buf *b;
  int err;

  if(x->group[g].free_blocks == 0)
    return -ENOSPC;
  if((err = ext3_bitmap(x, g, BLOCKS, &b)) != 0)
    return err;
  bit = choose_bit(w, b->data, g, from);
  if(bit < size && ext3_is_system(x, base + bit))
    err = ext3_corrupt(x, base + bit, g);
  else if(bit == size)
    err = -ENOSPC;
  if(!err) {
    ext3_count(w->h, x, g, BLOCKS, b, -1, 0);
    bitmap_set(b->data, bit);
    *block = base + bit;
    if(w->grows && !(w->mine->hi && *block >= w->mine->lo && *block < w->mine->hi))
      ext3_window_open(x, w->mine, *block, base + size);
  }
  buf_put(b);
  return err;
}

static int
take_anywhere(struct ext3_fs *x, struct want *w, uint32_t goal, uint32_t *block) REQUIRES(x->alloc)
{
  uint32_t first = goal / x->super.blocks_per_group;
  int err = take_in_group(x, w, first, goal % x->super.blocks_per_group, block);

  for(uint32_t i = 1; err == -ENOSPC && i <= x->ngroups; i++)
    err = take_in_group(x, w, (first + i) % x->ngroups, 0, block);
  return err;
}

int
ext3_balloc(struct handle *h, struct inode *ip, uint32_t goal, uint32_t *block)
{
  struct ext3_fs *x = ext3_of(ip);
  struct want w = {.h = h, .x = x, .mine = &ext3_info(ip)->window, .how = STRICT};
  int err = -ENOSPC;

  w.grows = ip->blocks >= WINDOW_AFTER * EXT3_SECTORS;
  if(goal >= x->super.blocks_count)
    goal = 0;
  sleep_acquire(&x->alloc);
  // The reserve is for files of the user it was reserved for.
  if(x->super.free_blocks_count > x->super.r_blocks_count || ip->uid == x->super.def_resuid)
    err = take_anywhere(x, &w, goal, block);
  if(err == -ENOSPC && x->windows.root && x->super.free_blocks_count > x->super.r_blocks_count) {
    w.how = ANYWHERE;
    w.grows = false;
    ext3_windows_drop(x);
    err = take_anywhere(x, &w, goal, block);
  }
  sleep_release(&x->alloc);
  return err;
}

// Clear [bit, bit + n) of group g. 0, -EIO.
static int
free_in_group(struct handle *h, struct ext3_fs *x, uint32_t g, uint32_t bit, uint32_t n) REQUIRES(x->alloc)
{
  struct buf *b;
  int err = ext3_block_surely(x, x->group[g].block_bitmap, &b);

  if(err)
    return err;
  for(uint32_t i = 0; i < n && !err; i++)
    if(!bitmap_test(b->data, bit + i))
      err = ext3_corrupt(x, g * x->super.blocks_per_group + bit + i, g);
  if(!err) {
    ext3_count(h, x, g, BLOCKS, b, n, 0);
    for(uint32_t i = 0; i < n; i++)
      bitmap_clear(b->data, bit + i);
  }
  buf_put(b);
  return err;
}

void
ext3_balloc_undo(struct handle *h, struct ext3_fs *x, uint32_t block)
{
  uint32_t per = x->super.blocks_per_group;

  sleep_acquire(&x->alloc);
  free_in_group(h, x, block / per, block % per, 1); // the bitmap was read a moment ago; an error leaves a block unused
  sleep_release(&x->alloc);
}

int
ext3_bfree(struct handle *h, struct ext3_fs *x, uint32_t block, uint32_t n)
{
  uint32_t per = x->super.blocks_per_group, some;
  int err = 0;

  sleep_acquire(&x->alloc);
  for(; n > 0 && !err; block += some, n -= some) {
    some = min(n, per - block % per);
    err = free_in_group(h, x, block / per, block % per, some);
    if(!err)
      txn_freed(h, block, some);
  }
  sleep_release(&x->alloc);
  return err;
}
