// disk_random_test.c -- random calls on an ext3 that is written, and the same calls on this machine's own file system:
// results, attributes and contents must agree after each, and e2fsck must be content after each seed.
// A call that fails for want of space or memory is not made on the other side: it must have changed nothing.
// SEED=17 runs that one; SEED=1 SEEDS=1000 many; a failure names its seed, step and call. DISK_KEEP=file keeps the image.
#include <stdlib.h>
#include <string.h>
#include "disk_world.h"
#include "fs/internal.h"
#include "test.h"
#include "vfs_fakes.h"
#include "vfs_oracle.h"

enum { STEPS = 220, LIVES = 2, CALL = 700, BALLAST_LEAVE = 90, LONG = 250, BULK = 40 };

static const struct kind {
  const char *name, *options, *size;
  bool full;   // hardly any room
  bool hungry; // memory fails
  bool later;  // requests end when somebody waits
} kinds[] = {
    {"plain", "-N 512", "12M", false, false, false},          {"groups", "-g 256 -N 512", "16M", false, false, true},
    {"inode128", "-I 128 -N 512", "12M", false, false, true}, {"full", "-N 64", "12M", true, false, false},
    {"plain", "-N 512", "12M", false, true, false},           {"fullgroups", "-g 256 -N 512", "16M", true, true, false},
};
static const struct kind *kind;
static unsigned seed;
static char what[CALL]; // the call at hand
static struct file *open_file[ORACLE_FILES];
static struct file *ballast;

static unsigned
rnd(unsigned n)
{
  seed = seed * 1664525 + 1013904223;
  return (seed >> 8) % n;
}

// ---- what is asked for

static void
random_name(char *p)
{
  unsigned k = rnd(20);

  if(k < 13) {
    sprintf(p, "%c", 'a' + rnd(4));
  } else if(k < 19) {
    sprintf(p, "bulk%u", rnd(BULK));
    memset(p + strlen(p), 0, 1);
  } else {
    memset(p, 'L', LONG);
    sprintf(p + LONG, "%u", rnd(BULK));
  }
}

static void
random_path(char *p)
{
  int n = 1 + rnd(3);

  *p = 0;
  while(n--) {
    strcat(p, "/");
    random_name(p + strlen(p));
  }
}

// A place in a file: mostly near the start, sometimes where indirect blocks begin.
static uint64_t
random_offset(void)
{
  static const uint64_t edge[] = {12 * 4096, 1036 * 4096, (1036 + (1ull << 20)) * 4096};

  switch(rnd(8)) {
  case 0: return edge[rnd(3)] - 4 * 4096 + rnd(9 * 4096);
  case 1: return (uint64_t)rnd(200) * 4096;
  case 2: return 0;
  default: return rnd(60000);
  }
}

// ---- what is there

static uint64_t
our_sum(struct file *f, uint64_t size)
{
  static unsigned char buf[1 << 16];
  uint64_t lo, hi, sum = 0;
  int64_t n;

  for(int i = 0; oracle_part(size, i, &lo, &hi); i++)
    for(; lo < hi && (n = file_read_kernel(f, buf, min(hi - lo, (uint64_t)sizeof buf), lo)) > 0; lo += n)
      sum = oracle_sum(sum, buf, n);
  return sum;
}

static void
fill_stat(struct inode *ip, struct oracle_stat *out)
{
  struct stat_info st;

  inode_stat(ip, &st);
  *out = (struct oracle_stat){.mode = st.mode,
                              .nlink = st.nlink,
                              .uid = st.uid,
                              .gid = st.gid,
                              .size = S_ISTYPE(st.mode, S_IFDIR) ? 0 : st.size,
                              .rdev = (st.rdev >> 8 & 0xfff) << 32 | (st.rdev & 0xff) | (st.rdev >> 12 & 0xfff00),
                              .mtime = st.mtime.sec};
}

static int
our_stat(const char *path, struct oracle_stat *out)
{
  char text[4096];
  struct dentry *d;
  struct file *f;
  int64_t n;
  int err = namei(&root_ctx, 0, path, 0, &d);

  if(err)
    return err;
  fill_stat(d->inode, out);
  if(S_ISTYPE(out->mode, S_IFLNK) && (n = vfs_readlink(d, text, sizeof text)) > 0)
    out->sum = oracle_sum(0, (unsigned char *)text, n);
  if(S_ISTYPE(out->mode, S_IFREG) && file_open_dentry(d, O_RDONLY | O_NOATIME, 0, &f) == 0) {
    out->sum = our_sum(f, out->size);
    file_put(f);
  }
  dentry_put(d);
  return 0;
}

