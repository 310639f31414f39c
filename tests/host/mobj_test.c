// mobj_test.c -- the page cache and reclaim, over a fake store and a fake pmap. Part of the program mmlow.
#include <stdlib.h>
#include <string.h>
#include "lib/atomic.h"
#include "lib/errseq.h"
#include "mobj_fakes.h"
#include "test.h"

// ---- the page cache ----

TEST(load_reads_and_keeps)
{
  struct mobj *obj = begin(true);
  bool major = false;
  struct page *pg;

  expect_eq(mobj_load(obj, 50, &pg, &major), 0);
  expect(major);
  expect_eq(*(uint64_t *)page_va(pg), 1050);
  expect_eq(*last_word(pg), 1050);
  expect_eq(pg->ref, 2);
  page_put(pg);
  major = false;
  expect_eq(mobj_load(obj, 50, &pg, &major), 0);
  expect(!major);
  page_put(pg);
  expect_eq(st.fills, 1);
  expect_eq(mobj_load(obj, STORE_PAGES, &pg, 0), -ENXIO);
  expect_eq(cached(obj), 1);
  end();
}

TEST(load_ahead_if_sequential)
{
  struct mobj *obj = begin(true);

  for(int i = 0; i < 200; i++)
    expect_eq(look(obj, i), 1000 + i);
  expect(st.fills < 20);
  expect(st.filled <= 200 + 64);
  end();
  obj = begin(true);
  srandom(3);
  for(int i = 0; i < 100; i++)
    look(obj, (i * 37 + 11) % STORE_PAGES);
  expect_eq(st.filled, 100);
  end();
}

TEST(load_first_windows)
{
  struct mobj *obj = begin(true);

  look(obj, 0);
  expect_eq(st.filled, 4); // 0..3
  look(obj, 1);
  expect_eq(st.filled, 4);
  look(obj, 2); // the mark: 4..11 too
  expect_eq(st.fills, 2);
  expect_eq(st.filled, 12);
  store_idle();
  look(obj, STORE_PAGES - 1);
  expect_eq(st.filled, 13);
  mobj_readahead(obj, 0, UINT64_MAX);
  store_idle();
  expect_eq(cached(obj), STORE_PAGES);
  expect_eq(st.filled, STORE_PAGES);
  end();
}

TEST(load_error_is_not_sticky)
{
  struct mobj *obj = begin(true);

  st.bad_fill = 2;
  expect_eq(look(obj, 0), 1000); // 2 is read ahead and fails; nobody is told
  expect(peek(obj, 2) && page_test(peek(obj, 2), PAGE_ERROR));
  expect_eq((int)look(obj, 2), -EIO); // tried again
  expect(peek(obj, 2) == 0);
  st.bad_fill = UINT64_MAX;
  expect_eq(look(obj, 2), 1002);
  end();
}

static bool
idle_kills(void)
{
  fake_signal(0, true);
  return true;
}

TEST(load_can_be_killed)
{
  struct mobj *obj = begin(true);

  fake_idle = idle_kills;
  expect_eq((int)look(obj, 7), -EINTR);
  fake_signal_clear(0);
  fake_idle = store_idle;
  expect_eq(cached(obj), 1);
  expect_eq(look(obj, 7), 1007);
  end();
}

TEST(load_without_memory)
{
  struct mobj *obj = begin(true);

  for(int n = 1; n < 6; n++) {
    frame_fail_after(n, false);
    expect_eq(look(obj, 64 * n), 1000 + 64 * n);
    frame_fail_after(1, true);
    expect_eq((int)look(obj, 64 * n + 7), -ENOMEM);
    frame_fail_after(0, false);
  }
  store_idle();
  end();
}

TEST(destroy_waits_for_reads)
{
  struct mobj *obj = begin(true);

  mobj_readahead(obj, 10, 40);
  expect_eq(st.npending, 40);
  end();
}

