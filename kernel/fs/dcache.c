// dcache.c -- names seen recently, and names known not to exist.
//
// Typical: dentry_lookup(dir, "etc", 3, &d) / d->inode or negative / dentry_put(d).
// A dentry holds its parent; one without references stays in the table, on the LRU list, until memory is wanted. While
// somebody holds a positive dentry it stays positive; a negative one may become positive (dentry_instantiate) only with
// the directory's inode.lock held for writing. inode_put may sleep, so it always follows the release of dcache.lock.
// Knows nothing of permissions, and of paths only how to print them.
#include "core/print.h"
#include "fs/internal.h"
#include "fs/perm.h"
#include "lib/atomic.h"
#include "lib/hash.h"
#include "lib/string.h"

enum { UNUSED_MIN = 64 }; // unused dentries that are kept however small the machine is

static struct dcache {
  struct spinlock lock;        // rank 53
  struct list *bucket;         // (lock) chains
  uint64_t mask;               // (c) buckets - 1
  struct list lru;             // (lock) dentries without references, coldest first
  uint64_t unused;             // (lock) how many
  uint64_t unused_max;         // (c) beyond this the coldest go at once
  struct kmem_cache *dentries; // (c)
} dcache;

// The length of the LRU list, which dentry_put looks at without the lock.
static void
dcache_count(int step) REQUIRES(dcache.lock)
{
  __atomic_store_n(&dcache.unused, dcache.unused + step, __ATOMIC_RELAXED);
}

static uint32_t
dentry_hash(const struct dentry *parent, const char *name, size_t len)
{
  return hash_u64(hash_bytes(name, len) ^ (uintptr_t)parent);
}

// A dentry that nobody can find yet, with a reference on its parent (0: itself is the parent). 0 if no memory.
static struct dentry *
dentry_new(struct fs *fs, struct dentry *parent, const char *name, size_t len, struct inode *ip)
{
  struct dentry *d = kmem_alloc(dcache.dentries);

  if(!d)
    return 0;
  d->name = dname_new(name, len);
  if(!d->name) {
    kmem_free(dcache.dentries, d);
    return 0;
  }
  d->ref = 1;
  d->len = len;
  d->fs = fs;
  d->inode = ip;
  d->parent = parent ? dentry_get(parent) : d;
  list_init(&d->by_hash);
  list_init(&d->lru);
  list_init(&d->children);
  list_init(&d->sibling);
  return d;
}

struct dentry *
dentry_get(struct dentry *d)
{
  atomic_add(&d->ref, 1);
  return d;
}

// One reference more on a dentry found in the table.
static struct dentry *
dentry_revive(struct dentry *d) REQUIRES(dcache.lock)
{
  if(atomic_add(&d->ref, 1) == 1 && !list_empty(&d->lru)) {
    list_del(&d->lru);
    dcache_count(-1);
  }
  return d;
}

// Take a dentry without references out of everything and free it. Its inode, and its parent, are the caller's to put.
static void
dentry_destroy(struct dentry *d, struct dentry **parent, struct inode **ip) REQUIRES(dcache.lock)
{
  if(!list_empty(&d->lru)) {
    list_del(&d->lru);
    dcache_count(-1);
  }
  list_del(&d->by_hash);
  list_del(&d->sibling);
  *parent = d->parent == d ? 0 : d->parent;
  *ip = d->inode;
  dname_put(d->name);
  kmem_free(dcache.dentries, d);
}

// One reference less. If it was the last: the dentry waits on the LRU list (returns 0), or, if no look-up can find it
// any more, it is freed and its parent's reference is the caller's to drop. In a directory that was removed nobody will
// look again, and a name that waited there would keep it.
static struct dentry *
dentry_release(struct dentry *d, struct inode **ip) REQUIRES(dcache.lock)
{
  struct dentry *parent;

  *ip = 0;
  if(atomic_sub(&d->ref, 1) > 0)
    return 0;
  if(list_empty(&d->by_hash) || d->parent->unhashed) {
    dentry_destroy(d, &parent, ip);
    return parent;
  }
  list_add_tail(&dcache.lru, &d->lru);
  dcache_count(1);
  return 0;
}

