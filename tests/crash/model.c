// model.c -- model.h says what for.
//
// It is fed facts in the order of the log and keeps, for each process, every operation with what it changed: slots (names),
// a size, and ranges of bytes. `floor` is the last operation whose names and sizes must be there. A block of a file has its
// `base`, the contents that must be there at least, and candidates: what may have come over it since.
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "model.h"

enum { OPS_MAX = 1 << 16, BLOCKS_MAX = SIZE_MAX_FILE / IMAGE_BLOCK + 8, CHANGES = 4, UNDO = 12 };
enum entry_type { NONE, FILE_, LINK_, DIR_ };

struct entry { // what a slot shows
  uint8_t type;
  uint32_t id; // of a file: its number; of a symlink: the operation that made it
};
struct op {
  uint8_t kind;
  bool ended;
  uint64_t begin, end; // when, in facts
  int nchanges;
  struct {
    uint16_t slot;
    struct entry to;
  } change[CHANGES];
  uint32_t file; // whose size it changed; 0
  uint64_t size_before, size;
  uint64_t off, len;
  struct {
    uint32_t *where, old;
  } undo[UNDO]; // what it changed last, if it fails
  int nundo;
  uint32_t *sync_upto; // of OP_SYNC: for each process the last operation that had ended when it began
};
struct cand { // bytes [lo, hi) of a block may be those of operation op
  uint32_t op;
  uint16_t lo, hi;
  bool zero;   // they are zeros
  bool maybe;  // op failed in part: what was there before may be there for ever
  bool strong; // once op is visible in names and sizes, nothing older may be here
};
struct block {
  unsigned char *base; // 0: zeros
  struct cand *cand;
  int n, room;
};
struct mfile {
  uint64_t size, ino; // ino 0: not known yet
  uint32_t last_meta, last_data_meta;
  uint64_t mtime; // it was changed then or later: what an fsync promised
  bool preallocated;
  struct block *block;
};
struct mproc {
  uint32_t begun, ended, floor;
  struct op *op;           // [begun + 1]
  struct entry now[SLOTS]; // after the last that was begun, if it succeeds
  struct entry floor_slot[SLOTS];
  uint64_t *floor_size;         // [FILES_MAX]
  uint32_t dir_last[4 + NDIRS]; // last operation that changed the directory: home, shared, many, d0...
  struct mfile file[FILES_MAX];
  // of the last check
  uint32_t kmin, kmax;
  struct entry seen_as[SLOTS];
};
struct seen { // a slot as the image has it
  uint8_t type;
  uint32_t ino, links;
  uint64_t size;
  char *text;
};
struct model {
  uint64_t facts;
  struct mproc *proc[PROCS_MAX];
  char why[400];
  unsigned files;
  uint64_t bytes;
  struct seen seen[PROCS_MAX][SLOTS];
};

struct model *
model_new(void)
{
  return calloc(1, sizeof(struct model));
}

static void
file_free(struct mfile *f)
{
  for(int b = 0; f->block && b < BLOCKS_MAX; b++) {
    free(f->block[b].base);
    free(f->block[b].cand);
  }
  free(f->block);
}

static void
seen_forget(struct model *m)
{
  for(int i = 0; i < PROCS_MAX; i++)
    for(int k = 0; k < SLOTS; k++) {
      free(m->seen[i][k].text);
      m->seen[i][k] = (struct seen){0};
    }
}

void
model_free(struct model *m)
{
  for(int i = 0; i < PROCS_MAX; i++) {
    struct mproc *p = m->proc[i];

    if(p == 0)
      continue;
    for(int k = 0; k < FILES_MAX; k++)
      file_free(&p->file[k]);
    for(uint32_t k = 0; k <= p->begun; k++)
      free(p->op[k].sync_upto);
    free(p->op);
    free(p->floor_size);
    free(p);
  }
  seen_forget(m);
  free(m);
}

static const char *
why(struct model *m, const char *words, ...)
{
  va_list ap;

  va_start(ap, words);
  vsnprintf(m->why, sizeof(m->why), words, ap);
  va_end(ap);
  return m->why;
}

// ---- bytes

static void
cand_add(struct block *b, struct cand c)
{
  if(c.lo >= c.hi)
    return;
  if(b->n == b->room) {
    b->room = b->room ? 2 * b->room : 4;
    b->cand = realloc(b->cand, b->room * sizeof(*b->cand));
  }
  b->cand[b->n++] = c;
}

