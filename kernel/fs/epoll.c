// epoll.c -- one file that watches many: whoever waits on it hears of those that became ready, and asks only them.
//
// Typical: epoll_create(&ep) / epoll_ctl(ep, EPOLL_CTL_ADD, f, fd, &e) / epoll_wait(ep, events, from, max, deadline).
// An item stands in the wait queues of its file with a function instead of a thread: a wake puts it on the ready list
// and wakes who waits on the epoll, which may be another epoll's item. Being on that list means "ask": the scan asks each
// file anew, so a wake for something else costs a look and no more.
// Level-triggered items go back to the list's end when they were reported, edge-triggered ones only by the next wake.
// Items hold no reference to their file: file_put drops them (epoll_forget) before the file's own release.
// Three spin locks, in this order: links_lock, for what leads from files to items and from epoll to epoll; ep->lock, for
// the items of one epoll, held while files are asked (their poll methods do not sleep), and nested for an epoll inside;
// ep->ready_lock, which the function takes under a wait queue's lock. Circles of epolls are refused, so both nests end.
// Must not know: descriptors, but as a part of an item's name.
#include "fs/internal.h"
#include "lib/atomic.h"
#include "lib/rbtree.h"

enum { NEST_MAX = 5, PATHS_MAX = 500 }; // epolls one inside the other; ways up from one of them
enum { EVENTS_ALWAYS = POLLERR | POLLHUP };
#define EPOLLEXCLUSIVE (1u << 28)
#define EPOLLWAKEUP    (1u << 29)
#define EPOLLONESHOT   (1u << 30)
#define EPOLLET        (1u << 31)
#define EVENTS_HOW     (EPOLLEXCLUSIVE | EPOLLWAKEUP | EPOLLONESHOT | EPOLLET)
#define EXCLUSIVE_MAY                                                                                                  \
  (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM | EVENTS_ALWAYS | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE)

struct epitem;
struct epwait { // an item in one queue
  struct waiter w;
  struct epitem *item; // (c)
  unsigned events;     // (c) what the queue is woken for
  struct epwait *next; // (E)
};
// Lock keys: (L) links_lock  (E) ep.lock  (R) ep.ready_lock  (a) atomic  (c) constant
struct epitem {
  struct rbnode node;   // (E)
  struct epoll *ep;     // (c)
  struct file *file;    // (c) not referenced
  int fd;               // (c)
  struct list of_file;  // (L) on file->watchers
  struct list ready;    // (R)
  bool queued;          // (R) on ep->ready
  unsigned events;      // (E) to change, read (a)
  uint64_t data;        // (E)
  struct epwait *waits; // (E)
};
struct epoll {
  struct spinlock lock, ready_lock;
  struct rbtree items; // (E) by file and descriptor; structure also (L)
  struct list ready;   // (R)
  struct waitq wait;
  struct file *file; // (c) the epoll's own, not referenced
  struct nest {
    uint64_t round; // (L) of check_nest: the figures hold if it is the current one
    int figure;     // (L)
  } below, above, paths;
};

static uint64_t nest_round; // (links_lock)
static struct spinlock links_lock = SPINLOCK_INIT("epoll links", RANK_EPOLL_LINKS);

// ---- the ready list

static void
item_queue(struct epitem *it)
{
  struct epoll *ep = it->ep;

  spin_acquire(&ep->ready_lock);
  if(!it->queued)
    list_add_tail(&ep->ready, &it->ready);
  it->queued = true;
  spin_release(&ep->ready_lock);
}

// Somebody woke a queue in which the item stands. held: that queue's lock
static void
item_ring(struct waiter *w)
{
  struct epwait *ew = container_of(w, struct epwait, w);
  unsigned wants = atomic_get(&ew->item->events);

  if((wants & ~EVENTS_HOW) == 0 || ((wants | EVENTS_ALWAYS) & (ew->events | EVENTS_ALWAYS)) == 0)
    return;
  item_queue(ew->item);
  waitq_wake_nested(&ew->item->ep->wait);
}

// The first of the list, off it now; 0: it is empty.
static struct epitem *
ready_take(struct epoll *ep)
{
  struct epitem *it = 0;

  spin_acquire(&ep->ready_lock);
  if(!list_empty(&ep->ready)) {
    it = list_entry(ep->ready.next, struct epitem, ready);
    list_del(&it->ready);
    it->queued = false;
  }
  spin_release(&ep->ready_lock);
  return it;
}

