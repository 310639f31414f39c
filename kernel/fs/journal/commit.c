// commit.c -- make one transaction durable. The order on the disk, each step waited for before the next:
//   the data of its files | the journal's superblock, if the log was empty | revokes, descriptors and images | FLUSH |
//   the commit block | FLUSH.
// An error anywhere before the end aborts the journal, and the commit block is not written.
// Typical: commit_run, by whoever holds journal.work.
// Must not wait for a page with a buffer BUSY: data is written before the first buffer is taken.
#include "core/trace.h"
#include "core/wait.h"
#include "fs/journal/journal_impl.h"
#include "lib/atomic.h"
#include "lib/string.h"

struct commit {
  struct journal *j;
  struct txn *t;
  uint32_t at; // log block to be written next
};

// ---- from running to committing ----

static bool
handles_are_over(struct journal *j, struct txn *t)
{
  bool over;

  spin_acquire(&j->lock);
  over = t->handles == 0;
  spin_release(&j->lock);
  return over;
}

// No more handles join, and those that are open end. 0: nothing runs.
static struct txn *
commit_lock(struct journal *j)
{
  struct txn *t;

  spin_acquire(&j->lock);
  t = j->running;
  if(t)
    t->state = TXN_LOCKED;
  spin_release(&j->lock);
  if(t)
    wait_event(&j->changed, handles_are_over(j, t), WAIT_ALWAYS, NEVER);
  return t;
}

// The next transaction may run. false: the log has no room, which the credits should have seen to.
static bool
commit_switch(struct journal *j, struct txn *t)
{
  bool fits;

  spin_acquire(&j->lock);
  t->state = TXN_DATA;
  t->log_blocks = txn_cost(t, 0);
  t->log_at = j->head;
  fits = t->log_blocks <= j->room;
  if(fits) {
    uint32_t ring = j->maxlen - j->first;

    j->head = j->first + (j->head - j->first + t->log_blocks) % ring;
    j->room -= t->log_blocks;
  }
  j->committing = t;
  j->running = 0;
  spin_release(&j->lock);
  waitq_wake(&j->changed);
  return fits;
}

// ---- writing the log ----

static void
commit_block(struct commit *c, struct page *pg, struct buf *busy)
{
  logio_write(&c->j->io, c->j->map[c->at], pg, busy);
  c->at = journal_next(c->j, c->at);
}

// The scratch page, zeroed, with a header.
static void *
commit_scratch(struct commit *c, enum jbd_type type)
{
  struct jbd_header *h = page_va(c->j->scratch);

  memset(h, 0, JBD_BLOCK);
  h->magic = be32(JBD_MAGIC);
  h->type = be32(type);
  h->sequence = be32(c->t->tid);
  return h;
}

static int
commit_revokes(struct commit *c)
{
  struct rbnode *n = rb_first(&c->t->revokes.tree);
  int err = 0;

  while(n && err == 0) {
    struct jbd_revoke *r = commit_scratch(c, JBD_REVOKE);
    uint32_t *block = (uint32_t *)(r + 1), count = 0;

    for(; n && count < JBD_REVOKES; n = rb_next(n))
      block[count++] = be32(container_of(n, struct revoke, node)->block);
    r->bytes = be32(sizeof(*r) + count * sizeof(*block));
    commit_block(c, c->j->scratch, 0);
    err = logio_wait(&c->j->io);
  }
  return err;
}

// From here on the image of b is the journal's: a copy if there is one, else its data, and then b is BUSY until written.
static struct page *
commit_claim(struct journal *j, struct buf *b)
{
  struct page *frozen;

  bitlock_acquire(&b->flags, BUF_BUSY_BIT, 0);
  spin_acquire(&j->lock);
  b->logged = true;
  frozen = b->frozen;
  spin_release(&j->lock);
  if(frozen)
    bitlock_release(&b->flags, BUF_BUSY_BIT, 0);
  return frozen ? frozen : b->page;
}

static bool
looks_like_log(struct page *pg)
{
  return *(uint32_t *)page_va(pg) == be32(JBD_MAGIC);
}

// A tag for b at `at` in the descriptor: the bytes it took.
static int
commit_tag(struct commit *c, struct buf *b, char *at, bool first)
{
  struct jbd_tag *tag = (struct jbd_tag *)at;
  int flags = first ? 0 : TAG_SAME_UUID;

  if(looks_like_log(commit_claim(c->j, b)))
    flags |= TAG_ESCAPED;
  tag->block = be32(b->block);
  tag->flags = __builtin_bswap16(flags);
  if(!first)
    return sizeof(*tag);
  memcpy(tag + 1, journal_super(c->j)->uuid, JBD_UUID);
  return sizeof(*tag) + JBD_UUID;
}

// An image that begins with the magic goes out with zeros instead: the tag says so.
static int
commit_image(struct commit *c, struct buf *b)
{
  struct page *pg = b->frozen ? b->frozen : b->page, *escape = c->j->escape;
  int err = 0;

  if(looks_like_log(pg)) {
    err = logio_wait(&c->j->io); // the escape page may be on its way
    page_copy(escape, pg);
    *(uint32_t *)page_va(escape) = 0;
  }
  commit_block(c, looks_like_log(pg) ? escape : pg, b->frozen ? 0 : b);
  return err;
}

