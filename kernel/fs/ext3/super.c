// super.c -- mounting: read the superblock and the group descriptors, believe nothing, refuse by name what is unknown.
// A file system with a journal is written (state.c) unless the options or the disk say otherwise; one without is read.
#include "core/print.h"
#include "core/trace.h"
#include "fs/devfs/devfs.h"
#include "fs/ext3/ext3.h"
#include "fs/internal.h"
#include "lib/atomic.h"
#include "lib/string.h"

enum {
  COMPAT,
  INCOMPAT,
  RO_COMPAT,
  BLOCK_LOG_4K = 2,
  SECTORS = EXT3_SECTORS,
  EXT3_STATFS_MAGIC = 0xef53,
  GROUPS_PER_BLOCK = EXT3_BLOCK / sizeof(struct ext3_group)
};

// Features that this driver does not know, by the names that tune2fs and dumpe2fs use.
static const struct {
  int set;
  uint32_t bit;
  const char *name;
} unknown_features[] = {
    {INCOMPAT, 0x1, "compression"},      {INCOMPAT, 0x8, "journal_dev"},
    {INCOMPAT, 0x10, "meta_bg"},         {INCOMPAT, 0x40, "extent"},
    {INCOMPAT, 0x80, "64bit"},           {INCOMPAT, 0x100, "mmp"},
    {INCOMPAT, 0x200, "flex_bg"},        {INCOMPAT, 0x400, "ea_inode"},
    {INCOMPAT, 0x1000, "dirdata"},       {INCOMPAT, 0x2000, "metadata_csum_seed"},
    {INCOMPAT, 0x4000, "large_dir"},     {INCOMPAT, 0x8000, "inline_data"},
    {INCOMPAT, 0x10000, "encrypt"},      {INCOMPAT, 0x20000, "casefold"},
    {RO_COMPAT, 0x4, "btree_dir"},       {RO_COMPAT, 0x8, "huge_file"},
    {RO_COMPAT, 0x10, "uninit_bg"},      {RO_COMPAT, 0x20, "dir_nlink"},
    {RO_COMPAT, 0x40, "extra_isize"},    {RO_COMPAT, 0x80, "has_snapshot"},
    {RO_COMPAT, 0x100, "quota"},         {RO_COMPAT, 0x200, "bigalloc"},
    {RO_COMPAT, 0x400, "metadata_csum"}, {RO_COMPAT, 0x1000, "read-only"},
    {RO_COMPAT, 0x2000, "project"},      {RO_COMPAT, 0x4000, "shared_blocks"},
    {RO_COMPAT, 0x8000, "verity"},       {RO_COMPAT, 0x10000, "orphan_present"},
};

int
ext3_corrupt(struct ext3_fs *x, uint64_t where, uint64_t what)
{
  trace(EXT3_ERROR, x->fs.dev, where, what);
  x->super.state |= STATE_ERROR;
  if(x->journal)
    journal_abort(x->journal, -EIO);
  return -EIO;
}

int
ext3_refuse(const char *source, const char *f, ...)
{
  char why[160];
  va_list ap;

  va_start(ap, f);
  vfmt(why, sizeof(why), f, ap);
  va_end(ap);
  print("ext3: %s %s.\n", source, why);
  return -EINVAL;
}

static int
check_features(const struct ext3_super *s, const char *source)
{
  uint32_t left[3] = {[INCOMPAT] = s->feature_incompat & ~(INCOMPAT_FILETYPE | INCOMPAT_RECOVER),
                      [RO_COMPAT] = s->feature_ro_compat & ~(RO_COMPAT_SPARSE_SUPER | RO_COMPAT_LARGE_FILE)};

  for(unsigned i = 0; i < array_len(unknown_features); i++)
    if(left[unknown_features[i].set] & unknown_features[i].bit)
      return ext3_refuse(source,
                         "has the feature '%s', which this kernel does not know; make it with -O "
                         "none,has_journal,filetype,sparse_super,large_file",
                         unknown_features[i].name);
  if(left[INCOMPAT])
    return ext3_refuse(source, "has unknown incompatible features (%#x)", left[INCOMPAT]);
  if(left[RO_COMPAT])
    return ext3_refuse(source, "has unknown read-only features (%#x)", left[RO_COMPAT]);
  if(!(s->feature_incompat & INCOMPAT_FILETYPE))
    return ext3_refuse(source, "lacks the feature 'filetype'");
  return 0;
}

