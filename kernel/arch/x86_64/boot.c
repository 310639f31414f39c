// boot.c -- what the firmware said, and the kernel's permanent page tables.
//
// arch_boot() runs on boot.S's temporary tables: it copies everything of interest into boot_info, because the
// firmware's structures lie in memory that is about to be handed out. boot_memory_init() then builds the permanent
// tables from memory it takes at the upper end of RAM, switches to them, and gives all that is left to the frame
// allocator.
// Typical: arch_boot -> cpu_init_boot -> kernel_main -> boot_memory_init -> mm_init.
// Must not allocate: it runs before anything can.
#include "arch/x86_64/arch.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/x86.h"
#include "core/option.h"
#include "core/print.h"
#include "lib/string.h"
#include "mm/mm.h"

enum {
  BOOT_MAPPED_GIB = 4, // what boot.S maps
  GIB_SHIFT = 30,
  LEVEL_GIB = 2, // levels of a table entry, by the size it can map: 0 is 4 KiB, 1 is 2 MiB, 2 is 1 GiB
  LEVEL_TOP = 3,
  KEPT_MAX = 16,
};

struct boot_info boot_info;

void arch_boot(uint32_t magic, uint64_t info);
void kernel_main(void) __attribute__((noreturn));

static struct boot_range kept[KEPT_MAX]; // memory that is in use: image, modules, what boot_take took
static int nkept;
static paddr_t take_below; // memory below is mapped
static uint64_t *kernel_pml4;

// ---- what the firmware said

// Note usable memory [lo, hi): whole pages of it, sorted, joined with what it touches. More than fits is ignored.
static void
boot_add_range(paddr_t lo, paddr_t hi)
{
  struct boot_info *b = &boot_info;
  int at = 0, n;

  lo = page_up(lo);
  hi = page_down(hi);
  if(lo >= hi)
    return;
  while(at < b->nranges && b->range[at].hi < lo)
    at++;
  for(n = at; n < b->nranges && b->range[n].lo <= hi; n++) { // [at, n) are joined
    lo = min(lo, b->range[n].lo);
    hi = max(hi, b->range[n].hi);
  }
  if(n == at && b->nranges == BOOT_RANGES)
    return;
  memmove(&b->range[at + 1], &b->range[n], (b->nranges - n) * sizeof(b->range[0]));
  b->nranges += at + 1 - n;
  b->range[at] = (struct boot_range){lo, hi};
}

static void
boot_add_module(paddr_t lo, paddr_t hi)
{
  if(lo < hi && boot_info.nmodules < BOOT_MODULES)
    boot_info.module[boot_info.nmodules++] = (struct boot_range){lo, hi};
}

enum { MEMORY_USABLE = 1 }; // type of a range, in both protocols

struct pvh_info {
  uint32_t magic, version, flags, nmodules;
  uint64_t modules, cmdline, rsdp, memmap;
  uint32_t nmemmap, reserved;
};
struct pvh_module {
  uint64_t addr, size, cmdline, reserved;
};
struct pvh_range {
  uint64_t addr, size;
  uint32_t type, reserved;
};

static void
boot_parse_pvh(const struct pvh_info *p)
{
  const struct pvh_module *m = kva_of_pa(p->modules);
  const struct pvh_range *r = kva_of_pa(p->memmap);

  for(uint32_t i = 0; p->version > 0 && i < p->nmemmap; i++)
    if(r[i].type == MEMORY_USABLE)
      boot_add_range(r[i].addr, r[i].addr + r[i].size);
  for(uint32_t i = 0; i < p->nmodules; i++)
    boot_add_module(m[i].addr, m[i].addr + m[i].size);
  if(p->cmdline)
    strlcpy(option_line, kva_of_pa(p->cmdline), sizeof(option_line));
  boot_info.rsdp = p->rsdp;
}

enum { MB2_END, MB2_CMDLINE = 1, MB2_MODULE = 3, MB2_MEMMAP = 6, MB2_RSDP_OLD = 14, MB2_RSDP_NEW = 15, MB2_ALIGN = 8 };
struct mb2_tag {
  uint32_t type, size; // bytes with this head
  union {
    char text[0];
    uint8_t bytes[0];
    uint32_t module[2]; // start, end
    struct {
      uint32_t entry_size, version;
      uint8_t entry[];
    } memmap;
  };
};
struct mb2_range {
  uint64_t addr, size;
  uint32_t type, reserved;
};

