// rules_sync.c -- msync as far as memory shows it, on tmpfs: rules Y01 to Y18. What reaches a disk is tested with a disk.
#include "rules.h"

TEST(msync_errors) // Y01, Y02, Y03, Y13
{
  char *p = map_shared(4 * PAGE);

  expect_errno(msync(p + 1, PAGE, MS_SYNC), EINVAL);
  expect_errno(msync(p, PAGE, MS_SYNC | MS_ASYNC), EINVAL);
  expect_errno(msync(p, PAGE, MS_SYNC | 8), EINVAL);
  expect_errno(msync(p, PAGE, 0x100), EINVAL);
  expect_errno(msync(p, -PAGE, MS_SYNC), ENOMEM);
}

TEST(msync_flags) // Y04, Y06, Y07, Y09, Y18
{
  int fd = temp_pages(2);
  char *s = file_at(fd, 2 * PAGE, RW, MAP_SHARED), *r = file_at(fd, 2 * PAGE, PROT_READ, MAP_SHARED);
  char *p = file_at(fd, 2 * PAGE, RW, MAP_PRIVATE), *a = map(2 * PAGE);

  s[0] = p[PAGE] = a[0] = 'Y';
  expect(msync(s, 2 * PAGE, 0) == 0);
  expect(msync(s, 2 * PAGE, MS_ASYNC) == 0);
  expect(msync(s, 0, MS_SYNC) == 0);
  expect(msync(s, 2 * PAGE, MS_SYNC) == 0);
  expect(msync(s, 2 * PAGE, MS_SYNC | MS_INVALIDATE) == 0);
  expect(msync(r, 2 * PAGE, MS_SYNC) == 0);
  expect(msync(p, 2 * PAGE, MS_SYNC) == 0);
  expect(msync(a, 2 * PAGE, MS_SYNC) == 0);
  expect(file_byte(fd, 0) == 'Y' && file_byte(fd, PAGE) == 'b');
  expect(p[PAGE] == 'Y' && a[0] == 'Y');
  need(mlock(s, PAGE) == 0);
  expect_errno(msync(s, 2 * PAGE, MS_SYNC | MS_INVALIDATE), EBUSY);
  expect_errno(msync(s, 2 * PAGE, MS_INVALIDATE), EBUSY);
  expect(msync(s + PAGE, PAGE, MS_SYNC | MS_INVALIDATE) == 0);
  expect(msync(s, 2 * PAGE, MS_SYNC) == 0);
}

TEST(msync_over_a_hole) // Y05, Y10
{
  int fd = temp_pages(4);
  char *p = file_at(fd, 4 * PAGE, RW, MAP_SHARED);

  need(munmap(p + PAGE, PAGE) == 0);
  p[0] = p[2 * PAGE] = 'Y';
  expect_errno(msync(p, 4 * PAGE, MS_SYNC), ENOMEM);
  expect_errno(msync(p + PAGE, PAGE, MS_ASYNC), ENOMEM);
  expect(file_byte(fd, 0) == 'Y' && file_byte(fd, 2 * PAGE) == 'Y');
  need(raw_mmap(p + PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0) == p + PAGE);
  expect(msync(p, 4 * PAGE, MS_SYNC) == 0); // several mappings
}

TEST(stores_beyond_the_end_do_not_reach_the_file) // Y16, F02
{
  int fd = temp_file("end", 3);
  char *p = file_at(fd, PAGE, RW, MAP_SHARED);

  memset(p + 3, 'X', PAGE - 3);
  expect(msync(p, PAGE, MS_SYNC) == 0);
  expect_eq(file_size(fd), 3);
  expect_eq(p[3], 'X');
}

TEST(stores_after_msync_are_seen) // Y17
{
  int fd = temp_pages(1);
  char *p = file_at(fd, PAGE, RW, MAP_SHARED);

  for(int i = 0; i < 100; i++) {
    p[i] = 'A' + i % 26;
    expect(msync(p, PAGE, MS_SYNC) == 0);
    expect_eq(file_byte(fd, i), 'A' + i % 26);
  }
}

static long long
mtime_ns(int fd, bool change)
{
  struct stat st;

  need(fstat(fd, &st) == 0);
  return change ? st.st_ctim.tv_sec * 1000000000ll + st.st_ctim.tv_nsec
                : st.st_mtim.tv_sec * 1000000000ll + st.st_mtim.tv_nsec;
}

TEST(a_store_changes_the_times) // Y15, J01
{
  int fd = temp_pages(1);
  char *p = file_at(fd, PAGE, RW, MAP_SHARED);
  long long m = mtime_ns(fd, false), c = mtime_ns(fd, true);

  if(here())
    skip("no file system implements mobj_ops.touched, by which stores to a mapping reach mtime and ctime");
  usleep(50000);
  p[0] = 'J';
  expect(msync(p, PAGE, MS_SYNC) == 0);
  expect(mtime_ns(fd, false) > m);
  expect(mtime_ns(fd, true) > c);
}

TEST(what_changes_no_time) // J04, J05
{
  int fd = temp_pages(1);
  char *p = file_at(fd, PAGE, RW, MAP_PRIVATE), *s = file_at(fd, PAGE, RW, MAP_SHARED);
  long long m = mtime_ns(fd, false), c = mtime_ns(fd, true);

  usleep(50000);
  p[0] = 'J';
  expect(msync(p, PAGE, MS_SYNC) == 0);
  expect_touch(LOAD, s, 0);
  expect(msync(s, PAGE, MS_SYNC) == 0);
  expect_eq(mtime_ns(fd, false), m);
  expect_eq(mtime_ns(fd, true), c);
}

TEST(a_store_after_msync_changes_the_times_again) // J07, Y15
{
  int fd = temp_pages(1);
  char *p = file_at(fd, PAGE, RW, MAP_SHARED);

  skip("tmpfs never cleans a page, here or on Linux, so only its first store is seen: needs the writable disk");
  for(int i = 0; i < 3; i++) {
    long long m = mtime_ns(fd, false);

    usleep(50000);
    p[i] = 'J';
    expect(msync(p, PAGE, MS_SYNC) == 0);
    expect(mtime_ns(fd, false) > m);
  }
}
