// calls.c -- which calls there are, what their arguments mean, and what the program must not do to itself.
// The list is made from the kernel's own table when this is built (tests/fuzz/syscalls/calls): a new call is tried at once,
// with arguments of the kinds that the table gives. `fine` says more about those where a better guess gets further.
#include "hostile.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALL(number, word, ...) {.nr = number, .name = word, .kind = {__VA_ARGS__}},
struct call calls[] = {
#include "calls.inc"
};
int ncalls = sizeof(calls) / sizeof(calls[0]);

enum { RARE = 40, SELDOM = 8 };

static const struct call fine[] = {
    {"read", .kind = {FD, OUT, SIZE}},
    {"write", .kind = {FD, DATA, SIZE}},
    {"close", .kind = {FD}},
    {"poll", .kind = {POLLFDS, NFDS, S_SMALL}},
    {"lseek", .kind = {FD, OFF, S_WHENCE}},
    {"mmap", .kind = {ADDR, LEN, PROT, MAPFLAGS, FD, OFF}},
    {"mprotect", .kind = {ADDR, LEN, PROT}},
    {"munmap", .kind = {ADDR, LEN}},
    {"brk", .kind = {ADDR}},
    {"rt_sigaction", .rare = SELDOM, .kind = {SIGNO, SIGACT, SIGACT, SIGSIZE}},
    {"rt_sigprocmask", .kind = {S_SMALL, SIGSET, SIGSET, SIGSIZE}},
    {"rt_sigreturn", .rare = RARE, .kind = {ARG_END}},
    {"ioctl", .kind = {FD, S_IOCTL, FLOCKS}},
    {"pread64", .kind = {FD, OUT, SIZE, OFF}},
    {"pwrite64", .kind = {FD, DATA, SIZE, OFF}},
    {"readv", .kind = {FD, IOV, IOVCNT}},
    {"writev", .kind = {FD, IOV, IOVCNT}},
    {"select", .kind = {NFDS, FDSET, FDSET, FDSET, TIME}},
    {"mremap", .kind = {ADDR, LEN, LEN, S_MREMAP, ADDR}},
    {"msync", .kind = {ADDR, LEN, S_MSYNC}},
    {"mincore", .kind = {ADDR, LEN, OUT}},
    {"madvise", .kind = {ADDR, LEN, S_MADV}},
    {"shmget", .kind = {S_SHMKEY, LEN, S_SHMFLAG}},
    {"shmat", .kind = {SHMID, ADDR, S_SHMFLAG}},
    {"shmctl", .kind = {SHMID, S_SHMCTL, PTR}},
    {"shmdt", .kind = {ADDR}},
    {"pause", .rare = RARE, .kind = {ARG_END}},
    {"getitimer", .kind = {S_SMALL, PTR}},
    {"alarm", .kind = {S_SMALL}},
    {"setitimer", .kind = {S_SMALL, TIMES2, PTR}},
    {"sendfile", .kind = {FD, FD, OFFPTR, SIZE}},
    {"execve", .rare = SELDOM, .kind = {PATH, STRINGS, STRINGS}},
    {"execveat", .rare = SELDOM, .kind = {ATFD, PATH, STRINGS, STRINGS, ATFLAGS}},
    {"exit", .rare = RARE, .kind = {DEC}},
    {"exit_group", .rare = RARE, .kind = {DEC}},
    {"wait4", .kind = {PID, OUTINT, S_WAIT, OUT}},
    {"waitid", .kind = {S_IDTYPE, PID, OUT, S_WAIT, OUT}},
    {"kill", .rare = SELDOM, .kind = {PID, SIGNO}},
    {"tkill", .rare = SELDOM, .kind = {PID, SIGNO}},
    {"tgkill", .rare = SELDOM, .kind = {PID, PID, SIGNO}},
    {"rt_sigqueueinfo", .rare = SELDOM, .kind = {PID, SIGNO, SIGINFO}},
    {"rt_tgsigqueueinfo", .rare = SELDOM, .kind = {PID, PID, SIGNO, SIGINFO}},
    {"rt_sigtimedwait", .kind = {SIGSET, PTR, TIME, SIGSIZE}},
    {"rt_sigsuspend", .rare = SELDOM, .kind = {SIGSET, SIGSIZE}},
    {"rt_sigpending", .kind = {PTR, SIGSIZE}},
    {"sigaltstack", .kind = {ALTSTACK, PTR}},
    {"fcntl", .kind = {FD, S_FCNTL, FLOCKS}},
    {"access", .kind = {PATH, S_SMALL}},
    {"faccessat", .kind = {ATFD, PATH, S_SMALL}},
    {"faccessat2", .kind = {ATFD, PATH, S_SMALL, ATFLAGS}},
    {"flock", .kind = {FD, S_LOCK}},
    {"truncate", .kind = {PATH, OFF}},
    {"ftruncate", .kind = {FD, OFF}},
    {"getdents", .kind = {FD, OUT, SIZE}},
    {"getdents64", .kind = {FD, OUT, SIZE}},
    {"getcwd", .kind = {OUT, SIZE}},
    {"readlink", .kind = {PATH, OUT, SIZE}},
    {"readlinkat", .kind = {ATFD, PATH, OUT, SIZE}},
    {"chown", .kind = {PATH, UID, UID}},
    {"fchown", .kind = {FD, UID, UID}},
    {"lchown", .kind = {PATH, UID, UID}},
    {"fchownat", .kind = {ATFD, PATH, UID, UID, ATFLAGS}},
    {"getrlimit", .kind = {S_RLIM, PTR}},
    {"setrlimit", .rare = SELDOM, .kind = {S_RLIM, RLIMIT}},
    {"prlimit64", .rare = SELDOM, .kind = {PID, S_RLIM, RLIMIT, PTR}},
    {"getrusage", .kind = {S_SMALL, PTR}},
    {"setuid", .rare = SELDOM, .kind = {UID}},
    {"setgid", .rare = SELDOM, .kind = {UID}},
    {"setreuid", .rare = SELDOM, .kind = {UID, UID}},
    {"setregid", .rare = SELDOM, .kind = {UID, UID}},
    {"setresuid", .rare = SELDOM, .kind = {UID, UID, UID}},
    {"setresgid", .rare = SELDOM, .kind = {UID, UID, UID}},
    {"getgroups", .kind = {S_SMALL, PTR}},
    {"setgroups", .kind = {S_SMALL, PTR}},
    {"capget", .kind = {CAPHEAD, PTR}},
    {"capset", .kind = {CAPHEAD, PTR}},
    {"setpgid", .kind = {PID, PID}},
    {"getpgid", .kind = {PID}},
    {"getsid", .kind = {PID}},
    {"utime", .kind = {PATH, TIMES2}},
    {"utimes", .kind = {PATH, TIMES2}},
    {"futimesat", .kind = {ATFD, PATH, TIMES2}},
    {"utimensat", .kind = {ATFD, PATH, TIMES2, ATFLAGS}},
    {"personality", .kind = {S_PERSON}},
    {"getpriority", .kind = {S_SMALL, PID}},
    {"setpriority", .kind = {S_SMALL, PID, S_SMALL}},
    {"sched_setparam", .kind = {PID, PTR}},
    {"sched_getparam", .kind = {PID, PTR}},
    {"sched_setscheduler", .kind = {PID, S_POLICY, PTR}},
    {"sched_getscheduler", .kind = {PID}},
    {"sched_get_priority_max", .kind = {S_POLICY}},
    {"sched_get_priority_min", .kind = {S_POLICY}},
    {"sched_setaffinity", .kind = {PID, S_SMALL, MASK}},
    {"sched_getaffinity", .kind = {PID, S_SMALL, OUT}},
    {"mlock", .kind = {ADDR, LEN}},
    {"mlock2", .kind = {ADDR, LEN, S_MCL}},
    {"munlock", .kind = {ADDR, LEN}},
    {"mlockall", .kind = {S_MCL}},
    {"mseal", .rare = SELDOM, .kind = {ADDR, LEN, S_SMALL}},
    {"prctl", .kind = {S_PRCTL, DEC, DEC, DEC, DEC}},
    {"arch_prctl", .rare = SELDOM, .kind = {S_ARCH, PTR}},
    {"chroot", .rare = SELDOM, .kind = {PATH}},
    {"syslog", .kind = {S_SYSLOG, OUT, SIZE}},
    {"sync", .rare = SELDOM, .kind = {ARG_END}},
    {"mount", .kind = {FSTYPE, MNTDIR, FSTYPE, S_MOUNT, PTR}},
    {"umount2", .kind = {MNTDIR, S_SMALL}},
    {"readahead", .kind = {FD, OFF, SIZE}},
    {"fadvise64", .kind = {FD, OFF, OFF, S_SMALL}},
    {"futex", .kind = {WORD, S_FUTEX, S_SMALL, TIME, WORD, S_SMALL}},
    {"futex_waitv", .kind = {WAITV, S_SMALL, S_SMALL, TIME, S_CLOCK}},
    {"set_robust_list", .kind = {ROBUST, S_SMALL}},
    {"get_robust_list", .kind = {PID, PTR, PTR}},
    {"rseq", .rare = SELDOM, .kind = {RSEQ, S_SMALL, S_SMALL, HEX}},
    {"membarrier", .kind = {S_MEMBAR, S_SMALL, S_SMALL}},
    {"remap_file_pages", .kind = {ADDR, LEN, PROT, S_SMALL, MAPFLAGS}},
    {"clock_settime", .kind = {S_CLOCK, TIME}},
    {"clock_gettime", .kind = {S_CLOCK, OUTTIME}},
    {"clock_getres", .kind = {S_CLOCK, OUTTIME}},
    {"clock_nanosleep", .kind = {S_CLOCK, S_SMALL, TIME, OUTTIME}},
    {"pselect6", .kind = {NFDS, FDSET, FDSET, FDSET, TIME, PTR}},
    {"ppoll", .kind = {POLLFDS, NFDS, TIME, SIGSET, SIGSIZE}},
    {"sync_file_range", .kind = {FD, OFF, OFF, S_SMALL}},
    {"fallocate", .kind = {FD, S_FALLOC, OFF, OFF}},
    {"preadv", .kind = {FD, IOV, IOVCNT, OFF}},
    {"pwritev", .kind = {FD, IOV, IOVCNT, OFF}},
    {"preadv2", .kind = {FD, IOV, IOVCNT, OFF, S_SMALL, S_SMALL}},
    {"pwritev2", .kind = {FD, IOV, IOVCNT, OFF, S_SMALL, S_SMALL}},
    {"renameat2", .kind = {ATFD, PATH, ATFD, PATH, S_RENAME}},
    {"getrandom", .kind = {OUT, SIZE, S_SMALL}},
    {"memfd_create", .kind = {PATH, S_MEMFD}},
    {"copy_file_range", .kind = {FD, OFFPTR, FD, OFFPTR, SIZE, S_SMALL}},
    {"splice", .kind = {FD, OFFPTR, FD, OFFPTR, SIZE, S_SMALL}},
    {"clone3", .kind = {CLONE3, S_SMALL}},
    {"close_range", .rare = SELDOM, .kind = {FD, FD, S_SMALL}},
    {"process_madvise", .kind = {FD, IOV, IOVCNT, S_MADV, S_SMALL}},
};

