// rules_advise.c -- madvise and mincore: rules A01 to A23, C01 to C09.
#include "rules.h"
#include <pthread.h>

static long
advise(void *p, size_t n, int advice)
{
  return syscall(SYS_madvise, p, n, advice);
}

TEST(madvise_errors) // A01, A02, A03, A04
{
  char *p = map(4 * PAGE);

  expect_errno(advise(p + 1, PAGE, MADV_NORMAL), EINVAL);
  expect_errno(advise(p, PAGE, 5), EINVAL);
  expect_errno(advise(p, PAGE, 99), EINVAL);
  expect_errno(advise(p, PAGE, -1), EINVAL);
  expect(advise(p, 0, MADV_DONTNEED) == 0);
  expect_errno(advise(p, 0, 99), EINVAL);
  expect_errno(advise(p, -1, MADV_NORMAL), EINVAL);
  expect_errno(advise(p, -PAGE, MADV_NORMAL), EINVAL);
}

TEST(madvise_over_a_hole) // A05
{
  char *p = map(5 * PAGE);

  memset(p, 'h', 5 * PAGE);
  need(munmap(p + 2 * PAGE, PAGE) == 0);
  expect_errno(advise(p, 5 * PAGE, MADV_DONTNEED), ENOMEM);
  expect_eq(differing(p, 2 * PAGE, 0), 0); // what is mapped was done, also behind the hole
  expect_eq(differing(p + 3 * PAGE, 2 * PAGE, 0), 0);
  expect_errno(advise(p, 5 * PAGE, MADV_WILLNEED), ENOMEM);
  expect_errno(advise(p, 5 * PAGE, MADV_RANDOM), ENOMEM);
}

TEST(hints_are_accepted) // A06, A19
{
  static const int hints[] = {MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTDUMP, MADV_DODUMP};
  char *a = map(4 * PAGE), *f = file_at(temp_pages(4), 4 * PAGE, RW, MAP_SHARED);

  a[0] = 'a';
  for(int i = 0; i < 6; i++) {
    expect(advise(a, 4 * PAGE, hints[i]) == 0);
    expect(advise(f + PAGE, 2 * PAGE, hints[i]) == 0);
  }
  expect(a[0] == 'a' && f[PAGE] == 'b' && f[3 * PAGE] == 'd');
}

TEST(dontneed_gives_zeros) // A08
{
  char *p = map(8 * PAGE);

  for(int i = 0; i < 20; i++) {
    memset(p, 'x', 8 * PAGE);
    expect(advise(p + 2 * PAGE, 3 * PAGE, MADV_DONTNEED) == 0);
    expect_eq(resident(p + 2 * PAGE, 3 * PAGE), 0);
    expect_eq(differing(p, 2 * PAGE, 'x'), 0);
    expect_eq(differing(p + 2 * PAGE, 3 * PAGE, 0), 0);
    expect_eq(differing(p + 5 * PAGE, 3 * PAGE, 'x'), 0);
  }
}

TEST(dontneed_in_a_child_leaves_the_parents_pages) // A08, K01
{
  char *p = map(4 * PAGE);
  int status;
  pid_t pid;

  memset(p, 'x', 4 * PAGE);
  pid = fork();
  if(pid == 0) {
    expect(advise(p, 4 * PAGE, MADV_DONTNEED) == 0);
    expect_eq(differing(p, 4 * PAGE, 0), 0);
    _exit(t_failures != 0);
  }
  waitpid(pid, &status, 0);
  expect_eq(status, 0);
  expect_eq(differing(p, 4 * PAGE, 'x'), 0);
}

TEST(dontneed_on_files) // A09, A10
{
  int fd = temp_pages(3);
  char *p = file_at(fd, 3 * PAGE, RW, MAP_PRIVATE), *s = file_at(fd, 3 * PAGE, RW, MAP_SHARED),
       *a = map_shared(2 * PAGE);

  memset(p, 'P', 2 * PAGE);
  s[PAGE] = 'S';
  memset(a, 'A', 2 * PAGE);
  expect(advise(p, 3 * PAGE, MADV_DONTNEED) == 0);
  expect(p[0] == 'a' && p[PAGE] == 'S' && p[PAGE + 1] == 'b');
  expect(advise(s, 3 * PAGE, MADV_DONTNEED) == 0);
  expect(s[PAGE] == 'S' && file_byte(fd, PAGE) == 'S');
  expect(advise(a, 2 * PAGE, MADV_DONTNEED) == 0);
  expect_eq(differing(a, 2 * PAGE, 'A'), 0);
}

