// args.c -- values of arguments: mostly ones that get somewhere, often ones on a border, sometimes anything.
// Typical: a[i] = argument(c, kind).
// Everything is drawn from the thread's own generator, so a seed gives the same calls as long as the results are the same.
// Memory for structures and strings is the thread's arena: it ends at a hole, and some are placed so that they reach into it.
#include "hostile.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

uint64_t
rnd(struct ctx *c)
{
  c->rng ^= c->rng << 13;
  c->rng ^= c->rng >> 7;
  c->rng ^= c->rng << 17;
  return c->rng * 0x2545f4914f6cdd1dull >> 8 | c->rng << 56;
}

uint64_t
below(struct ctx *c, uint64_t n)
{
  return (rnd(c) >> 3) % n;
}

bool
one_in(struct ctx *c, unsigned n)
{
  return below(c, n) == 0;
}

uint64_t
number(struct ctx *c)
{
  static const uint64_t border[] = {0, 1, 2, 3, 7, 8, 63, 64, 255, 256, 4095, 4096, 4097, 8192, 65535, 65536};
  uint64_t bit = 1ull << below(c, 64), r = below(c, 10);

  switch(r) {
  case 0:
  case 1:
  case 2: return border[below(c, sizeof(border) / sizeof(border[0]))];
  case 3: return bit;
  case 4: return bit - 1;
  case 5: return -bit;
  case 6: return -1ull - below(c, 3);
  case 7: return rnd(c);
  case 8: return below(c, 1 << 20);
  }
  return bit + PAGE * (below(c, 3) - 1);
}

uint64_t
wild(struct ctx *c)
{
  static const uint64_t odd[] = {0,
                                 1,
                                 0xfff,
                                 0x1000,
                                 0x7fffffffffff,
                                 0x7ffffffff000,
                                 0x7fffffffe000,
                                 0x800000000000,
                                 0xffff800000000000,
                                 0xffffffff80000000,
                                 -4096ull,
                                 -8ull,
                                 -1ull,
                                 0x8000000000000000};
  uint64_t base = PLAY + PLAY_STRETCH * below(c, PLAY_STRETCHES + 1);

  switch(below(c, 10)) {
  case 0: return odd[below(c, sizeof(odd) / sizeof(odd[0]))];
  case 1: return c->addrs[below(c, RECENT)];
  case 2: return base - below(c, 64);
  case 3: return base + PAGE * below(c, 16) - below(c, 16);
  case 4: return rnd(c) & 0x7fffffffffff;
  case 5: return base + below(c, PLAY_STRETCH);
  }
  return base + 8 * below(c, PLAY_STRETCH / 8);
}

static uint64_t
put(struct ctx *c, const void *data, size_t n)
{
  size_t at, fits;

  if(one_in(c, 10)) // flush with the hole, or reaching into it
    at = ARENA - n + (one_in(c, 3) ? below(c, n + 1) : 0);
  else
    at = c->used + n <= ARENA ? c->used : 0;
  if(at >= ARENA)
    return (uint64_t)c->arena + ARENA;
  fits = at + n > ARENA ? ARENA - at : n;
  if(at == c->used || at == 0)
    c->used = at + ((n + 7) & ~7ull);
  memcpy(c->arena + at, data, fits);
  return (uint64_t)c->arena + at;
}

uint64_t
place(struct ctx *c, const void *data, size_t n)
{
  return one_in(c, 12) ? wild(c) : put(c, data, n);
}

// ---- Names

static const char *const local[] = {"f0",    "f1", "f2",       "f3",         "d0",      "d1",   "d0/f0", "d0/f1",
                                    "d0/d1", "l0", "l1",       "loop0",      "loop1/x", "fifo", "ghost", "d0/ghost",
                                    "f0/x",  ".",  "./d0//f1", "d0/./d1/f2", "hard",    "sock", "prog"};
