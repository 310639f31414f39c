// lock.h -- the four lock types: spin lock, sleep lock (mutex), read-write lock that sleeps, and lock bit (one bit of a
// word, with hashed wait queues; pages and buffers use it). docs/locks.md has their order, rank.c asserts it.
// Contracts, for all: acquire panics on a rank inversion; sleeping kinds need assert_may_sleep(); waits for sleeping
// locks cannot be interrupted unless the name says so, because their holders never wait for ever.
#pragma once
#include "core/annot.h"
#include "core/rank.h"
#include "lib/list.h"

struct thread;

// Spin lock. Interrupts are off while it is held.
struct LOCKABLE("spinlock") spinlock {
  uint32_t taken;   // (a)
  int rank;         // (c)
  const char *name; // (c)
};
#define SPINLOCK_INIT(n, r)                                                                                            \
  {                                                                                                                    \
    0, r, n                                                                                                            \
  }

void spin_init(struct spinlock *l, const char *name, int rank);
void spin_acquire(struct spinlock *l) ACQUIRES(*l);
void spin_acquire_nested(struct spinlock *l) ACQUIRES(*l); // second lock of one rank; the caller orders by address
bool spin_try(struct spinlock *l) TRIES(true, *l);
void spin_release(struct spinlock *l) RELEASES(*l);

struct waitq { // see core/wait.h
  struct spinlock lock;
  struct list waiters;
};

struct LOCKABLE("sleeplock") sleeplock {
  bool held;            // (waitq.lock), read without it as a hint
  bool handoff;         // (waitq.lock) a waiter was woken in vain: the next release gives the lock to the first one
  struct thread *owner; // (waitq.lock)
  int rank;             // (c)
  const char *name;     // (c)
  struct waitq q;
};
void sleep_init(struct sleeplock *l, const char *name, int rank);
void sleep_acquire(struct sleeplock *l) ACQUIRES(*l);
void sleep_acquire_nested(struct sleeplock *l) ACQUIRES(*l);
int sleep_acquire_killable(struct sleeplock *l); // 0 or -EINTR; clang cannot follow it
bool sleep_try(struct sleeplock *l) TRIES(true, *l);
void sleep_release(struct sleeplock *l) RELEASES(*l);

// Many readers or one writer, strictly in the order they came: a waiting writer holds new readers back (writer-fair), so
// reading must not nest; readers who came before the next writer go in together.
struct LOCKABLE("rwlock") rwlock {
  int readers;           // (waitq.lock)
  bool writing;          // (waitq.lock)
  struct thread *writer; // (waitq.lock)
  int rank;              // (c)
  const char *name;      // (c)
  struct waitq q;
};
void rw_init(struct rwlock *l, const char *name, int rank);
void rw_read(struct rwlock *l) ACQUIRES_READ(*l);
bool rw_read_try(struct rwlock *l) TRIES_READ(true, *l);
void rw_read_release(struct rwlock *l) RELEASES_READ(*l);
void rw_write(struct rwlock *l) ACQUIRES(*l);
void rw_write_nested(struct rwlock *l) ACQUIRES(*l);
bool rw_write_try(struct rwlock *l) TRIES(true, *l);
void rw_write_release(struct rwlock *l) RELEASES(*l);

// Bit `bit` of *word as a lock that sleeps. bitlock_release sets the bit free and wakes; it may be called from an
// interrupt and by another thread than the acquirer (a finished disk read), so bits are not on the held list unless
// `rank` is given to acquire and release alike (0: not tracked).
void bitlock_acquire(unsigned *word, unsigned bit, int rank);
bool bitlock_try(unsigned *word, unsigned bit, int rank);
void bitlock_release(unsigned *word, unsigned bit, int rank);
// Wait until the bit is clear, without taking it. 0, or -EINTR (killable).
int bitlock_wait(unsigned *word, unsigned bit);

// Panics if the running thread does not hold lock l; nothing without DEBUG.
#if RANK_CHECK
#define assert_held(l) assert_held_(l, #l, __FILE__, __LINE__)
#else
#define assert_held(l) ((void)0)
#endif
void assert_held_(const void *lock, const char *what, const char *file, int line);
