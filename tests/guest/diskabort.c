// diskabort.c -- a second disk, /dev/vdb with an ext3 of its own, that fails under its file system: metadata that cannot be
// read, a journal that cannot be written. Only errors come of it: no panic, no wait without end, and the root disk goes on.
// Run by `tests/run -s writeback`, which brings the disk and has it repaired afterwards.
#include "disk.h"
#include <sys/mount.h>
#include <sys/statvfs.h>

enum { FILES = 20 };
static const char RULES[] = "/proc/sys/dev/blkfail", DIR[] = "/tmp/vdb";

static void
mounted(void)
{
  only_here();
  if(access("/dev/vdb", F_OK) != 0)
    skip("there is no /dev/vdb");
  mkdir(DIR, 0755);
  need(mount("/dev/vdb", DIR, "ext3", 0, 0) == 0);
}

static void
path(char *name, const char *what, int i)
{
  sprintf(name, "%s/%s%d", DIR, what, i);
}

static void
make_files(const char *what, int n)
{
  char name[64], text[PAGE];

  for(int i = 0; i < n; i++) {
    int fd;

    path(name, what, i);
    need((fd = open(name, O_RDWR | O_CREAT, 0644)) >= 0);
    memset(text, 'a' + i, sizeof(text));
    need(write(fd, text, sizeof(text)) == sizeof(text));
    need(close(fd) == 0);
  }
}

static void
files_are_there(const char *what, int n)
{
  char name[64], c;

  for(int i = 0; i < n; i++) {
    int fd;

    path(name, what, i);
    need((fd = open(name, O_RDONLY)) >= 0);
    expect(pread(fd, &c, 1, PAGE - 1) == 1 && c == 'a' + i);
    close(fd);
  }
}

TEST(metadata_that_cannot_be_read)
{
  char name[64];
  struct stat st;

  mounted();
  make_files("kept", FILES);
  need(mkdir("/tmp/vdb/dir", 0755) == 0);
  need(umount(DIR) == 0); // nothing of it is cached any more
  need(mount("/dev/vdb", DIR, "ext3", 0, 0) == 0);
  proc_write(RULES, "vdb:read:*");
  path(name, "kept", 3);
  expect_errno(stat(name, &st), EIO);
  expect_errno(open("/tmp/vdb/dir/new", O_CREAT | O_WRONLY, 0644), EIO);
  proc_write(RULES, "\n");
  need(stat(name, &st) == 0);
  expect_eq(st.st_size, PAGE);
  files_are_there("kept", FILES);
  need(umount(DIR) == 0);
}

TEST(new_disk_that_cannot_be_read)
{
  mounted();
  need(umount(DIR) == 0);
  proc_write(RULES, "vdb:read:*");
  expect_errno(mount("/dev/vdb", DIR, "ext3", 0, 0), EIO);
  proc_write(RULES, "\n");
  need(mount("/dev/vdb", DIR, "ext3", 0, 0) == 0);
  files_are_there("kept", FILES);
  need(umount(DIR) == 0);
}

TEST(data_that_cannot_be_flushed)
{
  int fd;

  mounted();
  fd = open("/tmp/vdb/flush", O_CREAT | O_RDWR, 0644);
  need(fd >= 0 && write(fd, "x", 1) == 1 && fsync(fd) == 0);
  need(write(fd, "y", 1) == 1);
  proc_write(RULES, "vdb:flush:*");
  expect_errno(fsync(fd), EIO);
  proc_write(RULES, "\n");
  close(fd);
  expect_errno(umount(DIR), EIO); // the journal is over: not everything can be written any more
  expect_eq(umount2(DIR, MNT_FORCE), 0);
}

TEST(journal_that_cannot_be_written)
{
  struct statvfs v;
  char name[64];
  int fd, other;

  mounted();
  fd = open("/tmp/vdb/lost", O_CREAT | O_RDWR, 0644);
  need(fd >= 0);
  proc_write(RULES, "vdb:write:*");
  need(write(fd, "x", 1) == 1 || errno == EROFS);
  expect(fsync(fd) == -1 && (errno == EIO || errno == EROFS));
  expect_errno(mkdir("/tmp/vdb/dir2", 0755), EROFS);
  expect_errno(open("/tmp/vdb/other", O_CREAT | O_WRONLY, 0644), EROFS);
  path(name, "kept", 3);
  expect_errno(unlink(name), EROFS);
  need(statvfs(DIR, &v) == 0);
  expect(v.f_flag & ST_RDONLY);
  files_are_there("kept", FILES); // reading goes on
  other = disk_file();            // and so does the other disk
  need(write(other, "x", 1) == 1 && fsync(other) == 0);
  sync();
  proc_write(RULES, "\n");
  close(fd);
  expect_errno(umount(DIR), EIO);
  expect_eq(umount2(DIR, MNT_FORCE), 0);
  need(mount("/dev/vdb", DIR, "ext3", 0, 0) == 0); // and it can be used again
  files_are_there("kept", FILES);
  need(umount(DIR) == 0);
}
