// bcache.c -- metadata blocks of a disk: a hash of (device, block), and an LRU of those that nobody uses.
// Whoever finds a block missing enters it BUSY, reads it with no lock held, and wakes the others. A block whose read
// failed leaves the hash at once, so that the next caller tries again. A block that the journal has a hand in is never
// dropped, because the journal holds a reference.
// Knows nothing of what a block holds, nor what the journal keeps in it.
#include "fs/bcache.h"
#include "core/print.h"
#include "core/thread.h"
#include "lib/atomic.h"
#include "lib/hash.h"
#include "lib/string.h"

enum { BUCKETS = 1024 };

static struct spinlock bcache_lock = SPINLOCK_INIT("bcache", RANK_BCACHE);
static struct list buckets[BUCKETS];     // bcache_lock
static struct list lru = LIST_INIT(lru); // bcache_lock; first is used longest ago
static uint64_t npages;                  // (a)
static struct kmem_cache *buf_cache;

void
bcache_init(void)
{
  buf_cache = KMEM_CACHE(struct buf);
  for(int i = 0; i < BUCKETS; i++)
    list_init(&buckets[i]);
  reclaim_register(bcache_shrink);
}

static struct list *
bucket_of(struct blkdev *dev, uint64_t block)
{
  return &buckets[hash_u64((uintptr_t)dev ^ block) % BUCKETS];
}

// The cached block, one reference more; 0 if there is none.
static struct buf *
buf_find(struct blkdev *dev, uint64_t block) REQUIRES(bcache_lock)
{
  struct list *bucket = bucket_of(dev, block);

  list_for_each(it, bucket) {
    struct buf *b = list_entry(it, struct buf, hash);

    if(b->dev == dev && b->block == block) {
      if(b->ref++ == 0)
        list_del(&b->lru);
      return b;
    }
  }
  return 0;
}

static void
buf_free(struct buf *b)
{
  assert(b->txn[0] == 0 && b->txn[1] == 0 && b->home == 0 && b->frozen == 0);
  page_put(b->page);
  kmem_free(buf_cache, b);
  atomic_sub(&npages, 1);
}

// A new BUSY block, not yet in the hash. Waits for memory; a caller who must not wait any longer (killed, or nothing is
// to be had) takes the frame from the reserve, as the page that it fills may be what others wait for.
static int
buf_alloc(struct blkdev *dev, uint64_t block, struct buf **out)
{
  struct buf *b;
  int err = 0;

  while((b = kmem_alloc(buf_cache)) == 0)
    if((err = frame_wait()) != 0)
      return err;
  while((b->page = err ? frame_try_reserve(0) : frame_try(0)) == 0) {
    if(err) {
      kmem_free(buf_cache, b);
      return err;
    }
    err = frame_wait();
  }
  b->dev = dev;
  b->block = block;
  b->ref = 1;
  b->flags = BUF_BUSY;
  b->data = page_va(b->page);
  list_init(&b->hash);
  list_init(&b->lru);
  list_init(&b->in_txn[0]);
  list_init(&b->in_txn[1]);
  list_init(&b->on_home);
  atomic_add(&npages, 1);
  *out = b;
  return 0;
}

// Enter `fresh`, unless another thread entered the block meanwhile: whichever stands, referenced.
static struct buf *
buf_enter(struct buf *fresh)
{
  struct buf *b;

  spin_acquire(&bcache_lock);
  b = buf_find(fresh->dev, fresh->block);
  if(b == 0) {
    list_add(bucket_of(fresh->dev, fresh->block), &fresh->hash);
    b = fresh;
  }
  spin_release(&bcache_lock);
  if(b != fresh)
    buf_free(fresh);
  return b;
}

// The reader's part: read a BUSY block and let the others have it, or leave the hash.
static int
buf_fill(struct buf *b)
{
  int err = blk_io(b->dev, BLK_READ, b->block * (PAGE_SIZE / BLK_SECTOR), b->data, PAGE_SIZE);

  if(err == 0)
    atomic_or(&b->flags, BUF_VALID);
  else {
    spin_acquire(&bcache_lock);
    list_del(&b->hash);
    spin_release(&bcache_lock);
  }
  bitlock_release(&b->flags, BUF_BUSY_BIT, 0);
  return err;
}

// Not cut short by a signal, since reads and writes are sure to end.
void
buf_settle(struct buf *b)
{
  if(atomic_get(&b->flags) & BUF_BUSY) {
    bitlock_acquire(&b->flags, BUF_BUSY_BIT, 0);
    bitlock_release(&b->flags, BUF_BUSY_BIT, 0);
  }
}

