// option.h -- words of the kernel command line: `name` or `name=value`, separated by blanks.
#pragma once
#include "lib/util.h"

extern char option_line[4096];      // the whole line, for /proc/cmdline; set by arch before anything asks
bool option_flag(const char *name); // present, with or without a value
bool option_string(const char *name, char *buf, size_t n);    // value of the last one; false if absent
uint64_t option_number(const char *name, uint64_t otherwise); // decimal or 0x
