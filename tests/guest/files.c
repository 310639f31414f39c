// files.c -- reading the disk, tmpfs, descriptors, directories, pipes, poll.
#include "t.h"
#include <dirent.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

TEST(tmp_read_write_seek)
{
  int fd = open("/tmp/f1", O_CREAT | O_RDWR | O_TRUNC, 0640);
  char buf[16] = {0};
  struct stat st;

  need(fd >= 0);
  expect_eq(write(fd, "hello world", 11), 11);
  expect_eq(lseek(fd, 6, SEEK_SET), 6);
  expect_eq(read(fd, buf, 16), 5);
  expect(memcmp(buf, "world", 5) == 0);
  expect_eq(lseek(fd, 100000, SEEK_SET), 100000);
  expect_eq(write(fd, "x", 1), 1);
  expect(fstat(fd, &st) == 0 && st.st_size == 100001 && S_ISREG(st.st_mode) && (st.st_mode & 0777) == 0640);
  expect_eq(pread(fd, buf, 4, 50000), 4);
  expect(buf[0] == 0 && buf[3] == 0); // F14
  expect(ftruncate(fd, 5) == 0 && fstat(fd, &st) == 0 && st.st_size == 5);
  expect(ftruncate(fd, 20) == 0);
  expect_eq(pread(fd, buf, 16, 4), 16);
  expect(buf[0] == 'o' && buf[1] == 0); // F09
  close(fd);
  expect(unlink("/tmp/f1") == 0);
  expect_errno(open("/tmp/f1", O_RDONLY), ENOENT);
}

TEST(open_errors)
{
  expect_errno(open("/nonexistent", O_RDONLY), ENOENT);
  expect_errno(open("/tmp/a/b", O_CREAT | O_RDWR, 0600), ENOENT);
  expect_errno(open("/tmp", O_RDWR), EISDIR);
  expect_errno(open("/etc/passwd/x", O_RDONLY), ENOTDIR);
  expect_errno(open("/etc/passwd", O_RDONLY | O_DIRECTORY), ENOTDIR);
  expect_errno(open("", O_RDONLY), ENOENT);
  char longname[300];
  memset(longname, 'n', 299);
  longname[299] = 0;
  expect_errno(open(longname, O_RDONLY), ENAMETOOLONG);
  expect_errno(close(999), EBADF);
  expect_errno(read(-1, longname, 1), EBADF);
}

