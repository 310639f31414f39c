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
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define BASE 0x200000000ul
#define LONG (1ul << 40)   // longer than any hole below what is mapped
#define HUGE (1ul << 50)   // longer than any space
#ifndef MADV_POPULATE_READ // musl is older than these
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif
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
    snprintf(text, sizeof(text), "errno %ld", -r);
  else if((uint64_t)r >= BASE && (uint64_t)r < BASE + (WINDOW + BEYOND) * PAGE)
    snprintf(text, sizeof(text), "+%lx", r - BASE);
  else if((uint64_t)r >= 1 << 16)
    snprintf(text, sizeof(text), "elsewhere");
  else
    snprintf(text, sizeof(text), "%ld", r);
  return text;
}
struct mapping { // what two kernels can say alike of one
  unsigned long lo, hi, offset, inode;
  char prot[8], device[16];
  char flags[64]; // those of VmFlags that calls here decide
  long anonymous; // KiB
};

static bool
goes_on(const struct mapping *m, const struct mapping *next)
{
  return m->hi == next->lo && m->inode == next->inode && strcmp(m->device, next->device) == 0 &&
         strcmp(m->prot, next->prot) == 0 && strcmp(m->flags, next->flags) == 0 &&
         (m->inode == 0 || m->offset + (m->hi - m->lo) == next->offset);
}

// Neighbours that differ in nothing are said as one: kernels merge at different times. next = 0: that was the last.
static void
say_mapping(const struct mapping *next)
{
  static struct mapping m;

  if(next && goes_on(&m, next)) {
    m.hi = next->hi;
    m.anonymous += next->anonymous;
    return;
  }
  if(m.hi)
    printf("  %lx-%lx %s %lx%s, %ld KiB of its own\n", m.lo - BASE, m.hi - BASE, m.prot, m.inode ? m.offset : 0,
           m.flags, m.anonymous);
  m = next ? *next : (struct mapping){0};
}

// Does a mapping begin in this line of smaps?
static bool
begins(const char *line, struct mapping *m)
{
  struct mapping at = {0};
  char path[64] = "";

  if(sscanf(line, "%lx-%lx %7s %lx %15s %lu %63s", &at.lo, &at.hi, at.prot, &at.offset, at.device, &at.inode, path) < 6)
    return false;
  if(strcmp(path, "/dev/zero") == 0) // anonymous memory by another name
    at.inode = 0;
  *m = at;
  return true;
}

