// mm.h -- address spaces and the pages behind them. Knows no file descriptor, no inode, no process.
//
// Two layers, one cache: what a program sees at an address is its own anonymous page if the slot holds one, else the
// page of the object behind the region, else zeros. The pmap is a cache of that sentence.
//
// Lock keys: (a) atomic  (c) constant after creation  (A) as.lock  (S) the stretch's slot lock  (O) obj.lock
//            (M) to write: as.lock for writing and obj.maplock; to read: either   (L) lru.lock   (F) frame.lock
//            (B) whoever holds the page BUSY   (W) the lock of the list of dirty objects
#pragma once
#include "core/lock.h"
#include "core/wait.h"
#include "lib/errno.h"
#include "lib/list.h"
#include "lib/radix.h"
#include "lib/rbtree.h"
#include "mm/pmap.h"
#include "mm/types.h"

// ---- page.c: state of a frame -----------------------------------------------------------------------------------

enum page_flag {     // values for page.flags
  PAGE_BUSY = 1,     // lock bit: contents or identity are moving
  PAGE_UPTODATE = 2, // contents are what the store holds, or newer
  PAGE_DIRTY = 4,    // contents are newer than the store
  PAGE_BACKED = 8,   // the store has room for it (I3: DIRTY implies BACKED)
  PAGE_ERROR = 16,   // the last fill or flush failed
  PAGE_USED = 32,    // touched since reclaim last looked
  PAGE_ON_LRU = 64,  // (L)
  PAGE_HOT = 128,    // (L) on the list of pages that were used again
  PAGE_FRESH = 256,  // was just read in, or ahead: its first use says nothing
};
enum { PAGE_BUSY_BIT = 0 };

struct mobj;
struct page {       // one per frame, in one array
  int ref;          // (a) one per slot, cache, pin or pmap_enter in flight; 0: free
  unsigned flags;   // (a) enum page_flag
  struct mobj *obj; // (O) and BUSY to change, either to read; 0: not cached
  uint64_t idx;     // (O) page index in obj
  struct list lru;  // (L); on the buddy's free list (F) when free
  uint8_t order;    // (F) of a free block's first page, or of an allocation's
  bool free;        // (F) first page of a free block
  bool stocked;     // free, in a CPU's stock (that CPU's, interrupts off)
};

extern uintptr_t direct_map;    // (c) kernel address of physical address 0; set by arch before anything else
extern struct page *page_array; // (c) page of physical address 0
extern uint64_t page_count;     // (c) length of page_array
extern struct page *zero_page;  // (c) wired, all zeros, entered read-only

struct page *page_get(struct page *pg); // one reference more; returns pg
void page_put(struct page *pg);         // one less; the last frees the frame. Any context, any lock below RANK_KMEM.
paddr_t page_pa(const struct page *pg);
struct page *page_of_pa(paddr_t pa);
void *page_va(const struct page *pg); // in the kernel's direct map
struct page *page_of_va(const void *kva);
void *kva_of_pa(paddr_t pa);
paddr_t pa_of_kva(const void *kva);
void page_zero(struct page *pg);
void page_copy(struct page *to, const struct page *from);
static inline unsigned
page_test(const struct page *pg, unsigned flags)
{
  return __atomic_load_n(&pg->flags, __ATOMIC_SEQ_CST) & flags;
}
void page_set(struct page *pg, unsigned flags);
void page_clear(struct page *pg, unsigned flags);
void page_touch(struct page *pg);      // it was used: reclaim should know
bool page_busy_try(struct page *pg);   // take BUSY
void page_busy_wait(struct page *pg);  // take BUSY; sleeps; holds no page BUSY, no as.lock (I6)
void page_busy_clear(struct page *pg); // give BUSY back and wake; any context
// wait until not BUSY, without taking it; 0 or -EINTR; caller has a reference
int page_busy_gone(struct page *pg);
// A fill or flush that ran on its own is over: UPTODATE (err 0) or ERROR, then BUSY cleared. Interrupt context
// allowed.
void page_filled(struct page *pg, int err);

// ---- lru.c: which cached pages were not used for long -------------------------------------------------------------

// Both under the lock of the page's object, while the page is in its cache; once too often is harmless.
void lru_add(struct page *pg);
void lru_remove(struct page *pg);
// Up to n referenced pages from the cold end. They stay listed, at the warm end of the cold list, until lru_remove.
int lru_take(struct page **pg, int n);
uint64_t lru_pages(void);

#include "mm/alloc.h"

// ---- mobj.c: memory objects

