// tour.c -- laziness with real figures: what large things cost before and after they are touched; and at the end the main
// job: a mapped file is read, changed and synced, the machine is reset, and the change is there.
//
// usage: tour [-h | -n | -a]
// Each stop states what should be so, reads the truth from /proc, and says whether it held. The first line of the file that
// is changed tells the tour after the reset that it is the second half, and how the first ended. The exit status is 0 only
// if all was as it should be.
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, SPARSE_TOUCHES = 1000, SLACK_FRAMES = 64, FORK_MIB = 128, FILE_TOUCHES = 64, MIB = 1 << 20 };
#define SPARSE_BYTES (16ull << 40)
#define BIG_FILE     "/usr/share/lazy6/big"
#define WORDS_FILE   "/usr/share/lazy6/words"

static int failures;

static void
stop(const char *title)
{
  printf("\n\033[1m%s\033[0m\n", title);
}

static void
verdict(int ok, const char *f, ...)
{
  va_list ap;

  printf("  %s ", ok ? "\033[32mas it should be:\033[0m" : "\033[31mNOT AS IT SHOULD BE:\033[0m");
  va_start(ap, f);
  vprintf(f, ap);
  va_end(ap);
  putchar('\n');
  failures += !ok;
}

// The number behind `key` in a /proc file, or -1.
static long
figure(const char *file, const char *key)
{
  char line[256];
  long value = -1;
  FILE *f = fopen(file, "r");

  if(f == 0)
    return -1;
  while(value < 0 && fgets(line, sizeof(line), f))
    if(strncmp(line, key, strlen(key)) == 0 && (line[strlen(key)] == ':' || line[strlen(key)] == ' '))
      sscanf(line + strlen(key) + 1, "%ld", &value);
  fclose(f);
  return value;
}

static long
free_frames(void)
{
  return figure("/proc/meminfo", "MemFree") * 1024 / PAGE;
}

struct disk { // what all disks did so far
  long sectors_read, writes, sectors_written, flushes;
};

static struct disk
disk_now(void)
{
  struct disk d = {0};
  char line[256];
  long r, w, ws, fl;
  FILE *f = fopen("/proc/diskstats", "r");

  while(f && fgets(line, sizeof(line), f))
    if(sscanf(line, "%*d %*d %*s %*d %*d %ld %*d %ld %*d %ld %*d %*d %*d %*d %*d %*d %*d %*d %ld", &r, &w, &ws, &fl) ==
       4) {
      d.sectors_read += r;
      d.writes += w;
      d.sectors_written += ws;
      d.flushes += fl;
    }
  if(f)
    fclose(f);
  return d;
}

static long
sectors_read(void)
{
  return disk_now().sectors_read;
}