static uint32_t
groups_of(const struct ext3_super *s)
{
  return ((uint64_t)s->blocks_count + s->blocks_per_group - 1) / s->blocks_per_group;
}

// Blocks of the descriptors of all groups, which begin at block 1.
static uint32_t
descriptor_blocks(const struct ext3_super *s)
{
  return (groups_of(s) + GROUPS_PER_BLOCK - 1) / GROUPS_PER_BLOCK;
}

// Numbers that the rest divides and shifts by.
static bool
geometry_possible(const struct ext3_super *s)
{
  return s->first_data_block == 0 && s->blocks_count > 1 && s->blocks_per_group > 0 &&
         s->blocks_per_group <= EXT3_GROUP_MAX && s->inodes_per_group > 0 && s->inodes_per_group <= EXT3_GROUP_MAX &&
         1 + descriptor_blocks(s) < min(s->blocks_per_group, s->blocks_count);
}

static int
check_geometry(const struct ext3_super *s, const struct blkdev *dev, const char *source)
{
  uint64_t inodes;

  if(s->log_block_size != BLOCK_LOG_4K)
    return ext3_refuse(source, "has blocks of %lu bytes; this kernel reads only 4096",
                       s->log_block_size < 7 ? 1024ul << s->log_block_size : 0ul);
  if(!geometry_possible(s))
    return ext3_refuse(source, "has an impossible geometry (%u blocks, %u a group, %u inodes a group)", s->blocks_count,
                       s->blocks_per_group, s->inodes_per_group);
  if(s->inode_size < EXT3_GOOD_OLD_INODE || s->inode_size > EXT3_BLOCK || (s->inode_size & (s->inode_size - 1)))
    return ext3_refuse(source, "has inodes of %u bytes", s->inode_size);
  inodes = (uint64_t)groups_of(s) * s->inodes_per_group;
  if(s->inodes_count != inodes || s->first_ino < EXT3_FIRST_INO)
    return ext3_refuse(source, "has an impossible number of inodes (%u of %lu, the first is %u)", s->inodes_count,
                       inodes, s->first_ino);
  if((uint64_t)s->blocks_count * SECTORS > dev->sectors)
    return ext3_refuse(source, "is truncated: its file system has %u blocks of 4096 bytes, the disk has %lu",
                       s->blocks_count, dev->sectors / SECTORS);
  return 0;
}

static int
load_groups(struct ext3_fs *x, const char *source)
{
  kfree(x->group);
  x->ngroups = groups_of(&x->super);
  x->group = kzalloc((uint64_t)x->ngroups * sizeof(struct ext3_group));
  if(x->group == 0)
    return -ENOMEM;
  for(uint32_t g = 0; g < x->ngroups; g += GROUPS_PER_BLOCK) {
    uint32_t n = min((uint32_t)GROUPS_PER_BLOCK, x->ngroups - g);
    struct buf *b;
    int err = buf_get(x->dev, 1 + g / GROUPS_PER_BLOCK, &b);

    if(err) {
      ext3_refuse(source, "cannot be read (group descriptors)");
      return err;
    }
    memcpy(x->group + g, b->data, n * sizeof(struct ext3_group));
    buf_put(b);
  }
  return 0;
}

