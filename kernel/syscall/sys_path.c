// sys_path.c -- names: make, link, move and remove them, and read what a symbolic link says.
// Typical: userpath_get / one vfs_ call / userpath_put.
// Must not know: what a directory looks like inside.
#include "syscall/sys.h"

static int64_t
mkdir_at(int dirfd, vaddr_t path, uint32_t mode)
{
  struct userpath p;
  int e = userpath_get(&p, dirfd, path, PATH_NONEMPTY);

  if(e)
    return e;
  e = vfs_mkdir(&p.ctx, p.at, p.name, mode & (S_IRWXUGO | S_ISVTX) & ~umask_now());
  userpath_put(&p);
  return e;
}

int64_t
sys_mkdir(const uint64_t *a)
{
  return mkdir_at(AT_FDCWD, a[0], a[1]);
}

int64_t
sys_mkdirat(const uint64_t *a)
{
  return mkdir_at(a[0], a[1], a[2]);
}

static int64_t
remove_at(int dirfd, vaddr_t path, uint32_t flags)
{
  struct userpath p;
  int e;

  if(flags & ~AT_REMOVEDIR)
    return -EINVAL;
  e = userpath_get(&p, dirfd, path, PATH_NONEMPTY);
  if(e)
    return e;
  e = flags ? vfs_rmdir(&p.ctx, p.at, p.name) : vfs_unlink(&p.ctx, p.at, p.name);
  userpath_put(&p);
  return e;
}

int64_t
sys_rmdir(const uint64_t *a)
{
  return remove_at(AT_FDCWD, a[0], AT_REMOVEDIR);
}

int64_t
sys_unlink(const uint64_t *a)
{
  return remove_at(AT_FDCWD, a[0], 0);
}

int64_t
sys_unlinkat(const uint64_t *a)
{
  return remove_at(a[0], a[1], a[2]);
}

// Two paths at once, walked by one caller from one root and one cwd.
struct pathpair {
  struct userpath from, to;
};

static int
pathpair_get(struct pathpair *p, int fromfd, vaddr_t from, enum userpath_how how, int tofd, vaddr_t to)
{
  int e = userpath_get(&p->from, fromfd, from, how);

  if(e)
    return e;
  e = userpath_get(&p->to, tofd, to, PATH_NONEMPTY);
  if(e)
    userpath_put(&p->from);
  return e;
}

static void
pathpair_put(struct pathpair *p)
{
  userpath_put(&p->to);
  userpath_put(&p->from);
}

