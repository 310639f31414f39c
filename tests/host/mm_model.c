// mm_model.c -- random operations on address spaces and objects against a flat model: for each page of a window, what
// is mapped there and which bytes it must show. Memory fails at random, the machine forgets, other CPUs keep
// translations. After each step the invariants are checked and the number of regions is what merging everything that
// can be gives.
#include <stdlib.h>
#include <string.h>
#include "fake_frames.h"
#include "fake_pmap.h"
#include "mm_store.h"
#include "test.h"

enum { PAGES = 160, PROCS = 4, OBJS = 3, OBJ_PAGES = 48, FRAMES = 16384, SHM = 2, NONE = -1 };
enum { RWX = PROT_R | PROT_W | PROT_X, STEPS = 700, SEEDS = 40 };
static const vaddr_t BASE = 0x40000000ull - 80 * PAGE_SIZE; // a border of 2 MiB and of 1 GiB in the middle

struct mpage {
  bool mapped;
  int prot, maxprot, flags, obj;
  uint64_t idx;
  uint8_t *own; // private bytes, or 0
};

struct mproc {
  struct aspace *as; // 0: not there
  struct mpage page[PAGES];
};

static struct mproc procs[PROCS];
static struct store store[SHM];
static struct mobj *objs[OBJS];
static uint8_t (*bytes[OBJS])[PAGE_SIZE]; // what each object must show
static uint64_t obj_pages[OBJS];
static bool short_of_memory; // allocations fail now: -ENOMEM is a right answer, if nothing changed
static const uint8_t zeros[PAGE_SIZE];
static uint64_t rng, seed_now, step_no;
static unsigned op; // the step's, for messages

static unsigned
rnd(unsigned n)
{
  rng ^= rng << 13;
  rng ^= rng >> 7;
  rng ^= rng << 17;
  return (rng >> 16) % n;
}

static vaddr_t
va_of(int i)
{
  return BASE + i * PAGE_SIZE;
}

