// radix.h -- a sparse array of words: the page cache of an object and the anonymous slots of an address space.
//
// A leaf holds 64 words, the level above it 8 leaves: together 512 words, one *stretch* (2 MiB of pages). All other
// levels hold 64. A tree of fixed height (radix_init_fixed) is built from the root down; nodes above a stretch are
// entered by compare-and-swap, so that fillers of different stretches need no common lock. A growing tree
// (radix_init) starts empty, adds levels at the root and needs one lock around everything.
// The tree never allocates: nodes come from a caller's radix_stock, and go back to one. A node in a stock is all zeros,
// and so is one that radix_prune returns.
// Typical: need = radix_need(r, i) / fill the stock / lock / radix_set(r, i, word, &st) / unlock / again if it was false.
// Words can be tagged (only in a tree whose callers all hold one lock); tagged words are found without a look at others.
// Knows nothing of what a word or a tag means; 0 is "empty".
#pragma once
#include "lib/util.h"

enum { RADIX_BITS = 6, RADIX_FAN = 64, RADIX_STRETCH_BITS = 9, RADIX_MAX_LEVELS = 10 };
enum { RADIX_NEED_MAX = 8 }; // the most that radix_need asks for at a time

struct radix_node {
  uintptr_t word[RADIX_FAN]; // leaf: the words; above: struct radix_node *
  uint16_t used;             // words that are not 0 (kept for nodes of a stretch; 0 above it)
  uint16_t sharers;          // reserved: address spaces that share this leaf
  uint64_t tags;             // bit i: word i is tagged; above a leaf: something below it is
};

struct radix {
  struct radix_node *root;
  uint64_t prune_at; // where radix_prune goes on
  uint8_t levels;    // levels of nodes, leaf included; 0: nothing yet
  bool fixed;
};

// Nodes set aside before a lock is taken.
struct radix_stock {
  int n;
  struct radix_node *node[RADIX_MAX_LEVELS];
};

void radix_init(struct radix *r);
void radix_init_fixed(struct radix *r, int index_bits);
// The word at idx, or 0.
uintptr_t radix_get(const struct radix *r, uint64_t idx);
// How many nodes radix_set of a non-zero word at idx would take from the stock now, but never more than RADIX_NEED_MAX:
// a growing tree that jumps to a far index may want more, and then takes two rounds.
int radix_need(const struct radix *r, uint64_t idx);
// Put a non-zero word at idx. false, and nothing changed but interior nodes, if the stock was too small: fill it and call
// again (each round enters what it was given). Always false for an index that a fixed tree does not have.
bool radix_set(struct radix *r, uint64_t idx, uintptr_t word, struct radix_stock *st);
// Empty the word at idx and return what it was. Frees no node.
uintptr_t radix_clear(struct radix *r, uint64_t idx);
// The first non-empty word in [*idx, hi): true, *idx and *word set; false if there is none. Skips absent nodes whole.
bool radix_next(const struct radix *r, uint64_t *idx, uint64_t hi, uintptr_t *word);
// Tag the word at idx, which is not empty; take the tag away (there need be none). Emptying a word untags it.
void radix_tag(struct radix *r, uint64_t idx);
void radix_untag(struct radix *r, uint64_t idx);
bool radix_tagged(const struct radix *r, uint64_t idx);
// As radix_next, but only tagged words: costs what is tagged.
bool radix_next_tagged(const struct radix *r, uint64_t *idx, uint64_t hi, uintptr_t *word);
// Take out a node that holds nothing and lies wholly inside [lo, hi) (any node if lo = 0, hi = ~0): returns it, or 0
// when there is none left. The caller excludes everyone else, as for emptying interior words. Amortized O(1) a node
// when called until 0.
struct radix_node *radix_prune(struct radix *r, uint64_t lo, uint64_t hi);
