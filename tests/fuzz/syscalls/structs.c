// structs.c -- structures that calls read, and the sets of commands and flags that they know.
// Typical: argument -> a_struct(c, IOV) -> place(...); argument -> from_set(c, S_MADV).
// The layouts are the kernel's, written out here: the C library's differ in places.
#include "hostile.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>

enum { MAX_VEC = 8, NS = 1000000000, MS = 1000000 };

static void
timespec_any(struct ctx *c, int64_t *t)
{
  static const int64_t ns[] = {0, 0, 1, 1000, MS, 5 * MS, NS - 1, NS, -1};

  t[0] = one_in(c, 8) ? (int64_t)number(c) : 0;
  t[1] = one_in(c, 16) ? (int64_t)number(c) : ns[below(c, sizeof(ns) / sizeof(ns[0]))];
}

static uint64_t
times(struct ctx *c, int n)
{
  static const int64_t special[] = {0x3fffffff, 0x3ffffffe}; // UTIME_NOW, UTIME_OMIT
  int64_t t[4];

  if(one_in(c, 5))
    return 0;
  for(int i = 0; i < n; i++) {
    timespec_any(c, t + 2 * i);
    if(n > 1 && one_in(c, 4))
      t[2 * i + 1] = special[below(c, 2)];
  }
  return place(c, t, n * 16);
}

static uint64_t
any_words(struct ctx *c)
{
  uint64_t w[32];

  if(one_in(c, 6))
    return wild(c);
  for(int i = 0; i < 32; i++) {
    uint64_t r = below(c, 8);

    w[i] = r < 3 ? 0 : r == 3 ? (uint64_t)an_fd(c) : r == 4 ? wild(c) : r == 5 ? below(c, 100) : number(c);
  }
  return place(c, w, one_in(c, 4) ? 8 * (1 + below(c, 32)) : sizeof(w));
}

static uint64_t
signal_set(struct ctx *c)
{
  uint64_t set = one_in(c, 3) ? rnd(c) : one_in(c, 3) ? -1ull : 1ull << below(c, 64);

  return one_in(c, 6) ? 0 : place(c, &set, sizeof(set));
}

static void
nothing(int sig)
{
}

__asm__(".text\nhostile_restorer: mov $15, %eax\nsyscall\nhlt\n");
extern void hostile_restorer(void);

static uint64_t
signal_action(struct ctx *c)
{
  static const uint64_t flags[] = {0,          SA_RESTART,   SA_SIGINFO,  SA_NODEFER, SA_RESETHAND,
                                   SA_ONSTACK, SA_NOCLDSTOP, SA_NOCLDWAIT};
  uint64_t a[4];

  if(one_in(c, 3))
    return 0;
  a[0] = one_in(c, 16) ? wild(c) : one_in(c, 3) ? below(c, 2) : (uint64_t)nothing;
  a[1] = 0x04000000 | flags[below(c, 8)] | flags[below(c, 8)];
  a[2] = one_in(c, 24) ? wild(c) : (uint64_t)hostile_restorer;
  a[3] = one_in(c, 2) ? 0 : rnd(c);
  return place(c, a, sizeof(a));
}

static uint64_t
signal_info(struct ctx *c)
{
  int32_t i[32] = {0};

  i[0] = below(c, 65);
  i[2] = one_in(c, 4) ? (int)number(c) : -(int)below(c, 8);
  for(int k = 3; k < 32; k++)
    i[k] = one_in(c, 2) ? 0 : (int)number(c);
  return place(c, i, sizeof(i));
}

static uint64_t
alt_stack(struct ctx *c)
{
  uint64_t s[3] = {child_stack(c) - 16384, one_in(c, 4) ? 2 : 0, 16384};

  if(one_in(c, 3))
    s[below(c, 3)] = number(c);
  return one_in(c, 6) ? 0 : place(c, s, sizeof(s));
}

static uint64_t
vector(struct ctx *c)
{
  uint64_t v[2 * MAX_VEC];
  int n = below(c, MAX_VEC + 1);

  for(int i = 0; i < n; i++) {
    v[2 * i] = argument(c, OUT);
    v[2 * i + 1] = argument(c, SIZE);
  }
  return place(c, v, n * 16);
}

static uint64_t
poll_fds(struct ctx *c)
{
  struct pollfd p[MAX_VEC];

  for(int i = 0; i < MAX_VEC; i++)
    p[i] = (struct pollfd){.fd = an_fd(c), .events = one_in(c, 2) ? POLLIN | POLLOUT : rnd(c)};
  return place(c, p, sizeof(p));
}

static uint64_t
fd_set_any(struct ctx *c)
{
  uint64_t s[16];

  if(one_in(c, 3))
    return 0;
  for(int i = 0; i < 16; i++)
    s[i] = one_in(c, 4) ? rnd(c) : 1ull << below(c, 64);
  return place(c, s, sizeof(s));
}

