// sys_cred.c -- who a thread is: user and group ids, groups, capabilities.
// Typical: new = cred_begin() / change it / cred_commit(new), or cred_abort.
// The pointer is swapped under the process's lock, so that whoever reads another thread's ids holds that lock.
#include "syscall/sys.h"

enum { KEEP = -1 };   // "leave this id"
enum { RES_IDS = 3 }; // real, effective, saved

static struct cred *
cred_begin(void)
{
  return cred_copy(thread_self()->cred);
}

static void
cred_swap(struct cred *new)
{
  struct thread *t = thread_self();
  bool could_lock = cred_capable(CAP_IPC_LOCK);
  struct cred *old;

  spin_acquire(&t->proc->lock);
  old = t->cred;
  t->cred = new;
  spin_release(&t->proc->lock);
  cred_put(old);
  if(could_lock != cred_capable(CAP_IPC_LOCK))
    limit_memlock_publish();
}

// Put new ids in force. Capabilities follow the user ids: they come and go with 0.
static int64_t
cred_commit(struct cred *new)
{
  const struct cred *old = thread_self()->cred;
  bool had_root = !old->uid || !old->euid || !old->suid;

  if(had_root && new->uid &&new->euid &&new->suid)
    new->cap_permitted = new->cap_effective = 0;
  if(!old->euid && new->euid)
    new->cap_effective = 0;
  if(old->euid && !new->euid)
    new->cap_effective = new->cap_permitted;
  cred_swap(new);
  return 0;
}

// Give a change up because it is not allowed.
static int64_t
cred_abort(struct cred *new)
{
  cred_put(new);
  return -EPERM;
}

int64_t
sys_getuid(const uint64_t *a)
{
  return thread_self()->cred->uid;
}

int64_t
sys_geteuid(const uint64_t *a)
{
  return thread_self()->cred->euid;
}

int64_t
sys_getgid(const uint64_t *a)
{
  return thread_self()->cred->gid;
}

int64_t
sys_getegid(const uint64_t *a)
{
  return thread_self()->cred->egid;
}

static int64_t
ids_out(const uint64_t *a, uint32_t real, uint32_t effective, uint32_t saved)
{
  int e = user_out(a[0], &real, sizeof(real));

  if(e == 0)
    e = user_out(a[1], &effective, sizeof(effective));
  return e ? e : user_out(a[2], &saved, sizeof(saved));
}

int64_t
sys_getresuid(const uint64_t *a)
{
  const struct cred *c = thread_self()->cred;

  return ids_out(a, c->uid, c->euid, c->suid);
}

int64_t
sys_getresgid(const uint64_t *a)
{
  const struct cred *c = thread_self()->cred;

  return ids_out(a, c->gid, c->egid, c->sgid);
}

int64_t
sys_setuid(const uint64_t *a)
{
  struct cred *c;
  uint32_t id = a[0];

  if(id == (uint32_t)KEEP)
    return -EINVAL;
  c = cred_begin();
  if(!c)
    return -ENOMEM;
  if(cred_capable(CAP_SETUID))
    c->uid = c->suid = id;
  else if(id != c->uid && id != c->suid)
    return cred_abort(c);
  c->euid = c->fsuid = id;
  return cred_commit(c);
}

int64_t
sys_setgid(const uint64_t *a)
{
  struct cred *c;
  uint32_t id = a[0];

  if(id == (uint32_t)KEEP)
    return -EINVAL;
  c = cred_begin();
  if(!c)
    return -ENOMEM;
  if(cred_capable(CAP_SETGID))
    c->gid = c->sgid = id;
  else if(id != c->gid && id != c->sgid)
    return cred_abort(c);
  c->egid = c->fsgid = id;
  return cred_commit(c);
}

static bool
id_among(uint32_t id, uint32_t x, uint32_t y, uint32_t z)
{
  return id == (uint32_t)KEEP || id == x || id == y || id == z;
}

