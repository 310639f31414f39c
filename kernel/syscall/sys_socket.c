// sys_socket.c -- sockets: make, name, connect. Only the local family (AF_UNIX) is there.
// Typical: sock_get / an address in / one unix_ call / file_put.
// Must not know: how bytes travel (sys_message.c has those calls, sys_sockopt.c the options).
#include "lib/fmt.h"
#include "lib/string.h"
#include "syscall/sys_socket.h"

enum { AF_UNSPEC, AF_UNIX };
enum { SOCK_RAW = 3, SOCK_MAX = 11, SOCK_TYPE = 0xf, SHUT_RD = 0, SHUT_WR, SHUT_RDWR, FAMILY_LEN = 2, ADDR_MAX = 128 };

struct sockaddr_un {
  uint16_t family;
  char path[UNIX_PATH];
};

struct unix_sock *
sock_get(int fd, struct file **f, int *err)
{
  struct unix_sock *s;

  *f = fd_file(fd);
  *err = -EBADF;
  if(!*f)
    return 0;
  s = unix_of(*f);
  if(s)
    return s;
  file_put(*f);
  *err = -ENOTSOCK;
  return 0;
}

struct ucred
sock_cred(void)
{
  const struct cred *c = thread_self()->cred;

  return (struct ucred){current_proc()->pid, c->euid, c->egid};
}

// ---- addresses

static int
addr_raw(struct sockaddr_un *sa, vaddr_t va, uint64_t len)
{
  memset(sa, 0, sizeof(*sa));
  if(len < FAMILY_LEN || len > sizeof(*sa))
    return -EINVAL;
  return user_in(sa, va, len);
}

static struct unix_name *
name_make(const char *path, size_t len)
{
  struct unix_name *n = kzalloc(sizeof(*n));

  if(!n)
    return 0;
  n->ref = 1;
  n->len = len;
  memcpy(n->path, path, len);
  return n;
}

// The path as a string: it need not end in the program's structure.
static int
addr_find(struct sock_addr *a, const struct sockaddr_un *sa)
{
  char path[UNIX_PATH + 1] = "";
  struct namectx ctx;
  struct dentry *d;
  int e;

  memcpy(path, sa->path, UNIX_PATH);
  fsctx_names(thread_self(), &ctx);
  e = namei(&ctx, 0, path, NAMEI_FOLLOW, &d);
  if(e == 0) {
    e = inode_permission(d->inode, ctx.cred, MAY_WRITE);
    if(e == 0 && !S_ISTYPE(d->inode->mode, S_IFSOCK))
      e = -ECONNREFUSED;
    if(e == 0)
      a->to.ip = inode_get(d->inode);
    dentry_put(d);
  }
  namectx_put(&ctx);
  return e;
}

int
sock_addr_in(struct sock_addr *a, vaddr_t va, uint64_t len)
{
  struct sockaddr_un sa;
  int e;

  memset(a, 0, sizeof(*a));
  if(!va)
    return 0;
  e = addr_raw(&sa, va, len);
  if(e)
    return e;
  a->unspec = sa.family == AF_UNSPEC;
  if(a->unspec)
    return 0;
  if(sa.family != AF_UNIX || len == FAMILY_LEN)
    return -EINVAL;
  if(sa.path[0])
    return addr_find(a, &sa);
  a->abstract = name_make(sa.path, len - FAMILY_LEN);
  a->to.abstract = a->abstract;
  return a->abstract ? 0 : -ENOMEM;
}

void
sock_addr_put(struct sock_addr *a)
{
  if(a->to.ip)
    inode_put(a->to.ip);
  unix_name_put(a->abstract);
}

uint32_t
sock_name_len(const struct unix_name *n)
{
  return FAMILY_LEN + (n ? n->len : 0);
}

int
sock_name_copy(vaddr_t va, uint32_t room, const struct unix_name *n)
{
  struct sockaddr_un sa = {.family = AF_UNIX};

  if(n)
    memcpy(sa.path, n->path, min(n->len, sizeof(sa.path)));
  return user_out(va, &sa, min(room, min(sock_name_len(n), (uint32_t)sizeof(sa))));
}

