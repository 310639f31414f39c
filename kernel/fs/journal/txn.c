// txn.c -- one change to the disk: begin, declare each block before it is changed, end. Room in the log is taken at the
// start for all of it, so nothing in between fails.
// Typical: txn_begin(j, 3, &h) / buf_get / txn_declare(&h, b) / ((uint32_t *)b->data)[n] = 0 / buf_put / txn_end(&h).
// A block is in at most two transactions: one that commits, one that runs. While the first has not logged it, the second
// gets it only after a copy was set aside (frozen). Knows nothing of the log but how much room a transaction takes.
#include "core/trace.h"
#include "core/wait.h"
#include "fs/journal/journal_impl.h"
#include "lib/atomic.h"
#include "lib/string.h"

static struct kmem_cache *txn_cache, *freed_cache;

void
txn_init(void)
{
  txn_cache = KMEM_CACHE(struct txn);
  freed_cache = KMEM_CACHE(struct freed);
}

// ---- begin and end ----

uint32_t
txn_cost(const struct txn *t, int credits)
{
  uint32_t images = t->nbufs + t->reserved + credits, revokes = t->revokes.n;

  return images + (images + JBD_TAGS - 1) / JBD_TAGS + (revokes + JBD_REVOKES - 1) / JBD_REVOKES + 1;
}

struct begin { // one txn_begin, over all its attempts
  struct handle *h;
  int credits;
  struct txn *fresh; // to become the running one
  int err;           // 0, -EROFS, or -ENOMEM: needs a fresh one
};

static void
txn_open(struct journal *j, struct txn *t) REQUIRES(j->lock)
{
  t->tid = j->next_tid++;
  t->started = clock_now();
  list_init(&t->bufs);
  list_init(&t->ordered);
  list_init(&t->hooks);
  list_init(&t->freed);
  list_init(&t->home);
  list_init(&t->link);
  j->running = t;
}

// Is there room for that many credits in t and in the log? If not: have somebody make some.
static bool
txn_fits(struct journal *j, struct txn *t, int credits) REQUIRES(j->lock)
{
  uint32_t cost = txn_cost(t, credits);

  if(cost > j->max_txn) {
    t->wanted = true;
    return false;
  }
  if(cost > j->room) {
    j->want_room = max(j->want_room, cost);
    return false;
  }
  return true;
}

static bool
begin_locked(struct journal *j, struct begin *b) REQUIRES(j->lock)
{
  struct txn *t = j->running;

  b->err = atomic_get(&j->err) ? -EROFS : 0;
  if(b->err)
    return true;
  if(t == 0 && b->fresh == 0) {
    b->err = -ENOMEM;
    return true;
  }
  if(t == 0) {
    t = b->fresh;
    b->fresh = 0;
    txn_open(j, t);
  }
  if(t->state != TXN_RUNNING || !txn_fits(j, t, b->credits))
    return false;
  t->handles++;
  t->reserved += b->credits;
  *b->h = (struct handle){.j = j, .txn = t, .tid = t->tid, .credits = b->credits};
  return true;
}

static bool
begin_ready(struct journal *j, void *arg)
{
  struct begin *b = arg;
  bool had = b->fresh != 0, ready;

  spin_acquire(&j->lock);
  ready = begin_locked(j, b);
  spin_release(&j->lock);
  if(!ready || (had && b->fresh == 0))
    journal_poke(j); // there is work, or a transaction whose age the thread must watch
  return ready;
}

int
txn_begin(struct journal *j, int credits, struct handle *h)
{
  struct begin b = {.h = h, .credits = credits};
  int err = 0;

  assert_not_held_rank(RANK_ASPACE);
  if(credits < 0 || credits > (int)journal_max_credits(j))
    return -ENOSPC;
  rank_acquire(j, "transaction", RANK_TXN, RANK_STRICT);
  do {
    journal_await(j, begin_ready, &b);
    if(b.err == -ENOMEM)
      while((b.fresh = kmem_alloc(txn_cache)) == 0 && err == 0)
        err = frame_wait();
  } while(b.err == -ENOMEM && err == 0);
  if(b.fresh)
    kmem_free(txn_cache, b.fresh);
  err = b.err == -ENOMEM ? err : b.err;
  if(err)
    rank_release(j);
  return err;
}

