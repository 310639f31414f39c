// dir.c -- directories of tmpfs: names in two trees, one for look-up, one in the order of creation for readdir.
//
// Typical: tmpdir_create → tmpfs_inode, entry_new, entry_insert; an entry holds a reference on its inode.
// A cookie is never used twice, so a reader of the directory sees every name that stays, once, whatever else comes and
// goes. All are called with the directory's inode.lock, for writing where they change it. Knows no pages.
#include "core/print.h"
#include "fs/tmpfs/tmpfs.h"
#include "lib/hash.h"
#include "lib/string.h"

enum { POS_SELF = 0, POS_PARENT = 1, POS_FIRST = 2 }; // readdir's positions

static int
entry_order(uint32_t hash, const char *name, size_t len, const struct tmpentry *e)
{
  if(hash != e->hash)
    return hash < e->hash ? -1 : 1;
  if(len != e->len)
    return len < e->len ? -1 : 1;
  return memcmp(name, e->name, len);
}

static struct tmpentry *
entry_find(struct inode *dir, const char *name, size_t len)
{
  struct rbnode *n = tmpnode_of(dir)->by_name.root;
  uint32_t hash = hash_bytes(name, len);
  struct tmpentry *e;
  int order;

  while(n) {
    e = container_of(n, struct tmpentry, by_name);
    order = entry_order(hash, name, len, e);
    if(order == 0)
      return e;
    n = order < 0 ? n->left : n->right;
  }
  return 0;
}

// The entry of a name that the caller has just looked up under the same lock.
static struct tmpentry *
entry_of(struct inode *dir, const char *name, size_t len, const struct inode *ip)
{
  struct tmpentry *e = entry_find(dir, name, len);

  if(!e || e->ip != ip)
    panic("tmpfs directory %lu: name %s is not that of inode %lu", dir->ino, name, ip->ino);
  return e;
}

static struct tmpentry *
entry_new(const char *name, size_t len)
{
  struct tmpentry *e = kzalloc(sizeof(*e) + len + 1);

  if(!e)
    return 0;
  memcpy(e->name, name, len);
  e->len = len;
  e->hash = hash_bytes(name, len);
  return e;
}

static void
dir_touch(struct inode *dir)
{
  inode_modified(dir);
}

// Put e, which names ip, into dir. Takes over a reference on ip.
static void
entry_insert(struct inode *dir, struct tmpentry *e, struct inode *ip)
{
  struct tmpnode *t = tmpnode_of(dir);
  struct rbnode **at = &t->by_name.root, *up = 0;

  while(*at) {
    up = *at;
    at = entry_order(e->hash, e->name, e->len, container_of(up, struct tmpentry, by_name)) < 0 ? &up->left : &up->right;
  }
  rb_insert(&t->by_name, &e->by_name, up, at);
  e->ip = ip;
  e->cookie = ++t->last_cookie;
  up = rb_last(&t->by_cookie);
  rb_insert(&t->by_cookie, &e->by_cookie, up, up ? &up->right : &t->by_cookie.root);
  t->nentries++;
  dir_touch(dir);
}

// Take e out and free it. Its reference on the inode is the caller's now.
static void
entry_remove(struct inode *dir, struct tmpentry *e)
{
  struct tmpnode *t = tmpnode_of(dir);

  rb_remove(&t->by_name, &e->by_name);
  rb_remove(&t->by_cookie, &e->by_cookie);
  t->nentries--;
  kfree(e);
  dir_touch(dir);
}

int
tmpdir_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
  struct tmpentry *e = entry_find(dir, name, len);

  if(!e)
    return -ENOENT;
  *out = inode_get(e->ip);
  return 0;
}

// A new inode under a new name; `to` is a symbolic link's text.
static int
dir_make(struct inode *dir, const char *name, size_t len, unsigned mode, uint64_t rdev, const char *to,
         const struct cred *cr, struct inode **out)
{
  char *text = to ? kstrdup(to) : 0;
  struct tmpentry *e = entry_new(name, len);
  struct inode *ip = 0;
  int err = e && (text || !to) ? tmpfs_inode(dir->fs, dir, mode, rdev, cr, &ip) : -ENOMEM;

  if(err) {
    kfree(text);
    kfree(e);
    return err;
  }
  if(to) {
    tmpnode_of(ip)->link = text;
    ip->obj.size = strlen(text);
  }
  ip->nlink = 1;
  if(S_ISTYPE(mode, S_IFDIR)) {
    ip->nlink = 2;
    tmpnode_of(ip)->parent = dir;
    dir->nlink++;
  }
  entry_insert(dir, e, inode_get(ip));
  *out = ip;
  return 0;
}

int
tmpdir_create(struct inode *dir, const char *name, size_t len, unsigned mode, uint64_t rdev, const struct cred *cr,
              struct inode **out)
{
  return dir_make(dir, name, len, mode, rdev, 0, cr, out);
}

int
tmpdir_mkdir(struct inode *dir, const char *name, size_t len, unsigned mode, const struct cred *cr, struct inode **out)
{
  return dir_make(dir, name, len, mode, 0, 0, cr, out);
}

int
tmpdir_symlink(struct inode *dir, const char *name, size_t len, const char *to, const struct cred *cr,
               struct inode **out)
{
  return dir_make(dir, name, len, S_IFLNK | 0777, 0, to, cr, out);
}

