// mmap.c -- mmap, munmap and msync over the kernel's.
// The kernel maps whole pages. A file's bytes from any offset on are had by mapping from the page below and returning an
// address inside it; so munmap and msync take every page that the bytes they are given lie in.
// The list of regions is this library's own. The kernel's has the program's code, heap and stack as well, and they are not
// to be unmapped by mistake: what is in no region of this list is an error.
// A file mapping may be longer than its file. The kernel's answer to a touch of such a page is a signal, and to a call with such a
// buffer an error; here there are zeros then, as xv6 would have read no byte. They are the program's own and reach no file.
#include "linux.h"
#include "user.h"
#include "mman.h"
#include "mmu.h"
#include "memlayout.h"

struct region {
  ulong lo, hi; // page aligned, half-open
  ulong filled; // from here on there is no file
  int prot;
};
static struct region *list;
static long count, room;

static struct region *
find(ulong at)
{
  for(struct region *r = list; r < list + count; r++)
    if(r->lo <= at && at < r->hi)
      return r;
  return 0;
}

// Is every page of [lo, hi) in a region?
static int
mapped(ulong lo, ulong hi)
{
  struct region *r;

  for(; lo < hi; lo = r->hi)
    if((r = find(lo)) == 0)
      return 0;
  return 1;
}

// Room in the list for one more. It lies outside of the heap, which is the program's.
static int
reserve(void)
{
  ulong old = room * sizeof(*list), new = old ? old * 2 : PGSIZE;
  long at;

  if(count < room)
    return 0;
  if(old == 0)
    at = __call(LINUX_MMAP, 0l, new, LINUX_READ_WRITE, LINUX_ANONYMOUS, -1l, 0l);
  else
    at = __call(LINUX_MREMAP, list, old, new, 1l); // it may move
  if(at < 0 && at >= -PGSIZE)
    return -1;
  list = (struct region *)at;
  room = new / sizeof(*list);
  return 0;
}

// A page that lies past the end of its file is touched.
static void
touched(int sig, void *info, void *context)
{
  ulong at = PGROUNDDOWN(((ulong *)info)[2]); // si_addr
  struct region *r = find(at);

  if(!r || at < r->filled || __call(LINUX_MMAP, at, (long)PGSIZE, r->prot, LINUX_ANONYMOUS | LINUX_FIXED, -1l, 0l) < 0)
    __signal(sig, 0); // the disk failed: the next try ends the program
}

long
__touch(const void *buf, int n)
{
  for(ulong at = PGROUNDDOWN((ulong)buf); count > 0 && at < (ulong)buf + n; at += PGSIZE) {
    struct region *r = find(at);

    if(r && at >= r->filled)
      (void)*(volatile char *)at;
  }
  return n;
}

// At the hint; else where an int can hold the address, which programs rely on; else anywhere.
static long
place(ulong hint, ulong length, int prot, int flags, int fd, long offset)
{
  long at = -1;

  if(hint && hint < KERNBASE && hint + length <= KERNBASE) {
    at = __call(LINUX_MMAP, hint, length, prot, flags, (long)fd, offset);
    if(at >= 0 && (ulong)at != hint) {
      __call(LINUX_MUNMAP, at, length);
      at = -1;
    }
  }
  if(at < 0)
    at = __call(LINUX_MMAP, 0l, length, prot, flags | LINUX_LOW, (long)fd, offset);
  if(at < 0)
    at = __call(LINUX_MMAP, 0l, length, prot, flags, (long)fd, offset);
  return at;
}

void *
mmap(void *addr, int length, int prot, int flags, int fd, int offset)
{
  int file = flags == MAP_FILE, rights = prot & PROT_WRITE ? LINUX_READ_WRITE : LINUX_READ_ONLY;
  ulong skip = file ? offset % PGSIZE : 0, size = PGROUNDUP(skip + length), end = 0;
  struct linux_stat s;
  long at;

  if(length <= 0 || offset < 0 || (file ? __call(LINUX_FSTAT, (long)fd, &s) < 0 : flags != MAP_ANONYMOUS || fd != -1) ||
     reserve() < 0)
    return (void *)-1;
  if(file)
    at = place(PGROUNDDOWN((ulong)addr), size, rights, LINUX_SHARED, fd, (long)offset - skip);
  else
    at = place(PGROUNDDOWN((ulong)addr), size, rights, LINUX_ANONYMOUS, -1, 0);
  if(at < 0)
    return (void *)-1;

  if(file && s.size > offset - skip)
    end = PGROUNDUP(s.size - (offset - skip));
  list[count++] = (struct region){at, at + size, at + end, rights};
  __signal(LINUX_SIGBUS, touched);
  return (void *)(at + skip);
}

// The pages that [addr, addr + length) lies in. -1: not all of them are mapped.
static int
pages(void *addr, uint length, ulong *lo, ulong *hi)
{
  *lo = PGROUNDDOWN((ulong)addr);
  *hi = PGROUNDUP((ulong)addr + length);
  return *lo < *hi && mapped(*lo, *hi) ? 0 : -1;
}

// Take [lo, hi) out of the list. A region that it cuts in two needs one more place.
static void
cut(ulong lo, ulong hi)
{
  for(long i = 0; i < count; i++) {
    struct region *r = &list[i], was = *r;

    if(was.hi <= lo || hi <= was.lo)
      continue;
    if(was.lo < lo && hi < was.hi) {
      list[count] = was;
      list[count++].lo = hi;
      r->hi = lo;
    } else if(was.lo < lo) {
      r->hi = lo;
    } else if(hi < was.hi) {
      r->lo = hi;
    } else {
      list[i--] = list[--count];
    }
  }
}

int
munmap(void *addr, uint length)
{
  ulong lo, hi;

  if(length == 0 || pages(addr, length, &lo, &hi) < 0 || reserve() < 0 || __call(LINUX_MUNMAP, lo, hi - lo) < 0)
    return -1;
  cut(lo, hi);
  return 0;
}

int
msync(void *addr, uint length)
{
  ulong lo, hi;

  return pages(addr, length, &lo, &hi) < 0 ? -1 : result(__call(LINUX_MSYNC, lo, hi - lo, LINUX_MS_SYNC));
}
