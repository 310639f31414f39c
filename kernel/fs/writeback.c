// writeback.c -- the thread that writes what is dirty for long, or when too much is.
//
// It looks every dirty_writeback_centisecs, and writes the files whose oldest change is older than
// dirty_expire_centisecs, whole; when more is dirty than dirty_background_ratio or _bytes allow, all, the oldest first.
// It goes by the list of dirty objects (mm/dirty.c), so a look that finds nothing due costs nothing. It holds no lock while
// it writes, takes no inode.lock, and has references only to inodes that somebody else refers to as well.
//
// An inode whose last reference goes while it has dirty pages and a name is adopted: it stays in memory, the reference is
// write-back's, until it is clean (inode.c). So closing a file never waits for the disk, and nothing that was not written
// is forgotten, not even where the disk refuses it.
// Knows nothing of where a store keeps anything, and of metadata: journals have their own time.
#include "core/kthread.h"
#include "core/print.h"
#include "core/wait.h"
#include "fs/internal.h"
#include "lib/atomic.h"

#define CENTISEC (10 * MSEC)

struct writeback_settings writeback_settings = {.interval = 500, .expire = 3000};
static struct sleeplock working; // held by the thread while it has references

// One object, from start to end. Its pages, as far as they are there now: who appends does not keep us.
static uint64_t
write_one(struct mobj *obj)
{
  uint64_t end, written;

  spin_acquire(&obj->lock);
  end = pages_of(obj->size);
  spin_release(&obj->lock);
  written = mobj_write_back(obj, 0, end);
  inode_put_later(container_of(obj, struct inode, obj)); // evicting may wait for a journal; we must not
  return written;
}

// Everything dirtied before that time, once: pages written.
static uint64_t
write_older(uint64_t before)
{
  struct mobj *obj;
  uint64_t written = 0;

  while((obj = mobj_dirty_oldest(before)) != 0)
    written += write_one(obj);
  return written;
}

uint64_t
writeback_now(void)
{
  uint64_t now = clock_now(), age = atomic_get(&writeback_settings.expire) * CENTISEC, n = 0, some;

  if(now > age)
    n = write_older(now - age);
  while(balance_over_background() && (some = write_older(clock_now() + 1)) > 0)
    n += some;
  inode_disown(0, false);
  return n;
}

static void
writeback_thread(void *arg)
{
  uint64_t interval;

  frame_reserve_begin(); // clean pages can be made free
  for(;;) {
    interval = atomic_get(&writeback_settings.interval) * CENTISEC;
    wait_event(&balance_work, atomic_get(&balance_wanted), WAIT_ALWAYS, interval ? clock_now() + interval : NEVER);
    atomic_set(&balance_wanted, false); // first, so that no kick is lost
    sleep_acquire(&working);
    writeback_now();
    sleep_release(&working);
  }
}

void
writeback_wait(void)
{
  sleep_acquire(&working);
  sleep_release(&working);
}

void
writeback_init(void)
{
  sleep_init(&working, "write-back", RANK_WRITEBACK);
}

void
writeback_start(void)
{
  if(kthread_start("write-back", writeback_thread, 0) != 0)
    panic("no memory for the write-back thread");
}
