// core_test.c -- kernel/core on pthreads: locks, the rank check, wait queues, timers; and print, trace, option alone.
// Built twice: under ASan+UBSan (core.mk) and under TSan (core_tsan.mk).
#include <stdlib.h>
#include <string.h>
#include "core/kthread.h"
#include "core/option.h"
#include "core/trace.h"
#include "core/wait.h"
#include "fake_thread.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "test.h"

enum { THREADS = 6, ROUNDS = 2000 };

static uint64_t
rnd(uint64_t below)
{
  static __thread uint64_t x;

  if(x == 0)
    x = thread_tid();
  x = x * 6364136223846793005ull + 1442695040888963407ull;
  return (x >> 33) % below;
}

// ---- spin lock

static struct spinlock spin;
static long counter; // no atomics: the lock under test is all that protects it
static int tried;

static void
spin_worker(void *arg)
{
  for(int i = 0; i < ROUNDS; i++) {
    if(i % 4 == 0 && !spin_try(&spin)) {
      atomic_add(&tried, 1);
      continue;
    }
    if(i % 4)
      spin_acquire(&spin);
    assert_held(&spin);
    expect(!irq_enabled());
    counter++;
    spin_release(&spin);
    expect(irq_enabled());
  }
}

TEST(spinlock_excludes)
{
  fake_mode(FAKE_PTHREADS);
  spin_init(&spin, "spin", RANK_OBJ);
  counter = tried = 0;
  fake_parallel(THREADS, spin_worker);
  expect_eq(counter + tried, THREADS * ROUNDS);
}

TEST(spinlock_try_refuses_while_held)
{
  spin_init(&spin, "spin", RANK_OBJ);
  for(int i = 0; i < 3; i++) {
    expect(spin_try(&spin));
    expect(!spin_try(&spin));
    spin_release(&spin);
  }
}

// ---- sleep lock

static struct sleeplock mutex;

static void
sleep_worker(void *arg)
{
  for(int i = 0; i < ROUNDS; i++) {
    if(i % 5 == 0) {
      if(!sleep_try(&mutex))
        continue;
    } else if(i % 5 == 1) {
      expect_eq(sleep_acquire_killable(&mutex), 0);
    } else {
      sleep_acquire(&mutex);
    }
    assert_held(&mutex);
    counter++;
    if(i % 16 == 0)
      thread_yield();
    counter--;
    sleep_release(&mutex);
  }
}

TEST(sleeplock_excludes)
{
  fake_mode(FAKE_PTHREADS);
  sleep_init(&mutex, "mutex", RANK_MAPLOCK);
  counter = 0;
  fake_parallel(THREADS, sleep_worker);
  expect_eq(counter, 0);
  expect(!mutex.held && !mutex.owner && list_empty(&mutex.q.waiters));
}

static int progress;
static bool hog_stop;

static void
hog(void *arg) // takes the lock again at once, all the time
{
  while(!atomic_get(&hog_stop)) {
    sleep_acquire(&mutex);
    thread_yield();
    sleep_release(&mutex);
  }
}

TEST(sleeplock_starves_nobody)
{
  struct fake_task *a, *b;

  fake_mode(FAKE_PTHREADS);
  sleep_init(&mutex, "mutex", RANK_MAPLOCK);
  hog_stop = false;
  a = fake_start(hog, 0);
  b = fake_start(hog, 0);
  for(int i = 0; i < 200; i++) {
    sleep_acquire(&mutex);
    sleep_release(&mutex);
  }
  atomic_set(&hog_stop, true);
  fake_join(a);
  fake_join(b);
}

static struct thread *victim;

static void
killed_waiter(void *arg)
{
  atomic_set(&victim, thread_self());
  expect_eq(sleep_acquire_killable(&mutex), -EINTR);
  expect_eq(thread_held()->n, 0);
  atomic_set(&progress, 1);
}