// Another thread may be reading the block: wait until it has.
static int
buf_await(struct buf *b)
{
  if(!(atomic_get(&b->flags) & BUF_VALID))
    buf_settle(b);
  return atomic_get(&b->flags) & BUF_VALID ? 0 : -EIO;
}

// Block `block` of dev, referenced, and *fresh: it is new, BUSY, and the caller's to fill.
static int
buf_find_or_enter(struct blkdev *dev, uint64_t block, struct buf **out, bool *fresh)
{
  struct buf *b, *mine;
  int err;

  assert_may_sleep();
  *fresh = false;
  spin_acquire(&bcache_lock);
  b = buf_find(dev, block);
  spin_release(&bcache_lock);
  if(b == 0) {
    if((err = buf_alloc(dev, block, &mine)) != 0)
      return err;
    b = buf_enter(mine);
    *fresh = b == mine;
  }
  *out = b;
  return 0;
}

int
buf_get(struct blkdev *dev, uint64_t block, struct buf **out)
{
  struct buf *b;
  bool fresh;
  int err = buf_find_or_enter(dev, block, &b, &fresh);

  if(err)
    return err;
  err = fresh ? buf_fill(b) : buf_await(b);
  if(err) {
    buf_put(b);
    return err;
  }
  *out = b;
  return 0;
}

int
buf_get_new(struct blkdev *dev, uint64_t block, struct buf **out)
{
  struct buf *b;
  bool fresh;
  int err;

  while((err = buf_find_or_enter(dev, block, &b, &fresh)) == 0) {
    if(fresh) {
      memset(b->data, 0, PAGE_SIZE);
      atomic_or(&b->flags, BUF_VALID);
      bitlock_release(&b->flags, BUF_BUSY_BIT, 0);
    }
    *out = b;
    if(fresh || buf_await(b) == 0)
      return 0;
    buf_put(b); // another's read of it failed: it has left the hash
  }
  return err;
}

struct buf *
buf_get_cached(struct blkdev *dev, uint64_t block)
{
  struct buf *b;

  spin_acquire(&bcache_lock);
  b = buf_find(dev, block);
  spin_release(&bcache_lock);
  if(b && !(atomic_get(&b->flags) & BUF_VALID)) {
    buf_put(b);
    b = 0;
  }
  return b;
}

struct buf *
buf_hold(struct buf *b)
{
  spin_acquire(&bcache_lock);
  assert(b->ref > 0);
  b->ref++;
  spin_release(&bcache_lock);
  return b;
}

int
buf_write(struct buf *b)
{
  int err;

  if(b->txn[0] || b->txn[1] || b->home)
    panic("block %lu is written past the journal", b->block);
  bitlock_acquire(&b->flags, BUF_BUSY_BIT, 0);
  err = blk_io(b->dev, BLK_WRITE, b->block * (PAGE_SIZE / BLK_SECTOR), b->data, PAGE_SIZE);
  bitlock_release(&b->flags, BUF_BUSY_BIT, 0);
  return err;
}

void
buf_put(struct buf *b)
{
  bool drop = false;

  spin_acquire(&bcache_lock);
  assert(b->ref > 0);
  if(--b->ref == 0) {
    drop = list_empty(&b->hash);
    if(!drop)
      list_add_tail(&lru, &b->lru);
  }
  spin_release(&bcache_lock);
  if(drop)
    buf_free(b);
}

// The unreferenced block of dev (0: any) that was used longest ago, out of every list; 0 if there is none.
static struct buf *
buf_take(struct blkdev *dev)
{
  struct buf *b = 0;

  spin_acquire(&bcache_lock);
  list_for_each(it, &lru) {
    b = list_entry(it, struct buf, lru);
    if(dev == 0 || b->dev == dev)
      break;
    b = 0;
  }
  if(b) {
    list_del(&b->lru);
    list_del(&b->hash);
  }
  spin_release(&bcache_lock);
  return b;
}

uint64_t
bcache_shrink(uint64_t n)
{
  struct buf *b;
  uint64_t done;

  for(done = 0; done < n && (b = buf_take(0)) != 0; done++)
    buf_free(b);
  return done;
}

void
bcache_forget(struct blkdev *dev)
{
  struct buf *b;

  while((b = buf_take(dev)) != 0) {
    buf_free(b);
    thread_relax();
  }
}

uint64_t
bcache_pages(void)
{
  return atomic_get_relaxed(&npages);
}
