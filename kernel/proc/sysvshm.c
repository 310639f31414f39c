// sysvshm.c -- System V shared memory: a table of segments, each an unnamed file on tmpfs that programs map by number.
//
// A segment lives until it was removed and nobody is attached. Who is attached is counted by regions: each carries the
// segment's file as its tag, and fs/file.c tells us when a region comes to have it or gives it up (shm_mapped), so fork,
// exec, exit, munmap and a split need nothing here. While shmat works it counts as one more.
// Typical: shmget: seg_find, or seg_new / shmat: seg_hold, aspace_map, seg_drop / shmctl: seg_find and a change.
// Must not know how a program's structures look (syscall/sys_shm.c).
// Lock keys: (H) table.lock  (c) constant
#include "proc/sysvshm.h"
#include "core/time.h"
#include "lib/atomic.h"
#include "lib/fmt.h"
#include "proc/proc.h"

enum { MODE_BITS = 0777, SEQ_MASK = (1 << 16) - 1, INDEX_MASK = SHM_IDS_MOST - 1, CAP_IPC_OWNER = 15 };
enum { MAY_OWNER_SHIFT = 6, MAY_GROUP_SHIFT = 3, MAY_BITS = 7 };
enum { PERM_READ = 0444, PERM_WRITE = 0222, PERM_EXEC = 0111 };
#define LIMIT_DEFAULT (UINT64_MAX - (1ull << 24))

struct segment {
  struct shm_state st; // (H) but for rss; id, cuid, cgid, size, cpid: (c)
  struct file *file;   // (c) referenced
  uint32_t locker;     // (H) whose RLIMIT_MEMLOCK it counts against while SHM_LOCKED
};

static struct {
  struct spinlock lock;
  struct radix by_index; // (H) struct segment *
  int used;              // (H)
  uint64_t pages;        // (H) of all
  unsigned seq;          // (H) of the next
} table;

uint64_t shm_max_bytes = LIMIT_DEFAULT, shm_max_pages = LIMIT_DEFAULT, shm_max_ids = 4096;

static int64_t
now(void)
{
  return clock_wall() / NSEC;
}

// ---- permission

static bool
in_group(const struct cred *cr, uint32_t gid)
{
  bool in = cr->egid == gid;

  for(int i = 0; i < cr->ngroups; i++)
    in |= cr->groups[i] == gid;
  return in;
}

// May the caller do what the bits of `want`, in any of their three places, ask for?
static bool
permitted(const struct shm_state *st, unsigned want)
{
  const struct cred *cr = thread_self()->cred;
  unsigned granted = st->mode;

  want |= want >> MAY_OWNER_SHIFT | want >> MAY_GROUP_SHIFT;
  if(cr->euid == st->cuid || cr->euid == st->uid)
    granted >>= MAY_OWNER_SHIFT;
  else if(in_group(cr, st->cgid) || in_group(cr, st->gid))
    granted >>= MAY_GROUP_SHIFT;
  return !(want & ~granted & MAY_BITS) || cred_capable(CAP_IPC_OWNER);
}

static bool
owned(const struct shm_state *st)
{
  uint32_t euid = thread_self()->cred->euid;

  return euid == st->uid || euid == st->cuid;
}

// ---- the table. held: table.lock

static struct segment *
seg_at(uint64_t index)
{
  return (struct segment *)radix_get(&table.by_index, index);
}

static struct segment *
seg_find(int id)
{
  struct segment *s = id < 0 ? 0 : seg_at(id & INDEX_MASK);

  return s && s->st.id == id ? s : 0;
}

static struct segment *
seg_next(uint64_t *index)
{
  uintptr_t word;

  return radix_next(&table.by_index, index, SHM_IDS_MOST, &word) ? (struct segment *)word : 0;
}

static struct segment *
seg_of_key(int key)
{
  struct segment *s;

  for(uint64_t i = 0; (s = seg_next(&i)) != 0; i++)
    if(s->st.key == key)
      return s;
  return 0;
}

static void
seg_take_out(struct segment *s)
{
  radix_clear(&table.by_index, s->st.id & INDEX_MASK);
  table.used--;
  table.pages -= pages_of(s->st.size);
}

// held: nothing. Nobody can find it any more.
static void
seg_free(struct segment *s)
{
  file_put(s->file);
  kfree(s);
}

