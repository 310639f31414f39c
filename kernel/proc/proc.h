// proc.h -- process and thread.
// Lock keys: (a) atomic  (c) constant  (L) proclist_lock  (P) proc.lock  (Q) rq.lock  (t) only the thread itself
//            (T) fdtable.lock  (I) pi_lock  (K) proc.ktimer_lock
#pragma once
#include "core/lock.h"
#include "core/thread.h"
#include "core/wait.h"
#include "fs/vfs.h"
#include "lib/rbtree.h"
#include "mm/mm.h"

enum { KSTACK_ORDER = 2, KSTACK_SIZE = 4096 << KSTACK_ORDER };
enum {
  NSIG = 64,
  SIGHUP = 1,
  SIGINT,
  SIGQUIT,
  SIGILL,
  SIGTRAP,
  SIGABRT,
  SIGBUS,
  SIGFPE,
  SIGKILL,
  SIGUSR1,
  SIGSEGV,
  SIGUSR2,
  SIGPIPE,
  SIGALRM,
  SIGTERM,
  SIGSTKFLT,
  SIGCHLD,
  SIGCONT,
  SIGSTOP,
  SIGTSTP,
  SIGTTIN,
  SIGTTOU,
  SIGURG,
  SIGXCPU,
  SIGXFSZ,
  SIGVTALRM,
  SIGPROF,
  SIGWINCH,
  SIGIO,
  SIGPWR,
  SIGSYS
};
enum {
  SI_USER = 0,
  SI_KERNEL = 0x80,
  SI_QUEUE = -1,
  SI_TIMER = -2,
  SI_TKILL = -6,
  SEGV_MAPERR = 1,
  SEGV_ACCERR = 2,
  BUS_ADRALN = 1,
  BUS_ADRERR = 2,
  FPE_INTDIV = 1,
  ILL_ILLOPN = 2,
  TRAP_BRKPT = 1,
  TRAP_TRACE = 2,
  CLD_EXITED = 1,
  CLD_KILLED,
  CLD_DUMPED,
  CLD_TRAPPED,
  CLD_STOPPED,
  CLD_CONTINUED
};
typedef uint64_t sigset; // bit sig-1
#define SIGBIT(sig) (1ull << ((sig)-1))

struct siginfo { // Linux's first 128 bytes, built in signal.c
  int32_t signo, err, code, pad;
  union {
    struct {
      int32_t pid;
      uint32_t uid;
      uint64_t value;
    } kill; // also rt
    struct {
      int32_t pid;
      uint32_t uid;
      int32_t status;
      int32_t pad2;
      int64_t utime, stime;
    } chld;
    struct {
      uint64_t addr;
      int16_t lsb;
    } fault;
    struct {
      int32_t tid, overrun;
      uint64_t value;
    } timer;
    uint8_t bytes[112];
  };
};
struct sigaction { // Linux's kernel layout
  uint64_t handler, flags, restorer;
  sigset mask;
};
struct sigqueue; // signal.c
struct sigpending {
  sigset set;
  struct list queue;
};
struct sighand { // shared by threads and CLONE_SIGHAND
  int ref;       // (a)
  struct spinlock lock;
  struct sigaction action[NSIG];
};

struct rlimit {
  uint64_t cur, max;
};
enum {
  RLIMIT_CPU,
  RLIMIT_FSIZE,
  RLIMIT_DATA,
  RLIMIT_STACK,
  RLIMIT_CORE,
  RLIMIT_RSS,
  RLIMIT_NPROC,
  RLIMIT_NOFILE,
  RLIMIT_MEMLOCK,
  RLIMIT_AS,
  RLIMIT_LOCKS,
  RLIMIT_SIGPENDING,
  RLIMIT_MSGQUEUE,
  RLIMIT_NICE,
  RLIMIT_RTPRIO,
  RLIMIT_RTTIME,
  RLIMITS
};

