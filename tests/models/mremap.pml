/* mremap.pml -- a mapping moves while a walker of the object's mappers looks for its pages: mm/mremap.c:move_region,
 * move_slots, mm/objmap.c:mappers_unmap, mobj_narrow.
 *
 * A private mapping of two pages moves from the old place to the new one; page 1 holds a private copy behind the new end of
 * the file, and the old place has an entry for it, which CPU 1 has in its TLB. A truncate computes addresses from the
 * region's bounds and drops what it finds there. When both are through, no slot has the copy, no entry and no TLB leads to
 * it, at either place. Faults are held off by as.lock; the CPU itself is not. Bounds: two pages, one move, one truncate.
 *
 * run: as_built       ok
 * run: no_maplock     assert    NO_MAPLOCK
 * run: bounds_first   assert    BOUNDS_FIRST
 * run: no_finish      assert    NO_FINISH
 *
 * NO_MAPLOCK    pages and bounds change without obj->maplock
 * BOUNDS_FIRST  the bounds change in a section of maplock of their own, before the pages move
 * NO_FINISH     mremap returns before every CPU has forgotten the old entries */
bool copy[2], pte[2], tlb[2];              /* of page 1, at the old place 0 and the new place 1 */
bool slots[2], maplock = false, returned = false;
byte at = 0, over = 0;                     /* where the region says that it is */

proctype Move() { /* as.lock held for writing */
  bool word;
#ifndef NO_MAPLOCK
  atomic { !maplock -> maplock = true };
#endif
#ifdef BOUNDS_FIRST
  at = 1;
  maplock = false;
#endif
  atomic { !slots[0] -> slots[0] = true };
  atomic { word = copy[0]; copy[0] = false; pte[0] = false };
  slots[0] = false;
  atomic { !slots[1] -> slots[1] = true };
  copy[1] = word;
  slots[1] = false;
#ifndef NO_FINISH
  tlb[0] = false;
#endif
#ifndef BOUNDS_FIRST
  at = 1;
#endif
#ifndef NO_MAPLOCK
#ifndef BOUNDS_FIRST
  maplock = false;
#endif
#endif
  returned = true;
  assert(!tlb[0]);
#ifdef NO_FINISH
  tlb[0] = false;
#endif
  over++
}

proctype Truncate() {
  byte a;
  atomic { !maplock -> maplock = true };
  a = at;
  atomic { !slots[a] -> slots[a] = true };
  atomic { copy[a] = false; pte[a] = false };
  slots[a] = false;
  tlb[a] = false;
  maplock = false;
  over++
}

proctype Cpu1() {
  byte n = 0;
  do
  :: n == 2 -> break
  :: atomic { n < 2 && pte[0] -> tlb[0] = true; n++ }
  :: atomic { n < 2 && !pte[0] -> break }
  :: atomic { returned -> break }
  od;
  over++
}

init {
  atomic { copy[0] = true; pte[0] = true; tlb[0] = true; run Move(); run Truncate(); run Cpu1() };
  (over == 3);
  assert(!copy[0] && !copy[1] && !pte[0] && !pte[1] && !tlb[0] && !tlb[1])
}
