// grep.c -- print the lines that have the pattern in them. In a pattern ^ is the line's start, $ its end, . any
// character, and x* any number of x.
#include "types.h"
#include "stat.h"
#include "user.h"
#include "fcntl.h"

enum { LINE = 1024 };

// Does the text begin with the pattern?
int
begins(char *pattern, char *text)
{
  if(pattern[0] == 0)
    return 1;
  if(pattern[0] == '$' && pattern[1] == 0)
    return *text == 0;
  if(pattern[1] == '*') {
    for(;; text++) { // as few as will do
      if(begins(pattern + 2, text))
        return 1;
      if(*text == 0 || (pattern[0] != '.' && pattern[0] != *text))
        return 0;
    }
  }
  if(*text && (pattern[0] == '.' || pattern[0] == *text))
    return begins(pattern + 1, text + 1);
  return 0;
}

int
matches(char *pattern, char *text)
{
  if(pattern[0] == '^')
    return begins(pattern + 1, text);
  do
    if(begins(pattern, text))
      return 1;
  while(*text++);
  return 0;
}

// A line that is longer than the buffer is looked at in pieces.
void
grep(char *pattern, int fd)
{
  static char buf[LINE];
  char *line, *end;
  int n, have = 0;

  while((n = read(fd, buf + have, LINE - 1 - have)) > 0) {
    have += n;
    buf[have] = 0;
    for(line = buf; (end = strchr(line, '\n')) != 0; line = end + 1) {
      *end = 0;
      if(matches(pattern, line))
        printf(1, "%s\n", line);
    }
    have -= line - buf;
    memmove(buf, line, have);
    if(have == LINE - 1) {
      if(matches(pattern, buf))
        printf(1, "%s\n", buf);
      have = 0;
    }
  }
  buf[have] = 0;
  if(have > 0 && matches(pattern, buf))
    printf(1, "%s\n", buf);
}

int
main(int argc, char **argv)
{
  int i, fd;

  if(argc < 2) {
    printf(2, "usage: grep pattern [file...]\n");
    exit();
  }
  if(argc == 2)
    grep(argv[1], 0);
  for(i = 2; i < argc; i++) {
    if((fd = open(argv[i], O_RDONLY)) < 0) {
      printf(2, "grep: cannot open %s\n", argv[i]);
      continue;
    }
    grep(argv[1], fd);
    close(fd);
  }
  exit();
}
