// file.c -- open files: which methods, how opened, where the next read or write goes on.
//
// Typical: file_open_dentry(d, flags, cred, &f) / file_read(f, &u, 0) / file_put(f).
// An open file may be shared by many descriptors and processes; poslock makes reads that move the common offset follow
// one another. Knows no descriptors, and no process.
#include "fs/filelock.h"
#include "fs/internal.h"
#include "fs/perm.h"
#include "lib/atomic.h"
#include "lib/errseq.h"

enum { // whence of lseek; Linux's values
  SEEK_SET = 0,
  SEEK_CUR = 1,
  SEEK_END = 2,
  SEEK_DATA = 3,
  SEEK_HOLE = 4,
};
enum { O_ONCE = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC }; // of open itself, or of the descriptor

static struct kmem_cache *file_cache; // (c)

struct file *
file_alloc(const struct file_ops *ops, unsigned flags)
{
  struct file *f = kmem_alloc(file_cache);

  if(!f)
    return 0;
  f->ref = 1;
  f->flags = flags;
  f->ops = ops;
  sleep_init(&f->poslock, "file position", RANK_FILE_POS);
  list_init(&f->watchers);
  return f;
}

struct file *
file_get(struct file *f)
{
  atomic_add(&f->ref, 1);
  return f;
}

void
file_put(struct file *f)
{
  if(atomic_sub(&f->ref, 1) > 0)
    return;
  if(!list_empty(&f->watchers)) // nobody can add one: that takes a reference
    epoll_forget(f);
  if(f->ops->release)
    f->ops->release(f);
  if(f->inode)
    filelock_drop(f->inode, f);
  if(f->counts_writer)
    inode_write_close(f->inode);
  if(f->dentry)
    dentry_put(f->dentry);
  inode_put(f->inode);
  kmem_free(file_cache, f);
}

static void *
file_tag_get(void *tag)
{
  struct file *f = file_get(tag);

  if(f->ops->mapped)
    f->ops->mapped(f, true);
  return f;
}

static void
file_tag_put(void *tag)
{
  struct file *f = tag;

  if(f->ops->mapped)
    f->ops->mapped(f, false);
  file_put(f);
}

static void *
file_tag_hold(void *tag)
{
  return file_get(tag);
}

static void
file_tag_drop(void *tag)
{
  file_put(tag);
}

// msync: errors of write-back are told to the file through which the mapping was made, if it is its contents that are mapped.
static int
file_tag_sync(void *tag, struct mobj *obj, uint64_t lo, uint64_t hi)
{
  struct file *f = tag;
  int r, e;

  if(f->inode && obj == &f->inode->obj)
    return data_sync(f, lo, hi);
  r = mobj_sync(obj, lo, hi);
  e = obj->ops->commit ? obj->ops->commit(obj) : 0;
  return r ? r : e;
}

static int
file_tag_punch(void *tag, uint64_t off, uint64_t len)
{
  struct file *f = tag;

  return vfs_fallocate(f, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, off, len);
}

const struct region_tag_ops file_region_tags = {
    .get = file_tag_get,
    .put = file_tag_put,
    .hold = file_tag_hold,
    .drop = file_tag_drop,
    .punch = file_tag_punch,
    .sync = file_tag_sync,
};

static bool
file_reads(const struct file *f)
{
  unsigned how = f->flags & O_ACCMODE;

  return !(f->flags & O_PATH) && (how == O_RDONLY || how == O_RDWR);
}

static bool
file_writes(const struct file *f)
{
  unsigned how = f->flags & O_ACCMODE;

  return !(f->flags & O_PATH) && (how == O_WRONLY || how == O_RDWR);
}

// ---- open

static const struct file_ops path_fops = {0}; // O_PATH: a place and nothing to do with it
static const struct file_ops fifo_fops = {.open = 0};

// Methods for a node without any of its own: 0 and -E if there are none.
static int
open_fops(struct inode *ip, const struct file_ops **fops)
{
  *fops = ip->fops;
  if(*fops)
    return 0;
  switch(ip->mode & S_IFMT) {
  case S_IFREG: *fops = &regular_fops; break;
  case S_IFDIR: *fops = &dir_fops; break;
  case S_IFIFO: *fops = &fifo_fops; break; // fifo_open puts in the real ones
  case S_IFCHR: *fops = dev_chr_fops(ip->rdev); break;
  case S_IFBLK: *fops = dev_blk_fops(ip->rdev); break;
  case S_IFLNK: return -ELOOP;
  default: break;
  }
  return *fops ? 0 : -ENXIO;
}

