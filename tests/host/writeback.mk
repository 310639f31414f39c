# write-back: the thread's part, errors, who waits; over files whose store refuses pages, and is slow
WRITEBACK_HOST = $(addprefix tests/host/,writeback_files.c no_programs.c fake_frames.c fake_thread.c) $(VFS_FS) $(MMLOW_MM) $(HOST_CORE) \
  kernel/lib/radix.c kernel/lib/errseq.c kernel/lib/rbtree.c kernel/lib/fmt.c
HOST_TESTS += writeback
writeback_SRC = tests/host/writeback_test.c tests/host/writeback_mt_test.c $(WRITEBACK_HOST)
writeback_LIBS := -lpthread
# Threads that write, map, read, sync, truncate, with the threads of write-back and reclaim, under ThreadSanitizer.
HOST_TESTS += writeback_tsan
writeback_tsan_SRC = tests/host/writeback_mt_test.c $(WRITEBACK_HOST)
writeback_tsan_FLAVOR := tsan
writeback_tsan_LIBS := -lpthread
