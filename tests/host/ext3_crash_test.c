// ext3_crash_test.c -- ext3 over a disk that loses what was not flushed: every kind of state after a power cut, thousands a
// second. The workload and the judge are those of the guest (tests/crash/scenes.c, model.c); here they run over the kernel's
// own methods, in one thread, with requests that end in random order, and the recovery is a mount by our own code, after which
// a strict check (ext3_fsck.c) must find nothing at all.
//
//   SEED=17 build/host/ext3_crash                         that one seed
//   SEED=1 SEEDS=100 STATES=2000 build/host/ext3_crash    many; build/crash/ext3_crash is the same without sanitizers
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "../crash/log.h"
#include "../crash/model.h"
#include "../crash/scenes.h"
#include "ext3_image.h"
#include "fake_disk.h"
#include "fs/ext3/ext3.h"
#include "fs/journal/journal.h"
#include "fs_fakes.h"
#include "hosttree.h"
#include "lib/fmt.h"
#include "test.h"

enum {
  FULL_OPS = 200,
  FULL_QUOTA = 8 << 20,
  FULL_LEFT = 60, // blocks
  PROCS = 3,
  TURN = 6,
  REASON = 600,
  KINDS = 6,
  KIND_BUT_ONE = 4
};
static const char *const kind_name[KINDS] = {"prefix", "none", "some", "torn", "but-one", "one"};

static struct fake_disk disk, scratch; // what the workload uses; what a state is recovered on
static struct fs *fs;
static unsigned char *base; // what mke2fs made
static char said[1024];     // what the kernel printed last

static struct told *told;
static int ntold, told_room;
static int found_full; // operations that found no space, in the last recording

void
vprint(const char *f, va_list ap)
{
  vfmt(said, sizeof(said), f, ap);
}

// The journal's thread cannot run next to us: whoever would wait for it does its work.
int __real_journal_start(struct journal *j, bool thread);
int __wrap_journal_start(struct journal *j, bool thread);

int
__wrap_journal_start(struct journal *j, bool thread)
{
  return __real_journal_start(j, false);
}

static unsigned
next_random(unsigned *seed)
{
  *seed = *seed * 1664525u + 1013904223u;
  return *seed >> 8;
}

// ---- the workload's calls

static struct namectx
names(void)
{
  static const struct cred root = {.ref = 1, .cap_effective = UINT64_MAX, .cap_permitted = UINT64_MAX};

  return (struct namectx){.root = fs->root, .cwd = fs->root, .cred = &root};
}

static void
host_fact(void *ctx, const struct fact *f)
{
  if(ntold == told_room) {
    told_room = told_room ? 2 * told_room : 1024;
    told = realloc(told, told_room * sizeof(*told));
  }
  told[ntold++] = (struct told){disk.events - 1, *f};
}

static int
host_open(void *ctx, const char *path, void **file)
{
  struct namectx c = names();

  return vfs_open(&c, 0, path, O_RDWR, 0, (struct file **)file);
}

static int
host_create(void *ctx, const char *path, void **file, uint64_t *ino)
{
  struct namectx c = names();
  int err = vfs_open(&c, 0, path, O_RDWR | O_CREAT | O_EXCL, 0644, (struct file **)file);

  if(!err)
    *ino = ((struct file *)*file)->inode->ino;
  return err;
}

static void
host_close(void *ctx, void *file)
{
  file_put(file);
  inode_flush_later();
}

static int64_t
host_write_file(void *ctx, void *file, const void *p, size_t n, uint64_t off, unsigned flags)
{
  struct file *f = file;
  unsigned before = f->flags;
  struct iovec one;
  struct uio u;
  int64_t done;

  f->flags |= (flags & WRITE_SYNC ? O_SYNC : flags & WRITE_DSYNC ? O_DSYNC : 0) | (flags & WRITE_APPEND ? O_APPEND : 0);
  uio_kernel(&u, &one, (void *)p, n);
  done = file_write(f, &u, &off);
  f->flags = before;
  return done;
}

