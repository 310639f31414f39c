// futex_waitv.c -- wait at many words until one of them is woken.
// The waiters stand in their buckets one after the other; whichever is woken first decides, and all are taken out again.
// Must not know: how the program describes the words.
#include "core/wait.h"
#include "proc/futex.h"

// Take the first n out: the number of the last that was woken, or -1. `look`: only look, and take none out.
static int
take_out(struct futex_waiter *w, int n, bool look)
{
  int woken = -1;

  for(int i = 0; i < n; i++)
    if(futex_dequeue(&w[i], !look))
      woken = i;
  return woken;
}

static int
sleep_at(struct futex_waiter *w, int n, uint64_t deadline)
{
  int r = 0, woken;

  for(;;) {
    thread_prepare();
    woken = take_out(w, n, r == 0);
    if(woken >= 0) {
      thread_unprepare();
      if(r == 0)
        take_out(w, n, false);
      return woken;
    }
    if(r)
      return r;
    r = waitq_sleep(WAIT_INTERRUPTIBLE, deadline);
  }
}

int64_t
futex_waitv(const struct futex_word *words, int n, uint64_t deadline)
{
  struct aspace *as = current_proc()->as;
  struct futex_waiter *w = kzalloc(n * sizeof(*w));
  int64_t r = 0;
  int i, woken;

  if(w == 0)
    return -ENOMEM;
  for(i = 0; i < n && r == 0; i++) {
    w[i].thread = thread_self();
    w[i].bitset = FUTEX_ANY;
    r = futex_enqueue_if(as, words[i].addr, words[i].val, words[i].private_, &w[i]);
  }
  if(r) {
    woken = take_out(w, i - 1, false); // the failed one is in no bucket
    r = woken >= 0 ? woken : r;
  } else {
    r = sleep_at(w, n, deadline);
  }
  kfree(w);
  return r == -EINTR ? -ERESTARTSYS : r;
}
