// data.c -- reading and writing a regular file: through the pages of its memory object, where mmap finds them too.
//
// Typical: data_read: the page, cached or loaded / copy to the uio. data_write: inode.lock (w) / pin one source page /
// size raised / mobj_page FOR_WRITE, or FOR_REPLACE / copy page to page / mobj_dirty / page_busy_clear.
// The source is pinned before a page of the file becomes BUSY, so that writing a file from its own mapping cannot wait
// for itself. A reader takes no inode.lock: a page reference is enough, and inode.visible hides bytes that a write is
// still putting behind the old end. Knows nothing of where the store keeps anything.
#include "fs/internal.h"
#include "fs/perm.h"
#include "core/thread.h"
#include "lib/atomic.h"
#include "lib/errseq.h"
#include "lib/string.h"

enum { RELATIME_SECONDS = 24 * 60 * 60, PACE_PAGES = 32, AHEAD_SEQUENTIAL = 64 };

static bool
times_before(struct times a, struct times b)
{
  return a.sec < b.sec || (a.sec == b.sec && a.nsec <= b.nsec);
}

// A file was read: note when, as Linux's relatime does, at most once after a change and once a day.
static void
data_accessed(struct file *f)
{
  struct inode *ip = f->inode;
  struct times now, before;

  if(ip->fs->readonly || (f->flags & O_NOATIME))
    return;
  now = times_now();
  before = stamp_get(&ip->atime);
  if(times_before(stamp_get(&ip->mtime), before) && times_before(stamp_get(&ip->ctime), before) &&
     now.sec - before.sec < RELATIME_SECONDS)
    return;
  if(!rw_write_try(&ip->lock))
    return;
  stamp_set(&ip->atime, now);
  if(ip->ops->setattr)
    ip->ops->setattr(ip);
  rw_write_release(&ip->lock);
}

// How far a reader may see. The order of the two loads matters: data_write sets `visible` before it raises the size.
static uint64_t
data_end(struct inode *ip)
{
  uint64_t size = atomic_get(&ip->obj.size), visible = atomic_get(&ip->visible);

  return min(size, visible);
}

static int
data_load(struct file *f, uint64_t idx, struct page **pp)
{
  struct mobj *obj = &f->inode->obj;

  switch(atomic_get_relaxed(&f->access)) {
  case ACCESS_RANDOM: return mobj_load_only(obj, idx, pp, 0);
  case ACCESS_SEQUENTIAL: mobj_readahead(obj, idx, AHEAD_SEQUENTIAL); break;
  case ACCESS_NORMAL: break;
  }
  return mobj_load(obj, idx, pp, 0);
}

// Page idx, up to date and referenced; touch: this is a new use of it. The look at the cache is all that a warm read costs.
static int
data_page(struct file *f, struct uio *u, uint64_t idx, bool touch, struct page **pp)
{
  struct mobj *obj = &f->inode->obj;
  struct page *pg;

  spin_acquire(&obj->lock);
  pg = mobj_find(obj, idx);
  if(pg && page_test(pg, PAGE_UPTODATE) && idx != obj->ra_mark)
    page_get(pg);
  else
    pg = 0;
  spin_release(&obj->lock);
  if(!pg && (u->how & UIO_NOWAIT))
    return -EAGAIN;
  if(!pg)
    return data_load(f, idx, pp);
  if(touch)
    page_touch(pg);
  *pp = pg;
  return 0;
}

// Up to the end of one page: bytes moved, 0 at the end of the file, or -E if nothing was moved.
static int64_t
data_read_page(struct file *f, struct uio *u, uint64_t pos)
{
  struct inode *ip = f->inode;
  bool goes_on = pos == atomic_get_relaxed(&f->goes_on) && pos % PAGE_SIZE != 0; // small pieces are one use
  uint64_t end = data_end(ip), off = pos & (PAGE_SIZE - 1), n;
  struct page *pg;
  size_t moved;
  int err;

  if(pos >= end)
    return 0;
  err = data_page(f, u, pos >> PAGE_SHIFT, !goes_on, &pg);
  if(err == -ENXIO) // cut off meanwhile
    return 0;
  if(err)
    return err;
  n = min(min(PAGE_SIZE - off, end - pos), u->left);
  moved = uio_to(u, (char *)page_va(pg) + off, n, &err);
  page_put(pg);
  atomic_set_relaxed(&f->goes_on, pos + moved);
  return moved > 0 ? (int64_t)moved : err;
}

