// vfs.h -- inode, dentry, open file, mount, and their methods. fs never asks who is running: it is handed a namectx
// and
// an aspace.
// Lock keys: (a) atomic  (c) constant  (I) inode.lock  (D) dcache.lock  (C) icache.lock  (P) file.poslock
#pragma once
#include "core/lock.h"
#include "core/wait.h"
#include "fs/uio.h"
#include "lib/errno.h"
#include "lib/list.h"
#include "mm/mm.h"

enum { NAME_MAX = 255, PATH_MAX = 4096, LINK_MAX_FOLLOW = 40 };
enum { // inode types in mode; Linux's values
  S_IFMT = 0170000,
  S_IFSOCK = 0140000,
  S_IFLNK = 0120000,
  S_IFREG = 0100000,
  S_IFBLK = 0060000,
  S_IFDIR = 0040000,
  S_IFCHR = 0020000,
  S_IFIFO = 0010000,
  S_ISUID = 04000,
  S_ISGID = 02000,
  S_ISVTX = 01000,
};
#define S_ISTYPE(mode, type) (((mode)&S_IFMT) == (type))
enum { // open flags; Linux's values (asserted in syscall/abi.h)
  O_RDONLY = 0,
  O_WRONLY = 1,
  O_RDWR = 2,
  O_ACCMODE = 3,
  O_CREAT = 0100,
  O_EXCL = 0200,
  O_NOCTTY = 0400,
  O_TRUNC = 01000,
  O_APPEND = 02000,
  O_NONBLOCK = 04000,
  O_DSYNC = 010000,
  O_DIRECT = 040000,
  O_LARGEFILE = 0100000,
  O_DIRECTORY = 0200000,
  O_NOFOLLOW = 0400000,
  O_NOATIME = 01000000,
  O_CLOEXEC = 02000000,
  O_SYNC = 04010000,
  O_PATH = 010000000,
  O_TMPFILE = 020200000,
};
enum {
  POLLIN = 1,
  POLLPRI = 2,
  POLLOUT = 4,
  POLLERR = 8,
  POLLHUP = 16,
  POLLNVAL = 32,
  POLLRDNORM = 64,
  POLLRDBAND = 128,
  POLLWRNORM = 256,
  POLLWRBAND = 512,
  POLLRDHUP = 0x2000
};

enum falloc_mode { // mode of fallocate(2); Linux's values
  FALLOC_KEEP_SIZE = 1,
  FALLOC_PUNCH_HOLE = 2,
  FALLOC_COLLAPSE_RANGE = 8,
  FALLOC_ZERO_RANGE = 16,
  FALLOC_INSERT_RANGE = 32,
  FALLOC_UNSHARE_RANGE = 64,
};

enum seal { // of memory files; Linux's values (F_SEAL_*)
  SEAL_SEAL = 1,
  SEAL_SHRINK = 2,
  SEAL_GROW = 4,
  SEAL_WRITE = 8,
  SEAL_FUTURE_WRITE = 16,
  SEAL_EXEC = 32,
  SEAL_KNOWN = 63,
  SEAL_NOT_KEPT = 64, // the file system keeps none
};

struct times { // seconds and nanoseconds of the four times
  int64_t sec;
  uint32_t nsec;
};
enum { CRED_GROUPS = 32 };
struct cred { // shared, copied on write by proc
  int ref;    // (a)
  uint32_t uid, euid, suid, fsuid, gid, egid, sgid, fsgid;
  int ngroups;
  uint32_t groups[CRED_GROUPS];
  uint64_t cap_effective, cap_permitted, cap_inheritable; // bits by Linux's CAP_* numbers; root has all
};
struct stat_info {                                       // what a stat call reports; syscall/ lays it out for programs
  uint64_t dev, ino, nlink, rdev, size, blksize, blocks; // blocks of 512
  uint32_t mode, uid, gid;
  struct times atime, mtime, ctime, btime;
};
struct statfs_info {
  uint64_t type, bsize, blocks, bfree, bavail, files, ffree, namelen, flags;
};

struct inode;
struct dentry;
struct file;
struct fs;
struct poll;

