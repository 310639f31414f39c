// state.c -- a mounted ext3 from read-only to written and back: its journal, its mark that it needs recovery, and the gate
// through which every change goes.
// Typical: ext3_start_writing at mount / ext3_begin, ext3_end for each change / ext3_stop_writing at unmount.
// On an abort of the journal (a disk that fails, an image that contradicts itself) the gate shuts: -EROFS from then on.
// Knows nothing of what a change does.
#include "core/print.h"
#include "core/thread.h"
#include "core/time.h"
#include "core/wait.h"
#include "fs/ext3/ext3.h"
#include "fs/internal.h"
#include "lib/atomic.h"

enum { GROUPS_PER_BLOCK = EXT3_BLOCK / sizeof(struct ext3_group), CREDITS_LEAST = 128, TRIES = 2 };

// ---- the gate ----

bool
ext3_enter(struct ext3_fs *x)
{
  atomic_add(&x->inside, 1);
  if(!atomic_get(&x->closing) && x->journal)
    return true;
  ext3_leave(x);
  return false;
}

void
ext3_leave(struct ext3_fs *x)
{
  if(atomic_sub(&x->inside, 1) == 0)
    waitq_wake(&x->quiet);
}

// The journal was aborted: say so once; from now on it is a read-only file system for everyone.
static void
shut(struct ext3_fs *x)
{
  int err = journal_error(x->journal);

  if(err == 0 || atomic_swap(&x->told, true))
    return;
  x->fs.readonly = true;
  print("ext3: %s can be read only from now on: %s; run e2fsck on it\n", x->fs.source,
        err == -EIO ? "writing failed, or its structure is damaged" : "its journal failed");
}

int
ext3_begin(struct ext3_fs *x, int credits, struct handle *h)
{
  int err;

  if(!ext3_enter(x))
    return -EROFS;
  err = txn_begin(x->journal, credits, h);
  if(err == -EROFS)
    shut(x);
  if(err)
    ext3_leave(x);
  return err;
}

int
ext3_begin_surely(struct ext3_fs *x, int credits, struct handle *h)
{
  int err;

  while((err = ext3_begin(x, credits, h)) == -ENOMEM || err == -EINTR)
    thread_yield();
  return err;
}

int
ext3_block_surely(struct ext3_fs *x, uint32_t block, struct buf **b)
{
  int err;

  while((err = buf_get(x->dev, block, b)) == -ENOMEM || err == -EINTR)
    thread_yield();
  return err ? ext3_corrupt(x, block, 0) : 0;
}

struct buf *
ext3_new_surely(struct handle *h, uint32_t block)
{
  struct buf *b;

  while(txn_new(h, block, &b) != 0)
    thread_yield();
  return b;
}

void
ext3_end(struct ext3_fs *x, struct handle *h)
{
  txn_end(h);
  ext3_leave(x);
}

bool
ext3_again(struct ext3_fs *x, int err, int *tries)
{
  bool again;

  if(err != -ENOSPC || ++*tries >= TRIES || x->super.free_blocks_count == 0 || !ext3_enter(x))
    return false;
  again = journal_force(x->journal) == 0;
  ext3_leave(x);
  return again;
}

// ---- the superblock, past the journal ----

// Mark or unmark "needs recovery", and write the superblock. Nothing is journaled now.
static int
write_super(struct ext3_fs *x, bool recover)
{
  struct ext3_super *s = (struct ext3_super *)((char *)x->super_buf->data + EXT3_SUPER_OFFSET);
  uint32_t now = clock_wall() / NSEC;
  int err;

  s->wtime = now;
  if(recover) {
    s->feature_incompat |= INCOMPAT_RECOVER;
    s->mtime = now;
    s->mnt_count++;
  } else {
    s->feature_incompat &= ~INCOMPAT_RECOVER;
  }
  s->free_blocks_count = x->super.free_blocks_count;
  s->free_inodes_count = x->super.free_inodes_count;
  s->state = x->super.state;
  x->super.feature_incompat = s->feature_incompat;
  err = buf_write(x->super_buf);
  return err ? err : blk_io(x->dev, BLK_FLUSH, 0, 0, 0);
}

static void
put_bufs(struct ext3_fs *x)
{
  uint32_t n = (x->ngroups + GROUPS_PER_BLOCK - 1) / GROUPS_PER_BLOCK;

  for(uint32_t i = 0; x->group_buf && i < n; i++)
    if(x->group_buf[i])
      buf_put(x->group_buf[i]);
  kfree(x->group_buf);
  x->group_buf = 0;
  if(x->super_buf)
    buf_put(x->super_buf);
  x->super_buf = 0;
}

// Reference what every change may need.
static int
get_bufs(struct ext3_fs *x)
{
  uint32_t n = (x->ngroups + GROUPS_PER_BLOCK - 1) / GROUPS_PER_BLOCK;
  int err = buf_get(x->dev, 0, &x->super_buf);

  if(!err && (x->group_buf = kzalloc(n * sizeof(x->group_buf[0]))) == 0)
    err = -ENOMEM;
  for(uint32_t i = 0; i < n && !err; i++)
    err = buf_get(x->dev, 1 + i, &x->group_buf[i]);
  if(err)
    put_bufs(x);
  return err;
}

// Free counts come from the descriptors: those of the superblock may be older.
static void
count_free(struct ext3_fs *x)
{
  x->super.free_blocks_count = x->super.free_inodes_count = 0;
  for(uint32_t g = 0; g < x->ngroups; g++) {
    x->super.free_blocks_count += x->group[g].free_blocks;
    x->super.free_inodes_count += x->group[g].free_inodes;
  }
}

