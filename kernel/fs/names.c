// names.c -- calls that make, remove and move names: mknod mkdir symlink link unlink rmdir rename.
//
// Typical: namei_parent / check what Linux checks, in its order / the directory's lock / look the last name up again /
// the file system's method / tell dcache.c.
// Locks: the directory (w), then the inode whose link count changes (w, nested). rename_lock comes first whenever a
// directory moves or two directories are involved; then the tree above them stands still, and the one nearer to the
// root is locked first. Knows nothing of open files.
#include "fs/internal.h"
#include "fs/perm.h"
#include "lib/atomic.h"
#include "lib/string.h"

static struct sleeplock rename_lock; // rank 5: which directory lies in which

struct name_op {      // one name about to change
  struct dentry *dir; // referenced; locked (w) between begin and end
  struct dentry *d;   // what the name is now, perhaps negative; referenced
  struct namei_last last;
};

static void
name_end(struct name_op *op) UNCHECKED // the lock was taken by name_lock
{
  rw_write_release(&op->dir->inode->lock);
  dentry_put(op->d);
  dentry_put(op->dir);
}

static int
name_locked(struct name_op *op)
{
  return dentry_lookup_locked(op->dir, op->last.name, op->last.len, &op->d);
}

// Lock op->dir and look its name up. On an error all is given back.
static int
name_lock(struct name_op *op) UNCHECKED // held on return only if it succeeds
{
  int err;

  op->d = 0;
  rw_write(&op->dir->inode->lock);
  err = name_locked(op);
  if(err)
    name_end(op);
  return err;
}

// May `cr` put a new name into dir? Called with dir's lock held.
static int
name_may_create(struct dentry *dir, const struct cred *cr)
{
  if(dir->inode->nlink == 0)
    return -ENOENT;
  return inode_permission(dir->inode, cr, MAY_WRITE | MAY_EXEC);
}

// May `cr` take the name of `ip` out of dir? `want_dir`: as rmdir does; else as unlink.
static int
name_may_remove(struct inode *dir, struct inode *ip, const struct cred *cr, bool want_dir)
{
  int err = inode_permission(dir, cr, MAY_WRITE | MAY_EXEC);

  if(err)
    return err;
  if((dir->mode & S_ISVTX) && cr && cr->fsuid != dir->uid && !cred_owns(cr, ip))
    return -EPERM;
  if(want_dir && !inode_is(ip, S_IFDIR))
    return -ENOTDIR;
  if(!want_dir && inode_is(ip, S_IFDIR))
    return -EISDIR;
  return 0;
}

static void
name_changed(struct inode *dir)
{
  atomic_add(&dir->seq, 1);
}

// Begin a call that makes `path`: on 0 op->d is negative and may be made.
static int
name_create_begin(const struct namectx *c, struct dentry *at, const char *path, bool dir_ok, struct name_op *op)
{
  int err = namei_parent(c, at, path, &op->dir, &op->last);

  if(err)
    return err;
  if(op->last.kind != LAST_NORMAL) {
    dentry_put(op->dir);
    return -EEXIST;
  }
  err = name_lock(op);
  if(err)
    return err;
  if(op->d->inode)
    err = -EEXIST;
  else if(op->last.dir_slash && !dir_ok)
    err = -ENOENT;
  else if(op->dir->fs->readonly)
    err = -EROFS;
  else
    err = name_may_create(op->dir, c->cred);
  if(err)
    name_end(op);
  return err;
}

static int
name_create_end(struct name_op *op, int err, struct inode *ip)
{
  if(!err) {
    dentry_instantiate(op->d, ip);
    name_changed(op->dir->inode);
  }
  name_end(op);
  return err;
}

int
vfs_mknod(const struct namectx *c, struct dentry *at, const char *path, unsigned mode, uint64_t rdev)
{
  bool device = S_ISTYPE(mode, S_IFCHR) || S_ISTYPE(mode, S_IFBLK);
  const struct inode_ops *ops;
  struct inode *ip = 0;
  struct name_op op;
  int err;

  if((mode & S_IFMT) == 0)
    mode |= S_IFREG;
  if(S_ISTYPE(mode, S_IFDIR))
    return -EPERM;
  if(!device && !S_ISTYPE(mode, S_IFREG) && !S_ISTYPE(mode, S_IFIFO) && !S_ISTYPE(mode, S_IFSOCK))
    return -EINVAL;

  err = name_create_begin(c, at, path, false, &op);
  if(err)
    return err;
  ops = op.dir->inode->ops;
  if(!ops->create || (device && !cred_has(c->cred, FSCAP_MKNOD)))
    err = -EPERM;
  else
    err = ops->create(op.dir->inode, op.last.name, op.last.len, mode, device ? rdev : 0, c->cred, &ip);
  return name_create_end(&op, err, ip);
}

