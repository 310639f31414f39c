// workload.c -- the crash test inside the guest: it is the first process, and runs scenes.c in several processes.
//
// What to do comes from the kernel's command line, crash=WORD:
//   run,SEED,PROCS,OPS,QUOTA[,FIRST]  PROCS processes, numbered from FIRST, of OPS operations and QUOTA bytes each, over /w;
//                                     facts go to the raw disk /dev/vdb
//   list[,DIR]                        one line for each file: what manifest.h says
//   nothing                           end at once: the disk was mounted and is unmounted
// It ends with a line "crash: done ..." on the console, and status 0 if every operation did what it should.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "manifest.h"
#include "scenes.h"

enum { FACT_ROOM = 64 }; // sectors of the facts' disk that one process goes round in

static int facts_fd = -1;
static _Alignas(4096) unsigned char facts_buf[FACT_BYTES];

static int64_t
errno_of(int64_t n)
{
  return n < 0 ? -errno : n;
}

static int
fd_of(void *file)
{
  return (int)(intptr_t)file - 1;
}

static void
guest_fact(void *ctx, const struct fact *f)
{
  off_t at = ((off_t)f->proc * FACT_ROOM + f->op % FACT_ROOM) * FACT_BYTES;

  memset(facts_buf, 0, sizeof(facts_buf));
  memcpy(facts_buf, f, sizeof(*f));
  if(pwrite(facts_fd, facts_buf, FACT_BYTES, at) != FACT_BYTES) {
    fprintf(stderr, "crash: cannot write a fact: %s\n", strerror(errno));
    _exit(3);
  }
}

static int
guest_create(void *ctx, const char *path, void **file, uint64_t *ino)
{
  int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0644);
  struct stat st;

  if(fd < 0 || fstat(fd, &st) < 0)
    return -errno;
  *file = (void *)(intptr_t)(fd + 1);
  *ino = st.st_ino;
  return 0;
}

static int
guest_open(void *ctx, const char *path, void **file)
{
  int fd = open(path, O_RDWR);

  if(fd < 0) {
    fprintf(stderr, "crash: open %s: %s\n", path, strerror(errno));
    return -errno;
  }
  *file = (void *)(intptr_t)(fd + 1);
  return 0;
}

static void
guest_close(void *ctx, void *file)
{
  close(fd_of(file));
}

// With other flags it goes through a descriptor of its own, which is opened by the name that /proc has for the first.
static int64_t
guest_write(void *ctx, void *file, const void *p, size_t n, uint64_t off, unsigned flags)
{
  int how = (flags & WRITE_SYNC ? O_SYNC : flags & WRITE_DSYNC ? O_DSYNC : 0) | (flags & WRITE_APPEND ? O_APPEND : 0);
  char name[64];
  int64_t done;
  int fd;

  if(how == 0)
    return errno_of(pwrite(fd_of(file), p, n, off));
  snprintf(name, sizeof(name), "/proc/self/fd/%d", fd_of(file));
  if((fd = open(name, O_WRONLY | how)) < 0)
    return -errno;
  done = errno_of(flags & WRITE_APPEND ? write(fd, p, n) : pwrite(fd, p, n, off));
  close(fd);
  return done;
}

static int
guest_fsync(void *ctx, void *file, int data_only)
{
  return errno_of(data_only ? fdatasync(fd_of(file)) : fsync(fd_of(file)));
}

