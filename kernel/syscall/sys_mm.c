// sys_mm.c -- memory calls: (addr, len, fd) become [lo, hi) and an object here, and nowhere below.
// Typical: check in Linux's order of errors / one aspace_ call.
// The rules' ids (M, P, U, Y, R, A, C, B) are named where one decides, as in the tests. Must not know: pages, page tables.
#include "syscall/sys.h"

struct mapping { // one mmap(2) on its way
  struct map_request rq;
  uint32_t flags; // MAP_*
  bool claimed;   // the object must be told when it is mapped: mobj_unclaim_write
};

enum { MAX_FILE_PAGE = INT64_MAX >> PAGE_SHIFT };

// Length and offset. M01, M28, M29, M10.
static int
mmap_size(struct mapping *m, uint64_t len)
{
  if(!len)
    return -EINVAL;
  m->rq.len = page_up(len);
  if(!m->rq.len || m->rq.len > USER_TOP)
    return -ENOMEM;
  return 0;
}

// Where. M06, M07, M30, P02, P07.
static int
mmap_place(struct mapping *m, vaddr_t addr)
{
  m->rq.addr = addr;
  if(m->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
    m->rq.how = m->flags & MAP_FIXED_NOREPLACE ? MAP_EXACT_EMPTY : MAP_EXACT;
    if(addr > USER_TOP - m->rq.len)
      return -ENOMEM;
    if(!page_aligned(addr))
      return -EINVAL;
    // These two aspace_map finds too, but in Linux they come before anything is said of the file.
    if(addr < vm_mmap_min)
      return -EPERM;
    return m->rq.how == MAP_EXACT_EMPTY && !aspace_range_free(user_as(), addr, addr + m->rq.len) ? -EEXIST : 0;
  }
  m->rq.how = m->flags & MAP_32BIT ? MAP_LOW32 : MAP_HINT;
  m->rq.addr = page_up(page_down(addr) && addr < vm_mmap_min ? vm_mmap_min : addr);
  if(m->rq.addr > USER_TOP - m->rq.len)
    m->rq.addr = 0; // a hint that cannot be
  return 0;
}

// What the way the file was opened allows. M15 to M18, M22, M25.
static int
mmap_access(struct mapping *m, struct file *f)
{
  bool may_read = (f->flags & O_ACCMODE) != O_WRONLY, may_write = (f->flags & O_ACCMODE) != O_RDONLY;

  if(m->rq.flags & REGION_SHARED && !may_write) {
    if(m->rq.prot & PROT_WRITE)
      return -EACCES;
    m->rq.maxprot &= ~PROT_WRITE;
  }
  if(!may_read)
    return -EACCES;
  if(f->inode && f->inode->fs && f->inode->fs->noexec) {
    if(m->rq.prot & PROT_EXEC)
      return -EPERM;
    m->rq.maxprot &= ~PROT_EXEC;
  }
  return 0;
}

// The object behind a file mapping. M03, M04, M09, M10, M33, M50.
static int
mmap_file(struct mapping *m, struct file *f)
{
  int e;

  if(m->rq.len >> PAGE_SHIFT > MAX_FILE_PAGE || m->rq.pgoff > MAX_FILE_PAGE - (m->rq.len >> PAGE_SHIFT))
    return -EOVERFLOW;
  switch(m->flags & MAP_TYPE) {
  case MAP_SHARED_VALIDATE:
    if(m->flags & ~MAP_KNOWN)
      return -EOPNOTSUPP;
    m->rq.flags |= REGION_SHARED;
    break;
  case MAP_SHARED: m->rq.flags |= REGION_SHARED; break;
  case MAP_PRIVATE: break;
  default: return -EINVAL;
  }
  e = mmap_access(m, f);
  if(e)
    return e;
  e = file_mmap(f, m->rq.flags & REGION_SHARED, &m->rq.obj);
  if(e)
    return e;
  if(m->flags & MAP_GROWSDOWN)
    e = -EINVAL;
  else if(m->rq.obj && m->rq.flags & REGION_SHARED)
    e = seal_map(f, m->rq.obj, m->rq.prot, &m->rq.maxprot, &m->claimed);
  if(e && m->rq.obj)
    mobj_put(m->rq.obj);
  if(m->rq.obj)
    m->rq.tag = f;
  return e;
}

static int
mmap_shared(struct mapping *m)
{
  bool promise = !(m->flags & MAP_NORESERVE) || atomic_get_relaxed(&vm_overcommit) == OVERCOMMIT_NEVER;

  if(promise && !commit_allows(0, m->rq.len >> PAGE_SHIFT)) // O03
    return -ENOMEM;
  m->rq.obj = shm_create(m->rq.len, promise);
  return m->rq.obj ? 0 : -ENOMEM;
}

