// dirindex.c -- which blocks of a large directory may hold a name, and how much room is in each: so that a directory of
// 100,000 names is not read from end to end for each of them. In memory only, made at the first look into the directory,
// gone with its inode; the disk has the linear format that every ext3 reads.
// A table of (hash of a name, block), open addressing; and for each block the largest room. If memory runs out the index
// goes, and the directory is searched.
// Typical: x = dirindex_get(dir) / for(at = 0; (n = dirindex_next(x, name, len, &at)) != UINT64_MAX;) look into block n.
// Locks: whoever looks holds dir->lock; whoever changes, for writing. Two who build it at once: info.lock.
#include "core/thread.h"
#include "fs/ext3/ext3.h"
#include "lib/atomic.h"
#include "lib/hash.h"

enum {
  PART = PAGE_SIZE / sizeof(uint64_t), // slots in one piece of the table
  PARTS_FIRST = 2,
  FULL_OF_4 = 3, // the table grows when so many quarters are taken
  HASH_SHIFT = 32,
  ROOM_FIRST = 64, // blocks
};
#define GONE 1ull // a slot that was used: the search goes on behind it. A real one has hash bits or a block above 1

struct dirindex {
  uint64_t **part; // parts of the table
  uint64_t nparts; // a power of two
  uint64_t used;   // slots that are not 0
  uint16_t *room;  // by block: the largest room in it
  uint64_t nrooms; // length of that array
};

// A slot: the upper half of a name's hash, and its block + 2 below.
static uint64_t
slot_word(uint64_t hash, uint64_t n)
{
  return hash >> HASH_SHIFT << HASH_SHIFT | (n + 2);
}

static uint64_t *
slot_at(struct dirindex *x, uint64_t i)
{
  i &= x->nparts * PART - 1;
  return &x->part[i / PART][i % PART];
}

static void
parts_free(uint64_t **part, uint64_t n)
{
  for(uint64_t i = 0; part && i < n; i++)
    kfree(part[i]);
  kfree(part);
}

static uint64_t **
parts_new(uint64_t n)
{
  uint64_t **part = kzalloc(n * sizeof(*part));

  for(uint64_t i = 0; part && i < n; i++)
    if((part[i] = kzalloc(PART * sizeof(uint64_t))) == 0) {
      parts_free(part, n);
      return 0;
    }
  return part;
}

static void
index_free(struct dirindex *x)
{
  if(x == 0)
    return;
  parts_free(x->part, x->nparts);
  kfree(x->room);
  kfree(x);
}

static void
slot_put(struct dirindex *x, uint64_t word)
{
  uint64_t i = hash_u64(word >> HASH_SHIFT);

  while(*slot_at(x, i) != 0)
    i++;
  *slot_at(x, i) = word;
  x->used++;
}

// Twice as large, without the slots that are GONE. false: no memory.
static bool
grow(struct dirindex *x)
{
  struct dirindex old = *x;
  uint64_t **part = parts_new(2 * x->nparts);

  if(part == 0)
    return false;
  x->part = part;
  x->nparts *= 2;
  x->used = 0;
  for(uint64_t i = 0; i < old.nparts * PART; i++)
    if(*slot_at(&old, i) > GONE)
      slot_put(x, *slot_at(&old, i));
  parts_free(old.part, old.nparts);
  return true;
}

static bool
insert(struct dirindex *x, const char *name, size_t len, uint64_t n)
{
  if(x->used >= x->nparts * PART / 4 * FULL_OF_4 && !grow(x))
    return false;
  slot_put(x, slot_word(hash_bytes(name, len), n));
  return true;
}

uint64_t
dirindex_next(struct dirindex *x, const char *name, size_t len, uint64_t *at)
{
  uint64_t hash = hash_bytes(name, len) >> HASH_SHIFT, first = hash_u64(hash), word;

  while((word = *slot_at(x, first + *at)) != 0) {
    ++*at;
    if(word > GONE && word >> HASH_SHIFT == hash)
      return (uint32_t)word - 2;
  }
  return UINT64_MAX;
}

// ---- room

