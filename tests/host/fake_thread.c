// fake_thread.c -- threads, CPUs, clock and panic for host tests; fake_thread.h says how the two modes differ.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "core/kthread.h"
#include "core/trace.h"
#include "fake_thread.h"

struct thread {
  pthread_mutex_t mutex;
  pthread_cond_t cond;
  bool woken;             // (mutex) by thread_wake since thread_prepare
  bool prepared;          // own
  bool signalled, killed; // (a)
  struct held held;
  int reserve;
  struct cpu *cpu;
  int tid;
  struct thread *next; // every thread there ever was: a late thread_wake must find memory
};

struct fake_task {
  pthread_t pthread;
  void (*fn)(void *);
  void *arg;
};

struct cpu *cpus[CPU_MAX];
int cpu_count = 1;
bool (*fake_idle)(void);
void (*fake_yield)(void);
uint64_t fake_now = NSEC;
char fake_panic_text[512];

static enum fake_mode mode_now;
static struct cpu host_cpu[FAKE_CPUS];
static pthread_mutex_t registry = PTHREAD_MUTEX_INITIALIZER;
static bool cpu_taken[FAKE_CPUS]; // (registry)
static struct thread *all;        // (registry)
static int tids;                  // (registry)
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static __thread struct thread *self;
static __thread jmp_buf panic_jmp;
static __thread bool panic_expected;
static __thread int held_before, depth_before;

static void __attribute__((noreturn)) die(const char *why)
{
  fprintf(stderr, "fake_thread: %s\n", why);
  abort();
}

// Threads that one test left behind look at it while the next one sets it.
static enum fake_mode
mode(void)
{
  return __atomic_load_n(&mode_now, __ATOMIC_RELAXED);
}

// ---- threads and CPUs

static void
thread_gone(void *arg)
{
  struct thread *t = arg;

  pthread_mutex_lock(&registry);
  cpu_taken[t->cpu->id] = false;
  t->cpu = 0;
  pthread_mutex_unlock(&registry);
}

static void
registry_init(void)
{
  pthread_key_create(&key, thread_gone);
  for(int i = 0; i < FAKE_CPUS; i++) {
    host_cpu[i] = (struct cpu){.self = &host_cpu[i], .id = i, .online = true, .irq_were_on = true};
    cpus[i] = &host_cpu[i];
  }
}

static struct thread *
thread_enroll(void)
{
  struct thread *t = calloc(1, sizeof *t);
  int id = 0;

  pthread_once(&once, registry_init);
  pthread_mutex_init(&t->mutex, 0);
  pthread_cond_init(&t->cond, 0);
  pthread_mutex_lock(&registry);
  while(id < FAKE_CPUS && cpu_taken[id])
    id++;
  if(id == FAKE_CPUS)
    die("more threads than FAKE_CPUS at a time");
  cpu_taken[id] = true;
  t->cpu = &host_cpu[id];
  t->cpu->thread = t;
  t->tid = ++tids;
  t->next = all;
  all = t;
  pthread_mutex_unlock(&registry);
  pthread_setspecific(key, t);
  return t;
}

struct thread *
thread_self(void)
{
  if(self == 0)
    self = thread_enroll();
  return self;
}

struct cpu *
host_cpu_self(void)
{
  return thread_self()->cpu;
}

int *
thread_reserve(void)
{
  return &thread_self()->reserve;
}

struct held *
thread_held(void)
{
  return &thread_self()->held;
}

int
thread_tid(void)
{
  return thread_self()->tid;
}

const char *
thread_name(void)
{
  return "host";
}

static void *
task_main(void *arg)
{
  struct fake_task *task = arg;

  task->fn(task->arg);
  if(thread_self()->held.n != 0)
    die("a thread ended with locks held");
  return 0;
}

struct fake_task *
fake_start(void (*fn)(void *), void *arg)
{
  struct fake_task *task = malloc(sizeof *task);

  if(mode() != FAKE_PTHREADS)
    die("fake_start needs fake_mode(FAKE_PTHREADS)");
  *task = (struct fake_task){.fn = fn, .arg = arg};
  if(pthread_create(&task->pthread, 0, task_main, task) != 0)
    die("pthread_create failed");
  return task;
}

void
fake_join(struct fake_task *task)
{
  pthread_join(task->pthread, 0);
  free(task);
}

