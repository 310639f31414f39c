// procmaps.c -- /proc/PID/maps and smaps: the regions of an address space, and what of each is in memory.
// One region at a time: as.lock for reading is held while its figures are gathered, and not while text is made.
// A page counts as its slot's (anonymous) or its object's; nothing is faulted in and no mark is changed.
#include "fs/procfs/procfs.h"
#include "lib/atomic.h"
#include "lib/string.h"
#include "proc/proc.h"

enum { PATH_COLUMN = 73, KIB = 1024, PAGE_KIB = PAGE_SIZE / KIB };

struct usage { // pages; pss in bytes
  uint64_t rss, pss, shared_clean, shared_dirty, private_clean, private_dirty, anon, swap, referenced;
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
count_page(struct usage *u, bool anon, uint64_t sharers, bool dirty)
{
  u->rss++;
  u->pss += PAGE_SIZE / max(sharers, 1ull);
  u->anon += anon;
  if(sharers > 1)
    *(dirty ? &u->shared_dirty : &u->shared_clean) += 1;
  else
    *(dirty ? &u->private_dirty : &u->private_clean) += 1;
}

// Pages of [lo, hi), within one stretch, whose lock is held.
static void
count_stretch(struct aspace *as, vaddr_t lo, vaddr_t hi, uint64_t mappers, struct usage *u)
{
  for(vaddr_t va = lo; va < hi; va += PAGE_SIZE) {
    struct page *pg = anon_get(as, va);

    if(pg) {
      count_page(u, true, atomic_get_relaxed(&pg->ref), true);
      continue;
    }
    pg = pmap_peek(as->pmap, va, 0, 0);
    if(pg && pg != zero_page)
      count_page(u, false, mappers, page_test(pg, PAGE_DIRTY));
  }
}

static uint64_t
count_mappers(struct mobj *obj)
{
  uint64_t n = 0;

  sleep_acquire(&obj->maplock);
  list_for_each(it, &obj->mappers)
    n++;
  sleep_release(&obj->maplock);
  return n;
}

static void
count_region(struct aspace *as, struct region *r, struct usage *u) REQUIRES_READ(as->lock)
{
  uint64_t mappers = r->obj ? count_mappers(r->obj) : 1;

  for(vaddr_t va = aspace_next(as, r->start, r->end); va < r->end; va = aspace_next(as, va, r->end)) {
    vaddr_t hi = min((va & ~(STRETCH - 1)) + STRETCH, r->end);
    struct spinlock *l = aspace_slot_lock(as, va);

    spin_acquire(l);
    count_stretch(as, va, hi, mappers, u);
    spin_release(l);
    va = hi;
    thread_relax();
  }
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
      {s->flags & REGION_SEQ, "sr"},
      {s->flags & REGION_RAND, "rr"},
      {s->flags & REGION_DONTFORK, "dc"},
      {s->flags & REGION_NORESERVE, "nr"},
      {s->flags & REGION_WIPEONFORK, "wf"},
      {s->flags & REGION_DONTDUMP, "dd"},
      {s->flags & REGION_SEALED, "sl"},
  };

  text(t, "VmFlags:");
  for(size_t i = 0; i < array_len(f); i++)
    if(f[i].set)
      text(t, " %s", f[i].name);
  text(t, "\n");
}

static void
region_usage(struct textbuf *t, const struct snapshot *s)
{
  const struct usage *u = &s->use;

  kib(t, "Size:", (s->end - s->start) / KIB);
  kib(t, "KernelPageSize:", PAGE_KIB);
  kib(t, "MMUPageSize:", PAGE_KIB);
  kib(t, "Rss:", u->rss * PAGE_KIB);
  kib(t, "Pss:", u->pss / KIB);
  kib(t, "Shared_Clean:", u->shared_clean * PAGE_KIB);
  kib(t, "Shared_Dirty:", u->shared_dirty * PAGE_KIB);
  kib(t, "Private_Clean:", u->private_clean * PAGE_KIB);
  kib(t, "Private_Dirty:", u->private_dirty * PAGE_KIB);
  kib(t, "Referenced:", u->rss * PAGE_KIB);
  kib(t, "Anonymous:", u->anon * PAGE_KIB);
  kib(t, "LazyFree:", 0);
  kib(t, "AnonHugePages:", 0);
  kib(t, "Swap:", 0);
  kib(t, "SwapPss:", 0);
  kib(t, "Locked:", s->flags & REGION_LOCKED ? u->pss / KIB : 0);
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
