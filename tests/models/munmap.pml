/* munmap.pml -- the end of a mapping while a walker of the object's mappers is on its way, and a futex word is looked at:
 * mm/aspace.c:aspace_cut, aspace_prune, arch/x86_64/pmap.c:pmap_prune, mm/objmap.c:mappers_unmap, mm/pin.c:peek_u32.
 *
 * munmap takes out the entry, finishes, takes the region off obj->mappers, then unlinks the page table and frees it after
 * one more finish. A walker comes with obj->maplock and a slot lock, without as.lock. CPU 1 runs the space: its program
 * may have the table cached, and its kernel looks at a futex word with interrupts off and a slot lock. Nobody may use a
 * table that was freed, and the walker may not free the page while somebody can reach it. Bounds: one page, one table.
 *
 * run: as_built         ok
 * run: detach_first     assert    DETACH_FIRST
 * run: prune_first      assert    PRUNE_FIRST
 * run: table_at_once    assert    TABLE_AT_ONCE
 * run: peek_irq_on      assert    PEEK_IRQ_ON
 *
 * DETACH_FIRST   the region leaves the list before the finish of its last entry (rule 5)
 * PRUNE_FIRST    the table goes before the region has left the list (rule 8)
 * TABLE_AT_ONCE  the table is freed without a finish after it was unlinked (rule 8)
 * PEEK_IRQ_ON    the futex word is looked at with interrupts on and without as.lock (rule 8) */
bool pte = true, tlb = true;                      /* the leaf entry, and CPU 1's translation */
bool linked = true, cached_table = true, table_freed = false; /* the table: in the upper one, in CPU 1's walk cache */
bool listed = true, maplock = false, slot = false, irq_off = false, page_freed = false, page_cut = false;
byte ref = 1, over = 0;                           /* of the page: the cache's */

/* CPU 1 answers only while its interrupts are on */
inline finish() { atomic { !irq_off -> tlb = false; cached_table = false } }
inline drop() { atomic { ref--; if :: ref == 0 -> page_freed = true :: else fi } }
inline detach() { atomic { !maplock -> maplock = true }; listed = false; maplock = false }

proctype Munmap() { /* as.lock held for writing throughout */
#ifdef DETACH_FIRST
  detach();
#endif
  atomic { !slot -> slot = true };
  pte = false;
  slot = false;
  finish();
#ifdef PRUNE_FIRST
  linked = false; finish(); table_freed = true;
  detach();
#else
#ifndef DETACH_FIRST
  detach();
#endif
  linked = false;
#ifndef TABLE_AT_ONCE
  finish();
#endif
  table_freed = true;
#endif
  over++
}

proctype Truncate() { /* the page is out of the cache already */
  bool there;
  atomic { !maplock -> maplock = true };
  if
  :: listed ->
     atomic { !slot -> slot = true };
     there = linked;
     if :: there -> assert(!table_freed); pte = false :: else fi;
     slot = false;
     finish()
  :: else
  fi;
  maplock = false;
  drop();
  over++
}

proctype Cpu1() {
  byte n = 0;
  bool there;
  do
  :: n == 2 -> break
  :: atomic { n < 2 && tlb -> assert(!page_freed); n++ }
  :: atomic { n < 2 && cached_table -> assert(!table_freed); n++; if :: pte -> tlb = true :: else fi }
  :: n < 2 -> /* futex: a look through the table */
#ifndef PEEK_IRQ_ON
     irq_off = true;
#endif
     atomic { !slot -> slot = true };
     there = linked;
     if :: there -> assert(!table_freed) :: else fi;
     slot = false;
     irq_off = false;
     n++
  od;
  over++
}

init { atomic { run Munmap(); run Truncate(); run Cpu1() }; (over == 3); assert(!tlb && !cached_table) }
