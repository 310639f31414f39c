// oplog.c -- the last calls of each thread, in memory that outlives it; printed when something went wrong.
// Typical: o = oplog_begin(c, call, a); r = raw(...); oplog_end(o, r).
// A worker may scribble over all this: nothing here trusts what it reads beyond its bounds.
#include "hostile.h"
#include <stdio.h>

enum { ERRNO_MAX = 4095, RESTART_LO = 512, RESTART_HI = 530 };

struct op *
oplog_begin(struct ctx *c, int call, const uint64_t *a)
{
  struct lane *l = c->lane;
  struct op *o = &l->ops[l->beat % LANE_OPS];

  o->n = l->beat++;
  for(int i = 0; i < ARGS; i++)
    o->a[i] = a[i];
  o->tid = l->tid;
  o->call = call;
  o->done = false;
  __atomic_add_fetch(&board->calls[call], 1, __ATOMIC_RELAXED);
  return o;
}

// Linux has no error beyond 133, and its restart codes are its own affair.
static bool
odd(int64_t r)
{
  return r >= -RESTART_HI && r <= -RESTART_LO;
}

void
oplog_end(struct op *o, int64_t r)
{
  o->r = r;
  o->done = true;
  if(r >= 0 || r < -ERRNO_MAX)
    __atomic_add_fetch(&board->good[o->call % CALLS_MAX], 1, __ATOMIC_RELAXED);
  else if(odd(r) && __atomic_fetch_add(&board->odd, 1, __ATOMIC_RELAXED) == 0)
    board->odd_op = *o;
}

static void
show_op(const struct op *o)
{
  if(o->call >= ncalls)
    return;
  printf("    %6llu [%d] %s(", (unsigned long long)o->n, o->tid, calls[o->call].name);
  for(int i = 0; i < ARGS && calls[o->call].kind[i] != ARG_END; i++)
    printf("%s%#llx", i ? ", " : "", (unsigned long long)o->a[i]);
  if(o->done)
    printf(") = %lld\n", (long long)o->r);
  else
    printf(") ...\n");
}

void
oplog_show(int slot)
{
  struct slot *s = &board->slot[slot];

  printf("hostile: slot %d, life %u, seed %#llx, pid %d%s:\n", slot, s->lives, (unsigned long long)s->seed, s->pid,
         s->root ? ", root" : "");
  for(int i = 0; i < LANES; i++) {
    struct lane *l = &s->lane[i];
    uint64_t beat = l->beat, from = beat > LANE_OPS ? beat - LANE_OPS : 0;

    if(beat == 0)
      continue;
    printf("  %s %d, thread %d, %llu calls:\n", i == CHILD_LANE ? "children" : "lane", i, l->tid,
           (unsigned long long)beat);
    for(uint64_t n = from; n < beat; n++)
      show_op(&l->ops[n % LANE_OPS]);
  }
  fflush(stdout);
}

void
oplog_coverage(bool all)
{
  uint64_t sum = 0;
  int tried = 0, worked = 0;

  for(int i = 0; i < ncalls; i++) {
    sum += board->calls[i];
    tried += board->calls[i] != 0;
    worked += board->good[i] != 0;
    if(all)
      printf("  %-24s %9llu tried %9llu worked\n", calls[i].name, (unsigned long long)board->calls[i],
             (unsigned long long)board->good[i]);
  }
  printf("hostile: %llu calls; of %d different ones %d were tried and %d worked\n", (unsigned long long)sum, ncalls,
         tried, worked);
  if(board->odd) {
    printf("hostile: %u results that no call may have, the first:\n", board->odd);
    show_op(&board->odd_op);
  }
  fflush(stdout);
}
