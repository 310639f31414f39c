// unix.c -- sockets of the local family: their names, who is connected to whom, and how they end. The bytes are
// unix_data.c's.
//
// Typical: unix_create / unix_bind / unix_listen / unix_accept; at the other end unix_connect; or unix_pair.
// A connection is two sockets, each the other's peer. A connected pair is made by the connecting side, and waits in the
// listener's backlog without a file until it is accepted. Who closes tells the other: what is queued there is still
// read, then comes the end.
// One lock (unix_lock) for all sockets: a close touches whoever sends to the one that closes. It is held for no copy.
// Sockets that only each other's queues hold are found by unix_gc.c.
// Must not know: descriptors, and whose credentials it is handed.
#include "fs/internal.h"
#include "fs/unix.h"
#include "core/print.h"
#include "lib/atomic.h"
#include "lib/fmt.h"
#include "lib/string.h"

enum { SOCKET_NAME = 32, SOCKET_MODE = 0777, SOCKET_MAGIC = 0x534f434b, IOCTL_FIONREAD = 0x541b };

struct spinlock unix_lock = SPINLOCK_INIT("local sockets", RANK_UNIX);
static struct list names = LIST_INIT(names); // (unix_lock) sockets that are bound
static struct fs sockfs;
static uint64_t next_ino; // (a)

struct unix_sock *
unix_get(struct unix_sock *s)
{
  atomic_add(&s->ref, 1);
  return s;
}

void
unix_put(struct unix_sock *s)
{
  if(atomic_sub(&s->ref, 1) > 0)
    return;
  unix_name_put(s->name);
  kfree(s);
}

struct unix_name *
unix_name_get(struct unix_name *n)
{
  if(n)
    atomic_add(&n->ref, 1);
  return n;
}

void
unix_name_put(struct unix_name *n)
{
  if(n == 0 || atomic_sub(&n->ref, 1) > 0)
    return;
  if(n->ip)
    inode_put_later(n->ip);
  kfree(n);
}

struct unix_name *
unix_name_of(struct unix_sock *s, bool peer)
{
  struct unix_name *n;

  spin_acquire(&unix_lock);
  n = unix_name_get(!peer ? s->name : s->peer ? s->peer->name : 0);
  spin_release(&unix_lock);
  return n;
}

static struct unix_sock *
sock_make(int type, const struct ucred *me)
{
  struct unix_sock *s = kzalloc(sizeof(*s));

  if(!s)
    return 0;
  s->ref = 1;
  s->type = type;
  s->cred = *me;
  list_init(&s->senders);
  list_init(&s->to_peer);
  list_init(&s->bound);
  list_init(&s->queue);
  list_init(&s->backlog);
  list_init(&s->waiting);
  list_init(&s->in_flight);
  list_init(&s->gc);
  sleep_init(&s->reading, "socket reading", RANK_PIPE);
  waitq_init(&s->readable);
  waitq_init(&s->writable);
  return s;
}

// ---- who is connected to whom

static void
link_to(struct unix_sock *s, struct unix_sock *peer) REQUIRES(unix_lock)
{
  s->peer = unix_get(peer);
  list_add_tail(&peer->senders, &s->to_peer);
}

// The old peer, whose reference is the caller's now; 0: there was none.
static struct unix_sock *
unlink_peer(struct unix_sock *s) REQUIRES(unix_lock)
{
  struct unix_sock *peer = s->peer;

  s->peer = 0;
  list_del(&s->to_peer);
  return peer;
}

static void
wake_both(struct unix_sock *s)
{
  waitq_wake(&s->readable);
  waitq_wake(&s->writable);
}

// s ends: those that send to it hear of it, its messages go to `msgs`, sockets that wait to be accepted to `orphans`.
static struct unix_sock *
end(struct unix_sock *s, struct list *msgs, struct list *orphans) REQUIRES(unix_lock)
{
  bool unread = !list_empty(&s->queue);

  s->state = UNIX_CLOSED;
  list_del(&s->bound);
  list_splice_tail(msgs, &s->queue);
  s->queued = 0;
  list_splice_tail(orphans, &s->backlog);
  list_for_each(it, &s->senders) {
    struct unix_sock *other = list_entry(it, struct unix_sock, to_peer);

    if(other->type != SOCK_DGRAM) {
      other->gone = true;
      other->err = unread ? ECONNRESET : other->err;
    }
    wake_both(other);
  }
  wake_both(s); // who waits for room here
  return unlink_peer(s);
}

