#include "types.h"
#include "user.h"

int
main(void)
{
  asm volatile("nop; int $0x40; nop"); // line 7
  exit();
}
