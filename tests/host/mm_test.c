// mm_test.c -- the upper half of mm, one behaviour at a time; mm_model.c tries them all at random.
#include <stdlib.h>
#include <string.h>
#include "fake_frames.h"
#include "fake_pmap.h"
#include "fake_thread.h"
#include "mm_store.h"
#include "test.h"

enum { FRAMES = 16384, RW = PROT_R | PROT_W, RWX = RW | PROT_X };
static const vaddr_t AT = 0x10000000;

static uint64_t frames_before;

static struct aspace *
begin(void)
{
  fake_frames_init(FRAMES);
  fake_pmap_seed(0);
  frames_before = fake_frames_free();
  return aspace_create();
}

static void
end(struct aspace *as)
{
  aspace_check(as);
  aspace_unuse(as);
}

static void
no_leak(void)
{
  expect_eq(fake_frames_free(), frames_before);
}

static int
map_at(struct aspace *as, vaddr_t at, uint64_t pages, int prot, int flags, struct mobj *obj)
{
  struct map_request rq = {.addr = at, .len = pages * PAGE_SIZE, .prot = prot, .maxprot = RWX, .flags = flags};
  vaddr_t got;

  rq.how = MAP_EXACT;
  rq.obj = obj;
  return aspace_map(as, &rq, &got);
}

static vaddr_t
map_any(struct aspace *as, uint64_t pages, int prot, int flags)
{
  struct map_request rq = {.len = pages * PAGE_SIZE, .prot = prot, .maxprot = RWX, .flags = flags};
  vaddr_t got = 0;

  return aspace_map(as, &rq, &got) == 0 ? got : 0;
}

static int
poke(struct aspace *as, vaddr_t va, uint8_t v)
{
  return fake_cpu_store(as, va, v);
}

static int
peek(struct aspace *as, vaddr_t va)
{
  uint8_t v;
  int r = fake_cpu_load(as, va, &v);

  return r ? r : v;
}

// ---- regions

enum { MAP_PAGES = 4096 };

// Brute force: the highest start of `len` free pages below `top`, guard gaps included; -1: none.
static long
room_brute(const uint8_t *busy, long len, long top)
{
  long run = 0;

  for(long i = top - 1; i >= 16; i--) {
    run = busy[i] ? 0 : run + 1;
    if(run >= len)
      return i;
  }
  return -1;
}

TEST(room_is_the_highest_that_fits)
{
  struct aspace *as = begin();
  static uint8_t busy[MAP_PAGES], taken[MAP_PAGES];
  long guard = STACK_GUARD / PAGE_SIZE, base;

  srandom(7);
  for(int round = 0; round < 3000; round++) {
    long lo = 16 + random() % (MAP_PAGES - 80), n = 1 + random() % 60, want = 1 + random() % 400,
         top = 400 + random() % 3600;
    vaddr_t got;

    if(random() % 2) {
      expect_eq(map_at(as, lo * PAGE_SIZE, n, 1 + random() % 3, random() % 8 ? 0 : REGION_GROWSDOWN, 0), 0);
    } else
      expect_eq(aspace_unmap(as, lo * PAGE_SIZE, (lo + n) * PAGE_SIZE), 0);
    memset(taken, 0, sizeof taken);
    memset(busy, 0, sizeof busy);
    base = 0;
    rw_read(&as->lock);
    for(struct region *r = region_find_from(as, 0); r; r = region_next(r)) {
      long s = r->start / PAGE_SIZE, e = r->end / PAGE_SIZE;

      memset(taken + s, 1, e - s);
      memset(busy + s, 1, e - s);
      if(r->flags & REGION_GROWSDOWN)
        for(long i = s - 1, n = 0; i >= base && n < guard; i--, n++)
          busy[i] = 1;
      base = e;
    }
    for(long i = 16; i < MAP_PAGES; i++)
      if((region_find(as, i * PAGE_SIZE) != 0) != taken[i])
        test_fail(__FILE__, __LINE__, "round %d page %ld", round, i);
    got = region_find_room(as, want * PAGE_SIZE, 16 * PAGE_SIZE, top * PAGE_SIZE);
    rw_read_release(&as->lock);
    expect_eq(got ? (long)(got / PAGE_SIZE) : -1, room_brute(busy, want, top));
    aspace_check(as);
  }
  end(as);
  no_leak();
}

TEST(neighbours_are_one_region)
{
  struct aspace *as = begin();

  for(int i = 0; i < 2000; i++)
    expect_eq(map_at(as, AT + (i * 7 % 2000) * PAGE_SIZE, 1, RW, 0, 0), 0);
  expect_eq(as->nregions, 1);
  expect_eq(aspace_protect(as, AT + PAGE_SIZE, AT + 2 * PAGE_SIZE, PROT_R, false), 0);
  expect_eq(as->nregions, 3);
  expect_eq(aspace_protect(as, AT, AT + 9 * PAGE_SIZE, RW, false), 0);
  expect_eq(as->nregions, 1);
  end(as);
  no_leak();
}