int
calls_find(const char *name)
{
  for(int i = 0; i < ncalls; i++)
    if(strcmp(calls[i].name, name) == 0)
      return i;
  return -1;
}

void
calls_init(void)
{
  for(size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
    int k = calls_find(fine[i].name);

    if(k < 0) {
      fprintf(stderr, "hostile: calls.c describes %s, which the kernel's table does not have\n", fine[i].name);
      exit(2);
    }
    memcpy(calls[k].kind, fine[i].kind, ARGS);
    calls[k].rare = fine[i].rare;
  }
  if(ncalls > CALLS_MAX) {
    fprintf(stderr, "hostile: %d calls; make CALLS_MAX larger\n", ncalls);
    exit(2);
  }
}

// ---- What ends the run by design, and is not tried by root. Others are kept from it by the kernel, which is the point.

static bool
is_one_of(const char *name, const char *const *list)
{
  for(; *list; list++)
    if(strcmp(name, *list) == 0)
      return true;
  return false;
}

static bool
spared(int64_t pid)
{
  if(pid == -1)
    return true;
  for(int i = 0; i < harness.nspared; i++)
    if(pid == harness.spared[i] || pid == -harness.spared[i])
      return true;
  return false;
}

// Files and folders of the machine: root may look, and open them for reading.
static bool
root_may_name(const struct call *k, uint64_t *a)
{
  static const char *const looks[] = {
      "stat",     "lstat",      "access",    "readlink",   "statfs",   "newfstatat", "statx",     "execve",
      "execveat", "readlinkat", "faccessat", "faccessat2", "getxattr", "listxattr",  "lgetxattr", "llistxattr",
      0};
  enum { HARMLESS = O_CLOEXEC | O_NONBLOCK | O_DIRECTORY | O_NOFOLLOW | O_PATH | O_NOCTTY };

  if(strcmp(k->name, "open") == 0)
    a[1] &= HARMLESS;
  else if(strcmp(k->name, "openat") == 0)
    a[2] &= HARMLESS;
  else
    return is_one_of(k->name, looks);
  return true;
}

bool
call_allowed(struct ctx *c, const struct call *k, uint64_t *a)
{
  static const char *const never[] = {"chmod",    "fchmod", "fchmodat",     "chown",         "fchown", "lchown",
                                      "fchownat", "fchdir", "settimeofday", "clock_settime", "reboot", 0};
  static const char *const one_pid[] = {"kill", "tkill", "rt_sigqueueinfo", "prlimit64", 0};
  static const char *const two_pids[] = {"tgkill", "rt_tgsigqueueinfo", 0};

  if(!c->root)
    return true;
  if(strcmp(k->name, "mount") == 0)
    a[4] = (uint64_t) "size=4m"; // what no process holds must not be all of memory
  if(is_one_of(k->name, never))
    return false;
  if(is_one_of(k->name, one_pid) && spared((int32_t)a[0]))
    return false;
  if(is_one_of(k->name, two_pids) && (spared((int32_t)a[0]) || spared((int32_t)a[1])))
    return false;
  return !c->system_path || root_may_name(k, a);
}
