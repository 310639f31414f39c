// anonfile.c -- open files with nothing behind them but a driver's methods: pidfds and their like. All share one inode, as
// on Linux; a dentry of their own says in /proc what they are.
// Typical: anonfile_open("[pidfd]", &fops, O_RDWR, &f) / f->priv = ...
#include "core/print.h"
#include "fs/internal.h"
#include "lib/fmt.h"

enum { ANON_MODE = 0600, ANON_NAME = 64 };

static struct fs anonfs;
static struct inode *the_inode; // (c) referenced

static const struct inode_ops anon_inode_ops = {0};
static const struct mobj_ops anon_mobj_ops = {.name = "anon_inode", .release = inode_mobj_release};

int
anonfile_open(const char *name, const struct file_ops *ops, unsigned flags, struct file **out)
{
  struct file *f = file_alloc(ops, flags);
  char shown[ANON_NAME];

  if(!f)
    return -ENOMEM;
  fmt(shown, sizeof(shown), "anon_inode:%s", name);
  f->inode = inode_get(the_inode);
  f->dentry = dentry_anon(&anonfs, shown, inode_get(the_inode));
  if(!f->dentry) {
    inode_put(the_inode); // which the dentry would have had
    f->ops = &dir_fops;   // nothing of the driver's is there to be released
    file_put(f);
    return -ENOMEM;
  }
  *out = f;
  return 0;
}

void
anonfile_init(void)
{
  static const struct fs_ops ops = {0};

  anonfs.ops = &ops;
  anonfs.type = "anon_inodefs";
  anonfs.dev = mount_anon_dev();
  anonfs.ref = 1;
  the_inode = inode_alloc(&anonfs, 1, &anon_mobj_ops, &anon_inode_ops);
  if(!the_inode)
    panic("no memory for the inode of files without one");
  inode_init_owner(the_inode, 0, ANON_MODE, 0);
  the_inode->nlink = 1;
}
