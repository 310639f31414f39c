// lib_test.c -- kernel/lib against models: a plain map for the radix tree, a sorted array for the ordered tree, the
// host's C library for fmt and string. string.c is compiled with its names changed (lib.mk), so both can be called.
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "lib/bitmap.h"
#include "lib/elf.h"
#include "lib/fmt.h"
#include "lib/hash.h"
#include "lib/list.h"
#include "lib/errseq.h"
#include "lib/radix.h"
#include "lib/rbtree.h"
#include "test.h"

static uint64_t seed = 1;

static uint64_t
rnd(uint64_t below)
{
  seed = hash_u64(seed + 0x9e3779b97f4a7c15ull);
  return seed % below;
}

// ---- radix

static long nodes_out; // nodes in trees and stocks

static void
stock_fill(struct radix_stock *st, int n)
{
  for(; st->n < n; nodes_out++)
    st->node[st->n++] = calloc(1, sizeof(struct radix_node));
}

static void
node_drop(struct radix_node *n)
{
  for(int i = 0; i < RADIX_FAN; i++)
    expect(n->word[i] == 0);
  expect(n->used == 0);
  free(n);
  nodes_out--;
}

static void
stock_drop(struct radix_stock *st)
{
  while(st->n > 0)
    node_drop(st->node[--st->n]);
}

// Set with exactly what radix_need asks for, round by round.
static void
set_exactly(struct radix *r, uint64_t idx, uintptr_t word)
{
  struct radix_stock st = {0};
  int rounds = 0, need;

  do {
    need = radix_need(r, idx);
    expect(need <= RADIX_NEED_MAX && ++rounds <= 3);
    if(need > 0 && need < RADIX_NEED_MAX) { // one less must not do
      stock_fill(&st, need - 1);
      expect(!radix_set(r, idx, word, &st));
      expect_eq(st.n, 0);
      expect_eq(radix_need(r, idx), 1);
      need = 1;
    }
    stock_fill(&st, need);
  } while(!radix_set(r, idx, word, &st));
  expect_eq(st.n, 0);
  expect_eq(radix_need(r, idx), 0);
}

static void
prune_all(struct radix *r)
{
  struct radix_node *n;

  while((n = radix_prune(r, 0, ~0ull)) != 0)
    node_drop(n);
}

enum { MODEL = 5000 };
static struct {
  uint64_t idx;
  uintptr_t word;
} model[MODEL]; // sorted by idx
static int nmodel;

static int
model_at(uint64_t idx)
{
  int lo = 0, hi = nmodel;

  while(lo < hi) {
    int mid = (lo + hi) / 2;

    if(model[mid].idx < idx)
      lo = mid + 1;
    else
      hi = mid;
  }
  return lo;
}

static uintptr_t
model_get(uint64_t idx)
{
  int i = model_at(idx);

  return i < nmodel && model[i].idx == idx ? model[i].word : 0;
}

static void
model_set(uint64_t idx, uintptr_t word)
{
  int i = model_at(idx);
  bool there = i < nmodel && model[i].idx == idx;

  if(word && !there) {
    memmove(&model[i + 1], &model[i], (nmodel++ - i) * sizeof model[0]);
    model[i].idx = idx;
  } else if(!word && there) {
    memmove(&model[i], &model[i + 1], (--nmodel - i) * sizeof model[0]);
    return;
  }
  if(word)
    model[i].word = word;
}

static void
same_as_model(struct radix *r, uint64_t lo, uint64_t hi)
{
  uint64_t at = lo;
  uintptr_t word;
  int i = model_at(lo);

  for(; i < nmodel && model[i].idx < hi; i++, at++) {
    if(!radix_next(r, &at, hi, &word)) {
      expect(!"radix_next found too little");
      return;
    }
    expect_eq(at, model[i].idx);
    expect_eq(word, model[i].word);
  }
  expect(!radix_next(r, &at, hi, &word));
}

// Clustered or far apart, so that both full nodes and long gaps occur.
static uint64_t
some_index(int bits)
{
  uint64_t idx = rnd(1ull << rnd(bits + 1));

  return rnd(2) && nmodel > 0 ? (model[rnd(nmodel)].idx + rnd(130)) & ((1ull << bits) - 1) : idx;
}

