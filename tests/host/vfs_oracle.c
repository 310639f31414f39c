// vfs_oracle.c -- vfs_oracle.h says what for.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "vfs_oracle.h"

static int old_root = -1;
static char dir[64];

static int
result(int r)
{
  return r < 0 ? -errno : r;
}

bool
oracle_begin(void)
{
  if(geteuid() != 0 || access("/dev/shm", W_OK) != 0)
    return false;
  strcpy(dir, "/dev/shm/vfs_test.XXXXXX");
  old_root = open("/", O_RDONLY | O_DIRECTORY);
  umask(0);
  if(old_root < 0 || !mkdtemp(dir) || chmod(dir, 0755) != 0)
    return false;
  if(chroot(dir) == 0 && chdir("/") == 0)
    return true;
  rmdir(dir);
  return false;
}

void
oracle_end(void)
{
  char command[128];

  if(fchdir(old_root) != 0 || chroot(".") != 0)
    abort();
  close(old_root);
  snprintf(command, sizeof command, "rm -rf %s", dir);
  if(system(command) != 0)
    abort();
}

void
oracle_leave(bool leave)
{
  if(leave ? fchdir(old_root) != 0 || chroot(".") != 0 : chroot(dir) != 0 || chdir("/") != 0)
    abort();
}

int
oracle_open(const char *path, unsigned flags, unsigned mode, unsigned char fill, uint64_t pos, uint64_t n)
{
  int fd = open(path, (int)flags, mode), r = 0;
  char *buf;

  if(fd < 0)
    return -errno;
  if((flags & O_ACCMODE) != O_RDONLY && n > 0) {
    buf = malloc(n);
    memset(buf, fill, n);
    r = result(pwrite(fd, buf, n, pos));
    free(buf);
  }
  close(fd);
  return r;
}

int
oracle_mkdir(const char *path)
{
  return result(mkdir(path, 0755));
}

int
oracle_rmdir(const char *path)
{
  return result(rmdir(path));
}

int
oracle_unlink(const char *path)
{
  return result(unlink(path));
}

int
oracle_link(const char *from, const char *to, bool follow)
{
  return result(linkat(AT_FDCWD, from, AT_FDCWD, to, follow ? AT_SYMLINK_FOLLOW : 0));
}

int
oracle_symlink(const char *text, const char *path)
{
  return result(symlink(text, path));
}

int
oracle_rename(const char *from, const char *to, unsigned flags)
{
  return result(syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags));
}

int
oracle_truncate(const char *path, uint64_t size)
{
  return result(truncate(path, size));
}

uint64_t
oracle_sum(uint64_t sum, const unsigned char *p, uint64_t n)
{
  while(n--)
    sum = sum * 31 + *p++;
  return sum;
}

int
oracle_part(uint64_t size, int n, uint64_t *lo, uint64_t *hi)
{
  enum { BLOCK = 4096, AROUND = 8 * BLOCK, WHOLE = 1 << 19 };
  // where the first block under one, two and three indirect blocks lies
  static const uint64_t at[] = {12 * BLOCK, 1036 * BLOCK, (1036 + (1ull << 20)) * BLOCK};
  const int parts = sizeof at / sizeof at[0];

  if(n > parts || (size <= WHOLE && n > 0))
    return 0;
  *lo = n < parts ? at[n] - AROUND : size - AROUND;
  *hi = n < parts ? at[n] + AROUND : size;
  if(size <= WHOLE)
    *lo = 0, *hi = size;
  *lo = *lo < size ? *lo : size;
  *hi = *hi < size ? *hi : size;
  return 1;
}

static uint64_t
sum_file(int fd, uint64_t size)
{
  static unsigned char buf[1 << 16];
  uint64_t lo, hi, sum = 0;
  ssize_t n;

  for(int i = 0; oracle_part(size, i, &lo, &hi); i++)
    for(; lo < hi && (n = pread(fd, buf, hi - lo < sizeof buf ? hi - lo : sizeof buf, lo)) > 0; lo += n)
      sum = oracle_sum(sum, buf, n);
  return sum;
}

