// rules_memfd.c -- memory files in full: every seal against every call it forbids, which memory files are executable, and
// objects of shm_open: rules D01 to D05, M50. What fallocate does to tmpfs is in rules_falloc.c.
#include "rules.h"
#include <pthread.h>
#include <sys/uio.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8
#define MFD_EXEC        16
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 16
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 32
#endif
#define PUNCH (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

// A memory file of n pages, all 'm', that may be sealed.
static int
sealable(int n)
{
  int fd = memfd_create("rules", MFD_ALLOW_SEALING);
  char page[PAGE];

  need(fd >= 0);
  memset(page, 'm', PAGE);
  for(int i = 0; i < n; i++)
    need(write(fd, page, PAGE) == PAGE);
  return fd;
}

static int
sealed(int n, int seals)
{
  int fd = sealable(n);

  need(fcntl(fd, F_ADD_SEALS, seals) == 0);
  return fd;
}

static int
reopened(int fd, int flags)
{
  char name[64];

  snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
  return open(name, flags);
}

TEST(which_files_can_be_sealed) // D04
{
  int plain = memfd_create("plain", 0), fd = sealable(1), file = temp_pages(1), ro, pfd[2];

  need(pipe(pfd) == 0);
  expect_eq(fcntl(plain, F_GET_SEALS), F_SEAL_SEAL);
  expect_errno(fcntl(plain, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
  expect_eq(fcntl(fd, F_GET_SEALS), 0);
  expect_errno(fcntl(fd, F_ADD_SEALS, 64), EINVAL);
  expect_eq(fcntl(fd, F_GET_SEALS), 0);
  expect_eq(fcntl(file, F_GET_SEALS), F_SEAL_SEAL); // any file of tmpfs has an answer
  expect_errno(fcntl(file, F_ADD_SEALS, F_SEAL_GROW), EPERM);
  expect_errno(fcntl(pfd[1], F_ADD_SEALS, F_SEAL_GROW), EINVAL);
  expect_errno(fcntl(pfd[0], F_GET_SEALS), EINVAL);
  expect_errno(fcntl(pfd[0], F_ADD_SEALS, F_SEAL_GROW), EPERM); // not open for writing
  expect_errno(fcntl(open("/proc/self/exe", O_RDONLY), F_ADD_SEALS, F_SEAL_GROW), EPERM);
  ro = reopened(fd, O_RDONLY);
  need(ro >= 0);
  expect_errno(fcntl(ro, F_ADD_SEALS, F_SEAL_GROW), EPERM);
  expect_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
  expect_eq(fcntl(ro, F_GET_SEALS), F_SEAL_GROW); // the seals are the file's
  expect_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_GROW), 0);
  expect_eq(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL | F_SEAL_GROW);
  expect_errno(fcntl(fd, F_ADD_SEALS, 0), EPERM);
}

TEST(seal_shrink_and_grow) // D04
{
  int shrink = sealed(2, F_SEAL_SHRINK), grow = sealed(2, F_SEAL_GROW), at;
  char page[2 * PAGE] = "x";

  expect_errno(ftruncate(shrink, PAGE), EPERM);
  expect_errno(reopened(shrink, O_RDWR | O_TRUNC), EPERM);
  expect_eq(file_size(shrink), 2 * PAGE);
  expect(ftruncate(shrink, 2 * PAGE) == 0 && ftruncate(shrink, 3 * PAGE) == 0);
  expect(pwrite(shrink, "x", 1, 5 * PAGE) == 1);
  expect_errno(ftruncate(grow, 2 * PAGE + 1), EPERM);
  expect_errno(pwrite(grow, "x", 1, 2 * PAGE), EPERM);
  expect_eq(pwrite(grow, "xy", 2, 2 * PAGE - 1), 1);
  expect_eq(pwrite(grow, page, sizeof(page), PAGE), PAGE); // what fits is written
  expect_eq(file_size(grow), 2 * PAGE);
  expect(ftruncate(grow, 100) == 0);
  expect_errno(pwrite(grow, "xy", 2, 99), EPERM);
  at = reopened(grow, O_WRONLY | O_APPEND);
  need(at >= 0);
  expect_errno(write(at, "x", 1), EPERM);
  expect_errno(fallocate(grow, 0, 0, 101), EPERM);
  expect_errno(fallocate(grow, FALLOC_FL_KEEP_SIZE, 0, 101), EPERM);
  expect(fallocate(grow, 0, 0, 100) == 0 && fallocate(grow, PUNCH, 0, PAGE) == 0);
}

