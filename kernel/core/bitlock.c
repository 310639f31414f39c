// bitlock.c -- one bit of a word as a lock that sleeps; pages and buffers have too many locks to give each a queue.
//
// Waiters of all bits share a table of queues, chosen by the word's address. A release that finds nobody in its bucket is
// one atomic instruction and one load. No wake-up is lost: the waiter counts itself, then looks at the bit; the release
// clears the bit, then looks at the count; both are ordered.
// Typical: bitlock_acquire(&pg->flags, PAGE_BUSY_BIT, 0) / start a read; its interrupt: bitlock_release(...).
#include "core/print.h"
#include "core/wait.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/hash.h"

enum { BUCKET_BITS = 7, BUCKETS = 1 << BUCKET_BITS };

struct bit_waiter {
  struct waiter w;
  const unsigned *word; // (c)
  unsigned bit;         // (c)
  bool takes;           // (c) wants the bit, does not only wait until it is clear
};

static struct bucket {
  struct spinlock lock;
  int waiting;         // (a) waiters, for a look without the lock
  struct list waiters; // (lock) next 0: not used yet
} bucket[BUCKETS] = {[0 ... BUCKETS - 1] = {.lock = SPINLOCK_INIT("bitlock", RANK_WAITQ)}};

static struct bucket *
bucket_of(const unsigned *word)
{
  return &bucket[hash_u64((uintptr_t)word) >> (64 - BUCKET_BITS)];
}

static void
enqueue(struct bucket *b, struct bit_waiter *w)
{
  w->w.thread = thread_self();
  spin_acquire(&b->lock);
  if(b->waiters.next == 0)
    list_init(&b->waiters);
  list_add_tail(&b->waiters, &w->w.link);
  atomic_add(&b->waiting, 1);
  spin_release(&b->lock);
}

static void
dequeue(struct bucket *b, struct bit_waiter *w)
{
  spin_acquire(&b->lock);
  list_del(&w->w.link);
  atomic_sub(&b->waiting, 1);
  spin_release(&b->lock);
}

// Take the bit, or for one who only waits: is it clear?
static bool
have(unsigned *word, unsigned bit, bool takes)
{
  unsigned mask = 1u << bit;

  return takes ? !(atomic_or(word, mask) & mask) : !(atomic_get(word) & mask);
}

static int
wait_for(unsigned *word, unsigned bit, bool takes, enum wait_mode mode)
{
  struct bit_waiter w = {.word = word, .bit = bit, .takes = takes};
  struct bucket *b = bucket_of(word);
  int r = 0;

  enqueue(b, &w);
  for(;;) {
    thread_prepare();
    if(have(word, bit, takes)) {
      thread_unprepare();
      break;
    }
    if((r = waitq_sleep(mode, NEVER)) != 0)
      break;
  }
  dequeue(b, &w);
  return r;
}

void
bitlock_acquire(unsigned *word, unsigned bit, int rank)
{
  assert_may_sleep();
  if(rank)
    rank_acquire(word, "bit", rank, RANK_STRICT);
  if(!have(word, bit, true))
    wait_for(word, bit, true, WAIT_ALWAYS);
}

bool
bitlock_try(unsigned *word, unsigned bit, int rank)
{
  if(!have(word, bit, true))
    return false;
  if(rank)
    rank_acquire(word, "bit", rank, RANK_TRIED);
  return true;
}

int
bitlock_wait(unsigned *word, unsigned bit)
{
  assert_may_sleep();
  return have(word, bit, false) ? 0 : wait_for(word, bit, false, WAIT_KILLABLE);
}

// Wake all who only wait, and the first who will take the bit; the others would find it taken.
void
bitlock_release(unsigned *word, unsigned bit, int rank)
{
  struct bucket *b = bucket_of(word);
  bool taker = false;

  if(rank)
    rank_release(word);
  if(!(atomic_and(word, ~(1u << bit)) & 1u << bit))
    panic("lock bit %u of %p is released but not held", bit, word);
  if(atomic_get(&b->waiting) == 0)
    return;
  spin_acquire(&b->lock);
  list_for_each(it, &b->waiters) {
    struct bit_waiter *w = container_of(it, struct bit_waiter, w.link);

    if(w->word != word || w->bit != bit || (w->takes && taker))
      continue;
    taker |= w->takes;
    thread_wake(w->w.thread);
  }
  spin_release(&b->lock);
}
