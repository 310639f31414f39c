// lru.c -- which cached pages were not used for long. Two lists: a page starts cold; found used (PAGE_USED) when its
// turn comes, it goes to the hot list; the hot list gives its oldest back when it outgrows the cold one. So reading
// a huge file once pushes out only its own pages.
//
// Typical: lru_add when a page enters a cache / reclaim asks lru_take / lru_remove when the page leaves the cache.
// Knows nothing of objects: who calls lru_add and lru_remove holds the lock that keeps the page in its cache.
#include "core/print.h"
#include "lib/atomic.h"
#include "mm/mm.h"

enum { HOT_SHARE = 2, LOOK_FACTOR = 4 }; // hot pages for each cold one; pages looked at for each one wanted

static struct spinlock lru_lock = SPINLOCK_INIT("lru", RANK_LRU);
static struct list cold = LIST_INIT(cold), hot = LIST_INIT(hot); // (L) oldest first
static uint64_t ncold, nhot;                                     // (L)

// held: lru_lock
static void
lru_unlink(struct page *pg)
{
  list_del(&pg->lru);
  if(page_test(pg, PAGE_HOT))
    atomic_set_relaxed(&nhot, nhot - 1);
  else
    atomic_set_relaxed(&ncold, ncold - 1);
}

// held: lru_lock; the page is on no list
static void
lru_link(struct page *pg, bool to_hot)
{
  if(to_hot) {
    page_set(pg, PAGE_HOT);
    list_add_tail(&hot, &pg->lru);
    atomic_set_relaxed(&nhot, nhot + 1);
  } else {
    page_clear(pg, PAGE_HOT);
    list_add_tail(&cold, &pg->lru);
    atomic_set_relaxed(&ncold, ncold + 1);
  }
}

void
lru_add(struct page *pg)
{
  spin_acquire(&lru_lock);
  if(!page_test(pg, PAGE_ON_LRU)) {
    page_set(pg, PAGE_ON_LRU);
    lru_link(pg, false);
  }
  spin_release(&lru_lock);
}

void
lru_remove(struct page *pg)
{
  spin_acquire(&lru_lock);
  if(page_test(pg, PAGE_ON_LRU)) {
    lru_unlink(pg);
    page_clear(pg, PAGE_ON_LRU | PAGE_HOT);
  }
  spin_release(&lru_lock);
}

// held: lru_lock. The oldest hot page is cold again, and has the time until its turn comes to be used once more.
static void
lru_cool(void)
{
  struct page *pg = list_entry(hot.next, struct page, lru);

  lru_unlink(pg);
  page_clear(pg, PAGE_USED);
  lru_link(pg, false);
}

int
lru_take(struct page **out, int n)
{
  struct page *pg;
  bool used;
  int got = 0;

  spin_acquire(&lru_lock);
  for(int look = LOOK_FACTOR * n; look > 0 && got < n; look--) {
    if(nhot > HOT_SHARE * ncold)
      lru_cool();
    if(list_empty(&cold))
      break;
    pg = list_entry(cold.next, struct page, lru);
    if(got > 0 && pg == out[0]) { // once round: what is cold was not enough
      if(list_empty(&hot))
        break;
      lru_cool();
      pg = list_entry(cold.prev, struct page, lru);
    }
    used = page_test(pg, PAGE_USED);
    lru_unlink(pg);
    page_clear(pg, PAGE_USED);
    lru_link(pg, used);
    if(!used)
      out[got++] = page_get(pg); // the cache's reference is there as long as the page is listed
  }
  spin_release(&lru_lock);
  return got;
}

uint64_t
lru_pages(void)
{
  return atomic_get_relaxed(&ncold) + atomic_get_relaxed(&nhot);
}