// readdir calls it per entry; false: no room, stop (the entry is not consumed).
typedef bool dirent_fn(void *arg, const char *name, size_t len, uint64_t ino, unsigned mode_type, uint64_t next_pos);

struct
    inode_ops { // any may be 0: then -EPERM / -ENOTDIR / -EINVAL as fits, or the default. Directory changes hold dir->lock (w).
  int (*lookup)(struct inode *dir, const char *name, size_t len, struct inode **out); // -ENOENT
  // any type but dir, symlink
  int (*create)(struct inode *dir, const char *name, size_t len, unsigned mode, uint64_t rdev, const struct cred *,
                struct inode **out);
  int (*mkdir)(struct inode *dir, const char *name, size_t len, unsigned mode, const struct cred *, struct inode **out);
  int (*symlink)(struct inode *dir, const char *name, size_t len, const char *to, const struct cred *,
                 struct inode **out);
  int (*link)(struct inode *dir, const char *name, size_t len, struct inode *target);
  int (*unlink)(struct inode *dir, const char *name, size_t len, struct inode *target);
  int (*rmdir)(struct inode *dir, const char *name, size_t len, struct inode *target); // -ENOTEMPTY
  // Both directories locked; `over` is what newname names now, or 0.
  int (*rename)(struct inode *olddir, const char *oldname, size_t oldlen, struct inode *newdir, const char *newname,
                size_t newlen, struct inode *moved, struct inode *over);
  int (*readdir)(struct inode *dir, uint64_t *pos, dirent_fn *fn, void *arg); // lock (r) held; includes . and ..
  int64_t (*readlink)(struct inode *, char *buf, size_t size);                // length, not terminated
  // A magic link (/proc/self/fd/3, /proc/self/exe): the dentry itself instead of text. Referenced in *out.
  int (*follow)(struct inode *, struct dentry **out);
  int (*truncate)(struct inode *, uint64_t size); // lock (w) held
  int (*setattr)(struct inode *);                 // mode, owner or times were changed in memory; lock (w) held
  int (*open)(struct inode *, struct file *);     // may replace file->ops and set file->priv
  // last reference gone: free what the store holds if nlink is 0; then inode_free
  void (*evict)(struct inode *);
  // RENAME_EXCHANGE
  int (*exchange)(struct inode *adir, const char *aname, size_t alen, struct inode *bdir, const char *bname,
                  size_t blen, struct inode *a, struct inode *b);
  int (*tmpfile)(struct inode *dir, unsigned mode, const struct cred *, struct inode **out); // O_TMPFILE: nlink 0
  int64_t (*seek)(struct inode *, uint64_t off, bool hole); // SEEK_DATA, SEEK_HOLE; off < size. 0: all of it is data
  void (*stat)(struct inode *, struct stat_info *);         // correct what inode_stat found
  // write(2) changed size or times in memory; lock (w) held, no page BUSY
  int (*written)(struct inode *);
  // Room for [off, off + len), or a hole, or zeros there, as enum falloc_mode says; what a store cannot do is
  // -EOPNOTSUPP. The range ends below INT64_MAX and is not empty; mode, mtime and ctime were changed in memory; lock (w)
  // held. 0 method: -EOPNOTSUPP.
  int (*fallocate)(struct inode *, unsigned mode, uint64_t off, uint64_t len);
};

struct inode {
  struct mobj obj;                     // page cache and size; obj.ref is the inode's reference count
  const struct inode_ops *ops;         // (c)
  const struct file_ops *fops;         // (c) for open; 0: by type
  struct fs *fs;                       // (c)
  uint64_t ino;                        // (c)
  struct rwlock lock;                  // rank 10
  unsigned mode;                       // (I)
  uint32_t uid, gid;                   // (I)
  uint32_t nlink;                      // (I)
  uint64_t rdev;                       // (c) Linux's major << 8 | minor for small numbers
  uint64_t atime, mtime, ctime, btime; // (I) for stores; stamps, see stamp.c
  uint64_t blocks;                     // (I) 512-byte units
  int writers;                         // (a) >0: open for writing; <0: being executed (ETXTBSY)
  struct pipe *pipe;                   // (I) FIFOs
  struct list hash;                    // (C)
  void *priv;                          // (c) the file system's
  uint64_t seq;                        // (a) changes of a directory, for readdir
  uint64_t visible;    // (a) while write(2) makes the file longer: how far readers may see; else UINT64_MAX
  uint64_t touched;    // (a) when a program stored through a mapping, nanoseconds; 0: mtime and ctime know of it
  bool reading;        // (C) inode_find's `read` has not returned yet
  bool linkable;       // (I) O_TMPFILE: link(2) may give it a first name
  struct list later;   // (C) on the list of inode_put_later
  bool is_adopted;     // (C) nobody else knows it, but it has pages that must be written: writeback.c has a reference
  struct list adopted; // (C)
  unsigned seals;      // (I) to write, (a) to read: enum seal
};

