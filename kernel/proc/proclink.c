// proclink.c -- the links in /proc/PID: exe, cwd, root, and the open files below fd. They lead to the dentry itself; their
// text is its path as the reader sees it.
#include "lib/string.h"
#include "proc/proc.h"

int64_t
proclink_path(struct dentry *d, char *buf, size_t n)
{
  struct thread *t = thread_self();
  struct namectx ctx = {0};
  size_t len;
  char *s;

  if(t && t->fs)
    fsctx_names(t, &ctx);
  s = dentry_path(d, ctx.root ? ctx.root : vfs_root, buf, n, true);
  len = s ? strlen(s) : 0;
  if(s)
    memmove(buf, s, len);
  if(ctx.root)
    namectx_put(&ctx);
  return s ? (int64_t)len : -ENAMETOOLONG;
}

static int64_t
link_text(struct dentry *d, char *buf, size_t n)
{
  int64_t len;
  char *tmp = kzalloc(PATH_MAX);

  if(tmp == 0)
    return -ENOMEM;
  len = proclink_path(d, tmp, PATH_MAX);
  if(len > 0)
    memcpy(buf, tmp, min((size_t)len, n));
  kfree(tmp);
  return len < 0 ? len : (int64_t)min((size_t)len, n);
}

enum link { LINK_EXE, LINK_CWD, LINK_ROOT };

static int
find_link(int pid, enum link which, struct dentry **out)
{
  struct proc *p = proc_find(pid);
  struct file *exe = 0;
  struct fsctx *fs;

  *out = 0;
  if(p == 0)
    return -ESRCH;
  if(which == LINK_EXE) {
    spin_acquire(&p->lock);
    exe = p->exe ? file_get(p->exe) : 0;
    spin_release(&p->lock);
  }
  if(exe) {
    *out = exe->dentry ? dentry_get(exe->dentry) : 0;
    file_put(exe);
  }
  fs = which == LINK_EXE ? 0 : proc_fs(p);
  if(fs) {
    spin_acquire(&fs->lock);
    *out = dentry_get(which == LINK_CWD ? fs->cwd : fs->root);
    spin_release(&fs->lock);
    fsctx_put(fs);
  }
  proc_put(p);
  return *out ? 0 : -ENOENT;
}

static int64_t
read_link(int pid, enum link which, char *buf, size_t n)
{
  struct dentry *d;
  int64_t r = find_link(pid, which, &d);

  if(r)
    return r;
  r = link_text(d, buf, n);
  dentry_put(d);
  return r;
}

int
proclink_exe(int pid, struct dentry **out)
{
  return find_link(pid, LINK_EXE, out);
}

int64_t
proclink_text_exe(int pid, char *buf, size_t n)
{
  return read_link(pid, LINK_EXE, buf, n);
}

int
proclink_cwd(int pid, struct dentry **out)
{
  return find_link(pid, LINK_CWD, out);
}

int64_t
proclink_text_cwd(int pid, char *buf, size_t n)
{
  return read_link(pid, LINK_CWD, buf, n);
}

int
proclink_root(int pid, struct dentry **out)
{
  return find_link(pid, LINK_ROOT, out);
}

int64_t
proclink_text_root(int pid, char *buf, size_t n)
{
  return read_link(pid, LINK_ROOT, buf, n);
}

static struct file *
file_of(int pid, int fd)
{
  struct proc *p = proc_find(pid);
  struct fdtable *files = p ? proc_files(p) : 0;
  struct file *f = files ? fd_get(files, fd) : 0;

  if(files)
    fdtable_put(files);
  if(p)
    proc_put(p);
  return f;
}

int
proclink_next_fd(int pid, int after)
{
  struct proc *p = proc_find(pid);
  struct fdtable *files = p ? proc_files(p) : 0;
  int fd = files ? fd_next(files, after) : -1;

  if(files)
    fdtable_put(files);
  if(p)
    proc_put(p);
  return fd;
}

int
proclink_fd(int pid, int fd, struct dentry **out)
{
  struct file *f = file_of(pid, fd);

  *out = f && f->dentry ? dentry_get(f->dentry) : 0;
  if(f)
    file_put(f);
  return *out ? 0 : -ENOENT;
}

int64_t
proclink_text_fd(int pid, int fd, char *buf, size_t n)
{
  struct dentry *d;
  int64_t r = proclink_fd(pid, fd, &d);

  if(r)
    return r;
  r = link_text(d, buf, n);
  dentry_put(d);
  return r;
}
