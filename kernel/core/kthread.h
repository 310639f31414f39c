// kthread.h -- named kernel threads: no address space, no signals, run until their function returns.
#pragma once
int kthread_start(const char *name, void (*fn)(void *), void *arg); // 0 or -ENOMEM
// Filled in by proc/sched.c: the thread itself.
int thread_start_kernel(const char *name, void (*fn)(void *), void *arg);
