// rules_sysv.c -- System V shared memory in full: rule D08. Every segment is removed by the test that made it.
#define T_OWN_MAIN
#include "rules.h"
#include <sys/ipc.h>
#include <sys/shm.h>

#define BAD ((void *)-1)
#ifndef SHM_STAT_ANY
#define SHM_STAT_ANY 15
#endif

static int
segment(size_t n)
{
  int id = shmget(IPC_PRIVATE, n, IPC_CREAT | 0600);

  need(id >= 0);
  return id;
}

static struct shmid_ds
state(int id)
{
  struct shmid_ds ds;

  need(shmctl(id, IPC_STAT, &ds) == 0);
  return ds;
}

static key_t
a_key(void)
{
  return 0x6c7a0000 + getpid();
}

TEST(get) // D08
{
  key_t key = a_key();
  struct shmid_ds ds;
  int id, other;

  expect_errno(shmget(key, PAGE, 0600), ENOENT);
  expect_errno(shmget(key, 0, IPC_CREAT | 0600), EINVAL);
  expect_errno(shmget(IPC_PRIVATE, (size_t)-1 - 5, 0600), EINVAL); // more than shmmax
  id = shmget(key, 3 * PAGE + 1, IPC_CREAT | IPC_EXCL | 0640);
  need(id >= 0);
  expect_errno(shmget(key, PAGE, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
  expect_eq(shmget(key, PAGE, IPC_CREAT | 0600), id);
  expect_eq(shmget(key, 0, 0), id); // any size up to its own
  expect_eq(shmget(key, 3 * PAGE + 1, 0600), id);
  expect_errno(shmget(key, 3 * PAGE + 2, 0600), EINVAL);
  ds = state(id);
  expect_eq(ds.shm_segsz, 3 * PAGE + 1);
  expect_eq(ds.shm_perm.__key, key);
  expect_eq(ds.shm_perm.mode, 0640);
  expect(ds.shm_perm.uid == geteuid() && ds.shm_perm.cuid == geteuid() && ds.shm_perm.gid == getegid());
  expect_eq(ds.shm_cpid, getpid());
  expect_eq(ds.shm_lpid, 0);
  expect_eq(ds.shm_nattch, 0);
  expect(ds.shm_atime == 0 && ds.shm_dtime == 0 && ds.shm_ctime >= time(0) - 2 && ds.shm_ctime <= time(0));
  expect(shmctl(id, IPC_RMID, 0) == 0);
  expect_errno(shmctl(id, IPC_STAT, &ds), EINVAL);
  expect_errno(shmat(id, 0, 0) == BAD ? -1 : 0, EINVAL);
  expect_errno(shmget(key, PAGE, 0600), ENOENT);
  id = segment(PAGE);
  other = segment(PAGE); // IPC_PRIVATE is always a new one
  expect(id != other);
  expect(shmctl(id, IPC_RMID, 0) == 0 && shmctl(other, IPC_RMID, 0) == 0);
}

TEST(attach) // D08
{
  int id = segment(2 * PAGE + 5);
  char *p = shmat(id, 0, 0), *q, *r, *room = map_prot(16 * PAGE, PROT_NONE);
  struct shmid_ds ds;

  need(p != BAD);
  expect_eq(differing(p, 3 * PAGE, 0), 0); // whole pages
  p[PAGE] = 'p';
  r = shmat(id, 0, SHM_RDONLY);
  need(r != BAD);
  expect_eq(r[PAGE], 'p');
  expect_touch(STORE, r, SIGSEGV);
  expect_errno(mprotect(r, PAGE, RW), EACCES);
  expect(mprotect(p, 3 * PAGE, PROT_READ) == 0 && mprotect(p, 3 * PAGE, RW) == 0);
  ds = state(id);
  expect_eq(ds.shm_lpid, getpid());
  expect(ds.shm_atime >= time(0) - 2);
  expect_errno((long)shmat(id, room, 0), EINVAL); // something is there
  expect_errno((long)shmat(id, room + 1, SHM_REMAP), EINVAL);
  expect_errno((long)shmat(id, 0, SHM_REMAP), EINVAL);
  expect_errno((long)shmat(id, (void *)1, SHM_RND | SHM_REMAP), EINVAL);
  expect_eq((long)shmat(id, room + 4 * PAGE + 77, SHM_RND | SHM_REMAP), (long)(room + 4 * PAGE));
  expect_eq(room[5 * PAGE], 'p');
  expect_touch(LOAD, room + 7 * PAGE, SIGSEGV);
  expect_errno((long)shmat(id, (void *)(TASK_TOP - PAGE), 0), ENOMEM);
  need(munmap(room + 8 * PAGE, 8 * PAGE) == 0);
  q = shmat(id, room + 10 * PAGE, 0);
  expect(q == room + 10 * PAGE);
  expect_eq(state(id).shm_nattch, 4);
  expect_errno((long)shmat(-1, 0, 0), EINVAL);
  expect_errno((long)shmat(id + 1000, 0, 0), EINVAL);
  expect(shmdt(p) == 0 && shmdt(q) == 0 && shmdt(r) == 0 && shmdt(room + 4 * PAGE) == 0);
  expect_touch(LOAD, p, SIGSEGV);
  expect_eq(state(id).shm_nattch, 0);
  expect(shmctl(id, IPC_RMID, 0) == 0);
}

TEST(executable) // D08
{
  static const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3};
  int id = shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0700);
  char *p = shmat(id, 0, 0), *x = shmat(id, 0, SHM_RDONLY | SHM_EXEC);

  need(p != BAD && x != BAD);
  memcpy(p, code, sizeof(code));
  expect_touch(RUN, p, SIGSEGV);
  expect_eq(((int (*)(void))x)(), 42);
  expect(shmctl(id, IPC_RMID, 0) == 0);
}

