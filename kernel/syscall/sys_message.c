// sys_message.c -- messages to and from sockets, with what goes beside the bytes: addresses, descriptors, credentials.
// Typical: struct message in / control in / unix_send; unix_receive / control out / address out.
// Must not know: who is connected to whom.
#include "lib/string.h"
#include "syscall/sys_socket.h"

enum { SCM_RIGHTS = 1, SCM_CREDENTIALS, SOL_SOCKET = 1, CONTROL_MAX = 4096 };

struct linux_msghdr {
  uint64_t name;
  uint32_t namelen, pad;
  uint64_t iov, iovlen, control, controllen;
  uint32_t flags, pad2;
};
struct cmsg {
  uint64_t len;
  int32_t level, type;
};
enum { CMSG_ALIGN = sizeof(uint64_t) };

// ---- control in

struct control {
  struct unix_files files;
  struct ucred cred;
};

static int
files_in(struct control *c, const int32_t *fd, int n)
{
  if(n > UNIX_FILES || c->files.n)
    return -EINVAL;
  c->files.file = n ? kzalloc(n * sizeof(c->files.file[0])) : 0;
  if(n && !c->files.file)
    return -ENOMEM;
  for(int i = 0; i < n; i++) {
    struct file *f = fd_any(fd[i]);

    if(!f)
      return -EBADF;
    c->files.file[c->files.n++] = f;
  }
  return 0;
}

// One's own, or with the right to, others'.
static int
cred_in(struct control *c, const struct ucred *given)
{
  const struct cred *me = thread_self()->cred;

  if(given->pid != current_proc()->pid && !cred_capable(CAP_SYS_ADMIN))
    return -EPERM;
  if(given->uid != me->uid && given->uid != me->euid && given->uid != me->suid && !cred_capable(CAP_SETUID))
    return -EPERM;
  if(given->gid != me->gid && given->gid != me->egid && given->gid != me->sgid && !cred_capable(CAP_SETGID))
    return -EPERM;
  c->cred = *given;
  return 0;
}

static int
control_parse(struct control *c, const char *buf, uint64_t len)
{
  uint64_t at = 0;
  int e = 0;

  while(e == 0 && len - at >= sizeof(struct cmsg)) {
    const struct cmsg *h = (const struct cmsg *)(buf + at);
    uint64_t n;

    if(h->len < sizeof(*h) || h->len > len - at)
      return -EINVAL;
    n = h->len - sizeof(*h);
    if(h->level != SOL_SOCKET)
      e = 0; // another protocol's
    else if(h->type == SCM_RIGHTS)
      e = files_in(c, (const int32_t *)(h + 1), n / sizeof(int32_t));
    else if(h->type == SCM_CREDENTIALS && n == sizeof(struct ucred))
      e = cred_in(c, (const struct ucred *)(h + 1));
    else
      e = -EINVAL;
    at = min(at + round_up(h->len, (uint64_t)CMSG_ALIGN), len);
  }
  return e;
}

// On an error c is empty.
static int
control_in(struct control *c, vaddr_t va, uint64_t len)
{
  char *buf;
  int e;

  *c = (struct control){.cred = sock_cred()};
  if(!va || !len)
    return 0;
  if(len > CONTROL_MAX)
    return -ENOBUFS;
  buf = kzalloc(len);
  if(!buf)
    return -ENOMEM;
  e = user_in(buf, va, len);
  if(e == 0)
    e = control_parse(c, buf, len);
  kfree(buf);
  if(e)
    unix_files_put(&c->files);
  return e;
}

// ---- send

static int64_t
send_bytes(struct file *f, struct unix_sock *s, struct uio *u, int flags, struct sock_addr *to, struct control *c)
{
  int64_t r;

  if(flags & MSG_OOB)
    return -EOPNOTSUPP;
  if((to->to.abstract || to->to.ip) && s->type != SOCK_DGRAM)
    return s->peer ? -EISCONN : s->type == SOCK_STREAM ? -EOPNOTSUPP : -ENOTCONN;
  if(f->flags & O_NONBLOCK)
    flags |= MSG_DONTWAIT;
  r = unix_send(s, u, flags, &to->to, &c->files, &c->cred);
  if(r == -EPIPE && !(flags & MSG_NOSIGNAL) && s->type != SOCK_DGRAM)
    signal_self(SIGPIPE);
  return r;
}

int64_t
sys_sendto(const uint64_t *a)
{
  struct control none = {.cred = sock_cred()};
  struct sock_addr to;
  struct iovec one;
  struct file *f;
  struct uio u;
  int e;
  struct unix_sock *s = sock_get(a[0], &f, &e);
  int64_t r = e;

  if(!s)
    return e;
  if(!user_range(a[1], a[2]))
    r = -EFAULT;
  else
    r = sock_addr_in(&to, a[4], (int)a[5] < 0 ? 0 : a[5]);
  if(r == 0) {
    uio_user(&u, user_as(), &one, a[1], min(a[2], (uint64_t)RW_MAX));
    r = send_bytes(f, s, &u, a[3], &to, &none);
    sock_addr_put(&to);
  }
  file_put(f);
  return r;
}