int
vfs_mkdir(const struct namectx *c, struct dentry *at, const char *path, unsigned mode)
{
  const struct inode_ops *ops;
  struct inode *ip = 0;
  struct name_op op;
  int err;

  err = name_create_begin(c, at, path, true, &op);
  if(err)
    return err;
  ops = op.dir->inode->ops;
  mode &= 0777 | S_ISVTX;
  err = ops->mkdir ? ops->mkdir(op.dir->inode, op.last.name, op.last.len, mode | S_IFDIR, c->cred, &ip) : -EPERM;
  return name_create_end(&op, err, ip);
}

int
vfs_symlink(const struct namectx *c, const char *to, struct dentry *at, const char *path)
{
  const struct inode_ops *ops;
  struct inode *ip = 0;
  struct name_op op;
  int err;

  if(*to == 0)
    return -ENOENT;
  err = name_create_begin(c, at, path, false, &op);
  if(err)
    return err;
  ops = op.dir->inode->ops;
  err = ops->symlink ? ops->symlink(op.dir->inode, op.last.name, op.last.len, to, c->cred, &ip) : -EPERM;
  return name_create_end(&op, err, ip);
}

// Give ip one name more in op->dir, both locked.
static int
name_link(struct name_op *op, struct inode *ip)
{
  struct inode *dir = op->dir->inode;
  int err;

  if(ip->nlink == 0 && !ip->linkable)
    return -ENOENT;
  err = dir->ops->link ? dir->ops->link(dir, op->last.name, op->last.len, ip) : -EPERM;
  if(!err)
    ip->linkable = false;
  return err;
}

int
vfs_link(const struct namectx *c, struct dentry *oldat, const char *old, int flags, struct dentry *at, const char *path)
{
  struct name_op op;
  struct dentry *from;
  struct inode *ip;
  int err;

  err = namei(c, oldat, old, flags, &from);
  if(err)
    return err;
  ip = from->inode;
  err = name_create_begin(c, at, path, false, &op);
  if(err) {
    dentry_put(from);
    return err;
  }
  if(ip->fs != op.dir->inode->fs)
    err = -EXDEV;
  else if(inode_is(ip, S_IFDIR))
    err = -EPERM;
  else {
    rw_write_nested(&ip->lock);
    err = name_link(&op, ip);
    rw_write_release(&ip->lock);
    if(!err)
      inode_get(ip);
  }
  err = name_create_end(&op, err, ip);
  dentry_put(from);
  return err;
}

// Begin a call that removes `path`: on 0 op->d is positive, and *ip is its inode, referenced.
static int
name_remove_begin(const struct namectx *c, struct name_op *op, bool want_dir, struct inode **ip)
{
  int err = op->dir->fs->readonly ? -EROFS : 0;

  if(err) {
    dentry_put(op->dir);
    return err;
  }
  err = name_lock(op);
  if(err)
    return err;
  if(!op->d->inode)
    err = -ENOENT;
  else if(!want_dir && op->last.dir_slash)
    err = inode_is(op->d->inode, S_IFDIR) ? -EISDIR : -ENOTDIR;
  else
    err = name_may_remove(op->dir->inode, op->d->inode, c->cred, want_dir);
  if(!err && atomic_get(&op->d->mounted))
    err = -EBUSY;
  if(err)
    name_end(op);
  else
    *ip = inode_get(op->d->inode);
  return err;
}

// Both locked: take the name away.
static int
name_remove(struct name_op *op, struct inode *ip, int (*method)(struct inode *, const char *, size_t, struct inode *))
{
  int err;

  rw_write_nested(&ip->lock);
  err = method ? method(op->dir->inode, op->last.name, op->last.len, ip) : -EPERM;
  rw_write_release(&ip->lock);
  if(!err) {
    name_changed(op->dir->inode);
    if(inode_is(ip, S_IFDIR))
      dentry_prune(op->d);
    dentry_unlink(op->d);
  }
  name_end(op);
  inode_put(ip);
  return err;
}

int
vfs_unlink(const struct namectx *c, struct dentry *at, const char *path)
{
  struct inode *ip;
  struct name_op op;
  int err;

  err = namei_parent(c, at, path, &op.dir, &op.last);
  if(err)
    return err;
  if(op.last.kind != LAST_NORMAL) {
    dentry_put(op.dir);
    return -EISDIR;
  }
  err = name_remove_begin(c, &op, false, &ip);
  return err ? err : name_remove(&op, ip, op.dir->inode->ops->unlink);
}

