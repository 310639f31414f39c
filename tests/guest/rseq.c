// rseq.c -- restartable sequences: who may register, what the CPU's number is worth, when a section is broken off.
#include "t.h"
#include <pthread.h>
#include <sys/prctl.h>

enum { UNREGISTER = 1, SIGNATURE = 0x53053053, AREA = 32 };

struct area {
  uint32_t cpu_id_start, cpu_id;
  uint64_t cs;
  uint32_t flags, node_id, mm_cid, pad;
} __attribute__((aligned(32)));
struct section {
  uint32_t version, flags;
  uint64_t start, length, abort;
} __attribute__((aligned(32)));

static __thread struct area area __attribute__((aligned(32)));

static long
rseq(volatile void *a, unsigned size, int flags, unsigned signature)
{
  return syscall(SYS_rseq, a, size, flags, signature);
}

static int cpus(void);

static void
enroll(void)
{
  cpus();
  memset(&area, 0, sizeof(area));
  area.cpu_id = -1u;
  need(rseq(&area, AREA, 0, SIGNATURE) == 0);
}

static void
run_on(int cpu)
{
  cpu_set_t one;

  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  need(sched_setaffinity(0, sizeof(one), &one) == 0);
}

// As many as there were at the start: musl counts those that the thread may use.
static int
cpus(void)
{
  static int n;

  if(n == 0)
    n = sysconf(_SC_NPROCESSORS_ONLN);
  return n;
}

TEST(registration_rules)
{
  static struct area two[2];

  expect_errno(rseq(&area, AREA, UNREGISTER, SIGNATURE), EINVAL); // there is none
  expect_errno(rseq(&area, AREA, 2, SIGNATURE), EINVAL);
  expect_errno(rseq((char *)&area + 8, AREA, 0, SIGNATURE), EINVAL);
  expect_errno(rseq(&area, AREA - 1, 0, SIGNATURE), EINVAL);
  expect_errno(rseq((void *)0xffff800000000000ul, AREA, 0, SIGNATURE), EFAULT);
  enroll();
  expect_errno(rseq(&area, AREA, 0, SIGNATURE), EBUSY);
  expect_errno(rseq(&area, AREA, 0, SIGNATURE + 1), EPERM);
  expect_errno(rseq(&two[1], AREA, 0, SIGNATURE), EINVAL);
  expect_errno(rseq(&area, AREA + 1, 0, SIGNATURE), EINVAL);
  expect_errno(rseq(&two[1], AREA, UNREGISTER, SIGNATURE), EINVAL);
  expect_errno(rseq(&area, AREA - 1, UNREGISTER, SIGNATURE), EINVAL);
  expect_errno(rseq(&area, AREA, UNREGISTER, SIGNATURE + 1), EPERM);
  expect_errno(rseq(&area, AREA, UNREGISTER | 2, SIGNATURE), EINVAL);
  expect(area.cpu_id < (unsigned)cpus());
  expect_eq(rseq(&area, AREA, UNREGISTER, SIGNATURE), 0);
  expect_eq(area.cpu_id, -1u);
  expect_eq(area.cpu_id_start, 0);
  expect_errno(rseq(&area, AREA, UNREGISTER, SIGNATURE), EINVAL);
  enroll();
}

TEST(cpu_number_follows_the_thread)
{
  enroll();
  for(int round = 0; round < 50; round++) {
    int cpu = round % cpus();

    run_on(cpu);
    expect_eq(*(volatile uint32_t *)&area.cpu_id, cpu);
    expect_eq(*(volatile uint32_t *)&area.cpu_id_start, cpu);
    expect_eq(sched_getcpu(), cpu);
    expect_eq(area.node_id, 0);
  }
}

static void
check_child(void *arg)
{
  expect(*(volatile uint32_t *)&area.cpu_id < (unsigned)cpus());
  expect_errno(rseq(&area, AREA, 0, SIGNATURE), EBUSY);
  run_on(cpus() - 1);
  expect_eq(*(volatile uint32_t *)&area.cpu_id, cpus() - 1);
}

static void *
check_thread(void *arg)
{
  expect_errno(rseq(&area, AREA, UNREGISTER, SIGNATURE), EINVAL);
  enroll();
  expect(*(volatile uint32_t *)&area.cpu_id < (unsigned)cpus());
  return 0;
}

TEST(fork_inherits_and_a_thread_does_not)
{
  pthread_t t;

  enroll();
  expect_eq(in_child(check_child, 0), 0);
  need(pthread_create(&t, 0, check_thread, 0) == 0);
  pthread_join(t, 0);
  expect_errno(rseq(&area, AREA, 0, SIGNATURE), EBUSY); // ours is untouched
}

static void
exec_self(void *arg)
{
  enroll();
  execl("/proc/self/exe", "rseq", "after_exec_helper", (char *)0);
  _exit(9);
}

