// sys_poll.c -- wait for one of many files: poll and select, over fs/poll.c.
// Typical: pollset_add each descriptor / pollset_wait / results out / pollset_put.
#include "lib/string.h"
#include "syscall/sys.h"

enum { POLLSET_SMALL = 8 };
struct pollset {
  int n, nbad; // nbad: descriptors that are none (POLLNVAL), which are ready at once
  struct pollset_entry *e, small[POLLSET_SMALL];
};

static int
pollset_get(struct pollset *s, uint64_t n)
{
  s->n = s->nbad = 0;
  s->e = n <= POLLSET_SMALL ? s->small : kzalloc(n * sizeof(s->e[0]));
  return s->e ? 0 : -ENOMEM;
}

static void
pollset_put(struct pollset *s)
{
  for(int i = 0; i < s->n; i++)
    if(s->e[i].file)
      file_put(s->e[i].file);
  if(s->e != s->small)
    kfree(s->e);
}

// fd < 0: an entry that is never ready.
static void
pollset_add(struct pollset *s, int fd, unsigned events)
{
  struct pollset_entry *e = &s->e[s->n++];

  e->file = fd < 0 ? 0 : fd_file(fd);
  e->events = events | POLLERR | POLLHUP;
  e->revents = 0;
  if(fd >= 0 && !e->file) {
    e->revents = POLLNVAL;
    s->nbad++;
  }
}

// How many are ready, or -E; a signal is -EINTR.
static int
pollset_wait(struct pollset *s, uint64_t deadline)
{
  int n = poll_wait(s->e, s->n, s->nbad ? 0 : deadline);

  return n < 0 ? n : n + s->nbad;
}

// ---- poll

static int
poll_in(struct pollset *s, vaddr_t fds, uint64_t n)
{
  struct pollfd p;
  int e;

  for(uint64_t i = 0; i < n; i++) {
    e = user_in(&p, fds + i * sizeof(p), sizeof(p));
    if(e)
      return e;
    pollset_add(s, p.fd, (uint16_t)p.events);
  }
  return 0;
}

static int
poll_out(struct pollset *s, vaddr_t fds)
{
  int16_t revents;
  int e;

  for(int i = 0; i < s->n; i++) {
    revents = s->e[i].revents;
    e = user_out(fds + i * sizeof(struct pollfd) + offsetof(struct pollfd, revents), &revents, sizeof(revents));
    if(e)
      return e;
  }
  return 0;
}

static int64_t
poll_do(vaddr_t fds, uint64_t n, uint64_t deadline)
{
  struct pollset s;
  int64_t r;
  int e;

  if(n > limit_of(RLIMIT_NOFILE))
    return -EINVAL;
  r = pollset_get(&s, n);
  if(r)
    return r;
  r = poll_in(&s, fds, n);
  if(r == 0)
    r = pollset_wait(&s, deadline);
  if(r >= 0 && (e = poll_out(&s, fds)) != 0)
    r = e;
  pollset_put(&s);
  return r;
}

enum { POLL_FDS, POLL_N }; // in restart.arg

static int64_t poll_restartable(vaddr_t fds, uint64_t n, uint64_t deadline);

static int
poll_restart(struct thread *t)
{
  return poll_restartable(t->restart.arg[POLL_FDS], t->restart.arg[POLL_N], t->restart.deadline);
}

static int64_t
poll_restartable(vaddr_t fds, uint64_t n, uint64_t deadline)
{
  struct thread *t = thread_self();
  int64_t r = poll_do(fds, n, deadline);

  if(r != -EINTR)
    return r;
  t->restart.fn = poll_restart;
  t->restart.deadline = deadline;
  t->restart.arg[POLL_FDS] = fds;
  t->restart.arg[POLL_N] = n;
  return -ERESTART_RESTARTBLOCK;
}

int64_t
sys_poll(const uint64_t *a)
{
  int ms = a[2];

  return poll_restartable(a[0], (uint32_t)a[1], ms < 0 ? NEVER : deadline_after(ms * MSEC));
}

// The rest of a wait back to the program, as Linux does it: a result that cannot be written is not an error.
static void
timeout_out(vaddr_t va, uint64_t deadline, int (*out)(vaddr_t, uint64_t))
{
  uint64_t now = clock_now();

  if(va && deadline != NEVER)
    out(va, deadline > now ? deadline - now : 0);
}

static int
timeout_in(vaddr_t va, uint64_t *deadline, int (*in)(vaddr_t, uint64_t *))
{
  uint64_t ns;
  int e;

  *deadline = NEVER;
  if(!va)
    return 0;
  e = in(va, &ns);
  if(e == 0)
    *deadline = deadline_after(ns);
  return e;
}

