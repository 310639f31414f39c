// abi.h -- what Linux on x86-64 means by its structures and constants: what a program sees, byte for byte.
// Structures that the kernel uses itself live with their users (siginfo, sigaction, rlimit, clone_args in proc.h; iovec
// in uio.h) and only get their layout asserted here. Names are Linux's, so that a reader can look them up.
// Must not know: what any call does.
#pragma once
#include "fs/uio.h"
#include "fs/vfs.h"
#include "mm/types.h"
#include "proc/proc.h"

// ---- constants ------------------------------------------------------------------------------------------------------

enum { PROT_NONE = 0, PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4, PROT_SEM = 8 };
#define PROT_GROWSDOWN 0x01000000u
#define PROT_GROWSUP   0x02000000u
enum {
  MAP_SHARED = 1,
  MAP_PRIVATE = 2,
  MAP_SHARED_VALIDATE = 3,
  MAP_TYPE = 15,
  MAP_FIXED = 0x10,
  MAP_ANONYMOUS = 0x20,
  MAP_32BIT = 0x40,
  MAP_ABOVE4G = 0x80,
  MAP_GROWSDOWN = 0x100,
  MAP_DENYWRITE = 0x800,
  MAP_EXECUTABLE = 0x1000,
  MAP_LOCKED = 0x2000,
  MAP_NORESERVE = 0x4000,
  MAP_POPULATE = 0x8000,
  MAP_NONBLOCK = 0x10000,
  MAP_STACK = 0x20000,
  MAP_HUGETLB = 0x40000,
  MAP_FIXED_NOREPLACE = 0x100000,
  MAP_UNINITIALIZED = 0x4000000,
  MAP_HUGE_SIZES = 0x7c000000, // the bits of 2 MiB and 1 GiB
  // What MAP_SHARED_VALIDATE lets pass.
  MAP_KNOWN = MAP_TYPE | MAP_FIXED | MAP_ANONYMOUS | MAP_32BIT | MAP_ABOVE4G | MAP_GROWSDOWN | MAP_DENYWRITE |
              MAP_EXECUTABLE | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK | MAP_HUGETLB |
              MAP_UNINITIALIZED | MAP_HUGE_SIZES,
};
enum { MS_ASYNC = 1, MS_INVALIDATE = 2, MS_SYNC = 4 };
enum { MREMAP_MAYMOVE = 1, MREMAP_FIXED = 2, MREMAP_DONTUNMAP = 4 };
enum { MLOCK_ONFAULT = 1, MCL_CURRENT = 1, MCL_FUTURE = 2, MCL_ONFAULT = 4 };
enum {
  MFD_CLOEXEC = 1,
  MFD_ALLOW_SEALING = 2,
  MFD_HUGETLB = 4,
  MFD_NOEXEC_SEAL = 8,
  MFD_EXEC = 16,
  MFD_NAME_MAX = 249
};

enum {
  AT_FDCWD = -100,
  AT_SYMLINK_NOFOLLOW = 0x100,
  AT_EACCESS = 0x200,
  AT_REMOVEDIR = 0x200,
  AT_SYMLINK_FOLLOW = 0x400,
  AT_NO_AUTOMOUNT = 0x800,
  AT_EMPTY_PATH = 0x1000,
  AT_STATX_SYNC_TYPE = 0x6000,
};
enum { O_ASYNC = 020000, O_TMPFILE_BIT = 020000000 };
enum { S_IALLUGO = 07777, S_IRWXUGO = 0777 };
enum { SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE };
enum {
  F_DUPFD,
  F_GETFD,
  F_SETFD,
  F_GETFL,
  F_SETFL,
  F_GETLK,
  F_SETLK,
  F_SETLKW,
  F_SETOWN,
  F_GETOWN,
  F_DUPFD_CLOEXEC = 1030,
  F_SETPIPE_SZ,
  F_GETPIPE_SZ,
  F_ADD_SEALS,
  F_GET_SEALS,
};
enum { F_OFD_GETLK = 36, F_OFD_SETLK, F_OFD_SETLKW };
enum { F_RDLCK, F_WRLCK, F_UNLCK };
enum { LOCK_SH = 1, LOCK_EX = 2, LOCK_NB = 4, LOCK_UN = 8 };
enum { FD_CLOEXEC = 1, CLOSE_RANGE_UNSHARE = 2, CLOSE_RANGE_CLOEXEC = 4 };
enum { FIONCLEX = 0x5450, FIOCLEX = 0x5451, FIONBIO = 0x5421, FIONREAD = 0x541b };
enum { UTIME_NOW = 0x3fffffff, UTIME_OMIT = 0x3ffffffe };
enum {
  POSIX_FADV_NORMAL,
  POSIX_FADV_RANDOM,
  POSIX_FADV_SEQUENTIAL,
  POSIX_FADV_WILLNEED,
  POSIX_FADV_DONTNEED,
  POSIX_FADV_NOREUSE
};
enum { IOV_MAX = 1024, RW_MAX = 0x7ffff000 };
enum { STATX_BASIC_STATS = 0x7ff, STATX_BTIME = 0x800, STATX_RESERVED = (int)0x80000000 };

