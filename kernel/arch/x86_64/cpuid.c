// cpuid.c -- what this CPU can do.
//
// Typical: cpu_features_init() once on the boot CPU, before anything looks at cpu_features. All CPUs are taken to be
// alike.
// Must not change the CPU's state: cpu.c turns on what is found here.
#include "arch/x86_64/arch.h"
#include "arch/x86_64/x86.h"
#include "lib/fmt.h"
#include "lib/string.h"

enum cpuid_leaf {
  LEAF_VENDOR = 0,
  LEAF_FEATURES = 1,
  LEAF_EXTENDED = 7,
  LEAF_XSAVE = 0xd,
};
#define LEAF_AMD_MAX      0x80000000
#define LEAF_AMD_FEATURES 0x80000001
#define LEAF_MODEL        0x80000002 // and two more
#define LEAF_POWER        0x80000007
#define LEAF_ADDRESSES    0x80000008

enum { EAX, EBX, ECX, EDX, REGISTERS };

struct cpu_features cpu_features;

static uint32_t
cpuid_word(uint32_t leaf, int reg)
{
  struct cpuid r = cpuid(leaf, 0);
  uint32_t word[REGISTERS] = {r.eax, r.ebx, r.ecx, r.edx};
  uint32_t top = cpuid(leaf & LEAF_AMD_MAX, 0).eax;

  return leaf <= top ? word[reg] : 0;
}

static bool
cpuid_bit(uint32_t leaf, int reg, int bit)
{
  return cpuid_word(leaf, reg) >> bit & 1;
}

// Without these there is no lazy6. Those that boot.S needs (64-bit mode, no-execute) were tested there.
static void
require_features(void)
{
  static const struct {
    uint32_t leaf;
    int reg, bit;
    const char *name;
  } need[] = {
      {LEAF_FEATURES, EDX, 4, "time-stamp counter"},
      {LEAF_FEATURES, EDX, 9, "local APIC"},
      {LEAF_FEATURES, EDX, 13, "global pages"},
      {LEAF_FEATURES, EDX, 16, "page attribute table"},
      {LEAF_FEATURES, EDX, 24, "fxsave"},
      {LEAF_FEATURES, EDX, 26, "SSE2"},
      {LEAF_AMD_FEATURES, EDX, 11, "syscall"},
      {LEAF_AMD_FEATURES, EDX, 20, "no-execute pages"},
      {LEAF_AMD_FEATURES, EDX, 29, "64-bit mode"},
  };
  char line[128];

  for(size_t i = 0; i < array_len(need); i++)
    if(!cpuid_bit(need[i].leaf, need[i].reg, need[i].bit)) {
      fmt(line, sizeof(line), "lazy6: this CPU has no %s, which is needed\r\n", need[i].name);
      boot_complain(line);
      cpu_poweroff(1);
    }
}

// Extended state that programs get: x87, SSE, AVX, and AVX-512 if all three parts of it are there.
static void
xsave_features(struct cpu_features *f)
{
  enum { XSTATE_BASE = 0x7, XSTATE_AVX512 = 0xe0, XSTATE_FPSSE = 0x3 };
  uint32_t have;

  f->xsave = cpuid_bit(LEAF_FEATURES, ECX, 26);
  if(!f->xsave)
    return;
  have = cpuid_word(LEAF_XSAVE, EAX);
  f->xsave_mask = have & XSTATE_BASE;
  if((have & XSTATE_AVX512) == XSTATE_AVX512 && (have & XSTATE_BASE) == XSTATE_BASE)
    f->xsave_mask |= XSTATE_AVX512;
  if((f->xsave_mask & XSTATE_FPSSE) != XSTATE_FPSSE)
    f->xsave = false;
}

static void
identity(struct cpu_features *f)
{
  enum {
    STEPPING = 0xf,
    MODEL_SHIFT = 4,
    FAMILY_SHIFT = 8,
    XMODEL_SHIFT = 16,
    XFAMILY_SHIFT = 20,
    FAMILY_EXTENDED = 0xf
  };
  uint32_t sig = cpuid_word(LEAF_FEATURES, EAX), *model = (uint32_t *)f->model;
  struct cpuid v = cpuid(LEAF_VENDOR, 0);

  memcpy(f->vendor, &v.ebx, sizeof(uint32_t));
  memcpy(f->vendor + sizeof(uint32_t), &v.edx, sizeof(uint32_t));
  memcpy(f->vendor + 2 * sizeof(uint32_t), &v.ecx, sizeof(uint32_t));
  for(int i = 0; i < 3 * REGISTERS; i++)
    model[i] = cpuid_word(LEAF_MODEL + i / REGISTERS, i % REGISTERS);
  f->stepping = sig & STEPPING;
  f->family = sig >> FAMILY_SHIFT & 0xf;
  f->model_no = (sig >> MODEL_SHIFT & 0xf) | (sig >> XMODEL_SHIFT & 0xf) << MODEL_SHIFT;
  if(f->family == FAMILY_EXTENDED)
    f->family += sig >> XFAMILY_SHIFT & 0xff;
}

void
cpu_features_init(void)
{
  enum { PHYS_BITS_LEAST = 36 };
  struct cpu_features *f = &cpu_features;

  require_features();
  identity(f);
  f->nx = true;
  f->x2apic = cpuid_bit(LEAF_FEATURES, ECX, 21);
  f->tsc_deadline = cpuid_bit(LEAF_FEATURES, ECX, 24);
  f->rdrand = cpuid_bit(LEAF_FEATURES, ECX, 30);
  f->hypervisor = cpuid_bit(LEAF_FEATURES, ECX, 31);
  f->fsgsbase = cpuid_bit(LEAF_EXTENDED, EBX, 0);
  f->smep = cpuid_bit(LEAF_EXTENDED, EBX, 7);
  f->erms = cpuid_bit(LEAF_EXTENDED, EBX, 9);
  f->smap = cpuid_bit(LEAF_EXTENDED, EBX, 20);
  f->umip = cpuid_bit(LEAF_EXTENDED, ECX, 2);
  f->pku = cpuid_bit(LEAF_EXTENDED, ECX, 3);
  f->gib_pages = cpuid_bit(LEAF_AMD_FEATURES, EDX, 26);
  f->invariant_tsc = cpuid_bit(LEAF_POWER, EDX, 8);
  f->phys_bits = cpuid_word(LEAF_ADDRESSES, EAX) & 0xff;
  f->phys_bits = max(f->phys_bits, PHYS_BITS_LEAST);
  xsave_features(f);
}