static const char *const machine[] = {"/proc/self/maps",
                                      "/proc/self/smaps",
                                      "/proc/self/stat",
                                      "/proc/self/status",
                                      "/proc/self/fd",
                                      "/proc/self/fd/3",
                                      "/proc/self/exe",
                                      "/proc/self/environ",
                                      "/proc/self/cmdline",
                                      "/proc/self/task",
                                      "/proc/self",
                                      "/proc/thread-self",
                                      "/proc/self/mem",
                                      "/proc/self/pagemap",
                                      "/proc/self/clear_refs",
                                      "/proc/self/oom_score_adj",
                                      "/proc/self/statm",
                                      "/proc/self/limits",
                                      "/proc/meminfo",
                                      "/proc/vmstat",
                                      "/proc/mounts",
                                      "/proc/stat",
                                      "/proc/diskstats",
                                      "/proc/trace",
                                      "/proc/sysvipc/shm",
                                      "/proc/1/maps",
                                      "/proc/99999",
                                      "/proc/sys/vm/max_map_count",
                                      "/proc",
                                      "/dev/null",
                                      "/dev/zero",
                                      "/dev/full",
                                      "/dev/random",
                                      "/dev/urandom",
                                      "/dev/tty",
                                      "/dev/console",
                                      "/dev/ttyS0",
                                      "/dev/kmsg",
                                      "/dev/stdin",
                                      "/bin/true",
                                      "/bin/sh",
                                      "/etc/passwd",
                                      "/dev/shm/hostile"};
static const char *const upward[] = {"/",
                                     "/dev",
                                     "/etc",
                                     "..",
                                     "../..",
                                     "d0/../..",
                                     "/dev/vda",
                                     "/proc/self/root",
                                     "/proc/self/cwd",
                                     "/proc/self/root/etc",
                                     "up",
                                     "root/dev"};

// Root's names lie where no call and no thread ever writes: half a name (a zero behind its second byte from an rseq area or
// another thread) would be one of the machine's. They lead into a folder where nobody else may go, or somebody could put a link
// to one of the machine's files there, for root to cut.
enum { DIRS = 2, LOCALS = sizeof(local) / sizeof(local[0]), MOUNTS = 3, NAME = 256 };
static char rooted[DIRS][LOCALS][NAME], mounts[MOUNTS][NAME];

void
names_of_root(int slot)
{
  for(int i = 0; i < LOCALS; i++) {
    snprintf(rooted[0][i], NAME, "%s/root/w%d/%s", disk_dir, slot, local[i]);
    snprintf(rooted[1][i], NAME, "%s/root/w%d/%s", mem_dir, slot, local[i]);
  }
  for(int i = 0; i < MOUNTS; i++)
    snprintf(mounts[i], NAME, "%s/root/w%d/mnt%d", mem_dir, slot, i);
}

static uint64_t
long_path(struct ctx *c)
{
  static const int lengths[] = {254, 255, 256, 257, 1023, 4094, 4095, 4096, 4097};
  char s[4100];
  int n = lengths[below(c, sizeof(lengths) / sizeof(lengths[0]))], component = one_in(c, 2) ? 2 : 200;

  for(int i = 0; i < n; i++)
    s[i] = i % component == component - 1 ? '/' : component == 2 ? '.' : 'n';
  s[n] = 0;
  return place(c, s, n + 1);
}

// In the folder of some worker.
static uint64_t
rooted_path(struct ctx *c, const char *dir)
{
  char s[NAME];
  int n = snprintf(s, sizeof(s), "%s/w%d/%s", dir,
                   one_in(c, 4) ? (int)below(c, harness.slots) : (int)(c->slot - board->slot), local[below(c, LOCALS)]);

  return place(c, s, n + 1);
}

static uint64_t
path_of_root(struct ctx *c)
{
  uint64_t r = below(c, 24), i = below(c, LOCALS);

  if(r < 6)
    return (uint64_t)rooted[r % DIRS][i];
  if(r == 6)
    return (uint64_t) "";
  if(r > 12)
    return (uint64_t)local[i];
  c->system_path = true;
  return (uint64_t)machine[below(c, sizeof(machine) / sizeof(machine[0]))];
}

