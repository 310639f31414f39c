// exec.h -- one execve on its way, shared by exec.c (files and the point of no return), image.c (mapping) and args.c
// (the new stack).
#pragma once
#include "proc/elf.h"
#include "proc/proc.h"

enum { SCRIPT_DEPTH = 5, SCRIPT_LINE = 256, PREFIX_MAX = 1 + 2 * SCRIPT_DEPTH, WORD_BATCH = 64 };

struct strings {     // argv or envp: a program's array, or the kernel's
  struct aspace *as; // 0: kernel
  vaddr_t user;
  char *const *kernel;
  int n, skip; // how many; how many of the first are not passed on
};
struct image { // one ELF file
  struct file *file;
  struct elf_header head;
  struct elf_phdr *ph;
  struct elf_plan plan;
  uint64_t bias; // what to add to the plan's addresses
};
struct exec {
  struct namectx ctx;
  char *name; // AT_EXECFN
  int nprefix;
  char *prefix[PREFIX_MAX]; // what scripts put before the arguments: last one first
  char line[SCRIPT_LINE];
  struct image main, interp; // interp.file 0: none
  bool denied;               // inode_deny_write of main.file holds
  struct aspace *as;         // the new one
  struct strings argv, envp;
  struct cred *cred;     // the new one
  bool secure;           // it gained something: AT_SECURE
  struct sighand *hand;  // replaces a shared one; or 0
  struct fdtable *files; // the same
  vaddr_t entry, sp;
  vaddr_t stack_top;
  // args.c
  uint64_t argc, envc, room; // room: bytes that arguments may still take
  uint64_t bytes;            // of all strings
  vaddr_t strings, strings_end, execfn, random;
  vaddr_t word_at; // where `word` goes
  int nword;
  uint64_t word[WORD_BATCH];
};

// image.c. 0 or -E; what was mapped goes with x->as.
int image_read(struct image *im);                     // header, program headers, plan; -ENOEXEC
int image_interp_path(struct image *im, char **path); // kfree it; 0: none. -ENOEXEC
int image_place(struct exec *x);                      // stack_top and mmap_top of a fresh space
int image_map_all(struct exec *x);                    // program, interpreter, break; sets entry
// args.c
int args_measure(struct exec *x); // counts and bytes; -E2BIG, -EFAULT
int args_build(struct exec *x);   // stack region and everything on it; sets sp
