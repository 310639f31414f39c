// hosttree.h -- the host's files, for tests that cannot include its headers next to the kernel's.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct host_stat {
  uint64_t ino, nlink, rdev, size;
  unsigned mode, uid, gid;
  int64_t mtime, ctime;
};
struct host_names {
  int n;
  char **name; // sorted, without . and ..
};

const char *host_tmp(void); // a directory of this program's own; gone at exit
int host_run(const char *f, ...) __attribute__((format(printf, 1, 2))); // a shell command: its status
// First match of `word` in what a command prints, 0 or 1.
int host_prints(const char *word, const char *f, ...) __attribute__((format(printf, 2, 3)));
int host_lstat(const char *path, struct host_stat *st);
int64_t host_readlink(const char *path, char *buf, size_t n);
struct host_names host_list(const char *path);
void host_names_free(struct host_names *l);
int64_t host_read(const char *path, void *buf, size_t n, uint64_t off);
// The first bytes at or after `off` that are no hole: [*lo, *hi). 0: none.
int host_data(const char *path, uint64_t off, uint64_t *lo, uint64_t *hi);
void *host_map(const char *path, uint64_t *size); // a private, writable copy
void host_unmap(void *p, uint64_t size);
// The file is these bytes, with holes where they are all zero: images are saved by the thousand. False: it could not be made.
bool host_save(const char *path, const void *bytes, uint64_t size);

// A tree with a bit of everything under dir: 1 with devices and owners, as root; 0 without, as another user.
int host_make_tree(const char *dir);
void host_make_names(const char *dir, int n); // n files, names of 1 to 255 bytes
