// rules_place.c -- where mappings go: rules P01 to P14.
#include "rules.h"

TEST(kernel_chooses_a_free_range) // P01
{
  char *p[64], *q;

  for(int i = 0; i < 64; i++) {
    p[i] = map((i + 1) * PAGE);
    expect_eq((uintptr_t)p[i] % PAGE, 0);
    memset(p[i], i, (i + 1) * PAGE);
  }
  for(int i = 0; i < 64; i++)
    expect_eq(differing(p[i], (i + 1) * PAGE, i), 0); // nobody lies on another
  need(munmap(p[10], 11 * PAGE) == 0);
  q = map(PAGE);
  for(int i = 0; i < 64; i++)
    expect(i == 10 || q + PAGE <= p[i] || q >= p[i] + (i + 1) * PAGE);
}

TEST(hints) // P02
{
  char *p = map(16 * PAGE), *q;

  need(munmap(p + 4 * PAGE, 4 * PAGE) == 0);
  q = raw_mmap(p + 4 * PAGE, 4 * PAGE, RW, ANON, -1, 0);
  expect(q == p + 4 * PAGE);
  q = raw_mmap(p + 4 * PAGE, PAGE, RW, ANON, -1, 0); // taken now
  expect(q != MAP_FAILED && (q < p || q >= p + 16 * PAGE));
  need(munmap(p + 4 * PAGE, PAGE) == 0);
  q = raw_mmap(p + 4 * PAGE, 2 * PAGE, RW, ANON, -1, 0); // too large for the hole
  expect(q != MAP_FAILED && (q < p || q >= p + 16 * PAGE));
}

