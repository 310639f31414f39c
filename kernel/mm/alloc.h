// alloc.h -- memory for the kernel itself: frames, small objects, and what a fault sets aside. Part of mm.h, which includes it.
#pragma once
#include "lib/radix.h"
#include "mm/types.h"

struct page;

// ---- frame.c: buddy allocator with per-CPU stock ----------------------------------------------------------------

enum { FRAME_ORDERS = 11 }; // blocks of 4 KiB .. 4 MiB
// At boot: `array` describes frames [0, npages); then every usable range is given.
void frame_init(struct page *array, uint64_t npages);
void frame_add(paddr_t lo, paddr_t hi);
// One block of 2^order frames, physically contiguous, ref 1 on its first page, contents unknown; 0 if there is none.
// Any context, any lock below RANK_FRAME. Leaves a reserve that only `frame_try_reserve` (reclaim, block layer) may
// use.
struct page *frame_try(int order);
struct page *frame_try_reserve(int order);
// Between the two the running thread may use the reserve in all it does: for what makes memory free. Nests.
void frame_reserve_begin(void);
void frame_reserve_end(void);
// The same for one frame, but waits for reclaim and, if nothing helps, for a program killed by the hook: 0 on success,
// -ENOMEM (nothing to be had), -EINTR (the caller is being killed). Holds nothing (I6 asserted).
int frame_wait(void);
int frame_wait_many(uint64_t n);     // until n frames could be had at once
void frame_free(struct page *pg);    // of the order it was allocated with; page_put calls it
uint64_t frames_total(void);         // managed frames
uint64_t frames_free(void);          // free now, per-CPU stocks included
extern bool (*frame_oom_hook)(void); // proc's: choose a program, kill it; false: nobody left to kill
// Tests: the n-th allocation from now, of frames or of objects (kmem.c), fails (and all after, if `all`: nobody waits
// for memory then, -ENOMEM); 0 turns it off.
void frame_fail_after(uint64_t n, bool all);
bool frame_fail_came(void); // has it failed?
extern bool frame_fail_armed;
bool frame_fail_hit(void); // count one allocation: does it fail?
// Debug builds and tests: told of every block handed out (`alloc`) and taken back, to poison what nobody may touch;
// 0.
extern void (*frame_watch)(struct page *pg, int order, bool alloc);

// ---- kmem.c: small objects ---------------------------------------------------------------------------------------

struct kmem_cache; // typed cache; objects are zeroed when handed out
#define KMEM_CACHE(type) kmem_cache(#type, sizeof(type))
// create, or find the one of that name; at start-up: panics without memory
struct kmem_cache *kmem_cache(const char *name, size_t size);
void *kmem_alloc(struct kmem_cache *c); // zeroed; never sleeps; 0 if no memory
void kmem_free(struct kmem_cache *c, void *p);
// Any size up to 1 MiB, zeroed; never sleeps; 0 if no memory. kfree(0) is allowed.
void *kzalloc(size_t n);
void kfree(void *p);
char *kstrdup(const char *s);
uint64_t kmem_pages(void); // frames in caches, for /proc/meminfo (Slab)
void kmem_init(void);      // mm_init's
// Debug builds and tests: told of what of an object nobody may touch while it is free; 0.
extern void (*kmem_watch)(void *p, size_t n, bool alloc);
void kmem_drain(void); // give back what this CPU holds in stock, and every empty slab

// ---- spare.c: what a fault sets aside before it takes a spin lock

enum { SPARE_TABLES = 3, SPARE_NODES = 8 };
struct spare {
  struct page *frame; // one data frame, ref 1, contents unknown
  int ntable;
  struct page *table[SPARE_TABLES]; // zeroed frames for page tables
  struct radix_stock nodes;         // zeroed
};
void spare_init(struct spare *sp);
// Top up to that many, without sleeping: false if memory is short (what was got is kept).
bool spare_try(struct spare *sp, int frames, int tables, int nodes);
// The same, together or not at all, waiting for memory with nothing held: gives all back, waits, takes all.
// 0, -ENOMEM, -EINTR.
int spare_wait(struct spare *sp, int frames, int tables, int nodes);
void spare_put(struct spare *sp); // give back what is left
struct page *spare_take_frame(struct spare *sp);
struct page *spare_take_table(struct spare *sp);
struct radix_node *radix_node_alloc(void); // zeroed, never sleeps; 0
void radix_node_free(struct radix_node *n);
void spare_setup(void); // mm_init's