struct fdtable { // no fixed size; shared with CLONE_FILES
  int ref;       // (a)
  struct spinlock lock;
  int size, lowest_free; // (T)
  struct file **file;    // (T)
  uint8_t *cloexec;      // (T) bitmap
};
struct fsctx { // root, cwd, umask; shared with CLONE_FS
  int ref;     // (a)
  struct spinlock lock;
  struct dentry *root, *cwd; // (lock)
  unsigned umask;            // (lock)
};

enum thread_state { THREAD_RUNNABLE, THREAD_BLOCKED, THREAD_STOPPED, THREAD_DEAD };

struct proc;
extern struct spinlock proclist_lock;
struct regs;
struct textbuf;
struct proc_file;
struct vfork_wait; // clone.c
struct pi_state;   // futex_pi.c
struct fpu;        // arch
struct thread {
  struct proc *proc;                      // (c) 0: a kernel thread
  int tid;                                // (c)
  int ref;                                // (a) structure
  char name[16];                          // (a) comm
  void *kstack;                           // (c) KSTACK_SIZE bytes
  uintptr_t ksp;                          // (Q) saved stack pointer while not running
  struct fpu *fpu;                        // (t) extended state; arch/fpu.c
  uint64_t fs_base, gs_base;              // (t)
  struct regs *regs;                      // (t) user registers of the current entry, top of kstack; 0: kernel thread
  enum thread_state state;                // (Q)
  bool idle;                              // (c) its CPU's idle thread
  bool on_cpu;                            // (Q) its stack is in use
  bool woken;                             // (Q) a wake came after thread_prepare
  int cpu;                                // (Q) where it runs or ran last
  uint64_t affinity;                      // (Q)
  struct rbnode rq;                       // (Q)
  bool queued;                            // (Q) in its CPU's tree: runnable, not running
  uint64_t vruntime;                      // (Q) nanoseconds run, as fairness sees it
  uint64_t slice_end;                     // (Q)
  int nice;                               // (a) -20 first .. 19 last
  struct held held;                       // (t)
  int reserve;                            // (t) see thread_reserve
  void (*entry)(void *);                  // (c) kernel threads
  void *entry_arg;                        // (c)
  struct list in_proc;                    // (P)
  struct list by_tid;                     // (L)
  sigset mask, saved_mask;                // (t) to change, under (P); others read under (P)
  sigset waiting;                         // (P) what sigtimedwait waits for
  bool stop_counted;                      // (P) counted in proc.nstopped
  bool restore_mask;                      // (t) sigsuspend and ppoll: saved_mask comes back after delivery
  struct sigpending pending;              // (P)
  bool sig_pending;                       // (a) look before user mode (signal, stop, exit)
  bool exiting;                           // (a) must die at the next chance
  uint64_t altstack_sp, altstack_size;    // (t)
  int altstack_flags;                     // (t)
  vaddr_t clear_tid;                      // (t)
  vaddr_t robust_list;                    // (t)
  struct list pi_owned;                   // (I) futex_pi.c: contended locks it owns
  struct pi_state *pi_blocked;            // (I) the one it waits for
  bool futex_dead;                        // (I) it has let go of its locks and ends
  vaddr_t rseq;                           // (t) restartable sequences: the area, 0: none
  uint32_t rseq_signature;                // (t)
  bool rseq_due;                          // (t) and its CPU's interrupts: the area must be looked at before user mode
  struct fdtable *files;                  // (t) to change; referenced
  struct fsctx *fs;                       // (t) to change; referenced
  struct cred *cred;                      // (t) to change; others through the process's leader
  uint64_t entered;                       // (t) time up to which user_ns and system_ns are complete
  uint64_t user_ns, system_ns;            // (t) exact in sum; the division is sampled by the clock interrupt
  uint32_t user_ticks, system_ticks;      // (t) those samples
  bool ticked;                            // (t) a clock interrupt waits to be attributed
  uint64_t minflt, majflt, nvcsw, nivcsw; // (t)
  uint64_t syscall_no; // (t) set by syscall_dispatch; NO_SYSCALL after sched_return: rax is no call's result
  struct {
    int (*fn)(struct thread *);
    uint64_t deadline, arg[4];
  } restart;                // (t) ERESTART_RESTARTBLOCK
  uint64_t strace;          // (t) trace this one's calls
  int mempolicy;            // (t) Linux's number; sys_numa.c
  struct vfork_wait *vfork; // (t) the parent that waits for our exec or exit (clone.c)
};

