// pipe_ring.c -- the bytes of a pipe: a ring over pages that appear when they are written and go when they were read.
// All but the functions that take a file are called with pipe.lock held. Frames are never waited for here.
// Knows nothing of ends, of waiting, and of atomic writes.
#include "fs/internal.h"
#include "fs/pipe.h"
#include "lib/atomic.h"
#include "lib/string.h"

enum { PIPE_MAX = 1 << 20 }; // capacity in bytes

// Forget all bytes.
void
pipe_drain(struct pipe *p)
{
  for(uint64_t i = 0; i < p->cap / PAGE_SIZE; i++)
    if(p->page[i]) {
      page_put(p->page[i]);
      p->page[i] = 0;
    }
  if(p->spare)
    page_put(p->spare);
  p->spare = 0;
  p->tail = 0;
  atomic_set(&p->used, 0);
}

// Nothing is left in the page that holds byte `at`: let it go, or keep it as the spare.
static void
pipe_page_done(struct pipe *p, uint64_t at)
{
  struct page **pg = &p->page[at / PAGE_SIZE];

  if(!*pg)
    return;
  if(p->spare)
    page_put(*pg);
  else
    p->spare = *pg;
  *pg = 0;
}

// Move bytes from the ring to u: how many; fewer than there are only with *err set.
uint64_t
pipe_take(struct pipe *p, struct uio *u, int *err)
{
  uint64_t done = 0, off, n, moved;
  bool wrapped;

  while(u->left > 0 && p->used > 0 && *err == 0) {
    off = p->tail & (PAGE_SIZE - 1);
    n = min(min(PAGE_SIZE - off, p->used), u->left);
    moved = uio_to(u, (char *)page_va(p->page[p->tail / PAGE_SIZE]) + off, n, err);
    wrapped = p->used > p->cap - off; // the newest bytes lie in front of the oldest, in the same page
    if((off + moved == PAGE_SIZE && !wrapped) || moved == p->used)
      pipe_page_done(p, p->tail);
    p->tail = moved == p->used ? 0 : (p->tail + moved) % p->cap;
    atomic_set(&p->used, p->used - moved);
    done += moved;
  }
  return done;
}

// Give every page that n more bytes will lie on a frame, without waiting. false: memory is short.
bool
pipe_prepare(struct pipe *p, uint64_t n)
{
  uint64_t head = p->tail + p->used, i;

  for(uint64_t at = page_down(head); at < head + n; at += PAGE_SIZE) {
    i = at % p->cap / PAGE_SIZE;
    if(p->page[i])
      continue;
    p->page[i] = p->spare ? p->spare : frame_try(0);
    p->spare = 0;
    if(!p->page[i])
      return false;
  }
  return true;
}

// Move n bytes, for which there is room, from u into the ring: how many; fewer only with *err set.
uint64_t
pipe_put(struct pipe *p, struct uio *u, uint64_t n, int *err)
{
  uint64_t done = 0, head, off, chunk, moved;

  while(done < n && *err == 0) {
    head = (p->tail + p->used) % p->cap;
    off = head & (PAGE_SIZE - 1);
    chunk = min(PAGE_SIZE - off, n - done);
    moved = uio_from(u, (char *)page_va(p->page[head / PAGE_SIZE]) + off, chunk, err);
    atomic_set(&p->used, p->used + moved);
    done += moved;
  }
  return done;
}

// For splice: a copy of up to n bytes from the one `skip` behind the first on, which stay: how many.
uint64_t
pipe_peek(struct file *f, uint64_t skip, char *buf, uint64_t n)
{
  struct pipe *p = pipe_of(f);
  uint64_t done = 0, at, chunk;

  sleep_acquire(&p->lock);
  while(skip + done < p->used && done < n) {
    at = (p->tail + skip + done) % p->cap;
    chunk = min(min(PAGE_SIZE - at % PAGE_SIZE, p->used - skip - done), n - done);
    memcpy(buf + done, (char *)page_va(p->page[at / PAGE_SIZE]) + at % PAGE_SIZE, chunk);
    done += chunk;
  }
  sleep_release(&p->lock);
  return done;
}

