// virtio.c -- virtio 1.x over PCI: finding the register windows, the handshake, and split rings.
// Must not know what a request means. Memory of a ring is one block of frames, so it is physically contiguous.
// A device that names a request we did not make is not believed: virtq_take skips it.
#include "dev/virtio.h"
#include "core/cpu.h"
#include "core/print.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/mm.h"

enum {
  VIRTIO_VENDOR = 0x1af4,
  MODERN_BASE = 0x1040, // + type
  CAP_LENGTH = 2,       // offsets in a vendor capability
  CAP_KIND = 3,
  CAP_BAR = 4,
  CAP_OFFSET = 8,
  CAP_SIZE = 12,
  CAP_NOTIFY_STEP = 16,
  KIND_COMMON = 1,
  KIND_NOTIFY = 2,
  KIND_DEVICE = 4,
};
enum { // common configuration
  COMMON_FEATURE_SELECT = 0x00,
  COMMON_FEATURES = 0x04,
  COMMON_DRIVER_SELECT = 0x08,
  COMMON_DRIVER_FEATURES = 0x0c,
  COMMON_MSIX_CONFIG = 0x10,
  COMMON_STATUS = 0x14,
  COMMON_GENERATION = 0x15,
  COMMON_QUEUE_SELECT = 0x16,
  COMMON_QUEUE_SIZE = 0x18,
  COMMON_QUEUE_VECTOR = 0x1a,
  COMMON_QUEUE_ENABLE = 0x1c,
  COMMON_QUEUE_NOTIFY = 0x1e,
  COMMON_QUEUE_DESC = 0x20,
  COMMON_QUEUE_AVAIL = 0x28,
  COMMON_QUEUE_USED = 0x30,
  COMMON_LEN = 0x38,
  NO_VECTOR = 0xffff,
};
enum {
  STATUS_ACKNOWLEDGE = 1,
  STATUS_DRIVER = 2,
  STATUS_DRIVER_OK = 4,
  STATUS_FEATURES_OK = 8,
  STATUS_FAILED = 0x80,
  FEATURE_VERSION_1 = 32,
  DESC_NEXT = 1,
  DESC_WRITE = 2,
  USED_NO_NOTIFY = 1,
  RESET_SPINS = 1000000,
};

// Registers have to be accessed with their own width.
#define reg8(v, off)  (*(volatile uint8_t *)((v)->common + (off)))
#define reg16(v, off) (*(volatile uint16_t *)((v)->common + (off)))
#define reg32(v, off) (*(volatile uint32_t *)((v)->common + (off)))

static bool
virtio_is(const struct pci_dev *d, int type)
{
  static const uint16_t transitional[] = {[VIRTIO_BLOCK] = 0x1001, [VIRTIO_ENTROPY] = 0x1005};

  return d->vendor == VIRTIO_VENDOR && (d->device == MODERN_BASE + type || d->device == transitional[type]);
}

struct pci_dev *
virtio_find(int type, struct pci_dev *d)
{
  while((d = pci_next(d)) != 0)
    if(virtio_is(d, type) && !d->taken) {
      d->taken = true;
      return d;
    }
  return 0;
}

// Map the window that capability `cap` describes.
static volatile uint8_t *
virtio_window(struct pci_dev *d, int cap, uint32_t *len)
{
  *len = pci_read(d, cap + CAP_SIZE, 4);
  return pci_map_bar(d, pci_read(d, cap + CAP_BAR, 1), pci_read(d, cap + CAP_OFFSET, 4), *len);
}

// Find the register windows. The first capability of a kind is the one the device prefers.
static bool
virtio_map(struct virtio *v)
{
  struct pci_dev *d = v->pci;
  uint32_t common = 0, notify = 0;

  for(int cap = 0; (cap = pci_capability(d, PCI_CAP_VENDOR, cap)) != 0;)
    switch(pci_read(d, cap + CAP_KIND, 1)) {
    case KIND_COMMON:
      if(v->common == 0)
        v->common = virtio_window(d, cap, &common);
      break;
    case KIND_NOTIFY:
      if(v->notify == 0) {
        v->notify = virtio_window(d, cap, &notify);
        v->notify_step = pci_read(d, cap + CAP_NOTIFY_STEP, 4);
      }
      break;
    case KIND_DEVICE:
      if(v->config == 0)
        v->config = virtio_window(d, cap, &v->config_len);
      break;
    }
  return v->common && v->notify && common >= COMMON_LEN;
}

