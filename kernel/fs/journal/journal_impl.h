// journal_impl.h -- what the files of the journal share: the disk format (big-endian), and a journal in memory.
// The life of a transaction: RUNNING (handles join) -> LOCKED (they end) -> DATA (its files' data is written; the next one
// runs) -> LOG -> committed: on `committed`, until all its blocks are at home and the log moves past it.
// Lock keys: (a) atomic  (c) constant after creation  (J) journal.lock  (W) journal.work: who commits or checkpoints
//            (o) whoever has the request
#pragma once
#include "core/print.h"
#include "core/time.h"
#include "fs/journal/journal.h"
#include "lib/rbtree.h"

// ---- the format -----------------------------------------------------------------------------------------------------

enum {
  JBD_BLOCK = 4096,
  JBD_SUPER = 1024, // bytes of the superblock that mean something
  JBD_FIRST_TAG = 12,
  JBD_UUID = 16,
  JBD_REVOKES = (JBD_BLOCK - 16) / 4, // numbers that a revoke block holds
  JBD_TAGS = (JBD_BLOCK - JBD_FIRST_TAG - JBD_UUID) / 8,
  JBD_SECTORS = JBD_BLOCK / BLK_SECTOR,
};
#define JBD_MAGIC 0xc03b3998u
enum jbd_type { JBD_DESCRIPTOR = 1, JBD_COMMIT, JBD_SUPER_V1, JBD_SUPER_V2, JBD_REVOKE };
enum jbd_tag_flag { TAG_ESCAPED = 1, TAG_SAME_UUID = 2, TAG_LAST = 8 };
enum jbd_incompat { JBD_HAS_REVOKES = 1 };

struct jbd_header {
  uint32_t magic, type, sequence;
};
struct jbd_super { // block 0 of the journal
  struct jbd_header header;
  uint32_t blocksize, maxlen, first;
  uint32_t sequence, start; // oldest live transaction and its block; start 0: the log is empty, sequence comes next
  uint32_t error, compat, incompat, ro_compat;
  uint8_t uuid[JBD_UUID];
};
_Static_assert(offsetof(struct jbd_super, start) == 0x1c, "journal superblock layout");
_Static_assert(offsetof(struct jbd_super, uuid) == 0x30, "journal superblock layout");
struct jbd_tag { // one for each image that follows the descriptor; the first is followed by the journal's uuid
  uint32_t block;
  uint16_t checksum, flags;
};
struct jbd_revoke { // block numbers follow
  struct jbd_header header;
  uint32_t bytes; // used, these included
};
struct jbd_commit {
  struct jbd_header header;
  uint8_t checksums[0x30 - 12];
  uint64_t seconds;
  uint32_t nanoseconds;
};
_Static_assert(offsetof(struct jbd_commit, seconds) == 0x30, "commit block layout");

static inline uint32_t
be32(uint32_t x) // either way
{
  return __builtin_bswap32(x);
}

// ---- revoke.c: block numbers, each with the last transaction that revoked it ---------------------------------------------

struct revoke {
  struct rbnode node;
  uint64_t block;
  uint32_t tid;
};
struct revokes {
  struct rbtree tree;
  uint32_t n;
};
void revoke_init(void);
struct revoke *revoke_alloc(void); // 0: no memory
void revoke_free(struct revoke *r);
struct revoke *revoke_find(const struct revokes *t, uint64_t block); // borrowed; 0
// Enter r (block, tid filled in). false: the block is there; if r's tid is later it is the block's now. r is the caller's.
bool revoke_add(struct revokes *t, struct revoke *r);
struct revoke *revoke_take(struct revokes *t, uint64_t block); // out of the table, the caller's; 0
void revoke_clear(struct revokes *t);

// ---- logio.c: writes of whole blocks, several at a time --------------------------------------------------------------------

enum { LOGIO_DEPTH = 8 };
struct logio_req {
  struct blkreq rq;              // (o)
  struct logio *io;              // (c)
  struct buf *buf[BLK_SEGMENTS]; // (o) whose BUSY ends with the write; 0: none
  uint64_t next;                 // (o) block that could join
  bool busy;                     // (a) on its way
};
struct logio {
  struct blkdev *dev;                // (c)
  struct logio_req req[LOGIO_DEPTH]; // (W)
  struct logio_req *open;            // (W) being filled
  int err;                           // (a) the first error; stays
};
void logio_init(struct logio *io, struct blkdev *dev);
// Write page to `block` of the device: soon, together with its neighbours. busy: a buffer that is BUSY until then, or 0.
// The page must not change before logio_wait.
void logio_write(struct logio *io, uint64_t block, struct page *pg, struct buf *busy);
int logio_wait(struct logio *io); // for all of them: 0, or the first error there ever was

// ---- a journal --------------------------------------------------------------------------------------------------------------

