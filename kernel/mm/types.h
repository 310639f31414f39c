// types.h -- addresses, protections, page arithmetic.
#pragma once
#include "lib/util.h"

typedef uint64_t vaddr_t; // a program's address
typedef uint64_t paddr_t; // a physical address

enum { PAGE_SHIFT = 12, STRETCH_SHIFT = 21 };
#define PAGE_SIZE 4096ull
#define STRETCH   (1ull << STRETCH_SHIFT) // 2 MiB: one slot lock, one page-table page
#define USER_TOP  0x00007ffffffff000ull   // end of a program's addresses; the last page stays free (sysret errata)
#define MMAP_MIN  0x10000ull              // where vm.mmap_min_addr begins; page 0 is refused to everyone

// What may be done with memory. The values are Linux's PROT_* (asserted in syscall/abi.h).
enum prot { PROT_N = 0, PROT_R = 1, PROT_W = 2, PROT_X = 4 };

static inline uint64_t
page_down(uint64_t x)
{
  return x & ~(PAGE_SIZE - 1);
}

static inline uint64_t
page_up(uint64_t x) // wraps to 0 above the last page
{
  return page_down(x + PAGE_SIZE - 1);
}

static inline bool
page_aligned(uint64_t x)
{
  return (x & (PAGE_SIZE - 1)) == 0;
}

static inline vaddr_t
stretch_end(vaddr_t va) // where the stretch of va ends
{
  return (va | (STRETCH - 1)) + 1;
}
