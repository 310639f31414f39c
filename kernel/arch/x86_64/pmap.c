// pmap.c -- four-level page tables behind mm/pmap.h.
//
// A page of leaf entries maps one stretch (2 MiB) and changes under that stretch's slot lock. The tables above it are
// filled by compare-and-swap with as.lock held for reading and emptied with as.lock held for writing, after a
// shootdown, because a CPU may cache an upper entry as it caches a leaf. struct page.idx of a table counts what it
// holds. Present bits, accessed and dirty change under our feet (the CPU sets them), so live entries are only swapped
// or masked atomically.
// Typical: pmap_prepare / (slot lock) pmap_enter ... pmap_narrow or pmap_remove / (unlock) shootdown_finish / pmap_prune.
// Knows nothing of regions, slots or objects.
#include "arch/x86_64/layout.h"
#include "arch/x86_64/pmap_x86.h"
#include "arch/x86_64/x86.h"
#include "core/print.h"
#include "lib/atomic.h"
#include "lib/string.h"

enum { LEVELS = 4, LEVEL_BITS = 9, TABLE_ENTRIES = 512, KERNEL_HALF = 256 };

static struct kmem_cache *pmap_cache;

void
pmap_init(void)
{
  pmap_cache = KMEM_CACHE(struct pmap);
}

// Position of va in a table of `level` (1: leaf).
static unsigned
table_slot(vaddr_t va, int level)
{
  return (va >> (PAGE_SHIFT + (level - 1) * LEVEL_BITS)) & (TABLE_ENTRIES - 1);
}

// Bytes that one entry of a table of `level` covers.
static uint64_t
entry_span(int level)
{
  return 1ull << (PAGE_SHIFT + (level - 1) * LEVEL_BITS);
}

static uint64_t *
table_of(uint64_t entry)
{
  return kva_of_pa(entry & PTE_ADDR);
}

static struct page *
page_of_entry(uint64_t entry)
{
  return page_of_pa(entry & PTE_ADDR);
}

// The page that holds the table `t`.
static struct page *
table_page(uint64_t *t)
{
  return page_of_va(t);
}

// The leaf table for va, or 0.
static uint64_t *
leaf_find(struct pmap *pm, vaddr_t va)
{
  uint64_t *t = pm->top;

  for(int level = LEVELS; level > 1; level--) {
    uint64_t e = atomic_get(&t[table_slot(va, level)]);

    if(!(e & PTE_P))
      return 0;
    t = table_of(e);
  }
  return t;
}

struct pmap *
pmap_create(void)
{
  struct pmap *pm = kmem_alloc(pmap_cache);
  struct page *pg = pm ? frame_try(0) : 0;

  if(pg == 0) {
    if(pm)
      kmem_free(pmap_cache, pm);
    return 0;
  }
  pm->top = page_va(pg);
  pm->top_pa = page_pa(pg);
  pm->tables = 1;
  memset(pm->top, 0, PAGE_SIZE / 2);
  memcpy(pm->top + KERNEL_HALF, (uint64_t *)kva_of_pa(boot_kernel_pml4()) + KERNEL_HALF, PAGE_SIZE / 2);
  return pm;
}

static void
table_free(struct page *pg)
{
  pg->idx = 0;
  page_put(pg);
}

// Free the tables below `t`, a table of `level` whose user part is given by n. Nobody can reach them any more.
static void
tables_free(uint64_t *t, int level, int n)
{
  for(int i = 0; i < n; i++) {
    if(!(t[i] & PTE_P))
      continue;
    if(level == 1)
      panic("I5: pmap destroyed with an entry for frame %#lx", t[i] & PTE_ADDR);
    tables_free(table_of(t[i]), level - 1, TABLE_ENTRIES);
    table_free(page_of_entry(t[i]));
  }
}

void
pmap_destroy(struct pmap *pm)
{
  tlb_evict(pm);
  tables_free(pm->top, LEVELS, KERNEL_HALF);
  table_free(table_page(pm->top));
  kmem_free(pmap_cache, pm);
}

bool
pmap_prepare(struct pmap *pm, vaddr_t va, struct spare *spare)
{
  uint64_t *t = pm->top;

  for(int level = LEVELS; level > 1; level--) {
    uint64_t *at = &t[table_slot(va, level)], e = atomic_get(at);

    if(!(e & PTE_P)) {
      struct page *pg = spare_take_table(spare);

      if(pg == 0)
        return false;
      uint64_t made = page_pa(pg) | PTE_P | PTE_W | PTE_U;
      if(atomic_cas(at, &e, made)) {
        atomic_add(&table_page(t)->idx, 1);
        atomic_add(&pm->tables, 1);
        e = made;
      } else {
        spare->table[spare->ntable++] = pg; // another thread was first; `e` is its table
      }
    }
    t = table_of(e);
  }
  return true;
}

