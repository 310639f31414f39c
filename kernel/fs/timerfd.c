// timerfd.c -- a timer as a file: a read says how often it went off since the last one.
// The hardware is asked for the next time only. A timer that repeats stands still once it went off, until somebody reads
// or asks: then the times in between are counted by division. So one that repeats every nanosecond costs no more than one
// that does every second.
// Must not know: wall time, but where a setting is given in it. A clock that is set later moves no timer.
#include "fs/internal.h"
#include "lib/atomic.h"

struct timerfd {
  struct spinlock lock; // rank 77; taken in the clock interrupt
  struct timer timer;
  uint64_t expires;  // (lock) when it goes off next, or went off if `over`; 0: stopped
  uint64_t interval; // (lock) 0: once
  uint64_t ticks;    // (lock) times it went off that nobody has read, up to `expires`; read (a)
  bool over;         // (lock) it went off and has not been started again
  bool wall;         // (c) absolute settings are in wall time
  struct waitq readable;
};

static void
timerfd_ring(struct timer *t)
{
  struct timerfd *tf = container_of(t, struct timerfd, timer);

  spin_acquire(&tf->lock);
  if(tf->expires && tf->expires <= clock_now() && !tf->over) { // not set anew meanwhile
    tf->over = true;
    atomic_set(&tf->ticks, tf->ticks + 1);
  }
  spin_release(&tf->lock);
  waitq_wake(&tf->readable);
}

// Count what passed since it went off, and start it again. held: lock
static void
catch_up(struct timerfd *tf) REQUIRES(tf->lock)
{
  uint64_t now = clock_now(), n;

  if(!tf->over)
    return;
  if(tf->interval == 0) {
    tf->expires = 0;
    tf->over = false;
    return;
  }
  n = (now - tf->expires) / tf->interval;
  atomic_set(&tf->ticks, tf->ticks + n);
  if(__builtin_add_overflow(tf->expires + n * tf->interval, tf->interval, &tf->expires))
    tf->expires = NEVER;
  tf->over = false;
  timer_start(&tf->timer, tf->expires);
}

// What one read gets; 0: nothing.
static uint64_t
take(struct timerfd *tf)
{
  uint64_t n;

  spin_acquire(&tf->lock);
  n = tf->ticks;
  if(n) {
    catch_up(tf);
    n = tf->ticks;
    atomic_set(&tf->ticks, 0);
  }
  spin_release(&tf->lock);
  return n;
}

static int64_t
timerfd_read(struct file *f, struct uio *u, uint64_t *pos)
{
  struct timerfd *tf = f->priv;
  uint64_t n;
  int err = 0;

  if(u->left < sizeof(n))
    return -EINVAL;
  n = take(tf);
  if(n == 0 && (f->flags & O_NONBLOCK))
    return -EAGAIN;
  if(n == 0)
    err = wait_event(&tf->readable, (n = take(tf)) != 0, WAIT_INTERRUPTIBLE, NEVER);
  if(err)
    return err == -EINTR ? -ERESTARTSYS : err;
  uio_to(u, &n, sizeof(n), &err);
  return err ? err : (int64_t)sizeof(n);
}

static unsigned
timerfd_poll(struct file *f, struct poll *p)
{
  struct timerfd *tf = f->priv;

  poll_watch(p, &tf->readable);
  return atomic_get(&tf->ticks) ? POLLIN : 0;
}

static void
timerfd_release(struct file *f)
{
  struct timerfd *tf = f->priv;

  timer_cancel(&tf->timer);
  kfree(tf);
}

static const struct file_ops timerfd_fops = {.read = timerfd_read, .poll = timerfd_poll, .release = timerfd_release};

static struct timerfd_setting
setting(struct timerfd *tf) REQUIRES(tf->lock)
{
  struct timerfd_setting s = {.interval = tf->interval};
  uint64_t now = clock_now();

  catch_up(tf);
  if(tf->expires)
    s.value = tf->expires > now ? tf->expires - now : 1; // due: not over
  return s;
}

int
timerfd_get(struct file *f, struct timerfd_setting *s)
{
  struct timerfd *tf = f->priv;

  if(f->ops != &timerfd_fops)
    return -EINVAL;
  spin_acquire(&tf->lock);
  *s = setting(tf);
  spin_release(&tf->lock);
  return 0;
}

static uint64_t
absolute_time(const struct timerfd *tf, uint64_t ns)
{
  uint64_t wall = clock_wall(), now = clock_now(), in;

  if(!tf->wall)
    return max(ns, (uint64_t)1);
  in = ns > wall ? ns - wall : 0;
  return in >= NEVER - now ? NEVER : now + in;
}

int
timerfd_set(struct file *f, bool absolute, const struct timerfd_setting *s, struct timerfd_setting *old)
{
  struct timerfd *tf = f->priv;
  uint64_t now = clock_now();

  if(f->ops != &timerfd_fops)
    return -EINVAL;
  spin_acquire(&tf->lock);
  *old = setting(tf);
  tf->interval = s->interval;
  tf->over = false;
  atomic_set(&tf->ticks, 0);
  if(s->value == 0)
    tf->expires = 0;
  else if(absolute)
    tf->expires = absolute_time(tf, s->value);
  else
    tf->expires = s->value >= NEVER - now ? NEVER : now + s->value;
  timer_start(&tf->timer, tf->expires ? tf->expires : NEVER); // NEVER stops it
  spin_release(&tf->lock);
  return 0;
}

int
timerfd_create(bool wall, unsigned flags, struct file **out)
{
  struct timerfd *tf = kzalloc(sizeof(*tf));
  int err;

  if(!tf)
    return -ENOMEM;
  spin_init(&tf->lock, "timerfd", RANK_TIMERFD);
  timer_init(&tf->timer, timerfd_ring);
  waitq_init(&tf->readable);
  tf->wall = wall;
  err = anonfile_make("timerfd", &timerfd_fops, flags, tf, out);
  if(err)
    kfree(tf);
  return err;
}
