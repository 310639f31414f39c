// panic.c -- the end: stop the other CPUs, say which invariant broke, show where, leave the machine with a failing status.
//
// Takes no lock and allocates nothing. A panic inside a panic says one line and leaves; a second CPU that panics waits to
// be stopped.
// Typical: panic("I4: page %p says (%p,%lu), cache says (%p,%lu)", pg, pg->obj, pg->idx, obj, i).
#include "core/cpu.h"
#include "core/print.h"
#include "core/thread.h"
#include "core/time.h"
#include "core/trace.h"
#include "lib/atomic.h"

enum { PANIC_STATUS = 0x7f, FRAMES_MAX = 32, EVENTS_SHOWN = 32, EVENTS_A_TIME = 8, SYMBOL_MAX = 96, NOBODY = -1 };

static int panicking_cpu = NOBODY; // (a)

static void
show_backtrace(void)
{
  uintptr_t pc[FRAMES_MAX];
  char name[SYMBOL_MAX];
  int n = cpu_backtrace(0, pc, FRAMES_MAX);

  for(int i = 0; i < n; i++) {
    symbol_name(pc[i], name, sizeof name);
    print("  %#lx %s\n", pc[i], name);
  }
}

static void
show_trace(void)
{
  static struct trace_event e[EVENTS_SHOWN]; // one CPU panics, and its stack may be short
  int n = trace_last(e, EVENTS_SHOWN);

  for(int i = 0; i < n; i++)
    print("  %lu.%06lu cpu %d tid %d %s %#lx %#lx %#lx\n", e[i].when / NSEC, e[i].when % NSEC / 1000, e[i].cpu,
          e[i].tid, trace_name(e[i].type), e[i].a, e[i].b, e[i].c);
}

static void
show_all(void)
{
  const struct held *h = thread_held();

  print("cpu %d, thread %d (%s)%s\nbacktrace:\n", cpu_self()->id, thread_tid(), thread_name(),
        cpu_self()->in_irq ? ", in an interrupt" : "");
  show_backtrace();
  if(h && h->n > 0) {
    print("locks held:\n");
    held_print(h);
  }
  print("last events:\n");
  show_trace();
}

void
panic(const char *f, ...)
{
  int nobody = NOBODY, me;
  va_list ap;

  cpu_irq_disable();
  me = cpu_self()->id;
  if(!atomic_cas(&panicking_cpu, &nobody, me)) {
    if(nobody != me)
      for(;;)
        cpu_relax();
    print("panic while panicking: %s\n", f);
    cpu_poweroff(PANIC_STATUS);
  }
  cpu_stop_others();
  print_panicking();
  print("\npanic: ");
  va_start(ap, f);
  vprint(f, ap);
  va_end(ap);
  print("\n");
  show_all();
  cpu_poweroff(PANIC_STATUS);
}

// The compiler calls it when a function's canary changed.
void __stack_chk_fail(void) __attribute__((noreturn));
void
__stack_chk_fail(void)
{
  panic("a function wrote past its stack frame, near %p", __builtin_return_address(0));
}
