// sys_stat.c -- what is known about a file or a file system, laid out as Linux does; and whether it may be used.
// Typical: userpath_inode / inode_stat / stat_out / inode_put.
#include "lib/string.h"
#include "syscall/sys.h"

static struct timespec
stat_time(struct times t)
{
  return (struct timespec){t.sec, t.nsec};
}

static int
stat_out(struct inode *ip, vaddr_t va)
{
  struct stat_info st;
  struct linux_stat out;

  inode_stat(ip, &st);
  memset(&out, 0, sizeof(out));
  out.dev = st.dev;
  out.ino = st.ino;
  out.nlink = st.nlink;
  out.mode = st.mode;
  out.uid = st.uid;
  out.gid = st.gid;
  out.rdev = st.rdev;
  out.size = st.size;
  out.blksize = st.blksize;
  out.blocks = st.blocks;
  out.atime = stat_time(st.atime);
  out.mtime = stat_time(st.mtime);
  out.ctime = stat_time(st.ctime);
  return user_out(va, &out, sizeof(out));
}

static int
stat_path(int dirfd, vaddr_t path, int atflags, vaddr_t va)
{
  struct inode *ip;
  int e = userpath_inode(dirfd, path, atflags, &ip);

  if(e)
    return e;
  e = stat_out(ip, va);
  inode_put(ip);
  return e;
}

int64_t
sys_stat(const uint64_t *a)
{
  return stat_path(AT_FDCWD, a[0], 0, a[1]);
}

int64_t
sys_lstat(const uint64_t *a)
{
  return stat_path(AT_FDCWD, a[0], AT_SYMLINK_NOFOLLOW, a[1]);
}

int64_t
sys_fstat(const uint64_t *a)
{
  struct file *f = fd_any(a[0]);
  int e;

  if(!f)
    return -EBADF;
  e = f->inode ? stat_out(f->inode, a[1]) : -EBADF;
  file_put(f);
  return e;
}

enum { STAT_AT_KNOWN = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE };

int64_t
sys_newfstatat(const uint64_t *a)
{
  if((uint32_t)a[3] & ~STAT_AT_KNOWN)
    return -EINVAL;
  return stat_path(a[0], a[1], a[3], a[2]);
}

// Device numbers in one word, as Linux packs them.
enum { DEV_MINOR_LOW = 0xff, DEV_MINOR_HIGH = 0xfff00, DEV_MAJOR = 0xfff, DEV_MAJOR_SHIFT = 8, DEV_HIGH_SHIFT = 12 };

static uint32_t
dev_major(uint64_t dev)
{
  return (dev >> DEV_MAJOR_SHIFT) & DEV_MAJOR;
}

static uint32_t
dev_minor(uint64_t dev)
{
  return (dev & DEV_MINOR_LOW) | ((dev >> DEV_HIGH_SHIFT) & DEV_MINOR_HIGH);
}

static struct statx_time
statx_time(struct times t)
{
  return (struct statx_time){t.sec, t.nsec, 0};
}

static int
statx_out(struct inode *ip, vaddr_t va)
{
  struct stat_info st;
  struct linux_statx out;

  inode_stat(ip, &st);
  memset(&out, 0, sizeof(out));
  out.mask = STATX_BASIC_STATS | (st.btime.sec ? STATX_BTIME : 0);
  out.blksize = st.blksize;
  out.nlink = st.nlink;
  out.uid = st.uid;
  out.gid = st.gid;
  out.mode = st.mode;
  out.ino = st.ino;
  out.size = st.size;
  out.blocks = st.blocks;
  out.atime = statx_time(st.atime);
  out.btime = statx_time(st.btime);
  out.ctime = statx_time(st.ctime);
  out.mtime = statx_time(st.mtime);
  out.rdev_major = dev_major(st.rdev);
  out.rdev_minor = dev_minor(st.rdev);
  out.dev_major = dev_major(st.dev);
  out.dev_minor = dev_minor(st.dev);
  return user_out(va, &out, sizeof(out));
}

