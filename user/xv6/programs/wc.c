// wc.c -- count lines, words and characters.
#include "types.h"
#include "stat.h"
#include "user.h"
#include "fcntl.h"

void
wc(int fd, char *name)
{
  static char buf[512];
  int i, n, lines = 0, words = 0, chars = 0, inside = 0;

  while((n = read(fd, buf, sizeof(buf))) > 0) {
    chars += n;
    for(i = 0; i < n; i++) {
      lines += buf[i] == '\n';
      if(strchr(" \t\r\n\v", buf[i])) {
        inside = 0;
      } else if(!inside) {
        inside = 1;
        words++;
      }
    }
  }
  if(n < 0)
    printf(2, "wc: cannot read %s\n", name);
  else
    printf(1, "%d %d %d %s\n", lines, words, chars, name);
}

int
main(int argc, char **argv)
{
  int i, fd;

  if(argc < 2)
    wc(0, "");
  for(i = 1; i < argc; i++) {
    if((fd = open(argv[i], O_RDONLY)) < 0) {
      printf(2, "wc: cannot open %s\n", argv[i]);
      continue;
    }
    wc(fd, argv[i]);
    close(fd);
  }
  exit();
}
