/* softdirty.pml -- what was not stored to since it was last asked: mm/softdirty.c:aspace_soft_clear, and the fault of the
 * first store.
 *
 * CPU 1 stores to a page again and again, through its translation if that may write, else by a fault. CPU 0 clears: it
 * marks the slot and takes the right to write out of the entry in one section of the slot lock, and waits until CPU 1 has
 * forgotten its translation. Whoever stores after that must not find the mark still set. Bounds: three stores.
 *
 * run: as_built    ok
 * run: no_finish   assert  NO_FINISH
 * run: mark_later  assert  MARK_LATER
 *
 * NO_FINISH   who clears does not wait for the other CPU
 * MARK_LATER  the right is taken first, and the mark set in a section of its own */
bool entry = true, tlb = true; /* may they write? */
bool mark = false, cleared = false, ask = false, over = false;

inline answer() { atomic { ask -> tlb = entry; ask = false } }

proctype Cpu1() {
  byte k = 0;
  bool late;
  do
  :: k < 3 && tlb -> atomic { tlb -> late = cleared; assert(!late || !mark); k++ }
  :: k < 3 && !tlb -> atomic { mark = false; entry = true; tlb = true } /* the fault, under the slot lock */
  :: answer()
  :: atomic { tlb && !entry -> tlb = false } /* a translation may be forgotten at any time */
  :: k == 3 && over && !ask -> break
  od
}

proctype Cpu0() {
#ifdef MARK_LATER
  entry = false;
  mark = true;
#else
  atomic { mark = true; entry = false };
#endif
#ifndef NO_FINISH
  ask = true;
  !ask;
#endif
  cleared = true;
  over = true
}

init { atomic { run Cpu1(); run Cpu0() } }
