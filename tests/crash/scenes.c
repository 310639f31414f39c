// scenes.c -- scenes.h says what for. A scene is a few operations that programs do together: the rename-over idiom, a log
// that is appended to and synced, a page that is changed through a mapping. Which comes next is a matter of the seed.
#include <string.h>
#include "scenes.h"

enum { PAGE = 4096, CHUNK = 16384, SPARSE_FROM = 1 << 20, APPEND_MAX = 12000, SMALL_MAX = 3000, OPEN_MAX = 24 };
enum { ENOSPC_ = 28, EOPNOTSUPP_ = 95 };

static uint64_t
rnd(struct scenes *s)
{
  return fact_mix(s->seed += 0x9e3779b97f4a7c15ull);
}

static unsigned
pick(struct scenes *s, unsigned n)
{
  return (unsigned)(rnd(s) >> 33) % n;
}

void
scenes_init(struct scenes *s, const struct scene_ops *ops, void *ctx, uint32_t proc, uint64_t seed, uint64_t quota)
{
  memset(s, 0, sizeof(*s));
  s->ops = ops;
  s->ctx = ctx;
  s->proc = proc;
  s->seed = fact_mix(seed * 1000003 + proc);
  s->quota = quota;
  s->files = 1; // 0 is none
}

// ---- facts

static void
tell(struct scenes *s, struct fact *f, enum fact_phase phase)
{
  f->magic = FACT_MAGIC;
  f->version = FACT_VERSION;
  f->proc = s->proc;
  f->op = s->op;
  f->phase = phase;
  f->check = fact_check(f);
  s->ops->fact(s->ctx, f);
}

static void
begin(struct scenes *s, struct fact *f)
{
  s->op++;
  tell(s, f, FACT_BEGIN);
}

// The operation is over: its result.
static int
end(struct scenes *s, struct fact *f, int64_t result)
{
  f->result = result;
  tell(s, f, FACT_END);
  if(result == -ENOSPC_)
    s->full++;
  else if(result < 0 && result != -EOPNOTSUPP_)
    s->errors++;
  return result < 0 ? (int)result : 0;
}

// ---- files and slots

// A random slot in [lo, hi) that is used (or not); -1: there is none.
static int
slot_pick(struct scenes *s, int lo, int hi, int type)
{
  int n = hi - lo, at = (int)pick(s, n);

  for(int i = 0; i < n; i++) {
    int k = lo + (at + i) % n;

    if((int)s->slot[k].type != type)
      continue;
    if(k >= SLOT_INNER && k < SLOT_SHARED && s->slot[SLOT_DIR + k - SLOT_INNER].type != SLOT_SUBDIR)
      continue; // the directory that it would lie in is not there
    return k;
  }
  return -1;
}

// Where a file may have a name: anywhere but among the directories.
static int
slot_any(struct scenes *s, int type)
{
  static const int lo[] = {SLOT_HOME, SLOT_HOME, SLOT_INNER, SLOT_SHARED, SLOT_MANY},
                   hi[] = {SLOT_DIR, SLOT_DIR, SLOT_SHARED, SLOT_MANY, SLOTS};
  int k = (int)pick(s, 5);

  for(int i = 0; i < 5; i++) {
    int found = slot_pick(s, lo[(k + i) % 5], hi[(k + i) % 5], type);

    if(found >= 0)
      return found;
  }
  return -1;
}

static void
file_unmap(struct scenes *s, struct scene_file *f)
{
  if(f->map)
    s->ops->unmap(s->ctx, f->map, f->maplen);
  f->map = 0;
}

static void
file_close(struct scenes *s, struct scene_file *f)
{
  file_unmap(s, f);
  if(f->file)
    s->ops->close(s->ctx, f->file);
  f->file = 0;
  if(f->names == 0)
    f->live = 0;
}

