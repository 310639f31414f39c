// dev.h -- start-up of drivers, and the two kinds of device.
#pragma once
#include "lib/util.h"
#include "mm/types.h"

void pci_init(void);                      // enumerate; drivers attach by id
void virtio_blk_init(void);               // every virtio disk: vda, vdb, ...
void virtio_rng_init(void);               // starts a thread that feeds random_mix
void ramdisk_add(paddr_t lo, paddr_t hi); // a boot module, bytes [lo, hi) of RAM, as disk ram0, ram1, ...
void uart_init(void);                     // polled output first; nothing else need be up
void uart_start(void);                    // interrupts and the terminal; threads can be started
void rtc_init(void);                      // wall clock; after clock_init

// random.c: a seeded generator (ChaCha20), reseeded from virtio-rng and the CPU. Any context.
void random_bytes(void *buf, size_t n);
void random_mix(const void *buf, size_t n);
bool random_ready(void); // seeds if that is due (CPU, clock jitter, devices so far); always true on return

// Interrupts, from arch: a vector for a handler. MSI: *addr and *data for the device. 0 or -ENOSPC.
int irq_alloc_msi(void (*fn)(void *), void *arg, uint64_t *addr, uint32_t *data);
int irq_request_legacy(int isa_irq, void (*fn)(void *), void *arg); // through the IOAPIC, ACPI overrides applied
// From arch: map device registers uncached; ports.
volatile void *mmio_map(uint64_t pa, size_t len);
uint8_t port_in8(uint16_t p);
uint16_t port_in16(uint16_t p);
uint32_t port_in32(uint16_t p);
void port_out8(uint16_t p, uint8_t v);
void port_out16(uint16_t p, uint16_t v);
void port_out32(uint16_t p, uint32_t v);
// From arch: the memory window of PCI configuration space for one bus (1 MiB), or 0 if firmware named none.
volatile uint8_t *pci_ecam(int bus);
