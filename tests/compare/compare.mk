# Random memory calls, compared with Debian's kernel.
COMPARE := build/compare/calls
$(COMPARE): tests/compare/calls.c
	@mkdir -p $(@D)
	@echo "  musl    $<"; $(MUSL) $(GFLAGS) $< -o $@

.PHONY: compare
compare: setup-test ## random memory calls here and on Debian's kernel. SEEDS=1-20 CALLS=3000
	@$(BUILD) all $(COMPARE)
	@KERNEL=$(KERNEL) tests/compare/compare.py $(or $(SEEDS),1-20) $(or $(CALLS),3000)