int
tmpdir_link(struct inode *dir, const char *name, size_t len, struct inode *target)
{
  struct tmpentry *e = entry_new(name, len);

  if(!e)
    return -ENOMEM;
  target->nlink++;
  inode_changed(target);
  entry_insert(dir, e, inode_get(target));
  return 0;
}

// ip has one name less; a directory has none now.
static void
dir_lose(struct inode *dir, struct inode *ip)
{
  inode_changed(ip);
  if(S_ISTYPE(ip->mode, S_IFDIR)) {
    ip->nlink = 0;
    dir->nlink--;
  } else {
    ip->nlink--;
  }
  inode_put(ip);
}

int
tmpdir_unlink(struct inode *dir, const char *name, size_t len, struct inode *target)
{
  entry_remove(dir, entry_of(dir, name, len, target));
  dir_lose(dir, target);
  return 0;
}

int
tmpdir_rmdir(struct inode *dir, const char *name, size_t len, struct inode *target)
{
  if(tmpnode_of(target)->nentries > 0)
    return -ENOTEMPTY;
  return tmpdir_unlink(dir, name, len, target);
}

// A directory went from one parent to another.
static void
dir_reparent(struct inode *ip, struct inode *from, struct inode *to)
{
  if(!S_ISTYPE(ip->mode, S_IFDIR) || from == to)
    return;
  from->nlink--;
  to->nlink++;
  tmpnode_of(ip)->parent = to;
}

int
tmpdir_rename(struct inode *olddir, const char *oldname, size_t oldlen, struct inode *newdir, const char *newname,
              size_t newlen, struct inode *moved, struct inode *over)
{
  struct tmpentry *from = entry_of(olddir, oldname, oldlen, moved), *to = 0;

  if(over && S_ISTYPE(over->mode, S_IFDIR) && tmpnode_of(over)->nentries > 0)
    return -ENOTEMPTY;
  if(!over && (to = entry_new(newname, newlen)) == 0)
    return -ENOMEM;

  entry_remove(olddir, from);
  if(over) {
    entry_of(newdir, newname, newlen, over)->ip = moved;
    dir_lose(newdir, over);
    dir_touch(newdir);
  } else {
    entry_insert(newdir, to, moved);
  }
  dir_reparent(moved, olddir, newdir);
  inode_changed(moved);
  return 0;
}

int
tmpdir_exchange(struct inode *adir, const char *aname, size_t alen, struct inode *bdir, const char *bname, size_t blen,
                struct inode *a, struct inode *b)
{
  struct tmpentry *ea = entry_of(adir, aname, alen, a), *eb = entry_of(bdir, bname, blen, b);

  ea->ip = b;
  eb->ip = a;
  dir_reparent(a, adir, bdir);
  dir_reparent(b, bdir, adir);
  dir_touch(adir);
  dir_touch(bdir);
  inode_changed(a);
  inode_changed(b);
  return 0;
}

// The entry with the smallest cookie of at least `cookie`; 0 if there is none.
static struct tmpentry *
entry_from(struct inode *dir, uint64_t cookie)
{
  struct rbnode *n = tmpnode_of(dir)->by_cookie.root;
  struct tmpentry *e, *best = 0;

  while(n) {
    e = container_of(n, struct tmpentry, by_cookie);
    if(e->cookie >= cookie)
      best = e;
    n = e->cookie >= cookie ? n->left : n->right;
  }
  return best;
}

int
tmpdir_readdir(struct inode *dir, uint64_t *pos, dirent_fn *fn, void *arg)
{
  struct rbnode *next;
  struct tmpentry *e;

  if(*pos == POS_SELF) {
    if(!fn(arg, ".", 1, dir->ino, S_IFDIR, POS_PARENT))
      return 0;
    *pos = POS_PARENT;
  }
  if(*pos == POS_PARENT) {
    if(!fn(arg, "..", 2, tmpnode_of(dir)->parent->ino, S_IFDIR, POS_FIRST))
      return 0;
    *pos = POS_FIRST;
  }
  e = entry_from(dir, *pos - POS_FIRST + 1);
  while(e && fn(arg, e->name, e->len, e->ip->ino, e->ip->mode & S_IFMT, e->cookie + POS_FIRST)) {
    *pos = e->cookie + POS_FIRST;
    next = rb_next(&e->by_cookie);
    e = next ? container_of(next, struct tmpentry, by_cookie) : 0;
  }
  return 0;
}

void
tmpdir_clear(struct inode *root)
{
  struct inode *dir = root, *ip;
  struct rbnode *n;

  for(;;) {
    n = rb_first(&tmpnode_of(dir)->by_cookie);
    if(!n && dir == root)
      return;
    if(!n) {
      dir = tmpnode_of(dir)->parent;
      continue;
    }
    ip = container_of(n, struct tmpentry, by_cookie)->ip;
    if(S_ISTYPE(ip->mode, S_IFDIR) && tmpnode_of(ip)->nentries > 0) {
      dir = ip;
      continue;
    }
    entry_remove(dir, container_of(n, struct tmpentry, by_cookie));
    dir_lose(dir, ip);
  }
}
