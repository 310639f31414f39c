// fmt.c -- formatted text into a buffer. Typical: fmt(line, sizeof line, "%8lu kB\n", kb).
// Must not know where text goes; no floating point, no locale, no allocation.
#include "lib/fmt.h"
#include "lib/string.h"

struct out {
  char *buf;
  size_t size, len; // len counts what did not fit too
};

struct spec { // one conversion
  bool left, zero, plus, space, alt;
  int width, precision; // precision -1: none given
  int bytes;            // size of the argument
};

enum { DECIMAL = 10, OCTAL = 8, HEXADECIMAL = 16, DIGITS_MAX = 24 };

static void
put(struct out *o, char c)
{
  if(o->len + 1 < o->size)
    o->buf[o->len] = c;
  o->len++;
}

static void
pad(struct out *o, char c, int n)
{
  while(n-- > 0)
    put(o, c);
}

// `text` of n bytes in the field that s asks for.
static void
put_text(struct out *o, const struct spec *s, const char *text, int n)
{
  if(!s->left)
    pad(o, ' ', s->width - n);
  for(int i = 0; i < n; i++)
    put(o, text[i]);
  if(s->left)
    pad(o, ' ', s->width - n);
}

// Digits of v, last one at end[-1]; where they start.
static char *
digits(char *end, uint64_t v, unsigned base, bool upper)
{
  const char *set = upper ? "0123456789ABCDEF" : "0123456789abcdef";

  for(; v; v /= base)
    *--end = set[v % base];
  return end;
}

// Sign or prefix, then zeros up to the precision or the field, then the digits.
static void
put_number(struct out *o, const struct spec *s, uint64_t v, unsigned base, bool upper, const char *prefix)
{
  char tmp[DIGITS_MAX], *end = tmp + sizeof tmp, *d = digits(end, v, base, upper);
  int n = end - d, zeros, lead = strlen(prefix);

  zeros = s->precision >= 0 ? s->precision - n : n == 0 ? 1 : 0;
  if(base == OCTAL && s->alt && zeros <= 0)
    zeros = 1;
  zeros = max(zeros, 0);
  if(s->zero && !s->left && s->precision < 0)
    zeros = max(zeros, s->width - n - lead);
  if(!s->left)
    pad(o, ' ', s->width - n - lead - zeros);
  while(*prefix)
    put(o, *prefix++);
  pad(o, '0', zeros);
  while(d < end)
    put(o, *d++);
  if(s->left)
    pad(o, ' ', s->width - n - lead - zeros);
}

static int
read_number(const char **f)
{
  int n = 0;

  while(**f >= '0' && **f <= '9')
    n = n * DECIMAL + (*(*f)++ - '0');
  return n;
}

static void
read_flags(const char **f, struct spec *s)
{
  for(;; (*f)++) {
    switch(**f) {
    case '-': s->left = true; break;
    case '0': s->zero = true; break;
    case '+': s->plus = true; break;
    case ' ': s->space = true; break;
    case '#': s->alt = true; break;
    default: return;
    }
  }
}

static void
read_length(const char **f, struct spec *s)
{
  s->bytes = sizeof(int);
  if(**f == 'h') {
    s->bytes = sizeof(short);
    if(*++*f == 'h') {
      s->bytes = sizeof(char);
      ++*f;
    }
  } else if(**f == 'l' || **f == 'z' || **f == 'j' || **f == 't') {
    s->bytes = sizeof(long);
    if(*(*f)++ == 'l' && **f == 'l')
      ++*f;
  }
}

struct args { // a va_list that can be handed to a function by address
  va_list ap;
};

static int
read_field(const char **f, struct args *a)
{
  if(**f != '*')
    return read_number(f);
  ++*f;
  return va_arg(a->ap, int);
}

static uint64_t
unsigned_arg(const struct spec *s, struct args *a)
{
  if(s->bytes == sizeof(long))
    return va_arg(a->ap, unsigned long);
  if(s->bytes == sizeof(short))
    return (unsigned short)va_arg(a->ap, unsigned);
  if(s->bytes == sizeof(char))
    return (unsigned char)va_arg(a->ap, unsigned);
  return va_arg(a->ap, unsigned);
}

static int64_t
signed_arg(const struct spec *s, struct args *a)
{
  uint64_t v = unsigned_arg(s, a);
  int up = (sizeof(long) - s->bytes) * 8;

  return (int64_t)(v << up) >> up;
}

static void
put_signed(struct out *o, const struct spec *s, int64_t v)
{
  const char *sign = v < 0 ? "-" : s->plus ? "+" : s->space ? " " : "";

  put_number(o, s, v < 0 ? -(uint64_t)v : (uint64_t)v, DECIMAL, false, sign);
}

static void
put_string(struct out *o, const struct spec *s, const char *text)
{
  if(text == 0)
    text = "(null)";
  put_text(o, s, text, s->precision >= 0 ? strnlen(text, s->precision) : strlen(text));
}

// The conversion `c`, all before it read into s. false: no such conversion.
static bool
convert(struct out *o, const struct spec *s, char c, struct args *a)
{
  uint64_t v;
  char ch;

  switch(c) {
  case 'd':
  case 'i': put_signed(o, s, signed_arg(s, a)); return true;
  case 'u': put_number(o, s, unsigned_arg(s, a), DECIMAL, false, ""); return true;
  case 'o': put_number(o, s, unsigned_arg(s, a), OCTAL, false, ""); return true;
  case 'x':
  case 'X':
    v = unsigned_arg(s, a);
    put_number(o, s, v, HEXADECIMAL, c == 'X', s->alt && v ? (c == 'X' ? "0X" : "0x") : "");
    return true;
  case 'p': put_number(o, s, (uintptr_t)va_arg(a->ap, void *), HEXADECIMAL, false, "0x"); return true;
  case 'c':
    ch = va_arg(a->ap, int);
    put_text(o, s, &ch, 1);
    return true;
  case 's': put_string(o, s, va_arg(a->ap, const char *)); return true;
  case '%': put(o, '%'); return true;
  }
  return false;
}

// One conversion, *f behind its %. What is no conversion appears as it stands.
static void
format_one(struct out *o, const char **f, struct args *a)
{
  struct spec s = {.precision = -1};
  const char *start = *f;

  read_flags(f, &s);
  s.width = read_field(f, a);
  if(s.width < 0) {
    s.left = true;
    s.width = -s.width;
  }
  if(**f == '.') {
    ++*f;
    s.precision = max(read_field(f, a), -1);
  }
  read_length(f, &s);
  if(**f && convert(o, &s, **f, a)) {
    ++*f;
    return;
  }
  put(o, '%');
  *f = start;
}

int
vfmt(char *buf, size_t n, const char *f, va_list ap)
{
  struct out o = {buf, n, 0};
  struct args a;

  va_copy(a.ap, ap);
  while(*f) {
    if(*f != '%') {
      put(&o, *f++);
      continue;
    }
    f++;
    format_one(&o, &f, &a);
  }
  va_end(a.ap);
  if(n > 0)
    buf[min(o.len, n - 1)] = 0;
  return o.len;
}

int
fmt(char *buf, size_t n, const char *f, ...)
{
  va_list ap;
  int len;

  va_start(ap, f);
  len = vfmt(buf, n, f, ap);
  va_end(ap);
  return len;
}