enum txn_state { TXN_RUNNING, TXN_LOCKED, TXN_DATA, TXN_LOG };
struct txn {
  uint32_t tid;           // (c)
  enum txn_state state;   // (J)
  bool wanted;            // (J) somebody asked for its commit
  int handles;            // (J) open
  int reserved;           // (J) credits of open handles that are not used yet
  int nbufs;              // (J) blocks to be logged: those of `bufs` that are not to be forgotten
  uint64_t started;       // (J)
  struct list bufs;       // (J) while handles may join; (W) afterwards: buf.in_txn
  struct list ordered;    // (J) ordered.in_txn
  struct list hooks;      // (J) txn_hook.link
  struct list freed;      // (J) freed.link
  struct revokes revokes; // (J) while handles may join; (W) afterwards
  struct list home;       // (W) committed blocks not yet at home: buf.on_home
  struct list link;       // (W) journal.committed
  uint32_t log_at;        // (W) where its blocks begin, and how many they are
  uint32_t log_blocks;    // (W)
};

struct freed {        // blocks that nobody may have before a transaction has committed
  struct rbnode node; // (J) journal.freed
  struct list link;   // (J) txn.freed
  struct txn *txn;    // (J)
  uint64_t block, n;  // (J)
};

struct journal {
  struct blkdev *dev;       // (c)
  uint32_t *map;            // (c) journal block -> block of dev
  uint64_t fs_blocks;       // (c)
  uint32_t first, maxlen;   // (c) the ring is [first, maxlen)
  uint32_t max_txn;         // (c) log blocks that one transaction may take
  struct page *super_page;  // (W) the superblock as it is on the disk, or will be with the next write
  struct page *scratch;     // (W) a descriptor, revoke or commit block
  struct page *escape;      // (W) an image whose first word was the magic
  struct logio io;          // (W)
  struct sleeplock work;    // rank 22: who commits or checkpoints
  struct spinlock lock;     // rank 50
  struct txn *running;      // (J) 0: the next handle makes one
  struct txn *committing;   // (J)
  struct list committed;    // (W) oldest first
  uint32_t next_tid;        // (J)
  uint32_t head;            // (J) log block where the next transaction begins
  uint32_t room;            // (J) free log blocks
  uint32_t want_room;       // (J) somebody waits for that much
  struct rbtree freed;      // (J) struct freed by block
  struct ordered *flushing; // (J)
  int err;                  // (a) why it was aborted
  bool err_written;         // (W)
  bool started;             // (c) after journal_start
  bool threaded;            // (c) after journal_start
  bool poked;               // (a) the thread should look
  bool squeezed;            // (a) memory is short: bring home what can be
  struct list all;          // (journals_lock)
  bool stop;                // (a)
  bool gone;                // (a) the thread is
  struct waitq wakeup;      // of the thread
  struct waitq changed;     // the transactions' state, room, or err
};

static inline struct jbd_super *
journal_super(const struct journal *j)
{
  return page_va(j->super_page);
}
static inline uint32_t
journal_next(const struct journal *j, uint32_t at) // log block behind `at`
{
  return at + 1 == j->maxlen ? j->first : at + 1;
}
static inline uint64_t
journal_sector(const struct journal *j, uint32_t at)
{
  return (uint64_t)j->map[at] * JBD_SECTORS;
}

// journal.c. Wait until ready(j, arg), called again and again without locks, is true; for who has no handle.
void journal_await(struct journal *j, bool (*ready)(struct journal *, void *), void *arg);
void journal_poke(struct journal *j);                         // the thread should look; any lock below RANK_WAITQ
int journal_flush(struct journal *j);                         // BLK_FLUSH, waiting; an error aborts
int journal_write_super(struct journal *j) REQUIRES(j->work); // and FLUSH; an error aborts
void *journal_must(void *(*alloc)(void));                     // alloc(), however long it takes
// txn.c
void txn_init(void);
uint32_t txn_cost(const struct txn *t, int credits); // log blocks that it takes if that many more are declared
// t has committed, or never will: its freed blocks may be used, its revokes are done, its hooks are called.
void txn_settle(struct journal *j, struct txn *t, bool committed);
void txn_free(struct txn *t); // nothing is on its lists any more
// ordered.c
int ordered_flush(struct journal *j, struct txn *t) REQUIRES(j->work); // the data phase
void ordered_drop(struct journal *j, struct txn *t);                   // all off its list, unwritten
// commit.c: commit what runs, if anything does. An error has aborted the journal.
void commit_run(struct journal *j) REQUIRES(j->work);
void commit_discard(struct journal *j, struct txn *t); // after an abort: t will never commit
// checkpoint.c: bring home what may go there, and move the tail of the log. An error has aborted the journal.
void checkpoint_run(struct journal *j) REQUIRES(j->work);
void checkpoint_discard(struct journal *j);
// replay.c
int replay_run(struct journal *j);
