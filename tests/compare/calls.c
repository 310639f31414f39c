// calls.c -- random system calls on memory, a line for each: the call, and what came of it. The same seed makes the same
// calls on every kernel, whatever they return, so that two kernels can be compared line by line (compare.py).
// usage: calls FROM TO CALLS     for each seed from FROM to TO: so many calls, in a process of its own
// As the first process of a machine it mounts what it needs, does the same, and powers off.
//
// All memory that is looked at lies in a window of WINDOW pages; what a kernel puts elsewhere is unmapped at once.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE      4096ul
#define BASE      0x200000000ul
#define HUGE      (1ul << 50) // longer than any space
#define ANY(list) list[below(sizeof(list) / sizeof(list[0]))]
enum { WINDOW = 48, BEYOND = 64, LOOK_EVERY = 10 }; // pages, pages that a mapping may grow out of it, calls
enum { SHM, SHM_READ, SHM_WRITE, NONE, ZERO, MEMFD, PIPE, FOLDER, FILES };
static const char *const file_name[FILES] = {"shm", "shm-ro", "shm-wo", "-1", "zero", "memfd", "pipe", "folder"};
static int fds[FILES];

static uint64_t state;
static sigjmp_buf back;
static volatile int got, got_code;
static void *volatile got_at;

// ---- chance

static uint64_t
chance(void)
{
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

static unsigned
below(unsigned n)
{
  return (chance() >> 11) % n;
}

static bool
one_in(unsigned n)
{
  return below(n) == 0;
}

static uint64_t
any_address(void)
{
  uint64_t a = BASE + PAGE * below(WINDOW);

  return one_in(12) ? a + below(PAGE) : a;
}

static uint64_t
some_length(void) // that a window may hold
{
  switch(below(12)) {
  case 0: return 0;
  case 1: return below(3 * PAGE) + 1;
  default: return PAGE * (1 + below(10));
  }
}

static uint64_t
any_length(void)
{
  switch(below(24)) {
  case 0: return -PAGE;
  case 1: return HUGE;
  default: return some_length();
  }
}

static int
any_prot(void)
{
  static const int usual[] = {PROT_NONE,
                              PROT_READ,
                              PROT_WRITE,
                              PROT_READ | PROT_WRITE,
                              PROT_READ | PROT_WRITE,
                              PROT_READ | PROT_WRITE,
                              PROT_READ | PROT_EXEC,
                              PROT_READ | PROT_WRITE | PROT_EXEC,
                              PROT_READ};

  if(one_in(40))
    return 0x10 | below(8);
  if(one_in(60))
    return PROT_GROWSDOWN | PROT_READ | PROT_WRITE;
  return ANY(usual);
}

// ---- what is said

static bool
inside(uint64_t a, uint64_t n)
{
  return a >= BASE && n <= WINDOW * PAGE && a + n <= BASE + WINDOW * PAGE;
}

static long
call(long n, long a, long b, long c, long d, long e, long f)
{
  long r = syscall(n, a, b, c, d, e, f);

  return r == -1 ? -errno : r;
}

static const char *
result(long r)
{
  static char text[40];

  if(r < 0 && r > -4096)
    snprintf(text, sizeof(text), "%s", strerrorname_np ? "" : "");
  if(r < 0 && r > -4096)
    snprintf(text, sizeof(text), "errno %ld", -r);
  else if((uint64_t)r >= BASE && (uint64_t)r < BASE + (WINDOW + BEYOND) * PAGE)
    snprintf(text, sizeof(text), "+%lx", r - BASE);
  else if((uint64_t)r >= 1 << 16)
    snprintf(text, sizeof(text), "elsewhere");
  else
    snprintf(text, sizeof(text), "%ld", r);
  return text;
}
