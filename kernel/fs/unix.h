// unix.h -- sockets of the local family: what the files of it share, and what system calls ask for.
// Lock keys: (U) unix_lock  (a) atomic  (c) constant
#pragma once
#include "fs/vfs.h"

enum { SOCK_STREAM = 1, SOCK_DGRAM = 2, SOCK_SEQPACKET = 5 };
enum { UNIX_PATH = 108, UNIX_BUFFER = 212992, UNIX_FILES = 253, UNIX_BACKLOG = 4096 };
enum { // flags of messages; Linux's values
  MSG_OOB = 1,
  MSG_PEEK = 2,
  MSG_CTRUNC = 8,
  MSG_TRUNC = 0x20,
  MSG_DONTWAIT = 0x40,
  MSG_EOR = 0x80,
  MSG_WAITALL = 0x100,
  MSG_NOSIGNAL = 0x4000,
  MSG_CMSG_CLOEXEC = 0x40000000,
};

struct ucred { // Linux's layout
  int32_t pid;
  uint32_t uid, gid;
};
struct unix_name { // what stands behind the family in an address
  int ref;         // (a)
  size_t len;      // (c) bytes; 0: none
  char path[UNIX_PATH];
  struct inode *ip; // (c) referenced: of a path; 0: abstract, path[0] is 0
};
struct unix_msg {
  struct list link;       // (U) in the receiver's queue
  size_t len, off;        // off: (U) bytes of a stream taken already
  struct unix_name *from; // (c) referenced; 0: the sender has no name
  struct ucred cred;      // (c)
  int nfiles;
  bool flying;        // (U) they are counted in unix_gc.c
  struct file **file; // with their references, in an array of kzalloc's; 0: none
  char data[];
};
enum unix_state { UNIX_NEW, UNIX_LISTENING, UNIX_CONNECTED, UNIX_CLOSED };
struct unix_sock {
  int ref;                      // (a)
  int type;                     // (c)
  enum unix_state state;        // (U)
  struct unix_sock *peer;       // (U) referenced: where we send to
  struct list senders;          // (U) sockets whose peer this is
  struct list to_peer;          // (U) our place there
  struct unix_name *name;       // (U) referenced
  struct list bound;            // (U) in the list of those with names
  struct list queue;            // (U) messages for us
  uint64_t queued;              // (U) their bytes
  struct list backlog;          // (U) listening: sockets to be accepted, by `waiting`
  struct list waiting;          // (U)
  int nbacklog, backlog_max;    // (U)
  bool gone;                    // (U) connected once, and the other end is closed
  bool rd_shut, wr_shut;        // (U)
  int err;                      // (U) told once: ECONNRESET
  struct ucred cred, peer_cred; // (U)
  bool passcred;                // (a)
  uint64_t rcvtimeo, sndtimeo;  // (a) nanoseconds; 0: none
  struct sleeplock reading;     // rank 12: one reader at a time, so that a stream stays in order
  struct waitq readable, writable;
  struct file *file;     // (c) its own, not referenced; 0: not accepted yet
  int flights;           // (U) times that its file lies in a queue
  struct list in_flight; // (U) unix_gc.c: in its list, while flights > 0
  struct list gc;        // (U) while it works
  int held;              // (U) the same
  bool candidate;        // (U) the same
};
extern struct spinlock unix_lock;

struct unix_target { // where to: one of them; all 0: where it is connected to
  const struct unix_name *abstract;
  struct inode *ip;
};
struct unix_recv {        // what came with the bytes
  int flags;              // MSG_TRUNC, MSG_EOR
  struct unix_name *from; // referenced, or 0
  struct ucred cred;
  int nfiles;
  struct file **file; // as in a message; the caller's now
};

// ---- unix.c
void unix_init(void);
struct unix_sock *unix_of(struct file *f); // 0: no socket
int unix_create(int type, unsigned flags, const struct ucred *me, struct file **out);
int unix_pair(int type, unsigned flags, const struct ucred *me, struct file **a, struct file **b);
int unix_bind(struct unix_sock *s, struct unix_name *n); // takes the reference if it succeeds
int unix_listen(struct unix_sock *s, int backlog, const struct ucred *me);
int unix_connect(struct unix_sock *s, const struct unix_target *to, bool nonblock, const struct ucred *me);
int unix_accept(struct unix_sock *s, bool nonblock, unsigned flags, struct file **out);
void unix_shutdown(struct unix_sock *s, bool rd, bool wr);
struct unix_name *unix_name_get(struct unix_name *n); // 0 is allowed
void unix_name_put(struct unix_name *n);
struct unix_name *unix_name_of(struct unix_sock *s, bool peer); // referenced; 0: it has none
struct unix_sock *unix_get(struct unix_sock *s);
void unix_put(struct unix_sock *s);
// The socket that `to` names, borrowed; 0: none. Needs unix_lock.
struct unix_sock *unix_find(const struct unix_target *to) REQUIRES(unix_lock);
// ---- unix_gc.c
void unix_fly(struct unix_msg *m, int step) REQUIRES(unix_lock); // m's files are in a queue (+1), or not any more (-1)
void unix_collect(void);                                         // close what only such files hold
// ---- unix_data.c
struct unix_files { // an array as in a message
  int n;
  struct file **file;
};
// Bytes from u to the peer or `to`. What goes with them is taken over, and `files` empty then. Bytes, or -E.
int64_t unix_send(struct unix_sock *s, struct uio *u, int flags, const struct unix_target *to, struct unix_files *files,
                  const struct ucred *me);
void unix_files_put(struct unix_files *files);
int64_t unix_receive(struct unix_sock *s, struct uio *u, int flags, struct unix_recv *r);
void unix_msgs_free(struct list *msgs);                       // and the files in them; any depth
unsigned unix_ready(struct unix_sock *s) REQUIRES(unix_lock); // POLL bits
int unix_unread(struct unix_sock *s);                         // bytes of the queue, or of its first message
