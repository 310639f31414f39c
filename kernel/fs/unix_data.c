// unix_data.c -- bytes and files between sockets of the local family: a queue of messages at the receiver.
//
// Typical: unix_send makes messages, and waits until the receiver's queue has room; unix_receive takes them.
// A stream's messages are pieces of up to STREAM_PIECE bytes, taken in parts; the others are taken whole. What comes with
// a message, files and credentials, is not mixed with other messages' in one call.
// User memory is touched without unix_lock: a message is filled before it is queued, and read while it is first in the
// queue and `reading` is held.
// Must not know: addresses, but as something that a message carries.
#include "fs/unix.h"
#include "lib/atomic.h"
#include "lib/string.h"

enum { STREAM_PIECE = 32768 };

static struct list trash = LIST_INIT(trash); // (U) messages to be freed
static bool emptying;                        // (U) somebody does

void
unix_files_put(struct unix_files *files)
{
  for(int i = 0; i < files->n; i++)
    file_put(files->file[i]);
  kfree(files->file);
  *files = (struct unix_files){0, 0};
}

// Files in a message may be sockets with messages in their queues, and so on: whoever comes first frees them all, one
// after the other, and the rest only leave theirs.
void
unix_msgs_free(struct list *msgs)
{
  struct unix_msg *m;

  spin_acquire(&unix_lock);
  list_splice_tail(&trash, msgs);
  if(emptying) {
    spin_release(&unix_lock);
    return;
  }
  emptying = true;
  while(!list_empty(&trash)) {
    m = list_entry(trash.next, struct unix_msg, link);
    list_del(&m->link);
    unix_fly(m, -1);
    spin_release(&unix_lock);
    unix_files_put(&(struct unix_files){m->nfiles, m->file});
    unix_name_put(m->from);
    kfree(m);
    spin_acquire(&unix_lock);
  }
  emptying = false;
  spin_release(&unix_lock);
}

static void
msg_free(struct unix_msg *m)
{
  struct list one = LIST_INIT(one);

  list_add_tail(&one, &m->link);
  unix_msgs_free(&one);
}

// ---- send

// A message with the next n bytes of u. The files are not in it yet.
static int
msg_make(struct uio *u, size_t n, const struct ucred *me, struct unix_msg **out)
{
  struct unix_msg *m;
  int err = 0;

  while((m = kzalloc(sizeof(*m) + n)) == 0) {
    err = frame_wait_many((sizeof(*m) + n) / PAGE_SIZE + 1);
    if(err)
      return err;
  }
  list_init(&m->link);
  m->len = n;
  m->cred = *me;
  uio_from(u, m->data, n, &err);
  if(err) {
    kfree(m);
    return err;
  }
  *out = m;
  return 0;
}

// Who gets what s sends: borrowed, or 0 and *err.
static struct unix_sock *
receiver(struct unix_sock *s, const struct unix_target *to, int *err) REQUIRES(unix_lock)
{
  struct unix_sock *r = to->abstract || to->ip ? unix_find(to) : s->peer;

  *err = 0;
  if(s->wr_shut || s->gone)
    *err = -EPIPE;
  else if(r == 0)
    *err = to->abstract || to->ip ? -ECONNREFUSED : -ENOTCONN;
  else if(r->type != s->type)
    *err = -EPROTOTYPE;
  else if(r->state == UNIX_CLOSED)
    *err = -ECONNREFUSED;
  else if(s->type == SOCK_DGRAM && r->peer && r->peer != s)
    *err = -EPERM; // it listens to another only
  else if(r->rd_shut)
    *err = -EPIPE;
  return *err ? 0 : r;
}

static bool
has_room(const struct unix_sock *r, size_t n)
{
  return r->queued == 0 || r->queued + n <= UNIX_BUFFER;
}

// Queue m, if there is room: 0; -EAGAIN and *full, referenced: not yet; else -E.
static int
deliver(struct unix_sock *s, const struct unix_target *to, struct unix_msg *m, struct unix_sock **full)
{
  struct unix_sock *r;
  int err;

  spin_acquire(&unix_lock);
  r = receiver(s, to, &err);
  if(r && !has_room(r, m->len)) {
    *full = unix_get(r);
    err = -EAGAIN;
  } else if(r) {
    m->from = unix_name_get(s->name);
    list_add_tail(&r->queue, &m->link);
    r->queued += m->len;
    unix_fly(m, 1);
    waitq_wake(&r->readable);
  }
  spin_release(&unix_lock);
  return err;
}

