// procfs_test.c -- text in pieces, and the tree that procfs makes of two tables and the hooks.
#include <stdlib.h>
#include <string.h>
#include "fs/procfs/procfs.h"
#include "fs_fakes.h"
#include "test.h"

enum { LINES = 3000, MANY = 64 };

// ---- text

TEST(text_in_pieces)
{
  struct textbuf t = {0};
  size_t n, pos = 0, line = 0;
  char want[64], all[LINES * 40];
  const char *p;
  uint64_t baseline;

  fs_world();
  baseline = fs_frames_free();
  expect(text_at(&t, 0, &n) == 0);
  for(int i = 0; i < LINES; i++)
    text(&t, "line %d of %s\n", i, "many");
  while((p = text_at(&t, pos, &n)) != 0) {
    memcpy(all + pos, p, n);
    pos += n;
  }
  all[pos] = 0;
  expect_eq(pos, t.n);
  p = all;
  for(; line < LINES; line++) {
    sprintf(want, "line %zu of many\n", line);
    if(strncmp(p, want, strlen(want)) != 0)
      break;
    p += strlen(want);
  }
  expect_eq(line, LINES);
  expect(*p == 0 && !t.failed);
  text_clear(&t);
  expect_eq(t.n, 0);
  expect_eq(fs_frames_free(), baseline);
}

TEST(text_of_bytes_and_long_ones)
{
  static char big[20000];
  struct textbuf t = {0};
  size_t n;

  fs_world();
  memset(big, 'x', sizeof(big) - 1);
  text_bytes(&t, big, 10000);
  text(&t, "%s", big);
  text(&t, "%s", "");
  text_bytes(&t, 0, 0);
  expect_eq(t.n, 10000 + 19999);
  expect(*text_at(&t, 9999, &n) == 'x' && n == 1);
  expect(*text_at(&t, 10000, &n) == 'x' && n == 19999);
  text_clear(&t);
}

TEST(text_without_memory)
{
  struct textbuf t = {0};

  fs_world();
  text(&t, "a");
  frame_fail_after(1, true);
  for(int i = 0; i < LINES; i++)
    text(&t, "line %d of %s\n", i, "many");
  frame_fail_after(0, false);
  expect(t.failed);
  text(&t, "more");
  expect(t.n < 4096);
  text_clear(&t);
}

static int changes;

static void
note_change(void)
{
  changes++;
}

TEST(numbers_have_bounds)
{
  static const char *bad[] = {"", " ", "x", "1x", "-1", "4", "101", "18446744073709551616", "5 6"};
  static uint64_t value = 7;
  struct proc_number n = {.at = &value, .lo = 5, .hi = 100, .changed = note_change};
  struct textbuf t = {0};
  size_t k;

  fs_world();
  for(unsigned i = 0; i < array_len(bad); i++)
    expect_eq(number_store(&n, bad[i], strlen(bad[i])), -EINVAL);
  expect_eq(changes, 0);
  expect_eq(number_store(&n, " 100 \n", 6), 0);
  expect_eq(value, 100);
  expect_eq(changes, 1);
  n.hi = UINT64_MAX;
  expect_eq(number_store(&n, "18446744073709551615", 20), 0);
  expect_eq(number_show(&n, &t), 0);
  expect(memcmp(text_at(&t, 0, &k), "18446744073709551615\n", 21) == 0 && k == 21);
  text_clear(&t);
}

// ---- a world of processes 1, 7 (with threads 7 and 9) and 30, each with descriptors 0, 2 and 200

static int fail_shows;

static int
show_name(struct textbuf *t, int pid)
{
  if(pid == 30)
    return -ESRCH;
  text(t, "of %d\n", pid);
  if(fail_shows > 0) {
    t->failed = true;
    fail_shows--;
  }
  return 0;
}

static int
show_long(struct textbuf *t, int pid)
{
  for(int i = 0; i < LINES; i++)
    text(t, "%7d\n", i);
  return 0;
}

static char stored[300];

static int
store_word(int pid, const char *s, size_t n)
{
  strcpy(stored, s);
  return s[0] == '-' ? -EINVAL : 0;
}

static int
link_exe(int pid, struct dentry **out)
{
  return -ENOENT;
}

static int64_t
readlink_exe(int pid, char *buf, size_t n)
{
  memcpy(buf, "/bin/sh", min(n, 7ul));
  return min(n, 7ul);
}

static uint64_t two_at = 20, two_other = 5;
static int two_changes;

static void
two_changed(void)
{
  two_changes++;
}

