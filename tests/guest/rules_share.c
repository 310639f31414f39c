// rules_share.c -- who sees which store: rules S01 to S14, and memory objects: D01 to D09.
#include "rules.h"
#include <pthread.h>
#include <sys/mount.h>
#include <sys/shm.h>

TEST(stores_and_read_meet) // S01, S02
{
  int fd = temp_pages(3);
  char *p = file_at(fd, 3 * PAGE, RW, MAP_SHARED), *q = mmap(0, PAGE, PROT_READ, MAP_SHARED, fd, PAGE), buf[8];

  need(q != MAP_FAILED);
  for(int i = 0; i < 200; i++) {
    p[PAGE + i] = 'A' + i % 26;
    expect_eq(file_byte(fd, PAGE + i), 'A' + i % 26);
    snprintf(buf, sizeof(buf), "%d", i);
    need(pwrite(fd, buf, 4, 2 * PAGE - 2) == 4); // over a border
    expect(memcmp(p + 2 * PAGE - 2, buf, 4) == 0 && memcmp(q + PAGE - 2, buf, 2) == 0);
  }
}

TEST(private_mappings_follow_until_they_store) // S03, S04, S05, S08
{
  int fd = temp_pages(2);
  char *p = file_at(fd, 2 * PAGE, RW, MAP_PRIVATE), *p2 = file_at(fd, 2 * PAGE, RW, MAP_PRIVATE);
  char *s = file_at(fd, 2 * PAGE, RW, MAP_SHARED);

  expect(p[0] == 'a' && p[PAGE] == 'b');
  need(pwrite(fd, "1", 1, 0) == 1);
  expect_eq(p[0], '1');
  s[0] = '2';
  expect_eq(p[0], '2');
  p[1] = 'P';
  s[0] = '3';
  need(pwrite(fd, "4", 1, 1) == 1);
  expect(p[0] == '2' && p[1] == 'P' && s[1] == '4' && p2[1] == '4');
  expect_eq(file_byte(fd, 1), '4');
  s[PAGE] = '5';
  expect_eq(p[PAGE], '5'); // the other page was not stored to
}

TEST(all_shared_mappings_are_one) // S06, S10
{
  char name[] = "/dev/shm/rules.XXXXXX", link_[64];
  int fd = mkstemp(name), fd2, status;
  char *a, *b, *c;
  pid_t pid;

  need(fd >= 0 && ftruncate(fd, 4 * PAGE) == 0);
  snprintf(link_, sizeof(link_), "%s.link", name);
  need(link(name, link_) == 0);
  fd2 = open(link_, O_RDWR);
  need(fd2 >= 0);
  a = file_at(fd, 4 * PAGE, RW, MAP_SHARED);
  b = mmap(0, 2 * PAGE, RW, MAP_SHARED, fd2, 2 * PAGE);
  need(b != MAP_FAILED);
  pid = fork();
  if(pid == 0) {
    int fd3 = open(link_, O_RDWR);

    c = mmap(0, PAGE, RW, MAP_SHARED, fd3, 3 * PAGE);
    for(int i = 0; i < 500 && c[0] != 'a'; i++)
      usleep(10000);
    c[1] = 'c';
    _exit(c[0] != 'a');
  }
  a[3 * PAGE] = 'a';
  expect_eq(b[PAGE], 'a');
  need(waitpid(pid, &status, 0) == pid);
  expect_eq(status, 0);
  expect(a[3 * PAGE + 1] == 'c' && b[PAGE + 1] == 'c');
  unlink(name);
  unlink(link_);
}

static char *volatile page;
static volatile bool stop;

static void *
count_up(void *arg)
{
  volatile uint32_t *p = (volatile uint32_t *)page + (long)arg;
  uint32_t n = 0;

  while(!stop) {
    if(*p != n) // somebody undid the last store
      return (void *)1;
    *p = ++n;
  }
  return 0;
}

