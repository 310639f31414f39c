// forktest.c -- fork until there are no processes left, then wait for all. It has a printf of its own, so that little is
// linked and copied.
#include "types.h"
#include "user.h"
#include "param.h"

enum { MANY = 1000 };

void
printf(int fd, const char *s, ...)
{
  write(fd, s, strlen(s));
}

int
main(void)
{
  int n, pid;

  printf(1, "fork test\n");
  for(n = 0; n < MANY; n++) {
    if((pid = fork()) < 0)
      break;
    if(pid == 0)
      exit();
  }
  if(n == MANY || n < NPROC / 2)
    printf(1, "forktest: fork did not end where NPROC says\n");
  for(; n > 0; n--) {
    if(wait() < 0) {
      printf(1, "forktest: a child is missing\n");
      exit();
    }
  }
  if(wait() != -1)
    printf(1, "forktest: there is a child too many\n");
  else
    printf(1, "fork test OK\n");
  exit();
}
