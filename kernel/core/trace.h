// trace.h -- a per-CPU ring of typed events: cheap enough to leave on. Read with gdb, by panic, and through /proc/trace.
#pragma once
#include "lib/util.h"

// clang-format off
#define TRACE_EVENTS(X)                                                                                   \
  X(NONE) X(FAULT) X(MMAP) X(MUNMAP) X(FORK) X(EXEC) X(EXIT) X(SIGNAL) X(SYSCALL)           \
  X(SYSCALL_UNKNOWN) X(SWITCH) X(SHOOTDOWN) X(BLK_SUBMIT) X(BLK_DONE) X(BLK_ERROR) X(OOM) X(RECLAIM)      \
  X(EXT3_ERROR) X(IRQ) X(WRITEBACK) X(FILL) X(COMMIT) X(CHECKPOINT) X(JOURNAL_ABORT)
// clang-format on
#define TRACE_ENUM(n) TRACE_##n,
enum trace_type { TRACE_EVENTS(TRACE_ENUM) TRACE_TYPES };

struct trace_event {
  uint64_t when;
  uint32_t tid;
  uint16_t type;
  uint16_t cpu;
  uint64_t a, b, c;
};
void trace_event(enum trace_type type, uint64_t a, uint64_t b, uint64_t c); // any context
#define trace(type, a, b, c) trace_event(TRACE_##type, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c))
uint64_t trace_count(enum trace_type type); // events of this type since start
// The newest n events over all CPUs, oldest first: how many there were.
int trace_last(struct trace_event *buf, int n);
const char *trace_name(enum trace_type type);
