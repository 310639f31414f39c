// fuzz_replay.c -- hostile journals. A log of a real crash with bytes changed in it is opened, replayed, and used: whatever
// it says, nothing may be touched that is not the disk's, the walk over it must end, and no memory may stay behind.
// An input is a choice of the log (one byte) and edits of EDIT bytes: which block of the journal, width, place, value.
#include <stdlib.h>
#include <string.h>
#include "fake_frames.h"
#include "fs/journal/journal_impl.h"
#include "journal_world.h"

enum { SIZE = WORLD_BLOCKS * JBD_BLOCK, LOGS = 8, EDIT = 8, EDITS_MAX = 64, REQUESTS_MAX = 8 * WORLD_LOG + 50 };

static struct fake_disk disk, target;
static struct world w;
static unsigned char base[LOGS][SIZE];

static void
start(void)
{
  unsigned seed = 99;

  fake_frames_init(8192);
  bcache_init();
  fake_idle = fake_disks_idle;
  for(int i = 0; i < LOGS; i++) {
    struct fake_crash c;
    int events = 0;

    fake_disk_init(&disk, "vda", SIZE);
    world_format(&w, &disk, 2 * i + 2);
    fake_disk_record(&disk);
    if(world_open(&w, false) != 0)
      abort();
    world_run(&w, 30 + 10 * i);
    fake_crash_begin(&c, &disk);
    while(fake_crash_next(&c) && events++ < disk.events - 3 * i)
      ;
    fake_crash_image(&c, base[i], CRASH_ALL, &seed);
    fake_crash_end(&c);
    world_abandon(&w);
    if(i < LOGS - 1)
      world_free(&w);
  }
  fake_disk_init(&target, "vdt", SIZE);
}

// All logs lie where the last world has its map: the blocks are not shuffled for it.
static void
edit(const unsigned char *e)
{
  unsigned width = 1u << e[1] % 3, at = (e[2] | e[3] << 8) % JBD_BLOCK;
  unsigned char *p = target.bytes + (uint64_t)w.map[e[0] % WORLD_LOG] * JBD_BLOCK;

  if(e[1] & 4)
    at %= 64; // headers, and the first tags
  if(at + width <= JBD_BLOCK)
    memcpy(p + at, e + 4, width);
}

static int
use(void)
{
  uint32_t *map = kzalloc(sizeof(w.map));
  const char *why = 0;
  struct journal *j;
  int err;

  memcpy(map, w.map, sizeof(w.map));
  err = journal_open(&target.dev, map, WORLD_LOG, WORLD_BLOCKS, &j, &why);
  if(err) {
    if(why == 0)
      panic("refused without a reason");
    return err;
  }
  if(journal_dirty(j))
    err = journal_replay(j);
  if(err == 0 && journal_dirty(j))
    panic("replayed, and still dirty");
  if(err == 0 && journal_start(j, false) == 0) {
    struct handle h;
    struct buf *b;

    if(txn_begin(j, 2, &h) != 0)
      panic("no handle on an empty log");
    if(txn_new(&h, 1 + WORLD_LOG, &b) == 0)
      buf_put(b);
    txn_end(&h);
  }
  if(journal_close(j) != 0)
    panic("cannot be closed");
  return err;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
  static uint64_t baseline;

  if(baseline == 0) {
    start();
    baseline = fake_frames_free();
  }
  memcpy(target.bytes, base[size > 0 ? data[0] % LOGS : 0], SIZE);
  target.requests = 0;
  for(int n = 0; size >= 1 + EDIT && n < EDITS_MAX; n++, size -= EDIT, data += EDIT)
    edit(data + 1);
  use();
  bcache_forget(&target.dev);
  if(target.requests > REQUESTS_MAX)
    panic("%d requests for a log of %d blocks", target.requests, WORLD_LOG);
  if(bcache_pages() != 0 || fake_frames_free() != baseline)
    panic("%lu frames are free, at first %lu; %lu buffers", fake_frames_free(), baseline, bcache_pages());
  return 0;
}