static void
boot_parse_mb2_tag(const struct mb2_tag *t)
{
  const uint8_t *end = (const uint8_t *)t + t->size, *e;

  switch(t->type) {
  case MB2_CMDLINE: strlcpy(option_line, t->text, sizeof(option_line)); break;
  case MB2_MODULE: boot_add_module(t->module[0], t->module[1]); break;
  case MB2_MEMMAP:
    for(e = t->memmap.entry; e + sizeof(struct mb2_range) <= end && t->memmap.entry_size; e += t->memmap.entry_size) {
      const struct mb2_range *r = (const struct mb2_range *)e;

      if(r->type == MEMORY_USABLE)
        boot_add_range(r->addr, r->addr + r->size);
    }
    break;
  case MB2_RSDP_OLD:
  case MB2_RSDP_NEW:
    if(t->type == MB2_RSDP_OLD && boot_info.rsdp_is_copy)
      break;
    memset(boot_info.rsdp_copy, 0, sizeof(boot_info.rsdp_copy));
    memcpy(boot_info.rsdp_copy, t->bytes, min((size_t)(end - t->bytes), sizeof(boot_info.rsdp_copy)));
    boot_info.rsdp_is_copy = true;
    break;
  }
}

static void
boot_parse_mb2(const uint32_t *info)
{
  const uint8_t *p = (const uint8_t *)info, *end = p + *info;

  p += MB2_ALIGN;
  while(p + MB2_ALIGN <= end) {
    const struct mb2_tag *t = (const struct mb2_tag *)p;

    if(t->type == MB2_END || t->size < MB2_ALIGN)
      break;
    boot_parse_mb2_tag(t);
    p += round_up(t->size, MB2_ALIGN);
  }
}

void
boot_complain(const char *s)
{
  enum { UART = 0x3f8, UART_STATUS = UART + 5, CAN_SEND = 0x20, TRIES = 10000, DEBUG_PORT = 0xe9 };

  for(; *s; s++) {
    for(int i = 0; i < TRIES && !(in8(UART_STATUS) & CAN_SEND); i++)
      pause();
    out8(UART, *s);
    out8(DEBUG_PORT, *s);
  }
}

// From boot.S: `magic` says which protocol, `info` is its structure's physical address.
void
arch_boot(uint32_t magic, uint64_t info)
{
  enum { PVH_MAGIC = 0x336ec578, MB2_MAGIC = 0x36d76289 };

  direct_map = DIRECT_MAP;
  if(magic == MB2_MAGIC)
    boot_parse_mb2(kva_of_pa(info));
  else if(magic == PVH_MAGIC && *(uint32_t *)kva_of_pa(info) == PVH_MAGIC)
    boot_parse_pvh(kva_of_pa(info));
  if(boot_info.nranges == 0) {
    boot_complain("lazy6: the boot loader gave no memory map; use PVH (qemu -kernel) or multiboot2 (GRUB)\r\n");
    cpu_poweroff(1);
  }
  boot_info.ram_end = boot_info.range[boot_info.nranges - 1].hi;
  cpu_init_boot();
  kernel_main();
}

// ---- memory before there is an allocator

static void
boot_keep(paddr_t lo, paddr_t hi)
{
  if(nkept > 0 && kept[nkept - 1].lo == hi) {
    kept[nkept - 1].lo = lo;
    return;
  }
  if(nkept == KEPT_MAX)
    panic("no room to note that [%#lx,%#lx) is in use", lo, hi);
  kept[nkept++] = (struct boot_range){lo, hi};
}

static const struct boot_range *
boot_kept(paddr_t lo, paddr_t hi) // any that overlaps
{
  for(int i = 0; i < nkept; i++)
    if(kept[i].lo < hi && lo < kept[i].hi)
      return &kept[i];
  return 0;
}

// The highest free, mapped `len` bytes (whole pages); never given back.
static paddr_t
boot_take(uint64_t len)
{
  for(int i = boot_info.nranges - 1; i >= 0; i--) {
    const struct boot_range *r = &boot_info.range[i], *k;
    paddr_t hi = min(r->hi, take_below);

    while(hi >= r->lo + len) {
      k = boot_kept(hi - len, hi);
      if(k == 0) {
        boot_keep(hi - len, hi);
        return hi - len;
      }
      hi = page_down(k->lo);
    }
  }
  panic("this machine has too little memory: no room for %lu KiB of tables", len >> 10);
}

// ---- page tables

static uint64_t *
boot_table(uint64_t *entry) // the table below, made if absent
{
  if(!(*entry & PTE_P)) {
    paddr_t pa = boot_take(PAGE_SIZE);

    memset(kva_of_pa(pa), 0, PAGE_SIZE);
    *entry = pa | PTE_P | PTE_W;
  }
  return kva_of_pa(*entry & PTE_ADDR);
}

static uint64_t
level_size(int level)
{
  return PAGE_SIZE << (level * PTE_SHIFT);
}

