// thread.c -- a thread's structure and stack: made, shared, given back; and the part of core/thread.h that needs no queue.
// Kernel threads are threads without a process.
// Typical: t = thread_alloc() / fill it / sched_add(t);  later sched_exit, and thread_bury by whoever runs next.
// Must not know: when it runs (sched.c), what it shares with others (clone.c).
#include "core/cpu.h"
#include "core/kthread.h"
#include "lib/atomic.h"
#include "lib/string.h"
#include "proc/proc.h"

static int nthreads; // (a) with a stack

static struct kmem_cache *
thread_cache(void)
{
  static struct kmem_cache *cache; // (c) made when the first CPU starts

  if(cache == 0)
    cache = KMEM_CACHE(struct thread);
  return cache;
}

// The thread that the boot code of a CPU becomes: it runs on the boot stack.
struct thread *
thread_alloc_idle(void)
{
  struct thread *t = kmem_alloc(thread_cache());

  if(t)
    t->ref = 1;
  return t;
}

// t ended and has been switched away from: its stack goes, the structure stays for whoever refers to it.
void
thread_bury(struct thread *t)
{
  if(t->fpu)
    fpu_free(t);
  t->fpu = 0;
  page_put(page_of_va(t->kstack));
  t->kstack = 0;
  atomic_sub(&nthreads, 1);
  thread_put(t);
}

struct thread *
thread_alloc(void)
{
  struct thread *t = kmem_alloc(thread_cache());
  struct page *stack = t ? frame_try(KSTACK_ORDER) : 0;

  if(stack == 0) {
    if(t)
      kmem_free(thread_cache(), t);
    return 0;
  }
  t->ref = 1;
  t->kstack = page_va(stack);
  t->state = THREAD_RUNNABLE; // not BLOCKED: a signal may find it before sched_add, and must not queue it
  t->affinity = ~0ull;
  t->syscall_no = NO_SYSCALL;
  t->altstack_flags = 0;
  list_init(&t->in_proc);
  list_init(&t->by_tid);
  list_init(&t->pending.queue);
  list_init(&t->pi_owned);
  atomic_add(&nthreads, 1);
  arch_thread_init(t, sched_thread_begin);
  return t;
}

void
thread_put(struct thread *t)
{
  if(atomic_sub(&t->ref, 1) > 0)
    return;
  if(t->kstack) { // it never ran
    if(t->fpu)
      fpu_free(t);
    page_put(page_of_va(t->kstack));
    atomic_sub(&nthreads, 1);
  }
  if(t->cred)
    cred_put(t->cred);
  if(t->proc)
    proc_put(t->proc);
  kmem_free(thread_cache(), t);
}

int
thread_start_kernel(const char *name, void (*fn)(void *), void *arg)
{
  struct thread *t = thread_alloc();

  if(t == 0)
    return -ENOMEM;
  strlcpy(t->name, name, sizeof(t->name));
  t->entry = fn;
  t->entry_arg = arg;
  sched_add(t);
  return 0;
}

int
sched_threads(void)
{
  return atomic_get(&nthreads);
}

// ---- core/thread.h

struct thread *
thread_self(void)
{
  return cpu_self()->thread;
}

struct held *
thread_held(void)
{
  struct cpu *c = cpu_self();

  return c->thread ? &c->thread->held : &c->early_held;
}

int *
thread_reserve(void)
{
  static int nobody; // before the scheduler runs: everything is free

  return cpu_self()->thread ? &cpu_self()->thread->reserve : &nobody;
}

int
thread_tid(void)
{
  return thread_self() ? thread_self()->tid : 0;
}

const char *
thread_name(void)
{
  return thread_self() ? thread_self()->name : "none";
}

void
thread_prepare(void)
{
  (void)atomic_swap(&thread_self()->woken,
                    false); // an exchange, not a store: orders the condition after an earlier wake
}

void
thread_unprepare(void)
{
}

bool
thread_interrupted(enum wait_mode mode)
{
  struct thread *t = thread_self();

  if(mode == WAIT_ALWAYS || t == 0)
    return false;
  return atomic_get(&t->exiting) || (mode == WAIT_INTERRUPTIBLE && atomic_get(&t->sig_pending));
}
