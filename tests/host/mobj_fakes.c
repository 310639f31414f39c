// mobj_fakes.c -- mobj_fakes.h says what for.
#include <stdlib.h>
#include <string.h>
#include "lib/atomic.h"
#include "mobj_fakes.h"
#include "test.h"

struct space space[SPACES];
int finishes;
struct store st;

// ---- fake address spaces: one table of entries and slots each ----

static int
nr(vaddr_t va)
{
  return (va - BASE) >> PAGE_SHIFT;
}

void
aspace_setup(void)
{
}

struct spinlock *
aspace_slot_lock(struct aspace *as, vaddr_t va)
{
  return &as->slots[(va >> STRETCH_SHIFT) % SLOT_LOCKS];
}

struct page *
anon_get(struct aspace *as, vaddr_t va)
{
  return container_of(as, struct space, as)->slot[nr(va)];
}

vaddr_t
anon_drop(struct aspace *as, vaddr_t lo, vaddr_t hi, struct shootdown *sd)
{
  struct space *s = container_of(as, struct space, as);

  for(; lo < hi && !shootdown_full(sd); lo += PAGE_SIZE)
    if(s->slot[nr(lo)]) {
      shootdown_defer(sd, s->slot[nr(lo)]);
      s->slot[nr(lo)] = 0;
    }
  return lo;
}

void
enter(struct space *s, vaddr_t va, struct page *pg, int prot)
{
  int i = nr(va);

  s->pmap.page[i] = s->pmap.tlb[i] = pg;
  s->pmap.prot[i] = s->pmap.tlb_prot[i] = prot;
}

void
pmap_narrow(struct shootdown *sd, vaddr_t lo, vaddr_t hi, int prot)
{
  expect(lo < hi && ((lo ^ (hi - 1)) >> STRETCH_SHIFT) == 0);
  for(; lo < hi; lo += PAGE_SIZE)
    if((sd->pm->prot[nr(lo)] &= prot) == 0)
      sd->pm->page[nr(lo)] = 0;
}

void
pmap_remove(struct shootdown *sd, vaddr_t lo, vaddr_t hi)
{
  pmap_narrow(sd, lo, hi, PROT_N);
}

bool
pmap_used(struct pmap *pm, vaddr_t va)
{
  bool was = pm->used[nr(va)];

  pm->used[nr(va)] = false;
  return was;
}

struct page *
pmap_peek(struct pmap *pm, vaddr_t va, int *prot, bool *dirty)
{
  return pm->page[nr(va)];
}

void
shootdown_begin(struct shootdown *sd, struct pmap *pm)
{
  memset(sd, 0, sizeof *sd);
  sd->pm = pm;
}

bool
shootdown_full(const struct shootdown *sd)
{
  return sd->npages == SHOOTDOWN_MAX;
}

void
shootdown_defer(struct shootdown *sd, struct page *pg)
{
  sd->page[sd->npages++] = pg;
}

void
shootdown_finish(struct shootdown *sd)
{
  assert_may_sleep();
  for(int i = 0; i < SPACE_PAGES; i++) {
    sd->pm->tlb[i] = sd->pm->page[i];
    sd->pm->tlb_prot[i] = sd->pm->prot[i];
  }
  while(sd->npages > 0)
    page_put(sd->page[--sd->npages]);
  atomic_add(&finishes, 1);
}

// Is there a translation, however stale, that could still reach pg (for writing)?
bool
reachable(struct page *pg, int prot)
{
  for(int s = 0; s < SPACES; s++)
    for(int i = 0; i < SPACE_PAGES; i++)
      if((space[s].pmap.tlb[i] == pg && space[s].pmap.tlb_prot[i] & prot) ||
         (space[s].pmap.page[i] == pg && space[s].pmap.prot[i] & prot))
        return true;
  return false;
}

void
map(struct region *r, struct space *s, struct mobj *obj, vaddr_t start, uint64_t npages, uint64_t pgoff, int flags)
{
  *r = (struct region){.start = start,
                       .end = start + npages * PAGE_SIZE,
                       .pgoff = pgoff,
                       .obj = obj,
                       .as = &s->as,
                       .prot = PROT_R | PROT_W,
                       .maxprot = PROT_R | PROT_W,
                       .flags = flags};
  list_add_tail(&obj->mappers, &r->mapper);
}

// ---- fake store: reads end when somebody waits, one batch at a time ----

uint64_t *
last_word(struct page *pg)
{
  return (uint64_t *)page_va(pg) + PAGE_SIZE / 8 - 1;
}

static void
store_read(struct store *s, struct page *pg)
{
  uint64_t idx = pg->idx;

  page_zero(pg);
  *(uint64_t *)page_va(pg) = *last_word(pg) = s->disk[idx];
  page_filled(pg, idx == s->bad_fill ? -EIO : 0);
}

void
store_fill(struct mobj *obj, struct page **pg, int n)
{
  struct store *s = container_of(obj, struct store, obj);
  uint64_t first = pg[0]->idx; // a page that was read may be gone

  atomic_add(&s->fills, 1);
  atomic_add(&s->filled, n);
  for(int i = 0; i < n; i++) {
    expect(page_test(pg[i], PAGE_BUSY) && !page_test(pg[i], PAGE_UPTODATE));
    expect_eq(pg[i]->idx, first + i);
    if(s->async)
      s->pending[s->npending++] = pg[i];
    else
      store_read(s, pg[i]);
  }
}

