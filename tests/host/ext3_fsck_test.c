// ext3_fsck_test.c -- the tests' own check of an image (ext3_fsck.c) against e2fsck: on trees of every kind both find nothing,
// and on images with one field broken it finds whatever e2fsck finds, and what e2fsck is known to let pass.
#include <stdlib.h>
#include <string.h>
#include "../crash/run.h"
#include "ext3_image.h"
#include "hosttree.h"
#include "test.h"

enum { SAID = 600, PATH_ROOM = 300, RANDOM_DAMAGE = 200 };

#define E2FSCK_SECONDS "20"
static unsigned char *image; // a good one
static uint64_t size;
static char work[PATH_ROOM];
static char said[SAID], e2fsck_said[20000];

static bool
image_make(void)
{
  char tree[PATH_ROOM];
  void *mapped;

  if(image)
    return true;
  snprintf(tree, sizeof(tree), "%s/tree", host_tmp());
  snprintf(work, sizeof(work), "%s/work.img", host_tmp());
  if(host_run("mkdir -p %s/a/b/c %s/d && cd %s && head -c 200000 /dev/urandom >a/long && echo hi >a/b/short && ln "
              "a/b/short d/hard && "
              "ln -s short a/b/fast && ln -s $(printf 'x%%.0s' $(seq 100)) a/slow && mkfifo d/fifo && truncate -s 5M "
              "d/sparse && "
              "printf end >>d/sparse && for i in $(seq 200); do : >a/b/c/a-name-of-some-length-$i; done",
              tree, tree, tree) != 0)
    return false;
  if(host_run("mke2fs -q -F -t ext3 -b 4096 -I 256 -N 1024 -m 0 -O none,has_journal,filetype,sparse_super,large_file "
              "-J size=4 "
              "-d %s %s 16M >/dev/null 2>&1",
              tree, work) != 0)
    return false;
  mapped = host_map(work, &size); // a file that is written again below: not to be kept mapped
  image = mapped ? malloc(size) : 0;
  if(image)
    memcpy(image, mapped, size);
  if(mapped)
    host_unmap(mapped, size);
  return image != 0;
}

// What e2fsck says of the bytes: 0 nothing, 1 something. There are images over which it thinks for ever.
static int
e2fsck(const unsigned char *bytes)
{
  char *const argv[] = {"timeout", E2FSCK_SECONDS, "e2fsck", "-fn", work, 0};
  int status;

  if(!host_save(work, bytes, size))
    return -1;
  status = run_program(argv, e2fsck_said, sizeof(e2fsck_said));
  return status != 0 || strstr(e2fsck_said, "? no") != 0;
}

static int
ours(unsigned char *bytes)
{
  return fsck_image(bytes, size, 0, said, sizeof(said)) != 0;
}

TEST(good_images)
{
  need(image_make());
  expect_eq(e2fsck(image), 0);
  expect_eq(ours(image), 0);
  if(said[0])
    printf("  %s\n", said);
}

TEST(good_images_of_several_groups)
{
  uint64_t n;
  void *p;
  char path[PATH_ROOM];

  snprintf(path, sizeof(path), "%s/groups.img", host_tmp());
  for(int inode = 128; inode <= 256; inode *= 2) {
    need(host_run("mke2fs -q -F -t ext3 -b 4096 -g 2048 -I %d -m 0 -O "
                  "none,has_journal,filetype,sparse_super,large_file -J size=4 "
                  "-d %s/tree %s 80M >/dev/null 2>&1",
                  inode, host_tmp(), path) == 0);
    p = host_map(path, &n);
    need(p);
    expect_eq(fsck_image(p, n, 0, said, sizeof(said)), 0);
    if(said[0])
      printf("  inodes of %d: %s\n", inode, said);
    host_unmap(p, n);
  }
}

// ---- one field

struct damage {
  const char *what;
  void (*fn)(struct image *im);
  int silent; // e2fsck -fn lets it pass
};

static uint32_t
ino_of(struct image *im, const char *path)
{
  return image_path(im, path);
}

static struct image_inode *
inode_of(struct image *im, const char *path)
{
  return image_inode(im, ino_of(im, path));
}

static struct image_entry *
entry_of(struct image *im, const char *dir, int skip)
{
  struct image_entry *e = image_block(im, image_map(im, inode_of(im, dir), 0));

  while(skip-- > 0)
    e = (struct image_entry *)((char *)e + e->rec_len);
  return e;
}

static unsigned char *
bitmap_of(struct image *im, int inodes)
{
  return image_block(im, inodes ? im->group[0].inode_bitmap : im->group[0].block_bitmap);
}

static void
flip(unsigned char *map, uint32_t n)
{
  map[n / 8] ^= 1 << n % 8;
}

