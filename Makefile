# lazy6: `make help` lists what there is.
#
# Variables: SMP MEM DISK APPEND ADD RUN KEEP QUIET CPU ACCEL QEMU_EXTRA (see tools/run -h), CC, KERNEL=release|debug|ubsan
.DEFAULT_GOAL := all
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/bash

CC     ?= gcc
ifeq ($(origin CC),default)
CC     := gcc
endif
KERNEL ?= release
B      := build/$(KERNEL)

CFLAGS := -std=gnu11 -O2 -g -ffreestanding -nostdlib -fno-pic -fno-pie -mno-red-zone -mcmodel=kernel -mgeneral-regs-only \
  -fno-strict-aliasing -fno-common -fwrapv -fno-delete-null-pointer-checks -fno-omit-frame-pointer -fcf-protection=none \
  -fno-asynchronous-unwind-tables -fstack-protector-strong -mstack-protector-guard=tls -mstack-protector-guard-reg=gs \
  -mstack-protector-guard-offset=40 -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers \
  -Wstrict-prototypes -Wframe-larger-than=1536 -Werror -Ikernel -D__KERNEL__
CFLAGS_release :=
CFLAGS_debug   := -DDEBUG
CFLAGS_ubsan   := -DDEBUG -fsanitize=undefined -fno-sanitize=alignment -Wframe-larger-than=4096
CFLAGS += $(CFLAGS_$(KERNEL))
LDFLAGS := -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments

KSRC := $(shell find kernel -name '*.c' | sort) $(shell find kernel -name '*.S' | sort)
KOBJ := $(patsubst %,$(B)/%.o,$(KSRC))

# A user's own CFLAGS are for their programs; the kernel's are above.
$(B)/%.c.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "  cc      $<"; $(CC) $(CFLAGS) -MMD -MP -c $< -o $@
$(B)/%.S.o: %.S Makefile
	@mkdir -p $(@D)
	@echo "  cc      $<"; $(CC) $(CFLAGS) -MMD -MP -c $< -o $@
-include $(KOBJ:.o=.d)

include tests/host/host.mk
include tests/fuzz/fuzz.mk

# ---- kernel: linked twice, the second time with its own symbol table inside, so that a panic can name functions.
KERNEL_ELF := $(B)/kernel.elf
LINK = $(CC) $(LDFLAGS) -T kernel/arch/x86_64/kernel.ld -o $@

$(B)/kernel.pass1: $(KOBJ) kernel/arch/x86_64/kernel.ld
	@$(LINK) $(KOBJ)
$(B)/symbols.S: $(B)/kernel.pass1 tools/symbols
	@tools/symbols $< > $@
$(KERNEL_ELF): $(KOBJ) $(B)/symbols.S kernel/arch/x86_64/kernel.ld
	@$(CC) $(CFLAGS) -c $(B)/symbols.S -o $(B)/symbols.o
	@$(LINK) $(KOBJ) $(B)/symbols.o
	@echo "  kernel  $@"

