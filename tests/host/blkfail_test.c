// blkfail_test.c -- the rules by which disks fail: what each hits, what it spares, and when its end is told.
#include <string.h>
#include "dev/blk.h"
#include "fake_disk.h"
#include "fake_frames.h"
#include "lib/errno.h"
#include "lib/fmt.h"
#include "test.h"

enum { FRAMES = 2048, DISK_PAGES = 64, SECTORS = PAGE_SIZE / BLK_SECTOR };

static struct fake_disk disk, other;
static struct page *buffer;
static char said[1024]; // what the kernel printed last

void
vprint(const char *f, va_list ap)
{
  vfmt(said, sizeof(said), f, ap);
}

static void
world(const char *rules)
{
  fake_frames_init(FRAMES);
  fake_disk_init(&disk, "vda", DISK_PAGES * PAGE_SIZE);
  fake_disk_init(&other, "vdb", DISK_PAGES * PAGE_SIZE);
  disk.dev.has_flush = true;
  if(buffer == 0)
    buffer = frame_try(0);
  said[0] = 0;
  expect_eq(blkfail_set(rules), 0);
}

// One request of a page.
static int
io(struct fake_disk *d, enum blk_op op, uint64_t page)
{
  return blk_io(&d->dev, op, op == BLK_FLUSH ? 0 : page * SECTORS, page_va(buffer), PAGE_SIZE);
}

// n writes: which of them failed, bit by bit.
static unsigned
writes(int n)
{
  unsigned failed = 0;

  for(int i = 0; i < n; i++)
    failed |= (io(&disk, BLK_WRITE, i) == -EIO) << i;
  return failed;
}

TEST(blkfail_counts)
{
  world("vda:write:*:nth=3:count=1");
  expect_eq(writes(8), 0x4);
  world("vda:write:*:nth=3");
  expect_eq(writes(8), 0xfc);
  world("vda:write:*:every=3");
  expect_eq(writes(8), 0x49);
  world("vda:write:*:nth=2:every=2:count=2");
  expect_eq(writes(8), 0xa);
  world("vda:write:*:nth=1:count=1,vda:write:*:nth=5:count=1");
  expect_eq(writes(8), 0x11);
  world("");
  expect(!blkfail_armed);
  expect_eq(writes(8), 0);
}

TEST(blkfail_spares_what_is_not_named)
{
  world("vda:write:16-24");
  expect_eq(io(&disk, BLK_WRITE, 1), 0);
  expect_eq(io(&disk, BLK_WRITE, 2), -EIO);
  expect_eq(io(&disk, BLK_WRITE, 3), 0);
  expect_eq(io(&disk, BLK_READ, 2), 0);
  expect_eq(io(&disk, BLK_FLUSH, 0), 0);
  expect_eq(io(&other, BLK_WRITE, 2), 0);
  world("*:*:23+1");
  expect_eq(io(&disk, BLK_READ, 2), -EIO);
  expect_eq(io(&other, BLK_WRITE, 2), -EIO);
  expect_eq(io(&other, BLK_WRITE, 3), 0);
  expect_eq(io(&disk, BLK_FLUSH, 0), 0);
  world("vda:flush:*");
  expect_eq(io(&disk, BLK_FLUSH, 0), -EIO);
  expect_eq(io(&disk, BLK_WRITE, 2), 0);
  world("");
}

TEST(blkfail_moves_nothing)
{
  uint64_t *word = page_va(buffer), before = disk.dev.nwrite;

  world("");
  *word = 11;
  expect_eq(io(&disk, BLK_WRITE, 5), 0);
  expect_eq(disk.dev.nwrite, before + 1);
  expect_eq(blkfail_set("vda:*:*"), 0);
  *word = 12;
  expect_eq(io(&disk, BLK_WRITE, 5), -EIO);
  expect_eq(io(&disk, BLK_READ, 5), -EIO);
  expect(*word != 11 && *word != 12); // noise: who uses it shows
  expect_eq(disk.dev.nwrite, before + 1);
  expect_eq(blkfail_set(""), 0);
  expect_eq(io(&disk, BLK_READ, 5), 0);
  expect_eq(*word, 11);
}

