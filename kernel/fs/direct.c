// direct.c -- O_DIRECT: reads and writes that go to the disk and leave nothing in the cache.
//
// As Linux does where it cannot do better: the bytes pass through the pages of the file, so that mappings and other readers
// see the same, but what is written is on the disk's way before the call returns, and the pages go afterwards. What was
// dirty there before a read is written first.
// Typical: direct_begin / the usual read or write / direct_written or direct_drop.
// Files without a store (tmpfs) have nothing behind the cache: O_DIRECT means nothing there.
#include "dev/blk.h"
#include "fs/internal.h"

enum { ALIGNED = BLK_SECTOR - 1 };

static bool
aligned(const struct uio *u, uint64_t pos)
{
  uint64_t bits = pos;

  for(int i = 0; i < u->niov; i++)
    bits |= u->iov[i].base | u->iov[i].len;
  return (bits & ALIGNED) == 0;
}

int
direct_begin(struct file *f, struct uio *u, uint64_t pos, bool write)
{
  struct mobj *obj = &f->inode->obj;

  if(!obj->ops->flush)
    return 0;
  if(u->as && !aligned(u, f->flags & O_APPEND ? 0 : pos))
    return -EINVAL;
  return write ? 0 : mobj_sync(obj, pos >> PAGE_SHIFT, pages_of(pos + min(u->left, INT64_MAX - pos)));
}

void
direct_drop(struct file *f, uint64_t lo, uint64_t hi)
{
  if(lo < hi && f->inode->obj.ops->flush)
    mobj_page_out(&f->inode->obj, lo >> PAGE_SHIFT, pages_of(hi));
}

int64_t
direct_written(struct file *f, uint64_t pos, int64_t n)
{
  int err = mobj_sync(&f->inode->obj, pos >> PAGE_SHIFT, pages_of(pos + n));

  direct_drop(f, pos, pos + n);
  return err ? err : n;
}
