// errseq.c -- one word that tells many watchers of an error, each of them once; errseq.h has the rules.
// Must not know what failed.
#include "lib/errseq.h"
#include "lib/atomic.h"

enum { ERRNO = 0xfff, SEEN = 0x1000, ONE = 0x2000 };

void
errseq_set(uint32_t *e, int err)
{
  uint32_t have = atomic_get(e), want;

  do {
    want = (have & ~(uint32_t)(ERRNO | SEEN)) | (-err & ERRNO);
    if(have & SEEN)
      want += ONE;
  } while(!atomic_cas(e, &have, want));
}

uint32_t
errseq_begin(const uint32_t *e)
{
  uint32_t have = atomic_get(e);

  return have & SEEN ? have : 0;
}

int
errseq_report(uint32_t *e, uint32_t *since)
{
  uint32_t have = atomic_get(e), told;

  if(have == atomic_get(since))
    return 0;
  told = have | SEEN;
  atomic_cas(e, &have, told); // or it was seen by another, or is out of date, and then tells so next time
  return atomic_swap(since, told) == told ? 0 : -(int)(told & ERRNO);
}
