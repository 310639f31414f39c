// disk.h -- what tests of files on a disk share: a file there, figures of the kernel and of the device, where a file lies.
#pragma once
#include "t.h"
#include <stddef.h>

// A new file, open and without a name, in a directory that lies on a disk. In lazy6 /tmp is memory.
__attribute__((unused)) static int
disk_file(void)
{
  char here_name[] = "/test.XXXXXX", linux_name[] = "test.XXXXXX", *name = here() ? here_name : linux_name;
  int fd = mkstemp(name);

  need(fd >= 0);
  need(unlink(name) == 0);
  return fd;
}

// n pages, each full of its number + 1, on the disk and still in memory.
__attribute__((unused)) static int
disk_pages(int n)
{
  int fd = disk_file();
  uint64_t page[PAGE / 8];

  for(int i = 0; i < n; i++) {
    for(size_t k = 0; k < PAGE / 8; k++)
      page[k] = i + 1;
    need(write(fd, page, PAGE) == PAGE);
  }
  need(fsync(fd) == 0);
  return fd;
}

__attribute__((unused)) static void
disk_forget(int fd) // its pages leave the cache
{
  need(fsync(fd) == 0);
  need(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
}

struct disk_figures { // of vda: requests and sectors, completed
  unsigned long reads, sectors_read, writes, sectors_written;
};

__attribute__((unused)) static struct disk_figures
disk_figures(void)
{
  struct disk_figures d = {0};
  char line[256];
  FILE *f = fopen("/proc/diskstats", "r");

  need(f != 0);
  while(fgets(line, sizeof(line), f))
    if(sscanf(line, "%*d %*d vda %lu %*u %lu %*u %lu %*u %lu", &d.reads, &d.sectors_read, &d.writes,
              &d.sectors_written) == 4)
      break;
  fclose(f);
  return d;
}

__attribute__((unused)) static long
vmstat(const char *key) // "name value" lines
{
  return proc_figure("/proc/vmstat", key);
}

__attribute__((unused)) static void
proc_write(const char *file, const char *text)
{
  int fd = open(file, O_WRONLY);

  need(fd >= 0);
  need(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
  need(close(fd) == 0);
}
