# namei, dcache, inodes, files, pipes, tmpfs over the page cache; Linux itself is the oracle where this runs as root
VFS_FS := $(filter-out kernel/fs/bcache.c,$(wildcard kernel/fs/*.c)) $(wildcard kernel/fs/tmpfs/*.c)
HOST_TESTS += vfs
vfs_SRC := $(addprefix tests/host/,vfs_test.c vfs_race_test.c vfs_fakes.c vfs_tmpfs.c vfs_oracle.c mobj_fakes.c fake_frames.c fake_thread.c) $(VFS_FS) $(MMLOW_MM) \
  $(HOST_CORE) kernel/lib/radix.c kernel/lib/errseq.c kernel/lib/rbtree.c kernel/lib/fmt.c
vfs_LIBS := -lpthread
# What many threads do, under ThreadSanitizer.
HOST_TESTS += vfs_tsan
vfs_tsan_SRC = $(filter-out tests/host/vfs_test.c,$(vfs_SRC))
vfs_tsan_FLAVOR := tsan
vfs_tsan_LIBS := -lpthread