static const struct proc_number two = {&two_at, 10, 1000, &two_other, two_changed};
static const struct proc_file top[] = {
    {.name = "meminfo", .mode = 0444, .show = show_name},
    {.name = "sys/kernel/name", .mode = 0644, .show = show_name, .store = store_word},
    {.name = "long", .mode = 0400, .show = show_long},
    {.name = "sys/vm/one", .mode = 0644, .show = show_name},
    {.name = "sys/vm/two", .mode = 0644, .number = &two},
    {.name = "net/dev", .mode = 0444, .show = show_name},
    {0},
};
static const struct proc_file per_pid[] = {
    {.name = "stat", .mode = 0444, .show = show_name},
    {.name = "exe", .link = link_exe, .readlink = readlink_exe},
    {.name = "net/dev", .mode = 0444, .show = show_name},
    {0},
};

static int
next_of(const int *list, int after, int none)
{
  for(; *list >= 0; list++)
    if(*list > after)
      return *list;
  return none;
}

static int
next_pid(int after)
{
  static const int pids[] = {1, 7, 30, -1};

  expect(after >= 0);
  return next_of(pids, after, 0);
}

static bool
pid_exists(int pid)
{
  return next_pid(pid - 1) == pid;
}

static int
next_tid(int pid, int after)
{
  static const int tids[] = {7, 9, -1};

  expect(after >= 0);
  return pid == 7 ? next_of(tids, after, 0) : pid > after ? pid : 0;
}

static int
next_fd(int pid, int after)
{
  static const int fds[] = {0, 2, 200, -1};

  expect(after >= -1);
  return next_of(fds, after, -1);
}

static int
self_pid(void)
{
  return 7;
}

static int
self_tid(void)
{
  return 9;
}

static void
pid_owner(int pid, uint32_t *uid, uint32_t *gid)
{
  *uid = 1000 + pid;
  *gid = 2000 + pid;
}

static int
fd_link(int pid, int fd, struct dentry **out)
{
  return -ENXIO;
}

static int64_t
fd_readlink(int pid, int fd, char *buf, size_t n)
{
  return snprintf(buf, n, "pipe:[%d]", fd);
}

static bool is_root = true;

static bool
may_set(void)
{
  return is_root;
}

static struct fs *fs;
static uint64_t baseline;

static void
begin(void)
{
  struct fs_type *t;

  fs_world();
  procfs_hooks = (struct procfs_hooks){top,       per_pid, next_pid, pid_exists,  self_pid, self_tid,
                                       pid_owner, next_fd, fd_link,  fd_readlink, next_tid, may_set};
  baseline = fs_frames_free();
  for(t = fs_types; strcmp(t->name, "proc") != 0; t = t->next)
    ;
  expect(t->nodev);
  expect_eq(t->mount("proc", "", &fs), 0);
  fs->ref++;
}

static void
end(void)
{
  fs_unmount(fs);
  expect_eq(fs_frames_free(), baseline);
}

static struct dentry *
look(const char *path, int flags)
{
  struct namectx c = {.root = fs->root, .cwd = fs->root};
  struct dentry *d;
  int err = namei(&c, 0, path, flags, &d);

  return err ? 0 : d;
}

static bool
there(const char *path)
{
  struct dentry *d = look(path, NAMEI_FOLLOW);

  dentry_put(d);
  return d != 0;
}

static struct file *
open_path(const char *path, unsigned flags)
{
  struct dentry *d = look(path, NAMEI_FOLLOW);
  struct file *f = 0;

  if(d && file_open_dentry(d, flags, 0, &f) != 0)
    f = 0;
  dentry_put(d);
  return f;
}

struct listing {
  char text[1000];
  uint64_t ino[MANY], next[MANY];
  int n, room;
};

static bool
list_add_name(void *arg, const char *name, size_t len, uint64_t ino, unsigned type, uint64_t next)
{
  struct listing *l = arg;

  if(l->room-- == 0 || l->n == MANY)
    return false;
  sprintf(l->text + strlen(l->text), "%.*s%s ", (int)len, name, type == S_IFDIR ? "/" : type == S_IFLNK ? "@" : "");
  l->ino[l->n] = ino;
  l->next[l->n++] = next;
  return true;
}

// A directory read `room` entries at a time.
static struct listing
list_dir(const char *path, int room)
{
  struct file *f = open_path(path, O_RDONLY);
  struct listing l = {.n = 0};
  int before = -1;

  if(f == 0)
    return l;
  while(l.n != before) {
    before = l.n;
    l.room = room;
    expect_eq(file_readdir(f, list_add_name, &l), 0);
  }
  file_put(f);
  return l;
}

