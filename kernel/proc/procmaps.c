// procmaps.c -- /proc/PID/maps, smaps, smaps_rollup: the regions of an address space, and what of each is in memory.
// One region at a time: as.lock for reading is held while its figures are gathered, and not while text is made.
// A page counts as its slot's (anonymous) or its object's; nothing is faulted in and no mark is changed.
#include "fs/procfs/procfs.h"
#include "lib/atomic.h"
#include "lib/string.h"
#include "proc/proc.h"

enum { PATH_COLUMN = 73, ROLLUP_COLUMN = 24, KIB = 1024, PAGE_KIB = PAGE_SIZE / KIB };

struct usage { // pages; pss and locked in bytes
  uint64_t rss, pss, pss_dirty, pss_anon, pss_file, pss_shmem, locked;
  uint64_t shared_clean, shared_dirty, private_clean, private_dirty, anon, referenced;
};
struct snapshot { // of one region
  vaddr_t start, end;
  int prot, maxprot, flags;
  uint64_t pgoff;
  bool shared_obj;   // maps an object and is REGION_SHARED
  struct file *file; // referenced; 0: none
  struct usage use;
};

static void
count_page(struct usage *u, const struct page_state *st, bool shmem)
{
  uint64_t share = PAGE_SIZE / max(st->sharers, 1ull);

  u->rss++;
  u->pss += share;
  u->pss_dirty += st->dirty ? share : 0;
  *(st->anon ? &u->pss_anon : shmem ? &u->pss_shmem : &u->pss_file) += share;
  u->anon += st->anon;
  u->referenced += st->used;
  if(st->sharers > 1)
    *(st->dirty ? &u->shared_dirty : &u->shared_clean) += 1;
  else
    *(st->dirty ? &u->private_dirty : &u->private_clean) += 1;
}

static bool
is_shmem(const struct region *r)
{
  return r->obj && r->obj->ops->fill == shm_fill;
}

static void
count_region(struct aspace *as, struct region *r, struct usage *u) REQUIRES_READ(as->lock)
{
  bool shmem = is_shmem(r);
  uint64_t before = u->pss;
  struct page_state st;

  for(vaddr_t va = aspace_next(as, r->start, r->end); va < r->end; va = aspace_next(as, va + PAGE_SIZE, r->end)) {
    aspace_page_state(as, r, va, &st);
    if(st.present && !st.zero)
      count_page(u, &st, shmem);
    thread_relax();
  }
  if(r->flags & REGION_LOCKED)
    u->locked += u->pss - before;
}

uint64_t
procmaps_shmem(struct aspace *as)
{
  uint64_t n = 0;

  rw_read(&as->lock);
  for(struct region *r = region_find_from(as, 0); r; r = region_next(r))
    for(vaddr_t va = pmap_next(as->pmap, r->start, r->end); is_shmem(r) && va < r->end;
        va = pmap_next(as->pmap, va + PAGE_SIZE, r->end)) {
      struct spinlock *lock = aspace_slot_lock(as, va);

      spin_acquire(lock);
      n += pmap_peek(as->pmap, va, 0, 0) != 0 && anon_get(as, va) == 0;
      spin_release(lock);
      thread_relax();
    }
  rw_read_release(&as->lock);
  return n;
}

// The first region that ends above `at`: false if there is none.
static bool
snapshot(struct aspace *as, vaddr_t at, bool usage, struct snapshot *s)
{
  struct region *r;

  memset(s, 0, sizeof(*s));
  rw_read(&as->lock);
  r = region_find_from(as, at);
  if(r) {
    s->start = r->start;
    s->end = r->end;
    s->prot = r->prot;
    s->maxprot = r->maxprot;
    s->flags = r->flags;
    s->pgoff = r->pgoff;
    s->shared_obj = r->obj && (r->flags & REGION_SHARED);
    s->file = r->tag ? file_get(r->tag) : 0;
    if(usage)
      count_region(as, r, &s->use);
  }
  rw_read_release(&as->lock);
  return r != 0;
}

static const char *
name_of(const struct snapshot *s, char *buf, size_t n)
{
  int64_t len;

  if(s->file && s->file->dentry) {
    len = proclink_path(s->file->dentry, buf, n - 1);
    if(len >= 0) {
      buf[len] = 0;
      return buf;
    }
  }
  if(s->shared_obj)
    return "/dev/zero (deleted)"; // Linux's name for shared anonymous memory
  if(s->flags & REGION_HEAP)
    return "[heap]";
  return s->flags & REGION_STACK ? "[stack]" : "";
}

static void
region_line(struct textbuf *t, const struct snapshot *s, char *buf)
{
  enum { MAJOR_SHIFT = 8, MINOR_MASK = 0xff };
  struct inode *ip = s->file ? s->file->inode : 0;
  uint64_t dev = ip && ip->fs ? ip->fs->dev : 0, from = t->n, off = s->file || s->shared_obj ? s->pgoff * PAGE_SIZE : 0;
  const char *name = name_of(s, buf, PATH_MAX);

  text(t, "%08lx-%08lx %c%c%c%c %08lx %02lx:%02lx %lu ", s->start, s->end, s->prot & PROT_R ? 'r' : '-',
       s->prot & PROT_W ? 'w' : '-', s->prot & PROT_X ? 'x' : '-', s->flags & REGION_SHARED ? 's' : 'p', off,
       dev >> MAJOR_SHIFT, dev & MINOR_MASK, ip ? ip->ino : 0);
  if(*name) {
    while(t->n - from < PATH_COLUMN && !t->failed)
      text(t, " ");
    text(t, "%s", name);
  }
  text(t, "\n");
}