static uint64_t
limit(struct ctx *c)
{
  uint64_t l[2] = {number(c), one_in(c, 3) ? -1ull : number(c)};

  if(one_in(c, 3))
    l[0] = below(c, 1 << 28), l[1] = l[0] + below(c, 1 << 28);
  return one_in(c, 4) ? 0 : place(c, l, sizeof(l));
}

static uint64_t
flock_any(struct ctx *c) // also a number, as most commands of fcntl and ioctl take one
{
  struct {
    int16_t type, whence;
    int64_t start, len;
    int32_t pid;
  } f = {below(c, 4), below(c, 3), argument(c, OFF), one_in(c, 3) ? 0 : argument(c, OFF), 0};

  if(one_in(c, 3))
    return one_in(c, 2) ? number(c) : below(c, 64);
  return one_in(c, 3) ? any_words(c) : place(c, &f, sizeof(f));
}

static uint64_t
small_word(struct ctx *c, bool full)
{
  uint64_t v = full ? rnd(c) | rnd(c) : argument(c, OFF);

  return one_in(c, 4) ? 0 : place(c, &v, sizeof(v));
}

static uint64_t
clone_flags(struct ctx *c)
{
  static const uint64_t usual[] = {SIGCHLD,    SIGCHLD,         0x3d0f00,           0x4111,
                                   0x50f00,    0x100 | SIGCHLD, 0x200011,           0x1000011,
                                   0x400 | 17, 0x200 | SIGCHLD, 0x100 | 0x800 | 17, 0x8000 | 17};

  if(one_in(c, 10))
    return number(c);
  if(one_in(c, 10))
    return below(c, 64) | 1ull << (8 + below(c, 24)) | 1ull << (8 + below(c, 24));
  return usual[below(c, sizeof(usual) / sizeof(usual[0]))] & ~(c->depth ? 0x4000ull : 0);
}

static uint64_t
clone3_args(struct ctx *c)
{
  uint64_t a[11] = {clone_flags(c) & ~0xffull,
                    wild(c),
                    argument(c, OUTINT),
                    argument(c, OUTINT),
                    one_in(c, 8) ? number(c) : SIGCHLD,
                    0,
                    0,
                    one_in(c, 8) ? number(c) : 0};

  if(a[0] & 0x100 || one_in(c, 8)) {
    a[6] = 16384;
    a[5] = child_stack(c) - a[6];
  }
  if(one_in(c, 10))
    a[below(c, 11)] = number(c);
  return place(c, a, one_in(c, 6) ? 8 * (1 + below(c, 11)) : 88);
}

static uint64_t
waitv(struct ctx *c)
{
  struct {
    uint64_t val, addr;
    uint32_t flags, zero;
  } w[MAX_VEC];

  for(int i = 0; i < MAX_VEC; i++) {
    w[i].val = one_in(c, 8) ? number(c) : 0;
    w[i].addr = argument(c, WORD);
    w[i].flags = one_in(c, 8) ? number(c) : one_in(c, 2) ? 2 : 130;
    w[i].zero = one_in(c, 20);
  }
  return place(c, w, sizeof(w));
}

static uint64_t
robust_list(struct ctx *c) // a head, and one entry that may lead to itself
{
  uint64_t head[6], self = (uint64_t)c->arena;

  head[0] = one_in(c, 2) ? self + 24 : wild(c);
  head[1] = one_in(c, 4) ? number(c) : 16;
  head[2] = one_in(c, 2) ? 0 : wild(c);
  head[3] = one_in(c, 2) ? self : one_in(c, 2) ? self + 24 : wild(c);
  head[4] = rnd(c);
  head[5] = c->lane->tid;
  memcpy(c->arena, head, sizeof(head));
  return one_in(c, 6) ? wild(c) : self;
}

static uint64_t
cap_head(struct ctx *c)
{
  static const uint32_t versions[] = {0x19980330, 0x20071026, 0x20080522, 0};
  uint32_t h[2] = {versions[below(c, 4)], one_in(c, 2) ? 0 : (uint32_t)a_pid(c)};

  return place(c, h, sizeof(h));
}