static void
radix_against_model(struct radix *r, int bits)
{
  nmodel = 0;
  for(int step = 0; step < 20000; step++) {
    uint64_t idx = some_index(bits), hi;
    struct radix_node *n;

    switch(rnd(8)) {
    case 0 ... 3:
      if(nmodel < MODEL) {
        set_exactly(r, idx, 2 * step + 1);
        model_set(idx, 2 * step + 1);
      }
      break;
    case 4 ... 5:
      expect_eq(radix_clear(r, idx), model_get(idx));
      model_set(idx, 0);
      break;
    case 6: expect_eq(radix_get(r, idx), model_get(idx)); break;
    case 7:
      if(step % 16 == 0) {
        hi = idx + rnd(1ull << rnd(bits));
        for(uint64_t i = model_at(idx); i < nmodel && model[i].idx < hi;) {
          expect_eq(radix_clear(r, model[i].idx), model[i].word);
          model_set(model[i].idx, 0);
        }
        for(int k = rnd(2) ? 1000000 : rnd(4); k && (n = radix_prune(r, idx, hi)) != 0; k--)
          node_drop(n);
        same_as_model(r, idx > 100 ? idx - 100 : 0, hi + 100);
      }
    }
    if(step % 1000 == 0)
      same_as_model(r, 0, ~0ull);
  }
  prune_all(r);
  same_as_model(r, 0, ~0ull);
  while(nmodel > 0) {
    radix_clear(r, model[0].idx);
    model_set(model[0].idx, 0);
  }
  prune_all(r);
  expect(r->root == 0);
  expect_eq(nodes_out, 0);
}

TEST(radix_growing_against_model)
{
  struct radix r;

  radix_init(&r);
  radix_against_model(&r, 51);
  radix_against_model(&r, 9);
}

TEST(radix_fixed_against_model)
{
  struct radix r;

  for(int bits = 1; bits <= 57; bits += 4) {
    radix_init_fixed(&r, bits);
    radix_against_model(&r, bits);
  }
}

// ---- tags, against one flag for each index

enum { TAG_SPAN = 5000 };
static bool tagged[TAG_SPAN], present[TAG_SPAN];
static const uint64_t tag_base[] = {0, 1ull << 20, 1ull << 40};

static void
same_tags(struct radix *r, uint64_t base, uint64_t lo, uint64_t hi)
{
  uint64_t at = base + lo;
  uintptr_t word;

  for(uint64_t i = lo; i < hi; i++) {
    if(!tagged[i])
      continue;
    need(radix_next_tagged(r, &at, base + hi, &word));
    expect_eq(at, base + i);
    expect_eq(word, i + 1);
    at++;
  }
  expect(!radix_next_tagged(r, &at, base + hi, &word));
}

static void
tag_rounds(struct radix *r, uint64_t base)
{
  for(int round = 0; round < 30000; round++) {
    uint64_t i = rnd(TAG_SPAN), lo;

    switch(rnd(6)) {
    case 0:
    case 1:
      if(!present[i])
        set_exactly(r, base + i, i + 1);
      present[i] = true;
      break;
    case 2:
    case 3:
      if(present[i])
        radix_tag(r, base + i), tagged[i] = true;
      break;
    case 4:
      if(present[i])
        radix_untag(r, base + i);
      tagged[i] = false;
      break;
    case 5: radix_clear(r, base + i); tagged[i] = present[i] = false;
    }
    if(round % 100 == 0) {
      lo = rnd(TAG_SPAN);
      same_tags(r, base, lo, lo + rnd(TAG_SPAN - lo) + 1);
    }
  }
  same_tags(r, base, 0, TAG_SPAN);
}

TEST(radix_tags_against_model)
{
  struct radix r;
  uint64_t at = 0;
  uintptr_t word;

  radix_init(&r);
  expect(!radix_next_tagged(&r, &at, ~0ull, &word));
  for(int k = 0; k < 3; k++) { // each base makes the tree grow with what is tagged already in it
    memset(tagged, 0, sizeof tagged);
    memset(present, 0, sizeof present);
    tag_rounds(&r, tag_base[k]);
    if(k > 0) {
      at = 0;
      expect(radix_next_tagged(&r, &at, ~0ull, &word) && at < TAG_SPAN); // the first base's are still there
    }
  }
  for(int k = 0; k < 3; k++)
    for(uint64_t i = 0; i < TAG_SPAN; i++)
      radix_clear(&r, tag_base[k] + i);
  at = 0;
  expect(!radix_next_tagged(&r, &at, ~0ull, &word));
  expect(r.root == 0 || r.root->tags == 0);
  prune_all(&r);
}

