// journal_test.c -- the journal against power cuts, failing disks, e2fsck, and itself.
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "fs/journal/journal_impl.h"
#include "fake_frames.h"
#include "journal_world.h"
#include "lib/errno.h"
#include "test.h"

enum { FRAMES = 8192, WORLD_SIZE = WORLD_BLOCKS * JBD_BLOCK };

static struct fake_disk disk, again, third; // the one that runs, and those that recover
static struct world w;
static unsigned char image[WORLD_SIZE];

static int
env(const char *name, int otherwise)
{
  const char *s = getenv(name);

  return s ? atoi(s) : otherwise;
}

static void
setup(void)
{
  static bool made;

  if(!made) {
    fake_frames_init(FRAMES);
    bcache_init();
    fake_idle = fake_disks_idle;
  }
  made = true;
}

static void
world_start(unsigned seed)
{
  setup();
  fake_disk_init(&disk, "vda", WORLD_SIZE);
  world_format(&w, &disk, seed);
  fake_disk_record(&disk);
  disk.later = seed % 4 != 3;
}

// ---- crashes

// Recover what is in d: 0 or an error.
static int
recover(struct fake_disk *d)
{
  uint32_t *map = kzalloc(sizeof(w.map));
  const char *why;
  struct journal *j;
  int err;

  memcpy(map, w.map, sizeof(w.map));
  err = journal_open(&d->dev, map, WORLD_LOG, WORLD_BLOCKS, &j, &why);
  if(err)
    return err;
  if(journal_dirty(j))
    err = journal_replay(j);
  if(err == 0 && journal_dirty(j))
    err = -EBUSY;
  journal_close(j);
  return err;
}

static long states, bad;
static const char *first_bad;
static char bad_text[200];

static void
verdict(int event, const char *what, int err, const unsigned char *bytes)
{
  const char *why = err ? "recovery fails" : world_check(&w, bytes, event);

  states++;
  if(why == 0)
    return;
  bad++;
  if(first_bad == 0) {
    sprintf(bad_text, "event %d of %d, %s: %s (error %d)", event, w.disk->events, what, why, err);
    first_bad = bad_text;
  }
}

// A second power cut, while the first one is being recovered from.
static void
crash_again(int event, unsigned *seed)
{
  static unsigned char twice[WORLD_SIZE];
  struct fake_crash c;

  fake_disk_init(&again, "vdb", WORLD_SIZE);
  memcpy(again.bytes, image, WORLD_SIZE);
  fake_disk_record(&again);
  recover(&again);
  fake_disk_init(&third, "vdc", WORLD_SIZE);
  fake_crash_begin(&c, &again);
  while(fake_crash_next(&c)) {
    fake_crash_image(&c, twice, CRASH_TORN, seed);
    memcpy(third.bytes, twice, WORLD_SIZE);
    verdict(event, "cut again while replaying", recover(&third), third.bytes);
  }
  fake_crash_end(&c);
  again.recording = false;
}

static void
crash_here(struct fake_crash *c, enum crash_how how, unsigned *seed)
{
  static const char *const name[] = {"all", "none", "some", "torn"};

  fake_crash_image(c, image, how, seed);
  memcpy(again.bytes, image, WORLD_SIZE);
  verdict(c->event, name[how], recover(&again), again.bytes);
}

// Each event of what w did, with `samples` random states each.
static void
crash_everywhere(int samples, unsigned seed)
{
  struct fake_crash c;

  seed |= 1;
  fake_disk_init(&again, "vdb", WORLD_SIZE);
  fake_crash_begin(&c, &disk);
  while(fake_crash_next(&c)) {
    crash_here(&c, CRASH_ALL, &seed);
    if(fake_crash_pending(&c) == 0)
      continue;
    crash_here(&c, CRASH_NONE, &seed);
    for(int i = 0; i < samples; i++)
      crash_here(&c, i % 3 ? CRASH_TORN : CRASH_SOME, &seed);
    if(c.event % 64 == 0)
      crash_again(c.event, &seed);
  }
  fake_crash_end(&c);
}

