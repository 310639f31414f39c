// mm_fail.c -- every allocation of every operation on an address space fails, one after the other: the n-th alone, and the
// n-th with all that follow it. Then the operation has worked, or says -ENOMEM and the space is what it was: the same
// regions, the same pages in the same slots, the same totals, and no entry that was not there (entries may be fewer: they
// are a cache). What an operation may have done of its range before memory ended is said at the operation. Nothing leaks.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fake_frames.h"
#include "fake_pmap.h"
#include "fake_thread.h"
#include "mm_store.h"
#include "test.h"

enum { FRAMES = 16384, RW = PROT_R | PROT_W, RWX = RW | PROT_X, SINGLY = 60, MOST = 4000 };
enum { FILE_PAGES = 64, SHM_PAGES = 32, STEP = 37 };
// in pages from AT
enum { ANON = 0, PRIVATE = 600, SHARED = 700, SHM = 800, LOCKED = 900, BRK = 1000, FREE = 1200, STACK = 1400 };
static const vaddr_t AT = 0x10000000;

#define must(x)                                                                                                        \
  do {                                                                                                                 \
    if(!(x)) {                                                                                                         \
      test_fail(__FILE__, __LINE__, "not so: %s", #x);                                                                 \
      abort();                                                                                                         \
    }                                                                                                                  \
  } while(0)

static struct store file;
static struct mobj *shm;
static uint64_t frames_before;

static vaddr_t
at(uint64_t page)
{
  return AT + page * PAGE_SIZE;
}

static int
map(struct aspace *as, uint64_t page, uint64_t pages, int flags, struct mobj *obj)
{
  struct map_request rq = {.addr = at(page), .len = pages * PAGE_SIZE, .prot = RW, .maxprot = RWX, .flags = flags};
  vaddr_t got;

  rq.how = MAP_EXACT;
  rq.obj = obj;
  return aspace_map(as, &rq, &got);
}

static struct aspace *
scene(void)
{
  struct aspace *as = aspace_create();

  store_init(&file, FILE_PAGES);
  shm = shm_create(SHM_PAGES * PAGE_SIZE, true);
  as->brk_start = as->brk = at(BRK);
  must(map(as, ANON, 600, 0, 0) == 0);
  must(map(as, PRIVATE, FILE_PAGES, 0, &file.obj) == 0);
  must(map(as, SHARED, FILE_PAGES, REGION_SHARED, &file.obj) == 0);
  must(map(as, SHM, SHM_PAGES, REGION_SHARED, shm) == 0);
  must(map(as, LOCKED, 4, REGION_LOCKED, 0) == 0);
  must(map(as, STACK, 1, REGION_GROWSDOWN | REGION_STACK, 0) == 0);
  must(aspace_brk(as, at(BRK + 3)) == at(BRK + 3));
  for(int i = 0; i < 600; i += STEP)
    must(fake_cpu_store(as, at(ANON + i), i) == 0);
  for(int i = 0; i < FILE_PAGES; i += 5) {
    must(fake_cpu_store(as, at(PRIVATE + i), i) == 0);
    must(fake_cpu_store(as, at(SHARED + i), i) == 0);
  }
  must(fake_cpu_store(as, at(SHM + 3), 3) == 0);
  must(fake_cpu_store(as, at(BRK + 1), 7) == 0);
  return as;
}

static void
scene_end(struct aspace *as)
{
  aspace_unuse(as);
  mobj_put(&file.obj);
  store_done(&file);
  mobj_put(shm);
}

// ---- what a space is

struct dump {
  uint64_t totals[8];
  int nregions, npages;
  struct region region[32];
  struct {
    vaddr_t va;
    struct page *slot, *entry;
    int prot;
  } page[MOST];
};

static void
dump_pages(struct aspace *as, struct region *r, struct dump *d)
{
  for(vaddr_t va = r->start; va < r->end; va += PAGE_SIZE) {
    struct spinlock *l = aspace_slot_lock(as, va);
    struct page *slot, *entry;
    int prot = 0;

    spin_acquire(l);
    slot = anon_get(as, va);
    entry = pmap_peek(as->pmap, va, &prot, 0);
    spin_release(l);
    if(slot == 0 && entry == 0)
      continue;
    must(d->npages < MOST);
    d->page[d->npages].va = va;
    d->page[d->npages].slot = slot;
    d->page[d->npages].entry = entry;
    d->page[d->npages++].prot = prot;
  }
}

static void
dump(struct aspace *as, struct dump *d)
{
  memset(d, 0, sizeof(*d));
  rw_read(&as->lock);
  memcpy(d->totals,
         (uint64_t[]){as->nregions, as->total_pages, as->data_pages, as->locked_pages, as->stack_pages, as->brk,
                      as->map_flags, as->nanon},
         sizeof(d->totals));
  for(struct region *r = region_find_from(as, 0); r; r = region_next(r)) {
    must(d->nregions < 32);
    d->region[d->nregions++] = *r;
    dump_pages(as, r, d);
  }
  rw_read_release(&as->lock);
}

static bool
region_same(const struct region *a, const struct region *b)
{
  return a->start == b->start && a->end == b->end && a->pgoff == b->pgoff && a->obj == b->obj && a->tag == b->tag &&
         a->prot == b->prot && a->maxprot == b->maxprot && a->flags == b->flags;
}

// What of `is` was not so in `was`; 0: nothing. `more`: slots and entries may have been added.
static const char *
difference(const struct dump *was, const struct dump *is, bool more)
{
  int k = 0;

  if(was->nregions != is->nregions)
    return "the number of regions";
  for(int i = 0; i < was->nregions; i++)
    if(!region_same(&was->region[i], &is->region[i]))
      return "a region";
  if(memcmp(was->totals, is->totals, sizeof(was->totals) - (more ? sizeof(uint64_t) : 0)) != 0)
    return "a total";
  for(int i = 0; i < was->npages; i++) {
    while(k < is->npages && is->page[k].va < was->page[i].va)
      k++;
    if(was->page[i].slot &&
       (k == is->npages || is->page[k].va != was->page[i].va || is->page[k].slot != was->page[i].slot))
      return "a page that is gone";
  }
  for(int i = k = 0; i < is->npages && !more; i++) {
    while(k < was->npages && was->page[k].va < is->page[i].va)
      k++;
    if(k == was->npages || was->page[k].va != is->page[i].va)
      return "a page that has come";
    if(is->page[i].entry && (was->page[k].entry != is->page[i].entry || (is->page[i].prot & ~was->page[k].prot)))
      return "an entry";
  }
  return 0;
}

// ---- the operations

static int
try_map(struct aspace *as)
{
  return map(as, ANON + 10, 20, 0, &file.obj);
}

static int
try_map_new(struct aspace *as)
{
  return map(as, FREE, 20, REGION_SHARED, shm);
}

static int
try_unmap(struct aspace *as)
{
  return aspace_unmap(as, at(ANON + 10), at(ANON + 590));
}

static int
try_unmap_many(struct aspace *as)
{
  return aspace_unmap(as, at(PRIVATE + 10), at(SHM + 10));
}

static bool
any_tag(const void *tag)
{
  return true;
}

static int
try_detach(struct aspace *as) // shmdt: allocates nothing; nothing is attached here
{
  return aspace_unmap_attached(as, at(SHM), any_tag) == -EINVAL ? 0 : -EIO;
}

static int
try_protect(struct aspace *as)
{
  return aspace_protect(as, at(ANON + 10), at(ANON + 20), PROT_R, false);
}

static int
try_move(struct aspace *as)
{
  vaddr_t got;

  return aspace_remap(as, at(ANON), 600 * PAGE_SIZE, 600 * PAGE_SIZE, REMAP_MAYMOVE | REMAP_FIXED,
                      AT * 7 + 33 * PAGE_SIZE, &got);
}

static int
try_move_part(struct aspace *as)
{
  vaddr_t got;

  return aspace_remap(as, at(PRIVATE + 3), 20 * PAGE_SIZE, 20 * PAGE_SIZE, REMAP_MAYMOVE | REMAP_DONTUNMAP, 0, &got);
}

static int
try_grow(struct aspace *as)
{
  vaddr_t got;

  return aspace_remap(as, at(SHM), SHM_PAGES * PAGE_SIZE, 2 * SHM_PAGES * PAGE_SIZE, REMAP_MAYMOVE, 0, &got);
}

static int
try_double(struct aspace *as)
{
  vaddr_t got;

  return aspace_remap(as, at(SHM), 0, PAGE_SIZE, REMAP_MAYMOVE, 0, &got);
}

static int
try_shrink(struct aspace *as)
{
  vaddr_t got;

  return aspace_remap(as, at(SHARED), 40 * PAGE_SIZE, 9 * PAGE_SIZE, 0, 0, &got);
}

static int
try_brk(struct aspace *as)
{
  vaddr_t want = as->brk + PAGE_SIZE;

  return aspace_brk(as, want) == want ? 0 : -ENOMEM;
}

static int
try_brk_less(struct aspace *as)
{
  return aspace_brk(as, at(BRK + 1)) == at(BRK + 1) ? 0 : -ENOMEM;
}

static int
try_fork(struct aspace *as)
{
  struct aspace *child;
  int r = aspace_fork(as, &child);

  if(r == 0) {
    aspace_check(child);
    aspace_unuse(child);
  }
  return r;
}

static int
try_store(struct aspace *as)
{
  return fake_cpu_store(as, at(ANON + 5), 1);
}

static int
try_store_private(struct aspace *as)
{
  return fake_cpu_store(as, at(PRIVATE + 1), 1);
}

static int
try_store_shared(struct aspace *as)
{
  return fake_cpu_store(as, at(SHARED + 1), 1);
}

static int
try_store_shm(struct aspace *as)
{
  return fake_cpu_store(as, at(SHM + 9), 1);
}

static int
try_stack(struct aspace *as)
{
  return fake_cpu_store(as, at(STACK - 5), 1);
}

static int
try_load(struct aspace *as)
{
  uint8_t v;

  return fake_cpu_load(as, at(PRIVATE + FILE_PAGES - 1), &v);
}

static int
try_advise(struct aspace *as)
{
  return aspace_advise(as, at(ANON + 10), at(ANON + 20), 1); // MADV_RANDOM: a split
}

static int
try_dontneed(struct aspace *as)
{
  return aspace_discard(as, at(ANON), at(ANON + 600));
}

static int
try_remove(struct aspace *as)
{
  return aspace_advise(as, at(SHM), at(SHM + 8), 9); // MADV_REMOVE
}

static int
try_willneed(struct aspace *as)
{
  return aspace_advise(as, at(PRIVATE), at(PRIVATE + FILE_PAGES), 3); // as much as there is memory for
}

static int
try_populate(struct aspace *as)
{
  return aspace_advise(as, at(ANON), at(ANON + 60), 23); // MADV_POPULATE_WRITE
}

static int
try_mlock(struct aspace *as)
{
  return aspace_set_flags(as, at(ANON + 30), at(ANON + 40), REGION_LOCKED, 0);
}

static int
try_munlock(struct aspace *as)
{
  return aspace_set_flags(as, at(LOCKED + 1), at(LOCKED + 2), 0, REGION_LOCKED);
}

static int
try_mseal(struct aspace *as)
{
  return aspace_set_flags(as, at(PRIVATE + 1), at(PRIVATE + 2), REGION_SEALED, 0);
}

static int
try_msync(struct aspace *as)
{
  return aspace_sync(as, at(SHARED), at(SHARED + FILE_PAGES), true);
}

static int
try_mincore(struct aspace *as)
{
  uint8_t vec[FILE_PAGES];

  return aspace_resident(as, at(SHARED), at(SHARED + FILE_PAGES), vec);
}

static int
try_copyout(struct aspace *as)
{
  static char bytes[3 * PAGE_SIZE];

  return copyout(as, at(ANON + 100) + 5, bytes, sizeof(bytes), 0);
}

static int
try_reserve(struct aspace *as)
{
  return shm_reserve(shm, SHM_PAGES - 1);
}

static int
try_create(struct aspace *as)
{
  struct aspace *other = aspace_create();
  struct mobj *obj = other ? shm_create(PAGE_SIZE, true) : 0;

  if(obj)
    mobj_put(obj);
  if(other)
    aspace_unuse(other);
  return obj ? 0 : -ENOMEM;
}

static int
try_pin(struct aspace *as)
{
  struct page *pg;
  int r = pin(as, at(ANON + 201), FOR_WRITE, &pg);

  if(r == 0)
    page_put(pg);
  return r;
}

// NOTHING: it allocates nothing. SOME: pages that came before memory ended stay. GROWS: the stack has grown by then.
enum { ALL_OR_NOTHING, NOTHING, SOME, GROWS };
static const struct {
  const char *name;
  int (*op)(struct aspace *);
  int how;
} ops[] = {{"mmap over what is there", try_map, 0},
           {"mmap", try_map_new, 0},
           {"munmap", try_unmap, 0},
           {"munmap of many", try_unmap_many, 0},
           {"shmdt", try_detach, NOTHING},
           {"mprotect", try_protect, 0},
           {"mremap, moving", try_move, 0},
           {"mremap, leaving behind", try_move_part, 0},
           {"mremap, growing", try_grow, 0},
           {"mremap, doubling", try_double, 0},
           {"mremap, shrinking", try_shrink, 0},
           {"brk", try_brk, 0},
           {"brk, back", try_brk_less, 0},
           {"fork", try_fork, 0},
           {"store to a new page", try_store, 0},
           {"store to a file's private page", try_store_private, SOME}, // it may be in the cache then
           {"store to a file's page", try_store_shared, NOTHING},
           {"store to shared memory", try_store_shm, SOME},
           {"store below the stack", try_stack, GROWS},
           {"load", try_load, SOME},
           {"madvise, a split", try_advise, 0},
           {"madvise DONTNEED", try_dontneed, NOTHING},
           {"madvise REMOVE", try_remove, NOTHING},
           {"madvise WILLNEED", try_willneed, SOME}, // as much as there is memory for
           {"madvise POPULATE_WRITE", try_populate, SOME},
           {"mlock", try_mlock, 0},
           {"munlock", try_munlock, 0},
           {"mseal", try_mseal, 0},
           {"msync", try_msync, NOTHING},
           {"mincore", try_mincore, NOTHING},
           {"copyout", try_copyout, SOME},
           {"fallocate of shared memory", try_reserve, 0},
           {"a new space, and shared memory", try_create, 0},
           {"pin", try_pin, SOME}};

static int tried, refused;

// One failure: is there an n-th allocation?
static bool
fail_one(int k, int n, bool all)
{
  static struct dump was, is;
  struct aspace *as = scene();
  const char *diff = 0;
  bool hit;
  int r;

  kmem_drain();
  dump(as, &was);
  frame_fail_after(n, all);
  r = ops[k].op(as);
  hit = frame_fail_came();
  frame_fail_after(0, false);
  if(r != 0 && r != -ENOMEM)
    test_fail(__FILE__, __LINE__, "%s, allocation %d: %d", ops[k].name, n, r);
  if(r != 0 && !hit)
    test_fail(__FILE__, __LINE__, "%s: -ENOMEM without a failure", ops[k].name);
  aspace_check(as);
  mobj_check(&file.obj);
  mobj_check(shm);
  dump(as, &is);
  if(r == -ENOMEM && ops[k].how != GROWS)
    diff = difference(&was, &is, ops[k].how == SOME);
  if(diff)
    test_fail(__FILE__, __LINE__, "%s, allocation %d%s: it says -ENOMEM, and %s has changed", ops[k].name, n,
              all ? " and all behind it" : "", diff);
  scene_end(as);
  if(fake_frames_free() != frames_before)
    test_fail(__FILE__, __LINE__, "%s, allocation %d: frames have leaked", ops[k].name, n);
  tried += hit;
  refused += r == -ENOMEM;
  return hit;
}

TEST(every_allocation_fails_once)
{
  fake_frames_init(FRAMES);
  fake_pmap_seed(0);
  scene_end(scene());
  frames_before = fake_frames_free();
  for(int k = 0; k < (int)array_len(ops); k++) {
    int n = 1, before = tried;

    while(fail_one(k, n, true))
      n++;
    while(n-- > 1)
      fail_one(k, n, false);
    if((tried == before) != (ops[k].how == NOTHING))
      test_fail(__FILE__, __LINE__, "%s: %d allocations", ops[k].name, tried - before);
  }
  printf("  %d allocations of %d operations failed, %d of these with -ENOMEM\n", tried, (int)array_len(ops), refused);
}
