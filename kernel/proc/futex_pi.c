// futex_pi.c -- futexes that name their owner: the word holds the owner's tid, the kernel is asked only where a lock
// is contended, and hands it from one owner to the next without the word ever saying that it is free.
//
// Typical: futex_pi_lock by who finds the word taken; futex_pi_unlock by an owner that finds FUTEX_WAITERS set.
// A state exists as long as somebody waits. It knows the owner, and each thread what it waits for: so a circle is found
// before it closes. When an owner ends, its states have none until whoever waits longest takes the word for itself,
// with FUTEX_OWNER_DIED: the dying thread may not have it mapped any more.
// All states lie under one lock. A chain of owners may lead through any of them, and contended locks of this kind are
// rare. The word is changed under it too, through the pmap; what has to be faulted in is faulted in without it.
// There is one scheduling class and turns go by time, so there is no priority to lend: the queue is in order of arrival.
// Must not know: where the robust list lies (futex_robust.c).
#include "core/wait.h"
#include "lib/atomic.h"
#include "lib/hash.h"
#include "proc/futex.h"

enum { CHAINS = 64, CIRCLE_MAX = 1024 };

struct pi_state {
  struct list link;     // (I) in its chain
  struct futex_key key; // (c)
  struct thread *owner; // (I) 0: it ended without letting go
  struct list owned;    // (I) in the owner's list
  struct list waiters;  // (I) never empty
};

struct spinlock pi_lock = SPINLOCK_INIT("futex owners", RANK_FUTEX_PI);
static struct list chains[CHAINS];
static int nstates; // (a) changed under pi_lock

void
futex_pi_init(void)
{
  for(int i = 0; i < CHAINS; i++)
    list_init(&chains[i]);
}

static struct list *
chain_of(const struct futex_key *k)
{
  return &chains[hash_u64((uintptr_t)k->obj ^ hash_u64(k->off)) % CHAINS];
}

static struct pi_state *
state_find(const struct futex_key *k) REQUIRES(pi_lock)
{
  list_for_each(it, chain_of(k)) {
    struct pi_state *s = list_entry(it, struct pi_state, link);

    if(futex_same(&s->key, k))
      return s;
  }
  return 0;
}

bool
futex_pi_waited(const struct futex_key *k)
{
  bool found;

  if(atomic_get_relaxed(&nstates) == 0)
    return false;
  spin_acquire(&pi_lock);
  found = state_find(k) != 0;
  spin_release(&pi_lock);
  return found;
}

// ---- the word

int
pi_word_look(struct pi_word *p, bool private_)
{
  uint32_t tid;
  int r = futex_key_of(p->as, p->addr, private_, &p->key);

  p->owner = 0;
  if(r == 0)
    r = copyin(p->as, &p->v, p->addr, sizeof(p->v), 0);
  tid = p->v & FUTEX_TID_MASK;
  if(r == 0 && tid)
    p->owner = thread_find(tid);
  return r;
}

void
pi_word_forget(struct pi_word *p)
{
  if(p->owner)
    thread_put(p->owner);
  p->owner = 0;
}

bool
pi_again(struct pi_word *p, int *r)
{
  if(*r == PI_AGAIN) {
    thread_relax();
    return true;
  }
  if(*r != -EFAULT)
    return false;
  *r = futex_fault(p->as, p->addr);
  return *r == 0;
}

// Is it still what was seen? 0, PI_AGAIN, -EFAULT.
static int
word_same(struct pi_word *p) REQUIRES(pi_lock)
{
  uint32_t now;
  int r = peek_u32(p->as, p->addr, &now);

  return r ? r : now == p->v ? 0 : PI_AGAIN;
}

static int
word_set(struct pi_word *p, uint32_t to) REQUIRES(pi_lock)
{
  uint32_t old = p->v;
  int r = cas_u32(p->as, p->addr, &old, to);

  if(r)
    return r;
  if(old != p->v)
    return PI_AGAIN;
  p->v = to;
  return 0;
}

