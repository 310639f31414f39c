// membarrier.c -- barriers on behalf of others: who may ask, and that they are there.
#include "t.h"
#include <pthread.h>

enum {
  QUERY = 0,
  GLOBAL = 1,
  GLOBAL_EXPEDITED = 2,
  REGISTER_GLOBAL_EXPEDITED = 4,
  PRIVATE_EXPEDITED = 8,
  REGISTER_PRIVATE_EXPEDITED = 16,
  SYNC_CORE = 32,
  REGISTER_SYNC_CORE = 64,
  RSEQ = 128,
  REGISTER_RSEQ = 256,
  ALL = 511,
  FLAG_CPU = 1,
};

static int
membarrier(int cmd, unsigned flags, int cpu)
{
  return syscall(SYS_membarrier, cmd, flags, cpu);
}

TEST(what_may_be_asked)
{
  expect_eq(membarrier(QUERY, 0, 0) & ALL, ALL);
  expect_errno(membarrier(QUERY, 1, 0), EINVAL);
  expect_errno(membarrier(GLOBAL, 1, 0), EINVAL);
  expect_errno(membarrier(3, 0, 0), EINVAL);
  expect_errno(membarrier(1 << 20, 0, 0), EINVAL);
  expect_errno(membarrier(-1, 0, 0), EINVAL);
  expect_errno(membarrier(PRIVATE_EXPEDITED, FLAG_CPU, 0), EINVAL);
  expect_errno(membarrier(RSEQ, 2, 0), EINVAL);
  expect_eq(membarrier(GLOBAL, 0, 0), 0);
  expect_eq(membarrier(GLOBAL_EXPEDITED, 0, 0), 0); // needs no registration of the caller
  expect_eq(membarrier(REGISTER_GLOBAL_EXPEDITED, 0, 0), 0);
  expect_eq(membarrier(GLOBAL_EXPEDITED, 0, 0), 0);
}

static void
registered_by_parent(void *arg)
{
  expect_eq(membarrier(PRIVATE_EXPEDITED, 0, 0), 0);
  expect_errno(membarrier(SYNC_CORE, 0, 0), EPERM);
}

static void
exec_and_ask(void *arg)
{
  execl("/proc/self/exe", "membarrier", "private_commands_want_registration", (char *)0);
  _exit(9);
}

TEST(private_commands_want_registration)
{
  int cmd[] = {PRIVATE_EXPEDITED, SYNC_CORE, RSEQ};

  for(int i = 0; i < 3; i++) {
    expect_errno(membarrier(cmd[i], 0, 0), EPERM);
    expect_eq(membarrier(cmd[i] << 1, 0, 0), 0);
    expect_eq(membarrier(cmd[i] << 1, 0, 0), 0); // again is no error
    expect_eq(membarrier(cmd[i], 0, 0), 0);
  }
  expect_eq(membarrier(RSEQ, FLAG_CPU, 0), 0);
  expect_eq(membarrier(RSEQ, FLAG_CPU, 100000), 0); // a CPU that is not there runs nothing
}

