// cpu.c -- one CPU: its block, descriptor tables, control registers, interrupt flag, and the ways to leave the machine.
//
// Each CPU has a struct block: the struct cpu that core knows, a GDT, a TSS, and three stacks for the exceptions that
// may come while no other stack can be trusted. At the top of those stacks lies the block's address (see entry.S).
// Typical: cpu_init_boot() on the first CPU; cpu_alloc() there and cpu_init_this() on each further one.
#include "arch/x86_64/arch.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/regs.h"
#include "arch/x86_64/x86.h"
#include "core/print.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mm/mm.h"

enum { GDT_ENTRIES = 8, IST_STACKS = 3, IST_SIZE = 4096, IST_RESERVED = 16 };

struct tss {
  uint32_t reserved0;
  uint64_t rsp[3], reserved1, ist[7], reserved2;
  uint16_t reserved3, io_map;
} __attribute__((packed));

struct block {
  struct cpu cpu; // first: entry.S and the stack protector reach it through %gs
  uint64_t gdt[GDT_ENTRIES];
  struct tss tss;
  uint8_t ist[IST_STACKS][IST_SIZE] __attribute__((aligned(16)));
};

_Static_assert(offsetof(struct cpu, self) == 0, "cpu_self reads %gs:0");
_Static_assert(offsetof(struct cpu, kernel_stack) == 8, "entry.S");
_Static_assert(offsetof(struct cpu, user_sp) == 16, "entry.S");
_Static_assert(offsetof(struct cpu, guard) == 40, "the compiler reads the canary at %gs:40, boot.S writes it");
_Static_assert(offsetof(struct regs, orig_rax) == REGS_ORIG_RAX && sizeof(struct regs) == REGS_SIZE, "entry.S");
_Static_assert(offsetof(struct regs, r11) == 48 && offsetof(struct regs, rcx) == 88, "entry.S");
_Static_assert(offsetof(struct regs, rip) == 128 && offsetof(struct regs, rflags) == 144, "entry.S");
_Static_assert(sizeof(struct tss) == 104, "the processor's layout");

struct block boot_cpu; // boot.S points %gs at it
struct cpu *cpus[CPU_MAX];
int cpu_count;

static struct block *
block_of(struct cpu *c)
{
  return container_of(c, struct block, cpu);
}

static void
block_init(struct block *b, int id, uint32_t hw_id)
{
  enum { TSS_LOW = SEL_TSS / 8, TSS_TYPE = 0x89, BASE_MASK = 0xffffff };
  static const uint64_t gdt[TSS_LOW] = {
      0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0, 0x00cff3000000ffff, 0x00affb000000ffff,
  };
  uint64_t tss = (uintptr_t)&b->tss;

  b->cpu.self = &b->cpu;
  b->cpu.id = id;
  b->cpu.hw_id = hw_id;
  memcpy(b->gdt, gdt, sizeof(gdt));
  b->gdt[TSS_LOW] =
      (sizeof(struct tss) - 1) | (tss & BASE_MASK) << 16 | (uint64_t)TSS_TYPE << 40 | (tss >> 24 & 0xff) << 56;
  b->gdt[TSS_LOW + 1] = tss >> 32;
  b->tss.io_map = sizeof(struct tss);
  for(int i = 0; i < IST_STACKS; i++) {
    uint8_t *top = b->ist[i] + IST_SIZE - IST_RESERVED;

    assert((uintptr_t)top % IST_RESERVED == 0); // or the CPU would align the frame away from where entry.S looks
    *(struct cpu **)(top + sizeof(uint64_t)) = &b->cpu;
    b->tss.ist[i] = (uintptr_t)top;
  }
  cpus[id] = &b->cpu;
}

struct cpu *
cpu_alloc(int id, uint32_t hw_id)
{
  struct block *b = kzalloc(sizeof(*b));

  if(b == 0)
    return 0;
  block_init(b, id, hw_id);
  b->cpu.guard = boot_cpu.cpu.guard; // threads move with canaries on their stacks: one value for all
  return &b->cpu;
}

static void
control_registers_init(void)
{
  const struct cpu_features *f = &cpu_features;
  uint64_t cr4 = CR4_PAE | CR4_PGE | CR4_MCE | CR4_OSFXSR | CR4_OSXMMEXCPT;

  if(f->smep)
    cr4 |= CR4_SMEP;
  if(f->smap)
    cr4 |= CR4_SMAP;
  if(f->umip)
    cr4 |= CR4_UMIP;
  if(f->fsgsbase)
    cr4 |= CR4_FSGSBASE;
  if(f->xsave)
    cr4 |= CR4_OSXSAVE;
  write_cr4(cr4);
  write_cr0(CR0_PG | CR0_AM | CR0_WP | CR0_NE | CR0_MP | CR0_PE);
}

static void
msrs_init(struct cpu *c)
{
  // Entries 0-3 as after reset (write-back, write-through, uncached-, uncached), 5 write-combining.
  static const uint64_t pat = 0x0007010600070406;

  wrmsr(MSR_EFER, EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE);
  wrmsr(MSR_PAT, pat);
  wrmsr(MSR_STAR, (uint64_t)(SEL_UDATA - 8) << 48 | (uint64_t)SEL_KCODE << 32);
  wrmsr(MSR_LSTAR, (uintptr_t)entry_syscall);
  wrmsr(MSR_SFMASK, FLAG_TF | FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_NT | FLAG_AC);
  wrmsr(MSR_GS_BASE, (uintptr_t)c);
  wrmsr(MSR_KERNEL_GS_BASE, 0);
  wrmsr(MSR_FS_BASE, 0);
}

