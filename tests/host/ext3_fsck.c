// ext3_fsck.c -- a strict check of an ext3 image in memory: the whole of e2fsck -fn for the features that we make, in a
// fraction of a millisecond, for tests that look at thousands of images a second.
//
// Passes, as e2fsck has them: the superblock and the journal; every inode with its blocks (who owns each); every directory
// with its entries (who names each inode, who is whose parent); then what was counted against bitmaps and counters.
// ext3_fsck_test.c holds it against e2fsck on whole images and on images with one field broken.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ext3_image.h"

enum { DIRECT = 12, SECTORS = IMAGE_BLOCK / 512, SMALL_INODE = 128, FAST_LINK = 60, ENTRY_HEAD = 8 };
enum { STATE_CLEAN = 1, INCOMPAT_RECOVER = 4, JOURNAL_ERRNO = 0x20, JOURNAL_START = 0x1c };
enum { ROOM_NAMES = 64, FLAG_FIXED = 0x30 };       // immutable, append-only
enum { FLAG_BAD = 0x1000 | 0x80000 | 0x10000000 }; // hashed, extents, inline data: not made by us
static const uint8_t entry_type[16] = {[IMAGE_REG] = 1,  [IMAGE_DIR] = 2,  [IMAGE_CHR] = 3, [IMAGE_BLK] = 4,
                                       [IMAGE_FIFO] = 5, [IMAGE_SOCK] = 6, [IMAGE_LNK] = 7};

struct fsck {
  struct image im;
  char *text;
  size_t room;
  int findings;
  unsigned flags;
  uint8_t *used;    // [blocks] somebody's
  uint32_t *named;  // [inodes + 1] entries that name it
  uint32_t *parent; // [inodes + 1] of directories: in which one it is named
  uint32_t *above;  // [inodes + 1] of directories: what its ".." says
  uint64_t last;    // of the inode that is looked at: its last file block + 1
  uint64_t mine;    // and how many blocks it has
};

static void __attribute__((format(printf, 2, 3))) found(struct fsck *f, const char *words, ...)
{
  va_list ap;

  if(f->findings++ > 0)
    return;
  va_start(ap, words);
  vsnprintf(f->text, f->room, words, ap);
  va_end(ap);
}

static bool
bit(const unsigned char *map, uint32_t n)
{
  return map[n / 8] >> n % 8 & 1;
}

// ---- blocks

static void
own(struct fsck *f, uint32_t block, uint32_t ino)
{
  if(block >= f->im.super->blocks)
    found(f, "inode %u: block %u is outside", ino, block);
  else if(f->used[block]++)
    found(f, "inode %u: block %u has another owner too", ino, block);
  f->mine++;
}

static bool
has_super(uint32_t g)
{
  static const uint32_t base[] = {3, 5, 7};

  if(g <= 1)
    return true;
  for(int i = 0; i < 3; i++) {
    uint64_t n = base[i];

    while(n < g)
      n *= base[i];
    if(n == g)
      return true;
  }
  return false;
}

static void
own_tables(struct fsck *f)
{
  const struct image_super *s = f->im.super;
  uint32_t table = s->inodes_per_group * f->im.inode_size / IMAGE_BLOCK;
  uint32_t gdt = (f->im.groups * sizeof(struct image_group) + IMAGE_BLOCK - 1) / IMAGE_BLOCK;

  for(uint32_t g = 0; g < f->im.groups; g++) {
    const struct image_group *d = &f->im.group[g];

    for(uint32_t i = 0; has_super(g) && i < 1 + gdt + s->reserved_gdt; i++)
      own(f, g * s->blocks_per_group + i, 0);
    own(f, d->block_bitmap, 0);
    own(f, d->inode_bitmap, 0);
    for(uint32_t i = 0; i < table; i++)
      own(f, d->inode_table + i, 0);
  }
}

