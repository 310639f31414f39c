// data.c -- the methods of an ext3 file's memory object: pages from the disk and to it.
// ext3_fill starts one request for each run of blocks that lie side by side and returns; a page that is all hole is
// zeroed on the spot. The interrupt finishes each page. A page whose block exists is BACKED from the start, so its first
// store costs nothing here; for a hole ext3_makewrite allocates: transaction first, then BUSY, since a commit waits for
// busy pages. ext3_flush writes runs, and waits; it needs no transaction.
// Typical: fault or data_write / ext3_fill / ext3_makewrite ... mobj_flush / ext3_flush ... ext3_commit.
// Knows nothing of addresses, nor who reads or writes.
#include "core/wait.h"
#include "fs/ext3/ext3.h"
#include "lib/atomic.h"
#include "lib/string.h"

enum { SECTORS = EXT3_SECTORS };

struct ext3_read { // one request in flight
  struct blkreq rq;
  struct page *page[BLK_SEGMENTS];
  uint64_t size; // of the file when the read began: zeros follow it
};

struct ext3_flush { // one call of ext3_flush
  int pending;      // (a) requests under way
  int err;          // (a) the first error
};

struct ext3_write { // one request of it
  struct blkreq rq;
  struct ext3_flush *flush;
};

static struct kmem_cache *read_cache, *write_cache;
// Not on the waiter's stack: the interrupt may still be waking when the waiter is gone.
static struct waitq flushed;

void
ext3_data_init(void)
{
  read_cache = KMEM_CACHE(struct ext3_read);
  write_cache = KMEM_CACHE(struct ext3_write);
  waitq_init(&flushed);
}

// Zero what lies past the end of the file in its last page.
static void
clear_tail(struct page *pg, uint64_t size)
{
  uint64_t start = pg->idx * PAGE_SIZE;

  if(size < start + PAGE_SIZE) {
    uint64_t keep = size > start ? size - start : 0;

    memset((char *)page_va(pg) + keep, 0, PAGE_SIZE - keep);
  }
}

static void
read_done(struct blkreq *rq, int err)
{
  struct ext3_read *r = container_of(rq, struct ext3_read, rq);

  for(int i = 0; i < rq->nseg; i++) {
    if(err == 0)
      clear_tail(r->page[i], r->size);
    page_filled(r->page[i], err);
  }
  kmem_free(read_cache, r);
}

// Without memory for a request: one page after the other, waiting for each. Whoever waits for memory here, with BUSY
// pages in its hands, could wait for himself.
static void
read_slowly(struct inode *ip, struct page **pg, int n, uint32_t block)
{
  uint64_t size = ip->obj.size, sector = (uint64_t)block * SECTORS;

  for(int i = 0; i < n; i++) {
    int err = blk_io(ext3_of(ip)->dev, BLK_READ, sector + i * SECTORS, page_va(pg[i]), PAGE_SIZE);

    if(err == 0)
      clear_tail(pg[i], size);
    page_filled(pg[i], err);
  }
}

// Start reading pages [0, n), whose blocks are block, block + 1, ...
static void
read_run(struct inode *ip, struct page **pg, int n, uint32_t block)
{
  struct ext3_read *r = kmem_alloc(read_cache);

  if(r == 0) {
    read_slowly(ip, pg, n, block);
    return;
  }
  r->size = ip->obj.size;
  r->rq = (struct blkreq){.op = BLK_READ, .sector = (uint64_t)block * SECTORS, .nseg = n, .done = read_done};
  for(int i = 0; i < n; i++) {
    r->page[i] = pg[i];
    r->rq.seg[i] = (struct blkseg){.pa = page_pa(pg[i]), .len = PAGE_SIZE};
  }
  blk_submit(ext3_of(ip)->dev, &r->rq);
}

static void
ext3_fill(struct mobj *obj, struct page **pg, int n)
{
  struct inode *ip = container_of(obj, struct inode, obj);
  uint32_t run_block = 0;
  int run = 0; // pages [i - run, i) wait to be read together

  for(int i = 0; i < n; i++) {
    uint32_t block = 0;
    int err = ext3_bmap(ip, pg[i]->idx, &block);

    if(run && (err || block != run_block + run || run == BLK_SEGMENTS)) {
      read_run(ip, pg + i - run, run, run_block);
      run = 0;
    }
    if(err) {
      page_filled(pg[i], err);
    } else if(block == 0) {
      page_zero(pg[i]);
      page_filled(pg[i], 0);
    } else {
      page_set(pg[i], PAGE_BACKED);
      run_block = run ? run_block : block;
      run++;
    }
  }
  if(run)
    read_run(ip, pg + n - run, run, run_block);
}

// ---- to the disk

static struct inode *
inode_of(struct mobj *obj)
{
  return container_of(obj, struct inode, obj);
}

static int
ext3_placed(struct mobj *obj, uint64_t idx)
{
  uint32_t block;
  int err = ext3_bmap(inode_of(obj), idx, &block);

  return err ? err : block != 0;
}

// The size that the disk should have once file block n is there: no less than what leads to n, and no more than what
// readers may see, as a write that makes the file longer has not put its bytes there yet.
static uint64_t
size_for(struct inode *ip, uint64_t n)
{
  uint64_t size = atomic_get(&ip->obj.size), visible = atomic_get(&ip->visible);

  return max(min(size, visible), min(size, n * EXT3_BLOCK));
}

