// sys_membarrier.c -- membarrier: a program's fast side does without barriers, because the slow side can have every
// CPU that runs the program pass one.
// Typical: register once / membarrier(PRIVATE_EXPEDITED): when it returns, each thread of the program has passed a full
// barrier since it was called.
//
// Whom to interrupt is read after a barrier of our own. A CPU that is not interrupted because it did not run the
// program (or, for the global commands, was idle) passes a barrier on its way to it: it sets its bit with a locked
// instruction and loads the page table, or takes the lock of its queue, and either comes after our look.
// Registrations belong to the address space: threads and vfork's child share them, fork copies them, exec ends them.
// Must not know: how CPUs are interrupted.
#include "syscall/sys.h"

enum {
  MB_QUERY = 0,
  MB_GLOBAL = 1,
  MB_GLOBAL_EXPEDITED = 2,
  MB_REGISTER_GLOBAL_EXPEDITED = 4,
  MB_PRIVATE_EXPEDITED = 8,
  MB_REGISTER_PRIVATE_EXPEDITED = 16,
  MB_PRIVATE_SYNC_CORE = 32,
  MB_REGISTER_PRIVATE_SYNC_CORE = 64,
  MB_PRIVATE_RSEQ = 128,
  MB_REGISTER_PRIVATE_RSEQ = 256,
  MB_ALL = 511,
};
enum { MB_FLAG_CPU = 1 };

// The commands of one program. A CPU on which it is only loaded, and idle, is asked too: that is harmless.
static int64_t
barrier_private(int cmd, uint64_t among)
{
  struct aspace *as = user_as();
  bool registered = atomic_get(&as->membarrier) & (cmd << 1); // the bit of REGISTER_ follows that of its command

  if(!registered)
    return -EPERM;
  atomic_fence();
  cpu_call(pmap_cpus(as->pmap) & among, cmd == MB_PRIVATE_RSEQ ? rseq_interrupt : 0);
  if(cmd == MB_PRIVATE_SYNC_CORE)
    cpu_serialize(); // the way back from a system call does not
  return 0;
}

static int64_t
barrier_rseq(unsigned flags, int cpu)
{
  if(!(flags & MB_FLAG_CPU))
    return barrier_private(MB_PRIVATE_RSEQ, ~0ull);
  return barrier_private(MB_PRIVATE_RSEQ, cpu >= 0 && cpu < CPU_MAX ? 1ull << cpu : 0);
}

// Stricter than it need be for the expedited one: programs that did not register are interrupted as well.
static int64_t
barrier_global(void)
{
  atomic_fence();
  cpu_call(sched_busy_cpus(), 0);
  return 0;
}

static int64_t
barrier_register(int what)
{
  atomic_or(&user_as()->membarrier, what);
  return 0;
}

int64_t
sys_membarrier(const uint64_t *a)
{
  int cmd = a[0];
  unsigned flags = a[1];

  if(cmd == MB_PRIVATE_RSEQ ? flags & ~MB_FLAG_CPU : flags)
    return -EINVAL;
  switch(cmd) {
  case MB_QUERY: return MB_ALL;
  case MB_GLOBAL:
  case MB_GLOBAL_EXPEDITED: return barrier_global();
  case MB_PRIVATE_EXPEDITED:
  case MB_PRIVATE_SYNC_CORE: return barrier_private(cmd, ~0ull);
  case MB_PRIVATE_RSEQ: return barrier_rseq(flags, a[2]);
  case MB_REGISTER_GLOBAL_EXPEDITED:
  case MB_REGISTER_PRIVATE_EXPEDITED:
  case MB_REGISTER_PRIVATE_SYNC_CORE:
  case MB_REGISTER_PRIVATE_RSEQ: return barrier_register(cmd);
  default: return -EINVAL;
  }
}