// Anonymous memory, and files that are nothing else (/dev/zero, M24). M02, M14, M33.
static int
mmap_anonymous(struct mapping *m)
{
  m->rq.pgoff = 0;
  switch(m->flags & MAP_TYPE) {
  case MAP_PRIVATE:
    if(m->flags & MAP_GROWSDOWN)
      m->rq.flags |= REGION_GROWSDOWN;
    return 0;
  case MAP_SHARED:
  case MAP_SHARED_VALIDATE: // only /dev/zero comes here with it
    if(m->flags & MAP_GROWSDOWN)
      return -EINVAL;
    m->rq.flags |= REGION_SHARED;
    return mmap_shared(m);
  default: return -EINVAL;
  }
}

static int
mmap_object(struct mapping *m, struct file *f)
{
  int e;

  if(f) {
    e = mmap_file(m, f);
    if(e || m->rq.obj)
      return e;
  } else if((m->flags & MAP_TYPE) == MAP_SHARED_VALIDATE)
    return -EINVAL;
  return mmap_anonymous(m);
}

// Everything up to the point where the address space changes.
static int
mmap_prepare(struct mapping *m, const uint64_t *a, struct file *f)
{
  int e;

  m->rq.prot = a[2] & (PROT_READ | PROT_WRITE | PROT_EXEC); // M26: others are ignored
  m->rq.maxprot = PROT_READ | PROT_WRITE | PROT_EXEC;
  m->rq.pgoff = a[5] >> PAGE_SHIFT;
  if((e = mmap_size(m, a[1])) != 0 || (e = mmap_place(m, a[0])) != 0)
    return e;
  if(m->flags & MAP_NORESERVE)
    m->rq.flags |= REGION_NORESERVE;
  if(user_as()->map_flags & REGION_LOCKED) // L09
    m->flags |= MAP_LOCKED;
  if(m->flags & MAP_LOCKED) { // M35
    e = mlock_room(user_as(), m->rq.len, -EAGAIN);
    if(e)
      return e;
    m->rq.flags |= REGION_LOCKED;
  }
  return mmap_object(m, f);
}

static int64_t
mmap_commit(struct mapping *m)
{
  struct aspace *as = user_as();
  vaddr_t at;
  int e = aspace_map(as, &m->rq, &at);

  if(m->claimed)
    mobj_unclaim_write(m->rq.obj);
  if(m->rq.obj)
    mobj_put(m->rq.obj); // the region has its own
  if(e)
    return e;
  // M36: what cannot be made present now is left to the faults.
  if((m->flags & MAP_LOCKED && !(as->map_flags & REGION_ONFAULT)) ||
     (m->flags & (MAP_POPULATE | MAP_NONBLOCK)) == MAP_POPULATE)
    mlock_populate(as, at, at + m->rq.len);
  return at;
}

int64_t
sys_mmap(const uint64_t *a)
{
  struct mapping m = {.flags = a[3]};
  struct file *f = 0;
  int64_t r;

  if(!page_aligned(a[5])) // M08
    return -EINVAL;
  if(!(m.flags & MAP_ANONYMOUS)) {
    f = fd_file(a[4]); // M12, M20, M46
    if(!f)
      return -EBADF;
  }
  if(m.flags & MAP_HUGETLB) // M34: there are none
    r = f ? -EINVAL : -ENOMEM;
  else
    r = mmap_prepare(&m, a, f);
  if(r == 0)
    r = mmap_commit(&m);
  if(f)
    file_put(f);
  return r;
}

int64_t
sys_munmap(const uint64_t *a)
{
  vaddr_t lo = a[0];
  uint64_t len = page_up(a[1]);

  if(!page_aligned(lo) || !user_range(lo, a[1]) || !len) // U01 to U03
    return -EINVAL;
  return aspace_unmap(user_as(), lo, lo + len);
}

int64_t
sys_mprotect(const uint64_t *a)
{
  uint32_t prot = a[2], grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
  vaddr_t lo = a[0], hi;

  prot &= ~grows;
  if(grows == (PROT_GROWSDOWN | PROT_GROWSUP) || !page_aligned(lo)) // R05, R01
    return -EINVAL;
  if(!a[1]) // R02
    return 0;
  hi = lo + page_up(a[1]);
  if(hi <= lo) // R07
    return -ENOMEM;
  if(prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM) || grows & PROT_GROWSUP) // R06
    return -EINVAL;
  return aspace_protect(user_as(), lo, hi, prot & ~PROT_SEM, grows & PROT_GROWSDOWN);
}

// Y07: is any page of [lo, hi) locked?
static bool
range_locked(struct aspace *as, vaddr_t lo, vaddr_t hi)
{
  bool locked = false;

  rw_read(&as->lock);
  for(struct region *r = region_find_from(as, lo); r && r->start < hi && !locked; r = region_next(r))
    locked = r->flags & REGION_LOCKED;
  rw_read_release(&as->lock);
  return locked;
}

