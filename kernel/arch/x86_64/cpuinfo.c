// cpuinfo.c -- /proc/cpuinfo, in the form that programs written for Linux read; and what the auxiliary vector says.
#include "arch/x86_64/arch.h"
#include "arch/x86_64/x86.h"
#include "fs/procfs/procfs.h"
#include "proc/proc.h"

static void
cpuinfo_flags(struct textbuf *t)
{
  const struct cpu_features *f = &cpu_features;
  const struct {
    bool have;
    const char *name;
  } flag[] = {
      {f->gib_pages, "pdpe1gb"},
      {f->invariant_tsc, "constant_tsc nonstop_tsc"},
      {f->x2apic, "x2apic"},
      {f->tsc_deadline, "tsc_deadline_timer"},
      {f->xsave, "xsave"},
      {f->rdrand, "rdrand"},
      {f->hypervisor, "hypervisor"},
      {f->fsgsbase, "fsgsbase"},
      {f->smep, "smep"},
      {f->erms, "erms"},
      {f->smap, "smap"},
      {f->umip, "umip"},
  };

  text(t, "flags\t\t: fpu tsc msr pae cx8 apic pge pat fxsr sse sse2 syscall nx lm");
  for(size_t i = 0; i < array_len(flag); i++)
    if(flag[i].have)
      text(t, " %s", flag[i].name);
  text(t, "\n");
}

void
arch_cpuinfo(struct textbuf *t)
{
  enum { MHZ = 1000000, KHZ = 1000, VIRTUAL_BITS = 48 };
  const struct cpu_features *f = &cpu_features;
  uint64_t hz = clock_frequency();

  for(int i = 0; i < CPU_MAX; i++) {
    if(cpus[i] == 0 || !cpus[i]->online)
      continue;
    text(t, "processor\t: %d\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\n", i, f->vendor, f->family,
         f->model_no);
    text(t, "model name\t: %s\nstepping\t: %u\n", f->model, f->stepping);
    text(t, "cpu MHz\t\t: %lu.%03lu\napicid\t\t: %u\nfpu\t\t: yes\nwp\t\t: yes\n", hz / MHZ, hz % MHZ / KHZ,
         cpus[i]->hw_id);
    cpuinfo_flags(t);
    text(t, "clflush size\t: 64\ncache_alignment\t: 64\naddress sizes\t: %d bits physical, %d bits virtual\n\n",
         f->phys_bits, VIRTUAL_BITS);
  }
}

struct arch_auxv
arch_auxv(void)
{
  enum { LEAF_FEATURES = 1, HWCAP2_FSGSBASE = 2, FRAME_REST = 1024 }; // a signal frame but for the extended state

  return (struct arch_auxv){
      .hwcap = cpuid(LEAF_FEATURES, 0).edx,
      .hwcap2 = cpu_features.fsgsbase ? HWCAP2_FSGSBASE : 0,
      .minsigstksz = FRAME_REST + cpu_features.xsave_size,
  };
}
