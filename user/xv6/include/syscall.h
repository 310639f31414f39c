// syscall.h -- xv6's call numbers, for programs that name one. They mean nothing to the kernel here: see tools/xv6.
#pragma once
enum { SYS_fork = 1, SYS_exit, SYS_wait, SYS_pipe, SYS_read, SYS_kill, SYS_exec, SYS_fstat, SYS_chdir, SYS_dup };
enum { SYS_getpid = 11, SYS_sbrk, SYS_sleep, SYS_uptime, SYS_open, SYS_write, SYS_mknod, SYS_unlink, SYS_link };
enum { SYS_mkdir = 20, SYS_close };
