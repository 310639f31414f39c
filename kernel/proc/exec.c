// exec.c -- a process gets another program: find the file (through scripts), make the new address space beside the old
// one, and, when nothing can fail any more, change over.
//
// Typical: proc_exec -> prepare {open_program, image_*, args_*} / alone / change_over. Everything before `alone` can be
// undone: the old program then sees the error and goes on. After it there is no way back, and nothing that could fail.
// proc_start_init does the same for a process that has no program yet.
#include "arch/x86_64/regs.h"
#include "core/cpu.h"
#include "core/trace.h"
#include "lib/atomic.h"
#include "lib/string.h"
#include "proc/exec.h"
#include "proc/ktimer.h"

enum { AT_SYMLINK_NOFOLLOW_ = 0x100, AT_EMPTY_PATH_ = 0x1000 }; // Linux's; asserted in syscall/abi.h

// ---- the file

// Open what may be executed: a regular file with an x bit for us; reading it needs no permission.
static int
open_program(struct exec *x, struct dentry *at, const char *path, int flags, struct file **out)
{
  struct dentry *d;
  struct inode *ip;
  int how = (flags & AT_SYMLINK_NOFOLLOW_ ? 0 : NAMEI_FOLLOW) | (flags & AT_EMPTY_PATH_ ? NAMEI_EMPTY : 0);
  int e = namei(&x->ctx, at, path, how, &d);

  if(e)
    return e;
  ip = d->inode;
  if(S_ISTYPE(ip->mode, S_IFLNK))
    e = -ELOOP;
  else if(!S_ISTYPE(ip->mode, S_IFREG) || ip->fs->noexec)
    e = -EACCES;
  else
    e = inode_permission(ip, x->ctx.cred, MAY_EXEC);
  if(e == 0)
    e = file_open_dentry(d, O_RDONLY, &cred_kernel, out);
  dentry_put(d);
  return e;
}

static int
add_prefix(struct exec *x, const char *s)
{
  char *copy = kstrdup(s);

  if(copy == 0)
    return -ENOMEM;
  x->prefix[x->nprefix++] = copy;
  return 0;
}

static char *
skip_blanks(char *s)
{
  while(*s == ' ' || *s == '\t')
    s++;
  return s;
}

static char *
word_end(char *s)
{
  while(*s && *s != ' ' && *s != '\t')
    s++;
  return s;
}

// "#! interpreter [argument]" in x->line: its two words, in place. -ENOEXEC.
static int
parse_script(struct exec *x, char **interp, char **arg)
{
  char *end = memchr(x->line, '\n', sizeof(x->line) - 1), *s;

  if(end == 0) // cut off: good only if the interpreter's name is whole
    end = x->line + sizeof(x->line) - 1;
  *end = 0;
  *interp = skip_blanks(x->line + 2);
  s = word_end(*interp);
  if(s == *interp || s == x->line + sizeof(x->line) - 1)
    return -ENOEXEC;
  *arg = 0;
  if(*s) {
    *s++ = 0;
    s = skip_blanks(s);
    for(end = s + strlen(s); end > s && (end[-1] == ' ' || end[-1] == '\t'); end--)
      ;
    *end = 0;
    *arg = *s ? s : 0;
  }
  return 0;
}

// One step from a script to its interpreter: the file is exchanged, the arguments grow in front.
static int
follow_script(struct exec *x)
{
  struct file *next;
  char *interp, *arg;
  int e = parse_script(x, &interp, &arg);

  if(e == 0 && x->nprefix == 0)
    e = add_prefix(x, x->name);
  if(e == 0 && arg)
    e = add_prefix(x, arg);
  if(e == 0)
    e = add_prefix(x, interp);
  if(e == 0)
    e = open_program(x, 0, interp, 0, &next);
  if(e)
    return e;
  file_put(x->main.file);
  x->main.file = next;
  return 0;
}

