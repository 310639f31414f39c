// pidfd.h -- a process by descriptor.
#pragma once
#include "proc/proc.h"

int pidfd_file(struct proc *p, unsigned flags, struct file **out); // flags: O_NONBLOCK. 0 or -ENOMEM
struct proc *pidfd_proc(struct file *f);                           // borrowed while f is held; 0: f is no pidfd
bool pidfd_reaped(struct proc *p); // somebody has waited for it: its number may be another's