// held: pg BUSY, in the handle h. Give it its block.
static int
give_block(struct handle *h, struct inode *ip, struct page *pg)
{
  struct ext3_info *info = ext3_info(ip);
  uint32_t block;
  bool fresh;
  int err;

  sleep_acquire(&info->lock);
  err = ext3_grow(h, ip, pg->idx, &block, &fresh);
  if(!err && fresh) {
    if(!info->cutting) // else the block lies behind the end, and goes with what is cut
      info->disksize = max(info->disksize, size_for(ip, pg->idx));
    ext3_store_locked(h, ip);
  }
  sleep_release(&info->lock);
  if(err)
    return err;
  page_set(pg, PAGE_BACKED);
  if(fresh) {
    mobj_dirty(&ip->obj, pg);
    txn_order(h, &info->ordered);
  }
  return 0;
}

static int
ext3_makewrite(struct mobj *obj, struct page *pg)
{
  struct inode *ip = inode_of(obj);
  struct ext3_fs *x = ext3_of(ip);
  struct handle h;
  int err, tries = 0;

  do {
    if((err = ext3_begin(x, CREDITS_MAP, &h)) != 0)
      return err;
    page_busy_wait(pg);
    if(pg->obj == obj && !page_test(pg, PAGE_BACKED))
      err = give_block(&h, ip, pg);
    page_busy_clear(pg);
    ext3_end(x, &h);
  } while(err && ext3_again(x, err, &tries));
  return err;
}

static void
write_over(struct ext3_flush *f, int err)
{
  int none = 0;

  if(err)
    atomic_cas(&f->err, &none, err);
  if(atomic_sub(&f->pending, 1) == 0) // from here on f may be gone
    waitq_wake(&flushed);
}

static void
write_done(struct blkreq *rq, int err)
{
  struct ext3_write *w = container_of(rq, struct ext3_write, rq);
  struct ext3_flush *f = w->flush;

  kmem_free(write_cache, w);
  write_over(f, err);
}

// Write pages [0, n), whose blocks are block, block + 1, ... Without memory for a request: one after the other.
static void
write_run(struct ext3_fs *x, struct page **pg, int n, uint32_t block, struct ext3_flush *f)
{
  struct ext3_write *w = kmem_alloc(write_cache);
  uint64_t sector = (uint64_t)block * SECTORS;

  atomic_add(&f->pending, 1);
  if(w == 0) {
    int err = 0;

    for(int i = 0; i < n && !err; i++)
      err = blk_io(x->dev, BLK_WRITE, sector + i * SECTORS, page_va(pg[i]), PAGE_SIZE);
    write_over(f, err);
    return;
  }
  w->flush = f;
  w->rq = (struct blkreq){.op = BLK_WRITE, .sector = sector, .nseg = n, .done = write_done};
  for(int i = 0; i < n; i++)
    w->rq.seg[i] = (struct blkseg){.pa = page_pa(pg[i]), .len = PAGE_SIZE};
  blk_submit(x->dev, &w->rq);
}

// What a program stored behind the end of the file does not go to the disk. No mapping can write now.
static int
ext3_flush(struct mobj *obj, struct page **pg, int n)
{
  struct inode *ip = inode_of(obj);
  struct ext3_flush f = {.pending = 1}; // ours
  uint32_t run_block = 0, block;
  int run = 0, err = 0;

  for(int i = 0; i < n && !err; i++) {
    err = ext3_bmap(ip, pg[i]->idx, &block);
    if(!err && block == 0) // BACKED without a block
      err = ext3_corrupt(ext3_of(ip), ip->ino, pg[i]->idx);
    if(run && (err || block != run_block + run || run == BLK_SEGMENTS)) {
      write_run(ext3_of(ip), pg + i - run, run, run_block, &f);
      run = 0;
    }
    if(err)
      break;
    clear_tail(pg[i], atomic_get(&obj->size));
    run_block = run ? run_block : block;
    run++;
  }
  if(run)
    write_run(ext3_of(ip), pg + n - run, run, run_block, &f);
  atomic_sub(&f.pending, 1);
  wait_event(&flushed, atomic_get(&f.pending) == 0, WAIT_ALWAYS, NEVER);
  return err ? err : f.err;
}

// For the commit that gave the file blocks. A data block that cannot be written is the file's trouble, of which fsync tells
// (errseq); the journal goes on.
int
ext3_ordered_flush(struct ordered *o)
{
  mobj_sync(&container_of(o, struct ext3_info, ordered)->ip->obj, 0, UINT64_MAX >> PAGE_SHIFT);
  return 0;
}

// Everything that was said of the file is on the disk, and the device's cache is, too.
static int
ext3_commit(struct mobj *obj)
{
  struct inode *ip = inode_of(obj);
  struct ext3_fs *x = ext3_of(ip);
  int err = 0;

  if(!ext3_enter(x))
    return 0;
  if(atomic_get(&ip->touched))
    err = ext3_store_alone(ip);
  err = err ? err : journal_sync(x->journal, atomic_get(&ext3_info(ip)->tid));
  ext3_leave(x);
  return err;
}

const struct mobj_ops ext3_mobj_ops = {
    .name = "ext3",
    .fill = ext3_fill,
    .makewrite = ext3_makewrite,
    .placed = ext3_placed,
    .flush = ext3_flush,
    .commit = ext3_commit,
    .release = inode_mobj_release,
    .touched = inode_touched,
};