static int
find_program(struct exec *x, struct dentry *at, const char *path, int flags)
{
  int e = open_program(x, at, path, flags, &x->main.file);

  for(int depth = 0; e == 0; depth++) {
    int64_t n;

    memset(x->line, 0, sizeof(x->line));
    n = file_read_kernel(x->main.file, x->line, sizeof(x->line) - 1, 0);
    if(n < 0)
      return n;
    if(n < 2 || x->line[0] != '#' || x->line[1] != '!')
      return 0;
    e = depth == SCRIPT_DEPTH ? -ELOOP : follow_script(x);
  }
  return e;
}

static int
find_interp(struct exec *x)
{
  char *path;
  int e = image_interp_path(&x->main, &path);

  if(e || path == 0)
    return e;
  e = open_program(x, 0, path, 0, &x->interp.file);
  kfree(path);
  if(e)
    return e;
  e = image_read(&x->interp);
  return e == -ENOEXEC ? -ELIBBAD : e;
}

// ---- who it will be

static bool
gains(struct exec *x, unsigned bit)
{
  struct proc *p = current_proc();

  return (x->main.file->inode->mode & bit) && !p->no_new_privs;
}

static int
new_cred(struct exec *x)
{
  struct inode *ip = x->main.file->inode;
  struct cred *c = cred_copy(thread_self()->cred);

  if(c == 0)
    return -ENOMEM;
  if(gains(x, S_ISUID))
    c->euid = ip->uid;
  if(gains(x, S_ISGID) && (ip->mode & S_ISGID >> 7)) // without group's x bit it means mandatory locking
    c->egid = ip->gid;
  c->suid = c->fsuid = c->euid;
  c->sgid = c->fsgid = c->egid;
  if(c->uid == 0 || c->euid == 0)
    c->cap_permitted = cred_kernel.cap_permitted;
  else
    c->cap_permitted = 0;
  c->cap_effective = c->euid == 0 ? c->cap_permitted : 0;
  x->secure = c->uid != c->euid || c->gid != c->egid;
  x->cred = c;
  return 0;
}

// ---- the new space

static int
new_space(struct exec *x)
{
  struct proc *p = current_proc();
  int e;

  x->as = aspace_create();
  if(x->as == 0)
    return -ENOMEM;
  x->as->limit = (struct aspace_limits){
      .as = proc_limit(p, RLIMIT_AS),
      .data = proc_limit(p, RLIMIT_DATA),
      .stack = proc_limit(p, RLIMIT_STACK),
      .memlock = cred_has(x->cred, CAP_IPC_LOCK) ? UINT64_MAX : proc_limit(p, RLIMIT_MEMLOCK),
  };
  e = args_measure(x);
  if(e == 0)
    e = image_place(x);
  if(e == 0)
    e = image_map_all(x);
  if(e == 0)
    e = args_build(x);
  return e;
}

// What the threads of this process share with others and the new program must not.
static int
unshare(struct exec *x)
{
  struct thread *t = thread_self();

  if(atomic_get(&t->files->ref) > 1) {
    x->files = fdtable_copy(t->files);
    if(x->files == 0)
      return -ENOMEM;
  }
  if(atomic_get(&t->proc->sighand->ref) > 1) {
    x->hand = sighand_copy(t->proc->sighand, false);
    if(x->hand == 0)
      return -ENOMEM;
  }
  return 0;
}

static int
prepare(struct exec *x, struct dentry *at, const char *path, int flags)
{
  int e = find_program(x, at, path, flags);

  if(e == 0)
    e = inode_deny_write(x->main.file->inode);
  x->denied = x->main.file && e == 0;
  if(e == 0)
    e = image_read(&x->main);
  if(e == 0)
    e = find_interp(x);
  if(e == 0)
    e = new_cred(x);
  if(e == 0)
    e = new_space(x);
  if(e == 0)
    e = unshare(x);
  return e;
}

// Free what has not found its place in the process.
static void
exec_put(struct exec *x)
{
  if(x->denied)
    inode_allow_write(x->main.file->inode);
  if(x->main.file)
    file_put(x->main.file);
  if(x->interp.file)
    file_put(x->interp.file);
  kfree(x->main.ph);
  kfree(x->interp.ph);
  if(x->as)
    aspace_unuse(x->as);
  if(x->cred)
    cred_put(x->cred);
  if(x->hand)
    sighand_put(x->hand);
  if(x->files)
    fdtable_put(x->files);
  for(int i = 0; i < x->nprefix; i++)
    kfree(x->prefix[i]);
  kfree(x->name);
  if(x->ctx.root)
    namectx_put(&x->ctx);
  kfree(x);
}

