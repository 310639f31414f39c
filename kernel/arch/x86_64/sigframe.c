// sigframe.c -- the frame of a signal handler on the program's stack, in Linux's layout for x86-64, and its undoing.
//
// Typical: signal.c chose a handler: sigframe_build() saves the registers below the program's stack pointer (or on its
// alternate stack) and points *r at the handler; the handler returns through `restorer` into rt_sigreturn, which calls
// sigframe_return(). Nothing in the frame is believed: a program may have written it.
// Must not know how signals are chosen, queued or masked.
#include "arch/x86_64/arch.h"
#include "arch/x86_64/regs.h"
#include "arch/x86_64/x86.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "proc/proc.h"

enum {
  STACK_ONSTACK = 1,
  STACK_DISABLE = 2,
  STACK_MIN = 2048, // MINSIGSTKSZ
  UC_FP_XSTATE = 1,
  UC_SIGCONTEXT_SS = 2,
  UC_STRICT_RESTORE_SS = 4,
  RED_ZONE = 128,
  FPU_ALIGN = 64,
  STACK_ALIGN = 16,
  FLAGS_USER = FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_TF | FLAG_DF | FLAG_OF | FLAG_RF | FLAG_AC,
};
#define STACK_AUTODISARM (1u << 31)

struct sigcontext {
  uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
  uint16_t cs, gs, fs, ss;
  uint64_t err, trapno, oldmask, cr2, fpstate, reserved[8];
};
struct frame {
  uint64_t restorer; // where the handler returns to
  struct {
    uint64_t flags, link;
    struct {
      uint64_t sp;
      uint32_t flags, pad;
      uint64_t size;
    } stack;
    struct sigcontext regs;
    sigset mask;
  } uc;
  struct siginfo info;
};
_Static_assert(sizeof(struct sigcontext) == 256 && offsetof(struct frame, uc.mask) == 8 + 296, "Linux's ucontext");
_Static_assert(sizeof(struct siginfo) == 128, "Linux's siginfo");

static bool
on_altstack(const struct thread *t, uint64_t sp)
{
  if((uint32_t)t->altstack_flags & STACK_AUTODISARM)
    return false;
  return t->altstack_size && sp > t->altstack_sp && sp - t->altstack_sp <= t->altstack_size;
}

static void
context_fill(struct sigcontext *c, const struct regs *r, const struct trap_note *note)
{
  *c = (struct sigcontext){
      .r8 = r->r8,
      .r9 = r->r9,
      .r10 = r->r10,
      .r11 = r->r11,
      .r12 = r->r12,
      .r13 = r->r13,
      .r14 = r->r14,
      .r15 = r->r15,
      .rdi = r->rdi,
      .rsi = r->rsi,
      .rbp = r->rbp,
      .rbx = r->rbx,
      .rdx = r->rdx,
      .rax = r->rax,
      .rcx = r->rcx,
      .rsp = r->rsp,
      .rip = r->rip,
      .rflags = r->rflags,
      .cs = r->cs,
      .ss = r->ss,
      .err = note->err,
      .trapno = note->vec,
      .cr2 = note->cr2,
  };
}

// Where the frame goes, and the extended state above it (*fp).
static vaddr_t
frame_place(const struct thread *t, const struct regs *r, const struct sigaction *sa, vaddr_t *fp)
{
  uint64_t sp = r->rsp - RED_ZONE;
  bool alt = on_altstack(t, r->rsp);

  if((sa->flags & SA_ONSTACK) && t->altstack_size && !alt) {
    sp = t->altstack_sp + t->altstack_size;
    alt = true;
  }
  *fp = (sp - fpu_frame_size()) & -(uint64_t)FPU_ALIGN;
  sp = ((*fp - sizeof(struct frame)) & -(uint64_t)STACK_ALIGN) - sizeof(uint64_t); // as after a call
  if(alt && (sp < t->altstack_sp || sp >= t->altstack_sp + t->altstack_size))
    return 0; // the alternate stack is full
  return sp;
}

