// sys_sync.c -- files as a whole: to the disk, ahead from the disk, longer or shorter.
// Must not know: how a file system does any of it.
#include "syscall/sys.h"

int64_t
sys_sync(const uint64_t *a)
{
  vfs_sync_all(); // sync(2) has no way to report an error; fsync does
  return 0;
}

int64_t
sys_syncfs(const uint64_t *a)
{
  struct file *f = fd_file(a[0]);
  struct fs *fs;
  int e = 0;

  if(!f)
    return -EBADF;
  fs = f->inode ? f->inode->fs : 0;
  if(fs)
    e = inode_sync_fs(fs);
  if(e == 0 && fs && fs->ops->sync)
    e = fs->ops->sync(fs);
  file_put(f);
  return e;
}

static int64_t
fsync_fd(int fd, bool data_only)
{
  struct file *f = fd_file(fd);
  int e;

  if(!f)
    return -EBADF;
  e = file_fsync(f, data_only);
  file_put(f);
  return e;
}

int64_t
sys_fsync(const uint64_t *a)
{
  return fsync_fd(a[0], false);
}

int64_t
sys_fdatasync(const uint64_t *a)
{
  return fsync_fd(a[0], true);
}

enum { SYNC_RANGE_KNOWN = 7 };

// More than was asked: the whole file, with what is needed to find its blocks.
int64_t
sys_sync_file_range(const uint64_t *a)
{
  if((uint32_t)a[3] & ~SYNC_RANGE_KNOWN || (int64_t)a[1] < 0 || (int64_t)a[2] < 0 || (int64_t)(a[1] + a[2]) < 0)
    return -EINVAL;
  return fsync_fd(a[0], true);
}

// Start reading [off, off + n) of f; n 0: to the end.
static void
read_ahead(struct file *f, uint64_t off, uint64_t n)
{
  struct mobj *obj = &f->inode->obj;
  uint64_t lo = off >> PAGE_SHIFT, hi = page_up(obj->size) >> PAGE_SHIFT;

  if(n && n < obj->size && off + n < obj->size)
    hi = page_up(off + n) >> PAGE_SHIFT;
  if(lo < hi)
    mobj_readahead(obj, lo, hi - lo);
}

int64_t
sys_readahead(const uint64_t *a)
{
  struct file *f = fd_file(a[0]);
  int64_t r = 0;

  if(!f)
    return -EBADF;
  if((f->flags & O_ACCMODE) == O_WRONLY)
    r = -EBADF;
  else if(!f->inode || !S_ISTYPE(f->inode->mode, S_IFREG))
    r = -EINVAL;
  else if(a[2])
    read_ahead(f, a[1], a[2]);
  file_put(f);
  return r;
}

// Only WILLNEED does something. NORMAL, RANDOM, SEQUENTIAL, NOREUSE: the object's own detection of sequences decides.
// DONTNEED: the pages stay until reclaim wants them, which a hint allows.
int64_t
sys_fadvise64(const uint64_t *a)
{
  struct file *f = fd_file(a[0]);
  int64_t r = 0;

  if(!f)
    return -EBADF;
  if(f->inode && S_ISTYPE(f->inode->mode, S_IFIFO))
    r = -ESPIPE;
  else if((int64_t)a[2] < 0 || (uint32_t)a[3] > POSIX_FADV_NOREUSE)
    r = -EINVAL;
  else if((uint32_t)a[3] == POSIX_FADV_WILLNEED && f->inode && S_ISTYPE(f->inode->mode, S_IFREG))
    read_ahead(f, a[1], a[2]);
  file_put(f);
  return r;
}

// RLIMIT_FSIZE for a file that gets longer.
static int
check_length(const struct inode *ip, uint64_t size)
{
  return S_ISTYPE(ip->mode, S_IFREG) && size > ip->obj.size ? io_fsize(size) : 0;
}

int64_t
sys_truncate(const uint64_t *a)
{
  struct inode *ip;
  int e;

  if((int64_t)a[1] < 0)
    return -EINVAL;
  e = userpath_inode(AT_FDCWD, a[0], 0, &ip);
  if(e)
    return e;
  e = check_length(ip, a[1]);
  e = e ? e : vfs_truncate(ip, a[1], thread_self()->cred);
  inode_put(ip);
  return e;
}

int64_t
sys_ftruncate(const uint64_t *a)
{
  struct file *f;
  int e;

  if((int64_t)a[1] < 0)
    return -EINVAL;
  f = fd_file(a[0]);
  if(!f)
    return -EBADF;
  if((f->flags & O_ACCMODE) == O_RDONLY || !f->inode || !S_ISTYPE(f->inode->mode, S_IFREG))
    e = -EINVAL;
  else if((e = check_length(f->inode, a[1])) == 0)
    e = vfs_ftruncate(f, a[1]);
  file_put(f);
  return e;
}

static int
fallocate_file(struct file *f, unsigned mode, uint64_t off, uint64_t len)
{
  bool longer = !(mode & FALLOC_KEEP_SIZE) && S_ISTYPE(f->inode->mode, S_IFREG) && len <= INT64_MAX - off &&
                off + len > f->inode->obj.size;
  int e = longer ? io_fsize(off + len) : 0;

  return e ? e : vfs_fallocate(f, mode, off, len);
}

int64_t
sys_fallocate(const uint64_t *a)
{
  struct file *f = fd_file(a[0]);
  int e;

  if(!f)
    return -EBADF;
  if((int64_t)a[2] < 0 || (int64_t)a[3] <= 0) // T09
    e = -EINVAL;
  else if((f->flags & O_ACCMODE) == O_RDONLY)
    e = -EBADF;
  else
    e = f->inode ? fallocate_file(f, a[1], a[2], a[3]) : -ENODEV;
  file_put(f);
  return e;
}
