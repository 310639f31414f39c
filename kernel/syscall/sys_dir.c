// sys_dir.c -- directories: where the caller stands, what lies in one, and what is mounted on one.
#include "lib/string.h"
#include "syscall/sys.h"

// The directory at path, if the caller may search it: referenced.
static int
dir_find(vaddr_t path, struct dentry **out)
{
  struct userpath p;
  int e = userpath_get(&p, AT_FDCWD, path, PATH_NONEMPTY);

  if(e)
    return e;
  e = userpath_find(&p, NAMEI_FOLLOW | NAMEI_DIRECTORY, out);
  userpath_put(&p);
  if(e)
    return e;
  e = inode_permission((*out)->inode, thread_self()->cred, MAY_EXEC);
  if(e)
    dentry_put(*out);
  return e;
}

int64_t
sys_chdir(const uint64_t *a)
{
  struct dentry *d;
  int e = dir_find(a[0], &d);

  if(e == 0)
    fsctx_set_cwd(thread_self()->fs, d);
  return e;
}

int64_t
sys_fchdir(const uint64_t *a)
{
  struct file *f = fd_any(a[0]);
  int e;

  if(!f)
    return -EBADF;
  if(!f->dentry || !S_ISTYPE(f->inode->mode, S_IFDIR))
    e = -ENOTDIR;
  else
    e = inode_permission(f->inode, thread_self()->cred, MAY_EXEC);
  if(e == 0)
    fsctx_set_cwd(thread_self()->fs, dentry_get(f->dentry));
  file_put(f);
  return e;
}

int64_t
sys_chroot(const uint64_t *a)
{
  struct dentry *d;
  int e = dir_find(a[0], &d);

  if(e)
    return e;
  if(!cred_capable(CAP_SYS_CHROOT)) {
    dentry_put(d);
    return -EPERM;
  }
  fsctx_set_root(thread_self()->fs, d);
  return 0;
}

// The result counts the string's NUL.
static int64_t
getcwd_out(const struct namectx *c, vaddr_t buf, uint64_t size)
{
  struct page *frame;
  char *path;
  int64_t n = user_frame(&frame);

  if(n)
    return n;
  path = dentry_path(c->cwd, c->root, page_va(frame), PAGE_SIZE, false);
  n = path ? (int64_t)strlen(path) + 1 : -ENAMETOOLONG;
  if(n > 0 && (uint64_t)n > size)
    n = -ERANGE;
  if(n > 0) {
    int e = user_out(buf, path, n);
    n = e ? e : n;
  }
  page_put(frame);
  return n;
}

int64_t
sys_getcwd(const uint64_t *a)
{
  struct namectx c;
  int64_t r;

  fsctx_names(thread_self(), &c);
  r = c.cwd->unhashed ? -ENOENT : getcwd_out(&c, a[0], a[1]);
  namectx_put(&c);
  return r;
}

int64_t
sys_umask(const uint64_t *a)
{
  return atomic_swap(&thread_self()->fs->umask, (uint32_t)a[0] & S_IRWXUGO);
}

// ---- getdents: entries collect in one page, which is copied out when the directory's lock is free again

enum dirent_form { DIRENT_OLD, DIRENT_64 };
struct dirents {
  enum dirent_form form;
  char *buf;
  size_t used, cap;
  bool refused; // an entry did not fit
};

enum { DIRENT_ALIGN = 8, DT_SHIFT = 12 };

static void
dirent_put64(void *at, const char *name, size_t len, size_t reclen, uint64_t ino, unsigned type, uint64_t off)
{
  struct linux_dirent64 *d = at;

  d->ino = ino;
  d->off = off;
  d->reclen = reclen;
  d->type = type;
  memcpy(d->name, name, len);
}

static void
dirent_put_old(void *at, const char *name, size_t len, size_t reclen, uint64_t ino, unsigned type, uint64_t off)
{
  struct linux_dirent *d = at;

  d->ino = ino;
  d->off = off;
  d->reclen = reclen;
  memcpy(d->name, name, len);
  ((uint8_t *)at)[reclen - 1] = type;
}

