// vfs_race_test.c -- names and pipes on many threads. Runs last: the fake threads stay in this mode.
#include <stdlib.h>
#include <string.h>
#include "core/time.h"
#include "fs/internal.h"
#include "fs/vfs.h"
#include "lib/atomic.h"
#include "mobj_fakes.h"
#include "test.h"
#include "vfs_fakes.h"

// What is read without a lock on purpose, a word at a time: the size that a reader sees, mode and owner in stat; and bytes
// that are read while another writes them (zz_reads_meet_writes looks at what comes of that).
const char *__tsan_default_suppressions(void);
const char *
__tsan_default_suppressions(void)
{
  return "race:^data_end$\nrace:^inode_stat$\nrace:^data_overwrite$\n";
}

enum { THREADS = 6, ROUNDS = 3000, LOOKS = 20000 };

static void
random_path(char *p, unsigned *seed)
{
  static const char *const part[] = {"a", "b", "c"};
  int n = rand_r(seed) % 3 + 1;

  *p = 0;
  while(n--) {
    strcat(p, "/");
    strcat(p, part[rand_r(seed) % 3]);
  }
}

static void
names_thread(void *arg)
{
  unsigned seed = (unsigned)(uintptr_t)arg + 1;
  char a[64], b[64], byte[100];
  struct dentry *d;

  for(int i = 0; i < ROUNDS; i++) {
    random_path(a, &seed);
    random_path(b, &seed);
    switch(rand_r(&seed) % 9) {
    case 0: vfs_mkdir(&root_ctx, 0, a, 0755); break;
    case 1: vfs_rmdir(&root_ctx, 0, a); break;
    case 2: vfs_unlink(&root_ctx, 0, a); break;
    case 3: vfs_link(&root_ctx, 0, a, 0, 0, b); break;
    case 4: vfs_rename(&root_ctx, 0, a, 0, b, rand_r(&seed) % 3); break;
    case 5: put(a, O_CREAT | O_WRONLY | (rand_r(&seed) % 2 ? O_TRUNC : 0), a, strlen(a), rand_r(&seed) % 9000); break;
    case 6: get(a, byte, sizeof byte, 0); break;
    case 7: dentry_shrink(3); break;
    default:
      if(namei(&root_ctx, 0, a, NAMEI_FOLLOW, &d) == 0) {
        dentry_path(d, root_ctx.root, byte, sizeof byte, true);
        dentry_put(d);
      }
    }
  }
}

static void
clear(const char *path)
{
  static const char *const part[] = {"a", "b", "c"};
  char below[200];

  for(int i = 0; i < 3; i++) {
    snprintf(below, sizeof below, "%s/%s", path, part[i]);
    if(vfs_unlink(&root_ctx, 0, below) == -EISDIR) {
      clear(below);
      expect_eq(vfs_rmdir(&root_ctx, 0, below), 0);
    }
  }
}

TEST(zz_names_on_many_threads)
{
  fake_mode(FAKE_PTHREADS);
  vfs_start();
  fake_parallel(THREADS, names_thread);
  clear("");
  vfs_settle();
  expect_eq(root_ctx.root->fs->ninodes, 1);
  expect_eq(root_ctx.root->ref, 1);
  expect_eq(mobj_total_shmem(), 0);
  vfs_stop();
}

static struct file *rd, *wr;
static uint64_t taken, sum_in, sum_out; // (a)
enum { WRITERS = 3, MESSAGES = 4000, MESSAGE_MAX = 3000 };

// Messages of at most PIPE_BUF are not mixed: each byte of one is the writer's letter.
static void
pipe_thread(void *arg)
{
  uintptr_t me = (uintptr_t)arg;
  unsigned seed = me + 1;
  static __thread char buf[8192];
  struct pollset_entry e;
  struct iovec one;
  struct uio u;
  int64_t n;

  for(int i = 0; me < WRITERS && i < MESSAGES; i++) {
    n = rand_r(&seed) % MESSAGE_MAX + 1;
    memset(buf, 'a' + me, n);
    uio_kernel(&u, &one, buf, n);
    expect_eq(file_write(wr, &u, 0), n);
    __atomic_fetch_add(&sum_in, n, __ATOMIC_SEQ_CST);
  }
  if(me < WRITERS && __atomic_add_fetch(&taken, 1, __ATOMIC_SEQ_CST) == WRITERS)
    file_put(wr);
  while(me >= WRITERS) {
    if(rand_r(&seed) % 4 == 0) {
      e = (struct pollset_entry){.file = rd, .events = POLLIN};
      expect_eq(poll_wait(&e, 1, NEVER), 1);
    }
    uio_kernel(&u, &one, buf, rand_r(&seed) % sizeof buf + 1);
    n = file_read(rd, &u, 0);
    expect(n >= 0);
    if(n <= 0)
      break;
    __atomic_fetch_add(&sum_out, n, __ATOMIC_SEQ_CST);
  }
}

TEST(zz_pipes_on_many_threads)
{
  fake_mode(FAKE_PTHREADS);
  vfs_start();
  need(pipe_create(&rd, &wr, 0) == 0);
  fake_parallel(WRITERS + 2, pipe_thread);
  expect_eq(sum_in, sum_out);
  file_put(rd);
  vfs_stop();
}

