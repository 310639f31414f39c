# All of fs/ over an ext3 on a disk in memory that is written, judged by Linux, by a model and by e2fsck
DISK_HOST = $(addprefix tests/host/,disk_world.c vfs_fakes.c fake_disk.c hosttree.c mobj_fakes.c fake_frames.c fake_thread.c) $(MMLOW_MM) \
  $(HOST_CORE) $(wildcard kernel/fs/*.c) $(wildcard kernel/fs/ext3/*.c) $(wildcard kernel/fs/journal/*.c) $(wildcard kernel/fs/tmpfs/*.c) \
  kernel/fs/devfs/blkfile.c kernel/dev/blk.c kernel/dev/blkfail.c kernel/lib/radix.c kernel/lib/errseq.c kernel/lib/rbtree.c kernel/lib/bitmap.c kernel/lib/fmt.c
DISK_LIBS := -lpthread -Wl,--wrap=journal_start
# The cases of vfs, over ext3.
HOST_TESTS += vfs_ext3
vfs_ext3_SRC = $(addprefix tests/host/,vfs_test.c vfs_race_test.c vfs_oracle.c vfs_ext3.c) $(DISK_HOST)
vfs_ext3_LIBS = $(DISK_LIBS)
HOST_TESTS += vfs_ext3_tsan
vfs_ext3_tsan_SRC = $(filter-out tests/host/vfs_test.c,$(vfs_ext3_SRC))
vfs_ext3_tsan_FLAVOR := tsan
vfs_ext3_tsan_LIBS = $(DISK_LIBS)
# Random calls, and Linux makes the same.
HOST_TESTS += disk_random
disk_random_SRC = $(addprefix tests/host/,disk_random_test.c vfs_oracle.c) $(DISK_HOST)
disk_random_LIBS = $(DISK_LIBS)
# One behaviour at a time.
HOST_TESTS += disk
disk_SRC = tests/host/disk_test.c $(DISK_HOST)
disk_LIBS = $(DISK_LIBS)