static bool
room_came(struct unix_sock *s, struct unix_sock *r, size_t n)
{
  bool yes;

  spin_acquire(&unix_lock);
  yes = has_room(r, n) || r->state == UNIX_CLOSED || r->rd_shut || s->wr_shut || s->gone;
  spin_release(&unix_lock);
  return yes;
}

// A wait's end as a call's result. With a time limit it is not started again.
static int
wait_result(int r, uint64_t deadline)
{
  if(r == -ETIMEDOUT)
    return -EAGAIN;
  return r != -EINTR ? r : deadline == NEVER ? -ERESTARTSYS : -EINTR;
}

static uint64_t
deadline_of(uint64_t timeo)
{
  return timeo ? clock_now() + timeo : NEVER;
}

static int
send_msg(struct unix_sock *s, const struct unix_target *to, struct unix_msg *m, bool nonblock)
{
  uint64_t deadline = deadline_of(atomic_get(&s->sndtimeo));
  struct unix_sock *full = 0;
  int err;

  while((err = deliver(s, to, m, &full)) == -EAGAIN && !nonblock) {
    err = wait_event(&full->writable, room_came(s, full, m->len), WAIT_INTERRUPTIBLE, deadline);
    unix_put(full);
    full = 0;
    if(err)
      return wait_result(err, deadline);
  }
  if(full)
    unix_put(full);
  return err;
}

int64_t
unix_send(struct unix_sock *s, struct uio *u, int flags, const struct unix_target *to, struct unix_files *files,
          const struct ucred *me)
{
  bool stream = s->type == SOCK_STREAM;
  uint64_t total = u->left;
  struct unix_msg *m = 0;
  int err = 0;

  if(!stream && total > UNIX_BUFFER - PAGE_SIZE)
    return -EMSGSIZE;
  if(stream && total == 0)
    return 0;
  do {
    size_t n = stream ? min(u->left, (uint64_t)STREAM_PIECE) : u->left;

    err = msg_make(u, n, me, &m);
    if(err)
      break;
    m->nfiles = files->n; // with the first bytes
    m->file = files->file;
    err = send_msg(s, to, m, flags & MSG_DONTWAIT);
    if(err) {
      m->nfiles = 0; // still the caller's
      m->file = 0;
      msg_free(m);
      u->left += n;
      break;
    }
    *files = (struct unix_files){0, 0};
  } while(stream && u->left > 0);
  return u->left < total || (!err && !stream) ? (int64_t)(total - u->left) : err;
}

// ---- receive

// What a reader finds: the first message; else 0 and *err: 0 the end, -EAGAIN nothing yet, or an error, which is told
// once and so not to who has `some` already.
static struct unix_msg *
first(struct unix_sock *s, bool some, int *err) REQUIRES(unix_lock)
{
  *err = 0;
  if(!list_empty(&s->queue))
    return list_entry(s->queue.next, struct unix_msg, link);
  if(s->err) {
    *err = some ? 0 : -s->err;
    s->err = some ? s->err : 0;
  } else if(!s->rd_shut && !s->gone) {
    *err = -EAGAIN;
    if(s->type != SOCK_DGRAM && s->state != UNIX_CONNECTED)
      *err = s->type == SOCK_STREAM ? -EINVAL : -ENOTCONN;
  }
  return 0;
}

static bool
something(struct unix_sock *s)
{
  bool yes;

  spin_acquire(&unix_lock);
  yes = !list_empty(&s->queue) || s->err || s->rd_shut || s->gone;
  spin_release(&unix_lock);
  return yes;
}

// n bytes of m were taken; it goes once it is empty, or at once where messages are whole.
static void
consume(struct unix_sock *s, struct unix_msg *m, size_t n)
{
  bool whole = s->type != SOCK_STREAM, done;

  spin_acquire(&unix_lock);
  n = whole ? m->len : n;
  m->off += n;
  s->queued -= n;
  done = whole || m->off == m->len;
  if(done)
    list_del(&m->link);
  list_for_each(it, &s->senders)
    waitq_wake(&list_entry(it, struct unix_sock, to_peer)->writable);
  spin_release(&unix_lock);
  waitq_wake(&s->writable); // who waits in send_msg
  if(done)
    msg_free(m);
}

// What comes with m: its files go to r, or with MSG_PEEK are doubled.
static void
take_files(struct unix_msg *m, int flags, struct unix_recv *r)
{
  if(flags & MSG_PEEK) {
    r->file = m->nfiles ? kzalloc(m->nfiles * sizeof(r->file[0])) : 0; // no memory: they are not shown this time
    for(int i = 0; i < m->nfiles && r->file; i++)
      r->file[r->nfiles++] = file_get(m->file[i]);
    return;
  }
  spin_acquire(&unix_lock);
  unix_fly(m, -1);
  r->file = m->file;
  r->nfiles = m->nfiles;
  m->file = 0;
  m->nfiles = 0;
  spin_release(&unix_lock);
}