static int64_t
send_message(struct file *f, struct unix_sock *s, const struct linux_msghdr *m, int flags)
{
  struct uservec v;
  struct control c;
  struct sock_addr to;
  int64_t r = uservec_get(&v, m->iov, m->iovlen);

  if(r)
    return r;
  r = sock_addr_in(&to, m->namelen ? m->name : 0, m->namelen);
  if(r == 0) {
    r = control_in(&c, m->control, m->controllen);
    if(r == 0) {
      r = send_bytes(f, s, &v.u, flags, &to, &c);
      unix_files_put(&c.files);
    }
    sock_addr_put(&to);
  }
  uservec_put(&v);
  return r;
}

int64_t
sys_sendmsg(const uint64_t *a)
{
  struct linux_msghdr m;
  struct file *f;
  int e;
  struct unix_sock *s = sock_get(a[0], &f, &e);
  int64_t r;

  if(!s)
    return e;
  r = user_in(&m, a[1], sizeof(m));
  if(r == 0)
    r = send_message(f, s, &m, a[2]);
  file_put(f);
  return r;
}

// ---- receive

struct control_out {
  vaddr_t va;
  uint64_t room, used;
  int flags; // MSG_CTRUNC
};

// One header with its data; false: it did not fit.
static int
control_put(struct control_out *o, int type, const void *data, uint64_t n)
{
  struct cmsg h = {sizeof(h) + n, SOL_SOCKET, type};
  int e;

  if(o->room - o->used < h.len) {
    o->flags |= MSG_CTRUNC;
    return 0;
  }
  e = user_out(o->va + o->used, &h, sizeof(h));
  if(e == 0)
    e = user_out(o->va + o->used + sizeof(h), data, n);
  o->used = min(o->used + round_up(h.len, (uint64_t)CMSG_ALIGN), o->room);
  return e;
}

// As many descriptors as fit; the others are closed, and the program is told.
static int
files_out(struct control_out *o, struct unix_recv *r, bool cloexec)
{
  uint64_t left = o->room - o->used;
  int fit =
      left < sizeof(struct cmsg) ? 0 : (int)min((left - sizeof(struct cmsg)) / sizeof(int32_t), (uint64_t)r->nfiles);
  int32_t fd[UNIX_FILES];
  int n = 0;

  for(; n < fit; n++) {
    fd[n] = fd_add(file_get(r->file[n]), cloexec);
    if(fd[n] < 0)
      break;
  }
  if(n < r->nfiles)
    o->flags |= MSG_CTRUNC;
  return n ? control_put(o, SCM_RIGHTS, fd, n * sizeof(fd[0])) : 0;
}

static int64_t
receive_bytes(struct file *f, struct unix_sock *s, struct uio *u, int flags, struct unix_recv *r)
{
  if(flags & MSG_OOB)
    return -EOPNOTSUPP;
  if(f->flags & O_NONBLOCK)
    flags |= MSG_DONTWAIT;
  return unix_receive(s, u, flags, r);
}

static void
recv_put(struct unix_recv *r)
{
  unix_files_put(&(struct unix_files){r->nfiles, r->file});
  unix_name_put(r->from);
}

int64_t
sys_recvfrom(const uint64_t *a)
{
  struct unix_recv r = {0};
  struct iovec one;
  struct file *f;
  struct uio u;
  int64_t n;
  int e;
  struct unix_sock *s = sock_get(a[0], &f, &e);

  if(!s)
    return e;
  if(!user_range(a[1], a[2])) {
    n = -EFAULT;
  } else {
    uio_user(&u, user_as(), &one, a[1], min(a[2], (uint64_t)RW_MAX));
    n = receive_bytes(f, s, &u, a[3], &r);
  }
  if(n >= 0 && (e = sock_name_out(a[4], a[5], r.from)) != 0)
    n = e;
  recv_put(&r);
  file_put(f);
  return n;
}

// What came beside the bytes, and the header's fields that tell of it.
static int
extras_out(struct unix_sock *s, vaddr_t va, struct linux_msghdr *m, int flags, struct unix_recv *r)
{
  struct control_out o = {.va = m->control, .room = m->control ? m->controllen : 0};
  int e = 0;

  if(m->name && m->namelen) {
    e = sock_name_copy(m->name, m->namelen, r->from);
    m->namelen = s->type == SOCK_DGRAM || r->from ? sock_name_len(r->from) : 0;
  }
  if(e == 0 && atomic_get(&s->passcred))
    e = control_put(&o, SCM_CREDENTIALS, &r->cred, sizeof(r->cred));
  if(e == 0 && r->nfiles)
    e = files_out(&o, r, flags & MSG_CMSG_CLOEXEC);
  m->controllen = o.used;
  m->flags = r->flags | o.flags | (flags & MSG_CMSG_CLOEXEC);
  return e ? e : user_out(va, m, sizeof(*m));
}

static int64_t
receive_message(struct file *f, struct unix_sock *s, vaddr_t va, int flags)
{
  struct unix_recv r = {0};
  struct linux_msghdr m;
  struct uservec v;
  int64_t n = user_in(&m, va, sizeof(m));
  int e;

  if(n == 0)
    n = uservec_get(&v, m.iov, m.iovlen);
  if(n)
    return n;
  n = receive_bytes(f, s, &v.u, flags, &r);
  if(n >= 0 && (e = extras_out(s, va, &m, flags, &r)) != 0)
    n = e;
  recv_put(&r);
  uservec_put(&v);
  return n;
}

int64_t
sys_recvmsg(const uint64_t *a)
{
  struct file *f;
  int e;
  struct unix_sock *s = sock_get(a[0], &f, &e);
  int64_t n;

  if(!s)
    return e;
  n = receive_message(f, s, a[1], a[2]);
  file_put(f);
  return n;
}
