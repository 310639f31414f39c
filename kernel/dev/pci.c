// pci.c -- find what is on the PCI buses, once, at start.
// Typical: pci_init(); then a driver walks pci_next(), takes its ids, and uses pci_map_bar and pci_msix_*.
// Reaches configuration space through the memory window where firmware named one, else through ports.
// Assigns nothing: a BAR that firmware left at 0 is refused. Must not know what any device does.
#include "dev/pci.h"
#include "core/lock.h"
#include "core/print.h"
#include "dev/dev.h"
#include "lib/errno.h"
#include "mm/mm.h"

enum { // configuration space
  PCI_VENDOR = 0x00,
  PCI_DEVICE = 0x02,
  PCI_COMMAND = 0x04,
  PCI_STATUS = 0x06,
  PCI_CLASS = 0x08, // class in 31:8
  PCI_HEADER = 0x0e,
  PCI_BAR0 = 0x10,
  PCI_SECONDARY = 0x19,
  PCI_CAPABILITIES = 0x34,
  COMMAND_IO = 1,
  COMMAND_MEMORY = 2,
  COMMAND_MASTER = 4,
  COMMAND_NO_PIN = 1 << 10,
  STATUS_CAPABILITIES = 1 << 4,
  HEADER_TYPE = 0x7f,
  HEADER_MULTI = 0x80,
  HEADER_DEVICE = 0,
  HEADER_BRIDGE = 1,
  BAR_IO = 1,
  BAR_TYPE = 6,
  BAR_64 = 4,
  BAR_FLAGS_MEMORY = 0xf,
  BAR_FLAGS_IO = 3,
  NO_VENDOR = 0xffff,
};
enum { // addresses
  PORT_ADDRESS = 0xcf8,
  PORT_DATA = 0xcfc,
  BUSES = 256,
  DEVICES = 32,
  FUNCTIONS = 8,
  DEV_SHIFT = 15, // in the memory window
  FN_SHIFT = 12,
  PORT_BUS_SHIFT = 16,
  PORT_DEV_SHIFT = 11,
  PORT_FN_SHIFT = 8,
  PORT_SPACE = 256,
  CAPABILITIES_MAX = 48, // more than fit: a loop
  CAPABILITY_FIRST = 0x40,
};
#define PORT_ENABLE 0x80000000u
enum { // MSI-X
  MSIX_CONTROL = 2,
  MSIX_TABLE = 4,
  MSIX_LAST = 0x7ff,
  MSIX_MASK_ALL = 1 << 14,
  MSIX_ENABLE = 1 << 15,
  MSIX_BAR = 7,
  ENTRY_BYTES = 16,
  ENTRY_ADDRESS = 0,
  ENTRY_ADDRESS_HIGH = 4,
  ENTRY_DATA = 8,
  ENTRY_CONTROL = 12,
  ENTRY_MASKED = 1,
};

static struct list pci_all = LIST_INIT(pci_all);                  // (c) after pci_init
static volatile uint8_t *pci_window[BUSES];                       // (c) after pci_init: by bus, 0: through ports
static bool pci_seen[BUSES];                                      // only pci_init
static struct spinlock pci_lock = SPINLOCK_INIT("pci", RANK_DEV); // the two ports belong together

static volatile uint8_t *
pci_register(const struct pci_dev *d, int reg)
{
  volatile uint8_t *w = pci_window[d->bus];

  return w ? w + (d->dev << DEV_SHIFT | d->fn << FN_SHIFT) + reg : 0;
}

static uint32_t
pci_port_address(const struct pci_dev *d, int reg)
{
  return PORT_ENABLE | d->bus << PORT_BUS_SHIFT | d->dev << PORT_DEV_SHIFT | d->fn << PORT_FN_SHIFT | (reg & ~3);
}

static uint32_t
pci_port_read(const struct pci_dev *d, int reg, int width)
{
  uint32_t v;

  spin_acquire(&pci_lock);
  port_out32(PORT_ADDRESS, pci_port_address(d, reg));
  v = width == 1   ? port_in8(PORT_DATA + (reg & 3))
      : width == 2 ? port_in16(PORT_DATA + (reg & 2))
                   : port_in32(PORT_DATA);
  spin_release(&pci_lock);
  return v;
}