TEST(detach) // D08
{
  int id = segment(8 * PAGE);
  char *p = shmat(id, 0, 0), *q = shmat(id, 0, 0), *other = map(PAGE);

  need(p != BAD && q != BAD);
  expect_errno(shmdt(p + 1), EINVAL);
  expect_errno(shmdt(p + PAGE), EINVAL);
  expect_errno(shmdt(other), EINVAL);
  need(munmap(p + 2 * PAGE, PAGE) == 0 && mprotect(p + 5 * PAGE, PAGE, PROT_READ) == 0); // in pieces now
  q[3 * PAGE] = 'q';
  expect_eq(p[3 * PAGE], 'q');
  expect(shmdt(p) == 0); // all of them
  expect_touch(LOAD, p, SIGSEGV);
  expect_touch(LOAD, p + 3 * PAGE, SIGSEGV);
  expect_touch(LOAD, p + 5 * PAGE, SIGSEGV);
  expect_touch(LOAD, p + 7 * PAGE, SIGSEGV);
  expect_errno(shmdt(p), EINVAL);
  expect_eq(state(id).shm_nattch, 1);
  expect(state(id).shm_dtime >= time(0) - 2);
  need(munmap(q, 8 * PAGE) == 0); // as good as shmdt
  expect_eq(state(id).shm_nattch, 0);
  expect(shmctl(id, IPC_RMID, 0) == 0);
}

TEST(removal_waits_for_the_last) // D08
{
  key_t key = a_key();
  int id = shmget(key, PAGE, IPC_CREAT | 0600), again;
  char *p = shmat(id, 0, 0), *q;
  struct shmid_ds ds;

  need(p != BAD);
  p[0] = 'r';
  expect(shmctl(id, IPC_RMID, 0) == 0);
  ds = state(id);
  expect_eq(ds.shm_perm.mode, 0600 | SHM_DEST);
  expect_eq(ds.shm_perm.__key, IPC_PRIVATE);
  again = shmget(key, PAGE, IPC_CREAT | 0600); // the key is free
  expect(again >= 0 && again != id);
  q = shmat(id, 0, 0); // Linux: may still be attached
  expect(q != BAD && q[0] == 'r');
  expect(shmctl(id, IPC_RMID, 0) == 0); // again
  expect(shmdt(p) == 0);
  expect_eq(q[0], 'r');
  expect(shmdt(q) == 0);
  expect_errno(shmctl(id, IPC_STAT, &ds), EINVAL);
  expect_errno((long)shmat(id, 0, 0), EINVAL);
  expect(shmctl(again, IPC_RMID, 0) == 0);
}

