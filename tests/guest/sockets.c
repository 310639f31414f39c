// sockets.c -- sockets of the local family: streams, datagrams, packets, names, descriptors that travel, endings.
#include "t.h"
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

static int sv[2];

static void
pair(int type)
{
  need(socketpair(AF_UNIX, type, 0, sv) == 0);
}

static void
expect_text(int fd, const char *want)
{
  char buf[256] = "";
  ssize_t n = read(fd, buf, sizeof(buf) - 1);

  if(n != (ssize_t)strlen(want) || memcmp(buf, want, n) != 0)
    t_fail(__FILE__, __LINE__, "expected \"%s\", saw %zd bytes \"%s\" (errno %d)", want, n, buf, errno);
}

static void
put(int fd, const char *text)
{
  expect_eq(write(fd, text, strlen(text)), strlen(text));
}

static socklen_t
address(struct sockaddr_un *a, const char *path)
{
  memset(a, 0, sizeof(*a));
  a->sun_family = AF_UNIX;
  if(path[0] == '@') {
    memcpy(a->sun_path + 1, path + 1, strlen(path) - 1);
    return offsetof(struct sockaddr_un, sun_path) + strlen(path);
  }
  strcpy(a->sun_path, path);
  return offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1;
}

static int
bind_to(int fd, const char *path)
{
  struct sockaddr_un a;
  socklen_t n = address(&a, path);

  return bind(fd, (struct sockaddr *)&a, n);
}

static int
connect_to(int fd, const char *path)
{
  struct sockaddr_un a;
  socklen_t n = address(&a, path);

  return connect(fd, (struct sockaddr *)&a, n);
}

static const char *
own_path(void)
{
  static char path[64];

  snprintf(path, sizeof(path), "/tmp/sockets-%d", getpid());
  unlink(path);
  return path;
}

TEST(making_sockets)
{
  struct stat st;
  int fd, v;
  socklen_t n = sizeof(v);

  expect_errno(socket(AF_UNIX, SOCK_RDM, 0), ESOCKTNOSUPPORT);
  expect_errno(socket(AF_UNIX, 13, 0), EINVAL);
  expect_errno(socket(AF_UNIX, SOCK_STREAM, 99), EPROTONOSUPPORT);
  expect_errno(socket(AF_UNIX, SOCK_STREAM | 0x100, 0), EINVAL);
  expect_errno(socketpair(AF_UNIX, SOCK_STREAM, 0, (int *)8), EFAULT);
  fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  need(fd >= 0);
  expect_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
  expect(fcntl(fd, F_GETFL) & O_NONBLOCK);
  expect_eq(fstat(fd, &st), 0);
  expect(S_ISSOCK(st.st_mode));
  expect_eq(getsockopt(fd, SOL_SOCKET, SO_TYPE, &v, &n), 0);
  expect_eq(v, SOCK_SEQPACKET);
  expect_eq(getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &v, &n), 0);
  expect_eq(v, AF_UNIX);
  expect_errno(getsockopt(fd, SOL_SOCKET, 999, &v, &n), ENOPROTOOPT);
  expect_errno(getsockopt(0x7fff, SOL_SOCKET, SO_TYPE, &v, &n), EBADF);
  expect_errno(getsockopt(open("/dev/null", O_RDONLY), SOL_SOCKET, SO_TYPE, &v, &n), ENOTSOCK);
  expect_errno(lseek(fd, 0, SEEK_CUR), ESPIPE);
}

TEST(stream_pair)
{
  char buf[16];
  int n;

  pair(SOCK_STREAM);
  put(sv[0], "abc");
  put(sv[0], "def");
  expect_eq(ioctl(sv[1], FIONREAD, &n), 0);
  expect_eq(n, 6);
  expect_eq(recv(sv[1], buf, 16, MSG_PEEK), 6);
  expect(memcmp(buf, "abcdef", 6) == 0);
  expect_eq(recv(sv[1], buf, 4, 0), 4);
  expect(memcmp(buf, "abcd", 4) == 0);
  expect_text(sv[1], "ef");
  expect_errno(recv(sv[1], buf, 4, MSG_DONTWAIT), EAGAIN);
  put(sv[1], "back");
  expect_text(sv[0], "back");
  expect_errno(recv(sv[1], buf, 0, MSG_DONTWAIT), EAGAIN);
  expect_errno(write(sv[0], (void *)8, 4), EFAULT);
  close(sv[0]);
  expect_eq(read(sv[1], buf, 4), 0);
  signal(SIGPIPE, SIG_IGN);
  expect_errno(write(sv[1], "x", 1), EPIPE);
}