#define DAMAGE(name, body)                                                                                             \
  static void name(struct image *im)                                                                                   \
  {                                                                                                                    \
    body;                                                                                                              \
  }
DAMAGE(total_blocks, im->super->free_blocks++)
DAMAGE(total_inodes, im->super->free_inodes--)
DAMAGE(group_blocks, im->group[0].free_blocks--)
DAMAGE(group_inodes, im->group[0].free_inodes++)
DAMAGE(group_dirs, im->group[0].dirs++)
DAMAGE(leaked_block, flip(bitmap_of(im, 0), im->super->blocks - 2))
DAMAGE(leaked_inode, flip(bitmap_of(im, 1), im->super->inodes - 2))
DAMAGE(lost_block, flip(bitmap_of(im, 0), image_map(im, inode_of(im, "/a/long"), 3)))
DAMAGE(lost_inode, flip(bitmap_of(im, 1), ino_of(im, "/a/long") - 1))
DAMAGE(block_padding, bitmap_of(im, 0)[IMAGE_BLOCK - 1] = 0x7f)
DAMAGE(inode_padding, bitmap_of(im, 1)[IMAGE_BLOCK - 1] = 0x7f)
DAMAGE(sectors, inode_of(im, "/a/long")->sectors += 8)
DAMAGE(size_small, inode_of(im, "/a/long")->size = 5000)
DAMAGE(links, inode_of(im, "/a/long")->links++)
DAMAGE(dir_links, inode_of(im, "/a/b")->links--)
DAMAGE(links_0, inode_of(im, "/a/long")->links = 0)
DAMAGE(dtime, inode_of(im, "/a/long")->dtime = 1700000000)
DAMAGE(mode_0, inode_of(im, "/a/long")->mode = 0)
DAMAGE(type_wrong, entry_of(im, "/a/b", 2)->type = entry_of(im, "/a/b", 2)->type == 1 ? 2 : 1)
DAMAGE(type_0, entry_of(im, "/a/b", 2)->type = 0)
DAMAGE(entry_unused, entry_of(im, "/a/b", 2)->ino = im->super->inodes - 5)
DAMAGE(entry_outside, entry_of(im, "/a/b", 2)->ino = im->super->inodes + 5)
DAMAGE(rec_len, entry_of(im, "/a/b", 2)->rec_len++)
DAMAGE(rec_len_short, entry_of(im, "/a/b", 2)->rec_len = 8)
DAMAGE(dot_dot, entry_of(im, "/a/b", 1)->ino = IMAGE_ROOT)
DAMAGE(dot, entry_of(im, "/a/b", 0)->ino = IMAGE_ROOT)
DAMAGE(slash, entry_of(im, "/a/b", 2)->name[0] = '/')
DAMAGE(twice, inode_of(im, "/a/long")->block[2] = inode_of(im, "/a/long")->block[1])
DAMAGE(metadata, inode_of(im, "/a/long")->block[2] = im->group[0].block_bitmap)
DAMAGE(outside, inode_of(im, "/a/long")->block[2] = im->super->blocks + 1)
DAMAGE(indirect_outside, ((uint32_t *)image_block(im, inode_of(im, "/a/long")->block[12]))[1] = 0xfffffff0)
DAMAGE(fast_link_size, inode_of(im, "/a/b/fast")->size = 3)
DAMAGE(slow_link_size, inode_of(im, "/a/slow")->size = 99)
DAMAGE(acl, inode_of(im, "/a/long")->acl = image_map(im, inode_of(im, "/a/long"), 1))
DAMAGE(extents, inode_of(im, "/a/long")->flags |= 0x80000)
DAMAGE(indexed, inode_of(im, "/a/b")->flags |= 0x1000)
DAMAGE(extra, inode_of(im, "/a/long")->extra = 7)
DAMAGE(dir_hole, inode_of(im, "/a/b/c")->block[1] = 0)
DAMAGE(dir_size, inode_of(im, "/a/b/c")->size += IMAGE_BLOCK)
DAMAGE(fifo_size, inode_of(im, "/d/fifo")->size = 9)
DAMAGE(orphan, im->super->last_orphan = ino_of(im, "/a/long"))
DAMAGE(state_0, im->super->state = 0)
DAMAGE(state_error, im->super->state |= 2)
DAMAGE(needs_recovery, im->super->incompat |= 4)
DAMAGE(journal_start, ((uint32_t *)image_block(im, image_map(im, image_inode(im, IMAGE_JOURNAL), 0)))[7] = 0x01000000)
DAMAGE(journal_errno, ((uint32_t *)image_block(im, image_map(im, image_inode(im, IMAGE_JOURNAL), 0)))[8] = 0x05000000)
DAMAGE(no_magic, im->super->magic = 0)