// One who was attached less. True: it was the last of a removed segment, and seg_free is due.
static bool
seg_leave(struct segment *s)
{
  bool gone = --s->st.nattch == 0 && (s->st.mode & SHM_DEST);

  if(gone)
    seg_take_out(s);
  return gone;
}

// ---- regions come and go

static void
shm_mapped(struct file *f, bool on)
{
  struct proc *p = current_proc();
  struct segment *s = f->priv;
  bool gone = false;

  spin_acquire(&table.lock);
  *(on ? &s->st.atime : &s->st.dtime) = now();
  s->st.lpid = p ? p->pid : 0;
  if(on)
    s->st.nattch++;
  else
    gone = seg_leave(s);
  spin_release(&table.lock);
  if(gone)
    seg_free(s);
}

static const struct file_ops shm_fops = {.mapped = shm_mapped};

// ---- shmget

static int
seg_file(struct segment *s)
{
  char name[16];
  int err;

  fmt(name, sizeof(name), "SYSV%08x", s->st.key);
  err = tmpfs_anon_file(name, O_RDWR, MODE_BITS, SEAL_SEAL, &s->file);
  if(err)
    return err;
  s->file->ops = &shm_fops;
  s->file->priv = s;
  return vfs_truncate(s->file->inode, s->st.size, 0);
}

// The whole segment counts as promised from the start, unless the caller waives that.
static int
seg_promise(struct segment *s, int flags)
{
  uint64_t pages = pages_of(s->st.size);

  if((flags & SHM_NORESERVE) && atomic_get_relaxed(&vm_overcommit) != OVERCOMMIT_NEVER)
    return 0;
  if(!commit_allows(0, pages))
    return -ENOMEM;
  commit_add(pages);
  s->file->inode->obj.promised = pages;
  return 0;
}

static struct segment *
seg_new(int key, uint64_t size, unsigned mode, int *err)
{
  const struct cred *cr = thread_self()->cred;
  struct segment *s = kzalloc(sizeof(*s));

  *err = -ENOMEM;
  if(s == 0)
    return 0;
  s->st = (struct shm_state){
      .key = key,
      .uid = cr->euid,
      .cuid = cr->euid,
      .gid = cr->egid,
      .cgid = cr->egid,
      .mode = mode & MODE_BITS,
      .size = size,
      .ctime = now(),
      .cpid = current_proc()->pid,
  };
  *err = seg_file(s);
  if(*err == 0)
    *err = seg_promise(s, mode);
  if(*err == 0)
    return s;
  if(s->file)
    file_put(s->file);
  kfree(s);
  return 0;
}

// held: table.lock. May there be one more of so many pages? Its index, or -ENOSPC.
static int
seg_room(uint64_t pages)
{
  uint64_t all = atomic_get(&shm_max_pages), index = 0;

  if(table.used >= (int)atomic_get(&shm_max_ids) || pages > all || table.pages > all - pages)
    return -ENOSPC;
  while(seg_at(index))
    index++;
  return index < SHM_IDS_MOST ? (int)index : -ENOSPC;
}

// held: table.lock. The one with this key, if there is one: its id, or what is wrong with it; -ENOENT.
static int64_t
get_old(int key, uint64_t size, int flags)
{
  struct segment *s = key == IPC_PRIVATE ? 0 : seg_of_key(key);

  if(s == 0)
    return -ENOENT;
  if((flags & (IPC_CREAT | IPC_EXCL)) == (IPC_CREAT | IPC_EXCL))
    return -EEXIST;
  if(size > s->st.size)
    return -EINVAL;
  return permitted(&s->st, flags) ? s->st.id : -EACCES;
}

// held: table.lock. s gets an index and an id: the id, or -ENOSPC, -ENOMEM (nodes).
static int64_t
seg_enter(struct segment *s, struct radix_stock *nodes)
{
  int index = seg_room(pages_of(s->st.size));

  if(index < 0)
    return index;
  if(!radix_set(&table.by_index, index, (uintptr_t)s, nodes))
    return -ENOMEM;
  s->st.seq = table.seq++ & SEQ_MASK;
  s->st.id = s->st.seq << SHM_SHIFT | index;
  s->file->inode->ino = s->st.id; // which /proc/PID/maps shows
  table.used++;
  table.pages += pages_of(s->st.size);
  return s->st.id;
}