static uint64_t
virtio_offered(struct virtio *v)
{
  uint64_t low;

  reg32(v, COMMON_FEATURE_SELECT) = 0;
  low = reg32(v, COMMON_FEATURES);
  reg32(v, COMMON_FEATURE_SELECT) = 1;
  return (uint64_t)reg32(v, COMMON_FEATURES) << 32 | low;
}

// The device forgets everything; false if it never answers.
static bool
virtio_reset(struct virtio *v)
{
  reg8(v, COMMON_STATUS) = 0;
  for(int i = 0; i < RESET_SPINS; i++) {
    if(reg8(v, COMMON_STATUS) == 0)
      return true;
    cpu_relax();
  }
  return false;
}

static int
virtio_refuse(struct virtio *v, const char *why)
{
  print("virtio: %02x:%02x.%x: %s; device not used\n", v->pci->bus, v->pci->dev, v->pci->fn, why);
  if(v->common)
    virtio_fail(v);
  return -ENODEV;
}

int
virtio_open(struct virtio *v, struct pci_dev *d, uint64_t want)
{
  uint64_t offered;

  v->pci = d;
  pci_enable(d);
  if(!virtio_map(v))
    return virtio_refuse(v, "no virtio 1.x registers (disable-modern=on?)");
  if(pci_msix_enable(d) != 0)
    return virtio_refuse(v, "no MSI-X");
  if(!virtio_reset(v))
    return virtio_refuse(v, "does not reset");
  reg8(v, COMMON_STATUS) = STATUS_ACKNOWLEDGE;
  reg8(v, COMMON_STATUS) = STATUS_ACKNOWLEDGE | STATUS_DRIVER;
  offered = virtio_offered(v);
  if(!(offered >> FEATURE_VERSION_1 & 1))
    return virtio_refuse(v, "knows only the old protocol");
  v->features = offered & (want | 1ull << FEATURE_VERSION_1);
  reg32(v, COMMON_DRIVER_SELECT) = 0;
  reg32(v, COMMON_DRIVER_FEATURES) = v->features;
  reg32(v, COMMON_DRIVER_SELECT) = 1;
  reg32(v, COMMON_DRIVER_FEATURES) = v->features >> 32;
  reg8(v, COMMON_STATUS) = STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK;
  if(!(reg8(v, COMMON_STATUS) & STATUS_FEATURES_OK))
    return virtio_refuse(v, "refused our features");
  reg16(v, COMMON_MSIX_CONFIG) = NO_VECTOR;
  return 0;
}

void
virtio_start(struct virtio *v)
{
  reg8(v, COMMON_STATUS) = STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK;
}

void
virtio_fail(struct virtio *v)
{
  reg8(v, COMMON_STATUS) = STATUS_FAILED;
}

uint32_t
virtio_config32(struct virtio *v, int off)
{
  if(v->config == 0 || off + sizeof(uint32_t) > v->config_len)
    return 0;
  return *(volatile uint32_t *)(v->config + off);
}

uint64_t
virtio_config64(struct virtio *v, int off)
{
  uint8_t generation;
  uint64_t value;

  do {
    generation = reg8(v, COMMON_GENERATION);
    value = virtio_config32(v, off) | (uint64_t)virtio_config32(v, off + 4) << 32;
  } while(generation != reg8(v, COMMON_GENERATION));
  return value;
}

// Memory for the three parts of q, and every descriptor on the free list.
static int
virtq_alloc(struct virtq *q)
{
  size_t desc = q->size * sizeof(struct virtq_desc);
  size_t avail = sizeof(struct virtq_avail) + (q->size + 1) * sizeof(uint16_t);
  size_t used = sizeof(struct virtq_used) + q->size * sizeof(uint64_t) + sizeof(uint16_t);
  size_t used_at = round_up(desc + avail, sizeof(uint64_t));
  struct page *pg;
  uint8_t *p;
  int order = 0;

  while((PAGE_SIZE << order) < used_at + used)
    order++;
  pg = frame_try(order);
  if(pg == 0)
    return -ENOMEM;
  p = page_va(pg);
  memset(p, 0, PAGE_SIZE << order);
  q->desc = (struct virtq_desc *)p;
  q->avail = (struct virtq_avail *)(p + desc);
  q->used = (struct virtq_used *)(p + used_at);
  q->nfree = q->size;
  for(int i = 0; i < q->size; i++)
    q->desc[i].next = i + 1;
  return 0;
}

