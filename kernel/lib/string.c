// string.c -- memory and string functions. string.h has their names; their meaning is ISO C's.
//
// Blocks move in words of 8 bytes, eight at a time: as fast as anything on hardware at these sizes, and under an emulator
// much faster than `rep movsb`. Strings go byte by byte: they are short, and a word could reach into the next page.
// The compiler must not turn a loop of memcpy into a call of memcpy: hence no_idiom.
#include "lib/string.h"
#include "lib/util.h"

typedef uint64_t word __attribute__((may_alias, aligned(1)));
enum { WORD = sizeof(word), HALF = 4 * WORD, BLOCK = 2 * HALF };

#if defined(__clang__)
#define no_idiom __attribute__((no_builtin))
#else
#define no_idiom __attribute__((optimize("no-tree-loop-distribute-patterns")))
#endif

// Half a block, so that the words fit into registers that need no saving. Every load comes before the first store.
static inline void
copy_half(char *dst, const char *src)
{
  word *d = (word *)dst;
  const word *s = (const word *)src;
  uint64_t a0 = s[0], a1 = s[1], a2 = s[2], a3 = s[3];

  d[0] = a0;
  d[1] = a1;
  d[2] = a2;
  d[3] = a3;
}

// From low to high; right for any overlap with dst below src.
no_idiom void *
memcpy(void *dst, const void *src, size_t n)
{
  char *d = dst;
  const char *s = src;

  for(; n >= BLOCK; n -= BLOCK, d += BLOCK, s += BLOCK) {
    copy_half(d, s);
    copy_half(d + HALF, s + HALF);
  }
  for(; n >= WORD; n -= WORD, d += WORD, s += WORD)
    *(word *)d = *(const word *)s;
  while(n--)
    *d++ = *s++;
  return dst;
}

// memcpy where that is right, else from high to low.
no_idiom void *
memmove(void *dst, const void *src, size_t n)
{
  char *d = (char *)dst + n;
  const char *s = (const char *)src + n;

  if((uintptr_t)dst - (uintptr_t)src >= n)
    return memcpy(dst, src, n);
  for(; n >= HALF; n -= HALF) {
    d -= HALF;
    s -= HALF;
    copy_half(d, s);
  }
  for(; n >= WORD; n -= WORD) {
    d -= WORD;
    s -= WORD;
    *(word *)d = *(const word *)s;
  }
  while(n--)
    *--d = *--s;
  return dst;
}

no_idiom void *
memset(void *dst, int c, size_t n)
{
  const uint64_t ones = 0x0101010101010101ull, v = (unsigned char)c * ones;
  char *d = dst;

  for(; n >= BLOCK; n -= BLOCK, d += BLOCK) {
    word *w = (word *)d;

    w[0] = w[1] = w[2] = w[3] = w[4] = w[5] = w[6] = w[7] = v;
  }
  for(; n >= WORD; n -= WORD, d += WORD)
    *(word *)d = v;
  while(n--)
    *d++ = c;
  return dst;
}

no_idiom int
memcmp(const void *a, const void *b, size_t n)
{
  const unsigned char *p = a, *q = b;

  for(; n >= WORD && *(const word *)p == *(const word *)q; n -= WORD, p += WORD, q += WORD)
    ;
  for(; n; n--, p++, q++)
    if(*p != *q)
      return *p - *q;
  return 0;
}

void *
memchr(const void *s, int c, size_t n)
{
  for(const unsigned char *p = s; n; n--, p++)
    if(*p == (unsigned char)c)
      return (void *)p;
  return 0;
}

no_idiom size_t
strlen(const char *s)
{
  const char *p = s;

  while(*p)
    p++;
  return p - s;
}

no_idiom size_t
strnlen(const char *s, size_t max)
{
  size_t n = 0;

  while(n < max && s[n])
    n++;
  return n;
}

int
strcmp(const char *a, const char *b)
{
  for(; *a && *a == *b; a++, b++)
    ;
  return (unsigned char)*a - (unsigned char)*b;
}

int
strncmp(const char *a, const char *b, size_t n)
{
  for(; n && *a && *a == *b; n--, a++, b++)
    ;
  return n ? (unsigned char)*a - (unsigned char)*b : 0;
}

char *
strchr(const char *s, int c)
{
  for(;; s++) {
    if(*s == (char)c)
      return (char *)s;
    if(*s == 0)
      return 0;
  }
}

char *
strrchr(const char *s, int c)
{
  const char *found = 0;

  do
    if(*s == (char)c)
      found = s;
  while(*s++);
  return (char *)found;
}

char *
strstr(const char *hay, const char *needle)
{
  size_t n = strlen(needle);

  for(;; hay++) {
    if(strncmp(hay, needle, n) == 0)
      return (char *)hay;
    if(*hay == 0)
      return 0;
  }
}

size_t
strlcpy(char *dst, const char *src, size_t size)
{
  size_t len = strlen(src), n = min(len, size - 1);

  if(size > 0) {
    memcpy(dst, src, n);
    dst[n] = 0;
  }
  return len;
}