TEST(fork_exec_exit) // D08, K02, E01
{
  int id = segment(PAGE), status, go[2], back[2];
  char *p = shmat(id, 0, 0), c;
  pid_t pid;

  need(p != BAD && pipe(go) == 0 && pipe(back) == 0);
  pid = fork();
  if(pid == 0) {
    p[0] = 'f';
    need(write(back[1], "", 1) == 1 && read(go[0], &c, 1) == 1);
    fcntl(back[1], F_SETFD, FD_CLOEXEC); // its end is how the parent sees the exec
    execl("/proc/self/exe", "rules_sysv", "wait", (char *)0);
    _exit(9);
  }
  need(read(back[0], &c, 1) == 1);
  close(back[1]);
  expect_eq(p[0], 'f');
  expect_eq(state(id).shm_nattch, 2);
  need(write(go[1], "", 1) == 1 && read(back[0], &c, 1) == 0);
  expect_eq(state(id).shm_nattch, 1);
  expect_eq(state(id).shm_lpid, pid);
  kill(pid, SIGKILL);
  need(waitpid(pid, &status, 0) == pid);
  pid = fork();
  if(pid == 0) {
    expect_eq(state(id).shm_nattch, 2);
    kill(getpid(), SIGKILL); // detaches too
  }
  need(waitpid(pid, &status, 0) == pid);
  expect_eq(state(id).shm_nattch, 1);
  expect(shmctl(id, IPC_RMID, 0) == 0);
}

static void
as_nobody(void *arg)
{
  int id = *(int *)arg;
  struct shmid_ds ds = {0};

  become_nobody();
  expect_errno((long)shmat(id, 0, 0), EACCES);
  expect(shmat(id, 0, SHM_RDONLY) != BAD);
  expect_errno((long)shmat(id, 0, SHM_RDONLY | SHM_EXEC), EACCES);
  expect(shmctl(id, IPC_STAT, &ds) == 0);
  expect_errno(shmctl(id, IPC_SET, &ds), EPERM);
  expect_errno(shmctl(id, IPC_RMID, 0), EPERM);
  expect_errno(shmctl(id, SHM_LOCK, 0), EPERM);
  expect_errno(shmget(ds.shm_perm.__key, 0, 0600), EACCES);
  expect_eq(shmget(ds.shm_perm.__key, 0, 0444), id);
}

static void
as_stranger(void *arg)
{
  int id = *(int *)arg;
  struct shmid_ds ds;

  become_nobody();
  expect_errno(shmctl(id, IPC_STAT, &ds), EACCES);
  expect_errno((long)shmat(id, 0, SHM_RDONLY), EACCES);
}

static void
as_owner(void *arg)
{
  int id = *(int *)arg;
  struct shmid_ds ds;

  become_nobody();
  expect(shmat(id, 0, 0) != BAD && shmctl(id, IPC_STAT, &ds) == 0 && shmctl(id, IPC_SET, &ds) == 0);
}

TEST(permissions) // D08
{
  int id = shmget(a_key(), PAGE, IPC_CREAT | 0604);
  struct shmid_ds ds;

  need(id >= 0);
  if(getuid() != 0) {
    shmctl(id, IPC_RMID, 0);
    skip("only root can be somebody else");
  }
  expect_eq(in_child(as_nobody, &id), 0);
  ds = state(id);
  ds.shm_perm.mode = 07600;
  usleep(1100000);
  expect(shmctl(id, IPC_SET, &ds) == 0);
  expect_eq(state(id).shm_perm.mode, 0600);
  expect(state(id).shm_ctime > ds.shm_ctime);
  expect_eq(in_child(as_stranger, &id), 0);
  ds.shm_perm.uid = NOBODY;
  expect(shmctl(id, IPC_SET, &ds) == 0);
  expect_eq(in_child(as_owner, &id), 0);
  ds.shm_perm.uid = -1;
  expect_errno(shmctl(id, IPC_SET, &ds), EINVAL);
  expect(shmctl(id, IPC_RMID, 0) == 0);
}