TEST(dontneed_on_locked_memory) // A11
{
  char *p = map(2 * PAGE);

  memset(p, 'l', 2 * PAGE);
  need(mlock(p, 2 * PAGE) == 0);
  expect_errno(advise(p, 2 * PAGE, MADV_DONTNEED), EINVAL);
  expect_eq(differing(p, 2 * PAGE, 'l'), 0);
  expect(advise(p, PAGE, MADV_DONTNEED_LOCKED) == 0);
  expect_eq(differing(p, PAGE, 0), 0);
}

TEST(free_) // A12
{
  int fd = temp_pages(1);
  char *p = map(4 * PAGE);

  memset(p, 'f', 4 * PAGE);
  expect(advise(p, 4 * PAGE, MADV_FREE) == 0);
  for(int i = 0; i < 4; i++) {
    char c = p[i * PAGE];

    expect(c == 'f' || c == 0);
    p[i * PAGE] = 'n';
    usleep(1000);
    expect_eq(p[i * PAGE], 'n');
  }
  expect_errno(advise(map_shared(PAGE), PAGE, MADV_FREE), EINVAL);
  expect_errno(advise(file_at(fd, PAGE, RW, MAP_PRIVATE), PAGE, MADV_FREE), EINVAL);
  expect_errno(advise(file_at(fd, PAGE, RW, MAP_SHARED), PAGE, MADV_FREE), EINVAL);
}

TEST(remove_punches_a_hole) // A13
{
  int fd = temp_pages(4), ro;
  char path[64], *s = file_at(fd, 4 * PAGE, RW, MAP_SHARED), *a = map_shared(4 * PAGE), *l;

  expect(advise(s + PAGE, 2 * PAGE, MADV_REMOVE) == 0);
  expect_eq(file_size(fd), 4 * PAGE);
  expect_eq(differing(s, PAGE, 'a'), 0);
  expect_eq(differing(s + PAGE, 2 * PAGE, 0), 0);
  expect_eq(differing(s + 3 * PAGE, PAGE, 'd'), 0);
  expect_eq(file_byte(fd, PAGE + 5), 0);
  memset(a, 'A', 4 * PAGE);
  expect(advise(a, PAGE, MADV_REMOVE) == 0);
  expect_eq(differing(a, PAGE, 0), 0);
  expect_errno(advise(map(PAGE), PAGE, MADV_REMOVE), EINVAL);
  snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
  ro = open(path, O_RDONLY);
  need(ro >= 0);
  expect_errno(advise(file_at(ro, PAGE, PROT_READ, MAP_SHARED), PAGE, MADV_REMOVE), EACCES);
  expect_errno(advise(file_at(fd, PAGE, RW, MAP_PRIVATE), PAGE, MADV_REMOVE), EACCES);
  l = file_at(fd, PAGE, RW, MAP_SHARED);
  need(mlock(l, PAGE) == 0);
  expect_errno(advise(l, PAGE, MADV_REMOVE), EINVAL);
}

static void
touch_middle(void *arg)
{
  char *p = arg;

  expect_touch(LOAD, p, 0);
  expect_touch(LOAD, p + PAGE, SIGSEGV);
  expect_touch(LOAD, p + 2 * PAGE, 0);
}

static void
all_there(void *arg)
{
  expect_eq(differing(arg, 3 * PAGE, 'k'), 0);
}

TEST(dontfork) // A14
{
  char *p = map(3 * PAGE);

  memset(p, 'k', 3 * PAGE);
  expect(advise(p + PAGE, PAGE, MADV_DONTFORK) == 0);
  expect_eq(in_child(touch_middle, p), 0);
  all_there(p);
  expect(advise(p, 3 * PAGE, MADV_DOFORK) == 0);
  expect_eq(in_child(all_there, p), 0);
}

static void
middle_is_gone(void *arg)
{
  expect_eq(((char *)arg)[PAGE], 0);
}

