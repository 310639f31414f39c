// rules_remap.c -- mremap: rules X01 to X22.
#include "rules.h"

// mremap as the kernel has it: libc checks sizes itself.
static char *
remap(void *old, size_t old_n, size_t new_n, int flags, void *at)
{
  return (char *)syscall(SYS_mremap, old, old_n, new_n, flags, at);
}

static size_t
letters_wrong(const char *p, int n) // page i full of 'a' + i
{
  size_t bad = 0;

  for(int i = 0; i < n; i++)
    bad += differing(p + i * PAGE, PAGE, 'a' + i);
  return bad;
}

// n pages full of their letters, with free room of n pages behind.
static char *
letters(int n)
{
  char *p = map(2 * n * PAGE);

  need(munmap(p + n * PAGE, n * PAGE) == 0);
  for(int i = 0; i < n; i++)
    memset(p + i * PAGE, 'a' + i, PAGE);
  return p;
}

static char *
free_place(size_t n)
{
  char *p = map_prot(n + 2 * PAGE, PROT_NONE);

  need(munmap(p, n + 2 * PAGE) == 0);
  return p + PAGE;
}

TEST(shrink) // X01
{
  char *p = letters(6);

  expect(remap(p, 6 * PAGE, 2 * PAGE, 0, 0) == p);
  expect_eq(letters_wrong(p, 2), 0);
  expect_touch(LOAD, p + 2 * PAGE, SIGSEGV);
  expect_touch(LOAD, p + 6 * PAGE - 1, SIGSEGV);
  expect(remap(p, 2 * PAGE, PAGE + 1, MREMAP_MAYMOVE, 0) == p); // rounded up: no change
  expect_touch(LOAD, p + PAGE, 0);
}

TEST(grow_in_place) // X02
{
  char *p = letters(4);

  expect(remap(p, 4 * PAGE, 8 * PAGE, 0, 0) == p);
  expect_eq(letters_wrong(p, 4), 0);
  expect_eq(differing(p + 4 * PAGE, 4 * PAGE, 0), 0);
  p[8 * PAGE - 1] = 1;
  expect_eq(regions_in(p, 8 * PAGE), 1);
}

// The gap below a stack is for what is placed, not for what grows.
TEST(grow_towards_a_stack) // X02
{
  char *p = map(4 * PAGE);

  need(munmap(p + PAGE, 3 * PAGE) == 0);
  need(raw_mmap(p + 3 * PAGE, PAGE, RW, ANON | MAP_FIXED | MAP_GROWSDOWN, -1, 0) == p + 3 * PAGE);
  expect_eq((long)mremap(p, PAGE, 2 * PAGE, 0), (long)p);
  expect_eq((long)mremap(p, 2 * PAGE, 3 * PAGE, 0), (long)p);
  expect_errno(mremap(p, 3 * PAGE, 4 * PAGE, 0), ENOMEM);
}

TEST(grow_without_room) // X03, X04
{
  char *p = letters(4), *q;

  need(raw_mmap(p + 5 * PAGE, PAGE, PROT_NONE, ANON | MAP_FIXED, -1, 0) == p + 5 * PAGE);
  expect_errno((long)remap(p, 4 * PAGE, 8 * PAGE, 0, 0), ENOMEM);
  expect_eq(letters_wrong(p, 4), 0);
  expect_errno((long)remap(p, 2 * PAGE, 3 * PAGE, 0, 0), ENOMEM); // its own second half is in the way
  q = remap(p, 4 * PAGE, 64 * PAGE, MREMAP_MAYMOVE, 0);
  need(q != MAP_FAILED);
  expect_eq(letters_wrong(q, 4), 0);
  expect_eq(differing(q + 4 * PAGE, 60 * PAGE, 0), 0);
  expect_touch(LOAD, p, SIGSEGV);
  expect_touch(LOAD, p + 4 * PAGE - 1, SIGSEGV);
  memset(q, 'w', 64 * PAGE);
}

