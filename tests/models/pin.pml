/* pin.pml -- the kernel's stores into a program's memory: mm/pin.c:pin_pages, pin_peek.
 *
 * read(2) stores two words into a private page of A through the kernel's own mapping, while fork shares the page with a
 * child, a thread of A stores to it, and the child looks twice. Nothing of A may be lost, and the child's page must not
 * change. Bounds: one page, one fork, one store of each.
 *
 * run: as_built         ok
 * run: kept_reference   assert    KEPT
 * run: no_slot_lock     assert    UNLOCKED
 *
 * KEPT      the page is looked up once, referenced, and both words are stored through that reference
 * UNLOCKED  the look at the entry and the store are two steps */
typedef frame { byte ref, word[3] };
#define ONE    0
#define TWO    1
#define THEIRS 2
frame f[4];
byte slotA = 0, slotB = 255, fresh = 1, over = 0;
bool writable = true, lock = false;

/* A write fault: the whole of it, as cow.pml shows that others see it as one step. Holds the slot lock. */
inline make_writable(q) {
  if
  :: f[slotA].ref == 1 -> writable = true
  :: else -> q = fresh; fresh++; f[q].ref = 1; f[q].word[ONE] = f[slotA].word[ONE]; f[q].word[TWO] = f[slotA].word[TWO];
     f[q].word[THEIRS] = f[slotA].word[THEIRS]; f[slotA].ref--; slotA = q; writable = true
  fi
}

inline store(what, q) {
  do
#ifdef UNLOCKED
  :: writable -> q = slotA; f[q].word[what] = 1; break
#else
  :: atomic { writable && !lock -> f[slotA].word[what] = 1; break }
#endif
  :: atomic { !writable && !lock -> make_writable(q) }
  od
}

proctype Kernel() {
  byte p = 0;
#ifdef KEPT
  atomic { !lock -> make_writable(p); p = slotA; f[p].ref++ };
  f[p].word[ONE] = 1; f[p].word[TWO] = 1;
  atomic { f[p].ref-- };
#else
  store(ONE, p); store(TWO, p);
#endif
  assert(f[slotA].word[ONE] == 1 && f[slotA].word[TWO] == 1);
  over++
}

proctype Fork() {
  atomic { !lock -> lock = true };
  atomic { slotB = slotA; f[slotA].ref++; writable = false };
  lock = false; /* the finish is not modelled here: the kernel's stores use no TLB */
  over++
}

proctype Thread() {
  byte q = 0;
  do
  :: atomic { writable && !lock -> f[slotA].word[THEIRS] = 1; break }
  :: atomic { !writable && !lock -> make_writable(q) }
  od;
  over++
}

proctype Child() {
  byte saw1, saw2;
  (slotB != 255);
  atomic { saw1 = f[slotB].word[ONE]; saw2 = f[slotB].word[TWO] };
  assert(f[slotB].word[ONE] == saw1);
  assert(f[slotB].word[TWO] == saw2);
  over++
}

init {
  atomic { f[0].ref = 1; run Kernel(); run Fork(); run Thread(); run Child() };
  (over == 4);
  assert(f[slotA].word[ONE] == 1 && f[slotA].word[TWO] == 1 && f[slotA].word[THEIRS] == 1)
}
