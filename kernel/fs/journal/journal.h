// journal.h -- a log of block changes in JBD's format, in ordered mode: what one handle changed is on the disk whole after
// a crash, or not at all. Knows blocks, buffers and objects with data to be written first; no files.
//
// Mount:    journal_open / journal_replay if journal_dirty / journal_start.   Unmount: journal_close.
// A change: txn_begin(j, credits, &h) / buf_get / txn_declare(&h, b) / write b->data / buf_put / ... / txn_end(&h).
// Durable:  tid = h.tid, kept by the file; later journal_sync(j, tid).
//
// Locks. A handle has RANK_TXN: begin it below page BUSY, maplock, bmaplock, with no as.lock and no other handle; end it
// before user memory is touched. What is declared may be changed until txn_end, under locks of the caller's own: the
// journal never looks at a block that an open handle declared. One thread per journal commits and checkpoints; without
// it (before journal_start, in host tests) whoever would wait for it does its work.
// Nothing here fails between txn_begin and txn_end: room and credits were taken at the start, and memory is waited for.
// After an abort handles go on changing buffers in memory, but nothing of it reaches the disk, and no new handle begins.
//
// Lock keys: (c) constant after creation  (J) journal.lock  (h) the handle's owner
#pragma once
#include "fs/bcache.h"

struct journal;
struct txn;

// ---- journal.c: one journal ------------------------------------------------------------------------------------------

// The journal that lies in blocks map[0 .. nmap) of dev, a file system of fs_blocks blocks of 4 KiB. map is from kzalloc
// and the journal's from here on, also on an error. Reads and checks the journal's superblock, and changes nothing.
// 0; -EIO; -ENOMEM; -EINVAL: not a journal, or of a kind that we do not know: *why says it in words (a constant).
int journal_open(struct blkdev *dev, uint32_t *map, uint32_t nmap, uint64_t fs_blocks, struct journal **out,
                 const char **why);
bool journal_dirty(const struct journal *j); // there may be something to replay (s_start)
// Bring home what was committed, then empty the log; the device's unreferenced buffers are dropped, and the caller holds
// none. Before journal_start. Once more after a crash inside it is harmless. 0; -EIO also for a log that contradicts
// itself, and then nothing was written; -ENOMEM.
int journal_replay(struct journal *j);
// Error that an earlier mount left in the journal (s_errno), 0 if none; journal_start forgets it. The caller notes it in
// its superblock first.
int journal_saved_error(const struct journal *j);
// Handles may begin. Refuses a dirty one (-EINVAL). thread: commit in a thread of its own. 0, -EIO, -ENOMEM.
int journal_start(struct journal *j, bool thread);
// Commit, bring everything home, leave the log empty, free. No handle is open, nobody else uses j or begins to; every
// `struct ordered` was forgotten. Works in every state after journal_open. First error: the disk then says "replay me".
int journal_close(struct journal *j);
// The device failed or the file system found itself damaged: no commit record is written from now on, txn_begin says
// -EROFS, waits end with -EIO, s_errno is set soon. The first call counts. Any context, any lock below RANK_WAITQ.
void journal_abort(struct journal *j, int err);
int journal_error(const struct journal *j); // why it was aborted, 0: it was not. The file system is read-only then.
uint32_t journal_max_credits(const struct journal *j); // the most that one txn_begin can get
// Everything whose I/O ended before this call, and every handle of transaction `tid` (h.tid; it ended before), is durable
// on return: commits if it has to, with one FLUSH at least. 0, -EIO. Holds no handle, no page BUSY.
int journal_sync(struct journal *j, uint32_t tid);
int journal_force(struct journal *j);               // the same for all handles that ended before
void journal_kick(struct journal *j, uint32_t tid); // commit it soon, wait for nothing
// Has transaction tid committed?
bool journal_committed(struct journal *j, uint32_t tid);

// ---- txn.c: one change -------------------------------------------------------------------------------------------------

struct handle {      // on the caller's stack, from txn_begin to txn_end
  struct journal *j; // (h)
  struct txn *txn;   // (h)
  uint32_t tid;      // (h) the transaction's id; stays after txn_end
  int credits;       // (h) blocks that may yet be declared for the first time in this transaction
};
// Join the running transaction with room for `credits` blocks; may wait until another has committed or the log has room.
// 0; -EROFS: aborted; -ENOSPC: more than journal_max_credits; -ENOMEM, -EINTR: no memory for a new transaction.
int txn_begin(struct journal *j, int credits, struct handle *h);
void txn_end(struct handle *h);
// The block is about to be changed: its contents become part of the transaction when it commits. Before the first change;
// again is free. Takes one credit if the block is new in this transaction, and panics if there is none. What a committing
// transaction has not logged yet is copied out; waits at most for a disk write of this block that is under way. Undoes a
// revoke of the same transaction. b is referenced; the journal takes its own reference.
void txn_declare(struct handle *h, struct buf *b);
// A block that was just allocated for metadata: cached without being read, declared, all zeros. Referenced.
// -ENOMEM, -EINTR: no memory, and then nothing happened.
int txn_new(struct handle *h, uint64_t block, struct buf **out);
// A metadata block is freed: it is not logged any more, older images are not replayed (a revoke record), nor written home
// once this has committed. Never for data blocks. The first one of a transaction, and each 1020th, takes a credit if the
// handle has one.
void txn_revoke(struct handle *h, uint64_t block);
// Blocks [block, block + n), data or metadata, were freed: until this transaction has committed, txn_pending says so and
// the allocator passes them by, since a crash would give them back to the old owner. Each block at most once until then.
void txn_freed(struct handle *h, uint64_t block, uint64_t n);
// Does [block, block + n) meet blocks that a transaction freed that has not committed? Then *next is the block behind the
// first such run. (No space but pending blocks: end the handle, journal_force, try again.)
bool txn_pending(struct journal *j, uint64_t block, uint64_t n, uint64_t *next);
// fn is called once the transaction has committed (or will never: committed is false), without locks, by whoever commits;
// it must not begin a handle. The hook is the caller's, and free again when fn is called.
struct txn_hook {
  struct list link;                               // (J)
  void (*fn)(struct txn_hook *k, bool committed); // (c)
};
void txn_on_commit(struct handle *h, struct txn_hook *k);

// ---- ordered data (txn.c, commit.c) ------------------------------------------------------------------------------------

// Embedded in an inode whose blocks a transaction allocates: its dirty pages are written before the commit record.
struct ordered {
  // Write what is dirty, and wait (mobj_sync). Called with no lock but RANK_COMMIT's: takes none below it (no inode.lock),
  // begins no handle. An error aborts the journal: who wants to survive a bad data block notes it and returns 0.
  int (*flush)(struct ordered *o); // (c)
  struct txn *txn[2];              // (J) [tid & 1]
  struct list in_txn[2];           // (J)
};
void ordered_init(struct ordered *o, int (*flush)(struct ordered *));
// Inside a handle that allocates blocks for data, after the pages are DIRTY or before BUSY is given back: before txn_end.
void txn_order(struct handle *h, struct ordered *o);
// Wait until the committing transaction, if it has o on its list, is through with writing data. For truncate, between the
// handle that sets the size and taking pages away. No page BUSY held.
void ordered_wait(struct journal *j, struct ordered *o);
// o goes away: off all lists, after a flush of it that is under way. For eviction of an inode; holds no page BUSY.
void ordered_forget(struct journal *j, struct ordered *o);
