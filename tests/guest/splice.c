// splice.c -- splice, tee and vmsplice, and what they must not lose.
#include "t.h"
#include <pthread.h>
#include <sys/uio.h>

static int p[2], q[2];

static void
pipes(void)
{
  need(pipe(p) == 0 && pipe(q) == 0);
}

static int
file_of(const char *text)
{
  char name[] = "/tmp/splice-XXXXXX";
  int fd = mkstemp(name);

  need(fd >= 0);
  unlink(name);
  need(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
  lseek(fd, 0, SEEK_SET);
  return fd;
}

static void
expect_read(int fd, const char *want)
{
  char buf[256] = "";
  ssize_t n = read(fd, buf, sizeof(buf) - 1);

  if(n != (ssize_t)strlen(want) || memcmp(buf, want, n) != 0)
    t_fail(__FILE__, __LINE__, "expected \"%s\", saw %zd bytes \"%s\"", want, n, buf);
}

TEST(splice_errors)
{
  int f = file_of("abc"), g = file_of(""), ap = open("/tmp", O_TMPFILE | O_RDWR | O_APPEND, 0600);
  loff_t off = 0, bad = -1;

  pipes();
  need(write(p[1], "x", 1) == 1);
  expect_eq(splice(99, 0, 98, 0, 0, 0), 0);
  expect_errno(splice(99, 0, p[1], 0, 1, 0), EBADF);
  expect_errno(splice(p[1], 0, q[1], 0, 1, 0), EBADF);
  expect_errno(splice(p[0], 0, q[0], 0, 1, 0), EBADF);
  expect_errno(splice(f, 0, g, 0, 1, 0), EINVAL);
  expect_errno(splice(p[0], &off, g, 0, 1, 0), ESPIPE);
  expect_errno(splice(f, 0, p[1], &off, 1, 0), ESPIPE);
  expect_errno(splice(p[0], 0, p[1], 0, 1, 0), EINVAL);
  expect_errno(splice(f, &bad, p[1], 0, 1, 0), EINVAL);
  expect_errno(splice(f, 0, p[1], 0, 1, 64), EINVAL);
  if(ap >= 0)
    expect_errno(splice(p[0], 0, ap, 0, 1, 0), EINVAL);
  expect_errno(splice(q[0], 0, g, 0, 1, SPLICE_F_NONBLOCK), EAGAIN);
  expect_errno(tee(q[0], p[1], 1, SPLICE_F_NONBLOCK), EAGAIN);
  expect_errno(tee(f, p[1], 1, 0), EINVAL);
  expect_errno(tee(p[0], p[1], 1, 0), EINVAL);
  close(q[1]);
  expect_eq(splice(q[0], 0, g, 0, 1, 0), 0); // nobody writes any more
}

TEST(splice_file_to_pipe)
{
  int f = file_of("hello, world");
  loff_t off = 7;

  pipes();
  expect_eq(splice(f, 0, p[1], 0, 5, 0), 5);
  expect_read(p[0], "hello");
  expect_eq(lseek(f, 0, SEEK_CUR), 5);
  expect_eq(splice(f, &off, p[1], 0, 100, 0), 5);
  expect_eq(off, 12);
  expect_eq(lseek(f, 0, SEEK_CUR), 5);
  expect_read(p[0], "world");
  expect_eq(splice(f, &off, p[1], 0, 100, 0), 0); // the end
}

TEST(splice_pipe_to_file)
{
  int f = file_of("0123456789");
  loff_t off = 4;

  pipes();
  need(write(p[1], "abcdef", 6) == 6);
  expect_eq(splice(p[0], 0, f, 0, 2, 0), 2);
  expect_eq(splice(p[0], 0, f, &off, 2, 0), 2);
  expect_eq(off, 6);
  expect_eq(splice(p[0], 0, f, 0, 100, 0), 2);
  expect_eq(lseek(f, 0, SEEK_SET), 0);
  expect_read(f, "abefcd6789");
}

TEST(splice_pipe_to_pipe_and_tee)
{
  pipes();
  need(write(p[1], "abcdef", 6) == 6);
  expect_eq(tee(p[0], q[1], 4, 0), 4);
  expect_read(q[0], "abcd");
  expect_eq(splice(p[0], 0, q[1], 0, 3, 0), 3);
  expect_read(q[0], "abc");
  expect_read(p[0], "def");
}

TEST(splice_stops_at_a_full_pipe)
{
  static char big[200000];
  char name[] = "/tmp/splice-XXXXXX", *back = map(sizeof(big));
  int f = mkstemp(name);
  ssize_t n, total = 0;

  need(f >= 0);
  unlink(name);
  for(size_t i = 0; i < sizeof(big); i++)
    big[i] = i * 7 + i / 1000;
  need(write(f, big, sizeof(big)) == (ssize_t)sizeof(big));
  lseek(f, 0, SEEK_SET);
  pipes();
  n = splice(f, 0, p[1], 0, sizeof(big), 0);
  expect(n > 0 && n <= 65536);
  expect_eq(lseek(f, 0, SEEK_CUR), n);
  expect_errno(splice(f, 0, p[1], 0, 4096, SPLICE_F_NONBLOCK), EAGAIN);
  expect_eq(lseek(f, 0, SEEK_CUR), n);
  do {
    ssize_t r = read(p[0], back + total, 30000);

    need(r > 0);
    total += r;
    if(total < (ssize_t)sizeof(big))
      splice(f, 0, p[1], 0, sizeof(big), SPLICE_F_NONBLOCK);
  } while(total < (ssize_t)sizeof(big));
  expect(memcmp(back, big, sizeof(big)) == 0);
}

TEST(splice_gives_back_what_the_file_refuses)
{
  int f = file_of("");
  struct rlimit rl = {3, 3};

  pipes();
  signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &rl);
  need(write(p[1], "abcdef", 6) == 6);
  expect_eq(splice(p[0], 0, f, 0, 6, 0), 3);
  expect_errno(splice(p[0], 0, f, 0, 6, 0), EFBIG);
  expect_read(p[0], "def");
}

