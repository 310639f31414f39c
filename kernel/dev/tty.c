// tty.c -- a terminal between its wire and open files: reading, writing, waiting, the input thread.
// Typical: the uart's interrupt calls tty_input; the thread runs line_input, sends signals and echo; tty_read sleeps
// for a line. The line discipline itself is line.c; requests of ioctl(2) are tty_ioctl.c.
// Must not know processes but by tty_hooks, nor hold a spin lock over user memory or the wire.
#include "core/kthread.h"
#include "core/option.h"
#include "core/print.h"
#include "core/wait.h"
#include "dev/tty_impl.h"
#include "fs/uio.h"
#include "fs/vfs.h"
#include "lib/errno.h"
#include "mm/mm.h"

enum { CHUNK = 64, READ_CHUNK = 256, ROWS = 24, COLUMNS = 80, CTRL_P = 16, LOW_WATER = TTY_INPUT / 2 };
#define TENTH (100 * MSEC) // VTIME's unit

static struct tty console;
struct tty *tty_console;
struct tty_hooks tty_hooks;
static void (*show_tasks)(void); // (a)

void
tty_show_tasks_hook(void (*fn)(void))
{
  show_tasks = fn;
}

// ---- input

bool
tty_room(void)
{
  struct tty *t = &console;
  bool room;

  spin_acquire(&t->inlock);
  room = t->in_head - t->in_tail < TTY_INPUT;
  t->throttled = !room;
  spin_release(&t->inlock);
  return room;
}

void
tty_input(char c)
{
  struct tty *t = &console;

  spin_acquire(&t->inlock);
  if(t->in_head - t->in_tail < TTY_INPUT)
    t->in[t->in_head++ % TTY_INPUT] = c;
  spin_release(&t->inlock);
  waitq_wake(&t->input);
}

static bool
input_possible(struct tty *t) // a character, and room for it in the line
{
  bool any, room;

  spin_acquire(&t->inlock);
  any = t->in_head != t->in_tail;
  spin_release(&t->inlock);
  spin_acquire(&t->lock);
  room = line_room(&t->line);
  spin_release(&t->lock);
  return any && room;
}

// The next character; sleeps for it.
static char
input_next(struct tty *t)
{
  bool resume;
  char c;

  wait_event(&t->input, input_possible(t), WAIT_ALWAYS, NEVER);
  spin_acquire(&t->inlock);
  c = t->in[t->in_tail++ % TTY_INPUT];
  resume = t->throttled && t->in_head - t->in_tail <= LOW_WATER;
  if(resume)
    t->throttled = false;
  spin_release(&t->inlock);
  if(resume && t->wire->resume)
    t->wire->resume();
  return c;
}

static void
send_echo(struct tty *t)
{
  char out[CHUNK];
  size_t n;

  do {
    spin_acquire(&t->lock);
    n = line_echoed(&t->line, out, sizeof(out));
    spin_release(&t->lock);
    if(n > 0)
      t->wire->write(out, n);
  } while(n == sizeof(out));
}

static void
input_one(struct tty *t, char c)
{
  int sig, pgid;

  spin_acquire(&t->lock);
  line_input(&t->line, c);
  sig = t->line.signal;
  t->line.signal = 0;
  pgid = t->pgid;
  spin_release(&t->lock);
  if(sig && pgid)
    tty_hooks.signal_group(pgid, sig);
  send_echo(t);
  waitq_wake(&t->readers);
  waitq_wake(&t->writers);
}

// Does c ask for the list of processes? A program that edits lines itself (a shell at its prompt) has Ctrl-P for its own
// use, unless the kernel's command line says otherwise; after Ctrl-V it is text.
static bool
input_asks(struct tty *t, char c)
{
  enum { OURS = ICANON | IEXTEN };
  bool ours;

  if(c != CTRL_P || !show_tasks)
    return false;
  spin_acquire(&t->lock);
  ours = (t->line.t.lflag & OURS) == OURS && !t->line.literal;
  spin_release(&t->lock);
  return ours || t->show_tasks;
}

