// tty.h -- a terminal: line discipline between a wire (uart.c) and open files (fs/devfs).
#pragma once
#include "lib/util.h"

struct tty;
struct uio;
extern struct tty *tty_console;           // (c) after tty_init; 0 before
struct tty_wire {                         // what the driver gives
  void (*write)(const char *s, size_t n); // may sleep until the wire took it
  void (*resume)(void);                   // tty_room() said no before; now there is room again. May be 0.
};
void tty_init(const struct tty_wire *wire); // threads can be started
void tty_input(char c); // from the uart's interrupt; the tty's thread does the rest. Dropped if there is no room.
bool tty_room(void);    // may tty_input come? If not, wire->resume is called later.
int64_t tty_read(struct tty *t, struct uio *u, bool nonblock);
int64_t tty_write(struct tty *t, struct uio *u, bool nonblock);
struct poll;
unsigned tty_poll(struct tty *t, struct poll *p); // POLL* bits ready now; registers p if not 0
// TCGETS.. TIOCGWINSZ.. TIOCSCTTY..: arg is a user address in `as`. Sessions and groups are numbers, from proc's hooks.
// 0 or -E; -ENOTTY for a command that terminals do not know.
struct aspace;
int tty_ioctl(struct tty *t, unsigned cmd, uint64_t arg, struct aspace *as);

// Job control, filled in by proc/session.c before the first open: what the tty must ask. Called without locks.
struct tty_hooks {
  void (*signal_group)(int pgid, int sig);
  int (*caller_pgid)(void);
  int (*caller_sid)(void);
  bool (*caller_ignores)(int sig); // blocked or ignored
  bool (*group_orphaned)(int pgid);
  int (*signal_caller_group)(int sig); // then -ERESTARTSYS
  bool (*pgid_in_session)(int pgid, int sid);
  bool (*caller_leads_session)(void);
  void (*set_controlling)(int sid, struct tty *t); // the session of sid now has t (or 0)
};
extern struct tty_hooks tty_hooks;
int tty_session(struct tty *t);
// Its leader died, or gave the terminal up: the foreground group gets SIGHUP and SIGCONT. Holds no lock.
void tty_hangup_session(int sid);
void tty_show_tasks_hook(void (*fn)(void)); // Ctrl-P; `ctrlp` on the kernel's command line: always
