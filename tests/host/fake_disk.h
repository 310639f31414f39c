// fake_disk.h -- a disk in memory with a volatile cache that really loses what was not flushed.
//
// It records every write and flush, and can afterwards build each state in which a power cut may have left it: what was
// completed before a flush was asked for is there once that flush is over; of everything else that was asked for until the
// cut, any part, sector by sector.
// Typical: fake_disk_init / put contents into d->bytes / fake_disk_record / run / fake_crash_begin(&c, &d)
//          while(fake_crash_next(&c)) fake_crash_image(&c, image, CRASH_TORN, seed) and look at image / fake_crash_end.
// Link it with kernel/dev/{blk,blkfail}.c and fake_thread.c.
#pragma once
#include <stdio.h>
#include "dev/blk.h"
#include "fake_thread.h"

struct fake_write { // one write that was recorded
  uint64_t sector, sectors;
  unsigned char *data;
  int asked;   // event at which it was submitted
  int done;    // event at which it was completed; INT_MAX: never
  int durable; // event from which on it cannot be lost; INT_MAX: never
  bool failed; // it ended with an error at event `durable`, and leaves nothing
};

struct fake_disk {
  struct blkdev dev;
  unsigned char *bytes; // what a read sees now
  uint64_t size;
  unsigned char *changed; // for each page: was it written since fake_disk_init or fake_disk_reset
  bool later;        // requests end when somebody waits, in random order (FAKE_PTHREADS: on a thread of the disk's own)
  bool ignore_flush; // control: flushes end well and do nothing
  unsigned seed;
  int requests;          // so far
  int fail_at, fail_for; // request numbers [fail_at, fail_at + fail_for) end with -EIO; fail_for 0: none
  void (*submitted)(struct fake_disk *d, struct blkreq *r);  // told of each request once it is queued; 0
  void (*tamper)(struct fake_disk *d, struct fake_write *w); // may change what was recorded; 0
  struct list pending;
  // the recording
  bool recording;
  unsigned char *base; // contents when it began
  int events;
  int last_flush; // event of the last completed one
  struct fake_write *write;
  int nwrites, room;
  struct list all;
};
void fake_disk_init(struct fake_disk *d, const char *name, uint64_t size); // made once; later calls reset it
// As fake_disk_init, but the contents are `image` again, of the same size as what they were at the start: only what was changed
// is copied. Who changes `bytes` directly says so.
void fake_disk_reset(struct fake_disk *d, const void *image);
void fake_disk_changes(struct fake_disk *d, uint64_t at, uint64_t n);
void fake_disk_record(struct fake_disk *d); // forget what was, begin here
bool fake_disks_idle(void);                 // for fake_idle: end what is under way
void fake_disk_thread(bool run);            // FAKE_PTHREADS: start or end the thread that ends requests

enum crash_how {
  CRASH_ALL,  // everything asked for is there
  CRASH_NONE, // only what must be there
  CRASH_SOME, // any whole requests of the rest
  CRASH_TORN, // any sectors of the rest
};
struct fake_crash {
  struct fake_disk *d;
  int event;              // the cut is right after it
  unsigned char *durable; // contents that cannot be lost
  int first;              // writes before this one are in `durable`
};
void fake_crash_begin(struct fake_crash *c, struct fake_disk *d);
bool fake_crash_next(struct fake_crash *c);   // one event on
int fake_crash_pending(struct fake_crash *c); // writes that may or may not be there
// For who keeps an image that is c->durable already: what may be lost is put into it.
void fake_crash_apply(struct fake_crash *c, unsigned char *image, enum crash_how how, unsigned *seed);
void fake_crash_image(struct fake_crash *c, unsigned char *image, enum crash_how how, unsigned *seed);
void fake_crash_end(struct fake_crash *c);
