// syscall.h -- the edge between a program's registers and the kernel.
#pragma once
#include "lib/util.h"

struct regs;
// From arch's entry, interrupts on: finds the call, runs it, leaves the result in rax. Restart codes are left for signal_deliver.
void syscall_dispatch(struct regs *r);
void syscall_init(void); // strace= from the command line
