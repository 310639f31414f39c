// radix.c -- sparse array of words; the page cache and the anonymous slots. radix.h has the shape and the contracts.
//
// Level 1 is a leaf. Readers of a fixed tree may run beside fillers of other stretches, so every word is loaded with
// acquire and stored with release; `used` and the words of a stretch change only under its caller's lock.
// Must not know what a word means, where nodes come from, or which lock is held.
#include "lib/atomic.h"
#include "lib/radix.h"

enum { LEAF = 1, LEVEL_OF_LEAVES = 2, STRETCH_FAN = 1 << (RADIX_STRETCH_BITS - RADIX_BITS) };

// Index bits that lie below a word of a node of this level.
static inline int
level_shift(int level)
{
  if(level <= LEVEL_OF_LEAVES)
    return level == LEAF ? 0 : RADIX_BITS;
  return RADIX_STRETCH_BITS + RADIX_BITS * (level - LEVEL_OF_LEAVES - 1);
}

static inline int
level_fan(int level)
{
  return level == LEVEL_OF_LEAVES ? STRETCH_FAN : RADIX_FAN;
}

static inline int
level_slot(uint64_t idx, int level)
{
  return (idx >> level_shift(level)) & (level_fan(level) - 1);
}

// Words that one node of this level and everything below it stand for.
static inline uint64_t
level_span(int level)
{
  return 1ull << level_shift(level + 1);
}

static int
levels_for(uint64_t idx)
{
  int level = LEAF;

  while(level <= RADIX_MAX_LEVELS && idx >= level_span(level))
    level++;
  return level;
}

