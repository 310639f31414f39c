// uio.c -- where the bytes of one read or write come from or go to.
//
// Typical: uio_user(&u, as, &one, va, n) / got = uio_to(&u, src, k, &err) until it is short / done = n - u.left.
// Knows nothing of files: a segment is an address and a length, in a program (through pin.c) or in the kernel.
#include "fs/uio.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/mm.h"

enum uio_verb { UIO_TO, UIO_FROM, UIO_ZERO };

static void
uio_one(struct uio *u, struct aspace *as, struct iovec *one, uint64_t base, size_t n)
{
  one->base = base;
  one->len = n;
  u->as = as;
  u->iov = one;
  u->niov = 1;
  u->skip = 0;
  u->how = 0;
  u->left = n;
}

void
uio_kernel(struct uio *u, struct iovec *one, void *buf, size_t n)
{
  uio_one(u, 0, one, (uintptr_t)buf, n);
}

void
uio_user(struct uio *u, struct aspace *as, struct iovec *one, vaddr_t va, size_t n)
{
  uio_one(u, as, one, va, n);
}

// Move n bytes between `kernel` and one address: 0 or -E, *done bytes moved either way.
static int
uio_piece(struct uio *u, enum uio_verb verb, char *kernel, uint64_t at, size_t n, size_t *done)
{
  *done = 0;
  if(u->as) {
    if(verb == UIO_TO)
      return copyout(u->as, at, kernel, n, done);
    if(verb == UIO_FROM)
      return copyin(u->as, kernel, at, n, done);
    return zeroout(u->as, at, n, done);
  }
  if(verb == UIO_TO)
    memcpy((void *)at, kernel, n);
  else if(verb == UIO_FROM)
    memcpy(kernel, (void *)at, n);
  else
    memset((void *)at, 0, n);
  *done = n;
  return 0;
}

static void
uio_advance(struct uio *u, size_t n)
{
  u->skip += n;
  u->left -= n;
  while(u->niov > 0 && u->skip >= u->iov->len) {
    u->skip -= u->iov->len;
    u->iov++;
    u->niov--;
  }
}

static size_t
uio_move(struct uio *u, enum uio_verb verb, char *kernel, size_t n, int *err)
{
  size_t moved = 0, piece, done;
  int r = 0;

  n = min(n, u->left);
  while(moved < n && r == 0) {
    uio_advance(u, 0); // over empty segments
    piece = min(n - moved, u->iov->len - u->skip);
    r = uio_piece(u, verb, kernel ? kernel + moved : 0, u->iov->base + u->skip, piece, &done);
    uio_advance(u, done);
    moved += done;
  }
  if(moved < n && err)
    *err = r;
  return moved;
}

size_t
uio_to(struct uio *u, const void *src, size_t n, int *err)
{
  return uio_move(u, UIO_TO, (char *)src, n, err);
}

size_t
uio_from(struct uio *u, void *dst, size_t n, int *err)
{
  return uio_move(u, UIO_FROM, dst, n, err);
}

size_t
uio_zero(struct uio *u, size_t n, int *err)
{
  return uio_move(u, UIO_ZERO, 0, n, err);
}

size_t
uio_run(struct uio *u)
{
  if(u->left == 0)
    return 0;
  uio_advance(u, 0);
  return min(u->left, u->iov->len - u->skip);
}

uint64_t
uio_addr(struct uio *u)
{
  uio_advance(u, 0);
  return u->iov->base + u->skip;
}

void
uio_skip(struct uio *u, size_t n)
{
  uio_advance(u, n);
}