TEST(grow_a_part) // X04
{
  char *p = letters(6), *q;

  q = remap(p + PAGE, 2 * PAGE, 8 * PAGE, MREMAP_MAYMOVE, 0); // out of the middle
  need(q != MAP_FAILED);
  expect_eq(differing(p, PAGE, 'a'), 0);
  expect_touch(LOAD, p + PAGE, SIGSEGV);
  expect_touch(LOAD, p + 3 * PAGE - 1, SIGSEGV);
  expect_eq(differing(p + 3 * PAGE, PAGE, 'd'), 0);
  expect(q[0] == 'b' && q[PAGE] == 'c' && q[2 * PAGE] == 0);
}

TEST(mremap_errors) // X05, X06, X07, X08, X09, X11, X12
{
  char *p = letters(6), *at = free_place(8 * PAGE);

  expect_errno((long)remap(p, PAGE, PAGE, MREMAP_FIXED, at), EINVAL);
  expect_errno((long)remap(p, PAGE, PAGE, 8, 0), EINVAL);
  expect_errno((long)remap(p, PAGE, PAGE, MREMAP_MAYMOVE | 64, 0), EINVAL);
  expect_errno((long)remap(p + 1, PAGE, 2 * PAGE, MREMAP_MAYMOVE, 0), EINVAL);
  expect_errno((long)remap(p, PAGE, 0, MREMAP_MAYMOVE, 0), EINVAL);
  expect_errno((long)remap(at, PAGE, 2 * PAGE, MREMAP_MAYMOVE, 0), EFAULT);
  expect_errno((long)remap(p, 6 * PAGE, 6 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + PAGE), EINVAL);
  expect_errno((long)remap(p + 2 * PAGE, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p), EINVAL);
  expect_errno((long)remap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at + 1), EINVAL);
  expect_errno((long)remap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)TASK_TOP), EINVAL);
  expect_errno((long)remap(p, PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)(TASK_TOP - PAGE)), EINVAL);
  expect_eq(letters_wrong(p, 6), 0);
}

TEST(old_range_over_a_border) // X10
{
  char *p = letters(6), *q = letters(6);

  need(mprotect(p + 3 * PAGE, 3 * PAGE, PROT_READ) == 0);
  expect_errno((long)remap(p, 6 * PAGE, 12 * PAGE, MREMAP_MAYMOVE, 0), EFAULT);
  expect_errno((long)remap(p + PAGE, 4 * PAGE, 40 * PAGE, MREMAP_MAYMOVE, 0), EFAULT);
  need(munmap(q + 4 * PAGE, PAGE) == 0);
  expect_errno((long)remap(q, 6 * PAGE, 12 * PAGE, MREMAP_MAYMOVE, 0), EFAULT);
  expect_eq(letters_wrong(p, 6), 0);
  expect_eq(letters_wrong(q, 4), 0);
}

TEST(fixed_target) // X13, P04
{
  char *p = letters(4), *at = letters(8);
  int fd = temp_pages(1);

  need(mmap(at + 2 * PAGE, PAGE, RW, MAP_SHARED | MAP_FIXED, fd, 0) == at + 2 * PAGE);
  at[2 * PAGE] = 'D';
  expect(remap(p, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at + PAGE) == at + PAGE);
  expect_eq(differing(at, PAGE, 'a'), 0);
  expect_eq(letters_wrong(at + PAGE, 4), 0);
  expect_eq(differing(at + 5 * PAGE, PAGE, 'f'), 0);
  expect_eq(file_byte(fd, 0), 'D');
  expect_touch(LOAD, p, SIGSEGV);
}

TEST(fixed_target_with_another_size) // X13, X01, X04
{
  char *p = letters(6), *at = free_place(16 * PAGE);

  expect(remap(p, 6 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at) == at); // moves and shrinks
  expect_eq(letters_wrong(at, 3), 0);
  expect_touch(LOAD, at + 3 * PAGE, SIGSEGV);
  expect_touch(LOAD, p + 4 * PAGE, SIGSEGV);
  p = free_place(16 * PAGE);
  expect(remap(at, 3 * PAGE, 9 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p) == p);
  expect_eq(letters_wrong(p, 3), 0);
  expect_eq(differing(p + 3 * PAGE, 6 * PAGE, 0), 0);
}