static volatile int pipes;

static void
on_pipe(int sig)
{
  pipes++;
}

TEST(stream_ends)
{
  char c;

  signal(SIGPIPE, on_pipe);
  pair(SOCK_STREAM);
  put(sv[0], "last");
  expect_eq(shutdown(sv[0], SHUT_WR), 0);
  expect_errno(write(sv[0], "x", 1), EPIPE);
  expect_eq(pipes, 1);
  expect_errno(send(sv[0], "x", 1, MSG_NOSIGNAL), EPIPE);
  expect_eq(pipes, 1);
  expect_text(sv[1], "last");
  expect_eq(read(sv[1], &c, 1), 0);
  put(sv[1], "still");
  expect_text(sv[0], "still");
  put(sv[1], "unread");
  close(sv[0]); // with bytes that nobody read
  expect_errno(read(sv[1], &c, 1), ECONNRESET);
  expect_eq(read(sv[1], &c, 1), 0); // told once
  expect_errno(shutdown(sv[1], 5), EINVAL);
}

TEST(datagrams_keep_their_ends)
{
  char buf[16];
  struct iovec iov = {buf, 2};
  struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

  pair(SOCK_DGRAM);
  put(sv[0], "one");
  put(sv[0], "three");
  expect_eq(write(sv[0], "", 0), 0);
  expect_text(sv[1], "one");
  expect_eq(recvmsg(sv[1], &m, 0), 2);
  expect(m.msg_flags & MSG_TRUNC);
  expect_eq(read(sv[1], buf, 16), 0); // the empty one
  expect_errno(recv(sv[1], buf, 16, MSG_DONTWAIT), EAGAIN);
  put(sv[0], "seven");
  expect_eq(recv(sv[1], buf, 2, MSG_TRUNC), 5);
  expect_errno(send(sv[0], map(1 << 20), 1 << 20, 0), EMSGSIZE);
}

TEST(packets_keep_their_ends)
{
  char buf[16];

  pair(SOCK_SEQPACKET);
  put(sv[0], "one");
  put(sv[0], "two");
  expect_eq(read(sv[1], buf, 16), 3);
  expect_eq(read(sv[1], buf, 2), 2);
  close(sv[0]);
  expect_eq(read(sv[1], buf, 2), 0);
}

static void
server_of(const char *path, bool on_disk)
{
  int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0), s, d;
  struct sockaddr_un a;
  socklen_t n = sizeof(a);
  struct ucred cr;
  struct stat st;

  expect_errno(connect_to(c, path), on_disk ? ENOENT : ECONNREFUSED);
  expect_errno(listen(l, 5), EINVAL); // no name
  expect_eq(bind_to(l, path), 0);
  expect_errno(bind_to(l, "@another"), EINVAL);
  expect_errno(bind_to(c, path), EADDRINUSE);
  if(on_disk) {
    expect_eq(stat(path, &st), 0);
    expect(S_ISSOCK(st.st_mode));
    expect_errno(open(path, O_RDWR), ENXIO);
  }
  expect_errno(connect_to(c, path), ECONNREFUSED);
  expect_errno(accept(l, 0, 0), EINVAL);
  expect_eq(listen(l, 5), 0);
  expect_eq(connect_to(c, path), 0); // before anybody accepts
  put(c, "early");
  expect_errno(connect_to(c, path), EISCONN);
  s = accept(l, (struct sockaddr *)&a, &n);
  need(s >= 0);
  expect_eq(n, offsetof(struct sockaddr_un, sun_path)); // the client has no name
  expect_text(s, "early");
  put(s, "answer");
  expect_text(c, "answer");
  n = sizeof(a);
  expect_eq(getpeername(c, (struct sockaddr *)&a, &n), 0);
  expect_eq(n, offsetof(struct sockaddr_un, sun_path) + strlen(path) + on_disk);
  expect(memcmp(a.sun_path + !on_disk, path + !on_disk, strlen(path) - !on_disk) == 0);
  n = sizeof(cr);
  expect_eq(getsockopt(s, SOL_SOCKET, SO_PEERCRED, &cr, &n), 0);
  expect(cr.pid == getpid() && cr.uid == getuid() && cr.gid == getgid());
  fcntl(l, F_SETFL, O_NONBLOCK);
  expect_errno(accept(l, 0, 0), EAGAIN);
  d = socket(AF_UNIX, SOCK_STREAM, 0);
  expect_eq(connect_to(d, path), 0);
  close(l); // with one that waits
  expect(read(d, &st, 1) <= 0);
  expect_errno(connect_to(socket(AF_UNIX, SOCK_STREAM, 0), path), ECONNREFUSED);
  put(s, "goes on");
  expect_text(c, "goes on");
}

