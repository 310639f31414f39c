// vfs_fakes.c -- vfs_fakes.h says what for.
#include <stdlib.h>
#include <string.h>
#include "fs/internal.h"
#include "fs/vfs.h"
#include "mobj_fakes.h"
#include "vfs_fakes.h"

static struct cred root_cred = {.ref = 1, .cap_effective = UINT64_MAX},
                   user_cred = {.ref = 1, .fsuid = 1000, .fsgid = 1000};
struct namectx root_ctx = {.cred = &root_cred}, user_ctx = {.cred = &user_cred};

static size_t
good(uint64_t at, size_t n)
{
  return at >= BAD_HI || at + n <= BAD_LO ? n : at < BAD_LO ? BAD_LO - at : 0;
}

static int
move(void *to, const void *from, size_t n, size_t ok, size_t *done)
{
  if(ok && from)
    memcpy(to, from, ok);
  else if(ok)
    memset(to, 0, ok);
  if(done)
    *done = ok;
  return ok < n ? -EFAULT : 0;
}

int
copyin(struct aspace *as, void *dst, vaddr_t src, size_t n, size_t *done)
{
  return move(dst, (void *)src, n, good(src, n), done);
}

int
copyout(struct aspace *as, vaddr_t dst, const void *src, size_t n, size_t *done)
{
  return move((void *)dst, src, n, good(dst, n), done);
}

int
zeroout(struct aspace *as, vaddr_t dst, size_t n, size_t *done)
{
  return move((void *)dst, 0, n, good(dst, n), done);
}

// A copy of the page: enough to be read from. (The real one names the page itself.)
int
pin(struct aspace *as, vaddr_t va, enum mobj_access how, struct page **pp)
{
  uint64_t off = va & (PAGE_SIZE - 1);
  size_t n = PAGE_SIZE - off;

  if(good(va, 1) == 0)
    return -EFAULT;
  *pp = frame_try(0);
  if(!*pp)
    return -ENOMEM;
  // What lies behind the caller's buffer in its page is not ours to read: a test that pins gives page-aligned pages.
  memcpy((char *)page_va(*pp) + off, (void *)va, n);
  return 0;
}

__attribute__((weak)) const struct file_ops *
dev_chr_fops(uint64_t rdev)
{
  return 0;
}

__attribute__((weak)) const struct file_ops *
dev_blk_fops(uint64_t rdev)
{
  return 0;
}

void
vfs_settle(void)
{
  dentry_shrink(UINT64_MAX);
  inode_flush_later();
}

int64_t
put(const char *path, unsigned flags, const void *s, size_t n, uint64_t pos)
{
  struct iovec one;
  struct file *f;
  struct uio u;
  int64_t r = vfs_open(&root_ctx, 0, path, flags, 0644, &f);

  if(r)
    return r;
  uio_kernel(&u, &one, (void *)s, n);
  if((flags & O_ACCMODE) != O_RDONLY && n > 0)
    r = file_write(f, &u, &pos);
  file_put(f);
  return r;
}

int64_t
get(const char *path, void *buf, size_t n, uint64_t pos)
{
  struct iovec one;
  struct file *f;
  struct uio u;
  int64_t r = vfs_open(&root_ctx, 0, path, O_RDONLY, 0, &f);

  if(r)
    return r;
  uio_kernel(&u, &one, buf, n);
  r = file_read(f, &u, &pos);
  file_put(f);
  return r;
}

__attribute__((weak)) size_t
strlcpy(char *dst, const char *src, size_t size)
{
  size_t n = strlen(src);

  if(size > 0) {
    memcpy(dst, src, min(n, size - 1));
    dst[min(n, size - 1)] = 0;
  }
  return n;
}
