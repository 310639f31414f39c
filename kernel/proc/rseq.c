// rseq.c -- restartable sequences: a thread learns by a load on which CPU it runs, and a short critical section of its
// own is broken off if it was not run in one go on one CPU.
//
// Typical: rseq_register once a thread; switch_away and membarrier set `rseq_due`; sched_return sees it and calls
// rseq_resume, which moves the program to its abort address and writes the CPU's number. Where nothing happened in
// between nothing is looked at, so a system call costs a thread with an area no more than one without.
// The area is the program's memory: what cannot be read, or makes no sense, is answered with SIGSEGV. The structure is
// that of Linux 6.1 (32 bytes); the node's number, which later Linux keeps in its padding, is 0 for the one node.
// Must not know why the thread was interrupted.
#include "arch/x86_64/regs.h"
#include "core/cpu.h"
#include "proc/proc.h"

enum { RSEQ_UNREGISTER = 1, RSEQ_ALIGN = 32, RSEQ_CS_VERSION = 0 };
#define RSEQ_NO_CPU UINT32_MAX // cpu_id where nobody keeps it up to date

struct rseq {
  uint32_t cpu_id_start, cpu_id;
  uint64_t cs; // address of a struct rseq_cs, or 0
  uint32_t flags, node_id;
  uint64_t pad;
};
struct rseq_cs {
  uint32_t version, flags;
  uint64_t start, length, abort; // length: of what must not be interrupted, from `start`
};
_Static_assert(sizeof(struct rseq) == RSEQ_ALIGN && sizeof(struct rseq_cs) == RSEQ_ALIGN, "Linux's layout");

// ---- registration

static int
ids_out(struct thread *t, uint32_t start, uint32_t cpu)
{
  uint32_t ids[] = {start, cpu};

  return copyout(t->proc->as, t->rseq, ids, sizeof(ids), 0);
}

static int
unregister(struct thread *t, vaddr_t area, uint32_t size, uint32_t signature)
{
  int e;

  if(t->rseq == 0 || t->rseq != area || size != sizeof(struct rseq))
    return -EINVAL;
  if(t->rseq_signature != signature)
    return -EPERM;
  e = ids_out(t, 0, RSEQ_NO_CPU);
  if(e)
    return e;
  rseq_forget(t);
  return 0;
}

// A second time for the same area is EBUSY, for anything else whatever does not fit first.
static int
refuse(const struct thread *t, vaddr_t area, uint32_t size, uint32_t signature)
{
  if(t->rseq != area || size != sizeof(struct rseq))
    return -EINVAL;
  return t->rseq_signature != signature ? -EPERM : -EBUSY;
}

int
rseq_register(vaddr_t area, uint32_t size, int flags, uint32_t signature)
{
  struct thread *t = thread_self();

  if(flags == RSEQ_UNREGISTER)
    return unregister(t, area, size, signature);
  if(flags)
    return -EINVAL;
  if(t->rseq)
    return refuse(t, area, size, signature);
  if(area % RSEQ_ALIGN || size != sizeof(struct rseq))
    return -EINVAL;
  if(area > USER_TOP - sizeof(struct rseq))
    return -EFAULT;
  t->rseq = area;
  t->rseq_signature = signature;
  t->rseq_due = area != 0;
  return 0;
}

void
rseq_forget(struct thread *t)
{
  t->rseq = 0;
  t->rseq_signature = 0;
  t->rseq_due = false;
}

void
rseq_inherit(struct thread *child, const struct thread *parent)
{
  child->rseq = parent->rseq;
  child->rseq_signature = parent->rseq_signature;
  child->rseq_due = parent->rseq != 0;
}

void
rseq_interrupt(void)
{
  struct thread *t = thread_self();

  if(t->rseq)
    t->rseq_due = true;
}

// ---- on the way to user mode

static bool
cs_sensible(const struct rseq_cs *cs)
{
  if(cs->start >= USER_TOP || cs->length >= USER_TOP - cs->start || cs->abort >= USER_TOP)
    return false;
  if(cs->version != RSEQ_CS_VERSION || cs->flags)
    return false;
  return cs->abort - cs->start >= cs->length; // not inside itself: it would be broken off for ever
}

// The words in front of the abort address must be the signature: else a stray pointer could send a program anywhere.
static int
cs_read(const struct thread *t, vaddr_t va, struct rseq_cs *cs)
{
  struct aspace *as = t->proc->as;
  uint32_t signature;
  int e = copyin(as, cs, va, sizeof(*cs), 0);

  if(e)
    return e;
  if(!cs_sensible(cs))
    return -EINVAL;
  e = copyin(as, &signature, cs->abort - sizeof(signature), sizeof(signature), 0);
  return e || signature == t->rseq_signature ? e : -EINVAL;
}

// `area` names a critical section: leave it if the program is inside, and forget it in any case.
static int
cs_leave(struct thread *t, struct regs *r, const struct rseq *area)
{
  const uint64_t none = 0;
  struct rseq_cs cs;
  bool inside;
  int e = cs_read(t, area->cs, &cs);

  if(e)
    return e;
  inside = r->rip - cs.start < cs.length;
  if(inside && area->flags)
    return -EINVAL;
  e = copyout(t->proc->as, t->rseq + offsetof(struct rseq, cs), &none, sizeof(none), 0);
  if(e == 0 && inside)
    r->rip = cs.abort;
  return e;
}

static int
fix(struct thread *t, struct regs *r)
{
  struct rseq area;
  uint32_t cpu;
  int e;

  t->rseq_due = false; // before all that may sleep: a switch from here on makes it due again
  e = copyin(t->proc->as, &area, t->rseq, sizeof(area), 0);
  if(e == 0 && area.cs)
    e = cs_leave(t, r, &area);
  cpu = cpu_self()->id;
  if(e || (area.cpu_id == cpu && area.cpu_id_start == cpu)) // not written unless it changes: fork shares the page
    return e;
  if(area.cpu_id == RSEQ_NO_CPU && area.node_id)
    e = copyout(t->proc->as, t->rseq + offsetof(struct rseq, node_id), &(uint32_t){0}, sizeof(area.node_id), 0);
  return e ? e : ids_out(t, cpu, cpu);
}

void
rseq_resume(struct regs *r)
{
  int e = fix(thread_self(), r);

  if(e && e != -EINTR)
    signal_force(SIGSEGV, SI_KERNEL, 0);
}

bool
rseq_signal(struct regs *r)
{
  struct thread *t = thread_self();

  return t->rseq == 0 || fix(t, r) == 0;
}