TEST(server_with_a_path)
{
  const char *path = own_path();

  server_of(path, true);
  unlink(path);
}

TEST(server_with_an_abstract_name)
{
  char name[64];

  snprintf(name, sizeof(name), "@sockets-%d", getpid());
  server_of(name, false);
}

TEST(addresses)
{
  struct sockaddr_un a = {.sun_family = AF_UNIX}, b = {.sun_family = AF_INET};
  int fd = socket(AF_UNIX, SOCK_DGRAM, 0), file = open("/tmp", O_TMPFILE | O_RDWR, 0600);
  socklen_t n = sizeof(a);

  expect_errno(bind(fd, (struct sockaddr *)&b, sizeof(b)), EINVAL);
  expect_errno(bind(fd, (struct sockaddr *)8, sizeof(a)), EFAULT);
  expect_errno(bind(fd, (struct sockaddr *)&a, sizeof(a) + 1), EINVAL);
  expect_errno(bind_to(fd, "/nonexistent/socket"), ENOENT);
  expect_errno(bind(file, (struct sockaddr *)&a, 2), ENOTSOCK);
  expect_eq(bind(fd, (struct sockaddr *)&a, 2), 0); // the kernel finds a name
  expect_eq(getsockname(fd, (struct sockaddr *)&a, &n), 0);
  expect_eq(n, 2 + 1 + 5);
  expect(a.sun_path[0] == 0);
  n = 3;
  expect_eq(getsockname(fd, (struct sockaddr *)&a, &n), 0);
  expect_eq(n, 8); // as long as it is, though cut
  expect_errno(getpeername(fd, (struct sockaddr *)&a, &n), ENOTCONN);
}

TEST(datagrams_to_a_name)
{
  int s = socket(AF_UNIX, SOCK_DGRAM, 0), c = socket(AF_UNIX, SOCK_DGRAM, 0), other = socket(AF_UNIX, SOCK_DGRAM, 0);
  char name[64], mine[64], buf[16];
  struct sockaddr_un a, from;
  socklen_t n, fn = sizeof(from);

  snprintf(name, sizeof(name), "@sockets-%d-s", getpid());
  snprintf(mine, sizeof(mine), "@sockets-%d-c", getpid());
  n = address(&a, name);
  expect_errno(write(c, "x", 1), ENOTCONN);
  expect_errno(sendto(c, "x", 1, 0, (struct sockaddr *)&a, n), ECONNREFUSED);
  expect_eq(bind_to(s, name), 0);
  expect_eq(bind_to(c, mine), 0);
  expect_eq(sendto(c, "hi", 2, 0, (struct sockaddr *)&a, n), 2);
  expect_eq(recvfrom(s, buf, 16, 0, (struct sockaddr *)&from, &fn), 2);
  expect_eq(fn, 2 + strlen(mine));
  expect_eq(sendto(s, "re", 2, 0, (struct sockaddr *)&from, fn), 2);
  expect_text(c, "re");
  expect_eq(connect_to(c, name), 0);
  put(c, "direct");
  expect_text(s, "direct");
  expect_eq(connect_to(s, mine), 0);
  expect_errno(sendto(other, "x", 1, 0, (struct sockaddr *)&a, n), EPERM); // it talks to c only
  expect_errno(listen(s, 1), EOPNOTSUPP);
  close(s);
  expect_errno(write(c, "x", 1), ECONNREFUSED);
}

// ---- descriptors and credentials

static int
send_fds(int to, const int *fd, int n, const char *text)
{
  char control[CMSG_SPACE(8 * sizeof(int))] = {0};
  struct iovec iov = {(void *)text, strlen(text)};
  struct msghdr m = {
      .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(n * sizeof(int))};
  struct cmsghdr *c = CMSG_FIRSTHDR(&m);

  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(n * sizeof(int));
  memcpy(CMSG_DATA(c), fd, n * sizeof(int));
  return sendmsg(to, &m, 0);
}

