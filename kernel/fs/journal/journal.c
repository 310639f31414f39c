// journal.c -- one journal from mount to unmount: its superblock, its thread, who waits for it, and its end.
// The thread commits when asked, when a transaction is 5 seconds old, and brings blocks home when the log is half full.
// Typical: journal_open / journal_replay / journal_start / handles / journal_close.
// Must not know what is in a transaction.
#include "core/kthread.h"
#include "core/trace.h"
#include "core/wait.h"
#include "fs/journal/journal_impl.h"
#include "lib/atomic.h"
#include "lib/string.h"

enum {
  RING_MIN = 32, // log blocks; mke2fs makes 1023 at least
  TXN_SHARE = 4, // a transaction may take one in so many of them
  AGE_MAX = 5,   // seconds that a change may stay in memory
  MAP_MAX = 1 << 18,
};

// Whoever waits for a thread to end sleeps here: the thread still wakes when the journal is gone.
static struct waitq thread_waiters = {SPINLOCK_INIT("journal", RANK_WAITQ), LIST_INIT(thread_waiters.waiters)};

static struct spinlock journals_lock = SPINLOCK_INIT("journals", RANK_JOURNAL);
static struct list journals = LIST_INIT(journals); // (journals_lock) those with a thread

// ---- opening ----

static const char *
super_fault(const struct journal *j, const struct jbd_super *s, uint32_t nmap)
{
  uint32_t maxlen = be32(s->maxlen), first = be32(s->first), start = be32(s->start);

  if(be32(s->header.magic) != JBD_MAGIC)
    return "has no journal superblock";
  if(be32(s->header.type) != JBD_SUPER_V2)
    return "has a journal of an old version";
  if(be32(s->blocksize) != JBD_BLOCK)
    return "has a journal with blocks that are not 4096 bytes";
  if(be32(s->incompat) & ~JBD_HAS_REVOKES || s->ro_compat)
    return "has a journal with features that this kernel does not know";
  if(maxlen > nmap || first == 0 || first >= maxlen || maxlen - first < RING_MIN)
    return "has a journal of an impossible size";
  if(start != 0 && (start < first || start >= maxlen))
    return "has a journal that begins outside itself";
  for(uint32_t i = 0; i < maxlen; i++)
    if(j->map[i] == 0 || j->map[i] >= j->fs_blocks)
      return "has a journal with blocks outside the file system";
  return 0;
}

static void
journal_free(struct journal *j)
{
  if(j->super_page)
    page_put(j->super_page);
  if(j->scratch)
    page_put(j->scratch);
  if(j->escape)
    page_put(j->escape);
  kfree(j->map);
  kfree(j);
}

static struct journal *
journal_alloc(struct blkdev *dev, uint32_t *map, uint64_t fs_blocks)
{
  struct journal *j = kzalloc(sizeof(*j));

  if(j == 0) {
    kfree(map);
    return 0;
  }
  j->dev = dev;
  j->map = map;
  j->fs_blocks = fs_blocks;
  j->super_page = frame_try(0);
  j->scratch = frame_try(0);
  j->escape = frame_try(0);
  sleep_init(&j->work, "journal.work", RANK_COMMIT);
  spin_init(&j->lock, "journal", RANK_JOURNAL);
  waitq_init(&j->wakeup);
  waitq_init(&j->changed);
  list_init(&j->committed);
  logio_init(&j->io, dev);
  if(j->super_page && j->scratch && j->escape)
    return j;
  journal_free(j);
  return 0;
}

int
journal_open(struct blkdev *dev, uint32_t *map, uint32_t nmap, uint64_t fs_blocks, struct journal **out,
             const char **why)
{
  struct journal *j;
  struct jbd_super *s;
  int err;

  txn_init();
  revoke_init();
  *why = "has a journal of an impossible size";
  if(nmap == 0 || nmap > MAP_MAX || map[0] == 0 || map[0] >= fs_blocks) {
    kfree(map);
    return -EINVAL;
  }
  if((j = journal_alloc(dev, map, fs_blocks)) == 0)
    return -ENOMEM;
  s = journal_super(j);
  *why = "has a journal that cannot be read";
  err = blk_io(dev, BLK_READ, journal_sector(j, 0), s, JBD_BLOCK);
  if(err == 0 && (*why = super_fault(j, s, nmap)) != 0)
    err = -EINVAL;
  if(err) {
    journal_free(j);
    return err;
  }
  j->first = be32(s->first);
  j->maxlen = be32(s->maxlen);
  j->room = j->maxlen - j->first;
  j->max_txn = j->room / TXN_SHARE;
  *out = j;
  return 0;
}

bool
journal_dirty(const struct journal *j)
{
  return journal_super(j)->start != 0;
}

int
journal_saved_error(const struct journal *j)
{
  int32_t e = be32(journal_super(j)->error);

  return e > 0 ? -e : e;
}

