// sys_sockopt.c -- options of sockets: what one can ask of a local socket, and the little that can be set.
// What means nothing here is accepted and reads as 0, as on Linux.
#include "lib/string.h"
#include "syscall/sys_socket.h"

enum { AF_UNIX = 1 };
enum { SOL_SOCKET = 1 };
enum {
  SO_DEBUG = 1,
  SO_REUSEADDR,
  SO_TYPE,
  SO_ERROR,
  SO_DONTROUTE,
  SO_BROADCAST,
  SO_SNDBUF,
  SO_RCVBUF,
  SO_KEEPALIVE,
  SO_OOBINLINE,
  SO_NO_CHECK,
  SO_PRIORITY,
  SO_LINGER,
  SO_BSDCOMPAT,
  SO_REUSEPORT,
  SO_PASSCRED,
  SO_PEERCRED,
  SO_RCVLOWAT,
  SO_SNDLOWAT,
  SO_RCVTIMEO,
  SO_SNDTIMEO,
  SO_ACCEPTCONN = 30,
  SO_PROTOCOL = 38,
  SO_DOMAIN
};

static int
error_take(struct unix_sock *s)
{
  int e;

  spin_acquire(&unix_lock);
  e = s->err;
  s->err = 0;
  spin_release(&unix_lock);
  return e;
}

// An option that is a number: 0, or -ENOPROTOOPT.
static int
option_int(struct unix_sock *s, int opt, int *v)
{
  *v = 0;
  switch(opt) {
  case SO_TYPE: *v = s->type; return 0;
  case SO_ERROR: *v = error_take(s); return 0;
  case SO_SNDBUF:
  case SO_RCVBUF: *v = UNIX_BUFFER; return 0;
  case SO_PASSCRED: *v = atomic_get(&s->passcred); return 0;
  case SO_ACCEPTCONN: *v = atomic_get(&s->state) == UNIX_LISTENING; return 0;
  case SO_DOMAIN: *v = AF_UNIX; return 0;
  case SO_RCVLOWAT:
  case SO_SNDLOWAT: *v = 1; return 0;
  case SO_PROTOCOL:
  case SO_DEBUG:
  case SO_REUSEADDR:
  case SO_DONTROUTE:
  case SO_BROADCAST:
  case SO_KEEPALIVE:
  case SO_OOBINLINE:
  case SO_PRIORITY:
  case SO_REUSEPORT: return 0; // they mean nothing here
  default: return -ENOPROTOOPT;
  }
}

union option {
  int32_t number;
  struct ucred cred;
  struct timeval time;
  int32_t linger[2];
};

// *size: of what is in *o.
static int
option_get(struct unix_sock *s, int opt, union option *o, uint32_t *size)
{
  uint64_t ns;

  memset(o, 0, sizeof(*o));
  switch(opt) {
  case SO_PEERCRED:
    *size = sizeof(o->cred);
    o->cred = s->peer || s->gone ? s->peer_cred : (struct ucred){0, UINT32_MAX, UINT32_MAX};
    return 0;
  case SO_LINGER: *size = sizeof(o->linger); return 0;
  case SO_RCVTIMEO:
  case SO_SNDTIMEO:
    ns = atomic_get(opt == SO_RCVTIMEO ? &s->rcvtimeo : &s->sndtimeo);
    *size = sizeof(o->time);
    o->time = (struct timeval){ns / NSEC, ns % NSEC / (NSEC / MSEC)};
    return 0;
  default: *size = sizeof(o->number); return option_int(s, opt, &o->number);
  }
}

int64_t
sys_getsockopt(const uint64_t *a)
{
  union option o;
  uint32_t size;
  int32_t room;
  struct file *f;
  int e;
  struct unix_sock *s = sock_get(a[0], &f, &e);

  if(!s)
    return e;
  e = (int)a[1] == SOL_SOCKET ? user_in(&room, a[4], sizeof(room)) : -EOPNOTSUPP;
  if(e == 0 && room < 0)
    e = -EINVAL;
  if(e == 0)
    e = option_get(s, a[2], &o, &size);
  file_put(f);
  if(e)
    return e;
  size = min(size, (uint32_t)room);
  e = user_out(a[3], &o, size);
  return e ? e : user_out(a[4], &size, sizeof(size));
}

static int
option_set(struct unix_sock *s, int opt, vaddr_t va, uint32_t len)
{
  int32_t number;
  uint64_t ns;
  int e;

  if(opt == SO_RCVTIMEO || opt == SO_SNDTIMEO) {
    if(len < sizeof(struct timeval))
      return -EINVAL;
    e = user_timeval(va, &ns);
    if(e == 0)
      atomic_set(opt == SO_RCVTIMEO ? &s->rcvtimeo : &s->sndtimeo, ns);
    return e == -EINVAL ? -EDOM : e;
  }
  if(len < sizeof(number))
    return -EINVAL;
  e = user_in(&number, va, sizeof(number));
  if(e || opt == SO_LINGER)
    return e;
  if(opt == SO_PASSCRED) {
    atomic_set(&s->passcred, number != 0);
    return 0;
  }
  if(opt == SO_TYPE || opt == SO_ERROR || opt == SO_ACCEPTCONN || opt == SO_DOMAIN || opt == SO_PROTOCOL ||
     opt == SO_PEERCRED)
    return -ENOPROTOOPT;
  return option_int(s, opt, &number); // known or not; sizes of buffers are what they are
}

int64_t
sys_setsockopt(const uint64_t *a)
{
  struct file *f;
  int e;
  struct unix_sock *s = sock_get(a[0], &f, &e);

  if(!s)
    return e;
  if((int)a[4] < 0)
    e = -EINVAL;
  else
    e = (int)a[1] == SOL_SOCKET ? option_set(s, a[2], a[3], a[4]) : -EOPNOTSUPP;
  file_put(f);
  return e;
}
