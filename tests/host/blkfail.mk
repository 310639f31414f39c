# Disks that fail on purpose, over a disk in memory.
HOST_TESTS += blkfail
blkfail_SRC = tests/host/blkfail_test.c $(addprefix tests/host/,fake_disk.c no_programs.c fake_frames.c fake_thread.c) $(MMLOW_MM) $(HOST_CORE) \
  kernel/dev/blk.c kernel/dev/blkfail.c kernel/lib/radix.c kernel/lib/errseq.c kernel/lib/rbtree.c kernel/lib/fmt.c
blkfail_LIBS := -lpthread
