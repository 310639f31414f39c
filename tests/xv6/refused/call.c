#include "types.h"
#include "user.h"
#include "syscall.h"
#include "traps.h"

int
main(void)
{
  int pid;

  asm volatile("int %1" : "=a"(pid) : "n"(T_SYSCALL), "0"(SYS_getpid)); // line 11
  exit();
}