static const struct damage damages[] = {
#define D(name, silent)                                                                                                \
  {                                                                                                                    \
#name, name, silent                                                                                                \
  }
    D(total_blocks, 0),
    D(total_inodes, 0),
    D(group_blocks, 0),
    D(group_inodes, 0),
    D(group_dirs, 0),
    D(leaked_block, 0),
    D(leaked_inode, 0),
    D(lost_block, 0),
    D(lost_inode, 0),
    D(block_padding, 0),
    D(inode_padding, 0),
    D(sectors, 0),
    D(size_small, 0),
    D(links, 0),
    D(dir_links, 0),
    D(links_0, 0),
    D(dtime, 0),
    D(mode_0, 0),
    D(type_wrong, 0),
    D(type_0, 1),
    D(entry_unused, 0),
    D(entry_outside, 0),
    D(rec_len, 0),
    D(rec_len_short, 0),
    D(dot_dot, 0),
    D(dot, 0),
    D(slash, 0),
    D(twice, 0),
    D(metadata, 0),
    D(outside, 0),
    D(indirect_outside, 0),
    D(fast_link_size, 0),
    D(slow_link_size, 0),
    D(acl, 0),
    D(extents, 0),
    D(indexed, 0),
    D(extra, 0),
    D(dir_hole, 0),
    D(dir_size, 0),
    D(fifo_size, 1),
    D(orphan, 1),
    D(state_0, 1),
    D(state_error, 1),
    D(needs_recovery, 1),
    D(journal_start, 1),
    D(journal_errno, 0),
    D(no_magic, 0),
#undef D
};

TEST(one_field_broken)
{
  unsigned char *copy;
  struct image im;

  need(image_make());
  copy = malloc(size);
  for(unsigned i = 0; i < sizeof(damages) / sizeof(*damages); i++) {
    const struct damage *d = &damages[i];

    memcpy(copy, image, size);
    need(image_open(&im, copy, size) == 0);
    d->fn(&im);
    if(!ours(copy))
      test_fail(__FILE__, __LINE__, "%s: not found", d->what);
    if(!d->silent && e2fsck(copy) != 1)
      test_fail(__FILE__, __LINE__, "%s: e2fsck finds nothing; is it damage?", d->what);
  }
  free(copy);
}

// ---- any bytes

static unsigned
next_random(unsigned *seed)
{
  *seed = *seed * 1664525u + 1013904223u;
  return *seed >> 8;
}

// Somewhere that means something: the superblock, descriptors, bitmaps, the inode table, directories, indirect blocks.
static unsigned char *
somewhere(struct image *im, unsigned *seed)
{
  static const char *const path[] = {"/",       "/a",        "/a/b",    "/a/b/c",    "/d",
                                     "/a/long", "/d/sparse", "/a/slow", "/a/b/fast", "/d/fifo"};
  const char *p = path[next_random(seed) % 10];
  struct image_inode *ip = inode_of(im, p);

  switch(next_random(seed) % 5) {
  case 0: return (unsigned char *)im->super + next_random(seed) % 0x60;
  case 1: return (unsigned char *)im->group + next_random(seed) % 18;
  case 2: return bitmap_of(im, next_random(seed) % 2) + next_random(seed) % 300;
  case 3: return (unsigned char *)ip + next_random(seed) % 0x84;
  default:
    if(image_type(ip) == IMAGE_DIR)
      return (unsigned char *)image_block(im, ip->block[0]) + next_random(seed) % 60;
    if(ip->block[12] && image_type(ip) == IMAGE_REG)
      return (unsigned char *)image_block(im, ip->block[12]) + next_random(seed) % 80;
    return (unsigned char *)ip + next_random(seed) % 0x84;
  }
}

TEST(what_e2fsck_finds_is_found)
{
  unsigned seed = getenv("SEED") ? atoi(getenv("SEED")) : 1,
           n = getenv("IMAGES") ? atoi(getenv("IMAGES")) : RANDOM_DAMAGE;
  unsigned char *copy;
  struct image im;
  int theirs = 0, found = 0, e;

  need(image_make());
  copy = malloc(size);
  for(unsigned i = 0; i < n; i++) {
    unsigned char *p;

    memcpy(copy, image, size);
    need(image_open(&im, copy, size) == 0);
    p = somewhere(&im, &seed);
    *p ^= 1 << next_random(&seed) % 8;
    e = e2fsck(copy);
    theirs += e == 1;
    found += ours(copy);
    if(e == 1 && !ours(copy))
      test_fail(__FILE__, __LINE__, "damage %u, at byte %lu (%#x): e2fsck finds something, we do not: %.300s", i,
                (unsigned long)(p - copy), *p, e2fsck_said);
  }
  printf("  %u damaged images, e2fsck finds something in %d, we in %d\n", n, theirs, found);
  expect(theirs > (int)n / 3);
  free(copy);
}