// The block `at` of pointers, `depth` levels above data, for file blocks from n on.
static void
own_tree(struct fsck *f, uint32_t ino, uint32_t at, int depth, uint64_t n)
{
  uint64_t span = 1;
  bool again;

  if(at == 0)
    return;
  again = at < f->im.super->blocks && f->used[at];
  own(f, at, ino);
  if(depth == 0) {
    f->last = n + 1;
    return;
  }
  if(at >= f->im.super->blocks || again) // a ring of pointers would have no end
    return;
  for(int i = 1; i < depth; i++)
    span *= IMAGE_FANOUT;
  for(int i = 0; i < IMAGE_FANOUT; i++)
    own_tree(f, ino, ((uint32_t *)image_block(&f->im, at))[i], depth - 1, n + i * span);
}

static void
own_inode(struct fsck *f, uint32_t ino, const struct image_inode *ip)
{
  uint64_t n = DIRECT, span = 1;

  f->last = f->mine = 0;
  for(int i = 0; i < DIRECT; i++)
    own_tree(f, ino, ip->block[i], 0, i);
  for(int depth = 1; depth <= IMAGE_POINTERS - DIRECT; depth++) {
    span *= IMAGE_FANOUT;
    own_tree(f, ino, ip->block[DIRECT - 1 + depth], depth, n);
    n += span;
  }
  if(ip->sectors != f->mine * SECTORS)
    found(f, "inode %u: %u sectors, its blocks are %lu", ino, ip->sectors, (unsigned long)f->mine * SECTORS);
}

// ---- inodes

static void
check_link(struct fsck *f, uint32_t ino, const struct image_inode *ip)
{
  const char *text = ip->sectors ? image_block(&f->im, ip->block[0]) : (const void *)ip->block;
  size_t room = ip->sectors ? IMAGE_BLOCK : FAST_LINK;

  if(ip->sectors && (ip->block[0] == 0 || ip->block[0] >= f->im.super->blocks))
    found(f, "inode %u: a symlink with block %u", ino, ip->block[0]);
  else if(ip->size == 0 || ip->size >= room || strnlen(text, room) != ip->size)
    found(f, "inode %u: a symlink of %u bytes has another text", ino, ip->size);
  if(ip->sectors) {
    own_inode(f, ino, ip);
    if(f->last != 1 || f->mine != 1)
      found(f, "inode %u: a symlink has %lu blocks", ino, (unsigned long)f->mine);
  }
}

static void
check_file(struct fsck *f, uint32_t ino, const struct image_inode *ip)
{
  uint64_t size = image_size(ip);

  own_inode(f, ino, ip);
  if(f->last > 0 && size < (f->last - 1) * IMAGE_BLOCK)
    found(f, "inode %u: %lu bytes, but block %lu is there", ino, (unsigned long)size, (unsigned long)f->last - 1);
}

static void
check_dir_blocks(struct fsck *f, uint32_t ino, const struct image_inode *ip)
{
  own_inode(f, ino, ip);
  if(ip->size == 0 || ip->size % IMAGE_BLOCK || ip->size_high)
    found(f, "directory %u: size %u", ino, ip->size);
  else if(f->last != ip->size / IMAGE_BLOCK)
    found(f, "directory %u: size %u, its last block is %lu", ino, ip->size, (unsigned long)f->last - 1);
}

static void
check_special(struct fsck *f, uint32_t ino, const struct image_inode *ip)
{
  bool device = image_type(ip) == IMAGE_CHR || image_type(ip) == IMAGE_BLK;

  if(ip->size || ip->sectors)
    found(f, "inode %u: a special file with size %u and %u sectors", ino, ip->size, ip->sectors);
  for(int i = device ? 2 : 0; i < IMAGE_POINTERS; i++)
    if(ip->block[i])
      found(f, "inode %u: a special file with block numbers", ino);
}