static bool
same_stat(const char *path, const struct oracle_stat *a, const struct oracle_stat *b)
{
  // Times of calls are those of two clocks; times that were set are long ago or far away.
  bool set = b->mtime < 1000000000 || b->mtime > 4000000000;

  if(a->mode == b->mode && a->nlink == b->nlink && a->uid == b->uid && a->gid == b->gid && a->size == b->size &&
     a->sum == b->sum && a->rdev == b->rdev && (!set || a->mtime == b->mtime))
    return true;
  test_fail(
      __FILE__, __LINE__,
      "%.300s: mode %o nlink %u owner %u:%u size %lu sum %lx rdev %lx mtime %ld; Linux: %o %u %u:%u %lu %lx %lx %ld",
      path, a->mode, a->nlink, a->uid, a->gid, a->size, a->sum, a->rdev, a->mtime, b->mode, b->nlink, b->uid, b->gid,
      b->size, b->sum, b->rdev, b->mtime);
  return false;
}

static bool
agree(const char *path)
{
  struct oracle_stat a = {0}, b = {0};
  int x = our_stat(path, &a), y = oracle_stat(path, false, &b);

  if(x != y) {
    test_fail(__FILE__, __LINE__, "%.300s: stat says %d, Linux %d", path, x, y);
    return false;
  }
  return x != 0 || same_stat(path, &a, &b);
}

struct names {
  uint64_t sum;
  int n;
  char (*name)[256];
};

static bool
add_name(void *arg, const char *name, size_t len, uint64_t ino, unsigned type, uint64_t next)
{
  struct names *l = arg;

  l->sum += oracle_sum(1, (const unsigned char *)name, len) * 7 + (type >> 12);
  memcpy(l->name[l->n], name, len);
  l->name[l->n++][len] = 0;
  return true;
}

// Everything below path is the same on both sides.
static bool
tree_agrees(const char *path)
{
  struct names l = {.name = malloc(256 * 400)};
  char below[4096];
  struct file *f;
  uint64_t sum = 0;
  bool ok = vfs_open(&root_ctx, 0, path, O_RDONLY | O_DIRECTORY, 0, &f) == 0;

  if(ok) {
    file_readdir(f, add_name, &l);
    file_put(f);
    ok = oracle_names(path, &sum) == l.n && sum == l.sum;
  }
  if(!ok)
    test_fail(__FILE__, __LINE__, "%.300s: %d names, Linux has %d, or others", path, l.n, oracle_names(path, &sum));
  for(int i = 0; i < l.n && ok; i++) {
    struct oracle_stat st;

    if(strcmp(l.name[i], ".") == 0 || strcmp(l.name[i], "..") == 0)
      continue;
    snprintf(below, sizeof below, "%s/%s", strcmp(path, "/") ? path : "", l.name[i]);
    ok = agree(below) && oracle_stat(below, false, &st) == 0 && (!S_ISTYPE(st.mode, S_IFDIR) || tree_agrees(below));
  }
  free(l.name);
  return ok;
}

// ---- calls: ours first. What is then done on the other side depends on what ours said.

// Did ours fail for a reason that the other side cannot have?
static bool
ours_alone(int64_t r)
{
  return r == -ENOSPC || (r == -ENOMEM && kind->hungry);
}

static int64_t
our_write(struct file *f, unsigned char fill, uint64_t pos, uint64_t n)
{
  char *buf = malloc(n + 1);
  struct iovec one;
  struct uio u;
  int64_t r;

  memset(buf, fill, n);
  uio_kernel(&u, &one, buf, n);
  r = file_write(f, &u, &pos);
  free(buf);
  return r;
}

// A write that stopped early: the other side writes as much.
static int64_t
both_write_file(int slot, int64_t *theirs)
{
  uint64_t pos = random_offset(), n = 1 + rnd(rnd(4) ? 9000 : 90000);
  unsigned char fill = 1 + rnd(255);
  int64_t r;

  snprintf(what, CALL, "write(file %d, %lu+%lu)", slot, pos, n);
  r = our_write(open_file[slot], fill, pos, n);
  *theirs = oracle_file_write(slot, fill, pos, r > 0 ? r : 0);
  *theirs = r < 0 && ours_alone(r) ? r : *theirs;
  return r;
}

