// tmpfs.h -- what tmpfs.c, dir.c and falloc.c share.
// Lock keys: (a) atomic  (c) constant  (I) inode.lock  (T) tmpfs.lock
#pragma once
#include "fs/vfs.h"
#include "lib/rbtree.h"

struct tmpfs {
  struct fs fs;
  struct spinlock lock;
  uint64_t max_pages, max_inodes; // (T)
  uint64_t pages;                 // (T) pages of data
  uint64_t reserved;              // (T) pages that are being made
  uint64_t last_ino;              // (a)
  struct inode *root;             // (c) referenced until unmount
};
struct tmpnode {                    // inode.priv
  struct rbtree by_name, by_cookie; // (I) directories: struct tmpentry
  uint64_t last_cookie;             // (I)
  uint64_t nentries;                // (I)
  struct inode *parent;             // (I) directories: where ".." leads; itself for the root
  char *link;                       // (c) symbolic links: the text
  uint64_t pages;                   // (T) pages of data that were charged
};
struct tmpentry {                   // one name in a directory
  struct rbnode by_name, by_cookie; // (I)
  uint64_t cookie;                  // (c) its place for readdir: grows with every new name
  uint32_t hash;                    // (c)
  struct inode *ip;                 // (I) referenced
  size_t len;                       // (c)
  char name[];                      // (c) terminated
};

static inline struct tmpfs *
tmpfs_of(struct fs *fs)
{
  return container_of(fs, struct tmpfs, fs);
}

static inline struct tmpnode *
tmpnode_of(struct inode *ip)
{
  return ip->priv;
}

// ---- tmpfs.c
// A new inode with one reference and no name. 0 or -ENOSPC, -ENOMEM.
int tmpfs_inode(struct fs *fs, struct inode *dir, unsigned mode, uint64_t rdev, const struct cred *cr,
                struct inode **out);
int tmpfs_make(const char *source, const char *options, struct tmpfs **out); // a file system of its own
extern const struct inode_ops tmpfs_inode_ops;
int tmpfs_reserve(struct tmpfs *t, uint64_t pages); // 0 or -ENOSPC; every one is given back by a tmpfs_charge
// Bring the charges of one file up to date; `reserved` pages of them were reserved before.
void tmpfs_charge(struct inode *ip, uint64_t reserved);
// ---- falloc.c
int tmpfs_fallocate(struct inode *ip, unsigned mode, uint64_t off, uint64_t len);
// ---- dir.c: the directory methods of inode_ops
int tmpdir_lookup(struct inode *dir, const char *name, size_t len, struct inode **out);
int tmpdir_create(struct inode *dir, const char *name, size_t len, unsigned mode, uint64_t rdev, const struct cred *cr,
                  struct inode **out);
int tmpdir_mkdir(struct inode *dir, const char *name, size_t len, unsigned mode, const struct cred *cr,
                 struct inode **out);
int tmpdir_symlink(struct inode *dir, const char *name, size_t len, const char *to, const struct cred *cr,
                   struct inode **out);
int tmpdir_link(struct inode *dir, const char *name, size_t len, struct inode *target);
int tmpdir_unlink(struct inode *dir, const char *name, size_t len, struct inode *target);
int tmpdir_rmdir(struct inode *dir, const char *name, size_t len, struct inode *target);
int tmpdir_rename(struct inode *olddir, const char *oldname, size_t oldlen, struct inode *newdir, const char *newname,
                  size_t newlen, struct inode *moved, struct inode *over);
int tmpdir_exchange(struct inode *adir, const char *aname, size_t alen, struct inode *bdir, const char *bname,
                    size_t blen, struct inode *a, struct inode *b);
int tmpdir_readdir(struct inode *dir, uint64_t *pos, dirent_fn *fn, void *arg);
void tmpdir_clear(struct inode *root); // umount: every name below root goes