int64_t
data_read(struct file *f, struct uio *u, uint64_t *pos)
{
  uint64_t done = 0, start = *pos;
  int64_t n = 0;

  if((f->flags & O_DIRECT) && (n = direct_begin(f, u, start, false)) != 0)
    return n;
  while(u->left > 0) {
    n = data_read_page(f, u, *pos);
    if(n <= 0)
      break;
    *pos += n;
    done += n;
    thread_relax();
  }
  if(done > 0)
    data_accessed(f);
  if(f->flags & O_DIRECT)
    direct_drop(f, start, start + done);
  return done > 0 ? (int64_t)done : n;
}

// Where the bytes of one step of a write come from.
struct source {
  struct page *pg; // pinned; 0: kernel memory
  const char *p;
  size_t n; // contiguous bytes there
};

static int
source_get(struct uio *u, struct source *s)
{
  uint64_t at = uio_addr(u), off = at & (PAGE_SIZE - 1);
  int err;

  s->n = uio_run(u);
  s->pg = 0;
  if(!u->as) {
    s->p = (const char *)at;
    return 0;
  }
  err = pin(u->as, at, FOR_READ, &s->pg);
  if(err)
    return err;
  s->p = (char *)page_va(s->pg) + off;
  s->n = min(s->n, PAGE_SIZE - off);
  return 0;
}

static void
source_put(struct source *s)
{
  if(s->pg)
    page_put(s->pg);
}

static void
data_set_size(struct inode *ip, uint64_t size)
{
  spin_acquire(&ip->obj.lock);
  atomic_set(&ip->obj.size, size);
  spin_release(&ip->obj.lock);
}

// A reader, who takes no lock, may be copying the same bytes: whether it gets old or new ones is not promised, as on Linux.
static void
data_overwrite(char *at, const char *p, size_t n)
{
  memmove(at, p, n);
}

// Copy n bytes to offset off of the BUSY page. One that was not read gets zeros behind them, where the file ends.
static void
data_put(struct mobj *obj, struct page *pg, uint64_t off, const char *p, size_t n)
{
  char *at = page_va(pg);

  data_overwrite(at + off, p, n);
  if(!page_test(pg, PAGE_UPTODATE)) {
    memset(at + off + n, 0, PAGE_SIZE - off - n);
    page_set(pg, PAGE_UPTODATE);
  }
  mobj_dirty(obj, pg);
}

// Put n bytes from s into one page at pos; the file ends at pos + n or later then. held: inode.lock (w)
static int
data_write_page(struct inode *ip, uint64_t pos, const struct source *s, size_t n)
{
  uint64_t old = ip->obj.size, off = pos & (PAGE_SIZE - 1);
  bool all = off == 0 && pos < old && (n == PAGE_SIZE || pos + n >= old); // nothing of what is there stays
  struct page *pg;
  int err;

  if(pos + n > old) {
    atomic_set(&ip->visible, old);
    if(pos > old && (err = ip->ops->truncate(ip, pos)) != 0) { // zeroes what lies behind the old end
      atomic_set(&ip->visible, UINT64_MAX);
      return err;
    }
    data_set_size(ip, pos + n);
  }
  err = mobj_page(&ip->obj, pos >> PAGE_SHIFT, all ? FOR_REPLACE : FOR_WRITE, &pg);
  if(!err) {
    data_put(&ip->obj, pg, off, s->p, n);
    page_busy_clear(pg);
    page_put(pg);
  } else if(ip->obj.size != old) {
    ip->ops->truncate(ip, old);
  }
  atomic_set(&ip->visible, UINT64_MAX);
  return err;
}

