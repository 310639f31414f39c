// tty_impl.h -- what tty.c and tty_ioctl.c share: the inside of a terminal.
// Lock keys: (l) lock  (i) inlock  (c) constant after tty_init
#pragma once
#include "core/lock.h"
#include "dev/line.h"
#include "dev/tty.h"

enum { TTY_INPUT = 1024 };
enum { TTY_SIGHUP = 1, TTY_SIGCONT = 18, TTY_SIGTTIN = 21, TTY_SIGTTOU = 22, TTY_SIGWINCH = 28 }; // Linux's

struct winsize { // Linux's
  uint16_t rows, columns, x, y;
};
struct tty {
  const struct tty_wire *wire; // (c)
  struct spinlock lock;        // rank 51
  struct line line;            // (l)
  int session, pgid;           // (l) whose controlling terminal; its foreground group; 0: none
  struct winsize winsize;      // (l)
  uint32_t ispeed, ospeed;     // (l) kept for those who ask, as the wire's speed does not change
  struct waitq readers;        // for a line or bytes
  struct waitq writers;        // for output to go on
  struct sleeplock writing;    // rank 12: one write(2) at a time, so that their texts do not mix
  struct spinlock inlock;      // rank 76
  char in[TTY_INPUT];          // (i) from the interrupt to the thread
  unsigned in_head, in_tail;   // (i) run freely
  bool throttled;              // (i) the wire waits for room
  struct waitq input;          // the thread waits for characters and for room in the line
  bool show_tasks;             // (c) Ctrl-P is ours whatever the settings
};

// May the caller do what `sig` (SIGTTIN or SIGTTOU) forbids to the background? 0: go on; -EIO, -ERESTARTSYS.
int tty_check_background(struct tty *t, int sig);
void tty_changed(struct tty *t); // input was taken or settings changed: everybody looks again