static void
files_limit(struct scenes *s, unsigned keep)
{
  int open = 0;

  for(unsigned i = 1; i < s->files; i++)
    open += s->file[i].file != 0;
  for(unsigned i = 1; i < s->files && open > OPEN_MAX; i++)
    if(s->file[i].file && i != keep) {
      file_close(s, &s->file[i]);
      open--;
    }
}

static uint64_t
used(struct scenes *s)
{
  uint64_t sum = 0;

  for(unsigned i = 1; i < s->files; i++)
    if(s->file[i].live)
      sum += s->file[i].size > SPARSE_FROM ? SPARSE_FROM / 8 : s->file[i].size;
  return sum;
}

static int
file_open(struct scenes *s, unsigned file)
{
  char path[FACT_PATH];

  if(s->file[file].file)
    return 1;
  for(unsigned k = 0; k < SLOTS; k++)
    if(s->slot[k].type == SLOT_FILE && s->slot[k].file == file) {
      fact_path(path, s->proc, k);
      files_limit(s, file);
      if(s->ops->open(s->ctx, path, &s->file[file].file) == 0)
        return 1;
      s->errors++;
      s->file[file].file = 0;
      return 0;
    }
  return 0;
}

// A file that can be worked on; 0: none.
static unsigned
file_pick(struct scenes *s)
{
  unsigned at = pick(s, s->files);

  if(pick(s, 3) == 0 && s->files > 8) // half of all work goes to the newest
    at = s->files - 1 - pick(s, 8);
  for(unsigned i = 0; i < s->files; i++) {
    unsigned k = (at + i) % s->files;

    if(k != 0 && s->file[k].live && file_open(s, k))
      return k;
  }
  return 0;
}

static void
slot_drop(struct scenes *s, int k)
{
  struct scene_file *f = &s->file[s->slot[k].file];

  if(s->slot[k].type == SLOT_FILE && --f->names == 0 && f->file == 0)
    f->live = 0;
  s->slot[k].type = SLOT_NONE;
}

// ---- single operations

static unsigned
op_create(struct scenes *s, int k)
{
  struct fact f = {.kind = OP_CREATE, .slot = k, .file = s->files};
  struct scene_file *n = &s->file[s->files];
  char path[FACT_PATH];

  if(s->files + 1 >= FILES_MAX || k < 0)
    return 0;
  fact_path(path, s->proc, k);
  files_limit(s, 0);
  begin(s, &f);
  if(end(s, &f, s->ops->create(s->ctx, path, &n->file, &f.ino)) < 0) {
    n->file = 0;
    return 0;
  }
  n->live = n->names = 1;
  n->size = 0;
  s->slot[k].type = SLOT_FILE;
  s->slot[k].file = s->files;
  return s->files++;
}

static int
op_write(struct scenes *s, unsigned file, uint64_t off, uint64_t len, unsigned flags)
{
  static unsigned char buf[CHUNK];
  struct fact f = {.kind = OP_WRITE, .file = file, .off = off, .len = len, .flags = flags};
  struct scene_file *w = &s->file[file];
  int64_t n;

  if(file == 0 || off + len > SIZE_MAX_FILE || (off + len > w->size && used(s) + len > s->quota))
    return -ENOSPC_;
  begin(s, &f);
  fact_fill(buf, fact_tag(s->proc, file, s->op), off, off + len);
  n = s->ops->write(s->ctx, w->file, buf, len, off, flags);
  if(n > 0 && off + n > w->size)
    w->size = off + n;
  return end(s, &f, n);
}

static int
op_store(struct scenes *s, unsigned file, uint64_t off, uint64_t len)
{
  static unsigned char buf[CHUNK];
  struct fact f = {.kind = OP_STORE, .file = file, .off = off, .len = len};
  struct scene_file *w = &s->file[file];

  begin(s, &f);
  fact_fill(buf, fact_tag(s->proc, file, s->op), off, off + len);
  return end(s, &f, s->ops->store(s->ctx, w->map, buf, len, off));
}

