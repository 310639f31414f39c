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

static uint64_t
sum_bytes(uint64_t sum, const unsigned char *p, size_t n)
{
  while(n--)
    sum = sum * 31 + *p++;
  return sum;
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
  *out = (struct oracle_stat){.mode = st.st_mode, .nlink = st.st_nlink, .size = st.st_size};
  if(S_ISDIR(st.st_mode))
    out->size = 0;
  if(S_ISLNK(st.st_mode) && (n = readlink(path, (char *)buf, sizeof buf)) > 0)
    out->sum = sum_bytes(0, buf, n);
  if(S_ISREG(st.st_mode) && (fd = open(path, O_RDONLY)) >= 0) {
    while((n = read(fd, buf, sizeof buf)) > 0)
      out->sum = sum_bytes(out->sum, buf, n);
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
    *sum += sum_bytes(1, (unsigned char *)e->d_name, strlen(e->d_name)) * 7 + e->d_type;
  closedir(d);
  return n;
}
