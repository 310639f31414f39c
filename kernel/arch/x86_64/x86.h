// x86.h -- one inline function per instruction that C cannot say, and the numbers of the architecture: control-register
// bits, model-specific registers, page-table bits. No policy, no state. Only this folder includes it.
#pragma once

// Control registers.
#define CR0_PE 0x1
#define CR0_MP 0x2
#define CR0_EM 0x4
#define CR0_TS 0x8
#define CR0_NE 0x20
#define CR0_WP 0x10000
#define CR0_AM 0x40000
#define CR0_NW 0x20000000
#define CR0_CD 0x40000000
#define CR0_PG 0x80000000

#define CR4_PSE        0x8
#define CR4_PAE        0x20
#define CR4_MCE        0x40
#define CR4_PGE        0x80
#define CR4_OSFXSR     0x200
#define CR4_OSXMMEXCPT 0x400
#define CR4_UMIP       0x800
#define CR4_FSGSBASE   0x10000
#define CR4_PCIDE      0x20000
#define CR4_OSXSAVE    0x40000
#define CR4_SMEP       0x100000
#define CR4_SMAP       0x200000
#define CR4_PKE        0x400000

// Model-specific registers.
#define MSR_TSC            0x10
#define MSR_APIC_BASE      0x1b
#define MSR_PAT            0x277
#define MSR_MISC_ENABLE    0x1a0
#define MSR_TSC_DEADLINE   0x6e0
#define MSR_X2APIC         0x800 // + (xAPIC offset >> 4)
#define MSR_EFER           0xc0000080
#define MSR_STAR           0xc0000081
#define MSR_LSTAR          0xc0000082
#define MSR_CSTAR          0xc0000083
#define MSR_SFMASK         0xc0000084
#define MSR_FS_BASE        0xc0000100
#define MSR_GS_BASE        0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102
#define MSR_TSC_AUX        0xc0000103

#define EFER_SCE 0x1
#define EFER_LME 0x100
#define EFER_LMA 0x400
#define EFER_NXE 0x800

#define APIC_BASE_BSP    0x100
#define APIC_BASE_X2APIC 0x400
#define APIC_BASE_ENABLE 0x800

// RFLAGS.
#define FLAG_CF    0x1
#define FLAG_FIXED 0x2 // always 1
#define FLAG_PF    0x4
#define FLAG_AF    0x10
#define FLAG_ZF    0x40
#define FLAG_SF    0x80
#define FLAG_TF    0x100
#define FLAG_IF    0x200
#define FLAG_DF    0x400
#define FLAG_OF    0x800
#define FLAG_IOPL  0x3000
#define FLAG_NT    0x4000
#define FLAG_RF    0x10000
#define FLAG_AC    0x40000
#define FLAG_ID    0x200000

// Page-table entries. Bits 9-11 and 52-58 are free for software.
#define PTE_P        0x1
#define PTE_W        0x2
#define PTE_U        0x4
#define PTE_PWT      0x8
#define PTE_PCD      0x10
#define PTE_A        0x20
#define PTE_D        0x40
#define PTE_LARGE    0x80 // in the second and third level: a 1 GiB or 2 MiB page
#define PTE_PAT      0x80 // in the last level
#define PTE_G        0x100
#define PTE_STORED   0x200 // software: there was the right to write, though it may be gone again
#define PTE_SOFT1    0x400
#define PTE_SOFT2    0x800
#define PTE_ADDR     0x000ffffffffff000
#define PTE_NX       0x8000000000000000
#define PTE_COUNT    512 // entries of one table
#define PTE_SHIFT    9   // address bits of one level
#define PTE_UNCACHED (PTE_PCD | PTE_PWT)

// Error code of a page fault. RSVD is tested alone: the emulator reports it without P.
#define PF_P    0x1
#define PF_W    0x2
#define PF_U    0x4
#define PF_RSVD 0x8
#define PF_I    0x10
#define PF_PK   0x20

// Exceptions.
#define EXC_DE  0
#define EXC_DB  1
#define EXC_NMI 2
#define EXC_BP  3
#define EXC_OF  4
#define EXC_BR  5
#define EXC_UD  6
#define EXC_NM  7
#define EXC_DF  8
#define EXC_TS  10
#define EXC_NP  11
#define EXC_SS  12
#define EXC_GP  13
#define EXC_PF  14
#define EXC_MF  16
#define EXC_AC  17
#define EXC_MC  18
#define EXC_XM  19
#define EXC_VE  20
#define EXC_CP  21
#define EXC_END 32 // vectors below are exceptions

#ifndef __ASSEMBLER__
#include <stdint.h>

static inline uint64_t
rdmsr(uint32_t msr)
{
  uint32_t lo, hi;

  __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
  return (uint64_t)hi << 32 | lo;
}

static inline void
wrmsr(uint32_t msr, uint64_t v)
{
  __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}

struct cpuid {
  uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid
cpuid(uint32_t leaf, uint32_t sub)
{
  struct cpuid r;

  __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(sub));
  return r;
}

static inline uint8_t
in8(uint16_t port)
{
  uint8_t v;

  __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
  return v;
}

