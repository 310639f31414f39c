// annot.h -- clang's thread-safety attributes (function level) under names that read as sentences; nothing for gcc.
#pragma once
#if defined(__clang__)
#define ANNOT(x) __attribute__((x))
#else
#define ANNOT(x)
#endif
#define LOCKABLE(kind)      ANNOT(capability(kind))
#define ACQUIRES(...)       ANNOT(acquire_capability(__VA_ARGS__))
#define ACQUIRES_READ(...)  ANNOT(acquire_shared_capability(__VA_ARGS__))
#define TRIES(ok, ...)      ANNOT(try_acquire_capability(ok, __VA_ARGS__))
#define TRIES_READ(ok, ...) ANNOT(try_acquire_shared_capability(ok, __VA_ARGS__))
#define RELEASES(...)       ANNOT(release_capability(__VA_ARGS__))
#define RELEASES_READ(...)  ANNOT(release_shared_capability(__VA_ARGS__))
#define REQUIRES(...)       ANNOT(requires_capability(__VA_ARGS__))
#define REQUIRES_READ(...)  ANNOT(requires_shared_capability(__VA_ARGS__))
#define EXCLUDES(...)       ANNOT(locks_excluded(__VA_ARGS__))
#define UNCHECKED           ANNOT(no_thread_safety_analysis) // say why where it stands