// Give d back; drop says how an inode goes whose last name this was.
static void
dentry_put_with(struct dentry *d, void (*drop)(struct inode *))
{
  struct inode *ip;
  int have;

  while(d) {
    have = atomic_get(&d->ref);
    while(have > 1)
      if(atomic_cas(&d->ref, &have, have - 1))
        return;
    spin_acquire(&dcache.lock);
    d = dentry_release(d, &ip);
    spin_release(&dcache.lock);
    if(ip)
      drop(ip);
  }
}

void
dentry_put(struct dentry *d)
{
  dentry_put_with(d, inode_put);
  if(atomic_get_relaxed(&dcache.unused) > dcache.unused_max)
    dentry_shrink(dcache.unused_max >> 3);
}

static struct dentry *
dcache_find(struct dentry *parent, uint32_t hash, const char *name, size_t len) REQUIRES(dcache.lock)
{
  struct list *b = &dcache.bucket[hash & dcache.mask];

  list_for_each(it, b) {
    struct dentry *d = list_entry(it, struct dentry, by_hash);

    if(d->hash == hash && d->parent == parent && d->len == len && memcmp(d->name, name, len) == 0)
      return d;
  }
  return 0;
}

static struct dentry *
dcache_look(struct dentry *parent, const char *name, size_t len)
{
  uint32_t hash = dentry_hash(parent, name, len);
  struct dentry *d;

  spin_acquire(&dcache.lock);
  d = dcache_find(parent, hash, name, len);
  if(d)
    dentry_revive(d);
  spin_release(&dcache.lock);
  return d;
}

static void
dentry_enhash(struct dentry *d) REQUIRES(dcache.lock)
{
  d->hash = dentry_hash(d->parent, d->name, d->len);
  list_add(&dcache.bucket[d->hash & dcache.mask], &d->by_hash);
}

// Let look-ups find `d`, or drop it for the one that another look-up entered meanwhile.
static struct dentry *
dcache_enter(struct dentry *d)
{
  struct dentry *other = 0;

  spin_acquire(&dcache.lock);
  if(!d->fs->uncached) {
    other = dcache_find(d->parent, dentry_hash(d->parent, d->name, d->len), d->name, d->len);
    if(other)
      dentry_revive(other);
    else
      dentry_enhash(d);
  }
  if(!other)
    list_add_tail(&d->parent->children, &d->sibling);
  spin_release(&dcache.lock);
  if(!other)
    return d;
  dentry_put(d);
  return other;
}

int
dentry_lookup_locked(struct dentry *dir, const char *name, size_t len, struct dentry **out)
{
  struct inode *ip = 0;
  struct dentry *d;
  int err;

  if(!dir->fs->uncached && (*out = dcache_look(dir, name, len)) != 0)
    return 0;
  if(dir->inode->nlink == 0 && inode_is(dir->inode, S_IFDIR)) // removed: a name remembered in it would keep it
    return -ENOENT;
  err = dir->inode->ops->lookup ? dir->inode->ops->lookup(dir->inode, name, len, &ip) : -ENOTDIR;
  if(err && err != -ENOENT)
    return err;
  if(err)
    ip = 0;
  d = dentry_new(dir->fs, dir, name, len, ip);
  if(!d) {
    inode_put(ip);
    return -ENOMEM;
  }
  *out = dcache_enter(d);
  return 0;
}

int
dentry_lookup(struct dentry *dir, const char *name, size_t len, struct dentry **out)
{
  int err;

  if(!dir->fs->uncached && (*out = dcache_look(dir, name, len)) != 0)
    return 0;
  rw_read(&dir->inode->lock);
  err = dentry_lookup_locked(dir, name, len, out);
  rw_read_release(&dir->inode->lock);
  return err;
}

void
dentry_instantiate(struct dentry *d, struct inode *ip)
{
  spin_acquire(&dcache.lock);
  if(d->inode)
    panic("dentry %p (%s) is to get inode %lu but has %lu", d, d->name, ip->ino, d->inode->ino);
  atomic_set(&d->inode, ip);
  spin_release(&dcache.lock);
}

