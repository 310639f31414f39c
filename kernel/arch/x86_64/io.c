// io.c -- ports and device registers: the only way from kernel/dev to the machine.
// Typical: regs = mmio_map(bar, len); then plain volatile accesses; port_out8(0x70, 4).
// Must not know any device. Mappings are handed out upwards from MMIO_MAP and live for ever.
#include "arch/x86_64/arch.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/x86.h"
#include "core/print.h"
#include "dev/dev.h"
#include "lib/atomic.h"
#include "mm/mm.h"

static uint64_t io_next = MMIO_MAP; // (a) first address not handed out

// Enter [pa, pa + len) with `bits` into fresh kernel addresses. 0 if there is no memory for page tables.
static uint8_t *
io_map(paddr_t pa, size_t len, uint64_t bits)
{
  paddr_t lo = page_down(pa), hi = page_up(pa + len);
  uint64_t va = atomic_add(&io_next, hi - lo) - (hi - lo);

  for(uint64_t off = 0; off < hi - lo; off += PAGE_SIZE) {
    uint64_t *entry = pmap_kernel_entry(va + off, true);

    if(entry == 0)
      return 0;
    atomic_set(entry, (lo + off) | bits | PTE_P | PTE_A | PTE_G | PTE_NX);
  }
  return (uint8_t *)va + (pa - lo);
}

// Device registers at physical pa: uncached, writable, not executable. May be called from any thread, never from an
// interrupt. 0 if there is no memory for page tables.
volatile void *
mmio_map(uint64_t pa, size_t len)
{
  return io_map(pa, len, PTE_W | PTE_D | PTE_UNCACHED);
}

// Firmware's tables, wherever they lie: cached and read-only. 0 if there is no memory.
const void *
io_map_table(paddr_t pa, size_t len)
{
  return io_map(pa, len, 0);
}

// Registers of all functions on `bus`: uncached, mapped anew at each call. 0 if firmware named no window for it.
volatile uint8_t *
pci_ecam(int bus)
{
  enum { BUS_SHIFT = 20 };

  if(acpi.ecam == 0 || bus < acpi.ecam_bus_first || bus > acpi.ecam_bus_last)
    return 0;
  return mmio_map(acpi.ecam + ((uint64_t)bus << BUS_SHIFT), 1 << BUS_SHIFT);
}

uint8_t
port_in8(uint16_t p)
{
  return in8(p);
}

uint16_t
port_in16(uint16_t p)
{
  return in16(p);
}

uint32_t
port_in32(uint16_t p)
{
  return in32(p);
}

void
port_out8(uint16_t p, uint8_t v)
{
  out8(p, v);
}

void
port_out16(uint16_t p, uint16_t v)
{
  out16(p, v);
}

void
port_out32(uint16_t p, uint32_t v)
{
  out32(p, v);
}