static bool
room_reserve(struct dirindex *x, uint64_t n)
{
  uint64_t want = max(2 * x->nrooms, (uint64_t)ROOM_FIRST);
  uint16_t *room;

  if(n < x->nrooms)
    return true;
  room = kzalloc(want * sizeof(*room));
  if(room == 0)
    return false;
  for(uint64_t i = 0; i < x->nrooms; i++)
    room[i] = x->room[i];
  kfree(x->room);
  x->room = room;
  x->nrooms = want;
  return true;
}

// 0 as well if the block is damaged: nothing is entered there.
static uint32_t
largest_room(struct ext3_fs *x, void *block)
{
  uint32_t most = 0;

  for(uint32_t off = 0; off < EXT3_BLOCK;) {
    const struct ext3_dirent *e = ext3_entry(x, block, off);

    if(e == 0)
      return 0;
    most = max(most, e->rec_len - (e->inode ? ext3_dirent_need(e->name_len) : 0));
    off += e->rec_len;
  }
  return most;
}

uint64_t
dirindex_find_room(struct dirindex *x, uint32_t need)
{
  for(uint64_t n = 0; n < x->nrooms; n++)
    if(x->room[n] >= need)
      return n;
  return UINT64_MAX;
}

// ---- one directory's

// The names of one block. false: no memory, or damaged.
static bool
read_block(struct dirindex *x, struct inode *dir, void *block, uint64_t n)
{
  if(!room_reserve(x, n))
    return false;
  x->room[n] = largest_room(ext3_of(dir), block);
  for(uint32_t off = 0; off < EXT3_BLOCK;) {
    const struct ext3_dirent *e = ext3_entry(ext3_of(dir), block, off);

    if(e == 0 || (e->inode && !insert(x, (const char *)(e + 1), e->name_len, n)))
      return false;
    off += e->rec_len;
  }
  return true;
}

static struct dirindex *
build(struct inode *dir)
{
  struct dirindex *x = kzalloc(sizeof(*x));
  struct buf *b;
  bool ok;
  int r = 0;

  if(x && (x->part = parts_new(PARTS_FIRST)) != 0)
    x->nparts = PARTS_FIRST;
  ok = x && x->part;
  for(uint64_t n = 0; ok && (r = ext3_dir_block(dir, n, &b)) == 0; n++) {
    ok = read_block(x, dir, b->data, n);
    buf_put(b);
    thread_relax();
  }
  if(ok && r > 0)
    return x;
  index_free(x);
  return 0;
}

struct dirindex *
dirindex_get(struct inode *dir)
{
  struct ext3_info *info = ext3_info(dir);
  struct dirindex *x = atomic_get(&info->index);

  if(x || dir->obj.size < DIRINDEX_MIN * EXT3_BLOCK)
    return x;
  sleep_acquire(&info->lock);
  if(info->index == 0)
    atomic_set(&info->index, build(dir));
  x = info->index;
  sleep_release(&info->lock);
  return x;
}

void
dirindex_free(struct inode *dir)
{
  index_free(ext3_info(dir)->index);
  ext3_info(dir)->index = 0;
}

void
dirindex_add(struct inode *dir, const char *name, size_t len, uint64_t n)
{
  struct dirindex *x = ext3_info(dir)->index;

  if(x && !insert(x, name, len, n))
    dirindex_free(dir);
}

void
dirindex_remove(struct inode *dir, const char *name, size_t len, uint64_t n)
{
  struct dirindex *x = ext3_info(dir)->index;
  uint64_t word = slot_word(hash_bytes(name, len), n), i = hash_u64(word >> HASH_SHIFT);

  if(x == 0)
    return;
  for(; *slot_at(x, i) != 0; i++)
    if(*slot_at(x, i) == word) {
      *slot_at(x, i) = GONE;
      return;
    }
}

void
dirindex_room(struct inode *dir, uint64_t n, void *block)
{
  struct dirindex *x = ext3_info(dir)->index;

  if(x && !room_reserve(x, n))
    dirindex_free(dir);
  else if(x)
    x->room[n] = largest_room(ext3_of(dir), block);
}
