// attr.c -- changing what an inode says of itself: mode, owner, times, length, and where it has room.
//
// Typical: inode.lock (w) / may the caller? / change in memory / inode_ops.setattr or truncate stores it.
// Knows no paths and no open files: who opened a file for writing may truncate it, and says so by vfs_ftruncate.
#include "fs/internal.h"
#include "fs/perm.h"
#include "lib/atomic.h"

// Set-id bits do not survive a change by somebody who might have slipped other code in.
unsigned
attr_without_setid(unsigned mode)
{
  mode &= ~S_ISUID;
  if(mode & 0010)
    mode &= ~S_ISGID;
  return mode;
}

struct attr { // what a call changes before its method stores it
  unsigned mode;
  uint32_t uid, gid;
  uint64_t atime, mtime, ctime;
};

static struct attr
attr_save(const struct inode *ip)
{
  return (struct attr){ip->mode, ip->uid, ip->gid, ip->atime, ip->mtime, ip->ctime};
}

// The method failed: the call has changed nothing.
static void
attr_restore(struct inode *ip, const struct attr *a)
{
  ip->mode = a->mode;
  ip->uid = a->uid;
  ip->gid = a->gid;
  atomic_set_relaxed(&ip->atime, a->atime);
  atomic_set_relaxed(&ip->mtime, a->mtime);
  atomic_set_relaxed(&ip->ctime, a->ctime);
}

// By path, a file that is as long already keeps its times; by descriptor, and with O_TRUNC, it does not.
static int
truncate_locked(struct inode *ip, uint64_t size, bool by_path, bool keep_setid)
{
  struct attr old;
  int err;

  if(!ip->ops->truncate)
    return -EINVAL;
  if((err = seal_resize(ip, size)) != 0)
    return err;
  inode_settle(ip);
  old = attr_save(ip);
  if(!keep_setid)
    ip->mode = attr_without_setid(ip->mode);
  if(!by_path || size != ip->obj.size)
    inode_modified(ip);
  else if(ip->mode != old.mode)
    inode_changed(ip);
  err = ip->ops->truncate(ip, size);
  if(err)
    attr_restore(ip, &old);
  return err;
}

int
vfs_truncate(struct inode *ip, uint64_t size, const struct cred *cr)
{
  int err;

  if(inode_is(ip, S_IFDIR))
    return -EISDIR;
  if(!inode_is(ip, S_IFREG))
    return -EINVAL;
  if((err = inode_permission(ip, cr, MAY_WRITE)) != 0)
    return err;
  if((err = inode_write_open(ip)) != 0)
    return err;
  rw_write(&ip->lock);
  err = truncate_locked(ip, size, true, cred_has(cr, FSCAP_FSETID));
  rw_write_release(&ip->lock);
  inode_write_close(ip);
  return err;
}

int
vfs_ftruncate(struct file *f, uint64_t size)
{
  struct inode *ip = f->inode;
  int err;

  rw_write(&ip->lock);
  err = truncate_locked(ip, size, false, f->keep_setid);
  rw_write_release(&ip->lock);
  return err;
}

// A mode that means something: holes keep the size, and nothing is a hole and zeros at once.
static bool
falloc_valid(unsigned mode)
{
  unsigned what = mode & ~FALLOC_KEEP_SIZE;

  switch(what) {
  case 0:
  case FALLOC_UNSHARE_RANGE:
  case FALLOC_ZERO_RANGE: return true;
  case FALLOC_PUNCH_HOLE: return mode & FALLOC_KEEP_SIZE;
  case FALLOC_COLLAPSE_RANGE:
  case FALLOC_INSERT_RANGE: return mode == what;
  default: return false;
  }
}

