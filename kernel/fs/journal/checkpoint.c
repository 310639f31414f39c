// checkpoint.c -- bring committed blocks to their places, so that the log may forget them. The order: the blocks, waited for
// | FLUSH | the journal's superblock with the new start | FLUSH | the room may be used again.
// What a later transaction is changing stays: with that one's commit it becomes that one's to bring home.
// Typical: checkpoint_run, by whoever holds journal.work. Only such a thread changes the lists of blocks on their way home.
// Knows nothing of what a block is.
#include "core/trace.h"
#include "core/wait.h"
#include "fs/journal/journal_impl.h"
#include "lib/atomic.h"

enum { BATCH = 64 };

struct batch {
  int n;
  struct buf *buf[BATCH];
};

// Take b BUSY, unless a transaction has something to do with it.
static bool
home_claim(struct journal *j, struct buf *b)
{
  bool ours;

  bitlock_acquire(&b->flags, BUF_BUSY_BIT, 0);
  spin_acquire(&j->lock); // with BUSY and this, no declare comes in between
  ours = b->txn[0] == 0 && b->txn[1] == 0;
  spin_release(&j->lock);
  if(!ours)
    bitlock_release(&b->flags, BUF_BUSY_BIT, 0);
  return ours;
}

static void
home_done(struct journal *j, struct buf *b)
{
  spin_acquire(&j->lock);
  list_del(&b->on_home);
  b->home = 0;
  spin_release(&j->lock);
  buf_put(b);
}

// Insert by block number, so that neighbours share a request.
static void
batch_add(struct batch *g, struct buf *b)
{
  int i = g->n++;

  for(; i > 0 && g->buf[i - 1]->block > b->block; i--)
    g->buf[i] = g->buf[i - 1];
  g->buf[i] = b;
}

static int
batch_write(struct journal *j, struct batch *g)
{
  int err;

  for(int i = 0; i < g->n; i++)
    logio_write(&j->io, g->buf[i]->block, g->buf[i]->page, g->buf[i]);
  err = logio_wait(&j->io);
  for(int i = 0; i < g->n && err == 0; i++)
    home_done(j, g->buf[i]);
  g->n = 0;
  return err;
}

// Write what may be written of one transaction.
static int
home_write(struct journal *j, struct txn *t)
{
  struct batch g = {.n = 0};
  struct list *it = t->home.next, *next;
  int err = 0;

  while(it != &t->home && err == 0) {
    struct buf *b = list_entry(it, struct buf, on_home);

    next = it->next;
    if(home_claim(j, b))
      batch_add(&g, b);
    if(g.n == BATCH)
      err = batch_write(j, &g); // takes only blocks before `next` off the list
    it = next;
  }
  return err ? err : batch_write(j, &g);
}

// The log begins with the oldest transaction that is not at home, or is empty.
static int
tail_move(struct journal *j) REQUIRES(j->work)
{
  struct jbd_super *s = journal_super(j);
  struct txn *t = list_empty(&j->committed) ? 0 : list_entry(j->committed.next, struct txn, link);

  spin_acquire(&j->lock);
  s->start = t ? be32(t->log_at) : 0;
  s->sequence = be32(t ? t->tid : j->next_tid - (j->running != 0));
  spin_release(&j->lock);
  return journal_write_super(j);
}

// Let go of the oldest transactions that are at home: on the disk first, then their room.
static int
tail_release(struct journal *j) REQUIRES(j->work)
{
  struct list over = LIST_INIT(over);
  uint32_t room = 0;
  int err;

  while(!list_empty(&j->committed)) {
    struct txn *t = list_entry(j->committed.next, struct txn, link);

    if(!list_empty(&t->home))
      break;
    list_del(&t->link);
    list_add_tail(&over, &t->link);
    room += t->log_blocks;
  }
  if(room == 0)
    return 0;
  err = journal_flush(j);
  err = err ? err : tail_move(j);
  while(!list_empty(&over)) {
    struct txn *t = list_entry(over.next, struct txn, link);

    list_del(&t->link);
    txn_free(t);
  }
  if(err == 0) {
    spin_acquire(&j->lock);
    j->room += room;
    spin_release(&j->lock);
    waitq_wake(&j->changed);
  }
  return err;
}

void
checkpoint_run(struct journal *j)
{
  int err = 0;

  assert_held(&j->work);
  trace(CHECKPOINT, j, j->room, 0);
  for(struct list *it = j->committed.next; it != &j->committed && err == 0; it = it->next)
    err = home_write(j, list_entry(it, struct txn, link));
  if(err)
    journal_abort(j, err);
  else
    tail_release(j);
}

void
checkpoint_discard(struct journal *j)
{
  while(!list_empty(&j->committed)) {
    struct txn *t = list_entry(j->committed.next, struct txn, link);

    while(!list_empty(&t->home))
      home_done(j, list_entry(t->home.next, struct buf, on_home));
    list_del(&t->link);
    txn_free(t);
  }
}
