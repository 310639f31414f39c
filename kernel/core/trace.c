// trace.c -- rings of typed events. A CPU writes into ring id % RINGS and claims a slot by one atomic addition, so an
// interrupt in the middle, or a second CPU on the same ring, costs nothing but order. Old events are overwritten.
// Typical: trace(FAULT, va, want, r). Readers (panic, /proc/trace) may see a half-written event and live with it.
// Must not lock, print, or allocate.
#include "core/cpu.h"
#include "core/thread.h"
#include "core/time.h"
#include "core/trace.h"
#include "lib/atomic.h"

enum { RINGS = 8, SLOTS = 512 };

static struct ring {
  uint64_t next;               // (a) events ever written; the newest is in slot (next - 1) % SLOTS
  uint64_t count[TRACE_TYPES]; // (a)
  struct trace_event e[SLOTS];
} ring[RINGS];

#define TRACE_NAME(n) #n,
static const char *const names[] = {TRACE_EVENTS(TRACE_NAME)};

__attribute__((no_sanitize("thread"))) void // a slot's reader and writer are not ordered, on purpose
trace_event(enum trace_type type, uint64_t a, uint64_t b, uint64_t c)
{
  int cpu = cpu_self()->id;
  struct ring *r = &ring[cpu % RINGS];
  struct trace_event *e = &r->e[__atomic_fetch_add(&r->next, 1, __ATOMIC_RELAXED) % SLOTS];

  *e = (struct trace_event){clock_now(), thread_tid(), type, cpu, a, b, c};
  __atomic_fetch_add(&r->count[type], 1, __ATOMIC_RELAXED);
}

uint64_t
trace_count(enum trace_type type)
{
  uint64_t sum = 0;

  for(int i = 0; i < RINGS; i++)
    sum += atomic_get_relaxed(&ring[i].count[type]);
  return sum;
}

// The newest event that is older than all taken so far, as left[] says; 0 if there is none. Takes it.
static const struct trace_event *
take_newest(uint64_t next[RINGS], uint64_t left[RINGS])
{
  const struct trace_event *newest = 0;
  int from = 0;

  for(int i = 0; i < RINGS; i++) {
    const struct trace_event *e = &ring[i].e[(next[i] - 1) % SLOTS];

    if(left[i] > 0 && (newest == 0 || e->when > newest->when)) {
      newest = e;
      from = i;
    }
  }
  if(newest) {
    next[from]--;
    left[from]--;
  }
  return newest;
}

int
trace_last(struct trace_event *buf, int n)
{
  uint64_t next[RINGS], left[RINGS];
  const struct trace_event *e;
  int at = n;

  for(int i = 0; i < RINGS; i++) {
    next[i] = atomic_get(&ring[i].next);
    left[i] = min(next[i], SLOTS);
  }
  while(at > 0 && (e = take_newest(next, left)) != 0)
    buf[--at] = *e;
  for(int i = 0; at > 0 && i < n - at; i++)
    buf[i] = buf[at + i];
  return n - at;
}

const char *
trace_name(enum trace_type type)
{
  return type < TRACE_TYPES ? names[type] : "?";
}
