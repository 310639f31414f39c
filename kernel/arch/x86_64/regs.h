// regs.h -- the one frame layout of every entry, shared by C and assembly. At the top of the kernel stack.
#pragma once
#ifndef __ASSEMBLER__
#include <stdint.h>
#include <stdbool.h>
struct regs {
  uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
  uint64_t orig_rax; // system-call number, or error code of a trap, or -1 for an interrupt
  uint64_t rip, cs, rflags, rsp, ss;
};
static inline bool
regs_user(const struct regs *r)
{
  return (r->cs & 3) == 3;
}
#endif
#define REGS_ORIG_RAX 120
#define REGS_SIZE     168