static void
sock_close(struct unix_sock *s)
{
  struct list msgs = LIST_INIT(msgs), orphans = LIST_INIT(orphans), none = LIST_INIT(none);
  struct unix_sock *peer, *o;

  spin_acquire(&unix_lock);
  peer = end(s, &msgs, &orphans);
  spin_release(&unix_lock);
  while(!list_empty(&orphans)) { // they never had a file
    struct unix_sock *other;

    o = list_entry(orphans.next, struct unix_sock, waiting);
    list_del(&o->waiting);
    spin_acquire(&unix_lock);
    list_for_each(it, &o->senders)
      list_entry(it, struct unix_sock, to_peer)->err = ECONNRESET;
    other = end(o, &msgs, &none);
    spin_release(&unix_lock);
    if(other)
      unix_put(other);
    unix_put(o);
  }
  unix_msgs_free(&msgs);
  if(peer)
    unix_put(peer);
  unix_put(s);
}

// ---- the file

static int64_t
sock_read(struct file *f, struct uio *u, uint64_t *pos)
{
  struct unix_recv r;
  int64_t n = unix_receive(f->priv, u, f->flags & O_NONBLOCK ? MSG_DONTWAIT : 0, &r);

  unix_files_put(&(struct unix_files){r.nfiles, r.file}); // nobody asked for them
  unix_name_put(r.from);
  return n;
}

static int64_t
sock_write(struct file *f, struct uio *u, uint64_t *pos)
{
  struct unix_sock *s = f->priv;
  struct unix_target to = {0, 0};
  struct unix_files none = {0, 0};

  return unix_send(s, u, f->flags & O_NONBLOCK ? MSG_DONTWAIT : 0, &to, &none, &s->cred);
}

static unsigned
sock_poll(struct file *f, struct poll *p)
{
  struct unix_sock *s = f->priv;
  unsigned r;

  poll_watch_for(p, &s->readable, POLLIN | POLLRDNORM | POLLRDHUP);
  poll_watch_for(p, &s->writable, POLLOUT | POLLWRNORM);
  spin_acquire(&unix_lock);
  r = unix_ready(s);
  spin_release(&unix_lock);
  return r;
}

static int
sock_ioctl(struct file *f, unsigned cmd, uint64_t arg, struct aspace *as)
{
  int n;

  if(cmd != IOCTL_FIONREAD)
    return -ENOTTY;
  n = unix_unread(f->priv);
  return copyout(as, arg, &n, sizeof(n), 0);
}

static void
sock_release(struct file *f)
{
  if(f->priv == 0)
    return;
  sock_close(f->priv);
  unix_collect();
}

static const struct file_ops sock_fops = {
    .read = sock_read, .write = sock_write, .poll = sock_poll, .ioctl = sock_ioctl, .release = sock_release};

struct unix_sock *
unix_of(struct file *f)
{
  return f->ops == &sock_fops ? f->priv : 0;
}

static int
sock_setattr(struct inode *ip)
{
  return 0;
}

static const struct inode_ops sock_inode_ops = {.setattr = sock_setattr};
static const struct mobj_ops sock_mobj_ops = {.name = "socket", .release = inode_mobj_release};

// A file for a socket that comes later: until then there is none to release.
static int
sock_file(unsigned flags, struct file **out)
{
  struct inode *ip = inode_alloc(&sockfs, atomic_add(&next_ino, 1), &sock_mobj_ops, &sock_inode_ops);
  struct file *f = ip ? file_alloc(&sock_fops, O_RDWR | (flags & O_NONBLOCK)) : 0;
  char name[SOCKET_NAME];

  if(!f) {
    inode_put(ip);
    return -ENOMEM;
  }
  inode_init_owner(ip, 0, S_IFSOCK | SOCKET_MODE, 0);
  ip->nlink = 1;
  f->inode = ip;
  fmt(name, sizeof(name), "socket:[%lu]", ip->ino);
  f->dentry = dentry_anon(&sockfs, name, inode_get(ip));
  if(!f->dentry) {
    inode_put(ip);
    file_put(f);
    return -ENOMEM;
  }
  *out = f;
  return 0;
}

