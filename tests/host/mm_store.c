// mm_store.c -- a store of bytes in memory, with the five methods a memory object asks for.
#include <stdlib.h>
#include <string.h>
#include "mm_store.h"

static struct store *
store_of(struct mobj *obj)
{
  return container_of(obj, struct store, obj);
}

static bool
take(int *n)
{
  if(*n == 0)
    return false;
  --*n;
  return true;
}

static void
store_fill(struct mobj *obj, struct page **pg, int n)
{
  struct store *st = store_of(obj);

  for(int i = 0; i < n; i++) {
    int err = take(&st->fail_fill) ? -EIO : 0;

    __atomic_fetch_add(&st->fills, 1, __ATOMIC_RELAXED);
    if(err == 0)
      memcpy(page_va(pg[i]), st->disk + pg[i]->idx * PAGE_SIZE, PAGE_SIZE);
    page_filled(pg[i], err);
  }
}

static int
store_makewrite(struct mobj *obj, struct page *pg)
{
  struct store *st = store_of(obj);

  if(take(&st->fail_makewrite))
    return -ENOSPC;
  page_busy_wait(pg);
  if(pg->obj == obj && !page_test(pg, PAGE_BACKED)) {
    page_set(pg, PAGE_BACKED);
    mobj_dirty(obj, pg);
  }
  page_busy_clear(pg);
  return 0;
}

static int
store_flush(struct mobj *obj, struct page **pg, int n)
{
  struct store *st = store_of(obj);

  if(take(&st->fail_flush))
    return -EIO;
  for(int i = 0; i < n; i++)
    memcpy(st->disk + pg[i]->idx * PAGE_SIZE, page_va(pg[i]), PAGE_SIZE);
  __atomic_fetch_add(&st->flushes, n, __ATOMIC_RELAXED);
  return 0;
}

static int
store_commit(struct mobj *obj)
{
  store_of(obj)->commits++;
  return 0;
}

static void
store_release(struct mobj *obj)
{
  mobj_destroy(obj);
  store_of(obj)->released = true;
}

static const struct mobj_ops store_ops = {
    .name = "store",
    .fill = store_fill,
    .makewrite = store_makewrite,
    .flush = store_flush,
    .commit = store_commit,
    .release = store_release,
};

void
store_init(struct store *st, uint64_t pages)
{
  memset(st, 0, sizeof *st);
  st->disk = calloc(pages, PAGE_SIZE);
  mobj_init(&st->obj, &store_ops, pages * PAGE_SIZE);
}

void
store_done(struct store *st)
{
  free(st->disk);
}

void
store_truncate(struct store *st, uint64_t bytes)
{
  uint64_t old = st->obj.size;

  mobj_truncate(&st->obj, bytes);
  if(bytes < old)
    memset(st->disk + bytes, 0, page_up(old) - bytes);
}
