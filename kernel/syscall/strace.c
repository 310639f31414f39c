// strace.c -- `strace=PID`, `strace=NAME` or `strace=all` on the kernel's command line: each call of those threads is
// printed to the kernel's log as `[tid] name(arguments) = result`, decoded by the table's kinds of arguments.
// Arguments that a call fills in are printed after it, all others before it runs: exec takes the memory away.
#include "core/option.h"
#include "core/print.h"
#include "lib/string.h"
#include "syscall/sys.h"

bool strace_active;
static bool strace_all; // (c) after start, like the next two
static int strace_pid;
static char strace_name[16];

enum { DECIMAL = 10, LINE = 400, STRING_MAX = 48, STRINGS_MAX = 6 };

static int
parse_number(const char *s)
{
  int n = 0;

  for(; *s; s++) {
    if(*s < '0' || *s > '9' || n > INT32_MAX / DECIMAL - 1)
      return -1;
    n = n * DECIMAL + (*s - '0');
  }
  return n;
}

void
syscall_init(void)
{
  strace_active = option_string("strace", strace_name, sizeof(strace_name)) && strace_name[0];
  strace_all = strcmp(strace_name, "all") == 0;
  strace_pid = parse_number(strace_name);
}

bool
strace_wants(const struct thread *t)
{
  return strace_all || t->strace || t->proc->pid == strace_pid || strcmp(t->name, strace_name) == 0;
}

// ---- the line

struct line {
  size_t n;
  char s[LINE];
};

static void put(struct line *l, const char *f, ...) printf_like(2, 3);

static void
put(struct line *l, const char *f, ...)
{
  va_list ap;
  int n;

  va_start(ap, f);
  n = vfmt(l->s + l->n, sizeof(l->s) - l->n, f, ap);
  va_end(ap);
  l->n = min(l->n + n, sizeof(l->s) - 1);
}

struct bitname {
  uint64_t bit;
  const char *name;
};
#define NAMED(x)                                                                                                       \
  {                                                                                                                    \
    x, #x                                                                                                              \
  }
static const struct bitname prot_names[] = {NAMED(PROT_READ), NAMED(PROT_WRITE), NAMED(PROT_EXEC), {0, 0}};
static const struct bitname map_names[] = {
    NAMED(MAP_SHARED),    NAMED(MAP_PRIVATE),
    NAMED(MAP_FIXED),     NAMED(MAP_ANONYMOUS),
    NAMED(MAP_32BIT),     NAMED(MAP_GROWSDOWN),
    NAMED(MAP_DENYWRITE), NAMED(MAP_LOCKED),
    NAMED(MAP_NORESERVE), NAMED(MAP_POPULATE),
    NAMED(MAP_NONBLOCK),  NAMED(MAP_FIXED_NOREPLACE),
    NAMED(MAP_STACK),     {0, 0},
};
static const struct bitname open_names[] = {
    NAMED(O_WRONLY),
    NAMED(O_RDWR),
    NAMED(O_CREAT),
    NAMED(O_EXCL),
    NAMED(O_NOCTTY),
    NAMED(O_TRUNC),
    NAMED(O_APPEND),
    NAMED(O_NONBLOCK),
    NAMED(O_DSYNC),
    NAMED(O_DIRECT),
    NAMED(O_DIRECTORY),
    NAMED(O_NOFOLLOW),
    NAMED(O_LARGEFILE),
    NAMED(O_CLOEXEC),
    NAMED(O_NOATIME),
    NAMED(O_PATH),
    {0, 0},
};
static const struct bitname at_names[] = {
    NAMED(AT_SYMLINK_NOFOLLOW), NAMED(AT_REMOVEDIR),  NAMED(AT_SYMLINK_FOLLOW),
    NAMED(AT_NO_AUTOMOUNT),     NAMED(AT_EMPTY_PATH), {0, 0},
};
static const struct bitname clone_names[] = {
    NAMED(CLONE_VM),
    NAMED(CLONE_FS),
    NAMED(CLONE_FILES),
    NAMED(CLONE_SIGHAND),
    NAMED(CLONE_VFORK),
    NAMED(CLONE_THREAD),
    NAMED(CLONE_SYSVSEM),
    NAMED(CLONE_SETTLS),
    NAMED(CLONE_PARENT),
    NAMED(CLONE_PIDFD),
    NAMED(CLONE_PARENT_SETTID),
    NAMED(CLONE_CHILD_CLEARTID),
    NAMED(CLONE_CHILD_SETTID),
    {0, 0},
};

