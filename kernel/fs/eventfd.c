// eventfd.c -- a counter as a file: writes add to it, a read takes all of it, or one.
// The counter is changed by compare-and-swap alone; sleepers look at it without a lock.
#include "fs/internal.h"
#include "lib/atomic.h"

#define COUNT_MAX (UINT64_MAX - 1)

struct eventfd {
  uint64_t count; // (a)
  bool semaphore; // (c)
  struct waitq readable, writable;
};

// Take what one read gets: 0, it was nothing.
static uint64_t
take(struct eventfd *e)
{
  uint64_t have = atomic_get(&e->count), n;

  do {
    n = e->semaphore ? have != 0 : have;
  } while(n && !atomic_cas(&e->count, &have, have - n));
  return n;
}

static int64_t
eventfd_read(struct file *f, struct uio *u, uint64_t *pos)
{
  struct eventfd *e = f->priv;
  uint64_t n;
  int err = 0;

  if(u->left < sizeof(n))
    return -EINVAL;
  n = take(e);
  if(n == 0 && (f->flags & O_NONBLOCK))
    return -EAGAIN;
  if(n == 0)
    err = wait_event(&e->readable, (n = take(e)) != 0, WAIT_INTERRUPTIBLE, NEVER);
  if(err)
    return err == -EINTR ? -ERESTARTSYS : err;
  waitq_wake(&e->writable);
  uio_to(u, &n, sizeof(n), &err);
  return err ? err : (int64_t)sizeof(n);
}

static bool
give(struct eventfd *e, uint64_t n)
{
  uint64_t have = atomic_get(&e->count);

  do {
    if(n > COUNT_MAX - have)
      return false;
  } while(!atomic_cas(&e->count, &have, have + n));
  return true;
}

static int64_t
eventfd_write(struct file *f, struct uio *u, uint64_t *pos)
{
  struct eventfd *e = f->priv;
  uint64_t n = 0;
  int err = 0;

  if(u->left < sizeof(n))
    return -EINVAL;
  uio_from(u, &n, sizeof(n), &err);
  if(err)
    return err;
  if(n > COUNT_MAX)
    return -EINVAL;
  if(!give(e, n)) {
    if(f->flags & O_NONBLOCK)
      return -EAGAIN;
    err = wait_event(&e->writable, give(e, n), WAIT_INTERRUPTIBLE, NEVER);
    if(err)
      return err == -EINTR ? -ERESTARTSYS : err;
  }
  waitq_wake(&e->readable);
  return sizeof(n);
}

static unsigned
eventfd_poll(struct file *f, struct poll *p)
{
  struct eventfd *e = f->priv;
  uint64_t have;

  poll_watch_for(p, &e->readable, POLLIN | POLLRDNORM);
  poll_watch_for(p, &e->writable, POLLOUT | POLLWRNORM);
  have = atomic_get(&e->count);
  return (have > 0 ? POLLIN : 0) | (have < COUNT_MAX ? POLLOUT : 0);
}

static void
eventfd_release(struct file *f)
{
  kfree(f->priv);
}

static const struct file_ops eventfd_fops = {
    .read = eventfd_read, .write = eventfd_write, .poll = eventfd_poll, .release = eventfd_release};

int
eventfd_create(uint64_t count, bool semaphore, unsigned flags, struct file **out)
{
  struct eventfd *e = kzalloc(sizeof(*e));
  int err;

  if(!e)
    return -ENOMEM;
  e->count = count;
  e->semaphore = semaphore;
  waitq_init(&e->readable);
  waitq_init(&e->writable);
  err = anonfile_make("eventfd", &eventfd_fops, flags, e, out);
  if(err)
    kfree(e);
  return err;
}
