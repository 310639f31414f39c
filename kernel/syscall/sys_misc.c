// sys_misc.c -- the machine as a whole: name, memory, log, randomness, switching off; and the calls that are not built.
#include "core/print.h"
#include "core/trace.h"
#include "dev/dev.h"
#include "lib/string.h"
#include "syscall/sys.h"

// ---- names

static struct spinlock uts_lock = SPINLOCK_INIT("uts", RANK_JOURNAL);
static struct utsname uts = {
    // (uts_lock) nodename and domainname; the rest is constant
    .sysname = "Linux",        .nodename = "lazy6", .release = "6.1.0-lazy6",
    .version = "#1 SMP lazy6", .machine = "x86_64", .domainname = "(none)",
};
enum { UTS_MAX = sizeof(uts.nodename) - 1 };

int64_t
sys_uname(const uint64_t *a)
{
  struct utsname out;

  spin_acquire(&uts_lock);
  out = uts;
  spin_release(&uts_lock);
  return user_out(a[0], &out, sizeof(out));
}

static int64_t
uts_set(char *field, vaddr_t va, int len)
{
  char name[UTS_MAX + 1];
  int e;

  if(!cred_capable(CAP_SYS_ADMIN))
    return -EPERM;
  if(len < 0 || len > UTS_MAX)
    return -EINVAL;
  memset(name, 0, sizeof(name));
  e = user_in(name, va, len);
  if(e)
    return e;
  spin_acquire(&uts_lock);
  memcpy(field, name, sizeof(name));
  spin_release(&uts_lock);
  return 0;
}

int64_t
sys_sethostname(const uint64_t *a)
{
  return uts_set(uts.nodename, a[0], a[1]);
}

int64_t
sys_setdomainname(const uint64_t *a)
{
  return uts_set(uts.domainname, a[0], a[1]);
}

int64_t
sys_sysinfo(const uint64_t *a)
{
  struct linux_sysinfo si;

  memset(&si, 0, sizeof(si));
  si.uptime = clock_now() / NSEC;
  sched_load(si.loads);
  si.totalram = frames_total() * PAGE_SIZE;
  si.freeram = frames_free() * PAGE_SIZE;
  si.sharedram = mobj_total_shmem() * PAGE_SIZE;
  si.procs = min(proc_count(), UINT16_MAX);
  si.mem_unit = 1;
  return user_out(a[0], &si, sizeof(si));
}

// ---- randomness

enum { RANDOM_CHUNK = 256, RANDOM_POLL = 10 * MSEC };

// Until the generator has been seeded; devices do that while the system starts.
static int
random_wait(uint32_t flags)
{
  int e;

  while(!(flags & GRND_INSECURE) && !random_ready()) {
    if(flags & GRND_NONBLOCK)
      return -EAGAIN;
    e = time_sleep_until(deadline_after(RANDOM_POLL), WAIT_INTERRUPTIBLE);
    if(e == -EINTR)
      return -ERESTARTSYS;
  }
  return 0;
}

int64_t
sys_getrandom(const uint64_t *a)
{
  uint8_t buf[RANDOM_CHUNK];
  uint64_t n = min(a[1], (uint64_t)RW_MAX), done = 0;
  uint32_t flags = a[2];
  int e;

  if(flags & ~(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE) ||
     (flags & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE))
    return -EINVAL;
  e = random_wait(flags);
  while(e == 0 && done < n) {
    size_t part = min(n - done, sizeof(buf));

    random_bytes(buf, part);
    e = user_out(a[0] + done, buf, part);
    if(e == 0)
      done += part;
    if(done >= PAGE_SIZE && thread_interrupted(WAIT_INTERRUPTIBLE))
      break;
    thread_relax();
  }
  memset(buf, 0, sizeof(buf));
  return done ? (int64_t)done : e;
}

// ---- the kernel's log

enum { LOG_READ_ALL = 3, LOG_SIZE_BUFFER = 10 };

// Where the log ends now, and in *bytes how much of it is still there.
static uint64_t
log_end(char *buf, uint64_t *bytes)
{
  uint64_t pos = 0;
  size_t n;

  *bytes = 0;
  while((n = print_read(&pos, buf, PAGE_SIZE)) > 0)
    *bytes += n;
  return pos;
}

// The newest `size` bytes.
static int64_t
log_read(vaddr_t va, uint64_t size, char *buf)
{
  uint64_t kept, end = log_end(buf, &kept), done = 0;
  uint64_t pos = end - min(kept, size);
  size_t n;
  int e;

  while(done < size && (n = print_read(&pos, buf, min(size - done, PAGE_SIZE))) > 0) {
    e = user_out(va + done, buf, n);
    if(e)
      return e;
    done += n;
  }
  return done;
}

// syslog(2): what dmesg needs. Clearing, consuming and console levels are not built.
int64_t
sys_syslog(const uint64_t *a)
{
  struct page *frame;
  uint64_t kept;
  int64_t r;

  if((int)a[0] != LOG_READ_ALL && (int)a[0] != LOG_SIZE_BUFFER)
    return -EINVAL;
  if((int)a[0] == LOG_READ_ALL && (!a[1] || (int)a[2] < 0))
    return -EINVAL;
  r = user_frame(&frame);
  if(r)
    return r;
  if((int)a[0] == LOG_READ_ALL)
    r = log_read(a[1], (int)a[2], page_va(frame));
  else {
    log_end(page_va(frame), &kept);
    r = kept;
  }
  page_put(frame);
  return r;
}

// ---- off

enum {
  REBOOT_MAGIC1 = 0xfee1dead,
  REBOOT_MAGIC2 = 672274793,
  REBOOT_MAGIC2A = 85072278,
  REBOOT_MAGIC2B = 369367448,
  REBOOT_MAGIC2C = 537993216
};
enum {
  REBOOT_RESTART = 0x01234567,
  REBOOT_HALT = 0xcdef0123,
  REBOOT_CAD_ON = 0x89abcdef,
  REBOOT_CAD_OFF = 0,
  REBOOT_POWER_OFF = 0x4321fedc
};

// Nothing is written first: who wants that calls sync (reboot(2)).
static int64_t
reboot_now(uint32_t how)
{
  switch(how) {
  case REBOOT_CAD_ON:
  case REBOOT_CAD_OFF: return 0; // there is no such key
  case REBOOT_RESTART: cpu_reset();
  case REBOOT_HALT:
  case REBOOT_POWER_OFF: cpu_poweroff(0);
  default: return -EINVAL;
  }
}

int64_t
sys_reboot(const uint64_t *a)
{
  uint32_t magic = a[1];

  if(!cred_capable(CAP_SYS_BOOT))
    return -EPERM;
  if((uint32_t)a[0] != REBOOT_MAGIC1 ||
     (magic != REBOOT_MAGIC2 && magic != REBOOT_MAGIC2A && magic != REBOOT_MAGIC2B && magic != REBOOT_MAGIC2C))
    return -EINVAL;
  return reboot_now(a[2]);
}

// ---- what there is not

// Counted in the trace, where a developer finds what a program missed; not printed at the user.
int64_t
sys_nosys(const uint64_t *a)
{
  trace(SYSCALL_UNKNOWN, thread_self()->syscall_no, a[0], a[1]);
  return -ENOSYS;
}
