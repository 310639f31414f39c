// tty_ioctl.c -- requests of ioctl(2) to a terminal: settings, window size, session and foreground group.
// Typical: tty_ioctl(t, TCGETS, arg, as) from fs/devfs. Each request is a function of a few lines.
// Must not hold the terminal's lock over user memory or a hook.
#include "core/wait.h"
#include "dev/tty_impl.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/mm.h"

enum { // Linux's request numbers
  TCGETS = 0x5401,
  TCSETS = 0x5402,
  TCSETSW = 0x5403,
  TCSETSF = 0x5404,
  TCSBRK = 0x5409,
  TCXONC = 0x540a,
  TCFLSH = 0x540b,
  TIOCEXCL = 0x540c,
  TIOCNXCL = 0x540d,
  TIOCSCTTY = 0x540e,
  TIOCGPGRP = 0x540f,
  TIOCSPGRP = 0x5410,
  TIOCOUTQ = 0x5411,
  TIOCSTI = 0x5412,
  TIOCGWINSZ = 0x5413,
  TIOCSWINSZ = 0x5414,
  FIONREAD = 0x541b,
  TIOCNOTTY = 0x5422,
  TIOCGETD = 0x5424,
  TCSBRKP = 0x5425,
  TIOCGSID = 0x5429,
  TCSETS2 = 0x402c542b,
  TCSETSW2 = 0x402c542c,
  TCSETSF2 = 0x402c542d,
};
#define TCGETS2 0x802c542au
enum { FLUSH_INPUT, FLUSH_OUTPUT, FLUSH_BOTH };               // TCFLSH
enum { FLOW_STOP, FLOW_GO, FLOW_SEND_STOP, FLOW_SEND_START }; // TCXONC

struct termios2 { // Linux's: the same and the speeds
  struct termios t;
  uint32_t ispeed, ospeed;
};
_Static_assert(sizeof(struct termios) == 36 && sizeof(struct termios2) == 44, "Linux's layout");

static int
get_settings(struct tty *t, uint64_t arg, size_t size, struct aspace *as)
{
  struct termios2 s;

  spin_acquire(&t->lock);
  s.t = t->line.t;
  s.ispeed = t->ispeed;
  s.ospeed = t->ospeed;
  spin_release(&t->lock);
  return copyout(as, arg, &s, size, 0);
}

// Output has left the kernel when a write returns, so TCSETSW needs only to wait for a write that is under way.
// Unchecked: clang cannot follow a killable acquire.
UNCHECKED static int
set_settings(struct tty *t, uint64_t arg, size_t size, bool drain, bool flush, struct aspace *as)
{
  struct termios2 s;
  int err = tty_check_background(t, TTY_SIGTTOU);

  if(err == 0)
    err = copyin(as, &s, arg, size, 0);
  if(err == 0 && drain)
    err = sleep_acquire_killable(&t->writing);
  if(err)
    return err;
  spin_acquire(&t->lock);
  line_set(&t->line, &s.t);
  if(size == sizeof(s)) {
    t->ispeed = s.ispeed;
    t->ospeed = s.ospeed;
  }
  if(flush)
    line_flush(&t->line);
  spin_release(&t->lock);
  if(drain)
    sleep_release(&t->writing);
  tty_changed(t);
  return 0;
}

static int
flush(struct tty *t, uint64_t what)
{
  int err = tty_check_background(t, TTY_SIGTTOU);

  if(err)
    return err;
  if(what > FLUSH_BOTH)
    return -EINVAL;
  spin_acquire(&t->lock);
  if(what != FLUSH_OUTPUT)
    line_flush(&t->line);
  spin_release(&t->lock);
  tty_changed(t);
  return 0;
}

static int
flow(struct tty *t, uint64_t what)
{
  int err = tty_check_background(t, TTY_SIGTTOU);
  char c;

  if(err)
    return err;
  if(what > FLOW_SEND_START)
    return -EINVAL;
  spin_acquire(&t->lock);
  c = t->line.t.cc[what == FLOW_SEND_STOP ? VSTOP : VSTART];
  if(what == FLOW_STOP || what == FLOW_GO)
    t->line.stopped = what == FLOW_STOP;
  spin_release(&t->lock);
  if((what == FLOW_SEND_STOP || what == FLOW_SEND_START) && c)
    t->wire->write(&c, 1);
  tty_changed(t);
  return 0;
}

static int
get_winsize(struct tty *t, uint64_t arg, struct aspace *as)
{
  struct winsize w;

  spin_acquire(&t->lock);
  w = t->winsize;
  spin_release(&t->lock);
  return copyout(as, arg, &w, sizeof(w), 0);
}

static int
set_winsize(struct tty *t, uint64_t arg, struct aspace *as)
{
  struct winsize w;
  int err = copyin(as, &w, arg, sizeof(w), 0), pgid;

  if(err)
    return err;
  spin_acquire(&t->lock);
  pgid = memcmp(&t->winsize, &w, sizeof(w)) != 0 ? t->pgid : 0;
  t->winsize = w;
  spin_release(&t->lock);
  if(pgid)
    tty_hooks.signal_group(pgid, TTY_SIGWINCH);
  return 0;
}

