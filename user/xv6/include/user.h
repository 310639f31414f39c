// user.h -- what a program of xv6 may call: the system calls, the library, and three calls for mapped memory.
// All fail with -1 unless it says otherwise. docs/xv6.md tells where one differs from xv6's.
#pragma once
#include "types.h"

#ifndef PRINTF_FORMAT // tools/xv6 says `char *` for a program with a printf of its own that is declared so
#define PRINTF_FORMAT const char *
#endif

struct stat;
struct rtcdate;

// processes
int fork(void);
int exit(void) __attribute__((noreturn));
int wait(void); // the pid of a child that ended
int kill(int pid);
int getpid(void);
int exec(char *path, char **argv);
char *sbrk(int n); // the old end of the heap
int sleep(int ticks);
int uptime(void); // in ticks, 10 ms each

// files
int open(const char *path, int how);
int read(int fd, void *buf, int n); // of a directory: struct dirent, one behind the other
int write(int fd, const void *buf, int n);
int close(int fd);
int dup(int fd);
int pipe(int *fds);
int fstat(int fd, struct stat *st);
int mknod(const char *path, short major, short minor);
int mkdir(const char *path);
int link(const char *old, const char *new);
int unlink(const char *path);
int chdir(const char *path);

// memory, mapped (mman.h)
void *mmap(void *addr, int length, int prot, int flags, int fd, int offset);
int munmap(void *addr, uint length);
int msync(void *addr, uint length);

// the library
int stat(const char *path, struct stat *st);
char *strcpy(char *to, const char *from);
void *memmove(void *to, const void *from, int n);
char *strchr(const char *s, char c);
int strcmp(const char *a, const char *b);
uint strlen(const char *s);
void *memset(void *at, int c, uint n);
void printf(int fd, PRINTF_FORMAT format, ...); // knows %d %x %p %s %c %%
char *gets(char *buf, int max);
int atoi(const char *s);
void *malloc(uint n); // 0 if there is no memory
void free(void *p);

void *kmalloc(uint n) __attribute__((error("there is no kernel memory for programs: call malloc or mmap")));
int kmfree(void *p) __attribute__((error("there is no kernel memory for programs: call free or munmap")));
