// stamp.c -- the times of inodes. An inode keeps each in one word, a stamp, so that who reads it without inode.lock sees an
// old time or a new one, never the seconds of one with the nanoseconds of the other.
//
// A stamp holds what ext3 can say, 1901 to 2446 (34 bits of seconds), and nanoseconds (30 bits); 0 is 1970. What is beyond
// is as near as it can. Typical: inode_modified(ip) under inode.lock / stamp_get(&ip->mtime) anywhere.
#include "core/time.h"
#include "fs/internal.h"
#include "lib/atomic.h"

enum { NSEC_BITS = 30, SEC_BITS = 64 - NSEC_BITS };
#define SEC_MIN ((int64_t)INT32_MIN)
#define SEC_MAX (SEC_MIN + (1l << SEC_BITS) - 1)

struct times
times_of(uint64_t ns)
{
  return (struct times){.sec = ns / NSEC, .nsec = ns % NSEC};
}

struct times
times_now(void)
{
  return times_of(clock_wall());
}

void
stamp_set(uint64_t *stamp, struct times t)
{
  if(t.sec < SEC_MIN || t.sec > SEC_MAX)
    t = (struct times){.sec = t.sec < 0 ? SEC_MIN : SEC_MAX};
  atomic_set_relaxed(stamp, (uint64_t)t.sec << NSEC_BITS | t.nsec);
}

struct times
stamp_get(const uint64_t *stamp)
{
  uint64_t word = atomic_get_relaxed(stamp);
  int64_t sec = word >> NSEC_BITS;

  if(sec > SEC_MAX)
    sec -= 1l << SEC_BITS;
  return (struct times){.sec = sec, .nsec = word & ((1u << NSEC_BITS) - 1)};
}

void
inode_changed(struct inode *ip)
{
  stamp_set(&ip->ctime, times_now());
}

void
inode_modified(struct inode *ip)
{
  struct times now = times_now();

  stamp_set(&ip->mtime, now);
  stamp_set(&ip->ctime, now);
}