TEST(sleeplock_wait_ends_by_kill)
{
  struct fake_task *a;

  fake_mode(FAKE_PTHREADS);
  sleep_init(&mutex, "mutex", RANK_MAPLOCK);
  victim = 0;
  progress = 0;
  sleep_acquire(&mutex);
  a = fake_start(killed_waiter, 0);
  while(!atomic_get(&victim))
    thread_yield();
  fake_signal(victim, false); // not fatal: goes on waiting
  time_sleep_until(clock_now() + 5 * MSEC, WAIT_ALWAYS);
  expect_eq(atomic_get(&progress), 0);
  fake_signal(victim, true);
  fake_join(a);
  sleep_release(&mutex);
  sleep_acquire(&mutex); // and the lock still works
  sleep_release(&mutex);
}

// ---- rw lock

static struct rwlock rw;
static int readers_in, writers_in, most_readers;
static long shared[2];

static void
rw_worker(void *arg)
{
  for(int i = 0; i < ROUNDS; i++) {
    bool try = rnd(4) == 0;

    if(rnd(4)) {
      if(try && !rw_read_try(&rw))
        continue;
      if(!try)
        rw_read(&rw);
      int in = atomic_add(&readers_in, 1);

      if(in > atomic_get(&most_readers))
        atomic_set(&most_readers, in);
      expect_eq(atomic_get(&writers_in), 0);
      expect_eq(shared[0], shared[1]);
      if(rnd(8) == 0)
        thread_yield();
      atomic_sub(&readers_in, 1);
      rw_read_release(&rw);
    } else {
      if(try && !rw_write_try(&rw))
        continue;
      if(!try)
        rw_write(&rw);
      expect_eq(atomic_add(&writers_in, 1), 1);
      expect_eq(atomic_get(&readers_in), 0);
      shared[0]++;
      if(rnd(8) == 0)
        thread_yield();
      shared[1]++;
      atomic_sub(&writers_in, 1);
      rw_write_release(&rw);
    }
  }
}

TEST(rwlock_many_readers_or_one_writer)
{
  fake_mode(FAKE_PTHREADS);
  rw_init(&rw, "rw", RANK_ASPACE);
  fake_parallel(THREADS, rw_worker);
  expect(most_readers > 1);
  expect(rw.readers == 0 && !rw.writing && !rw.writer && list_empty(&rw.q.waiters));
}

static void
rw_writer(void *arg)
{
  rw_write(&rw);
  atomic_set(&progress, 1);
  rw_write_release(&rw);
}

TEST(rwlock_waiting_writer_holds_readers_back)
{
  struct fake_task *a;

  fake_mode(FAKE_PTHREADS);
  rw_init(&rw, "rw", RANK_ASPACE);
  progress = 0;
  rw_read(&rw);
  a = fake_start(rw_writer, 0);
  while(!waitq_busy(&rw.q))
    thread_yield();
  expect(!rw_read_try(&rw));
  expect_eq(atomic_get(&progress), 0);
  rw_read_release(&rw);
  fake_join(a);
  expect_eq(progress, 1);
  expect(rw_read_try(&rw));
  rw_read_release(&rw);
}

static void
rw_reader_forever(void *arg)
{
  while(!atomic_get(&hog_stop)) {
    rw_read(&rw);
    thread_yield();
    rw_read_release(&rw);
  }
}

TEST(rwlock_starves_no_writer)
{
  struct fake_task *t[4];

  fake_mode(FAKE_PTHREADS);
  rw_init(&rw, "rw", RANK_ASPACE);
  hog_stop = false;
  for(int i = 0; i < 4; i++)
    t[i] = fake_start(rw_reader_forever, 0);
  for(int i = 0; i < 100; i++) {
    rw_write(&rw);
    rw_write_release(&rw);
  }
  atomic_set(&hog_stop, true);
  for(int i = 0; i < 4; i++)
    fake_join(t[i]);
}

// ---- bit lock

enum { WORDS = 3, BIT = 5 };
static unsigned word[WORDS];
static long guarded[WORDS];

static void
bit_worker(void *arg)
{
  for(int i = 0; i < ROUNDS; i++) {
    int k = rnd(WORDS);

    if(rnd(8) == 0) {
      expect_eq(bitlock_wait(&word[k], BIT), 0);
      continue;
    }
    if(rnd(4))
      bitlock_acquire(&word[k], BIT, RANK_PAGE);
    else if(!bitlock_try(&word[k], BIT, RANK_PAGE))
      continue;
    guarded[k]++;
    if(rnd(16) == 0)
      thread_yield();
    guarded[k]--;
    bitlock_release(&word[k], BIT, RANK_PAGE);
  }
}

