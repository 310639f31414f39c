// ln.c -- give a file one more name.
#include "types.h"
#include "user.h"

int
main(int argc, char **argv)
{
  if(argc != 3)
    printf(2, "usage: ln file name\n");
  else if(link(argv[1], argv[2]) < 0)
    printf(2, "ln: cannot call %s %s\n", argv[1], argv[2]);
  exit();
}
