// unix_gc.c -- sockets that are held by nothing but messages in each other's queues: no program reaches them any more, and
// no count of references falls to 0.
//
// A socket flies while a message holds its file. Where a file has no references but such, the socket is a candidate; what
// candidates hold of each other is subtracted. Whoever keeps a reference then is held by a queue that a program reaches,
// and so is all that hangs on it. The rest is unreachable: its messages are thrown away, which closes it.
// Runs whenever a socket is closed and others fly; nothing can begin to reach a candidate meanwhile, because that takes
// a message out of a queue, under the same lock.
// Must not know: what messages say.
#include "fs/unix.h"
#include "lib/atomic.h"

static struct list flying = LIST_INIT(flying); // (U) sockets with flights > 0

void
unix_fly(struct unix_msg *m, int step)
{
  if(m->flying == (step > 0))
    return;
  m->flying = step > 0;
  for(int i = 0; i < m->nfiles; i++) {
    struct unix_sock *s = unix_of(m->file[i]);

    if(s == 0)
      continue;
    if(s->flights == 0)
      list_add_tail(&flying, &s->in_flight);
    s->flights += step;
    if(s->flights == 0)
      list_del(&s->in_flight);
  }
}

// Call fn for each candidate whose file lies in a message of s, or of a socket that waits to be accepted at s.
static void
each_held(struct unix_sock *s, void (*fn)(struct unix_sock *, struct list *), struct list *arg) REQUIRES(unix_lock)
{
  list_for_each(it, &s->queue) {
    struct unix_msg *m = list_entry(it, struct unix_msg, link);

    for(int i = 0; i < m->nfiles; i++) {
      struct unix_sock *held = unix_of(m->file[i]);

      if(held && held->candidate)
        fn(held, arg);
    }
  }
  list_for_each(it, &s->backlog)
    each_held(list_entry(it, struct unix_sock, waiting), fn, arg); // one level: those have no backlog
}

static void
hold_less(struct unix_sock *s, struct list *unused)
{
  s->held--;
}

// s is reached: it is no candidate, and what it holds has to be looked at.
static void
reach(struct unix_sock *s, struct list *todo)
{
  s->candidate = false;
  list_add_tail(todo, &s->gc);
}

static void
mark(void) REQUIRES(unix_lock)
{
  struct list todo = LIST_INIT(todo);

  list_for_each(it, &flying) {
    struct unix_sock *s = list_entry(it, struct unix_sock, in_flight);

    s->held = s->flights;
    s->candidate = atomic_get(&s->file->ref) == s->flights;
  }
  list_for_each(it, &flying)
    if(list_entry(it, struct unix_sock, in_flight)->candidate)
      each_held(list_entry(it, struct unix_sock, in_flight), hold_less, 0);
  list_for_each(it, &flying) {
    struct unix_sock *s = list_entry(it, struct unix_sock, in_flight);

    if(s->candidate && s->held > 0)
      reach(s, &todo);
  }
  while(!list_empty(&todo)) {
    struct unix_sock *s = list_entry(todo.next, struct unix_sock, gc);

    list_del(&s->gc);
    each_held(s, reach, &todo);
  }
}

void
unix_collect(void)
{
  struct list msgs = LIST_INIT(msgs);

  spin_acquire(&unix_lock);
  if(!list_empty(&flying))
    mark();
  list_for_each(it, &flying) {
    struct unix_sock *s = list_entry(it, struct unix_sock, in_flight);

    if(!s->candidate)
      continue;
    s->candidate = false;
    list_splice_tail(&msgs, &s->queue);
    s->queued = 0;
    list_for_each(w, &s->backlog) {
      list_splice_tail(&msgs, &list_entry(w, struct unix_sock, waiting)->queue);
      list_entry(w, struct unix_sock, waiting)->queued = 0;
    }
  }
  spin_release(&unix_lock);
  if(!list_empty(&msgs))
    unix_msgs_free(&msgs);
}
