# The crash tests: a guest whose disk writes are recorded, and every state that a power cut may leave of them.
CRASH := build/crash
CRASH_HOST = $(addprefix tests/crash/,states.c log.c model.c run.c) tests/host/ext3_image.c tests/host/ext3_fsck.c tests/host/hosttree.c $(JOURNAL_HOST)

FLAVOR_fast := $(HOST_CC) $(HOST_COMMON) -O3
$(eval $(call objects_of,fast))

$(CRASH)/states: $(call flavored,fast,$(CRASH_HOST))
	@mkdir -p $(@D)
	@echo "  host    $@"; $(FLAVOR_fast) $^ -o $@ -lpthread
# The host's test of ext3 after power cuts, without sanitizers: many more states.
$(CRASH)/ext3_crash: $(call flavored,fast,$(EXT3_CRASH) tests/host/main.c)
	@mkdir -p $(@D)
	@echo "  host    $@"; $(FLAVOR_fast) $^ -o $@ $(ext3_crash_LIBS)
$(CRASH)/workload: $(addprefix tests/crash/,workload.c scenes.c manifest.c scenes.h facts.h manifest.h)
	@mkdir -p $(@D)
	@echo "  musl    $@"; $(MUSL) $(GFLAGS) -O2 $(filter %.c,$^) -o $@
$(CRASH)/linux_init: tests/crash/linux_init.c
	@mkdir -p $(@D)
	@echo "  musl    $@"; $(MUSL) $(GFLAGS) $< -o $@

.PHONY: crash crash-build
crash-build: $(CRASH)/states $(CRASH)/workload $(CRASH)/linux_init
crash: setup-test kernel crash-build $(CRASH)/ext3_crash ## crash tests: at least 10,000 states of a disk after power cuts, and 50 live ones
	@KERNEL=$(KERNEL) tests/crash/crash.py $(T)
