// literals.c -- xv6 maps every page of a program writable: its text, and the strings in it.
#include "types.h"
#include "user.h"

char *name = "file0";

int
main(void)
{
  name[4] = '1';
  printf(1, "%s\n", name);
  exit();
}