static int
op_msync(struct scenes *s, unsigned file, uint64_t off, uint64_t len)
{
  struct fact f = {.kind = OP_MSYNC, .file = file, .off = off / PAGE * PAGE, .len = len + off % PAGE};

  begin(s, &f);
  return end(s, &f, s->ops->msync(s->ctx, s->file[file].map, f.off, f.len));
}

static int
op_fsync(struct scenes *s, unsigned file, int data_only)
{
  struct fact f = {.kind = data_only ? OP_FDATASYNC : OP_FSYNC, .file = file};

  int err;

  begin(s, &f);
  err = s->ops->fsync(s->ctx, s->file[file].file, data_only);
  if(err == 0 && !data_only)
    f.ino = s->ops->mtime(s->ctx, s->file[file].file);
  return end(s, &f, err);
}

static int
op_dirsync(struct scenes *s, int k)
{
  struct fact f = {.kind = OP_DIRSYNC, .slot = k};
  char dir[FACT_PATH];

  fact_dir_path(dir, s->proc, k);
  begin(s, &f);
  return end(s, &f, s->ops->dirsync(s->ctx, dir));
}

static int
op_truncate(struct scenes *s, unsigned file, uint64_t size)
{
  struct fact f = {.kind = OP_TRUNCATE, .file = file, .len = size};
  int err;

  begin(s, &f);
  err = end(s, &f, s->ops->truncate(s->ctx, s->file[file].file, size));
  if(err == 0)
    s->file[file].size = size;
  return err;
}

static int
op_fallocate(struct scenes *s, unsigned file, int punch, uint64_t off, uint64_t len)
{
  struct fact f = {.kind = punch ? OP_PUNCH : OP_FALLOCATE, .file = file, .off = off, .len = len};
  struct scene_file *w = &s->file[file];
  int err;

  begin(s, &f);
  err = end(s, &f, s->ops->fallocate(s->ctx, w->file, punch, off, len));
  if(err == 0 && !punch && off + len > w->size)
    w->size = off + len;
  if(err == -EOPNOTSUPP_)
    *(punch ? &s->no_punch : &s->no_fallocate) = 1;
  return err;
}

static void
dir_move(struct scenes *s, int from, int to)
{
  s->slot[to].type = SLOT_SUBDIR;
  s->slot[from].type = SLOT_NONE;
  s->slot[SLOT_INNER + to - SLOT_DIR] = s->slot[SLOT_INNER + from - SLOT_DIR];
  s->slot[SLOT_INNER + from - SLOT_DIR].type = SLOT_NONE;
}

static int
op_rename(struct scenes *s, int from, int to)
{
  struct fact f = {.kind = OP_RENAME, .slot = from, .slot2 = to};
  char a[FACT_PATH], b[FACT_PATH];
  int err;

  fact_path(a, s->proc, from);
  fact_path(b, s->proc, to);
  begin(s, &f);
  err = end(s, &f, s->ops->rename(s->ctx, a, b));
  if(err)
    return err;
  if(s->slot[from].type == SLOT_SUBDIR) {
    dir_move(s, from, to);
  } else if(s->slot[from].type != SLOT_FILE || s->slot[to].type != SLOT_FILE ||
            s->slot[from].file != s->slot[to].file) {
    slot_drop(s, to); // two names of one file: rename does nothing
    s->slot[to] = s->slot[from];
    s->slot[from].type = SLOT_NONE;
  }
  return 0;
}

static int
op_link(struct scenes *s, int from, int to)
{
  struct fact f = {.kind = OP_LINK, .slot = from, .slot2 = to};
  char a[FACT_PATH], b[FACT_PATH];
  int err;

  fact_path(a, s->proc, from);
  fact_path(b, s->proc, to);
  begin(s, &f);
  err = end(s, &f, s->ops->link(s->ctx, a, b));
  if(err)
    return err;
  s->slot[to] = s->slot[from];
  s->file[s->slot[to].file].names++;
  return 0;
}