static int
open_may(struct inode *ip, unsigned flags, const struct cred *cr)
{
  unsigned how = flags & O_ACCMODE;
  int may = how == O_RDONLY ? MAY_READ : how == O_WRONLY ? MAY_WRITE : MAY_READ | MAY_WRITE;

  if(flags & O_TRUNC)
    may |= MAY_WRITE;
  if(inode_is(ip, S_IFLNK))
    return -ELOOP;
  if(inode_is(ip, S_IFDIR) && (may & MAY_WRITE))
    return -EISDIR;
  if((flags & O_NOATIME) && !cred_owns(cr, ip))
    return -EPERM;
  return inode_permission(ip, cr, may);
}

// The drivers' own part. On an error the file is put by the caller, and must not be released by a driver that refused.
static int
open_driver(struct file *f)
{
  struct inode *ip = f->inode;
  int err = 0;

  if(ip->ops->open)
    err = ip->ops->open(ip, f);
  if(!err && f->ops->open)
    err = f->ops->open(f);
  if(!err && f->ops == &fifo_fops)
    err = fifo_open(ip, f);
  if(err)
    f->ops = &path_fops;
  return err;
}

static int
open_count_writer(struct file *f)
{
  int err;

  if(!inode_is(f->inode, S_IFREG) || !file_writes(f))
    return 0;
  err = inode_write_open(f->inode);
  f->counts_writer = err == 0;
  return err;
}

int
file_open_checked(struct dentry *d, unsigned flags, const struct cred *cr, struct file **out)
{
  const struct file_ops *ops = &path_fops;
  struct file *f;
  int err = 0;

  if(!(flags & O_PATH))
    err = open_fops(d->inode, &ops);
  if(err)
    return err;
  f = file_alloc(ops, (flags & ~O_ONCE) | (flags & O_PATH ? 0 : O_LARGEFILE));
  if(!f)
    return -ENOMEM;
  f->dentry = dentry_get(d);
  f->inode = inode_get(d->inode);
  f->keep_setid = cred_has(cr, FSCAP_FSETID);
  f->errseq = errseq_begin(&f->inode->obj.errseq);
  f->fs_errseq = errseq_begin(&f->inode->fs->errseq);
  if(!(flags & O_PATH)) {
    err = open_count_writer(f);
    f->flags |= flags & O_NOCTTY; // a terminal's open looks at it
    if(!err)
      err = open_driver(f);
    f->flags &= ~O_NOCTTY;
    if(!err && (flags & O_TRUNC) && inode_is(f->inode, S_IFREG))
      err = vfs_ftruncate(f, 0);
  }
  if(err) {
    file_put(f);
    return err;
  }
  *out = f;
  return 0;
}

int
file_open_dentry(struct dentry *d, unsigned flags, const struct cred *cr, struct file **out)
{
  int err;

  if((flags & O_DIRECTORY) && !inode_is(d->inode, S_IFDIR))
    return -ENOTDIR;
  err = flags & O_PATH ? 0 : open_may(d->inode, flags, cr);
  return err ? err : file_open_checked(d, flags, cr, out);
}

// ---- read and write

// Call a read or write method at the file's own offset.
static int64_t
file_at_own_pos(struct file *f, struct uio *u, int64_t (*method)(struct file *, struct uio *, uint64_t *))
{
  uint64_t none = 0;
  int64_t r;

  if(!f->ops->seekable)
    return method(f, u, &none);
  sleep_acquire(&f->poslock);
  r = method(f, u, &f->pos);
  sleep_release(&f->poslock);
  return r;
}

int64_t
file_read(struct file *f, struct uio *u, uint64_t *pos)
{
  if(!file_reads(f))
    return -EBADF;
  if(!f->ops->read)
    return f->inode && inode_is(f->inode, S_IFDIR) ? -EISDIR : -EINVAL;
  if(!pos)
    return file_at_own_pos(f, u, f->ops->read);
  if(!f->ops->seekable)
    return -ESPIPE;
  return f->ops->read(f, u, pos);
}

int64_t
file_write(struct file *f, struct uio *u, uint64_t *pos)
{
  int64_t n;
  int err;

  if(!file_writes(f))
    return -EBADF;
  if(!f->ops->write)
    return -EINVAL;
  if(pos && !f->ops->seekable)
    return -ESPIPE;
  n = pos ? f->ops->write(f, u, pos) : file_at_own_pos(f, u, f->ops->write);
  if(n > 0 && (f->flags & O_DSYNC || u->how & (UIO_DSYNC | UIO_SYNC)) && f->ops->fsync) {
    err = f->ops->fsync(f, (f->flags & O_SYNC) != O_SYNC && !(u->how & UIO_SYNC));
    if(err)
      return err;
  }
  return n;
}

