// falloc.c -- fallocate on tmpfs: pages set aside, so that no later store can lack room, and holes, which give it back.
//
// Setting aside: all pages that are missing are charged at once, or none (-ENOSPC) / one after the other is made
// (shm_reserve), behind the end of the file too if the size is to stay / the size grows at the end. If memory runs out
// in between, what was made stays and is charged: it shows nothing but zeros. Knows no names and no descriptors.
#include "fs/tmpfs/tmpfs.h"
#include "lib/atomic.h"

// Pages of [lo, hi) that hold data already. held: inode.lock (w), so none goes away
static uint64_t
pages_held(struct inode *ip, uint64_t lo, uint64_t hi)
{
  uint64_t n = 0;
  uintptr_t word;
  bool more;

  do {
    spin_acquire(&ip->obj.lock);
    more = radix_next(&ip->obj.pages, &lo, hi, &word);
    n += more && page_test((struct page *)word, PAGE_BACKED);
    spin_release(&ip->obj.lock);
    lo++;
    thread_relax();
  } while(more);
  return n;
}

static int
pages_reserve(struct inode *ip, uint64_t lo, uint64_t hi)
{
  int err = 0;

  for(; lo < hi && !err; lo++) {
    err = shm_reserve(&ip->obj, lo);
    if(!err && thread_interrupted(WAIT_KILLABLE))
      err = -EINTR;
    thread_relax();
  }
  return err;
}

static int
room(struct inode *ip, bool keep_size, uint64_t off, uint64_t end)
{
  uint64_t lo = off >> PAGE_SHIFT, hi = pages_of(end), missing;
  int err;

  if((ip->seals & SEAL_GROW) && end > ip->obj.size)
    return -EPERM;
  missing = hi - lo - pages_held(ip, lo, hi);
  if(missing > frames_total()) // though the file system may have no limit
    return -ENOSPC;
  err = tmpfs_reserve(tmpfs_of(ip->fs), missing);
  if(err)
    return err;
  err = pages_reserve(ip, lo, hi);
  tmpfs_charge(ip, missing);
  if(!err && !keep_size && end > ip->obj.size)
    mobj_truncate(&ip->obj, end);
  return err;
}

// Whole pages go, the rest is zeroed where it is.
static int
hole(struct inode *ip, uint64_t off, uint64_t end)
{
  uint64_t lo = page_up(off), hi = page_down(end);

  if(ip->seals & (SEAL_WRITE | SEAL_FUTURE_WRITE))
    return -EPERM;
  if(off < lo)
    mobj_zero(&ip->obj, off, min(lo, end));
  if(hi < end && hi >= lo)
    mobj_zero(&ip->obj, hi, end);
  mobj_punch(&ip->obj, lo >> PAGE_SHIFT, hi >> PAGE_SHIFT);
  tmpfs_charge(ip, 0);
  return 0;
}

int
tmpfs_fallocate(struct inode *ip, unsigned mode, uint64_t off, uint64_t len)
{
  if(mode & ~(FALLOC_KEEP_SIZE | FALLOC_PUNCH_HOLE))
    return -EOPNOTSUPP;
  if(mode & FALLOC_PUNCH_HOLE)
    return hole(ip, off, off + len);
  return room(ip, mode & FALLOC_KEEP_SIZE, off, off + len);
}