// One of the operations that take a single path.
static int
op_name(struct scenes *s, enum fact_kind kind, int k)
{
  struct fact f = {.kind = kind, .slot = k};
  char path[FACT_PATH], text[FACT_PATH];
  int err;

  fact_path(path, s->proc, k);
  begin(s, &f);
  fact_link_text(text, s->proc, s->op);
  if(kind == OP_SYMLINK)
    err = s->ops->symlink(s->ctx, text, path);
  else if(kind == OP_MKDIR)
    err = s->ops->mkdir(s->ctx, path);
  else if(kind == OP_RMDIR)
    err = s->ops->rmdir(s->ctx, path);
  else
    err = s->ops->unlink(s->ctx, path);
  if(end(s, &f, err) < 0)
    return err;
  if(kind == OP_UNLINK || kind == OP_RMDIR)
    slot_drop(s, k);
  else
    s->slot[k].type = kind == OP_MKDIR ? SLOT_SUBDIR : SLOT_LINK;
  return 0;
}

// ---- scenes

static void
sync_some(struct scenes *s, unsigned file)
{
  switch(pick(s, 4)) {
  case 0: op_fsync(s, file, 0); break;
  case 1: op_fsync(s, file, 1); break;
  default: break;
  }
}

static void
scene_new_file(struct scenes *s)
{
  int k = slot_any(s, SLOT_NONE);
  unsigned file = op_create(s, k);

  if(file == 0)
    return;
  for(unsigned i = pick(s, 3); i > 0; i--)
    op_write(s, file, s->file[file].size, 1 + pick(s, APPEND_MAX), 0);
  sync_some(s, file);
  if(pick(s, 3) == 0)
    op_dirsync(s, k);
}

static void
scene_append(struct scenes *s)
{
  static const unsigned how[] = {0, 0, WRITE_APPEND, WRITE_SYNC, WRITE_DSYNC, WRITE_SYNC | WRITE_APPEND};
  unsigned file = file_pick(s);

  if(file == 0)
    return;
  for(unsigned i = 1 + pick(s, 3); i > 0; i--)
    op_write(s, file, s->file[file].size, 1 + pick(s, pick(s, 2) ? APPEND_MAX : 200), how[pick(s, 6)]);
  sync_some(s, file);
}

static void
scene_overwrite(struct scenes *s)
{
  static const unsigned how[] = {0, 0, 0, WRITE_SYNC, WRITE_DSYNC};
  unsigned file = file_pick(s);
  uint64_t size = file ? s->file[file].size : 0, off, len;

  if(size == 0)
    return;
  off = rnd(s) % size;
  len = 1 + pick(s, APPEND_MAX);
  if(len > size - off)
    len = size - off;
  op_write(s, file, off, len, how[pick(s, 5)]);
  sync_some(s, file);
}

// Changes through a mapping; the file may lose its name meanwhile.
static void
scene_mapped(struct scenes *s)
{
  unsigned file = file_pick(s);
  struct scene_file *f = &s->file[file];
  uint64_t off = 0, len = 0;

  if(file == 0 || f->size == 0)
    return;
  file_unmap(s, f);
  f->maplen = (f->size + PAGE - 1) / PAGE * PAGE;
  if(s->ops->map(s->ctx, f->file, f->maplen, &f->map) != 0) {
    f->map = 0;
    s->errors++;
    return;
  }
  for(unsigned i = 1 + pick(s, 4); i > 0; i--) {
    off = rnd(s) % f->size;
    len = 1 + pick(s, pick(s, 2) ? 9000 : 100);
    if(len > f->size - off)
      len = f->size - off;
    if(op_store(s, file, off, len) < 0) {
      file_unmap(s, f);
      return;
    }
  }
  switch(pick(s, 4)) {
  case 0:
  case 1: op_msync(s, file, off, len); break;
  case 2: op_msync(s, file, 0, f->size); break;
  default: break; // stays as it is
  }
  if(pick(s, 2))
    file_unmap(s, f);
}

