// mmlow_test.c -- frames, small objects, spares. The program mmlow also holds mobj_test.c.
#include <stdlib.h>
#include <string.h>
#include "mobj_fakes.h"
#include "lib/atomic.h"
#include "test.h"

// ---- frames ----

TEST(frames_random_against_model)
{
  enum { N = 600 };
  static struct page *have[N];
  static int order[N];
  uint64_t total, used = 0;

  fake_frames_init(ARENA);
  total = fake_frames_free();
  srandom(1);
  for(int round = 0; round < 60000; round++) {
    int i = random() % N, o = random() % 4 ? 0 : random() % 6;

    if(have[i]) {
      expect_eq(*(int *)page_va(have[i]), i);
      page_put(have[i]);
      used -= 1ull << order[i];
      have[i] = 0;
    } else if((have[i] = frame_try(o)) != 0) {
      expect_eq(have[i]->ref, 1);
      expect_eq((have[i] - page_array) % (1 << o), 0);
      memset(page_va(have[i]), i, PAGE_SIZE << o);
      *(int *)page_va(have[i]) = i;
      order[i] = o;
      used += 1ull << o;
    }
    expect_eq(frames_free(), total - used);
  }
  for(int i = 0; i < N; i++)
    if(have[i])
      page_put(have[i]);
  expect_eq(frames_free(), total);
}

TEST(frames_join_again)
{
  struct page *all[ARENA], *big[64];
  int n = 0, k = 0;

  fake_frames_init(ARENA);
  kmem_drain();
  while((all[n] = frame_try_reserve(0)) != 0)
    n++;
  expect_eq(frames_free(), 0);
  expect(frame_try(0) == 0);
  for(int i = 0; i < n; i++)
    page_put(all[(i * 7919) % n] ? all[(i * 7919) % n] : all[i]);
  while(k < 64 && (big[k] = frame_try(6)) != 0)
    k++;
  expect_eq(k, 64);
  while(k > 0)
    page_put(big[--k]);
}

TEST(frames_keep_a_reserve)
{
  struct page *pg;

  fake_frames_init(ARENA);
  fake_frames_squeeze(frames_total() / 128);
  kmem_drain();
  frame_fail_after(0, false);
  while((pg = frame_try(0)) != 0)
    page_put(pg), fake_frames_squeeze(frames_free() - 1);
  expect(frames_free() > 0);
  pg = frame_try_reserve(0);
  expect(pg != 0);
  expect_eq(frame_wait(), -ENOMEM);
  if(pg)
    page_put(pg);
  expect(frame_try(0) == 0); // it filled up the reserve
  frame_reserve_begin();
  frame_reserve_begin();
  frame_reserve_end();
  pg = frame_try(0);
  expect(pg != 0);
  frame_reserve_end();
  expect(frame_try(0) == 0);
  if(pg)
    page_put(pg);
  expect(fake_panics(frame_reserve_end()));
  ++*thread_reserve();
  fake_frames_relax();
  expect_eq(frame_wait(), 0);
}

TEST(frames_fail_on_demand)
{
  struct page *pg;

  fake_frames_init(ARENA);
  frame_fail_after(2, false);
  pg = frame_try(0);
  expect(pg != 0);
  expect(frame_try(0) == 0);
  page_put(pg);
  pg = frame_try(3);
  expect(pg != 0);
  page_put(pg);
  frame_fail_after(1, true);
  expect(frame_try(0) == 0 && frame_try(0) == 0);
  expect_eq(frame_wait(), -ENOMEM);
  frame_fail_after(0, false);
}

TEST(frames_misuse_panics)
{
  struct page *pg;

  fake_frames_init(ARENA);
  pg = frame_try(0);
  page_put(pg);
  expect(fake_panics(frame_free(pg)));
  pg = frame_try(0);
  page_put(pg);
  expect(fake_panics(page_put(pg)));
  pg->ref = 0;
  frame_watch(pg, 0, true);
  *(char *)page_va(pg) = 1;
  expect(fake_panics(frame_try(0)));
  expect(strstr(fake_panic_text, "written") != 0);
  pg->idx = 0; // the frame was lost in the panic: give it back
  pg->ref = 1;
  pg->flags = 0;
  page_put(pg);
}

