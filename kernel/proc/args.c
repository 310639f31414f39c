// args.c -- the first stack of a program: arguments, environment, and the auxiliary vector that tells it about itself.
//
//   stack_top - 8  0
//                  name of the file (AT_EXECFN), name of the machine, 16 random bytes
//   strings        argv[0] .. argv[argc-1], envp[0] .. envp[n-1], each with its NUL
//   sp (16-aligned) argc, pointers to argv, 0, pointers to envp, 0, auxiliary vector
//
// The strings are gone over twice: measured, so that everything has its place, then copied. Another thread may change
// them in between; the measured room is never exceeded, and that is all the kernel cares for.
// Must not know: where the program was mapped, beyond what the vector says.
#include "dev/dev.h"
#include "lib/string.h"
#include "proc/exec.h"

enum {
  STRING_MAX = 131072,
  CHUNK = 256,
  ARGS_LEAST = 131072,
  STACK_FIRST = 128 << 10,
  RANDOM_BYTES = 16,
  SP_ALIGN = 16
};
enum { ROOM_FRACTION = 4, CLOCK_TICKS = 100, AUX_WORDS = 2 * 20 };
#define ARGS_MOST (6ull << 20) // three quarters of the usual stack, as on Linux
static const char platform[] = "x86_64";

// ---- reading

// The address of string i, in a program or the kernel; 0 ends the array.
static int
string_at(const struct strings *s, int i, uint64_t *p)
{
  *p = 0;
  if(s->as == 0) {
    *p = s->kernel ? (uintptr_t)s->kernel[i] : 0;
    return 0;
  }
  return s->user ? copyin(s->as, p, s->user + i * sizeof(*p), sizeof(*p), 0) : 0;
}

// The next bytes of a string up to a chunk's end, at most n: how many, with the NUL if *last; or -E.
static int
string_chunk(const struct strings *s, uint64_t p, char *buf, size_t n, bool *last)
{
  const char *nul;
  int e;

  if(s->as) {
    n = min(n, CHUNK - p % CHUNK);
    e = copyin(s->as, buf, p, n, 0);
    if(e)
      return e;
  } else {
    n = min(n, strlen((char *)p) + 1);
    memcpy(buf, (char *)p, n);
  }
  nul = memchr(buf, 0, n);
  *last = nul != 0;
  return nul ? nul - buf + 1 : n;
}

// Length with the NUL, or -E.
static int64_t
string_length(const struct strings *s, uint64_t p)
{
  char buf[CHUNK];
  bool last = false;
  int64_t len = 0;

  while(!last) {
    int n = string_chunk(s, p + len, buf, sizeof(buf), &last);

    if(n < 0)
      return n;
    len += n;
    if(len > STRING_MAX)
      return -E2BIG;
  }
  return len;
}

static int
take_room(struct exec *x, uint64_t bytes)
{
  uint64_t all = bytes + sizeof(uint64_t);

  if(all > x->room)
    return -E2BIG;
  x->room -= all;
  x->bytes += bytes;
  return 0;
}

static int
measure(struct exec *x, struct strings *s, uint64_t *count)
{
  for(s->n = 0;; s->n++) {
    uint64_t p;
    int64_t len;
    int e = string_at(s, s->n, &p);

    if(e || p == 0)
      return e;
    if(s->n < s->skip)
      continue;
    len = string_length(s, p);
    if(len < 0)
      return len;
    if((e = take_room(x, len)) != 0)
      return e;
    ++*count;
    if(thread_interrupted(WAIT_KILLABLE))
      return -EINTR;
    thread_relax();
  }
}

int
args_measure(struct exec *x)
{
  uint64_t room = x->as->limit.stack / ROOM_FRACTION;
  int e = 0;

  x->room = max(min(room, ARGS_MOST), (uint64_t)ARGS_LEAST);
  x->argv.skip = x->nprefix > 0; // argv[0] gives way to the script's name
  for(int i = 0; i < x->nprefix && e == 0; i++, x->argc++)
    e = take_room(x, strlen(x->prefix[i]) + 1);
  if(e == 0)
    e = measure(x, &x->argv, &x->argc);
  if(e == 0)
    e = measure(x, &x->envp, &x->envc);
  if(e == 0 && x->argc == 0) { // as Linux: there is always an argv[0]
    e = take_room(x, 1);
    x->argc = 1;
  }
  return e;
}

// ---- writing

static int
flush_words(struct exec *x)
{
  size_t n = x->nword * sizeof(x->word[0]);
  int e = copyout(x->as, x->word_at, x->word, n, 0);

  x->word_at += n;
  x->nword = 0;
  return e;
}

static int
put_word(struct exec *x, uint64_t w)
{
  x->word[x->nword++] = w;
  return x->nword == WORD_BATCH ? flush_words(x) : 0;
}

// Copy one string to x->strings and its address into the table.
static int
put_string(struct exec *x, const struct strings *s, uint64_t p)
{
  char buf[CHUNK];
  bool last = false;
  int e = put_word(x, x->strings);

  while(!last && e == 0) {
    int n = string_chunk(s, p, buf, sizeof(buf), &last);

    if(n < 0)
      return n;
    if(n > x->strings_end - x->strings)
      return -EFAULT; // it grew under our hands
    e = copyout(x->as, x->strings, buf, n, 0);
    x->strings += n;
    p += n;
  }
  return e;
}