// The way in which programs replace a file: write another, sync it, rename it over, sync the directory.
static void
scene_replace(struct scenes *s)
{
  int from = slot_pick(s, SLOT_HOME, SLOT_DIR, SLOT_NONE), to = slot_pick(s, SLOT_HOME, SLOT_DIR, SLOT_FILE);
  unsigned file = from < 0 || to < 0 ? 0 : op_create(s, from);

  if(file == 0)
    return;
  op_write(s, file, 0, 1 + pick(s, APPEND_MAX), 0);
  op_fsync(s, file, 0);
  op_rename(s, from, to);
  if(pick(s, 3))
    op_dirsync(s, to);
}

static void
scene_rename(struct scenes *s)
{
  int from = slot_any(s, pick(s, 6) ? SLOT_FILE : SLOT_LINK), to = slot_any(s, pick(s, 3) ? SLOT_NONE : SLOT_FILE);

  if(from < 0 || to < 0 || from == to)
    return;
  op_rename(s, from, to);
  if(pick(s, 3) == 0)
    op_dirsync(s, to);
}

static void
scene_link(struct scenes *s)
{
  int from = slot_any(s, SLOT_FILE), to = slot_any(s, SLOT_NONE);

  if(from < 0 || to < 0)
    return;
  if(pick(s, 3) == 0) {
    op_name(s, OP_SYMLINK, to);
    return;
  }
  if(op_link(s, from, to) == 0 && pick(s, 3) == 0 && file_open(s, s->slot[to].file))
    op_fsync(s, s->slot[to].file, 0);
}

static void
scene_unlink(struct scenes *s)
{
  int k = slot_any(s, pick(s, 6) ? SLOT_FILE : SLOT_LINK);
  unsigned file = k < 0 ? 0 : s->slot[k].file;
  int is_file = k >= 0 && s->slot[k].type == SLOT_FILE;
  struct scene_file *f = &s->file[file];

  if(k < 0 || op_name(s, OP_UNLINK, k) < 0 || !is_file)
    return;
  if(f->map && f->size > 0) // nobody can name it any more, and it still works
    op_store(s, file, 0, f->size > PAGE ? PAGE : f->size);
  if(f->names == 0 && pick(s, 3))
    file_close(s, f);
  if(pick(s, 4) == 0)
    op_dirsync(s, k);
}

static void
scene_directory(struct scenes *s)
{
  int from = slot_pick(s, SLOT_DIR, SLOT_INNER, SLOT_SUBDIR), to = slot_pick(s, SLOT_DIR, SLOT_INNER, SLOT_NONE);

  switch(pick(s, 4)) {
  case 0:
    if(from >= 0 && s->slot[SLOT_INNER + from - SLOT_DIR].type == SLOT_NONE)
      op_name(s, OP_RMDIR, from);
    return;
  case 1:
    if(from >= 0 && to >= 0)
      op_rename(s, from, to);
    return;
  default:
    if(to < 0 || op_name(s, OP_MKDIR, to) < 0 || pick(s, 2))
      return;
    op_write(s, op_create(s, SLOT_INNER + to - SLOT_DIR), 0, 1 + pick(s, SMALL_MAX), 0);
  }
}

static void
scene_truncate(struct scenes *s)
{
  unsigned file = file_pick(s);
  struct scene_file *f = &s->file[file];

  if(file == 0)
    return;
  file_unmap(s, f);
  if(pick(s, 3) == 0)
    op_truncate(s, file, f->size + pick(s, 30000));
  else
    op_truncate(s, file, pick(s, 3) ? rnd(s) % (f->size + 1) : 0);
  if(pick(s, 3) == 0)
    op_write(s, file, f->size, 1 + pick(s, SMALL_MAX), 0);
  sync_some(s, file);
}