#define NO_SYSCALL UINT64_MAX

struct cputimer {                            // cputimer.c
  struct list link;                          // (P) on proc->cputimers while armed
  struct proc *proc;                         // (c) not referenced
  struct thread *thread;                     // (c) the owner's reference; 0: the time of the whole process
  bool user_only;                            // (c)
  bool armed, running;                       // (P)
  uint64_t expires;                          // (P) on the scale of cputimer_clock
  uint64_t interval;                         // (P) 0: once
  void (*fn)(struct cputimer *, uint64_t n); // (c) it went off n times; no lock held, interrupts off
};

struct proc {                            // thread group
  int pid;                               // (c)
  int ref;                               // (a) structure: pid table, threads, who looks
  struct spinlock lock;                  // rank 56
  struct list threads;                   // (P)
  int nthreads;                          // (P) alive
  struct thread *leader;                 // (P) referenced, also when it ended before the others; 0 once reaped
  struct thread *execing;                // (P) waits in exec for all others to end
  struct aspace *as;                     // (P) to change (exec); its own threads read it freely. 0 after exit
  struct sighand *sighand;               // (c) but for exec
  struct sigpending pending;             // (P)
  struct proc *parent;                   // (L)
  struct list children, sibling, by_pid; // (L)
  struct list dead;                      // (L) on its way out, exit.c
  int pgid, sid;                         // (L)
  struct list in_group, in_session;      // (L) in the hash tables of proc.c, by pgid and by sid
  bool zombie, reaped;                   // (L)
  bool group_exit;                       // (P) all threads must die
  int exit_code;                         // (P) wait status
  bool stopped, stop_reported, continued_unreported; // (P) stopped: is or is about to be
  int nstopped;                                      // (P) threads that have stopped; all of them: worth a report
  int stop_sig;                                      // (P)
  int exit_signal;                                   // (L) to the parent; SIGCHLD
  struct waitq wait;                                 // children's changes
  struct waitq ended;                                // woken when it became a zombie, and when it was reaped
  struct file *exe;                                  // (P) referenced, write denied
  struct rlimit rlim[RLIMITS];                       // (P)
  bool execed;                                       // (P) since fork, for setpgid
  bool dumpable, no_new_privs, child_subreaper;      // (P)
  uint64_t start_time;                               // (c)
  uint64_t user_ns, system_ns, cuser_ns, csystem_ns, minflt, majflt, cminflt, cmajflt, maxrss,
      cmaxrss;                             // (P) of ended threads and children
  uint64_t nvcsw, nivcsw, cnvcsw, cnivcsw; // (P) the same
  int nqueued;                             // (a) entries of struct sigqueue, for RLIMIT_SIGPENDING
  int pdeath_sig;                          // (P)
  struct timer itimer_real;                // (P)
  uint64_t itimer_interval;                // (P)
  struct cputimer itimer_virtual, itimer_prof;
  struct list cputimers;       // (P) armed ones
  int ncputimers;              // (a) how many
  struct spinlock ktimer_lock; // rank 55; taken in the clock interrupt
  struct list ktimers;         // (K)
  int ktimer_next;             // (K)
  int oom_score_adj;           // (P)
  struct tty *tty;             // (L) controlling terminal of the session
};

#define current_proc() (thread_self()->proc)

