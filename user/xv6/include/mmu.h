// mmu.h -- pages, and the bits of the processor's words that a program may want to print.
#pragma once
#define FL_IF      0x00000200
#define NPDENTRIES 1024
#define NPTENTRIES 1024
#define PGSIZE     4096
#define PGSHIFT    12
#define PTXSHIFT   12
#define PDXSHIFT   22

#define PDX(va)         (((uint)(long)(va) >> PDXSHIFT) & 0x3FF)
#define PTX(va)         (((uint)(long)(va) >> PTXSHIFT) & 0x3FF)
#define PGADDR(d, t, o) ((uint)((d) << PDXSHIFT | (t) << PTXSHIFT | (o)))
#define PGROUNDUP(sz)   (((sz) + PGSIZE - 1) & ~(PGSIZE - 1))
#define PGROUNDDOWN(a)  ((a) & ~(PGSIZE - 1))

#define PTE_P  0x001
#define PTE_W  0x002
#define PTE_U  0x004
#define PTE_A  0x020
#define PTE_D  0x040
#define PTE_PS 0x080