static int
host_fsync(void *ctx, void *file, int data_only)
{
  return file_fsync(file, data_only);
}

static uint64_t
host_mtime(void *ctx, void *file)
{
  struct stat_info st;

  inode_stat(((struct file *)file)->inode, &st);
  return st.mtime.sec * 1000000000ull + st.mtime.nsec;
}

static int
host_truncate(void *ctx, void *file, uint64_t size)
{
  return vfs_truncate(((struct file *)file)->inode, size, 0);
}

static int
host_fallocate(void *ctx, void *file, int punch, uint64_t off, uint64_t len)
{
  return vfs_fallocate(file, punch ? FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE : 0, off, len);
}

// A mapping without an address space: what a fault does to a page, then stores into it.
static int
host_mmap(void *ctx, void *file, uint64_t len, void **map)
{
  *map = file_get(file);
  return 0;
}

static void
host_munmap(void *ctx, void *map, uint64_t len)
{
  file_put(map);
}

static int
host_store(void *ctx, void *map, const void *p, size_t n, uint64_t off)
{
  struct mobj *obj = &((struct file *)map)->inode->obj;
  const char *from = p;

  while(n > 0) {
    uint64_t in = off % PAGE_SIZE, some = min((uint64_t)n, PAGE_SIZE - in);
    struct page *pg;
    int err = mobj_page(obj, off / PAGE_SIZE, FOR_WRITE, &pg);

    if(err)
      return err;
    memcpy((char *)page_va(pg) + in, from, some);
    mobj_dirty(obj, pg);
    page_busy_clear(pg);
    page_put(pg);
    obj->ops->touched(obj);
    off += some;
    from += some;
    n -= some;
  }
  return 0;
}

static int
host_msync(void *ctx, void *map, uint64_t off, uint64_t len)
{
  struct mobj *obj = &((struct file *)map)->inode->obj;
  int err = mobj_sync(obj, off / PAGE_SIZE, (off + len + PAGE_SIZE - 1) / PAGE_SIZE), e = obj->ops->commit(obj);

  return err ? err : e;
}

static int
host_dirsync(void *ctx, const char *dir)
{
  struct namectx c = names();
  struct file *f;
  int err = vfs_open(&c, 0, dir, O_RDONLY | O_DIRECTORY, 0, &f);

  if(err)
    return err;
  err = file_fsync(f, false);
  file_put(f);
  return err;
}

static int
host_sync(void *ctx)
{
  int err = inode_sync_fs(fs), e = fs->ops->sync(fs);

  return err ? err : e;
}

static int
host_rename(void *ctx, const char *from, const char *to)
{
  struct namectx c = names();
  int err = vfs_rename(&c, 0, from, 0, to, 0);

  inode_flush_later();
  return err;
}

static int
host_link(void *ctx, const char *from, const char *to)
{
  struct namectx c = names();

  return vfs_link(&c, 0, from, 0, 0, to);
}

static int
host_unlink(void *ctx, const char *path)
{
  struct namectx c = names();
  int err = vfs_unlink(&c, 0, path);

  inode_flush_later();
  return err;
}

static int
host_symlink(void *ctx, const char *text, const char *path)
{
  struct namectx c = names();

  return vfs_symlink(&c, text, 0, path);
}

static int
host_mkdir(void *ctx, const char *path)
{
  struct namectx c = names();

  return vfs_mkdir(&c, 0, path, 0755);
}

static int
host_rmdir(void *ctx, const char *path)
{
  struct namectx c = names();

  return vfs_rmdir(&c, 0, path);
}

