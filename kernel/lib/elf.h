// elf.h -- the structures of a 64-bit ELF file, as far as a program loader needs them. Layout and values are the
// System V gABI's; everything is little-endian on this machine.
#pragma once
#include "lib/util.h"

#define ELF_MAGIC "\177ELF" // the first ELF_MAGIC_LEN bytes
enum { ELF_MAGIC_LEN = 4 };
enum { EI_CLASS = 4, EI_DATA = 5, EI_VERSION = 6, EI_OSABI = 7, EI_NIDENT = 16 };
enum { ELFCLASS64 = 2, ELFDATA2LSB = 1, EV_CURRENT = 1, EM_X86_64 = 62 };

enum elf_type { ET_EXEC = 2, ET_DYN = 3, ET_CORE = 4 };

struct elf_header {
  uint8_t ident[EI_NIDENT];
  uint16_t type;    // enum elf_type
  uint16_t machine; // EM_X86_64
  uint32_t version;
  uint64_t entry; // first instruction; ET_DYN: relative to where it is loaded
  uint64_t phoff; // program headers: offset in the file,
  uint64_t shoff;
  uint32_t flags;
  uint16_t ehsize;
  uint16_t phentsize; // size of one,
  uint16_t phnum;     // and number
  uint16_t shentsize, shnum, shstrndx;
};

enum elf_segment {
  PT_NULL = 0,
  PT_LOAD = 1, // map it
  PT_DYNAMIC = 2,
  PT_INTERP = 3, // path of the program that loads this one
  PT_NOTE = 4,
  PT_PHDR = 6, // where the program headers themselves are mapped
  PT_TLS = 7,
  PT_GNU_EH_FRAME = 0x6474e550,
  PT_GNU_STACK = 0x6474e551, // its flags say whether the stack is executable
  PT_GNU_RELRO = 0x6474e552,
  PT_GNU_PROPERTY = 0x6474e553,
};
enum elf_segment_flag { PF_X = 1, PF_W = 2, PF_R = 4 };

struct elf_phdr {  // program header: one segment
  uint32_t type;   // enum elf_segment
  uint32_t flags;  // enum elf_segment_flag
  uint64_t offset; // in the file; congruent to vaddr modulo align
  uint64_t vaddr;
  uint64_t paddr;
  uint64_t filesz; // bytes from the file,
  uint64_t memsz;  // and then zeros up to this size
  uint64_t align;
};

struct elf_note { // followed by the name and the description, each padded to ELF_NOTE_ALIGN
  uint32_t namesz, descsz, type;
};
enum { ELF_NOTE_ALIGN = 4 };
enum { NT_PRSTATUS = 1, NT_PRPSINFO = 3, NT_AUXV = 6, NT_GNU_ABI_TAG = 1, NT_GNU_BUILD_ID = 3 };

struct elf_sym {
  uint32_t name; // offset in the string table
  uint8_t info;  // type in the low four bits
  uint8_t other;
  uint16_t shndx;
  uint64_t value, size;
};
enum { STT_FUNC = 2, ELF_SYM_TYPE_MASK = 15 };

// The auxiliary vector: what the kernel tells a new program, above its environment.
enum elf_aux {
  AT_NULL = 0,
  AT_PHDR = 3,
  AT_PHENT = 4,
  AT_PHNUM = 5,
  AT_PAGESZ = 6,
  AT_BASE = 7,
  AT_FLAGS = 8,
  AT_ENTRY = 9,
  AT_UID = 11,
  AT_EUID = 12,
  AT_GID = 13,
  AT_EGID = 14,
  AT_PLATFORM = 15,
  AT_HWCAP = 16,
  AT_CLKTCK = 17,
  AT_SECURE = 23,
  AT_RANDOM = 25,
  AT_HWCAP2 = 26,
  AT_EXECFN = 31,
  AT_SYSINFO_EHDR = 33,
  AT_MINSIGSTKSZ = 51,
};
struct elf_auxv {
  uint64_t type, value; // enum elf_aux
};

_Static_assert(sizeof(struct elf_header) == 64, "Elf64_Ehdr");
_Static_assert(sizeof(struct elf_phdr) == 56, "Elf64_Phdr");
_Static_assert(sizeof(struct elf_sym) == 24, "Elf64_Sym");
_Static_assert(sizeof(struct elf_note) == 12, "Elf64_Nhdr");
