// fake_thread.h -- what fake_thread.c offers a host test besides core/thread.h, core/cpu.h and clock_* of core/time.h.
//
// Two modes. FAKE_SINGLE (at start): one thread, a clock that stands still. thread_block lets the clock jump to the next
// timer and runs it; with no timer it asks fake_idle; if that has nothing to do either, the wait can never end and the
// program aborts. FAKE_PTHREADS: every pthread is a kernel thread on a CPU of its own (at most FAKE_CPUS at a time), the
// clock is the host's, and timers run on a pthread that plays the clock interrupt.
// Link it with kernel/core/time.c if anything waits with a deadline. print, vprint and trace_event are weak: link the
// kernel's own to replace them. Everything else here is a symbol that the kernel's arch or sched would define.
#pragma once
#include <setjmp.h>
#include "core/cpu.h"
#include "core/print.h"
#include "core/thread.h"
#include "core/time.h"

enum fake_mode { FAKE_SINGLE, FAKE_PTHREADS };
enum { FAKE_CPUS = 32 };
void fake_mode(enum fake_mode mode);

// FAKE_SINGLE: nothing runs; make something happen that may wake the waiter (finish a request). false: nothing to do.
extern bool (*fake_idle)(void);
extern void (*fake_yield)(void); // FAKE_SINGLE: thread_yield calls it, so that what is waited for can come; 0
extern uint64_t fake_now;        // FAKE_SINGLE: nanoseconds since start; tests may move it forward

// A signal waits for `t` (0: the running thread) from now on, and wakes it. fatal: ends killable waits too.
void fake_signal(struct thread *t, bool fatal);
void fake_signal_clear(struct thread *t);

// FAKE_PTHREADS: start and join threads. kthread_start works too, but those are never joined.
struct fake_task;
struct fake_task *fake_start(void (*fn)(void *), void *arg);
void fake_join(struct fake_task *task);
// n threads of fn((void *)0 .. (void *)(n-1)), joined.
void fake_parallel(int n, void (*fn)(void *));

// expect(fake_panics(f(x))): did the statement panic? What it said is in fake_panic_text. Locks that it left behind stay
// locked, but are taken off the running thread's list.
extern char fake_panic_text[512];
jmp_buf *fake_panic_expect(void);
void fake_panic_done(void);
#define fake_panics(statement)                                                                                         \
  ({                                                                                                                   \
    volatile bool panicked_ = true;                                                                                    \
    if(setjmp(*fake_panic_expect()) == 0) {                                                                            \
      statement;                                                                                                       \
      panicked_ = false;                                                                                               \
    }                                                                                                                  \
    fake_panic_done();                                                                                                 \
    panicked_;                                                                                                         \
  })
