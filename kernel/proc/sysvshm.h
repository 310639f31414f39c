// sysvshm.h -- System V shared memory as the system calls and /proc see it. Numbers are Linux's.
#pragma once
#include "mm/types.h"

enum { IPC_PRIVATE = 0, IPC_CREAT = 01000, IPC_EXCL = 02000 };
enum { SHM_RDONLY = 010000, SHM_RND = 020000, SHM_REMAP = 040000, SHM_EXEC = 0100000 }; // of shmat
enum { SHM_HUGETLB = 04000, SHM_NORESERVE = 010000 };                                   // of shmget
enum { SHM_DEST = 01000, SHM_LOCKED = 02000, SHM_SHIFT = 15 }; // in mode; an id is sequence << SHM_SHIFT | index

struct shm_state { // of one segment
  int id, key;
  uint32_t uid, gid, cuid, cgid;
  unsigned mode, seq;
  uint64_t size;
  int64_t atime, dtime, ctime; // seconds
  int cpid, lpid;
  uint64_t nattch, rss; // rss in pages
};
struct shm_totals {
  int used, last; // segments; the highest index in use, or -1
  uint64_t pages, rss;
};
enum shm_name { SHM_BY_ID, SHM_BY_INDEX, SHM_BY_INDEX_ANY }; // _ANY: whatever its permissions

int64_t sysvshm_get(int key, uint64_t size, int flags);                // id, or -E
int64_t sysvshm_attach(int id, vaddr_t addr, int flags);               // where, or -E
int sysvshm_detach(vaddr_t addr);                                      // -EINVAL
int64_t sysvshm_state(int n, enum shm_name how, struct shm_state *st); // id, or -E
int sysvshm_set(int id, uint32_t uid, uint32_t gid, unsigned mode);
int sysvshm_remove(int id);
int sysvshm_lock(int id, bool on);
struct shm_totals sysvshm_totals(void);
extern uint64_t shm_max_bytes, shm_max_pages, shm_max_ids; // (a) shmmax, shmall, shmmni
enum { SHM_IDS_MOST = 1 << SHM_SHIFT };                    // of shmmni
void sysvshm_init(void);