TEST(old_size_zero_doubles) // X14
{
  int fd = temp_pages(4);
  char *s = file_at(fd, 4 * PAGE, RW, MAP_SHARED), *a = map_shared(4 * PAGE), *q;

  q = remap(s + PAGE, 0, 2 * PAGE, MREMAP_MAYMOVE, 0);
  need(q != MAP_FAILED);
  expect(q[0] == 'b' && q[PAGE] == 'c');
  q[PAGE] = 'Q';
  expect(s[2 * PAGE] == 'Q' && file_byte(fd, 2 * PAGE) == 'Q');
  q = remap(a, 0, 4 * PAGE, MREMAP_MAYMOVE, 0);
  need(q != MAP_FAILED);
  q[3 * PAGE] = 'A';
  expect_eq(a[3 * PAGE], 'A');
  expect_errno((long)remap(map(PAGE), 0, PAGE, MREMAP_MAYMOVE, 0), EINVAL);
  expect_errno((long)remap(file_at(fd, PAGE, RW, MAP_PRIVATE), 0, PAGE, MREMAP_MAYMOVE, 0), EINVAL);
}

TEST(dontunmap) // X15
{
  char *p = letters(4), *q;

  expect_errno((long)remap(p, 4 * PAGE, 4 * PAGE, MREMAP_DONTUNMAP, 0), EINVAL);
  expect_errno((long)remap(p, 4 * PAGE, 8 * PAGE, MREMAP_DONTUNMAP | MREMAP_MAYMOVE, 0), EINVAL);
  q = remap(p, 4 * PAGE, 4 * PAGE, MREMAP_DONTUNMAP | MREMAP_MAYMOVE, 0);
  need(q != MAP_FAILED && q != p);
  expect_eq(letters_wrong(q, 4), 0);
  expect_eq(differing(p, 4 * PAGE, 0), 0);
  p[0] = 'p';
  expect(q[0] == 'a' && p[0] == 'p');
  q = free_place(4 * PAGE);
  expect(remap(p, PAGE, PAGE, MREMAP_DONTUNMAP | MREMAP_MAYMOVE | MREMAP_FIXED, q) == q);
  expect(q[0] == 'p' && p[0] == 0);
}

TEST(files_keep_their_offset) // X16, X17, F05
{
  int fd = temp_pages(6);
  char *p = mmap(0, 2 * PAGE, RW, MAP_SHARED, fd, PAGE), *q;

  need(p != MAP_FAILED);
  q = remap(p, 2 * PAGE, 7 * PAGE, MREMAP_MAYMOVE, 0);
  need(q != MAP_FAILED);
  for(int i = 0; i < 5; i++)
    expect_eq(q[i * PAGE], 'b' + i);
  expect_touch(LOAD, q + 5 * PAGE, SIGBUS); // the file ends here
  expect_eq(touch_code, BUS_ADRERR);
  p = free_place(2 * PAGE);
  expect(remap(q + 2 * PAGE, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p) == p);
  expect(p[0] == 'd' && p[PAGE] == 'e' && q[PAGE] == 'c' && q[4 * PAGE] == 'f');
}

TEST(address_space_limit) // X18
{
  char *p = letters(4);

  set_limit(RLIMIT_AS, 64 << 20);
  expect_errno((long)remap(p, 4 * PAGE, 128 << 20, MREMAP_MAYMOVE, 0), ENOMEM);
  expect_eq(letters_wrong(p, 4), 0);
  p = remap(p, 4 * PAGE, 16 * PAGE, MREMAP_MAYMOVE, 0);
  need(p != MAP_FAILED);
  expect_eq(letters_wrong(p, 4), 0);
}

