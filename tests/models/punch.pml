/* punch.pml -- a hole is punched into a file whose block there is new in the running transaction: fs/ext3/length.c:
 * punch_part, mm/objmap.c:mobj_punch_begin, mm/mobj.c:load_admit, fs/ext3/data.c:ext3_makewrite.
 *
 * Punching holds its handle while it takes the page away, until the block is free: no commit falls between. Before, it waits
 * for a commit that is at the file's data. A store brings the page back, and a block: it waits for the cut holding nothing,
 * then makes the page ready in a handle. The size does not change, so any block in a commit must hold the file's data.
 * Bounds: one page that is dirty in a new block, one hole, one store after it, three commits.
 *
 * run: as_built         ok
 * run: no_handle        assert    NO_HANDLE
 * run: wait_first       assert    WAIT_FIRST
 * run: no_wait          assert    NO_WAIT
 * run: load_in_handle   deadlock  LOAD_IN_HANDLE
 *
 * NO_HANDLE       the page is taken away before the handle is opened
 * WAIT_FIRST      the wait for a commit at the data comes before the handle is opened
 * NO_WAIT         there is no such wait
 * LOAD_IN_HANDLE  who has to wait for the cut to end has a handle open, and the hole needs more than one handle */
#define RUNNING 0
#define LOCKED  1
#define DATA    2

bool BUSY = false, DIRTY = true, BACKED = true, cached = true, cut = false;
bool ordered = true, c_ordered = false, valid[3];
byte blk = 1, c_blk = 0, blocks = 1; /* which block, 0 none; has it the file's data */
byte state = RUNNING, handles = 0, over = 0;

inline begin() { atomic { state != LOCKED -> handles++ } }
inline lock_page() { atomic { !BUSY -> BUSY = true } }
inline wait_data() { !(state == DATA && c_ordered) }
inline take_away() {
  cut = true;
  lock_page(); atomic { cached = false; DIRTY = false; BACKED = false }; BUSY = false
}

proctype Punch() {
#ifdef NO_HANDLE
  wait_data();
  take_away();
  begin();
#else
#ifdef WAIT_FIRST
  wait_data();
  begin();
#else
  begin();
#ifndef NO_WAIT
  wait_data();
#endif
#endif
  take_away();
#endif
  blk = 0;
  handles--;
  begin(); handles--; /* blocks in more groups than one handle has room for */
  cut = false;
  over++
}

proctype Store() {
#ifdef LOAD_IN_HANDLE
  begin();
  if :: !cached -> !cut; cached = true :: else fi;
  handles--;
#else
  if
  :: !cached -> do :: atomic { !cut -> cached = true; break } od
  :: else
  fi;
#endif
  begin(); lock_page();
  if
  :: cached && !BACKED -> atomic { blocks++; blk = blocks; BACKED = true; DIRTY = true; ordered = true }
  :: else
  fi;
  BUSY = false; handles--;
  over++
}

proctype Commit() {
  byte k;
  for (k : 1 .. 3) {
    state = LOCKED;
    handles == 0;
    atomic { c_blk = blk; c_ordered = ordered; ordered = false; state = DATA };
    if
    :: c_ordered && cached -> lock_page(); if :: cached && DIRTY -> DIRTY = false; valid[blk] = true :: else fi; BUSY = false
    :: else
    fi;
    c_ordered = false;
    assert(!c_blk || valid[c_blk]);
    state = RUNNING
  };
  over++
}

init { atomic { run Punch(); run Store(); run Commit() }; (over == 3) }