bool
store_idle(void)
{
  int n = st.npending;

  for(int i = 0; i < n; i++)
    store_read(&st, st.pending[i]);
  st.npending = 0;
  return n > 0;
}

static int
store_makewrite(struct mobj *obj, struct page *pg)
{
  struct store *s = container_of(obj, struct store, obj);

  atomic_add(&s->making, 1);
  page_busy_wait(pg);
  if(pg->obj == obj && !page_test(pg, PAGE_BACKED)) {
    page_set(pg, PAGE_BACKED);
    mobj_dirty(obj, pg);
  }
  page_busy_clear(pg);
  return 0;
}

static int
store_flush(struct mobj *obj, struct page **pg, int n)
{
  struct store *s = container_of(obj, struct store, obj);

  atomic_add(&s->flushes, 1);
  atomic_add(&s->flushed, n);
  for(int i = 0; i < n; i++) {
    expect(page_test(pg[i], PAGE_BUSY) && !page_test(pg[i], PAGE_DIRTY));
    expect(i == 0 || pg[i]->idx > pg[i - 1]->idx);
    expect(!reachable(pg[i], PROT_W));
    if(!s->bad_flush)
      s->disk[pg[i]->idx] = *(uint64_t *)page_va(pg[i]);
  }
  return s->bad_flush ? -EIO : 0;
}

static int
store_placed(struct mobj *obj, uint64_t idx)
{
  return container_of(obj, struct store, obj)->placed;
}

void
store_release(struct mobj *obj)
{
  container_of(obj, struct store, obj)->released++;
  mobj_destroy(obj);
}

static void
store_touched(struct mobj *obj)
{
  atomic_add(&container_of(obj, struct store, obj)->touched, 1);
}

static const struct mobj_ops store_ops = {
    .name = "store",
    .fill = store_fill,
    .makewrite = store_makewrite,
    .placed = store_placed,
    .flush = store_flush,
    .release = store_release,
    .touched = store_touched,
};

static uint64_t baseline;

struct mobj *
begin(bool async)
{
  fake_frames_init(ARENA);
  baseline = fake_frames_free();
  memset(&st, 0, sizeof st);
  memset(space, 0, sizeof space);
  for(int s = 0; s < SPACES; s++) {
    space[s].as.pmap = &space[s].pmap;
    for(int i = 0; i < SLOT_LOCKS; i++)
      spin_init(&space[s].as.slots[i], "slots", RANK_SLOTS);
  }
  for(int i = 0; i < STORE_PAGES; i++)
    st.disk[i] = 1000 + i;
  st.bad_fill = UINT64_MAX;
  st.async = async;
  fake_idle = store_idle;
  mobj_init(&st.obj, &store_ops, STORE_PAGES * PAGE_SIZE);
  return &st.obj;
}

void
end(void)
{
  if(st.obj.ref > 0)
    mobj_put(&st.obj);
  expect_eq(st.released, 1);
  expect_eq(mobj_total_cached(), 0);
  expect_eq(mobj_total_dirty(), 0);
  expect_eq(mobj_total_shmem(), 0);
  expect_eq(lru_pages(), 0);
  expect_eq(fake_frames_free(), baseline);
  fake_idle = 0;
}

uint64_t
cached(struct mobj *obj)
{
  uint64_t idx = 0, n = 0;
  uintptr_t word;

  spin_acquire(&obj->lock);
  for(; radix_next(&obj->pages, &idx, UINT64_MAX, &word); idx++, n++)
    expect(((struct page *)word)->obj == obj && ((struct page *)word)->idx == idx);
  expect_eq(n, obj->npages);
  spin_release(&obj->lock);
  return n;
}

struct page *
peek(struct mobj *obj, uint64_t idx)
{
  struct page *pg;

  spin_acquire(&obj->lock);
  pg = (struct page *)radix_get(&obj->pages, idx);
  spin_release(&obj->lock);
  return pg;
}

// Read the word of page idx through the cache.
uint64_t
look(struct mobj *obj, uint64_t idx)
{
  struct page *pg;
  uint64_t word;
  int r = mobj_load(obj, idx, &pg, 0);

  if(r != 0)
    return r;
  expect(page_test(pg, PAGE_UPTODATE));
  word = *(uint64_t *)page_va(pg);
  page_put(pg);
  return word;
}

int
store_word(struct mobj *obj, uint64_t idx, uint64_t word)
{
  struct page *pg;
  int r = mobj_page(obj, idx, FOR_WRITE, &pg);

  if(r != 0)
    return r;
  expect(page_test(pg, PAGE_BUSY) && page_test(pg, PAGE_BACKED));
  atomic_set_relaxed((uint64_t *)page_va(pg), word); // the stress test reads meanwhile
  mobj_dirty(obj, pg);
  page_busy_clear(pg);
  page_put(pg);
  return 0;
}