TEST(sync_writes_all_at_once)
{
  struct mobj *obj = begin(false);
  struct region r;

  for(int i = 10; i < 20; i++)
    expect_eq(store_word(obj, i, i), 0);
  expect_eq(store_word(obj, 30, 30), 0);
  expect_eq(st.touched, 11);
  expect_eq(mobj_total_dirty(), 11);
  map(&r, &space[0], obj, BASE, 100, 5, REGION_SHARED);
  enter(&space[0], BASE + 5 * PAGE_SIZE, peek(obj, 10), PROT_R | PROT_W);
  expect_eq(mobj_sync(obj, 12, 13), 0);
  expect_eq(st.flushed, 1);
  expect_eq(mobj_sync(obj, 0, UINT64_MAX), 0);
  expect_eq(st.flushed, 11);
  expect_eq(st.flushes, 2);
  expect_eq(st.disk[10], 10);
  expect_eq(st.disk[30], 30);
  expect_eq(obj->ndirty, 0);
  expect(reachable(peek(obj, 10), PROT_R) && !reachable(peek(obj, 10), PROT_W));
  expect_eq(mobj_sync(obj, 0, UINT64_MAX), 0);
  expect_eq(st.flushed, 11);
  list_del(&r.mapper);
  memset(space, 0, sizeof space);
  end();
}

// Between two pages to be written lies one that a program stores to: it is left as it is.
TEST(sync_narrows_only_what_it_writes)
{
  struct mobj *obj = begin(false);
  struct region r;

  for(int i = 10; i < 13; i++)
    expect_eq(store_word(obj, i, i), 0);
  expect_eq(mobj_sync(obj, 11, 12), 0);
  map(&r, &space[0], obj, BASE, 100, 5, REGION_SHARED);
  for(int i = 10; i < 13; i++)
    enter(&space[0], BASE + (i - 5) * PAGE_SIZE, peek(obj, i), PROT_R | PROT_W);
  expect_eq(mobj_sync(obj, 0, UINT64_MAX), 0);
  expect_eq(st.flushes, 2);
  expect(!reachable(peek(obj, 10), PROT_W) && !reachable(peek(obj, 12), PROT_W));
  expect(reachable(peek(obj, 11), PROT_W));
  list_del(&r.mapper);
  memset(space, 0, sizeof space);
  end();
}

TEST(replacing_a_page_reads_nothing)
{
  struct mobj *obj = begin(false);
  struct page *pg, *found;

  st.placed = 1;
  expect_eq(mobj_page(obj, 7, FOR_REPLACE, &pg), 0);
  expect(page_test(pg, PAGE_BUSY) && page_test(pg, PAGE_BACKED) && !page_test(pg, PAGE_UPTODATE));
  expect_eq(st.fills, 0);
  page_zero(pg);
  page_set(pg, PAGE_UPTODATE);
  mobj_dirty(obj, pg);
  page_busy_clear(pg);
  page_put(pg);
  expect_eq(mobj_page(obj, 7, FOR_REPLACE, &found), 0); // cached: as FOR_WRITE
  expect(found == pg && page_test(pg, PAGE_UPTODATE));
  page_busy_clear(pg);
  page_put(pg);
  st.placed = 0;
  expect_eq(mobj_page(obj, 8, FOR_REPLACE, &pg), 0); // a hole: filled, then given its place
  expect(page_test(pg, PAGE_UPTODATE) && page_test(pg, PAGE_BACKED));
  expect_eq(st.fills, 1);
  expect_eq(st.making, 1);
  page_busy_clear(pg);
  page_put(pg);
  st.placed = -EIO;
  expect_eq(mobj_page(obj, 9, FOR_REPLACE, &pg), -EIO);
  expect(peek(obj, 9) == 0);
  end();
}

TEST(sync_errors_are_kept)
{
  struct mobj *obj = begin(false);
  uint32_t since = errseq_begin(&obj->errseq);

  store_word(obj, 3, 77);
  st.bad_flush = true;
  expect_eq(mobj_sync(obj, 0, 10), -EIO);
  expect_eq(errseq_report(&obj->errseq, &since), -EIO);
  expect_eq(errseq_report(&obj->errseq, &since), 0);
  expect(page_test(peek(obj, 3), PAGE_DIRTY) && page_test(peek(obj, 3), PAGE_ERROR));
  expect_eq(look(obj, 3), 77);
  st.bad_flush = false;
  expect_eq(mobj_sync(obj, 0, 10), 0);
  expect(!page_test(peek(obj, 3), PAGE_ERROR));
  expect_eq(st.disk[3], 77);
  end();
}

