// logio.c -- writes of whole blocks on their way to the disk: blocks that lie side by side share a request, and up to
// LOGIO_DEPTH requests are under way. Requests are the journal's own, so that a commit needs no memory.
// Typical: logio_write(io, block, pg, buf) ... / err = logio_wait(io) / BLK_FLUSH.
// Knows nothing of transactions; orders nothing: only logio_wait does.
#include "core/wait.h"
#include "fs/journal/journal_impl.h"
#include "lib/atomic.h"

// Static, since the interrupt may still be waking when the journal is gone.
static struct waitq waiters = {SPINLOCK_INIT("logio", RANK_WAITQ), LIST_INIT(waiters.waiters)};

void
logio_init(struct logio *io, struct blkdev *dev)
{
  io->dev = dev;
  for(int i = 0; i < LOGIO_DEPTH; i++)
    io->req[i].io = io;
}

static void
logio_done(struct blkreq *rq, int err)
{
  struct logio_req *r = container_of(rq, struct logio_req, rq);
  struct logio *io = r->io;

  if(err && atomic_get(&io->err) == 0)
    atomic_set(&io->err, err);
  for(int i = 0; i < rq->nseg; i++)
    if(r->buf[i])
      bitlock_release(&r->buf[i]->flags, BUF_BUSY_BIT, 0);
  atomic_set(&r->busy, false); // from here on r may be used again, or gone
  waitq_wake(&waiters);
}

static struct logio_req *
logio_idle(struct logio *io)
{
  for(int i = 0; i < LOGIO_DEPTH; i++)
    if(!atomic_get(&io->req[i].busy))
      return &io->req[i];
  return 0;
}

static bool
logio_quiet(struct logio *io)
{
  for(int i = 0; i < LOGIO_DEPTH; i++)
    if(atomic_get(&io->req[i].busy))
      return false;
  return true;
}

static void
logio_submit(struct logio *io)
{
  struct logio_req *r = io->open;

  io->open = 0;
  if(r)
    blk_submit(io->dev, &r->rq);
}

static void
logio_open(struct logio *io, uint64_t block)
{
  struct logio_req *r;

  logio_submit(io);
  wait_event(&waiters, (r = logio_idle(io)) != 0, WAIT_ALWAYS, NEVER);
  r->busy = true;
  r->next = block;
  r->rq = (struct blkreq){.op = BLK_WRITE, .sector = block * JBD_SECTORS, .done = logio_done};
  io->open = r;
}

void
logio_write(struct logio *io, uint64_t block, struct page *pg, struct buf *busy)
{
  struct logio_req *r = io->open;

  if(r == 0 || r->next != block || r->rq.nseg == BLK_SEGMENTS)
    logio_open(io, block);
  r = io->open;
  r->buf[r->rq.nseg] = busy;
  r->rq.seg[r->rq.nseg++] = (struct blkseg){.pa = page_pa(pg), .len = PAGE_SIZE};
  r->next++;
}

int
logio_wait(struct logio *io)
{
  logio_submit(io);
  wait_event(&waiters, logio_quiet(io), WAIT_ALWAYS, NEVER);
  return atomic_get(&io->err);
}
