// worker.c -- one hostile process: a few threads that call at random, until the harness ends it or it ends itself.
// Typical: worker(slot): world_make, then lane_run in each thread: op_random, again and again.
// Half of the lives try a random quarter of the calls only: what is rare among all of them is then frequent.
#include "hostile.h"
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NOBODY = 1000, RENEW = 700, TRIES = 50, HOG_ONE_IN = 10, SIGNALS = 65 };

static uint8_t enabled[CALLS_MAX];
static __thread sigjmp_buf out_of_fault;
static __thread volatile bool touching;

int64_t
raw(long nr, const uint64_t *a)
{
  register uint64_t r10 __asm__("r10") = a[3], r8 __asm__("r8") = a[4], r9 __asm__("r9") = a[5];
  int64_t r = nr;

  __asm__ volatile("syscall"
                   : "+a"(r)
                   : "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return r;
}

// ---- One call

static int
draw_call(struct ctx *c)
{
  for(int i = 0; i < TRIES; i++) {
    int k = below(c, ncalls);

    if(c->enabled[k] && (calls[k].rare == 0 || one_in(c, calls[k].rare)))
      return k;
  }
  return below(c, ncalls);
}

static bool
is_birth(const struct call *k)
{
  return strcmp(k->name, "fork") == 0 || strcmp(k->name, "vfork") == 0 || strcmp(k->name, "clone") == 0 ||
         strcmp(k->name, "clone3") == 0;
}

static void
remember(struct ctx *c, const struct call *k, int64_t r)
{
  int i = below(c, RECENT);

  if(is_birth(k) && r > 0)
    c->pids[i] = r;
  else if(strcmp(k->name, "shmget") == 0 && r >= 0)
    c->shms[i] = r;
  else if(r >= PAGE && (r & (PAGE - 1)) == 0)
    c->addrs[i] = r;
  else if(r > 2 && r < 1024)
    c->fds[i] = r;
}

void
op_random(struct ctx *c)
{
  int nr = draw_call(c);
  const struct call *k = &calls[nr];
  uint64_t a[ARGS];
  struct op *o;
  int64_t r;

  c->used = 0;
  c->system_path = false;
  for(int i = 0; i < ARGS; i++)
    a[i] = k->kind[i] == ARG_END ? (one_in(c, 4) ? number(c) : 0) : argument(c, k->kind[i]);
  if(!call_allowed(c, k, a))
    return;
  o = oplog_begin(c, nr, a);
  r = is_birth(k) ? birth(c, k, a) : raw(k->nr, a);
  oplog_end(o, r);
  remember(c, k, r);
}

// ---- Touching memory, so that faults meet the calls

static void
on_fault(int sig, siginfo_t *info, void *ctx)
{
  if(touching) {
    touching = false;
    siglongjmp(out_of_fault, 1);
  }
  if(info->si_code > 0) // a fault of our own; sent ones are passed over
    _exit(1);
}

static void
touch(struct ctx *c)
{
  volatile char *p = (char *)wild(c);
  bool store = one_in(c, 2);

  if((uint64_t)p < PLAY || (uint64_t)p >= PLAY + PLAY_STRETCH * PLAY_STRETCHES)
    return;
  if(sigsetjmp(out_of_fault, 0) == 0) {
    touching = true;
    if(store)
      *p = 1;
    else
      (void)*p;
  }
  touching = false;
}

static void
on_signal(int sig)
{
}

static void
signals_make(struct ctx *c)
{
  static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
  struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};

  for(int sig = 1; sig < SIGNALS; sig++) {
    uint64_t r = below(c, 8);

    if(sig != SIGUSR2 && r < 4)
      signal(sig, r < 3 ? SIG_IGN : SIG_DFL);
    else
      sigaction(
          sig,
          &(struct sigaction){.sa_handler = on_signal, .sa_flags = one_in(c, 2) && sig != SIGUSR2 ? SA_RESTART : 0}, 0);
  }
  for(int i = 0; i < 4; i++)
    sigaction(faults[i], &sa, 0);
}