// Map [lo, hi) of physical memory at va with the largest pages that fit. Nothing else is mapped there yet.
static void
boot_map(uint64_t va, paddr_t lo, paddr_t hi, uint64_t bits)
{
  int largest = cpu_features.gib_pages ? LEVEL_GIB : LEVEL_GIB - 1;

  while(lo < hi) {
    uint64_t *table = kernel_pml4, *entry;
    int level = LEVEL_TOP;

    for(;;) {
      entry = &table[va >> PAGE_SHIFT >> (level * PTE_SHIFT) & (PTE_COUNT - 1)];
      if(level <= largest && ((va | lo) & (level_size(level) - 1)) == 0 && hi - lo >= level_size(level))
        break;
      table = boot_table(entry);
      level--;
    }
    *entry = lo | bits | PTE_P | PTE_A | PTE_D | (level ? PTE_LARGE : 0);
    va += level_size(level);
    lo += level_size(level);
  }
}

static void
boot_map_direct(paddr_t lo, paddr_t hi, uint64_t bits)
{
  if(lo < hi)
    boot_map(DIRECT_MAP + lo, lo, hi, bits | PTE_NX | PTE_G);
}

static paddr_t
image_pa(const char *symbol)
{
  return (uintptr_t)symbol - KERNEL_BASE;
}

// RAM at DIRECT_MAP, the image at KERNEL_BASE, the trampoline of the other CPUs at its own address: they turn paging
// on there.
static void
boot_map_all(void)
{
  paddr_t text = image_pa(kernel_text_start), text_end = image_pa(kernel_text_end);
  paddr_t rodata_end = image_pa(kernel_rodata_end), end = image_pa(kernel_end);

  for(int i = 0; i < boot_info.nranges; i++) {
    paddr_t lo = boot_info.range[i].lo, hi = boot_info.range[i].hi;

    boot_map_direct(lo, min(hi, text), PTE_W);
    boot_map_direct(max(lo, text), min(hi, rodata_end), 0);
    boot_map_direct(max(lo, rodata_end), hi, PTE_W);
  }
  boot_map(KERNEL_BASE + text, text, page_up(text_end), PTE_G);
  boot_map(KERNEL_BASE + page_up(text_end), page_up(text_end), rodata_end, PTE_NX | PTE_G);
  boot_map(KERNEL_BASE + rodata_end, rodata_end, end, PTE_W | PTE_NX | PTE_G);
  boot_map(AP_BOOT_PAGE, AP_BOOT_PAGE, AP_BOOT_PAGE + PAGE_SIZE, 0);
  boot_table(&kernel_pml4[MMIO_MAP >> PAGE_SHIFT >> (LEVEL_TOP * PTE_SHIFT) & (PTE_COUNT - 1)]);
}

// ---- what is left goes to the frame allocator

// A module in the way of the trampoline moves to the upper end of memory.
static void
boot_move_modules(void)
{
  for(int i = 0; i < boot_info.nmodules; i++) {
    struct boot_range *m = &boot_info.module[i];
    uint64_t len = m->hi - m->lo;
    paddr_t to;

    if(m->lo >= AP_BOOT_PAGE + PAGE_SIZE || m->hi <= AP_BOOT_PAGE)
      continue;
    to = boot_take(page_up(len));
    memcpy(kva_of_pa(to), kva_of_pa(m->lo), len);
    *m = (struct boot_range){to, to + len};
  }
}

static void
boot_give(void)
{
  for(int i = 0; i < boot_info.nranges; i++) {
    paddr_t lo = boot_info.range[i].lo, hi = boot_info.range[i].hi;

    while(lo < hi) {
      const struct boot_range *k = 0;

      for(int j = 0; j < nkept; j++) // the first kept one that ends above lo
        if(kept[j].hi > lo && (k == 0 || kept[j].lo < k->lo))
          k = &kept[j];
      if(k == 0 || k->lo >= hi) {
        frame_add(lo, hi);
        break;
      }
      if(k->lo > lo)
        frame_add(lo, page_down(k->lo));
      lo = page_up(k->hi);
    }
  }
  frame_add(image_pa(boot_tables), image_pa(boot_tables_end));
}

void
boot_memory_init(void)
{
  uint64_t npages = boot_info.ram_end >> PAGE_SHIFT, array_size = page_up(npages * sizeof(struct page));
  struct page *array;

  take_below = (paddr_t)BOOT_MAPPED_GIB << GIB_SHIFT;
  // What firmware leaves below 1 MiB it uses again after a reset, and does not clear first (seen: QEMU's loader for PVH).
  boot_keep(0, image_pa(kernel_end));
  for(int i = 0; i < boot_info.nmodules; i++)
    boot_keep(page_down(boot_info.module[i].lo), page_up(boot_info.module[i].hi));
  boot_move_modules();

  kernel_pml4 = kva_of_pa(boot_take(PAGE_SIZE));
  memset(kernel_pml4, 0, PAGE_SIZE);
  boot_map_all();
  write_cr3(boot_kernel_pml4());

  take_below = boot_info.ram_end;
  array = kva_of_pa(boot_take(array_size));
  memset(array, 0, array_size);
  frame_init(array, npages);
  boot_give();
}

paddr_t
boot_kernel_pml4(void)
{
  return pa_of_kva(kernel_pml4);
}
