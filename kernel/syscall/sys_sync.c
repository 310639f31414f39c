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
  int e;

  if(!f)
    return -EBADF;
  e = file_syncfs(f);
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

// Linux's flags of sync_file_range: wait for what is being written, write what is dirty, wait for that.
enum { SYNC_WAIT_BEFORE = 1, SYNC_WRITE = 2, SYNC_WAIT_AFTER = 4, SYNC_KNOWN = 7 };

static int
sync_range(struct file *f, uint64_t off, uint64_t n, unsigned flags)
{
  unsigned type = f->inode ? f->inode->mode & S_IFMT : 0;

  if(flags & ~SYNC_KNOWN || (int64_t)off < 0 || (int64_t)n < 0 || (int64_t)(off + n) < 0)
    return -EINVAL;
  if(f->flags & O_PATH)
    return -EBADF;
  if(type != S_IFREG)
    return type == S_IFBLK || type == S_IFDIR || type == S_IFLNK ? 0 : -ESPIPE; // those have no pages here
  return data_sync_range(f, off, n ? off + n : INT64_MAX, flags & SYNC_WRITE,
                         flags & (SYNC_WAIT_BEFORE | SYNC_WAIT_AFTER));
}

// The range and no more, and nothing of what is needed to find it again: no promise beyond that.
int64_t
sys_sync_file_range(const uint64_t *a)
{
  struct file *f = fd_file(a[0]);
  int e;

  if(!f)
    return -EBADF;
  e = sync_range(f, a[1], a[2], a[3]);
  file_put(f);
  return e;
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

// Whole pages of [off, off + n), n 0: to the end: what is dirty is written, what is clean and nobody uses leaves the cache.
static void
drop_cached(struct file *f, uint64_t off, uint64_t n)
{
  struct mobj *obj = &f->inode->obj;
  uint64_t lo = page_up(off) >> PAGE_SHIFT, end = off + n, hi;

  hi = n == 0 || end < off || end >= obj->size ? pages_of(obj->size) : end >> PAGE_SHIFT;
  if(lo >= hi)
    return;
  mobj_write_back(obj, lo, hi);
  mobj_page_out(obj, lo, hi);
}

static void
advise(struct file *f, uint64_t off, uint64_t n, unsigned advice)
{
  switch(advice) {
  case POSIX_FADV_NORMAL: atomic_set(&f->access, ACCESS_NORMAL); break;
  case POSIX_FADV_RANDOM: atomic_set(&f->access, ACCESS_RANDOM); break;
  case POSIX_FADV_SEQUENTIAL: atomic_set(&f->access, ACCESS_SEQUENTIAL); break;
  case POSIX_FADV_WILLNEED: read_ahead(f, off, n); break;
  case POSIX_FADV_DONTNEED: drop_cached(f, off, n); break;
  }
}

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
  else if(f->inode && S_ISTYPE(f->inode->mode, S_IFREG))
    advise(f, a[1], a[2], a[3]);
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
