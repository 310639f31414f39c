// fork.c -- copy an address space, sharing every page.
// Regions are copied; the slots of private ones then name the same pages, and the parent's entries lose the right to
// write. The child's page tables start empty: they are a cache. Nothing is copied before somebody stores.
//
// A child's region stands on obj->mappers right behind its parent's before any slot is copied, and a slot is copied
// with both slot locks held: a truncate, which walks the mappers in order, leaves a private copy in neither. Nobody
// waits for memory with as.lock held (I6): if it runs out, the child is undone and the whole begins again.
#include "core/print.h"
#include "core/trace.h"
#include "mm/mm.h"

enum { FORK_TRIES = 8, LEAF_SHIFT = PAGE_SHIFT + RADIX_BITS };

struct forkctx {
  struct aspace *parent, *child;
  struct list regions; // reserved, by their `gone`
  uint64_t nregions;
  struct spare spare;
  struct shootdown sd; // narrowed in the parent, not finished
};

// Have n regions set aside. Holds nothing. 0 or -ENOMEM.
static int
fork_reserve(struct forkctx *f, uint64_t n)
{
  struct region *r;

  for(; f->nregions < n; f->nregions++) {
    r = region_alloc();
    if(r == 0)
      return -ENOMEM;
    list_add_tail(&f->regions, &r->gone);
  }
  return 0;
}

static struct region *
fork_take(struct forkctx *f)
{
  struct region *r = list_entry(f->regions.next, struct region, gone);

  list_del(&r->gone);
  f->nregions--;
  return r;
}

static vaddr_t
leaf_end(vaddr_t va)
{
  return (va | ((1ull << LEAF_SHIFT) - 1)) + 1;
}

// Share the slots of a private region, leaf by leaf. as.lock of both held for writing. -ENOMEM: some are shared.
static int
fork_slots(struct forkctx *f, struct region *r)
{
  struct spinlock *mine, *its;

  for(vaddr_t va = r->start, hi; (va = anon_next(f->parent, va, r->end)) < r->end; va = hi) {
    if(!spare_try(&f->spare, 0, 0, SPARE_NODES))
      return -ENOMEM;
    hi = min(r->end, leaf_end(va));
    mine = aspace_slot_lock(f->parent, va);
    its = aspace_slot_lock(f->child, va);
    spin_acquire(mine);
    spin_acquire_nested(its); // always parent before child, and nobody is both to the same
    anon_share(f->parent, f->child, va, hi, &f->spare);
    spin_release(its);
    pmap_narrow(&f->sd, va, hi, PROT_R | PROT_X);
    spin_release(mine);
    thread_relax();
  }
  return 0;
}

// May the child be promised what the parent was?
static bool
fork_promised(struct aspace *parent)
{
  uint64_t pages = 0;

  for(struct region *r = region_find_from(parent, 0); r; r = region_next(r))
    if((r->flags & REGION_ACCOUNT) && !(r->flags & REGION_DONTFORK))
      pages += (r->end - r->start) >> PAGE_SHIFT;
  return commit_allows(parent, pages);
}

static int
fork_region(struct forkctx *f, struct region *r)
{
  struct region *copy;

  if(r->flags & REGION_DONTFORK)
    return 0;
  copy = fork_take(f);
  region_dup(copy, r);
  copy->flags &= ~(REGION_LOCKED | REGION_ONFAULT); // a child inherits no memory locks
  region_link(f->child, copy);
  region_attach(copy, r);
  return r->flags & (REGION_SHARED | REGION_WIPEONFORK) ? 0 : fork_slots(f, r);
}

static void
fork_fields(struct aspace *to, const struct aspace *from)
{
  to->brk_start = from->brk_start;
  to->brk = from->brk;
  to->mmap_top = from->mmap_top;
  to->stack_top = from->stack_top;
  to->arg_start = from->arg_start;
  to->arg_end = from->arg_end;
  to->env_start = from->env_start;
  to->env_end = from->env_end;
  to->limit = from->limit;
}

// The part under the locks; the regions are reserved. -EAGAIN: the parent has more now. -EPERM: it must not be.
static int
fork_locked(struct forkctx *f)
{
  struct aspace *parent = f->parent;
  int r = 0;

  if(f->nregions < parent->nregions)
    return -EAGAIN;
  if(parent->reaped || !fork_promised(parent))
    return -EPERM; // a child would live on, with nothing in its memory
  fork_fields(f->child, parent);
  shootdown_begin(&f->sd, parent->pmap);
  for(struct region *at = region_find_from(parent, 0); at && r == 0; at = region_next(at))
    r = fork_region(f, at);
  shootdown_finish(&f->sd); // the child runs only after this: no CPU can store to a shared page any more
  return r;
}

static int
fork_try(struct aspace *parent, struct aspace **child)
{
  struct forkctx f = {.parent = parent, .child = aspace_create()};
  uint64_t n;
  int r;

  if(f.child == 0)
    return -ENOMEM;
  list_init(&f.regions);
  do {
    rw_read(&parent->lock);
    n = parent->nregions;
    rw_read_release(&parent->lock);
    r = fork_reserve(&f, n);
    if(r)
      break;
    rw_write(&parent->lock);
    rw_write_nested(&f.child->lock);
    r = fork_locked(&f);
    rw_write_release(&f.child->lock);
    rw_write_release(&parent->lock);
  } while(r == -EAGAIN);
  while(f.nregions > 0)
    region_free(fork_take(&f));
  spare_put(&f.spare);
  if(r)
    aspace_unuse(f.child);
  else
    *child = f.child;
  return r;
}

int
aspace_fork(struct aspace *parent, struct aspace **child)
{
  int r = -ENOMEM, waited = 0;

  for(int tries = 0; r == -ENOMEM && waited == 0 && tries < FORK_TRIES; tries++) {
    r = fork_try(parent, child);
    if(r == -ENOMEM)
      waited = frame_wait();
  }
  return waited ? waited : r == -EPERM ? -ENOMEM : r;
}
