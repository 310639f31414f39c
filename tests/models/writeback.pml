/* writeback.pml -- the first store to a page in a hole, write(2), msync and the commit that gives the file its block:
 * fs/ext3/data.c:ext3_makewrite, give_block, ext3_ordered_flush, mm/dirty.c:mobj_flush, sweep, flush_ended, mm/fault.c:
 * fault_lookup, fs/journal/commit.c:commit_lock, commit_switch.
 *
 * A thread stores to the page through its TLB; write(2) stores to it with the page BUSY; msync writes it; the journal
 * commits twice. A commit record that gives the file a block may reach the disk only when the block holds the file's data
 * (else a crash shows what another file once wrote there), no store is lost, and nobody waits for ever.
 * Bounds: one page, two stores through the TLB, one write, two of msync, two commits.
 *
 * run: as_built        ok
 * run: busy_first      deadlock  BUSY_FIRST
 * run: dirty_late      assert    DIRTY_LATE
 * run: not_ordered     assert    NOT_ORDERED
 * run: untag_early     assert    UNTAG_EARLY
 * run: write_first     assert    WRITE_FIRST
 * run: dirty_unbacked  assert    DIRTY_UNBACKED
 *
 * BUSY_FIRST      a fault's makewrite makes the page BUSY before it opens its handle, another's not (ranks 20 and 30)
 * DIRTY_LATE      the new block's page becomes DIRTY with the fault that follows, not within makewrite's handle
 * NOT_ORDERED     the file is not put on the transaction's list
 * UNTAG_EARLY     a page is untagged when its write begins, so a commit does not wait for msync's
 * WRITE_FIRST     the write reads the page before the entries are narrowed
 * DIRTY_UNBACKED  a fault enters the page for writing without asking whether it has a block (I3) */
#define RUNNING 0
#define LOCKED  1
#define DATA    2

bool BUSY = false, DIRTY = false, TAG = false, BACKED = false;
byte mem = 0, disk = 0, tlb = 0, pte = 0;      /* 0 no translation, 1 reads, 2 writes */
bool blk = false, valid = false;               /* the block in memory's view; holds the file's data */
bool ordered = false, c_ordered = false, c_blk = false;
byte state = RUNNING, handles = 0, stores = 0, over = 0;

inline begin() { atomic { state != LOCKED -> handles++ } }
inline lock_page() { atomic { !BUSY -> BUSY = true } }
inline make_dirty() { DIRTY = true; TAG = true }

inline give_block() { /* info.lock; the page is BUSY */
  atomic {
    if
    :: !BACKED ->
       blk = true; valid = false; BACKED = true;
#ifndef DIRTY_LATE
       make_dirty();
#endif
#ifndef NOT_ORDERED
       ordered = true;
#endif
    :: else
    fi
  }
}

inline flush() { /* the page is BUSY and DIRTY */
  byte copy;
#ifdef WRITE_FIRST
  copy = mem;
#endif
  atomic { if :: pte == 2 -> pte = 1 :: else fi };
  atomic { if :: tlb == 2 -> tlb = 1 :: else fi };
  atomic {
    DIRTY = false;
#ifdef UNTAG_EARLY
    TAG = false;
#endif
  };
#ifndef WRITE_FIRST
  copy = mem;
#endif
  assert(blk);                                  /* in flight */
  atomic { disk = copy; valid = true; TAG = false }
}

inline sync() { /* mobj_sync */
  if
  :: TAG -> lock_page(); if :: DIRTY -> flush() :: else fi; BUSY = false
  :: else
  fi
}

proctype Thread() {
  byte n = 0;
  do
  :: n == 2 -> break
  :: atomic { n < 2 && tlb == 2 -> mem++; stores++; n++ }
  :: atomic { n < 2 && tlb != 2 && pte == 2 -> tlb = 2 }
#ifdef DIRTY_UNBACKED
  :: atomic { n < 2 && tlb != 2 && pte != 2 && !BUSY -> make_dirty(); pte = 2 }
#else
  :: atomic { n < 2 && tlb != 2 && pte != 2 && !BUSY && BACKED -> make_dirty(); pte = 2 }
#endif
  :: n < 2 && tlb != 2 && pte != 2 && !BUSY && !BACKED ->
#ifdef BUSY_FIRST
     lock_page(); begin();
#else
     begin(); lock_page();
#endif
     give_block();
     BUSY = false; handles--
  od;
  over++
}

proctype Write() { /* the page is loaded and made ready, then copied to */
  do
  :: BACKED -> break
  :: !BACKED ->
     begin(); lock_page();
     give_block(); BUSY = false; handles--
  od;
  lock_page();
  mem++; stores++;
  atomic { make_dirty() };
  BUSY = false;
  over++
}

proctype Msync() {
  byte k;
  for (k : 1 .. 2) { sync() };
  over++
}

proctype Commit() {
  byte k;
  for (k : 1 .. 2) {
    state = LOCKED;
    handles == 0;
    atomic { c_blk = blk; c_ordered = ordered; ordered = false; state = DATA };
    if :: c_ordered -> sync() :: else fi;
    assert(!c_blk || valid);                    /* the commit record */
    state = RUNNING
  };
  over++
}

init {
  atomic { run Thread(); run Write(); run Msync(); run Commit() };
  (over == 4);
  assert(DIRTY || disk == mem);
  assert(mem == stores);
  assert(!DIRTY || TAG)
}
