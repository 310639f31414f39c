// scenes.h -- the workload of the crash test: random file operations of one process, each told as facts.
//
// It is the same code in the guest (workload.c: system calls) and on the host (tests/host: the kernel's own methods).
// Every call returns 0 or more, or -errno. A file is named by the handle that `create` or `open` gave.
#pragma once
#include <stddef.h>
#include "facts.h"

struct scene_ops {
  void (*fact)(void *ctx, const struct fact *f);                          // returns once the host has it
  int (*create)(void *ctx, const char *path, void **file, uint64_t *ino); // a new one, for reading and writing
  int (*open)(void *ctx, const char *path, void **file);                  // for reading and writing
  void (*close)(void *ctx, void *file);                                   // its mapping is gone before
  int64_t (*write)(void *ctx, void *file, const void *p, size_t n, uint64_t off, unsigned flags); // WRITE_*
  int (*fsync)(void *ctx, void *file, int data_only);
  uint64_t (*mtime)(void *ctx, void *file); // nanoseconds; 0: not known
  int (*truncate)(void *ctx, void *file, uint64_t size);
  int (*fallocate)(void *ctx, void *file, int punch, uint64_t off, uint64_t len);
  int (*map)(void *ctx, void *file, uint64_t len, void **map); // the first len bytes, shared
  void (*unmap)(void *ctx, void *map, uint64_t len);
  int (*store)(void *ctx, void *map, const void *p, size_t n, uint64_t off); // in whole words where it can
  int (*msync)(void *ctx, void *map, uint64_t off, uint64_t len);            // off is of a page
  int (*dirsync)(void *ctx, const char *dir);
  int (*sync)(void *ctx);
  int (*rename)(void *ctx, const char *from, const char *to);
  int (*link)(void *ctx, const char *from, const char *to);
  int (*unlink)(void *ctx, const char *path);
  int (*symlink)(void *ctx, const char *text, const char *path);
  int (*mkdir)(void *ctx, const char *path);
  int (*rmdir)(void *ctx, const char *path);
};

struct scene_file {
  int live, names; // names: slots that show it
  uint64_t size;
  void *file, *map; // open, mapped; 0
  uint64_t maplen;
};
struct scenes {
  const struct scene_ops *ops;
  void *ctx;
  uint32_t proc, op;
  uint64_t seed;
  uint64_t quota;             // bytes that all files together may have
  int no_fallocate, no_punch; // the file system has none
  int errors;                 // operations that failed, other than for want of space
  int full;                   // operations that failed for want of space
  struct {
    enum { SLOT_NONE, SLOT_FILE, SLOT_LINK, SLOT_SUBDIR } type;
    unsigned file;
  } slot[SLOTS];
  unsigned files;
  struct scene_file file[FILES_MAX];
};
void scenes_init(struct scenes *s, const struct scene_ops *ops, void *ctx, uint32_t proc, uint64_t seed,
                 uint64_t quota);
void scenes_run(struct scenes *s, unsigned ops); // until that many operations are done
void scenes_close(struct scenes *s);             // every file that is open