static struct {
  int n, fd[8], flags;
  char text[32];
  ssize_t len;
} got;

static void
recv_fds(int from, int room, int flags)
{
  char control[CMSG_SPACE(8 * sizeof(int))] = {0};
  struct iovec iov = {got.text, sizeof(got.text) - 1};
  struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = room};

  memset(&got, 0, sizeof(got));
  got.len = recvmsg(from, &m, flags);
  got.flags = m.msg_flags;
  for(struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
    if(c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
      got.n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      memcpy(got.fd, CMSG_DATA(c), got.n * sizeof(int));
    }
}

TEST(descriptors_travel)
{
  int p[2], fd[2], bad = 0x7fff;

  for(int i = 0; i < 3; i++) {
    pair((int[]){SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}[i]);
    need(pipe(p) == 0);
    expect_eq(send_fds(sv[0], p, 2, "two"), 3);
    close(p[0]);
    close(p[1]);
    recv_fds(sv[1], CMSG_SPACE(8 * sizeof(int)), MSG_CMSG_CLOEXEC);
    expect_eq(got.len, 3);
    need(got.n == 2);
    expect_eq(fcntl(got.fd[0], F_GETFD), FD_CLOEXEC);
    put(got.fd[1], "through");
    expect_text(got.fd[0], "through");
    fd[0] = got.fd[0];
    fd[1] = got.fd[1];
    expect_errno(send_fds(sv[0], &bad, 1, "x"), EBADF);
    expect_eq(send_fds(sv[0], fd, 2, "cut"), 3);
    recv_fds(sv[1], CMSG_LEN(sizeof(int)), 0); // room for one
    expect_eq(got.n, 1);
    expect(got.flags & MSG_CTRUNC);
    expect_eq(send_fds(sv[0], fd, 1, "read"), 4);
    expect_text(sv[1], "read"); // what was not asked for is closed
    close(fd[1]);
    close(got.fd[0]);
    expect_eq(read(fd[0], got.text, 1), 0); // nobody writes any more
    close(fd[0]);
    close(sv[0]);
    close(sv[1]);
  }
}

TEST(descriptors_do_not_mix_in_a_stream)
{
  int p[2];

  need(pipe(p) == 0);
  pair(SOCK_STREAM);
  put(sv[0], "aa");
  expect_eq(send_fds(sv[0], p, 1, "bb"), 2);
  put(sv[0], "cc");
  expect_eq(send_fds(sv[0], p, 2, "dd"), 2);
  recv_fds(sv[1], CMSG_SPACE(8 * sizeof(int)), 0);
  expect(got.len == 4 && got.n == 1); // as far as the first descriptors
  recv_fds(sv[1], CMSG_SPACE(8 * sizeof(int)), 0);
  expect(got.len == 4 && got.n == 2);
  put(sv[0], "ee");
  recv_fds(sv[1], CMSG_SPACE(8 * sizeof(int)), 0);
  expect(got.len == 2 && got.n == 0);
}

TEST(descriptors_in_flight_are_closed_with_the_socket)
{
  int p[2];
  char c;

  need(pipe(p) == 0);
  pair(SOCK_STREAM);
  expect_eq(send_fds(sv[0], &p[1], 1, "x"), 1);
  close(p[1]);
  close(sv[1]);
  expect_eq(read(p[0], &c, 1), 0);
}

// A socket whose queue holds a socket whose queue holds ...: closing the first closes all, at any depth.
TEST(deep_chain_of_sockets)
{
  int p[2], last[2];
  char c;

  need(pipe(p) == 0);
  pair(SOCK_STREAM);
  expect_eq(send_fds(sv[0], &p[1], 1, "x"), 1);
  close(p[1]);
  for(int i = 0; i < 500; i++) {
    last[0] = sv[0];
    last[1] = sv[1];
    pair(SOCK_STREAM);
    expect_eq(send_fds(sv[0], last, 2, "y"), 1);
    close(last[0]);
    close(last[1]);
  }
  close(sv[0]);
  close(sv[1]);
  expect_eq(read(p[0], &c, 1), 0);
}