struct mobj_ops {   // what a store must be able to do; all may sleep, none sees an address
  const char *name; // "ext3", "tmpfs", "shm": for traces
  // n busy, referenced pages of consecutive indexes <- store, zeros past the end. Starts the reads and may return
  // before they end: each page is finished by page_filled(), which also must be called on an error. Extra pages are
  // read-ahead.
  void (*fill)(struct mobj *, struct page **, int n);
  // Page held, NOT busy: transaction, then BUSY, then look again: page->obj still this, not BACKED yet (else end the
  // handle, 0: restart); then its blocks; sets BACKED and, if a block is new, DIRTY, before the handle ends.
  int (*makewrite)(struct mobj *, struct page *);
  int (*flush)(struct mobj *, struct page **, int n); // n busy pages, by rising index -> store; 0: nowhere to write to
  // Has page idx, which is not cached, its place in the store? 1, 0 or -E. May be 0: then a page that is to be replaced
  // is read first.
  int (*placed)(struct mobj *, uint64_t idx);
  int (*commit)(struct mobj *);   // metadata and device cache, once per sync; may be 0
  void (*release)(struct mobj *); // last reference is gone: frees what embeds the object
  // A page became DIRTY (mtime is due). The page is BUSY or obj.lock is held, so it takes no lock and sets a mark by
  // atomics. May be 0.
  void (*touched)(struct mobj *);
};

struct mobj {
  const struct mobj_ops *ops; // (c)
  int ref;                    // (a)
  struct spinlock lock;       // rank 62
  struct sleeplock maplock;   // rank 40
  struct radix pages;         // (O) index -> page: *the* page cache
  uint64_t npages;            // (O)
  uint64_t ndirty;            // (a) pages that are DIRTY or being flushed
  uint64_t promised;          // (c) pages counted as promised at once; 0: each when it holds data (objects in memory)
  struct list mappers;        // (M) regions that map it, in order
  int shared_writable;        // (obj.maplock) shared regions that may write, and claims; -1: there may never be one
  // (O) bytes; a page is inserted only below it, in the same section, but for what shm_reserve sets aside behind it
  uint64_t size;
  uint64_t cutlo, cuthi;     // (O) pages being truncated or punched: a load inside waits, holding nothing
  struct waitq cut;          // woken when a cut ends
  uint64_t nbad;             // (a) of those: whose last write failed
  uint32_t errseq;           // (a) errors of write-back, as lib/errseq.h
  uint32_t *errseq_all;      // (c) counts those of a whole file system; may be 0
  struct list dirty;         // (W) on the list of dirty objects
  uint64_t dirtied;          // (W) when it came there, or was last written unasked
  uint64_t holdoff, backoff; // (a) bad pages are not written unasked before; how long that was
  uint64_t ra_next, ra_size; // (O) read-ahead: index where a sequential reader goes on, and its window
  uint64_t ra_mark;          // (O) the reader who gets here lets the next window be read
};

static inline uint64_t
pages_of(uint64_t bytes) // that hold so many bytes
{
  return (bytes >> PAGE_SHIFT) + !page_aligned(bytes);
}

enum mobj_access { FOR_READ, FOR_WRITE, FOR_REPLACE };

