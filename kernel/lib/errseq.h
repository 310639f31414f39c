// errseq.h -- one word that tells many watchers of an error, each of them once.
//
// The word is the last error, a count, and whether anybody has seen it. A watcher keeps the word as it was when it looked
// last; while it is the same, nothing new has happened. An error that nobody has seen is not counted again, and one that
// nobody had seen when a watcher began is news to it as well.
// Typical: since = errseq_begin(&e) / errseq_set(&e, -EIO) / err = errseq_report(&e, &since), and 0 from then on.
#pragma once
#include "lib/util.h"

void errseq_set(uint32_t *e, int err);    // -E happened
uint32_t errseq_begin(const uint32_t *e); // what a new watcher keeps
// What happened since the watcher looked, which is told now: -E or 0. Threads that share *since share the news.
int errseq_report(uint32_t *e, uint32_t *since);