static void
input_thread(void *arg)
{
  struct tty *t = arg;

  for(;;) {
    char c = input_next(t);

    if(input_asks(t, c)) {
      bool was = print_quiet(false);

      show_tasks();
      print_quiet(was);
    } else {
      input_one(t, c);
    }
  }
}

void
tty_init(const struct tty_wire *wire)
{
  struct tty *t = &console;

  t->wire = wire;
  spin_init(&t->lock, "tty", RANK_TTY);
  spin_init(&t->inlock, "tty input", RANK_DEV);
  sleep_init(&t->writing, "tty writing", RANK_PIPE);
  waitq_init(&t->readers);
  waitq_init(&t->writers);
  waitq_init(&t->input);
  line_init(&t->line);
  t->winsize.rows = option_number("rows", ROWS);
  t->winsize.columns = option_number("cols", COLUMNS);
  t->ispeed = t->ospeed = 115200;
  t->show_tasks = option_flag("ctrlp");
  if(kthread_start("tty", input_thread, t) != 0)
    panic("tty: no memory for its thread");
  tty_console = t;
}

void
tty_changed(struct tty *t)
{
  waitq_wake(&t->input);
  waitq_wake(&t->readers);
  waitq_wake(&t->writers);
}

// ---- reading

int
tty_check_background(struct tty *t, int sig)
{
  int session, pgid, mine;

  spin_acquire(&t->lock);
  session = t->session;
  pgid = t->pgid;
  spin_release(&t->lock);
  if(session == 0 || pgid == 0 || tty_hooks.caller_sid() != session)
    return 0;
  mine = tty_hooks.caller_pgid();
  if(mine == pgid)
    return 0;
  if(tty_hooks.caller_ignores(sig))
    return sig == TTY_SIGTTIN ? -EIO : 0;
  if(tty_hooks.group_orphaned(mine))
    return -EIO;
  return tty_hooks.signal_caller_group(sig);
}

struct read_rules { // of one tty_read, from the settings at its start
  bool canonical;
  uint64_t least; // bytes that end a raw read
  uint64_t time;  // nanoseconds; 0: none
};

static struct read_rules
read_rules(struct tty *t, uint64_t wanted)
{
  struct read_rules r;

  spin_acquire(&t->lock);
  r.canonical = t->line.t.lflag & ICANON;
  r.least = min((uint64_t)t->line.t.cc[VMIN], wanted);
  r.time = t->line.t.cc[VTIME] * TENTH;
  spin_release(&t->lock);
  return r;
}

static bool
readable(struct tty *t)
{
  bool ready;

  spin_acquire(&t->lock);
  ready = line_ready(&t->line);
  spin_release(&t->lock);
  return ready;
}

// Move what is there now, at most a line's rest: bytes, *end as line_take has it, or -EFAULT and the like.
static int64_t
read_some(struct tty *t, struct uio *u, bool *end)
{
  char buf[READ_CHUNK];
  size_t n, moved;
  int err = 0;

  spin_acquire(&t->lock);
  n = line_take(&t->line, buf, min(sizeof(buf), u->left), end);
  spin_release(&t->lock);
  if(n > 0 || *end)
    waitq_wake(&t->input);
  moved = uio_to(u, buf, n, &err);
  return moved < n && moved == 0 ? err : (int64_t)moved;
}

// Is the read over, with `got` bytes? *deadline: until when it waits for more.
static bool
read_satisfied(const struct read_rules *r, uint64_t got, uint64_t start, uint64_t *deadline)
{
  *deadline = NEVER;
  if(r->canonical)
    return got > 0;
  if(got >= max(r->least, (uint64_t)1))
    return true;
  if(r->least > 0) {
    if(r->time && got > 0)
      *deadline = clock_now() + r->time; // from the last byte on
    return false;
  }
  *deadline = start + r->time;
  return r->time == 0;
}

