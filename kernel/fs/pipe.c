// pipe.c -- pipes and FIFOs: two ends, who waits at them, and how they are opened. The bytes are pipe_ring.c's.
//
// Typical: pipe_create(&rd, &wr, 0) / file_write(wr, ...) wakes file_read(rd, ...).
// pipe.lock is held while bytes are moved, so a write of up to PIPE_BUF is in one piece; frames for the ring are waited
// for without it, and readers and writers wait for it killably.
// Sleepers look at the counters without the lock: whoever changes them does so before he wakes.
// Knows nothing of SIGPIPE: the system call makes it of -EPIPE.
#include "fs/internal.h"
#include "fs/perm.h"
#include "fs/pipe.h"
#include "core/print.h"
#include "lib/atomic.h"
#include "lib/fmt.h"
#include "lib/string.h"

enum { PIPE_BUF = 4096 };
enum { PIPE_DEFAULT = 64 << 10 }; // bytes
enum { PIPE_NAME = 32, PIPE_MODE = 0600, IOCTL_FIONREAD = 0x541b };
enum { PIPE_MAGIC = 0x50495045 }; // f_type of the file system that only pipes live in

static struct fs pipefs;
static uint64_t pipe_next_ino;        // (a)
static struct kmem_cache *pipe_cache; // (c)

static struct pipe *
pipe_alloc(void)
{
  struct pipe *p = kmem_alloc(pipe_cache);

  if(!p)
    return 0;
  p->cap = PIPE_DEFAULT;
  p->page = kzalloc(p->cap / PAGE_SIZE * sizeof(p->page[0]));
  if(!p->page) {
    kmem_free(pipe_cache, p);
    return 0;
  }
  sleep_init(&p->lock, "pipe", RANK_PIPE);
  waitq_init(&p->readable);
  waitq_init(&p->writable);
  return p;
}

void
pipe_free(struct pipe *p)
{
  if(!p)
    return;
  pipe_drain(p);
  kfree(p->page);
  kmem_free(pipe_cache, p);
}

static int64_t
pipe_read(struct file *f, struct uio *u, uint64_t *pos) UNCHECKED // clang cannot follow killable locks
{
  struct pipe *p = pipe_of(f);
  uint64_t done = 0;
  int err = 0;

  if(u->left == 0)
    return 0;
  while(done == 0 && !err) {
    if(sleep_acquire_killable(&p->lock) != 0)
      return -EINTR;
    done = pipe_take(p, u, &err);
    sleep_release(&p->lock);
    if(done > 0 || err)
      break;
    if(atomic_get(&p->writers) == 0 && atomic_get(&p->used) == 0)
      return 0;
    if(f->flags & O_NONBLOCK)
      return -EAGAIN;
    err = wait_event(&p->readable, atomic_get(&p->used) > 0 || atomic_get(&p->writers) == 0, WAIT_INTERRUPTIBLE, NEVER);
    if(err)
      return err == -EINTR ? -ERESTARTSYS : err;
  }
  if(done > 0)
    waitq_wake(&p->writable);
  return done > 0 ? (int64_t)done : err;
}

// How much of `left` may be written now: 0 if the writer has to wait. Writes of up to PIPE_BUF are not divided.
static uint64_t
pipe_room(struct pipe *p, uint64_t total, uint64_t left)
{
  uint64_t room = atomic_get(&p->cap) - atomic_get(&p->used);

  if(total <= PIPE_BUF)
    return room >= left ? left : 0;
  return min(room, left);
}

// One step of a write: bytes moved, 0 if the pipe is full, -ENOMEM (wait for a frame and try again), or -E.
static int64_t
pipe_write_step(struct pipe *p, struct uio *u, uint64_t total) UNCHECKED // as pipe_read
{
  uint64_t n, done = 0;
  int err = 0;

  if(sleep_acquire_killable(&p->lock) != 0)
    return -EINTR;
  n = min(pipe_room(p, total, u->left), (uint64_t)PIPE_DEFAULT);
  if(p->readers == 0)
    err = -EPIPE;
  else if(!pipe_prepare(p, n))
    err = -ENOMEM;
  else
    done = pipe_put(p, u, n, &err);
  sleep_release(&p->lock);
  if(done > 0)
    waitq_wake(&p->readable);
  return done > 0 ? (int64_t)done : err == -ENOMEM && n > 0 ? -ENOMEM : err;
}

