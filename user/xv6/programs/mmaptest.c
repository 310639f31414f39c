// mmaptest.c -- mapped memory, one promise at a time. `mmaptest NAME...` tries only those.
#include "types.h"
#include "stat.h"
#include "user.h"
#include "fcntl.h"
#include "mman.h"
#include "mmu.h"
#include "tests.h"

enum { PAGES = 3, SIZE = PAGES * PGSIZE - 1000 }; // of the file: its last page is not full
char *path = "mmaptest.tmp";
char buf[PAGES * PGSIZE];

// What the file has at a place.
char
byte(int at)
{
  return 'a' + at % 23;
}

// Make the file, and open it.
int
make(int how)
{
  int i, fd;

  unlink(path);
  fd = open(path, O_CREATE | O_RDWR);
  for(i = 0; i < SIZE; i++)
    buf[i] = byte(i);
  if(fd < 0 || write(fd, buf, SIZE) != SIZE) {
    printf(1, "mmaptest: cannot make %s in this folder\n", path);
    exit();
  }
  close(fd);
  return open(path, how);
}

char *
map(int fd, int length, int prot, int offset)
{
  return mmap(0, length, prot, MAP_FILE, fd, offset);
}

// What read() finds at a place of the file.
char
in_file(int at)
{
  int fd = open(path, O_RDONLY);

  check(read(fd, buf, at + 1) == at + 1);
  close(fd);
  return buf[at];
}

void
load(void *p)
{
  *(volatile char *)p;
}

void
store(void *p)
{
  *(volatile char *)p = 1;
}

void
anonymous_is_zero(void)
{
  char *p = mmap(0, 2 * PGSIZE, PROT_WRITE, MAP_ANONYMOUS, -1, 0);
  int i;

  check(p != MAP_FAILED && (ulong)p % PGSIZE == 0);
  for(i = 0; i < 2 * PGSIZE; i++)
    check(p[i] == 0);
  memset(p, 7, 2 * PGSIZE);
  check(p[0] == 7 && p[2 * PGSIZE - 1] == 7);
  check(munmap(p, 2 * PGSIZE) == 0);
}

void
anonymous_is_lazy(void) // more than the machine has, if it has less than three gigabytes
{
  uint i, size = 1 << 30;
  char *p[3];

  for(i = 0; i < 3; i++) {
    p[i] = mmap(0, size, PROT_WRITE, MAP_ANONYMOUS, -1, 0);
    check(p[i] != MAP_FAILED);
    p[i][size - 1] = p[i][size / 2] = 'x';
  }
  for(i = 0; i < 3; i++)
    check(p[i][0] == 0 && p[i][size - 1] == 'x' && munmap(p[i], size) == 0);
}

void
anonymous_after_fork(void) // the child has a copy
{
  char *p = mmap(0, PGSIZE, PROT_WRITE, MAP_ANONYMOUS, -1, 0);

  *p = 'a';
  if(fork() == 0) {
    *p = 'b';
    exit();
  }
  wait();
  check(*p == 'a');
}