TEST(exclusive_create)
{
  int fd = open("/tmp/excl", O_CREAT | O_EXCL | O_RDWR, 0600);

  need(fd >= 0);
  expect_errno(open("/tmp/excl", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
  unlink("/tmp/excl");
}

TEST(directories_and_links)
{
  char buf[256] = {0};
  struct stat a, b;

  expect(mkdir("/tmp/d", 0755) == 0);
  expect_errno(mkdir("/tmp/d", 0755), EEXIST);
  expect(symlink("d/target", "/tmp/s") == 0);
  expect_eq(readlink("/tmp/s", buf, sizeof(buf)), 8);
  expect(strncmp(buf, "d/target", 8) == 0);
  expect_errno(open("/tmp/s", O_RDONLY), ENOENT);
  close(open("/tmp/d/target", O_CREAT | O_RDWR, 0600));
  expect(stat("/tmp/s", &a) == 0 && S_ISREG(a.st_mode));
  expect(lstat("/tmp/s", &b) == 0 && S_ISLNK(b.st_mode));
  expect(link("/tmp/d/target", "/tmp/hard") == 0);
  expect(stat("/tmp/hard", &b) == 0 && a.st_ino == b.st_ino && b.st_nlink == 2);
  expect_errno(rmdir("/tmp/d"), ENOTEMPTY);
  expect(rename("/tmp/d/target", "/tmp/d2") == 0);
  expect_errno(stat("/tmp/d/target", &a), ENOENT);
  expect(rmdir("/tmp/d") == 0 && unlink("/tmp/d2") == 0 && unlink("/tmp/hard") == 0 && unlink("/tmp/s") == 0);
  symlink("loop2", "/tmp/loop1");
  symlink("loop1", "/tmp/loop2");
  expect_errno(open("/tmp/loop1", O_RDONLY), ELOOP);
  unlink("/tmp/loop1");
  unlink("/tmp/loop2");
}

TEST(readdir_sees_each_name_once)
{
  enum { N = 500 };
  char name[64];
  int seen[N] = {0}, n = 0;
  struct dirent *e;
  DIR *d;

  mkdir("/tmp/many", 0755);
  for(int i = 0; i < N; i++) {
    snprintf(name, sizeof(name), "/tmp/many/file-%d", i);
    close(open(name, O_CREAT | O_RDWR, 0600));
  }
  d = opendir("/tmp/many");
  need(d != 0);
  while((e = readdir(d)) != 0) {
    int i;

    if(sscanf(e->d_name, "file-%d", &i) == 1 && i >= 0 && i < N) {
      seen[i]++;
      n++;
    }
  }
  closedir(d);
  expect_eq(n, N);
  for(int i = 0; i < N; i++) {
    expect_eq(seen[i], 1);
    snprintf(name, sizeof(name), "/tmp/many/file-%d", i);
    unlink(name);
  }
  expect(rmdir("/tmp/many") == 0);
}

TEST(unlinked_file_lives_while_open)
{
  int fd = open("/tmp/gone", O_CREAT | O_RDWR, 0600);
  char c = 0;

  need(fd >= 0 && unlink("/tmp/gone") == 0);
  expect_eq(write(fd, "k", 1), 1);
  expect_eq(pread(fd, &c, 1, 0), 1);
  expect_eq(c, 'k');
}

// The root is remounted for reading, and for writing again. While a file is open for writing it cannot be.
TEST(remounted_read_only)
{
  struct timespec now[2] = {{1, 0}, {1, 0}};
  int fd, busy = 0;

  only_here();
  close(open("/remount", O_CREAT | O_RDWR, 0600));
  fd = open("/remount", O_RDWR);
  need(fd >= 0 && write(fd, "kept", 4) == 4);
  expect_errno(mount(0, "/", 0, MS_REMOUNT | MS_RDONLY, 0), EBUSY);
  expect(write(fd, "too", 3) == 3);
  close(fd);
  while(mount(0, "/", 0, MS_REMOUNT | MS_RDONLY, 0) != 0 && errno == EBUSY && busy++ < 100) // others of this machine
    usleep(20000);
  errno = 0;
  fd = open("/etc/passwd", O_RDWR);
  need(fd < 0 && errno == EROFS);
  expect_errno(open("/newfile", O_CREAT | O_RDWR, 0600), EROFS);
  expect_errno(mkdir("/newdir", 0755), EROFS);
  expect_errno(unlink("/etc/passwd"), EROFS);
  expect_errno(rename("/remount", "/x"), EROFS);
  expect_errno(chmod("/remount", 0777), EROFS);
  expect_errno(truncate("/remount", 0), EROFS);
  expect_errno(utimensat(AT_FDCWD, "/remount", now, 0), EROFS);
  expect(mount(0, "/", 0, MS_REMOUNT, 0) == 0);
  fd = open("/remount", O_RDWR);
  char text[8] = {0};
  expect(fd >= 0 && read(fd, text, 8) == 7 && strcmp(text, "kepttoo") == 0 && unlink("/remount") == 0);
}

TEST(dup_shares_the_offset)
{
  int fd = open("/tmp/dup", O_CREAT | O_RDWR | O_TRUNC, 0600), other = dup(fd);

  write(fd, "abc", 3);
  expect_eq(lseek(other, 0, SEEK_CUR), 3);
  expect_eq(dup2(fd, 50), 50);
  expect_eq(fcntl(50, F_GETFD), 0);
  expect_eq(fcntl(fd, F_DUPFD, 60), 60);
  unlink("/tmp/dup");
}

TEST(many_descriptors)
{
  struct rlimit rl = {4096, 4096};
  int last = -1;

  setrlimit(RLIMIT_NOFILE, &rl);
  for(int i = 0; i < 3000; i++) {
    last = open("/dev/null", O_RDWR);
    need(last >= 0);
  }
  expect(last >= 3000);
  rl.rlim_cur = 10;
  setrlimit(RLIMIT_NOFILE, &rl);
  expect_errno(open("/dev/null", O_RDWR), EMFILE);
}

TEST(devices)
{
  char buf[64] = {1};
  int fd = open("/dev/zero", O_RDWR);

  expect_eq(read(fd, buf, 64), 64);
  expect(buf[0] == 0);
  fd = open("/dev/full", O_RDWR);
  expect_errno(write(fd, buf, 1), ENOSPC);
  fd = open("/dev/null", O_RDWR);
  expect_eq(write(fd, buf, 64), 64);
  expect_eq(read(fd, buf, 64), 0);
  fd = open("/dev/urandom", O_RDONLY);
  expect_eq(read(fd, buf, 64), 64);
  int zeros = 0;
  for(int i = 0; i < 64; i++)
    zeros += buf[i] == 0;
  expect(zeros < 10);
}

TEST(pipe_poll_and_nonblock)
{
  int fd[2], n = 0;
  char big[PAGE];
  struct pollfd p;

  need(pipe2(fd, O_NONBLOCK) == 0);
  expect_errno(read(fd[0], big, 1), EAGAIN);
  p = (struct pollfd){fd[0], POLLIN, 0};
  expect_eq(poll(&p, 1, 0), 0);
  expect_eq(write(fd[1], "abc", 3), 3);
  expect_eq(poll(&p, 1, 1000), 1);
  expect(p.revents & POLLIN);
  expect(ioctl(fd[0], FIONREAD, &n) == 0 && n == 3);
  memset(big, 0, sizeof(big));
  n = 0;
  while(write(fd[1], big, sizeof(big)) > 0)
    n++;
  expect_eq(errno, EAGAIN);
  expect(n >= 15);
  close(fd[1]);
  while(read(fd[0], big, sizeof(big)) > 0)
    ;
  expect_eq(poll(&p, 1, 0), 1);
  expect(p.revents & POLLHUP);
}

TEST(proc_files_have_linux_formats) // H01, H02
{
  char line[512], perms[8];
  unsigned long lo, hi, off, ino;
  unsigned maj, min_;
  int n = 0, stack = 0;
  FILE *f = fopen("/proc/self/maps", "r");

  need(f != 0);
  while(fgets(line, sizeof(line), f)) {
    n++;
    expect_eq(sscanf(line, "%lx-%lx %4s %lx %x:%x %lu", &lo, &hi, perms, &off, &maj, &min_, &ino), 7);
    expect(lo < hi && strlen(perms) == 4);
    stack += strstr(line, "[stack]") != 0;
  }
  expect(n >= 3 && stack == 1);
  fclose(f);
  expect(proc_figure("/proc/self/status", "VmRSS") > 0);
  expect(proc_figure("/proc/self/status", "VmSize") > 0);
  expect(proc_figure("/proc/meminfo", "MemTotal") > 0);
  expect(proc_figure("/proc/self/smaps", "Rss") >= 0);
  f = fopen("/proc/self/statm", "r");
  expect(f && fscanf(f, "%lu %lu", &lo, &hi) == 2 && lo >= hi && hi > 0);
}

TEST(statfs_of_root)
{
  struct statfs s;

  expect(statfs("/", &s) == 0 && s.f_bsize >= 512 && s.f_blocks > 0 && s.f_namelen == 255);
}

TEST(getcwd_and_chdir)
{
  char buf[256];

  expect(mkdir("/tmp/cwd", 0755) == 0 || errno == EEXIST);
  expect(chdir("/tmp/cwd/../cwd/.") == 0 && getcwd(buf, sizeof(buf)) && strcmp(buf, "/tmp/cwd") == 0);
  expect(chdir("..") == 0 && getcwd(buf, sizeof(buf)) && strcmp(buf, "/tmp") == 0);
  expect(rmdir("/tmp/cwd") == 0);
}

TEST(access_and_permissions)
{
  int status;
  pid_t pid;

  close(open("/tmp/secret", O_CREAT | O_RDWR, 0600));
  pid = fork();
  if(pid == 0) {
    if(getuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
      _exit(2);
    _exit(!(open("/tmp/secret", O_RDONLY) == -1 && errno == EACCES));
  }
  waitpid(pid, &status, 0);
  if(getuid() == 0)
    expect_eq(status, 0);
  unlink("/tmp/secret");
}