// The caller has a reference of its own on the inode. If nobody else holds d, it stays as a negative one: the name is
// likely to come back.
void
dentry_unlink(struct dentry *d)
{
  struct inode *ip = 0;

  spin_acquire(&dcache.lock);
  if(atomic_get(&d->ref) == 1 && !list_empty(&d->by_hash)) {
    ip = d->inode;
    d->inode = 0;
  } else {
    list_del(&d->by_hash);
    d->unhashed = true;
  }
  spin_release(&dcache.lock);
  inode_put(ip);
  dentry_prune(d); // who looked below it a moment ago may have come too late to see that it is gone
}

void
dentry_rename(struct dentry *d, struct dentry *newparent, struct dentry *target)
{
  struct dentry *oldparent;

  spin_acquire(&dcache.lock);
  list_del(&target->by_hash);
  target->unhashed = true;
  list_del(&d->by_hash);
  dname_put(d->name);
  d->name = dname_get(target->name);
  d->len = target->len;
  oldparent = d->parent;
  d->parent = dentry_get(newparent);
  list_del(&d->sibling);
  list_add_tail(&newparent->children, &d->sibling);
  if(!d->fs->uncached)
    dentry_enhash(d);
  spin_release(&dcache.lock);
  dentry_put(oldparent);
  dentry_prune(target);
}

void
dentry_exchange(struct dentry *a, struct dentry *b)
{
  struct dentry was;

  spin_acquire(&dcache.lock);
  list_del(&a->by_hash);
  list_del(&b->by_hash);
  list_del(&a->sibling);
  list_del(&b->sibling);
  was = *a;
  a->name = b->name;
  a->len = b->len;
  a->parent = b->parent;
  b->name = was.name;
  b->len = was.len;
  b->parent = was.parent;
  list_add_tail(&a->parent->children, &a->sibling);
  list_add_tail(&b->parent->children, &b->sibling);
  dentry_enhash(a);
  dentry_enhash(b);
  spin_release(&dcache.lock);
}

struct dentry *
dentry_root(struct fs *fs, struct inode *ip)
{
  return dentry_new(fs, 0, "/", 1, ip);
}

struct dentry *
dentry_anon(struct fs *fs, const char *name, struct inode *ip)
{
  struct dentry *d = dentry_new(fs, 0, name, strlen(name), ip);

  if(d)
    d->unhashed = name[0] == '/';
  return d;
}

bool
dentry_inside(struct dentry *d, struct dentry *top)
{
  bool inside;

  spin_acquire(&dcache.lock);
  while(d != top && d->parent != d)
    d = d->parent;
  inside = d == top;
  spin_release(&dcache.lock);
  return inside;
}

struct dentry *
dentry_cross(struct dentry *d)
{
  struct dentry *from = d;

  if(!atomic_get(&d->mounted))
    return d;
  spin_acquire(&dcache.lock);
  while(d->mounted)
    d = d->mounted->root;
  dentry_get(d);
  spin_release(&dcache.lock);
  dentry_put(from);
  return d;
}

// What lies over d in the tree of all file systems: the dentry that a mounted root covers.
static struct dentry *
dentry_below_mount(struct dentry *d, struct dentry *root) REQUIRES(dcache.lock)
{
  while(d != root && d == d->fs->root && d->fs->on)
    d = d->fs->on;
  return d;
}

struct dentry *
dentry_up(struct dentry *d, struct dentry *root)
{
  struct dentry *from = d;

  spin_acquire(&dcache.lock);
  d = dentry_below_mount(d, root);
  if(d != root)
    d = d->parent;
  dentry_get(d);
  spin_release(&dcache.lock);
  dentry_put(from);
  return dentry_cross(d);
}

int
dentry_cover(struct dentry *d, struct fs *fs)
{
  int err = 0;

  spin_acquire(&dcache.lock);
  if(d->mounted)
    err = -EBUSY;
  else if(d->unhashed)
    err = -ENOENT;
  else {
    fs->on = d;
    atomic_set(&d->mounted, fs);
  }
  spin_release(&dcache.lock);
  return err;
}

int
dentry_uncover(struct fs *fs)
{
  struct dentry *on = fs->on;
  int err = 0;

  dentry_forget_fs(fs);
  spin_acquire(&dcache.lock);
  if(!on || atomic_get(&fs->root->ref) > 1 || fs->root->mounted)
    err = -EBUSY;
  else {
    atomic_set(&on->mounted, (struct fs *)0);
    fs->on = 0;
  }
  spin_release(&dcache.lock);
  if(!err)
    dentry_put(on);
  return err;
}