// Sockets that hold each other, and are held by nobody else: what they carry is closed all the same.
TEST(circles_of_sockets_are_closed)
{
  int p[2], a[2], b[2];
  char c;

  for(int i = 0; i < 50; i++) {
    need(pipe(p) == 0);
    need(socketpair(AF_UNIX, SOCK_STREAM, 0, a) == 0 && socketpair(AF_UNIX, SOCK_DGRAM, 0, b) == 0);
    expect_eq(send_fds(a[0], (int[]){a[0], a[1], b[0], p[1]}, 4, "x"), 1); // through itself
    expect_eq(send_fds(b[0], (int[]){a[0], b[1]}, 2, "y"), 1);
    close(p[1]);
    for(int k = 0; k < 2; k++) {
      close(a[k]);
      close(b[k]);
    }
    pair(SOCK_STREAM); // closing any socket looks for them
    close(sv[0]);
    close(sv[1]);
    need(poll(&(struct pollfd){.fd = p[0], .events = POLLIN}, 1, 3000) == 1);
    expect_eq(read(p[0], &c, 1), 0);
    close(p[0]);
  }
}

// And what a program still reaches is not.
TEST(flying_sockets_live)
{
  int a[2], b[2];

  need(socketpair(AF_UNIX, SOCK_STREAM, 0, a) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, b) == 0);
  expect_eq(send_fds(b[0], a, 2, "inner"), 5);
  close(a[0]);
  close(a[1]);
  pair(SOCK_STREAM);
  expect_eq(send_fds(sv[0], b, 2, "outer"), 5); // the one whose queue holds it flies too
  close(b[0]);
  close(b[1]);
  close(socket(AF_UNIX, SOCK_STREAM, 0));
  recv_fds(sv[1], CMSG_SPACE(8 * sizeof(int)), 0);
  need(got.n == 2);
  recv_fds(got.fd[1], CMSG_SPACE(8 * sizeof(int)), 0);
  need(got.n == 2);
  put(got.fd[0], "alive");
  expect_text(got.fd[1], "alive");
}

