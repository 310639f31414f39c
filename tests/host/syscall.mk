HOST_TESTS += syscall
syscall_SRC := tests/host/syscall_test.c kernel/syscall/sys_mm.c kernel/syscall/sys_mlock.c kernel/syscall/sys_io.c \
  kernel/syscall/sys_poll.c kernel/syscall/usermem.c