uint64_t
a_struct(struct ctx *c, enum kind kind)
{
  switch(kind) {
  case TIME: return times(c, 1);
  case TIMES2: return times(c, 2);
  case SIGSET: return signal_set(c);
  case SIGACT: return signal_action(c);
  case SIGINFO: return signal_info(c);
  case ALTSTACK: return alt_stack(c);
  case IOV: return vector(c);
  case POLLFDS: return poll_fds(c);
  case FDSET: return fd_set_any(c);
  case RLIMIT: return limit(c);
  case FLOCKS: return flock_any(c);
  case OFFPTR: return small_word(c, false);
  case MASK: return small_word(c, true);
  case CLONEFLAGS: return clone_flags(c);
  case CLONE3: return clone3_args(c);
  case WAITV: return waitv(c);
  case ROBUST: return robust_list(c);
  case CAPHEAD: return cap_head(c);
  case RSEQ: return one_in(c, 4) ? wild(c) : (uint64_t)c->arena + 32 * below(c, 16);
  case OUTTIME:
  case OUTINT:
  case OUTFDS: return one_in(c, 6) ? 0 : one_in(c, 4) ? wild(c) : (uint64_t)c->arena + below(c, ARENA);
  default: return any_words(c);
  }
}

// ---- Commands and flags by name of the call: what Linux knows, built here or not

#define SET(kind, ...) [kind - FIRST_SET] = {sizeof((uint32_t[]){__VA_ARGS__}) / 4, (const uint32_t[]){__VA_ARGS__}}
static const struct {
  int n;
  const uint32_t *v;
} sets[KINDS - FIRST_SET] = {
    SET(S_FCNTL, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15, 16, 36, 37, 38, 1024, 1025, 1026, 1030, 1031, 1032, 1033,
        1034, 1036),
    SET(S_IOCTL, 0x5401, 0x5402, 0x5403, 0x5404, 0x5409, 0x540a, 0x540b, 0x540c, 0x540d, 0x540e, 0x540f, 0x5410, 0x5411,
        0x5412, 0x5413, 0x5414, 0x541b, 0x5420, 0x5421, 0x5422, 0x5424, 0x5429, 0x5450, 0x5451, 0x5452, 0x802c542a,
        0x402c542b, 0x1260, 0x1261, 0x1268, 0x80081272, 0x40049409, 0xc020660b, 0x80086601, 0x40086602),
    SET(S_MADV, 0, 1, 2, 3, 4, 4, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 100, 101),
    SET(S_FUTEX, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 128, 129, 131, 132, 133, 134, 135, 136, 137, 138, 139,
        140, 141, 256 + 9, 384 + 9),
    SET(S_PRCTL, 1, 2, 3, 4, 5, 6, 7, 8, 13, 14, 15, 16, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 33, 34, 35, 36, 37, 38,
        39, 40, 41, 42, 43, 47, 53, 62, 0x53564d41, 0x59616d61),
    SET(S_ARCH, 0x1001, 0x1002, 0x1003, 0x1004, 0x1011, 0x1012, 0x2001),
    SET(S_SHMCTL, 0, 0, 1, 2, 3, 11, 12, 13, 14, 15, 256, 258),
    SET(S_SHMFLAG, 0, 0600, 01000, 01600, 03600, 01777, 010000, 020000, 040000, 0100000, 04000),
    SET(S_SHMKEY, 0, 0, 1, 2, 3, 77),
    SET(S_WHENCE, 0, 1, 2, 3, 4, 5),
    SET(S_CLOCK, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12),
    SET(S_RLIM, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16),
    SET(S_FALLOC, 0, 0, 1, 2, 3, 8, 16, 32, 64, 17),
    SET(S_MREMAP, 0, 1, 1, 3, 4, 5, 7),
    SET(S_MSYNC, 0, 1, 2, 4, 5, 6, 3),
    SET(S_MCL, 0, 1, 2, 3, 4, 5, 7),
    SET(S_WAIT, 1, 1, 3, 5, 9, 0x40000001, 0x80000001, 0x20000001, 0x1000005, 0),
    SET(S_IDTYPE, 0, 1, 2, 3, 4),
    SET(S_POLICY, 0, 1, 2, 3, 5, 6, 0x40000000),
    SET(S_MEMBAR, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
    SET(S_RENAME, 0, 1, 2, 4, 3, 6),
    SET(S_MEMFD, 0, 1, 2, 3, 4, 8, 16),
    SET(S_LOCK, 1, 2, 5, 6, 8, 4, 12, 3),
    SET(S_SMALL, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 8, 16, 24, 32, 64, 128),
    SET(S_PERSON, 0, 0xffffffff, 0x0040000, 0x0400000, 8),
    SET(S_MOUNT, 0, 0, 1, 2, 4, 8, 32, 33, 0xc0ed0000),
    SET(S_SYSLOG, 2, 3, 4, 5, 9, 10, 11),
};

uint64_t
from_set(struct ctx *c, enum kind kind)
{
  int n = sets[kind - FIRST_SET].n;
  const uint32_t *v = sets[kind - FIRST_SET].v;
  uint64_t r = below(c, 32);

  if(r == 0)
    return number(c);
  if(r == 1)
    return v[below(c, n)] | v[below(c, n)];
  if(r == 2)
    return v[below(c, n)] | 0xffffffff00000000ull; // what is above 32 bits is cut off or refused
  return v[below(c, n)];
}
