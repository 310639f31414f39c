// spare.c -- what a fault sets aside before it takes a spin lock: a frame, frames for page tables, nodes for the
// slots. Under the lock it only takes from here, so nothing is allocated there and nothing can fail half-way.
//
// Typical: spare_try, else (holding nothing) spare_wait and start over / lock / spare_take_frame ... / unlock /
// spare_put.
// Together or not at all: who waits for memory keeps none, otherwise two faults could hold each other's last frame.
// Knows nothing of what is done with the things.
#include "core/print.h"
#include "mm/mm.h"

static struct kmem_cache *node_cache; // (c) after start

void
spare_setup(void)
{
  node_cache = KMEM_CACHE(struct radix_node);
}

struct radix_node *
radix_node_alloc(void)
{
  return kmem_alloc(node_cache);
}

void
radix_node_free(struct radix_node *n)
{
  kmem_free(node_cache, n);
}

void
spare_init(struct spare *sp)
{
  sp->frame = 0;
  sp->ntable = 0;
  sp->nodes.n = 0;
}

bool
spare_try(struct spare *sp, int frames, int tables, int nodes)
{
  struct radix_node *node;
  struct page *pg;

  assert(frames <= 1 && tables <= SPARE_TABLES && nodes <= RADIX_MAX_LEVELS);
  if(frames > 0 && sp->frame == 0 && (sp->frame = frame_try(0)) == 0)
    return false;
  while(sp->ntable < tables) {
    pg = frame_try(0);
    if(pg == 0)
      return false;
    page_zero(pg);
    sp->table[sp->ntable++] = pg;
  }
  while(sp->nodes.n < nodes) {
    node = radix_node_alloc();
    if(node == 0)
      return false;
    sp->nodes.node[sp->nodes.n++] = node;
  }
  return true;
}

int
spare_wait(struct spare *sp, int frames, int tables, int nodes)
{
  int r;

  do {
    spare_put(sp);
    // A batch of nodes may need new slabs: half of them for as many nodes, at least one.
    r = frame_wait_many(frames + tables + (nodes + 1) / 2);
    if(r != 0)
      return r;
  } while(!spare_try(sp, frames, tables, nodes));
  return 0;
}

void
spare_put(struct spare *sp)
{
  if(sp->frame)
    page_put(sp->frame);
  sp->frame = 0;
  while(sp->ntable > 0)
    page_put(sp->table[--sp->ntable]);
  while(sp->nodes.n > 0)
    radix_node_free(sp->nodes.node[--sp->nodes.n]);
}

struct page *
spare_take_frame(struct spare *sp)
{
  struct page *pg = sp->frame;

  sp->frame = 0;
  return pg;
}

struct page *
spare_take_table(struct spare *sp)
{
  return sp->ntable > 0 ? sp->table[--sp->ntable] : 0;
}
