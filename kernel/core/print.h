// print.h -- the kernel's log: a ring that /dev/kmsg reads, and the console unless it is quiet. Not for error paths
// that a program can reach (rule 8): those return an error and leave a trace event.
#pragma once
#include "lib/fmt.h"

void print(const char *f, ...) printf_like(1, 2); // any context
void vprint(const char *f, va_list ap) printf_like(1, 0);
// Where text goes besides the ring; called with the console lock held. Several may be added. From dev and arch.
void print_add_sink(void (*sink)(const char *s, size_t n), bool also_when_quiet);
bool print_quiet(bool quiet); // on: the log only, as the command line's `quiet` says. What was so before
void print_panicking(void);   // from now on no lock, and quiet is over
// Copy log text from absolute position *pos on (moved on; skips what the ring has lost): bytes copied.
size_t print_read(uint64_t *pos, char *buf, size_t n);

void panic(const char *f, ...) printf_like(1, 2) __attribute__((noreturn));
#define assert(x)                                                                                                      \
  do {                                                                                                                 \
    if(unlikely(!(x)))                                                                                                 \
      panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #x);                                                    \
  } while(0)
