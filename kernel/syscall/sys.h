// sys.h -- what the files of this folder offer each other: handlers by file, and the few helpers they share.
// A handler gets the six argument registers as they are and returns what rax shall hold: a result, or -Exxx. Restart
// codes (lib/errno.h) are left as they are for signal_deliver. Each handler cuts its arguments to Linux's types itself.
#pragma once
#include "core/cpu.h"
#include "lib/atomic.h"
#include "syscall/abi.h"
#include "syscall/syscall.h"

typedef int64_t sysfn(const uint64_t *a); // a[0] .. a[5]

// Kinds of arguments, for strace.
enum argkind {
  ARG_END, // no more arguments
  FD,
  ATFD, // a directory's descriptor or AT_FDCWD
  PATH, // string
  DATA, // bytes; their number is the next argument
  OUT,  // bytes that the call fills; their number is its result
  DEC,
  HEX,
  OCT,
  PTR,
  PROT,
  MAPFLAGS,
  OPENFLAGS,
  ATFLAGS,
  CLONEFLAGS,
  SIGNO,
  TIME,    // struct timespec the program gives
  OUTTIME, // and one that it gets
  OUTINT,  // int that it gets
  OUTFDS,  // pair of descriptors
  STRINGS, // argv
};
struct syscall {
  const char *name;
  sysfn *fn;
  uint8_t kind[6];
};
extern const struct syscall syscall_table[]; // table.c; gaps have no fn
extern const uint64_t syscall_count;

// ---- strace.c
extern bool strace_active; // (c) after start: strace= was given
bool strace_wants(const struct thread *t);
int64_t strace_call(const struct syscall *c, uint64_t nr, const uint64_t *a); // run it, print it

// ---- usermem.c: the running program's memory
static inline struct aspace *
user_as(void)
{
  return current_proc()->as;
}
int user_in(void *dst, vaddr_t src, size_t n); // 0 or -EFAULT, -ENOMEM, -EINTR
int user_out(vaddr_t dst, const void *src, size_t n);
bool user_range(vaddr_t va, uint64_t n);     // does [va, va + n) lie among a program's addresses?
int user_timespec(vaddr_t va, uint64_t *ns); // valid and not negative, or -EINVAL; saturates
int user_timeval(vaddr_t va, uint64_t *ns);
int user_timespec_out(vaddr_t va, uint64_t ns);
int user_timeval_out(vaddr_t va, uint64_t ns);
uint64_t deadline_after(uint64_t ns);   // on clock_now's scale; saturates to NEVER
uint64_t deadline_at_wall(uint64_t ns); // when the wall clock will show ns, if nobody sets it
// A page for strings and records on their way; waits for memory. *pp is for page_put. 0, -ENOMEM, -EINTR.
int user_frame(struct page **pp);
int user_string(struct page **pp, vaddr_t va); // such a page with the program's string

// ---- userpath.c: a path argument
struct userpath {
  struct namectx ctx;
  struct dentry *at; // where a relative path starts; 0: cwd. Held by `dir`.
  struct file *dir;  // 0: none was asked for
  struct page *frame;
  char *name;
};
enum userpath_how { PATH_NONEMPTY, PATH_MAYBE_EMPTY };
// 0: p must go to userpath_put. -EFAULT, -ENAMETOOLONG, -ENOENT (empty), -EBADF, -ENOTDIR, -ENOMEM.
int userpath_get(struct userpath *p, int dirfd, vaddr_t path, enum userpath_how how);
void userpath_put(struct userpath *p);
// Look up: a referenced dentry. `flags`: NAMEI_*.
int userpath_find(struct userpath *p, int flags, struct dentry **out);
// All in one: the inode, referenced. An empty path (with AT_EMPTY_PATH in atflags) means dirfd's own file.
int userpath_inode(int dirfd, vaddr_t path, int atflags, struct inode **out);