TEST(bitlock_excludes)
{
  fake_mode(FAKE_PTHREADS);
  for(int k = 0; k < WORDS; k++)
    word[k] = 1u << 31 | 1;
  fake_parallel(THREADS, bit_worker);
  for(int k = 0; k < WORDS; k++) {
    expect_eq(guarded[k], 0);
    expect_eq(word[k], 1u << 31 | 1);
  }
}

static void
bit_releaser(void *arg)
{
  thread_yield();
  bitlock_release(&word[0], 0, 0);
}

TEST(bitlock_released_by_another_thread)
{
  fake_mode(FAKE_PTHREADS);
  word[0] = 0;
  for(int i = 0; i < 200; i++) {
    struct fake_task *t;

    bitlock_acquire(&word[0], 0, 0);
    expect_eq(thread_held()->n, 0);
    t = fake_start(bit_releaser, 0);
    if(i % 2) {
      expect_eq(bitlock_wait(&word[0], 0), 0);
    } else {
      bitlock_acquire(&word[0], 0, 0);
      bitlock_release(&word[0], 0, 0);
    }
    fake_join(t);
  }
  expect(fake_panics(bitlock_release(&word[0], 0, 0)));
}

static void
bit_killed(void *arg)
{
  atomic_set(&victim, thread_self());
  expect_eq(bitlock_wait(&word[0], 0), -EINTR);
}

TEST(bitlock_wait_ends_by_kill)
{
  struct fake_task *t;

  fake_mode(FAKE_PTHREADS);
  victim = 0;
  word[0] = 1;
  t = fake_start(bit_killed, 0);
  while(!atomic_get(&victim))
    thread_yield();
  fake_signal(victim, true);
  fake_join(t);
}

// ---- rank

TEST(rank_inversion_panics)
{
  struct spinlock low, high, same;

  fake_mode(FAKE_PTHREADS);
  spin_init(&low, "low", RANK_SLOTS);
  spin_init(&high, "high", RANK_LRU);
  spin_init(&same, "same", RANK_LRU);
  spin_acquire(&low);
  spin_acquire(&high); // rising: fine
  expect(rank_holds(&low) && rank_holds(&high));
  expect(fake_panics(spin_acquire(&same)));
  expect(strstr(fake_panic_text, "same") && strstr(fake_panic_text, "high"));
  spin_release(&low); // in any order
  expect(!rank_holds(&low) && rank_holds(&high));
  expect(fake_panics(spin_acquire(&low)));
  expect(fake_panics(spin_acquire(&high)));
  expect(fake_panics(assert_held(&low)));
  spin_release(&high);
  expect_eq(thread_held()->n, 0);
}

TEST(rank_nested_and_tried)
{
  struct sleeplock a, b, low;

  fake_mode(FAKE_PTHREADS);
  sleep_init(&a, "a", RANK_INODE);
  sleep_init(&b, "b", RANK_INODE);
  sleep_init(&low, "low", RANK_RENAME);
  sleep_acquire(&a);
  sleep_acquire_nested(&b);
  sleep_release(&b);
  expect(fake_panics(sleep_acquire(&b)));
  expect(fake_panics(sleep_acquire_nested(&low)));
  expect(sleep_try(&low)); // who does not wait may take any
  sleep_release(&low);
  expect(fake_panics(sleep_acquire(&a)));
  sleep_release(&a);
}

TEST(rank_of_sleeping)
{
  struct rwlock as;
  struct spinlock s;

  fake_mode(FAKE_PTHREADS);
  rw_init(&as, "as", RANK_ASPACE);
  spin_init(&s, "s", RANK_SLOTS);
  expect(!fake_panics(assert_may_sleep()));
  rw_read(&as);
  expect(!fake_panics(assert_may_sleep()));
  expect(fake_panics(assert_not_held_rank(RANK_ASPACE)));
  expect(!fake_panics(assert_not_held_rank(RANK_INODE)));
  spin_acquire(&s);
  expect(fake_panics(assert_may_sleep()));
  expect(fake_panics(rw_write(&as)));
  spin_release(&s);
  rw_read_release(&as);
  irq_off();
  expect(fake_panics(assert_may_sleep()));
  irq_restore();
}

