// tmpfs.c -- a file system in memory: inodes, file data as shared anonymous memory, a limit.
//
// Typical: mount -t tmpfs -o size=64m none /tmp; tmpfs_anon_file for memfd_create and shared memory segments.
// A page of data is charged when it becomes writable (makewrite) and stays in its object's cache, dirty, until it is
// cut off; so an object's count of dirty pages is what its file uses. Names are dir.c's, room ahead and holes falloc.c's.
#include "core/print.h"
#include "fs/tmpfs/tmpfs.h"
#include "lib/atomic.h"
#include "lib/fmt.h"
#include "lib/string.h"

enum { TMPFS_MAGIC = 0x01021994 }; // f_type
enum { ROOT_MODE = 01777 };
enum { BLOCKS_PER_PAGE = 8, DIRENT_BYTES = 20 }; // 512-byte blocks; what a name adds to the size of its directory
enum { PERCENT = 100, DECIMAL = 10, OCTAL = 8 };

static struct kmem_cache *node_cache; // (c)
static struct tmpfs *anon_fs;         // (c) memfds and segments: in no tree, without a limit

// ---- data

void
tmpfs_charge(struct inode *ip, uint64_t reserved)
{
  struct tmpfs *t = tmpfs_of(ip->fs);
  struct tmpnode *n = tmpnode_of(ip);
  uint64_t now;

  spin_acquire(&t->lock);
  now = atomic_get(&ip->obj.ndirty);
  t->pages += now - n->pages;
  n->pages = now;
  t->reserved -= reserved;
  spin_release(&t->lock);
}

int
tmpfs_reserve(struct tmpfs *t, uint64_t pages)
{
  int err = 0;

  spin_acquire(&t->lock);
  if(pages > t->max_pages || t->pages + t->reserved > t->max_pages - pages)
    err = -ENOSPC;
  else
    t->reserved += pages;
  spin_release(&t->lock);
  return err;
}

static int
tmpfs_makewrite(struct mobj *obj, struct page *pg)
{
  struct inode *ip = container_of(obj, struct inode, obj);
  int err = tmpfs_reserve(tmpfs_of(ip->fs), 1);

  if(err)
    return err;
  err = shm_makewrite(obj, pg);
  tmpfs_charge(ip, 1);
  return err;
}

static const struct mobj_ops tmpfs_mobj_ops = {
    .name = "tmpfs",
    .fill = shm_fill,
    .makewrite = tmpfs_makewrite,
    .release = inode_mobj_release,
    .touched = inode_touched,
};

static int
tmpfs_truncate(struct inode *ip, uint64_t size)
{
  mobj_truncate(&ip->obj, size);
  tmpfs_charge(ip, 0);
  return 0;
}

static bool
tmpfs_is_data(struct inode *ip, uint64_t idx)
{
  struct page *pg;
  bool data;

  spin_acquire(&ip->obj.lock);
  pg = mobj_find(&ip->obj, idx);
  data = pg && page_test(pg, PAGE_BACKED);
  spin_release(&ip->obj.lock);
  return data;
}

// The next page of the object's cache at or behind *idx, empty stretches skipped whole.
static bool
tmpfs_next_page(struct inode *ip, uint64_t *idx, uint64_t end)
{
  uintptr_t word;
  bool found;

  spin_acquire(&ip->obj.lock);
  found = radix_next(&ip->obj.pages, idx, end, &word);
  spin_release(&ip->obj.lock);
  return found;
}

static int64_t
tmpfs_seek(struct inode *ip, uint64_t off, bool hole)
{
  uint64_t size = atomic_get(&ip->obj.size), end = page_up(size) >> PAGE_SHIFT, idx = off >> PAGE_SHIFT;

  while(idx < end && tmpfs_is_data(ip, idx) == hole) {
    idx++;
    if(!hole && !tmpfs_next_page(ip, &idx, end))
      return -ENXIO;
    thread_relax();
  }
  if(idx >= end)
    return hole ? (int64_t)size : -ENXIO;
  return max(off, idx << PAGE_SHIFT);
}

// ---- inodes

int
tmpfs_inode(struct fs *fs, struct inode *dir, unsigned mode, uint64_t rdev, const struct cred *cr, struct inode **out)
{
  struct tmpfs *t = tmpfs_of(fs);
  struct tmpnode *n;
  struct inode *ip;

  if(atomic_get(&fs->ninodes) >= t->max_inodes)
    return -ENOSPC;
  n = kmem_alloc(node_cache);
  ip = n ? inode_alloc(fs, atomic_add(&t->last_ino, 1), &tmpfs_mobj_ops, &tmpfs_inode_ops) : 0;
  if(!ip) {
    if(n)
      kmem_free(node_cache, n);
    return -ENOMEM;
  }
  ip->priv = n;
  ip->rdev = rdev;
  if(S_ISTYPE(mode, S_IFREG))
    ip->seals = SEAL_SEAL; // none, and none to come
  n->parent = ip;
  inode_init_owner(ip, dir, mode, cr);
  *out = ip;
  return 0;
}

