// umalloc.c -- malloc and free after Kernighan and Ritchie: a ring of free blocks in the order of their addresses, each
// with its size in front. A request takes the end of the first block that is large enough; what is given back joins its
// neighbours. More comes from sbrk.
#include "user.h"

typedef union header {
  struct {
    union header *next;
    ulong units; // of sizeof(Header), with the header
  } s;
  long align[2];
} Header;

enum { LEAST = 65536 }; // units that sbrk is asked for: 1 MiB. It costs nothing until it is touched

static Header base = {.s = {&base, 0}}; // the ring is never empty
static Header *last = &base;            // where the search begins: behind it

void
free(void *p)
{
  Header *b = (Header *)p - 1, *at;

  if(!p)
    return;
  for(at = last; !(at < b && b < at->s.next); at = at->s.next)
    if(at >= at->s.next && (b > at || b < at->s.next)) // at either end
      break;
  if(b + b->s.units == at->s.next) {
    b->s.units += at->s.next->s.units;
    b->s.next = at->s.next->s.next;
  } else {
    b->s.next = at->s.next;
  }
  if(at + at->s.units == b) {
    at->s.units += b->s.units;
    at->s.next = b->s.next;
  } else {
    at->s.next = b;
  }
  last = at;
}

static int
more(ulong units)
{
  ulong bytes = (units < LEAST ? LEAST : units) * sizeof(Header);
  char *p = bytes > 0x7fffffff ? (char *)-1 : sbrk(bytes);

  if(p == (char *)-1)
    return -1;
  ((Header *)p)->s.units = bytes / sizeof(Header);
  free((Header *)p + 1);
  return 0;
}

void *
malloc(uint n)
{
  ulong units = ((ulong)n + sizeof(Header) - 1) / sizeof(Header) + 1;
  Header *before = last, *b;

  for(;; before = b) {
    b = before->s.next;
    if(b->s.units >= units)
      break;
    if(b == last) {
      if(more(units) < 0)
        return 0;
      b = last;
    }
  }
  if(b->s.units == units) {
    before->s.next = b->s.next;
  } else {
    b->s.units -= units;
    b += b->s.units;
    b->s.units = units;
  }
  last = before;
  return b + 1;
}
