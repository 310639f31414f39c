// inode.c -- inodes in memory: found by (file system, number), counted, given up.
//
// Typical: inode_find(fs, ino, mops, ops, read, &ip) / use ip / inode_put(ip).
// The count is that of the inode's memory object, so that a mapping keeps the inode and nothing else. The last put goes
// mobj_put -> ops->release = inode_mobj_release -> inode_ops.evict -> inode_free; until inode_free an inode stays in
// the table with count 0, and inode_find of the same number waits: there are never two inodes of one number.
// Knows no names (dcache.c) and no bytes (data.c).
#include "core/kthread.h"
#include "core/print.h"
#include "core/wait.h"
#include "fs/internal.h"
#include "fs/perm.h"
#include "lib/atomic.h"
#include "lib/hash.h"
#include "lib/string.h"

enum { BYTES_PER_BLOCK = 512 };

static struct icache {
  struct spinlock lock;      // rank 52
  struct list *bucket;       // (lock) chains
  uint64_t mask;             // (c) buckets - 1
  struct waitq settled;      // an inode was read, or is gone
  struct list later;         // (lock) inodes whose last reference the worker drops
  struct waitq work;         // the worker
  struct list adopted;       // (lock) inodes that stay until their pages are written: writeback.c
  struct kmem_cache *inodes; // (c)
} icache;

static struct list *
icache_bucket(const struct fs *fs, uint64_t ino)
{
  return &icache.bucket[hash_u64(ino ^ hash_u64((uintptr_t)fs)) & icache.mask];
}

static struct inode *
icache_find(const struct fs *fs, uint64_t ino) REQUIRES(icache.lock)
{
  struct list *b = icache_bucket(fs, ino);

  list_for_each(it, b) {
    struct inode *ip = list_entry(it, struct inode, hash);

    if(ip->fs == fs && ip->ino == ino)
      return ip;
  }
  return 0;
}

struct inode *
inode_alloc(struct fs *fs, uint64_t ino, const struct mobj_ops *mops, const struct inode_ops *ops)
{
  struct inode *ip = kmem_alloc(icache.inodes);

  if(!ip)
    return 0;
  mobj_init(&ip->obj, mops, 0);
  rw_init(&ip->lock, "inode", RANK_INODE);
  list_init(&ip->hash);
  list_init(&ip->later);
  list_init(&ip->adopted);
  ip->fs = fs;
  ip->ino = ino;
  ip->ops = ops;
  ip->visible = UINT64_MAX;
  ip->obj.errseq_all = &fs->errseq;
  ip->seals = SEAL_NOT_KEPT;
  atomic_add(&fs->ninodes, 1);
  atomic_add(&fs->ref, 1);
  return ip;
}

void
inode_free(struct inode *ip)
{
  struct fs *fs = ip->fs;

  spin_acquire(&icache.lock);
  list_del(&ip->hash);
  spin_release(&icache.lock);
  waitq_wake(&icache.settled);
  pipe_free(ip->pipe);
  mobj_destroy(&ip->obj);
  kmem_free(icache.inodes, ip);
  atomic_sub(&fs->ninodes, 1);
  fs_put(fs);
}

// The last reference is gone, so nobody can get another: unless what is dirty would be lost, it may go. Else write-back
// has the inode now, and inode_find may find it again.
static bool
inode_adopt(struct inode *ip)
{
  if(ip->nlink == 0 || !ip->obj.ops->flush || atomic_get(&ip->obj.ndirty) == 0 || atomic_get(&ip->fs->forsaken))
    return false;
  spin_acquire(&icache.lock);
  ip->is_adopted = true;
  list_add_tail(&icache.adopted, &ip->adopted);
  atomic_set(&ip->obj.ref, 1);
  spin_release(&icache.lock);
  waitq_wake(&icache.settled);
  return true;
}

// held: icache.lock. Whoever calls has write-back's reference now; false: there is none.
static bool
adopted_take(struct inode *ip) REQUIRES(icache.lock)
{
  bool was = ip->is_adopted;

  ip->is_adopted = false;
  list_del(&ip->adopted);
  return was;
}

static struct inode *
icache_take_adopted(struct fs *fs, bool dirty_too)
{
  struct inode *found = 0;

  spin_acquire(&icache.lock);
  list_for_each(it, &icache.adopted) {
    struct inode *ip = list_entry(it, struct inode, adopted);

    if((fs == 0 || ip->fs == fs) && (dirty_too || atomic_get(&ip->obj.ndirty) == 0)) {
      adopted_take(ip);
      found = ip;
      break;
    }
  }
  spin_release(&icache.lock);
  return found;
}

void
inode_disown(struct fs *fs, bool dirty_too)
{
  struct inode *ip;

  while((ip = icache_take_adopted(fs, dirty_too)) != 0)
    inode_put(ip);
}

void
inode_mobj_release(struct mobj *obj)
{
  struct inode *ip = container_of(obj, struct inode, obj);

  if(inode_adopt(ip))
    return;
  if(ip->ops->evict)
    ip->ops->evict(ip);
  else
    inode_free(ip);
}

