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

int
shm_makewrite(struct mobj *obj, struct page *pg)
{
  page_busy_wait(pg);
  if(pg->obj == obj && !page_test(pg, PAGE_BACKED)) {
    lru_remove(pg); // BUSY keeps it in the cache
    page_set(pg, PAGE_BACKED);
    mobj_dirty(obj, pg);
  }
  page_busy_clear(pg);
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
shm_create(uint64_t size)
{
  struct mobj *obj = kmem_alloc(shm_cache);

  if(obj)
    mobj_init(obj, &shm_ops, size);
  return obj;
}
