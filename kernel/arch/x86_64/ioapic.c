// ioapic.c -- routing of device interrupts that come by wire.
// Typical: ioapic_init() masks every input; ioapic_route(gsi, vec, hw_id, flags) opens one.
// Must not know which device an input belongs to.
#include "arch/x86_64/arch.h"
#include "core/lock.h"
#include "core/print.h"
#include "dev/dev.h"
#include "lib/util.h"

enum {
  IOAPIC_INDEX = 0, // byte offsets of the two registers
  IOAPIC_DATA = 0x10,
  IOAPIC_LEN = 0x20,
  IOAPIC_VERSION = 1,
  IOAPIC_LAST_SHIFT = 16,
  IOAPIC_LAST_MASK = 0xff,
  IOAPIC_ENTRY = 0x10, // entry n: 0x10 + 2n low, 0x11 + 2n high
  ENTRY_ACTIVE_LOW = 1 << 13,
  ENTRY_LEVEL = 1 << 15,
  ENTRY_MASKED = 1 << 16,
  ENTRY_DEST_SHIFT = 24,
  // MADT override flags
  FLAGS_POLARITY = 3,
  FLAGS_LOW = 3,
  FLAGS_TRIGGER = 0xc,
  FLAGS_LEVEL = 0xc,
};

static struct ioapic {
  volatile uint8_t *base; // (c)
  uint32_t gsi;           // (c) first input
  uint32_t n;             // (c) inputs
} ioapics[array_len(acpi.ioapic)];
static struct spinlock ioapic_lock = SPINLOCK_INIT("ioapic", RANK_DEV); // index and data belong together

static uint32_t
ioapic_read(struct ioapic *io, uint32_t reg)
{
  *(volatile uint32_t *)(io->base + IOAPIC_INDEX) = reg;
  return *(volatile uint32_t *)(io->base + IOAPIC_DATA);
}

static void
ioapic_write(struct ioapic *io, uint32_t reg, uint32_t v)
{
  *(volatile uint32_t *)(io->base + IOAPIC_INDEX) = reg;
  *(volatile uint32_t *)(io->base + IOAPIC_DATA) = v;
}

void
ioapic_init(void)
{
  for(int i = 0; i < acpi.nioapic; i++) {
    struct ioapic *io = &ioapics[i];

    io->base = mmio_map(acpi.ioapic[i], IOAPIC_LEN);
    if(io->base == 0)
      panic("ioapic: no memory to map %lx", acpi.ioapic[i]);
    io->gsi = acpi.ioapic_gsi[i];
    io->n = (ioapic_read(io, IOAPIC_VERSION) >> IOAPIC_LAST_SHIFT & IOAPIC_LAST_MASK) + 1;
    for(uint32_t e = 0; e < io->n; e++)
      ioapic_write(io, IOAPIC_ENTRY + 2 * e, ENTRY_MASKED);
  }
}

// Send input `gsi` to vector vec of the CPU hw_id. flags: polarity and trigger as in a MADT override, 0 for ISA's
// (active high, edge). An input that no IOAPIC has is ignored.
void
ioapic_route(uint32_t gsi, int vec, uint32_t hw_id, uint16_t flags)
{
  uint32_t low = vec;

  if((flags & FLAGS_POLARITY) == FLAGS_LOW)
    low |= ENTRY_ACTIVE_LOW;
  if((flags & FLAGS_TRIGGER) == FLAGS_LEVEL)
    low |= ENTRY_LEVEL;
  for(int i = 0; i < acpi.nioapic; i++) {
    struct ioapic *io = &ioapics[i];

    if(gsi < io->gsi || gsi - io->gsi >= io->n)
      continue;
    spin_acquire(&ioapic_lock);
    ioapic_write(io, IOAPIC_ENTRY + 2 * (gsi - io->gsi) + 1, hw_id << ENTRY_DEST_SHIFT);
    ioapic_write(io, IOAPIC_ENTRY + 2 * (gsi - io->gsi), low);
    spin_release(&ioapic_lock);
    return;
  }
}
