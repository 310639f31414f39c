// stat.h -- what fstat() and stat() tell of a file.
#pragma once
#include "types.h"
#define T_DIR  1
#define T_FILE 2
#define T_DEV  3

struct stat {
  short type; // T_DIR, T_FILE, T_DEV
  int dev;
  uint ino;
  short nlink;
  uint size; // bytes
};