int
sock_name_out(vaddr_t va, vaddr_t len_va, const struct unix_name *n)
{
  uint32_t len = sock_name_len(n);
  int32_t room;
  int e;

  if(!va)
    return 0;
  e = user_in(&room, len_va, sizeof(room));
  if(e || room < 0)
    return e ? e : -EINVAL;
  e = sock_name_copy(va, room, n);
  return e ? e : user_out(len_va, &len, sizeof(len));
}

// ---- make

// 0, and the type without its flags.
static int
type_check(int family, int *type, int protocol)
{
  int flags = *type & ~SOCK_TYPE;

  *type &= SOCK_TYPE;
  if(flags & ~(O_NONBLOCK | O_CLOEXEC))
    return -EINVAL;
  if(*type >= SOCK_MAX)
    return -EINVAL;
  if(family != AF_UNIX)
    return -EAFNOSUPPORT;
  if(protocol && protocol != AF_UNIX)
    return -EPROTONOSUPPORT;
  if(*type == SOCK_RAW)
    *type = SOCK_DGRAM;
  return *type == SOCK_STREAM || *type == SOCK_DGRAM || *type == SOCK_SEQPACKET ? 0 : -ESOCKTNOSUPPORT;
}

int64_t
sys_socket(const uint64_t *a)
{
  struct ucred me = sock_cred();
  int type = a[1], flags = a[1];
  struct file *f;
  int e = type_check(a[0], &type, a[2]);

  if(e == 0)
    e = unix_create(type, flags, &me, &f);
  return e ? e : fd_add(f, flags & O_CLOEXEC);
}

int64_t
sys_socketpair(const uint64_t *a)
{
  struct ucred me = sock_cred();
  int type = a[1], flags = a[1];
  struct file *f, *g;
  int32_t fd[2];
  int e = type_check(a[0], &type, a[2]);

  if(e == 0)
    e = unix_pair(type, flags, &me, &f, &g);
  if(e)
    return e;
  fd[0] = fd_add(f, flags & O_CLOEXEC);
  fd[1] = fd_add(g, flags & O_CLOEXEC);
  e = min(min(fd[0], fd[1]), 0);
  if(e == 0)
    e = user_out(a[3], fd, sizeof(fd));
  for(int i = 0; i < 2 && e; i++)
    if(fd[i] >= 0)
      fd_close(thread_self()->files, fd[i]);
  return e;
}

// ---- bind

// Make the node and remember it.
static int
bind_path(struct unix_sock *s, const struct sockaddr_un *sa)
{
  char path[UNIX_PATH + 1] = "";
  struct unix_name *n;
  struct namectx ctx;
  struct dentry *d;
  int e;

  memcpy(path, sa->path, UNIX_PATH);
  n = name_make(sa->path, min(strlen(path) + 1, (size_t)UNIX_PATH));
  if(!n)
    return -ENOMEM;
  fsctx_names(thread_self(), &ctx);
  e = vfs_mknod(&ctx, 0, path, S_IFSOCK | (S_IRWXUGO & ~umask_now()), 0);
  if(e == 0)
    e = namei(&ctx, 0, path, 0, &d);
  if(e == 0) {
    n->ip = inode_get(d->inode);
    dentry_put(d);
    e = unix_bind(s, n);
  }
  namectx_put(&ctx);
  if(e)
    unix_name_put(n);
  return e == -EEXIST ? -EADDRINUSE : e;
}

// A name of the kernel's choice: five digits.
static int
bind_any(struct unix_sock *s)
{
  static uint32_t last; // (a)
  enum { DIGITS = 5, TRIES = 1 << 20, MASK = TRIES - 1 };

  for(int i = 0; i < TRIES; i++) {
    char path[DIGITS + 2] = "";
    struct unix_name *n;
    int e;

    fmt(path + 1, DIGITS + 1, "%05x", atomic_add(&last, 1) & MASK);
    n = name_make(path, DIGITS + 1);
    e = n ? unix_bind(s, n) : -ENOMEM;
    if(e)
      unix_name_put(n);
    if(e != -EADDRINUSE)
      return e;
  }
  return -ENOSPC;
}