// Operation op may put something on bytes [lo, hi) of the file, from now on.
static void
file_may(struct mfile *f, uint32_t op, uint64_t lo, uint64_t hi, bool zero, bool strong)
{
  if(f->block == 0)
    f->block = calloc(BLOCKS_MAX, sizeof(*f->block));
  while(lo < hi) {
    uint64_t b = lo / IMAGE_BLOCK, end = (b + 1) * IMAGE_BLOCK;

    if(end > hi)
      end = hi;
    if(b < BLOCKS_MAX)
      cand_add(
          &f->block[b],
          (struct cand){.op = op, .lo = lo % IMAGE_BLOCK, .hi = end - b * IMAGE_BLOCK, .zero = zero, .strong = strong});
    lo = end;
  }
}

static void
cand_fill(unsigned char *to, const struct cand *c, uint32_t proc, uint32_t file, uint64_t at, unsigned lo, unsigned hi)
{
  if(c->zero)
    memset(to, 0, hi - lo);
  else
    fact_fill(to, fact_tag(proc, file, c->op), at + lo, at + hi);
}

// What operations up to `upto` put on bytes [lo, hi) of block n must be there from now on.
static void
block_settle(struct mfile *f, uint32_t proc, uint32_t file, uint64_t n, unsigned lo, unsigned hi, uint32_t upto)
{
  struct block *b = &f->block[n], rest = {0};

  for(int i = 0; i < b->n; i++) {
    struct cand c = b->cand[i], part = c;
    unsigned from = c.lo > lo ? c.lo : lo, to = c.hi < hi ? c.hi : hi;

    if(c.op > upto || from >= to || c.maybe) {
      cand_add(&rest, c);
      continue;
    }
    if(b->base == 0)
      b->base = calloc(1, IMAGE_BLOCK);
    cand_fill(b->base + from, &c, proc, file, n * IMAGE_BLOCK, from, to);
    part.hi = from;
    cand_add(&rest, part);
    part = c;
    part.lo = to;
    cand_add(&rest, part);
  }
  free(b->cand);
  b->cand = rest.cand;
  b->n = rest.n;
  b->room = rest.room;
}

static void
file_settle(struct mproc *p, uint32_t proc, uint32_t file, uint64_t lo, uint64_t hi, uint32_t upto)
{
  struct mfile *f = &p->file[file];

  if(hi > (uint64_t)BLOCKS_MAX * IMAGE_BLOCK)
    hi = (uint64_t)BLOCKS_MAX * IMAGE_BLOCK;
  for(uint64_t at = lo; f->block && at < hi; at = (at / IMAGE_BLOCK + 1) * IMAGE_BLOCK) {
    uint64_t n = at / IMAGE_BLOCK, start = n * IMAGE_BLOCK;

    if(f->block[n].n)
      block_settle(f, proc, file, n, at - start, hi - start < IMAGE_BLOCK ? hi - start : IMAGE_BLOCK, upto);
  }
}

// ---- operations

static unsigned
dir_of(unsigned slot)
{
  if(slot >= SLOT_MANY)
    return 2;
  if(slot >= SLOT_SHARED)
    return 1;
  return slot >= SLOT_INNER ? 4 + slot - SLOT_INNER : 0;
}

static void
change(struct mproc *p, struct op *o, unsigned slot, struct entry to)
{
  o->change[o->nchanges].slot = slot;
  o->change[o->nchanges++].to = to;
  p->now[slot] = to;
}

static void
last_set(struct op *o, uint32_t *where, uint32_t k)
{
  o->undo[o->nundo].where = where;
  o->undo[o->nundo++].old = *where;
  *where = k;
}

// The names that o changes: their directories and files were changed last by operation k.
static void
touch_slot(struct mproc *p, struct op *o, uint32_t k, unsigned slot)
{
  last_set(o, &p->dir_last[dir_of(slot)], k);
  if(p->now[slot].type == FILE_)
    last_set(o, &p->file[p->now[slot].id].last_meta, k);
  if(slot >= SLOT_DIR && slot < SLOT_INNER)
    last_set(o, &p->dir_last[4 + slot - SLOT_DIR], k);
}

static bool
same_file(const struct entry *a, const struct entry *b)
{
  return a->type == FILE_ && b->type == FILE_ && a->id == b->id;
}