int64_t
sys_setresuid(const uint64_t *a)
{
  struct cred *c = cred_begin();
  bool ok = cred_capable(CAP_SETUID);

  if(!c)
    return -ENOMEM;
  for(int i = 0; i < RES_IDS && !ok; i++)
    if(!id_among(a[i], c->uid, c->euid, c->suid))
      return cred_abort(c);
  if((uint32_t)a[0] != (uint32_t)KEEP)
    c->uid = a[0];
  if((uint32_t)a[1] != (uint32_t)KEEP)
    c->euid = a[1];
  if((uint32_t)a[2] != (uint32_t)KEEP)
    c->suid = a[2];
  c->fsuid = c->euid;
  return cred_commit(c);
}

int64_t
sys_setresgid(const uint64_t *a)
{
  struct cred *c = cred_begin();
  bool ok = cred_capable(CAP_SETGID);

  if(!c)
    return -ENOMEM;
  for(int i = 0; i < RES_IDS && !ok; i++)
    if(!id_among(a[i], c->gid, c->egid, c->sgid))
      return cred_abort(c);
  if((uint32_t)a[0] != (uint32_t)KEEP)
    c->gid = a[0];
  if((uint32_t)a[1] != (uint32_t)KEEP)
    c->egid = a[1];
  if((uint32_t)a[2] != (uint32_t)KEEP)
    c->sgid = a[2];
  c->fsgid = c->egid;
  return cred_commit(c);
}

int64_t
sys_setreuid(const uint64_t *a)
{
  uint32_t r = a[0], e = a[1];
  struct cred *c = cred_begin();
  uint32_t was;

  if(!c)
    return -ENOMEM;
  was = c->uid;
  if(!cred_capable(CAP_SETUID) && (!id_among(r, c->uid, c->euid, c->euid) || !id_among(e, c->uid, c->euid, c->suid)))
    return cred_abort(c);
  if(r != (uint32_t)KEEP)
    c->uid = r;
  if(e != (uint32_t)KEEP)
    c->euid = e;
  if(r != (uint32_t)KEEP || (e != (uint32_t)KEEP && e != was))
    c->suid = c->euid;
  c->fsuid = c->euid;
  return cred_commit(c);
}

int64_t
sys_setregid(const uint64_t *a)
{
  uint32_t r = a[0], e = a[1];
  struct cred *c = cred_begin();
  uint32_t was;

  if(!c)
    return -ENOMEM;
  was = c->gid;
  if(!cred_capable(CAP_SETGID) && (!id_among(r, c->gid, c->egid, c->egid) || !id_among(e, c->gid, c->egid, c->sgid)))
    return cred_abort(c);
  if(r != (uint32_t)KEEP)
    c->gid = r;
  if(e != (uint32_t)KEEP)
    c->egid = e;
  if(r != (uint32_t)KEEP || (e != (uint32_t)KEEP && e != was))
    c->sgid = c->egid;
  c->fsgid = c->egid;
  return cred_commit(c);
}

// setfsuid and setfsgid answer with the old id whatever happens.
int64_t
sys_setfsuid(const uint64_t *a)
{
  uint32_t id = a[0], old = thread_self()->cred->fsuid;
  struct cred *c = cred_begin();

  if(!c)
    return old;
  if(id != (uint32_t)KEEP && (cred_capable(CAP_SETUID) || id_among(id, c->uid, c->euid, c->suid))) {
    c->fsuid = id;
    cred_commit(c);
  } else
    cred_put(c);
  return old;
}

int64_t
sys_setfsgid(const uint64_t *a)
{
  uint32_t id = a[0], old = thread_self()->cred->fsgid;
  struct cred *c = cred_begin();

  if(!c)
    return old;
  if(id != (uint32_t)KEEP && (cred_capable(CAP_SETGID) || id_among(id, c->gid, c->egid, c->sgid))) {
    c->fsgid = id;
    cred_commit(c);
  } else
    cred_put(c);
  return old;
}

