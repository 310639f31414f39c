// disk_big.c -- large things on a disk, which the suite `disk` of tests/run boots and judges: it looks at the image afterwards.
// usage: disk_big names N      N names in one directory: made, looked up, listed, removed; a line of seconds for each
//        disk_big files        one file of 64 MiB written in order, then four at a time
//        disk_big tree SEED    a tree by four processes: files, renames, links, holes, stores through mappings
#define T_OWN_MAIN
#include "t.h"
#include <dirent.h>

enum { FILE_MIB = 64, PIECE = 1 << 16, WRITERS = 4, ROUNDS = 400, NAMES = 40, SIZE_MAX_ = 300000 };

static double
now(void)
{
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void
name_of(char *p, int i)
{
  sprintf(p, "a-name-like-others-%d", i);
}

static void
phase(const char *what, double *from)
{
  printf("%s %.1f\n", what, now() - *from);
  *from = now();
}

static void
names(int n)
{
  double from = now();
  struct dirent *e;
  struct stat st;
  char name[64];
  int seen = 0, fd;
  DIR *d;

  need(mkdir("names", 0755) == 0 && chdir("names") == 0);
  for(int i = 0; i < n; i++) {
    name_of(name, i);
    fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0644);
    need(fd >= 0);
    close(fd);
  }
  phase("made", &from);
  for(int i = 0; i < n; i++) {
    name_of(name, (int)((long)i * 7919 % n));
    need(stat(name, &st) == 0);
  }
  phase("found", &from);
  need((d = opendir(".")) != 0);
  while((e = readdir(d)) != 0)
    seen += e->d_name[0] != '.';
  closedir(d);
  need(seen == n);
  phase("listed", &from);
  for(int i = 0; i < n; i++) {
    name_of(name, (int)((long)i * 104729 % n));
    need(unlink(name) == 0);
  }
  phase("removed", &from);
  need(chdir("..") == 0 && rmdir("names") == 0);
}

static void
write_big(const char *name)
{
  int fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0644);
  char *p = malloc(PIECE);

  need(fd >= 0);
  for(int i = 0; i < FILE_MIB << 20 >> 16; i++) {
    memset(p, 'a' + i % 26, PIECE);
    need(write(fd, p, PIECE) == PIECE);
  }
  need(fsync(fd) == 0);
}

static int
wait_all(int n)
{
  int status, bad = 0;

  while(n--)
    bad |= wait(&status) < 0 || status != 0;
  return bad;
}

static int
files(void)
{
  char name[16];

  write_big("alone");
  for(int i = 0; i < WRITERS; i++) {
    sprintf(name, "together%d", i);
    if(fork() == 0) {
      write_big(name);
      _exit(0);
    }
  }
  return wait_all(WRITERS);
}

static void
change(const char *a, const char *b, unsigned r)
{
  int fd;
  char *p;

  switch(r % 9) {
  case 0: rename(a, b); return;
  case 1: link(a, b); return;
  case 2: unlink(a); return;
  case 3: mkdir(b, 0755); return;
  case 4: rmdir(b); return;
  case 5: symlink(a, b); return;
  }
  fd = open(a, O_CREAT | O_RDWR | O_NOFOLLOW, 0644);
  if(fd < 0)
    return;
  need(ftruncate(fd, r % SIZE_MAX_ + 1) == 0);
  need(pwrite(fd, a, strlen(a), r / 7 % SIZE_MAX_) > 0);
  p = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  need(p != MAP_FAILED);
  p[r % (r % SIZE_MAX_ < PAGE ? r % SIZE_MAX_ + 1 : PAGE)] = 'm';
  munmap(p, PAGE);
  if(r % 5 == 0)
    fsync(fd);
  close(fd);
}

static int
tree(unsigned seed)
{
  char a[64], b[64];

  for(int k = 0; k < WRITERS; k++)
    if(fork() == 0) {
      for(int i = 0; i < ROUNDS; i++) {
        seed = seed * 1664525 + 1013904223 + k;
        sprintf(a, "%s%u", seed >> 8 & 1 ? "dir/" : "", (seed >> 9) % NAMES);
        sprintf(b, "%s%u", seed >> 7 & 1 ? "dir/" : "", (seed >> 17) % NAMES);
        change(a, b, seed >> 10);
      }
      _exit(0);
    }
  return wait_all(WRITERS);
}

static int
usage(void)
{
  fprintf(stderr, "usage: disk_big names N | files | tree SEED\n");
  return 2;
}

int
main(int argc, char **argv)
{
  if(argc == 3 && strcmp(argv[1], "names") == 0)
    names(atoi(argv[2]));
  else if(argc == 2 && strcmp(argv[1], "files") == 0)
    return files();
  else if(argc == 3 && strcmp(argv[1], "tree") == 0 && (mkdir("dir", 0755) == 0 || errno == EEXIST))
    return tree(atoi(argv[2]));
  else
    return usage();
  return 0;
}
