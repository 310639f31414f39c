// print.c -- the kernel's log: a ring of the newest text, and the sinks that show it.
//
// Text is formatted on the caller's stack and then copied under one lock, so that lines of several CPUs do not mix. A
// panic takes no lock: the other CPUs have stopped, perhaps with it held.
// Typical: print("blk: %s, %lu sectors\n", name, n), at start-up or when the machine fails, never for a program's mistake.
// Must not allocate, sleep, or know what a sink is.
#include "core/cpu.h"
#include "core/lock.h"
#include "core/print.h"
#include "lib/string.h"

enum { RING = 65536, LINE_MAX = 512, SINKS_MAX = 4 };

static struct spinlock console_lock = SPINLOCK_INIT("console", RANK_CONSOLE);
static char ring[RING];   // (console_lock) byte p of all text ever is ring[p % RING]
static uint64_t ring_end; // (console_lock) bytes printed since start
static struct sink {
  void (*write)(const char *s, size_t n);
  bool also_when_quiet;
} sinks[SINKS_MAX];    // (console_lock)
static int nsinks;     // (console_lock)
static bool quiet;     // (console_lock)
static bool panicking; // (a) no lock from now on

UNCHECKED static void // whether it locks depends on panicking
console_enter(void)
{
  if(!__atomic_load_n(&panicking, __ATOMIC_SEQ_CST))
    spin_acquire(&console_lock);
}

UNCHECKED static void // the counterpart of console_enter
console_leave(void)
{
  if(!__atomic_load_n(&panicking, __ATOMIC_SEQ_CST))
    spin_release(&console_lock);
}

// Oldest byte that the ring still has.
static uint64_t
ring_start(void)
{
  return ring_end > RING ? ring_end - RING : 0;
}

static void
ring_write(const char *s, size_t n)
{
  for(size_t i = 0; i < n; i++)
    ring[ring_end++ % RING] = s[i];
}

static size_t
ring_read(uint64_t *pos, char *buf, size_t n)
{
  size_t done = 0;

  if(*pos < ring_start())
    *pos = ring_start();
  while(done < n && *pos < ring_end)
    buf[done++] = ring[(*pos)++ % RING];
  return done;
}

void
vprint(const char *f, va_list ap)
{
  char line[LINE_MAX];
  size_t n = vfmt(line, sizeof line, f, ap);

  n = min(n, sizeof line - 1);
  console_enter();
  ring_write(line, n);
  for(int i = 0; i < nsinks; i++)
    if(!quiet || sinks[i].also_when_quiet)
      sinks[i].write(line, n);
  console_leave();
}

void
print(const char *f, ...)
{
  va_list ap;

  va_start(ap, f);
  vprint(f, ap);
  va_end(ap);
}

// The new sink first shows what was printed before it came.
void
print_add_sink(void (*write)(const char *s, size_t n), bool also_when_quiet)
{
  char part[LINE_MAX];
  uint64_t pos = 0;
  size_t n;

  console_enter();
  if(nsinks < SINKS_MAX) {
    sinks[nsinks++] = (struct sink){write, also_when_quiet};
    while((!quiet || also_when_quiet) && (n = ring_read(&pos, part, sizeof part)) > 0)
      write(part, n);
  }
  console_leave();
}

bool
print_quiet(bool on)
{
  bool was;

  console_enter();
  was = quiet;
  quiet = on;
  console_leave();
  return was;
}

void
print_panicking(void)
{
  __atomic_store_n(&panicking, true, __ATOMIC_SEQ_CST);
  quiet = false;
}

size_t
print_read(uint64_t *pos, char *buf, size_t n)
{
  size_t done;

  console_enter();
  done = ring_read(pos, buf, n);
  console_leave();
  return done;
}