static bool
dirent_add(void *arg, const char *name, size_t len, uint64_t ino, unsigned mode_type, uint64_t next_pos)
{
  struct dirents *b = arg;
  size_t head = b->form == DIRENT_64 ? sizeof(struct linux_dirent64) + 1 : sizeof(struct linux_dirent) + 2;
  size_t reclen = round_up(head + len, DIRENT_ALIGN);
  unsigned type = (mode_type & S_IFMT) >> DT_SHIFT;

  if(reclen > b->cap - b->used) {
    b->refused = true;
    return false;
  }
  memset(b->buf + b->used, 0, reclen);
  (b->form == DIRENT_64 ? dirent_put64 : dirent_put_old)(b->buf + b->used, name, len, reclen, ino, type, next_pos);
  b->used += reclen;
  return true;
}

static int64_t
dirents_read(struct file *f, vaddr_t buf, uint32_t size, enum dirent_form form)
{
  struct dirents b = {.form = form, .cap = min(size, PAGE_SIZE)};
  struct page *frame;
  int64_t r = user_frame(&frame);

  if(r)
    return r;
  b.buf = page_va(frame);
  r = file_readdir(f, dirent_add, &b);
  if(b.used)
    r = user_out(buf, b.buf, b.used);
  else if(r == 0 && b.refused)
    r = -EINVAL;
  page_put(frame);
  return r ? r : (int64_t)b.used;
}

static int64_t
getdents(const uint64_t *a, enum dirent_form form)
{
  struct file *f = fd_file(a[0]);
  int64_t r;

  if(!f)
    return -EBADF;
  if(!f->inode || !S_ISTYPE(f->inode->mode, S_IFDIR))
    r = -ENOTDIR;
  else
    r = dirents_read(f, a[1], a[2], form);
  file_put(f);
  return r;
}

int64_t
sys_getdents(const uint64_t *a)
{
  return getdents(a, DIRENT_OLD);
}

int64_t
sys_getdents64(const uint64_t *a)
{
  return getdents(a, DIRENT_64);
}

// ---- mounts

static void
mount_strings_put(struct page *s[], int n)
{
  for(int i = 0; i < n; i++)
    if(s[i])
      page_put(s[i]);
}

enum { MOUNT_SOURCE, MOUNT_TARGET, MOUNT_TYPE, MOUNT_OPTIONS, MOUNT_STRINGS };

int64_t
sys_mount(const uint64_t *a)
{
  struct page *s[MOUNT_STRINGS] = {0};
  struct namectx c;
  int e = 0;

  for(int i = 0; i < MOUNT_STRINGS && e == 0; i++) {
    uint64_t from = a[i == MOUNT_OPTIONS ? 4 : i];

    if(from || i == MOUNT_TARGET)
      e = user_string(&s[i], from);
    if(e)
      s[i] = 0;
  }
  if(e == 0 && !cred_capable(CAP_SYS_ADMIN))
    e = -EPERM;
  if(e == 0) {
    fsctx_names(thread_self(), &c);
    e = vfs_mount(&c, s[MOUNT_SOURCE] ? page_va(s[MOUNT_SOURCE]) : "none", page_va(s[MOUNT_TARGET]),
                  s[MOUNT_TYPE] ? page_va(s[MOUNT_TYPE]) : "", a[3], s[MOUNT_OPTIONS] ? page_va(s[MOUNT_OPTIONS]) : 0);
    namectx_put(&c);
  }
  mount_strings_put(s, MOUNT_STRINGS);
  return e;
}

enum { MNT_FORCE = 1, MNT_DETACH = 2, MNT_EXPIRE = 4, UMOUNT_NOFOLLOW = 8 };

int64_t
sys_umount2(const uint64_t *a)
{
  struct page *path;
  struct namectx c;
  int e;

  if((uint32_t)a[1] & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW))
    return -EINVAL;
  if(!cred_capable(CAP_SYS_ADMIN))
    return -EPERM;
  if((uint32_t)a[1] & (MNT_DETACH | MNT_EXPIRE)) // neither is built
    return -EINVAL;
  e = user_string(&path, a[0]);
  if(e)
    return e;
  fsctx_names(thread_self(), &c);
  e = vfs_umount(&c, page_va(path), (uint32_t)a[1] & MNT_FORCE);
  namectx_put(&c);
  page_put(path);
  return e;
}