void mobj_init(struct mobj *obj, const struct mobj_ops *ops, uint64_t size);
struct mobj *mobj_get(struct mobj *obj);
bool mobj_try_get(struct mobj *obj); // false: the last reference is gone already
void mobj_put(struct mobj *obj);     // the last one calls ops->release, which must call mobj_destroy; may sleep (I7)
void mobj_destroy(struct mobj *obj); // drops every cached page; no mapper, nobody else knows it
// The cached page, borrowed while obj->lock is held; 0 if none.
struct page *mobj_find(struct mobj *obj, uint64_t idx) REQUIRES(obj->lock);
// An empty page, then BUSY, becomes page idx; the caller's reference is the cache's. false: too few nodes. Needs obj->lock.
bool mobj_insert(struct mobj *obj, struct page *pg, uint64_t idx, struct radix_stock *nodes);
// Load page idx, with read-ahead if access looks sequential. Call with no lock that the store needs; sleeps
// (killable). 0: *pp is UPTODATE and referenced. -EIO: reading failed. -ENXIO: idx lies past the end. -ENOMEM, -EINTR.
// *major (may be 0): set to true if the disk was asked and waited for.
int mobj_load(struct mobj *obj, uint64_t idx, struct page **pp, bool *major);
int mobj_load_only(struct mobj *obj, uint64_t idx, struct page **pp, bool *major); // reads nothing ahead
// For read(2), write(2) and the kernel itself. FOR_WRITE: BUSY is held on return (page_busy_clear when done), the page
// is BACKED, and the caller dirties it with mobj_dirty. FOR_READ: as mobj_load. idx may lie past the end only
// FOR_WRITE with obj->size raised before by the caller. FOR_REPLACE: as FOR_WRITE, for a caller who keeps cuts away, stores
// to every byte of the page and then says UPTODATE: what will be lost anyway is not read.
int mobj_page(struct mobj *obj, uint64_t idx, enum mobj_access how, struct page **pp);
void mobj_readahead(struct mobj *obj, uint64_t idx, uint64_t n); // start reading, wait for nothing
// New size in bytes. Growing only sets it. Shrinking takes pages out of the cache and out of every mapping (private
// copies past the end too, as Linux), zeroes the tail of the last page. Caller holds inode.lock for writing.
void mobj_truncate(struct mobj *obj, uint64_t size);
// Pages [lo, hi) vanish without changing the size (hole punch); whole pages only.
void mobj_punch(struct mobj *obj, uint64_t lo, uint64_t hi);
// The same in two steps, for a store that frees blocks in between: until the end, whoever wants such a page waits.
void mobj_punch_begin(struct mobj *obj, uint64_t lo, uint64_t hi);
void mobj_punch_end(struct mobj *obj);
// Take write permission on pages [lo, hi) out of every mapping, finished on every CPU. Sleeps on maplock.
void mobj_narrow(struct mobj *obj, uint64_t lo, uint64_t hi);
// Take pages [lo, hi) out of every mapping (entries of the object's own pages; private copies too if `copies`).
void mobj_unmap(struct mobj *obj, uint64_t lo, uint64_t hi, bool copies);
// How many entries of page idx programs have. Sleeps on maplock.
uint64_t mobj_entered(struct mobj *obj, uint64_t idx);
// Before a shared region that may write is mapped, and after it was or could not be: -EPERM if there may be none.
int mobj_claim_write(struct mobj *obj);
void mobj_unclaim_write(struct mobj *obj);
int mobj_deny_write(struct mobj *obj); // from now on no such region, for ever; -EBUSY if there is one
// Bytes [lo, hi) of one page are zeros, if the page is in the cache. The caller keeps write(2) away.
void mobj_zero(struct mobj *obj, uint64_t lo, uint64_t hi);
// For reclaim: the same for the object's pages [lo, hi), held BUSY by the caller, unless a program touched one since
// last asked, or the mappers are in use: then false, and nothing is done. Never waits.
bool mobj_unmap_idle(struct mobj *obj, uint64_t lo, uint64_t hi);
// Take page idx, held BUSY, out of the cache: the cache's reference is the caller's now.
struct page *mobj_take(struct mobj *obj, uint64_t idx) REQUIRES(obj->lock);
// Drop pg, held BUSY by a caller with one reference and unmapped, if it is clean and nobody else has a reference.
bool mobj_drop(struct mobj *obj, struct page *pg);
// Drop clean, unmapped, unreferenced pages: how many.
uint64_t mobj_shrink(struct mobj *obj);
// The same for pages [lo, hi), and only those that no program used since they were last asked for.
void mobj_page_out(struct mobj *obj, uint64_t lo, uint64_t hi);
uint64_t mobj_total_cached(void); // pages of all objects, for /proc/meminfo
uint64_t mobj_total_shmem(void);

// ---- dirty.c: dirty pages

// Mark DIRTY; BACKED is asserted (I3). The page is BUSY, obj->lock is not held / obj->lock is held, the page not BUSY.
void mobj_dirty(struct mobj *obj, struct page *pg);
void mobj_dirty_locked(struct mobj *obj, struct page *pg) REQUIRES(obj->lock);
// A BUSY page that leaves the cache is not dirty any more: what it held is lost on purpose.
void mobj_undirty(struct mobj *obj, struct page *pg) REQUIRES(obj->lock);
// Write n busy, dirty pages, by rising index, and wait. Those that the disk refuses are DIRTY again, with ERROR; errseq tells.
int mobj_flush(struct mobj *obj, struct page **pg, int n);
// The same for few pages, and for dirty ones that follow them and are not BUSY: one write costs little more than another.
int mobj_flush_on(struct mobj *obj, struct page **pg, int n);
// Write dirty pages of [lo, hi) and wait, for those too that another is writing. Each is tried once. First error, which
// errseq tells as well. Does not commit.
int mobj_sync(struct mobj *obj, uint64_t lo, uint64_t hi);
// The same unasked, by whoever wants pages clean: waits for no BUSY page, leaves alone what failed a short while ago.
// How many it wrote.
uint64_t mobj_write_back(struct mobj *obj, uint64_t lo, uint64_t hi);
void mobj_await(struct mobj *obj, uint64_t lo, uint64_t hi); // what is being written there has been
bool mobj_left_alone(struct mobj *obj, struct page *pg);     // did its write fail a short while ago?
// The object, referenced, that became dirty longest ago, before the time `before`; 0: none. It counts as dirtied now.
struct mobj *mobj_dirty_oldest(uint64_t before);
uint64_t mobj_total_dirty(void); // pages that are dirty or being written, for /proc/meminfo
struct dirty_stats {             // pages, of objects with a store
  uint64_t dirty, writing, bad;  // (a) now: dirty or being written; being written; whose last write failed
  uint64_t dirtied, written;     // (a) since start
};
extern struct dirty_stats dirty_stats;

// ---- balance.c: how much may be dirty

