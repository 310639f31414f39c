// stress.h -- what the stress_*.c programs share: how long to go on, random numbers, starting threads.
//   TEST_TIMED(name, LIMIT) { end_time = end_after(2000); together(8, worker); }
// A test goes on for a moment, with T_SOAK=1 for twenty seconds, with T_SOAK=2 for three minutes.
#pragma once
#include "t.h"
#include <pthread.h>

enum { LIMIT = 300, SOAK_MS = 20000, MINUTES_MS = 180000 }; // LIMIT: seconds

__attribute__((unused)) static uint64_t end_time; // of the running test, ms

__attribute__((unused)) static uint64_t
now_ms(void)
{
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

// When a test that takes `ms` in a short run has to stop.
__attribute__((unused)) static uint64_t
end_after(uint64_t ms)
{
  const char *soak = getenv("T_SOAK");

  if(soak && soak[0] > '0')
    ms = soak[0] > '1' ? MINUTES_MS : SOAK_MS;
  return now_ms() + ms;
}

__attribute__((unused)) static uint64_t
rnd(uint64_t *s)
{
  *s ^= *s << 13;
  *s ^= *s >> 7;
  *s ^= *s << 17;
  return *s;
}

__attribute__((unused)) static uint64_t
seed_of(int i)
{
  uint64_t s = (now_ms() + 1) * 0x9e3779b97f4a7c15ull + i * 0xbf58476d1ce4e5b9ull;

  rnd(&s);
  return s ? s : 1;
}

__attribute__((unused)) static pthread_t
start(void *(*fn)(void *), void *arg)
{
  pthread_t t;
  int e;

  while((e = pthread_create(&t, 0, fn, arg)) == EAGAIN) // Linux says so while another thread is in exec
    sched_yield();
  need(e == 0);
  return t;
}

// n threads run fn(0 .. n-1) until all of them are done.
__attribute__((unused)) static void
together(int n, void *(*fn)(void *))
{
  pthread_t t[32];

  for(long i = 0; i < n; i++)
    t[i] = start(fn, (void *)i);
  for(int i = 0; i < n; i++)
    need(pthread_join(t[i], 0) == 0);
}
