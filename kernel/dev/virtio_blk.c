// virtio_blk.c -- virtio disks: vda, vdb, ... in PCI order.
// Typical: virtio_blk_init() once; then blk_submit -> disk_submit, and disk_interrupt -> blk_done.
// Many requests are in flight; a full ring makes disk_submit sleep. Nobody promises an order between them: see blk.h.
// Must not know who asks. An I/O error is final: it is not tried again.
#include "core/print.h"
#include "core/wait.h"
#include "dev/blk.h"
#include "dev/dev.h"
#include "dev/virtio.h"
#include "lib/errno.h"
#include "lib/fmt.h"
#include "mm/mm.h"

enum {
  FEATURE_SIZE_MAX = 1,
  FEATURE_SEG_MAX = 2,
  FEATURE_READONLY = 5,
  FEATURE_FLUSH = 9,
  FEATURE_DISCARD = 13,
  CONFIG_CAPACITY = 0x00,
  CONFIG_SIZE_MAX = 0x08,
  CONFIG_SEG_MAX = 0x0c,
  CONFIG_DISCARD_SECTORS = 0x24,
  TYPE_READ = 0,
  TYPE_WRITE = 1,
  TYPE_FLUSH = 4,
  TYPE_DISCARD = 11,
  STATUS_OK = 0,
  STATUS_UNSET = 0xff,
  PARTS_MAX = BLK_SEGMENTS + 2, // header, data, status
  SEGMENT_MIN = 1 << 20,        // a device that takes less in one segment is refused
  LETTERS = 26,
};

// What the device reads and writes besides the data. One per descriptor number, so a chain finds its own by its first.
struct disk_slot {
  uint32_t type, reserved;
  uint64_t sector;
  uint64_t discard_sector; // the payload of a discard
  uint32_t discard_count, discard_flags;
  uint8_t status, pad[31];
};
_Static_assert(sizeof(struct disk_slot) == 64, "a slot does not cross a page");

struct disk {
  struct blkdev dev;
  struct virtio v;
  struct virtq q;
  struct disk_slot *slot; // (q.lock) by descriptor; shared with the device
  paddr_t slot_pa;        // (c)
  struct waitq room;      // for descriptors
  uint32_t discard_max;   // (c) sectors in one discard; 0: the device knows none
};

static int disk_count; // only virtio_blk_init

// Parts of request r, whose slot is number `at`: how many the device reads, *nwrite how many it writes.
static int
disk_parts(struct disk *k, const struct blkreq *r, int at, struct virtq_part *part, int *nwrite)
{
  static const uint32_t type[] = {TYPE_READ, TYPE_WRITE, TYPE_FLUSH, TYPE_DISCARD};
  struct disk_slot *s = &k->slot[at];
  paddr_t pa = k->slot_pa + at * sizeof(*s);
  int n = 0;

  s->type = type[r->op];
  s->reserved = 0;
  s->sector = r->op == BLK_READ || r->op == BLK_WRITE ? r->sector : 0;
  s->status = STATUS_UNSET;
  part[n++] = (struct virtq_part){pa, offsetof(struct disk_slot, discard_sector)};
  if(r->op == BLK_DISCARD) {
    s->discard_sector = r->sector;
    s->discard_count = blk_bytes(r) / BLK_SECTOR;
    s->discard_flags = 0;
    part[n++] = (struct virtq_part){pa + offsetof(struct disk_slot, discard_sector), 16};
  } else {
    for(int i = 0; i < r->nseg; i++)
      part[n++] = (struct virtq_part){r->seg[i].pa, r->seg[i].len};
  }
  part[n++] = (struct virtq_part){pa + offsetof(struct disk_slot, status), sizeof(s->status)};
  *nwrite = r->op == BLK_READ ? n - 1 : 1;
  return n - *nwrite;
}

// Queue r if there is room.
static bool
disk_try(struct disk *k, struct blkreq *r)
{
  struct virtq_part part[PARTS_MAX];
  int at, nread, nwrite;

  spin_acquire(&k->q.lock);
  at = virtq_next(&k->q, r->nseg + 2);
  if(at != VIRTQ_FULL) {
    nread = disk_parts(k, r, at, part, &nwrite);
    virtq_add(&k->q, part, nread, nwrite, r);
    virtq_kick(&k->q);
  }
  spin_release(&k->q.lock);
  return at != VIRTQ_FULL;
}

