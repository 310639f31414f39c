// revoke.c -- a table of revoked blocks: those of a transaction that runs, or all that a log speaks of.
// Typical: r = revoke_alloc() / r->block, r->tid / if(!revoke_add(&t, r)) revoke_free(r) / revoke_find(&t, block).
// Takes no lock; knows nothing of logs.
#include "fs/journal/journal_impl.h"

static struct kmem_cache *cache;

void
revoke_init(void)
{
  cache = KMEM_CACHE(struct revoke);
}

struct revoke *
revoke_alloc(void)
{
  return kmem_alloc(cache);
}

void
revoke_free(struct revoke *r)
{
  kmem_free(cache, r);
}

static struct revoke *
revoke_of(struct rbnode *n)
{
  return container_of(n, struct revoke, node);
}

struct revoke *
revoke_find(const struct revokes *t, uint64_t block)
{
  struct rbnode *n = t->tree.root;

  while(n && revoke_of(n)->block != block)
    n = block < revoke_of(n)->block ? n->left : n->right;
  return n ? revoke_of(n) : 0;
}

bool
revoke_add(struct revokes *t, struct revoke *r)
{
  struct rbnode *up = 0, **at = &t->tree.root;

  while(*at) {
    struct revoke *o = revoke_of(*at);

    if(o->block == r->block) {
      if((int32_t)(r->tid - o->tid) > 0)
        o->tid = r->tid;
      return false;
    }
    up = *at;
    at = r->block < o->block ? &up->left : &up->right;
  }
  rb_insert(&t->tree, &r->node, up, at);
  t->n++;
  return true;
}

struct revoke *
revoke_take(struct revokes *t, uint64_t block)
{
  struct revoke *r = revoke_find(t, block);

  if(r) {
    rb_remove(&t->tree, &r->node);
    t->n--;
  }
  return r;
}

void
revoke_clear(struct revokes *t)
{
  while(t->tree.root) {
    struct revoke *r = revoke_of(t->tree.root);

    rb_remove(&t->tree, &r->node);
    revoke_free(r);
  }
  t->n = 0;
}