void
hint(void)
{
  char *p = mmap((void *)0x30000000, PGSIZE, PROT_WRITE, MAP_ANONYMOUS, -1, 0), *q;

  check(p == (void *)0x30000000);
  q = mmap(p, PGSIZE, PROT_WRITE, MAP_ANONYMOUS, -1, 0);
  check(q != MAP_FAILED && q != p);
  *p = 'p';
  *q = 'q';
  check(*p == 'p');
  check(mmap((void *)-1, PGSIZE, 0, MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
  check(mmap((void *)1, PGSIZE, 0, MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}

void
read_only(void) // a store ends the one who did it
{
  int fd = make(O_RDONLY);
  char *p = mmap(0, PGSIZE, 0, MAP_ANONYMOUS, -1, 0), *q = map(fd, SIZE, 0, 0);

  check(p != MAP_FAILED && q != MAP_FAILED);
  check(survives(load, p) && survives(load, q));
  check(!survives(store, p) && !survives(store, q));
  check(*p == 0 && *q == byte(0));
}

void
errors(void)
{
  int fd = make(O_RDWR), reader = open(path, O_RDONLY), folder = open(".", O_RDONLY), fds[2];

  check(mmap(0, 0, PROT_WRITE, MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
  check(mmap(0, -1, PROT_WRITE, MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
  check(mmap(0, PGSIZE, PROT_WRITE, MAP_ANONYMOUS, fd, 0) == MAP_FAILED);
  check(mmap(0, PGSIZE, PROT_WRITE, MAP_ANONYMOUS, 0, 0) == MAP_FAILED);
  check(mmap(0, PGSIZE, PROT_WRITE, 77, -1, 0) == MAP_FAILED);
  check(map(-1, PGSIZE, PROT_WRITE, 0) == MAP_FAILED);
  check(map(12345, PGSIZE, PROT_WRITE, 0) == MAP_FAILED);
  check(map(fd, 0, PROT_WRITE, 0) == MAP_FAILED);
  check(map(fd, PGSIZE, PROT_WRITE, -1) == MAP_FAILED);
  check(map(reader, PGSIZE, PROT_WRITE, 0) == MAP_FAILED);
  check(map(folder, PGSIZE, 0, 0) == MAP_FAILED);
  check(pipe(fds) == 0 && map(fds[0], PGSIZE, 0, 0) == MAP_FAILED);
  close(fd);
  check(map(fd, PGSIZE, PROT_WRITE, 0) == MAP_FAILED);
}

void
file_from_any_offset(void)
{
  static int offsets[] = {0, 1, 1000, PGSIZE - 1, PGSIZE, PGSIZE + 1, 2 * PGSIZE + 77, SIZE - 1};
  int fd = make(O_RDONLY), at, n, length;
  char *p;

  for(n = 0; n < sizeof(offsets) / sizeof(offsets[0]); n++) {
    length = SIZE - offsets[n];
    p = map(fd, length, 0, offsets[n]);
    check(p != MAP_FAILED);
    for(at = 0; at < length; at++)
      check(p[at] == byte(offsets[n] + at));
    check(munmap(p, length) == 0);
  }
}

void
file_after_close(void)
{
  int fd = make(O_RDWR);
  char *p = map(fd, SIZE, PROT_WRITE, 0);

  close(fd);
  check(p[PGSIZE] == byte(PGSIZE));
  p[PGSIZE] = '!';
  check(msync(p, SIZE) == 0 && in_file(PGSIZE) == '!');
  unlink(path);
  check(p[0] == byte(0) && p[PGSIZE] == '!');
}

void
changes_reach_the_file(void)
{
  int fd = make(O_RDWR), skip = 100;
  char *p = map(fd, SIZE - skip, PROT_WRITE, skip);

  p[0] = 'A';
  p[2 * PGSIZE] = 'C';
  check(msync(p, SIZE - skip) == 0);
  check(in_file(skip) == 'A' && in_file(2 * PGSIZE + skip) == 'C' && in_file(skip - 1) == byte(skip - 1));
  p[PGSIZE] = 'B'; // without msync
  check(munmap(p, SIZE - skip) == 0);
  check(in_file(PGSIZE + skip) == 'B');
  if(fork() == 0) {
    map(fd, SIZE, PROT_WRITE, 0)[7] = 'D';
    exit();
  }
  wait();
  check(in_file(7) == 'D' && in_file(8) == byte(8));
}

void
file_and_mapping_agree(void)
{
  int fd = make(O_RDWR);
  char *p = map(fd, SIZE, PROT_WRITE, 0), *q = map(fd, PGSIZE, 0, 0);

  check(write(fd, "new", 3) == 3);
  check(p[0] == 'n' && p[2] == 'w' && p[3] == byte(3));
  p[1] = 'o';
  check(q[1] == 'o' && in_file(1) == 'o');
  check(read(fd, p, 2) == 2 && p[0] == byte(3)); // from the file into the file
  if(fork() == 0) {
    p[9] = '9';
    exit();
  }
  wait();
  check(p[9] == '9' && q[9] == '9');
}

void
past_the_end(void) // zeros, which stay here
{
  int fd = make(O_RDWR), i;
  struct stat st;
  char *p = map(fd, 5 * PGSIZE, PROT_WRITE, 0), *q = map(fd, 5 * PGSIZE, 0, PGSIZE);

  check(p != MAP_FAILED && q != MAP_FAILED);
  for(i = SIZE; i < 5 * PGSIZE; i++)
    check(p[i] == 0);
  p[SIZE] = p[4 * PGSIZE] = 'x';
  check(p[4 * PGSIZE] == 'x' && q[4 * PGSIZE] == 0);
  check(!survives(store, q + 4 * PGSIZE));
  check(msync(p, 5 * PGSIZE) == 0 && munmap(p, 5 * PGSIZE) == 0);
  check(fstat(fd, &st) == 0 && st.size == SIZE);
  p = map(fd, 1, 0, 1 << 20); // begins past it
  check(p != MAP_FAILED && *p == 0);
}

void
part_by_part(void)
{
  char *p = mmap(0, 5 * PGSIZE, PROT_WRITE, MAP_ANONYMOUS, -1, 0);

  memset(p, 1, 5 * PGSIZE);
  check(munmap(p + 2 * PGSIZE, PGSIZE) == 0); // the middle
  check(p[2 * PGSIZE - 1] == 1 && p[3 * PGSIZE] == 1);
  check(!survives(load, p + 2 * PGSIZE));
  check(munmap(p + 2 * PGSIZE, PGSIZE) == -1); // twice
  check(munmap(p, 5 * PGSIZE) == -1);          // a hole is in it: nothing happens
  check(p[0] == 1);
  check(munmap(p + 10, 20) == 0); // the page that these bytes lie in
  check(!survives(load, p) && p[PGSIZE] == 1);
  check(munmap(p + 4 * PGSIZE + 5, PGSIZE - 5) == 0);
  check(!survives(load, p + 4 * PGSIZE) && p[3 * PGSIZE] == 1);
  check(munmap(p + PGSIZE, PGSIZE) == 0 && munmap(p + 3 * PGSIZE, 1) == 0);
}

void
not_a_mapping(void)
{
  char *heap = malloc(3 * PGSIZE), local;

  check(munmap(heap, PGSIZE) == -1 && munmap(&local, 1) == -1 && munmap(buf, sizeof(buf)) == -1);
  check(munmap(0, PGSIZE) == -1 && munmap((void *)0x30000000, PGSIZE) == -1);
  check(msync(heap, PGSIZE) == -1 && msync((void *)0x30000000, PGSIZE) == -1);
  heap = mmap(0, PGSIZE, PROT_WRITE, MAP_ANONYMOUS, -1, 0);
  check(munmap(heap, 0) == -1 && munmap(heap, 0xffffffff) == -1 && munmap(heap - PGSIZE, 2 * PGSIZE) == -1);
  check(*heap == 0 && msync(heap, PGSIZE) == 0 && msync(heap + 5, 1) == 0);
}

void
msync_of_a_part(void)
{
  int fd = make(O_RDWR);
  char *p = map(fd, SIZE, PROT_WRITE, 0);

  p[PGSIZE + 5] = '5';
  check(msync(p + PGSIZE + 5, 1) == 0 && in_file(PGSIZE + 5) == '5');
  check(munmap(p + PGSIZE, PGSIZE) == 0);
  check(msync(p, SIZE) == -1 && msync(p, PGSIZE) == 0 && msync(p + 2 * PGSIZE, 10) == 0);
}

void
many(void)
{
  static char *p[400];
  int fd = make(O_RDONLY), i;

  for(i = 0; i < 400; i++) {
    p[i] = i % 2 ? map(fd, 100, 0, i) : mmap(0, PGSIZE, PROT_WRITE, MAP_ANONYMOUS, -1, 0);
    check(p[i] != MAP_FAILED);
  }
  for(i = 0; i < 400; i++)
    check(i % 2 ? p[i][0] == byte(i) : p[i][0] == 0);
  for(i = 0; i < 400; i++)
    check(munmap(p[i], i % 2 ? 100 : PGSIZE) == 0);
}

void
heap_and_mappings(void) // both grow, neither takes the other's place
{
  char *p = mmap(0, PGSIZE, PROT_WRITE, MAP_ANONYMOUS, -1, 0), *heap = sbrk(1 << 20);

  check(p != MAP_FAILED && heap != (char *)-1);
  memset(heap, 1, 1 << 20);
  check(*p == 0 && malloc(1 << 20) != 0 && *p == 0);
}

void
calls_reach_mappings(void) // the kernel touches what the program has not
{
  int fd = make(O_RDWR), fds[2], i;
  char *p = map(fd, SIZE, PROT_WRITE, 1), *q = mmap(0, 2 * PGSIZE, PROT_WRITE, MAP_ANONYMOUS, -1, 0);
  char *r = mmap(0, PGSIZE, 0, MAP_ANONYMOUS, -1, 0);

  int past = PGROUNDUP(SIZE) - 1; // of p, which is crooked by one: from here on there is no file
  char *s = map(fd, SIZE + 3 * PGSIZE, PROT_WRITE, 1);

  check(pipe(fds) == 0 && write(fds[1], p + PGSIZE - 10, 20) == 20 && read(fds[0], q + PGSIZE - 10, 20) == 20);
  for(i = 0; i < 20; i++)
    check(q[PGSIZE - 10 + i] == byte(PGSIZE - 9 + i));
  check(write(fds[1], "x", 1) == 1 && read(fds[0], r, 1) == -1); // read-only to the kernel as well
  check(read(fds[0], s + past, 1) == 1 && s[past] == 'x' && s[past + 1] == 0);
  check(write(fds[1], s + past + PGSIZE - 10, 20) == 20 && read(fds[0], q, 20) == 20 && q[0] == 0 && q[19] == 0);
}

struct test tests[] = {
    {"anonymous_is_zero", anonymous_is_zero},
    {"anonymous_is_lazy", anonymous_is_lazy},
    {"anonymous_after_fork", anonymous_after_fork},
    {"hint", hint},
    {"read_only", read_only},
    {"errors", errors},
    {"file_from_any_offset", file_from_any_offset},
    {"file_after_close", file_after_close},
    {"changes_reach_the_file", changes_reach_the_file},
    {"file_and_mapping_agree", file_and_mapping_agree},
    {"past_the_end", past_the_end},
    {"part_by_part", part_by_part},
    {"not_a_mapping", not_a_mapping},
    {"msync_of_a_part", msync_of_a_part},
    {"many", many},
    {"heap_and_mappings", heap_and_mappings},
    {"calls_reach_mappings", calls_reach_mappings},
    {0},
};

int
main(int argc, char **argv)
{
  printf(1, "mmaptest starting\n");
  run_tests(tests, argc, argv);
  unlink(path);
  exit();
}
