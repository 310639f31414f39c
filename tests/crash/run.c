// run.c -- run.h says what for.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "run.h"

extern char **environ;

static void
collect(int fd, char *said, size_t n)
{
  char rest[512];
  size_t have = 0;
  ssize_t got;

  while((got = read(fd, have + 1 < n ? said + have : rest, have + 1 < n ? n - 1 - have : sizeof(rest))) > 0)
    if(have + 1 < n)
      have += got;
  said[have] = 0;
}

int
run_program(char *const argv[], char *said, size_t n)
{
  posix_spawn_file_actions_t actions;
  int pipes[2], status, err;
  pid_t pid;

  if(pipe2(pipes, O_CLOEXEC) < 0)
    return -1;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipes[1], 1);
  posix_spawn_file_actions_adddup2(&actions, pipes[1], 2);
  err = posix_spawnp(&pid, argv[0], &actions, 0, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  close(pipes[1]);
  if(err == 0)
    collect(pipes[0], said, n);
  close(pipes[0]);
  if(err)
    return -1;
  while(waitpid(pid, &status, 0) < 0)
    if(errno != EINTR)
      return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