static int64_t
link_at(int fromfd, vaddr_t from, int tofd, vaddr_t to, uint32_t flags)
{
  struct pathpair p;
  int how = 0, e;

  if(flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
    return -EINVAL;
  if(flags & AT_EMPTY_PATH && !cred_capable(CAP_DAC_READ_SEARCH))
    return -ENOENT;
  how |= flags & AT_SYMLINK_FOLLOW ? NAMEI_FOLLOW : 0;
  how |= flags & AT_EMPTY_PATH ? NAMEI_EMPTY : 0;
  e = pathpair_get(&p, fromfd, from, flags & AT_EMPTY_PATH ? PATH_MAYBE_EMPTY : PATH_NONEMPTY, tofd, to);
  if(e)
    return e;
  e = vfs_link(&p.from.ctx, p.from.at, p.from.name, how, p.to.at, p.to.name);
  pathpair_put(&p);
  return e;
}

int64_t
sys_link(const uint64_t *a)
{
  return link_at(AT_FDCWD, a[0], AT_FDCWD, a[1], 0);
}

int64_t
sys_linkat(const uint64_t *a)
{
  return link_at(a[0], a[1], a[2], a[3], a[4]);
}

static int64_t
rename_at(int fromfd, vaddr_t from, int tofd, vaddr_t to, uint32_t flags)
{
  struct pathpair p;
  int e;

  // Whiteouts belong to union mounts, of which there are none.
  if(flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE) || flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
    return -EINVAL;
  e = pathpair_get(&p, fromfd, from, PATH_NONEMPTY, tofd, to);
  if(e)
    return e;
  e = vfs_rename(&p.from.ctx, p.from.at, p.from.name, p.to.at, p.to.name, flags);
  pathpair_put(&p);
  return e;
}

int64_t
sys_rename(const uint64_t *a)
{
  return rename_at(AT_FDCWD, a[0], AT_FDCWD, a[1], 0);
}

int64_t
sys_renameat(const uint64_t *a)
{
  return rename_at(a[0], a[1], a[2], a[3], 0);
}

int64_t
sys_renameat2(const uint64_t *a)
{
  return rename_at(a[0], a[1], a[2], a[3], a[4]);
}

static int64_t
symlink_at(vaddr_t text, int dirfd, vaddr_t path)
{
  struct userpath p;
  struct page *frame;
  int e = user_string(&frame, text);

  if(e)
    return e;
  e = *(char *)page_va(frame) ? userpath_get(&p, dirfd, path, PATH_NONEMPTY) : -ENOENT;
  if(e == 0) {
    e = vfs_symlink(&p.ctx, page_va(frame), p.at, p.name);
    userpath_put(&p);
  }
  page_put(frame);
  return e;
}

int64_t
sys_symlink(const uint64_t *a)
{
  return symlink_at(a[0], AT_FDCWD, a[1]);
}

int64_t
sys_symlinkat(const uint64_t *a)
{
  return symlink_at(a[0], a[1], a[2]);
}

static int64_t
readlink_dentry(struct dentry *d, vaddr_t buf, int size)
{
  struct page *frame;
  int64_t n = user_frame(&frame);

  if(n)
    return n;
  n = vfs_readlink(d, page_va(frame), min((uint64_t)size, PAGE_SIZE));
  if(n > 0) {
    int e = user_out(buf, page_va(frame), n);
    n = e ? e : n;
  }
  page_put(frame);
  return n;
}

static int64_t
readlink_at(int dirfd, vaddr_t path, vaddr_t buf, int size)
{
  struct userpath p;
  struct dentry *d;
  int64_t r;

  if(size <= 0)
    return -EINVAL;
  r = userpath_get(&p, dirfd, path, dirfd == AT_FDCWD ? PATH_NONEMPTY : PATH_MAYBE_EMPTY);
  if(r)
    return r;
  r = userpath_find(&p, NAMEI_EMPTY, &d);
  if(r == 0) {
    if(S_ISTYPE(d->inode->mode, S_IFLNK))
      r = readlink_dentry(d, buf, size);
    else
      r = p.name[0] ? -EINVAL : -ENOENT;
    dentry_put(d);
  }
  userpath_put(&p);
  return r;
}

int64_t
sys_readlink(const uint64_t *a)
{
  return readlink_at(AT_FDCWD, a[0], a[1], a[2]);
}

int64_t
sys_readlinkat(const uint64_t *a)
{
  return readlink_at(a[0], a[1], a[2], a[3]);
}

static int
mknod_check(uint32_t mode)
{
  switch(mode & S_IFMT) {
  case 0:
  case S_IFREG:
  case S_IFIFO:
  case S_IFSOCK: return 0;
  case S_IFCHR:
  case S_IFBLK: return cred_capable(CAP_MKNOD) ? 0 : -EPERM;
  case S_IFDIR: return -EPERM;
  default: return -EINVAL;
  }
}

static int64_t
mknod_at(int dirfd, vaddr_t path, uint32_t mode, uint32_t dev)
{
  struct userpath p;
  int e = mknod_check(mode);

  if(e)
    return e;
  e = userpath_get(&p, dirfd, path, PATH_NONEMPTY);
  if(e)
    return e;
  if(!(mode & S_IFMT))
    mode |= S_IFREG;
  e = vfs_mknod(&p.ctx, p.at, p.name, (mode & S_IFMT) | (mode & S_IALLUGO & ~umask_now()), dev);
  userpath_put(&p);
  return e;
}

int64_t
sys_mknod(const uint64_t *a)
{
  return mknod_at(AT_FDCWD, a[0], a[1], a[2]);
}

int64_t
sys_mknodat(const uint64_t *a)
{
  return mknod_at(a[0], a[1], a[2], a[3]);
}
