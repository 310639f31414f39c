// tlb.c -- which CPU has which pmap loaded, and taking translations back from all of them.
//
// One request block per initiating CPU. The initiator changes entries (under slot locks), then, holding no spin lock
// and with interrupts on, posts its block to every CPU in pm->cpus, interrupts them, and spins until each has answered;
// the handler takes no lock. Frames are put only after that, so none is reused while a TLB can reach it (I5).
// `pending` counts shootdowns whose entries are changed but not yet flushed: whoever finishes while it is raised by
// another flushes everything, because it may rely on the other's change.
// cpu_call sends other errands by the same blocks.
// The order that makes it sound: a CPU sets its bit in pm->cpus before it loads the table; an initiator changes the
// entry before it reads pm->cpus.
#include "arch/x86_64/pmap_x86.h"
#include "arch/x86_64/x86.h"
#include "core/print.h"
#include "core/trace.h"
#include "lib/atomic.h"

enum { FLUSH_SINGLY = 32 }; // pages beyond which one full flush is cheaper

struct tlb_request {
  struct pmap *pm;
  vaddr_t lo, hi;   // lo == hi: everything
  bool evict;       // load the kernel's own table instead
  void (*fn)(void); // cpu_call's; pm is 0 then
  uint64_t waiting; // (a) CPUs that have not answered
};

static struct tlb_request request[CPU_MAX]; // by initiator
static uint64_t inbox[CPU_MAX];             // (a) by target: bit per initiator
static struct pmap *loaded[CPU_MAX]; // by CPU, written by it alone with interrupts off; 0: the kernel's own table

void
pmap_activate(struct pmap *pm)
{
  int me = cpu_self()->id;
  struct pmap *old = loaded[me];

  if(pm == old)
    return;
  if(pm)
    atomic_or(&pm->cpus, 1ull << me);
  loaded[me] = pm;
  write_cr3(pm ? pm->top_pa : boot_kernel_pml4());
  if(old)
    atomic_and(&old->cpus, ~(1ull << me));
}

// Drop translations of pm on this CPU; interrupts are off.
static void
flush_here(struct pmap *pm, vaddr_t lo, vaddr_t hi)
{
  if(loaded[cpu_self()->id] != pm)
    return;
  if(lo == hi || (hi - lo) >> PAGE_SHIFT > FLUSH_SINGLY) {
    write_cr3(pm->top_pa);
    return;
  }
  for(vaddr_t va = lo; va < hi; va += PAGE_SIZE)
    invlpg(va);
}

void
tlb_flush_self(vaddr_t va)
{
  invlpg(va);
}

void
tlb_ipi(void)
{
  uint64_t from = atomic_swap(&inbox[cpu_self()->id], 0);

  for(; from; from &= from - 1) {
    struct tlb_request *rq = &request[__builtin_ctzll(from)];

    if(!rq->pm) {
      if(rq->fn)
        rq->fn();
    } else if(!rq->evict)
      flush_here(rq->pm, rq->lo, rq->hi);
    else if(loaded[cpu_self()->id] == rq->pm)
      pmap_activate(0);
    atomic_and(&rq->waiting, ~(1ull << cpu_self()->id));
  }
}

// Post `what` to the CPUs of `others`, this one not among them. Interrupts are off.
static void
request_post(const struct tlb_request *what, uint64_t others)
{
  int me = cpu_self()->id;

  request[me] = *what;
  request[me].waiting = others;
  for(uint64_t m = others; m; m &= m - 1) {
    int cpu = __builtin_ctzll(m);

    atomic_or(&inbox[cpu], 1ull << me);
    lapic_ipi(cpus[cpu]->hw_id, VEC_TLB);
  }
}

// Interrupts are on: two initiators answer each other here. The thread stays on this CPU, the kernel is not preempted.
static void
request_await(void)
{
  int me = cpu_self()->id;

  while(atomic_get(&request[me].waiting))
    cpu_relax();
}

// Have every CPU of pm, this one included, flush [lo, hi) (lo == hi: all of it) or let go of pm.
static void
tlb_broadcast(struct pmap *pm, vaddr_t lo, vaddr_t hi, bool evict)
{
  struct tlb_request rq = {.pm = pm, .lo = lo, .hi = hi, .evict = evict};
  uint64_t others;
  int me;

  irq_off();
  me = cpu_self()->id;
  atomic_fence();
  others = atomic_get(&pm->cpus) & ~(1ull << me);
  if(!evict)
    flush_here(pm, lo, hi);
  else if(loaded[me] == pm)
    pmap_activate(0);
  if(others)
    request_post(&rq, others);
  irq_restore();
  if(others == 0)
    return;
  request_await();
  trace(SHOOTDOWN, others, lo, hi);
}

// The interrupt itself and the locked instruction that answers are the barrier; iret serializes.
void
cpu_call(uint64_t set, void (*fn)(void))
{
  struct tlb_request rq = {.fn = fn};
  uint64_t others = 0;

  assert_may_sleep();
  irq_off();
  for(int i = 0; i < CPU_MAX; i++)
    if((set >> i & 1) && i != cpu_self()->id && cpus[i] && cpus[i]->online)
      others |= 1ull << i;
  if(others)
    request_post(&rq, others);
  irq_restore();
  if(others)
    request_await();
}

uint64_t
pmap_cpus(struct pmap *pm)
{
  return atomic_get(&pm->cpus);
}

void
tlb_evict(struct pmap *pm)
{
  if(atomic_get(&pm->cpus))
    tlb_broadcast(pm, 0, 0, true);
}

void
tlb_raise(struct shootdown *sd, vaddr_t lo, vaddr_t hi)
{
  if(!sd->raised) {
    sd->raised = true;
    atomic_add(&sd->pm->pending, 1);
  }
  if(sd->lo == sd->hi) {
    sd->lo = lo;
    sd->hi = hi;
  } else {
    sd->lo = min(sd->lo, lo);
    sd->hi = max(sd->hi, hi);
  }
}

void
shootdown_begin(struct shootdown *sd, struct pmap *pm)
{
  sd->pm = pm;
  sd->lo = sd->hi = 0;
  sd->npages = 0;
  sd->raised = false;
}

bool
shootdown_full(const struct shootdown *sd)
{
  return sd->npages == SHOOTDOWN_MAX;
}

void
shootdown_defer(struct shootdown *sd, struct page *pg)
{
  assert(sd->npages < SHOOTDOWN_MAX);
  sd->page[sd->npages++] = pg;
}

void
shootdown_finish(struct shootdown *sd)
{
  uint32_t pending = atomic_get(&sd->pm->pending), mine = sd->raised;

  assert_may_sleep(); // it spins: another CPU may have to get a spin lock before it answers
  if(pending > mine)
    tlb_broadcast(sd->pm, 0, 0, false);
  else if(mine)
    tlb_broadcast(sd->pm, sd->lo, sd->hi, false);
  if(mine)
    atomic_sub(&sd->pm->pending, 1);
  for(int i = 0; i < sd->npages; i++)
    page_put(sd->page[i]);
  shootdown_begin(sd, sd->pm);
}