int
journal_replay(struct journal *j)
{
  int err = replay_run(j);

  bcache_forget(j->dev);
  return err;
}

uint32_t
journal_max_credits(const struct journal *j)
{
  struct txn empty = {0};
  int n = j->max_txn;

  while(n > 0 && txn_cost(&empty, n) > j->max_txn)
    n--;
  return n;
}

// ---- the disk ----

int
journal_flush(struct journal *j)
{
  int err = blk_io(j->dev, BLK_FLUSH, 0, 0, 0);

  if(err)
    journal_abort(j, err);
  return err;
}

int
journal_write_super(struct journal *j)
{
  int err;

  assert_held(&j->work);
  err = blk_io(j->dev, BLK_WRITE, journal_sector(j, 0), journal_super(j), JBD_BLOCK);
  if(err) {
    journal_abort(j, err);
    return err;
  }
  return journal_flush(j);
}

// ---- the end of all writing ----

void
journal_abort(struct journal *j, int err)
{
  int none = 0;

  if(!atomic_cas(&j->err, &none, err))
    return;
  trace(JOURNAL_ABORT, j, err, 0);
  journal_poke(j);
  waitq_wake(&j->changed);
}

int
journal_error(const struct journal *j)
{
  return atomic_get(&j->err);
}

// Leave a note in the superblock, if the disk still takes one, and let go of what will never commit.
static void
abort_finish(struct journal *j) REQUIRES(j->work)
{
  struct txn *t = 0;

  if(!j->err_written) {
    j->err_written = true;
    journal_super(j)->error = be32(j->err);
    journal_write_super(j);
  }
  spin_acquire(&j->lock);
  if(j->running && j->running->handles == 0) {
    t = j->running;
    j->running = 0;
    j->committing = t; // for ordered_wait and ordered_forget
  }
  spin_release(&j->lock);
  if(t)
    commit_discard(j, t);
}

// ---- the thread's work ----

static bool
room_is_short(struct journal *j)
{
  bool is_short;

  spin_acquire(&j->lock);
  is_short = j->want_room > j->room;
  spin_release(&j->lock);
  return is_short;
}

static bool
commit_is_due(struct journal *j)
{
  struct txn *t;
  bool due;

  spin_acquire(&j->lock);
  t = j->running;
  due = t && (t->wanted || clock_now() >= t->started + AGE_MAX * NSEC);
  spin_release(&j->lock);
  return due;
}

// Somebody waits for more room than there is: bring blocks home. What the running transaction has changed again cannot go
// there before it commits.
static void
make_room(struct journal *j) REQUIRES(j->work)
{
  checkpoint_run(j);
  if(room_is_short(j)) {
    commit_run(j);
    checkpoint_run(j);
  }
  spin_acquire(&j->lock);
  j->want_room = 0; // who still waits says so again
  spin_release(&j->lock);
  waitq_wake(&j->changed);
}

// Do what there is to do.
static void
journal_step(struct journal *j)
{
  sleep_acquire(&j->work);
  if(atomic_get(&j->err) == 0 && commit_is_due(j))
    commit_run(j);
  if(atomic_get(&j->err) == 0 && room_is_short(j))
    make_room(j);
  else if(atomic_get(&j->err) == 0 && (atomic_swap(&j->squeezed, false) || j->room < j->max_txn * TXN_SHARE / 2))
    checkpoint_run(j);
  if(atomic_get(&j->err))
    abort_finish(j);
  sleep_release(&j->work);
}

// When the running transaction is too old.
static uint64_t
next_deadline(struct journal *j)
{
  uint64_t when;

  spin_acquire(&j->lock);
  when = j->running && atomic_get(&j->err) == 0 ? j->running->started + AGE_MAX * NSEC : NEVER;
  spin_release(&j->lock);
  return when;
}

static void
journal_main(void *arg)
{
  struct journal *j = arg;

  frame_reserve_begin(); // what has committed can be made free
  while(!atomic_get(&j->stop)) {
    wait_event(&j->wakeup, atomic_swap(&j->poked, false), WAIT_ALWAYS, next_deadline(j));
    journal_step(j);
  }
  atomic_set(&j->gone, true); // from here on j may be gone
  waitq_wake(&thread_waiters);
}

void
journal_poke(struct journal *j)
{
  if(j->threaded && !atomic_swap(&j->poked, true))
    waitq_wake(&j->wakeup);
}

void
journal_await(struct journal *j, bool (*ready)(struct journal *, void *), void *arg)
{
  assert_may_sleep();
  if(j->threaded)
    wait_event(&j->changed, ready(j, arg), WAIT_ALWAYS, NEVER);
  else
    while(!ready(j, arg))
      journal_step(j);
}

