// number.c -- files of /proc/sys that are one number: shown in decimal, stored within bounds.
// Must not know what any number is for; who has to hear of a change gives `changed`.
#include "fs/procfs/procfs.h"
#include "lib/atomic.h"
#include "lib/errno.h"

enum { DECIMAL = 10 };

int
number_show(const struct proc_number *n, struct textbuf *t)
{
  text(t, "%lu\n", atomic_get(n->value));
  return 0;
}

static bool
is_space(char c)
{
  return c == ' ' || c == '\t' || c == '\n';
}

// A decimal number with white space around it.
static bool
parse(const char *s, const char *end, uint64_t *out)
{
  const char *digits;
  uint64_t v = 0;

  while(s < end && is_space(*s))
    s++;
  for(digits = s; s < end && *s >= '0' && *s <= '9'; s++)
    if(__builtin_mul_overflow(v, DECIMAL, &v) || __builtin_add_overflow(v, *s - '0', &v))
      return false;
  if(s == digits)
    return false;
  while(s < end && is_space(*s))
    s++;
  *out = v;
  return s == end;
}

int
number_store(const struct proc_number *n, const char *s, size_t len)
{
  uint64_t v;

  if(!parse(s, s + len, &v) || v < n->lo || v > n->hi)
    return -EINVAL;
  atomic_set(n->value, v);
  if(n->changed)
    n->changed();
  return 0;
}
