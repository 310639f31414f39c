// symbols.c -- names of the kernel's own functions, for panics.
//
// The table is made by tools/symbols from a first link and put into the second; without it addresses stay bare.
// Typical: symbol_name(pc, buf, sizeof(buf)). Takes no lock, allocates nothing: it runs in panics.
#include "arch/x86_64/arch.h"
#include "lib/fmt.h"

struct symbol { // in ascending order of address
  uint64_t addr;
  uint32_t name; // offset in kernel_symbol_names
};
extern const struct symbol kernel_symbols[] __attribute__((weak)); // all three absent in the first link
extern const uint32_t kernel_symbol_count __attribute__((weak));
extern const char kernel_symbol_names[] __attribute__((weak));

// The last symbol at or below pc; 0 if pc lies outside the text.
static const struct symbol *
symbol_find(uintptr_t pc)
{
  uint32_t lo = 0, hi = &kernel_symbol_count ? kernel_symbol_count : 0; // the answer is in [lo - 1, hi)

  if(pc < (uintptr_t)kernel_text_start || pc >= (uintptr_t)kernel_text_end)
    return 0;
  while(lo < hi) {
    uint32_t mid = lo + (hi - lo) / 2;

    if(kernel_symbols[mid].addr <= pc)
      lo = mid + 1;
    else
      hi = mid;
  }
  return lo > 0 ? &kernel_symbols[lo - 1] : 0;
}

void
symbol_name(uintptr_t pc, char *buf, size_t n)
{
  const struct symbol *s = symbol_find(pc);

  if(s)
    fmt(buf, n, "%s+%#lx", kernel_symbol_names + s->name, pc - s->addr);
  else
    fmt(buf, n, "%#lx", pc);
}
