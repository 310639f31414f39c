// attr.c -- changing what an inode says of itself: mode, owner, times, length, and where it has room.
//
// Typical: inode.lock (w) / may the caller? / change in memory / inode_ops.setattr or truncate stores it.
// Knows no paths and no open files: who opened a file for writing may truncate it, and says so by cr = 0.
#include "fs/internal.h"
#include "fs/perm.h"

// Set-id bits do not survive a change by somebody who might have slipped other code in.
unsigned
attr_without_setid(unsigned mode)
{
  mode &= ~S_ISUID;
  if(mode & 0010)
    mode &= ~S_ISGID;
  return mode;
}

static int
truncate_locked(struct inode *ip, uint64_t size, const struct cred *cr)
{
  int err;

  if(!ip->ops->truncate)
    return -EINVAL;
  if((err = seal_resize(ip, size)) != 0)
    return err;
  if(!cred_has(cr, FSCAP_FSETID))
    ip->mode = attr_without_setid(ip->mode);
  ip->mtime = ip->ctime = times_now();
  return ip->ops->truncate(ip, size);
}

int
vfs_truncate(struct inode *ip, uint64_t size, const struct cred *cr)
{
  int err;

  if(inode_is(ip, S_IFDIR))
    return -EISDIR;
  if(!inode_is(ip, S_IFREG))
    return -EINVAL;
  if(cr && (err = inode_permission(ip, cr, MAY_WRITE)) != 0)
    return err;
  if(cr && (err = inode_write_open(ip)) != 0)
    return err;
  rw_write(&ip->lock);
  err = truncate_locked(ip, size, cr);
  rw_write_release(&ip->lock);
  if(cr)
    inode_write_close(ip);
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

// Set-id bits and times are changed first, so that the method stores them; a call that failed has not touched them.
static int
fallocate_locked(struct inode *ip, unsigned mode, uint64_t off, uint64_t len)
{
  unsigned old_mode = ip->mode;
  struct times mtime = ip->mtime, ctime = ip->ctime;
  int err;

  ip->mode = attr_without_setid(ip->mode);
  ip->mtime = ip->ctime = times_now();
  err = ip->ops->fallocate(ip, mode, off, len);
  if(err) {
    ip->mode = old_mode;
    ip->mtime = mtime;
    ip->ctime = ctime;
  }
  return err;
}

int
vfs_fallocate(struct inode *ip, unsigned mode, uint64_t off, uint64_t len)
{
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
  err = fallocate_locked(ip, mode, off, len);
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

  inode_settle(ip);
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
    ip->atime = sa->atime_now ? now : sa->atime;
  if(sa->set_mtime)
    ip->mtime = sa->mtime_now ? now : sa->mtime;
  ip->ctime = now;
}

int
vfs_setattr(struct inode *ip, const struct setattr *sa, const struct cred *cr)
{
  int err;

  rw_write(&ip->lock);
  err = setattr_may(ip, sa, cr);
  if(!err) {
    setattr_apply(ip, sa, cr);
    err = ip->ops->setattr ? ip->ops->setattr(ip) : -EPERM;
  }
  rw_write_release(&ip->lock);
  return err;
}
