HOST_TESTS += core
core_SRC := tests/host/core_test.c tests/host/fake_thread.c $(addprefix kernel/core/,bitlock.c kthread.c option.c \
  print.c rank.c rwlock.c sleeplock.c spinlock.c time.c trace.c wait.c) kernel/lib/fmt.c kernel/lib/rbtree.c