static inline uint16_t
in16(uint16_t port)
{
  uint16_t v;

  __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
  return v;
}

static inline uint32_t
in32(uint16_t port)
{
  uint32_t v;

  __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
  return v;
}

static inline void
out8(uint16_t port, uint8_t v)
{
  __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline void
out16(uint16_t port, uint16_t v)
{
  __asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline void
out32(uint16_t port, uint32_t v)
{
  __asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

struct table_pointer { // operand of lgdt and lidt
  uint16_t limit;
  uint64_t base;
} __attribute__((packed));

static inline void
lgdt(const struct table_pointer *p)
{
  __asm__ volatile("lgdt %0" : : "m"(*p) : "memory");
}

static inline void
lidt(const struct table_pointer *p)
{
  __asm__ volatile("lidt %0" : : "m"(*p) : "memory");
}

static inline void
ltr(uint16_t selector)
{
  __asm__ volatile("ltr %0" : : "r"(selector) : "memory");
}

#define CONTROL_REGISTER(n)                                                                                            \
  static inline uint64_t read_##n(void)                                                                                \
  {                                                                                                                    \
    uint64_t v;                                                                                                        \
                                                                                                                       \
    __asm__ volatile("movq %%" #n ", %0" : "=r"(v) : : "memory");                                                      \
    return v;                                                                                                          \
  }                                                                                                                    \
  static inline void write_##n(uint64_t v)                                                                             \
  {                                                                                                                    \
    __asm__ volatile("movq %0, %%" #n : : "r"(v) : "memory");                                                          \
  }
CONTROL_REGISTER(cr0)
CONTROL_REGISTER(cr2)
CONTROL_REGISTER(cr3)
CONTROL_REGISTER(cr4)
CONTROL_REGISTER(dr6)
CONTROL_REGISTER(dr7)

static inline void
invlpg(uintptr_t va)
{
  __asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

static inline void
sti(void)
{
  __asm__ volatile("sti" : : : "memory");
}

static inline void
cli(void)
{
  __asm__ volatile("cli" : : : "memory");
}

static inline void
hlt(void)
{
  __asm__ volatile("hlt" : : : "memory");
}

static inline void
sti_hlt(void) // no interrupt comes between the two
{
  __asm__ volatile("sti; hlt" : : : "memory");
}

static inline void
pause(void)
{
  __asm__ volatile("pause" : : : "memory");
}

static inline uint64_t
read_rflags(void)
{
  uint64_t v;

  __asm__ volatile("pushfq; popq %0" : "=r"(v) : : "memory");
  return v;
}

static inline uint64_t
rdtsc(void)
{
  uint32_t lo, hi;

  __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
  return (uint64_t)hi << 32 | lo;
}

static inline uint64_t
xgetbv(uint32_t i)
{
  uint32_t lo, hi;

  __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(i));
  return (uint64_t)hi << 32 | lo;
}

static inline void
xsetbv(uint32_t i, uint64_t v)
{
  __asm__ volatile("xsetbv" : : "c"(i), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}

static inline void
stac(void)
{
  __asm__ volatile("stac" : : : "memory");
}

static inline void
clac(void)
{
  __asm__ volatile("clac" : : : "memory");
}

static inline uint64_t
rdfsbase(void)
{
  uint64_t v;

  __asm__ volatile("rdfsbase %0" : "=r"(v) : : "memory");
  return v;
}

static inline void
wrfsbase(uint64_t v)
{
  __asm__ volatile("wrfsbase %0" : : "r"(v) : "memory");
}

static inline int
rdrand(uint64_t *v) // 1 if it delivered
{
  uint8_t ok;

  __asm__ volatile("rdrand %0; setc %1" : "=r"(*v), "=qm"(ok) : : "cc");
  return ok;
}

static inline void
fxsave(void *p)
{
  __asm__ volatile("fxsave64 (%0)" : : "r"(p) : "memory");
}

static inline void
fxrstor(const void *p)
{
  __asm__ volatile("fxrstor64 (%0)" : : "r"(p) : "memory");
}

static inline void
xsave(void *p, uint64_t mask)
{
  __asm__ volatile("xsave64 (%0)" : : "r"(p), "a"((uint32_t)mask), "d"((uint32_t)(mask >> 32)) : "memory");
}

static inline void
xrstor(const void *p, uint64_t mask)
{
  __asm__ volatile("xrstor64 (%0)" : : "r"(p), "a"((uint32_t)mask), "d"((uint32_t)(mask >> 32)) : "memory");
}

static inline void
load_data_segments(uint16_t selector) // not %gs, which would lose its base
{
  __asm__ volatile("movw %0, %%ds; movw %0, %%es; movw %0, %%ss" : : "r"(selector) : "memory");
}

static inline void
load_fs_gs(uint16_t selector) // both bases become 0
{
  __asm__ volatile("movw %0, %%fs; movw %0, %%gs" : : "r"(selector) : "memory");
}

static inline void
load_code_segment(uint64_t selector)
{
  __asm__ volatile("pushq %0; leaq 1f(%%rip), %%rax; pushq %%rax; lretq; 1:" : : "r"(selector) : "rax", "memory");
}
#endif