TEST(lock_misuse_panics)
{
  fake_mode(FAKE_PTHREADS);
  spin_init(&spin, "spin", RANK_OBJ);
  sleep_init(&mutex, "mutex", RANK_MAPLOCK);
  rw_init(&rw, "rw", RANK_ASPACE);
  expect(fake_panics(spin_release(&spin)));
  expect(fake_panics(sleep_release(&mutex)));
  expect(fake_panics(rw_read_release(&rw)));
  expect(fake_panics(rw_write_release(&rw)));
}

TEST(rank_list_overflow_panics)
{
  struct spinlock s[HELD_MAX + 1];

  fake_mode(FAKE_PTHREADS);
  for(int i = 0; i <= HELD_MAX; i++)
    spin_init(&s[i], "s", RANK_SPIN_FIRST + i);
  for(int i = 0; i < HELD_MAX; i++)
    spin_acquire(&s[i]);
  expect(fake_panics(spin_acquire(&s[HELD_MAX])));
  for(int i = 0; i < HELD_MAX; i++)
    spin_release(&s[i]);
}

// ---- wait queues

static struct waitq queue;
static int tokens, eaten;

static bool
token_take(void)
{
  int have = atomic_get(&tokens);

  while(have > 0)
    if(atomic_cas(&tokens, &have, have - 1))
      return true;
  return false;
}

static void
token_eater(void *arg)
{
  for(int i = 0; i < ROUNDS; i++) {
    expect_eq(wait_event(&queue, token_take(), WAIT_ALWAYS, NEVER), 0);
    atomic_add(&eaten, 1);
  }
}

static void
token_maker(bool one_by_one)
{
  struct fake_task *t[THREADS];

  fake_mode(FAKE_PTHREADS);
  waitq_init(&queue);
  tokens = eaten = 0;
  for(int i = 0; i < THREADS; i++)
    t[i] = fake_start(token_eater, 0);
  for(int i = 0; i < THREADS * ROUNDS; i++) {
    atomic_add(&tokens, 1);
    one_by_one ? waitq_wake_one(&queue) : waitq_wake(&queue);
  }
  for(int i = 0; i < THREADS; i++) // a lost wake-up hangs here
    fake_join(t[i]);
  expect_eq(eaten, THREADS * ROUNDS);
  expect(!waitq_busy(&queue));
}

TEST(waitq_loses_no_wake)
{
  token_maker(false);
}

TEST(waitq_loses_no_single_wake)
{
  token_maker(true);
}

static int turn;

static void
pinger(void *arg)
{
  int me = (uintptr_t)arg;

  for(int i = 0; i < ROUNDS; i++) {
    wait_event(&queue, atomic_get(&turn) == me, WAIT_INTERRUPTIBLE, clock_now() + 60 * NSEC);
    expect_eq(atomic_get(&turn), me);
    atomic_set(&turn, !me);
    waitq_wake(&queue);
  }
}

TEST(waitq_ping_pong_with_deadlines)
{
  fake_mode(FAKE_PTHREADS);
  waitq_init(&queue);
  turn = 0;
  fake_parallel(2, pinger);
}

TEST(waitq_deadline_and_signals)
{
  uint64_t before;

  fake_mode(FAKE_SINGLE);
  waitq_init(&queue);
  before = clock_now();
  expect_eq(wait_event(&queue, false, WAIT_INTERRUPTIBLE, before + 7 * MSEC), -ETIMEDOUT);
  expect_eq(clock_now() - before, 7 * MSEC);
  expect_eq(wait_event(&queue, false, WAIT_INTERRUPTIBLE, 0), -ETIMEDOUT);
  expect_eq(wait_event(&queue, true, WAIT_INTERRUPTIBLE, 0), 0);
  expect_eq(timer_next(), NEVER);
  fake_signal(0, false);
  expect_eq(wait_event(&queue, false, WAIT_INTERRUPTIBLE, NEVER), -EINTR);
  expect_eq(wait_event(&queue, true, WAIT_INTERRUPTIBLE, NEVER), 0);
  expect_eq(wait_event(&queue, false, WAIT_KILLABLE, clock_now() + 1), -ETIMEDOUT);
  expect_eq(time_sleep_until(clock_now() + MSEC, WAIT_INTERRUPTIBLE), -EINTR);
  expect_eq(time_sleep_until(clock_now() + MSEC, WAIT_KILLABLE), 0);
  fake_signal(0, true);
  expect_eq(wait_event(&queue, false, WAIT_KILLABLE, NEVER), -EINTR);
  expect_eq(wait_event(&queue, false, WAIT_ALWAYS, clock_now() + 1), -ETIMEDOUT);
  fake_signal_clear(0);
  expect(!waitq_busy(&queue));
}

