// dir.c -- directory entries, linear: also those of a hashed directory, whose index blocks look like empty entries.
// Each entry is checked before it is believed: it must end inside its block and name an inode that can exist. In a large
// directory an index in memory (dirindex.c) tells which blocks may hold a name.
// Typical: dir->lock / ext3_dir_find(dir, name, len, &at) / ext3_place_entry(&at) / ext3_place_put(&at).
// Changes nothing: dirent.c does.
#include "core/thread.h"
#include "fs/ext3/ext3.h"
#include "lib/string.h"

enum { ENTRY_ALIGN = 4, ENTRY_MIN = 12 };

// file_type of an entry -> type bits of a mode
static const unsigned mode_of_type[] = {0, S_IFREG, S_IFDIR, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK, S_IFLNK};

struct ext3_dirent *
ext3_entry(struct ext3_fs *x, void *block, uint32_t off)
{
  struct ext3_dirent *e = (void *)((char *)block + off);

  if(off + ENTRY_MIN > EXT3_BLOCK || e->rec_len < ENTRY_MIN || e->rec_len % ENTRY_ALIGN ||
     off + e->rec_len > EXT3_BLOCK || sizeof(*e) + e->name_len > e->rec_len || e->inode > x->super.inodes_count)
    return 0;
  return e;
}

int
ext3_dir_block(struct inode *dir, uint64_t n, struct buf **b)
{
  uint32_t block;
  int err;

  if(n * EXT3_BLOCK >= dir->obj.size)
    return 1;
  if((err = ext3_bmap(dir, n, &block)) != 0)
    return err;
  if(block == 0) // directories have no holes
    return ext3_corrupt(ext3_of(dir), dir->ino, n);
  return buf_get(ext3_of(dir)->dev, block, b);
}

// Look for a name in one block: 1 and *off, 0 if it is not there, -EIO.
static int
block_find(struct inode *dir, void *block, const char *name, size_t len, uint32_t *off)
{
  for(*off = 0; *off < EXT3_BLOCK;) {
    const struct ext3_dirent *e = ext3_entry(ext3_of(dir), block, *off);

    if(e == 0)
      return ext3_corrupt(ext3_of(dir), dir->ino, *off);
    if(e->inode && e->name_len == len && memcmp(e + 1, name, len) == 0)
      return 1;
    *off += e->rec_len;
  }
  return 0;
}

// Look in block at->n. 1: there, at->b referenced; 0: not in this block; -ENOENT: past the end; -EIO.
static int
look_in(struct inode *dir, const char *name, size_t len, struct ext3_place *at)
{
  int r = ext3_dir_block(dir, at->n, &at->b);

  if(r)
    return r > 0 ? -ENOENT : r;
  r = block_find(dir, at->b->data, name, len, &at->off);
  if(r <= 0)
    ext3_place_put(at);
  return r;
}

int
ext3_dir_find(struct inode *dir, const char *name, size_t len, struct ext3_place *at)
{
  struct dirindex *index = dirindex_get(dir);
  uint64_t state = 0;
  int r;

  *at = (struct ext3_place){0};
  for(;;) {
    if(index && (at->n = dirindex_next(index, name, len, &state)) == UINT64_MAX)
      return -ENOENT;
    r = look_in(dir, name, len, at);
    if(r)
      return r > 0 ? 0 : r;
    if(!index)
      at->n++;
    thread_relax();
  }
}

int
ext3_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
  struct ext3_place at;
  uint32_t ino;
  int err = ext3_dir_find(dir, name, len, &at);

  if(err)
    return err;
  ino = ext3_place_entry(&at)->inode;
  ext3_place_put(&at);
  // "." and ".." do not come here. Who locks a directory and then what is in it would lock this one twice.
  if(ino == dir->ino)
    return ext3_corrupt(ext3_of(dir), dir->ino, 0);
  return ext3_iget(ext3_of(dir), ino, out);
}

static bool
is_dot(const struct ext3_dirent *e)
{
  const char *name = (const char *)(e + 1);

  return name[0] == '.' && (e->name_len == 1 || (e->name_len == 2 && name[1] == '.'));
}

// Does a block hold nothing but "." and ".."? 1, 0, -EIO
static int
block_is_empty(struct inode *dir, void *block)
{
  for(uint32_t off = 0; off < EXT3_BLOCK;) {
    const struct ext3_dirent *e = ext3_entry(ext3_of(dir), block, off);

    if(e == 0)
      return ext3_corrupt(ext3_of(dir), dir->ino, off);
    if(e->inode && !is_dot(e))
      return 0;
    off += e->rec_len;
  }
  return 1;
}

int
ext3_dir_is_empty(struct inode *dir)
{
  struct buf *b;
  int r = 1, end = 0;

  for(uint64_t n = 0; r == 1 && (end = ext3_dir_block(dir, n, &b)) == 0; n++) {
    r = block_is_empty(dir, b->data);
    buf_put(b);
    thread_relax();
  }
  return end < 0 ? end : r;
}

// A name that a path could not name would lead programs astray: "..//etc" must not come out of a directory.
static bool
name_ok(const struct ext3_dirent *e)
{
  return memchr(e + 1, '/', e->name_len) == 0 && memchr(e + 1, 0, e->name_len) == 0;
}

// Entries of one block from position *pos on, which moves past each that fn took. 1: fn wants no more.
static int
block_list(struct inode *dir, void *block, uint64_t *pos, dirent_fn *fn, void *arg)
{
  uint64_t base = *pos - *pos % EXT3_BLOCK;
  uint32_t off = 0;

  while(off < EXT3_BLOCK) {
    const struct ext3_dirent *e = ext3_entry(ext3_of(dir), block, off);
    uint64_t next;

    if(e == 0)
      return ext3_corrupt(ext3_of(dir), dir->ino, base + off);
    next = base + off + e->rec_len;
    if(base + off >= *pos) {
      unsigned type = e->file_type < array_len(mode_of_type) ? mode_of_type[e->file_type] : 0;

      if(e->inode && !name_ok(e))
        return ext3_corrupt(ext3_of(dir), dir->ino, base + off);
      if(e->inode && e->name_len && !fn(arg, (const char *)(e + 1), e->name_len, e->inode, type, next))
        return 1;
      *pos = next;
    }
    off += e->rec_len;
  }
  *pos = base + EXT3_BLOCK;
  return 0;
}

int
ext3_readdir(struct inode *dir, uint64_t *pos, dirent_fn *fn, void *arg)
{
  for(;;) {
    struct buf *b;
    int err = ext3_dir_block(dir, *pos / EXT3_BLOCK, &b);

    if(err)
      return err > 0 ? 0 : err;
    err = block_list(dir, b->data, pos, fn, arg);
    buf_put(b);
    if(err)
      return err > 0 ? 0 : err;
    thread_relax();
  }
}
