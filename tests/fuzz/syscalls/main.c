// main.c -- the hostile program's harness: it starts processes that call the kernel at random (worker.c), starts them again
// when they end, ends them when they stand still, and after each round looks for what they left.
// usage: hostile -t SECONDS [-s SEED] [-n WORKERS] [-d FOLDER] [-m FOLDER] [-v]
// Status 0: no call returned nonsense, everything ended when it was told to, nothing was left.
// It wants to be root in a machine of its own. Elsewhere it runs as an ordinary user, and then looks for no leaks.
#include "hostile.h"
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum {
  ROUND_MS = 6000,
  LIFE_MS = 3000,   // at most
  STUCK_MS = 60,    // a thread that has not called for so long gets a signal
  DEAD_MS = 1500,   // a process that has not gets SIGKILL
  DIE_SECONDS = 60, // and must then be gone
  TICK_NS = 20000000,
  ROOT_ONE_IN = 4
};

struct board *board;
struct harness harness;
const char *disk_dir = "/home/hostile", *mem_dir = "/tmp/hostile";
static uint64_t seed;
static int bad;
static bool has_tty;
static struct termios tty;

uint64_t
now_ms(void)
{
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

// Workers of root may have turned the terminal off, or to something else.
void
say(const char *f, ...)
{
  va_list ap;

  if(has_tty) {
    tcflow(1, TCOON);
    tcsetattr(1, TCSANOW, &tty);
  }
  va_start(ap, f);
  printf("hostile: ");
  vprintf(f, ap);
  printf("\n");
  fflush(stdout);
  va_end(ap);
}

static void
life_start(int i)
{
  struct slot *s = &board->slot[i];
  uint64_t now = now_ms(), mix;
  pid_t pid;

  memset(s->lane, 0, sizeof(s->lane));
  s->lives++;
  mix = (seed + i * 0x9e3779b97f4a7c15ull) ^ s->lives * 0xbf58476d1ce4e5b9ull;
  s->seed = mix ^ mix >> 29;
  s->root = geteuid() == 0 && i % ROOT_ONE_IN == 0;
  s->born = s->moved = now;
  s->sum = 0;
  s->until = now + LIFE_MS / 4 + s->seed % (LIFE_MS * 3 / 4);
  for(int k = 0; k < LANES; k++)
    s->lane_moved[k] = now;
  pid = fork();
  if(pid == 0) {
    s->pid = getpid();
    worker(i);
  }
  s->pid = pid > 0 ? pid : 0;
}

// A thread that waits for what may never come gets a signal, and goes on if it is one of those that take it.
static void
lanes_look(struct slot *s, uint64_t now)
{
  uint64_t sum = 0;

  for(int k = 0; k < LANES; k++) {
    uint64_t beat = s->lane[k].beat;

    sum += beat;
    if(beat != s->lane_beat[k]) {
      s->lane_beat[k] = beat;
      s->lane_moved[k] = now;
    } else if(now - s->lane_moved[k] > STUCK_MS && k != CHILD_LANE && s->lane[k].tid > 1) {
      s->lane_moved[k] = now;
      syscall(SYS_tgkill, s->pid, s->lane[k].tid, SIGUSR2);
      syscall(SYS_tgkill, s->pid, s->lane[k].tid, SIGCONT);
    }
  }
  if(sum != s->sum) {
    s->sum = sum;
    s->moved = now;
  }
}

static void
slots_look(void)
{
  uint64_t now = now_ms();

  for(int i = 0; i < harness.slots; i++) {
    struct slot *s = &board->slot[i];

    if(s->pid <= 0) {
      life_start(i);
      continue;
    }
    lanes_look(s, now);
    if(now > s->until || now - s->moved > DEAD_MS)
      kill(s->pid, SIGKILL);
    if(now > s->until + DIE_SECONDS * 1000 && bad++ == 0) {
      say("a worker is there %d seconds after SIGKILL", DIE_SECONDS);
      oplog_show(i);
    }
  }
}

// Take the dead; orphans come here too.
static void
reap(void)
{
  pid_t pid;

  while((pid = waitpid(-1, 0, WNOHANG | __WALL)) > 0)
    for(int i = 0; i < harness.slots; i++)
      if(board->slot[i].pid == pid)
        board->slot[i].pid = 0;
}

static void
round_run(uint64_t until)
{
  for(int i = 0; i < harness.slots; i++)
    board->slot[i].pid = 0;
  while(now_ms() < until && !bad) {
    slots_look();
    nanosleep(&(struct timespec){0, TICK_NS}, 0);
    reap();
  }
}

static bool
round_end(int round)
{
  bool alone = geteuid() == 0;

  if(!clean_processes(DIE_SECONDS)) {
    for(int i = 0; i < harness.slots; i++)
      oplog_show(i);
    return false;
  }
  clean_mounts();
  clean_files();
  clean_shm();
  return !alone || figures_check(round);
}

static void
write_to(const char *file, const char *text)
{
  int fd = open(file, O_WRONLY);

  if(fd < 0 || write(fd, text, strlen(text)) < 0)
    fprintf(stderr, "hostile: cannot write to %s; memory may get so short that we are killed\n", file);
  if(fd >= 0)
    close(fd);
}

// Nor is it to be killed because memory is short, where we may say so.
static void
spare(int pid)
{
  char file[64];

  snprintf(file, sizeof(file), "/proc/%d/oom_score_adj", pid);
  if(pid > 1 && geteuid() == 0)
    write_to(file, "-1000");
  if(pid > 0 && harness.nspared < (int)(sizeof(harness.spared) / sizeof(harness.spared[0])))
    harness.spared[harness.nspared++] = pid;
}

static void
folders_make(void)
{
  if((mkdir(disk_dir, 0777) < 0 && access(disk_dir, W_OK) < 0) ||
     (mkdir(mem_dir, 0777) < 0 && access(mem_dir, W_OK) < 0)) {
    fprintf(stderr, "hostile: cannot write in %s and %s; choose others with -d and -m\n", disk_dir, mem_dir);
    exit(2);
  }
  clean_files();
}

static void
harness_init(int workers)
{
  static const int deaf[] = {SIGINT, SIGQUIT, SIGTSTP, SIGTTOU, SIGTTIN, SIGHUP, SIGPIPE, SIGUSR2};

  if(geteuid() == 0)
    write_to("/proc/sys/kernel/shmall", "4096"); // pages that no process holds: not all of memory
  board = mmap(0, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if(board == MAP_FAILED) {
    perror("hostile: mmap");
    exit(2);
  }
  harness.slots = workers;
  for(size_t i = 0; i < sizeof(deaf) / sizeof(deaf[0]); i++)
    signal(deaf[i], SIG_IGN);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  has_tty = tcgetattr(1, &tty) == 0;
  spare(1);
  spare(getpid());
  spare(getppid());
  spare(getsid(0));
  folders_make();
}

static void
protect_this_machine(void)
{
  struct utsname u;

  if(geteuid() == 0 && uname(&u) == 0 && !strstr(u.release, "lazy6")) {
    fprintf(stderr, "hostile: not as root on this machine: it would end every process and remove files\n");
    exit(2);
  }
}

static int
usage(void)
{
  fprintf(stderr,
          "usage: hostile -t SECONDS [-s SEED] [-n WORKERS] [-d FOLDER] [-m FOLDER] [-v]\n"
          "  random system calls for so long; -d: where on the disk, -m: where in memory; -v: each call's figures\n");
  return 2;
}

int
main(int argc, char **argv)
{
  int seconds = 0, workers = 0, round = 0, o;
  bool all = false;
  uint64_t end;

  seed = time(0) * 1000003ull ^ getpid();
  while((o = getopt(argc, argv, "t:s:n:d:m:v")) != -1) {
    switch(o) {
    case 't': seconds = atoi(optarg); break;
    case 's': seed = strtoull(optarg, 0, 0); break;
    case 'n': workers = atoi(optarg); break;
    case 'd': disk_dir = optarg; break;
    case 'm': mem_dir = optarg; break;
    case 'v': all = true; break;
    default: return usage();
    }
  }
  if(workers <= 0)
    workers = 2 + 2 * sysconf(_SC_NPROCESSORS_ONLN);
  if(seconds <= 0 || optind != argc)
    return usage();
  protect_this_machine();
  calls_init();
  harness_init(workers > SLOTS_MAX ? SLOTS_MAX : workers);
  say("seed %#llx, %d workers, %d seconds", (unsigned long long)seed, harness.slots, seconds);
  figures_first();
  for(end = now_ms() + seconds * 1000ull; now_ms() < end && !bad; round++) {
    round_run(now_ms() + ROUND_MS);
    bad += !round_end(round);
  }
  oplog_coverage(all);
  bad += !figures_end() || board->odd != 0;
  rmdir(disk_dir);
  rmdir(mem_dir);
  say("%d rounds: %s", round, bad ? "something is wrong" : "all as it should be");
  return bad != 0;
}
