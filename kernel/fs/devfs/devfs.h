// devfs.h -- what the files of devfs/ share.
#pragma once
#include "fs/vfs.h"

enum { DEV_DISK_MODE = 0660, DEV_SHM_MODE = 01777 };

struct blkdev;
struct chrdev { // a character device with a name in /dev
  const char *name;
  unsigned mode; // permission bits
  uint64_t rdev;
  const struct file_ops *fops;
};
extern const struct chrdev chrdevs[];             // chr.c; ends with name 0
uint64_t blkfile_rdev(const struct blkdev *want); // blkfile.c: its number