TEST(control_and_its_errors) // D08, L03
{
  int id = segment(PAGE), most, n = 0;
  struct shmid_ds ds;
  struct shminfo info;
  struct shm_info now;

  expect_errno(shmctl(id, IPC_STAT, (void *)8), EFAULT);
  expect_errno(shmctl(id, IPC_SET, (void *)8), EFAULT);
  expect_errno(shmctl(id, 77, &ds), EINVAL);
  expect_errno(shmctl(-1, IPC_STAT, &ds), EINVAL);
  expect_errno(shmctl(id + 1, IPC_RMID, 0), EINVAL);
  expect(shmctl(id, SHM_LOCK, 0) == 0);
  expect_eq(state(id).shm_perm.mode, 0600 | SHM_LOCKED);
  expect(shmctl(id, SHM_LOCK, 0) == 0 && shmctl(id, SHM_UNLOCK, 0) == 0);
  expect_eq(state(id).shm_perm.mode, 0600);
  most = shmctl(0, IPC_INFO, (void *)&info);
  expect(most >= 0 && info.shmmin == 1 && info.shmmni >= 1 && info.shmmax > PAGE && info.shmall > 1);
  ((char *)shmat(id, 0, 0))[0] = 1;
  expect(shmctl(0, SHM_INFO, (void *)&now) >= most && now.used_ids >= 1 && now.shm_tot >= 1 && now.shm_rss >= 1);
  for(int i = 0; i <= most; i++) // by place in the table
    n += shmctl(i, SHM_STAT, &ds) == id;
  expect_eq(n, 1);
  n = 0;
  for(int i = 0; i <= most; i++)
    n += shmctl(i, SHM_STAT_ANY, &ds) == id && ds.shm_nattch == 1;
  expect_eq(n, 1);
  expect(shmctl(id, IPC_RMID, 0) == 0);
}

// The line of segment id in /proc/sysvipc/shm.
static bool
listed(int id, unsigned long long f[16])
{
  char line[512];
  bool found = false;
  FILE *in = fopen("/proc/sysvipc/shm", "r");

  need(in);
  need(fgets(line, sizeof(line), in) && strstr(line, "shmid perms"));
  while(!found && fgets(line, sizeof(line), in))
    found = sscanf(line, "%llu %llu %llo %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu", &f[0],
                   &f[1], &f[2], &f[3], &f[4], &f[5], &f[6], &f[7], &f[8], &f[9], &f[10], &f[11], &f[12], &f[13],
                   &f[14], &f[15]) == 16 &&
            (int)f[1] == id;
  fclose(in);
  return found;
}

TEST(in_proc) // D08, H01
{
  int id = shmget(a_key(), 5 * PAGE, IPC_CREAT | 0640);
  char *p = shmat(id, 0, 0), name[64];
  unsigned long long f[16], ino;
  struct map_line m;

  need(id >= 0 && p != BAD);
  p[0] = p[3 * PAGE] = 1;
  need(listed(id, f));
  expect_eq(f[0], a_key());
  expect_eq(f[2], 0640);
  expect_eq(f[3], 5 * PAGE);
  expect_eq(f[4], getpid());
  expect_eq(f[5], getpid());
  expect_eq(f[6], 1);
  expect_eq(f[14], 2 * PAGE);
  expect_eq(f[15], 0);
  need(maps_find((unsigned long)p, &m));
  expect_eq(m.lo, (unsigned long)p);
  snprintf(name, sizeof(name), "/SYSV%08x (deleted)", a_key());
  expect(strstr(m.text, name) && strstr(m.text, " rw-s "));
  need(sscanf(m.text, "%*s %*s %*s %*s %llu", &ino) == 1);
  expect_eq(ino, id);
  expect(shmctl(id, IPC_RMID, 0) == 0);
  expect(listed(id, f) && f[0] == 0);
  expect(shmdt(p) == 0);
  expect(!listed(id, f));
}

