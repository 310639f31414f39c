// states.c -- the states that a power cut may leave of a recorded disk, each recovered and looked at.
//
// usage: states [-n STATES] [-s SEED] [-p PART/PARTS] [-c CONTROL] [-l BAD] [-t FOLDER] [-v] IMAGE LOG
//        states -e EVENT -w HOW -r SEED [-c CONTROL] [-o FILE] IMAGE LOG
//        states -g RECOVERED IMAGE LOG        states -x FILE IMAGE LOG        states -f IMAGE        states -m IMAGE [DIR]
//   IMAGE LOG  the disk at the start, and what tests/crash/disk.py wrote down
//   -n -s   how many states (1000), chosen by SEED (1). Part of them are the prefixes of the log; some are cuts right after an
//           acknowledgement with nothing that was not flushed; the rest are random cuts with random parts of what was not
//           flushed: whole writes, single sectors, all but one, only one
//   -p 0/2  the first half of them, for a second process
//   -c      a control, which must be found: ignore-flush, early-commit, early-ack
//   -l      stop after that many bad states (10)
//   -t      folder for the image that e2fsck gets, in memory if possible (/dev/shm)
//   -e -w -r  one state, as a bad one is told (an EVENT behind the end is the last); -o FILE writes it as it is before the recovery
//   -F      facts come from that LOG of an earlier power cut, all of them: LOG is of the recovery after it
//   -g      was RECOVERED, a disk after a power cut at the end of LOG and a recovery, recovered well? -x writes the end of LOG
//   -f      check IMAGE strictly; -m prints what manifest.h says of it, below DIR
// For each state: e2fsck recovers it and then finds nothing; our replay gives the same blocks, but for fields that note
// times and states (same_super); a second recovery changes nothing; a strict check of our own (ext3_fsck.c) finds nothing
// either; and every fact that had been told holds (model.h).
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../host/ext3_image.h"
#include "../host/fake_frames.h"
#include "../host/hosttree.h"
#include "fs/journal/journal_impl.h"
#include "log.h"
#include "manifest.h"
#include "model.h"
#include "run.h"

enum {
  FRAMES = 8192,
  EXT3_SUPER_AT = 1024,
  EXT3_NEEDS_RECOVERY = 4,
  REASON = 1000,
  PATH_ROOM = 300,
  MODE_LIST = 1,
  MODE_CHECK = 2
};
enum { STATE_PREFIX, STATE_ACK, STATE_SOME, STATE_TORN, STATE_BUT_ONE, STATE_ONE, STATE_KINDS };
#define E2FSCK_NOW "2000000000" // later than every mount
static const char *const kind_name[STATE_KINDS] = {"prefix", "ack", "some", "torn", "but-one", "one"};
static const char *const control_name[] = {"none", "ignore-flush", "early-commit", "early-ack"};

struct state {
  int event, kind;
  unsigned seed;
};

static struct options {
  int states, part, parts, bad_max, verbose, mode;
  unsigned seed;
  enum control control;
  const char *folder, *out, *image, *log, *facts, *recovered, *end;
  struct state one;
} opt = {.states = 1000, .parts = 1, .bad_max = 10, .seed = 1, .folder = "/dev/shm", .one = {-1, 0, 0}};

static struct fake_disk disk, ours; // the recorded one; the one that our code recovers
static struct log facts;
static struct model *model;
static unsigned char *theirs; // the file that e2fsck works on, mapped
static char theirs_path[PATH_ROOM];
static char reason[REASON];
static int count[STATE_KINDS], orphans, replayed;
static unsigned long looked;

static unsigned
next_random(unsigned *seed)
{
  *seed = *seed * 1664525u + 1013904223u;
  return *seed >> 8;
}

// ---- building

// All but one of the writes that may be lost, or only one.
static void
build_one(struct fake_crash *c, unsigned char *image, bool only, unsigned *seed)
{
  int n = fake_crash_pending(c), which = n ? (int)(next_random(seed) % n) : 0;

  memcpy(image, c->durable, disk.size);
  for(int i = c->first; i < disk.nwrites && disk.write[i].asked <= c->event; i++) {
    const struct fake_write *w = &disk.write[i];

    if(w->durable <= c->event)
      continue;
    if((which-- == 0) == only)
      memcpy(image + w->sector * BLK_SECTOR, w->data, w->sectors * BLK_SECTOR);
  }
}

