/* cow.pml -- a write fault on a page that is shared: mm/fault.c:fault_copy, fault_fill, fault_swap.
 *
 * Space A has three threads, each on a CPU with a TLB entry of its own: two store to one word, one loads it. Space B was
 * forked from A: frame 0 is in a slot of each. B stores too. With CUT, somebody drops A's private copy meanwhile, as a
 * truncate does (mm/objmap.c:stretch_unmap). A load must see what was last stored in its own space, never another space's
 * bytes, never a frame that was given back. Bounds: two stores and three loads (with CUT: two) in A, one store in B (with CUT: none).
 *
 * run: as_built         ok
 * run: as_built_cut     ok        CUT
 * run: not_busy         assert    NOT_BUSY
 * run: put_early        assert    PUT_EARLY
 * run: copy_unlocked    assert    COPY_UNLOCKED
 * run: no_second_look   assert    CUT NO_SECOND_LOOK
 *
 * NOT_BUSY        the new page may be entered by others while old translations are in use
 * PUT_EARLY       the old page is put when its entry goes, not after the finish
 * COPY_UNLOCKED   the copy is made without the slot lock, and the slot not looked at again
 * NO_SECOND_LOOK  after the finish the page is entered though it may not be in the slot any more */
#define NONE 255
#define POISON 99

byte ref[5], word[5]; /* frames */
bool busy[5];
byte fresh = 1;       /* the next free frame */
byte slotA = 0, slotB = 0, pte = 0, tlb[3];
bool writable = false, tlbw[3], lockA = false, lockB = false, gone = false;
byte truthA = 0, truthB = 0, over = 0;

inline put(f) { atomic { ref[f]--; if :: ref[f] == 0 -> word[f] = POISON :: else fi } }
inline forget(c) { atomic { tlb[c] = NONE; tlbw[c] = false } }
inline finish() { forget(0); forget(1); forget(2) }

inline fault_write() {
  atomic { !lockA -> lockA = true };
  old = slotA;
  if
  :: old == NONE -> lockA = false /* cut off: SIGBUS, seen at the top of the loop */
  :: old != NONE && busy[old] -> lockA = false; (!busy[old] || slotA != old)
  :: old != NONE && !busy[old] && ref[old] == 1 -> atomic { pte = old; writable = true; lockA = false }
  :: old != NONE && !busy[old] && ref[old] > 1 && writable -> lockA = false
  :: old != NONE && !busy[old] && ref[old] > 1 && !writable ->
     atomic { new = fresh; fresh++; ref[new] = 1 };
#ifdef COPY_UNLOCKED
     lockA = false; word[new] = word[old]; atomic { !lockA -> lockA = true };
#else
     word[new] = word[old];
#endif
     if
     :: pte == NONE -> atomic { slotA = new; pte = new; writable = true }; put(old); lockA = false
     :: pte != NONE ->
#ifdef NOT_BUSY
        atomic { slotA = new; ref[new]++; pte = NONE; writable = false };
#else
        atomic { slotA = new; ref[new]++; busy[new] = true; pte = NONE; writable = false };
#endif
#ifdef PUT_EARLY
        put(old);
#endif
        lockA = false;
        finish();
#ifndef PUT_EARLY
        put(old);
#endif
        atomic { !lockA -> lockA = true };
#ifdef NO_SECOND_LOOK
        pte = new; writable = true;
#else
        atomic { if :: slotA == new -> pte = new; writable = true :: else fi };
#endif
        busy[new] = false; put(new); lockA = false
     fi
  fi
}

proctype Storer(byte me; byte stores) {
  byte n = 0, old, new;
  do
  :: n == stores || (gone && tlb[me] == NONE) -> break
  :: atomic { n < stores && tlb[me] != NONE && tlbw[me] ->
       assert(word[tlb[me]] == truthA); truthA++; word[tlb[me]] = truthA; n++ }
  :: atomic { n < stores && !(tlb[me] != NONE && tlbw[me]) && pte != NONE && writable -> tlb[me] = pte; tlbw[me] = true }
  :: n < stores && !(tlb[me] != NONE && tlbw[me]) && !(pte != NONE && writable) && !gone -> fault_write()
  od;
  over++
}

#ifdef CUT
#define LOADS 2
#else
#define LOADS 3
#endif
proctype Loader() {
  byte n = 0;
  do
  :: n == LOADS || (gone && tlb[2] == NONE) -> break
  :: atomic { n < LOADS && tlb[2] != NONE -> assert(word[tlb[2]] == truthA); n++ }
  :: atomic { n < LOADS && tlb[2] == NONE && pte != NONE -> tlb[2] = pte; tlbw[2] = writable }
  :: atomic { n < LOADS && tlb[2] == NONE && pte == NONE && !lockA && slotA != NONE && !busy[slotA] ->
       pte = slotA; writable = false }
  od;
  over++
}

proctype Child() {
  byte n = 0, q;
  do
  :: n == 1 -> break
  :: n < 1 -> atomic { !lockB -> lockB = true };
     if
     :: ref[slotB] == 1 -> atomic { assert(word[slotB] == truthB); truthB = 50; word[slotB] = 50; n++ }
     :: else -> atomic { q = fresh; fresh++; ref[q] = 1 }; word[q] = word[slotB]; put(slotB); slotB = q
     fi;
     lockB = false
  od;
  over++
}

#ifdef CUT
proctype Cutter() {
  byte pg;
  atomic { !lockA -> lockA = true };
  pg = slotA;
  atomic { slotA = NONE; pte = NONE; writable = false; gone = true };
  lockA = false;
  finish();
  put(pg);
  over++
}
#endif

init {
  atomic {
    ref[0] = 2; tlb[0] = NONE; tlb[1] = NONE; tlb[2] = 0;
    run Storer(0, 1); run Storer(1, 1); run Loader();
#ifdef CUT
    run Cutter()
#else
    run Child()
#endif
  };
  (over == 4);
  assert(slotA == NONE || word[slotA] == truthA);
  assert(pte == NONE || pte == slotA);
  assert(word[slotB] == truthB)
}
