#include "types.h"
#include "user.h"
#include "memlayout.h"

int
main(void)
{
  printf(1, "%x\n", *(ushort *)P2V(0xB8000)); // line 8
  exit();
}