// ---- errseq

TEST(errseq_tells_each_watcher_once)
{
  uint32_t e = 0, a = errseq_begin(&e), b = errseq_begin(&e), c;

  expect_eq(errseq_report(&e, &a), 0);
  errseq_set(&e, -5);
  errseq_set(&e, -5);
  c = errseq_begin(&e); // nobody has seen it: it is news to whoever comes now
  expect_eq(errseq_report(&e, &a), -5);
  expect_eq(errseq_report(&e, &a), 0);
  expect_eq(errseq_report(&e, &b), -5);
  expect_eq(errseq_report(&e, &c), -5);
  expect_eq(errseq_report(&e, &b), 0);
  c = errseq_begin(&e); // and now it is not
  expect_eq(errseq_report(&e, &c), 0);
  errseq_set(&e, -5); // the same error, once more
  expect_eq(errseq_report(&e, &a), -5);
  errseq_set(&e, -28);
  expect_eq(errseq_report(&e, &b), -28);
  expect_eq(errseq_report(&e, &b), 0);
  expect_eq(errseq_report(&e, &a), -28);
  expect_eq(errseq_report(&e, &c), -28);
}

TEST(radix_fixed_refuses_what_lies_outside)
{
  struct radix r;
  struct radix_stock st = {0};
  uint64_t at = 0;
  uintptr_t w;

  radix_init_fixed(&r, 36);
  expect_eq(r.levels, 7);
  stock_fill(&st, 8);
  expect(!radix_set(&r, 1ull << 39, 1, &st));
  expect_eq(st.n, 8);
  expect_eq(radix_get(&r, ~0ull), 0);
  expect_eq(radix_clear(&r, ~0ull), 0);
  expect(!radix_next(&r, &at, ~0ull, &w));
  expect_eq(radix_need(&r, 5), 7);
  stock_drop(&st);
}

TEST(radix_next_is_quick_over_huge_gaps)
{
  struct radix r;
  uint64_t at = 1;
  uintptr_t w = 0;

  radix_init(&r);
  set_exactly(&r, 0, 1);
  set_exactly(&r, 1ull << 50, 3);
  for(int i = 0; i < 1000000; i++) { // a linear walk would never end
    at = 1;
    expect(radix_next(&r, &at, ~0ull, &w));
  }
  expect_eq(at, 1ull << 50);
  expect_eq(w, 3);
  at = 1;
  expect(!radix_next(&r, &at, 1ull << 50, &w));
  radix_clear(&r, 0);
  radix_clear(&r, 1ull << 50);
  prune_all(&r);
  expect_eq(nodes_out, 0);
}

TEST(radix_prune_skips_full_nodes_once)
{
  enum { LEAVES = 20000 };
  struct radix r;
  struct radix_node *n;
  int pruned = 0;

  radix_init(&r);
  for(uint64_t i = 0; i < LEAVES; i++)
    set_exactly(&r, i * RADIX_FAN, 1);
  for(uint64_t i = LEAVES / 2; i < LEAVES; i++)
    radix_clear(&r, i * RADIX_FAN);
  for(; (n = radix_prune(&r, 0, ~0ull)) != 0; pruned++) // quadratic: 10^8 node visits, seconds under ASan
    node_drop(n);
  expect(pruned > LEAVES / 2);
  for(uint64_t i = 0; i < LEAVES / 2; i++)
    expect_eq(radix_clear(&r, i * RADIX_FAN), 1);
  prune_all(&r);
  expect_eq(nodes_out, 0);
}

// ---- rbtree

enum { ITEMS = 600 };
static struct item {
  struct rbnode node;
  int key, sum; // sum: keys below, this one included
  bool in;
} item[ITEMS];
#define item_of(n) container_of(n, struct item, node)

static void
item_sum(struct rbnode *n)
{
  item_of(n)->sum = item_of(n)->key + (n->left ? item_of(n->left)->sum : 0) + (n->right ? item_of(n->right)->sum : 0);
}

