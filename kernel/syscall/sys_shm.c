// sys_shm.c -- System V shared memory: shmget, shmat, shmdt, shmctl with Linux's structures.
// Must not know: what a segment is made of (proc/sysvshm.c).
#include "proc/sysvshm.h"
#include "syscall/sys.h"

enum { IPC_RMID, IPC_SET, IPC_STAT, IPC_INFO, SHM_LOCK = 11, SHM_UNLOCK, SHM_STAT, SHM_INFO, SHM_STAT_ANY };

struct ipc_perm { // struct ipc64_perm
  int32_t key;
  uint32_t uid, gid, cuid, cgid, mode;
  uint16_t seq, pad[3];
  uint64_t unused[2];
};
struct shmid_ds { // struct shmid64_ds
  struct ipc_perm perm;
  uint64_t segsz;
  int64_t atime, dtime, ctime;
  int32_t cpid, lpid;
  uint64_t nattch, unused[2];
};
struct shminfo { // struct shminfo64
  uint64_t max, min, mni, seg, all, unused[4];
};
struct shm_info {
  int32_t used_ids, pad;
  uint64_t tot, rss, swp, swap_attempts, swap_successes;
};
ABI_SIZE(struct shmid_ds, 112);
ABI_OFFSET(struct shmid_ds, segsz, 48);
ABI_OFFSET(struct shmid_ds, nattch, 88);
ABI_SIZE(struct shminfo, 72);
ABI_SIZE(struct shm_info, 48);

int64_t
sys_shmget(const uint64_t *a)
{
  return sysvshm_get(a[0], a[1], a[2]);
}

int64_t
sys_shmat(const uint64_t *a)
{
  return sysvshm_attach(a[0], a[1], a[2]);
}

int64_t
sys_shmdt(const uint64_t *a)
{
  return sysvshm_detach(a[0]);
}

static int64_t
shm_stat(int n, enum shm_name how, vaddr_t out)
{
  struct shm_state st;
  struct shmid_ds ds;
  int64_t id = sysvshm_state(n, how, &st);
  int e;

  if(id < 0)
    return id;
  ds = (struct shmid_ds){
      .perm = {.key = st.key,
               .uid = st.uid,
               .gid = st.gid,
               .cuid = st.cuid,
               .cgid = st.cgid,
               .mode = st.mode,
               .seq = st.seq},
      .segsz = st.size,
      .atime = st.atime,
      .dtime = st.dtime,
      .ctime = st.ctime,
      .cpid = st.cpid,
      .lpid = st.lpid,
      .nattch = st.nattch,
  };
  e = user_out(out, &ds, sizeof(ds));
  return e ? e : how == SHM_BY_ID ? 0 : id;
}

static int64_t
shm_set(int id, vaddr_t in)
{
  struct shmid_ds ds;
  int e = user_in(&ds, in, sizeof(ds));

  return e ? e : sysvshm_set(id, ds.perm.uid, ds.perm.gid, ds.perm.mode);
}

// Both return the highest index in use, 0 if there is none.
static int64_t
shm_limits(vaddr_t out)
{
  struct shm_totals t = sysvshm_totals();
  struct shminfo info = {
      .max = atomic_get(&shm_max_bytes),
      .min = 1,
      .mni = atomic_get(&shm_max_ids),
      .seg = atomic_get(&shm_max_ids),
      .all = atomic_get(&shm_max_pages),
  };
  int e = user_out(out, &info, sizeof(info));

  return e ? e : max(t.last, 0);
}

static int64_t
shm_usage(vaddr_t out)
{
  struct shm_totals t = sysvshm_totals();
  struct shm_info info = {.used_ids = t.used, .tot = t.pages, .rss = t.rss};
  int e = user_out(out, &info, sizeof(info));

  return e ? e : max(t.last, 0);
}

int64_t
sys_shmctl(const uint64_t *a)
{
  int id = a[0];

  if(id < 0 || (int)a[1] < 0)
    return -EINVAL;
  switch((int)a[1]) {
  case IPC_RMID: return sysvshm_remove(id);
  case IPC_SET: return shm_set(id, a[2]);
  case IPC_STAT: return shm_stat(id, SHM_BY_ID, a[2]);
  case IPC_INFO: return shm_limits(a[2]);
  case SHM_LOCK: return sysvshm_lock(id, true);
  case SHM_UNLOCK: return sysvshm_lock(id, false);
  case SHM_STAT: return shm_stat(id, SHM_BY_INDEX, a[2]);
  case SHM_INFO: return shm_usage(a[2]);
  case SHM_STAT_ANY: return shm_stat(id, SHM_BY_INDEX_ANY, a[2]);
  default: return -EINVAL;
  }
}
