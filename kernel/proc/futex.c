// futex.c -- wait at a word of a program's memory until somebody wakes it.
//
// A word is named by (object, offset) or (address space, address): futex_key. The waiter reads the word under the lock of
// its bucket, through the pmap and never through an earlier pin; who changes the word and then wakes takes the same lock,
// so no wake-up falls between the look and the sleep. If the word is not there to be read, the lock is given back, the
// page faulted in, and all starts over.
// A waiter lies on its thread's stack. Whoever wakes it does so under the bucket's lock, and the waiter takes that lock
// once more before it goes away.
// Others: futex_pi.c (locks that name their owner), futex_requeue.c, futex_robust.c, futex_waitv.c.
// Must not know: what a mutex is.
#include "core/wait.h"
#include "lib/atomic.h"
#include "lib/hash.h"
#include "proc/futex.h"

enum {
  FUTEX_WAIT,
  FUTEX_WAKE,
  FUTEX_FD,
  FUTEX_REQUEUE,
  FUTEX_CMP_REQUEUE,
  FUTEX_WAKE_OP,
  FUTEX_LOCK_PI,
  FUTEX_UNLOCK_PI,
  FUTEX_TRYLOCK_PI,
  FUTEX_WAIT_BITSET,
  FUTEX_WAKE_BITSET,
  FUTEX_WAIT_REQUEUE_PI,
  FUTEX_CMP_REQUEUE_PI,
  FUTEX_LOCK_PI2
};
enum { FUTEX_PRIVATE = 128, FUTEX_CLOCK_REALTIME = 256 };
enum { OP_SET, OP_ADD, OP_OR, OP_ANDN, OP_XOR, OP_ARG_SHIFT = 8 };
enum { CMP_EQ, CMP_NE, CMP_LT, CMP_LE, CMP_GT, CMP_GE };
enum { BUCKETS = 1024 };

static struct futex_bucket buckets[BUCKETS];

void
futex_init(void)
{
  for(int i = 0; i < BUCKETS; i++) {
    spin_init(&buckets[i].lock, "futex", RANK_FUTEX);
    list_init(&buckets[i].waiters);
  }
  futex_pi_init();
}

struct futex_bucket *
futex_bucket_of(const struct futex_key *k)
{
  return &buckets[hash_u64((uintptr_t)k->obj ^ hash_u64(k->off)) % BUCKETS];
}

bool
futex_same(const struct futex_key *a, const struct futex_key *b)
{
  return a->obj == b->obj && a->off == b->off;
}

int
futex_key_of(struct aspace *as, vaddr_t va, bool private_, struct futex_key *k)
{
  if(va % sizeof(uint32_t))
    return -EINVAL;
  if(va >= USER_TOP)
    return -EFAULT;
  return futex_key(as, va, private_, &k->obj, &k->off);
}

// ---- wake

static void
wake_waiter(struct futex_waiter *w)
{
  list_del(&w->link);
  w->woken = true;
  thread_wake(w->thread);
}

// Wake up to n waiters at k: how many. -EINVAL at one that wants to be moved to a lock. held: the bucket's lock
static int
wake_key(struct futex_bucket *b, const struct futex_key *k, int n, uint32_t bitset)
{
  int woken = 0;

  list_for_each_safe(it, &b->waiters) {
    struct futex_waiter *w = list_entry(it, struct futex_waiter, link);

    if(woken >= n)
      break;
    if(!futex_same(&w->key, k) || !(w->bitset & bitset))
      continue;
    if(w->pi)
      return -EINVAL;
    wake_waiter(w);
    woken++;
  }
  return woken;
}

static int
wake_bitset(struct aspace *as, vaddr_t addr, int n, bool private_, uint32_t bitset)
{
  struct futex_bucket *b;
  struct futex_key k;
  int r = futex_key_of(as, addr, private_, &k);

  if(r)
    return r;
  if(futex_pi_waited(&k))
    return -EINVAL; // they want the lock, not a wake
  b = futex_bucket_of(&k);
  spin_acquire(&b->lock);
  r = wake_key(b, &k, n, bitset);
  spin_release(&b->lock);
  return r;
}