static int64_t
both_open(const char *a, int64_t *theirs)
{
  static const unsigned extra[] = {O_EXCL, O_TRUNC, O_TRUNC, O_NOFOLLOW, 0, 0};
  unsigned flags = O_RDWR | (rnd(3) ? O_CREAT : 0) | extra[rnd(6)];
  int slot = rnd(ORACLE_FILES);
  struct oracle_stat st = {0};
  struct dentry *d;
  int64_t r;

  if(open_file[slot]) {
    if(rnd(2))
      return both_write_file(slot, theirs);
    snprintf(what, CALL, "close(file %d)", slot);
    file_put(open_file[slot]);
    open_file[slot] = 0;
    oracle_file_close(slot);
    return *theirs = 0;
  }
  if(rnd(6) == 0)
    flags = O_RDWR | O_TMPFILE;
  oracle_stat(a, true, &st);
  if(S_ISTYPE(st.mode, S_IFIFO) || S_ISTYPE(st.mode, S_IFCHR) || S_ISTYPE(st.mode, S_IFBLK))
    return *theirs = 0; // would wait, or reach a device
  snprintf(what, CALL, "open(%s, %#o) as file %d", a, flags, slot);
  r = vfs_open(&root_ctx, 0, a, flags, 0644, &open_file[slot]);
  *theirs = ours_alone(r) ? r : oracle_file_open(slot, a, flags, 0644);
  if(r < 0)
    open_file[slot] = 0;
  // Made, but there was no memory to open it: the name stays.
  if(r == -ENOMEM && (flags & O_CREAT) && namei(&root_ctx, 0, a, NAMEI_FOLLOW, &d) == 0) {
    dentry_put(d);
    oracle_open(a, O_CREAT | O_RDWR, 0644, 0, 0, 0);
  }
  if(r < 0 && *theirs >= 0)
    oracle_file_close(slot);
  return r;
}

static int64_t
both_with_file(const char *a, int64_t *theirs)
{
  int slot = rnd(ORACLE_FILES);
  uint64_t size = random_offset();
  int64_t r;

  if(open_file[slot] == 0)
    return both_open(a, theirs);
  switch(rnd(4)) {
  case 0:
    snprintf(what, CALL, "ftruncate(file %d, %lu)", slot, size);
    r = vfs_ftruncate(open_file[slot], size);
    *theirs = ours_alone(r) ? r : oracle_file_truncate(slot, size);
    return r;
  case 1:
    snprintf(what, CALL, "link(file %d, %s)", slot, a);
    r = vfs_link(&root_ctx, open_file[slot]->dentry, "", NAMEI_EMPTY, 0, a);
    *theirs = ours_alone(r) ? r : oracle_file_link(slot, a);
    return r;
  case 2:
    snprintf(what, CALL, "fsync(file %d)", slot);
    *theirs = 0;
    r = file_fsync(open_file[slot], rnd(2));
    return ours_alone(r) ? 0 : r;
  default: return both_write_file(slot, theirs);
  }
}

static int64_t
our_attr(const char *a, int flags, struct setattr *sa)
{
  struct dentry *d;
  int64_t r = namei(&root_ctx, 0, a, flags, &d);

  if(r == 0) {
    r = vfs_setattr(d->inode, sa, root_ctx.cred);
    dentry_put(d);
  }
  return r;
}

static int64_t
both_attr(const char *a, int64_t *theirs)
{
  static const int64_t when[] = {0, 1000, -86400, 4102444800, 2147483647, 0};
  struct setattr sa = {.set_mode = true, .mode = rnd(010000)};
  int64_t r;

  switch(rnd(3)) {
  case 0:
    snprintf(what, CALL, "chmod(%s, %o)", a, sa.mode);
    r = our_attr(a, NAMEI_FOLLOW, &sa);
    *theirs = ours_alone(r) ? r : oracle_chmod(a, sa.mode);
    return r;
  case 1:
    sa = (struct setattr){.set_uid = true, .set_gid = true, .uid = rnd(3) * 50000, .gid = rnd(3) * 40000};
    snprintf(what, CALL, "lchown(%s, %u, %u)", a, sa.uid, sa.gid);
    r = our_attr(a, 0, &sa);
    *theirs = ours_alone(r) ? r : oracle_lchown(a, sa.uid, sa.gid);
    return r;
  default:
    sa = (struct setattr){.set_atime = true, .set_mtime = true};
    sa.atime.sec = sa.mtime.sec = when[rnd(kind->name[0] == 'i' ? 3 : 5)];
    snprintf(what, CALL, "utimens(%s, %ld)", a, sa.mtime.sec);
    r = our_attr(a, 0, &sa);
    *theirs = ours_alone(r) ? r : oracle_mtime(a, sa.mtime.sec);
    return r;
  }
}

