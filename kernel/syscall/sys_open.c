// sys_open.c -- calls that make a descriptor from a name: open and its family, memfd_create.
// Typical: userpath_get / vfs_open / fd_add.
#include "lib/fmt.h"
#include "lib/string.h"
#include "syscall/sys.h"

enum {
  OPEN_KNOWN = O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC | O_DIRECT |
               O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH | O_TMPFILE_BIT,
  OPEN_WITH_PATH = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
};

unsigned
umask_now(void)
{
  return atomic_get_relaxed(&thread_self()->fs->umask);
}

// Flags as vfs_open wants them, or an error.
static int64_t
open_flags(uint32_t flags)
{
  flags &= OPEN_KNOWN;
  if(flags & O_PATH)
    return flags & OPEN_WITH_PATH;
  if(flags & O_TMPFILE_BIT && !(flags & O_DIRECTORY))
    return -EINVAL; // a kernel that does not know the bit must see a directory opened for writing
  return flags | O_LARGEFILE;
}

static int64_t
open_at(int dirfd, vaddr_t path, uint32_t how, uint32_t mode)
{
  int64_t flags = open_flags(how);
  struct userpath p;
  struct file *f;
  int e;

  if(flags < 0)
    return flags;
  e = userpath_get(&p, dirfd, path, PATH_NONEMPTY);
  if(e)
    return e;
  mode = flags & (O_CREAT | O_TMPFILE_BIT) ? mode & S_IALLUGO & ~umask_now() : 0;
  e = vfs_open(&p.ctx, p.at, p.name, flags & ~O_CLOEXEC, mode, &f);
  userpath_put(&p);
  return e ? e : fd_add(f, flags & O_CLOEXEC);
}

int64_t
sys_open(const uint64_t *a)
{
  return open_at(AT_FDCWD, a[0], a[1], a[2]);
}

int64_t
sys_openat(const uint64_t *a)
{
  return open_at(a[0], a[1], a[2], a[3]);
}

int64_t
sys_creat(const uint64_t *a)
{
  return open_at(AT_FDCWD, a[0], O_CREAT | O_WRONLY | O_TRUNC, a[1]);
}

// May it be run, and which seals does it begin with?
static int
memfd_make(const char *name, uint32_t flags, struct file **f)
{
  enum { MEMFD_MODE = 0777, MEMFD_NOEXEC_MODE = 0666 };
  unsigned seals = flags & (MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL) ? 0 : SEAL_SEAL;

  if(flags & MFD_NOEXEC_SEAL)
    return tmpfs_anon_file(name, O_RDWR | O_LARGEFILE, MEMFD_NOEXEC_MODE, seals | SEAL_EXEC, f);
  return tmpfs_anon_file(name, O_RDWR | O_LARGEFILE, MEMFD_MODE, seals, f);
}

int64_t
sys_memfd_create(const uint64_t *a)
{
  char name[MFD_NAME_MAX + sizeof("memfd:")];
  size_t prefix = strlcpy(name, "memfd:", sizeof(name));
  uint32_t flags = a[1];
  struct file *f;
  int64_t n;

  // No huge pages are built, so that MFD_HUGETLB is an unknown flag.
  if(flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC))
    return -EINVAL;
  if(flags & MFD_NOEXEC_SEAL && flags & MFD_EXEC)
    return -EINVAL;
  n = copyin_string(user_as(), name + prefix, a[0], sizeof(name) - prefix);
  if(n < 0)
    return n == -ENAMETOOLONG ? -EINVAL : n;

  n = memfd_make(name, flags, &f);
  return n ? n : fd_add(f, flags & MFD_CLOEXEC);
}