int
futex_wake(struct aspace *as, vaddr_t addr, int n, bool private_)
{
  return wake_bitset(as, addr, n, private_, FUTEX_ANY);
}

// ---- wait

// The lock of the bucket in which w is now.
static struct futex_bucket *
lock_bucket_of(struct futex_waiter *w) UNCHECKED // which one depends on the waiter
{
  for(;;) {
    struct futex_bucket *b = atomic_get(&w->bucket);

    spin_acquire(&b->lock);
    if(b == w->bucket)
      return b;
    spin_release(&b->lock);
  }
}

int
futex_enqueue_if(struct aspace *as, vaddr_t addr, uint32_t val, bool private_, struct futex_waiter *w)
{
  uint32_t now;
  int r;

  for(;;) {
    r = futex_key_of(as, addr, private_, &w->key);
    if(r)
      return r;
    w->bucket = futex_bucket_of(&w->key);
    spin_acquire(&w->bucket->lock);
    r = peek_u32(as, addr, &now);
    if(r == 0 && now == val) {
      list_add_tail(&w->bucket->waiters, &w->link);
      thread_prepare();
    }
    spin_release(&w->bucket->lock);
    if(r == 0)
      return now == val ? 0 : -EAGAIN;
    r = copyin(as, &now, addr, sizeof(now), 0); // fault it in
    if(r)
      return r;
  }
}

bool
futex_dequeue(struct futex_waiter *w, bool always) UNCHECKED // the bucket is known only once it is locked
{
  struct futex_bucket *b = lock_bucket_of(w);
  bool woken = w->woken;

  if(!woken && always)
    list_del(&w->link);
  spin_release(&b->lock);
  return woken;
}

int
futex_wait_queued(struct futex_waiter *w, uint64_t deadline)
{
  int r;

  for(;;) {
    bool woken;

    r = waitq_sleep(WAIT_INTERRUPTIBLE, deadline);
    thread_prepare();
    woken = futex_dequeue(w, r != 0);
    if(woken || r) {
      thread_unprepare();
      return woken ? 0 : r;
    }
  }
}

static int64_t wait_at(vaddr_t addr, uint32_t val, bool private_, uint64_t deadline, uint32_t bitset);

enum { RESTART_ADDR, RESTART_VAL, RESTART_PRIVATE, RESTART_BITSET };

static int
wait_restart(struct thread *t)
{
  return wait_at(t->restart.arg[RESTART_ADDR], t->restart.arg[RESTART_VAL], t->restart.arg[RESTART_PRIVATE],
                 t->restart.deadline, t->restart.arg[RESTART_BITSET]);
}

static int64_t
wait_at(vaddr_t addr, uint32_t val, bool private_, uint64_t deadline, uint32_t bitset)
{
  struct thread *t = thread_self();
  struct futex_waiter w = {.thread = t, .bitset = bitset};
  int r;

  if(bitset == 0)
    return -EINVAL;
  list_init(&w.link);
  r = futex_enqueue_if(t->proc->as, addr, val, private_, &w);
  if(r)
    return r;
  r = futex_wait_queued(&w, deadline);
  if(r != -EINTR)
    return r;
  if(deadline == NEVER)
    return -ERESTARTSYS;
  t->restart.fn = wait_restart;
  t->restart.deadline = deadline;
  t->restart.arg[RESTART_ADDR] = addr;
  t->restart.arg[RESTART_VAL] = val;
  t->restart.arg[RESTART_PRIVATE] = private_;
  t->restart.arg[RESTART_BITSET] = bitset;
  return -ERESTART_RESTARTBLOCK;
}

// ---- requeue

static void
lock_two(struct futex_bucket *a, struct futex_bucket *b) UNCHECKED // one lock if they are the same
{
  if(a > b) {
    lock_two(b, a);
    return;
  }
  spin_acquire(&a->lock);
  if(a != b)
    spin_acquire_nested(&b->lock);
}

static void
unlock_two(struct futex_bucket *a, struct futex_bucket *b) UNCHECKED // as lock_two
{
  spin_release(&a->lock);
  if(a != b)
    spin_release(&b->lock);
}