TEST(too_many_regions)
{
  struct aspace *as = begin();
  uint64_t was = vm_max_map_count;

  vm_max_map_count = 10;
  for(int i = 0; i < 9; i++)
    expect_eq(map_at(as, AT + 2 * i * PAGE_SIZE * 4, 4, RW, 0, 0), 0);
  expect_eq(aspace_unmap(as, AT + PAGE_SIZE, AT + 2 * PAGE_SIZE), 0);
  expect_eq(as->nregions, 10);
  expect_eq(aspace_unmap(as, AT + 9 * PAGE_SIZE, AT + 10 * PAGE_SIZE), -ENOMEM);
  expect_eq(aspace_protect(as, AT + 9 * PAGE_SIZE, AT + 10 * PAGE_SIZE, PROT_R, false), -ENOMEM);
  expect_eq(map_at(as, AT + (1 << 20) * PAGE_SIZE, 4, RW, 0, 0), -ENOMEM);
  expect_eq(as->nregions, 10);
  vm_max_map_count = was;
  end(as);
  no_leak();
}

TEST(size_costs_nothing)
{
  struct aspace *as = begin();
  uint64_t before = fake_frames_free();
  uint64_t tib64 = 1ull << (46 - PAGE_SHIFT);
  vaddr_t at = map_any(as, tib64, RW, REGION_NORESERVE);

  need(at != 0);
  expect(before - fake_frames_free() <= 1); // the slab of the region
  expect_eq(poke(as, at + (tib64 / 2) * PAGE_SIZE, 5), 0);
  expect(before - fake_frames_free() <= 5);
  expect_eq(aspace_unmap(as, at, at + tib64 * PAGE_SIZE), 0);
  expect_eq(map_any(as, tib64, RW, 0), 0); // more than there is
  expect_eq(map_any(as, tib64, PROT_R, 0) != 0, 1);
  end(as);
  no_leak();
}

// ---- limits, errors

TEST(limits)
{
  struct aspace *as = begin();

  as->limit.as = 10 * PAGE_SIZE;
  expect_eq(map_at(as, AT, 11, RW, 0, 0), -ENOMEM);
  expect_eq(map_at(as, AT, 10, RW, 0, 0), 0);
  expect_eq(map_at(as, AT, 10, RW, 0, 0), 0); // replaces
  expect_eq(map_at(as, AT + 32 * PAGE_SIZE, 1, RW, 0, 0), -ENOMEM);
  as->limit.as = UINT64_MAX;
  as->limit.data = 12 * PAGE_SIZE;
  expect_eq(map_at(as, AT + 32 * PAGE_SIZE, 3, RW, 0, 0), -ENOMEM);
  expect_eq(map_at(as, AT + 32 * PAGE_SIZE, 3, PROT_R, 0, 0), 0);
  expect_eq(aspace_protect(as, AT + 32 * PAGE_SIZE, AT + 35 * PAGE_SIZE, RW, false), -ENOMEM);
  as->limit.memlock = 2 * PAGE_SIZE;
  expect_eq(map_at(as, AT + 64 * PAGE_SIZE, 3, PROT_R, REGION_LOCKED, 0), -EAGAIN);
  expect_eq(map_at(as, 0x1000, 1, RW, 0, 0), -EPERM);
  expect_eq(map_at(as, USER_TOP - PAGE_SIZE, 2, RW, 0, 0), -ENOMEM);
  end(as);
  no_leak();
}

TEST(fault_errors)
{
  struct aspace *as = begin();
  struct store st;
  uint64_t word;

  store_init(&st, 8);
  expect_eq(map_at(as, AT, 10, RW, REGION_SHARED, &st.obj), 0);
  expect_eq(map_at(as, AT + 16 * PAGE_SIZE, 2, PROT_R, 0, 0), 0);
  expect_eq(map_at(as, AT + 32 * PAGE_SIZE, 2, PROT_N, 0, 0), 0);
  expect_eq(map_at(as, AT + 48 * PAGE_SIZE, 2, PROT_W, 0, 0), 0);
  expect_eq(peek(as, AT - 1), -EFAULT);
  expect_eq(poke(as, AT + 16 * PAGE_SIZE, 1), -EACCES);
  expect_eq(fault(as, AT + 16 * PAGE_SIZE, PROT_X, 0), -EACCES);
  expect_eq(peek(as, AT + 32 * PAGE_SIZE), -EACCES);
  expect_eq(peek(as, AT + 48 * PAGE_SIZE), 0);
  expect_eq(peek(as, AT + 8 * PAGE_SIZE), -EIO);
  expect_eq(fault(as, USER_TOP, PROT_R, 0), -EFAULT);
  st.fail_fill = 1;
  expect_eq(peek(as, AT), -EIO);
  expect_eq(peek(as, AT), 0);
  st.fail_makewrite = 1;
  expect_eq(poke(as, AT, 1), -EIO);
  expect_eq(poke(as, AT, 1), 0);
  expect_eq(copyin(as, &word, AT + 8 * PAGE_SIZE - 4, 8, 0), -EFAULT);
  expect_eq(copyin(as, &word, USER_TOP - 4, 8, 0), -EFAULT);
  fake_signal(0, true);
  expect_eq(aspace_populate(as, AT, AT + 8 * PAGE_SIZE, PROT_R), -EINTR);
  fake_signal_clear(0);
  end(as);
  mobj_put(&st.obj);
  store_done(&st);
  no_leak();
}

// ---- stacks and heap

