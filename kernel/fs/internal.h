// internal.h -- what the files of fs/ share with each other and nobody else.
#pragma once
#include "fs/vfs.h"

void inode_init(void);        // inode.c
void inode_flush_later(void); // drop now what inode_put_later left to the worker
// Give up the references of inodes that were adopted (writeback.c), of fs or 0: of all, and are clean now; or of all that
// there are. May sleep.
void inode_disown(struct fs *fs, bool dirty_too);
void writeback_init(void); // writeback.c
void dentry_init(void);    // dcache.c
// dname.c: text of `len` bytes, counted; 0 if no memory. dcache.lock held for get and put, unless nobody else sees it.
char *dname_new(const char *s, size_t len);
char *dname_get(char *text);
void dname_put(char *text);
void names_init(void); // names.c
void anonfile_init(void);
void file_init(void); // file.c
// Open d without asking for permission: the caller did, or has just made it.
int file_open_checked(struct dentry *d, unsigned flags, const struct cred *cr, struct file **out);
void dentry_forget_fs(struct fs *fs);       // drop unused dentries of one file system; may sleep
struct list *hash_table(uint64_t *mask);    // mount.c: chains for a table of this machine's size; at start-up, panics
unsigned attr_without_setid(unsigned mode); // attr.c

// direct.c: O_DIRECT. Is such a call valid? Before a read, what is dirty there goes to the disk. / It wrote n bytes: on their way to the
// disk too, or -E. / Out of the cache.
int direct_begin(struct file *f, struct uio *u, uint64_t pos, bool write);
int64_t direct_written(struct file *f, uint64_t pos, int64_t n);
void direct_drop(struct file *f, uint64_t lo, uint64_t hi);

// ---- namei.c: a walk along a path, one component after the other.
struct walk {
  const struct namectx *c;
  struct dentry *at; // where the walk is; referenced
  char *buf;         // the path's text if a symbolic link was spliced in, else 0
  const char *p;     // what is left of the path
  int links;         // followed so far
};
// A path of "" is -ENOENT. Every walk that began ends with walk_end, which drops `at` unless it was taken (set to 0).
int walk_begin(struct walk *w, const struct namectx *c, struct dentry *at, const char *path);
void walk_end(struct walk *w);
// Go to the directory of the last component and name that. w->at may be searched by the caller. 0 or -E.
int walk_parent(struct walk *w, struct namei_last *last);
// Go on along symbolic link `link` (reference taken over), which lies in w->at. 0 or -E.
int walk_link(struct walk *w, struct dentry *link);
