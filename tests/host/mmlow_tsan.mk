# The same test under ThreadSanitizer.
HOST_TESTS += mmlow_tsan
mmlow_tsan_SRC = $(mmlow_SRC)
mmlow_tsan_FLAVOR := tsan
mmlow_tsan_LIBS := -lpthread
