// usertests.c -- every call that user.h declares, but for those of mmaptest. `usertests NAME...` tries only those.
#include "types.h"
#include "stat.h"
#include "user.h"
#include "fcntl.h"
#include "fs.h"
#include "param.h"
#include "memlayout.h"
#include "tests.h"

char buf[8192];
char *me; // this program's name

int
make(char *path, char *text)
{
  int fd = open(path, O_CREATE | O_RDWR);

  check(fd >= 0 && write(fd, text, strlen(text)) == strlen(text));
  return fd;
}

// ---- processes

void
fork_and_wait(void)
{
  int i, pid;

  for(i = 0; i < 50; i++) {
    pid = fork();
    check(pid >= 0);
    if(pid == 0)
      exit();
    check(wait() == pid);
  }
  check(wait() == -1);
}

void
fork_has_an_end(void)
{
  int n = 0, pid;

  while((pid = fork()) > 0 && n < 10 * NPROC)
    n++;
  if(pid == 0)
    exit();
  check(pid == -1 && n > NPROC / 2 && n < NPROC);
  while(n-- > 0)
    check(wait() > 0);
  check(wait() == -1 && (pid = fork()) >= 0);
  if(pid == 0)
    exit();
}

void
pids(void)
{
  int fds[2], pid, seen = 0;

  check(pipe(fds) == 0);
  if((pid = fork()) == 0) {
    pid = getpid();
    write(fds[1], &pid, sizeof(pid));
    exit();
  }
  check(read(fds[0], &seen, sizeof(seen)) == sizeof(seen) && seen == pid && wait() == pid && getpid() != pid);
}

void
kill_ends(void)
{
  int pid[3], i;

  for(i = 0; i < 3; i++) {
    if((pid[i] = fork()) == 0) {
      for(;;) {
        if(i == 1)
          sleep(1000);
        else if(i == 2)
          getpid();
      }
    }
  }
  for(i = 0; i < 3; i++)
    check(kill(pid[i]) == 0 && wait() > 0);
  check(kill(pid[0]) == -1 && kill(0) == -1 && kill(-1) == -1 && kill(-pid[1]) == -1);
}

void
sleep_and_uptime(void)
{
  int start = uptime();

  check(sleep(20) == 0 && uptime() - start >= 20 && uptime() - start < 1000);
  check(sleep(0) == 0 && sleep(-5) == 0);
}

void
exec_runs(void)
{
  char *args[] = {me, "--say", "these words", 0};
  int fds[2];

  check(pipe(fds) == 0);
  if(fork() == 0) {
    close(1);
    dup(fds[1]);
    exec(me, args);
    exit();
  }
  close(fds[1]);
  check(read(fds[0], buf, sizeof(buf)) == 13 && buf[0] == '3' && buf[1] == ' ' && buf[12] == 's');
  wait();
}

void
exec_refuses(void)
{
  static char *many[MAXARG + 1], *large[] = {"x", 0, 0}, *bad[] = {"x", (char *)0xeaeb0b5b00000000, 0};
  char *one[] = {"x", 0};
  int i;

  for(i = 0; i < MAXARG; i++)
    many[i] = "x";
  memset(buf, 'x', 4096);
  buf[4096] = 0;
  large[1] = buf;
  close(make("ut.text", "no program\n"));
  check(exec("ut.none", one) == -1 && exec("ut.text", one) == -1 && exec(".", one) == -1 && exec("", one) == -1);
  check(exec(me, many) == -1 && exec(me, large) == -1 && exec(me, bad) == -1);
  check(exec(me, 0) == -1 && exec(0, one) == -1 && exec(me, (char **)0xeaeb0b5b00000000) == -1);
  unlink("ut.text");
}

void
spinners(void) // those that never stop leave time for others
{
  int pid[3], i;

  for(i = 0; i < 3; i++)
    if((pid[i] = fork()) == 0)
      for(;;)
        ;
  sleep(5);
  for(i = 0; i < 3; i++)
    check(kill(pid[i]) == 0);
  for(i = 0; i < 3; i++)
    check(wait() > 0);
}

// ---- files