// May m go on what was taken so far? Not behind files, and not from another, if the reader wants to know who it is.
static bool
goes_on(struct unix_sock *s, const struct unix_msg *m, const struct unix_recv *r)
{
  if(r->nfiles)
    return false;
  return !atomic_get(&s->passcred) ||
         (m->cred.pid == r->cred.pid && m->cred.uid == r->cred.uid && m->cred.gid == r->cred.gid);
}

// The message behind m, or the first.
static struct unix_msg *
next(struct unix_sock *s, struct unix_msg *m, bool some, int *err)
{
  struct unix_msg *n;

  spin_acquire(&unix_lock);
  if(m == 0)
    n = first(s, some, err);
  else
    n = m->link.next == &s->queue ? 0 : list_entry(m->link.next, struct unix_msg, link);
  spin_release(&unix_lock);
  return n;
}

// Copy from the first messages to u. held: s->reading. Bytes; *err where nothing more could be taken.
static uint64_t
take(struct unix_sock *s, struct uio *u, int flags, struct unix_recv *r, bool some, int *err)
{
  bool peek = flags & MSG_PEEK, more = true;
  struct unix_msg *m = 0;
  uint64_t done = 0;

  while(more && (m = next(s, peek ? m : 0, some, err)) != 0) {
    size_t n, moved;

    if(some && !goes_on(s, m, r))
      break;
    if(!some) {
      r->from = unix_name_get(m->from);
      r->cred = m->cred;
    }
    some = true;
    if(m->nfiles)
      take_files(m, flags, r);
    n = min((uint64_t)(m->len - m->off), u->left);
    moved = uio_to(u, m->data + m->off, n, err);
    done += moved;
    more = s->type == SOCK_STREAM && *err == 0 && u->left > 0;
    if(s->type != SOCK_STREAM) {
      r->flags = (n < m->len ? MSG_TRUNC : 0) | (s->type == SOCK_SEQPACKET ? MSG_EOR : 0);
      done = flags & MSG_TRUNC ? m->len : done;
      *err = *err ? *err : 1; // a message of no bytes is not the end
    }
    if(!peek)
      consume(s, m, moved);
  }
  return done;
}

int64_t
unix_receive(struct unix_sock *s, struct uio *u, int flags, struct unix_recv *r)
{
  uint64_t deadline = deadline_of(atomic_get(&s->rcvtimeo)), done = 0;
  int err = 0;

  memset(r, 0, sizeof(*r));
  for(;;) {
    sleep_acquire(&s->reading);
    done += take(s, u, flags, r, done > 0, &err);
    sleep_release(&s->reading);
    if(err != -EAGAIN || (flags & MSG_DONTWAIT))
      break;
    if(done && (!(flags & MSG_WAITALL) || u->left == 0 || (flags & MSG_PEEK) || r->nfiles))
      break;
    err = wait_event(&s->readable, something(s), WAIT_INTERRUPTIBLE, deadline);
    if(err) {
      err = wait_result(err, deadline);
      break;
    }
  }
  return done || err > 0 ? (int64_t)done : err;
}

// ---- looking

unsigned
unix_ready(struct unix_sock *s)
{
  bool connected = s->type != SOCK_DGRAM, hup = s->gone || (s->rd_shut && s->wr_shut);
  unsigned r = 0;

  if(!list_empty(&s->queue) || !list_empty(&s->backlog) || s->rd_shut || s->gone)
    r |= POLLIN | POLLRDNORM;
  if(s->rd_shut || s->gone)
    r |= POLLRDHUP;
  if(hup || (connected && s->state == UNIX_NEW))
    r |= POLLHUP;
  if(s->err)
    r |= POLLERR;
  if(s->state != UNIX_LISTENING && (s->peer == 0 || s->peer->queued < UNIX_BUFFER / 2))
    r |= POLLOUT | POLLWRNORM;
  return r;
}

int
unix_unread(struct unix_sock *s)
{
  int n = 0;

  spin_acquire(&unix_lock);
  if(s->type == SOCK_STREAM)
    n = s->queued;
  else if(!list_empty(&s->queue))
    n = list_entry(s->queue.next, struct unix_msg, link)->len;
  spin_release(&unix_lock);
  return n;
}
