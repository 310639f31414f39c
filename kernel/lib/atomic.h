// atomic.h -- the compiler's atomics under short names. All are sequentially consistent unless the name says otherwise.
#pragma once
#define atomic_get(p)            __atomic_load_n(p, __ATOMIC_SEQ_CST)
#define atomic_get_relaxed(p)    __atomic_load_n(p, __ATOMIC_RELAXED)
#define atomic_set_relaxed(p, v) __atomic_store_n(p, v, __ATOMIC_RELAXED)
#define atomic_set(p, v)         __atomic_store_n(p, v, __ATOMIC_SEQ_CST)
#define atomic_add(p, v)         __atomic_add_fetch(p, v, __ATOMIC_SEQ_CST) // the new value
#define atomic_sub(p, v)         __atomic_sub_fetch(p, v, __ATOMIC_SEQ_CST) // the new value
#define atomic_or(p, v)          __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST)  // the old value
#define atomic_and(p, v)         __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST) // the old value
#define atomic_swap(p, v)        __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST)
#define atomic_fence()           __atomic_thread_fence(__ATOMIC_SEQ_CST)
// True and *p = want if *p was *have; else *have = *p.
#define atomic_cas(p, have, want) __atomic_compare_exchange_n(p, have, want, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
