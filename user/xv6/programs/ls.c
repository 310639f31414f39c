// ls.c -- list files: name, type (1 directory, 2 file, 3 device), i-node, bytes. A directory is read as xv6 reads one:
// it is a file of struct dirent.
#include "types.h"
#include "stat.h"
#include "user.h"
#include "fcntl.h"
#include "fs.h"

void
show(char *name, struct stat *st)
{
  uint n;

  printf(1, "%s", name);
  for(n = strlen(name); n < DIRSIZ; n++)
    printf(1, " ");
  printf(1, " %d %d %d\n", st->type, st->ino, st->size);
}

void
list(int fd, char *path)
{
  char name[512];
  struct dirent de;
  struct stat st;
  uint n = strlen(path);

  if(n + 1 + DIRSIZ + 1 > sizeof(name)) {
    printf(2, "ls: %s is too long a path\n", path);
    return;
  }
  strcpy(name, path);
  name[n++] = '/';
  while(read(fd, &de, sizeof(de)) == sizeof(de)) {
    if(de.inum == 0)
      continue;
    memmove(name + n, de.name, DIRSIZ);
    name[n + DIRSIZ] = 0;
    if(stat(name, &st) < 0)
      printf(2, "ls: cannot stat %s\n", name);
    else
      show(name + n, &st);
  }
}

void
ls(char *path)
{
  struct stat st;
  int fd = open(path, O_RDONLY);

  if(fd < 0 || fstat(fd, &st) < 0)
    printf(2, "ls: cannot open %s\n", path);
  else if(st.type == T_DIR)
    list(fd, path);
  else
    show(path, &st);
  close(fd);
}

int
main(int argc, char **argv)
{
  int i;

  if(argc < 2)
    ls(".");
  for(i = 1; i < argc; i++)
    ls(argv[i]);
  exit();
}
