// ubsan.c -- what -fsanitize=undefined calls when the kernel does what C leaves undefined: one line that names the place
// and the kind, then a panic. The names and structures are those of gcc 12 and clang 14.
// Nobody includes anything of this; no other build calls it.
#include "core/print.h"

enum { TYPE_INTEGER = 0, WORD_BITS = 64, VALUE_TEXT = 32 };

struct location {
  const char *file;
  uint32_t line, column;
};
struct type {
  uint16_t kind, info; // of an integer: info & 1 is "signed", 1 << (info >> 1) its bits
  char name[];
};
struct about_value { // overflow, load of an invalid value, unreachable: the location comes first in all of them
  struct location loc;
  const struct type *type;
};
struct about_shift {
  struct location loc;
  const struct type *left, *right;
};
struct about_bounds {
  struct location loc;
  const struct type *array, *index;
};
struct about_access {
  struct location loc;
  const struct type *type;
  uint8_t log_align, access;
};
struct about_alignment {
  struct location loc, assumed_at;
  const struct type *type;
};

#define NOSAN __attribute__((no_sanitize("undefined")))

NOSAN static void
value_text(char *buf, const struct type *t, uintptr_t v)
{
  int bits = t->kind == TYPE_INTEGER ? 1 << (t->info >> 1) : WORD_BITS;

  if(t->kind != TYPE_INTEGER || bits > WORD_BITS)
    fmt(buf, VALUE_TEXT, "(%s)", t->name);
  else if(t->info & 1)
    fmt(buf, VALUE_TEXT, "%ld", (long)(v << (WORD_BITS - bits)) >> (WORD_BITS - bits));
  else
    fmt(buf, VALUE_TEXT, "%lu", v << (WORD_BITS - bits) >> (WORD_BITS - bits));
}

#define ubsan_panic(loc, f, ...) panic("ubsan: %s:%u:%u: " f, (loc).file, (loc).line, (loc).column, ##__VA_ARGS__)

NOSAN static void
overflow(const struct about_value *d, const char *op, uintptr_t a, uintptr_t b)
{
  char left[VALUE_TEXT], right[VALUE_TEXT];

  value_text(left, d->type, a);
  value_text(right, d->type, b);
  ubsan_panic(d->loc, "%s %s %s does not fit in %s", left, op, right, d->type->name);
}

#define HANDLER(name, ...)                                                                                             \
  void __ubsan_handle_##name(__VA_ARGS__);                                                                             \
  NOSAN void __ubsan_handle_##name(__VA_ARGS__)

HANDLER(add_overflow, struct about_value *d, uintptr_t a, uintptr_t b)
{
  overflow(d, "+", a, b);
}

HANDLER(sub_overflow, struct about_value *d, uintptr_t a, uintptr_t b)
{
  overflow(d, "-", a, b);
}

HANDLER(mul_overflow, struct about_value *d, uintptr_t a, uintptr_t b)
{
  overflow(d, "*", a, b);
}

HANDLER(divrem_overflow, struct about_value *d, uintptr_t a, uintptr_t b)
{
  overflow(d, "/", a, b);
}

HANDLER(negate_overflow, struct about_value *d, uintptr_t a)
{
  overflow(d, "negated, or 0 -", a, a);
}

HANDLER(shift_out_of_bounds, struct about_shift *d, uintptr_t a, uintptr_t b)
{
  char left[VALUE_TEXT], right[VALUE_TEXT];

  value_text(left, d->left, a);
  value_text(right, d->right, b);
  ubsan_panic(d->loc, "%s of type %s is shifted by %s", left, d->left->name, right);
}

HANDLER(out_of_bounds, struct about_bounds *d, uintptr_t index)
{
  char text[VALUE_TEXT];

  value_text(text, d->index, index);
  ubsan_panic(d->loc, "index %s is outside of %s", text, d->array->name);
}

HANDLER(type_mismatch_v1, struct about_access *d, uintptr_t p)
{
  ubsan_panic(d->loc, "access to %s at %#lx, alignment %lu", d->type->name, p, 1ul << d->log_align);
}

HANDLER(pointer_overflow, struct about_value *d, uintptr_t base, uintptr_t result)
{
  ubsan_panic(d->loc, "pointer %#lx wraps to %#lx", base, result);
}

HANDLER(load_invalid_value, struct about_value *d, uintptr_t v)
{
  char text[VALUE_TEXT];

  value_text(text, d->type, v);
  ubsan_panic(d->loc, "%s is no value of type %s", text, d->type->name);
}

HANDLER(vla_bound_not_positive, struct about_value *d, uintptr_t bound)
{
  ubsan_panic(d->loc, "array of %ld elements", (long)bound);
}

HANDLER(builtin_unreachable, struct about_value *d)
{
  ubsan_panic(d->loc, "reached what cannot be reached");
}

HANDLER(missing_return, struct about_value *d)
{
  ubsan_panic(d->loc, "function ends without a value");
}

HANDLER(invalid_builtin, struct about_value *d)
{
  ubsan_panic(d->loc, "zero passed to clz or ctz");
}

HANDLER(nonnull_arg, struct about_value *d)
{
  ubsan_panic(d->loc, "null passed where it must not be");
}

HANDLER(nonnull_return_v1, void *d, struct location *loc)
{
  ubsan_panic(*loc, "null returned where it must not be");
}

HANDLER(alignment_assumption, struct about_alignment *d, uintptr_t p, uintptr_t align, uintptr_t offset)
{
  ubsan_panic(d->loc, "%#lx is not aligned to %lu", p - offset, align);
}

HANDLER(function_type_mismatch, struct about_value *d, uintptr_t fn)
{
  ubsan_panic(d->loc, "%#lx is called as %s", fn, d->type->name);
}
