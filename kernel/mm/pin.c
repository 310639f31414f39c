// pin.c -- the kernel's access to a program's memory. The kernel never faults on user addresses. It looks at the entry
// as the CPU would, with the slot lock held, and moves the bytes through its own mapping of all memory; where the entry
// is missing or too narrow it lets go, calls fault() and tries again. A writable entry means (I2) that the page is
// dirty or exclusively ours, and whoever takes that right away needs the same lock: so no reference, no BUSY and no
// bookkeeping here.
//
// as.lock is held for reading beside it, because the upper page tables go only with it held for writing; nothing is
// waited for with either. Only the futex words are looked at without it: a CPU that runs the space with interrupts off
// is waited for before a table goes.
// Must not know what is being copied, or for whom.
#include "core/print.h"
#include "lib/atomic.h"
#include "lib/string.h"
#include "mm/mm.h"

struct pinctx { // one transfer, a page at a time
  struct aspace *as;
  vaddr_t va;   // next byte
  size_t left;  // bytes still to move
  size_t moved; // bytes moved
  int want;     // PROT_R or PROT_W
};

// What to do with n bytes at p. true: stop here.
typedef bool (*pin_fn)(void *arg, char *p, size_t n);

// The byte at va in the kernel's mapping, if the entry permits `want` now; else 0. Needs the slot lock.
static char *
pin_peek(struct aspace *as, vaddr_t va, int want)
{
  int have = 0;
  struct page *pg = pmap_peek(as->pmap, va, &have, 0);

  return pg && (have & want) ? (char *)page_va(pg) + (va & (PAGE_SIZE - 1)) : 0;
}

// How a fault's failure looks to a system call.
static int
pin_error(int r)
{
  return r == -EACCES || r == -EIO ? -EFAULT : r;
}

// Move what can be moved without a fault. true: done, or fn said stop. as.lock is held.
static bool
pin_pages(struct pinctx *c, pin_fn fn, void *arg)
{
  bool stop = false;

  while(c->left > 0 && !stop) {
    size_t n = min(c->left, PAGE_SIZE - (c->va & (PAGE_SIZE - 1)));
    struct spinlock *lock = aspace_slot_lock(c->as, c->va);
    char *p;

    spin_acquire(lock);
    p = pin_peek(c->as, c->va, c->want);
    if(p)
      stop = fn(arg, p, n);
    spin_release(lock);
    if(p == 0)
      return false;
    c->va += n;
    c->left -= n;
    c->moved += n;
  }
  return true;
}

static int
pin_walk(struct pinctx *c, pin_fn fn, void *arg)
{
  bool done;
  int r = 0;

  if(c->va >= USER_TOP || c->left > USER_TOP - c->va)
    return -EFAULT;
  while(r == 0) {
    rw_read(&c->as->lock);
    done = pin_pages(c, fn, arg);
    rw_read_release(&c->as->lock);
    if(done)
      return 0;
    r = fault(c->as, c->va, c->want, 0);
  }
  return pin_error(r);
}

static bool
take_bytes(void *arg, char *p, size_t n)
{
  char **dst = arg;

  memcpy(*dst, p, n);
  *dst += n;
  return false;
}

static bool
give_bytes(void *arg, char *p, size_t n)
{
  const char **src = arg;

  memcpy(p, *src, n);
  *src += n;
  return false;
}

static bool
give_zeros(void *arg, char *p, size_t n)
{
  memset(p, 0, n);
  return false;
}

static int
pin_run(struct aspace *as, vaddr_t va, size_t n, int want, pin_fn fn, void *arg, size_t *done)
{
  struct pinctx c = {.as = as, .va = va, .left = n, .want = want};
  int r = n ? pin_walk(&c, fn, arg) : 0;

  if(done)
    *done = c.moved;
  return r;
}

int
copyin(struct aspace *as, void *dst, vaddr_t src, size_t n, size_t *done)
{
  return pin_run(as, src, n, PROT_R, take_bytes, &dst, done);
}

