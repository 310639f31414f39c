// disk_world.c -- disk_world.h says what for.
#include <stdlib.h>
#include <string.h>
#include "disk_world.h"
#include "fake_frames.h"
#include "fs/internal.h"
#include "hosttree.h"
#include "lib/fmt.h"
#include "test.h"
#include "vfs_fakes.h"

enum { FRAMES = 32768, KINDS_MAX = 16 };

struct fake_disk disk;
struct fs *disk_fs;
char disk_said[256];
static bool threads;
static uint64_t frames_before;
static struct image {
  char name[32];
  void *bytes;
  uint64_t size;
} images[KINDS_MAX];

void
vprint(const char *f, va_list ap)
{
  vfmt(disk_said, sizeof(disk_said), f, ap);
  if(getenv("DISK_SAY"))
    fputs(disk_said, stderr);
}

int __real_journal_start(struct journal *j, bool thread);
int __wrap_journal_start(struct journal *j, bool thread);
int
__wrap_journal_start(struct journal *j, bool thread)
{
  return __real_journal_start(j, thread && threads);
}

void
disk_threads(bool run)
{
  if(run == threads)
    return;
  threads = run;
  disk.later = run;
  fake_disk_thread(run);
}

static void
relent(void)
{
  frame_fail_after(0, false);
}

void
disk_starve(unsigned n)
{
  fake_yield = relent;
  kmem_drain();
  frame_fail_after(n, true);
}

// ---- images

static struct image *
image_find(const char *name)
{
  for(int i = 0; i < KINDS_MAX; i++)
    if(images[i].bytes == 0 || strcmp(images[i].name, name) == 0)
      return &images[i];
  abort();
}

static bool
image_make(struct image *im, const char *name, const char *options, const char *size)
{
  char path[200];

  sprintf(path, "%s/%s.img", host_tmp(), name);
  if(host_run(
         "exec >/dev/null 2>&1; truncate -s %s %s && "
         "mke2fs -q -F -t ext3 -b 4096 -m 0 -J size=4 -O none,has_journal,filetype,sparse_super,large_file %s %s && "
         "debugfs -w -R 'rmdir lost+found' %s",
         size, path, options, path, path) != 0)
    return false;
  im->bytes = host_map(path, &im->size);
  strcpy(im->name, name);
  return im->bytes != 0;
}

static struct image *loaded; // what the disk held at its start; 0: something else

bool
disk_format(const char *name, const char *options, const char *size)
{
  struct image *im = image_find(name);

  fake_frames_init(FRAMES);
  if(im->bytes == 0 && !image_make(im, name, options, size)) {
    test_fail(__FILE__, __LINE__, "no image %s: these tests need mke2fs, debugfs and e2fsck (e2fsprogs)", name);
    return false;
  }
  if(im == loaded) {
    fake_disk_reset(&disk, im->bytes);
  } else {
    fake_disk_init(&disk, "vda", im->size);
    memcpy(disk.bytes, im->bytes, im->size);
    loaded = im;
  }
  disk.later = threads;
  return true;
}

// ---- mounting

static void
settle(void)
{
  fake_disks_idle();
  vfs_settle();
  while(dentry_shrink(UINT64_MAX) + bcache_shrink(UINT64_MAX) > 0)
    inode_flush_later();
}

int
disk_mount(void)
{
  static bool once;
  int err;

  if(!once) {
    once = true;
    vfs_init();
    tmpfs_init();
    ext3_init();
  }
  fake_idle = fake_disks_idle;
  settle();
  frames_before = fake_frames_free();
  err = ext3_mount("vda", "", &disk_fs);
  if(err) {
    disk_fs = 0;
    return err;
  }
  disk_fs->ref++; // as mount_add counts
  root_ctx.root = root_ctx.cwd = user_ctx.root = user_ctx.cwd = disk_fs->root;
  return 0;
}

void
disk_unmount(void)
{
  struct fs *fs = disk_fs;

  vfs_settle();
  expect_eq(inode_sync_fs(fs), 0); // as umount does
  fs->forsaken = true;
  inode_disown(fs, true);
  dentry_forget_fs(fs);
  expect_eq(fs->root->ref, 1);
  expect_eq(fs->ref, 2);
  expect_eq(fs->ninodes, 1);
  dentry_put(fs->root);
  fs->ops->unmount(fs);
  fs_put(fs);
  disk_fs = 0;
  settle();
  expect_eq(bcache_pages(), 0);
  if(cpu_count == 1) // else each CPU that ever was keeps a stock
    expect_eq(fake_frames_free(), frames_before);
}

void
disk_save(const char *path)
{
  if(!host_save(path, disk.bytes, disk.size))
    abort();
}

void
disk_load(const char *path)
{
  uint64_t size;
  void *p = host_map(path, &size);

  if(p == 0)
    abort();
  fake_disk_init(&disk, "vda", size);
  disk.later = threads;
  memcpy(disk.bytes, p, size);
  loaded = 0;
  host_unmap(p, size);
}

bool
disk_check(const char *what)
{
  char path[200];

  sprintf(path, "%s/checked.img", host_tmp());
  disk_save(path);
  if(host_run("e2fsck -fn %s >%s.out 2>&1", path, path) == 0)
    return true;
  test_fail(__FILE__, __LINE__, "%s: e2fsck is not content", what);
  host_run("head -n 40 %s.out >&2; test -z \"$DISK_KEEP\" || cp %s \"$DISK_KEEP\"", path, path);
  return false;
}