// ---- the journal ----

// Where the journal's blocks lie: *map from kzalloc.
static int
map_journal(struct ext3_fs *x, uint32_t **map, uint32_t *n)
{
  struct inode *ip;
  int err = ext3_iget_hidden(x, EXT3_JOURNAL_INO, &ip);

  if(err)
    return err;
  *n = min(ip->obj.size / EXT3_BLOCK, (uint64_t)x->super.blocks_count);
  *map = kzalloc(max(*n, 1u) * sizeof(**map));
  err = *map ? 0 : -ENOMEM;
  for(uint32_t i = 0; i < *n && !err; i++)
    err = ext3_bmap(ip, i, &(*map)[i]);
  if(err)
    kfree(*map);
  inode_put(ip);
  inode_flush_later();
  return err;
}

static int
open_journal(struct ext3_fs *x, const char *source, struct journal **j)
{
  const char *why = "has a journal that cannot be read";
  uint32_t *map, n;
  int err;

  if(x->super.journal_inum != EXT3_JOURNAL_INO || x->super.journal_dev)
    return ext3_refuse(source, "has its journal elsewhere than in inode 8");
  err = map_journal(x, &map, &n);
  if(!err)
    err = journal_open(x->dev, map, n, x->super.blocks_count, j, &why);
  if(err)
    ext3_refuse(source, "%s; run e2fsck on it", err == -ENOMEM ? "needs more memory than there is" : why);
  return err;
}

int
ext3_recover(struct ext3_fs *x, const char *source)
{
  struct journal *j;
  int err;

  if(!(x->super.feature_incompat & INCOMPAT_RECOVER))
    return 0;
  if(!(x->super.feature_compat & COMPAT_HAS_JOURNAL))
    return ext3_refuse(source, "needs a journal replayed but has none; run e2fsck on it");
  if(x->dev->readonly)
    return ext3_refuse(source, "needs its journal replayed, but the disk cannot be written");
  if((err = open_journal(x, source, &j)) != 0)
    return err;
  if(journal_saved_error(j))
    x->super.state |= STATE_ERROR;
  if(journal_dirty(j)) {
    err = journal_replay(j);
    if(err)
      ext3_refuse(source, "has a journal that cannot be replayed (error %d); run e2fsck on it", -err);
    else
      print("ext3: %s: journal replayed\n", source);
  }
  journal_close(j);
  return err ? err : ext3_read_super(x, source);
}

static int
start_journal(struct ext3_fs *x, const char *source)
{
  struct journal *j;
  int err = open_journal(x, source, &j);

  if(err)
    return err;
  if(journal_max_credits(j) < CREDITS_LEAST)
    err = ext3_refuse(source, "has too small a journal to be written; make one with tune2fs -J size=4");
  if(journal_saved_error(j))
    x->super.state |= STATE_ERROR;
  err = err ? err : write_super(x, true);
  err = err ? err : journal_start(j, true);
  if(err)
    journal_close(j);
  else
    x->journal = j;
  return err;
}

int
ext3_start_writing(struct ext3_fs *x, const char *source)
{
  int err;

  if(x->super.state & STATE_ERROR)
    print("ext3: %s was damaged when it was used last; run e2fsck on it\n", source);
  count_free(x);
  if((err = get_bufs(x)) != 0 || (err = start_journal(x, source)) != 0) {
    put_bufs(x);
    return err;
  }
  x->closing = false;
  x->fs.readonly = false;
  err = ext3_orphans_finish(x, x->super.last_orphan);
  if(err) {
    ext3_refuse(source, "has a damaged list of unfinished inodes (error %d); run e2fsck on it", -err);
    ext3_stop_writing(x);
    x->fs.readonly = true;
  }
  return err;
}

int
ext3_stop_writing(struct ext3_fs *x)
{
  int err;

  if(x->journal == 0)
    return 0;
  atomic_set(&x->closing, true);
  wait_event(&x->quiet, atomic_get(&x->inside) == 0, WAIT_ALWAYS, NEVER);
  err = journal_close(x->journal);
  x->journal = 0;
  if(!err)
    err = write_super(x, false);
  put_bufs(x);
  return err;
}

static bool
is_written(struct inode *ip, void *unused)
{
  return atomic_get(&ip->writers) > 0 || atomic_get(&ip->obj.shared_writable) > 0 ||
         (ip->nlink == 0 && !list_empty(&ext3_info(ip)->orphan));
}

int
ext3_remount(struct fs *fs, bool readonly, const char *options)
{
  struct ext3_fs *x = container_of(fs, struct ext3_fs, fs);
  int err;

  if(atomic_get(&x->told) && !readonly)
    return -EROFS;
  if(readonly == (x->journal == 0))
    return 0;
  if(!readonly) {
    if(x->dev->readonly || !(x->super.feature_compat & COMPAT_HAS_JOURNAL))
      return -EROFS;
    return ext3_start_writing(x, fs->source);
  }
  fs->readonly = true; // nobody opens for writing from now on
  if(inode_any(fs, is_written, 0)) {
    fs->readonly = x->told;
    return -EBUSY;
  }
  err = inode_sync_fs(fs);
  err = err ? err : fs->ops->sync(fs);
  err = err ? err : ext3_stop_writing(x);
  if(err && x->journal)
    fs->readonly = x->told;
  return err;
}
