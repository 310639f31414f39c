// lapic.c -- this CPU's local APIC: end of interrupt, interprocessor interrupts, the one-shot timer.
// Typical: lapic_init() on each CPU; lapic_timer_calibrate() once; then lapic_timer_arm, lapic_ipi, lapic_eoi.
// Uses x2APIC registers where the CPU has them, else the memory window. Must not know what a vector is for.
#include "arch/x86_64/arch.h"
#include "arch/x86_64/x86.h"
#include "core/print.h"
#include "core/time.h"
#include "dev/dev.h"

enum { // register offsets
  LAPIC_ID = 0x20,
  LAPIC_TPR = 0x80,
  LAPIC_EOI = 0xb0,
  LAPIC_LDR = 0xd0,
  LAPIC_SVR = 0xf0,
  LAPIC_ESR = 0x280,
  LAPIC_ICR = 0x300,
  LAPIC_ICR_HIGH = 0x310,
  LVT_TIMER = 0x320,
  LVT_THERMAL = 0x330,
  LVT_PERF = 0x340,
  LVT_LINT0 = 0x350,
  LVT_LINT1 = 0x360,
  LVT_ERROR = 0x370,
  TIMER_INITIAL = 0x380,
  TIMER_CURRENT = 0x390,
  TIMER_DIVIDE = 0x3e0,
  LAPIC_LEN = 0x400,
};
enum { // bits
  SVR_ENABLE = 0x100,
  LVT_MASKED = 0x10000,
  LVT_NMI = 0x400,
  ICR_INIT = 0x4500,    // assert, INIT
  ICR_STARTUP = 0x4600, // assert, STARTUP
  ICR_FIXED = 0x4000,   // assert
  ICR_PENDING = 0x1000,
  ICR_OTHERS = 0xc0000,
  DIVIDE_16 = 3,
  ID_SHIFT = 24,
  ICR_X2_DEST_SHIFT = 32,
  X2_REG_SHIFT = 4,
  PIC1_DATA = 0x21,
  PIC2_DATA = 0xa1,
  PIC_ALL = 0xff,
};
#define CALIBRATE_NS (2 * MSEC)
enum { SCALE_SHIFT = 32, ICR_SPINS = 1000000, SPIN_PLAIN = 64 };

static volatile uint8_t *lapic_base; // (c) after the first lapic_init; 0: x2APIC or not yet
static bool lapic_x2;                // (c) after the first lapic_init
static uint64_t timer_scale;         // (c) timer counts a nanosecond, times 2^32

static uint32_t
lapic_read(int reg)
{
  if(lapic_x2)
    return rdmsr(MSR_X2APIC + (reg >> X2_REG_SHIFT));
  return *(volatile uint32_t *)(lapic_base + reg);
}

static void
lapic_write(int reg, uint32_t v)
{
  if(lapic_x2)
    wrmsr(MSR_X2APIC + (reg >> X2_REG_SHIFT), v);
  else
    *(volatile uint32_t *)(lapic_base + reg) = v;
}

// Once, on the first CPU: the old interrupt controllers are silenced and the registers found.
static void
lapic_find(void)
{
  out8(PIC1_DATA, PIC_ALL);
  out8(PIC2_DATA, PIC_ALL);
  lapic_x2 = cpu_features.x2apic;
  if(lapic_x2)
    return;
  lapic_base = mmio_map(acpi.lapic, LAPIC_LEN);
  if(lapic_base == 0)
    panic("lapic: no memory to map %lx", acpi.lapic);
}

void
lapic_init(void)
{
  if(lapic_base == 0 && !lapic_x2)
    lapic_find();
  wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE);
  if(lapic_x2)
    wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_X2APIC);
  lapic_write(LVT_LINT0, LVT_MASKED);
  lapic_write(LVT_LINT1, LVT_NMI);
  lapic_write(LVT_ERROR, LVT_MASKED);
  lapic_write(LAPIC_TPR, 0);
  lapic_write(LAPIC_SVR, SVR_ENABLE | VEC_SPURIOUS);
  lapic_write(TIMER_DIVIDE, DIVIDE_16);
  lapic_write(LVT_TIMER, VEC_TIMER);
  cpu_self()->hw_id = lapic_id();
  lapic_eoi();
}

uint32_t
lapic_id(void)
{
  uint32_t id = lapic_read(LAPIC_ID);

  return lapic_x2 ? id : id >> ID_SHIFT;
}

void
lapic_eoi(void)
{
  lapic_write(LAPIC_EOI, 0);
}

// Send `command` to one CPU. An interrupt between the two halves could send one of its own, so they are shut out. The
// wait is bounded: an APIC that never delivers must not hang a panic.
static void
lapic_command(uint32_t hw_id, uint32_t command)
{
  irq_off();
  if(lapic_x2) {
    __asm__ volatile("mfence; lfence" ::: "memory"); // this MSR is not ordered after stores to memory by itself
    wrmsr(MSR_X2APIC + (LAPIC_ICR >> X2_REG_SHIFT), (uint64_t)hw_id << ICR_X2_DEST_SHIFT | command);
  } else if(lapic_base) {
    lapic_write(LAPIC_ICR_HIGH, hw_id << ID_SHIFT);
    lapic_write(LAPIC_ICR, command);
    for(int i = 0; i < ICR_SPINS && (lapic_read(LAPIC_ICR) & ICR_PENDING); i++)
      cpu_relax();
  }
  irq_restore();
}

void
lapic_ipi(uint32_t hw_id, int vec)
{
  lapic_command(hw_id, ICR_FIXED | vec);
}

void
lapic_ipi_others(int vec)
{
  lapic_command(0, ICR_FIXED | ICR_OTHERS | vec);
}

void
lapic_send_init(uint32_t hw_id)
{
  lapic_command(hw_id, ICR_INIT);
}

void
lapic_send_startup(uint32_t hw_id, int page)
{
  lapic_command(hw_id, ICR_STARTUP | page);
}

// How many counts a nanosecond has, measured against clock_now for 2 ms. All CPUs' timers run at one speed.
void
lapic_timer_calibrate(void)
{
  uint64_t start, ns;
  uint32_t left;

  irq_off();
  lapic_write(LVT_TIMER, LVT_MASKED | VEC_TIMER);
  lapic_write(TIMER_INITIAL, UINT32_MAX);
  start = clock_now();
  do {
    for(volatile int i = 0; i < SPIN_PLAIN; i++)
      ;
    cpu_relax();
    ns = clock_now() - start;
  } while(ns < CALIBRATE_NS);
  left = lapic_read(TIMER_CURRENT);
  lapic_write(TIMER_INITIAL, 0);
  lapic_write(LVT_TIMER, VEC_TIMER);
  irq_restore();
  timer_scale = ((uint64_t)(UINT32_MAX - left) << SCALE_SHIFT) / ns;
  if(timer_scale == 0)
    panic("lapic: the timer does not run");
}

// One shot after ns, or as late as the counter can (early for the caller, who arms again); UINT64_MAX: stop.
void
lapic_timer_arm(uint64_t ns)
{
  unsigned __int128 counts = ((unsigned __int128)ns * timer_scale >> SCALE_SHIFT) + 1;

  if(ns == UINT64_MAX)
    counts = 0;
  lapic_write(TIMER_INITIAL, counts > UINT32_MAX ? UINT32_MAX : (uint32_t)counts);
}
