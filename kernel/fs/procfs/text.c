// text.c -- a buffer of generated text, in pieces. A failed growth is remembered, so that callers write line after line
// and look once at the end.
// Typical: text(&t, "%d\n", n) ... / t.failed? / text_at(&t, pos, &n) until 0 / text_clear(&t).
#include "fs/procfs/procfs.h"
#include "lib/string.h"
#include "mm/mm.h"

enum { PART_BYTES = PAGE_SIZE - sizeof(struct textpart) };

// A piece with room for at least `least` more bytes, or 0.
static struct textpart *
text_reserve(struct textbuf *t, size_t least)
{
  struct textpart *part = t->last;
  size_t cap = max(least, (size_t)PART_BYTES);

  if(t->failed || (part && part->cap - part->n >= least))
    return t->failed ? 0 : part;
  if((part = kzalloc(sizeof(*part) + cap)) == 0) {
    t->failed = true;
    return 0;
  }
  part->cap = cap;
  if(t->last)
    t->last->next = part;
  else
    t->first = part;
  t->last = part;
  return part;
}

static void
text_grew(struct textbuf *t, size_t n)
{
  t->last->n += n;
  t->n += n;
}

void
text_bytes(struct textbuf *t, const void *p, size_t n)
{
  const char *from = p;

  while(n > 0) {
    struct textpart *part = text_reserve(t, 1);
    size_t k;

    if(part == 0)
      return;
    k = min(n, part->cap - part->n);
    memcpy(part->bytes + part->n, from, k);
    text_grew(t, k);
    from += k;
    n -= k;
  }
}

void
text(struct textbuf *t, const char *f, ...)
{
  struct textpart *part;
  va_list ap;
  int n;

  va_start(ap, f);
  n = vfmt(0, 0, f, ap);
  va_end(ap);
  if(n <= 0 || (part = text_reserve(t, n + 1)) == 0) // and a NUL, which the next text overwrites
    return;
  va_start(ap, f);
  vfmt(part->bytes + part->n, part->cap - part->n, f, ap);
  va_end(ap);
  text_grew(t, n);
}

void
text_clear(struct textbuf *t)
{
  while(t->first) {
    struct textpart *part = t->first;

    t->first = part->next;
    kfree(part);
  }
  *t = (struct textbuf){0};
}

const char *
text_at(const struct textbuf *t, size_t pos, size_t *n)
{
  for(const struct textpart *part = t->first; part; part = part->next) {
    if(pos < part->n) {
      *n = part->n - pos;
      return part->bytes + pos;
    }
    pos -= part->n;
  }
  return 0;
}
