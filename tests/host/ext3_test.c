// ext3_test.c -- the ext3 reader against images that mke2fs made: what it shows is what the host shows of the same tree.
#include <stdlib.h>
#include <string.h>
#include "fs/bcache.h"
#include "fs/ext3/ext3.h"
#include "fs_fakes.h"
#include "hosttree.h"
#include "lib/fmt.h"
#include "test.h"

enum { CHUNK = 65536, ENTRIES_MAX = 20000, PATH_BYTES = 8192 };

static struct fakedisk disk;
static char said[1024]; // what the kernel printed last
static char tree[100], small_tree[100];

void
vprint(const char *f, va_list ap)
{
  vfmt(said, sizeof(said), f, ap);
}

// ---- images

static bool
trees(void)
{
  fs_world();
  if(tree[0])
    return true;
  if(host_run("mke2fs -V 2>/dev/null && e2fsck -V 2>/dev/null && debugfs -V 2>/dev/null") != 0) {
    test_fail(__FILE__, __LINE__, "these tests need mke2fs, e2fsck and debugfs: install e2fsprogs");
    return false;
  }
  sprintf(small_tree, "%s/small", host_tmp());
  sprintf(tree, "%s/tree", host_tmp());
  host_make_tree(tree);
  return host_run("mkdir -p %s/d && cp -a %s/sizes/6291456 %s/big && cp -a %s/links %s/l && echo hi >%s/d/f",
                  small_tree, tree, small_tree, tree, small_tree, small_tree) == 0;
}

// The image NAME.img in host_tmp() of everything under `from`; made once.
static bool
image_make(const char *name, const char *from, const char *options, const char *size)
{
  static char made[1000];
  char key[100];

  sprintf(key, "/%s/", name);
  if(strstr(made, key))
    return true;
  strcat(made, key);
  return host_run("mke2fs -q -F -t ext3 -b 4096 -m 0 -O none,has_journal,filetype,sparse_super,large_file %s "
                  "-d %s %s/%s.img %s >/dev/null 2>&1",
                  options, from, host_tmp(), name, size) == 0;
}

static bool
disk_open(const char *name)
{
  char path[200];
  uint64_t size;
  void *p;

  sprintf(path, "%s/%s.img", host_tmp(), name);
  p = host_map(path, &size);
  if(p)
    fakedisk_init(&disk, "vda", p, size);
  disk.later = false;
  return p != 0;
}

static void
disk_close(void)
{
  host_unmap(disk.bytes, disk.dev.sectors * BLK_SECTOR);
}

static struct ext3_super *
super(void)
{
  return (struct ext3_super *)(disk.bytes + EXT3_SUPER_OFFSET);
}

static struct ext3_dinode *
dinode(uint32_t ino)
{
  struct ext3_group *g = (struct ext3_group *)(disk.bytes + EXT3_BLOCK) + (ino - 1) / super()->inodes_per_group;

  return (void *)(disk.bytes + (uint64_t)g->inode_table * EXT3_BLOCK +
                  (ino - 1) % super()->inodes_per_group * super()->inode_size);
}

// ---- what the kernel sees

static int
look(struct fs *fs, const char *path, int flags, struct dentry **d)
{
  struct namectx c = {.root = fs->root, .cwd = fs->root};

  return namei(&c, 0, path, flags, d);
}

static uint32_t
ino_of(struct fs *fs, const char *path)
{
  struct dentry *d;
  uint32_t ino;

  if(look(fs, path, 0, &d) != 0)
    return 0;
  ino = d->inode->ino;
  dentry_put(d);
  return ino;
}

struct entry {
  char *name;
  uint64_t ino, next;
  unsigned type;
};
struct entries {
  int n, refuse; // refuse every so many-th
  struct entry e[ENTRIES_MAX];
};

static bool
entry_add(void *arg, const char *name, size_t len, uint64_t ino, unsigned type, uint64_t next)
{
  struct entries *l = arg;

  if(l->refuse && --l->refuse == 0)
    return false;
  if(l->n == ENTRIES_MAX)
    return false;
  l->e[l->n++] = (struct entry){strndup(name, len), ino, next, type};
  return true;
}

