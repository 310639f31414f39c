// time.h -- monotonic and wall-clock nanoseconds, and one-shot timers that run in interrupt context.
#pragma once
#include "lib/list.h"
#include "lib/rbtree.h"

#define NEVER UINT64_MAX
#define NSEC  1000000000ul
#define MSEC  1000000ul

uint64_t clock_now(void);  // nanoseconds since start; monotonic on and across CPUs. From arch.
uint64_t clock_wall(void); // nanoseconds since 1970
void clock_set_wall(uint64_t ns);
// Have this CPU's clock interrupt come at `when` or earlier: it never puts off one that was asked for. From arch.
void clock_arm(uint64_t when);

struct timer {
  struct rbnode node;         // (timers)
  uint64_t when;              // (timers)
  void (*fn)(struct timer *); // (c) interrupt context: may wake and restart itself, no more
  bool queued;                // (timers)
  bool running;               // (timers)
};
void timer_init(struct timer *t, void (*fn)(struct timer *));
void timer_start(struct timer *t, uint64_t when); // again: moves it
bool timer_cancel(struct timer *t); // true: it will not run. Waits until a running fn has returned: not from fn itself.
uint64_t timer_run(void);           // run what is due; the time of the next, or NEVER. Called by the clock interrupt.
uint64_t timer_next(void);
// Sleep. 0, or -EINTR by mode (enum wait_mode).
int time_sleep_until(uint64_t deadline, int mode);
