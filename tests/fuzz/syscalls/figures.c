// figures.c -- what must be as it was when all workers are gone: free memory, what the kernel keeps for itself, processes,
// blocks and inodes of both file systems, requests at the disk.
// Typical: figures_first before the first round; figures_check after each; figures_end looks at all rounds together.
// Memory that the kernel may keep (pages of files, names, inodes) grows at first, so single rounds are compared with
// generous slack; a leak is what goes on growing: the least of the later rounds against the least of the earlier ones.
#include "hostile.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS_MAX = 4096, SETTLE_TRIES = 100, PAUSE_NS = 50000000, GROWTH_KIB = 1024, WARM_UP = 2, LINE = 512 };

struct figures {
  long own;  // KiB that are neither free nor somebody's pages
  long slab; // KiB of small objects
  long shmem, stacks, tables;
  long processes;
  unsigned long disk_blocks, disk_inodes, mem_blocks, mem_inodes;
};

static struct figures first;
static long began;
static long own[ROUNDS_MAX], slab[ROUNDS_MAX];
static int rounds;

static long
meminfo(const char *text, const char *key)
{
  const char *at = strstr(text, key);

  return at ? atol(at + strlen(key)) : 0;
}

static void
memory_now(struct figures *f)
{
  static char text[8192];
  FILE *file = fopen("/proc/meminfo", "r");
  size_t n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;

  if(file)
    fclose(file);
  text[n] = 0;
  f->slab = meminfo(text, "\nSlab:");
  f->shmem = meminfo(text, "\nShmem:");
  f->stacks = meminfo(text, "\nKernelStack:");
  f->tables = meminfo(text, "\nPageTables:");
  f->own = meminfo(text, "MemTotal:") - meminfo(text, "\nMemFree:") - meminfo(text, "\nCached:") -
           meminfo(text, "\nBuffers:") - f->slab - f->stacks - f->tables;
}

static long
processes_now(void)
{
  DIR *d = opendir("/proc");
  struct dirent *e;
  long n = 0;

  while(d && (e = readdir(d)) != 0)
    n += atoi(e->d_name) > 0;
  if(d)
    closedir(d);
  return n;
}

static void
figures_now(struct figures *f)
{
  struct statvfs s = {0};

  sync();
  memory_now(f);
  f->processes = processes_now();
  statvfs(disk_dir, &s);
  f->disk_blocks = s.f_bfree;
  f->disk_inodes = s.f_ffree;
  statvfs(mem_dir, &s);
  f->mem_blocks = s.f_bfree;
  f->mem_inodes = s.f_ffree;
}

// Requests that the disks have not answered, from /proc/diskstats; none may be left when nobody runs.
static long
in_flight(void)
{
  FILE *f = fopen("/proc/diskstats", "r");
  char line[LINE];
  long sum = 0, n;

  while(f && fgets(line, sizeof(line), f))
    if(sscanf(line, "%*d %*d %*s %*d %*d %*d %*d %*d %*d %*d %*d %ld", &n) == 1)
      sum += n;
  if(f)
    fclose(f);
  return sum;
}

static bool
same(const struct figures *f)
{
  return f->processes == first.processes && f->disk_blocks == first.disk_blocks &&
         f->disk_inodes == first.disk_inodes && f->mem_blocks == first.mem_blocks &&
         f->mem_inodes == first.mem_inodes && f->shmem <= first.shmem && f->stacks <= first.stacks &&
         f->tables <= first.tables + 64 && in_flight() == 0;
}

static void
differs(const char *what, long now, long then)
{
  if(now != then)
    say("%s: %ld, and %ld at first", what, now, then);
}

static void
tell(const struct figures *f)
{
  say("files changed since the beginning:");
  clean_tell("/", began);
  differs("processes", f->processes, first.processes);
  differs("free blocks of the disk", f->disk_blocks, first.disk_blocks);
  differs("free inodes of the disk", f->disk_inodes, first.disk_inodes);
  differs("free blocks of the tmpfs", f->mem_blocks, first.mem_blocks);
  differs("free inodes of the tmpfs", f->mem_inodes, first.mem_inodes);
  differs("KiB of shared memory", f->shmem, first.shmem);
  differs("KiB of kernel stacks", f->stacks, first.stacks);
  differs("KiB of page tables", f->tables, first.tables);
  differs("requests at the disks", in_flight(), 0);
}

void
figures_first(void)
{
  began = time(0);
  figures_now(&first);
}

// What dies is put away by others a moment later.
bool
figures_check(int round)
{
  struct figures f;

  for(int i = 0; i < SETTLE_TRIES; i++) {
    figures_now(&f);
    if(same(&f))
      break;
    nanosleep(&(struct timespec){0, PAUSE_NS}, 0);
  }
  if(rounds < ROUNDS_MAX) {
    own[rounds] = f.own;
    slab[rounds++] = f.slab;
  }
  if(same(&f))
    return true;
  say("after round %d something is left:", round);
  tell(&f);
  return false;
}

static long
least(const long *v, int lo, int hi)
{
  long min = v[lo];

  for(int i = lo; i < hi; i++)
    min = v[i] < min ? v[i] : min;
  return min;
}

static bool
grows(const char *what, const long *v)
{
  int half = (WARM_UP + rounds) / 2;
  long early, late;

  if(rounds < WARM_UP + 4)
    return false;
  early = least(v, WARM_UP, half);
  late = least(v, half, rounds);
  say("%s: at least %ld KiB after the rounds of the first half, %ld KiB after those of the second", what, early, late);
  return late > early + GROWTH_KIB;
}

bool
figures_end(void)
{
  bool a = grows("memory that is nobody's", own), b = grows("small objects", slab);

  if(a || b)
    say("a leak");
  return !a && !b;
}
