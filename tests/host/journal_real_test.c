// journal_real_test.c -- images of mke2fs: what we log, e2fsck recovers as we do, and what debugfs logs, we recover as
// e2fsck does. Byte for byte, but for the superblocks of the file system and of the journal.
#include <stdlib.h>
#include <string.h>
#include "fake_frames.h"
#include "fs/journal/journal_impl.h"
#include "hosttree.h"
#include "journal_world.h"
#include "lib/errno.h"
#include "test.h"

enum { MB = 1 << 20, SIZE = 16 * MB, BLOCKS = SIZE / JBD_BLOCK, JOURNAL = 1024, LO = 3000, N = 120, DIRECT = 12 };
enum { GROUP_TABLE = 8, INODE_SIZE = 256, JOURNAL_INO = 8, INODE_BLOCKS = 0x28 }; // offsets of the format
enum { SUPER = 1024, INCOMPAT = 0x60, RECOVER = 4 };

static struct fake_disk real, ours;
static uint32_t map[JOURNAL];
static struct journal *j;
static unsigned seed;

static unsigned
next(void)
{
  seed = seed * 1664525 + 1013904223;
  return seed >> 8;
}

static bool
file_read(const char *path, unsigned char *to)
{
  FILE *f = fopen(path, "r");
  bool ok = f && fread(to, 1, SIZE, f) == SIZE;

  if(f)
    fclose(f);
  return ok;
}

// Where the journal lies: inode 8, its direct blocks and one of pointers.
static void
find_journal(const unsigned char *image)
{
  uint32_t table = *(const uint32_t *)(image + JBD_BLOCK + GROUP_TABLE);
  const uint32_t *block = (const uint32_t *)(image + table * JBD_BLOCK + (JOURNAL_INO - 1) * INODE_SIZE + INODE_BLOCKS);
  const uint32_t *more = (const uint32_t *)(image + block[DIRECT] * JBD_BLOCK);

  for(int i = 0; i < JOURNAL; i++)
    map[i] = i < DIRECT ? block[i] : more[i - DIRECT];
}

static bool
image_make(void)
{
  static bool made;

  if(!made) {
    fake_frames_init(8192);
    bcache_init();
    fake_idle = fake_disks_idle;
  }
  made = true;
  fake_disk_init(&real, "vdr", SIZE);
  fake_disk_init(&ours, "vds", SIZE);
  if(host_run("cd %s && rm -f base && mke2fs -q -F -t ext3 -b 4096 -I 256 -N 1024 -m 0 -O "
              "none,has_journal,filetype,sparse_super,large_file -J size=4 base 16M >/dev/null 2>&1",
              host_tmp()) != 0)
    return false;
  char path[200];
  sprintf(path, "%s/base", host_tmp());
  if(!file_read(path, real.bytes))
    return false;
  find_journal(real.bytes);
  return true;
}

static int
open_on(struct fake_disk *d, struct journal **out)
{
  uint32_t *m = kzalloc(sizeof(map));
  const char *why;
  int err;

  memcpy(m, map, sizeof(map));
  err = journal_open(&d->dev, m, JOURNAL, BLOCKS, out, &why);
  if(err)
    test_fail(__FILE__, __LINE__, "journal_open: %d, %s", err, why ? why : "");
  return err;
}

// Recover `image` with e2fsck and with our own code: blocks that differ, or -1.
static int
compare(const unsigned char *image)
{
  static unsigned char theirs[SIZE];
  struct journal *o;
  char path[200];
  int differ = 0, status;

  sprintf(path, "%s/crash", host_tmp());
  if(!host_save(path, image, SIZE))
    return -1;
  status = host_run("e2fsck -y -E journal_only %s >%s.log 2>&1", path, path);
  if(status != 0 && status != 1 << 8) {
    host_run("cat %s.log >&2", path);
    return -1;
  }
  if(!file_read(path, theirs))
    return -1;
  memcpy(ours.bytes, image, SIZE);
  if(open_on(&ours, &o) != 0)
    return -1;
  if(journal_replay(o) != 0 || journal_close(o) != 0)
    return -1;
  for(uint32_t b = 1; b < BLOCKS; b++)
    if(b != map[0] && memcmp(theirs + b * JBD_BLOCK, ours.bytes + b * JBD_BLOCK, JBD_BLOCK) != 0)
      differ++;
  return differ;
}

