// journal_world.c -- journal_world.h says what for.
#include <stdlib.h>
#include <string.h>
#include "fs/journal/journal_impl.h"
#include "journal_world.h"
#include "lib/errno.h"

enum { HOT = 3, VERSIONS = 100000 };
enum { CREDITS = 3 }; // besides those for changes: slot 0, a revoke block, a block that is taken again

struct stamp { // at the start of each sector
  uint32_t word, block, gen, version, sector, role;
};

unsigned
world_random(struct world *w)
{
  w->seed ^= w->seed << 13;
  w->seed ^= w->seed >> 17;
  w->seed ^= w->seed << 5;
  return w->seed;
}

// ---- contents

// One sector of a block's contents. The first word of some blocks is the journal's magic.
static void
sector_make(unsigned char *p, enum role role, uint32_t block, unsigned gen, unsigned version, int sector)
{
  struct stamp s = {version * 77, block, gen, version, sector, role};

  if(sector == 0 && version % 3 == 0)
    s.word = be32(JBD_MAGIC);
  memset(p, (int)(version * 31 + gen * 7 + sector), BLK_SECTOR);
  memcpy(p, &s, sizeof(s));
}

static void
block_make(unsigned char *p, enum role role, uint32_t block, unsigned gen, unsigned version)
{
  for(int s = 0; s < JBD_SECTORS; s++)
    sector_make(p + s * BLK_SECTOR, role, block, gen, version, s);
}

// ---- the disk at the start

static void
shuffle(struct world *w, uint32_t *a, int n)
{
  for(int i = n - 1; i > 0; i--) {
    int k = world_random(w) % (i + 1);
    uint32_t t = a[i];

    a[i] = a[k];
    a[k] = t;
  }
}

void
world_format(struct world *w, struct fake_disk *d, unsigned seed)
{
  uint32_t all[WORLD_BLOCKS - 1];
  struct jbd_super *s;

  memset(w, 0, sizeof(*w));
  w->disk = d;
  w->seed = seed * 2654435761u | 1;
  w->snap = calloc(HANDLES_MAX + 1, sizeof(*w->snap));
  w->ack = calloc(HANDLES_MAX, sizeof(*w->ack));
  for(int i = 0; i < WORLD_BLOCKS - 1; i++)
    all[i] = i + 1;
  if(seed % 2)
    shuffle(w, all, WORLD_BLOCKS - 1);
  memcpy(w->map, all, sizeof(w->map));
  memcpy(w->block, all + WORLD_LOG, sizeof(w->block));
  s = (struct jbd_super *)(d->bytes + w->map[0] * JBD_BLOCK);
  *s = (struct jbd_super){.header = {be32(JBD_MAGIC), be32(JBD_SUPER_V2), 0}};
  s->blocksize = be32(JBD_BLOCK);
  s->maxlen = be32(WORLD_LOG);
  s->first = be32(1);
  s->sequence = be32(seed % 3 == 0 ? 0xfffffff8u : 1); // ids wrap in some runs
  memset(s->uuid, 0x5a, sizeof(s->uuid));
  for(int i = 0; i < WORLD_SLOTS; i++) {
    if(i < WORLD_SLOTS / 2)
      w->now[i] = (struct slot){ROLE_META, ++w->gens, 1};
    block_make(d->bytes + w->block[i] * JBD_BLOCK, ROLE_META, w->block[i], w->now[i].gen, i ? 1 : 0);
  }
  w->now[0].version = 0;
  memcpy(w->snap[0].slot, w->now, sizeof(w->now));
}

// ---- data

static int
data_write(struct world *w, int i)
{
  struct page *pg = frame_try(0);
  struct slot s = w->now[i];
  int err;

  w->dirty[i] = false;
  block_make(page_va(pg), ROLE_DATA, w->block[i], s.gen, s.version);
  err = blk_io(&w->disk->dev, BLK_WRITE, (uint64_t)w->block[i] * JBD_SECTORS, page_va(pg), JBD_BLOCK);
  w->dirty[i] |= err != 0;
  page_put(pg);
  return err;
}

static struct world *the_world; // whose files are flushed