void
fake_parallel(int n, void (*fn)(void *))
{
  struct fake_task *task[FAKE_CPUS];

  for(int i = 0; i < n; i++)
    task[i] = fake_start(fn, (void *)(uintptr_t)i);
  for(int i = 0; i < n; i++)
    fake_join(task[i]);
}

static struct fake_task *kthreads[FAKE_CPUS];

// With one thread there is nobody to run it: a test calls what the thread would do by itself.
int
thread_start_kernel(const char *name, void (*fn)(void *), void *arg)
{
  static int n;

  if(mode() == FAKE_PTHREADS) {
    if(n == FAKE_CPUS)
      die("too many kernel threads");
    kthreads[n] = fake_start(fn, arg);
    pthread_detach(kthreads[n++]->pthread);
  }
  return 0;
}

// ---- block and wake

void
thread_prepare(void)
{
  struct thread *t = thread_self();

  pthread_mutex_lock(&t->mutex);
  t->woken = false;
  pthread_mutex_unlock(&t->mutex);
  t->prepared = true;
}

void
thread_unprepare(void)
{
  thread_self()->prepared = false;
}

// The only thread waits: time passes, or the world does something, until it is woken.
static void
block_single(struct thread *t)
{
  extern uint64_t timer_run(void) __attribute__((weak));
  extern uint64_t timer_next(void) __attribute__((weak));

  while(!t->woken) {
    uint64_t next = timer_next ? timer_next() : NEVER;

    if(fake_idle && fake_idle())
      continue;
    if(next == NEVER)
      die("the only thread waits for something that nobody will ever do");
    fake_now = max(fake_now, next);
    timer_run();
  }
}

void
thread_block(void)
{
  struct thread *t = thread_self();

  if(!t->prepared)
    die("thread_block without thread_prepare");
  if(t->cpu->irq_off_depth > 0)
    die("thread_block with a spin lock held");
  t->prepared = false;
  if(mode() == FAKE_SINGLE) {
    block_single(t);
    return;
  }
  pthread_mutex_lock(&t->mutex);
  while(!t->woken)
    pthread_cond_wait(&t->cond, &t->mutex);
  pthread_mutex_unlock(&t->mutex);
}

void
thread_wake(struct thread *t)
{
  pthread_mutex_lock(&t->mutex);
  t->woken = true;
  pthread_cond_signal(&t->cond);
  pthread_mutex_unlock(&t->mutex);
}

bool
thread_interrupted(enum wait_mode mode)
{
  struct thread *t = thread_self();

  if(mode == WAIT_ALWAYS)
    return false;
  return __atomic_load_n(&t->killed, __ATOMIC_SEQ_CST) ||
         (mode == WAIT_INTERRUPTIBLE && __atomic_load_n(&t->signalled, __ATOMIC_SEQ_CST));
}

void
fake_signal(struct thread *t, bool fatal)
{
  t = t ? t : thread_self();
  __atomic_store_n(fatal ? &t->killed : &t->signalled, true, __ATOMIC_SEQ_CST);
  thread_wake(t);
}

void
fake_signal_clear(struct thread *t)
{
  t = t ? t : thread_self();
  __atomic_store_n(&t->killed, false, __ATOMIC_SEQ_CST);
  __atomic_store_n(&t->signalled, false, __ATOMIC_SEQ_CST);
}

void
thread_yield(void)
{
  if(mode() == FAKE_SINGLE && fake_yield)
    fake_yield();
  sched_yield();
}

void
thread_relax(void)
{
  if(mode() == FAKE_PTHREADS)
    sched_yield();
}

// ---- core/cpu.h: a CPU of the host is never interrupted, so only the depth is kept

void
irq_off(void)
{
  host_cpu_self()->irq_off_depth++;
}

void
irq_restore(void)
{
  if(host_cpu_self()->irq_off_depth-- <= 0)
    die("irq_restore without irq_off");
}

bool
irq_enabled(void)
{
  return host_cpu_self()->irq_off_depth == 0;
}

void
cpu_irq_enable(void)
{
}

void
cpu_irq_disable(void)
{
}

void
cpu_idle(void)
{
  sched_yield();
}

void
cpu_relax(void)
{
  if(mode() == FAKE_SINGLE)
    die("the only thread spins: a lock taken twice, or never released");
  sched_yield();
}

