// writeback_test.c -- what is written when, what an error does and who is told of it, who has to wait.
#include <string.h>
#include "lib/atomic.h"
#include "lib/errseq.h"
#include "test.h"
#include "writeback_files.h"

// ---- when

TEST(old_pages_are_written)
{
  struct file *f;

  files_begin();
  f = file_of(0);
  file_put_word(f, 3, 33);
  file_put_word(f, 200, 20);
  fake_now += 29 * NSEC;
  expect_eq(writeback_now(), 0);
  file_put_word(f, 4, 44); // the file's age is that of its oldest change
  fake_now += 2 * NSEC;
  expect_eq(writeback_now(), 3);
  expect_eq(stored[0].flushes, 1); // wherever they lie
  expect_eq(stored[0].word[3], 33);
  expect_eq(stored[0].word[4], 44);
  expect_eq(stored[0].word[200], 20);
  expect_eq(f->inode->obj.ndirty, 0);
  fake_now += 100 * NSEC;
  expect_eq(writeback_now(), 0);
  file_put_word(f, 3, 34);
  fake_now += 31 * NSEC;
  expect_eq(writeback_now(), 1);
  file_put(f);
  files_end();
}

TEST(the_oldest_file_first_when_too_much_is_dirty)
{
  struct file *f[3];

  files_begin();
  files_limits(100, 1000);
  for(int k = 0; k < 3; k++)
    f[k] = file_of(k);
  for(int k = 0; k < 3; k++)
    for(int i = 0; i < 33; i++)
      file_put_word(f[2 - k], 2 * i, i);
  expect_eq(writeback_now(), 0); // 99 pages
  file_put_word(f[1], 100, 1);
  file_put_word(f[1], 101, 1);
  expect_eq(writeback_now(), 101); // a pass ends once begun: everything that was dirty then
  expect_eq(stored[0].flushed + stored[1].flushed + stored[2].flushed, 101);
  for(int k = 0; k < 3; k++)
    file_put(f[k]);
  files_end();
}

TEST(runs_are_long)
{
  struct file *f;

  files_begin();
  f = file_of(0);
  for(int i = 0; i < 512; i++)
    file_put_word(f, 511 - i, i); // in whatever order they were dirtied
  expect_eq(file_fsync(f, true), 0);
  expect_eq(stored[0].flushed, 512);
  expect_eq(stored[0].flushes, 4);
  expect_eq(file_fsync(f, true), 0);
  expect_eq(stored[0].flushed, 512);
  file_put(f);
  files_end();
}

TEST(what_lies_scattered_goes_together)
{
  struct file *f;

  files_begin();
  f = file_of(0);
  for(int i = 0; i < 512; i += 7)
    file_put_word(f, i, i + 1);
  expect_eq(file_fsync(f, true), 0);
  expect_eq(stored[0].flushed, 74);
  expect_eq(stored[0].flushes, 1);
  for(int i = 0; i < 512; i++)
    expect_eq(stored[0].word[i], i % 7 ? 0 : i + 1);
  file_put(f);
  files_end();
}

TEST(sync_looks_only_at_what_is_dirty)
{
  struct file *f;
  struct mobj *obj;
  uint64_t at = 0;
  uintptr_t word;

  files_begin();
  f = file_of(0);
  obj = &f->inode->obj;
  for(int i = 0; i < FILE_PAGES; i++)
    file_get_word(f, i);
  file_put_word(f, 300, 7);
  expect_eq(obj->npages, FILE_PAGES);
  spin_acquire(&obj->lock);
  expect(radix_next_tagged(&obj->pages, &at, UINT64_MAX, &word));
  expect_eq(at++, 300);
  expect(!radix_next_tagged(&obj->pages, &at, UINT64_MAX, &word));
  spin_release(&obj->lock);
  files_check(obj);
  expect_eq(data_sync(f, 0, 300), 0);
  expect_eq(stored[0].flushed, 0);
  expect_eq(data_sync(f, 300, 301), 0);
  expect_eq(stored[0].flushed, 1);
  files_check(obj);
  file_put(f);
  files_end();
}

// ---- inodes that nobody knows

TEST(closing_does_not_write_and_does_not_forget)
{
  struct file *f;

  files_begin();
  f = file_of(0);
  file_put_word(f, 1, 11);
  file_put(f);
  while(dentry_shrink(1000) > 0)
    inode_flush_later();
  expect_eq(stored[0].evicted, 0);
  expect_eq(stored[0].flushes, 0);
  expect_eq(wfs.ninodes, 1);
  f = file_of(0); // found again, with what was written
  expect_eq(file_get_word(f, 1), 11);
  file_put(f);
  while(dentry_shrink(1000) > 0)
    inode_flush_later();
  fake_now += 31 * NSEC;
  expect_eq(writeback_now(), 1);
  inode_flush_later();
  expect_eq(stored[0].evicted, 1);
  expect_eq(stored[0].word[1], 11);
  files_end();
}

