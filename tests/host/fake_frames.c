// fake_frames.c -- frames from one mmap'ed arena; fake_frames.h says what for.
#include <stdlib.h>
#include <sys/mman.h>
#include <sanitizer/asan_interface.h>
#include "fake_frames.h"

static struct page *held[1 << 16];
static uint64_t nheld;

static void
watch_frame(struct page *pg, int order, bool alloc)
{
  if(alloc)
    ASAN_UNPOISON_MEMORY_REGION(page_va(pg), PAGE_SIZE << order);
  else
    ASAN_POISON_MEMORY_REGION(page_va(pg), PAGE_SIZE << order);
}

static void
watch_object(void *p, size_t n, bool alloc)
{
  if(alloc)
    ASAN_UNPOISON_MEMORY_REGION(p, n);
  else
    ASAN_POISON_MEMORY_REGION(p, n);
}

void
fake_frames_init(uint64_t nframes)
{
  size_t bytes = (nframes + 1) * PAGE_SIZE; // physical address 0 is never handed out
  struct page *array;
  void *arena;

  if(direct_map)
    return;
  arena = mmap(0, bytes, PROT_R | PROT_W, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  array = calloc(nframes + 1, sizeof *array);
  if(arena == (void *)-1 || array == 0)
    abort();
  direct_map = (uintptr_t)arena;
  frame_init(array, nframes + 1);
  frame_add(0, bytes);
  ASAN_POISON_MEMORY_REGION(arena, bytes);
  frame_watch = watch_frame;
  kmem_watch = watch_object;
  mm_init();
}

uint64_t
fake_frames_free(void)
{
  kmem_drain();
  return frames_free();
}

void
fake_frames_squeeze(uint64_t leave)
{
  while(fake_frames_free() > leave && nheld < array_len(held)) {
    held[nheld] = frame_try_reserve(0);
    if(held[nheld] == 0)
      return;
    nheld++;
  }
}

void
fake_frames_relax(void)
{
  while(nheld > 0)
    page_put(held[--nheld]);
}
