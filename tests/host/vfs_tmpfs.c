// vfs_tmpfs.c -- the cases of vfs_test.c run over tmpfs.
#include <stdlib.h>
#include "fs/internal.h"
#include "mobj_fakes.h"
#include "test.h"
#include "vfs_fakes.h"

static uint64_t frames_before;

const bool vfs_fails_all = true;

void
vfs_start(void)
{
  struct fs *fs;

  if(vfs_root == 0) {
    fake_frames_init(ARENA * 4);
    vfs_init();
    tmpfs_init();
    if(!fs_types || fs_types->mount("root", "mode=755,nr_inodes=0", &fs) != 0 || mount_add(fs, 0) != 0)
      abort();
    root_ctx.root = root_ctx.cwd = user_ctx.root = user_ctx.cwd = vfs_root;
  }
  vfs_settle();
  frames_before = fake_frames_free();
}

void
vfs_stop(void)
{
  if(cpu_count == 1) // else each CPU that ever was keeps a stock
    expect_eq(fake_frames_free(), frames_before);
}