// One step: from one source page into one page of the file. Bytes, or -E.
static int64_t
data_write_step(struct inode *ip, struct uio *u, uint64_t pos)
{
  uint64_t room = PAGE_SIZE - (pos & (PAGE_SIZE - 1));
  struct source s;
  size_t n;
  int err;

  err = source_get(u, &s);
  if(err)
    return err;
  n = min(s.n, room);
  err = seal_write(ip, pos, n);
  if(!err)
    err = data_write_page(ip, pos, &s, n);
  source_put(&s);
  if(err)
    return err;
  uio_skip(u, n);
  return n;
}

// Every now and then on its way a long write pauses, if more is dirty than the disk keeps up with. It keeps inode.lock, as
// when it waits for a read: nobody who writes pages back wants that. -EINTR, -EIO.
static int
data_pace(struct inode *ip, uint64_t done, uint64_t *paced)
{
  uint64_t n = (done - *paced) >> PAGE_SHIFT;

  if(n < PACE_PAGES || !balance_due(&ip->obj))
    return 0;
  *paced = done;
  return mobj_balance(&ip->obj, n);
}

// held: inode.lock (w)
static int64_t
data_write_locked(struct file *f, struct uio *u, uint64_t *pos)
{
  struct inode *ip = f->inode;
  uint64_t done = 0, paced = 0;
  int64_t n = 0;

  if(f->flags & O_APPEND || u->how & UIO_APPEND)
    *pos = ip->obj.size;
  if(*pos > INT64_MAX || u->left > INT64_MAX - *pos)
    return -EFBIG;
  if(!f->keep_setid && (ip->mode & (S_ISUID | S_ISGID)))
    ip->mode = attr_without_setid(ip->mode);
  while(u->left > 0 && (n = data_pace(ip, done, &paced)) == 0) {
    n = data_write_step(ip, u, *pos);
    if(n < 0)
      break;
    *pos += n;
    done += n;
    thread_relax();
  }
  if(done == 0)
    return n;
  inode_modified(ip);
  atomic_set(&ip->touched, 0);
  if(ip->ops->written && (n = ip->ops->written(ip)) < 0)
    return n;
  return done;
}

int64_t
data_write(struct file *f, struct uio *u, uint64_t *pos)
{
  int64_t n;

  if(u->left == 0)
    return 0;
  if(u->how & UIO_NOWAIT) // room for new pages may have to be waited for
    return -EOPNOTSUPP;
  if((f->flags & O_DIRECT) && (n = direct_begin(f, u, *pos, true)) != 0)
    return n;
  if(balance_due(&f->inode->obj) && (n = mobj_balance(&f->inode->obj, 1)) != 0)
    return n;
  rw_write(&f->inode->lock);
  n = data_write_locked(f, u, pos);
  rw_write_release(&f->inode->lock);
  if(n > 0 && f->flags & O_DIRECT)
    return direct_written(f, *pos - n, n);
  return n;
}

// Each open file hears once of every write-back that failed since it looked last; of our own by the same way.
int
data_sync(struct file *f, uint64_t lo, uint64_t hi)
{
  struct mobj *obj = &f->inode->obj;
  int err = mobj_sync(obj, lo, hi), e;

  e = obj->ops->commit ? obj->ops->commit(obj) : 0;
  err = err ? err : e;
  e = errseq_report(&obj->errseq, &f->errseq);
  return e ? e : err;
}

int
data_sync_range(struct file *f, uint64_t lo, uint64_t hi, bool write, bool wait)
{
  struct mobj *obj = &f->inode->obj;
  int err = 0;

  if(write)
    err = mobj_sync(obj, lo >> PAGE_SHIFT, pages_of(hi));
  if(!wait)
    return 0;
  mobj_await(obj, lo >> PAGE_SHIFT, pages_of(hi));
  return err ? (errseq_report(&obj->errseq, &f->errseq), err) : errseq_report(&obj->errseq, &f->errseq);
}

static int
data_fsync(struct file *f, bool data_only)
{
  return data_sync(f, 0, UINT64_MAX >> PAGE_SHIFT);
}

const struct file_ops regular_fops = {
    .read = data_read,
    .write = data_write,
    .fsync = data_fsync,
    .seekable = true,
};
