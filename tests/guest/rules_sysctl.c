// rules_sysctl.c -- what root may set in /proc/sys/vm, and what it does: rules M31, M40, O03, H04, D08, P14. Setting
// something changes the machine for everybody on it, so most of this runs in lazy6 only; what is expected is what Linux's
// documents and a Linux of its own say.
#define T_OWN_MAIN
#include "rules.h"
#include <sys/ipc.h>
#include <sys/shm.h>

static unsigned long
setting(const char *name)
{
  unsigned long v = -1;
  char path[96];
  FILE *f;

  snprintf(path, sizeof(path), "/proc/sys/%s", name);
  f = fopen(path, "r");
  need(f && fscanf(f, "%lu", &v) == 1);
  fclose(f);
  return v;
}

// 0, or the errno.
static int
set_text(const char *name, const char *text)
{
  char path[96];
  int fd, e = 0;

  snprintf(path, sizeof(path), "/proc/sys/%s", name);
  fd = open(path, O_WRONLY);
  if(fd < 0)
    return errno;
  if(write(fd, text, strlen(text)) < 0)
    e = errno;
  close(fd);
  return e;
}

static int
set(const char *name, unsigned long v)
{
  char text[32];

  snprintf(text, sizeof(text), "%lu\n", v);
  return set_text(name, text);
}

static long
promised(void) // pages
{
  return proc_figure("/proc/meminfo", "Committed_AS") / 4;
}

TEST(reading) // H04
{
  expect(setting("vm/overcommit_memory") <= 2 && setting("vm/overcommit_ratio") <= 100);
  expect(setting("vm/max_map_count") >= 65530 && setting("vm/mmap_min_addr") >= PAGE);
  expect(setting("kernel/randomize_va_space") <= 2);
  setting("vm/overcommit_kbytes");
  expect(proc_figure("/proc/meminfo", "CommitLimit") > 0 && promised() > 0);
}

static void
try_as_nobody(void *arg)
{
  become_nobody();
  expect_eq(set("vm/overcommit_memory", 0), EACCES);
  expect_eq(set("vm/max_map_count", 65530), EACCES);
}

TEST(who_may_set_what)
{
  if(getuid() == 0)
    expect_eq(in_child(try_as_nobody, 0), 0);
  only_here();
  expect_eq(set("vm/overcommit_memory", 3), EINVAL);
  expect_eq(set_text("vm/overcommit_memory", "x\n"), EINVAL);
  expect_eq(set_text("vm/overcommit_memory", " 1 \n"), 0);
  expect_eq(setting("vm/overcommit_memory"), 1);
  expect_eq(set_text("vm/overcommit_memory", "0"), 0);
  expect_eq(set("kernel/randomize_va_space", 3), EINVAL);
  expect_eq(set("vm/mmap_min_addr", 0), EINVAL); // page 0 belongs to nobody
}

TEST(what_is_counted) // O03, H04
{
  enum { N = 2048 };
  long before, fork_before;
  char *p, *s;
  int fd, id, status;
  pid_t pid;

  only_here(); // others promise and take back meanwhile
  before = promised();
  p = map_prot(N * PAGE, RW); // MAP_NORESERVE
  expect_eq(promised() - before, 0);
  munmap(p, N * PAGE);
  p = mmap(0, N * PAGE, PROT_READ, ANON, -1, 0);
  expect_eq(promised() - before, 0);
  need(mprotect(p, N * PAGE / 2, RW) == 0);
  expect_eq(promised() - before, N / 2);
  need(mprotect(p, N * PAGE / 2, PROT_READ) == 0);
  expect_eq(promised() - before, N / 2); // stays, as its pages may
  fork_before = promised();
  pid = fork();
  if(pid == 0)
    _exit(promised() - fork_before < N / 2);
  need(waitpid(pid, &status, 0) == pid);
  expect_eq(status, 0);
  munmap(p, N * PAGE);
  expect_eq(promised() - before, 0);
  s = map_shared(N * PAGE);
  expect_eq(promised() - before, N);
  munmap(s, N * PAGE);
  fd = temp_file("", 0);
  need(ftruncate(fd, N * PAGE) == 0);
  s = file_at(fd, N * PAGE, RW, MAP_SHARED);
  expect_eq(promised() - before, 0);
  memset(s, 1, 100 * PAGE); // a file's pages count one by one
  expect_eq(promised() - before, 100);
  need(ftruncate(fd, 0) == 0);
  expect_eq(promised() - before, 0);
  id = shmget(IPC_PRIVATE, N * PAGE, 0600);
  expect_eq(promised() - before, N);
  shmctl(id, IPC_RMID, 0);
  expect_eq(promised() - before, 0);
}

