// sys_fd.c -- descriptors: close, duplicate, flags, pipes, ioctl.
// Typical: f = fd_file(a[0]) / work / file_put(f).
// Must not know: what kinds of files there are, beyond asking the file itself.
#include "lib/string.h"
#include "syscall/sys.h"

struct file *
fd_any(int fd)
{
  return fd_get(thread_self()->files, fd);
}

struct file *
fd_file(int fd)
{
  struct file *f = fd_any(fd);

  if(f && unlikely(f->flags & O_PATH)) {
    file_put(f);
    f = 0;
  }
  return f;
}

uint64_t
limit_of(int which)
{
  return atomic_get_relaxed(&current_proc()->rlim[which].cur);
}

int64_t
fd_add(struct file *f, bool cloexec)
{
  int fd = fd_install(thread_self()->files, f, 0, cloexec, limit_of(RLIMIT_NOFILE));

  if(fd < 0)
    file_put(f);
  return fd;
}

int64_t
sys_close(const uint64_t *a)
{
  int e = fd_close(thread_self()->files, a[0]);

  // The descriptor is gone whatever happened: a restart would close somebody else's.
  return e == -ERESTARTSYS ? -EINTR : e;
}

// A descriptor table of the caller's own.
static int
fdtable_unshare(struct thread *t)
{
  struct fdtable *mine;

  if(atomic_get(&t->files->ref) == 1)
    return 0;
  mine = fdtable_copy(t->files);
  if(!mine)
    return -ENOMEM;
  fdtable_put(t->files);
  t->files = mine;
  return 0;
}

int64_t
sys_close_range(const uint64_t *a)
{
  struct thread *t = thread_self();
  uint32_t lo = a[0], hi = a[1], flags = a[2];
  int e;

  if(flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) || lo > hi)
    return -EINVAL;
  if(flags & CLOSE_RANGE_UNSHARE && (e = fdtable_unshare(t)) != 0)
    return e;
  if(lo > INT32_MAX)
    return 0;
  for(int fd = fd_next(t->files, (int)lo - 1); fd >= 0 && (uint32_t)fd <= hi; fd = fd_next(t->files, fd)) {
    if(flags & CLOSE_RANGE_CLOEXEC)
      fd_cloexec(t->files, fd, 1);
    else
      fd_close(t->files, fd);
    thread_relax();
  }
  return 0;
}

static int64_t
fd_dup(int fd, uint64_t lowest, bool cloexec)
{
  uint64_t limit = limit_of(RLIMIT_NOFILE);
  struct file *f = fd_any(fd);
  int64_t r;

  if(!f)
    return -EBADF;
  if(lowest >= limit && lowest)
    r = -EINVAL;
  else
    r = fd_install(thread_self()->files, f, lowest, cloexec, limit);
  if(r < 0)
    file_put(f);
  return r;
}

int64_t
sys_dup(const uint64_t *a)
{
  return fd_dup(a[0], 0, false);
}

static int64_t
fd_dup_onto(int from, int to, bool cloexec)
{
  int e = fd_dup_to(thread_self()->files, from, to, cloexec, limit_of(RLIMIT_NOFILE));

  return e < 0 ? e : to;
}

int64_t
sys_dup2(const uint64_t *a)
{
  int from = a[0], to = a[1];
  struct file *f;

  if(from != to)
    return fd_dup_onto(from, to, false);
  f = fd_any(from);
  if(!f)
    return -EBADF;
  file_put(f);
  return to;
}

int64_t
sys_dup3(const uint64_t *a)
{
  uint32_t flags = a[2];

  if(flags & ~O_CLOEXEC || (int)a[0] == (int)a[1])
    return -EINVAL;
  return fd_dup_onto(a[0], a[1], flags & O_CLOEXEC);
}