static void
pci_port_write(const struct pci_dev *d, int reg, int width, uint32_t v)
{
  spin_acquire(&pci_lock);
  port_out32(PORT_ADDRESS, pci_port_address(d, reg));
  if(width == 1)
    port_out8(PORT_DATA + (reg & 3), v);
  else if(width == 2)
    port_out16(PORT_DATA + (reg & 2), v);
  else
    port_out32(PORT_DATA, v);
  spin_release(&pci_lock);
}

uint32_t
pci_read(const struct pci_dev *d, int reg, int width)
{
  volatile uint8_t *p = pci_register(d, reg);

  if(p == 0)
    return reg < PORT_SPACE ? pci_port_read(d, reg, width) : UINT32_MAX;
  return width == 1 ? *p : width == 2 ? *(volatile uint16_t *)p : *(volatile uint32_t *)p;
}

void
pci_write(const struct pci_dev *d, int reg, int width, uint32_t v)
{
  volatile uint8_t *p = pci_register(d, reg);

  if(p == 0) {
    if(reg < PORT_SPACE)
      pci_port_write(d, reg, width, v);
  } else if(width == 1) {
    *p = v;
  } else if(width == 2) {
    *(volatile uint16_t *)p = v;
  } else {
    *(volatile uint32_t *)p = v;
  }
}

int
pci_capability(const struct pci_dev *d, int id, int after)
{
  int at = after ? after + 1 : PCI_CAPABILITIES;

  if(!(pci_read(d, PCI_STATUS, 2) & STATUS_CAPABILITIES))
    return 0;
  for(int i = 0; i < CAPABILITIES_MAX; i++) {
    at = pci_read(d, at, 1) & ~3;
    if(at < CAPABILITY_FIRST)
      return 0;
    if(pci_read(d, at, 1) == id)
      return at;
    at++; // the pointer to the next one
  }
  return 0;
}

// What BAR i says, by writing ones and reading back; decoding is off meanwhile. How many registers it takes.
static int
pci_size_bar(struct pci_dev *d, int i)
{
  int reg = PCI_BAR0 + i * (int)sizeof(uint32_t);
  uint32_t was = pci_read(d, reg, 4), flags, high = 0;
  struct pci_bar *b = &d->bar[i];
  bool wide = !(was & BAR_IO) && (was & BAR_TYPE) == BAR_64 && i + 1 < PCI_BARS;
  uint64_t mask;

  flags = was & BAR_IO ? BAR_FLAGS_IO : BAR_FLAGS_MEMORY;
  pci_write(d, reg, 4, UINT32_MAX);
  mask = pci_read(d, reg, 4) & ~flags;
  pci_write(d, reg, 4, was);
  if(wide) {
    high = pci_read(d, reg + 4, 4);
    pci_write(d, reg + 4, 4, UINT32_MAX);
    mask |= (uint64_t)pci_read(d, reg + 4, 4) << 32;
    pci_write(d, reg + 4, 4, high);
  } else if(mask) {
    mask |= UINT64_MAX << 32;
  }
  b->io = was & BAR_IO;
  b->pa = (was & ~flags) | (uint64_t)high << 32;
  b->size = mask ? ~mask + 1 : 0;
  if(b->io)
    b->size &= UINT16_MAX;
  return wide ? 2 : 1;
}

static void pci_scan_bus(int bus);

// Remember the function at d's place; go on behind a bridge. false: nobody is there.
static bool
pci_scan_function(const struct pci_dev *at)
{
  uint32_t vendor = pci_read(at, PCI_VENDOR, 2), command, type;
  struct pci_dev *d;

  if(vendor == NO_VENDOR)
    return false;
  d = kzalloc(sizeof(*d));
  if(d == 0) {
    print("pci: no memory for %02x:%02x.%x\n", at->bus, at->dev, at->fn);
    return true;
  }
  *d = *at;
  d->vendor = vendor;
  d->device = pci_read(d, PCI_DEVICE, 2);
  d->class = pci_read(d, PCI_CLASS, 4) >> 8;
  list_add_tail(&pci_all, &d->all);
  type = pci_read(d, PCI_HEADER, 1) & HEADER_TYPE;
  if(type == HEADER_DEVICE) {
    command = pci_read(d, PCI_COMMAND, 2);
    pci_write(d, PCI_COMMAND, 2, command & ~(COMMAND_IO | COMMAND_MEMORY));
    for(int i = 0; i < PCI_BARS;)
      i += pci_size_bar(d, i);
    pci_write(d, PCI_COMMAND, 2, command);
  } else if(type == HEADER_BRIDGE) {
    pci_scan_bus(pci_read(d, PCI_SECONDARY, 1));
  }
  return true;
}

