// fmt.h -- formatted text into a buffer: %d %i %u %x %X %o %c %s %p %% with flags 0 - + # and space, width, precision
// (also *), and the lengths hh h l ll z. As snprintf: returns the length it would have had, always terminates if n > 0.
#pragma once
#include <stdarg.h>
#include "lib/util.h"

int fmt(char *buf, size_t n, const char *f, ...) printf_like(3, 4);
int vfmt(char *buf, size_t n, const char *f, va_list ap) printf_like(3, 0);
