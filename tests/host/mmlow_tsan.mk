# The same test under ThreadSanitizer.
HOST_TESTS += mmlow_tsan
mmlow_tsan_SRC = $(mmlow_SRC)
mmlow_tsan_BASE = $(HOST_TSAN_FLAGS)
mmlow_tsan_LIBS := -lpthread