// Canonical: one line or less. Raw: as VMIN and VTIME say. Bytes, 0 at the end of the file, -EAGAIN, -ERESTARTSYS,
// -EIO, -EFAULT.
int64_t
tty_read(struct tty *t, struct uio *u, bool nonblock)
{
  struct read_rules rules = read_rules(t, u->left);
  uint64_t deadline, start = clock_now();
  int64_t got = 0, n;
  bool end = false;
  int err;

  while(u->left > 0) {
    if((err = tty_check_background(t, TTY_SIGTTIN)) != 0)
      return got ? got : err;
    n = read_some(t, u, &end);
    if(n < 0)
      return got ? got : n;
    got += n;
    if(end)
      break;
    if(n > 0 && readable(t))
      continue;
    if(read_satisfied(&rules, got, start, &deadline))
      break;
    if(nonblock)
      return got ? got : -EAGAIN;
    err = wait_event(&t->readers, readable(t), WAIT_INTERRUPTIBLE, deadline);
    if(err == -ETIMEDOUT)
      break;
    if(err)
      return got ? got : -ERESTARTSYS;
  }
  return got;
}

// ---- writing

static bool
writable(struct tty *t)
{
  bool stopped;

  spin_acquire(&t->lock);
  stopped = t->line.stopped;
  spin_release(&t->lock);
  return !stopped;
}

// One chunk of u onto the wire: bytes taken, or -EFAULT and the like.
static int64_t
write_some(struct tty *t, struct uio *u)
{
  char in[CHUNK], out[CHUNK * LINE_POST_MAX];
  size_t n, used, made;
  int err = 0;

  n = uio_from(u, in, sizeof(in), &err);
  if(n == 0)
    return err;
  spin_acquire(&t->lock);
  made = line_output(&t->line, in, n, out, sizeof(out), &used);
  spin_release(&t->lock);
  t->wire->write(out, made);
  return n;
}

static int64_t
write_all(struct tty *t, struct uio *u, bool nonblock)
{
  int64_t done = 0, n;

  while(u->left > 0) {
    if(!writable(t)) {
      if(nonblock)
        return done ? done : -EAGAIN;
      if(wait_event(&t->writers, writable(t), WAIT_INTERRUPTIBLE, NEVER) != 0)
        return done ? done : -ERESTARTSYS;
    }
    n = write_some(t, u);
    if(n <= 0)
      return done ? done : n;
    done += n;
    if(thread_interrupted(WAIT_INTERRUPTIBLE)) // as Linux: ^C ends a long text
      break;
  }
  return done;
}

// Bytes, or -EAGAIN, -ERESTARTSYS, -EIO, -EFAULT. Sleeps. Unchecked: clang cannot follow a killable acquire.
UNCHECKED int64_t
tty_write(struct tty *t, struct uio *u, bool nonblock)
{
  bool strict;
  int64_t n;
  int err;

  spin_acquire(&t->lock);
  strict = t->line.t.lflag & TOSTOP;
  spin_release(&t->lock);
  if(strict && (err = tty_check_background(t, TTY_SIGTTOU)) != 0)
    return err;
  if(nonblock) {
    if(!sleep_try(&t->writing))
      return -EAGAIN;
  } else if((err = sleep_acquire_killable(&t->writing)) != 0) {
    return err;
  }
  n = write_all(t, u, nonblock);
  sleep_release(&t->writing);
  return n;
}

unsigned
tty_poll(struct tty *t, struct poll *p)
{
  unsigned ready = 0;
  const struct termios *s = &t->line.t;

  poll_watch(p, &t->readers);
  poll_watch(p, &t->writers);
  spin_acquire(&t->lock);
  if((s->lflag & ICANON) || s->cc[VTIME] || s->cc[VMIN] == 0 ? line_ready(&t->line)
                                                             : line_count(&t->line) >= s->cc[VMIN])
    ready |= POLLIN | POLLRDNORM;
  if(!t->line.stopped)
    ready |= POLLOUT | POLLWRNORM;
  spin_release(&t->lock);
  return ready;
}