struct inode *
inode_get(struct inode *ip)
{
  mobj_get(&ip->obj);
  return ip;
}

void
inode_put(struct inode *ip)
{
  if(ip)
    mobj_put(&ip->obj);
}

void
inode_put_later(struct inode *ip)
{
  int have = atomic_get(&ip->obj.ref);

  while(have > 1)
    if(atomic_cas(&ip->obj.ref, &have, have - 1))
      return;
  spin_acquire(&icache.lock);
  if(list_empty(&ip->later)) {
    list_add_tail(&icache.later, &ip->later);
    spin_release(&icache.lock);
    waitq_wake(&icache.work);
    return;
  }
  // The worker owns one reference already, so this one is not the last.
  spin_release(&icache.lock);
  mobj_put(&ip->obj);
}

static struct inode *
icache_take_later(void)
{
  struct inode *ip = 0;

  spin_acquire(&icache.lock);
  if(!list_empty(&icache.later)) {
    ip = list_entry(icache.later.next, struct inode, later);
    list_del(&ip->later);
  }
  spin_release(&icache.lock);
  return ip;
}

void
inode_flush_later(void)
{
  struct inode *ip;

  while((ip = icache_take_later()) != 0)
    inode_put(ip);
}

static bool
icache_has_later(void)
{
  bool has;

  spin_acquire(&icache.lock);
  has = !list_empty(&icache.later);
  spin_release(&icache.lock);
  return has;
}

static void
inode_worker(void *arg)
{
  for(;;) {
    wait_event(&icache.work, icache_has_later(), WAIT_ALWAYS, NEVER);
    inode_flush_later();
  }
}

// Is there an inode of that number which is neither being read nor being evicted, or none at all?
static bool
icache_is_settled(const struct fs *fs, uint64_t ino)
{
  struct inode *ip;
  bool settled;

  spin_acquire(&icache.lock);
  ip = icache_find(fs, ino);
  settled = !ip || (!ip->reading && atomic_get(&ip->obj.ref) > 0);
  spin_release(&icache.lock);
  return settled;
}

enum icache_look { ICACHE_FOUND, ICACHE_NONE, ICACHE_WAIT };

// Look for an inode; if there is none, `fresh` (may be 0) goes into the table, marked as being read.
static enum icache_look
icache_look(const struct fs *fs, uint64_t ino, struct inode *fresh, struct inode **out)
{
  enum icache_look r = ICACHE_FOUND;
  struct inode *ip;

  spin_acquire(&icache.lock);
  ip = icache_find(fs, ino);
  if(!ip) {
    r = ICACHE_NONE;
    if(fresh) {
      fresh->reading = true;
      list_add(icache_bucket(fs, ino), &fresh->hash);
    }
  } else if(ip->reading || !(adopted_take(ip) || mobj_try_get(&ip->obj))) {
    r = ICACHE_WAIT;
  }
  spin_release(&icache.lock);
  *out = ip;
  return r;
}

// `ip` is in the table, marked: fill it in and let the others have it.
static int
icache_read(struct inode *ip, int (*read)(struct inode *), struct inode **out)
{
  int err = read(ip);

  if(err) {
    inode_free(ip);
    return err;
  }
  spin_acquire(&icache.lock);
  ip->reading = false;
  spin_release(&icache.lock);
  waitq_wake(&icache.settled);
  *out = ip;
  return 0;
}

int
inode_find(struct fs *fs, uint64_t ino, const struct mobj_ops *mops, const struct inode_ops *ops,
           int (*read)(struct inode *), struct inode **out)
{
  struct inode *fresh = 0;
  enum icache_look look;

  while((look = icache_look(fs, ino, fresh, out)) != ICACHE_FOUND) {
    if(look == ICACHE_WAIT)
      wait_event(&icache.settled, icache_is_settled(fs, ino), WAIT_ALWAYS, NEVER);
    else if(fresh)
      return icache_read(fresh, read, out);
    else if((fresh = inode_alloc(fs, ino, mops, ops)) == 0)
      return -ENOMEM;
  }
  if(fresh)
    inode_free(fresh);
  return 0;
}

// The next inode after `ip` (0: the first) in bucket b that belongs to fs, referenced; ip's reference is taken over.
static struct inode *
icache_next_of(const struct fs *fs, struct list *b, struct inode *ip)
{
  struct inode *next = 0;

  spin_acquire(&icache.lock);
  for(struct list *it = ip ? ip->hash.next : b->next; it != b && !next; it = it->next) {
    struct inode *candidate = list_entry(it, struct inode, hash);

    if(candidate->fs == fs && !candidate->reading && mobj_try_get(&candidate->obj))
      next = candidate;
  }
  spin_release(&icache.lock);
  inode_put(ip);
  return next;
}

int
inode_sync_fs(struct fs *fs)
{
  struct inode *ip;
  int err = 0, e;

  for(uint64_t i = 0; i <= icache.mask; i++)
    for(ip = icache_next_of(fs, &icache.bucket[i], 0); ip; ip = icache_next_of(fs, &icache.bucket[i], ip)) {
      e = mobj_sync(&ip->obj, 0, UINT64_MAX >> PAGE_SHIFT);
      err = err ? err : e;
    }
  return err;
}