TEST(truncate_unmaps_and_drops_copies)
{
  struct mobj *obj = begin(true);
  struct region shared, private;
  struct page *copy, *held;

  mobj_readahead(obj, 0, STORE_PAGES);
  store_idle();
  map(&shared, &space[0], obj, BASE, 100, 0, REGION_SHARED);
  map(&private, &space[1], obj, BASE, 100, 0, 0);
  for(int i = 0; i < 100; i++)
    enter(&space[0], BASE + i * PAGE_SIZE, peek(obj, i), PROT_R | PROT_W);
  for(int i = 0; i < 100; i += 2) {
    copy = frame_try(0);
    space[1].slot[i] = copy;
    enter(&space[1], BASE + i * PAGE_SIZE, copy, PROT_R | PROT_W);
  }
  store_word(obj, 50, 5);
  store_word(obj, 4, 5);
  expect_eq(mobj_load(obj, 60, &held, 0), 0);
  finishes = 0;
  memset(page_va(peek(obj, 10)), 0xff, PAGE_SIZE);
  mobj_truncate(obj, 10 * PAGE_SIZE + 100);
  expect_eq(cached(obj), 11);
  expect_eq(obj->ndirty, 1);
  expect(finishes >= 3);
  expect(held->obj == 0 && held->ref == 1 && !reachable(held, PROT_R));
  page_put(held);
  for(int i = 0; i < 100; i++) {
    expect_eq(space[0].pmap.page[i] != 0, i < 11);
    expect_eq(space[1].slot[i] != 0, i < 11 && i % 2 == 0);
  }
  expect_eq(((unsigned char *)page_va(peek(obj, 10)))[99], 0xff);
  expect_eq(((unsigned char *)page_va(peek(obj, 10)))[100], 0);
  expect_eq(*last_word(peek(obj, 10)), 0);
  expect_eq((int)look(obj, 11), -ENXIO);
  mobj_truncate(obj, STORE_PAGES * PAGE_SIZE);
  expect_eq(look(obj, 50), 1050); // the store was not told: its old word
  for(int i = 0; i < 100; i++)
    if(space[1].slot[i])
      page_put(space[1].slot[i]);
  list_del(&shared.mapper);
  list_del(&private.mapper);
  memset(space, 0, sizeof space);
  end();
}

TEST(truncate_waits_for_reads)
{
  struct mobj *obj = begin(true);

  mobj_readahead(obj, 0, 64);
  mobj_truncate(obj, 3 * PAGE_SIZE);
  expect_eq(cached(obj), 3);
  mobj_truncate(obj, 0);
  expect_eq(cached(obj), 0);
  expect(obj->pages.root == 0);
  end();
}

TEST(punch_keeps_copies)
{
  struct mobj *obj = begin(true);
  struct region r;
  struct page *copy;

  mobj_readahead(obj, 0, 32);
  store_idle();
  map(&r, &space[0], obj, BASE, 32, 0, 0);
  for(int i = 0; i < 32; i++)
    enter(&space[0], BASE + i * PAGE_SIZE, peek(obj, i), PROT_R);
  copy = space[0].slot[9] = frame_try(0);
  enter(&space[0], BASE + 9 * PAGE_SIZE, copy, PROT_R | PROT_W);
  mobj_punch_begin(obj, 8, 12);
  expect_eq(cached(obj), 28);
  fake_idle = idle_kills;
  expect_eq((int)look(obj, 8), -EINTR); // waits for the end of the cut
  fake_signal_clear(0);
  fake_idle = store_idle;
  expect_eq(look(obj, 12), 1012);
  mobj_readahead(obj, 8, 4);
  expect_eq(cached(obj), 28);
  st.disk[8] = 0;
  mobj_punch_end(obj);
  expect_eq(look(obj, 8), 0);
  for(int i = 0; i < 32; i++)
    expect_eq(space[0].pmap.page[i] != 0, i < 8 || i >= 12 || i == 9);
  expect(space[0].pmap.page[9] == copy);
  page_put(copy);
  list_del(&r.mapper);
  memset(space, 0, sizeof space);
  end();
}

TEST(read_only_store_refuses)
{
  static const struct mobj_ops ro = {.name = "ro", .fill = store_fill, .release = store_release};
  struct mobj *obj = begin(false);
  struct page *pg;

  obj->ops = &ro;
  expect_eq(mobj_page(obj, 1, FOR_WRITE, &pg), -EROFS);
  expect_eq(mobj_sync(obj, 0, 10), 0);
  expect(fake_panics(mobj_dirty(obj, peek(obj, 1))));
  end();
}

// ---- reclaim ----

