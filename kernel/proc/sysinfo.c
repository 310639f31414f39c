// sysinfo.c -- /proc's own files: memory, CPUs, load, mounts, settings. In the form of Linux, for programs that read them.
// Must not know: one process from another (procinfo.c).
#include "core/cpu.h"
#include "core/option.h"
#include "core/time.h"
#include "core/trace.h"
#include "dev/blk.h"
#include "fs/bcache.h"
#include "fs/procfs/procfs.h"
#include "lib/atomic.h"
#include "lib/string.h"
#include "proc/proc.h"
#include "proc/sysvshm.h"

enum { PAGE_KIB = PAGE_SIZE / 1024, CLOCK_TICKS = 100, KSTACK_KIB = KSTACK_SIZE / 1024 };
#define TICK (NSEC / CLOCK_TICKS)

void (*procinfo_hostname)(char *buf, size_t n);

// ---- memory

struct spaces { // pages, over all address spaces
  uint64_t tables, anon, mapped, locked;
};

static struct spaces
spaces_sum(void)
{
  struct spaces s = {0};

  for(struct aspace *as = aspace_each(0); as; as = aspace_each(as)) {
    uint64_t anon = atomic_get_relaxed(&as->nanon), rss = aspace_rss(as);

    s.tables += pmap_tables(as->pmap);
    s.anon += anon;
    s.mapped += rss > anon ? rss - anon : 0;
    s.locked += atomic_get_relaxed(&as->locked_pages);
  }
  return s;
}

static void
kib(struct textbuf *t, const char *name, uint64_t pages)
{
  text(t, "%-15s %8lu kB\n", name, pages * PAGE_KIB);
}

static int
show_meminfo(struct textbuf *t, int pid)
{
  struct spaces s = spaces_sum();
  uint64_t total = frames_total(), free = frames_free(), shmem = mobj_total_shmem(), cached = mobj_total_cached();
  uint64_t dirty = mobj_total_dirty(), writing = atomic_get_relaxed(&dirty_stats.writing);
  uint64_t buffers = bcache_pages(), slab = kmem_pages();
  uint64_t stacks = (uint64_t)sched_threads() << KSTACK_ORDER, droppable = cached > shmem ? cached - shmem : 0;
  uint64_t other = free + cached + buffers + slab + stacks + s.tables;

  cached = max(cached, shmem);
  s.anon = min(s.anon, total > other ? total - other : 0); // a page that several share counts once
  kib(t, "MemTotal:", total);
  kib(t, "MemFree:", free);
  kib(t, "MemAvailable:", free + (droppable > dirty ? droppable - dirty : 0));
  kib(t, "Buffers:", buffers);
  kib(t, "Cached:", cached);
  kib(t, "SwapCached:", 0);
  kib(t, "Active:", s.anon + shmem);
  kib(t, "Inactive:", droppable);
  kib(t, "Active(anon):", s.anon + shmem);
  kib(t, "Inactive(anon):", 0);
  kib(t, "Active(file):", 0);
  kib(t, "Inactive(file):", droppable);
  kib(t, "Unevictable:", s.locked);
  kib(t, "Mlocked:", s.locked);
  kib(t, "SwapTotal:", 0);
  kib(t, "SwapFree:", 0);
  kib(t, "Dirty:", dirty - min(writing, dirty));
  kib(t, "Writeback:", writing);
  kib(t, "AnonPages:", s.anon);
  kib(t, "Mapped:", s.mapped);
  kib(t, "Shmem:", shmem);
  kib(t, "Slab:", slab);
  kib(t, "SReclaimable:", 0);
  kib(t, "SUnreclaim:", slab);
  kib(t, "KernelStack:", stacks);
  kib(t, "PageTables:", s.tables);
  kib(t, "CommitLimit:", vm_commit_limit());
  kib(t, "Committed_AS:", vm_committed());
  text(t, "HugePages_Total:       0\nHugePages_Free:        0\nHugepagesize:       2048 kB\n");
  return 0;
}

// What went over all disks so far, in KiB.
static uint64_t
disk_kib(bool written)
{
  enum { SECTORS_PER_KIB = 2 };
  uint64_t n = 0;

  for(struct blkdev *d = blk_next(0); d; d = blk_next(d))
    n += atomic_get_relaxed(written ? &d->sectors_written : &d->sectors_read);
  return n / SECTORS_PER_KIB;
}