int64_t
sys_ppoll(const uint64_t *a)
{
  uint64_t deadline;
  int64_t r = timeout_in(a[2], &deadline, user_timespec);

  if(r == 0)
    r = sigmask_begin(a[3], a[4]);
  if(r)
    return r;
  r = poll_do(a[0], (uint32_t)a[1], deadline);
  r = sigmask_end(a[3], r == -EINTR ? -ERESTARTNOHAND : r);
  timeout_out(a[2], deadline, user_timespec_out);
  return r;
}

// ---- select: three bit sets in, three out

enum { SELECT_READ, SELECT_WRITE, SELECT_EXCEPT, SELECT_SETS };
enum { WORD_BITS = 64 };
static const unsigned select_events[SELECT_SETS] = {
    POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR,
    POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR,
    POLLPRI,
};
struct select {
  int n, words;
  vaddr_t va[SELECT_SETS];
  uint64_t *in[SELECT_SETS], *out[SELECT_SETS]; // 0 where va is 0
};

static bool
select_wants(const struct select *s, int set, int fd)
{
  return s->va[set] && s->in[set][fd / WORD_BITS] >> (fd % WORD_BITS) & 1;
}

static int
select_in(struct select *s, uint64_t *words)
{
  int e = 0;

  for(int i = 0; i < SELECT_SETS && e == 0; i++) {
    s->in[i] = words + i * s->words;
    s->out[i] = words + (SELECT_SETS + i) * s->words;
    if(s->va[i])
      e = user_in(s->in[i], s->va[i], s->words * sizeof(uint64_t));
  }
  return e;
}

// Descriptors in the order of the entries; -EBADF for one that is none.
static int
select_fill(struct select *s, struct pollset *p)
{
  for(int fd = 0; fd < s->n; fd++) {
    unsigned events = 0;

    for(int i = 0; i < SELECT_SETS; i++)
      if(select_wants(s, i, fd))
        events |= select_events[i];
    pollset_add(p, events ? fd : -1, events);
    if(p->nbad)
      return -EBADF;
  }
  return 0;
}

// The ready bits: how many.
static int
select_collect(struct select *s, const struct pollset *p)
{
  int count = 0;

  for(int fd = 0; fd < s->n; fd++) {
    for(int i = 0; i < SELECT_SETS; i++) {
      if(!select_wants(s, i, fd) || !(p->e[fd].revents & select_events[i]))
        continue;
      s->out[i][fd / WORD_BITS] |= 1ull << (fd % WORD_BITS);
      count++;
    }
  }
  return count;
}

static int64_t
select_run(struct select *s, uint64_t *words, uint64_t deadline)
{
  struct pollset p;
  int64_t r = select_in(s, words);
  int e;

  if(r == 0)
    r = pollset_get(&p, s->n);
  if(r)
    return r;
  r = select_fill(s, &p);
  if(r == 0)
    r = pollset_wait(&p, deadline);
  if(r >= 0)
    r = select_collect(s, &p);
  pollset_put(&p);
  for(int i = 0; i < SELECT_SETS && r >= 0; i++)
    if(s->va[i] && (e = user_out(s->va[i], s->out[i], s->words * sizeof(uint64_t))) != 0)
      r = e;
  return r;
}

static int64_t
select_do(const uint64_t *a, uint64_t deadline)
{
  struct select s = {.n = a[0], .va = {a[1], a[2], a[3]}};
  uint64_t *words;
  int64_t r;

  if(s.n < 0)
    return -EINVAL;
  s.n = min(s.n, thread_self()->files->size); // bits past the table's end are not looked at
  s.words = round_up(s.n, WORD_BITS) / WORD_BITS;
  words = kzalloc((s.words * 2 * SELECT_SETS + 1) * sizeof(uint64_t));
  if(!words)
    return -ENOMEM;
  r = select_run(&s, words, deadline);
  kfree(words);
  return r == -EINTR ? -ERESTARTNOHAND : r;
}

int64_t
sys_select(const uint64_t *a)
{
  uint64_t deadline;
  int64_t r = timeout_in(a[4], &deadline, user_timeval);

  if(r)
    return r;
  r = select_do(a, deadline);
  timeout_out(a[4], deadline, user_timeval_out);
  return r;
}

int64_t
sys_pselect6(const uint64_t *a)
{
  struct {
    uint64_t set, size;
  } mask = {0};
  uint64_t deadline;
  int64_t r = a[5] ? user_in(&mask, a[5], sizeof(mask)) : 0;

  if(r == 0)
    r = timeout_in(a[4], &deadline, user_timespec);
  if(r == 0)
    r = sigmask_begin(mask.set, mask.size);
  if(r)
    return r;
  r = sigmask_end(mask.set, select_do(a, deadline));
  timeout_out(a[4], deadline, user_timespec_out);
  return r;
}