static void
say_mappings(void)
{
  static const char *const known[] = {"lo", "gd", "dc", "wf", "rr", "sr", "dd", "nr"};
  FILE *f = fopen("/proc/self/smaps", "r");
  struct mapping m = {0};
  char line[400];

  while(f && fgets(line, sizeof(line), f)) {
    if(begins(line, &m) || sscanf(line, "Anonymous: %ld", &m.anonymous) == 1 || strncmp(line, "VmFlags:", 8) != 0)
      continue;
    for(unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
      if(strstr(line, known[i]))
        sprintf(m.flags + strlen(m.flags), " %s", known[i]);
    if(m.hi > BASE && m.lo < BASE + (WINDOW + BEYOND) * PAGE) // the flags come last
      say_mapping(&m);
  }
  if(f)
    fclose(f);
  say_mapping(0);
}

static void
on_signal(int n, siginfo_t *info, void *context)
{
  got = n;
  got_code = info->si_code;
  got_at = info->si_addr;
  siglongjmp(back, 1);
}

// ---- the calls

static void
unmap_elsewhere(long at, uint64_t n)
{
  if((at >= 0 || at < -4095) && !inside(at, n))
    munmap((void *)at, n);
}

static void
do_mmap(int i)
{
  static const int more[] = {MAP_NORESERVE, MAP_POPULATE, MAP_LOCKED, MAP_STACK,     MAP_DENYWRITE,      MAP_EXECUTABLE,
                             MAP_NONBLOCK,  MAP_32BIT,    0x8000000,  MAP_GROWSDOWN, MAP_FIXED_NOREPLACE};
  static const int odd[] = {MAP_SHARED_VALIDATE, 0, MAP_PRIVATE | MAP_SHARED};
  uint64_t a = any_address(), n = one_in(3) ? any_length() : some_length(), off = PAGE * below(14);
  int prot = any_prot(), file = below(FILES), flags = one_in(20) ? ANY(odd) : one_in(2) ? MAP_PRIVATE : MAP_SHARED;
  bool fixed = !one_in(5);
  long r;

  if(one_in(3))
    flags |= MAP_ANONYMOUS;
  if(one_in(20))
    off += below(PAGE);
  if(one_in(40) && (file == SHM || file == MEMFD)) // what has no length has a largest offset, or none
    off = -PAGE * (1 + below(4));
  if(one_in(4))
    flags |= ANY(more);
  if(file == ZERO) { // private, it is a file to Linux; with an offset, Linux looks behind the object that it made
    flags = (flags & ~MAP_TYPE) | MAP_SHARED;
    off = 0;
  }
  if(flags & MAP_GROWSDOWN)
    prot &= ~PROT_GROWSDOWN; // a guard gap below grows into what kernels place there
  if(n == HUGE)
    flags |= MAP_NORESERVE;
  if(fixed && !inside(a, n) && n != 0 && n <= HUGE) {
    a = BASE + PAGE * below(WINDOW);
    n = PAGE;
  }
  if(fixed)
    flags |= MAP_FIXED;
  else if(!(flags & MAP_FIXED_NOREPLACE) || !inside(a, n))
    flags &= ~MAP_FIXED_NOREPLACE, a = 0;
  r = call(SYS_mmap, a, n, prot, flags, fds[file], off);
  printf("%d mmap %lx %lx prot %x flags %x %s %lx = %s\n", i, a ? a - BASE : 0, n, prot, flags, file_name[file], off,
         result(r));
  unmap_elsewhere(r, n);
}

static void
do_munmap(int i)
{
  uint64_t a = any_address(), n = any_length();

  if(n <= HUGE && !inside(a, n))
    n = PAGE * below(2), a = BASE + PAGE * below(WINDOW);
  printf("%d munmap %lx %lx = %s\n", i, a - BASE, n, result(call(SYS_munmap, a, n, 0, 0, 0, 0)));
}

static void
do_mprotect(int i)
{
  uint64_t a = any_address(), n = one_in(8) ? any_length() : some_length();
  int prot = any_prot();

  if(n == HUGE) // it would reach the program itself
    n = PAGE;
  printf("%d mprotect %lx %lx %x = %s\n", i, a - BASE, n, prot, result(call(SYS_mprotect, a, n, prot, 0, 0, 0)));
}

static void
do_mremap(int i)
{
  static const int some[] = {0, MREMAP_MAYMOVE, MREMAP_MAYMOVE, 3, 3, 5, 7, MREMAP_FIXED, 9, 4};
  uint64_t a = any_address(), old = one_in(6) ? 0 : some_length(), n = one_in(12) ? LONG : some_length(),
           to = any_address();
  int flags = ANY(some);
  long r;

  if(flags & MREMAP_DONTUNMAP) { // lengths are compared before they are rounded, or after
    old = (old + PAGE - 1) & -PAGE;
    n = (n + PAGE - 1) & -PAGE;
  }
  if((flags & MREMAP_FIXED) && !inside(to, n)) {
    to = BASE + PAGE * below(4);
    n = PAGE * (1 + below(4));
  }
  if((flags & MREMAP_FIXED) && to <= a && a < to + n && old == 0)
    old = PAGE; // Linux unmaps the target before it looks for the source
  r = call(SYS_mremap, a, old, n, flags, to, 0);
  printf("%d mremap %lx %lx %lx flags %x %lx = %s\n", i, a - BASE, old, n, flags, to - BASE, result(r));
  unmap_elsewhere(r, n);
  if(r < 0 && r > -4096 && (flags & MREMAP_FIXED) && inside(to, n)) {
    munmap((void *)to, n); // on Linux a move that fails may have emptied its target and cut its source; here it has not
    n = (n + PAGE - 1) & -PAGE;
    if(old > n)
      munmap((void *)(a + n), old - n);
  }
}

static void
do_madvise(int i)
{
  static const int some[] = {0,  1,  2,  3,  4,  9,  10, // not MADV_FREE: Linux frees later
                             11, 16, 17, 18, 19, 20, 21, 22, 23, 24, 99, -1};
  uint64_t a = any_address(), n = some_length();
  int advice = ANY(some);

  if(advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE)
    n = PAGE; // kernels go on behind a hole, or not
  printf("%d madvise %lx %lx %d = %s\n", i, a - BASE, n, advice, result(call(SYS_madvise, a, n, advice, 0, 0, 0)));
}

static void
do_msync(int i)
{
  static const int some[] = {0, MS_ASYNC, MS_INVALIDATE, MS_SYNC, MS_SYNC | MS_ASYNC, MS_SYNC | MS_INVALIDATE, 8};
  uint64_t a = any_address(), n = some_length();
  int flags = ANY(some);

  printf("%d msync %lx %lx %d = %s\n", i, a - BASE, n, flags, result(call(SYS_msync, a, n, flags, 0, 0, 0)));
}

static void
do_mincore(int i)
{
  uint64_t a = any_address(), n = some_length();
  unsigned char vec[WINDOW];

  printf("%d mincore %lx %lx = %s\n", i, a - BASE, n, result(call(SYS_mincore, a, n, (long)vec, 0, 0, 0)));
}

static void
do_lock(int i)
{
  uint64_t a = any_address(), n = some_length();
  int how = below(3);

  if(one_in(3))
    printf("%d mlock2 %lx %lx %d = %s\n", i, a - BASE, n, how, result(call(SYS_mlock2, a, n, how, 0, 0, 0)));
  else if(how == 0)
    printf("%d mlock %lx %lx = %s\n", i, a - BASE, n, result(call(SYS_mlock, a, n, 0, 0, 0, 0)));
  else
    printf("%d munlock %lx %lx = %s\n", i, a - BASE, n, result(call(SYS_munlock, a, n, 0, 0, 0, 0)));
}

static const char *
signal_text(uint64_t a)
{
  static char text[60];

  snprintf(text, sizeof(text), "signal %d code %d %s", got, got_code, got_at == (void *)a ? "there" : "elsewhere");
  return text;
}

static void
do_store(int i)
{
  uint64_t a = BASE + PAGE * below(WINDOW) + below(PAGE);

  if(sigsetjmp(back, 1) == 0) {
    *(volatile char *)a = i;
    printf("%d store %lx\n", i, a - BASE);
  } else {
    printf("%d store %lx: %s\n", i, a - BASE, signal_text(a));
  }
}

static void
do_load(int i)
{
  uint64_t a = BASE + PAGE * below(WINDOW) + below(PAGE);

  if(sigsetjmp(back, 1) == 0) {
    int byte = *(volatile char *)a;

    printf("%d load %lx = %d\n", i, a - BASE, byte);
  } else {
    printf("%d load %lx: %s\n", i, a - BASE, signal_text(a));
  }
}

// The kernel's own loads and stores: how far they come.
static void
do_transfer(int i)
{
  uint64_t a = BASE + PAGE * below(WINDOW) + below(PAGE), n = below(3 * PAGE), off = below(12 * PAGE);
  int file = one_in(2) ? SHM : MEMFD;

  if(one_in(2))
    printf("%d pread %s %lx %lx %lx = %s\n", i, file_name[file], a - BASE, n, off,
           result(call(SYS_pread64, fds[file], a, n, off, 0, 0)));
  else
    printf("%d pwrite %s %lx %lx %lx = %s\n", i, file_name[file], a - BASE, n, off,
           result(call(SYS_pwrite64, fds[file], a, n, off, 0, 0)));
}

static void
do_length(int i)
{
  uint64_t n = PAGE * below(16) + 100 * below(2);
  int file = one_in(2) ? SHM : MEMFD;

  if(one_in(3))
    printf("%d punch %s %lx = %s\n", i, file_name[file], n,
           result(call(SYS_fallocate, fds[file], 3, n, 3 * PAGE - 50, 0, 0)));
  else
    printf("%d ftruncate %s %lx = %s\n", i, file_name[file], n, result(call(SYS_ftruncate, fds[file], n, 0, 0, 0, 0)));
}

// A child sees what its parent saw, byte for byte.
static void
do_fork(int i)
{
  static unsigned long sum; // not in a register: siglongjmp comes back
  pid_t pid;

  fflush(stdout);
  pid = fork();
  if(pid == 0) {
    sum = 0;
    for(volatile uint64_t at = 0; at < WINDOW * PAGE; at += PAGE / 4)
      if(sigsetjmp(back, 1) == 0)
        sum = sum * 31 + *(volatile char *)(BASE + at);
      else
        sum = sum * 31 + 1000 * got + got_code;
    printf("%d child %lx\n", i, sum);
    say_mappings();
    fflush(stdout);
    _exit(0);
  }
  waitpid(pid, 0, 0);
}

static const struct {
  void (*fn)(int);
  unsigned share;
} calls[] = {{do_mmap, 6},   {do_munmap, 2},   {do_mprotect, 3}, {do_mremap, 3}, {do_madvise, 2},
             {do_msync, 1},  {do_mincore, 1},  {do_lock, 1},     {do_store, 3},  {do_load, 3},
             {do_length, 1}, {do_transfer, 2}, {do_fork, 1}};
enum { CALLS = sizeof(calls) / sizeof(calls[0]), FORK_RARELY = 4 };

// ---- the program

static void
make_files(void)
{
  char name[] = "/dev/shm/callsXXXXXX";
  int ends[2] = {-1, -1};

  fds[SHM] = mkstemp(name);
  fds[SHM_READ] = open(name, O_RDONLY);
  fds[SHM_WRITE] = open(name, O_WRONLY);
  unlink(name);
  fds[NONE] = -1;
  fds[ZERO] = open("/dev/zero", O_RDWR);
  fds[MEMFD] = memfd_create("calls", MFD_ALLOW_SEALING);
  if(pipe(ends) < 0 || ftruncate(fds[SHM], 12 * PAGE + 100) < 0 || ftruncate(fds[MEMFD], 8 * PAGE) < 0 || fds[ZERO] < 0)
    perror("calls: files");
  fds[PIPE] = ends[0];
  fds[FOLDER] = open("/", O_RDONLY);
}

static void
run(unsigned long seed, int n)
{
  struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_NODEFER};
  unsigned all = 0;

  printf("@@ seed %lu\n", seed);
  state = seed * 0x9e3779b97f4a7c15ul + 1;
  for(int i = 0; i < 10; i++)
    chance();
  sigaction(SIGSEGV, &sa, 0);
  sigaction(SIGBUS, &sa, 0);
  make_files();
  for(int c = 0; c < CALLS; c++)
    all += calls[c].share;
  for(int i = 0; i < n; i++) {
    int c = 0;

    for(unsigned k = below(all); k >= calls[c].share; c++)
      k -= calls[c].share;
    if(calls[c].fn != do_fork || one_in(FORK_RARELY))
      calls[c].fn(i);
    if(i % LOOK_EVERY == LOOK_EVERY - 1)
      say_mappings();
  }
}

static void
mount_all(void)
{
  mkdir("/proc", 0755);
  mkdir("/dev", 0755);
  if(mount("proc", "/proc", "proc", 0, 0) < 0 || (mount("dev", "/dev", "devtmpfs", 0, 0) < 0 && errno != EBUSY))
    perror("calls: mount");
  mkdir("/dev/shm", 0777);
  if(mount("shm", "/dev/shm", "tmpfs", 0, 0) < 0)
    perror("calls: /dev/shm");
}

int
main(int argc, char **argv)
{
  bool first = getpid() == 1;
  unsigned long from, to;

  if(first)
    mount_all();
  if(argc != 4) {
    fprintf(stderr, "usage: calls FROM TO CALLS\n");
    return 2;
  }
  from = strtoul(argv[1], 0, 0);
  to = strtoul(argv[2], 0, 0);
  for(unsigned long seed = from; seed <= to; seed++) {
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if(pid == 0) {
      run(seed, atoi(argv[3]));
      fflush(stdout);
      _exit(0);
    }
    waitpid(pid, 0, 0);
  }
  printf("@@ end\n");
  fflush(stdout);
  if(first)
    reboot(RB_POWER_OFF);
  return 0;
}
