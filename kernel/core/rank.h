// rank.h -- the lock order of docs/locks.md, asserted: a lock is taken only if its rank is above that of every lock
// held (equal only through the _nested call of its kind). Each thread, and each CPU before it has one, keeps the list.
#pragma once
#include "lib/util.h"

enum rank {
  RANK_RENAME = 5,      // sleep: one cross-directory rename at a time
  RANK_FILE_POS = 8,    // sleep: offset of an open file
  RANK_INODE = 10,      // sleep rw
  RANK_PIPE = 12,       // sleep: the one sleeping lock that is held while user memory is touched besides the two above
  RANK_ASPACE = 15,     // sleep rw
  RANK_TXN = 20,        // sleep: room in the running transaction
  RANK_COMMIT = 22,     // sleep: who commits or checkpoints a journal
  RANK_PAGE = 30,       // sleep bit: page BUSY
  RANK_MAPLOCK = 40,    // sleep
  RANK_BMAP = 45,       // sleep
  RANK_ALLOC = 46,      // sleep: bitmaps and counts of a disk's blocks and inodes
  RANK_ORPHAN = 47,     // sleep: a disk's list of inodes to be finished, and its superblock
  RANK_BUF = 48,        // sleep bit: one metadata block
  RANK_SPIN_FIRST = 49, // from here on: spin locks
  RANK_EPOLL_LINKS = 49,
  RANK_EPOLL = 50,   // held while files are asked whether they are ready
  RANK_JOURNAL = 50, // also fsctx and the strings of uname
  RANK_SYSV = 50,    // the table of shared memory segments
  RANK_TTY = 51,
  RANK_ICACHE = 52,
  RANK_DCACHE = 53,
  RANK_UNIX = 54,     // local sockets
  RANK_PROCLIST = 54, // pid table, parents, children, groups, sessions
  RANK_BCACHE = 55,
  RANK_KTIMER = 55,
  RANK_PROC = 56, // one process: signals, threads
  RANK_FDTABLE = 57,
  RANK_FUTEX = 58,
  RANK_FUTEX_PI = 59,
  RANK_SLOTS = 60,
  RANK_OBJ = 62,
  RANK_ASLIST = 63,
  RANK_SWAP = 64,
  RANK_DIRTY = 65, // the list of objects with dirty pages
  RANK_LRU = 66,
  RANK_KMEM = 68,
  RANK_FRAME = 70,
  RANK_DEV = 76, // a device's queue
  RANK_TIMERFD = 77,
  RANK_WAITQ = 80,
  RANK_EPOLL_READY = 81,
  RANK_RQ = 82,
  RANK_TIMERS = 84,
  RANK_CONSOLE = 90,
};

enum { HELD_MAX = 16 };
struct held { // the locks one thread holds, in the order taken
  int n;
  struct {
    const void *lock;
    const char *name;
    int rank;
  } e[HELD_MAX];
};

enum rank_how { RANK_STRICT, RANK_NESTED, RANK_TRIED };

// Without DEBUG nothing is kept: the checks are empty and rank_holds, which is for assertions only, is true.
#if defined(DEBUG) && !defined(NO_RANK_CHECK)
#define RANK_CHECK 1
// Note that `lock` is about to be taken / was given back. Panics on an inversion and on a lock taken twice. May be
// called with any lock held. Rank 0 has no place in the order, but is on the list.
void rank_acquire(const void *lock, const char *name, int rank, enum rank_how how);
void rank_release(const void *lock);
bool rank_holds(const void *lock);
// Panics if a spin lock is held or interrupts are off on purpose: the caller is about to sleep.
void assert_may_sleep(void);
// Panics if any lock of rank `rank` is held (I6: RANK_ASPACE before disk, memory, BUSY or a transaction).
void assert_not_held_rank(int rank);
#else
#define RANK_CHECK                          0
#define rank_acquire(lock, name, rank, how) ((void)(how))
#define rank_release(lock)                  ((void)0)
#define rank_holds(lock)                    true
#define assert_may_sleep()                  ((void)0)
#define assert_not_held_rank(rank)          ((void)0)
#endif
void held_print(const struct held *h); // for panic
