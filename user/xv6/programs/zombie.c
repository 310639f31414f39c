// zombie.c -- leave a child behind that has ended and that nobody waits for, until its parent ends too: then init does.
#include "types.h"
#include "user.h"

int
main(void)
{
  if(fork() > 0)
    sleep(5); // the child ends meanwhile
  exit();
}