TEST(stack_grows_to_its_limit)
{
  struct aspace *as = begin();
  vaddr_t top = 0x40000000;

  as->limit.stack = 1 << 20;
  expect_eq(map_at(as, top - PAGE_SIZE, 1, RW, REGION_GROWSDOWN | REGION_STACK, 0), 0);
  expect_eq(poke(as, top - 100000, 9), 0);
  expect_eq(as->stack_pages, 25);
  expect_eq(poke(as, top - (1 << 20), 9), 0);
  expect_eq(poke(as, top - (1 << 20) - 1, 9), -EFAULT);
  expect_eq(as->nregions, 1);
  as->limit.stack = UINT64_MAX;
  as->limit.as = 300 * PAGE_SIZE;
  expect_eq(poke(as, top - (2 << 20), 9), -EFAULT);
  as->limit.as = UINT64_MAX;
  expect_eq(map_at(as, top - (4 << 20), 1, RW, 0, 0), 0);
  expect_eq(poke(as, top - (3 << 20) + PAGE_SIZE, 9), 0);
  expect_eq(poke(as, top - (3 << 20), 9), -EFAULT); // the guard gap
  expect_eq(map_at(as, top - (4 << 20), 1, PROT_N, 0, 0), 0);
  expect_eq(poke(as, top - (3 << 20), 9), 0);
  expect_eq(peek(as, top - 100000), 9);
  end(as);
  no_leak();
}

TEST(heap)
{
  struct aspace *as = begin();

  as->brk_start = as->brk = AT + 10;
  expect_eq(aspace_brk(as, 0), AT + 10);
  expect_eq(aspace_brk(as, AT + 100), AT + 100);
  expect_eq(aspace_brk(as, AT + 5 * PAGE_SIZE), AT + 5 * PAGE_SIZE);
  expect_eq(poke(as, AT + 4 * PAGE_SIZE, 3), 0);
  expect_eq(map_at(as, AT + PAGE_SIZE, 1, PROT_N, 0, 0), 0); // musl's guard page inside the heap
  expect_eq(aspace_brk(as, AT + 7 * PAGE_SIZE), AT + 7 * PAGE_SIZE);
  expect_eq(as->nregions, 2);
  expect_eq(aspace_brk(as, AT + 3 * PAGE_SIZE), AT + 3 * PAGE_SIZE);
  expect_eq(aspace_brk(as, AT + 5 * PAGE_SIZE), AT + 5 * PAGE_SIZE);
  expect_eq(peek(as, AT + 4 * PAGE_SIZE), 0);
  expect_eq(map_at(as, AT + 8 * PAGE_SIZE, 1, RW, 0, 0), 0);
  expect_eq(aspace_brk(as, AT + 9 * PAGE_SIZE), AT + 5 * PAGE_SIZE);
  as->limit.data = 6 * PAGE_SIZE;
  expect_eq(aspace_brk(as, AT + 7 * PAGE_SIZE), AT + 5 * PAGE_SIZE);
  end(as);
  no_leak();
}

// ---- copy on write

TEST(last_owner_writes_in_place)
{
  struct aspace *as = begin(), *child;
  struct page *pg, *again;

  expect_eq(map_at(as, AT, 4, RW, 0, 0), 0);
  expect_eq(poke(as, AT, 1), 0);
  expect_eq(pin(as, AT, FOR_READ, &pg), 0);
  page_put(pg);
  expect_eq(aspace_fork(as, &child), 0);
  expect_eq(peek(child, AT), 1);
  expect_eq(poke(child, AT, 2), 0);
  expect_eq(peek(as, AT), 1);
  expect_eq(poke(as, AT, 3), 0);
  expect_eq(peek(child, AT), 2);
  expect_eq(pin(as, AT, FOR_READ, &again), 0);
  expect(pg == again);
  page_put(again);
  end(child);
  end(as);
  no_leak();
}

TEST(a_pin_does_not_make_stores_copy)
{
  struct aspace *as = begin();
  struct page *pg, *again;

  expect_eq(map_at(as, AT, 4, RW, 0, 0), 0);
  expect_eq(poke(as, AT, 1), 0);
  expect_eq(pin(as, AT, FOR_READ, &pg), 0);
  expect_eq(fault(as, AT, PROT_W, 0), 0); // another CPU's fault on a page that is writable already
  expect_eq(pin(as, AT, FOR_READ, &again), 0);
  expect(pg == again);
  page_put(pg);
  page_put(again);
  end(as);
  no_leak();
}

TEST(zeros_use_no_frame)
{
  struct aspace *as = begin();
  uint64_t before;

  expect_eq(map_at(as, AT, 200, RW, 0, 0), 0);
  expect_eq(peek(as, AT), 0);
  before = fake_frames_free();
  for(int i = 0; i < 200; i++)
    expect_eq(peek(as, AT + i * PAGE_SIZE), 0);
  expect_eq(fake_frames_free(), before);
  expect_eq(aspace_protect(as, AT, AT + 10 * PAGE_SIZE, PROT_R, false), 0);
  expect_eq(aspace_protect(as, AT, AT + 10 * PAGE_SIZE, RW, false), 0);
  expect_eq(poke(as, AT, 7), 0);
  expect_eq(peek(as, AT + PAGE_SIZE), 0);
  expect_eq(*(uint8_t *)page_va(zero_page), 0);
  end(as);
  no_leak();
}

