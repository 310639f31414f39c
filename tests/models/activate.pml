/* activate.pml -- which CPUs a change of entries has to ask: arch/x86_64/tlb.c:pmap_activate, tlb_broadcast, tlb_evict,
 * arch/x86_64/pmap.c:pmap_try_replace, pmap_destroy.
 *
 * CPU 1 loads the page table, runs a program that uses its one entry, and loads another table again, without waiting for
 * anybody; it answers only while its interrupts are on. CPU 0 takes the entry out and asks the CPUs of pm->cpus, or
 * replaces it in place if there are none (REPLACE), or frees the table, which CPU 1 may have loaded still although no
 * thread of the space is left (DESTROY). When CPU 0 is through, CPU 1 must not hold the old entry, or the table.
 * Bounds: CPU 1 comes by twice.
 *
 * run: as_built      ok
 * run: replace       ok        REPLACE
 * run: destroy       ok        DESTROY
 * run: load_first    assert    LOAD_FIRST
 * run: ask_first     assert    ASK_FIRST
 * run: leave_early   assert    LEAVE_EARLY
 * run: look_first    assert    REPLACE LOOK_FIRST
 * run: not_evicted   assert    DESTROY NOT_EVICTED
 *
 * LOAD_FIRST   a CPU loads the table before it sets its bit
 * LEAVE_EARLY  a CPU clears its bit before it has loaded another table
 * ASK_FIRST    the set of CPUs is read before the entry is changed
 * LOOK_FIRST   pmap_try_replace looks at the set while the old entry is still there
 * NOT_EVICTED  a table is freed without asking the CPUs that have it loaded lazily */
#define OLD 1
#define NEW 2

byte pte = OLD, tlb = 0; /* tlb: CPU 1's translation, 0: none */
bool here = false, loaded = false, ask = false, evict = false, freed = false;
byte over = 0;

inline answer() {
  atomic { ask -> tlb = 0; if :: evict && loaded -> loaded = false; here = false :: else fi; ask = false }
}

inline enter() { /* interrupts off */
#ifdef LOAD_FIRST
  loaded = true;
  if :: pte != 0 -> tlb = pte :: else fi; /* the CPU may fetch at once */
  here = true
#else
  here = true;
  loaded = true
#endif
}

inline leave() { /* interrupts off */
#ifdef LEAVE_EARLY
  here = false;
  atomic { loaded = false; tlb = 0 }
#else
  atomic { loaded = false; tlb = 0 };
  here = false
#endif
}

proctype Cpu1() {
  byte round = 0;
#ifdef DESTROY
  if :: loaded -> if :: leave() :: skip fi fi;
#else
  do
  :: round == 2 -> break
  :: round < 2 ->
     enter();
     do
     :: atomic { tlb == 0 && pte != 0 -> tlb = pte }
     :: answer()
     :: !ask -> break
     od;
     leave();
     round++
  :: answer()
  od;
#endif
  over++;
  do :: answer() :: over == 2 && !ask -> break od
}

proctype Cpu0() {
  bool others;
#ifdef DESTROY
  others = here;
#ifndef NOT_EVICTED
  if :: others -> atomic { evict = true; ask = true }; !ask :: else fi;
#endif
  freed = true;
  assert(!loaded);
#else
#ifdef REPLACE
#ifdef LOOK_FIRST
  others = here;
  if :: !others -> pte = NEW :: else fi;
#else
  pte = 0;
  others = here;
  if :: !others -> pte = NEW :: else -> pte = OLD fi;
#endif
  assert(others || tlb != OLD);
#else
#ifdef ASK_FIRST
  others = here;
  pte = 0;
#else
  pte = 0;
  others = here;
#endif
  if :: others -> ask = true; !ask :: else fi;
  assert(tlb != OLD);
  pte = NEW;
#endif
#endif
  over++
}

init {
  atomic {
#ifdef DESTROY
    here = true; loaded = true; tlb = OLD;
#endif
    run Cpu1(); run Cpu0()
  }
}
