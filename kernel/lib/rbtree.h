// rbtree.h -- ordered tree of intrusive nodes, with an optional summary (`augment`) kept per subtree.
// The caller walks down by itself to find the place, as it knows the order:
//   at = &t->root / while(*at) { up = *at / at = less(n, up) ? &up->left : &up->right } / rb_insert(t, n, up, at)
#pragma once
#include "lib/util.h"

struct rbnode {
  struct rbnode *left, *right, *up;
  bool red;
};
struct rbtree {
  struct rbnode *root;
  void (*augment)(struct rbnode *); // recompute this node's summary from itself and its two children; may be 0
};

void rb_insert(struct rbtree *t, struct rbnode *n, struct rbnode *up, struct rbnode **at);
void rb_remove(struct rbtree *t, struct rbnode *n);
// Call after the node's own key material changed in place (its order must still be right): updates summaries to the root.
void rb_changed(struct rbtree *t, struct rbnode *n);
struct rbnode *rb_first(const struct rbtree *t);
struct rbnode *rb_last(const struct rbtree *t);
struct rbnode *rb_next(const struct rbnode *n);
struct rbnode *rb_prev(const struct rbnode *n);
