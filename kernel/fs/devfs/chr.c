// chr.c -- character devices as open files: null zero full random urandom kmsg, and the terminal.
//
// Typical: dev_chr_fops(rdev) when a node is opened. The drivers are in dev/; here is how they look to read and write.
#include "core/print.h"
#include "core/thread.h"
#include "core/time.h"
#include "dev/dev.h"
#include "dev/tty.h"
#include "fs/devfs/devfs.h"
#include "lib/string.h"

#define CHRDEV(major, minor) ((major) << 8 | (minor))

enum { RANDOM_CHUNK = 256, KMSG_CHUNK = 512, KMSG_LINE = 1000 };
enum { IOCTL_TIOCSCTTY = 0x540e };
#define RANDOM_NAP (10 * MSEC)

// ---- null, zero, full

static int64_t
null_read(struct file *f, struct uio *u, uint64_t *pos)
{
  return 0;
}

static int64_t
null_write(struct file *f, struct uio *u, uint64_t *pos)
{
  return u->left;
}

static int64_t
zero_read(struct file *f, struct uio *u, uint64_t *pos)
{
  uint64_t done = 0;
  size_t n;
  int err = 0;

  while(u->left > 0 && !err) {
    if(thread_interrupted(WAIT_INTERRUPTIBLE) && done > 0)
      break;
    n = min(u->left, PAGE_SIZE);
    done += uio_zero(u, n, &err);
    thread_relax();
  }
  return done > 0 ? (int64_t)done : err;
}

static int64_t
full_write(struct file *f, struct uio *u, uint64_t *pos)
{
  return -ENOSPC;
}

// Zero-fill memory is anonymous memory: the caller makes it, shared or private.
static int
zero_mmap(struct file *f, bool shared, struct mobj **obj)
{
  *obj = 0;
  return 0;
}

static int64_t
mem_lseek(struct file *f, int64_t off, int whence)
{
  return 0;
}

static const struct file_ops null_fops = {.read = null_read, .write = null_write, .lseek = mem_lseek, .seekable = true};
static const struct file_ops zero_fops = {
    .read = zero_read, .write = null_write, .lseek = mem_lseek, .mmap = zero_mmap, .seekable = true};
static const struct file_ops full_fops = {.read = zero_read, .write = full_write, .lseek = mem_lseek, .seekable = true};

// ---- random

static int64_t
urandom_read(struct file *f, struct uio *u, uint64_t *pos)
{
  char bytes[RANDOM_CHUNK];
  uint64_t done = 0;
  size_t n;
  int err = 0;

  while(u->left > 0 && !err) {
    if(thread_interrupted(WAIT_INTERRUPTIBLE) && done > 0)
      break;
    n = min(u->left, sizeof(bytes));
    random_bytes(bytes, n);
    done += uio_to(u, bytes, n, &err);
    thread_relax();
  }
  memset(bytes, 0, sizeof(bytes));
  return done > 0 ? (int64_t)done : err;
}

static int64_t
random_read(struct file *f, struct uio *u, uint64_t *pos)
{
  int err;

  while(!random_ready()) {
    if(f->flags & O_NONBLOCK)
      return -EAGAIN;
    err = time_sleep_until(clock_now() + RANDOM_NAP, WAIT_INTERRUPTIBLE);
    if(err)
      return err == -EINTR ? -ERESTARTSYS : err;
  }
  return urandom_read(f, u, pos);
}

static int64_t
random_write(struct file *f, struct uio *u, uint64_t *pos)
{
  char bytes[RANDOM_CHUNK];
  uint64_t done = 0;
  size_t n;
  int err = 0;

  while(u->left > 0 && !err) {
    n = uio_from(u, bytes, min(u->left, sizeof(bytes)), &err);
    random_mix(bytes, n);
    done += n;
    thread_relax();
  }
  return done > 0 ? (int64_t)done : err;
}

static const struct file_ops random_fops = {
    .read = random_read, .write = random_write, .lseek = mem_lseek, .seekable = true};
static const struct file_ops urandom_fops = {
    .read = urandom_read, .write = random_write, .lseek = mem_lseek, .seekable = true};

// ---- kmsg: the kernel's log as plain lines, from the oldest kept to the newest; then the file ends

