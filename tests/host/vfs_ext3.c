// vfs_ext3.c -- the cases of vfs_test.c run over a fresh ext3 each, which e2fsck looks at afterwards.
#include <stdlib.h>
#include "disk_world.h"
#include "test.h"
#include "vfs_fakes.h"

const bool vfs_fails_all = false;

void
vfs_start(void)
{
  if(!disk_format("vfs", "-N 24000", "48M"))
    exit(1);
  if(disk_mount() != 0)
    abort();
}

void
vfs_stop(void)
{
  disk_unmount();
  disk_check("at the end");
}
