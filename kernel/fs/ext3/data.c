// data.c -- the methods of an ext3 file's memory object: pages from the disk.
// ext3_fill starts one request for each run of blocks that lie side by side and returns; a page that is all hole is
// zeroed on the spot. The interrupt finishes each page.
#include "fs/ext3/ext3.h"
#include "lib/string.h"

enum { SECTORS = EXT3_BLOCK / BLK_SECTOR };

struct ext3_read { // one request in flight
  struct blkreq rq;
  struct page *page[BLK_SEGMENTS];
  uint64_t size; // of the file when the read began: zeros follow it
};

static struct kmem_cache *read_cache;

void
ext3_data_init(void)
{
  read_cache = KMEM_CACHE(struct ext3_read);
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
      run_block = run ? run_block : block;
      run++;
    }
  }
  if(run)
    read_run(ip, pg + n - run, run, run_block);
}

static int
ext3_makewrite(struct mobj *obj, struct page *pg)
{
  return -EROFS;
}

static int
ext3_flush(struct mobj *obj, struct page **pg, int n)
{
  return -EROFS;
}

const struct mobj_ops ext3_mobj_ops = {
    .name = "ext3",
    .fill = ext3_fill,
    .makewrite = ext3_makewrite,
    .flush = ext3_flush,
    .release = inode_mobj_release,
};
