// poll.c -- one thread waits for any of many files.
//
// Typical: poll_wait(entries, n, deadline); a file's poll method calls poll_watch(p, its queue) and says what is ready.
// The thread stands in every queue before it looks for the last time, so no wake-up is lost; each wake-up makes it look
// at all entries again, without queueing anew. Knows nothing of descriptors and of Linux's structures.
#include "fs/internal.h"

enum { WAITERS_PER_CHUNK = 32 };

struct poll_chunk {
  struct poll_chunk *next;
  int n;
  struct waiter w[WAITERS_PER_CHUNK];
};
struct poll_thread {
  struct poll poll;
  struct poll_chunk *chunks;
  bool failed; // no memory for a waiter
};

void
poll_watch(struct poll *p, struct waitq *q)
{
  poll_watch_for(p, q, ~0u);
}

void
poll_watch_for(struct poll *p, struct waitq *q, unsigned events)
{
  if(p)
    p->watch(p, q, events);
}

static void
thread_watch(struct poll *poll, struct waitq *q, unsigned events)
{
  struct poll_thread *p = container_of(poll, struct poll_thread, poll);
  struct poll_chunk *c;

  if(p->failed)
    return;
  c = p->chunks;
  if(!c || c->n == WAITERS_PER_CHUNK) {
    c = kzalloc(sizeof(*c));
    if(!c) {
      p->failed = true;
      return;
    }
    c->next = p->chunks;
    p->chunks = c;
  }
  waitq_enter(q, &c->w[c->n++]);
}

static void
poll_leave(struct poll_thread *p)
{
  struct poll_chunk *c;

  while((c = p->chunks) != 0) {
    for(int i = 0; i < c->n; i++)
      waitq_leave(&c->w[i]);
    p->chunks = c->next;
    kfree(c);
  }
}

// Ask every file, standing in its queues if p is not 0 and nothing was ready yet: how many are ready.
static int
poll_scan(struct pollset_entry *e, int n, struct poll *p)
{
  int ready = 0;

  for(int i = 0; i < n; i++) {
    if(!e[i].file)
      continue;
    e[i].revents = file_poll(e[i].file, ready ? 0 : p) & (e[i].events | POLLERR | POLLHUP | POLLNVAL);
    if(e[i].revents)
      ready++;
  }
  return ready;
}

static int
poll_sleep(struct pollset_entry *e, int n, uint64_t deadline)
{
  int ready, err;

  for(;;) {
    thread_prepare();
    ready = poll_scan(e, n, 0);
    if(ready) {
      thread_unprepare();
      return ready;
    }
    err = waitq_sleep(WAIT_INTERRUPTIBLE, deadline);
    if(err == -ETIMEDOUT)
      return poll_scan(e, n, 0);
    if(err)
      return err;
  }
}

int
poll_wait(struct pollset_entry *e, int n, uint64_t deadline)
{
  bool only_look = deadline != NEVER && deadline <= clock_now();
  struct poll_thread p = {.poll.watch = thread_watch};
  int r;

  r = poll_scan(e, n, only_look ? 0 : &p.poll);
  if(r == 0 && !only_look)
    r = p.failed ? -ENOMEM : poll_sleep(e, n, deadline);
  poll_leave(&p);
  return r;
}
