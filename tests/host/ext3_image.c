// ext3_image.c -- ext3_image.h says what for.
#include <string.h>
#include "ext3_image.h"

enum { SUPER_AT = 1024, MAGIC = 0xef53, LOG_4096 = 2, PER_BITMAP = 8 * IMAGE_BLOCK, DIRECT = 12, LEVELS = 3 };
enum { COMPAT_JOURNAL = 4, INCOMPAT_TYPE = 2, INCOMPAT_RECOVER = 4, RO_SPARSE_LARGE = 3 };
enum { SMALL_INODE = 128, FAST_LINK = 60, ENTRY_HEAD = 8 };

static bool
in_image(const struct image *im, uint32_t block, uint32_t n)
{
  return block != 0 && block < im->super->blocks && n <= im->super->blocks - block;
}

static const char *
super_check(const struct image *im)
{
  const struct image_super *s = im->super;

  if(s->magic != MAGIC)
    return "the superblock has no magic";
  if(s->log_block != LOG_4096 || s->log_frag != LOG_4096 || s->first_block != 0)
    return "blocks are not of 4096 bytes";
  if(s->compat != COMPAT_JOURNAL || (s->incompat & ~(uint32_t)INCOMPAT_RECOVER) != INCOMPAT_TYPE ||
     s->ro_compat != RO_SPARSE_LARGE)
    return "features are not the ones that we make";
  if(s->blocks == 0 || (uint64_t)s->blocks * IMAGE_BLOCK > im->size)
    return "more blocks than the image has";
  if(s->blocks_per_group == 0 || s->blocks_per_group > PER_BITMAP || s->frags_per_group != s->blocks_per_group ||
     s->inodes_per_group == 0 || s->inodes_per_group > PER_BITMAP)
    return "groups of an impossible size";
  if(s->revision != 1 || s->reserved > s->blocks / 2)
    return "an unknown revision, or more reserved blocks than there can be";
  if(s->first_ino != IMAGE_FIRST)
    return "the first ordinary inode is not 11";
  if(s->inode_size != SMALL_INODE && s->inode_size != 2 * SMALL_INODE)
    return "inodes of an unknown size";
  return 0;
}

const char *
image_open(struct image *im, void *bytes, uint64_t size)
{
  const char *why;
  uint32_t table;

  *im = (struct image){.bytes = bytes, .size = size, .super = (void *)((unsigned char *)bytes + SUPER_AT)};
  if(size < 8 * IMAGE_BLOCK)
    return "too small";
  if((why = super_check(im)) != 0)
    return why;
  im->group = (void *)(im->bytes + IMAGE_BLOCK);
  im->groups = (im->super->blocks + im->super->blocks_per_group - 1) / im->super->blocks_per_group;
  im->inode_size = im->super->inode_size;
  table = im->super->inodes_per_group * im->inode_size / IMAGE_BLOCK;
  if(im->super->inodes != im->groups * im->super->inodes_per_group)
    return "the number of inodes is not that of the groups";
  if(!in_image(im, 1, (im->groups * sizeof(struct image_group) + IMAGE_BLOCK - 1) / IMAGE_BLOCK))
    return "the group descriptors do not fit";
  for(uint32_t g = 0; g < im->groups; g++)
    if(!in_image(im, im->group[g].block_bitmap, 1) || !in_image(im, im->group[g].inode_bitmap, 1) ||
       !in_image(im, im->group[g].inode_table, table))
      return "a group's tables lie outside";
  return 0;
}

struct image_inode *
image_inode(const struct image *im, uint32_t ino)
{
  uint32_t g = (ino - 1) / im->super->inodes_per_group, k = (ino - 1) % im->super->inodes_per_group;

  if(ino == 0 || ino > im->super->inodes)
    return 0;
  return (void *)(im->bytes + (uint64_t)im->group[g].inode_table * IMAGE_BLOCK + (uint64_t)k * im->inode_size);
}

