// sys_io.c -- read and write in all their forms.
// Typical: f = fd_file(fd) / uio_user or uservec_get / file_read or io_write / file_put.
// Linux's order of errors: the descriptor and how it was opened (EBADF), the lengths (EINVAL), the addresses (EFAULT).
// Must not know: where bytes come from; fs/file.c does.
#include "syscall/sys.h"

enum io_dir { IO_READ, IO_WRITE };

int
io_fsize(uint64_t size)
{
  if(likely(size <= limit_of(RLIMIT_FSIZE)))
    return 0;
  signal_self(SIGXFSZ);
  return -EFBIG;
}

// Shorten a write so that the file stays within RLIMIT_FSIZE; -EFBIG if it is there already.
static int
io_clip(struct file *f, struct uio *u, const uint64_t *pos, uint64_t limit)
{
  uint64_t at;

  if(!f->inode || !S_ISTYPE(f->inode->mode, S_IFREG) || !u->left)
    return 0;
  at = f->flags & O_APPEND || u->how & UIO_APPEND ? f->inode->obj.size : pos ? *pos : f->pos;
  if(at >= limit)
    return io_fsize(NEVER);
  u->left = min(u->left, limit - at);
  return 0;
}

int64_t
io_write(struct file *f, struct uio *u, uint64_t *pos)
{
  uint64_t limit = limit_of(RLIMIT_FSIZE);
  int64_t r;

  if(unlikely(limit != NEVER) && (r = io_clip(f, u, pos, limit)) != 0)
    return r;
  r = file_write(f, u, pos);
  if(unlikely(r == -EPIPE))
    signal_self(SIGPIPE);
  return r;
}

// The file of a descriptor that was opened for this direction; 0: EBADF.
static struct file *
io_file(int fd, enum io_dir dir)
{
  struct file *f = fd_file(fd);

  if(f && unlikely((f->flags & O_ACCMODE) == (dir == IO_READ ? O_WRONLY : O_RDONLY))) {
    file_put(f);
    return 0;
  }
  return f;
}

static int64_t
io_move(struct file *f, struct uio *u, uint64_t *pos, enum io_dir dir)
{
  return dir == IO_READ ? file_read(f, u, pos) : io_write(f, u, pos);
}

// One buffer.
static int64_t
io_one(const uint64_t *a, uint64_t *pos, enum io_dir dir)
{
  struct file *f = io_file(a[0], dir);
  struct iovec one;
  struct uio u;
  int64_t r;

  if(!f)
    return -EBADF;
  if(pos && !f->ops->seekable)
    r = -ESPIPE;
  else if((int64_t)a[2] < 0)
    r = -EINVAL;
  else if(!user_range(a[1], a[2]))
    r = -EFAULT;
  else {
    uio_user(&u, user_as(), &one, a[1], min(a[2], (uint64_t)RW_MAX));
    r = io_move(f, &u, pos, dir);
  }
  file_put(f);
  return r;
}

int64_t
sys_read(const uint64_t *a)
{
  return io_one(a, 0, IO_READ);
}

int64_t
sys_write(const uint64_t *a)
{
  return io_one(a, 0, IO_WRITE);
}

int64_t
sys_pread64(const uint64_t *a)
{
  uint64_t pos = a[3];

  return (int64_t)pos < 0 ? -EINVAL : io_one(a, &pos, IO_READ);
}

int64_t
sys_pwrite64(const uint64_t *a)
{
  uint64_t pos = a[3];

  return (int64_t)pos < 0 ? -EINVAL : io_one(a, &pos, IO_WRITE);
}

void
uservec_put(struct uservec *v)
{
  if(v->iov != v->small)
    kfree(v->iov);
}