int64_t
sys_msync(const uint64_t *a)
{
  uint32_t flags = a[2];
  vaddr_t lo = a[0], hi = lo + page_up(a[1]);

  if(flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC) || !page_aligned(lo)) // Y03, Y01
    return -EINVAL;
  if(flags & MS_ASYNC && flags & MS_SYNC) // Y02
    return -EINVAL;
  if(hi < lo) // Y13
    return -ENOMEM;
  if(hi == lo) // Y06
    return 0;
  if(flags & MS_INVALIDATE && range_locked(user_as(), lo, hi))
    return -EBUSY;
  return aspace_sync(user_as(), lo, hi, flags & MS_SYNC);
}

// The arithmetic of a new place. X11, X12.
static bool
remap_place_valid(vaddr_t old, uint64_t old_len, vaddr_t new, uint64_t new_len)
{
  return page_aligned(new) && user_range(new, new_len) && !(old < new + new_len &&new < old + old_len);
}

int64_t
sys_mremap(const uint64_t *a)
{
  uint64_t old = a[0], old_len = page_up(a[1]), new_len = page_up(a[2]), place = a[4];
  uint32_t flags = a[3];
  vaddr_t at;
  int e;

  if(flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)) // X06
    return -EINVAL;
  if(flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) && !(flags & MREMAP_MAYMOVE)) // X05, X15
    return -EINVAL;
  if(flags & MREMAP_DONTUNMAP && old_len != new_len)
    return -EINVAL;
  if(!page_aligned(old) || !new_len || !user_range(old, 0)) // X07, X08
    return -EINVAL;
  if(flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) && !remap_place_valid(old, old_len, place, new_len))
    return -EINVAL;
  if(old_len > USER_TOP - old) // X09
    return -EFAULT;
  if(new_len > USER_TOP)
    return -ENOMEM;
  e = aspace_remap(user_as(), old, old_len, new_len, flags, place, &at);
  return e ? e : (int64_t)at;
}

enum { MADV_LAST_POSIX = 4, MADV_FIRST_LINUX = 8, MADV_LAST = 25 };

int
madvise_range(struct aspace *as, vaddr_t lo, uint64_t len, int advice)
{
  vaddr_t hi = lo + page_up(len);

  if(advice < 0 || advice > MADV_LAST || (advice > MADV_LAST_POSIX && advice < MADV_FIRST_LINUX)) // A02
    return -EINVAL;
  if(!page_aligned(lo) || (len && !page_up(len)) || hi < lo) // A01, A04
    return -EINVAL;
  if(hi == lo) // A03
    return 0;
  return aspace_advise(as, lo, hi, advice);
}

int64_t
sys_madvise(const uint64_t *a)
{
  return madvise_range(user_as(), a[0], a[1], a[2]);
}

// One page of answers at a time.
static int
mincore_run(vaddr_t lo, vaddr_t hi, vaddr_t vec, uint8_t *buf)
{
  int e = 0;

  while(lo < hi && e == 0) {
    uint64_t n = min((hi - lo) >> PAGE_SHIFT, PAGE_SIZE);

    e = aspace_resident(user_as(), lo, lo + (n << PAGE_SHIFT), buf);
    if(e == 0)
      e = user_out(vec, buf, n);
    lo += n << PAGE_SHIFT;
    vec += n;
    thread_relax();
  }
  return e;
}

int64_t
sys_mincore(const uint64_t *a)
{
  vaddr_t lo = a[0];
  struct page *frame;
  int e;

  if(!page_aligned(lo)) // C01
    return -EINVAL;
  if(!user_range(lo, a[1])) // C08
    return -ENOMEM;
  if(!user_range(a[2], page_up(a[1]) >> PAGE_SHIFT)) // C03
    return -EFAULT;
  e = user_frame(&frame);
  if(e)
    return e;
  e = mincore_run(lo, lo + page_up(a[1]), a[2], page_va(frame));
  page_put(frame);
  return e;
}

int64_t
sys_mseal(const uint64_t *a)
{
  struct aspace *as = user_as();
  vaddr_t lo = a[0], hi = lo + page_up(a[1]);
  bool whole;

  if(a[2] || !page_aligned(lo) || (a[1] && !page_up(a[1])) || hi < lo)
    return -EINVAL;
  if(hi == lo)
    return 0;
  rw_read(&as->lock);
  whole = regions_cover(as, lo, hi);
  rw_read_release(&as->lock);
  return whole && aspace_set_flags(as, lo, hi, REGION_SEALED, 0) == 0 ? 0 : -ENOMEM;
}

int64_t
sys_brk(const uint64_t *a)
{
  return aspace_brk(user_as(), a[0]);
}
