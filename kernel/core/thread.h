// thread.h -- what core needs to know of threads: block, wake, and the list of locks held. Filled in by proc/sched.c,
// on the host by tests/host/fake_thread.c.
#pragma once
#include "core/rank.h"

struct thread;

enum wait_mode {
  WAIT_ALWAYS,        // only the event ends the wait: for waits that are short and sure to end
  WAIT_KILLABLE,      // a fatal signal ends it too
  WAIT_INTERRUPTIBLE, // any signal that would be delivered does
};

struct thread *thread_self(void); // 0 before the scheduler runs
struct held *thread_held(void);   // of the running thread, or of the CPU before there is one
int thread_tid(void);             // of the running thread, 0 without one; any context
// Of the running thread: while it is not 0, the thread may take memory from the reserve (mm/frame.c), because what it does
// makes more memory free. Counts, so that such work nests.
int *thread_reserve(void);
const char *thread_name(void); // of the running thread; any context
// Announce that the running thread is about to block: from here on a thread_wake makes the next thread_block return at once.
void thread_prepare(void);
// Give the CPU away until woken. Nothing but sleeping locks may be held. May return early; callers look again.
void thread_block(void);
void thread_unprepare(void); // changed my mind
// Make `t` runnable. Any context, any lock below RANK_RQ held. Harmless if it runs.
void thread_wake(struct thread *t);
// Would a wait of this mode be cut short for the running thread now?
bool thread_interrupted(enum wait_mode mode);
// Let others run if the CPU was asked for; for long loops in the kernel. No spin lock held.
void thread_relax(void);
void thread_yield(void);