static int
show_vmstat(struct textbuf *t, int pid)
{
  struct fault_stats f = fault_stats;
  struct dirty_stats d = dirty_stats;
  struct spaces s = spaces_sum();

  text(t, "nr_free_pages %lu\nnr_anon_pages %lu\nnr_mapped %lu\n", frames_free(), s.anon, s.mapped);
  text(t, "nr_file_pages %lu\nnr_dirty %lu\nnr_writeback %lu\n", mobj_total_cached(), d.dirty - min(d.writing, d.dirty),
       d.writing);
  text(t, "nr_dirtied %lu\nnr_written %lu\nnr_write_failed %lu\n", d.dirtied, d.written, d.bad);
  text(t, "nr_dirty_threshold %lu\nnr_dirty_background_threshold %lu\n", balance_limit(), balance_background());
  text(t, "pgpgin %lu\npgpgout %lu\n", disk_kib(false), disk_kib(true));
  text(t, "nr_shmem %lu\nnr_kernel_stack %lu\n", mobj_total_shmem(), (uint64_t)sched_threads() * KSTACK_KIB);
  text(t, "nr_page_table_pages %lu\nnr_slab_unreclaimable %lu\n", s.tables, kmem_pages());
  text(t, "pswpin 0\npswpout 0\n");
  text(t, "pgfault %lu\npgmajfault %lu\n", f.minor + f.major, f.major);
  text(t, "fault_cow %lu\nfault_zero %lu\nfault_file %lu\n", f.cow, f.zero, f.file);
  text(t, "oom_kill %lu\n", trace_count(TRACE_OOM));
  return 0;
}

// ---- CPUs and time

static void
cpu_line(struct textbuf *t, const char *name, uint64_t user, uint64_t system, uint64_t idle)
{
  text(t, "%s %lu 0 %lu %lu 0 0 0 0 0 0\n", name, user / TICK, system / TICK, idle / TICK);
}

static int
show_stat(struct textbuf *t, int pid)
{
  uint64_t user = 0, system = 0, idle = 0, irqs = 0;
  char name[16];

  for(int i = 0; i < cpu_count; i++) {
    user += cpus[i]->user_ns;
    system += cpus[i]->system_ns;
    idle += cpus[i]->idle_ns;
    irqs += cpus[i]->irqs;
  }
  cpu_line(t, "cpu ", user, system, idle);
  for(int i = 0; i < cpu_count; i++) {
    fmt(name, sizeof(name), "cpu%d", i);
    cpu_line(t, name, cpus[i]->user_ns, cpus[i]->system_ns, cpus[i]->idle_ns);
  }
  text(t, "intr %lu\nctxt %lu\n", irqs, sched_context_switches());
  text(t, "btime %lu\nprocesses %lu\n", (clock_wall() - clock_now()) / NSEC, trace_count(TRACE_FORK) + 1);
  text(t, "procs_running %d\nprocs_blocked 0\n", sched_running());
  return 0;
}

static int
show_uptime(struct textbuf *t, int pid)
{
  uint64_t now = clock_now(), idle = 0;

  for(int i = 0; i < cpu_count; i++)
    idle += cpus[i]->idle_ns;
  text(t, "%lu.%02lu %lu.%02lu\n", now / NSEC, now % NSEC / TICK, idle / NSEC, idle % NSEC / TICK);
  return 0;
}

static int
show_loadavg(struct textbuf *t, int pid)
{
  enum { SHIFT = 16, HUNDRED = 100, MASK = (1 << SHIFT) - 1 };
  uint64_t load[3];

  sched_load(load);
  for(int i = 0; i < 3; i++)
    text(t, "%lu.%02lu ", load[i] >> SHIFT, (load[i] & MASK) * HUNDRED >> SHIFT);
  text(t, "%d/%d %d\n", sched_running(), sched_threads(), pid_newest());
  return 0;
}

static int
show_cpuinfo(struct textbuf *t, int pid)
{
  arch_cpuinfo(t);
  return 0;
}

