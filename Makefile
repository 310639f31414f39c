# lazy6: `make help` lists what there is.
#
# Variables: SMP MEM DISK APPEND ADD XV6 RUN KEEP QUIET CPU ACCEL QEMU_EXTRA (see tools/run -h), CC, KERNEL=release|debug|ubsan
.DEFAULT_GOAL := all
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/bash
ifneq ($(CPUS),)
SMP ?= $(CPUS)
export SMP
endif

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
include tests/fuzz/syscalls/hostile.mk
include tests/crash/crash.mk
include tests/compare/compare.mk

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
# The text that it counts, changes, and finds again.
$(ROOT)/usr/share/lazy6/words: tools/words
	@mkdir -p $(@D)
	@tools/words $@
# Programs of xv6: the library that tools/xv6 links them with.
XV6_LIB := build/xv6/libxv6.a
XFLAGS  := -std=gnu11 -O2 -g -ffreestanding -fno-builtin -fno-pic -fno-pie -fno-strict-aliasing -fwrapv -fno-omit-frame-pointer \
  -fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none -fno-tree-loop-distribute-patterns -Wall -Wextra -Wno-unused-parameter -Werror
XV6_OBJ := $(patsubst user/xv6/lib/%,build/xv6/%.o,$(wildcard user/xv6/lib/*.[cS]))

build/xv6/%.o: user/xv6/lib/% $(wildcard user/xv6/include/*.h user/xv6/lib/*.h)
	@mkdir -p $(@D)
	@echo "  cc      $<"; gcc $(XFLAGS) -Iuser/xv6/include -c $< -o $@
$(XV6_LIB): $(XV6_OBJ)
	@rm -f $@; ar rcs $@ $^
build/busybox/bin/busybox: tools/busybox
	@tools/busybox build/busybox
build/root.img: build/busybox/bin/busybox $(ROOT)/usr/share/lazy6/big $(ROOT)/usr/share/lazy6/words $(ROOT)/sbin/init $(patsubst user/tools/%.c,$(ROOT)/bin/%,$(TOOLS_C)) $(ROOT)/etc/.made tools/mkimage
	@tools/mkimage $@ build/busybox $(ROOT)
	@echo "  image   $@"

# What a target must have first is built here, all CPUs at work, after `setup` has seen to the tools.
JOBS  ?= $(shell nproc)
BUILD  = $(MAKE) --no-print-directory -s -j$(JOBS)

.PHONY: all kernel image run setup clean help
all: kernel image $(XV6_LIB) ## kernel and disk image
kernel: $(KERNEL_ELF) ## the kernel only
image: build/root.img ## the disk image only
setup: ## install what is missing
	@tools/setup run
run: setup ## boot: a shell on a terminal, else the tour. SMP= MEM= APPEND= ADD= XV6= RUN= DISK= KEEP= QUIET= CPU= QEMU_EXTRA=
	@$(BUILD) all $(if $(QUIET),>&2)
	@tools/run $(KERNEL_ELF) build/root.img

# ---- what a hand that knows xv6 types. These start with our own programs in /xv6 (XV6= names others), and Ctrl-P is
# always the list of processes, as there is no shell in xv6 that would use it.
.PHONY: qemu qemu-nox qemu-gdb qemu-nox-gdb grade
QEMU_ENV = XV6="$(or $(XV6),user/xv6/programs)" SMP="$(or $(SMP),2)" APPEND="ctrlp $(APPEND)"
qemu qemu-nox: setup
	@$(BUILD) all
	@$(QEMU_ENV) tools/run $(KERNEL_ELF) build/root.img
qemu-gdb qemu-nox-gdb: setup
	@$(BUILD) all
	@rm -f build/gdb.sock; echo "*** Now run 'tools/gdb -a' in another window."
	@GDB=1 $(QEMU_ENV) tools/run $(KERNEL_ELF) build/root.img
grade: test
qemu: ## as in xv6, with its programs in /xv6 (XV6=folder: yours); CPUS=n. The same is qemu-nox
qemu-gdb: ## the same, waiting for a debugger
grade: ## the same as test

clean: ## remove everything built
	rm -rf build
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-16s %s\n", $$1, $$2}'

# ---- tests. tests/guest/NAME.c becomes /tests/NAME.t on the image; cost.c and disk_big.c are booted by themselves.
GUEST_C := $(filter-out tests/guest/cost.c tests/guest/disk_big.c,$(wildcard tests/guest/*.c))
GUEST   := $(patsubst tests/guest/%.c,build/tests/tests/%.t,$(GUEST_C)) build/tests/tests/cost build/tests/tests/disk_big build/tests/tests/big50 build/tests/tests/all
GFLAGS  := -std=gnu11 -O1 -g -static -Wall -Wextra -Wno-unused-parameter -Wno-stringop-overflow -Werror

build/tests/tests/%.t: tests/guest/%.c tests/guest/t.h tests/guest/disk.h tests/guest/rules.h tests/guest/stress.h
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

.PHONY: test test-build test-linux soak
test: setup-test ## all tests; T="-s SUITE -k WORD" for some (tests/run -h)
	@$(BUILD) test-build
	@HOST_TESTS="$(HOST_TESTS)" FUZZERS="$(FUZZERS)" KERNEL=$(KERNEL) tests/run $(T)
test-linux: $(GUEST) ## the guest tests on this Linux, which is their oracle
	@build/tests/tests/all
test-build: all $(HOST_TESTS:%=build/host/%) $(GUEST) $(FUZZERS:%=build/fuzz/%) crash-build $(HOSTILE) $(COMPARE)
soak: setup-test ## the long ones: 2 and 16 CPUs, stress
	@$(BUILD) all $(GUEST)
	@KERNEL=$(KERNEL) tests/run -s soak
.PHONY: setup-test
setup-test:
	@tools/setup run test

# ---- measurements. bench/NAME.c is a static program: on this Linux, and in lazy6, counted in instructions.
BENCH := $(patsubst bench/%.c,build/bench/bench/%,$(wildcard bench/*.c))
build/bench/bench/%: bench/%.c
	@mkdir -p $(@D)
	@echo "  musl    $<"; $(MUSL) $(UFLAGS) $< -o $@
.PHONY: bench
bench: setup all $(BENCH) ## what docs/performance.md shows: on this Linux, in nanoseconds, and in lazy6, in instructions
	@echo "this Linux ($$(uname -r)), nanoseconds:"; build/bench/bench/regions
	@echo "lazy6, instructions:"; QUIET=1 MEM=2G TIMEOUT=1200 ADD=build/bench RUN="/bench/regions" QEMU_EXTRA="-icount shift=0,sleep=off" tools/run $(KERNEL_ELF) build/root.img

# ---- the protocols, as models
.PHONY: models
models: ## check the models of the protocols with spin: each as built, and with one rule at a time left out. MODELS="cow fork" for some
	@tools/setup models
	@nice tests/models/run $(MODELS)

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
	@$(BUILD) all
	@tools/gdb $(KERNEL_ELF)
