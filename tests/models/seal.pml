/* seal.pml -- the seal against writing and shared mappings that may write: fs/seal.c:seal_map, seal_add_locked,
 * mm/objmap.c:mobj_claim_write, mobj_unclaim_write, mobj_deny_write.
 *
 * A program maps the file for writing and takes the mapping away again; another seals the file. Neither takes the other's
 * lock. Once the file is sealed, nobody has it mapped for writing. Bounds: two mappers, each twice; one who seals until it
 * is allowed or gives up.
 *
 * run: as_built       ok
 * run: look_first     assert  LOOK_FIRST
 * run: unclaim_first  assert  UNCLAIM_FIRST
 * run: unasked        assert  UNASKED
 *
 * LOOK_FIRST     the seals are looked at first, and the object is claimed afterwards
 * UNCLAIM_FIRST  the claim is given back while the mapping is still there
 * UNASKED        the seal is set without a look at the claims */
byte claims = 0, mapped = 0;
bool denied = false, is_sealed = false;

proctype Mapper() {
  byte k;
  bool mine;
  for (k : 1 .. 2) {
    mine = false;
#ifdef LOOK_FIRST
    if :: !is_sealed -> mine = true; claims++ :: else fi;
#else
    atomic { if :: !denied -> claims++; mine = true :: else fi };
#endif
    if
    :: mine ->
       mapped++;
#ifdef UNCLAIM_FIRST
       claims--;
       mapped--
#else
       mapped--;
       claims--
#endif
    :: else
    fi
  }
}

proctype Sealer() {
  bool mine = false;
#ifdef UNASKED
  denied = true; mine = true;
#else
  atomic { if :: claims == 0 -> denied = true; mine = true :: claims > 0 fi };
#endif
  if
  :: mine ->
     is_sealed = true;
     assert(mapped == 0)
  :: else
  fi
}

/* what holds from then on */
proctype Watch() { if :: is_sealed -> assert(mapped == 0) :: true fi }

init { atomic { run Mapper(); run Mapper(); run Sealer(); run Watch() } }