static int idle_calls;

static bool
idle_once(void)
{
  if(++idle_calls > 3)
    return false;
  tokens = idle_calls == 3;
  waitq_wake(&queue);
  return true;
}

TEST(fake_idle_serves_the_only_thread)
{
  fake_mode(FAKE_SINGLE);
  waitq_init(&queue);
  tokens = idle_calls = 0;
  fake_idle = idle_once;
  expect_eq(wait_event(&queue, token_take(), WAIT_ALWAYS, NEVER), 0);
  expect_eq(idle_calls, 3);
  fake_idle = 0;
}

// ---- timers

enum { TIMERS = 50 };
static struct alarm_clock {
  struct timer t;
  int rung;
} alarms[TIMERS];
static uint64_t last_when;

static void
ring(struct timer *t)
{
  struct alarm_clock *a = container_of(t, struct alarm_clock, t);

  a->rung++;
  expect(t->when >= last_when && t->when <= clock_now());
  last_when = t->when;
}

TEST(timers_ring_in_order)
{
  uint64_t start;
  int due = 0, rung = 0;

  fake_mode(FAKE_SINGLE);
  start = clock_now();
  last_when = 0;
  for(int i = 0; i < TIMERS; i++) {
    alarms[i].rung = 0;
    timer_init(&alarms[i].t, ring);
    timer_start(&alarms[i].t, start + 1 + rnd(1000));
    if(i % 3 == 0)
      timer_start(&alarms[i].t, start + 1 + rnd(1000)); // moved
    if(i % 5 == 0)
      expect(timer_cancel(&alarms[i].t));
  }
  fake_now = start + 500;
  for(int i = 0; i < TIMERS; i++)
    due += alarms[i].t.queued && alarms[i].t.when <= fake_now;
  expect(timer_run() > fake_now);
  for(int i = 0; i < TIMERS; i++)
    rung += alarms[i].rung;
  expect_eq(rung, due);
  fake_now = start + 2000;
  expect_eq(timer_run(), NEVER);
  for(int i = 0; i < TIMERS; i++) {
    expect_eq(alarms[i].rung, i % 5 != 0);
    expect(!timer_cancel(&alarms[i].t));
  }
}

static void
ring_again(struct timer *t)
{
  struct alarm_clock *a = container_of(t, struct alarm_clock, t);

  if(++a->rung < 5)
    timer_start(t, clock_now() + 10); // not t->when: its owner may be moving it
}

TEST(timer_restarts_itself)
{
  fake_mode(FAKE_SINGLE);
  alarms[0].rung = 0;
  timer_init(&alarms[0].t, ring_again);
  timer_start(&alarms[0].t, clock_now() + 10);
  time_sleep_until(clock_now() + 100, WAIT_ALWAYS);
  expect_eq(alarms[0].rung, 5);
}

// Timers on the stack, cancelled while they run on the clock's thread: a use after return is ASan's and TSan's to find.
static void
timer_worker(void *arg)
{
  for(int i = 0; i < 300; i++) {
    struct alarm_clock a = {.rung = 0};

    timer_init(&a.t, ring_again);
    timer_start(&a.t, clock_now() + rnd(100000));
    if(rnd(2))
      time_sleep_until(clock_now() + rnd(100000), WAIT_ALWAYS);
    if(rnd(2))
      timer_start(&a.t, clock_now() + rnd(100000));
    timer_cancel(&a.t);
    expect(!a.t.queued && !a.t.running);
  }
}

TEST(timer_cancel_waits)
{
  fake_mode(FAKE_PTHREADS);
  fake_parallel(4, timer_worker);
}

TEST(wall_clock_is_an_offset)
{
  fake_mode(FAKE_SINGLE);
  clock_set_wall(1700000000 * NSEC);
  fake_now += 5;
  expect_eq(clock_wall(), 1700000000 * NSEC + 5);
}

