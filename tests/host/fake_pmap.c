// fake_pmap.c -- mm/pmap.h on an array. Each address has an entry, which is what the kernel wrote, and a translation,
// which is what some CPU may still use: entering sets both, removing and narrowing change only the entry, and a
// shootdown brings the translation to the entry. So a missing or too small shootdown is seen by the next access, a page
// entered over a live translation of another one dies in the assert, and so does a frame freed while one reaches it.
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/print.h"
#include "fake_pmap.h"

enum { PER_TABLE = 512 };

struct entry {
  struct page *pg; // what the kernel entered
  int prot;
  bool dirty, used, stored;
  struct page *tlb; // what a CPU may use
  int tlb_prot;
};

struct table {
  uint64_t stretch;
  struct page *frame; // stands for the page-table page
  int n;
  struct entry e[PER_TABLE];
};

struct pmap {
  pthread_mutex_t mutex;
  struct table **table; // sorted by stretch
  int ntables, room;
  int pending;
  uint64_t entries;
};

static uint64_t seed;
unsigned fake_pmap_delay;

void
fake_pmap_seed(uint64_t s)
{
  seed = s;
}

static bool
one_in(unsigned n)
{
  uint64_t x = __atomic_load_n(&seed, __ATOMIC_RELAXED);

  if(x == 0)
    return false;
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  __atomic_store_n(&seed, x, __ATOMIC_RELAXED);
  return (x >> 11) % n == 0;
}

// Index of the first table whose stretch is at least s.
static int
table_index(struct pmap *pm, uint64_t s)
{
  int lo = 0, hi = pm->ntables;

  while(lo < hi) {
    int mid = (lo + hi) / 2;

    if(pm->table[mid]->stretch < s)
      lo = mid + 1;
    else
      hi = mid;
  }
  return lo;
}

static struct table *
table_find(struct pmap *pm, vaddr_t va)
{
  uint64_t s = va >> STRETCH_SHIFT;
  int i = table_index(pm, s);

  return i < pm->ntables && pm->table[i]->stretch == s ? pm->table[i] : 0;
}

static struct entry *
entry_of(struct pmap *pm, vaddr_t va)
{
  struct table *t = table_find(pm, va);

  return t ? &t->e[(va >> PAGE_SHIFT) % PER_TABLE] : 0;
}

static void
flush_entry(struct entry *e)
{
  if(e->tlb && __atomic_load_n(&e->tlb->ref, __ATOMIC_SEQ_CST) < 1)
    panic("I5: a translation of page %p was alive when its frame was freed", e->tlb);
  e->tlb = e->pg;
  e->tlb_prot = e->pg ? e->prot : 0;
}

// The machine forgets: near va, one entry goes, and every CPU's translation with it.
static void
forget_some(struct pmap *pm, vaddr_t va)
{
  struct table *t = table_find(pm, va);
  struct entry *e;

  if(t == 0 || !one_in(8))
    return;
  e = &t->e[(va >> PAGE_SHIFT) % PER_TABLE];
  if(e->pg == 0 || e->tlb != e->pg)
    return;
  memset(e, 0, sizeof *e);
  t->n--;
  pm->entries--;
}

struct pmap *
pmap_create(void)
{
  struct page *root = frame_try(0); // memory can be short here too
  struct pmap *pm;

  if(root == 0)
    return 0;
  page_put(root);
  pm = calloc(1, sizeof *pm);
  pthread_mutex_init(&pm->mutex, 0);
  return pm;
}

void
pmap_destroy(struct pmap *pm)
{
  for(int i = 0; i < pm->ntables; i++) {
    if(pm->table[i]->n != 0)
      panic("pmap %p destroyed with entries in stretch %lu", pm, pm->table[i]->stretch);
    page_put(pm->table[i]->frame);
    free(pm->table[i]);
  }
  free(pm->table);
  pthread_mutex_destroy(&pm->mutex);
  free(pm);
}

