/* futex.pml -- wait, wake and requeue: proc/futex.c:futex_enqueue_if, futex_wait_queued, lock_bucket_of, wake_key, requeue.
 *
 * A waiter looks at the word and queues; another thread stores to the word, which replaces its page (copy on write), and
 * wakes. A third moves waiters to another word, in another bucket, and wakes there later. The waiter's time may be over
 * (TIMED). Nobody may sleep for ever, be woken when it is gone, or leave itself on a list.
 * Bounds: one waiter, one wake, one requeue with its wake.
 *
 * run: wait_wake        ok
 * run: requeue          ok        REQUEUE
 * run: timed            ok        REQUEUE TIMED
 * run: kept_page        deadlock  KEPT_PAGE
 * run: look_unlocked    deadlock  LOOK_UNLOCKED
 * run: sleep_unprepared deadlock  UNPREPARED
 * run: first_bucket     assert    REQUEUE TIMED FIRST_BUCKET
 * run: no_last_look     assert    TIMED NO_LAST_LOOK
 *
 * KEPT_PAGE      the word is read through a page that was looked up before the bucket was locked
 * LOOK_UNLOCKED  the word is read before the bucket is locked
 * UNPREPARED     the thread says that it will sleep only after it has given back the bucket
 * FIRST_BUCKET   a waiter that gives up locks the bucket in which it queued, and does not ask whether it was moved
 * NO_LAST_LOOK   a waiter that gives up does not take the bucket's lock once more when it was woken */
byte frame = 0, word[2];               /* the word's page, before and after the copy */
bool lock[2], queued[2], woken = false, asleep = false;
byte bucket = 0;                       /* the waiter's */
bool gone = false, stored = false, over_wake = false, over_move = false;

inline acquire(b) { atomic { !lock[b] -> lock[b] = true } }
inline release(b) { lock[b] = false }

/* Wake who waits in bucket b; held: its lock. */
inline wake(b) {
  if
  :: queued[b] -> assert(!gone); queued[b] = false; woken = true;
     assert(!gone); asleep = false
  :: else
  fi
}

proctype Waiter() {
  byte page, saw, b;
  page = frame;
#ifdef LOOK_UNLOCKED
  saw = word[frame];
#endif
  acquire(0);
#ifdef KEPT_PAGE
  saw = word[page];
#else
#ifndef LOOK_UNLOCKED
  atomic { saw = word[frame] };
#endif
#endif
  if
  :: saw != 0 -> release(0); goto out
  :: saw == 0 -> queued[0] = true;
#ifndef UNPREPARED
     asleep = true; /* thread_prepare: a wake from here on keeps it from sleeping */
#endif
     release(0)
  fi;
#ifdef UNPREPARED
  asleep = true;
#endif
  do
  ::
#ifdef TIMED
     if :: !asleep :: true fi; /* its time is over */
#else
     !asleep;
#endif
#ifdef NO_LAST_LOOK
     if :: woken -> goto out :: else fi;
#endif
     do
     :: b = bucket; acquire(b);
#ifdef FIRST_BUCKET
        b = 0; break
#else
        if :: b == bucket -> break :: else -> release(b) fi
#endif
     od;
     if
     :: woken -> release(b); break
     :: !woken -> queued[b] = false; release(b); break
     fi
  od;
out:
  gone = true;
  assert(!queued[0] && !queued[1])
}

proctype Waker() {
  atomic { if :: frame == 0 -> word[1] = word[0]; frame = 1 :: else fi };
  word[frame] = 1;
  stored = true;
  acquire(0);
  wake(0);
  release(0);
  over_wake = true
}

proctype Mover() { /* to the second word, and a wake there */
  acquire(0); acquire(1);
  if :: queued[0] -> queued[0] = false; queued[1] = true; bucket = 1 :: else fi;
  release(1); release(0);
  acquire(1);
  wake(1);
  release(1);
  over_move = true
}

init {
  atomic {
    run Waiter(); run Waker();
#ifdef REQUEUE
    run Mover()
#else
    over_move = true
#endif
  };
  (gone && over_wake && over_move)
}
