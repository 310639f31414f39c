// elf_test.c -- the loader's plan: what a good file gives, and that each kind of bad one is refused.
#include "lib/errno.h"
#include "lib/string.h"
#include "proc/elf.h"
#include "test.h"

enum { FILE_SIZE = 0x5000, TEXT = 0x400000, DATA = 0x402ea8 };

static struct elf_header head;
static struct elf_phdr ph[3];

// A static program: text at 4 MiB, data with a bss that reaches into the next page.
static void
good(void)
{
  memset(&head, 0, sizeof(head));
  memset(ph, 0, sizeof(ph));
  memcpy(head.ident, ELF_MAGIC, ELF_MAGIC_LEN);
  head.ident[EI_CLASS] = ELFCLASS64;
  head.ident[EI_DATA] = ELFDATA2LSB;
  head.type = ET_EXEC;
  head.machine = EM_X86_64;
  head.phentsize = sizeof(struct elf_phdr);
  head.phnum = 3;
  head.phoff = sizeof(head);
  head.entry = TEXT + 0x1000;
  ph[0] = (struct elf_phdr){
      .type = PT_LOAD, .flags = PF_R | PF_X, .vaddr = TEXT, .filesz = 0x1234, .memsz = 0x1234, .align = 0x1000};
  ph[1] = (struct elf_phdr){.type = PT_LOAD,
                            .flags = PF_R | PF_W,
                            .offset = 0x1ea8,
                            .vaddr = DATA,
                            .filesz = 0x200,
                            .memsz = 0x3000,
                            .align = 0x1000};
  ph[2] = (struct elf_phdr){.type = PT_GNU_STACK, .flags = PF_R | PF_W};
}

static int
plan(struct elf_plan *out)
{
  size_t bytes;
  int e = elf_header_check(&head, FILE_SIZE, &bytes);

  return e ? e : elf_plan(&head, ph, FILE_SIZE, out);
}

TEST(static_program)
{
  struct elf_plan p;
  struct elf_piece q;

  good();
  need(plan(&p) == 0);
  expect_eq(p.lo, TEXT);
  expect_eq(p.hi, 0x406000);
  expect_eq(p.phdr_va, TEXT + sizeof(head));
  expect(!p.dyn && !p.exec_stack && p.interp_len == 0);
  elf_piece(&ph[0], &q);
  expect_eq(q.file_lo, TEXT);
  expect_eq(q.file_hi, TEXT + 0x2000);
  expect(q.zero_lo == q.zero_hi && q.anon_lo == q.anon_hi);
  expect_eq(q.prot, PROT_R | PROT_X);
  elf_piece(&ph[1], &q);
  expect_eq(q.file_lo, 0x402000);
  expect_eq(q.file_hi, 0x404000);
  expect_eq(q.pgoff, 1);
  expect_eq(q.zero_lo, DATA + 0x200);
  expect_eq(q.zero_hi, 0x404000);
  expect_eq(q.anon_lo, 0x404000);
  expect_eq(q.anon_hi, 0x406000);
}

TEST(bss_without_file_bytes)
{
  struct elf_piece q;

  good();
  ph[1].filesz = 0;
  elf_piece(&ph[1], &q);
  expect(q.file_lo == q.file_hi && q.zero_lo == q.zero_hi);
  expect_eq(q.anon_lo, 0x402000);
  expect_eq(q.anon_hi, 0x406000);
}

#define REFUSED(change)                                                                                                \
  do {                                                                                                                 \
    struct elf_plan p_;                                                                                                \
    good();                                                                                                            \
    change;                                                                                                            \
    expect_eq(plan(&p_), -ENOEXEC);                                                                                    \
  } while(0)

TEST(refuses_headers)
{
  REFUSED(head.ident[0] = 0);
  REFUSED(head.ident[EI_CLASS] = 1);
  REFUSED(head.ident[EI_DATA] = 2);
  REFUSED(head.machine = 3);
  REFUSED(head.type = 1);
  REFUSED(head.phentsize = 32);
  REFUSED(head.phnum = 0);
  REFUSED(head.phnum = 0xffff);
  REFUSED(head.phoff = FILE_SIZE - 10);
  REFUSED(head.phoff = ~0ull);
  REFUSED(head.entry = ~0ull);
}

TEST(refuses_segments)
{
  REFUSED(ph[0].memsz = 0x1000);
  REFUSED(ph[0].vaddr = ~0ull - 10);
  REFUSED(ph[1].memsz = ~0ull);
  REFUSED(ph[1].vaddr = USER_TOP - 0x1000 + 0xea8);
  REFUSED(ph[1].offset = 0x1ea9);
  REFUSED(ph[1].offset = FILE_SIZE);
  REFUSED(ph[1].offset = ~0ull - 0x157);
  REFUSED(ph[1].vaddr = TEXT + 0xea8);
  REFUSED(ph[1].vaddr = TEXT + 0x1ea8);
  REFUSED((ph[0].type = PT_NULL, ph[1].type = PT_NULL));
  REFUSED((ph[2] = (struct elf_phdr){.type = PT_INTERP, .filesz = 1}));
  REFUSED((ph[2] = (struct elf_phdr){.type = PT_INTERP, .filesz = 5000}));
  REFUSED((ph[2] = (struct elf_phdr){.type = PT_INTERP, .filesz = 20, .offset = FILE_SIZE - 10}));
}