static void
put_bits(struct line *l, uint64_t v, const struct bitname *names)
{
  const char *sep = "";

  for(; names->name; names++) {
    if(!(v & names->bit))
      continue;
    put(l, "%s%s", sep, names->name);
    sep = "|";
    v &= ~names->bit;
  }
  if(v || !*sep)
    put(l, "%s%#lx", sep, v);
}

// Up to STRING_MAX of n bytes, quoted; what cannot be read is its address.
static void
put_bytes(struct line *l, vaddr_t va, uint64_t n)
{
  char buf[STRING_MAX];
  size_t part = min(n, sizeof(buf));

  if(user_in(buf, va, part)) {
    put(l, "%#lx", va);
    return;
  }
  put(l, "\"");
  for(size_t i = 0; i < part; i++) {
    if(buf[i] == '\n')
      put(l, "\\n");
    else
      put(l, "%c", buf[i] >= ' ' && buf[i] <= '~' ? buf[i] : '.');
  }
  put(l, n > part ? "\"..." : "\"");
}

static void
put_string(struct line *l, vaddr_t va)
{
  char buf[STRING_MAX];
  int64_t n = copyin_string(user_as(), buf, va, sizeof(buf));

  if(n >= 0)
    put(l, "\"%s\"", buf);
  else if(n == -ENAMETOOLONG)
    put_bytes(l, va, STRING_MAX + 1);
  else
    put(l, "%#lx", va);
}

static void
put_strings(struct line *l, vaddr_t va)
{
  vaddr_t s;

  put(l, "[");
  for(int i = 0; i < STRINGS_MAX; i++) {
    if(user_in(&s, va + i * sizeof(s), sizeof(s)) || !s)
      break;
    put(l, i ? ", " : "");
    put_string(l, s);
    if(i == STRINGS_MAX - 1)
      put(l, ", ...");
  }
  put(l, "]");
}

static void
put_time(struct line *l, vaddr_t va)
{
  struct timespec ts;

  if(!va || user_in(&ts, va, sizeof(ts)))
    put(l, "%#lx", va);
  else
    put(l, "{%ld, %ld}", ts.sec, ts.nsec);
}

static void
put_ints(struct line *l, vaddr_t va, int n)
{
  int32_t v[2];

  if(!va || user_in(v, va, n * sizeof(v[0])))
    put(l, "%#lx", va);
  else if(n == 1)
    put(l, "[%d]", v[0]);
  else
    put(l, "[%d, %d]", v[0], v[1]);
}

static void
put_arg(struct line *l, enum argkind kind, const uint64_t *v, int64_t result)
{
  switch(kind) {
  case ATFD:
    if((int)*v == AT_FDCWD) {
      put(l, "AT_FDCWD");
      break;
    } // fallthrough
  case FD:
  case SIGNO: put(l, "%d", (int)*v); break;
  case PATH: put_string(l, *v); break;
  case DATA: put_bytes(l, *v, v[1]); break;
  case OUT: put_bytes(l, *v, result > 0 ? result : 0); break;
  case DEC: put(l, "%ld", (int64_t)*v); break;
  case OCT: put(l, "%#lo", *v); break;
  case PROT: put_bits(l, *v, prot_names); break;
  case MAPFLAGS: put_bits(l, *v, map_names); break;
  case OPENFLAGS: put_bits(l, (uint32_t)*v, open_names); break;
  case ATFLAGS: put_bits(l, (uint32_t)*v, at_names); break;
  case CLONEFLAGS:
    put_bits(l, *v & ~CSIGNAL, clone_names);
    put(l, "|%lu", *v & CSIGNAL);
    break;
  case TIME:
  case OUTTIME: put_time(l, *v); break;
  case OUTINT: put_ints(l, *v, 1); break;
  case OUTFDS: put_ints(l, *v, 2); break;
  case STRINGS: put_strings(l, *v); break;
  default: put(l, "%#lx", *v);
  }
}