// Every address in the descriptors must lie inside the file system.
static int
check_groups(const struct ext3_fs *x, const char *source)
{
  uint64_t blocks = x->super.blocks_count, per_group = (uint64_t)x->super.inodes_per_group * x->super.inode_size;
  uint64_t table = (per_group + EXT3_BLOCK - 1) / EXT3_BLOCK;

  for(uint32_t g = 0; g < x->ngroups; g++) {
    const struct ext3_group *gd = &x->group[g];

    if(gd->block_bitmap >= blocks || gd->inode_bitmap >= blocks || gd->inode_table == 0 ||
       gd->inode_table + table > blocks)
      return ext3_refuse(source, "has a damaged descriptor of group %u; run e2fsck on it", g);
  }
  return 0;
}

static bool
is_power_of(uint32_t n, uint32_t base)
{
  while(n > 1 && n % base == 0)
    n /= base;
  return n == 1;
}

// Blocks that are never for files: bitmaps, inode tables, and the copies of superblock and descriptors.
static uint64_t
overhead_of(const struct ext3_fs *x)
{
  const struct ext3_super *s = &x->super;
  uint64_t n = x->ngroups * (2 + (uint64_t)s->inodes_per_group * s->inode_size / EXT3_BLOCK);

  for(uint32_t g = 0; g < x->ngroups; g++)
    if(!(s->feature_ro_compat & RO_COMPAT_SPARSE_SUPER) || g == 0 || is_power_of(g, 3) || is_power_of(g, 5) ||
       is_power_of(g, 7))
      n += 1 + descriptor_blocks(s);
  return n;
}

static int
ext3_statfs(struct fs *fs, struct statfs_info *st)
{
  struct ext3_fs *x = (struct ext3_fs *)fs;
  const struct ext3_super *s = &x->super;
  uint32_t taken = min(overhead_of(x), (uint64_t)s->blocks_count),
           bfree = min(s->free_blocks_count, s->blocks_count - taken);

  st->type = EXT3_STATFS_MAGIC;
  st->bsize = EXT3_BLOCK;
  st->blocks = s->blocks_count - taken;
  st->bfree = bfree;
  st->bavail = bfree - min(bfree, s->r_blocks_count);
  st->files = s->inodes_count;
  st->ffree = min(s->free_inodes_count, s->inodes_count);
  st->namelen = NAME_MAX;
  return 0;
}

// Stores through mappings are noted in memory only: their times are due now.
static bool
store_times(struct inode *ip, void *unused)
{
  if(atomic_get(&ip->touched))
    ext3_store_alone(ip); // an error has shut the gate: the sync itself tells
  return false;
}

static int
ext3_sync(struct fs *fs)
{
  struct ext3_fs *x = (struct ext3_fs *)fs;
  int err;

  if(!ext3_enter(x))
    return 0;
  inode_any(fs, store_times, 0);
  err = journal_force(x->journal);
  ext3_leave(x);
  return err;
}

static void
ext3_unmount(struct fs *fs)
{
  struct ext3_fs *x = (struct ext3_fs *)fs;

  if(ext3_stop_writing(x) != 0)
    print("ext3: %s: not everything could be written; run e2fsck on it\n", fs->source);
  bcache_forget(x->dev);
  atomic_set(&x->dev->mounted, false);
}

static void
ext3_free(struct fs *fs)
{
  struct ext3_fs *x = (struct ext3_fs *)fs;

  kfree(x->group);
  kfree(x);
}

static const struct fs_ops ext3_fs_ops = {
    .statfs = ext3_statfs,
    .sync = ext3_sync,
    .unmount = ext3_unmount,
    .remount = ext3_remount,
    .free = ext3_free,
};

static int
read_block_0(struct ext3_fs *x, const char *source)
{
  struct buf *b;
  int err;

  if(x->dev->sectors < 2 * SECTORS)
    return ext3_refuse(source, "is too small for a file system (%lu sectors)", x->dev->sectors);
  if((err = buf_get(x->dev, 0, &b)) != 0) {
    ext3_refuse(source, "cannot be read (superblock)");
    return err;
  }
  memcpy(&x->super, (char *)b->data + EXT3_SUPER_OFFSET, sizeof(x->super));
  buf_put(b);
  if(x->super.magic != EXT3_MAGIC)
    return ext3_refuse(source, "is not an ext3 file system (no superblock magic)");
  if(x->super.rev_level == 0) {
    x->super.inode_size = EXT3_GOOD_OLD_INODE;
    x->super.first_ino = EXT3_FIRST_INO;
  }
  if((err = check_geometry(&x->super, x->dev, source)) != 0)
    return err;
  return check_features(&x->super, source);
}

