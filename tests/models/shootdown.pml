/* shootdown.pml -- two who change one address space's entries, neither of whom has finished:
 * arch/x86_64/tlb.c:shootdown_finish, mm/objmap.c:mobj_narrow, mobj_unmap_idle, mm/dirty.c:mobj_flush, mm/mobj.c:mobj_drop.
 *
 * One page of a shared file. A thread on CPU 1 stores and loads through its TLB. CPU 0 takes away its right to write
 * (mprotect), or the mapping (UNMAP). CPU 2 writes the page back and then reclaims it. When mprotect returns, no CPU may
 * store; when munmap returns, no CPU may reach the page; no store may be lost; nobody may use a frame that was given back.
 * Bounds: one page, two stores, four loads.
 *
 * run: mprotect           ok
 * run: munmap             ok        UNMAP
 * run: mprotect_alone     assert    OWN_ONLY
 * run: munmap_alone       assert    UNMAP OWN_ONLY
 * run: munmap_off_first   assert    UNMAP OFF_FIRST
 * run: drop_not_busy      assert    DROP_NOT_BUSY
 * run: write_first        assert    WRITE_FIRST
 * run: clean_first        assert    CLEAN_FIRST
 *
 * OWN_ONLY        a finish flushes only what its own side changed (rules 1 and 6)
 * OFF_FIRST       munmap takes the region off the list of mappers before its finish (rule 5)
 * DROP_NOT_BUSY   reclaim lets BUSY go between the unmapping and the drop
 * WRITE_FIRST     the disk write reads the page before the entries are narrowed
 * CLEAN_FIRST     DIRTY is cleared before the entries are narrowed and forgotten */
bool BUSY = false, DIRTY = true, cached = true, listed = true, freed = false;
byte ref = 1;                      /* the cache's, and those of walkers */
byte mem = 0, disk = 0;            /* contents: how many stores they have seen */
bool pte = true, ptew = true;      /* the entry */
bool tlb = true, tlbw = true;      /* CPU 1's */
byte pending = 0;
bool aslock = false, maplock = false, mapped = true, readonly = false;
bool op_over = false, walk_over = false, cpu_over = false;

inline finish(mine) {
#ifdef OWN_ONLY
  if :: mine -> atomic { tlb = false; tlbw = false } :: else fi;
#else
  if :: mine || pending > 0 -> atomic { tlb = false; tlbw = false } :: else fi;
#endif
  atomic { if :: mine -> pending-- :: else fi }
}

proctype Op() {
  bool mine;
  atomic { !aslock -> aslock = true };
#ifdef UNMAP
#ifdef OFF_FIRST
  atomic { !maplock -> listed = false };
#endif
  atomic { mine = pte; if :: mine -> pending++ :: else fi; pte = false; ptew = false };
  finish(mine);
#ifndef OFF_FIRST
  atomic { !maplock -> listed = false };
#endif
  mapped = false; op_over = true;
  aslock = false;
  assert(!tlb)
#else
  atomic { mine = ptew; if :: mine -> pending++ :: else fi; ptew = false; readonly = true };
  finish(mine);
  op_over = true;
  aslock = false;
  assert(!tlbw)
#endif
}

proctype Cpu() {
  byte stores = 0, loads = 0;
  do
  :: stores == 2 || op_over || !cached || readonly -> break
  :: atomic { stores < 2 && tlbw -> assert(!freed); mem++; stores++ }
  :: atomic { tlb && loads < 4 -> assert(!freed); loads++ }
  :: atomic { stores < 2 && !tlbw && pte && ptew -> tlb = true; tlbw = true }
  :: atomic { !tlb && pte -> tlb = true; tlbw = false }
  :: atomic { !op_over && !aslock && mapped && !readonly && cached && !BUSY && !ptew && stores < 2 ->
       pte = true; ptew = true; DIRTY = true }  /* one section of the slot lock and obj.lock */
  :: atomic { !op_over && !aslock && mapped && cached && !BUSY && !pte && loads < 4 -> pte = true; loads++ }
  od;
  cpu_over = true
}

inline narrow(all) {
  atomic { !maplock -> maplock = true };
  if
  :: listed ->
     atomic { mine = (pte && (ptew || all)); if :: mine -> pending++ :: else fi; if :: all -> pte = false :: else fi; ptew = false };
     finish(mine)
  :: else
  fi;
  maplock = false
}

proctype Walker() {
  bool mine, clean;
  atomic { !BUSY -> BUSY = true; ref++ };
  if
  :: DIRTY ->
#ifdef WRITE_FIRST
     disk = mem;
#endif
#ifdef CLEAN_FIRST
     DIRTY = false; disk = mem;
#endif
     narrow(false);
     DIRTY = false;
#ifndef WRITE_FIRST
#ifndef CLEAN_FIRST
     disk = mem
#endif
#endif
  :: else
  fi;
  BUSY = false;
  /* reclaim */
  atomic { !BUSY -> BUSY = true };
  clean = !DIRTY;
  if
  :: clean ->
     narrow(true);
#ifdef DROP_NOT_BUSY
     BUSY = false;
#endif
     clean = !DIRTY;
     atomic { if :: clean && ref == 2 -> cached = false; freed = true; assert(disk == mem) :: else fi; ref-- }
  :: else -> ref--
  fi;
  BUSY = false;
  walk_over = true
}

init {
  atomic { run Op(); run Cpu(); run Walker() };
  (op_over && walk_over && cpu_over);
  assert(!(freed && (pte || tlb)));
  assert(DIRTY || disk == mem)
}