// ---- the point of no return

// End all other threads. 0, or -EINTR: somebody ends us.
static int
alone(struct thread *t, struct proc *p)
{
  spin_acquire(&p->lock);
  if(p->group_exit || p->execing) {
    spin_release(&p->lock);
    return -EINTR;
  }
  p->execing = t;
  list_for_each(it, &p->threads) {
    struct thread *other = list_entry(it, struct thread, in_proc);

    if(other == t)
      continue;
    atomic_set(&other->exiting, true);
    sched_notice(other);
  }
  spin_release(&p->lock);
  for(;;) {
    bool done;

    thread_prepare();
    spin_acquire(&p->lock);
    done = p->nthreads == 1 || t->exiting;
    if(done)
      p->execing = 0;
    spin_release(&p->lock);
    if(done)
      break;
    thread_block();
  }
  thread_unprepare();
  return t->exiting ? -EINTR : 0;
}

static void
take_name(struct exec *x, struct thread *t)
{
  const char *slash = strrchr(x->name, '/');

  strlcpy(t->name, slash ? slash + 1 : x->name, sizeof(t->name));
}

// The process's parts change places with the prepared ones, which exec_put then frees.
static void
swap_parts(struct exec *x, struct thread *t, struct proc *p)
{
  struct aspace *as = p->as;
  struct cred *cred = t->cred;
  struct sighand *hand = p->sighand;
  struct fdtable *files = t->files;
  struct file *exe = p->exe;

  spin_acquire(&p->lock);
  p->as = x->as;
  p->exe = x->main.file;
  t->cred = x->cred;
  if(x->hand)
    p->sighand = x->hand;
  if(x->files)
    t->files = x->files;
  if(as)
    p->maxrss = max(p->maxrss, as->peak_rss);
  p->execed = true;
  p->dumpable = !x->secure;
  p->exit_signal = SIGCHLD;
  if(x->secure)
    p->pdeath_sig = 0;
  take_name(x, t);
  spin_release(&p->lock);
  irq_off();
  pmap_activate(p->as->pmap);
  irq_restore();
  x->as = as;
  x->cred = cred;
  x->main.file = exe;
  x->denied = exe != 0;
  x->hand = x->hand ? hand : 0;
  x->files = x->files ? files : 0;
}

static void
change_over(struct exec *x)
{
  struct thread *t = thread_self();
  struct proc *p = t->proc;
  vaddr_t entry = x->entry, sp = x->sp;

  trace(EXEC, p->pid, entry, sp);
  if(p->as)
    futex_exit(t);
  proc_take_lead(p, t);
  swap_parts(x, t, p);
  clone_release_parent(t);
  if(x->as)
    aspace_unuse(x->as); // first: who sees a descriptor close finds the old memory gone, as on Linux
  x->as = 0;
  fdtable_exec(t->files);
  signal_exec(t);
  ktimer_delete_all(p);
  rseq_forget(t);
  t->restart.fn = 0;
  fpu_reset(t);
  arch_user_start(t->regs, entry, sp);
}

static struct exec *
exec_start(const char *name)
{
  struct exec *x = kzalloc(sizeof(*x));

  if(x == 0)
    return 0;
  x->name = kstrdup(name);
  if(x->name == 0) {
    kfree(x);
    return 0;
  }
  fsctx_names(thread_self(), &x->ctx);
  return x;
}

static int
exec_run(struct exec *x, struct dentry *at, const char *path, int flags)
{
  struct thread *t = thread_self();
  int e = prepare(x, at, path, flags);

  if(e == 0)
    e = alone(t, t->proc);
  if(e == 0)
    change_over(x);
  exec_put(x);
  return e;
}

int
proc_exec(struct dentry *at, const char *path, int flags, vaddr_t argv, vaddr_t envp)
{
  struct exec *x = exec_start(path);
  struct aspace *as = current_proc()->as;

  if(x == 0)
    return -ENOMEM;
  x->argv = (struct strings){.as = as, .user = argv};
  x->envp = (struct strings){.as = as, .user = envp};
  return exec_run(x, at, path, flags);
}

