// linux.h -- what this library needs of Linux on x86-64: numbers, structures, and a way to call. Names that begin with
// two underscores belong to the library; all others are the program's.
#pragma once
#include "types.h"

// Calls.
enum { LINUX_READ, LINUX_WRITE, LINUX_OPEN, LINUX_STAT = 4, LINUX_FSTAT, LINUX_LSTAT, LINUX_LSEEK = 8, LINUX_MMAP };
enum { LINUX_MUNMAP = 11, LINUX_SIGACTION = 13, LINUX_ACCESS = 21, LINUX_MREMAP = 25, LINUX_MSYNC };
enum { LINUX_NANOSLEEP = 35, LINUX_FORK = 57, LINUX_EXECVE = 59, LINUX_WAIT4 = 61, LINUX_KILL, LINUX_CHDIR = 80 };
enum { LINUX_MKDIR = 83, LINUX_RMDIR, LINUX_LINK = 86, LINUX_UNLINK, LINUX_MKNOD = 133, LINUX_GETDENTS = 217 };
enum { LINUX_CLOCK_GETTIME = 228, LINUX_EXIT_GROUP = 231, LINUX_GETRANDOM = 318 };
// Rights and kinds of mappings: anonymous ones are private and promise no memory; exact: there or not at all.
enum { LINUX_READ_ONLY = 1, LINUX_READ_WRITE = 3 };
enum { LINUX_SHARED = 1, LINUX_FIXED = 0x10, LINUX_ANONYMOUS = 0x4022, LINUX_LOW = 0x40, LINUX_EXACT = 0x100000 };
// Errors, flags of open, kinds of files, signals.
enum { LINUX_EINTR = 4, LINUX_EFAULT = 14, LINUX_EISDIR = 21, LINUX_EINVAL, LINUX_ENAMETOOLONG = 36 };
enum { LINUX_O_CREAT = 0100, LINUX_O_NOCTTY = 0400, LINUX_O_DIRECTORY = 0200000 };
enum { LINUX_IFMT = 0170000, LINUX_IFIFO = 010000, LINUX_IFCHR = 020000, LINUX_IFDIR = 040000, LINUX_IFREG = 0100000 };
enum { LINUX_SIGBUS = 7, LINUX_SIGKILL = 9, LINUX_SIGPIPE = 13 };
enum { LINUX_MS_SYNC = 4, LINUX_INSECURE = 4, LINUX_MONOTONIC = 1 };

struct linux_stat {
  ulong dev, ino, nlink;
  uint mode, uid, gid, pad;
  ulong rdev, size, blksize, blocks, times[9];
};
struct linux_dirent {
  ulong ino, next; // next: where the directory is to be read on from
  ushort size;
  uchar type;
  char name[];
};

// Linux's result: -4095 to -1 are errors. Where the kernel reads 64 bits, pass a long or a pointer.
long __call(long number, ...);
void __signal(int sig, void *handler); // 0: as usual, 1: ignored, else a function(sig, info, context)
void __sigreturn(void);
long __touch(const void *buf, int n); // n; what of it lies past the end of a mapped file is zeros from now on
extern char **__environ;

enum { PATHMAX = 4096 };
char *__path(const char *path, char *buf); // the path for Linux, made in buf of PATHMAX bytes; 0: it cannot be one

static inline int
result(long r)
{
  return r < 0 ? -1 : r;
}
