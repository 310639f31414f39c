// sys_socket.h -- what the files of socket calls share.
#pragma once
#include "fs/unix.h"
#include "syscall/sys.h"

struct sock_addr { // an address as a program gives it, looked up
  struct unix_target to;
  struct unix_name *abstract; // ours
  bool unspec;                // AF_UNSPEC: nowhere
};
// The socket of a descriptor, its file referenced in *f; 0 and *err: -EBADF, -ENOTSOCK.
struct unix_sock *sock_get(int fd, struct file **f, int *err);
struct ucred sock_cred(void);
int sock_addr_in(struct sock_addr *a, vaddr_t va, uint64_t len); // va 0: empty. 0, and a must go to sock_addr_put
void sock_addr_put(struct sock_addr *a);
// An address out, cut to *len, which becomes its whole length. Both may be 0 together.
int sock_name_out(vaddr_t va, vaddr_t len_va, const struct unix_name *n);
uint32_t sock_name_len(const struct unix_name *n);
int sock_name_copy(vaddr_t va, uint32_t room, const struct unix_name *n);