void
write_and_read(void)
{
  int fd = make("ut.file", "0123456789"), i;

  check(read(fd, buf, 10) == 0); // at its end
  close(fd);
  check((fd = open("ut.file", O_RDONLY)) >= 0);
  check(read(fd, buf, 4) == 4 && read(fd, buf + 4, sizeof(buf)) == 6 && buf[9] == '9' && read(fd, buf, 1) == 0);
  check(write(fd, "x", 1) == -1);
  close(fd);
  check((fd = open("ut.file", O_CREATE | O_WRONLY)) >= 0 && write(fd, "ab", 2) == 2 && read(fd, buf, 1) == -1);
  close(fd);
  check((fd = open("ut.file", 0)) >= 0 && read(fd, buf, 100) == 10 && buf[1] == 'b' && buf[2] == '2'); // not shortened
  close(fd);
  check(close(fd) == -1 && read(fd, buf, 1) == -1 && write(fd, buf, 1) == -1 && read(0, buf, -1) == -1);
  check(write(1, buf, -1) == -1 && unlink("ut.file") == 0 && open("ut.file", O_RDWR) == -1);
  fd = open("ut.big", O_CREATE | O_RDWR);
  for(i = 0; i < MAXFILE * 2; i++)
    check(write(fd, buf, BSIZE) == BSIZE);
  check(unlink("ut.big") == 0);
}

void
links(void)
{
  struct stat st;
  int fd = make("ut.one", "text"), i;

  check(link("ut.one", "ut.two") == 0 && fstat(fd, &st) == 0 && st.nlink == 2 && st.size == 4);
  check(link("ut.one", "ut.two") == -1 && link("ut.none", "ut.new") == -1 && link(".", "ut.new") == -1);
  check(unlink("ut.one") == 0 && unlink("ut.one") == -1 && stat("ut.two", &st) == 0 && st.nlink == 1);
  check(unlink("ut.two") == 0 && write(fd, "more", 4) == 4); // open still
  close(fd);
  close(make("ut.a", ""));
  for(i = 0; i < 200; i++) {
    char name[] = {'u', 't', 'A' + i / 20, 'a' + i % 20, 0};
    check(link("ut.a", name) == 0);
  }
  check(stat("ut.a", &st) == 0 && st.nlink == 201 && st.size == 0);
  for(i = 0; i < 200; i++) {
    char name[] = {'u', 't', 'A' + i / 20, 'a' + i % 20, 0};
    check(unlink(name) == 0);
  }
  check(unlink("ut.a") == 0);
}

void
directories(void)
{
  int fd;

  check(mkdir("ut.d") == 0 && mkdir("ut.d") == -1 && mkdir("ut.none/x") == -1 && mkdir("") == -1);
  close(make("ut.d/f", "x"));
  check(unlink("ut.d") == -1 && mkdir("ut.d/f/x") == -1 && open("ut.d/f/x", O_CREATE) == -1 && chdir("ut.d/f") == -1);
  check(open("ut.d", O_RDWR) == -1 && open("ut.d", O_WRONLY) == -1 && open("ut.d", O_CREATE) == -1);
  check((fd = open("ut.d", O_RDONLY)) >= 0 && write(fd, "x", 1) == -1);
  check(chdir("ut.d") == 0 && open("f", 0) >= 0 && chdir("..") == 0 && chdir("ut.none") == -1);
  check(chdir("ut.d/../ut.d/.") == 0 && unlink(".") == -1 && unlink("..") == -1 && unlink("f") == 0);
  check(unlink("../ut.d") == 0 && open("f", O_CREATE) == -1); // gone, though we stand in it
}

void
root(void) // the folder of the programs: nothing is above it
{
  struct stat a, b, c;

  check(chdir("/") == 0 && stat(".", &a) == 0 && stat("..", &b) == 0 && stat("/../../.", &c) == 0);
  check(a.ino == b.ino && a.ino == c.ino && stat("", &b) == 0 && a.ino == b.ino);
  check(mkdir("/ut.r") == 0 && chdir("ut.r") == 0 && chdir("../../../ut.r") == 0 && unlink("/ut.r") == 0);
  check(open("/etc/passwd", 0) >= 0); // not there, but on the machine
}

