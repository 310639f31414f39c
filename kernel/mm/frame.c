// frame.c -- who has which frame: a buddy allocator, with a stock of single frames in front of it for each CPU.
//
// A free block of 2^k frames is aligned to its size and listed under k by its first page; freeing joins it with its
// buddy (the other half of the block twice as large) as long as that is free too. Single frames, which nearly
// everyone wants, come from and go to an array that only its own CPU touches, with interrupts off; it is refilled
// and drained by batches.
//
// Typical: pg = frame_try(0) / page_put(pg);  and where it is 0, holding nothing: frame_wait() and start over.
// Knows nothing of what a frame holds, and frees nothing by itself: reclaim.c and the hook do.
#include "core/cpu.h"
#include "core/print.h"
#include "lib/atomic.h"
#include "lib/string.h"
#include "mm/mm.h"

enum {
  STOCK_MAX = 64,
  STOCK_BATCH = 32,
  STOCK_SHORT = 8,     // while memory is short, what a CPU may keep to itself
  RESERVE_SHARE = 128, // one frame in so many is only for those who make memory free
  RESERVE_MAX = 512,
  LOW_SHARE = 64,      // below one in so many, reclaim is called
  WAIT_RECLAIM = 32,   // frames to reclaim by oneself before waiting
  WAIT_PATIENCE = 3,   // fruitless rounds until a program has to go
  WAIT_OOM_EVERY = 16, // rounds given to a killed program for leaving
  WAIT_ROUNDS = 1000,  // after so many there is no hope
  JUNK_BYTE = 0xa5,
};
#define WAIT_STEP   (4 * MSEC)
#define JUNK_WORD   0xa5a5a5a5a5a5a5a5ull
#define JUNK_FILLED 0x6a756e6b756e6b6aull // page.idx of a free frame that was filled with junk

struct stock { // free frames of one CPU
  int n;
  struct page *page[STOCK_MAX];
} __attribute__((aligned(64)));

static struct spinlock frame_lock = SPINLOCK_INIT("frame", RANK_FRAME);
static struct list blocks[FRAME_ORDERS]; // (F) free blocks by order
static uint64_t nfree;                   // (F) frames in them
static uint64_t total, reserve, low;     // (c) after start
static struct stock stocks[CPU_MAX];     // each: its CPU, interrupts off
static uint64_t fail_in;                 // (a) allocations until one fails, counted down; 0: off
static bool fail_all;                    // and all after it
static bool failing;                     // (a) it has come to that

bool frame_fail_armed;
bool (*frame_oom_hook)(void);
void (*frame_watch)(struct page *pg, int order, bool alloc);

void
frame_init(struct page *array, uint64_t npages)
{
  page_array = array;
  page_count = npages;
  memset(array, 0, npages * sizeof(*array)); // ref 0 and not free: nobody's, until frame_add
  for(int order = 0; order < FRAME_ORDERS; order++)
    list_init(&blocks[order]);
}

// held: frame_lock. Free a block, joining it with its buddies.
static void
block_put(struct page *pg, int order)
{
  uint64_t i = pg - page_array, b;
  struct page *buddy;

  atomic_set_relaxed(&nfree, nfree + (1ull << order));
  for(; order < FRAME_ORDERS - 1; order++) {
    b = i ^ (1ull << order);
    buddy = page_array + b;
    if(b >= page_count || !buddy->free || buddy->order != order)
      break;
    list_del(&buddy->lru);
    buddy->free = false;
    i = min(i, b);
  }
  pg = page_array + i;
  pg->order = order;
  pg->free = true;
  list_add(&blocks[order], &pg->lru);
}

// held: frame_lock. A block of that order, splitting larger ones; 0 if fewer than `keep` frames would be left.
static struct page *
block_take(int order, uint64_t keep)
{
  struct page *pg, *half;
  int o = order;

  if(nfree < keep + (1ull << order))
    return 0;
  while(o < FRAME_ORDERS && list_empty(&blocks[o]))
    o++;
  if(o == FRAME_ORDERS)
    return 0;

  pg = list_entry(blocks[o].next, struct page, lru);
  list_del(&pg->lru);
  pg->free = false;
  atomic_set_relaxed(&nfree, nfree - (1ull << order));
  while(o > order) {
    half = pg + (1ull << --o);
    half->order = o;
    half->free = true;
    list_add(&blocks[o], &half->lru);
  }
  pg->order = order;
  return pg;
}

void
frame_add(paddr_t lo, paddr_t hi)
{
  uint64_t i = page_up(lo) >> PAGE_SHIFT, end = min(hi >> PAGE_SHIFT, page_count);
  int order;

  i = max(i, 1ull); // physical address 0 means "none" in many places: not handed out
  spin_acquire(&frame_lock);
  while(i < end) {
    order = min(__builtin_ctzll(i), FRAME_ORDERS - 1);
    while(i + (1ull << order) > end)
      order--;
    block_put(page_array + i, order);
    total += 1ull << order;
    i += 1ull << order;
  }
  reserve = min(total / RESERVE_SHARE, (uint64_t)RESERVE_MAX);
  low = total / LOW_SHARE;
  spin_release(&frame_lock);
}