int64_t
file_read_kernel(struct file *f, void *buf, size_t n, uint64_t pos)
{
  struct iovec one;
  struct uio u;
  int64_t r;

  if(!f->ops->read)
    return -EINVAL;
  uio_kernel(&u, &one, buf, n);
  while(u.left > 0) {
    r = f->ops->read(f, &u, &pos);
    if(r < 0)
      return r;
    if(r == 0)
      break;
  }
  return n - u.left;
}

// ---- the others

static int64_t
seek_data(struct inode *ip, int64_t off, bool hole)
{
  int64_t size = atomic_get(&ip->obj.size);

  if(off < 0 || off >= size)
    return -ENXIO;
  if(ip->ops->seek)
    return ip->ops->seek(ip, off, hole);
  return hole ? size : off;
}

// Where the offset goes. held: poslock
static int64_t
seek_target(struct file *f, int64_t off, int whence)
{
  int64_t base = 0;

  if(f->ops->lseek)
    return f->ops->lseek(f, off, whence);
  switch(whence) {
  case SEEK_SET: break;
  case SEEK_CUR: base = f->pos; break;
  case SEEK_END: base = atomic_get(&f->inode->obj.size); break;
  case SEEK_DATA:
  case SEEK_HOLE: return seek_data(f->inode, off, whence == SEEK_HOLE);
  default: return -EINVAL;
  }
  if(__builtin_add_overflow(base, off, &base))
    return -EOVERFLOW;
  return base < 0 ? -EINVAL : base;
}

int64_t
file_lseek(struct file *f, int64_t off, int whence)
{
  int64_t r;

  if(f->flags & O_PATH)
    return -EBADF;
  if(!f->ops->seekable)
    return -ESPIPE;
  sleep_acquire(&f->poslock);
  r = seek_target(f, off, whence);
  if(r >= 0)
    f->pos = r;
  sleep_release(&f->poslock);
  return r;
}

int
file_fsync(struct file *f, bool data_only)
{
  if(f->flags & O_PATH)
    return -EBADF;
  return f->ops->fsync ? f->ops->fsync(f, data_only) : -EINVAL;
}

int
file_syncfs(struct file *f)
{
  struct fs *fs = f->inode ? f->inode->fs : 0;
  int err, e;

  if(f->flags & O_PATH)
    return -EBADF;
  if(!fs)
    return 0;
  err = inode_sync_fs(fs);
  e = fs->ops->sync ? fs->ops->sync(fs) : 0;
  err = err ? err : e;
  e = errseq_report(&fs->errseq, &f->fs_errseq);
  return e ? e : err;
}

static int
readdir_inode(struct file *f, dirent_fn *fn, void *arg)
{
  struct inode *dir = f->inode;
  int err;

  if(!dir->ops->readdir)
    return -ENOTDIR;
  rw_read(&dir->lock);
  err = dir->nlink == 0 ? -ENOENT : dir->ops->readdir(dir, &f->pos, fn, arg);
  rw_read_release(&dir->lock);
  return err;
}

int
file_readdir(struct file *f, dirent_fn *fn, void *arg)
{
  int err;

  if(f->flags & O_PATH)
    return -EBADF;
  if(!f->inode || !inode_is(f->inode, S_IFDIR))
    return -ENOTDIR;
  sleep_acquire(&f->poslock);
  err = f->ops->readdir ? f->ops->readdir(f, fn, arg) : readdir_inode(f, fn, arg);
  sleep_release(&f->poslock);
  return err;
}

unsigned
file_poll(struct file *f, struct poll *p)
{
  if(f->flags & O_PATH)
    return POLLNVAL;
  return f->ops->poll ? f->ops->poll(f, p) : POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
}

int
file_mmap(struct file *f, bool shared, struct mobj **obj)
{
  if(f->flags & O_PATH)
    return -EBADF;
  if(f->ops->mmap)
    return f->ops->mmap(f, shared, obj);
  if(!f->inode || !inode_is(f->inode, S_IFREG) || !f->inode->obj.ops->fill)
    return -ENODEV;
  *obj = mobj_get(&f->inode->obj);
  return 0;
}

static int
dir_fsync(struct file *f, bool data_only)
{
  const struct mobj_ops *ops = f->inode->obj.ops;

  return ops->commit ? ops->commit(&f->inode->obj) : 0;
}

const struct file_ops dir_fops = {.fsync = dir_fsync, .seekable = true};

void
file_init(void)
{
  file_cache = KMEM_CACHE(struct file);
}
