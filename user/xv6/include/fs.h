// fs.h -- directories as read() shows them, and xv6's disk. The disk is ext3 here: of what follows only DIRSIZ and
// struct dirent describe something real. The rest is for programs that size their tests by it.
#pragma once
#include "types.h"
#define ROOTINO   1
#define BSIZE     512 // bytes of a block
#define NDIRECT   12
#define NINDIRECT (BSIZE / sizeof(uint))
#define MAXFILE   (NDIRECT + NINDIRECT) // blocks of xv6's largest file; here a file may be larger
#define DIRSIZ    14

struct dirent {
  ushort inum;       // low bits of the i-node's number, never 0
  char name[DIRSIZ]; // without a 0 at its end if it fills the array
};

struct superblock {
  uint size, nblocks, ninodes, nlog, logstart, inodestart, bmapstart;
};
struct dinode {
  short type, major, minor, nlink;
  uint size;
  uint addrs[NDIRECT + 1];
};
#define IPB           (BSIZE / sizeof(struct dinode))
#define IBLOCK(i, sb) ((i) / IPB + sb.inodestart)
#define BPB           (BSIZE * 8)
#define BBLOCK(b, sb) (b / BPB + sb.bmapstart)
