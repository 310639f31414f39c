// log.c -- log.h says what for.
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "log.h"

enum { JBD_WORDS = 3, JBD_COMMIT_TYPE = 2, BLOCK = 4096 };
#define JBD_WORD 0xc03b3998u

struct record { // as the recorder writes it
  uint8_t kind, zero[3];
  uint32_t length;
  uint64_t off, number;
};

struct reader {
  struct log *l;
  struct fake_disk *d;
  enum control control;
  int *write_of; // [number] index of the write, -1: it was a flush
  int *asked_of; // [number] event at which it arrived
  uint64_t numbers;
  int room;
};

static void
read_write(struct reader *r, const struct record *c, const unsigned char *data)
{
  struct fake_disk *d = r->d;
  struct fake_write *w;

  if(d->nwrites == d->room) {
    d->room = d->room ? 2 * d->room : 1024;
    d->write = realloc(d->write, d->room * sizeof(*d->write));
  }
  w = &d->write[d->nwrites];
  *w = (struct fake_write){
      .sector = c->off / SECTOR, .sectors = c->length / SECTOR, .done = INT_MAX, .durable = INT_MAX};
  w->asked = d->events;
  w->data = malloc(c->length);
  memcpy(w->data, data, c->length);
  r->write_of[c->number] = d->nwrites++;
  r->l->writes++;
}

static void
read_flushed(struct reader *r, int asked)
{
  struct fake_disk *d = r->d;

  r->l->flushes++;
  if(r->control == CONTROL_IGNORE_FLUSH)
    return;
  for(int i = 0; i < d->nwrites; i++)
    if(d->write[i].done < asked && d->write[i].durable == INT_MAX)
      d->write[i].durable = d->events;
}

static void
read_fact(struct reader *r, const unsigned char *data)
{
  struct log *l = r->l;

  if(l->ntold == r->room) {
    r->room = r->room ? 2 * r->room : 1024;
    l->told = realloc(l->told, r->room * sizeof(*l->told));
  }
  l->told[l->ntold].event = r->d->events;
  memcpy(&l->told[l->ntold++].fact, data, sizeof(struct fact));
}

static bool
read_record(struct reader *r, const struct record *c, const unsigned char *data)
{
  bool starts = c->kind == 'W' || c->kind == 'F';

  if(c->number >= r->numbers || (starts && r->asked_of[c->number] >= 0))
    return false;
  if(starts)
    r->asked_of[c->number] = r->d->events;
  switch(c->kind) {
  case 'W': read_write(r, c, data); break;
  case 'F': break;
  case 'A':
    for(uint32_t at = 0; at + FACT_BYTES <= c->length; at += FACT_BYTES) // QEMU joins those that lie side by side
      read_fact(r, data + at);
    break;
  case 'C': r->d->write[r->write_of[c->number]].done = r->d->events; break;
  case 'D': read_flushed(r, r->asked_of[c->number]); break;
  case 'X':
    if(r->write_of[c->number] >= 0) {
      r->d->write[r->write_of[c->number]].durable = r->d->events;
      r->d->write[r->write_of[c->number]].failed = true;
    }
    break;
  default: return false;
  }
  r->d->events++;
  return true;
}

// ---- the control with early commit records

static bool
is_commit(const struct fake_write *w)
{
  const uint32_t *p = (const uint32_t *)w->data;

  return w->sectors == BLOCK / SECTOR && p[0] == __builtin_bswap32(JBD_WORD) &&
         p[1] == __builtin_bswap32(JBD_COMMIT_TYPE);
}

static int
by_asked(const void *a, const void *b)
{
  const struct fake_write *x = a, *y = b;

  return x->asked != y->asked ? (x->asked > y->asked) - (x->asked < y->asked) : (x > y) - (x < y);
}

// The write before it was flushed at some event; this one was asked for when that one was, and not flushed either.
int
log_commits_early(struct fake_disk *d)
{
  int commits = 0;

  for(int i = 1; i < d->nwrites; i++) {
    struct fake_write *w = &d->write[i];
    int k = i - 1;

    if(!is_commit(w))
      continue;
    commits++;
    while(k > 0 && d->write[k - 1].durable == d->write[i - 1].durable)
      k--;
    w->asked = d->write[k].asked;
  }
  qsort(d->write, d->nwrites, sizeof(*d->write), by_asked);
  return commits;
}

static uint64_t
count(const unsigned char *p, uint64_t size)
{
  uint64_t n = 1;

  for(uint64_t at = 0; at + sizeof(struct record) <= size;) {
    const struct record *c = (const void *)(p + at);

    n = c->number + 1 > n && c->number < size ? c->number + 1 : n;
    at += sizeof(*c) + c->length;
  }
  return n;
}

static bool
load(struct reader *r, const unsigned char *p, uint64_t size, const char *path)
{
  uint64_t at = 0;

  r->numbers = count(p, size);
  r->write_of = malloc(r->numbers * sizeof(int));
  r->asked_of = malloc(r->numbers * sizeof(int));
  for(uint64_t i = 0; i < r->numbers; i++)
    r->write_of[i] = r->asked_of[i] = -1;
  while(at + sizeof(struct record) <= size) {
    const struct record *c = (const void *)(p + at);

    if(c->length > size - at - sizeof(*c))
      break; // the recorder was ended in the middle
    if(!read_record(r, c, p + at + sizeof(*c))) {
      fprintf(stderr, "states: %s: no record at %lu\n", path, (unsigned long)at);
      return false;
    }
    at += sizeof(*c) + c->length;
  }
  if(r->control == CONTROL_EARLY_COMMIT)
    log_commits_early(r->d);
  return true;
}

bool
log_load(struct log *l, struct fake_disk *d, const char *path, enum control control)
{
  struct reader r = {.l = l, .d = d, .control = control};
  FILE *f = fopen(path, "r");
  unsigned char *p;
  long size;
  bool ok;

  *l = (struct log){0};
  if(f == 0 || fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) < 0) {
    fprintf(stderr, "states: cannot read %s\n", path);
    return false;
  }
  rewind(f);
  p = malloc(size + 1);
  ok = fread(p, 1, size, f) == (size_t)size && load(&r, p, size, path);
  fclose(f);
  free(p);
  free(r.write_of);
  free(r.asked_of);
  return ok;
}

void
log_free(struct log *l)
{
  free(l->told);
}