static void
expect_list(const char *path, const char *want)
{
  for(int room = 1; room < 20; room += 6) {
    struct listing l = list_dir(path, room);

    if(strcmp(l.text, want) != 0)
      test_fail(__FILE__, __LINE__, "%s holds %s, expected %s", path, l.text, want);
  }
}

TEST(directories_list_tables_and_numbers)
{
  begin();
  expect_list("/", "./ ../ meminfo sys/ long net/ self@ thread-self@ 1/ 7/ 30/ ");
  expect_list("/sys", "./ ../ kernel/ vm/ ");
  expect_list("/sys/vm", "./ ../ one two ");
  expect_list("/7", "./ ../ stat exe@ net/ fd/ task/ ");
  expect_list("/7/net", "./ ../ dev ");
  expect_list("/7/fd", "./ ../ 0@ 2@ 200@ ");
  expect_list("/7/task", "./ ../ 7/ 9/ ");
  expect_list("/7/task/9", "./ ../ stat exe@ net/ fd/ ");
  end();
}

TEST(names_that_exist)
{
  begin();
  expect(there("/meminfo") && there("/sys/vm/two") && there("/self/stat") && there("/thread-self/fd") &&
         there("/30/net/dev"));
  expect(there("/7/task/9/net/dev"));
  expect(!there("/8") && !there("/07") && !there("/0") && !there("/-1") && !there("/99999999999") &&
         !there("/4294967303"));
  expect(!there("/sys/7") && !there("/7/fd/1") && !there("/7/task/8") && !there("/7/self") && !there("/sy") &&
         !there("/sys/vm/on"));
  expect(!there("/fd") && !there("/meminfo/x") && !there("/7/task/9/task") && !there("/7/7"));
  end();
}

TEST(numbers_of_inodes_differ)
{
  static const char *const dirs[] = {"/",     "/sys",    "/sys/vm",   "/sys/kernel",  "/net",          "/7",
                                     "/7/fd", "/7/task", "/7/task/7", "/7/task/7/fd", "/7/task/7/net", "/7/net",
                                     "/1",    "/1/net",  "/7/task/9"};
  uint64_t seen[array_len(dirs) * MANY];
  int n = 0;

  begin();
  for(unsigned i = 0; i < array_len(dirs); i++) {
    struct listing l = list_dir(dirs[i], MANY);
    struct dentry *d = look(dirs[i], 0);

    need(d);
    expect_eq(l.ino[0], d->inode->ino);
    dentry_put(d);
    for(int k = 2; k < l.n; k++)
      seen[n++] = l.ino[k];
  }
  for(int i = 0; i < n; i++)
    for(int k = 0; k < i; k++)
      expect(seen[i] != seen[k]);
  end();
}

TEST(readdir_at_any_position)
{
  static const uint64_t odd[] = {
      2, 3, 8, 9, 100, 65531, 65535, 65536, 65537, 65600, 1ul << 31, 1ul << 32, (1ul << 32) + 65535, INT64_MAX};
  struct file *f;

  begin();
  f = open_path("/", O_RDONLY);
  need(f);
  for(unsigned i = 0; i < array_len(odd); i++) {
    struct listing l = {.room = MANY};

    expect_eq(file_lseek(f, odd[i], 0), odd[i]);
    expect_eq(file_readdir(f, list_add_name, &l), 0);
    for(int k = 0; k < l.n; k++)
      expect(l.next[k] > odd[i]);
  }
  file_put(f);
  f = open_path("/7/fd", O_RDONLY);
  need(f);
  for(unsigned i = 0; i < array_len(odd); i++) {
    struct listing l = {.room = MANY};

    file_lseek(f, odd[i], 0);
    expect_eq(file_readdir(f, list_add_name, &l), 0);
  }
  file_put(f);
  end();
}

TEST(links)
{
  struct dentry *d;
  char buf[64] = {0};

  begin();
  d = look("/self", 0);
  need(d);
  expect_eq(vfs_readlink(d, buf, sizeof(buf)), 1);
  expect(strcmp(buf, "7") == 0);
  dentry_put(d);
  d = look("/thread-self", 0);
  expect_eq(vfs_readlink(d, buf, sizeof(buf)), 8);
  expect(strcmp(buf, "7/task/9") == 0);
  dentry_put(d);
  d = look("/7/exe", 0);
  expect_eq(vfs_readlink(d, buf, 4), 4);
  dentry_put(d);
  d = look("/7/fd/200", 0);
  expect_eq(vfs_readlink(d, buf, sizeof(buf)), 10);
  dentry_put(d);
  expect(!there("/7/fd/200")); // the hook says -ENXIO
  end();
}