static uint64_t
entry_bits(int prot)
{
  return PTE_P | PTE_U | (prot & PROT_W ? PTE_W : 0) | (prot & PROT_X ? 0 : PTE_NX);
}

void
pmap_enter(struct pmap *pm, vaddr_t va, struct page *pg, int prot)
{
  uint64_t *leaf = leaf_find(pm, va), *at = &leaf[table_slot(va, 1)];
  uint64_t old = atomic_get(at), want = page_pa(pg) | entry_bits(prot);

  assert(leaf != 0);
  if(!(old & PTE_P)) {
    atomic_set(at, want);
    table_page(leaf)->idx++;
    atomic_add(&pm->entries, 1);
    return;
  }
  if((old & PTE_ADDR) != (want & PTE_ADDR))
    panic("pmap_enter: va %#lx holds frame %#lx, asked for %#lx: replacing goes remove, finish, enter", va,
          old & PTE_ADDR, want & PTE_ADDR);
  if(want & PTE_W)
    atomic_or(at, PTE_W);
  if(!(want & PTE_NX))
    atomic_and(at, ~PTE_NX);
  tlb_flush_self(va);
}

bool
pmap_try_replace(struct pmap *pm, vaddr_t va, struct page *pg, int prot)
{
  uint64_t *leaf = leaf_find(pm, va), *at;
  uint64_t old, self = 1ull << cpu_self()->id;

  if(leaf == 0 || !(atomic_get(&leaf[table_slot(va, 1)]) & PTE_P)) {
    pmap_enter(pm, va, pg, prot);
    return true;
  }
  at = &leaf[table_slot(va, 1)];
  // Take the entry out before looking at who could have it: a CPU that loads the pmap after the look finds nothing.
  old = atomic_swap(at, 0);
  if((atomic_get(&pm->cpus) & ~self) != 0) {
    atomic_set(at, old); // a CPU that looked meanwhile faults, waits for the slot lock, and finds it again
    return false;
  }
  atomic_set(at, page_pa(pg) | entry_bits(prot));
  tlb_flush_self(va);
  return true;
}

// Take rights from one entry, and the software's marks in `forget`: true if that changed the rights.
static bool
entry_narrow(uint64_t *at, int prot, uint64_t forget)
{
  uint64_t old = atomic_get(at);
  bool changed = false;

  if(!(old & PTE_P))
    return false;
  if((old & PTE_W) && !(prot & PROT_W)) {
    atomic_or(at, PTE_STORED);
    atomic_and(at, ~(PTE_W | PTE_D)); // clean and writable never stand together (I2)
    changed = true;
  }
  atomic_and(at, ~forget);
  if(!(old & PTE_NX) && !(prot & PROT_X)) {
    atomic_or(at, PTE_NX);
    changed = true;
  }
  return changed;
}

static void
narrow(struct shootdown *sd, vaddr_t lo, vaddr_t hi, int prot, uint64_t forget)
{
  uint64_t *leaf = leaf_find(sd->pm, lo);
  vaddr_t first = hi, last = lo;

  if(leaf == 0 || table_page(leaf)->idx == 0)
    return;
  for(vaddr_t va = lo; va < hi; va += PAGE_SIZE) {
    if(!entry_narrow(&leaf[table_slot(va, 1)], prot, forget))
      continue;
    first = min(first, va);
    last = va + PAGE_SIZE;
  }
  if(first < last)
    tlb_raise(sd, first, last);
}

void
pmap_narrow(struct shootdown *sd, vaddr_t lo, vaddr_t hi, int prot)
{
  if(prot == PROT_N)
    pmap_remove(sd, lo, hi);
  else
    narrow(sd, lo, hi, prot, 0);
}

void
pmap_forget_stores(struct shootdown *sd, vaddr_t lo, vaddr_t hi)
{
  narrow(sd, lo, hi, PROT_R | PROT_X, PTE_STORED);
}

void
pmap_remove(struct shootdown *sd, vaddr_t lo, vaddr_t hi)
{
  uint64_t *leaf = leaf_find(sd->pm, lo);
  vaddr_t first = hi, last = lo;
  uint64_t n = 0;

  if(leaf == 0)
    return;
  for(vaddr_t va = lo; va < hi && table_page(leaf)->idx > n; va += PAGE_SIZE) {
    uint64_t *at = &leaf[table_slot(va, 1)];

    if(!(atomic_get(at) & PTE_P))
      continue;
    atomic_set(at, 0);
    first = min(first, va);
    last = va + PAGE_SIZE;
    n++;
  }
  if(n == 0)
    return;
  table_page(leaf)->idx -= n;
  atomic_sub(&sd->pm->entries, n);
  tlb_raise(sd, first, last);
}