int
tty_session(struct tty *t)
{
  int session;

  spin_acquire(&t->lock);
  session = t->session;
  spin_release(&t->lock);
  return session;
}

// The caller's session takes t as its controlling terminal.
static int
set_controlling(struct tty *t)
{
  int sid = tty_hooks.caller_sid(), pgid = tty_hooks.caller_pgid(), err = 0;

  if(!tty_hooks.caller_leads_session())
    return -EPERM;
  spin_acquire(&t->lock);
  if(t->session == 0) {
    t->session = sid;
    t->pgid = pgid;
  } else if(t->session != sid) {
    err = -EPERM;
  }
  spin_release(&t->lock);
  if(err == 0)
    tty_hooks.set_controlling(sid, t);
  return err;
}

void
tty_hangup_session(int sid)
{
  struct tty *t = tty_console;
  int pgid;

  if(t == 0 || sid == 0)
    return;
  spin_acquire(&t->lock);
  if(t->session != sid) {
    spin_release(&t->lock);
    return;
  }
  pgid = t->pgid;
  t->session = t->pgid = 0;
  spin_release(&t->lock);
  tty_hooks.set_controlling(sid, 0);
  if(pgid) {
    tty_hooks.signal_group(pgid, TTY_SIGHUP);
    tty_hooks.signal_group(pgid, TTY_SIGCONT);
  }
  tty_changed(t);
}

// Only the leader can let go: a session has its terminal or not, as a whole.
static int
drop_controlling(struct tty *t)
{
  int sid = tty_hooks.caller_sid();

  if(tty_session(t) != sid)
    return -ENOTTY;
  if(!tty_hooks.caller_leads_session())
    return -EPERM;
  tty_hangup_session(sid);
  return 0;
}

// The foreground group, or the session, of the caller's own terminal.
static int
get_owner(struct tty *t, unsigned cmd, uint64_t arg, struct aspace *as)
{
  int32_t session, pgid;

  spin_acquire(&t->lock);
  session = t->session;
  pgid = t->pgid;
  spin_release(&t->lock);
  if(session == 0 || session != tty_hooks.caller_sid())
    return -ENOTTY;
  return copyout(as, arg, cmd == TIOCGSID ? &session : &pgid, sizeof(pgid), 0);
}

static int
set_foreground(struct tty *t, uint64_t arg, struct aspace *as)
{
  int err = tty_check_background(t, TTY_SIGTTOU), sid = tty_hooks.caller_sid();
  int32_t pgid;

  if(err)
    return err == -EIO ? -ENOTTY : err;
  if(tty_session(t) != sid)
    return -ENOTTY;
  err = copyin(as, &pgid, arg, sizeof(pgid), 0);
  if(err)
    return err;
  if(pgid <= 0)
    return -EINVAL;
  if(!tty_hooks.pgid_in_session(pgid, sid))
    return -EPERM;
  spin_acquire(&t->lock);
  if(t->session == sid)
    t->pgid = pgid;
  else
    err = -ENOTTY;
  spin_release(&t->lock);
  tty_changed(t);
  return err;
}

static int
put_int(int32_t v, uint64_t arg, struct aspace *as)
{
  return copyout(as, arg, &v, sizeof(v), 0);
}

static int
input_count(struct tty *t, uint64_t arg, struct aspace *as)
{
  int32_t n;

  spin_acquire(&t->lock);
  n = line_count(&t->line);
  spin_release(&t->lock);
  return put_int(n, arg, as);
}

int
tty_ioctl(struct tty *t, unsigned cmd, uint64_t arg, struct aspace *as)
{
  const size_t old = sizeof(struct termios), new = sizeof(struct termios2);

  switch(cmd) {
  case TCGETS: return get_settings(t, arg, old, as);
  case TCGETS2: return get_settings(t, arg, new, as);
  case TCSETS: return set_settings(t, arg, old, false, false, as);
  case TCSETSW: return set_settings(t, arg, old, true, false, as);
  case TCSETSF: return set_settings(t, arg, old, true, true, as);
  case TCSETS2: return set_settings(t, arg, new, false, false, as);
  case TCSETSW2: return set_settings(t, arg, new, true, false, as);
  case TCSETSF2: return set_settings(t, arg, new, true, true, as);
  case TCFLSH: return flush(t, arg);
  case TCXONC: return flow(t, arg);
  case TCSBRK: // a break is not sent; to drain, nothing is left to do
  case TCSBRKP: return tty_check_background(t, TTY_SIGTTOU);
  case TIOCGWINSZ: return get_winsize(t, arg, as);
  case TIOCSWINSZ: return set_winsize(t, arg, as);
  case TIOCSCTTY: return set_controlling(t);
  case TIOCNOTTY: return drop_controlling(t);
  case TIOCGPGRP:
  case TIOCGSID: return get_owner(t, cmd, arg, as);
  case TIOCSPGRP: return set_foreground(t, arg, as);
  case FIONREAD: return input_count(t, arg, as);
  case TIOCGETD:
  case TIOCOUTQ: return put_int(0, arg, as);
  case TIOCSTI: return -EIO; // typing for others is refused, as Linux does without CONFIG_LEGACY_TIOCSTI
  case TIOCEXCL:
  case TIOCNXCL: return -EPERM; // the console cannot be had alone
  default: return -ENOTTY;
  }
}
