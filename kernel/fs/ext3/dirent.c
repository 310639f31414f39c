// dirent.c -- entries of directories come, change and go: in a handle, with the directory's lock held for writing.
// An entry takes the room that is free behind a shorter one, or an unused one; if there is none, the directory gets one
// block more. Removing gives the room to the entry before. A hashed directory (EXT3_INDEX) stops being one at the first
// change: its index blocks look like unused entries, and become that.
// Typical: ext3_dir_room(&h, dir, len, &at) / ext3_dir_enter(&h, dir, &at, name, len, ip) / ext3_place_put(&at).
// Knows nothing of link counts and times: names.c does.
#include "fs/ext3/ext3.h"
#include "lib/string.h"

enum { SELF = 1, PARENT = 2 }; // lengths of "." and ".."

void
ext3_place_put(struct ext3_place *at)
{
  if(at->b)
    buf_put(at->b);
  at->b = 0;
}

static uint8_t
type_of(const struct inode *ip)
{
  switch(ip->mode & S_IFMT) {
  case S_IFREG: return 1;
  case S_IFDIR: return 2;
  case S_IFCHR: return 3;
  case S_IFBLK: return 4;
  case S_IFIFO: return 5;
  case S_IFSOCK: return 6;
  case S_IFLNK: return 7;
  default: return 0;
  }
}

static uint32_t
used_by(const struct ext3_dirent *e)
{
  return e->inode ? ext3_dirent_need(e->name_len) : 0;
}

// The first entry of a block with room for `need` bytes. 1 and *off; 0: none; -EIO
static int
block_room(struct inode *dir, void *block, uint32_t need, uint32_t *off)
{
  for(*off = 0; *off < EXT3_BLOCK;) {
    const struct ext3_dirent *e = ext3_entry(ext3_of(dir), block, *off);

    if(e == 0)
      return ext3_corrupt(ext3_of(dir), dir->ino, *off);
    if(e->rec_len - used_by(e) >= need)
      return 1;
    *off += e->rec_len;
  }
  return 0;
}

// One block more, all of it one unused entry.
static int
add_block(struct handle *h, struct inode *dir, struct ext3_place *at)
{
  struct ext3_info *info = ext3_info(dir);
  uint32_t block;
  bool fresh;
  int err;

  at->n = dir->obj.size / EXT3_BLOCK;
  at->off = 0;
  sleep_acquire(&info->lock);
  err = ext3_grow(h, dir, at->n, &block, &fresh);
  if(!err && !fresh)
    err = ext3_corrupt(ext3_of(dir), dir->ino, at->n);
  if(!err) {
    at->b = ext3_new_surely(h, block);
    ext3_place_entry(at)->rec_len = EXT3_BLOCK;
    dir->obj.size += EXT3_BLOCK;
    info->disksize = dir->obj.size;
    ext3_store_locked(h, dir);
  }
  sleep_release(&info->lock);
  if(!err)
    dirindex_room(dir, at->n, at->b->data);
  return err;
}

// Search block after block from where there was room last.
static int
search_room(struct inode *dir, uint32_t need, struct ext3_place *at)
{
  struct dirindex *index = dirindex_get(dir);
  uint64_t blocks = dir->obj.size / EXT3_BLOCK;
  int r;

  at->n = index ? dirindex_find_room(index, need) : ext3_info(dir)->room_at;
  for(; at->n < blocks; at->n++) {
    if((r = ext3_dir_block(dir, at->n, &at->b)) != 0)
      return r > 0 ? -ENOSPC : r;
    r = block_room(dir, at->b->data, need, &at->off);
    if(r > 0)
      return 0;
    ext3_place_put(at);
    if(r < 0)
      return r;
  }
  return -ENOSPC;
}

int
ext3_dir_room(struct handle *h, struct inode *dir, size_t len, struct ext3_place *at)
{
  int err;

  *at = (struct ext3_place){0};
  err = search_room(dir, ext3_dirent_need(len), at);
  if(err == -ENOSPC)
    err = add_block(h, dir, at);
  if(!err)
    ext3_info(dir)->room_at = at->n;
  return err;
}

static void
changed(struct handle *h, struct inode *dir, const struct ext3_place *at)
{
  txn_declare(h, at->b);
  ext3_info(dir)->flags &= ~EXT3_INDEX;
}

static void
fill_entry(struct ext3_dirent *e, const char *name, size_t len, const struct inode *ip)
{
  e->inode = ip->ino;
  e->name_len = len;
  e->file_type = type_of(ip);
  memcpy(e + 1, name, len);
}

void
ext3_dir_enter(struct handle *h, struct inode *dir, const struct ext3_place *at, const char *name, size_t len,
               const struct inode *ip)
{
  struct ext3_dirent *e = ext3_place_entry(at), *fresh;
  uint32_t used = used_by(e);

  changed(h, dir, at);
  if(used) {
    fresh = (struct ext3_dirent *)((char *)e + used);
    fresh->rec_len = e->rec_len - used;
    e->rec_len = used;
    e = fresh;
  }
  fill_entry(e, name, len, ip);
  dirindex_add(dir, name, len, at->n);
  dirindex_room(dir, at->n, at->b->data);
}

void
ext3_dir_replace(struct handle *h, struct inode *dir, const struct ext3_place *at, const struct inode *ip)
{
  changed(h, dir, at);
  ext3_place_entry(at)->inode = ip->ino;
  ext3_place_entry(at)->file_type = type_of(ip);
}

void
ext3_dir_remove(struct handle *h, struct inode *dir, const struct ext3_place *at)
{
  struct ext3_dirent *gone = ext3_place_entry(at), *e = at->b->data, *before = 0;

  changed(h, dir, at);
  dirindex_remove(dir, (const char *)(gone + 1), gone->name_len, at->n);
  for(; e != gone; e = (struct ext3_dirent *)((char *)e + e->rec_len)) // the block was checked when it was found
    before = e;
  if(before)
    before->rec_len += gone->rec_len;
  else
    gone->inode = 0;
  dirindex_room(dir, at->n, at->b->data);
  ext3_info(dir)->room_at = min(ext3_info(dir)->room_at, at->n);
}

int
ext3_dir_start(struct handle *h, struct inode *dir, const struct inode *parent)
{
  struct ext3_place at = {0};
  struct ext3_dirent *e;
  int err = add_block(h, dir, &at);

  if(err)
    return err;
  e = at.b->data;
  fill_entry(e, ".", SELF, dir);
  e->rec_len = ext3_dirent_need(SELF);
  e = (struct ext3_dirent *)((char *)e + e->rec_len);
  fill_entry(e, "..", PARENT, parent);
  e->rec_len = EXT3_BLOCK - ext3_dirent_need(SELF);
  ext3_place_put(&at);
  return 0;
}
