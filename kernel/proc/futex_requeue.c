// futex_requeue.c -- wait at one word to be moved to a lock at another: condition variables whose mutex names its owner.
// The waiter says at once which lock it will want; who moves it must name the same. It returns with the lock, or without
// having been moved, or because time or a signal ended its wait for the lock.
// Must not know: what a condition variable is.
#include "core/wait.h"
#include "lib/atomic.h"
#include "proc/futex.h"

int64_t
futex_wait_requeue(vaddr_t addr, uint32_t val, uint64_t deadline, vaddr_t to, bool private_)
{
  struct pi_word p = {.as = current_proc()->as, .addr = to};
  struct pi_waiter pw = {.thread = thread_self()};
  struct futex_waiter w = {.thread = thread_self(), .bitset = FUTEX_ANY, .pi = &pw};
  struct futex_key from;
  int r;

  if(addr == to)
    return -EINVAL;
  r = futex_key_of(p.as, to, private_, &w.target);
  if(r == 0)
    r = futex_key_of(p.as, addr, private_, &from);
  if(r == 0 && futex_same(&from, &w.target))
    r = -EINVAL;
  if(r == 0)
    r = futex_enqueue_if(p.as, addr, val, private_, &w);
  if(r)
    return r;

  r = futex_wait_queued(&w, deadline);
  if(r)
    return r == -EINTR ? -ERESTARTNOINTR : r;
  p.key = w.target;
  r = pi_wait(&p, &pw, deadline);
  return r == -EINTR ? -EAGAIN : r; // a second try would find the first word changed
}

// The next waiter at k behind `at`, or 0.
static struct futex_waiter *
next_at(struct futex_bucket *b, const struct futex_key *k, struct list *at) REQUIRES(b->lock)
{
  for(at = at->next; at != &b->waiters; at = at->next) {
    struct futex_waiter *w = list_entry(at, struct futex_waiter, link);

    if(futex_same(&w->key, k))
      return w;
  }
  return 0;
}

static void
moved(struct pi_word *p, struct futex_waiter *w, bool got)
{
  list_del(&w->link);
  w->woken = true;
  if(!got)
    return;
  atomic_add(&w->thread->ref, 1); // the word had no owner, now it has
  p->owner = w->thread;
  thread_wake(w->thread);
}

// Have the first of the waiters at k take the lock if it is free; it, if not, and up to nmove others queue for it.
// How many, or as pi_try.
static int
move(struct futex_bucket *b, const struct futex_key *k, struct pi_word *p, int nmove, int *done)
    REQUIRES(b->lock, pi_lock)
{
  struct futex_waiter *w = next_at(b, k, &b->waiters), *next;
  int r;

  for(; w && *done <= nmove; w = next) {
    next = next_at(b, k, &w->link);
    if(w->pi == 0 || !futex_same(&w->target, &p->key))
      return -EINVAL;
    r = pi_try(p, w->pi, next && *done < nmove, false);
    if(r && r != PI_GOT)
      return r;
    moved(p, w, r == PI_GOT);
    ++*done;
  }
  return 0;
}

// One try: 0 and *done; PI_AGAIN, -EFAULT: of the lock's word; else final. *first: fault in the first word.
static int
requeue_try(struct pi_word *p, const struct futex_key *k, vaddr_t addr, uint32_t expect, int nmove, int *done,
            bool *first)
{
  struct futex_bucket *b = futex_bucket_of(k);
  uint32_t now = 0;
  int r;

  spin_acquire(&b->lock);
  r = peek_u32(p->as, addr, &now);
  *first = r != 0;
  if(r == 0 && now != expect)
    r = -EAGAIN;
  if(r == 0) {
    spin_acquire(&pi_lock);
    r = move(b, k, p, nmove, done);
    spin_release(&pi_lock);
  }
  spin_release(&b->lock);
  return r;
}

int64_t
futex_cmp_requeue_pi(vaddr_t addr, vaddr_t to, int nwake, int nmove, uint32_t expect, bool private_)
{
  struct pi_word p = {.as = current_proc()->as, .addr = to};
  struct futex_key from;
  int r, done = 0;
  bool first;

  if(addr == to || nwake != 1 || nmove < 0)
    return -EINVAL;
  do {
    r = futex_key_of(p.as, addr, private_, &from);
    if(r == 0)
      r = pi_word_look(&p, private_);
    if(r)
      return r;
    first = false;
    r = futex_same(&from, &p.key) ? -EINVAL : requeue_try(&p, &from, addr, expect, nmove, &done, &first);
    pi_word_forget(&p);
    if(first) {
      r = copyin(p.as, &(uint32_t){0}, addr, sizeof(uint32_t), 0);
      r = r ? r : PI_AGAIN;
      if(r < 0)
        return r;
    }
  } while(done == 0 && pi_again(&p, &r));
  return r < 0 ? r : done;
}