static void
item_insert(struct rbtree *t, struct item *it)
{
  struct rbnode **at = &t->root, *up = 0;

  while(*at) {
    up = *at;
    at = it->key < item_of(up)->key ? &up->left : &up->right;
  }
  rb_insert(t, &it->node, up, at);
  it->in = true;
}

// Black height of a subtree that is right in every way, summary included.
static int
rb_check(const struct rbnode *n, const struct rbnode *up)
{
  int left, right;

  if(n == 0)
    return 0;
  expect(n->up == up);
  expect(!(n->red && up && up->red));
  expect(!n->left || item_of(n->left)->key <= item_of(n)->key);
  expect(!n->right || item_of(n->right)->key >= item_of(n)->key);
  left = rb_check(n->left, n);
  right = rb_check(n->right, n);
  expect_eq(left, right);
  expect_eq(item_of(n)->sum,
            item_of(n)->key + (n->left ? item_of(n->left)->sum : 0) + (n->right ? item_of(n->right)->sum : 0));
  return left + !n->red;
}

static void
rb_check_all(struct rbtree *t)
{
  int last = -1, n = 0, back = 0, in = 0;

  expect(!t->root || !t->root->red);
  rb_check(t->root, 0);
  for(struct rbnode *it = rb_first(t); it; it = rb_next(it), n++) {
    expect(item_of(it)->key >= last);
    last = item_of(it)->key;
  }
  for(struct rbnode *it = rb_last(t); it; it = rb_prev(it))
    back++;
  for(int i = 0; i < ITEMS; i++)
    in += item[i].in;
  expect_eq(n, in);
  expect_eq(back, in);
}

TEST(rbtree_stays_balanced_and_summed)
{
  struct rbtree t = {0, item_sum};

  for(int step = 0; step < 30000; step++) {
    struct item *it = &item[rnd(step < 10000 ? 20 : ITEMS)];

    if(!it->in) {
      it->key = rnd(100000);
      item_insert(&t, it);
    } else if(rnd(3) || step % 10000 > 5000) {
      rb_remove(&t, &it->node);
      it->in = false;
    } else { // change in place, order kept
      struct rbnode *next = rb_next(&it->node);

      if(next && item_of(next)->key > it->key)
        it->key++;
      rb_changed(&t, &it->node);
    }
    if(step % 50 == 0 || step < 2000)
      rb_check_all(&t);
  }
  while(t.root) {
    item_of(rb_first(&t))->in = false;
    rb_remove(&t, rb_first(&t));
  }
}

TEST(rbtree_ascending_is_logarithmic)
{
  struct rbtree t = {0};
  int depth = 0;

  for(int i = 0; i < ITEMS; i++) {
    item[i].key = i;
    item_insert(&t, &item[i]);
  }
  for(struct rbnode *n = t.root; n; n = n->right)
    depth++;
  expect(depth <= 2 * 10);
  memset(item, 0, sizeof item);
}

// ---- bitmap

TEST(bitmap_against_bytes)
{
  enum { BITS = 300 };
  uint8_t *map = malloc((BITS + 7) / 8); // exactly: ASan sees a read past the end
  bool bit[BITS] = {0};

  memset(map, 0, (BITS + 7) / 8);
  for(int step = 0; step < 20000; step++) {
    uint64_t k = rnd(BITS), n = rnd(BITS + 1), from = rnd(n + 1), want = 1 + rnd(70), count = 0, clear = n, run = n;

    for(uint64_t i = rnd(10) ? 1 : 1 + rnd(80); i && k < BITS; i--, k++) {
      bit[k] = step / 100 % 3 ? rnd(20) : rnd(2);
      bit[k] ? bitmap_set(map, k) : bitmap_clear(map, k);
      expect_eq(bitmap_test(map, k), bit[k]);
    }
    for(uint64_t i = 0; i < n; i++)
      count += bit[i];
    expect_eq(bitmap_count_set(map, n), count);
    for(uint64_t i = from; clear == n && i < n; i++)
      if(!bit[i])
        clear = i;
    expect_eq(bitmap_find_clear(map, from, n), clear);
    for(uint64_t i = from, len = 0; run == n && i < n; i++) {
      len = bit[i] ? 0 : len + 1;
      if(len == want)
        run = i + 1 - want;
    }
    expect_eq(bitmap_find_run(map, from, n, want), run);
    if(step % 500 == 0) {
      memset(map, 0, (BITS + 7) / 8);
      memset(bit, 0, sizeof bit);
    }
  }
  free(map);
}

