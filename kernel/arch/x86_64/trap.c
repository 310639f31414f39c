// trap.c -- turn a hardware trap into a fault(), a signal, a tick or a panic.
//
// entry.S builds the frame and calls trap_dispatch or trap_syscall with interrupts off; both come back with
// interrupts off and, if the frame is a program's, with nothing left to do for its thread. A program's exception runs
// with interrupts on (cr2 is read before), the kernel's own always ends in a panic: the kernel never faults on user
// memory (mm/pin.c).
// Must not know how a fault is resolved, nor what a signal does.
#include "arch/x86_64/arch.h"
#include "arch/x86_64/regs.h"
#include "arch/x86_64/x86.h"
#include "core/print.h"
#include "core/trace.h"
#include "lib/atomic.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "proc/proc.h"
#include "syscall/syscall.h"

enum {
  VECTORS = 256,
  GATE_PRESENT = 0x80,
  GATE_INTERRUPT = 0xe, // interrupts off on entry
  GATE_USER = 0x60,     // `int n` may name it
  IST_NMI = 1,
  IST_DF,
  IST_MC,
  NOT_A_CALL = -1, // orig_rax where no call is to be restarted
  DR6_STEP = 0x4000,
};
#define DR6_CLEAR 0xffff0ff0ul

static struct idt_gate {
  uint16_t offset_low, selector;
  uint8_t ist, type;
  uint16_t offset_mid;
  uint32_t offset_high, reserved;
} idt[VECTORS];

static const char *const exception_names[EXC_END] = {
    "divide error",
    "debug",
    "NMI",
    "breakpoint",
    "overflow",
    "bound",
    "invalid opcode",
    "no FPU",
    "double fault",
    "coprocessor overrun",
    "invalid TSS",
    "segment not present",
    "stack fault",
    "general protection",
    "page fault",
    "15",
    "x87 error",
    "alignment",
    "machine check",
    "SIMD error",
    "virtualization",
    "control protection",
};

void
trap_init(void)
{
  static const struct {
    uint8_t vec, ist, type;
  } special[] = {
      {EXC_NMI, IST_NMI, 0}, {EXC_DF, IST_DF, 0}, {EXC_MC, IST_MC, 0}, {EXC_BP, 0, GATE_USER}, {EXC_OF, 0, GATE_USER},
  };

  for(int i = 0; i < VECTORS; i++) {
    uint64_t at = (uintptr_t)entry_stubs[i];

    idt[i] = (struct idt_gate){at, SEL_KCODE, 0, GATE_PRESENT | GATE_INTERRUPT, at >> 16, at >> 32, 0};
  }
  for(size_t i = 0; i < array_len(special); i++) {
    idt[special[i].vec].ist = special[i].ist;
    idt[special[i].vec].type |= special[i].type;
  }
}

void
trap_init_this(void)
{
  struct table_pointer p = {sizeof(idt) - 1, (uintptr_t)idt};

  lidt(&p);
}

static void __attribute__((noreturn)) trap_panic(const struct regs *r, int vec, uint64_t cr2)
{
  char where[96];

  symbol_name(r->rip, where, sizeof(where));
  panic("%s (vector %d, code %#lx) in %s mode at %#lx %s\n"
        "  rax %016lx rbx %016lx rcx %016lx rdx %016lx\n"
        "  rsi %016lx rdi %016lx rbp %016lx rsp %016lx\n"
        "  r8  %016lx r9  %016lx r10 %016lx r11 %016lx\n"
        "  r12 %016lx r13 %016lx r14 %016lx r15 %016lx\n"
        "  rflags %lx cs %lx ss %lx cr2 %016lx cr3 %016lx",
        exception_names[vec] ? exception_names[vec] : "exception", vec, r->orig_rax, regs_user(r) ? "user" : "kernel",
        r->rip, where, r->rax, r->rbx, r->rcx, r->rdx, r->rsi, r->rdi, r->rbp, r->rsp, r->r8, r->r9, r->r10, r->r11,
        r->r12, r->r13, r->r14, r->r15, r->rflags, r->cs, r->ss, cr2, read_cr3());
}

static int
fault_wants(uint64_t code)
{
  if(code & PF_I)
    return PROT_X;
  return code & PF_W ? PROT_W : PROT_R;
}

