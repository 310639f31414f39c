// anonfile.c -- files without a name or data: what epoll, eventfd and their like open. All share one inode.
// Must not know: what any of them is for.
#include "fs/internal.h"
#include "core/print.h"
#include "lib/fmt.h"

enum { ANON_MODE = 0600, ANON_NAME = 64, ANON_MAGIC = 0x09041934 };

static struct fs anonfs;
static struct inode *anon_inode; // (c) for ever

static int
anon_setattr(struct inode *ip)
{
  return 0;
}

static const struct inode_ops anon_inode_ops = {.setattr = anon_setattr};
static const struct mobj_ops anon_mobj_ops = {.name = "anon_inode", .release = inode_mobj_release};

int
anonfile_make(const char *name, const struct file_ops *ops, unsigned flags, void *priv, struct file **out)
{
  struct file *f = file_alloc(ops, O_RDWR | (flags & O_NONBLOCK));
  char shown[ANON_NAME];

  if(!f)
    return -ENOMEM;
  fmt(shown, sizeof(shown), "anon_inode:[%s]", name);
  f->dentry = dentry_anon(&anonfs, shown, inode_get(anon_inode));
  if(!f->dentry) {
    inode_put(anon_inode);
    f->ops = &(const struct file_ops){0}; // no release: priv is not ours
    file_put(f);
    return -ENOMEM;
  }
  f->inode = inode_get(anon_inode);
  f->priv = priv;
  *out = f;
  return 0;
}

static int
anon_statfs(struct fs *fs, struct statfs_info *st)
{
  *st = (struct statfs_info){.type = ANON_MAGIC, .bsize = PAGE_SIZE, .namelen = NAME_MAX};
  return 0;
}

void
anonfile_init(void)
{
  static const struct fs_ops ops = {.statfs = anon_statfs};

  anonfs.ops = &ops;
  anonfs.type = "anon_inodefs";
  anonfs.dev = mount_anon_dev();
  anonfs.ref = 1;
  anonfs.noexec = true;
  anon_inode = inode_alloc(&anonfs, 1, &anon_mobj_ops, &anon_inode_ops);
  if(!anon_inode)
    panic("no memory for the inode of files without a name");
  inode_init_owner(anon_inode, 0, ANON_MODE, 0);
  anon_inode->nlink = 1;
}