// Does the directory have the name?
int
listed(char *path, char *name)
{
  struct dirent de;
  char full[DIRSIZ + 1] = {0};
  int fd = open(path, O_RDONLY), n = 0;

  while(read(fd, &de, sizeof(de)) == sizeof(de)) {
    memmove(full, de.name, DIRSIZ);
    check(de.inum != 0);
    n += strcmp(full, name) == 0;
  }
  close(fd);
  return n;
}

void
listing(void)
{
  struct dirent de[8];
  int fd;

  check(mkdir("ut.l") == 0 && mkdir("ut.l/sub") == 0);
  close(make("ut.l/file", ""));
  check(listed("ut.l", ".") == 1 && listed("ut.l", "..") == 1 && listed("ut.l", "sub") == 1 &&
        listed("ut.l", "file") == 1);
  fd = open("ut.l", O_RDONLY);
  check(read(fd, de, sizeof(de[0])) == sizeof(de[0]) &&
        read(fd, de + 1, sizeof(de) - sizeof(de[0])) == 3 * sizeof(de[0]));
  check(read(fd, de, sizeof(de)) == 0);
  check(read(fd, de, 0) == 0);
  close(fd);
  fd = open("ut.l", O_RDONLY);
  check(read(fd, (void *)0x10, sizeof(de)) == -1);
  check(unlink("ut.l/file") == 0 && unlink("ut.l/sub") == 0 && unlink("ut.l") == 0);
}

void
fourteen(void) // characters are what counts of a name
{
  struct stat a, b;

  check(mkdir("ut.56789012345") == 0 && mkdir("ut.567890123456789") == -1);
  close(make("ut.567890123456/a-name-of-many-letters", "text"));
  check(listed("ut.56789012345", "a-name-of-many") == 1);
  check(stat("ut.56789012345/a-name-of-many", &a) == 0 && stat("ut.567890123459/a-name-of-many-others", &b) == 0);
  check(a.ino == b.ino && a.size == 4 && unlink("ut.56789012345/a-name-of-man") == -1);
  check(unlink("ut.56789012345/a-name-of-many") == 0 && unlink("ut.567890123456") == 0);
}

void
kinds(void)
{
  struct stat st;
  int fds[2], fd = make("ut.k", "12345");

  check(fstat(fd, &st) == 0 && st.type == T_FILE && st.size == 5 && st.nlink == 1 && st.ino != 0);
  check(stat(".", &st) == 0 && st.type == T_DIR && stat("/dev/null", &st) == 0 && st.type == T_DEV);
  check(stat("ut.none", &st) == -1 && fstat(99, &st) == -1 && pipe(fds) == 0 && fstat(fds[0], &st) == -1);
  check(fstat(fd, (struct stat *)0x10) == -1 && unlink("ut.k") == 0);
  check(mknod("ut.con", 1, 1) == 0 && stat("ut.con", &st) == 0 && st.type == T_DEV && mknod("ut.con", 1, 1) == -1);
  check((fd = open("ut.con", O_RDWR)) >= 0 && write(fd, "", 0) == 0 && unlink("ut.con") == 0);
  check(open("console", O_RDWR) >= 0 && open("/console", O_RDWR) >= 0);
}

void
descriptors(void)
{
  int fd = make("ut.s", "abcdef"), other;

  close(fd);
  fd = open("ut.s", O_RDONLY);
  check((other = dup(fd)) > fd && read(fd, buf, 2) == 2 && read(other, buf, 2) == 2 && buf[0] == 'c'); // one position
  if(fork() == 0) {
    read(fd, buf, 1);
    exit();
  }
  wait();
  check(read(other, buf, 9) == 1 && buf[0] == 'f');
  close(fd);
  check((fd = open(".", O_RDONLY)) >= 0 && dup(fd) >= 0 && dup(99) == -1 && dup(-1) == -1 && close(-1) == -1);
  unlink("ut.s");
}