static int64_t
pipe_make(vaddr_t out, uint32_t flags)
{
  struct fdtable *files = thread_self()->files;
  struct file *rd, *wr;
  int64_t fd[2];
  int32_t pair[2];
  int e;

  if(flags & ~(O_CLOEXEC | O_NONBLOCK))
    return -EINVAL;
  e = pipe_create(&rd, &wr, flags & O_NONBLOCK);
  if(e)
    return e;
  fd[0] = fd_add(rd, flags & O_CLOEXEC);
  if(fd[0] < 0) {
    file_put(wr);
    return fd[0];
  }
  fd[1] = fd_add(wr, flags & O_CLOEXEC);
  if(fd[1] < 0) {
    fd_close(files, fd[0]);
    return fd[1];
  }
  pair[0] = fd[0];
  pair[1] = fd[1];
  e = user_out(out, pair, sizeof(pair));
  if(e) {
    fd_close(files, fd[0]);
    fd_close(files, fd[1]);
  }
  return e;
}

int64_t
sys_pipe(const uint64_t *a)
{
  return pipe_make(a[0], 0);
}

int64_t
sys_pipe2(const uint64_t *a)
{
  return pipe_make(a[0], a[1]);
}

// F_SETFL: only these may change behind open's back.
enum { SETFL_MASK = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME };
enum { GETFL_HIDES = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC };

static void
file_set_flags(struct file *f, unsigned mask, unsigned flags)
{
  unsigned old = atomic_get(&f->flags);

  while(!atomic_cas(&f->flags, &old, (old & ~mask) | (flags & mask)))
    ;
}

static int64_t
fcntl_file(struct file *f, int fd, unsigned cmd, uint64_t arg)
{
  int e;

  switch(cmd) {
  case F_GETFL: return atomic_get(&f->flags) & ~GETFL_HIDES;
  case F_SETFL: file_set_flags(f, SETFL_MASK, arg); return 0;
  case F_GETPIPE_SZ: return pipe_size(f);
  case F_SETPIPE_SZ: e = pipe_resize(f, (uint32_t)arg); return e < 0 ? e : pipe_size(f);
  case F_ADD_SEALS: return seal_add(f, arg);
  case F_GET_SEALS: return seal_get(f);
  default: return record_lock(f, fd, cmd, arg);
  }
}

int64_t
sys_fcntl(const uint64_t *a)
{
  struct fdtable *files = thread_self()->files;
  unsigned cmd = a[1];
  struct file *f;
  int64_t r;

  if(cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC)
    return fd_dup(a[0], (uint32_t)a[2], cmd == F_DUPFD_CLOEXEC);
  f = fd_any(a[0]);
  if(!f)
    return -EBADF;
  switch(cmd) {
  case F_GETFD: r = fd_cloexec(files, a[0], -1) ? FD_CLOEXEC : 0; break;
  case F_SETFD:
    fd_cloexec(files, a[0], a[2] & FD_CLOEXEC);
    r = 0;
    break;
  default: r = f->flags & O_PATH && cmd != F_GETFL ? -EBADF : fcntl_file(f, a[0], cmd, a[2]); break;
  }
  file_put(f);
  return r;
}

// FIONREAD of a regular file: what lies between offset and end.
static int64_t
ioctl_unread(struct file *f, vaddr_t out)
{
  uint64_t size = f->inode->obj.size, pos = f->pos;
  int32_t n = pos < size ? min(size - pos, (uint64_t)INT32_MAX) : 0;

  return user_out(out, &n, sizeof(n));
}

static int64_t
ioctl_nonblock(struct file *f, vaddr_t in)
{
  int32_t on;
  int e = user_in(&on, in, sizeof(on));

  if(e == 0)
    file_set_flags(f, O_NONBLOCK, on ? O_NONBLOCK : 0);
  return e;
}

int64_t
sys_ioctl(const uint64_t *a)
{
  struct fdtable *files = thread_self()->files;
  struct file *f = fd_file(a[0]);
  int64_t r;

  if(!f)
    return -EBADF;
  switch((uint32_t)a[1]) {
  case FIOCLEX:
  case FIONCLEX:
    fd_cloexec(files, a[0], (uint32_t)a[1] == FIOCLEX);
    r = 0;
    break;
  case FIONBIO: r = ioctl_nonblock(f, a[2]); break;
  default:
    if((uint32_t)a[1] == FIONREAD && f->inode && S_ISTYPE(f->inode->mode, S_IFREG))
      r = ioctl_unread(f, a[2]);
    else
      r = f->ops->ioctl ? f->ops->ioctl(f, a[1], a[2], user_as()) : -ENOTTY;
  }
  file_put(f);
  return r;
}
