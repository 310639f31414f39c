// printf.c -- formatted output to a descriptor. It gathers what it writes, so that the lines of several programs mix less.
#include "user.h"
#include <stdarg.h>

struct out {
  int fd, n;
  char buf[128];
};

static void
flush(struct out *o)
{
  write(o->fd, o->buf, o->n);
  o->n = 0;
}

static void
putc(struct out *o, char c)
{
  if(o->n == sizeof(o->buf))
    flush(o);
  o->buf[o->n++] = c;
}

static void
puts(struct out *o, const char *s)
{
  while(*s)
    putc(o, *s++);
}

static void
putn(struct out *o, ulong n, uint base)
{
  char digits[24], *s = digits + sizeof(digits);

  *--s = 0;
  do
    *--s = "0123456789ABCDEF"[n % base];
  while((n /= base) != 0);
  puts(o, s);
}

void
printf(int fd, const char *format, ...)
{
  struct out o = {.fd = fd};
  va_list ap;
  char *s;
  int n;

  va_start(ap, format);
  for(; *format; format++) {
    if(*format != '%' || !format[1]) {
      putc(&o, *format);
      continue;
    }
    switch(*++format) {
    case 'd':
      n = va_arg(ap, int);
      if(n < 0)
        putc(&o, '-');
      putn(&o, n < 0 ? -(long)n : n, 10);
      break;
    case 'x': putn(&o, va_arg(ap, uint), 16); break;
    case 'p': putn(&o, va_arg(ap, ulong), 16); break;
    case 'c': putc(&o, va_arg(ap, int)); break;
    case 's':
      s = va_arg(ap, char *);
      puts(&o, s ? s : "(null)");
      break;
    case '%': putc(&o, '%'); break;
    default: // shown as it is, so that the mistake is seen
      putc(&o, '%');
      putc(&o, *format);
    }
  }
  va_end(ap);
  flush(&o);
}
