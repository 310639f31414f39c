// vfs_fakes.h -- a root file system in memory for tests of fs/, and programs whose addresses are this program's.
#pragma once
#include "fs/vfs.h"

extern struct namectx root_ctx, user_ctx; // who asks: root, and user 1000 without capabilities
#define USER_AS ((struct aspace *)1)      // copyin and friends: plain memory, but [BAD_LO, BAD_HI) faults
enum { BAD_LO = 0x1000, BAD_HI = 0x3000 };
// vfs_tmpfs.c or vfs_ext3.c: everything up, a file system of that kind at the root of both; and its end, with nothing in it:
// the test fails if something is left.
void vfs_start(void);
void vfs_stop(void);
extern const bool vfs_fails_all; // can it do without memory for ever? A journal waits for what it must have
// Forget what is cached and let the inode worker's work be done: what is left then is in use.
void vfs_settle(void);
int64_t put(const char *path, unsigned flags, const void *s, size_t n, uint64_t pos); // open, write, close
int64_t get(const char *path, void *buf, size_t n, uint64_t pos);                     // open, read, close