struct balance_settings { // (a) of /proc/sys/vm/dirty_*; where bytes are not 0 they count, else the ratio, in percent
  uint64_t background_ratio, ratio, background_bytes, bytes;
};
extern struct balance_settings balance_settings;
// Is so much dirty that who makes a page of obj dirty should call mobj_balance? Any context.
bool balance_due(const struct mobj *obj);
// n pages of obj were made dirty, or are about to be: pause as that calls for. Holds no as.lock; sleeps. 0; -EINTR: being
// killed; -EIO: the disk refuses pages of obj, and there is no room for more of them.
int mobj_balance(struct mobj *obj, uint64_t n);
bool balance_over_background(void); // is so much dirty that it should be written now?
uint64_t balance_limit(void);       // pages that may be dirty now, for /proc/vmstat
uint64_t balance_background(void);  // from so many on write-back works
void balance_kick(void);            // have the write-back thread look; any context
void balance_wake(void);            // something was written
extern struct waitq balance_work;   // the write-back thread waits here
extern bool balance_wanted;         // (a) it was kicked

// ---- shm.c: objects without a store -------------------------------------------------------------------------------

// Shared anonymous memory or a tmpfs file's data: zeros until written, then kept in memory. `promise`: all of it counts as
// promised. 0 if no memory.
struct mobj *shm_create(uint64_t size, bool promise);
void shm_setup(void); // mm_init's
extern const struct mobj_ops shm_ops;
// For stores that embed: the methods, to be put into their own mobj_ops. An object whose fill is shm_fill has no store
// but memory: its pages are never dropped once BACKED, and it has no flush. A store with a limit charges in a
// makewrite of its own that then calls this one.
void shm_fill(struct mobj *obj, struct page **pg, int n);
int shm_makewrite(struct mobj *obj, struct page *pg);
// Page idx of such an object is there and BACKED, zeros if it was missing; it may lie past the end, where nobody sees it.
// The caller keeps cuts away. 0, -ENOMEM, -ENOSPC (more than may be promised), -EINTR.
int shm_reserve(struct mobj *obj, uint64_t idx);

// ---- region.c: arithmetic on regions

enum region_flag {
  REGION_SHARED = 1,
  REGION_GROWSDOWN = 2,
  REGION_LOCKED = 4,
  REGION_NORESERVE = 8,
  REGION_DONTFORK = 16,
  REGION_WIPEONFORK = 32,
  REGION_DONTDUMP = 64,
  REGION_SEALED = 128,
  REGION_STACK = 256,     // the main stack, for /proc
  REGION_HEAP = 512,      // brk, for /proc
  REGION_RAND = 1024,     // MADV_RANDOM
  REGION_SEQ = 2048,      // MADV_SEQUENTIAL
  REGION_CLEAN = 131072,  // pages without a slot were not stored to since aspace_soft_clear
  REGION_ACCOUNT = 65536, // counted as promised (commit.c), and stays so when it may no longer be written
  REGION_ONFAULT = 4096,  // locked, but nothing is made present for it
  REGION_POLICY = 8192,   // times Linux's number of a memory policy, which means nothing with one node
  REGION_POLICY_MASK = 7 * REGION_POLICY,
};

struct region {
  vaddr_t start, end;       // (M) half-open, page aligned, start < end
  uint64_t pgoff;           // (M) object page behind `start`; anonymous private: start / PAGE_SIZE at creation
  struct mobj *obj;         // (c) 0: zero fill; holds a reference
  struct aspace *as;        // (c) for walkers that come from the object
  int prot, maxprot, flags; // (A)
  // (c) what /proc calls it: mm passes it on without looking (proc gives a file); see region_tag_ops
  void *tag;
  struct rbnode node;  // (A)
  vaddr_t gap, maxgap; // (A) free bytes before this region; the largest such below this node
  struct list mapper;  // (M) on obj->mappers
  struct list gone;    // (A) on the list of a regions_cut
};

// How mm copies and drops region tags (references to open files), without knowing what they are. Set once by proc or
// fs.
struct region_tag_ops {
  void *(*get)(void *tag);  // for a region
  void (*put)(void *tag);   // may sleep, but not while another region has the tag
  void *(*hold)(void *tag); // for whoever looks at it for a moment
  void (*drop)(void *tag);  // may sleep
  // MADV_REMOVE: make a hole of these bytes behind the tag, whose object knows a store or a limit; may sleep; 0 or -E
  int (*punch)(void *tag, uint64_t off, uint64_t len);
  // msync of pages [lo, hi) of obj through a region with that tag: write, commit, tell of errors. 0 or -E; sleeps.
  int (*sync)(void *tag, struct mobj *obj, uint64_t lo, uint64_t hi);
};
extern const struct region_tag_ops *region_tags;

