// auxv.c -- what the auxiliary vector tells a program about this CPU.
#include "arch/x86_64/arch.h"
#include "arch/x86_64/x86.h"
#include "proc/proc.h"

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