// ---- Threads

static void
lane_init(struct ctx *c, int slot, int lane, uint64_t seed)
{
  char *m = mmap(0, ARENA + 16 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  memset(c, 0, sizeof(*c));
  c->slot = &board->slot[slot];
  c->lane = &c->slot->lane[lane];
  c->rng = seed * 0x9e3779b97f4a7c15ull + lane * 0xbf58476d1ce4e5b9ull + 1;
  c->lane->seed = c->rng;
  c->lane->tid = syscall(SYS_gettid);
  c->root = c->slot->root;
  c->enabled = enabled;
  c->arena = m + 8 * PAGE;
  if(m == MAP_FAILED || mprotect(c->arena, ARENA, PROT_READ | PROT_WRITE) < 0)
    _exit(3);
  for(int i = 0; i < RECENT; i++) {
    c->fds[i] = i;
    c->pids[i] = c->slot->pid;
    c->addrs[i] = PLAY + i * PLAY_STRETCH;
  }
}

struct start {    // of a worker's threads
  int slot, lane; // lane: the next one's
};

static void *
lane_run(void *arg)
{
  struct start *s = arg;
  int lane = __atomic_fetch_add(&s->lane, 1, __ATOMIC_RELAXED);
  struct ctx c;

  lane_init(&c, s->slot, lane, board->slot[s->slot].seed);
  for(uint64_t n = 1;; n++) {
    op_random(&c);
    if(one_in(&c, 8))
      touch(&c);
    if(lane == 0 && n % RENEW == 0)
      playground(&c);
  }
  return 0;
}

static void
limits_make(struct ctx *c)
{
  static const uint64_t spaces[] = {RLIM_INFINITY, 1ull << 30, 128ull << 20};
  static const struct {
    int which;
    uint64_t limit;
  } fixed[] = {
      {RLIMIT_FSIZE, 8 << 20}, {RLIMIT_NOFILE, 200}, {RLIMIT_NPROC, 24}, {RLIMIT_CORE, 0}, {RLIMIT_MEMLOCK, 2 << 20}};

  for(size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
    setrlimit(fixed[i].which, &(struct rlimit){fixed[i].limit, fixed[i].limit});
  setrlimit(RLIMIT_AS, &(struct rlimit){spaces[below(c, 3)], RLIM_INFINITY});
}

static void
become_nobody(struct ctx *c)
{
  int id = NOBODY + (c->slot - board->slot);

  if(c->root || geteuid() != 0)
    return;
  if(syscall(SYS_setgroups, 0, 0) < 0 || syscall(SYS_setresgid, id, id, id) < 0 ||
     syscall(SYS_setresuid, id, id, id) < 0)
    _exit(4);
}

static void
theme(struct ctx *c)
{
  bool all = one_in(c, 2);

  for(int i = 0; i < ncalls; i++)
    enabled[i] = all || one_in(c, 4);
}

void
worker(int slot)
{
  struct start start = {slot, 0};
  struct ctx c;
  bool eats;
  int fd = open("/proc/self/oom_score_adj", O_WRONLY), lanes;
  pthread_attr_t attr;
  pthread_t t;

  setsid();
  if(fd >= 0 && write(fd, "300", 3) != 3)
    _exit(5);
  lane_init(&c, slot, 0, board->slot[slot].seed + 77);
  for(fd = 0; fd < 3; fd++)
    dup2(open("/dev/null", O_RDWR), fd);
  umask(0);
  limits_make(&c);
  eats = one_in(&c, HOG_ONE_IN);
  c.root = c.root && !eats;
  names_of_root(slot);
  become_nobody(&c);
  signals_make(&c);
  theme(&c);
  if(eats)
    hog(&c);
  world_make(&c);
  playground(&c);
  lanes = 1 + below(&c, CHILD_LANE);
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, 128 << 10);
  for(int i = 1; i < lanes; i++)
    pthread_create(&t, &attr, lane_run, &start);
  lane_run(&start);
  _exit(0);
}