// What the item's file says now, of what is asked.
static unsigned
item_look(struct epoll *ep, struct epitem *it) REQUIRES(ep->lock)
{
  return file_poll(it->file, 0) & it->events & ~EVENTS_HOW;
}

// Report up to max ready items. Those that stay ready go to the end, behind what was not looked at.
static int
collect(struct epoll *ep, struct epoll_event *e, struct epoll_taken *from, int max)
{
  struct list again = LIST_INIT(again);
  struct epitem *it;
  int n = 0;

  spin_acquire(&ep->lock);
  while(n < max && (it = ready_take(ep)) != 0) {
    unsigned now = item_look(ep, it);

    if(now == 0)
      continue;
    e[n] = (struct epoll_event){now, it->data};
    from[n++] = (struct epoll_taken){it->file, it->fd, it->events};
    if(it->events & EPOLLONESHOT)
      atomic_set(&it->events, it->events & EVENTS_HOW);
    else if(!(it->events & EPOLLET)) {
      spin_acquire(&ep->ready_lock);
      if(!it->queued)
        list_add_tail(&again, &it->ready);
      it->queued = true;
      spin_release(&ep->ready_lock);
    }
  }
  spin_acquire(&ep->ready_lock);
  list_splice_tail(&ep->ready, &again);
  spin_release(&ep->ready_lock);
  spin_release(&ep->lock);
  return n;
}

// Is anything ready? What is not leaves the list. held, perhaps: the lock of an epoll that watches this one
static unsigned
epoll_poll(struct file *f, struct poll *p)
{
  struct epoll *ep = f->priv;
  unsigned found = 0;
  struct epitem *it;

  poll_watch(p, &ep->wait);
  spin_acquire_nested(&ep->lock);
  while(!found && (it = ready_take(ep)) != 0) {
    if(item_look(ep, it) == 0)
      continue;
    item_queue(it);
    found = POLLIN | POLLRDNORM;
  }
  spin_release(&ep->lock);
  return found;
}

int
epoll_wait(struct file *f, struct epoll_event *e, struct epoll_taken *from, int max, uint64_t deadline)
{
  struct epoll *ep = f->priv;
  int n = 0, r;

  if(!epoll_is(f))
    return -EINVAL;
  n = collect(ep, e, from, max);
  if(n || deadline <= clock_now())
    return n;
  r = wait_event(&ep->wait, (n = collect(ep, e, from, max)) != 0, WAIT_INTERRUPTIBLE, deadline);
  return r == -ETIMEDOUT ? 0 : r ? r : n;
}

// ---- items

static struct epitem *
item_find(struct epoll *ep, const struct file *f, int fd, struct rbnode ***at, struct rbnode **up)
{
  *up = 0;
  *at = &ep->items.root;
  while(**at) {
    struct epitem *it = container_of(**at, struct epitem, node);

    if(it->file == f && it->fd == fd)
      return it;
    *up = **at;
    *at = f < it->file || (f == it->file && fd < it->fd) ? &it->node.left : &it->node.right;
  }
  return 0;
}

void
epoll_unwait(struct file *f, const struct epoll_taken *from, int n)
{
  struct epoll *ep = f->priv;
  struct rbnode **at, *up;
  struct epitem *it;

  spin_acquire(&ep->lock);
  for(int i = 0; i < n; i++)
    if((it = item_find(ep, from[i].file, from[i].fd, &at, &up)) != 0) {
      if((it->events & ~EVENTS_HOW) == 0) // it was to be reported once
        atomic_set(&it->events, from[i].events);
      item_queue(it);
    }
  spin_release(&ep->lock);
  waitq_wake(&ep->wait); // somebody else may wait with a better buffer
}

struct item_poll { // a poll method entering an item into queues
  struct poll poll;
  struct epitem *item;
  bool failed;
};

static void
item_watch(struct poll *p, struct waitq *q, unsigned events)
{
  struct item_poll *ip = container_of(p, struct item_poll, poll);
  struct epwait *ew = kzalloc(sizeof(*ew));

  if(!ew) {
    ip->failed = true;
    return;
  }
  ew->item = ip->item;
  ew->events = events;
  ew->next = ip->item->waits;
  ip->item->waits = ew;
  waitq_enter_fn(q, &ew->w, item_ring);
}

