// syscall_test.c -- the edge of the kernel without the kernel: which arguments are refused with what, in Linux's order, and
// what the others become. Below the handlers everything is a fake that writes down what it was asked.
#include "lib/string.h"
#include "syscall/sys.h"
#include "test.h"

// ---- the program: 64 KiB of memory at USER, everything else faults

enum { USER = 0x10000, USER_SIZE = 0x10000 };
static uint8_t memory[USER_SIZE];

int
copyin(struct aspace *as, void *dst, vaddr_t src, size_t n, size_t *done)
{
  if(src < USER || src > USER + USER_SIZE || n > USER + USER_SIZE - src)
    return -EFAULT;
  memcpy(dst, memory + (src - USER), n);
  return 0;
}

int
copyout(struct aspace *as, vaddr_t dst, const void *src, size_t n, size_t *done)
{
  if(dst < USER || dst > USER + USER_SIZE || n > USER + USER_SIZE - dst)
    return -EFAULT;
  memcpy(memory + (dst - USER), src, n);
  return 0;
}

int64_t
copyin_string(struct aspace *as, char *dst, vaddr_t src, size_t size)
{
  return -EFAULT;
}

// ---- who runs

static struct aspace as;
static struct fdtable files;
static struct proc proc;
static struct thread thread;
static bool privileged;
static int signalled;

struct thread *
thread_self(void)
{
  thread.proc = &proc;
  thread.files = &files;
  files.size = 8;
  proc.as = &as;
  return &thread;
}

bool
cred_capable(int cap)
{
  return privileged;
}

uint64_t
limit_of(int which)
{
  return proc.rlim[which].cur;
}

void
signal_self(int sig)
{
  signalled = sig;
}

int
sigmask_begin(vaddr_t va, uint64_t size)
{
  return 0;
}

int64_t
sigmask_end(vaddr_t va, int64_t result)
{
  return result;
}

uint64_t
clock_now(void)
{
  return NSEC;
}

uint64_t
clock_wall(void)
{
  return 5 * NSEC;
}

void
rw_read(struct rwlock *l) UNCHECKED
{
}

void
rw_read_release(struct rwlock *l) UNCHECKED
{
}

void
rw_write(struct rwlock *l) UNCHECKED
{
}

void
rw_write_release(struct rwlock *l) UNCHECKED
{
}

void
thread_relax(void)
{
}

static struct page frame;
static uint8_t frame_bytes[4096];

struct page *
frame_try(int order)
{
  return &frame;
}

int
frame_wait(void)
{
  return -ENOMEM;
}

void *
page_va(const struct page *pg)
{
  return frame_bytes;
}

void
page_put(struct page *pg)
{
}

void *
kzalloc(size_t n)
{
  return __builtin_calloc(1, n ? n : 1);
}

void
kfree(void *p)
{
  __builtin_free(p);
}

// ---- files: descriptor 3 read only, 4 read and write, 5 write only, 6 not seekable, 7 without mmap

static const struct file_ops plain_ops = {.seekable = true}, stream_ops = {.seekable = false};
static struct inode inode = {.mode = S_IFREG | 0644};
static struct fs fs;
static struct mobj object;
static struct file file[8];
static int refs; // files and objects given out and not given back

struct file *
fd_file(int fd)
{
  static const unsigned flags[8] = {0, 0, 0, O_RDONLY, O_RDWR, O_WRONLY, O_RDWR, O_RDWR};

  if(fd < 3 || fd > 7)
    return 0;
  file[fd].flags = flags[fd];
  file[fd].ops = fd == 6 ? &stream_ops : &plain_ops;
  file[fd].inode = &inode;
  inode.fs = &fs;
  refs++;
  return &file[fd];
}

void
file_put(struct file *f)
{
  refs--;
}

int
file_mmap(struct file *f, bool shared, struct mobj **obj)
{
  if(f == &file[7])
    return -ENODEV;
  refs++;
  *obj = &object;
  return 0;
}

int
seal_map(struct file *f, struct mobj *obj, int prot, int *maxprot, bool *claimed)
{
  *claimed = (*maxprot & PROT_W) != 0;
  refs += *claimed;
  return 0;
}

uint64_t vm_overcommit, vm_mmap_min = MMAP_MIN;

bool
commit_allows(const struct aspace *as, uint64_t pages)
{
  return pages < 1ull << 40;
}

