// userpath.c -- a path argument: the string, where it starts, and as whom it is walked.
// Typical: userpath_get(&p, dirfd, a[1], PATH_NONEMPTY) / vfs_mkdir(&p.ctx, p.at, p.name, mode) / userpath_put(&p).
// Linux's order of errors: the string (EFAULT, ENAMETOOLONG, ENOENT if empty), then the descriptor, then the walk.
// Must not know: what happens to the file.
#include "lib/string.h"
#include "syscall/sys.h"

// Find where the path starts. The descriptor of an absolute path is not looked at.
static int
userpath_start(struct userpath *p, int dirfd)
{
  if(p->name[0] == '/' || dirfd == AT_FDCWD)
    return 0;
  p->dir = fd_any(dirfd);
  if(!p->dir)
    return -EBADF;
  p->at = p->dir->dentry;
  if(!p->at && p->name[0])
    return -ENOTDIR;
  return 0;
}

int
userpath_get(struct userpath *p, int dirfd, vaddr_t path, enum userpath_how how)
{
  int e;

  memset(p, 0, sizeof(*p));
  e = user_string(&p->frame, path);
  if(e)
    return e;
  p->name = page_va(p->frame);
  fsctx_names(thread_self(), &p->ctx);
  if(!p->name[0] && how == PATH_NONEMPTY)
    e = -ENOENT;
  else
    e = userpath_start(p, dirfd);
  if(e)
    userpath_put(p);
  return e;
}

void
userpath_put(struct userpath *p)
{
  namectx_put(&p->ctx);
  if(p->dir)
    file_put(p->dir);
  page_put(p->frame);
}

int
userpath_find(struct userpath *p, int flags, struct dentry **out)
{
  return namei(&p->ctx, p->at, p->name, flags, out);
}

// Is `path` the empty string?
static int
path_is_empty(vaddr_t path, bool *empty)
{
  char c;
  int e = user_in(&c, path, 1);

  *empty = !e && !c;
  return e;
}

static int
inode_of_fd(int fd, struct inode **out)
{
  struct file *f = fd_any(fd);

  if(!f)
    return -EBADF;
  *out = f->inode ? inode_get(f->inode) : 0;
  file_put(f);
  return *out ? 0 : -EBADF;
}

int
userpath_inode(int dirfd, vaddr_t path, int atflags, struct inode **out)
{
  struct userpath p;
  struct dentry *d;
  bool empty;
  int e;

  if(atflags & AT_EMPTY_PATH) {
    e = path_is_empty(path, &empty);
    if(e)
      return e;
    if(empty && dirfd != AT_FDCWD)
      return inode_of_fd(dirfd, out);
  }
  e = userpath_get(&p, dirfd, path, atflags & AT_EMPTY_PATH ? PATH_MAYBE_EMPTY : PATH_NONEMPTY);
  if(e)
    return e;
  e = userpath_find(
      &p, (atflags & AT_SYMLINK_NOFOLLOW ? 0 : NAMEI_FOLLOW) | (atflags & AT_EMPTY_PATH ? NAMEI_EMPTY : 0), &d);
  if(e == 0) {
    *out = inode_get(d->inode);
    dentry_put(d);
  }
  userpath_put(&p);
  return e;
}
