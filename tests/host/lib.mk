HOST_TESTS += lib
lib_SRC := tests/host/lib_test.c tests/host/lib_string.c kernel/lib/radix.c kernel/lib/errseq.c kernel/lib/rbtree.c kernel/lib/bitmap.c kernel/lib/fmt.c
