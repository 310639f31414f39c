// vfs_oracle.h -- the same calls on this machine's own file system, by which vfs_test judges ours. The implementation
// includes no kernel header: those name the same things.
#pragma once
#include <stdbool.h>
#include <stdint.h>

bool oracle_begin(
    void); // a fresh empty directory of a file system in memory becomes / and the working directory: root only
void oracle_end(void);
void oracle_leave(bool leave); // between the two: out to the whole machine for a while, and back
int oracle_open(const char *path, unsigned flags, unsigned mode, unsigned char fill, uint64_t pos,
                uint64_t n); // opens, writes n bytes at pos if it may, closes
int oracle_mkdir(const char *path);
int oracle_rmdir(const char *path);
int oracle_unlink(const char *path);
int oracle_link(const char *from, const char *to, bool follow);
int oracle_symlink(const char *text, const char *path);
int oracle_rename(const char *from, const char *to, unsigned flags);
int oracle_truncate(const char *path, uint64_t size);
struct oracle_stat {
  unsigned mode, nlink, uid, gid;
  uint64_t size, sum; // sum over the bytes of a regular file or link, 0 of others; size 0 of directories
  uint64_t rdev;      // major << 32 | minor
  int64_t mtime;      // seconds
};
// Bytes that oracle_stat sums: all of a small file; of a large one its parts where ext3 changes its ways, and its end.
// The n-th such part of a file of that size: 1, and [*lo, *hi); 0: no more.
int oracle_part(uint64_t size, int n, uint64_t *lo, uint64_t *hi);
uint64_t oracle_sum(uint64_t sum, const unsigned char *p, uint64_t n);
int oracle_stat(const char *path, bool follow, struct oracle_stat *st);
int oracle_names(const char *path, uint64_t *sum); // how many names in a directory, and a sum over them
int oracle_mknod(const char *path, unsigned mode, unsigned major, unsigned minor);
int oracle_fallocate(const char *path, unsigned mode, uint64_t off, uint64_t n);
int oracle_chmod(const char *path, unsigned mode);
int oracle_lchown(const char *path, unsigned uid, unsigned gid);
int oracle_mtime(const char *path, int64_t seconds); // both times; follows no link
// Open files, by slot.
enum { ORACLE_FILES = 4 };
int oracle_file_open(int slot, const char *path, unsigned flags, unsigned mode);
int64_t oracle_file_write(int slot, unsigned char fill, uint64_t pos, uint64_t n);
int oracle_file_truncate(int slot, uint64_t size);
int oracle_file_stat(int slot, struct oracle_stat *st);
int oracle_file_link(int slot, const char *path);
void oracle_file_close(int slot);