// ---- sched.c (implements core/thread.h)
void sched_init(void);                                // this CPU's queue and idle thread; on each CPU
void sched_idle_loop(void) __attribute__((noreturn)); // what each CPU does after start
void sched_tick(void);                                // clock interrupt: timers, slice
void sched_return(struct regs *r); // before user mode, interrupts off: reschedule, signals, exit. May change *r.
struct thread *thread_alloc(void); // stack and all, not queued; 0
void thread_put(struct thread *t);
void sched_add(struct thread *t);                // make a new thread runnable
void sched_exit(void) __attribute__((noreturn)); // the running thread is dead: never comes back
void sched_thread_begin(void);                   // where a new thread starts
void sched_load(uint64_t load[3]);               // fixed point 16.16
int sched_running(void);
uint64_t sched_busy_cpus(void); // bit per CPU that is not idle; others may be set
uint64_t sched_context_switches(void);
int sched_set_affinity(struct thread *t, uint64_t mask); // 0 or -EINVAL; the running thread has moved when it returns
void sched_notice(struct thread *t); // something waits for it at the edge of user mode: wake it, or interrupt its CPU
void sched_account(void);            // bring the running thread's times up to now
int sched_threads(void);             // kernel stacks in use
// ---- thread.c
struct thread *thread_alloc_idle(void);
void thread_bury(struct thread *t);
// ---- usage.c
void usage_account(struct thread *t, uint64_t now); // the running thread's times up to now; interrupts off
void usage_tick(struct thread *t, bool user);       // a sample
// ---- load.c
void load_update(uint64_t now);                // now and then; any context
void load_read(uint64_t now, uint64_t out[3]); // fixed point 16.16
// ---- proc.c
void proc_init(void);
struct proc *proc_alloc(int pid);    // lists; 0: no memory, and the pid stays with the caller
struct proc *proc_find(int pid);     // referenced; 0
struct thread *thread_find(int tid); // referenced; 0
struct proc *proc_get(struct proc *p);
void proc_put(struct proc *p);
struct proc *proc_next(int pid);                          // the one with the smallest pid > pid, referenced; 0
struct proc *proc_after(int pid) REQUIRES(proclist_lock); // the same, borrowed
int proc_count(void);
extern struct proc *proc_initial;
int pid_alloc(void);    // -EAGAIN
int pid_claim(int pid); // that one: -EINVAL, -EPERM, -EEXIST
void pid_free(int pid);
int pid_newest(void); // handed out last
extern int pid_max;   // (a) pids lie below; /proc/sys/kernel/pid_max
// Now others can find it. parent 0: the first; else the caller, or the caller's parent at this moment (CLONE_PARENT).
// false: the caller is being killed, and a child would escape.
bool proc_add(struct proc *p, struct thread *leader, struct proc *parent);
void proc_add_thread(struct proc *p, struct thread *t);   // tid table and thread list
void proc_take_lead(struct proc *p, struct thread *t);    // its only thread gets the process's pid
void proc_remove(struct proc *p) REQUIRES(proclist_lock); // out of every table; the caller then does proc_put
void proc_set_group(struct proc *p, int pgid, int sid) REQUIRES(proclist_lock);
// Next member after `p` (0: first) of a group or session, borrowed; 0 ends.
struct proc *proc_in_group(int pgid, struct proc *p) REQUIRES(proclist_lock);
struct proc *proc_in_session(int sid, struct proc *p) REQUIRES(proclist_lock);
struct aspace *proc_aspace(struct proc *p);     // its structure, by aspace_get; 0 after exit
struct fdtable *proc_files(struct proc *p);     // referenced; 0 after exit
struct fsctx *proc_fs(struct proc *p);          // referenced; 0 after exit
struct cred *proc_cred(struct proc *p);         // referenced
uint64_t proc_limit(struct proc *p, int which); // the soft limit
// ---- clone.c
struct clone_args { // Linux's clone3 fields
  uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
  uint64_t set_tid, set_tid_size, cgroup; // set_tid: the number itself, once the system call has read it; 0: any
};
int64_t proc_clone(
    const struct clone_args *a);  // pid of the child, or -E. The child's stack pointer is stack + stack_size, 0: as is