// ---- print, trace, option, kthread

static char seen[4096];
static size_t nseen;

static void
sink(const char *s, size_t n)
{
  if(nseen + n < sizeof seen)
    memcpy(seen + nseen, s, n);
  nseen += n;
  seen[min(nseen, sizeof seen - 1)] = 0;
}

TEST(print_ring_and_sinks)
{
  char buf[100];
  uint64_t pos = 0, start;

  fake_mode(FAKE_SINGLE);
  print("early %d\n", 1);
  print_add_sink(sink, false);
  expect(strstr(seen, "early 1\n"));
  print("late\n");
  expect(strstr(seen, "late\n"));
  print_quiet(true);
  print("hushed\n");
  print_quiet(false);
  expect(!strstr(seen, "hushed"));
  while(print_read(&pos, buf, sizeof buf) > 0)
    ;
  print("%s", "abc");
  expect_eq(print_read(&pos, buf, sizeof buf), 3);
  expect(memcmp(buf, "abc", 3) == 0);
  start = pos;
  for(int i = 0; i < 20000; i++)
    print("%09d\n", i); // more than the ring holds
  expect_eq(print_read(&pos, buf, 10), 10);
  expect_eq(pos, start + 200000 - 65536 + 10);
  print("%600d\n", 1); // longer than a line may be: cut, not overrun
}

TEST(trace_keeps_the_newest_in_order)
{
  struct trace_event e[40];
  uint64_t before = trace_count(TRACE_FORK);

  fake_mode(FAKE_SINGLE);
  for(int i = 0; i < 1000; i++) {
    fake_now++;
    trace(FORK, i, 0, 0);
  }
  expect_eq(trace_count(TRACE_FORK) - before, 1000);
  expect_eq(trace_last(e, 40), 40);
  for(int i = 0; i < 40; i++) {
    expect_eq(e[i].a, 960 + i);
    expect_eq(e[i].type, TRACE_FORK);
  }
  expect(strcmp(trace_name(TRACE_OOM), "OOM") == 0);
  expect(strcmp(trace_name(TRACE_TYPES), "?") == 0);
}

static void
trace_worker(void *arg)
{
  for(int i = 0; i < ROUNDS; i++)
    trace(SWITCH, i, arg, 0);
}

TEST(trace_from_many_threads)
{
  struct trace_event e[512];
  uint64_t before = trace_count(TRACE_SWITCH);
  int n;

  fake_mode(FAKE_PTHREADS);
  fake_parallel(THREADS, trace_worker);
  expect_eq(trace_count(TRACE_SWITCH) - before, THREADS * ROUNDS);
  n = trace_last(e, array_len(e));
  expect_eq(n, array_len(e));
  for(int i = 1; i < n; i++)
    expect(e[i].when + MSEC >= e[i - 1].when);
}

TEST(option_words)
{
  char buf[8];

  strcpy(option_line, "quiet mem=0x1F init=/bin/verylong  n=12x k= quieter=3 n=7");
  expect(option_flag("quiet") && option_flag("mem") && !option_flag("qui") && !option_flag("bin"));
  expect_eq(option_number("mem", 5), 0x1f);
  expect_eq(option_number("n", 5), 7);
  expect_eq(option_number("k", 5), 5);
  expect_eq(option_number("init", 5), 5);
  expect_eq(option_number("none", 5), 5);
  expect(option_string("init", buf, sizeof buf));
  expect(strcmp(buf, "/bin/ve") == 0);
  expect(option_string("quiet", buf, sizeof buf) && buf[0] == 0);
  expect(!option_string("none", buf, sizeof buf));
  option_line[0] = 0;
  expect(!option_flag("quiet"));
}

static void
kthread_main(void *arg)
{
  atomic_set((int *)arg, 1);
  waitq_wake(&queue);
}

TEST(kthread_runs)
{
  static int ran;

  fake_mode(FAKE_PTHREADS);
  waitq_init(&queue);
  expect_eq(kthread_start("test", kthread_main, &ran), 0);
  expect_eq(wait_event(&queue, atomic_get(&ran), WAIT_ALWAYS, NEVER), 0);
}
