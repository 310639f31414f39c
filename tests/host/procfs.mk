HOST_TESTS += procfs
procfs_SRC = tests/host/procfs_test.c $(FS_HOST)
procfs_LIBS := -lpthread
