// vmmap.c -- what a process has mapped, and how much of it is there.
//
// usage: vmmap [-h] [PID|self]
// One line a region, from /proc/PID/smaps: where, how large, resident, private, written; a bar shows the resident share.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BAR = 20 };

struct line {
  unsigned long lo, hi;
  char perms[8], name[200];
  unsigned long rss, dirty, private_;
};

static void
human(unsigned long kib, char *buf, size_t n)
{
  static const char units[] = "KMGTP";
  int u = 0;
  double v = kib;

  for(; v >= 1024 && units[u + 1]; u++)
    v /= 1024;
  snprintf(buf, n, v < 10 && u ? "%.1f%c" : "%.0f%c", v, units[u]);
}

static void
show(const struct line *l)
{
  unsigned long kib = (l->hi - l->lo) / 1024, filled = kib ? (l->rss * BAR + kib - 1) / kib : 0;
  char size[16], rss[16], dirty[16], bar[BAR + 1];

  if(l->hi == 0)
    return;
  for(unsigned long i = 0; i < BAR; i++)
    bar[i] = i < filled ? '#' : '.';
  bar[BAR] = 0;
  human(kib, size, sizeof(size));
  human(l->rss, rss, sizeof(rss));
  human(l->dirty, dirty, sizeof(dirty));
  printf("%12lx-%-12lx %s %6s %6s %6s |%s| %s\n", l->lo, l->hi, l->perms, size, rss, dirty, bar, l->name);
}

int
main(int argc, char **argv)
{
  const char *who = argc > 1 ? argv[1] : "self";
  char path[64], buf[512];
  struct line l = {0};
  unsigned long v;
  FILE *f;

  if(argc > 2 || strcmp(who, "-h") == 0 || strcmp(who, "--help") == 0) {
    printf("usage: vmmap [PID]\nOne line a region: addresses, rights, size, resident, dirty, resident share, name.\n");
    return argc > 2 ? 2 : 0;
  }
  snprintf(path, sizeof(path), "/proc/%s/smaps", who);
  if((f = fopen(path, "r")) == 0) {
    perror(path);
    return 1;
  }
  printf("%-25s %s %6s %6s %6s |%-*s|\n", "addresses", "perm", "size", "there", "dirty", BAR, "resident share");
  while(fgets(buf, sizeof(buf), f)) {
    struct line next = {0};

    if(sscanf(buf, "%lx-%lx %7s %*s %*s %*s %199[^\n]", &next.lo, &next.hi, next.perms, next.name) >= 3) {
      show(&l);
      l = next;
    } else if(sscanf(buf, "Rss: %lu", &v) == 1) {
      l.rss = v;
    } else if(sscanf(buf, "Shared_Dirty: %lu", &v) == 1 || sscanf(buf, "Private_Dirty: %lu", &v) == 1) {
      l.dirty += v;
    }
  }
  show(&l);
  fclose(f);
  return 0;
}
