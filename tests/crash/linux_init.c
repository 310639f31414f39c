// linux_init.c -- the first process of Debian's kernel in the crash tests: loads what a virtio disk needs, mounts /dev/vda,
// and starts /crash (workload.c) with it as the root; Linux is the oracle of these tests.
//
// The kernel's command line: crash=... is the workload's; how=ro mounts the disk read-only and lists it, or what top= names, with
// the workload's own program from outside; how=rw lists it after a mount for writing, which recovers it.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char line[4096];

static int
fail(const char *what)
{
  printf("crash: %s: %s\n", what, strerror(errno));
  fflush(stdout);
  reboot(RB_POWER_OFF);
  return 1;
}

// /modules/list names them in the order in which they need each other.
static void
load_modules(void)
{
  char name[256], path[300];
  FILE *f = fopen("/modules/list", "r");

  while(f && fscanf(f, "%255s", name) == 1) {
    int fd;

    snprintf(path, sizeof(path), "/modules/%s", name);
    fd = open(path, O_RDONLY);
    if((fd < 0 || syscall(SYS_finit_module, fd, "", 0) < 0) && errno != EEXIST)
      fail(path);
    close(fd);
  }
  if(f)
    fclose(f);
}

// What is to be listed, from outside: /mnt and what top= says.
static const char *
top(void)
{
  static char path[256];
  const char *at = strstr(line, "top=");

  snprintf(path, sizeof(path), "/mnt%.*s", at ? (int)strcspn(at + 4, " \n") : 0, at ? at + 4 : "");
  return path;
}

static void
child(int list)
{
  if(list) {
    execl("/crash", "crash", "list", top(), (char *)0);
  } else if(chroot("/mnt") == 0 && chdir("/") == 0) {
    execl("/sbin/init", "init", (char *)0);
  }
  fail("cannot start the workload");
}

int
main(void)
{
  int list, status = 0;
  FILE *f;
  pid_t pid;

  mount("proc", "/proc", "proc", 0, 0);
  mount("devtmpfs", "/dev", "devtmpfs", 0, 0);
  f = fopen("/proc/cmdline", "r");
  if(f == 0 || fgets(line, sizeof(line), f) == 0)
    return fail("/proc/cmdline");
  load_modules();
  for(int i = 0; i < 500 && access("/dev/vda", F_OK) < 0; i++)
    usleep(10000);
  list = strstr(line, "how=ro") || strstr(line, "how=rw");
  if(mount("/dev/vda", "/mnt", "ext3", strstr(line, "how=ro") ? MS_RDONLY : 0, "") < 0)
    return fail("cannot mount /dev/vda");
  mkdir("/mnt/dev", 0755);
  mkdir("/mnt/proc", 0755);
  if(!list && mount("devtmpfs", "/mnt/dev", "devtmpfs", 0, 0) < 0)
    return fail("cannot mount /dev in the image");
  pid = fork();
  if(pid == 0)
    child(list);
  while(waitpid(pid, &status, 0) < 0 && errno == EINTR)
    ;
  umount("/mnt/dev");
  umount("/mnt/proc");
  if(umount("/mnt") < 0)
    return fail("cannot unmount");
  if(list)
    printf("crash: done, status %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
  fflush(stdout);
  reboot(RB_POWER_OFF);
  return 0;
}
