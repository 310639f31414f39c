// anon.c -- private pages of one address space, by virtual page number.
// Typical: anon_get / page_copy / anon_replace / pmap_enter, all under the stretch's slot lock. A slot word is 0 or the
// page; each slot owns one reference. Of its low bits bit 0 will say "on swap", bit 1 "one word for the whole stretch", and
// bit 2 says "not stored to since somebody asked" (softdirty.c).
// Knows nothing of regions: whether an address may hold a page was decided before.
#include "core/print.h"
#include "lib/atomic.h"
#include "mm/mm.h"

static inline uint64_t
slot_of(vaddr_t va)
{
  return va >> PAGE_SHIFT;
}

static inline struct page *
page_of_word(uintptr_t word)
{
  return (struct page *)(word & ~(uintptr_t)SLOT_BITS);
}

// Change a slot that is filled: that takes no node.
static void
word_set(struct aspace *as, vaddr_t va, uintptr_t word)
{
  struct radix_stock none = {0};

  if(!radix_set(&as->anon, slot_of(va), word, &none))
    panic("slot %#lx is empty", va);
}

struct page *
anon_get(struct aspace *as, vaddr_t va)
{
  assert_held(aspace_slot_lock(as, va));
  return page_of_word(radix_get(&as->anon, slot_of(va)));
}

bool
anon_is_clean(struct aspace *as, vaddr_t va)
{
  assert_held(aspace_slot_lock(as, va));
  return radix_get(&as->anon, slot_of(va)) & SLOT_CLEAN;
}

void
anon_touched(struct aspace *as, vaddr_t va)
{
  uintptr_t word = radix_get(&as->anon, slot_of(va));

  assert_held(aspace_slot_lock(as, va));
  if(word & SLOT_CLEAN)
    word_set(as, va, word & ~(uintptr_t)SLOT_CLEAN);
}

void
anon_mark_clean(struct aspace *as, vaddr_t lo, vaddr_t hi)
{
  assert_held(aspace_slot_lock(as, lo));
  for(; (lo = anon_next(as, lo, hi)) < hi; lo += PAGE_SIZE)
    word_set(as, lo, radix_get(&as->anon, slot_of(lo)) | SLOT_CLEAN);
}

// Nodes that anon_set at va would take now. Without the slot lock, but with as.lock, the answer can only become
// smaller.
int
anon_need(struct aspace *as, vaddr_t va)
{
  return radix_need(&as->anon, slot_of(va));
}

// Is the slot filled, as far as one can see without its lock? A hint.
bool
anon_filled(struct aspace *as, vaddr_t va)
{
  return radix_get(&as->anon, slot_of(va)) != 0;
}

static void
anon_count(struct aspace *as)
{
  uint64_t n = atomic_add(&as->nanon, 1);

  if(n > atomic_get_relaxed(&as->peak_rss)) // a figure for people: two at once may lose one
    __atomic_store_n(&as->peak_rss, n, __ATOMIC_RELAXED);
}

bool
anon_set(struct aspace *as, vaddr_t va, struct page *pg, struct spare *spare)
{
  assert_held(aspace_slot_lock(as, va));
#ifdef DEBUG
  if(radix_get(&as->anon, slot_of(va)))
    panic("slot %#lx is taken", va);
#endif
  if(!radix_set(&as->anon, slot_of(va), (uintptr_t)pg, &spare->nodes))
    return false;
  anon_count(as);
  return true;
}

struct page *
anon_replace(struct aspace *as, vaddr_t va, struct page *pg)
{
  struct page *old = anon_get(as, va);

  if(old == 0)
    panic("slot %#lx is empty", va);
  word_set(as, va, (uintptr_t)pg);
  return old;
}

// The slot's own reference is the only one: no other slot, no pin, no shootdown under way names the page.
bool
anon_exclusive(struct page *pg)
{
  return atomic_get(&pg->ref) == 1 && pg->obj == 0;
}

// The first address in [va, hi) whose slot is not empty, or hi. With as.lock or the slot lock.
vaddr_t
anon_next(struct aspace *as, vaddr_t va, vaddr_t hi)
{
  uint64_t idx = slot_of(va);
  uintptr_t word;

  return radix_next(&as->anon, &idx, slot_of(hi), &word) ? idx << PAGE_SHIFT : hi;
}

vaddr_t
anon_drop(struct aspace *as, vaddr_t lo, vaddr_t hi, struct shootdown *sd)
{
  assert_held(aspace_slot_lock(as, lo));
  for(; (lo = anon_next(as, lo, hi)) < hi; lo += PAGE_SIZE) {
    if(shootdown_full(sd))
      return lo;
    shootdown_defer(sd, anon_take(as, lo));
  }
  return hi;
}

// Empty one slot: its page, and the reference with it; 0 if it was empty.
struct page *
anon_take(struct aspace *as, vaddr_t va)
{
  struct page *pg = page_of_word(radix_clear(&as->anon, slot_of(va)));

  if(pg)
    atomic_sub(&as->nanon, 1);
  return pg;
}

// The child's slots in [lo, hi) name the parent's pages too. Within one leaf; `spare` has nodes for it. Both spaces'
// slot locks are held, the parent's taken first: a truncate that drops copies sees either both or none.
void
anon_share(struct aspace *parent, struct aspace *child, vaddr_t lo, vaddr_t hi, struct spare *spare)
{
  assert_held(aspace_slot_lock(parent, lo));
  for(; (lo = anon_next(parent, lo, hi)) < hi; lo += PAGE_SIZE) {
    if(!anon_set(child, lo, page_get(anon_get(parent, lo)), spare))
      panic("slot %#lx: too few nodes reserved", lo);
    if(anon_is_clean(parent, lo))
      anon_mark_clean(child, lo, lo + PAGE_SIZE);
  }
}

// Make the nodes that a page at va would need, and leave the slot as it is. as.lock for writing.
bool
anon_reserve(struct aspace *as, vaddr_t va, struct spare *spare)
{
  struct spinlock *lock = aspace_slot_lock(as, va);
  bool ok;

  if(anon_need(as, va) == 0)
    return true;
  if(!spare_try(spare, 0, 0, SPARE_NODES))
    return false;
  spin_acquire(lock);
  ok = radix_set(&as->anon, slot_of(va), (uintptr_t)zero_page,
                 &spare->nodes); // nodes come with a word, and stay without
  radix_clear(&as->anon, slot_of(va));
  spin_release(lock);
  return ok;
}

// Free the nodes that hold nothing and lie wholly in [lo, hi), where nothing is mapped; the root too if that is
// everything. as.lock for writing.
void
anon_prune(struct aspace *as, vaddr_t lo, vaddr_t hi)
{
  uint64_t end = hi < USER_TOP ? slot_of(hi) : UINT64_MAX;
  struct radix_node *n;

  assert_held(&as->lock);
  while((n = radix_prune(&as->anon, slot_of(lo), end)) != 0)
    radix_node_free(n);
}
