// smp.c -- start the other CPUs, one at a time, and interrupt them.
// Typical: smp_start(entry) once, on the first CPU, with everything set up that a CPU needs; later cpu_kick(id).
// A CPU that does not answer is left out, with a message. It may still wake up late: it then finds that it was given
// up, and halts. Must not know what the CPUs do in entry().
#include "arch/x86_64/arch.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/x86.h"
#include "core/option.h"
#include "core/print.h"
#include "core/time.h"
#include "lib/atomic.h"
#include "lib/string.h"
#include "mm/mm.h"

enum { AP_STACK_ORDER = 2 };     // as a thread's: the idle thread of that CPU keeps it
#define INIT_WAIT    (10 * MSEC) // what real machines want between INIT and STARTUP; an emulator needs none
#define STARTUP_WAIT (MSEC / 5)  // then STARTUP once more
#define ONLINE_WAIT  (2 * NSEC)
#define STOP_WAIT    (MSEC / 2)

enum ap_state { AP_WANTED, AP_ALIVE, AP_GIVEN_UP };
static struct {
  enum ap_state state; // (a) of the CPU being started
  void (*entry)(void); // (c)
} ap;

// A parameter in the copy of the trampoline.
static void
ap_set(const char *label, uint64_t v)
{
  memcpy((char *)kva_of_pa(AP_BOOT_PAGE) + ((uintptr_t)label - (uintptr_t)ap_boot_start), &v, sizeof(v));
}

// The first C of another CPU, on its own stack with %gs set.
static void
ap_main(struct cpu *c)
{
  enum ap_state wanted = AP_WANTED;

  if(!atomic_cas(&ap.state, &wanted, AP_ALIVE))
    for(;;)
      hlt(); // interrupts are off
  cpu_init_this(c);
  lapic_init();
  clock_sync();
  atomic_set(&c->online, true);
  ap.entry();
  panic("smp: entry() of CPU %d returned", c->id);
}

// Serve the starting CPU's questions until it is online or `deadline` is past: is it?
static bool
ap_wait(struct cpu *c, uint64_t deadline)
{
  while(!atomic_get(&c->online) && clock_now() < deadline) {
    clock_sync_serve();
    cpu_relax();
  }
  return atomic_get(&c->online);
}

static void
wait_ns(uint64_t ns)
{
  uint64_t end = clock_now() + ns;

  while(clock_now() < end)
    cpu_relax();
}

// INIT, STARTUP, STARTUP. false: it does not answer. Once it has, it has all the time it wants.
static bool
ap_wake(struct cpu *c)
{
  enum ap_state wanted = AP_WANTED;

  lapic_send_init(c->hw_id);
  if(!cpu_features.hypervisor)
    wait_ns(INIT_WAIT);
  lapic_send_startup(c->hw_id, AP_BOOT_PAGE >> PAGE_SHIFT);
  if(ap_wait(c, clock_now() + STARTUP_WAIT))
    return true;
  if(atomic_get(&ap.state) == AP_WANTED)
    lapic_send_startup(c->hw_id, AP_BOOT_PAGE >> PAGE_SHIFT);
  if(ap_wait(c, clock_now() + ONLINE_WAIT))
    return true;
  return !atomic_cas(&ap.state, &wanted, AP_GIVEN_UP) && ap_wait(c, NEVER);
}

// false: no memory, or it is dead.
static bool
ap_start(int id, uint32_t hw_id)
{
  struct page *stack = frame_try(AP_STACK_ORDER);
  struct cpu *c = stack ? cpu_alloc(id, hw_id) : 0;

  if(c == 0) {
    print("smp: no memory for CPU %u\n", hw_id);
    if(stack)
      frame_free(stack);
    return false;
  }
  ap_set(ap_boot_cr3, boot_kernel_pml4());
  ap_set(ap_boot_stack, (uintptr_t)page_va(stack) + (PAGE_SIZE << AP_STACK_ORDER));
  ap_set(ap_boot_entry, (uintptr_t)ap_main);
  ap_set(ap_boot_cpu, (uintptr_t)c);
  atomic_set(&ap.state, AP_WANTED);
  if(ap_wake(c))
    return true;
  cpus[id] = 0; // block and stack stay: it may wake up yet
  print("smp: CPU %u does not answer; left out\n", hw_id);
  return false;
}

void
smp_start(void (*entry)(void))
{
  int most = option_number("cpus", CPU_MAX);

  ap.entry = entry;
  memcpy(kva_of_pa(AP_BOOT_PAGE), ap_boot_start, (uintptr_t)ap_boot_end - (uintptr_t)ap_boot_start);
  for(int i = 0; i < acpi.ncpu && cpu_count < most; i++)
    if(acpi.cpu[i].hw_id != cpu_self()->hw_id && ap_start(cpu_count, acpi.cpu[i].hw_id))
      atomic_set(&cpu_count, cpu_count + 1);
}

void
cpu_kick(int id)
{
  lapic_ipi(cpus[id]->hw_id, VEC_KICK);
}

// Tell them and give them a moment. A CPU that has interrupts off does not hear it: a panic goes on without it.
void
cpu_stop_others(void)
{
  if(cpu_count < 2)
    return;
  lapic_ipi_others(VEC_STOP);
  wait_ns(STOP_WAIT);
}