// Full: wait until something can be written. 0 or -E.
static int
pipe_write_wait(struct file *f, struct pipe *p, uint64_t total, uint64_t left)
{
  int err;

  if(f->flags & O_NONBLOCK)
    return -EAGAIN;
  err = wait_event(&p->writable, pipe_room(p, total, left) > 0 || atomic_get(&p->readers) == 0, WAIT_INTERRUPTIBLE,
                   NEVER);
  return err == -EINTR ? -ERESTARTSYS : err;
}

static int64_t
pipe_write(struct file *f, struct uio *u, uint64_t *pos)
{
  struct pipe *p = pipe_of(f);
  uint64_t total = u->left;
  int64_t n = 0;

  while(u->left > 0) {
    n = pipe_write_step(p, u, total);
    if(n == 0)
      n = pipe_write_wait(f, p, total, u->left);
    else if(n == -ENOMEM)
      n = frame_wait();
    if(n < 0)
      break;
    thread_relax();
  }
  return u->left < total ? (int64_t)(total - u->left) : n;
}

static unsigned
pipe_poll(struct file *f, struct poll *p)
{
  struct pipe *pipe = pipe_of(f);
  unsigned how = f->flags & O_ACCMODE, events = 0;

  if(how != O_WRONLY) {
    poll_watch_for(p, &pipe->readable, POLLIN | POLLRDNORM);
    if(atomic_get(&pipe->used) > 0)
      events |= POLLIN | POLLRDNORM;
    if(atomic_get(&pipe->writers) == 0 && (uint32_t)f->pos != atomic_get(&pipe->nwriters))
      events |= POLLHUP;
  }
  if(how != O_RDONLY) {
    poll_watch_for(p, &pipe->writable, POLLOUT | POLLWRNORM);
    if(atomic_get(&pipe->cap) - atomic_get(&pipe->used) >= PIPE_BUF)
      events |= POLLOUT | POLLWRNORM;
    if(atomic_get(&pipe->readers) == 0)
      events |= POLLERR;
  }
  return events;
}

static int
pipe_ioctl(struct file *f, unsigned cmd, uint64_t arg, struct aspace *as)
{
  int n;

  if(cmd != IOCTL_FIONREAD)
    return -ENOTTY;
  n = pipe_unread(f);
  return copyout(as, arg, &n, sizeof(n), 0);
}

// Count f in (+1) or out (-1).
static void
pipe_count(struct pipe *p, const struct file *f, int step)
{
  unsigned how = f->flags & O_ACCMODE;

  if(how != O_WRONLY) {
    atomic_add(&p->readers, step);
    if(step > 0)
      atomic_add(&p->nreaders, 1);
  }
  if(how != O_RDONLY) {
    atomic_add(&p->writers, step);
    if(step > 0)
      atomic_add(&p->nwriters, 1);
  }
}

static void
pipe_release(struct file *f)
{
  struct pipe *p = pipe_of(f);

  sleep_acquire(&p->lock);
  pipe_count(p, f, -1);
  if(p->readers == 0 && p->writers == 0)
    pipe_drain(p);
  sleep_release(&p->lock);
  waitq_wake(&p->readable);
  waitq_wake(&p->writable);
}

static const struct file_ops pipe_fops = {
    .read = pipe_read,
    .write = pipe_write,
    .poll = pipe_poll,
    .ioctl = pipe_ioctl,
    .release = pipe_release,
};

// ---- making pipes

static void
pipe_attach(struct pipe *p, struct file *f)
{
  f->ops = &pipe_fops;
  f->priv = p;
  f->pos = UINT32_MAX + 1ull; // no number of opens: a reader sees POLLHUP once the writers are gone
  sleep_acquire(&p->lock);
  pipe_count(p, f, 1);
  sleep_release(&p->lock);
}

static struct file *
pipe_file(struct dentry *d, unsigned flags)
{
  struct file *f = file_alloc(&pipe_fops, flags);

  if(!f)
    return 0;
  f->dentry = dentry_get(d);
  f->inode = inode_get(d->inode);
  pipe_attach(d->inode->pipe, f);
  return f;
}

static int
pipe_setattr(struct inode *ip)
{
  return 0;
}

static const struct inode_ops pipe_inode_ops = {.setattr = pipe_setattr};
static const struct mobj_ops pipe_mobj_ops = {.name = "pipe", .release = inode_mobj_release};