static void
scene_sparse(struct scenes *s)
{
  unsigned file = file_pick(s);

  if(file == 0)
    return;
  op_write(s, file, rnd(s) % (SIZE_MAX_FILE - APPEND_MAX), 1 + pick(s, APPEND_MAX), 0);
  sync_some(s, file);
}

static void
scene_many(struct scenes *s)
{
  int k;

  for(unsigned i = 2 + pick(s, 8); i > 0; i--) {
    if(pick(s, 3) == 0) {
      k = slot_pick(s, SLOT_MANY, SLOTS, SLOT_FILE);
      if(k >= 0)
        op_name(s, OP_UNLINK, k);
    } else {
      unsigned file = op_create(s, k = slot_pick(s, SLOT_MANY, SLOTS, SLOT_NONE));

      if(file && pick(s, 3))
        op_write(s, file, 0, 1 + pick(s, SMALL_MAX), 0);
      if(file)
        file_close(s, &s->file[file]);
    }
  }
  if(pick(s, 3) == 0)
    op_dirsync(s, SLOT_MANY);
}

static void
scene_fallocate(struct scenes *s)
{
  unsigned file = file_pick(s);
  struct scene_file *f = &s->file[file];

  if(file == 0 || f->size > SIZE_MAX_FILE / 2)
    return;
  if(pick(s, 2) && f->size > 0 && !s->no_punch) {
    op_fallocate(s, file, 1, rnd(s) % f->size, 1 + pick(s, APPEND_MAX));
    sync_some(s, file);
  } else if(!s->no_fallocate && used(s) + 30000 < s->quota) {
    op_fallocate(s, file, 0, f->size, 1 + pick(s, 30000));
    sync_some(s, file);
  }
}

static void
scene_sync(struct scenes *s)
{
  struct fact f = {.kind = OP_SYNC};

  begin(s, &f);
  end(s, &f, s->ops->sync(s->ctx));
}

// Room for others: the longest file goes.
static void
scene_tidy(struct scenes *s)
{
  int best = -1;
  uint64_t most = 0;

  for(int k = 0; k < SLOTS; k++)
    if(s->slot[k].type == SLOT_FILE && s->file[s->slot[k].file].size >= most) {
      best = k;
      most = s->file[s->slot[k].file].size;
    }
  if(best >= 0)
    op_name(s, OP_UNLINK, best);
  for(unsigned i = 1; i < s->files; i++)
    if(s->file[i].live && s->file[i].names == 0)
      file_close(s, &s->file[i]);
}

void
scenes_run(struct scenes *s, unsigned ops)
{
  static const struct {
    int weight;
    void (*fn)(struct scenes *s);
  } scene[] = {{12, scene_new_file}, {10, scene_append},  {8, scene_overwrite}, {14, scene_mapped},
               {8, scene_replace},   {6, scene_rename},   {5, scene_link},      {8, scene_unlink},
               {6, scene_directory}, {8, scene_truncate}, {4, scene_sparse},    {5, scene_many},
               {4, scene_fallocate}, {1, scene_sync}};
  enum { WEIGHTS = 99, IDLE_MAX = 1000 };
  unsigned idle = 0;

  while(s->op < ops && idle++ < IDLE_MAX && s->files + 16 < FILES_MAX) {
    int w = (int)pick(s, WEIGHTS), i = 0;
    uint32_t before = s->op;

    while((w -= scene[i].weight) >= 0)
      i++;
    if(used(s) * 4 > s->quota * 3)
      scene_tidy(s);
    scene[i].fn(s);
    if(s->op != before)
      idle = 0;
  }
}

void
scenes_close(struct scenes *s)
{
  for(unsigned i = 1; i < s->files; i++)
    if(s->file[i].live)
      file_close(s, &s->file[i]);
}