TEST(one_fault_enters_its_neighbours)
{
  struct aspace *as = begin(), *child;
  struct store st;
  uint64_t faults;

  store_init(&st, 64);
  expect_eq(map_at(as, AT, 64, PROT_R, 0, &st.obj), 0);
  expect_eq(map_at(as, AT + 64 * PAGE_SIZE, 64, RW, 0, 0), 0);
  mobj_readahead(&st.obj, 0, 64);
  faults = fault_stats.minor + fault_stats.major;
  for(int i = 0; i < 64; i++)
    peek(as, AT + i * PAGE_SIZE);
  expect_eq(fault_stats.minor + fault_stats.major - faults, 4);
  for(int i = 64; i < 128; i++)
    poke(as, AT + i * PAGE_SIZE, i);
  expect_eq(aspace_fork(as, &child), 0);
  faults = fault_stats.minor + fault_stats.major;
  for(int i = 64; i < 128; i++)
    expect_eq(peek(child, AT + i * PAGE_SIZE), i);
  expect_eq(fault_stats.minor + fault_stats.major - faults, 4);
  aspace_check(child);
  aspace_unuse(child);
  faults = fault_stats.minor + fault_stats.major;
  for(int i = 64; i < 128; i++)
    poke(as, AT + i * PAGE_SIZE, i);
  expect_eq(fault_stats.minor + fault_stats.major - faults, 4);
  end(as);
  mobj_put(&st.obj);
  store_done(&st);
  no_leak();
}

// ---- system calls' access

TEST(strings)
{
  struct aspace *as = begin();
  char buf[PAGE_SIZE * 2];
  vaddr_t s = AT + PAGE_SIZE - 3;

  expect_eq(map_at(as, AT, 2, RW, 0, 0), 0);
  expect_eq(copyout(as, s, "across", 7, 0), 0);
  expect_eq(copyin_string(as, buf, s, sizeof buf), 6);
  expect(strcmp(buf, "across") == 0);
  expect_eq(copyin_string(as, buf, s, 7), 6);
  expect_eq(copyin_string(as, buf, s, 6), -ENAMETOOLONG);
  expect_eq(copyout(as, AT + 2 * PAGE_SIZE - 3, "abc", 3, 0), 0);
  expect_eq(copyin_string(as, buf, AT + 2 * PAGE_SIZE - 3, sizeof buf), -EFAULT);
  expect_eq(copyin_string(as, buf, USER_TOP, 5), -EFAULT);
  end(as);
  no_leak();
}

TEST(partial_copies_say_how_much)
{
  struct aspace *as = begin();
  static char buf[3 * PAGE_SIZE];
  size_t done;

  expect_eq(map_at(as, AT, 2, RW, 0, 0), 0);
  expect_eq(copyout(as, AT + 10, buf, sizeof buf, &done), -EFAULT);
  expect_eq(done, 2 * PAGE_SIZE - 10);
  expect_eq(copyin(as, buf, AT + 10, sizeof buf, &done), -EFAULT);
  expect_eq(done, 2 * PAGE_SIZE - 10);
  expect_eq(zeroout(as, AT - 5, 10, &done), -EFAULT);
  expect_eq(done, 0);
  expect_eq(copyin(as, buf, 0, 0, &done), 0);
  end(as);
  no_leak();
}

TEST(futex_words)
{
  struct aspace *as = begin();
  struct mobj *shm = shm_create(4 * PAGE_SIZE, true);
  const void *o1, *o2;
  uint64_t off1, off2;
  uint32_t v = 0;

  expect_eq(map_at(as, AT, 4, RW, REGION_SHARED, shm), 0);
  expect_eq(map_at(as, AT + 64 * PAGE_SIZE, 4, RW, REGION_SHARED, shm), 0);
  expect_eq(map_at(as, AT + 128 * PAGE_SIZE, 4, RW, 0, 0), 0);
  expect_eq(futex_key(as, AT + PAGE_SIZE + 8, false, &o1, &off1), 0);
  expect_eq(futex_key(as, AT + 65 * PAGE_SIZE + 8, false, &o2, &off2), 0);
  expect(o1 == o2 && o1 == shm && off1 == off2 && off1 == PAGE_SIZE + 8);
  expect_eq(futex_key(as, AT + PAGE_SIZE + 8, true, &o1, &off1), 0);
  expect(o1 == as && off1 == AT + PAGE_SIZE + 8);
  expect_eq(futex_key(as, AT + 8 * PAGE_SIZE, false, &o1, &off1), -EFAULT);
  expect_eq(peek_u32(as, AT, &v), -EFAULT);
  expect_eq(fault(as, AT, PROT_W, 0), 0);
  expect_eq(peek_u32(as, AT, &v), 0);
  expect_eq(cas_u32(as, AT, &v, 77), 0);
  expect_eq(v, 0);
  expect_eq(cas_u32(as, AT + 64 * PAGE_SIZE, &v, 78), -EFAULT);
  expect_eq(peek(as, AT + 64 * PAGE_SIZE), 77);
  end(as);
  mobj_put(shm);
  no_leak();
}