uint64_t clone_threads_max(void); // kernel stacks that memory allows
void clone_release_parent(struct thread *t); // end of a vfork: exec and exit
struct sighand *sighand_copy(struct sighand *h,
                             bool clear); // h 0: all default; clear: handlers become default. 0: no memory
void sighand_put(struct sighand *h);
void proc_user_start(void);   // what a new user thread runs first: to user mode with t->regs
extern uint64_t vm_randomize; // (a) image.c: /proc/sys/kernel/randomize_va_space
// ---- exec.c
// From execve. 0: the registers are the new program's. flags: AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW.
int proc_exec(struct dentry *at, const char *path, int flags, vaddr_t argv, vaddr_t envp);
int proc_start_init(const char *path, char *const argv[],
                    char *const envp[]); // the first process, from a kernel thread
// ---- exit.c
enum {
  WNOHANG = 1,
  WUNTRACED = 2,
  WSTOPPED = 2,
  WEXITED = 4,
  WCONTINUED = 8,
  WNOWAIT = 0x1000000,
  WNOTHREAD = 0x20000000,
  WALL = 0x40000000
};
#define WCLONE 0x80000000u
enum { P_ALL, P_PID, P_PGID };
void proc_exit_thread(int code) __attribute__((noreturn)); // exit(2): code & 255 counts if it is the last thread
void proc_exit_group(int wait_status) __attribute__((noreturn));
// options as waitid(2): wait4 adds WEXITED. P_PGID with id 0: the caller's group.
// Pid, 0 (WNOHANG), -ECHILD, -EINVAL, -ERESTARTSYS.
// rusage64: 144 bytes, may be 0, as may status (wait4's word) and info.
int64_t proc_wait(int which, int id, int options, int *status, struct siginfo *info, void *rusage64);
struct rusage { // Linux's layout
  int64_t utime_sec, utime_usec, stime_sec, stime_usec, maxrss, ixrss, idrss, isrss, minflt, majflt, nswap, inblock,
      oublock, msgsnd, msgrcv, nsignals, nvcsw, nivcsw;
};
enum { RUSAGE_SELF = 0, RUSAGE_CHILDREN = -1, RUSAGE_THREAD = 1 };
int proc_rusage(int who, struct rusage *ru); // of the running process; -EINVAL
struct proctimes {
  uint64_t user, system, cuser, csystem;
}; // nanoseconds
void proc_times(struct proc *p, struct proctimes *t);
// ---- sigpending.c
enum { SIGRTMIN = 32 };
#define SIG_DFL 0ull
#define SIG_IGN 1ull
enum {
  SA_NOCLDSTOP = 1,
  SA_NOCLDWAIT = 2,
  SA_SIGINFO = 4,
  SA_RESTORER = 0x4000000,
  SA_ONSTACK = 0x8000000,
  SA_RESTART = 0x10000000,
  SA_NODEFER = 0x40000000
};
#define SA_RESETHAND 0x80000000u
#define SIGS_STOP    (SIGBIT(SIGSTOP) | SIGBIT(SIGTSTP) | SIGBIT(SIGTTIN) | SIGBIT(SIGTTOU))
#define SIGS_IGNORED (SIGBIT(SIGCHLD) | SIGBIT(SIGURG) | SIGBIT(SIGWINCH) | SIGBIT(SIGCONT)) // by default
#define SIGS_SYNCHRONOUS                                                                                               \
  (SIGBIT(SIGSEGV) | SIGBIT(SIGBUS) | SIGBIT(SIGILL) | SIGBIT(SIGTRAP) | SIGBIT(SIGFPE) | SIGBIT(SIGSYS))
