// fuzz_ext3.c -- libFuzzer's program for the ext3 reader. The input is a list of edits of a small image that mke2fs made
// (build/fuzz/ext3.img, built in), 8 bytes each, or, if it begins with RAW, the image itself. It is mounted, its tree is
// walked, files and links are read, all within bounds; afterwards nothing may be left in memory.
// An edit: kind, width, position (16 bits), value (32 bits). Most kinds aim at what steers the reader.
#include <stdlib.h>
#include <string.h>
#include "fs/bcache.h"
#include "fs/ext3/ext3.h"
#include "fs_fakes.h"

__asm__(
    ".section .rodata\n.balign 8\nbase_image: .incbin \"build/fuzz/ext3.img\"\nbase_image_end: .byte 0\n.previous\n");
extern const unsigned char base_image[], base_image_end[];

enum {
  RAW = 0xff,
  EDIT = 8,
  BLOCKS_MAX = 1024,
  NODES = 300,
  ENTRIES = 400,
  DEPTH = 12,
  READS = 12,
  REQUESTS_MAX = 20000
};
enum { KIND_SUPER, KIND_GROUPS, KIND_INODE, KIND_META, KIND_META2, KIND_ANY, KINDS };

static unsigned char image[BLOCKS_MAX * EXT3_BLOCK];
static uint64_t base_size;
static uint32_t meta[BLOCKS_MAX]; // blocks that a walk over the good image reads as metadata
static int nmeta;
static struct fakedisk disk;
static int nodes; // still to be visited

void
vprint(const char *f, va_list ap)
{
}

// ---- the walk

struct names {
  int n;
  char name[ENTRIES][NAME_MAX + 1];
  size_t len[ENTRIES];
};

static bool
name_add(void *arg, const char *name, size_t len, uint64_t ino, unsigned type, uint64_t next)
{
  struct names *l = arg;

  if(len == 0 || len > NAME_MAX || memchr(name, '/', len) || memchr(name, 0, len))
    panic("readdir gave a name of %zu bytes that no path can have", len);
  if(l->n == ENTRIES)
    return false;
  memcpy(l->name[l->n], name, len);
  l->len[l->n++] = len;
  return true;
}

static void visit(struct dentry *d, int depth);

static void
visit_dir(struct dentry *d, struct file *f, int depth)
{
  struct names *l = malloc(sizeof(*l));

  l->n = 0;
  file_readdir(f, name_add, l);
  for(int i = 0; i < l->n && nodes > 0; i++) {
    struct dentry *child;

    if(l->len[i] <= 2 && l->name[i][0] == '.')
      continue;
    if(dentry_lookup(d, l->name[i], l->len[i], &child) != 0)
      continue;
    if(child->inode)
      visit(child, depth + 1);
    dentry_put(child);
  }
  file_lseek(f, 4096 + depth * 12, 0);
  l->n = 0;
  file_readdir(f, name_add, l);
  free(l);
}

static void
visit_file(struct file *f)
{
  static const uint64_t at[] = {0,
                                12 * PAGE_SIZE,
                                1035 * PAGE_SIZE + 4000,
                                1036 * PAGE_SIZE,
                                (1036 + (1 << 20) - 1) * PAGE_SIZE,
                                (1036 + (1 << 20)) * PAGE_SIZE,
                                1ull << 42,
                                (1ull << 51) + 5};
  uint64_t size = f->inode->obj.size;
  static char buf[3 * PAGE_SIZE];

  for(unsigned i = 0; i < array_len(at); i++)
    file_read_kernel(f, buf, i == 0 ? sizeof(buf) : PAGE_SIZE, at[i]);
  if(size > 0)
    file_read_kernel(f, buf, PAGE_SIZE, size - 1);
  for(int i = 0; i < READS && size / READS > PAGE_SIZE; i++)
    file_read_kernel(f, buf, PAGE_SIZE, size / READS * i);
  mobj_shrink(&f->inode->obj);
}

static void
visit(struct dentry *d, int depth)
{
  char text[PATH_MAX];
  struct stat_info st;
  struct file *f;

  nodes--;
  inode_stat(d->inode, &st);
  if(S_ISTYPE(st.mode, S_IFLNK)) {
    vfs_readlink(d, text, sizeof(text));
  } else if(S_ISTYPE(st.mode, S_IFREG) || S_ISTYPE(st.mode, S_IFDIR)) {
    if(file_open_dentry(d, O_RDONLY, 0, &f) != 0)
      return;
    if(S_ISTYPE(st.mode, S_IFREG))
      visit_file(f);
    else if(depth < DEPTH)
      visit_dir(d, f, depth);
    file_put(f);
  }
}