#ifdef DEBUG
// A free frame was touched if its junk is gone: somebody still uses it.
static void
debug_check_free(struct page *pg)
{
  const uint64_t *word = page_va(pg);

  if(pg->ref != 0 || pg->free || page_test(pg, PAGE_ON_LRU))
    panic("free page %p is in use: ref %d flags %#x free %d", pg, pg->ref, pg->flags, pg->free);
  if(pg->idx != JUNK_FILLED)
    return;
  for(size_t i = 0; i < PAGE_SIZE / sizeof(*word); i++)
    if(word[i] != JUNK_WORD)
      panic("free page %p (%#lx) was written to at %zu: %#lx", pg, page_pa(pg), i * sizeof(*word), word[i]);
}

static void
debug_alloc(struct page *pg, int order)
{
  if(frame_watch)
    frame_watch(pg, order, true);
  for(uint64_t i = 0; i < 1ull << order; i++) {
    debug_check_free(pg + i);
    pg[i].idx = 0;
  }
}

static void
debug_free(struct page *pg, int order)
{
  for(uint64_t i = 0; i < 1ull << order; i++) {
    memset(page_va(pg + i), JUNK_BYTE, PAGE_SIZE);
    pg[i].idx = JUNK_FILLED;
  }
  if(frame_watch)
    frame_watch(pg, order, false);
}
#else
static void
debug_alloc(struct page *pg, int order)
{
}

static void
debug_free(struct page *pg, int order)
{
}
#endif

// held: interrupts off
static inline void
stock_push(struct stock *s, struct page *pg)
{
  int n = s->n;

  pg->stocked = true;
  s->page[n] = pg;
  atomic_set_relaxed(&s->n, n + 1);
}

// held: interrupts off; there is one
static inline struct page *
stock_pop(struct stock *s)
{
  int n = s->n - 1;
  struct page *pg = s->page[n];

  pg->stocked = false;
  atomic_set_relaxed(&s->n, n);
  return pg;
}

// How many frames must stay for others.
static uint64_t
keep_for_others(void)
{
  return *thread_reserve() > 0 ? 0 : reserve;
}

// held: interrupts off. False if the buddy lists have nothing above the reserve.
static bool
stock_fill(struct stock *s)
{
  struct page *pg;

  spin_acquire(&frame_lock);
  while(s->n < STOCK_BATCH && (pg = block_take(0, reserve)) != 0) {
    stock_push(s, pg);
  }
  spin_release(&frame_lock);
  if(atomic_get_relaxed(&nfree) < low)
    reclaim_kick();
  return s->n > 0;
}

// held: interrupts off. Leave `keep` frames.
static void
stock_drain(struct stock *s, int keep)
{
  spin_acquire(&frame_lock);
  while(s->n > keep)
    block_put(stock_pop(s), 0);
  spin_release(&frame_lock);
}

// held: interrupts off. Memory is short: others need what this CPU keeps, and the reserve is filled before all else.
static void
stock_shrink(struct stock *s)
{
  if(s->n > STOCK_SHORT || atomic_get_relaxed(&nfree) < reserve)
    stock_drain(s, 0);
}

static struct page *
frame_one(void)
{
  struct page *pg = 0;
  struct stock *s;

  irq_off();
  s = &stocks[cpu_self()->id];
  if(likely(s->n > 0) || stock_fill(s))
    pg = stock_pop(s);
  irq_restore();
  if(unlikely(pg == 0) && keep_for_others() == 0) {
    spin_acquire(&frame_lock);
    pg = block_take(0, 0);
    spin_release(&frame_lock);
  }
  return pg;
}

// Blocks of several frames. If none is whole, the frames of this CPU's stock may be what is missing.
static struct page *
frame_block(int order, uint64_t keep)
{
  struct page *pg;

  spin_acquire(&frame_lock);
  pg = block_take(order, keep);
  spin_release(&frame_lock);
  if(pg)
    return pg;
  irq_off();
  stock_drain(&stocks[cpu_self()->id], 0);
  irq_restore();
  spin_acquire(&frame_lock);
  pg = block_take(order, keep);
  spin_release(&frame_lock);
  if(atomic_get_relaxed(&nfree) < low)
    reclaim_kick();
  return pg;
}

static struct page *
frame_ready(struct page *pg, int order)
{
  if(pg == 0)
    return 0;
  debug_alloc(pg, order);
  pg->ref = 1;
  pg->flags = 0;
  pg->obj = 0;
  pg->idx = 0; // kmem and the caches leave theirs behind; a table counts from here
  return pg;
}