#define SIGS_CORE        (SIGS_SYNCHRONOUS | SIGBIT(SIGQUIT) | SIGBIT(SIGABRT) | SIGBIT(SIGXCPU) | SIGBIT(SIGXFSZ))
#define SIGS_UNBLOCKABLE (SIGBIT(SIGKILL) | SIGBIT(SIGSTOP))
int sigpending_add(struct proc *p, struct sigpending *q, const struct siginfo *si) REQUIRES(p->lock); // 0 or -EAGAIN
int sigpending_take(struct proc *p, struct sigpending *q, sigset among, struct siginfo *si)
    REQUIRES(p->lock); // signal, or 0
void sigpending_remove(struct proc *p, struct sigpending *q, sigset which) REQUIRES(p->lock);
// ---- signal.c: sending. si->signo 1..64. From any context but with no lock of rank RANK_PROCLIST or above held.
int signal_send(struct thread *t, struct proc *p,
                const struct siginfo *si); // t 0: to the process. 0 or -EAGAIN (queue full)
int signal_send_listed(struct thread *t, struct proc *p, const struct siginfo *si) REQUIRES(proclist_lock);
int signal_kill(int pid, int sig, int code); // kill(2)'s meaning, permission checked
void signal_group(int pgid, int sig);        // from the tty
void signal_force(int sig, int code,
                  uint64_t addr);               // a fault of the running thread: cannot be blocked or ignored (G07)
bool signal_ignored(struct proc *p, int sig);   // a snapshot
bool signal_permitted(struct proc *p, int sig); // may the running thread send it?
void signal_kill_all(struct proc *p, int wait_status) REQUIRES(p->lock); // group exit: every thread must die
void signal_child_changed(struct proc *p, int code,
                          int status); // SIGCHLD for a stop or continue, and wake wait
int signal_status(struct proc *p,
                  int sig); // the wait status of a process that sig kills, core bit by RLIMIT_CORE
// ---- sigaction.c: what the running thread makes of signals
bool signal_deliver(struct regs *r); // from sched_return, interrupts on; true: a handler runs next. May not return.
void signal_exec(struct thread *t);  // reset handlers
int signal_action(int sig, const struct sigaction *new_, struct sigaction *old);
int signal_mask(int how, const sigset *set, sigset *old);
void signal_set_mask(struct thread *t, sigset mask); // sigreturn and the like
int signal_suspend(const sigset *mask);
int64_t signal_timedwait(const sigset *set, struct siginfo *info, uint64_t deadline);
void signal_mask_until_return(const sigset *mask); // ppoll, pselect: the old mask comes back at delivery or return
sigset signal_waiting_set(void);                   // rt_sigpending
// sig_pending anew, after a change of mask or queues. t->proc->lock is held (asserted: clang knows it by other names).
void signal_recalc(struct thread *t);
int signal_dequeue(sigset among, struct siginfo *si); // take one that waits, blocked or not: its number, 0: none
bool signal_pending_among(sigset among);
// ---- signalfd.c
void signalfd_init(void);
void signalfd_notify(void); // a signal became pending; any lock below RANK_WAITQ may be held
int signalfd_create(sigset set, unsigned flags, struct file **out);
int signalfd_change(struct file *f, sigset set); // -EINVAL: none
// arch/sigframe.c
int sigframe_build(struct regs *r, int sig, const struct siginfo *si, const struct sigaction *sa,
                   sigset mask);                       // 0 or -EFAULT: SIGSEGV
int64_t sigframe_return(struct regs *r, sigset *mask); // rt_sigreturn: rax
// ---- cputimer.c
void cputimer_init(struct cputimer *t, struct proc *p, struct thread *thread, bool user_only,
                   void (*fn)(struct cputimer *, uint64_t n));
