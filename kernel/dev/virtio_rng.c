// virtio_rng.c -- the host's random bytes for random.c.
// Typical: virtio_rng_init() once; its thread asks at start and then once in a while.
#include "core/kthread.h"
#include "core/print.h"
#include "core/wait.h"
#include "dev/dev.h"
#include "dev/virtio.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/mm.h"

enum { NOISE_BYTES = 64 };
#define RESEED_NS (300 * NSEC)

struct rng {
  struct virtio v;
  struct virtq q;
  struct waitq done;
  uint8_t *noise; // (c) one frame, shared with the device
  uint32_t len;   // (q.lock) bytes of the last answer
  bool answered;  // (a)
};

static void
rng_interrupt(void *arg)
{
  struct rng *g = arg;
  int first;

  spin_acquire(&g->q.lock);
  if(virtq_take(&g->q, &first, &g->len))
    atomic_set(&g->answered, true);
  spin_release(&g->q.lock);
  waitq_wake(&g->done);
}

static void
rng_ask(struct rng *g)
{
  struct virtq_part part = {pa_of_kva(g->noise), NOISE_BYTES};

  atomic_set(&g->answered, false);
  spin_acquire(&g->q.lock);
  virtq_add(&g->q, &part, 0, 1, g);
  virtq_kick(&g->q);
  spin_release(&g->q.lock);
  wait_event(&g->done, atomic_get(&g->answered), WAIT_ALWAYS, NEVER);
  random_mix(g->noise, min(g->len, (uint32_t)NOISE_BYTES));
  memset(g->noise, 0, NOISE_BYTES);
}

static void
rng_thread(void *arg)
{
  for(;;) {
    rng_ask(arg);
    time_sleep_until(clock_now() + RESEED_NS, WAIT_ALWAYS);
  }
}

static int
rng_open(struct rng *g, struct pci_dev *d)
{
  struct page *pg = frame_try(0);
  int err;

  if(pg == 0)
    return -ENOMEM;
  g->noise = page_va(pg);
  waitq_init(&g->done);
  err = virtio_open(&g->v, d, 0);
  if(err == 0)
    err = virtq_open(&g->q, &g->v, 0, rng_interrupt, g);
  if(err)
    return err;
  virtio_start(&g->v);
  return kthread_start("virtio_rng", rng_thread, g);
}

void
virtio_rng_init(void)
{
  struct pci_dev *d = virtio_find(VIRTIO_ENTROPY, 0);
  struct rng *g;
  int err;

  if(d == 0)
    return;
  g = kzalloc(sizeof(*g));
  err = g ? rng_open(g, d) : -ENOMEM;
  if(err)
    print("virtio_rng: not used (error %d)\n", -err);
}
