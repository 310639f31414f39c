// fs_fakes.h -- what fs/ runs against in a host test: memory from fake_frames, no programs at all (user memory cannot be
// touched), and disks whose sectors lie in memory.
#pragma once
#include "dev/blk.h"
#include "fake_frames.h"
#include "fake_thread.h"
#include "fs/internal.h"

enum { FS_FRAMES = 16384 };
// Once per program: memory, vfs, ext3. Later calls do nothing.
void fs_world(void);
// Free frames when nothing is cached: drops unused names, inodes waiting to be dropped, and metadata blocks first.
uint64_t fs_frames_free(void);
// Mounted but not in any tree: how mount_add counts, and how umount takes it apart. The root dentry is fs->root.
int fs_mount_ext3(const char *source, struct fs **out);
void fs_unmount(struct fs *fs); // aborts if anything of it is still in use

struct fakedisk {
  struct blkdev dev;
  unsigned char *bytes;  // of dev.sectors * BLK_SECTOR
  bool later;            // requests end when somebody waits, last one first
  int requests;          // so far
  int fail_at, fail_for; // request numbers [fail_at, fail_at + fail_for) end with -EIO; fail_for 0: none
  struct list pending;
};
// A disk of that name; made once, then only its contents change.
void fakedisk_init(struct fakedisk *d, const char *name, void *bytes, uint64_t size);
