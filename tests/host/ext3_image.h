// ext3_image.h -- an ext3 image in memory, read and checked without the kernel's code: the tests' second opinion.
//
// Typical: image_open(&im, bytes, size, why) / ino = image_path(&im, "/w/p0") / image_inode / image_map for each block.
// A strict check of everything: fsck_image. It knows what mke2fs makes for us (docs/design.md) and refuses the rest.
// Nothing here trusts the image: a number that leads out of it is an answer (0, IMAGE_BAD), never a crash.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  IMAGE_BLOCK = 4096,
  IMAGE_ROOT = 2,
  IMAGE_JOURNAL = 8,
  IMAGE_FIRST = 11,
  IMAGE_POINTERS = 15,
  IMAGE_FANOUT = 1024
};
enum { IMAGE_REG = 8, IMAGE_DIR = 4, IMAGE_CHR = 2, IMAGE_BLK = 6, IMAGE_FIFO = 1, IMAGE_SOCK = 12, IMAGE_LNK = 10 };
enum { IMAGE_TYPE_SHIFT = 12 }; // of a mode
#define IMAGE_BAD 0xffffffffu

struct image_super { // at byte 1024
  uint32_t inodes, blocks, reserved, free_blocks, free_inodes, first_block, log_block, log_frag;
  uint32_t blocks_per_group, frags_per_group, inodes_per_group, mtime, wtime;
  uint16_t mounts, max_mounts, magic, state, errors, minor;
  uint32_t lastcheck, interval, os, revision;
  uint16_t def_uid, def_gid;
  uint32_t first_ino;
  uint16_t inode_size, group_nr;
  uint32_t compat, incompat, ro_compat;
  uint8_t uuid[16], name[16], mounted[64];
  uint32_t algorithm;
  uint8_t prealloc[2];
  uint16_t reserved_gdt;
  uint8_t journal_uuid[16];
  uint32_t journal_inum, journal_dev, last_orphan;
};
_Static_assert(offsetof(struct image_super, last_orphan) == 0xe8, "superblock layout");
struct image_group {
  uint32_t block_bitmap, inode_bitmap, inode_table;
  uint16_t free_blocks, free_inodes, dirs, flags;
  uint32_t zero[3];
};
struct image_inode {
  uint16_t mode, uid;
  uint32_t size, atime, ctime, mtime, dtime;
  uint16_t gid, links;
  uint32_t sectors, flags, version, block[IMAGE_POINTERS], generation, acl, size_high, faddr;
  uint16_t sectors_high, acl_high, uid_high, gid_high;
  uint32_t reserved;
  uint16_t extra, checksum; // from here on only in inodes larger than 128 bytes
  uint32_t ctime_extra, mtime_extra, atime_extra, crtime, crtime_extra;
};
_Static_assert(offsetof(struct image_inode, extra) == 0x80 && sizeof(struct image_group) == 32,
               "inode and group layout");
struct image_entry {
  uint32_t ino;
  uint16_t rec_len;
  uint8_t name_len, type;
  char name[];
};

struct image {
  unsigned char *bytes;
  uint64_t size;
  struct image_super *super;
  struct image_group *group;
  uint32_t groups, inode_size;
};
// 0, or what is wrong. The geometry is right then: every table of every group lies in the image.
const char *image_open(struct image *im, void *bytes, uint64_t size);
struct image_inode *image_inode(const struct image *im, uint32_t ino); // 0: there is no such number
uint64_t image_size(const struct image_inode *ip);
static inline unsigned
image_type(const struct image_inode *ip)
{
  return ip->mode >> IMAGE_TYPE_SHIFT;
}
// File block n: 0 a hole, IMAGE_BAD a pointer out of the image.
uint32_t image_map(const struct image *im, const struct image_inode *ip, uint64_t n);
static inline void *
image_block(const struct image *im, uint32_t block)
{
  return im->bytes + (uint64_t)block * IMAGE_BLOCK;
}
// Each entry in use, until fn says false. A block that cannot be walked ends the walk: false.
typedef bool image_entry_fn(void *arg, const struct image_entry *e);
bool image_readdir(const struct image *im, uint32_t dir, image_entry_fn *fn, void *arg);
uint32_t image_lookup(const struct image *im, uint32_t dir, const char *name, size_t len); // 0: not there
uint32_t image_path(const struct image *im, const char *path);                             // no symlinks; 0: not there
// The text of a symlink into to, ended by 0: its length, -1 if it has none that fits.
int image_link_text(const struct image *im, const struct image_inode *ip, char *to, size_t n);

// Everything that e2fsck -fn checks, and what it lets pass: superblock totals, an orphan list, error marks, a journal that
// is not empty. Number of findings; the first of them, in words, into text.
// FSCK_STALE_TOTALS: the superblock's two totals may be wrong, as they are after a recovery; a mount puts them right.
enum { FSCK_STALE_TOTALS = 1 };
int fsck_image(void *bytes, uint64_t size, unsigned flags, char *text, size_t n);