void
pipes(void)
{
  int fds[2], n, got = 0;

  check(pipe(fds) == 0);
  if(fork() == 0) {
    close(fds[0]);
    for(n = 0; n < 40; n++) {
      memset(buf, n, sizeof(buf));
      if(write(fds[1], buf, sizeof(buf)) != sizeof(buf))
        exit();
    }
    exit();
  }
  close(fds[1]);
  while((n = read(fds[0], buf, 1000)) > 0) {
    check(buf[0] == got / sizeof(buf));
    got += n;
  }
  check(n == 0 && got == 40 * sizeof(buf));
  wait();
  check(pipe(fds) == 0 && close(fds[0]) == 0 && write(fds[1], "x", 1) == -1); // nobody will read it
  check(pipe((int *)0x10) == -1);
}

// ---- memory

void
heap(void)
{
  enum { MANY = 100 << 20 };
  char *start = sbrk(0), *p;

  check(sbrk(1) == start && sbrk(0) == start + 1 && sbrk(9999) == start + 1);
  start[9999] = 1;
  check(sbrk(-10000) == start + 10000 && sbrk(0) == start);
  check(sbrk(MANY) == start && start[0] == 0 && start[MANY - 1] == 0);
  start[MANY - 1] = 'x';
  check(sbrk(-MANY) == start + MANY && sbrk(MANY) == start && start[MANY - 1] == 0); // new, not kept
  p = sbrk(0);
  check(sbrk(0x7fffffff) == (char *)-1 && sbrk(0) == p && sbrk(-0x7fffffff) == (char *)-1 && sbrk(0) == p);
}

void
allocation(void)
{
  char *p[100];
  int i, j, n;

  check(malloc(0xfffffff0) == 0);
  free(0);
  for(j = 0; j < 5; j++) {
    for(i = 0; i < 100; i++) {
      n = (i * 7919 + j * 31) % 5000 + 1;
      check((p[i] = malloc(n)) != 0 && (ulong)p[i] % 16 == 0);
      memset(p[i], i, n);
    }
    for(i = 0; i < 100; i++)
      check(p[i][0] == i);
    for(i = 0; i < 100; i++)
      free(p[(i * 37 + 5) % 100]);
  }
}

