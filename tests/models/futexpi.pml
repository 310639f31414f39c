/* futexpi.pml -- locks that name their owner: proc/futex_pi.c:pi_try, queue, turn, pi_wait, give_up, unlock_try,
 * futex_pi_exit.
 *
 * Three threads lock and unlock once. Where the word is free, or theirs without a waiter, they change it themselves with a
 * compare-and-swap and the kernel is not asked. Thread 1 may die with the lock (DIES); thread 2's time may be over while it waits (TIMED).
 * Two never own the lock at once, and nobody sleeps while it could be had. Bounds: three threads, one round each.
 *
 * run: as_built        ok
 * run: dies            ok        DIES
 * run: timed           ok        TIMED
 * run: dies_timed      ok        DIES TIMED
 * run: no_waiters_bit  deadlock  NO_WAITERS_BIT
 * run: not_compared    deadlock  NOT_COMPARED
 * run: prepare_late    deadlock  PREPARE_LATE
 * run: silent          deadlock  DIES TIMED SILENT
 * run: dead_owner      deadlock  DIES DEAD_OWNER
 *
 * NO_WAITERS_BIT  who queues does not say so in the word
 * NOT_COMPARED    the kernel stores to the word what it worked out, and does not compare it with what it saw
 * PREPARE_LATE    a waiter says that it will sleep only after it has looked whether it is its turn
 * SILENT          who gives up waiting for a lock without an owner does not wake the next
 * DEAD_OWNER      one may wait for an owner that has already let go of everything */
#define FREE    0
#define TID     7
#define WAITERS 8
#define DIED    16
#define SOME    (len(line) > 0)
#define NOBODY  (len(line) == 0)

byte word = FREE;                /* the owner's number, and bits */
byte owner = 0;                  /* the state's; 0: it ended without letting go */
chan line = [3] of { byte };     /* who waits, in order of arrival; the state exists while it is not empty */
bool got[4], awake[4], dead[4], pi = false;
byte inside = 0, over = 0;

inline pi_acquire() { atomic { !pi -> pi = true } }

/* The word becomes `to` if it is still what was seen. */
inline set_word(ok, seen, to) {
#ifdef NOT_COMPARED
  word = to; ok = true
#else
  atomic { ok = (word == seen); if :: ok -> word = to :: else fi }
#endif
}

/* held: pi. The first of the line owns the lock; the word says so already. */
inline give(n) {
  line ? n;
  owner = (NOBODY -> 0 : n);
  got[n] = true;
  awake[n] = true
}

inline pi_lock() { /* r: 1 got it, 2 queued, 3 refused */
  do
  :: r == 0 ->
     seen = word;
     pi_acquire();
     if
     :: word != seen /* again */
     :: word == seen && NOBODY && (seen & TID) == 0 ->
        set_word(ok, seen, me);
        if :: ok -> r = 1 :: else fi
     :: word == seen && (SOME || (seen & TID) != 0) ->
        assert(!(SOME && owner != 0 && owner != (seen & TID)));
        ok = true;
#ifndef NO_WAITERS_BIT
        if :: seen & WAITERS :: else -> set_word(ok, seen, seen | WAITERS) fi;
#endif
        if
        :: !ok /* again */
#ifndef DEAD_OWNER
        :: ok && NOBODY && dead[seen & TID] -> r = 3
        :: ok && !(NOBODY && dead[seen & TID]) ->
#else
        :: ok ->
#endif
           if :: NOBODY -> owner = seen & TID :: else fi;
           line ! me;
           r = 2
        fi
     fi;
     pi = false
  :: r != 0 -> break
  od
}

inline pi_wait() {
  do
  ::
#ifndef PREPARE_LATE
     awake[me] = false;
#endif
     pi_acquire();
     n = 0;
     if :: SOME -> line ? <n> :: else fi;
     if
     :: got[me] -> r = 1
     :: !got[me] && owner == 0 && n == me ->
        seen = word;
        set_word(ok, seen, me | WAITERS | DIED);
        if :: ok -> give(n); r = 1 :: else fi
     :: else
     fi;
     pi = false;
     if :: r == 1 -> break :: else fi;
#ifdef PREPARE_LATE
     awake[me] = false;
#endif
#ifdef TIMED
     if
     :: awake[me]
     :: me == 2 -> /* its time is over */
        pi_acquire();
        if
        :: got[me] -> r = 1
        :: else ->
           line ?? eval(me);
           r = 3;
           if
           :: NOBODY -> owner = 0
#ifndef SILENT
           :: SOME && owner == 0 -> line ? <n>; awake[n] = true
#endif
           :: else
           fi
        fi;
        pi = false;
        break
     fi
#else
     awake[me]
#endif
  od
}

inline unlock() {
  if
  :: atomic { word == me -> word = FREE }
  :: true ->
     ok = false;
     do
     :: !ok ->
        seen = word;
        assert((seen & TID) == me);
        pi_acquire();
        if
        :: word != seen
        :: word == seen && NOBODY -> set_word(ok, seen, FREE)
        :: word == seen && SOME -> line ? <n>; set_word(ok, seen, n | WAITERS); if :: ok -> give(n) :: else fi
        fi;
        pi = false
     :: ok -> break
     od
  fi
}

proctype Thread(byte me) {
  byte seen, n, r = 0;
  bool ok;
  if
  :: atomic { word == FREE -> word = me; r = 1 }
  :: true -> pi_lock(); if :: r == 2 -> pi_wait() :: else fi
  fi;
  if
  :: r == 1 ->
     inside++;
     assert(inside == 1);
     inside--;
#ifdef DIES
     if
     :: me == 1 ->
        pi_acquire();
        dead[me] = true;
        if :: SOME && owner == me -> owner = 0; line ? <n>; awake[n] = true :: else fi;
        pi = false
     :: else -> unlock()
     fi
#else
     unlock()
#endif
  :: else
  fi;
  over++
}

init { atomic { run Thread(1); run Thread(2); run Thread(3) }; (over == 3) }