void
txn_end(struct handle *h)
{
  struct journal *j = h->j;
  struct txn *t = h->txn;
  bool wake;

  rank_release(j);
  spin_acquire(&j->lock);
  assert(t->handles > 0 && t->reserved >= h->credits);
  t->reserved -= h->credits;
  t->handles--;
  wake = h->credits > 0 || (t->handles == 0 && t->state == TXN_LOCKED);
  spin_release(&j->lock);
  h->txn = 0;
  if(wake)
    waitq_wake(&j->changed);
  if(atomic_get(&j->err))
    journal_poke(j);
}

// ---- blocks ----

static void *
copy_alloc(void)
{
  struct page *pg = frame_try(0);

  return pg ? pg : frame_try_reserve(0);
}

static void *
revoke_new(void)
{
  return revoke_alloc();
}

// Put b on the transaction's list, with a reference of the journal's.
static void
attach(struct txn *t, struct buf *b)
{
  int p = t->tid & 1;

  if(b->txn[p] == 0) {
    buf_hold(b);
    b->txn[p] = t;
    list_add_tail(&t->bufs, &b->in_txn[p]);
  }
}

static void
take_credit(struct handle *h, const struct buf *b)
{
  if(h->credits == 0)
    panic("transaction %u: a handle declares block %lu, but has no credit left", h->tid, b->block);
  h->credits--;
  h->txn->reserved--;
  h->txn->nbufs++;
}

enum declare { DECLARED, DECLARE_BUSY, DECLARE_COPY };

// One attempt. *copy: a frame if the caller has one; 0 afterwards if it was used. *undone: a revoke that is void now.
static enum declare
declare_try(struct journal *j, struct handle *h, struct buf *b, struct page **copy, struct revoke **undone)
    REQUIRES(j->lock)
{
  int p = h->tid & 1;
  bool owed = b->txn[!p] && !b->forget[!p] && !b->logged && b->frozen == 0;

  if(b->txn[p] && b->txn[p] != h->txn)
    panic("block %lu is in transaction %u, which is neither the running nor the committing one", b->block,
          b->txn[p]->tid);
  if(b->txn[p] && !b->forget[p])
    return DECLARED;
  if(atomic_get(&b->flags) & BUF_BUSY)
    return DECLARE_BUSY;
  if(owed && *copy == 0)
    return DECLARE_COPY;
  if(owed) {
    page_copy(*copy, b->page);
    b->frozen = *copy;
    *copy = 0;
  }
  take_credit(h, b);
  attach(h->txn, b);
  b->forget[p] = false;
  *undone = revoke_take(&h->txn->revokes, b->block);
  return DECLARED;
}

void
txn_declare(struct handle *h, struct buf *b)
{
  struct journal *j = h->j;
  struct page *copy = 0;
  struct revoke *undone = 0;
  enum declare d;

  assert(h->txn);
  do {
    spin_acquire(&j->lock);
    d = declare_try(j, h, b, &copy, &undone);
    spin_release(&j->lock);
    if(d == DECLARE_COPY)
      copy = journal_must(copy_alloc);
    if(d == DECLARE_BUSY)
      buf_settle(b);
  } while(d != DECLARED);
  if(copy)
    page_put(copy);
  if(undone)
    revoke_free(undone);
}

int
txn_new(struct handle *h, uint64_t block, struct buf **out)
{
  struct buf *b;
  int err = buf_get_new(h->j->dev, block, &b);

  if(err)
    return err;
  txn_declare(h, b);
  memset(b->data, 0, PAGE_SIZE);
  *out = b;
  return 0;
}

// The block is not to be logged any more. It stays the transaction's until that has committed: what was changed in it must
// not go home before, and what was committed of it must not afterwards.
static void
forget(struct journal *j, struct handle *h, struct buf *b) REQUIRES(j->lock)
{
  int p = h->tid & 1;

  if(b->txn[p] == 0 && b->txn[!p] == 0 && b->home == 0)
    return; // the journal has nothing of it
  if(b->txn[p] && !b->forget[p])
    h->txn->nbufs--;
  attach(h->txn, b);
  b->forget[p] = true;
}