// The checks of each element; the total is cut to RW_MAX.
static int
uservec_check(struct uservec *v, int n)
{
  uint64_t total = 0;

  for(int i = 0; i < n; i++) {
    struct iovec *one = &v->iov[i];

    if((int64_t)one->len < 0)
      return -EINVAL;
    if(!user_range(one->base, one->len))
      return -EFAULT;
    one->len = min(one->len, RW_MAX - total);
    total += one->len;
  }
  v->u = (struct uio){.as = user_as(), .iov = v->iov, .niov = n, .left = total};
  return 0;
}

int
uservec_get(struct uservec *v, vaddr_t iov, uint64_t n)
{
  int e;

  if(n > IOV_MAX)
    return -EINVAL;
  v->iov = n <= IOV_SMALL ? v->small : kzalloc(n * sizeof(struct iovec));
  if(!v->iov)
    return -ENOMEM;
  e = user_in(v->iov, iov, n * sizeof(struct iovec));
  if(e == 0)
    e = uservec_check(v, n);
  if(e)
    uservec_put(v);
  return e;
}

// Several buffers.
static int64_t
io_vector(const uint64_t *a, uint64_t *pos, enum io_dir dir, int how)
{
  struct file *f = io_file(a[0], dir);
  struct uservec v;
  int64_t r;

  if(!f)
    return -EBADF;
  if(pos && !f->ops->seekable)
    r = -ESPIPE;
  else if((how & UIO_NOWAIT) && (!f->inode || !S_ISTYPE(f->inode->mode, S_IFREG)))
    r = -EOPNOTSUPP;
  else
    r = uservec_get(&v, a[1], a[2]);
  if(r == 0) {
    v.u.how = how;
    if(v.u.left)
      r = io_move(f, &v.u, pos, dir);
    uservec_put(&v);
  }
  file_put(f);
  return r;
}

int64_t
sys_readv(const uint64_t *a)
{
  return io_vector(a, 0, IO_READ, 0);
}

int64_t
sys_writev(const uint64_t *a)
{
  return io_vector(a, 0, IO_WRITE, 0);
}

int64_t
sys_preadv(const uint64_t *a)
{
  uint64_t pos = a[3]; // a[4] is the high half for machines of 32 bits

  return (int64_t)pos < 0 ? -EINVAL : io_vector(a, &pos, IO_READ, 0);
}

int64_t
sys_pwritev(const uint64_t *a)
{
  uint64_t pos = a[3];

  return (int64_t)pos < 0 ? -EINVAL : io_vector(a, &pos, IO_WRITE, 0);
}

// Linux's flags of preadv2 and pwritev2. HIPRI asks a driver to poll, and is a hint.
enum { RWF_HIPRI = 1, RWF_DSYNC = 2, RWF_SYNC = 4, RWF_NOWAIT = 8, RWF_APPEND = 16, RWF_KNOWN = 31 };

// Offset -1 means the file's own.
static int64_t
io_vector2(const uint64_t *a, enum io_dir dir)
{
  unsigned flags = a[5];
  uint64_t pos = a[3];
  int how = (flags & RWF_DSYNC ? UIO_DSYNC : 0) | (flags & RWF_SYNC ? UIO_SYNC : 0) |
            (flags & RWF_NOWAIT ? UIO_NOWAIT : 0) | (flags & RWF_APPEND ? UIO_APPEND : 0);

  if(flags & ~RWF_KNOWN)
    return -EOPNOTSUPP;
  if((int64_t)pos == -1)
    return io_vector(a, 0, dir, how);
  return (int64_t)pos < 0 ? -EINVAL : io_vector(a, &pos, dir, how);
}

int64_t
sys_preadv2(const uint64_t *a)
{
  return io_vector2(a, IO_READ);
}

int64_t
sys_pwritev2(const uint64_t *a)
{
  return io_vector2(a, IO_WRITE);
}

int64_t
sys_lseek(const uint64_t *a)
{
  struct file *f = fd_file(a[0]);
  int64_t r;

  if(!f)
    return -EBADF;
  r = (uint32_t)a[2] > SEEK_HOLE ? -EINVAL : file_lseek(f, a[1], a[2]);
  file_put(f);
  return r;
}
