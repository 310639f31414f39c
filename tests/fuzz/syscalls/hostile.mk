# The hostile program: random system calls on several threads, in the guest. Its list of calls comes from the kernel's table.
HOSTILE := build/fuzz/syscalls/hostile
HOSTILE_KERNEL = $(if $(filter command environment,$(firstword $(origin KERNEL))),$(KERNEL),ubsan)
HOSTILE_FLAGS := -std=gnu11 -O1 -g -static -Wall -Wextra -Wno-unused-parameter -Werror -Ibuild/fuzz/syscalls

build/fuzz/syscalls/calls.inc: tests/fuzz/syscalls/calls kernel/syscall/table.c
	@mkdir -p $(@D)
	@$^ > $@.new && mv $@.new $@
$(HOSTILE): $(wildcard tests/fuzz/syscalls/*.[ch]) build/fuzz/syscalls/calls.inc tests/fuzz/syscalls/hostile.mk
	@mkdir -p $(@D)
	@echo "  musl    $@"; $(MUSL) $(HOSTILE_FLAGS) $(filter %.c,$^) -o $@

.PHONY: fuzz-syscalls
fuzz-syscalls: ## random system calls for FUZZ_SECONDS=3600, SMP=4, MEM=192M, KERNEL=ubsan
	@$(MAKE) --no-print-directory -s setup-test
	@$(MAKE) --no-print-directory -s KERNEL=$(HOSTILE_KERNEL) all $(HOSTILE)
	@KERNEL=$(HOSTILE_KERNEL) FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/hostile
