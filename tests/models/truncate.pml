/* truncate.pml -- a file on the disk is made shorter while a store brings a page behind the new end its first block:
 * fs/ext3/length.c:shorten, fs/ext3/data.c:give_block, fs/journal/ordered.c:ordered_wait, mm/objmap.c:mobj_truncate.
 *
 * One page, behind the new end and below the old one. Truncate puts the new size and "unfinished" into one transaction,
 * waits for a commit that is writing the file's data, lowers the size in memory and takes the page away, gives back the
 * block, and is finished. The store's fault may find the page before the size in memory falls. The journal commits three
 * times. What each commit makes durable must be good: a block within the size holds the file's data, a block behind it is
 * found by the next mount. In the end the disk's size is the new one, and the block is free.
 * Bounds: one page, one store, three commits.
 *
 * run: as_built        ok
 * run: no_wait         assert    NO_WAIT
 * run: size_grows      assert    SIZE_GROWS
 * run: not_unfinished  assert    NOT_UNFINISHED
 * run: pages_first     assert    PAGES_FIRST
 * run: no_second_look  assert    NO_SECOND_LOOK
 *
 * NO_WAIT         the page is taken away though a commit that has its block is yet to write it
 * SIZE_GROWS      a new block raises the disk's size to what memory says, though it is being lowered
 * NOT_UNFINISHED  the inode is not on the list of those that the next mount must finish
 * PAGES_FIRST     the page is taken away before the new size is in a transaction
 * NO_SECOND_LOOK  makewrite does not ask, once it has the page BUSY, whether it still is the file's */
#define RUNNING 0
#define LOCKED  1
#define DATA    2

bool BUSY = false, DIRTY = false, BACKED = false, cached = true;
bool covers = true;                 /* the size in memory: does it cover the page? */
bool dcovers = true;                /* the size that goes to the disk */
bool bound = false, orphan = false, ordered = false, valid[3];
byte blk = 0, c_blk = 0, blocks = 0; /* which block, 0 none; has it the file's data */
bool c_covers, c_orphan, c_ordered;
byte state = RUNNING, handles = 0, over = 0;

inline begin() { atomic { state != LOCKED -> handles++ } }
inline lock_page() { atomic { !BUSY -> BUSY = true } }

proctype Store() { /* found the page in the cache, and no block; if it has left the cache then, SIGBUS */
  if
  :: covers && cached ->
     begin(); lock_page();
#ifdef NO_SECOND_LOOK
     if
     :: !BACKED ->
#else
     if
     :: cached && !BACKED ->
#endif
        atomic { /* info.lock */
          blocks++; blk = blocks; BACKED = true; DIRTY = cached; ordered = true;
#ifdef SIZE_GROWS
          if :: covers -> dcovers = true :: else fi
#else
          if :: covers && !bound -> dcovers = true :: else fi
#endif
        }
     :: else
     fi;
     BUSY = false; handles--
  :: else
  fi;
  over++
}

inline take_away() {
  lock_page(); atomic { cached = false; DIRTY = false; BACKED = false }; BUSY = false
}

proctype Truncate() {
#ifdef PAGES_FIRST
  covers = false;
  take_away();
#endif
  begin();
  atomic {
#ifndef NOT_UNFINISHED
    orphan = true;
#endif
    dcovers = false; bound = true
  };
  handles--;
#ifndef NO_WAIT
  !(state == DATA && c_ordered);
#endif
#ifndef PAGES_FIRST
  covers = false;
  take_away();
#endif
  bound = false;
  begin(); blk = 0; handles--;
  begin(); orphan = false; handles--;
  over++
}

proctype Commit() {
  byte k;
  for (k : 1 .. 3) {
    state = LOCKED;
    handles == 0;
    atomic { c_blk = blk; c_covers = dcovers; c_orphan = orphan; c_ordered = ordered; ordered = false; state = DATA };
    if
    :: c_ordered && cached -> lock_page(); if :: cached && DIRTY -> DIRTY = false; valid[blk] = true :: else fi; BUSY = false
    :: else
    fi;
    c_ordered = false;
    assert(!(c_blk && c_covers) || valid[c_blk]);
    assert(!(c_blk && !c_covers) || c_orphan);
    state = RUNNING
  };
  over++
}

init {
  atomic { run Store(); run Truncate(); run Commit() };
  (over == 3);
  assert(!dcovers && !blk && !cached && !orphan)
}