static void
begin_rename(struct mproc *p, struct op *o, uint32_t k, unsigned from, unsigned to)
{
  struct entry e = p->now[from];

  touch_slot(p, o, k, from);
  touch_slot(p, o, k, to);
  if(same_file(&p->now[from], &p->now[to]))
    return;
  change(p, o, to, e);
  change(p, o, from, (struct entry){NONE, 0});
  if(e.type == DIR_) {
    unsigned a = SLOT_INNER + from - SLOT_DIR, b = SLOT_INNER + to - SLOT_DIR;

    e = p->now[a];
    change(p, o, b, e);
    change(p, o, a, (struct entry){NONE, 0});
  }
}

static void
begin_names(struct mproc *p, struct op *o, uint32_t k, const struct fact *f)
{
  switch(f->kind) {
  case OP_CREATE:
    change(p, o, f->slot, (struct entry){FILE_, f->file});
    last_set(o, &p->file[f->file].last_data_meta, k);
    break;
  case OP_SYMLINK: change(p, o, f->slot, (struct entry){LINK_, k}); break;
  case OP_MKDIR: change(p, o, f->slot, (struct entry){DIR_, 0}); break;
  case OP_LINK: change(p, o, f->slot2, p->now[f->slot]); break;
  case OP_UNLINK:
  case OP_RMDIR:
    touch_slot(p, o, k, f->slot);
    change(p, o, f->slot, (struct entry){NONE, 0});
    break;
  case OP_RENAME: begin_rename(p, o, k, f->slot, f->slot2); return;
  default: return;
  }
  touch_slot(p, o, k, f->kind == OP_LINK ? f->slot2 : f->slot);
}

static void
set_size(struct mproc *p, struct op *o, uint32_t k, uint32_t file, uint64_t size)
{
  struct mfile *f = &p->file[file];

  if(size == f->size)
    return;
  o->file = file;
  o->size_before = f->size;
  o->size = f->size = size;
  last_set(o, &f->last_meta, k);
  last_set(o, &f->last_data_meta, k);
}

static uint64_t
block_up(uint64_t n)
{
  return (n + IMAGE_BLOCK - 1) / IMAGE_BLOCK * IMAGE_BLOCK;
}

// Blocks behind the old end are new: when the size shows them, so does their data (ordered mode).
static void
begin_write(struct mproc *p, struct op *o, uint32_t k, const struct fact *f)
{
  struct mfile *w = &p->file[f->file];
  uint64_t end = f->off + f->len, fresh = block_up(w->size);

  if(fresh < f->off)
    fresh = f->off;
  if(fresh > end || w->preallocated)
    fresh = end;
  file_may(w, k, f->off, fresh, false, false);
  file_may(w, k, fresh, end, false, true);
  if(end > w->size)
    set_size(p, o, k, f->file, end);
}

static void
begin_data(struct mproc *p, struct op *o, uint32_t k, const struct fact *f)
{
  struct mfile *w = &p->file[f->file];
  uint64_t end = f->off + f->len, cut;

  switch(f->kind) {
  case OP_WRITE: begin_write(p, o, k, f); break;
  case OP_STORE: file_may(w, k, f->off, end, false, false); break;
  case OP_TRUNCATE:
    cut = block_up(f->len) < w->size ? block_up(f->len) : w->size;
    file_may(w, k, f->len, cut, true, false);
    file_may(w, k, cut, w->size, true, true);
    set_size(p, o, k, f->file, f->len);
    break;
  case OP_FALLOCATE:
    if(end > w->size)
      set_size(p, o, k, f->file, end);
    break;
  case OP_PUNCH:
    file_may(w, k, f->off, end < w->size ? end : w->size, true, false);
    break; // names and sizes stay; what it put into the contents is all that a sync promises
  default: break;
  }
}

static void
begin_sync(struct model *m, struct op *o)
{
  o->sync_upto = calloc(PROCS_MAX, sizeof(*o->sync_upto));
  for(int i = 0; i < PROCS_MAX; i++)
    if(m->proc[i])
      o->sync_upto[i] = m->proc[i]->ended;
}

