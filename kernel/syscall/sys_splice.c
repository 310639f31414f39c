// sys_splice.c -- pipes as the middle of a copy: splice, tee, vmsplice.
// Typical: find the ends / wait for room or bytes / a page's worth through kernel memory, again and again.
// Bytes are copied, not moved by page: programs cannot tell, and pages of files stay where they are known. What was taken
// from a pipe and could not be delivered goes back to its front.
// Must not know: what lies at the end that is no pipe.
#include "syscall/sys.h"

enum { SPLICE_NONBLOCK = 2, SPLICE_KNOWN = 15 };

struct splice {
  struct file *in, *out;
  uint64_t pos, *at; // at: &pos where one end has an offset of its own in this call, else 0
  bool nonblock;
  char *buf; // a page
};

static bool
is_pipe(struct file *f)
{
  return pipe_unread(f) >= 0;
}

// Is f ready for `events`? 1; else 0 after `some`, -EAGAIN, or what the wait ended with.
static int
ready(struct splice *s, struct file *f, unsigned events, bool some)
{
  struct pollset_entry e = {.file = f, .events = events};
  int r;

  if(file_poll(f, 0) & (events | POLLERR | POLLHUP))
    return 1;
  if(some)
    return 0;
  if(s->nonblock || (f->flags & O_NONBLOCK))
    return -EAGAIN;
  r = poll_wait(&e, 1, NEVER);
  return r == -EINTR ? -ERESTARTSYS : r;
}

// One page from the end that is no pipe: its offset moves by what the pipe took.
static int64_t
from_file(struct splice *s, uint64_t n)
{
  uint64_t pos = s->pos;
  int64_t got = io_read_kernel(s->in, s->buf, n, s->at ? &pos : 0);

  if(got > 0)
    got = io_write_kernel(s->out, s->buf, got, 0);
  if(got > 0 && s->at)
    s->pos += got;
  return got;
}

static int64_t
from_pipe(struct splice *s, uint64_t n)
{
  int64_t got = io_read_kernel(s->in, s->buf, n, 0), put = got;

  if(got > 0)
    put = io_write_kernel(s->out, s->buf, got, s->at);
  if(got > 0 && put < got)
    pipe_unread_bytes(s->in, s->buf + max(put, (int64_t)0), got - max(put, (int64_t)0));
  return put;
}

static int64_t
splice_run(struct splice *s, uint64_t len)
{
  bool in = is_pipe(s->in), out = is_pipe(s->out);
  uint64_t done = 0;
  int64_t r = 1;

  while(done < len) {
    uint64_t n = min(len - done, (uint64_t)PAGE_SIZE);

    if(in)
      r = ready(s, s->in, POLLIN, done > 0);
    if(out && r > 0)
      r = ready(s, s->out, POLLOUT, done > 0);
    if(r > 0)
      r = in ? from_pipe(s, n) : from_file(s, n);
    if(r <= 0)
      break;
    done += r;
    if(thread_interrupted(WAIT_INTERRUPTIBLE))
      break;
    thread_relax();
  }
  return done ? (int64_t)done : r;
}

// An offset for the end f: none for a pipe; else one given, or the file's own (at stays 0).
static int
offset_in(struct splice *s, struct file *f, vaddr_t va)
{
  int e;

  if(!va)
    return 0;
  if(is_pipe(f))
    return -ESPIPE;
  if(!f->ops->seekable)
    return -EINVAL;
  e = user_in(&s->pos, va, sizeof(s->pos));
  s->at = &s->pos;
  return e ? e : (int64_t)s->pos < 0 ? -EINVAL : 0;
}

static int
splice_check(struct splice *s, const uint64_t *a)
{
  bool in = is_pipe(s->in), out = is_pipe(s->out);
  int e;

  if((s->in->flags & O_ACCMODE) == O_WRONLY || (s->out->flags & O_ACCMODE) == O_RDONLY)
    return -EBADF;
  if((a[1] && in) || (a[3] && out))
    return -ESPIPE;
  if(!in && !out)
    return -EINVAL;
  if(in && out && s->in->inode == s->out->inode)
    return -EINVAL;
  if(!out && (s->out->flags & O_APPEND))
    return -EINVAL;
  if((!in && !s->in->ops->read) || (!out && !s->out->ops->write))
    return -EINVAL;
  e = offset_in(s, s->in, a[1]);
  return e ? e : offset_in(s, s->out, a[3]);
}

