// rules_protect.c -- mprotect and mseal: rules R01 to R19.
#include "rules.h"
#include <pthread.h>

static long
protect(void *p, size_t n, int prot)
{
  return syscall(SYS_mprotect, p, n, prot); // libc rounds
}

TEST(mprotect_errors) // R01, R02, R05, R06, R07
{
  char *p = map(4 * PAGE);

  expect_errno(protect(p + 1, PAGE, PROT_READ), EINVAL);
  expect(protect(p, 0, PROT_NONE) == 0);
  expect_errno(protect(p, PAGE, PROT_READ | PROT_GROWSDOWN | PROT_GROWSUP), EINVAL);
  expect_errno(protect(p, PAGE, PROT_READ | PROT_GROWSDOWN), EINVAL);
  expect_errno(protect(p, PAGE, PROT_READ | PROT_GROWSUP), EINVAL);
  expect_errno(protect(p, PAGE, PROT_READ | 0x80), EINVAL);
  expect_errno(protect(p, PAGE, -1), EINVAL);
  expect_errno(protect(p, -PAGE, PROT_READ), ENOMEM);
  expect_errno(protect(p, -1, PROT_READ), ENOMEM);
  expect_errno(protect((void *)TASK_TOP, PAGE, PROT_READ), ENOMEM);
  for(int i = 0; i < 4; i++)
    expect_touch(STORE, p + i * PAGE, 0);
}

TEST(mprotect_over_a_hole) // R03
{
  char *p = map(5 * PAGE);

  need(munmap(p + 2 * PAGE, PAGE) == 0);
  expect_errno(protect(p, 5 * PAGE, PROT_READ), ENOMEM);
  expect_touch(STORE, p, SIGSEGV);
  expect_touch(STORE, p + PAGE, SIGSEGV);
  expect_touch(STORE, p + 3 * PAGE, 0); // behind the hole nothing changed
  expect_errno(protect(p + 2 * PAGE, 2 * PAGE, PROT_READ), ENOMEM);
  expect_touch(STORE, p + 3 * PAGE, 0);
}

static int
read_only_again(int fd)
{
  char path[64];
  int ro;

  snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
  ro = open(path, O_RDONLY);
  need(ro >= 0);
  return ro;
}

TEST(mprotect_of_read_only_files) // R04, R11, S07
{
  int rw = temp_pages(2), ro = read_only_again(rw);
  char *s = file_at(ro, 2 * PAGE, PROT_READ, MAP_SHARED), *p = file_at(ro, 2 * PAGE, PROT_READ, MAP_PRIVATE);

  expect_errno(protect(s, PAGE, RW), EACCES);
  expect_touch(STORE, s, SIGSEGV);
  expect_eq(p[0], 'a');
  expect(protect(p, 2 * PAGE, RW) == 0);
  p[0] = 'P';
  p[PAGE] = 'Q';
  expect(s[0] == 'a' && s[PAGE] == 'b' && file_byte(rw, 0) == 'a');
  expect(p[1] == 'a' && p[PAGE + 1] == 'b');
}

TEST(mprotect_splits_and_merges) // R08
{
  char *p = map(9 * PAGE);

  memset(p, 'r', 9 * PAGE);
  expect(protect(p + 3 * PAGE, 3 * PAGE, PROT_READ) == 0);
  expect_eq(regions_in(p + PAGE, 7 * PAGE), 3);
  expect_touch(STORE, p + 3 * PAGE - 1, 0);
  expect_touch(STORE, p + 3 * PAGE, SIGSEGV);
  expect_touch(STORE, p + 6 * PAGE - 1, SIGSEGV);
  expect_touch(STORE, p + 6 * PAGE, 0);
  expect_eq(differing(p, 9 * PAGE, 'r'), 0);
  expect(protect(p + 2 * PAGE, 5 * PAGE, PROT_READ) == 0); // over a border
  expect_touch(STORE, p + 2 * PAGE, SIGSEGV);
  expect(protect(p + PAGE, 7 * PAGE, RW) == 0);
  expect_eq(regions_in(p + PAGE, 7 * PAGE), 1);
  expect_eq(differing(p, 9 * PAGE, 'r'), 0);
  for(int i = 0; i < 9; i++)
    expect_touch(STORE, p + i * PAGE, 0);
}

