// thread.c -- what a thread is to this machine: a first stack frame, two segment bases, extended registers.
//
// Typical: arch_thread_init (and for a clone arch_thread_fork) while it is made; arch_thread_save and
// arch_thread_load around arch_switch. The bases may be written by the program itself (wrfsbase, or a segment load),
// so the CPU's value is the truth while a thread runs: who wants to change one calls arch_thread_save, changes it,
// and calls arch_thread_load.
// Must not know when or why threads are switched.
#include "arch/x86_64/arch.h"
#include "arch/x86_64/regs.h"
#include "arch/x86_64/x86.h"
#include "lib/string.h"
#include "proc/proc.h"

enum { SWITCH_REGISTERS = 6 }; // what arch_switch saves

static uintptr_t
stack_top(const struct thread *t)
{
  return (uintptr_t)t->kstack + KSTACK_SIZE;
}

// The frame of user registers has its place even in a kernel thread: the first one becomes a program.
void
arch_thread_init(struct thread *t, void (*start)(void))
{
  uintptr_t *sp = (uintptr_t *)(stack_top(t) - sizeof(struct regs));

  *--sp = 0; // start() has no caller
  *--sp = (uintptr_t)start;
  for(int i = 0; i < SWITCH_REGISTERS; i++)
    *--sp = 0;
  t->ksp = (uintptr_t)sp;
}

static void
bases_read(struct thread *t)
{
  t->fs_base = cpu_features.fsgsbase ? rdfsbase() : rdmsr(MSR_FS_BASE);
  t->gs_base = rdmsr(MSR_KERNEL_GS_BASE); // in the kernel, the program's lies there
}

void
arch_thread_fork(struct thread *child, const struct regs *r, vaddr_t stack, uint64_t tls, bool set_tls)
{
  child->regs = (struct regs *)(stack_top(child) - sizeof(struct regs));
  *child->regs = *r;
  child->regs->rax = 0;
  if(stack)
    child->regs->rsp = stack;
  bases_read(child); // the parent runs
  if(set_tls)
    child->fs_base = tls;
}

void
arch_thread_save(struct thread *t)
{
  irq_off();
  bases_read(t);
  fpu_save(t);
  irq_restore();
}

void
arch_thread_load(struct thread *t)
{
  uint64_t fs = address_canonical(t->fs_base) ? t->fs_base : 0, gs = address_canonical(t->gs_base) ? t->gs_base : 0;

  irq_off();
  cpu_set_kernel_stack(stack_top(t));
  if(cpu_features.fsgsbase)
    wrfsbase(fs);
  else
    wrmsr(MSR_FS_BASE, fs);
  wrmsr(MSR_KERNEL_GS_BASE, gs);
  fpu_load(t);
  irq_restore();
}

void
arch_user_start(struct regs *r, vaddr_t entry, vaddr_t sp)
{
  struct thread *t = thread_self();

  memset(r, 0, sizeof(*r));
  r->rip = entry;
  r->rsp = sp;
  r->cs = SEL_UCODE;
  r->ss = SEL_UDATA;
  r->rflags = FLAG_IF | FLAG_FIXED;
  r->orig_rax = -1;
  t->fs_base = t->gs_base = 0;
  arch_thread_load(t);
}

void
arch_enter_user(void)
{
  struct regs *r = thread_self()->regs;

  trap_leave(r);
  entry_user(r);
}