static void *
write_later(void *arg)
{
  usleep(30000);
  need(write(p[1], "late", 4) == 4);
  return 0;
}

TEST(splice_waits)
{
  int f = file_of("");
  pthread_t t;

  pipes();
  need(pthread_create(&t, 0, write_later, 0) == 0);
  expect_eq(splice(p[0], 0, f, 0, 100, 0), 4);
  pthread_join(t, 0);
  signal(SIGPIPE, SIG_IGN);
  close(p[0]);
  lseek(f, 0, SEEK_SET);
  expect_errno(splice(f, 0, p[1], 0, 4, 0), EPIPE);
}

TEST(vmsplice_both_ways)
{
  char a[] = "abc", b[] = "defg", to[16] = "";
  struct iovec out[] = {{a, 3}, {b, 4}}, in = {to, sizeof(to)};
  int f = file_of("x");

  pipes();
  expect_eq(vmsplice(p[1], out, 2, 0), 7);
  expect_eq(vmsplice(p[0], &in, 1, 0), 7);
  expect(strcmp(to, "abcdefg") == 0);
  expect_errno(vmsplice(f, out, 2, 0), EBADF);
  expect_errno(vmsplice(p[0], &in, 1, SPLICE_F_NONBLOCK), EAGAIN);
  expect_errno(vmsplice(p[1], out, 2, 64), EINVAL);
}

// A chain: a file through two pipes into another file, while both ends run.
enum { CHAIN = 1 << 20 };

static void *
feed(void *arg)
{
  for(ssize_t n = 1; n > 0;)
    n = splice((int)(long)arg, 0, p[1], 0, 50000, 0);
  close(p[1]);
  return 0;
}

static void *
pass(void *arg)
{
  for(ssize_t n = 1; n > 0;)
    n = splice(p[0], 0, q[1], 0, 33333, 0);
  close(q[1]);
  return 0;
}

TEST(splice_chain_keeps_every_byte)
{
  int f = file_of(""), g = file_of("");
  char *a = map(CHAIN), *b = map(CHAIN);
  pthread_t t[2];

  pipes();
  for(int i = 0; i < CHAIN; i++)
    a[i] = i * 31 + i / 4096;
  need(write(f, a, CHAIN) == CHAIN);
  lseek(f, 0, SEEK_SET);
  need(pthread_create(&t[0], 0, feed, (void *)(long)f) == 0);
  need(pthread_create(&t[1], 0, pass, 0) == 0);
  for(ssize_t n = 1; n > 0;)
    n = splice(q[0], 0, g, 0, 1 << 16, 0);
  pthread_join(t[0], 0);
  pthread_join(t[1], 0);
  expect_eq(pread(g, b, CHAIN, 0), CHAIN);
  expect(memcmp(a, b, CHAIN) == 0);
}