static void
virtq_address(struct virtio *v, int reg, const void *p)
{
  uint64_t pa = pa_of_kva(p);

  reg32(v, reg) = pa;
  reg32(v, reg + 4) = pa >> 32;
}

int
virtq_open(struct virtq *q, struct virtio *v, int index, void (*fn)(void *), void *arg)
{
  int err;

  spin_init(&q->lock, "virtq", RANK_DEV);
  q->dev = v;
  q->index = index;
  reg16(v, COMMON_QUEUE_SELECT) = index;
  q->size = min(reg16(v, COMMON_QUEUE_SIZE), VIRTQ_MAX);
  if(q->size == 0)
    return virtio_refuse(v, "has no such queue");
  err = virtq_alloc(q);
  if(err == 0)
    err = pci_msix_route(v->pci, index, fn, arg);
  if(err)
    return err;
  reg16(v, COMMON_QUEUE_SIZE) = q->size;
  reg16(v, COMMON_QUEUE_VECTOR) = index;
  if(reg16(v, COMMON_QUEUE_VECTOR) != index)
    return virtio_refuse(v, "refused an interrupt");
  virtq_address(v, COMMON_QUEUE_DESC, q->desc);
  virtq_address(v, COMMON_QUEUE_AVAIL, q->avail);
  virtq_address(v, COMMON_QUEUE_USED, q->used);
  q->notify = (volatile uint16_t *)(v->notify + reg16(v, COMMON_QUEUE_NOTIFY) * v->notify_step);
  reg16(v, COMMON_QUEUE_ENABLE) = 1;
  return 0;
}

int
virtq_next(struct virtq *q, int parts)
{
  assert_held(&q->lock);
  return parts <= q->nfree ? q->first_free : VIRTQ_FULL;
}

void
virtq_add(struct virtq *q, const struct virtq_part *part, int nread, int nwrite, void *token)
{
  int n = nread + nwrite, head = q->first_free;
  struct virtq_desc *d = 0;

  assert_held(&q->lock);
  assert(n > 0 && n <= q->nfree && q->token[head] == 0);
  for(int i = 0; i < n; i++) {
    d = &q->desc[q->first_free];
    d->pa = part[i].pa;
    d->len = part[i].len;
    d->flags = DESC_NEXT | (i >= nread ? DESC_WRITE : 0);
    q->first_free = d->next;
  }
  d->flags &= ~DESC_NEXT;
  q->nfree -= n;
  q->token[head] = token;
  q->avail->ring[q->avail->idx % q->size] = head;
  atomic_set(&q->avail->idx, q->avail->idx + 1); // after the ring entry
}

void
virtq_kick(struct virtq *q)
{
  assert_held(&q->lock);
  atomic_fence(); // idx is out before `flags` is read, or both sides may think that the other is awake
  if(!(atomic_get(&q->used->flags) & USED_NO_NOTIFY))
    *q->notify = q->index;
}

// Chain `head` goes back to the free list.
static void
virtq_free(struct virtq *q, int head)
{
  int last = head, n = 1;

  while(q->desc[last].flags & DESC_NEXT) {
    last = q->desc[last].next;
    n++;
  }
  q->desc[last].next = q->first_free;
  q->first_free = head;
  q->nfree += n;
}

void *
virtq_take(struct virtq *q, int *first, uint32_t *len)
{
  assert_held(&q->lock);
  while(q->used_seen != atomic_get(&q->used->idx)) {
    int i = q->used_seen++ % q->size;
    uint32_t id = q->used->ring[i].id;
    void *token;

    if(id >= (uint32_t)q->size || q->token[id] == 0)
      continue;
    token = q->token[id];
    q->token[id] = 0;
    virtq_free(q, id);
    *first = id;
    *len = q->used->ring[i].len;
    return token;
  }
  return 0;
}
