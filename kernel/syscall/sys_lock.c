// sys_lock.c -- advisory locks: fcntl's records and flock's whole files, for fs/filelock.c.
#include "fs/filelock.h"
#include "syscall/sys.h"

enum { OWNER_IS_A_FILE = -1 }; // the pid that Linux tells of such a lock

// From where l->start counts.
static int64_t
lock_base(struct file *f, const struct flock *l)
{
  switch(l->whence) {
  case SEEK_SET: return 0;
  case SEEK_CUR: return atomic_get(&f->pos);
  case SEEK_END: return atomic_get(&f->inode->obj.size);
  default: return -1;
  }
}

// l's bytes into rq, both ends inclusive; a length of 0 reaches to the end of all files, a negative one goes back.
static int
lock_range(struct file *f, const struct flock *l, struct filelock_range *rq)
{
  int64_t lo = lock_base(f, l), hi;

  if(lo < 0)
    return -EINVAL;
  if(l->start > INT64_MAX - lo)
    return -EOVERFLOW;
  lo += l->start;
  if(lo < 0)
    return -EINVAL;
  if(l->len > 0 && l->len - 1 > INT64_MAX - lo)
    return -EOVERFLOW;
  hi = l->len > 0 ? lo + l->len - 1 : l->len == 0 ? INT64_MAX : lo - 1;
  if(l->len < 0)
    lo += l->len;
  if(lo < 0)
    return -EINVAL;
  rq->lo = lo;
  rq->hi = hi;
  return 0;
}

static int
lock_request(struct file *f, const struct flock *l, bool by_file, struct filelock_range *rq)
{
  struct thread *t = thread_self();

  *rq = (struct filelock_range){.family = FILELOCK_RECORD,
                                .owner = by_file ? (void *)f : (void *)t->files,
                                .pid = by_file ? OWNER_IS_A_FILE : t->proc->pid};
  switch(l->type) {
  case F_RDLCK: rq->type = FILELOCK_SHARED; break;
  case F_WRLCK: rq->type = FILELOCK_EXCLUSIVE; break;
  case F_UNLCK: rq->type = FILELOCK_NONE; break;
  default: return -EINVAL;
  }
  return by_file && l->pid ? -EINVAL : lock_range(f, l, rq);
}

static int64_t
lock_get(struct file *f, struct flock *l, struct filelock_range *rq, vaddr_t out)
{
  if(rq->type == FILELOCK_NONE)
    return -EINVAL;
  filelock_get(f->inode, rq);
  l->type = rq->type == FILELOCK_SHARED ? F_RDLCK : rq->type == FILELOCK_EXCLUSIVE ? F_WRLCK : F_UNLCK;
  if(rq->type != FILELOCK_NONE) {
    l->whence = SEEK_SET;
    l->start = rq->lo;
    l->len = rq->hi == INT64_MAX ? 0 : rq->hi - rq->lo + 1;
    l->pid = rq->pid;
  }
  return user_out(out, l, sizeof(*l));
}

static int64_t
lock_set(struct file *f, int fd, const struct filelock_range *rq, bool wait)
{
  unsigned how = f->flags & O_ACCMODE;
  struct file *now;
  int e;

  if((rq->type == FILELOCK_SHARED && how == O_WRONLY) || (rq->type == FILELOCK_EXCLUSIVE && how == O_RDONLY))
    return -EBADF;
  e = filelock_set(f->inode, rq, wait);
  if(e == -EINTR)
    return -ERESTARTSYS;
  if(e || rq->type == FILELOCK_NONE || rq->owner == f)
    return e;
  now = fd_any(fd); // another thread may have closed it meanwhile: then nobody would free the lock
  if(now)
    file_put(now);
  if(now == f)
    return 0;
  filelock_drop(f->inode, rq->owner);
  return -EBADF;
}

int64_t
record_lock(struct file *f, int fd, unsigned cmd, vaddr_t arg)
{
  bool by_file = cmd == F_OFD_GETLK || cmd == F_OFD_SETLK || cmd == F_OFD_SETLKW;
  struct filelock_range rq;
  struct flock l;
  int e;

  if(!by_file && cmd != F_GETLK && cmd != F_SETLK && cmd != F_SETLKW)
    return -EINVAL;
  e = user_in(&l, arg, sizeof(l));
  if(e == 0)
    e = lock_request(f, &l, by_file, &rq);
  if(e)
    return e;
  if(cmd == F_GETLK || cmd == F_OFD_GETLK)
    return lock_get(f, &l, &rq, arg);
  return lock_set(f, fd, &rq, cmd == F_SETLKW || cmd == F_OFD_SETLKW);
}

// Changing the kind of a lock gives the old one up first, as on Linux: two that both want more cannot wait for each other.
static int
flock_file(struct file *f, enum filelock_type type, bool wait)
{
  struct filelock_range rq = {.family = FILELOCK_WHOLE, .owner = f, .pid = current_proc()->pid, .hi = INT64_MAX};
  int e = 0;

  if(type != FILELOCK_NONE && filelock_held(f->inode, &rq) != type)
    e = filelock_set(f->inode, &rq, false);
  rq.type = type;
  if(e == 0)
    e = filelock_set(f->inode, &rq, wait);
  return e == -EINTR ? -ERESTARTSYS : e;
}

int64_t
sys_flock(const uint64_t *a)
{
  unsigned op = (unsigned)a[1] & ~LOCK_NB;
  struct file *f = fd_file(a[0]);
  int64_t r;

  if(!f)
    return -EBADF;
  switch(op) {
  case LOCK_SH: r = flock_file(f, FILELOCK_SHARED, !(a[1] & LOCK_NB)); break;
  case LOCK_EX: r = flock_file(f, FILELOCK_EXCLUSIVE, !(a[1] & LOCK_NB)); break;
  case LOCK_UN: r = flock_file(f, FILELOCK_NONE, false); break;
  default: r = -EINVAL;
  }
  file_put(f);
  return r;
}