static int
file_flush(struct ordered *o)
{
  struct world *w = the_world;
  int f = container_of(o, struct file, ordered) - w->file, err = 0;

  if(w->skip_ordered)
    return 0;
  for(int i = 1; i < WORLD_SLOTS; i++)
    if(w->now[i].role == ROLE_DATA && i % WORLD_FILES == f && w->dirty[i]) {
      int e = data_write(w, i);

      err = err ? err : e;
    }
  return err;
}

static void
data_change(struct world *w, int i)
{
  w->now[i].version++;
  w->dirty[i] = true;
}

// ---- handles

struct op {
  struct world *w;
  struct handle h;
};

// Nested in a commit, by the same thread: a block that is BUSY could only be waited for in vain.
static bool
may_touch(struct world *w, int i)
{
  struct buf *b;
  bool ok;

  if(!w->nested)
    return true;
  if((b = buf_get_cached(&w->disk->dev, w->block[i])) == 0)
    return true;
  ok = !(b->flags & BUF_BUSY);
  buf_put(b);
  return ok;
}

static void
meta_write(struct op *o, int i, struct buf *b)
{
  struct slot *s = &o->w->now[i];

  block_make(b->data, ROLE_META, o->w->block[i], s->gen, s->version);
  buf_put(b);
}

static void
meta_change(struct op *o, int i)
{
  struct buf *b;

  if(buf_get(&o->w->disk->dev, o->w->block[i], &b) != 0)
    return;
  txn_declare(&o->h, b);
  o->w->now[i].version++;
  meta_write(o, i, b);
}

static void
meta_free(struct op *o, int i)
{
  struct world *w = o->w;

  if(world_random(w) % 4 == 0) // changed once more before, as the last name leaves a directory
    meta_change(o, i);
  if(!w->skip_revoke)
    txn_revoke(&o->h, w->block[i]);
  txn_freed(&o->h, w->block[i], 1);
  w->now[i] = (struct slot){ROLE_FREE, ++w->gens, 0};
}

static bool
slot_pending(struct world *w, int i)
{
  uint64_t next;

  return !w->reuse_early && txn_pending(w->j, w->block[i], 1, &next);
}

static void
slot_alloc(struct op *o, int i)
{
  struct world *w = o->w;
  struct buf *b;

  if(slot_pending(w, i))
    return;
  if(world_random(w) % 2) {
    w->now[i] = (struct slot){ROLE_DATA, ++w->gens, 1};
    w->dirty[i] = true;
    txn_order(&o->h, &w->file[i % WORLD_FILES].ordered);
  } else if(txn_new(&o->h, w->block[i], &b) == 0) {
    w->now[i] = (struct slot){ROLE_META, ++w->gens, 1};
    meta_write(o, i, b);
  }
}

// Freed metadata may be taken for metadata again at once: its revoke is undone then.
static void
meta_again(struct op *o, int i)
{
  struct buf *b;

  if(txn_new(&o->h, o->w->block[i], &b) != 0)
    return;
  o->w->now[i] = (struct slot){ROLE_META, ++o->w->gens, 1};
  meta_write(o, i, b);
}

// Data that the committing transaction is yet to write must not be dropped: a truncate waits for it (ordered_wait). Nested
// in that commit nobody can.
static bool
data_is_due(struct world *w, int i)
{
  struct ordered *o = &w->file[i % WORLD_FILES].ordered;
  struct txn *t = w->j->committing;

  if(w->drop_early)
    return false;
  return w->j->flushing == o || (t && o->txn[t->tid & 1] == t);
}

static void
slot_change(struct op *o, int i)
{
  struct world *w = o->w;

  if(!may_touch(w, i))
    return;
  switch(w->now[i].role) {
  case ROLE_FREE: slot_alloc(o, i); break;
  case ROLE_META:
    if(world_random(w) % 3 != 0)
      meta_change(o, i);
    else
      meta_free(o, i);
    break;
  case ROLE_DATA:
    if(world_random(w) % 3 == 0 && !data_is_due(w, i)) {
      w->dirty[i] = false;
      txn_freed(&o->h, w->block[i], 1);
      w->now[i] = (struct slot){ROLE_FREE, ++w->gens, 0};
    } else {
      data_change(w, i);
    }
  }
}

