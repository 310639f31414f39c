// filelock.h -- advisory locks on files, between those who ask: fcntl's record locks (owned by a process, or by an open
// file) and flock's whole-file locks (owned by an open file). The two families do not see each other, as on Linux.
//
// Typical: filelock_set(ip, &rq, wait) / filelock_get / ... and, when they close: filelock_drop(ip, owner).
// Must not know descriptors, processes or the layout of struct flock.
#pragma once
#include "fs/vfs.h"

enum filelock_family { FILELOCK_RECORD, FILELOCK_WHOLE };
enum filelock_type { FILELOCK_NONE, FILELOCK_SHARED, FILELOCK_EXCLUSIVE };

struct filelock_range { // what is asked for, or what is in the way
  enum filelock_family family;
  enum filelock_type type;
  const void *owner; // whose it is: a descriptor table, or an open file
  int pid;           // to tell others; -1: the owner is no process
  uint64_t lo, hi;   // bytes, both inclusive
};

// Make [lo, hi] of ip be `type` for the owner (FILELOCK_NONE: free it). Sleeps if `wait`.
// 0, -EAGAIN (not `wait`), -EDEADLK, -EINTR, -ENOMEM.
int filelock_set(struct inode *ip, const struct filelock_range *rq, bool wait);
// Is there one that rq would have to wait for? It is then copied to *rq, else rq->type becomes FILELOCK_NONE.
void filelock_get(struct inode *ip, struct filelock_range *rq);
// What kind rq's owner has there now, if any, of rq's family.
enum filelock_type filelock_held(struct inode *ip, const struct filelock_range *rq);
// All locks of this owner on ip go: it has closed the file. Cheap if no file anywhere is locked.
void filelock_drop(const struct inode *ip, const void *owner);
