// usermem.c -- the running program's memory, as system calls see it: structures, times, strings, a page to hold them.
// Typical: user_in(&st, a[1], sizeof st) / work / user_out(a[1], &st, sizeof st).
// Must not know: what the bytes are for.
#include "syscall/sys.h"

int
user_in(void *dst, vaddr_t src, size_t n)
{
  return copyin(user_as(), dst, src, n, 0);
}

int
user_out(vaddr_t dst, const void *src, size_t n)
{
  return copyout(user_as(), dst, src, n, 0);
}

bool
user_range(vaddr_t va, uint64_t n)
{
  return n <= USER_TOP && va <= USER_TOP - n;
}

static uint64_t
ns_saturate(uint64_t sec, uint64_t nsec)
{
  if(sec >= (NEVER - nsec) / NSEC)
    return NEVER;
  return sec * NSEC + nsec;
}

int
user_timespec(vaddr_t va, uint64_t *ns)
{
  struct timespec ts;
  int e = user_in(&ts, va, sizeof(ts));

  if(e)
    return e;
  if(ts.sec < 0 || (uint64_t)ts.nsec >= NSEC)
    return -EINVAL;
  *ns = ns_saturate(ts.sec, ts.nsec);
  return 0;
}

enum { USEC_PER_SEC = 1000000, NSEC_PER_USEC = 1000 };

int
user_timeval(vaddr_t va, uint64_t *ns)
{
  struct timeval tv;
  int e = user_in(&tv, va, sizeof(tv));

  if(e)
    return e;
  if(tv.sec < 0 || (uint64_t)tv.usec >= USEC_PER_SEC)
    return -EINVAL;
  *ns = ns_saturate(tv.sec, tv.usec * NSEC_PER_USEC);
  return 0;
}

int
user_timespec_out(vaddr_t va, uint64_t ns)
{
  struct timespec ts = {ns / NSEC, ns % NSEC};

  return user_out(va, &ts, sizeof(ts));
}

int
user_timeval_out(vaddr_t va, uint64_t ns)
{
  struct timeval tv = {ns / NSEC, ns % NSEC / NSEC_PER_USEC};

  return user_out(va, &tv, sizeof(tv));
}

uint64_t
deadline_after(uint64_t ns)
{
  uint64_t now = clock_now();

  return ns >= NEVER - now ? NEVER : now + ns;
}

uint64_t
deadline_at_wall(uint64_t ns)
{
  uint64_t wall = clock_wall();

  return deadline_after(ns > wall ? ns - wall : 0);
}

int
user_frame(struct page **pp)
{
  int e;

  while(!(*pp = frame_try(0))) {
    e = frame_wait();
    if(e)
      return e;
  }
  return 0;
}

int
user_string(struct page **pp, vaddr_t va)
{
  int64_t n;
  int e = user_frame(pp);

  if(e)
    return e;
  n = copyin_string(user_as(), page_va(*pp), va, PATH_MAX);
  if(n < 0) {
    page_put(*pp);
    return n;
  }
  return 0;
}