static uint64_t
guest_mtime(void *ctx, void *file)
{
  struct stat st;

  if(fstat(fd_of(file), &st) < 0)
    return 0;
  return (uint64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
}

static int
guest_truncate(void *ctx, void *file, uint64_t size)
{
  return errno_of(ftruncate(fd_of(file), size));
}

static int
guest_fallocate(void *ctx, void *file, int punch, uint64_t off, uint64_t len)
{
  return errno_of(fallocate(fd_of(file), punch ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE : 0, off, len));
}

static int
guest_map(void *ctx, void *file, uint64_t len, void **map)
{
  *map = mmap(0, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd_of(file), 0);
  return *map == MAP_FAILED ? -errno : 0;
}

static void
guest_unmap(void *ctx, void *map, uint64_t len)
{
  munmap(map, len);
}

// A store into a hole for which the disk has no room is a SIGBUS at once.
static sigjmp_buf store_failed;

static void
on_sigbus(int sig)
{
  siglongjmp(store_failed, 1);
}

static void __attribute__((noinline)) // what a jump out of it may spoil stays in there
store_words(unsigned char *to, const unsigned char *from, size_t n)
{
  while(n > 0) {
    if((uintptr_t)to % WORD == 0 && n >= WORD) {
      uint64_t word;

      memcpy(&word, from, WORD);
      *(volatile uint64_t *)to = word;
      to += WORD, from += WORD, n -= WORD;
    } else {
      *(volatile unsigned char *)to++ = *from++;
      n--;
    }
  }
}

static int
guest_store(void *ctx, void *map, const void *p, size_t n, uint64_t off)
{
  if(sigsetjmp(store_failed, 1))
    return -ENOSPC;
  store_words((unsigned char *)map + off, p, n);
  return 0;
}

static int
guest_msync(void *ctx, void *map, uint64_t off, uint64_t len)
{
  return errno_of(msync((char *)map + off, len, MS_SYNC));
}

static int
guest_dirsync(void *ctx, const char *dir)
{
  int fd = open(dir, O_RDONLY | O_DIRECTORY), err;

  if(fd < 0)
    return -errno;
  err = errno_of(fsync(fd));
  close(fd);
  return err;
}

static int
guest_sync(void *ctx)
{
  sync();
  return 0;
}

static int
guest_rename(void *ctx, const char *from, const char *to)
{
  return errno_of(rename(from, to));
}

static int
guest_link(void *ctx, const char *from, const char *to)
{
  return errno_of(link(from, to));
}

static int
guest_unlink(void *ctx, const char *path)
{
  return errno_of(unlink(path));
}

static int
guest_symlink(void *ctx, const char *text, const char *path)
{
  return errno_of(symlink(text, path));
}

static int
guest_mkdir(void *ctx, const char *path)
{
  return errno_of(mkdir(path, 0755));
}

static int
guest_rmdir(void *ctx, const char *path)
{
  return errno_of(rmdir(path));
}

static const struct scene_ops guest_ops = {
    .fact = guest_fact,
    .create = guest_create,
    .open = guest_open,
    .close = guest_close,
    .write = guest_write,
    .fsync = guest_fsync,
    .mtime = guest_mtime,
    .truncate = guest_truncate,
    .fallocate = guest_fallocate,
    .map = guest_map,
    .unmap = guest_unmap,
    .store = guest_store,
    .msync = guest_msync,
    .dirsync = guest_dirsync,
    .sync = guest_sync,
    .rename = guest_rename,
    .link = guest_link,
    .unlink = guest_unlink,
    .symlink = guest_symlink,
    .mkdir = guest_mkdir,
    .rmdir = guest_rmdir,
};

static int
process(uint32_t proc, uint64_t seed, unsigned ops, uint64_t quota)
{
  static struct scenes s;

  signal(SIGBUS, on_sigbus);
  scenes_init(&s, &guest_ops, 0, proc, seed, quota);
  scenes_run(&s, ops);
  scenes_close(&s);
  printf("crash: process %u: %u operations, %d failed, %d found no space\n", proc, s.op, s.errors, s.full);
  fflush(stdout);
  return s.errors != 0 || (s.op < ops && s.files + 16 < FILES_MAX);
}

static int
run(char *words)
{
  unsigned long n[5] = {1, 4, 100, 1 << 20, 0};
  int bad = 0, status;

  for(int i = 0; i < 5 && *words == ','; i++)
    n[i] = strtoul(words + 1, &words, 0);
  if(n[1] + n[4] > PROCS_MAX) {
    printf("crash: at most %d processes\n", PROCS_MAX);
    return 2;
  }
  facts_fd = open("/dev/vdb", O_WRONLY | O_DIRECT);
  if(facts_fd < 0)
    facts_fd = open("/dev/vdb", O_WRONLY);
  if(facts_fd < 0) {
    printf("crash: cannot open /dev/vdb for the facts: %s\n", strerror(errno));
    return 2;
  }
  for(unsigned i = 0; i < n[1]; i++)
    if(fork() == 0)
      _exit(process(n[4] + i, n[0], n[2], n[3]));
  while(wait(&status) > 0)
    bad |= status != 0;
  return bad;
}

// As the first process of lazy6: its last act is to leave a disk that needs no recovery.
static int
settle_disk(void)
{
  if(getpid() != 1 || mount("", "/", "", MS_REMOUNT | MS_RDONLY, "") == 0)
    return 0;
  printf("crash: cannot mount / read-only again: %s\n", strerror(errno));
  return 4;
}

int
main(int argc, char **argv)
{
  static char line[4096];
  char *word;
  FILE *f;
  int status;

  if(argc == 3 && strcmp(argv[1], "list") == 0) // as a plain program: a manifest of that folder
    return manifest(argv[2]);
  mount("proc", "/proc", "proc", 0, 0);
  f = fopen("/proc/cmdline", "r");
  if(f == 0 || fgets(line, sizeof(line), f) == 0 || (word = strstr(line, "crash=")) == 0) {
    printf("crash: no crash= on the kernel's command line\n");
    return 2;
  }
  fclose(f);
  word += strlen("crash=");
  word[strcspn(word, " \n")] = 0;
  if(strncmp(word, "run", 3) == 0)
    status = run(word + 3);
  else if(strncmp(word, "list", 4) == 0)
    status = manifest(word[4] == ',' ? word + 5 : FACT_TOP);
  else
    status = strcmp(word, "nothing") == 0 ? 0 : 2;
  status = status ? status : settle_disk();
  printf("crash: done, status %d\n", status);
  fflush(stdout);
  return status;
}