void
mobj_unclaim_write(struct mobj *obj)
{
  refs--;
}

struct mobj *
shm_create(uint64_t size, bool promise)
{
  refs++;
  return &object;
}

void
mobj_put(struct mobj *obj)
{
  refs--;
}

static struct uio last_uio;
static uint64_t last_pos;

static int64_t
io_done(struct uio *u, uint64_t *pos)
{
  last_uio = *u;
  last_pos = pos ? *pos : 0;
  return u->left;
}

int64_t
file_read(struct file *f, struct uio *u, uint64_t *pos)
{
  return io_done(u, pos);
}

int64_t
file_write(struct file *f, struct uio *u, uint64_t *pos)
{
  return f == &file[6] ? -EPIPE : io_done(u, pos);
}

int64_t
file_lseek(struct file *f, int64_t off, int whence)
{
  return off;
}

void
uio_user(struct uio *u, struct aspace *a, struct iovec *one, vaddr_t va, size_t n)
{
  *one = (struct iovec){va, n};
  *u = (struct uio){.as = a, .iov = one, .niov = 1, .left = n};
}

static uint64_t polled_deadline;

int
poll_wait(struct pollset_entry *e, int n, uint64_t deadline)
{
  int ready = 0;

  polled_deadline = deadline;
  for(int i = 0; i < n; i++) {
    if(!e[i].file)
      continue;
    e[i].revents = e[i].file == &file[3] ? POLLIN | POLLRDNORM : 0;
    ready += e[i].revents != 0;
  }
  return ready ? ready : deadline == NEVER ? -EINTR : 0;
}

// ---- memory below the handlers

static struct map_request rq;
static int map_error;
static vaddr_t populated, call_lo, call_hi;
static int call_arg;

int
aspace_map(struct aspace *a, const struct map_request *r, vaddr_t *at)
{
  rq = *r;
  if(map_error)
    return map_error;
  *at = r->addr ? r->addr : 0x7000000000;
  return 0;
}

static int
called(vaddr_t lo, vaddr_t hi, int arg)
{
  call_lo = lo;
  call_hi = hi;
  call_arg = arg;
  return 0;
}

int
aspace_unmap(struct aspace *a, vaddr_t lo, vaddr_t hi)
{
  return called(lo, hi, 0);
}

int
aspace_protect(struct aspace *a, vaddr_t lo, vaddr_t hi, int prot, bool growsdown)
{
  return called(lo, hi, prot);
}

int
aspace_sync(struct aspace *a, vaddr_t lo, vaddr_t hi, bool wait)
{
  return called(lo, hi, wait);
}

int
aspace_advise(struct aspace *a, vaddr_t lo, vaddr_t hi, int advice)
{
  return called(lo, hi, advice);
}

int
aspace_set_flags(struct aspace *a, vaddr_t lo, vaddr_t hi, int set, int clear)
{
  return called(lo, hi, set);
}

bool
aspace_range_free(struct aspace *a, vaddr_t lo, vaddr_t hi)
{
  return true;
}

int
aspace_set_flags_until_hole(struct aspace *a, vaddr_t lo, vaddr_t hi, int set, int clear)
{
  return called(lo, hi, set);
}

int
aspace_remap(struct aspace *a, vaddr_t old, uint64_t old_len, uint64_t new_len, int flags, vaddr_t fixed, vaddr_t *at)
{
  *at = old;
  return called(old, old + new_len, flags);
}

int
aspace_resident(struct aspace *a, vaddr_t lo, vaddr_t hi, uint8_t *vec)
{
  memset(vec, 1, (hi - lo) >> PAGE_SHIFT);
  return called(lo, hi, 0);
}

vaddr_t
aspace_brk(struct aspace *a, vaddr_t want)
{
  return want;
}

int
aspace_populate(struct aspace *a, vaddr_t lo, vaddr_t hi, int want)
{
  populated = lo;
  return 0;
}

static struct region region;

struct region *
region_find_from(struct aspace *a, vaddr_t lo)
{
  region.start = rq.addr ? rq.addr : 0x7000000000;
  region.end = region.start + rq.len;
  region.prot = PROT_R | PROT_W;
  return region.end > lo ? &region : 0;
}

struct region *
region_next(struct region *r)
{
  return 0;
}

vaddr_t
regions_end(struct aspace *a, vaddr_t lo, vaddr_t hi)
{
  return hi; // what is asked about is mapped
}

