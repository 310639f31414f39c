// clean.c -- ends and removes what workers leave behind: processes, files, mounts, shared memory that outlives its makers.
// Typical, between two rounds: clean_processes, clean_mounts, clean_files, clean_shm.
#include "hostile.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { NOBODY = 1000, PAUSE_NS = 20000000, LINE = 512, DEPTH_MAX = 100, RMID = 0 };

static bool
is_spared(int pid)
{
  for(int i = 0; i < harness.nspared; i++)
    if(harness.spared[i] == pid)
      return true;
  return false;
}

// Its name and parent; false: it is gone.
static bool
stat_of(int pid, char *name, int *parent, char *state)
{
  char path[64], text[LINE], *end;
  int fd, n;

  snprintf(path, sizeof(path), "/proc/%d/stat", pid);
  fd = open(path, O_RDONLY);
  n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
  if(fd >= 0)
    close(fd);
  if(n <= 0)
    return false;
  text[n] = 0;
  end = strrchr(text, ')');
  return end && sscanf(end + 1, " %c %d", state, parent) == 2 && sscanf(text, "%*d (%15[^)]", name) >= 0;
}

// Send SIGKILL to every process that is nobody's business to spare: how many there are.
static int
kill_others(bool show)
{
  DIR *d = opendir("/proc");
  struct dirent *e;
  int n = 0;

  while(d && (e = readdir(d)) != 0) {
    int pid = atoi(e->d_name), parent = 0;
    char name[16] = "", state = '?';

    if(pid <= 0 || is_spared(pid) || !stat_of(pid, name, &parent, &state))
      continue;
    n++;
    kill(pid, SIGKILL);
    if(show)
      say("process %d (%s), state %c, parent %d, does not die", pid, name, state, parent);
  }
  if(d)
    closedir(d);
  return n;
}

// Whoever forks without end is only caught by one call that reaches all of its user.
static void
kill_users(void)
{
  for(int i = 0; i < harness.slots; i++) {
    int status;
    pid_t pid = fork();

    if(pid == 0) {
      if(syscall(SYS_setresuid, NOBODY + i, NOBODY + i, NOBODY + i) == 0)
        kill(-1, SIGKILL);
      _exit(0);
    }
    while(pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
      ;
  }
}

bool
clean_processes(int seconds)
{
  uint64_t until = now_ms() + seconds * 1000ull;
  int left;

  kill_users();
  for(;;) {
    while(waitpid(-1, 0, WNOHANG | __WALL) > 0)
      ;
    left = kill_others(false);
    if(left == 0)
      return true;
    if(now_ms() > until)
      break;
    nanosleep(&(struct timespec){0, PAUSE_NS}, 0);
  }
  say("%d processes are there %d seconds after SIGKILL", left, seconds);
  kill_others(true);
  return false;
}

// ---- Files

static void remove_in(int dir, int top, int depth);

// A folder too deep for one descriptor a level is first moved to the top, and met there again.
static void
remove_dir(int dir, int top, const char *name, int depth)
{
  static unsigned moved;
  char other[32];
  int fd;

  if(depth > DEPTH_MAX) {
    snprintf(other, sizeof(other), "moved%u", moved++);
    renameat(dir, name, top, other);
    return;
  }
  fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if(fd >= 0) {
    remove_in(fd, top, depth + 1);
    close(fd);
  }
  unlinkat(dir, name, AT_REMOVEDIR);
}

static void
remove_in(int dir, int top, int depth)
{
  int fd = dup(dir);
  DIR *d = fd < 0 ? 0 : fdopendir(fd);
  struct dirent *e;

  while(d && (e = readdir(d)) != 0) {
    if(strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
      continue;
    if(unlinkat(dir, e->d_name, 0) < 0)
      remove_dir(dir, top, e->d_name, depth);
  }
  if(d)
    closedir(d);
}

static void
empty(const char *dir)
{
  struct stat st = {0};

  for(int i = 0; i < 1000; i++) {
    int fd = open(dir, O_RDONLY | O_DIRECTORY);

    if(fd < 0)
      return;
    remove_in(fd, fd, 0);
    fstat(fd, &st);
    close(fd);
    if(st.st_nlink <= 2)
      return;
  }
  say("%s cannot be emptied", dir);
}

void
clean_files(void)
{
  static const char *const anybodys[] = {"/tmp", "/var/tmp", "/dev/shm"}; // a worker's way up may have led there

  empty(disk_dir);
  empty(mem_dir);
  for(size_t i = 0; i < sizeof(anybodys) / sizeof(anybodys[0]) && geteuid() == 0; i++)
    empty(anybodys[i]);
  mkdir(mem_dir, 01777);
  chmod(disk_dir, 01777);
  chmod(mem_dir, 01777);
}

// Names below dir that are younger than the harness: what a count of inodes that is wrong may come from.
void
clean_tell(const char *dir, long since)
{
  DIR *d = opendir(dir);
  struct dirent *e;
  struct stat st;
  char path[LINE];

  while(d && (e = readdir(d)) != 0) {
    if(strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
      continue;
    snprintf(path, sizeof(path), "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, e->d_name);
    if(lstat(path, &st) < 0)
      continue;
    if(st.st_ctime > since)
      say("  %s, mode %o, %d links, %lld bytes, owner %d", path, st.st_mode, (int)st.st_nlink, (long long)st.st_size,
          (int)st.st_uid);
    if(S_ISDIR(st.st_mode) && strcmp(path, "/proc") != 0)
      clean_tell(path, since);
  }
  if(d)
    closedir(d);
}

// ---- Mounts below our folders

static int
unmount_ours(void)
{
  FILE *f = fopen("/proc/mounts", "r");
  char line[LINE], what[LINE], at[LINE];
  int n = 0;

  while(f && fgets(line, sizeof(line), f))
    if(sscanf(line, "%511s %511s", what, at) == 2 && strncmp(at, mem_dir, strlen(mem_dir)) == 0)
      n += umount2(at, 0) == 0;
  if(f)
    fclose(f);
  return n;
}

void
clean_mounts(void)
{
  while(unmount_ours() > 0)
    ;
}

// ---- System V shared memory

void
clean_shm(void)
{
  FILE *f = fopen("/proc/sysvipc/shm", "r");
  char line[LINE];
  long key, id;

  while(f && fgets(line, sizeof(line), f))
    if(sscanf(line, "%ld %ld", &key, &id) == 2)
      syscall(SYS_shmctl, id, RMID, 0);
  if(f)
    fclose(f);
}
