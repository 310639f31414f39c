// filelock.c -- see filelock.h. The locks of all files stand in one hash table under one spin lock; they hold no
// reference to the file, because whoever owns one has it open.
#include "fs/filelock.h"
#include "core/wait.h"
#include "lib/atomic.h"
#include "lib/hash.h"
#include "mm/mm.h"

enum { CHAINS = 128, SPARE_LOCKS = 2, DEADLOCK_DEPTH = 64 };

struct filelock {
  struct list link;         // (L) on the file's chain, or on a list of those to be freed
  const struct inode *ip;   // (c)
  struct filelock_range at; // (L)
};
struct lock_waiter {          // on the stack of who waits for a record
  struct list link;           // (L)
  const void *owner, *holder; // (L)
};

// (L) is this lock.
static struct spinlock lock = SPINLOCK_INIT("filelocks", RANK_ICACHE);
static struct list chain[CHAINS];                // (L) lists of struct filelock; a chain is made on first use
static struct list waiters = LIST_INIT(waiters); // (L)
static struct waitq freed = {SPINLOCK_INIT("filelock_wait", RANK_WAITQ), LIST_INIT(freed.waiters)}; // somewhere
static uint64_t count; // (a) locks there are

static struct list *
chain_of(const struct inode *ip) REQUIRES(lock)
{
  struct list *l = &chain[hash_u64((uint64_t)ip) % CHAINS];

  if(l->next == 0)
    list_init(l);
  return l;
}

static bool
overlap(const struct filelock_range *a, const struct filelock_range *b)
{
  return a->lo <= b->hi && b->lo <= a->hi;
}

// Do they touch or overlap, so that they could be one?
static bool
adjoin(const struct filelock_range *a, const struct filelock_range *b)
{
  return (a->lo == 0 || b->hi >= a->lo - 1) && (b->lo == 0 || a->hi >= b->lo - 1);
}

static struct filelock *
conflict(const struct inode *ip, const struct filelock_range *rq) REQUIRES(lock)
{
  list_for_each(it, chain_of(ip)) {
    struct filelock *l = list_entry(it, struct filelock, link);

    if(l->ip != ip || l->at.family != rq->family || l->at.owner == rq->owner || !overlap(&l->at, rq))
      continue;
    if(l->at.type == FILELOCK_EXCLUSIVE || rq->type == FILELOCK_EXCLUSIVE)
      return l;
  }
  return 0;
}

// Would `owner` wait for itself if it waited for `holder`?
static bool
deadlock(const void *owner, const void *holder) REQUIRES(lock)
{
  for(int depth = 0; depth < DEADLOCK_DEPTH; depth++) {
    const void *next = 0;

    if(holder == owner)
      return true;
    list_for_each(it, &waiters) {
      struct lock_waiter *w = list_entry(it, struct lock_waiter, link);

      if(w->owner == holder)
        next = w->holder;
    }
    if(next == 0)
      return false;
    holder = next;
  }
  return false;
}

static void
forget(struct filelock *l, struct list *dead) REQUIRES(lock)
{
  list_del(&l->link);
  list_add_tail(dead, &l->link);
  atomic_sub(&count, 1);
}

static void
insert(const struct inode *ip, const struct filelock_range *at, struct list *spare) REQUIRES(lock)
{
  struct filelock *l = list_entry(spare->next, struct filelock, link);

  list_del(&l->link);
  l->ip = ip;
  l->at = *at;
  list_add_tail(chain_of(ip), &l->link);
  atomic_add(&count, 1);
}

// Take [rq->lo, rq->hi] out of l: what is left of it on the right becomes a lock of its own.
static void
carve(struct filelock *l, const struct filelock_range *rq, struct list *spare) REQUIRES(lock)
{
  struct filelock_range right = l->at;

  if(l->at.hi > rq->hi && l->at.lo < rq->lo) {
    right.lo = rq->hi + 1;
    insert(l->ip, &right, spare);
  }
  if(l->at.lo < rq->lo)
    l->at.hi = rq->lo - 1;
  else if(l->at.hi > rq->hi)
    l->at.lo = rq->hi + 1;
  else
    forget(l, spare);
}