static void
disk_submit(struct blkdev *d, struct blkreq *r)
{
  struct disk *k = d->priv;

  if(r->op == BLK_DISCARD && blk_bytes(r) / BLK_SECTOR > k->discard_max) {
    blk_done(d, r, 0); // a discard is only advice
    return;
  }
  if(!disk_try(k, r))
    wait_event(&k->room, disk_try(k, r), WAIT_ALWAYS, NEVER);
}

// The next finished request, or 0.
static struct blkreq *
disk_take(struct disk *k, int *err)
{
  struct blkreq *r;
  uint32_t len;
  int at;

  spin_acquire(&k->q.lock);
  r = virtq_take(&k->q, &at, &len);
  if(r)
    *err = k->slot[at].status == STATUS_OK ? 0 : -EIO;
  spin_release(&k->q.lock);
  return r;
}

static void
disk_interrupt(void *arg)
{
  struct disk *k = arg;
  struct blkreq *r;
  int err;

  while((r = disk_take(k, &err)) != 0)
    blk_done(&k->dev, r, err);
  if(waitq_busy(&k->room))
    waitq_wake(&k->room);
}

static const struct blkdev_ops disk_ops = {disk_submit};

// Does the device take what blk.h allows?
static bool
disk_suits(struct disk *k)
{
  if(k->q.size < PARTS_MAX)
    return false;
  if(virtio_has(&k->v, FEATURE_SEG_MAX) && virtio_config32(&k->v, CONFIG_SEG_MAX) < BLK_SEGMENTS)
    return false;
  return !virtio_has(&k->v, FEATURE_SIZE_MAX) || virtio_config32(&k->v, CONFIG_SIZE_MAX) >= SEGMENT_MIN;
}

static int
disk_open(struct disk *k, struct pci_dev *d)
{
  uint64_t want =
      1 << FEATURE_SIZE_MAX | 1 << FEATURE_SEG_MAX | 1 << FEATURE_READONLY | 1 << FEATURE_FLUSH | 1 << FEATURE_DISCARD;
  struct page *pg;
  int err, order = 0;

  waitq_init(&k->room);
  err = virtio_open(&k->v, d, want);
  if(err == 0)
    err = virtq_open(&k->q, &k->v, 0, disk_interrupt, k);
  if(err)
    return err;
  if(!disk_suits(k))
    return -EINVAL;
  while(PAGE_SIZE << order < k->q.size * sizeof(struct disk_slot))
    order++;
  pg = frame_try(order);
  if(pg == 0)
    return -ENOMEM;
  k->slot = page_va(pg);
  k->slot_pa = page_pa(pg);
  virtio_start(&k->v);
  return 0;
}

static void
disk_add(struct disk *k)
{
  struct blkdev *b = &k->dev;

  if(disk_count < LETTERS)
    fmt(b->name, sizeof(b->name), "vd%c", 'a' + disk_count);
  else
    fmt(b->name, sizeof(b->name), "vd%c%c", 'a' + disk_count / LETTERS - 1, 'a' + disk_count % LETTERS);
  disk_count++;
  b->sectors = virtio_config64(&k->v, CONFIG_CAPACITY);
  b->readonly = virtio_has(&k->v, FEATURE_READONLY);
  b->has_flush = virtio_has(&k->v, FEATURE_FLUSH);
  b->ops = &disk_ops;
  b->priv = k;
  if(virtio_has(&k->v, FEATURE_DISCARD))
    k->discard_max = virtio_config32(&k->v, CONFIG_DISCARD_SECTORS);
  blk_add(b);
}

void
virtio_blk_init(void)
{
  for(struct pci_dev *d = 0; (d = virtio_find(VIRTIO_BLOCK, d)) != 0;) {
    struct disk *k = kzalloc(sizeof(*k));
    int err = k ? disk_open(k, d) : -ENOMEM;

    if(err == 0)
      disk_add(k);
    else
      print("virtio_blk: %02x:%02x.%x not used (error %d)\n", d->bus, d->dev, d->fn, -err);
    // A device that failed keeps its memory: it may still know the ring's address.
  }
}