static void
build(struct fake_crash *c, const struct state *s, unsigned char *image)
{
  unsigned seed = s->seed | 1;

  switch(s->kind) {
  case STATE_PREFIX: fake_crash_image(c, image, CRASH_ALL, &seed); break;
  case STATE_ACK: fake_crash_image(c, image, CRASH_NONE, &seed); break;
  case STATE_SOME: fake_crash_image(c, image, CRASH_SOME, &seed); break;
  case STATE_TORN: fake_crash_image(c, image, CRASH_TORN, &seed); break;
  case STATE_BUT_ONE: build_one(c, image, false, &seed); break;
  default: build_one(c, image, true, &seed); break;
  }
}

// ---- recovering

static const char *
bad(const char *words, const char *more)
{
  snprintf(reason, sizeof(reason), "%s%s%s", words, more ? ": " : "", more ? more : "");
  for(char *p = reason; (p = strchr(p, '\n')) != 0;)
    *p = p[1] ? '|' : 0;
  return reason;
}

// Where the journal lies; its length.
static uint32_t *
journal_map(const struct image *im, uint32_t *n)
{
  const struct image_inode *ip = image_inode(im, IMAGE_JOURNAL);
  uint32_t *map;

  *n = ip->size / IMAGE_BLOCK;
  map = kzalloc(*n * sizeof(*map));
  for(uint32_t i = 0; map && i < *n; i++)
    map[i] = image_map(im, ip, i);
  return map;
}

// Our own replay of ours.bytes. *super: block of the journal's superblock.
static const char *
recover_ours(uint32_t *super)
{
  struct image im;
  struct journal *j;
  const char *words = image_open(&im, ours.bytes, ours.size);
  uint32_t n, *map;
  int err;

  if(words)
    return bad("the crashed image", words);
  map = journal_map(&im, &n);
  *super = map[0];
  err = journal_open(&ours.dev, map, n, im.super->blocks, &j, &words);
  if(err)
    return bad("journal_open", words);
  replayed += journal_dirty(j);
  err = journal_replay(j);
  if(err == 0)
    err = journal_close(j);
  else
    journal_close(j);
  bcache_forget(&ours.dev);
  return err ? bad("our replay failed", 0) : 0;
}

// Our replay brings blocks home and leaves the rest to the mount: the mark that says "recover me".
static void
mark_recovered(unsigned char *image)
{
  ((struct image_super *)(image + EXT3_SUPER_AT))->incompat &= ~(uint32_t)EXT3_NEEDS_RECOVERY;
}

static int
times(const char *text, const char *word)
{
  int n = 0;

  while((text = strstr(text, word)) != 0) {
    n++;
    text += strlen(word);
  }
  return n;
}

// Something is asked that is not about the superblock's two totals, which a mount puts right.
static bool
asks(const char *said)
{
  return times(said, "? no") != times(said, "count wrong (") || strstr(said, "WARNING");
}

static const char *
e2fsck(const char *mode, int allowed, bool silent)
{
  static char said[4096];
  char *const argv[] = {"e2fsck",
                        mode[0] == 'n' ? "-fn" : "-y",
                        mode[0] == 'n' ? "-f" : "-E",
                        mode[0] == 'n' ? "-f" : "journal_only",
                        theirs_path,
                        0};
  int status = run_program(argv, said, sizeof(said));

  if(status < 0)
    return bad("e2fsck could not be started", 0);
  if(status & ~allowed)
    return bad(mode[0] == 'n' ? "e2fsck -fn finds something" : "e2fsck cannot recover it", said);
  if(silent && asks(said))
    return bad("e2fsck -fn asks something", said);
  return 0;
}

