// cat.c -- print files, or standard input.
#include "types.h"
#include "stat.h"
#include "user.h"
#include "fcntl.h"

char buf[512];

void
cat(int fd, char *name)
{
  int n;

  while((n = read(fd, buf, sizeof(buf))) > 0) {
    if(write(1, buf, n) != n) {
      printf(2, "cat: cannot write\n");
      exit();
    }
  }
  if(n < 0)
    printf(2, "cat: cannot read %s\n", name);
}

int
main(int argc, char **argv)
{
  int i, fd;

  if(argc < 2)
    cat(0, "standard input");
  for(i = 1; i < argc; i++) {
    if((fd = open(argv[i], O_RDONLY)) < 0) {
      printf(2, "cat: cannot open %s\n", argv[i]);
      continue;
    }
    cat(fd, argv[i]);
    close(fd);
  }
  exit();
}