int
ext3_read_super(struct ext3_fs *x, const char *source)
{
  int err = read_block_0(x, source);

  err = err ? err : load_groups(x, source);
  return err ? err : check_groups(x, source);
}

// The whole of `option` stands in the list of options, between commas.
static bool
has_option(const char *options, const char *option)
{
  size_t n = strlen(option);

  for(const char *o = options; o && *o; o = *o ? o + 1 : o) {
    if(strncmp(o, option, n) == 0 && (o[n] == 0 || o[n] == ','))
      return true;
    while(*o && *o != ',')
      o++;
  }
  return false;
}

static int
mount_root(struct ext3_fs *x, const char *source)
{
  struct inode *root;
  int err = ext3_iget(x, EXT3_ROOT_INO, &root);

  if(err) {
    ext3_refuse(source, "has a root directory that is damaged or cannot be read; run e2fsck on it");
    return err;
  }
  if(!S_ISTYPE(root->mode, S_IFDIR)) {
    inode_put(root);
    return ext3_refuse(source, "has a root that is no directory; run e2fsck on it");
  }
  x->fs.root = dentry_root(&x->fs, root);
  if(x->fs.root == 0)
    inode_put(root);
  return x->fs.root ? 0 : -ENOMEM;
}

static int
mount_checked(struct ext3_fs *x, const char *source, const char *options)
{
  bool writes = !has_option(options, "ro") && !x->dev->readonly;
  int err = ext3_read_super(x, source);

  err = err ? err : ext3_recover(x, source);
  if(!err && writes && x->super.feature_compat & COMPAT_HAS_JOURNAL)
    err = ext3_start_writing(x, source);
  err = err ? err : mount_root(x, source);
  if(err)
    ext3_stop_writing(x);
  return err;
}

static struct ext3_fs *
fs_new(struct blkdev *dev, const char *source)
{
  struct ext3_fs *x = kzalloc(sizeof(*x));

  if(x == 0)
    return 0;
  x->dev = dev;
  x->fs.ops = &ext3_fs_ops;
  x->fs.type = "ext3";
  strlcpy(x->fs.source, source, sizeof(x->fs.source));
  x->fs.dev = blkfile_rdev(dev);
  x->fs.readonly = true;
  x->fs.ref = 1; // ours, until there is a root that has one
  sleep_init(&x->alloc, "ext3.alloc", RANK_ALLOC);
  sleep_init(&x->orphans_lock, "ext3.orphans", RANK_ORPHAN);
  list_init(&x->orphans);
  waitq_init(&x->quiet);
  return x;
}

int
ext3_mount(const char *source, const char *options, struct fs **out)
{
  const char *name = strncmp(source, "/dev/", 5) == 0 ? source + 5 : source;
  struct blkdev *dev = blk_find(name);
  struct ext3_fs *x;
  int err;

  if(dev == 0) {
    print("ext3: there is no disk %s.\n", source);
    return -ENODEV;
  }
  if(atomic_swap(&dev->mounted, true))
    return -EBUSY;
  if((x = fs_new(dev, source)) == 0) {
    atomic_set(&dev->mounted, false);
    return -ENOMEM;
  }
  if((err = mount_checked(x, source, options)) != 0) {
    inode_flush_later();
    bcache_forget(dev);
    atomic_set(&dev->mounted, false);
    fs_put(&x->fs);
    return err;
  }
  atomic_sub(&x->fs.ref, 1);
  *out = &x->fs;
  return 0;
}

void
ext3_init(void)
{
  static struct fs_type type = {.name = "ext3", .mount = ext3_mount};

  bcache_init();
  ext3_data_init();
  fs_register(&type);
}