TEST(seal_write) // D04, M50
{
  int fd = sealed(3, F_SEAL_WRITE), ro = reopened(fd, O_RDONLY);
  char *p, *q;

  expect_errno(write(fd, "x", 1), EPERM);
  expect_errno(pwrite(fd, "x", 1, 100), EPERM);
  expect_errno(pwrite(fd, "x", 1, 10 * PAGE), EPERM);
  expect_errno(fallocate(fd, PUNCH, 0, PAGE), EPERM);
  expect(pwrite(fd, "x", 0, 0) == 0);
  expect_errno(mmap(0, PAGE, RW, MAP_SHARED, fd, 0), EPERM);
  expect_errno(mmap(0, PAGE, PROT_WRITE, MAP_SHARED, fd, 0), EPERM);
  p = file_at(fd, 3 * PAGE, PROT_READ, MAP_SHARED);
  expect_eq(differing(p, 3 * PAGE, 'm'), 0);
  expect_errno(mprotect(p, PAGE, RW), EACCES);
  expect_errno(madvise(p, PAGE, MADV_REMOVE), EACCES);
  q = file_at(fd, 3 * PAGE, RW, MAP_PRIVATE);
  q[0] = 'P';
  expect(p[0] == 'm' && file_byte(fd, 0) == 'm');
  need(ro >= 0);
  p = file_at(ro, PAGE, PROT_READ, MAP_SHARED);
  expect_errno(mprotect(p, PAGE, RW), EACCES);
  expect(ftruncate(fd, PAGE) == 0 && ftruncate(fd, 5 * PAGE) == 0); // the size is not sealed
  expect(fallocate(fd, 0, 0, 6 * PAGE) == 0);
  expect_eq(file_size(fd), 6 * PAGE);
}

TEST(seal_write_against_mappings) // D04
{
  int fd = sealable(2), ro, pid, status, go[2];
  char *p = file_at(fd, 2 * PAGE, RW, MAP_SHARED), c = 0;

  need(pipe(go) == 0);
  expect_errno(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
  expect_eq(fcntl(fd, F_GET_SEALS), 0);
  expect_errno(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW), EBUSY); // all or nothing
  expect_eq(fcntl(fd, F_GET_SEALS), 0);
  need(munmap(p, PAGE) == 0);
  expect_errno(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY); // the other half is there
  need(mprotect(p + PAGE, PAGE, PROT_READ) == 0);
  expect_errno(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY); // it could be made writable again
  pid = fork();
  if(pid == 0) {
    need(read(go[0], &c, 1) == 1);
    _exit(0);
  }
  need(munmap(p + PAGE, PAGE) == 0);
  expect_errno(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY); // the child's
  need(write(go[1], "", 1) == 1 && waitpid(pid, &status, 0) == pid);
  ro = reopened(fd, O_RDONLY);
  need(ro >= 0);
  p = file_at(ro, PAGE, PROT_READ, MAP_SHARED); // can never be written
  file_at(fd, PAGE, RW, MAP_PRIVATE)[0] = 'x';
  expect_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
  expect_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0); // again
  expect_eq(fcntl(fd, F_GET_SEALS), F_SEAL_WRITE);
  expect_eq(p[0], 'm');
}

