// pagemap.c -- /proc/PID/pagemap, eight bytes for each page of a program's addresses in Linux's form, and clear_refs, which
// makes the process start anew with what pages it touched or stored to.
// A page counts as present if its slot holds one or an entry shows one. Frame numbers are for root alone.
// Must not know: how stores are noticed (mm/softdirty.c).
#include "fs/procfs/procfs.h"
#include "lib/atomic.h"
#include "proc/proc.h"

#define PM_PRESENT   (1ull << 63)
#define PM_OBJECT    (1ull << 61) // a file's page or shared anonymous memory
#define PM_EXCLUSIVE (1ull << 56)
#define PM_SOFT      (1ull << 55)
enum { ENTRY = sizeof(uint64_t), CHUNK = PAGE_SIZE / ENTRY };

static uint64_t
entry_of(struct aspace *as, struct region *r, vaddr_t va, bool numbers) REQUIRES_READ(as->lock)
{
  struct page_state st;
  uint64_t e;

  aspace_page_state(as, r, va, &st);
  e = st.soft_dirty ? PM_SOFT : 0;
  if(!st.present)
    return e;
  e |= PM_PRESENT | (numbers ? st.number : 0);
  if(!st.anon && !st.zero)
    e |= PM_OBJECT;
  return st.sharers == 1 ? e | PM_EXCLUSIVE : e;
}

static void
entries(struct aspace *as, vaddr_t va, uint64_t *out, int n, bool numbers)
{
  struct region *r;

  rw_read(&as->lock);
  for(int i = 0; i < n; i++, va += PAGE_SIZE) {
    r = region_find(as, va);
    out[i] = r ? entry_of(as, r, va, numbers) : 0;
  }
  rw_read_release(&as->lock);
}

static int64_t
read_entries(struct aspace *as, struct uio *u, uint64_t *pos, uint64_t *buf)
{
  bool numbers = cred_capable(CAP_SYS_ADMIN);
  uint64_t end = (USER_TOP >> PAGE_SHIFT) * ENTRY, done = 0, n;
  size_t got;
  int err = 0;

  while(u->left > 0 && *pos < end && err == 0) {
    n = min(min(u->left, end - *pos), (uint64_t)PAGE_SIZE);
    entries(as, *pos / ENTRY << PAGE_SHIFT, buf, n / ENTRY, numbers);
    got = uio_to(u, buf, n, &err);
    *pos += got;
    done += got;
    thread_relax();
  }
  return done ? (int64_t)done : err;
}

int64_t
pagemap_read(int pid, struct uio *u, uint64_t *pos)
{
  struct proc *p;
  struct aspace *as;
  struct page *frame;
  int64_t r;

  if(*pos % ENTRY || u->left % ENTRY)
    return -EINVAL;
  p = proc_find(pid);
  if(p == 0)
    return -ESRCH;
  as = proc_aspace(p);
  proc_put(p);
  if(as == 0)
    return 0;
  while((frame = frame_try(0)) == 0 && (r = frame_wait()) == 0)
    ;
  if(frame) {
    r = read_entries(as, u, pos, page_va(frame));
    page_put(frame);
  }
  aspace_put(as);
  return r;
}

enum clear { CLEAR_ALL = 1, CLEAR_ANON, CLEAR_OBJECTS, CLEAR_SOFT, CLEAR_PEAK };

static void
clear(struct aspace *as, enum clear what)
{
  switch(what) {
  case CLEAR_ALL: aspace_forget_use(as, 0, USER_TOP, USE_OF_ALL); break;
  case CLEAR_ANON: aspace_forget_use(as, 0, USER_TOP, USE_OF_ANON); break;
  case CLEAR_OBJECTS: aspace_forget_use(as, 0, USER_TOP, USE_OF_OBJECTS); break;
  case CLEAR_SOFT: aspace_soft_clear(as); break;
  case CLEAR_PEAK:
    __atomic_store_n(&as->peak_rss, 0, __ATOMIC_RELAXED);
    aspace_rss(as);
    break;
  }
}

int
clear_refs_store(int pid, const char *s, size_t n)
{
  struct proc *p;
  struct aspace *as;

  if(n > 1 && s[n - 1] == '\n')
    n--;
  if(n != 1 || s[0] < '0' + CLEAR_ALL || s[0] > '0' + CLEAR_PEAK)
    return -EINVAL;
  p = proc_find(pid);
  if(p == 0)
    return -ESRCH;
  as = proc_aspace(p);
  proc_put(p);
  if(as) {
    clear(as, s[0] - '0');
    aspace_put(as);
  }
  return 0;
}
