# All of fs/ but tmpfs and the character devices, over disks in memory.
FS_HOST = tests/host/fs_fakes.c tests/host/no_programs.c tests/host/fake_frames.c tests/host/fake_thread.c $(MMLOW_MM) $(HOST_CORE) \
  $(wildcard kernel/fs/*.c) $(wildcard kernel/fs/ext3/*.c) $(wildcard kernel/fs/journal/*.c) kernel/fs/procfs/procfs.c kernel/fs/procfs/number.c kernel/fs/procfs/text.c \
  kernel/fs/devfs/blkfile.c kernel/dev/blk.c kernel/dev/blkfail.c kernel/lib/radix.c kernel/lib/errseq.c kernel/lib/rbtree.c kernel/lib/bitmap.c kernel/lib/fmt.c
HOST_TESTS += ext3
ext3_SRC = tests/host/ext3_test.c tests/host/hosttree.c $(FS_HOST)
ext3_LIBS := -lpthread
# ext3 over a disk that loses what was not flushed.
EXT3_CRASH = tests/host/ext3_crash_test.c $(addprefix tests/host/,fake_disk.c hosttree.c ext3_image.c ext3_fsck.c) \
  $(addprefix tests/crash/,scenes.c model.c log.c) $(FS_HOST)
HOST_TESTS += ext3_crash
ext3_crash_SRC = $(EXT3_CRASH)
ext3_crash_LIBS := -lpthread -Wl,--wrap=kthread_start
# The tests' own check of an image, against e2fsck.
HOST_TESTS += ext3_fsck
ext3_fsck_SRC = $(addprefix tests/host/,ext3_fsck_test.c ext3_fsck.c ext3_image.c hosttree.c) tests/crash/run.c