// ---- fmt

#pragma GCC diagnostic ignored "-Wformat"
#pragma GCC diagnostic ignored "-Wformat-security"
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void
fmt_same(size_t size, const char *f, ...)
{
  char mine[200], theirs[200];
  va_list ap, ap2;
  int a, b;

  memset(mine, 'x', sizeof mine);
  memset(theirs, 'x', sizeof theirs);
  va_start(ap, f);
  va_copy(ap2, ap);
  a = vfmt(mine, size, f, ap);
  b = vsnprintf(theirs, size, f, ap2);
  va_end(ap);
  va_end(ap2);
  if(a != b || memcmp(mine, theirs, sizeof mine) != 0)
    test_fail(__FILE__, __LINE__, "\"%s\" gives \"%.100s\" (%d), expected \"%.100s\" (%d)", f, mine, a, theirs, b);
}

TEST(fmt_like_snprintf)
{
  static const char *const conv[] = {"d", "i", "u", "x", "X", "o", "c"};
  static const char *const length[] = {"", "hh", "h", "l", "ll", "z"};
  static const uint64_t value[] = {0, 1, 9, 10, 255, 0x7fffffff, 0x80000000, 0xffffffff, 1ull << 63, ~0ull, 123456789};
  char f[64];

  for(int i = 0; i < 60000; i++) {
    int c = rnd(array_len(conv)), n = 0;
    const char *len = c == 6 ? "" : length[rnd(array_len(length))];
    uint64_t v = c == 6 ? 'a' + rnd(26) : value[rnd(array_len(value))];

    n += sprintf(f + n, "<%%");
    for(const char *flag = "-0+# "; *flag; flag++)
      if(rnd(4) == 0)
        f[n++] = *flag;
    if(rnd(2))
      n += sprintf(f + n, "%d", 1 + (int)rnd(20));
    if(rnd(3) == 0 && c != 6)
      n += sprintf(f + n, ".%d", (int)rnd(15));
    sprintf(f + n, "%s%s>", len, conv[c]);
    fmt_same(rnd(4) ? 200 : rnd(20), f, v);
  }
}

TEST(fmt_strings_and_the_rest)
{
  fmt_same(200, "plain %% text");
  fmt_same(200, "%s|%10s|%-10s|%.2s|%5.1s|%.0s|", "abc", "def", "ghi", "jkl", "mno", "pqr");
  fmt_same(200, "%*d|%-*d|%.*d|%*d|%.*s", 5, 42, 5, 42, 5, 42, -5, 42, 2, "abc");
  fmt_same(200, "%p %#lx", (void *)0xffff800000001000, 0x1234ul);
  fmt_same(200, "%.*s", -1, "all of it");
  fmt_same(0, "%d", 12345);
  fmt_same(1, "%d", 12345);
  fmt_same(5, "%s", "exact");
  fmt_same(6, "%s", "exact");
  fmt_same(200, "%zu %ld %lld %hhu", (size_t)1, -1l, -1ll, 300);
  fmt_same(200, "%s", (char *)0);
}

TEST(fmt_reads_no_further_than_the_precision)
{
  char *s = malloc(3), buf[10];

  memcpy(s, "abc", 3);
  expect_eq(fmt(buf, sizeof buf, "%.3s", s), 3);
  expect_eq(memcmp(buf, "abc", 4), 0);
  free(s);
}

// ---- string

void *k_memcpy(void *dst, const void *src, size_t n);
void *k_memmove(void *dst, const void *src, size_t n);
void *k_memset(void *dst, int c, size_t n);
int k_memcmp(const void *a, const void *b, size_t n);
void *k_memchr(const void *s, int c, size_t n);
size_t k_strlen(const char *s);
size_t k_strnlen(const char *s, size_t max);
int k_strcmp(const char *a, const char *b);
int k_strncmp(const char *a, const char *b, size_t n);
char *k_strchr(const char *s, int c);
char *k_strrchr(const char *s, int c);
char *k_strstr(const char *hay, const char *needle);
size_t k_strlcpy(char *dst, const char *src, size_t size);

enum { ROOM = 512 };