// ---- advice

TEST(advice)
{
  struct aspace *as = begin(), *child;
  struct mobj *shm = shm_create(8 * PAGE_SIZE, true);
  uint8_t vec[8];
  vaddr_t hi = AT + 8 * PAGE_SIZE;

  expect_eq(map_at(as, AT, 8, RW, 0, 0), 0);
  expect_eq(map_at(as, AT + 64 * PAGE_SIZE, 8, RW, REGION_SHARED, shm), 0);
  expect_eq(poke(as, AT, 1), 0);
  expect_eq(poke(as, AT + 5 * PAGE_SIZE, 1), 0);
  expect_eq(aspace_resident(as, AT, hi, vec), 0);
  expect(vec[0] == 1 && vec[1] == 0 && vec[5] == 1 && vec[7] == 0);
  expect_eq(aspace_resident(as, AT, hi + PAGE_SIZE, vec), -ENOMEM);
  expect_eq(aspace_advise(as, AT, hi, 14), -EINVAL); // MADV_HUGEPAGE
  expect_eq(aspace_advise(as, AT, hi, 99), -EINVAL);
  expect_eq(aspace_advise(as, AT + 64 * PAGE_SIZE, AT + 72 * PAGE_SIZE, 8), -EINVAL); // MADV_FREE of shared memory
  expect_eq(aspace_advise(as, AT, hi, 22), 0);                                        // MADV_POPULATE_READ
  expect_eq(aspace_advise(as, AT, hi + PAGE_SIZE, 23), -ENOMEM);
  expect_eq(aspace_advise(as, AT, AT + PAGE_SIZE, 18), 0); // MADV_WIPEONFORK
  expect_eq(aspace_advise(as, AT + 6 * PAGE_SIZE, hi, 10), 0);
  expect_eq(aspace_fork(as, &child), 0);
  expect_eq(peek(child, AT), 0);
  expect_eq(peek(child, AT + 5 * PAGE_SIZE), 1);
  expect_eq(peek(child, AT + 6 * PAGE_SIZE), -EFAULT);
  aspace_check(child);
  aspace_unuse(child);
  expect_eq(aspace_set_flags(as, AT, AT + PAGE_SIZE, REGION_LOCKED, 0), 0);
  expect_eq(as->locked_pages, 1);
  expect_eq(aspace_discard(as, AT, hi), -EINVAL);
  expect_eq(aspace_set_flags(as, AT, AT + PAGE_SIZE, REGION_SEALED, REGION_LOCKED), 0);
  expect_eq(aspace_unmap(as, AT, hi), -EPERM);
  expect_eq(aspace_protect(as, AT, hi, PROT_R, false), -EPERM);
  expect_eq(map_at(as, AT, 8, RW, 0, 0), -EPERM);
  expect_eq(poke(as, AT + 64 * PAGE_SIZE, 9), 0);
  expect_eq(aspace_advise(as, AT + 64 * PAGE_SIZE, AT + 66 * PAGE_SIZE, 9), 0); // MADV_REMOVE
  expect_eq(peek(as, AT + 64 * PAGE_SIZE), 0);
  end(as);
  mobj_put(shm);
  no_leak();
}

// A victim's private memory is taken while it is still there: nothing of it is seen as zeros, and shared memory stays.
TEST(reaped_space_is_empty_for_good)
{
  struct aspace *as = begin(), *child;
  struct mobj *shm = shm_create(8 * PAGE_SIZE, true);
  uint64_t before;
  char byte;

  expect_eq(map_at(as, AT + 64 * PAGE_SIZE, 8, RW, REGION_SHARED, shm), 0);
  expect_eq(map_at(as, AT + 128 * PAGE_SIZE, 8, RW, 0, shm), 0);
  expect_eq(poke(as, AT + 64 * PAGE_SIZE, 9), 0);
  before = fake_frames_free();
  expect_eq(map_at(as, AT, 8, RW, 0, 0), 0);
  for(int i = 0; i < 8; i++)
    expect_eq(poke(as, AT + i * PAGE_SIZE, 1), 0);
  expect_eq(poke(as, AT + 128 * PAGE_SIZE, 1), 0);
  rw_read(&as->lock);
  expect(!aspace_reap(as)); // somebody is at work in it
  rw_read_release(&as->lock);
  expect_eq(peek(as, AT), 1);
  expect(aspace_reap(as));
  expect_eq(as->nanon, 0);
  expect(fake_frames_free() + 8 > before); // nodes and tables stay until it ends
  expect_eq(fault(as, AT, PROT_R, 0), -EIO);
  expect_eq(fault(as, AT + PAGE_SIZE, PROT_W, 0), -EIO);
  expect_eq(copyin(as, &byte, AT, 1, 0), -EFAULT);
  expect_eq(aspace_fork(as, &child), -ENOMEM);
  expect_eq(shm->npages, 1);
  expect(aspace_reap(as)); // again does nothing
  end(as);
  mobj_put(shm);
  no_leak();
}