static void
run_all(unsigned seed, int handles)
{
  world_start(seed);
  expect_eq(world_open(&w, false), 0);
  world_run(&w, handles);
}

static double
seconds(void)
{
  struct timespec ts;

  clock_gettime(CLOCK_MONOTONIC, &ts);
  return ts.tv_sec + ts.tv_nsec / 1e9;
}

// One state in the middle becomes the disk that the world goes on with.
static void
live_on(unsigned seed)
{
  struct fake_crash c;
  int event = 1 + seed % (disk.events - 1);

  world_abandon(&w);
  fake_crash_begin(&c, &disk);
  while(fake_crash_next(&c) && c.event < event)
    ;
  fake_crash_image(&c, image, CRASH_TORN, &seed);
  fake_crash_end(&c);
  fake_disk_init(&disk, "vda", WORLD_SIZE);
  memcpy(disk.bytes, image, WORLD_SIZE);
  expect_eq(recover(&disk), 0);
  world_rebirth(&w, disk.bytes);
  disk.later = true;
  fake_disk_record(&disk);
  expect_eq(world_open(&w, false), 0);
}

static void
crash_lives(unsigned seed, int lives)
{
  for(int life = 0; life < lives && bad == 0; life++) {
    if(life > 0)
      live_on(seed * 7919 + life);
    world_run(&w, env("HANDLES", 60));
    crash_everywhere(6, seed + life);
    if(bad)
      test_fail(__FILE__, __LINE__, "seed %u, life %d: %ld of %ld states are wrong; first: %s", seed, life, bad, states,
                first_bad);
  }
}

TEST(every_crash)
{
  int rounds = env("ROUNDS", 6), from = env("SEED", 1), handles = 0, writes = 0;
  double t = seconds();

  states = bad = 0;
  first_bad = 0;
  for(int seed = from; seed < from + rounds && bad == 0; seed++) {
    world_start(seed);
    expect_eq(world_open(&w, false), 0);
    crash_lives(seed, 3);
    handles += w.handles;
    writes += disk.nwrites;
    expect_eq(world_close(&w), 0);
    expect(bad || world_check(&w, disk.bytes, disk.events) == 0);
    expect_eq(recover(&disk), 0); // empty: changes nothing
    world_free(&w);
    bcache_forget(&disk.dev);
    expect_eq(bcache_pages(), 0);
  }
  t = seconds() - t;
  printf("  %d handles, %d writes, %ld crash states, %.0f a second\n", handles, writes, states, states / t);
}

// Frames and objects are all back after a run.
TEST(nothing_leaks)
{
  uint64_t before = 0;

  for(int seed = 1; seed < 4; seed++) {
    run_all(seed, 300);
    expect_eq(world_close(&w), 0);
    expect(world_check(&w, disk.bytes, disk.events) == 0);
    world_free(&w);
    bcache_forget(&disk.dev);
    if(before)
      expect_eq(fake_frames_free(), before);
    before = fake_frames_free();
  }
}

// ---- controls: a broken rule must be seen

static void
expect_seen(const char *what, void (*prepare)(void), void (*after)(void))
{
  states = bad = 0;
  first_bad = 0;
  for(int seed = 1; seed < 40 && bad == 0; seed++) {
    world_start(seed);
    if(prepare)
      prepare();
    expect_eq(world_open(&w, false), 0);
    world_run(&w, 80);
    if(after)
      after();
    crash_everywhere(6, seed);
    world_close(&w);
    world_free(&w);
    bcache_forget(&disk.dev);
  }
  if(bad == 0)
    test_fail(__FILE__, __LINE__, "%s: not seen in %ld states", what, states);
  else
    printf("  %s: %ld of %ld states are wrong; first: %s\n", what, bad, states, first_bad);
}

static void
ignore_flushes(void)
{
  disk.ignore_flush = true;
}

TEST(control_flushes_ignored)
{
  expect_seen("flushes ignored", ignore_flushes, 0);
}

static bool
is_log(const struct fake_write *r, enum jbd_type type)
{
  const struct jbd_header *h = (const struct jbd_header *)r->data;

  for(int i = 0; i < WORLD_LOG; i++)
    if(r->sector == (uint64_t)w.map[i] * JBD_SECTORS)
      return be32(h->magic) == JBD_MAGIC && be32(h->type) == type;
  return false;
}