static void
middle_is_zero(void *arg)
{
  char *p = arg;

  expect_eq(differing(p, PAGE, 'k'), 0);
  expect_eq(differing(p + PAGE, PAGE, 0), 0);
  expect_eq(differing(p + 2 * PAGE, PAGE, 'k'), 0);
  p[PAGE] = 'c';
  expect_eq(in_child(middle_is_gone, p), 0); // inherited: a grandchild sees zeros too
}

TEST(wipeonfork) // A15
{
  int fd = temp_pages(1);
  char *p = map(3 * PAGE);

  memset(p, 'k', 3 * PAGE);
  expect(advise(p + PAGE, PAGE, MADV_WIPEONFORK) == 0);
  expect_eq(in_child(middle_is_zero, p), 0);
  all_there(p);
  expect(advise(p, 3 * PAGE, MADV_KEEPONFORK) == 0);
  expect_eq(in_child(all_there, p), 0);
  expect_errno(advise(map_shared(PAGE), PAGE, MADV_WIPEONFORK), EINVAL);
  expect_errno(advise(file_at(fd, PAGE, RW, MAP_PRIVATE), PAGE, MADV_WIPEONFORK), EINVAL);
}

TEST(populate_) // A16
{
  int fd = temp_pages(2);
  char *p = map(8 * PAGE), *s = file_at(fd, 4 * PAGE, RW, MAP_SHARED), *ro = map_prot(4 * PAGE, PROT_READ);
  char *f = file_at(fd, 2 * PAGE, RW, MAP_PRIVATE);

  expect(advise(p, 4 * PAGE, MADV_POPULATE_WRITE) == 0);
  expect_eq(resident(p, 4 * PAGE), 4);
  expect_eq(resident(p + 4 * PAGE, 4 * PAGE), 0);
  expect(advise(p, 8 * PAGE, MADV_POPULATE_READ) == 0);
  expect(advise(f, 2 * PAGE, MADV_POPULATE_WRITE) == 0);
  expect(f[0] == 'a' && f[PAGE] == 'b');
  expect(advise(s, 2 * PAGE, MADV_POPULATE_READ) == 0);
  expect_errno(advise(s, 4 * PAGE, MADV_POPULATE_READ), EFAULT);
  expect_errno(advise(s + 2 * PAGE, PAGE, MADV_POPULATE_WRITE), EFAULT);
  expect(advise(ro, 4 * PAGE, MADV_POPULATE_READ) == 0);
  expect_errno(advise(ro, 4 * PAGE, MADV_POPULATE_WRITE), EINVAL);
  expect_errno(advise(map_prot(PAGE, PROT_NONE), PAGE, MADV_POPULATE_READ), EINVAL);
  need(munmap(p + 2 * PAGE, PAGE) == 0);
  expect_errno(advise(p, 4 * PAGE, MADV_POPULATE_READ), ENOMEM);
}

TEST(cold_and_pageout_keep_contents) // A17
{
  int fd = temp_pages(4);
  char *p = map(4 * PAGE), *s = file_at(fd, 4 * PAGE, RW, MAP_SHARED);

  memset(p, 'c', 4 * PAGE);
  s[PAGE] = 'S';
  for(int i = 0; i < 2; i++) {
    expect(advise(p, 4 * PAGE, i ? MADV_PAGEOUT : MADV_COLD) == 0);
    expect(advise(s, 4 * PAGE, i ? MADV_PAGEOUT : MADV_COLD) == 0);
    expect_eq(differing(p, 4 * PAGE, 'c'), 0);
    expect(s[PAGE] == 'S' && s[PAGE + 1] == 'b');
  }
}

TEST(huge_page_hints) // A18
{
  char *p = map(4 << 20);

  expect(advise(p, 4 << 20, MADV_HUGEPAGE) == 0 || errno == EINVAL);
  expect(advise(p, 4 << 20, MADV_NOHUGEPAGE) == 0 || errno == EINVAL);
}

TEST(posix_dontneed_discards_nothing) // A21
{
  char *p = map(2 * PAGE);

  memset(p, 'p', 2 * PAGE);
  expect_eq(posix_madvise(p, 2 * PAGE, POSIX_MADV_DONTNEED), 0);
  expect_eq(posix_madvise(p, 2 * PAGE, POSIX_MADV_WILLNEED), 0);
  expect_eq(differing(p, 2 * PAGE, 'p'), 0);
}