struct aspace;
// Pure arithmetic over the tree; all need as.lock (write where they change). None allocates.
struct region *region_find(struct aspace *as, vaddr_t va);      // the one that contains va, or 0
struct region *region_find_from(struct aspace *as, vaddr_t lo); // first with end > lo, or 0
struct region *region_next(struct region *r);
struct region *region_prev(struct region *r);
struct region *region_alloc(void); // zeroed; 0 if no memory
void region_free(struct region *r);
void region_insert(struct aspace *as, struct region *r); // tree, totals and obj->mappers
void region_setup(void);                                 // aspace_setup's
void regions_init(struct aspace *as);                    // an empty tree
struct region *region_last(struct aspace *as);
// Fill spare[0..n) where it is 0, waiting for memory with nothing held: 0, -ENOMEM, -EINTR (then none is left).
int regions_reserve(struct region **spare, int n);
void regions_unreserve(struct region **spare, int n);
void region_link(struct aspace *as, struct region *r);         // tree and totals only
void region_unlink(struct aspace *as, struct region *r);       // stays on obj->mappers
void region_attach(struct region *r, struct region *behind);   // onto obj->mappers, right behind that one; 0: last
void region_dup(struct region *to, const struct region *from); // with references of its own; in no tree, on no list
void region_resize(struct aspace *as, struct region *r, vaddr_t start, vaddr_t end); // into free space, in place
void region_maplock(struct region *r); // obj->maplock, if it has an object
void region_mapunlock(struct region *r);
void region_account(struct aspace *as, struct region *r, int sign); // around changes of prot and flags
bool region_commits(int prot, int flags); // is private memory of this kind a promise, which REGION_ACCOUNT notes?
void regions_split_at(struct aspace *as, vaddr_t at, struct region *spare[2]); // no region crosses `at` then
void regions_merge(struct aspace *as, vaddr_t lo, vaddr_t hi);  // whatever could be one region, neighbours included
bool regions_sealed(struct aspace *as, vaddr_t lo, vaddr_t hi); // any in [lo, hi)?
vaddr_t regions_end(struct aspace *as, vaddr_t lo, vaddr_t hi); // first hole in [lo, hi); hi: there is none
static inline bool
regions_cover(struct aspace *as, vaddr_t lo, vaddr_t hi) // no hole in [lo, hi)?
{
  return regions_end(as, lo, hi) == hi;
}
// Highest free range of `len` bytes in [lo, hi) that leaves the stacks' guard gaps free; 0 if none. O(log n).
vaddr_t region_find_room(struct aspace *as, uint64_t len, vaddr_t lo, vaddr_t hi);
bool region_range_free(struct aspace *as, vaddr_t lo, vaddr_t hi);
bool aspace_range_free(struct aspace *as, vaddr_t lo, vaddr_t hi); // the same, for who does not hold as.lock
bool region_fits(struct aspace *as, vaddr_t lo, vaddr_t hi);       // free, and leaves the guard gap of a stack above
// Cut r in two at `at`; `spare` becomes the upper part. Takes r->obj->maplock.
void region_split(struct aspace *as, struct region *r, vaddr_t at, struct region *spare);
// Join r with its neighbours where they could be one region; returns the survivor.
struct region *region_merge(struct aspace *as, struct region *r);
// Take everything in [lo, hi) out of the tree onto `gone`, splitting at the ends with spare[0..1] (those used become
// 0). They stay on obj->mappers until regions_detach.
void regions_cut(struct aspace *as, vaddr_t lo, vaddr_t hi, struct region *spare[2], struct list *gone);
void regions_detach(struct list *gone);  // leave obj->mappers; as.lock still held for writing, translations gone
void regions_release(struct list *gone); // drop objects and tags, free: no lock held, may sleep
static inline uint64_t
region_index(const struct region *r, vaddr_t va) // the one place where an offset is computed
{
  return r->pgoff + ((va - r->start) >> PAGE_SHIFT);
}

// ---- aspace.c

enum { SLOT_LOCKS = 64 };
enum { STACK_GUARD = 256 * 4096 }; // bytes kept free below a region that grows down

struct aspace_limits { // bytes; UINT64_MAX: none. Copied in by proc when a limit changes.
  uint64_t as, data, stack, memlock;
};