TEST(locked_memory_limit) // X19
{
  char *p = letters(4), *q;

  set_limit(RLIMIT_MEMLOCK, 6 * PAGE);
  become_nobody();
  need(mlock(p, 4 * PAGE) == 0);
  expect_errno((long)remap(p, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE, 0), EAGAIN);
  q = remap(p, 4 * PAGE, 6 * PAGE, MREMAP_MAYMOVE, 0);
  need(q != MAP_FAILED);
  expect_eq(letters_wrong(q, 4), 0);
  expect_eq(resident(q, 6 * PAGE), 6); // the new part is locked too
  expect_eq(proc_figure("/proc/self/status", "VmLck"), 24);
}

TEST(moved_shared_pages_are_the_files) // X20
{
  int fd = temp_pages(3);
  char *p = file_at(fd, 3 * PAGE, RW, MAP_SHARED), *other = file_at(fd, 3 * PAGE, RW, MAP_SHARED),
       *q = free_place(3 * PAGE);

  p[0] = '1';
  need(remap(p, 3 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q);
  q[PAGE] = '2';
  other[2 * PAGE] = '3';
  expect(q[0] == '1' && q[2 * PAGE] == '3');
  expect(file_byte(fd, 0) == '1' && file_byte(fd, PAGE) == '2');
}

TEST(moving_copies_nothing) // X21
{
  enum { N = 2048 };
  char *p = map((size_t)N * PAGE), *q = free_place((size_t)N * PAGE);
  long before;

  for(int i = 0; i < N; i += 16)
    p[(size_t)i * PAGE] = i / 16;
  before = free_frames();
  need(remap(p, (size_t)N * PAGE, (size_t)N * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q);
  expect_eq(resident(q, (size_t)N * PAGE), N / 16);
  if(here() && before - free_frames() > 16)
    t_fail(__FILE__, __LINE__, "expected no more frames, %ld are used", before - free_frames());
  for(int i = 0; i < N; i += 16)
    expect(q[(size_t)i * PAGE] == (char)(i / 16) && q[(size_t)(i + 1) * PAGE] == 0);
}

TEST(moved_private_file_pages) // X22
{
  int fd = temp_pages(4);
  char *p = file_at(fd, 4 * PAGE, RW, MAP_PRIVATE), *q = free_place(4 * PAGE);

  p[PAGE] = 'P';
  need(remap(p, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q);
  expect(q[0] == 'a' && q[PAGE] == 'P' && q[PAGE + 1] == 'b' && q[3 * PAGE] == 'd');
  need(pwrite(fd, "XX", 2, 2 * PAGE) == 2 && pwrite(fd, "YY", 2, PAGE) == 2);
  expect(q[2 * PAGE] == 'X' && q[PAGE] == 'P');
  q[3 * PAGE] = 'Q';
  expect_eq(file_byte(fd, 3 * PAGE), 'd');
}

static void
child_sees_letters(void *arg)
{
  char *p = arg;

  expect_eq(letters_wrong(p, 4), 0);
  p = remap(p, 4 * PAGE, 32 * PAGE, MREMAP_MAYMOVE, 0);
  need(p != MAP_FAILED);
  expect_eq(letters_wrong(p, 4), 0);
  memset(p, 'c', 4 * PAGE);
}

TEST(moving_pages_shared_by_fork) // X04, K01
{
  char *p = letters(4);

  p = remap(p, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, free_place(8 * PAGE));
  need(p != MAP_FAILED);
  expect_eq(in_child(child_sees_letters, p), 0);
  expect_eq(letters_wrong(p, 4), 0);
}

TEST(grow_page_by_page) // X02, X04
{
  size_t n = 1;
  char *p = map(PAGE);

  for(; n < 2000; n++) {
    p[(n - 1) * PAGE] = n;
    p = remap(p, n * PAGE, (n + 1) * PAGE, MREMAP_MAYMOVE, 0);
    need(p != MAP_FAILED);
  }
  for(size_t i = 0; i + 1 < n; i++)
    need(p[i * PAGE] == (char)(i + 1));
}

TEST(remapping_file_pages) // F05, X20
{
  int fd = temp_pages(8), ro;
  char *p = file_at(fd, 8 * PAGE, RW, MAP_SHARED), *q = file_at(fd, 4 * PAGE, RW, MAP_PRIVATE), *s, name[64];

  expect(syscall(SYS_remap_file_pages, p, PAGE, 0, 7, 0) == 0);
  expect(p[0] == 'h' && p[PAGE] == 'b' && p[7 * PAGE] == 'h');
  p[1] = 'X';
  expect(p[7 * PAGE + 1] == 'X' && file_byte(fd, 7 * PAGE + 1) == 'X');
  expect(syscall(SYS_remap_file_pages, p + 100, 3 * PAGE - 100, 0, 2, 0) == 0); // whole pages downwards
  expect(p[0] == 'c' && p[PAGE] == 'd' && p[2 * PAGE] == 'c');
  expect(syscall(SYS_remap_file_pages, p, 8 * PAGE, 0, 0, 0) == 0 && p[0] == 'a' && p[2 * PAGE] == 'c');
  expect_errno(syscall(SYS_remap_file_pages, p, PAGE, PROT_READ, 0, 0), EINVAL);
  expect_errno(syscall(SYS_remap_file_pages, p, 0, 0, 0, 0), EINVAL);
  expect_errno(syscall(SYS_remap_file_pages, p, 9 * PAGE, 0, 0, 0), EINVAL);
  expect_errno(syscall(SYS_remap_file_pages, p, PAGE, 0, -1ul, 0), EINVAL);
  expect_errno(syscall(SYS_remap_file_pages, q, PAGE, 0, 1, 0), EINVAL); // private
  expect_errno(syscall(SYS_remap_file_pages, map(PAGE), PAGE, 0, 1, 0), EINVAL);
  expect_errno(syscall(SYS_remap_file_pages, (long)PAGE, PAGE, 0, 1, 0), EINVAL);
  s = map_shared(4 * PAGE);
  for(int i = 0; i < 4; i++)
    s[i * PAGE] = '0' + i;
  expect(syscall(SYS_remap_file_pages, s, PAGE, 0, 3, 0) == 0);
  expect(s[0] == '3' && s[PAGE] == '1');
  snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
  ro = open(name, O_RDONLY);
  s = file_at(ro, 2 * PAGE, PROT_READ, MAP_SHARED);
  expect_errno(syscall(SYS_remap_file_pages, s, PAGE, 0, 4, 0), EINVAL); // can never be written
}

// What is only cut off need not be one mapping, nor mapped at all.
TEST(moving_a_part_cuts_the_rest_off) // X10, X13
{
  char *p = map(8 * PAGE), *q = map(2 * PAGE);

  memset(p, 'a', 8 * PAGE);
  need(mprotect(p + 3 * PAGE, PAGE, PROT_READ) == 0 && munmap(p + 5 * PAGE, PAGE) == 0);
  expect(remap(p, 8 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q);
  expect(q[0] == 'a' && q[2 * PAGE - 1] == 'a');
  for(int i = 0; i < 8; i++)
    expect_errno(msync(p + i * PAGE, PAGE, MS_ASYNC), ENOMEM);
  p = map(4 * PAGE);
  need(mprotect(p + PAGE, PAGE, PROT_READ) == 0);
  expect(remap(p, 4 * PAGE, PAGE, 0, 0) == p); // in place, too
  expect_errno(msync(p + PAGE, 3 * PAGE, MS_ASYNC), ENOMEM);
  expect_errno((long)remap(p, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE, 0), EFAULT);
}

// With DONTUNMAP the new address is a wish.
TEST(dontunmap_takes_the_hint) // X15
{
  char *p = map(4 * PAGE), *to = map(4 * PAGE), *q;

  memset(p, 'b', 2 * PAGE);
  need(munmap(to, 4 * PAGE) == 0);
  expect(remap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, to) == to);
  expect(to[0] == 'b' && p[0] == 0);
  q = remap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, to); // it is taken now
  expect(q != MAP_FAILED && q != to);
  expect_errno((long)remap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, to + 1), EINVAL);
  expect_errno((long)remap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, p + PAGE), EINVAL);
}