bool
pmap_used(struct pmap *pm, vaddr_t va)
{
  uint64_t *leaf = leaf_find(pm, va);

  return leaf && (atomic_and(&leaf[table_slot(va, 1)], ~(uint64_t)PTE_A) & PTE_A);
}

bool
pmap_young(struct pmap *pm, vaddr_t va)
{
  uint64_t *leaf = leaf_find(pm, va);

  return leaf && (atomic_get(&leaf[table_slot(va, 1)]) & PTE_A);
}

bool
pmap_stored(struct pmap *pm, vaddr_t va)
{
  uint64_t *leaf = leaf_find(pm, va);

  return leaf && (atomic_get(&leaf[table_slot(va, 1)]) & (PTE_W | PTE_STORED));
}

struct page *
pmap_peek(struct pmap *pm, vaddr_t va, int *prot, bool *dirty)
{
  uint64_t *leaf = leaf_find(pm, va), e = leaf ? atomic_get(&leaf[table_slot(va, 1)]) : 0;

  if(!(e & PTE_P))
    return 0;
  if(prot)
    *prot = PROT_R | (e & PTE_W ? PROT_W : 0) | (e & PTE_NX ? 0 : PROT_X);
  if(dirty)
    *dirty = e & PTE_D;
  return page_of_entry(e);
}

// First address in [lo, hi) below table `t` of `level` with a leaf entry, or hi.
static vaddr_t
table_next(uint64_t *t, int level, vaddr_t lo, vaddr_t hi)
{
  while(lo < hi) {
    uint64_t e = atomic_get(&t[table_slot(lo, level)]);
    vaddr_t end = (lo | (entry_span(level) - 1)) + 1, found;

    if((e & PTE_P) && level == 1)
      return lo;
    if(e & PTE_P) {
      found = table_next(table_of(e), level - 1, lo, min(end, hi));
      if(found < min(end, hi))
        return found;
    }
    if(end == 0 || table_slot(lo, level) == TABLE_ENTRIES - 1)
      return hi;
    lo = end;
  }
  return hi;
}

vaddr_t
pmap_next(struct pmap *pm, vaddr_t lo, vaddr_t hi)
{
  return lo < hi ? table_next(pm->top, LEVELS, lo, hi) : hi;
}

// Unlink the empty tables below `t` whose span lies in [lo, hi); each goes to sd, which is finished when full.
static void
tables_prune(struct shootdown *sd, uint64_t *t, int level, vaddr_t lo, vaddr_t hi)
{
  for(vaddr_t va = lo; va < hi;) {
    uint64_t *at = &t[table_slot(va, level)];
    vaddr_t end = (va | (entry_span(level) - 1)) + 1;
    struct page *pg = *at & PTE_P ? page_of_entry(*at) : 0;

    if(pg && level > 2)
      tables_prune(sd, table_of(*at), level - 1, va, min(end, hi));
    if(pg && pg->idx == 0 && end - entry_span(level) >= lo && end <= hi) {
      if(shootdown_full(sd))
        shootdown_finish(sd);
      atomic_set(at, 0);
      atomic_sub(&table_page(t)->idx, 1);
      atomic_sub(&sd->pm->tables, 1);
      shootdown_defer(sd, pg);
      tlb_raise(sd, va, va + PAGE_SIZE);
    }
    va = end;
  }
}

void
pmap_prune(struct pmap *pm, vaddr_t lo, vaddr_t hi)
{
  struct shootdown sd;

  shootdown_begin(&sd, pm);
  tables_prune(&sd, pm->top, LEVELS, lo, hi);
  if(sd.npages)
    shootdown_finish(&sd);
}

uint64_t
pmap_tables(struct pmap *pm)
{
  return atomic_get_relaxed(&pm->tables);
}

uint64_t
pmap_entries(struct pmap *pm)
{
  return atomic_get_relaxed(&pm->entries);
}

uint64_t *
pmap_kernel_entry(uint64_t kva, bool create)
{
  uint64_t *t = kva_of_pa(boot_kernel_pml4());

  for(int level = LEVELS; level > 1; level--) {
    uint64_t *at = &t[table_slot(kva, level)], e = atomic_get(at);

    if(!(e & PTE_P)) {
      struct page *pg = create ? frame_try(0) : 0;

      if(pg == 0)
        return 0;
      page_zero(pg);
      uint64_t made = page_pa(pg) | PTE_P | PTE_W;
      if(atomic_cas(at, &e, made))
        e = made;
      else
        page_put(pg);
    }
    t = table_of(e);
  }
  return &t[table_slot(kva, 1)];
}