TEST(umount_gives_up_what_was_adopted)
{
  struct file *f;

  files_begin();
  f = file_of(0);
  file_put_word(f, 1, 11);
  file_put(f);
  while(dentry_shrink(1000) > 0)
    inode_flush_later();
  expect_eq(wfs.ninodes, 1);
  expect_eq(inode_sync_fs(&wfs), 0);
  inode_disown(&wfs, false);
  expect_eq(wfs.ninodes, 0);
  files_end();
}

TEST(what_has_no_name_is_not_written)
{
  struct file *f;

  files_begin();
  f = file_of(0);
  file_put_word(f, 1, 11);
  f->inode->nlink = 0;
  file_put(f);
  while(dentry_shrink(1000) > 0)
    inode_flush_later();
  expect_eq(stored[0].evicted, 1);
  expect_eq(stored[0].flushes, 0);
  files_end();
}

// ---- errors

TEST(one_bad_block_spares_its_neighbours)
{
  struct file *f;
  struct mobj *obj;

  files_begin();
  f = file_of(0);
  obj = &f->inode->obj;
  for(int i = 0; i < 100; i++)
    file_put_word(f, i, 1000 + i);
  stored[0].bad[37] = true;
  expect_eq(file_fsync(f, false), -EIO);
  expect_eq(obj->ndirty, 1);
  expect_eq(obj->nbad, 1);
  expect_eq(dirty_stats.bad, 1);
  for(int i = 0; i < 100; i++)
    expect_eq(stored[0].word[i], i == 37 ? 0 : 1000 + i);
  expect_eq(file_get_word(f, 37), 1037); // nothing is lost while memory lasts
  files_check(obj);
  stored[0].bad[37] = false;
  expect_eq(file_fsync(f, false), 0);
  expect_eq(stored[0].word[37], 1037);
  expect_eq(obj->nbad + dirty_stats.bad, 0);
  file_put(f);
  files_end();
}

TEST(each_open_file_is_told_once)
{
  struct file *a, *b, *c;

  files_begin();
  a = file_of(0);
  b = file_of(0);
  file_put_word(a, 5, 55);
  stored[0].bad[5] = true;
  fake_now += 31 * NSEC;
  expect_eq(writeback_now(), 1);
  stored[0].bad[5] = false;
  c = file_of(0); // opened after an error of which nobody knows yet
  expect_eq(file_fsync(a, false), -EIO);
  expect_eq(stored[0].word[5], 55); // it was written this time, and yet
  expect_eq(file_fsync(a, false), 0);
  expect_eq(file_region_tags.sync(b, &b->inode->obj, 0, 1), -EIO); // msync, wherever it looks
  expect_eq(file_fsync(b, false), 0);
  expect_eq(file_fsync(c, true), -EIO);
  expect_eq(file_fsync(c, true), 0);
  file_put(c);
  c = file_of(0); // now somebody knows
  expect_eq(file_fsync(c, false), 0);
  file_put(a);
  file_put(b);
  file_put(c);
  files_end();
}

TEST(closing_tells_nobody_and_takes_it_from_nobody)
{
  struct file *a, *b;

  files_begin();
  a = file_of(0);
  b = file_of(0);
  file_put_word(a, 5, 55);
  stored[0].bad[5] = true;
  fake_now += 31 * NSEC;
  writeback_now();
  stored[0].bad[5] = false;
  file_put(a);
  expect_eq(file_fsync(b, false), -EIO);
  expect_eq(file_fsync(b, false), 0);
  file_put(b);
  files_end();
}

TEST(syncfs_tells_of_every_file)
{
  struct file *a, *other, *late;

  files_begin();
  a = file_of(0);
  other = file_of(1);
  file_put_word(a, 5, 55);
  stored[0].bad[5] = true;
  expect_eq(file_fsync(a, false), -EIO);
  stored[0].bad[5] = false;
  expect_eq(file_syncfs(other), -EIO);
  expect_eq(file_syncfs(other), 0);
  expect_eq(file_syncfs(a), -EIO); // fsync told of the file, not of the file system
  late = file_of(2);
  expect_eq(file_syncfs(late), 0);
  file_put(a);
  file_put(other);
  file_put(late);
  files_end();
}

