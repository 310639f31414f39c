// init.c -- what xv6 starts first: open the console, run a shell, and again when it ends. Here another init has done that, so
// this one is for trying, and for programs that expect such a file.
#include "types.h"
#include "user.h"
#include "fcntl.h"

int
main(void)
{
  char *argv[] = {"sh", 0};
  int shell, child;

  if(open("console", O_RDWR) < 0) {
    mknod("console", 1, 1);
    open("console", O_RDWR);
  }
  dup(0); // standard output
  dup(0); // and errors
  while((shell = fork()) >= 0) {
    printf(1, "init: starting sh\n");
    if(shell == 0) {
      exec("sh", argv);
      printf(1, "init: there is no sh\n");
      exit();
    }
    while((child = wait()) >= 0 && child != shell)
      printf(1, "zombie!\n"); // it had no parent but us
    if(child < 0)
      break;
    sleep(100);
  }
  printf(1, "init: cannot fork\n");
  exit();
}
