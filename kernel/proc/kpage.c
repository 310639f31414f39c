// kpage.c -- /proc/kpageflags: eight bytes for each frame of the machine, in Linux's form. With the frame's number from
// /proc/PID/pagemap a program sees whether a page of a file is dirty, being written, or was used lately.
// A look takes no lock: it is a snapshot, and old when it is read. Frames of anonymous memory and of the kernel are in use, and
// nothing more is known of them here.
// Must not know: whose a page is.
#include "fs/procfs/procfs.h"
#include "lib/atomic.h"
#include "proc/proc.h"

enum { ENTRY = sizeof(uint64_t), CHUNK = 64 };
enum kpf { // numbers of bits
  KPF_LOCKED = 0,
  KPF_ERROR = 1,
  KPF_REFERENCED = 2,
  KPF_UPTODATE = 3,
  KPF_DIRTY = 4,
  KPF_LRU = 5,
  KPF_ACTIVE = 6,
  KPF_BUDDY = 10,
  KPF_ZERO_PAGE = 24,
};

static uint64_t
flags_of(const struct page *pg)
{
  static const struct {
    unsigned flag;
    enum kpf kpf;
  } same[] = {
      {PAGE_BUSY, KPF_LOCKED}, {PAGE_ERROR, KPF_ERROR}, {PAGE_USED, KPF_REFERENCED}, {PAGE_UPTODATE, KPF_UPTODATE},
      {PAGE_DIRTY, KPF_DIRTY}, {PAGE_ON_LRU, KPF_LRU},  {PAGE_HOT, KPF_ACTIVE},
  };
  uint64_t bits = 0;

  if(pg == zero_page)
    return 1ull << KPF_ZERO_PAGE;
  if(atomic_get_relaxed(&pg->ref) == 0)
    return 1ull << KPF_BUDDY;
  for(size_t i = 0; i < array_len(same); i++)
    if(page_test(pg, same[i].flag))
      bits |= 1ull << same[i].kpf;
  return bits;
}

int64_t
kpageflags_read(int pid, struct uio *u, uint64_t *pos)
{
  uint64_t words[CHUNK], first, n, done = 0;
  size_t got;
  int err = 0;

  if(*pos % ENTRY || u->left % ENTRY)
    return -EINVAL;
  while(u->left > 0 && err == 0 && (first = *pos / ENTRY) < page_count) {
    n = min(min(u->left / ENTRY, page_count - first), (uint64_t)CHUNK);
    for(uint64_t i = 0; i < n; i++)
      words[i] = flags_of(page_array + first + i);
    got = uio_to(u, (const char *)words, n * ENTRY, &err);
    *pos += got;
    done += got;
    thread_relax();
  }
  return done ? (int64_t)done : err;
}
