// arch.h -- what the files of this folder offer each other.
#pragma once
#ifndef __ASSEMBLER__
#include "core/cpu.h"
#include "mm/types.h"
struct regs;
struct thread;
#endif

// Selectors, in the order SYSRET wants.
#define SEL_KCODE 0x08
#define SEL_KDATA 0x10
#define SEL_UDATA 0x23
#define SEL_UCODE 0x2b
#define SEL_TSS   0x30

// Vectors.
#define VEC_DEVICE_FIRST 0x30 // devices, legacy and MSI, handed out by irq_*
#define VEC_DEVICE_LAST  0xdf
#define VEC_TIMER        0xef
#define VEC_TLB          0xf0
#define VEC_KICK         0xf1
#define VEC_STOP         0xf2
#define VEC_SPURIOUS     0xff

#ifndef __ASSEMBLER__
// boot.c: what firmware said, copied before anything can overwrite it.
enum { BOOT_RANGES = 64, BOOT_MODULES = 4 };
struct boot_range {
  paddr_t lo, hi; // usable RAM
};
struct boot_info {
  int nranges;
  struct boot_range range[BOOT_RANGES]; // sorted, disjoint, page aligned
  int nmodules;
  struct boot_range module[BOOT_MODULES]; // -initrd or multiboot modules, bytes; kept out of the allocator
  paddr_t rsdp;                           // 0: scan for it
  bool rsdp_is_copy;                      // rsdp is a kernel copy (multiboot2): rsdp_copy below
  uint8_t rsdp_copy[64];
  paddr_t ram_end; // end of the highest usable range
};
extern struct boot_info boot_info;
// The permanent tables (direct map in full), page_array, frame_init, frame_add; then the boot tables are gone. Nothing
// can be allocated before.
void boot_memory_init(void);
// The kernel's own table: all CPUs start with it (it also maps AP_BOOT_PAGE at its own address), idle and kernel threads
// may run on any.
paddr_t boot_kernel_pml4(void);
// kernel.ld and boot.S
extern char kernel_text_start[], kernel_text_end[], kernel_rodata_end[], kernel_end[];
extern char boot_tables[], boot_tables_end[], boot_stack[], boot_stack_top[];
void boot_complain(const char *s); // raw text to the UART and the debug port, before there is a console
// apboot.S: the trampoline, and the addresses (in the original) of its four 64-bit parameters
extern char ap_boot_start[], ap_boot_end[], ap_boot_cr3[], ap_boot_stack[], ap_boot_entry[], ap_boot_cpu[];
// cpu.c
void cpu_set_kernel_stack(uintptr_t top); // of this CPU: where entries from user mode begin
void cpu_init_boot(void); // per-CPU block, GDT, TSS, IDT, MSRs of the first CPU: panics print from here on
struct cpu *cpu_alloc(int id, uint32_t hw_id); // for smp.c: block, TSS, IST stacks; 0 if no memory. cpus[id] is set.
void cpu_init_this(struct cpu *c); // on the CPU itself: CR0, CR4, EFER, PAT, GDT, TSS, IDT, syscall MSRs, gs
struct cpu_features {
  bool nx, smep, smap, umip, fsgsbase, gib_pages, xsave, rdrand, erms, x2apic, tsc_deadline, invariant_tsc, hypervisor,
      pku;
  int phys_bits;
  uint64_t xsave_mask;
  uint32_t xsave_size;
  char vendor[13], model[49];
  uint32_t family, model_no, stepping;
};
extern struct cpu_features cpu_features;
// cpuid.c
void cpu_features_init(void); // refuses a CPU that lacks what we need, in one sentence
// entry.S
extern char entry_stubs[][16];
void entry_syscall(void);
void entry_user(struct regs *r) __attribute__((noreturn)); // interrupts off; r at the top of the kernel stack
// thread.c
static inline bool
address_canonical(uint64_t va) // a program may hold the others in a register, but no CPU register of ours may
{
  enum { SIGN_BITS = 16 };

  return (uint64_t)((int64_t)(va << SIGN_BITS) >> SIGN_BITS) == va;
}
// fpu.c
void fpu_init(void);             // on each CPU, after CR4.OSXSAVE
void fpu_save(struct thread *t); // registers -> memory
void fpu_load(struct thread *t); // memory -> registers, unless they hold it already
size_t fpu_frame_size(void);     // bytes of extended state in a signal frame, 64-aligned
int fpu_frame_out(vaddr_t at);   // 0 or -EFAULT
int fpu_frame_in(vaddr_t at);    // 0 or -EFAULT, then the state is the initial one; at 0: the initial one
int fpu_error_code(int vec);     // si_code of the running thread's EXC_MF or EXC_XM; 0: none is pending
struct trap_note {               // the last exception of a thread, for its signal frames
  uint64_t err, vec, cr2;
};
struct trap_note *fpu_trap_note(struct thread *t);
// trap.c
void trap_syscall(struct regs *r);           // from entry.S
void trap_leave(struct regs *r);             // before every return to user mode; comes back with interrupts off
void trap_init(void);                        // the IDT's contents, once
void trap_init_this(void);                   // lidt
void trap_dispatch(struct regs *r, int vec); // from entry.S
void irq_dispatch(int vec);                  // platform (irq.c): device vectors; EOI inside
uint64_t irq_count(int vec);                 // interrupts of a device vector since start
// io.c
const void *io_map_table(paddr_t pa, size_t len); // firmware's tables, cached and read-only, for ever; 0 if no memory
// lapic.c
void lapic_init(void); // on each CPU; x2APIC where present
void lapic_eoi(void);
void lapic_ipi(uint32_t hw_id, int vec);
void lapic_ipi_others(int vec);
void lapic_send_init(uint32_t hw_id);
void lapic_send_startup(uint32_t hw_id, int page);
void lapic_timer_calibrate(void);
void lapic_timer_arm(uint64_t ns); // fire VEC_TIMER after ns; UINT64_MAX: stop
uint32_t lapic_id(void);
// acpi.c
struct acpi_cpu {
  uint32_t hw_id;
};
extern struct acpi_tables {
  int ncpu;
  struct acpi_cpu cpu[CPU_MAX];
  paddr_t lapic, ioapic[4];
  uint32_t ioapic_gsi[4];
  int nioapic;
  struct {
    uint32_t gsi;
    uint16_t flags;
    bool set;
  } override[16];
  paddr_t hpet, ecam;
  int ecam_bus_first, ecam_bus_last;
  uint16_t pm1a_cnt, pm_timer;
} acpi;
void acpi_init(void);
// ioapic.c
void ioapic_init(void);
void ioapic_route(uint32_t gsi, int vec, uint32_t hw_id, uint16_t flags);
// clock.c
void clock_init(void);          // calibrate the TSC (CPUID 15h/16h, HPET, PM timer or PIT)
uint64_t clock_frequency(void); // TSC counts a second
void clock_sync(void);          // on a further CPU, while the first runs clock_sync_serve
void clock_sync_serve(void);
// smp.c
void smp_start(void (*entry)(void)); // INIT/SIPI all CPUs; each runs entry() on its own stack, fully initialised
// pmap.c and tlb.c
void pmap_init(void);                                   // after mm_init
void tlb_ipi(void);                                     // VEC_TLB
uint64_t *pmap_kernel_entry(uint64_t kva, bool create); // 4 KiB entry of the MMIO_MAP area
#endif