TEST(seal_future_write) // D04
{
  int fd = sealable(2);
  char *p = file_at(fd, 2 * PAGE, RW, MAP_SHARED), *q;

  expect_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
  p[0] = 'F'; // what was mapped before stays
  expect_eq(file_byte(fd, 0), 'F');
  need(mprotect(p, PAGE, PROT_READ) == 0 && mprotect(p, PAGE, RW) == 0);
  p[1] = 'F';
  expect_errno(write(fd, "x", 1), EPERM);
  expect_errno(fallocate(fd, PUNCH, 0, PAGE), EPERM);
  expect_errno(madvise(p, PAGE, MADV_REMOVE), EPERM);
  expect_errno(mmap(0, PAGE, RW, MAP_SHARED, fd, 0), EPERM);
  q = file_at(fd, PAGE, PROT_READ, MAP_SHARED);
  expect_errno(mprotect(q, PAGE, RW), EACCES);
  q = file_at(fd, PAGE, RW, MAP_PRIVATE);
  q[0] = 'P';
  expect_eq(p[0], 'F');
  expect(ftruncate(fd, PAGE) == 0);
}

TEST(seals_and_other_ways_in) // D04, I05, I21
{
  int fd = sealed(2, F_SEAL_WRITE), other = sealable(0), pfd[2];
  struct iovec v = {"vec", 3};
  off_t off = 0;

  need(pipe(pfd) == 0 && write(pfd[1], "pipe", 4) == 4 && write(other, "o", 1) == 1);
  expect_errno(writev(fd, &v, 1), EPERM);
  expect_errno(pwritev(fd, &v, 1, 0), EPERM);
  expect_errno(copy_file_range(other, &off, fd, &off, 1, 0), EPERM);
  expect_eq(copy_file_range(fd, &off, other, &(off_t){0}, PAGE, 0), PAGE); // out of it is fine
  expect_eq(file_byte(other, 5), 'm');
  expect_eq(differing(file_at(fd, PAGE, PROT_READ, MAP_PRIVATE), PAGE, 'm'), 0);
}

TEST(executable_or_not) // D02, D04
{
  struct stat st;
  int fd = memfd_create("both", MFD_EXEC | MFD_NOEXEC_SEAL);

  expect(fd < 0 && errno == EINVAL);
  fd = memfd_create("exec", MFD_EXEC);
  need(fd >= 0 && fstat(fd, &st) == 0);
  expect_eq(st.st_mode & 07777, 0777);
  expect_eq(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL);
  expect(fchmod(fd, 0600) == 0 && fchmod(fd, 0700) == 0);
  fd = memfd_create("noexec", MFD_NOEXEC_SEAL);
  need(fd >= 0 && fstat(fd, &st) == 0);
  expect_eq(st.st_mode & 07777, 0666);
  expect_eq(fcntl(fd, F_GET_SEALS), F_SEAL_EXEC);
  expect_errno(fchmod(fd, 0700), EPERM);
  expect(fchmod(fd, 0600) == 0);
  expect(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) == 0); // NOEXEC_SEAL allows seals
  fd = sealable(1);                                 // executable: then it may not be written either
  expect_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_EXEC), 0);
  expect_eq(fcntl(fd, F_GET_SEALS), F_SEAL_EXEC | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE);
  expect_errno(fchmod(fd, 0666), EPERM);
  expect(fchmod(fd, 0755) == 0);
  fd = sealable(1);
  file_at(fd, PAGE, RW, MAP_SHARED)[0] = 'x';
  expect_errno(fcntl(fd, F_ADD_SEALS, F_SEAL_EXEC), EBUSY); // as it implies F_SEAL_WRITE
  need(fchmod(fd, 0600) == 0);
  expect_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_EXEC), 0);
  expect_eq(fcntl(fd, F_GET_SEALS), F_SEAL_EXEC);
}