TEST(bad_blocks_are_tried_less_and_less)
{
  struct file *f;
  int before;

  files_begin();
  f = file_of(0);
  file_put_word(f, 5, 55);
  stored[0].bad[5] = true;
  fake_now += 31 * NSEC;
  writeback_now();
  expect_eq(stored[0].flushes, 1);
  for(int i = 0; i < 10; i++) // it is the oldest every time, and left alone
    writeback_now();
  expect_eq(stored[0].flushes, 1);
  file_put_word(f, 6, 66); // its neighbours are not
  file_put_word(f, 7, 77);
  balance_settings.background_bytes = 1;
  writeback_now();
  expect_eq(stored[0].word[6], 66);
  balance_settings.background_bytes = 0;
  before = stored[0].flushes;
  for(int i = 0; i < 1000; i++) {
    fake_now += 5 * NSEC;
    writeback_now();
  }
  expect(stored[0].flushes - before > 40 && stored[0].flushes - before < 120); // 5000 s: once a minute
  expect_eq(file_fsync(f, false), -EIO);                                       // who asks is not put off
  stored[0].bad[5] = false;
  fake_now += 100 * NSEC;
  writeback_now();
  expect_eq(stored[0].word[5], 55);
  expect_eq(f->inode->obj.backoff, 0);
  file_put(f);
  files_end();
}

TEST(what_cannot_be_written_stays_in_memory_after_the_last_close)
{
  struct file *f;

  files_begin();
  f = file_of(0);
  file_put_word(f, 5, 55);
  stored[0].bad[5] = true;
  expect_eq(file_fsync(f, false), -EIO);
  file_put(f);
  while(dentry_shrink(1000) > 0)
    inode_flush_later();
  for(int i = 0; i < 100; i++) {
    fake_now += 5 * NSEC;
    writeback_now();
    inode_flush_later();
  }
  f = file_of(0);
  expect_eq(file_get_word(f, 5), 55);
  expect_eq(file_fsync(f, false), -EIO);
  mobj_truncate(&f->inode->obj, 0); // cut off: it is nobody's trouble any more
  expect_eq(file_fsync(f, false), 0);
  expect_eq(dirty_stats.bad, 0);
  file_put(f);
  files_end();
}

// ---- who waits

static bool
idle_writes(void)
{
  return writeback_now() > 0;
}

TEST(writers_wait_at_the_limit)
{
  struct file *f;
  uint64_t most = 0, start, word = 1;

  files_begin();
  files_limits(64, 128);
  fake_idle = idle_writes; // the disk writes only while the writer waits
  f = file_of(0);
  start = clock_now();
  for(int i = 0; i < FILE_PAGES; i++) {
    expect_eq(file_put_word(f, i, word), sizeof word);
    most = max(most, atomic_get(&dirty_stats.dirty));
  }
  expect(most <= 129);
  expect(clock_now() > start); // and paused before, in proportion
  fake_idle = 0;
  expect_eq(file_fsync(f, false), 0);
  file_put(f);
  files_end();
}

TEST(long_writes_pause_on_their_way)
{
  static char big[FILE_PAGES * PAGE_SIZE];
  struct iovec one;
  struct uio u;
  struct file *f;
  uint64_t pos = 0;

  files_begin();
  files_limits(64, 128);
  f = file_of(0);
  fake_signal(0, true); // a writer that is killed while it waits has written what it has written
  uio_kernel(&u, &one, big, sizeof big);
  expect(file_write(f, &u, &pos) >= 64 * PAGE_SIZE);
  expect(pos < 200 * PAGE_SIZE);
  expect_eq(file_put_word(f, 300, 1), -EINTR);
  fake_signal_clear(0);
  fake_idle = idle_writes;
  uio_kernel(&u, &one, big, sizeof big);
  pos = 0;
  expect_eq(file_write(f, &u, &pos), sizeof big);
  fake_idle = 0;
  expect_eq(file_fsync(f, false), 0);
  file_put(f);
  files_end();
}

TEST(nobody_waits_for_a_disk_that_refuses)
{
  struct file *f, *good;
  uint64_t word = 1;
  int64_t r = 0;

  files_begin();
  files_limits(64, 128);
  fake_idle = idle_writes;
  f = file_of(0);
  good = file_of(1);
  memset(stored[0].bad, true, sizeof stored[0].bad);
  for(int i = 0; i < FILE_PAGES && r >= 0; i++)
    r = file_put_word(f, i, word);
  expect_eq(r, -EIO);
  expect(dirty_stats.bad >= 64 && dirty_stats.dirty <= 256); // bounded
  for(int i = 0; i < FILE_PAGES; i++)                        // others do not suffer
    expect_eq(file_put_word(good, i, word), sizeof word);
  memset(stored[0].bad, false, sizeof stored[0].bad);
  fake_now += 100 * NSEC;
  writeback_now();
  expect_eq(file_put_word(f, 0, word), sizeof word);
  fake_idle = 0;
  expect_eq(file_fsync(f, false), -EIO);
  expect_eq(file_fsync(f, false), 0);
  expect_eq(file_fsync(good, false), 0);
  file_put(f);
  file_put(good);
  files_end();
}
