// blkfile.c -- a disk as an open file: its bytes, raw and uncached.
//
// Typical: dd if=/dev/vda | ...: dev_blk_fops(rdev) at open / blkfile_read in steps of one page of memory.
// Nothing is kept between calls, so what a mounted file system has in its caches is not seen here before it is written.
#include "dev/blk.h"
#include "fs/devfs/devfs.h"
#include "core/thread.h"
#include "lib/string.h"

enum { MAJOR_RAM = 1, MAJOR_VIRTIO = 254, MAJOR_SHIFT = 8, MINORS_PER_DISK = 16 };
enum { BLKGETSIZE = 0x1260, BLKFLSBUF = 0x1261, BLKSSZGET = 0x1268 };
#define BLKGETSIZE64 0x80081272u
enum { SEEK_SET = 0, SEEK_CUR = 1, SEEK_END = 2 };

// ram0, ram1 ...: major 1. The others, in the order in which they were found, as Linux's virtio disks: 16 minors each.
uint64_t
blkfile_rdev(const struct blkdev *want)
{
  uint64_t ram = 0, disk = 0;

  for(struct blkdev *b = blk_next(0); b; b = blk_next(b)) {
    bool is_ram = strncmp(b->name, "ram", 3) == 0;

    if(b == want)
      return is_ram ? MAJOR_RAM << MAJOR_SHIFT | ram : MAJOR_VIRTIO << MAJOR_SHIFT | disk * MINORS_PER_DISK;
    if(is_ram)
      ram++;
    else
      disk++;
  }
  return 0;
}

static struct blkdev *
blkfile_find(uint64_t rdev)
{
  struct blkdev *b;

  for(b = blk_next(0); b && blkfile_rdev(b) != rdev; b = blk_next(b))
    ;
  return b;
}

static uint64_t
blkfile_size(const struct file *f)
{
  return ((struct blkdev *)f->priv)->sectors * BLK_SECTOR;
}

// Move n bytes (within one page of sectors around pos) between the disk and u through `page`. Bytes, or -E.
static int64_t
blkfile_move(struct blkdev *b, struct uio *u, uint64_t pos, size_t n, bool write, char *page)
{
  uint64_t lo = pos / BLK_SECTOR, hi = (pos + n + BLK_SECTOR - 1) / BLK_SECTOR;
  size_t len = (hi - lo) * BLK_SECTOR, off = pos - lo * BLK_SECTOR, moved;
  int err = 0, e = 0;

  if(!write || len != n) // whole sectors need not be read before they are written
    err = blk_io(b, BLK_READ, lo, page, len);
  if(err)
    return err;
  if(!write) {
    moved = uio_to(u, page + off, n, &err);
    return moved > 0 ? (int64_t)moved : err;
  }
  moved = uio_from(u, page + off, n, &err);
  if(moved < n) // a fault: only whole sectors of what arrived can be written
    len = (off + moved) / BLK_SECTOR * BLK_SECTOR;
  if(len <= off)
    return err;
  e = blk_io(b, BLK_WRITE, lo, page, len);
  return e ? e : (int64_t)min(moved, len - off);
}

static int64_t
blkfile_loop(struct file *f, struct uio *u, uint64_t *pos, bool write)
{
  uint64_t size = blkfile_size(f), done = 0, room;
  struct page *pg = frame_try(0);
  int64_t n = 0;

  if(!pg)
    return -ENOMEM;
  while(u->left > 0 && *pos < size) {
    room = PAGE_SIZE - *pos % BLK_SECTOR;
    n = blkfile_move(f->priv, u, *pos, min(min(u->left, room), size - *pos), write, page_va(pg));
    if(n <= 0)
      break;
    *pos += n;
    done += n;
    thread_relax();
  }
  page_put(pg);
  return done > 0 ? (int64_t)done : n;
}

static int64_t
blkfile_read(struct file *f, struct uio *u, uint64_t *pos)
{
  return blkfile_loop(f, u, pos, false);
}

static int64_t
blkfile_write(struct file *f, struct uio *u, uint64_t *pos)
{
  if(u->left > 0 && *pos >= blkfile_size(f))
    return -ENOSPC;
  return blkfile_loop(f, u, pos, true);
}

static int64_t
blkfile_lseek(struct file *f, int64_t off, int whence)
{
  int64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? (int64_t)f->pos : (int64_t)blkfile_size(f);

  if(whence < SEEK_SET || whence > SEEK_END)
    return -EINVAL;
  if(__builtin_add_overflow(base, off, &base) || base < 0 || base > (int64_t)blkfile_size(f))
    return -EINVAL;
  return base;
}

static int
blkfile_fsync(struct file *f, bool data_only)
{
  struct blkdev *b = f->priv;

  return b->has_flush ? blk_io(b, BLK_FLUSH, 0, 0, 0) : 0;
}

static int
blkfile_ioctl(struct file *f, unsigned cmd, uint64_t arg, struct aspace *as)
{
  struct blkdev *b = f->priv;
  uint64_t n = cmd == BLKGETSIZE ? b->sectors : blkfile_size(f);
  int sector = BLK_SECTOR;

  switch(cmd) {
  case BLKGETSIZE:
  case BLKGETSIZE64: return copyout(as, arg, &n, sizeof(n), 0);
  case BLKSSZGET: return copyout(as, arg, &sector, sizeof(sector), 0);
  case BLKFLSBUF: return blkfile_fsync(f, false);
  default: return -ENOTTY;
  }
}

static int
blkfile_open(struct file *f)
{
  struct blkdev *b = blkfile_find(f->inode->rdev);

  if(!b)
    return -ENXIO;
  if(b->readonly && (f->flags & O_ACCMODE) != O_RDONLY)
    return -EROFS;
  f->priv = b;
  return 0;
}

static const struct file_ops blkfile_fops = {
    .read = blkfile_read,
    .write = blkfile_write,
    .lseek = blkfile_lseek,
    .fsync = blkfile_fsync,
    .ioctl = blkfile_ioctl,
    .open = blkfile_open,
    .seekable = true,
};

const struct file_ops *
dev_blk_fops(uint64_t rdev)
{
  return blkfile_find(rdev) ? &blkfile_fops : 0;
}
