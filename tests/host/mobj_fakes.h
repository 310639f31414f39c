// mobj_fakes.h -- what the tests of the page cache run against: address spaces that are a table of entries and slots, with a
// TLB that keeps what was taken back until the finish; and a store whose reads end when somebody waits.
#pragma once
#include "fake_frames.h"
#include "fake_thread.h"

enum { ARENA = 8192, SPACE_PAGES = 512, STORE_PAGES = 400, SPACES = 2 };
#define BASE 0x10000ull

struct pmap {
  struct page *page[SPACE_PAGES], *tlb[SPACE_PAGES];
  int prot[SPACE_PAGES], tlb_prot[SPACE_PAGES];
  bool used[SPACE_PAGES];
};
struct space {
  struct aspace as;
  struct pmap pmap;
  struct page *slot[SPACE_PAGES];
};
extern struct space space[SPACES];
extern int finishes; // of shootdowns

struct store {
  struct mobj obj;
  uint64_t disk[STORE_PAGES]; // the word at the start and the end of each page
  struct page *pending[STORE_PAGES];
  int npending, fills, filled, flushes, flushed, released, touched, making;
  int placed;        // what the store says of each page's place
  uint64_t bad_fill; // index whose read fails
  bool bad_flush, async;
};
extern struct store st;

void map(struct region *r, struct space *s, struct mobj *obj, vaddr_t start, uint64_t npages, uint64_t pgoff,
         int flags);
void enter(struct space *s, vaddr_t va, struct page *pg, int prot);
// Is there a translation, however stale, that could still reach pg with one of these rights?
bool reachable(struct page *pg, int prot);

void store_fill(struct mobj *obj, struct page **pg, int n);
void store_release(struct mobj *obj);
bool store_idle(void); // end every read under way: was there one?

// A fresh store of STORE_PAGES pages, page i holding 1000 + i; its reads end later if async.
struct mobj *begin(bool async);
void end(void); // and nothing may be left of it
uint64_t cached(struct mobj *obj);
struct page *peek(struct mobj *obj, uint64_t idx); // borrowed, or 0
uint64_t *last_word(struct page *pg);
uint64_t look(struct mobj *obj, uint64_t idx); // the word of page idx through the cache, or an error
int store_word(struct mobj *obj, uint64_t idx, uint64_t word);
