// pci.h -- functions on the PCI buses: identity, registers, message interrupts.
// Lock keys: (c) constant after pci_init  (d) the one driver that attached
#pragma once
#include "lib/list.h"
#include "mm/types.h"

enum { PCI_BARS = 6, PCI_CAP_MSIX = 0x11, PCI_CAP_VENDOR = 0x09 };

struct pci_bar {
  paddr_t pa;    // (c) 0: firmware assigned nothing
  uint64_t size; // (c) 0: there is none
  bool io;       // (c) in port space
};
struct pci_dev {
  uint8_t bus, dev, fn;         // (c)
  uint16_t vendor, device;      // (c)
  uint32_t class;               // (c) 24 bits: class, subclass, interface
  struct pci_bar bar[PCI_BARS]; // (c)
  volatile uint8_t *msix_table; // (d) 0 until pci_msix_enable
  int msix_entries;             // (d)
  bool taken;                   // (d) a driver has it
  struct list all;              // (c)
};

struct pci_dev *pci_next(struct pci_dev *d);                    // all functions; 0 starts and ends
uint32_t pci_read(const struct pci_dev *d, int reg, int width); // configuration space; width in bytes: 1, 2, 4
void pci_write(const struct pci_dev *d, int reg, int width, uint32_t v);
// Offset of the next capability `id` after offset `after` (0: from the start); 0 if there is none.
int pci_capability(const struct pci_dev *d, int id, int after);
// Registers [off, off + len) of a memory BAR, mapped; 0, with a message, if it is absent, unassigned or too small.
volatile uint8_t *pci_map_bar(struct pci_dev *d, int bar, uint64_t off, uint64_t len);
void pci_enable(struct pci_dev *d);     // memory accesses and bus mastering on, interrupt pin off
int pci_msix_enable(struct pci_dev *d); // all entries masked; 0 or -ENODEV
// Entry `i` of the table calls fn(arg) in interrupt context. 0, -ENOSPC, -EINVAL.
int pci_msix_route(struct pci_dev *d, int i, void (*fn)(void *), void *arg);