static void
check_used(struct fsck *f, uint32_t ino, const struct image_inode *ip)
{
  if(ip->dtime)
    found(f, "inode %u is in use and has a time of deletion", ino);
  if(ip->flags & FLAG_BAD)
    found(f, "inode %u: flags %#x", ino, ip->flags);
  if(ip->flags & FLAG_FIXED && image_type(ip) != IMAGE_REG && image_type(ip) != IMAGE_DIR)
    found(f, "inode %u: a special file or symlink with flags %#x", ino, ip->flags);
  if(ip->acl || ip->acl_high || ip->faddr || ip->sectors_high)
    found(f, "inode %u: attributes or high words that we never make", ino);
  if(f->im.inode_size > SMALL_INODE && (ip->extra < 4 || ip->extra % 4 || ip->extra > f->im.inode_size - SMALL_INODE))
    found(f, "inode %u: %u extra bytes", ino, ip->extra);
  switch(image_type(ip)) {
  case IMAGE_REG: check_file(f, ino, ip); break;
  case IMAGE_DIR: check_dir_blocks(f, ino, ip); break;
  case IMAGE_LNK: check_link(f, ino, ip); break;
  case IMAGE_CHR:
  case IMAGE_BLK:
  case IMAGE_FIFO:
  case IMAGE_SOCK: check_special(f, ino, ip); break;
  default: found(f, "inode %u: mode %o", ino, ip->mode);
  }
}

static bool
reserved(uint32_t ino)
{
  return ino < IMAGE_FIRST && ino != IMAGE_ROOT;
}

static void
check_inodes(struct fsck *f)
{
  for(uint32_t ino = 1; ino <= f->im.super->inodes; ino++) {
    const struct image_inode *ip = image_inode(&f->im, ino);

    if(ip->links > 0)
      check_used(f, ino, ip);
    else if(!reserved(ino) && ip->mode && ip->dtime == 0)
      found(f, "inode %u has no links, a mode %o and no time of deletion", ino, ip->mode);
  }
}

// ---- directories

struct dir {
  struct fsck *f;
  uint32_t ino;
  unsigned n;         // entries so far
  uint32_t hash_mask; // of `seen`
  const struct image_entry **seen;
};

static uint32_t
name_hash(const struct image_entry *e)
{
  uint32_t h = 2166136261u;

  for(int i = 0; i < e->name_len; i++)
    h = (h ^ (uint8_t)e->name[i]) * 16777619u;
  return h;
}

static void
check_twice(struct dir *d, const struct image_entry *e)
{
  uint32_t at = name_hash(e) & d->hash_mask;

  for(; d->seen[at]; at = (at + 1) & d->hash_mask)
    if(d->seen[at]->name_len == e->name_len && memcmp(d->seen[at]->name, e->name, e->name_len) == 0) {
      found(d->f, "directory %u: '%.*s' is there twice", d->ino, e->name_len, e->name);
      return;
    }
  d->seen[at] = e;
}

// Its first entry is "." and its second "..".
static bool
check_dots(struct dir *d, const struct image_entry *e)
{
  bool dots = e->name[0] == '.' && (e->name_len == 1 || (e->name_len == 2 && e->name[1] == '.'));
  unsigned n = d->n++;

  if(n < 2 && (!dots || e->name_len != n + 1))
    found(d->f, "directory %u: entry %u is '%.*s'", d->ino, n, e->name_len, e->name);
  if(n >= 2 && dots)
    found(d->f, "directory %u: a dot entry at place %u", d->ino, n);
  if(n < 2 && e->rec_len > ENTRY_HEAD + n + 1 && e->name[n + 1] != 0)
    found(d->f, "directory %u: the name of entry %u has no 0 behind it", d->ino, n);
  if(n == 0 && e->ino != d->ino)
    found(d->f, "directory %u: '.' is %u", d->ino, e->ino);
  if(n == 1)
    d->f->above[d->ino] = e->ino;
  return n < 2;
}