struct fs_ops {
  int (*statfs)(struct fs *, struct statfs_info *);
  int (*sync)(struct fs *); // everything durable but what inode_sync_fs wrote; may be 0
  // umount: nothing of fs is open or cached any more, and the tree does not lead to it. Frees fs->priv and what lies
  // below; 0: cannot be unmounted. The fs itself goes by fs_put.
  void (*unmount)(struct fs *);
  int (*remount)(struct fs *, bool readonly, const char *options); // 0: -EINVAL
  void (*free)(struct fs *);                                       // the last fs_put; may be 0
};
struct fs { // one mounted file system; each is mounted at one place
  const struct fs_ops *ops;
  const char *type; // "ext3"
  char source[32];  // "/dev/vda"
  uint64_t dev;     // st_dev
  bool readonly, noexec;
  bool uncached;       // (c) names come and go by themselves (procfs): dentries are not kept
  int ref;             // (a) one while mounted, one for each inode in memory, mount_next's. 0 at creation
  uint64_t ninodes;    // (a) inodes in memory
  struct dentry *root; // referenced
  struct dentry *on;   // the covered dentry; 0 for the root of all
  struct list all;     // mount order
  uint32_t errseq;     // (a) errors of write-back in any file of it, for syncfs
  bool forsaken;       // (a) it is being unmounted: nothing of it waits in memory to be written
  void *priv;
};

struct dentry {                                // one name; a negative one has no inode
  int ref;                                     // (a) 0: only cached
  struct inode *inode;                         // (D) referenced; 0: negative
  struct dentry *parent;                       // (D) referenced; itself for a root
  struct fs *fs;                               // (c)
  struct fs *mounted;                          // (D) another file system's root lies on top
  uint32_t hash;                               // (D)
  bool unhashed;                               // (D) name was removed or replaced
  struct list by_hash, lru, children, sibling; // (D)
  size_t len;                                  // (D)
  char *name;                                  // (D) counted: dname.c
};

struct file_ops { // user memory is touched only through uio and pin.c
  int64_t (*read)(struct file *, struct uio *, uint64_t *pos);
  int64_t (*write)(struct file *, struct uio *, uint64_t *pos);
  int64_t (*lseek)(struct file *, int64_t off, int whence); // 0: the default over obj.size
  unsigned (*poll)(struct file *, struct poll *);           // ready now; 0: always readable and writable
  int (*ioctl)(struct file *, unsigned cmd, uint64_t arg, struct aspace *);
  // What a mapping of this file shows: a referenced object, *anon = true for zero-fill (/dev/zero). 0 method: regular
  // files give inode->obj, others -ENODEV.
  int (*mmap)(struct file *, bool shared, struct mobj **obj);
  int (*fsync)(struct file *, bool data_only);
  int (*readdir)(struct file *, dirent_fn *fn, void *arg); // 0: inode_ops.readdir
  void (*release)(struct file *);                          // last reference; before dentry and inode go
  // A region came to map it, or has given it up; may be 0. Does not sleep while another region maps it: as.lock may be
  // held.
  void (*mapped)(struct file *, bool on);
  bool seekable; // false: -ESPIPE, no poslock
  // the driver's own check; may change ops and priv; may be 0
  int (*open)(struct file *);
};

enum file_access { ACCESS_NORMAL, ACCESS_RANDOM, ACCESS_SEQUENTIAL };

