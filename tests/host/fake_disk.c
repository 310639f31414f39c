// fake_disk.c -- fake_disk.h says what for.
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fake_disk.h"
#include "lib/errno.h"
#include "mm/mm.h"

static struct list disks = LIST_INIT(disks);
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; // the queues and recordings

static unsigned
next_random(unsigned *seed)
{
  *seed ^= *seed << 13;
  *seed ^= *seed >> 17;
  *seed ^= *seed << 5;
  return *seed;
}

// ---- the recording

static void
record_write(struct fake_disk *d, struct blkreq *r)
{
  struct fake_write *w;
  unsigned char *at;

  if(d->nwrites == d->room) {
    d->room = d->room ? 2 * d->room : 256;
    d->write = realloc(d->write, d->room * sizeof(*d->write));
  }
  w = &d->write[d->nwrites++];
  *w = (struct fake_write){
      .sector = r->sector, .sectors = blk_bytes(r) / BLK_SECTOR, .done = INT_MAX, .durable = INT_MAX};
  w->asked = d->events++;
  w->data = at = malloc(w->sectors * BLK_SECTOR);
  for(int i = 0; i < r->nseg; at += r->seg[i++].len)
    memcpy(at, (void *)(direct_map + r->seg[i].pa), r->seg[i].len);
}

struct job { // a queued request
  struct list link;
  struct blkreq *r;
  int write;   // index of its recording, or -1
  int flushed; // a flush: writes completed before this event are durable once it is over
};

static void
record_done(struct fake_disk *d, struct job *job, int err)
{
  int now = d->events++;

  if(err) {
    if(job->write >= 0) {
      d->write[job->write].durable = now;
      d->write[job->write].failed = true;
    }
    return;
  }
  if(job->r->op == BLK_WRITE && job->write >= 0)
    d->write[job->write].done = now;
  if(job->r->op == BLK_FLUSH && !d->ignore_flush)
    for(int i = 0; i < d->nwrites; i++)
      if(d->write[i].done < job->flushed && d->write[i].durable == INT_MAX)
        d->write[i].durable = now;
}

static void
record_forget(struct fake_disk *d)
{
  for(int i = 0; i < d->nwrites; i++)
    free(d->write[i].data);
  d->nwrites = d->events = 0;
}

void
fake_disk_record(struct fake_disk *d)
{
  record_forget(d);
  free(d->base);
  d->base = malloc(d->size);
  memcpy(d->base, d->bytes, d->size);
  d->recording = true;
}

// ---- requests

void
fake_disk_changes(struct fake_disk *d, uint64_t at, uint64_t n)
{
  for(uint64_t i = at / PAGE_SIZE; n > 0 && i <= (at + n - 1) / PAGE_SIZE; i++)
    d->changed[i] = 1;
}

static void
job_move(struct fake_disk *d, struct blkreq *r)
{
  unsigned char *at = d->bytes + r->sector * BLK_SECTOR;

  for(int i = 0; i < r->nseg; at += r->seg[i++].len) {
    void *mem = (void *)(direct_map + r->seg[i].pa);

    memcpy(r->op == BLK_READ ? mem : at, r->op == BLK_READ ? (void *)at : mem, r->seg[i].len);
    if(r->op == BLK_WRITE)
      fake_disk_changes(d, at - d->bytes, r->seg[i].len);
  }
}

static void
job_end(struct fake_disk *d, struct job *job)
{
  struct blkreq *r = job->r;
  int number, err = 0;

  pthread_mutex_lock(&mutex);
  number = d->requests++;
  if(number >= d->fail_at && number < d->fail_at + d->fail_for)
    err = -EIO;
  else if(r->op == BLK_READ || r->op == BLK_WRITE)
    job_move(d, r);
  if(d->recording)
    record_done(d, job, err);
  pthread_mutex_unlock(&mutex);
  free(job);
  blk_done(&d->dev, r, err);
}

static void
disk_submit(struct blkdev *dev, struct blkreq *r)
{
  struct fake_disk *d = container_of(dev, struct fake_disk, dev);
  struct job *job = malloc(sizeof(*job));

  *job = (struct job){.r = r, .write = -1};
  pthread_mutex_lock(&mutex);
  if(d->recording && r->op == BLK_WRITE) {
    record_write(d, r);
    job->write = d->nwrites - 1;
    if(d->tamper)
      d->tamper(d, &d->write[job->write]);
  }
  job->flushed = d->events;
  if(d->later) {
    list_add_tail(&d->pending, &job->link);
    pthread_mutex_unlock(&mutex);
    if(d->submitted)
      d->submitted(d, r);
    return;
  }
  pthread_mutex_unlock(&mutex);
  job_end(d, job);
}

// Any one of the queued requests; 0.
static struct job *
job_take(struct fake_disk *d)
{
  struct job *job = 0;
  int n = 0, pick;

  pthread_mutex_lock(&mutex);
  list_for_each(it, &d->pending)
    n++;
  if(n > 0) {
    struct list *it = d->pending.next;

    for(pick = next_random(&d->seed) % n; pick > 0; pick--)
      it = it->next;
    job = list_entry(it, struct job, link);
    list_del(&job->link);
  }
  pthread_mutex_unlock(&mutex);
  return job;
}

