// sys_attr.c -- mode, owner, times and extended attributes of a file.
// Typical: userpath_inode / vfs_setattr / inode_put.
// Must not know: who may change what; vfs_setattr does.
#include "lib/string.h"
#include "syscall/sys.h"

static int
attr_path(int dirfd, vaddr_t path, int atflags, const struct setattr *sa)
{
  struct inode *ip;
  int e = userpath_inode(dirfd, path, atflags, &ip);

  if(e)
    return e;
  e = vfs_setattr(ip, sa, thread_self()->cred);
  inode_put(ip);
  return e;
}

static int
attr_fd(int fd, const struct setattr *sa)
{
  struct file *f = fd_file(fd);
  int e;

  if(!f)
    return -EBADF;
  e = f->inode ? vfs_setattr(f->inode, sa, thread_self()->cred) : -EINVAL;
  file_put(f);
  return e;
}

static struct setattr
attr_mode(uint32_t mode)
{
  return (struct setattr){.set_mode = true, .mode = mode & S_IALLUGO};
}

// -1 leaves an id as it is.
static struct setattr
attr_owner(uint32_t uid, uint32_t gid)
{
  return (struct setattr){.set_uid = uid != UINT32_MAX, .uid = uid, .set_gid = gid != UINT32_MAX, .gid = gid};
}

int64_t
sys_chmod(const uint64_t *a)
{
  struct setattr sa = attr_mode(a[1]);

  return attr_path(AT_FDCWD, a[0], 0, &sa);
}

int64_t
sys_fchmod(const uint64_t *a)
{
  struct setattr sa = attr_mode(a[1]);

  return attr_fd(a[0], &sa);
}

int64_t
sys_fchmodat(const uint64_t *a)
{
  struct setattr sa = attr_mode(a[2]);

  return attr_path(a[0], a[1], 0, &sa);
}

int64_t
sys_chown(const uint64_t *a)
{
  struct setattr sa = attr_owner(a[1], a[2]);

  return attr_path(AT_FDCWD, a[0], 0, &sa);
}

int64_t
sys_lchown(const uint64_t *a)
{
  struct setattr sa = attr_owner(a[1], a[2]);

  return attr_path(AT_FDCWD, a[0], AT_SYMLINK_NOFOLLOW, &sa);
}

int64_t
sys_fchown(const uint64_t *a)
{
  struct setattr sa = attr_owner(a[1], a[2]);

  return attr_fd(a[0], &sa);
}

