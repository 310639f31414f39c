// blkfail.c -- disks that fail on purpose: rules by which requests end with an error or late, to drive the paths that
// a good disk never takes. APPEND="blkfail=..." sets them at start, /proc/sys/dev/blkfail at any time.
//
//   RULES = RULE[,RULE...]      a leading '+' adds to the rules there are; the empty text takes all away
//   RULE  = DISK:OP:SECTORS[:HOW...]
//     DISK     vda, ram0, ...; * for every disk
//     OP       read, write, flush, discard; * for all
//     SECTORS  LO-HI, half-open, in sectors of 512 bytes: requests that touch one; LO+N: N from LO on; * for all
//     HOW      nth=N    the first request that is hit is the N-th that matches (1)
//              every=N  after that each N-th (1)
//              count=N  after N hits the rule is spent (no end)
//              delay=MS a hit ends that many milliseconds late, and well unless `fail` says otherwise
//              fail     a hit ends with -EIO (so without delay)
//   "vda:write:*:nth=3:count=1" fails the third write; "*:*:*:delay=20" is a slow disk; "vda:read:8-16" a bad block.
//
// A failed request never reaches the disk, and a failed read leaves noise in memory, as a real one may. A late one is
// served at once and told late, in the order of the times it is due.
//
// Typical: blk_submit asks blkfail_hit, blk_done asks blkfail_late, each only if there is reason to.
// Must not know a driver, nor who asks.
#include "core/lock.h"
#include "core/print.h"
#include "core/time.h"
#include "dev/blk.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mm/mm.h"

enum { RULES_MAX = 16, NAME_SIZE = 16, DECIMAL = 10, NOISE = 0xdb, DELAY_MAX = 600000, ALL_OPS = 15 };

struct rule {
  char disk[NAME_SIZE]; // (F) "" for all
  unsigned ops;         // (F) 1 << enum blk_op
  uint64_t lo, hi;      // (F) sectors; [0, UINT64_MAX): all, and requests without any
  uint64_t nth, every;  // (F)
  uint64_t count;       // (F) hits until it is spent
  uint64_t delay;       // (F) milliseconds
  bool fails;           // (F)
  uint64_t seen, hits;  // (F) matching requests so far, and those of them that were hit
};

// Lock keys: (F) fail_lock  (a) atomic
static struct spinlock fail_lock = SPINLOCK_INIT("blkfail", RANK_DEV);
static struct rule rules[RULES_MAX];       // (F)
static int nrules;                         // (F)
static struct list late = LIST_INIT(late); // (F) requests that are over but not told yet, by due
static void late_tell(struct timer *t);
static struct timer late_timer = {.fn = late_tell};

bool blkfail_armed;

// ---- the grammar

struct word {
  const char *p;
  size_t n;
};

// The next piece of *in up to `end` (or one of two), which is passed.
static struct word
word_next(struct word *in, char end, char or_end)
{
  struct word w = {in->p, 0};

  while(w.n < in->n && w.p[w.n] != end && w.p[w.n] != or_end)
    w.n++;
  in->p += min(w.n + 1, in->n);
  in->n -= min(w.n + 1, in->n);
  return w;
}

static bool
word_is(struct word w, const char *text)
{
  return w.n == strlen(text) && memcmp(w.p, text, w.n) == 0;
}

static bool
word_number(struct word w, uint64_t most, uint64_t *out)
{
  uint64_t v = 0;

  if(w.n == 0)
    return false;
  for(size_t i = 0; i < w.n; i++) {
    if(w.p[i] < '0' || w.p[i] > '9' || v > most / DECIMAL)
      return false;
    v = v * DECIMAL + (w.p[i] - '0');
  }
  *out = v;
  return v <= most;
}

static const char *
parse_disk(struct word w, struct rule *r)
{
  if(w.n == 0 || w.n >= NAME_SIZE)
    return "names no disk";
  if(!word_is(w, "*"))
    memcpy(r->disk, w.p, w.n);
  return 0;
}

