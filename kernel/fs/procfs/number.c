// number.c -- files of /proc/sys that are one number: shown in decimal, stored within bounds.
// Must not know what any number is for; who has to hear of a change gives `changed`.
#include "fs/procfs/procfs.h"
#include "lib/atomic.h"
#include "lib/errno.h"

enum { DECIMAL = 10 };

int
number_show(const struct proc_number *n, struct textbuf *t)
{
  text(t, "%lu\n", atomic_get(n->at));
  return 0;
}

static bool
is_space(char c)
{
  return c == ' ' || c == '\t' || c == '\n';
}

int
number_parse(const char *s, size_t n, uint64_t lo, uint64_t hi, uint64_t *out)
{
  const char *end = s + n, *digits;
  uint64_t v = 0;

  while(s < end && is_space(*s))
    s++;
  for(digits = s; s < end && *s >= '0' && *s <= '9'; s++)
    if(__builtin_mul_overflow(v, DECIMAL, &v) || __builtin_add_overflow(v, *s - '0', &v))
      return -EINVAL;
  if(s == digits || v < lo || v > hi)
    return -EINVAL;
  while(s < end && is_space(*s))
    s++;
  *out = v;
  return s == end ? 0 : -EINVAL;
}

int
number_store(const struct proc_number *n, const char *s, size_t len)
{
  uint64_t v;
  int err = number_parse(s, len, n->lo, n->hi, &v);

  if(err)
    return err;
  atomic_set(n->at, v);
  if(n->instead)
    atomic_set(n->instead, 0);
  if(n->changed)
    n->changed();
  return 0;
}