// A call that failed has touched neither set-id bits nor times.
static int
fallocate_locked(struct inode *ip, unsigned mode, uint64_t off, uint64_t len, bool keep_setid)
{
  struct attr old;
  int err;

  inode_settle(ip);
  old = attr_save(ip);
  if(!keep_setid)
    ip->mode = attr_without_setid(ip->mode);
  inode_modified(ip);
  err = ip->ops->fallocate(ip, mode, off, len);
  if(!err && ip->ops->setattr)
    err = ip->ops->setattr(ip);
  if(err)
    attr_restore(ip, &old);
  return err;
}

int
vfs_fallocate(struct file *f, unsigned mode, uint64_t off, uint64_t len)
{
  struct inode *ip = f->inode;
  int err;

  if(off > INT64_MAX || len == 0 || len > INT64_MAX)
    return -EINVAL;
  if(!falloc_valid(mode))
    return -EOPNOTSUPP;
  if(inode_is(ip, S_IFIFO))
    return -ESPIPE;
  if(inode_is(ip, S_IFDIR))
    return -EISDIR;
  if(!inode_is(ip, S_IFREG))
    return -ENODEV;
  if(len > INT64_MAX - off)
    return -EFBIG;
  if(!ip->ops->fallocate)
    return -EOPNOTSUPP;
  rw_write(&ip->lock);
  err = fallocate_locked(ip, mode, off, len, f->keep_setid);
  rw_write_release(&ip->lock);
  return err;
}

static int
setattr_may_times(struct inode *ip, const struct setattr *sa, const struct cred *cr)
{
  bool given = (sa->set_atime && !sa->atime_now) || (sa->set_mtime && !sa->mtime_now) || sa->set_atime != sa->set_mtime;

  if((!sa->set_atime && !sa->set_mtime) || cred_owns(cr, ip))
    return 0;
  return given ? -EPERM : inode_permission(ip, cr, MAY_WRITE);
}

static int
setattr_may(struct inode *ip, const struct setattr *sa, const struct cred *cr)
{
  bool chown = cred_has(cr, FSCAP_CHOWN), mine = cr && cr->fsuid == ip->uid;

  if(ip->fs->readonly)
    return -EROFS;
  if(sa->set_uid && !chown && !(mine && sa->uid == ip->uid))
    return -EPERM;
  if(sa->set_gid && !chown && !(mine && (sa->gid == ip->gid || cred_in_group(cr, sa->gid))))
    return -EPERM;
  if(sa->set_mode && (!cred_owns(cr, ip) || seal_mode(ip, sa->mode) != 0))
    return -EPERM;
  return setattr_may_times(ip, sa, cr);
}

static void
setattr_apply(struct inode *ip, const struct setattr *sa, const struct cred *cr)
{
  struct times now = times_now();

  if(sa->set_uid)
    ip->uid = sa->uid;
  if(sa->set_gid)
    ip->gid = sa->gid;
  if((sa->set_uid || sa->set_gid) && !inode_is(ip, S_IFDIR))
    ip->mode = attr_without_setid(ip->mode);
  if(sa->set_mode) {
    ip->mode = (ip->mode & S_IFMT) | (sa->mode & ~S_IFMT);
    if(!cred_in_group(cr, ip->gid) && !cred_has(cr, FSCAP_FSETID))
      ip->mode &= ~S_ISGID;
  }
  if(sa->set_atime)
    stamp_set(&ip->atime, sa->atime_now ? now : sa->atime);
  if(sa->set_mtime)
    stamp_set(&ip->mtime, sa->mtime_now ? now : sa->mtime);
  stamp_set(&ip->ctime, now);
}

int
vfs_setattr(struct inode *ip, const struct setattr *sa, const struct cred *cr)
{
  struct attr old;
  int err;

  rw_write(&ip->lock);
  err = setattr_may(ip, sa, cr);
  if(!err) {
    inode_settle(ip);
    old = attr_save(ip);
    setattr_apply(ip, sa, cr);
    err = ip->ops->setattr ? ip->ops->setattr(ip) : -EPERM;
    if(err)
      attr_restore(ip, &old);
  }
  rw_write_release(&ip->lock);
  return err;
}