TEST_TIMED(write_undoes_no_store, 120) // S12
{
  enum { N = 3 };
  int fd = temp_file("", 0);
  pthread_t t[N];
  char buf[1024];
  void *bad;

  need(ftruncate(fd, PAGE) == 0);
  page = file_at(fd, PAGE, RW, MAP_SHARED);
  for(long i = 0; i < N; i++)
    need(pthread_create(&t[i], 0, count_up, (void *)i) == 0);
  for(int r = 0; r < 3000; r++) {
    memset(buf, r, sizeof(buf));
    need(pwrite(fd, buf, sizeof(buf), 64 + r % 1000) == sizeof(buf));
  }
  stop = true;
  for(int i = 0; i < N; i++) {
    pthread_join(t[i], &bad);
    expect(bad == 0);
  }
}

static void
child_shares(void *arg)
{
  char *p = arg;

  expect_eq(differing(p + PAGE, PAGE, 0), 0);
  expect_eq(p[0], 'p');
  p[PAGE] = 'c';
  p[3 * PAGE] = 'c'; // not touched by anybody before
}

TEST(shared_anonymous_memory) // S14
{
  char *p = map_shared(4 * PAGE);

  expect_eq(differing(p, 4 * PAGE, 0), 0);
  p[0] = 'p';
  expect_eq(in_child(child_shares, p), 0);
  expect(p[PAGE] == 'c' && p[3 * PAGE] == 'c');
}

TEST(shared_anonymous_memory_is_given_back) // S14, O06
{
  long before = 0;

  only_here();
  for(int i = 0; i < 6; i++) {
    char *p;

    if(i == 2)
      before = free_frames();
    p = map_shared(2000 * PAGE);
    memset(p, 1, 2000 * PAGE);
    munmap(p, 2000 * PAGE);
  }
  if(before - free_frames() > 32)
    t_fail(__FILE__, __LINE__, "expected all frames back, %ld are missing", before - free_frames());
}

// ---- memory objects

TEST(memfd) // D01, D03
{
  int fd = memfd_create("object", 0), fd2 = memfd_create("object", MFD_CLOEXEC);
  char *p, buf[8], link_[64], text[64] = "";

  need(fd >= 0 && fd2 >= 0);
  expect_eq(file_size(fd), 0);
  expect_eq(fcntl(fd, F_GETFD), 0);
  expect_eq(fcntl(fd2, F_GETFD), FD_CLOEXEC);
  need(ftruncate(fd, 2 * PAGE) == 0);
  p = file_at(fd, 2 * PAGE, RW, MAP_SHARED);
  expect_eq(differing(p, 2 * PAGE, 0), 0);
  memcpy(p + PAGE - 2, "abcd", 4);
  expect_eq(pread(fd, buf, 4, PAGE - 2), 4);
  expect(memcmp(buf, "abcd", 4) == 0);
  need(pwrite(fd, "xy", 2, PAGE) == 2);
  expect(p[PAGE] == 'x' && p[PAGE - 1] == 'b');
  expect_eq(file_size(fd2), 0); // same name, another object
  snprintf(link_, sizeof(link_), "/proc/self/fd/%d", fd);
  expect(readlink(link_, text, sizeof(text) - 1) > 0 && strncmp(text, "/memfd:object", 13) == 0);
}

TEST(memfd_errors) // D02
{
  char name[300];

  memset(name, 'n', sizeof(name));
  name[250] = 0;
  expect_errno(memfd_create(name, 0), EINVAL);
  name[249] = 0;
  expect(memfd_create(name, 0) >= 0);
  expect_errno(memfd_create("x", 0x4000), EINVAL);
  expect_errno(syscall(SYS_memfd_create, 8ul, 0), EFAULT);
}

