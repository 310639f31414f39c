// log.h -- a recording of tests/crash/disk.py as a fake disk's recording (tests/host/fake_disk.h), so that every state that a
// power cut may leave can be built from it; and the facts, each with the event after which it was told.
#pragma once
#include "../host/fake_disk.h"
#include "facts.h"

enum control { CONTROL_NONE, CONTROL_IGNORE_FLUSH, CONTROL_EARLY_COMMIT, CONTROL_EARLY_ACK };
struct told {
  int event;
  struct fact fact;
};
struct log {
  struct told *told;
  int ntold, writes, flushes;
};
// d->base is the image as it was at the start. Events are numbered as the fake disk numbers them. false: said why.
// CONTROL_IGNORE_FLUSH: as if the disk did nothing on a flush. CONTROL_EARLY_COMMIT: as if every commit record had been sent
// with the blocks of its transaction, before the flush between them.
bool log_load(struct log *l, struct fake_disk *d, const char *path, enum control control);
void log_free(struct log *l);
int log_commits_early(struct fake_disk *d); // the last of these controls alone, on any recording: how many there were
