/* tables.pml -- two faults of different stretches (slot locks of their own, as.lock for reading) that both need the node
 * above them: arch/x86_64/pmap.c:pmap_prepare, lib/radix.c:radix_set, mm/advise.c:discard_region, mm/fault.c:fault_prepare.
 *
 * Each makes a node if it finds none, and puts its leaf there. Somebody discards the first one's leaf, and with PRUNE gives
 * back the node if nothing is in it, with as.lock held for writing. No leaf may be lost, no freed node used.
 * Bounds: two faults, one discard, three nodes.
 *
 * run: as_built        ok
 * run: as_built_prune  ok        PRUNE
 * run: plain_store     assert    PLAIN
 * run: prune_reading   assert    PRUNE READING
 *
 * PLAIN    the word above is tested and then stored to, without a compare-and-swap
 * READING  an empty node is freed with as.lock held for reading only */
byte top = 0, nodes = 1, leaf[3], readers = 0, over = 0;
bool freed[3], writer = false;

proctype Fault(byte mine) {
  byte node, seen;
  atomic { !writer -> readers++ };
  node = top;
  if
  :: node == 0 ->
     atomic { node = nodes; nodes++; seen = top };
#ifdef PLAIN
     if :: seen == 0 -> top = node :: else -> node = seen fi
#else
     atomic { if :: top == 0 -> top = node :: else -> node = top fi }
#endif
  :: else
  fi;
  atomic { assert(!freed[node]); leaf[node] = leaf[node] | mine };
  assert(top == node && (leaf[node] & mine || mine == 1)); /* the first one's may be discarded */
  readers--;
  over++
}

proctype Discard() {
#ifdef READING
  atomic { !writer -> readers++ };
#else
  atomic { !writer && readers == 0 -> writer = true };
#endif
  atomic { if :: top != 0 -> leaf[top] = leaf[top] & 2 :: else fi };
#ifdef PRUNE
  if
  :: top != 0 && leaf[top] == 0 -> atomic { freed[top] = true; top = 0 }
  :: else
  fi;
#endif
#ifdef READING
  readers--;
#else
  writer = false;
#endif
  over++
}

init { atomic { run Fault(1); run Fault(2); run Discard() }; (over == 3); assert(top != 0 && (leaf[top] & 2)) }
