// elf.h -- from the bytes of an ELF file to a plan of what to map where. Pure: no memory, no files, no locks; compiled
// on the host for the fuzzer. Everything in a plan has been checked: ranges lie in the file, among a program's addresses,
// in ascending order and on different pages.
// Typical: elf_header_check / read the program headers / elf_plan / for each PT_LOAD: elf_piece.
#pragma once
#include "lib/elf.h"
#include "mm/types.h"

enum { ELF_PHDRS_MAX = 65536 / sizeof(struct elf_phdr) }; // as Linux: 64 KiB of them

struct elf_plan {
  const struct elf_phdr *ph; // borrowed
  int nph;
  bool dyn; // goes wherever there is room: all addresses here are relative
  bool exec_stack;
  uint64_t lo, hi; // all segments, whole pages
  uint64_t align;  // a power of two, at least a page
  uint64_t entry;
  uint64_t phdr_va;    // where the program headers are mapped; 0: nowhere
  uint64_t interp_off; // path of the interpreter in the file;
  uint64_t interp_len; // with its NUL; 0: none
};
struct elf_piece {          // one PT_LOAD, relative as the plan
  vaddr_t file_lo, file_hi; // from the file, whole pages; equal: nothing
  uint64_t pgoff;
  vaddr_t zero_lo, zero_hi; // tail of the last file page: to be zeroed
  vaddr_t anon_lo, anon_hi; // zero fill, whole pages
  int prot;
};
// 0: `h` is a program for this machine, and its *bytes program headers stand at h->phoff, in the file. -ENOEXEC.
int elf_header_check(const struct elf_header *h, uint64_t file_size, size_t *bytes);
// ph: h->phnum entries. 0 or -ENOEXEC.
int elf_plan(const struct elf_header *h, const struct elf_phdr *ph, uint64_t file_size, struct elf_plan *out);
void elf_piece(const struct elf_phdr *ph, struct elf_piece *out);