static void
tmpfs_evict(struct inode *ip)
{
  struct tmpnode *n = tmpnode_of(ip);
  struct tmpfs *t = tmpfs_of(ip->fs);

  if(n->nentries > 0)
    panic("tmpfs inode %lu: evicted with %lu names in it", ip->ino, n->nentries);
  spin_acquire(&t->lock);
  t->pages -= n->pages;
  spin_release(&t->lock);
  kfree(n->link);
  kmem_free(node_cache, n);
  inode_free(ip);
}

static int
tmpfs_tmpfile(struct inode *dir, unsigned mode, const struct cred *cr, struct inode **out)
{
  return tmpfs_inode(dir->fs, dir, mode, 0, cr, out);
}

static int64_t
tmpfs_readlink(struct inode *ip, char *buf, size_t size)
{
  size_t n = min(strlen(tmpnode_of(ip)->link), size);

  memcpy(buf, tmpnode_of(ip)->link, n);
  return n;
}

static int
tmpfs_setattr(struct inode *ip)
{
  return 0; // memory is the store
}

static void
tmpfs_stat(struct inode *ip, struct stat_info *st)
{
  st->blocks = atomic_get(&ip->obj.ndirty) * BLOCKS_PER_PAGE;
  if(S_ISTYPE(ip->mode, S_IFDIR))
    st->size = tmpnode_of(ip)->nentries * DIRENT_BYTES;
}

const struct inode_ops tmpfs_inode_ops = {
    .lookup = tmpdir_lookup,
    .create = tmpdir_create,
    .mkdir = tmpdir_mkdir,
    .symlink = tmpdir_symlink,
    .link = tmpdir_link,
    .unlink = tmpdir_unlink,
    .rmdir = tmpdir_rmdir,
    .rename = tmpdir_rename,
    .exchange = tmpdir_exchange,
    .readdir = tmpdir_readdir,
    .tmpfile = tmpfs_tmpfile,
    .readlink = tmpfs_readlink,
    .truncate = tmpfs_truncate,
    .fallocate = tmpfs_fallocate,
    .setattr = tmpfs_setattr,
    .seek = tmpfs_seek,
    .stat = tmpfs_stat,
    .evict = tmpfs_evict,
};

// ---- mount

struct tmpfs_options {
  uint64_t max_pages, max_inodes;
  unsigned mode;
  uint32_t uid, gid;
};

static uint64_t
parse_number(const char **s, unsigned base)
{
  uint64_t v = 0;

  while(**s >= '0' && **s < '0' + (char)base)
    v = v * base + *(*s)++ - '0';
  return v;
}

// "64m", "10%": bytes; a suffix is consumed.
static uint64_t
parse_size(const char **s)
{
  static const char units[] = "kmgt";
  uint64_t v = parse_number(s, DECIMAL);
  const char *unit;

  if(**s == '%') {
    (*s)++;
    return frames_total() * PAGE_SIZE / PERCENT * v;
  }
  unit = **s ? strchr(units, **s | ' ') : 0; // either case
  if(!unit)
    return v;
  (*s)++;
  return v << DECIMAL * (unit - units + 1);
}

// Is *s "name="? Then go behind it.
static bool
parse_name(const char **s, const char *name)
{
  size_t n = strlen(name);

  if(strncmp(*s, name, n) != 0)
    return false;
  *s += n;
  return true;
}

static int
parse_option(const char **s, struct tmpfs_options *o)
{
  if(parse_name(s, "size=")) {
    o->max_pages = page_up(parse_size(s)) >> PAGE_SHIFT;
    o->max_pages = o->max_pages ? o->max_pages : UINT64_MAX; // as Linux: 0 is no limit
  } else if(parse_name(s, "nr_inodes=")) {
    o->max_inodes = parse_size(s);
    o->max_inodes = o->max_inodes ? o->max_inodes : UINT64_MAX;
  } else if(parse_name(s, "mode=")) {
    o->mode = parse_number(s, OCTAL) & 07777;
  } else if(parse_name(s, "uid=")) {
    o->uid = parse_number(s, DECIMAL);
  } else if(parse_name(s, "gid=")) {
    o->gid = parse_number(s, DECIMAL);
  } else {
    return -EINVAL;
  }
  return 0;
}

static int
parse_options(const char *s, struct tmpfs_options *o)
{
  int err;

  while(s && *s) {
    if((err = parse_option(&s, o)) != 0)
      return err;
    if(*s && *s != ',')
      return -EINVAL;
    s += *s == ',';
  }
  return 0;
}