void
txn_revoke(struct handle *h, uint64_t block)
{
  struct journal *j = h->j;
  struct txn *t = h->txn;
  struct revoke *r = journal_must(revoke_new);
  struct buf *b = buf_get_cached(j->dev, block);
  bool added;

  r->block = block;
  r->tid = h->tid;
  spin_acquire(&j->lock);
  if(b)
    forget(j, h, b);
  added = revoke_add(&t->revokes, r);
  if(added && t->revokes.n % JBD_REVOKES == 1 && h->credits > 0) {
    h->credits--;
    t->reserved--;
  }
  spin_release(&j->lock);
  if(!added)
    revoke_free(r);
  if(b)
    buf_put(b);
}

// ---- freed blocks ----

static struct freed *
freed_of(struct rbnode *n)
{
  return container_of(n, struct freed, node);
}

// The last run that begins at or before `block`; 0.
static struct freed *
freed_before(struct journal *j, uint64_t block) REQUIRES(j->lock)
{
  struct rbnode *n = j->freed.root, *best = 0;

  while(n) {
    if(freed_of(n)->block <= block)
      best = n;
    n = freed_of(n)->block <= block ? n->right : n->left;
  }
  return best ? freed_of(best) : 0;
}

static void
freed_insert(struct journal *j, struct freed *f) REQUIRES(j->lock)
{
  struct rbnode *up = 0, **at = &j->freed.root;

  while(*at) {
    up = *at;
    at = f->block < freed_of(up)->block ? &up->left : &up->right;
  }
  rb_insert(&j->freed, &f->node, up, at);
  list_add_tail(&f->txn->freed, &f->link);
}

static void *
freed_alloc(void)
{
  return kmem_alloc(freed_cache);
}

void
txn_freed(struct handle *h, uint64_t block, uint64_t n)
{
  struct journal *j = h->j;
  struct freed *fresh = journal_must(freed_alloc), *f;

  spin_acquire(&j->lock);
  f = freed_before(j, block);
  if(f && f->txn == h->txn && f->block + f->n == block) {
    f->n += n;
  } else {
    fresh->txn = h->txn;
    fresh->block = block;
    fresh->n = n;
    freed_insert(j, fresh);
    fresh = 0;
  }
  spin_release(&j->lock);
  if(fresh)
    kmem_free(freed_cache, fresh);
}

bool
txn_pending(struct journal *j, uint64_t block, uint64_t n, uint64_t *next)
{
  struct freed *f;
  struct rbnode *after;
  bool hit;

  spin_acquire(&j->lock);
  f = freed_before(j, block);
  if(f == 0 || f->block + f->n <= block) { // the one behind it may begin in the range
    after = f ? rb_next(&f->node) : rb_first(&j->freed);
    f = after ? freed_of(after) : 0;
  }
  hit = f && f->block < block + n;
  if(hit)
    *next = f->block + f->n;
  spin_release(&j->lock);
  return hit;
}

// ---- the end of a transaction ----

void
txn_on_commit(struct handle *h, struct txn_hook *k)
{
  spin_acquire(&h->j->lock);
  list_add_tail(&h->txn->hooks, &k->link);
  spin_release(&h->j->lock);
}

// The first of t's freed runs, out of everything; 0.
static struct freed *
freed_take(struct journal *j, struct txn *t)
{
  struct freed *f = 0;

  spin_acquire(&j->lock);
  if(!list_empty(&t->freed)) {
    f = list_entry(t->freed.next, struct freed, link);
    list_del(&f->link);
    rb_remove(&j->freed, &f->node);
  }
  spin_release(&j->lock);
  return f;
}

void
txn_settle(struct journal *j, struct txn *t, bool committed)
{
  struct freed *f;

  while((f = freed_take(j, t)) != 0)
    kmem_free(freed_cache, f);
  revoke_clear(&t->revokes);
  while(!list_empty(&t->hooks)) { // nobody adds to it any more
    struct txn_hook *k = list_entry(t->hooks.next, struct txn_hook, link);

    list_del(&k->link);
    k->fn(k, committed);
  }
}

void
txn_free(struct txn *t)
{
  assert(list_empty(&t->bufs) && list_empty(&t->ordered) && list_empty(&t->hooks) && list_empty(&t->freed));
  assert(list_empty(&t->home));
  kmem_free(txn_cache, t);
}
