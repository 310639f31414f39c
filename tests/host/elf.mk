HOST_TESTS += elf
elf_SRC := tests/host/elf_test.c kernel/proc/elf.c
