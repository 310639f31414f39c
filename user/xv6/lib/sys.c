// sys.c -- xv6's system calls over Linux's: what they take, what they return, and what they leave to the caller.
// Errors are -1 and nothing more. A bad pointer is an error and no fault, as in xv6: what the library itself would
// read or write of the program's memory, it has the kernel look at first.
#include "linux.h"
#include "user.h"
#include "stat.h"
#include "fs.h"
#include "fcntl.h"
#include "param.h"
#include "mmu.h"
#include "memlayout.h"

enum { MODE = 0777 };                  // of what is made: there are no rights in xv6
enum { TICKS = 100, TICK = 10000000 }; // in a second; its nanoseconds
enum { SIG_DEFAULT, SIG_IGNORED, SA_SIGINFO = 4, SA_RESTORER = 0x4000000 };

char **__environ;
static int children; // that were not waited for

int main(int argc, char **argv);

void
__signal(int sig, void *handler)
{
  struct {
    void *handler;
    ulong flags;
    void (*restorer)(void);
    ulong mask;
  } sa = {handler, SA_SIGINFO | SA_RESTORER, __sigreturn, 0};

  __call(LINUX_SIGACTION, sig, &sa, 0, sizeof(sa.mask));
}

void
__start(long *stack)
{
  int argc = *stack;
  char **argv = (char **)(stack + 1);

  __environ = argv + argc + 1;
  __signal(LINUX_SIGPIPE, (void *)SIG_IGNORED); // to write into a pipe that nobody reads is an error, not the end
  main(argc, argv);
  exit(); // xv6 has no exit status
}

// May n bytes be written at p? They are gone then.
static int
writable(void *p, int n)
{
  return __call(LINUX_GETRANDOM, p, __touch(p, n), LINUX_INSECURE) == n; // which never waits
}

// ---- processes

int
fork(void)
{
  int pid;

  if(children >= NPROC - 3) // init, the shell and this one have theirs
    return -1;
  pid = result(__call(LINUX_FORK));
  if(pid == 0)
    children = 0;
  else if(pid > 0)
    children++;
  return pid;
}

int
exit(void)
{
  for(;;)
    __call(LINUX_EXIT_GROUP, 0);
}

int
wait(void)
{
  long pid;

  do
    pid = __call(LINUX_WAIT4, -1l, 0, 0, 0);
  while(pid == -LINUX_EINTR);
  if(pid > 0 && children > 0)
    children--;
  return result(pid);
}

int
kill(int pid)
{
  return pid > 0 ? result(__call(LINUX_KILL, (long)pid, LINUX_SIGKILL)) : -1;
}

// Bytes that argv takes on xv6's stack, which is one page; more than that if it cannot be read.
static int
argsize(char **argv)
{
  int argc, size = 0;

  for(argc = 0; size <= PGSIZE; argc++) {
    if(argc >= MAXARG || __call(LINUX_ACCESS, &argv[argc], 0) == -LINUX_EFAULT)
      return PGSIZE + 1;
    if(argv[argc] == 0)
      break;
    long r = __call(LINUX_ACCESS, argv[argc], 0);
    if(r == -LINUX_EFAULT || r == -LINUX_ENAMETOOLONG)
      return PGSIZE + 1;
    size += (strlen(argv[argc]) + 1 + 3) & ~3;
  }
  return size + (3 + argc + 1) * 4; // the pointers, a return address, argc and argv: 4 bytes each
}

int
exec(char *path, char **argv)
{
  char buf[PATHMAX];

  if(argsize(argv) > PGSIZE || !__path(path, buf))
    return -1;
  __signal(LINUX_SIGPIPE, (void *)SIG_DEFAULT); // the program may be one of Linux's
  __call(LINUX_EXECVE, buf, argv, __environ);
  __signal(LINUX_SIGPIPE, (void *)SIG_IGNORED);
  return -1;
}

int
sleep(int ticks)
{
  long t[2] = {ticks / TICKS, ticks % TICKS * TICK}; // seconds, nanoseconds

  while(ticks > 0 && __call(LINUX_NANOSLEEP, t, t) == -LINUX_EINTR)
    ;
  return 0;
}

int
uptime(void)
{
  long t[2];

  __call(LINUX_CLOCK_GETTIME, LINUX_MONOTONIC, t);
  return t[0] * TICKS + t[1] / TICK;
}

// ---- memory

// Is memory nearly used up? The kernel tells by text: the first line there with an A is MemAvailable's.
static int
short_of_memory(void)
{
  enum { LEAST = 16384 }; // KiB
  char text[256], *s;
  int fd = __call(LINUX_OPEN, "/proc/meminfo", 0), n = read(fd, text, sizeof(text) - 1);

  close(fd);
  text[n < 0 ? 0 : n] = 0;
  if((s = strchr(text, 'A')) == 0)
    return 0;
  while(*s && (*s < '0' || *s > '9'))
    s++;
  return atoi(s) < LEAST;
}