static const char *
parse_op(struct word w, struct rule *r)
{
  static const char *const name[] = {"read", "write", "flush", "discard"};

  for(int op = 0; op < array_len(name); op++)
    if(word_is(w, name[op]))
      r->ops = 1u << op;
  if(word_is(w, "*"))
    r->ops = ALL_OPS;
  return r->ops ? 0 : "OP is none of read, write, flush, discard, *";
}

static const char *
parse_sectors(struct word w, struct rule *r)
{
  bool plus = memchr(w.p, '+', w.n) != 0;
  struct word lo;

  r->hi = UINT64_MAX;
  if(word_is(w, "*"))
    return 0;
  lo = word_next(&w, '-', '+');
  if(!word_number(lo, INT64_MAX, &r->lo) || !word_number(w, INT64_MAX, &r->hi))
    return "SECTORS is none of LO-HI, LO+N, *";
  if(plus)
    r->hi += r->lo;
  if(r->lo >= r->hi)
    return "SECTORS is an empty range";
  return r->ops == 1u << BLK_FLUSH ? "a flush has no sectors: say *" : 0;
}

static const char *
parse_how(struct word w, struct rule *r)
{
  struct word key;

  if(word_is(w, "fail")) {
    r->fails = true;
    return 0;
  }
  key = word_next(&w, '=', '=');
  if(word_is(key, "nth") && word_number(w, INT64_MAX, &r->nth) && r->nth > 0)
    return 0;
  if(word_is(key, "every") && word_number(w, INT64_MAX, &r->every) && r->every > 0)
    return 0;
  if(word_is(key, "count") && word_number(w, INT64_MAX, &r->count) && r->count > 0)
    return 0;
  if(word_is(key, "delay") && word_number(w, DELAY_MAX, &r->delay) && r->delay > 0)
    return 0;
  return "HOW is none of nth=N, every=N, count=N, delay=MS, fail, with N from 1 and MS up to 600000";
}

// One rule: 0, or what is wrong with it.
static const char *
parse_rule(struct word in, struct rule *r)
{
  const char *why;

  *r = (struct rule){.nth = 1, .every = 1, .count = UINT64_MAX};
  if((why = parse_disk(word_next(&in, ':', ':'), r)) != 0)
    return why;
  if((why = parse_op(word_next(&in, ':', ':'), r)) != 0)
    return why;
  if((why = parse_sectors(word_next(&in, ':', ':'), r)) != 0)
    return why;
  while(in.n > 0)
    if((why = parse_how(word_next(&in, ':', ':'), r)) != 0)
      return why;
  r->fails |= r->delay == 0;
  return 0;
}

// All rules of the text into fresh[0..*n). 0 or -EINVAL, with a word on the console.
static int
parse_all(struct word in, struct rule *fresh, int *n)
{
  struct word w;
  const char *why;

  for(*n = 0; in.n > 0;) {
    w = word_next(&in, ',', '\n');
    if(w.n == 0)
      continue;
    why = *n == RULES_MAX ? "one rule too many" : parse_rule(w, &fresh[*n]);
    if(why) {
      print("blkfail: %.*s: %s (DISK:OP:SECTORS[:HOW...])\n", (int)w.n, w.p, why);
      return -EINVAL;
    }
    ++*n;
  }
  return 0;
}

int
blkfail_set(const char *text)
{
  struct rule *fresh = kzalloc(sizeof(rules));
  bool add = *text == '+';
  int n, err;

  if(fresh == 0)
    return -ENOMEM;
  err = parse_all((struct word){text + add, strlen(text + add)}, fresh, &n);
  if(err == 0) {
    spin_acquire(&fail_lock);
    if(!add)
      nrules = 0;
    if(n > RULES_MAX - nrules)
      err = -ENOSPC;
    else
      memcpy(&rules[nrules], fresh, n * sizeof(rules[0]));
    nrules += err ? 0 : n;
    atomic_set(&blkfail_armed, nrules > 0);
    spin_release(&fail_lock);
  }
  kfree(fresh);
  return err;
}

