# Host tests: the kernel's own files, compiled for this machine under sanitizers, linked with fakes.
# Each tests/host/NAME.mk says:  HOST_TESTS += NAME   and   NAME_SRC := files (besides main.c).  NAME_FLAVOR is how they are
# compiled, if not asan. Programs of one flavor share their objects: build/host/FLAVOR.
HOST_CC    ?= gcc
HOST_COMMON := -std=gnu11 -O1 -g -fno-omit-frame-pointer -fno-builtin -fwrapv -fno-strict-aliasing -Wall -Wextra \
  -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers -Werror -DDEBUG -DHOST_TEST -Ikernel -Itests/host
FLAVOR_asan := $(HOST_CC) $(HOST_COMMON) -fsanitize=address,undefined -fno-sanitize-recover=undefined
FLAVOR_tsan := $(HOST_CC) $(HOST_COMMON) -fsanitize=thread
HOST_TESTS :=
include $(filter-out tests/host/host.mk,$(wildcard tests/host/*.mk))

define objects_of
build/host/$(1)/%.o: %.c Makefile tests/host/host.mk
	@mkdir -p $$(@D)
	@echo "  $(1)    $$<"; $$(FLAVOR_$(1)) -MMD -MP -c $$< -o $$@
endef
$(eval $(call objects_of,asan))
$(eval $(call objects_of,tsan))
-include $(shell find build/host -name '*.d' 2>/dev/null)

# $(call flavored,FLAVOR,SOURCES): their objects
flavored = $(patsubst %.c,build/host/$(1)/%.o,$(filter %.c,$(2)))

define host_test
build/host/$(1): $(call flavored,$(or $($(1)_FLAVOR),asan),$($(1)_SRC) tests/host/main.c)
	@echo "  host    $(1)"; $$(FLAVOR_$(or $($(1)_FLAVOR),asan)) $$^ -o $$@ $$($(1)_LIBS)
endef
$(foreach t,$(HOST_TESTS),$(eval $(call host_test,$(t))))

.PHONY: host
host: $(HOST_TESTS:%=build/host/%) ## host tests only
	@bad=0; for t in $^; do timeout 300 $$t || bad=1; done; exit $$bad