// Put n bytes, a page at most, back in front of the others. false: there is no room any more.
bool
pipe_unread_bytes(struct file *f, const char *buf, uint64_t n)
{
  struct pipe *p = pipe_of(f);
  uint64_t at, chunk, used;
  bool ok;

  sleep_acquire(&p->lock);
  used = p->used;
  ok = used + n <= p->cap;
  if(ok) { // as if the ring began there and were empty, so that the pages are made
    p->tail = (p->tail + p->cap - n) % p->cap;
    p->used = 0;
    ok = pipe_prepare(p, n);
    p->used = used;
    if(!ok)
      p->tail = (p->tail + n) % p->cap;
  }
  for(uint64_t done = 0; ok && done < n; done += chunk) {
    at = (p->tail + done) % p->cap;
    chunk = min(PAGE_SIZE - at % PAGE_SIZE, n - done);
    memcpy((char *)page_va(p->page[at / PAGE_SIZE]) + at % PAGE_SIZE, buf + done, chunk);
  }
  if(ok)
    atomic_set(&p->used, used + n);
  sleep_release(&p->lock);
  if(ok)
    waitq_wake(&p->readable);
  return ok;
}

// Move what is in p's ring to the beginning of `fresh`, a larger or smaller one that has room for it. 0 or -ENOMEM.
static int
pipe_move(struct pipe *p, struct page **fresh)
{
  uint64_t from, room, to = 0, n;

  for(uint64_t done = 0; done < p->used; done += n) {
    from = (p->tail + done) % p->cap;
    room = PAGE_SIZE - (to & (PAGE_SIZE - 1));
    n = min(min(PAGE_SIZE - (from & (PAGE_SIZE - 1)), room), p->used - done);
    if(!fresh[to / PAGE_SIZE] && (fresh[to / PAGE_SIZE] = frame_try(0)) == 0)
      return -ENOMEM;
    memcpy((char *)page_va(fresh[to / PAGE_SIZE]) + (to & (PAGE_SIZE - 1)),
           (char *)page_va(p->page[from / PAGE_SIZE]) + (from & (PAGE_SIZE - 1)), n);
    to += n;
  }
  return 0;
}

static void
pages_put(struct page **page, uint64_t n)
{
  for(uint64_t i = 0; i < n; i++)
    if(page[i])
      page_put(page[i]);
  kfree(page);
}

// held: p->lock. `fresh` is used up.
static int
pipe_resize_locked(struct pipe *p, struct page **fresh, uint64_t cap)
{
  struct page **old = p->page;
  uint64_t oldcap = p->cap;
  int err = p->used > cap ? -EBUSY : pipe_move(p, fresh);

  if(err) {
    pages_put(fresh, cap / PAGE_SIZE);
    return err;
  }
  p->page = fresh;
  p->tail = 0;
  atomic_set(&p->cap, cap);
  pages_put(old, oldcap / PAGE_SIZE);
  return 0;
}

int
pipe_resize(struct file *f, uint64_t bytes)
{
  uint64_t cap = PAGE_SIZE;
  struct page **fresh;
  int err;

  if(!pipe_is(f))
    return -EBADF;
  if(bytes > PIPE_MAX)
    return -EPERM;
  while(cap < bytes)
    cap *= 2;
  fresh = kzalloc(cap / PAGE_SIZE * sizeof(fresh[0]));
  if(!fresh)
    return -ENOMEM;
  sleep_acquire(&pipe_of(f)->lock);
  err = pipe_resize_locked(pipe_of(f), fresh, cap);
  sleep_release(&pipe_of(f)->lock);
  waitq_wake(&pipe_of(f)->writable);
  return err ? err : (int)cap;
}
