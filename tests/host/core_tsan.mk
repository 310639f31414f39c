# The same test under ThreadSanitizer.
HOST_TESTS += core_tsan
core_tsan_SRC = $(core_SRC)
core_tsan_FLAVOR := tsan