// A program touched `va`. Interrupts are on.
static void
trap_pagefault(const struct regs *r, vaddr_t va, uint64_t code)
{
  struct thread *t = thread_self();
  bool major = false;
  int err = -EFAULT;

  if(code & PF_RSVD)
    trap_panic(r, EXC_PF, va);
  if(va < USER_TOP)
    err = fault(t->proc->as, va, fault_wants(code), &major);
  switch(err) {
  case 0:
    if(major)
      t->majflt++;
    else
      t->minflt++;
    break;
  case -EINTR: break; // being killed: trap_leave sees to it
  case -EFAULT: signal_force(SIGSEGV, SEGV_MAPERR, va); break;
  case -EACCES: signal_force(SIGSEGV, SEGV_ACCERR, va); break;
  case -ENOMEM:
    signal_force(SIGKILL, SI_KERNEL, 0);
    break; // reclaim and the OOM killer have failed: there is no other way out
  default: signal_force(SIGBUS, BUS_ADRERR, va); break;
  }
}

// The signals are Linux's, with its si_code and si_addr.
static void
trap_signal(const struct regs *r, int vec)
{
  int code;

  switch(vec) {
  case EXC_DE: signal_force(SIGFPE, FPE_INTDIV, r->rip); break;
  case EXC_DB:
    code = read_dr6() & DR6_STEP ? TRAP_TRACE : TRAP_BRKPT;
    write_dr6(DR6_CLEAR);
    signal_force(SIGTRAP, code, r->rip);
    break;
  case EXC_BP: signal_force(SIGTRAP, SI_KERNEL, 0); break;
  case EXC_UD: signal_force(SIGILL, ILL_ILLOPN, r->rip); break;
  case EXC_NP:
  case EXC_SS: signal_force(SIGBUS, SI_KERNEL, 0); break;
  case EXC_AC: signal_force(SIGBUS, BUS_ADRALN, 0); break;
  case EXC_MF:
  case EXC_XM:
    code = fpu_error_code(vec);
    if(code)
      signal_force(SIGFPE, code, r->rip);
    break;
  default: signal_force(SIGSEGV, SI_KERNEL, 0); break; // #GP and what only strange code can raise
  }
}

static void
trap_user(struct regs *r, int vec)
{
  uint64_t cr2 = read_cr2(), code = r->orig_rax;
  struct trap_note *note = fpu_trap_note(thread_self());

  cpu_irq_enable();
  r->orig_rax = NOT_A_CALL;
  note->vec = vec;
  note->err = code;
  if(vec == EXC_PF) {
    note->cr2 = cr2;
    if(cr2 >= USER_TOP)
      note->err |= PF_P; // whether the kernel has something there is nobody's business
    trap_pagefault(r, cr2, code);
  } else {
    trap_signal(r, vec);
  }
  check_now_and_then(thread_self()->proc->as);
}

static void __attribute__((noreturn)) trap_stop(void)
{
  cpu_irq_disable();
  for(;;)
    hlt();
}

static void
trap_interrupt(int vec)
{
  struct cpu *c = cpu_self();

  c->in_irq = true;
  c->irqs++;
  switch(vec) {
  case VEC_TIMER:
    lapic_eoi();
    sched_tick();
    break;
  case VEC_KICK:
    lapic_eoi();
    atomic_set(&c->need_resched, true);
    break;
  case VEC_TLB:
    lapic_eoi();
    tlb_ipi();
    break;
  case VEC_STOP: trap_stop();
  default:
    if(vec >= VEC_DEVICE_FIRST && vec <= VEC_DEVICE_LAST)
      irq_dispatch(vec); // anything else is spurious
    break;
  }
  c->in_irq = false;
}

void
trap_dispatch(struct regs *r, int vec)
{
  if(cpu_features.smap)
    clac(); // a program may have set it
  if(vec >= EXC_END)
    trap_interrupt(vec);
  else if(!regs_user(r) || vec == EXC_NMI || vec == EXC_DF || vec == EXC_MC)
    trap_panic(r, vec, read_cr2());
  else
    trap_user(r, vec);
  if(regs_user(r))
    trap_leave(r);
}

void
trap_syscall(struct regs *r)
{
  cpu_irq_enable();
  syscall_dispatch(r);
  check_now_and_then(thread_self()->proc->as);
  trap_leave(r);
}

// iret would fault, in kernel mode, on an address that is not canonical: such a frame is turned into the signal that
// the jump there deserves. With a handler at such an address each round takes stack from the program, so it ends.
void
trap_leave(struct regs *r)
{
  cpu_irq_disable();
  sched_return(r);
  while(unlikely(!address_canonical(r->rip))) {
    cpu_irq_enable();
    signal_force(SIGSEGV, SI_KERNEL, 0);
    cpu_irq_disable();
    sched_return(r);
  }
#ifdef DEBUG
  assert(thread_held()->n == 0 && cpu_self()->irq_off_depth == 0);
#endif
}