static bool
hook_gives_up(void)
{
  return false;
}

static bool
hook_kills_us(void)
{
  fake_signal(0, true);
  return true;
}

static int kills;

static bool
hook_counts(void)
{
  kills++;
  return false;
}

// While the disk takes pages, nobody is killed for memory; when it stops, somebody is.
static void
clean_some(struct timer *t)
{
  static int n;

  atomic_add(&dirty_stats.written, 1);
  if(++n < 200)
    timer_start(t, clock_now() + MSEC);
  else
    n = 0;
}

TEST(frame_wait_is_patient_while_the_disk_works)
{
  struct timer t;
  uint64_t start;

  fake_frames_init(ARENA);
  fake_frames_squeeze(8);
  frame_oom_hook = hook_counts;
  kills = 0;
  start = clock_now();
  timer_init(&t, clean_some);
  timer_start(&t, start + MSEC);
  expect_eq(frame_wait(), -ENOMEM);
  expect_eq(kills, 1);
  expect(clock_now() >= start + 200 * MSEC);
  frame_oom_hook = 0;
  fake_frames_relax();
}

// Looks every 10 ms for `ms`: how many of them say that memory is only pushed around?
static int
thrash_looks(int ms, bool cleaned)
{
  int found = 0;

  for(uint64_t end = clock_now() + ms * MSEC; clock_now() < end;
      time_sleep_until(clock_now() + 10 * MSEC, WAIT_ALWAYS)) {
    if(cleaned)
      atomic_add(&dirty_stats.written, 1);
    found += thrashing();
  }
  return found;
}

static void
load(struct mobj *obj, int pages)
{
  struct page *pg;

  for(int i = 0; i < pages; i++) {
    expect_eq(mobj_load(obj, i, &pg, 0), 0);
    page_put(pg);
  }
}

TEST(thrashing_takes_a_while)
{
  struct mobj *file = begin(false), *shm = shm_create(64 * PAGE_SIZE, true);

  time_sleep_until(clock_now() + 150 * MSEC, WAIT_ALWAYS);
  expect(!thrashing()); // nobody was short of memory for a while
  expect_eq(thrash_looks(150, false), 0);
  expect_eq(thrash_looks(200, false), 1); // once, and then what is done about it gets its time
  expect_eq(thrash_looks(400, true), 0);
  expect_eq(thrash_looks(150, false), 0);
  time_sleep_until(clock_now() + 150 * MSEC, WAIT_ALWAYS);
  expect_eq(thrash_looks(200, false), 0);
  load(shm, 64); // what is not a file's cannot be dropped, and so is no sign of plenty
  expect(thrash_looks(400, false) > 0);
  load(file, 64);
  expect_eq(thrash_looks(400, false), 0); // programs still have what they work on
  mobj_put(shm);
  end();
}

TEST(frame_wait_ends)
{
  fake_frames_init(ARENA);
  fake_frames_squeeze(8);
  frame_oom_hook = hook_gives_up;
  expect_eq(frame_wait(), -ENOMEM);
  frame_oom_hook = hook_kills_us;
  expect_eq(frame_wait(), -EINTR);
  fake_signal_clear(0);
  frame_oom_hook = 0;
  fake_frames_relax();
}

// ---- small objects ----

