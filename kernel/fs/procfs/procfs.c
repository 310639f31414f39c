// procfs.c -- a tree of generated text.
//
// Two tables of struct proc_file, one for /proc and one for every /proc/PID, say what there is; a '/' in a name makes
// directories. Besides those: numbers (processes, threads, descriptors) and the links `self` and `thread-self`. An inode is made
// for each look-up and dies with its last user, as nothing here may be cached: processes come and go.
// Text is made when a file is read from position 0 and kept with the open file, so that one reader sees one moment.
// Typical: open /proc/meminfo: table_child, node_inode, proc_open / read: proc_generate, text_at / close: proc_release.
// Knows no process: everything comes through procfs_hooks.
#include "fs/procfs/procfs.h"
#include "core/thread.h"
#include "fs/vfs.h"
#include "lib/atomic.h"
#include "lib/string.h"

struct procfs_hooks procfs_hooks;

enum node_kind { NODE_DIR, NODE_FDS, NODE_TASKS, NODE_FILE, NODE_LINK, NODE_FD, NODE_SELF, NODE_THREAD_SELF };
enum {
  PROC_MAGIC = 0x9fa0,
  DECIMAL = 10,
  LINK_MODE = S_IFLNK | 0777,
  DIR_MODE = S_IFDIR | 0555,
  PRIVATE_DIR_MODE = S_IFDIR | 0500
};
enum { POS_SPECIAL = 2, POS_NUMBERS = 1 << 16 };                                          // see "listing"
enum { INO_PREFIX_BITS = 8, INO_KIND_SHIFT = 26, INO_TID_SHIFT = 30, INO_ID_SHIFT = 32 }; // see ino_of

struct proc_node { // inode.priv; constant
  enum node_kind kind;
  int pid;                      // 0: not below a process
  int tid;                      // below /proc/PID/task/TID, else 0
  int fd;                       // NODE_FD
  const struct proc_file *file; // NODE_FILE, NODE_LINK; NODE_DIR below the top: the first that lies in it
  const char *prefix;           // NODE_DIR below the top: the first prefix_len bytes of a name, '/' included
  size_t prefix_len;
};

struct proc_open {       // file.priv of an open NODE_FILE
  struct sleeplock lock; // of rank RANK_FILE_POS, like the lock that a read may hold already; pread holds none
  struct textbuf text;   // (lock)
  bool made;             // (lock)
};

static const struct inode_ops proc_inode_ops, proc_magic_ops;
static const struct file_ops proc_file_ops;
static const struct mobj_ops proc_mobj_ops = {.name = "proc", .release = inode_mobj_release};

static const struct proc_file *
files_of(const struct proc_node *n)
{
  return n->pid ? procfs_hooks.per_pid : procfs_hooks.top;
}

static unsigned
mode_of(const struct proc_node *n)
{
  switch(n->kind) {
  case NODE_FILE: return S_IFREG | n->file->mode;
  case NODE_LINK:
  case NODE_FD:
  case NODE_SELF:
  case NODE_THREAD_SELF: return LINK_MODE;
  case NODE_FDS: return PRIVATE_DIR_MODE;
  default: return DIR_MODE;
  }
}

// Different for all nodes: directory walkers take one number for one directory. Process or thread | thread? | kind |
// descriptor, or which file of the table and how much of its name.
static uint64_t
ino_of(const struct proc_node *n)
{
  uint64_t id = n->tid ? n->tid : n->pid, k = n->fd;

  if(n->file)
    k = (uint64_t)(n->file - files_of(n)) << INO_PREFIX_BITS | n->prefix_len;
  return 1 + (id << INO_ID_SHIFT) + ((uint64_t)(n->tid != 0) << INO_TID_SHIFT) + ((uint64_t)n->kind << INO_KIND_SHIFT) +
         k;
}

