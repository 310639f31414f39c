// fpu.c -- extended registers (x87, SSE, AVX ...): one save area a thread, and its copy in signal frames.
//
// The registers hold a program's state while it runs, in the kernel too, since the kernel uses none of them. A switch
// away saves; a switch back loads, unless the CPU's registers still hold that very state. The save area has the plain
// XSAVE format (FXSAVE's where there is no XSAVE), which is also what Linux puts into signal frames. Everything a
// program hands back is made harmless before it is loaded: see fpu_frame_in.
// Must not know when threads are switched or signals delivered.
#include "arch/x86_64/arch.h"
#include "arch/x86_64/x86.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "proc/proc.h"

enum {
  AREA_ALIGN = 64,
  FXSAVE_SIZE = 512,
  HEADER_SIZE = 64,
  MAGIC1 = 0x46505853, // Linux: extended state follows
  MAGIC2 = 0x46505845, // and ends here
  FCW_INITIAL = 0x37f,
  MXCSR_INITIAL = 0x1f80,
  MXCSR_MASK_DEFAULT = 0xffbf,
  XSTATE_FPSSE = 3,
  NO_CPU = -1,
};

struct fxsave {
  uint16_t fcw, fsw;
  uint8_t ftw, reserved;
  uint16_t fop;
  uint64_t rip, rdp;
  uint32_t mxcsr, mxcsr_mask;
  uint8_t st[8][16], xmm[16][16], unused[48];
  struct software { // bytes that neither FXSAVE nor XSAVE touches: Linux's struct _fpx_sw_bytes
    uint32_t magic1, extended_size;
    uint64_t xfeatures;
    uint32_t xstate_size, padding[7];
  } software;
};
struct area {
  struct fxsave legacy;
  struct { // XSAVE's header
    uint64_t features, compacted, reserved[6];
  } header;
  uint8_t rest[];
};
_Static_assert(sizeof(struct fxsave) == FXSAVE_SIZE && sizeof(struct area) == FXSAVE_SIZE + HEADER_SIZE, "hardware's");

struct fpu {             // (t) all
  struct area *area;     // aligned, within raw
  int cpu;               // whose registers hold this state, if owner[cpu] agrees
  bool filling;          // area is being read from a signal frame: neither saved to nor loaded from
  struct trap_note note; // the last exception: rides along because it goes into the same frames
  uint8_t raw[];
};

static struct fpu *owner[CPU_MAX]; // each: only its CPU. Whose state the registers hold; may dangle, fpu.cpu tells
static uint32_t area_size = FXSAVE_SIZE;         // (c)
static uint32_t mxcsr_mask = MXCSR_MASK_DEFAULT; // (c)

void
fpu_init(void)
{
  enum { LEAF_XSAVE = 0xd };
  static struct area probe __attribute__((aligned(AREA_ALIGN))); // each CPU writes the same there

  if(cpu_features.xsave) {
    xsetbv(0, cpu_features.xsave_mask);
    area_size = cpu_features.xsave_size = cpuid(LEAF_XSAVE, 0).ebx;
  }
  fxsave(&probe);
  if(probe.legacy.mxcsr_mask)
    mxcsr_mask = probe.legacy.mxcsr_mask;
}

static void
area_reset(struct area *a)
{
  memset(a, 0, area_size);
  a->legacy.fcw = FCW_INITIAL;
  a->legacy.mxcsr = MXCSR_INITIAL;
  if(cpu_features.xsave)
    a->legacy.software = (struct software){.magic1 = MAGIC1,
                                           .extended_size = area_size + sizeof(uint32_t),
                                           .xfeatures = cpu_features.xsave_mask,
                                           .xstate_size = area_size};
}

int
fpu_alloc(struct thread *t)
{
  struct fpu *f = kzalloc(sizeof(*f) + area_size + AREA_ALIGN);

  if(f == 0)
    return -ENOMEM;
  f->area = (struct area *)round_up((uintptr_t)f->raw, AREA_ALIGN);
  f->cpu = NO_CPU;
  area_reset(f->area);
  t->fpu = f;
  return 0;
}

void
fpu_free(struct thread *t)
{
  kfree(t->fpu);
  t->fpu = 0;
}

// Interrupts are off, t runs on this CPU.
void
fpu_save(struct thread *t)
{
  struct fpu *f = t->fpu;

  if(f == 0 || f->filling)
    return;
  if(cpu_features.xsave)
    xsave(f->area, cpu_features.xsave_mask);
  else
    fxsave(f->area);
}

// Interrupts are off.
void
fpu_load(struct thread *t)
{
  struct fpu *f = t->fpu;
  int cpu = cpu_self()->id;

  if(f == 0 || f->filling || (owner[cpu] == f && f->cpu == cpu))
    return;
  if(cpu_features.xsave)
    xrstor(f->area, cpu_features.xsave_mask);
  else
    fxrstor(f->area);
  owner[cpu] = f;
  f->cpu = cpu;
}