// Half of the time one of a few, so that a block changes its role several times before the log forgets it.
static int
slot_choose(struct world *w)
{
  if(w->handles % 16 == 0)
    w->hot = world_random(w) % (WORLD_SLOTS - HOT - 1);
  if(world_random(w) % 2)
    return 1 + w->hot + world_random(w) % HOT;
  return 1 + world_random(w) % (WORLD_SLOTS - 1);
}

static void
handle_body(struct op *o, int ops)
{
  struct world *w = o->w;
  int again = 0;

  while(ops-- > 0) {
    int i = slot_choose(w);
    bool meta = w->now[i].role == ROLE_META;

    slot_change(o, i);
    if(meta && w->now[i].role == ROLE_FREE && !w->skip_revoke && world_random(w) % 6 == 0 && may_touch(w, i))
      again = i;
  }
  if(again && w->now[again].role == ROLE_FREE)
    meta_again(o, again);
}

bool
world_handle(struct world *w)
{
  int ops = 1 + world_random(w) % 3, n;
  struct op o = {.w = w};
  struct buf *b;

  if(w->handles + 2 > HANDLES_MAX || txn_begin(w->j, ops + CREDITS + (int)(world_random(w) % 2), &o.h) != 0)
    return false;
  n = w->handles + 1; // the commit that begin may have waited for had handles of its own
  if(buf_get(&w->disk->dev, w->block[0], &b) != 0) {
    txn_end(&o.h);
    return false;
  }
  txn_declare(&o.h, b);
  handle_body(&o, ops);
  w->now[0].version = n;
  meta_write(&o, 0, b);
  w->handles = n;
  w->snap[n].tid = o.h.tid;
  memcpy(w->snap[n].slot, w->now, sizeof(w->now));
  txn_end(&o.h);
  return true;
}

// A handle of the next transaction in the middle of a commit: as if another thread ran one. Only if it need not wait.
static void
world_nested(struct fake_disk *d, struct blkreq *r)
{
  struct world *w = the_world;
  struct held held;

  if(w == 0 || w->j == 0 || w->disk != d || w->nested || w->j->committing == 0 || world_random(w) % 4)
    return;
  if(w->j->err || w->j->room < w->j->max_txn || (w->j->running && txn_cost(w->j->running, 8) > w->j->max_txn))
    return;
  w->nested = true;
  if(may_touch(w, 0)) {
    held = *thread_held();
    thread_held()->n = 0;
    world_handle(w);
    *thread_held() = held;
  }
  w->nested = false;
  thread_wake(thread_self()); // what it waited for may have swallowed a wake-up
}

int
world_sync(struct world *w)
{
  struct ack *a = &w->ack[w->nacks];
  int err;

  for(int i = 1; i < WORLD_SLOTS; i++)
    if(w->now[i].role == ROLE_DATA && w->dirty[i])
      data_write(w, i);
  a->handles = w->handles;
  memcpy(a->slot, w->now, sizeof(w->now));
  for(int i = 1; i < WORLD_SLOTS; i++)
    if(w->dirty[i])
      a->slot[i].gen = 0; // changed again meanwhile: nothing is promised
  err = journal_sync(w->j, w->snap[w->handles].tid);
  if(err == 0) {
    a->event = w->disk->events - 1;
    w->nacks++;
  }
  return err;
}

void
world_run(struct world *w, int handles)
{
  while(handles-- > 0 && w->nacks < HANDLES_MAX) {
    int i = 1 + world_random(w) % (WORLD_SLOTS - 1);

    if(!world_handle(w))
      return;
    if(w->now[i].role == ROLE_DATA && world_random(w) % 2)
      data_change(w, i);
    if(w->dirty[i] && w->now[i].role == ROLE_DATA && world_random(w) % 4 == 0)
      data_write(w, i);
    if(world_random(w) % 6 == 0)
      world_sync(w);
    else if(world_random(w) % 6 == 0)
      journal_force(w->j);
    if(w->now[i].role == ROLE_DATA && world_random(w) % 8 == 0) {
      data_change(w, i);
      world_sync(w); // perhaps with nothing to commit
    }
  }
}

