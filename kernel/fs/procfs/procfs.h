// procfs.h -- a tree of generated text. procfs knows no process: proc/procinfo.c fills these in.
#pragma once
#include "lib/fmt.h"

// Text that is still being made: pieces, so that it may be longer than any block of memory. A failed growth is
// remembered.
// Neither call sleeps. {0} is empty.
struct textpart {
  struct textpart *next;
  size_t n, cap; // bytes used, and that fit
  char bytes[];
};
struct textbuf {
  struct textpart *first, *last;
  size_t n; // bytes in all
  bool failed;
};
void text(struct textbuf *t, const char *f, ...) printf_like(2, 3);
void text_bytes(struct textbuf *t, const void *p, size_t n);
void text_clear(struct textbuf *t);
// The bytes at `pos`, and in *n how many lie there in one piece; 0 past the end.
const char *text_at(const struct textbuf *t, size_t pos, size_t *n);

struct dentry;
struct uio;
struct proc_number {     // a setting that is one number, which root may write
  uint64_t *at;          // (a)
  uint64_t lo, hi;       // what may be written
  uint64_t *instead;     // (a) another setting of the same thing, which becomes 0 then; may be 0
  void (*changed)(void); // called then; may be 0
};
// number.c: a decimal number in [lo, hi], with white space around it or not: 0 and *out, or -EINVAL.
int number_parse(const char *s, size_t n, uint64_t lo, uint64_t hi, uint64_t *out);
int number_show(const struct proc_number *n, struct textbuf *t);
int number_store(const struct proc_number *n, const char *s, size_t len); // -EINVAL
struct proc_file {                                                        // /proc/NAME or /proc/PID/NAME
  const char *name; // with '/' for files below a directory: "sys/vm/overcommit_memory"
  unsigned mode;
  int (*show)(struct textbuf *t, int pid);        // pid 0 for /proc/NAME; 0 or -ESRCH, -ENOMEM ...
  int (*store)(int pid, const char *s, size_t n); // writable ones; may be 0
  // in place of these, of one thread below /proc/PID/task/TID; tid 0: of the process
  int (*show_thread)(struct textbuf *t, int pid, int tid);
  int (*store_thread)(int pid, int tid, const char *s, size_t n);
  // not text: any part of it, read where it is asked for
  int64_t (*read)(int pid, struct uio *u, uint64_t *pos);
  int (*link)(int pid, struct dentry **out);         // a magic link instead; may be 0
  int64_t (*readlink)(int pid, char *buf, size_t n); // its text
  const struct proc_number *number;                  // in place of show and store
};
struct procfs_hooks {
  const struct proc_file *top;     // ends with name 0
  const struct proc_file *per_pid; // ends with name 0
  int (*next_pid)(int after);      // smallest pid > after, or 0
  bool (*pid_exists)(int pid);
  int (*self_pid)(void);
  int (*self_tid)(void);
  void (*pid_owner)(int pid, uint32_t *uid, uint32_t *gid);
  // /proc/PID/fd
  int (*next_fd)(int pid, int after); // smallest fd > after, or -1
  int (*fd_link)(int pid, int fd, struct dentry **out);
  int64_t (*fd_readlink)(int pid, int fd, char *buf, size_t n);
  // /proc/PID/task
  int (*next_tid)(int pid, int after);
  bool (*may_set)(void); // may the caller write a proc_number?
};
extern struct procfs_hooks procfs_hooks; // set before procfs is mounted
