// rules.h -- what the rules_*.c programs share: touching an address without dying, tmpfs files, one's own regions.
//   char *p = file_at(temp_file("abc", 3), PAGE, PROT_READ, MAP_SHARED);
//   expect_touch(LOAD, p, 0); expect_touch(STORE, p, SIGSEGV); expect_eq(touch_code, SEGV_ACCERR);
// The numbers in a comment behind TEST(...) are ids of the rules in docs (mmap-semantics); a script reads them.
#pragma once
#include "t.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#ifndef MAP_SHARED_VALIDATE
#define MAP_SHARED_VALIDATE 3
#endif
#ifndef MAP_SYNC
#define MAP_SYNC 0x80000
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MAP_32BIT
#define MAP_32BIT 0x40
#endif
#ifndef SYS_mseal
#define SYS_mseal 462
#endif
#define RW         (PROT_READ | PROT_WRITE)
#define ANON       (MAP_PRIVATE | MAP_ANONYMOUS)
#define TASK_TOP   0x7ffffffff000ul // end of a program's addresses
#define STACK_GAP  (256ul * PAGE)
#define MAPS_LIMIT 65530 // vm.max_map_count
#define NOBODY     65534

enum touch { LOAD, STORE, RUN };

static sigjmp_buf touch_back;
static volatile int touch_sig, touch_code;
static void *volatile touch_addr;

__attribute__((unused)) static void
touch_note(int sig, siginfo_t *si, void *uc)
{
  touch_sig = sig;
  touch_code = si->si_code;
  touch_addr = si->si_addr;
  siglongjmp(touch_back, 1);
}

// Load from p, store to it (what was there, or 1 if it cannot be read), or call it: the signal it raised, 0 for none.
__attribute__((unused)) static int
touch(enum touch how, const volatile void *p)
{
  struct sigaction sa = {.sa_sigaction = touch_note, .sa_flags = SA_SIGINFO | SA_ONSTACK};

  sigaction(SIGSEGV, &sa, 0);
  sigaction(SIGBUS, &sa, 0);
  touch_sig = 0;
  if(sigsetjmp(touch_back, 1) == 0) {
    if(how == LOAD)
      (void)*(const volatile char *)p;
    else if(how == STORE)
      __asm__ volatile("lock orb $0, (%0)" : : "r"(p) : "memory", "cc");
    else
      ((void (*)(void))p)();
  }
  return touch_sig;
}

#define expect_touch(how, p, sig)                                                                                      \
  do {                                                                                                                 \
    const volatile void *p_ = (p);                                                                                     \
    int s_ = touch(how, p_);                                                                                           \
    if(s_ != (sig))                                                                                                    \
      t_fail(__FILE__, __LINE__, "%s of %s: expected signal %d, saw %d", #how, #p, sig, s_);                           \
    else if(s_ && touch_addr != p_)                                                                                    \
      t_fail(__FILE__, __LINE__, "%s of %s: si_addr %p, expected %p", #how, #p, touch_addr, p_);                       \
  } while(0)

// mmap as the kernel has it: libc checks some arguments itself.
__attribute__((unused)) static char *
raw_mmap(void *addr, size_t n, int prot, int flags, int fd, off_t off)
{
  return (char *)syscall(SYS_mmap, addr, n, prot, flags, fd, off);
}

__attribute__((unused)) static char *
map_prot(size_t n, int prot)
{
  char *p = mmap(0, n, prot, ANON | MAP_NORESERVE, -1, 0);

  need(p != MAP_FAILED);
  return p;
}

__attribute__((unused)) static char *
map_shared(size_t n)
{
  char *p = mmap(0, n, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

  need(p != MAP_FAILED);
  return p;
}

// An unlinked file on tmpfs with this content.
__attribute__((unused)) static int
temp_file(const void *content, size_t n)
{
  char name[] = "/dev/shm/rules.XXXXXX";
  int fd = mkstemp(name);

  need(fd >= 0);
  unlink(name);
  need(n == 0 || write(fd, content, n) == (ssize_t)n);
  return fd;
}

// The same, n pages: page i is full of the letter 'a' + i % 26.
__attribute__((unused)) static int
temp_pages(int n)
{
  int fd = temp_file("", 0);
  char page[PAGE];

  for(int i = 0; i < n; i++) {
    memset(page, 'a' + i % 26, PAGE);
    need(pwrite(fd, page, PAGE, (off_t)i * PAGE) == PAGE);
  }
  return fd;
}

__attribute__((unused)) static char *
file_at(int fd, size_t n, int prot, int flags)
{
  char *p = mmap(0, n, prot, flags, fd, 0);

  need(p != MAP_FAILED);
  return p;
}

__attribute__((unused)) static char
file_byte(int fd, off_t at)
{
  char c = '?';

  need(pread(fd, &c, 1, at) == 1);
  return c;
}

__attribute__((unused)) static off_t
file_size(int fd)
{
  struct stat st;

  need(fstat(fd, &st) == 0);
  return st.st_size;
}

// How many bytes of [p, p+n) are not c.
__attribute__((unused)) static size_t
differing(const char *p, size_t n, char c)
{
  size_t bad = 0;

  for(size_t i = 0; i < n; i++)
    bad += p[i] != c;
  return bad;
}

// Pages of [p, p+n) that mincore calls resident.
__attribute__((unused)) static size_t
resident(void *p, size_t n)
{
  static unsigned char vec[4096];
  size_t count = 0;

  need(n / PAGE <= sizeof(vec) && mincore(p, n, vec) == 0);
  for(size_t i = 0; i < n / PAGE; i++)
    count += vec[i] & 1;
  return count;
}

struct map_line {
  unsigned long lo, hi;
  char text[400];
};

// The first line of /proc/self/maps with a region that ends behind `from`; false: none. Allocates nothing, unlike stdio,
// whose buffer would change what is looked at.
__attribute__((unused)) static bool
maps_find(unsigned long from, struct map_line *m)
{
  static char buf[16384];
  size_t n = 0, used = 0;
  bool found = false;
  ssize_t r;
  int fd = open("/proc/self/maps", O_RDONLY);

  need(fd >= 0);
  while(!found && (r = read(fd, buf + n, sizeof(buf) - n)) > 0) {
    n += r;
    for(char *nl; !found && (nl = memchr(buf + used, '\n', n - used)); used = nl + 1 - buf) {
      *nl = 0;
      found = sscanf(buf + used, "%lx-%lx", &m->lo, &m->hi) == 2 && m->hi > from;
      if(found)
        snprintf(m->text, sizeof(m->text), "%s", buf + used);
    }
    memmove(buf, buf + used, n - used);
    n -= used;
    used = 0;
  }
  close(fd);
  return found;
}

// Regions of /proc/self/maps that overlap [p, p+n).
__attribute__((unused)) static int
regions_in(const void *p, size_t n)
{
  unsigned long at = (unsigned long)p, hi = at + n;
  struct map_line m;
  int count = 0;

  for(; at < hi && maps_find(at, &m) && m.lo < hi; at = m.hi)
    count++;
  return count;
}

// Root may lock and write anything; nobody may not.
__attribute__((unused)) static void
become_nobody(void)
{
  need(getuid() != 0 || (setgid(NOBODY) == 0 && setuid(NOBODY) == 0));
}

__attribute__((unused)) static void
set_limit(int which, rlim_t n)
{
  struct rlimit r = {n, n};

  need(setrlimit(which, &r) == 0);
}

__attribute__((unused)) static long
free_frames(void)
{
  return proc_figure("/proc/meminfo", "MemFree") / 4;
}

__attribute__((unused)) static long
milliseconds(void)
{
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
