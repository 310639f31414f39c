// util.h -- the few macros that every file may use.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

#define container_of(p, type, field) ((type *)((char *)(p)-offsetof(type, field)))
#define array_len(a)                 (sizeof(a) / sizeof((a)[0]))
// Each argument is evaluated once, so calls may stand there; not for constant expressions.
#define min(a, b)                                                                                                      \
  ({                                                                                                                   \
    __auto_type a_ = (a) + 0;                                                                                          \
    __auto_type b_ = (b) + 0;                                                                                          \
    a_ < b_ ? a_ : b_;                                                                                                 \
  })
#define max(a, b)                                                                                                      \
  ({                                                                                                                   \
    __auto_type a_ = (a) + 0;                                                                                          \
    __auto_type b_ = (b) + 0;                                                                                          \
    a_ > b_ ? a_ : b_;                                                                                                 \
  })
#define round_up(x, to)   (((x) + (to)-1) / (to) * (to))
#define likely(x)         __builtin_expect(!!(x), 1)
#define unlikely(x)       __builtin_expect(!!(x), 0)
#define printf_like(f, a) __attribute__((format(printf, f, a)))
