// signalfd.c -- pending signals as a file: whoever reads takes those of a set that wait for it or its process.
// The file knows the set only; whose signals are meant depends on who reads or polls. All such files share one queue:
// it outlives every process, and a wake for somebody else's signal costs a look.
// Must not know: how signals are sent.
#include "core/wait.h"
#include "lib/atomic.h"
#include "proc/proc.h"

struct signalfd {
  sigset set; // (a) what is read
};
struct signalfd_info { // Linux's layout
  uint32_t signo;
  int32_t err, code;
  uint32_t pid, uid;
  int32_t fd;
  uint32_t tid, band, overrun, trapno;
  int32_t status, value_int;
  uint64_t value, utime, stime, addr;
  uint16_t addr_lsb, pad0;
  int32_t syscall;
  uint64_t call_addr;
  uint32_t arch;
  uint8_t pad[28];
};
_Static_assert(sizeof(struct signalfd_info) == 128, "Linux's signalfd_siginfo");

static struct waitq waiters;
static int nfiles; // (a) that are open: without any nobody is woken

void
signalfd_init(void)
{
  waitq_init(&waiters);
}

void
signalfd_notify(void)
{
  if(atomic_get(&nfiles))
    waitq_wake(&waiters);
}

static struct signalfd_info
info_of(const struct siginfo *si)
{
  struct signalfd_info i = {.signo = si->signo, .err = si->err, .code = si->code};
  sigset bit = SIGBIT(si->signo);

  if(si->code == SI_TIMER) {
    i.tid = si->timer.tid;
    i.overrun = si->timer.overrun;
    i.value = si->timer.value;
    i.value_int = (int32_t)si->timer.value;
  } else if(si->code > 0 && si->code != SI_KERNEL && (bit & SIGS_SYNCHRONOUS)) {
    i.addr = si->fault.addr;
    i.addr_lsb = si->fault.lsb;
  } else {
    i.pid = si->kill.pid;
    i.uid = si->kill.uid;
    if(si->code < 0) {
      i.value = si->kill.value;
      i.value_int = (int32_t)si->kill.value;
    } else if(si->signo == SIGCHLD && si->code > 0 && si->code != SI_KERNEL) {
      i.status = si->chld.status;
      i.utime = si->chld.utime;
      i.stime = si->chld.stime;
    }
  }
  return i;
}

static int64_t
signalfd_read(struct file *f, struct uio *u, uint64_t *pos)
{
  struct signalfd *s = f->priv;
  uint64_t start = u->left;
  int sig = 0, err = 0;

  if(u->left < sizeof(struct signalfd_info))
    return -EINVAL;
  while(u->left >= sizeof(struct signalfd_info) && !err) {
    struct siginfo si;
    struct signalfd_info i;

    sig = signal_dequeue(atomic_get(&s->set), &si);
    if(sig == 0 && u->left < start)
      break;
    if(sig == 0 && (f->flags & O_NONBLOCK))
      return -EAGAIN;
    if(sig == 0)
      err = wait_event(&waiters, (sig = signal_dequeue(atomic_get(&s->set), &si)) != 0, WAIT_INTERRUPTIBLE, NEVER);
    if(err)
      return err == -EINTR ? -ERESTARTSYS : err;
    i = info_of(&si);
    uio_to(u, &i, sizeof(i), &err);
  }
  return u->left < start ? (int64_t)(start - u->left) : err;
}

static unsigned
signalfd_poll(struct file *f, struct poll *p)
{
  struct signalfd *s = f->priv;

  poll_watch(p, &waiters);
  return signal_pending_among(atomic_get(&s->set)) ? POLLIN : 0;
}

static void
signalfd_release(struct file *f)
{
  atomic_sub(&nfiles, 1);
  kfree(f->priv);
}

static const struct file_ops signalfd_fops = {
    .read = signalfd_read, .poll = signalfd_poll, .release = signalfd_release};

int
signalfd_create(sigset set, unsigned flags, struct file **out)
{
  struct signalfd *s = kzalloc(sizeof(*s));
  int err;

  if(s == 0)
    return -ENOMEM;
  s->set = set & ~SIGS_UNBLOCKABLE;
  err = anonfile_make("signalfd", &signalfd_fops, flags, s, out);
  if(err)
    kfree(s);
  else
    atomic_add(&nfiles, 1);
  return err;
}

int
signalfd_change(struct file *f, sigset set)
{
  struct signalfd *s = f->priv;

  if(f->ops != &signalfd_fops)
    return -EINVAL;
  atomic_set(&s->set, set & ~SIGS_UNBLOCKABLE);
  signalfd_notify(); // what waits may have been pending before
  return 0;
}