bool
inode_any(struct fs *fs, bool (*fn)(struct inode *ip, void *arg), void *arg)
{
  struct inode *ip;

  for(uint64_t i = 0; i <= icache.mask; i++)
    for(ip = icache_next_of(fs, &icache.bucket[i], 0); ip; ip = icache_next_of(fs, &icache.bucket[i], ip))
      if(fn(ip, arg)) {
        inode_put(ip);
        return true;
      }
  return false;
}

void
inode_touched(struct mobj *obj)
{
  atomic_set(&container_of(obj, struct inode, obj)->touched, clock_wall());
}

void
inode_settle(struct inode *ip)
{
  uint64_t ns = atomic_get(&ip->touched) ? atomic_swap(&ip->touched, 0) : 0;

  if(ns) {
    stamp_set(&ip->mtime, times_of(ns));
    stamp_set(&ip->ctime, times_of(ns));
  }
}

// Fields are read without inode.lock, so that nobody waits for a long write: each is one word, old or new.
void
inode_stat(struct inode *ip, struct stat_info *st)
{
  uint64_t touched;

  memset(st, 0, sizeof(*st));
  st->dev = ip->fs->dev;
  st->ino = ip->ino;
  st->nlink = ip->nlink;
  st->rdev = ip->rdev;
  st->size = atomic_get(&ip->obj.size);
  st->blksize = PAGE_SIZE;
  st->blocks = ip->blocks;
  st->mode = ip->mode;
  st->uid = ip->uid;
  st->gid = ip->gid;
  st->atime = stamp_get(&ip->atime);
  st->mtime = stamp_get(&ip->mtime);
  st->ctime = stamp_get(&ip->ctime);
  st->btime = stamp_get(&ip->btime);
  touched = atomic_get(&ip->touched);
  if(touched)
    st->mtime = st->ctime = times_of(touched);
  if(ip->ops->stat)
    ip->ops->stat(ip, st);
}

static bool
inode_capable(struct inode *ip, const struct cred *cr, int may)
{
  bool dir = inode_is(ip, S_IFDIR);

  if(cred_has(cr, FSCAP_DAC_OVERRIDE) && (dir || !(may & MAY_EXEC) || (ip->mode & 0111)))
    return true;
  if(cred_has(cr, FSCAP_DAC_READ_SEARCH) && !(may & MAY_WRITE) && (dir || !(may & MAY_EXEC)))
    return true;
  return false;
}

int
inode_permission(struct inode *ip, const struct cred *cr, int may)
{
  unsigned bits = ip->mode;

  if((may & MAY_WRITE) && ip->fs->readonly && (inode_is(ip, S_IFREG) || inode_is(ip, S_IFDIR) || inode_is(ip, S_IFLNK)))
    return -EROFS;
  if(!cr)
    return 0;
  if(cr->fsuid == ip->uid)
    bits >>= 6;
  else if(cred_in_group(cr, ip->gid))
    bits >>= 3;
  if((bits & may) == (unsigned)may || inode_capable(ip, cr, may))
    return 0;
  return -EACCES;
}

// One more on the side of `step` (+1: writers, -1: denials), unless the other side has somebody.
static int
inode_count_writer(struct inode *ip, int step)
{
  int have = atomic_get(&ip->writers);

  do {
    if(have * step < 0)
      return -ETXTBSY;
  } while(!atomic_cas(&ip->writers, &have, have + step));
  return 0;
}

int
inode_write_open(struct inode *ip)
{
  return inode_count_writer(ip, 1);
}

void
inode_write_close(struct inode *ip)
{
  atomic_sub(&ip->writers, 1);
}

int
inode_deny_write(struct inode *ip)
{
  return inode_count_writer(ip, -1);
}

void
inode_allow_write(struct inode *ip)
{
  atomic_add(&ip->writers, 1);
}

void
inode_init_owner(struct inode *ip, const struct inode *dir, unsigned mode, const struct cred *cr)
{
  ip->uid = cr ? cr->fsuid : 0;
  ip->gid = cr ? cr->fsgid : 0;
  if(dir && (dir->mode & S_ISGID)) {
    ip->gid = dir->gid;
    if(S_ISTYPE(mode, S_IFDIR))
      mode |= S_ISGID;
    else if((mode & S_ISGID) && (mode & 0010) && !cred_in_group(cr, dir->gid) && !cred_has(cr, FSCAP_FSETID))
      mode &= ~S_ISGID;
  }
  ip->mode = mode;
  inode_modified(ip);
  ip->atime = ip->btime = ip->mtime;
}

void
inode_init(void)
{
  spin_init(&icache.lock, "icache", RANK_ICACHE);
  waitq_init(&icache.settled);
  waitq_init(&icache.work);
  list_init(&icache.later);
  list_init(&icache.adopted);
  icache.inodes = KMEM_CACHE(struct inode);
  icache.bucket = hash_table(&icache.mask);
  if(kthread_start("inodes", inode_worker, 0) != 0)
    panic("no memory for the inode worker");
}