// Of kinds of memory that there are not: huge pages, swap, pages freed later.
static const char *const never_any[] = {"LazyFree:",       "AnonHugePages:",   "ShmemPmdMapped:", "FilePmdMapped:",
                                        "Shared_Hugetlb:", "Private_Hugetlb:", "Swap:",           "SwapPss:"};

static void
kib(struct textbuf *t, const char *name, uint64_t k)
{
  text(t, "%-16s%8lu kB\n", name, k);
}

static void
vm_flags(struct textbuf *t, const struct snapshot *s)
{
  const struct {
    bool set;
    const char *name;
  } f[] = {
      {s->prot & PROT_R, "rd"},
      {s->prot & PROT_W, "wr"},
      {s->prot & PROT_X, "ex"},
      {s->flags & REGION_SHARED, "sh"},
      {s->maxprot & PROT_R, "mr"},
      {s->maxprot & PROT_W, "mw"},
      {s->maxprot & PROT_X, "me"},
      {s->flags & REGION_SHARED, "ms"},
      {s->flags & REGION_GROWSDOWN, "gd"},
      {s->flags & REGION_LOCKED, "lo"},
      {s->flags & REGION_ONFAULT, "lf"},
      {s->flags & REGION_SEQ, "sr"},
      {s->flags & REGION_RAND, "rr"},
      {s->flags & REGION_DONTFORK, "dc"},
      {s->flags & REGION_ACCOUNT, "ac"},
      {s->flags & REGION_NORESERVE, "nr"},
      {s->flags & REGION_WIPEONFORK, "wf"},
      {s->flags & REGION_DONTDUMP, "dd"},
      {!(s->flags & REGION_CLEAN), "sd"},
      {s->flags & REGION_SEALED, "sl"},
  };

  text(t, "VmFlags:");
  for(size_t i = 0; i < array_len(f); i++)
    if(f[i].set)
      text(t, " %s", f[i].name);
  text(t, "\n");
}

// What smaps and smaps_rollup say alike; `rollup` has three lines more.
static void
show_usage(struct textbuf *t, const struct usage *u, bool rollup)
{
  kib(t, "Rss:", u->rss * PAGE_KIB);
  kib(t, "Pss:", u->pss / KIB);
  kib(t, "Pss_Dirty:", u->pss_dirty / KIB);
  if(rollup) {
    kib(t, "Pss_Anon:", u->pss_anon / KIB);
    kib(t, "Pss_File:", u->pss_file / KIB);
    kib(t, "Pss_Shmem:", u->pss_shmem / KIB);
  }
  kib(t, "Shared_Clean:", u->shared_clean * PAGE_KIB);
  kib(t, "Shared_Dirty:", u->shared_dirty * PAGE_KIB);
  kib(t, "Private_Clean:", u->private_clean * PAGE_KIB);
  kib(t, "Private_Dirty:", u->private_dirty * PAGE_KIB);
  kib(t, "Referenced:", u->referenced * PAGE_KIB);
  kib(t, "Anonymous:", u->anon * PAGE_KIB);
  for(size_t i = 0; i < array_len(never_any); i++)
    kib(t, never_any[i], 0);
  kib(t, "Locked:", u->locked / KIB);
}

static void
region_usage(struct textbuf *t, const struct snapshot *s)
{
  kib(t, "Size:", (s->end - s->start) / KIB);
  kib(t, "KernelPageSize:", PAGE_KIB);
  kib(t, "MMUPageSize:", PAGE_KIB);
  show_usage(t, &s->use, false);
  text(t, "THPeligible:    0\n");
  vm_flags(t, s);
}

static int
show_regions(struct textbuf *t, int pid, bool usage)
{
  struct proc *p = proc_find(pid);
  struct aspace *as = p ? proc_aspace(p) : 0;
  char *buf = kzalloc(PATH_MAX);
  struct snapshot s;

  if(p)
    proc_put(p);
  for(vaddr_t at = 0; as && buf && !t->failed && snapshot(as, at, usage, &s); at = s.end) {
    region_line(t, &s, buf);
    if(usage)
      region_usage(t, &s);
    if(s.file)
      file_put(s.file);
    thread_relax();
  }
  kfree(buf);
  if(as)
    aspace_put(as);
  return p == 0 ? -ESRCH : buf ? 0 : -ENOMEM;
}

int
procmaps_maps(struct textbuf *t, int pid)
{
  return show_regions(t, pid, false);
}

int
procmaps_smaps(struct textbuf *t, int pid)
{
  return show_regions(t, pid, true);
}

// All regions as one.
int
procmaps_rollup(struct textbuf *t, int pid)
{
  struct proc *p = proc_find(pid);
  struct aspace *as = p ? proc_aspace(p) : 0;
  vaddr_t lo = 0, hi = 0;
  struct usage use = {0};

  if(p)
    proc_put(p);
  if(as == 0)
    return p ? 0 : -ESRCH;
  rw_read(&as->lock);
  for(struct region *r = region_find_from(as, 0); r; r = region_next(r)) {
    lo = lo ? lo : r->start;
    hi = r->end;
    count_region(as, r, &use);
  }
  rw_read_release(&as->lock);
  aspace_put(as);
  text(t, "%08lx-%08lx ---p 00000000 00:00 0 %*s[rollup]\n", lo, hi, ROLLUP_COLUMN, "");
  show_usage(t, &use, true);
  return 0;
}
