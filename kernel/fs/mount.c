// mount.c -- which file systems there are, where they lie, and their start.
//
// Typical: fs_register(&type) at start / mount_at_boot("devfs", "/dev") / vfs_mount(...) for mount(2).
// The list is in the order of mounting. What a path sees is in the dentries (dentry_cover); the list is for umount,
// sync and /proc/mounts. Knows no file system by name.
#include "fs/internal.h"
#include "fs/perm.h"
#include "core/print.h"
#include "lib/atomic.h"
#include "lib/string.h"

enum { // flags of mount(2); Linux's values
  MS_RDONLY = 1,
  MS_NOSUID = 2,
  MS_NODEV = 4,
  MS_NOEXEC = 8,
  MS_REMOUNT = 32,
  MS_BIND = 4096,
  MS_MOVE = 8192,
  MS_REC = 16384,
  MS_SILENT = 32768,
  MS_UNBINDABLE = 1 << 17,
  MS_PRIVATE = 1 << 18,
  MS_SLAVE = 1 << 19,
  MS_SHARED = 1 << 20,
};
enum { HASH_MIN = 256, HASH_MAX = 1 << 15, FRAMES_PER_CHAIN = 16 };

struct dentry *vfs_root;
struct fs_type *fs_types;
static struct spinlock mounts_lock = SPINLOCK_INIT("mounts", RANK_ICACHE);
static struct list mounts = LIST_INIT(mounts); // (mounts_lock) every mounted fs
static uint64_t next_dev;                      // (a)

struct list *
hash_table(uint64_t *mask)
{
  uint64_t n = HASH_MIN;
  struct list *table;

  while(n < HASH_MAX && n * FRAMES_PER_CHAIN < frames_total())
    n *= 2;
  table = kzalloc(n * sizeof(table[0]));
  if(!table)
    panic("no memory for %lu hash chains", n);
  for(uint64_t i = 0; i < n; i++)
    list_init(&table[i]);
  *mask = n - 1;
  return table;
}

uint64_t
mount_anon_dev(void)
{
  return atomic_add(&next_dev, 1);
}

// Types are registered at start, by one CPU, and never taken back.
void
fs_register(struct fs_type *t)
{
  struct fs_type **at = &fs_types;

  while(*at)
    at = &(*at)->next;
  t->next = 0;
  *at = t;
}

static struct fs_type *
fs_type_find(const char *name)
{
  struct fs_type *t = fs_types;

  while(t && strcmp(t->name, name) != 0)
    t = t->next;
  return t;
}

int
mount_add(struct fs *fs, struct dentry *on)
{
  int err = 0;

  atomic_add(&fs->ref, 1);
  if(on)
    err = dentry_cover(on, fs);
  else
    vfs_root = fs->root;
  if(err) {
    atomic_sub(&fs->ref, 1);
    return err;
  }
  spin_acquire(&mounts_lock);
  list_add_tail(&mounts, &fs->all);
  spin_release(&mounts_lock);
  return 0;
}

struct fs *
mount_next(struct fs *fs)
{
  struct list *it;
  struct fs *next = 0;

  spin_acquire(&mounts_lock);
  it = fs ? fs->all.next : mounts.next;
  if(it != &mounts && !(fs && it == &fs->all)) { // one that was unmounted meanwhile leads nowhere
    next = list_entry(it, struct fs, all);
    atomic_add(&next->ref, 1);
  }
  spin_release(&mounts_lock);
  if(fs)
    fs_put(fs);
  return next;
}

void
fs_put(struct fs *fs)
{
  if(atomic_sub(&fs->ref, 1) == 0 && fs->ops->free)
    fs->ops->free(fs);
}

// Take back what `unmount` of a type undoes: the fs is in no tree.
static void
fs_discard(struct fs *fs)
{
  dentry_forget_fs(fs);
  dentry_put(fs->root);
  fs->ops->unmount(fs);
  fs_put(fs);
}

// Mount fs on a directory, whose reference is taken over.
static int
mount_on(struct fs *fs, struct dentry *on)
{
  int err = inode_is(on->inode, S_IFDIR) ? mount_add(fs, on) : -ENOTDIR;

  if(err)
    dentry_put(on);
  return err;
}

int
mount_at(struct fs *fs, const char *path)
{
  struct namectx c = {.root = vfs_root, .cwd = vfs_root};
  struct dentry *on;
  int err = namei(&c, 0, path, NAMEI_FOLLOW | NAMEI_DIRECTORY, &on);

  return err ? err : mount_on(fs, on);
}