// ---- our log

static void
block_fill(struct buf *b)
{
  uint32_t *p = b->data;

  for(int i = 0; i < JBD_BLOCK / 4; i++)
    p[i] = next();
  if(next() % 3 == 0)
    p[0] = be32(JBD_MAGIC);
}

static void
one_handle(void)
{
  int n = 1 + next() % 40;
  struct handle h;
  struct buf *b;

  if(txn_begin(j, n + 1, &h) != 0)
    abort();
  for(; n > 0; n--) {
    uint32_t block = LO + next() % N;

    if(next() % 5 == 0) {
      txn_revoke(&h, block);
    } else if(buf_get(&real.dev, block, &b) == 0) {
      txn_declare(&h, b);
      block_fill(b);
      buf_put(b);
    }
  }
  txn_end(&h);
  if(next() % 3 == 0)
    journal_sync(j, h.tid);
}

TEST(e2fsck_recovers_our_log_as_we_do)
{
  static unsigned char image[SIZE];
  struct fake_crash c;
  int states = 0, wraps = 0;

  seed = 1;
  need(image_make());
  *(uint32_t *)(real.bytes + SUPER + INCOMPAT) |= RECOVER;
  need(open_on(&real, &j) == 0);
  fake_disk_record(&real);
  real.later = true;
  need(journal_start(j, false) == 0);
  for(int i = 0; i < 150; i++) {
    uint32_t head = j->head;

    one_handle();
    wraps += j->head < head;
  }
  expect(wraps > 0);
  fake_crash_begin(&c, &real);
  while(fake_crash_next(&c)) {
    int differ;

    if(next() % (real.events / 40) != 0)
      continue;
    fake_crash_image(&c, image, states % 4 ? CRASH_TORN : CRASH_ALL, &(unsigned){next() | 1});
    differ = compare(image);
    states++;
    if(differ != 0)
      test_fail(__FILE__, __LINE__, "event %d of %d: %d blocks differ", c.event, real.events, differ);
  }
  fake_crash_end(&c);
  expect_eq(journal_close(j), 0);
  expect_eq(compare(real.bytes), 0);
  bcache_forget(&real.dev);
  printf("  %d crash states of a 16 MiB image, the log wrapped %d times\n", states, wraps);
}

// ---- a log of e2fsprogs' own

TEST(we_recover_a_log_of_debugfs_as_e2fsck_does)
{
  static unsigned char image[SIZE];
  char path[200];

  need(image_make());
  sprintf(path, "%s/base", host_tmp());
  need(
      host_run("cd %s && head -c 4194304 /dev/urandom >data && printf '\\300\\073\\071\\230' | dd of=data conv=notrunc "
               "2>/dev/null && "
               "printf 'jo\\njw -b 3000-3600 data\\njw -r 3000-3040\\njw -b 3010,3020 data\\njw -b 3030 -r 3050 "
               "data\\njc\\n' "
               ">cmd && debugfs -w -f cmd base >log 2>&1",
               host_tmp()) == 0);
  need(file_read(path, image));
  need(*(uint32_t *)(image + map[0] * JBD_BLOCK + offsetof(struct jbd_super, start)) != 0);
  expect_eq(compare(image), 0);
  expect(memcmp(image + 3100 * JBD_BLOCK, ours.bytes + 3100 * JBD_BLOCK, JBD_BLOCK) != 0); // it was replayed
  expect(memcmp(image + 3005 * JBD_BLOCK, ours.bytes + 3005 * JBD_BLOCK, JBD_BLOCK) == 0); // and that was revoked
}
