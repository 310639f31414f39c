#include "types.h"
#include "user.h"

int
main(void)
{
  printf(1, "%p\n", kmalloc(100)); // line 7
  exit();
}