static int64_t
kmsg_read(struct file *f, struct uio *u, uint64_t *pos)
{
  char text[KMSG_CHUNK];
  uint64_t done = 0;
  size_t n, moved;
  int err = 0;

  while(u->left > 0 && !err) {
    n = print_read(pos, text, min(u->left, sizeof(text)));
    if(n == 0)
      break;
    moved = uio_to(u, text, n, &err);
    *pos -= n - moved;
    done += moved;
  }
  return done > 0 ? (int64_t)done : err;
}

// One write is one line. A priority "<6>" in front of it is dropped.
static int64_t
kmsg_write(struct file *f, struct uio *u, uint64_t *pos)
{
  size_t total = u->left, n;
  char line[KMSG_LINE], *text = line, *end;
  int err = 0;

  if(total > sizeof(line) - 1)
    return -EINVAL;
  n = uio_from(u, line, total, &err);
  if(n < total)
    return err;
  line[n] = 0;
  if(line[0] == '<' && (end = strchr(line, '>')) != 0)
    text = end + 1;
  n = strlen(text);
  print("%s%s", text, n > 0 && text[n - 1] == '\n' ? "" : "\n");
  return total;
}

static const struct file_ops kmsg_fops = {.read = kmsg_read, .write = kmsg_write, .seekable = true};

// ---- the terminal

static int64_t
ttyfile_read(struct file *f, struct uio *u, uint64_t *pos)
{
  return tty_read(f->priv, u, f->flags & O_NONBLOCK);
}

static int64_t
ttyfile_write(struct file *f, struct uio *u, uint64_t *pos)
{
  return tty_write(f->priv, u, f->flags & O_NONBLOCK);
}

static unsigned
ttyfile_poll(struct file *f, struct poll *p)
{
  return tty_poll(f->priv, p);
}

static int
ttyfile_ioctl(struct file *f, unsigned cmd, uint64_t arg, struct aspace *as)
{
  return tty_ioctl(f->priv, cmd, arg, as);
}

static int
console_open(struct file *f)
{
  if(!tty_console)
    return -ENODEV;
  f->priv = tty_console;
  return 0;
}

// A session leader without a terminal gets the one it opens, unless it says O_NOCTTY. (Not by /dev/console: as Linux.)
static int
serial_open(struct file *f)
{
  int err = console_open(f);

  if(!err && !(f->flags & O_NOCTTY) && tty_hooks.caller_leads_session && tty_hooks.caller_leads_session() &&
     tty_session(tty_console) == 0)
    tty_ioctl(tty_console, IOCTL_TIOCSCTTY, 0, 0);
  return err;
}

// /dev/tty: whatever terminal controls the caller's session.
static int
current_open(struct file *f)
{
  int err = console_open(f);

  if(!err && tty_hooks.caller_sid && tty_session(tty_console) != tty_hooks.caller_sid())
    err = -ENXIO;
  return err;
}

#define TTY_METHODS .read = ttyfile_read, .write = ttyfile_write, .poll = ttyfile_poll, .ioctl = ttyfile_ioctl

static const struct file_ops console_fops = {TTY_METHODS, .open = console_open};
static const struct file_ops serial_fops = {TTY_METHODS, .open = serial_open};
static const struct file_ops current_fops = {TTY_METHODS, .open = current_open};

// ---- by number, as in Linux's devices.txt

const struct chrdev chrdevs[] = {
    {"null", 0666, CHRDEV(1, 3), &null_fops},       {"zero", 0666, CHRDEV(1, 5), &zero_fops},
    {"full", 0666, CHRDEV(1, 7), &full_fops},       {"random", 0666, CHRDEV(1, 8), &random_fops},
    {"urandom", 0666, CHRDEV(1, 9), &urandom_fops}, {"kmsg", 0644, CHRDEV(1, 11), &kmsg_fops},
    {"tty", 0666, CHRDEV(5, 0), &current_fops},     {"console", 0600, CHRDEV(5, 1), &console_fops},
    {"ttyS0", 0620, CHRDEV(4, 64), &serial_fops},   {0, 0, 0, 0},
};

const struct file_ops *
dev_chr_fops(uint64_t rdev)
{
  for(const struct chrdev *c = chrdevs; c->name; c++)
    if(c->rdev == rdev)
      return c->fops;
  return 0;
}