TEST(madvise_and_files) // D08, A13
{
  int id = segment(4 * PAGE);
  char *p = shmat(id, 0, 0);

  need(p != BAD);
  memset(p, 'm', 4 * PAGE);
  expect(madvise(p + PAGE, PAGE, MADV_REMOVE) == 0);
  expect(p[0] == 'm' && p[PAGE] == 0 && p[2 * PAGE] == 'm');
  expect(madvise(p, 4 * PAGE, MADV_DONTNEED) == 0);
  expect_eq(p[2 * PAGE], 'm');
  expect_eq(state(id).shm_nattch, 1);
  p = mremap(p, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, map_prot(4 * PAGE, PROT_NONE));
  need(p != MAP_FAILED);
  expect_eq(p[3 * PAGE], 'm');
  expect_eq(state(id).shm_nattch, 1);
  expect(shmdt(p) == 0 && shmctl(id, IPC_RMID, 0) == 0);
}

TEST(frames_come_back) // D08, O06
{
  long before;

  only_here();
  before = free_frames();
  for(int round = 0; round < 20; round++) {
    int id = segment(256 * PAGE);
    char *p = shmat(id, 0, 0);

    memset(p, 1, 256 * PAGE);
    if(round % 2)
      expect(shmctl(id, IPC_RMID, 0) == 0 && shmdt(p) == 0);
    else
      expect(shmdt(p) == 0 && shmctl(id, IPC_RMID, 0) == 0);
  }
  expect(before - free_frames() < 64);
}

TEST(limits) // D08
{
  unsigned long all = 0, mni = 0;
  int n, ids[64];
  FILE *f;

  f = fopen("/proc/sys/kernel/shmmni", "r");
  need(f && fscanf(f, "%lu", &mni) == 1);
  fclose(f);
  expect_eq(mni, 4096);
  f = fopen("/proc/sys/kernel/shmall", "r");
  need(f && fscanf(f, "%lu", &all) == 1);
  fclose(f);
  expect(all > 1ul << 40);
  only_here(); // the rest changes the machine
  f = fopen("/proc/sys/kernel/shmmni", "w");
  need(f && fprintf(f, "8\n") > 0 && fclose(f) == 0);
  for(n = 0; n < 64 && (ids[n] = shmget(IPC_PRIVATE, PAGE, 0600)) >= 0; n++)
    ;
  expect(n == 8 && errno == ENOSPC);
  for(int i = 0; i < n; i++)
    shmctl(ids[i], IPC_RMID, 0);
  f = fopen("/proc/sys/kernel/shmmni", "w");
  need(f && fprintf(f, "4096\n") > 0 && fclose(f) == 0);
  f = fopen("/proc/sys/kernel/shmmax", "w");
  need(f && fprintf(f, "%d\n", 2 * PAGE) > 0 && fclose(f) == 0);
  expect_errno(shmget(IPC_PRIVATE, 2 * PAGE + 1, 0600), EINVAL);
  n = segment(2 * PAGE);
  shmctl(n, IPC_RMID, 0);
  f = fopen("/proc/sys/kernel/shmmax", "w");
  need(f && fprintf(f, "18446744073692774399\n") > 0 && fclose(f) == 0);
  f = fopen("/proc/sys/kernel/shmall", "w");
  need(f && fprintf(f, "4\n") > 0 && fclose(f) == 0);
  expect_errno(shmget(IPC_PRIVATE, 5 * PAGE, 0600), ENOSPC);
  n = segment(4 * PAGE);
  expect_errno(shmget(IPC_PRIVATE, 1, 0600), ENOSPC);
  shmctl(n, IPC_RMID, 0);
  f = fopen("/proc/sys/kernel/shmall", "w");
  need(f && fprintf(f, "%lu\n", all) > 0 && fclose(f) == 0);
}

int
main(int argc, char **argv)
{
  if(argc == 2 && strcmp(argv[1], "wait") == 0)
    return pause();
  return t_main(argc, argv);
}
