// cpu.h -- what core needs of a CPU: filled in by arch.
#pragma once
#include "core/rank.h"

enum { CPU_MAX = 64 };
struct thread;

// One per CPU, reached through %gs. Only its own CPU writes it, with interrupts off, unless marked (a) atomic.
// arch/x86_64/entry.S knows the first five fields and the stack protector the one at 40: see the asserts in cpu.c there.
struct cpu {
  struct cpu *self;       //  0
  uintptr_t kernel_stack; //  8: top of the running thread's kernel stack, loaded at syscall entry
  uintptr_t user_sp;      // 16: scratch of the syscall entry
  struct thread *thread;  // 24: running now; 0 before the first
  uintptr_t reserved;     // 32
  uintptr_t guard;        // 40: -fstack-protector's canary
  int id;                 // 0 .. cpu_count-1
  uint32_t hw_id;         // local APIC id
  int irq_off_depth;      // spin locks held and irq_off() not yet undone
  bool irq_were_on;       // what to go back to when the depth falls to 0
  bool in_irq;            // handling an interrupt
  bool online;            // (a)
  uint64_t
      clock_armed;   // clock_arm's: when the clock interrupt comes at the latest; 0: it does not. sched_tick clears it
  bool need_resched; // (a) the running thread should give way before it returns to user mode
  struct held early_held;  // locks held while thread == 0
  uint64_t irqs, switches; // counters for /proc/stat
  uint64_t user_ns, system_ns, idle_ns;
};

extern struct cpu *cpus[CPU_MAX]; // (c) after start
extern int cpu_count;             // (c) after start; CPUs that are up

static inline struct cpu *
cpu_self(void)
{
#ifdef __KERNEL__
  struct cpu *c;
  __asm__ volatile("movq %%gs:0, %0" : "=r"(c));
  return c;
#else
  extern struct cpu *host_cpu_self(void);
  return host_cpu_self();
#endif
}

// Nesting pair; every spin lock uses it.
void irq_off(void);
void irq_restore(void);
bool irq_enabled(void);    // the CPU's own flag
void cpu_irq_enable(void); // raw: sti / cli, for arch, the scheduler's idle loop and fault entry
void cpu_irq_disable(void);
void cpu_idle(void);   // called with interrupts off: enable and wait for one, returns with them on
void cpu_relax(void);  // in every spin loop
void cpu_kick(int id); // reschedule interrupt
// On each CPU of the set but this one: fn, if not 0, in an interrupt, and a full barrier; where that interrupted a
// program, it goes on behind a serializing instruction. Returns when all have. Spins with interrupts on: hold no spin
// lock.
void cpu_call(uint64_t set, void (*fn)(void));
void cpu_serialize(void);   // this CPU fetches its instructions anew
void cpu_stop_others(void); // for panic: the other CPUs halt, dumping nothing
void cpu_reset(void) __attribute__((noreturn));
// Leave the machine. `status` 0..255 becomes the exit status of `make run` (through the emulator's debug ports, then ACPI).
void cpu_poweroff(int status) __attribute__((noreturn));
// Fill with hardware randomness if the CPU has it: bytes delivered.
size_t cpu_random(void *buf, size_t n);
// Return addresses of the caller's frames, newest first; number found. fp 0: from here.
int cpu_backtrace(uintptr_t fp, uintptr_t *pc, int n);
// "name+0x12" of a kernel address into buf; the bare address if unknown.
void symbol_name(uintptr_t pc, char *buf, size_t n);