static int64_t
get_new(int key, uint64_t size, int flags)
{
  struct segment *s;
  struct spare sp;
  int64_t r;
  int err;

  if(size == 0 || size > atomic_get(&shm_max_bytes) || (flags & SHM_HUGETLB)) // there are no huge pages
    return -EINVAL;
  if(size > INT64_MAX || pages_of(size) > atomic_get(&shm_max_pages))
    return -ENOSPC;
  s = seg_new(key, size, flags, &err);
  if(s == 0)
    return err;
  spare_init(&sp);
  err = spare_wait(&sp, 0, 0, RADIX_NEED_MAX);
  if(err) {
    seg_free(s);
    return err;
  }
  spin_acquire(&table.lock);
  r = get_old(key, size, flags); // another may have been faster
  if(r == -ENOENT)
    r = seg_enter(s, &sp.nodes);
  spin_release(&table.lock);
  spare_put(&sp);
  if(r != s->st.id || r < 0)
    seg_free(s);
  return r;
}

int64_t
sysvshm_get(int key, uint64_t size, int flags)
{
  int64_t r;

  spin_acquire(&table.lock);
  r = get_old(key, size, flags);
  spin_release(&table.lock);
  if(r == -ENOENT && (key == IPC_PRIVATE || (flags & IPC_CREAT)))
    r = get_new(key, size, flags);
  return r;
}

// ---- shmat and shmdt

// Find it for shmat, which counts as attached from here on: 0 and *err.
static struct segment *
seg_hold(int id, unsigned want, int *err)
{
  struct segment *s;

  spin_acquire(&table.lock);
  s = seg_find(id);
  *err = s == 0 ? -EINVAL : permitted(&s->st, want) ? 0 : -EACCES;
  if(*err == 0)
    s->st.nattch++;
  spin_release(&table.lock);
  return *err ? 0 : s;
}

static void
seg_drop(struct segment *s)
{
  bool gone;

  spin_acquire(&table.lock);
  gone = seg_leave(s);
  spin_release(&table.lock);
  if(gone)
    seg_free(s);
}

static int
attach_place(struct map_request *rq, vaddr_t addr, int flags)
{
  if(flags & SHM_RND)
    addr = page_down(addr); // SHMLBA is a page
  if(!page_aligned(addr) || (addr == 0 && (flags & SHM_REMAP)))
    return -EINVAL;
  rq->addr = addr;
  rq->how = addr == 0 ? MAP_HINT : flags & SHM_REMAP ? MAP_EXACT : MAP_EXACT_EMPTY;
  return 0;
}

// What is asked of the segment's permissions for it.
static unsigned
attach_rights(struct map_request *rq, int flags)
{
  unsigned want = flags & SHM_RDONLY ? PERM_READ : PERM_READ | PERM_WRITE;

  rq->flags = REGION_SHARED;
  rq->prot = flags & SHM_RDONLY ? PROT_R : PROT_R | PROT_W;
  if(flags & SHM_EXEC) {
    rq->prot |= PROT_X;
    want |= PERM_EXEC;
  }
  rq->maxprot = flags & SHM_RDONLY ? PROT_R | PROT_X : PROT_R | PROT_W | PROT_X;
  return want;
}

int64_t
sysvshm_attach(int id, vaddr_t addr, int flags)
{
  struct aspace *as = current_proc()->as;
  struct map_request rq = {0};
  struct segment *s;
  vaddr_t at;
  int err;

  if(id < 0 || attach_place(&rq, addr, flags) != 0)
    return -EINVAL;
  s = seg_hold(id, attach_rights(&rq, flags), &err);
  if(s == 0)
    return err;
  rq.len = page_up(s->st.size);
  rq.obj = &s->file->inode->obj;
  rq.tag = s->file;
  err = aspace_map(as, &rq, &at);
  seg_drop(s);
  if(err == 0 && (as->map_flags & (REGION_LOCKED | REGION_ONFAULT)) == REGION_LOCKED)
    aspace_populate(as, at, at + rq.len, PROT_N); // what cannot be had now comes with the faults
  return err == -EEXIST ? -EINVAL : err ? err : (int64_t)at;
}

static bool
is_segment(const void *tag)
{
  return ((const struct file *)tag)->ops == &shm_fops;
}

int
sysvshm_detach(vaddr_t addr)
{
  return page_aligned(addr) ? aspace_unmap_attached(current_proc()->as, addr, is_segment) : -EINVAL;
}

