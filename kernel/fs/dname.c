// dname.c -- the text of a name, shared by the dentries that bear it: so rename hands it on without needing memory.
//
// Typical: d->name = dname_new(s, len) / target's name to another: d->name = dname_get(target->name) / dname_put(old).
#include "fs/internal.h"
#include "lib/string.h"

struct dname {
  int ref; // dcache.lock, but for the first, which nobody else sees
  char text[];
};

char *
dname_new(const char *s, size_t len)
{
  struct dname *n = kzalloc(sizeof(*n) + len + 1);

  if(!n)
    return 0;
  n->ref = 1;
  memcpy(n->text, s, len);
  return n->text;
}

char *
dname_get(char *text)
{
  container_of(text, struct dname, text)->ref++;
  return text;
}

void
dname_put(char *text)
{
  struct dname *n = container_of(text, struct dname, text);

  if(--n->ref == 0)
    kfree(n);
}