bool
pmap_prepare(struct pmap *pm, vaddr_t va, struct spare *spare)
{
  struct table *t;
  int i;
  bool ok = true;

  pthread_mutex_lock(&pm->mutex);
  if(table_find(pm, va) == 0) {
    struct page *frame = one_in(16) ? 0 : spare_take_table(spare);

    ok = frame != 0;
    if(ok) {
      t = calloc(1, sizeof *t);
      t->stretch = va >> STRETCH_SHIFT;
      t->frame = frame;
      i = table_index(pm, t->stretch);
      if(pm->ntables == pm->room) {
        pm->room = pm->room * 2 + 8;
        pm->table = realloc(pm->table, pm->room * sizeof(pm->table[0]));
      }
      memmove(pm->table + i + 1, pm->table + i, (pm->ntables - i) * sizeof(pm->table[0]));
      pm->table[i] = t;
      pm->ntables++;
    }
  }
  pthread_mutex_unlock(&pm->mutex);
  return ok;
}

void
pmap_enter(struct pmap *pm, vaddr_t va, struct page *pg, int prot)
{
  struct entry *e;

  pthread_mutex_lock(&pm->mutex);
  e = entry_of(pm, va);
  if(e == 0)
    panic("%#lx entered without pmap_prepare", va);
  if(e->pg && e->pg != pg)
    panic("%#lx: page %p entered over page %p", va, pg, e->pg);
  if(e->tlb && e->tlb != pg)
    panic("%#lx entered before the old translation was shot down", va);
  // An object's page may become BUSY right after the fault looked: who made it so comes to unmap it, with the slot
  // lock.
  if(page_test(pg, PAGE_BUSY) && pg->obj == 0 && !(prot & PROT_W))
    panic("I2: %#lx: page %p entered while it is BUSY", va, pg);
  if(e->pg == 0) {
    table_find(pm, va)->n++;
    pm->entries++;
  }
  e->pg = e->tlb = pg;
  e->prot |= prot;
  e->tlb_prot |= e->prot;
  pthread_mutex_unlock(&pm->mutex);
}

bool
pmap_try_replace(struct pmap *pm, vaddr_t va, struct page *pg, int prot)
{
  struct entry *e;
  bool alone = one_in(2) || __atomic_load_n(&seed, __ATOMIC_RELAXED) == 0;

  pthread_mutex_lock(&pm->mutex);
  e = entry_of(pm, va);
  if(e && e->pg == 0 && !alone) { // nothing to replace
    alone = true;
  }
  if(e && alone) {
    if(e->tlb && e->pg == 0)
      panic("%#lx replaced before the old translation was shot down", va);
    if(e->pg == 0) {
      table_find(pm, va)->n++;
      pm->entries++;
    }
    *e = (struct entry){.pg = pg, .prot = prot, .tlb = pg, .tlb_prot = prot};
  }
  pthread_mutex_unlock(&pm->mutex);
  return alone;
}

static void
raise_pending(struct shootdown *sd, vaddr_t va)
{
  sd->lo = sd->lo == sd->hi ? va : min(sd->lo, va);
  sd->hi = max(sd->hi, va + PAGE_SIZE);
  if(!sd->raised)
    sd->pm->pending++;
  sd->raised = true;
}

static void
one_stretch(vaddr_t lo, vaddr_t hi)
{
  if(lo < hi && lo >> STRETCH_SHIFT != (hi - 1) >> STRETCH_SHIFT)
    panic("[%#lx,%#lx) is more than a stretch", lo, hi);
}

