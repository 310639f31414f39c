// sys_remap.c -- remap_file_pages: since Linux 4.0 nothing but mmap of other pages over what is there already.
// Typical: what does the range show, and in one way? / aspace_map over it / make it present.
// Must not know: pages, page tables.
#include "syscall/sys.h"

// Does all of [lo, hi) show one object in one way, shared, for writing some day? Then *part is its first piece.
static int
remap_pages_look(struct aspace *as, vaddr_t lo, vaddr_t hi, struct aspace_part *part)
{
  struct aspace_part next;
  int hole = 0;
  bool same;

  if(!aspace_part(as, lo, hi, part, &hole))
    return -EINVAL;
  same = hole == 0 && part->obj && part->flags & REGION_SHARED && part->maxprot & PROT_WRITE;
  for(lo = part->hi; lo < hi && same; lo = next.hi) {
    if(!aspace_part(as, lo, hi, &next, &hole))
      same = false;
    else {
      same = hole == 0 && next.obj == part->obj && next.tag == part->tag && next.flags == part->flags;
      aspace_part_put(&next);
    }
  }
  if(same)
    return 0;
  aspace_part_put(part);
  return -EINVAL;
}

static int
remap_pages(struct aspace *as, vaddr_t lo, vaddr_t hi, uint64_t pgoff, const struct aspace_part *part)
{
  struct map_request rq = {
      .addr = lo,
      .len = hi - lo,
      .how = MAP_EXACT,
      .prot = part->prot,
      .maxprot = part->maxprot,
      .flags = part->flags,
      .obj = part->obj,
      .tag = part->tag,
      .pgoff = pgoff,
  };
  int e = mobj_claim_write(part->obj); // while the old mapping goes and the new one comes, no seal
  vaddr_t at;

  if(e)
    return e;
  e = aspace_map(as, &rq, &at);
  mobj_unclaim_write(part->obj);
  return e;
}

int64_t
sys_remap_file_pages(const uint64_t *a)
{
  struct aspace *as = user_as();
  vaddr_t lo = page_down(a[0]), hi = lo + page_down(a[1]);
  struct aspace_part part;
  int e;

  if(a[2] || hi <= lo || hi > USER_TOP || a[3] + ((hi - lo) >> PAGE_SHIFT) < a[3])
    return -EINVAL;
  e = remap_pages_look(as, lo, hi, &part);
  if(e)
    return e;
  e = remap_pages(as, lo, hi, a[3], &part);
  aspace_part_put(&part);
  if(e == 0 && !((uint32_t)a[4] & MAP_NONBLOCK))
    mlock_populate(as, lo, hi);
  return e;
}