uint64_t cputimer_clock(const struct cputimer *t);                          // what it runs by, now
void cputimer_set(struct cputimer *t, uint64_t expires, uint64_t interval); // expires 0: stopped
void cputimer_cancel(struct cputimer *t);                                   // stopped, and fn runs no more
struct cputimer_left {
  uint64_t value, interval; // value 0: stopped
};
struct cputimer_left cputimer_get(struct cputimer *t);
void cputimer_check(struct proc *p); // of the running thread, behind a clock interrupt
// ---- futex.c
int64_t futex(vaddr_t addr, int op, uint32_t val, uint64_t deadline, vaddr_t addr2, uint32_t val2, uint32_t val3);
int futex_wake(struct aspace *as, vaddr_t addr, int n, bool private_);
struct futex_word { // of futex_waitv
  vaddr_t addr;
  uint32_t val;
  bool private_;
};
int64_t futex_waitv(const struct futex_word *words, int n, uint64_t deadline); // the number of one that was woken
void futex_exit(struct thread *t);                                             // clear_child_tid, robust list
void futex_init(void);
// ---- rseq.c
int rseq_register(vaddr_t area, uint32_t size, int flags, uint32_t signature); // rseq(2) of the running thread
void rseq_interrupt(void); // what runs on this CPU is to leave its section; from an interrupt
void rseq_forget(struct thread *t);
void rseq_inherit(struct thread *child, const struct thread *parent);
void rseq_resume(struct regs *r); // from sched_return where rseq_due says so; interrupts on, may sleep
bool rseq_signal(struct regs *r); // before a handler's frame is built; false: SIGSEGV is due
// ---- fdtable.c
struct fdtable *fdtable_alloc(void);
struct fdtable *fdtable_copy(struct fdtable *t);
struct fdtable *fdtable_get(struct fdtable *t);
void fdtable_put(struct fdtable *t);
enum { FD_LIMIT = 131072 }; // most descriptors of one table, whatever RLIMIT_NOFILE says: one contiguous array
int fd_install(struct fdtable *t, struct file *f, int lowest, bool cloexec,
               uint64_t limit); // takes the reference; fd, or -EMFILE, -ENOMEM (reference kept by caller)