// What operation op did not do entirely puts nothing for certain behind it.
static void
file_weaken(struct mfile *f, uint32_t op)
{
  for(int b = 0; f->block && b < BLOCKS_MAX; b++)
    for(int i = f->block[b].n - 1; i >= 0 && f->block[b].cand[i].op == op; i--)
      f->block[b].cand[i] = (struct cand){.op = op,
                                          .lo = f->block[b].cand[i].lo,
                                          .hi = f->block[b].cand[i].hi,
                                          .zero = f->block[b].cand[i].zero,
                                          .maybe = true};
}

// It had no effect on names or sizes after all, or less.
static void
end_failed(struct mproc *p, struct op *o, const struct fact *f, const struct entry *before)
{
  for(int i = o->nchanges - 1; i >= 0; i--)
    p->now[o->change[i].slot] = before[i];
  o->nchanges = 0;
  if(f->result < 0)
    while(o->nundo > 0) {
      o->nundo--;
      *o->undo[o->nundo].where = o->undo[o->nundo].old;
    }
  file_weaken(&p->file[f->file], p->begun);
  if(o->file) {
    uint64_t size = f->kind == OP_WRITE && f->result > 0 ? f->off + f->result : o->size_before;

    o->size = p->file[o->file].size = size > o->size_before ? size : o->size_before;
  }
}

// ---- floors

static void
entry_apply(struct entry *slot, const struct op *o)
{
  for(int i = 0; i < o->nchanges; i++)
    slot[o->change[i].slot] = o->change[i].to;
}

static void
floor_raise(struct mproc *p, uint32_t to)
{
  while(p->floor < to) {
    const struct op *o = &p->op[++p->floor];

    entry_apply(p->floor_slot, o);
    if(o->file)
      p->floor_size[o->file] = o->size;
  }
}

static void
sync_all(struct model *m, const struct op *o)
{
  for(int i = 0; i < PROCS_MAX; i++) {
    struct mproc *p = m->proc[i];

    if(p == 0)
      continue;
    floor_raise(p, o->sync_upto[i]);
    for(uint32_t k = 1; k < FILES_MAX; k++)
      file_settle(p, i, k, 0, UINT64_MAX, o->sync_upto[i]);
  }
}

static void
end_sync(struct model *m, struct mproc *p, const struct op *o, const struct fact *f)
{
  struct mfile *w = &p->file[f->file];

  switch(f->kind) {
  case OP_FSYNC:
    if(f->phase == FACT_END)
      w->mtime = f->ino;
    floor_raise(p, w->last_meta);
    file_settle(p, f->proc, f->file, 0, UINT64_MAX, f->op);
    break;
  case OP_FDATASYNC:
    floor_raise(p, w->last_data_meta);
    file_settle(p, f->proc, f->file, 0, UINT64_MAX, f->op);
    break;
  case OP_MSYNC:
    floor_raise(p, w->last_data_meta);
    file_settle(p, f->proc, f->file, f->off, f->off + f->len, f->op);
    break;
  case OP_WRITE:
    if(f->flags & (WRITE_SYNC | WRITE_DSYNC)) {
      floor_raise(p, f->flags & WRITE_SYNC ? w->last_meta : w->last_data_meta);
      file_settle(p, f->proc, f->file, f->off, f->off + f->result, f->op);
    }
    break;
  case OP_DIRSYNC: floor_raise(p, p->dir_last[dir_of(f->slot)]); break;
  case OP_SYNC: sync_all(m, o); break;
  default: break;
  }
}

// ---- facts

static bool
fact_ok(const struct fact *f)
{
  return f->magic == FACT_MAGIC && f->version == FACT_VERSION && f->check == fact_check(f) && f->proc < PROCS_MAX &&
         f->kind > 0 && f->kind < OP_KINDS && f->slot < SLOTS && f->slot2 < SLOTS && f->file < FILES_MAX && f->op > 0 &&
         f->op < OPS_MAX;
}

static struct mproc *
proc_get(struct model *m, uint32_t i)
{
  if(m->proc[i] == 0) {
    m->proc[i] = calloc(1, sizeof(struct mproc));
    m->proc[i]->op = calloc(OPS_MAX, sizeof(struct op));
    m->proc[i]->floor_size = calloc(FILES_MAX, sizeof(uint64_t));
  }
  return m->proc[i];
}

static void
fact_begin(struct model *m, struct mproc *p, const struct fact *f)
{
  struct op *o = &p->op[++p->begun];

  *o = (struct op){.kind = f->kind, .begin = m->facts, .off = f->off, .len = f->len};
  begin_names(p, o, p->begun, f);
  begin_data(p, o, p->begun, f);
  if(f->kind == OP_SYNC)
    begin_sync(m, o);
}

