// fs_fakes.c -- fs_fakes.h says what for.
#include <stdlib.h>
#include <string.h>
#include "fs/bcache.h"
#include "fs_fakes.h"
#include "lib/atomic.h"

const struct file_ops *
dev_chr_fops(uint64_t rdev)
{
  return 0;
}

// ---- disks

static void
disk_end(struct fakedisk *d, struct blkreq *r)
{
  int number = d->requests++;
  unsigned char *at = d->bytes + r->sector * BLK_SECTOR;

  if(number >= d->fail_at && number < d->fail_at + d->fail_for) {
    for(int i = 0; i < r->nseg; i++)
      memset((void *)(direct_map + r->seg[i].pa), 0xdb, r->seg[i].len);
    blk_done(&d->dev, r, -EIO);
    return;
  }
  for(int i = 0; i < r->nseg; at += r->seg[i++].len)
    memcpy((void *)(direct_map + r->seg[i].pa), at, r->seg[i].len);
  blk_done(&d->dev, r, 0);
}

static void
disk_submit(struct blkdev *dev, struct blkreq *r)
{
  struct fakedisk *d = container_of(dev, struct fakedisk, dev);

  if(r->op != BLK_READ)
    panic("request %d on a disk that is only read", r->op);
  if(!d->later) {
    disk_end(d, r);
    return;
  }
  r->link.next = r->link.prev = 0;
  list_add(&d->pending, &r->link);
}

// Somebody waits: end what is under way on every disk.
static bool
disks_idle(void)
{
  bool any = false;

  for(struct blkdev *dev = blk_next(0); dev; dev = blk_next(dev)) {
    struct fakedisk *d = container_of(dev, struct fakedisk, dev);

    while(!list_empty(&d->pending)) {
      struct blkreq *r = list_entry(d->pending.next, struct blkreq, link);

      list_del(&r->link);
      disk_end(d, r);
      any = true;
    }
  }
  return any;
}

void
fakedisk_init(struct fakedisk *d, const char *name, void *bytes, uint64_t size)
{
  static const struct blkdev_ops ops = {.submit = disk_submit};
  bool known = d->bytes != 0;

  d->bytes = bytes;
  d->dev.sectors = size / BLK_SECTOR;
  d->requests = d->fail_for = 0;
  if(known)
    return;
  list_init(&d->pending);
  strcpy(d->dev.name, name);
  d->dev.ops = &ops;
  d->dev.readonly = true;
  blk_add(&d->dev);
}

// ---- the world

void
fs_world(void)
{
  static bool made;

  if(made)
    return;
  made = true;
  fake_frames_init(FS_FRAMES);
  fake_idle = disks_idle;
  vfs_init();
  ext3_init();
  procfs_init();
}

uint64_t
fs_frames_free(void)
{
  disks_idle();
  inode_flush_later();
  while(dentry_shrink(1000) + bcache_shrink(1000) > 0)
    inode_flush_later();
  return fake_frames_free();
}

int
fs_mount_ext3(const char *source, struct fs **out)
{
  int err = ext3_mount(source, "", out);

  if(err == 0)
    (*out)->ref++;
  return err;
}

void
fs_unmount(struct fs *fs)
{
  disks_idle();
  dentry_forget_fs(fs);
  if(fs->root->ref != 1 || fs->ref != 2 || fs->ninodes != 1)
    panic("%s: root has %d references, fs %d, and %lu inodes are in memory", fs->source, fs->root->ref, fs->ref,
          fs->ninodes);
  dentry_put(fs->root);
  fs->ops->unmount(fs);
  fs_put(fs);
}