TEST(none_and_back_keeps_contents) // R09
{
  int fd = temp_pages(4);
  char *p = map(4 * PAGE), *s = file_at(fd, 4 * PAGE, RW, MAP_SHARED), *f = file_at(fd, 4 * PAGE, RW, MAP_PRIVATE);

  memset(p, 'n', 4 * PAGE);
  f[PAGE] = 'F';
  s[2 * PAGE] = 'S';
  for(int i = 0; i < 3; i++) {
    expect(protect(p, 4 * PAGE, PROT_NONE) == 0 && protect(s, 4 * PAGE, PROT_NONE) == 0 &&
           protect(f, 4 * PAGE, PROT_NONE) == 0);
    expect_touch(LOAD, p + PAGE, SIGSEGV);
    expect_touch(LOAD, s + PAGE, SIGSEGV);
    expect_touch(STORE, f + PAGE, SIGSEGV);
    expect(protect(p, 4 * PAGE, RW) == 0 && protect(s, 4 * PAGE, RW) == 0 && protect(f, 4 * PAGE, RW) == 0);
    expect_eq(differing(p, 4 * PAGE, 'n'), 0);
    expect(f[PAGE] == 'F' && f[PAGE + 1] == 'b' && s[2 * PAGE] == 'S' && s[PAGE] == 'b' && f[2 * PAGE] == 'S');
  }
}

static char *volatile target;
static volatile long stores;
static volatile bool faulted;

static void *
store_on(void *arg)
{
  while(touch(STORE, target) == 0) { // the handler is armed
    if(sigsetjmp(touch_back, 1))
      break;
    for(;;) {
      *(volatile long *)target = stores + 1;
      stores++;
    }
  }
  faulted = true;
  return 0;
}

TEST_TIMED(other_cpus_lose_the_right_to_store, 120) // R10
{
  for(int i = 0; i < 200; i++) {
    pthread_t t;
    long seen;

    target = map(PAGE);
    stores = 0;
    faulted = false;
    need(pthread_create(&t, 0, store_on, 0) == 0);
    while(stores < 10)
      sched_yield();
    need(mprotect(target, PAGE, PROT_READ) == 0);
    seen = *(volatile long *)target;
    for(int k = 0; k < 100 && !faulted; k++)
      sched_yield();
    pthread_join(t, 0);
    expect(faulted);
    expect_eq(*(volatile long *)target, seen); // no store after mprotect came back
    munmap(target, PAGE);
  }
}

static void
protect_all(void *arg)
{
  expect(protect(arg, 4096ul * PAGE, PROT_READ) == 0);
  expect(protect(arg, 4096ul * PAGE, RW) == 0);
  expect(protect((char *)arg + 7 * PAGE, 100 * PAGE, PROT_NONE) == 0);
}

TEST(untouched_pages_stay_untouched) // R12
{
  char *p = map(4096ul * PAGE);
  long before = free_frames();

  protect_all(p);
  expect_eq(resident(p, 4096ul * PAGE), 0);
  if(here() && before - free_frames() > 8)
    t_fail(__FILE__, __LINE__, "expected no frame to be used, saw %ld", before - free_frames());
}

TEST(write_then_execute) // R13, F17
{
  static const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3}; // mov $42, %eax; ret
  char *p = map(PAGE);

  for(int i = 0; i < 50; i++) {
    memcpy(p, code, sizeof(code));
    p[1] = i;
    need(protect(p, PAGE, PROT_READ | PROT_EXEC) == 0);
    expect_eq(((int (*)(void))p)(), i);
    expect_touch(STORE, p, SIGSEGV);
    need(protect(p, PAGE, RW) == 0);
    expect_touch(RUN, p, SIGSEGV);
  }
}

TEST(jumping_out_of_the_handler) // G08
{
  char *p = map_prot(PAGE, PROT_NONE);
  sigset_t before, after;

  sigprocmask(SIG_BLOCK, 0, &before);
  for(int i = 0; i < 200; i++) {
    expect_touch(i % 2 ? LOAD : STORE, p + i, SIGSEGV); // were it still blocked, the next would kill
    expect_eq(touch_code, SEGV_ACCERR);
  }
  sigprocmask(SIG_BLOCK, 0, &after);
  expect(sigismember(&before, SIGSEGV) == 0 && sigismember(&after, SIGSEGV) == 0);
}