static bool
kind_is_result(enum argkind k)
{
  return k == OUT || k == OUTTIME || k == OUTINT || k == OUTFDS;
}

static const char *const error_names[] = {
    [EPERM] = "EPERM",
    [ENOENT] = "ENOENT",
    [ESRCH] = "ESRCH",
    [EINTR] = "EINTR",
    [EIO] = "EIO",
    [ENXIO] = "ENXIO",
    [E2BIG] = "E2BIG",
    [ENOEXEC] = "ENOEXEC",
    [EBADF] = "EBADF",
    [ECHILD] = "ECHILD",
    [EAGAIN] = "EAGAIN",
    [ENOMEM] = "ENOMEM",
    [EACCES] = "EACCES",
    [EFAULT] = "EFAULT",
    [EBUSY] = "EBUSY",
    [EEXIST] = "EEXIST",
    [EXDEV] = "EXDEV",
    [ENODEV] = "ENODEV",
    [ENOTDIR] = "ENOTDIR",
    [EISDIR] = "EISDIR",
    [EINVAL] = "EINVAL",
    [EMFILE] = "EMFILE",
    [ENOTTY] = "ENOTTY",
    [ETXTBSY] = "ETXTBSY",
    [EFBIG] = "EFBIG",
    [ENOSPC] = "ENOSPC",
    [ESPIPE] = "ESPIPE",
    [EROFS] = "EROFS",
    [EMLINK] = "EMLINK",
    [EPIPE] = "EPIPE",
    [ERANGE] = "ERANGE",
    [ENAMETOOLONG] = "ENAMETOOLONG",
    [ENOSYS] = "ENOSYS",
    [ENOTEMPTY] = "ENOTEMPTY",
    [ELOOP] = "ELOOP",
    [EOVERFLOW] = "EOVERFLOW",
    [ENOTSOCK] = "ENOTSOCK",
    [EOPNOTSUPP] = "EOPNOTSUPP",
    [EAFNOSUPPORT] = "EAFNOSUPPORT",
    [ETIMEDOUT] = "ETIMEDOUT",
    [ERESTARTSYS] = "ERESTARTSYS",
    [ERESTARTNOHAND] = "ERESTARTNOHAND",
    [ERESTART_RESTARTBLOCK] = "ERESTART_RESTARTBLOCK",
};

static void
put_result(struct line *l, int64_t r)
{
  if(r < 0 && -(uint64_t)r < array_len(error_names) && error_names[-r])
    put(l, ") = -1 %s", error_names[-r]);
  else
    put(l, r > UINT32_MAX ? ") = %#lx" : ") = %ld", r);
}

static int
put_args(struct line *l, const struct syscall *c, const uint64_t *a, int from, bool results, int64_t r)
{
  int i;

  for(i = from; i < (int)array_len(c->kind) && c->kind[i] != ARG_END; i++) {
    if(!results && kind_is_result(c->kind[i]))
      break;
    put(l, i ? ", " : "");
    put_arg(l, c->kind[i], &a[i], r);
  }
  return i;
}

int64_t
strace_call(const struct syscall *c, uint64_t nr, const uint64_t *a)
{
  struct line l;
  int64_t r;
  int i;

  l.n = 0;
  put(&l, "[%d] ", thread_self()->tid);
  if(c->name)
    put(&l, "%s(", c->name);
  else
    put(&l, "call_%lu(", nr);
  i = put_args(&l, c, a, 0, false, 0);
  if(c->fn == sys_exit || c->fn == sys_exit_group)
    print("%s) = ?\n", l.s);
  r = c->fn(a);
  put_args(&l, c, a, i, true, r);
  put_result(&l, r);
  print("%s\n", l.s);
  return r;
}
