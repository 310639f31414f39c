// pointers.c -- a program that takes an int for large enough for an address, and old C in other respects.
#include "types.h"
#include "stat.h"
#include "user.h"
#include "mman.h"

main(argc, argv) int argc;
char **argv;
{
  int at = mmap(0, 4096, PROT_WRITE, MAP_ANONYMOUS, -1, 0), heap = sbrk(4096);

  printf(1, "%s %s\n", at % 4096 ? "crooked" : "aligned", at > 0 && heap > 0 ? "positive" : "negative");
  *(char *)at = 'm';
  *(char *)heap = 'h';
  later(*(char *)at, *(char *)heap);
}

later(a, b)
{
  printf(1, "%c%c\n", a, b);
}
