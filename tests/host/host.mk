# Host tests: the kernel's own files, compiled for this machine under ASan and UBSan, linked with fakes.
# Each tests/host/NAME.mk says:  HOST_TESTS += NAME   and   NAME_SRC := files (besides main.c).  NAME_FLAGS is optional.
# NAME_BASE replaces HOST_FLAGS: HOST_TSAN_FLAGS, or other sanitizers.
HOST_CC    ?= gcc
HOST_COMMON := -std=gnu11 -O1 -g -fno-omit-frame-pointer -fno-builtin -fwrapv -fno-strict-aliasing -Wall -Wextra \
  -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers -Werror -DDEBUG -DHOST_TEST -Ikernel -Itests/host
HOST_FLAGS := $(HOST_COMMON) -fsanitize=address,undefined -fno-sanitize-recover=undefined
HOST_TSAN_FLAGS := $(HOST_COMMON) -fsanitize=thread
HOST_TESTS :=
include $(filter-out tests/host/host.mk,$(wildcard tests/host/*.mk))

define host_test
build/host/$(1): $$($(1)_SRC) tests/host/main.c tests/host/test.h Makefile tests/host/host.mk $$(wildcard kernel/*/*.h kernel/*/*/*.h tests/host/*.h)
	@mkdir -p build/host
	@echo "  host    $(1)"; $$(HOST_CC) $$(or $$($(1)_BASE),$$(HOST_FLAGS)) $$($(1)_FLAGS) $$(filter %.c,$$($(1)_SRC)) tests/host/main.c -o $$@ $$($(1)_LIBS)
endef
$(foreach t,$(HOST_TESTS),$(eval $(call host_test,$(t))))

.PHONY: host
host: $(HOST_TESTS:%=build/host/%) ## host tests only
	@bad=0; for t in $^; do timeout 300 $$t || bad=1; done; exit $$bad
