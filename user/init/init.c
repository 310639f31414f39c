// init.c -- the first process: mounts, starts what the command line asks for on the console, reaps, ends the machine.
//
// The kernel's command line decides (see tools/run):  run=COMMAND  the shell command, each odd byte written %XX: its
// status becomes the machine's;  nothing: a login shell, started again when it ends;  rawtty: the console passes
// output bytes unchanged.
// When init ends, the kernel writes everything out and switches the machine off with init's status. BusyBox's
// `poweroff`, `halt` and `reboot` send SIGUSR2, SIGUSR1 and SIGTERM.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { SIGNAL_STATUS = 128, GRACE_MS = 500, PAUSE_MS = 20, SETTLE_TRIES = 50, CANNOT_EXECUTE = 127 };

static volatile sig_atomic_t asked; // the signal that wants the machine to end

static void
on_signal(int sig)
{
  asked = sig;
}

static void
mount_one(const char *type, const char *at, const char *options)
{
  mkdir(at, 0755);
  if(mount(type, at, type, 0, options) < 0 && errno != EBUSY)
    fprintf(stderr, "init: cannot mount %s on %s: %s\n", type, at, strerror(errno));
}

static int
hex(char c)
{
  return c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
}

// The value of `name` on the kernel's command line, %XX undone, into buf: 1 if it is there ("" for a bare word).
static int
option(const char *name, char *buf, size_t n)
{
  static char line[8192];
  FILE *f = fopen("/proc/cmdline", "r");
  size_t len = strlen(name), k = 0;
  int found = 0;

  if(f == 0 || fgets(line, sizeof(line), f) == 0)
    line[0] = 0;
  if(f)
    fclose(f);
  for(char *w = strtok(line, " \n"); w && !found; w = strtok(0, " \n")) {
    if(strncmp(w, name, len) != 0 || (w[len] != '=' && w[len] != 0))
      continue;
    found = 1;
    for(char *p = w + len + (w[len] == '='); *p && k + 1 < n; p++) {
      if(p[0] == '%' && p[1] && p[2]) {
        buf[k++] = hex(p[1]) << 4 | hex(p[2]);
        p += 2;
      } else {
        buf[k++] = *p;
      }
    }
    buf[k] = 0;
  }
  return found;
}

// A child in a session of its own with the console as its terminal.
static pid_t
start(char *const argv[], char *const envp[])
{
  sigset_t none;
  pid_t pid = fork();

  if(pid != 0)
    return pid;
  setsid();
  ioctl(0, TIOCSCTTY, 1);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, 0);
  if(chdir("/root") < 0 && chdir("/") < 0)
    _exit(CANNOT_EXECUTE);
  execve(argv[0], argv, envp);
  fprintf(stderr, "init: cannot start %s: %s\n", argv[0], strerror(errno));
  _exit(CANNOT_EXECUTE);
}

// Reap until `pid` ends (its wait status), or a signal asks for the end (-1).
static int
wait_for(pid_t pid)
{
  for(;;) {
    int status;
    pid_t got = wait(&status);

    if(asked)
      return -1;
    if(got == pid)
      return status;
    if(got < 0 && errno == ECHILD)
      return -1;
  }
}

// Ask every process to end, then insist.
static void
end_all(void)
{
  struct timespec grace = {0, GRACE_MS * 1000000L};

  kill(-1, SIGTERM);
  kill(-1, SIGCONT);
  nanosleep(&grace, 0);
  kill(-1, SIGKILL);
  while(waitpid(-1, 0, WNOHANG) > 0)
    ;
}

// Everything to the disk, which then needs no recovery. Whoever still dies may have a file open: try for a second.
static void
settle_disk(void)
{
  struct timespec pause = {0, PAUSE_MS * 1000000L};

  sync();
  for(int i = 0; i < SETTLE_TRIES && mount("", "/", "", MS_REMOUNT | MS_RDONLY, "") < 0 && errno == EBUSY; i++)
    nanosleep(&pause, 0);
}

static void
raw_output(void)
{
  struct termios t;

  if(tcgetattr(1, &t) == 0) {
    t.c_oflag &= ~OPOST;
    tcsetattr(1, TCSANOW, &t);
  }
}

int
main(void)
{
  static char command[8192], word[8];
  char *const envp[] = {"PATH=/sbin:/usr/sbin:/bin:/usr/bin",
                        "HOME=/root",
                        "TERM=vt100",
                        "USER=root",
                        "LOGNAME=root",
                        "SHELL=/bin/sh",
                        0};
  char *const shell[] = {"/bin/sh", "-l", 0}, *const once[] = {"/bin/sh", "-c", command, 0};
  struct sigaction sa = {.sa_handler = on_signal};
  int status = 0, one_command;

  sigaction(SIGTERM, &sa, 0);
  sigaction(SIGUSR1, &sa, 0);
  sigaction(SIGUSR2, &sa, 0);
  mount_one("proc", "/proc", "");
  mount_one("tmpfs", "/tmp", "mode=1777");
  mount_one("tmpfs", "/dev/shm", "mode=1777");
  sethostname("lazy6", 5);
  if(option("rawtty", word, sizeof(word)))
    raw_output();
  one_command = option("run", command, sizeof(command));
  do {
    pid_t pid = start(one_command ? once : shell, envp);

    if(pid < 0) {
      fprintf(stderr, "init: cannot fork: %s\n", strerror(errno));
      return 1;
    }
    status = wait_for(pid);
  } while(!one_command && !asked);
  end_all();
  settle_disk();
  if(asked == SIGTERM)
    reboot(RB_AUTOBOOT);
  if(asked || status < 0)
    return 0;
  tcdrain(1);
  return WIFEXITED(status) ? WEXITSTATUS(status) : SIGNAL_STATUS + WTERMSIG(status);
}
