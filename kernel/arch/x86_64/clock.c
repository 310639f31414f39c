// clock.c -- monotonic nanoseconds from the time-stamp counter, and this CPU's one-shot interrupt.
// Typical: clock_init() once, clock_sync() on each further CPU; then clock_now() and clock_arm(when) for ever.
// The counter's speed comes from CPUID, or is measured for a few milliseconds against a counter of known speed: HPET,
// the ACPI timer or the PIT. Under the emulator's -icount one instruction is one nanosecond here too.
// Must not wait long, nor know who keeps time.
#include "arch/x86_64/arch.h"
#include "arch/x86_64/x86.h"
#include "core/print.h"
#include "core/time.h"
#include "dev/dev.h"
#include "lib/atomic.h"

enum {
  HPET_PERIOD = 0x4, // byte offsets
  HPET_CONFIG = 0x10,
  HPET_COUNTER = 0xf0,
  HPET_LEN = 0x400,
  HPET_RUN = 1,
  PM_TIMER_HZ = 3579545,
  PM_TIMER_MASK = 0xffffff,
  PIT_HZ = 1193182,
  PIT_MASK = 0xffff,
  PIT_DATA2 = 0x42,
  PIT_MODE = 0x43,
  PIT_CH2_MODE0 = 0xb0, // channel 2, both bytes, counts down once
  PIT_CH2_LATCH = 0x80,
  PIT_GATE = 0x61,
  PIT_GATE_ON = 1,
  PIT_SPEAKER = 2,
  CPUID_TSC = 0x15,
  CPUID_MHZ = 0x16,
  SCALE_SHIFT = 32,
  SAMPLES = 5,     // readings a point of time is taken from: the one that took least counts
  SPIN_PLAIN = 64, // plain turns between two readings: device registers are slow under an emulator
  SYNC_ROUNDS = 8,
  SYNC_SLACK = 16, // counters that differ by less than 1/16 of a round trip agree
};
#define FEMTO      1000000000000000ull
#define MEASURE_NS (4 * MSEC)
#define MHZ        1000000ull
#define SNAP_PARTS 40000ull // a speed within 1/40000 of whole MHz is meant to be whole: that is how well we measure

// A counter of known speed that counts up.
struct reference {
  const char *name;
  uint64_t (*read)(void);
  uint64_t hz, mask;
};
struct instant { // one point of time on both counters
  uint64_t tsc, ref;
};

static uint64_t clock_base;           // (c) counter at clock_init
static uint64_t clock_scale;          // (c) nanoseconds a count, times 2^32; 0: not yet
static uint64_t clock_hz;             // (c)
static int64_t clock_offset[CPU_MAX]; // (c) after clock_sync: added to a CPU's counter
static volatile uint8_t *hpet;        // (c)
static struct {
  uint32_t asked, answered; // (a) rounds of clock_sync
  uint64_t tsc;             // (a) the first CPU's counter at the last answer
} sync;

static uint64_t
hpet_read(void)
{
  return *(volatile uint32_t *)(hpet + HPET_COUNTER);
}

static uint64_t
pm_timer_read(void)
{
  return in32(acpi.pm_timer) & PM_TIMER_MASK;
}

static uint64_t
pit_read(void)
{
  uint64_t v;

  out8(PIT_MODE, PIT_CH2_LATCH);
  v = in8(PIT_DATA2);
  v |= in8(PIT_DATA2) << 8;
  return PIT_MASK - v;
}

static bool
hpet_start(struct reference *ref)
{
  uint32_t period;

  if(acpi.hpet == 0 || (hpet = mmio_map(acpi.hpet, HPET_LEN)) == 0)
    return false;
  period = *(volatile uint32_t *)(hpet + HPET_PERIOD);
  if(period == 0)
    return false;
  *(volatile uint32_t *)(hpet + HPET_CONFIG) |= HPET_RUN;
  *ref = (struct reference){"HPET", hpet_read, FEMTO / period, UINT32_MAX};
  return true;
}

static void
pit_start(struct reference *ref)
{
  out8(PIT_GATE, (in8(PIT_GATE) & ~PIT_SPEAKER) | PIT_GATE_ON);
  out8(PIT_MODE, PIT_CH2_MODE0);
  out8(PIT_DATA2, PIT_MASK & UINT8_MAX);
  out8(PIT_DATA2, PIT_MASK & UINT8_MAX);
  *ref = (struct reference){"PIT", pit_read, PIT_HZ, PIT_MASK};
}

static struct reference
reference_start(void)
{
  struct reference ref;

  if(hpet_start(&ref))
    return ref;
  if(acpi.pm_timer)
    return (struct reference){"ACPI timer", pm_timer_read, PM_TIMER_HZ, PM_TIMER_MASK};
  pit_start(&ref);
  return ref;
}