// Move up to n waiters from k1 to k2: how many. held: both buckets
static int
move_waiters(struct futex_bucket *b1, const struct futex_key *k1, struct futex_bucket *b2, const struct futex_key *k2,
             int n)
{
  int moved = 0;

  list_for_each_safe(it, &b1->waiters) {
    struct futex_waiter *w = list_entry(it, struct futex_waiter, link);

    if(moved >= n)
      break;
    if(!futex_same(&w->key, k1))
      continue;
    if(w->pi)
      return -EINVAL;
    list_del(&w->link);
    list_add_tail(&b2->waiters, &w->link);
    w->key = *k2;
    atomic_set(&w->bucket, b2);
    moved++;
  }
  return moved;
}

struct requeue {
  vaddr_t from, to;
  int nwake, nmove;
  bool private_, compare;
  uint32_t expect;
};

static int64_t
requeue(struct aspace *as, const struct requeue *q)
{
  struct futex_bucket *b1, *b2;
  struct futex_key k1, k2;
  uint32_t now = q->expect;
  int r, done = 0, more = 0;

  if(q->nwake < 0 || q->nmove < 0)
    return -EINVAL;
  for(;;) {
    if((r = futex_key_of(as, q->from, q->private_, &k1)) != 0 || (r = futex_key_of(as, q->to, q->private_, &k2)) != 0)
      return r;
    b1 = futex_bucket_of(&k1);
    b2 = futex_bucket_of(&k2);
    lock_two(b1, b2);
    if(q->compare)
      r = peek_u32(as, q->from, &now);
    if(r == 0 && now == q->expect) {
      done = wake_key(b1, &k1, q->nwake, FUTEX_ANY);
      if(done >= 0 && !futex_same(&k1, &k2))
        more = move_waiters(b1, &k1, b2, &k2, q->nmove);
    }
    unlock_two(b1, b2);
    if(r == 0)
      return now != q->expect ? -EAGAIN : done < 0 || more < 0 ? min(done, more) : done + more;
    r = copyin(as, &now, q->from, sizeof(now), 0);
    if(r)
      return r;
  }
}

// ---- wake with an operation

struct wake_op { // FUTEX_WAKE_OP's val3, taken apart
  int op, cmp;
  int32_t arg, cmparg;
};

static struct wake_op
wake_op_decode(uint32_t v)
{
  enum {
    OP_SHIFT = 28,
    CMP_SHIFT = 24,
    ARG_SHIFT = 12,
    CODE_MASK = 15,
    ARG_BITS = 12,
    WORD_BITS = 32,
    SHIFT_MASK = 31
  };
  struct wake_op o = {.op = v >> OP_SHIFT & (CODE_MASK & ~OP_ARG_SHIFT), .cmp = v >> CMP_SHIFT & CODE_MASK};

  o.arg = (int32_t)(v << (WORD_BITS - ARG_SHIFT - ARG_BITS)) >> (WORD_BITS - ARG_BITS); // sign-extended
  o.cmparg = (int32_t)(v << (WORD_BITS - ARG_BITS)) >> (WORD_BITS - ARG_BITS);
  if(v >> OP_SHIFT & OP_ARG_SHIFT)
    o.arg = (int32_t)(1u << (o.arg & SHIFT_MASK));
  return o;
}

static int
wake_op_value(const struct wake_op *o, uint32_t old, uint32_t *new_)
{
  switch(o->op) {
  case OP_SET: *new_ = o->arg; return 0;
  case OP_ADD: *new_ = old + o->arg; return 0;
  case OP_OR: *new_ = old | o->arg; return 0;
  case OP_ANDN: *new_ = old & ~o->arg; return 0;
  case OP_XOR: *new_ = old ^ o->arg; return 0;
  default: return -ENOSYS;
  }
}