uint64_t
a_path(struct ctx *c)
{
  const char *s = local[below(c, LOCALS)];
  uint64_t r = below(c, 24);

  if(c->root)
    return path_of_root(c);
  if(r < 3)
    return rooted_path(c, disk_dir);
  if(r < 6)
    return rooted_path(c, mem_dir);
  if(r == 6)
    return long_path(c);
  if(r == 7)
    return place(c, "", 1);
  if(r == 8)
    return wild(c);
  if(r < 14) {
    c->system_path = true;
    s = machine[below(c, sizeof(machine) / sizeof(machine[0]))];
  } else if(r == 14) {
    s = upward[below(c, sizeof(upward) / sizeof(upward[0]))];
  }
  return place(c, s, strlen(s) + 1);
}

static uint64_t
mount_dir(struct ctx *c)
{
  return (uint64_t)mounts[below(c, MOUNTS)]; // never anything else: root may come here
}

static uint64_t
fs_type(struct ctx *c)
{
  static const char *const types[] = {"tmpfs", "proc", "devfs", "ext3", "nothing", "/dev/zero", ""};
  const char *s = types[below(c, sizeof(types) / sizeof(types[0]))];

  return place(c, s, strlen(s) + 1);
}

static uint64_t
strings(struct ctx *c)
{
  uint64_t v[9];
  int n = below(c, 8);

  if(one_in(c, 6))
    return one_in(c, 2) ? 0 : wild(c);
  for(int i = 0; i < n; i++)
    v[i] = one_in(c, 20) ? wild(c) : one_in(c, 8) ? long_path(c) : place(c, "x=y", 4);
  v[n] = one_in(c, 30) ? wild(c) : 0;
  return place(c, v, (n + 1) * sizeof(v[0]));
}

// ---- Descriptors, processes

int
an_fd(struct ctx *c)
{
  switch(below(c, 16)) {
  case 0: return -1;
  case 1: return below(c, 64);
  case 2: return (int)number(c);
  case 3:
  case 4:
  case 5:
  case 6: return c->fds[below(c, RECENT)];
  }
  return world_nfds ? world_fds[below(c, world_nfds)] : -1;
}

int64_t
a_pid(struct ctx *c)
{
  switch(below(c, 12)) {
  case 0: return 0;
  case 1: return -1;
  case 2: return 1;
  case 3: return (int)number(c);
  case 4: return board->slot[below(c, harness.slots)].pid;
  case 5: return c->slot->lane[below(c, LANES)].tid;
  case 6: return -(int64_t)c->slot->pid;
  case 7:
  case 8: return c->pids[below(c, RECENT)];
  }
  return one_in(c, 2) ? c->slot->pid : c->lane->tid;
}

// ---- Flags and figures

static uint64_t
bits_of(struct ctx *c, const uint32_t *bits, int n)
{
  uint64_t v = 0;

  for(int i = below(c, 4); i > 0; i--)
    v |= bits[below(c, n)];
  return v;
}

static uint64_t
map_flags(struct ctx *c)
{
  static const uint32_t extra[] = {MAP_FIXED,
                                   0x100000,
                                   MAP_NORESERVE,
                                   MAP_POPULATE,
                                   MAP_LOCKED,
                                   MAP_GROWSDOWN,
                                   MAP_STACK,
                                   MAP_NONBLOCK,
                                   0x40 /* MAP_32BIT */,
                                   MAP_DENYWRITE,
                                   0x40000 /* MAP_HUGETLB */,
                                   0x80000 /* MAP_SYNC */};

  if(one_in(c, 12))
    return number(c);
  return (one_in(c, 8) ? 3 : 1 + below(c, 2)) | (one_in(c, 3) ? 0 : MAP_ANONYMOUS) |
         bits_of(c, extra, sizeof(extra) / sizeof(extra[0]));
}

static uint64_t
open_flags(struct ctx *c)
{
  static const uint32_t extra[] = {O_CREAT,   O_CREAT, O_EXCL,   O_TRUNC, O_APPEND, O_NONBLOCK, O_DIRECTORY, O_NOFOLLOW,
                                   O_CLOEXEC, O_PATH,  O_DIRECT, O_SYNC,  O_NOCTTY, 020200000 /* O_TMPFILE */};

  if(one_in(c, 16))
    return number(c);
  return below(c, 4) | bits_of(c, extra, sizeof(extra) / sizeof(extra[0])) | (one_in(c, 4) ? 0 : O_NONBLOCK);
}

