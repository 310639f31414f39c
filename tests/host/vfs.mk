# namei, dcache, inodes, files, pipes, tmpfs over the page cache; Linux itself is the oracle where this runs as root
VFS_FS := $(addprefix kernel/fs/,uio.c inode.c dcache.c dname.c namei.c names.c attr.c open.c file.c filelock.c data.c mount.c pipe.c pipe_ring.c poll.c \
  epoll.c anonfile.c unix.c unix_data.c unix_gc.c   tmpfs/tmpfs.c tmpfs/dir.c)
HOST_TESTS += vfs
vfs_SRC := $(addprefix tests/host/,vfs_test.c vfs_race_test.c vfs_fakes.c vfs_oracle.c mobj_fakes.c fake_frames.c fake_thread.c) $(VFS_FS) $(MMLOW_MM) \
  $(HOST_CORE) kernel/lib/radix.c kernel/lib/rbtree.c kernel/lib/fmt.c
vfs_LIBS := -lpthread
# The same under ThreadSanitizer.
HOST_TESTS += vfs_tsan
vfs_tsan_SRC = $(vfs_SRC)
vfs_tsan_BASE = $(HOST_TSAN_FLAGS)
vfs_tsan_LIBS := -lpthread
