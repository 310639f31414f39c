// stressfs.c -- several processes write and read files at once: the disk's queue, buffers and locks have something to do.
#include "types.h"
#include "stat.h"
#include "user.h"
#include "fcntl.h"

enum { PROCESSES = 5, BLOCKS = 20 };

int
main(void)
{
  char path[] = "stressfs0", data[512];
  int i, fd, me;

  printf(1, "stressfs starting\n");
  for(me = 0; me < PROCESSES - 1; me++) // each goes on with a number of its own
    if(fork() > 0)
      break;
  path[8] += me;
  memset(data, 'a' + me, sizeof(data));
  if((fd = open(path, O_CREATE | O_RDWR)) < 0) {
    printf(2, "stressfs: cannot make %s\n", path);
    wait();
    exit();
  }
  for(i = 0; i < BLOCKS; i++)
    if(write(fd, data, sizeof(data)) != sizeof(data))
      printf(2, "stressfs: cannot write %s\n", path);
  close(fd);

  fd = open(path, O_RDONLY);
  for(i = 0; i < BLOCKS; i++)
    if(read(fd, data, sizeof(data)) != sizeof(data) || data[0] != 'a' + me || data[511] != 'a' + me)
      printf(2, "stressfs: %s is not what was written\n", path);
  close(fd);
  wait();
  unlink(path);
  if(me == 0)
    printf(1, "stressfs done\n");
  exit();
}