// ---- the first process

struct init_start { // shared by who waits and the first thread; never freed
  const char *path;
  char *const *argv, *const *envp;
  struct waitq q;
  bool done; // (a)
  int err;
};

static int
open_console(struct thread *t)
{
  struct namectx ctx;
  struct file *f;
  int e;

  fsctx_names(t, &ctx);
  e = vfs_open(&ctx, 0, "/dev/console", O_RDWR, 0, &f);
  namectx_put(&ctx);
  if(e)
    return e;
  for(int fd = 0; fd <= 2; fd++) {
    e = fd_install(t->files, file_get(f), 0, false, FD_LIMIT);
    if(e < 0)
      file_put(f);
  }
  file_put(f);
  return 0;
}

static void
init_main(void *arg)
{
  struct init_start *s = arg;
  struct exec *x = exec_start(s->path);
  int e = x ? 0 : -ENOMEM;

  open_console(thread_self()); // without one, init does as well as it can
  if(x) {
    x->argv.kernel = s->argv;
    x->envp.kernel = s->envp;
    e = exec_run(x, 0, s->path, 0);
  }
  s->err = e;
  atomic_set(&s->done, true);
  waitq_wake(&s->q);
  if(e == 0)
    proc_user_start();
}

static void
init_limits(struct proc *p)
{
  enum { STACK = 8 << 20, FILES = 1024, MEMLOCK = 8 << 20, MSGQUEUE = 819200, FRAMES_PER_PROC = 32 };
  uint64_t procs = frames_total() / FRAMES_PER_PROC / 2;

  for(int i = 0; i < RLIMITS; i++)
    p->rlim[i] = (struct rlimit){UINT64_MAX, UINT64_MAX};
  p->rlim[RLIMIT_STACK].cur = STACK;
  p->rlim[RLIMIT_CORE].cur = 0;
  p->rlim[RLIMIT_NPROC] = p->rlim[RLIMIT_SIGPENDING] = (struct rlimit){procs, procs};
  p->rlim[RLIMIT_NOFILE] = (struct rlimit){FILES, FD_LIMIT};
  p->rlim[RLIMIT_MEMLOCK] = (struct rlimit){MEMLOCK, MEMLOCK};
  p->rlim[RLIMIT_MSGQUEUE] = (struct rlimit){MSGQUEUE, MSGQUEUE};
  p->rlim[RLIMIT_NICE] = p->rlim[RLIMIT_RTPRIO] = (struct rlimit){0, 0};
}

// pid 1 with everything but a program.
static int
make_init(struct init_start *s)
{
  struct proc *p = proc_alloc(pid_alloc()); // the first: there is one
  struct thread *t = thread_alloc();

  if(p == 0 || t == 0)
    return -ENOMEM; // the machine stops: nothing to undo
  t->tid = p->pid;
  t->files = fdtable_alloc();
  t->fs = fsctx_alloc(vfs_root, vfs_root);
  t->cred = cred_copy(&cred_kernel);
  p->sighand = sighand_copy(0, false);
  if(t->files == 0 || t->fs == 0 || t->cred == 0 || p->sighand == 0 || fpu_alloc(t) != 0)
    return -ENOMEM;
  init_limits(p);
  strlcpy(t->name, "init", sizeof(t->name));
  t->entry = init_main;
  t->entry_arg = s;
  t->regs = (struct regs *)((char *)t->kstack + KSTACK_SIZE - sizeof(struct regs));
  t->proc = proc_get(p);
  proc_initial = p;
  proc_add(p, t, 0);
  sched_add(t);
  return 0;
}

int
proc_start_init(const char *path, char *const argv[], char *const envp[])
{
  struct init_start *s = kzalloc(sizeof(*s));
  int e;

  if(s == 0)
    return -ENOMEM;
  s->path = path;
  s->argv = argv;
  s->envp = envp;
  waitq_init(&s->q);
  e = make_init(s);
  if(e == 0) {
    wait_event(&s->q, atomic_get(&s->done), WAIT_ALWAYS, NEVER);
    e = s->err;
  }
  return e;
}
