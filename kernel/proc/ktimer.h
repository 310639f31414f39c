// ktimer.h -- POSIX timers of the running process, by number.
#pragma once
#include "proc/proc.h"

enum ktimer_clock { KTIMER_CLOCK, KTIMER_WALL, KTIMER_CPU_PROC, KTIMER_CPU_THREAD };
struct ktimer_setting {
  enum ktimer_clock clock;
  struct thread *thread; // whose time, for KTIMER_CPU_THREAD
  int signo;             // 0: none is sent
  bool value_is_id;      // the signal's value is the timer's id
  uint64_t value;
  struct thread *target; // 0: the process
};
struct ktimer_value {
  uint64_t value, interval; // nanoseconds; value 0: stopped
};
int ktimer_create(const struct ktimer_setting *how, int *id); // 0 or -EAGAIN
int ktimer_delete(int id);                                    // these: -EINVAL if there is none
int ktimer_get(int id, struct ktimer_value *v);
int ktimer_set(int id, bool absolute, const struct ktimer_value *v, struct ktimer_value *old);
int ktimer_overrun(int id);
void ktimer_taken(struct proc *p, struct siginfo *si); // its signal is being delivered: fills in the overrun
void ktimer_delete_all(struct proc *p);
