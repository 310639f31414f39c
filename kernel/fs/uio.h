// uio.h -- where the bytes of one read or write come from or go to: a program's memory or the kernel's.
#pragma once
#include "mm/types.h"

struct aspace;
struct iovec { // Linux's layout
  uint64_t base, len;
};
struct uio {
  struct aspace *as; // 0: kernel memory, base is a kernel pointer
  struct iovec *iov; // current segment
  int niov;
  uint64_t skip; // bytes of iov[0] done
  uint64_t left; // bytes to go over all segments
  int how;       // enum uio_how: of this call, besides what the file was opened with
};
enum uio_how { UIO_APPEND = 1, UIO_DSYNC = 2, UIO_SYNC = 4, UIO_NOWAIT = 8 };
void uio_kernel(struct uio *u, struct iovec *one, void *buf, size_t n);
void uio_user(struct uio *u, struct aspace *as, struct iovec *one, vaddr_t va, size_t n);
// Move up to n bytes, advancing u: bytes moved; if that is fewer than min(n, left), *err (-EFAULT, -EINTR, -ENOMEM).
size_t uio_to(struct uio *u, const void *src, size_t n, int *err); // kernel -> u (a read)
size_t uio_from(struct uio *u, void *dst, size_t n, int *err);     // u -> kernel (a write)
size_t uio_zero(struct uio *u, size_t n, int *err);
// For data_write, which moves the bytes itself: contiguous bytes at the current place, its address, and going past n
// of them.
size_t uio_run(struct uio *u);
uint64_t uio_addr(struct uio *u); // u->left > 0
void uio_skip(struct uio *u, size_t n);