static int
wake_op_holds(const struct wake_op *o, int32_t old)
{
  switch(o->cmp) {
  case CMP_EQ: return old == o->cmparg;
  case CMP_NE: return old != o->cmparg;
  case CMP_LT: return old < o->cmparg;
  case CMP_LE: return old <= o->cmparg;
  case CMP_GT: return old > o->cmparg;
  case CMP_GE: return old >= o->cmparg;
  default: return -ENOSYS;
  }
}

int
futex_fault(struct aspace *as, vaddr_t va)
{
  int r = va < USER_TOP ? fault(as, va, PROT_W, 0) : -EFAULT;

  return r == 0 || r == -EINTR || r == -ENOMEM ? r : -EFAULT;
}

int
futex_exchange(struct aspace *as, vaddr_t va, uint32_t *old, uint32_t want)
{
  int r;

  while((r = cas_u32(as, va, old, want)) == -EFAULT) {
    r = futex_fault(as, va);
    if(r)
      return r;
  }
  return r;
}

// Change the second word, wake at the first, and at the second if its old value compares. The change comes before both
// wakes and each waiter looks again under its bucket's lock, so no lock needs to span the three.
static int64_t
wake_op(struct aspace *as, vaddr_t a1, vaddr_t a2, int n1, int n2, bool private_, uint32_t code)
{
  struct wake_op o = wake_op_decode(code);
  uint32_t old, seen, want;
  int r, more;

  if(a2 % sizeof(uint32_t))
    return -EINVAL;
  r = wake_op_holds(&o, 0);
  if(r < 0)
    return r;
  r = copyin(as, &old, a2, sizeof(old), 0);
  for(;;) {
    if(r || (r = wake_op_value(&o, old, &want)) != 0)
      return r;
    seen = old;
    r = futex_exchange(as, a2, &seen, want);
    if(r == 0 && seen == old)
      break;
    old = seen;
    thread_relax();
  }
  r = futex_wake(as, a1, n1, private_);
  if(r < 0 || !wake_op_holds(&o, old))
    return r;
  more = futex_wake(as, a2, n2, private_);
  return more < 0 ? more : r + more;
}

int64_t
futex(vaddr_t addr, int op, uint32_t val, uint64_t deadline, vaddr_t addr2, uint32_t val2, uint32_t val3)
{
  struct aspace *as = current_proc()->as;
  bool private_ = op & FUTEX_PRIVATE;
  struct requeue rq = {addr, addr2, val, val2, private_, false, 0};
  int cmd = op & ~(FUTEX_PRIVATE | FUTEX_CLOCK_REALTIME);

  if((op & FUTEX_CLOCK_REALTIME) && cmd != FUTEX_WAIT_BITSET && cmd != FUTEX_WAIT_REQUEUE_PI && cmd != FUTEX_LOCK_PI2)
    return -ENOSYS;
  switch(cmd) {
  case FUTEX_WAIT: return wait_at(addr, val, private_, deadline, FUTEX_ANY);
  case FUTEX_WAIT_BITSET: return wait_at(addr, val, private_, deadline, val3);
  case FUTEX_WAKE: return futex_wake(as, addr, max((int)val, 1), private_);
  case FUTEX_WAKE_BITSET: return val3 ? wake_bitset(as, addr, max((int)val, 1), private_, val3) : -EINVAL;
  case FUTEX_REQUEUE: return requeue(as, &rq);
  case FUTEX_CMP_REQUEUE:
    rq.compare = true;
    rq.expect = val3;
    return requeue(as, &rq);
  case FUTEX_WAKE_OP: return wake_op(as, addr, addr2, val, val2, private_, val3);
  case FUTEX_LOCK_PI:
  case FUTEX_LOCK_PI2: return futex_pi_lock(addr, private_, deadline, false);
  case FUTEX_TRYLOCK_PI: return futex_pi_lock(addr, private_, deadline, true);
  case FUTEX_UNLOCK_PI: return futex_pi_unlock(addr, private_);
  case FUTEX_WAIT_REQUEUE_PI: return futex_wait_requeue(addr, val, deadline, addr2, private_);
  case FUTEX_CMP_REQUEUE_PI: return futex_cmp_requeue_pi(addr, addr2, val, val2, val3, private_);
  default: return -ENOSYS;
  }
}