static int
tmpfs_statfs(struct fs *fs, struct statfs_info *st)
{
  struct tmpfs *t = tmpfs_of(fs);

  st->type = TMPFS_MAGIC;
  st->bsize = PAGE_SIZE;
  spin_acquire(&t->lock);
  if(t->max_pages != UINT64_MAX) {
    st->blocks = t->max_pages;
    st->bfree = st->bavail = t->max_pages - min(t->pages, t->max_pages);
  }
  if(t->max_inodes != UINT64_MAX) {
    st->files = t->max_inodes;
    st->ffree = t->max_inodes - min(atomic_get(&fs->ninodes), t->max_inodes);
  }
  spin_release(&t->lock);
  return 0;
}

static void
tmpfs_unmount(struct fs *fs)
{
  struct inode *root = tmpfs_of(fs)->root;

  tmpdir_clear(root);
  inode_put(root);
}

static void
tmpfs_free(struct fs *fs)
{
  kfree(tmpfs_of(fs));
}

static int
tmpfs_remount(struct fs *fs, bool readonly, const char *options)
{
  struct tmpfs *t = tmpfs_of(fs);
  struct tmpfs_options o = {.max_pages = t->max_pages, .max_inodes = t->max_inodes};
  int err = parse_options(options, &o);

  if(err)
    return err;
  spin_acquire(&t->lock);
  if(o.max_pages < t->pages)
    err = -EINVAL;
  else {
    t->max_pages = o.max_pages;
    t->max_inodes = o.max_inodes;
    fs->readonly = readonly;
  }
  spin_release(&t->lock);
  return err;
}

static const struct fs_ops tmpfs_ops = {
    .statfs = tmpfs_statfs,
    .unmount = tmpfs_unmount,
    .remount = tmpfs_remount,
    .free = tmpfs_free,
};

// The root of a fresh file system. On an error t is gone: the last inode, or this, frees it.
static int
tmpfs_make_root(struct tmpfs *t, const struct tmpfs_options *o)
{
  struct inode *ip;
  int err = tmpfs_inode(&t->fs, 0, S_IFDIR | o->mode, 0, 0, &ip);

  if(err) {
    kfree(t);
    return err;
  }
  ip->uid = o->uid;
  ip->gid = o->gid;
  ip->nlink = 2;
  t->root = ip;
  t->fs.root = dentry_root(&t->fs, ip);
  if(!t->fs.root) {
    inode_put(ip);
    return -ENOMEM;
  }
  inode_get(ip); // t->root's
  return 0;
}

int
tmpfs_make(const char *source, const char *options, struct tmpfs **out)
{
  struct tmpfs_options o = {.max_pages = frames_total() / 2, .max_inodes = frames_total() / 2, .mode = ROOT_MODE};
  int err = parse_options(options, &o);
  struct tmpfs *t;

  if(err)
    return err;
  t = kzalloc(sizeof(*t));
  if(!t)
    return -ENOMEM;
  spin_init(&t->lock, "tmpfs", RANK_DCACHE);
  list_init(&t->fs.all);
  t->fs.ops = &tmpfs_ops;
  t->fs.type = "tmpfs";
  t->fs.dev = mount_anon_dev();
  strlcpy(t->fs.source, source, sizeof(t->fs.source));
  t->max_pages = o.max_pages;
  t->max_inodes = o.max_inodes;
  err = tmpfs_make_root(t, &o);
  if(!err)
    *out = t;
  return err;
}

static int
tmpfs_mount(const char *source, const char *options, struct fs **out)
{
  struct tmpfs *t;
  int err = tmpfs_make(source, options, &t);

  if(!err)
    *out = &t->fs;
  return err;
}

int
tmpfs_anon_file(const char *name, unsigned flags, unsigned mode, unsigned seals, struct file **out)
{
  char shown[NAME_MAX + 2];
  struct inode *ip;
  struct dentry *d;
  struct file *f;
  int err;

  f = file_alloc(&regular_fops, O_RDWR | O_LARGEFILE | flags);
  if(!f)
    return -ENOMEM;
  err = tmpfs_inode(&anon_fs->fs, 0, S_IFREG | mode, 0, 0, &ip);
  if(err) {
    file_put(f);
    return err;
  }
  ip->seals = seals;
  fmt(shown, sizeof(shown), "/%s", name);
  d = dentry_anon(&anon_fs->fs, shown, inode_get(ip));
  if(!d)
    inode_put(ip);
  f->inode = ip;
  f->dentry = d;
  if(!d) {
    file_put(f);
    return -ENOMEM;
  }
  *out = f;
  return 0;
}

void
tmpfs_init(void)
{
  static struct fs_type type = {.name = "tmpfs", .nodev = true, .mount = tmpfs_mount};

  node_cache = KMEM_CACHE(struct tmpnode);
  fs_register(&type);
  if(tmpfs_make("shm", "size=0,nr_inodes=0", &anon_fs) != 0)
    panic("no memory for the file system of memory files");
  anon_fs->fs.ref++;
}
