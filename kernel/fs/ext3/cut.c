// cut.c -- blocks of a file are given back: from a size on, or in a hole that is punched.
// From the last to the first, a pointer is cleared in the handle that frees its block, so the file is whole after every
// handle. Blocks that lie side by side are freed together. Blocks of directories and indirect blocks are revoked: older
// images of them in the log must not be replayed over what they become.
// Typical: pages taken away / ext3_cut(ip, lo, hi).
// Knows nothing of sizes.
#include "fs/ext3/ext3.h"

enum { SLACK = 12 }; // credits that one more pointer, and the end, may take

struct cut {
  struct handle *h;
  struct inode *ip;
  uint64_t lo, hi; // file blocks
  uint32_t run, n; // blocks cleared but not yet freed
  bool journaled;  // its data is metadata
  int err;         // the first
};

static void
flush_run(struct cut *c)
{
  int err = c->n ? ext3_bfree(c->h, ext3_of(c->ip), c->run, c->n) : 0;

  c->err = c->err ? c->err : err;
  c->n = 0;
}

// Pointer *p, in owner (0: the inode), is cleared and its block freed. false: it is none of a file's.
static bool
release(struct cut *c, uint32_t *p, struct buf *owner, bool metadata)
{
  struct ext3_fs *x = ext3_of(c->ip);
  uint32_t block = *p, per = x->super.blocks_per_group;

  if(block >= x->super.blocks_count || ext3_is_system(x, block)) {
    c->err = ext3_corrupt(x, c->ip->ino, block);
    return false;
  }
  if(metadata)
    txn_revoke(c->h, block);
  if(owner)
    txn_declare(c->h, owner);
  *p = 0;
  c->ip->blocks -= min(c->ip->blocks, (uint64_t)EXT3_SECTORS);
  if(c->n && block + 1 == c->run && block / per == c->run / per)
    c->run--;
  else if(!c->n || block != c->run + c->n || block / per != c->run / per) {
    flush_run(c);
    c->run = block;
  }
  c->n++;
  return true;
}

// Clear what lies in the range below *p, a pointer over `level` levels whose first file block is `first`. true: all of it.
static bool
cut_tree(struct cut *c, uint32_t *p, struct buf *owner, int level, uint64_t first)
{
  uint64_t span = 1ull << (level * EXT3_FANOUT_BITS), part = span >> EXT3_FANOUT_BITS;
  struct buf *b;
  bool done = true;

  if(*p == 0 || first + span <= c->lo || first >= c->hi)
    return true;
  if(c->h->credits < SLACK || c->err)
    return false;
  if(level == 0)
    return release(c, p, owner, c->journaled);
  if(*p >= ext3_of(c->ip)->super.blocks_count)
    c->err = ext3_corrupt(ext3_of(c->ip), c->ip->ino, *p);
  else
    c->err = ext3_block_surely(ext3_of(c->ip), *p, &b);
  if(c->err)
    return false;
  for(int i = EXT3_FANOUT - 1; i >= 0 && done; i--)
    done = cut_tree(c, (uint32_t *)b->data + i, b, level - 1, first + i * part);
  buf_put(b);
  if(!done || first < c->lo || first + span > c->hi)
    return done;
  return c->h->credits >= SLACK && release(c, p, owner, true);
}

int
ext3_cut_some(struct handle *h, struct inode *ip, uint64_t lo, uint64_t hi, bool *done)
{
  struct ext3_info *info = ext3_info(ip);
  struct cut c = {.h = h, .ip = ip, .lo = lo, .hi = hi, .journaled = !S_ISTYPE(ip->mode, S_IFREG)};
  uint64_t first[EXT3_LEVELS + 1] = {0, EXT3_DIRECT};

  assert_held(&info->lock);
  for(int level = 2; level <= EXT3_LEVELS; level++)
    first[level] = first[level - 1] + (1ull << ((level - 1) * EXT3_FANOUT_BITS));
  *done = true;
  for(int level = EXT3_LEVELS; level > 0 && *done; level--)
    *done = cut_tree(&c, &info->block[EXT3_DIRECT + level - 1], 0, level, first[level]);
  for(int i = EXT3_DIRECT - 1; i >= 0 && *done; i--)
    *done = cut_tree(&c, &info->block[i], 0, 0, i);
  flush_run(&c);
  info->last_at = 0;
  return c.err;
}

int
ext3_cut(struct inode *ip, uint64_t lo, uint64_t hi)
{
  struct ext3_fs *x = ext3_of(ip);
  struct ext3_info *info = ext3_info(ip);
  struct handle h;
  bool done = false;
  int err = 0;

  while(!done && !err && (err = ext3_begin_surely(x, CREDITS_CUT, &h)) == 0) {
    sleep_acquire(&info->lock);
    err = ext3_cut_some(&h, ip, lo, hi, &done);
    ext3_store_locked(&h, ip);
    sleep_release(&info->lock);
    ext3_end(x, &h);
  }
  return err;
}