// ---- tests

static int64_t
call(sysfn *fn, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
  const uint64_t a[6] = {a0, a1, a2, a3, a4, a5};
  int64_t r;

  thread_self();
  for(int i = 0; i < RLIMITS; i++)
    if(!proc.rlim[i].cur)
      proc.rlim[i].cur = NEVER;
  r = fn(a);
  expect_eq(refs, 0);
  return r;
}

enum { RW = PROT_READ | PROT_WRITE, ANON = MAP_PRIVATE | MAP_ANONYMOUS, PAGE = 4096 };

static int64_t
map(uint64_t addr, uint64_t len, uint64_t prot, uint64_t flags, int fd, uint64_t off)
{
  return call(sys_mmap, addr, len, prot, flags, fd, off);
}

TEST(mmap_lengths_and_places)
{
  expect_eq(map(0, 0, RW, ANON, -1, 0), -EINVAL);                                   // M01
  expect_eq(map(0, PAGE, RW, MAP_ANONYMOUS, -1, 0), -EINVAL);                       // M02
  expect_eq(map(0, PAGE, RW, MAP_ANONYMOUS | MAP_SHARED_VALIDATE, -1, 0), -EINVAL); // M03
  expect_eq(map(1, PAGE, RW, ANON | MAP_FIXED, -1, 0), -EINVAL);                    // M06
  expect_eq(map(0x200001, PAGE, RW, ANON, -1, 0), 0x201000);                        // M07
  expect_eq(map(0, PAGE, RW, ANON, -1, 1), -EINVAL);                                // M08
  expect_eq(map(0, -1ull, RW, ANON, -1, 0), -ENOMEM);                               // M28
  expect_eq(map(0, 1ull << 48, RW, ANON, -1, 0), -ENOMEM);                          // M29
  expect_eq(map(USER_TOP, PAGE, RW, ANON | MAP_FIXED, -1, 0), -ENOMEM);             // M30
  expect_eq(map(0, 0, RW, MAP_PRIVATE, -1, 0), -EBADF);                             // M46
  expect_eq(map(0, 1, RW, ANON, -1, 0x5000), 0x7000000000);                         // M13, M14, M27
  expect_eq(rq.len, PAGE);
  expect_eq(rq.pgoff, 0);
  expect(!rq.obj && rq.how == MAP_HINT && rq.maxprot == 7);
  expect_eq(map(0x1000, PAGE, RW, ANON, -1, 0), MMAP_MIN);
  expect_eq(map(USER_TOP - PAGE + 1, PAGE, RW, ANON, -1, 0), 0x7000000000);
  map(0x200000, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0);
  expect_eq(rq.how, MAP_EXACT_EMPTY);
  map(0, PAGE, RW, ANON | MAP_32BIT, -1, 0);
  expect_eq(rq.how, MAP_LOW32);
}