#define same(a, b)                                                                                                     \
  do {                                                                                                                 \
    long long a_ = (a), b_ = (b);                                                                                      \
    if(a_ != b_) {                                                                                                     \
      test_fail(__FILE__, __LINE__, "SEED=%lu step %lu operation %u: %s is %lld, the model says %lld", seed_now,       \
                step_no, op, #a, a_, b_);                                                                              \
      abort();                                                                                                         \
    }                                                                                                                  \
  } while(0)

// ---- the model

static void
m_clear(struct mpage *p)
{
  free(p->own);
  *p = (struct mpage){.obj = NONE};
}

static const uint8_t *
m_bytes(const struct mpage *p)
{
  if(p->own)
    return p->own;
  return p->obj == NONE ? zeros : bytes[p->obj][p->idx];
}

// What an access gives.
static int
m_access(const struct mpage *p, int want)
{
  if(!p->mapped)
    return -EFAULT;
  if(want == PROT_R ? p->prot == PROT_N : !(p->prot & want))
    return -EACCES;
  return !p->own && p->obj != NONE && p->idx >= obj_pages[p->obj] ? -EIO : 0;
}

static uint8_t *
m_writable(struct mpage *p)
{
  if(p->flags & REGION_SHARED)
    return bytes[p->obj][p->idx];
  if(p->own == 0) {
    const uint8_t *from = m_bytes(p);

    p->own = malloc(PAGE_SIZE);
    memcpy(p->own, from, PAGE_SIZE);
  }
  return p->own;
}

static bool
m_joins(const struct mpage *a, const struct mpage *b)
{
  if(!a->mapped || !b->mapped || a->prot != b->prot || a->maxprot != b->maxprot || a->flags != b->flags)
    return false;
  return a->obj == b->obj && (a->obj == NONE || a->idx + 1 == b->idx);
}

static uint64_t
m_regions(const struct mproc *p)
{
  uint64_t n = 0;

  for(int i = 0; i < PAGES; i++)
    n += p->page[i].mapped && (i == 0 || !m_joins(&p->page[i - 1], &p->page[i]));
  return n;
}

// Kernel and model side by side, for whoever looks for a difference in the regions.
static void
regions_print(struct mproc *p)
{
  rw_read(&p->as->lock);
  for(struct region *r = region_find_from(p->as, 0); r; r = region_next(r))
    fprintf(stderr, "  [%ld,%ld) prot %d max %d flags %#x obj %p pgoff %lu\n",
            (long)(r->start - BASE) / (long)PAGE_SIZE, (long)(r->end - BASE) / (long)PAGE_SIZE, r->prot, r->maxprot,
            r->flags, r->obj, r->pgoff);
  rw_read_release(&p->as->lock);
  for(int i = 0; i < PAGES; i++)
    if(p->page[i].mapped && (i == 0 || !m_joins(&p->page[i - 1], &p->page[i])))
      fprintf(stderr, "  model %d: prot %d max %d flags %#x obj %d idx %lu\n", i, p->page[i].prot, p->page[i].maxprot,
              p->page[i].flags, p->page[i].obj, p->page[i].idx);
}

static void
regions_match(struct mproc *p)
{
  if(p->as->nregions != m_regions(p))
    regions_print(p);
  same(p->as->nregions, m_regions(p));
}

// Private memory that may be written counts as promised, and keeps the mark.
static int
m_flags(int prot, int flags)
{
  return (prot & PROT_W) && !(flags & REGION_SHARED) ? flags | REGION_ACCOUNT : flags;
}

// Pages that must be counted as promised.
static uint64_t
m_promised(void)
{
  uint64_t n = OBJ_PAGES; // the object without a store

  for(int k = 0; k < PROCS; k++)
    for(int i = 0; procs[k].as && i < PAGES; i++)
      n += procs[k].page[i].mapped && (procs[k].page[i].flags & REGION_ACCOUNT);
  return n;
}

static bool
m_any(const struct mproc *p, int lo, int hi)
{
  for(int i = lo; i < hi; i++)
    if(p->page[i].mapped)
      return true;
  return false;
}

static bool
m_all(const struct mproc *p, int lo, int hi)
{
  for(int i = lo; i < hi; i++)
    if(!p->page[i].mapped)
      return false;
  return true;
}

static void
m_unmap(struct mproc *p, int lo, int hi)
{
  for(int i = lo; i < hi; i++)
    m_clear(&p->page[i]);
}

// ---- comparing

static void
verify_page(struct mproc *p, int i)
{
  static uint8_t buf[PAGE_SIZE];
  const struct mpage *m = &p->page[i];
  struct spinlock *lock = aspace_slot_lock(p->as, va_of(i));
  struct page *pg;
  int r = m_access(m, PROT_R), prot = 0;

  same(copyin(p->as, buf, va_of(i), PAGE_SIZE, 0), r ? -EFAULT : 0);
  if(r == 0 && memcmp(buf, m_bytes(m), PAGE_SIZE) != 0) {
    test_fail(__FILE__, __LINE__, "step %lu: process %d page %d shows %#x..., the model %#x...", step_no,
              (int)(p - procs), i, buf[0], m_bytes(m)[0]);
    abort();
  }
  spin_acquire(lock);
  pg = pmap_peek(p->as->pmap, va_of(i), &prot, 0);
  if(pg && pg->obj == 0 && (prot & PROT_W))
    same(pg->ref, 1); // I2
  spin_release(lock);
}

static void
verify_all(void)
{
  for(int k = 0; k < PROCS; k++)
    for(int i = 0; procs[k].as && i < PAGES; i++)
      verify_page(&procs[k], i);
}

static void
check_all(void)
{
  for(int k = 0; k < PROCS; k++) {
    if(procs[k].as) {
      aspace_check(procs[k].as);
      regions_match(&procs[k]);
    }
  }
  for(int k = 0; k < OBJS; k++)
    mobj_check(objs[k]);
  same(vm_committed(), m_promised());
}

// A call returned r where the model expects `want`. true: it did what was asked; false: it did nothing.
static bool
happened(int r, int want)
{
  if(r == -ENOMEM && short_of_memory)
    return false;
  same(r, want);
  return r == 0;
}

// ---- operations

// What came to lie outside the window goes.
static void
trim(struct mproc *p)
{
  frame_fail_after(0, false);
  short_of_memory = false;
  same(aspace_unmap(p->as, MMAP_MIN, BASE), 0);
  same(aspace_unmap(p->as, va_of(PAGES), USER_TOP), 0);
}

static void
op_map(struct mproc *p, int lo, int hi)
{
  static const int prots[] = {PROT_N,          PROT_R, PROT_R | PROT_W, PROT_R | PROT_W,
                              PROT_R | PROT_W, RWX,    PROT_W,          PROT_R | PROT_X};
  static const enum map_how hows[] = {MAP_EXACT, MAP_EXACT, MAP_EXACT_EMPTY, MAP_HINT};
  struct map_request rq = {.addr = va_of(lo), .len = (hi - lo) * PAGE_SIZE, .prot = prots[rnd(8)], .maxprot = RWX};
  int obj = rnd(5) < 2 ? NONE : (int)rnd(OBJS), want = 0, r;
  bool any = m_any(p, lo, hi);
  vaddr_t at;

  rq.how = hows[rnd(4)];
  if(obj != NONE) {
    rq.obj = objs[obj];
    rq.pgoff = rnd(OBJ_PAGES - 8);
    rq.flags = rnd(2) ? REGION_SHARED : 0;
    if((rq.flags & REGION_SHARED) && rnd(4) == 0) {
      rq.maxprot = PROT_R | PROT_X;
      rq.prot &= rq.maxprot;
    }
  }
  if(rq.how == MAP_EXACT_EMPTY && any)
    want = -EEXIST;
  r = aspace_map(p->as, &rq, &at);
  if(!happened(r, want))
    return;
  if(rq.how != MAP_HINT || !any)
    same(at, rq.addr);
  lo = ((int64_t)at - (int64_t)BASE) / (int64_t)PAGE_SIZE; // outside where there was no room in the window
  for(int i = 0; i < (int)(rq.len / PAGE_SIZE); i++) {
    if(lo + i < 0 || lo + i >= PAGES)
      continue;
    m_clear(&p->page[lo + i]);
    p->page[lo + i] = (struct mpage){true, rq.prot, rq.maxprot, m_flags(rq.prot, rq.flags), obj, rq.pgoff + i, 0};
  }
  trim(p);
}

static void
op_unmap(struct mproc *p, int lo, int hi)
{
  if(happened(aspace_unmap(p->as, va_of(lo), va_of(hi)), 0))
    m_unmap(p, lo, hi);
}

static void
op_protect(struct mproc *p, int lo, int hi)
{
  static const int prots[] = {PROT_N, PROT_R, PROT_R | PROT_W, PROT_R | PROT_W, RWX, PROT_R | PROT_X};
  int prot = prots[rnd(6)], want = 0, end, r;

  for(end = lo; end < hi && want == 0; end++) {
    if(!p->page[end].mapped)
      want = -ENOMEM;
    else if(prot & ~p->page[end].maxprot)
      want = -EACCES;
  }
  if(want)
    end--;
  if(want == -ENOMEM && short_of_memory)
    return; // one could not tell why
  r = aspace_protect(p->as, va_of(lo), va_of(hi), prot, false);
  if(r == -ENOMEM && short_of_memory)
    return;
  same(r, want);
  for(int i = lo; i < end; i++) {
    if(!(p->page[i].prot & PROT_W))
      p->page[i].flags = m_flags(prot, p->page[i].flags);
    p->page[i].prot = prot;
  }
}

static void
op_write(struct mproc *p, int lo, int hi)
{
  static uint8_t buf[PAGES * PAGE_SIZE];
  vaddr_t va = va_of(lo) + rnd(PAGE_SIZE);
  size_t n = 1 + rnd(rnd(2) ? 64 : (hi - lo) * PAGE_SIZE), done = 0, ok = 0;
  int want = 0, r;

  n = min(n, va_of(PAGES) - va);
  memset(buf, rnd(256), n);
  buf[0] = rnd(256);
  r = copyout(p->as, va, buf, n, &done);
  while(ok < n && want == 0) {
    int i = (va + ok - BASE) / PAGE_SIZE;
    size_t k = min(n - ok, PAGE_SIZE - ((va + ok) & (PAGE_SIZE - 1)));

    want = m_access(&p->page[i], PROT_W) ? -EFAULT : 0;
    if(want)
      break;
    if(ok < done)
      memcpy(m_writable(&p->page[i]) + ((va + ok) & (PAGE_SIZE - 1)), buf + ok, k);
    ok += k;
  }
  if(r == -ENOMEM && short_of_memory)
    return; // `done` bytes were written, as the model has it
  same(r, want);
  same(done, ok);
}

static void
op_cpu(struct mproc *p, int lo, int hi)
{
  for(int n = 0; n < 12; n++) {
    int i = lo + rnd(hi - lo), off = rnd(PAGE_SIZE), store_ = rnd(2), r;
    uint8_t v = rnd(256);

    r = store_ ? fake_cpu_store(p->as, va_of(i) + off, v) : fake_cpu_load(p->as, va_of(i) + off, &v);
    if(!happened(r, m_access(&p->page[i], store_ ? PROT_W : PROT_R)))
      continue;
    if(store_)
      m_writable(&p->page[i])[off] = v;
    else
      same(v, m_bytes(&p->page[i])[off]);
  }
}

static void
op_fork(struct mproc *p)
{
  struct mproc *c = procs;

  while(c < procs + PROCS && c->as)
    c++;
  if(c == procs + PROCS || !happened(aspace_fork(p->as, &c->as), 0))
    return;
  for(int i = 0; i < PAGES; i++) {
    struct mpage *to = &c->page[i], *from = &p->page[i];

    if(!from->mapped || (from->flags & REGION_DONTFORK))
      continue;
    *to = *from;
    to->own = 0;
    if(from->own && !(from->flags & REGION_WIPEONFORK)) {
      to->own = malloc(PAGE_SIZE);
      memcpy(to->own, from->own, PAGE_SIZE);
    }
  }
}

static void
op_exit(struct mproc *p)
{
  int alive = 0;

  for(int k = 0; k < PROCS; k++)
    alive += procs[k].as != 0;
  if(alive < 2)
    return;
  aspace_unuse(p->as);
  p->as = 0;
  m_unmap(p, 0, PAGES);
}

static void
op_discard(struct mproc *p, int lo, int hi)
{
  int r = aspace_discard(p->as, va_of(lo), va_of(hi));

  same(r, m_all(p, lo, hi) ? 0 : -ENOMEM);
  for(int i = lo; i < hi; i++) {
    free(p->page[i].own);
    p->page[i].own = 0;
  }
}

static void
op_flags(struct mproc *p, int lo, int hi)
{
  static const struct {
    int advice, set, clear;
  } a[] = {{0, 0, REGION_RAND | REGION_SEQ},
           {1, REGION_RAND, REGION_SEQ},
           {2, REGION_SEQ, REGION_RAND},
           {10, REGION_DONTFORK, 0},
           {11, 0, REGION_DONTFORK},
           {18, REGION_WIPEONFORK, 0},
           {19, 0, REGION_WIPEONFORK},
           {3, 0, 0},
           {20, 0, 0}};
  int k = rnd(array_len(a)), want = m_all(p, lo, hi) ? 0 : -ENOMEM, end = hi, r;

  for(int i = lo; i < hi && a[k].set == REGION_WIPEONFORK; i++)
    if(p->page[i].mapped && p->page[i].obj != NONE) {
      want = -EINVAL;
      hi = i; // what lies before is done
    }
  if(want == -ENOMEM && short_of_memory)
    return;
  r = aspace_advise(p->as, va_of(lo), va_of(end), a[k].advice);
  if(r == -ENOMEM && short_of_memory)
    return;
  same(r, want);
  for(int i = lo; i < hi; i++)
    if(p->page[i].mapped)
      p->page[i].flags = (p->page[i].flags & ~a[k].clear) | a[k].set;
}

static bool
m_uniform(const struct mproc *p, int lo, int hi)
{
  for(int i = lo; i + 1 < hi; i++)
    if(!m_joins(&p->page[i], &p->page[i + 1]))
      return false;
  return p->page[lo].mapped;
}

static int
remap_expect(struct mproc *p, int lo, int old, int new, int flags, int to)
{
  bool room = true;

  if((flags & (REMAP_FIXED | REMAP_DONTUNMAP)) && to < lo + old && lo < to + new)
    return -EINVAL;
  if(!p->page[lo].mapped)
    return -EFAULT;
  if(old == 0 && !(p->page[lo].flags & REGION_SHARED))
    return -EINVAL;
  if(new <= old && !(flags & (REMAP_FIXED | REMAP_DONTUNMAP)))
    return 0;
  if(old && !m_uniform(p, lo, lo + min(old, new)))
    return -EFAULT;
  if(flags & REMAP_MAYMOVE)
    return 0;
  room = old && !m_any(p, lo + old, min(PAGES, lo + new)); // the window's end is no border
  return room ? 0 : -ENOMEM;
}

static void
remap_apply(struct mproc *p, int lo, int old, int new, int flags, vaddr_t at)
{
  struct mpage moved[PAGES * 2], last;
  int to = ((int64_t)at - (int64_t)BASE) / (int64_t)PAGE_SIZE, keep = min(old, new);

  for(int i = 0; i < keep; i++)
    moved[i] = p->page[lo + i];
  last = old ? p->page[lo + keep - 1] : p->page[lo];
  for(int i = keep; i < new; i++) {
    moved[i] = last;
    moved[i].own = 0;
    moved[i].idx = last.idx + (old ? i - keep + 1 : i);
  }
  for(int i = 0; i < old; i++) {
    if(i >= keep)
      m_clear(&p->page[lo + i]);
    else if(flags & REMAP_DONTUNMAP)
      p->page[lo + i].own = 0; // it went along
    else
      p->page[lo + i] = (struct mpage){.obj = NONE};
  }
  for(int i = 0; i < new; i++) {
    if(old && to != lo)
      moved[i].flags &= ~REGION_HEAP;
    if(to + i < 0 || to + i >= PAGES) {
      free(moved[i].own);
      continue;
    }
    m_clear(&p->page[to + i]);
    p->page[to + i] = moved[i];
  }
}

static void
op_remap(struct mproc *p, int lo, int hi)
{
  static const int kinds[] = {0,
                              REMAP_MAYMOVE,
                              REMAP_MAYMOVE,
                              REMAP_MAYMOVE | REMAP_FIXED,
                              REMAP_MAYMOVE | REMAP_FIXED,
                              REMAP_MAYMOVE | REMAP_DONTUNMAP,
                              REMAP_MAYMOVE | REMAP_DONTUNMAP | REMAP_FIXED};
  int flags = kinds[rnd(7)], old = hi - lo, new = flags &REMAP_DONTUNMAP ? old : 1 + (int)rnd(24), to = rnd(PAGES - 24),
      want, r;
  vaddr_t at = 0;

  if(rnd(12) == 0 && (flags & REMAP_MAYMOVE) && !(flags & REMAP_DONTUNMAP))
    old = 0;
  if(!(flags & REMAP_FIXED) && new < old && rnd(2))
    new = old + 1 + rnd(8);
  while(old > 1 && rnd(4) && p->page[lo].mapped && !m_uniform(p, lo, lo + old))
    old--;
  if(flags & REMAP_DONTUNMAP)
    new = old;
  want = remap_expect(p, lo, old, new, flags, to);
  if(want == -ENOMEM && short_of_memory)
    return;
  r = aspace_remap(p->as, va_of(lo), old * PAGE_SIZE, new *PAGE_SIZE, flags, va_of(to), &at);
  if(!happened(r, want))
    return;
  if(flags & REMAP_FIXED)
    same(at, va_of(to));
  remap_apply(p, lo, old, new, flags, at);
  trim(p);
}

static void
op_brk(struct mproc *p)
{
  int start = (p->as->brk_start - BASE) / PAGE_SIZE, old = (page_up(p->as->brk) - BASE) / PAGE_SIZE;
  vaddr_t want = p->as->brk_start - 100 + rnd(20 * PAGE_SIZE), was = p->as->brk, now;
  int end = (page_up(want) - BASE) / PAGE_SIZE;
  bool ok = want >= p->as->brk_start && (end <= old || !m_any(p, old, end));

  now = aspace_brk(p->as, want);
  if(now == was && short_of_memory)
    return;
  same(now, ok ? want : was);
  if(!ok)
    return;
  if(end < old)
    m_unmap(p, max(end, start), old);
  for(int i = old; i < end; i++)
    p->page[i] = (struct mpage){true, PROT_R | PROT_W, RWX, REGION_HEAP | REGION_ACCOUNT, NONE, 0, 0};
}

static void
op_populate(struct mproc *p, int lo, int hi)
{
  int want = 0, r;

  for(int i = lo; i < hi && want == 0; i++) {
    struct mpage *m = &p->page[i];
    int access = (m->prot & PROT_W) && !(m->flags & REGION_SHARED) ? PROT_W : PROT_R;

    want = m->mapped ? m_access(m, access) : -ENOMEM;
    if(want == 0 && access == PROT_W)
      m_writable(m); // a store that changes nothing, but from now on the page is our own
  }
  r = aspace_populate(p->as, va_of(lo), va_of(hi), PROT_N);
  if(r == -ENOMEM && short_of_memory) { // how far it got is not to be seen: make the rest our own too
    frame_fail_after(0, false);
    short_of_memory = false;
    r = aspace_populate(p->as, va_of(lo), va_of(hi), PROT_N);
  }
  same(r, want);
}

static void
op_truncate(int k)
{
  uint64_t pages = rnd(3) ? OBJ_PAGES - rnd(8) : rnd(OBJ_PAGES + 1), old = obj_pages[k];

  if(k == SHM)
    mobj_truncate(objs[k], pages * PAGE_SIZE);
  else
    store_truncate(&store[k], pages * PAGE_SIZE);
  obj_pages[k] = pages;
  for(uint64_t i = min(pages, old); i < max(pages, old); i++)
    memset(bytes[k][i], 0, PAGE_SIZE);
  for(int c = 0; c < PROCS; c++) {
    for(int i = 0; i < PAGES; i++) {
      struct mpage *m = &procs[c].page[i];

      if(m->mapped && m->obj == k && m->own && m->idx >= pages) {
        free(m->own);
        m->own = 0;
      }
    }
  }
}

static void
op_punch(int k)
{
  uint64_t lo = rnd(OBJ_PAGES), hi = lo + 1 + rnd(OBJ_PAGES - lo);

  mobj_punch_begin(objs[k], lo, hi);
  if(k != SHM)
    memset(store[k].disk + lo * PAGE_SIZE, 0, (hi - lo) * PAGE_SIZE);
  mobj_punch_end(objs[k]);
  memset(bytes[k][lo], 0, (hi - lo) * PAGE_SIZE);
}

// Pages set aside behind the end are not seen before the object grows, and go when it does not.
static void
op_reserve(void)
{
  uint64_t idx = rnd(OBJ_PAGES + 8);

  happened(shm_reserve(objs[SHM], idx), 0);
}

static void
op_write_object(int k) // as write(2)
{
  struct page *pg;
  int off = rnd(PAGE_SIZE), r;
  uint64_t idx;

  if(obj_pages[k] == 0)
    return;
  idx = rnd(obj_pages[k]);
  r = mobj_page(objs[k], idx, FOR_WRITE, &pg);
  if(!happened(r, 0))
    return;
  ((uint8_t *)page_va(pg))[off] = bytes[k][idx][off] = rnd(256);
  mobj_dirty(objs[k], pg);
  page_busy_clear(pg);
  page_put(pg);
}

static void
op_object(struct mproc *p, int lo, int hi)
{
  int k = rnd(OBJS);

  switch(rnd(8)) {
  case 7: op_reserve(); break;
  case 0: op_truncate(k); break;
  case 1: op_punch(k); break;
  case 2: mobj_shrink(objs[k]); break;
  case 3: reclaim_now(8); break;
  case 4: op_write_object(k); break;
  case 5: same(aspace_sync(p->as, va_of(lo), va_of(hi), true), m_all(p, lo, hi) ? 0 : -ENOMEM); break;
  case 6:
    if(k != SHM) {
      same(mobj_sync(objs[k], 0, OBJ_PAGES), 0);
      same(memcmp(store[k].disk, bytes[k], obj_pages[k] * PAGE_SIZE), 0);
    }
    break;
  }
}

static void
step(void)
{
  struct mproc *p = &procs[rnd(PROCS)];
  int lo = rnd(PAGES - 25), hi = lo + 1 + rnd(24);

  if(p->as == 0)
    return;
  if(rnd(10) == 0) {
    kmem_drain();
    frame_fail_after(1 + rnd(6), true);
    short_of_memory = true;
  }
  op = rnd(24);
  switch(op) {
  case 0:
  case 1:
  case 2: op_map(p, lo, hi); break;
  case 3: op_unmap(p, lo, hi); break;
  case 4:
  case 5:
  case 6: op_protect(p, lo, hi); break;
  case 7:
  case 8:
  case 9:
  case 10: op_write(p, lo, hi); break;
  case 11:
  case 12:
  case 13:
  case 14: op_cpu(p, lo, hi); break;
  case 15: op_fork(p); break;
  case 16: op_exit(p); break;
  case 17: op_discard(p, lo, hi); break;
  case 18: op_flags(p, lo, hi); break;
  case 19:
  case 20: op_remap(p, lo, hi); break;
  case 21: op_brk(p); break;
  case 22: op_populate(p, lo, hi); break;
  case 23: op_object(p, lo, hi); break;
  }
  frame_fail_after(0, false);
  short_of_memory = false;
  if(p->as) {
    aspace_check(p->as);
    regions_match(p);
  }
}

static void
setup(uint64_t seed)
{
  rng = seed * 0x9e3779b97f4a7c15ull + 1;
  memset(procs, 0, sizeof procs);
  for(int k = 0; k < PROCS; k++)
    for(int i = 0; i < PAGES; i++)
      procs[k].page[i].obj = NONE;
  for(int k = 0; k < OBJS; k++) {
    bytes[k] = calloc(OBJ_PAGES, PAGE_SIZE);
    obj_pages[k] = OBJ_PAGES;
  }
  for(int k = 0; k < SHM; k++) {
    store_init(&store[k], OBJ_PAGES);
    objs[k] = &store[k].obj;
    for(int i = 0; i < OBJ_PAGES; i++)
      memset(bytes[k][i], i + k * 64 + 1, PAGE_SIZE);
    memcpy(store[k].disk, bytes[k], OBJ_PAGES * PAGE_SIZE);
  }
  objs[SHM] = shm_create(OBJ_PAGES * PAGE_SIZE, true);
  procs[0].as = aspace_create();
  procs[0].as->mmap_top = va_of(PAGES);
  procs[0].as->brk_start = procs[0].as->brk = va_of(60) + 100;
}

static void
teardown(void)
{
  for(int k = 0; k < PROCS; k++) {
    if(procs[k].as)
      aspace_unuse(procs[k].as);
    m_unmap(&procs[k], 0, PAGES);
  }
  for(int k = 0; k < OBJS; k++) {
    same(list_empty(&objs[k]->mappers), true);
    same(objs[k]->ref, 1);
    mobj_put(objs[k]);
    if(k < SHM)
      store_done(&store[k]);
    free(bytes[k]);
  }
}

static void
run(uint64_t seed, bool hostile)
{
  uint64_t before = fake_frames_free();

  fake_pmap_seed(hostile ? seed * 77 + 1 : 0);
  setup(seed);
  for(step_no = 0; step_no < STEPS; step_no++) {
    step();
    if(step_no % 16 == 0)
      check_all();
    if(step_no % 64 == 0)
      verify_all();
  }
  verify_all();
  check_all();
  teardown();
  same(vm_committed(), 0);
  same(fake_frames_free(), before);
}

TEST(model_random)
{
  char *s = getenv("SEED"), *many = getenv("SEEDS");
  uint64_t first = s ? strtoull(s, 0, 0) : 1, n = many ? strtoull(many, 0, 0) : s ? 1 : SEEDS;

  fake_frames_init(FRAMES);
  for(uint64_t seed = first; seed < first + n; seed++) {
    seed_now = seed;
    run(seed, seed % 4 != 0);
  }
}
