// journal_world.h -- random transactions over a small disk, with a model that knows what must be there after a crash.
//
// The blocks behind the journal are slots. Each is free, metadata (versioned, changed only through the journal) or data
// (written in place; every sector says whose and which version). Slot 0 is metadata for ever, and its contents say how many
// handles had ended: so a recovered disk names the state that it must equal in every block.
#pragma once
#include "fake_disk.h"
#include "fs/journal/journal.h"

enum {
  WORLD_LOG = 49,
  WORLD_SLOTS = 48,
  WORLD_BLOCKS = 1 + WORLD_LOG + WORLD_SLOTS,
  WORLD_FILES = 3,
  HANDLES_MAX = 4000
};
enum role { ROLE_FREE, ROLE_META, ROLE_DATA };
struct slot {
  enum role role;
  unsigned gen;     // of the block's use
  unsigned version; // of its contents; of data: what the next flush writes
};
struct snap { // after a handle ended
  uint32_t tid;
  struct slot slot[WORLD_SLOTS];
};
struct ack { // a sync that returned 0
  int event, handles;
  struct slot slot[WORLD_SLOTS]; // with versions of data as they were then
};
struct file {
  struct ordered ordered;
};

struct world {
  struct fake_disk *disk;
  struct journal *j;
  unsigned seed;
  uint32_t map[WORLD_LOG];     // blocks of the journal
  uint32_t block[WORLD_SLOTS]; // of the slots
  int handles;
  struct snap *snap; // [handles + 1]
  struct ack *ack;
  int nacks;
  struct slot now[WORLD_SLOTS];
  bool dirty[WORLD_SLOTS];
  unsigned gens;
  int hot;   // slots from here on are changed more often
  int first; // handles that a recovery has found: they are for ever
  struct file file[WORLD_FILES];
  bool nested; // a handle inside another's commit is under way
  // controls: break a rule
  bool skip_ordered, reuse_early, skip_revoke, drop_early;
};
unsigned world_random(struct world *w);
void world_format(struct world *w, struct fake_disk *d,
                  unsigned seed);             // an empty journal, all slots in their first state
int world_open(struct world *w, bool thread); // open, replay, start
void world_abandon(struct world *w);          // the power is cut: close without writing what counts
// A power cut left `bytes`, already recovered: the world goes on from there.
void world_rebirth(struct world *w, const unsigned char *bytes);
int world_close(struct world *w);             // as journal_close
void world_run(struct world *w, int handles); // random handles, syncs, data
bool world_handle(struct world *w);           // one; false: the journal is aborted
int world_sync(struct world *w);
// Is the disk image, after recovery, a state that may follow a crash at `event`? 0, or a text that says why not.
const char *world_check(const struct world *w, const unsigned char *image, int event);
void world_free(struct world *w);