TEST(mmap_files)
{
  expect_eq(map(0, PAGE, PROT_READ, MAP_SHARED, 5, 0), -EACCES); // M15
  expect_eq(map(0, PAGE, PROT_NONE, MAP_PRIVATE, 5, 0), -EACCES);
  expect_eq(map(0, PAGE, RW, MAP_SHARED, 3, 0), -EACCES);            // M16
  expect_eq(map(0, PAGE, RW, MAP_PRIVATE, 3, 0x3000), 0x7000000000); // M17
  expect(rq.obj == &object && rq.tag == &file[3] && rq.pgoff == 3 && rq.maxprot == 7 && !rq.flags);
  expect_eq(map(0, PAGE, PROT_READ, MAP_SHARED, 3, 0), 0x7000000000); // M18
  expect(rq.maxprot == (PROT_READ | PROT_EXEC) && rq.flags == REGION_SHARED);
  expect_eq(map(0, PAGE, RW, MAP_SHARED_VALIDATE, 4, 0), 0x7000000000);            // M03
  expect_eq(map(0, PAGE, RW, MAP_SHARED_VALIDATE | 0x800000, 4, 0), -EOPNOTSUPP);  // M04
  expect_eq(map(0, PAGE, RW, MAP_SHARED | 0x8000000, 4, 0), 0x7000000000);         // M05
  expect_eq(map(0, PAGE, RW, MAP_PRIVATE, 4, -(uint64_t)PAGE), -EOVERFLOW);        // M09
  expect_eq(map(0, 2 * PAGE, RW, MAP_PRIVATE, 4, 0x7ffffffffffff000), -EOVERFLOW); // M10
  expect_eq(map(0, PAGE, PROT_READ, MAP_PRIVATE, 7, 0), -ENODEV);                  // M21
  expect_eq(map(0, PAGE, PROT_READ, MAP_PRIVATE | MAP_GROWSDOWN, 4, 0), -EINVAL);  // M33
  expect_eq(map(0, PAGE, RW, MAP_PRIVATE | MAP_HUGETLB, 4, 0), -EINVAL);           // M34
  expect_eq(map(0, PAGE, RW, ANON | MAP_HUGETLB, -1, 0), -ENOMEM);
  fs.noexec = true;
  expect_eq(map(0, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, 4, 0), -EPERM); // M25
  fs.noexec = false;
  map_error = -ENOMEM; // nothing is lost when the address space refuses
  expect_eq(map(0, PAGE, RW, MAP_SHARED, 4, 0), -ENOMEM);
  expect_eq(map(0, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0), -ENOMEM);
  map_error = 0;
  map(0, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  expect(rq.obj == &object && rq.flags == REGION_SHARED);
}

TEST(mmap_populate_and_lock)
{
  populated = 0;
  map(0x300000, PAGE, RW, ANON, -1, 0);
  expect_eq(populated, 0);
  map(0x300000, PAGE, RW, ANON | MAP_POPULATE | MAP_NONBLOCK, -1, 0); // M36
  expect_eq(populated, 0);
  map(0x300000, PAGE, RW, ANON | MAP_POPULATE, -1, 0);
  expect_eq(populated, 0x300000);
  proc.rlim[RLIMIT_MEMLOCK].cur = PAGE;
  expect_eq(map(0, 2 * PAGE, RW, ANON | MAP_LOCKED, -1, 0), -EAGAIN); // M35
  expect_eq(call(sys_mlock, 0x300001, PAGE, 0, 0, 0, 0), -ENOMEM);    // L01: two pages; L03
  expect_eq(call(sys_mlock, 0x300000, PAGE, 0, 0, 0, 0), 0);
  expect_eq(call_arg, REGION_LOCKED);
  privileged = true;
  expect_eq(call(sys_mlock, 0x300001, PAGE, 0, 0, 0, 0), 0);
  expect(call_lo == 0x300000 && call_hi == 0x302000);
  privileged = false;
  expect_eq(call(sys_mlock, 0x300000, -1ull, 0, 0, 0, 0), -EINVAL); // L15
  expect_eq(call(sys_mlock2, 0x300000, PAGE, 2, 0, 0, 0), -EINVAL); // L07
  expect_eq(call(sys_mlockall, 0, 0, 0, 0, 0, 0), -EINVAL);         // L08
  expect_eq(call(sys_mlockall, MCL_ONFAULT, 0, 0, 0, 0, 0), -EINVAL);
  proc.rlim[RLIMIT_MEMLOCK].cur = NEVER;
}

TEST(other_memory_calls)
{
  expect_eq(call(sys_munmap, 1, PAGE, 0, 0, 0, 0), -EINVAL);     // U01
  expect_eq(call(sys_munmap, PAGE, 0, 0, 0, 0, 0), -EINVAL);     // U02
  expect_eq(call(sys_munmap, PAGE, -1ull, 0, 0, 0, 0), -EINVAL); // U03
  expect_eq(call(sys_munmap, PAGE, 1, 0, 0, 0, 0), 0);           // U07
  expect(call_lo == PAGE && call_hi == 2 * PAGE);
  expect_eq(call(sys_mprotect, 1, PAGE, 1, 0, 0, 0), -EINVAL);               // R01
  expect_eq(call(sys_mprotect, PAGE, 0, 0x40, 0, 0, 0), 0);                  // R02
  expect_eq(call(sys_mprotect, PAGE, -(uint64_t)PAGE, 1, 0, 0, 0), -ENOMEM); // R07
  expect_eq(call(sys_mprotect, PAGE, PAGE, 0x40, 0, 0, 0), -EINVAL);         // R06
  expect_eq(call(sys_mprotect, PAGE, PAGE, PROT_GROWSDOWN | PROT_GROWSUP, 0, 0, 0), -EINVAL);
  expect_eq(call(sys_msync, 1, PAGE, MS_SYNC, 0, 0, 0), -EINVAL);                 // Y01
  expect_eq(call(sys_msync, PAGE, PAGE, MS_SYNC | MS_ASYNC, 0, 0, 0), -EINVAL);   // Y02
  expect_eq(call(sys_msync, PAGE, PAGE, 8, 0, 0, 0), -EINVAL);                    // Y03
  expect_eq(call(sys_msync, PAGE, -(uint64_t)PAGE, MS_SYNC, 0, 0, 0), -ENOMEM);   // Y13: ends at 0
  expect_eq(call(sys_msync, PAGE, 0, MS_SYNC, 0, 0, 0), 0);                       // Y06
  expect_eq(call(sys_mremap, PAGE, PAGE, PAGE, MREMAP_FIXED, 0, 0), -EINVAL);     // X05
  expect_eq(call(sys_mremap, PAGE, PAGE, PAGE, 8, 0, 0), -EINVAL);                // X06
  expect_eq(call(sys_mremap, 1, PAGE, PAGE, 1, 0, 0), -EINVAL);                   // X07
  expect_eq(call(sys_mremap, PAGE, PAGE, 0, 1, 0, 0), -EINVAL);                   // X08
  expect_eq(call(sys_mremap, PAGE, 2 * PAGE, 2 * PAGE, 3, 2 * PAGE, 0), -EINVAL); // X11
  expect_eq(call(sys_mremap, PAGE, PAGE, PAGE, 3, 0x10001, 0), -EINVAL);          // X12
  expect_eq(call(sys_mremap, PAGE, PAGE, 2 * PAGE, 5, 0x10000, 0), -EINVAL);      // X15
  expect_eq(call(sys_madvise, 1, PAGE, 4, 0, 0, 0), -EINVAL);                     // A01
  expect_eq(call(sys_madvise, PAGE, 0, 77, 0, 0, 0), -EINVAL);                    // A02
  expect_eq(call(sys_madvise, PAGE, 0, 4, 0, 0, 0), 0);                           // A03
  expect_eq(call(sys_madvise, PAGE, -1ull, 4, 0, 0, 0), -EINVAL);                 // A04
  expect_eq(call(sys_mincore, 1, PAGE, USER, 0, 0, 0), -EINVAL);                  // C01
  expect_eq(call(sys_mincore, PAGE, PAGE, 16, 0, 0, 0), -EFAULT);                 // C03
  expect_eq(call(sys_mincore, PAGE, 0, USER, 0, 0, 0), 0);                        // C04
  expect_eq(call(sys_mincore, PAGE, -1ull, USER, 0, 0, 0), -ENOMEM);              // C08
  memset(memory, 0, sizeof(memory));
  expect_eq(call(sys_mincore, PAGE, 5000 * PAGE - 1, USER, 0, 0, 0), 0); // C09: more than one page of answers
  expect(memory[4999] == 1 && memory[5000] == 0);
}

static void
put_iov(int i, uint64_t base, uint64_t len)
{
  struct iovec v = {base, len};

  memcpy(memory + i * sizeof(v), &v, sizeof(v));
}

TEST(io_arguments)
{
  expect_eq(call(sys_read, 9, USER, 10, 0, 0, 0), -EBADF);
  expect_eq(call(sys_read, 5, 0, -1ull, 0, 0, 0), -EBADF); // not open for reading comes first
  expect_eq(call(sys_read, 3, USER, -1ull, 0, 0, 0), -EINVAL);
  expect_eq(call(sys_read, 3, USER_TOP, 10, 0, 0, 0), -EFAULT);
  expect_eq(call(sys_read, 3, USER, 1ull << 40, 0, 0, 0), RW_MAX);
  expect_eq(call(sys_pread64, 3, USER, 10, -1, 0, 0), -EINVAL);
  expect_eq(call(sys_pread64, 6, USER, 10, 0, 0, 0), -ESPIPE);
  expect_eq(call(sys_pread64, 3, USER, 10, 77, 0, 0), 10);
  expect_eq(last_pos, 77);
  expect_eq(call(sys_write, 6, USER, 10, 0, 0, 0), -EPIPE);
  expect_eq(signalled, SIGPIPE);
  proc.rlim[RLIMIT_FSIZE].cur = 100;
  expect_eq(call(sys_pwrite64, 4, USER, 50, 60, 0, 0), 40);
  expect_eq(call(sys_pwrite64, 4, USER, 50, 100, 0, 0), -EFBIG);
  expect_eq(signalled, SIGXFSZ);
  proc.rlim[RLIMIT_FSIZE].cur = NEVER;
}

TEST(io_vectors)
{
  memset(memory, 0, sizeof(memory));
  put_iov(0, USER, 10);
  put_iov(1, 0, 0);
  put_iov(2, USER + 100, 20);
  expect_eq(call(sys_readv, 3, USER, 3, 0, 0, 0), 30);
  expect_eq(last_uio.niov, 3);
  expect_eq(call(sys_readv, 3, USER, 0, 0, 0, 0), 0);
  expect_eq(call(sys_readv, 3, USER, IOV_MAX + 1, 0, 0, 0), -EINVAL);
  expect_eq(call(sys_readv, 3, 16, 2, 0, 0, 0), -EFAULT);
  expect_eq(call(sys_readv, 3, USER, 1000, 0, 0, 0), 30); // allocated
  put_iov(1, USER, -1);
  expect_eq(call(sys_readv, 3, USER, 3, 0, 0, 0), -EINVAL);
  put_iov(1, USER_TOP, 1);
  expect_eq(call(sys_readv, 3, USER, 3, 0, 0, 0), -EFAULT);
  put_iov(1, USER, RW_MAX);
  expect_eq(call(sys_readv, 3, USER, 3, 0, 0, 0), RW_MAX);
  expect_eq(call(sys_preadv2, 3, USER, 1, 0, 0, 1), 10); // RWF_HIPRI: a wish that needs nothing here
  expect_eq(call(sys_preadv2, 3, USER, 1, 0, 0, 1 << 30), -EOPNOTSUPP);
}

static void
put_pollfd(int i, int fd, int events)
{
  struct pollfd p = {fd, events, 0x7f};

  memcpy(memory + i * sizeof(p), &p, sizeof(p));
}

static int
get_revents(int i)
{
  struct pollfd p;

  memcpy(&p, memory + i * sizeof(p), sizeof(p));
  return p.revents;
}

TEST(poll_and_select)
{
  uint64_t set = 1 << 3 | 1 << 4, zero[2] = {0, 0};

  put_pollfd(0, 3, POLLIN);
  put_pollfd(1, -1, POLLIN);
  put_pollfd(2, 99, POLLIN);
  expect_eq(call(sys_poll, USER, 3, -1, 0, 0, 0), 2);
  expect_eq(polled_deadline, 0); // a bad descriptor is ready at once
  expect(get_revents(0) == (POLLIN | POLLRDNORM) && get_revents(1) == 0 && get_revents(2) == POLLNVAL);
  put_pollfd(0, 4, POLLIN);
  expect_eq(call(sys_poll, USER, 1, 10, 0, 0, 0), 0);
  expect_eq(polled_deadline, NSEC + 10 * MSEC);
  expect_eq(call(sys_poll, USER, 1, -1, 0, 0, 0), -ERESTART_RESTARTBLOCK);
  expect(thread.restart.fn && thread.restart.fn(&thread) == -ERESTART_RESTARTBLOCK);
  proc.rlim[RLIMIT_NOFILE].cur = 2;
  expect_eq(call(sys_poll, USER, 3, -1, 0, 0, 0), -EINVAL);

  copyout(0, USER, &set, sizeof(set), 0);
  copyout(0, USER + 64, zero, sizeof(zero), 0);
  expect_eq(call(sys_select, 5, USER, 0, 0, USER + 64, 0), 1);
  copyin(0, &set, USER, sizeof(set), 0);
  expect_eq(set, 1 << 3);
  set = 1 << 2;
  copyout(0, USER, &set, sizeof(set), 0);
  expect_eq(call(sys_select, 5, USER, 0, 0, USER + 64, 0), -EBADF);
  expect_eq(call(sys_select, -1, 0, 0, 0, 0, 0), -EINVAL);
  expect_eq(call(sys_select, 0, 0, 0, 0, 0, 0), -ERESTARTNOHAND);
  zero[1] = 1000000;
  copyout(0, USER + 64, zero, sizeof(zero), 0);
  expect_eq(call(sys_select, 0, 0, 0, 0, USER + 64, 0), -EINVAL);
}