TEST(kmem_random_zeroed)
{
  enum { N = 900 };
  static unsigned char *have[N];
  static size_t size[N];
  uint64_t before, pages;

  fake_frames_init(ARENA);
  before = fake_frames_free();
  pages = kmem_pages();
  srandom(2);
  for(int round = 0; round < 40000; round++) {
    int i = random() % N;

    if(have[i]) {
      for(size_t k = 0; k < size[i]; k++)
        if(have[i][k] != (i & 0xff))
          test_fail(__FILE__, __LINE__, "object %d changed at %zu", i, k);
      kfree(have[i]);
      have[i] = 0;
      continue;
    }
    size[i] = random() % 50 ? random() % 700 : random() % 20000;
    have[i] = kzalloc(size[i]);
    need(have[i]);
    for(size_t k = 0; k < size[i]; k++)
      if(have[i][k] != 0)
        test_fail(__FILE__, __LINE__, "not zeroed at %zu", k);
    memset(have[i], i, size[i]);
  }
  for(int i = 0; i < N; i++)
    kfree(have[i]);
  expect_eq(fake_frames_free(), before);
  expect_eq(kmem_pages(), pages);
}

TEST(kmem_caches)
{
  struct kmem_cache *a = kmem_cache("odd", 100), *b = kmem_cache("big", 2500), *c = kmem_cache("huge", 12000);
  void *p[40], *q[40], *h[4];
  uint64_t before;

  fake_frames_init(ARENA);
  before = fake_frames_free();
  expect(kmem_cache("odd", 100) == a);
  for(int i = 0; i < 40; i++) {
    p[i] = kmem_alloc(a);
    q[i] = kmem_alloc(b);
    memset(p[i], 1, 100);
    memset(q[i], 1, 2500);
  }
  for(int i = 0; i < 4; i++)
    memset(h[i] = kmem_alloc(c), 1, 12000);
  for(int i = 0; i < 4; i++)
    kmem_free(c, h[i]);
  for(int i = 0; i < 40; i++) {
    kmem_free(a, p[i]);
    kmem_free(b, q[i]);
  }
  expect_eq(fake_frames_free(), before);
  expect(kzalloc(2 << 20) == 0);
  kfree(0);
  p[0] = kstrdup("hello");
  expect(strcmp(p[0], "hello") == 0);
  kfree(p[0]);
  frame_fail_after(1, false);
  expect(kmem_alloc(a) == 0);
  frame_fail_after(0, false);
  expect_eq(fake_frames_free(), before);
}

TEST(kmem_misuse_panics)
{
  struct kmem_cache *a = kmem_cache("misused", 64), *b = kmem_cache("other", 64 + 16);
  char *p;

  fake_frames_init(ARENA);
  p = kmem_alloc(a);
  expect(fake_panics(kmem_free(b, p)));
  kmem_free(a, p);
  expect(fake_panics(kmem_free(a, p)));
  expect(strstr(fake_panic_text, "twice") != 0);
  kmem_watch(p + 16, 48, true);
  p[40] = 1;
  expect(fake_panics(kmem_alloc(a)));
  expect(strstr(fake_panic_text, "written") != 0);
  expect(fake_panics(kfree(page_va(zero_page))));
}

TEST(spares)
{
  struct spare sp;
  struct page *pg;
  uint64_t before;

  fake_frames_init(ARENA);
  before = fake_frames_free();
  spare_init(&sp);
  expect(spare_try(&sp, 1, SPARE_TABLES, SPARE_NODES));
  expect_eq(sp.nodes.n, SPARE_NODES);
  pg = spare_take_frame(&sp);
  expect(pg != 0 && spare_take_frame(&sp) == 0);
  page_put(pg);
  pg = spare_take_table(&sp);
  expect_eq(*(uint64_t *)page_va(pg), 0);
  page_put(pg);
  expect(spare_try(&sp, 1, 1, 1));
  spare_put(&sp);
  expect_eq(fake_frames_free(), before);
  frame_fail_after(4, false);
  expect_eq(spare_wait(&sp, 1, 3, 8), 0);
  spare_put(&sp);
  frame_fail_after(4, true);
  expect_eq(spare_wait(&sp, 1, 3, 8), -ENOMEM);
  spare_put(&sp);
  frame_fail_after(0, false);
  expect_eq(fake_frames_free(), before);
}
