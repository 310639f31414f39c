// rules_mmap.c -- mmap's arguments and errors: rules M01 to M52.
#include "rules.h"
#include <sys/epoll.h>
#include <sys/mount.h>

enum { UNKNOWN_FLAG = 0x2000000 };

TEST(length_zero) // M01
{
  int fd = temp_pages(1);

  expect_errno(raw_mmap(0, 0, RW, ANON, -1, 0), EINVAL);
  expect_errno(raw_mmap(0, 0, PROT_READ, MAP_SHARED, fd, 0), EINVAL);
}

TEST(neither_shared_nor_private) // M02
{
  int fd = temp_pages(1);

  expect_errno(raw_mmap(0, PAGE, RW, MAP_ANONYMOUS, -1, 0), EINVAL);
  expect_errno(raw_mmap(0, PAGE, PROT_READ, 0, fd, 0), EINVAL);
  expect_errno(raw_mmap(0, PAGE, PROT_READ, 4, fd, 0), EINVAL);
}

TEST(shared_validate) // M03, M04, M05
{
  int fd = temp_pages(1);
  char *p;

  expect_errno(raw_mmap(0, PAGE, RW, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1, 0), EINVAL);
  p = raw_mmap(0, PAGE, RW, MAP_SHARED_VALIDATE, fd, 0);
  need(p != MAP_FAILED);
  p[0] = 'S';
  expect_eq(file_byte(fd, 0), 'S'); // shared, not private
  expect_errno(raw_mmap(0, PAGE, RW, MAP_SHARED_VALIDATE | UNKNOWN_FLAG, fd, 0), EOPNOTSUPP);
  expect_errno(raw_mmap(0, PAGE, RW, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0), EOPNOTSUPP);
  expect(raw_mmap(0, PAGE, RW, MAP_SHARED | UNKNOWN_FLAG, fd, 0) != MAP_FAILED);
  expect(raw_mmap(0, PAGE, RW, MAP_PRIVATE | UNKNOWN_FLAG, fd, 0) != MAP_FAILED);
  expect(raw_mmap(0, PAGE, RW, ANON | UNKNOWN_FLAG, -1, 0) != MAP_FAILED);
}

TEST(unaligned_address) // M06, M07
{
  char *p = map(4 * PAGE), *q;

  need(munmap(p, 4 * PAGE) == 0);
  expect_errno(raw_mmap(p + 1, PAGE, RW, ANON | MAP_FIXED, -1, 0), EINVAL);
  expect_errno(raw_mmap(p + 1, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), EINVAL);
  q = raw_mmap(p + 1, PAGE, RW, ANON, -1, 0);
  expect(q != MAP_FAILED && (uintptr_t)q % PAGE == 0);
  expect_touch(STORE, q, 0);
}

TEST(unaligned_offset) // M08
{
  int fd = temp_pages(2);

  expect_errno(raw_mmap(0, PAGE, PROT_READ, MAP_SHARED, fd, 1), EINVAL);
  expect_errno(raw_mmap(0, PAGE, PROT_READ, MAP_PRIVATE, fd, PAGE / 2), EINVAL);
  expect_errno(raw_mmap(0, PAGE, RW, ANON, -1, 512), EINVAL);
}

TEST(offset_out_of_range) // M09, M10
{
  int fd = temp_pages(1);

  expect_errno(raw_mmap(0, PAGE, PROT_READ, MAP_SHARED, fd, -PAGE), EOVERFLOW);
  expect_errno(raw_mmap(0, PAGE, PROT_READ, MAP_PRIVATE, fd, INT64_MIN), EOVERFLOW);
  expect_errno(raw_mmap(0, 2 * PAGE, PROT_READ, MAP_SHARED, fd, INT64_MAX & -(int64_t)PAGE), EOVERFLOW);
  expect_errno(raw_mmap(0, 16 * PAGE, PROT_READ, MAP_PRIVATE, fd, (INT64_MAX & -(int64_t)PAGE) - 8 * PAGE), EOVERFLOW);
}

TEST(offset_beyond_end_of_file) // M11
{
  int fd = temp_pages(1);
  char *p = mmap(0, 2 * PAGE, RW, MAP_SHARED, fd, 8 * PAGE);

  need(p != MAP_FAILED);
  expect_touch(LOAD, p, SIGBUS);
  expect_eq(touch_code, BUS_ADRERR);
  expect_touch(STORE, p + PAGE + 9, SIGBUS);
}

