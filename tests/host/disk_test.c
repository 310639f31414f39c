// disk_test.c -- ext3 that is written, one behaviour at a time: what random calls seldom meet.
#include <stdlib.h>
#include <string.h>
#include "disk_world.h"
#include "fs/internal.h"
#include "hosttree.h"
#include "test.h"
#include "vfs_fakes.h"

static int
size_of(const char *path, uint64_t *size)
{
  struct dentry *d;
  int err = namei(&root_ctx, 0, path, 0, &d);

  if(err)
    return err;
  *size = d->inode->obj.size;
  dentry_put(d);
  return 0;
}

static int
call_truncate(const char *path, uint64_t size)
{
  struct dentry *d;
  int err = namei(&root_ctx, 0, path, 0, &d);

  if(err)
    return err;
  err = vfs_truncate(d->inode, size, root_ctx.cred);
  dentry_put(d);
  return err;
}

// Directories that Linux hashes: read by their index's blocks as they are, and linear from the first change on.
TEST(a_hashed_directory_becomes_linear)
{
  enum { NAMES = 900 };
  char path[300], tree[100];
  uint64_t size;

  sprintf(tree, "%s/hashed", host_tmp());
  need(host_run("mkdir -p %s", tree) == 0);
  sprintf(path, "%s/dir", tree);
  host_make_names(path, NAMES);
  need(disk_format("plain", "-N 512", "12M"));
  strcat(strcpy(path, tree), ".img");
  // e2fsck -D makes the index
  need(host_run("truncate -s 16M %s; mke2fs -q -F -t ext3 -b 4096 -m 0 -J size=4 -O "
                "none,has_journal,filetype,sparse_super,large_file,dir_index "
                "-N 2000 -d %s %s >/dev/null 2>&1; e2fsck -fyD %s >/dev/null 2>&1; "
                "debugfs -R 'htree_dump /dir' %s 2>/dev/null | grep -q 'Root node'",
                path, tree, path, path, path) == 0);
  disk_load(path);
  need(disk_mount() == 0);
  for(int i = 0; i < NAMES; i += 40) { // those of 255 bytes
    int k = sprintf(path, "/dir/%d", i);

    memset(path + k, 'a' + i % 26, 5 + 255 - k);
    path[5 + 255] = 0;
    expect_eq(size_of(path, &size), 0);
    expect_eq(vfs_unlink(&root_ctx, 0, path), 0);
    expect_eq(put(path, O_CREAT | O_EXCL | O_WRONLY, "new", 3, 0), 3);
  }
  expect_eq(vfs_mkdir(&root_ctx, 0, "/dir/sub", 0755), 0);
  expect_eq(vfs_rename(&root_ctx, 0, "/dir", 0, "/moved", 0), 0);
  expect_eq(vfs_mkdir(&root_ctx, 0, "/to", 0755), 0);
  expect_eq(vfs_rename(&root_ctx, 0, "/moved", 0, "/to/dir", 0), 0); // its ".." changes
  disk_unmount();
  disk_check("after the changes");
}

// The numbers that the superblock has are those that are free, whatever was made and removed.
TEST(all_room_comes_back)
{
  enum { FILES = 40 };
  struct statfs_info before, after;
  static char bytes[200000];
  char path[32];

  need(disk_format("groups", "-g 256 -N 512", "16M") && disk_mount() == 0);
  need(vfs_statfs(disk_fs, &before) == 0);
  for(int round = 0; round < 3; round++) {
    for(int i = 0; i < FILES; i++) {
      sprintf(path, "/f%d", i);
      expect_eq(put(path, O_CREAT | O_WRONLY, bytes, sizeof bytes, (uint64_t)i * i * 40000), sizeof bytes);
    }
    for(int i = 0; i < FILES; i++) {
      sprintf(path, "/f%d", i * 7 % FILES);
      expect_eq(vfs_unlink(&root_ctx, 0, path), 0);
    }
    vfs_settle();
  }
  need(vfs_statfs(disk_fs, &after) == 0);
  expect_eq(after.bfree, before.bfree);
  expect_eq(after.ffree, before.ffree);
  disk_unmount();
  disk_check("after all");
}

