// kthread.c -- named kernel threads, for whoever must not know the scheduler.
// Typical: kthread_start("reclaim", reclaim_main, 0).
#include "core/kthread.h"

int
kthread_start(const char *name, void (*fn)(void *), void *arg)
{
  return thread_start_kernel(name, fn, arg);
}
