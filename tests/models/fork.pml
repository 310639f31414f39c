/* fork.pml -- fork against a truncate of the mapped file, and against threads that store meanwhile: mm/fork.c:fork_region,
 * fork_slots, fork_locked, mm/objmap.c:mappers_unmap.
 *
 * The parent holds a private copy of a page behind the new end. Truncate walks the object's mappers in order, one region
 * after the other, and drops such copies. Fork puts the child's region on the list and shares the slot with it. A thread of
 * the parent stores through its TLB. When both are through, nobody has the copy; and if the child has one (NOCUT), its page
 * is not written to by the parent any more. Bounds: one page, two regions, two stores.
 *
 * run: as_built       ok
 * run: stores         ok        NOCUT
 * run: attach_last    assert    ATTACH_LAST
 * run: in_front       assert    IN_FRONT
 * run: one_lock       assert    ONE_LOCK
 * run: unfinished     assert    NOCUT UNFINISHED
 *
 * ATTACH_LAST  the child's region joins the list when its slots are copied
 * IN_FRONT     it joins in front of its parent's
 * ONE_LOCK     the parent's slot lock is given back before the child's slot is filled
 * UNFINISHED   the child runs before every CPU has forgotten the parent's right to write */
bool parent = true, child = false;         /* the slots */
byte where = 0;                            /* the child's region on the list: 0 not, 1 behind, 2 in front */
bool lockp = false, lockc = false, maplock = false;
bool writable = true, tlbw = true, runs = false, over_fork = false, over_cut = false, over_cpu = false;
byte word = 0;

inline attach() {
  atomic { !maplock -> maplock = true };
#ifdef IN_FRONT
  where = 2;
#else
  where = 1;
#endif
  maplock = false
}

proctype Fork() {
  bool w;
#ifndef ATTACH_LAST
  attach();
#endif
  atomic { !lockp -> lockp = true };
#ifdef ONE_LOCK
  w = parent;
  lockp = false;
  atomic { !lockc -> lockc = true };
  child = w;
#else
  atomic { !lockc -> lockc = true };
  w = parent;
  child = w;
#endif
  lockc = false;
  writable = false;
  lockp = false;
#ifndef UNFINISHED
  tlbw = false;
#endif
#ifdef ATTACH_LAST
  attach();
#endif
  over_fork = true;
  runs = true;
#ifdef UNFINISHED
  tlbw = false
#endif
}

inline drop(lock, slot) {
  atomic { !lock -> lock = true };
  slot = false;
  lock = false
}

proctype Truncate() {
  atomic { !maplock -> maplock = true };
  if :: where == 2 -> drop(lockc, child) :: else fi;
  drop(lockp, parent);
  if :: where == 1 -> drop(lockc, child) :: else fi;
  maplock = false;
  over_cut = true
}

proctype Cpu() { /* stores of the parent, and what the child sees */
  byte n = 0;
  do
  :: n == 2 -> break
  :: atomic { n < 2 && tlbw -> assert(!runs); word++; n++ }
  :: atomic { n < 2 && !tlbw && writable -> tlbw = true }
  :: atomic { n < 2 && !tlbw && !writable -> break } /* a copy: cow.pml */
  od;
  over_cpu = true
}

init {
  atomic {
    run Fork();
#ifdef NOCUT
    over_cut = true; run Cpu()
#else
    over_cpu = true; run Truncate()
#endif
  };
  (over_fork && over_cut && over_cpu);
#ifdef NOCUT
  assert(parent && child)
#else
  assert(!parent && !child)
#endif
}