struct aspace {
  struct rwlock lock;                // sleeps; rank 15; never held over disk I/O
  struct spinlock slots[SLOT_LOCKS]; // rank 60; striped: stretch number % SLOT_LOCKS
  struct rbtree regions;             // (A)
  uint64_t nregions;                 // (A)
  struct region *hint;               // (a) last one found, only under as.lock
  // (S) below a stretch; above it (a) to fill, (A) to empty: page number -> slot word
  struct radix anon;
  struct pmap *pmap;                              // (c)
  uint32_t seq;                                   // (A) bumped by every change of regions
  vaddr_t brk_start, brk;                         // (A)
  vaddr_t mmap_top;                               // (A) mmap places downward from here
  vaddr_t stack_top;                              // (A)
  vaddr_t arg_start, arg_end, env_start, env_end; // (A) for /proc/PID/cmdline
  struct aspace_limits limit;                     // (A)
  int map_flags; // (A) what every new region gets: REGION_LOCKED, REGION_ONFAULT after mlockall(MCL_FUTURE)
  uint64_t total_pages, data_pages, locked_pages, stack_pages; // (A)
  uint64_t nanon;                                              // (a) slots that hold a page
  uint64_t peak_pages, peak_rss;                               // (a) for VmPeak, VmHWM
  int ref;                                                     // (a) references to the structure
  int users;           // (a) processes that use it; the last one empties it (I7)
  bool reaped;         // (A) emptied by aspace_reap: no fault succeeds any more
  uint64_t doomed;     // (a) when all who use it were killed for its memory (proc/oom.c); 0: never
  unsigned membarrier; // (a) what membarrier(2) was registered for; fork copies it; mm itself never looks
  struct list all;     // (aslist.lock)
};

// Low bits of a slot word. The first two are reserved from the first day; CLEAN: not stored to since aspace_soft_clear.
enum { SLOT_SWAPPED = 1, SLOT_HUGE = 2, SLOT_CLEAN = 4, SLOT_BITS = 7 };

struct aspace *aspace_create(void);           // users 1; 0 if no memory
struct aspace *aspace_use(struct aspace *as); // one user more (CLONE_VM)
// one less; the last unmaps everything. May sleep; as is not loaded by the caller's CPU any more than lazily
void aspace_unuse(struct aspace *as);
struct aspace *aspace_get(struct aspace *as); // keeps only the structure (for /proc)
void aspace_put(struct aspace *as);
struct spinlock *aspace_slot_lock(struct aspace *as, vaddr_t va);
void aspace_setup(void);                       // mm_init's: caches
struct aspace *aspace_each(struct aspace *as); // the next in the list of all, referenced; puts `as` (0: the first)
// May `pages` more of this kind be mapped? 0, -ENOMEM, -EAGAIN (limit.memlock).
int aspace_room(struct aspace *as, uint64_t pages, int prot, int flags) REQUIRES_READ(as->lock);
// Take pages and translations out of [lo, hi); the caller finishes sd. false: there were none.
bool aspace_zap(struct aspace *as, vaddr_t lo, vaddr_t hi, struct shootdown *sd) REQUIRES(as->lock);
// first address that may have a slot or an entry, or hi
vaddr_t aspace_next(struct aspace *as, vaddr_t va, vaddr_t hi);
// Take [lo, hi) out: regions onto `gone`, pages and translations away. false: there were none, so nothing to prune.
bool aspace_cut(struct aspace *as, vaddr_t lo, vaddr_t hi, struct region *spare[2], struct list *gone)
    REQUIRES(as->lock);
struct aspace_part { // one mapped piece of a range
  vaddr_t lo, hi;
  struct mobj *obj; // referenced; 0: none
  void *tag;        // referenced; 0: none
  uint64_t idx;     // obj's page behind lo
  int flags, prot, maxprot;
};
// The first mapped piece of [lo, hi); -ENOMEM into *err where something is missing before it. false: none is left.
// aspace_part_put when done.
bool aspace_part(struct aspace *as, vaddr_t lo, vaddr_t hi, struct aspace_part *part, int *err);
void aspace_part_put(struct aspace_part *part);
// nodes and tables nothing needs any more
void aspace_prune(struct aspace *as, vaddr_t lo, vaddr_t hi) REQUIRES(as->lock);
uint64_t aspace_rss(struct aspace *as); // pages: the larger of slots in use and entries present
// Unmap [lo, hi). 0 or -ENOMEM, then nothing changed. Holds no lock; sleeps.
int aspace_unmap(struct aspace *as, vaddr_t lo, vaddr_t hi);
// shmdt: every piece of the first mapping of a wanted tag whose object's page 0 is, or was, at `at`. -EINVAL: there is
// none. -EPERM: sealed.
int aspace_unmap_attached(struct aspace *as, vaddr_t at, bool (*wanted)(const void *tag));
int aspace_unmap_locked(struct aspace *as, vaddr_t lo, vaddr_t hi, struct region *spare[2], struct list *gone)
    REQUIRES(as->lock);
// fork. 0: *child is a new space that shares every page copy-on-write. -ENOMEM, -EINTR; nothing changed then.
int aspace_fork(struct aspace *parent, struct aspace **child);
void aspace_check(struct aspace *as); // check.c: panics if I1..I5 do not hold; takes as.lock for writing
void mobj_check(struct mobj *obj);
// Debug kernels check a program's space and the objects in it at every check_every-th end of a call or trap (option
// check=N; 0: never). Holds nothing.
#ifdef DEBUG
extern uint64_t check_every; // (c) after start
void check_now_and_then(struct aspace *as);
#else
#define check_now_and_then(as) ((void)(as))
#endif

// ---- fault.c