static void
strict(void *arg)
{
  unsigned long limit = proc_figure("/proc/meminfo", "CommitLimit") / 4, left = limit - promised();
  size_t half = left / 2 * PAGE, much = (left + 64) * PAGE;
  char *p, *q;
  int fd = temp_file("", 0);

  expect_errno(raw_mmap(0, much, RW, ANON, -1, 0), ENOMEM);
  expect_errno(raw_mmap(0, much, RW, ANON | MAP_NORESERVE, -1, 0), ENOMEM); // not waived
  expect_errno(raw_mmap(0, much, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0), ENOMEM);
  expect_errno(raw_mmap(0, much, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0), ENOMEM);
  p = raw_mmap(0, much, PROT_READ, ANON, -1, 0); // nothing is promised
  need(p != MAP_FAILED);
  expect_errno(mprotect(p, much, RW), ENOMEM);
  expect(mprotect(p, 4 * PAGE, RW) == 0);
  q = raw_mmap(0, half, RW, ANON, -1, 0);
  need(q != MAP_FAILED);
  expect_errno((long)mremap(q, half, much, MREMAP_MAYMOVE), ENOMEM);
  expect_errno(raw_mmap(0, half + half / 8, RW, ANON, -1, 0), ENOMEM);
  expect_errno(fork(), ENOMEM); // which would promise it once more
  expect(syscall(SYS_brk, syscall(SYS_brk, 0) + much) == syscall(SYS_brk, 0));
  expect_errno(shmget(IPC_PRIVATE, much, 0600), ENOMEM);
  expect(munmap(q, half) == 0);
  q = raw_mmap(0, half, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  expect(q != MAP_FAILED);
  expect_errno(raw_mmap(0, half + half / 8, RW, ANON, -1, 0), ENOMEM);
}

TEST(the_strict_limit) // O03, K13
{
  only_here();
  expect_eq(set("vm/overcommit_ratio", 80), 0);
  expect_eq(setting("vm/overcommit_kbytes"), 0);
  expect_eq(proc_figure("/proc/meminfo", "CommitLimit"), proc_figure("/proc/meminfo", "MemTotal") * 80 / 100 / 4 * 4);
  expect_eq(set("vm/overcommit_memory", 2), 0);
  expect_eq(in_child(strict, 0), 0);
  expect_eq(set("vm/overcommit_kbytes", 100000), 0);
  expect_eq(setting("vm/overcommit_ratio"), 0);
  expect_eq(proc_figure("/proc/meminfo", "CommitLimit"), 100000);
  expect_eq(in_child(strict, 0), 0);
  expect_eq(set("vm/overcommit_memory", 0), 0);
  expect_eq(set("vm/overcommit_ratio", 50), 0);
}

TEST(no_limit_at_all) // O03
{
  char *p;

  only_here();
  expect_errno(raw_mmap(0, 1ul << 40, RW, ANON, -1, 0), ENOMEM);
  expect_eq(set("vm/overcommit_memory", 1), 0);
  p = raw_mmap(0, 1ul << 40, RW, ANON, -1, 0);
  expect(p != MAP_FAILED);
  expect(raw_mmap(0, 1ul << 40, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
  p[1ul << 39] = 1;
  expect_eq(set("vm/overcommit_memory", 0), 0);
}

TEST(number_of_mappings) // M40, U11, R14
{
  char *p;
  int n = 0;

  only_here();
  expect_eq(set("vm/max_map_count", 200), 0);
  p = map_prot(1000 * PAGE, PROT_NONE);
  while(n < 500 && mprotect(p + 2 * n * PAGE, PAGE, PROT_READ) == 0)
    n++;
  expect(n > 50 && n < 150 && errno == ENOMEM);
  expect_errno(munmap(p + (2 * n + 5) * PAGE, PAGE), ENOMEM);
  expect_errno((long)mmap(0, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, ANON, -1, 0), ENOMEM);
  expect_eq(set("vm/max_map_count", 65530), 0);
  expect(munmap(p + (2 * n + 5) * PAGE, PAGE) == 0);
}

TEST(lowest_address) // M31
{
  char *p = (char *)(16ul * PAGE), *low = (char *)(2ul * PAGE);

  only_here();
  expect_errno((long)raw_mmap(low, PAGE, RW, ANON | MAP_FIXED, -1, 0), EPERM);
  expect_eq((long)raw_mmap(p, PAGE, RW, ANON | MAP_FIXED, -1, 0), (long)p);
  expect_eq(set("vm/mmap_min_addr", PAGE), 0);
  expect_eq((long)raw_mmap(low, PAGE, RW, ANON | MAP_FIXED, -1, 0), (long)low);
  low[0] = 1;
  expect_errno((long)raw_mmap(0, PAGE, RW, ANON | MAP_FIXED, -1, 0), EPERM);
  expect_eq(set("vm/mmap_min_addr", 1 << 20), 0);
  expect_errno((long)raw_mmap(p + 8 * PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0), EPERM);
  expect_eq(set("vm/mmap_min_addr", 65536), 0);
}

struct places {
  unsigned long image, heap, stack, mmap;
};

static struct places
child_places(void)
{
  struct places at = {0};
  int pfd[2];
  pid_t pid;

  need(pipe(pfd) == 0);
  pid = fork();
  if(pid == 0) {
    dup2(pfd[1], 1);
    execl("/proc/self/exe", "rules_sysctl", "places", (char *)0);
    _exit(9);
  }
  close(pfd[1]);
  need(read(pfd[0], &at, sizeof(at)) == sizeof(at));
  close(pfd[0]);
  wait(0);
  return at;
}

TEST(random_places) // P14
{
  struct places a, b;

  only_here();
  a = child_places();
  b = child_places();
  expect(setting("kernel/randomize_va_space") == 2 && a.stack != b.stack && a.mmap != b.mmap && a.heap != b.heap);
  expect_eq(set("kernel/randomize_va_space", 1), 0);
  a = child_places();
  b = child_places();
  expect(a.stack != b.stack && a.mmap != b.mmap && a.heap - a.image == b.heap - b.image);
  expect_eq(set("kernel/randomize_va_space", 0), 0);
  a = child_places();
  b = child_places();
  expect(a.stack == b.stack && a.mmap == b.mmap && a.heap == b.heap && a.image == b.image);
  expect_eq(set("kernel/randomize_va_space", 2), 0);
}

int
main(int argc, char **argv)
{
  if(argc == 2 && strcmp(argv[1], "places") == 0) {
    struct places at = {(unsigned long)main, syscall(SYS_brk, 0), (unsigned long)&at, (unsigned long)map(PAGE)};

    return write(1, &at, sizeof(at)) != sizeof(at);
  }
  return t_main(argc, argv);
}
