// faults.c -- every bad access gives the right signal with the right si_code and the exact si_addr; none harms the kernel.
#include "t.h"

static sigjmp_buf back;
static volatile sig_atomic_t got_sig, got_code;
static void *volatile got_addr;

static void
note(int sig, siginfo_t *si, void *uc)
{
  got_sig = sig;
  got_code = si->si_code;
  got_addr = si->si_addr;
  siglongjmp(back, 1);
}

static void
catch_all(void)
{
  struct sigaction sa = {.sa_sigaction = note, .sa_flags = SA_SIGINFO};
  static const int sigs[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};

  for(unsigned i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++)
    sigaction(sigs[i], &sa, 0);
}

#define expect_signal(statement, sig, code, addr)                                                                      \
  do {                                                                                                                 \
    catch_all();                                                                                                       \
    got_sig = 0;                                                                                                       \
    if(sigsetjmp(back, 1) == 0) {                                                                                      \
      statement;                                                                                                       \
      t_fail(__FILE__, __LINE__, "%s: expected signal %d, saw none", #statement, sig);                                 \
    } else if(got_sig != (sig) || got_code != (code) || got_addr != (void *)(addr)) {                                  \
      t_fail(__FILE__, __LINE__, "%s: expected signal %d code %d at %p, saw %d code %d at %p", #statement, sig, code,  \
             (void *)(addr), got_sig, got_code, got_addr);                                                             \
    }                                                                                                                  \
  } while(0)

static volatile char sink;

TEST(unmapped_is_maperr) // G01, U08
{
  char *p = map(2 * PAGE);

  munmap(p, 2 * PAGE);
  expect_signal(sink = p[5], SIGSEGV, SEGV_MAPERR, p + 5);
  expect_signal(p[PAGE + 17] = 1, SIGSEGV, SEGV_MAPERR, p + PAGE + 17);
  expect_signal(sink = *(volatile char *)8, SIGSEGV, SEGV_MAPERR, 8);
}

TEST(protection_is_accerr) // G02, M42
{
  char *p = map(PAGE);

  p[0] = 1;
  need(mprotect(p, PAGE, PROT_READ) == 0);
  expect_signal(p[123] = 1, SIGSEGV, SEGV_ACCERR, p + 123);
  need(mprotect(p, PAGE, PROT_NONE) == 0);
  expect_signal(sink = p[7], SIGSEGV, SEGV_ACCERR, p + 7);
  need(mprotect(p, PAGE, PROT_READ | PROT_WRITE) == 0);
  expect_eq(p[0], 1); // R09
}

TEST(non_canonical_is_si_kernel) // G04
{
  volatile char *p = (char *)0x8000000000000000ull;

  expect_signal(sink = *p, SIGSEGV, SI_KERNEL, 0);
  expect_signal(((void (*)(void))0x8000000000001000ull)(), SIGSEGV, SI_KERNEL, 0);
}

TEST(kernel_address_is_refused)
{
  volatile char *p = (char *)0xffffffff80100000ull;

  catch_all();
  got_sig = 0;
  if(sigsetjmp(back, 1) == 0)
    sink = *p;
  expect_eq(got_sig, SIGSEGV);
  got_sig = 0;
  if(sigsetjmp(back, 1) == 0)
    *p = 1;
  expect_eq(got_sig, SIGSEGV);
  got_sig = 0;
  if(sigsetjmp(back, 1) == 0)
    sink = *(volatile char *)0xffff800000000000ull;
  expect_eq(got_sig, SIGSEGV);
}

TEST(data_is_not_executed) // G11
{
  unsigned char *p = (unsigned char *)map(PAGE);

  p[0] = 0xc3;
  expect_signal(((void (*)(void))p)(), SIGSEGV, SEGV_ACCERR, p);
  need(mprotect(p, PAGE, PROT_READ | PROT_EXEC) == 0); // R13
  ((void (*)(void))p)();
  expect_signal(p[0] = 1, SIGSEGV, SEGV_ACCERR, p);
}

TEST(divide_by_zero)
{
  volatile int one = 12, zero = 0;

  catch_all();
  got_sig = 0;
  if(sigsetjmp(back, 1) == 0)
    sink = one / zero;
  expect_eq(got_sig, SIGFPE);
  expect_eq(got_code, FPE_INTDIV);
}

TEST(undefined_opcode)
{
  catch_all();
  got_sig = 0;
  if(sigsetjmp(back, 1) == 0)
    __asm__ volatile("ud2");
  expect_eq(got_sig, SIGILL);
}

// Each privileged or odd instruction ends in a signal, whichever Linux gives; the machine goes on.
#define try_instruction(text, want)                                                                                    \
  do {                                                                                                                 \
    catch_all();                                                                                                       \
    got_sig = 0;                                                                                                       \
    if(sigsetjmp(back, 1) == 0)                                                                                        \
      __asm__ volatile(text : : : "memory", "rax", "rcx", "rdx");                                                      \
    expect_eq(got_sig, want);                                                                                          \
  } while(0)

TEST(every_exception_a_program_can_raise)
{
  try_instruction("int3", SIGTRAP);
  try_instruction("hlt", SIGSEGV);
  try_instruction("cli", SIGSEGV);
  try_instruction("mov %%cr0, %%rax", SIGSEGV);
  try_instruction("mov %%rax, %%cr3", SIGSEGV);
  try_instruction("xor %%ecx, %%ecx; rdmsr", SIGSEGV);
  try_instruction("wbinvd", SIGSEGV);
  try_instruction("in $0x60, %%al", SIGSEGV);
  try_instruction("out %%al, $0xf4", SIGSEGV);
  try_instruction("int $0x40", SIGSEGV);
  try_instruction("int $0x80 + 1", SIGSEGV);
  try_instruction("int $14", SIGSEGV);
  try_instruction("mov $0x1234, %%eax; mov %%eax, %%ds", SIGSEGV);
  try_instruction("swapgs", SIGSEGV);
  try_instruction("invlpg (%%rsp)", SIGSEGV);
  try_instruction("mov $0x41, %%rax; mov %%rax, %%ss", SIGSEGV);
}

TEST(single_step_traps_once)
{
  catch_all();
  got_sig = 0;
  if(sigsetjmp(back, 1) == 0)
    __asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq; nop; nop" : : : "memory", "cc");
  expect_eq(got_sig, SIGTRAP);
}

TEST(alignment_check_flag_is_harmless)
{
  // AC set by a program must not make the kernel's own accesses fault or slip past SMAP.
  char buf[64];

  __asm__ volatile("pushfq; orq $0x40000, (%%rsp); popfq" : : : "memory", "cc");
  getcwd(buf, sizeof(buf));
  __asm__ volatile("pushfq; andq $~0x40000, (%%rsp); popfq" : : : "memory", "cc");
  expect(buf[0] == '/');
}

TEST(direction_flag_is_harmless)
{
  int fd[2];
  char c = 'x', d = 0;

  need(pipe(fd) == 0);
  __asm__ volatile("std");
  long r = syscall(SYS_write, fd[1], &c, 1);
  __asm__ volatile("cld");
  expect_eq(r, 1);
  expect_eq(read(fd[0], &d, 1), 1);
  expect_eq(d, 'x');
}

static void
die_blocked(void *arg)
{
  sigset_t all;
  volatile char *p = 0;

  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, 0);
  *p = 1;
}