// The entries that the changes of o replaced: what names showed before it.
static void
before_of(const struct mproc *p, const struct op *o, struct entry *before)
{
  for(int i = 0; i < o->nchanges; i++) {
    unsigned slot = o->change[i].slot;

    before[i] = p->floor_slot[slot];
    for(uint32_t k = p->floor + 1; k < p->begun; k++)
      for(int c = 0; c < p->op[k].nchanges; c++)
        if(p->op[k].change[c].slot == slot)
          before[i] = p->op[k].change[c].to;
  }
}

static void
fact_end(struct model *m, struct mproc *p, const struct fact *f)
{
  struct op *o = &p->op[p->begun];
  struct entry before[CHANGES];

  before_of(p, o, before);
  o->ended = true;
  o->end = m->facts;
  p->ended = p->begun;
  if(f->result < 0 || (f->kind == OP_WRITE && (uint64_t)f->result < f->len))
    end_failed(p, o, f, before);
  if(f->kind == OP_CREATE)
    p->file[f->file].ino = f->ino;
  if(f->kind == OP_FALLOCATE && f->result >= 0)
    p->file[f->file].preallocated = true;
  if(f->result >= 0)
    end_sync(m, p, o, f);
}

bool
model_fact(struct model *m, const struct fact *f, bool ack_early)
{
  struct mproc *p;

  if(!fact_ok(f))
    return false;
  p = proc_get(m, f->proc);
  m->facts++;
  if(f->phase == FACT_BEGIN) {
    if(f->op != p->begun + 1 || p->ended != p->begun)
      return false;
    fact_begin(m, p, f);
    if(ack_early && f->kind >= OP_MSYNC && f->kind <= OP_SYNC)
      end_sync(m, p, &p->op[p->begun], f);
    return true;
  }
  if(f->op != p->begun || p->ended == p->begun)
    return false;
  fact_end(m, p, f);
  return true;
}

// ---- what the image has

static int
slot_of(const char *path, uint32_t proc)
{
  static const int lo[] = {SLOT_HOME, SLOT_DIR, SLOT_INNER, SLOT_SHARED, SLOT_MANY};
  char want[FACT_PATH];
  const char *digits = path + strlen(path);
  int n;

  while(digits > path && digits[-1] >= '0' && digits[-1] <= '9')
    digits--;
  n = atoi(digits);
  for(int i = 0; i < 5; i++) {
    if(lo[i] == SLOT_INNER || lo[i] + n >= SLOTS)
      continue;
    fact_path(want, proc, lo[i] + n);
    if(strcmp(want, path) == 0)
      return lo[i] + n;
  }
  return -1;
}

struct look {
  struct model *m;
  const struct image *im;
  char dir[FACT_PATH];
  int proc, inner; // -1: of whom is told by the name; slot of the directory, or -1
  const char *bad;
};

static void
slot_see(struct look *l, int proc, int slot, uint32_t ino)
{
  const struct image_inode *ip = image_inode(l->im, ino);
  struct seen *s = &l->m->seen[proc][slot];
  char text[FACT_PATH];

  free(s->text);
  *s = (struct seen){.ino = ino, .type = NONE};
  if(ip == 0)
    return;
  s->links = ip->links;
  s->size = image_size(ip);
  s->type = image_type(ip) == IMAGE_REG ? FILE_ : image_type(ip) == IMAGE_DIR ? DIR_ : LINK_;
  if(s->type == LINK_)
    s->text = strdup(image_link_text(l->im, ip, text, sizeof(text)) > 0 ? text : "");
}

static bool
look_entry(void *arg, const struct image_entry *e)
{
  struct look *l = arg;
  char path[FACT_PATH + 300];
  int proc = l->proc, slot;

  if(e->name[0] == '.')
    return true;
  snprintf(path, sizeof(path), "%s/%.*s", l->dir, e->name_len, e->name);
  if(proc < 0)
    proc = e->name[0] == 'p' ? atoi(e->name + 1) : -1;
  if(l->inner >= 0)
    slot = strcmp(strrchr(path, '/'), "/inner") == 0 ? l->inner : -1;
  else
    slot = proc < 0 || proc >= PROCS_MAX ? -1 : slot_of(path, proc);
  if(slot < 0 && strcmp(strrchr(path, '/'), "/many") == 0)
    return true;
  if(slot < 0 || l->m->proc[proc] == 0) {
    l->bad = why(l->m, "%s was never made", path);
    return false;
  }
  slot_see(l, proc, slot, e->ino);
  return true;
}

