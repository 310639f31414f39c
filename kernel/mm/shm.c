// shm.c -- objects without a store: shared anonymous memory, and the data of tmpfs files. A page is zeros until a
// program writes to it (BACKED, here "accounted"); from then on the cache is the only place where it is, so it is
// kept until the object lets go of it. A page that was only read may be dropped like any other.
//
// Typical: obj = shm_create(size) / aspace_map takes references / mobj_put. tmpfs embeds an object of its own and
// puts shm_fill and a makewrite that charges the file system's limit and then calls shm_makewrite into its mobj_ops.
// Knows nothing of names and limits.
#include "mm/mm.h"

static struct kmem_cache *shm_cache; // (c) after start

void
shm_setup(void)
{
  shm_cache = kmem_cache("shm", sizeof(struct mobj));
}

void
shm_fill(struct mobj *obj, struct page **pg, int n)
{
  for(int i = 0; i < n; i++) {
    page_zero(pg[i]);
    page_filled(pg[i], 0);
  }
}

// The page holds data from now on; mobj_take takes the promise back. Needs obj->lock or the page BUSY.
static void
shm_backed(struct mobj *obj, struct page *pg)
{
  page_set(pg, PAGE_BACKED);
  if(obj->promised == 0)
    commit_add(1);
}

int
shm_makewrite(struct mobj *obj, struct page *pg)
{
  if(obj->promised == 0 && !commit_allows(0, 1))
    return -ENOMEM;
  page_busy_wait(pg);
  if(pg->obj == obj && !page_test(pg, PAGE_BACKED)) {
    lru_remove(pg); // BUSY keeps it in the cache
    shm_backed(obj, pg);
    mobj_dirty(obj, pg);
  }
  page_busy_clear(pg);
  return 0;
}

// Page idx, referenced, or 0 and *nodes: what its insertion takes.
static struct page *
reserve_look(struct mobj *obj, uint64_t idx, int *nodes)
{
  struct page *pg;

  spin_acquire(&obj->lock);
  pg = (struct page *)radix_get(&obj->pages, idx);
  if(pg)
    page_get(pg);
  *nodes = radix_need(&obj->pages, idx);
  spin_release(&obj->lock);
  return pg;
}

// A zeroed page comes into the cache BACKED, so that nobody ever sees it otherwise. False: another was faster.
static bool
reserve_insert(struct mobj *obj, uint64_t idx, struct spare *sp)
{
  struct page *pg = spare_take_frame(sp);
  bool done;

  page_zero(pg);
  spin_acquire(&obj->lock);
  done = radix_get(&obj->pages, idx) == 0 && mobj_insert(obj, pg, idx, &sp->nodes);
  if(done) {
    lru_remove(pg);
    page_set(pg, PAGE_UPTODATE);
    shm_backed(obj, pg);
    mobj_dirty_locked(obj, pg);
  }
  spin_release(&obj->lock);
  if(done)
    page_busy_clear(pg);
  else
    page_put(pg);
  return done;
}

int
shm_reserve(struct mobj *obj, uint64_t idx)
{
  bool done = false;
  struct spare sp;
  struct page *pg;
  int nodes, r;

  while(!done) {
    pg = reserve_look(obj, idx, &nodes);
    if(pg) {
      r = shm_makewrite(obj, pg);
      done = page_test(pg, PAGE_BACKED); // else reclaim had it
      page_put(pg);
      if(r != 0)
        return r;
      continue;
    }
    if(obj->promised == 0 && !commit_allows(0, 1))
      return -ENOMEM;
    spare_init(&sp);
    if(!spare_try(&sp, 1, 0, nodes) && (r = spare_wait(&sp, 1, 0, nodes)) != 0)
      return r;
    done = reserve_insert(obj, idx, &sp);
    spare_put(&sp);
  }
  return 0;
}

static void
shm_release(struct mobj *obj)
{
  mobj_destroy(obj);
  kmem_free(shm_cache, obj);
}

const struct mobj_ops shm_ops = {
    .name = "shm",
    .fill = shm_fill,
    .makewrite = shm_makewrite,
    .release = shm_release,
};

struct mobj *
shm_create(uint64_t size, bool promise)
{
  struct mobj *obj = kmem_alloc(shm_cache);

  if(obj == 0)
    return 0;
  mobj_init(obj, &shm_ops, size);
  obj->promised = promise ? pages_of(size) : 0;
  commit_add(obj->promised);
  return obj;
}