struct file *fd_get(struct fdtable *t, int fd); // referenced; 0 = EBADF
int fd_close(struct fdtable *t, int fd);
int fd_dup_to(struct fdtable *t, int from, int to, bool cloexec, uint64_t limit);
bool fd_cloexec(struct fdtable *t, int fd, int set); // set -1: only ask
void fdtable_exec(struct fdtable *t);                // close what is cloexec
int fd_next(struct fdtable *t, int after);           // or -1
// ---- session.c
int session_setpgid(int pid, int pgid);
int64_t session_getpgid(int pid);
int64_t session_getsid(int pid);
int64_t session_setsid(void);
void session_init(void); // tty hooks
bool session_group_orphaned(int pgid);
void session_exit(struct proc *p); // orphaned groups, hang-up
// ---- cred.c
struct cred *cred_get(struct cred *c);
void cred_put(struct cred *c);
struct cred *cred_copy(const struct cred *c);
bool cred_capable(int cap); // of the running thread; Linux's CAP_* numbers
bool cred_has(const struct cred *c, int cap);
enum {
  CAP_CHOWN,
  CAP_DAC_OVERRIDE,
  CAP_DAC_READ_SEARCH,
  CAP_FOWNER,
  CAP_FSETID,
  CAP_KILL,
  CAP_SETGID,
  CAP_SETUID,
  CAP_SETPCAP,
  CAP_IPC_LOCK = 14,
  CAP_SYS_RAWIO = 17,
  CAP_SYS_CHROOT,
  CAP_SYS_PTRACE,
  CAP_SYS_ADMIN = 21,
  CAP_SYS_BOOT,
  CAP_SYS_NICE,
  CAP_SYS_RESOURCE,
  CAP_SYS_TIME,
  CAP_SYS_TTY_CONFIG,
  CAP_WAKE_ALARM = 35,
  CAP_CHECKPOINT_RESTORE = 40,
  CAPS = 41
};
extern struct cred cred_kernel; // root, for what the kernel does on its own account
// ---- fsctx in fdtable.c's neighbour fsctx.c
struct fsctx *fsctx_alloc(struct dentry *root, struct dentry *cwd);
struct fsctx *fsctx_copy(struct fsctx *c);
struct fsctx *fsctx_get(struct fsctx *c);
void fsctx_set_cwd(struct fsctx *c, struct dentry *d);  // takes over the reference
void fsctx_set_root(struct fsctx *c, struct dentry *d); // the same
void fsctx_put(struct fsctx *c);
void fsctx_names(struct thread *t, struct namectx *out); // referenced root and cwd; give back with:
void namectx_put(struct namectx *c);
// ---- oom.c
bool oom_kill(void); // frame_oom_hook
// ---- procinfo.c
void procinfo_init(void);                         // fills procfs_hooks
void proc_show_all(void);                         // Ctrl-P and panic: one line a process
extern const struct proc_file *const sysinfo_top; // sysinfo.c: /proc's own files; ends with name 0
int procmaps_maps(struct textbuf *t, int pid);    // procmaps.c
int sysinfo_mounts(struct textbuf *t, int pid);   // sysinfo.c
int sysinfo_mountinfo(struct textbuf *t, int pid);
int procmaps_smaps(struct textbuf *t, int pid);
int procmaps_rollup(struct textbuf *t, int pid);
int64_t kpageflags_read(int pid, struct uio *u, uint64_t *pos); // kpage.c
uint64_t procmaps_shmem(struct aspace *as); // entries of shared memory and of files in memory; may sleep on as.lock
int64_t pagemap_read(int pid, struct uio *u, uint64_t *pos); // pagemap.c
int clear_refs_store(int pid, const char *s, size_t n);
// proclink.c, for procfs_hooks
int proclink_exe(int pid, struct dentry **out);
int proclink_cwd(int pid, struct dentry **out);
int proclink_root(int pid, struct dentry **out);
int proclink_fd(int pid, int fd, struct dentry **out);
int64_t proclink_text_exe(int pid, char *buf, size_t n);
int64_t proclink_text_cwd(int pid, char *buf, size_t n);
int64_t proclink_text_root(int pid, char *buf, size_t n);
int64_t proclink_text_fd(int pid, int fd, char *buf, size_t n);
int proclink_next_fd(int pid, int after);
// Text of a name in /proc: as seen from the reader's root.
int64_t proclink_path(struct dentry *d, char *buf, size_t n);
extern void (*procinfo_hostname)(char *buf,
                                 size_t n); // filled in by syscall/: what sethostname set; 0: "lazy6"
#define OS_RELEASE "6.1.0-lazy6"            // what uname says, too: programs compare it with Linux versions
void arch_cpuinfo(struct textbuf *t);       // arch/x86_64/cpuinfo.c: /proc/cpuinfo
// ---- arch's side, implemented in arch/x86_64 (regs.h names the registers)
void arch_thread_init(struct thread *t,
                      void (*start)(void)); // ksp so that the first switch enters start()
void arch_thread_fork(struct thread *child, const struct regs *r, vaddr_t stack, uint64_t tls,
                      bool set_tls); // child returns 0 from its call
void arch_switch(uintptr_t *save_sp, uintptr_t load_sp);
void arch_thread_load(struct thread *t);               // kernel stack, fs/gs base, fpu: on switch to t
void arch_thread_save(struct thread *t);               // on switch away
int fpu_alloc(struct thread *t);                       // fresh state
void fpu_copy(struct thread *to, struct thread *from); // fork
void fpu_reset(struct thread *t);                      // exec
void fpu_free(struct thread *t);
struct arch_auxv {
  uint64_t hwcap, hwcap2, minsigstksz;
};
struct arch_auxv arch_auxv(void);                                // what the auxiliary vector says about the CPU
void arch_user_start(struct regs *r, vaddr_t entry, vaddr_t sp); // exec: registers as Linux gives them
void arch_enter_user(void) __attribute__((noreturn));            // iret to thread_self()->regs
