// ext3.h -- the disk format (little-endian, 4096-byte blocks) and what one mounted ext3 keeps in memory.
// Offsets are those of the format page's tables; the asserts below hold them.
// A change is one handle: ext3_begin / look at everything that could fail / change / ext3_end. What may be needed in the
// middle of a change (superblock, group descriptors, an inode's own block) is referenced as long as the file system or
// the inode is in memory, so that no change stops half-way for want of memory or of a readable disk.
// Lock keys: (a) atomic  (c) constant after creation  (G) ext3_fs.alloc  (R) ext3_fs.orphans_lock  (B) ext3_info.lock
//            (I) inode.lock for writing, or (B)  (D) inode.lock of a directory; to build an index also (B)
#pragma once
#include "dev/blk.h"
#include "fs/bcache.h"
#include "fs/journal/journal.h"
#include "fs/vfs.h"
#include "lib/rbtree.h"

enum {
  EXT3_MAGIC = 0xef53,
  EXT3_BLOCK = 4096,
  EXT3_SUPER_OFFSET = 1024, // bytes into block 0
  EXT3_ROOT_INO = 2,
  EXT3_JOURNAL_INO = 8,
  EXT3_FIRST_INO = 11, // ordinary inodes begin here, or later if the superblock says so
  EXT3_DIRECT = 12,    // pointers in the inode
  EXT3_POINTERS = 15,
  EXT3_FANOUT = EXT3_BLOCK / 4,
  EXT3_FAST_LINK = 60, // a symlink shorter than this lies in i_block
  EXT3_GOOD_OLD_INODE = 128,
  EXT3_GROUP_MAX = 8 * EXT3_BLOCK, // blocks or inodes that one bitmap block can hold
  EXT3_LINK_MAX = 32000,
  EXT3_SECTORS = EXT3_BLOCK / BLK_SECTOR,
};
#define EXT3_BLOCKS_MAX ((1ull << 29) - 1) // that an inode can count in its 32 bits of sectors: 2 TiB
enum ext3_flag {                           // ext3_dinode.flags
  EXT3_IMMUTABLE = 0x10,
  EXT3_APPEND = 0x20,
  EXT3_INDEX = 0x1000, // a hashed directory
  EXT3_EXTENTS = 0x80000,
  EXT3_INLINE_DATA = 0x10000000, // as with EXTENTS, i_block holds no block numbers
};
enum ext3_state { STATE_VALID = 1, STATE_ERROR = 2 };
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
  uint8_t unread[0xe0 - 0xc8];
  uint32_t journal_inum, journal_dev, last_orphan;
  uint8_t rest[0x400 - 0xec];
};
_Static_assert(offsetof(struct ext3_super, magic) == 0x38, "superblock layout");
_Static_assert(offsetof(struct ext3_super, first_ino) == 0x54, "superblock layout");
_Static_assert(offsetof(struct ext3_super, uuid) == 0x68, "superblock layout");
_Static_assert(offsetof(struct ext3_super, last_orphan) == 0xe8, "superblock layout");
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
  struct blkdev *dev;            // (c)
  struct ext3_super super;       // geometry (c); free counts (G); last_orphan (R)
  struct ext3_group *group;      // (G) to change; all descriptors
  uint32_t ngroups;              // (c)
  struct buf *super_buf;         // (c) while it can be written: block 0, referenced
  struct buf **group_buf;        // (c) the same: blocks of descriptors
  struct sleeplock alloc;        // rank 46: bitmaps, counts, windows
  struct rbtree windows;         // (G) struct ext3_window by lo
  struct sleeplock orphans_lock; // rank 47: the list of inodes to be finished
  struct list orphans;           // (R) ext3_info.orphan, in the order of the list on the disk
  struct journal *journal;       // (c) while it can be written; 0: read-only
  int inside;                    // (a) open handles, and whoever else uses the journal
  bool closing;                  // (a) nobody enters any more
  bool told;                     // (a) an abort was printed
  struct waitq quiet;            // inside became 0
};
struct ext3_window {  // blocks that one growing file looks for its next ones in; others go elsewhere while they can
  struct rbnode node; // (G)
  uint32_t lo, hi;    // (G) [lo, hi); hi 0: it has none
  uint32_t size;      // (G) of the next one
};
struct dirindex;
struct ext3_info {                 // inode.priv
  uint32_t block[EXT3_POINTERS];   // (B) to change
  uint32_t flags, generation, acl; // (I) enum ext3_flag; the attribute block or 0
  bool fast_link;                  // (c) a symlink whose text lies in `block`
  uint64_t disksize;               // (B) bytes, as the disk has it or will: at most obj.size
  bool cutting;                    // (B) disksize has been lowered, obj.size has not yet: no new block raises it again
  uint64_t last;                   // (B) file block allocated last, and where it went
  uint32_t last_at;                // (B)
  uint32_t tid;                    // (a) transaction that changed the inode last
  struct inode *ip;                // (c)
  struct buf *buf;                 // (c) the block of the inode table it lies in, referenced
  struct sleeplock lock;           // rank 45: the block map and what is stored of the inode
  struct ordered ordered;          // the journal's
  struct ext3_window window;       // (G)
  struct list orphan;              // (R) on ext3_fs.orphans
  struct dirindex *index;          // (D) directories; 0: none yet
  uint64_t room_at;                // (D) where there may be room for a name: a block
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

// super.c
// The image contradicts itself: notes it in the trace; while it is written, no more is written. -EIO.
int ext3_corrupt(struct ext3_fs *x, uint64_t where, uint64_t what);
// Read superblock and descriptors, and say what is wrong with them; also again, after a replay.
int ext3_read_super(struct ext3_fs *x, const char *source);
// Prints "ext3: SOURCE ...." and returns -EINVAL.
int ext3_refuse(const char *source, const char *f, ...);
// state.c: from read-only to written and back
int ext3_start_writing(struct ext3_fs *x, const char *source); // replay, journal, orphans. 0 or -E; prints why
int ext3_recover(struct ext3_fs *x, const char *source);       // bring home what the log holds, if anything
int ext3_stop_writing(struct ext3_fs *x); // everything home, marked clean. No handle opens any more.
int ext3_remount(struct fs *fs, bool readonly, const char *options);
// Whoever uses the journal without a handle stays inside meanwhile: it does not go away. false: there is none.
bool ext3_enter(struct ext3_fs *x);
void ext3_leave(struct ext3_fs *x);
// A handle with room for `credits` blocks. 0; -EROFS: cannot be written; -ENOSPC: too many; -ENOMEM, -EINTR. May wait for
// a commit. Rank 20 (fs/journal/journal.h).
int ext3_begin(struct ext3_fs *x, int credits, struct handle *h);
void ext3_end(struct ext3_fs *x, struct handle *h);
// For what cannot be left half done: memory is waited for, however long. 0; -EROFS
int ext3_begin_surely(struct ext3_fs *x, int credits, struct handle *h);
// The same for a block that a change under way needs; a disk that cannot be read ends all writing. 0, -EIO
int ext3_block_surely(struct ext3_fs *x, uint32_t block, struct buf **b);
struct buf *ext3_new_surely(struct handle *h, uint32_t block); // txn_new
// A change met -ENOSPC, but blocks may be waiting for a commit to become free: wait for it; should it be tried again?
bool ext3_again(struct ext3_fs *x, int err, int *tries);
// group.c: one group's bitmap, descriptor and the totals
enum ext3_kind { BLOCKS, INODES };
int ext3_bitmap(struct ext3_fs *x, uint32_t g, enum ext3_kind kind, struct buf **b); // referenced; -EIO, -ENOMEM
// The caller is about to change bitmap b of group g, by so much: declares it, and keeps the counts. held: alloc
void ext3_count(struct handle *h, struct ext3_fs *x, uint32_t g, enum ext3_kind kind, struct buf *b, int more_free,
                int more_dirs) REQUIRES(x->alloc);
uint32_t ext3_group_size(const struct ext3_fs *x, uint32_t g); // blocks in it
bool ext3_is_system(const struct ext3_fs *x, uint32_t block);  // bitmaps, inode tables, superblock: never a file's
// balloc.c: blocks. Credits: 3 for each block, of which one (the superblock) is shared.
enum { CREDITS_BLOCK = 3 };
// One block at or behind `goal`, for ip. 0; -ENOSPC, -EIO. held: ip's info.lock
int ext3_balloc(struct handle *h, struct inode *ip, uint32_t goal, uint32_t *block);
void ext3_balloc_undo(struct handle *h, struct ext3_fs *x, uint32_t block); // it was never used
// Blocks [block, block + n), data or metadata, are free once this transaction has committed. 0, -EIO.
int ext3_bfree(struct handle *h, struct ext3_fs *x, uint32_t block, uint32_t n);
// window.c. All held: alloc
bool ext3_window_foreign(struct ext3_fs *x, struct ext3_window *mine, uint32_t block,
                         uint32_t *end); // another's? its end
void ext3_window_open(struct ext3_fs *x, struct ext3_window *w, uint32_t lo, uint32_t limit);
void ext3_window_close(struct ext3_fs *x, struct ext3_window *w);
void ext3_windows_drop(struct ext3_fs *x);
// ialloc.c: a free inode near dir becomes *out, an inode in memory with `mode` and nlink 0 that is not yet on the disk.
// 0; -ENOSPC, -EIO, -ENOMEM. Credits: 4.
enum { CREDITS_INODE = 4 };
int ext3_ialloc(struct handle *h, struct inode *dir, unsigned mode, const struct cred *cr, struct inode **out);
int ext3_ifree(struct handle *h, struct inode *ip); // the last act of a handle: the number may be taken at once
// inode.c
int ext3_iget(struct ext3_fs *x, uint32_t ino, struct inode **out); // -EIO, -ENOMEM
// The same for the journal's inode and for orphans, which no name leads to.
int ext3_iget_hidden(struct ext3_fs *x, uint32_t ino, struct inode **out);
// Attach an ext3_info with the inode's block of the table; d (may be 0) receives the disk inode. 0, -EIO, -ENOMEM
int ext3_info_make(struct inode *ip, struct ext3_dinode *d);
void ext3_info_free(struct inode *ip);
extern const struct inode_ops ext3_inode_ops;
struct ext3_dinode *ext3_dinode(const struct inode *ip); // dinode.c: its place in the referenced block of the table
// The inode as it is in memory goes into the handle's transaction. Credits: 1. Takes info.lock, or _locked: held.
void ext3_store(struct handle *h, struct inode *ip);
void ext3_store_locked(struct handle *h, struct inode *ip);
void ext3_store_dtime(struct handle *h, struct inode *ip, uint32_t dtime); // held: orphans_lock, or nobody knows ip
// A handle for nothing but this. 0 or -E.
int ext3_store_alone(struct inode *ip);
// orphan.c: inodes that have to be finished: without a name, or being cut. Credits: 3.
enum { CREDITS_ORPHAN = 3 };
void ext3_orphan_add(struct handle *h, struct inode *ip); // again is free
void ext3_orphan_del(struct handle *h, struct inode *ip); // 0 on the list: nothing
int ext3_orphans_finish(struct ext3_fs *x, uint32_t ino); // at mount: the list that begins with ino
// bmap.c: file block n of ip -> disk block, 0 for a hole. Sleeps for indirect blocks. -EIO if a pointer is out of range, -EFBIG.
int ext3_bmap(struct inode *ip, uint64_t n, uint32_t *block);
// The same, and in a hole *span: so many blocks from n on are holes at least.
int ext3_bmap_span(struct inode *ip, uint64_t n, uint32_t *block, uint64_t *span);
enum { EXT3_LEVELS = 3, EXT3_FANOUT_BITS = 10 };
_Static_assert(1 << EXT3_FANOUT_BITS == EXT3_FANOUT, "pointers in a block");
// How many indirect levels block *n lies under; *n becomes its number below them. -1: beyond what an inode can hold.
int ext3_level(uint64_t *n);
// grow.c: the block of file block n, allocated if it was a hole (*fresh). The inode is stored if so. 0, -ENOSPC, -EIO, -EFBIG.
// held: info.lock
enum { CREDITS_MAP = (EXT3_LEVELS + 1) * CREDITS_BLOCK + EXT3_LEVELS + 2 };
int ext3_grow(struct handle *h, struct inode *ip, uint64_t n, uint32_t *block, bool *fresh);
// cut.c: give back the blocks of file blocks [lo, hi), and indirect blocks that lie wholly in there, in as many handles as
// it takes; the pages are gone already, and nobody makes new ones. 0 or -E.
int ext3_cut(struct inode *ip, uint64_t lo, uint64_t hi);
// The same as far as h's credits reach; *done: all of it. held: info.lock
int ext3_cut_some(struct handle *h, struct inode *ip, uint64_t lo, uint64_t hi, bool *done);
enum { CREDITS_CUT = 64 };
// length.c: truncate, fallocate, SEEK_DATA and SEEK_HOLE
int ext3_truncate(struct inode *ip, uint64_t size);
int ext3_fallocate(struct inode *ip, unsigned mode, uint64_t off, uint64_t len);
int64_t ext3_seek(struct inode *ip, uint64_t off, bool hole);
// dir.c
int ext3_lookup(struct inode *dir, const char *name, size_t len, struct inode **out);
int ext3_readdir(struct inode *dir, uint64_t *pos, dirent_fn *fn, void *arg);
// Block n of dir, referenced; 1: past the end; -E.
int ext3_dir_block(struct inode *dir, uint64_t n, struct buf **b);
// The entry at byte `off` of a block, or 0 if it is damaged.
struct ext3_dirent *ext3_entry(struct ext3_fs *x, void *block, uint32_t off);
// Where a name is or will be: entry `off` of block n.
struct ext3_place {
  struct buf *b; // referenced; 0: nowhere
  uint64_t n;
  uint32_t off;
};
// held: dir->lock. 0; -ENOENT, -EIO.
int ext3_dir_find(struct inode *dir, const char *name, size_t len, struct ext3_place *at);
int ext3_dir_is_empty(struct inode *dir); // 1, 0, -EIO
static inline struct ext3_dirent *
ext3_place_entry(const struct ext3_place *at)
{
  return (struct ext3_dirent *)((char *)at->b->data + at->off);
}
// dirent.c: changes of directories; dir->lock (w) held. Each stores no inode.
// Room for a name of len bytes, in a new block if need be. 0, -ENOSPC, -EIO. Credits: CREDITS_MAP + 1.
int ext3_dir_room(struct handle *h, struct inode *dir, size_t len, struct ext3_place *at);
void ext3_dir_enter(struct handle *h, struct inode *dir, const struct ext3_place *at, const char *name, size_t len,
                    const struct inode *ip);
void ext3_dir_replace(struct handle *h, struct inode *dir, const struct ext3_place *at, const struct inode *ip);
void ext3_dir_remove(struct handle *h, struct inode *dir, const struct ext3_place *at);
int ext3_dir_start(struct handle *h, struct inode *dir, const struct inode *parent); // "." and ".." of a new one
void ext3_place_put(struct ext3_place *at);
static inline uint32_t
ext3_dirent_need(size_t len) // bytes of an entry with a name of so many
{
  return (sizeof(struct ext3_dirent) + len + 3) & ~3u;
}
// dirindex.c: which blocks of a large directory may hold a name, and how much room is in each. In memory only.
// All held: dir->lock, for writing but for lookups.
enum { DIRINDEX_MIN = 3 };                        // blocks; smaller directories are searched
struct dirindex *dirindex_get(struct inode *dir); // built at first use; 0: none, search all blocks
void dirindex_free(struct inode *dir);
// The next block that may hold the name, *at being 0 before the first; UINT64_MAX: no more.
uint64_t dirindex_next(struct dirindex *x, const char *name, size_t len, uint64_t *at);
void dirindex_add(struct inode *dir, const char *name, size_t len, uint64_t n);
void dirindex_remove(struct inode *dir, const char *name, size_t len, uint64_t n);
void dirindex_room(struct inode *dir, uint64_t n, void *block); // n changed: see again how much room it has
// The first block with room for `need` bytes, or UINT64_MAX.
uint64_t dirindex_find_room(struct dirindex *x, uint32_t need);
// names.c
int ext3_create(struct inode *dir, const char *name, size_t len, unsigned mode, uint64_t rdev, const struct cred *cr,
                struct inode **out);
int ext3_mkdir(struct inode *dir, const char *name, size_t len, unsigned mode, const struct cred *cr,
               struct inode **out);
int ext3_symlink(struct inode *dir, const char *name, size_t len, const char *to, const struct cred *cr,
                 struct inode **out);
int ext3_tmpfile(struct inode *dir, unsigned mode, const struct cred *cr, struct inode **out);
int ext3_link(struct inode *dir, const char *name, size_t len, struct inode *ip);
int ext3_unlink(struct inode *dir, const char *name, size_t len, struct inode *ip);
int ext3_rmdir(struct inode *dir, const char *name, size_t len, struct inode *ip);
// rename.c
int ext3_rename(struct inode *olddir, const char *oldname, size_t oldlen, struct inode *newdir, const char *newname,
                size_t newlen, struct inode *moved, struct inode *over);
int ext3_exchange(struct inode *adir, const char *aname, size_t alen, struct inode *bdir, const char *bname,
                  size_t blen, struct inode *a, struct inode *b);
// What a directory's inode says of a change of its names.
void ext3_dir_touch(struct handle *h, struct inode *dir);
// ip lost a name; the last one makes it an orphan.
void ext3_lose_name(struct handle *h, struct inode *ip);
// data.c
extern const struct mobj_ops ext3_mobj_ops;
void ext3_data_init(void);
int ext3_ordered_flush(struct ordered *o);