static void
paths(struct fs *fs)
{
  static const char *const path[] = {"/d/e/f/deep",   "/links/twice",          "/links/loop",
                                     "/links/4095/x", "/d/../links/../d/e/..", "/sparse/all"};
  struct namectx c = {.root = fs->root, .cwd = fs->root};
  struct dentry *d;

  for(unsigned i = 0; i < array_len(path); i++)
    if(namei(&c, 0, path[i], NAMEI_FOLLOW, &d) == 0)
      dentry_put(d);
}

static bool
walk(void)
{
  struct statfs_info st;
  struct fs *fs;

  if(fs_mount_ext3("vda", &fs) != 0)
    return false;
  nodes = NODES;
  visit(fs->root, 0);
  paths(fs);
  vfs_statfs(fs, &st);
  if(st.bfree > st.blocks || st.bavail > st.bfree || st.ffree > st.files)
    panic("statfs: %lu of %lu blocks are free, %lu of %lu inodes", st.bfree, st.blocks, st.ffree, st.files);
  fs_unmount(fs);
  return true;
}

// ---- edits

static const uint32_t *
super_words(void)
{
  return (const uint32_t *)(base_image + EXT3_SUPER_OFFSET);
}

static unsigned char *
place(int kind, unsigned pos)
{
  const struct ext3_group *g = (const void *)(base_image + EXT3_BLOCK);
  const struct ext3_super *s = (const void *)super_words();

  switch(kind % KINDS) {
  case KIND_SUPER: return image + EXT3_SUPER_OFFSET + pos % 0x70;
  case KIND_GROUPS: return image + EXT3_BLOCK + pos % sizeof(*g);
  case KIND_INODE: // which inode, which byte of its first 160
    return image + g->inode_table * EXT3_BLOCK + (1 + pos % 60) * s->inode_size + pos / 64 % 160;
  case KIND_META:
  case KIND_META2: return image + (uint64_t)meta[pos % nmeta] * EXT3_BLOCK + pos / 16 % EXT3_BLOCK;
  default: return image + (uint64_t)pos * 16 % base_size;
  }
}

static void
edit(const unsigned char *e)
{
  unsigned pos = e[2] | e[3] << 8, width = 1u << e[1] % 3;
  unsigned char *p = place(e[0], pos);

  if(p + width > image + base_size)
    return;
  memcpy(p, e + 4, width);
}

// What the edits that are made most should hit: every block that a walk reads as metadata.
static void
find_meta(void)
{
  struct buf *b;
  struct fs *fs;

  if(fs_mount_ext3("vda", &fs) != 0)
    panic("the base image cannot be mounted");
  nodes = NODES;
  visit(fs->root, 0);
  for(uint64_t n = 0; n < base_size / EXT3_BLOCK && nmeta < BLOCKS_MAX; n++) {
    int before = disk.requests;

    if(buf_get(&disk.dev, n, &b) == 0)
      buf_put(b);
    if(disk.requests == before && n > 1)
      meta[nmeta++] = n;
  }
  fs_unmount(fs);
}

static void
start(void)
{
  base_size = base_image_end - base_image;
  if(base_size > sizeof(image))
    abort();
  fs_world();
  memcpy(image, base_image, base_size);
  fakedisk_init(&disk, "vda", image, base_size);
  find_meta();
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
  static uint64_t baseline;
  uint64_t bytes;

  if(nmeta == 0) {
    start();
    baseline = fs_frames_free();
  }
  if(size > 0 && data[0] == RAW) {
    bytes = min((uint64_t)size - 1, (uint64_t)sizeof(image));
    memset(image, 0, base_size);
    memcpy(image, data + 1, bytes);
    bytes = max(bytes, base_size);
  } else {
    memcpy(image, base_image, base_size);
    bytes = base_size;
    for(; size >= EDIT; size -= EDIT, data += EDIT)
      edit(data);
  }
  fakedisk_init(&disk, "vda", image, bytes);
  disk.later = size & 1;
  walk();
  if(disk.requests > REQUESTS_MAX)
    panic("%d requests for a walk with bounds", disk.requests);
  if(bcache_pages() != 0 || fs_frames_free() != baseline)
    panic("%lu frames are free, at first %lu; %lu metadata blocks", fs_frames_free(), baseline, bcache_pages());
  return 0;
}