int
copyout(struct aspace *as, vaddr_t dst, const void *src, size_t n, size_t *done)
{
  return pin_run(as, dst, n, PROT_W, give_bytes, &src, done);
}

int
zeroout(struct aspace *as, vaddr_t dst, size_t n, size_t *done)
{
  return pin_run(as, dst, n, PROT_W, give_zeros, 0, done);
}

struct pin_string {
  char *dst;
  size_t n;   // copied
  bool ended; // the NUL was
};

static bool
take_string(void *arg, char *p, size_t n)
{
  struct pin_string *s = arg;
  char *nul = memchr(p, 0, n);

  if(nul) {
    n = nul - p + 1;
    s->ended = true;
  }
  memcpy(s->dst + s->n, p, n);
  s->n += n;
  if(s->ended)
    s->dst[s->n - 1] = 0; // another thread may have overwritten it since we saw it
  return s->ended;
}

int64_t
copyin_string(struct aspace *as, char *dst, vaddr_t src, size_t size)
{
  struct pin_string s = {.dst = dst};
  bool cut = src < USER_TOP && size > USER_TOP - src; // the address space ends before the buffer does
  int r;

  r = pin_run(as, src, cut ? USER_TOP - src : size, PROT_R, take_string, &s, 0);
  if(r)
    return r;
  if(s.ended)
    return s.n - 1;
  return cut ? -EFAULT : -ENAMETOOLONG;
}

int
pin(struct aspace *as, vaddr_t va, enum mobj_access how, struct page **pp)
{
  int want = how == FOR_WRITE ? PROT_W : PROT_R, have = 0, r = 0;
  struct spinlock *lock = aspace_slot_lock(as, va);
  struct page *pg = 0;

  if(va >= USER_TOP)
    return -EFAULT;
  while(r == 0) {
    rw_read(&as->lock);
    spin_acquire(lock);
    pg = pmap_peek(as->pmap, va, &have, 0);
    if(pg && (have & want))
      *pp = page_get(pg);
    spin_release(lock);
    rw_read_release(&as->lock);
    if(pg && (have & want))
      return 0;
    r = fault(as, va, want, 0);
  }
  return pin_error(r);
}

// ---- futex words

int
peek_u32(struct aspace *as, vaddr_t va, uint32_t *value)
{
  struct spinlock *lock = aspace_slot_lock(as, va);
  uint32_t *p;

  if(va >= USER_TOP || va % sizeof(*p) != 0)
    return -EFAULT;
  spin_acquire(lock);
  p = (uint32_t *)pin_peek(as, va, PROT_R);
  if(p)
    *value = atomic_get(p);
  spin_release(lock);
  return p ? 0 : -EFAULT;
}

int
cas_u32(struct aspace *as, vaddr_t va, uint32_t *old, uint32_t want)
{
  struct spinlock *lock = aspace_slot_lock(as, va);
  uint32_t *p;

  if(va >= USER_TOP || va % sizeof(*p) != 0)
    return -EFAULT;
  spin_acquire(lock);
  p = (uint32_t *)pin_peek(as, va, PROT_W);
  if(p)
    atomic_cas(p, old, want); // on failure *old becomes what is there; on success it is what was there
  spin_release(lock);
  return p ? 0 : -EFAULT;
}

int
futex_key(struct aspace *as, vaddr_t va, bool private_, const void **obj, uint64_t *off)
{
  struct region *r = 0;
  int err = 0;

  *obj = as;
  *off = va;
  if(va >= USER_TOP)
    return -EFAULT;
  if(private_)
    return 0;
  rw_read(&as->lock);
  r = region_find(as, va);
  if(r == 0 || !(r->prot & (PROT_R | PROT_W)))
    err = -EFAULT; // Linux looks at the page itself to name it
  else if(r->obj && (r->flags & REGION_SHARED)) {
    *obj = r->obj;
    *off = (region_index(r, va) << PAGE_SHIFT) | (va & (PAGE_SIZE - 1));
  }
  rw_read_release(&as->lock);
  return err;
}