TEST(string_copy_and_set_at_all_alignments)
{
  unsigned char a[ROOM], b[ROOM], src[ROOM];

  for(int i = 0; i < ROOM; i++)
    src[i] = rnd(256);
  for(int to = 0; to < 9; to++)
    for(int from = 0; from < 9; from++)
      for(int n = 0; n < 300; n += n < 150 ? 1 : 13) {
        memset(a, 0xa5, ROOM);
        memset(b, 0xa5, ROOM);
        expect(k_memcpy(a + to, src + from, n) == a + to);
        memcpy(b + to, src + from, n);
        expect(memcmp(a, b, ROOM) == 0);
        expect(k_memset(a + to, from * 29, n) == a + to);
        memset(b + to, from * 29, n);
        expect(memcmp(a, b, ROOM) == 0);
      }
}

TEST(string_move_over_itself)
{
  unsigned char a[ROOM], b[ROOM];

  for(int i = 0; i < 40000; i++) {
    int n = rnd(200), to = rnd(ROOM - n), from = rnd(2) ? rnd(ROOM - n) : min(to + (int)rnd(20), ROOM - n);

    for(int k = 0; k < ROOM; k++)
      a[k] = b[k] = k * 7 + i;
    expect(k_memmove(a + to, a + from, n) == a + to);
    memmove(b + to, b + from, n);
    expect(memcmp(a, b, ROOM) == 0);
  }
}

static int
sign(int x)
{
  return (x > 0) - (x < 0);
}

TEST(string_compare_and_search)
{
  for(int i = 0; i < 40000; i++) {
    int n = rnd(40), m = rnd(40);
    char *a = malloc(n + 1), *b = malloc(m + 1), c = 'a' + rnd(3); // exactly: ASan sees a read past the end

    for(int k = 0; k < n; k++)
      a[k] = rnd(30) ? 'a' : rnd(2) ? 'b' : (char)200;
    for(int k = 0; k < m; k++)
      b[k] = rnd(30) ? 'a' : 'b';
    a[n] = b[m] = 0;
    expect_eq(sign(k_memcmp(a, b, min(n, m))), sign(memcmp(a, b, min(n, m))));
    expect_eq(sign(k_strcmp(a, b)), sign(strcmp(a, b)));
    expect_eq(sign(k_strncmp(a, b, m / 2)), sign(strncmp(a, b, m / 2)));
    expect_eq(k_strlen(a), n);
    expect_eq(k_strnlen(a, m), min(n, m));
    expect(k_memchr(a, c, n) == memchr(a, c, n));
    expect(k_strchr(a, c) == strchr(a, c));
    expect(k_strchr(a, 0) == a + n);
    expect(k_strrchr(a, c) == strrchr(a, c));
    expect(k_strrchr(a, 0) == a + n);
    b[min(m, 4)] = 0;
    expect(k_strstr(a, b) == strstr(a, b));
    free(a);
    free(b);
  }
}

TEST(string_strlcpy_terminates)
{
  char buf[8] = "xxxxxxx";

  expect_eq(k_strlcpy(buf, "abc", 0), 3);
  expect(buf[0] == 'x');
  expect_eq(k_strlcpy(buf, "abcdefghij", sizeof buf), 10);
  expect(strcmp(buf, "abcdefg") == 0);
  expect_eq(k_strlcpy(buf, "ab", sizeof buf), 2);
  expect(strcmp(buf, "ab") == 0);
}

// ---- list and hash

TEST(list_splice_and_delete)
{
  struct list a, b, n[4];
  int count = 0;

  list_init(&a);
  list_init(&b);
  for(int i = 0; i < 4; i++)
    list_add_tail(i < 2 ? &a : &b, &n[i]);
  list_splice_tail(&a, &b);
  expect(list_empty(&b));
  list_for_each(it, &a)
    expect(it == &n[count++]);
  expect_eq(count, 4);
  list_for_each_safe(it, &a)
    list_del(it);
  expect(list_empty(&a));
}

TEST(hash_spreads_neighbours)
{
  int hit[64] = {0};

  for(uint64_t i = 0; i < 6400; i++)
    hit[hash_u64(i * 64) >> 58]++;
  for(int i = 0; i < 64; i++)
    expect(hit[i] > 40 && hit[i] < 200);
  expect(hash_bytes("ab", 2) != hash_bytes("ba", 2));
}
