# The journal over a disk that loses what was not flushed: every crash, replayed and compared with a model and with e2fsck.
JOURNAL_HOST = $(addprefix tests/host/,fake_disk.c no_programs.c fake_frames.c fake_thread.c) $(MMLOW_MM) $(HOST_CORE) \
  $(wildcard kernel/fs/journal/*.c) kernel/fs/bcache.c kernel/dev/blk.c kernel/lib/radix.c kernel/lib/rbtree.c kernel/lib/fmt.c
HOST_TESTS += journal
journal_SRC = $(addprefix tests/host/,journal_test.c journal_world.c hosttree.c) $(JOURNAL_HOST)
journal_LIBS := -lpthread