// ---- states

static void
state_own(struct pi_state *s, struct thread *t) REQUIRES(pi_lock)
{
  if(s->owner)
    list_del(&s->owned);
  s->owner = t;
  if(t)
    list_add_tail(&t->pi_owned, &s->owned);
}

static struct pi_state *
state_make(const struct futex_key *k, struct thread *owner) REQUIRES(pi_lock)
{
  struct pi_state *s = kzalloc(sizeof(*s));

  if(s == 0)
    return 0;
  s->key = *k;
  list_init(&s->waiters);
  list_add_tail(chain_of(k), &s->link);
  atomic_add(&nstates, 1);
  state_own(s, owner);
  return s;
}

static void
state_enter(struct pi_state *s, struct pi_waiter *w) REQUIRES(pi_lock)
{
  list_add_tail(&s->waiters, &w->link);
  w->state = s;
  w->thread->pi_blocked = s;
}

// w waits no more. The last one takes the state with it: true.
static bool
state_leave(struct pi_state *s, struct pi_waiter *w) REQUIRES(pi_lock)
{
  list_del(&w->link);
  w->state = 0;
  w->thread->pi_blocked = 0;
  if(!list_empty(&s->waiters))
    return false;
  state_own(s, 0);
  list_del(&s->link);
  atomic_sub(&nstates, 1);
  kfree(s);
  return true;
}

static struct pi_waiter *
state_first(struct pi_state *s) REQUIRES(pi_lock)
{
  return list_entry(s->waiters.next, struct pi_waiter, link);
}

// The word says so already: w owns the lock.
static void
state_give(struct pi_state *s, struct pi_waiter *w) REQUIRES(pi_lock)
{
  struct thread *t = w->thread;

  w->got = true;
  if(!state_leave(s, w))
    state_own(s, t);
  thread_wake(t);
}

// Would `me` wait for itself, if it waited for what `owner` has?
static bool
circle(const struct thread *owner, const struct thread *me) REQUIRES(pi_lock)
{
  for(int i = 0; owner && owner != me; i++) {
    if(i == CIRCLE_MAX)
      return true;
    owner = owner->pi_blocked ? owner->pi_blocked->owner : 0;
  }
  return owner != 0;
}

// ---- lock

// May one wait for the owner that the word names? It must exist, and not be past the point where it lets go.
static int
owner_check(const struct thread *t) REQUIRES(pi_lock)
{
  if(t == 0 || t->futex_dead)
    return -ESRCH;
  return t->proc ? 0 : -EPERM;
}

static int
queue(struct pi_word *p, struct pi_state *s, struct pi_waiter *w, bool only_try) REQUIRES(pi_lock)
{
  int r = p->v & FUTEX_WAITERS ? 0 : word_set(p, p->v | FUTEX_WAITERS);

  if(r == 0 && s == 0)
    r = owner_check(p->owner);
  if(r)
    return r;
  if(only_try)
    return -EAGAIN;
  if(circle(s ? s->owner : p->owner, w->thread))
    return -EDEADLK;
  if(s == 0)
    s = state_make(&p->key, p->owner);
  if(s == 0)
    return -ENOMEM;
  state_enter(s, w);
  return 0;
}

int
pi_try(struct pi_word *p, struct pi_waiter *w, bool more, bool only_try)
{
  uint32_t tid = p->v & FUTEX_TID_MASK;
  struct pi_state *s = state_find(&p->key);
  int r = word_same(p);

  if(r)
    return r;
  if(tid == (uint32_t)w->thread->tid)
    return -EDEADLK;
  if(s && s->owner && tid != (uint32_t)s->owner->tid)
    return -EINVAL; // the program wrote there
  if(s || tid)
    return queue(p, s, w, only_try);
  r = word_set(p, w->thread->tid | (p->v & FUTEX_OWNER_DIED) | (more ? FUTEX_WAITERS : 0));
  if(r)
    return r;
  w->got = true;
  return PI_GOT;
}