static void
narrow(struct shootdown *sd, vaddr_t lo, vaddr_t hi, int prot, bool forget)
{
  struct pmap *pm = sd->pm;

  one_stretch(lo, hi);
  pthread_mutex_lock(&pm->mutex);
  for(vaddr_t va = lo; va < hi && table_find(pm, lo); va += PAGE_SIZE) {
    struct entry *e = entry_of(pm, va);

    forget_some(pm, va);
    if((e->prot & PROT_W) && !(prot & PROT_W)) {
      e->dirty = false;
      e->stored = true;
    }
    e->stored &= !forget;
    if(e->pg == 0 || (e->prot & ~prot) == 0)
      continue;
    e->prot &= prot;
    raise_pending(sd, va);
  }
  pthread_mutex_unlock(&pm->mutex);
}

void
pmap_narrow(struct shootdown *sd, vaddr_t lo, vaddr_t hi, int prot)
{
  if(prot == PROT_N)
    pmap_remove(sd, lo, hi);
  else
    narrow(sd, lo, hi, prot, false);
}

void
pmap_forget_stores(struct shootdown *sd, vaddr_t lo, vaddr_t hi)
{
  narrow(sd, lo, hi, PROT_R | PROT_X, true);
}

// What is entered at va now; pg 0: nothing.
static struct entry
entry_now(struct pmap *pm, vaddr_t va)
{
  struct entry *e, now = {0};

  pthread_mutex_lock(&pm->mutex);
  e = entry_of(pm, va);
  if(e && e->pg)
    now = *e;
  pthread_mutex_unlock(&pm->mutex);
  return now;
}

bool
pmap_stored(struct pmap *pm, vaddr_t va)
{
  struct entry e = entry_now(pm, va);

  return e.stored || (e.prot & PROT_W);
}

void
pmap_remove(struct shootdown *sd, vaddr_t lo, vaddr_t hi)
{
  struct pmap *pm = sd->pm;

  one_stretch(lo, hi);
  pthread_mutex_lock(&pm->mutex);
  for(vaddr_t va = lo; va < hi && table_find(pm, lo); va += PAGE_SIZE) {
    struct entry *e = entry_of(pm, va);

    if(e->pg == 0)
      continue;
    e->pg = 0;
    e->prot = 0;
    e->dirty = e->used = e->stored = false;
    table_find(pm, va)->n--;
    pm->entries--;
    raise_pending(sd, va);
  }
  pthread_mutex_unlock(&pm->mutex);
}

bool
pmap_used(struct pmap *pm, vaddr_t va)
{
  struct entry *e;
  bool used;

  pthread_mutex_lock(&pm->mutex);
  e = entry_of(pm, va);
  used = e && e->pg && e->used;
  if(e)
    e->used = false;
  pthread_mutex_unlock(&pm->mutex);
  return used;
}

bool
pmap_young(struct pmap *pm, vaddr_t va)
{
  return entry_now(pm, va).used;
}

struct page *
pmap_peek(struct pmap *pm, vaddr_t va, int *prot, bool *dirty)
{
  struct page *pg = 0;
  struct entry *e;

  pthread_mutex_lock(&pm->mutex);
  forget_some(pm, va);
  e = entry_of(pm, va);
  if(e && e->pg) {
    pg = e->pg;
    if(prot)
      *prot = e->prot;
    if(dirty)
      *dirty = e->dirty;
  }
  pthread_mutex_unlock(&pm->mutex);
  return pg;
}

vaddr_t
pmap_next(struct pmap *pm, vaddr_t lo, vaddr_t hi)
{
  vaddr_t at = hi;
  int i;

  if(lo >= hi)
    return hi;
  pthread_mutex_lock(&pm->mutex);
  i = table_index(pm, lo >> STRETCH_SHIFT);
  if(i < pm->ntables)
    at = min(hi, max(lo, pm->table[i]->stretch << STRETCH_SHIFT));
  pthread_mutex_unlock(&pm->mutex);
  return at;
}

