/* balance.pml -- who makes pages dirty waits for who writes them back: mm/balance.c:mobj_balance, mm/dirty.c:sweep,
 * fs/writeback.c, fs/data.c:data_pace, mm/fault.c:fault_wait.
 *
 * A process writes to a file with inode.lock held; another stores to it through a mapping; the write-back thread cleans
 * pages; a truncate of the file waits for inode.lock; the journal commits. At most LIMIT pages may be dirty: who would make
 * one more waits until one was written. Nobody may wait for ever. Bounds: two pages, three dirtied by each, one commit.
 *
 * run: as_built     ok
 * run: takes_inode  deadlock  TAKES_INODE
 * run: waits_busy   deadlock  WAITS_BUSY
 * run: in_handle    deadlock  IN_HANDLE
 * run: no_wake      deadlock  NO_WAKE
 *
 * TAKES_INODE  write-back takes inode.lock to write a file's pages
 * WAITS_BUSY   the writer pauses with the page that it is about to change BUSY
 * IN_HANDLE    the writer pauses with a handle open, and write-back waits for the journal, as if it evicted an inode itself
 * NO_WAKE      the writers are asked to go on before the page counts as clean */
#define LIMIT 1
byte dirty = 0, done = 0, handles = 0, wake = 0, sleeping = 0;
bool inode = false, BUSY = false, locked = false, over = false;

inline begin() { atomic { !locked -> handles++ } }

inline balance() {
  do
  :: atomic { dirty < LIMIT -> break }
  :: atomic { dirty >= LIMIT -> sleeping++; wake = 0 }; atomic { wake > 0 -> wake--; sleeping-- }
  od
}

proctype Writer() {
  byte k;
  for (k : 1 .. 3) {
    atomic { !inode -> inode = true };
#ifdef IN_HANDLE
    begin();
#endif
#ifdef WAITS_BUSY
    atomic { !BUSY -> BUSY = true };
#endif
    balance();
#ifndef IN_HANDLE
    begin();
#endif
#ifndef WAITS_BUSY
    atomic { !BUSY -> BUSY = true };
#endif
    dirty++;
    BUSY = false;
    handles--;
    inode = false
  };
  done++
}

proctype Mapper() {
  byte k;
  for (k : 1 .. 3) { balance(); dirty++ };
  done++
}

proctype Truncate() {
  atomic { !inode -> inode = true };
  begin();
  atomic { !BUSY -> BUSY = true };
  BUSY = false;
  handles--;
  inode = false;
  done++
}

proctype WriteBack() {
  do
  :: over && dirty == 0 -> break
  :: dirty > 0 ->
#ifdef TAKES_INODE
     atomic { !inode -> inode = true };
#endif
#ifdef IN_HANDLE
     begin(); handles--;
#endif
     atomic { !BUSY -> BUSY = true };
#ifdef NO_WAKE
     wake = sleeping;
     dirty--;
#else
     dirty--;
     wake = sleeping;
#endif
     BUSY = false;
#ifdef TAKES_INODE
     inode = false;
#endif
  od
}

proctype Commit() {
  locked = true;
  handles == 0;
  locked = false;
  done++
}

init {
  atomic { run Writer(); run Mapper(); run Truncate(); run WriteBack(); run Commit() };
  (done == 4);
  over = true
}