struct file {                 // open file description
  int ref;                    // (a)
  unsigned flags;             // (a) O_*; access mode is constant
  struct dentry *dentry;      // (c) referenced; 0 for pipes and the like
  struct inode *inode;        // (c) referenced; 0 only where there is none
  const struct file_ops *ops; // (c)
  struct sleeplock poslock;
  uint64_t pos;         // (P)
  void *priv;           // (c) the driver's
  bool counts_writer;   // (c) has a place in inode->writers
  bool keep_setid;      // (c) opened with CAP_FSETID: writing leaves the set-id bits
  int access;           // (a) enum file_access: what posix_fadvise said
  uint64_t goes_on;     // (a) a hint: where the last read ended
  uint32_t errseq;      // (a) of the object, when fsync or msync last told of it
  uint32_t fs_errseq;   // (a) of the file system, when syncfs did
  struct list watchers; // (epoll.c) items of epolls that watch it
};

// ---- inode.c
// A new inode that inode_find does not know (for file systems whose inodes live in memory). ref 1; 0 if no memory.
struct inode *inode_alloc(struct fs *fs, uint64_t ino, const struct mobj_ops *mops, const struct inode_ops *ops);
void inode_free(struct inode *ip); // for evict
struct inode *inode_get(struct inode *ip);
void inode_put(struct inode *ip);       // may sleep (I7)
void inode_put_later(struct inode *ip); // does not sleep: the last reference goes to a worker
// Find in the inode cache, or call `read` on a fresh one: one inode per (fs, ino). 0 or -E. Waits until an inode of
// that number that is being evicted is gone, so evict must not need what the caller holds (a transaction handle: give
// the number free in the handle's last act). A new disk inode comes to life here too: `read` then fills in fresh
// values.
int inode_find(struct fs *fs, uint64_t ino, const struct mobj_ops *mops, const struct inode_ops *ops,
               int (*read)(struct inode *), struct inode **out);
void inode_stat(struct inode *ip, struct stat_info *st);
void inode_mobj_release(struct mobj *obj); // mobj_ops.release of every inode's object
enum { MAY_EXEC = 1, MAY_WRITE = 2, MAY_READ = 4 };
int inode_permission(struct inode *ip, const struct cred *cr, int may); // 0 or -EACCES, -EROFS
int inode_write_open(struct inode *ip); // count a writer: -ETXTBSY if it is being executed
void inode_write_close(struct inode *ip);
int inode_deny_write(struct inode *ip); // for exec: -ETXTBSY if somebody writes
void inode_allow_write(struct inode *ip);
// Owner, group and mode of a new inode in dir: set-group-id directories hand on their group. Before anybody sees it.
void inode_init_owner(struct inode *ip, const struct inode *dir, unsigned mode, const struct cred *cr);
int inode_sync_fs(struct fs *fs); // mobj_sync of every inode in memory: the first error
// Is there an inode of fs in memory for which fn says yes? fn runs without locks.
bool inode_any(struct fs *fs, bool (*fn)(struct inode *ip, void *arg), void *arg);
void inode_touched(struct mobj *obj); // mobj_ops.touched: notes the time
void inode_settle(struct inode *ip);  // what was noted goes into mtime and ctime
// ---- stamp.c
struct times times_now(void);
struct times times_of(uint64_t ns);              // since 1970
void stamp_set(uint64_t *stamp, struct times t); // one of an inode's times; held: its lock, for writing
struct times stamp_get(const uint64_t *stamp);   // nothing held
void inode_changed(struct inode *ip);            // ctime is now; held: its lock, for writing
void inode_modified(struct inode *ip);           // mtime and ctime are now; held: its lock, for writing
// ---- dcache.c
struct dentry *dentry_get(struct dentry *d);
void dentry_put(struct dentry *d); // may sleep
// Child `name` of d: from the cache, or by inode_ops.lookup (takes dir->lock). *out referenced, may be negative.
int dentry_lookup(struct dentry *d, const char *name, size_t len, struct dentry **out);
int dentry_lookup_locked(struct dentry *d, const char *name, size_t len, struct dentry **out); // dir->lock held
void dentry_instantiate(struct dentry *d, struct inode *ip); // a negative one gets an inode (reference taken over)
void dentry_unlink(struct dentry *d);                        // its name is gone
// d takes target's name; target is unhashed
void dentry_rename(struct dentry *d, struct dentry *newparent, struct dentry *target);
void dentry_exchange(struct dentry *a, struct dentry *b); // swap names and parents
void dentry_prune(struct dentry *d);                      // forget unused children, so that a removed directory can go
bool dentry_inside(struct dentry *d, struct dentry *top); // d is top or below it, within one file system
// For path walks; both take over d's reference and return a referenced one: to the top of what is mounted on d; one
// up.
struct dentry *dentry_cross(struct dentry *d);
struct dentry *dentry_up(struct dentry *d, struct dentry *root);
// mount fs on d, whose reference is taken over: 0, -EBUSY, -ENOENT
int dentry_cover(struct dentry *d, struct fs *fs);
int dentry_uncover(struct fs *fs);                           // umount: 0, or -EBUSY if anything of fs is in use
struct dentry *dentry_root(struct fs *fs, struct inode *ip); // ip's reference taken over
// outside the tree: pipes, memfd; "pipe:[12]"
struct dentry *dentry_anon(struct fs *fs, const char *name, struct inode *ip);
// Absolute path as seen from `root`, with " (deleted)" if unhashed and `deleted`: start inside buf, or 0
// (-ENAMETOOLONG).
char *dentry_path(struct dentry *d, struct dentry *root, char *buf, size_t n, bool deleted);
uint64_t dentry_shrink(uint64_t n); // drop unused ones: how many
// ---- namei.c
struct namectx {
  struct dentry *root, *cwd;
  const struct cred *cred;
};
// follow a last symlink; must be a directory; "" is `at` itself
enum { NAMEI_FOLLOW = 1, NAMEI_DIRECTORY = 2, NAMEI_EMPTY = 4 };
// Path to dentry (referenced, never negative). `at`: start of relative paths, 0 = cwd. -ENOENT, -ENOTDIR, -ELOOP,
// -EACCES, -ENAMETOOLONG.
int namei(const struct namectx *c, struct dentry *at, const char *path, int flags, struct dentry **out);
struct namei_last { // the last component, for calls that create or remove
  char name[NAME_MAX + 1];
  size_t len;
  bool dir_slash; // path ended in '/'
  enum { LAST_NORMAL, LAST_DOT, LAST_DOTDOT, LAST_ROOT } kind;
};
int namei_parent(const struct namectx *c, struct dentry *at, const char *path, struct dentry **dir,
                 struct namei_last *last);