// Out of everything, and no function of it runs any more; the caller frees it.
static void
item_unlink(struct epitem *it) REQUIRES(links_lock)
{
  struct epoll *ep = it->ep;
  struct epwait *ew;

  spin_acquire(&ep->lock);
  rb_remove(&ep->items, &it->node);
  list_del(&it->of_file);
  while((ew = it->waits) != 0) {
    waitq_leave(&ew->w);
    it->waits = ew->next;
    kfree(ew);
  }
  spin_acquire(&ep->ready_lock);
  if(it->queued)
    list_del(&it->ready);
  spin_release(&ep->ready_lock);
  spin_release(&ep->lock);
}

// It may be ready already.
static void
item_first_look(struct epoll *ep, struct epitem *it, unsigned now) REQUIRES(ep->lock)
{
  if((now & it->events & ~EVENTS_HOW) == 0)
    return;
  item_queue(it);
  waitq_wake(&ep->wait);
}

// ---- epolls in epolls. Each figure is found once a round: there may be many ways through the same few.

static bool
known(struct nest *n) REQUIRES(links_lock)
{
  bool yes = n->round == nest_round;

  n->round = nest_round;
  if(!yes)
    n->figure = 0;
  return yes;
}

// Levels of epolls below ep; more than NEST_MAX if `avoid` is among them.
static int
levels_below(struct epoll *ep, const struct epoll *avoid) REQUIRES(links_lock)
{
  if(ep == avoid)
    return NEST_MAX + 1;
  if(known(&ep->below))
    return ep->below.figure;
  for(struct rbnode *n = rb_first(&ep->items); n; n = rb_next(n)) {
    struct epitem *it = container_of(n, struct epitem, node);

    if(epoll_is(it->file))
      ep->below.figure = max(ep->below.figure, 1 + levels_below(it->file->priv, avoid));
  }
  return ep->below.figure;
}

static int
levels_above(struct epoll *ep) REQUIRES(links_lock)
{
  if(known(&ep->above))
    return ep->above.figure;
  list_for_each(l, &ep->file->watchers)
    ep->above.figure = max(ep->above.figure, 1 + levels_above(list_entry(l, struct epitem, of_file)->ep));
  return ep->above.figure;
}

// A wake runs along every way up from where it happens.
static int
paths_above(struct epoll *ep) REQUIRES(links_lock)
{
  if(known(&ep->paths))
    return ep->paths.figure;
  list_for_each(l, &ep->file->watchers)
    ep->paths.figure =
        min(ep->paths.figure + 1 + paths_above(list_entry(l, struct epitem, of_file)->ep), PATHS_MAX + 1);
  return ep->paths.figure;
}

static int
paths_most(struct epoll *ep) REQUIRES(links_lock)
{
  int most = paths_above(ep);

  if(known(&ep->below))
    return most;
  for(struct rbnode *n = rb_first(&ep->items); n; n = rb_next(n)) {
    struct epitem *it = container_of(n, struct epitem, node);

    if(epoll_is(it->file))
      most = max(most, paths_most(it->file->priv));
  }
  return most;
}

// May ep watch the epoll `inner`? 0, or -ELOOP.
static int
check_nest(struct epoll *ep, struct epoll *inner) REQUIRES(links_lock)
{
  nest_round++;
  return levels_below(inner, ep) + levels_above(ep) + 1 > NEST_MAX ? -ELOOP : 0;
}

// ---- epoll_ctl

// `it` is in no table yet. 0 or -E; on an error it is in none either.
static int
item_insert(struct epoll *ep, struct epitem *it) REQUIRES(links_lock)
{
  struct item_poll ip = {.poll.watch = item_watch, .item = it};
  struct rbnode **at, *up;
  unsigned now;

  spin_acquire(&ep->lock);
  if(item_find(ep, it->file, it->fd, &at, &up)) {
    spin_release(&ep->lock);
    return -EEXIST;
  }
  rb_insert(&ep->items, &it->node, up, at);
  list_add_tail(&it->file->watchers, &it->of_file);
  now = file_poll(it->file, &ip.poll);
  if(!ip.failed)
    item_first_look(ep, it, now);
  spin_release(&ep->lock);
  nest_round++;
  if(!ip.failed && (!epoll_is(it->file) || paths_most(it->file->priv) <= PATHS_MAX))
    return 0;
  item_unlink(it);
  return ip.failed ? -ENOMEM : -EINVAL;
}