static int
node_inode(struct fs *fs, const struct proc_node *n, struct inode **out)
{
  bool magic = n->kind == NODE_FD || n->kind == NODE_LINK;
  struct inode *ip = inode_alloc(fs, ino_of(n), &proc_mobj_ops, magic ? &proc_magic_ops : &proc_inode_ops);
  struct proc_node *mine = ip ? kzalloc(sizeof(*mine)) : 0;

  if(mine == 0) {
    if(ip)
      inode_put(ip);
    return -ENOMEM;
  }
  *mine = *n;
  ip->priv = mine;
  ip->mode = mode_of(n);
  ip->nlink = S_ISTYPE(ip->mode, S_IFDIR) ? 2 : 1;
  ip->fops = n->kind == NODE_FILE ? &proc_file_ops : 0;
  inode_modified(ip);
  ip->atime = ip->btime = ip->mtime;
  if(n->pid)
    procfs_hooks.pid_owner(n->pid, &ip->uid, &ip->gid);
  *out = ip;
  return 0;
}

static void
proc_evict(struct inode *ip)
{
  kfree(ip->priv);
  inode_free(ip);
}

// A plain decimal number: its value, or -1.
static int
number_of(const char *name, size_t len)
{
  int64_t v = 0;

  if(len == 0 || len > DECIMAL || (name[0] == '0' && len > 1))
    return -1;
  for(size_t i = 0; i < len; i++) {
    if(name[i] < '0' || name[i] > '9')
      return -1;
    v = v * DECIMAL + (name[i] - '0');
  }
  return v > INT32_MAX ? -1 : (int)v;
}

static bool
is(const char *name, size_t len, const char *what)
{
  return strlen(what) == len && memcmp(name, what, len) == 0;
}

// Does file f lie below directory d? Then *rest and *len are its next component, *dir whether more follows.
static bool
component(const struct proc_node *d, const struct proc_file *f, const char **rest, size_t *len, bool *dir)
{
  const char *slash;

  if(strncmp(f->name, d->prefix, d->prefix_len) != 0)
    return false;
  *rest = f->name + d->prefix_len;
  slash = strchr(*rest, '/');
  *dir = slash != 0;
  *len = slash ? (size_t)(slash - *rest) : strlen(*rest);
  return true;
}

// A named child of a NODE_DIR from the tables: true and *n filled.
static bool
table_child(const struct proc_node *d, const char *name, size_t len, struct proc_node *n)
{
  for(const struct proc_file *f = files_of(d); f->name; f++) {
    const char *rest;
    size_t k;
    bool dir;

    if(!component(d, f, &rest, &k, &dir) || k != len || memcmp(rest, name, len) != 0)
      continue;
    *n = (struct proc_node){.kind = dir       ? NODE_DIR
                                    : f->link ? NODE_LINK
                                              : NODE_FILE,
                            .pid = d->pid,
                            .tid = d->tid,
                            .file = f};
    if(dir) {
      n->prefix = f->name;
      n->prefix_len = rest - f->name + len + 1;
    }
    return true;
  }
  return false;
}

// A child whose name is a number: process, thread, or descriptor.
static bool
number_child(const struct proc_node *d, int number, struct proc_node *n)
{
  *n = (struct proc_node){.pid = d->pid, .tid = d->tid, .prefix = ""};
  switch(d->kind) {
  case NODE_FDS:
    n->kind = NODE_FD;
    n->fd = number;
    return number >= 0 && procfs_hooks.next_fd(d->pid, number - 1) == number;
  case NODE_TASKS: n->tid = number; return number > 0 && procfs_hooks.next_tid(d->pid, number - 1) == number;
  default: n->pid = number; return number > 0 && d->pid == 0 && d->prefix_len == 0 && procfs_hooks.pid_exists(number);
  }
}