static char *volatile busy_page;
static volatile bool stop;

static void *
store_and_look(void *arg)
{
  volatile uint64_t *p = (volatile uint64_t *)busy_page + (long)arg;

  for(uint64_t n = 1; !stop; n++) {
    *p = n;
    if(*p != n && *p != 0) // ours or zeros: anything else is somebody else's frame
      return (void *)1;
  }
  return 0;
}

TEST_TIMED(dontneed_under_other_cpus, 120) // A23
{
  enum { N = 3, OTHERS = 8, ROUNDS = 200, LOOKS = 4 };
  pthread_t t[N];
  void *bad;

  busy_page = map(PAGE);
  for(long i = 0; i < N; i++)
    need(pthread_create(&t[i], 0, store_and_look, (void *)i) == 0);
  for(int i = 0; i < ROUNDS; i++) {
    char *q = map(OTHERS * PAGE);

    need(advise(busy_page, PAGE, MADV_DONTNEED) == 0);
    memset(q, 'q', OTHERS * PAGE); // takes the frame that came free
    for(int k = 0; k < LOOKS; k++)
      if(differing(q, OTHERS * PAGE, 'q') != 0) {
        t_fail(__FILE__, __LINE__, "round %d: another CPU stores to a frame that was given back", i);
        break;
      }
    munmap(q, OTHERS * PAGE);
  }
  stop = true;
  for(int i = 0; i < N; i++) {
    pthread_join(t[i], &bad);
    expect(bad == 0);
  }
}

// ---- mincore

TEST(mincore_errors) // C01, C02, C03, C04, C08
{
  char *p = map(4 * PAGE);
  unsigned char vec[16], *ro = (unsigned char *)map_prot(PAGE, PROT_READ);

  expect_errno(mincore(p + 1, PAGE, vec), EINVAL);
  expect_errno(mincore(p, PAGE, ro), EFAULT);
  expect_errno(mincore(p, PAGE, (void *)8), EFAULT);
  expect_errno(mincore(p, PAGE, (void *)-1ul), EFAULT);
  expect(mincore(p, 0, vec) == 0);
  expect_errno(mincore((void *)TASK_TOP, PAGE, vec), ENOMEM);
  expect_errno(mincore(p, -PAGE, vec), ENOMEM);
  need(munmap(p + 2 * PAGE, PAGE) == 0);
  expect_errno(mincore(p, 4 * PAGE, vec), ENOMEM);
  expect_errno(mincore(p + 2 * PAGE, PAGE, vec), ENOMEM);
}

TEST(mincore_of_anonymous_memory) // C05, C09
{
  char *p = map(8 * PAGE);
  unsigned char vec[9];

  p[PAGE] = p[4 * PAGE] = 1;
  memset(vec, 0x55, sizeof(vec));
  expect(mincore(p, 7 * PAGE + 1, vec) == 0);
  for(int i = 0; i < 8; i++)
    expect_eq(vec[i] & 1, i == 1 || i == 4);
  expect_eq(vec[8], 0x55);
}

TEST(mincore_of_files) // C06
{
  int fd = temp_pages(4);
  unsigned char vec[8];
  char *p;

  need(ftruncate(fd, 8 * PAGE) == 0);
  p = file_at(fd, 8 * PAGE, PROT_READ, MAP_SHARED);
  expect(mincore(p, 8 * PAGE, vec) == 0);
  for(int i = 0; i < 8; i++)
    expect_eq(vec[i] & 1, i < 4); // written by write(2), never touched here; then a hole
}

TEST(mincore_of_much) // C05, C09
{
  size_t n = 20000;
  char *p = map_prot(n * PAGE, RW);
  unsigned char *vec = malloc(n);

  for(size_t i = 0; i < n; i += 1000)
    p[i * PAGE] = 1;
  need(mincore(p, n * PAGE, vec) == 0);
  for(size_t i = 0; i < n; i++)
    if((vec[i] & 1) != (i % 1000 == 0)) {
      t_fail(__FILE__, __LINE__, "page %zu: vec says %d", i, vec[i]);
      break;
    }
}

