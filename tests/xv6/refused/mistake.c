#include "types.h"
#include "user.h"

int
main(void)
{
  return nothing; // line 7
}