// mprotect must not make the frame that both have writable in place, whoever does it.
TEST(copy_on_write_survives_mprotect) // R17
{
  for(int who = 0; who < 2; who++) {
    char *p = map(2 * PAGE);
    int to_child[2], to_parent[2];
    char c;
    pid_t pid;

    need(pipe(to_child) == 0 && pipe(to_parent) == 0);
    memset(p, 'o', 2 * PAGE);
    pid = fork();
    need(pid >= 0);
    if(pid == 0) {
      if(who == 0)
        need(read(to_child[0], &c, 1) == 1);
      else
        need(protect(p, 2 * PAGE, PROT_READ) == 0 && protect(p, 2 * PAGE, RW) == 0);
      if(who == 1)
        memset(p, 'c', 2 * PAGE);
      expect_eq(differing(p, 2 * PAGE, who ? 'c' : 'o'), 0);
      need(write(to_parent[1], "x", 1) == 1);
      _exit(t_failures != 0);
    }
    if(who == 0) {
      need(protect(p, 2 * PAGE, PROT_READ) == 0 && protect(p, 2 * PAGE, RW) == 0);
      memset(p, 'p', 2 * PAGE);
      need(write(to_child[1], "x", 1) == 1);
    }
    need(read(to_parent[0], &c, 1) == 1);
    expect_eq(differing(p, 2 * PAGE, who ? 'o' : 'p'), 0);
    int status;
    waitpid(pid, &status, 0);
    expect_eq(status, 0);
  }
}

TEST(the_zero_page_stays_zero) // R18
{
  char *p = map_prot(16 * PAGE, PROT_READ), *q = map(PAGE);

  expect_eq(differing(p, 16 * PAGE, 0), 0);
  need(protect(p, 16 * PAGE, RW) == 0);
  memset(p, 'z', 8 * PAGE);
  expect_eq(differing(p + 8 * PAGE, 8 * PAGE, 0), 0);
  expect_eq(differing(q, PAGE, 0), 0);
  expect_eq(differing(map(PAGE), PAGE, 0), 0);
}

TEST(sealed_mapping) // R19
{
  char *p = map(4 * PAGE), *free_ = map(8 * PAGE);
  long r;

  memset(p, 's', 4 * PAGE);
  munmap(free_, 8 * PAGE);
  r = syscall(SYS_mseal, p + PAGE, 2 * PAGE, 0);
  if(r < 0 && errno == ENOSYS && !here())
    skip("this Linux has no mseal");
  expect_eq(r, 0);
  expect_errno(protect(p + PAGE, PAGE, PROT_READ), EPERM);
  expect_errno(protect(p, 4 * PAGE, PROT_READ), EPERM);
  expect_errno(munmap(p, 2 * PAGE), EPERM);
  expect_errno(munmap(p + 2 * PAGE, PAGE), EPERM);
  expect_errno(raw_mmap(p + PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0), EPERM);
  expect_errno((long)mremap(p + PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, free_), EPERM);
  expect_errno((long)mremap(p + PAGE, 2 * PAGE, PAGE, 0), EPERM);
  expect(syscall(SYS_mseal, p + PAGE, 2 * PAGE, 0) == 0); // again
  expect_errno(syscall(SYS_mseal, p + PAGE + 1, PAGE, 0), EINVAL);
  expect_errno(syscall(SYS_mseal, p, PAGE, 1), EINVAL);
  expect_errno(syscall(SYS_mseal, free_, PAGE, 0), ENOMEM);
  expect_eq(differing(p, 4 * PAGE, 's'), 0);
  expect_touch(STORE, p + PAGE, 0);
  expect(munmap(p, PAGE) == 0 && munmap(p + 3 * PAGE, PAGE) == 0);
}

TEST(growsdown_of_what_does_not_grow) // R05
{
  char *p = map(4 * PAGE);

  need(munmap(p, PAGE) == 0);
  expect_errno(mprotect(p, 2 * PAGE, PROT_READ | PROT_GROWSDOWN), EINVAL); // it begins in the hole
  expect_errno(mprotect(p + PAGE, PAGE, PROT_READ | PROT_GROWSDOWN), EINVAL);
  need(munmap(p + PAGE, PAGE) == 0);
  expect_errno(mprotect(p, PAGE, PROT_READ | PROT_GROWSDOWN), ENOMEM); // there is nothing before the end
}
