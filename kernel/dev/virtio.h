// virtio.h -- virtio 1.x devices over PCI: features, queues, completion interrupts.
// Typical: virtio_open / virtq_open / virtio_start; then under q->lock virtq_add, virtq_kick; on interrupt virtq_take.
// Lock keys: (c) constant after opening  (q) q->lock
#pragma once
#include "core/lock.h"
#include "dev/pci.h"
#include "mm/types.h"

enum { VIRTIO_BLOCK = 2, VIRTIO_ENTROPY = 4 }; // device types
enum { VIRTQ_MAX = 256, VIRTQ_FULL = -1 };

struct virtio {
  struct pci_dev *pci;      // (c)
  volatile uint8_t *common; // (c)
  volatile uint8_t *notify; // (c)
  uint32_t notify_step;     // (c)
  volatile uint8_t *config; // (c) the device's own; 0 if it has none
  uint32_t config_len;      // (c)
  uint64_t features;        // (c) agreed on
};

struct virtq_desc {
  uint64_t pa;
  uint32_t len;
  uint16_t flags, next;
};
struct virtq_avail {
  uint16_t flags, idx, ring[];
};
struct virtq_used {
  uint16_t flags, idx;
  struct {
    uint32_t id, len;
  } ring[];
};
struct virtq {
  struct spinlock lock;
  struct virtio *dev;        // (c)
  int index, size;           // (c)
  struct virtq_desc *desc;   // (q) shared with the device, as the next two
  struct virtq_avail *avail; // (q)
  struct virtq_used *used;   // (q)
  volatile uint16_t *notify; // (c)
  int nfree;                 // (q) free descriptors
  uint16_t first_free;       // (q) their list, through desc.next
  uint16_t used_seen;        // (q)
  void *token[VIRTQ_MAX];    // (q) by first descriptor of a chain; 0: none in flight
};
struct virtq_part { // one piece of a request
  paddr_t pa;
  uint32_t len;
};

// The next unclaimed device of this type after d (0: from the start), claimed; 0 if there is none.
struct pci_dev *virtio_find(int type, struct pci_dev *d);
// Reset the device and agree on features: those of `want` that it offers. 0, or -ENODEV with a message.
int virtio_open(struct virtio *v, struct pci_dev *d, uint64_t want);
// Queue `index`, whose completions call fn(arg) in interrupt context. 0, -ENOMEM, -ENODEV, -ENOSPC.
int virtq_open(struct virtq *q, struct virtio *v, int index, void (*fn)(void *), void *arg);
void virtio_start(struct virtio *v);                 // the device may work now
void virtio_fail(struct virtio *v);                  // give it up
uint32_t virtio_config32(struct virtio *v, int off); // 0 past the end
uint64_t virtio_config64(struct virtio *v, int off);
static inline bool
virtio_has(const struct virtio *v, int feature)
{
  return v->features >> feature & 1;
}
// Descriptor that the next virtq_add will begin with, or VIRTQ_FULL if `parts` do not fit.
int virtq_next(struct virtq *q, int parts) REQUIRES(q->lock);
// Queue `nread` parts that the device reads and then `nwrite` that it writes. virtq_next said that they fit.
void virtq_add(struct virtq *q, const struct virtq_part *part, int nread, int nwrite, void *token) REQUIRES(q->lock);
void virtq_kick(struct virtq *q) REQUIRES(q->lock); // tell the device
// A finished request's token, or 0. *first: its first descriptor, *len: bytes the device wrote.
void *virtq_take(struct virtq *q, int *first, uint32_t *len) REQUIRES(q->lock);
