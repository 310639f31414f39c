// futex.h -- what the futex files share: how a word is named, who waits at it.
// Lock keys: (b) the bucket's lock  (a) atomic  (c) constant  (I) pi_lock
#pragma once
#include "proc/proc.h"

#define FUTEX_ANY        0xffffffffu
#define FUTEX_WAITERS    0x80000000u
#define FUTEX_OWNER_DIED 0x40000000u
#define FUTEX_TID_MASK   0x3fffffffu

struct futex_key {
  const void *obj;
  uint64_t off;
};
struct futex_bucket {
  struct spinlock lock;
  struct list waiters;
} __attribute__((aligned(64)));

struct pi_state; // futex_pi.c: a lock that somebody waits for
struct pi_waiter {
  struct list link;       // (I) in the state's list, in the order they came
  struct pi_state *state; // (I) 0: not queued, or the lock is ours
  struct thread *thread;  // (c)
  bool got;               // (I) the lock was handed to us
};

struct futex_waiter {
  struct list link;            // (b)
  struct futex_key key;        // (b)
  struct futex_bucket *bucket; // (b), read (a): requeue moves a waiter
  struct thread *thread;       // (c)
  uint32_t bitset;             // (c)
  bool woken;                  // (b) not queued any more
  struct pi_waiter *pi;        // (c) it waits to be moved to a lock; 0: an ordinary one
  struct futex_key target;     // (c) that lock
};

// ---- futex.c
int futex_key_of(struct aspace *as, vaddr_t va, bool private_, struct futex_key *k);
bool futex_same(const struct futex_key *a, const struct futex_key *b);
struct futex_bucket *futex_bucket_of(const struct futex_key *k);
// Queue w if the word still holds `val`: 0, and the thread is prepared; -EAGAIN: it does not.
int futex_enqueue_if(struct aspace *as, vaddr_t addr, uint32_t val, bool private_, struct futex_waiter *w);
bool futex_dequeue(struct futex_waiter *w, bool always);          // was it woken? If not, and `always`, it is taken out
int futex_wait_queued(struct futex_waiter *w, uint64_t deadline); // 0: woken; else it is not queued any more
// cas_u32 that faults the word in for writing: 0 and *old = what was there, or -E.
int futex_exchange(struct aspace *as, vaddr_t va, uint32_t *old, uint32_t want);
int futex_fault(struct aspace *as, vaddr_t va); // in for writing, after cas_u32 or peek_u32 said -EFAULT: 0 or -E
// ---- futex_pi.c
int64_t futex_pi_lock(vaddr_t addr, bool private_, uint64_t deadline, bool only_try);
int64_t futex_pi_unlock(vaddr_t addr, bool private_);
bool futex_pi_waited(const struct futex_key *k); // does anybody wait for the lock there?
void futex_pi_exit(struct thread *t);            // what it owns goes to who waits longest
void futex_pi_init(void);
// For requeueing: a word as it was seen outside all locks, and what became of it.
struct pi_word {
  struct aspace *as;
  vaddr_t addr;
  struct futex_key key;
  uint32_t v;
  struct thread *owner; // of that number; referenced; 0: nobody
};
int pi_word_look(struct pi_word *w, bool private_);
void pi_word_forget(struct pi_word *w);
bool pi_again(struct pi_word *w, int *r); // what to do about the result of a try: true: look and try again
enum { PI_AGAIN = 1, PI_GOT = 2 };        // results of a try that are no errors
extern struct spinlock pi_lock;
// Have w take the lock if it is free (PI_GOT), else queue for it (0). PI_AGAIN, -EFAULT: look anew. `more`: others will
// queue behind it.
int pi_try(struct pi_word *p, struct pi_waiter *w, bool more, bool only_try) REQUIRES(pi_lock);
int pi_wait(struct pi_word *p, struct pi_waiter *w, uint64_t deadline);
// ---- futex_requeue.c
int64_t futex_wait_requeue(vaddr_t addr, uint32_t val, uint64_t deadline, vaddr_t to, bool private_);
int64_t futex_cmp_requeue_pi(vaddr_t addr, vaddr_t to, int nwake, int nmove, uint32_t expect, bool private_);
// ---- futex_robust.c: futex_exit