// A full disk says so, keeps what it has, and takes as much again after something was removed.
TEST(a_full_disk_takes_as_much_again)
{
  static char bytes[1 << 20];
  uint64_t first = 0, again = 0, size;
  int64_t n;

  need(disk_format("plain", "-N 512", "12M") && disk_mount() == 0);
  for(int round = 0; round < 4; round++) {
    uint64_t *sum = round ? &again : &first;

    *sum = 0;
    need(put("/full", O_CREAT | O_WRONLY, "", 0, 0) == 0);
    while((n = put("/full", O_WRONLY | O_APPEND, bytes, sizeof bytes, 0)) > 0)
      *sum += n;
    expect_eq(n, -ENOSPC);
    expect_eq(size_of("/full", &size), 0);
    expect_eq(size, *sum);
    expect_eq(put("/other", O_CREAT | O_WRONLY, "x", 1, 0), -ENOSPC);
    expect_eq(vfs_mkdir(&root_ctx, 0, "/dir", 0755), -ENOSPC);
    expect_eq(call_truncate("/full", 0), 0); // its blocks wait for a commit
    expect_eq(vfs_mkdir(&root_ctx, 0, "/dir", 0755), 0);
    expect_eq(vfs_rmdir(&root_ctx, 0, "/dir"), 0);
    expect_eq(vfs_unlink(&root_ctx, 0, "/full"), 0);
    expect_eq(vfs_unlink(&root_ctx, 0, "/other"), 0);
    if(round)
      expect_eq(again, first);
  }
  disk_unmount();
  disk_check("after all");
}

// Memory fails at each of the places where a truncate asks for some: it is over, or nothing happened.
TEST(truncate_without_memory)
{
  static char bytes[30 * 4096];
  uint64_t size;
  char byte;

  need(disk_format("groups", "-g 256 -N 512", "16M"));
  for(unsigned n = 1; n < 40; n++) {
    memset(bytes, 'x', sizeof bytes);
    need(disk_mount() == 0);
    expect_eq(put("/f", O_CREAT | O_WRONLY, bytes, sizeof bytes, 0), sizeof bytes);
    expect_eq(put("/f", O_WRONLY, bytes, sizeof bytes, 1040 * 4096), sizeof bytes);
    disk_unmount();
    need(disk_mount() == 0);
    disk_starve(n);
    int err = call_truncate("/f", 5000);
    frame_fail_after(0, false);
    expect(err == 0 || err == -ENOMEM);
    expect_eq(size_of("/f", &size), 0);
    expect_eq(size, err ? 1040 * 4096 + sizeof bytes : 5000);
    // Nothing of what was there comes back when it grows again.
    expect_eq(call_truncate("/f", 2000 * 4096), 0);
    expect_eq(get("/f", &byte, 1, 1050 * 4096), 1);
    expect(err || byte == 0);
    expect_eq(vfs_unlink(&root_ctx, 0, "/f"), 0);
    disk_unmount();
  }
  disk_check("after all");
}

// What the disk cannot say of a time is as near as it can, at once and not only after the next mount.
TEST(times_are_clamped)
{
  struct setattr sa = {
      .set_atime = true, .set_mtime = true, .atime = {.sec = 1ll << 40}, .mtime = {.sec = -(1ll << 40)}};
  struct dentry *d;

  for(int old = 0; old < 2; old++) {
    need(disk_format(old ? "inode128" : "plain", old ? "-I 128 -N 512" : "-N 512", "12M") && disk_mount() == 0);
    need(put("/f", O_CREAT | O_WRONLY, "", 0, 0) == 0);
    for(int life = 0; life < 2; life++) {
      need(namei(&root_ctx, 0, "/f", 0, &d) == 0);
      if(life == 0)
        expect_eq(vfs_setattr(d->inode, &sa, root_ctx.cred), 0);
      expect_eq(stamp_get(&d->inode->atime).sec, old ? INT32_MAX : 0x37fffffffll);
      expect_eq(stamp_get(&d->inode->mtime).sec, INT32_MIN);
      dentry_put(d);
      disk_unmount();
      need(disk_mount() == 0);
    }
    disk_unmount();
    disk_check("after all");
  }
}

// A store through a mapping is noted, and goes to the disk with the next sync of the file system, too: not only with fsync.
TEST(sync_stores_the_times_of_mapped_stores)
{
  struct dentry *d;
  struct page *pg;

  need(disk_format("plain", "-N 512", "12M") && disk_mount() == 0);
  need(put("/f", O_CREAT | O_WRONLY, "x", 1, 0) == 1);
  need(namei(&root_ctx, 0, "/f", 0, &d) == 0);
  expect_eq(inode_sync_fs(disk_fs), 0); // a page that is dirty already is touched once
  need(mobj_page(&d->inode->obj, 0, FOR_WRITE, &pg) == 0);
  *(char *)page_va(pg) = 'y';
  mobj_dirty(&d->inode->obj, pg);
  page_busy_clear(pg);
  page_put(pg);
  expect(d->inode->touched != 0);
  expect_eq(inode_sync_fs(disk_fs), 0);
  expect_eq(disk_fs->ops->sync(disk_fs), 0);
  expect_eq(d->inode->touched, 0);
  dentry_put(d);
  disk_unmount();
  disk_check("after all");
}