# ---- programs and the disk image. Each user/tools/NAME.c is /bin/NAME; user/init is /sbin/init.
MUSL   ?= musl-gcc
UFLAGS := -std=gnu11 -O2 -g -static -Wall -Wextra -Werror
TOOLS_C := $(wildcard user/tools/*.c)
ROOT   := build/root

$(ROOT)/sbin/init: user/init/init.c
	@mkdir -p $(@D)
	@echo "  musl    $<"; $(MUSL) $(UFLAGS) $< -o $@
$(ROOT)/bin/%: user/tools/%.c
	@mkdir -p $(@D)
	@echo "  musl    $<"; $(MUSL) $(UFLAGS) $< -o $@
$(ROOT)/etc/.made: $(wildcard user/etc/*)
	@mkdir -p $(@D)
	@cp user/etc/* $(@D)
	@touch $@
# A sparse file of 16 GiB with a page of text every 256 MiB: what the tour maps.
$(ROOT)/usr/share/lazy6/big: tools/sparse
	@mkdir -p $(@D)
	@tools/sparse $@
build/root.img: $(ROOT)/usr/share/lazy6/big $(ROOT)/sbin/init $(patsubst user/tools/%.c,$(ROOT)/bin/%,$(TOOLS_C)) $(ROOT)/etc/.made tools/mkimage
	@tools/mkimage $@ $(ROOT)
	@echo "  image   $@"

.PHONY: all kernel image run setup clean help
all: kernel image ## kernel and disk image
kernel: $(KERNEL_ELF) ## the kernel only
image: build/root.img ## the disk image only
setup: ## install what is missing
	@tools/setup run
run: setup ## boot: a shell on a terminal, else the tour. SMP= MEM= APPEND= ADD= RUN= DISK= KEEP= QUIET= CPU= QEMU_EXTRA=
	@$(MAKE) --no-print-directory -s all $(if $(QUIET),>&2)
	@tools/run $(KERNEL_ELF) build/root.img
clean: ## remove everything built
	rm -rf build
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-16s %s\n", $$1, $$2}'

# ---- tests. tests/guest/NAME.c becomes /tests/NAME.t on the image; cost.c and disk_big.c are booted by themselves.
GUEST_C := $(filter-out tests/guest/cost.c tests/guest/disk_big.c,$(wildcard tests/guest/*.c))
GUEST   := $(patsubst tests/guest/%.c,build/tests/tests/%.t,$(GUEST_C)) build/tests/tests/cost build/tests/tests/disk_big build/tests/tests/big50 build/tests/tests/all
GFLAGS  := -std=gnu11 -O1 -g -static -Wall -Wextra -Wno-unused-parameter -Wno-stringop-overflow -Werror

build/tests/tests/%.t: tests/guest/%.c tests/guest/t.h tests/guest/rules.h tests/guest/stress.h
	@mkdir -p $(@D)
	@echo "  musl    $<"; $(MUSL) $(GFLAGS) $< -o $@
build/tests/tests/cost build/tests/tests/disk_big: build/tests/tests/%: tests/guest/%.c tests/guest/t.h
	@mkdir -p $(@D)
	@echo "  musl    $<"; $(MUSL) $(GFLAGS) $< -o $@
build/tests/tests/big50: tests/guest/big50.S
	@mkdir -p $(@D)
	@echo "  musl    $<"; $(MUSL) -static $< -o $@
build/tests/tests/all: tests/guest/all.sh
	@mkdir -p $(@D)
	@cp $< $@; chmod +x $@

.PHONY: test test-linux soak
test: setup-test all $(HOST_TESTS:%=build/host/%) $(GUEST) $(FUZZERS:%=build/fuzz/%) ## all tests; T="-s SUITE -k WORD" for some (tests/run -h)
	@HOST_TESTS="$(HOST_TESTS)" FUZZERS="$(FUZZERS)" KERNEL=$(KERNEL) tests/run $(T)
test-linux: $(GUEST) ## the guest tests on this Linux, which is their oracle
	@build/tests/tests/all
soak: setup-test all $(GUEST) ## the long ones: 2 and 16 CPUs, stress
	@KERNEL=$(KERNEL) tests/run -s soak
.PHONY: setup-test
setup-test:
	@tools/setup run test

# ---- checks that run nothing
SOURCES = $(shell find kernel user tests bench -name '*.[ch]' 2>/dev/null)
.PHONY: lint format
lint: ## clang-format, includes, lock keys, budgets, -Wthread-safety, cppcheck
	@tools/setup lint
	@tools/lint
format: ## let clang-format lay out every file
	@clang-format -i $(SOURCES)
.PHONY: gdb
gdb: setup ## the machine under gdb (tools/gdb -h)
	@$(MAKE) --no-print-directory -s all
	@tools/gdb $(KERNEL_ELF)
