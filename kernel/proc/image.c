// image.c -- a program's file into a fresh address space: regions that will be read when they are touched. The only page
// written here is the last of initialized data, whose rest must be zero.
// Must not know: arguments, credentials, which process this is for.
#include "dev/dev.h"
#include "lib/atomic.h"
#include "proc/exec.h"

#define DYN_BASE     0x555555554000ull // programs that may lie anywhere start about here, as on Linux
#define STACK_GAP_LO (128ull << 20)    // what is kept free for the stack at least
#define STACK_GAP_HI (USER_TOP / 6 * 5)
enum { RANDOM_IMAGE_BITS = 28, RANDOM_STACK_BITS = 22, RANDOM_BRK_BITS = 13 }; // pages

uint64_t vm_randomize = 2; // 0: nothing, 1: all but the heap, 2: that too

// A random number of pages in bytes, below 2^bits pages; 0 if nothing is to be random.
static uint64_t
random_offset(int bits)
{
  uint64_t r;

  if(atomic_get_relaxed(&vm_randomize) == 0)
    return 0;
  random_bytes(&r, sizeof(r));
  return (r & ((1ull << bits) - 1)) << PAGE_SHIFT;
}

static uint64_t
file_size(struct file *f)
{
  uint64_t n;

  spin_acquire(&f->inode->obj.lock);
  n = f->inode->obj.size;
  spin_release(&f->inode->obj.lock);
  return n;
}

static int
read_whole(struct file *f, void *buf, size_t n, uint64_t pos)
{
  int64_t r = file_read_kernel(f, buf, n, pos);

  return r < 0 ? r : r == n ? 0 : -ENOEXEC;
}

int
image_read(struct image *im)
{
  uint64_t size = file_size(im->file);
  size_t bytes;
  int e = read_whole(im->file, &im->head, sizeof(im->head), 0);

  if(e == 0)
    e = elf_header_check(&im->head, size, &bytes);
  if(e)
    return e;
  im->ph = kzalloc(bytes);
  if(im->ph == 0)
    return -ENOMEM;
  e = read_whole(im->file, im->ph, bytes, im->head.phoff);
  return e ? e : elf_plan(&im->head, im->ph, size, &im->plan);
}

int
image_interp_path(struct image *im, char **path)
{
  char *p;
  int e;

  *path = 0;
  if(im->plan.interp_len == 0)
    return 0;
  p = kzalloc(im->plan.interp_len);
  if(p == 0)
    return -ENOMEM;
  e = read_whole(im->file, p, im->plan.interp_len, im->plan.interp_off);
  if(e == 0 && p[im->plan.interp_len - 1] != 0)
    e = -ENOEXEC;
  if(e) {
    kfree(p);
    return e;
  }
  *path = p;
  return 0;
}

int
image_place(struct exec *x)
{
  uint64_t gap = x->as->limit.stack, moved = random_offset(RANDOM_STACK_BITS);

  x->stack_top = USER_TOP - moved;
  gap = min(max(gap, STACK_GAP_LO), STACK_GAP_HI);
  x->as->stack_top = x->stack_top;
  x->as->mmap_top =
      page_down(x->stack_top - min(gap, x->stack_top / 2) - STACK_GUARD - random_offset(RANDOM_IMAGE_BITS));
  return 0;
}

static int
map_anon(struct aspace *as, vaddr_t lo, vaddr_t hi, int prot)
{
  struct map_request rq = {
      .addr = lo, .len = hi - lo, .prot = prot, .maxprot = PROT_R | PROT_W | PROT_X, .how = MAP_EXACT_EMPTY};
  vaddr_t at;

  return lo < hi ? aspace_map(as, &rq, &at) : 0;
}

static int
map_piece(struct aspace *as, const struct image *im, struct mobj *obj, const struct elf_piece *q)
{
  struct map_request rq = {
      .addr = q->file_lo + im->bias,
      .len = q->file_hi - q->file_lo,
      .prot = q->prot,
      .maxprot = PROT_R | PROT_W | PROT_X,
      .how = MAP_EXACT_EMPTY,
      .obj = obj,
      .pgoff = q->pgoff,
      .tag = im->file,
  };
  vaddr_t at;
  int e = 0;

  if(rq.len)
    e = aspace_map(as, &rq, &at);
  if(e == 0)
    e = map_anon(as, q->anon_lo + im->bias, q->anon_hi + im->bias, q->prot);
  if(e == 0 && q->zero_lo < q->zero_hi &&
     (q->prot & PROT_W)) // a tail that nobody may write shows the file, as on Linux
    e = zeroout(as, q->zero_lo + im->bias, q->zero_hi - q->zero_lo, 0);
  return e == -EEXIST ? -ENOMEM : e;
}

static int
image_map(struct aspace *as, const struct image *im)
{
  struct elf_piece q;
  struct mobj *obj;
  int e = file_mmap(im->file, false, &obj);

  if(e)
    return e == -ENODEV ? -ENOEXEC : e;
  for(int i = 0; i < im->plan.nph && e == 0; i++) {
    if(im->ph[i].type != PT_LOAD || im->ph[i].memsz == 0)
      continue;
    elf_piece(&im->ph[i], &q);
    e = map_piece(as, im, obj, &q);
  }
  if(obj)
    mobj_put(obj);
  return e;
}

// Where a program goes that may go anywhere.
static int
place_main(struct image *im)
{
  const struct elf_plan *pl = &im->plan;
  uint64_t base;

  if(!pl->dyn)
    return 0;
  base = DYN_BASE + random_offset(RANDOM_IMAGE_BITS);
  if(pl->align >= USER_TOP)
    return -ENOMEM;
  base = round_up(base, pl->align);
  if(base >= USER_TOP || pl->hi > USER_TOP - base)
    return -ENOMEM;
  im->bias = base - page_down(pl->lo);
  return 0;
}

// The interpreter: among the mappings, at the top. A reservation of the whole length finds the place.
static int
place_interp(struct aspace *as, struct image *im)
{
  const struct elf_plan *pl = &im->plan;
  struct map_request rq = {.len = pl->hi - pl->lo, .maxprot = PROT_R | PROT_W | PROT_X, .flags = REGION_NORESERVE};
  uint64_t slack = pl->align - PAGE_SIZE;
  vaddr_t at;
  int e;

  if(!pl->dyn)
    return 0;
  if(slack > USER_TOP || rq.len > USER_TOP - slack)
    return -ENOMEM;
  rq.len += slack;
  e = aspace_map(as, &rq, &at);
  if(e == 0)
    e = aspace_unmap(as, at, at + rq.len);
  if(e == 0)
    im->bias = round_up(at, pl->align) - page_down(pl->lo);
  return e;
}

int
image_map_all(struct exec *x)
{
  uint64_t brk;
  int e = place_main(&x->main);

  if(e == 0)
    e = image_map(x->as, &x->main);
  if(e)
    return e;
  brk = x->main.plan.hi + x->main.bias;
  x->as->brk_start = x->as->brk =
      min(brk + (atomic_get_relaxed(&vm_randomize) > 1 ? random_offset(RANDOM_BRK_BITS) : 0), USER_TOP - PAGE_SIZE);
  x->entry = x->main.plan.entry + x->main.bias;
  if(x->interp.file == 0)
    return 0;
  e = place_interp(x->as, &x->interp);
  if(e == 0)
    e = image_map(x->as, &x->interp);
  x->entry = x->interp.plan.entry + x->interp.bias;
  return e;
}
