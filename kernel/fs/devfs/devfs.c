// devfs.c -- /dev: a tmpfs that is born with a node for every device, as Linux's devtmpfs is.
//
// Typical: mount_at_boot("devfs", "/dev"). What a node does is found by its number (chr.c, blkfile.c), so nodes on
// other file systems work as well. Knows no driver.
#include "dev/blk.h"
#include "fs/devfs/devfs.h"
#include "fs/tmpfs/tmpfs.h"
#include "lib/string.h"

static const struct devlink { // symbolic links
  const char *name, *to;
} devlinks[] = {
    {"fd", "/proc/self/fd"},
    {"stdin", "/proc/self/fd/0"},
    {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"},
};

static int
devfs_node(struct inode *dir, const char *name, unsigned mode, uint64_t rdev)
{
  struct inode *ip;
  int err = tmpdir_create(dir, name, strlen(name), mode, rdev, 0, &ip);

  if(!err)
    inode_put(ip);
  return err;
}

// The directory is new and nobody else sees it, but its lock is taken all the same: the methods want it.
static int
devfs_fill_locked(struct inode *root)
{
  struct inode *ip;
  int err = 0;

  for(const struct chrdev *c = chrdevs; c->name && !err; c++)
    err = devfs_node(root, c->name, S_IFCHR | c->mode, c->rdev);
  for(struct blkdev *b = blk_next(0); b && !err; b = blk_next(b))
    err = devfs_node(root, b->name, S_IFBLK | DEV_DISK_MODE, blkfile_rdev(b));
  for(size_t i = 0; i < array_len(devlinks) && !err; i++) {
    err = tmpdir_symlink(root, devlinks[i].name, strlen(devlinks[i].name), devlinks[i].to, 0, &ip);
    if(!err)
      inode_put(ip);
  }
  if(err)
    return err;
  err = tmpdir_mkdir(root, "shm", 3, S_IFDIR | DEV_SHM_MODE, 0, &ip);
  if(!err)
    inode_put(ip);
  return err;
}

static int
devfs_mount(const char *source, const char *options, struct fs **out)
{
  struct tmpfs *t;
  int err = tmpfs_make(source, "mode=755", &t);

  if(err)
    return err;
  t->fs.type = "devtmpfs";
  rw_write(&t->root->lock);
  err = devfs_fill_locked(t->root);
  rw_write_release(&t->root->lock);
  *out = &t->fs;
  return err;
}

void
devfs_init(void)
{
  static struct fs_type devfs = {.name = "devfs", .nodev = true, .mount = devfs_mount};
  static struct fs_type devtmpfs = {.name = "devtmpfs", .nodev = true, .mount = devfs_mount};

  fs_register(&devfs);
  fs_register(&devtmpfs);
}