// The superblocks: what e2fsck writes into them besides what it replays is times, counts of checks and marks of state.
static bool
same_super(const unsigned char *a, const unsigned char *b)
{
  struct image_super x, y;

  memcpy(&x, a + EXT3_SUPER_AT, sizeof(x));
  memcpy(&y, b + EXT3_SUPER_AT, sizeof(y));
  y.wtime = x.wtime;
  y.mtime = x.mtime;
  y.lastcheck = x.lastcheck;
  y.state = x.state;
  y.incompat = x.incompat;
  y.free_blocks = x.free_blocks; // totals are exact again after a mount
  y.free_inodes = x.free_inodes;
  return memcmp(&x, &y, sizeof(x)) == 0;
}

static const char *
compare(uint32_t journal_super)
{
  char words[100];

  if(!same_super(theirs, ours.bytes))
    return bad("the superblock is not what e2fsck makes of it", 0);
  for(uint32_t b = 1; b < ours.size / IMAGE_BLOCK; b++)
    if(b != journal_super &&
       memcmp(theirs + (uint64_t)b * IMAGE_BLOCK, ours.bytes + (uint64_t)b * IMAGE_BLOCK, IMAGE_BLOCK)) {
      snprintf(words, sizeof(words), "block %u differs between e2fsck's recovery and ours", b);
      return bad(words, 0);
    }
  return 0;
}

// Both recoveries of what is in ours.bytes. e2fsck finishes orphans too, and so it does for ours, if there are some.
static const char *
recover(void)
{
  const struct image_super *s = (const void *)(ours.bytes + EXT3_SUPER_AT);
  const char *words;
  uint32_t journal_super = 0;

  memcpy(theirs, ours.bytes, ours.size);
  if((words = recover_ours(&journal_super)) != 0)
    return words;
  if(s->last_orphan) {
    orphans++;
    memcpy(disk.bytes, theirs, ours.size);
    mark_recovered(ours.bytes);
    memcpy(theirs, ours.bytes, ours.size);
    if((words = e2fsck("journal_only", 1, false)) != 0)
      return words;
    memcpy(ours.bytes, theirs, ours.size);
    memcpy(theirs, disk.bytes, ours.size);
  }
  if((words = e2fsck("journal_only", 1, false)) != 0)
    return words;
  if((words = compare(journal_super)) != 0)
    return words;
  return e2fsck("n", 0, true);
}

static const char *
look(void)
{
  static char text[REASON];
  struct image im;
  const char *words;

  if((words = recover()) != 0)
    return words;
  if(fsck_image(theirs, ours.size, FSCK_STALE_TOTALS, text, sizeof(text)))
    return bad("ext3_fsck.c", text);
  image_open(&im, theirs, ours.size);
  words = model_check(model, &im);
  looked += model_files(model);
  return words;
}

// ---- which states

static int
by_event(const void *a, const void *b)
{
  const struct state *x = a, *y = b;

  return x->event != y->event ? (x->event > y->event) - (x->event < y->event)
                              : (x->seed > y->seed) - (x->seed < y->seed);
}

static int *
events_of_writes(int *n)
{
  int *e = malloc((disk.nwrites + 1) * sizeof(*e));

  *n = 0;
  for(int i = 0; i < disk.nwrites; i++)
    e[(*n)++] = disk.write[i].asked;
  return e;
}

// After which something had just been promised.
static int *
events_of_acks(int *n)
{
  int *e = malloc((facts.ntold + 1) * sizeof(*e));

  *n = 0;
  for(int i = 0; i < facts.ntold; i++) {
    const struct fact *f = &facts.told[i].fact;
    bool sync =
        (f->kind >= OP_MSYNC && f->kind <= OP_SYNC) || (f->kind == OP_WRITE && f->flags & (WRITE_SYNC | WRITE_DSYNC));

    if(f->phase == FACT_END && f->result >= 0 && sync)
      e[(*n)++] = facts.told[i].event;
  }
  return e;
}

