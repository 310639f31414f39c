// dispatch.c -- from the number in rax to its handler, and the result back into rax.
// The common case is a load, a compare and an indirect call; everything else hides behind strace_active and DEBUG.
// Restart codes stay in rax: signal_deliver turns each into EINTR or a second try on the way out.
#include "arch/x86_64/regs.h"
#include "core/print.h"
#include "core/trace.h"
#include "syscall/sys.h"

static int64_t
syscall_run(struct thread *t, uint64_t nr, const uint64_t *a)
{
  static const struct syscall unknown = {0, sys_nosys, {HEX, HEX, HEX, HEX, HEX, HEX}};
  const struct syscall *c = likely(nr < syscall_count) ? &syscall_table[nr] : &unknown;

  if(unlikely(!c->fn))
    c = &unknown;
  if(unlikely(strace_active) && strace_wants(t))
    return strace_call(c, nr, a);
  return c->fn(a);
}

void
syscall_dispatch(struct regs *r)
{
  const uint64_t a[6] = {r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9};
  struct thread *t = thread_self();

  t->syscall_no = r->orig_rax;
#ifdef DEBUG
  trace(SYSCALL, r->orig_rax, a[0], a[1]);
#endif
  r->rax = syscall_run(t, r->orig_rax, a);
#ifdef DEBUG
  if(thread_held()->n)
    panic("system call %lu returns to the program with %d locks held, first %s", t->syscall_no, thread_held()->n,
          thread_held()->e[0].name);
#endif
}