// A child that is not in the tables and whose name is a word: true and *n filled.
static bool
word_child(const struct proc_node *d, const char *name, size_t len, struct proc_node *n)
{
  *n = (struct proc_node){.pid = d->pid, .tid = d->tid, .prefix = ""};
  if(d->kind != NODE_DIR || d->prefix_len)
    return false;
  if(d->pid == 0) {
    n->kind = is(name, len, "self") ? NODE_SELF : NODE_THREAD_SELF;
    return n->kind == NODE_SELF || is(name, len, "thread-self");
  }
  n->kind = is(name, len, "fd") ? NODE_FDS : NODE_TASKS;
  return n->kind == NODE_FDS || (d->tid == 0 && is(name, len, "task")); // a thread has no threads
}

static int
proc_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
  const struct proc_node *d = dir->priv;
  struct proc_node n;

  if((d->kind == NODE_DIR && table_child(d, name, len, &n)) || number_child(d, number_of(name, len), &n) ||
     word_child(d, name, len, &n))
    return node_inode(dir->fs, &n, out);
  return -ENOENT;
}

// ---- listing: positions 0 . and 1 .., then table entries and specials by index, then numbers

struct listing {
  struct inode *dir;
  uint64_t *pos;
  dirent_fn *fn;
  void *arg;
};

static bool
list_one(struct listing *l, const char *name, size_t len, const struct proc_node *n, uint64_t next)
{
  if(!l->fn(l->arg, name, len, ino_of(n), mode_of(n) & S_IFMT, next))
    return false;
  *l->pos = next;
  return true;
}

// Is entry i of the table the first of its directory? (sys/vm/a and sys/vm/b make one `sys`.)
static bool
first_of_dir(const struct proc_node *d, int i, const char *name, size_t len)
{
  for(int k = 0; k < i; k++) {
    const char *rest;
    size_t n;
    bool dir;

    if(component(d, &files_of(d)[k], &rest, &n, &dir) && n == len && memcmp(rest, name, len) == 0)
      return false;
  }
  return true;
}

static bool
list_table(struct listing *l, const struct proc_node *d)
{
  for(int i = 0; files_of(d)[i].name; i++) { // from 0, since a program may have put the position anywhere
    const char *rest;
    struct proc_node n;
    size_t len;
    bool dir;

    if(*l->pos > (uint64_t)POS_SPECIAL + i)
      continue;
    if(component(d, &files_of(d)[i], &rest, &len, &dir) && first_of_dir(d, i, rest, len) &&
       table_child(d, rest, len, &n) && !list_one(l, rest, len, &n, POS_SPECIAL + i + 1))
      return false;
  }
  return true;
}

static bool
list_specials(struct listing *l, const struct proc_node *d)
{
  static const char *const names[] = {"fd", "task", "self", "thread-self"};
  uint64_t base = POS_NUMBERS - array_len(names);

  if(*l->pos < base)
    *l->pos = base;
  for(uint64_t i = *l->pos - base; i < array_len(names); i++) {
    struct proc_node n;

    if(word_child(d, names[i], strlen(names[i]), &n) && !list_one(l, names[i], strlen(names[i]), &n, base + i + 1))
      return false;
  }
  *l->pos = POS_NUMBERS;
  return true;
}

// The next number in directory d after `after`; negative or 0 (as the hook has it): none.
static int
next_number(const struct proc_node *d, int after)
{
  if(d->kind == NODE_FDS)
    return procfs_hooks.next_fd(d->pid, after);
  if(d->kind == NODE_TASKS)
    return procfs_hooks.next_tid(d->pid, after);
  return d->pid || d->prefix_len ? 0 : procfs_hooks.next_pid(after);
}

static void
list_numbers(struct listing *l, const struct proc_node *d)
{
  int first = d->kind == NODE_FDS ? 0 : 1;

  while(*l->pos - POS_NUMBERS < INT32_MAX) {
    int number = next_number(d, (int)(*l->pos - POS_NUMBERS) + first - 1);
    struct proc_node n;
    char name[16];
    int len;

    if(number < first)
      return;
    number_child(d, number, &n); // if it just ended: list it all the same
    len = fmt(name, sizeof(name), "%d", number);
    if(!list_one(l, name, len, &n, (uint64_t)POS_NUMBERS + number - first + 1))
      return;
    thread_relax();
  }
}

