// rbtree.c -- ordered tree of intrusive nodes; the regions. rbtree.h has the typical walk.
//
// Red-black: no red node has a red child, and every way from a node down to a missing child passes equally many black
// nodes. A rotation keeps the set of nodes below its top, so only the two turned nodes need their summary again.
// Must not know the order: the caller found the place.
#include "lib/rbtree.h"

static inline bool
is_red(const struct rbnode *n)
{
  return n && n->red;
}

static inline void
summarize(struct rbtree *t, struct rbnode *n)
{
  if(t->augment)
    t->augment(n);
}

void
rb_changed(struct rbtree *t, struct rbnode *n)
{
  if(t->augment)
    for(; n; n = n->up)
      t->augment(n);
}

// What hung below `up` (0: the root) as `old` is now `n`, which may be 0.
static void
replace_child(struct rbtree *t, struct rbnode *up, struct rbnode *old, struct rbnode *n)
{
  if(up == 0)
    t->root = n;
  else if(up->left == old)
    up->left = n;
  else
    up->right = n;
  if(n)
    n->up = up;
}

// Turn `n` down to the left (its right child comes up), or to the right.
static void
rotate(struct rbtree *t, struct rbnode *n, bool left)
{
  struct rbnode *c = left ? n->right : n->left, *inner = left ? c->left : c->right;

  replace_child(t, n->up, n, c);
  if(left) {
    n->right = inner;
    c->left = n;
  } else {
    n->left = inner;
    c->right = n;
  }
  if(inner)
    inner->up = n;
  n->up = c;
  summarize(t, n);
  summarize(t, c);
}

void
rb_insert(struct rbtree *t, struct rbnode *n, struct rbnode *up, struct rbnode **at)
{
  n->left = n->right = 0;
  n->up = up;
  n->red = true;
  *at = n;
  rb_changed(t, n);
  while((up = n->up) != 0 && up->red) { // a red parent has a parent: the root is black
    struct rbnode *top = up->up;
    bool left = top->left == up;
    struct rbnode *uncle = left ? top->right : top->left;

    top->red = true;
    if(is_red(uncle)) {
      up->red = uncle->red = false;
      n = top;
      continue;
    }
    if(n == (left ? up->right : up->left)) { // bring the inner grandchild to the outside
      rotate(t, up, left);
      up = n;
    }
    up->red = false;
    rotate(t, top, !left);
    break;
  }
  t->root->red = false;
}

// Below `up`, on the side where `n` (perhaps 0) is, one black node is missing.
static void
repair(struct rbtree *t, struct rbnode *up, struct rbnode *n)
{
  while(up && !is_red(n)) {
    bool left = up->left == n;
    struct rbnode *s = left ? up->right : up->left, *near, *far;

    if(s->red) { // give n a black sibling
      s->red = false;
      up->red = true;
      rotate(t, up, left);
      s = left ? up->right : up->left;
    }
    near = left ? s->left : s->right;
    far = left ? s->right : s->left;
    if(!is_red(near) && !is_red(far)) { // take one from the sibling's side too and go up
      s->red = true;
      n = up;
      up = n->up;
      continue;
    }
    if(!is_red(far)) {
      near->red = false;
      s->red = true;
      rotate(t, s, !left);
      far = s;
      s = near;
    }
    s->red = up->red;
    up->red = far->red = false;
    rotate(t, up, left);
    return;
  }
  if(n)
    n->red = false;
}

void
rb_remove(struct rbtree *t, struct rbnode *n)
{
  struct rbnode *child, *up; // what moves up where a node really leaves, and below whom
  bool red;

  if(n->left && n->right) {
    struct rbnode *s = rb_next(n); // takes n's place; has no left child

    child = s->right;
    up = s->up == n ? s : s->up;
    red = s->red;
    replace_child(t, s->up, s, child);
    s->left = n->left;
    s->left->up = s;
    s->right = n->right;
    if(s->right)
      s->right->up = s;
    s->red = n->red;
    replace_child(t, n->up, n, s);
  } else {
    child = n->left ? n->left : n->right;
    up = n->up;
    red = n->red;
    replace_child(t, up, n, child);
  }
  rb_changed(t, up);
  if(!red)
    repair(t, up, child);
  n->left = n->right = n->up = 0;
}

static struct rbnode *
leftmost(struct rbnode *n)
{
  while(n && n->left)
    n = n->left;
  return n;
}

static struct rbnode *
rightmost(struct rbnode *n)
{
  while(n && n->right)
    n = n->right;
  return n;
}

struct rbnode *
rb_first(const struct rbtree *t)
{
  return leftmost(t->root);
}

struct rbnode *
rb_last(const struct rbtree *t)
{
  return rightmost(t->root);
}

struct rbnode *
rb_next(const struct rbnode *n)
{
  if(n->right)
    return leftmost(n->right);
  while(n->up && n->up->right == n)
    n = n->up;
  return n->up;
}

struct rbnode *
rb_prev(const struct rbnode *n)
{
  if(n->left)
    return rightmost(n->left);
  while(n->up && n->up->left == n)
    n = n->up;
  return n->up;
}
