// sys_copy.c -- bytes from file to file without the program: sendfile, copy_file_range.
// Typical: copy_open checks both ends / copy_run moves them by way of one kernel page.
// Must not know: which file systems are at the two ends.
#include "syscall/sys.h"

struct copy {
  struct file *in, *out;
  uint64_t *inpos, *outpos; // 0: the file's own offset; inpos is always given
};

int64_t
io_read_kernel(struct file *f, void *buf, size_t n, uint64_t *pos)
{
  struct iovec one;
  struct uio u;

  uio_kernel(&u, &one, buf, n);
  return file_read(f, &u, pos);
}

int64_t
io_write_kernel(struct file *f, void *buf, size_t n, uint64_t *pos)
{
  struct iovec one;
  struct uio u;

  uio_kernel(&u, &one, buf, n);
  return io_write(f, &u, pos);
}

// One page's worth: bytes moved, 0 at the end, -E. *inpos moves only by what was written.
static int64_t
copy_chunk(struct copy *c, void *buf, uint64_t n)
{
  uint64_t pos = *c->inpos;
  int64_t got = io_read_kernel(c->in, buf, min(n, PAGE_SIZE), &pos);

  if(got > 0)
    got = io_write_kernel(c->out, buf, got, c->outpos);
  if(got > 0)
    *c->inpos += got;
  return got;
}

static int64_t
copy_run(struct copy *c, uint64_t n)
{
  struct page *pg;
  uint64_t done = 0;
  int64_t r = user_frame(&pg);

  if(r)
    return r;
  n = min(n, (uint64_t)RW_MAX);
  while(done < n) {
    r = copy_chunk(c, page_va(pg), n - done);
    if(r <= 0)
      break;
    done += r;
    if(thread_interrupted(WAIT_INTERRUPTIBLE))
      break;
    thread_relax();
  }
  page_put(pg);
  return done ? (int64_t)done : r;
}

static uint64_t
file_pos_get(struct file *f)
{
  uint64_t pos;

  sleep_acquire(&f->poslock);
  pos = f->pos;
  sleep_release(&f->poslock);
  return pos;
}

static void
file_pos_set(struct file *f, uint64_t pos)
{
  sleep_acquire(&f->poslock);
  f->pos = pos;
  sleep_release(&f->poslock);
}

// An offset argument: a pointer to one, or 0 for the file's own.
static int
copy_offset_get(struct file *f, vaddr_t va, uint64_t *pos)
{
  int e;

  if(!va) {
    *pos = file_pos_get(f);
    return 0;
  }
  e = user_in(pos, va, sizeof(*pos));
  return e ? e : (int64_t)*pos < 0 ? -EINVAL : 0;
}

static int
copy_offset_put(struct file *f, vaddr_t va, uint64_t pos)
{
  if(va)
    return user_out(va, &pos, sizeof(pos));
  file_pos_set(f, pos);
  return 0;
}

static bool
file_regular(const struct file *f)
{
  return f->inode && S_ISTYPE(f->inode->mode, S_IFREG);
}

static int
copy_open(struct copy *c, int in, int out)
{
  c->in = fd_file(in);
  c->out = fd_file(out);
  if(!c->in || !c->out || (c->in->flags & O_ACCMODE) == O_WRONLY || (c->out->flags & O_ACCMODE) == O_RDONLY)
    return -EBADF;
  return 0;
}

static void
copy_close(struct copy *c)
{
  if(c->in)
    file_put(c->in);
  if(c->out)
    file_put(c->out);
}

static int64_t
sendfile_run(struct copy *c, vaddr_t off, uint64_t n)
{
  uint64_t pos;
  int64_t r;
  int e;

  if(off && !c->in->ops->seekable)
    return -ESPIPE;
  if(!file_regular(c->in) || c->out->flags & O_APPEND || (int64_t)n < 0)
    return -EINVAL;
  e = copy_offset_get(c->in, off, &pos);
  if(e)
    return e;
  c->inpos = &pos;
  r = copy_run(c, n);
  e = copy_offset_put(c->in, off, pos);
  return e ? e : r;
}

int64_t
sys_sendfile(const uint64_t *a)
{
  struct copy c = {0};
  int64_t r = copy_open(&c, a[1], a[0]);

  if(r == 0)
    r = sendfile_run(&c, a[2], a[3]);
  copy_close(&c);
  return r;
}

static int
copy_range_check(struct copy *c, uint32_t flags)
{
  if(flags)
    return -EINVAL;
  if(S_ISTYPE(c->in->inode->mode, S_IFDIR) || S_ISTYPE(c->out->inode->mode, S_IFDIR))
    return -EISDIR;
  if(!file_regular(c->in) || !file_regular(c->out))
    return -EINVAL;
  return c->out->flags & O_APPEND ? -EBADF : 0;
}

static int64_t
copy_range_run(struct copy *c, const uint64_t *a)
{
  uint64_t inpos, outpos, n = a[4];
  int64_t r;
  int e = copy_range_check(c, a[5]);

  if(e)
    return e;
  if((e = copy_offset_get(c->in, a[1], &inpos)) != 0 || (e = copy_offset_get(c->out, a[3], &outpos)) != 0)
    return e;
  n = min(n, (uint64_t)RW_MAX);
  if(c->in->inode == c->out->inode && inpos < outpos + n && outpos < inpos + n)
    return -EINVAL;
  c->inpos = &inpos;
  c->outpos = &outpos;
  r = copy_run(c, n);
  if((e = copy_offset_put(c->in, a[1], inpos)) != 0 || (e = copy_offset_put(c->out, a[3], outpos)) != 0)
    return e;
  return r;
}

int64_t
sys_copy_file_range(const uint64_t *a)
{
  struct copy c = {0};
  int64_t r = copy_open(&c, a[0], a[2]);

  if(r == 0)
    r = c.in->inode && c.out->inode ? copy_range_run(&c, a) : -EINVAL;
  copy_close(&c);
  return r;
}