int
vfs_rmdir(const struct namectx *c, struct dentry *at, const char *path)
{
  struct inode *ip;
  struct name_op op;
  int err;

  err = namei_parent(c, at, path, &op.dir, &op.last);
  if(err)
    return err;
  if(op.last.kind != LAST_NORMAL) {
    dentry_put(op.dir);
    return op.last.kind == LAST_DOT ? -EINVAL : op.last.kind == LAST_DOTDOT ? -ENOTEMPTY : -EBUSY;
  }
  err = name_remove_begin(c, &op, true, &ip);
  return err ? err : name_remove(&op, ip, op.dir->inode->ops->rmdir);
}

int64_t
vfs_readlink(struct dentry *d, char *buf, size_t n)
{
  struct inode *ip = d->inode;

  if(!inode_is(ip, S_IFLNK) || !ip->ops->readlink)
    return -EINVAL;
  return ip->ops->readlink(ip, buf, n);
}

// ---- rename

struct rename { // one call
  const struct cred *cred;
  struct name_op from, to;
  unsigned flags;
  bool whole_tree;            // rename_lock is held
  struct inode *moved, *over; // referenced; over may be 0
};

static void
rename_lock_dirs(struct rename *r) UNCHECKED // two locks in an order found at run time
{
  struct dentry *a = r->from.dir, *b = r->to.dir;

  if(a == b) {
    rw_write(&a->inode->lock);
    return;
  }
  if(dentry_inside(a, b) || (!dentry_inside(b, a) && a > b)) {
    a = r->to.dir;
    b = r->from.dir;
  }
  rw_write(&a->inode->lock);
  rw_write_nested(&b->inode->lock);
}

static void
rename_unlock_dirs(struct rename *r) UNCHECKED // as rename_lock_dirs
{
  if(r->to.dir != r->from.dir)
    rw_write_release(&r->to.dir->inode->lock);
  rw_write_release(&r->from.dir->inode->lock);
}

// Directories come before others, so that the order agrees with "parent before child" of unlink.
static void
rename_lock_inodes(struct rename *r) UNCHECKED // one or two locks
{
  struct inode *a = r->moved, *b = r->over;

  if(b && (inode_is(a, S_IFDIR) == inode_is(b, S_IFDIR) ? a > b : inode_is(b, S_IFDIR))) {
    a = r->over;
    b = r->moved;
  }
  rw_write_nested(&a->lock);
  if(b)
    rw_write_nested(&b->lock);
}

static void
rename_unlock_inodes(struct rename *r) UNCHECKED // as rename_lock_inodes
{
  rw_write_release(&r->moved->lock);
  if(r->over)
    rw_write_release(&r->over->lock);
}

static int
rename_check_shape(const struct rename *r)
{
  const struct dentry *from = r->from.d, *to = r->to.d;
  bool exchange = r->flags & RENAME_EXCHANGE, from_dir;

  if(!from->inode)
    return -ENOENT;
  if((r->flags & RENAME_NOREPLACE) && to->inode)
    return -EEXIST;
  if(exchange && !to->inode)
    return -ENOENT;
  from_dir = inode_is(from->inode, S_IFDIR);
  if(exchange && r->to.last.dir_slash && !inode_is(to->inode, S_IFDIR))
    return -ENOTDIR;
  if(!from_dir && (r->from.last.dir_slash || (!exchange && r->to.last.dir_slash)))
    return -ENOTDIR;
  if(from_dir && dentry_inside(r->to.dir, r->from.d))
    return -EINVAL;
  if(to->inode && inode_is(to->inode, S_IFDIR) && dentry_inside(r->from.dir, r->to.d))
    return exchange ? -EINVAL : -ENOTEMPTY;
  return 0;
}

// May this caller? Both directories are locked.
static int
rename_check_rights(const struct rename *r)
{
  struct inode *a = r->from.d->inode, *b = r->to.d->inode, *adir = r->from.dir->inode, *bdir = r->to.dir->inode;
  bool adir_is = inode_is(a, S_IFDIR), exchange = r->flags & RENAME_EXCHANGE;
  int err = name_may_remove(adir, a, r->cred, adir_is);

  if(!err)
    err = b ? name_may_remove(bdir, b, r->cred, exchange ? inode_is(b, S_IFDIR) : adir_is)
            : name_may_create(r->to.dir, r->cred);
  if(!err && adir != bdir && adir_is) // its ".." changes
    err = inode_permission(a, r->cred, MAY_WRITE);
  if(!err && adir != bdir && exchange && inode_is(b, S_IFDIR))
    err = inode_permission(b, r->cred, MAY_WRITE);
  if(!err && (atomic_get(&r->from.d->mounted) || atomic_get(&r->to.d->mounted)))
    err = -EBUSY;
  return err;
}