TEST(reclaim_drops_what_is_cold)
{
  struct mobj *obj = begin(true);
  struct page *pinned;

  mobj_readahead(obj, 0, 200);
  store_idle();
  for(int i = 0; i < 20; i++)
    look(obj, i), look(obj, i); // used, and used again
  store_word(obj, 150, 1);
  expect_eq(mobj_load(obj, 100, &pinned, 0), 0);
  expect_eq(reclaim_now(64), 64);
  expect_eq(cached(obj), 136);
  for(int i = 0; i < 20; i++)
    expect(peek(obj, i) != 0);
  reclaim_now(1000);
  expect_eq(cached(obj), 2); // the pinned and the dirty one
  page_put(pinned);
  expect_eq(mobj_sync(obj, 0, 1000), 0);
  expect_eq(mobj_shrink(obj), 2);
  expect_eq(cached(obj), 0);
  end();
}

TEST(reading_once_spares_what_is_in_use)
{
  struct mobj *obj = begin(true);

  for(int round = 0; round < 3; round++)
    for(int i = 0; i < 20; i++)
      look(obj, i);
  for(int i = 20; i < STORE_PAGES; i++) {
    expect_eq(look(obj, i), 1000 + i); // sequential: most were read ahead
    if(i >= 120 && i % 30 == 0) {      // a batch of reclaim is 32
      store_idle();
      reclaim_now(20);
      for(int k = 0; k < 20; k++)
        if(i % 60 == 0)
          look(obj, k);
    }
  }
  for(int i = 0; i < 20; i++)
    expect(peek(obj, i) != 0);
  expect(cached(obj) < 160);
  end();
}

TEST(reclaim_writes_what_follows_too)
{
  struct mobj *obj = begin(false);
  struct page *pg[2];

  for(int i = 100; i < 180; i++)
    store_word(obj, i, i);
  for(int i = 0; i < 2; i++) {
    pg[i] = page_get(peek(obj, 110 + i));
    expect(page_busy_try(pg[i]));
  }
  expect_eq(mobj_flush_on(obj, pg, 2), 0);
  for(int i = 0; i < 2; i++) {
    page_busy_clear(pg[i]);
    page_put(pg[i]);
  }
  expect_eq(st.flushes, 1);
  expect_eq(st.flushed, 70);
  expect_eq(obj->ndirty, 10);
  expect_eq(mobj_sync(obj, 0, UINT64_MAX), 0);
  expect_eq(st.flushed, 80);
  end();
}

TEST(reclaim_asks_the_mappings)
{
  struct mobj *obj = begin(true);
  struct region r;

  mobj_readahead(obj, 0, 16);
  store_idle();
  map(&r, &space[0], obj, BASE, 16, 0, REGION_SHARED);
  for(int i = 0; i < 16; i++) {
    enter(&space[0], BASE + i * PAGE_SIZE, peek(obj, i), PROT_R);
    space[0].pmap.used[i] = i < 8;
  }
  expect_eq(reclaim_now(8), 8);
  for(int i = 0; i < 16; i++)
    expect_eq(space[0].pmap.page[i] != 0, i < 8);
  expect_eq(reclaim_now(8), 8);
  expect_eq(cached(obj), 0);
  expect(space[0].pmap.page[0] == 0 && space[0].pmap.tlb[0] == 0);
  list_del(&r.mapper);
  end();
}

TEST(reclaim_serves_a_waiting_load)
{
  struct mobj *obj = begin(true);

  mobj_readahead(obj, 0, 300);
  store_idle();
  fake_frames_squeeze(20);
  for(int i = 300; i < STORE_PAGES; i++)
    expect_eq(look(obj, i), 1000 + i);
  fake_frames_relax();
  end();
}

TEST(shm_keeps_what_was_written)
{
  struct mobj *obj;
  struct page *pg;

  begin(false);
  obj = shm_create(100 * PAGE_SIZE, true);
  for(int i = 0; i < 40; i++)
    expect_eq(look(obj, i), 0);
  expect_eq(obj->npages, 40); // nothing read ahead
  expect_eq(store_word(obj, 5, 55), 0);
  expect_eq(mobj_total_shmem(), 40);
  expect_eq(mobj_total_dirty(), 0);
  expect_eq(mobj_sync(obj, 0, 100), 0);
  reclaim_now(1000);
  expect_eq(obj->npages, 1);
  expect_eq(look(obj, 5), 55);
  expect_eq(mobj_page(obj, 5, FOR_READ, &pg), 0);
  mobj_punch(obj, 0, 100);
  expect_eq(*(uint64_t *)page_va(pg), 55);
  page_put(pg);
  expect_eq(look(obj, 5), 0);
  store_word(obj, 6, 1);
  mobj_put(mobj_get(obj));
  mobj_put(obj);
  end();
}

