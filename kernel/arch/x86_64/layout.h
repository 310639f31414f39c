// layout.h -- the kernel's address map.
//
//   0000000000000000  a program (lower half, one pmap each)
//   ffff800000000000  DIRECT_MAP: all RAM, the largest pages that fit, no execute, writable except the kernel's text
//   ffffc00000000000  MMIO_MAP: device registers, uncached, 4 KiB pages, handed out upwards by mmio_map
//   ffffffff80000000  KERNEL_BASE: the image, at its physical address + KERNEL_BASE (linked at +1 MiB)
// The upper 256 entries of every top-level table are the same. Those that any of these areas will ever need are filled
// at boot (MMIO_MAP: one, 512 GiB), so none changes later.
#pragma once
#define DIRECT_MAP   0xffff800000000000
#define MMIO_MAP     0xffffc00000000000
#define KERNEL_BASE  0xffffffff80000000
#define KERNEL_PHYS  0x100000
#define AP_BOOT_PAGE 0x8000 // where apboot.S is copied: like all below 1 MiB kept from the frame allocator