static int
show_interrupts(struct textbuf *t, int pid)
{
  text(t, "    ");
  for(int i = 0; i < cpu_count; i++)
    text(t, "       CPU%d", i);
  text(t, "\nALL:");
  for(int i = 0; i < cpu_count; i++)
    text(t, " %10lu", cpus[i]->irqs);
  text(t, "   All interrupts\n");
  return 0;
}

// ---- file systems and disks

int
sysinfo_mounts(struct textbuf *t, int pid)
{
  char *buf = kzalloc(PATH_MAX);

  if(buf == 0)
    return -ENOMEM;
  for(struct fs *fs = mount_next(0); fs; fs = mount_next(fs)) {
    char *at = fs->on ? dentry_path(fs->on, vfs_root, buf, PATH_MAX, false) : "/";

    text(t, "%s %s %s %s,relatime%s 0 0\n", fs->source[0] ? fs->source : fs->type, at ? at : "?", fs->type,
         fs->readonly ? "ro" : "rw", fs->noexec ? ",noexec" : "");
  }
  kfree(buf);
  return 0;
}

// The number of the mount with this root; the list's order is the order of mounting.
static int
mount_number(const struct fs *wanted)
{
  int n = 0, found = 0;

  for(struct fs *fs = mount_next(0); fs; fs = mount_next(fs))
    if(++n && fs == wanted)
      found = n;
  return found;
}

int
sysinfo_mountinfo(struct textbuf *t, int pid)
{
  enum { MINOR_BITS = 8, MINOR = 255 };
  char *buf = kzalloc(PATH_MAX);
  int n = 0;

  if(buf == 0)
    return -ENOMEM;
  for(struct fs *fs = mount_next(0); fs; fs = mount_next(fs)) {
    char *at = fs->on ? dentry_path(fs->on, vfs_root, buf, PATH_MAX, false) : "/";
    const char *mode = fs->readonly ? "ro" : "rw";

    text(t, "%d %d %lu:%lu / %s %s,relatime%s - ", ++n, fs->on ? mount_number(fs->on->fs) : 0, fs->dev >> MINOR_BITS,
         fs->dev & MINOR, at ? at : "?", mode, fs->noexec ? ",noexec" : "");
    text(t, "%s %s %s\n", fs->type, fs->source[0] ? fs->source : fs->type, mode);
  }
  kfree(buf);
  return 0;
}

static int
show_filesystems(struct textbuf *t, int pid)
{
  for(struct fs_type *f = fs_types; f; f = f->next)
    text(t, "%s\t%s\n", f->nodev ? "nodev" : "", f->name);
  return 0;
}

static int
show_diskstats(struct textbuf *t, int pid)
{
  enum { MAJOR_VIRTIO = 254, MINORS_PER_DISK = 16 };
  int i = 0;

  for(struct blkdev *d = blk_next(0); d; d = blk_next(d), i++)
    text(t, "%4d %7d %s %lu 0 %lu 0 %lu 0 %lu 0 0 0 0 0 0 0 0 %lu 0\n", MAJOR_VIRTIO, i * MINORS_PER_DISK, d->name,
         d->nread, d->sectors_read, d->nwrite, d->sectors_written, d->nflush);
  return 0;
}

// ---- names and settings

static int
show_cmdline(struct textbuf *t, int pid)
{
  text(t, "%s\n", option_line);
  return 0;
}

static int
show_version(struct textbuf *t, int pid)
{
  text(t, "Linux version " OS_RELEASE " (lazy6) #1 SMP lazy6\n");
  return 0;
}

static int
show_trace(struct textbuf *t, int pid)
{
  enum { EVENTS = 1024, US_DIGITS = 1000 };
  struct trace_event *e = kzalloc(EVENTS * sizeof(*e));
  int n;

  if(e == 0)
    return -ENOMEM;
  n = trace_last(e, EVENTS);
  for(int i = 0; i < n; i++)
    text(t, "%6lu.%06lu cpu%u %6u %-14s %lx %lx %lx\n", e[i].when / NSEC, e[i].when % NSEC / US_DIGITS, e[i].cpu,
         e[i].tid, trace_name(e[i].type), e[i].a, e[i].b, e[i].c);
  kfree(e);
  return 0;
}

// ---- System V shared memory