// A bridge that firmware gave no bus says 0, which has been seen by then.
static void
pci_scan_bus(int bus)
{
  struct pci_dev at = {.bus = bus};

  if(pci_seen[bus])
    return;
  pci_seen[bus] = true;
  pci_window[bus] = pci_ecam(bus);
  for(int dev = 0; dev < DEVICES; dev++) {
    at.dev = dev;
    at.fn = 0;
    if(!pci_scan_function(&at) || !(pci_read(&at, PCI_HEADER, 1) & HEADER_MULTI))
      continue;
    for(int fn = 1; fn < FUNCTIONS; fn++) {
      at.fn = fn;
      pci_scan_function(&at);
    }
  }
}

void
pci_init(void)
{
  pci_scan_bus(0);
}

struct pci_dev *
pci_next(struct pci_dev *d)
{
  struct list *next = d ? d->all.next : pci_all.next;

  return next == &pci_all ? 0 : list_entry(next, struct pci_dev, all);
}

volatile uint8_t *
pci_map_bar(struct pci_dev *d, int bar, uint64_t off, uint64_t len)
{
  struct pci_bar *b = &d->bar[bar];

  if(bar >= PCI_BARS || b->size == 0 || b->io || off > b->size || len > b->size - off) {
    print("pci: %02x:%02x.%x has no registers where it says they are (BAR %d)\n", d->bus, d->dev, d->fn, bar);
    return 0;
  }
  if(b->pa == 0) {
    print("pci: %02x:%02x.%x: firmware assigned no address to BAR %d; device not used\n", d->bus, d->dev, d->fn, bar);
    return 0;
  }
  return mmio_map(b->pa + off, len);
}

void
pci_enable(struct pci_dev *d)
{
  uint32_t command = pci_read(d, PCI_COMMAND, 2);

  pci_write(d, PCI_COMMAND, 2, command | COMMAND_MEMORY | COMMAND_MASTER | COMMAND_NO_PIN);
}

int
pci_msix_enable(struct pci_dev *d)
{
  int cap = pci_capability(d, PCI_CAP_MSIX, 0);
  uint32_t control, table;

  if(cap == 0)
    return -ENODEV;
  control = pci_read(d, cap + MSIX_CONTROL, 2);
  table = pci_read(d, cap + MSIX_TABLE, 4);
  d->msix_entries = (control & MSIX_LAST) + 1;
  d->msix_table = pci_map_bar(d, table & MSIX_BAR, table & ~MSIX_BAR, d->msix_entries * ENTRY_BYTES);
  if(d->msix_table == 0)
    return -ENODEV;
  pci_write(d, cap + MSIX_CONTROL, 2, control | MSIX_ENABLE | MSIX_MASK_ALL);
  for(int i = 0; i < d->msix_entries; i++)
    *(volatile uint32_t *)(d->msix_table + i * ENTRY_BYTES + ENTRY_CONTROL) = ENTRY_MASKED;
  pci_write(d, cap + MSIX_CONTROL, 2, (control | MSIX_ENABLE) & ~MSIX_MASK_ALL);
  return 0;
}

int
pci_msix_route(struct pci_dev *d, int i, void (*fn)(void *), void *arg)
{
  volatile uint8_t *entry = d->msix_table + i * ENTRY_BYTES;
  uint64_t address;
  uint32_t data;
  int err;

  if(d->msix_table == 0 || i >= d->msix_entries)
    return -EINVAL;
  err = irq_alloc_msi(fn, arg, &address, &data);
  if(err)
    return err;
  *(volatile uint32_t *)(entry + ENTRY_ADDRESS) = address;
  *(volatile uint32_t *)(entry + ENTRY_ADDRESS_HIGH) = address >> 32;
  *(volatile uint32_t *)(entry + ENTRY_DATA) = data;
  *(volatile uint32_t *)(entry + ENTRY_CONTROL) = 0;
  return 0;
}