// A third prefixes and a sixth acknowledgements, evenly spread, as far as there are so many; the rest at random.
static struct state *
choose(int *n)
{
  int nw, na, k = 0, *w = events_of_writes(&nw), *a = events_of_acks(&na);
  struct state *s = malloc(opt.states * sizeof(*s));
  int prefixes = opt.states / 3 < nw ? opt.states / 3 : nw, acks = opt.states / 6 < na ? opt.states / 6 : na;
  unsigned seed = opt.seed;

  for(int i = 0; i < prefixes; i++)
    s[k++] = (struct state){w[(long)i * nw / prefixes], STATE_PREFIX, i};
  for(int i = 0; i < acks; i++)
    s[k++] = (struct state){a[(long)i * na / acks], STATE_ACK, i};
  while(k < opt.states && nw > 0) {
    int kind = STATE_SOME + next_random(&seed) % (STATE_KINDS - STATE_SOME);

    s[k] = (struct state){w[next_random(&seed) % nw] + next_random(&seed) % 3, kind, next_random(&seed)};
    if(s[k].event >= disk.events)
      s[k].event = disk.events - 1;
    k++;
  }
  qsort(s, k, sizeof(*s), by_event);
  free(w);
  free(a);
  *n = k;
  return s;
}

// ---- all of it

