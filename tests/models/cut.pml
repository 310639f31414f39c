/* cut.pml -- a page of a file is taken away, by truncate or by a hole in its middle, while a fault brings it:
 * mm/objmap.c:cut_begin, cut_pages, cut_do, mm/mobj.c:load_admit, window_insert, mm/fault.c:fault_object.
 *
 * The cutter marks the range, takes the page out of the cache, unmaps it, frees its frame, gives back its block, and ends
 * the cut. A thread that misses the page loads it, and enters it in the section of the slot lock in which it looked it up.
 * Its CPU uses it through its TLB. Nobody may use a freed frame, or read after the cut what was there before it.
 * Bounds: one page, two loads of it, three accesses.
 *
 * run: as_built       ok
 * run: unmap_first    assert    UNMAP_FIRST
 * run: two_sections   assert    TWO_SECTIONS
 * run: frame_first    assert    FRAME_FIRST
 * run: no_cut         assert    NO_CUT
 * run: admit_once     assert    ADMIT_ONCE
 *
 * UNMAP_FIRST   the page leaves the mappings first and the cache second
 * TWO_SECTIONS  a fault looks up in one section of the slot lock and enters in another
 * FRAME_FIRST   the frame goes when the page has left the cache
 * NO_CUT        who misses the page loads it though a cut is under way
 * ADMIT_ONCE    the load asks for a cut before it has a frame, and not again when it puts the page into the cache */
#define OLD 1
#define ZERO 2
byte cached = OLD, frame = OLD, pte = 0, tlb = 0; /* which contents; 0: not there. Old and new page are two frames. */
byte block = OLD;                                 /* what a read of the file's block gives: a hole gives zeros */
bool cut = false, slot = false, freed = false, cut_over = false, over = false;

inline unmap() {
  atomic { !slot -> slot = true };
  pte = 0;
  slot = false;
  tlb = 0
}

proctype Cutter() {
  cut = true;
#ifdef UNMAP_FIRST
  unmap();
  cached = 0;
#else
  cached = 0;
#ifdef FRAME_FIRST
  freed = true;
#endif
  unmap();
#endif
  freed = true;
  block = ZERO;
  cut = false;
  cut_over = true
}

inline load() {
#ifndef NO_CUT
  !cut;
#endif
  content = block;
#ifdef NO_CUT
  atomic { if :: cached == 0 -> cached = content :: else fi }
#else
#ifdef ADMIT_ONCE
  atomic { if :: cached == 0 -> cached = content :: else fi }
#else
  atomic { if :: cached == 0 && !cut -> cached = block :: else fi }
#endif
#endif
}

proctype Thread() {
  byte n = 0, loads = 0, content, found;
  bool after;
  do
  :: n == 3 -> break
  :: n < 3 && tlb != 0 ->
     after = cut_over;
     atomic { if :: tlb != 0 -> assert(!(tlb == OLD && freed)); assert(!(after && tlb == OLD)); n++ :: else fi }
  :: atomic { tlb == 0 && pte != 0 -> tlb = pte }
  :: n < 3 && tlb == 0 && pte == 0 && cached == 0 && loads < 2 -> load(); loads++
  :: n < 3 && tlb == 0 && pte == 0 && cached == 0 && loads == 2 -> break
  :: n < 3 && tlb == 0 && pte == 0 && cached != 0 ->
     atomic { !slot -> slot = true };
     found = cached;
#ifdef TWO_SECTIONS
     slot = false;
     atomic { !slot -> slot = true };
#endif
     if :: found != 0 -> pte = found :: else fi;
     slot = false
  od;
  over = true
}

init {
  if :: true :: cached = 0 fi; /* the page may be there already */
  run Cutter(); run Thread();
  (cut_over && over);
  assert(cached != OLD && pte != OLD && tlb != OLD)
}
