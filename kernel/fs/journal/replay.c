// replay.c -- bring a log home after a crash: three walks over it. SCAN finds the last transaction that is whole, REVOKE
// which blocks must not be brought back, REPLAY writes the rest. Pure over blk.h; a log may hold anything.
// Typical: replay_run, once, before the journal starts. After a crash in the middle of it: once more.
// Nothing is written before SCAN and REVOKE have read the whole log and found nothing wrong with it.
#include "core/thread.h"
#include "core/trace.h"
#include "fs/journal/journal_impl.h"

enum pass { SCAN, REVOKE, REPLAY };
struct replay {
  struct journal *j;
  enum pass pass;
  uint32_t at;        // log block to be read next
  uint32_t left;      // log blocks that this walk may still read: a log has no more than the ring
  uint32_t tid;       // the transaction it is in
  uint32_t end;       // first that is not whole; known after SCAN
  struct page *block; // what was read last of the log itself
  struct page *image;
  struct revokes revoked;
};

// Skip one log block. false: the log would be longer than the ring.
static bool
replay_skip(struct replay *r)
{
  if(r->left == 0)
    return false;
  r->left--;
  r->at = journal_next(r->j, r->at);
  return true;
}

static int
replay_read(struct replay *r, uint32_t at, struct page *to)
{
  return blk_io(r->j->dev, BLK_READ, journal_sector(r->j, at), page_va(to), JBD_BLOCK);
}

static int
replay_corrupt(struct replay *r, uint64_t what)
{
  trace(EXT3_ERROR, r->j->map[0], r->at, what);
  return -EIO;
}

// ---- one image ----

static int
replay_image(struct replay *r, uint32_t at, uint32_t block, int flags)
{
  struct revoke *v = revoke_find(&r->revoked, block);
  int err;

  if(v && (int32_t)(r->tid - v->tid) <= 0)
    return 0;
  if((err = replay_read(r, at, r->image)) != 0)
    return err;
  if(flags & TAG_ESCAPED)
    *(uint32_t *)page_va(r->image) = be32(JBD_MAGIC);
  return blk_io(r->j->dev, BLK_WRITE, (uint64_t)block * JBD_SECTORS, page_va(r->image), JBD_BLOCK);
}

// All tags of the descriptor in r->block, whose images follow at r->at. *whole: false if the ring ends before them.
static int
replay_descriptor(struct replay *r, bool *whole)
{
  const char *p = page_va(r->block);
  uint32_t off = JBD_FIRST_TAG;
  int flags = 0, err;

  while(!(flags & TAG_LAST) && off + sizeof(struct jbd_tag) <= JBD_BLOCK) {
    const struct jbd_tag *tag = (const struct jbd_tag *)(p + off);
    uint32_t block = be32(tag->block), at = r->at;

    flags = __builtin_bswap16(tag->flags);
    off += sizeof(*tag) + (flags & TAG_SAME_UUID ? 0 : JBD_UUID);
    *whole = replay_skip(r);
    if(!*whole)
      return 0;
    if(r->pass != SCAN && block >= r->j->fs_blocks)
      return replay_corrupt(r, block);
    if(r->pass == REPLAY && (err = replay_image(r, at, block, flags)) != 0)
      return err;
  }
  return 0;
}

// ---- one revoke block ----

static int
replay_revokes(struct replay *r)
{
  const struct jbd_revoke *rb = page_va(r->block);
  uint32_t bytes = be32(rb->bytes), n;
  const uint32_t *block = (const uint32_t *)(rb + 1);

  if(bytes < sizeof(*rb) || bytes > JBD_BLOCK)
    return replay_corrupt(r, bytes);
  n = (bytes - sizeof(*rb)) / sizeof(*block);
  for(uint32_t i = 0; i < n; i++) {
    struct revoke *v;

    if(be32(block[i]) >= r->j->fs_blocks)
      continue; // nothing to protect
    if((v = revoke_alloc()) == 0)
      return -ENOMEM;
    v->block = be32(block[i]);
    v->tid = r->tid;
    if(!revoke_add(&r->revoked, v))
      revoke_free(v);
  }
  return 0;
}

// ---- one walk ----

// The block of the log in r->block, which belongs to transaction r->tid. *more: the log goes on behind it.
static int
replay_one(struct replay *r, bool *more)
{
  const struct jbd_header *h = page_va(r->block);

  *more = true;
  switch(be32(h->type)) {
  case JBD_DESCRIPTOR: return replay_descriptor(r, more);
  case JBD_REVOKE: return r->pass == REVOKE ? replay_revokes(r) : 0;
  case JBD_COMMIT: r->tid++; return 0;
  }
  *more = false;
  return 0;
}

static int
replay_walk(struct replay *r, enum pass pass)
{
  const struct jbd_super *s = journal_super(r->j);
  const struct jbd_header *h = page_va(r->block);
  bool more = true;
  int err = 0;

  r->pass = pass;
  r->at = be32(s->start);
  r->tid = be32(s->sequence);
  r->left = r->j->maxlen - r->j->first;
  while(more && err == 0 && (pass == SCAN || r->tid != r->end)) {
    uint32_t at = r->at;

    if(!replay_skip(r))
      break;
    if((err = replay_read(r, at, r->block)) != 0)
      break;
    if(be32(h->magic) != JBD_MAGIC || be32(h->sequence) != r->tid)
      break;
    err = replay_one(r, &more);
    thread_relax();
  }
  if(pass == SCAN)
    r->end = r->tid;
  return err;
}

// The log is at home: say so, and skip one id, so that nothing that still lies in the ring can ever be taken for new.
static int
replay_empty(struct replay *r)
{
  struct jbd_super *s = journal_super(r->j);
  int err = blk_io(r->j->dev, BLK_FLUSH, 0, 0, 0);

  if(err)
    return err;
  s->start = 0;
  s->sequence = be32(r->end + 1);
  err = blk_io(r->j->dev, BLK_WRITE, journal_sector(r->j, 0), s, JBD_BLOCK);
  return err ? err : blk_io(r->j->dev, BLK_FLUSH, 0, 0, 0);
}

int
replay_run(struct journal *j)
{
  struct replay r = {.j = j, .block = frame_try(0), .image = frame_try(0)};
  int err = r.block && r.image ? 0 : -ENOMEM;

  if(journal_super(j)->start != 0) {
    for(enum pass p = SCAN; p <= REPLAY && err == 0; p++)
      err = replay_walk(&r, p);
    err = err ? err : replay_empty(&r);
  }
  revoke_clear(&r.revoked);
  if(r.block)
    page_put(r.block);
  if(r.image)
    page_put(r.image);
  return err;
}
