// journal_mt_test.c -- the journal's thread and many that use it, over a disk that ends requests on a thread of its own.
#include <stdlib.h>
#include <string.h>
#include "fake_frames.h"
#include "fs/journal/journal_impl.h"
#include "journal_world.h"
#include "test.h"

static struct fake_disk disk;
static struct world w;

enum { CHANGES = 4000, MT_WORD = 100, MT_WORDS = 16 };
static int mt_left;
static uint32_t mt_done; // changes made

static void
mt_meta(struct world *m, unsigned *seed, struct handle *h)
{
  int i = 1 + *seed % (WORLD_SLOTS / 2 - 1);
  struct buf *b;

  if(buf_get(&m->disk->dev, m->block[i], &b) == 0) {
    txn_declare(h, b);
    __atomic_add_fetch((uint32_t *)b->data + MT_WORD + thread_tid() % MT_WORDS, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&mt_done, 1, __ATOMIC_RELAXED);
    buf_put(b);
  }
}

static void
mt_main(void *arg)
{
  unsigned seed = 17 + (uintptr_t)arg * 1001;
  struct handle h;

  while(__atomic_sub_fetch(&mt_left, 1, __ATOMIC_SEQ_CST) > 0) {
    int n = 1 + seed % 4;

    if(txn_begin(w.j, n, &h) != 0)
      abort();
    for(; n > 0; n--) {
      seed = seed * 1664525 + 1013904223;
      mt_meta(&w, &(unsigned){seed >> 8}, &h);
    }
    if(seed % 8 == 0)
      txn_order(&h, &w.file[seed / 8 % WORLD_FILES].ordered);
    txn_end(&h);
    if(seed % 16 == 0 && journal_sync(w.j, h.tid) != 0)
      abort();
    if(seed % 32 == 1)
      ordered_wait(w.j, &w.file[seed / 32 % WORLD_FILES].ordered);
  }
}

// Of all counters in the blocks.
static uint32_t
mt_sum(void)
{
  uint32_t sum = 0;

  for(int i = 1; i < WORLD_SLOTS / 2; i++)
    for(int k = 0; k < MT_WORDS; k++)
      sum += ((uint32_t *)(disk.bytes + w.block[i] * JBD_BLOCK))[MT_WORD + k];
  return sum;
}

TEST(many_threads)
{
  uint32_t before;
  uint64_t buffers;

  fake_frames_init(8192);
  bcache_init();
  fake_disk_init(&disk, "vdm", WORLD_BLOCKS * PAGE_SIZE);
  world_format(&w, &disk, 2);
  before = mt_sum();
  buffers = bcache_pages(); // another test may have lost some
  fake_mode(FAKE_PTHREADS);
  fake_disk_thread(true);
  disk.later = true;
  mt_left = CHANGES;
  if(world_open(&w, true) == 0) {
    fake_parallel(6, mt_main);
    expect_eq(world_close(&w), 0);
  }
  fake_disk_thread(false);
  fake_mode(FAKE_SINGLE);
  expect_eq(mt_sum() - before, mt_done);
  printf("  %u changes by 6 threads, %d requests\n", mt_done, disk.requests);
  world_free(&w);
  bcache_forget(&disk.dev);
  expect_eq(bcache_pages(), buffers);
}