// An inode and a dentry for one pipe. 0 if no memory.
static struct dentry *
pipe_dentry(void)
{
  struct inode *ip = inode_alloc(&pipefs, atomic_add(&pipe_next_ino, 1), &pipe_mobj_ops, &pipe_inode_ops);
  char name[PIPE_NAME];
  struct dentry *d;

  if(!ip)
    return 0;
  inode_init_owner(ip, 0, S_IFIFO | PIPE_MODE, 0);
  ip->nlink = 1;
  ip->pipe = pipe_alloc();
  fmt(name, sizeof(name), "pipe:[%lu]", ip->ino);
  d = ip->pipe ? dentry_anon(&pipefs, name, ip) : 0;
  if(!d)
    inode_put(ip);
  return d;
}

int
pipe_create(struct file **rd, struct file **wr, unsigned flags)
{
  struct dentry *d;

  if(flags & ~(O_NONBLOCK | O_CLOEXEC))
    return -EINVAL;
  d = pipe_dentry();
  if(!d)
    return -ENOMEM;
  flags &= O_NONBLOCK;
  *rd = pipe_file(d, O_RDONLY | flags);
  *wr = pipe_file(d, O_WRONLY | flags);
  dentry_put(d);
  if(*rd && *wr)
    return 0;
  if(*rd)
    file_put(*rd);
  if(*wr)
    file_put(*wr);
  return -ENOMEM;
}

static int
fifo_pipe(struct inode *ip)
{
  int err = 0;

  rw_write(&ip->lock);
  if(!ip->pipe && (ip->pipe = pipe_alloc()) == 0)
    err = -ENOMEM;
  rw_write_release(&ip->lock);
  return err;
}

// f is counted in: wait for somebody at the other end, as FIFOs do.
static int
fifo_meet(struct pipe *p, struct file *f)
{
  unsigned how = f->flags & O_ACCMODE;
  uint32_t seen = atomic_get(how == O_RDONLY ? &p->nwriters : &p->nreaders);
  int err = 0;

  if(how == O_RDONLY && atomic_get(&p->writers) == 0) {
    if(f->flags & O_NONBLOCK)
      f->pos = seen; // no POLLHUP before a writer has come
    else
      err = wait_event(&p->readable, atomic_get(&p->nwriters) != seen || atomic_get(&p->writers) > 0,
                       WAIT_INTERRUPTIBLE, NEVER);
  }
  if(how == O_WRONLY && atomic_get(&p->readers) == 0)
    err = wait_event(&p->writable, atomic_get(&p->nreaders) != seen || atomic_get(&p->readers) > 0, WAIT_INTERRUPTIBLE,
                     NEVER);
  return err == -EINTR ? -ERESTARTSYS : err;
}

int
fifo_open(struct inode *ip, struct file *f)
{
  unsigned how = f->flags & O_ACCMODE;
  bool named = ip->fs != &pipefs; // a pipe opened again through /proc waits for nobody
  int err = fifo_pipe(ip);

  if(err)
    return err;
  if(named && how == O_WRONLY && (f->flags & O_NONBLOCK) && atomic_get(&ip->pipe->readers) == 0)
    return -ENXIO;
  pipe_attach(ip->pipe, f);
  waitq_wake(&ip->pipe->readable);
  waitq_wake(&ip->pipe->writable);
  err = named ? fifo_meet(ip->pipe, f) : 0;
  if(err)
    pipe_release(f);
  return err;
}

// ---- size

bool
pipe_is(const struct file *f)
{
  return f->ops == &pipe_fops;
}

int64_t
pipe_size(struct file *f)
{
  return pipe_is(f) ? (int64_t)atomic_get(&pipe_of(f)->cap) : -EBADF;
}

int
pipe_unread(struct file *f)
{
  return pipe_is(f) ? (int)atomic_get(&pipe_of(f)->used) : -ENOTTY;
}

static int
pipefs_statfs(struct fs *fs, struct statfs_info *st)
{
  *st = (struct statfs_info){.type = PIPE_MAGIC, .bsize = PAGE_SIZE, .namelen = NAME_MAX};
  return 0;
}

void
pipe_init(void)
{
  static const struct fs_ops ops = {.statfs = pipefs_statfs};

  pipe_cache = KMEM_CACHE(struct pipe);
  pipefs.ops = &ops;
  pipefs.type = "pipefs";
  pipefs.dev = mount_anon_dev();
  pipefs.ref = 1;
  pipefs.noexec = true;
}