uint64_t
image_size(const struct image_inode *ip)
{
  return ip->size | (image_type(ip) == IMAGE_REG ? (uint64_t)ip->size_high << 32 : 0);
}

uint32_t
image_map(const struct image *im, const struct image_inode *ip, uint64_t n)
{
  uint64_t span = 1;
  uint32_t at, depth;

  if(n < DIRECT)
    return ip->block[n] == 0 || in_image(im, ip->block[n], 1) ? ip->block[n] : IMAGE_BAD;
  n -= DIRECT;
  for(depth = 1; depth <= LEVELS; depth++) {
    span *= IMAGE_FANOUT;
    if(n < span)
      break;
    n -= span;
  }
  if(depth > LEVELS)
    return 0;
  at = ip->block[DIRECT - 1 + depth];
  while(at != 0 && in_image(im, at, 1) && depth-- > 0) {
    span /= IMAGE_FANOUT;
    at = ((uint32_t *)image_block(im, at))[n / span];
    n %= span;
  }
  return at == 0 || in_image(im, at, 1) ? at : IMAGE_BAD;
}

static bool
entry_ok(const struct image_entry *e, uint32_t left)
{
  return left >= ENTRY_HEAD && e->rec_len >= ENTRY_HEAD && e->rec_len % 4 == 0 && e->rec_len <= left &&
         (e->ino == 0 || ENTRY_HEAD + e->name_len <= e->rec_len);
}

bool
image_readdir(const struct image *im, uint32_t dir, image_entry_fn *fn, void *arg)
{
  const struct image_inode *ip = image_inode(im, dir);

  if(ip == 0 || image_type(ip) != IMAGE_DIR || ip->size > im->size)
    return false;
  for(uint32_t n = 0; n < ip->size / IMAGE_BLOCK; n++) {
    uint32_t block = image_map(im, ip, n), off = 0;
    unsigned char *p = image_block(im, block);

    if(block == 0 || block == IMAGE_BAD)
      return false;
    while(off < IMAGE_BLOCK) {
      const struct image_entry *e = (const void *)(p + off);

      if(!entry_ok(e, IMAGE_BLOCK - off))
        return false;
      if(e->ino != 0 && !fn(arg, e))
        return true;
      off += e->rec_len;
    }
  }
  return true;
}

struct wanted {
  const char *name;
  size_t len;
  uint32_t ino;
};

static bool
is_wanted(void *arg, const struct image_entry *e)
{
  struct wanted *w = arg;

  if(e->name_len != w->len || memcmp(e->name, w->name, w->len) != 0)
    return true;
  w->ino = e->ino;
  return false;
}

uint32_t
image_lookup(const struct image *im, uint32_t dir, const char *name, size_t len)
{
  struct wanted w = {name, len, 0};

  image_readdir(im, dir, is_wanted, &w);
  return w.ino;
}

uint32_t
image_path(const struct image *im, const char *path)
{
  uint32_t ino = IMAGE_ROOT;

  while(ino != 0) {
    size_t len;

    path += strspn(path, "/");
    if(*path == 0)
      break;
    len = strcspn(path, "/");
    ino = image_lookup(im, ino, path, len);
    path += len;
  }
  return ino;
}

int
image_link_text(const struct image *im, const struct image_inode *ip, char *to, size_t n)
{
  uint32_t block = ip->block[0];

  if(image_type(ip) != IMAGE_LNK || ip->size == 0 || ip->size >= n || ip->size >= IMAGE_BLOCK)
    return -1;
  if(ip->sectors != 0 && !in_image(im, block, 1))
    return -1;
  if(ip->sectors == 0 && ip->size >= FAST_LINK)
    return -1;
  memcpy(to, ip->sectors ? image_block(im, block) : (void *)ip->block, ip->size);
  to[ip->size] = 0;
  return (int)ip->size;
}