int64_t
sys_statx(const uint64_t *a)
{
  uint32_t flags = a[2];
  struct inode *ip;
  int e;

  if((int32_t)a[3] < 0 || flags & ~STAT_AT_KNOWN || (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE)
    return -EINVAL;
  e = userpath_inode(a[0], a[1], flags, &ip);
  if(e)
    return e;
  e = statx_out(ip, a[4]);
  inode_put(ip);
  return e;
}

enum { PIPEFS_MAGIC = 0x50495045, STATFS_VALID = 0x20 };

static int
statfs_out(struct inode *ip, vaddr_t va)
{
  // What holds for files that lie in no file system, such as pipes.
  struct statfs_info st = {.type = PIPEFS_MAGIC, .bsize = PAGE_SIZE, .namelen = NAME_MAX};
  struct linux_statfs out;
  int e = ip->fs && ip->fs->ops->statfs ? vfs_statfs(ip->fs, &st) : 0;

  if(e)
    return e;
  memset(&out, 0, sizeof(out));
  out.type = st.type;
  out.bsize = out.frsize = st.bsize;
  out.blocks = st.blocks;
  out.bfree = st.bfree;
  out.bavail = st.bavail;
  out.files = st.files;
  out.ffree = st.ffree;
  out.fsid[0] = ip->fs ? ip->fs->dev : 0;
  out.namelen = st.namelen;
  out.flags = st.flags | STATFS_VALID;
  return user_out(va, &out, sizeof(out));
}

int64_t
sys_statfs(const uint64_t *a)
{
  struct inode *ip;
  int e = userpath_inode(AT_FDCWD, a[0], 0, &ip);

  if(e)
    return e;
  e = statfs_out(ip, a[1]);
  inode_put(ip);
  return e;
}

int64_t
sys_fstatfs(const uint64_t *a)
{
  struct file *f = fd_any(a[0]);
  int e;

  if(!f)
    return -EBADF;
  e = f->inode ? statfs_out(f->inode, a[1]) : -EBADF;
  file_put(f);
  return e;
}

// The caller as access(2) wants it: with the real ids, and with the capabilities that they would have.
static void
access_cred(struct cred *out, const struct cred *cr)
{
  *out = *cr;
  out->fsuid = cr->uid;
  out->fsgid = cr->gid;
  out->cap_effective = cr->uid == 0 ? cr->cap_permitted : 0;
}

static int
access_inode(struct dentry *d, const struct cred *cr, int mode)
{
  struct inode *ip = d->inode;

  if(mode & MAY_EXEC && S_ISTYPE(ip->mode, S_IFREG) && d->fs && d->fs->noexec)
    return -EACCES;
  return mode ? inode_permission(ip, cr, mode) : 0;
}

static int64_t
access_at(int dirfd, vaddr_t path, uint32_t mode, uint32_t flags)
{
  struct userpath p;
  struct cred real;
  struct dentry *d;
  int e;

  if(mode & ~(MAY_READ | MAY_WRITE | MAY_EXEC) || flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
    return -EINVAL;
  e = userpath_get(&p, dirfd, path, flags & AT_EMPTY_PATH ? PATH_MAYBE_EMPTY : PATH_NONEMPTY);
  if(e)
    return e;
  if(!(flags & AT_EACCESS)) {
    access_cred(&real, p.ctx.cred);
    p.ctx.cred = &real;
  }
  e = userpath_find(&p, (flags & AT_SYMLINK_NOFOLLOW ? 0 : NAMEI_FOLLOW) | (flags & AT_EMPTY_PATH ? NAMEI_EMPTY : 0),
                    &d);
  if(e == 0) {
    e = access_inode(d, p.ctx.cred, mode);
    dentry_put(d);
  }
  userpath_put(&p);
  return e;
}

int64_t
sys_access(const uint64_t *a)
{
  return access_at(AT_FDCWD, a[0], a[1], 0);
}

int64_t
sys_faccessat(const uint64_t *a)
{
  return access_at(a[0], a[1], a[2], 0);
}

int64_t
sys_faccessat2(const uint64_t *a)
{
  return access_at(a[0], a[1], a[2], a[3]);
}
