// sys_numa.c -- which memory node? There is one, node 0, so a policy changes nothing; it is checked, kept and told, as Linux
// with one node does. A thread's policy is a field of it, a mapping's lies in its flags (REGION_POLICY).
// Must not know: where frames come from.
#include "lib/string.h"
#include "syscall/sys.h"

enum { POL_DEFAULT, POL_PREFERRED, POL_BIND, POL_INTERLEAVE, POL_LOCAL, POL_PREFERRED_MANY, POL_WEIGHTED, POLS };
enum { GET_NODE = 1, GET_ADDR = 2, GET_ALLOWED = 4, GET_KNOWN = 7 };
enum { BIND_STRICT = 1, BIND_MOVE = 2, BIND_MOVE_ALL = 4, BIND_KNOWN = 7 };
#define MODE_STATIC   (1u << 15) // the mask names nodes; or numbers among those allowed: with one node it is the same
#define MODE_RELATIVE (1u << 14)
enum { MASK_BITS_MAX = PAGE_SIZE * 8, WORD_BITS = 64 };

// The nodes of a mask of `bits` - 1 bits (Linux counts so), all of which must be node 0.
static int
mask_in(vaddr_t va, uint64_t bits, bool *node)
{
  uint64_t word, left = bits ? bits - 1 : 0, seen = 0, bit;
  int e;

  *node = false;
  if(!va || !left)
    return 0;
  if(left > MASK_BITS_MAX)
    return -EINVAL;
  for(uint64_t i = 0; i < left; i += WORD_BITS) {
    e = user_in(&word, va + i / 8, sizeof(word));
    if(e)
      return e;
    bit = left - i;
    if(bit < WORD_BITS)
      word &= (1ull << bit) - 1;
    seen |= i ? (word ? ~0ull : 0) : word;
  }
  *node = seen & 1;
  return seen & ~1ull ? -EINVAL : 0;
}

// The policy that mode and mask ask for, or -EINVAL, -EFAULT.
static int
policy_in(uint32_t mode, vaddr_t mask, uint64_t bits)
{
  uint32_t modifiers = mode & (MODE_STATIC | MODE_RELATIVE);
  bool node;
  int e;

  mode &= ~modifiers;
  if(mode >= POLS || modifiers == (MODE_STATIC | MODE_RELATIVE))
    return -EINVAL;
  e = mask_in(mask, bits, &node);
  if(e)
    return e;
  if(mode == POL_DEFAULT || mode == POL_LOCAL)
    return node || modifiers ? -EINVAL : (int)mode;
  if(mode == POL_PREFERRED && !node)
    return modifiers ? -EINVAL : POL_LOCAL;
  return node ? (int)mode : -EINVAL;
}

int64_t
sys_set_mempolicy(const uint64_t *a)
{
  int policy = policy_in(a[0], a[1], a[2]);

  if(policy < 0)
    return policy;
  thread_self()->mempolicy = policy;
  return 0;
}

int64_t
sys_mbind(const uint64_t *a)
{
  vaddr_t lo = a[0], hi = lo + page_up(a[1]);
  int policy, e;

  if((uint32_t)a[5] & ~BIND_KNOWN || !page_aligned(lo))
    return -EINVAL;
  if((uint32_t)a[5] & BIND_MOVE_ALL && !cred_capable(CAP_SYS_NICE))
    return -EPERM;
  policy = policy_in(a[2], a[3], a[4]);
  if(policy < 0)
    return policy;
  if(hi < lo)
    return -EINVAL;
  if(hi == lo)
    return 0;
  e = aspace_set_flags(user_as(), lo, hi, policy * REGION_POLICY, REGION_POLICY_MASK);
  return e == -ENOMEM ? -EFAULT : e == -EAGAIN ? -ENOMEM : e; // a hole; too many regions
}

// The policy at va; with `node` the node of its page, which is brought in.
static int
policy_at(vaddr_t va, bool node)
{
  struct aspace *as = user_as();
  struct region *r;
  int policy;

  if(node) {
    policy = aspace_populate(as, page_down(va), page_down(va) + PAGE_SIZE, PROT_R);
    return policy == -ENOMEM || policy == -EACCES || policy == -EIO ? -EFAULT : policy;
  }
  rw_read(&as->lock);
  r = region_find(as, va);
  policy = r ? (r->flags & REGION_POLICY_MASK) / REGION_POLICY : -EFAULT;
  rw_read_release(&as->lock);
  return policy;
}

static int
mask_out(vaddr_t va, uint64_t bits, bool node)
{
  uint64_t word = node, zero = 0;
  int e = 0;

  if(bits == 0 || bits > MASK_BITS_MAX)
    return -EINVAL;
  for(uint64_t i = 0; i + 1 < bits && e == 0; i += WORD_BITS)
    e = user_out(va + i / 8, i ? &zero : &word, sizeof(word));
  return e;
}

int64_t
sys_get_mempolicy(const uint64_t *a)
{
  uint32_t flags = a[4];
  int policy, e = 0;
  bool node;

  if(flags & ~GET_KNOWN || (a[1] && a[2] == 0))
    return -EINVAL;
  if(flags & GET_ALLOWED) {
    if(flags & (GET_NODE | GET_ADDR))
      return -EINVAL;
    policy = 0;
    node = true;
  } else {
    if(!(flags & GET_ADDR) && (a[3] || flags & GET_NODE))
      return -EINVAL;
    policy = flags & GET_ADDR ? policy_at(a[3], flags & GET_NODE) : thread_self()->mempolicy;
    node = policy != POL_DEFAULT && policy != POL_LOCAL;
  }
  if(policy < 0)
    return policy;
  if(a[0])
    e = user_out(a[0], &policy, sizeof(policy));
  if(e == 0 && a[1])
    e = mask_out(a[1], a[2], node);
  return e;
}