bool
frame_fail_hit(void)
{
  uint64_t left = atomic_get(&fail_in);

  if(atomic_get(&failing))
    return true;
  if(left == 0 || atomic_sub(&fail_in, 1) != 0)
    return false;
  atomic_set(&failing, fail_all);
  return true;
}

void
frame_fail_after(uint64_t n, bool all)
{
  atomic_set(&failing, false);
  fail_all = all;
  atomic_set(&fail_in, n);
  atomic_set(&frame_fail_armed, n != 0);
}

bool
frame_fail_came(void)
{
  return atomic_get(&frame_fail_armed) && atomic_get(&fail_in) == 0;
}

struct page *
frame_try(int order)
{
  if(unlikely(atomic_get_relaxed(&frame_fail_armed)) && frame_fail_hit())
    return 0;
  return frame_ready(likely(order == 0) ? frame_one() : frame_block(order, keep_for_others()), order);
}

struct page *
frame_try_reserve(int order)
{
  struct page *pg = frame_try(order);

  return pg ? pg : frame_ready(frame_block(order, 0), order);
}

void
frame_reserve_begin(void)
{
  ++*thread_reserve();
}

void
frame_reserve_end(void)
{
  if(--*thread_reserve() < 0)
    panic("the reserve was given back once too often");
}

void
frame_free(struct page *pg)
{
  int order = pg->order;
  struct stock *s;

  if(unlikely(pg->free || pg->stocked || pg->ref > 1 || pg->flags & PAGE_ON_LRU))
    panic("page %p freed: ref %d flags %#x free %d stocked %d", pg, pg->ref, pg->flags, pg->free, pg->stocked);
  pg->ref = 0;
  debug_free(pg, order);
  if(unlikely(order > 0)) {
    spin_acquire(&frame_lock);
    block_put(pg, order);
    spin_release(&frame_lock);
    return;
  }
  irq_off();
  s = &stocks[cpu_self()->id];
  stock_push(s, pg);
  if(unlikely(s->n == STOCK_MAX))
    stock_drain(s, STOCK_MAX - STOCK_BATCH);
  else if(unlikely(atomic_get_relaxed(&nfree) < low))
    stock_shrink(s);
  irq_restore();
}

uint64_t
frames_total(void)
{
  return total;
}

uint64_t
frames_free(void)
{
  uint64_t n = atomic_get_relaxed(&nfree);

  for(int i = 0; i < CPU_MAX; i++)
    n += atomic_get_relaxed(&stocks[i].n);
  return n;
}

// Would n calls of frame_try succeed now, on this CPU?
static bool
frame_enough(uint64_t n)
{
  uint64_t have = atomic_get_relaxed(&nfree);

  have -= min(have, keep_for_others());
  irq_off();
  have += stocks[cpu_self()->id].n;
  irq_restore();
  return have >= n;
}

// One round for a thread that needs n frames: 0 (go on waiting), -ENOMEM, -EINTR. *idle counts rounds in which nobody made
// anything free or clean: only they, and thrashing, make a program go. While the disk takes pages, memory comes.
static int
wait_round(uint64_t n, int round, int *idle, uint64_t *progress)
{
  uint64_t now = reclaim_progress();

  if(thread_interrupted(WAIT_KILLABLE))
    return -EINTR;
  reclaim_kick();
  if(thrashing() && frame_oom_hook)
    frame_oom_hook(); // if there is nobody to end, a page now and then is better than none
  if(reclaim_now(max(n, (uint64_t)WAIT_RECLAIM)) > 0 && round % WAIT_OOM_EVERY != WAIT_OOM_EVERY - 1)
    return 0;
  *idle = now == *progress ? *idle + 1 : 0;
  *progress = now;
  if(*idle > WAIT_PATIENCE && (*idle - WAIT_PATIENCE - 1) % WAIT_OOM_EVERY == 0)
    if(frame_oom_hook == 0 || !frame_oom_hook())
      return -ENOMEM;
  return time_sleep_until(clock_now() + WAIT_STEP * min(*idle + 1, WAIT_OOM_EVERY), WAIT_KILLABLE);
}

int
frame_wait_many(uint64_t n)
{
  uint64_t progress = reclaim_progress();
  int r = 0, idle = 0;

  assert_may_sleep();
  assert_not_held_rank(RANK_ASPACE);
  assert_not_held_rank(RANK_MAPLOCK);
  if(n + reserve > total)
    return -ENOMEM;
  for(int round = 0; r == 0 && !frame_enough(n); round++) {
    if(round >= WAIT_ROUNDS)
      return -ENOMEM;
    r = wait_round(n, round, &idle, &progress);
  }
  return r == 0 && atomic_get(&failing) ? -ENOMEM : r;
}

int
frame_wait(void)
{
  return frame_wait_many(1);
}