static void
fill_stat(const struct stat *st, struct oracle_stat *out)
{
  *out = (struct oracle_stat){.mode = st->st_mode,
                              .nlink = st->st_nlink,
                              .uid = st->st_uid,
                              .gid = st->st_gid,
                              .size = S_ISDIR(st->st_mode) ? 0 : st->st_size,
                              .rdev = (uint64_t)major(st->st_rdev) << 32 | minor(st->st_rdev),
                              .mtime = st->st_mtime};
}

int
oracle_stat(const char *path, bool follow, struct oracle_stat *out)
{
  unsigned char buf[4096];
  struct stat st;
  ssize_t n;
  int fd;

  if((follow ? stat(path, &st) : lstat(path, &st)) != 0)
    return -errno;
  fill_stat(&st, out);
  if(S_ISLNK(st.st_mode) && (n = readlink(path, (char *)buf, sizeof buf)) > 0)
    out->sum = oracle_sum(0, buf, n);
  if(S_ISREG(st.st_mode) && (fd = open(path, O_RDONLY)) >= 0) {
    out->sum = sum_file(fd, st.st_size);
    close(fd);
  }
  return 0;
}

int
oracle_names(const char *path, uint64_t *sum)
{
  DIR *d = opendir(path);
  struct dirent *e;
  int n = 0;

  if(!d)
    return -errno;
  for(*sum = 0; (e = readdir(d)) != 0; n++)
    *sum += oracle_sum(1, (unsigned char *)e->d_name, strlen(e->d_name)) * 7 + e->d_type;
  closedir(d);
  return n;
}

int
oracle_mknod(const char *path, unsigned mode, unsigned hi, unsigned lo)
{
  return result(mknod(path, mode, makedev(hi, lo)));
}

int
oracle_fallocate(const char *path, unsigned mode, uint64_t off, uint64_t n)
{
  int fd = open(path, O_WRONLY), r;

  if(fd < 0)
    return -errno;
  r = result(fallocate(fd, mode, off, n));
  close(fd);
  return r;
}

int
oracle_chmod(const char *path, unsigned mode)
{
  return result(chmod(path, mode));
}

int
oracle_lchown(const char *path, unsigned uid, unsigned gid)
{
  return result(lchown(path, uid, gid));
}

int
oracle_mtime(const char *path, int64_t seconds)
{
  struct timespec t[2] = {{.tv_sec = seconds}, {.tv_sec = seconds}};

  return result(utimensat(AT_FDCWD, path, t, AT_SYMLINK_NOFOLLOW));
}

static int files[ORACLE_FILES];

int
oracle_file_open(int slot, const char *path, unsigned flags, unsigned mode)
{
  return result(files[slot] = open(path, (int)flags, mode)) < 0 ? -errno : 0;
}

int64_t
oracle_file_write(int slot, unsigned char fill, uint64_t pos, uint64_t n)
{
  char *buf = malloc(n + 1);
  int64_t r;

  memset(buf, fill, n);
  r = pwrite(files[slot], buf, n, pos);
  free(buf);
  return r < 0 ? -errno : r;
}

int
oracle_file_truncate(int slot, uint64_t size)
{
  return result(ftruncate(files[slot], size));
}

int
oracle_file_stat(int slot, struct oracle_stat *out)
{
  struct stat st;

  if(fstat(files[slot], &st) != 0)
    return -errno;
  fill_stat(&st, out);
  out->sum = sum_file(files[slot], st.st_size);
  return 0;
}

int
oracle_file_link(int slot, const char *path)
{
  return result(linkat(files[slot], "", AT_FDCWD, path, AT_EMPTY_PATH));
}

void
oracle_file_close(int slot)
{
  close(files[slot]);
}