bool
fake_disks_idle(void)
{
  struct job *job;
  bool any = false;

  list_for_each(it, &disks) {
    struct fake_disk *d = list_entry(it, struct fake_disk, all);

    while((job = job_take(d)) != 0) {
      job_end(d, job);
      any = true;
    }
  }
  return any;
}

static struct fake_task *task;
static bool thread_stop;

static void
thread_main(void *arg)
{
  while(!__atomic_load_n(&thread_stop, __ATOMIC_SEQ_CST))
    if(!fake_disks_idle())
      usleep(20);
}

void
fake_disk_thread(bool run)
{
  __atomic_store_n(&thread_stop, !run, __ATOMIC_SEQ_CST);
  if(run)
    task = fake_start(thread_main, 0);
  else
    fake_join(task);
}

static void
set_plain(struct fake_disk *d)
{
  record_forget(d);
  d->recording = d->later = d->ignore_flush = false;
  d->requests = d->fail_for = 0;
  d->submitted = 0;
  d->tamper = 0;
  d->seed = 1;
}

void
fake_disk_reset(struct fake_disk *d, const void *image)
{
  for(uint64_t i = 0; i * PAGE_SIZE < d->size; i++)
    if(d->changed[i])
      memcpy(d->bytes + i * PAGE_SIZE, (const char *)image + i * PAGE_SIZE,
             min(d->size - i * PAGE_SIZE, (uint64_t)PAGE_SIZE));
  memset(d->changed, 0, d->size / PAGE_SIZE + 1);
  set_plain(d);
}

void
fake_disk_init(struct fake_disk *d, const char *name, uint64_t size)
{
  static const struct blkdev_ops ops = {.submit = disk_submit};
  bool known = d->dev.ops != 0;

  free(d->bytes);
  d->bytes = calloc(1, size);
  free(d->changed);
  d->changed = calloc(size / PAGE_SIZE + 1, 1);
  d->size = size;
  d->dev.sectors = size / BLK_SECTOR;
  set_plain(d);
  if(known)
    return;
  list_init(&d->pending);
  strcpy(d->dev.name, name);
  d->dev.ops = &ops;
  d->dev.has_flush = true;
  blk_add(&d->dev);
  list_add_tail(&disks, &d->all);
}

// ---- what a power cut leaves

void
fake_crash_begin(struct fake_crash *c, struct fake_disk *d)
{
  *c = (struct fake_crash){.d = d, .event = -1, .durable = malloc(d->size)};
  memcpy(c->durable, d->base, d->size);
}

static void
write_apply(const struct fake_write *w, unsigned char *image)
{
  memcpy(image + w->sector * BLK_SECTOR, w->data, w->sectors * BLK_SECTOR);
}

// Writes become durable in the order in which they were asked for, as far as that order matters: of the same sectors.
bool
fake_crash_next(struct fake_crash *c)
{
  struct fake_disk *d = c->d;

  if(c->event + 1 >= d->events)
    return false;
  c->event++;
  for(int i = c->first; i < d->nwrites && d->write[i].asked <= c->event; i++)
    if(d->write[i].durable == c->event && !d->write[i].failed)
      write_apply(&d->write[i], c->durable);
  while(c->first < d->nwrites && d->write[c->first].durable <= c->event)
    c->first++;
  return true;
}

static bool
write_is_open(const struct fake_crash *c, const struct fake_write *w)
{
  return w->asked <= c->event && w->durable > c->event;
}

int
fake_crash_pending(struct fake_crash *c)
{
  int n = 0;

  for(int i = c->first; i < c->d->nwrites && c->d->write[i].asked <= c->event; i++)
    n += write_is_open(c, &c->d->write[i]);
  return n;
}

static void
write_tear(const struct fake_write *w, unsigned char *image, unsigned *seed)
{
  for(uint64_t s = 0; s < w->sectors; s++)
    if(next_random(seed) & 4)
      memcpy(image + (w->sector + s) * BLK_SECTOR, w->data + s * BLK_SECTOR, BLK_SECTOR);
}

void
fake_crash_image(struct fake_crash *c, unsigned char *image, enum crash_how how, unsigned *seed)
{
  memcpy(image, c->durable, c->d->size);
  fake_crash_apply(c, image, how, seed);
}

void
fake_crash_apply(struct fake_crash *c, unsigned char *image, enum crash_how how, unsigned *seed)
{
  struct fake_disk *d = c->d;

  for(int i = c->first; how != CRASH_NONE && i < d->nwrites && d->write[i].asked <= c->event; i++) {
    const struct fake_write *w = &d->write[i];

    if(!write_is_open(c, w))
      continue;
    if(how == CRASH_ALL || (next_random(seed) & 8))
      write_apply(w, image);
    else if(how == CRASH_TORN)
      write_tear(w, image, seed);
  }
}

void
fake_crash_end(struct fake_crash *c)
{
  free(c->durable);
}
