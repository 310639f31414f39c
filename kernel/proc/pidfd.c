// pidfd.c -- a process by descriptor: unlike its number, that never comes to mean another.
//
// The open file keeps the process's structure. It becomes readable when the process has ended (become_zombie wakes
// proc.ended), and hung up when it was waited for.
// Must not know: how one waits or sends a signal (sys_pidfd.c asks for that by the process).
#include "proc/pidfd.h"
#include "lib/atomic.h"

static unsigned
pidfd_poll(struct file *f, struct poll *poll)
{
  struct proc *p = f->priv;
  unsigned ready = 0;

  poll_watch(poll, &p->ended);
  spin_acquire(&proclist_lock);
  if(p->zombie)
    ready = POLLIN | POLLRDNORM | (p->reaped ? POLLHUP : 0);
  spin_release(&proclist_lock);
  return ready;
}

static void
pidfd_release(struct file *f)
{
  proc_put(f->priv);
}

static const struct file_ops pidfd_fops = {.poll = pidfd_poll, .release = pidfd_release};

int
pidfd_file(struct proc *p, unsigned flags, struct file **out)
{
  int err = anonfile_make("pidfd", &pidfd_fops, flags, proc_get(p), out);

  if(err)
    proc_put(p);
  return err;
}

struct proc *
pidfd_proc(struct file *f)
{
  return f->ops == &pidfd_fops ? f->priv : 0;
}

bool
pidfd_reaped(struct proc *p)
{
  bool reaped;

  spin_acquire(&proclist_lock);
  reaped = p->reaped;
  spin_release(&proclist_lock);
  return reaped;
}