TEST(remap_errors)
{
  struct aspace *as = begin();
  vaddr_t at;

  expect_eq(map_at(as, AT, 4, RW, 0, 0), 0);
  expect_eq(map_at(as, AT + 4 * PAGE_SIZE, 4, PROT_R, 0, 0), 0);
  expect_eq(aspace_remap(as, AT, PAGE_SIZE, 0, 0, 0, &at), -EINVAL);
  expect_eq(aspace_remap(as, AT, PAGE_SIZE, PAGE_SIZE, 8, 0, &at), -EINVAL);
  expect_eq(aspace_remap(as, AT, PAGE_SIZE, PAGE_SIZE, REMAP_FIXED, AT * 2, &at), -EINVAL);
  expect_eq(aspace_remap(as, AT, 2 * PAGE_SIZE, PAGE_SIZE, REMAP_MAYMOVE | REMAP_DONTUNMAP, 0, &at), -EINVAL);
  expect_eq(aspace_remap(as, AT, 8 * PAGE_SIZE, 9 * PAGE_SIZE, REMAP_MAYMOVE, 0, &at), -EFAULT);
  expect_eq(aspace_remap(as, AT, 4 * PAGE_SIZE, 5 * PAGE_SIZE, 0, 0, &at), -ENOMEM);
  expect_eq(aspace_remap(as, AT, 0, PAGE_SIZE, REMAP_MAYMOVE, 0, &at), -EINVAL);
  expect_eq(aspace_remap(as, AT * 3, PAGE_SIZE, PAGE_SIZE * 2, REMAP_MAYMOVE, 0, &at), -EFAULT);
  as->limit.as = 9 * PAGE_SIZE;
  expect_eq(aspace_remap(as, AT, 4 * PAGE_SIZE, 8 * PAGE_SIZE, REMAP_MAYMOVE, 0, &at), -ENOMEM);
  as->limit.as = UINT64_MAX;
  expect_eq(aspace_set_flags(as, AT, AT + 4 * PAGE_SIZE, REGION_LOCKED, 0), 0);
  as->limit.memlock = 5 * PAGE_SIZE;
  expect_eq(aspace_remap(as, AT, 4 * PAGE_SIZE, 8 * PAGE_SIZE, REMAP_MAYMOVE, 0, &at), -EAGAIN);
  as->limit.memlock = UINT64_MAX;
  expect_eq(poke(as, AT, 4), 0);
  expect_eq(aspace_remap(as, AT, 4 * PAGE_SIZE, 8 * PAGE_SIZE, REMAP_MAYMOVE, 0, &at), 0);
  expect_eq(peek(as, at), 4);
  expect_eq(as->nanon, 5); // locked: the new part is resident
  end(as);
  no_leak();
}

TEST(sync_reports_and_goes_on)
{
  struct aspace *as = begin();
  struct store st;

  store_init(&st, 8);
  expect_eq(map_at(as, AT, 4, RW, REGION_SHARED, &st.obj), 0);
  expect_eq(map_at(as, AT + 6 * PAGE_SIZE, 2, RW, REGION_SHARED, &st.obj), 0);
  expect_eq(poke(as, AT, 1), 0);
  expect_eq(aspace_sync(as, AT, AT + 8 * PAGE_SIZE, false), -ENOMEM);
  expect_eq(st.disk[0], 0);
  expect_eq(aspace_sync(as, AT, AT + 8 * PAGE_SIZE, true), -ENOMEM);
  expect_eq(st.disk[0], 1);
  expect_eq(poke(as, AT, 2), 0); // the store after msync is tracked again
  st.fail_flush = 1;
  expect_eq(aspace_sync(as, AT, AT + 4 * PAGE_SIZE, true), -EIO);
  expect_eq(aspace_sync(as, AT, AT + 4 * PAGE_SIZE, true), 0);
  expect_eq(st.disk[0], 2);
  end(as);
  mobj_put(&st.obj);
  store_done(&st);
  no_leak();
}

// ---- objects in memory: pages set aside, and who may write

TEST(pages_set_aside_show_when_the_object_grows)
{
  struct aspace *as = begin();
  struct mobj *obj = shm_create(2 * PAGE_SIZE, true);

  expect_eq(map_at(as, AT, 8, RW, REGION_SHARED, obj), 0);
  expect_eq(shm_reserve(obj, 1), 0);
  expect_eq(shm_reserve(obj, 4), 0);
  expect_eq(shm_reserve(obj, 4), 0);
  expect_eq(obj->ndirty, 2);
  mobj_check(obj);
  expect_eq(peek(as, AT), 0); // with what is around it
  expect_eq(peek(as, AT + 4 * PAGE_SIZE), -EIO);
  expect_eq(poke(as, AT + 4 * PAGE_SIZE, 1), -EIO);
  mobj_truncate(obj, 6 * PAGE_SIZE);
  expect_eq(obj->ndirty, 2);
  expect_eq(peek(as, AT + 4 * PAGE_SIZE), 0);
  expect_eq(poke(as, AT + 4 * PAGE_SIZE, 7), 0);
  expect_eq(shm_reserve(obj, 4), 0);
  expect_eq(peek(as, AT + 4 * PAGE_SIZE), 7);
  expect_eq(shm_reserve(obj, 7), 0);
  mobj_truncate(obj, 6 * PAGE_SIZE); // does not grow: what lies behind goes
  expect_eq(obj->ndirty, 2);
  mobj_truncate(obj, 0);
  expect_eq(obj->ndirty, 0);
  end(as);
  mobj_put(obj);
  no_leak();
}