static const struct scene_ops host_ops = {
    .fact = host_fact,
    .create = host_create,
    .open = host_open,
    .close = host_close,
    .write = host_write_file,
    .fsync = host_fsync,
    .mtime = host_mtime,
    .truncate = host_truncate,
    .fallocate = host_fallocate,
    .map = host_mmap,
    .unmap = host_munmap,
    .store = host_store,
    .msync = host_msync,
    .dirsync = host_dirsync,
    .sync = host_sync,
    .rename = host_rename,
    .link = host_link,
    .unlink = host_unlink,
    .symlink = host_symlink,
    .mkdir = host_mkdir,
    .rmdir = host_rmdir,
};

// ---- the world

// An image with the workload's directories, and a file of so many blocks; 0.
static unsigned char *
image_make(uint32_t filler)
{
  char tree[200], image[200];
  uint64_t size;

  sprintf(tree, "%s/crash", host_tmp());
  sprintf(image, "%s/crash%u.img", host_tmp(), filler);
  if(host_run("mkdir -p %s/w/shared && for i in 0 1 2; do mkdir -p %s/w/p$i/many; done && "
              "head -c %lu /dev/urandom >%s/filler && "
              "mke2fs -q -F -t ext3 -b 4096 -I 256 -N 512 -m 0 -O none,has_journal,filetype,sparse_super,large_file -J "
              "size=4 -d %s %s 9M >/dev/null 2>&1",
              tree, tree, (unsigned long)filler * EXT3_BLOCK, tree, tree, image) != 0) {
    test_fail(__FILE__, __LINE__, "mke2fs did not make an image");
    return 0;
  }
  return host_map(image, &size);
}

static bool
world(bool full)
{
  static unsigned char *empty, *filled;

  if(empty == 0) {
    mallopt(M_MMAP_THRESHOLD, 1 << 30); // disks come and go by the thousand: their memory stays ours
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    fs_world();
    fake_idle = fake_disks_idle;
    empty = image_make(0);
  }
  if(full && empty && filled == 0)
    filled = image_make(((struct image_super *)(empty + EXT3_SUPER_OFFSET))->free_blocks - FULL_LEFT);
  base = full ? filled : empty;
  return base != 0;
}

static uint64_t
image_bytes(void)
{
  return ((struct image_super *)(base + EXT3_SUPER_OFFSET))->blocks * (uint64_t)EXT3_BLOCK;
}

// Not fs_unmount, which knows another kind of disk.
static void
unmount(struct fs *x)
{
  inode_sync_fs(x); // what is dirty keeps its inode
  inode_flush_later();
  dentry_forget_fs(x);
  inode_flush_later();
  if(x->root->ref != 1 || x->ref != 2 || x->ninodes != 1)
    panic("%s: root has %d references, fs %d, and %lu inodes are in memory", x->source, x->root->ref, x->ref,
          x->ninodes);
  dentry_put(x->root);
  inode_flush_later();
  x->ops->unmount(x);
  fs_put(x);
}

// One of the files is written back, as the write-back thread would.
static void
write_back_some(unsigned *seed)
{
  struct mobj *obj = mobj_dirty_oldest(UINT64_MAX);

  if(obj == 0)
    return;
  if(next_random(seed) % 2)
    mobj_write_back(obj, 0, UINT64_MAX >> PAGE_SHIFT);
  mobj_put(obj);
  inode_flush_later();
}

static bool
record(unsigned seed, unsigned ops, uint64_t quota)
{
  static struct scenes s[PROCS];
  unsigned random = seed;
  bool more = true;