void
cpu_init_this(struct cpu *c)
{
  struct block *b = block_of(c);
  struct table_pointer gdt = {sizeof(b->gdt) - 1, (uintptr_t)b->gdt};

  lgdt(&gdt);
  load_code_segment(SEL_KCODE);
  load_data_segments(SEL_KDATA);
  ltr(SEL_TSS);
  trap_init_this();
  control_registers_init();
  msrs_init(c);
  fpu_init();
}

void
cpu_init_boot(void)
{
  block_init(&boot_cpu, 0, 0);
  boot_cpu.cpu.kernel_stack = boot_cpu.tss.rsp[0] = (uintptr_t)boot_stack_top;
  boot_cpu.cpu.online = true;
  cpu_count = 1;
  cpu_features_init();
  trap_init();
  cpu_init_this(&boot_cpu.cpu);
}

void
cpu_set_kernel_stack(uintptr_t top)
{
  struct cpu *c = cpu_self();

  c->kernel_stack = top;
  block_of(c)->tss.rsp[0] = top;
}

// ---- interrupts

bool
irq_enabled(void)
{
  return read_rflags() & FLAG_IF;
}

void
irq_off(void)
{
  bool on = irq_enabled();
  struct cpu *c;

  cli();
  c = cpu_self();
  if(c->irq_off_depth++ == 0)
    c->irq_were_on = on;
}

void
irq_restore(void)
{
  struct cpu *c = cpu_self();

  if(irq_enabled() || c->irq_off_depth <= 0)
    panic("irq_restore without irq_off: depth %d, interrupts %s", c->irq_off_depth, irq_enabled() ? "on" : "off");
  if(--c->irq_off_depth == 0 && c->irq_were_on)
    sti();
}

void
cpu_irq_enable(void)
{
  sti();
}

void
cpu_irq_disable(void)
{
  cli();
}

void
cpu_idle(void)
{
  sti_hlt();
}

void
cpu_relax(void)
{
  pause();
}

// ---- what else core asks of a CPU

size_t
cpu_random(void *buf, size_t n)
{
  enum { TRIES = 10 }; // what the makers advise
  size_t done = 0;

  while(cpu_features.rdrand && done < n) {
    uint64_t v;
    int tries = TRIES;

    while(tries > 0 && !rdrand(&v))
      tries--;
    if(tries == 0)
      break;
    memcpy((char *)buf + done, &v, min(n - done, sizeof(v)));
    done += min(n - done, sizeof(v));
  }
  return done;
}

// A stack frame that may be read: in RAM's direct map or in the image, aligned.
static bool
frame_readable(uintptr_t fp)
{
  enum { FRAME_BYTES = 16 };

  if(fp % sizeof(uintptr_t) != 0)
    return false;
  if(fp >= (uintptr_t)kernel_rodata_end && fp <= (uintptr_t)kernel_end - FRAME_BYTES)
    return true;
  for(int i = 0; i < boot_info.nranges; i++)
    if(fp >= DIRECT_MAP + boot_info.range[i].lo && fp <= DIRECT_MAP + boot_info.range[i].hi - FRAME_BYTES)
      return true;
  return false;
}

int
cpu_backtrace(uintptr_t fp, uintptr_t *pc, int n)
{
  int found = 0;

  if(fp == 0)
    fp = (uintptr_t)__builtin_frame_address(0);
  while(found < n && frame_readable(fp)) {
    const uintptr_t *frame = (const uintptr_t *)fp; // the caller's frame, then the return address

    if(frame[1] < (uintptr_t)kernel_text_start || frame[1] >= (uintptr_t)kernel_text_end)
      break;
    pc[found++] = frame[1];
    if(frame[0] <= fp) // callers lie above
      break;
    fp = frame[0];
  }
  return found;
}

// ---- leaving the machine

static void
settle(void) // the machine may take a moment to do what it was told
{
  enum { TURNS = 1000000 };

  for(int i = 0; i < TURNS; i++)
    pause();
}

void
cpu_serialize(void)
{
  cpuid(0, 0);
}

void
cpu_reset(void)
{
  enum { KEYBOARD = 0x64, PULSE_RESET = 0xfe, RESET_CONTROL = 0xcf9, RESET_HARD = 0x2, RESET_GO = 0xe };
  struct table_pointer none = {0, 0};

  cli();
  out8(KEYBOARD, PULSE_RESET);
  settle();
  out8(RESET_CONTROL, RESET_HARD);
  out8(RESET_CONTROL, RESET_GO);
  settle();
  lidt(&none);
  __asm__ volatile("int3"); // without a table: a triple fault
  for(;;)
    hlt();
}

void
cpu_poweroff(int status)
{
  enum {
    DEBUG_CONSOLE = 0xe9,
    DEBUG_EXIT = 0xf4,
    DEBUG_EXIT_GOOD = 0x10,
    DEBUG_EXIT_BAD = 0x11, // the emulator's
    ACPI_SLEEP_S5 = 0x2000,
    ACPI_CONTROL_Q35 = 0x604,
  };
  char line[32];

  cli();
  fmt(line, sizeof(line), "lazy6: exit status %d\n", status);
  for(const char *s = line; *s; s++)
    out8(DEBUG_CONSOLE, *s);
  out32(DEBUG_EXIT, status == 0 ? DEBUG_EXIT_GOOD : DEBUG_EXIT_BAD);
  if(acpi.pm1a_cnt)
    out16(acpi.pm1a_cnt, ACPI_SLEEP_S5);
  out16(ACPI_CONTROL_Q35, ACPI_SLEEP_S5);
  settle();
  cpu_reset();
}
