// dir.c -- directory entries, linear: also those of a hashed directory, whose index blocks look like empty entries.
// Each entry is checked before it is believed: it must end inside its block and name an inode that can exist.
#include "core/thread.h"
#include "fs/ext3/ext3.h"
#include "lib/string.h"

enum { ENTRY_ALIGN = 4, ENTRY_MIN = 12 };

// file_type of an entry -> type bits of a mode
static const unsigned mode_of_type[] = {0, S_IFREG, S_IFDIR, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK, S_IFLNK};

// The entry at byte `off` of a block, or 0 if it is damaged.
static const struct ext3_dirent *
entry_at(struct ext3_fs *x, const void *block, uint32_t off)
{
  const struct ext3_dirent *e = (const void *)((const char *)block + off);

  if(off + ENTRY_MIN > EXT3_BLOCK || e->rec_len < ENTRY_MIN || e->rec_len % ENTRY_ALIGN ||
     off + e->rec_len > EXT3_BLOCK || sizeof(*e) + e->name_len > e->rec_len || e->inode > x->super.inodes_count)
    return 0;
  return e;
}

// Block n of dir: 0 and *b referenced; 1: past the end.
static int
dir_block(struct inode *dir, uint64_t n, struct buf **b)
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

// Look for a name in one block: its inode number, 0 if it is not there, -EIO.
static int64_t
block_find(struct inode *dir, const void *block, const char *name, size_t len)
{
  uint32_t off = 0;

  while(off < EXT3_BLOCK) {
    const struct ext3_dirent *e = entry_at(ext3_of(dir), block, off);

    if(e == 0)
      return ext3_corrupt(ext3_of(dir), dir->ino, off);
    if(e->inode && e->name_len == len && memcmp(e + 1, name, len) == 0)
      return e->inode;
    off += e->rec_len;
  }
  return 0;
}

int
ext3_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
  for(uint64_t n = 0;; n++) {
    struct buf *b;
    int64_t ino;
    int err = dir_block(dir, n, &b);

    if(err)
      return err > 0 ? -ENOENT : err;
    ino = block_find(dir, b->data, name, len);
    buf_put(b);
    if(ino)
      return ino < 0 ? (int)ino : ext3_iget(ext3_of(dir), ino, out);
    thread_relax();
  }
}

// A name that a path could not name would lead programs astray: "..//etc" must not come out of a directory.
static bool
name_ok(const struct ext3_dirent *e)
{
  return memchr(e + 1, '/', e->name_len) == 0 && memchr(e + 1, 0, e->name_len) == 0;
}

// Entries of one block from position *pos on, which moves past each that fn took. 1: fn wants no more.
static int
block_list(struct inode *dir, const void *block, uint64_t *pos, dirent_fn *fn, void *arg)
{
  uint64_t base = *pos - *pos % EXT3_BLOCK;
  uint32_t off = 0;

  while(off < EXT3_BLOCK) {
    const struct ext3_dirent *e = entry_at(ext3_of(dir), block, off);
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
    int err = dir_block(dir, *pos / EXT3_BLOCK, &b);

    if(err)
      return err > 0 ? 0 : err;
    err = block_list(dir, b->data, pos, fn, arg);
    buf_put(b);
    if(err)
      return err > 0 ? 0 : err;
    thread_relax();
  }
}