TEST(credentials_travel)
{
  char control[CMSG_SPACE(sizeof(struct ucred))];
  struct iovec iov = {got.text, 8};
  struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
  struct cmsghdr *c;
  struct ucred *cr;
  int on = 1;

  pair(SOCK_DGRAM);
  expect_eq(setsockopt(sv[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
  put(sv[0], "who");
  expect_eq(recvmsg(sv[1], &m, 0), 3);
  c = CMSG_FIRSTHDR(&m);
  need(c && c->cmsg_type == SCM_CREDENTIALS);
  cr = (struct ucred *)CMSG_DATA(c);
  expect(cr->pid == getpid() && cr->uid == getuid() && cr->gid == getgid());
}

// ---- waiting

static void *
write_later(void *arg)
{
  usleep(30000);
  put((int)(long)arg, "late");
  return 0;
}

TEST(reading_waits)
{
  struct timeval tv = {0, 30000};
  pthread_t t;
  char buf[8];

  pair(SOCK_STREAM);
  need(pthread_create(&t, 0, write_later, (void *)(long)sv[0]) == 0);
  expect_text(sv[1], "late");
  pthread_join(t, 0);
  need(pthread_create(&t, 0, write_later, (void *)(long)sv[0]) == 0);
  put(sv[0], "soon");
  expect_eq(recv(sv[1], buf, 8, MSG_WAITALL), 8);
  expect(memcmp(buf, "soonlate", 8) == 0);
  pthread_join(t, 0);
  expect_eq(setsockopt(sv[1], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
  expect_errno(read(sv[1], buf, 1), EAGAIN);
}

TEST(full_sockets_and_poll)
{
  for(int i = 0; i < 3; i++) {
    static char big[2000];
    struct pollfd p;
    long n = 0;

    pair((int[]){SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}[i]);
    p = (struct pollfd){.fd = sv[0], .events = POLLIN | POLLOUT};
    expect_eq(poll(&p, 1, 0), 1);
    expect_eq(p.revents, POLLOUT);
    while(send(sv[0], big, sizeof(big), MSG_DONTWAIT) > 0)
      n++;
    expect_eq(errno, EAGAIN);
    expect(n > 5);
    expect_eq(poll(&p, 1, 0), 0);
    while(recv(sv[1], big, sizeof(big), MSG_DONTWAIT) > 0)
      ;
    expect_eq(poll(&p, 1, 1000), 1);
    expect_eq(p.revents, POLLOUT);
    put(sv[1], "x");
    expect_eq(poll(&p, 1, 1000), 1);
    expect_eq(p.revents, POLLIN | POLLOUT);
    if(i != 1) {
      close(sv[1]);
      p.events = POLLIN | POLLRDHUP;
      expect_eq(poll(&p, 1, 0), 1);
      expect((p.revents & (POLLIN | POLLHUP | POLLRDHUP)) == (POLLIN | POLLHUP | POLLRDHUP));
    }
  }
}

TEST(epoll_on_sockets)
{
  int ep = epoll_create1(0), l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
  struct epoll_event e = {.events = EPOLLIN | EPOLLET};
  char name[64];

  snprintf(name, sizeof(name), "@sockets-%d-e", getpid());
  need(bind_to(l, name) == 0 && listen(l, 1) == 0);
  e.data.fd = l;
  expect_eq(epoll_ctl(ep, EPOLL_CTL_ADD, l, &e), 0);
  expect_eq(epoll_wait(ep, &e, 1, 0), 0);
  expect_eq(connect_to(c, name), 0);
  expect_eq(epoll_wait(ep, &e, 1, 1000), 1);
  expect_eq(e.data.fd, l);
}

static void *
accept_later(void *arg)
{
  usleep(30000);
  return (void *)(long)accept((int)(long)arg, 0, 0);
}

TEST(connecting_waits_for_a_full_backlog)
{
  int l = socket(AF_UNIX, SOCK_STREAM, 0), c[4];
  char name[64];
  pthread_t t;
  void *r;

  snprintf(name, sizeof(name), "@sockets-%d-b", getpid());
  need(bind_to(l, name) == 0 && listen(l, 0) == 0);
  for(int i = 0; i < 4; i++)
    c[i] = socket(AF_UNIX, SOCK_STREAM, 0);
  expect_eq(connect_to(c[0], name), 0); // one may wait
  fcntl(c[1], F_SETFL, O_NONBLOCK);
  expect_errno(connect_to(c[1], name), EAGAIN);
  need(pthread_create(&t, 0, accept_later, (void *)(long)l) == 0);
  expect_eq(connect_to(c[2], name), 0);
  pthread_join(t, &r);
  expect((long)r >= 0);
}

enum { STREAM_BYTES = 2 << 20 };

static void *
pump(void *arg)
{
  static char buf[50000];
  uint8_t next = 0;

  for(long done = 0; done < STREAM_BYTES;) {
    size_t n = 1 + (done * 7919) % sizeof(buf);
    ssize_t w;

    if(n > (size_t)(STREAM_BYTES - done))
      n = STREAM_BYTES - done;
    for(size_t i = 0; i < n; i++)
      buf[i] = next + i;
    w = write(sv[0], buf, n);
    need(w > 0);
    next += w;
    done += w;
  }
  shutdown(sv[0], SHUT_WR);
  return 0;
}

TEST(stream_keeps_every_byte)
{
  static uint8_t buf[30000];
  long total = 0, wrong = 0;
  uint8_t next = 0;
  pthread_t t;
  ssize_t n;

  pair(SOCK_STREAM);
  need(pthread_create(&t, 0, pump, 0) == 0);
  while((n = read(sv[1], buf, 1 + total % sizeof(buf))) > 0) {
    for(ssize_t i = 0; i < n; i++)
      wrong += buf[i] != (uint8_t)(next + i);
    next += n;
    total += n;
  }
  pthread_join(t, 0);
  expect_eq(total, STREAM_BYTES);
  expect_eq(wrong, 0);
}

static char crowd_name[64];

static void *
client(void *arg)
{
  for(int i = 0; i < 50; i++) {
    int c = socket(AF_UNIX, SOCK_STREAM, 0);
    char buf[8] = "";

    need(c >= 0 && connect_to(c, crowd_name) == 0);
    need(write(c, "ping", 4) == 4);
    need(read(c, buf, 8) == 4 && memcmp(buf, "pong", 4) == 0);
    close(c);
  }
  return 0;
}

TEST(a_crowd_of_clients)
{
  int l = socket(AF_UNIX, SOCK_STREAM, 0);
  pthread_t t[4];

  snprintf(crowd_name, sizeof(crowd_name), "@sockets-%d-m", getpid());
  need(bind_to(l, crowd_name) == 0 && listen(l, 2) == 0);
  for(int i = 0; i < 4; i++)
    need(pthread_create(&t[i], 0, client, 0) == 0);
  for(int i = 0; i < 200; i++) {
    int s = accept(l, 0, 0);

    need(s >= 0);
    expect_text(s, "ping");
    put(s, "pong");
    close(s);
  }
  for(int i = 0; i < 4; i++)
    pthread_join(t[i], 0);
}