static const char *
look_dir(struct model *m, const struct image *im, int proc, int inner, const char *dir)
{
  struct look l = {.m = m, .im = im, .proc = proc, .inner = inner};
  uint32_t ino = image_path(im, dir);

  snprintf(l.dir, sizeof(l.dir), "%s", dir);
  if(ino == 0)
    return why(m, "%s is not there", dir);
  if(!image_readdir(im, ino, look_entry, &l))
    return why(m, "%s cannot be read", dir);
  return l.bad;
}

static const char *
look_proc(struct model *m, const struct image *im, int i)
{
  char dir[FACT_PATH];
  const char *bad;

  fact_dir_path(dir, i, SLOT_HOME);
  if((bad = look_dir(m, im, i, -1, dir)) != 0)
    return bad;
  fact_dir_path(dir, i, SLOT_MANY);
  if((bad = look_dir(m, im, i, -1, dir)) != 0)
    return bad;
  for(int k = SLOT_INNER; k < SLOT_SHARED; k++)
    if(m->seen[i][SLOT_DIR + k - SLOT_INNER].type == DIR_) {
      fact_dir_path(dir, i, k);
      if((bad = look_dir(m, im, i, k, dir)) != 0)
        return bad;
    }
  return 0;
}

static const char *
look(struct model *m, const struct image *im)
{
  const char *bad;

  seen_forget(m);
  for(int i = 0; i < PROCS_MAX; i++)
    if(m->proc[i] && (bad = look_proc(m, im, i)) != 0)
      return bad;
  return look_dir(m, im, -1, -1, FACT_TOP "/shared");
}

// ---- names and sizes

struct state { // of one process after its operation k
  struct entry slot[SLOTS];
  uint64_t size[FILES_MAX];
};

// The file whose size may be anything in [lo, hi], if `file` is not 0: it was growing.
struct growing {
  uint32_t file;
  uint64_t lo, hi;
};

static const char *
differs(const struct mproc *p, uint32_t proc, const struct state *st, int k, const struct seen *s, struct growing g)
{
  const struct entry *e = &st->slot[k];
  char text[FACT_PATH];
  uint32_t links = 0;

  if(e->type != s->type)
    return e->type == NONE ? "should not be there" : "is not there";
  if(e->type == LINK_) {
    fact_link_text(text, proc, e->id);
    return strcmp(text, s->text) == 0 ? 0 : "is another symlink";
  }
  if(e->type != FILE_)
    return 0;
  for(int i = 0; i < SLOTS; i++)
    links += st->slot[i].type == FILE_ && st->slot[i].id == e->id;
  if(p->file[e->id].ino && p->file[e->id].ino != s->ino)
    return "is another file";
  if(links != s->links)
    return "has another number of links";
  if(g.file == e->id && s->size >= g.lo && s->size <= g.hi)
    return 0;
  return st->size[e->id] == s->size ? 0 : "has another size";
}

static const char *
state_differs(const struct mproc *p, uint32_t proc, const struct state *st, const struct seen *seen, struct growing g,
              int *slot)
{
  for(int k = 0; k < SLOTS; k++) {
    const char *bad = st->slot[k].type == NONE && seen[k].type == NONE ? 0 : differs(p, proc, st, k, &seen[k], g);

    if(bad) {
      *slot = k;
      return bad;
    }
  }
  return 0;
}

static void
state_matches(struct mproc *p, const struct state *st, uint32_t k)
{
  if(p->kmin == UINT32_MAX) {
    p->kmin = k;
    memcpy(p->seen_as, st->slot, sizeof(p->seen_as));
  }
  p->kmax = k;
}