// The area was written by hand: it counts, not the registers.
static void
fpu_reload(struct thread *t)
{
  irq_off();
  t->fpu->filling = false;
  t->fpu->cpu = NO_CPU;
  if(t == thread_self())
    fpu_load(t);
  irq_restore();
}

void
fpu_copy(struct thread *to, struct thread *from)
{
  irq_off();
  if(from == thread_self())
    fpu_save(from);
  memcpy(to->fpu->area, from->fpu->area, area_size);
  to->fpu->cpu = NO_CPU;
  irq_restore();
}

void
fpu_reset(struct thread *t)
{
  irq_off();
  area_reset(t->fpu->area);
  fpu_reload(t);
  irq_restore();
}

struct trap_note *
fpu_trap_note(struct thread *t)
{
  return &t->fpu->note;
}

int
fpu_error_code(int vec)
{
  enum {
    INVALID = 0x1,
    DENORMAL = 0x2,
    DIVIDE = 0x4,
    OVERFLOW = 0x8,
    UNDERFLOW = 0x10,
    PRECISION = 0x20,
    SIMD_MASKS = 7
  };
  enum { FPE_FLTDIV = 3, FPE_FLTOVF, FPE_FLTUND, FPE_FLTRES, FPE_FLTINV };
  struct fxsave *s = &thread_self()->fpu->area->legacy;
  unsigned raised;

  irq_off();
  fpu_save(thread_self());
  irq_restore();
  raised = vec == EXC_MF ? s->fsw & ~s->fcw : s->mxcsr & ~(s->mxcsr >> SIMD_MASKS);
  if(raised & INVALID)
    return FPE_FLTINV;
  if(raised & DIVIDE)
    return FPE_FLTDIV;
  if(raised & OVERFLOW)
    return FPE_FLTOVF;
  if(raised & (DENORMAL | UNDERFLOW))
    return FPE_FLTUND;
  return raised & PRECISION ? FPE_FLTRES : 0;
}

// ---- signal frames

size_t
fpu_frame_size(void)
{
  return round_up(area_size + sizeof(uint32_t), AREA_ALIGN);
}

// Write the running thread's state to `at`, 64-aligned, as Linux does.
int
fpu_frame_out(vaddr_t at)
{
  struct thread *t = thread_self();
  struct area *a = t->fpu->area;
  uint32_t magic2 = MAGIC2;
  uint64_t features;
  int err;

  irq_off();
  fpu_save(t);
  irq_restore();
  err = copyout(t->proc->as, at, a, area_size, 0);
  if(err || !cpu_features.xsave)
    return err;
  features = a->header.features | XSTATE_FPSSE; // handlers look at these two parts without asking
  err = copyout(t->proc->as, at + offsetof(struct area, header), &features, sizeof(features), 0);
  if(err == 0)
    err = copyout(t->proc->as, at + area_size, &magic2, sizeof(magic2), 0);
  return err;
}

// Is there a whole extended area at `at`, of our size? `a` holds its first part.
static bool
frame_extended(vaddr_t at, const struct area *a)
{
  const struct software *s = &a->legacy.software;
  uint32_t magic2;

  if(!cpu_features.xsave || s->magic1 != MAGIC1 || s->xstate_size != area_size)
    return false;
  return copyin(thread_self()->proc->as, &magic2, at + area_size, sizeof(magic2), 0) == 0 && magic2 == MAGIC2;
}

// Bring in a state that a program wrote, in place: XRSTOR would fault on reserved bits of the header and of MXCSR, all
// else is data. A switch meanwhile leaves the area alone (`filling`).
int
fpu_frame_in(vaddr_t at)
{
  struct thread *t = thread_self();
  struct area *a = t->fpu->area;
  bool extended = false;
  int err;

  if(at == 0) {
    fpu_reset(t);
    return 0;
  }
  t->fpu->filling = true;
  err = copyin(t->proc->as, a, at, FXSAVE_SIZE, 0);
  if(err == 0 && frame_extended(at, a)) {
    extended = true;
    err = copyin(t->proc->as, a, at, area_size, 0);
  }
  if(err) {
    fpu_reset(t);
    return -EFAULT;
  }
  a->legacy.mxcsr &= mxcsr_mask;
  if(cpu_features.xsave) {
    uint64_t features = extended ? a->header.features & cpu_features.xsave_mask : XSTATE_FPSSE;

    memset(&a->header, 0, sizeof(a->header));
    a->header.features = features;
    a->legacy.software =
        (struct software){MAGIC1, area_size + sizeof(uint32_t), cpu_features.xsave_mask, area_size, {0}};
  }
  fpu_reload(t);
  return 0;
}
