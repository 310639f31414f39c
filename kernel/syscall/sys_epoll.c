// sys_epoll.c -- the calls of epoll, over fs/epoll.c.
// Typical: find the files / one epoll_ call / events out.
#include "syscall/sys.h"

enum { EVENTS_AT_ONCE = 1024, EPOLL_MAX_EVENTS = INT32_MAX / sizeof(struct epoll_event) };

static int64_t
epoll_new(bool cloexec)
{
  struct file *f;
  int e = epoll_create(&f);

  return e ? e : fd_add(f, cloexec);
}

int64_t
sys_epoll_create(const uint64_t *a)
{
  return (int)a[0] <= 0 ? -EINVAL : epoll_new(false);
}

int64_t
sys_epoll_create1(const uint64_t *a)
{
  return (int)a[0] & ~O_CLOEXEC ? -EINVAL : epoll_new((int)a[0] & O_CLOEXEC);
}

int64_t
sys_epoll_ctl(const uint64_t *a)
{
  struct epoll_event event = {0, 0};
  struct file *ep, *f;
  int op = a[1], e = 0;

  if(op != EPOLL_CTL_DEL)
    e = user_in(&event, a[3], sizeof(event));
  if(e)
    return e;
  ep = fd_file(a[0]);
  f = fd_file(a[2]);
  e = ep && f ? epoll_ctl(ep, op, f, a[2], &event) : -EBADF;
  if(f)
    file_put(f);
  if(ep)
    file_put(ep);
  return e;
}

// The first n events to va: how many; -EFAULT if none. What could not be told is not lost: it is reported again.
static int64_t
events_out(struct file *ep, vaddr_t va, const struct epoll_event *events, const struct epoll_taken *from, int n)
{
  int told = 0;

  if(user_out(va, events, n * sizeof(*events)) == 0)
    return n;
  while(told < n && user_out(va + told * sizeof(*events), &events[told], sizeof(*events)) == 0)
    told++;
  epoll_unwait(ep, from + told, n - told);
  return told ? told : -EFAULT;
}

// Events are gathered into kernel memory: files are asked with a spin lock held.
static int64_t
epoll_events(struct file *ep, vaddr_t va, int max, uint64_t deadline)
{
  struct epoll_event *events;
  struct epoll_taken *from;
  int64_t n;

  max = min(max, (int)EVENTS_AT_ONCE);
  from = kzalloc(max * (sizeof(*from) + sizeof(*events)));
  if(!from)
    return -ENOMEM;
  events = (struct epoll_event *)(from + max);
  n = epoll_wait(ep, events, from, max, deadline);
  if(n > 0)
    n = events_out(ep, va, events, from, n);
  kfree(from);
  return n;
}

static int64_t
epoll_do(int fd, vaddr_t va, int max, uint64_t deadline)
{
  struct file *ep;
  int64_t r;

  if(max <= 0 || max > (int)EPOLL_MAX_EVENTS)
    return -EINVAL;
  if(!user_range(va, max * sizeof(struct epoll_event)))
    return -EFAULT;
  ep = fd_file(fd);
  if(!ep)
    return -EBADF;
  r = epoll_events(ep, va, max, deadline);
  file_put(ep);
  return r;
}

static uint64_t
deadline_of_ms(int ms)
{
  return ms < 0 ? NEVER : deadline_after(ms * MSEC);
}

int64_t
sys_epoll_wait(const uint64_t *a)
{
  return epoll_do(a[0], a[1], a[2], deadline_of_ms(a[3]));
}

// The call is not started again after a signal, whatever the handler's flags: a mask of its own stays until delivery.
static int64_t
epoll_masked(const uint64_t *a, uint64_t deadline)
{
  int64_t r = sigmask_begin(a[4], a[5]);

  if(r)
    return r;
  r = epoll_do(a[0], a[1], a[2], deadline);
  return r == -EINTR ? r : sigmask_end(a[4], r);
}

int64_t
sys_epoll_pwait(const uint64_t *a)
{
  return epoll_masked(a, deadline_of_ms(a[3]));
}

int64_t
sys_epoll_pwait2(const uint64_t *a)
{
  uint64_t ns, deadline = NEVER;
  int e = a[3] ? user_timespec(a[3], &ns) : 0;

  if(e)
    return e;
  if(a[3])
    deadline = deadline_after(ns);
  return epoll_masked(a, deadline);
}