static int
bind_to(struct unix_sock *s, vaddr_t va, uint64_t len)
{
  struct unix_name *n;
  struct sockaddr_un sa;
  int e = addr_raw(&sa, va, len);

  if(e)
    return e;
  if(sa.family != AF_UNIX)
    return -EINVAL;
  if(s->name)
    return -EINVAL;
  if(len == FAMILY_LEN)
    return bind_any(s);
  if(sa.path[0])
    return bind_path(s, &sa);
  n = name_make(sa.path, len - FAMILY_LEN);
  e = n ? unix_bind(s, n) : -ENOMEM;
  if(e)
    unix_name_put(n);
  return e;
}

int64_t
sys_bind(const uint64_t *a)
{
  struct file *f;
  int e;
  struct unix_sock *s = sock_get(a[0], &f, &e);

  if(!s)
    return e;
  e = bind_to(s, a[1], (int)a[2] < 0 ? 0 : a[2]);
  file_put(f);
  return e;
}

// ---- connect

int64_t
sys_listen(const uint64_t *a)
{
  struct ucred me = sock_cred();
  struct file *f;
  int e;
  struct unix_sock *s = sock_get(a[0], &f, &e);

  if(!s)
    return e;
  e = unix_listen(s, a[1], &me);
  file_put(f);
  return e;
}

int64_t
sys_connect(const uint64_t *a)
{
  struct ucred me = sock_cred();
  struct sock_addr to;
  struct file *f;
  int e;
  struct unix_sock *s = sock_get(a[0], &f, &e);

  if(!s)
    return e;
  e = a[1] ? sock_addr_in(&to, a[1], (int)a[2] < 0 ? 0 : a[2]) : -EFAULT;
  if(e == 0) {
    e = unix_connect(s, &to.to, f->flags & O_NONBLOCK, &me);
    sock_addr_put(&to);
  }
  file_put(f);
  return e;
}

static int64_t
accept_any(int fd, vaddr_t va, vaddr_t len_va, int flags)
{
  struct file *f, *conn;
  struct unix_name *n;
  int e;
  struct unix_sock *s;

  if(flags & ~(O_NONBLOCK | O_CLOEXEC))
    return -EINVAL;
  s = sock_get(fd, &f, &e);
  if(!s)
    return e;
  e = unix_accept(s, f->flags & O_NONBLOCK, flags, &conn);
  file_put(f);
  if(e)
    return e;
  n = unix_name_of(unix_of(conn), true);
  e = sock_name_out(va, len_va, n);
  unix_name_put(n);
  if(e) {
    file_put(conn);
    return e;
  }
  return fd_add(conn, flags & O_CLOEXEC);
}

int64_t
sys_accept(const uint64_t *a)
{
  return accept_any(a[0], a[1], a[2], 0);
}

int64_t
sys_accept4(const uint64_t *a)
{
  return accept_any(a[0], a[1], a[2], a[3]);
}

int64_t
sys_shutdown(const uint64_t *a)
{
  uint32_t how = a[1];
  struct file *f;
  int e;
  struct unix_sock *s = sock_get(a[0], &f, &e);

  if(!s)
    return e;
  e = how > SHUT_RDWR ? -EINVAL : 0;
  if(e == 0)
    unix_shutdown(s, how != SHUT_WR, how != SHUT_RD);
  file_put(f);
  return e;
}

static int64_t
name_of(const uint64_t *a, bool peer)
{
  struct unix_name *n;
  struct file *f;
  int e;
  struct unix_sock *s = sock_get(a[0], &f, &e);

  if(!s)
    return e;
  if(peer && atomic_get(&s->peer) == 0) {
    e = -ENOTCONN;
  } else if(!a[1]) {
    e = -EFAULT;
  } else {
    n = unix_name_of(s, peer);
    e = sock_name_out(a[1], a[2], n);
    unix_name_put(n);
  }
  file_put(f);
  return e;
}

int64_t
sys_getsockname(const uint64_t *a)
{
  return name_of(a, false);
}

int64_t
sys_getpeername(const uint64_t *a)
{
  return name_of(a, true);
}
