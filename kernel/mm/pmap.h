// pmap.h -- the machine's copy of one address space.
//
// A pmap is a cache of what mm/ already knows: any entry may be dropped at any
// time and the next fault rebuilds it.  arch/x86_64/pmap.c implements this file
// on hardware, tests/host/fake_pmap.c on an array.  Callers hold the slot lock of
// the stretch, except where marked [free]; a [wait] function may spin for other CPUs.
#pragma once
#include "mm/types.h"

struct page;
struct pmap;
struct spare;

enum { SHOOTDOWN_MAX = 30 }; // frames one shootdown can hold
struct shootdown {           // translations being taken back
  struct pmap *pm;
  vaddr_t lo, hi; // smallest range covering them; lo == hi: none
  int npages;
  bool raised;                      // it raised pm->pending
  struct page *page[SHOOTDOWN_MAX]; // put only when no TLB can reach them
};

struct pmap *pmap_create(void); // [free] 0 if no memory
// [free] empty of entries; evicts CPUs that still have it loaded lazily, frees all tables
void pmap_destroy(struct pmap *);
void pmap_activate(struct pmap *); // [free] on this CPU, interrupts off; 0: the kernel's own
// Tables for va exist, or are made from `spare`: false if it has too few (nothing changed). [free] as.lock held.
bool pmap_prepare(struct pmap *, vaddr_t va, struct spare *spare);
// Fill an entry, or widen the one there; never replaces another page (asserted). pmap_prepare came before.
void pmap_enter(struct pmap *, vaddr_t va, struct page *, int prot);
// Replace what is at va if no other CPU may hold a translation: true, and it is done. false: remove, finish, enter.
bool pmap_try_replace(struct pmap *, vaddr_t va, struct page *, int prot);
// Take rights away from every entry in [lo, hi), one stretch at most: entries keep only the bits of `prot` (PROT_N
// removes).
void pmap_narrow(struct shootdown *, vaddr_t lo, vaddr_t hi, int prot);
// Take the right to write, and forget that it was ever there.
void pmap_forget_stores(struct shootdown *, vaddr_t lo, vaddr_t hi);
// Is the right to write there, or was it since the entry was made or forget_stores came by?
bool pmap_stored(struct pmap *, vaddr_t va);
void pmap_remove(struct shootdown *, vaddr_t lo, vaddr_t hi);
// Touched since last asked? Clears the mark (no shootdown: a hint).
bool pmap_used(struct pmap *, vaddr_t va);
bool pmap_young(struct pmap *, vaddr_t va); // the same, and keeps the mark
// The page entered at va and its rights, or 0: for pin.c, check.c and /proc. *dirty: the hardware's bit (0x40), only
// as the witness of I2; dirty and prot may be 0.
struct page *pmap_peek(struct pmap *, vaddr_t va, int *prot, bool *dirty);
// First va in [lo, hi) that could have an entry (skips absent tables); hi if none. [free] as.lock held.
vaddr_t pmap_next(struct pmap *, vaddr_t lo, vaddr_t hi);
// Free page tables whose whole span lies in [lo, hi), where nothing is mapped. [free] [wait] as.lock held for writing,
// after the finish and after regions_detach: walkers of mappers come with a slot lock only, and must not be inside
// these tables. Who copies through pmap_peek (pin.c) on a CPU that runs the space is waited for by the shootdown in
// here.
void pmap_prune(struct pmap *, vaddr_t lo, vaddr_t hi);
uint64_t pmap_cpus(struct pmap *);    // bit per CPU that may run in it now (a)
uint64_t pmap_tables(struct pmap *);  // page-table pages in use, for /proc
uint64_t pmap_entries(struct pmap *); // present entries now, for RSS (a)

void shootdown_begin(struct shootdown *, struct pmap *); // [free]
bool shootdown_full(const struct shootdown *);           // [free] no room for another page: finish first
// page_put it at the end; takes over the caller's reference
void shootdown_defer(struct shootdown *, struct page *);
void shootdown_finish(struct shootdown *); // [free] [wait] no spin lock held; reusable afterwards
