// stress_coherence.c -- one file, many processes: stores and pwrite, loads and pread, msync, truncation, in a file that is
// larger than memory where there is room. Every block says who wrote it when; what is read must be what was written last.
//
// A block is no page: its neighbours, which other processes write, share its pages. A version beside each block, in shared
// memory, is odd while its owner writes; a reader who saw the same even version before and after has seen that state whole.
// usage: as all programs; T_MIB=n: size of the file (else 4 times memory if the disk has room, at most half of what is free)
#include "stress.h"
#include <stdatomic.h>
#include <sys/statvfs.h>

enum { BLOCK = 1500, WORDS = BLOCK / 4, WORKERS = 6, MIB = 1 << 20, LEAST_MIB = 8 };

struct slot {
  _Atomic uint32_t version; // odd: being written
  _Atomic uint32_t seq;     // of what it holds; 0: zeros
};
static struct shared {
  pthread_rwlock_t gate; // to write: who truncates
  _Atomic uint64_t ops, errors;
  struct slot slot[];
} * sh;

static uint64_t nblocks, bytes;
static int fd;
static char *mem;

static uint32_t
word_of(uint64_t i, uint32_t seq, int k)
{
  return seq ? (uint32_t)((i + 1) * 2654435761u) ^ (seq * 2246822519u) ^ (k * 374761393u) : 0;
}

static void
fill(uint32_t *buf, uint64_t i, uint32_t seq)
{
  for(int k = 0; k < WORDS; k++)
    buf[k] = word_of(i, seq, k);
}

static bool
wrong(const uint32_t *buf, uint64_t i, uint32_t seq, const char *how)
{
  for(int k = 0; k < WORDS; k++)
    if(buf[k] != word_of(i, seq, k)) {
      t_fail(how, i, "word %d of block %lu: expected %#x (write %u), saw %#x", k, i, word_of(i, seq, k), seq, buf[k]);
      sh->errors++;
      return true;
    }
  return false;
}

static void
write_block(uint64_t i, uint64_t r)
{
  struct slot *s = &sh->slot[i];
  uint32_t buf[WORDS], seq = r | 1;

  fill(buf, i, seq);
  s->version++;
  s->seq = seq;
  if(r >> 33 & 1)
    memcpy(mem + i * BLOCK, buf, BLOCK);
  else if(pwrite(fd, buf, BLOCK, i * BLOCK) != BLOCK) {
    t_fail("pwrite", i, "errno %d", errno);
    sh->errors++;
  }
  s->version++;
}

static void
read_block(uint64_t i, uint64_t r)
{
  struct slot *s = &sh->slot[i];
  bool load = r >> 33 & 1;
  uint32_t buf[WORDS], version = s->version, seq = s->seq;

  if(version & 1)
    return;
  if(load)
    memcpy(buf, mem + i * BLOCK, BLOCK);
  else if(pread(fd, buf, BLOCK, i * BLOCK) != BLOCK) {
    t_fail("pread", i, "errno %d", errno);
    sh->errors++;
  }
  atomic_thread_fence(memory_order_seq_cst);
  if(s->version == version)
    wrong(buf, i, seq, load ? "load" : "pread");
}

// Cut the file somewhere in its last quarter and make it long again: what lay behind is zeros then.
static void
cut(uint64_t r)
{
  uint64_t from = nblocks - 1 - r % (nblocks / 4), i;

  pthread_rwlock_wrlock(&sh->gate);
  if(ftruncate(fd, from * BLOCK) != 0 || ftruncate(fd, bytes) != 0) {
    t_fail("ftruncate", from, "errno %d", errno);
    sh->errors++;
  }
  for(i = from; i < nblocks; i++)
    sh->slot[i].seq = 0;
  pthread_rwlock_unlock(&sh->gate);
}

static void
push_out(uint64_t r)
{
  uint64_t at = r % bytes & ~(uint64_t)(PAGE - 1), n = bytes - at < MIB ? bytes - at : MIB;

  switch(r >> 40 & 7) {
  case 0: need(msync(mem + at, n, MS_SYNC) == 0); break;
  case 1: need(posix_fadvise(fd, at, n, POSIX_FADV_DONTNEED) == 0); break;
  case 2: need(sync_file_range(fd, at, n, SYNC_FILE_RANGE_WRITE) == 0); break;
  case 3: need(fdatasync(fd) == 0); break;
  default: need(madvise(mem + at, n, MADV_DONTNEED) == 0); break;
  }
}

static void
worker(int me)
{
  uint64_t s = seed_of(me), r, i;

  while(now_ms() < end_time && sh->errors == 0) {
    r = rnd(&s);
    i = r % nblocks;
    if(me == 0 && (r >> 48) % 256 == 0) {
      cut(r);
      continue;
    }
    pthread_rwlock_rdlock(&sh->gate);
    if((r >> 52) % 64 == 0)
      push_out(r);
    else if((r >> 50) % 2)
      write_block(i - i % WORKERS + me < nblocks ? i - i % WORKERS + me : (uint64_t)me, r);
    else
      read_block(i, r);
    pthread_rwlock_unlock(&sh->gate);
    sh->ops++;
  }
}

static void
look_at_all(const char *when)
{
  uint32_t buf[WORDS];

  for(uint64_t i = 0; i < nblocks && sh->errors == 0; i++) {
    need(pread(fd, buf, BLOCK, i * BLOCK) == BLOCK);
    wrong(buf, i, sh->slot[i].seq, when);
  }
}

static void
make_world(void)
{
  char name[] = "stress.coherence.XXXXXX";
  uint64_t mib =
      getenv("T_MIB") ? (uint64_t)atol(getenv("T_MIB")) : 4 * (uint64_t)proc_figure("/proc/meminfo", "MemTotal") / 1024;
  pthread_rwlockattr_t attr;
  struct statvfs v;

  need(chdir(here() ? "/" : ".") == 0);
  need((fd = mkstemp(name)) >= 0 && unlink(name) == 0);
  need(fstatvfs(fd, &v) == 0);
  if(!getenv("T_MIB") && !here())
    mib = 32;
  if(mib > v.f_bavail * v.f_frsize / 2 / MIB)
    mib = v.f_bavail * v.f_frsize / 2 / MIB;
  need(mib >= LEAST_MIB);
  nblocks = mib * MIB / BLOCK / WORKERS * WORKERS;
  bytes = nblocks * BLOCK;
  need(ftruncate(fd, bytes) == 0);
  mem = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  need(mem != MAP_FAILED);
  sh = mmap(0, sizeof(*sh) + nblocks * sizeof(struct slot), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  need(sh != MAP_FAILED);
  pthread_rwlockattr_init(&attr);
  pthread_rwlockattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
  need(pthread_rwlock_init(&sh->gate, &attr) == 0);
}

TEST_TIMED(store_write_load_read_agree, LIMIT)
{
  int status;

  make_world();
  end_time = end_after(6000);
  fflush(0);
  for(int i = 0; i < WORKERS; i++) {
    pid_t pid = fork();

    need(pid >= 0);
    if(pid == 0) {
      worker(i);
      _exit(t_failures != 0);
    }
  }
  for(int i = 0; i < WORKERS; i++) {
    need(wait(&status) > 0);
    expect_eq(status, 0);
  }
  look_at_all("in the end");
  need(fsync(fd) == 0);
  need(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
  look_at_all("from the disk");
  printf("  %lu operations in %lu MiB\n", (unsigned long)sh->ops, (unsigned long)(bytes / MIB));
}
