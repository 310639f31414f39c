// manifest.c -- manifest.h says what for. This one reads through the system's calls; tests/crash/states.c has the other,
// which reads the image itself.
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "manifest.h"

enum { CHUNK = 65536, PATH = 4096 };

static uint64_t
hash_file(const char *path, int *bad)
{
  static char buf[CHUNK];
  uint64_t h = MANIFEST_HASH_START;
  int fd = open(path, O_RDONLY);
  ssize_t n;

  while((n = read(fd, buf, sizeof(buf))) > 0)
    h = manifest_hash(h, buf, n);
  *bad |= n < 0;
  close(fd);
  return h;
}

static int
one(const char *path, const char *shown)
{
  char text[PATH];
  struct stat st;
  uint64_t h = MANIFEST_HASH_START;
  int bad = 0;
  ssize_t n;

  if(lstat(path, &st) < 0) {
    printf("= cannot look at %s\n", shown);
    return 1;
  }
  if(S_ISREG(st.st_mode))
    h = hash_file(path, &bad);
  if(S_ISLNK(st.st_mode) && (n = readlink(path, text, sizeof(text))) >= 0)
    h = manifest_hash(h, text, n);
  printf(MANIFEST_FORMAT, (unsigned)st.st_mode, (unsigned)st.st_uid, (unsigned)st.st_gid, (unsigned)st.st_nlink,
         (unsigned long long)(S_ISDIR(st.st_mode) ? 0 : st.st_size), (long long)st.st_mtim.tv_sec,
         (unsigned)st.st_mtim.tv_nsec, (unsigned long long)h, shown);
  return bad;
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
  return strcmp((*a)->d_name, (*b)->d_name);
}

static int
wanted(const struct dirent *d)
{
  return strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
}

static int
walk(const char *path, size_t skip)
{
  struct dirent **list;
  int n = scandir(path, &list, wanted, by_name), bad = n < 0;
  char below[PATH];
  struct stat st;

  for(int i = 0; i < n; i++) {
    snprintf(below, sizeof(below), "%s/%s", path, list[i]->d_name);
    free(list[i]);
    bad |= one(below, below + skip);
    if(lstat(below, &st) == 0 && S_ISDIR(st.st_mode))
      bad |= walk(below, skip);
  }
  if(n >= 0)
    free(list);
  return bad;
}

int
manifest(const char *top)
{
  const char *path = strcmp(top, "/") == 0 ? "/." : top; // so that a slash follows it
  int bad = walk(path, strlen(path));

  fflush(stdout);
  return bad;
}