void
cpu_kick(int id)
{
}

void
cpu_stop_others(void)
{
}

void
cpu_reset(void)
{
  die("cpu_reset");
}

void
cpu_poweroff(int status)
{
  exit(status);
}

size_t
cpu_random(void *buf, size_t n)
{
  for(size_t i = 0; i < n; i++)
    ((unsigned char *)buf)[i] = random();
  return n;
}

int
cpu_backtrace(uintptr_t fp, uintptr_t *pc, int n)
{
  return 0;
}

void
symbol_name(uintptr_t pc, char *buf, size_t n)
{
  snprintf(buf, n, "%#lx", pc);
}

// ---- clock

static pthread_mutex_t clock_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t clock_cond;
static uint64_t armed = NEVER; // (clock_mutex)
static pthread_once_t clock_once = PTHREAD_ONCE_INIT;

static uint64_t
host_now(void)
{
  struct timespec ts;

  clock_gettime(CLOCK_MONOTONIC, &ts);
  return ts.tv_sec * NSEC + ts.tv_nsec;
}

uint64_t
clock_now(void)
{
  return mode() == FAKE_SINGLE ? fake_now : host_now();
}

// The clock's own thread sleeps while there is only one: nothing arms it then.
void
fake_mode(enum fake_mode to)
{
  pthread_once(&once, registry_init);
  pthread_mutex_lock(&clock_mutex);
  armed = NEVER;
  __atomic_store_n(&mode_now, to, __ATOMIC_RELAXED);
  cpu_count = to == FAKE_PTHREADS ? FAKE_CPUS : 1;
  pthread_mutex_unlock(&clock_mutex);
}

static void *
clock_main(void *arg)
{
  extern uint64_t timer_run(void) __attribute__((weak));

  pthread_mutex_lock(&clock_mutex);
  for(;;) {
    struct timespec ts = {armed / NSEC, armed % NSEC};

    if(armed == NEVER) {
      pthread_cond_wait(&clock_cond, &clock_mutex);
    } else if(host_now() < armed) {
      pthread_cond_timedwait(&clock_cond, &clock_mutex, &ts);
    } else {
      uint64_t next;

      armed = NEVER;
      pthread_mutex_unlock(&clock_mutex);
      host_cpu_self()->in_irq = true;
      next = timer_run();
      pthread_mutex_lock(&clock_mutex);
      armed = min(armed, next);
    }
  }
  return 0;
}

static void
clock_start(void)
{
  pthread_condattr_t attr;
  pthread_t thread;

  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&clock_cond, &attr);
  pthread_create(&thread, 0, clock_main, 0);
  pthread_detach(thread);
}

void
clock_arm(uint64_t when)
{
  if(mode() == FAKE_SINGLE)
    return;
  pthread_once(&clock_once, clock_start);
  pthread_mutex_lock(&clock_mutex);
  armed = min(armed, when);
  pthread_cond_signal(&clock_cond);
  pthread_mutex_unlock(&clock_mutex);
}

// ---- print, trace, panic

__attribute__((weak)) void
vprint(const char *f, va_list ap)
{
  vfprintf(stderr, f, ap);
}

__attribute__((weak)) void
print(const char *f, ...)
{
  va_list ap;

  va_start(ap, f);
  vprint(f, ap);
  va_end(ap);
}

__attribute__((weak)) void
trace_event(enum trace_type type, uint64_t a, uint64_t b, uint64_t c)
{
}

jmp_buf *
fake_panic_expect(void)
{
  held_before = thread_held()->n;
  depth_before = host_cpu_self()->irq_off_depth;
  panic_expected = true;
  return &panic_jmp;
}

void
fake_panic_done(void)
{
  panic_expected = false;
  thread_held()->n = held_before;
  host_cpu_self()->irq_off_depth = depth_before;
}

void
panic(const char *f, ...)
{
  char text[sizeof fake_panic_text];
  va_list ap;

  va_start(ap, f);
  vsnprintf(text, sizeof text, f, ap);
  va_end(ap);
  if(panic_expected) {
    panic_expected = false;
    memcpy(fake_panic_text, text, sizeof text);
    longjmp(panic_jmp, 1);
  }
  fprintf(stderr, "panic: %s\n", text);
  abort();
}
