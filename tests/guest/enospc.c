// enospc.c -- a disk that is filled: through write, through mappings, with directories and names. Each attempt is told, what
// was written before is still there, and after deleting all space is back. Run on a disk of its own by `tests/run -s disk`.
#include "disk.h"
#include <setjmp.h>
#include <sys/statvfs.h>

enum { CHUNK = 64 * 1024, MIB = 1 << 20, ROOM_MAX = 400 };

static unsigned long
room(void) // bytes that are free
{
  struct statvfs v;

  need(statvfs(here() ? "/" : ".", &v) == 0);
  return v.f_bfree * v.f_frsize;
}

// A disk that may be filled: ours, and not too large to be.
static unsigned long
begin(void)
{
  unsigned long n;

  only_here();
  sync();
  n = room();
  if(n > ROOM_MAX * (unsigned long)MIB)
    skip("the disk is large: filling it takes too long");
  return n;
}

// Freed blocks may be used again once the transaction that freed them has committed.
static void
all_is_back(unsigned long before)
{
  sync();
  expect_eq(room(), before);
}

TEST_TIMED(filled_by_write, 200)
{
  static char buf[CHUNK];
  unsigned long before = begin(), total = 0;
  int fd = disk_file();
  ssize_t n;

  while((n = write(fd, buf, CHUNK)) > 0)
    total += n;
  expect(n == -1 && errno == ENOSPC);
  expect(total > before * 9 / 10 && total <= before);
  expect_errno(write(fd, buf, CHUNK), ENOSPC);
  memset(buf, 7, CHUNK);
  expect_eq(pwrite(fd, buf, CHUNK, 0), CHUNK); // what has room can be written
  expect_eq(fsync(fd), 0);
  need(pread(fd, buf, CHUNK, total - CHUNK) == CHUNK && buf[0] == 0);
  need(close(fd) == 0);
  all_is_back(before);
}

static sigjmp_buf env;

static void
on_bus(int sig)
{
  siglongjmp(env, 1);
}

TEST_TIMED(filled_by_stores, 200)
{
  struct sigaction sa = {.sa_handler = on_bus};
  unsigned long before = begin(), size = before + 8 * MIB;
  volatile unsigned long at = 0;
  int fd = disk_file();
  char *p;

  sigaction(SIGBUS, &sa, 0);
  need(ftruncate(fd, size) == 0);
  p = mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  need(p != MAP_FAILED);
  if(sigsetjmp(env, 1) == 0)
    for(; at < size; at += PAGE)
      p[at] = at / PAGE + 1;
  expect(at > before * 9 / 10 && at < size); // SIGBUS at once, not something lost later
  if(sigsetjmp(env, 1) == 0) {
    p[at] = 1;
    expect(!"a signal");
  }
  expect_eq(p[at], 0); // a hole can be read
  p[0] = 99;           // what has room can be changed
  expect_eq(msync(p, size, MS_SYNC), 0);
  need(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
  for(unsigned long i = PAGE; i < at; i += PAGE)
    if(p[i] != (char)(i / PAGE + 1)) {
      expect_eq(p[i], (char)(i / PAGE + 1));
      break;
    }
  need(munmap(p, size) == 0 && close(fd) == 0);
  all_is_back(before);
}

static void
name_of(char *name, int i)
{
  sprintf(name, "/enospc/%0*d", i % 2 ? 200 : 9, i);
}

// Directories take a block each; when there is none, both say so.
TEST_TIMED(filled_by_directories, 200)
{
  enum { FEW = 4 * MIB };
  unsigned long before = begin();
  static char buf[CHUNK];
  int fd = disk_file(), n = 0, err;
  char name[256];

  need(mkdir("/enospc", 0755) == 0);
  while(room() > FEW && write(fd, buf, CHUNK) == CHUNK)
    ;
  for(name_of(name, n); mkdir(name, 0755) == 0; name_of(name, n))
    n++;
  err = errno;
  expect_eq(err, ENOSPC);
  expect(n > 100);
  while(write(fd, buf, PAGE) > 0)
    ;
  expect_eq(errno, ENOSPC);
  for(int i = 0; i < n; i++) {
    name_of(name, i);
    if(rmdir(name) != 0) {
      expect(!"rmdir");
      break;
    }
  }
  need(rmdir("/enospc") == 0);
  need(close(fd) == 0);
  all_is_back(before);
}

// Many at once; nobody gets what is another's.
TEST_TIMED(filled_by_many_at_once, 200)
{
  enum { WRITERS = 4 };
  unsigned long before = begin();
  int status;

  fflush(0);
  for(int w = 0; w < WRITERS; w++)
    if(fork() == 0) {
      static unsigned buf[CHUNK / 4];
      int fd = disk_file();
      unsigned n = 0;

      for(;; n++) {
        for(int k = 0; k < CHUNK / 4; k++)
          buf[k] = n * WRITERS + w;
        if(write(fd, buf, CHUNK) != CHUNK)
          break;
      }
      expect(n > 0);
      for(unsigned i = 0; i < n; i++) {
        need(pread(fd, buf, CHUNK, (off_t)i * CHUNK) == CHUNK);
        if(buf[0] != i * WRITERS + w || buf[CHUNK / 4 - 1] != i * WRITERS + w)
          expect(!"another's data");
      }
      expect_eq(fsync(fd), 0);
      _exit(t_failures != 0);
    }
  for(int w = 0; w < WRITERS; w++) {
    need(wait(&status) > 0);
    expect_eq(status, 0);
  }
  all_is_back(before);
}