// Which operations' ends does the image show? In kmin, kmax; 0, or why none.
static const char *
proc_match(struct model *m, uint32_t i)
{
  static struct state st;
  struct mproc *p = m->proc[i];
  const char *bad = 0;
  char path[FACT_PATH];
  int slot = 0;

  memcpy(st.slot, p->floor_slot, sizeof(st.slot));
  memcpy(st.size, p->floor_size, sizeof(st.size));
  p->kmin = UINT32_MAX;
  for(uint32_t k = p->floor; k <= p->begun; k++) {
    const struct op *o = &p->op[k];
    struct growing g = {0};

    if(k > p->floor) {
      entry_apply(st.slot, o);
      if(o->file)
        st.size[o->file] = o->size;
    }
    bad = state_differs(p, i, &st, m->seen[i], g, &slot);
    if(bad == 0) {
      state_matches(p, &st, k);
      continue;
    }
    g = (struct growing){o->file, o->size_before, o->size};
    if(k > p->floor && o->file && o->kind != OP_TRUNCATE && state_differs(p, i, &st, m->seen[i], g, &slot) == 0)
      state_matches(p, &st, k - 1);
  }
  if(p->kmin != UINT32_MAX)
    return 0;
  fact_path(path, i, slot);
  return why(m, "names and sizes of process %u are not those after any operation in [%u, %u]; after the last, %s %s", i,
             p->floor, p->begun, path, bad);
}

// If what process j did last that shows began after something of process i had ended, that shows too.
static const char *
order_check(struct model *m, uint32_t j, uint32_t i)
{
  struct mproc *a = m->proc[i], *b = m->proc[j];
  uint64_t began = b->op[b->kmin].begin;
  uint32_t k = a->ended;

  if(b->kmin == 0 || i == j)
    return 0;
  while(k > a->kmax && a->op[k].end > began)
    k--;
  if(k <= a->kmax)
    return 0;
  return why(m, "operation %u of process %u shows, and %u of process %u, which had ended before it began, does not",
             b->kmin, j, k, i);
}

// ---- contents

struct sector {
  uint32_t proc, file, kmin;
  uint64_t at; // of the block in the file
  unsigned lo, hi;
  const struct block *b;
};

// The first candidate that counts: none before the last strong one that shows.
static int
sector_first(const struct sector *s, bool *base)
{
  *base = true;
  for(int i = s->b ? s->b->n - 1 : -1; i >= 0; i--) {
    const struct cand *c = &s->b->cand[i];

    if(c->strong && c->op <= s->kmin && c->lo <= s->lo && c->hi >= s->hi) {
      *base = false;
      return i;
    }
  }
  return 0;
}

static bool
sector_ok(const struct sector *s, const unsigned char *p)
{
  static const unsigned char zeros[SECTOR];
  unsigned char fill[SECTOR];
  bool ok[SECTOR] = {false}, base;
  int first = sector_first(s, &base), left = s->hi - s->lo;
  const unsigned char *from = s->b && s->b->base ? s->b->base + s->lo : zeros;

  if(base && memcmp(p, from, left) == 0)
    return true;
  for(int i = 0; base && i < (int)(s->hi - s->lo); i++)
    if(p[i] == from[i]) {
      ok[i] = true;
      left--;
    }
  for(int k = s->b ? s->b->n - 1 : -1; k >= first && left > 0; k--) {
    const struct cand *c = &s->b->cand[k];
    unsigned lo = c->lo > s->lo ? c->lo : s->lo, hi = c->hi < s->hi ? c->hi : s->hi;

    if(lo >= hi)
      continue;
    cand_fill(fill, c, s->proc, s->file, s->at, lo, hi);
    for(unsigned i = lo; i < hi; i++)
      if(!ok[i - s->lo] && p[i - s->lo] == fill[i - lo]) {
        ok[i - s->lo] = true;
        left--;
      }
  }
  return left == 0;
}

static const char *
sector_bad(struct model *m, const struct sector *s, const unsigned char *p)
{
  uint64_t tag;
  char path[FACT_PATH] = "?", ops[100] = "";
  bool base;
  int first = sector_first(s, &base);

  memcpy(&tag, p, sizeof(tag));
  for(int k = first; s->b && k < s->b->n && strlen(ops) < 80; k++)
    snprintf(ops + strlen(ops), 20, " %s%u", s->b->cand[k].zero ? "0@" : "", s->b->cand[k].op);
  for(int k = 0; k < SLOTS; k++)
    if(m->proc[s->proc]->seen_as[k].type == FILE_ && m->proc[s->proc]->seen_as[k].id == s->file)
      fact_path(path, s->proc, k);
  if(tag >> TAG_MARK_SHIFT == TAG_MARK)
    return why(
        m, "%s at %lu: bytes of process %u, file %u, operation %u; it is file %u, names show operation %u, may be:%s%s",
        path, (unsigned long)(s->at + s->lo), (unsigned)(tag >> TAG_PROC_SHIFT & 0xff),
        (unsigned)(tag >> TAG_FILE_SHIFT & 0xffff), (unsigned)(tag & 0xffffff), s->file, s->kmin, base ? " base" : "",
        ops);
  return why(m,
             "%s at %lu: begins with %016lx, which nobody wrote there; file %u, names show operation %u, may be:%s%s",
             path, (unsigned long)(s->at + s->lo), (unsigned long)tag, s->file, s->kmin, base ? " base" : "", ops);
}