static int64_t
both_fallocate(const char *a, int64_t *theirs)
{
  static const unsigned modes[] = {0, FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE};
  unsigned mode = modes[rnd(3)];
  uint64_t off = random_offset(), n = 1 + rnd(mode ? 2000000 : 60000);
  struct oracle_stat st = {0};
  struct file *f;
  int64_t r;

  oracle_stat(a, true, &st);
  if(!S_ISTYPE(st.mode, S_IFREG) || (mode == FALLOC_KEEP_SIZE && off + n > st.size))
    return *theirs = 0;
  if(mode == FALLOC_KEEP_SIZE)
    n = min(n, 60000ul);
  snprintf(what, CALL, "fallocate(%s, %u, %lu+%lu)", a, mode, off, n);
  r = vfs_open(&root_ctx, 0, a, O_WRONLY, 0, &f);
  if(r == 0) {
    r = vfs_fallocate(f, mode, off, n);
    file_put(f);
  }
  *theirs = ours_alone(r) ? r : oracle_fallocate(a, mode, off, n);
  return r;
}

static int64_t
both_mknod(const char *a, int64_t *theirs)
{
  static const struct {
    unsigned mode, major, minor;
  } node[] = {{S_IFIFO | 0640, 0, 0},  {S_IFCHR | 0600, 5, 1},        {S_IFBLK | 0660, 8, 300},
              {S_IFSOCK | 0777, 0, 0}, {S_IFCHR | 06755, 300, 70000}, {S_IFREG | 02711, 0, 0}};
  unsigned k = rnd(6), hi = node[k].major, lo = node[k].minor;
  int64_t r;

  snprintf(what, CALL, "mknod(%s, %o)", a, node[k].mode);
  r = vfs_mknod(&root_ctx, 0, a, node[k].mode, (lo & 0xff) | hi << 8 | (uint64_t)(lo & ~0xffu) << 12);
  *theirs = ours_alone(r) ? r : oracle_mknod(a, node[k].mode, hi, lo);
  return r;
}

static int64_t
both_rename(const char *a, const char *b, int64_t *theirs)
{
  static const unsigned how[] = {0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE};
  unsigned flags = how[rnd(5)];
  int64_t r;

  snprintf(what, CALL, "rename(%s, %s, %u)", a, b, flags);
  r = vfs_rename(&root_ctx, 0, a, 0, b, flags);
  *theirs = ours_alone(r) ? r : oracle_rename(a, b, flags);
  return r;
}

static int64_t
both_symlink(const char *a, int64_t *theirs)
{
  char to[3000];
  int n = 1 + rnd(rnd(3) ? 62 : 2900);
  int64_t r;

  memset(to, 'x', n);
  to[n] = 0;
  snprintf(what, CALL, "symlink(%d bytes, %s)", n, a);
  r = vfs_symlink(&root_ctx, to, 0, a);
  *theirs = ours_alone(r) ? r : oracle_symlink(to, a);
  return r;
}

static int64_t
both_truncate(const char *a, int64_t *theirs)
{
  uint64_t size = random_offset();
  struct dentry *d;
  int64_t r = namei(&root_ctx, 0, a, NAMEI_FOLLOW, &d);

  snprintf(what, CALL, "truncate(%s, %lu)", a, size);
  if(r == 0) {
    r = vfs_truncate(d->inode, size, root_ctx.cred);
    dentry_put(d);
  }
  *theirs = ours_alone(r) ? r : oracle_truncate(a, size);
  return r;
}

static int64_t
both_remove(const char *a, int64_t *theirs)
{
  bool dir = rnd(2);
  int64_t r;

  snprintf(what, CALL, "%s(%s)", dir ? "rmdir" : "unlink", a);
  r = dir ? vfs_rmdir(&root_ctx, 0, a) : vfs_unlink(&root_ctx, 0, a);
  *theirs = ours_alone(r) ? r : dir ? oracle_rmdir(a) : oracle_unlink(a);
  return r;
}

