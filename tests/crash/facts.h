// facts.h -- what the workload tells the crash test, and what its files contain. Shared by the guest and the host.
//
// Before each operation the workload sends a fact BEGIN and after it a fact END with the result, on a channel whose order
// relative to the disk's writes is exact. Whatever was begun may be on the disk; what a sync that has ended covers must be.
// Every byte of every file is a function of (process, file, operation that wrote it, place), so any byte that is found tells
// whether it may be there.
#pragma once
#include <stdint.h>
#include <stdio.h>

enum { FACT_BYTES = 512, FACT_VERSION = 1 };
#define FACT_MAGIC 0x7473617243367a6cull

enum fact_phase { FACT_BEGIN = 1, FACT_END = 2 };
enum fact_kind {
  OP_CREATE = 1, // slot: a new, empty file `file`; END says its inode number
  OP_WRITE,      // file, off, len; flags
  OP_STORE,      // the same through a shared mapping
  OP_MSYNC,      // file, off, len
  OP_FSYNC,      // file; END says its time of change in `ino`, in nanoseconds
  OP_FDATASYNC,  // file
  OP_DIRSYNC,    // slot: fsync of the directory that it lies in
  OP_SYNC,       // everything
  OP_TRUNCATE,   // file, len
  OP_RENAME,     // slot to slot2, replacing it; a directory takes its inner slot along
  OP_LINK,       // slot to slot2
  OP_UNLINK,     // slot: a file or symlink
  OP_SYMLINK,    // slot: the text is fact_link_text
  OP_MKDIR,      // slot
  OP_RMDIR,      // slot
  OP_FALLOCATE,  // file, off, len: grows it
  OP_PUNCH,      // file, off, len
  OP_KINDS,
};
enum { WRITE_SYNC = 1, WRITE_DSYNC = 2, WRITE_APPEND = 4 }; // fact.flags of OP_WRITE

struct fact {
  uint64_t magic;
  uint32_t version, proc, op; // op: 1, 2, ... in each process
  uint8_t phase, kind;
  uint16_t slot, slot2, file, flags, pad;
  uint64_t off, len, ino;
  int64_t result; // of END: 0, bytes, or -errno
  uint64_t check;
};
_Static_assert(sizeof(struct fact) <= FACT_BYTES, "a fact is one sector");

static inline uint64_t
fact_mix(uint64_t x)
{
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ x >> 27) * 0x94d049bb133111ebull;
  return x ^ x >> 31;
}

static inline uint64_t
fact_check(const struct fact *f)
{
  const uint64_t *p = (const uint64_t *)f;
  uint64_t sum = FACT_MAGIC;

  for(unsigned i = 0; i < sizeof(*f) / sizeof(*p) - 1; i++)
    sum = fact_mix(sum ^ p[i]);
  return sum;
}

// ---- contents. Each sector begins with a word that can be read by eye: 6c7a, process, file, operation.

enum { WORD = 8, SECTOR = 512, WORDS_PER_SECTOR = SECTOR / WORD };
enum { TAG_MARK = 0x6c7a, TAG_MARK_SHIFT = 48, TAG_PROC_SHIFT = 40, TAG_FILE_SHIFT = 24 };

static inline uint64_t
fact_tag(uint32_t proc, uint32_t file, uint32_t op)
{
  return (uint64_t)TAG_MARK << TAG_MARK_SHIFT | (uint64_t)proc << TAG_PROC_SHIFT | (uint64_t)file << TAG_FILE_SHIFT |
         op;
}

// Word number w of the file's contents as written by operation op.
static inline uint64_t
fact_word(uint64_t tag, uint64_t w)
{
  return w % WORDS_PER_SECTOR == 0 ? tag : fact_mix(tag * 0x9e3779b97f4a7c15ull + w);
}

// Bytes [lo, hi) of the file, as op writes them, into to.
static inline void
fact_fill(unsigned char *to, uint64_t tag, uint64_t lo, uint64_t hi)
{
  while(lo < hi) {
    uint64_t word = fact_word(tag, lo / WORD), n = WORD - lo % WORD;

    if(n > hi - lo)
      n = hi - lo;
    __builtin_memcpy(to, (unsigned char *)&word + lo % WORD, n);
    to += n;
    lo += n;
  }
}

// ---- names. A process has SLOTS names; what it does is told in slots.

enum {
  SLOT_HOME = 0,    // files in the process's own directory
  SLOT_DIR = 24,    // directories there
  SLOT_INNER = 32,  // the one file in each of them
  SLOT_SHARED = 40, // files in a directory that all processes share
  SLOT_MANY = 56,   // small files with long names
  SLOTS = 216,
  NDIRS = SLOT_INNER - SLOT_DIR,
  PROCS_MAX = 16,
  FILES_MAX = 2048, // of a process, over its life
  SIZE_MAX_FILE = 6 << 20,
  FACT_PATH = 128,
};
#define FACT_TOP "/w"

static inline void
fact_dir_path(char *to, uint32_t proc, unsigned slot)
{
  if(slot >= SLOT_MANY)
    snprintf(to, FACT_PATH, FACT_TOP "/p%u/many", proc);
  else if(slot >= SLOT_SHARED)
    snprintf(to, FACT_PATH, FACT_TOP "/shared");
  else if(slot >= SLOT_INNER)
    snprintf(to, FACT_PATH, FACT_TOP "/p%u/d%u", proc, slot - SLOT_INNER);
  else
    snprintf(to, FACT_PATH, FACT_TOP "/p%u", proc);
}

static inline void
fact_path(char *to, uint32_t proc, unsigned slot)
{
  if(slot >= SLOT_MANY)
    snprintf(to, FACT_PATH, FACT_TOP "/p%u/many/a-name-that-fills-its-directory-soon-%03u", proc, slot - SLOT_MANY);
  else if(slot >= SLOT_SHARED)
    snprintf(to, FACT_PATH, FACT_TOP "/shared/p%u-file%u", proc, slot - SLOT_SHARED);
  else if(slot >= SLOT_INNER)
    snprintf(to, FACT_PATH, FACT_TOP "/p%u/d%u/inner", proc, slot - SLOT_INNER);
  else if(slot >= SLOT_DIR)
    snprintf(to, FACT_PATH, FACT_TOP "/p%u/d%u", proc, slot - SLOT_DIR);
  else
    snprintf(to, FACT_PATH, FACT_TOP "/p%u/f%02u", proc, slot);
}

// What the symlink says that operation op makes: short ones lie in the inode, long ones in a block.
static inline void
fact_link_text(char *to, uint32_t proc, uint32_t op)
{
  snprintf(to, FACT_PATH,
           op % 2 ? "to-%u-%u" : "%u/%u/a-text-of-more-than-sixty-bytes-does-not-fit-into-an-inode-of-ext3", proc, op);
}