static int
add(struct epoll *ep, struct file *f, int fd, const struct epoll_event *e)
{
  struct epitem *it = kzalloc(sizeof(*it));
  int r = 0;

  if(!it)
    return -ENOMEM;
  it->ep = ep;
  it->file = f;
  it->fd = fd;
  it->events = e->events | EVENTS_ALWAYS;
  it->data = e->data;
  list_init(&it->ready);
  list_init(&it->of_file);
  spin_acquire(&links_lock);
  if(epoll_is(f))
    r = check_nest(ep, f->priv);
  if(r == 0)
    r = item_insert(ep, it);
  spin_release(&links_lock);
  if(r)
    kfree(it);
  return r;
}

static int
modify(struct epoll *ep, struct file *f, int fd, const struct epoll_event *e)
{
  struct rbnode **at, *up;
  struct epitem *it;
  int r = 0;

  spin_acquire(&ep->lock);
  it = item_find(ep, f, fd, &at, &up);
  if(!it)
    r = -ENOENT;
  else if((it->events | e->events) & EPOLLEXCLUSIVE)
    r = -EINVAL;
  if(r == 0) {
    it->data = e->data;
    atomic_set(&it->events, e->events | EVENTS_ALWAYS);
    item_first_look(ep, it, file_poll(f, 0));
  }
  spin_release(&ep->lock);
  return r;
}

static int delete(struct epoll *ep, struct file *f, int fd)
{
  struct rbnode **at, *up;
  struct epitem *it;

  spin_acquire(&links_lock);
  spin_acquire(&ep->lock);
  it = item_find(ep, f, fd, &at, &up);
  spin_release(&ep->lock);
  if(it)
    item_unlink(it);
  spin_release(&links_lock);
  kfree(it);
  return it ? 0 : -ENOENT;
}

int
epoll_ctl(struct file *epf, int op, struct file *f, int fd, const struct epoll_event *e)
{
  if(!f->ops->poll)
    return -EPERM; // always ready: there is nothing to wait for
  if(epf == f || !epoll_is(epf))
    return -EINVAL;
  if(op != EPOLL_CTL_DEL && (e->events & EPOLLEXCLUSIVE) &&
     (op == EPOLL_CTL_MOD || epoll_is(f) || (e->events & ~EXCLUSIVE_MAY)))
    return -EINVAL;
  switch(op) {
  case EPOLL_CTL_ADD: return add(epf->priv, f, fd, e);
  case EPOLL_CTL_DEL: return delete(epf->priv, f, fd);
  case EPOLL_CTL_MOD: return modify(epf->priv, f, fd, e);
  default: return -EINVAL;
  }
}

void
epoll_forget(struct file *f)
{
  for(;;) {
    struct epitem *it = 0;

    spin_acquire(&links_lock);
    if(!list_empty(&f->watchers)) {
      it = list_entry(f->watchers.next, struct epitem, of_file);
      item_unlink(it);
    }
    spin_release(&links_lock);
    if(!it)
      return;
    kfree(it);
  }
}

// ---- the file

static void
epoll_release(struct file *f)
{
  struct epoll *ep = f->priv;
  struct rbnode *n;

  do {
    spin_acquire(&links_lock);
    n = rb_first(&ep->items);
    if(n)
      item_unlink(container_of(n, struct epitem, node));
    spin_release(&links_lock);
    if(n)
      kfree(container_of(n, struct epitem, node));
  } while(n);
  kfree(ep);
}

static const struct file_ops epoll_fops = {.poll = epoll_poll, .release = epoll_release};

bool
epoll_is(const struct file *f)
{
  return f->ops == &epoll_fops;
}

int
epoll_create(struct file **out)
{
  struct epoll *ep = kzalloc(sizeof(*ep));
  int err;

  if(!ep)
    return -ENOMEM;
  spin_init(&ep->lock, "epoll", RANK_EPOLL);
  spin_init(&ep->ready_lock, "epoll ready", RANK_EPOLL_READY);
  list_init(&ep->ready);
  waitq_init(&ep->wait);
  err = anonfile_make("eventpoll", &epoll_fops, 0, ep, out);
  if(err)
    kfree(ep);
  else
    ep->file = *out;
  return err;
}
