// world.c -- what a worker finds when it begins: files of every kind, descriptors of every kind, memory mapped in every way.
// Typical: world_make(c) once; playground(c) again and again, as the calls tear it down.
// Whatever cannot be had (the kernel does not know it, or a limit is reached) is left out without a word.
#include "hostile.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
  FILE_BYTES = 5 * PAGE + 100,
  EVENTFD = 290,
  EPOLL = 291,
  TIMERFD = 283,
  INOTIFY = 294,
  PIDFD = 434,
  SIGNALFD = 289
};

int world_fds[FDS], world_nfds;

static void
keep(int fd)
{
  if(fd >= 0 && world_nfds < FDS)
    world_fds[world_nfds++] = fd;
}

static void
file_make(const char *name)
{
  static char bytes[FILE_BYTES];
  int fd = open(name, O_RDWR | O_CREAT | O_NONBLOCK, 0666);

  memset(bytes, name[1], sizeof(bytes));
  if(fd < 0 || write(fd, bytes, sizeof(bytes)) < 0)
    return;
  close(fd);
}

static void
program_make(void) // so that exec of a file that others write to is tried
{
  static const char script[] = "#!/bin/true\n";
  int fd = open("prog", O_RDWR | O_CREAT | O_NONBLOCK, 0777);

  if(fd >= 0 && write(fd, script, sizeof(script) - 1) > 0)
    fchmod(fd, 0777);
  if(fd >= 0)
    close(fd);
}

static void
names_make(struct ctx *c)
{
  char name[8];

  mkdir("d0", 0777);
  mkdir("d0/d1", 0777);
  mkdir("d1", 0777);
  for(int i = 0; i < 3; i++) {
    snprintf(name, sizeof(name), "f%d", i);
    file_make(name);
    snprintf(name, sizeof(name), "mnt%d", i);
    mkdir(name, 0777);
  }
  file_make("d0/f0");
  link("f1", "hard");
  program_make();
  symlink("f0", "l0");
  symlink("d0/d1", "l1");
  symlink("loop1", "loop0");
  symlink("loop0", "loop1");
  if(!c->root) {
    symlink("..", "up");
    symlink("/", "root");
  }
  mkfifo("fifo", 0666);
}

static void
folder(struct ctx *c, const char *dir)
{
  char path[256];

  snprintf(path, sizeof(path), "%s/root", dir);
  if(c->root)
    mkdir(path, 0700);
  snprintf(path, sizeof(path), "%s%s/w%d", dir, c->root ? "/root" : "", (int)(c->slot - board->slot));
  mkdir(path, 0777);
  if(chdir(path) == 0)
    names_make(c);
}

static void
open_here(void)
{
  keep(open("f0", O_RDWR | O_NONBLOCK));
  keep(open("f1", O_RDWR | O_APPEND | O_NONBLOCK));
  keep(open("f2", O_RDWR | O_DIRECT | O_NONBLOCK));
  keep(open("f0", O_RDONLY | O_NONBLOCK));
  keep(open("d0", O_RDONLY | O_DIRECTORY));
  keep(open("d0", O_PATH));
  keep(open("fifo", O_RDWR | O_NONBLOCK));
}

static void
open_of_the_machine(void)
{
  static const char *const names[] = {"/dev/null",     "/dev/zero",      "/dev/full",       "/dev/urandom",
                                      "/dev/tty",      "/dev/kmsg",      "/proc/self/maps", "/proc/self/stat",
                                      "/proc/meminfo", "/proc/self",     "/proc/uptime",    "/proc/self/smaps",
                                      "/dev/console",  "/proc/self/mem", "/proc/self/task"};

  for(size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
    keep(open(names[i], (i < 3 ? O_RDWR : O_RDONLY) | O_NONBLOCK | O_NOCTTY));
}

static void
open_without_names(void)
{
  int p[2], sealed = memfd_create("sealed", MFD_ALLOW_SEALING), plain = memfd_create("plain", 0);

  if(ftruncate(plain, FILE_BYTES) == 0)
    keep(plain);
  if(ftruncate(sealed, FILE_BYTES) == 0)
    keep(sealed);
  fcntl(sealed, F_ADD_SEALS, F_SEAL_SHRINK);
  for(int i = 0; i < 2; i++)
    if(pipe2(p, i ? O_NONBLOCK : 0) == 0) {
      keep(p[0]);
      keep(p[1]);
    }
  keep(syscall(EVENTFD, 0, O_NONBLOCK));
  keep(syscall(EPOLL, 0));
  keep(syscall(TIMERFD, 1, 0));
  keep(syscall(INOTIFY, O_NONBLOCK));
  keep(syscall(PIDFD, getpid(), 0));
  if(syscall(SYS_socketpair, 1, 1, 0, p) == 0) {
    keep(p[0]);
    keep(p[1]);
  }
}

void
world_make(struct ctx *c)
{
  int in_memory = below(c, 2);

  folder(c, in_memory ? disk_dir : mem_dir);
  open_here();
  folder(c, in_memory ? mem_dir : disk_dir);
  open_here();
  open_of_the_machine();
  open_without_names();
}

// One way of mapping each stretch; those without a line stay holes.
static const struct {
  int prot, flags, fd; // fd: an index of world_fds, -1 none
} stretches[PLAY_STRETCHES] = {
    {PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1},
    {PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1},
    {PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1},
    {PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1},
    {0, 0, 0},
    {PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1},
    {PROT_READ | PROT_WRITE, MAP_SHARED, 0},
    {PROT_READ | PROT_WRITE, MAP_PRIVATE, 0},
    {PROT_READ, MAP_SHARED, 3},
    {PROT_READ | PROT_WRITE, MAP_SHARED, 7},
    {PROT_READ | PROT_WRITE, MAP_PRIVATE, 8},
    {PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1},
    {0, 0, 0},
    {PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1},
    {PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1},
    {PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1},
};

void
playground(struct ctx *c)
{
  for(int i = 0; i < PLAY_STRETCHES; i++) {
    char *at = (char *)PLAY + i * PLAY_STRETCH;
    int fd = stretches[i].fd;

    if(stretches[i].flags == 0)
      munmap(at, PLAY_STRETCH);
    else if(fd < world_nfds)
      mmap(at, PLAY_STRETCH, stretches[i].prot, stretches[i].flags | MAP_FIXED, fd < 0 ? -1 : world_fds[fd], 0);
  }
}
