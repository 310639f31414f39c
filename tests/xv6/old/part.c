// part.c -- no program. Nor would it compile: it is a piece of some library.
#include "x86.h"

int
part(void)
{
  return 1;
}
