// open.c -- open(2): find or make a file by path, then file_open_dentry.
//
// Typical: vfs_open(&ctx, 0, "/etc/passwd", O_RDONLY, 0, &f).
// O_CREAT walks to the parent first, looks whether the name is there, and takes the directory's lock only to make it; a
// last symbolic link is followed by going on with the walk. Knows nothing of descriptors; the umask was applied before.
#include "fs/internal.h"
#include "fs/perm.h"
#include "lib/atomic.h"
#include "lib/fmt.h"

enum { OPEN_LINK = 1 };     // the last component is a symbolic link: go on along it
enum { TMPFILE_NAME = 24 }; // "/#" and a number
enum { MODE_BITS = 07777 };

struct opening {
  const struct namectx *c;
  unsigned flags, mode;
  struct namei_last last;
  bool created;
};

// Make the file that negative dentry *d names in dir, unless somebody was faster. *d may be exchanged.
static int
open_create_locked(struct opening *o, struct dentry *dir, struct dentry **d)
{
  struct inode *ip, *parent = dir->inode;
  int err;

  dentry_put(*d);
  *d = 0;
  err = dentry_lookup_locked(dir, o->last.name, o->last.len, d);
  if(err || (*d)->inode)
    return err;
  if(parent->nlink == 0)
    return -ENOENT;
  if(dir->fs->readonly)
    return -EROFS;
  err = inode_permission(parent, o->c->cred, MAY_WRITE | MAY_EXEC);
  if(err)
    return err;
  if(!parent->ops->create)
    return -EACCES;
  err = parent->ops->create(parent, o->last.name, o->last.len, (o->mode & MODE_BITS) | S_IFREG, 0, o->c->cred, &ip);
  if(err)
    return err;
  dentry_instantiate(*d, ip);
  atomic_add(&parent->seq, 1);
  o->created = true;
  return 0;
}

// The last component in dir: 0 and a positive dentry (*d, referenced), OPEN_LINK and a symbolic link, or -E.
static int
open_last(struct opening *o, struct dentry *dir, struct dentry **d)
{
  int err;

  err = dentry_lookup(dir, o->last.name, o->last.len, d);
  if(err)
    return err;
  if(!atomic_get(&(*d)->inode)) {
    rw_write(&dir->inode->lock);
    err = open_create_locked(o, dir, d);
    rw_write_release(&dir->inode->lock);
  }
  if(!err && !o->created) {
    *d = dentry_cross(*d);
    if(o->flags & O_EXCL)
      err = -EEXIST;
    else if(inode_is((*d)->inode, S_IFLNK))
      err = o->flags & O_NOFOLLOW ? -ELOOP : OPEN_LINK;
    else if(inode_is((*d)->inode, S_IFDIR))
      err = -EISDIR;
  }
  if(err < 0 && *d)
    dentry_put(*d);
  return err;
}

// Walk to the file that o asks for, making it if need be: 0 and *d, or -E.
static int
open_walk(struct opening *o, struct walk *w, struct dentry **d)
{
  int err;

  for(;;) {
    err = walk_parent(w, &o->last);
    if(err)
      return err;
    if(o->last.kind != LAST_NORMAL)
      return o->flags & O_EXCL ? -EEXIST : -EISDIR;
    if(o->last.dir_slash)
      return -EISDIR;
    err = open_last(o, w->at, d);
    if(err != OPEN_LINK)
      return err;
    err = walk_link(w, *d);
    if(err)
      return err;
    if(*w->p == 0) { // a magic link led to the file itself
      *d = dentry_get(w->at);
      return 0;
    }
  }
}

static int
open_create(const struct namectx *c, struct dentry *at, const char *path, unsigned flags, unsigned mode,
            struct file **out)
{
  struct opening o = {.c = c, .flags = flags, .mode = mode};
  struct dentry *d;
  struct walk w;
  int err;

  if(flags & O_DIRECTORY)
    return -EINVAL;
  err = walk_begin(&w, c, at, path);
  if(!err)
    err = open_walk(&o, &w, &d);
  walk_end(&w);
  if(err)
    return err;
  if(o.created) // its mode is for later opens
    err = file_open_checked(d, flags & ~O_TRUNC, c->cred, out);
  else
    err = file_open_dentry(d, flags, c->cred, out);
  dentry_put(d);
  return err;
}

// An inode without a name in directory `dir`.
static int
open_unnamed(const struct namectx *c, struct dentry *dir, unsigned flags, unsigned mode, struct file **out)
{
  struct inode *ip, *parent = dir->inode;
  char name[TMPFILE_NAME];
  struct dentry *d;
  int err;

  err = inode_permission(parent, c->cred, MAY_WRITE | MAY_EXEC);
  if(err)
    return err;
  if(!parent->ops->tmpfile)
    return -EOPNOTSUPP;
  err = parent->ops->tmpfile(parent, (mode & MODE_BITS) | S_IFREG, c->cred, &ip);
  if(err)
    return err;
  ip->linkable = !(flags & O_EXCL);
  fmt(name, sizeof(name), "/#%lu", ip->ino);
  d = dentry_anon(dir->fs, name, ip);
  if(!d) {
    inode_put(ip);
    return -ENOMEM;
  }
  err = file_open_checked(d, flags, c->cred, out);
  dentry_put(d);
  return err;
}

static int
open_tmpfile(const struct namectx *c, struct dentry *at, const char *path, unsigned flags, unsigned mode,
             struct file **out)
{
  struct dentry *dir;
  int err;

  if((flags & O_ACCMODE) == O_RDONLY || (flags & O_CREAT))
    return -EINVAL;
  err = namei(c, at, path, NAMEI_FOLLOW | NAMEI_DIRECTORY, &dir);
  if(err)
    return err;
  err = open_unnamed(c, dir, flags & ~(O_TMPFILE | O_TRUNC), mode, out);
  dentry_put(dir);
  return err;
}

int
vfs_open(const struct namectx *c, struct dentry *at, const char *path, unsigned flags, unsigned mode, struct file **out)
{
  struct dentry *d;
  int how, err;

  if(flags & O_PATH)
    flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  if((flags & O_TMPFILE) == O_TMPFILE)
    return open_tmpfile(c, at, path, flags, mode, out);
  if(flags & O_CREAT)
    return open_create(c, at, path, flags, mode, out);

  how = (flags & O_NOFOLLOW ? 0 : NAMEI_FOLLOW) | (flags & O_DIRECTORY ? NAMEI_DIRECTORY : 0);
  err = namei(c, at, path, how, &d);
  if(err)
    return err;
  err = file_open_dentry(d, flags, c->cred, out);
  dentry_put(d);
  return err;
}
