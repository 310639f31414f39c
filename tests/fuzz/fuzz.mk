# Fuzzers: clang's libFuzzer under ASan and UBSan. `make test` runs each for seconds, `make fuzz` for FUZZ_SECONDS.
# What they find new is kept in build/fuzz/corpus-NAME, and what breaks them as build/fuzz/NAME-crash-*.
FUZZERS := fuzz_ext3 fuzz_write fuzz_elf fuzz_replay
FUZZ_SECONDS ?= 3600
FUZZ_CC  ?= clang
FLAVOR_fuzz = $(FUZZ_CC) $(HOST_COMMON) -O2 -fsanitize=fuzzer-no-link,address,undefined -fsanitize-coverage-allowlist=tests/fuzz/coverage.list \
  -fno-sanitize-recover=undefined -Wno-unknown-warning-option
$(eval $(call objects_of,fuzz))

fuzz_ext3_SRC = tests/fuzz/fuzz_ext3.c $(FS_HOST)
fuzz_ext3_LIBS := -lpthread
fuzz_write_SRC = tests/fuzz/fuzz_write.c $(addprefix tests/host/,fake_disk.c no_programs.c fake_frames.c fake_thread.c) $(MMLOW_MM) \
  $(HOST_CORE) $(wildcard kernel/fs/*.c) $(wildcard kernel/fs/ext3/*.c) $(wildcard kernel/fs/journal/*.c) kernel/fs/devfs/blkfile.c \
  kernel/dev/blk.c kernel/dev/blkfail.c kernel/lib/radix.c kernel/lib/errseq.c kernel/lib/rbtree.c kernel/lib/bitmap.c kernel/lib/fmt.c
fuzz_write_LIBS := -lpthread -Wl,--wrap=journal_start
fuzz_replay_SRC = tests/fuzz/fuzz_replay.c tests/host/journal_world.c $(JOURNAL_HOST)
fuzz_replay_LIBS := -lpthread
fuzz_elf_SRC = tests/fuzz/fuzz_elf.c kernel/proc/elf.c

define fuzzer
build/fuzz/$(1): $(call flavored,fuzz,$($(1)_SRC)) tests/fuzz/seeds tests/fuzz/fuzz.mk tests/fuzz/coverage.list
	@mkdir -p build/fuzz
	@echo "  fuzz    $(1)"; $$(FLAVOR_fuzz) -fsanitize=fuzzer $$(filter %.o,$$^) -o $$@ $$($(1)_LIBS)
	@tests/fuzz/seeds $(1) build/fuzz/seeds-$(1)
endef
$(foreach t,$(FUZZERS),$(eval $(call fuzzer,$(t))))

# They have an image inside.
build/host/fuzz/tests/fuzz/fuzz_ext3.o: build/fuzz/ext3.img
build/host/fuzz/tests/fuzz/fuzz_write.o: build/fuzz/write.img

build/fuzz/ext3.img: tests/fuzz/image
	@mkdir -p build/fuzz
	@tests/fuzz/image $@

build/fuzz/write.img: tests/fuzz/image
	@mkdir -p build/fuzz
	@tests/fuzz/image $@ journal

.PHONY: fuzz
fuzz: $(FUZZERS:%=build/fuzz/%) ## run each fuzzer for FUZZ_SECONDS=3600 seconds
	@for f in $(FUZZERS); do mkdir -p build/fuzz/corpus-$$f; \
	  build/fuzz/$$f -max_total_time=$(FUZZ_SECONDS) -timeout=20 -artifact_prefix=build/fuzz/$$f- -print_final_stats=1 \
	    build/fuzz/corpus-$$f build/fuzz/seeds-$$f || exit 1; done
