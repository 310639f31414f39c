// window.c -- blocks kept together for files that grow. A file that has some blocks gets a window; it looks for its next
// block there, and others look elsewhere as long as they can. So two files that grow at the same time do not interleave.
// Windows are in memory only: nothing is lost when one is dropped. They do not overlap, and each lies in one group.
// Typical: ext3_window_open(x, &info->window, lo, limit) / ext3_window_foreign(...) by others / ext3_window_close.
// Knows no bitmaps.
#include "fs/ext3/ext3.h"

enum { WINDOW_FIRST = 16, WINDOW_MAX = 4096 }; // blocks; each window is twice as large as the one before

static struct ext3_window *
window_of(struct rbnode *n)
{
  return container_of(n, struct ext3_window, node);
}

// The last window that begins at or before `block`; 0.
static struct rbnode *
window_before(struct ext3_fs *x, uint32_t block)
{
  struct rbnode *n = x->windows.root, *best = 0;

  while(n) {
    if(window_of(n)->lo <= block)
      best = n;
    n = window_of(n)->lo <= block ? n->right : n->left;
  }
  return best;
}

bool
ext3_window_foreign(struct ext3_fs *x, struct ext3_window *mine, uint32_t block, uint32_t *end)
{
  struct rbnode *n = window_before(x, block);

  if(n == 0 || window_of(n) == mine || window_of(n)->hi <= block)
    return false;
  *end = window_of(n)->hi;
  return true;
}

void
ext3_window_close(struct ext3_fs *x, struct ext3_window *w)
{
  if(w->hi == 0)
    return;
  rb_remove(&x->windows, &w->node);
  w->hi = 0;
}

void
ext3_window_open(struct ext3_fs *x, struct ext3_window *w, uint32_t lo, uint32_t limit)
{
  struct rbnode *up = 0, **at = &x->windows.root, *next;

  ext3_window_close(x, w);
  w->size = w->size ? min(2 * w->size, (uint32_t)WINDOW_MAX) : WINDOW_FIRST;
  while(*at) {
    up = *at;
    at = lo < window_of(up)->lo ? &up->left : &up->right;
  }
  w->lo = lo;
  w->hi = min(lo + w->size, limit);
  rb_insert(&x->windows, &w->node, up, at);
  next = rb_next(&w->node);
  if(next)
    w->hi = min(w->hi, window_of(next)->lo);
}

void
ext3_windows_drop(struct ext3_fs *x)
{
  struct rbnode *n;

  while((n = rb_first(&x->windows)) != 0)
    ext3_window_close(x, window_of(n));
}