static int
proc_readdir(struct inode *dir, uint64_t *pos, dirent_fn *fn, void *arg)
{
  const struct proc_node *d = dir->priv;
  struct listing l = {dir, pos, fn, arg};

  if(d->pid && !procfs_hooks.pid_exists(d->pid))
    return -ENOENT;
  if(*pos == 0 && !list_one(&l, ".", 1, d, 1))
    return 0;
  if(*pos == 1 && !list_one(&l, "..", 2, d, POS_SPECIAL))
    return 0;
  if(*pos < POS_NUMBERS && d->kind == NODE_DIR && (!list_table(&l, d) || !list_specials(&l, d)))
    return 0;
  if(*pos < POS_NUMBERS)
    *pos = POS_NUMBERS;
  list_numbers(&l, d);
  return 0;
}

// ---- links

static int64_t
proc_readlink(struct inode *ip, char *buf, size_t size)
{
  const struct proc_node *n = ip->priv;
  char own[32];
  size_t len;

  if(n->kind == NODE_FD)
    return procfs_hooks.fd_readlink(n->pid, n->fd, buf, size);
  if(n->kind == NODE_LINK)
    return n->file->readlink(n->pid, buf, size);
  if(n->kind == NODE_SELF)
    len = fmt(own, sizeof(own), "%d", procfs_hooks.self_pid());
  else if(n->kind == NODE_THREAD_SELF)
    len = fmt(own, sizeof(own), "%d/task/%d", procfs_hooks.self_pid(), procfs_hooks.self_tid());
  else
    return -EINVAL;
  len = min(len, size);
  memcpy(buf, own, len);
  return len;
}

// Magic links go to the dentry itself: no path may lead to it any more.
static int
proc_follow(struct inode *ip, struct dentry **out)
{
  const struct proc_node *n = ip->priv;

  return n->kind == NODE_FD ? procfs_hooks.fd_link(n->pid, n->fd, out) : n->file->link(n->pid, out);
}

// ---- files

static int
proc_open(struct file *f)
{
  struct proc_open *o = kzalloc(sizeof(*o));

  if(o == 0)
    return -ENOMEM;
  sleep_init(&o->lock, "proc text", RANK_FILE_POS);
  f->priv = o;
  return 0;
}

static int
node_show(const struct proc_node *n, struct textbuf *t)
{
  if(n->file->number)
    return number_show(n->file->number, t);
  return n->file->show_thread ? n->file->show_thread(t, n->pid, n->tid) : n->file->show(t, n->pid);
}

static int
node_store(const struct proc_node *n, const char *s, size_t len)
{
  if(n->file->store_thread)
    return n->file->store_thread(n->pid, n->tid, s, len);
  if(n->file->store)
    return n->file->store(n->pid, s, len);
  return procfs_hooks.may_set() ? number_store(n->file->number, s, len) : -EPERM;
}

// Make the text anew. `show` does not sleep for memory, so where it found too little we wait and let it try again.
static int
proc_generate(struct proc_open *o, const struct proc_node *n)
{
  int err;

  assert_held(&o->lock);
  o->made = false;
  for(;;) {
    uint64_t pages;

    text_clear(&o->text);
    if((err = node_show(n, &o->text)) != 0)
      return err;
    if(!o->text.failed)
      break;
    pages = o->text.n / PAGE_SIZE + 2;
    text_clear(&o->text);
    if((err = frame_wait_many(pages)) != 0)
      return err;
  }
  o->made = true;
  return 0;
}