// ---- shmctl

static void
state_of(struct segment *s, struct shm_state *st)
{
  *st = s->st;
  st->rss = atomic_get(&s->file->inode->obj.ndirty);
}

int64_t
sysvshm_state(int n, enum shm_name how, struct shm_state *st)
{
  struct segment *s;
  int64_t r = -EINVAL;

  if(n < 0)
    return -EINVAL;
  spin_acquire(&table.lock);
  s = how == SHM_BY_ID ? seg_find(n) : n < SHM_IDS_MOST ? seg_at(n) : 0;
  if(s) {
    r = how == SHM_BY_INDEX_ANY || permitted(&s->st, PERM_READ) ? s->st.id : -EACCES;
    state_of(s, st);
  }
  spin_release(&table.lock);
  return r;
}

int
sysvshm_set(int id, uint32_t uid, uint32_t gid, unsigned mode)
{
  struct segment *s;
  int r = -EINVAL;

  spin_acquire(&table.lock);
  s = seg_find(id);
  if(s && !owned(&s->st) && !cred_capable(CAP_SYS_ADMIN))
    r = -EPERM;
  else if(s && uid != UINT32_MAX && gid != UINT32_MAX) {
    s->st.uid = uid;
    s->st.gid = gid;
    s->st.mode = (s->st.mode & ~MODE_BITS) | (mode & MODE_BITS);
    s->st.ctime = now();
    r = 0;
  }
  spin_release(&table.lock);
  return r;
}

int
sysvshm_remove(int id)
{
  bool gone = false;
  struct segment *s;
  int r = 0;

  spin_acquire(&table.lock);
  s = seg_find(id);
  if(s == 0)
    r = -EINVAL;
  else if(!owned(&s->st) && !cred_capable(CAP_SYS_ADMIN))
    r = -EPERM;
  else if(s->st.nattch > 0) {
    s->st.mode |= SHM_DEST;
    s->st.key = IPC_PRIVATE; // another may have the key
  } else {
    seg_take_out(s);
    gone = true;
  }
  spin_release(&table.lock);
  if(gone)
    seg_free(s);
  return r;
}

// held: table.lock. May the caller lock so much? Root without limit; others as RLIMIT_MEMLOCK says, over all of theirs.
static int
lock_room(const struct segment *wanted)
{
  uint64_t limit = atomic_get_relaxed(&current_proc()->rlim[RLIMIT_MEMLOCK].cur), sum = page_up(wanted->st.size);
  uint32_t uid = thread_self()->cred->uid;
  struct segment *s;

  if(cred_capable(CAP_IPC_LOCK))
    return 0;
  if(!owned(&wanted->st) || limit == 0)
    return -EPERM;
  for(uint64_t i = 0; (s = seg_next(&i)) != 0; i++)
    if((s->st.mode & SHM_LOCKED) && s->locker == uid)
      sum += page_up(s->st.size);
  return sum > limit ? -ENOMEM : 0;
}

// Nothing but a mark: without swap the pages stay anyway.
int
sysvshm_lock(int id, bool on)
{
  struct segment *s;
  int r = 0;

  spin_acquire(&table.lock);
  s = seg_find(id);
  if(s == 0)
    r = -EINVAL;
  else if(!on && !owned(&s->st) && !cred_capable(CAP_IPC_LOCK))
    r = -EPERM;
  else if(!on)
    s->st.mode &= ~SHM_LOCKED;
  else if(!(s->st.mode & SHM_LOCKED) && (r = lock_room(s)) == 0) {
    s->st.mode |= SHM_LOCKED;
    s->locker = thread_self()->cred->uid;
  }
  spin_release(&table.lock);
  return r;
}

struct shm_totals
sysvshm_totals(void)
{
  struct shm_totals t = {.last = -1};
  struct segment *s;

  spin_acquire(&table.lock);
  t.used = table.used;
  t.pages = table.pages;
  for(uint64_t i = 0; (s = seg_next(&i)) != 0; i++) {
    t.last = i;
    t.rss += atomic_get(&s->file->inode->obj.ndirty);
  }
  spin_release(&table.lock);
  return t;
}

void
sysvshm_init(void)
{
  spin_init(&table.lock, "shm segments", RANK_SYSV);
  radix_init(&table.by_index);
}