TEST(bad_descriptor) // M12, M46
{
  int fd = temp_pages(1);

  close(fd);
  expect_errno(raw_mmap(0, PAGE, PROT_READ, MAP_PRIVATE, -1, 0), EBADF);
  expect_errno(raw_mmap(0, PAGE, PROT_READ, MAP_SHARED, fd, 0), EBADF);
  expect_errno(raw_mmap(0, PAGE, PROT_READ, MAP_SHARED, 9999, 0), EBADF);
  expect_errno(raw_mmap(0, 0, PROT_READ, MAP_SHARED, -1, 0), EBADF);
  expect_errno(raw_mmap(0, 0, PROT_READ, 0, 9999, 0), EBADF);
}

TEST(anonymous_ignores_descriptor_and_offset) // M13, M14
{
  int fd = temp_pages(1), fds[] = {fd, 9999, 0, -5};

  for(int i = 0; i < 4; i++) {
    char *p = raw_mmap(0, PAGE, RW, ANON, fds[i], 16 * PAGE);

    need(p != MAP_FAILED);
    expect_eq(p[0], 0);
  }
  expect(raw_mmap(0, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, 9999, 1024 * PAGE) != MAP_FAILED);
}

static int
reopen(int fd, int flags)
{
  char path[64];
  int again;

  snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
  again = open(path, flags);
  need(again >= 0);
  return again;
}

TEST(write_only_descriptor) // M15
{
  int fd = reopen(temp_pages(1), O_WRONLY);
  static const int prots[] = {PROT_NONE, PROT_READ, PROT_WRITE, RW, PROT_EXEC};

  for(int i = 0; i < 5; i++) {
    expect_errno(raw_mmap(0, PAGE, prots[i], MAP_SHARED, fd, 0), EACCES);
    expect_errno(raw_mmap(0, PAGE, prots[i], MAP_PRIVATE, fd, 0), EACCES);
  }
}

TEST(read_only_descriptor) // M16, M17, M18
{
  int fd = reopen(temp_pages(1), O_RDONLY);
  char *p;

  expect_errno(raw_mmap(0, PAGE, PROT_WRITE, MAP_SHARED, fd, 0), EACCES);
  expect_errno(raw_mmap(0, PAGE, RW, MAP_SHARED, fd, 0), EACCES);
  p = file_at(fd, PAGE, RW, MAP_PRIVATE);
  p[0] = 'P';
  expect_eq(file_byte(fd, 0), 'a');
  p = file_at(fd, PAGE, PROT_READ, MAP_SHARED);
  expect_eq(p[0], 'a');
  expect_errno(syscall(SYS_mprotect, p, PAGE, RW), EACCES);
  expect_errno(syscall(SYS_mprotect, p, PAGE, PROT_WRITE), EACCES);
  expect(mprotect(p, PAGE, PROT_NONE) == 0);
  expect_errno(syscall(SYS_mprotect, p, PAGE, RW), EACCES);
  expect_touch(STORE, p, SIGSEGV);
}

TEST(append_descriptor) // M19
{
  int fd = reopen(temp_pages(1), O_RDWR | O_APPEND);
  char *p = file_at(fd, PAGE, RW, MAP_SHARED);

  p[5] = 'A';
  expect_eq(file_byte(fd, 5), 'A');
}

TEST(path_descriptor) // M20
{
  int fd = open("/dev/shm", O_PATH), fd2 = reopen(temp_pages(1), O_PATH);

  need(fd >= 0);
  expect_errno(raw_mmap(0, PAGE, PROT_READ, MAP_SHARED, fd, 0), EBADF);
  expect_errno(raw_mmap(0, PAGE, PROT_READ, MAP_PRIVATE, fd2, 0), EBADF);
}

TEST(directory) // M21
{
  int fd = open("/dev/shm", O_RDONLY | O_DIRECTORY);

  need(fd >= 0);
  expect_errno(raw_mmap(0, PAGE, PROT_READ, MAP_SHARED, fd, 0), ENODEV);
  expect_errno(raw_mmap(0, PAGE, PROT_READ, MAP_PRIVATE, fd, 0), ENODEV);
}

TEST(pipes_and_character_devices) // M22, M23
{
  int fd[2], null = open("/dev/null", O_RDWR);

  need(pipe(fd) == 0 && null >= 0);
  expect_errno(raw_mmap(0, PAGE, PROT_READ, MAP_PRIVATE, fd[0], 0), ENODEV);
  expect_errno(raw_mmap(0, PAGE, PROT_READ, MAP_SHARED, fd[0], 0), ENODEV);
  expect_errno(raw_mmap(0, PAGE, PROT_READ, MAP_PRIVATE, fd[1], 0), EACCES);
  expect_errno(raw_mmap(0, PAGE, RW, MAP_SHARED, fd[0], 0), EACCES);
  expect_errno(raw_mmap(0, PAGE, PROT_READ, MAP_PRIVATE, null, 0), ENODEV);
  expect_errno(raw_mmap(0, PAGE, RW, MAP_SHARED, null, 0), ENODEV);
}

