// echo.c -- print the arguments.
#include "types.h"
#include "user.h"

int
main(int argc, char **argv)
{
  int i;

  for(i = 1; i < argc; i++)
    printf(1, i > 1 ? " %s" : "%s", argv[i]);
  printf(1, "\n");
  exit();
}
