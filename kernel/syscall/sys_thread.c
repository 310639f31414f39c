// sys_thread.c -- what a C library's threads are made of: the words cleared at their end, robust lists, futexes, rseq.
// Typical: times and descriptions from the program's memory / one call of proc/.
// Must not know: what waits at a futex.
#include "syscall/sys.h"

int64_t
sys_set_tid_address(const uint64_t *a)
{
  struct thread *t = thread_self();

  t->clear_tid = a[0];
  return t->tid;
}

enum { ROBUST_HEAD_SIZE = 24 };

int64_t
sys_set_robust_list(const uint64_t *a)
{
  if(a[1] != ROBUST_HEAD_SIZE)
    return -EINVAL;
  thread_self()->robust_list = a[0];
  return 0;
}

int64_t
sys_get_robust_list(const uint64_t *a)
{
  uint64_t head, len = ROBUST_HEAD_SIZE;
  struct thread *t = thread_self();
  int e;

  if((int)a[0] && (int)a[0] != t->tid) {
    t = thread_find(a[0]);
    if(!t)
      return -ESRCH;
    head = t->robust_list;
    e = t->proc && signal_permitted(t->proc, 0) ? 0 : -EPERM;
    thread_put(t);
  } else {
    head = t->robust_list;
    e = 0;
  }
  if(e == 0)
    e = user_out(a[2], &len, sizeof(len));
  return e ? e : user_out(a[1], &head, sizeof(head));
}

// The fourth argument is a time for calls that wait and a number for the others. FUTEX_WAIT's is relative.
static int
futex_deadline(uint32_t op, vaddr_t va, uint64_t *deadline)
{
  uint32_t cmd = op & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
  uint64_t ns;
  int e;

  *deadline = NEVER;
  if(!va || (cmd != FUTEX_WAIT && cmd != FUTEX_WAIT_BITSET && cmd != FUTEX_WAIT_REQUEUE_PI && cmd != FUTEX_LOCK_PI &&
             cmd != FUTEX_LOCK_PI2))
    return 0;
  e = user_timespec(va, &ns);
  if(e)
    return e;
  if(cmd == FUTEX_WAIT)
    *deadline = deadline_after(ns);
  else
    *deadline = op & FUTEX_CLOCK_REALTIME || cmd == FUTEX_LOCK_PI ? deadline_at_wall(ns) : ns;
  return 0;
}

int64_t
sys_futex(const uint64_t *a)
{
  uint64_t deadline;
  int e = futex_deadline(a[1], a[3], &deadline);

  return e ? e : futex(a[0], a[1], a[2], deadline, a[4], a[3], a[5]);
}

int64_t
sys_rseq(const uint64_t *a)
{
  return rseq_register(a[0], a[1], a[2], a[3]);
}

// ---- futex_waitv

enum { WAITV_MAX = 128, WAITV_U32 = 2 };
struct linux_waitv {
  uint64_t val, addr;
  uint32_t flags, reserved;
};

static int
waitv_in(struct futex_word *words, vaddr_t va, int n)
{
  struct linux_waitv v;
  int e;

  for(int i = 0; i < n; i++) {
    e = user_in(&v, va + i * sizeof(v), sizeof(v));
    if(e)
      return e;
    if((v.flags & ~FUTEX_PRIVATE_FLAG) != WAITV_U32 || v.reserved)
      return -EINVAL;
    words[i] = (struct futex_word){v.addr, v.val, v.flags & FUTEX_PRIVATE_FLAG};
  }
  return 0;
}

static int
waitv_deadline(vaddr_t va, int clock, uint64_t *deadline)
{
  uint64_t ns;
  int e;

  *deadline = NEVER;
  if(!va)
    return 0;
  if(clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME)
    return -EINVAL;
  e = user_timespec(va, &ns);
  if(e == 0)
    *deadline = clock == CLOCK_REALTIME ? deadline_at_wall(ns) : ns;
  return e;
}

int64_t
sys_futex_waitv(const uint64_t *a)
{
  struct futex_word *words;
  uint32_t n = a[1];
  uint64_t deadline;
  int64_t r;

  if((uint32_t)a[2] || n == 0 || n > WAITV_MAX || !a[0])
    return -EINVAL;
  r = waitv_deadline(a[3], a[4], &deadline);
  if(r)
    return r;
  words = kzalloc(n * sizeof(*words));
  if(!words)
    return -ENOMEM;
  r = waitv_in(words, a[0], n);
  if(r == 0)
    r = futex_waitv(words, n, deadline);
  kfree(words);
  return r;
}
