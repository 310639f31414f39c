// seal.c -- seals: promises about a memory file that nobody can take back, so that who gets its descriptor from somebody
// else may trust its contents.
//
// A seal is set with inode.lock held for writing, which write, truncate and fallocate hold too. A mapping takes no
// inode.lock: it claims its right to write from the object before it looks at the seals, and SEAL_WRITE is given only to
// an object without claims (mobj_deny_write). Knows no file system: one without seals has SEAL_NOT_KEPT in its inodes.
#include "fs/internal.h"
#include "fs/perm.h"
#include "lib/atomic.h"

enum { MODE_EXEC = 0111 };
enum { SEAL_CONTENTS = SEAL_SHRINK | SEAL_GROW | SEAL_WRITE | SEAL_FUTURE_WRITE };

static int
seal_add_locked(struct inode *ip, unsigned seals)
{
  int err;

  if(ip->seals & SEAL_NOT_KEPT)
    return -EINVAL;
  if(ip->seals & SEAL_SEAL)
    return -EPERM;
  if((seals & SEAL_EXEC) && (ip->mode & MODE_EXEC)) // what can be run must not change either
    seals |= SEAL_CONTENTS;
  if((seals & SEAL_WRITE) && !(ip->seals & SEAL_WRITE) && (err = mobj_deny_write(&ip->obj)) != 0)
    return err;
  atomic_set(&ip->seals, ip->seals | seals);
  return 0;
}

int
seal_add(struct file *f, unsigned seals)
{
  int err;

  if((f->flags & O_ACCMODE) == O_RDONLY)
    return -EPERM;
  if(!f->inode || (seals & ~SEAL_KNOWN))
    return -EINVAL;
  rw_write(&f->inode->lock);
  err = seal_add_locked(f->inode, seals);
  rw_write_release(&f->inode->lock);
  return err;
}

int
seal_get(struct file *f)
{
  unsigned seals = f->inode ? atomic_get(&f->inode->seals) : SEAL_NOT_KEPT;

  return seals & SEAL_NOT_KEPT ? -EINVAL : (int)seals;
}

int
seal_map(struct file *f, struct mobj *obj, int prot, int *maxprot, bool *claimed)
{
  unsigned seals;

  *claimed = false;
  if(!(*maxprot & PROT_W) || !f->inode || obj != &f->inode->obj)
    return 0;
  *claimed = mobj_claim_write(obj) == 0;
  seals = atomic_get(&f->inode->seals);
  if(*claimed && !(seals & SEAL_FUTURE_WRITE))
    return 0;
  if(*claimed)
    mobj_unclaim_write(obj);
  *claimed = false;
  *maxprot &= ~PROT_W;
  return prot & PROT_W ? -EPERM : 0;
}

int
seal_write(struct inode *ip, uint64_t pos, uint64_t n)
{
  if(ip->seals & (SEAL_WRITE | SEAL_FUTURE_WRITE))
    return -EPERM;
  return (ip->seals & SEAL_GROW) && pos + n > ip->obj.size ? -EPERM : 0;
}

int
seal_resize(struct inode *ip, uint64_t size)
{
  uint64_t now = ip->obj.size;

  if((size < now && (ip->seals & SEAL_SHRINK)) || (size > now && (ip->seals & SEAL_GROW)))
    return -EPERM;
  return 0;
}

int
seal_mode(struct inode *ip, unsigned mode)
{
  return (ip->seals & SEAL_EXEC) && ((ip->mode ^ mode) & MODE_EXEC) ? -EPERM : 0;
}
