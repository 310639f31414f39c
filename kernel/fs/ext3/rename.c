// rename.c -- a name moves, perhaps over another: one handle, so a crash leaves the old name or the new one, never both or
// none. A directory that moves to another parent takes its ".." along.
// Everything is found, and room made, before the first change.
// Typical: both directories' and both inodes' locks (w), from fs/names.c / ext3_rename(...).
// Knows nothing of permissions and of loops: fs/names.c has looked.
#include "fs/ext3/ext3.h"

enum { CREDITS_RENAME = 2 * (CREDITS_MAP + 2) + 3 + CREDITS_ORPHAN + 2 };

static bool
is_dir(const struct inode *ip)
{
  return ip && S_ISTYPE(ip->mode, S_IFDIR);
}

// Where ip's ".." is, if ip is a directory that gets another parent.
static int
find_parent_entry(struct inode *ip, bool moves, struct ext3_place *at)
{
  *at = (struct ext3_place){0};
  return moves && is_dir(ip) ? ext3_dir_find(ip, "..", 2, at) : 0;
}

// ip, whose ".." is at `dots`, went from one parent to another.
static void
reparent(struct handle *h, struct inode *ip, struct ext3_place *dots, struct inode *from, struct inode *to)
{
  if(dots->b == 0)
    return;
  ext3_dir_replace(h, ip, dots, to);
  from->nlink--;
  to->nlink++;
}

struct rename {
  struct inode *olddir, *newdir, *moved, *over; // over may be 0
  const char *oldname, *newname;
  size_t oldlen, newlen;
};

static int
find_target(struct handle *h, const struct rename *r, struct ext3_place *to)
{
  if(r->over)
    return ext3_dir_find(r->newdir, r->newname, r->newlen, to);
  return ext3_dir_room(h, r->newdir, r->newlen, to);
}

static void
put_new_name(struct handle *h, const struct rename *r, const struct ext3_place *to)
{
  if(!r->over) {
    ext3_dir_enter(h, r->newdir, to, r->newname, r->newlen, r->moved);
    return;
  }
  ext3_dir_replace(h, r->newdir, to, r->moved);
  r->newdir->nlink -= is_dir(r->over);
  ext3_lose_name(h, r->over);
}

static int
rename_in(struct handle *h, const struct rename *r)
{
  struct ext3_place from, to = {0}, dots = {0};
  int err = ext3_dir_find(r->olddir, r->oldname, r->oldlen, &from);

  if(err)
    return err;
  err = find_parent_entry(r->moved, r->olddir != r->newdir, &dots);
  if(!err)
    err = find_target(h, r, &to);
  if(!err) {
    // The new entry may split the old one's, or lie before it: what `from` says of its own entry stays true.
    put_new_name(h, r, &to);
    ext3_dir_remove(h, r->olddir, &from);
    reparent(h, r->moved, &dots, r->olddir, r->newdir);
    inode_changed(r->moved);
    ext3_store(h, r->moved);
    ext3_dir_touch(h, r->olddir);
    if(r->newdir != r->olddir)
      ext3_dir_touch(h, r->newdir);
  }
  ext3_place_put(&from);
  ext3_place_put(&to);
  ext3_place_put(&dots);
  return err;
}

int
ext3_rename(struct inode *olddir, const char *oldname, size_t oldlen, struct inode *newdir, const char *newname,
            size_t newlen, struct inode *moved, struct inode *over)
{
  struct rename r = {olddir, newdir, moved, over, oldname, newname, oldlen, newlen};
  struct ext3_fs *x = ext3_of(olddir);
  struct handle h;
  int err, tries = 0;

  if(is_dir(over) && (err = ext3_dir_is_empty(over)) <= 0)
    return err < 0 ? err : -ENOTEMPTY;
  if(is_dir(moved) && olddir != newdir && !over && newdir->nlink >= EXT3_LINK_MAX)
    return -EMLINK;
  do {
    if((err = ext3_begin(x, CREDITS_RENAME, &h)) != 0)
      return err;
    err = rename_in(&h, &r);
    ext3_end(x, &h);
  } while(err && ext3_again(x, err, &tries));
  return err;
}

static int
exchange_in(struct handle *h, struct rename *r)
{
  struct ext3_place a, b = {0}, adots = {0}, bdots = {0};
  bool moves = r->olddir != r->newdir;
  int err = ext3_dir_find(r->olddir, r->oldname, r->oldlen, &a);

  if(err)
    return err;
  err = ext3_dir_find(r->newdir, r->newname, r->newlen, &b);
  err = err ? err : find_parent_entry(r->moved, moves, &adots);
  err = err ? err : find_parent_entry(r->over, moves, &bdots);
  if(!err) {
    ext3_dir_replace(h, r->olddir, &a, r->over);
    ext3_dir_replace(h, r->newdir, &b, r->moved);
    reparent(h, r->moved, &adots, r->olddir, r->newdir);
    reparent(h, r->over, &bdots, r->newdir, r->olddir);
    inode_changed(r->moved);
    inode_changed(r->over);
    ext3_store(h, r->moved);
    ext3_store(h, r->over);
    ext3_dir_touch(h, r->olddir);
    ext3_dir_touch(h, r->newdir);
  }
  ext3_place_put(&a);
  ext3_place_put(&b);
  ext3_place_put(&adots);
  ext3_place_put(&bdots);
  return err;
}

int
ext3_exchange(struct inode *adir, const char *aname, size_t alen, struct inode *bdir, const char *bname, size_t blen,
              struct inode *a, struct inode *b)
{
  struct rename r = {adir, bdir, a, b, aname, bname, alen, blen};
  struct ext3_fs *x = ext3_of(adir);
  struct handle h;
  int err = 0;

  if(adir != bdir && is_dir(a) != is_dir(b) && (is_dir(a) ? bdir : adir)->nlink >= EXT3_LINK_MAX)
    return -EMLINK;
  err = ext3_begin(x, CREDITS_RENAME, &h);

  if(err)
    return err;
  err = exchange_in(&h, &r);
  ext3_end(x, &h);
  return err;
}
