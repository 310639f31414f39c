// elf.c -- see elf.h. A hostile file is refused here, so that the rest of exec can add and subtract without fear.
#include "lib/errno.h"
#include "lib/string.h"
#include "proc/elf.h"

enum { INTERP_MAX = 4096, INTERP_MIN = 2 }; // a path and its NUL

int
elf_header_check(const struct elf_header *h, uint64_t file_size, size_t *bytes)
{
  if(memcmp(h->ident, ELF_MAGIC, ELF_MAGIC_LEN) != 0 || h->ident[EI_CLASS] != ELFCLASS64 ||
     h->ident[EI_DATA] != ELFDATA2LSB || h->machine != EM_X86_64)
    return -ENOEXEC;
  if((h->type != ET_EXEC && h->type != ET_DYN) || h->phentsize != sizeof(struct elf_phdr))
    return -ENOEXEC;
  if(h->phnum == 0 || h->phnum > ELF_PHDRS_MAX)
    return -ENOEXEC;
  *bytes = h->phnum * sizeof(struct elf_phdr);
  if(h->phoff > file_size || *bytes > file_size - h->phoff)
    return -ENOEXEC;
  return 0;
}

// Do [off, off + len) lie in a file of `size` bytes?
static bool
in_file(uint64_t off, uint64_t len, uint64_t size)
{
  return off <= size && len <= size - off;
}

static int
check_load(const struct elf_phdr *p, uint64_t file_size, const struct elf_plan *so_far)
{
  if(p->filesz > p->memsz || p->vaddr > USER_TOP || p->memsz > USER_TOP - p->vaddr)
    return -ENOEXEC;
  if(p->filesz && (!in_file(p->offset, p->filesz, file_size) || (p->offset - p->vaddr) % PAGE_SIZE != 0))
    return -ENOEXEC;
  if(so_far->hi && page_down(p->vaddr) < so_far->hi) // out of order, or two on a page
    return -ENOEXEC;
  return 0;
}

static int
plan_load(const struct elf_header *h, const struct elf_phdr *p, uint64_t file_size, struct elf_plan *out)
{
  int e = check_load(p, file_size, out);

  if(e)
    return e;
  if(out->hi == 0)
    out->lo = page_down(p->vaddr);
  out->hi = page_up(p->vaddr + p->memsz);
  if(p->align > out->align && (p->align & (p->align - 1)) == 0)
    out->align = p->align;
  if(h->phoff >= p->offset && h->phoff - p->offset < p->filesz)
    out->phdr_va = h->phoff - p->offset + p->vaddr;
  return 0;
}

static int
plan_interp(const struct elf_phdr *p, uint64_t file_size, struct elf_plan *out)
{
  if(out->interp_len) // Linux, too, takes the first
    return 0;
  if(p->filesz < INTERP_MIN || p->filesz > INTERP_MAX || !in_file(p->offset, p->filesz, file_size))
    return -ENOEXEC;
  out->interp_off = p->offset;
  out->interp_len = p->filesz;
  return 0;
}

int
elf_plan(const struct elf_header *h, const struct elf_phdr *ph, uint64_t file_size, struct elf_plan *out)
{
  int e = 0;

  *out = (struct elf_plan){.ph = ph, .nph = h->phnum, .dyn = h->type == ET_DYN, .align = PAGE_SIZE, .entry = h->entry};
  for(int i = 0; i < h->phnum && e == 0; i++) {
    if(ph[i].type == PT_LOAD && ph[i].memsz)
      e = plan_load(h, &ph[i], file_size, out);
    else if(ph[i].type == PT_INTERP)
      e = plan_interp(&ph[i], file_size, out);
    else if(ph[i].type == PT_GNU_STACK)
      out->exec_stack = ph[i].flags & PF_X;
  }
  if(e == 0 && (out->hi == 0 || out->hi > USER_TOP || out->entry >= USER_TOP))
    e = -ENOEXEC;
  return e;
}

void
elf_piece(const struct elf_phdr *p, struct elf_piece *out)
{
  uint64_t file_end = p->vaddr + p->filesz, end = page_up(p->vaddr + p->memsz);

  *out = (struct elf_piece){.file_lo = page_down(p->vaddr)};
  out->file_hi = p->filesz ? page_up(file_end) : out->file_lo;
  out->pgoff = page_down(p->offset) >> PAGE_SHIFT;
  out->zero_lo = out->zero_hi = out->file_hi;
  if(p->filesz && p->memsz > p->filesz)
    out->zero_lo = file_end;
  out->anon_lo = out->file_hi;
  out->anon_hi = end;
  out->prot = (p->flags & PF_R ? PROT_R : 0) | (p->flags & PF_W ? PROT_W : 0) | (p->flags & PF_X ? PROT_X : 0);
}
