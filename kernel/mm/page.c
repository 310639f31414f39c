// page.c -- the state of one frame: references, flags, the BUSY bit, contents. A frame is free, anonymous (obj is 0
// or swap's, reached from slots), cached (obj is the object that caches it) or wired (the kernel's own).
//
// BUSY covers everything that moves a page: a fill, a flush, a replacement, leaving the cache. It passes between
// threads and interrupts (a finished read clears it), so the rank checker does not follow it; who waits for it holds
// no address space (I6) and no other BUSY page.
//
// Typical: page_get / page_busy_wait / look again that page->obj is still the one / ... / page_busy_clear /
// page_put.
// Knows nothing of where a page is mapped.
#include "core/print.h"
#include "lib/atomic.h"
#include "mm/mm.h"

uintptr_t direct_map;
struct page *page_array;
uint64_t page_count;
struct page *zero_page;

enum { UNROLL = 8 }; // words moved in one round of a loop

struct page *
page_get(struct page *pg)
{
  atomic_add(&pg->ref, 1);
  return pg;
}

void
page_put(struct page *pg)
{
  int left = atomic_sub(&pg->ref, 1);

  if(left > 0)
    return;
  if(left < 0)
    panic("page %p: reference %d put that was never taken", pg, left);
  frame_free(pg);
}

paddr_t
page_pa(const struct page *pg)
{
  return (paddr_t)(pg - page_array) << PAGE_SHIFT;
}

struct page *
page_of_pa(paddr_t pa)
{
  return page_array + (pa >> PAGE_SHIFT);
}

void *
kva_of_pa(paddr_t pa)
{
  return (void *)(direct_map + pa);
}

paddr_t
pa_of_kva(const void *kva)
{
  return (uintptr_t)kva - direct_map;
}

void *
page_va(const struct page *pg)
{
  return kva_of_pa(page_pa(pg));
}

struct page *
page_of_va(const void *kva)
{
  return page_of_pa(pa_of_kva(kva));
}

void
page_zero(struct page *pg)
{
  uint64_t *to = page_va(pg), *end = to + PAGE_SIZE / sizeof(*to);

  for(; to < end; to += UNROLL) {
#pragma GCC unroll 8
    for(int i = 0; i < UNROLL; i++)
      to[i] = 0;
  }
}

void
page_copy(struct page *to_page, const struct page *from_page)
{
  uint64_t *to = page_va(to_page), *end = to + PAGE_SIZE / sizeof(*to);
  const uint64_t *from = page_va(from_page);

  for(; to < end; to += UNROLL, from += UNROLL) {
#pragma GCC unroll 8
    for(int i = 0; i < UNROLL; i++)
      to[i] = from[i];
  }
}

void
page_set(struct page *pg, unsigned flags)
{
  atomic_or(&pg->flags, flags);
}

void
page_clear(struct page *pg, unsigned flags)
{
  atomic_and(&pg->flags, ~flags);
}

void
page_touch(struct page *pg)
{
  if(page_test(pg, PAGE_FRESH))
    page_clear(pg, PAGE_FRESH);
  else if(!page_test(pg, PAGE_USED))
    page_set(pg, PAGE_USED);
}

bool
page_busy_try(struct page *pg)
{
  return bitlock_try(&pg->flags, PAGE_BUSY_BIT, 0);
}

void
page_busy_wait(struct page *pg)
{
  assert_not_held_rank(RANK_ASPACE);
  bitlock_acquire(&pg->flags, PAGE_BUSY_BIT, 0);
}

void
page_busy_clear(struct page *pg)
{
  bitlock_release(&pg->flags, PAGE_BUSY_BIT, 0);
}

int
page_busy_gone(struct page *pg)
{
  assert_not_held_rank(RANK_ASPACE);
  return bitlock_wait(&pg->flags, PAGE_BUSY_BIT);
}

void
page_filled(struct page *pg, int err)
{
  if(!page_test(pg, PAGE_BUSY))
    panic("page %p (%p,%lu): a fill ended that was not BUSY", pg, pg->obj, pg->idx);
  page_set(pg, err ? PAGE_ERROR : PAGE_UPTODATE);
  page_busy_clear(pg);
}

void
mm_init(void)
{
  kmem_init();
  spare_setup();
  shm_setup();
  aspace_setup();
  zero_page = frame_try(0);
  if(zero_page == 0)
    panic("no memory at start: %lu frames of %lu are free", frames_free(), frames_total());
  page_zero(zero_page);
  page_set(zero_page, PAGE_UPTODATE);
}
