// futex.c -- wait at a word of a program's memory until somebody wakes it.
//
// A word is named by (object, offset) or (address space, address): futex_key. The waiter reads the word under the lock of
// its bucket, through the pmap and never through an earlier pin; who changes the word and then wakes takes the same lock,
// so no wake-up falls between the look and the sleep. If the word is not there to be read, the lock is given back, the
// page faulted in, and all starts over.
// A waiter lies on its thread's stack. Whoever wakes it does so under the bucket's lock, and the waiter takes that lock
// once more before it goes away.
// Must not know: what a mutex is, except for the robust list that a dying thread leaves.
#include "core/wait.h"
#include "lib/atomic.h"
#include "lib/hash.h"
#include "proc/proc.h"

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
  FUTEX_WAKE_BITSET
};
enum { FUTEX_PRIVATE = 128, FUTEX_CLOCK_REALTIME = 256 };
#define FUTEX_ANY        0xffffffffu
#define FUTEX_WAITERS    0x80000000u
#define FUTEX_OWNER_DIED 0x40000000u
#define FUTEX_TID_MASK   0x3fffffffu
enum { OP_SET, OP_ADD, OP_OR, OP_ANDN, OP_XOR, OP_ARG_SHIFT = 8 };
enum { CMP_EQ, CMP_NE, CMP_LT, CMP_LE, CMP_GT, CMP_GE };
enum { ROBUST_MAX = 2048 }; // entries of a robust list we follow: it may be a circle
enum { BUCKETS = 1024 };

struct key {
  const void *obj;
  uint64_t off;
};
struct bucket {
  struct spinlock lock;
  struct list waiters;
} __attribute__((aligned(64)));
struct futex_waiter {
  struct list link;      // (bucket)
  struct key key;        // (bucket)
  struct bucket *bucket; // (bucket), read (a): requeue moves a waiter
  struct thread *thread; // (c)
  uint32_t bitset;       // (c)
  bool woken;            // (bucket)
};

static struct bucket buckets[BUCKETS];

void
futex_init(void)
{
  for(int i = 0; i < BUCKETS; i++) {
    spin_init(&buckets[i].lock, "futex", RANK_FUTEX);
    list_init(&buckets[i].waiters);
  }
}

static struct bucket *
bucket_of(const struct key *k)
{
  return &buckets[hash_u64((uintptr_t)k->obj ^ hash_u64(k->off)) % BUCKETS];
}

static bool
same(const struct key *a, const struct key *b)
{
  return a->obj == b->obj && a->off == b->off;
}

static int
key_of(struct aspace *as, vaddr_t va, bool private_, struct key *k)
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

// Wake up to n waiters at k: how many. held: the bucket's lock
static int
wake_key(struct bucket *b, const struct key *k, int n, uint32_t bitset)
{
  int woken = 0;

  list_for_each_safe(it, &b->waiters) {
    struct futex_waiter *w = list_entry(it, struct futex_waiter, link);

    if(woken >= n)
      break;
    if(!same(&w->key, k) || !(w->bitset & bitset))
      continue;
    wake_waiter(w);
    woken++;
  }
  return woken;
}

