// hosttree.c -- hosttree.h says what for.
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "hosttree.h"

enum { BLOCK = 4096, HOLE = 16 * BLOCK, NAMES_MAX = 20000 };
static char tmp[64];

static void
tmp_remove(void)
{
  host_run("rm -rf %s", tmp);
}

const char *
host_tmp(void)
{
  if(tmp[0] == 0) {
    strcpy(tmp, "/tmp/lazy6-ext3-XXXXXX");
    if(mkdtemp(tmp) == 0)
      abort();
    atexit(tmp_remove);
  }
  return tmp;
}

static const char *
command(const char *f, va_list ap)
{
  static char line[4096];
  int n = sprintf(line, "PATH=$PATH:/sbin:/usr/sbin; ");

  vsnprintf(line + n, sizeof(line) - n, f, ap);
  return line;
}

int
host_run(const char *f, ...)
{
  va_list ap;
  int r;

  va_start(ap, f);
  r = system(command(f, ap));
  va_end(ap);
  return r;
}

int
host_prints(const char *word, const char *f, ...)
{
  char line[4096];
  va_list ap;
  FILE *p;
  int seen = 0;

  va_start(ap, f);
  p = popen(command(f, ap), "r");
  va_end(ap);
  if(p == 0)
    return 0;
  while(fgets(line, sizeof(line), p))
    seen |= strstr(line, word) != 0;
  pclose(p);
  return seen;
}

int
host_lstat(const char *path, struct host_stat *st)
{
  struct stat s;

  if(lstat(path, &s) != 0)
    return -1;
  *st = (struct host_stat){.ino = s.st_ino,
                           .nlink = s.st_nlink,
                           .rdev = s.st_rdev,
                           .size = s.st_size,
                           .mode = s.st_mode,
                           .uid = s.st_uid,
                           .gid = s.st_gid,
                           .mtime = s.st_mtime,
                           .ctime = s.st_ctime};
  return 0;
}

int64_t
host_readlink(const char *path, char *buf, size_t n)
{
  return readlink(path, buf, n);
}