static int64_t
splice_do(struct splice *s, const uint64_t *a)
{
  struct page *pg;
  int64_t r = splice_check(s, a);
  vaddr_t va = a[1] ? a[1] : a[3];
  int e;

  if(r == 0)
    r = user_frame(&pg);
  if(r)
    return r;
  s->buf = page_va(pg);
  // without an offset given, a file's own is read and moved here too: what the pipe does not take must not be lost
  if(!s->at && !is_pipe(s->in) && s->in->ops->seekable) {
    s->pos = file_lseek(s->in, 0, SEEK_CUR);
    s->at = &s->pos;
    va = 0;
  }
  r = splice_run(s, min(a[4], (uint64_t)RW_MAX));
  if(r > 0 && s->at && !va)
    file_lseek(s->in, s->pos, SEEK_SET);
  page_put(pg);
  if(r > 0 && va && (e = user_out(va, &s->pos, sizeof(s->pos))) != 0)
    return e;
  return r;
}

static int
ends_get(struct splice *s, int in, int out, unsigned flags)
{
  *s = (struct splice){.nonblock = flags & SPLICE_NONBLOCK};
  s->in = fd_file(in);
  s->out = fd_file(out);
  return s->in && s->out ? 0 : -EBADF;
}

static void
ends_put(struct splice *s)
{
  if(s->in)
    file_put(s->in);
  if(s->out)
    file_put(s->out);
}

int64_t
sys_splice(const uint64_t *a)
{
  struct splice s;
  int64_t r;

  if(a[4] == 0)
    return 0;
  if((uint32_t)a[5] & ~SPLICE_KNOWN)
    return -EINVAL;
  r = ends_get(&s, a[0], a[2], a[5]);
  if(r == 0)
    r = splice_do(&s, a);
  ends_put(&s);
  return r;
}

// ---- tee: as splice, but the bytes stay

static int64_t
tee_run(struct splice *s, uint64_t len)
{
  uint64_t done = 0;
  int64_t r = 1;

  while(done < len) {
    if(done == 0)
      r = ready(s, s->in, POLLIN, false);
    if(r > 0)
      r = ready(s, s->out, POLLOUT, done > 0);
    if(r > 0)
      r = pipe_peek(s->in, done, s->buf, min(len - done, (uint64_t)PAGE_SIZE));
    if(r > 0)
      r = io_write_kernel(s->out, s->buf, r, 0);
    if(r <= 0)
      break;
    done += r;
  }
  return done ? (int64_t)done : r;
}

static int64_t
tee_do(struct splice *s, uint64_t len)
{
  struct page *pg;
  int64_t r;

  if((s->in->flags & O_ACCMODE) == O_WRONLY || (s->out->flags & O_ACCMODE) == O_RDONLY)
    return -EBADF;
  if(!is_pipe(s->in) || !is_pipe(s->out) || s->in->inode == s->out->inode)
    return -EINVAL;
  r = user_frame(&pg);
  if(r)
    return r;
  s->buf = page_va(pg);
  r = tee_run(s, min(len, (uint64_t)RW_MAX));
  page_put(pg);
  return r;
}

int64_t
sys_tee(const uint64_t *a)
{
  struct splice s;
  int64_t r;

  if((uint32_t)a[3] & ~SPLICE_KNOWN)
    return -EINVAL;
  if(a[2] == 0)
    return 0;
  r = ends_get(&s, a[0], a[1], a[3]);
  if(r == 0)
    r = tee_do(&s, a[2]);
  ends_put(&s);
  return r;
}

// ---- vmsplice: a pipe and the program's memory. It is what writev and readv do.

int64_t
sys_vmsplice(const uint64_t *a)
{
  uint64_t rw[] = {a[0], a[1], a[2], 0, 0, 0};
  struct splice s = {.nonblock = (uint32_t)a[3] & SPLICE_NONBLOCK};
  struct file *f;
  bool reads, pipe;
  int r;

  if((uint32_t)a[3] & ~SPLICE_KNOWN)
    return -EINVAL;
  f = fd_file(a[0]);
  if(!f)
    return -EBADF;
  pipe = is_pipe(f);
  reads = (f->flags & O_ACCMODE) == O_RDONLY;
  r = !pipe ? -EBADF : a[2] == 0 ? 0 : s.nonblock ? ready(&s, f, reads ? POLLIN : POLLOUT, false) : 1;
  file_put(f);
  if(r <= 0)
    return r;
  return reads ? sys_readv(rw) : sys_writev(rw);
}
