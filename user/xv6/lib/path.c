// path.c -- a path as xv6 means it becomes one for Linux.
// Names count by their first DIRSIZ characters, as in xv6: one that is not there stands for one that begins the same. So
// a program may use names as it read them from a directory, cut, and reaches every file.
// xv6's root is the folder that holds its programs: there a path starts that begins with a slash, and there ".." stays
// where it is. What is not there is looked for at the machine's own root.
#include "linux.h"
#include "user.h"
#include "fs.h"

enum { LONGEST_NAME = 255 };
static const char root[] = "/xv6";

static int
exists(const char *path)
{
  struct linux_stat s;

  return __call(LINUX_LSTAT, path, &s) == 0;
}

static int
is_root(const char *path)
{
  struct linux_stat a, b;

  return __call(LINUX_STAT, *path ? path : ".", &a) == 0 && __call(LINUX_STAT, root, &b) == 0 && a.dev == b.dev &&
         a.ino == b.ino;
}

// The path in buf ends, at `name`, with a name that does not exist: one that begins the same, if any, takes its place.
static void
find_alike(char *buf, char *name)
{
  union {
    struct linux_dirent d;
    char room[2048];
  } u;
  char first = *name;
  int fd, n, i;

  *name = 0;
  fd = __call(LINUX_OPEN, name > buf ? buf : ".", LINUX_O_DIRECTORY);
  *name = first;
  while(fd >= 0 && (n = __call(LINUX_GETDENTS, (long)fd, &u, sizeof(u))) > 0) {
    for(struct linux_dirent *d = &u.d; (char *)d < u.room + n; d = (struct linux_dirent *)((char *)d + d->size)) {
      for(i = 0; i < DIRSIZ && d->name[i] == name[i]; i++)
        ;
      if(i == DIRSIZ) {
        strcpy(name, d->name);
        close(fd);
        return;
      }
    }
  }
  close(fd);
}

// Append a name of n characters to the path that is in buf up to `end`. Its new end; 0: no room.
static char *
append(char *buf, char *end, const char *s, int n)
{
  if(end + n + LONGEST_NAME + 2 > buf + PATHMAX)
    return 0;
  if(end > buf && end[-1] != '/')
    *end++ = '/';
  memmove(end, s, n);
  end[n] = 0;
  if(n >= DIRSIZ && !exists(buf))
    find_alike(buf, end);
  return end + strlen(end);
}

// The next name of a path: its length, and *s behind it. 0: there is none.
static int
next(const char **s)
{
  const char *from;

  while(**s == '/')
    ++*s;
  for(from = *s; **s && **s != '/'; ++*s)
    ;
  return *s - from;
}

// Where a path starts that begins with a slash.
static char *
start(const char *path, char *buf)
{
  const char *s = path;
  int n = next(&s);
  char *end;

  strcpy(buf, root);
  end = append(buf, buf + strlen(buf), s - n, n);
  if(!exists(root) || (n > 0 && end && !exists(buf))) {
    strcpy(buf, "/");
    append(buf, buf + 1, s - n, n);
    if(!exists(root) || exists(buf))
      return buf + 1;
  }
  strcpy(buf, root);
  return buf + strlen(buf);
}

char *
__path(const char *path, char *buf)
{
  long r = __call(LINUX_ACCESS, path, 0);
  char *end = buf;
  int n;

  if(r == -LINUX_EFAULT || r == -LINUX_ENAMETOOLONG) // nothing is read before this was asked
    return 0;
  if(*path == '/')
    end = start(path, buf);
  *end = 0;
  while(end && (n = next(&path)) > 0)
    if(!(n == 2 && path[-1] == '.' && path[-2] == '.' && is_root(buf)))
      end = append(buf, end, path - n, n);
  if(end == buf) // no name at all: where one stands
    strcpy(buf, ".");
  return end ? buf : 0;
}
