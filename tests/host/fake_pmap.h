// fake_pmap.h -- what fake_pmap.c offers a host test besides mm/pmap.h: a machine that forgets entries, whose other CPUs
// keep translations until a shootdown, and a processor that loads and stores through them.
#pragma once
#include "mm/mm.h"

// 0: a well-behaved machine. Else, by this seed, it drops entries, refuses pmap_prepare, and has other CPUs at random.
void fake_pmap_seed(uint64_t seed);
extern unsigned fake_pmap_delay; // microseconds that other CPUs take to answer half of the shootdowns
// A program's access, as the worst CPU would do it: by its own old translation if it has one that permits it, else by the
// entry, else through fault(). 0 or fault()'s error.
int fake_cpu_load(struct aspace *as, vaddr_t va, uint8_t *value);
int fake_cpu_store(struct aspace *as, vaddr_t va, uint8_t value);