  fake_disk_init(&disk, "vda", image_bytes());
  memcpy(disk.bytes, base, disk.size);
  fake_disk_record(&disk);
  disk.later = true;
  disk.seed = seed | 1;
  ntold = found_full = 0;
  if(fs_mount_ext3("/dev/vda", &fs) != 0) {
    test_fail(__FILE__, __LINE__, "seed %u: cannot be mounted: %s", seed, said);
    return false;
  }
  for(int i = 0; i < PROCS; i++)
    scenes_init(&s[i], &host_ops, 0, i, seed, quota);
  while(more) {
    more = false;
    for(int i = 0; i < PROCS; i++) {
      uint32_t before = s[i].op;

      scenes_run(&s[i], min(before + 1 + next_random(&random) % TURN, ops));
      more |= s[i].op < ops && s[i].op > before;
    }
    if(next_random(&random) % 4 == 0)
      write_back_some(&random);
    fake_now += 100000000ull * (next_random(&random) % 10); // transactions and pages grow old
  }
  for(int i = 0; i < PROCS; i++) {
    scenes_close(&s[i]);
    found_full += s[i].full;
    if(s[i].errors)
      test_fail(__FILE__, __LINE__, "seed %u: process %d: %d operations failed", seed, i, s[i].errors);
  }
  unmount(fs);
  disk.recording = false;
  return true;
}

// ---- states

// scratch.bytes is kept equal to what is durable, but for these blocks: copying all of it would be most of the work.
static bool *touched;

static void
touch(uint64_t sector, uint64_t sectors)
{
  for(uint64_t b = sector / EXT3_SECTORS; b * EXT3_SECTORS < sector + sectors; b++)
    touched[b] = true;
}

static void
scratch_submitted(struct fake_disk *d, struct blkreq *r)
{
  if(r->op == BLK_WRITE)
    touch(r->sector, blk_bytes(r) / BLK_SECTOR);
}

static void
scratch_restore(const struct fake_crash *c)
{
  for(uint64_t b = 0; b < disk.size / EXT3_BLOCK; b++)
    if(touched[b]) {
      memcpy(scratch.bytes + b * EXT3_BLOCK, c->durable + b * EXT3_BLOCK, EXT3_BLOCK);
      touched[b] = false;
    }
}

static void
scratch_start(const struct fake_crash *c)
{
  fake_disk_init(&scratch, "vdb", disk.size);
  memcpy(scratch.bytes, c->durable, disk.size);
  scratch.later = true; // the recovery's requests end in any order too
  scratch.submitted = scratch_submitted;
  free(touched);
  touched = calloc(disk.size / EXT3_BLOCK, sizeof(*touched));
}

// All writes of this recording that are not durable yet, and those that have just become so.
static void
touch_open(const struct fake_crash *c)
{
  for(int i = c->first; i < disk.nwrites && disk.write[i].asked <= c->event; i++)
    touch(disk.write[i].sector, disk.write[i].sectors);
}

static void
build_one(struct fake_crash *c, bool only, unsigned *seed)
{
  int n = fake_crash_pending(c), which = n ? (int)(next_random(seed) % n) : 0;

  for(int i = c->first; i < disk.nwrites && disk.write[i].asked <= c->event; i++) {
    const struct fake_write *w = &disk.write[i];

    if(w->durable > c->event && (which-- == 0) == only)
      memcpy(scratch.bytes + w->sector * BLK_SECTOR, w->data, w->sectors * BLK_SECTOR);
  }
}

static const char *
recover(void)
{
  static char text[REASON];
  struct fs *x;
  int err;

  said[0] = 0;
  err = fs_mount_ext3("/dev/vdb", &x);
  if(err) {
    snprintf(text, sizeof(text), "cannot be mounted (%d): %s", err, said);
    return text;
  }
  unmount(x);
  return fsck_image(scratch.bytes, scratch.size, 0, text, sizeof(text)) ? text : 0;
}

static const char *
state_check(struct model *m, struct fake_crash *c, int kind, unsigned seed)
{
  struct image im;
  const char *why;

  seed |= 1;
  scratch_restore(c);
  touch_open(c);
  if(kind < KIND_BUT_ONE)
    fake_crash_apply(c, scratch.bytes, (enum crash_how)kind, &seed);
  else
    build_one(c, kind != KIND_BUT_ONE, &seed);
  if((why = recover()) != 0)
    return why;
  image_open(&im, scratch.bytes, scratch.size);
  return model_check(m, &im);
}