static const char *
block_check(struct model *m, const struct sector *whole, const unsigned char *p)
{
  for(unsigned lo = 0; lo < whole->hi; lo += SECTOR) {
    struct sector s = *whole;

    s.lo = lo;
    s.hi = lo + SECTOR < whole->hi ? lo + SECTOR : whole->hi;
    if(!sector_ok(&s, p + lo))
      return sector_bad(m, &s, p + lo);
  }
  return 0;
}

static uint64_t
mtime_of(const struct image *im, const struct image_inode *ip)
{
  bool wide = im->inode_size > offsetof(struct image_inode, extra);
  uint64_t sec = (int64_t)(int32_t)ip->mtime + (wide ? (uint64_t)(ip->mtime_extra & 3) << 32 : 0);

  return sec * 1000000000 + (wide ? ip->mtime_extra >> 2 : 999999999);
}

static const char *
file_check(struct model *m, const struct image *im, uint32_t proc, uint32_t file, uint32_t ino)
{
  static const unsigned char zeros[IMAGE_BLOCK];
  const struct mproc *p = m->proc[proc];
  const struct image_inode *ip = image_inode(im, ino);
  uint64_t size = image_size(ip);
  const char *bad = 0;

  m->files++;
  m->bytes += size;
  if(mtime_of(im, ip) < p->file[file].mtime)
    return why(m, "file %u of process %u (inode %u) was changed %lu ns later than it says, and an fsync had returned",
               file, proc, ino, (unsigned long)(p->file[file].mtime - mtime_of(im, ip)));
  for(uint64_t at = 0; at < size && bad == 0; at += IMAGE_BLOCK) {
    uint32_t block = image_map(im, ip, at / IMAGE_BLOCK);
    const struct block *b = p->file[file].block ? &p->file[file].block[at / IMAGE_BLOCK] : 0;
    struct sector s = {proc, file, p->kmin, at, 0, size - at < IMAGE_BLOCK ? size - at : IMAGE_BLOCK, b};

    if(block == IMAGE_BAD || at / IMAGE_BLOCK >= BLOCKS_MAX)
      return why(m, "file %u of process %u has a bad block", file, proc);
    if(block || (b && (b->base || b->n)))
      bad = block_check(m, &s, block ? image_block(im, block) : zeros);
  }
  return bad;
}

static const char *
contents_check(struct model *m, const struct image *im, uint32_t i)
{
  const struct mproc *p = m->proc[i];
  const char *bad = 0;

  for(int k = 0; k < SLOTS && bad == 0; k++) {
    bool done = false;

    if(p->seen_as[k].type != FILE_)
      continue;
    for(int before = 0; before < k; before++)
      done |= same_file(&p->seen_as[before], &p->seen_as[k]);
    if(!done)
      bad = file_check(m, im, i, p->seen_as[k].id, m->seen[i][k].ino);
  }
  return bad;
}

const char *
model_check(struct model *m, const struct image *im)
{
  const char *bad = look(m, im);

  m->files = m->bytes = 0;
  for(int i = 0; i < PROCS_MAX && bad == 0; i++)
    if(m->proc[i])
      bad = proc_match(m, i);
  for(int j = 0; j < PROCS_MAX && bad == 0; j++)
    for(int i = 0; i < PROCS_MAX && bad == 0; i++)
      if(m->proc[i] && m->proc[j])
        bad = order_check(m, j, i);
  for(int i = 0; i < PROCS_MAX && bad == 0; i++)
    if(m->proc[i])
      bad = contents_check(m, im, i);
  return bad;
}

unsigned
model_files(const struct model *m)
{
  return m->files;
}

uint64_t
model_bytes(const struct model *m)
{
  return m->bytes;
}
