// writeback_files.c -- writeback_files.h says what for.
#include <string.h>
#include <unistd.h>
#include "lib/atomic.h"
#include "test.h"
#include "writeback_files.h"

struct stored stored[FILES];
struct fs wfs;
static uint64_t baseline;

// What other parts of the kernel would give.
const struct file_ops *
dev_chr_fops(uint64_t rdev)
{
  return 0;
}

const struct file_ops *
dev_blk_fops(uint64_t rdev)
{
  return 0;
}

static struct stored *
stored_of(struct mobj *obj)
{
  return &stored[container_of(obj, struct inode, obj)->ino];
}

static void
files_fill(struct mobj *obj, struct page **pg, int n)
{
  for(int i = 0; i < n; i++) {
    page_zero(pg[i]);
    *(uint64_t *)page_va(pg[i]) = stored_of(obj)->word[pg[i]->idx];
    page_set(pg[i], PAGE_BACKED);
    page_filled(pg[i], 0);
  }
}

static int
files_makewrite(struct mobj *obj, struct page *pg)
{
  panic("every page is backed");
}

static int
files_flush(struct mobj *obj, struct page **pg, int n)
{
  struct stored *s = stored_of(obj);

  atomic_add(&s->flushes, 1);
  atomic_add(&s->flushed, n);
  if(s->delay_us)
    usleep(s->delay_us);
  for(int i = 0; i < n; i++) {
    expect(page_test(pg[i], PAGE_BUSY) && !page_test(pg[i], PAGE_DIRTY));
    expect(i == 0 || pg[i]->idx > pg[i - 1]->idx);
    if(atomic_get(&s->bad[pg[i]->idx]))
      return -EIO;
  }
  for(int i = 0; i < n; i++)
    s->word[pg[i]->idx] = *(uint64_t *)page_va(pg[i]);
  return 0;
}

static const struct mobj_ops files_mops = {
    .name = "files",
    .fill = files_fill,
    .makewrite = files_makewrite,
    .flush = files_flush,
    .release = inode_mobj_release,
};

static int
files_truncate(struct inode *ip, uint64_t size)
{
  mobj_truncate(&ip->obj, size);
  for(uint64_t i = pages_of(size); i < FILE_PAGES; i++)
    stored[ip->ino].word[i] = 0;
  return 0;
}

static void
files_evict(struct inode *ip)
{
  stored[ip->ino].evicted++;
  inode_free(ip);
}

static const struct inode_ops files_ops = {.truncate = files_truncate, .evict = files_evict};
static const struct fs_ops files_fs_ops = {.sync = 0};

static int
files_read(struct inode *ip)
{
  ip->mode = S_IFREG | 0666;
  ip->nlink = stored[ip->ino].nlink;
  ip->obj.size = FILE_PAGES * PAGE_SIZE;
  return 0;
}

void
files_begin(void)
{
  static bool made;

  fake_frames_init(FRAMES);
  if(!made)
    vfs_init();
  made = true;
  wfs = (struct fs){.ops = &files_fs_ops, .type = "files", .ref = 1};
  memset(stored, 0, sizeof stored);
  for(int k = 0; k < FILES; k++)
    stored[k].nlink = 1;
  writeback_settings = (struct writeback_settings){.interval = 500, .expire = 3000};
  balance_settings = (struct balance_settings){.background_ratio = 10, .ratio = 20};
  balance_over_background(); // notes the limits
  dirty_stats.dirtied = dirty_stats.written = 0;
  baseline = fake_frames_free();
}

void
files_limits(uint64_t background, uint64_t all)
{
  balance_settings.background_bytes = background * PAGE_SIZE;
  balance_settings.bytes = all * PAGE_SIZE;
  balance_over_background();
}

void
files_end(void)
{
  while(dentry_shrink(1000) > 0)
    inode_flush_later();
  inode_flush_later();
  inode_disown(0, false);
  inode_flush_later();
  expect_eq(wfs.ninodes, 0);
  expect_eq(dirty_stats.dirty + dirty_stats.bad + dirty_stats.writing, 0);
  expect_eq(mobj_total_cached(), 0);
  expect_eq(fake_frames_free(), baseline);
}

void
files_check(struct mobj *obj)
{
  uint64_t at = 0, n = 0;
  uintptr_t word;

  spin_acquire(&obj->lock);
  for(; radix_next_tagged(&obj->pages, &at, UINT64_MAX, &word); at++, n++)
    expect(page_test((struct page *)word, PAGE_DIRTY | PAGE_BUSY));
  expect_eq(n, obj->ndirty);
  for(at = 0, n = 0; radix_next(&obj->pages, &at, UINT64_MAX, &word); at++)
    n += page_test((struct page *)word, PAGE_DIRTY) != 0;
  expect(n <= obj->ndirty);
  spin_release(&obj->lock);
}

struct file *
file_of(int k)
{
  struct inode *ip;
  struct dentry *d;
  struct file *f;

  if(inode_find(&wfs, k, &files_mops, &files_ops, files_read, &ip) != 0 || (d = dentry_anon(&wfs, "f", ip)) == 0 ||
     file_open_checked(d, O_RDWR | O_NOATIME, 0, &f) != 0)
    panic("file %d cannot be opened", k);
  dentry_put(d);
  return f;
}

int64_t
file_put_word(struct file *f, uint64_t page, uint64_t word)
{
  uint64_t pos = page * PAGE_SIZE;
  struct iovec one;
  struct uio u;

  uio_kernel(&u, &one, &word, sizeof word);
  return file_write(f, &u, &pos);
}

uint64_t
file_get_word(struct file *f, uint64_t page)
{
  uint64_t word = 0;

  expect_eq(file_read_kernel(f, &word, sizeof word, page * PAGE_SIZE), sizeof word);
  return word;
}