static int told[4], ntold;

static void
tell(struct blkreq *r, int err)
{
  told[ntold++] = (int)(uintptr_t)r->arg * (err ? -1 : 1);
}

static void
submit(struct blkreq *r, int name, uint64_t page)
{
  *r = (struct blkreq){
      .op = BLK_READ, .sector = page * SECTORS, .nseg = 1, .done = tell, .arg = (void *)(uintptr_t)name};
  r->seg[0] = (struct blkseg){page_pa(buffer), PAGE_SIZE};
  blk_submit(&disk.dev, r);
}

TEST(blkfail_delays)
{
  struct blkreq r[3];

  world("vda:read:0-8:delay=20,vda:read:8-16:delay=5:fail");
  ntold = 0;
  submit(&r[0], 1, 0);
  submit(&r[1], 2, 1);
  submit(&r[2], 3, 2);
  expect_eq(ntold, 1);
  expect_eq(told[0], 3);
  time_sleep_until(clock_now() + 10 * MSEC, WAIT_ALWAYS);
  expect_eq(ntold, 2);
  expect_eq(told[1], -2);
  time_sleep_until(clock_now() + 5 * MSEC, WAIT_ALWAYS);
  expect_eq(ntold, 2);
  world(""); // what is under way is told in its time all the same
  time_sleep_until(clock_now() + 10 * MSEC, WAIT_ALWAYS);
  expect_eq(ntold, 3);
  expect_eq(told[2], 1);
}

TEST(blkfail_delay_of_a_wait)
{
  uint64_t start = clock_now();

  world("*:*:*:delay=30");
  disk.later = true;
  fake_idle = fake_disks_idle;
  expect_eq(io(&disk, BLK_WRITE, 1), 0);
  expect(clock_now() >= start + 30 * MSEC);
  disk.later = false;
  world("");
}

TEST(blkfail_says_what_it_did)
{
  char text[256];

  world("vda:write:8-16:nth=2:count=1");
  expect_eq(blkfail_set("+*:flush:*:delay=7\n"), 0);
  for(int i = 0; i < 3; i++)
    io(&disk, BLK_WRITE, 1);
  expect(blkfail_text(0, text, sizeof text));
  expect(strcmp(text, "vda:write:8-16:nth=2:every=1:count=1:fail seen 3 hit 1") == 0);
  expect(blkfail_text(1, text, sizeof text));
  expect(strcmp(text, "*:flush:*:nth=1:every=1:delay=7 seen 0 hit 0") == 0);
  expect(!blkfail_text(2, text, sizeof text));
  for(int i = 2; i < 16; i++)
    expect_eq(blkfail_set("+vdb:*:*"), 0);
  expect_eq(blkfail_set("+vdb:*:*"), -ENOSPC);
  world("\n");
  expect(!blkfail_text(0, text, sizeof text));
}

TEST(blkfail_refuses)
{
  static const char *const bad[] = {
      "vda",
      "vda:write",
      ":write:*",
      "vda:wrote:*",
      "vda:write:8",
      "vda:write:9-8",
      "vda:write:8-8",
      "vda:write:8+0",
      "vda:write:-8",
      "vda:write:x-9",
      "vda:flush:0-8",
      "vda:write:*:nth=0",
      "vda:write:*:nth=",
      "vda:write:*:nth",
      "vda:write:*:nth=1x",
      "vda:write:*:often=1",
      "vda:write:*:delay=600001",
      "vda:write:*:count=99999999999999999999",
      "averylongnameofadisk:write:*",
      "vda:write:*,",
      "vda:write:*:fail,vda",
  };

  for(int i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    bool fine = strcmp(bad[i], "vda:write:*,") == 0; // an empty rule is none

    world("vdb:read:*");
    expect_eq(blkfail_set(bad[i]), fine ? 0 : -EINVAL);
    expect(fine || strncmp(said, "blkfail: ", 9) == 0);
    expect_eq(io(&other, BLK_READ, 1), fine ? 0 : -EIO); // the old rules stand
  }
  frame_fail_after(1, true);
  expect_eq(blkfail_set("vda:write:*"), -ENOMEM);
  frame_fail_after(0, false);
  world("");
}
