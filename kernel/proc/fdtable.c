// fdtable.c -- descriptor numbers: a growing array from small numbers to open files, shared by threads (CLONE_FILES).
// Typical: f = fd_get(t->files, fd) / use it / file_put(f).
// A table with one reference is changed by its own thread only, and others only look at it: that thread looks without
// the lock. `lowest_free` is a lower bound: below it everything is taken.
// Must not know what a file is.
#include "fs/filelock.h"
#include "lib/atomic.h"
#include "lib/bitmap.h"
#include "lib/string.h"
#include "proc/proc.h"

enum { FD_FIRST_SIZE = 32, BITS_PER_BYTE = 8 };

struct fdtable *
fdtable_alloc(void)
{
  struct fdtable *t = kzalloc(sizeof(*t));

  if(t == 0)
    return 0;
  t->ref = 1;
  spin_init(&t->lock, "fdtable", RANK_FDTABLE);
  return t;
}

// Make room for descriptor `fd`. Drops and takes t->lock: look again. 0 or -ENOMEM.
static int
fdtable_grow(struct fdtable *t, int fd) REQUIRES(t->lock)
{
  int size = max(t->size, (int)FD_FIRST_SIZE);
  struct file **file;
  uint8_t *cloexec;

  assert_held(&t->lock);
  while(size <= fd)
    size *= 2;
  spin_release(&t->lock);
  file = kzalloc(size * sizeof(*file));
  cloexec = kzalloc(size / BITS_PER_BYTE);
  spin_acquire(&t->lock);
  if(file && cloexec && size > t->size) {
    struct file **old_file = t->file;
    uint8_t *old_cloexec = t->cloexec;

    if(t->size) {
      memcpy(file, old_file, t->size * sizeof(*file));
      memcpy(cloexec, old_cloexec, t->size / BITS_PER_BYTE);
    }
    t->file = file;
    t->cloexec = cloexec;
    t->size = size;
    file = old_file;
    cloexec = old_cloexec;
  }
  kfree(file);
  kfree(cloexec);
  return t->size > fd ? 0 : -ENOMEM;
}

struct fdtable *
fdtable_get(struct fdtable *t)
{
  atomic_add(&t->ref, 1);
  return t;
}

struct fdtable *
fdtable_copy(struct fdtable *t)
{
  struct fdtable *n = fdtable_alloc();
  int size;

  if(n == 0)
    return 0;
  for(;;) {
    int e = 0;

    size = atomic_get(&t->size);
    spin_acquire(&n->lock);
    if(size > n->size)
      e = fdtable_grow(n, size - 1);
    spin_release(&n->lock);
    if(e) {
      fdtable_put(n);
      return 0;
    }
    spin_acquire(&t->lock);
    if(t->size <= n->size)
      break;
    spin_release(&t->lock);
  }
  for(int i = 0; i < t->size; i++)
    if(t->file[i])
      n->file[i] = file_get(t->file[i]);
  if(t->size)
    memcpy(n->cloexec, t->cloexec, t->size / BITS_PER_BYTE);
  n->lowest_free = t->lowest_free;
  spin_release(&t->lock);
  return n;
}

// A process that closes any descriptor of a file loses its record locks on it.
static void
close_file(struct fdtable *t, struct file *f)
{
  filelock_drop(f->inode, t);
  file_put(f);
}

void
fdtable_put(struct fdtable *t)
{
  if(atomic_sub(&t->ref, 1) > 0)
    return;
  for(int i = 0; i < t->size; i++)
    if(t->file[i])
      close_file(t, t->file[i]);
  kfree(t->file);
  kfree(t->cloexec);
  kfree(t);
}

// The lowest free number from `from` on; t->size if the array is full.
static int
lowest_free(struct fdtable *t, int from) REQUIRES(t->lock)
{
  int fd = max(from, t->lowest_free);

  while(fd < t->size && t->file[fd])
    fd++;
  if(from <= t->lowest_free)
    t->lowest_free = fd;
  return fd;
}

static void
set_cloexec(struct fdtable *t, int fd, bool on) REQUIRES(t->lock)
{
  if(on)
    bitmap_set(t->cloexec, fd);
  else
    bitmap_clear(t->cloexec, fd);
}

int
fd_install(struct fdtable *t, struct file *f, int lowest, bool cloexec, uint64_t limit)
{
  int fd, e = 0;

  spin_acquire(&t->lock);
  for(;;) {
    fd = lowest_free(t, lowest);
    if(fd >= limit || fd >= FD_LIMIT)
      e = -EMFILE;
    if(e || fd < t->size)
      break;
    e = fdtable_grow(t, fd);
  }
  if(e == 0) {
    t->file[fd] = f;
    set_cloexec(t, fd, cloexec);
  }
  spin_release(&t->lock);
  return e ? e : fd;
}

struct file *
fd_get(struct fdtable *t, int fd)
{
  struct file *f = 0;

  if(fd < 0)
    return 0;
  if(atomic_get(&t->ref) == 1 && t == thread_self()->files) {
    f = fd < t->size ? t->file[fd] : 0;
    return f ? file_get(f) : 0;
  }
  spin_acquire(&t->lock);
  if(fd < t->size && t->file[fd])
    f = file_get(t->file[fd]);
  spin_release(&t->lock);
  return f;
}

// Take what stands at fd out of the table; 0 if there is nothing.
static struct file *
fd_take(struct fdtable *t, int fd) REQUIRES(t->lock)
{
  struct file *f = fd >= 0 && fd < t->size ? t->file[fd] : 0;

  if(f) {
    t->file[fd] = 0;
    bitmap_clear(t->cloexec, fd);
    t->lowest_free = min(t->lowest_free, fd);
  }
  return f;
}

int
fd_close(struct fdtable *t, int fd)
{
  struct file *f;

  spin_acquire(&t->lock);
  f = fd_take(t, fd);
  spin_release(&t->lock);
  if(f == 0)
    return -EBADF;
  close_file(t, f);
  return 0;
}

int
fd_dup_to(struct fdtable *t, int from, int to, bool cloexec, uint64_t limit)
{
  struct file *f, *old;
  int e = 0;

  if(to < 0 || to >= limit || to >= FD_LIMIT)
    return -EBADF;
  f = fd_get(t, from);
  if(f == 0)
    return -EBADF;

  spin_acquire(&t->lock);
  while(e == 0 && to >= t->size)
    e = fdtable_grow(t, to);
  old = e ? 0 : fd_take(t, to);
  if(e == 0) {
    t->file[to] = f;
    set_cloexec(t, to, cloexec);
  }
  spin_release(&t->lock);
  if(old)
    close_file(t, old);
  if(e)
    file_put(f);
  return e ? e : to;
}

bool
fd_cloexec(struct fdtable *t, int fd, int set)
{
  bool was = false;

  spin_acquire(&t->lock);
  if(fd >= 0 && fd < t->size && t->file[fd]) {
    was = bitmap_test(t->cloexec, fd);
    if(set >= 0)
      set_cloexec(t, fd, set);
  }
  spin_release(&t->lock);
  return was;
}

void
fdtable_exec(struct fdtable *t)
{
  for(int fd = fd_next(t, -1); fd >= 0; fd = fd_next(t, fd))
    if(fd_cloexec(t, fd, -1))
      fd_close(t, fd);
}

int
fd_next(struct fdtable *t, int after)
{
  int fd = after + 1;

  spin_acquire(&t->lock);
  while(fd < t->size && t->file[fd] == 0)
    fd++;
  if(fd >= t->size)
    fd = -1;
  spin_release(&t->lock);
  return fd;
}