// The calls themselves, permissions checked: 0 or -E. Paths are kernel strings.
// umask already applied
int vfs_open(const struct namectx *c, struct dentry *at, const char *path, unsigned flags, unsigned mode,
             struct file **out);
int vfs_mknod(const struct namectx *c, struct dentry *at, const char *path, unsigned mode, uint64_t rdev);
int vfs_mkdir(const struct namectx *c, struct dentry *at, const char *path, unsigned mode);
int vfs_symlink(const struct namectx *c, const char *to, struct dentry *at, const char *path);
int vfs_link(const struct namectx *c, struct dentry *oldat, const char *old, int flags, struct dentry *at,
             const char *path);
int vfs_unlink(const struct namectx *c, struct dentry *at, const char *path);
int vfs_rmdir(const struct namectx *c, struct dentry *at, const char *path);
enum { RENAME_NOREPLACE = 1, RENAME_EXCHANGE = 2 };
int vfs_rename(const struct namectx *c, struct dentry *oldat, const char *old, struct dentry *at, const char *path,
               unsigned flags);
int64_t vfs_readlink(struct dentry *d, char *buf, size_t n);
int vfs_truncate(struct inode *ip, uint64_t size, const struct cred *cr);
int vfs_ftruncate(struct file *f, uint64_t size);                             // a regular file, opened for writing
int vfs_fallocate(struct file *f, unsigned mode, uint64_t off, uint64_t len); // opened for writing
struct setattr { // which fields are given, and their values
  bool set_mode, set_uid, set_gid, set_atime, set_mtime;
  bool atime_now, mtime_now;
  unsigned mode;
  uint32_t uid, gid;
  struct times atime, mtime;
};
int vfs_setattr(struct inode *ip, const struct setattr *sa, const struct cred *cr);
// ---- file.c
struct file *file_alloc(const struct file_ops *ops, unsigned flags); // ref 1; 0
struct file *file_get(struct file *f);
void file_put(struct file *f); // may sleep
// permission checked
int file_open_dentry(struct dentry *d, unsigned flags, const struct cred *cr, struct file **out);
int64_t file_read(struct file *f, struct uio *u, uint64_t *pos);  // pos 0: the file's own, under poslock
int64_t file_write(struct file *f, struct uio *u, uint64_t *pos); // -EBADF if not opened for it
int64_t file_lseek(struct file *f, int64_t off, int whence);
int file_fsync(struct file *f, bool data_only);
int file_syncfs(struct file *f); // its whole file system; -EBADF
int file_readdir(struct file *f, dirent_fn *fn, void *arg);
unsigned file_poll(struct file *f, struct poll *p);
int file_mmap(struct file *f, bool shared, struct mobj **obj);               // obj referenced, or 0: anonymous
int64_t file_read_kernel(struct file *f, void *buf, size_t n, uint64_t pos); // whole or short at the end; -E
extern const struct region_tag_ops file_region_tags;                         // a region's tag is its struct file
// ---- data.c: through the object's pages
int64_t data_read(struct file *f, struct uio *u, uint64_t *pos);
int64_t data_write(struct file *f, struct uio *u, uint64_t *pos);
extern const struct file_ops regular_fops; // data.c
// Write what is dirty of pages [lo, hi), commit, and tell f of write-back errors that it has not heard of: 0 or -E.
int data_sync(struct file *f, uint64_t lo, uint64_t hi);
// sync_file_range: bytes [lo, hi), no metadata. `write` what is dirty, `wait` for what is being written and tell of errors.
int data_sync_range(struct file *f, uint64_t lo, uint64_t hi, bool write, bool wait);
// ---- writeback.c
struct writeback_settings { // (a) of /proc/sys/vm/dirty_*_centisecs
  uint64_t interval, expire;
};
extern struct writeback_settings writeback_settings;
void writeback_start(void);   // the thread
void writeback_wait(void);    // until the thread has no inode in its hands that it took before
uint64_t writeback_now(void); // one look of the thread's: pages written
// ---- seal.c: what may never happen to a memory file again
int seal_add(struct file *f, unsigned seals); // 0, -EPERM, -EINVAL, -EBUSY
int seal_get(struct file *f);                 // -EINVAL where there are none
// May a shared mapping of obj, f's object, that begins with `prot` be made? Takes out of *maxprot what it may never have.
// *claimed: mobj_unclaim_write after it was mapped.
int seal_map(struct file *f, struct mobj *obj, int prot, int *maxprot, bool *claimed);
int seal_write(struct inode *ip, uint64_t pos, uint64_t n); // may n bytes be written there? inode.lock held
int seal_resize(struct inode *ip, uint64_t size);           // may that be its size? inode.lock held
int seal_mode(struct inode *ip, unsigned mode);             // may those be its permissions? inode.lock held
// ---- devfs/chr.c, devfs/blkfile.c: drivers by device number, for nodes on any file system; 0: -ENXIO
const struct file_ops *dev_chr_fops(uint64_t rdev);
const struct file_ops *dev_blk_fops(uint64_t rdev);
extern const struct file_ops dir_fops; // file.c
// ---- pipe.c
int pipe_create(struct file **rd, struct file **wr, unsigned flags);
int fifo_open(struct inode *ip, struct file *f);
int64_t pipe_size(struct file *f); // F_GETPIPE_SZ; -EBADF if no pipe
int pipe_resize(struct file *f, uint64_t bytes);
int pipe_unread(struct file *f);                                          // FIONREAD
uint64_t pipe_peek(struct file *f, uint64_t skip, char *buf, uint64_t n); // f is a pipe, for both
bool pipe_unread_bytes(struct file *f, const char *buf, uint64_t n);
void pipe_free(struct pipe *p); // inode_free's; 0 is allowed
void pipe_init(void);           // vfs_init's
// ---- poll.c
struct poll { // who waits on many queues: a thread (poll.c), or an epoll's item
  // stand in q, which is woken for `events`
  void (*watch)(struct poll *p, struct waitq *q, unsigned events);
};
void poll_watch(struct poll *p, struct waitq *q); // for poll methods (which must not sleep); p may be 0
void poll_watch_for(struct poll *p, struct waitq *q, unsigned events); // where q is woken for some of them only
struct pollset_entry {
  struct file *file; // 0: skip
  unsigned events, revents;
};
// Wait until any is ready: how many; 0 at the deadline, -EINTR, -ENOMEM.
int poll_wait(struct pollset_entry *e, int n, uint64_t deadline);
// ---- epoll.c
struct epoll;
struct epoll_event {
  uint32_t events;
  uint64_t data;
} __attribute__((packed)); // Linux's layout
enum { EPOLL_CTL_ADD = 1, EPOLL_CTL_DEL, EPOLL_CTL_MOD };
int epoll_create(struct file **out);
int epoll_ctl(struct file *ep, int op, struct file *f, int fd, const struct epoll_event *e);
struct epoll_taken { // which item an event came from; the file is a name here, not a reference
  const struct file *file;
  int fd;
  unsigned events; // what it asked for
};
// Up to max events, and where they came from: how many; 0 at the deadline, -EINTR, -EINVAL (no epoll).
int epoll_wait(struct file *ep, struct epoll_event *e, struct epoll_taken *from, int max, uint64_t deadline);
void epoll_unwait(struct file *ep, const struct epoll_taken *from, int n); // nobody heard of these: report them again
bool epoll_is(const struct file *f);
void epoll_forget(struct file *f); // file_put's: nobody watches f any more
// ---- anonfile.c
// A file outside the tree, without data of its own, shown as "anon_inode:[NAME]". On an error `priv` stays the caller's.
int anonfile_make(const char *name, const struct file_ops *ops, unsigned flags, void *priv, struct file **out);
void unix_init(void);
// ---- eventfd.c
int eventfd_create(uint64_t count, bool semaphore, unsigned flags, struct file **out);
// ---- timerfd.c
struct timerfd_setting { // nanoseconds; value 0: stopped
  uint64_t value, interval;
};
int timerfd_create(bool wall, unsigned flags, struct file **out);
int timerfd_set(struct file *f, bool absolute, const struct timerfd_setting *s, struct timerfd_setting *old);
int timerfd_get(struct file *f, struct timerfd_setting *s); // -EINVAL: none
// ---- mount.c
int mount_add(struct fs *fs, struct dentry *on);       // on (reference taken over) 0: root of all. 0, -EBUSY, -ENOENT
int mount_at(struct fs *fs, const char *path);         // 0 or -E; boot and mount(2)
int mount_at_boot(const char *type, const char *path); // a fresh file system of that type
// 0 starts; 0 ends. Referenced; takes fs's reference over: run to the end, or fs_put
struct fs *mount_next(struct fs *fs);
void fs_put(struct fs *fs);
uint64_t mount_anon_dev(void); // a device number for a file system without one
int vfs_statfs(struct fs *fs, struct statfs_info *st);
int vfs_sync_all(void);
extern struct dentry *vfs_root;
// mount(2); options: the file system's own, or 0.
int vfs_mount(const struct namectx *c, const char *source, const char *path, const char *type, unsigned long flags,
              const char *options);
// What cannot be written is -EIO, and it stays mounted; `force`: it goes all the same.
int vfs_umount(const struct namectx *c, const char *path, bool force);
// File systems by name, for mount(2) and /proc/filesystems.
struct fs_type {
  const char *name;
  bool nodev;
  int (*mount)(const char *source, const char *options, struct fs **out);
  struct fs_type *next;
};
void fs_register(struct fs_type *t);
extern struct fs_type *fs_types;
void vfs_init(void); // after sched_init: starts a worker
void ext3_init(void);
void tmpfs_init(void);
void procfs_init(void);
void devfs_init(void);
// ext3's own sentence about why an image was refused is printed; here only the error.
int ext3_mount(const char *source, const char *options, struct fs **out);
// memfd and shm segments: an unlinked tmpfs file, shown as "/NAME (deleted)"; O_RDWR and `flags`, sealed so.
int tmpfs_anon_file(const char *name, unsigned flags, unsigned mode, unsigned seals, struct file **out);
