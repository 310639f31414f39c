// stress_files.c -- files on the disk cut while programs store to them through mappings. What it leaves in /var/tmp is looked
// at from outside when the machine is off: tests/run, suite cut.
#include "rules.h"
#include "stress.h"

enum { FILES = 24, LONG = 512, CUT = 4196 }; // pages; bytes

static char *mapped;
static volatile int next_page;

// Bring every page of the file its first block, the last page first.
static void *
store_backwards(void *arg)
{
  while(next_page > 1 && touch(STORE, mapped + (size_t)--next_page * PAGE) == 0)
    ;
  return 0;
}

// A block that comes while the file is being cut must not make it long again on the disk.
TEST_TIMED(first_stores_behind_a_new_end, LIMIT)
{
  char name[64];

  for(int i = 0; i < FILES; i++) {
    pthread_t t;
    int fd;

    snprintf(name, sizeof(name), "/var/tmp/short.%d", i);
    fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    need(fd >= 0 && ftruncate(fd, LONG * PAGE) == 0);
    mapped = file_at(fd, LONG * PAGE, RW, MAP_SHARED);
    mapped[0] = 'x';
    next_page = LONG;
    t = start(store_backwards, 0);
    while(next_page > LONG - 8 - i)
      sched_yield();
    need(ftruncate(fd, CUT) == 0);
    need(pthread_join(t, 0) == 0);
    expect_eq(file_size(fd), CUT);
    expect_eq(munmap(mapped, LONG * PAGE), 0);
    need(fsync(fd) == 0);
    close(fd);
    if(!here())
      unlink(name);
  }
}
