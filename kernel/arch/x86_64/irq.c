// irq.c -- device vectors: handed out to drivers, and from a vector back to the driver's function.
// Typical: irq_alloc_msi(fn, arg, &addr, &data) or irq_request_legacy(4, fn, arg); then trap.c calls irq_dispatch(vec).
// All device interrupts go to the first CPU. Vectors are never given back.
#include "arch/x86_64/arch.h"
#include "core/lock.h"
#include "core/trace.h"
#include "dev/dev.h"
#include "lib/atomic.h"
#include "lib/errno.h"

enum {
  VECTORS = VEC_DEVICE_LAST - VEC_DEVICE_FIRST + 1,
  MSI_ADDRESS = 0xfee00000,
  MSI_DEST_SHIFT = 12,
  MSI_DEST_MAX = 0xff,
  ISA_IRQS = 16,
};

static struct vector {
  void (*fn)(void *); // (a) 0: free; set last
  void *arg;          // (c) once fn is set
  uint64_t count;     // (a)
} vectors[VECTORS];
static int vectors_used; // (lock)
static struct spinlock irq_lock = SPINLOCK_INIT("irq", RANK_DEV);

// A vector for fn(arg): its number, or -ENOSPC.
static int
irq_alloc(void (*fn)(void *), void *arg)
{
  int i;

  spin_acquire(&irq_lock);
  i = vectors_used < VECTORS ? vectors_used++ : -1;
  spin_release(&irq_lock);
  if(i < 0)
    return -ENOSPC;
  vectors[i].arg = arg;
  atomic_set(&vectors[i].fn, fn);
  return VEC_DEVICE_FIRST + i;
}

int
irq_alloc_msi(void (*fn)(void *), void *arg, uint64_t *addr, uint32_t *data)
{
  uint32_t dest = cpus[0]->hw_id;
  int vec;

  if(dest > MSI_DEST_MAX)
    return -ENOSPC;
  vec = irq_alloc(fn, arg);
  if(vec < 0)
    return vec;
  *addr = MSI_ADDRESS | dest << MSI_DEST_SHIFT;
  *data = vec;
  return 0;
}

int
irq_request_legacy(int isa_irq, void (*fn)(void *), void *arg)
{
  uint32_t gsi = isa_irq;
  uint16_t flags = 0;
  int vec;

  if(isa_irq < 0 || isa_irq >= ISA_IRQS)
    return -EINVAL;
  vec = irq_alloc(fn, arg);
  if(vec < 0)
    return vec;
  if(acpi.override[isa_irq].set) {
    gsi = acpi.override[isa_irq].gsi;
    flags = acpi.override[isa_irq].flags;
  }
  ioapic_route(gsi, vec, cpus[0]->hw_id, flags);
  return 0;
}

// Interrupt context. The end of interrupt is told after the handler: a level input would fire again at once otherwise.
void
irq_dispatch(int vec)
{
  struct vector *v = &vectors[vec - VEC_DEVICE_FIRST];
  void (*fn)(void *) = atomic_get(&v->fn);

  trace(IRQ, vec, 0, 0);
  atomic_add(&v->count, 1);
  if(fn)
    fn(v->arg);
  lapic_eoi();
}

// Interrupts of device vector `vec` since start, for /proc/interrupts; 0 outside the device range.
uint64_t
irq_count(int vec)
{
  if(vec < VEC_DEVICE_FIRST || vec > VEC_DEVICE_LAST)
    return 0;
  return atomic_get(&vectors[vec - VEC_DEVICE_FIRST].count);
}