// Both counters at one moment: the reading that was disturbed least.
static struct instant
instant_take(const struct reference *ref)
{
  struct instant best = {0};
  uint64_t shortest = UINT64_MAX;

  for(int i = 0; i < SAMPLES; i++) {
    uint64_t before = rdtsc(), at = ref->read(), after = rdtsc();

    if(after - before < shortest) {
      shortest = after - before;
      best.tsc = before + shortest / 2;
      best.ref = at;
    }
  }
  return best;
}

// Counts a second, measured for MEASURE_NS; 0 if the reference stands still.
static uint64_t
clock_measure(const struct reference *ref)
{
  uint64_t want = ref->hz * MEASURE_NS / NSEC, first = rdtsc(), ticks = 0;
  struct instant a = instant_take(ref), b = a;

  do {
    for(volatile int i = 0; i < SPIN_PLAIN; i++)
      ;
    cpu_relax();
    ticks = (ref->read() - a.ref) & ref->mask;
    if(ticks == 0 && rdtsc() - first > NSEC)
      return 0;
  } while(ticks < want);
  b = instant_take(ref);
  ticks = (b.ref - a.ref) & ref->mask;
  return (b.tsc - a.tsc) * ref->hz / ticks; // fits: some 10^7 counts in 4 ms, times 10^8
}

// Counts a second as CPUID tells, or 0.
static uint64_t
clock_cpuid(void)
{
  uint32_t max_leaf = cpuid(0, 0).eax;
  struct cpuid r;

  if(max_leaf < CPUID_TSC)
    return 0;
  r = cpuid(CPUID_TSC, 0);
  if(r.eax && r.ebx && r.ecx)
    return (uint64_t)r.ecx * r.ebx / r.eax;
  if(r.eax && r.ebx && max_leaf >= CPUID_MHZ) // no crystal given: the base frequency is the counter's
    return cpuid(CPUID_MHZ, 0).eax * MHZ;
  return 0;
}

void
clock_init(void)
{
  const char *from = "CPUID";
  uint64_t whole;

  clock_hz = clock_cpuid();
  if(clock_hz == 0) {
    struct reference ref = reference_start();

    clock_hz = clock_measure(&ref);
    from = ref.name;
    if(clock_hz == 0)
      panic("clock: %s stands still", ref.name);
    whole = (clock_hz + MHZ / 2) / MHZ * MHZ;
    if((whole > clock_hz ? whole - clock_hz : clock_hz - whole) < clock_hz / SNAP_PARTS)
      clock_hz = whole;
  }
  clock_base = rdtsc();
  clock_scale = (NSEC << SCALE_SHIFT) / clock_hz;
  print("clock: TSC at %lu kHz (%s)\n", clock_hz / 1000, from);
}

uint64_t
clock_now(void)
{
  uint64_t counts;

  if(clock_scale == 0)
    return 0;
  counts = rdtsc() + atomic_get_relaxed(&clock_offset[cpu_self()->id]) - clock_base;
  if((int64_t)counts < 0) // a further CPU, before its clock_sync
    return 0;
  return (unsigned __int128)counts * clock_scale >> SCALE_SHIFT;
}

void
clock_arm(uint64_t when)
{
  struct cpu *c = cpu_self();
  uint64_t now;

  if(when == NEVER || (c->clock_armed && c->clock_armed <= when))
    return;
  c->clock_armed = when;
  now = clock_now();
  lapic_timer_arm(when > now ? when - now : 0);
}

uint64_t
clock_frequency(void)
{
  return clock_hz;
}

// The first CPU's part of clock_sync, called again and again while it waits for another to start.
void
clock_sync_serve(void)
{
  uint32_t n = atomic_get(&sync.asked);

  if(n == atomic_get_relaxed(&sync.answered))
    return;
  atomic_set(&sync.tsc, rdtsc());
  atomic_set(&sync.answered, n);
}

// On a further CPU, while the first one runs clock_sync_serve: correct this counter if it is off by more than the
// question takes. The round that took least decides.
void
clock_sync(void)
{
  uint64_t shortest = UINT64_MAX;
  int64_t off = 0;

  for(int i = 0; i < SYNC_ROUNDS; i++) {
    uint64_t before = rdtsc(), after;
    uint32_t n = atomic_add(&sync.asked, 1);

    while(atomic_get(&sync.answered) != n)
      cpu_relax();
    after = rdtsc();
    if(after - before >= shortest)
      continue;
    shortest = after - before;
    off = atomic_get(&sync.tsc) - (before + shortest / 2);
  }
  if(off > (int64_t)(shortest / 2 + shortest / SYNC_SLACK) || -off > (int64_t)(shortest / 2 + shortest / SYNC_SLACK))
    atomic_set(&clock_offset[cpu_self()->id], off);
}