TEST(writing_through_mappings_can_be_denied)
{
  struct aspace *as = begin();
  struct mobj *obj = shm_create(4 * PAGE_SIZE, true);
  struct map_request ro = {.addr = AT, .len = PAGE_SIZE, .prot = PROT_R, .maxprot = PROT_R, .flags = REGION_SHARED};
  struct aspace *child;
  vaddr_t got;

  ro.obj = obj;
  ro.how = MAP_EXACT;
  expect_eq(map_at(as, AT, 4, PROT_R, REGION_SHARED, obj), 0); // may become writable
  expect_eq(mobj_deny_write(obj), -EBUSY);
  expect_eq(aspace_fork(as, &child), 0);
  expect_eq(aspace_unmap(as, AT + PAGE_SIZE, AT + 2 * PAGE_SIZE), 0);
  expect_eq(aspace_unmap(as, AT, AT + 4 * PAGE_SIZE), 0);
  expect_eq(mobj_deny_write(obj), -EBUSY);
  aspace_unuse(child);
  expect_eq(aspace_map(as, &ro, &got), 0);
  expect_eq(mobj_claim_write(obj), 0);
  expect_eq(mobj_deny_write(obj), -EBUSY);
  mobj_unclaim_write(obj);
  expect_eq(mobj_deny_write(obj), 0);
  expect_eq(mobj_deny_write(obj), 0);
  expect_eq(mobj_claim_write(obj), -EPERM);
  end(as);
  mobj_put(obj);
  no_leak();
}

// ---- promises

TEST(promises_are_counted_and_refused)
{
  struct aspace *as = begin(), *child;
  uint64_t limit;
  struct mobj *obj;

  expect_eq(vm_committed(), 0);
  expect_eq(map_at(as, AT, 100, PROT_R, 0, 0), 0);
  expect_eq(map_at(as, AT + STRETCH, 100, RW, REGION_NORESERVE, 0), 0);
  expect_eq(vm_committed(), 0);
  expect_eq(aspace_protect(as, AT, AT + 10 * PAGE_SIZE, RW, false), 0);
  expect_eq(vm_committed(), 10);
  expect_eq(aspace_protect(as, AT, AT + 5 * PAGE_SIZE, PROT_R, false), 0);
  expect_eq(vm_committed(), 10); // its pages are still there
  expect_eq(aspace_protect(as, AT, AT + 10 * PAGE_SIZE, RW, false), 0);
  expect_eq(vm_committed(), 10);
  obj = shm_create(7 * PAGE_SIZE, true);
  expect_eq(vm_committed(), 17);
  mobj_put(obj);
  obj = shm_create(7 * PAGE_SIZE, false);
  expect_eq(shm_reserve(obj, 3), 0);
  expect_eq(vm_committed(), 11);
  mobj_truncate(obj, PAGE_SIZE);
  expect_eq(vm_committed(), 10);

  vm_overcommit = OVERCOMMIT_NEVER;
  limit = vm_commit_limit();
  expect_eq(limit, frames_total() / 2);
  vm_overcommit_kbytes = 4 * 400;
  expect_eq(vm_commit_limit(), 400);
  expect_eq(map_at(as, AT + 2 * STRETCH, 391, RW, 0, 0), -ENOMEM);
  expect_eq(map_at(as, AT + 2 * STRETCH, 391, PROT_R, 0, 0), 0);
  expect_eq(aspace_protect(as, AT + 2 * STRETCH, AT + 2 * STRETCH + 391 * PAGE_SIZE, RW, false), -ENOMEM);
  expect_eq(aspace_unmap(as, AT + 2 * STRETCH, AT + 3 * STRETCH), 0);
  expect_eq(map_at(as, AT + 2 * STRETCH, 300, RW, REGION_NORESERVE, 0), 0); // not waived any more
  expect_eq(vm_committed(), 310);
  expect_eq(aspace_fork(as, &child), -ENOMEM);
  expect_eq(vm_committed(), 310);
  vm_overcommit_kbytes = 4 * 310;
  expect_eq(shm_reserve(obj, 0), -ENOSPC);
  vm_overcommit = OVERCOMMIT_ALWAYS;
  expect_eq(aspace_fork(as, &child), 0);
  expect_eq(map_at(as, AT + (1ull << 40), 1ull << 30, RW, 0, 0), 0);
  aspace_unuse(child);
  end(as);
  mobj_put(obj);
  expect_eq(vm_committed(), 0);
  vm_overcommit = OVERCOMMIT_GUESS;
  vm_overcommit_kbytes = 0;
  no_leak();
}

// ---- what was stored to, and touched

static struct page_state
state_at(struct aspace *as, vaddr_t va)
{
  struct page_state st;

  rw_read(&as->lock);
  aspace_page_state(as, region_find(as, va), va, &st);
  rw_read_release(&as->lock);
  return st;
}

static bool
soft(struct aspace *as, vaddr_t va)
{
  return state_at(as, va).soft_dirty;
}

