# the upper half of mm (regions to fork) with the lower half, against a fake machine: unit tests and the model test
MM_SRC := $(wildcard kernel/mm/*.c) $(addprefix kernel/core/,spinlock.c sleeplock.c rwlock.c bitlock.c rank.c wait.c time.c kthread.c) \
  kernel/lib/radix.c kernel/lib/errseq.c kernel/lib/rbtree.c $(addprefix tests/host/,fake_pmap.c fake_frames.c fake_thread.c mm_store.c)
HOST_TESTS += mm
mm_SRC := $(MM_SRC) tests/host/mm_test.c tests/host/mm_fail.c tests/host/mm_model.c
mm_LIBS := -lpthread