int
unix_create(int type, unsigned flags, const struct ucred *me, struct file **out)
{
  struct unix_sock *s;
  int err = sock_file(flags, out);

  if(err)
    return err;
  s = sock_make(type, me);
  if(!s) {
    file_put(*out);
    return -ENOMEM;
  }
  (*out)->priv = s;
  s->file = *out;
  return 0;
}

int
unix_pair(int type, unsigned flags, const struct ucred *me, struct file **a, struct file **b)
{
  struct unix_sock *s, *t;
  int err = unix_create(type, flags, me, a);

  if(err)
    return err;
  err = unix_create(type, flags, me, b);
  if(err) {
    file_put(*a);
    return err;
  }
  s = (*a)->priv;
  t = (*b)->priv;
  spin_acquire(&unix_lock);
  link_to(s, t);
  link_to(t, s);
  s->state = t->state = UNIX_CONNECTED;
  s->peer_cred = t->peer_cred = *me;
  spin_release(&unix_lock);
  return 0;
}

// ---- names

struct unix_sock *
unix_find(const struct unix_target *to)
{
  list_for_each(it, &names) {
    struct unix_sock *s = list_entry(it, struct unix_sock, bound);

    if(to->ip ? s->name->ip == to->ip
              : s->name->ip == 0 && s->name->len == to->abstract->len &&
                    memcmp(s->name->path, to->abstract->path, s->name->len) == 0)
      return s;
  }
  return 0;
}

int
unix_bind(struct unix_sock *s, struct unix_name *n)
{
  struct unix_target same = {n, 0};
  int err = 0;

  spin_acquire(&unix_lock);
  if(s->name)
    err = -EINVAL;
  else if(n->ip == 0 && unix_find(&same))
    err = -EADDRINUSE;
  if(err == 0) {
    s->name = n;
    list_add_tail(&names, &s->bound);
  }
  spin_release(&unix_lock);
  return err;
}

// ---- connecting

int
unix_listen(struct unix_sock *s, int backlog, const struct ucred *me)
{
  int err = 0;

  if(s->type == SOCK_DGRAM)
    return -EOPNOTSUPP;
  spin_acquire(&unix_lock);
  if(s->name == 0 || (s->state != UNIX_NEW && s->state != UNIX_LISTENING))
    err = -EINVAL;
  if(err == 0) {
    s->state = UNIX_LISTENING;
    s->backlog_max = backlog < 0 || backlog > UNIX_BACKLOG ? UNIX_BACKLOG : backlog;
    s->cred = *me;
    waitq_wake(&s->writable); // there may be more room
  }
  spin_release(&unix_lock);
  return err;
}

// A datagram socket sends there from now on; to nowhere, if `to` is empty. *old: the peer so far, referenced.
static int
connect_dgram(struct unix_sock *s, const struct unix_target *to, bool nowhere, struct unix_sock **old)
{
  struct unix_sock *r;
  int err = 0;

  spin_acquire(&unix_lock);
  r = nowhere ? 0 : unix_find(to);
  if(!nowhere && r == 0)
    err = -ECONNREFUSED;
  else if(r && r->type != s->type)
    err = -EPROTOTYPE;
  else if(r && r->peer && r->peer != s)
    err = -EPERM;
  if(err == 0) {
    *old = unlink_peer(s);
    if(r)
      link_to(s, r);
    s->state = r ? UNIX_CONNECTED : UNIX_NEW;
  }
  spin_release(&unix_lock);
  return err;
}

// One try: `server` becomes the other end in the listener's backlog. -EAGAIN and *full, referenced: it is full.
static int
connect_try(struct unix_sock *s, struct unix_sock *server, const struct unix_target *to, const struct ucred *me,
            struct unix_sock **full) REQUIRES(unix_lock)
{
  struct unix_sock *l = unix_find(to);

  if(s->state == UNIX_CONNECTED)
    return -EISCONN;
  if(s->state != UNIX_NEW)
    return -EINVAL;
  if(l && l->type != s->type)
    return -EPROTOTYPE;
  if(l == 0 || l->state != UNIX_LISTENING || l->rd_shut)
    return -ECONNREFUSED;
  if(l->nbacklog > l->backlog_max) {
    *full = unix_get(l);
    return -EAGAIN;
  }
  server->name = unix_name_get(l->name);
  server->cred = l->cred;
  server->peer_cred = s->cred = *me;
  s->peer_cred = l->cred;
  link_to(s, server);
  link_to(server, s);
  s->state = server->state = UNIX_CONNECTED;
  list_add_tail(&l->backlog, &server->waiting);
  l->nbacklog++;
  waitq_wake(&l->readable);
  return 0;
}

