// pipe.h -- a pipe, as its two files share it.
// Lock keys: (l) pipe.lock
#pragma once
#include "fs/vfs.h"

struct pipe {
  struct sleeplock lock;       // rank 12
  struct page **page;          // (l) ring: page of bytes [i * PAGE_SIZE, (i + 1) * PAGE_SIZE) modulo cap; 0: none now
  uint64_t cap;                // (l) bytes, a multiple of PAGE_SIZE
  uint64_t tail, used;         // (l) first byte to read, below cap; bytes in the ring. `used` is read without the lock
  struct page *spare;          // (l) one page for the next write, against going to the allocator each time
  int readers, writers;        // (l) open files; read without the lock
  uint32_t nreaders, nwriters; // (l) opens so far, for the FIFO's rendezvous; read without the lock
  struct waitq readable, writable;
};

static inline struct pipe *
pipe_of(struct file *f)
{
  return f->priv;
}
bool pipe_is(const struct file *f); // pipe.c
// ---- pipe_ring.c
void pipe_drain(struct pipe *p); // forget all bytes
uint64_t pipe_take(struct pipe *p, struct uio *u, int *err);
bool pipe_prepare(struct pipe *p, uint64_t n);
uint64_t pipe_put(struct pipe *p, struct uio *u, uint64_t n, int *err);
