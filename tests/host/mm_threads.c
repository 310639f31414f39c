// mm_threads.c -- threads of one address space against each other: each maps, protects, moves, discards and forks in a
// window of its own and knows what must be there; all store into common pages, each to a byte of its own, which forks
// of everybody keep turning into copies; others write back, reclaim, truncate and check. Under ThreadSanitizer, a page
// that is copied while some CPU may still store to it is a data race.
#include <stdlib.h>
#include <string.h>
#include "fake_frames.h"
#include "fake_pmap.h"
#include "fake_thread.h"
#include "mm_store.h"
#include "test.h"

enum {
  WORKERS = 4,
  WINDOW = 24,
  COMMON = 8,
  FILE_PAGES = 32,
  ROUNDS = 6000,
  DELAY = 30,
  FRAMES = 16384,
  RW = PROT_R | PROT_W
};
static const vaddr_t OWN = 0x40000000ull - 40 * PAGE_SIZE, SHARED_AT = 0x50000000,
                     FILE_AT = 0x50200000 - 16 * PAGE_SIZE, CUT_AT = 0x51000000;

static struct aspace *as;
static struct store file, cut;
static int working; // (a)

static unsigned
rnd(uint64_t *s, unsigned n)
{
  *s ^= *s << 13;
  *s ^= *s >> 7;
  *s ^= *s << 17;
  return (*s >> 16) % n;
}

static void
must(long long got, long long want, const char *what)
{
  if(got == want)
    return;
  test_fail(__FILE__, __LINE__, "%s: %lld, not %lld", what, got, want);
  abort();
}

struct worker {
  int me;
  uint64_t rng;
  vaddr_t base;
  uint8_t own[WINDOW];    // byte 0 of each page
  int prot[WINDOW];       // -1: not mapped
  uint8_t common[COMMON]; // our byte of each common page
  uint8_t file[FILE_PAGES];
};

static void
load_is(struct aspace *space, vaddr_t va, uint8_t want, const char *what)
{
  uint8_t v = 0;

  must(fake_cpu_load(space, va, &v), 0, what);
  must(v, want, what);
}

static void
map(vaddr_t at, int pages, int prot, int flags, struct mobj *obj)
{
  struct map_request rq = {
      .addr = at, .len = pages * PAGE_SIZE, .prot = prot, .maxprot = RW, .flags = flags, .how = MAP_EXACT};
  vaddr_t got;

  rq.obj = obj;
  must(aspace_map(as, &rq, &got), 0, "map");
}

static void
touch_own(struct worker *w, int i)
{
  vaddr_t va = w->base + i * PAGE_SIZE;
  uint8_t v = rnd(&w->rng, 256);

  if(w->prot[i] < 0) {
    must(fake_cpu_load(as, va, &v), -EFAULT, "load of a hole");
  } else if(w->prot[i] == PROT_N) {
    must(fake_cpu_load(as, va, &v), -EACCES, "load of PROT_NONE");
  } else if(w->prot[i] == PROT_R) {
    must(fake_cpu_store(as, va, v), -EACCES, "store to read-only");
    load_is(as, va, w->own[i], "own page");
  } else {
    load_is(as, va, w->own[i], "own page");
    must(fake_cpu_store(as, va, v), 0, "own store");
    w->own[i] = v;
  }
}

static void
fork_and_look(struct worker *w)
{
  struct aspace *child;

  must(aspace_fork(as, &child), 0, "fork");
  for(int i = 0; i < WINDOW; i++)
    if(w->prot[i] > 0)
      load_is(child, w->base + i * PAGE_SIZE, w->own[i], "own page in the child");
  for(int i = 0; i < COMMON; i++) {
    load_is(child, SHARED_AT + i * PAGE_SIZE + w->me, w->common[i], "common page in the child");
    must(fake_cpu_store(child, SHARED_AT + i * PAGE_SIZE + w->me, 0), 0, "the child's store");
  }
  if(rnd(&w->rng, 4) == 0)
    aspace_check(child);
  aspace_unuse(child);
}

static void
change_own(struct worker *w, int i, int n)
{
  static const int prots[] = {PROT_N, PROT_R, RW, RW};
  vaddr_t lo = w->base + i * PAGE_SIZE, hi = lo + n * PAGE_SIZE;
  int how = rnd(&w->rng, 5), prot = prots[rnd(&w->rng, 4)], r;

  if(how == 0) {
    must(aspace_unmap(as, lo, hi), 0, "unmap");
    memset(w->own + i, 0, n);
    for(int k = i; k < i + n; k++)
      w->prot[k] = -1;
  } else if(how == 1) {
    map(lo, n, RW, 0, 0);
    memset(w->own + i, 0, n);
    for(int k = i; k < i + n; k++)
      w->prot[k] = RW;
  } else if(how == 2) {
    r = aspace_discard(as, lo, hi);
    must(r == 0 || r == -ENOMEM, 1, "discard");
    memset(w->own + i, 0, n);
  } else {
    for(int k = i; k < i + n; k++)
      if(w->prot[k] < 0)
        return;
    must(aspace_protect(as, lo, hi, prot, false), 0, "protect");
    for(int k = i; k < i + n; k++)
      w->prot[k] = prot;
  }
}

