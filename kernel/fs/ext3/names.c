// names.c -- names come and go: create, mkdir, symlink, link, unlink, rmdir, O_TMPFILE. Each is one handle: after a crash it
// happened or it did not.
// In each, what can fail comes first (room for the name, the inode), then nothing can. A full disk may be full of blocks
// that wait for a commit: then the handle ends, the commit is waited for, and all is tried once more.
// Typical: directory's lock (w), from fs/names.c / ext3_create(dir, name, len, mode, rdev, cr, &ip).
// Knows nothing of permissions and paths.
#include "fs/ext3/ext3.h"
#include "lib/string.h"

enum {
  CREDITS_DIR = CREDITS_MAP + 2, // a name in a directory, and the directory's inode
  CREDITS_CREATE = CREDITS_DIR + CREDITS_INODE + CREDITS_ORPHAN + CREDITS_MAP + 1, // the new inode may have a block
  CREDITS_UNLINK = CREDITS_DIR + 1 + CREDITS_ORPHAN,
};

struct making { // one new inode under a new name
  struct inode *dir;
  const char *name;
  size_t len;
  unsigned mode;
  uint64_t rdev;
  const char *to; // a symbolic link's text
  const struct cred *cr;
};

void
ext3_dir_touch(struct handle *h, struct inode *dir)
{
  inode_modified(dir);
  ext3_store(h, dir);
}

void
ext3_lose_name(struct handle *h, struct inode *ip)
{
  ip->nlink = S_ISTYPE(ip->mode, S_IFDIR) ? 0 : ip->nlink - 1;
  inode_changed(ip);
  if(ip->nlink == 0)
    ext3_orphan_add(h, ip);
  ext3_store(h, ip);
}

// The text of a symbolic link: in the inode if it is short, else in a block of its own.
static int
put_link(struct handle *h, struct inode *ip, const char *to)
{
  struct ext3_info *info = ext3_info(ip);
  size_t len = strlen(to);
  uint32_t block;
  struct buf *b;
  bool fresh;
  int err = 0;

  if(len >= EXT3_BLOCK)
    return -ENAMETOOLONG;
  if(len < EXT3_FAST_LINK) {
    memcpy(info->block, to, len);
    info->fast_link = true;
  } else {
    sleep_acquire(&info->lock);
    err = ext3_grow(h, ip, 0, &block, &fresh);
    sleep_release(&info->lock);
    if(err)
      return err;
    b = ext3_new_surely(h, block);
    memcpy(b->data, to, len);
    buf_put(b);
  }
  ip->obj.size = info->disksize = len;
  return 0;
}

// What the new inode holds from the start.
static int
put_contents(struct handle *h, const struct making *m, struct inode *ip)
{
  if(m->to)
    return put_link(h, ip, m->to);
  if(S_ISTYPE(m->mode, S_IFDIR))
    return ext3_dir_start(h, ip, m->dir);
  ip->rdev = m->rdev;
  return 0;
}

// A new inode with contents, and no name yet. On an error *ip, if it is not 0, is an orphan that the caller puts after the
// handle.
static int
make_inode(struct handle *h, const struct making *m, struct inode **ip)
{
  int err = ext3_ialloc(h, m->dir, m->mode, m->cr, ip);

  if(err)
    return err;
  err = put_contents(h, m, *ip);
  if(err) {
    ext3_orphan_add(h, *ip);
    ext3_store(h, *ip);
  }
  return err;
}

static int
make_in(struct handle *h, const struct making *m, struct inode **ip)
{
  bool is_dir = S_ISTYPE(m->mode, S_IFDIR);
  struct ext3_place at;
  int err = ext3_dir_room(h, m->dir, m->len, &at);

  if(err)
    return err;
  err = make_inode(h, m, ip);
  if(!err) {
    (*ip)->nlink = is_dir ? 2 : 1;
    m->dir->nlink += is_dir;
    ext3_dir_enter(h, m->dir, &at, m->name, m->len, *ip);
    ext3_store(h, *ip);
  }
  ext3_place_put(&at);
  if(!err)
    ext3_dir_touch(h, m->dir);
  return err;
}

