// sys_mlock.c -- locked memory: present now, and counted against RLIMIT_MEMLOCK.
// Typical: check the limit / flag the regions / touch every page.
// Must not know: how pages are kept.
#include "syscall/sys.h"

int
mlock_room(struct aspace *as, uint64_t bytes, int over)
{
  uint64_t limit = limit_of(RLIMIT_MEMLOCK), locked = atomic_get_relaxed(&as->locked_pages) << PAGE_SHIFT;

  if(limit == NEVER || cred_capable(CAP_IPC_LOCK))
    return 0;
  if(!limit)
    return -EPERM;
  return bytes > limit || locked > limit - bytes ? over : 0;
}

// Writing breaks copy-on-write at once, which only private memory wants (L17).
static int
populate_want(const struct region *r)
{
  if(r->prot & PROT_W && !(r->flags & REGION_SHARED))
    return PROT_W;
  return r->prot & (PROT_R | PROT_W) ? PROT_R : r->prot;
}

// The first mapped piece of [*lo, hi): [*lo, *end) and how to touch it. false: there is none.
static bool
populate_next(struct aspace *as, vaddr_t *lo, vaddr_t hi, vaddr_t *end, int *want)
{
  struct region *r;
  bool found;

  rw_read(&as->lock);
  r = region_find_from(as, *lo);
  found = r && *lo < hi && r->start < hi;
  if(found) {
    *lo = max(*lo, r->start);
    *end = min(hi, r->end);
    *want = populate_want(r);
  }
  rw_read_release(&as->lock);
  return found;
}

int
mlock_populate(struct aspace *as, vaddr_t lo, vaddr_t hi)
{
  vaddr_t end;
  int want, e = 0;

  for(; e == 0 && populate_next(as, &lo, hi, &end, &want); lo = end)
    e = want ? aspace_populate(as, lo, end, want) : -EACCES;
  return e;
}

// Everything that can be; only a fatal signal ends it.
static void
mlock_populate_all(struct aspace *as)
{
  vaddr_t lo = 0, end;
  int want, e = 0;

  for(; e != -EINTR && populate_next(as, &lo, USER_TOP, &end, &want); lo = end)
    e = want ? aspace_populate(as, lo, end, want) : 0;
}

// [addr, addr + len) in whole pages, any alignment (L01, L15).
static int
mlock_range(vaddr_t addr, uint64_t len, vaddr_t *lo, vaddr_t *hi)
{
  *lo = page_down(addr);
  *hi = *lo + page_up(len + (addr - *lo));
  return *hi < *lo || len > USER_TOP ? -EINVAL : 0;
}

// Bytes of [lo, hi) that are not locked yet.
static uint64_t
bytes_unlocked(struct aspace *as, vaddr_t lo, vaddr_t hi)
{
  uint64_t n = hi - lo;

  rw_read(&as->lock);
  for(struct region *r = region_find_from(as, lo); r && r->start < hi; r = region_next(r))
    if(r->flags & REGION_LOCKED)
      n -= min(hi, r->end) - max(lo, r->start);
  rw_read_release(&as->lock);
  return n;
}

// Too many regions is -EAGAIN to madvise, -ENOMEM here.
static int
mlock_flags(vaddr_t lo, vaddr_t hi, int set, int clear)
{
  int e = aspace_set_flags_until_hole(user_as(), lo, hi, set, clear);

  return e == -EAGAIN ? -ENOMEM : e;
}

static int64_t
mlock_do(vaddr_t addr, uint64_t len, bool touch)
{
  struct aspace *as = user_as();
  vaddr_t lo, hi;
  int e = mlock_range(addr, len, &lo, &hi);

  if(e == 0)
    e = mlock_room(as, bytes_unlocked(as, lo, hi), -ENOMEM); // L03
  if(e || lo == hi)
    return e;
  e = mlock_flags(lo, hi, REGION_LOCKED | (touch ? 0 : REGION_ONFAULT), touch ? REGION_ONFAULT : 0); // L02
  if(e)
    return e;
  e = touch ? mlock_populate(as, lo, hi) : 0;
  if(e == -ENOMEM)
    return -EAGAIN;                                               // no memory now
  return e == -EFAULT || e == -EACCES || e == -EIO ? -ENOMEM : e; // L13, L16
}

int64_t
sys_mlock(const uint64_t *a)
{
  return mlock_do(a[0], a[1], true);
}

int64_t
sys_mlock2(const uint64_t *a)
{
  if((uint32_t)a[2] & ~MLOCK_ONFAULT) // L07
    return -EINVAL;
  return mlock_do(a[0], a[1], !(a[2] & MLOCK_ONFAULT));
}

int64_t
sys_munlock(const uint64_t *a)
{
  vaddr_t lo, hi;
  int e = mlock_range(a[0], a[1], &lo, &hi);

  return e || lo == hi ? e : mlock_flags(lo, hi, 0, REGION_LOCKED | REGION_ONFAULT); // L05, L06
}

// What regions mapped from now on get (L09).
static void
mlock_future(struct aspace *as, int flags)
{
  rw_write(&as->lock);
  as->map_flags = (as->map_flags & ~(REGION_LOCKED | REGION_ONFAULT)) | flags;
  rw_write_release(&as->lock);
}

// Holes are no error here.
static int
mlock_everything(struct aspace *as, int set, int clear)
{
  int e = aspace_set_flags(as, 0, USER_TOP, set, clear);

  return e == -ENOMEM ? 0 : e;
}

int64_t
sys_mlockall(const uint64_t *a)
{
  struct aspace *as = user_as();
  uint32_t flags = a[0];
  int how = flags & MCL_ONFAULT ? REGION_LOCKED | REGION_ONFAULT : REGION_LOCKED, e;

  if(!flags || flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) || flags == MCL_ONFAULT) // L08
    return -EINVAL;
  e = mlock_room(as, 0, -ENOMEM);
  if(e == 0 && flags & MCL_CURRENT && as->total_pages << PAGE_SHIFT > limit_of(RLIMIT_MEMLOCK) &&
     !cred_capable(CAP_IPC_LOCK))
    e = -ENOMEM;
  if(e)
    return e;
  mlock_future(as, flags & MCL_FUTURE ? how : 0);
  if(flags & MCL_CURRENT)
    e = mlock_everything(as, how, REGION_LOCKED | REGION_ONFAULT);
  if(e == 0 && (flags & (MCL_CURRENT | MCL_ONFAULT)) == MCL_CURRENT)
    mlock_populate_all(as); // Linux does not report what could not be made present
  return e;
}

int64_t
sys_munlockall(const uint64_t *a)
{
  mlock_future(user_as(), 0);
  return mlock_everything(user_as(), 0, REGION_LOCKED | REGION_ONFAULT); // L14
}
