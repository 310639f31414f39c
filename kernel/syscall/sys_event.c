// sys_event.c -- events as files: counters, timers, signals.
// Typical: check flags and structures / make or find the file / fd_add.
#include "syscall/sys.h"

enum { EFD_SEMAPHORE = 1, TFD_ABSTIME = 1, TFD_CANCEL_ON_SET = 2 };

static int64_t
eventfd_new(uint32_t count, int flags)
{
  struct file *f;
  int e;

  if(flags & ~(EFD_SEMAPHORE | O_CLOEXEC | O_NONBLOCK))
    return -EINVAL;
  e = eventfd_create(count, flags & EFD_SEMAPHORE, flags & O_NONBLOCK, &f);
  return e ? e : fd_add(f, flags & O_CLOEXEC);
}

int64_t
sys_eventfd(const uint64_t *a)
{
  return eventfd_new(a[0], 0);
}

int64_t
sys_eventfd2(const uint64_t *a)
{
  return eventfd_new(a[0], a[1]);
}

// ---- timers

int64_t
sys_timerfd_create(const uint64_t *a)
{
  int clock = a[0], flags = a[1], e;
  struct file *f;

  if(flags & ~(O_CLOEXEC | O_NONBLOCK))
    return -EINVAL;
  switch(clock) {
  case CLOCK_REALTIME:
  case CLOCK_MONOTONIC:
  case CLOCK_BOOTTIME: break;
  case CLOCK_REALTIME_ALARM:
  case CLOCK_BOOTTIME_ALARM:
    if(!cred_capable(CAP_WAKE_ALARM))
      return -EPERM;
    break;
  default: return -EINVAL;
  }
  e = timerfd_create(clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_ALARM, flags & O_NONBLOCK, &f);
  return e ? e : fd_add(f, flags & O_CLOEXEC);
}

static int
setting_out(vaddr_t va, const struct timerfd_setting *s)
{
  int e = user_timespec_out(va, s->interval);

  return e ? e : user_timespec_out(va + sizeof(struct timespec), s->value);
}

static int64_t
timerfd_setting(int fd, bool absolute, const struct timerfd_setting *s, vaddr_t old_va)
{
  struct timerfd_setting old;
  struct file *f = fd_file(fd);
  int e;

  if(!f)
    return -EBADF;
  e = timerfd_set(f, absolute, s, &old);
  file_put(f);
  return e || !old_va ? e : setting_out(old_va, &old);
}

// A setting that must not be changed by clock_settime is accepted: no timer is moved by that.
int64_t
sys_timerfd_settime(const uint64_t *a)
{
  struct timerfd_setting s;
  int flags = a[1];
  int e = user_timespec(a[2], &s.interval);

  if(e == 0)
    e = user_timespec(a[2] + sizeof(struct timespec), &s.value);
  if(e == 0 && (flags & ~(TFD_ABSTIME | TFD_CANCEL_ON_SET)))
    e = -EINVAL;
  return e ? e : timerfd_setting(a[0], flags & TFD_ABSTIME, &s, a[3]);
}

int64_t
sys_timerfd_gettime(const uint64_t *a)
{
  struct timerfd_setting s;
  struct file *f = fd_file(a[0]);
  int e;

  if(!f)
    return -EBADF;
  e = timerfd_get(f, &s);
  file_put(f);
  return e ? e : setting_out(a[1], &s);
}

// ---- signals

static int64_t
signalfd_any(int fd, vaddr_t mask, uint64_t size, int flags)
{
  struct file *f;
  sigset set;
  int e;

  if(size != sizeof(set) || (flags & ~(O_CLOEXEC | O_NONBLOCK)))
    return -EINVAL;
  e = user_in(&set, mask, sizeof(set));
  if(e)
    return e;
  if(fd == -1) {
    e = signalfd_create(set, flags & O_NONBLOCK, &f);
    return e ? e : fd_add(f, flags & O_CLOEXEC);
  }
  f = fd_file(fd);
  if(!f)
    return -EBADF;
  e = signalfd_change(f, set);
  file_put(f);
  return e ? e : fd;
}

int64_t
sys_signalfd(const uint64_t *a)
{
  return signalfd_any(a[0], a[1], a[2], 0);
}

int64_t
sys_signalfd4(const uint64_t *a)
{
  return signalfd_any(a[0], a[1], a[2], a[3]);
}