TEST(epoll_descriptor) // M22
{
  int fd = epoll_create1(0);

  if(fd < 0 && errno == ENOSYS)
    skip("epoll is not built");
  expect_errno(raw_mmap(0, PAGE, PROT_READ, MAP_PRIVATE, fd, 0), ENODEV);
}

TEST(zero_device) // M24, D07
{
  int fd = open("/dev/zero", O_RDWR), status;
  char *priv, *shared, *other;
  pid_t pid;

  need(fd >= 0);
  priv = file_at(fd, 2 * PAGE, RW, MAP_PRIVATE);
  shared = file_at(fd, 2 * PAGE, RW, MAP_SHARED);
  other = file_at(fd, 2 * PAGE, RW, MAP_SHARED);
  expect(priv[0] == 0 && shared[PAGE] == 0);
  priv[0] = shared[0] = 'p';
  expect_eq(other[0], 0); // each mapping is an object of its own
  pid = fork();
  if(pid == 0) {
    priv[0] = shared[0] = 'c';
    _exit(other[0] != 0);
  }
  need(waitpid(pid, &status, 0) == pid);
  expect_eq(status, 0);
  expect(priv[0] == 'p' && shared[0] == 'c');
}

TEST(noexec_mount) // M25
{
  char dir[] = "/dev/shm/noexec.XXXXXX", path[64];
  char *p;
  int fd;

  need(mkdtemp(dir));
  syscall(SYS_unshare, CLONE_NEWNS); // on Linux: do not show it to others
  if(!here())
    mount("none", "/", 0, MS_REC | MS_PRIVATE, 0);
  need(mount("none", dir, "tmpfs", MS_NOEXEC, "size=1m") == 0);
  snprintf(path, sizeof(path), "%s/f", dir);
  fd = open(path, O_CREAT | O_RDWR, 0700);
  need(fd >= 0 && ftruncate(fd, PAGE) == 0);
  expect_errno(raw_mmap(0, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0), EPERM);
  expect_errno(raw_mmap(0, PAGE, PROT_EXEC, MAP_SHARED, fd, 0), EPERM);
  p = file_at(fd, PAGE, PROT_READ, MAP_PRIVATE);
  expect_errno(syscall(SYS_mprotect, p, PAGE, PROT_READ | PROT_EXEC), EACCES);
  munmap(p, PAGE);
  close(fd);
  expect(umount(dir) == 0 && rmdir(dir) == 0);
}

TEST(unknown_protection_bits_are_ignored) // M26
{
  char *p = raw_mmap(0, PAGE, RW | 0x80 | 0x1000, ANON, -1, 0);

  need(p != MAP_FAILED);
  expect_touch(STORE, p, 0);
}