static int64_t
both(const char *a, const char *b, int64_t *theirs)
{
  int64_t r;

  switch(rnd(20)) {
  case 0:
  case 1:
  case 2:
    snprintf(what, CALL, "mkdir(%s)", a);
    r = vfs_mkdir(&root_ctx, 0, a, 0755);
    *theirs = ours_alone(r) ? r : oracle_mkdir(a);
    return r;
  case 3:
  case 4:
  case 5: return both_remove(a, theirs);
  case 6:
    snprintf(what, CALL, "link(%s, %s)", a, b);
    r = vfs_link(&root_ctx, 0, a, 0, 0, b);
    *theirs = ours_alone(r) ? r : oracle_link(a, b, false);
    return r;
  case 7: return both_symlink(a, theirs);
  case 8:
  case 9:
  case 10: return both_rename(a, b, theirs);
  case 11: return both_truncate(a, theirs);
  case 12: return both_attr(a, theirs);
  case 13: return both_fallocate(a, theirs);
  case 14: return both_mknod(a, theirs);
  case 15:
  case 16: return both_with_file(a, theirs);
  default: return both_open(a, theirs);
  }
}

// ---- a seed

static bool
files_agree(void)
{
  struct oracle_stat a, b;
  char name[20];

  for(int i = 0; i < ORACLE_FILES; i++) {
    if(open_file[i] == 0)
      continue;
    sprintf(name, "file %d", i);
    fill_stat(open_file[i]->inode, &a);
    a.sum = our_sum(open_file[i], a.size);
    if(oracle_file_stat(i, &b) != 0 || !same_stat(name, &a, &b))
      return false;
  }
  return true;
}

static void
close_all(void)
{
  for(int i = 0; i < ORACLE_FILES; i++)
    if(open_file[i]) {
      file_put(open_file[i]);
      open_file[i] = 0;
      oracle_file_close(i);
    }
  if(ballast)
    file_put(ballast);
  ballast = 0;
}

// A file without a name takes nearly all the room.
static bool
fill_disk(void)
{
  struct statfs_info st;

  if(!kind->full)
    return true;
  if(vfs_open(&root_ctx, 0, "/", O_TMPFILE | O_RDWR, 0600, &ballast) != 0 || vfs_statfs(disk_fs, &st) != 0)
    return false;
  if(st.bfree > BALLAST_LEAVE)
    vfs_fallocate(ballast, 0, 0, (st.bfree - BALLAST_LEAVE) * EXT3_BLOCK);
  return true;
}

static bool
step(void)
{
  char a[1000], b[1000];
  int64_t ours, theirs = 0;

  random_path(a);
  random_path(b);
  if(kind->hungry && rnd(3) == 0) {
    vfs_settle();
    bcache_shrink(UINT64_MAX);
    disk_starve(1 + rnd(12));
  }
  strcpy(what, "nothing");
  ours = both(a, b, &theirs);
  frame_fail_after(0, false);
  if(rnd(30) == 0)
    vfs_settle();
  if(rnd(40) == 0)
    reclaim_now(1000);
  if(ours != theirs)
    test_fail(__FILE__, __LINE__, "%ld, Linux says %ld", ours, theirs);
  return ours == theirs && agree(a) && agree(b) && (rnd(10) || files_agree());
}

static bool
life(unsigned first, int n)
{
  bool ok;

  if(disk_mount() != 0) {
    test_fail(__FILE__, __LINE__, "seed %u: cannot be mounted: %s", first, disk_said);
    return false;
  }
  for(int i = 0; i < STEPS; i++)
    if((i == 0 && (!tree_agrees("/") || !fill_disk())) || !step() || (i % 64 == 63 && !tree_agrees("/"))) {
      test_fail(__FILE__, __LINE__, "seed %u (%s), life %d, step %d: %s", first, kind->name, n, i, what);
      close_all();
      disk_unmount();
      return false;
    }
  close_all();
  disk_unmount();
  sprintf(what, "seed %u, life %d", first, n);
  oracle_leave(true);
  ok = disk_check(what);
  oracle_leave(false);
  return ok;
}

static bool
run_seed(unsigned first)
{
  bool ok = true;

  seed = first * 7919 + 1;
  kind = &kinds[first % array_len(kinds)];
  if(!disk_format(kind->name, kind->options, kind->size) || !oracle_begin())
    return false;
  disk.later = kind->later;
  oracle_chmod("/", 0755);
  for(int i = 0; i < LIVES && ok; i++)
    ok = life(first, i);
  ok = ok && disk_mount() == 0;
  if(ok) {
    ok = tree_agrees("/");
    disk_unmount();
  }
  oracle_end();
  return ok;
}

TEST(random_calls_as_on_linux)
{
  unsigned first = getenv("SEED") ? atoi(getenv("SEED")) : 1;
  int n = getenv("SEEDS") ? atoi(getenv("SEEDS")) : getenv("SEED") ? 1 : 120;

  if(!oracle_begin()) {
    printf("  (not root: skipped)\n");
    return;
  }
  oracle_end();
  while(n-- > 0 && run_seed(first++))
    ;
}