static int
put_all(struct exec *x, const struct strings *s)
{
  for(int i = s->skip; i < s->n; i++) {
    uint64_t p;
    int e = string_at(s, i, &p);

    if(e == 0)
      e = p ? put_string(x, s, p) : -EFAULT;
    if(e)
      return e;
    thread_relax();
  }
  return 0;
}

static int
put_argv(struct exec *x)
{
  const struct strings kernel = {0};
  int e = 0;

  for(int i = x->nprefix - 1; i >= 0 && e == 0; i--)
    e = put_string(x, &kernel, (uintptr_t)x->prefix[i]);
  if(e == 0 && x->argv.n > x->argv.skip)
    e = put_all(x, &x->argv);
  else if(e == 0 && x->nprefix == 0)
    e = put_string(x, &kernel, (uintptr_t) "");
  return e;
}

static int
put_auxv(struct exec *x)
{
  const struct elf_plan *pl = &x->main.plan;
  const struct cred *c = x->cred;
  struct arch_auxv arch = arch_auxv();
  int e = 0;
  const uint64_t v[] = {
      AT_HWCAP,       arch.hwcap,
      AT_PAGESZ,      PAGE_SIZE,
      AT_CLKTCK,      CLOCK_TICKS,
      AT_PHDR,        pl->phdr_va ? pl->phdr_va + x->main.bias : 0,
      AT_PHENT,       sizeof(struct elf_phdr),
      AT_PHNUM,       pl->nph,
      AT_BASE,        x->interp.file ? x->interp.bias : 0,
      AT_FLAGS,       0,
      AT_ENTRY,       pl->entry + x->main.bias,
      AT_UID,         c->uid,
      AT_EUID,        c->euid,
      AT_GID,         c->gid,
      AT_EGID,        c->egid,
      AT_SECURE,      x->secure,
      AT_RANDOM,      x->random,
      AT_HWCAP2,      arch.hwcap2,
      AT_EXECFN,      x->execfn,
      AT_PLATFORM,    x->execfn + strlen(x->name) + 1,
      AT_MINSIGSTKSZ, arch.minsigstksz,
      AT_NULL,        0,
  };
  _Static_assert(array_len(v) == AUX_WORDS, "args_build reserves AUX_WORDS");

  for(size_t i = 0; i < array_len(v) && e == 0; i++)
    e = put_word(x, v[i]);
  return e;
}

// Names and random bytes at the very top; x->strings_end lies below them.
static int
put_top(struct exec *x)
{
  size_t name = strlen(x->name) + 1;
  uint8_t random[RANDOM_BYTES];
  int e;

  x->execfn = x->stack_top - sizeof(uint64_t) - sizeof(platform) - name;
  x->random = (x->execfn - sizeof(random)) / SP_ALIGN * SP_ALIGN;
  x->strings_end = x->random;
  random_bytes(random, sizeof(random));
  e = copyout(x->as, x->random, random, sizeof(random), 0);
  if(e == 0)
    e = copyout(x->as, x->execfn, x->name, name, 0);
  if(e == 0)
    e = copyout(x->as, x->execfn + name, platform, sizeof(platform), 0);
  return e;
}

static int
map_stack(struct exec *x, vaddr_t lowest)
{
  struct map_request rq = {
      .addr = page_down(lowest) - STACK_FIRST,
      .prot = PROT_R | PROT_W | (x->main.plan.exec_stack ? PROT_X : 0),
      .maxprot = PROT_R | PROT_W | PROT_X,
      .flags = REGION_GROWSDOWN | REGION_STACK,
      .how = MAP_EXACT_EMPTY,
  };
  uint64_t limit = page_down(x->as->limit.stack);
  vaddr_t at;
  int e;

  if(x->stack_top - rq.addr > limit) // less to start with; it may not grow further anyway
    rq.addr = min(x->stack_top - limit, page_down(lowest));
  rq.len = x->stack_top - rq.addr;
  e = aspace_map(x->as, &rq, &at);
  return e == -EEXIST ? -ENOMEM : e;
}

int
args_build(struct exec *x)
{
  uint64_t words = 1 + x->argc + 1 + x->envc + 1 + AUX_WORDS;
  vaddr_t top = x->stack_top - sizeof(uint64_t) - sizeof(platform) - strlen(x->name) - 1;
  int e;

  top = (top - RANDOM_BYTES) / SP_ALIGN * SP_ALIGN - x->bytes;
  x->sp = (top - words * sizeof(uint64_t)) / SP_ALIGN * SP_ALIGN;
  e = map_stack(x, x->sp);
  if(e == 0)
    e = put_top(x);
  if(e)
    return e;
  x->strings = x->as->arg_start = x->strings_end - x->bytes;
  x->word_at = x->sp;
  e = put_word(x, x->argc);
  if(e == 0)
    e = put_argv(x);
  x->as->arg_end = x->as->env_start = x->strings;
  if(e == 0)
    e = put_word(x, 0);
  if(e == 0)
    e = put_all(x, &x->envp);
  x->as->env_end = x->strings;
  if(e == 0)
    e = put_word(x, 0);
  if(e == 0)
    e = put_auxv(x);
  return e ? e : flush_words(x);
}