static uint64_t shrunk;
static uint64_t
shrink_some(uint64_t n)
{
  shrunk += n;
  return 0;
}

// ---- everything at once ----

TEST(mobj_random_against_model)
{
  static uint64_t model[STORE_PAGES];
  struct mobj *obj = begin(true);
  uint64_t size = STORE_PAGES;

  srandom(5);
  for(int i = 0; i < STORE_PAGES; i++)
    model[i] = 1000 + i;
  for(int round = 0; round < 20000; round++) {
    uint64_t i = random() % STORE_PAGES;

    if(random() % 8 == 0)
      frame_fail_after(1 + random() % 5, false);
    switch(random() % 12) {
    case 0: mobj_readahead(obj, i, random() % 50); break;
    case 1: expect_eq(mobj_sync(obj, i, i + random() % 100), 0); break;
    case 2: reclaim_now(random() % 100); break;
    case 3:
      if(random() % 8)
        break;
      for(uint64_t k = i; k < size; k++)
        model[k] = st.disk[k] = 0; // what the store would do
      mobj_truncate(obj, i * PAGE_SIZE);
      for(uint64_t k = i; k < size; k++)
        st.disk[k] = 0;
      size = STORE_PAGES;
      mobj_truncate(obj, size * PAGE_SIZE);
      break;
    case 4:
      mobj_punch_begin(obj, i, i + 3);
      for(uint64_t k = i; k < min(i + 3, size); k++)
        model[k] = st.disk[k] = 0;
      mobj_punch_end(obj);
      break;
    case 5:
    case 6:
    case 7:
      model[i] = random();
      expect_eq(store_word(obj, i, model[i]), 0);
      break;
    default: expect_eq(look(obj, i), model[i]);
    }
    frame_fail_after(0, false);
  }
  expect_eq(mobj_sync(obj, 0, UINT64_MAX), 0);
  expect(memcmp(model, st.disk, sizeof model) == 0);
  store_idle();
  end();
}

static int stress_over; // (a) workers that are done
enum { STRESS_WORKERS = 6, STRESS_ROUNDS = 4000 };

static void
stress(void *arg)
{
  unsigned seed = (uintptr_t)arg + 1;
  struct mobj *obj = &st.obj;
  struct page *pg;
  uint64_t word;

  for(int round = 0; round < STRESS_ROUNDS; round++) {
    uint64_t i = rand_r(&seed) % STORE_PAGES;

    switch(rand_r(&seed) % 16) {
    case 0: mobj_sync(obj, i, i + 50); break;
    case 1: reclaim_now(40); break;
    case 2: mobj_readahead(obj, i, 20); break;
    case 3:
      if(arg == 0)
        mobj_truncate(obj, i * PAGE_SIZE), mobj_truncate(obj, STORE_PAGES * PAGE_SIZE);
      break;
    case 4: mobj_punch(obj, i, i + 2); break;
    case 5:
    case 6:
    case 7: {
      int r = store_word(obj, i, 1000 + i); // nobody writes another word, so a page is right or gone
      expect(r == 0 || r == -ENXIO);
      break;
    }
    default:
      word = mobj_load(obj, i, &pg, 0);
      if(word == 0) {
        expect_eq(atomic_get_relaxed((uint64_t *)page_va(pg)), 1000 + i);
        page_put(pg);
      } else {
        expect_eq((int)word, -ENXIO);
      }
    }
  }
  atomic_add(&stress_over, 1);
}

TEST(mobj_stress)
{
  begin(false);
  shrunk = 0;
  reclaim_register(shrink_some);
  fake_mode(FAKE_PTHREADS);
  fake_frames_squeeze(250);
  fake_parallel(STRESS_WORKERS, stress);
  expect_eq(stress_over, STRESS_WORKERS);
  fake_mode(FAKE_SINGLE);
  fake_frames_relax();
  mobj_put(&st.obj);
  expect_eq(mobj_total_cached() + mobj_total_dirty() + lru_pages(), 0);
}