// As if each commit block had been written, and been durable, together with the first block of its transaction.
static void
commit_early(void)
{
  for(int i = 1; i < disk.nwrites; i++) {
    struct fake_write *r = &disk.write[i], moved = *r;
    int k = i - 1;

    if(!is_log(r, JBD_COMMIT))
      continue;
    while(k > 0 && !is_log(&disk.write[k], JBD_COMMIT) && !is_log(&disk.write[k], JBD_DESCRIPTOR))
      k--;
    if(is_log(&disk.write[k], JBD_COMMIT))
      continue;
    moved.asked = moved.durable = disk.write[k].asked;
    memmove(&disk.write[k + 1], &disk.write[k], (i - k) * sizeof(*r));
    disk.write[k] = moved;
  }
}

TEST(control_commit_early)
{
  expect_seen("commit record early", 0, commit_early);
}

static void
revoke_nothing(struct fake_disk *d, struct fake_write *r)
{
  if(is_log(r, JBD_REVOKE))
    ((struct jbd_revoke *)r->data)->bytes = be32(sizeof(struct jbd_revoke));
}

static void
lose_revokes(void)
{
  disk.tamper = revoke_nothing;
}

TEST(control_no_revoke_records)
{
  expect_seen("revoke records lost", lose_revokes, 0);
}

static void
never_revoke(void)
{
  w.skip_revoke = true;
}

TEST(control_never_revoked)
{
  expect_seen("freed metadata not revoked", never_revoke, 0);
}

static void
not_ordered(void)
{
  w.skip_ordered = true;
}

TEST(control_data_not_ordered)
{
  expect_seen("data not written before the commit", not_ordered, 0);
}

static void
reuse_at_once(void)
{
  w.reuse_early = true;
}

TEST(control_freed_blocks_reused_early)
{
  expect_seen("freed blocks reused before the commit", reuse_at_once, 0);
}

static void
drop_at_once(void)
{
  w.drop_early = true;
}

TEST(control_truncate_does_not_wait_for_data)
{
  expect_seen("data dropped while the commit is to write it", drop_at_once, 0);
}

// ---- a disk that fails

static bool
commits_after(int event)
{
  for(int i = 0; i < disk.nwrites; i++)
    if(disk.write[i].asked > event && is_log(&disk.write[i], JBD_COMMIT))
      return true;
  return false;
}

// The n-th request fails: the journal is aborted, nothing is committed afterwards, and what was acknowledged stays.
TEST(every_error)
{
  int aborted = 0, total = 1 << 30, n;
  unsigned seed = 5;

  states = bad = 0;
  first_bad = 0;
  for(n = 1; n < total && bad == 0; n += 1 + n / 100) {
    int at = 0;

    world_start(1 + n % 2);
    expect_eq(world_open(&w, false), 0);
    disk.fail_at = disk.requests + n;
    disk.fail_for = n % 3 ? 1 : 1 << 30;
    for(int i = 0; i < 60 && !journal_error(w.j); i++) {
      world_run(&w, 1);
      at = disk.events;
    }
    if(journal_error(w.j)) {
      struct handle h;

      aborted++;
      expect_eq(txn_begin(w.j, 1, &h), -EROFS);
      expect_eq(journal_force(w.j), -EIO);
      expect(!commits_after(at));
      expect_eq(world_close(&w), -EIO);
      expect(!commits_after(at));
    } else {
      total = disk.requests < disk.fail_at ? n : total;
      world_close(&w);
    }
    disk.fail_for = 0;
    memcpy(image, disk.bytes, WORLD_SIZE);
    fake_disk_init(&again, "vdb", WORLD_SIZE);
    memcpy(again.bytes, image, WORLD_SIZE);
    verdict(disk.events, "after an error", recover(&again), again.bytes);
    if(n % 7 == 0)
      crash_everywhere(2, seed++);
    world_free(&w);
    bcache_forget(&disk.dev);
    expect_eq(bcache_pages(), 0);
  }
  if(bad)
    test_fail(__FILE__, __LINE__, "request %d fails: %ld of %ld states are wrong; first: %s", n, bad, states,
              first_bad);
  expect(aborted > 20);
  printf("  %d errors, %d aborts, %ld states\n", n, aborted, states);
}

