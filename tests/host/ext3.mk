# All of fs/ but tmpfs and the character devices, over disks in memory.
FS_HOST = tests/host/fs_fakes.c tests/host/no_programs.c tests/host/fake_frames.c tests/host/fake_thread.c $(MMLOW_MM) $(HOST_CORE) \
  $(wildcard kernel/fs/*.c) $(wildcard kernel/fs/ext3/*.c) $(wildcard kernel/fs/journal/*.c) kernel/fs/procfs/procfs.c kernel/fs/procfs/number.c kernel/fs/procfs/text.c \
  kernel/fs/devfs/blkfile.c kernel/dev/blk.c kernel/dev/blkfail.c kernel/lib/radix.c kernel/lib/errseq.c kernel/lib/rbtree.c kernel/lib/bitmap.c kernel/lib/fmt.c
HOST_TESTS += ext3
ext3_SRC = tests/host/ext3_test.c tests/host/hosttree.c $(FS_HOST)
ext3_LIBS := -lpthread