enum { FAULT_RETRY = 1 };
struct fault_stats {
  uint64_t minor, major, cow, zero, file;
}; // (a) totals since start, for /proc/vmstat
extern struct fault_stats fault_stats;
// Resolve one fault at va for access `want` (PROT_R, PROT_W or PROT_X). Holds nothing, interrupts on; sleeps. 0: try
// again, it works now. -EFAULT: no mapping. -EACCES: not permitted. -EIO: the object cannot give the page (past its
// end, disk error, no space): SIGBUS. -ENOMEM. -EINTR: being killed. *major (may be 0): waited for the disk.
int fault(struct aspace *as, vaddr_t va, int want, bool *major);

// ---- anon.c (slots; all under the stretch's slot lock)

struct page *anon_get(struct aspace *as, vaddr_t va); // borrowed; 0: empty
// takes over the reference; false: too few nodes
bool anon_set(struct aspace *as, vaddr_t va, struct page *pg, struct spare *spare);
// slot is not empty: the old page, now the caller's
struct page *anon_replace(struct aspace *as, vaddr_t va, struct page *pg);
bool anon_exclusive(struct page *pg);                            // may it be written in place?
bool anon_is_clean(struct aspace *as, vaddr_t va);               // does the slot have SLOT_CLEAN?
void anon_touched(struct aspace *as, vaddr_t va);                // a store is about to happen: it has not any more
void anon_mark_clean(struct aspace *as, vaddr_t lo, vaddr_t hi); // filled slots, one stretch at most
int anon_need(struct aspace *as, vaddr_t va);                    // nodes that anon_set would take; as.lock suffices
bool anon_filled(struct aspace *as, vaddr_t va);                 // a hint, without the slot lock
// first address with a page in [va, hi), or hi; as.lock suffices
vaddr_t anon_next(struct aspace *as, vaddr_t va, vaddr_t hi);
struct page *anon_take(struct aspace *as, vaddr_t va); // empty one slot: its page is the caller's; 0 if it was empty
// fork; one leaf
void anon_share(struct aspace *parent, struct aspace *child, vaddr_t lo, vaddr_t hi, struct spare *spare);
bool anon_reserve(struct aspace *as, vaddr_t va, struct spare *spare); // make the nodes for va; false: too few
// give back empty nodes where nothing is mapped
void anon_prune(struct aspace *as, vaddr_t lo, vaddr_t hi) REQUIRES(as->lock);
// Empty the slots of [lo, hi), one stretch at most; pages go to sd (stops when it is full): the first address not
// done.
vaddr_t anon_drop(struct aspace *as, vaddr_t lo, vaddr_t hi, struct shootdown *sd);

// ---- mmap.c: map, protect, brk

// where; MAP_EXACT replaces, MAP_EXACT_EMPTY is -EEXIST
enum map_how { MAP_HINT, MAP_EXACT, MAP_EXACT_EMPTY, MAP_LOW32 };
struct map_request {
  vaddr_t addr;             // page aligned
  uint64_t len;             // page aligned, not 0
  int prot, maxprot, flags; // enum prot, enum region_flag
  enum map_how how;
  // one reference is taken on success; 0: anonymous private. Shared anonymous: the caller makes a shm.
  struct mobj *obj;
  uint64_t pgoff;
  void *tag; // taken with region_tags->get on success
};
// Record a region; touches no page. *at: where. -ENOMEM (room, limit, count), -EEXIST, -EINVAL, -EPERM (below
// MMAP_MIN).
int aspace_map(struct aspace *as, const struct map_request *rq, vaddr_t *at);
// -ENOMEM: a hole, -EACCES. Locked private memory that becomes writable gets its copies now; may sleep.
int aspace_protect(struct aspace *as, vaddr_t lo, vaddr_t hi, int prot, bool growsdown);
vaddr_t aspace_brk(struct aspace *as, vaddr_t want); // the break now: `want`, or the old one
// Make every page of [lo, hi) present for `want`. First error; holes -ENOMEM.
int aspace_populate(struct aspace *as, vaddr_t lo, vaddr_t hi, int want);
extern uint64_t vm_max_map_count;
extern uint64_t vm_mmap_min; // (a) nothing is mapped below; /proc/sys/vm/mmap_min_addr

// ---- commit.c

enum { OVERCOMMIT_GUESS, OVERCOMMIT_ALWAYS, OVERCOMMIT_NEVER };
extern uint64_t vm_overcommit, vm_overcommit_ratio, vm_overcommit_kbytes; // (a) /proc/sys/vm
bool commit_allows(const struct aspace *as,
                   uint64_t pages); // may so much more be promised? as 0: to nobody. Needs as.lock
void commit_add(int64_t pages);     // it is; negative: no more
uint64_t vm_committed(void);        // pages
uint64_t vm_commit_limit(void);     // pages
void commit_ratio_set(void);        // one of the two was set: the other counts no more
void commit_kbytes_set(void);

// ---- mremap.c, advise.c, sync.c