// Free d, which is unused, and give back its parent. Called with dcache.lock held, releases it.
static void
dentry_drop(struct dentry *d, void (*drop)(struct inode *)) RELEASES(dcache.lock)
{
  struct dentry *parent;
  struct inode *ip;

  dentry_destroy(d, &parent, &ip);
  spin_release(&dcache.lock);
  if(ip)
    drop(ip);
  dentry_put_with(parent, drop);
}

uint64_t
dentry_shrink(uint64_t n)
{
  uint64_t done;

  for(done = 0; done < n; done++) {
    spin_acquire(&dcache.lock);
    if(list_empty(&dcache.lru)) {
      spin_release(&dcache.lock);
      break;
    }
    dentry_drop(list_entry(dcache.lru.next, struct dentry, lru), inode_put_later);
    thread_relax();
  }
  return done;
}

static struct dentry *
dentry_unused_child(struct dentry *d) REQUIRES(dcache.lock)
{
  list_for_each(it, &d->children) {
    struct dentry *child = list_entry(it, struct dentry, sibling);

    if(!list_empty(&child->lru))
      return child;
  }
  return 0;
}

void
dentry_prune(struct dentry *d)
{
  struct dentry *child;

  for(;;) {
    spin_acquire(&dcache.lock);
    child = dentry_unused_child(d);
    if(!child)
      break;
    dentry_drop(child, inode_put);
  }
  spin_release(&dcache.lock);
}

// One round over the LRU list, which it leaves in its order: how many dentries of fs went. Their parents, unused now,
// have joined the end of the list and are for the next round.
static uint64_t
dentry_forget_round(struct fs *fs)
{
  uint64_t gone = 0, n = atomic_get(&dcache.unused);
  struct dentry *d;

  while(n-- > 0) {
    spin_acquire(&dcache.lock);
    if(list_empty(&dcache.lru)) {
      spin_release(&dcache.lock);
      break;
    }
    d = list_entry(dcache.lru.next, struct dentry, lru);
    if(d->fs == fs) {
      dentry_drop(d, inode_put);
      gone++;
      continue;
    }
    list_del(&d->lru);
    list_add_tail(&dcache.lru, &d->lru);
    spin_release(&dcache.lock);
  }
  return gone;
}

void
dentry_forget_fs(struct fs *fs)
{
  while(dentry_forget_round(fs) > 0)
    thread_relax();
  inode_flush_later();
}

// Put `n` bytes in front of *at, not below buf. false: no room.
static bool
path_prepend(char *buf, char **at, const char *s, size_t n)
{
  if((size_t)(*at - buf) < n)
    return false;
  *at -= n;
  memcpy(*at, s, n);
  return true;
}

static bool
path_build(struct dentry *d, struct dentry *root, char *buf, char **at) REQUIRES(dcache.lock)
{
  char *end = *at;

  if(d->parent == d && d->fs->root != d) // outside the tree
    return path_prepend(buf, at, d->name, d->len);
  for(;;) {
    d = dentry_below_mount(d, root);
    if(d == root || d->parent == d)
      break;
    if(!path_prepend(buf, at, d->name, d->len) || !path_prepend(buf, at, "/", 1))
      return false;
    d = d->parent;
  }
  return *at != end || path_prepend(buf, at, "/", 1);
}

char *
dentry_path(struct dentry *d, struct dentry *root, char *buf, size_t n, bool deleted)
{
  static const char mark[] = " (deleted)";
  char *at = buf + n;
  bool ok;

  if(!path_prepend(buf, &at, "", 1))
    return 0;
  spin_acquire(&dcache.lock);
  ok = !(d->unhashed && deleted) || path_prepend(buf, &at, mark, sizeof(mark) - 1);
  ok = ok && path_build(d, root, buf, &at);
  spin_release(&dcache.lock);
  return ok ? at : 0;
}

void
dentry_init(void)
{
  spin_init(&dcache.lock, "dcache", RANK_DCACHE);
  list_init(&dcache.lru);
  dcache.dentries = KMEM_CACHE(struct dentry);
  dcache.bucket = hash_table(&dcache.mask);
  dcache.unused_max = max(frames_total(), (uint64_t)UNUSED_MIN);
  reclaim_register(dentry_shrink);
}