void
allocation_ends(void) // with a 0, not with the program
{
  enum { PIECE = 100000 };
  char *last = 0, *p;
  int n = 0;

  while((p = malloc(PIECE)) != 0) {
    memset(p, 1, PIECE);
    *(char **)p = last;
    last = p;
    n++;
  }
  check(n > 100);
  for(; last; last = p) {
    p = *(char **)last;
    free(last);
  }
  check(malloc(PIECE) != 0);
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
int_64(void *p)
{
  // What a call was in xv6. tools/xv6 lets it pass because the stack goes first: see there.
  asm volatile("mov %%esp, %%ebx; mov %0, %%esp; int $64; mov %%ebx, %%esp" : : "r"(p) : "rbx", "memory");
}

void
forbidden(void) // ends who does it, and nobody else
{
  ulong at;

  for(at = KERNBASE; at < KERNBASE + 2000000; at += 250000)
    check(!survives(load, (void *)at));
  check(!survives(load, (void *)0) && !survives(load, (void *)0xffffffff80000000));
  check(survives(store, (void *)load)); // a program's text is its own to spoil
  check(!survives(int_64, 0) && !survives(int_64, buf) && !survives(int_64, (void *)-1));
}

void
bad_pointers(void)
{
  char *bad[] = {0,
                 (char *)16,
                 (char *)KERNBASE,
                 (char *)0xeaeb0b5b,
                 (char *)0xeaeb0b5b00000000,
                 (char *)0xffffffff80000000,
                 (char *)-1};
  struct stat st;
  int i, fd = open(me, O_RDONLY), fds[2];

  check(pipe(fds) == 0);
  for(i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    check(open(bad[i], 0) == -1 && open(bad[i], O_CREATE) == -1 && unlink(bad[i]) == -1 && mkdir(bad[i]) == -1);
    check(link(bad[i], "ut.x") == -1 && link(me, bad[i]) == -1 && chdir(bad[i]) == -1 && mknod(bad[i], 1, 1) == -1);
    check(read(fd, bad[i], 10) == -1 && write(fds[1], bad[i], 10) == -1 && stat(bad[i], &st) == -1);
    check(fstat(fd, (struct stat *)bad[i]) == -1 && pipe((int *)bad[i]) == -1 && exec(bad[i], bad) == -1);
  }
}

// ---- the library

void
strings(void)
{
  char a[20] = "abcdef", b[20];
  int i;

  check(strlen("") == 0 && strlen("abc") == 3 && strcmp("a", "a") == 0 && strcmp("a", "b") < 0 &&
        strcmp("ab", "a") > 0);
  check(strcmp("\377", "a") > 0 && strcpy(b, "xyz") == b && b[2] == 'z' && b[3] == 0);
  check(strchr(a, 'c') == a + 2 && strchr(a, 'x') == 0);
  check(memmove(a + 2, a, 4) == a + 2 && strcmp(a, "ababcd") == 0 && memmove(a, a + 2, 5) == a &&
        strcmp(a, "abcd") == 0);
  check(memset(a, 'x', 3) == a && strcmp(a, "xxxd") == 0);
  check(atoi("0") == 0 && atoi("12x") == 12 && atoi("") == 0 && atoi("2147483647") == 2147483647);
  for(i = 0; i < 20; i++)
    check(uptime() >= 0);
}

// What printf wrote to a pipe is the text.
int
printed(int *fds, char *text)
{
  int n = read(fds[0], buf, sizeof(buf) - 1);

  buf[n < 0 ? 0 : n] = 0;
  return strcmp(buf, text) == 0;
}

void
formats(void)
{
  int fds[2];

  check(pipe(fds) == 0);
  printf(fds[1], "%d %d %d|%x|%p|%c%c|%s|%s|%%|%q", 0, -7, 1 << 31, 0xbeef, (void *)0x12345678, 'o', 'k', "text",
         (char *)0);
  check(printed(fds, "0 -7 -2147483648|BEEF|12345678|ok|text|(null)|%|%q"));
  memset(buf + 4000, 'y', 300);
  buf[4300] = 0;
  printf(fds[1], "%s", buf + 4000);
  check(read(fds[0], buf, 128) == 128 && read(fds[0], buf, sizeof(buf)) == 172 && buf[171] == 'y');
}

void
lines(void)
{
  char line[8];
  int fds[2];

  check(pipe(fds) == 0 && close(0) == 0 && dup(fds[0]) == 0);
  printf(fds[1], "one\ntoolongaline\nlast");
  close(fds[1]);
  check(strcmp(gets(line, sizeof(line)), "one\n") == 0 && strcmp(gets(line, sizeof(line)), "toolong") == 0);
  check(strcmp(gets(line, sizeof(line)), "aline\n") == 0 && strcmp(gets(line, sizeof(line)), "last") == 0);
  check(gets(line, sizeof(line))[0] == 0);
}

struct test tests[] = {
    {"fork_and_wait", fork_and_wait},
    {"fork_has_an_end", fork_has_an_end},
    {"pids", pids},
    {"kill_ends", kill_ends},
    {"sleep_and_uptime", sleep_and_uptime},
    {"exec_runs", exec_runs},
    {"exec_refuses", exec_refuses},
    {"spinners", spinners},
    {"write_and_read", write_and_read},
    {"links", links},
    {"directories", directories},
    {"root", root},
    {"listing", listing},
    {"fourteen", fourteen},
    {"kinds", kinds},
    {"descriptors", descriptors},
    {"pipes", pipes},
    {"heap", heap},
    {"allocation", allocation},
    {"allocation_ends", allocation_ends},
    {"forbidden", forbidden},
    {"bad_pointers", bad_pointers},
    {"strings", strings},
    {"formats", formats},
    {"lines", lines},
    {0},
};

int
main(int argc, char **argv)
{
  me = argv[0];
  if(argc == 3 && strcmp(argv[1], "--say") == 0) { // exec_runs
    printf(1, "%d %s", argc, argv[2]);
    exit();
  }
  printf(1, "usertests starting\n");
  run_tests(tests, argc, argv);
  exit();
}