// Appends of many threads lose nothing, and a reader sees no zeros behind the end.
static void
append_thread(void *arg)
{
  uintptr_t me = (uintptr_t)arg;
  char buf[6000];
  int64_t n;

  memset(buf, 'A' + me, sizeof buf);
  for(int i = 0; i < 200; i++) {
    if(me > 0)
      expect_eq(put("/append", O_WRONLY | O_APPEND, buf, 3000, 0), 3000);
    else {
      n = get("/append", buf, sizeof buf, (uint64_t)i * 2999);
      for(int k = 0; k < n; k++)
        if(buf[k] == 0) {
          test_fail(__FILE__, __LINE__, "a zero at %d of %ld", k, n);
          break;
        }
    }
  }
}

TEST(zz_appends_on_many_threads)
{
  struct dentry *d;

  fake_mode(FAKE_PTHREADS);
  vfs_start();
  need(put("/append", O_CREAT | O_WRONLY, "", 0, 0) == 0);
  fake_parallel(4, append_thread);
  need(namei(&root_ctx, 0, "/append", 0, &d) == 0);
  expect_eq(d->inode->obj.size, 3 * 200 * 3000);
  dentry_put(d);
  expect_eq(vfs_unlink(&root_ctx, 0, "/append"), 0);
  vfs_settle();
  expect_eq(root_ctx.root->fs->ninodes, 1);
  vfs_stop();
}

// Who reads while another writes the same bytes gets old ones and new ones, and nothing else.
static void
overwrite_thread(void *arg)
{
  uintptr_t me = (uintptr_t)arg;
  char buf[500];
  int64_t n;

  memset(buf, 'A' + me, sizeof buf);
  for(int i = 0; i < 1000; i++) {
    if(me < 2) {
      expect_eq(put("/same", O_WRONLY, buf, sizeof buf, 100), sizeof buf);
      continue;
    }
    n = get("/same", buf, sizeof buf, 100);
    expect_eq(n, sizeof buf);
    for(int k = 0; k < n; k++)
      if(buf[k] != 'A' && buf[k] != 'B') {
        test_fail(__FILE__, __LINE__, "byte %d is %#x", k, buf[k]);
        break;
      }
  }
}

TEST(zz_reads_meet_writes)
{
  char buf[600];

  memset(buf, 'A', sizeof buf);
  fake_mode(FAKE_PTHREADS);
  vfs_start();
  need(put("/same", O_CREAT | O_WRONLY, buf, sizeof buf, 0) == sizeof buf);
  fake_parallel(4, overwrite_thread);
  expect_eq(vfs_unlink(&root_ctx, 0, "/same"), 0);
  vfs_settle();
  expect_eq(root_ctx.root->fs->ninodes, 1);
  vfs_stop();
}

// One sets a file's times to the one or the other of two; who looks sees one of them.
static const struct times early = {.sec = 1000000000, .nsec = 999999999}, late = {.sec = 2000000001, .nsec = 0};
static struct inode *timed;
static int lookers; // (a) threads that go on looking

static bool
same_time(struct times a, struct times b)
{
  return a.sec == b.sec && a.nsec == b.nsec;
}

static void
times_thread(void *arg)
{
  struct setattr sa = {.set_atime = true, .set_mtime = true};
  struct stat_info st;

  for(int i = 0; arg == 0 && atomic_get(&lookers) > 0; i++) {
    sa.atime = sa.mtime = i % 2 ? early : late;
    expect_eq(vfs_setattr(timed, &sa, root_ctx.cred), 0);
  }
  for(int i = 0; arg != 0 && i < LOOKS; i++) {
    inode_stat(timed, &st);
    expect(same_time(st.mtime, early) || same_time(st.mtime, late));
    expect(same_time(st.atime, early) || same_time(st.atime, late));
  }
  if(arg != 0)
    atomic_sub(&lookers, 1);
}

TEST(zz_times_are_read_whole)
{
  struct setattr sa = {.set_atime = true, .set_mtime = true, .atime = early, .mtime = early};
  struct dentry *d;

  fake_mode(FAKE_PTHREADS);
  vfs_start();
  need(put("/timed", O_CREAT | O_WRONLY, "", 0, 0) == 0);
  need(namei(&root_ctx, 0, "/timed", 0, &d) == 0);
  timed = d->inode;
  need(vfs_setattr(timed, &sa, root_ctx.cred) == 0);
  atomic_set(&lookers, THREADS - 1);
  fake_parallel(THREADS, times_thread);
  dentry_put(d);
  expect_eq(vfs_unlink(&root_ctx, 0, "/timed"), 0);
  vfs_settle();
  vfs_stop();
}

// Files come and go with their blocks: a number is taken again while its last owner is still on his way out.
static void
turnover_thread(void *arg)
{
  enum { BYTES = 40000, FILES = 150 };
  char path[32], *bytes = calloc(1, BYTES);

  for(int i = 0; i < FILES; i++) {
    sprintf(path, "/%lu-%d", (unsigned long)(uintptr_t)arg, i % 3);
    expect_eq(put(path, O_CREAT | O_WRONLY, bytes, BYTES, 0), BYTES);
    expect_eq(vfs_unlink(&root_ctx, 0, path), 0);
  }
  free(bytes);
}

TEST(zz_files_come_and_go_on_many_threads)
{
  fake_mode(FAKE_PTHREADS);
  vfs_start();
  fake_parallel(THREADS, turnover_thread);
  vfs_settle();
  expect_eq(root_ctx.root->fs->ninodes, 1);
  vfs_stop();
}