int64_t
sys_fchownat(const uint64_t *a)
{
  struct setattr sa = attr_owner(a[2], a[3]);

  if((uint32_t)a[4] & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
    return -EINVAL;
  return attr_path(a[0], a[1], a[4], &sa);
}

// ---- times

enum { ATIME, MTIME, NTIMES };

static struct setattr
attr_times_now(void)
{
  return (struct setattr){.set_atime = true, .atime_now = true, .set_mtime = true, .mtime_now = true};
}

static void
attr_set_time(struct setattr *sa, int which, bool now, struct times t)
{
  if(which == ATIME) {
    sa->set_atime = true;
    sa->atime_now = now;
    sa->atime = t;
  } else {
    sa->set_mtime = true;
    sa->mtime_now = now;
    sa->mtime = t;
  }
}

// Two struct timespec, each with UTIME_NOW or UTIME_OMIT in place of nanoseconds.
static int
attr_timespecs(vaddr_t va, struct setattr *sa)
{
  struct timespec ts[NTIMES];
  int e = user_in(ts, va, sizeof(ts));

  if(e)
    return e;
  memset(sa, 0, sizeof(*sa));
  for(int i = 0; i < NTIMES; i++) {
    if(ts[i].nsec == UTIME_OMIT)
      continue;
    if(ts[i].nsec != UTIME_NOW && (uint64_t)ts[i].nsec >= NSEC)
      return -EINVAL;
    attr_set_time(sa, i, ts[i].nsec == UTIME_NOW, (struct times){ts[i].sec, ts[i].nsec});
  }
  return 0;
}

enum { USEC_PER_SEC = 1000000, NSEC_PER_USEC = 1000 };

// Two struct timeval; 0: now.
static int
attr_timevals(vaddr_t va, struct setattr *sa)
{
  struct timeval tv[NTIMES];
  int e;

  *sa = attr_times_now();
  if(!va)
    return 0;
  e = user_in(tv, va, sizeof(tv));
  if(e)
    return e;
  for(int i = 0; i < NTIMES; i++) {
    if((uint64_t)tv[i].usec >= USEC_PER_SEC)
      return -EINVAL;
    attr_set_time(sa, i, false, (struct times){tv[i].sec, tv[i].usec * NSEC_PER_USEC});
  }
  return 0;
}

int64_t
sys_utimensat(const uint64_t *a)
{
  struct setattr sa = attr_times_now();
  uint32_t flags = a[3];
  int e = a[2] ? attr_timespecs(a[2], &sa) : 0;

  if(e)
    return e;
  if(!sa.set_atime && !sa.set_mtime)
    return 0;
  if(flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
    return -EINVAL;
  if(!a[1] && (int)a[0] != AT_FDCWD)
    return flags ? -EINVAL : attr_fd(a[0], &sa);
  return attr_path(a[0], a[1], flags, &sa);
}

int64_t
sys_utime(const uint64_t *a)
{
  struct setattr sa = attr_times_now();
  int64_t sec[NTIMES];
  int e;

  if(a[1]) {
    e = user_in(sec, a[1], sizeof(sec));
    if(e)
      return e;
    attr_set_time(&sa, ATIME, false, (struct times){sec[ATIME], 0});
    attr_set_time(&sa, MTIME, false, (struct times){sec[MTIME], 0});
  }
  return attr_path(AT_FDCWD, a[0], 0, &sa);
}

int64_t
sys_utimes(const uint64_t *a)
{
  struct setattr sa;
  int e = attr_timevals(a[1], &sa);

  return e ? e : attr_path(AT_FDCWD, a[0], 0, &sa);
}

int64_t
sys_futimesat(const uint64_t *a)
{
  struct setattr sa;
  int e = attr_timevals(a[2], &sa);

  if(e)
    return e;
  if(!a[1] && (int)a[0] != AT_FDCWD)
    return attr_fd(a[0], &sa);
  return attr_path(a[0], a[1], 0, &sa);
}

// ---- extended attributes: no file system keeps any. The file must be there all the same.

static int64_t
xattr_path(vaddr_t path, int atflags, int64_t r)
{
  struct inode *ip;
  int e = userpath_inode(AT_FDCWD, path, atflags, &ip);

  if(e)
    return e;
  inode_put(ip);
  return r;
}

static int64_t
xattr_fd(int fd, int64_t r)
{
  struct file *f = fd_file(fd);

  if(!f)
    return -EBADF;
  file_put(f);
  return r;
}

int64_t
sys_getxattr(const uint64_t *a)
{
  return xattr_path(a[0], 0, -EOPNOTSUPP);
}

int64_t
sys_lgetxattr(const uint64_t *a)
{
  return xattr_path(a[0], AT_SYMLINK_NOFOLLOW, -EOPNOTSUPP);
}

int64_t
sys_fgetxattr(const uint64_t *a)
{
  return xattr_fd(a[0], -EOPNOTSUPP);
}

int64_t
sys_listxattr(const uint64_t *a)
{
  return xattr_path(a[0], 0, 0);
}

int64_t
sys_llistxattr(const uint64_t *a)
{
  return xattr_path(a[0], AT_SYMLINK_NOFOLLOW, 0);
}

int64_t
sys_flistxattr(const uint64_t *a)
{
  return xattr_fd(a[0], 0);
}