// Is it w's? A lock without an owner is, if w is first. 0: not yet.
static int
turn(struct pi_word *p, struct pi_waiter *w) REQUIRES(pi_lock)
{
  struct pi_state *s = w->state;
  int r;

  if(w->got)
    return PI_GOT;
  if(s->owner || state_first(s) != w)
    return 0;
  r = peek_u32(p->as, p->addr, &p->v);
  if(r == 0)
    r = word_set(p, w->thread->tid | FUTEX_WAITERS | FUTEX_OWNER_DIED);
  if(r)
    return r;
  state_give(s, w);
  return PI_GOT;
}

// Wait no more, for the reason r; unless the lock came in that moment.
static int
give_up(struct pi_waiter *w, int r)
{
  struct pi_state *s;

  spin_acquire(&pi_lock);
  s = w->state;
  if(w->got)
    r = 0;
  else if(!state_leave(s, w) && s->owner == 0)
    thread_wake(state_first(s)->thread); // it may have been our turn
  spin_release(&pi_lock);
  return r;
}

int
pi_wait(struct pi_word *p, struct pi_waiter *w, uint64_t deadline)
{
  int r;

  for(;;) {
    thread_prepare();
    spin_acquire(&pi_lock);
    r = turn(p, w);
    spin_release(&pi_lock);
    if(r == PI_GOT)
      return 0;
    if(r == 0)
      r = waitq_sleep(WAIT_INTERRUPTIBLE, deadline);
    if(r && !pi_again(p, &r))
      return give_up(w, r);
  }
}

int64_t
futex_pi_lock(vaddr_t addr, bool private_, uint64_t deadline, bool only_try)
{
  struct pi_word p = {.as = current_proc()->as, .addr = addr};
  struct pi_waiter w = {.thread = thread_self()};
  int r;

  do {
    r = pi_word_look(&p, private_);
    if(r)
      return r;
    spin_acquire(&pi_lock);
    r = pi_try(&p, &w, false, only_try);
    spin_release(&pi_lock);
    pi_word_forget(&p);
  } while(pi_again(&p, &r));
  if(r == PI_GOT)
    return 0;
  if(r == 0)
    r = pi_wait(&p, &w, deadline);
  return r == -EINTR ? -ERESTARTNOINTR : r;
}

// ---- unlock

static int
unlock_try(struct pi_word *p) REQUIRES(pi_lock)
{
  struct pi_state *s = state_find(&p->key);
  struct pi_waiter *w;
  int r = word_same(p);

  if(r)
    return r;
  if(s == 0)
    return word_set(p, 0);
  if(s->owner != thread_self())
    return -EINVAL;
  w = state_first(s);
  r = word_set(p, w->thread->tid | FUTEX_WAITERS);
  if(r == 0)
    state_give(s, w);
  return r;
}

int64_t
futex_pi_unlock(vaddr_t addr, bool private_)
{
  struct pi_word p = {.as = current_proc()->as, .addr = addr};
  int r;

  do {
    r = pi_word_look(&p, private_);
    pi_word_forget(&p); // we, or somebody that does not matter
    if(r)
      return r;
    if((p.v & FUTEX_TID_MASK) != (uint32_t)thread_self()->tid)
      return -EPERM;
    spin_acquire(&pi_lock);
    r = unlock_try(&p);
    spin_release(&pi_lock);
  } while(pi_again(&p, &r));
  return r;
}

void
futex_pi_exit(struct thread *t)
{
  spin_acquire(&pi_lock);
  t->futex_dead = t->exiting; // exec goes on
  while(!list_empty(&t->pi_owned)) {
    struct pi_state *s = list_entry(t->pi_owned.next, struct pi_state, owned);

    state_own(s, 0);
    thread_wake(state_first(s)->thread);
  }
  spin_release(&pi_lock);
}