TEST(registration_is_forked_and_ends_with_exec)
{
  int status;

  expect_eq(membarrier(REGISTER_PRIVATE_EXPEDITED, 0, 0), 0);
  expect_eq(in_child(registered_by_parent, 0), 0);
  status = in_child(exec_and_ask, 0);
  expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

// ---- Dekker's question: each side stores its own word and loads the other's. Without barriers both may see nothing.
// One side has only a compiler's barrier; the other asks the kernel.

static volatile int fast_word __attribute__((aligned(64))), slow_word __attribute__((aligned(64)));
static int fast_saw, slow_saw;
static pthread_barrier_t step;
static int rounds, command;

static void *
fast_side(void *arg)
{
  for(int i = 0; i < rounds; i++) {
    pthread_barrier_wait(&step);
    fast_word = 1;
    __asm__ volatile("" ::: "memory");
    fast_saw = slow_word;
    pthread_barrier_wait(&step);
  }
  return 0;
}

static void
dekker(int cmd)
{
  pthread_t t;
  int both = 0;

  rounds = 1000;
  command = cmd;
  pthread_barrier_init(&step, 0, 2);
  need(pthread_create(&t, 0, fast_side, 0) == 0);
  for(int i = 0; i < rounds; i++) {
    fast_word = slow_word = 0;
    pthread_barrier_wait(&step);
    slow_word = 1;
    need(membarrier(command, 0, 0) == 0);
    slow_saw = fast_word;
    pthread_barrier_wait(&step);
    both += !fast_saw && !slow_saw;
  }
  pthread_join(t, 0);
  expect_eq(both, 0);
}

TEST(private_barrier_orders_the_fast_side)
{
  need(membarrier(REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0);
  dekker(PRIVATE_EXPEDITED);
}

TEST(global_expedited_barrier_orders_the_fast_side)
{
  need(membarrier(REGISTER_GLOBAL_EXPEDITED, 0, 0) == 0);
  dekker(GLOBAL_EXPEDITED);
}

// ---- code that is changed while others wait to run it. Each says that it is inside before it looks whether it may,
// with no barrier between the two: the changer's SYNC_CORE is that barrier, and shows the new code.

enum { RUNNERS = 3 };
static int (*volatile code)(void);
static volatile bool stop;
static volatile int wanted = -1;
static volatile int inside[RUNNERS];

static void *
run_code(void *arg)
{
  volatile int *in = &inside[(long)arg];
  long wrong = 0;

  while(!stop) {
    int want;

    *in = 1;
    __asm__ volatile("" ::: "memory");
    want = wanted;
    if(want >= 0 && code() != want)
      wrong++;
    *in = 0;
    if(want < 0)
      sched_yield();
  }
  return (void *)wrong;
}

TEST(core_barrier_shows_new_code)
{
  volatile unsigned char *p = mmap(0, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const unsigned char ret_0[] = {0xb8, 0, 0, 0, 0, 0xc3};
  pthread_t t[RUNNERS];
  void *wrong;

  need(p != MAP_FAILED);
  memcpy((void *)p, ret_0, sizeof(ret_0));
  code = (int (*)(void))p;
  need(membarrier(REGISTER_SYNC_CORE, 0, 0) == 0);
  for(long i = 0; i < RUNNERS; i++)
    need(pthread_create(&t[i], 0, run_code, (void *)i) == 0);
  for(int i = 1; i < 100; i++) {
    wanted = -1;
    need(membarrier(SYNC_CORE, 0, 0) == 0);
    for(int k = 0; k < RUNNERS; k++)
      while(inside[k])
        sched_yield();
    p[1] = i;
    need(membarrier(SYNC_CORE, 0, 0) == 0);
    wanted = i;
    expect_eq(code(), i);
    usleep(500);
  }
  stop = true;
  for(int i = 0; i < RUNNERS; i++) {
    pthread_join(t[i], &wrong);
    expect_eq((long)wrong, 0);
  }
}

// ---- a barrier that breaks off restartable sequences

struct area {
  uint32_t cpu_id_start, cpu_id;
  uint64_t cs;
  uint32_t rest[4];
} __attribute__((aligned(32)));
struct section {
  uint32_t version, flags;
  uint64_t start, length, abort;
} __attribute__((aligned(32)));

extern char spin_start[], spin_end[], spin_abort[];
long spin_section(volatile void *area, struct section *s);
__asm__(".text\n"
        "spin_section:\n"
        "  movq %rsi, 8(%rdi)\n"
        "spin_start:\n"
        "1: pause\n"
        "  jmp 1b\n"
        "spin_end:\n"
        "  ud2\n"
        "  .long 0x53053053\n"
        "spin_abort:\n"
        "  xorl %eax, %eax\n"
        "  ret\n");

static volatile int spins;
static volatile bool spun; // it spins no more
static _Atomic int spinner_cpu = -1;

static void *
spin(void *arg)
{
  struct section s = {0, 0, (uintptr_t)spin_start, spin_end - spin_start, (uintptr_t)spin_abort};
  static struct area area = {.cpu_id = -1u};

  need(syscall(SYS_rseq, &area, 32, 0, 0x53053053) == 0);
  spinner_cpu = area.cpu_id;
  while(!stop) {
    spin_section(&area, &s);
    spinner_cpu = area.cpu_id;
    spins++;
  }
  spun = true;
  syscall(SYS_rseq, &area, 32, 1, 0x53053053);
  return 0;
}

static void
break_off(unsigned flags)
{
  pthread_t t;

  need(membarrier(REGISTER_RSEQ, 0, 0) == 0);
  need(pthread_create(&t, 0, spin, 0) == 0);
  while(spinner_cpu < 0)
    sched_yield();
  for(int i = 0; i < 30; i++) {
    int before = spins;
    time_t give_up = time(0) + 10;

    while(spins == before && time(0) < give_up)
      need(membarrier(RSEQ, flags, spinner_cpu) == 0);
    expect(spins > before);
  }
  stop = true;
  while(!spun) // it may just have looked at `stop`, and begin once more
    membarrier(RSEQ, 0, 0);
  pthread_join(t, 0);
}

TEST(rseq_barrier_breaks_sections_off)
{
  break_off(0);
}

TEST(rseq_barrier_on_one_cpu_breaks_sections_off)
{
  break_off(FLAG_CPU);
}

static void *
ask_often(void *arg)
{
  for(int i = 0; i < 500; i++) {
    char *p = map(4 * PAGE);

    p[PAGE] = 1;
    need(membarrier(PRIVATE_EXPEDITED, 0, 0) == 0);
    munmap(p, 4 * PAGE);
  }
  return 0;
}

TEST(barriers_and_shootdowns_cross)
{
  pthread_t t[4];

  need(membarrier(REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0);
  for(int i = 0; i < 4; i++)
    need(pthread_create(&t[i], 0, ask_often, 0) == 0);
  for(int i = 0; i < 4; i++)
    pthread_join(t[i], 0);
}
