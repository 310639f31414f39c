// ulib.c -- strings, lines and stat: the part of the library that needs no more than the calls.
#include "user.h"
#include "stat.h"
#include "fcntl.h"

char *
strcpy(char *to, const char *from)
{
  char *start = to;

  while((*to++ = *from++) != 0)
    ;
  return start;
}

int
strcmp(const char *a, const char *b)
{
  for(; *a && *a == *b; a++, b++)
    ;
  return (uchar)*a - (uchar)*b;
}

uint
strlen(const char *s)
{
  uint n = 0;

  while(s[n])
    n++;
  return n;
}

char *
strchr(const char *s, char c)
{
  for(; *s; s++)
    if(*s == c)
      return (char *)s;
  return 0;
}

void *
memset(void *at, int c, uint n)
{
  void *start = at;
  ulong left = n;

  asm volatile("rep stosb" : "+D"(at), "+c"(left) : "a"(c) : "memory");
  return start;
}

void *
memmove(void *to, const void *from, int n)
{
  char *t = to;
  const char *f = from;

  if(f < t && t < f + n)
    while(n-- > 0)
      t[n] = f[n];
  else
    while(n-- > 0)
      *t++ = *f++;
  return to;
}

// A line of standard input, at most max - 1 characters, with its end.
char *
gets(char *buf, int max)
{
  int i = 0;
  char c = 0;

  while(i + 1 < max && c != '\n' && c != '\r' && read(0, &c, 1) == 1)
    buf[i++] = c;
  buf[i] = 0;
  return buf;
}

int
stat(const char *path, struct stat *st)
{
  int fd = open(path, O_RDONLY), r;

  if(fd < 0)
    return -1;
  r = fstat(fd, st);
  close(fd);
  return r;
}

int
atoi(const char *s)
{
  int n = 0;

  while('0' <= *s && *s <= '9')
    n = n * 10 + *s++ - '0';
  return n;
}