// The heap begins behind the program, as in xv6, and grows without taking memory: a page comes when it is touched. A
// program that goes on until it gets no more is told so before it is ended for want of memory: there is a look at every 64 KiB.
char *
sbrk(int n)
{
  enum { LOOK = 16 };
  extern char _end[]; // of the program
  static ulong top;
  ulong start = PGROUNDUP((ulong)_end), old = top ? top : start, new = old + n;
  ulong lo = PGROUNDUP(old), hi = PGROUNDUP(new);
  int look = n > 0 && (old ^ new) >> LOOK;

  if(new < start || new > KERNBASE || (look && short_of_memory()))
    return (char *)-1;
  if(hi > lo && __call(LINUX_MMAP, lo, hi - lo, LINUX_READ_WRITE, LINUX_ANONYMOUS | LINUX_EXACT, -1l, 0l) < 0)
    return (char *)-1;
  if(hi < lo)
    __call(LINUX_MUNMAP, hi, lo - hi);
  top = new;
  return (char *)old;
}

// ---- files

static int
on_path(long call, const char *path, long a, long b)
{
  char buf[PATHMAX];

  return __path(path, buf) ? result(__call(call, buf, a, b)) : -1;
}

int
open(const char *path, int how)
{
  int flags = (how & O_RDWR ? O_RDWR : how & O_WRONLY) | (how & O_CREATE ? LINUX_O_CREAT : 0) | LINUX_O_NOCTTY;
  int fd = on_path(LINUX_OPEN, path, flags, MODE);
  char buf[PATHMAX];

  // The console is a file where init has made one; elsewhere it is the one that everybody has.
  if(fd < 0 && __path(path, buf) && strcmp(path + (path[0] == '/'), "console") == 0)
    fd = result(__call(LINUX_OPEN, "/dev/console", O_RDWR | LINUX_O_NOCTTY));
  return fd;
}

// The next entry of a directory. It is the same to whom fd was given by fork or dup, as nothing is kept here.
static int
entry(int fd, struct dirent *de)
{
  union {
    struct linux_dirent d;
    char room[512];
  } u;
  int n = __call(LINUX_GETDENTS, (long)fd, &u, sizeof(u));

  if(n <= 0)
    return n;
  __call(LINUX_LSEEK, (long)fd, u.d.next, 0);
  de->inum = u.d.ino;
  if(de->inum == 0) // that would be an entry without a file
    de->inum = 1;
  for(n = 0; n < DIRSIZ && u.d.name[n]; n++)
    de->name[n] = u.d.name[n];
  memset(de->name + n, 0, DIRSIZ - n);
  return sizeof(*de);
}

static int
entries(int fd, char *buf, int n)
{
  struct dirent de;
  int done, got = 0;

  for(done = 0; n - done >= (int)sizeof(de); done += sizeof(de)) {
    if(!writable(buf + done, sizeof(de)))
      return -1;
    if((got = entry(fd, &de)) <= 0)
      break;
    memmove(buf + done, &de, sizeof(de));
  }
  return done > 0 || got == 0 ? done : -1;
}

int
read(int fd, void *buf, int n)
{
  long r = n < 0 ? -1 : __call(LINUX_READ, (long)fd, buf, __touch(buf, n));

  // Where a directory ends, its position may be so large that the kernel dislikes that first.
  return r == -LINUX_EISDIR || r == -LINUX_EINVAL ? entries(fd, buf, n) : result(r);
}

int
write(int fd, const void *buf, int n)
{
  return n < 0 ? -1 : result(__call(LINUX_WRITE, (long)fd, buf, __touch(buf, n)));
}

int
fstat(int fd, struct stat *st)
{
  struct linux_stat s;
  uint format;

  if(__call(LINUX_FSTAT, (long)fd, &s) < 0 || !writable(st, sizeof(*st)))
    return -1;
  format = s.mode & LINUX_IFMT;
  if(format == LINUX_IFIFO) // a pipe is no file
    return -1;
  st->type = format == LINUX_IFDIR ? T_DIR : format == LINUX_IFREG ? T_FILE : T_DEV;
  st->dev = s.dev;
  st->ino = s.ino;
  st->nlink = s.nlink;
  st->size = s.size > 0xffffffff ? 0xffffffff : s.size;
  return 0;
}

int
mkdir(const char *path)
{
  return on_path(LINUX_MKDIR, path, MODE, 0);
}

// Device 1 is xv6's console.
int
mknod(const char *path, short major, short minor)
{
  enum { CONSOLE = 1, LINUX_CONSOLE = 5 << 8 | 1 };

  return on_path(LINUX_MKNOD, path, LINUX_IFCHR | MODE,
                 major == CONSOLE ? LINUX_CONSOLE : (uchar)major << 8 | (uchar)minor);
}

int
link(const char *old, const char *new)
{
  char buf[PATHMAX];

  return __path(new, buf) ? on_path(LINUX_LINK, old, (long)buf, 0) : -1;
}

// A directory goes too, if it is empty.
int
unlink(const char *path)
{
  char buf[PATHMAX];
  long r;

  if(!__path(path, buf))
    return -1;
  r = __call(LINUX_UNLINK, buf);
  if(r == -LINUX_EISDIR)
    r = __call(LINUX_RMDIR, buf);
  return result(r);
}

int
chdir(const char *path)
{
  return on_path(LINUX_CHDIR, path, 0, 0);
}