enum {
  CSIGNAL = 0xff,
  CLONE_VM = 0x100,
  CLONE_FS = 0x200,
  CLONE_FILES = 0x400,
  CLONE_SIGHAND = 0x800,
  CLONE_PIDFD = 0x1000,
  CLONE_VFORK = 0x4000,
  CLONE_PARENT = 0x8000,
  CLONE_THREAD = 0x10000,
  CLONE_SYSVSEM = 0x40000,
  CLONE_SETTLS = 0x80000,
  CLONE_PARENT_SETTID = 0x100000,
  CLONE_CHILD_CLEARTID = 0x200000,
  CLONE_DETACHED = 0x400000,
  CLONE_CHILD_SETTID = 0x1000000,
  CLONE_BITS = 34, // clone3's flags are no wider
};
enum { CLONE_ARGS_VER0 = 64 };
#define WTHREADFLAGS (WNOTHREAD | WALL | WCLONE) // every child is waited for alike
enum { ARCH_SET_GS = 0x1001, ARCH_SET_FS, ARCH_GET_FS, ARCH_GET_GS };
enum { SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK };
enum { SS_ONSTACK = 1, SS_DISABLE = 2, MINSIGSTKSZ = 2048 };
#define SS_AUTODISARM 0x80000000u
enum { // futex operations
  FUTEX_WAIT,
  FUTEX_WAKE,
  FUTEX_REQUEUE = 3,
  FUTEX_CMP_REQUEUE = 4,
  FUTEX_WAKE_OP = 5,
  FUTEX_LOCK_PI = 6,
  FUTEX_WAIT_BITSET = 9,
  FUTEX_WAIT_REQUEUE_PI = 11,
  FUTEX_CMP_REQUEUE_PI = 12,
  FUTEX_LOCK_PI2 = 13,
  FUTEX_PRIVATE_FLAG = 128,
  FUTEX_CLOCK_REALTIME = 256,
};
enum {
  CLOCK_REALTIME,
  CLOCK_MONOTONIC,
  CLOCK_PROCESS_CPUTIME_ID,
  CLOCK_THREAD_CPUTIME_ID,
  CLOCK_MONOTONIC_RAW,
  CLOCK_REALTIME_COARSE,
  CLOCK_MONOTONIC_COARSE,
  CLOCK_BOOTTIME,
  CLOCK_REALTIME_ALARM,
  CLOCK_BOOTTIME_ALARM,
  CLOCK_TAI = 11
};
enum { TIMER_ABSTIME = 1, USER_HZ = 100 };
enum { ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF };
enum { SCHED_OTHER, SCHED_FIFO, SCHED_RR, SCHED_BATCH, SCHED_IDLE = 5 };
enum { CAP_MKNOD = 27, CAP_SYSLOG = 34, CAP_LAST = CAPS - 1 };
enum { GRND_NONBLOCK = 1, GRND_RANDOM = 2, GRND_INSECURE = 4 };

// ---- structures -----------------------------------------------------------------------------------------------------

struct timespec {
  int64_t sec, nsec;
};
struct timeval {
  int64_t sec, usec;
};
struct itimerval {
  struct timeval interval, value;
};
struct linux_stat {
  uint64_t dev, ino, nlink;
  uint32_t mode, uid, gid, pad;
  uint64_t rdev;
  int64_t size, blksize, blocks;
  struct timespec atime, mtime, ctime;
  int64_t unused[3];
};
struct statx_time {
  int64_t sec;
  uint32_t nsec;
  int32_t pad;
};
struct linux_statx {
  uint32_t mask, blksize;
  uint64_t attributes;
  uint32_t nlink, uid, gid;
  uint16_t mode, pad0;
  uint64_t ino, size, blocks, attributes_mask;
  struct statx_time atime, btime, ctime, mtime;
  uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
  uint64_t mnt_id;
  uint32_t dio_mem_align, dio_offset_align;
  uint64_t spare[12];
};
struct linux_statfs {
  uint64_t type, bsize, blocks, bfree, bavail, files, ffree;
  int32_t fsid[2];
  uint64_t namelen, frsize, flags, spare[4];
};
struct linux_dirent64 {
  uint64_t ino;
  int64_t off;
  uint16_t reclen;
  uint8_t type;
  char name[];
} __attribute__((packed));
struct linux_dirent { // of the older getdents; the type is the record's last byte
  uint64_t ino, off;
  uint16_t reclen;
  char name[];
} __attribute__((packed));
struct pollfd {
  int32_t fd;
  int16_t events, revents;
};
struct tms {
  int64_t utime, stime, cutime, cstime;
};
struct utsname {
  char sysname[65], nodename[65], release[65], version[65], machine[65], domainname[65];
};
struct linux_sysinfo {
  int64_t uptime;
  uint64_t loads[3], totalram, freeram, sharedram, bufferram, totalswap, freeswap;
  uint16_t procs, pad;
  uint32_t pad2;
  uint64_t totalhigh, freehigh;
  uint32_t mem_unit, pad3;
};
struct linux_stack { // stack_t
  uint64_t sp;
  int32_t flags, pad;
  uint64_t size;
};
struct cap_header {
  uint32_t version;
  int32_t pid;
};
struct cap_data {
  uint32_t effective, permitted, inheritable;
};
struct flock { // F_GETLK and friends
  int16_t type, whence;
  int32_t pad;
  int64_t start, len;
  int32_t pid, pad2;
};