static int
show_shm(struct textbuf *t, int pid)
{
  struct shm_totals all = sysvshm_totals();
  struct shm_state st;

  text(t, "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime     "
          " dtime"
          "      ctime                   rss                  swap\n");
  for(int i = 0; i <= all.last; i++) {
    if(sysvshm_state(i, SHM_BY_INDEX_ANY, &st) < 0)
      continue;
    text(t, "%10d %10d  %4o %21lu %5u %5u  %5lu %5u %5u %5u %5u ", st.key, st.id, st.mode, st.size, st.cpid, st.lpid,
         st.nattch, st.uid, st.gid, st.cuid, st.cgid);
    text(t, "%10ld %10ld %10ld %21llu %21d\n", st.atime, st.dtime, st.ctime, st.rss * PAGE_SIZE, 0);
    thread_relax();
  }
  return 0;
}

// ---- settings

static const struct proc_number overcommit = {.at = &vm_overcommit, .hi = OVERCOMMIT_NEVER};
static const struct proc_number overcommit_ratio = {
    .at = &vm_overcommit_ratio, .hi = INT32_MAX, .changed = commit_ratio_set};
static const struct proc_number overcommit_kbytes = {
    .at = &vm_overcommit_kbytes, .hi = UINT64_MAX, .changed = commit_kbytes_set};
static const struct proc_number max_map_count = {.at = &vm_max_map_count, .hi = INT32_MAX};
static const struct proc_number mmap_min = {.at = &vm_mmap_min, .lo = PAGE_SIZE, .hi = UINT32_MAX}; // never page 0
static const struct proc_number randomize = {.at = &vm_randomize, .hi = 2};
static const struct proc_number shm_max = {.at = &shm_max_bytes, .hi = UINT64_MAX};
static const struct proc_number shm_all = {.at = &shm_max_pages, .hi = UINT64_MAX};
static const struct proc_number shm_mni = {.at = &shm_max_ids, .hi = SHM_IDS_MOST};

static int
show_blkfail(struct textbuf *t, int pid)
{
  enum { RULE_TEXT = 256 };
  char rule[RULE_TEXT];

  for(int i = 0; blkfail_text(i, rule, sizeof(rule)); i++)
    text(t, "%s\n", rule);
  return 0;
}

static int
store_blkfail(int pid, const char *s, size_t n)
{
  return cred_capable(CAP_SYS_ADMIN) ? blkfail_set(s) : -EPERM;
}

static int
show_pid_max(struct textbuf *t, int pid)
{
  text(t, "%d\n", atomic_get(&pid_max));
  return 0;
}

static int
store_pid_max(int pid, const char *s, size_t n)
{
  enum { LEAST = 301, MOST = 4194304 };
  uint64_t v;
  int e = cred_capable(CAP_SYS_ADMIN) ? number_parse(s, n, LEAST, MOST, &v) : -EPERM;

  if(e == 0)
    atomic_set(&pid_max, (int)v);
  return e;
}

static int
show_osrelease(struct textbuf *t, int pid)
{
  text(t, OS_RELEASE "\n");
  return 0;
}

static int
show_ostype(struct textbuf *t, int pid)
{
  text(t, "Linux\n");
  return 0;
}

static int
show_hostname(struct textbuf *t, int pid)
{
  char name[65] = "lazy6";

  if(procinfo_hostname)
    procinfo_hostname(name, sizeof(name));
  text(t, "%s\n", name);
  return 0;
}

static int
show_threads_max(struct textbuf *t, int pid)
{
  text(t, "%lu\n", clone_threads_max());
  return 0;
}

static int
show_nr_open(struct textbuf *t, int pid)
{
  text(t, "%d\n", FD_LIMIT);
  return 0;
}

// When dirty pages are written, and how many there may be.
enum { PERCENT = 100, LEAST_BYTES = 2 * PAGE_SIZE };
static const struct proc_number dirty_ratio = {&balance_settings.ratio, 0, PERCENT, &balance_settings.bytes,
                                               balance_kick};
static const struct proc_number dirty_bytes = {&balance_settings.bytes, LEAST_BYTES, INT64_MAX, &balance_settings.ratio,
                                               balance_kick};
static const struct proc_number background_ratio = {&balance_settings.background_ratio, 0, PERCENT,
                                                    &balance_settings.background_bytes, balance_kick};
static const struct proc_number background_bytes = {&balance_settings.background_bytes, 1, INT64_MAX,
                                                    &balance_settings.background_ratio, balance_kick};
