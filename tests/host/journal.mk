# The journal over a disk that loses what was not flushed: every crash, replayed and compared with a model and with e2fsck.
JOURNAL_HOST = $(addprefix tests/host/,fake_disk.c no_programs.c fake_frames.c fake_thread.c) $(MMLOW_MM) $(HOST_CORE) \
  $(wildcard kernel/fs/journal/*.c) kernel/fs/bcache.c kernel/dev/blk.c kernel/dev/blkfail.c kernel/lib/radix.c kernel/lib/errseq.c kernel/lib/rbtree.c kernel/lib/fmt.c
HOST_TESTS += journal
journal_SRC = $(addprefix tests/host/,journal_test.c journal_mt_test.c journal_world.c) $(JOURNAL_HOST)
journal_LIBS := -lpthread
HOST_TESTS += journal_real
journal_real_SRC = $(addprefix tests/host/,journal_real_test.c hosttree.c) $(JOURNAL_HOST)
journal_real_LIBS := -lpthread
# The same code with a thread of its own and many that use it, under ThreadSanitizer.
HOST_TESTS += journal_tsan
journal_tsan_SRC = $(addprefix tests/host/,journal_mt_test.c journal_world.c) $(JOURNAL_HOST)
journal_tsan_FLAVOR := tsan
journal_tsan_LIBS := -lpthread