TEST(running_a_memory_file) // D01, F17
{
  char *argv[] = {"rules_memfd", "-l", 0}, *envp[] = {0}; // it lists its tests and ends
  int fd = memfd_create("program", MFD_CLOEXEC), self = open("/proc/self/exe", O_RDONLY), status;
  static char buf[16 * PAGE];
  ssize_t n;
  pid_t pid;

  need(fd >= 0 && self >= 0);
  while((n = read(self, buf, sizeof(buf))) > 0)
    need(write(fd, buf, n) == n);
  pid = fork();
  if(pid == 0) {
    dup2(open("/dev/null", O_WRONLY), 1);
    syscall(SYS_execveat, fd, "", argv, envp, AT_EMPTY_PATH); // though it is open for writing
    _exit(100);
  }
  need(waitpid(pid, &status, 0) == pid);
  expect_eq(status, 0);
}

TEST(shm_open_in_full) // D05, D09
{
  char name[64], path[96], *p, *q;
  struct stat st;
  int fd, fd2;

  snprintf(name, sizeof(name), "/rules-%d", getpid());
  snprintf(path, sizeof(path), "/dev/shm%s", name);
  expect_errno(shm_open(name, O_RDWR, 0600), ENOENT);
  umask(022);
  fd = shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0666);
  need(fd >= 0 && fstat(fd, &st) == 0);
  expect_eq(st.st_size, 0);
  expect_eq(st.st_mode, S_IFREG | 0644);
  expect_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
  expect(stat(path, &st) == 0);
  expect_errno(shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
  fd2 = shm_open(name, O_CREAT | O_RDWR, 0600);
  need(fd2 >= 0 && ftruncate(fd, 2 * PAGE) == 0);
  p = file_at(fd, 2 * PAGE, RW, MAP_SHARED);
  q = file_at(fd2, 2 * PAGE, RW, MAP_SHARED);
  p[PAGE] = 's';
  expect_eq(q[PAGE], 's');
  expect_errno(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), EPERM);
  fd2 = shm_open(name, O_RDONLY, 0);
  need(fd2 >= 0);
  expect_errno(mmap(0, PAGE, RW, MAP_SHARED, fd2, 0), EACCES);
  fd2 = shm_open(name, O_RDWR | O_TRUNC, 0);
  need(fd2 >= 0);
  expect_touch(LOAD, p, SIGBUS);
  expect(shm_unlink(name) == 0);
  expect_errno(shm_unlink(name), ENOENT);
  expect_errno(shm_open(name, O_RDWR, 0), ENOENT);
  need(ftruncate(fd, PAGE) == 0);
  p[0] = 'l';
  expect_eq(q[0], 'l'); // lives on without a name
  expect_errno(shm_open("/a/b", O_CREAT | O_RDWR, 0600), EINVAL);
}

static volatile int seal_fd, seal_stop;

static void *
map_and_store(void *arg)
{
  char *p;

  while(!seal_stop && (p = mmap(0, PAGE, RW, MAP_SHARED, seal_fd, 0)) != MAP_FAILED) {
    p[0]++;
    munmap(p, PAGE);
    usleep(rand() % 100);
  }
  return 0;
}

TEST_TIMED(sealing_while_others_map, 120) // D04
{
  for(int round = 0; round < 50; round++) {
    pthread_t t[2];
    char before;

    seal_fd = sealable(1);
    seal_stop = 0;
    for(int i = 0; i < 2; i++)
      need(pthread_create(&t[i], 0, map_and_store, 0) == 0);
    while(fcntl(seal_fd, F_ADD_SEALS, F_SEAL_WRITE) < 0)
      need(errno == EBUSY);
    before = file_byte(seal_fd, 0); // from here on nobody can store
    for(int i = 0; i < 20; i++) {
      expect_eq(file_byte(seal_fd, 0), before);
      sched_yield();
    }
    seal_stop = 1;
    for(int i = 0; i < 2; i++)
      pthread_join(t[i], 0);
    expect_eq(file_byte(seal_fd, 0), before);
    close(seal_fd);
  }
}