int
world_open(struct world *w, bool thread)
{
  uint32_t *map = kzalloc(sizeof(w->map));
  const char *why;
  int err;

  memcpy(map, w->map, sizeof(w->map));
  err = journal_open(&w->disk->dev, map, WORLD_LOG, WORLD_BLOCKS, &w->j, &why);
  if(err == 0 && journal_dirty(w->j))
    err = journal_replay(w->j);
  if(err == 0)
    err = journal_start(w->j, thread);
  for(int i = 0; i < WORLD_FILES; i++)
    ordered_init(&w->file[i].ordered, file_flush);
  the_world = w;
  w->disk->submitted = thread ? 0 : world_nested;
  return err;
}

// The power is gone: nothing reaches the disk any more, and what is in memory is dropped.
void
world_abandon(struct world *w)
{
  w->disk->submitted = 0;
  w->disk->recording = false;
  journal_abort(w->j, -EIO);
  journal_close(w->j);
  bcache_forget(&w->disk->dev);
}

// What was never told to be durable may be gone: go on from the state that the disk shows.
void
world_rebirth(struct world *w, const unsigned char *bytes)
{
  struct stamp st;

  memcpy(&st, bytes + (uint64_t)w->block[0] * JBD_BLOCK, sizeof(st));
  w->handles = st.version;
  memcpy(w->now, w->snap[w->handles].slot, sizeof(w->now));
  for(int i = 0; i < WORLD_SLOTS; i++) {
    w->dirty[i] = w->now[i].role == ROLE_DATA;
    if(w->dirty[i])
      w->now[i].version += VERSIONS; // newer than any that may be there
  }
  w->nacks = 0;
  w->first = w->handles;
  w->j = 0;
}

int
world_close(struct world *w)
{
  if(w->disk->submitted)
    w->disk->submitted = 0;
  return journal_close(w->j);
}

void
world_free(struct world *w)
{
  free(w->snap);
  free(w->ack);
  the_world = 0;
}

// ---- what may be there

static const unsigned char *
slot_at(const struct world *w, const unsigned char *image, int i)
{
  return image + (uint64_t)w->block[i] * JBD_BLOCK;
}

static const char *
check_meta(const struct world *w, const unsigned char *image, int i, const struct slot *s)
{
  unsigned char want[JBD_BLOCK];

  block_make(want, ROLE_META, w->block[i], s->gen, s->version);
  return memcmp(want, slot_at(w, image, i), JBD_BLOCK) == 0 ? 0 : "metadata is not of that state";
}

static const char *
check_data(const struct world *w, const unsigned char *image, int i, const struct slot *s, unsigned least)
{
  unsigned char want[BLK_SECTOR];

  for(int k = 0; k < JBD_SECTORS; k++) {
    const unsigned char *p = slot_at(w, image, i) + k * BLK_SECTOR;
    struct stamp st;

    memcpy(&st, p, sizeof(st));
    sector_make(want, ROLE_DATA, w->block[i], s->gen, st.version, k);
    if(memcmp(want, p, BLK_SECTOR) != 0)
      return "data is another's";
    if(st.version < least)
      return "data is too old";
  }
  return 0;
}

static const char *
check_slot(const struct world *w, const unsigned char *image, int i, const struct slot *s, const struct ack *a)
{
  unsigned least = 1; // changes in place wait for no transaction

  if(s->role == ROLE_META)
    return check_meta(w, image, i, s);
  if(s->role != ROLE_DATA)
    return 0;
  if(a && a->slot[i].role == ROLE_DATA && a->slot[i].gen == s->gen && a->slot[i].version > least)
    least = a->slot[i].version;
  return check_data(w, image, i, s, least);
}

const char *
world_check(const struct world *w, const unsigned char *image, int event)
{
  const struct ack *a = 0;
  struct stamp st;
  const char *why = 0;
  int n;

  for(int i = 0; i < w->nacks && w->ack[i].event <= event; i++)
    a = &w->ack[i];
  memcpy(&st, slot_at(w, image, 0), sizeof(st));
  n = st.version;
  if(st.block != w->block[0] || n < 0 || n > w->handles)
    return "slot 0 is no state";
  if(n < w->first)
    return "what an earlier recovery found is not there";
  if(n < w->handles && n > w->first && w->snap[n].tid == w->snap[n + 1].tid)
    return "a transaction is there in part";
  if(a && n < a->handles)
    return "what was acknowledged is not there";
  for(int i = 0; i < WORLD_SLOTS && why == 0; i++)
    why = check_slot(w, image, i, &w->snap[n].slot[i], a);
  return why;
}