static int
by_name(const void *a, const void *b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

struct host_names
host_list(const char *path)
{
  struct host_names l = {0, calloc(NAMES_MAX, sizeof(char *))};
  DIR *d = opendir(path);
  struct dirent *e;

  while(d && (e = readdir(d)) != 0 && l.n < NAMES_MAX)
    if(strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
      l.name[l.n++] = strdup(e->d_name);
  if(d)
    closedir(d);
  qsort(l.name, l.n, sizeof(char *), by_name);
  return l;
}

void
host_names_free(struct host_names *l)
{
  for(int i = 0; i < l->n; i++)
    free(l->name[i]);
  free(l->name);
}

int64_t
host_read(const char *path, void *buf, size_t n, uint64_t off)
{
  int fd = open(path, O_RDONLY);
  int64_t r = pread(fd, buf, n, off);

  close(fd);
  return r;
}

int
host_data(const char *path, uint64_t off, uint64_t *lo, uint64_t *hi)
{
  int fd = open(path, O_RDONLY);
  off_t from = lseek(fd, off, SEEK_DATA), to = from < 0 ? -1 : lseek(fd, from, SEEK_HOLE);

  close(fd);
  if(from < 0 || to < 0)
    return 0;
  *lo = from;
  *hi = to;
  return 1;
}

void *
host_map(const char *path, uint64_t *size)
{
  int fd = open(path, O_RDONLY);
  struct stat s;
  void *p;

  if(fd < 0 || fstat(fd, &s) != 0)
    return 0;
  p = mmap(0, s.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  close(fd);
  *size = s.st_size;
  return p == MAP_FAILED ? 0 : p;
}

void
host_unmap(void *p, uint64_t size)
{
  munmap(p, size);
}

bool
host_save(const char *path, const void *bytes, uint64_t size)
{
  static const char zeros[HOLE];
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  bool ok = fd >= 0 && ftruncate(fd, size) == 0;

  for(uint64_t off = 0, n; ok && off < size; off += n) {
    n = size - off < HOLE ? size - off : HOLE;
    if(memcmp((const char *)bytes + off, zeros, n) != 0)
      ok = pwrite(fd, (const char *)bytes + off, n, off) == (ssize_t)n;
  }
  return fd >= 0 && close(fd) == 0 && ok;
}

// ---- a tree

// n bytes at off that differ from any other place's.
static void
put(const char *path, uint64_t off, size_t n)
{
  int fd = open(path, O_WRONLY | O_CREAT, 0644);
  uint32_t *buf = malloc(n + sizeof(uint32_t));
  uint32_t x = off * 2654435761u + n;

  for(size_t i = 0; i <= n / sizeof(uint32_t); i++)
    buf[i] = x = x * 1664525 + 1013904223;
  if(pwrite(fd, buf, n, off) != (ssize_t)n)
    abort();
  free(buf);
  close(fd);
}

static void
tree_sizes(void)
{
  static const size_t size[] = {
      1, 4095, 4096, 4097, 12 * BLOCK - 1, 12 * BLOCK, 12 * BLOCK + 1, 1036 * BLOCK, 1037 * BLOCK + 7, 6 << 20};
  char name[32];

  mkdir("sizes", 0755);
  close(open("sizes/0", O_CREAT | O_WRONLY, 0600));
  for(unsigned i = 0; i < sizeof(size) / sizeof(size[0]); i++) {
    sprintf(name, "sizes/%zu", size[i]);
    put(name, 0, size[i]);
  }
}

static void
tree_sparse(void)
{
  static const uint64_t block[] = {0,
                                   11,
                                   12,
                                   13,
                                   1034,
                                   1035,
                                   1036,
                                   1037,
                                   2060,
                                   12 + 1024 + 1048575,
                                   12 + 1024 + 1048576,
                                   12 + 1024 + 1048576 + 5000,
                                   1500000};
  char name[32];

  mkdir("sparse", 0755);
  for(unsigned i = 0; i < sizeof(block) / sizeof(block[0]); i++) {
    sprintf(name, "sparse/at%lu", block[i]);
    put(name, block[i] * BLOCK, 100);
    put("sparse/all", block[i] * BLOCK + 3, BLOCK);
  }
  put("sparse/tail", 0, 5);
  if(truncate("sparse/tail", 5ll << 30) != 0)
    abort();
}

static void
tree_links(void)
{
  static const int length[] = {1, 58, 59, 60, 61, 300, 4095};
  char to[4096], name[32];

  mkdir("links", 0755);
  for(unsigned i = 0; i < sizeof(length) / sizeof(length[0]); i++) {
    for(int k = 0; k < length[i]; k++)
      to[k] = k % 50 == 49 ? '/' : 'a' + (k + i) % 26;
    to[length[i]] = 0;
    sprintf(name, "links/%d", length[i]);
    if(symlink(to, name) != 0)
      abort();
  }
  if(symlink("../sizes/4097", "links/right") != 0 || symlink("/links/right", "links/twice") != 0 ||
     symlink("loop", "links/loop") != 0)
    abort();
  put("links/a", 0, 10);
  if(link("links/a", "links/b") != 0 || link("links/a", "links/c") != 0)
    abort();
}

static int
tree_nodes(void)
{
  mkdir("nodes", 0755);
  mkfifo("nodes/fifo", 0640);
  put("nodes/owned", 0, 1);
  put("nodes/suid", 0, 1);
  put("nodes/secret", 0, 1);
  if(mknod("nodes/console", S_IFCHR | 0620, makedev(5, 1)) != 0)
    return 0;
  mknod("nodes/disk", S_IFBLK | 0660, makedev(254, 16));
  mknod("nodes/big", S_IFCHR | 0600, makedev(300, 70000));
  mknod("nodes/bigminor", S_IFBLK | 0600, makedev(8, 256));
  mknod("nodes/socket", S_IFSOCK | 0777, 0);
  if(lchown("nodes/owned", 123456, 234567) != 0 || lchown("links/1", 7, 70000) != 0)
    return 0;
  chmod("nodes/suid", 06755);
  chmod("nodes/secret", 0);
  mkdir("nodes/sticky", 0755);
  chmod("nodes/sticky", 01777);
  return 1;
}

int
host_make_tree(const char *dir)
{
  static const struct timespec long_ago[2] = {{1000, 0}, {-86400, 0}};
  char cwd[4096];
  int root;

  if(getcwd(cwd, sizeof(cwd)) == 0 || mkdir(dir, 0755) != 0 || chdir(dir) != 0)
    abort();
  umask(0);
  tree_sizes();
  tree_sparse();
  tree_links();
  root = tree_nodes();
  if(mkdir("d", 0755) != 0 || mkdir("d/e", 0700) != 0 || mkdir("d/e/f", 0711) != 0 || mkdir("d/empty", 0755) != 0)
    abort();
  put("d/e/f/deep", 0, 5000);
  utimensat(AT_FDCWD, "d/e/f/deep", long_ago, 0);
  if(chdir(cwd) != 0)
    abort();
  return root;
}

void
host_make_names(const char *dir, int n)
{
  char path[4096];

  mkdir(dir, 0755);
  for(int i = 0; i < n; i++) {
    int k = sprintf(path, "%s/%d", dir, i), want = strlen(dir) + 1 + (i % 40 == 0 ? 255 : 1 + i * 7 % 60);

    while(k < want)
      path[k++] = 'a' + i % 26;
    path[k] = 0;
    close(open(path, O_CREAT | O_WRONLY, 0644));
  }
}
