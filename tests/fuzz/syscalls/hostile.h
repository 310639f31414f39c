// hostile.h -- what the files of the hostile program share.
//   main.c  the harness: starts workers, ends them, looks for what they left     worker.c  one hostile process
//   calls.c which calls there are, and what is not tried     args.c, structs.c  arguments     hogs.c  eaters of everything
//   clean.c ends and removes what workers left     figures.c  what must be as before     oplog.c  what was called last
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { PAGE = 4096, SLOTS_MAX = 16, LANES = 6, CHILD_LANE = LANES - 1, LANE_OPS = 32, CALLS_MAX = 512, ARGS = 6 };

// Kinds of arguments. The first ones are those of the kernel's table; the others say more (calls.c:fine).
enum kind {
  ARG_END,
  FD,
  ATFD,
  PATH,
  DATA,
  OUT,
  DEC,
  HEX,
  OCT,
  PTR,
  PROT,
  MAPFLAGS,
  OPENFLAGS,
  ATFLAGS,
  CLONEFLAGS,
  SIGNO,
  TIME,
  OUTTIME,
  OUTINT,
  OUTFDS,
  STRINGS,
  ADDR, // where memory management is asked for: mostly on a page border
  LEN,  // and how much
  SIZE, // bytes to be moved
  OFF,
  PID,
  UID,
  WORD, // a futex
  SIGSET,
  SIGSIZE,
  SIGACT,
  SIGINFO,
  ALTSTACK,
  IOV,
  IOVCNT,
  POLLFDS,
  FDSET,
  NFDS,
  TIMES2, // two timespecs, or an itimerval
  RLIMIT,
  FLOCKS, // struct flock, or anything that fcntl and ioctl take
  MASK,   // bits of CPUs
  CLONE3,
  WAITV,
  RSEQ,
  ROBUST,
  OFFPTR, // an offset in memory
  SHMID,
  MNTDIR,
  FSTYPE,
  CAPHEAD,
  FIRST_SET,
  S_FCNTL = FIRST_SET,
  S_IOCTL,
  S_MADV,
  S_FUTEX,
  S_PRCTL,
  S_ARCH,
  S_SHMCTL,
  S_SHMFLAG,
  S_SHMKEY,
  S_WHENCE,
  S_CLOCK,
  S_RLIM,
  S_FALLOC,
  S_MREMAP,
  S_MSYNC,
  S_MCL,
  S_WAIT,
  S_IDTYPE,
  S_POLICY,
  S_MEMBAR,
  S_RENAME,
  S_MEMFD,
  S_LOCK,
  S_SMALL,
  S_PERSON,
  S_SYSLOG,
  S_MOUNT,
  KINDS
};

struct call {
  const char *name;
  uint16_t nr;
  uint8_t rare; // tried once in so many times that it is drawn
  uint8_t kind[ARGS];
};

struct op {
  uint64_t n; // the how manyth of its lane
  uint64_t a[ARGS];
  int64_t r;
  int32_t tid;
  uint16_t call;
  bool done;
};

struct lane { // what one thread does, or what all children of a process do
  volatile uint64_t beat;
  volatile int32_t tid;
  uint64_t seed;
  struct op ops[LANE_OPS];
};

struct slot { // one worker, started again when it ends
  volatile int32_t pid;
  uint32_t lives;
  uint64_t seed, born, until, moved, sum; // times in ms; `sum` of the beats when it last moved, at `moved`
  uint64_t lane_moved[LANES], lane_beat[LANES];
  bool root;
  struct lane lane[LANES];
};

struct board { // in memory that the harness and all workers share
  volatile uint64_t calls[CALLS_MAX], good[CALLS_MAX];
  volatile uint32_t odd; // results that no call may have
  struct op odd_op;
  struct slot slot[SLOTS_MAX];
};

enum { RECENT = 8, ARENA = 8 * PAGE, FDS = 48 };

struct ctx { // one thread of a worker
  uint64_t rng;
  struct lane *lane;
  struct slot *slot;
  char *arena; // ARENA bytes of its own, a hole behind them
  size_t used;
  const uint8_t *enabled; // calls that this life tries
  int depth;              // 0: the worker, then its children, and theirs
  bool root, shares;      // shares: memory with whoever made it
  bool system_path;       // the last path drawn belongs to the machine
  int fds[RECENT], pids[RECENT], shms[RECENT];
  uint64_t addrs[RECENT];
};

extern struct board *board;

// What the harness decides by, in memory of its own, of which workers have copies: from the board a worker can take pages
// away (MADV_REMOVE reaches whatever it can name).
struct harness {
  int32_t spared[8]; // processes that nobody may signal: the harness and what it hangs from
  int nspared, slots;
};
extern struct harness harness;
extern const char *disk_dir, *mem_dir; // where workers have files: on the disk, in memory

// ---- main.c
uint64_t now_ms(void);
__attribute__((format(printf, 1, 2))) void say(const char *f, ...);

// ---- calls.c
extern struct call calls[];
extern int ncalls;
void calls_init(void);
int calls_find(const char *name);                                    // -1: there is none
bool call_allowed(struct ctx *c, const struct call *k, uint64_t *a); // may change arguments

// ---- args.c
void names_of_root(int slot); // before the worker has threads
uint64_t rnd(struct ctx *c);
uint64_t below(struct ctx *c, uint64_t n);
bool one_in(struct ctx *c, unsigned n);
uint64_t number(struct ctx *c);                            // any, mostly one on some border
uint64_t wild(struct ctx *c);                              // an address of any kind, nothing put there
uint64_t place(struct ctx *c, const void *data, size_t n); // a copy of data, mostly where it can be read
uint64_t argument(struct ctx *c, enum kind kind);
uint64_t a_path(struct ctx *c);
uint64_t from_set(struct ctx *c, enum kind kind);
int an_fd(struct ctx *c);
int64_t a_pid(struct ctx *c);
// ---- structs.c
uint64_t a_struct(struct ctx *c, enum kind kind);

// ---- worker.c
enum { PLAY_STRETCH = 16 * PAGE, PLAY_STRETCHES = 16 };
#define PLAY 0x100000000ull // [PLAY, PLAY + PLAY_STRETCH * PLAY_STRETCHES) is mapped in every way there is
extern int world_fds[FDS], world_nfds;
int64_t raw(long nr, const uint64_t *a);
__attribute__((noreturn)) void worker(int slot);
void op_random(struct ctx *c);
// ---- world.c
void world_make(struct ctx *c);
void playground(struct ctx *c);
// ---- births.c
int64_t birth(struct ctx *c, const struct call *k, uint64_t *a); // fork, vfork, clone, clone3
uint64_t child_stack(struct ctx *c);
// ---- hogs.c
void hog(struct ctx *c);

// ---- oplog.c
struct op *oplog_begin(struct ctx *c, int call, const uint64_t *a);
void oplog_end(struct op *o, int64_t r);
void oplog_show(int slot);
void oplog_coverage(bool all); // which calls were tried, which ever succeeded

// ---- clean.c
bool clean_processes(int seconds); // end everything that is not spared; false: something does not die
void clean_files(void);
void clean_shm(void);
void clean_tell(const char *dir, long since); // what is there that was not when the harness began
void clean_mounts(void);
// ---- figures.c
void figures_first(void);
bool figures_check(int round); // false: something was left; says what
bool figures_end(void);