static int64_t
proc_read_locked(struct proc_open *o, const struct proc_node *n, struct uio *u, uint64_t *pos)
{
  size_t done = 0, got, k;
  const char *p;
  int err = 0;

  if((!o->made || *pos == 0) && (err = proc_generate(o, n)) != 0)
    return err;
  while(u->left > 0 && (p = text_at(&o->text, *pos, &k)) != 0) {
    k = min(k, u->left);
    got = uio_to(u, p, k, &err);
    *pos += got;
    done += got;
    if(got < k)
      break;
  }
  return done ? (int64_t)done : err;
}

static int64_t
proc_read(struct file *f, struct uio *u, uint64_t *pos)
{
  const struct proc_node *n = f->inode->priv;
  struct proc_open *o = f->priv;
  int64_t r;

  if(n->file->read)
    return n->file->read(n->pid, u, pos);
  if(n->file->show == 0 && n->file->show_thread == 0 && n->file->number == 0)
    return -EINVAL;
  sleep_acquire_nested(&o->lock);
  r = proc_read_locked(o, n, u, pos);
  sleep_release(&o->lock);
  return r;
}

static int64_t
proc_write(struct file *f, struct uio *u, uint64_t *pos)
{
  const struct proc_node *n = f->inode->priv;
  char word[256];
  size_t len;
  int err = 0;

  if((n->file->store == 0 && n->file->store_thread == 0 && n->file->number == 0) || u->left >= sizeof(word))
    return -EINVAL;
  len = uio_from(u, word, sizeof(word) - 1, &err);
  if(err)
    return err;
  word[len] = 0;
  err = node_store(n, word, len);
  return err ? err : (int64_t)len;
}

static void
proc_release(struct file *f)
{
  struct proc_open *o = f->priv;

  text_clear(&o->text);
  kfree(o);
}

static int
proc_truncate(struct inode *ip, uint64_t size)
{
  return 0; // `echo 1 > /proc/...` opens with O_TRUNC
}

static const struct file_ops proc_file_ops = {
    .open = proc_open, .read = proc_read, .write = proc_write, .release = proc_release, .seekable = true};
static const struct inode_ops proc_inode_ops = {
    .lookup = proc_lookup,
    .readdir = proc_readdir,
    .readlink = proc_readlink,
    .truncate = proc_truncate,
    .evict = proc_evict,
};
static const struct inode_ops proc_magic_ops = {.readlink = proc_readlink, .follow = proc_follow, .evict = proc_evict};

static int
proc_statfs(struct fs *fs, struct statfs_info *st)
{
  st->type = PROC_MAGIC;
  st->bsize = PAGE_SIZE;
  return 0;
}

static void
proc_unmount(struct fs *fs)
{
}

static void
proc_free(struct fs *fs)
{
  kfree(fs);
}

static const struct fs_ops proc_fs_ops = {.statfs = proc_statfs, .unmount = proc_unmount, .free = proc_free};

static int
proc_mount(const char *source, const char *options, struct fs **out)
{
  const struct proc_node top = {.kind = NODE_DIR, .prefix = ""};
  struct fs *fs = kzalloc(sizeof(*fs));
  struct inode *ip;
  int err;

  if(fs == 0)
    return -ENOMEM;
  fs->ops = &proc_fs_ops;
  fs->type = "proc";
  fs->dev = mount_anon_dev();
  fs->uncached = true;
  fs->ref = 1; // ours, until there is a root that has one
  strlcpy(fs->source, source, sizeof(fs->source));
  if((err = node_inode(fs, &top, &ip)) == 0 && (fs->root = dentry_root(fs, ip)) == 0) {
    inode_put(ip);
    err = -ENOMEM;
  }
  if(err) {
    fs_put(fs);
    return err;
  }
  atomic_sub(&fs->ref, 1);
  *out = fs;
  return 0;
}

void
procfs_init(void)
{
  static struct fs_type type = {.name = "proc", .nodev = true, .mount = proc_mount};

  fs_register(&type);
}