static bool
start(void)
{
  uint64_t size;
  void *base = host_map(opt.image, &size);
  int fd;

  if(base == 0) {
    fprintf(stderr, "states: cannot read %s\n", opt.image);
    return false;
  }
  fake_frames_init(FRAMES);
  bcache_init();
  fake_idle = fake_disks_idle;
  fake_disk_init(&disk, "vda", size);
  fake_disk_init(&ours, "vdb", size);
  memcpy(disk.bytes, base, size);
  host_unmap(base, size);
  fake_disk_record(&disk);
  disk.recording = false;
  snprintf(theirs_path, sizeof(theirs_path), "%s/lazy6-states.%d", opt.folder, (int)getpid());
  fd = open(theirs_path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  if(fd < 0 || ftruncate(fd, size) < 0) {
    fprintf(stderr, "states: cannot make %s\n", theirs_path);
    return false;
  }
  theirs = mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  setenv("E2FSCK_TIME", E2FSCK_NOW, 1); // what it writes as a time of deletion, in both recoveries
  model = model_new();
  return theirs != MAP_FAILED && log_load(&facts, &disk, opt.log, opt.control);
}

static bool
tell_until(int event)
{
  static int told;

  for(; told < facts.ntold && facts.told[told].event <= event; told++)
    if(!model_fact(model, &facts.told[told].fact, opt.control == CONTROL_EARLY_ACK)) {
      fprintf(stderr, "states: fact %d of the log makes no sense\n", told);
      return false;
    }
  return true;
}

static void
write_out(const unsigned char *image)
{
  FILE *f = opt.out ? fopen(opt.out, "w") : 0;

  if(f && (fwrite(image, 1, ours.size, f) != ours.size || fclose(f) != 0))
    fprintf(stderr, "states: cannot write %s\n", opt.out);
}

// The facts of an earlier power cut come before everything.
static bool
earlier_facts(void)
{
  static struct fake_disk before;
  struct log log;
  bool ok;

  fake_disk_init(&before, "vdc", disk.size);
  ok = log_load(&log, &before, opt.facts, CONTROL_NONE);
  for(int i = 0; ok && i < log.ntold; i++)
    ok = model_fact(model, &log.told[i].fact, false);
  log_free(&log);
  return ok;
}

// Everything that was written, in order: what the disk holds if the power stays on.
static void
end_image(unsigned char *image)
{
  memcpy(image, disk.base, disk.size);
  for(int i = 0; i < disk.nwrites; i++)
    if(!disk.write[i].failed)
      memcpy(image + disk.write[i].sector * BLK_SECTOR, disk.write[i].data, disk.write[i].sectors * BLK_SECTOR);
}

static const char *
look_recovered(void)
{
  static char text[REASON];
  struct image im;
  uint64_t size;
  unsigned char *bytes = host_map(opt.recovered, &size);
  const char *words;

  if(bytes == 0 || size != ours.size)
    return "cannot be read";
  if(fsck_image(bytes, size, 0, text, sizeof(text)))
    return bad("ext3_fsck.c", text);
  memcpy(theirs, bytes, size);
  if((words = e2fsck("n", 0, true)) != 0)
    return words;
  image_open(&im, theirs, size);
  return model_check(model, &im);
}

static int
recovered(void)
{
  const char *words = tell_until(disk.events) ? look_recovered() : "the log makes no sense";

  printf("%s %s: %s\n", words ? "BAD" : "ok ", opt.recovered, words ? words : "as it may be after that power cut");
  return words != 0;
}

// 1: it is bad, -1: the log is.
static int
try_one(struct fake_crash *c, const struct state *s)
{
  const char *words;

  while(c->event < s->event && fake_crash_next(c))
    ;
  if(!tell_until(s->event))
    return -1;
  build(c, s, ours.bytes);
  write_out(ours.bytes);
  words = look();
  count[s->kind]++;
  if(words)
    printf("BAD -e %d -w %s -r %u: %s\n", s->event, kind_name[s->kind], s->seed, words);
  else if(opt.verbose)
    printf("ok  -e %d -w %s -r %u: %d writes pending, %u files, %lu bytes\n", s->event, kind_name[s->kind], s->seed,
           fake_crash_pending(c), model_files(model), (unsigned long)model_bytes(model));
  fflush(stdout);
  return words != 0;
}

static int
explore(void)
{
  struct fake_crash c;
  int n = 1, nbad = 0, lo, hi, tried = 0;
  struct state *s = opt.one.event >= 0 ? &opt.one : choose(&n);

  if(opt.one.event >= disk.events)
    opt.one.event = disk.events - 1;
  lo = (long)n * opt.part / opt.parts;
  hi = (long)n * (opt.part + 1) / opt.parts;
  fake_crash_begin(&c, &disk);
  for(int i = lo; i < hi && nbad < opt.bad_max; i++) {
    int r = try_one(&c, &s[i]);

    if(r < 0)
      return 2;
    nbad += r;
    tried++;
  }
  printf("log: %d writes, %d flushes, %d facts, control %s\n", facts.writes, facts.flushes, facts.ntold,
         control_name[opt.control]);
  printf("states: %d tried, %d bad;", tried, nbad);
  for(int i = 0; i < STATE_KINDS; i++)
    printf(" %s %d", kind_name[i], count[i]);
  printf("; replayed %d, orphans %d, files %lu\n", replayed, orphans, looked);
  return nbad != 0;
}

// ---- a manifest of an image

struct names {
  const struct image *im;
  struct {
    char name[256];
    uint32_t ino;
  } * e;
  int n;
};

static bool
name_add(void *arg, const struct image_entry *e)
{
  struct names *l = arg;

  if((e->name_len == 1 && e->name[0] == '.') || (e->name_len == 2 && memcmp(e->name, "..", 2) == 0))
    return true;
  l->e = realloc(l->e, (l->n + 1) * sizeof(*l->e));
  memcpy(l->e[l->n].name, e->name, e->name_len);
  l->e[l->n].name[e->name_len] = 0;
  l->e[l->n++].ino = e->ino;
  return true;
}

static int
by_name(const void *a, const void *b)
{
  return strcmp(a, b);
}

static uint64_t
hash_contents(const struct image *im, const struct image_inode *ip)
{
  static const unsigned char zeros[IMAGE_BLOCK];
  uint64_t h = MANIFEST_HASH_START, size = image_size(ip);
  char text[IMAGE_BLOCK];

  if(image_type(ip) == IMAGE_LNK && image_link_text(im, ip, text, sizeof(text)) > 0)
    return manifest_hash(h, text, ip->size);
  for(uint64_t at = 0; image_type(ip) == IMAGE_REG && at < size; at += IMAGE_BLOCK) {
    uint32_t b = image_map(im, ip, at / IMAGE_BLOCK);

    h = manifest_hash(h, b && b != IMAGE_BAD ? image_block(im, b) : zeros,
                      size - at < IMAGE_BLOCK ? size - at : IMAGE_BLOCK);
  }
  return h;
}

static void
list(const struct image *im, uint32_t dir, const char *path)
{
  struct names l = {.im = im};

  image_readdir(im, dir, name_add, &l);
  if(l.n)
    qsort(l.e, l.n, sizeof(*l.e), by_name);
  for(int i = 0; i < l.n; i++) {
    const struct image_inode *ip = image_inode(im, l.e[i].ino);
    unsigned nsec = im->inode_size > sizeof(*ip) - 24 ? ip->mtime_extra >> 2 : 0;
    long long sec = (int32_t)ip->mtime + (im->inode_size > 128 ? (long long)(ip->mtime_extra & 3) << 32 : 0);
    char *below = malloc(strlen(path) + 300);

    sprintf(below, "%s/%s", path, l.e[i].name);
    printf(MANIFEST_FORMAT, ip->mode, ip->uid | (unsigned)ip->uid_high << 16, ip->gid | (unsigned)ip->gid_high << 16,
           ip->links, (unsigned long long)(image_type(ip) == IMAGE_DIR ? 0 : image_size(ip)), sec, nsec,
           (unsigned long long)hash_contents(im, ip), below);
    if(image_type(ip) == IMAGE_DIR)
      list(im, l.e[i].ino, below);
    free(below);
  }
  free(l.e);
}

static int
image_only(const char *dir)
{
  static char text[REASON];
  struct image im;
  uint64_t size;
  void *bytes = host_map(opt.image, &size);
  const char *words = bytes ? image_open(&im, bytes, size) : "cannot be read";

  if(words) {
    printf("%s: %s\n", opt.image, words);
    return 2;
  }
  if(opt.mode == MODE_CHECK) {
    int n = fsck_image(bytes, size, 0, text, sizeof(text));

    printf("%s: %d findings%s%s\n", opt.image, n, n ? ", first: " : "", text);
    return n != 0;
  }
  if(image_path(&im, dir) == 0) {
    printf("%s: there is no %s\n", opt.image, dir);
    return 2;
  }
  list(&im, image_path(&im, dir), "");
  return 0;
}

// ---- the command line

static int
which(const char *word, const char *const *names, int n)
{
  for(int i = 0; i < n; i++)
    if(strcmp(word, names[i]) == 0)
      return i;
  fprintf(stderr, "states: no such word: %s\n", word);
  exit(2);
}

static void
options(int argc, char **argv)
{
  for(int c; (c = getopt(argc, argv, "n:s:p:c:l:t:e:w:r:o:F:g:x:vfm")) >= 0;)
    switch(c) {
    case 'n': opt.states = atoi(optarg); break;
    case 's': opt.seed = strtoul(optarg, 0, 0); break;
    case 'p': sscanf(optarg, "%d/%d", &opt.part, &opt.parts); break;
    case 'c': opt.control = which(optarg, control_name, 4); break;
    case 'l': opt.bad_max = atoi(optarg); break;
    case 't': opt.folder = optarg; break;
    case 'e': opt.one.event = atoi(optarg); break;
    case 'w': opt.one.kind = which(optarg, kind_name, STATE_KINDS); break;
    case 'r': opt.one.seed = strtoul(optarg, 0, 0); break;
    case 'o': opt.out = optarg; break;
    case 'F': opt.facts = optarg; break;
    case 'g': opt.recovered = optarg; break;
    case 'x': opt.end = optarg; break;
    case 'v': opt.verbose = 1; break;
    case 'f': opt.mode = MODE_CHECK; break;
    case 'm': opt.mode = MODE_LIST; break;
    default: exit(2);
    }
  if(optind >= argc || (opt.mode == 0 && optind + 1 >= argc) || opt.parts < 1) {
    fprintf(stderr,
            "usage: states [-n STATES] [-s SEED] [-p PART/PARTS] [-c CONTROL] IMAGE LOG   (states.c says more)\n");
    exit(2);
  }
  opt.image = argv[optind];
  opt.log = argv[optind + 1];
}

int
main(int argc, char **argv)
{
  int status;

  options(argc, argv);
  if(opt.mode)
    return image_only(optind + 1 < argc ? argv[optind + 1] : "/");
  if(!start() || (opt.facts && !earlier_facts()))
    return 2;
  if(opt.end) {
    opt.out = opt.end;
    end_image(ours.bytes);
    write_out(ours.bytes);
    status = 0;
  } else {
    status = opt.recovered ? recovered() : explore();
  }
  unlink(theirs_path);
  return status;
}
