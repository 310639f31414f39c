// option.c -- words of the kernel command line. The line is parsed each time anybody asks, which is at start-up.
// Typical: if(option_flag("quiet")) print_quiet(true);
// Must not know any option.
#include "core/option.h"
#include "lib/string.h"

char option_line[4096];

static bool
is_blank(char c)
{
  return c == ' ' || c == '\t' || c == '\n';
}

// The value (perhaps empty) of the last word `name` or `name=value`, its length in *n; 0 if there is no such word.
static const char *
find(const char *name, size_t *n)
{
  size_t len = strlen(name);
  const char *found = 0, *p = option_line;

  while(*p) {
    const char *end = p;

    while(*end && !is_blank(*end))
      end++;
    if(end - p >= len && memcmp(p, name, len) == 0 && (p + len == end || p[len] == '=')) {
      found = p + len == end ? end : p + len + 1;
      *n = end - found;
    }
    for(p = end; is_blank(*p); p++)
      ;
  }
  return found;
}

bool
option_flag(const char *name)
{
  size_t n;

  return find(name, &n) != 0;
}

bool
option_string(const char *name, char *buf, size_t size)
{
  size_t n;
  const char *value = find(name, &n);

  if(value == 0 || size == 0)
    return false;
  n = min(n, size - 1);
  memcpy(buf, value, n);
  buf[n] = 0;
  return true;
}

// Value of one digit in any base, or ~0 if it is none.
static unsigned
digit(char c)
{
  if(c >= '0' && c <= '9')
    return c - '0';
  c |= 'a' - 'A';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : ~0u;
}

uint64_t
option_number(const char *name, uint64_t otherwise)
{
  enum { DECIMAL = 10, HEXADECIMAL = 16 };
  unsigned base = DECIMAL;
  uint64_t v = 0;
  size_t n, i = 0;
  const char *s = find(name, &n);

  if(s && n > 2 && s[0] == '0' && (s[1] | ('a' - 'A')) == 'x') {
    base = HEXADECIMAL;
    i = 2;
  }
  if(s == 0 || i == n)
    return otherwise;
  for(; i < n; i++) {
    if(digit(s[i]) >= base)
      return otherwise;
    v = v * base + digit(s[i]);
  }
  return v;
}