int
sigframe_build(struct regs *r, int sig, const struct siginfo *si, const struct sigaction *sa, sigset mask)
{
  struct thread *t = thread_self();
  struct frame f = {.restorer = sa->restorer};
  vaddr_t fp, at = frame_place(t, r, sa, &fp);

  if(at == 0 || !(sa->flags & SA_RESTORER))
    return -EFAULT;
  f.uc.flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS | (cpu_features.xsave ? UC_FP_XSTATE : 0);
  f.uc.stack.sp = t->altstack_sp;
  f.uc.stack.flags = t->altstack_size ? t->altstack_flags : STACK_DISABLE;
  f.uc.stack.size = t->altstack_size;
  context_fill(&f.uc.regs, r, fpu_trap_note(t));
  f.uc.regs.fpstate = fp;
  f.uc.regs.oldmask = mask;
  f.uc.mask = mask;
  if(sa->flags & SA_SIGINFO)
    f.info = *si;
  if(fpu_frame_out(fp) || copyout(t->proc->as, at, &f, sizeof(f), 0))
    return -EFAULT;

  if((uint32_t)t->altstack_flags & STACK_AUTODISARM) {
    t->altstack_sp = t->altstack_size = 0;
    t->altstack_flags = STACK_DISABLE;
  }
  fpu_reset(t);
  r->rdi = sig;
  r->rsi = at + offsetof(struct frame, info);
  r->rdx = at + offsetof(struct frame, uc);
  r->rax = 0;
  r->rip = sa->handler;
  r->rsp = at;
  r->cs = SEL_UCODE;
  r->ss = SEL_UDATA;
  r->rflags &= ~(uint64_t)(FLAG_DF | FLAG_RF | FLAG_TF);
  return 0;
}

static void
context_take(struct regs *r, const struct sigcontext *c)
{
  *r = (struct regs){
      .r8 = c->r8,
      .r9 = c->r9,
      .r10 = c->r10,
      .r11 = c->r11,
      .r12 = c->r12,
      .r13 = c->r13,
      .r14 = c->r14,
      .r15 = c->r15,
      .rdi = c->rdi,
      .rsi = c->rsi,
      .rbp = c->rbp,
      .rbx = c->rbx,
      .rdx = c->rdx,
      .rax = c->rax,
      .rcx = c->rcx,
      .rsp = c->rsp,
      .rip = c->rip,
      .cs = SEL_UCODE,
      .ss = SEL_UDATA,
      .rflags = (r->rflags & ~(uint64_t)FLAGS_USER) | (c->rflags & FLAGS_USER),
      .orig_rax = -1, // no call to restart
  };
}

// The alternate stack comes back too, as by sigaltstack: one that is in use, or makes no sense, is left as it is.
static void
altstack_take(struct thread *t, uint64_t sp, const struct frame *f)
{
  uint32_t mode = f->uc.stack.flags & ~STACK_AUTODISARM;

  if(on_altstack(t, sp) || (mode & ~(uint32_t)STACK_ONSTACK & ~(uint32_t)STACK_DISABLE))
    return;
  if(mode == STACK_DISABLE) {
    t->altstack_sp = t->altstack_size = 0;
    t->altstack_flags = STACK_DISABLE;
  } else if(f->uc.stack.size >= STACK_MIN) {
    t->altstack_sp = f->uc.stack.sp;
    t->altstack_size = f->uc.stack.size;
    t->altstack_flags = f->uc.stack.flags & STACK_AUTODISARM;
  }
}

// `restorer` was popped by the handler's return. A frame that cannot be read, or that would make the machine fault, is
// answered with SIGSEGV.
int64_t
sigframe_return(struct regs *r, sigset *mask)
{
  struct thread *t = thread_self();
  struct frame f;

  if(copyin(t->proc->as, &f, r->rsp - sizeof(f.restorer), sizeof(f), 0) || !address_canonical(f.uc.regs.rip) ||
     fpu_frame_in(f.uc.regs.fpstate)) {
    *mask = t->mask;
    r->orig_rax = -1;
    signal_force(SIGSEGV, SI_KERNEL, 0);
    return r->rax;
  }
  context_take(r, &f.uc.regs);
  altstack_take(t, r->rsp, &f);
  *mask = f.uc.mask & ~(SIGBIT(SIGKILL) | SIGBIT(SIGSTOP));
  return r->rax;
}