TEST(seals) // D04
{
  int fd = memfd_create("sealed", MFD_ALLOW_SEALING), plain = memfd_create("plain", 0);
  char *p, *q;

  need(fd >= 0 && plain >= 0 && ftruncate(fd, 2 * PAGE) == 0);
  expect_eq(fcntl(fd, F_GET_SEALS), 0);
  expect_eq(fcntl(plain, F_GET_SEALS), F_SEAL_SEAL);
  expect_errno(fcntl(plain, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
  p = file_at(fd, 2 * PAGE, RW, MAP_SHARED);
  expect_errno(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
  expect(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0);
  expect_errno(ftruncate(fd, PAGE), EPERM);
  expect_errno(ftruncate(fd, 3 * PAGE), EPERM);
  p[0] = 'p';
  munmap(p, 2 * PAGE);
  expect(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0);
  expect_errno(pwrite(fd, "x", 1, 0), EPERM);
  expect_errno(raw_mmap(0, PAGE, RW, MAP_SHARED, fd, 0), EPERM);
  q = file_at(fd, PAGE, RW, MAP_PRIVATE);
  q[0] = 'q';
  expect_eq(file_byte(fd, 0), 'p');
}

TEST(shm_open_) // D05
{
  int fd = shm_open("/rules-object", O_CREAT | O_EXCL | O_RDWR, 0600);
  char *p;

  need(fd >= 0);
  expect_eq(file_size(fd), 0);
  expect_errno(shm_open("/rules-object", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
  need(ftruncate(fd, PAGE) == 0);
  p = file_at(fd, PAGE, RW, MAP_SHARED);
  p[0] = 's';
  expect(shm_unlink("/rules-object") == 0);
  expect_errno(shm_open("/rules-object", O_RDWR, 0600), ENOENT);
  close(fd);
  expect_eq(p[0], 's');
}

TEST(system_v_shared_memory) // D08
{
  int id = shmget(IPC_PRIVATE, 2 * PAGE, IPC_CREAT | 0600), status;
  char *p, *r;
  struct shmid_ds ds;
  pid_t pid;

  need(id >= 0);
  p = shmat(id, 0, 0);
  r = shmat(id, 0, SHM_RDONLY);
  need(p != (void *)-1 && r != (void *)-1);
  p[PAGE] = 'v';
  expect_eq(r[PAGE], 'v');
  expect_touch(STORE, r, SIGSEGV);
  expect(shmctl(id, IPC_STAT, &ds) == 0 && ds.shm_nattch == 2);
  pid = fork();
  if(pid == 0) {
    p[0] = 'c';
    _exit(shmctl(id, IPC_STAT, &ds) != 0 || ds.shm_nattch != 4);
  }
  need(waitpid(pid, &status, 0) == pid);
  expect_eq(status, 0);
  expect_eq(r[0], 'c');
  expect(shmctl(id, IPC_RMID, 0) == 0);
  expect(shmdt(r) == 0);
  expect_errno(shmdt(r), EINVAL);
  expect_eq(p[PAGE], 'v');
  expect(shmdt(p) == 0);
  expect_errno((long)shmat(id, 0, 0), EINVAL);
}

TEST(full_tmpfs_is_a_bus_error) // D09
{
  char dir[] = "/dev/shm/small.XXXXXX", path[64];
  char *p;
  int fd, there = 0;

  need(mkdtemp(dir));
  syscall(SYS_unshare, CLONE_NEWNS); // on Linux: do not show it to others
  if(!here())
    mount("none", "/", 0, MS_REC | MS_PRIVATE, 0);
  need(mount("none", dir, "tmpfs", 0, "size=64k") == 0);
  snprintf(path, sizeof(path), "%s/f", dir);
  fd = open(path, O_CREAT | O_RDWR, 0600);
  need(fd >= 0 && ftruncate(fd, 64 * PAGE) == 0);
  p = file_at(fd, 64 * PAGE, RW, MAP_SHARED);
  while(there < 64 && touch(STORE, p + there * PAGE) == 0)
    there++;
  expect_eq(there, 16);
  expect_eq(touch_sig, SIGBUS);
  expect_eq(touch_code, BUS_ADRERR);
  expect_errno(pwrite(fd, "x", 1, 40 * PAGE), ENOSPC);
  p[5 * PAGE] = 'x';
  need(ftruncate(fd, 4 * PAGE) == 0 && ftruncate(fd, 64 * PAGE) == 0); // gives 12 back
  expect_touch(STORE, p + 50 * PAGE, 0);
  munmap(p, 64 * PAGE);
  close(fd);
  expect(umount(dir) == 0 && rmdir(dir) == 0);
}
