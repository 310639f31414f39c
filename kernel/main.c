// main.c -- start order, and the only place where the folders are plugged together.
#include "arch/x86_64/arch.h"
#include "core/cpu.h"
#include "core/kthread.h"
#include "core/option.h"
#include "core/print.h"
#include "dev/blk.h"
#include "dev/dev.h"
#include "fs/vfs.h"
#include "lib/string.h"
#include "proc/proc.h"
#include "proc/sysvshm.h"
#include "syscall/syscall.h"

enum { CHECK_EVERY = 1000 }; // calls and traps between checks of the caller's memory, in debug kernels
enum { START_FAILED = 1 };   // exit status of a machine that found no root or no init

void kernel_main(void); // called by arch/x86_64/boot.c

// The disk named by root= (default /dev/vda) becomes /. A machine without one says why and stops.
static void
mount_root(void)
{
  char source[32];
  struct fs *fs;
  int err;

  if(!option_string("root", source, sizeof(source)))
    strlcpy(source, "/dev/vda", sizeof(source));
  err = ext3_mount(source, option_flag("ro") ? "ro" : "", &fs);
  if(err) {
    print(
        "lazy6: cannot use %s as the root disk (error %d). Make an image with `make image`, or name another disk with "
        "APPEND=\"root=/dev/...\".\n",
        source, -err);
    cpu_poweroff(START_FAILED);
  }
  mount_add(fs, 0);
}

// Disks fail as the command line says. A start with rules that nobody understood would test nothing.
static void
start_blkfail(void)
{
  char rules[1024];

  if(option_string("blkfail", rules, sizeof(rules)) && blkfail_set(rules) != 0) {
    print("lazy6: APPEND=\"blkfail=...\" was not understood; kernel/dev/blkfail.c has the grammar\n");
    cpu_poweroff(START_FAILED);
  }
}

// What needs threads, interrupts and the disk.
static void
start_thread(void *arg)
{
  static char *const envp[] = {"PATH=/sbin:/usr/sbin:/bin:/usr/bin", "HOME=/", "TERM=vt100", 0};
  char path[128];
  char *argv[] = {path, 0};
  int err;

  start_blkfail();
  pci_init();
  virtio_rng_init();
  virtio_blk_init();
  for(int i = 0; i < boot_info.nmodules; i++)
    ramdisk_add(boot_info.module[i].lo, boot_info.module[i].hi);
  uart_start();
  mount_root();
  if((err = mount_at_boot("devfs", "/dev")) != 0)
    print("lazy6: no /dev on the root disk (error %d): init will have no console\n", -err);
  if(!option_string("init", path, sizeof(path)))
    strlcpy(path, "/sbin/init", sizeof(path));
  err = proc_start_init(path, argv, envp);
  if(err) {
    print("lazy6: cannot start %s (error %d); name another program with APPEND=\"init=...\"\n", path, -err);
    cpu_poweroff(START_FAILED);
  }
}

static void
other_cpu(void)
{
  sched_init();
  sched_idle_loop();
}

void
kernel_main(void)
{
  print_quiet(option_flag("quiet"));
  uart_init();
  boot_memory_init();
  mm_init();
  pmap_init();
  acpi_init();
  lapic_init();
  ioapic_init();
  clock_init();
  lapic_timer_calibrate();
  rtc_init();
  sched_init();
  proc_init();
  futex_init();
  sysvshm_init();
  signalfd_init();
  vfs_init();
  ext3_init();
  tmpfs_init();
  procfs_init();
  devfs_init();
  procinfo_init();
  session_init();
  syscall_init();
  frame_oom_hook = oom_kill;
#ifdef DEBUG
  check_every = option_number("check", CHECK_EVERY);
#endif
  region_tags = &file_region_tags;
  if(option_flag("norandmaps"))
    vm_randomize = 0;
  smp_start(other_cpu);
  print("lazy6: %d CPU%s, %lu MiB of memory, %lu free\n", cpu_count, cpu_count == 1 ? "" : "s", frames_total() >> 8,
        frames_free() >> 8);
  reclaim_start();
  writeback_start();
  if(kthread_start("start", start_thread, 0) != 0)
    panic("no memory for the first thread");
  sched_idle_loop();
}
