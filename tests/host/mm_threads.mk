# threads in one address space, under ThreadSanitizer and, for use after free, under AddressSanitizer
HOST_TESTS += mm_threads mm_threads_asan
mm_threads_SRC = $(MM_SRC) tests/host/mm_threads.c
mm_threads_FLAVOR := tsan
mm_threads_LIBS := -lpthread
mm_threads_asan_SRC = $(mm_threads_SRC)
mm_threads_asan_LIBS := -lpthread
