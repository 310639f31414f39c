// vfs_test.c -- names, files and pipes in one thread: named cases, and random calls judged by Linux.
#include <stdlib.h>
#include <string.h>
#include "fs/internal.h"
#include "fs/vfs.h"
#include "mobj_fakes.h"
#include "test.h"
#include "vfs_fakes.h"
#include "vfs_oracle.h"

static int
stat_of(const char *path, int flags, struct stat_info *st)
{
  struct dentry *d;
  int err = namei(&root_ctx, 0, path, flags, &d);

  if(err)
    return err;
  inode_stat(d->inode, st);
  dentry_put(d);
  return 0;
}

// Remove everything below /.
static bool
collect(void *arg, const char *name, size_t len, uint64_t ino, unsigned type, uint64_t next)
{
  char(*first)[300] = arg;

  if(name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
    return true;
  memcpy(*first, name, len); // not terminated
  (*first)[len] = 0;
  return false;
}

static void
clear(const char *dir)
{
  char name[300], path[1000];
  struct file *f;

  for(;;) {
    name[0] = 0;
    if(vfs_open(&root_ctx, 0, dir, O_RDONLY | O_DIRECTORY, 0, &f) != 0)
      abort();
    file_readdir(f, collect, &name);
    file_put(f);
    if(!name[0])
      return;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if(vfs_unlink(&root_ctx, 0, path) == -EISDIR) {
      clear(path);
      expect_eq(vfs_rmdir(&root_ctx, 0, path), 0);
    }
  }
}

static void
setup(void)
{
  vfs_start();
  expect_eq(root_ctx.root->fs->ninodes, 1);
}

static void
finish(void)
{
  clear("/");
  vfs_settle();
  expect_eq(root_ctx.root->fs->ninodes, 1);
  expect_eq(root_ctx.root->ref, 1);
  expect_eq(mobj_total_shmem(), 0);
  vfs_stop();
}

// Within what ext3 can say each time comes back; beyond, the nearest.
TEST(stamps_hold_times)
{
  static const struct times kept[] = {{0, 0},         {0, 1},          {-1, 999999999},           {INT32_MIN, 0},
                                      {INT32_MAX, 7}, {4000000000, 5}, {0x37fffffffll, 999999999}};
  static const struct times far[] = {{0x380000000ll, 5}, {INT64_MAX, 5}, {INT32_MIN - 1l, 5}, {INT64_MIN, 5}};
  uint64_t stamp = 0;

  expect(stamp_get(&stamp).sec == 0 && stamp_get(&stamp).nsec == 0);
  for(unsigned i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
    stamp_set(&stamp, kept[i]);
    expect_eq(stamp_get(&stamp).sec, kept[i].sec);
    expect_eq(stamp_get(&stamp).nsec, kept[i].nsec);
  }
  for(unsigned i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
    stamp_set(&stamp, far[i]);
    expect_eq(stamp_get(&stamp).sec, far[i].sec > 0 ? 0x37fffffffll : INT32_MIN);
    expect_eq(stamp_get(&stamp).nsec, 0);
  }
}

TEST(files_hold_what_was_written)
{
  struct stat_info st;
  char buf[64];

  setup();
  expect_eq(put("/a", O_WRONLY, "x", 1, 0), -ENOENT);
  expect_eq(put("/a", O_WRONLY | O_CREAT, "hello", 5, 0), 5);
  expect_eq(put("/a", O_WRONLY | O_CREAT | O_EXCL, "x", 1, 0), -EEXIST);
  expect_eq(put("/a", O_WRONLY | O_APPEND, " world", 6, 0), 6);
  expect_eq(get("/a", buf, sizeof buf, 0), 11);
  expect(memcmp(buf, "hello world", 11) == 0);
  expect_eq(put("/a", O_WRONLY, "!", 1, 5000), 1);
  expect_eq(get("/a", buf, 4, 4998), 3);
  expect(buf[0] == 0 && buf[1] == 0 && buf[2] == '!');
  expect_eq(stat_of("/a", 0, &st), 0);
  expect_eq(st.size, 5001);
  expect_eq(st.blocks, 16);
  expect_eq(put("/a", O_WRONLY | O_TRUNC, "", 0, 0), 0);
  expect_eq(get("/a", buf, 4, 0), 0);
  expect_eq(put("/", O_WRONLY, "", 0, 0), -EISDIR);
  expect_eq(get("/", buf, 1, 0), -EISDIR);
  finish();
}

TEST(a_hole_is_not_data)
{
  struct file *f;

  setup();
  expect_eq(put("/h", O_WRONLY | O_CREAT, "x", 1, 10 * 4096), 1);
  need(vfs_open(&root_ctx, 0, "/h", O_RDONLY, 0, &f) == 0);
  expect_eq(file_lseek(f, 0, 3), 10 * 4096);
  expect_eq(file_lseek(f, 0, 4), 0);
  expect_eq(file_lseek(f, 10 * 4096, 4), 10 * 4096 + 1);
  expect_eq(file_lseek(f, 10 * 4096 + 1, 3), -ENXIO);
  expect_eq(file_lseek(f, -1, 1), 10 * 4096);
  expect_eq(file_lseek(f, -1, 0), -EINVAL);
  expect_eq(file_lseek(f, 0, 9), -EINVAL);
  file_put(f);
  finish();
}

TEST(walks_know_links_dots_and_limits)
{
  char longname[300], path[64];
  struct stat_info st;

  setup();
  expect_eq(vfs_mkdir(&root_ctx, 0, "/d", 0755), 0);
  expect_eq(vfs_mkdir(&root_ctx, 0, "/d/e/", 0755), 0);
  expect_eq(vfs_symlink(&root_ctx, "d/e", 0, "/l"), 0);
  expect_eq(put("/l/f", O_WRONLY | O_CREAT, "1", 1, 0), 1);
  expect_eq(stat_of("/d/e/../e/./f", 0, &st), 0);
  expect_eq(stat_of("/../../d//e/f", 0, &st), 0);
  expect_eq(stat_of("/d/e/f/", 0, &st), -ENOTDIR);
  expect_eq(stat_of("/d/e/f/..", 0, &st), -ENOTDIR);
  expect_eq(stat_of("/l", 0, &st), 0);
  expect(S_ISTYPE(st.mode, S_IFLNK));
  expect_eq(stat_of("/l/", 0, &st), 0);
  expect(S_ISTYPE(st.mode, S_IFDIR));
  expect_eq(vfs_symlink(&root_ctx, "loop", 0, "/loop"), 0);
  expect_eq(stat_of("/loop", NAMEI_FOLLOW, &st), -ELOOP);
  expect_eq(put("/l", O_RDONLY | O_NOFOLLOW, "", 0, 0), -ELOOP);
  expect_eq(put("/l", O_RDONLY | O_NOFOLLOW | O_DIRECTORY, "", 0, 0), -ENOTDIR);
  expect_eq(stat_of("", 0, &st), -ENOENT);
  memset(longname, 'x', sizeof longname);
  longname[299] = 0;
  expect_eq(stat_of(longname, 0, &st), -ENAMETOOLONG);
  longname[255] = 0;
  expect_eq(stat_of(longname, 0, &st), -ENOENT);
  expect_eq(vfs_mkdir(&root_ctx, 0, longname, 0755), 0);
  // 40 links in a row are allowed, 41 are not
  for(int i = 0; i < 41; i++) {
    char to[64];

    snprintf(path, sizeof path, "/s%d", i);
    snprintf(to, sizeof to, "s%d", i - 1);
    expect_eq(vfs_symlink(&root_ctx, i ? to : "d", 0, path), 0);
  }
  expect_eq(stat_of("/s39", NAMEI_FOLLOW, &st), 0);
  expect_eq(stat_of("/s40", NAMEI_FOLLOW, &st), -ELOOP);
  // a dangling link is made good by O_CREAT
  expect_eq(vfs_symlink(&root_ctx, "d/new", 0, "/dangling"), 0);
  expect_eq(put("/dangling", O_WRONLY | O_CREAT | O_EXCL, "", 0, 0), -EEXIST);
  expect_eq(put("/dangling", O_WRONLY | O_CREAT, "", 0, 0), 0);
  expect_eq(stat_of("/d/new", 0, &st), 0);
  finish();
}

TEST(paths_are_told)
{
  char buf[256], *p;
  struct file *f;

  setup();
  need(vfs_mkdir(&root_ctx, 0, "/d", 0755) == 0);
  need(vfs_open(&root_ctx, 0, "/d/f", O_RDWR | O_CREAT, 0600, &f) == 0);
  p = dentry_path(f->dentry, root_ctx.root, buf, sizeof buf, true);
  expect(p && strcmp(p, "/d/f") == 0);
  p = dentry_path(root_ctx.root, root_ctx.root, buf, sizeof buf, true);
  expect(p && strcmp(p, "/") == 0);
  expect(dentry_path(f->dentry, root_ctx.root, buf, 4, true) == 0);
  expect_eq(vfs_rename(&root_ctx, 0, "/d/f", 0, "/g", 0), 0);
  p = dentry_path(f->dentry, root_ctx.root, buf, sizeof buf, true);
  expect(p && strcmp(p, "/g") == 0);
  expect_eq(vfs_unlink(&root_ctx, 0, "/g"), 0);
  p = dentry_path(f->dentry, root_ctx.root, buf, sizeof buf, true);
  expect(p && strcmp(p, "/g (deleted)") == 0);
  expect_eq(f->inode->nlink, 0);
  file_put(f);
  need(tmpfs_anon_file("memfd:x", 0, 0777, 0, &f) == 0);
  p = dentry_path(f->dentry, root_ctx.root, buf, sizeof buf, true);
  expect(p && strcmp(p, "/memfd:x (deleted)") == 0);
  file_put(f);
  finish();
}

TEST(a_removed_directory_takes_no_names)
{
  struct dentry *d;
  struct namectx c;

  setup();
  need(vfs_mkdir(&root_ctx, 0, "/d", 0755) == 0);
  need(namei(&root_ctx, 0, "/d", 0, &d) == 0);
  c = root_ctx;
  c.cwd = d;
  expect_eq(vfs_rmdir(&c, 0, "../d"), 0);
  expect_eq(vfs_mkdir(&c, 0, "x", 0755), -ENOENT);
  expect_eq(vfs_symlink(&c, "x", 0, "x"), -ENOENT);
  dentry_put(d);
  expect_eq(root_ctx.root->fs->ninodes, 1); // no name in it is remembered, and so it is gone
  finish();
}

TEST(permissions_are_asked)
{
  struct setattr sa = {.set_mode = true, .mode = 0700};
  struct setattr own = {.set_uid = true, .uid = 1000};
  struct dentry *d;
  struct file *f;

  setup();
  expect_eq(vfs_mkdir(&user_ctx, 0, "/x", 0755), -EACCES);
  need(vfs_mkdir(&root_ctx, 0, "/tmp", 01777) == 0);
  expect_eq(put("/tmp/r", O_CREAT | O_WRONLY, "", 0, 0), 0);
  expect_eq(vfs_unlink(&user_ctx, 0, "/tmp/r"), -EPERM);
  expect_eq(vfs_open(&user_ctx, 0, "/tmp/r", O_RDWR, 0, &f), -EACCES);
  need(vfs_open(&user_ctx, 0, "/tmp/u", O_RDWR | O_CREAT, 0400, &f) == 0); // not asked of who makes it
  file_put(f);
  expect_eq(vfs_open(&user_ctx, 0, "/tmp/u", O_RDWR, 0, &f), -EACCES);
  need(namei(&root_ctx, 0, "/tmp/r", 0, &d) == 0);
  expect_eq(vfs_setattr(d->inode, &sa, user_ctx.cred), -EPERM);
  expect_eq(vfs_setattr(d->inode, &own, user_ctx.cred), -EPERM);
  expect_eq(vfs_setattr(d->inode, &own, root_ctx.cred), 0);
  expect_eq(vfs_setattr(d->inode, &sa, user_ctx.cred), 0);
  expect_eq(d->inode->mode, S_IFREG | 0700);
  dentry_put(d);
  expect_eq(vfs_unlink(&user_ctx, 0, "/tmp/r"), 0);
  finish();
}

TEST(running_programs_are_not_written)
{
  struct file *f, *g;

  setup();
  need(put("/p", O_CREAT | O_WRONLY, "", 0, 0) == 0);
  need(vfs_open(&root_ctx, 0, "/p", O_RDONLY, 0, &f) == 0);
  expect_eq(inode_deny_write(f->inode), 0);
  expect_eq(vfs_open(&root_ctx, 0, "/p", O_RDWR, 0, &g), -ETXTBSY);
  expect_eq(vfs_truncate(f->inode, 1, root_ctx.cred), -ETXTBSY);
  inode_allow_write(f->inode);
  need(vfs_open(&root_ctx, 0, "/p", O_RDWR, 0, &g) == 0);
  expect_eq(inode_deny_write(f->inode), -ETXTBSY);
  file_put(g);
  expect_eq(inode_deny_write(f->inode), 0);
  inode_allow_write(f->inode);
  file_put(f);
  finish();
}

TEST(seals_forbid)
{
  struct setattr run = {.set_mode = true, .mode = 0777};
  struct file *f, *sealed, *ro;

  setup();
  need(tmpfs_anon_file("memfd:s", 0, 0666, 0, &f) == 0);
  need(tmpfs_anon_file("memfd:t", 0, 0666, SEAL_SEAL, &sealed) == 0);
  need(file_open_dentry(f->dentry, O_RDONLY, root_ctx.cred, &ro) == 0);
  expect_eq(seal_add(sealed, SEAL_GROW), -EPERM);
  expect_eq(seal_get(sealed), SEAL_SEAL);
  expect_eq(seal_add(ro, SEAL_GROW), -EPERM);
  expect_eq(seal_add(f, 64), -EINVAL);
  expect_eq(vfs_truncate(f->inode, 100, 0), 0);
  expect_eq(seal_add(f, SEAL_GROW), 0);
  expect_eq(vfs_truncate(f->inode, 101, 0), -EPERM);
  expect_eq(vfs_fallocate(f, 0, 0, 101), -EPERM);
  expect_eq(vfs_truncate(f->inode, 50, 0), 0);
  expect_eq(seal_add(f, SEAL_SHRINK | SEAL_EXEC), 0);
  expect_eq(vfs_truncate(f->inode, 49, 0), -EPERM);
  expect_eq(vfs_setattr(f->inode, &run, root_ctx.cred), -EPERM);
  expect_eq(seal_add(f, SEAL_WRITE), 0);
  expect_eq(vfs_fallocate(f, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, 0, 50), -EPERM);
  expect_eq(seal_get(ro), SEAL_GROW | SEAL_SHRINK | SEAL_EXEC | SEAL_WRITE);
  expect_eq(mobj_claim_write(&f->inode->obj), -EPERM);
  file_put(f);
  file_put(sealed);
  file_put(ro);
  finish();
}

TEST(room_ahead_and_holes)
{
  enum { PUNCH = FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE };
  struct stat_info st;
  struct file *f;

  setup();
  need(tmpfs_anon_file("memfd:r", 0, 06777, 0, &f) == 0);
  f->inode->mode |= S_ISUID;
  expect_eq(vfs_fallocate(f, FALLOC_PUNCH_HOLE, 0, 1), -EOPNOTSUPP);
  expect_eq(vfs_fallocate(f, FALLOC_ZERO_RANGE, 0, 1), -EOPNOTSUPP);
  expect_eq(vfs_fallocate(f, 0, 0, 0), -EINVAL);
  expect_eq(vfs_fallocate(f, 0, INT64_MAX, 1), -EFBIG);
  expect(f->inode->mode & S_ISUID);
  expect_eq(vfs_fallocate(f, FALLOC_KEEP_SIZE, 4096, 8192), 0);
  expect(!(f->inode->mode & S_ISUID));
  inode_stat(f->inode, &st);
  expect_eq(st.size, 0);
  expect_eq(st.blocks, 16);
  expect_eq(vfs_fallocate(f, 0, 0, 4097), 0);
  inode_stat(f->inode, &st);
  expect_eq(st.size, 4097);
  expect_eq(st.blocks, 24);
  expect_eq(vfs_fallocate(f, PUNCH, 100, 8092), 0);
  inode_stat(f->inode, &st);
  expect_eq(st.blocks, 16);
  expect_eq(vfs_fallocate(f, 0, 0, 1ull << 50), -ENOSPC); // more than the machine has
  inode_stat(f->inode, &st);
  expect_eq(st.blocks, 16);
  expect_eq(vfs_truncate(f->inode, 4097, 0), 0);
  inode_stat(f->inode, &st);
  expect_eq(st.blocks, 8);
  file_put(f);
  finish();
}

TEST(unnamed_files_can_be_linked)
{
  struct stat_info st;
  struct namectx c;
  struct file *f;

  setup();
  need(vfs_open(&root_ctx, 0, "/", O_TMPFILE | O_RDWR, 0600, &f) == 0);
  expect_eq(f->inode->nlink, 0);
  c = root_ctx;
  expect_eq(vfs_link(&c, f->dentry, "", NAMEI_EMPTY, 0, "/named"), 0);
  expect_eq(stat_of("/named", 0, &st), 0);
  expect_eq(st.nlink, 1);
  file_put(f);
  need(vfs_open(&root_ctx, 0, "/", O_TMPFILE | O_RDWR | O_EXCL, 0600, &f) == 0);
  expect_eq(vfs_link(&c, f->dentry, "", NAMEI_EMPTY, 0, "/other"), -ENOENT);
  file_put(f);
  expect_eq(vfs_open(&root_ctx, 0, "/", O_TMPFILE, 0600, &f), -EINVAL);
  finish();
}

TEST(mounts_cover_and_uncover)
{
  struct statfs_info sf;
  struct stat_info st;
  struct dentry *d;
  char buf[64], *p;
  char big[4096 * 3];
  struct file *f;

  setup();
  need(vfs_mkdir(&root_ctx, 0, "/m", 0755) == 0);
  need(put("/m/under", O_CREAT | O_WRONLY, "", 0, 0) == 0);
  expect_eq(vfs_mount(&user_ctx, "x", "/m", "tmpfs", 0, 0), -EPERM);
  expect_eq(vfs_mount(&root_ctx, "x", "/m", "nosuch", 0, 0), -ENODEV);
  expect_eq(vfs_mount(&root_ctx, "x", "/m/under", "tmpfs", 0, 0), -ENOTDIR);
  expect_eq(vfs_mount(&root_ctx, "x", "/m", "tmpfs", 0, "size=8k,bad"), -EINVAL);
  need(vfs_mount(&root_ctx, "x", "/m", "tmpfs", 0, "size=8k,mode=700") == 0);
  expect_eq(stat_of("/m/under", 0, &st), -ENOENT);
  expect_eq(stat_of("/m/..", 0, &st), 0);
  expect_eq(st.ino, root_ctx.root->inode->ino);
  expect_eq(vfs_rmdir(&root_ctx, 0, "/m"), -EBUSY);
  expect_eq(vfs_rename(&root_ctx, 0, "/m", 0, "/n", 0), -EBUSY);
  need(vfs_open(&root_ctx, 0, "/m/f", O_CREAT | O_RDWR, 0600, &f) == 0);
  expect_eq(vfs_rename(&root_ctx, 0, "/m/f", 0, "/n", 0), -EXDEV);
  expect_eq(vfs_link(&root_ctx, 0, "/m/f", 0, 0, "/n"), -EXDEV);
  p = dentry_path(f->dentry, root_ctx.root, buf, sizeof buf, true);
  expect(p && strcmp(p, "/m/f") == 0);
  memset(big, 1, sizeof big);
  expect_eq(put("/m/f", O_WRONLY, big, sizeof big, 0), 8192);
  expect_eq(put("/m/f", O_WRONLY, big, 1, 8192), -ENOSPC);
  expect_eq(vfs_statfs(f->inode->fs, &sf), 0);
  expect_eq(sf.blocks, 2);
  expect_eq(sf.bfree, 0);
  expect_eq(f->inode->obj.size, 8192);
  expect_eq(vfs_ftruncate(f, 4096), 0);
  expect_eq(put("/m/g", O_CREAT | O_WRONLY, big, 4096, 0), 4096);
  expect_eq(vfs_umount(&root_ctx, "/m", false), -EBUSY);
  file_put(f);
  need(vfs_mkdir(&root_ctx, 0, "/m/deep", 0700) == 0);
  need(vfs_mkdir(&root_ctx, 0, "/m/deep/er", 0700) == 0);
  expect_eq(vfs_umount(&root_ctx, "/m/deep", false), -EINVAL);
  expect_eq(vfs_umount(&root_ctx, "/m", false), 0);
  expect_eq(stat_of("/m/under", 0, &st), 0);
  need(namei(&root_ctx, 0, "/m", 0, &d) == 0);
  expect_eq(d->ref, 2); // ours and that of its child
  dentry_put(d);
  need(vfs_mount(&root_ctx, "x", "/m", "tmpfs", 1, "") == 0);
  expect_eq(put("/m/f", O_CREAT | O_WRONLY, "", 0, 0), -EROFS);
  expect_eq(vfs_mkdir(&root_ctx, 0, "/m/f", 0700), -EROFS);
  expect_eq(vfs_umount(&root_ctx, "/m", false), 0);
  finish();
}

TEST(pipes_carry_bytes_in_order)
{
  enum { BYTES = 256 << 10 };
  unsigned char *in = aligned_alloc(4096, BYTES), *out = aligned_alloc(4096, BYTES);
  uint64_t sent = 0, got = 0;
  struct file *rd, *wr;
  struct iovec one;
  struct uio u;
  int64_t n;

  setup();
  need(pipe_create(&rd, &wr, O_NONBLOCK) == 0);
  expect_eq(file_poll(rd, 0), 0);
  expect_eq(file_poll(wr, 0), POLLOUT | POLLWRNORM);
  for(int i = 0; i < BYTES; i++)
    in[i] = rand();
  uio_user(&u, USER_AS, &one, BAD_LO, 5);
  expect_eq(file_write(wr, &u, 0), -EFAULT);
  while(got < BYTES) {
    uio_user(&u, USER_AS, &one, (vaddr_t)in + sent, min((uint64_t)(rand() % 9000 + 1), BYTES - sent));
    n = sent < BYTES ? file_write(wr, &u, 0) : -EAGAIN;
    expect(n > 0 || n == -EAGAIN);
    sent += n > 0 ? n : 0;
    if(rand() % 50 == 0) {
      int cap = 4096 << rand() % 7, r = pipe_resize(rd, cap);

      expect(r == cap || (r == -EBUSY && pipe_unread(rd) > cap));
    }
    uio_user(&u, USER_AS, &one, (vaddr_t)out + got, min((uint64_t)(rand() % 9000 + 1), BYTES - got));
    n = file_read(rd, &u, 0);
    expect(n > 0 || n == -EAGAIN);
    got += n > 0 ? n : 0;
    expect_eq(pipe_unread(rd), sent - got);
  }
  expect(memcmp(in, out, BYTES) == 0);
  uio_kernel(&u, &one, in, 100);
  expect_eq(file_write(rd, &u, 0), -EBADF);
  file_put(wr);
  expect_eq(file_poll(rd, 0), POLLHUP);
  expect_eq(file_read(rd, &u, 0), 0);
  file_put(rd);
  need(pipe_create(&rd, &wr, 0) == 0);
  file_put(rd);
  expect_eq(file_write(wr, &u, 0), -EPIPE);
  expect(file_poll(wr, 0) & POLLERR);
  file_put(wr);
  free(in);
  free(out);
  finish();
}

TEST(many_names_in_one_directory)
{
  enum { NAMES = 20000 };
  char path[64];

  setup();
  for(int i = 0; i < NAMES; i++) {
    snprintf(path, sizeof path, "/name%d", i);
    expect_eq(put(path, O_CREAT | O_WRONLY, "", 0, 0), 0);
  }
  for(int i = 0; i < NAMES; i++) {
    snprintf(path, sizeof path, "/name%d", i * 7919 % NAMES);
    expect_eq(vfs_unlink(&root_ctx, 0, path), 0);
  }
  finish();
}

TEST(no_memory_is_an_error_and_no_leak)
{
  int r;

  setup();
  for(uint64_t n = 1; n < 60; n++) {
    vfs_settle();
    kmem_drain();
    frame_fail_after(n, vfs_fails_all);
    r = vfs_mkdir(&root_ctx, 0, "/d", 0755);
    if(r == 0)
      r = vfs_symlink(&root_ctx, "d", 0, "/l");
    if(r == 0)
      r = put("/l/f", O_CREAT | O_WRONLY, "", 0, 0);
    if(r == 0)
      r = vfs_rename(&root_ctx, 0, "/d/f", 0, "/g", 0);
    frame_fail_after(0, false);
    expect(r == 0 || r == -ENOMEM);
    clear("/");
  }
  finish();
}

// Memory files: made, given a size and pages, sealed, punched, with one allocation after the other failing.
static int
memory_file(void)
{
  struct file *f;
  int r = tmpfs_anon_file("memfd:n", 0, 0666, 0, &f);

  if(r)
    return r;
  r = vfs_truncate(f->inode, 300 * PAGE_SIZE, 0);
  if(r == 0)
    r = seal_add(f, SEAL_GROW | SEAL_SHRINK);
  if(r == 0)
    r = vfs_fallocate(f, 0, 0, 300 * PAGE_SIZE);
  if(r == 0)
    r = vfs_fallocate(f, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, 0, 200 * PAGE_SIZE);
  if(r == 0)
    r = seal_add(f, SEAL_WRITE);
  file_put(f);
  return r;
}

TEST(memory_files_without_memory)
{
  int refused = 0, n = 0, r;
  bool hit = true;

  for(setup(); hit; n++) {
    frame_fail_after(n + 1, n % 2);
    r = memory_file();
    hit = frame_fail_came();
    frame_fail_after(0, false);
    expect(r == 0 || r == -ENOMEM);
    refused += r == -ENOMEM;
  }
  expect(refused > 0 && n > 300);
  printf("  %d allocations failed, %d with -ENOMEM\n", n - 1, refused);
  finish();
}

// ---- random calls, here and on Linux

static uint64_t
sum_bytes(uint64_t sum, const unsigned char *p, size_t n)
{
  while(n--)
    sum = sum * 31 + *p++;
  return sum;
}

static int
our_stat(const char *path, bool follow, struct oracle_stat *out)
{
  static unsigned char buf[1 << 20]; // one allocation for each would be what the test takes its time for
  struct stat_info st;
  struct dentry *d;
  int64_t n = 0;
  int err = namei(&root_ctx, 0, path, follow ? NAMEI_FOLLOW : 0, &d);

  if(!err) {
    inode_stat(d->inode, &st);
    *out = (struct oracle_stat){.mode = st.mode, .nlink = st.nlink, .size = st.size};
    if(S_ISTYPE(st.mode, S_IFDIR))
      out->size = 0;
    else if(S_ISTYPE(st.mode, S_IFLNK))
      n = vfs_readlink(d, (char *)buf, 4096);
    else
      n = get(path, buf, sizeof(buf), 0);
    out->sum = sum_bytes(0, buf, n > 0 ? n : 0);
    dentry_put(d);
  }
  return err;
}

struct names {
  uint64_t sum;
  int n;
};

static bool
add_name(void *arg, const char *name, size_t len, uint64_t ino, unsigned type, uint64_t next)
{
  struct names *s = arg;

  s->sum += sum_bytes(1, (const unsigned char *)name, len) * 7 + (type >> 12);
  s->n++;
  return true;
}

static int
our_names(const char *path, uint64_t *sum)
{
  struct names s = {0};
  struct file *f;
  int err = vfs_open(&root_ctx, 0, path, O_RDONLY | O_DIRECTORY, 0, &f);

  if(err)
    return err;
  file_readdir(f, add_name, &s);
  file_put(f);
  *sum = s.sum;
  return s.n;
}

static void
random_path(char *p)
{
  static const char *const part[] = {"a", "b", "c", "d", "l", ".", "..", "a", "b", "c"};
  int n = rand() % 4 + 1;

  *p = 0;
  if(rand() % 40 == 0)
    return;
  if(rand() % 3 == 0)
    strcat(p, "/");
  while(n--) {
    strcat(p, part[rand() % (rand() % 3 ? 4 : 10)]);
    if(n > 0 || rand() % 12 == 0)
      strcat(p, rand() % 20 ? "/" : "//");
  }
}

static char what[512];

static int
both_open(const char *a, int *linux_says)
{
  static const unsigned hows[] = {O_RDONLY, O_WRONLY, O_RDWR},
                        extras[] = {O_EXCL, O_TRUNC, O_APPEND, O_DIRECTORY, O_NOFOLLOW};
  unsigned flags = hows[rand() % 3] | (rand() % 2 ? O_CREAT : 0) | (rand() % 2 ? extras[rand() % 5] : 0);
  uint64_t pos = rand() % 20000, n = rand() % 9000;
  unsigned char fill = rand();
  unsigned char *buf;
  int64_t r;

  if((flags & O_CREAT) && (flags & O_DIRECTORY))
    flags &= ~O_DIRECTORY; // kernels differ
  snprintf(what, sizeof what, "open(%s, %#o) %lu+%lu", a, flags, pos, n);
  *linux_says = oracle_open(a, flags, 0644, fill, pos, n);
  buf = malloc(n + 1);
  memset(buf, fill, n);
  r = put(a, flags, buf, n, pos);
  free(buf);
  return r;
}

static int
both(const char *a, const char *b, int *linux_says)
{
  static const unsigned how[] = {0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE};
  unsigned flags = how[rand() % 5];
  uint64_t size = rand() % 30000;
  struct dentry *d;
  bool follow = rand() % 2;
  int r;

  switch(rand() % 8) {
  case 0:
    snprintf(what, sizeof what, "mkdir(%s)", a);
    *linux_says = oracle_mkdir(a);
    return vfs_mkdir(&root_ctx, 0, a, 0755);
  case 1:
    snprintf(what, sizeof what, "rmdir(%s)", a);
    *linux_says = oracle_rmdir(a);
    return vfs_rmdir(&root_ctx, 0, a);
  case 2:
    snprintf(what, sizeof what, "unlink(%s)", a);
    *linux_says = oracle_unlink(a);
    return vfs_unlink(&root_ctx, 0, a);
  case 3:
    snprintf(what, sizeof what, "link(%s, %s, %d)", a, b, follow);
    *linux_says = oracle_link(a, b, follow);
    return vfs_link(&root_ctx, 0, a, follow ? NAMEI_FOLLOW : 0, 0, b);
  case 4:
    snprintf(what, sizeof what, "symlink(%s, %s)", a, b);
    *linux_says = oracle_symlink(a, b);
    return vfs_symlink(&root_ctx, a, 0, b);
  case 5:
    snprintf(what, sizeof what, "rename(%s, %s, %u)", a, b, flags);
    *linux_says = oracle_rename(a, b, flags);
    return vfs_rename(&root_ctx, 0, a, 0, b, flags);
  case 6:
    snprintf(what, sizeof what, "truncate(%s, %lu)", a, size);
    *linux_says = oracle_truncate(a, size);
    r = namei(&root_ctx, 0, a, NAMEI_FOLLOW, &d);
    if(r == 0) {
      r = vfs_truncate(d->inode, size, root_ctx.cred);
      dentry_put(d);
    }
    return r;
  default: return both_open(a, linux_says);
  }
}

static bool
agree(const char *path)
{
  struct oracle_stat o = {0}, w = {0};
  uint64_t osum = 0, wsum = 0;
  bool follow = rand() % 2;
  int a = our_stat(path, follow, &o), b = oracle_stat(path, follow, &w);

  expect_eq(a, b);
  expect_eq(o.mode, w.mode);
  expect_eq(o.nlink, w.nlink);
  expect_eq(o.size, w.size);
  expect_eq(o.sum, w.sum);
  expect_eq(our_names(path, &osum), oracle_names(path, &wsum));
  expect_eq(osum, wsum);
  return a == b && o.mode == w.mode && o.nlink == w.nlink && o.size == w.size && o.sum == w.sum && osum == wsum;
}

#ifdef __SANITIZE_THREAD__ // one thread has no races to be found
enum { ROUNDS = 4000 };
#else
enum { ROUNDS = 40000 };
#endif

TEST(linux_says_the_same)
{
  char a[200], b[200];
  int rounds = getenv("VFS_ROUNDS") ? atoi(getenv("VFS_ROUNDS")) : ROUNDS;
  int ours, theirs = 0;

  setup();
  if(!oracle_begin()) {
    printf("  (not root: skipped)\n");
    return;
  }
  srand(getenv("VFS_SEED") ? atoi(getenv("VFS_SEED")) : 1);
  for(int i = 0; i < rounds; i++) {
    random_path(a);
    random_path(b);
    ours = both(a, b, &theirs);
    if(ours != theirs) {
      test_fail(__FILE__, __LINE__, "round %d: %s: %d, Linux says %d", i, what, ours, theirs);
      break;
    }
    random_path(a);
    if(!agree(a)) {
      test_fail(__FILE__, __LINE__, "round %d: after %s: %s differs", i, what, a);
      break;
    }
    if(rand() % 100 == 0)
      vfs_settle();
  }
  oracle_end();
  finish();
}