TEST(after_exec_helper)
{
  enroll(); // would be EINVAL or EPERM if the old one were still there
}

TEST(exec_forgets)
{
  int status = in_child(exec_self, 0);

  expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

// ---- critical sections. The loop counts down `turns` and returns 1 if it ended, 0 if it was broken off.
// The section's description is filled in by the caller, so that tests may spoil it.

extern char loop_start[], loop_end[], loop_abort[], odd_abort[];
long run_section(volatile uint64_t *cs, struct section *s, volatile long *turns);
__asm__(".text\n"
        "run_section:\n"
        "  movq %rsi, (%rdi)\n"
        "loop_start:\n"
        "1: decq (%rdx)\n"
        "  jnz 1b\n"
        "loop_end:\n"
        "  movl $1, %eax\n"
        "  ret\n"
        "  .long 0x12345678\n"
        "odd_abort:\n" // its signature is another
        "  movl $2, %eax\n"
        "  ret\n"
        "  .long 0x53053053\n"
        "loop_abort:\n"
        "  xorl %eax, %eax\n"
        "  ret\n");

static struct section
good_section(void)
{
  return (struct section){0, 0, (uintptr_t)loop_start, loop_end - loop_start, (uintptr_t)loop_abort};
}

TEST(undisturbed_section_ends)
{
  struct section s = good_section();
  int ended = 0;

  enroll();
  for(int i = 0; i < 1000; i++) {
    volatile long turns = 10;

    ended += run_section(&area.cs, &s, &turns);
  }
  expect(ended > 900); // the machine may be busy, but not that busy
}

static volatile int seen_signals;
static void *volatile seen_ip;

static void
note_signal(int sig, siginfo_t *si, void *uc)
{
  seen_signals++;
  seen_ip = (void *)((uint64_t *)((char *)uc + 40))[16]; // rip in mcontext
}

static void
timer_every_ms(int ms)
{
  struct itimerval it = {{0, ms * 1000}, {0, ms * 1000}};
  struct sigaction sa = {.sa_sigaction = note_signal, .sa_flags = SA_SIGINFO};

  sigaction(SIGALRM, &sa, 0);
  setitimer(ITIMER_REAL, &it, 0);
}

TEST(signal_breaks_off)
{
  struct section s = good_section();
  volatile long turns = 1l << 60;

  enroll();
  timer_every_ms(20);
  expect_eq(run_section(&area.cs, &s, &turns), 0);
  expect(seen_signals >= 1 || turns < 1l << 60);
  expect_eq(area.cs, 0);
  while(seen_signals == 0)
    ;
  if(seen_signals == 1 && seen_ip >= (void *)loop_start)
    expect(seen_ip < (void *)loop_start || seen_ip >= (void *)loop_end); // the handler saw the abort address
}

TEST(preemption_breaks_off)
{
  struct section s = good_section();
  volatile long turns = 1l << 60;
  pid_t pid;

  enroll();
  run_on(0);
  pid = fork();
  if(pid == 0)
    for(;;)
      ; // shares the CPU
  expect_eq(run_section(&area.cs, &s, &turns), 0);
  expect_eq(area.cs, 0);
  expect_eq(area.cpu_id, 0);
  kill(pid, SIGKILL);
  waitpid(pid, 0, 0);
}

static pid_t mover_of;

static void *
move_it(void *arg)
{
  cpu_set_t one;

  usleep(50000);
  for(int i = 0;; i++) {
    CPU_ZERO(&one);
    CPU_SET(i % cpus(), &one);
    sched_setaffinity(mover_of, sizeof(one), &one);
    if(usleep(1000) < 0)
      return 0;
  }
}

TEST(migration_breaks_off_and_the_number_is_right)
{
  struct section s = good_section();
  pthread_t t;

  if(cpus() < 2)
    skip("one CPU");
  enroll();
  mover_of = gettid();
  need(pthread_create(&t, 0, move_it, 0) == 0);
  for(int i = 0; i < 20; i++) {
    volatile long turns = 1l << 60;

    expect_eq(run_section(&area.cs, &s, &turns), 0);
    expect(area.cpu_id < (unsigned)cpus());
    expect_eq(area.cpu_id, area.cpu_id_start);
  }
}

TEST(a_section_left_behind_is_forgotten)
{
  struct section s = good_section();
  volatile long turns = 1;

  enroll();
  timer_every_ms(5);
  run_section(&area.cs, &s, &turns); // cs stays set: the program is outside by now
  while(seen_signals < 2)
    ;
  expect_eq(area.cs, 0);
}

// ---- what does not make sense ends in SIGSEGV, once the kernel has to look

struct spoil {
  struct section s;
  void *at; // of the description; 0: s
  uint32_t flags;
};

static void
run_spoiled(void *arg)
{
  struct spoil *sp = arg;
  volatile long turns = 1l << 60;

  enroll();
  area.flags = sp->flags;
  timer_every_ms(10);
  run_section(&area.cs, sp->at ? sp->at : &sp->s, &turns);
}

static void
expect_segv(struct spoil *sp, const char *what)
{
  int status = in_child(run_spoiled, sp);

  if(!WIFSIGNALED(status) || WTERMSIG(status) != SIGSEGV)
    t_fail(__FILE__, __LINE__, "%s: expected SIGSEGV, saw status %#x", what, status);
}

TEST(nonsense_is_a_segv)
{
  struct spoil sp;

  sp = (struct spoil){.s = good_section()};
  sp.s.abort = (uintptr_t)odd_abort;
  expect_segv(&sp, "another signature");
  sp = (struct spoil){.s = good_section()};
  sp.s.version = 1;
  expect_segv(&sp, "a version to come");
  sp = (struct spoil){.s = good_section()};
  sp.s.abort = sp.s.start + 1;
  expect_segv(&sp, "abort address inside");
  sp = (struct spoil){.s = good_section(), .at = (void *)0x10};
  expect_segv(&sp, "description not mapped");
  sp = (struct spoil){.s = good_section(), .at = (void *)0xffff800000001000ul};
  expect_segv(&sp, "description beyond the end");
  sp = (struct spoil){.s = good_section()};
  sp.s.abort = 0xffff800000001000ul;
  expect_segv(&sp, "abort address beyond the end");
  sp = (struct spoil){.s = good_section()};
  sp.s.length = -1ul;
  expect_segv(&sp, "length overflows");
}

static void
unmap_area(void *arg)
{
  char *p = map(PAGE);

  need(rseq(p, AREA, 0, SIGNATURE) == 0);
  munmap(p, PAGE);
  for(int i = 0; i < 100; i++)
    usleep(1000); // switched away from: the area must be written
}

TEST(unmapped_area_is_a_segv)
{
  int status = in_child(unmap_area, 0);

  expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static volatile int handled;

static void
count_segv(int sig)
{
  handled++;
}

// A handler for the SIGSEGV cannot be entered either: the process ends, and does not loop.
static void
handle_unmapped(void *arg)
{
  char *p = map(PAGE);

  signal(SIGSEGV, count_segv);
  need(rseq(p, AREA, 0, SIGNATURE) == 0);
  munmap(p, PAGE);
  for(int i = 0; i < 100; i++)
    usleep(1000);
}

TEST(unmapped_area_with_a_handler_ends)
{
  int status = in_child(handle_unmapped, 0);

  expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

// ---- what it is good for: counters by CPU without an atomic instruction

enum { COUNT_THREADS = 4, COUNT_ROUNDS = 20000, COUNT_CPUS = 64, COUNT_LINE = 8 };
static volatile long counts[COUNT_CPUS * COUNT_LINE];

// counts[cpu * 8]++ as a section: 1 if it was done.
long count_section(volatile void *area, struct section *s, volatile long *counts);
extern char count_start[], count_end[], count_abort[];
__asm__(".text\n"
        "count_section:\n"
        "  movq %rsi, 8(%rdi)\n"
        "count_start:\n"
        "  movl 4(%rdi), %eax\n"
        "  shlq $6, %rax\n"
        "  movq (%rdx,%rax), %rcx\n"
        "  incq %rcx\n"
        "  movq %rcx, (%rdx,%rax)\n"
        "count_end:\n"
        "  movl $1, %eax\n"
        "  ret\n"
        "  .long 0x53053053\n"
        "count_abort:\n"
        "  xorl %eax, %eax\n"
        "  ret\n");

static void *
count_many(void *arg)
{
  struct section s = {0, 0, (uintptr_t)count_start, count_end - count_start, (uintptr_t)count_abort};

  enroll();
  for(int i = 0; i < COUNT_ROUNDS; i++) {
    while(!count_section(&area, &s, counts))
      ;
    if(i % 500 == 0)
      sched_yield();
  }
  rseq(&area, AREA, UNREGISTER, SIGNATURE);
  return 0;
}

TEST(counters_by_cpu_lose_nothing)
{
  pthread_t t[COUNT_THREADS];
  long sum = 0;

  for(int i = 0; i < COUNT_THREADS; i++)
    need(pthread_create(&t[i], 0, count_many, 0) == 0);
  for(int i = 0; i < COUNT_THREADS; i++)
    pthread_join(t[i], 0);
  for(int i = 0; i < COUNT_CPUS; i++)
    sum += counts[i * COUNT_LINE];
  expect_eq(sum, COUNT_THREADS * COUNT_ROUNDS);
}
