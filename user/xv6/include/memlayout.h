// memlayout.h -- where xv6's memory lies. A program's own memory ends at KERNBASE here too: the heap does not grow past
// it, and mmap stays below it while there is room. What xv6 had above it is out of reach, and P2V and V2P say so.
#pragma once
#define EXTMEM   0x100000
#define PHYSTOP  0xE000000
#define DEVSPACE 0xFE000000
#define KERNBASE 0x80000000
#define KERNLINK (KERNBASE + EXTMEM)

long kernel_address(void)
    __attribute__((error("no program reaches the kernel's memory: read /proc for what it tells")));
#define V2P(a)    ((uint)kernel_address())
#define P2V(a)    ((void *)kernel_address())
#define V2P_WO(a) kernel_address()
#define P2V_WO(a) kernel_address()