// The owner's locks become as rq says; nobody else is in the way. Nodes come from and go to `spare`.
static void
apply(struct inode *ip, const struct filelock_range *rq, struct list *spare) REQUIRES(lock)
{
  struct filelock_range whole = *rq;

  list_for_each_safe(it, chain_of(ip)) {
    struct filelock *l = list_entry(it, struct filelock, link);

    if(l->ip != ip || l->at.family != rq->family || l->at.owner != rq->owner)
      continue;
    if(l->at.type == rq->type && adjoin(&l->at, &whole)) {
      whole.lo = min(whole.lo, l->at.lo);
      whole.hi = max(whole.hi, l->at.hi);
      forget(l, spare);
    } else if(overlap(&l->at, rq)) {
      carve(l, rq, spare);
    }
  }
  if(rq->type != FILELOCK_NONE)
    insert(ip, &whole, spare);
}

// held on return: nothing. 0, -EAGAIN with w->holder set, -EDEADLK.
static int
try_set(struct inode *ip, const struct filelock_range *rq, struct lock_waiter *w, struct list *spare)
{
  struct filelock *other;
  int e = 0;

  spin_acquire(&lock);
  list_del(&w->link);
  other = rq->type == FILELOCK_NONE ? 0 : conflict(ip, rq);
  if(other == 0) {
    apply(ip, rq, spare);
  } else if(rq->family == FILELOCK_RECORD && deadlock(rq->owner, other->at.owner)) {
    e = -EDEADLK;
  } else {
    e = -EAGAIN;
    w->holder = other->at.owner;
    list_add_tail(&waiters, &w->link);
  }
  spin_release(&lock);
  return e;
}

static int
set_waiting(struct inode *ip, const struct filelock_range *rq, struct lock_waiter *lw, struct list *spare)
{
  struct waiter w;
  int e, stop = 0;

  waitq_enter(&freed, &w);
  for(;;) {
    thread_prepare();
    e = try_set(ip, rq, lw, spare);
    if(e != -EAGAIN)
      break;
    stop = waitq_sleep(WAIT_INTERRUPTIBLE, NEVER);
    if(stop)
      break;
  }
  if(!stop)
    thread_unprepare();
  waitq_leave(&w);
  return stop ? stop : e;
}

static void
free_list(struct list *l)
{
  while(!list_empty(l)) {
    struct filelock *it = list_entry(l->next, struct filelock, link);

    list_del(&it->link);
    kfree(it);
  }
}

int
filelock_set(struct inode *ip, const struct filelock_range *rq, bool wait)
{
  struct lock_waiter w = {.owner = rq->owner};
  struct list spare = LIST_INIT(spare);
  int e = 0;

  list_init(&w.link);
  for(int i = 0; i < SPARE_LOCKS && e == 0; i++) {
    struct filelock *l = kzalloc(sizeof(*l));

    if(l)
      list_add_tail(&spare, &l->link);
    else
      e = -ENOMEM;
  }
  if(e == 0)
    e = try_set(ip, rq, &w, &spare);
  if(e == -EAGAIN && wait)
    e = set_waiting(ip, rq, &w, &spare);
  spin_acquire(&lock);
  list_del(&w.link);
  spin_release(&lock);
  free_list(&spare);
  waitq_wake(&freed); // an exclusive lock may have become shared, a longer one shorter
  return e;
}

void
filelock_get(struct inode *ip, struct filelock_range *rq)
{
  struct filelock *other;

  spin_acquire(&lock);
  other = conflict(ip, rq);
  if(other)
    *rq = other->at;
  else
    rq->type = FILELOCK_NONE;
  spin_release(&lock);
}

enum filelock_type
filelock_held(struct inode *ip, const struct filelock_range *rq)
{
  enum filelock_type type = FILELOCK_NONE;

  spin_acquire(&lock);
  list_for_each(it, chain_of(ip)) {
    struct filelock *l = list_entry(it, struct filelock, link);

    if(l->ip == ip && l->at.family == rq->family && l->at.owner == rq->owner)
      type = l->at.type;
  }
  spin_release(&lock);
  return type;
}

void
filelock_drop(const struct inode *ip, const void *owner)
{
  struct list dead = LIST_INIT(dead);
  bool any;

  if(atomic_get(&count) == 0)
    return;
  spin_acquire(&lock);
  list_for_each_safe(it, chain_of(ip)) {
    struct filelock *l = list_entry(it, struct filelock, link);

    if(l->ip == ip && l->at.owner == owner)
      forget(l, &dead);
  }
  any = !list_empty(&dead);
  spin_release(&lock);
  free_list(&dead);
  if(any)
    waitq_wake(&freed);
}