static int
entry_by_name(const void *a, const void *b)
{
  return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

// All entries, in pieces: the reader has little room.
static int
entries_read(struct dentry *d, struct entries *l)
{
  struct file *f;
  int err = file_open_dentry(d, O_RDONLY, 0, &f), before = -1;

  l->n = 0;
  while(err == 0 && l->n != before) {
    before = l->n;
    l->refuse = 2 + l->n % 50;
    err = file_readdir(f, entry_add, l);
  }
  if(f && before >= 0)
    file_put(f);
  return err;
}

static void
entries_free(struct entries *l)
{
  while(l->n > 0)
    free(l->e[--l->n].name);
}

// ---- comparing

static void
compare_stat(const char *path, struct inode *ip, const struct host_stat *h)
{
  struct stat_info st;
  bool same;

  inode_stat(ip, &st);
  same = st.mode == h->mode && st.uid == h->uid && st.gid == h->gid;
  if(S_ISTYPE(h->mode, S_IFDIR))
    same = same && st.size > 0 && st.size % EXT3_BLOCK == 0;
  else
    same = same && st.nlink == h->nlink && st.rdev == h->rdev && (!h->size || st.size == h->size) &&
           st.ctime.sec == h->ctime;
  same = same && st.mtime.sec == h->mtime && st.dev == 0xfe00;
  if(!same)
    test_fail(__FILE__, __LINE__,
              "%s: mode %o uid %u gid %u nlink %lu rdev %#lx size %lu mtime %ld ctime %ld dev %#lx, "
              "on the host %o %u %u %lu %#lx %lu %ld %ld",
              path, st.mode, st.uid, st.gid, st.nlink, st.rdev, st.size, st.mtime.sec, st.ctime.sec, st.dev, h->mode,
              h->uid, h->gid, h->nlink, h->rdev, h->size, h->mtime, h->ctime);
}

static void
compare_range(const char *path, struct file *f, uint64_t lo, uint64_t hi)
{
  static char ours[CHUNK], theirs[CHUNK];

  for(; lo < hi; lo += CHUNK) {
    size_t n = min(hi - lo, (uint64_t)CHUNK);
    int64_t a = file_read_kernel(f, ours, n, lo), b = host_read(path, theirs, n, lo);

    if(a != b || memcmp(ours, theirs, max(b, 0l)) != 0) {
      test_fail(__FILE__, __LINE__, "%s at %lu: %ld bytes differ, expected %ld", path, lo, a, b);
      return;
    }
  }
}

// All data, and both sides of every border between data and hole.
static void
compare_data(const char *path, struct dentry *d, uint64_t size)
{
  uint64_t lo, hi, end = 0;
  struct file *f;
  char byte;

  need(file_open_dentry(d, O_RDONLY, 0, &f) == 0);
  while(end < size && host_data(path, end, &lo, &hi)) {
    lo = lo > CHUNK ? lo - CHUNK / 2 : 0;
    end = min(hi + CHUNK / 2, size);
    compare_range(path, f, lo, end);
    mobj_shrink(&d->inode->obj);
  }
  if(size > 0)
    compare_range(path, f, size - 1, size + 10);
  expect_eq(file_read_kernel(f, &byte, 1, size), 0);
  expect_eq(file_read_kernel(f, &byte, 1, size + (1l << 40)), 0);
  file_put(f);
}

static void
compare_link(const char *path, struct dentry *d)
{
  char ours[PATH_MAX], theirs[PATH_MAX];
  int64_t n = host_readlink(path, theirs, sizeof(theirs));

  expect_eq(vfs_readlink(d, ours, sizeof(ours)), n);
  expect(n > 0 && memcmp(ours, theirs, n) == 0);
  expect_eq(vfs_readlink(d, ours, 1), 1);
}

static void compare(struct fs *fs, const char *top, const char *path);

static void
compare_dir(struct fs *fs, const char *top, const char *path, struct dentry *d)
{
  struct entries *l = calloc(1, sizeof(*l));
  char *below = malloc(PATH_BYTES);
  struct host_names h;
  int i, k = 0;

  sprintf(below, "%s%s", top, path);
  h = host_list(below);
  expect_eq(entries_read(d, l), 0);
  qsort(l->e, l->n, sizeof(l->e[0]), entry_by_name);
  for(i = 0; i < l->n; i++) {
    struct entry *e = &l->e[i];

    if(strcmp(e->name, ".") == 0)
      expect_eq(e->ino, d->inode->ino);
    else if(strcmp(e->name, "..") == 0)
      expect_eq(e->ino, d->parent->inode->ino);
    else if(strcmp(e->name, "lost+found") != 0 && (k >= h.n || strcmp(e->name, h.name[k++]) != 0))
      test_fail(__FILE__, __LINE__, "%s: unexpected entry %s", path, e->name);
    else if(strcmp(e->name, "lost+found") != 0) {
      struct dentry *child;

      sprintf(below, "%s/%s", path, e->name);
      if(look(fs, below, 0, &child) == 0) {
        expect_eq(child->inode->ino, e->ino);
        expect_eq(child->inode->mode & S_IFMT, e->type);
        dentry_put(child);
      }
      compare(fs, top, below);
    }
  }
  expect_eq(k, h.n);
  host_names_free(&h);
  entries_free(l);
  free(l);
  free(below);
}

static void
compare(struct fs *fs, const char *top, const char *path)
{
  char *host = malloc(PATH_BYTES);
  struct host_stat h;
  struct dentry *d;
  int err = look(fs, *path ? path : "/", 0, &d);

  sprintf(host, "%s%s", top, path);
  if(err || host_lstat(host, &h) != 0) {
    test_fail(__FILE__, __LINE__, "%s: look-up says %d", host, err);
    free(host);
    return;
  }
  if(*path)
    compare_stat(path, d->inode, &h);
  if(S_ISTYPE(h.mode, S_IFDIR))
    compare_dir(fs, top, path, d);
  else if(S_ISTYPE(h.mode, S_IFREG))
    compare_data(host, d, h.size);
  else if(S_ISTYPE(h.mode, S_IFLNK))
    compare_link(host, d);
  dentry_put(d);
  free(host);
}

static void
compare_image(const char *image, const char *from, bool later)
{
  uint64_t baseline = fs_frames_free();
  struct fs *fs;

  need(disk_open(image));
  disk.later = later;
  expect_eq(fs_mount_ext3("/dev/vda", &fs), 0);
  compare(fs, from, "");
  fs_unmount(fs);
  expect_eq(bcache_pages(), 0);
  expect_eq(fs_frames_free(), baseline);
  disk_close();
}

TEST(same_as_the_host)
{
  need(trees());
  need(image_make("i256", tree, "-I 256", "100M"));
  compare_image("i256", tree, false);
  compare_image("i256", tree, true);
}

TEST(inodes_of_128_bytes)
{
  need(trees());
  need(image_make("i128", tree, "-I 128 -g 8192", "100M")); // and four groups
  compare_image("i128", tree, true);
}

// A tree with one directory, /n, of so many names.
static void
names_tree(char *path, const char *name, int n)
{
  sprintf(path, "%s/%s", host_tmp(), name);
  host_run("mkdir %s", path);
  host_make_names(strcat(path, "/n"), n);
  *strrchr(path, '/') = 0;
}

TEST(hashed_directory)
{
  char names[100];

  need(trees());
  names_tree(names, "names", 5000);
  need(image_make("hashed", names, "-I 256 -N 8000 -O dir_index", "40M"));
  need(host_run("e2fsck -fyD %s/hashed.img >/dev/null 2>&1", host_tmp()) <= 2 << 8);
  expect(host_prints("Flags: 0x1000", "debugfs -R 'stat /n' %s/hashed.img 2>/dev/null", host_tmp()));
  compare_image("hashed", names, true);
  need(image_make("linear", names, "-I 256 -N 8000", "40M"));
  compare_image("linear", names, false);
}

// ---- single things

static struct fs *
open_small(void)
{
  struct fs *fs;

  if(!trees() || !image_make("small", small_tree, "-I 256 -J size=4", "24M") || !disk_open("small") ||
     fs_mount_ext3("/dev/vda", &fs) != 0)
    return 0;
  return fs;
}

static void
close_small(struct fs *fs)
{
  fs_unmount(fs);
  disk_close();
}

TEST(paths_and_links)
{
  struct fs *fs = open_small();
  struct dentry *d;

  need(fs);
  expect_eq(look(fs, "/l/b/x", 0, &d), -ENOTDIR);
  expect_eq(look(fs, "/nothing", 0, &d), -ENOENT);
  expect_eq(look(fs, "/l/loop", NAMEI_FOLLOW, &d), -ELOOP);
  expect_eq(look(fs, "/l/right", NAMEI_FOLLOW, &d), -ENOENT);
  expect_eq(ino_of(fs, "/l/a"), ino_of(fs, "/l/c"));
  expect_eq(ino_of(fs, "/d/.././l/a"), ino_of(fs, "/l/b"));
  close_small(fs);
}

TEST(blocks_and_statfs)
{
  struct fs *fs = open_small();
  struct statfs_info st;
  struct dentry *d;

  need(fs);
  need(look(fs, "/big", 0, &d) == 0);
  expect_eq(d->inode->blocks, (1536 + 1 + 2) * 8); // data, one single indirect, a double one with one below
  dentry_put(d);
  expect_eq(vfs_statfs(fs, &st), 0);
  expect_eq(st.type, 0xef53);
  expect_eq(st.bsize, 4096);
  expect_eq(st.bfree, super()->free_blocks_count);
  expect_eq(st.files, super()->inodes_count);
  expect(st.blocks > st.bfree + 1536 && st.blocks < super()->blocks_count);
  close_small(fs);
}

TEST(readdir_goes_on_anywhere)
{
  struct fs *fs = open_small();
  struct entries *l = calloc(1, sizeof(*l)), *rest = calloc(1, sizeof(*l));
  struct dentry *d;
  struct file *f;

  need(fs);
  need(look(fs, "/l", 0, &d) == 0 && entries_read(d, l) == 0 && file_open_dentry(d, O_RDONLY, 0, &f) == 0);
  for(int i = 0; i < l->n; i++) {
    expect_eq(file_lseek(f, l->e[i].next, 0), l->e[i].next);
    expect_eq(file_readdir(f, entry_add, rest), 0);
    expect_eq(rest->n, l->n - i - 1);
    expect(rest->n == 0 || strcmp(rest->e[0].name, l->e[i + 1].name) == 0);
    entries_free(rest);
  }
  file_lseek(f, INT64_MAX, 0);
  expect_eq(file_readdir(f, entry_add, rest), 0);
  expect_eq(rest->n, 0);
  file_put(f);
  dentry_put(d);
  entries_free(l);
  free(l);
  free(rest);
  close_small(fs);
}

TEST(times_beyond_2038)
{
  struct fs *fs = open_small();
  struct ext3_dinode *di;
  struct dentry *d;
  uint32_t ino;

  need(fs);
  di = dinode(ino = ino_of(fs, "/d/f"));
  fs_unmount(fs);
  di->mtime = 5;
  di->mtime_extra = 1 | 123456789u << 2;
  di->atime = 0x80000000;
  di->atime_extra = 1 | 0xfffffffcu; // no number of nanoseconds
  need(fs_mount_ext3("vda", &fs) == 0);
  need(look(fs, "/d/f", 0, &d) == 0);
  expect_eq(d->inode->ino, ino);
  expect_eq(stamp_get(&d->inode->mtime).sec, 5 + (1l << 32));
  expect_eq(stamp_get(&d->inode->mtime).nsec, 123456789);
  expect_eq(stamp_get(&d->inode->atime).sec, 1l << 31);
  expect_eq(stamp_get(&d->inode->atime).nsec, 999999999);
  dentry_put(d);
  close_small(fs);
}

// ---- damage

// Mount with `patch` applied to the small image: 0 and *fs, or the error.
static int
mount_patched(void (*patch)(void), struct fs **fs)
{
  said[0] = 0;
  if(!trees() || !image_make("small", small_tree, "-I 256 -J size=4", "24M") || !disk_open("small"))
    return -ENOENT;
  patch();
  return fs_mount_ext3("/dev/vda", fs);
}

static uint32_t feature_incompat, feature_ro_compat, wanted_ino;

static void
patch_features(void)
{
  super()->feature_incompat |= feature_incompat;
  super()->feature_ro_compat |= feature_ro_compat;
}

static void
expect_refused(void (*patch)(void), const char *word)
{
  struct fs *fs;

  expect_eq(mount_patched(patch, &fs), -EINVAL);
  if(strstr(said, word) == 0 || strchr(said, '\n') == 0)
    test_fail(__FILE__, __LINE__, "expected a sentence with '%s', got: %s", word, said);
  disk_close();
}

TEST(unknown_features_are_named)
{
  static const char *const incompat[] = {"compression", 0,
                                         "journal",     "journal_dev",
                                         "meta_bg",     "(0x20)",
                                         "extent",      "64bit",
                                         "mmp",         "flex_bg",
                                         "ea_inode",    "(0x800)",
                                         "dirdata",     "metadata_csum_seed",
                                         "large_dir",   "inline_data",
                                         "encrypt",     "casefold"};
  static const char *const ro_compat[] = {0,           0,           "btree_dir",    "huge_file",
                                          "uninit_bg", "dir_nlink", "extra_isize",  "has_snapshot",
                                          "quota",     "bigalloc",  "metadata_csum"};
  uint64_t baseline;

  need(trees());
  baseline = fs_frames_free();
  for(unsigned i = 0; i < array_len(incompat); i++)
    if(incompat[i]) {
      feature_incompat = 1u << i;
      expect_refused(patch_features, incompat[i]);
    }
  feature_incompat = 0;
  for(unsigned i = 0; i < array_len(ro_compat); i++)
    if(ro_compat[i]) {
      feature_ro_compat = 1u << i;
      expect_refused(patch_features, ro_compat[i]);
    }
  feature_ro_compat = 0;
  expect_eq(fs_frames_free(), baseline);
}

#define PATCH(name, what)                                                                                              \
  static void name(void)                                                                                               \
  {                                                                                                                    \
    what;                                                                                                              \
  }
PATCH(no_magic, super()->magic = 0)
PATCH(small_blocks, super()->log_block_size = 0)
PATCH(no_groups, super()->blocks_per_group = 0)
PATCH(tiny_groups, super()->blocks_per_group = 1; super()->inodes_per_group = 1;
      super()->inodes_count = super()->blocks_count)
PATCH(odd_inodes, super()->inode_size = 0x107)
PATCH(too_long, super()->blocks_count += 32768; super()->inodes_count += super()->inodes_per_group)
PATCH(more_inodes, super()->inodes_count++)
PATCH(low_first_ino, super()->first_ino = 1)
PATCH(wild_table, ((struct ext3_group *)(disk.bytes + EXT3_BLOCK))->inode_table = 0x7fffffff)
PATCH(tiny_disk, disk.dev.sectors = 8)
PATCH(root_is_file, dinode(EXT3_ROOT_INO)->mode = S_IFREG | 0644)
PATCH(root_is_gone, dinode(EXT3_ROOT_INO)->links_count = 0)

TEST(impossible_images_are_refused)
{
  uint64_t baseline;
  struct fs *fs;

  need(trees());
  baseline = fs_frames_free();
  expect_refused(no_magic, "not an ext3");
  expect_refused(small_blocks, "blocks of 1024");
  expect_refused(no_groups, "impossible");
  expect_refused(tiny_groups, "impossible");
  expect_refused(odd_inodes, "inodes of");
  expect_refused(too_long, "truncated");
  expect_refused(more_inodes, "impossible");
  expect_refused(low_first_ino, "impossible");
  expect_refused(wild_table, "damaged");
  expect_refused(root_is_file, "no directory");
  need(disk_open("small"));
  tiny_disk();
  expect_eq(fs_mount_ext3("vda", &fs), -EINVAL);
  expect(strstr(said, "too small") != 0);
  expect_eq(fs_mount_ext3("/dev/vdz", &fs), -ENODEV);
  expect(strstr(said, "no disk /dev/vdz") != 0);
  expect_eq(mount_patched(root_is_gone, &fs), -EIO);
  disk_close();
  expect_eq(fs_frames_free(), baseline);
}

static unsigned char *
block_at(uint32_t ino, int n)
{
  return disk.bytes + (uint64_t)dinode(ino)->block[n] * EXT3_BLOCK;
}

PATCH(entry_names_journal, ((struct ext3_dirent *)block_at(wanted_ino, 0))[3].inode = 8)
PATCH(nothing, )

// Give inode `path` of the small image to `damage`, mount again, and see what a look-up of it or a read of it says.
static int
damaged(const char *path, void (*damage)(struct ext3_dinode *), bool read)
{
  static char buf[8 << 20];
  struct dentry *d;
  struct file *f;
  struct fs *fs;
  int64_t err;

  if(mount_patched(nothing, &fs) != 0)
    return -1;
  wanted_ino = ino_of(fs, path);
  fs_unmount(fs);
  damage(dinode(wanted_ino));
  if(fs_mount_ext3("vda", &fs) != 0)
    return -2;
  err = look(fs, path, 0, &d);
  if(err == 0 && read && (err = file_open_dentry(d, O_RDONLY, 0, &f)) == 0) {
    struct entries *l = calloc(1, sizeof(*l));

    err = S_ISTYPE(d->inode->mode, S_IFDIR) ? file_readdir(f, entry_add, l) : file_read_kernel(f, buf, sizeof(buf), 0);
    entries_free(l);
    free(l);
    file_put(f);
  } else if(err == 0 && S_ISTYPE(d->inode->mode, S_IFLNK)) {
    err = vfs_readlink(d, buf, PATH_MAX);
  }
  if(d && err != -EIO)
    dentry_put(d);
  else if(err == -EIO && look(fs, path, 0, &d) == 0) {
    dentry_put(d);
    dentry_put(d);
  }
  close_small(fs);
  return err;
}

#define DAMAGE(name, what)                                                                                             \
  static void name(struct ext3_dinode *d)                                                                              \
  {                                                                                                                    \
    what;                                                                                                              \
  }
DAMAGE(has_extents, d->flags |= EXT3_EXTENTS)
DAMAGE(has_no_links, d->links_count = 0)
DAMAGE(has_no_type, d->mode &= 07777)
DAMAGE(has_wild_type, d->mode = 0xf1ff)
DAMAGE(has_negative_size, d->size_high = 0x80000000)
DAMAGE(has_huge_size, d->size_high = 0x7fffffff)
DAMAGE(has_wild_pointer, d->block[3] = 0x12345678)
DAMAGE(has_wild_indirect, d->block[12] = super()->blocks_count)
DAMAGE(has_wild_double, d->block[13] = UINT32_MAX)
DAMAGE(has_hole, d->block[0] = 0)
DAMAGE(has_big_size, d->size = UINT32_MAX)
DAMAGE(has_zero_rec_len, ((struct ext3_dirent *)block_at(wanted_ino, 0))->rec_len = 0)
DAMAGE(has_long_rec_len, ((struct ext3_dirent *)block_at(wanted_ino, 0))->rec_len = 8192)
DAMAGE(has_long_name, ((struct ext3_dirent *)block_at(wanted_ino, 0))->name_len = 200)
DAMAGE(has_wild_entry, ((struct ext3_dirent *)block_at(wanted_ino, 0))->inode = UINT32_MAX)
DAMAGE(has_slash, block_at(wanted_ino, 0)[8] = '/')
DAMAGE(has_xattr_block, d->file_acl = 100; d->blocks = 8)
DAMAGE(has_no_length, d->size = 0)
DAMAGE(has_long_text, d->size = 4096)

TEST(damaged_inodes_are_eio)
{
  uint64_t baseline;

  need(trees());
  baseline = fs_frames_free();
  expect_eq(damaged("/big", has_extents, false), -EIO);
  expect_eq(damaged("/big", has_no_links, false), -EIO);
  expect_eq(damaged("/big", has_no_type, false), -EIO);
  expect_eq(damaged("/big", has_wild_type, false), -EIO);
  expect_eq(damaged("/big", has_negative_size, false), -EIO);
  expect_eq(damaged("/big", has_huge_size, false), 0);
  expect_eq(damaged("/big", has_wild_pointer, true), -EIO);
  expect_eq(damaged("/big", has_wild_indirect, true), -EIO);
  expect_eq(damaged("/big", has_wild_double, true), -EIO);
  expect_eq(damaged("/d", has_hole, true), -EIO);
  expect_eq(damaged("/d", has_big_size, false), -EIO);
  expect_eq(damaged("/d", has_zero_rec_len, true), -EIO);
  expect_eq(damaged("/d", has_long_rec_len, true), -EIO);
  expect_eq(damaged("/d", has_long_name, true), -EIO);
  expect_eq(damaged("/d", has_wild_entry, true), -EIO);
  expect_eq(damaged("/d", has_slash, true), -EIO);
  expect_eq(damaged("/l/59", has_xattr_block, false), 59);
  expect_eq(damaged("/l/60", has_no_length, false), -EIO);
  expect_eq(damaged("/l/60", has_long_text, false), -EIO);
  expect_eq(fs_frames_free(), baseline);
}

// A directory large enough for an index in memory, whose entries lead astray: to odd places, and to the block's last bytes.
TEST(damaged_large_directories_are_eio)
{
  static const struct {
    unsigned len, name_len;
  } first[] = {{13, 1}, {10, 1}, {EXT3_BLOCK - 4, 1}, {EXT3_BLOCK - 1, 1}, {4, 0}, {0, 0}};
  struct ext3_dirent *e;
  struct dentry *d;
  struct fs *fs;
  char many[100];

  need(trees());
  names_tree(many, "many", 1000);
  need(image_make("many", many, "-I 256 -N 2000 -J size=4", "24M"));
  for(unsigned i = 0; i < array_len(first); i++) {
    need(disk_open("many") && fs_mount_ext3("/dev/vda", &fs) == 0);
    wanted_ino = ino_of(fs, "/n");
    fs_unmount(fs);
    e = (struct ext3_dirent *)block_at(wanted_ino, 0);
    e->rec_len = first[i].len;
    e->name_len = first[i].name_len;
    need(fs_mount_ext3("vda", &fs) == 0);
    expect_eq(look(fs, "/n/nowhere", 0, &d), -EIO);
    close_small(fs);
  }
}

// Found by fuzz_write: rmdir locked a directory, and then what the name in it stood for.
TEST(a_directory_does_not_contain_itself)
{
  struct ext3_dirent *e;
  struct dentry *d;
  struct fs *fs;
  char many[100], path[300];

  need(trees());
  names_tree(many, "itself", 3);
  need(image_make("itself", many, "-I 256 -N 2000 -J size=4", "24M"));
  need(disk_open("itself") && fs_mount_ext3("/dev/vda", &fs) == 0);
  wanted_ino = ino_of(fs, "/n");
  fs_unmount(fs);
  e = (struct ext3_dirent *)block_at(wanted_ino, 0);
  for(int i = 0; i < 2; i++) // behind "." and ".."
    e = (struct ext3_dirent *)((char *)e + e->rec_len);
  e->inode = wanted_ino;
  snprintf(path, sizeof(path), "/n/%.*s", e->name_len, (char *)(e + 1));
  need(fs_mount_ext3("vda", &fs) == 0);
  expect_eq(look(fs, path, 0, &d), -EIO);
  close_small(fs);
}

TEST(reserved_inodes_are_no_files)
{
  struct dentry *d;
  struct fs *fs;

  need(mount_patched(nothing, &fs) == 0);
  wanted_ino = ino_of(fs, "/d");
  fs_unmount(fs);
  // ".", "..", "f": entries of 12 bytes but for the last, so the third starts at 24
  entry_names_journal();
  need(fs_mount_ext3("vda", &fs) == 0);
  expect_eq(look(fs, "/d/f", 0, &d), -EIO);
  close_small(fs);
}

TEST(remount_reads_the_disk_again)
{
  struct fs *fs = open_small();
  uint32_t ino;

  need(fs);
  ino = ino_of(fs, "/big");
  fs_unmount(fs);
  dinode(ino)->mode = S_IFREG | 0123;
  need(fs_mount_ext3("vda", &fs) == 0);
  {
    struct dentry *d;

    need(look(fs, "/big", 0, &d) == 0);
    expect_eq(d->inode->mode, S_IFREG | 0123);
    dentry_put(d);
  }
  close_small(fs);
}

// ---- what fails once

// Look at everything below d; how many calls failed, all of them with `allowed`.
static int
visit(struct dentry *d, int allowed)
{
  static char buf[CHUNK];
  int failed = 0;
  int64_t r = 0;
  struct file *f;

  if(S_ISTYPE(d->inode->mode, S_IFLNK)) {
    r = vfs_readlink(d, buf, sizeof(buf));
  } else if((r = file_open_dentry(d, O_RDONLY, 0, &f)) == 0) {
    if(S_ISTYPE(d->inode->mode, S_IFREG)) {
      for(uint64_t pos = 0; pos < d->inode->obj.size && r >= 0; pos += CHUNK)
        r = file_read_kernel(f, buf, CHUNK, pos);
    } else {
      struct entries *l = calloc(1, sizeof(*l));

      r = file_readdir(f, entry_add, l);
      for(int i = 0; i < l->n; i++) {
        struct dentry *child;
        int err = l->e[i].name[0] == '.' ? -ENOENT : dentry_lookup(d, l->e[i].name, strlen(l->e[i].name), &child);

        if(err && err != -ENOENT) {
          expect_eq(err, allowed);
          failed++;
        }
        if(err == 0) {
          if(child->inode)
            failed += visit(child, allowed);
          else
            test_fail(__FILE__, __LINE__, "%s is listed but not there", l->e[i].name);
          dentry_put(child);
        }
      }
      entries_free(l);
      free(l);
    }
    file_put(f);
  }
  if(r < 0)
    expect_eq(r, allowed);
  return failed + (r < 0);
}

TEST(one_request_fails)
{
  struct fs *fs = open_small();
  int requests, err, n;
  uint64_t baseline;

  need(fs);
  expect_eq(visit(fs->root, 0), 0);
  requests = disk.requests;
  fs_unmount(fs);
  baseline = fs_frames_free();
  expect(requests > 30);
  for(n = 0; n < 2 * requests; n++) {
    disk.later = n & 1;
    disk.requests = 0;
    disk.fail_at = n / 2;
    disk.fail_for = 1;
    err = fs_mount_ext3("vda", &fs);
    if(err == 0) {
      err = visit(fs->root, -EIO);
      expect(err <= 1); // read-ahead may fail unheard; and what comes next reads it again
      disk.fail_for = 0;
      expect_eq(visit(fs->root, 0), 0);
      fs_unmount(fs);
    } else {
      expect_eq(err, -EIO);
    }
    expect_eq(fs_frames_free(), baseline);
  }
  disk_close();
}

TEST(no_memory_once)
{
  struct fs *fs = open_small();
  uint64_t baseline;
  int err;

  need(fs);
  fs_unmount(fs);
  baseline = fs_frames_free();
  for(int n = 1; n < 600; n++) {
    frame_fail_after(n, n % 2);
    err = fs_mount_ext3("vda", &fs);
    if(err == 0) {
      visit(fs->root, -ENOMEM);
      frame_fail_after(0, false);
      fs_unmount(fs);
    } else {
      expect_eq(err, -ENOMEM);
    }
    frame_fail_after(0, false);
    expect_eq(fs_frames_free(), baseline);
  }
  disk_close();
}