static bool
backlog_moved(struct unix_sock *l)
{
  bool yes;

  spin_acquire(&unix_lock);
  yes = l->state != UNIX_LISTENING || l->nbacklog <= l->backlog_max;
  spin_release(&unix_lock);
  return yes;
}

static int
connect_stream(struct unix_sock *s, const struct unix_target *to, bool nonblock, const struct ucred *me)
{
  struct unix_sock *server = sock_make(s->type, me), *full;
  int err;

  if(!server)
    return -ENOMEM;
  for(;;) {
    full = 0;
    spin_acquire(&unix_lock);
    err = connect_try(s, server, to, me, &full);
    spin_release(&unix_lock);
    if(!full)
      break;
    if(!nonblock)
      err = wait_event(&full->writable, backlog_moved(full), WAIT_INTERRUPTIBLE, NEVER);
    unix_put(full);
    if(err)
      break;
  }
  if(err)
    unix_put(server);
  return err == -EINTR ? -ERESTARTSYS : err;
}

int
unix_connect(struct unix_sock *s, const struct unix_target *to, bool nonblock, const struct ucred *me)
{
  struct unix_sock *old = 0;
  int err;

  if(s->type != SOCK_DGRAM)
    return to->abstract || to->ip ? connect_stream(s, to, nonblock, me) : -EINVAL;
  err = connect_dgram(s, to, !to->abstract && !to->ip, &old);
  if(old)
    unix_put(old);
  return err;
}

// The first of the backlog, its reference the caller's; 0 and *err.
static struct unix_sock *
accept_try(struct unix_sock *l, int *err)
{
  struct unix_sock *s = 0;

  spin_acquire(&unix_lock);
  *err = l->state != UNIX_LISTENING ? -EINVAL : -EAGAIN;
  if(!list_empty(&l->backlog)) {
    s = list_entry(l->backlog.next, struct unix_sock, waiting);
    list_del(&s->waiting);
    l->nbacklog--;
    waitq_wake(&l->writable);
  } else if(l->rd_shut) {
    *err = -EINVAL;
  }
  spin_release(&unix_lock);
  return s;
}

int
unix_accept(struct unix_sock *l, bool nonblock, unsigned flags, struct file **out)
{
  uint64_t timeo = atomic_get(&l->rcvtimeo), deadline = timeo ? clock_now() + timeo : NEVER;
  struct unix_sock *s;
  int err;

  if(l->type == SOCK_DGRAM)
    return -EOPNOTSUPP;
  err = sock_file(flags, out);
  if(err)
    return err;
  s = accept_try(l, &err);
  if(!s && err == -EAGAIN && !nonblock) {
    int r = wait_event(&l->readable, (s = accept_try(l, &err)) != 0 || err != -EAGAIN, WAIT_INTERRUPTIBLE, deadline);

    if(r)
      err = r == -ETIMEDOUT ? -EAGAIN : r == -EINTR ? -ERESTARTSYS : r;
  }
  if(!s) {
    file_put(*out);
    return err;
  }
  (*out)->priv = s;
  s->file = *out;
  return 0;
}

void
unix_shutdown(struct unix_sock *s, bool rd, bool wr)
{
  struct unix_sock *peer;

  spin_acquire(&unix_lock);
  peer = s->peer;
  s->rd_shut |= rd;
  s->wr_shut |= wr;
  if(peer && s->type != SOCK_DGRAM) {
    peer->rd_shut |= wr;
    peer->wr_shut |= rd;
    wake_both(peer);
  }
  wake_both(s);
  spin_release(&unix_lock);
}

static int
sockfs_statfs(struct fs *fs, struct statfs_info *st)
{
  *st = (struct statfs_info){.type = SOCKET_MAGIC, .bsize = PAGE_SIZE, .namelen = NAME_MAX};
  return 0;
}

void
unix_init(void)
{
  static const struct fs_ops ops = {.statfs = sockfs_statfs};

  sockfs.ops = &ops;
  sockfs.type = "sockfs";
  sockfs.dev = mount_anon_dev();
  sockfs.ref = 1;
  sockfs.noexec = true;
}
