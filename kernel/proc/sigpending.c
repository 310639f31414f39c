// sigpending.c -- signals that were sent and not yet taken: a set, and a queue of what is known about them.
// A standard signal stands in the queue once at most, a real-time one and that of a timer as often as it was sent;
// where memory or the limit is short, the set alone remembers a standard one.
// Must not know: who sends, who takes.
#include "lib/atomic.h"
#include "proc/proc.h"

struct sigqueue {
  struct list link; // (P)
  struct siginfo si;
};

static struct kmem_cache *
queue_cache(void)
{
  static struct kmem_cache *cache; // (c) kmem_cache finds the one there is, if two come first together

  if(cache == 0)
    cache = KMEM_CACHE(struct sigqueue);
  return cache;
}

int
sigpending_add(struct proc *p, struct sigpending *q, const struct siginfo *si)
{
  sigset bit = SIGBIT(si->signo);
  struct sigqueue *e = 0;

  assert_held(&p->lock);
  if(si->signo < SIGRTMIN && (q->set & bit) && si->code != SI_TIMER)
    return 0;
  if((si->signo < SIGRTMIN && !(q->set & bit)) || atomic_get(&p->nqueued) < p->rlim[RLIMIT_SIGPENDING].cur)
    e = kmem_alloc(queue_cache());
  if(e == 0 && si->signo >= SIGRTMIN && si->code != SI_USER)
    return -EAGAIN;
  q->set |= bit;
  if(e) {
    e->si = *si;
    list_add_tail(&q->queue, &e->link);
    atomic_add(&p->nqueued, 1);
  }
  return 0;
}

static void
drop(struct proc *p, struct sigqueue *e)
{
  list_del(&e->link);
  kmem_free(queue_cache(), e);
  atomic_sub(&p->nqueued, 1);
}

int
sigpending_take(struct proc *p, struct sigpending *q, sigset among, struct siginfo *si)
{
  sigset ready = q->set & among, first = ready & SIGS_SYNCHRONOUS;
  struct sigqueue *found = 0;
  bool more = false;
  int sig;

  assert_held(&p->lock);
  if(ready == 0)
    return 0;
  sig = __builtin_ctzll(first ? first : ready) + 1;
  list_for_each(it, &q->queue) {
    struct sigqueue *e = list_entry(it, struct sigqueue, link);

    if(e->si.signo != sig)
      continue;
    more = found != 0;
    if(more)
      break;
    found = e;
  }
  *si = found ? found->si : (struct siginfo){.signo = sig, .code = SI_USER};
  if(found)
    drop(p, found);
  if(!more)
    q->set &= ~SIGBIT(sig);
  return sig;
}

void
sigpending_remove(struct proc *p, struct sigpending *q, sigset which)
{
  assert_held(&p->lock);
  if((q->set & which) == 0)
    return;
  q->set &= ~which;
  list_for_each_safe(it, &q->queue) {
    struct sigqueue *e = list_entry(it, struct sigqueue, link);

    if(SIGBIT(e->si.signo) & which)
      drop(p, e);
  }
}