static inline struct radix_node *
node_load(const uintptr_t *at)
{
  return (struct radix_node *)__atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static inline uintptr_t *
root_word(const struct radix *r)
{
  return (uintptr_t *)&r->root;
}

void
radix_init(struct radix *r)
{
  *r = (struct radix){0};
}

void
radix_init_fixed(struct radix *r, int index_bits)
{
  *r = (struct radix){.fixed = true, .levels = levels_for((1ull << index_bits) - 1)};
}

// The leaf that holds idx, or 0.
static struct radix_node *
leaf_find(const struct radix *r, uint64_t idx)
{
  struct radix_node *n = node_load(root_word(r));

  if(r->levels == 0 || idx >= level_span(r->levels))
    return 0;
  for(int level = r->levels; n && level > LEAF; level--)
    n = node_load(&n->word[level_slot(idx, level)]);
  return n;
}

uintptr_t
radix_get(const struct radix *r, uint64_t idx)
{
  struct radix_node *leaf = leaf_find(r, idx);

  return leaf ? __atomic_load_n(&leaf->word[level_slot(idx, LEAF)], __ATOMIC_ACQUIRE) : 0;
}

int
radix_need(const struct radix *r, uint64_t idx)
{
  int levels = r->fixed ? r->levels : levels_for(idx), need = 0;
  const uintptr_t *at = root_word(r);
  struct radix_node *n;

  if(!r->fixed && r->root && levels > r->levels) {
    need = levels - r->levels + levels - 1; // the new roots, and a path of its own below the topmost
  } else {
    if(r->root)
      levels = r->levels;
    while(levels > 0 && (n = node_load(at)) != 0) {
      at = &n->word[level_slot(idx, levels--)];
      if(levels == 0)
        return 0;
    }
    need = levels;
  }
  return min(need, RADIX_NEED_MAX);
}

// A growing tree gets levels until idx lies in it.
static bool
grow(struct radix *r, uint64_t idx, struct radix_stock *st)
{
  int want = levels_for(idx);

  if(want > RADIX_MAX_LEVELS)
    return false;
  if(r->root == 0)
    r->levels = want;
  while(r->levels < want) {
    struct radix_node *n;

    if(st->n == 0)
      return false;
    n = st->node[--st->n];
    n->word[0] = (uintptr_t)r->root;
    n->tags = r->root->tags != 0;
    n->used = ++r->levels == LEVEL_OF_LEAVES;
    r->root = n;
  }
  return true;
}

// The node behind the word `at`; a new one from the stock if there is none, or whoever was faster. 0: stock empty.
static struct radix_node *
node_enter(uintptr_t *at, struct radix_stock *st)
{
  struct radix_node *n = node_load(at);
  uintptr_t have = 0;

  if(n)
    return n;
  if(st->n == 0)
    return 0;
  n = st->node[--st->n];
  if(atomic_cas(at, &have, (uintptr_t)n))
    return n;
  st->node[st->n++] = n;
  return (struct radix_node *)have;
}

bool
radix_set(struct radix *r, uint64_t idx, uintptr_t word, struct radix_stock *st)
{
  uintptr_t *at = root_word(r);
  struct radix_node *n = 0;

  if(!r->fixed && !grow(r, idx, st))
    return false;
  if(idx >= level_span(r->levels))
    return false;
  for(int level = r->levels; level >= LEAF; level--) {
    bool absent_leaf = level == LEAF && n && *at == 0;
    struct radix_node *up = n;

    if((n = node_enter(at, st)) == 0)
      return false;
    if(absent_leaf)
      up->used++;
    at = &n->word[level_slot(idx, level)];
  }
  if(*at == 0)
    n->used++;
  __atomic_store_n(at, word, __ATOMIC_RELEASE);
  return true;
}

uintptr_t
radix_clear(struct radix *r, uint64_t idx)
{
  struct radix_node *leaf = leaf_find(r, idx);
  uintptr_t *at, word;

  if(leaf == 0)
    return 0;
  at = &leaf->word[level_slot(idx, LEAF)];
  word = *at;
  if(word) {
    if(leaf->tags)
      radix_untag(r, idx);
    __atomic_store_n(at, 0, __ATOMIC_RELEASE);
    leaf->used--;
  }
  return word;
}

bool
radix_next(const struct radix *r, uint64_t *idx, uint64_t hi, uintptr_t *word)
{
  uint64_t at = *idx;

  if(r->levels == 0)
    return false;
  hi = min(hi, level_span(r->levels));
  while(at < hi) {
    uintptr_t w = (uintptr_t)node_load(root_word(r));
    int level = r->levels;

    if(w == 0)
      return false;
    for(; w && level >= LEAF; level--) { // down as long as words to the right of `at` hold something
      const struct radix_node *n = (const struct radix_node *)w;
      int slot = level_slot(at, level), fan = level_fan(level);

      while((w = __atomic_load_n(&n->word[slot], __ATOMIC_ACQUIRE)) == 0 && ++slot < fan)
        at = (at | ((1ull << level_shift(level)) - 1)) + 1;
    }
    if(w && at < hi) {
      *idx = at;
      *word = w;
      return true;
    }
    if(w == 0) // the node of level + 1 holds nothing from `at` on: go on behind it
      at = (at | (level_span(level + 1) - 1)) + 1;
  }
  return false;
}

void
radix_tag(struct radix *r, uint64_t idx)
{
  struct radix_node *n = r->root;

  for(int level = r->levels; level >= LEAF; level--) {
    int slot = level_slot(idx, level);

    n->tags |= 1ull << slot;
    n = (struct radix_node *)n->word[slot];
  }
}

void
radix_untag(struct radix *r, uint64_t idx)
{
  struct radix_node *path[RADIX_MAX_LEVELS + 1], *n = r->root;

  for(int level = r->levels; level >= LEAF; level--) {
    path[level] = n;
    if(!(n->tags & 1ull << level_slot(idx, level)))
      return;
    n = (struct radix_node *)n->word[level_slot(idx, level)];
  }
  for(int level = LEAF; level <= r->levels; level++)
    if((path[level]->tags &= ~(1ull << level_slot(idx, level))) != 0)
      return;
}

bool
radix_tagged(const struct radix *r, uint64_t idx)
{
  struct radix_node *leaf = leaf_find(r, idx);

  return leaf && (leaf->tags >> level_slot(idx, LEAF) & 1);
}

bool
radix_next_tagged(const struct radix *r, uint64_t *idx, uint64_t hi, uintptr_t *word)
{
  const struct radix_node *n = r->root;
  int level = r->levels;
  uint64_t at = *idx;

  if(level == 0)
    return false;
  hi = min(hi, level_span(level));
  while(at < hi) {
    int slot = level_slot(at, level), skip;

    if(n->tags >> slot == 0) { // nothing from here to the end of the node: on behind it, from the root
      at = (at | (level_span(level) - 1)) + 1;
      n = r->root;
      level = r->levels;
      continue;
    }
    skip = __builtin_ctzll(n->tags >> slot);
    if(skip > 0)
      at = ((at >> level_shift(level)) + skip) << level_shift(level);
    if(level == LEAF)
      break;
    n = (const struct radix_node *)n->word[slot + skip];
    level--;
  }
  if(at >= hi)
    return false;
  *idx = at;
  *word = n->word[level_slot(at, LEAF)];
  return true;
}

struct pruning {
  uint64_t lo, hi; // nodes inside may go
  uint64_t from;   // nodes that end before it were looked at
};

static bool
node_empty(const struct radix_node *n, int level)
{
  if(level <= LEVEL_OF_LEAVES)
    return n->used == 0;
  for(int i = 0; i < RADIX_FAN; i++)
    if(n->word[i])
      return false;
  return true;
}

// Children first, so that a node whose last child has gone is found when the walk goes on at g->from.
static struct radix_node *
prune_below(uintptr_t *at, int level, uint64_t base, struct pruning *g)
{
  struct radix_node *n = node_load(at), *found;
  uint64_t last = base + level_span(level) - 1;

  if(n == 0 || last < g->from || base >= g->hi)
    return 0;
  for(int i = base < g->from ? level_slot(g->from, level) : 0; level > LEAF && i < level_fan(level); i++) {
    uint64_t first = base + ((uint64_t)i << level_shift(level));

    if(first >= g->hi)
      break;
    found = prune_below(&n->word[i], level - 1, first, g);
    if(found == 0)
      continue;
    if(level == LEVEL_OF_LEAVES)
      n->used--;
    return found;
  }
  if(base < g->lo || last >= g->hi || !node_empty(n, level))
    return 0;
  __atomic_store_n(at, 0, __ATOMIC_RELEASE);
  g->from = last;
  return n;
}

struct radix_node *
radix_prune(struct radix *r, uint64_t lo, uint64_t hi)
{
  struct pruning g = {.lo = lo, .hi = hi, .from = r->prune_at > lo && r->prune_at < hi ? r->prune_at : lo};
  struct radix_node *n = 0;

  if(r->levels == 0)
    return 0;
  n = prune_below(root_word(r), r->levels, 0, &g);
  if(n == 0 &&
     g.from > lo) { // a call with other bounds may have moved prune_at: only a whole walk proves there is none
    g.from = lo;
    n = prune_below(root_word(r), r->levels, 0, &g);
  }
  r->prune_at = n ? g.from : 0;
  if(r->root == 0 && !r->fixed)
    r->levels = 0;
  return n;
}