static void
sparse_array(void)
{
  uint64_t sum = 0, step = SPARSE_BYTES / SPARSE_TOUCHES / PAGE * PAGE;
  long before = free_frames(), mapped, touched, tables;
  char *p;

  stop("1. An array of 16 TiB");
  printf("  This machine has %ld MiB of memory.\n", figure("/proc/meminfo", "MemTotal") / 1024);
  p = mmap(0, SPARSE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if(p == MAP_FAILED) {
    verdict(0, "mmap of 16 TiB failed");
    return;
  }
  mapped = before - free_frames();
  printf("  mmap returned %p. Frames used: %ld.\n", (void *)p, mapped);
  verdict(mapped <= SLACK_FRAMES, "mapping it took no memory (%ld frames)", mapped);
  for(uint64_t i = 0; i < SPARSE_TOUCHES; i++)
    p[i * step] = i;
  touched = before - free_frames();
  tables = figure("/proc/self/status", "VmPTE") * 1024 / PAGE;
  for(uint64_t i = 0; i < SPARSE_TOUCHES; i++)
    sum += (unsigned char)p[i * step];
  printf("  %d pages written, one every 16 GiB. Frames used: %ld, of them %ld page tables.\n", SPARSE_TOUCHES, touched,
         tables);
  verdict(touched >= SPARSE_TOUCHES && touched - tables < 3 * SPARSE_TOUCHES, "frames follow what was touched");
  munmap(p, SPARSE_BYTES);
  verdict(before - free_frames() <= SLACK_FRAMES, "munmap gave all back (%ld frames missing)", before - free_frames());
  (void)sum;
}

static void
near_pages(void)
{
  long before = free_frames(), used;
  int k = 512;
  char *p = mmap(0, 64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int zero = 0;

  stop("2. k pages touched, k frames used");
  for(int i = 0; i < 64 * MIB / PAGE; i++)
    zero |= p[(size_t)i * PAGE];
  used = before - free_frames();
  printf("  64 MiB read, page by page. Frames used: %ld.\n", used);
  verdict(zero == 0 && used <= SLACK_FRAMES + 64 * MIB / (2 * MIB),
          "reading untouched memory shows one shared page of zeros");
  before = free_frames();
  for(int i = 0; i < k; i++)
    p[(size_t)i * PAGE] = 1;
  used = before - free_frames();
  printf("  %d neighbouring pages written. Frames used: %ld.\n", k, used);
  verdict(used >= k && used <= k + k / 64 + 16, "a frame for each, and next to nothing besides");
  munmap(p, 64 * MIB);
}

// A file of 16 GiB, most of it holes, with a page of text at each place that is looked at.
static void
big_file(void)
{
  long before, used, mem = figure("/proc/meminfo", "MemTotal") / 1024;
  long reads = sectors_read();
  struct stat st;
  int fd = open(BIG_FILE, O_RDONLY);
  char *p;
  int found = 0;

  stop("3. A mapped file larger than memory");
  if(fd < 0 || fstat(fd, &st) < 0) {
    verdict(0, "%s is not on the disk", BIG_FILE);
    return;
  }
  before = free_frames();
  p = mmap(0, st.st_size, PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  if(p == MAP_FAILED) {
    verdict(0, "mmap of %s failed", BIG_FILE);
    return;
  }
  printf("  %s: %lld MiB, memory: %ld MiB. Mapped and closed; sectors read: %ld.\n", BIG_FILE,
         (long long)st.st_size / MIB, mem, sectors_read() - reads);
  verdict(st.st_size / MIB > mem, "the file is larger than memory");
  reads = sectors_read();
  for(int i = 0; i < FILE_TOUCHES; i++)
    found += p[(st.st_size / FILE_TOUCHES * i) & ~(PAGE - 1l)] == 'p';
  used = before - free_frames();
  printf("  %d pages read, spread over it. KiB read from the disk: %ld, frames used: %ld.\n", FILE_TOUCHES,
         (sectors_read() - reads) / 2, used);
  verdict(found == FILE_TOUCHES && used < FILE_TOUCHES * 24, "only what was touched was read");
  munmap(p, st.st_size);
}

static void
large_fork(void)
{
  size_t n = (size_t)FORK_MIB * MIB;
  char *p = mmap(0, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int ready[2], go[2], status;
  long before, used;
  char c = 0;
  pid_t pid;

  stop("4. fork of a large process");
  if(p == MAP_FAILED || pipe(ready) < 0 || pipe(go) < 0) {
    verdict(0, "cannot set it up");
    return;
  }
  memset(p, 'p', n);
  before = free_frames();
  pid = fork();
  if(pid == 0) {
    int same = p[0] == 'p' && p[n - 1] == 'p';

    if(write(ready[1], &c, 1) != 1 || read(go[0], &c, 1) != 1)
      _exit(2);
    p[0] = 'c';
    _exit(same && p[0] == 'c' ? 0 : 1);
  }
  if(pid < 0 || read(ready[0], &c, 1) != 1) {
    verdict(0, "fork failed");
    return;
  }
  used = before - free_frames();
  printf("  %d MiB written, then fork. Frames used by the child: %ld of %ld.\n", FORK_MIB, used, (long)(n / PAGE));
  verdict(used < (long)(n / PAGE / 16), "nothing was copied");
  if(write(go[1], &c, 1) != 1)
    status = -1;
  waitpid(pid, &status, 0);
  verdict(status == 0 && p[0] == 'p', "each sees its own stores");
  munmap(p, n);
}

// ---- the main job

enum {
  LINE = 80,
  CAME_WORDS = 8,
  CHANGED_WORDS = 10,
  PROGRESS_STEP = MIB,
  KIB = 1024,
  SECTORS_A_PAGE = 8,
  COUNTDOWN = 5
};
#define CHANGED "Line 1: changed by the tour; "

static long
faults(void)
{
  struct rusage u;

  getrusage(RUSAGE_SELF, &u);
  return u.ru_minflt + u.ru_majflt;
}

// The whole file, shared; the descriptor is closed at once. 0: it cannot be had.
static char *
map_words(size_t *n)
{
  struct stat st;
  int fd = open(WORDS_FILE, O_RDWR);
  char *p;

  if(fd < 0 || fstat(fd, &st) < 0 || st.st_size < LINE) {
    if(fd >= 0)
      close(fd);
    return 0;
  }
  *n = st.st_size;
  p = mmap(0, *n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  return p == MAP_FAILED ? 0 : p;
}

static void
progress(size_t at, size_t n, long words, long before, long reads)
{
  printf("\r  %3zu %% read, %ld words, %ld faults, %ld KiB from the disk  ", at * 100 / n, words, faults() - before,
         (sectors_read() - reads) / 2);
  fflush(stdout);
}

static long
count_words(const char *p, size_t n)
{
  long words = 0, before = faults(), reads = sectors_read();
  int inside = 0, tty = isatty(1);

  for(size_t i = 0; i < n; i++) {
    int space = p[i] == ' ' || p[i] == '\n';

    words += inside && space;
    inside = !space;
    if(tty && i % PROGRESS_STEP == 0)
      progress(i, n, words, before, reads);
  }
  progress(n, n, words, before, reads);
  putchar('\n');
  return words;
}

// Change one line through the mapping and have it on the disk: what was it asked to write?
static void
change_line(char *p, size_t n, long words)
{
  char line[LINE + 1];
  struct disk before, after;
  int len = snprintf(line, sizeof(line), CHANGED "%ld words, %d wrong", words, failures);

  memset(line + len, ' ', LINE - len);
  sync(); // what the tour wrote until now is not to be counted
  before = disk_now();
  memcpy(p, line, LINE - 1);
  if(msync(p, n, MS_SYNC) < 0) {
    verdict(0, "msync failed");
    return;
  }
  after = disk_now();
  printf("  One line changed, msync over all %zu MiB. Writes: %ld of %ld KiB together (one page of the file, and a\n"
         "  transaction for its times), flushes: %ld.\n",
         n / MIB, after.writes - before.writes, (after.sectors_written - before.sectors_written) / 2,
         after.flushes - before.flushes);
  verdict(after.sectors_written > before.sectors_written &&
              after.sectors_written - before.sectors_written <= 8 * SECTORS_A_PAGE && after.flushes > before.flushes,
          "msync wrote what was changed, not what is mapped");
}

static void
cut_power(int may_wait)
{
  printf("  Now the power is cut: the machine is reset, and nothing else is written.\n");
  for(int i = COUNTDOWN; may_wait && i > 0; i--) {
    printf("\r  in %d s (Ctrl-C keeps it running) ", i);
    fflush(stdout);
    sleep(1);
  }
  printf("\n");
  fflush(stdout);
  usleep(200 * 1000); // for the serial line
  reboot(RB_AUTOBOOT);
  verdict(0, "the machine could not be reset");
}

static void
main_job(int may_reset)
{
  long reads = sectors_read(), words;
  size_t n;
  char *p;

  stop("5. The main job: map, read, change, msync, and the power fails");
  p = map_words(&n);
  if(p == 0) {
    verdict(0, "%s cannot be mapped for writing", WORDS_FILE);
    return;
  }
  printf("  %s: %zu KiB. Mapped shared and closed; sectors read: %ld.\n", WORDS_FILE, n / KIB, sectors_read() - reads);
  words = count_words(p, n);
  verdict(words > 0 && (size_t)(sectors_read() - reads) * 512 < n + n / 4, "it was read as it was touched");
  change_line(p, n, words);
  if(may_reset)
    cut_power(getenv("PS1") != 0); // a person's shell
  munmap(p, n);
}

// Is there a change that waits to be found? Then find it, and put the line back.
static int
second_half(void)
{
  static const char came[] = "Line 1: as it came with the disk.";
  long words, wrong;
  size_t n;
  char *p = map_words(&n);

  if(p == 0 || strncmp(p, CHANGED, strlen(CHANGED)) != 0) {
    if(p)
      munmap(p, n);
    return 0;
  }
  stop("5. The main job, after the power was cut");
  printf("  The file's first line: %.*s\n", LINE - 1, p);
  if(sscanf(p + strlen(CHANGED), "%ld words, %ld", &words, &wrong) != 2)
    words = wrong = -1;
  verdict(wrong >= 0, "the change is there");
  verdict(count_words(p, n) == words - CAME_WORDS + CHANGED_WORDS, "and so is everything else");
  failures += wrong;
  memset(p, ' ', LINE - 1);
  memcpy(p, came, strlen(came));
  verdict(msync(p, n, MS_SYNC) == 0, "the line is put back for the next time");
  munmap(p, n);
  return 1;
}

int
main(int argc, char **argv)
{
  int found;

  if(argc > 1 && strcmp(argv[1], "-n") != 0 && strcmp(argv[1], "-a") != 0) {
    printf("usage: tour [-n | -a]\n"
           "Shows with figures from /proc that nothing is allocated, read or copied before it is touched, and that "
           "what msync\n"
           "acknowledged survives a reset, which ends the first half; after it, the tour goes on by itself.\n"
           "  -n  do not reset the machine\n"
           "  -a  only what is to be found after a reset, if anything\n"
           "Status 0 if every figure was as it should be.\n");
    return strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0 ? 0 : 2;
  }
  found = second_half();
  if(!found && argc > 1 && strcmp(argv[1], "-a") == 0)
    return 0;
  if(!found) {
    printf("\033[1mlazy6: nothing is allocated, read or copied before it is touched.\033[0m\n");
    sparse_array();
    near_pages();
    big_file();
    large_fork();
    main_job(argc == 1);
  }
  printf("\n%s\n",
         failures ? "The tour FAILED." : "All as it should be. (Faults so far: see /proc/vmstat; try `vmmap self`.)");
  return failures != 0;
}
