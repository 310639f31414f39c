// pipe.c -- pipes and FIFOs: a ring of bytes over pages that appear when they are written and go when they were read.
//
// Typical: pipe_create(&rd, &wr, 0) / file_write(wr, ...) wakes file_read(rd, ...).
// pipe.lock is held while bytes are moved, so a write of up to PIPE_BUF is in one piece; frames for the ring are waited
// for without it, and readers and writers wait for it killably.
// Sleepers look at the counters without the lock: whoever changes them does so before he wakes.
// Knows nothing of SIGPIPE: the system call makes it of -EPIPE.
#include "fs/internal.h"
#include "fs/perm.h"
#include "core/print.h"
#include "lib/atomic.h"
#include "lib/fmt.h"
#include "lib/string.h"

enum { PIPE_BUF = 4096 };
enum { PIPE_DEFAULT = 64 << 10, PIPE_MAX = 1 << 20 }; // capacities in bytes
enum { PIPE_NAME = 32, PIPE_MODE = 0600, IOCTL_FIONREAD = 0x541b };
enum { PIPE_MAGIC = 0x50495045 }; // f_type of the file system that only pipes live in

struct pipe {
  struct sleeplock lock;       // rank 12
  struct page **page;          // (l) ring: page of bytes [i * PAGE_SIZE, (i + 1) * PAGE_SIZE) modulo cap; 0: none now
  uint64_t cap;                // (l) bytes, a multiple of PAGE_SIZE
  uint64_t tail, used;         // (l) first byte to read, below cap; bytes in the ring. `used` is read without the lock
  struct page *spare;          // (l) one page for the next write, against going to the allocator each time
  int readers, writers;        // (l) open files; read without the lock
  uint32_t nreaders, nwriters; // (l) opens so far, for the FIFO's rendezvous; read without the lock
  struct waitq readable, writable;
};

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

// Forget all bytes.
static void
pipe_drain(struct pipe *p)
{
  for(uint64_t i = 0; i < p->cap / PAGE_SIZE; i++)
    if(p->page[i]) {
      page_put(p->page[i]);
      p->page[i] = 0;
    }
  if(p->spare)
    page_put(p->spare);
  p->spare = 0;
  p->tail = 0;
  atomic_set(&p->used, 0);
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

static struct pipe *
pipe_of(struct file *f)
{
  return f->priv;
}

// Nothing is left in the page that holds byte `at`: let it go, or keep it as the spare.
static void
pipe_page_done(struct pipe *p, uint64_t at)
{
  struct page **pg = &p->page[at / PAGE_SIZE];

  if(!*pg)
    return;
  if(p->spare)
    page_put(*pg);
  else
    p->spare = *pg;
  *pg = 0;
}

// Move bytes from the ring to u: how many; fewer than there are only with *err set.
static uint64_t
pipe_take(struct pipe *p, struct uio *u, int *err)
{
  uint64_t done = 0, off, n, moved;
  bool wrapped;

  while(u->left > 0 && p->used > 0 && *err == 0) {
    off = p->tail & (PAGE_SIZE - 1);
    n = min(min(PAGE_SIZE - off, p->used), u->left);
    moved = uio_to(u, (char *)page_va(p->page[p->tail / PAGE_SIZE]) + off, n, err);
    wrapped = p->used > p->cap - off; // the newest bytes lie in front of the oldest, in the same page
    if((off + moved == PAGE_SIZE && !wrapped) || moved == p->used)
      pipe_page_done(p, p->tail);
    p->tail = moved == p->used ? 0 : (p->tail + moved) % p->cap;
    atomic_set(&p->used, p->used - moved);
    done += moved;
  }
  return done;
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

// Give every page that n more bytes will lie on a frame, without waiting. false: memory is short.
static bool
pipe_prepare(struct pipe *p, uint64_t n)
{
  uint64_t head = p->tail + p->used, i;

  for(uint64_t at = page_down(head); at < head + n; at += PAGE_SIZE) {
    i = at % p->cap / PAGE_SIZE;
    if(p->page[i])
      continue;
    p->page[i] = p->spare ? p->spare : frame_try(0);
    p->spare = 0;
    if(!p->page[i])
      return false;
  }
  return true;
}

// Move n bytes, for which there is room, from u into the ring: how many; fewer only with *err set.
static uint64_t
pipe_put(struct pipe *p, struct uio *u, uint64_t n, int *err)
{
  uint64_t done = 0, head, off, chunk, moved;

  while(done < n && *err == 0) {
    head = (p->tail + p->used) % p->cap;
    off = head & (PAGE_SIZE - 1);
    chunk = min(PAGE_SIZE - off, n - done);
    moved = uio_from(u, (char *)page_va(p->page[head / PAGE_SIZE]) + off, chunk, err);
    atomic_set(&p->used, p->used + moved);
    done += moved;
  }
  return done;
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

static bool
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

// Move what is in p's ring to the beginning of `fresh`, a larger or smaller one that has room for it. 0 or -ENOMEM.
static int
pipe_move(struct pipe *p, struct page **fresh)
{
  uint64_t from, room, to = 0, n;

  for(uint64_t done = 0; done < p->used; done += n) {
    from = (p->tail + done) % p->cap;
    room = PAGE_SIZE - (to & (PAGE_SIZE - 1));
    n = min(min(PAGE_SIZE - (from & (PAGE_SIZE - 1)), room), p->used - done);
    if(!fresh[to / PAGE_SIZE] && (fresh[to / PAGE_SIZE] = frame_try(0)) == 0)
      return -ENOMEM;
    memcpy((char *)page_va(fresh[to / PAGE_SIZE]) + (to & (PAGE_SIZE - 1)),
           (char *)page_va(p->page[from / PAGE_SIZE]) + (from & (PAGE_SIZE - 1)), n);
    to += n;
  }
  return 0;
}

static void
pages_put(struct page **page, uint64_t n)
{
  for(uint64_t i = 0; i < n; i++)
    if(page[i])
      page_put(page[i]);
  kfree(page);
}

// held: p->lock. `fresh` is used up.
static int
pipe_resize_locked(struct pipe *p, struct page **fresh, uint64_t cap)
{
  struct page **old = p->page;
  uint64_t oldcap = p->cap;
  int err = p->used > cap ? -EBUSY : pipe_move(p, fresh);

  if(err) {
    pages_put(fresh, cap / PAGE_SIZE);
    return err;
  }
  p->page = fresh;
  p->tail = 0;
  atomic_set(&p->cap, cap);
  pages_put(old, oldcap / PAGE_SIZE);
  return 0;
}

int
pipe_resize(struct file *f, uint64_t bytes)
{
  uint64_t cap = PAGE_SIZE;
  struct page **fresh;
  int err;

  if(!pipe_is(f))
    return -EBADF;
  if(bytes > PIPE_MAX)
    return -EPERM;
  while(cap < bytes)
    cap *= 2;
  fresh = kzalloc(cap / PAGE_SIZE * sizeof(fresh[0]));
  if(!fresh)
    return -ENOMEM;
  sleep_acquire(&pipe_of(f)->lock);
  err = pipe_resize_locked(pipe_of(f), fresh, cap);
  sleep_release(&pipe_of(f)->lock);
  waitq_wake(&pipe_of(f)->writable);
  return err ? err : (int)cap;
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
}
