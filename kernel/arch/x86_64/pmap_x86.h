// pmap_x86.h -- what pmap.c and tlb.c share: the inside of a pmap.
// Lock keys: (a) atomic  (c) constant after creation
#pragma once
#include "arch/x86_64/arch.h"
#include "mm/mm.h"

struct pmap {
  uint64_t *top;    // (c) top-level table
  paddr_t top_pa;   // (c)
  uint64_t cpus;    // (a) bit per CPU that may hold translations
  uint32_t pending; // (a) shootdowns between changing entries and their finish (I5)
  uint64_t entries; // (a) present entries
  uint64_t tables;  // (a) table pages, top included
};

void tlb_raise(struct shootdown *sd, vaddr_t lo, vaddr_t hi); // entries of [lo, hi) were changed
void tlb_evict(struct pmap *pm);                              // no CPU has pm loaded any more. [wait]
void tlb_flush_self(vaddr_t va);
