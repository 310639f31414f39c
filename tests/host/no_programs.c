// no_programs.c -- for host tests of what lies below programs: nothing is mapped, and no user memory can be meant.
#include <string.h>
#include "core/print.h"
#include "mm/mm.h"

static void
never(const char *what)
{
  panic("%s: there is no program here", what);
}

void
aspace_setup(void)
{
}

struct spinlock *
aspace_slot_lock(struct aspace *as, vaddr_t va)
{
  never(__func__);
  return 0;
}

struct page *
anon_get(struct aspace *as, vaddr_t va)
{
  never(__func__);
  return 0;
}

vaddr_t
anon_drop(struct aspace *as, vaddr_t lo, vaddr_t hi, struct shootdown *sd)
{
  never(__func__);
  return hi;
}

struct page *
pmap_peek(struct pmap *pm, vaddr_t va, int *prot, bool *dirty)
{
  never(__func__);
  return 0;
}

void
pmap_narrow(struct shootdown *sd, vaddr_t lo, vaddr_t hi, int prot)
{
  never(__func__);
}

void
pmap_remove(struct shootdown *sd, vaddr_t lo, vaddr_t hi)
{
  never(__func__);
}

bool
pmap_used(struct pmap *pm, vaddr_t va)
{
  never(__func__);
  return false;
}

void
shootdown_begin(struct shootdown *sd, struct pmap *pm)
{
  memset(sd, 0, sizeof(*sd));
}

bool
shootdown_full(const struct shootdown *sd)
{
  return false;
}

void
shootdown_defer(struct shootdown *sd, struct page *pg)
{
  never(__func__);
}

void
shootdown_finish(struct shootdown *sd)
{
}

int
copyin(struct aspace *as, void *dst, vaddr_t va, size_t n, size_t *done)
{
  never(__func__);
  return -EFAULT;
}

int
copyout(struct aspace *as, vaddr_t va, const void *src, size_t n, size_t *done)
{
  never(__func__);
  return -EFAULT;
}

int
zeroout(struct aspace *as, vaddr_t va, size_t n, size_t *done)
{
  never(__func__);
  return -EFAULT;
}

int
pin(struct aspace *as, vaddr_t va, enum mobj_access how, struct page **pp)
{
  never(__func__);
  return -EFAULT;
}

// glibc has it only since 2.38.
__attribute__((weak)) size_t
strlcpy(char *dst, const char *src, size_t size)
{
  size_t n = strlen(src);

  if(size > 0) {
    size_t k = min(n, size - 1);

    memcpy(dst, src, k);
    dst[k] = 0;
  }
  return n;
}