static const struct proc_number dirty_expire = {&writeback_settings.expire, 0, INT32_MAX, 0, balance_kick};
static const struct proc_number dirty_writeback = {&writeback_settings.interval, 0, INT32_MAX, 0, balance_kick};

enum { READ_ALL = 0444, READ_ROOT = 0400, WRITE_ROOT = 0644 };
static const struct proc_file files[] = {
    {.name = "meminfo", .mode = READ_ALL, .show = show_meminfo},
    {.name = "vmstat", .mode = READ_ALL, .show = show_vmstat},
    {.name = "stat", .mode = READ_ALL, .show = show_stat},
    {.name = "kpageflags", .mode = READ_ROOT, .read = kpageflags_read},
    {.name = "uptime", .mode = READ_ALL, .show = show_uptime},
    {.name = "loadavg", .mode = READ_ALL, .show = show_loadavg},
    {.name = "cpuinfo", .mode = READ_ALL, .show = show_cpuinfo},
    {.name = "interrupts", .mode = READ_ALL, .show = show_interrupts},
    {.name = "mounts", .mode = READ_ALL, .show = sysinfo_mounts},
    {.name = "filesystems", .mode = READ_ALL, .show = show_filesystems},
    {.name = "diskstats", .mode = READ_ALL, .show = show_diskstats},
    {.name = "cmdline", .mode = READ_ALL, .show = show_cmdline},
    {.name = "version", .mode = READ_ALL, .show = show_version},
    {.name = "trace", .mode = READ_ALL, .show = show_trace},
    {.name = "sys/vm/overcommit_memory", .mode = WRITE_ROOT, .number = &overcommit},
    {.name = "sys/vm/overcommit_ratio", .mode = WRITE_ROOT, .number = &overcommit_ratio},
    {.name = "sys/vm/overcommit_kbytes", .mode = WRITE_ROOT, .number = &overcommit_kbytes},
    {.name = "sys/vm/max_map_count", .mode = WRITE_ROOT, .number = &max_map_count},
    {.name = "sys/vm/mmap_min_addr", .mode = WRITE_ROOT, .number = &mmap_min},
    {.name = "sys/vm/dirty_ratio", .mode = WRITE_ROOT, .number = &dirty_ratio},
    {.name = "sys/vm/dirty_bytes", .mode = WRITE_ROOT, .number = &dirty_bytes},
    {.name = "sys/vm/dirty_background_ratio", .mode = WRITE_ROOT, .number = &background_ratio},
    {.name = "sys/vm/dirty_background_bytes", .mode = WRITE_ROOT, .number = &background_bytes},
    {.name = "sys/vm/dirty_expire_centisecs", .mode = WRITE_ROOT, .number = &dirty_expire},
    {.name = "sys/vm/dirty_writeback_centisecs", .mode = WRITE_ROOT, .number = &dirty_writeback},
    {.name = "sys/dev/blkfail", .mode = WRITE_ROOT, .show = show_blkfail, .store = store_blkfail},
    {.name = "sys/kernel/shmmax", .mode = WRITE_ROOT, .number = &shm_max},
    {.name = "sys/kernel/shmall", .mode = WRITE_ROOT, .number = &shm_all},
    {.name = "sys/kernel/shmmni", .mode = WRITE_ROOT, .number = &shm_mni},
    {.name = "sysvipc/shm", .mode = READ_ALL, .show = show_shm},
    {.name = "sys/kernel/pid_max", .mode = WRITE_ROOT, .show = show_pid_max, .store = store_pid_max},
    {.name = "sys/kernel/threads-max", .mode = READ_ALL, .show = show_threads_max},
    {.name = "sys/kernel/osrelease", .mode = READ_ALL, .show = show_osrelease},
    {.name = "sys/kernel/ostype", .mode = READ_ALL, .show = show_ostype},
    {.name = "sys/kernel/hostname", .mode = READ_ALL, .show = show_hostname},
    {.name = "sys/kernel/randomize_va_space", .mode = WRITE_ROOT, .number = &randomize},
    {.name = "sys/fs/nr_open", .mode = READ_ALL, .show = show_nr_open},
    {0},
};
const struct proc_file *const sysinfo_top = files;