static void
die_ignored(void *arg)
{
  volatile char *p = 0;

  signal(SIGSEGV, SIG_IGN);
  *p = 1;
}

TEST(blocked_or_ignored_fault_kills_anyway) // G06, G07
{
  expect_eq(in_child(die_blocked, 0) & 0x7f, SIGSEGV);
  expect_eq(in_child(die_ignored, 0) & 0x7f, SIGSEGV);
}

static char *barrier_page;

static void
open_page(int sig, siginfo_t *si, void *uc)
{
  mprotect(barrier_page, PAGE, PROT_READ | PROT_WRITE);
}

TEST(handler_mends_and_returns) // G05
{
  struct sigaction sa = {.sa_sigaction = open_page, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  stack_t ss = {.ss_sp = map(4 * PAGE), .ss_size = 4 * PAGE};

  barrier_page = map(PAGE);
  need(sigaltstack(&ss, 0) == 0);
  need(sigaction(SIGSEGV, &sa, 0) == 0);
  for(int i = 0; i < 100; i++) {
    need(mprotect(barrier_page, PAGE, PROT_NONE) == 0);
    barrier_page[i] = i;
  }
  expect_eq(barrier_page[99], 99);
}

static volatile double keep;

static void
clobber_fpu(int sig)
{
  keep = keep * 3.25 + 1;
}

TEST(fpu_survives_signals_and_switches)
{
  double x = 1.5;

  signal(SIGUSR1, clobber_fpu);
  for(int i = 0; i < 200; i++) {
    x = x * 1.0000001 + i;
    kill(getpid(), SIGUSR1);
    sched_yield();
  }
  double y = 1.5;
  for(int i = 0; i < 200; i++)
    y = y * 1.0000001 + i;
  expect(x == y);
}

static void
jump_wild(void *arg)
{
  ((void (*)(void))arg)();
}

TEST(wild_jumps_kill_only_the_jumper)
{
  static const unsigned long to[] = {0,
                                     1,
                                     0x7ffffffff000,
                                     0x7fffffffffff,
                                     0x800000000000,
                                     0xffff7fffffffffff,
                                     0xffff800000000000,
                                     0xffffffff80100000,
                                     0xffffffffffffffff};

  for(unsigned i = 0; i < sizeof(to) / sizeof(to[0]); i++) {
    int status = in_child(jump_wild, (void *)to[i]);

    if(!WIFSIGNALED(status) || WTERMSIG(status) != SIGSEGV)
      t_fail(__FILE__, __LINE__, "jump to %#lx: expected death by SIGSEGV, saw status %#x", to[i], status);
  }
}

static void
smash_stack_pointer(void *arg)
{
  __asm__ volatile("mov %0, %%rsp; mov $39, %%eax; syscall; push %%rax; ret" : : "r"(arg) : "memory");
}

TEST(wild_stack_pointers_kill_only_the_owner)
{
  static const unsigned long to[] = {
      0, 8, 0x7ffffffffff8, 0x800000000000, 0xffff800000000000, 0xffffffff80100000, 0xfffffffffffffff8};

  for(unsigned i = 0; i < sizeof(to) / sizeof(to[0]); i++) {
    int status = in_child(smash_stack_pointer, (void *)to[i]);

    if(!WIFSIGNALED(status))
      t_fail(__FILE__, __LINE__, "rsp %#lx: expected death by a signal, saw status %#x", to[i], status);
  }
}

TEST(hostile_sigreturn_kills_only_its_caller)
{
  struct {
    unsigned long at;
  } kinds[] = {{0}, {8}, {0x7fffffffe000}};

  for(unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
    pid_t pid = fork();
    int status;

    if(pid == 0) {
      unsigned long *frame = (unsigned long *)map(16 * PAGE);

      memset(frame, 0xa5, 16 * PAGE);
      __asm__ volatile("mov %0, %%rsp; mov $15, %%eax; syscall; ud2"
                       :
                       : "r"(kinds[i].at ? (void *)kinds[i].at : frame)
                       : "memory");
    }
    waitpid(pid, &status, 0);
    if(!WIFSIGNALED(status))
      t_fail(__FILE__, __LINE__, "sigreturn %u: expected death by a signal, saw status %#x", i, status);
  }
}
