// test.h -- a test is a function that registers itself; the program runs all, or those named on its command line.
//   TEST(split_keeps_both_ends) { ... expect(r->end == 5); expect_eq(n, 3); }
#pragma once
#include <stdint.h>
#include <stdio.h>

void test_add(const char *name, void (*fn)(void));
void test_fail(const char *file, int line, const char *f, ...) __attribute__((format(printf, 3, 4)));

#define TEST(name)                                                                                                     \
  static void name(void);                                                                                              \
  __attribute__((constructor)) static void test_reg_##name(void)                                                       \
  {                                                                                                                    \
    test_add(#name, name);                                                                                             \
  }                                                                                                                    \
  static void name(void)

// Both go on after a failure; `need` leaves the test.
#define expect(x)                                                                                                      \
  do {                                                                                                                 \
    if(!(x))                                                                                                           \
      test_fail(__FILE__, __LINE__, "not so: %s", #x);                                                                 \
  } while(0)
#define expect_eq(a, b)                                                                                                \
  do {                                                                                                                 \
    long long a_ = (long long)(a), b_ = (long long)(b);                                                                \
    if(a_ != b_)                                                                                                       \
      test_fail(__FILE__, __LINE__, "%s is %lld (%#llx), expected %s = %lld (%#llx)", #a, a_, a_, #b, b_, b_);         \
  } while(0)
#define need(x)                                                                                                        \
  do {                                                                                                                 \
    if(!(x)) {                                                                                                         \
      test_fail(__FILE__, __LINE__, "not so: %s", #x);                                                                 \
      return;                                                                                                          \
    }                                                                                                                  \
  } while(0)