TEST(files_are_made_once)
{
  char buf[40000];
  struct file *f;

  begin();
  f = open_path("/long", O_RDONLY);
  need(f);
  expect_eq(file_read_kernel(f, buf, sizeof(buf), 0), LINES * 8);
  expect(memcmp(buf + LINES * 8 - 8, "   2999\n", 8) == 0);
  memset(buf, 0, sizeof(buf));
  for(int pos = 0; pos < LINES * 8; pos += 7)
    expect(file_read_kernel(f, buf + pos, 7, pos) == min(7, LINES * 8 - pos));
  expect(memcmp(buf + 8000, "   1000\n", 8) == 0);
  expect_eq(file_read_kernel(f, buf, 10, LINES * 8), 0);
  expect_eq(file_read_kernel(f, buf, 10, INT64_MAX), 0);
  file_put(f);
  f = open_path("/30/stat", O_RDONLY);
  need(f);
  expect_eq(file_read_kernel(f, buf, 10, 0), -ESRCH);
  file_put(f);
  fail_shows = 3; // memory is there when it looks again
  f = open_path("/7/stat", O_RDONLY);
  need(f);
  expect_eq(file_read_kernel(f, buf, 10, 2), 3);
  expect(memcmp(buf, " 7\n", 3) == 0 && fail_shows == 0);
  expect_eq(f->inode->uid, 1007);
  file_put(f);
  end();
}

TEST(reading_twice_at_once)
{
  struct iovec one;
  struct uio u;
  char buf[16];
  struct file *f;

  begin();
  f = open_path("/7/stat", O_RDONLY);
  need(f);
  uio_kernel(&u, &one, buf, 4);
  expect_eq(file_read(f, &u, 0), 4); // under the file's own lock
  uio_kernel(&u, &one, buf + 4, 10);
  expect_eq(file_read(f, &u, 0), 1);
  expect(memcmp(buf, "of 7\n", 5) == 0);
  file_put(f);
  end();
}

TEST(writing)
{
  struct iovec one;
  struct uio u;
  char word[300] = "hello";
  struct file *f;

  begin();
  f = open_path("/sys/kernel/name", O_RDWR);
  need(f);
  uio_kernel(&u, &one, word, 5);
  expect_eq(file_write(f, &u, 0), 5);
  expect(strcmp(stored, "hello") == 0);
  uio_kernel(&u, &one, "-1", 2);
  expect_eq(file_write(f, &u, 0), -EINVAL);
  uio_kernel(&u, &one, word, 256);
  expect_eq(file_write(f, &u, 0), -EINVAL);
  file_put(f);
  f = open_path("/sys/vm/one", O_WRONLY);
  need(f);
  uio_kernel(&u, &one, word, 5);
  expect_eq(file_write(f, &u, 0), -EINVAL);
  file_put(f);
  end();
}

static int64_t
set_two(struct file *f, const char *text)
{
  struct iovec one;
  uint64_t pos = 0;
  struct uio u;

  uio_kernel(&u, &one, (void *)text, strlen(text));
  return file_write(f, &u, &pos);
}

TEST(numbers_are_settings)
{
  static const char *const bad[] = {"", "x", "9", "1001", "12x", "-20", "99999999999999999999999"};
  struct file *f;
  char buf[16] = "";

  begin();
  f = open_path("/sys/vm/two", O_RDWR);
  need(f);
  expect_eq(file_read_kernel(f, buf, sizeof(buf), 0), 3);
  expect(strcmp(buf, "20\n") == 0);
  for(int i = 1; i < sizeof(bad) / sizeof(bad[0]); i++)
    expect_eq(set_two(f, bad[i]), -EINVAL);
  is_root = false;
  expect_eq(set_two(f, "30"), -EPERM);
  is_root = true;
  expect(two_at == 20 && two_other == 5 && two_changes == 0);
  expect_eq(set_two(f, "1000\n"), 5);
  expect(two_at == 1000 && two_other == 0 && two_changes == 1);
  file_put(f);
  end();
}

TEST(no_memory_for_a_node)
{
  begin();
  for(int n = 1; n < 40; n++) {
    frame_fail_after(n, n % 2);
    there("/7/task/9/net/dev");
    frame_fail_after(0, false);
  }
  end();
}