static bool
check_entry(void *arg, const struct image_entry *e)
{
  struct dir *d = arg;
  struct fsck *f = d->f;
  const struct image_inode *ip = image_inode(&f->im, e->ino);

  if(e->name_len == 0 || memchr(e->name, '/', e->name_len) || memchr(e->name, 0, e->name_len))
    found(f, "directory %u: a bad name", d->ino);
  if(ip == 0 || ip->links == 0 || reserved(e->ino)) {
    found(f, "directory %u: '%.*s' is inode %u, which is not in use", d->ino, e->name_len, e->name, e->ino);
    return true;
  }
  f->named[e->ino]++;
  if(e->type != entry_type[image_type(ip)])
    found(f, "directory %u: '%.*s' has type %u", d->ino, e->name_len, e->name, e->type);
  check_twice(d, e);
  if(check_dots(d, e) || image_type(ip) != IMAGE_DIR)
    return true;
  if(f->parent[e->ino])
    found(f, "directory %u has two names", e->ino);
  f->parent[e->ino] = d->ino;
  return true;
}

static void
check_dir(struct fsck *f, uint32_t ino, uint32_t size)
{
  struct dir d = {.f = f, .ino = ino, .hash_mask = ROOM_NAMES - 1};

  if(size > f->im.size)
    return; // was told
  while(d.hash_mask < size / ENTRY_HEAD)
    d.hash_mask = d.hash_mask * 2 + 1;
  d.seen = calloc(d.hash_mask + 1, sizeof(*d.seen));
  if(!image_readdir(&f->im, ino, check_entry, &d))
    found(f, "directory %u cannot be walked", ino);
  if(d.n < 2)
    found(f, "directory %u has no '..'", ino);
  free(d.seen);
}

static bool
is_dir(const struct fsck *f, uint32_t ino)
{
  const struct image_inode *ip = image_inode(&f->im, ino);

  return ip->links > 0 && image_type(ip) == IMAGE_DIR && !reserved(ino);
}

// From every directory the root is reached.
static void
check_tree(struct fsck *f)
{
  uint32_t n = f->im.super->inodes;

  f->parent[IMAGE_ROOT] = IMAGE_ROOT;
  for(uint32_t ino = 1; ino <= n; ino++) {
    uint32_t at = ino, steps = 0;

    if(!is_dir(f, ino))
      continue;
    if(f->above[ino] != f->parent[ino])
      found(f, "directory %u: '..' is %u, it is named in %u", ino, f->above[ino], f->parent[ino]);
    while(at != IMAGE_ROOT && at != 0 && steps++ <= n)
      at = f->parent[at];
    if(at != IMAGE_ROOT)
      found(f, "directory %u cannot be reached", ino);
  }
  if(!is_dir(f, IMAGE_ROOT))
    found(f, "the root is no directory");
}

static void
check_dirs(struct fsck *f)
{
  for(uint32_t ino = 1; ino <= f->im.super->inodes; ino++)
    if(is_dir(f, ino))
      check_dir(f, ino, image_inode(&f->im, ino)->size);
  check_tree(f);
  for(uint32_t ino = 1; ino <= f->im.super->inodes; ino++) {
    const struct image_inode *ip = image_inode(&f->im, ino);

    if(!reserved(ino) && ip->links != f->named[ino])
      found(f, "inode %u: %u links, %u names", ino, ip->links, f->named[ino]);
  }
}

// ---- bitmaps and counters

static void
check_padding(struct fsck *f, const unsigned char *map, uint32_t from, uint32_t g)
{
  for(uint32_t i = from; i < 8 * IMAGE_BLOCK; i++)
    if(!bit(map, i)) {
      found(f, "group %u: the end of a bitmap is not filled", g);
      return;
    }
}

static uint32_t
count_blocks(struct fsck *f, uint32_t g)
{
  const struct image_super *s = f->im.super;
  const unsigned char *map = image_block(&f->im, f->im.group[g].block_bitmap);
  uint32_t first = g * s->blocks_per_group, n = s->blocks_per_group, free = 0;

  if(n > s->blocks - first)
    n = s->blocks - first;
  for(uint32_t i = 0; i < n; i++) {
    if(bit(map, i) != (f->used[first + i] != 0))
      found(f, "block %u is %s, its bitmap says otherwise", first + i, f->used[first + i] ? "in use" : "free");
    free += !f->used[first + i];
  }
  check_padding(f, map, n, g);
  return free;
}