int64_t
sys_getgroups(const uint64_t *a)
{
  const struct cred *c = thread_self()->cred;
  int size = a[0], e;

  if(size < 0 || (size && size < c->ngroups))
    return -EINVAL;
  e = size ? user_out(a[1], c->groups, c->ngroups * sizeof(c->groups[0])) : 0;
  return e ? e : c->ngroups;
}

int64_t
sys_setgroups(const uint64_t *a)
{
  struct cred *c;
  int n = a[0], e;

  if(!cred_capable(CAP_SETGID))
    return -EPERM;
  if(n < 0 || n > CRED_GROUPS)
    return -EINVAL;
  c = cred_begin();
  if(!c)
    return -ENOMEM;
  e = user_in(c->groups, a[1], n * sizeof(c->groups[0]));
  for(int i = 0; i < n && e == 0; i++)
    e = c->groups[i] == (uint32_t)KEEP ? -EINVAL : 0;
  if(e) {
    cred_put(c);
    return e;
  }
  c->ngroups = n;
  cred_swap(c);
  return 0;
}

// ---- capabilities: three sets of 64 bits, in one or two halves by version

enum {
  CAP_VERSION_1 = 0x19980330,
  CAP_VERSION_2 = 0x20071026,
  CAP_VERSION_3 = 0x20080522,
  CAP_HALVES = 2,
  HALF_BITS = 32
};

// Halves in the version that the header asks for; an unknown one is told which to use.
static int
cap_header_in(vaddr_t va, struct cap_header *h)
{
  int e = user_in(h, va, sizeof(*h));

  if(e)
    return e;
  if(h->version == CAP_VERSION_1)
    return 1;
  if(h->version == CAP_VERSION_2 || h->version == CAP_VERSION_3)
    return CAP_HALVES;
  h->version = CAP_VERSION_3;
  e = user_out(va, &h->version, sizeof(h->version));
  return e ? e : -EINVAL;
}

int64_t
sys_capget(const uint64_t *a)
{
  struct cap_data d[CAP_HALVES];
  struct cap_header h;
  struct thread *t;
  int n = cap_header_in(a[0], &h);

  if(n < 0)
    return n == -EINVAL && !a[1] ? 0 : n;
  if(h.pid < 0)
    return -EINVAL;
  t = thread_find(h.pid ? h.pid : thread_self()->tid);
  if(!t || !t->proc) {
    if(t)
      thread_put(t);
    return -ESRCH;
  }
  spin_acquire(&t->proc->lock);
  for(int i = 0; i < CAP_HALVES; i++) {
    d[i].effective = t->cred->cap_effective >> (i * HALF_BITS);
    d[i].permitted = t->cred->cap_permitted >> (i * HALF_BITS);
    d[i].inheritable = t->cred->cap_inheritable >> (i * HALF_BITS);
  }
  spin_release(&t->proc->lock);
  thread_put(t);
  return a[1] ? user_out(a[1], d, n * sizeof(d[0])) : 0;
}

int64_t
sys_capset(const uint64_t *a)
{
  struct cap_data d[CAP_HALVES] = {0};
  uint64_t effective, permitted, inheritable;
  struct cap_header h;
  struct cred *c;
  int n = cap_header_in(a[0], &h), e;

  if(n < 0)
    return n;
  if(h.pid && h.pid != thread_self()->tid)
    return -EPERM;
  e = user_in(d, a[1], n * sizeof(d[0]));
  if(e)
    return e;
  effective = d[0].effective | (uint64_t)d[1].effective << HALF_BITS;
  permitted = d[0].permitted | (uint64_t)d[1].permitted << HALF_BITS;
  inheritable = d[0].inheritable | (uint64_t)d[1].inheritable << HALF_BITS;
  c = cred_begin();
  if(!c)
    return -ENOMEM;
  if(permitted & ~c->cap_permitted || effective & ~permitted ||
     (inheritable & ~(c->cap_inheritable | c->cap_permitted) && !cred_capable(CAP_SETPCAP)))
    return cred_abort(c);
  c->cap_effective = effective;
  c->cap_permitted = permitted;
  c->cap_inheritable = inheritable;
  cred_swap(c);
  return 0;
}