// ---- single rules

TEST(bad_superblocks_are_refused)
{
  static const struct {
    int off;
    uint32_t value;
  } wrong[] = {
      {0, 7},          {4, JBD_SUPER_V1},   {12, 1024},       {16, WORLD_LOG + 1}, {16, 0},        {16, 20}, {20, 0},
      {20, WORLD_LOG}, {20, WORLD_LOG - 3}, {20, 0xffffffff}, {28, WORLD_LOG},     {28, 1u << 31}, {40, 2},  {44, 1}};

  for(unsigned i = 0; i < array_len(wrong); i++) {
    uint32_t *map = kzalloc(sizeof(w.map));
    const char *why = 0;
    struct journal *j;

    world_start(1);
    *(uint32_t *)(disk.bytes + w.map[0] * JBD_BLOCK + wrong[i].off) = be32(wrong[i].value);
    memcpy(map, w.map, sizeof(w.map));
    expect_eq(journal_open(&disk.dev, map, WORLD_LOG, WORLD_BLOCKS, &j, &why), -EINVAL);
    expect(why != 0);
    world_free(&w);
  }
}

static int hooks[2];
static void
hook_fn(struct txn_hook *k, bool committed)
{
  hooks[committed]++;
}

TEST(hooks_and_freed_blocks_wait_for_the_commit)
{
  struct txn_hook k = {.fn = hook_fn};
  struct handle h;
  uint64_t next = 0;

  world_start(1);
  need(world_open(&w, false) == 0);
  need(txn_begin(w.j, 2, &h) == 0);
  txn_on_commit(&h, &k);
  txn_freed(&h, 60, 4);
  txn_freed(&h, 64, 1);
  txn_end(&h);
  expect(!txn_pending(w.j, 50, 10, &next));
  expect(txn_pending(w.j, 50, 11, &next));
  expect_eq(next, 65);
  expect(txn_pending(w.j, 64, 1, &next));
  expect(!txn_pending(w.j, 65, 100, &next));
  expect(!journal_committed(w.j, h.tid));
  expect_eq(journal_sync(w.j, h.tid), 0);
  expect(journal_committed(w.j, h.tid));
  expect_eq(hooks[true], 1);
  expect(!txn_pending(w.j, 0, 100, &next));
  need(txn_begin(w.j, 2, &h) == 0);
  txn_on_commit(&h, &k);
  txn_freed(&h, 60, 4);
  txn_end(&h);
  journal_abort(w.j, -EIO);
  expect_eq(world_close(&w), -EIO);
  expect_eq(hooks[false], 1);
  need(world_open(&w, false) == 0);
  expect_eq(journal_saved_error(w.j), 0); // journal_start has taken note
  expect_eq(world_close(&w), 0);
  world_free(&w);
  bcache_forget(&disk.dev);
}

// ---- the last: it leaves a lock behind

static struct buf *
block_get(int slot)
{
  struct buf *b;

  if(buf_get(&disk.dev, w.block[slot], &b) != 0)
    abort();
  return b;
}

TEST(credits_are_the_limit)
{
  struct handle h;
  struct buf *b;
  int max;

  world_start(1);
  need(world_open(&w, false) == 0);
  max = journal_max_credits(w.j);
  expect(max >= 8);
  expect_eq(txn_begin(w.j, max + 1, &h), -ENOSPC);
  expect_eq(txn_begin(w.j, max, &h), 0);
  txn_end(&h);
  expect_eq(txn_begin(w.j, 1, &h), 0);
  b = block_get(1);
  txn_declare(&h, b);
  txn_declare(&h, b); // again is free
  expect_eq(h.credits, 0);
  buf_put(b);
  b = block_get(2);
  expect(fake_panics(txn_declare(&h, b)));
  world_free(&w); // the journal is lost: its lock is held for ever
}
