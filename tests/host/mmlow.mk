# frame, kmem, spare, lru, mobj, shm, reclaim against a fake store and a fake pmap
MMLOW_MM := $(addprefix kernel/mm/,page.c lru.c frame.c kmem.c spare.c mobj.c objmap.c dirty.c balance.c shm.c commit.c reclaim.c thrash.c)
HOST_CORE := $(addprefix kernel/core/,spinlock.c sleeplock.c rwlock.c bitlock.c rank.c wait.c time.c kthread.c)
HOST_TESTS += mmlow
mmlow_SRC := $(addprefix tests/host/,mmlow_test.c mobj_test.c mobj_fakes.c fake_frames.c fake_thread.c) $(MMLOW_MM) $(HOST_CORE) \
  kernel/lib/radix.c kernel/lib/errseq.c kernel/lib/rbtree.c
mmlow_LIBS := -lpthread
