HOST_TESTS += tty
tty_SRC := tests/host/tty_test.c kernel/dev/line.c kernel/lib/bitmap.c
