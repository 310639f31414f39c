// cred.c -- who a thread acts for: user, groups, capabilities. A credential in use is never changed: who wants another
// makes a copy, changes it and puts it in place under proc.lock.
#include "lib/atomic.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "proc/proc.h"

#define CAP_ALL ((1ull << CAPS) - 1)

struct cred cred_kernel = {.ref = 1, .cap_effective = CAP_ALL, .cap_permitted = CAP_ALL};

struct cred *
cred_get(struct cred *c)
{
  atomic_add(&c->ref, 1);
  return c;
}

void
cred_put(struct cred *c)
{
  if(atomic_sub(&c->ref, 1) == 0)
    kfree(c);
}

struct cred *
cred_copy(const struct cred *c)
{
  struct cred *n = kzalloc(sizeof(*n));

  if(n == 0)
    return 0;
  memcpy(n, c, sizeof(*n));
  n->ref = 1;
  return n;
}

bool
cred_has(const struct cred *c, int cap)
{
  return c->cap_effective >> cap & 1;
}

bool
cred_capable(int cap)
{
  struct thread *t = thread_self();

  return t == 0 || t->cred == 0 || cred_has(t->cred, cap);
}