enum { REMAP_MAYMOVE = 1, REMAP_FIXED = 2, REMAP_DONTUNMAP = 4 };
int aspace_remap(struct aspace *as, vaddr_t old, uint64_t old_len, uint64_t new_len, int flags, vaddr_t fixed,
                 vaddr_t *at);
// MADV_DONTNEED; -ENOMEM hole, -EINVAL locked
int aspace_discard(struct aspace *as, vaddr_t lo, vaddr_t hi);
// Linux's MADV_* numbers.
int aspace_advise(struct aspace *as, vaddr_t lo, vaddr_t hi, int advice);
// Flags of every region in [lo, hi): mlock, munlock, mseal. -ENOMEM: a hole (the mapped parts were done), or no memory.
// -EAGAIN: too many regions.
int aspace_set_flags(struct aspace *as, vaddr_t lo, vaddr_t hi, int set, int clear);
int aspace_set_flags_until_hole(struct aspace *as, vaddr_t lo, vaddr_t hi, int set, int clear); // what follows it stays
// mincore: one byte a page, kernel buffer
int aspace_resident(struct aspace *as, vaddr_t lo, vaddr_t hi, uint8_t *vec);
int aspace_sync(struct aspace *as, vaddr_t lo, vaddr_t hi, bool wait); // msync; -ENOMEM hole

// ---- softdirty.c: what /proc says of single pages

struct page_state {
  bool present, anon, zero; // zero: the shared page of zeros
  bool dirty, used, soft_dirty;
  uint64_t number, sharers; // of the frame; slots that name it, or entries of it
};
// Of va in r. Needs as.lock; takes obj->maplock.
void aspace_page_state(struct aspace *as, struct region *r, vaddr_t va, struct page_state *st) REQUIRES_READ(as->lock);
void aspace_soft_clear(struct aspace *as); // from now on nothing was stored to
enum use_of { USE_OF_ALL, USE_OF_ANON, USE_OF_OBJECTS };
// Forget that the program touched pages of [lo, hi), of regions without or with an object.
void aspace_forget_use(struct aspace *as, vaddr_t lo, vaddr_t hi, enum use_of which);

// ---- reap.c
// Take the private pages of a space none of whose users will run its program again; faults are -EIO from then on. Waits for no
// memory and for no lock but spin locks: false, nothing done, if as.lock is taken. held, perhaps: sleeping locks of any rank
bool aspace_reap(struct aspace *as);

// ---- pin.c: the kernel's access to a program's memory
// The kernel never faults on user memory: these look in the pmap under the slot lock, and call fault() themselves when
// the entry is not there or too narrow. Hold no spin lock, no inode lock of a mapped file below RANK_ASPACE's rule,
// nothing above it.

// 0 or -EFAULT (also for -EACCES, -EIO; I03), -ENOMEM, -EINTR. On an error some bytes may have been moved: *done says
// how many (may be 0).
int copyin(struct aspace *as, void *dst, vaddr_t src, size_t n, size_t *done);
int copyout(struct aspace *as, vaddr_t dst, const void *src, size_t n, size_t *done);
int zeroout(struct aspace *as, vaddr_t dst, size_t n, size_t *done);
// A string of at most `size` bytes with its NUL: its length, -ENAMETOOLONG, -EFAULT.
int64_t copyin_string(struct aspace *as, char *dst, vaddr_t src, size_t size);
// Reference the page at va, present for `want` (FOR_READ only for the source of write(2)). page_put when done.
int pin(struct aspace *as, vaddr_t va, enum mobj_access how, struct page **pp);
// The word at va (4-aligned) if it can be read without waiting, under the slot lock: 0, or -EFAULT: fault in and try
// again.
int peek_u32(struct aspace *as, vaddr_t va, uint32_t *value);
// Compare-and-swap on a user word, without waiting. 0 and *old = what was there; -EFAULT: fault in (PROT_W), try
// again.
int cas_u32(struct aspace *as, vaddr_t va, uint32_t *old, uint32_t want);
// Identity of a futex word: shared object and byte offset, or address space and address. *obj is not referenced.
int futex_key(struct aspace *as, vaddr_t va, bool private_, const void **obj, uint64_t *off);

// ---- reclaim.c

void reclaim_start(void);        // the thread that keeps some frames free
void reclaim_kick(void);         // frames are short; any context
uint64_t reclaim_progress(void); // grows as long as anybody makes memory free, or clean so that it can be
// Free up to n frames from clean cached pages: how many. Holds nothing; sleeps.
uint64_t reclaim_now(uint64_t n);
// Others who can free memory: called by the reclaim thread, holding nothing, with a number of things wanted; how many
// it let go.
void reclaim_register(uint64_t (*shrink)(uint64_t n));
bool thrashing(void); // thrash.c: full, whatever reclaim still finds; a waiter's look, which it says once in a while
void mm_init(void);   // caches, zero page, lists; after frame_add