// With `hostile` the machine forgets entries: that must not look like "not stored to".
static void
soft_dirty_round(bool hostile)
{
  struct aspace *as = begin(), *child;
  bool expected[64] = {0};
  vaddr_t at;

  fake_pmap_seed(hostile ? 99 : 0);
  expect_eq(map_at(as, AT, 64, RW, 0, 0), 0);
  for(int i = 0; i < 40; i++)
    expect_eq(poke(as, AT + i * PAGE_SIZE, i), 0);
  expect(soft(as, AT) && soft(as, AT + 50 * PAGE_SIZE));
  aspace_soft_clear(as);
  aspace_check(as);
  for(int i = 0; i < 64; i++)
    expect(!soft(as, AT + i * PAGE_SIZE));
  srandom(hostile);
  for(int n = 0; n < 300; n++) {
    int i = random() % 64;

    if(random() % 4 == 0) {
      expect_eq(poke(as, AT + i * PAGE_SIZE + 1, n), 0);
      expected[i] = true;
    } else if(random() % 8 == 0) {
      expect_eq(copyout(as, AT + i * PAGE_SIZE + 2, &n, 1, 0), 0);
      expected[i] = true;
    } else {
      expect(peek(as, AT + i * PAGE_SIZE) >= 0);
    }
    for(int k = 0; k < 64; k++)
      if(soft(as, AT + k * PAGE_SIZE) != expected[k])
        test_fail(__FILE__, __LINE__, "step %d page %d: soft-dirty %d", n, k, !expected[k]);
    if(n % 50 == 0)
      aspace_check(as);
    if(n % 100 == 99) {
      aspace_soft_clear(as);
      memset(expected, 0, sizeof expected);
    }
  }
  aspace_soft_clear(as);
  expect_eq(aspace_fork(as, &child), 0);
  expect_eq(poke(child, AT, 1), 0);
  expect(soft(child, AT) && !soft(as, AT) && !soft(child, AT + PAGE_SIZE));
  expect_eq(poke(as, AT, 1), 0);
  expect(soft(as, AT));
  aspace_check(child);
  aspace_unuse(child);
  aspace_soft_clear(as);
  expect_eq(aspace_remap(as, AT, 4 * PAGE_SIZE, 4 * PAGE_SIZE, REMAP_MAYMOVE | REMAP_FIXED, AT + STRETCH, &at), 0);
  expect(soft(as, at) && !soft(as, AT + 5 * PAGE_SIZE)); // what moved is new there
  fake_pmap_seed(0);
  end(as);
  no_leak();
}

TEST(stores_are_noticed)
{
  soft_dirty_round(false);
  soft_dirty_round(true);
}

TEST(stores_to_shared_memory_are_noticed)
{
  struct aspace *as = begin();
  struct mobj *obj = shm_create(32 * PAGE_SIZE, true);
  vaddr_t other = AT + STRETCH;
  int n = 7;

  expect_eq(map_at(as, AT, 32, RW, REGION_SHARED, obj), 0);
  expect_eq(map_at(as, other, 32, RW, REGION_SHARED, obj), 0);
  for(int i = 0; i < 32; i++)
    expect_eq(poke(as, AT + i * PAGE_SIZE, i), 0);
  expect(soft(as, AT) && soft(as, other));
  aspace_soft_clear(as);
  for(int i = 0; i < 32; i++)
    expect(!soft(as, AT + i * PAGE_SIZE) && !soft(as, other + i * PAGE_SIZE));
  expect_eq(peek(as, AT), 0); // enters its neighbours, dirty as they are, read-only
  expect_eq(poke(as, AT + 2 * PAGE_SIZE, 1), 0);
  expect_eq(poke(as, other + 3 * PAGE_SIZE, 1), 0);
  expect_eq(copyout(as, AT + 5 * PAGE_SIZE, &n, 1, 0), 0);
  expect_eq(aspace_protect(as, AT, AT + 32 * PAGE_SIZE, PROT_R, false), 0);
  for(int i = 0; i < 32; i++) {
    expect_eq(soft(as, AT + i * PAGE_SIZE), i == 2 || i == 5);
    expect_eq(soft(as, other + i * PAGE_SIZE), i == 3);
  }
  aspace_soft_clear(as);
  expect(!soft(as, AT + 2 * PAGE_SIZE) && !soft(as, other + 3 * PAGE_SIZE));
  end(as);
  mobj_put(obj);
  no_leak();
}

TEST(neighbours_come_as_old)
{
  struct aspace *as = begin();
  struct mobj *obj = shm_create(40 * PAGE_SIZE, true);
  int there = 0, used = 0;

  for(int i = 0; i < 40; i++)
    expect_eq(shm_reserve(obj, i), 0);
  expect_eq(map_at(as, AT, 64, PROT_R, REGION_SHARED, obj), 0);
  expect_eq(peek(as, AT + 35 * PAGE_SIZE), 0);
  for(int i = 0; i < 64; i++) {
    struct page_state st = state_at(as, AT + i * PAGE_SIZE);

    there += st.present;
    used += st.used;
    expect(!st.present || (i >= 32 && i < 40)); // aligned, and not past the end
  }
  expect_eq(there, 8);
  expect_eq(used, 1);
  expect_eq(mobj_entered(obj, 36), 1);
  expect_eq(mobj_entered(obj, 31), 0);
  mobj_check(obj);
  end(as);
  mobj_put(obj);
  no_leak();
}