void
pmap_prune(struct pmap *pm, vaddr_t lo, vaddr_t hi)
{
  pthread_mutex_lock(&pm->mutex);
  for(int i = 0; i < pm->ntables;) {
    struct table *t = pm->table[i];
    vaddr_t start = t->stretch << STRETCH_SHIFT;

    if(start < lo || start + STRETCH > hi) {
      i++;
      continue;
    }
    for(int k = 0; k < PER_TABLE; k++)
      if(t->e[k].pg || t->e[k].tlb)
        panic("table of %#lx pruned with an entry or a translation at %d", start, k);
    page_put(t->frame);
    free(t);
    pm->ntables--;
    memmove(pm->table + i, pm->table + i + 1, (pm->ntables - i) * sizeof(pm->table[0]));
  }
  pthread_mutex_unlock(&pm->mutex);
}

uint64_t
pmap_tables(struct pmap *pm)
{
  return pm->ntables;
}

uint64_t
pmap_entries(struct pmap *pm)
{
  return __atomic_load_n(&pm->entries, __ATOMIC_RELAXED);
}

// ---- shootdowns

void
shootdown_begin(struct shootdown *sd, struct pmap *pm)
{
  *sd = (struct shootdown){.pm = pm};
}

bool
shootdown_full(const struct shootdown *sd)
{
  return sd->npages == SHOOTDOWN_MAX;
}

void
shootdown_defer(struct shootdown *sd, struct page *pg)
{
  if(shootdown_full(sd))
    panic("shootdown of %p is full", sd->pm);
  sd->page[sd->npages++] = pg;
}

void
shootdown_finish(struct shootdown *sd)
{
  struct pmap *pm = sd->pm;
  bool all;

  assert_may_sleep();
  if(fake_pmap_delay && one_in(2))
    usleep(fake_pmap_delay); // other CPUs answer late
  pthread_mutex_lock(&pm->mutex);
  all = pm->pending > sd->raised; // somebody else's change may not have been finished
  for(int i = 0; i < pm->ntables; i++) {
    for(int k = 0; k < PER_TABLE; k++) {
      vaddr_t va = (pm->table[i]->stretch << STRETCH_SHIFT) + k * PAGE_SIZE;

      if(all || (sd->lo <= va && va < sd->hi))
        flush_entry(&pm->table[i]->e[k]);
    }
  }
  pm->pending -= sd->raised;
  pthread_mutex_unlock(&pm->mutex);
  for(int i = 0; i < sd->npages; i++)
    page_put(sd->page[i]);
  shootdown_begin(sd, pm);
}

// ---- a processor

static bool
cpu_try(struct pmap *pm, vaddr_t va, uint8_t *value, bool store)
{
  int want = store ? PROT_W : PROT_R;
  struct entry *e;
  bool ok = false;

  pthread_mutex_lock(&pm->mutex);
  e = entry_of(pm, va);
  if(e && !(e->tlb && (e->tlb_prot & want)) && e->pg && (e->prot & want)) {
    e->tlb = e->pg; // walk the tables
    e->tlb_prot = e->prot;
  }
  if(e && e->tlb && (e->tlb_prot & want)) {
    uint8_t *p = (uint8_t *)page_va(e->tlb) + (va & (PAGE_SIZE - 1));

    if(store)
      *p = *value;
    else
      *value = *p;
    e->used = true;
    if(store && e->tlb == e->pg && (e->prot & PROT_W))
      e->dirty = true;
    ok = true;
  }
  pthread_mutex_unlock(&pm->mutex);
  return ok;
}

static int
cpu_access(struct aspace *as, vaddr_t va, uint8_t *value, bool store)
{
  int r = 0;

  while(r == 0 && !cpu_try(as->pmap, va, value, store))
    r = fault(as, va, store ? PROT_W : PROT_R, 0);
  return r;
}

int
fake_cpu_load(struct aspace *as, vaddr_t va, uint8_t *value)
{
  return cpu_access(as, va, value, false);
}

int
fake_cpu_store(struct aspace *as, vaddr_t va, uint8_t value)
{
  return cpu_access(as, va, &value, true);
}