static uint32_t
count_inodes(struct fsck *f, uint32_t g, uint32_t *dirs)
{
  const struct image_super *s = f->im.super;
  const unsigned char *map = image_block(&f->im, f->im.group[g].inode_bitmap);
  uint32_t free = 0;

  *dirs = 0;
  for(uint32_t i = 0; i < s->inodes_per_group; i++) {
    uint32_t ino = g * s->inodes_per_group + i + 1;
    const struct image_inode *ip = image_inode(&f->im, ino);
    bool used = ino < IMAGE_FIRST || ip->links > 0;

    if(bit(map, i) != used)
      found(f, "inode %u is %s, its bitmap says otherwise", ino, used ? "in use" : "free");
    free += !used;
    *dirs += used && ip->links > 0 && image_type(ip) == IMAGE_DIR;
  }
  check_padding(f, map, s->inodes_per_group, g);
  return free;
}

static void
check_counts(struct fsck *f)
{
  const struct image_super *s = f->im.super;
  uint32_t blocks = 0, inodes = 0;

  for(uint32_t g = 0; g < f->im.groups; g++) {
    const struct image_group *d = &f->im.group[g];
    uint32_t dirs, b = count_blocks(f, g), i = count_inodes(f, g, &dirs);

    if(d->free_blocks != b || d->free_inodes != i || d->dirs != dirs)
      found(f, "group %u: %u blocks free, %u inodes, %u directories; there are %u, %u, %u", g, d->free_blocks,
            d->free_inodes, d->dirs, b, i, dirs);
    blocks += b;
    inodes += i;
  }
  if(f->flags & FSCK_STALE_TOTALS)
    return;
  if(s->free_blocks != blocks || s->free_inodes != inodes)
    found(f, "superblock: %u blocks free, %u inodes; there are %u, %u", s->free_blocks, s->free_inodes, blocks, inodes);
}

static void
check_super(struct fsck *f)
{
  const struct image_super *s = f->im.super;
  const struct image_inode *ip = image_inode(&f->im, IMAGE_JOURNAL);
  uint32_t block = ip->links ? image_map(&f->im, ip, 0) : 0;
  const uint32_t *j = image_block(&f->im, block);

  if(s->state != STATE_CLEAN)
    found(f, "superblock: state %u", s->state);
  if(s->incompat & INCOMPAT_RECOVER)
    found(f, "superblock: needs recovery");
  if(s->last_orphan)
    found(f, "superblock: inode %u is on the orphan list", s->last_orphan);
  if(s->journal_inum != IMAGE_JOURNAL || block == 0 || block == IMAGE_BAD)
    found(f, "there is no journal");
  else if(j[JOURNAL_START / 4] || j[JOURNAL_ERRNO / 4])
    found(f, "the journal is not empty, or keeps an error");
}

int
fsck_image(void *bytes, uint64_t size, unsigned flags, char *text, size_t n)
{
  struct fsck f = {.text = text, .room = n, .flags = flags};
  const char *why = image_open(&f.im, bytes, size);

  text[0] = 0;
  if(why) {
    found(&f, "%s", why);
    return f.findings;
  }
  f.used = calloc(f.im.super->blocks, 1);
  f.named = calloc(3 * (f.im.super->inodes + 1), sizeof(*f.named));
  f.parent = f.named + f.im.super->inodes + 1;
  f.above = f.parent + f.im.super->inodes + 1;
  check_super(&f);
  own_tables(&f);
  check_inodes(&f);
  check_dirs(&f);
  check_counts(&f);
  free(f.used);
  free(f.named);
  return f.findings;
}
