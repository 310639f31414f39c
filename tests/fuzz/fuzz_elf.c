// fuzz_elf.c -- any bytes as an ELF file: the plan is refused, or every promise of proc/elf.h holds.
// Build: clang -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -Ikernel tests/fuzz/fuzz_elf.c kernel/proc/elf.c
#include <stdlib.h>
#include "lib/string.h"
#include "proc/elf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool x)
{
  if(!x)
    abort();
}

static void
check_piece(const struct elf_phdr *ph, const struct elf_plan *p, uint64_t file_size, uint64_t *end)
{
  struct elf_piece q;

  elf_piece(ph, &q);
  must(q.file_lo >= *end && q.file_lo >= p->lo);
  must(q.file_lo <= q.file_hi && q.file_hi == q.anon_lo && q.anon_lo <= q.anon_hi && q.anon_hi <= p->hi);
  must(q.zero_lo <= q.zero_hi && q.zero_hi - q.zero_lo < PAGE_SIZE && q.zero_hi == q.file_hi);
  must(page_aligned(q.file_lo) && page_aligned(q.file_hi) && page_aligned(q.anon_hi));
  must(q.file_lo == q.file_hi || q.pgoff * PAGE_SIZE < file_size);
  *end = q.anon_hi;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct elf_header h;
  struct elf_phdr *ph;
  struct elf_plan p;
  size_t bytes;
  uint64_t end = 0;

  if(size < sizeof(h))
    return 0;
  memcpy(&h, data, sizeof(h));
  if(elf_header_check(&h, size, &bytes) != 0)
    return 0;
  ph = malloc(bytes);
  must(ph != 0 && h.phoff + bytes <= size);
  memcpy(ph, data + h.phoff, bytes);
  if(elf_plan(&h, ph, size, &p) == 0) {
    must(p.lo < p.hi && p.hi <= USER_TOP && page_aligned(p.lo) && page_aligned(p.hi));
    must(p.align >= PAGE_SIZE && (p.align & (p.align - 1)) == 0);
    must(p.interp_len == 0 || p.interp_off + p.interp_len <= size);
    for(int i = 0; i < p.nph; i++)
      if(ph[i].type == PT_LOAD && ph[i].memsz)
        check_piece(&ph[i], &p, size, &end);
    must(end == p.hi);
  }
  free(ph);
  return 0;
}
