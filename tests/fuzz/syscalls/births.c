// births.c -- fork, vfork, clone and clone3 from nothing but the call, and what a child does before it ends.
// Typical: op_random -> birth(c, call, a): the parent goes on with the result; the child runs some calls in `child` and never returns.
// A child may have its parent's memory, on the parent's stack or on one of ours; it then keeps off the C library.
#include "hostile.h"
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { CHILDREN = 32, STACK = 32768, CHILD_OPS = 24, CHILD_DEPTH = 2, VM = 0x100, VFORK = 0x4000 };
enum { NR_CLONE = 56, NR_FORK = 57, NR_VFORK = 58, NR_EXIT = 60, NR_EXIT_GROUP = 231, NR_CLONE3 = 435 };

struct child {
  struct ctx c;
  char arena[ARENA] __attribute__((aligned(PAGE)));
};
static struct child children[CHILDREN];
static char stacks[CHILDREN][STACK] __attribute__((aligned(PAGE)));
static unsigned turn;

// int64_t birth_raw(long nr, const uint64_t *a, void (*fn)(void *), void *arg): in the child fn(arg) runs below whatever
// the stack holds, so that a parent that shares the stack finds its own frames as they were.
__asm__(".text\nbirth_raw:\n"
        "push %rbx\npush %r12\nmov %rdx, %rbx\nmov %rcx, %r12\nmov %rdi, %rax\nmov %rsi, %r11\n"
        "mov (%r11), %rdi\nmov 8(%r11), %rsi\nmov 16(%r11), %rdx\nmov 24(%r11), %r10\nmov 32(%r11), %r8\nmov 40(%r11), "
        "%r9\n"
        "syscall\ntest %rax, %rax\njz 1f\npop %r12\npop %rbx\nret\n"
        "1: xor %ebp, %ebp\nsub $512, %rsp\nand $-16, %rsp\nmov %r12, %rdi\ncall *%rbx\nhlt\n");
int64_t birth_raw(long nr, const uint64_t *a, void (*fn)(void *), void *arg);

uint64_t
child_stack(struct ctx *c)
{
  return (uint64_t)stacks[below(c, CHILDREN)] + STACK;
}

static void
child(void *arg)
{
  struct child *k = arg;
  uint64_t none[ARGS] = {0};
  int n = below(&k->c, CHILD_OPS);

  for(int i = 0; i < n; i++)
    op_random(&k->c);
  none[0] = below(&k->c, 256);
  raw(k->c.shares ? NR_EXIT : NR_EXIT_GROUP, none);
  for(;;)
    raw(NR_EXIT_GROUP, none);
}

static struct child *
child_of(struct ctx *c, bool shares)
{
  struct child *k = &children[__atomic_fetch_add(&turn, 1, __ATOMIC_RELAXED) % CHILDREN];

  k->c = *c;
  k->c.rng = rnd(c) | 1;
  k->c.lane = &c->slot->lane[CHILD_LANE];
  k->c.arena = k->arena;
  k->c.used = 0;
  k->c.depth = c->depth + 1;
  k->c.shares = shares || c->shares;
  return k;
}

// A child with our memory needs a stack, or we must wait for it. One time in thirty we do not care.
static uint64_t
flags_mended(struct ctx *c, uint64_t flags, uint64_t *stack)
{
  if((flags & VM) && !(flags & VFORK) && !one_in(c, 30))
    *stack = child_stack(c);
  else if(!one_in(c, 30))
    *stack = 0;
  return flags & ~0x200000000ull;
}

int64_t
birth(struct ctx *c, const struct call *k, uint64_t *a)
{
  bool shares = k->nr == NR_VFORK;
  struct child *ch;

  if(c->depth >= CHILD_DEPTH)
    return -1;
  if(k->nr == NR_CLONE) {
    a[0] = flags_mended(c, a[0], &a[1]);
    shares = (a[0] & VM) != 0;
  } else if(k->nr == NR_CLONE3) {
    shares = true; // perhaps; it then only keeps off more
  }
  ch = child_of(c, shares);
  return birth_raw(k->nr, a, child, ch);
}