struct tally {
  int states, bad;
};

enum { LOUD, QUIET, QUIET_EARLY }; // tell each bad state; a control; the same, and syncs are done when they begin

// About n states of what was recorded.
static void
explore(struct tally *t, unsigned seed, int n, int how)
{
  struct model *m = model_new();
  struct fake_crash c;
  unsigned random = seed * 7919;
  int next = 0;

  fake_crash_begin(&c, &disk);
  scratch_start(&c);
  for(;;) {
    touch_open(&c); // those that become durable now
    if(!fake_crash_next(&c))
      break;
    int here = (int)(((long)(c.event + 1) * n) / disk.events - ((long)c.event * n) / disk.events);

    for(; next < ntold && told[next].event <= c.event; next++)
      if(!model_fact(m, &told[next].fact, how == QUIET_EARLY))
        test_fail(__FILE__, __LINE__, "seed %u: fact %d makes no sense", seed, next);
    for(int i = 0; i < here; i++) {
      unsigned s = next_random(&random);
      int kind = (int)(next_random(&random) % KINDS);
      const char *why = state_check(m, &c, kind, s);

      t->states++;
      t->bad += why != 0;
      if(why && how == LOUD && t->bad <= 5)
        test_fail(__FILE__, __LINE__, "seed %u, event %d of %d, %s %u: %s", seed, c.event, disk.events, kind_name[kind],
                  s, why);
    }
  }
  fake_crash_end(&c);
  model_free(m);
}

static unsigned
setting(const char *name, unsigned otherwise)
{
  const char *s = getenv(name);

  return s ? strtoul(s, 0, 0) : otherwise;
}

static void
many(unsigned ops, uint64_t quota, bool full)
{
  unsigned seed = setting("SEED", 1), seeds = setting("SEEDS", getenv("SEED") ? 1 : 3), states = setting("STATES", 300);
  struct timespec from, to;
  struct tally t = {0};

  need(world(full));
  clock_gettime(CLOCK_MONOTONIC, &from);
  for(unsigned i = 0; i < seeds && t.bad == 0; i++) {
    if(!record(seed + i, ops, quota))
      return;
    explore(&t, seed + i, states, LOUD);
  }
  clock_gettime(CLOCK_MONOTONIC, &to);
  printf("  %d states of %u recordings, %d bad, %.0f a second\n", t.states, seeds, t.bad,
         t.states / ((to.tv_sec - from.tv_sec) + (to.tv_nsec - from.tv_nsec) / 1e9 + 1e-9));
}

TEST(states_after_a_power_cut)
{
  many(150, 200 << 10, false);
}

TEST(states_of_a_full_disk)
{
  many(FULL_OPS, FULL_QUOTA, true);
  printf("  %d operations of the last found no space\n", found_full);
  expect(found_full > 0);
}

// ---- controls

TEST(ignored_flushes_are_found)
{
  struct tally t = {0};

  need(world(false));
  need(record(1, 60, 200 << 10));
  for(int i = 0; i < disk.nwrites; i++)
    disk.write[i].durable = INT32_MAX;
  explore(&t, 1, 100, QUIET);
  printf("  %d of %d states bad\n", t.bad, t.states);
  expect(t.bad > t.states / 10);
}

TEST(early_commit_records_are_found)
{
  struct tally t = {0};

  need(world(false));
  need(record(1, 60, 200 << 10));
  expect(log_commits_early(&disk) > 10);
  explore(&t, 1, 400, QUIET);
  printf("  %d of %d states bad\n", t.bad, t.states);
  expect(t.bad > 0);
}

TEST(syncs_that_return_early_are_found)
{
  struct tally t = {0};

  need(world(false));
  need(record(1, 60, 200 << 10));
  explore(&t, 1, 200, QUIET_EARLY);
  printf("  %d of %d states bad\n", t.bad, t.states);
  expect(t.bad > 0);
}
