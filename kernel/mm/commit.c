// commit.c -- how much memory is promised: pages that programs may write to without asking again.
//
// Promised are private writable regions (REGION_ACCOUNT, counted by region_account), whole objects of shared anonymous
// memory (mobj.promised), and each page of a tmpfs file that holds data. vm.overcommit_memory says when a promise is
// refused: 0 only what all memory could never hold, 1 never, 2 what goes beyond the limit. The look and the promise are not
// one step: several callers at once may together pass the limit by what each of them asks for.
// Typical: commit_allows(as, pages), or -ENOMEM / commit_add(pages) when it cannot fail any more.
#include "lib/atomic.h"
#include "mm/mm.h"

enum { PERCENT = 100, PAGE_KIB = 4, OWN_SHARE = 32 };
enum { USER_RESERVE = 32768 }; // pages, 128 MiB

uint64_t vm_overcommit = OVERCOMMIT_GUESS, vm_overcommit_ratio = 50, vm_overcommit_kbytes = 0;
static uint64_t committed; // (a)

void
commit_add(int64_t pages)
{
  atomic_add(&committed, pages);
}

uint64_t
vm_committed(void)
{
  return atomic_get_relaxed(&committed);
}

uint64_t
vm_commit_limit(void)
{
  uint64_t kbytes = atomic_get_relaxed(&vm_overcommit_kbytes);

  return kbytes ? kbytes / PAGE_KIB : frames_total() * atomic_get_relaxed(&vm_overcommit_ratio) / PERCENT;
}

// With the strict limit, a space leaves a share of its own size free, so that whoever grew too large can still be dealt
// with: 3 %, at most 128 MiB.
static bool
strict_allows(const struct aspace *as, uint64_t pages)
{
  uint64_t limit = vm_commit_limit(), left = as ? min(as->total_pages / OWN_SHARE, (uint64_t)USER_RESERVE) : 0;

  limit -= min(limit, left);
  return pages <= limit && vm_committed() <= limit - pages;
}

bool
commit_allows(const struct aspace *as, uint64_t pages)
{
  switch(atomic_get_relaxed(&vm_overcommit)) {
  case OVERCOMMIT_ALWAYS: return true;
  case OVERCOMMIT_NEVER: return strict_allows(as, pages);
  default: return pages <= frames_total(); // more at once than could ever be there
  }
}

void
commit_ratio_set(void)
{
  atomic_set(&vm_overcommit_kbytes, 0);
}

void
commit_kbytes_set(void)
{
  atomic_set(&vm_overcommit_ratio, 0);
}