TEST(paging_out_files) // A17, C06
{
  int fd = temp_pages(8);
  char *p = file_at(fd, 8 * PAGE, RW, MAP_SHARED), *q = map(2 * PAGE);
  char *x = mmap(0, 4 * PAGE, PROT_READ, MAP_PRIVATE, open("/proc/self/exe", O_RDONLY), 0), head[4];

  memset(q, 'q', 2 * PAGE);
  need(x != MAP_FAILED);
  memcpy(head, x, 4);
  p[3 * PAGE] = 'P';
  for(int advice = 20; advice <= 21; advice++) {
    expect(madvise(p, 8 * PAGE, advice) == 0 && madvise(q, 2 * PAGE, advice) == 0 && madvise(x, 4 * PAGE, advice) == 0);
    expect(p[0] == 'a' && p[3 * PAGE] == 'P' && memcmp(x, head, 4) == 0);
    expect_eq(differing(q, 2 * PAGE, 'q'), 0);
  }
  need(mlock(p, PAGE) == 0);
  expect_errno(madvise(p, PAGE, 20), EINVAL);
  expect_errno(madvise(p, PAGE, 21), EINVAL);
  expect_errno(madvise((void *)(uintptr_t)PAGE, PAGE, 21), ENOMEM);
}

TEST(populating_and_its_errors) // A16
{
  int fd = temp_pages(2), ro, pfd[2];
  char *p = file_at(fd, 4 * PAGE, RW, MAP_SHARED), *q = map_prot(4 * PAGE, PROT_READ),
       *room = map_prot(4 * PAGE, PROT_NONE);
  char name[64];

  need(pipe(pfd) == 0);
  expect(madvise(p, 2 * PAGE, MADV_POPULATE_READ) == 0 && madvise(p, 2 * PAGE, MADV_POPULATE_WRITE) == 0);
  expect_errno(madvise(p, 4 * PAGE, MADV_POPULATE_READ), EFAULT); // beyond the end
  expect_errno(madvise(p + 2 * PAGE, PAGE, MADV_POPULATE_WRITE), EFAULT);
  expect(madvise(q, 4 * PAGE, MADV_POPULATE_READ) == 0);
  expect_errno(madvise(q, 4 * PAGE, MADV_POPULATE_WRITE), EINVAL);
  expect_errno(madvise(room, PAGE, MADV_POPULATE_READ), EINVAL);
  snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
  ro = open(name, O_RDONLY);
  p = file_at(ro, 2 * PAGE, PROT_READ, MAP_SHARED);
  expect_errno(madvise(p, 2 * PAGE, MADV_POPULATE_WRITE), EINVAL);
  need(munmap(room + PAGE, PAGE) == 0 && mprotect(room, PAGE, RW) == 0 && mprotect(room + 2 * PAGE, 2 * PAGE, RW) == 0);
  expect_errno(madvise(room, 4 * PAGE, MADV_POPULATE_WRITE), ENOMEM); // a hole
  expect_eq(resident(room, PAGE), 1);                                 // what comes before it was done
  expect_eq(resident(room + 2 * PAGE, 2 * PAGE), 0);
}

// What lies before the first part that may not is done.
TEST(wipe_stops_at_shared_memory) // A15
{
  char *p = map(4 * PAGE);
  int status;

  need(mmap(p + 2 * PAGE, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p + 2 * PAGE);
  memset(p, 'w', 4 * PAGE);
  expect_errno(advise(p, 4 * PAGE, MADV_WIPEONFORK), EINVAL);
  if(fork() == 0)
    _exit(!(p[0] == 0 && p[PAGE] == 0 && p[2 * PAGE] == 'w' && p[3 * PAGE] == 'w'));
  wait(&status);
  expect_eq(status, 0);
}

TEST(populate_asks_for_the_right) // A16
{
  char *p = map(4 * PAGE);

  need(mprotect(p + PAGE, PAGE, PROT_WRITE) == 0 && mprotect(p + 2 * PAGE, PAGE, PROT_NONE) == 0);
  expect_errno(advise(p, 2 * PAGE, MADV_POPULATE_READ), EINVAL);
  expect_eq(advise(p, 2 * PAGE, MADV_POPULATE_WRITE), 0);
  expect_errno(advise(p + 2 * PAGE, PAGE, MADV_POPULATE_READ), EINVAL);
}