// One descriptor and its images, from *it of the transaction's list on. *it: where the next one begins.
static int
commit_descriptor(struct commit *c, struct list **it)
{
  int p = c->t->tid & 1, n = 0, err;
  struct list *end = &c->t->bufs, *from = *it, *to;
  char *at = (char *)commit_scratch(c, JBD_DESCRIPTOR) + JBD_FIRST_TAG;
  struct jbd_tag *last = 0;

  for(to = from; to != end && n < JBD_TAGS; to = to->next) {
    struct buf *b = container_of(to, struct buf, in_txn[p]);

    if(b->forget[p])
      continue;
    last = (struct jbd_tag *)at;
    at += commit_tag(c, b, at, n++ == 0);
  }
  *it = to;
  if(n == 0)
    return 0;
  last->flags |= __builtin_bswap16(TAG_LAST);
  commit_block(c, c->j->scratch, 0);
  err = 0;
  for(; from != to; from = from->next) {
    struct buf *b = container_of(from, struct buf, in_txn[p]);
    int e = b->forget[p] ? 0 : commit_image(c, b);

    err = err ? err : e;
  }
  return err ? err : logio_wait(&c->j->io);
}

static int
commit_blocks(struct commit *c)
{
  struct list *it = c->t->bufs.next;
  int err = commit_revokes(c);

  while(err == 0 && it != &c->t->bufs)
    err = commit_descriptor(c, &it);
  return err;
}

// The log was empty, or knew no revokes: its superblock has to say otherwise before the transaction counts.
static int
commit_super(struct journal *j, struct txn *t) REQUIRES(j->work)
{
  struct jbd_super *s = journal_super(j);
  bool revokes = t->revokes.n > 0 && !(s->incompat & be32(JBD_HAS_REVOKES));

  if(s->start != 0 && !revokes)
    return 0;
  if(s->start == 0) {
    s->start = be32(t->log_at);
    s->sequence = be32(t->tid);
  }
  if(revokes)
    s->incompat |= be32(JBD_HAS_REVOKES);
  return journal_write_super(j);
}

static int
commit_record(struct commit *c)
{
  struct jbd_commit *r = commit_scratch(c, JBD_COMMIT);
  uint64_t now = clock_wall();
  int err;

  r->seconds = __builtin_bswap64(now / NSEC);
  r->nanoseconds = be32(now % NSEC);
  commit_block(c, c->j->scratch, 0);
  err = logio_wait(&c->j->io);
  return err ? err : journal_flush(c->j);
}

static int
commit_log(struct journal *j, struct txn *t) REQUIRES(j->work)
{
  struct commit c = {.j = j, .t = t, .at = t->log_at};
  uint32_t used;
  int err = commit_super(j, t);

  err = err ? err : commit_blocks(&c);
  err = err ? err : journal_flush(j);
  used = (c.at - t->log_at + (j->maxlen - j->first)) % (j->maxlen - j->first);
  if(err == 0 && used != t->log_blocks - 1)
    panic("transaction %u was to take %u log blocks, and takes %u", t->tid, t->log_blocks, used + 1);
  return err ? err : commit_record(&c);
}

// ---- afterwards ----

// b is not the transaction's any more. References to be put: at most the one for the list and the one for being on its
// way home.
static int
commit_leave(struct txn *t, struct buf *b, bool committed, struct page **frozen)
{
  int p = t->tid & 1, put = 1;
  bool gone = b->forget[p];

  list_del(&b->in_txn[p]);
  b->txn[p] = 0;
  b->forget[p] = false;
  b->logged = false;
  *frozen = b->frozen;
  b->frozen = 0;
  if(!committed)
    return put;
  if(b->home) {
    list_del(&b->on_home);
    b->home = 0;
    put++;
  }
  if(!gone) {
    b->home = t;
    list_add_tail(&t->home, &b->on_home);
    put--;
  }
  return put;
}

static void
commit_release(struct journal *j, struct txn *t, bool committed)
{
  while(!list_empty(&t->bufs)) {
    struct buf *b = container_of(t->bufs.next, struct buf, in_txn[t->tid & 1]);
    struct page *frozen;
    int put;

    spin_acquire(&j->lock);
    put = commit_leave(t, b, committed, &frozen);
    spin_release(&j->lock);
    if(frozen)
      page_put(frozen);
    while(put-- > 0)
      buf_put(b);
  }
  txn_settle(j, t, committed);
  spin_acquire(&j->lock);
  j->committing = 0;
  spin_release(&j->lock);
  waitq_wake(&j->changed);
}

void
commit_discard(struct journal *j, struct txn *t)
{
  ordered_drop(j, t);
  commit_release(j, t, false);
  txn_free(t);
}

void
commit_run(struct journal *j)
{
  struct txn *t = commit_lock(j);
  int err;

  assert_held(&j->work);
  if(t == 0)
    return;
  err = commit_switch(j, t) ? ordered_flush(j, t) : -ENOSPC;
  spin_acquire(&j->lock);
  t->state = TXN_LOG;
  spin_release(&j->lock);
  waitq_wake(&j->changed);
  if(err == 0 && atomic_get(&j->err) == 0)
    err = commit_log(j, t);
  if(err)
    journal_abort(j, err);
  if(err || atomic_get(&j->err)) {
    commit_discard(j, t);
    return;
  }
  trace(COMMIT, t->tid, t->nbufs, t->log_blocks);
  list_add_tail(&j->committed, &t->link);
  commit_release(j, t, true);
}