static uint64_t
mode(struct ctx *c)
{
  static const uint32_t types[] = {0, 0, 0, 0010000, 0100000, 0140000, 0020000, 0060000, 0040000};

  if(one_in(c, 16))
    return number(c);
  return types[below(c, c->root ? 6 : 9)] | (one_in(c, 2) ? 0777 : below(c, 010000));
}

static uint64_t
address(struct ctx *c)
{
  uint64_t at = PLAY + PLAY_STRETCH * below(c, PLAY_STRETCHES) + PAGE * below(c, 16);

  switch(below(c, 10)) {
  case 0: return wild(c);
  case 1: return wild(c) & -(uint64_t)PAGE;
  case 2: return 0;
  case 3:
  case 4: return c->addrs[below(c, RECENT)];
  }
  return at;
}

static uint64_t
length(struct ctx *c)
{
  if(one_in(c, 10))
    return number(c);
  if(one_in(c, 20))
    return 1ull << (12 + below(c, 35));
  return PAGE * (1 + below(c, one_in(c, 8) ? 600 : 24)) + (one_in(c, 4) ? below(c, PAGE) : 0);
}

static uint64_t
size(struct ctx *c)
{
  if(one_in(c, 10))
    return number(c);
  return below(c, one_in(c, 4) ? 70000 : 600);
}

static uint64_t
offset(struct ctx *c)
{
  if(one_in(c, 10))
    return number(c);
  return one_in(c, 2) ? PAGE * below(c, 64) : below(c, 1 << 18);
}

static uint64_t
word(struct ctx *c) // few of them, so that threads and processes meet
{
  if(one_in(c, 12))
    return wild(c);
  return PLAY + PLAY_STRETCH * below(c, PLAY_STRETCHES) + 4 * below(c, 2);
}

static uint64_t
user_id(struct ctx *c)
{
  if(one_in(c, 4))
    return number(c);
  return one_in(c, 4) ? -1 : one_in(c, 8) ? 0 : 1000 + (c->slot - board->slot);
}

static uint64_t
by_address(struct ctx *c, enum kind kind)
{
  switch(kind) {
  case PATH: return a_path(c);
  case STRINGS: return strings(c);
  case ADDR: return address(c);
  case WORD: return word(c);
  case MNTDIR: return mount_dir(c);
  case FSTYPE: return fs_type(c);
  case DATA:
  case OUT: return one_in(c, 3) ? (uint64_t)c->arena + below(c, ARENA) : wild(c);
  default: return a_struct(c, kind);
  }
}

uint64_t
argument(struct ctx *c, enum kind kind)
{
  if(kind != MNTDIR && kind != PATH && one_in(c, 64)) // no root may get at the machine's files this way
    return one_in(c, 2) ? number(c) : wild(c);
  if(kind >= FIRST_SET)
    return from_set(c, kind);
  switch(kind) {
  case FD: return an_fd(c);
  case ATFD: return one_in(c, 2) ? AT_FDCWD : an_fd(c);
  case DEC:
  case HEX: return one_in(c, 2) ? number(c) : below(c, 16);
  case OCT: return mode(c);
  case PROT: return one_in(c, 16) ? number(c) : below(c, 8);
  case MAPFLAGS: return map_flags(c);
  case OPENFLAGS: return open_flags(c);
  case ATFLAGS: return one_in(c, 8) ? number(c) : one_in(c, 2) ? 0 : 0x100ull << below(c, 6);
  case SIGNO: return one_in(c, 8) ? number(c) : below(c, 66);
  case LEN: return length(c);
  case SIZE: return size(c);
  case OFF: return offset(c);
  case PID: return a_pid(c);
  case UID: return user_id(c);
  case SIGSIZE: return one_in(c, 16) ? number(c) : 8;
  case IOVCNT: return one_in(c, 12) ? number(c) : one_in(c, 12) ? 1024 : below(c, 9);
  case NFDS: return one_in(c, 12) ? number(c) : below(c, 65);
  case SHMID: return one_in(c, 4) ? below(c, 8) : (uint64_t)c->shms[below(c, RECENT)];
  default: return by_address(c, kind);
  }
}