int
mount_at_boot(const char *type, const char *path)
{
  struct fs_type *t = fs_type_find(type);
  struct fs *fs;
  int err;

  if(!t)
    return -ENODEV;
  err = t->mount(type, "", &fs);
  if(err)
    return err;
  err = mount_at(fs, path);
  if(err && fs->ops->unmount) {
    atomic_add(&fs->ref, 1); // which fs_discard gives back
    fs_discard(fs);
  }
  return err;
}

// mount -o remount: only what may change.
static int
mount_change(struct dentry *on, unsigned long flags, const char *options)
{
  struct fs *fs = on->fs;

  if(on != fs->root || !fs->ops->remount)
    return -EINVAL;
  return fs->ops->remount(fs, flags & MS_RDONLY, options);
}

static int
mount_new(struct dentry *on, const char *source, const char *type, unsigned long flags, const char *options)
{
  struct fs_type *t = type ? fs_type_find(type) : 0;
  struct fs *fs;
  int err;

  if(!t)
    return -ENODEV;
  err = t->mount(source ? source : "none", options ? options : "", &fs);
  if(err)
    return err;
  if(flags & MS_RDONLY)
    fs->readonly = true;
  fs->noexec = flags & MS_NOEXEC;
  strlcpy(fs->source, source ? source : "none", sizeof(fs->source));
  err = mount_on(fs, dentry_get(on));
  if(err && fs->ops->unmount) {
    atomic_add(&fs->ref, 1); // which fs_discard gives back
    fs_discard(fs);
  }
  return err;
}

int
vfs_mount(const struct namectx *c, const char *source, const char *path, const char *type, unsigned long flags,
          const char *options)
{
  struct dentry *on;
  int err;

  if(!cred_has(c->cred, FSCAP_SYS_ADMIN))
    return -EPERM;
  if(flags & (MS_BIND | MS_MOVE | MS_SLAVE | MS_SHARED | MS_UNBINDABLE))
    return -EINVAL;
  err = namei(c, 0, path, NAMEI_FOLLOW, &on);
  if(err)
    return err;
  if(flags & MS_PRIVATE) // there is one view of the tree: every mount is private already
    err = 0;
  else if(flags & MS_REMOUNT)
    err = mount_change(on, flags, options);
  else
    err = mount_new(on, source, type, flags, options);
  dentry_put(on);
  return err;
}

// The tree leads to fs no more: off the list, and away.
static void
mount_remove(struct fs *fs)
{
  spin_acquire(&mounts_lock);
  list_del(&fs->all);
  spin_release(&mounts_lock);
  fs_discard(fs);
}

int
vfs_umount(const struct namectx *c, const char *path)
{
  struct dentry *d;
  struct fs *fs;
  int err;

  if(!cred_has(c->cred, FSCAP_SYS_ADMIN))
    return -EPERM;
  err = namei(c, 0, path, NAMEI_FOLLOW, &d);
  if(err)
    return err;
  fs = d->fs;
  err = d != fs->root ? -EINVAL : !fs->ops->unmount ? -EBUSY : 0;
  dentry_put(d);
  if(err)
    return err;
  err = inode_sync_fs(fs);
  if(!err && fs->ops->sync)
    err = fs->ops->sync(fs);
  if(!err)
    err = dentry_uncover(fs);
  if(!err)
    mount_remove(fs);
  return err;
}

int
vfs_sync_all(void)
{
  int err = 0, e;

  for(struct fs *fs = mount_next(0); fs; fs = mount_next(fs)) {
    if(fs->readonly || !fs->ops->sync)
      continue;
    e = inode_sync_fs(fs);
    err = err ? err : e;
    e = fs->ops->sync(fs);
    err = err ? err : e;
  }
  return err;
}

int
vfs_statfs(struct fs *fs, struct statfs_info *st)
{
  memset(st, 0, sizeof(*st));
  st->namelen = NAME_MAX;
  st->flags = (fs->readonly ? MS_RDONLY : 0) | (fs->noexec ? MS_NOEXEC : 0);
  return fs->ops->statfs ? fs->ops->statfs(fs, st) : -ENOSYS;
}

void
vfs_init(void)
{
  inode_init();
  dentry_init();
  names_init();
  file_init();
  pipe_init();
  anonfile_init();
  unix_init();
}