bool
blkfail_text(int i, char *buf, size_t size)
{
  static const char *const name[] = {"read", "write", "flush", "discard"};
  struct rule r = {0};
  int n;

  spin_acquire(&fail_lock);
  if(i < nrules)
    r = rules[i];
  spin_release(&fail_lock);
  if(r.ops == 0)
    return false;
  n = fmt(buf, size, "%s:%s:", r.disk[0] ? r.disk : "*", r.ops == ALL_OPS ? "*" : name[__builtin_ctz(r.ops)]);
  if(r.hi == UINT64_MAX)
    n += fmt(buf + n, size - n, "*");
  else
    n += fmt(buf + n, size - n, "%lu-%lu", r.lo, r.hi);
  n += fmt(buf + n, size - n, ":nth=%lu:every=%lu", r.nth, r.every);
  if(r.count != UINT64_MAX)
    n += fmt(buf + n, size - n, ":count=%lu", r.count);
  if(r.delay)
    n += fmt(buf + n, size - n, ":delay=%lu", r.delay);
  fmt(buf + n, size - n, "%s seen %lu hit %lu", r.fails ? ":fail" : "", r.seen, r.hits);
  return true;
}

// ---- requests

static bool
rule_matches(const struct rule *r, const struct blkdev *d, const struct blkreq *q)
{
  if(!(r->ops & 1u << q->op) || (r->disk[0] && strcmp(r->disk, d->name) != 0))
    return false;
  if(r->hi == UINT64_MAX)
    return true;
  return q->op != BLK_FLUSH && q->sector < r->hi && r->lo < q->sector + blk_bytes(q) / BLK_SECTOR;
}

// held: fail_lock. Count one matching request: is it hit?
static bool
rule_hits(struct rule *r)
{
  if(++r->seen < r->nth || (r->seen - r->nth) % r->every != 0 || r->hits >= r->count)
    return false;
  r->hits++;
  return true;
}

static void
noise(const struct blkreq *q)
{
  for(int i = 0; i < q->nseg; i++)
    memset(kva_of_pa(q->seg[i].pa), NOISE, q->seg[i].len);
}

bool
blkfail_hit(struct blkdev *d, struct blkreq *q)
{
  uint64_t delay = 0;
  bool fails = false;

  spin_acquire(&fail_lock);
  for(int i = 0; i < nrules; i++)
    if(rule_matches(&rules[i], d, q) && rule_hits(&rules[i])) {
      delay = max(delay, rules[i].delay);
      fails |= rules[i].fails;
    }
  spin_release(&fail_lock);
  if(delay)
    q->due = clock_now() + delay * MSEC;
  if(fails && q->op == BLK_READ)
    noise(q);
  return fails;
}

bool
blkfail_late(struct blkdev *d, struct blkreq *q, int err)
{
  struct list *at;

  if(clock_now() >= q->due)
    return false;
  spin_acquire(&fail_lock);
  q->dev = d;
  q->err = err;
  for(at = late.prev; at != &late && list_entry(at, struct blkreq, link)->due > q->due; at = at->prev)
    ;
  list_add(at, &q->link);
  timer_start(&late_timer, list_entry(late.next, struct blkreq, link)->due);
  spin_release(&fail_lock);
  return true;
}

// The first late request whose time has come, off the list; 0, and the timer is set for the next.
static struct blkreq *
late_take(void)
{
  struct blkreq *q = 0;

  spin_acquire(&fail_lock);
  if(!list_empty(&late)) {
    q = list_entry(late.next, struct blkreq, link);
    if(q->due > clock_now()) {
      timer_start(&late_timer, q->due);
      q = 0;
    } else {
      list_del(&q->link);
    }
  }
  spin_release(&fail_lock);
  return q;
}

// Interrupt context, as any end of a request.
static void
late_tell(struct timer *t)
{
  struct blkreq *q;

  while((q = late_take()) != 0) {
    q->due = 0;
    blk_done(q->dev, q, q->err);
  }
}