#define ABI_SIZE(type, n)        _Static_assert(sizeof(type) == (n), #type " has Linux's size")
#define ABI_OFFSET(type, f, n)   _Static_assert(offsetof(type, f) == (n), #type "." #f " is where Linux has it")
#define ABI_VALUE(ours, linuxes) _Static_assert((int64_t)(ours) == (int64_t)(linuxes), #ours " has Linux's value")
ABI_SIZE(struct timespec, 16);
ABI_SIZE(struct timeval, 16);
ABI_SIZE(struct itimerval, 32);
ABI_SIZE(struct linux_stat, 144);
ABI_OFFSET(struct linux_stat, rdev, 40);
ABI_OFFSET(struct linux_stat, atime, 72);
ABI_SIZE(struct linux_statx, 256);
ABI_OFFSET(struct linux_statx, ino, 32);
ABI_OFFSET(struct linux_statx, atime, 64);
ABI_OFFSET(struct linux_statx, rdev_major, 128);
ABI_OFFSET(struct linux_statx, mnt_id, 144);
ABI_SIZE(struct linux_statfs, 120);
ABI_OFFSET(struct linux_statfs, namelen, 64);
ABI_OFFSET(struct linux_dirent64, name, 19);
ABI_OFFSET(struct linux_dirent, name, 18);
ABI_SIZE(struct pollfd, 8);
ABI_SIZE(struct rusage, 144);
ABI_SIZE(struct tms, 32);
ABI_SIZE(struct utsname, 390);
ABI_SIZE(struct linux_sysinfo, 112);
ABI_OFFSET(struct linux_sysinfo, procs, 80);
ABI_OFFSET(struct linux_sysinfo, mem_unit, 104);
ABI_SIZE(struct linux_stack, 24);
ABI_OFFSET(struct linux_stack, size, 16);
ABI_SIZE(struct flock, 32);
ABI_SIZE(struct iovec, 16);
ABI_SIZE(struct rlimit, 16);
ABI_SIZE(struct siginfo, 128);
ABI_OFFSET(struct siginfo, kill, 16);
ABI_SIZE(struct sigaction, 32);
ABI_OFFSET(struct sigaction, mask, 24);
ABI_SIZE(struct clone_args, 88);
ABI_VALUE(PROT_R, PROT_READ);
ABI_VALUE(PROT_W, PROT_WRITE);
ABI_VALUE(PROT_X, PROT_EXEC);
ABI_VALUE(REMAP_MAYMOVE, MREMAP_MAYMOVE);
ABI_VALUE(REMAP_FIXED, MREMAP_FIXED);
ABI_VALUE(REMAP_DONTUNMAP, MREMAP_DONTUNMAP);
ABI_VALUE(O_CREAT, 0x40);
ABI_VALUE(O_EXCL, 0x80);
ABI_VALUE(O_NOCTTY, 0x100);
ABI_VALUE(O_TRUNC, 0x200);
ABI_VALUE(O_APPEND, 0x400);
ABI_VALUE(O_NONBLOCK, 0x800);
ABI_VALUE(O_DSYNC, 0x1000);
ABI_VALUE(O_DIRECT, 0x4000);
ABI_VALUE(O_LARGEFILE, 0x8000);
ABI_VALUE(O_DIRECTORY, 0x10000);
ABI_VALUE(O_NOFOLLOW, 0x20000);
ABI_VALUE(O_NOATIME, 0x40000);
ABI_VALUE(O_CLOEXEC, 0x80000);
ABI_VALUE(O_SYNC, 0x101000);
ABI_VALUE(O_PATH, 0x200000);
ABI_VALUE(O_TMPFILE, O_TMPFILE_BIT | O_DIRECTORY);
ABI_VALUE(MAY_EXEC, 1); // access(2) hands its mode to inode_permission
ABI_VALUE(MAY_WRITE, 2);
ABI_VALUE(MAY_READ, 4);
ABI_VALUE(RLIMIT_AS, 9);
ABI_VALUE(RLIMITS, 16);
ABI_VALUE(SIGSYS, 31);
ABI_VALUE(WALL, 0x40000000);
ABI_VALUE(WNOTHREAD, 0x20000000);
ABI_VALUE(P_PGID, 2);
ABI_VALUE(CAP_SYS_CHROOT, 18);
ABI_VALUE(CAP_IPC_LOCK, 14);
ABI_VALUE(CAP_SYS_TIME, 25);
ABI_VALUE(CAP_LAST, 40);