static void
move_own(struct worker *w)
{
  int from = rnd(&w->rng, WINDOW), to = rnd(&w->rng, WINDOW);
  vaddr_t at;

  if(from == to || w->prot[from] < 0)
    return;
  must(aspace_remap(as, w->base + from * PAGE_SIZE, PAGE_SIZE, PAGE_SIZE, REMAP_MAYMOVE | REMAP_FIXED,
                    w->base + to * PAGE_SIZE, &at),
       0, "remap");
  w->own[to] = w->own[from];
  w->prot[to] = w->prot[from];
  w->own[from] = 0;
  w->prot[from] = -1;
}

static void
touch_common(struct worker *w)
{
  int i = rnd(&w->rng, COMMON), k = rnd(&w->rng, FILE_PAGES);

  load_is(as, SHARED_AT + i * PAGE_SIZE + w->me, w->common[i], "common page");
  must(fake_cpu_store(as, SHARED_AT + i * PAGE_SIZE + w->me, ++w->common[i]), 0, "common store");
  load_is(as, SHARED_AT + i * PAGE_SIZE + w->me, w->common[i], "common page again");
  load_is(as, FILE_AT + k * PAGE_SIZE + w->me, w->file[k], "file page");
  must(fake_cpu_store(as, FILE_AT + k * PAGE_SIZE + w->me, ++w->file[k]), 0, "file store");
}

// Private copies of the file that shrinks and grows: they go with its end, and what is there reads as zeros or as
// stored.
static void
touch_cut(struct worker *w)
{
  vaddr_t va = CUT_AT + rnd(&w->rng, 8) * PAGE_SIZE + w->me;
  uint8_t v = 0;
  int r = rnd(&w->rng, 2) ? fake_cpu_store(as, va, 1) : fake_cpu_load(as, va, &v);

  must(r == 0 || r == -EIO, 1, "access near the end");
  must(v == 0 || v == 1, 1, "byte near the end");
}

static void
work(struct worker *w)
{
  for(int round = 0; round < ROUNDS; round++) {
    int i = rnd(&w->rng, WINDOW), n = 1 + rnd(&w->rng, WINDOW - i);

    switch(rnd(&w->rng, 18)) {
    case 0: fork_and_look(w); break;
    case 12:
    case 13:
    case 14:
    case 15: touch_cut(w); break;
    case 1:
    case 2: change_own(w, i, n); break;
    case 3: move_own(w); break;
    case 4:
    case 5:
    case 6: touch_own(w, i); break;
    default: touch_common(w);
    }
  }
}

static void
write_back(uint64_t *rng)
{
  switch(rnd(rng, 8)) {
  case 0: must(mobj_sync(&file.obj, 0, FILE_PAGES), 0, "sync"); break;
  case 1: mobj_shrink(&file.obj); break;
  case 2: reclaim_now(4); break;
  case 3: aspace_check(as); break;
  default: store_truncate(&cut, rnd(rng, 9) * PAGE_SIZE); break;
  }
}

static void
thread(void *arg)
{
  struct worker w = {.me = (int)(intptr_t)arg, .rng = (intptr_t)arg * 0x9e3779b97f4a7c15ull + 99};

  w.base = OWN + w.me * WINDOW * PAGE_SIZE;
  for(int i = 0; i < WINDOW; i++)
    w.prot[i] = -1;
  if(w.me < WORKERS) {
    work(&w);
    __atomic_sub_fetch(&working, 1, __ATOMIC_SEQ_CST);
    return;
  }
  while(__atomic_load_n(&working, __ATOMIC_SEQ_CST) > 0)
    write_back(&w.rng);
}

TEST(threads)
{
  uint64_t before;

  fake_frames_init(FRAMES);
  fake_pmap_seed(4711);
  fake_pmap_delay = DELAY;
  fake_mode(FAKE_PTHREADS);
  before = fake_frames_free();
  as = aspace_create();
  store_init(&file, FILE_PAGES);
  store_init(&cut, 8);
  map(SHARED_AT, COMMON, RW, 0, 0);
  map(FILE_AT, FILE_PAGES, RW, REGION_SHARED, &file.obj);
  map(CUT_AT, 8, RW, 0, &cut.obj);
  working = WORKERS;
  fake_parallel(WORKERS + 1, thread);
  aspace_check(as);
  mobj_check(&file.obj);
  aspace_unuse(as);
  must(mobj_sync(&file.obj, 0, FILE_PAGES), 0, "last sync");
  mobj_put(&file.obj);
  mobj_put(&cut.obj);
  store_done(&file);
  store_done(&cut);
  kmem_drain();
  expect(before - fake_frames_free() < 64); // other CPUs' stocks are theirs
}