TEST(fixed_is_exact) // P03, P08
{
  char *p = map(16 * PAGE);

  need(munmap(p, 16 * PAGE) == 0);
  expect(raw_mmap(p + PAGE, 2 * PAGE, RW, ANON | MAP_FIXED, -1, 0) == p + PAGE);
  expect(raw_mmap(p + 8 * PAGE, 3 * PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == p + 8 * PAGE);
  expect_touch(STORE, p + 2 * PAGE, 0);
  expect_touch(STORE, p + 10 * PAGE, 0);
  expect_touch(STORE, p + 3 * PAGE, SIGSEGV);
}

TEST(fixed_replaces_exactly_the_overlap) // P04
{
  char *p = map(9 * PAGE);

  memset(p, 'o', 9 * PAGE);
  need(mprotect(p + 6 * PAGE, 3 * PAGE, PROT_READ) == 0);
  expect(raw_mmap(p + 2 * PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0) == p + 2 * PAGE); // inside one: three of it
  expect(raw_mmap(p + 5 * PAGE, 2 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p + 5 * PAGE);
  expect_eq(differing(p, 2 * PAGE, 'o'), 0);
  expect_eq(differing(p + 2 * PAGE, PAGE, 0), 0);
  expect_eq(differing(p + 3 * PAGE, 2 * PAGE, 'o'), 0);
  expect_eq(differing(p + 5 * PAGE, 2 * PAGE, 0), 0);
  expect_eq(differing(p + 7 * PAGE, 2 * PAGE, 'o'), 0);
  expect_touch(STORE, p + 4 * PAGE, 0);
  expect_touch(STORE, p + 6 * PAGE, 0);
  expect_touch(STORE, p + 7 * PAGE, SIGSEGV); // still read only
}

TEST(fixed_over_a_dirty_file_page) // P05
{
  int fd = temp_pages(3);
  char *p = file_at(fd, 3 * PAGE, RW, MAP_SHARED);

  p[PAGE + 5] = 'D';
  expect(raw_mmap(p + PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0) == p + PAGE);
  expect_eq(p[PAGE + 5], 0);
  expect_eq(file_byte(fd, PAGE + 5), 'D');
  expect(p[0] == 'a' && p[2 * PAGE] == 'c');
}

TEST(failing_fixed_changes_nothing) // P06
{
  char *p = map(3 * PAGE);
  int fd = temp_pages(1);

  memset(p, 'k', 3 * PAGE);
  expect_errno(raw_mmap(p, PAGE, RW, MAP_PRIVATE | MAP_FIXED, 9999, 0), EBADF);
  expect_errno(raw_mmap(p, PAGE, RW, MAP_FIXED | MAP_ANONYMOUS, -1, 0), EINVAL);
  expect_errno(raw_mmap(p, PAGE, RW, ANON | MAP_FIXED, -1, 1), EINVAL);
  expect_errno(raw_mmap(p, PAGE, RW, MAP_SHARED_VALIDATE | MAP_FIXED | 0x2000000, fd, 0), EOPNOTSUPP);
  expect_errno(raw_mmap(p, PAGE, RW, MAP_SHARED | MAP_FIXED, open("/dev/null", O_RDWR), 0), ENODEV);
  expect_eq(differing(p, 3 * PAGE, 'k'), 0);
}

TEST(fixed_noreplace) // P07
{
  char *p = map(8 * PAGE);

  memset(p, 'n', 8 * PAGE);
  need(munmap(p + 4 * PAGE, 2 * PAGE) == 0);
  expect_errno(raw_mmap(p, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
  expect_errno(raw_mmap(p + 3 * PAGE, 2 * PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
  expect_errno(raw_mmap(p + 5 * PAGE, 2 * PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
  expect_errno(raw_mmap(p + 4 * PAGE, 3 * PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
  expect(raw_mmap(p + 4 * PAGE, 2 * PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == p + 4 * PAGE);
  expect_eq(differing(p, 4 * PAGE, 'n'), 0);
  expect_eq(differing(p + 6 * PAGE, 2 * PAGE, 'n'), 0);
  expect_eq(differing(p + 4 * PAGE, 2 * PAGE, 0), 0);
}

TEST_TIMED(address_space_is_used_again, 120) // P09
{
  uintptr_t lo = -1, hi = 0;

  for(int i = 0; i < 100000; i++) {
    char *p = map(64 * PAGE);

    lo = (uintptr_t)p < lo ? (uintptr_t)p : lo;
    hi = (uintptr_t)p > hi ? (uintptr_t)p : hi;
    need(munmap(p, 64 * PAGE) == 0);
  }
  expect(hi - lo < 1ul << 30);
}

TEST_TIMED(neighbours_merge, 120) // P10
{
  enum { N = 66000 };
  char *p = map_prot((size_t)N * PAGE, PROT_NONE);

  need(munmap(p, (size_t)N * PAGE) == 0);
  for(size_t i = 0; i < N; i++)
    need(raw_mmap(p + i * PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0) == p + i * PAGE);
  expect_eq(regions_in(p + PAGE, (size_t)(N - 2) * PAGE), 1);
  p[0] = p[(size_t)(N - 1) * PAGE] = 1;
}

TEST(file_neighbours_merge) // P10
{
  int fd = temp_pages(8);
  char *p = map_prot(8 * PAGE, PROT_NONE);

  for(size_t i = 0; i < 8; i++)
    need(mmap(p + i * PAGE, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, i * PAGE) == p + i * PAGE);
  expect_eq(regions_in(p, 8 * PAGE), 1);
  need(mmap(p + 4 * PAGE, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == p + 4 * PAGE); // not the page that follows
  expect_eq(regions_in(p, 8 * PAGE), 3);
  expect(p[3 * PAGE] == 'd' && p[4 * PAGE] == 'a' && p[5 * PAGE] == 'f');
}

static char *
brk_to(char *to)
{
  return (char *)syscall(SYS_brk, to);
}

static char *
page_above(char *p)
{
  return (char *)(((uintptr_t)p + PAGE - 1) & -(uintptr_t)PAGE);
}

TEST(brk_and_mmap_keep_apart) // P12, B01
{
  char *now = brk_to(0), *top = page_above(now), *q;

  need(raw_mmap(top + 4 * PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == top + 4 * PAGE);
  expect(brk_to(top + 3 * PAGE) == top + 3 * PAGE);
  expect(brk_to(top + 4 * PAGE + 1) == top + 3 * PAGE); // would grow over it
  expect(brk_to(top + 64 * PAGE) == top + 3 * PAGE);
  top[PAGE] = 'h';
  q = raw_mmap(top + PAGE, PAGE, RW, ANON, -1, 0); // a hint inside the heap
  expect(q != MAP_FAILED && (q < top || q >= top + 3 * PAGE));
  expect_eq(top[PAGE], 'h');
}

TEST(fixed_inside_the_heap) // P12, B01
{
  char *top = page_above(brk_to(0));

  // What musl's malloc does: a guard on the first new page, and growing goes on.
  need(brk_to(top + 2 * PAGE) == top + 2 * PAGE);
  need(raw_mmap(top, PAGE, PROT_NONE, ANON | MAP_FIXED, -1, 0) == top);
  expect(brk_to(top + 8 * PAGE) == top + 8 * PAGE);
  top[8 * PAGE - 1] = 1;
  expect_touch(STORE, top, SIGSEGV);
}

static char *
stack_low(void)
{
  struct map_line m;

  need(maps_find((unsigned long)&m, &m));
  return (char *)m.lo;
}

TEST(nothing_lands_in_the_stack_gap) // P13
{
  char *low = stack_low(), *q;

  for(int i = 1; i <= 256; i += 15) {
    q = raw_mmap(low - i * PAGE, PAGE, RW, ANON, -1, 0);
    expect(q != MAP_FAILED);
    expect(q + PAGE + STACK_GAP <= low || q >= low);
  }
  for(int i = 0; i < 200; i++) {
    q = raw_mmap(0, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    expect(q + PAGE + STACK_GAP <= low || q >= low);
  }
}

static int here_in_data = 1;

TEST(layout) // P14
{
  char *a = map(PAGE), *b = map_shared(PAGE), *c = map(2 * PAGE);
  char local;

  expect((char *)&here_in_data < a && a < &local);
  expect(brk_to(0) > (char *)&here_in_data && brk_to(0) < a);
  expect(b < a || c < b); // downwards
}
