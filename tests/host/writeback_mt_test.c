// writeback_mt_test.c -- threads that write, read, sync and cut files, short of memory, with the threads of write-back and
// reclaim at work and a disk that is slow and sometimes refuses. In the end the disk holds what was written last.
#include <stdlib.h>
#include "lib/atomic.h"
#include "test.h"
#include "writeback_files.h"

enum { WORKERS = 6, ROUNDS = 3000 };

static uint64_t last[FILES][FILE_PAGES]; // (a) each word is written by one worker
static int told;                         // (a) errors that were reported

// Each worker has its own pages of each file; file 0 is the one that is cut and belongs to nobody.
static void
work(void *arg)
{
  unsigned seed = (uintptr_t)arg + 1, me = (uintptr_t)arg;
  struct file *f[FILES];
  int64_t r;

  for(int k = 0; k < FILES; k++)
    f[k] = file_of(k);
  for(int round = 0; round < ROUNDS; round++) {
    int k = 1 + rand_r(&seed) % (FILES - 1);
    uint64_t i = rand_r(&seed) % (FILE_PAGES / WORKERS) * WORKERS + me, word = rand_r(&seed);

    switch(rand_r(&seed) % 16) {
    case 0: atomic_add(&told, file_fsync(f[k], true) != 0); break;
    case 1: mobj_write_back(&f[k]->inode->obj, 0, FILE_PAGES); break;
    case 2: atomic_set(&stored[k].bad[rand_r(&seed) % FILE_PAGES], rand_r(&seed) % 4 == 0); break;
    case 3:
      rw_write(&f[0]->inode->lock);
      mobj_truncate(&f[0]->inode->obj, rand_r(&seed) % FILE_PAGES * PAGE_SIZE);
      mobj_truncate(&f[0]->inode->obj, FILE_PAGES * PAGE_SIZE);
      rw_write_release(&f[0]->inode->lock);
      break;
    case 4: file_put_word(f[0], i, word); break;
    case 5: // the last reference may go while there is something to write
      file_put(f[k]);
      f[k] = file_of(k);
      break;
    case 6 ... 10:
      r = file_put_word(f[k], i, word);
      if(r == sizeof word)
        last[k][i] = word;
      else
        expect_eq(r, -EIO);
      break;
    default: expect_eq(file_get_word(f[k], i), last[k][i]);
    }
  }
  for(int k = 0; k < FILES; k++)
    file_put(f[k]);
}

static bool over; // (a)

static void
shrink_names(void *arg)
{
  while(!atomic_get(&over)) {
    dentry_shrink(10);
    inode_flush_later(); // no worker was started, as there was one thread then
    thread_relax();
  }
}

TEST(threads_write_back)
{
  struct fake_task *shrinker;
  struct file *f;

  files_begin();
  files_limits(100, 300);
  writeback_settings = (struct writeback_settings){.interval = 1, .expire = 2};
  for(int k = 0; k < FILES; k++)
    stored[k].delay_us = 50 * k;
  fake_mode(FAKE_PTHREADS);
  reclaim_start();
  writeback_start();
  fake_frames_squeeze(500);
  shrinker = fake_start(shrink_names, 0);
  fake_parallel(WORKERS, work);
  atomic_set(&over, true);
  fake_join(shrinker);
  fake_frames_relax();
  for(int k = 1; k < FILES; k++) {
    for(int i = 0; i < FILE_PAGES; i++)
      atomic_set(&stored[k].bad[i], false);
    f = file_of(k);
    file_fsync(f, false); // perhaps an error of before
    expect_eq(file_fsync(f, false), 0);
    for(int i = 0; i < FILE_PAGES; i++)
      expect_eq(stored[k].word[i], last[k][i]);
    expect_eq(f->inode->obj.ndirty + f->inode->obj.nbad, 0);
    files_check(&f->inode->obj);
    file_put(f);
  }
  expect(told > 0);
}
