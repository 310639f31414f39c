// fsctx.c -- where a process's paths start: root, current directory, umask. Shared by threads (CLONE_FS).
// Typical: fsctx_names(t, &ctx) / namei(&ctx, ...) / namectx_put(&ctx).
#include "lib/atomic.h"
#include "proc/proc.h"

enum { UMASK_DEFAULT = 022 };

struct fsctx *
fsctx_alloc(struct dentry *root, struct dentry *cwd)
{
  struct fsctx *c = kzalloc(sizeof(*c));

  if(c == 0)
    return 0;
  c->ref = 1;
  spin_init(&c->lock, "fsctx", RANK_JOURNAL); // below the dcache's own
  c->root = dentry_get(root);
  c->cwd = dentry_get(cwd);
  c->umask = UMASK_DEFAULT;
  return c;
}

struct fsctx *
fsctx_copy(struct fsctx *c)
{
  struct dentry *root, *cwd;
  struct fsctx *n;
  unsigned mask;

  spin_acquire(&c->lock);
  root = dentry_get(c->root);
  cwd = dentry_get(c->cwd);
  mask = c->umask;
  spin_release(&c->lock);
  n = fsctx_alloc(root, cwd);
  dentry_put(root);
  dentry_put(cwd);
  if(n)
    n->umask = mask;
  return n;
}

struct fsctx *
fsctx_get(struct fsctx *c)
{
  atomic_add(&c->ref, 1);
  return c;
}

void
fsctx_put(struct fsctx *c)
{
  if(atomic_sub(&c->ref, 1) > 0)
    return;
  dentry_put(c->root);
  dentry_put(c->cwd);
  kfree(c);
}

static void
replace(struct fsctx *c, struct dentry **where, struct dentry *d)
{
  struct dentry *old;

  spin_acquire(&c->lock);
  old = *where;
  *where = d;
  spin_release(&c->lock);
  dentry_put(old);
}

void
fsctx_set_cwd(struct fsctx *c, struct dentry *d)
{
  replace(c, &c->cwd, d);
}

void
fsctx_set_root(struct fsctx *c, struct dentry *d)
{
  replace(c, &c->root, d);
}

void
fsctx_names(struct thread *t, struct namectx *out)
{
  struct fsctx *c = t->fs;

  spin_acquire(&c->lock);
  out->root = dentry_get(c->root);
  out->cwd = dentry_get(c->cwd);
  spin_release(&c->lock);
  out->cred = t->cred;
}

void
namectx_put(struct namectx *c)
{
  dentry_put(c->root);
  dentry_put(c->cwd);
}