static int
rename_do(struct rename *r)
{
  struct namei_last *a = &r->from.last, *b = &r->to.last;
  struct inode *adir = r->from.dir->inode, *bdir = r->to.dir->inode;
  const struct inode_ops *ops = adir->ops;

  if(r->flags & RENAME_EXCHANGE)
    return ops->exchange ? ops->exchange(adir, a->name, a->len, bdir, b->name, b->len, r->moved, r->over) : -EINVAL;
  return ops->rename ? ops->rename(adir, a->name, a->len, bdir, b->name, b->len, r->moved, r->over) : -EPERM;
}

// All is locked and allowed: do it, and let the dentries follow.
static int
rename_commit(struct rename *r)
{
  int err;

  rename_lock_inodes(r);
  err = rename_do(r);
  rename_unlock_inodes(r);
  if(err)
    return err;
  name_changed(r->from.dir->inode);
  name_changed(r->to.dir->inode);
  if(r->flags & RENAME_EXCHANGE)
    dentry_exchange(r->from.d, r->to.d);
  else {
    if(r->over && inode_is(r->over, S_IFDIR))
      dentry_prune(r->to.d);
    dentry_rename(r->from.d, r->to.dir, r->to.d);
  }
  return 0;
}

enum { RENAME_AGAIN = 1 };

// With the directories locked. RENAME_AGAIN: it is a directory that moves, and rename_lock is needed for that.
static int
rename_locked(struct rename *r)
{
  int err;

  err = name_locked(&r->from);
  if(!err)
    err = name_locked(&r->to);
  if(!err)
    err = rename_check_shape(r);
  if(err)
    return err;
  if(r->from.d->inode == r->to.d->inode) // two names of one file: nothing is to be done
    return 0;
  if(!r->whole_tree && (inode_is(r->from.d->inode, S_IFDIR) || (r->to.d->inode && inode_is(r->to.d->inode, S_IFDIR))))
    return RENAME_AGAIN;
  err = rename_check_rights(r);
  if(err)
    return err;
  r->moved = inode_get(r->from.d->inode);
  r->over = r->to.d->inode ? inode_get(r->to.d->inode) : 0;
  return rename_commit(r);
}

// One attempt: takes and gives back all locks, and what names were looked up.
static int
rename_try(struct rename *r) UNCHECKED // rename_lock only where it is needed
{
  int err;

  if(r->whole_tree)
    sleep_acquire(&rename_lock);
  rename_lock_dirs(r);
  r->from.d = r->to.d = 0;
  r->moved = r->over = 0;
  err = rename_locked(r);
  rename_unlock_dirs(r);
  if(r->whole_tree)
    sleep_release(&rename_lock);
  dentry_put(r->from.d);
  dentry_put(r->to.d);
  inode_put(r->moved);
  inode_put(r->over);
  return err;
}

static int
rename_start(struct rename *r)
{
  int err;

  if(r->from.dir->fs != r->to.dir->fs)
    return -EXDEV;
  if(r->from.last.kind != LAST_NORMAL)
    return -EBUSY;
  if(r->to.last.kind != LAST_NORMAL)
    return r->flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
  if(r->from.dir->fs->readonly)
    return -EROFS;
  r->whole_tree = r->from.dir != r->to.dir;
  while((err = rename_try(r)) == RENAME_AGAIN)
    r->whole_tree = true;
  return err;
}

int
vfs_rename(const struct namectx *c, struct dentry *oldat, const char *old, struct dentry *at, const char *path,
           unsigned flags)
{
  struct rename r = {.cred = c->cred, .flags = flags};
  int err;

  if((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) || flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
    return -EINVAL;
  err = namei_parent(c, oldat, old, &r.from.dir, &r.from.last);
  if(err)
    return err;
  err = namei_parent(c, at, path, &r.to.dir, &r.to.last);
  if(!err) {
    err = rename_start(&r);
    dentry_put(r.to.dir);
  }
  dentry_put(r.from.dir);
  return err;
}

void
names_init(void)
{
  sleep_init(&rename_lock, "rename", RANK_RENAME);
}
