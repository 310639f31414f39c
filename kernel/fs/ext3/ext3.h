// ext3.h -- the disk format (little-endian, 4096-byte blocks) and what one mounted ext3 keeps in memory.
// Offsets are those of the format page's tables; the asserts below hold them.
// Lock keys: (c) constant after creation
#pragma once
#include "dev/blk.h"
#include "fs/bcache.h"
#include "fs/vfs.h"

enum {
  EXT3_MAGIC = 0xef53,
  EXT3_BLOCK = 4096,
  EXT3_SUPER_OFFSET = 1024, // bytes into block 0
  EXT3_ROOT_INO = 2,
  EXT3_FIRST_INO = 11, // ordinary inodes begin here, or later if the superblock says so
  EXT3_DIRECT = 12,    // pointers in the inode
  EXT3_POINTERS = 15,
  EXT3_FANOUT = EXT3_BLOCK / 4,
  EXT3_FAST_LINK = 60, // a symlink shorter than this lies in i_block
  EXT3_GOOD_OLD_INODE = 128,
  EXT3_GROUP_MAX = 8 * EXT3_BLOCK, // blocks or inodes that one bitmap block can hold
};
enum { EXT3_EXTENTS = 0x80000, EXT3_INLINE_DATA = 0x10000000 }; // ext3_dinode.flags: i_block holds no block numbers
enum ext3_compat { COMPAT_HAS_JOURNAL = 0x4 };
enum ext3_incompat { INCOMPAT_FILETYPE = 0x2, INCOMPAT_RECOVER = 0x4 };
enum ext3_ro_compat { RO_COMPAT_SPARSE_SUPER = 0x1, RO_COMPAT_LARGE_FILE = 0x2 };

struct ext3_super { // at byte 1024
  uint32_t inodes_count, blocks_count, r_blocks_count, free_blocks_count, free_inodes_count, first_data_block;
  uint32_t log_block_size, log_frag_size, blocks_per_group, frags_per_group, inodes_per_group;
  uint32_t mtime, wtime;
  uint16_t mnt_count, max_mnt_count, magic, state, errors, minor_rev_level;
  uint32_t lastcheck, checkinterval, creator_os, rev_level;
  uint16_t def_resuid, def_resgid;
  uint32_t first_ino;
  uint16_t inode_size, block_group_nr;
  uint32_t feature_compat, feature_incompat, feature_ro_compat;
  uint8_t uuid[16], volume_name[16], last_mounted[64];
  uint8_t rest[0x400 - 0xc8];
};
_Static_assert(offsetof(struct ext3_super, magic) == 0x38, "superblock layout");
_Static_assert(offsetof(struct ext3_super, first_ino) == 0x54, "superblock layout");
_Static_assert(offsetof(struct ext3_super, uuid) == 0x68, "superblock layout");
_Static_assert(sizeof(struct ext3_super) == 1024, "superblock layout");

struct ext3_group { // packed from the start of block 1
  uint32_t block_bitmap, inode_bitmap, inode_table;
  uint16_t free_blocks, free_inodes, used_dirs, flags;
  uint8_t zero[12];
};
_Static_assert(sizeof(struct ext3_group) == 32, "group descriptor layout");

struct ext3_dinode {
  uint16_t mode, uid;
  uint32_t size, atime, ctime, mtime, dtime;
  uint16_t gid, links_count;
  uint32_t blocks, flags, version, block[EXT3_POINTERS], generation, file_acl, size_high, faddr;
  uint16_t blocks_high, file_acl_high, uid_high, gid_high;
  uint32_t reserved;
  uint16_t extra_isize, checksum_high; // from here on only in inodes larger than 128 bytes
  uint32_t ctime_extra, mtime_extra, atime_extra, crtime, crtime_extra;
};
_Static_assert(offsetof(struct ext3_dinode, block) == 0x28, "inode layout");
_Static_assert(offsetof(struct ext3_dinode, size_high) == 0x6c, "inode layout");
_Static_assert(offsetof(struct ext3_dinode, extra_isize) == 0x80, "inode layout");
_Static_assert(offsetof(struct ext3_dinode, crtime_extra) == 0x94, "inode layout");

struct ext3_dirent { // the name follows
  uint32_t inode;
  uint16_t rec_len;
  uint8_t name_len, file_type;
};
_Static_assert(sizeof(struct ext3_dirent) == 8, "directory entry layout");

struct ext3_fs {
  struct fs fs;
  struct blkdev *dev;       // (c)
  struct ext3_super super;  // (c) as read at mount
  struct ext3_group *group; // (c) all descriptors
  uint32_t ngroups;         // (c)
};
struct ext3_info {               // inode.priv
  uint32_t block[EXT3_POINTERS]; // (c) while nothing writes
  bool fast_link;                // (c) a symlink whose text lies in `block`
};

static inline struct ext3_fs *
ext3_of(const struct inode *ip)
{
  return (struct ext3_fs *)ip->fs;
}
static inline struct ext3_info *
ext3_info(const struct inode *ip)
{
  return ip->priv;
}

// inode.c
int ext3_iget(struct ext3_fs *x, uint32_t ino, struct inode **out); // -EIO, -ENOMEM
extern const struct inode_ops ext3_inode_ops;
// bmap.c: file block n of ip -> disk block, 0 for a hole. Sleeps for indirect blocks. -EIO if a pointer is out of range, -EFBIG.
int ext3_bmap(struct inode *ip, uint64_t n, uint32_t *block);
// dir.c
int ext3_lookup(struct inode *dir, const char *name, size_t len, struct inode **out);
int ext3_readdir(struct inode *dir, uint64_t *pos, dirent_fn *fn, void *arg);
// data.c
extern const struct mobj_ops ext3_mobj_ops;
void ext3_data_init(void);
// super.c: the image contradicts itself: counts it in the trace, returns -EIO.
int ext3_corrupt(struct ext3_fs *x, uint64_t where, uint64_t what);