// For reclaim: blocks that have committed stay in memory until they are at home. Have them brought there; what that makes
// free is found by the next look at the buffer cache.
static uint64_t
journal_shrink(uint64_t unused)
{
  spin_acquire(&journals_lock);
  list_for_each(it, &journals) {
    struct journal *j = list_entry(it, struct journal, all);

    if(!atomic_swap(&j->squeezed, true))
      journal_poke(j);
  }
  spin_release(&journals_lock);
  return 0;
}

static void
journals_add(struct journal *j)
{
  static bool registered; // (a)

  spin_acquire(&journals_lock);
  list_add_tail(&journals, &j->all);
  spin_release(&journals_lock);
  if(!atomic_swap(&registered, true))
    reclaim_register(journal_shrink);
}

static void
journals_remove(struct journal *j)
{
  spin_acquire(&journals_lock);
  list_del(&j->all);
  spin_release(&journals_lock);
}

void *
journal_must(void *(*alloc)(void))
{
  void *p;

  frame_reserve_begin(); // who waits with a handle keeps the transaction from committing
  while((p = alloc()) == 0)
    if(frame_wait() != 0)
      thread_yield(); // killed, or told that there is none: it is needed all the same
  frame_reserve_end();
  return p;
}

// ---- from the start to the end ----

int
journal_start(struct journal *j, bool thread)
{
  struct jbd_super *s = journal_super(j);
  int err = 0;

  if(s->start != 0)
    return -EINVAL;
  j->next_tid = be32(s->sequence);
  j->head = j->first;
  if(s->error) {
    s->error = 0;
    sleep_acquire(&j->work);
    err = journal_write_super(j);
    sleep_release(&j->work);
  }
  if(err == 0 && thread) {
    j->threaded = true;
    if((err = kthread_start("journal", journal_main, j)) != 0)
      j->threaded = false;
    else
      journals_add(j);
  }
  j->started = err == 0;
  return err;
}

static void
close_started(struct journal *j) REQUIRES(j->work)
{
  if(atomic_get(&j->err) == 0)
    commit_run(j);
  if(atomic_get(&j->err) == 0)
    checkpoint_run(j);
  if(atomic_get(&j->err))
    abort_finish(j);
  checkpoint_discard(j);
}

int
journal_close(struct journal *j)
{
  int err;

  if(j->threaded) {
    journals_remove(j);
    atomic_set(&j->stop, true);
    journal_poke(j);
    wait_event(&thread_waiters, atomic_get(&j->gone), WAIT_ALWAYS, NEVER);
  }
  if(j->started) {
    sleep_acquire(&j->work);
    close_started(j);
    sleep_release(&j->work);
  }
  err = atomic_get(&j->err);
  journal_free(j);
  return err;
}

// ---- durable ----

enum sync_state { SYNC_OVER, SYNC_RUNNING, SYNC_COMMITTING };
static enum sync_state
sync_state(struct journal *j, uint32_t tid) REQUIRES(j->lock)
{
  if(j->running && j->running->tid == tid)
    return SYNC_RUNNING;
  return j->committing && j->committing->tid == tid ? SYNC_COMMITTING : SYNC_OVER;
}

bool
journal_committed(struct journal *j, uint32_t tid)
{
  bool over;

  spin_acquire(&j->lock);
  over = sync_state(j, tid) == SYNC_OVER;
  spin_release(&j->lock);
  return over;
}

static bool
sync_ready(struct journal *j, void *arg)
{
  uint32_t tid = *(uint32_t *)arg;
  enum sync_state state;

  spin_acquire(&j->lock);
  state = sync_state(j, tid);
  if(state == SYNC_RUNNING)
    j->running->wanted = true;
  spin_release(&j->lock);
  if(state == SYNC_RUNNING)
    journal_poke(j);
  return state == SYNC_OVER || atomic_get(&j->err) != 0;
}

int
journal_sync(struct journal *j, uint32_t tid)
{
  bool flushed; // will the commit's FLUSH come after what was written before this call?

  assert_not_held_rank(RANK_TXN);
  spin_acquire(&j->lock);
  flushed = sync_state(j, tid) == SYNC_RUNNING;
  spin_release(&j->lock);
  journal_await(j, sync_ready, &tid);
  if(atomic_get(&j->err))
    return -EIO;
  return flushed ? 0 : journal_flush(j);
}

int
journal_force(struct journal *j)
{
  uint32_t tid;

  spin_acquire(&j->lock);
  tid = j->running ? j->running->tid : j->next_tid - 1;
  spin_release(&j->lock);
  return journal_sync(j, tid);
}

void
journal_kick(struct journal *j, uint32_t tid)
{
  spin_acquire(&j->lock);
  if(sync_state(j, tid) == SYNC_RUNNING)
    j->running->wanted = true;
  spin_release(&j->lock);
  journal_poke(j);
}
