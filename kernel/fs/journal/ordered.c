// ordered.c -- files whose data goes to the disk before the transaction that gave them blocks: what makes a crash show old
// data or new, and never what another file once wrote there.
// Typical: pages DIRTY / txn_order(h, o) / txn_end;   the commit: ordered_flush;   truncate: ordered_wait / take pages away.
// Knows nothing of files: only the method that writes one's dirty pages.
#include "core/wait.h"
#include "fs/journal/journal_impl.h"

void
ordered_init(struct ordered *o, int (*flush)(struct ordered *))
{
  o->flush = flush;
  for(int i = 0; i < 2; i++) {
    o->txn[i] = 0;
    list_init(&o->in_txn[i]);
  }
}

void
txn_order(struct handle *h, struct ordered *o)
{
  struct journal *j = h->j;
  int p = h->tid & 1;

  spin_acquire(&j->lock);
  if(o->txn[p] != h->txn) {
    o->txn[p] = h->txn;
    list_add_tail(&h->txn->ordered, &o->in_txn[p]);
  }
  spin_release(&j->lock);
}

// Is the committing transaction yet to write o's data, or at it?
static bool
ordered_due(struct journal *j, struct ordered *o)
{
  bool due;

  spin_acquire(&j->lock);
  due = j->flushing == o || (j->committing && o->txn[j->committing->tid & 1] == j->committing);
  spin_release(&j->lock);
  return due;
}

void
ordered_wait(struct journal *j, struct ordered *o)
{
  assert_may_sleep();
  wait_event(&j->changed, !ordered_due(j, o), WAIT_ALWAYS, NEVER);
}

static bool
ordered_off(struct journal *j, struct ordered *o)
{
  bool off;

  spin_acquire(&j->lock);
  off = j->flushing != o;
  for(int i = 0; i < 2 && off; i++) {
    list_del(&o->in_txn[i]);
    o->txn[i] = 0;
  }
  spin_release(&j->lock);
  return off;
}

void
ordered_forget(struct journal *j, struct ordered *o)
{
  assert_may_sleep();
  wait_event(&j->changed, ordered_off(j, o), WAIT_ALWAYS, NEVER);
}

// The next one of t's list, off it and marked as being flushed; 0: there is none.
static struct ordered *
ordered_next(struct journal *j, struct txn *t)
{
  struct ordered *o = 0;
  int p = t->tid & 1;

  spin_acquire(&j->lock);
  if(!list_empty(&t->ordered)) {
    o = container_of(t->ordered.next, struct ordered, in_txn[p]);
    list_del(&o->in_txn[p]);
    o->txn[p] = 0;
    j->flushing = o;
  }
  spin_release(&j->lock);
  return o;
}

int
ordered_flush(struct journal *j, struct txn *t)
{
  struct ordered *o;
  int err = 0, e;

  while((o = ordered_next(j, t)) != 0) {
    e = o->flush(o);
    err = err ? err : e;
    spin_acquire(&j->lock);
    j->flushing = 0;
    spin_release(&j->lock);
    waitq_wake(&j->changed);
  }
  return err;
}

void
ordered_drop(struct journal *j, struct txn *t)
{
  while(ordered_next(j, t) != 0) {
    spin_acquire(&j->lock);
    j->flushing = 0;
    spin_release(&j->lock);
  }
  waitq_wake(&j->changed);
}
