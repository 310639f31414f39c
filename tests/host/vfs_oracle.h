// vfs_oracle.h -- the same calls on this machine's own file system, by which vfs_test judges ours. The implementation
// includes no kernel header: those name the same things.
#pragma once
#include <stdbool.h>
#include <stdint.h>

bool oracle_begin(
    void); // a fresh empty directory of a file system in memory becomes / and the working directory: root only
void oracle_end(void);
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
  unsigned mode, nlink;
  uint64_t size, sum; // sum over the bytes of a regular file or link, 0 of others; size 0 of directories
};
int oracle_stat(const char *path, bool follow, struct oracle_stat *st);
int oracle_names(const char *path, uint64_t *sum); // how many names in a directory, and a sum over them