// ---- sys_fd.c
struct file *fd_file(int fd);                 // referenced and good for I/O; 0 = EBADF (also for O_PATH)
struct file *fd_any(int fd);                  // O_PATH too
int64_t fd_add(struct file *f, bool cloexec); // takes the reference, also on errors: fd, -EMFILE, -ENOMEM
uint64_t limit_of(int which);                 // the caller's soft limit
unsigned umask_now(void);
sysfn sys_close, sys_close_range, sys_dup, sys_dup2, sys_dup3, sys_pipe, sys_pipe2, sys_fcntl, sys_ioctl;
// ---- sys_lock.c
int64_t record_lock(struct file *f, int fd, unsigned cmd, vaddr_t arg); // fcntl's F_GETLK and so on, or -EINVAL
sysfn sys_flock;
// ---- sys_open.c
sysfn sys_open, sys_openat, sys_creat, sys_memfd_create;
// ---- sys_io.c
int64_t io_write(struct file *f, struct uio *u, uint64_t *pos); // file_write with RLIMIT_FSIZE and SIGPIPE
enum { IOV_SMALL = 8 };                                         // as many as libc ever sends need no allocation
struct uservec {                                                // several buffers of the program; must not be moved
  struct uio u;
  struct iovec *iov, small[IOV_SMALL];
};
int uservec_get(struct uservec *v, vaddr_t iov, uint64_t n); // 0, and v must go to uservec_put
void uservec_put(struct uservec *v);
int io_fsize(uint64_t size); // -EFBIG and SIGXFSZ if a file may not be that long
sysfn sys_read, sys_write, sys_readv, sys_writev, sys_pread64, sys_pwrite64, sys_preadv, sys_pwritev, sys_preadv2;
sysfn sys_pwritev2, sys_lseek;
// ---- sys_copy.c
// file_read and io_write for memory of the kernel's
int64_t io_read_kernel(struct file *f, void *buf, size_t n, uint64_t *pos);
int64_t io_write_kernel(struct file *f, void *buf, size_t n, uint64_t *pos);
sysfn sys_sendfile, sys_copy_file_range;
// ---- sys_splice.c
sysfn sys_splice, sys_tee, sys_vmsplice;
// ---- sys_sync.c
sysfn sys_sync, sys_syncfs, sys_fsync, sys_fdatasync, sys_fadvise64, sys_readahead, sys_truncate, sys_ftruncate;
sysfn sys_fallocate, sys_sync_file_range;
// ---- sys_stat.c
sysfn sys_stat, sys_fstat, sys_lstat, sys_newfstatat, sys_statx, sys_statfs, sys_fstatfs, sys_access, sys_faccessat;
sysfn sys_faccessat2;
// ---- sys_path.c
sysfn sys_mkdir, sys_mkdirat, sys_rmdir, sys_unlink, sys_unlinkat, sys_link, sys_linkat, sys_symlink, sys_symlinkat;
sysfn sys_readlink, sys_readlinkat, sys_rename, sys_renameat, sys_renameat2, sys_mknod, sys_mknodat;
// ---- sys_dir.c
sysfn sys_chdir, sys_fchdir, sys_chroot, sys_getcwd, sys_umask, sys_mount, sys_umount2, sys_getdents;
sysfn sys_getdents64;
// ---- sys_attr.c
sysfn sys_chmod, sys_fchmod, sys_fchmodat, sys_chown, sys_fchown, sys_lchown, sys_fchownat, sys_utimensat, sys_utime;
sysfn sys_utimes, sys_futimesat, sys_getxattr, sys_lgetxattr, sys_fgetxattr, sys_listxattr, sys_llistxattr;
sysfn sys_flistxattr;
// ---- sys_poll.c
sysfn sys_poll, sys_ppoll, sys_select, sys_pselect6;
// ---- sys_epoll.c
sysfn sys_epoll_create, sys_epoll_create1, sys_epoll_ctl, sys_epoll_wait, sys_epoll_pwait, sys_epoll_pwait2;
// ---- sys_event.c
sysfn sys_eventfd, sys_eventfd2, sys_timerfd_create, sys_timerfd_settime, sys_timerfd_gettime, sys_signalfd;
sysfn sys_signalfd4;
// ---- sys_mm.c
int madvise_range(struct aspace *as, vaddr_t lo, uint64_t len, int advice); // madvise(2), arguments checked
sysfn sys_mmap, sys_munmap, sys_mprotect, sys_msync, sys_mremap, sys_madvise, sys_mincore, sys_brk, sys_mseal;
// ---- sys_remap.c
sysfn sys_remap_file_pages;
// ---- sys_numa.c
sysfn sys_set_mempolicy, sys_get_mempolicy, sys_mbind;
// ---- sys_pidfd.c
struct file *pidfd_get(int fd, struct proc **p); // referenced, and p, borrowed from it; 0: no pidfd
sysfn sys_pidfd_open, sys_pidfd_send_signal, sys_process_madvise;
// ---- sys_mlock.c
int mlock_room(struct aspace *as, uint64_t bytes, int over);   // may so much more be locked? 0, -EPERM, `over`
int mlock_populate(struct aspace *as, vaddr_t lo, vaddr_t hi); // every accessible page present; first error
sysfn sys_mlock, sys_mlock2, sys_munlock, sys_mlockall, sys_munlockall;
// ---- sys_shm.c
sysfn sys_shmget, sys_shmat, sys_shmdt, sys_shmctl;
// ---- sys_proc.c
sysfn sys_clone, sys_clone3, sys_fork, sys_vfork, sys_execve, sys_execveat, sys_exit, sys_exit_group, sys_wait4;
sysfn sys_waitid, sys_getpid, sys_getppid, sys_gettid, sys_setpgid, sys_getpgid, sys_getpgrp, sys_setsid, sys_getsid;
// ---- sys_thread.c
sysfn sys_set_tid_address, sys_set_robust_list, sys_get_robust_list, sys_futex, sys_rseq, sys_futex_waitv;
// ---- sys_prctl.c
sysfn sys_prctl, sys_arch_prctl, sys_personality;
// ---- sys_cred.c
sysfn sys_getuid, sys_geteuid, sys_getgid, sys_getegid, sys_getresuid, sys_getresgid, sys_setuid, sys_setgid;
sysfn sys_setresuid, sys_setresgid, sys_setreuid, sys_setregid, sys_getgroups, sys_setgroups, sys_setfsuid;
sysfn sys_setfsgid, sys_capget, sys_capset;
// ---- sys_sched.c
sysfn sys_sched_yield, sys_sched_getaffinity, sys_sched_setaffinity, sys_sched_getscheduler, sys_sched_setscheduler;
sysfn sys_sched_getparam, sys_sched_setparam, sys_sched_get_priority_max, sys_sched_get_priority_min, sys_getpriority;
sysfn sys_setpriority, sys_getcpu;
// ---- sys_signal.c
void signal_self(int sig); // to the running thread, as kill(2) would mark it
// A signal mask for the length of one sleeping call. `va` 0: none. Then sigmask_end with the call's result: it returns
// what rax shall hold, and has the old mask put back now or behind the handler.
int sigmask_begin(vaddr_t va, uint64_t size);
int64_t sigmask_end(vaddr_t va, int64_t result);
sysfn sys_kill, sys_tkill, sys_tgkill, sys_rt_sigaction, sys_rt_sigprocmask, sys_rt_sigreturn, sys_rt_sigsuspend;
sysfn sys_rt_sigpending, sys_rt_sigtimedwait, sys_rt_sigqueueinfo, sys_rt_tgsigqueueinfo, sys_sigaltstack, sys_pause;
// ---- sys_membarrier.c
sysfn sys_membarrier;
// ---- sys_time.c
sysfn sys_nanosleep, sys_clock_nanosleep, sys_clock_gettime, sys_clock_getres, sys_clock_settime, sys_gettimeofday;
sysfn sys_settimeofday, sys_time, sys_restart_syscall;
// ---- sys_timer.c
sysfn sys_alarm, sys_setitimer, sys_getitimer, sys_timer_create, sys_timer_settime, sys_timer_gettime;
sysfn sys_timer_getoverrun, sys_timer_delete;
// ---- sys_limit.c
void limit_memlock_publish(void); // the caller's CAP_IPC_LOCK came or went: what mm may lock for it now
sysfn sys_prlimit64, sys_getrlimit, sys_setrlimit, sys_getrusage, sys_times;
// ---- sys_misc.c
sysfn sys_uname, sys_sethostname, sys_setdomainname, sys_sysinfo, sys_getrandom, sys_syslog, sys_reboot, sys_nosys;
// ---- sys_socket.c
sysfn sys_socket, sys_socketpair, sys_bind, sys_listen, sys_connect, sys_accept, sys_accept4, sys_shutdown;
sysfn sys_getsockname, sys_getpeername, sys_getsockopt, sys_setsockopt;
// ---- sys_message.c
sysfn sys_sendto, sys_recvfrom, sys_sendmsg, sys_recvmsg;