static int
wake_bitset(struct aspace *as, vaddr_t addr, int n, bool private_, uint32_t bitset)
{
  struct bucket *b;
  struct key k;
  int r = key_of(as, addr, private_, &k);

  if(r)
    return r;
  b = bucket_of(&k);
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
static struct bucket *
lock_bucket_of(struct futex_waiter *w) UNCHECKED // which one depends on the waiter
{
  for(;;) {
    struct bucket *b = atomic_get(&w->bucket);

    spin_acquire(&b->lock);
    if(b == w->bucket)
      return b;
    spin_release(&b->lock);
  }
}

// Queue w if the word still holds `val`: 0, and the thread is prepared; -EAGAIN: it does not.
static int
enqueue_if(struct aspace *as, vaddr_t addr, uint32_t val, bool private_, struct futex_waiter *w)
{
  uint32_t now;
  int r;

  for(;;) {
    r = key_of(as, addr, private_, &w->key);
    if(r)
      return r;
    w->bucket = bucket_of(&w->key);
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

static int
wait_queued(struct futex_waiter *w, uint64_t deadline) UNCHECKED // the bucket is known only once it is locked
{
  int r;

  for(;;) {
    struct bucket *b;
    bool woken;

    r = waitq_sleep(WAIT_INTERRUPTIBLE, deadline);
    thread_prepare();
    b = lock_bucket_of(w);
    woken = w->woken;
    if(!woken && r)
      list_del(&w->link);
    spin_release(&b->lock);
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
  r = enqueue_if(t->proc->as, addr, val, private_, &w);
  if(r)
    return r;
  r = wait_queued(&w, deadline);
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
lock_two(struct bucket *a, struct bucket *b) UNCHECKED // one lock if they are the same
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
unlock_two(struct bucket *a, struct bucket *b) UNCHECKED // as lock_two
{
  spin_release(&a->lock);
  if(a != b)
    spin_release(&b->lock);
}

// Move up to n waiters from k1 to k2: how many. held: both buckets
static int
move_waiters(struct bucket *b1, const struct key *k1, struct bucket *b2, const struct key *k2, int n)
{
  int moved = 0;

  list_for_each_safe(it, &b1->waiters) {
    struct futex_waiter *w = list_entry(it, struct futex_waiter, link);

    if(moved >= n)
      break;
    if(!same(&w->key, k1))
      continue;
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
  struct bucket *b1, *b2;
  struct key k1, k2;
  uint32_t now = q->expect;
  int r, done = 0;

  if(q->nwake < 0 || q->nmove < 0)
    return -EINVAL;
  for(;;) {
    if((r = key_of(as, q->from, q->private_, &k1)) != 0 || (r = key_of(as, q->to, q->private_, &k2)) != 0)
      return r;
    b1 = bucket_of(&k1);
    b2 = bucket_of(&k2);
    lock_two(b1, b2);
    if(q->compare)
      r = peek_u32(as, q->from, &now);
    if(r == 0 && now == q->expect) {
      done = wake_key(b1, &k1, q->nwake, FUTEX_ANY);
      if(!same(&k1, &k2))
        done += move_waiters(b1, &k1, b2, &k2, q->nmove);
    }
    unlock_two(b1, b2);
    if(r == 0)
      return now == q->expect ? done : -EAGAIN;
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

// cas_u32 that faults the word in for writing: 0 and *old = what was there, or -E.
static int
exchange(struct aspace *as, vaddr_t va, uint32_t *old, uint32_t want)
{
  int r;

  while((r = cas_u32(as, va, old, want)) == -EFAULT) {
    r = va < USER_TOP ? fault(as, va, PROT_W, 0) : -EFAULT;
    if(r)
      return r == -EINTR || r == -ENOMEM ? r : -EFAULT;
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
    r = exchange(as, a2, &seen, want);
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

  switch(op & ~(FUTEX_PRIVATE | FUTEX_CLOCK_REALTIME)) {
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
  default: return -ENOSYS;
  }
}

// ---- the end of a thread

// A mutex that the dying thread may hold: mark it, and wake one that waits for it. -EFAULT ends the list.
static int
robust_release(struct aspace *as, int tid, vaddr_t word, bool pending)
{
  uint32_t v, seen;
  int r;

  if(word % sizeof(uint32_t))
    return -EFAULT;
  r = copyin(as, &v, word, sizeof(v), 0);
  while(r == 0) {
    if(pending && v == 0) // released, but died before the wake
      return min(futex_wake(as, word, 1, false), 0);
    if((v & FUTEX_TID_MASK) != (uint32_t)tid)
      return 0;
    seen = v;
    r = exchange(as, word, &seen, (v & FUTEX_WAITERS) | FUTEX_OWNER_DIED);
    if(r == 0 && seen == v)
      return v & FUTEX_WAITERS ? min(futex_wake(as, word, 1, false), 0) : 0;
    v = seen;
  }
  return r;
}

struct robust_head { // Linux's: all are the program's addresses
  uint64_t next;
  int64_t offset; // from an entry to its futex word
  uint64_t pending;
};

static void
robust_walk(struct thread *t, struct aspace *as)
{
  struct robust_head h;
  uint64_t entry;

  if(copyin(as, &h, t->robust_list, sizeof(h), 0) != 0)
    return;
  entry = h.next & ~1ull; // bit 0: a priority-inheriting one
  for(int i = 0; i < ROBUST_MAX && entry != t->robust_list; i++) {
    uint64_t next;
    int r = copyin(as, &next, entry, sizeof(next), 0);

    if(entry != (h.pending & ~1ull) && robust_release(as, t->tid, entry + h.offset, false) != 0)
      return;
    if(r)
      return;
    entry = next & ~1ull;
    thread_relax();
  }
  if(h.pending & ~1ull)
    robust_release(as, t->tid, (h.pending & ~1ull) + h.offset, true);
}

void
futex_exit(struct thread *t)
{
  struct aspace *as = t->proc->as;
  uint32_t zero = 0;

  if(t->robust_list)
    robust_walk(t, as);
  t->robust_list = 0;
  if(t->clear_tid && (t->proc->nthreads > 1 || atomic_get(&as->users) > 1) &&
     copyout(as, t->clear_tid, &zero, sizeof(zero), 0) == 0)
    futex_wake(as, t->clear_tid, 1, false);
  t->clear_tid = 0;
}
