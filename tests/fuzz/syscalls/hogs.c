// hogs.c -- lives that take as much of one thing as there is. They end with an error or by SIGKILL; others must go on.
// Typical: worker -> hog(c), which does not return. The harness ends those that have all there is and wait.
#include "hostile.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MANY = 1 << 20, STEP = 1 << 20, DEEP = 3000 };

static void
beat(struct ctx *c)
{
  c->lane->beat++;
}

static void
hold(struct ctx *c) // what was taken, until the harness ends us
{
  for(;;) {
    nanosleep(&(struct timespec){0, 20000000}, 0);
    beat(c);
  }
}

static void
forks(struct ctx *c) // each child forks too
{
  for(;;) {
    fork();
    beat(c);
  }
}

static void
memory(struct ctx *c)
{
  for(int i = 0; i < MANY; i++) {
    char *p = mmap(0, STEP, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | (i % 2 ? MAP_SHARED : MAP_PRIVATE), -1, 0);

    if(p == MAP_FAILED)
      break;
    for(size_t k = 0; k < STEP; k += PAGE)
      p[k] = 1;
    beat(c);
  }
}

static void
regions(struct ctx *c) // every other page, until there may be no more
{
  char *p = mmap(0, (size_t)MANY * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

  for(size_t i = 0; i < MANY && p != MAP_FAILED; i += 2) {
    if(mprotect(p + i * PAGE, PAGE, PROT_READ) < 0)
      break;
    beat(c);
  }
}

static void *
sleeper(void *arg)
{
  for(;;)
    pause();
  return 0;
}

static void
threads(struct ctx *c)
{
  pthread_t t;

  while(pthread_create(&t, 0, sleeper, 0) == 0)
    beat(c);
}

static void
pipes(struct ctx *c) // descriptors, and what lies in full pipes
{
  static char bytes[65536];
  int p[2];

  setrlimit(RLIMIT_NOFILE, &(struct rlimit){MANY, MANY});
  while(pipe2(p, O_NONBLOCK) == 0) {
    fcntl(p[1], 1031 /* F_SETPIPE_SZ */, MANY);
    while(write(p[1], bytes, sizeof(bytes)) > 0)
      beat(c);
  }
}

static void
fill(struct ctx *c, const char *dir)
{
  static char bytes[65536];
  char name[256];

  for(int i = 0; i < DEEP; i++) {
    int fd;

    snprintf(name, sizeof(name), "%s/hog%d.%d", dir, (int)(c->slot - board->slot), i);
    fd = open(name, O_RDWR | O_CREAT, 0600);
    if(fd < 0)
      return;
    while(write(fd, bytes, sizeof(bytes)) > 0)
      beat(c);
    close(fd);
  }
}

static void
tmpfs_full(struct ctx *c)
{
  fill(c, mem_dir);
}

static void
disk_full(struct ctx *c)
{
  fill(c, disk_dir);
}

static void
folders(struct ctx *c) // one in the other
{
  char name[256];

  snprintf(name, sizeof(name), "%s/deep%d", one_in(c, 2) ? disk_dir : mem_dir, (int)(c->slot - board->slot));
  mkdir(name, 0777);
  if(chdir(name) < 0)
    return;
  for(int i = 0; i < DEEP && mkdir("d", 0777) == 0 && chdir("d") == 0; i++)
    beat(c);
}

static void
queued(struct ctx *c) // signals that nobody takes
{
  sigset_t all;

  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, 0);
  setrlimit(RLIMIT_SIGPENDING, &(struct rlimit){MANY, MANY});
  while(sigqueue(getpid(), SIGRTMIN + 3, (union sigval){0}) == 0)
    beat(c);
}

static void
segments(struct ctx *c)
{
  for(int i = 0; i < MANY; i++) {
    long id = syscall(SYS_shmget, 0, STEP, 01600);
    char *p = id < 0 ? (char *)-1 : (char *)syscall(SYS_shmat, id, 0, 0);

    if(p == (char *)-1)
      return;
    memset(p, 1, STEP);
    beat(c);
  }
}

static void
orphans(struct ctx *c) // generations that die, each leaving one
{
  for(;;) {
    if(fork() > 0)
      _exit(0);
    beat(c);
  }
}

void
hog(struct ctx *c)
{
  static void (*const all[])(struct ctx *) = {forks,     memory,  regions, threads,  pipes,   tmpfs_full,
                                              disk_full, folders, queued,  segments, orphans, memory};

  setrlimit(RLIMIT_AS, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY});
  all[below(c, sizeof(all) / sizeof(all[0]))](c);
  hold(c);
}