TEST(length_is_rounded_up) // M27
{
  char *p = raw_mmap(0, 100, RW, ANON, -1, 0), *q = raw_mmap(0, PAGE + 1, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

  need(p != MAP_FAILED && q != MAP_FAILED);
  p[PAGE - 1] = q[2 * PAGE - 1] = 1;
  expect(p[PAGE - 1] == 1 && q[2 * PAGE - 1] == 1);
}

TEST(length_too_large) // M28, M29, M30
{
  int fd = temp_pages(1);

  expect_errno(raw_mmap(0, -1, RW, ANON, -1, 0), ENOMEM);
  expect_errno(raw_mmap(0, -PAGE + 1, RW, ANON, -1, 0), ENOMEM);
  expect_errno(raw_mmap(0, -1, PROT_READ, MAP_SHARED, fd, 0), ENOMEM);
  expect_errno(raw_mmap(0, 1ul << 47, RW, ANON | MAP_NORESERVE, -1, 0), ENOMEM);
  expect_errno(raw_mmap(0, 1ul << 62, RW, ANON | MAP_NORESERVE, -1, 0), ENOMEM);
  expect_errno(raw_mmap((void *)TASK_TOP, PAGE, RW, ANON | MAP_FIXED, -1, 0), ENOMEM);
  expect_errno(raw_mmap((void *)(TASK_TOP - PAGE), 2 * PAGE, RW, ANON | MAP_FIXED, -1, 0), ENOMEM);
  expect_errno(raw_mmap((void *)0xffff800000000000ul, PAGE, RW, ANON | MAP_FIXED, -1, 0), ENOMEM);
  expect_errno(raw_mmap((void *)0xfffffffffffff000ul, PAGE, RW, ANON | MAP_FIXED, -1, 0), ENOMEM);
}

TEST(page_zero_is_refused) // M31, M45
{
  expect(raw_mmap(0, PAGE, RW, ANON, -1, 0) != 0);
  expect(raw_mmap((void *)1, PAGE, RW, ANON, -1, 0) != 0);
  expect(raw_mmap((void *)8192, PAGE, RW, ANON, -1, 0) != MAP_FAILED);
  if(!here()) // Linux lets root have page 0
    become_nobody();
  expect_errno(raw_mmap(0, PAGE, RW, ANON | MAP_FIXED, -1, 0), EPERM);
  if(here()) // vm.mmap_min_addr is what its administrator wants on Linux
    expect_errno(raw_mmap((void *)PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0), EPERM);
}

TEST(growsdown_is_for_private_anonymous_memory) // M33
{
  int fd = temp_pages(1);

  expect_errno(raw_mmap(0, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0), EINVAL);
  expect_errno(raw_mmap(0, PAGE, RW, MAP_SHARED | MAP_GROWSDOWN, fd, 0), EINVAL);
  expect_errno(raw_mmap(0, PAGE, RW, MAP_PRIVATE | MAP_GROWSDOWN, fd, 0), EINVAL);
  expect(raw_mmap(0, PAGE, RW, ANON | MAP_GROWSDOWN, -1, 0) != MAP_FAILED);
}

TEST(no_huge_pages) // M34
{
  int fd = temp_pages(1);

  expect_errno(raw_mmap(0, 2 << 20, RW, MAP_PRIVATE | MAP_HUGETLB, fd, 0), EINVAL);
  expect_errno(raw_mmap(0, 2 << 20, RW, ANON | MAP_HUGETLB, -1, 0), ENOMEM);
}

TEST(locked) // M35
{
  char *p = raw_mmap(0, 16 * PAGE, RW, ANON | MAP_LOCKED, -1, 0);

  need(p != MAP_FAILED);
  expect_eq(resident(p, 16 * PAGE), 16);
  munmap(p, 16 * PAGE);
  set_limit(RLIMIT_MEMLOCK, 8 * PAGE);
  become_nobody();
  p = raw_mmap(0, 8 * PAGE, RW, ANON | MAP_LOCKED, -1, 0);
  expect(p != MAP_FAILED);
  expect_errno(raw_mmap(0, PAGE, RW, ANON | MAP_LOCKED, -1, 0), EAGAIN);
  munmap(p, 8 * PAGE);
  expect_errno(raw_mmap(0, 9 * PAGE, RW, ANON | MAP_LOCKED, -1, 0), EAGAIN);
  set_limit(RLIMIT_MEMLOCK, 0);
  expect_errno(raw_mmap(0, PAGE, RW, ANON | MAP_LOCKED, -1, 0), EPERM);
}

TEST(populate) // M36
{
  int fd = temp_pages(2);
  char *p = raw_mmap(0, 16 * PAGE, RW, ANON | MAP_POPULATE, -1, 0);

  need(p != MAP_FAILED);
  expect_eq(resident(p, 16 * PAGE), 16);
  p = raw_mmap(0, 16 * PAGE, RW, ANON | MAP_POPULATE | MAP_NONBLOCK, -1, 0);
  need(p != MAP_FAILED);
  expect_eq(resident(p, 16 * PAGE), 0);
  p = raw_mmap(0, 16 * PAGE, RW, MAP_SHARED | MAP_POPULATE, fd, 0); // beyond the end of the file nothing can be
  need(p != MAP_FAILED);
  expect_eq(p[PAGE], 'b');
  expect(raw_mmap(0, 16 * PAGE, PROT_NONE, ANON | MAP_POPULATE, -1, 0) != MAP_FAILED);
}

TEST(accepted_flags) // M37, M38
{
  static const int flags[] = {MAP_NORESERVE, MAP_STACK, MAP_DENYWRITE, MAP_EXECUTABLE, MAP_FILE};
  char *p;

  for(int i = 0; i < 5; i++) {
    p = raw_mmap(0, PAGE, RW, ANON | flags[i], -1, 0);
    need(p != MAP_FAILED);
    expect_touch(STORE, p, 0);
  }
  for(int i = 0; i < 8; i++) {
    p = raw_mmap(0, 16 * PAGE, RW, ANON | MAP_32BIT, -1, 0);
    expect(p != MAP_FAILED && (uintptr_t)p + 16 * PAGE <= 1ul << 31);
    expect_touch(STORE, p, 0);
  }
}

TEST_TIMED(too_many_mappings, 180) // M40
{
  char *p = map_prot(140000ul * PAGE, PROT_NONE);
  int n = 0;

  while(n < 70000 && raw_mmap(p + 2ul * n * PAGE, PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0) != MAP_FAILED)
    n++;
  expect_eq(errno, ENOMEM);
  expect(n > MAPS_LIMIT / 2 - 100 && n <= MAPS_LIMIT / 2); // each cuts the reserve in two
  expect(munmap(p, 140000ul * PAGE) == 0);
  expect(raw_mmap(0, PAGE, RW, ANON, -1, 0) != MAP_FAILED);
}

TEST(the_mapping_holds_the_file) // M41, M51
{
  int fd = temp_pages(4), again = reopen(fd, O_RDWR);
  char *p;

  need(lseek(fd, 3, SEEK_SET) == 3);
  p = file_at(fd, 4 * PAGE, RW, MAP_SHARED);
  expect_eq(p[2 * PAGE], 'c');
  p[PAGE] = 'M';
  expect_eq(lseek(fd, 0, SEEK_CUR), 3);
  close(fd);
  expect_eq(p[3 * PAGE], 'd');
  p[3 * PAGE] = 'X';
  expect_eq(file_byte(again, 3 * PAGE), 'X');
}

TEST(protection_none_write_exec) // M42, M43, M44
{
  char *p = map_prot(PAGE, PROT_NONE);

  expect_touch(LOAD, p + 7, SIGSEGV);
  expect_eq(touch_code, SEGV_ACCERR);
  expect_touch(STORE, p + 8, SIGSEGV);
  expect_touch(RUN, p, SIGSEGV);
  p = map_prot(PAGE, PROT_WRITE);
  p[0] = 'w';
  expect_eq(((volatile char *)p)[0], 'w');
  p = map(PAGE);
  p[0] = (char)0xc3; // ret
  need(mprotect(p, PAGE, PROT_EXEC) == 0);
  expect_touch(RUN, p, 0);
  expect_touch(STORE, p, SIGSEGV);
  if(here()) // protection keys, which Linux uses where the CPU has them, would make it unreadable
    expect_touch(LOAD, p, 0);
}

TEST(denywrite_is_ignored) // M48
{
  int fd = temp_pages(1), again;

  expect(raw_mmap(0, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_DENYWRITE | MAP_EXECUTABLE, fd, 0) != MAP_FAILED);
  again = reopen(fd, O_WRONLY);
  expect_eq(write(again, "z", 1), 1);
}

TEST(write_sealed_memfd) // M50
{
  int fd = memfd_create("sealed", MFD_ALLOW_SEALING);
  char *p;

  need(fd >= 0 && ftruncate(fd, PAGE) == 0);
  need(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0);
  expect_errno(raw_mmap(0, PAGE, RW, MAP_SHARED, fd, 0), EPERM);
  p = file_at(fd, PAGE, RW, MAP_PRIVATE);
  expect_touch(STORE, p, 0);
}

TEST(mapping_and_reading_change_no_time_but_atime) // M52
{
  int fd = temp_pages(1);
  struct stat a, b;
  char *p;

  need(fstat(fd, &a) == 0);
  usleep(20000);
  p = file_at(fd, PAGE, RW, MAP_SHARED);
  expect_eq(p[0], 'a');
  munmap(p, PAGE);
  need(fstat(fd, &b) == 0);
  expect(a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec);
  expect(a.st_ctim.tv_sec == b.st_ctim.tv_sec && a.st_ctim.tv_nsec == b.st_ctim.tv_nsec);
  expect(b.st_atim.tv_sec >= a.st_atim.tv_sec);
}

// Where it is to lie is looked at before what the file is; a pipe's file system is one from which nothing is executed.
TEST(places_before_files) // M07, M20, M25
{
  char *p = map(2 * PAGE);
  int dir = open("/", O_RDONLY), fds[2];

  need(dir >= 0 && pipe(fds) == 0);
  expect_errno((long)mmap(p, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE, dir, 0), EEXIST);
  expect_errno((long)mmap(p, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, dir, 0), ENODEV);
  expect_errno((long)mmap(0, PAGE, PROT_READ, MAP_PRIVATE, fds[0], 0), ENODEV);
  expect_errno((long)mmap(0, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fds[0], 0), EPERM);
  expect(p[0] == 0);
}
