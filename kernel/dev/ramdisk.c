// ramdisk.c -- a boot module in memory as a disk: ram0, ram1, ...
// Typical: ramdisk_add(lo, hi) for each module that the boot loader brought; then blk_find("ram0").
// The memory must be RAM that the frame allocator was never given. What is written is lost at power-off.
#include "core/print.h"
#include "dev/blk.h"
#include "dev/dev.h"
#include "lib/atomic.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mm/mm.h"

struct ramdisk {
  struct blkdev dev;
  uint8_t *base; // (c)
};

static int ramdisk_count; // (a)

static void
ramdisk_submit(struct blkdev *d, struct blkreq *r)
{
  struct ramdisk *rd = d->priv;
  uint8_t *at = rd->base + r->sector * BLK_SECTOR;

  for(int i = 0; i < r->nseg && r->op != BLK_DISCARD; i++) {
    struct blkseg *s = &r->seg[i];

    if(r->op == BLK_READ)
      memcpy(kva_of_pa(s->pa), at, s->len);
    else
      memcpy(at, kva_of_pa(s->pa), s->len);
    at += s->len;
  }
  blk_done(d, r, 0);
}

static const struct blkdev_ops ramdisk_ops = {ramdisk_submit};

void
ramdisk_add(paddr_t lo, paddr_t hi)
{
  struct ramdisk *rd = kzalloc(sizeof(*rd));

  if(rd == 0 || hi - lo < BLK_SECTOR) {
    print("ramdisk: module at %lx ignored\n", lo);
    kfree(rd);
    return;
  }
  fmt(rd->dev.name, sizeof(rd->dev.name), "ram%d", atomic_add(&ramdisk_count, 1) - 1);
  rd->base = kva_of_pa(lo);
  rd->dev.sectors = (hi - lo) / BLK_SECTOR;
  rd->dev.ops = &ramdisk_ops;
  rd->dev.priv = rd;
  blk_add(&rd->dev);
}