static int
make(const struct making *m, struct inode **out)
{
  struct ext3_fs *x = ext3_of(m->dir);
  struct inode *ip;
  struct handle h;
  int err, tries = 0;

  if(S_ISTYPE(m->mode, S_IFDIR) && m->dir->nlink >= EXT3_LINK_MAX)
    return -EMLINK;
  do {
    if((err = ext3_begin(x, CREDITS_CREATE, &h)) != 0)
      return err;
    ip = 0;
    err = make_in(&h, m, &ip);
    ext3_end(x, &h);
    if(err)
      inode_put(ip);
  } while(err && ext3_again(x, err, &tries));
  *out = ip;
  return err;
}

int
ext3_create(struct inode *dir, const char *name, size_t len, unsigned mode, uint64_t rdev, const struct cred *cr,
            struct inode **out)
{
  struct making m = {.dir = dir, .name = name, .len = len, .mode = mode, .rdev = rdev, .cr = cr};

  return make(&m, out);
}

int
ext3_mkdir(struct inode *dir, const char *name, size_t len, unsigned mode, const struct cred *cr, struct inode **out)
{
  struct making m = {.dir = dir, .name = name, .len = len, .mode = mode, .cr = cr};

  return make(&m, out);
}

int
ext3_symlink(struct inode *dir, const char *name, size_t len, const char *to, const struct cred *cr, struct inode **out)
{
  struct making m = {.dir = dir, .name = name, .len = len, .mode = S_IFLNK | 0777, .to = to, .cr = cr};

  return make(&m, out);
}

int
ext3_tmpfile(struct inode *dir, unsigned mode, const struct cred *cr, struct inode **out)
{
  struct making m = {.dir = dir, .mode = mode, .cr = cr};
  struct ext3_fs *x = ext3_of(dir);
  struct handle h;
  int err = ext3_begin(x, CREDITS_CREATE, &h);

  if(err)
    return err;
  *out = 0;
  err = make_inode(&h, &m, out);
  if(!err) {
    ext3_orphan_add(&h, *out);
    ext3_store(&h, *out);
  }
  ext3_end(x, &h);
  if(err)
    inode_put(*out);
  return err;
}

static int
link_in(struct handle *h, struct inode *dir, const char *name, size_t len, struct inode *ip)
{
  struct ext3_place at;
  int err = ext3_dir_room(h, dir, len, &at);

  if(err)
    return err;
  if(ip->nlink == 0)
    ext3_orphan_del(h, ip);
  ip->nlink++;
  inode_changed(ip);
  ext3_dir_enter(h, dir, &at, name, len, ip);
  ext3_place_put(&at);
  ext3_store(h, ip);
  ext3_dir_touch(h, dir);
  return 0;
}

int
ext3_link(struct inode *dir, const char *name, size_t len, struct inode *ip)
{
  struct ext3_fs *x = ext3_of(dir);
  struct handle h;
  int err, tries = 0;

  if(ip->nlink >= EXT3_LINK_MAX)
    return -EMLINK;
  do {
    if((err = ext3_begin(x, CREDITS_DIR + 1 + CREDITS_ORPHAN, &h)) != 0)
      return err;
    err = link_in(&h, dir, name, len, ip);
    ext3_end(x, &h);
  } while(err && ext3_again(x, err, &tries));
  return err;
}

int
ext3_unlink(struct inode *dir, const char *name, size_t len, struct inode *ip)
{
  struct ext3_fs *x = ext3_of(dir);
  struct ext3_place at;
  struct handle h;
  int err = ext3_begin(x, CREDITS_UNLINK, &h);

  if(err)
    return err;
  err = ext3_dir_find(dir, name, len, &at);
  if(!err) {
    ext3_dir_remove(&h, dir, &at);
    ext3_place_put(&at);
    ext3_lose_name(&h, ip);
    dir->nlink -= S_ISTYPE(ip->mode, S_IFDIR);
    ext3_dir_touch(&h, dir);
  }
  ext3_end(x, &h);
  return err;
}

int
ext3_rmdir(struct inode *dir, const char *name, size_t len, struct inode *ip)
{
  int r = ext3_dir_is_empty(ip);

  if(r <= 0)
    return r < 0 ? r : -ENOTEMPTY;
  return ext3_unlink(dir, name, len, ip);
}
